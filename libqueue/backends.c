/* The table of back ends: one line each; and how a claim of any of them ends. */
#include <unistd.h>

#include "backend.h"

const struct lq_backend *const backends[] = {
    &exim_backend,
    &postfix_backend,
    &sendmail_backend,
    NULL
};

void claim_done(struct claim *c)
{
    if (c->lock >= 0)
        close(c->lock);
    if (c->lock2 >= 0)
        close(c->lock2);
    c->lock = c->lock2 = -1;
}
