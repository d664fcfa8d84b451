/* Messages grouped by keys. */
#include "tally.h"

#include <stdlib.h>
#include <string.h>

#include "opts.h"
#include "report.h"

/*
 * Of several keys a group's text is made of a piece for each: a mark, the length of what is kept in four digits, and that. The
 * digits are those from '0' to '?', which folding upper and lower case leaves alone.
 */
enum mark { MARK_ABSENT = '-', MARK_UNREAD = '?', MARK_WHOLE = '=', MARK_CUT = '<' };

enum {
    LENGTH_DIGITS = 4,
    HASH_DIGITS = 16,
    PIECE_MAX = 1 + LENGTH_DIGITS + COUNT_KEPT + HASH_DIGITS
};

/* Parts of one list go together, element by element; of two lists, which of one belongs to which of the other? */
static int check_lists(struct tally *t, struct lq_error *err)
{
    const struct key *list = NULL;

    for (size_t i = 0; i < t->n; i++) {
        const struct key *k = &t->keys[i];

        if (key_list(k) < 0)
            continue;
        if (list && key_list(list) != key_list(k))
            return opts_wrong(err, "%s and %s are both lists; take one of them", list->name, k->name);
        list = k;
    }
    t->lists = list != NULL;
    return LQ_OK;
}

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
        t->n++;
        if (!list[n])
            break;
        list += n + 1;
    }
    t->counts.fold = t->n > 1 || key_folds(&t->keys[0]);
    t->counts.kept = t->n > 1 ? (uint32_t)t->n * PIECE_MAX : COUNT_KEPT;
    return check_lists(t, err);
}

uint64_t tally_fields(const struct tally *t)
{
    uint64_t fields = 0;

    for (size_t i = 0; i < t->n; i++)
        fields |= key_fields(&t->keys[i]);
    return fields;
}

bool tally_needs_now(const struct tally *t)
{
    for (size_t i = 0; i < t->n; i++)
        if (key_needs_now(&t->keys[i]))
            return true;
    return false;
}

/* --- several keys --- */

static char *put_digits(char *p, uint64_t v, unsigned digits)
{
    for (unsigned i = digits; i-- > 0; v >>= 4)
        p[i] = (char)('0' + (v & 15));
    return p + digits;
}

static char *put_piece(char *p, const struct key_value *v)
{
    size_t kept = v->text.n < COUNT_KEPT ? v->text.n : COUNT_KEPT;

    if (v->has != LQ_PRESENT) {
        *p++ = v->has == LQ_UNREAD ? MARK_UNREAD : MARK_ABSENT;
        return p;
    }
    *p++ = kept < v->text.n ? MARK_CUT : MARK_WHOLE;
    p = put_digits(p, kept, LENGTH_DIGITS);
    memcpy(p, v->text.p, kept);
    p += kept;
    return kept < v->text.n ? put_digits(p, count_hash(v->text.p, v->text.n, true), HASH_DIGITS) : p;
}

static struct group_value take_piece(const char **p)
{
    struct group_value v = { .unread = **p == MARK_UNREAD, .cut = **p == MARK_CUT };
    bool present = v.cut || **p == MARK_WHOLE;
    size_t n = 0;

    ++*p;
    if (!present)
        return v;
    for (int i = 0; i < LENGTH_DIGITS; i++)
        n = n << 4 | (size_t)(*(*p)++ - '0');
    v.text = (struct lq_str){ *p, n };
    *p += n + (v.cut ? HASH_DIGITS : 0);
    return v;
}

/* --- counting --- */

static uint32_t single_entry(struct tally *t, const struct lq_record *r, size_t which, int64_t now)
{
    struct key_value v;

    key_value(&t->keys[0], r, which, now, &v);
    if (v.has != LQ_PRESENT)
        return v.has == LQ_UNREAD ? COUNT_UNREAD : COUNT_ABSENT;
    return count_key(&t->counts, v.text.p, v.text.n);
}

static uint32_t tuple_entry(struct tally *t, const struct lq_record *r, size_t which, int64_t now)
{
    char tuple[TALLY_KEYS_MAX * PIECE_MAX], *p = tuple;
    struct key_value v;

    for (size_t i = 0; i < t->n; i++) {
        key_value(&t->keys[i], r, which, now, &v);
        p = put_piece(p, &v);
    }
    return count_key(&t->counts, tuple, (size_t)(p - tuple));
}

uint32_t tally_add(struct tally *t, const struct lq_record *r, int64_t now, const struct sighting *s)
{
    size_t values = 1;
    uint32_t entry = COUNT_ABSENT;

    for (size_t i = 0; i < t->n && t->lists; i++) {
        size_t n = key_values(&t->keys[i], r);

        values = n > values ? n : values;
    }
    for (size_t i = 0; i < values; i++) {
        entry = t->n == 1 ? single_entry(t, r, i, now) : tuple_entry(t, r, i, now);
        count_add(&t->counts, entry, s);
    }
    return entry;
}

struct group tally_group(const struct tally *t, uint32_t number)
{
    const struct counted *e = count_get(&t->counts, number);
    struct group g = { .sums = e, .columns = count_columns(&t->counts, number) };
    const char *p = e->text;

    if (t->n == 1) {
        g.value[0] = (struct group_value){ .unread = number == COUNT_UNREAD };
        if (e->text) {
            g.value[0].text = (struct lq_str){ e->text, count_kept(e) };
            g.value[0].cut = count_cut(e);
        }
        return g;
    }
    for (size_t i = 0; i < t->n; i++)
        g.value[i] = take_piece(&p);
    return g;
}

/* --- order --- */

struct ranked {
    double value;
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

/* What decides, the smallest first; false: it has none and comes last. */
static bool rank_of(const struct tally *t, enum tally_order order, uint32_t number, double *out)
{
    struct group g = tally_group(t, number);
    struct lq_str s = g.value[0].text;
    char digits[32] = "";

    switch (order) {
    case TALLY_BY_BYTES:
        *out = -(double)g.sums->bytes;
        return true;
    case TALLY_BY_RATE:
        if (!tally_rate(g.sums, out))
            return false;
        *out = -*out;
        return true;
    case TALLY_OLDEST:
        *out = g.sums->first;
        return g.sums->first != 0;
    case TALLY_NEWEST:
        *out = -(double)g.sums->last;
        return g.sums->last != 0;
    case TALLY_BY_VALUE:
        if (s.p)
            memcpy(digits, s.p, s.n < sizeof(digits) ? s.n : sizeof(digits) - 1);
        *out = (double)strtoll(digits, NULL, 10);
        return s.p != NULL;
    default:
        *out = 0;
        return true;
    }
}

uint32_t *tally_in_order(const struct tally *t, enum tally_order order, size_t *n)
{
    uint32_t *list = count_sorted(&t->counts, n);
    struct ranked *ranks;

    if (order == TALLY_BY_COUNT)
        return list;
    ranks = calloc(*n + 1, sizeof(*ranks));
    if (!ranks)
        report_no_memory();
    for (size_t i = 0; i < *n; i++) {
        ranks[i] = (struct ranked){ .place = i, .number = list[i] };
        ranks[i].has = rank_of(t, order, list[i], &ranks[i].value);
    }
    qsort(ranks, *n, sizeof(*ranks), compare);
    for (size_t i = 0; i < *n; i++)
        list[i] = ranks[i].number;
    free(ranks);
    return list;
}

uint32_t *tally_sorted(const struct tally *t, size_t *n)
{
    return tally_in_order(t, key_has_order(&t->keys[0]) ? TALLY_BY_VALUE : TALLY_BY_COUNT, n);
}

void tally_done(struct tally *t)
{
    count_done(&t->counts);
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
