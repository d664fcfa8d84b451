/*
 * Giving messages up, so that their own server returns them to their senders. Nothing is removed here: under its lock a message is looked at, and marked
 * where the server knows a mark; then the locks go, for the server needs them, its program is run, and at last it is seen what is still there.
 *
 * A report has no sender and is never reported on: it is left alone, whatever its server would do with it.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "act.h"

/* Looks at what is left go on as long as something goes, and then for so long. */
enum { LOOK_MS = 50, PATIENCE_MS = 5000 };

static const struct lq_bouncer *bouncer(const struct site *s)
{
    return s->actor->bouncer;
}

static unsigned at_once(const struct site *s)
{
    return bouncer(s)->at_once;
}

static int open_bounce(struct lq_job *j, struct site *s, struct lq_error *err)
{
    char why[256];

    (void)j;
    if (!bouncer(s))
        return error_set(err, LQ_EREFUSED, "%s: how %s returns single messages is not known", s->q->root, s->q->backend->name);
    if (!bouncer(s)->able(&s->sp, why))
        return error_set(err, LQ_EREFUSED, "%s: %s", s->q->root, why);
    return LQ_OK;
}

/* --- who would get the report --- */

/* Read under the lock. What cannot be read is not returned to anybody. */
static void check_sender(struct site *s, struct work *w)
{
    struct entry entries[CLAIM_PARTS_MAX];
    struct ref ref = { entries, (uint32_t)w->c.n, false };
    struct reading *rd = &s->rd;
    struct lq_str sender = { NULL, 0 };

    if (work_entries(w, entries)) {
        reading_begin(rd, &ref, &s->rec, LQ_FIELD_BIT(LQ_SENDER) | LQ_FIELD_BIT(LQ_STATE));
        if (reading_sections(rd, SEC_CONTROL))
            sender = lq_record_text(&s->rec, LQ_SENDER);
        reading_end(rd);
    }
    if (!sender.p)
        work_skip(w, "its sender cannot be read");
    else if (sender.n == 0)
        work_skip(w, "it is a report itself (null sender): nobody would get another one");
}

/* --- under the lock --- */

/* Where a held message goes that is to be marked; w->held says so. */
static void find_way_out(struct site *s, struct work *w)
{
    char why[256];

    if (!bouncer(s)->mark || w->c.state != STATE_HELD)
        return;
    if (!work_settled(s, w, why)) {
        work_skip(w, "it would have to be released: %s", why);
        return;
    }
    w->held = calloc(1, sizeof(*w->held));
    if (!w->held)
        work_fail(w, "out of memory");
    else if (s->actor->hold(&s->sp, &w->c, bytes_from(NULL, 0), false, NULL, 0, w->held) != HOLD_DO)
        work_skip(w, "it cannot be released: %s", w->held->why);
}

static void look_at(struct site *s, struct work *w)
{
    char why[256];

    if (!bouncer(s)->fits(&s->sp, &w->c, w->item->id, why))
        work_skip(w, "it %s", why);
    else
        check_sender(s, w);
    if (w->live)
        find_way_out(s, w);
}

static void forget(struct work *w)
{
    if (w->held)
        buf_done(&w->held->bytes);
    free(w->held);
    w->held = NULL;
}

static int mark(struct site *s, struct work *w)
{
    const struct piece *key = &w->c.parts[0];
    struct stat st;
    int error = bouncer(s)->mark(&s->sp, &w->c);

    if (error != 0 || !w->held)
        return error;
    if (!side_touch(&s->side, key->dir) || !side_touch(&s->side, w->held->dir))
        return ENOMEM;
    error = file_move(s->sp.dirs[key->dir].fd, key->name, s->sp.dirs[w->held->dir].fd, w->held->name);
    /* Somebody released it first: marked it is. */
    return error == ENOENT && fstat(w->c.lock, &st) == 0 && st.st_nlink > 0 ? 0 : error;
}

static void mark_one(struct lq_job *j, struct site *s, struct work *w, size_t at)
{
    int error = bouncer(s)->mark ? mark(s, w) : 0;

    if (error == ENOENT)
        work_skip(w, "it is not in the queue any more");
    else if (error == EEXIST)
        work_fail(w, "it is marked, but still on hold: another file has the name that it would get; Postfix returns it once it is released");
    else if (disk_is_full(error) || disk_is_lost(error))
        job_ends(j, at, disk_is_full(error) ? LQ_ENOSPC : LQ_EIO, "%s: %s; message %s and those after it are in the queue", s->q->root,
                 strerrordesc_np(error), w->item->id);
    else if (error != 0)
        work_fail(w, "%s", strerrordesc_np(error));
}

/* --- the server's turn --- */

/* As who was called: the programs decide themselves as whom they work. */
static bool run_server(struct lq_job *j, struct site *s, const struct given_up *m, size_t n, char why[256])
{
    bool fine = who_back(&j->who, NULL) == LQ_OK && bouncer(s)->begin(&s->sp, m, n, why);
    struct lq_error err;

    if (who_become(&j->who, s->uid, s->gid, &err) != LQ_OK)
        job_ends(j, n, LQ_EIO, "%s", err.text);
    return fine;
}

static bool is_gone(struct site *s, struct work *w)
{
    char why[256];

    return s->actor->vacant(&s->sp, w->item->id, why);
}

/* A file that moves between queues can be missed once, not twice. */
static size_t look_for_gone(struct site *s, struct work **waiting, size_t n)
{
    size_t left = 0;

    for (size_t i = 0; i < n; i++) {
        struct work *w = waiting[i];

        if (is_gone(s, w) && is_gone(s, w)) {
            w->result = LQ_DONE;
            w->live = false;
        } else {
            waiting[left++] = w;
        }
    }
    return left;
}

static void wait_for_server(struct site *s, struct work **waiting, size_t n)
{
    int patience = bouncer(s)->goes_on ? PATIENCE_MS : 0;

    for (int left = patience; n > 0 && left >= 0; left -= LOOK_MS) {
        size_t before = n;

        n = look_for_gone(s, waiting, n);
        if (n < before)
            left = patience;
        if (n > 0 && left >= LOOK_MS)
            poll(NULL, 0, LOOK_MS);
    }
    for (size_t i = 0; i < n; i++) {
        work_skip(waiting[i], "%s", bouncer(s)->left);
        if (bouncer(s)->mark)
            waiting[i]->result = LQ_DONE;
    }
}

static void give_up(struct lq_job *j, struct site *s, struct work *w, size_t n, struct given_up *m, struct work **waiting)
{
    char why[256] = "";
    size_t count = 0;

    for (size_t i = 0; i < n; i++) {
        claim_end(&w[i]);
        if (!w[i].live)
            continue;
        m[count] = (struct given_up){ .id = w[i].item->id, .queue_name = s->sp.dirs[w[i].c.parts[0].dir].queue_name };
        waiting[count++] = &w[i];
    }
    if (count > 0 && !run_server(j, s, m, count, why))
        for (size_t i = 0; i < count; i++)
            work_fail(waiting[i], "%s", *why ? why : "no right to run the server's programs");
    else if (count > 0)
        wait_for_server(s, waiting, count);
}

static void batch(struct lq_job *j, struct site *s, struct work *w, size_t n)
{
    struct given_up *m = calloc(n + 1, sizeof(*m));
    struct work **waiting = calloc(n + 1, sizeof(struct work *));
    int error;

    if (!m || !waiting)
        job_ends(j, 0, LQ_ENOMEM, "out of memory");
    for (size_t i = 0; i < n && i < j->cut; i++) {
        if (w[i].live)
            look_at(s, &w[i]);
        if (w[i].live)
            mark_one(j, s, &w[i], i);
        forget(&w[i]);
    }
    for (size_t i = j->cut; i < n; i++)
        w[i].live = false;
    error = side_sync(&s->side);
    if (error != 0 && !j->fatal)
        job_ends(j, n, LQ_EIO, "%s: %s while syncing", s->q->root, strerrordesc_np(error));
    if (m && waiting)
        give_up(j, s, w, n, m, waiting);
    free(m);
    free(waiting);
}

static void dry(struct lq_job *j, struct site *s, struct work *w)
{
    (void)j;
    look_at(s, w);
    forget(w);
}

const struct verb bounce_verb = { .name = "bounce", .done = "returned to their senders", .at_once = at_once, .open = open_bounce, .batch = batch, .dry = dry };
