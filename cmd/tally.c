/* Messages grouped by keys. */
#include "tally.h"

#include <stdlib.h>
#include <string.h>

#include "opts.h"
#include "report.h"

int tally_parse(struct tally *t, const char *list, struct lq_error *err)
{
    for (;;) {
        size_t n = strcspn(list, ",");
        int rc;

        if (t->n == TALLY_KEYS_MAX)
            return opts_wrong(err, "more than %d keys", TALLY_KEYS_MAX);
        rc = key_parse(&t->keys[t->n], list, n, err);
        if (rc < 0)
            return rc;
        for (size_t i = 0; i < t->n; i++)
            if (strcmp(t->keys[i].name, t->keys[t->n].name) == 0)
                return opts_wrong(err, "%s is named twice", t->keys[i].name);
        t->values[t->n].fold = key_folds(&t->keys[t->n]);
        t->n++;
        if (!list[n])
            return LQ_OK;
        list += n + 1;
    }
}

uint64_t tally_fields(const struct tally *t)
{
    uint64_t fields = 0;

    for (size_t i = 0; i < t->n; i++)
        fields |= key_fields(&t->keys[i]);
    return fields;
}

static uint32_t value_entry(struct tally *t, size_t i, const struct lq_record *r, size_t recipient, int64_t now)
{
    struct key_value v;

    key_value(&t->keys[i], r, recipient, now, &v);
    if (v.has != LQ_PRESENT)
        return v.has == LQ_UNREAD ? COUNT_UNREAD : COUNT_ABSENT;
    return count_key(&t->values[i], v.text.p, v.text.n);
}

static uint32_t add_one(struct tally *t, const struct lq_record *r, size_t recipient, int64_t now,
                        const struct sighting *s)
{
    uint32_t entries[TALLY_KEYS_MAX];

    for (size_t i = 0; i < t->n; i++)
        entries[i] = value_entry(t, i, r, recipient, now);
    if (t->n == 1)
        count_add(&t->values[0], entries[0], s);
    else
        count_add(&t->groups, count_key(&t->groups, (const char *)entries, t->n * sizeof(entries[0])), s);
    return entries[0];
}

uint32_t tally_add(struct tally *t, const struct lq_record *r, int64_t now, const struct sighting *s)
{
    size_t recipients = 1;
    uint32_t entry = COUNT_ABSENT;

    for (size_t i = 0; i < t->n; i++)
        if (key_per_recipient(&t->keys[i]))
            lq_record_recipients(r, LQ_RECIPIENTS, &recipients);
    if (recipients == 0)
        recipients = 1;     /* none left: a group of its own */
    for (size_t i = 0; i < recipients; i++)
        entry = add_one(t, r, i, now, s);
    return entry;
}

struct group tally_group(const struct tally *t, uint32_t number)
{
    static const struct counted none;
    struct group g = { .sums = count_get(t->n == 1 ? &t->values[0] : &t->groups, number) };
    uint32_t entries[TALLY_KEYS_MAX] = { number };

    if (t->n > 1)
        memcpy(entries, g.sums->text, t->n * sizeof(entries[0]));
    for (size_t i = 0; i < t->n; i++) {
        g.unread[i] = entries[i] == COUNT_UNREAD;
        /* A dictionary without any value has no entries at all, not even the two. */
        g.value[i] = t->values[i].n > 0 ? count_get(&t->values[i], entries[i]) : &none;
    }
    return g;
}

struct ranked {
    int64_t value;
    bool has;
    size_t place;
    uint32_t number;
};

static int compare(const void *pa, const void *pb)
{
    const struct ranked *a = pa, *b = pb;

    if (a->has != b->has)
        return a->has ? -1 : 1;
    if (a->value != b->value)
        return a->value < b->value ? -1 : 1;
    return (a->place > b->place) - (a->place < b->place);
}

/* Ages and hours in their own order; what has none comes last. */
static void by_value(const struct tally *t, uint32_t *list, size_t n)
{
    struct ranked *ranks = calloc(n + 1, sizeof(*ranks));

    if (!ranks)
        report_no_memory();
    for (size_t i = 0; i < n; i++) {
        const struct counted *v = tally_group(t, list[i]).value[0];
        char digits[32] = "";

        if (v->text)
            memcpy(digits, v->text, count_kept(v) < sizeof(digits) ? count_kept(v) : sizeof(digits) - 1);
        ranks[i] = (struct ranked){ strtoll(digits, NULL, 10), v->text != NULL, i, list[i] };
    }
    qsort(ranks, n, sizeof(*ranks), compare);
    for (size_t i = 0; i < n; i++)
        list[i] = ranks[i].number;
    free(ranks);
}

/*
 * Several keys: entry numbers say which value was seen first, so groups of equal size are in the order of
 * the queue; of one key they are in the order of the text.
 */
uint32_t *tally_sorted(const struct tally *t, size_t *n)
{
    uint32_t *list = count_sorted(t->n == 1 ? &t->values[0] : &t->groups, n);

    if (key_has_order(&t->keys[0]))
        by_value(t, list, *n);
    return list;
}

void tally_done(struct tally *t)
{
    for (size_t i = 0; i < t->n; i++)
        count_done(&t->values[i]);
    count_done(&t->groups);
    t->n = 0;
}

bool tally_rate(const struct counted *sums, double *rate)
{
    uint32_t seconds = sums->last - sums->first;

    if (sums->messages < 2 || !sums->first)
        return false;
    *rate = sums->messages * 60.0 / (seconds < 60 ? 60 : seconds);
    return true;
}
