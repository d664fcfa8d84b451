/* Options of acting, guards, the fixed set, the question, the end. */
#include "acting.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "block.h"
#include "cases.h"
#include "report.h"
#include "run.h"

/* --- options --- */

static int set_from(const struct opt *o, void *target, const char *value, struct lq_error *err)
{
    struct acting *a = target;

    (void)o;
    a->from_path = value;
    return list_from_read(&a->from, value, err);
}

/* "50/s": a number alone does not say of what time. */
static int set_rate(const struct opt *o, void *target, const char *value, struct lq_error *err)
{
    unsigned long n;
    char *end;

    (void)o;
    errno = 0;
    n = strtoul(value, &end, 10);
    if (value[0] < '0' || value[0] > '9' || errno || n == 0 || n > 1000000 || strcmp(end, "/s") != 0)
        return opts_wrong(err, "\"%s\" is not a rate: 50/s is 50 messages a second, from 1/s to 1000000/s", value);
    *(unsigned long *)target = n;
    return LQ_OK;
}

static int set_wait(const struct opt *o, void *target, const char *value, struct lq_error *err)
{
    static const struct { const char *unit; unsigned long seconds; } units[] = {
        { "", 1 }, { "s", 1 }, { "m", 60 }, { "h", 3600 }, { "d", 86400 },
    };
    unsigned long n;
    char *end;

    (void)o;
    errno = 0;
    n = strtoul(value, &end, 10);
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (value[0] < '0' || value[0] > '9' || errno || n == 0 || n > 604800 || strcmp(end, units[i].unit) != 0)
            continue;
        *(unsigned long *)target = n * units[i].seconds;
        return LQ_OK;
    }
    return opts_wrong(err, "\"%s\" is not a time: 90 (seconds), 30m, 2h", value);
}

#define INTO(setter, member) .set = (setter), .at = offsetof(struct acting, member)

const struct opt acting_options[] = {
    { .heading = "What is done, and what must be true before" },
    { "dry-run", 'n', NULL, "show the same plan and outcomes, write nothing at all", INTO(opt_flag, dry) },
    { "why", 0, "TEXT", "the reason, recorded; take, drop and mqpurge need it", INTO(opt_text, why) },
    { "all", 0, NULL, "every message: a selection of its own", INTO(opt_flag, all) },
    { "yes", 0, NULL, "act without asking", INTO(opt_flag, yes) },
    { "expect", 0, "N", "act without asking if exactly N messages are selected, else refuse", INTO(opt_count, expect), .value = 1 },
    { "max", 0, "N", "refuse if more are selected", INTO(opt_count, max), .value = 1 },
    { "max-count", 'm', "N", "only the first N", INTO(opt_count, limit), .value = 1 },
    { "from", 0, "FILE", "only the messages of these records (NDJSON of mqgrep -j; - is standard input) that are still the same", .set = set_from },
    { "trust-ids", 0, NULL, "act on short Postfix ids although nothing else is selected by", INTO(opt_flag, trust_ids) },
    { "active", 0, NULL, "also messages in Postfix's active queue", INTO(opt_flag, active) },
    { "rate", 0, "N/s", "at most N messages a second", INTO(set_rate, rate) },
    { "json", 'j', NULL, "one JSON object for each message", INTO(opt_flag, json) },
    { "each", 0, NULL, "one line for each message, not only for those that were left alone", INTO(opt_flag, each) },
    { "vault", 0, "DIR", "where cases are, instead of the usual place of each spool", INTO(opt_text, vault) },
    { "nfs-ok", 0, NULL, "act on a network file system, where locks and renames promise less", INTO(opt_flag, nfs_ok) },
    { .inherit = select_options, .at = offsetof(struct acting, sel) },
    { 0 }
};

/* For a table of its own: only some verbs have them. */
const struct opt acting_wait_options[] = {
    { "for", 0, "TIME", "keep acting on what arrives: 90 (seconds), 30m, 2h", INTO(set_wait, wait) },
    { "block", 0, NULL, "also print what refuses these clients and accounts at SMTP time, to paste", INTO(opt_flag, block) },
    { 0 }
};

/* --- signals --- */

static volatile sig_atomic_t caught;

static void catch(int sig)
{
    caught = sig;
}

/* A reader that left must not end a job half way; SIGHUP is a lost connection. */
static void catch_signals(void)
{
    static const int ends[] = { SIGINT, SIGTERM, SIGHUP };
    struct sigaction act = { .sa_handler = catch };

    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        struct sigaction before;

        /* nohup(1) stays what it is. */
        if (sigaction(ends[i], NULL, &before) == 0 && before.sa_handler != SIG_IGN)
            sigaction(ends[i], &act, NULL);
    }
    signal(SIGPIPE, SIG_IGN);
}

bool acting_interrupted(void)
{
    return caught != 0;
}

void acting_sleep(double seconds)
{
    sigset_t ends, before;
    struct timespec t = { .tv_sec = (time_t)seconds };

    t.tv_nsec = (long)((seconds - (double)t.tv_sec) * 1e9);
    /* A signal between the question and the sleep would be slept through. */
    sigemptyset(&ends);
    sigaddset(&ends, SIGINT);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGHUP);
    sigprocmask(SIG_BLOCK, &ends, &before);
    if (!caught)
        pselect(0, NULL, NULL, NULL, &t, &before);
    sigprocmask(SIG_SETMASK, &before, NULL);
}

/* --- before a queue is looked at --- */

void acting_begin(struct acting *a, int argc, char **argv)
{
    for (int i = 0; i < argc; i++) {
        const char *word = argv[i], *slash = i == 0 ? strrchr(word, '/') : NULL;

        word = slash ? slash + 1 : word;
        text_put(&a->command, i ? " " : "");
        text_shell(&a->command, word, strlen(word));
    }
    text_char(&a->command, '\0');
    select_begin(&a->sel);
    catch_signals();
}

bool acting_is_job(const char *word)
{
    static const char shape[] = "########T######Z-xxxx";

    for (size_t i = 0; shape[i]; i++) {
        char c = word[i];
        bool digit = c >= '0' && c <= '9';

        if (shape[i] == '#' ? !digit : shape[i] == 'x' ? !digit && !(c >= 'a' && c <= 'f') : c != shape[i])
            return false;
    }
    return word[sizeof(shape) - 1] == '\0';
}

static bool refuse(struct acting *a, const char *sentence)
{
    a->refused = true;
    report(REPORT_FAILED, "%s", sentence);
    return false;
}

static bool guard_selection(struct acting *a)
{
    bool narrowed = select_narrows(&a->sel) || a->from.given;

    if (a->all && narrowed)
        return refuse(a, "--all is a selection of its own: it does not go with others");
    if (!a->all && !narrowed && !a->lent)
        return refuse(a, "nothing is selected: name messages as for mqgrep, or say --all for every one");
    if (a->from.given && a->sel.ids.given)
        return refuse(a, "--from is a list of messages: ids beside it would be another one");
    return true;
}

enum opts_result acting_configure(struct acting *a)
{
    enum opts_result rc = select_configure(&a->sel);

    if (!a->vault)
        a->vault = a->sel.conf.vault;
    return rc;
}

bool acting_guard(struct acting *a)
{
    struct lq_error err;

    if (!guard_selection(a))
        return false;
    if (a->wait && (a->limit || a->expect))
        return refuse(a, "--for acts on what nobody has seen yet: --max-count and --expect do not go with it, --max does");
    if (a->json && a->each)
        return refuse(a, "-j writes an object for each message already");
    if (a->from.given && list_from_finish(&a->from, &a->sel.ids, &err) < 0)
        return refuse(a, err.text);
    return true;
}

/* --- the set --- */

/* What tells a message from every other, as one text. */
static void message_key(struct text *t, const struct lq_record *rec)
{
    static const enum lq_field fields[] = { LQ_SPOOL, LQ_QUEUE_ID, LQ_IDENTITY };

    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        struct lq_str s = lq_record_text(rec, fields[i]);

        text_add(t, s.p, s.n);
        text_char(t, '\0');
    }
}

/* True when this message was in no set before; then it is remembered. */
static bool first_seen(struct acting *a, const struct lq_record *rec)
{
    struct text key = { 0 };
    uint32_t before = a->seen.n;

    message_key(&key, rec);
    count_key(&a->seen, key.p, key.n);
    text_done(&key);
    return a->seen.n > (before > COUNT_FIRST ? before : COUNT_FIRST);
}

static uint32_t left_entry(struct acting *a, const char *spool, const char *id)
{
    struct text key = { 0 };
    uint32_t entry;

    text_put(&key, id);
    text_char(&key, '\0');
    text_put(&key, spool);
    entry = count_key(&a->left, key.p, key.n);
    text_done(&key);
    return entry;
}

void acting_skipped(struct acting *a, const char *spool, const char *id)
{
    struct sighting s = { .message = ++a->left_count };

    if (a->wait && spool && id)
        count_add(&a->left, left_entry(a, spool, id), &s);
}

enum { TRIES = 4 };

/* True when the message was skipped before, and is worth another try: it was being received, or delivered. */
static bool once_more(struct acting *a, const struct lq_record *rec)
{
    struct lq_str spool = lq_record_text(rec, LQ_SPOOL), id = lq_record_text(rec, LQ_QUEUE_ID), state = lq_record_text(rec, LQ_STATE);
    uint32_t tried;

    if (!a->again_now || !spool.p || !id.p || (state.p && strcmp(state.p, "active") == 0 && !a->active))
        return false;
    tried = count_get(&a->left, left_entry(a, spool.p, id.p))->messages;
    if (tried == 0 || tried >= TRIES)
        return false;
    a->skipped--;
    return true;
}

/*
 * Short ids are made of an inode number and come back; long ones have a "z" in them, which no hexadecimal digit is
 * (postfix 2.9, enable_long_queue_ids).
 */
static bool short_id(const struct lq_record *rec)
{
    struct lq_str mta = lq_record_text(rec, LQ_MTA), id = lq_record_text(rec, LQ_QUEUE_ID);

    return mta.p && strcmp(mta.p, "postfix") == 0 && id.p && !memchr(id.p, 'z', id.n);
}

/* Ids alone, of messages that may have changed hands since somebody wrote them down. */
static bool ids_untrusted(const struct acting *a)
{
    return a->sel.ids.given && !a->from.given && !a->trust_ids && !a->lent && a->sel.pick_count == 0;
}

/* One look at the queues: everything that fits and was in no set before goes into a new one. */
static struct walk look(struct acting *a, bool *short_ids)
{
    struct walk w = { .sel = &a->sel, .filter = a->sel.filter, .missing_told = true,
                      .fields = plan_fields(&a->plan) | LQ_FIELDS_SET | LQ_FIELD_BIT(LQ_HOST) | LQ_FIELD_BIT(LQ_SPOOL) };
    const struct lq_record *rec;
    struct lq_error err;

    while (!acting_interrupted() && walk_next(&w, &rec) == LQ_OK) {
        if ((a->from.given && !list_from_has(&a->from, rec)) || (!first_seen(a, rec) && !once_more(a, rec)))
            continue;
        if (!a->again && lq_case_went_back(a->sel.queues[w.index].queue, rec)) {
            a->went++;
            continue;
        }
        if (a->limit && a->matched++ >= a->limit)
            continue;
        *short_ids |= ids_untrusted(a) && short_id(rec);
        plan_note(&a->plan, rec, w.index);
        if (lq_set_add(a->set, a->sel.queues[w.index].queue, rec, &err) < 0)
            report_no_memory();
    }
    walk_end(&w);
    return w;
}

static void new_set(struct acting *a)
{
    struct lq_error err;

    plan_done(&a->plan);
    plan_begin(&a->plan, a->sel.queue_count, a->verb == LQ_BOUNCE);
    a->plan.back = a->verb == LQ_RESTORE;
    lq_set_free(a->set);
    if (lq_set_new(&a->set, &err) < 0)
        report_no_memory();
}

/* --- what was asked for by name and is not there --- */

static void left_alone(struct acting *a, const char *id, const char *why)
{
    struct lq_outcome o = { .result = LQ_SKIPPED, .id = id, .text = why };

    a->skipped++;
    run_line(a, &o);
}

static bool looked_at(const struct acting *a, const char *spool)
{
    for (size_t i = 0; i < a->sel.queue_count; i++)
        if (strcmp(lq_queue_dir(a->sel.queues[i].queue), spool) == 0)
            return true;
    return false;
}

/* Where other options narrow the list, who does not fit them was not asked for. */
static void name_missing(struct acting *a, const struct walk *w)
{
    const char *id;

    if (!a->from.given)
        for (size_t i = 0; (id = walk_missing(w, &i));)
            left_alone(a, id, "not in the queue");
    for (size_t i = 0; i < a->from.n; i++) {
        const struct listed *e = &a->from.list[i];

        if (e->found || (a->sel.pick_count > 0 && !e->other))
            continue;
        left_alone(a, e->id, e->other || a->lent || looked_at(a, e->spool) ? listed_why(e)
                                                              : "its spool is not among those looked at");
    }
}

/* --- the question --- */

/* Where to ask: standard input, or the terminal itself where a list came from there. NULL: nobody is there. */
static FILE *terminal(const struct acting *a)
{
    bool used = a->from_path && strcmp(a->from_path, "-") == 0;

    if (!isatty(STDERR_FILENO))
        return NULL;
    if (isatty(STDIN_FILENO))
        return stdin;
    return used || a->sel.ids.standard_input ? fopen("/dev/tty", "re") : NULL;
}

/* A line without its end; false at the end of the file or when a signal came. */
static bool read_answer(FILE *from, char *line, size_t size)
{
    bool read = fgets(line, (int)size, from) != NULL;

    if (from != stdin)
        fclose(from);
    if (read)
        line[strcspn(line, "\n")] = '\0';
    return read && !acting_interrupted();
}

static bool agrees(const char *answer, uint64_t number)
{
    char wanted[24];

    snprintf(wanted, sizeof(wanted), "%llu", (unsigned long long)number);
    if (number)
        return strcmp(answer, wanted) == 0;
    return strcasecmp(answer, "y") == 0 || strcasecmp(answer, "yes") == 0;
}

bool acting_ask(struct acting *a, const char *question, uint64_t number)
{
    char answer[64];
    FILE *from;

    if (a->yes || a->expect)
        return true;
    from = terminal(a);
    if (!from)
        return refuse(a, "nobody can be asked here: --expect N (how many there must be) or --yes says it; nothing was changed");
    if (number)
        fprintf(stderr, "%s Type %llu to go on: ", question, (unsigned long long)number);
    else
        fprintf(stderr, "%s [yes/no] ", question);
    if (read_answer(from, answer, sizeof(answer)) && agrees(answer, number))
        return true;
    if (acting_interrupted())
        fputc('\n', stderr);
    return refuse(a, "not done; nothing was changed");
}

void acting_show(const struct acting *a, const struct text *t)
{
    bool asked = !a->yes && !a->expect && !a->dry;

    if (!a->json)
        output(t->p, t->n);
    if (a->json || (asked && !isatty(STDOUT_FILENO) && isatty(STDERR_FILENO)))
        fwrite(t->p, 1, t->n, stderr);
    output_flush();
}

static bool confirmed(struct acting *a)
{
    struct text q = { 0 };
    size_t n = lq_set_count(a->set);
    bool yes;

    if (a->dry)
        return true;
    text_format(&q, "%c%s ", a->word[0] & ~0x20, a->word + 1);
    text_count(&q, n);
    text_format(&q, " message%s%s?", n == 1 ? "" : "s",
                a->verb == LQ_BOUNCE ? " (it cannot be undone)" : a->verb != LQ_PURGE ? "" : a->undo ? " (an undo case keeps them for a while)" : " for good");
    text_char(&q, '\0');
    yes = acting_ask(a, q.p, a->asking == ASK_NUMBER ? n : 0);
    text_done(&q);
    return yes;
}

/* --- guards that need the set --- */

static bool guard_count(struct acting *a)
{
    unsigned long long n = lq_set_count(a->set);

    if (a->expect && n != a->expect) {
        report(REPORT_FAILED, "%llu message%s selected, not %lu; nothing was changed", n, n == 1 ? " is" : "s are", a->expect);
        return !(a->refused = true);
    }
    if (a->max && (a->limit ? a->matched : n) > a->max) {
        report(REPORT_FAILED, "%llu messages are selected, more than --max %lu; nothing was changed",
               a->limit ? (unsigned long long)a->matched : n, a->max);
        return !(a->refused = true);
    }
    return true;
}

static bool guard_ids(struct acting *a, bool short_ids)
{
    return !short_ids ||
           refuse(a, "short Postfix ids are reused, and these may be other messages by now: "
                     "add an option that selects, or give a list with identities (mqgrep -j ... >LIST, then --from LIST), or say --trust-ids");
}

/* --- one round, and what follows --- */

static void show_plan(struct acting *a)
{
    struct text t = { 0 };

    plan_show(&t, &a->plan, a->word, &a->sel);
    for (size_t i = 0; i < a->sel.queue_count && a->block; i++) {
        const char *mta = lq_queue_mta(a->sel.queues[i].queue);
        bool told = false;

        for (size_t k = 0; k < i; k++)
            told |= strcmp(lq_queue_mta(a->sel.queues[k].queue), mta) == 0;
        if (!told)
            block_show(&t, mta, &a->plan.clients, &a->plan.logins);
    }
    acting_show(a, &t);
    text_done(&t);
}

/* Ages must mean the same when a message is asked again under its lock. A spool that stands still has a time of its own. */
static void fix_now(struct acting *a)
{
    bool live = a->sel.queue_count > 0;

    for (size_t i = 0; i < a->sel.queue_count; i++)
        live = live && lq_queue_live(a->sel.queues[i].queue);
    if (live && (!a->sel.fixed_now || a->own_now)) {
        a->sel.now = time(NULL);
        a->sel.fixed_now = a->own_now = true;
    }
}

static bool gather(struct acting *a, struct walk *w)
{
    bool short_ids = false;

    fix_now(a);
    new_set(a);
    *w = look(a, &short_ids);
    if (acting_interrupted())
        return false;
    a->any = lq_set_count(a->set) > 0;
    if (a->any ? !guard_ids(a, short_ids) || !guard_count(a) : a->expect && !guard_count(a))
        return false;
    if (a->any)
        show_plan(a);
    else if (!a->from.given)
        select_hint(&a->sel);
    return true;
}

bool acting_gather(struct acting *a)
{
    struct walk w;

    return gather(a, &w) && a->any;
}

static bool first_round(struct acting *a)
{
    struct walk w;

    if (!gather(a, &w) || (a->any && (!confirmed(a) || !run_job(a))))
        return false;
    name_missing(a, &w);
    return true;
}

/* Ids and lists name what was there; nothing that arrives later can be meant. */
static bool could_arrive(const struct acting *a)
{
    return !a->dry && !a->lent && !a->from.given && !a->sel.ids.given && !a->limit;
}

static void count_later(struct acting *a)
{
    struct walk w = { .sel = &a->sel, .filter = a->sel.filter, .quiet = true,
                      .fields = LQ_FIELD_BIT(LQ_SPOOL) | LQ_FIELD_BIT(LQ_QUEUE_ID) | LQ_FIELD_BIT(LQ_IDENTITY) };
    const struct lq_record *rec;

    while (!acting_interrupted() && walk_next(&w, &rec) == LQ_OK)
        a->later += first_seen(a, rec);
    walk_end(&w);
}

enum { ROUND_SECONDS = 3, AGAIN_SECONDS = 30 };

/* A job for each round that finds something new. */
static void later_rounds(struct acting *a)
{
    time_t end = time(NULL) + (time_t)a->wait, tried = time(NULL);
    bool short_ids = false, went = true;

    report(REPORT_NOTE, "acting on what arrives for %lu seconds more; what is delivered at once is faster than that: "
                        "what blocks it at SMTP time is printed above", a->wait);
    while (went && !acting_interrupted() && time(NULL) < end) {
        acting_sleep(ROUND_SECONDS);
        a->again_now = time(NULL) - tried >= AGAIN_SECONDS || time(NULL) >= end;
        tried = a->again_now ? time(NULL) : tried;
        fix_now(a);
        new_set(a);
        look(a, &short_ids);
        if (lq_set_count(a->set) == 0)
            continue;
        a->any = true;
        if (a->max && a->done + lq_set_count(a->set) > a->max) {
            report(REPORT_FAILED, "stopped: with what arrived it would be more than --max %lu", a->max);
            return;
        }
        went = run_job(a);
    }
}

void acting_run(struct acting *a)
{
    if (a->wait)
        a->block = true;
    if (!first_round(a))
        return;
    if (a->wait && !a->dry)
        later_rounds(a);
    else if (could_arrive(a) && a->done > 0 && !acting_interrupted())
        count_later(a);
}

/* --- the end --- */

/* "1,203 of 1,210 messages taken" and what else there is to know, in one line. */
static void last_line(struct acting *a)
{
    uint64_t all = a->done + a->skipped + a->failed + a->already;
    struct text t = { 0 };

    if (acting_interrupted())
        text_put(&t, "interrupted: ");
    text_count(&t, a->done);
    text_put(&t, " of ");
    text_count(&t, all > lq_set_count(a->set) ? all : lq_set_count(a->set));
    text_format(&t, " messages %s%s", a->dry ? "would be " : "", a->done_word);
    if (a->skipped + a->failed > 0) {
        text_put(&t, ", ");
        text_count(&t, a->skipped);
        text_put(&t, " skipped");
    }
    if (a->failed > 0) {
        text_put(&t, ", ");
        text_count(&t, a->failed);
        text_put(&t, " failed");
    }
    if (a->already > 0) {
        text_put(&t, "; ");
        text_count(&t, a->already);
        if (a->verb == LQ_HOLD)
            text_put(&t, a->already == 1 ? " was held already" : " were held already");
        else
            text_put(&t, a->already == 1 ? " was not held" : " were not held");
    }
    if (acting_interrupted())
        text_put(&t, "; the others are as they were, and the same command goes on");
    if (a->went > 0) {
        text_put(&t, "; ");
        text_count(&t, a->went);
        text_put(&t, " went back before");
    }
    if (a->later > 0) {
        text_put(&t, "; ");
        text_count(&t, a->later);
        text_put(&t, a->later == 1 ? " that fits arrived meanwhile" : " that fit arrived meanwhile");
    }
    if (a->dry)
        text_put(&t, "; nothing was written");
    report(REPORT_NOTE, "%.*s", (int)t.n, t.p);
    text_done(&t);
}

/* A command is printed only where it selects exactly what was meant. */
static void say_stayed(struct acting *a)
{
    struct text t = { 0 }, command = { 0 };
    bool fine;

    if (a->stayed == 0)
        return;
    fine = !a->from.given && select_command(&a->sel, a->program, &command);
    text_count(&t, a->stayed);
    text_put(&t, " stayed in Postfix's active queue; for them: ");
    if (fine)
        text_add(&t, command.p, command.n);
    else
        text_put(&t, "the same command with");
    /* Not only those in active: when it is typed they may be deferred again. */
    text_put(&t, " --active");
    if (fine && a->why && text_plain(a->why, strlen(a->why))) {
        text_put(&t, " --why ");
        text_shell(&t, a->why, strlen(a->why));
    }
    report(REPORT_NOTE, "%.*s", (int)t.n, t.p);
    text_done(&t);
    text_done(&command);
}

static void put_spools(struct text *t, const struct acting *a)
{
    for (size_t i = 0; i < a->sel.spools.n; i++) {
        text_put(t, " --spool ");
        text_shell(t, a->sel.spools.items[i], strlen(a->sel.spools.items[i]));
    }
}

static void put_vault(struct text *t, const struct acting *a)
{
    if (!a->vault)
        return;
    text_put(t, " --vault ");
    text_shell(t, a->vault, strlen(a->vault));
}

/* A job of several rounds has a name for each. COMMAND NAME WHERE, and again for the next, each good to paste. */
static void put_each(struct text *t, const struct acting *a, const char *command, const char *between, const struct text *where)
{
    const char *end = a->names.p + a->names.n;

    for (const char *p = a->names.p; p < end;) {
        const char *blank = memchr(p, ' ', (size_t)(end - p)), *stop = blank ? blank : end;

        text_format(t, "%s%s %.*s%.*s", p > a->names.p ? between : "", command, (int)(stop - p), p, (int)where->n, where->n ? where->p : "");
        p = blank ? blank + 1 : end;
    }
}

static void say_held(const struct acting *a)
{
    struct text where = { 0 }, t = { 0 };

    put_spools(&where, a);
    put_vault(&where, a);
    put_each(&t, a, "mqquarantine release", "; ", &where);
    report(REPORT_NOTE, "to release %s: %.*s", memchr(a->names.p, ' ', a->names.n) ? "these" : "them", (int)t.n, t.p);
    text_done(&where);
    text_done(&t);
}

/* By their ids, or by a number that refuses where others are held, too. */
static void say_came_back_held(struct acting *a)
{
    struct text t = { 0 };

    if (a->held == 0)
        return;
    text_count(&t, a->held);
    text_put(&t, a->dry ? " would come back on hold; to let " : " came back on hold; to let ");
    text_put(&t, a->held == 1 ? "it go: " : "them go: ");
    text_put(&t, "mqquarantine release");
    text_add(&t, a->held_spools.p, a->held_spools.n);
    put_vault(&t, a);
    if (a->held > HELD_NAMED)
        text_format(&t, " -z --expect %llu", (unsigned long long)a->held);
    else
        text_format(&t, " -z%.*s", (int)a->held_ids.n, a->held_ids.p);
    report(REPORT_NOTE, "%.*s", (int)t.n, t.p);
    text_done(&t);
}

static void say_cases(struct acting *a)
{
    struct text where = { 0 }, t = { 0 };

    if (a->names.n == 0)
        return;
    /* A vault is found by its name, or from the spools as they were named. */
    if (a->vault)
        put_vault(&where, a);
    else
        put_spools(&where, a);
    if (a->verb == LQ_TAKE) {
        text_format(&t, "case%s %.*s; to look: mqquarantine show %.*s%.*s; to put them back: ", memchr(a->names.p, ' ', a->names.n) ? "s" : "",
                    (int)a->names.n, a->names.p, (int)a->names.n, a->names.p, (int)where.n, where.n ? where.p : "");
        put_each(&t, a, "mqquarantine restore", "; ", &where);
        report(REPORT_NOTE, "%.*s", (int)t.n, t.p);
    }
    if (a->verb == LQ_HOLD)
        say_held(a);
    if (a->verb == LQ_PURGE) {
        text_put(&t, "to undo: ");
        put_each(&t, a, "mqpurge --undo", "; ", &where);
        report(REPORT_NOTE, "%.*s", (int)t.n, t.p);
    }
    /* root takes no other user's vault for one of its own. */
    if (a->where.n > 0 && geteuid() != 0)
        cases_whose(a->where.p, geteuid());
    text_done(&where);
    text_done(&t);
}

/* Of a case that was restored before nothing may be left. */
static void none_selected(const struct acting *a)
{
    bool whole = !select_narrows(&a->sel) && !a->from.given;
    struct text t = { 0 };

    text_count(&t, a->went > 0 && !whole ? a->went : a->went_all);
    if (a->went > 0 || (whole && a->went_all > 0))
        report(REPORT_NOTE, "all %.*s went back already; nothing was changed", (int)t.n, t.p);
    else if (a->went_all > 0)
        report(REPORT_NOTE, "no message is selected; nothing was changed (%.*s of the case went back already)", (int)t.n, t.p);
    else
        report(REPORT_NOTE, "no message is selected; nothing was changed");
    text_done(&t);
}

/* "File too large" is no word about the message. */
static void say_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
        report(REPORT_NOTE, "no file may grow beyond %llu bytes here (ulimit -f)", (unsigned long long)limit.rlim_cur);
}

int acting_end(struct acting *a)
{
    bool acted = a->any && a->done + a->skipped + a->failed + a->already > 0, interrupted = acting_interrupted() && !a->complete;
    int status;

    if (acted)
        last_line(a);
    else if (interrupted)
        report(REPORT_NOTE, "interrupted; nothing was changed");
    else if (a->set && !a->any && !a->refused)
        none_selected(a);
    say_stayed(a);
    say_came_back_held(a);
    if (a->done > 0)
        say_cases(a);
    if (a->any && (a->failed > 0 || report_failed()))
        say_limit();
    status = report_end(a->any || !a->set);
    if (interrupted)
        status = EXIT_INTERRUPTED;
    else if (acted && !a->refused && (a->skipped + a->failed > 0 || status == EXIT_TROUBLE))
        status = EXIT_PARTLY;
    plan_done(&a->plan);
    lq_set_free(a->set);
    count_done(&a->seen);
    count_done(&a->left);
    list_from_done(&a->from);
    select_end(&a->sel);
    text_done(&a->command);
    text_done(&a->names);
    text_done(&a->where);
    text_done(&a->held_spools);
    text_done(&a->held_ids);
    return status;
}
