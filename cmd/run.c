/* A job while it runs. */
#include "run.h"

#include <string.h>
#include <time.h>
#include <unistd.h>

#include "report.h"

/* --- a line for each message --- */

static const char *const results[] = { [LQ_DONE] = "done", [LQ_SKIPPED] = "skipped", [LQ_FAILED] = "failed" };

static void json_member(struct text *t, const char *key, const char *value)
{
    if (!value)
        return;
    text_format(t, ",\"%s\":", key);
    text_json(t, value, strlen(value));
}

static void json_line(struct text *t, const struct acting *a, const struct lq_outcome *o)
{
    text_format(t, "{\"schema\":\"mqtools.outcome/1\",\"verb\":\"%s\",\"result\":\"%s\"", a->word, results[o->result]);
    json_member(t, "mta", o->mta);
    json_member(t, "spool", o->spool);
    json_member(t, "queue_id", o->id);
    json_member(t, "state", o->state);
    json_member(t, "new_id", o->new_id);
    json_member(t, "text", o->text);
    text_put(t, o->already ? ",\"already\":true" : "");
    text_put(t, "}\n");
}

/* "take 1xUroU-0003xZ-2Y: skipped: it is being delivered" */
static void plain_line(struct text *t, const struct acting *a, const struct lq_outcome *o)
{
    text_format(t, "%s ", a->word);
    text_escape(t, o->id, strlen(o->id), ESCAPE_BLANKS);
    text_format(t, ": %s", results[o->result]);
    if (o->new_id) {
        text_put(t, ", its id is now ");
        text_escape(t, o->new_id, strlen(o->new_id), ESCAPE_BLANKS);
    }
    if (o->text) {
        text_put(t, ": ");
        text_escape(t, o->text, strlen(o->text), 0);
    }
    text_char(t, '\n');
}

/* What went as it should, or was so before, is only counted. */
static bool is_told(const struct acting *a, const struct lq_outcome *o)
{
    return a->json || a->each || (!o->already && (o->result != LQ_DONE || o->text || o->new_id));
}

void run_line(const struct acting *a, const struct lq_outcome *o)
{
    struct text raw = { 0 }, line = { 0 };

    if (!is_told(a, o))
        return;
    if (a->json) {
        json_line(&raw, a, o);
        text_json_line(&line, raw.p, raw.n - 1, isatty(STDOUT_FILENO));
        text_char(&line, '\n');
    } else {
        plain_line(&line, a, o);
    }
    output(line.p, line.n);
    text_done(&raw);
    text_done(&line);
}

/* --- progress and rate --- */

struct pace {
    struct timespec begun, shown;
    bool terminal;              /* standard error is one */
    bool visible;               /* a line of progress stands there */
    uint64_t n, of;
};

static double since(const struct timespec *then)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - then->tv_sec) + (double)(now.tv_nsec - then->tv_nsec) / 1e9;
}

static void begin_pace(struct pace *p, uint64_t of)
{
    *p = (struct pace){ .terminal = isatty(STDERR_FILENO), .of = of };
    clock_gettime(CLOCK_MONOTONIC, &p->begun);
    p->shown = p->begun;
}

static void wipe(struct pace *p)
{
    if (p->visible)
        fputs("\r\033[K", stderr);
    p->visible = false;
}

static void show_pace(struct pace *p, const struct acting *a)
{
    struct text t = { 0 };

    if (!p->terminal || since(&p->shown) < 0.2)
        return;
    clock_gettime(CLOCK_MONOTONIC, &p->shown);
    text_format(&t, "\r%s: ", a->word);
    text_count(&t, p->n);
    text_put(&t, " of ");
    text_count(&t, p->of);
    text_put(&t, "\033[K");
    fwrite(t.p, 1, t.n, stderr);
    text_done(&t);
    p->visible = true;
}

/* The n-th message is due n / rate seconds after the first. */
static void keep_rate(const struct pace *p, unsigned long rate)
{
    double ahead = rate ? (double)p->n / (double)rate - since(&p->begun) : 0;

    if (ahead > 0) {
        output_flush();
        acting_sleep(ahead);
    }
}

/* --- the job --- */

enum { BATCH = 64 };

/* Messages between two syncs: a tenth of a second's worth, so that a slow rate is an even one; 0: as the library finds best. */
static unsigned batch(const struct acting *a)
{
    unsigned long n = a->rate / 10;

    if (a->rate == 0)
        return 0;
    return n > BATCH ? BATCH : n ? (unsigned)n : 1;
}

static int begin(struct lq_job **job, struct acting *a, struct lq_error *err)
{
    struct lq_job_opts opts = {
        .size = sizeof(opts), .verb = a->verb, .vault = a->vault, .why = a->why, .command = a->command.p,
        .hold_reason = a->hold_reason, .filter = a->verb == LQ_RESTORE ? NULL : a->sel.filter,
        .now = a->sel.fixed_now ? a->sel.now : select_now(&a->sel, 0), .undo = a->undo, .active = a->active,
        .again = a->again, .nfs_ok = a->nfs_ok, .dry = a->dry, .batch = batch(a),
    };

    return lq_job_begin(job, a->set, &opts, err);
}

/* Whether this option stands there already, and is not only the beginning of another one. */
static bool has_option(const struct text *all, const struct text *option)
{
    const char *p = all->p, *end = p ? p + all->n : NULL;

    while (p && (p = memmem(p, (size_t)(end - p), option->p, option->n))) {
        p += option->n;
        if (p == end || *p == ' ')
            return true;
    }
    return false;
}

/* What came back as it was taken, held by its server: nothing delivers it until somebody lets it go. */
static void note_held(struct acting *a, const struct lq_outcome *o)
{
    struct text option = { 0 };
    const char *id = o->new_id ? o->new_id : o->id;

    a->held++;
    text_put(&option, " --spool ");
    text_shell(&option, o->spool, strlen(o->spool));
    if (!has_option(&a->held_spools, &option))
        text_add(&a->held_spools, option.p, option.n);
    text_done(&option);
    if (a->held > HELD_NAMED)
        return;
    text_char(&a->held_ids, ' ');
    text_shell(&a->held_ids, id, strlen(id));
}

static void note(struct acting *a, const struct lq_outcome *o)
{
    a->already += o->already;
    if (o->already)
        return;
    a->done += o->result == LQ_DONE;
    a->skipped += o->result == LQ_SKIPPED;
    a->failed += o->result == LQ_FAILED;
    if (o->result == LQ_SKIPPED)
        acting_skipped(a, o->spool, o->id);
    if (a->verb == LQ_RESTORE && o->result == LQ_DONE && o->state && strcmp(o->state, "held") == 0)
        note_held(a, o);
    /* What is put back has the state that it had when it was taken. */
    a->stayed += a->verb != LQ_RESTORE && !a->active && o->result == LQ_SKIPPED && o->state && strcmp(o->state, "active") == 0 &&
                 strcmp(o->mta, "postfix") == 0;
}

/* What is being worked on when a signal comes is finished and told. */
static int next(struct lq_job *job, const struct lq_outcome **o, struct lq_error *err)
{
    if (acting_interrupted())
        lq_job_stop(job);
    return lq_job_next(job, o, err);
}

/* Why a job could not go on; where a disk is full or a quota used up, what helps. */
static void tell_failure(const struct lq_error *err, const char *then)
{
    report(REPORT_FAILED, "%s", err->text);
    if (err->status == LQ_ENOSPC)
        report(REPORT_NOTE, "make room for the vault and for the queue, on the disk or in the quota; %s", then);
}

static const char again[] = "then run the same command again", finish[] = "'mqquarantine recover' ends what was begun, 'mqquarantine seal' seals the case";

static void work(struct acting *a, struct lq_job *job)
{
    const struct lq_outcome *o;
    struct lq_error err;
    struct pace pace;
    int rc = LQ_OK;

    begin_pace(&pace, lq_set_count(a->set));
    while ((rc = next(job, &o, &err)) == LQ_OK) {
        pace.n++;
        note(a, o);
        if (is_told(a, o))
            wipe(&pace);
        run_line(a, o);
        show_pace(&pace, a);
        keep_rate(&pace, a->rate);
    }
    wipe(&pace);
    if (rc < 0)
        tell_failure(&err, again);
}

/* Of a job that others can be told of: one that filled a case, or held something. */
static void keep_name(struct acting *a, const struct lq_job *job, uint64_t done)
{
    const char *name = lq_job_name(job);

    if (!name || (a->verb == LQ_HOLD ? done == 0 : !lq_job_case(job, 0)))
        return;
    text_put(&a->names, a->names.n ? " " : "");
    text_put(&a->names, name);
    if (!a->where.n && lq_job_case(job, 0)) {
        const char *path = lq_job_case(job, 0), *slash = strrchr(path, '/');

        text_add(&a->where, path, slash ? (size_t)(slash - path) : strlen(path));
        text_char(&a->where, '\0');
    }
}

/* Held mail is no safe store. */
static void warn(const struct lq_job *job)
{
    char sentence[256];

    for (size_t i = 0; lq_job_warning(job, i, sentence) == LQ_OK; i++)
        if (*sentence)
            report(REPORT_NOTE, "%s", sentence);
}

bool run_job(struct acting *a)
{
    struct lq_job *job;
    struct lq_error err;
    uint64_t before = a->done;

    if (begin(&job, a, &err) < 0) {
        tell_failure(&err, again);
        return false;
    }
    warn(job);
    work(a, job);
    keep_name(a, job, a->done - before);
    if (lq_job_end(job, &err) < 0)
        tell_failure(&err, finish);
    return true;
}
