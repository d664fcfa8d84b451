/* Counting texts, in a table of slots that doubles. */
#include "counts.h"

#include <stdlib.h>
#include <string.h>

enum { DISTINCT_MAX = 100000 };

static uint64_t hash(const char *p, size_t n)
{
    uint64_t h = UINT64_C(14695981039346656037);

    for (size_t i = 0; i < n; i++)
        h = (h ^ (unsigned char)p[i]) * UINT64_C(1099511628211);
    return h;
}

static struct counted *slot(struct counted *slots, size_t cap, const char *text, size_t len)
{
    size_t i = hash(text, len) & (cap - 1);

    while (slots[i].text && (slots[i].len != len || memcmp(slots[i].text, text, len) != 0))
        i = (i + 1) & (cap - 1);
    return &slots[i];
}

static bool grow(struct counts *c)
{
    size_t cap = c->cap ? c->cap * 2 : 64;
    struct counted *more = calloc(cap, sizeof(*more));

    if (!more)
        return false;
    for (size_t i = 0; i < c->cap; i++)
        if (c->slots[i].text)
            *slot(more, cap, c->slots[i].text, c->slots[i].len) = c->slots[i];
    free(c->slots);
    c->slots = more;
    c->cap = cap;
    return true;
}

bool counts_add(struct counts *c, const char *text, size_t len)
{
    struct counted *s;

    c->known++;
    if (c->used * 2 >= c->cap && !grow(c))
        return false;
    s = slot(c->slots, c->cap, text, len);
    if (!s->text && c->used == DISTINCT_MAX) {
        c->beyond++;
        return true;
    }
    if (!s->text) {
        s->text = malloc(len + 1);
        if (!s->text)
            return false;
        memcpy(s->text, text, len);
        s->text[len] = '\0';
        s->len = len;
        c->used++;
    }
    s->n++;
    return true;
}

uint64_t counts_of(const struct counts *c, const char *text, size_t len)
{
    return c->cap > 0 ? slot(c->slots, c->cap, text, len)->n : 0;
}

static int more_first(const void *a, const void *b)
{
    const struct counted *x = a, *y = b;
    int order;

    if (x->n != y->n)
        return x->n > y->n ? -1 : 1;
    order = memcmp(x->text, y->text, x->len < y->len ? x->len : y->len);
    return order ? order : x->len < y->len ? -1 : x->len > y->len;
}

struct counted *counts_sorted(const struct counts *c, size_t *n)
{
    struct counted *all = malloc((c->used + 1) * sizeof(*all));

    *n = 0;
    if (!all)
        return NULL;
    for (size_t i = 0; i < c->cap; i++)
        if (c->slots[i].text)
            all[(*n)++] = c->slots[i];
    if (*n > 1)
        qsort(all, *n, sizeof(*all), more_first);
    return all;
}

void counts_done(struct counts *c)
{
    for (size_t i = 0; i < c->cap; i++)
        free(c->slots[i].text);
    free(c->slots);
    *c = (struct counts){ 0 };
}
