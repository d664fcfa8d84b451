/* mqstat: who and what fills the queues. One pass over the messages; reasons come from a sample. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "monitor.h"
#include "classify.h"
#include "cluster.h"
#include "explain.h"
#include "groups.h"
#include "matrix.h"
#include "opts.h"
#include "print.h"
#include "report.h"
#include "select.h"
#include "suspect.h"
#include "tally.h"

enum mode { MODE_PEOPLE, MODE_JSON, MODE_CSV, MODE_PROM, MODE_CHECK };
enum what { WHAT_SCREEN, WHAT_KEYS, WHAT_AGES, WHAT_CLUSTERS };

enum {
    SCREEN_TOP = 5,         /* rows of each table of the screen */
    KEYS_TOP = 20,          /* rows of -k */
    SCREEN_LIMIT = 32768,   /* different values of which each table of the screen counts all exactly */
    CLUSTERS_TOP = 10,
    KEYS_LIMIT = 100000,    /* the same of -k */
    AGES = 10,              /* steps of --matrix */
    FIRST_AGE = 300,        /* seconds */
    SAMPLE_MAX = 2000       /* beyond this many, every second one is dropped again */
};

/* The tables of the screen. The traits of a suspect come first, in their order; reasons are read from a sample. */
enum top { TOP_DOMAIN = TRAIT_COUNT, TOP_REASON, TOP_COUNT };

static const struct {
    const char *key, *title;
} tops[TOP_COUNT] = {
    [TRAIT_USER] = { "user", "account" },
    [TRAIT_CLIENT] = { "client", "client" },
    [TRAIT_SENDER] = { "sender", "sender" },
    [TRAIT_SUBJECT] = { "subject", "subject" },
    [TRAIT_SIZE] = { "size", "size" },
    [TOP_DOMAIN] = { "recipient.domain", "recipient domain" },
    [TOP_REASON] = { "reason.shape", "reason" },
};

/* In which order they are shown. */
static const int shown[] = { TRAIT_CLIENT, TRAIT_USER, TRAIT_SENDER, TOP_DOMAIN, TRAIT_SUBJECT, TRAIT_SIZE, TOP_REASON };

/* An even sample of the messages: each stride-th one. */
struct sample {
    struct sampled {
        char *id;
        size_t queue;
    } list[SAMPLE_MAX];
    size_t n;
    uint64_t stride;
};

struct stat_run {
    struct selection sel;
    int mode;
    const char *by, *matrix_key, *sort, *rates_list, *step, *warn_list, *crit_list;
    unsigned long top, ages;
    bool all;                       /* -t 0 */
    bool linear, parents, clusters, body;
    enum color_when color;

    enum what what;
    struct screen screen;
    struct walk walk;
    uint64_t messages, bytes;
    uint32_t oldest;
    int64_t now;                    /* the latest of the queues' */
    struct queue_sum {
        uint64_t messages, bytes;
    } *queues;
    struct lq_scan **scans;         /* of the queues, for reasons; NULL: could not be listed */
    bool ordered, needs_now;
    enum tally_order order;
    struct tally by_keys, by_state, by_top[TOP_COUNT];
    struct rates rates;             /* 1, 5 and 60 minutes if nothing else was asked for */
    uint64_t recently[RATES_MAX];
    struct matrix matrix;
    struct monitor_limits warn, crit;
    int checked;                    /* exit status of --check */
    bool said;                      /* its line was printed */
    struct clusters alike;
    struct suspects suspects;
    bool suspected;
    struct suspect suspect;
    struct features features;
    struct sample sample;
    uint64_t sampled;               /* messages of the sample that were read */
};

/* --- options --- */

static int set_top(const struct opt *o, void *target, const char *value, struct lq_error *err)
{
    struct stat_run *s = target;
    int rc = opt_count(o, &s->top, value, err);

    s->all = rc == LQ_OK && s->top == 0;
    return rc;
}

#define INTO(setter, member) .set = (setter), .at = offsetof(struct stat_run, member)

#define KEYS \
    "client client/24 client/64 user sender sender.domain recipient recipient.domain subject subject.shape size size~2% " \
    "state queue age hour reason reason.shape reason.class host mta spool"
#define ORDERS "count bytes rate oldest newest"

static const struct opt options[] = {
    { .heading = "What to count (default: an overview of everything)" },
    { "by", 'k', "KEY,...", "by client, client/24, user, sender, sender.domain, recipient, recipient.domain, subject, "
      "subject.shape, size, size~2%, state, queue, age, hour, reason, reason.class or any other field; several together",
      INTO(opt_text, by), .words = KEYS },
    { "matrix", 0, "KEY", "a table of ages: how many of each value arrived how long ago", INTO(opt_text, matrix_key), .words = KEYS },
    { "parents", 0, NULL, "in that table parent domains, too", INTO(opt_flag, parents) },
    { "linear", 0, NULL, "its steps are all as long as the first; else each is twice the one before", INTO(opt_flag, linear) },
    { "step", 0, "AGE", "its first step (default 5m)", INTO(opt_text, step) },
    { "steps", 0, "N", "how many (default 10)", INTO(opt_count, ages), .value = 2 },
    { "clusters", 0, NULL, "messages that look alike, with the selection that gives exactly them", INTO(opt_flag, clusters) },
    { "body", 0, NULL, "there compare their bodies, too", INTO(opt_flag, body) },
    { "top", 't', "N", "the N largest; 0 for all (default 20, in the overview 5)", .set = set_top },
    { "sort", 0, "ORDER", "by count, bytes, rate, oldest or newest", INTO(opt_text, sort), .words = ORDERS },
    { "rates", 0, "AGE,...", "messages a minute that arrived in these last times and are still queued: 1m,5m,1h",
      INTO(opt_text, rates_list) },
    { "json", 'j', NULL, "one JSON object a line", INTO(opt_mode, mode), .value = MODE_JSON },
    { "csv", 0, NULL, "comma-separated values with a header", INTO(opt_mode, mode), .value = MODE_CSV },
    { "prom", 0, NULL, "numbers for Prometheus", INTO(opt_mode, mode), .value = MODE_PROM },
    { "check", 0, NULL, "one line and an exit status for Nagios and its like", INTO(opt_mode, mode), .value = MODE_CHECK },
    { "warn", 0, "LIMIT,...", "status 1 beyond this: count>5000, bytes>2G, oldest>4h, arrived, deferred, held, share (also <)",
      INTO(opt_text, warn_list) },
    { "crit", 0, "LIMIT,...", "status 2 beyond this", INTO(opt_text, crit_list) },
    { "color", 0, "[WHEN]", "auto, always or never", INTO(opt_color, color), .words = "auto always never" },
    { .inherit = select_options, .at = offsetof(struct stat_run, sel) },
    { .inherit = select_from_options, .at = offsetof(struct stat_run, sel) },
    { 0 }
};

static int operand(void *base, const char *word, struct lq_error *err)
{
    return select_operand(&((struct stat_run *)base)->sel, word, err);
}

static const struct opts_program program = {
    .name = "mqstat",
    .usage = "[OPTION]... [-k KEY[,KEY] | --matrix KEY | --clusters] [ID]...",
    .summary = "Show who and what fills the mail queues.",
    .footer = "A rate is messages a minute from the first to the last still in the queue.\n"
              "Exit status: 0, 1 when a selection was given and nothing fits, 2 trouble.\n",
    .rows = options,
    .operand = operand,
};

/* --- counting --- */

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

static void count_messages(struct stat_run *s)
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

static void read_reasons_of(struct stat_run *s, size_t queue)
{
    struct tally *t = &s->by_top[TOP_REASON];
    struct lq_filter *filter = sample_filter(s, queue);
    struct lq_scan_opts opts = {
        .size = sizeof(opts),
        .filter = filter,
        .fields = tally_fields(t) | LQ_FIELD_BIT(LQ_ARRIVAL_TIME) | LQ_FIELD_BIT(LQ_MESSAGE_SIZE) | classify_fields() |
                  tally_fields(&s->by_top[TRAIT_USER]) | tally_fields(&s->by_top[TRAIT_CLIENT]) | tally_fields(&s->by_top[TRAIT_SENDER]),
        .threads = (unsigned)s->sel.threads,
    };
    const struct lq_record *rec;
    struct lq_scan *scan = s->scans[queue];
    struct lq_error err;

    if (scan && !lq_filter_empty(filter) && lq_scan_again(scan, &opts, &err) == LQ_OK) {
        while (lq_scan_next(scan, &rec, &err) == LQ_OK) {
            count_reason(s, rec, sighting_of(s, rec));
            if (is_theirs(s, rec))
                classify_sample(&s->features, rec, s->sel.queues[queue].queue);
        }
    }
    lq_scan_end(scan);
    s->scans[queue] = NULL;
    lq_filter_free(filter);
}

static void trait_tallies(struct stat_run *s, struct tally *tallies[TRAIT_COUNT])
{
    for (int i = 0; i < TRAIT_COUNT; i++)
        tallies[i] = &s->by_top[i];
}

static void read_reasons(struct stat_run *s)
{
    struct tally *tallies[TRAIT_COUNT];

    for (int i = 0; i < TOP_REASON; i++)
        count_seal(&s->by_top[i].counts);
    trait_tallies(s, tallies);
    s->suspected = suspect_find(&s->suspects, tallies, s->now, &s->suspect);
    classify_count(&s->features, &s->suspects, tallies, s->suspected ? &s->suspect : NULL);
    for (size_t i = 0; i < s->sel.queue_count; i++)
        read_reasons_of(s, i);
}

/* --- the second pass of clusters --- */

static void check_clusters(struct stat_run *s)
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

/* --- people --- */

static struct groups groups_of(const struct stat_run *s, const struct tally *t, size_t top)
{
    return (struct groups){
        .tally = t,
        .ordered = s->ordered,
        .order = s->order,
        .top = s->all ? SIZE_MAX : s->top ? s->top : top,
        .of = s->messages,
        .rates = s->rates_list ? &s->rates : NULL,
        .now = s->now,
        .screen = s->screen,
    };
}

static void put_line(struct text *line)
{
    groups_print_line(line);
    text_done(line);
}

static void show_queues(struct stat_run *s)
{
    for (size_t i = 0; i < s->sel.queue_count; i++) {
        struct lq_queue *queue = s->sel.queues[i].queue;
        struct text line = { 0 };

        text_escape(&line, lq_queue_dir(queue), strlen(lq_queue_dir(queue)), 0);
        text_format(&line, " (%s): ", lq_queue_mta(queue));
        text_count(&line, s->queues[i].messages);
        text_format(&line, " message%s, ", s->queues[i].messages == 1 ? "" : "s");
        text_size(&line, (int64_t)s->queues[i].bytes);
        put_line(&line);
    }
}

static void show_totals(struct stat_run *s)
{
    struct text line = { 0 };

    text_count(&line, s->messages);
    text_format(&line, " message%s, ", s->messages == 1 ? "" : "s");
    text_size(&line, (int64_t)s->bytes);
    if (s->oldest) {
        text_put(&line, "; the oldest arrived ");
        text_time(&line, s->oldest);
        text_put(&line, " (");
        text_age(&line, s->now - s->oldest);
        text_put(&line, " ago)");
    }
    put_line(&line);
}

static void show_recent(struct stat_run *s)
{
    struct text line = { 0 };

    text_put(&line, s->rates_list ? "Still queued, arrived in the last " : "Still queued, arrived in the last 1, 5, 60 minutes");
    for (size_t i = 0; i < s->rates.n && s->rates_list; i++)
        text_format(&line, "%s%s", i ? ", " : "", s->rates.list[i].name);
    text_put(&line, ": ");
    for (size_t i = 0; i < s->rates.n; i++) {
        text_put(&line, i ? ", " : "");
        text_count(&line, s->recently[i]);
    }
    put_line(&line);
}

/* A table's title also says what it leaves out: all but a sample, and messages without that value. */
static void title_of(struct stat_run *s, int top, struct text *t)
{
    const struct counter *c = &s->by_top[top].counts;
    uint32_t without = c->n ? count_get(c, COUNT_ABSENT)->messages : 0;
    bool sample = top == TOP_REASON && s->sampled < s->messages;

    text_put(t, tops[top].title);
    text_put(t, sample || without ? " (" : "");
    if (sample) {
        text_put(t, "of a sample of ");
        text_count(t, s->sampled);
        text_put(t, without ? "; " : "");
    }
    if (without) {
        text_count(t, without);
        text_put(t, without == 1 ? " has none" : " have none");
    }
    text_put(t, sample || without ? ")" : "");
    text_char(t, '\0');
}

static bool has_values(const struct tally *t)
{
    return t->counts.n > COUNT_FIRST;
}

static void show_bound(const struct tally *t)
{
    struct text line = { 0 };

    if (groups_bound(t, &line))
        put_line(&line);
}

static void show_suspect(struct stat_run *s, struct tally *const tallies[TRAIT_COUNT])
{
    enum flood flood = classify(&s->features);
    struct text line = { 0 }, command = { 0 };

    if (s->suspected) {
        text_put(&line, s->screen.color ? "\n\033[1m" : "\n");
        suspect_sentence(&line, &s->suspects, tallies, &s->suspect, s->now);
        text_put(&line, s->screen.color ? "\033[0m" : "");
        put_line(&line);
    }
    if (flood != FLOOD_NONE) {
        text_put(&line, s->suspected ? "" : "\n");
        classify_sentence(&line, flood, &s->features);
        put_line(&line);
    }
    if (s->suspected && suspect_command(&command, &s->suspects, tallies, &s->suspect, &s->sel)) {
        text_put(&line, "  ");
        text_add(&line, command.p, command.n);
        put_line(&line);
    }
    text_done(&command);
}

static void show_top(struct stat_run *s, int top)
{
    struct groups g = groups_of(s, &s->by_top[top], SCREEN_TOP);
    struct text title = { 0 };

    output("\n", 1);
    title_of(s, top, &title);
    g.title = title.p;
    g.named_only = true;
    if (top == TOP_REASON)
        g.of = s->sampled;
    groups_show(&g);
    show_bound(&s->by_top[top]);
    text_done(&title);
}

static void show_screen(struct stat_run *s)
{
    struct groups states = groups_of(s, &s->by_state, 0);
    struct tally *tallies[TRAIT_COUNT];

    show_queues(s);
    show_totals(s);
    if (s->messages == 0)
        return;
    show_recent(s);
    output("\n", 1);
    states.top = SIZE_MAX;
    groups_show(&states);
    for (size_t i = 0; i < sizeof(shown) / sizeof(shown[0]); i++)
        if (has_values(&s->by_top[shown[i]]))
            show_top(s, shown[i]);
    trait_tallies(s, tallies);
    show_suspect(s, tallies);
}

/* --- programs --- */

static void json_queues(struct stat_run *s, struct text *t)
{
    text_put(t, ",\"queues\":[");
    for (size_t i = 0; i < s->sel.queue_count; i++) {
        const char *dir = lq_queue_dir(s->sel.queues[i].queue);

        text_format(t, "%s{\"mta\":\"%s\",\"spool\":", i ? "," : "", lq_queue_mta(s->sel.queues[i].queue));
        text_json(t, dir, strlen(dir));
        text_format(t, ",\"now\":%lld,\"messages\":%llu,\"bytes\":%llu}", (long long)select_now(&s->sel, i),
                    (unsigned long long)s->queues[i].messages, (unsigned long long)s->queues[i].bytes);
    }
    text_put(t, "]");
}

static void json_suspect(struct stat_run *s, struct text *t)
{
    const struct suspect *found = &s->suspect;
    struct tally *tallies[TRAIT_COUNT];
    struct text sentence = { 0 }, command = { 0 };

    if (!s->suspected)
        return;
    trait_tallies(s, tallies);
    suspect_sentence(&sentence, &s->suspects, tallies, found, s->now);
    text_put(t, ",\"suspect\":{\"key\":");
    text_json(t, tops[found->trait].key, strlen(tops[found->trait].key));
    text_put(t, ",\"value\":");
    suspect_value_json(t, tallies, found);
    text_format(t, ",\"count\":%lu,\"share\":%.6f,\"began\":%lu,\"last\":%lu,\"recent\":%lu,\"text\":", (unsigned long)found->messages,
                found->share, (unsigned long)found->began, (unsigned long)found->last, (unsigned long)found->recent);
    text_json(t, sentence.p, sentence.n);
    if (suspect_command(&command, &s->suspects, tallies, found, &s->sel)) {
        text_put(t, ",\"command\":");
        text_json(t, command.p, command.n);
    }
    text_put(t, "}");
    text_done(&sentence);
    text_done(&command);
}

static void json_class(struct stat_run *s, struct text *t)
{
    enum flood flood = classify(&s->features);
    struct text sentence = { 0 };

    classify_sentence(&sentence, flood, &s->features);
    text_format(t, ",\"class\":\"%s\",\"because\":", classify_name(flood));
    text_json(t, sentence.p, sentence.n);
    text_done(&sentence);
}

static void json_summary(struct stat_run *s)
{
    struct text line = { 0 };

    text_format(&line, "{\"schema\":\"mqtools.summary/1\",\"messages\":%llu,\"bytes\":%llu,\"oldest\":",
                (unsigned long long)s->messages, (unsigned long long)s->bytes);
    if (s->oldest)
        text_format(&line, "%lu", (unsigned long)s->oldest);
    else
        text_put(&line, "null");
    text_put(&line, ",\"arrived\":{");
    for (size_t i = 0; i < s->rates.n; i++)
        text_format(&line, "%s\"%lld\":%llu", i ? "," : "", (long long)s->rates.list[i].seconds, (unsigned long long)s->recently[i]);
    text_put(&line, "}");
    json_queues(s, &line);
    json_suspect(s, &line);
    json_class(s, &line);
    text_put(&line, "}");
    groups_print_json(&line, s->screen.terminal);
    text_done(&line);
}

static void data_groups(struct stat_run *s, const struct groups *g)
{
    if (s->mode == MODE_JSON)
        groups_json(g);
    else
        groups_csv(g);
}

static void data_screen(struct stat_run *s)
{
    struct groups g = groups_of(s, &s->by_state, 0);

    g.key_column = true;
    if (s->mode == MODE_JSON)
        json_summary(s);
    else
        groups_csv_header(&g);
    g.top = SIZE_MAX;
    data_groups(s, &g);
    for (size_t i = 0; i < sizeof(shown) / sizeof(shown[0]); i++) {
        g = groups_of(s, &s->by_top[shown[i]], SCREEN_TOP);
        g.key_column = true;
        if (shown[i] == TOP_REASON) {
            g.of = s->sampled;
            g.sample = s->sampled != s->messages;
        }
        data_groups(s, &g);
    }
}

/* --- the whole --- */

static void show_rates_note(const struct stat_run *s)
{
    struct text line = { 0 };

    text_put(&line, "Messages a minute that arrived in the last ");
    for (size_t i = 0; i < s->rates.n; i++)
        text_format(&line, "%s%s", i ? ", " : "", s->rates.list[i].name);
    text_put(&line, " and are still queued; what went out at once is not among them.");
    put_line(&line);
}

static void print_keys(struct stat_run *s)
{
    struct groups g = groups_of(s, &s->by_keys, key_has_order(&s->by_keys.keys[0]) ? SIZE_MAX : KEYS_TOP);

    if (s->mode != MODE_PEOPLE) {
        if (s->mode == MODE_CSV)
            groups_csv_header(&g);
        data_groups(s, &g);
        return;
    }
    if (s->rates_list)
        show_rates_note(s);
    groups_show(&g);
    show_bound(&s->by_keys);
}

static void print_ages(struct stat_run *s)
{
    struct groups g = groups_of(s, &s->matrix.tally, KEYS_TOP);

    if (s->mode == MODE_JSON) {
        matrix_json(&s->matrix, &g);
    } else if (s->mode == MODE_CSV) {
        matrix_csv(&s->matrix, &g);
    } else {
        matrix_show(&s->matrix, &g);
        show_bound(&s->matrix.tally);
    }
}

static void print_clusters(struct stat_run *s)
{
    struct groups g = groups_of(s, NULL, 0);

    if (s->mode == MODE_JSON)
        cluster_json(&s->alike, &s->sel, &g);
    else if (s->mode == MODE_CSV)
        cluster_csv(&s->alike, &s->sel, &g);
    else
        cluster_show(&s->alike, &s->sel, &g);
}

/* Messages of a state; all of them are in the table. */
static int64_t in_state(const struct stat_run *s, const char *state)
{
    const struct counter *c = &s->by_state.counts;

    for (uint32_t e = COUNT_FIRST; e < c->n; e++)
        if (count_get(c, e)->length == strlen(state) && memcmp(count_get(c, e)->text, state, strlen(state)) == 0)
            return count_get(c, e)->messages;
    return 0;
}

static void numbers_of(const struct stat_run *s, int64_t out[MONITOR_NUMBERS])
{
    out[MONITOR_COUNT] = (int64_t)s->messages;
    out[MONITOR_BYTES] = (int64_t)s->bytes;
    out[MONITOR_OLDEST] = s->oldest && s->now > s->oldest ? s->now - s->oldest : 0;
    out[MONITOR_ARRIVED] = (int64_t)s->recently[1];
    out[MONITOR_DEFERRED] = in_state(s, "deferred");
    out[MONITOR_HELD] = in_state(s, "held");
    out[MONITOR_SHARE] = s->suspected ? (int64_t)(s->suspect.share * 100 + 0.5) : 0;
}

static void print_check(struct stat_run *s)
{
    int64_t numbers[MONITOR_NUMBERS];
    struct text line = { 0 };

    numbers_of(s, numbers);
    s->checked = monitor_line(&line, numbers, &s->warn, &s->crit);
    s->said = true;
    put_line(&line);
}

/* A label's value in the text format of Prometheus: \\ \" and \n are escaped. */
static void put_label(struct text *t, const char *value)
{
    for (; *value; value++) {
        if (*value == '\\' || *value == '"')
            text_char(t, '\\');
        if (*value == '\n')
            text_put(t, "\\n");
        else
            text_char(t, *value);
    }
}

static void print_prom(struct stat_run *s)
{
    int64_t numbers[MONITOR_NUMBERS];
    struct text t = { 0 };

    numbers_of(s, numbers);
    for (int i = 0; i < 2; i++) {
        text_format(&t, "# TYPE mqtools_%s gauge\n", i ? "bytes" : "messages");
        for (size_t q = 0; q < s->sel.queue_count; q++) {
            text_format(&t, "mqtools_%s{mta=\"%s\",spool=\"", i ? "bytes" : "messages", lq_queue_mta(s->sel.queues[q].queue));
            put_label(&t, lq_queue_dir(s->sel.queues[q].queue));
            text_format(&t, "\"} %llu\n", (unsigned long long)(i ? s->queues[q].bytes : s->queues[q].messages));
        }
    }
    text_put(&t, "# TYPE mqtools_state_messages gauge\n");
    for (uint32_t e = COUNT_FIRST; e < s->by_state.counts.n; e++) {
        const struct counted *c = count_get(&s->by_state.counts, e);

        text_format(&t, "mqtools_state_messages{state=\"%.*s\"} %lu\n", (int)count_kept(c), c->text, (unsigned long)c->messages);
    }
    text_put(&t, "# TYPE mqtools_arrived_messages gauge\n");
    for (size_t i = 0; i < s->rates.n; i++)
        text_format(&t, "mqtools_arrived_messages{seconds=\"%lld\"} %llu\n", (long long)s->rates.list[i].seconds,
                    (unsigned long long)s->recently[i]);
    text_format(&t, "# TYPE mqtools_oldest_seconds gauge\nmqtools_oldest_seconds %lld\n", (long long)numbers[MONITOR_OLDEST]);
    text_format(&t, "# TYPE mqtools_suspect_ratio gauge\nmqtools_suspect_ratio %.6f\n", s->suspected ? s->suspect.share : 0);
    groups_print(&t);
    text_done(&t);
}

static void print_screen(struct stat_run *s)
{
    if (s->mode == MODE_CHECK)
        print_check(s);
    else if (s->mode == MODE_PROM)
        print_prom(s);
    else if (s->mode == MODE_PEOPLE)
        show_screen(s);
    else
        data_screen(s);
}

static int parse_order(struct stat_run *s, struct lq_error *err)
{
    static const char *const orders[] = {
        [TALLY_BY_COUNT] = "count", [TALLY_BY_BYTES] = "bytes", [TALLY_BY_RATE] = "rate", [TALLY_OLDEST] = "oldest",
        [TALLY_NEWEST] = "newest",
    };

    for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
        if (strcmp(s->sort, orders[i]) == 0) {
            s->ordered = true;
            s->order = (enum tally_order)i;
            return LQ_OK;
        }
    }
    return opts_wrong(err, "\"%s\" is no order; there are " ORDERS, s->sort);
}

static int prepare_ages(struct stat_run *s, struct lq_error *err)
{
    int64_t step = FIRST_AGE;
    int rc = s->step ? rates_age(&step, s->step, strlen(s->step), err) : LQ_OK;

    if (rc == LQ_OK && s->rates_list)
        return opts_wrong(err, "a table of ages has no --rates");
    if (rc == LQ_OK)
        rc = matrix_begin(&s->matrix, s->matrix_key, s->ages ? s->ages : AGES, step, s->linear, s->parents, err);
    s->matrix.tally.counts.limit = KEYS_LIMIT;
    s->needs_now = true;
    return rc;
}

static int prepare_keys(struct stat_run *s, struct lq_error *err)
{
    int rc = tally_parse(&s->by_keys, s->by, err);

    s->by_keys.counts.limit = KEYS_LIMIT;
    s->by_keys.counts.columns = s->rates_list ? (unsigned)s->rates.n : 0;
    s->needs_now |= tally_needs_now(&s->by_keys);
    return rc;
}

static int prepare_screen(struct stat_run *s, struct lq_error *err)
{
    for (int i = 0; i < TOP_COUNT; i++) {
        int rc = tally_parse(&s->by_top[i], tops[i].key, err);

        if (rc < 0)
            return rc;
        /* Of whom can be named as suspect every value must be there. */
        s->by_top[i].counts.frugal = !s->all && i != TRAIT_USER && i != TRAIT_CLIENT && i != TRAIT_SENDER;
        s->by_top[i].counts.limit = SCREEN_LIMIT;
        s->by_top[i].counts.columns = s->rates_list ? (unsigned)s->rates.n : 0;
    }
    s->by_state.counts.columns = s->by_top[0].counts.columns;
    return tally_parse(&s->by_state, "state", err);
}

static int prepare_clusters(struct stat_run *s, struct lq_error *err)
{
    if (s->sort || s->rates_list)
        return opts_wrong(err, "clusters come by size; there is no --sort and no --rates");
    cluster_begin(&s->alike);
    s->alike.bodies = s->body;
    return LQ_OK;
}

/* What can be shown; again: what a second look at the queues is for. */
static const struct {
    const char *option;
    int (*prepare)(struct stat_run *s, struct lq_error *err);
    void (*again)(struct stat_run *s);
    void (*print)(struct stat_run *s);
} views[] = {
    [WHAT_SCREEN] = { "", prepare_screen, read_reasons, print_screen },
    [WHAT_KEYS] = { "-k: ", prepare_keys, NULL, print_keys },
    [WHAT_AGES] = { "--matrix: ", prepare_ages, NULL, print_ages },
    [WHAT_CLUSTERS] = { "--clusters: ", prepare_clusters, check_clusters, print_clusters },
};

static int check_options(struct stat_run *s, struct lq_error *err)
{
    int rc = LQ_OK;

    if ((s->warn_list || s->crit_list) && s->mode != MODE_CHECK)
        return opts_wrong(err, "--warn and --crit belong to --check");
    if ((s->mode == MODE_CHECK || s->mode == MODE_PROM) && (s->by || s->matrix_key || s->clusters || s->rates_list))
        return opts_wrong(err, "--check and --prom are of the overview");
    if (s->warn_list)
        rc = monitor_parse(&s->warn, s->warn_list, err);
    if (rc == LQ_OK && s->crit_list)
        rc = monitor_parse(&s->crit, s->crit_list, err);
    return rc;
}

static int choose(struct stat_run *s, struct lq_error *err)
{
    int rc = check_options(s, err);

    if (rc < 0)
        return rc;
    if ((s->by != NULL) + (s->matrix_key != NULL) + s->clusters > 1)
        return opts_wrong(err, "-k, --matrix and --clusters are different tables; take one");
    if (s->body && !s->clusters)
        return opts_wrong(err, "--body belongs to --clusters");
    if (!s->matrix_key && (s->linear || s->parents || s->step || s->ages))
        return opts_wrong(err, "--linear, --parents, --step and --steps belong to --matrix");
    s->what = s->by ? WHAT_KEYS : s->matrix_key ? WHAT_AGES : s->clusters ? WHAT_CLUSTERS : WHAT_SCREEN;
    return LQ_OK;
}

static bool prepare(struct stat_run *s)
{
    struct lq_error err = { 0 };
    const char *option = "";
    int rc = choose(s, &err);

    if (rc == LQ_OK && s->sort) {
        option = "--sort: ";
        rc = parse_order(s, &err);
    }
    if (rc == LQ_OK) {
        option = "--rates: ";
        rc = rates_parse(&s->rates, s->rates_list ? s->rates_list : "1m,5m,60m", &err);
    }
    s->needs_now = s->rates_list != NULL;
    if (rc == LQ_OK) {
        option = views[s->what].option;
        rc = views[s->what].prepare(s, &err);
    }
    if (rc < 0)
        report(REPORT_FAILED, "%s%s", option, err.text);
    s->screen = screen_look(s->color);
    return rc == LQ_OK;
}

static bool run(struct stat_run *s)
{
    if (!prepare(s) || !select_open(&s->sel))
        return false;
    s->queues = calloc(s->sel.queue_count, sizeof(*s->queues));
    s->scans = views[s->what].again ? calloc(s->sel.queue_count, sizeof(struct lq_scan *)) : NULL;
    if (!s->queues || (!s->scans && views[s->what].again))
        report_no_memory();
    s->suspects.selected = !lq_filter_empty(s->sel.filter);
    count_messages(s);
    if (!walk_saw_any(&s->walk))
        return false;
    if (s->scans)
        views[s->what].again(s);
    views[s->what].print(s);
    if (s->messages == 0 && s->mode != MODE_CHECK)
        select_hint(&s->sel);
    /* An empty queue is a good answer; an empty selection may be a wrong question. */
    return s->messages > 0 || (lq_filter_empty(s->sel.filter) && !s->sel.ids.given);
}

static void finish(struct stat_run *s)
{
    tally_done(&s->by_keys);
    matrix_done(&s->matrix);
    cluster_done(&s->alike);
    tally_done(&s->by_state);
    for (int i = 0; i < TOP_COUNT; i++)
        tally_done(&s->by_top[i]);
    suspect_done(&s->suspects);
    for (size_t i = 0; i < s->sample.n; i++)
        free(s->sample.list[i].id);
    for (size_t i = 0; s->scans && i < s->sel.queue_count; i++)
        lq_scan_end(s->scans[i]);
    free(s->scans);
    free(s->queues);
    select_end(&s->sel);
}

int main(int argc, char **argv)
{
    static struct stat_run s;
    enum opts_result parsed;
    bool found = false, checked;
    int status, ended;

    report_begin(program.name);
    select_begin(&s.sel);
    parsed = opts_parse(&program, &s, argc, argv);
    if (parsed == OPTS_GO)
        parsed = select_configure(&s.sel);
    if (parsed == OPTS_GO)
        parsed = select_aside(&s.sel);
    if (parsed == OPTS_GO)
        found = run(&s);
    checked = s.mode == MODE_CHECK && parsed != OPTS_DONE;
    status = s.checked;
    if (checked && !s.said)
        output("MQSTAT UNKNOWN - see standard error\n", 36);
    finish(&s);
    ended = report_end(found || parsed == OPTS_DONE);
    /* What could not be read is not known, however good the rest looks; what is bad enough without it is. */
    return !checked ? ended : ended == EXIT_TROUBLE && status != MONITOR_CRITICAL ? MONITOR_UNKNOWN : status;
}
