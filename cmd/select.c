/* Shared selection options, queues, and the walk over selected messages. Prints only diagnostics. */
#include "select.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "print.h"
#include "report.h"
#include "sets.h"

/* --- setters --- */

static void add_pick(struct selection *s, const struct opt *o, const char *value, const char *expression)
{
    struct pick *picks = realloc(s->picks, (s->pick_count + 1) * sizeof(*picks));

    if (!picks)
        report_no_memory();
    s->picks = picks;
    picks[s->pick_count++] = (struct pick){ o, value, expression };
}

static int set_pick(const struct opt *o, void *target, const char *value, struct lq_error *err)
{
    struct selection *s = target;
    int rc = lq_filter_add(s->filter, (enum lq_selector)o->value, value, err);

    if (rc == LQ_OK)
        add_pick(s, o, value, NULL);
    return rc;
}

static int set_expression(const struct opt *o, void *target, const char *value, struct lq_error *err)
{
    struct selection *s = target;
    size_t at;
    int rc = lq_filter_expression(s->filter, value, &at, err);

    if (rc == LQ_OK)
        add_pick(s, o, value, value);
    else if (rc == LQ_EINVAL)
        opts_point(err, value, at);
    return rc;
}

/* A kept selection is read when its name is given: what it says then is what is asked. */
static int set_use(const struct opt *o, void *target, const char *value, struct lq_error *err)
{
    struct selection *s = target;
    char *expression = sets_read(value, err), **used;
    size_t at;
    int rc;

    if (!expression)
        return LQ_EINVAL;
    used = realloc(s->used, (s->used_count + 1) * sizeof(*used));
    if (!used)
        report_no_memory();
    s->used = used;
    used[s->used_count++] = expression;
    rc = lq_filter_expression(s->filter, expression, &at, err);
    if (rc == LQ_OK)
        add_pick(s, o, value, expression);
    else if (rc == LQ_EINVAL)
        opts_point(err, expression, at);
    return rc;
}

static int set_word(const struct opt *o, void *target, const char *value, struct lq_error *err)
{
    struct word_list *list = target;
    const char **items = realloc(list->items, (list->n + 1) * sizeof(*items));

    (void)o, (void)err;
    if (!items)
        report_no_memory();
    list->items = items;
    items[list->n++] = value;
    return LQ_OK;
}

static int set_ids(const struct opt *o, void *target, const char *value, struct lq_error *err)
{
    (void)o;
    return ids_read(target, value, err);
}

static int set_trust(const struct opt *o, void *target, const char *value, struct lq_error *err)
{
    struct selection *s = target;

    int rc;

    if (!s->trust && lq_trust_new(&s->trust, err) < 0)
        report_no_memory();
    rc = lq_trust_add(s->trust, value, err);
    return rc < 0 ? rc : set_word(o, &s->trusted, value, err);
}

static int set_now(const struct opt *o, void *target, const char *value, struct lq_error *err)
{
    struct selection *s = target;

    (void)o;
    if (s->fixed_now)
        return opts_wrong(err, "given twice");
    s->fixed_now = true;
    return lq_time_parse(&s->now, value, err);
}

#define PICK(sel) .set = set_pick, .value = (sel)
#define INTO(setter, member) .set = (setter), .at = offsetof(struct selection, member)
#define STATES "receiving corrupt incomplete active held deferred incoming"
#define CLASSES "blocklist ratelimit greylist dns timeout refused full auth policy other"

const struct opt select_options[] = {
    { .heading = "Which messages (different options must all fit; of one repeated, any)" },
    { "sender", 'f', "PAT", "envelope sender: a@b, @dom, @.dom, *glob*, <>, =TEXT, /re/", PICK(LQ_SEL_SENDER) },
    { "recipient", 'r', "PAT", "any recipient that is still to be delivered to", PICK(LQ_SEL_RECIPIENT) },
    { "rcpt-all", 0, "PAT", "all of them", PICK(LQ_SEL_RECIPIENT_ALL) },
    { "client", 'p', "NET", "address of the SMTP client: IP, CIDR, range, comma list", PICK(LQ_SEL_CLIENT) },
    { "origin", 0, "NET", "address where it entered our networks, see mqtools-record(5)", PICK(LQ_SEL_ORIGIN) },
    { "trust", 0, "NET", "networks whose Received fields are believed", .set = set_trust },
    { "user", 'u', "PAT", "authenticated account or local login", PICK(LQ_SEL_USER) },
    { "subject", 'S', "PAT", "decoded subject", PICK(LQ_SEL_SUBJECT) },
    { "header", 'H', "NAME:PAT", "decoded header field of that name", PICK(LQ_SEL_HEADER) },
    { "body", 'B', "PAT", "decoded text of a part of the body, or the name of an attached file", PICK(LQ_SEL_BODY) },
    { "helo", 0, "PAT", "name that the client gave", PICK(LQ_SEL_HELO) },
    { "client-name", 0, "PAT", "host name of the client", PICK(LQ_SEL_CLIENT_NAME) },
    { "protocol", 0, "PAT", "SMTP, ESMTPSA, local, ...", PICK(LQ_SEL_PROTOCOL) },
    { "reason", 0, "PAT", "why it is delayed", PICK(LQ_SEL_REASON) },
    { "class", 0, "NAME,...", "class of that reason: blocklist ratelimit greylist dns timeout refused full auth policy other",
      PICK(LQ_SEL_CLASS), .words = CLASSES },
    { "size", 's', "SIZE", "2062 (exactly), +1M, -10k, 2000..2100", PICK(LQ_SEL_SIZE) },
    { "younger", 'y', "AGE", "arrived within 90 (seconds), 10m, 3h, 2d, 1w", PICK(LQ_SEL_YOUNGER) },
    { "older", 'o', "AGE", "arrived before that", PICK(LQ_SEL_OLDER) },
    { "since", 0, "TIME", "arrived at or after 2026-11-21T13:04 or epoch seconds", PICK(LQ_SEL_SINCE) },
    { "until", 0, "TIME", "arrived at or before that", PICK(LQ_SEL_UNTIL) },
    { "rcpts", 0, "N", "number of recipients: 3, +100, -5, 2..9", PICK(LQ_SEL_RCPTS) },
    { "attempts", 0, "N", "number of delivery attempts", PICK(LQ_SEL_ATTEMPTS) },
    { "state", 'q', "STATE,...", STATES, PICK(LQ_SEL_STATE), .words = STATES },
    { "queue", 'G', "NAME", "the mail server's own name of the queue", PICK(LQ_SEL_QUEUE) },
    { "held", 'z', NULL, "held, frozen or quarantined", PICK(LQ_SEL_HELD) },
    { "not-held", 'x', NULL, "not so", PICK(LQ_SEL_NOT_HELD) },
    { "bounces", 0, NULL, "null sender", PICK(LQ_SEL_BOUNCES) },
    { "local", 0, NULL, "submitted on this machine", PICK(LQ_SEL_LOCAL) },
    { "damaged", 0, NULL, "with problems", PICK(LQ_SEL_DAMAGED) },
    { "expression", 'e', "EXPR", "and or not ( ) == != < <= > >= = (pattern) ~ (regex) in, over all fields: mqselect(7)",
      .set = set_expression, .value = LQ_SEL_COUNT },
    { "use", 0, "NAME", "what was kept by --save", .set = set_use, .value = LQ_SEL_COUNT },
    { "ids-from", 0, "FILE", "ids in a file, between blanks or NULs; - is standard input", INTO(set_ids, ids) },

    { "save", 0, "NAME", "keep this selection as NAME, for --use; nothing else is done", INTO(opt_text, save) },
    { "explain", 0, NULL, "say in words what is selected, and what must be read; nothing else is done", INTO(opt_flag, explain) },

    { .heading = "Which queues" },
    { "spool", 0, "DIR", "this spool directory, live, stopped, copied or mounted; repeatable",
      INTO(set_word, spools) },
    { "mta", 0, "NAME", "only exim, postfix or sendmail; repeatable", INTO(set_word, mtas), .words = "exim postfix sendmail" },
    { "host", 0, "NAME", "the host that the spool comes from", INTO(opt_text, host) },
    { "now", 0, "TIME", "count ages from here", .set = set_now },
    { "config", 0, "FILE", "defaults, instead of /etc/mqtools.conf: mqtools.conf(5)", INTO(opt_text, config) },
    { "threads", 0, "N", "readers side by side; the output is the same", INTO(opt_count, threads),
      .value = 1 },
    { 0 }
};

const struct opt select_from_options[] = {
    { "from", 0, "FILE", "records that mqgrep -j wrote, instead of queues; - is standard input; repeatable", INTO(set_word, from) },
    { 0 }
};

/* --- opening --- */

/* Each directory of a queue stays open while it is read, and a hashed queue has hundreds. */
static void raise_open_files(void)
{
    struct rlimit files;

    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
}

void select_begin(struct selection *s)
{
    struct lq_error err;

    /* Left alone, the C library raises this with each large message, and every thread then keeps what it once needed. */
    mallopt(M_MMAP_THRESHOLD, 128 << 10);
    raise_open_files();
    *s = (struct selection){ 0 };
    if (lq_filter_new(&s->filter, &err) < 0)
        report_no_memory();
}

static bool configure_trust(struct selection *s)
{
    struct lq_error err;

    if (s->trust || !s->conf.trust)
        return true;
    if (lq_trust_new(&s->trust, &err) < 0)
        report_no_memory();
    if (lq_trust_add(s->trust, s->conf.trust, &err) == LQ_OK)
        return true;
    report(REPORT_FAILED, "%s, trust: %s", s->conf.path, err.text);
    return false;
}

enum opts_result select_configure(struct selection *s)
{
    return conf_read(&s->conf, s->config) && configure_trust(s) ? OPTS_GO : OPTS_WRONG;
}

int select_operand(struct selection *s, const char *word, struct lq_error *err)
{
    if (!*word)
        return opts_wrong(err, "an argument is empty");
    if (strcmp(word, "-") == 0)
        return ids_read(&s->ids, word, err);
    return ids_add(&s->ids, word, strlen(word), err);
}

static bool add_ids(struct lq_filter *filter, const struct ids *ids)
{
    struct lq_error err;

    for (size_t i = 0; i < ids->n; i++) {
        if (lq_filter_add(filter, LQ_SEL_ID, ids->list[i].text, &err) < 0) {
            report(REPORT_FAILED, "%s", err.text);
            return false;
        }
    }
    return true;
}

/* The same directory named twice, or found twice, must not count twice. */
static bool already_open(const struct selection *s, const char *dir)
{
    struct stat a, b;

    if (stat(dir, &a) < 0)
        return false;
    for (size_t i = 0; i < s->queue_count; i++)
        if (stat(lq_queue_dir(s->queues[i].queue), &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino)
            return true;
    return false;
}

static void add_queue(struct selection *s, struct lq_queue *queue, bool lent)
{
    struct taken *queues = realloc(s->queues, (s->queue_count + 1) * sizeof(*queues));

    if (!queues)
        report_no_memory();
    lq_queue_trust(queue, s->trust);
    s->queues = queues;
    queues[s->queue_count++] = (struct taken){ .queue = queue, .lent = lent };
}

static bool wanted_mta(const struct selection *s, const char *mta)
{
    for (size_t i = 0; i < s->mtas.n; i++)
        if (strcmp(s->mtas.items[i], mta) == 0)
            return true;
    return s->mtas.n == 0;
}

/* One --mta says what a directory is, whatever it looks like; several say what it may be. */
static void open_named(struct selection *s)
{
    const char *mta = s->mtas.n == 1 ? s->mtas.items[0] : NULL;

    for (size_t i = 0; i < s->spools.n; i++) {
        const char *dir = s->spools.items[i];
        struct lq_queue *queue;
        struct lq_error err;

        if (already_open(s, dir)) {
            report(REPORT_NOTE, "%s is named twice; taken once", dir);
        } else if (lq_queue_open(&queue, mta, dir, s->host, &err) < 0) {
            report(REPORT_UNREADABLE, "%s", err.text);
        } else if (!wanted_mta(s, lq_queue_mta(queue))) {
            report(REPORT_FAILED, "%s: this is a queue of %s, which --mta leaves out", dir, lq_queue_mta(queue));
            lq_queue_close(queue);
        } else {
            add_queue(s, queue, false);
        }
    }
}

bool select_from_stdin(const struct selection *s)
{
    for (size_t i = 0; i < s->from.n; i++)
        if (strcmp(s->from.items[i], "-") == 0)
            return true;
    return false;
}

/* What goes with queues does not go with records; false after saying so. */
static bool from_agrees(const struct selection *s)
{
    const char *other = s->spools.n ? "--spool" : s->mtas.n ? "--mta" : s->host ? "--host" : s->trusted.n ? "--trust" : NULL;

    if (other)
        report(REPORT_FAILED, "--from takes records in place of queues, and %s is about queues: only one of them", other);
    if (!other && select_from_stdin(s) && s->ids.standard_input) {
        other = "-";
        report(REPORT_FAILED, "standard input cannot be both ids and records");
    }
    return !other;
}

static bool named_before(const struct selection *s, size_t which)
{
    for (size_t i = 0; i < which; i++)
        if (strcmp(s->from.items[i], s->from.items[which]) == 0)
            return true;
    return strcmp(s->from.items[which], "-") != 0 && already_open(s, s->from.items[which]);
}

static void open_from(struct selection *s)
{
    for (size_t i = 0; i < s->from.n; i++) {
        struct lq_queue *queue;
        struct lq_error err;

        if (named_before(s, i))
            report(REPORT_NOTE, "%s is named twice; taken once", s->from.items[i]);
        else if (lq_records_open(&queue, s->from.items[i], &err) < 0)
            report(REPORT_UNREADABLE, "%s", err.text);
        else
            add_queue(s, queue, false);
    }
}

static void open_list(struct selection *s, const struct lq_spools *list)
{
    for (size_t i = 0; i < lq_spools_count(list); i++) {
        struct lq_queue *queue;
        struct lq_error err;

        if (already_open(s, lq_spools_dir(list, i)))
            continue;
        if (lq_spools_open(&queue, list, i, s->host, &err) < 0) {
            report(REPORT_UNREADABLE, "%s", err.text);
            continue;
        }
        report(REPORT_NOTE, "%s (%s; %s)", lq_queue_dir(queue), lq_queue_mta(queue), lq_spools_origin(list, i));
        add_queue(s, queue, false);
    }
}

static void open_found(struct selection *s)
{
    size_t rounds = s->mtas.n ? s->mtas.n : 1, found = 0;

    for (size_t i = 0; i < rounds; i++) {
        struct lq_spools *list;
        struct lq_error err;

        if (lq_spools_find(&list, s->mtas.n ? s->mtas.items[i] : NULL, &err) < 0) {
            report(REPORT_FAILED, "%s", err.text);
            return;
        }
        found += lq_spools_count(list);
        open_list(s, list);
        lq_spools_free(list);
    }
    if (found == 0 && s->mtas.n == 1)
        report(REPORT_FAILED, "no queue of %s found on this machine; name one with --spool DIR", s->mtas.items[0]);
    else if (found == 0)
        report(REPORT_FAILED, "no mail queue found on this machine; name one with --spool DIR");
}

int64_t select_now(struct selection *s, size_t i)
{
    struct taken *t = &s->queues[i];

    if (s->fixed_now)
        return s->now;
    if (t->now == 0)
        t->now = lq_queue_now(t->queue);
    return t->now;
}

void select_say_ages(struct selection *s)
{
    if (s->ages_said)
        return;
    s->ages_said = true;
    for (size_t i = 0; i < s->queue_count; i++) {
        struct text when = { 0 };
        int64_t now = select_now(s, i);

        if (s->fixed_now || lq_queue_live(s->queues[i].queue))
            continue;
        text_time(&when, now);
        report(REPORT_NOTE, "%s: ages count from its last change, %.*s (--now TIME changes that)",
               lq_queue_dir(s->queues[i].queue), (int)when.n, when.p);
        text_done(&when);
    }
}

bool select_finish(struct selection *s)
{
    ids_sort(&s->ids);
    if (!add_ids(s->filter, &s->ids))
        return false;
    if (s->inverted)
        lq_filter_invert(s->filter);
    return true;
}

/* What the file names, but for --mta; a directory there is what it looks like. */
static void open_configured(struct selection *s)
{
    for (size_t i = 0; i < s->conf.spool_count; i++) {
        const char *dir = s->conf.spools[i];
        struct lq_queue *queue;
        struct lq_error err;

        if (already_open(s, dir))
            continue;
        if (lq_queue_open(&queue, NULL, dir, s->host, &err) < 0) {
            report(REPORT_UNREADABLE, "%s", err.text);
        } else if (!wanted_mta(s, lq_queue_mta(queue))) {
            lq_queue_close(queue);
        } else {
            report(REPORT_NOTE, "%s (%s; %s)", lq_queue_dir(queue), lq_queue_mta(queue), s->conf.path);
            add_queue(s, queue, false);
        }
    }
    if (s->queue_count == 0)
        report(REPORT_FAILED, "%s names no spool that could be opened; --spool DIR names one", s->conf.path);
}

bool select_open(struct selection *s)
{
    if (!select_finish(s))
        return false;
    if (s->from.n > 0 && !from_agrees(s))
        return false;
    if (s->from.n > 0)
        open_from(s);
    else if (s->spools.n > 0)
        open_named(s);
    else if (s->conf.spool_count > 0)
        open_configured(s);
    else
        open_found(s);
    if (lq_filter_asks_now(s->filter))
        select_say_ages(s);
    return s->queue_count > 0;
}

void select_lend(struct selection *s, struct lq_queue *queue)
{
    add_queue(s, queue, true);
}

void select_close(struct selection *s)
{
    for (size_t i = 0; i < s->queue_count; i++) {
        if (s->queues[i].lent)
            lq_queue_trust(s->queues[i].queue, NULL);
        else
            lq_queue_close(s->queues[i].queue);
    }
    free(s->queues);
    s->queues = NULL;
    s->queue_count = 0;
    s->ages_said = false;
}

bool select_narrows(const struct selection *s)
{
    return s->pick_count > 0 || s->ids.given;
}

bool select_has(const struct selection *s, enum lq_selector sel)
{
    for (size_t i = 0; i < s->pick_count; i++)
        if ((enum lq_selector)s->picks[i].opt->value == sel)
            return true;
    return false;
}

void select_end(struct selection *s)
{
    select_close(s);
    lq_filter_free(s->filter);
    lq_trust_free(s->trust);
    conf_done(&s->conf);
    free(s->picks);
    free(s->spools.items);
    free(s->mtas.items);
    free(s->from.items);
    free(s->trusted.items);
    ids_done(&s->ids);
    for (size_t i = 0; i < s->used_count; i++)
        free(s->used[i]);
    free(s->used);
    *s = (struct selection){ 0 };
}

/* --- walking --- */

/* An empty list of ids selects nothing, also turned round: it is more likely a mistake than a wish for everything. */
static bool selects_nothing(const struct selection *s)
{
    return s->ids.given && s->ids.n == 0;
}

static bool begin_scan(struct walk *w)
{
    struct selection *s = w->sel;
    struct lq_scan_opts opts = {
        .size = sizeof(opts),
        .filter = w->filter,
        .fields = w->fields,
        .threads = (unsigned)s->threads,
        .now = s->fixed_now ? s->now : s->queues[w->index].now,
    };
    struct lq_error err;

    if (lq_scan_begin(&w->scan, s->queues[w->index].queue, &opts, &err) == LQ_OK)
        return true;
    if (!w->quiet)
        report(REPORT_UNREADABLE, "%s", err.text);
    w->scan = NULL;
    w->failed++;
    return false;
}

static void end_scan(struct walk *w)
{
    struct lq_scan_stats stats = lq_scan_stats(w->scan);
    const char *sentence;

    w->vanished += stats.vanished;
    w->undecided += stats.undecided;
    w->stopped += stats.stopped;
    for (size_t i = 0; !w->quiet && (sentence = lq_scan_trouble(w->scan, i)); i++)
        report(REPORT_UNREADABLE, "%s", sentence);
    if (w->kept)
        w->kept[w->index] = w->scan;
    else
        lq_scan_end(w->scan);
    w->scan = NULL;
    w->index++;
}

int walk_next(struct walk *w, const struct lq_record **rec)
{
    struct lq_error err;

    while (w->index < w->sel->queue_count && !selects_nothing(w->sel)) {
        int rc;

        if (!w->scan && !begin_scan(w)) {
            w->index++;
            continue;
        }
        rc = lq_scan_next(w->scan, rec, &err);
        if (rc == LQ_OK) {
            w->selected++;
            if (w->sel->ids.n)
                ids_seen(&w->sel->ids, lq_record_text(*rec, LQ_QUEUE_ID));
            return LQ_OK;
        }
        if (rc < 0 && !w->quiet)
            report(REPORT_UNREADABLE, "%s", err.text);
        end_scan(w);
    }
    return LQ_END;
}

bool walk_saw_any(const struct walk *w)
{
    return w->failed < w->sel->queue_count;
}

/* Said of ids only where nothing else could have left the message out. */
const char *walk_missing(const struct walk *w, size_t *i)
{
    const struct selection *s = w->sel;

    if (s->pick_count > 0 || s->inverted)
        return NULL;
    while (*i < s->ids.n && s->ids.list[*i].seen)
        ++*i;
    return *i < s->ids.n ? s->ids.list[(*i)++].text : NULL;
}

static void report_missing(const struct walk *w)
{
    const char *id;

    for (size_t i = 0; (id = walk_missing(w, &i));)
        report(REPORT_NOT_FOUND, "not %s: %s", w->sel->from.n ? "among the records" : "in the queue", id);
}

static const char *plural(uint64_t n)
{
    return n == 1 ? "" : "s";
}

void walk_end(struct walk *w)
{
    bool whole = w->index >= w->sel->queue_count || selects_nothing(w->sel);

    if (w->scan) {
        lq_scan_end(w->scan);
        w->scan = NULL;
    }
    /* How far readers ran ahead of an early end is chance; it must not show. */
    if (w->quiet || !whole)
        return;
    if (w->vanished)
        report(REPORT_NOTE, "%llu message%s left the queue while it was being read", (unsigned long long)w->vanished,
               plural(w->vanished));
    if (w->undecided > w->stopped)
        report(REPORT_UNREADABLE, "%llu message%s not selected, because what the selection asks for could not be read",
               (unsigned long long)(w->undecided - w->stopped), plural(w->undecided - w->stopped));
    if (w->stopped)
        report(REPORT_UNREADABLE, "%llu message%s not selected, because a regular expression took too long on %s and was stopped",
               (unsigned long long)w->stopped, plural(w->stopped), w->stopped == 1 ? "it" : "them");
    if (!w->missing_told)
        report_missing(w);
}

/* --- hints --- */

/* Selectors whose pattern can name one text exactly. */
static const struct {
    enum lq_selector sel;
    const char *noun;
} exact_nouns[] = {
    { LQ_SEL_SENDER, "sender" },          { LQ_SEL_RECIPIENT, "recipient" },
    { LQ_SEL_RECIPIENT_ALL, "recipient" }, { LQ_SEL_USER, "account" },
    { LQ_SEL_SUBJECT, "subject" },        { LQ_SEL_HELO, "HELO name" },
    { LQ_SEL_CLIENT_NAME, "client name" }, { LQ_SEL_REASON, "reason" },
    { LQ_SEL_BODY, "text of a body" },     { LQ_SEL_PROTOCOL, "protocol" },      { LQ_SEL_QUEUE, "queue name" },
};

static const char *exact_noun(const struct pick *p)
{
    const char *v = p->value;

    if (!v || !text_plain(v, strlen(v)) || strpbrk(v, "*?\\/<"))
        return NULL;
    if (v[0] == '@' || (v[0] == '=' && !v[1]))
        return NULL;
    for (size_t i = 0; i < sizeof(exact_nouns) / sizeof(exact_nouns[0]); i++)
        if ((enum lq_selector)p->opt->value == exact_nouns[i].sel)
            return exact_nouns[i].noun;
    return NULL;
}

/* The selection again, with pick `which` widened to `pattern`, and picks of kind `from` as kind `to`. NULL when it makes no sense. */
static struct lq_filter *altered(const struct selection *s, size_t which, const char *pattern, enum lq_selector from,
                                 enum lq_selector to)
{
    struct lq_filter *filter;
    struct lq_error err;

    if (lq_filter_new(&filter, &err) < 0)
        return NULL;
    for (size_t i = 0; i < s->pick_count; i++) {
        const struct pick *p = &s->picks[i];
        enum lq_selector sel = (enum lq_selector)p->opt->value;

        if (p->expression ? lq_filter_expression(filter, p->expression, NULL, &err) < 0
                          : lq_filter_add(filter, sel == from ? to : sel, i == which ? pattern : p->value, &err) < 0) {
            lq_filter_free(filter);
            return NULL;
        }
    }
    if (!add_ids(filter, &s->ids)) {
        lq_filter_free(filter);
        return NULL;
    }
    return filter;
}

static uint64_t count_with(struct selection *s, const struct lq_filter *filter)
{
    struct walk w = { .sel = s, .filter = filter, .quiet = true };
    const struct lq_record *rec;

    while (walk_next(&w, &rec) == LQ_OK)
        ;
    walk_end(&w);
    return w.selected;
}

uint64_t select_count_as(struct selection *s, enum lq_selector from, enum lq_selector to)
{
    struct lq_filter *filter = altered(s, s->pick_count, NULL, from, to);
    uint64_t n = filter ? count_with(s, filter) : 0;

    lq_filter_free(filter);
    return n;
}

static void put_option(struct text *t, const struct opt *o)
{
    if (o->letter)
        text_format(t, "-%c", o->letter);
    else
        text_format(t, "--%s", o->name);
}

static bool hint_one(struct selection *s, size_t which, const char *noun)
{
    const char *value = s->picks[which].value;
    struct text pattern = { 0 }, line = { 0 };
    struct lq_filter *filter;
    uint64_t n = 0;

    value += value[0] == '=';
    text_format(&pattern, "*%s*", value);
    text_char(&pattern, '\0');
    filter = altered(s, which, pattern.p, LQ_SEL_COUNT, LQ_SEL_COUNT);
    if (filter)
        n = count_with(s, filter);
    lq_filter_free(filter);
    if (n > 0) {
        text_format(&line, "no %s is exactly %s; ", noun, value);
        text_count(&line, n);
        text_put(&line, n == 1 ? " contains it: " : " contain it: ");
        put_option(&line, s->picks[which].opt);
        text_char(&line, ' ');
        text_shell(&line, pattern.p, pattern.n - 1);
        report(REPORT_NOTE, "%.*s", (int)line.n, line.p);
    }
    text_done(&pattern);
    text_done(&line);
    return n > 0;
}

void select_hint(struct selection *s)
{
    enum { LOOKS = 3 };     /* each look reads the whole queue once more */
    size_t looks = 0;

    if (s->inverted || selects_nothing(s))
        return;
    for (size_t i = 0; i < s->pick_count && looks < LOOKS; i++) {
        const char *noun = exact_noun(&s->picks[i]);

        if (noun) {
            hint_one(s, i, noun);
            looks++;
        }
    }
}

/* --- a command to paste --- */

static bool put_value(struct text *t, const char *value)
{
    if (!text_plain(value, strlen(value)))
        return false;
    text_char(t, ' ');
    text_shell(t, value, strlen(value));
    return true;
}

bool select_command(const struct selection *s, const char *command, struct text *t)
{
    /* An age means other messages a minute later. */
    bool fine = !s->ids.given && !s->inverted && !lq_filter_asks_now(s->filter);

    text_put(t, command);
    if (s->config) {
        text_put(t, " --config");
        fine = fine && put_value(t, s->config);
    }
    for (size_t i = 0; i < s->spools.n && fine; i++) {
        text_put(t, " --spool");
        fine = put_value(t, s->spools.items[i]);
    }
    for (size_t i = 0; i < s->mtas.n && fine; i++) {
        text_put(t, " --mta");
        fine = put_value(t, s->mtas.items[i]);
    }
    for (size_t i = 0; i < s->from.n && fine; i++) {
        text_put(t, " --from");
        fine = strcmp(s->from.items[i], "-") != 0 && put_value(t, s->from.items[i]);
    }
    for (size_t i = 0; i < s->trusted.n && fine; i++) {
        text_put(t, " --trust");
        fine = put_value(t, s->trusted.items[i]);
    }
    for (size_t i = 0; i < s->pick_count && fine; i++) {
        const struct pick *p = &s->picks[i];

        text_char(t, ' ');
        if (p->expression)
            text_put(t, "-e");
        else
            put_option(t, p->opt);
        if (p->value)
            fine = put_value(t, p->expression ? p->expression : p->value);
    }
    return fine;
}
