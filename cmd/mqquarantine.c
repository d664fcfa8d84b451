/*
 * mqquarantine: messages out of a queue into a case and back, held and released in place; what becomes of cases. A table of verbs;
 * each says what it takes and what it does.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "acting.h"
#include "cases.h"
#include "explain.h"
#include "loglines.h"
#include "report.h"
#include "restore.h"

struct quarantine {
    struct acting a;
    const struct verb *verb;
    const char **words;         /* after the verb: cases */
    size_t word_count;
    const char *output, *reporter;
    bool redact;
    unsigned long days;
    struct loglines log;
    struct cases cases;
    bool partly;                /* a pack is there, but not all that it should hold */
};

enum { UNDO_DAYS = 7 };

/* What an option is good for. */
enum {
    ON_SET = 1,             /* guards of a set: --expect, --max … */
    ON_TAKE = 2,            /* --for, --block */
    ON_HOLD = 4,
    ON_RELEASE = 8,
    ON_RESTORE = 16,
    ON_PACK = 32,
    ON_DROP = 64,
    ON_EXPIRE = 128,
    ON_LIST = 256,          /* -j */
    ON_CASE = 512           /* verify, seal, recover: no option but those of the vault */
};

struct verb {
    const char *name;
    unsigned on;
    enum { NO_WORDS, CASES, IDS, CASES_AND_IDS } words;
    bool selects;
    void (*run)(struct quarantine *q);
    enum lq_verb act;
    const char *done;
};

/* --- acting on messages --- */

static void wrong(struct quarantine *q, const char *sentence)
{
    report(REPORT_FAILED, "%s", sentence);
    q->a.refused = true;
}

static void act(struct quarantine *q)
{
    if (!acting_guard(&q->a))
        return;
    if (q->verb->act == LQ_TAKE && !q->a.why)
        wrong(q, "--why TEXT says why; it is recorded in the case");
    else if (select_open(&q->a.sel))
        acting_run(&q->a);
}

/* The messages that a job of `hold` held, from its file in each vault that knows it. False after saying why there are none. */
static bool from_job(struct quarantine *q, const char *job)
{
    char verb[16] = "";
    bool known = false;
    struct lq_error err;

    for (size_t i = 0; i < q->cases.vault_count; i++) {
        int rc = list_from_job(&q->a.from, q->cases.vaults[i], job, verb, &err);

        known |= rc == LQ_OK;
        if (rc == LQ_OK || rc == LQ_ENOENT)
            continue;
        wrong(q, err.text);
        return false;
    }
    if (!known)
        report(REPORT_FAILED, "no vault knows a job %s", job);
    else if (strcmp(verb, "hold") != 0)
        report(REPORT_FAILED, "%s held nothing: it was a job of %s", job, verb);
    return known && strcmp(verb, "hold") == 0;
}

/* A selection, or the messages of a job and of them those that are selected. */
static void release(struct quarantine *q)
{
    if (q->word_count == 0) {
        act(q);
    } else if (q->word_count > 1 || !acting_is_job(q->words[0]) || q->a.from.given || q->a.sel.ids.given || q->a.all) {
        wrong(q, "one job, and options that select of its messages; no ids or lists beside it");
    } else if (cases_vaults(&q->cases, q->a.vault, &q->a.sel) && from_job(q, q->words[0]) && acting_guard(&q->a)) {
        /* The list of ids that came with the job belongs to the filter, which is finished already: only entries are compared. */
        if (q->a.sel.queue_count > 0 || select_open(&q->a.sel))
            acting_run(&q->a);
    }
}

static bool open_cases(struct quarantine *q)
{
    size_t by_path = 0;

    if (q->word_count == 0) {
        report(REPORT_FAILED, "which case? mqquarantine %s CASE (mqquarantine list names them)", q->verb->name);
        q->a.refused = true;
        return false;
    }
    for (size_t i = 0; i < q->word_count; i++)
        by_path += strchr(q->words[i], '/') != NULL;
    if (by_path == q->word_count ? !select_finish(&q->a.sel) : !cases_vaults(&q->cases, q->a.vault, &q->a.sel))
        return false;
    for (size_t i = 0; i < q->word_count; i++)
        if (!cases_open(&q->cases, q->words[i]))
            return false;
    return true;
}

static void restore(struct quarantine *q)
{
    q->a.lent = true;
    if (acting_guard(&q->a) && open_cases(q))
        restore_run(&q->a, &q->cases);
}

/* --- cases --- */

static void list(struct quarantine *q)
{
    if (!cases_vaults(&q->cases, q->a.vault, &q->a.sel))
        return;
    cases_list(&q->cases, q->a.json);
    if (!q->a.vault)
        cases_other_vaults(&q->cases, &q->a.sel);
}

static void print(void *ctx, const char *sentence)
{
    struct text t = { 0 };

    (void)ctx;
    text_escape(&t, sentence, strlen(sentence), 0);
    text_char(&t, '\n');
    output(t.p, t.n);
    text_done(&t);
}

/* The messages in a case, as JSON or as lines. */
static void show_messages(struct quarantine *q, struct lq_case *c)
{
    struct plan plan;
    const struct lq_record *rec;
    struct lq_error err;
    struct lq_str s;
    struct text t = { 0 };
    struct walk w = { .sel = &q->a.sel, .filter = q->a.sel.filter };

    select_close(&q->a.sel);
    for (size_t i = 0; i < lq_case_info(c)->spools; i++) {
        struct lq_queue *queue;

        if (lq_case_queue(&queue, c, i, &err) < 0) {
            report(REPORT_FAILED, "%s", err.text);
            return;
        }
        select_lend(&q->a.sel, queue);
    }
    plan_begin(&plan, q->a.sel.queue_count, false);
    plan.back = true;
    w.fields = q->a.json ? LQ_FIELDS_ALL : plan_fields(&plan);
    while (walk_next(&w, &rec) == LQ_OK) {
        if (lq_case_went_back(q->a.sel.queues[w.index].queue, rec))
            continue;
        if (q->a.json && lq_record_json(rec, LQ_FIELDS_ALL, &s, &err) == LQ_OK)
            print(NULL, s.p);
        plan_note(&plan, rec, w.index);
    }
    walk_end(&w);
    if (!q->a.json && plan.messages > 0)
        plan_show(&t, &plan, "holds", &q->a.sel);
    output(t.p, t.n);
    text_done(&t);
    plan_done(&plan);
    select_close(&q->a.sel);
}

static void show(struct quarantine *q)
{
    if (!open_cases(q))
        return;
    for (size_t i = 0; i < q->cases.n; i++) {
        cases_show(q->cases.list[i], q->a.json);
        if (!lq_case_info(q->cases.list[i])->redacted)
            show_messages(q, q->cases.list[i]);
    }
}

static void verify(struct quarantine *q)
{
    struct lq_error err;

    if (!open_cases(q))
        return;
    for (size_t i = 0; i < q->cases.n; i++) {
        int rc = lq_case_verify(q->cases.list[i], print, NULL, &err);

        if (rc < 0)
            report(REPORT_FAILED, "%s", err.text);
        else
            report(REPORT_NOTE, "%s is as it was sealed", lq_case_info(q->cases.list[i])->path);
    }
}

static void seal(struct quarantine *q)
{
    struct lq_error err;

    if (!open_cases(q))
        return;
    for (size_t i = 0; i < q->cases.n; i++) {
        if (lq_case_seal(q->cases.list[i], &err) < 0)
            report(REPORT_FAILED, "%s", err.text);
        else
            report(REPORT_NOTE, "%s is sealed", lq_case_info(q->cases.list[i])->path);
    }
}

static void drop_cases(struct quarantine *q)
{
    struct lq_error err;

    for (size_t i = 0; i < q->cases.n; i++) {
        const char *name = lq_case_info(q->cases.list[i])->path;

        if (!q->a.dry && lq_case_drop(q->cases.list[i], q->a.why, q->a.command.p, &err) < 0)
            report(REPORT_FAILED, "%s", err.text);
        else
            report(REPORT_NOTE, "%s %s", name, q->a.dry ? "would be deleted; nothing was written" : "is deleted");
    }
}

static void drop(struct quarantine *q)
{
    struct text question = { 0 };
    uint64_t n = 0, only = 0;       /* only: mail that is nowhere else */

    if (!q->a.why) {
        wrong(q, "--why TEXT says why; it is recorded");
        return;
    }
    if (!open_cases(q))
        return;
    for (size_t i = 0; i < q->cases.n; i++) {
        const struct lq_case_info *info = lq_case_info(q->cases.list[i]);
        /* What was sealed counts what it held then; what is not, what is there now. */
        uint64_t left = !info->sealed ? info->messages : info->messages - (info->restored < info->messages ? info->restored : info->messages);

        cases_show(q->cases.list[i], q->a.json);
        n += left;
        only += info->custody == LQ_COPY ? 0 : left;
    }
    text_put(&question, "Delete for good ");
    text_count(&question, n);
    text_format(&question, " message%s that did not go back?", n == 1 ? "" : "s");
    text_char(&question, '\0');
    if (q->a.expect && q->a.expect != n)
        wrong(q, "the cases hold another number of messages than --expect says; nothing was changed");
    else if (only > 0 && !q->a.dry && q->a.yes && !q->a.expect)
        wrong(q, "messages that did not go back would be lost: --yes is not enough, --expect N is; nothing was changed");
    else if (q->a.dry || acting_ask(&q->a, question.p, n))
        drop_cases(q);
    text_done(&question);
}

static void note(void *ctx, const char *sentence)
{
    (void)ctx;
    report(REPORT_NOTE, "%s", sentence);
}

/* Whether the logs that are to go into a pack can be read, before anything is written. */
static bool logs_agree(struct quarantine *q)
{
    struct lq_error err;

    if (loglines_from_stdin(&q->log) && (q->a.sel.ids.standard_input || q->a.from.standard_input))
        wrong(q, "standard input cannot be both a log and a list");
    else if (!loglines_readable(&q->log, &err))
        wrong(q, err.text);
    else
        return true;
    return false;
}

static void write_pack(struct quarantine *q, struct lq_case *c, struct lq_pack_opts *opts)
{
    struct lq_error err;

    if (loglines_asked(&q->log)) {
        loglines_open(&q->log);
        opts->log = q->log.log;
    }
    if (lq_pack(c, q->a.set, opts, &err) < 0) {
        /* Then acting_end() says it. */
        if (!acting_interrupted())
            report(REPORT_FAILED, "%s", err.text);
        return;
    }
    q->a.complete = true;
    q->partly = opts->log && !loglines_report(&q->log);
    report(REPORT_NOTE, "%s is written; send it by another way than this server's own queue", opts->output);
}

static void pack(struct quarantine *q)
{
    struct lq_pack_opts opts = { .size = sizeof(opts), .output = q->output, .why = q->a.why, .command = q->a.command.p, .redact = q->redact, .tell = note,
                                 .stopped = acting_interrupted };

    if (!q->output) {
        wrong(q, "--output FILE says where; its name ends in .tar.gz, .tgz or .tar.zst");
        return;
    }
    if (q->word_count > 1 || (q->word_count && (select_narrows(&q->a.sel) || q->a.from.given || q->a.all))) {
        wrong(q, "one case, or a selection of messages in the queue, not both");
        return;
    }
    if (q->redact && loglines_asked(&q->log)) {
        wrong(q, "--log does not go with --redact: the lines of a mail log name people");
        return;
    }
    if (!logs_agree(q))
        return;
    if (q->word_count ? !open_cases(q) : !acting_guard(&q->a) || !select_open(&q->a.sel) || !acting_gather(&q->a))
        return;
    opts.trust = q->a.sel.trust;
    opts.reporter = q->reporter ? q->reporter : q->a.sel.conf.reporter;
    if (q->a.dry)
        report(REPORT_NOTE, "%s would be written; nothing was", opts.output);
    else
        write_pack(q, q->word_count ? q->cases.list[0] : NULL, &opts);
}

static void expire(struct quarantine *q)
{
    unsigned long days = q->days ? q->days : q->a.sel.conf.undo_days ? q->a.sel.conf.undo_days : UNDO_DAYS;
    int64_t before = time(NULL) - (int64_t)days * 86400;
    struct lq_error err;

    if (!cases_vaults(&q->cases, q->a.vault, &q->a.sel))
        return;
    for (size_t i = 0; i < q->cases.vault_count; i++)
        if (lq_vault_expire(q->cases.vaults[i], before, q->a.dry, print, NULL, &err) < 0)
            report(REPORT_FAILED, "%s", err.text);
}

static void print_and_note(void *any, const char *sentence)
{
    *(bool *)any = true;
    print(NULL, sentence);
}

static void recover(struct quarantine *q)
{
    struct lq_error err;
    bool any = false;

    if (!cases_vaults(&q->cases, q->a.vault, &q->a.sel))
        return;
    for (size_t i = 0; i < q->cases.vault_count; i++)
        if (lq_vault_recover(q->cases.vaults[i], print_and_note, &any, &err) < 0) {
            report(REPORT_FAILED, "%s", err.text);
            any = true;
        }
    if (!any)
        report(REPORT_NOTE, "nothing to recover: no job was interrupted");
}

/* --- verbs --- */

static const struct verb verbs[] = {
    { "take", ON_SET | ON_TAKE, IDS, true, act, LQ_TAKE, "taken" },
    { "hold", ON_SET | ON_TAKE | ON_HOLD, IDS, true, act, LQ_HOLD, "held" },
    { "release", ON_SET | ON_RELEASE, CASES_AND_IDS, true, release, LQ_RELEASE, "released" },
    { "list", ON_LIST, NO_WORDS, false, list, 0, NULL },
    { "show", ON_LIST, CASES, false, show, 0, NULL },
    { "verify", ON_CASE, CASES, false, verify, 0, NULL },
    { "restore", ON_SET | ON_RESTORE, CASES_AND_IDS, true, restore, LQ_RESTORE, "put back" },
    { "seal", ON_CASE, CASES, false, seal, 0, NULL },
    { "pack", ON_PACK, CASES_AND_IDS, true, pack, 0, NULL },
    { "drop", ON_DROP, CASES, false, drop, 0, NULL },
    { "expire", ON_EXPIRE, NO_WORDS, false, expire, 0, NULL },
    { "recover", ON_CASE, NO_WORDS, false, recover, 0, NULL },
};

enum { VERBS = sizeof(verbs) / sizeof(verbs[0]) };
#define VERB_WORDS "take hold release list show verify restore seal pack drop expire recover"

/* --- options --- */

#define INTO(setter, member) .set = (setter), .at = offsetof(struct quarantine, member)

static const struct opt options[] = {
    { .inherit = acting_wait_options, .at = offsetof(struct quarantine, a) },
    { "hold-reason", 0, "TEXT", "what Sendmail shows as the reason of a hold", INTO(opt_text, a.hold_reason) },
    { "again", 0, NULL, "restore also what went back before, and copies; it can be delivered twice", INTO(opt_flag, a.again) },
    { "output", 0, "FILE", "what pack writes: .tar.gz, .tgz or .tar.zst", INTO(opt_text, output) },
    { "log", 0, "FILE", "pack the lines about the messages in this mail log, too", INTO(loglines_option, log) },
    { "reporter", 0, "NAME <ADDRESS>", "who reports abuse: xarf.json in a pack says it", INTO(opt_text, reporter) },
    { "redact", 0, NULL, "pack no messages, and nothing that names people", INTO(opt_flag, redact) },
    { "days", 0, "N", "expire undo cases older than N days (7)", INTO(opt_count, days), .value = 1 },
    { .inherit = acting_options, .at = offsetof(struct quarantine, a) },
    { 0 }
};

/* Which verbs an option goes with; what is not here goes with all. */
static const struct {
    const char *name;
    size_t at;
    enum { FLAG, TEXT, NUMBER, LIST } kind;
    unsigned on;
} limits[] = {
#define ROW(name, member, kind, on) { name, offsetof(struct quarantine, member), kind, on }
    ROW("--why", a.why, TEXT, ON_SET | ON_PACK | ON_DROP),
    ROW("--dry-run", a.dry, FLAG, ON_SET | ON_PACK | ON_DROP | ON_EXPIRE),
    ROW("--yes", a.yes, FLAG, ON_SET | ON_DROP),
    ROW("--all", a.all, FLAG, ON_SET | ON_PACK),
    ROW("--expect", a.expect, NUMBER, ON_SET | ON_DROP),
    ROW("--max", a.max, NUMBER, ON_SET),
    ROW("--max-count", a.limit, NUMBER, ON_SET | ON_PACK),
    ROW("--from", a.from.given, FLAG, ON_SET | ON_PACK),
    ROW("--trust-ids", a.trust_ids, FLAG, ON_SET),
    ROW("--active", a.active, FLAG, ON_SET),
    ROW("--rate", a.rate, NUMBER, ON_SET),
    ROW("--json", a.json, FLAG, ON_SET | ON_LIST | ON_DROP),
    ROW("--each", a.each, FLAG, ON_SET),
    ROW("--nfs-ok", a.nfs_ok, FLAG, ON_SET),
    ROW("--for", a.wait, NUMBER, ON_TAKE),
    ROW("--block", a.block, FLAG, ON_TAKE),
    ROW("--hold-reason", a.hold_reason, TEXT, ON_HOLD),
    ROW("--again", a.again, FLAG, ON_RESTORE),
    ROW("--output", output, TEXT, ON_PACK),
    ROW("--log", log.files.n, NUMBER, ON_PACK),
    ROW("--reporter", reporter, TEXT, ON_PACK),
    ROW("--redact", redact, FLAG, ON_PACK),
    ROW("--days", days, NUMBER, ON_EXPIRE),
#undef ROW
};

static bool is_given(const struct quarantine *q, size_t i)
{
    const void *p = (const char *)q + limits[i].at;

    switch (limits[i].kind) {
    case FLAG:
        return *(const bool *)p;
    case TEXT:
        return *(const char *const *)p != NULL;
    default:
        return *(const unsigned long *)p != 0;
    }
}

/* The options that were given are those of this verb. */
static bool agree(struct quarantine *q)
{
    const char *name = q->verb->name;

    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++)
        if (is_given(q, i) && !(q->verb->on & limits[i].on)) {
            report(REPORT_FAILED, "%s does not go with %s", limits[i].name, name);
            return !(q->a.refused = true);
        }
    if (!q->verb->selects && select_narrows(&q->a.sel)) {
        report(REPORT_FAILED, "%s takes no selection of messages", name);
        return !(q->a.refused = true);
    }
    return true;
}

/* --- words --- */

static const struct verb *find_verb(const char *word)
{
    for (size_t i = 0; i < VERBS; i++)
        if (strcmp(verbs[i].name, word) == 0)
            return &verbs[i];
    return NULL;
}

static int keep_case(struct quarantine *q, const char *word)
{
    const char **words = realloc(q->words, (q->word_count + 1) * sizeof(*words));

    if (!words)
        report_no_memory();
    q->words = words;
    words[q->word_count++] = word;
    return LQ_OK;
}

static int no_verb(const char *word, struct lq_error *err)
{
    size_t n;
    const char *near = opts_near(word, strlen(word), VERB_WORDS, &n);

    if (near)
        return opts_wrong(err, "\"%.100s\" is no verb; did you mean %.*s? The first word is one of %s", word, (int)n, near, VERB_WORDS);
    return opts_wrong(err, "\"%.100s\" is no verb; the first word is one of %s (to take a message by its id: mqquarantine take ID)",
                      word, VERB_WORDS);
}

static int operand(void *base, const char *word, struct lq_error *err)
{
    struct quarantine *q = base;

    if (!q->verb) {
        q->verb = find_verb(word);
        return q->verb ? LQ_OK : no_verb(word, err);
    }
    if (!*word)
        return opts_wrong(err, "an argument is empty");
    if (q->verb->words == NO_WORDS)
        return opts_wrong(err, "%s takes no argument: \"%.100s\"", q->verb->name, word);
    if (q->verb->words == CASES || (q->verb->words == CASES_AND_IDS && (acting_is_job(word) || strchr(word, '/'))))
        return keep_case(q, word);
    return select_operand(&q->a.sel, word, err);
}

static const struct opts_program program = {
    .name = "mqquarantine",
    .usage = "[take] --why TEXT SELECTION... [ID]...\n"
             "       mqquarantine hold|release SELECTION... [ID]...\n"
             "       mqquarantine list\n"
             "       mqquarantine show|verify|seal CASE...\n"
             "       mqquarantine restore CASE [SELECTION]... [ID]...\n"
             "       mqquarantine pack CASE|SELECTION... --output FILE\n"
             "       mqquarantine drop CASE --why TEXT\n"
             "       mqquarantine expire|recover",
    .summary = "Move messages out of mail queues and back, or hold and release them in place.",
    .footer = "ID may be - for ids on standard input.\n"
              "Exit status: 0 all done, 1 nothing fits, 2 usage or refused (nothing changed),\n"
              "3 partly done, 130 interrupted.\n",
    .rows = options,
    .verbs = VERB_WORDS,
    .operand = operand,
};

static void run(struct quarantine *q)
{
    static char typed[40];

    if (!q->verb)
        q->verb = find_verb("take");
    q->a.verb = q->verb->act;
    q->a.word = q->verb->name;
    q->a.done_word = q->verb->done;
    snprintf(typed, sizeof(typed), "mqquarantine %s", q->verb->name);
    q->a.program = typed;
    if (agree(q))
        q->verb->run(q);
}

int main(int argc, char **argv)
{
    struct quarantine q = { .a = { .asking = ASK_YES } };
    int status;

    report_begin(program.name);
    acting_begin(&q.a, argc, argv);
    if (opts_parse(&program, &q, argc, argv) == OPTS_GO && acting_configure(&q.a) == OPTS_GO && select_aside(&q.a.sel) == OPTS_GO)
        run(&q);
    status = acting_end(&q.a);
    cases_end(&q.cases);
    loglines_done(&q.log);
    free(q.words);
    if (q.partly && status == EXIT_TROUBLE)
        return EXIT_PARTLY;
    return status;
}
