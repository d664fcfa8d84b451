/* Windows of time before now: how many messages that are still queued arrived in each. Knows no record. */
#ifndef RATES_H
#define RATES_H

#include "libqueue.h"
#include "print.h"

enum { RATES_MAX = 6 };

struct rates {
    struct window {
        int64_t seconds;
        char name[16];          /* as the user wrote it */
    } list[RATES_MAX];
    size_t n;
};

/* "90", "10m", "3h", "2d", "1w": seconds, at least 1. LQ_OK; LQ_EINVAL with a sentence. */
int rates_age(int64_t *out, const char *text, size_t n, struct lq_error *err);
/* "1m,5m,1h", the shortest first. */
int rates_parse(struct rates *out, const char *list, struct lq_error *err);
/* A bit for each window that a message of this arrival is in; time 0: of none. */
uint64_t rates_columns(const struct rates *r, int64_t now, uint32_t time);
/* Append a number of messages as messages a minute. */
void rates_put(struct text *t, const struct window *w, uint64_t messages);

#endif
