/* The table of back ends: one line each. */
#include "backend.h"

const struct lq_backend *const backends[] = {
    &exim_backend,
    &postfix_backend,
    &sendmail_backend,
    NULL
};
