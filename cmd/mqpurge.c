/* mqpurge: the selected messages, deleted, through an undo case if not told otherwise; or returned to their senders. */
#include <string.h>

#include "acting.h"
#include "cases.h"
#include "explain.h"
#include "report.h"
#include "restore.h"

struct purge {
    struct acting a;
    bool no_undo, bounce;
    const char *job;            /* --undo */
    struct cases cases;
};

#define INTO(setter, member) .set = (setter), .at = offsetof(struct purge, member)

static const struct opt options[] = {
    { .heading = "Deleting" },
    { "no-undo", 0, NULL, "delete at once, without the undo case", INTO(opt_flag, no_undo) },
    { "bounce", 0, NULL, "let the mail server return them to their senders instead; cannot be undone", INTO(opt_flag, bounce) },
    { "undo", 0, "JOB", "put back what this job deleted", INTO(opt_text, job) },
    { "again", 0, NULL, "with --undo: also what went back before; it can be delivered twice", INTO(opt_flag, a.again) },
    { .inherit = acting_options, .at = offsetof(struct purge, a) },
    { 0 }
};

static int operand(void *base, const char *word, struct lq_error *err)
{
    return select_operand(&((struct purge *)base)->a.sel, word, err);
}

static const struct opts_program program = {
    .name = "mqpurge",
    .usage = "--why TEXT SELECTION... [ID]...\n       mqpurge --undo JOB",
    .summary = "Delete the messages of mail queues that fit, into an undo case for seven days.",
    .footer = "ID may be - for ids on standard input.\n"
              "Exit status: 0 all done, 1 nothing fits, 2 usage or refused (nothing changed),\n"
              "3 partly done, 130 interrupted.\n",
    .rows = options,
    .operand = operand,
};

static bool wrong(struct purge *p, const char *sentence)
{
    report(REPORT_FAILED, "%s", sentence);
    return !(p->a.refused = true);
}

static void undo(struct purge *p)
{
    p->a.word = "restore";
    p->a.lent = true;
    if (p->no_undo)
        wrong(p, "--undo and --no-undo do not go together");
    else if (p->bounce)
        wrong(p, "--undo puts back what was deleted: it does not go with --bounce");
    else if (!acting_is_job(p->job) && !strchr(p->job, '/'))
        wrong(p, "--undo wants the name of a job, as mqpurge and mqquarantine list show it");
    else if (acting_guard(&p->a) &&
             (strchr(p->job, '/') ? select_finish(&p->a.sel) : cases_vaults(&p->cases, p->a.vault, &p->a.sel)) &&
             cases_open(&p->cases, p->job))
        restore_run(&p->a, &p->cases);
}

static void purge(struct purge *p)
{
    p->a.undo = !p->no_undo;
    if (p->bounce) {
        p->a.verb = LQ_BOUNCE;
        p->a.program = "mqpurge --bounce";
        p->a.word = "bounce";
        p->a.done_word = "given up";
        p->a.undo = false;
    }
    if (p->a.again)
        wrong(p, "--again goes with --undo only");
    else if (p->bounce && p->no_undo)
        wrong(p, "--bounce has no undo case to leave out: it does not go with --no-undo");
    else if (!acting_guard(&p->a))
        return;
    else if (!p->a.why)
        wrong(p, "--why TEXT says why; it is recorded");
    else if (select_open(&p->a.sel))
        acting_run(&p->a);
}

int main(int argc, char **argv)
{
    struct purge p = { .a = { .verb = LQ_PURGE, .program = "mqpurge", .word = "purge", .done_word = "deleted", .asking = ASK_NUMBER } };
    enum opts_result parsed;
    int status;

    report_begin(program.name);
    acting_begin(&p.a, argc, argv);
    parsed = opts_parse(&program, &p, argc, argv);
    if (parsed == OPTS_GO)
        parsed = acting_configure(&p.a);
    if (parsed == OPTS_GO)
        parsed = select_aside(&p.a.sel);
    if (parsed == OPTS_GO && p.job)
        undo(&p);
    else if (parsed == OPTS_GO)
        purge(&p);
    status = acting_end(&p.a);
    cases_end(&p.cases);
    return status;
}
