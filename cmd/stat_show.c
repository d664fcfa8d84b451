/* What mqstat shows: the overview and the tables, for people, for programs and for monitors. */
#include "stat.h"

#include <stdlib.h>
#include <string.h>

#include "groups.h"
#include "opts.h"
#include "report.h"

/* In which order they are shown. */
static const int shown[] = { TRAIT_CLIENT, TRAIT_USER, TRAIT_SENDER, TOP_DOMAIN, TRAIT_SUBJECT, TRAIT_SIZE, TOP_REASON };

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

    text_put(t, stat_tops[top].title);
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
    stat_traits(s, tallies);
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
    stat_traits(s, tallies);
    suspect_sentence(&sentence, &s->suspects, tallies, found, s->now);
    text_put(t, ",\"suspect\":{\"key\":");
    text_json(t, stat_tops[found->trait].key, strlen(stat_tops[found->trait].key));
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

void stat_print_keys(struct stat_run *s)
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

void stat_print_ages(struct stat_run *s)
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

void stat_print_clusters(struct stat_run *s)
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

void stat_print_screen(struct stat_run *s)
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
