/* A growing byte buffer with a ceiling. */
#include "buf.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"

enum { UNASKED = 64 << 10 };

static bool room(struct buf *b, size_t n)
{
    size_t cap = b->cap ? b->cap : 256;
    char *p;

    if (b->failed)
        return false;
    if (b->cap - b->n >= n)
        return true;
    if (n > SIZE_MAX / 4 - b->n) {
        b->failed = true;
        return false;
    }
    while (cap - b->n < n)
        cap *= 2;
    if (b->owner && cap > UNASKED && !arena_beside(b->owner, cap - b->cap)) {
        b->failed = true;
        return false;
    }
    p = realloc(b->p, cap);
    if (!p) {
        b->failed = true;
        return false;
    }
    b->p = p;
    b->cap = cap;
    return true;
}

void buf_add(struct buf *b, const void *p, size_t n)
{
    if (b->limit > 0 && n > b->limit - b->n) {
        b->lost += n - (b->limit - b->n);
        n = b->limit - b->n;
    }
    if (n > 0 && room(b, n)) {
        memcpy(b->p + b->n, p, n);
        b->n += n;
    }
}

void buf_add_str(struct buf *b, const char *text)
{
    buf_add(b, text, strlen(text));
}

void buf_add_char(struct buf *b, char c)
{
    buf_add(b, &c, 1);
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
    char text[512];
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    if (n > 0)
        buf_add(b, text, (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1);
}

void buf_reset(struct buf *b, size_t keep)
{
    if (b->cap > keep) {
        free(b->p);
        b->p = NULL;
        b->cap = 0;
    }
    b->n = 0;
    b->lost = 0;
    b->failed = false;
}

void buf_done(struct buf *b)
{
    free(b->p);
    b->p = NULL;
    b->n = b->cap = 0;
}
