/*
 * Selections kept by name: one expression in one file, in a directory of the user's or of all. Knows files and who may write them,
 * not what an expression means.
 */
#ifndef SETS_H
#define SETS_H

#include "libqueue.h"

/*
 * The expression kept as `name`; free(). NULL with a sentence: no such name, or somebody else could have written it. Looked for in the
 * user's own directory, then in /etc/mqtools/sets.
 */
char *sets_read(const char *name, struct lq_error *err);
/* Keep it in the user's own directory (root's is /etc/mqtools/sets); path: where, free(). What is there is never replaced. False with a sentence. */
bool sets_write(const char *name, const char *expression, char **path, struct lq_error *err);

#endif
