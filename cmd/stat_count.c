/* mqstat counts: one pass over the messages, and where it needs one, a second over some of them. */
#include "stat.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "report.h"

static void sample_take(struct sample *s, const struct lq_record *r, size_t queue, uint64_t number)
{
    struct lq_str id = lq_record_text(r, LQ_QUEUE_ID);

    if (s->stride == 0)
        s->stride = 1;
    if ((number - 1) % s->stride != 0 || !id.p)
        return;
    if (s->n == SAMPLE_MAX) {
        for (size_t i = 0; i < SAMPLE_MAX; i++) {
            if (i % 2)
                free(s->list[i].id);
            else
                s->list[i / 2] = s->list[i];
        }
        s->n = SAMPLE_MAX / 2;
        s->stride *= 2;
        if ((number - 1) % s->stride != 0)
            return;
    }
    s->list[s->n] = (struct sampled){ strndup(id.p, id.n), queue };
    if (!s->list[s->n++].id)
        report_no_memory();
}

static struct sighting sighting_of(struct stat_run *s, const struct lq_record *r)
{
    struct sighting seen = { .message = (uint32_t)s->messages };
    int64_t v;

    if (lq_record_number(r, LQ_MESSAGE_SIZE, &v) && v > 0)
        seen.bytes = (uint64_t)v;
    if (lq_record_number(r, LQ_ARRIVAL_TIME, &v) && v > 0 && v <= UINT32_MAX)
        seen.time = (uint32_t)v;
    return seen;
}

static void count_totals(struct stat_run *s, const struct sighting *seen)
{
    s->bytes += seen->bytes;
    s->queues[s->walk.index].messages++;
    s->queues[s->walk.index].bytes += seen->bytes;
    if (seen->time && (!s->oldest || seen->time < s->oldest))
        s->oldest = seen->time;
}

/* Both an account and a login of its own: -u would select the message by either. */
static bool has_two_users(const struct lq_record *r)
{
    struct lq_str a = lq_record_text(r, LQ_AUTH_USER), b = lq_record_text(r, LQ_LOCAL_USER);

    return a.p && b.p && !(a.n == b.n && memcmp(a.p, b.p, a.n) == 0);
}

static void count_reason(struct stat_run *s, const struct lq_record *r, struct sighting seen)
{
    seen.message = (uint32_t)++s->sampled;
    tally_add(&s->by_top[TOP_REASON], r, 0, &seen);
}

static void count_screen(struct stat_run *s, const struct lq_record *r, const struct sighting *seen)
{
    struct trait_row row = { .time = seen->time };
    int64_t usec;

    for (int i = 0; i < TRAIT_COUNT; i++)
        row.entry[i] = tally_add(&s->by_top[i], r, 0, seen);
    row.domain = tally_add(&s->by_top[TOP_DOMAIN], r, 0, seen);
    if (lq_record_number(r, LQ_ARRIVAL_USEC, &usec))
        row.usec = (uint32_t)usec;
    suspect_note(&s->suspects, &row);
    s->suspects.two_users |= has_two_users(r);
    if (lq_queue_is_records(s->sel.queues[s->walk.index].queue))
        count_reason(s, r, *seen);      /* it is here already, and perhaps never again */
    else
        sample_take(&s->sample, r, s->walk.index, s->messages);
}

static void count_message(struct stat_run *s, const struct lq_record *r)
{
    int64_t now = s->needs_now ? select_now(&s->sel, s->walk.index) : 0;
    struct sighting seen;

    s->messages++;
    seen = sighting_of(s, r);
    count_totals(s, &seen);
    if (s->rates_list)
        seen.columns = rates_columns(&s->rates, now, seen.time);
    if (s->what == WHAT_KEYS)
        tally_add(&s->by_keys, r, now, &seen);
    else if (s->what == WHAT_AGES)
        matrix_add(&s->matrix, r, now, &seen);
    else if (s->what == WHAT_CLUSTERS)
        cluster_add(&s->alike, r, s->walk.index, &seen);
    else
        count_screen(s, r, &seen);
    if (s->what == WHAT_SCREEN)
        tally_add(&s->by_state, r, 0, &seen);
}

static uint64_t fields_wanted(const struct stat_run *s)
{
    uint64_t fields = LQ_FIELD_BIT(LQ_QUEUE_ID) | LQ_FIELD_BIT(LQ_STATE) | LQ_FIELD_BIT(LQ_ARRIVAL_TIME) |
                      LQ_FIELD_BIT(LQ_MESSAGE_SIZE);

    if (s->what == WHAT_KEYS)
        return fields | tally_fields(&s->by_keys);
    if (s->what == WHAT_AGES)
        return fields | tally_fields(&s->matrix.tally);
    if (s->what == WHAT_CLUSTERS)
        return fields | cluster_fields();
    for (int i = 0; i < TOP_REASON; i++)
        fields |= tally_fields(&s->by_top[i]);
    return fields | LQ_FIELD_BIT(LQ_ARRIVAL_USEC);
}

/*
 * Where ages count from is asked after the scan, when the times of the files have been seen. Messages were noted
 * queue by queue.
 */
static void count_ages(struct stat_run *s)
{
    uint32_t from = 0;

    if (s->what != WHAT_SCREEN && !s->needs_now) {
        s->now = s->sel.fixed_now ? s->sel.now : time(NULL);    /* only decides how times are shortened */
        return;
    }
    for (size_t i = 0; i < s->sel.queue_count; i++) {
        int64_t now = select_now(&s->sel, i);

        if (now > s->now)
            s->now = now;
        for (size_t k = 0; k < s->rates.n; k++)
            s->recently[k] += suspect_recent(&s->suspects, from, (uint32_t)s->queues[i].messages, now, s->rates.list[k].seconds);
        from += (uint32_t)s->queues[i].messages;
    }
    if (s->messages > 0)
        select_say_ages(&s->sel);
}

void stat_count(struct stat_run *s)
{
    const struct lq_record *rec;

    s->walk = (struct walk){ .sel = &s->sel, .filter = s->sel.filter, .fields = fields_wanted(s), .kept = s->scans };
    while (walk_next(&s->walk, &rec) == LQ_OK)
        count_message(s, rec);
    walk_end(&s->walk);
    count_ages(s);
}

/* --- reasons, from the sample --- */

static struct lq_filter *sample_filter(const struct stat_run *s, size_t queue)
{
    struct lq_filter *filter;
    struct lq_error err;

    if (lq_filter_new(&filter, &err) < 0)
        report_no_memory();
    for (size_t i = 0; i < s->sample.n; i++)
        if (s->sample.list[i].queue == queue && lq_filter_add(filter, LQ_SEL_ID, s->sample.list[i].id, &err) < 0)
            report(REPORT_FAILED, "%s", err.text);
    return filter;
}

/* Whether the message is one of those that the features are of. */
static bool is_theirs(const struct stat_run *s, const struct lq_record *r)
{
    const struct tally *t = &s->by_top[s->suspect.trait];
    const struct counted *e;
    struct key_value v;

    if (s->features.of == OF_STRANGERS)
        return !lq_record_text(r, LQ_AUTH_USER).p && lq_record_text(r, LQ_CLIENT_ADDRESS).p;
    if (s->features.of == OF_ALL)
        return true;
    e = count_get(&t->counts, s->suspect.entry);
    key_value(&t->keys[0], r, 0, 0, &v);
    return v.has == LQ_PRESENT && count_hash(v.text.p, v.text.n, t->counts.fold) == e->hash;
}

/* A second look at the messages of a queue's sample. */
struct second_look {
    struct lq_filter *filter;
    bool begun;
};

static struct second_look begin_reasons(struct stat_run *s, size_t queue)
{
    struct second_look look = { .filter = sample_filter(s, queue) };
    struct lq_scan_opts opts = {
        .size = sizeof(opts),
        .filter = look.filter,
        .fields = tally_fields(&s->by_top[TOP_REASON]) | LQ_FIELD_BIT(LQ_ARRIVAL_TIME) | LQ_FIELD_BIT(LQ_MESSAGE_SIZE) |
                  classify_fields() | tally_fields(&s->by_top[TRAIT_USER]) | tally_fields(&s->by_top[TRAIT_CLIENT]) |
                  tally_fields(&s->by_top[TRAIT_SENDER]),
        .threads = (unsigned)s->sel.threads,
    };
    struct lq_error err;

    look.begun = s->scans[queue] && !lq_filter_empty(look.filter) && lq_scan_again(s->scans[queue], &opts, &err) == LQ_OK;
    return look;
}

static void read_reasons(struct stat_run *s, size_t queue, struct second_look *look)
{
    const struct lq_record *rec;
    struct lq_error err;

    while (look->begun && lq_scan_next(s->scans[queue], &rec, &err) == LQ_OK) {
        count_reason(s, rec, sighting_of(s, rec));
        if (is_theirs(s, rec))
            classify_sample(&s->features, rec, s->sel.queues[queue].queue);
    }
    lq_scan_end(s->scans[queue]);
    s->scans[queue] = NULL;
    lq_filter_free(look->filter);
}

void stat_traits(struct stat_run *s, struct tally *tallies[TRAIT_COUNT])
{
    for (int i = 0; i < TRAIT_COUNT; i++)
        tallies[i] = &s->by_top[i];
}

static void find_suspect(struct stat_run *s)
{
    struct tally *tallies[TRAIT_COUNT];

    for (int i = 0; i < TOP_REASON; i++)
        count_seal(&s->by_top[i].counts);
    stat_traits(s, tallies);
    s->suspected = suspect_find(&s->suspects, tallies, s->now, &s->suspect);
    classify_count(&s->features, &s->suspects, tallies, s->suspected ? &s->suspect : NULL);
}

/* Whom to suspect is found out while the first of the sample are being read. */
void stat_reasons(struct stat_run *s)
{
    for (size_t i = 0; i < s->sel.queue_count; i++) {
        struct second_look look = begin_reasons(s, i);

        if (i == 0)
            find_suspect(s);
        read_reasons(s, i, &look);
    }
}

/* --- the second pass of clusters --- */

void stat_clusters(struct stat_run *s)
{
    struct lq_scan_opts opts = { .size = sizeof(opts), .filter = s->sel.filter, .threads = (unsigned)s->sel.threads };
    const struct lq_record *rec;
    struct lq_error err;

    cluster_find(&s->alike, s->all ? SIZE_MAX : s->top ? s->top : CLUSTERS_TOP, &s->sel);
    opts.fields = cluster_check_fields(&s->alike);
    for (size_t i = 0; i < s->sel.queue_count; i++) {
        struct lq_scan *scan = s->scans[i];

        opts.now = select_now(&s->sel, i);
        if (scan && lq_scan_again(scan, &opts, &err) == LQ_OK)
            while (lq_scan_next(scan, &rec, &err) == LQ_OK)
                cluster_check(&s->alike, rec, s->sel.queues[i].queue, i);
        lq_scan_end(scan);
        s->scans[i] = NULL;
    }
}
