/*
 * Memory that is freed all at once: one arena per record slot, reset for the next record.
 * Knows nothing of what it holds. One thread at a time.
 */
#ifndef ARENA_H
#define ARENA_H

#include "libqueue.h"

struct arena_chunk;

struct arena {
    struct arena_chunk *first, *last;
    size_t used;                /* bytes handed out since the last reset */
    size_t limit;               /* arena_alloc() answers NULL beyond this many; 0: no limit */
    size_t beside;              /* bytes of buffers that work for this arena's owner; they have limits of their own */
    size_t large;               /* before used + beside pass this, grown() is called and raises it; 0: never */
    void (*grown)(void *ctx);
    void *ctx;
    bool closed;                /* refuse all from now on, also buffers; by grown(), for good */
    bool refused;               /* an allocation was refused since the last reset */
};

/* 16-byte aligned, not cleared; NULL when the limit or the machine's memory is reached. */
void *arena_alloc(struct arena *a, size_t n);
/* A NUL-terminated copy; { NULL, 0 } when there is no memory. */
struct lq_str arena_copy(struct arena *a, const void *p, size_t n);
/* Grow an array that holds n elements of `each` bytes, so that one more fits; NULL as arena_alloc. *cap is updated. */
void *arena_grow(struct arena *a, void *array, size_t n, size_t *cap, size_t each);
/* Count n bytes kept elsewhere against the limit; false when they do not fit. */
bool arena_charge(struct arena *a, size_t n);
/* Count n bytes of a buffer, against `large` only; false when the arena is closed. */
bool arena_beside(struct arena *a, size_t n);
/* Forget everything handed out; keeps the first chunk so that ordinary records never call malloc. */
void arena_reset(struct arena *a);
void arena_done(struct arena *a);

#endif
