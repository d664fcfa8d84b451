/* How many of something in each span of time, when neither the first nor the last time is known before: bounded memory. */
#ifndef TIMELINE_H
#define TIMELINE_H

#include <stddef.h>
#include <stdint.h>

enum { TIMELINE_SPANS = 240 };

struct timeline {
    int64_t width;              /* seconds of a span; 0: nothing yet */
    int64_t first;              /* the first span begins at first * width, epoch seconds */
    size_t n;                   /* spans in use */
    uint64_t spans[TIMELINE_SPANS];
};

void timeline_add(struct timeline *t, int64_t when);

#endif
