/* How often each of many texts was seen: exact for the first 100,000 different ones, then for these alone. Knows no mail. */
#ifndef COUNTS_H
#define COUNTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct counted {
    char *text;                 /* any bytes */
    size_t len;
    uint64_t n;
};

struct counts {
    struct counted *slots;      /* open addressing; a power of two */
    size_t used, cap;
    uint64_t known, beyond;     /* times something was added; of them those for which there was no room */
};

/* False without memory. */
bool counts_add(struct counts *c, const char *text, size_t len);
/* How often; 0 for what was never seen, or had no room. */
uint64_t counts_of(const struct counts *c, const char *text, size_t len);
/* Most often first, equals by their bytes; *n of them. The array is the caller's, free(), its texts are not. NULL without memory. */
struct counted *counts_sorted(const struct counts *c, size_t *n);
void counts_done(struct counts *c);

#endif
