/*
 * Reading several directories of a spool side by side, for who lists it. What comes out, and in which order, is the same as of reading them one
 * after the other; only when each is read is not told. So all of them must be such that no message moves from one to another.
 */
#ifndef AHEAD_H
#define AHEAD_H

#include "backend.h"

struct ahead;

/*
 * Begin with the directories [first, sp->dir_count) that are known now. helpers: threads beside the caller, at most. NULL where nobody can help: a
 * single directory, no helpers, no memory.
 */
struct ahead *ahead_begin(const struct spool *sp, size_t first, unsigned helpers);
/* Whether number i, counted from `first`, is one of them. */
bool ahead_has(const struct ahead *a, size_t i);
/* As file_each() of the i-th, on the caller's thread. From the first to the last, each once; the rest may be left out. */
enum file_result ahead_each(struct ahead *a, size_t i, file_each_fn *each, void *ctx);
void ahead_end(struct ahead *a);

#endif
