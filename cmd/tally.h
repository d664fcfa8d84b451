/* Messages grouped by one key or several together: who has how many. Knows records through key.h only. */
#ifndef TALLY_H
#define TALLY_H

#include "count.h"
#include "key.h"

enum { TALLY_KEYS_MAX = 4 };

enum tally_order { TALLY_BY_COUNT, TALLY_BY_BYTES, TALLY_BY_RATE, TALLY_OLDEST, TALLY_NEWEST, TALLY_BY_VALUE };

struct tally {
    struct key keys[TALLY_KEYS_MAX];
    size_t n;
    bool lists;                 /* some key has several values in a message */
    struct counter counts;      /* of one key its values, of several what tally_group() takes apart */
};

/* The value of one key in a group. */
struct group_value {
    struct lq_str text;         /* p == NULL: it has none, or none that could be read */
    bool unread, cut;           /* cut: only the beginning is there */
};

/* A group for printing. */
struct group {
    const struct counted *sums;
    const uint32_t *columns;
    struct group_value value[TALLY_KEYS_MAX];
};

/* Parse "client,size". Limits of t->counts are set after this and before the first message. LQ_OK; LQ_EINVAL with a sentence. */
int tally_parse(struct tally *t, const char *list, struct lq_error *err);
uint64_t tally_fields(const struct tally *t);
bool tally_needs_now(const struct tally *t);
/* Count a message. Answers the entry in counts of its group (of its last recipient, for keys of recipients). */
uint32_t tally_add(struct tally *t, const struct lq_record *r, int64_t now, const struct sighting *s);
/* Groups in the order to show them: an array of numbers for tally_group(), to be freed. */
uint32_t *tally_in_order(const struct tally *t, enum tally_order order, size_t *n);
/* The same in the usual order: by count, but ages and hours in their own. */
uint32_t *tally_sorted(const struct tally *t, size_t *n);
struct group tally_group(const struct tally *t, uint32_t number);
void tally_done(struct tally *t);

/* Messages a minute from the first to the last one, taken as a minute at least. False when that says nothing. */
bool tally_rate(const struct counted *sums, double *rate);

#endif
