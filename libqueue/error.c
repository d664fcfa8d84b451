/* Failure sentences. */
#include "error.h"

#include <stdarg.h>
#include <stdio.h>

int error_set(struct lq_error *err, enum lq_status status, const char *fmt, ...)
{
    va_list ap;

    if (!err)
        return status;
    err->status = status;
    va_start(ap, fmt);
    vsnprintf(err->text, sizeof(err->text), fmt, ap);
    va_end(ap);
    return status;
}

int error_memory(struct lq_error *err)
{
    return error_set(err, LQ_ENOMEM, "out of memory");
}
