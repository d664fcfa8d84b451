/*
 * Recovering: what crashed jobs left is finished or undone, so that every message is whole and in one place. Which jobs these are the
 * vault says; what was done to which message only the places of the files say (recover_files.c). A job is marked finished last, so
 * whoever is interrupted here begins again.
 */
#include <errno.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "recover.h"
#include "tree.h"

struct recovery {
    struct lq_vault *vault;
    struct crashed *job;
    const char *verb;
    lq_finding_fn *tell;
    void *ctx;
    struct lq_error *err;
    struct ledger *ledger;      /* of a case from elsewhere */
};

static void tell(const struct recovery *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void tell(const struct recovery *r, const char *fmt, ...)
{
    char text[1200];
    int n = snprintf(text, sizeof(text), "job %s (%s): ", r->job->name, r->verb ? r->verb : "not begun");
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text + n, sizeof(text) - (size_t)n, fmt, ap);
    va_end(ap);
    if (r->tell)
        r->tell(r->ctx, text);
}

static bool is_verb(const struct recovery *r, const char *verb)
{
    return r->verb && strcmp(r->verb, verb) == 0;
}

/* --- both sides of a spool --- */

/*
 * What cannot be seen cannot be settled: the job stays open for the next time. What is no directory, or a link that is not root's, can hold nothing
 * of ours; nobody who can make one may keep a job open by it.
 */
static int all_seen(const struct spool *sp, struct lq_error *err)
{
    if (!listing_unread(sp))
        return LQ_OK;
    return error_set(err, LQ_EIO, "%s: a directory in it cannot be read (mqgrep --spool says which), so the job stays unfinished", sp->root);
}

static int open_home(struct pair *p, const char *mta, const char *spool, struct lq_error *err)
{
    int rc = lq_queue_open(&p->home, mta, spool, NULL, err);

    if (rc == LQ_OK)
        rc = listing_begin(&p->home_sp, p->home, SEC_NAME | SEC_LOG, NULL, err);
    p->home_listed = rc == LQ_OK;
    if (rc == LQ_OK)
        rc = all_seen(&p->home_sp, err);
    if (rc == LQ_OK && p->home->backend->actor->owner(&p->home_sp, &p->uid, &p->gid) != 0)
        rc = error_set(err, LQ_EIO, "%s: whose queue this is cannot be told", spool);
    return rc;
}

static int open_kept(struct pair *p, struct lq_error *err)
{
    int rc = lq_case_queue(&p->kept, p->c, p->number, err);

    if (rc == LQ_OK)
        rc = listing_begin(&p->kept_sp, p->kept, SEC_NAME | SEC_LOG, NULL, err);
    p->kept_listed = rc == LQ_OK;
    return rc == LQ_OK ? all_seen(&p->kept_sp, err) : rc;
}

static void pair_close(struct pair *p)
{
    if (p->kept_listed)
        listing_end(&p->kept_sp);
    if (p->home_listed)
        listing_end(&p->home_sp);
    lq_queue_close(p->home);
    who_done(&p->who);
}

static int pair_result(struct pair *p, struct lq_error *err)
{
    struct lq_error back;

    if (who_back(&p->who, &back) != LQ_OK)
        return error_set(err, LQ_EIO, "%s", back.text);
    if (p->error == 0)
        return LQ_OK;
    return error_set(err, disk_is_full(p->error) ? LQ_ENOSPC : LQ_EIO, "%s: %s", p->at, strerrordesc_np(p->error));
}

static void tell_pair(const struct recovery *r, const struct pair *p)
{
    const char *spool = p->home->root;

    if (p->in_case > 0)
        tell(r, "%s: %zu messages that were between the two are in the case", spool, p->in_case);
    if (p->in_queue > 0)
        tell(r, "%s: %zu messages that were between the two are in the queue", spool, p->in_queue);
    if (p->leftover > 0)
        tell(r, "%s: %zu files of messages that have left the queue meanwhile are in %s/leftover", spool, p->leftover, p->c->path);
    if (p->unclear > 0)
        tell(r, "%s: %zu ids belong to a message in the case and to another one in the queue; both were left as they are", spool, p->unclear);
}

/* --- take, purge with undo, restore --- */

static int settle_spool(struct recovery *r, struct lq_case *c, size_t i, struct ledger *l)
{
    struct pair p = { .vault = r->vault, .c = c, .number = i, .mark = strrchr(r->job->name, '-') + 1, .ledger = l };
    int rc = open_home(&p, c->spools[i].mta, c->spools[i].spool, r->err);

    /* A case that is packed stays as it is: only copies left it. */
    if (rc == LQ_OK && c->fd >= 0 && !c->unpacked && c->spools[i].fd >= 0)
        rc = open_kept(&p, r->err);
    if (rc == LQ_OK)
        rc = who_become(&p.who, p.uid, p.gid, r->err);
    if (rc == LQ_OK) {
        if (l)
            pair_drop_copies(&p);
        if (p.kept_listed && !p.error)
            pair_settle(&p);
        rc = pair_result(&p, r->err);
        tell_pair(r, &p);
    }
    pair_close(&p);
    return rc;
}

/* Does the case hold anything at all? */
static int count_messages(struct lq_case *c, uint64_t *n, struct lq_error *err)
{
    int rc = LQ_OK;

    *n = 0;
    for (size_t i = 0; i < c->spool_count && rc == LQ_OK; i++) {
        struct spool sp;
        struct lq_queue *q;

        if (c->spools[i].fd < 0)
            continue;
        rc = lq_case_queue(&q, c, i, err);
        if (rc == LQ_OK)
            rc = listing_begin(&sp, q, SEC_NAME, NULL, err);
        if (rc != LQ_OK)
            break;
        *n += listing_count(&sp);
        listing_end(&sp);
    }
    return rc;
}

/* What the job would have done last. A full disk leaves it for `seal`: the messages are whole. */
static void close_case(struct recovery *r, struct lq_case *c)
{
    struct lq_error err;
    int rc = case_journal(c, "recovered", "\"by\":\"recover\"", &err);

    if (rc == LQ_OK && c->info.custody == LQ_PURGED)
        rc = case_pack_in_place(c, &err);
    else if (rc == LQ_OK && !c->info.sealed)
        rc = case_seal(c, &err);
    if (rc == LQ_OK)
        return;
    case_forget_new(c);
    tell(r, "the messages are safe in %s, but %s", c->path, err.text);
}

static bool has_leftovers(const struct lq_case *c)
{
    int fd;

    if (file_open_below(c->fd, "leftover", &fd) != 0)
        return false;
    close(fd);
    return true;
}

static int end_taken(struct recovery *r, struct lq_case **c)
{
    char name[JOB_NAME + 1];
    uint64_t n;
    int error, rc = count_messages(*c, &n, r->err);

    if (rc != LQ_OK)
        return rc;
    if (n > 0 || has_leftovers(*c) || case_has_files(*c)) {
        close_case(r, *c);
        tell(r, "%s holds %llu messages", (*c)->path, (unsigned long long)n);
        return LQ_OK;
    }
    tell(r, "nothing had left the queue, or everything is back; the empty case is removed");
    snprintf(name, sizeof(name), "%s", (*c)->name);
    lq_case_close(*c);
    *c = NULL;
    error = case_remove_tree(r->vault, name);
    return error == 0 || error == ENOENT ? LQ_OK : vault_error(r->vault, name, error, r->err);
}

/* A case whose making was cut short holds nothing yet. */
static int drop_unmade(struct recovery *r, const char *name, int rc)
{
    char data[JOB_NAME + 8];
    int fd, error;

    snprintf(data, sizeof(data), "%s/data", name);
    error = file_open_below(r->vault->fd, data, &fd);
    if (error == 0) {
        error = tree_walk(fd, NULL, tree_any_file, NULL);
        close(fd);
    }
    /* What could not be looked at may hold messages. */
    if (error != 0 && error != ENOENT)
        return rc;
    tell(r, "nothing was done yet");
    error = case_remove_tree(r->vault, name);
    return error == 0 || error == ENOENT ? LQ_OK : vault_error(r->vault, name, error, r->err);
}

static int recover_case(struct recovery *r, const char *name, bool restore)
{
    struct ledger *l = NULL;
    struct lq_case *c;
    int rc = lq_case_open(&c, r->vault, name, r->err);

    if (rc == LQ_ENOENT) {
        tell(r, "it has no case; there is nothing to put right");
        return LQ_OK;
    }
    if (rc != LQ_OK)
        return restore ? rc : drop_unmade(r, name, rc);
    if (c->info.packed && !restore) {
        tell(r, "%s is complete", c->path);
        lq_case_close(c);
        return LQ_OK;
    }
    if (restore)
        rc = ledger_open(&l, r->vault, name, r->err);
    for (size_t i = 0; i < c->spool_count && rc == LQ_OK; i++)
        rc = settle_spool(r, c, i, l);
    if (rc == LQ_OK && !restore)
        rc = end_taken(r, &c);
    if (l)
        ledger_close(l);
    lq_case_close(c);
    return rc;
}

/* --- hold, release --- */

static int hold_spool(struct recovery *r, const char *mta, const char *spool)
{
    bool on = is_verb(r, "hold");
    struct pair p = { .vault = r->vault, .mark = strrchr(r->job->name, '-') + 1 };
    int rc = open_home(&p, mta, spool, r->err);

    if (rc == LQ_OK)
        rc = who_become(&p.who, p.uid, p.gid, r->err);
    if (rc == LQ_OK) {
        pair_settle_hold(&p, on);
        rc = pair_result(&p, r->err);
    }
    if (rc == LQ_OK)
        tell(r, "%s: each message is as it was, or %s", spool, on ? "held" : "released");
    pair_close(&p);
    return rc;
}

/* Each spool of the job. */
static int each_spool(struct recovery *r, int (*settle)(struct recovery *r, const char *mta, const char *spool))
{
    json_t *root = json_loads(r->job->intent, 0, NULL), *spool;
    size_t i;
    int rc = LQ_OK;

    json_array_foreach(json_object_get(root, "spools"), i, spool) {
        const char *mta = json_string_value(json_object_get(spool, "mta")), *path = json_string_value(json_object_get(spool, "path"));

        if (rc == LQ_OK && mta && path)
            rc = settle(r, mta, path);
    }
    json_decref(root);
    return rc;
}

/* --- restore from a case that is in no vault --- */

/* Only copies left it, and it is not ours to change. Its ledger is never believed without --again, so the number of the spool there does not matter. */
static int drop_copies(struct recovery *r, const char *mta, const char *spool)
{
    struct pair p = { .vault = r->vault, .mark = strrchr(r->job->name, '-') + 1, .ledger = r->ledger };
    int rc = open_home(&p, mta, spool, r->err);

    if (rc == LQ_OK)
        rc = who_become(&p.who, p.uid, p.gid, r->err);
    if (rc == LQ_OK) {
        pair_drop_copies(&p);
        rc = pair_result(&p, r->err);
        tell_pair(r, &p);
    }
    pair_close(&p);
    return rc;
}

static int recover_elsewhere(struct recovery *r, const char *ledger)
{
    int rc = ledger_open(&r->ledger, r->vault, ledger, r->err);

    if (rc != LQ_OK)
        return rc;
    rc = each_spool(r, drop_copies);
    ledger_close(r->ledger);
    r->ledger = NULL;
    return rc;
}

/* --- purge without undo --- */

static int purge_spool(struct recovery *r, const char *mta, const char *spool)
{
    size_t removed = 0;
    int rc = recover_bodies(r->job->fd, mta, spool, &removed, r->err);

    if (removed > 0)
        tell(r, "%s: %zu bod%s of messages that were being deleted %s gone, too", spool, removed, removed == 1 ? "y" : "ies",
             removed == 1 ? "is" : "are");
    return rc;
}

/* --- jobs --- */

static int recover_job(struct recovery *r)
{
    char *name;
    int rc = LQ_OK;

    if (!r->verb || !strrchr(r->job->name, '-'))
        return LQ_OK;
    if (is_verb(r, "hold") || is_verb(r, "release"))
        return each_spool(r, hold_spool);
    if (is_verb(r, "purge"))
        rc = each_spool(r, purge_spool);
    name = vault_crashed_text(r->job, "case");
    if (name && is_verb(r, "restore") && !vault_job_name(name, strlen(name)))
        rc = recover_elsewhere(r, name);
    else if (rc == LQ_OK && (is_verb(r, "take") || is_verb(r, "purge") || is_verb(r, "restore")))
        rc = recover_case(r, name ? name : r->job->name, is_verb(r, "restore"));
    free(name);
    return rc;
}

int lq_vault_recover(struct lq_vault *v, lq_finding_fn *tell_fn, void *ctx, struct lq_error *err)
{
    struct lq_error one;
    struct crashed *jobs;
    size_t n, left = 0;
    int rc = vault_crashed(v, NULL, &jobs, &n, err);

    if (rc != LQ_OK)
        return rc;
    for (size_t i = 0; i < n; i++) {
        char *verb = vault_crashed_text(&jobs[i], "verb");
        struct recovery r = { v, &jobs[i], verb, tell_fn, ctx, &one, NULL };
        int done = recover_job(&r);

        if (done == LQ_OK)
            done = vault_crashed_finish(v, &jobs[i], &one);
        /* The others are not to wait for this one. */
        if (done != LQ_OK) {
            left++;
            if (rc == LQ_OK && err)
                *err = one;
            rc = rc == LQ_OK ? done : rc;
        }
        free(verb);
    }
    vault_crashed_free(jobs, n);
    return rc == LQ_OK && left == 0 ? vault_tidy(v, tell_fn, ctx, err) : rc;
}
