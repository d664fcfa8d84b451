/* Messages grouped by one key or several together: who has how many. Knows records through key.h only. */
#ifndef TALLY_H
#define TALLY_H

#include "count.h"
#include "key.h"

enum { TALLY_KEYS_MAX = 4 };

struct tally {
    struct key keys[TALLY_KEYS_MAX];
    size_t n;
    /* its own: */
    struct counter values[TALLY_KEYS_MAX];      /* of one key also the sums */
    struct counter groups;                      /* of several: the entry numbers of their values */
};

/* A group for printing. */
struct group {
    const struct counted *sums;
    const struct counted *value[TALLY_KEYS_MAX];        /* text == NULL: see absent */
    bool unread[TALLY_KEYS_MAX];
};

/* Parse "client,size". LQ_OK; LQ_EINVAL with a sentence. */
int tally_parse(struct tally *t, const char *list, struct lq_error *err);
uint64_t tally_fields(const struct tally *t);
/* Count a message. Answers the entry of its value in values[0] (of its last recipient, for keys of recipients). */
uint32_t tally_add(struct tally *t, const struct lq_record *r, int64_t now, const struct sighting *s);
/* Groups in the order to show them: an array of numbers for tally_group(), to be freed. */
uint32_t *tally_sorted(const struct tally *t, size_t *n);
struct group tally_group(const struct tally *t, uint32_t number);
void tally_done(struct tally *t);

/* Messages a minute from the first to the last one, taken as a minute at least. False when that says nothing. */
bool tally_rate(const struct counted *sums, double *rate);

#endif
