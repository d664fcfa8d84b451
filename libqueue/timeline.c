/* Spans begin at one second. When they do not reach from the first to the last time any more, several become one. */
#include "timeline.h"

#include <string.h>

/* Each is a multiple of the one before, so that spans can be joined, and one that people use. */
static const int64_t widths[] = { 1, 2, 10, 30, 60, 300, 600, 1800, 3600, 21600, 43200, 86400, 604800 };

/* Farther than any clock of a mail server, near enough that nothing here overflows. */
static const int64_t far = INT64_C(1) << 55;

static int64_t wider(int64_t width)
{
    for (size_t i = 0; i < sizeof(widths) / sizeof(widths[0]); i++)
        if (widths[i] > width)
            return widths[i];
    return width * 2;
}

/* Rounded down, also below 0. */
static int64_t divide(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

static void join(struct timeline *t)
{
    int64_t width = wider(t->width), ratio = width / t->width, first = divide(t->first, ratio);
    size_t n = 0;

    for (size_t i = 0; i < t->n; i++) {
        size_t to = (size_t)(divide(t->first + (int64_t)i, ratio) - first);
        uint64_t count = t->spans[i];

        if (to >= n)
            t->spans[n++] = 0;
        t->spans[to] += count;
    }
    t->n = n;
    t->first = first;
    t->width = width;
}

/* Whether the spans reach to this one now. */
static int reach(struct timeline *t, int64_t span)
{
    int64_t first = span < t->first ? span : t->first, last = t->first + (int64_t)t->n - 1;
    size_t more = (size_t)(t->first - first);

    last = span > last ? span : last;
    if (last - first >= TIMELINE_SPANS)
        return 0;
    memmove(t->spans + more, t->spans, t->n * sizeof(t->spans[0]));
    memset(t->spans, 0, more * sizeof(t->spans[0]));
    t->n += more;
    memset(t->spans + t->n, 0, ((size_t)(last - first) + 1 - t->n) * sizeof(t->spans[0]));
    t->n = (size_t)(last - first) + 1;
    t->first = first;
    return 1;
}

void timeline_add(struct timeline *t, int64_t when)
{
    when = when > far ? far : when < -far ? -far : when;
    if (t->n == 0)
        *t = (struct timeline){ .width = 1, .first = when, .n = 1 };
    while (!reach(t, divide(when, t->width)))
        join(t);
    t->spans[divide(when, t->width) - t->first]++;
}
