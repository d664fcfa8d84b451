/* Memory freed all at once. The first chunk is part of the steady state; further ones are for unusual messages. */
#include "arena.h"

#include <stdlib.h>
#include <string.h>

/* Many small chunks would stay with the thread that freed them; large ones go back to the system. */
enum { CHUNK = 4096, CHUNK_LARGE = 256 << 10, ALIGN = 16 };

struct arena_chunk {
    struct arena_chunk *next;
    size_t size, used;
    _Alignas(ALIGN) unsigned char data[];
};

static struct arena_chunk *chunk_new(size_t size)
{
    struct arena_chunk *c = malloc(sizeof(*c) + size);

    if (c) {
        c->next = NULL;
        c->size = size;
        c->used = 0;
    }
    return c;
}

static struct arena_chunk *chunk_for(struct arena *a, size_t n)
{
    struct arena_chunk *c;

    if (a->last && a->last->size - a->last->used >= n)
        return a->last;
    c = chunk_new(a->used > CHUNK_LARGE ? n + CHUNK_LARGE : n > CHUNK / 2 ? n + CHUNK : CHUNK);
    if (!c)
        return NULL;
    if (a->last)
        a->last->next = c;
    else
        a->first = c;
    a->last = c;
    return c;
}

static void ask(struct arena *a, size_t more)
{
    size_t large;

    do {
        large = a->large;
        if (large > 0 && a->grown && a->used + a->beside + more > large)
            a->grown(a->ctx);
    } while (a->large > large);
}

bool arena_beside(struct arena *a, size_t n)
{
    ask(a, n);
    if (a->closed)
        return false;
    a->beside += n;
    return true;
}

bool arena_charge(struct arena *a, size_t n)
{
    if (n > SIZE_MAX / 2 || (a->limit > 0 && (a->used > a->limit || n > a->limit - a->used))) {
        a->refused = true;
        return false;
    }
    ask(a, n);
    if (a->closed) {
        a->refused = true;
        return false;
    }
    a->used += n;
    return true;
}

/* From the last chunk, where that needs neither memory nor anybody's leave: nearly always. NULL otherwise. */
static void *alloc_here(struct arena *a, size_t n)
{
    struct arena_chunk *c = a->last;
    void *p;

    if (!c || c->size - c->used < n || a->closed || (a->limit > 0 && a->used + n > a->limit) ||
        (a->large > 0 && a->used + a->beside + n > a->large))
        return NULL;
    p = c->data + c->used;
    c->used += n;
    a->used += n;
    return p;
}

void *arena_alloc(struct arena *a, size_t n)
{
    struct arena_chunk *c;
    void *p;

    n = n < SIZE_MAX / 2 ? (n + ALIGN - 1) & ~(size_t)(ALIGN - 1) : n;
    p = alloc_here(a, n);
    if (p || !arena_charge(a, n))
        return p;
    c = chunk_for(a, n);
    if (!c) {
        a->refused = true;
        return NULL;
    }
    p = c->data + c->used;
    c->used += n;
    return p;
}

struct lq_str arena_copy(struct arena *a, const void *p, size_t n)
{
    char *to = n < SIZE_MAX ? arena_alloc(a, n + 1) : NULL;

    if (!to)
        return (struct lq_str){ NULL, 0 };
    if (n > 0)
        memcpy(to, p, n);
    to[n] = '\0';
    return (struct lq_str){ to, n };
}

void *arena_grow(struct arena *a, void *array, size_t n, size_t *cap, size_t each)
{
    size_t more;
    void *to;

    if (n < *cap)
        return array;
    more = *cap ? *cap * 2 : 4;
    to = arena_alloc(a, more * each);
    if (!to)
        return NULL;
    if (n > 0)
        memcpy(to, array, n * each);
    *cap = more;
    return to;
}

static void free_chunks(struct arena_chunk *c)
{
    while (c) {
        struct arena_chunk *next = c->next;

        free(c);
        c = next;
    }
}

void arena_reset(struct arena *a)
{
    a->used = a->beside = 0;
    a->refused = false;
    if (!a->first)
        return;
    free_chunks(a->first->next);
    a->first->next = NULL;
    a->first->used = 0;
    a->last = a->first;
    if (a->first->size > 4 * CHUNK) {
        free(a->first);
        a->first = a->last = NULL;
    }
}

void arena_done(struct arena *a)
{
    free_chunks(a->first);
    a->first = a->last = NULL;
    a->used = 0;
}
