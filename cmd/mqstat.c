/* mqstat: who and what fills the queues. Its options, and what each kind of table needs. */
#include <stdlib.h>
#include <string.h>

#include "explain.h"
#include "opts.h"
#include "report.h"
#include "stat.h"

enum {
    SCREEN_LIMIT = 32768,   /* different values of which each table of the screen counts all exactly */
    KEYS_LIMIT = 100000,    /* the same of -k */
    AGES = 10,              /* steps of --matrix */
    FIRST_AGE = 300         /* seconds */
};

const struct stat_top stat_tops[TOP_COUNT] = {
    [TRAIT_USER] = { "user", "account" },
    [TRAIT_CLIENT] = { "client", "client" },
    [TRAIT_SENDER] = { "sender", "sender" },
    [TRAIT_SUBJECT] = { "subject", "subject" },
    [TRAIT_SIZE] = { "size", "size" },
    [TOP_DOMAIN] = { "recipient.domain", "recipient domain" },
    [TOP_REASON] = { "reason.shape", "reason" },
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

/* --- the whole --- */

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
        int rc = tally_parse(&s->by_top[i], stat_tops[i].key, err);

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
    [WHAT_SCREEN] = { "", prepare_screen, stat_reasons, stat_print_screen },
    [WHAT_KEYS] = { "-k: ", prepare_keys, NULL, stat_print_keys },
    [WHAT_AGES] = { "--matrix: ", prepare_ages, NULL, stat_print_ages },
    [WHAT_CLUSTERS] = { "--clusters: ", prepare_clusters, stat_clusters, stat_print_clusters },
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
    stat_count(s);
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
