/* The table of back ends: one line each; and how any of them answers and ends a claim. */
#include <stdarg.h>
#include <stdio.h>
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

enum claim_result claim_answer(struct claim *c, enum claim_result result, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(c->why, sizeof(c->why), fmt, ap);
    va_end(ap);
    return result;
}

enum hold_result hold_answer(struct held *out, enum hold_result result, const char *why)
{
    buf_reset(&out->bytes, 0);
    snprintf(out->why, sizeof(out->why), "%s", why);
    return result;
}
