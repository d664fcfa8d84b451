/* Failure, told once by whoever knows the story. */
#ifndef ERROR_H
#define ERROR_H

#include "libqueue.h"

/* Fill *err (may be NULL) with the sentence; answers status, so that `return error_set(...)` reads well. */
int error_set(struct lq_error *err, enum lq_status status, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* "out of memory" */
int error_memory(struct lq_error *err);

#endif
