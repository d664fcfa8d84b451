/* Putting messages of cases back. */
#include "restore.h"

#include <string.h>

#include "report.h"

/* What each server's clock says of mail that was away; sources in mqquarantine(8). */
static const struct { const char *mta, *sentence; } ages[] = {
    { "postfix", "Postfix counts age from the arrival: older than maximal_queue_lifetime (5 days, if not set), one more attempt, then it "
                 "goes back to its sender" },
    { "exim", "Exim counts age from the arrival: past the last retry rule it is returned at its first temporary failure, and frozen mail "
              "past timeout_frozen_after at the next queue run" },
    { "sendmail", "Sendmail counts age from the arrival: past Timeout.queuereturn (5 days, if not set) the first failure returns it to its "
                  "sender" },
};

static void say_ages(const struct selection *sel)
{
    for (size_t k = 0; k < sizeof(ages) / sizeof(ages[0]); k++)
        for (size_t i = 0; i < sel->queue_count; i++)
            if (strcmp(lq_queue_mta(sel->queues[i].queue), ages[k].mta) == 0) {
                report(REPORT_NOTE, "%s", ages[k].sentence);
                break;
            }
}

static bool lend(struct acting *a, struct lq_case *c)
{
    const struct lq_case_info *info = lq_case_info(c);

    for (size_t i = 0; i < info->spools; i++) {
        struct lq_queue *queue;
        struct lq_error err;

        if (lq_case_queue(&queue, c, i, &err) < 0) {
            report(REPORT_FAILED, "%s", err.text);
            return false;
        }
        select_lend(&a->sel, queue);
    }
    return true;
}

/* Before the copies are unpacked and read. */
static bool may_go_back(struct acting *a, const struct lq_case *c)
{
    const struct lq_case_info *info = lq_case_info(c);

    if (info->redacted) {
        report(REPORT_FAILED, "%s is redacted: it tells of messages, but holds none that could be put back", info->name);
        return !(a->refused = true);
    }
    if (info->strangers) {
        report(REPORT_FAILED, "%s: others than root or you may change this directory at any moment, so nothing of it is put back (show and verify read it)",
               info->path);
        return !(a->refused = true);
    }
    if (info->elsewhere && !a->again) {
        report(REPORT_FAILED, "%s is a copy, or lies in no vault that made it: its messages may be in a queue or delivered already, and restoring could "
                              "deliver them twice (--again does it all the same)", info->path);
        return !(a->refused = true);
    }
    if (info->custody == LQ_COPY && !a->again) {
        report(REPORT_FAILED, "%s holds copies, not the messages that were taken out of a queue: restoring would deliver them twice (--again "
                              "does it all the same)", info->name);
        return !(a->refused = true);
    }
    return true;
}

void restore_run(struct acting *a, struct cases *c)
{
    a->verb = LQ_RESTORE;
    a->done_word = "put back";
    a->lent = true;
    if (a->again)
        a->asking = ASK_NUMBER;
    for (size_t i = 0; i < c->n; i++)
        if (!may_go_back(a, c->list[i]))
            return;
    if (a->again && a->yes && !a->expect) {
        report(REPORT_FAILED, "--again can deliver messages twice: --yes is not enough, --expect N is");
        a->refused = true;
        return;
    }
    select_close(&a->sel);
    for (size_t i = 0; i < c->n; i++)
        if (!lend(a, c->list[i]))
            return;
    for (size_t i = 0; i < c->n; i++)
        a->went_all += lq_case_info(c->list[i])->restored;
    say_ages(&a->sel);
    acting_run(a);
}
