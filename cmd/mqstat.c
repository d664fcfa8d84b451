/* mqstat: who and what fills the queues. One pass over the messages; reasons come from a sample. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "opts.h"
#include "print.h"
#include "report.h"
#include "select.h"
#include "suspect.h"
#include "tally.h"

enum mode { MODE_PEOPLE, MODE_JSON, MODE_CSV };

enum {
    SCREEN_TOP = 5,         /* rows of each table of the screen */
    KEYS_TOP = 20,          /* rows of -k */
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

/* Still queued, arrived within these seconds. */
static const int64_t recent[] = { 60, 300, 3600 };

enum { RECENT = sizeof(recent) / sizeof(recent[0]) };

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
    const char *by;
    unsigned long top;
    bool all;                       /* -t 0 */
    enum color_when color;

    struct screen screen;
    struct walk walk;
    uint64_t messages, bytes;
    uint32_t oldest;
    int64_t now;                    /* the latest of the queues' */
    struct queue_sum {
        uint64_t messages, bytes;
    } *queues;
    struct lq_scan **scans;         /* of the queues, for reasons; NULL: could not be listed */
    bool keys_need_now;
    struct tally by_keys, by_state, by_top[TOP_COUNT];
    uint64_t recently[RECENT];
    struct suspects suspects;
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
    "client client/24 user sender sender.domain recipient recipient.domain subject size state queue age hour " \
    "reason reason.shape reason.class mta spool"

static const struct opt options[] = {
    { .heading = "What to count (default: an overview of everything)" },
    { "by", 'k', "KEY,...", "by client, client/24, user, sender, sender.domain, recipient, recipient.domain, subject, "
      "size, state, queue, age, hour, reason, reason.class or any other field; several together",
      INTO(opt_text, by), .words = KEYS },
    { "top", 't', "N", "the N largest; 0 for all (default 20, in the overview 5)", .set = set_top },
    { "json", 'j', NULL, "one JSON object a line", INTO(opt_mode, mode), .value = MODE_JSON },
    { "csv", 0, NULL, "comma-separated values with a header", INTO(opt_mode, mode), .value = MODE_CSV },
    { "color", 0, "[WHEN]", "auto, always or never", INTO(opt_color, color), .words = "auto always never" },
    { .inherit = select_options, .at = offsetof(struct stat_run, sel) },
    { 0 }
};

static int operand(void *base, const char *word, struct lq_error *err)
{
    return select_operand(&((struct stat_run *)base)->sel, word, err);
}

static const struct opts_program program = {
    .name = "mqstat",
    .usage = "[OPTION]... [-k KEY[,KEY]] [ID]...",
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

static void count_screen(struct stat_run *s, const struct lq_record *r, const struct sighting *seen)
{
    uint32_t entries[TRAIT_COUNT];

    for (int i = 0; i < TRAIT_COUNT; i++)
        entries[i] = tally_add(&s->by_top[i], r, 0, seen);
    tally_add(&s->by_top[TOP_DOMAIN], r, 0, seen);
    suspect_note(&s->suspects, entries, seen->time);
    s->suspects.two_users |= has_two_users(r);
    sample_take(&s->sample, r, s->walk.index, s->messages);
}

static void count_message(struct stat_run *s, const struct lq_record *r)
{
    struct sighting seen;

    s->messages++;
    seen = sighting_of(s, r);
    count_totals(s, &seen);
    tally_add(&s->by_state, r, 0, &seen);
    if (s->by)
        tally_add(&s->by_keys, r, s->keys_need_now ? select_now(&s->sel, s->walk.index) : 0, &seen);
    else
        count_screen(s, r, &seen);
}

static uint64_t fields_wanted(const struct stat_run *s)
{
    uint64_t fields = LQ_FIELD_BIT(LQ_QUEUE_ID) | LQ_FIELD_BIT(LQ_STATE) | LQ_FIELD_BIT(LQ_ARRIVAL_TIME) |
                      LQ_FIELD_BIT(LQ_MESSAGE_SIZE);

    if (s->by)
        return fields | tally_fields(&s->by_keys);
    for (int i = 0; i < TOP_REASON; i++)
        fields |= tally_fields(&s->by_top[i]);
    return fields;
}

/*
 * Where ages count from is asked after the scan, when the times of the files have been seen. Messages were noted
 * queue by queue.
 */
static void count_ages(struct stat_run *s)
{
    uint32_t from = 0;

    if (s->by && !s->keys_need_now) {
        s->now = s->sel.fixed_now ? s->sel.now : time(NULL);    /* only decides how times are shortened */
        return;
    }
    for (size_t i = 0; i < s->sel.queue_count; i++) {
        int64_t now = select_now(&s->sel, i);

        if (now > s->now)
            s->now = now;
        for (size_t k = 0; k < RECENT; k++)
            s->recently[k] += suspect_recent(&s->suspects, from, (uint32_t)s->queues[i].messages, now, recent[k]);
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

static void read_reasons_of(struct stat_run *s, size_t queue)
{
    struct tally *t = &s->by_top[TOP_REASON];
    struct lq_filter *filter = sample_filter(s, queue);
    struct lq_scan_opts opts = {
        .size = sizeof(opts),
        .filter = filter,
        .fields = tally_fields(t) | LQ_FIELD_BIT(LQ_ARRIVAL_TIME) | LQ_FIELD_BIT(LQ_MESSAGE_SIZE),
        .threads = (unsigned)s->sel.threads,
    };
    const struct lq_record *rec;
    struct lq_scan *scan = s->scans[queue];
    struct lq_error err;

    if (scan && !lq_filter_empty(filter) && lq_scan_again(scan, &opts, &err) == LQ_OK) {
        while (lq_scan_next(scan, &rec, &err) == LQ_OK) {
            struct sighting seen = sighting_of(s, rec);

            seen.message = (uint32_t)++s->sampled;
            tally_add(t, rec, 0, &seen);
        }
    }
    lq_scan_end(scan);
    s->scans[queue] = NULL;
    lq_filter_free(filter);
}

static void read_reasons(struct stat_run *s)
{
    for (int i = 0; i < TOP_REASON && !s->by; i++)
        count_seal(&s->by_top[i].values[0]);
    for (size_t i = 0; i < s->sel.queue_count && !s->by; i++)
        read_reasons_of(s, i);
}

/* --- people --- */

/* "13:04:49" today, else "11-20T13:04", else "2025-11-20": one word that fits its column. */
static void short_time(struct text *t, uint32_t epoch, int64_t now)
{
    time_t when = (time_t)epoch, today = (time_t)now;
    struct tm tm, ref;

    if (!epoch || !localtime_r(&when, &tm) || !localtime_r(&today, &ref))
        text_put(t, "-");
    else if (tm.tm_year == ref.tm_year && tm.tm_yday == ref.tm_yday)
        text_format(t, "%02d:%02d:%02d", tm.tm_hour, tm.tm_min, tm.tm_sec);
    else if (now - epoch < 300 * 86400 && now >= epoch)
        text_format(t, "%02d-%02dT%02d:%02d", tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min);
    else
        text_format(t, "%d-%02d-%02d", 1900 + tm.tm_year, tm.tm_mon + 1, tm.tm_mday);
}

static void cell_end(struct text *t)
{
    text_char(t, '\0');
}

static void cell_share(struct text *t, uint64_t n, uint64_t of)
{
    text_format(t, "%.1f%%", of ? 100.0 * (double)n / (double)of : 0.0);
    cell_end(t);
}

static void cells_sums(struct stat_run *s, struct text *t, const struct counted *sums, uint64_t of)
{
    double rate;

    text_count(t, sums->messages);
    cell_end(t);
    cell_share(t, sums->messages, of);
    text_size(t, (int64_t)sums->bytes);
    cell_end(t);
    if (!tally_rate(sums, &rate))
        text_put(t, "-");
    else
        text_format(t, rate < 10 ? "%.1f" : "%.0f", rate);
    cell_end(t);
    short_time(t, sums->first, s->now);
    cell_end(t);
    short_time(t, sums->last, s->now);
    cell_end(t);
}

enum { SUM_COLUMNS = 6 };

static const struct table_column sum_columns[SUM_COLUMNS] = {
    { .title = "count", .right = true, .least = 7 },
    { .title = "share", .right = true, .least = 6 },
    { .title = "bytes", .right = true, .least = 6 },
    { .title = "/min", .right = true, .least = 6 },
    { .title = "first", .right = true, .least = 11 },
    { .title = "last", .right = true, .least = 11 },
};

static void show_value(struct text *t, const struct key *k, const struct group *g, size_t i, unsigned how)
{
    const struct counted *v = g->value[i];

    if (!v->text) {
        text_put(t, g->unread[i] ? "?" : "-");
        return;
    }
    key_show(t, k, (struct lq_str){ v->text, count_kept(v) }, how);
    if (count_cut(v))
        text_put(t, "...");
}

/* All columns are words for awk, but for the last, which may hold blanks. */
static void show_groups(struct stat_run *s, const struct tally *tally, const char *const *titles, size_t top, uint64_t of,
                        bool absent_too)
{
    struct table_column columns[SUM_COLUMNS + TALLY_KEYS_MAX];
    struct table table = { .columns = columns, .n = SUM_COLUMNS + tally->n, .screen = s->screen, .header = true };
    struct text row = { 0 };
    size_t n, left = top;
    uint32_t *list = tally_sorted(tally, &n);

    memcpy(columns, sum_columns, sizeof(sum_columns));
    for (size_t i = 0; i < tally->n; i++)
        columns[SUM_COLUMNS + i] = (struct table_column){ .title = titles[i], .flexible = true };
    for (size_t i = 0; i < n && left > 0; i++) {
        struct group g = tally_group(tally, list[i]);

        if (!absent_too && !g.value[0]->text && !g.unread[0])
            continue;
        left--;
        row.n = 0;
        cells_sums(s, &row, g.sums, of);
        for (size_t k = 0; k < tally->n; k++) {
            show_value(&row, &tally->keys[k], &g, k, k + 1 < tally->n ? ESCAPE_BLANKS : 0);
            cell_end(&row);
        }
        table_row(&table, row.p, row.n);
    }
    table_end(&table);
    text_done(&row);
    free(list);
}

static void put_line(struct text *line)
{
    text_char(line, '\n');
    output(line->p, line->n);
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

    text_put(&line, "Still queued, arrived in the last 1, 5, 60 minutes: ");
    for (size_t i = 0; i < RECENT; i++) {
        text_put(&line, i ? ", " : "");
        text_count(&line, s->recently[i]);
    }
    put_line(&line);
}

/* A table's title also says what it leaves out: all but a sample, and messages without that value. */
static void title_of(struct stat_run *s, int top, struct text *t)
{
    const struct counter *c = &s->by_top[top].values[0];
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
    return t->values[0].n > COUNT_FIRST;
}

static void show_suspect(struct stat_run *s, struct tally *const tallies[TRAIT_COUNT])
{
    struct text line = { 0 }, command = { 0 };
    struct suspect found;

    if (!suspect_find(&s->suspects, tallies, &found))
        return;
    text_put(&line, s->screen.color ? "\n\033[1m" : "\n");
    suspect_sentence(&line, &s->suspects, tallies, &found);
    text_put(&line, s->screen.color ? "\033[0m" : "");
    put_line(&line);
    if (suspect_command(&command, &s->suspects, tallies, &found, &s->sel)) {
        text_put(&line, "  ");
        text_add(&line, command.p, command.n);
        put_line(&line);
    }
    text_done(&command);
}

static void trait_tallies(struct stat_run *s, struct tally *tallies[TRAIT_COUNT])
{
    for (int i = 0; i < TRAIT_COUNT; i++)
        tallies[i] = &s->by_top[i];
}

static void show_screen(struct stat_run *s)
{
    static const char *const state = "state";
    struct tally *tallies[TRAIT_COUNT];
    size_t top = s->all ? SIZE_MAX : s->top ? s->top : SCREEN_TOP;

    show_queues(s);
    show_totals(s);
    if (s->messages == 0)
        return;
    show_recent(s);
    output("\n", 1);
    show_groups(s, &s->by_state, &state, SIZE_MAX, s->messages, true);
    for (size_t i = 0; i < sizeof(shown) / sizeof(shown[0]); i++) {
        struct text title = { 0 };

        if (!has_values(&s->by_top[shown[i]]))
            continue;
        output("\n", 1);
        title_of(s, shown[i], &title);
        show_groups(s, &s->by_top[shown[i]], &(const char *){ title.p }, top,
                    shown[i] == TOP_REASON ? s->sampled : s->messages, false);
        text_done(&title);
    }
    trait_tallies(s, tallies);
    show_suspect(s, tallies);
}

/* --- programs --- */

/* A rate of a machine-read table: three digits behind the point, never by locale. */
static void data_rate(struct text *t, const struct counted *sums, const char *without)
{
    double rate;

    if (tally_rate(sums, &rate))
        text_format(t, "%.3f", rate);
    else
        text_put(t, without);
}

static void data_time(struct text *t, uint32_t epoch, const char *without)
{
    if (epoch)
        text_format(t, "%lu", (unsigned long)epoch);
    else
        text_put(t, without);
}

static void json_value(struct text *t, const struct key *k, const struct counted *v)
{
    if (!v->text)
        text_put(t, "null");
    else if (key_is_number(k))
        text_add(t, v->text, count_kept(v));
    else
        text_json(t, v->text, count_kept(v));
}

static void json_group(struct stat_run *s, const struct tally *tally, const struct group *g, uint64_t of, struct text *t)
{
    bool unread = false, cut = false;

    text_put(t, "{\"schema\":\"mqtools.group/1\",\"key\":{");
    for (size_t k = 0; k < tally->n; k++) {
        text_put(t, k ? "," : "");
        text_json(t, tally->keys[k].name, strlen(tally->keys[k].name));
        text_char(t, ':');
        json_value(t, &tally->keys[k], g->value[k]);
    }
    text_put(t, "}");
    for (size_t k = 0; k < tally->n; k++) {
        unread |= g->unread[k];
        cut |= count_cut(g->value[k]);
    }
    text_put(t, unread ? ",\"unread\":true" : "");
    text_put(t, cut ? ",\"cut\":true" : "");
    if (of != s->messages)
        text_format(t, ",\"sample\":%llu", (unsigned long long)of);
    text_format(t, ",\"count\":%lu,\"share\":%.6f,\"bytes\":%llu,\"rate\":", (unsigned long)g->sums->messages,
                of ? (double)g->sums->messages / (double)of : 0.0, (unsigned long long)g->sums->bytes);
    data_rate(t, g->sums, "null");
    text_put(t, ",\"first\":");
    data_time(t, g->sums->first, "null");
    text_put(t, ",\"last\":");
    data_time(t, g->sums->last, "null");
    text_put(t, "}\n");
}

static void csv_group(struct stat_run *s, const struct tally *tally, const struct group *g, uint64_t of, struct text *t)
{
    if (!s->by) {
        text_put(t, tally->keys[0].name);
        text_char(t, ',');
    }
    for (size_t k = 0; k < tally->n; k++) {
        const struct counted *v = g->value[k];

        if (v->text && v->length == 0)
            text_put(t, "\"\"");
        else if (v->text)
            text_csv(t, v->text, count_kept(v), s->screen.terminal);
        text_char(t, ',');
    }
    text_format(t, "%lu,%.6f,%llu,", (unsigned long)g->sums->messages,
                of ? (double)g->sums->messages / (double)of : 0.0, (unsigned long long)g->sums->bytes);
    data_rate(t, g->sums, "");
    text_char(t, ',');
    data_time(t, g->sums->first, "");
    text_char(t, ',');
    data_time(t, g->sums->last, "");
    text_put(t, "\r\n");
}

static void data_groups(struct stat_run *s, const struct tally *tally, size_t top, uint64_t of)
{
    struct text row = { 0 }, safe = { 0 };
    size_t n;
    uint32_t *list = tally_sorted(tally, &n);

    for (size_t i = 0; i < n && i < top && !report_output_broken(); i++) {
        struct group g = tally_group(tally, list[i]);

        row.n = safe.n = 0;
        if (s->mode == MODE_CSV) {
            csv_group(s, tally, &g, of, &row);
            output(row.p, row.n);
        } else {
            json_group(s, tally, &g, of, &row);
            text_json_line(&safe, row.p, row.n - 1, s->screen.terminal);
            text_char(&safe, '\n');
            output(safe.p, safe.n);
        }
    }
    text_done(&row);
    text_done(&safe);
    free(list);
}

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
    struct tally *tallies[TRAIT_COUNT];
    struct text sentence = { 0 }, command = { 0 };
    struct suspect found;

    trait_tallies(s, tallies);
    if (!suspect_find(&s->suspects, tallies, &found))
        return;
    suspect_sentence(&sentence, &s->suspects, tallies, &found);
    text_put(t, ",\"suspect\":{\"key\":");
    text_json(t, tops[found.trait].key, strlen(tops[found.trait].key));
    text_put(t, ",\"value\":");
    json_value(t, &tallies[found.trait]->keys[0], count_get(&tallies[found.trait]->values[0], found.entry));
    text_format(t, ",\"count\":%lu,\"share\":%.6f,\"text\":", (unsigned long)found.messages, found.share);
    text_json(t, sentence.p, sentence.n);
    if (suspect_command(&command, &s->suspects, tallies, &found, &s->sel)) {
        text_put(t, ",\"command\":");
        text_json(t, command.p, command.n);
    }
    text_put(t, "}");
    text_done(&sentence);
    text_done(&command);
}

static void json_summary(struct stat_run *s)
{
    struct text line = { 0 }, safe = { 0 };

    text_format(&line, "{\"schema\":\"mqtools.summary/1\",\"messages\":%llu,\"bytes\":%llu,\"oldest\":",
                (unsigned long long)s->messages, (unsigned long long)s->bytes);
    data_time(&line, s->oldest, "null");
    text_put(&line, ",\"arrived\":{");
    for (size_t i = 0; i < RECENT; i++)
        text_format(&line, "%s\"%lld\":%llu", i ? "," : "", (long long)recent[i], (unsigned long long)s->recently[i]);
    text_put(&line, "}");
    json_queues(s, &line);
    json_suspect(s, &line);
    text_put(&line, "}");
    text_json_line(&safe, line.p, line.n, s->screen.terminal);
    put_line(&safe);
    text_done(&line);
}

static void csv_header(const struct stat_run *s)
{
    struct text line = { 0 };

    if (s->by) {
        for (size_t k = 0; k < s->by_keys.n; k++)
            text_format(&line, "%s,", s->by_keys.keys[k].name);
    } else {
        text_put(&line, "key,value,");
    }
    text_put(&line, "count,share,bytes,rate,first,last\r\n");
    output(line.p, line.n);
    text_done(&line);
}

static void data_screen(struct stat_run *s)
{
    size_t top = s->all ? SIZE_MAX : s->top ? s->top : SCREEN_TOP;

    if (s->mode == MODE_JSON)
        json_summary(s);
    data_groups(s, &s->by_state, SIZE_MAX, s->messages);
    for (size_t i = 0; i < sizeof(shown) / sizeof(shown[0]); i++)
        data_groups(s, &s->by_top[shown[i]], top, shown[i] == TOP_REASON ? s->sampled : s->messages);
}

/* --- the whole --- */

static void show_keys(struct stat_run *s)
{
    size_t top = s->all ? SIZE_MAX : s->top ? s->top : key_has_order(&s->by_keys.keys[0]) ? SIZE_MAX : KEYS_TOP;
    const char *titles[TALLY_KEYS_MAX];

    for (size_t i = 0; i < s->by_keys.n; i++)
        titles[i] = s->by_keys.keys[i].name;
    if (s->mode == MODE_PEOPLE)
        show_groups(s, &s->by_keys, titles, top, s->messages, true);
    else
        data_groups(s, &s->by_keys, top, s->messages);
}

static bool prepare(struct stat_run *s)
{
    struct lq_error err;

    if (s->by && tally_parse(&s->by_keys, s->by, &err) < 0) {
        report(REPORT_FAILED, "-k: %s", err.text);
        return false;
    }
    for (size_t i = 0; i < s->by_keys.n; i++)
        s->keys_need_now |= key_needs_now(&s->by_keys.keys[i]);
    for (int i = 0; i < TOP_COUNT; i++) {
        if (tally_parse(&s->by_top[i], tops[i].key, &err) < 0)
            return false;
        s->by_top[i].values[0].frugal = !s->all;
    }
    if (tally_parse(&s->by_state, "state", &err) < 0)
        return false;
    s->screen = screen_look(s->color);
    return true;
}

static void print(struct stat_run *s)
{
    if (s->mode == MODE_CSV)
        csv_header(s);
    if (s->by)
        show_keys(s);
    else if (s->mode == MODE_PEOPLE)
        show_screen(s);
    else
        data_screen(s);
}

static bool run(struct stat_run *s)
{
    if (!prepare(s) || !select_open(&s->sel))
        return false;
    s->queues = calloc(s->sel.queue_count, sizeof(*s->queues));
    s->scans = s->by ? NULL : calloc(s->sel.queue_count, sizeof(struct lq_scan *));
    if (!s->queues || (!s->scans && !s->by))
        report_no_memory();
    s->suspects.selected = !lq_filter_empty(s->sel.filter);
    count_messages(s);
    if (!walk_saw_any(&s->walk))
        return false;
    read_reasons(s);
    print(s);
    if (s->messages == 0)
        select_hint(&s->sel);
    /* An empty queue is a good answer; an empty selection may be a wrong question. */
    return s->messages > 0 || (lq_filter_empty(s->sel.filter) && !s->sel.ids.given);
}

static void finish(struct stat_run *s)
{
    tally_done(&s->by_keys);
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
    bool found = false;

    report_begin(program.name);
    select_begin(&s.sel);
    parsed = opts_parse(&program, &s, argc, argv);
    if (parsed == OPTS_GO)
        found = run(&s);
    finish(&s);
    return report_end(found || parsed == OPTS_DONE);
}
