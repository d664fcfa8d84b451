/*
 * What Postfix's queue manager has in its memory and the queue does not show. It may still have a held message there, from before somebody put it on hold
 * while it was being delivered, and aborts when such a message comes back under it (3.7, tried): so it is asked before anything on hold goes on its
 * way. And a message of its active queue with nobody left to deliver to is one that it is about to delete.
 */
#include <string.h>

#include "act.h"

/* Every recipient that is left was put off: the queue manager was through with it. It deletes these reasons when it takes a message up again (3.7). */
static bool all_put_off(const struct lq_record *rec)
{
    const struct lq_recipient *r;
    size_t n;

    r = lq_record_recipients(rec, LQ_RECIPIENTS, &n);
    for (size_t i = 0; i < n; i++)
        if (r[i].delay_reason.n == 0)
            return false;
    return n > 0 && n == lq_record_recipient_count(rec, LQ_RECIPIENTS);
}

/*
 * Nobody ever tried it: no recipient is done, and it was put on hold as soon as it was written; by cleanup's HOLD action, that is, or by us out of the
 * incoming queue, when its time is set. Who holds by hand what the queue manager has just taken up is seconds later. File times are coarse.
 */
static bool never_tried(const struct lq_record *rec, const struct stat *st)
{
    enum { BLUR_NS = 20000000 };
    int64_t apart = (st->st_ctim.tv_sec - st->st_mtim.tv_sec) * INT64_C(1000000000) + st->st_ctim.tv_nsec - st->st_mtim.tv_nsec;

    return apart > -BLUR_NS && apart < BLUR_NS && lq_record_has(rec, LQ_RECIPIENTS) == LQ_PRESENT &&
           lq_record_recipient_count(rec, LQ_RECIPIENTS_DONE) == 0;
}

bool work_entries(const struct work *w, struct entry *entries)
{
    for (size_t i = 0; i < w->c.n; i++) {
        const struct piece *p = &w->c.parts[i];
        const char *id = strstr(p->name, w->item->id);

        if (!id)
            return false;
        entries[i] = (struct entry){ .name = p->name, .id = id, .dir = (uint16_t)p->dir, .id_len = (uint8_t)strlen(w->item->id), .role = p->role };
    }
    return true;
}

bool work_settled(struct site *s, struct work *w, char why[256])
{
    struct entry entries[CLAIM_PARTS_MAX];
    struct ref ref = { entries, (uint32_t)w->c.n, false };
    bool settled = false;

    if (w->c.state != STATE_HELD || !s->actor->settled || s->actor->settled(&s->sp, &w->c.parts[0].st, why))
        return true;
    if (!work_entries(w, entries))
        return false;
    reading_begin(&s->rd, &ref, &s->rec, LQ_FIELD_BIT(LQ_RECIPIENTS) | LQ_FIELD_BIT(LQ_RECIPIENTS_DONE) | LQ_FIELD_BIT(LQ_REASON) | LQ_FIELD_BIT(LQ_STATE));
    if (reading_sections(&s->rd, SEC_CONTROL) && reading_sections(&s->rd, SEC_LOG))
        settled = all_put_off(&s->rec) || never_tried(&s->rec, &w->c.parts[0].st);
    reading_end(&s->rd);
    return settled;
}

bool work_finished(struct site *s, struct work *w)
{
    const uint64_t both = LQ_FIELD_BIT(LQ_RECIPIENTS) | LQ_FIELD_BIT(LQ_RECIPIENTS_DONE);
    struct entry entries[CLAIM_PARTS_MAX];
    struct ref ref = { entries, (uint32_t)w->c.n, false };
    bool finished = false;

    if (s->home || w->c.state != STATE_ACTIVE || !s->actor->in_use || !work_entries(w, entries))
        return false;
    reading_begin(&s->rd, &ref, &s->rec, both | LQ_FIELD_BIT(LQ_STATE));
    if (reading_sections(&s->rd, SEC_CONTROL))
        finished = lq_record_recipient_count(&s->rec, LQ_RECIPIENTS) == 0 && lq_record_recipient_count(&s->rec, LQ_RECIPIENTS_DONE) > 0;
    reading_end(&s->rd);
    return finished;
}
