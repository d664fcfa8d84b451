/*
 * The end of cases: sealing when their job is over, dropping, expiring, and removing what interrupted packing and removing left. The states
 * that a case goes through, and which of them is true, are in case.c.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bag.h"
#include "tree.h"
#include "vault.h"

enum { TREES_MAX = 16 };        /* left by as many interrupted removals */

/* --- its job --- */

int case_idle(struct lq_case *c, struct lq_error *err)
{
    bool alive = false;

    if (c->vault && vault_job_open(c->vault, c->name, &alive) && alive)
        return error_set(err, LQ_EREFUSED, "the job of case %s is still running", c->name);
    if (c->vault && vault_case_crashed(c->vault, c->name))
        return error_set(err, LQ_EREFUSED, "the job of case %s was interrupted; first: mqquarantine recover --vault %s", c->name, c->vault->path);
    return LQ_OK;
}

int lq_case_seal(struct lq_case *c, struct lq_error *err)
{
    int rc;

    if (c->info.sealed)
        return error_set(err, LQ_EREFUSED, "case %s is sealed already", c->name);
    rc = case_idle(c, err);
    return rc == LQ_OK ? case_seal(c, err) : rc;
}

/* --- deleting --- */

static int gone_name(int dirfd, const char *name, char out[NAME_MAX + 1])
{
    struct stat st;

    for (unsigned i = 1; i <= TREES_MAX; i++) {
        snprintf(out, NAME_MAX + 1, i == 1 ? ".gone-%s" : ".gone-%s.%u", name, i);
        if (file_stat(dirfd, out, &st) == FILE_GONE)
            return 0;
    }
    return EEXIST;
}

bool case_has_files(struct lq_case *c)
{
    int fd, error = file_open_below(c->fd, "data", &fd);

    if (error != 0)
        return error != ENOENT;
    error = tree_walk(fd, NULL, tree_any_file, NULL);
    close(fd);
    return error != 0;
}

int case_remove_tree(struct lq_vault *v, const char *name)
{
    char gone[NAME_MAX + 1];
    struct stat st;
    int error;

    if (file_stat(v->fd, name, &st) == FILE_GONE)
        return 0;
    error = gone_name(v->fd, name, gone);
    /* Where the file system cannot rename without replacing (NFS), it goes file by file: its archive, or the wish to drop it, says so. */
    if (error == 0)
        error = file_move(v->fd, name, v->fd, gone);
    if (error == EINVAL)
        return tree_remove(v->fd, name);
    if (error == 0)
        error = file_sync(v->fd);
    return error ? error : tree_remove(v->fd, gone);
}

static int remove_packed(struct lq_vault *v, const char *name)
{
    char file[JOB_NAME + 16];
    int error = 0;

    for (const char *const *end = vault_packed_ends; *end && (error == 0 || error == ENOENT); end++) {
        snprintf(file, sizeof(file), "%s%s", name, *end);
        error = file_remove(v->fd, file);
    }
    return error == ENOENT ? 0 : error;
}

static int drop_begun(struct lq_case *c, struct job *job, struct lq_error *err)
{
    char members[256];
    struct buf b = { 0 };
    int error, rc = LQ_OK;

    snprintf(members, sizeof(members), "\"custody\":\"%s\",\"messages\":%llu,\"bytes\":%llu,\"restored\":%llu", case_custody(c->info.custody),
             (unsigned long long)c->info.messages, (unsigned long long)c->info.bytes, (unsigned long long)c->info.restored);
    buf_printf(&b, "{\"event\":\"drop\",\"case\":\"%s\",%s}", c->name, members);
    buf_add_char(&b, '\0');
    error = b.failed ? ENOMEM : job_line(job, c->name, b.p);
    /* The tree first: with the archive gone and the tree left, the case would only look like one that was never packed. */
    if (error == 0)
        error = case_remove_tree(c->vault, c->name);
    if (error == 0)
        error = remove_packed(c->vault, c->name);
    if (error == 0)
        error = file_sync(c->vault->fd);
    buf_done(&b);
    if (error)
        rc = case_error(c, "", error, err);
    return rc;
}

int case_hold(struct lq_case *c, struct lq_error *err)
{
    int error;

    if (!c->info.packed)
        return case_lock(c, err);
    error = file_lock_flock(c->archive);
    if (error == EAGAIN)
        return error_set(err, LQ_EREFUSED, "another process works on case %s", c->name);
    return error ? case_error(c, "", error, err) : LQ_OK;
}

int lq_case_drop(struct lq_case *c, const char *why, const char *command, struct lq_error *err)
{
    struct job_intent intent = { .verb = "drop", .why = why, .command = command, .case_name = c->name };
    struct job *job;
    int rc;

    if (!c->vault)
        return error_set(err, LQ_EREFUSED, "%s is in no vault; it is yours to remove", c->path);
    rc = case_idle(c, err);
    if (rc == LQ_OK)
        rc = case_hold(c, err);
    if (rc == LQ_OK)
        rc = job_create(&job, c->vault, NULL, &intent, err);
    if (rc != LQ_OK)
        return rc;
    rc = drop_begun(c, job, err);
    if (rc == LQ_OK)
        return job_finish(job, "done", err);
    job_finish(job, "failed", NULL);
    return rc;
}

static int expire_one(struct lq_vault *v, struct job **job, const char *name, int64_t before, bool dry, lq_finding_fn *tell, void *ctx, struct lq_error *err)
{
    static const struct job_intent intent = { .verb = "expire", .case_name = "" };
    char sentence[512];
    struct lq_error why;
    struct lq_case *c;
    int rc = lq_case_open(&c, v, name, &why);

    if (rc != LQ_OK) {
        tell(ctx, why.text);
        return rc == LQ_ENOMEM ? error_memory(err) : LQ_OK;
    }
    if (c->info.custody != LQ_PURGED || c->info.created >= before || c->info.created == 0) {
        lq_case_close(c);
        return LQ_OK;
    }
    rc = case_idle(c, &why);
    if (rc == LQ_OK && !dry)
        rc = case_hold(c, &why);
    if (rc != LQ_OK) {
        snprintf(sentence, sizeof(sentence), "%s is left: %.400s", name, why.text);
        tell(ctx, sentence);
        lq_case_close(c);
        return LQ_OK;
    }
    snprintf(sentence, sizeof(sentence), "%s: undo case of %llu messages, %llu bytes: %s", name, (unsigned long long)c->info.messages,
             (unsigned long long)c->info.bytes, dry ? "would be deleted" : "deleted");
    if (!dry && !*job)
        rc = job_create(job, v, NULL, &intent, err);
    if (!dry && rc == LQ_OK)
        rc = drop_begun(c, *job, err);
    if (rc == LQ_OK)
        tell(ctx, sentence);
    lq_case_close(c);
    return rc;
}

int lq_vault_expire(struct lq_vault *v, int64_t before, bool dry, lq_finding_fn *tell, void *ctx, struct lq_error *err)
{
    struct job *job = NULL;
    char **names;
    size_t n;
    int rc = lq_vault_cases(v, &names, &n, err), end;

    if (rc != LQ_OK)
        return rc;
    for (size_t i = 0; rc == LQ_OK && i < n; i++)
        rc = expire_one(v, &job, names[i], before, dry, tell, ctx, err);
    lq_names_free(names, n);
    end = job_finish(job, rc == LQ_OK ? "done" : "failed", rc == LQ_OK ? err : NULL);
    return rc == LQ_OK ? end : rc;
}

/* --- after crashes --- */

struct leftovers {
    char **names;
    size_t n, cap;
    bool failed;
};

static int note_leftover(void *ctx, const char *name, size_t len, unsigned char type)
{
    static const char *const starts[] = { ".packing-", ".unpacked-", ".gone-" };
    struct leftovers *l = ctx;

    (void)type;
    (void)len;
    for (size_t i = 0; i < sizeof(starts) / sizeof(*starts); i++) {
        if (strncmp(name, starts[i], strlen(starts[i])) != 0)
            continue;
        if (l->n == l->cap) {
            size_t cap = l->cap ? l->cap * 2 : 16;
            char **more = realloc(l->names, cap * sizeof(*more));

            if (!more)
                return l->failed = true;
            l->names = more;
            l->cap = cap;
        }
        l->names[l->n] = strdup(name);
        if (!l->names[l->n])
            return l->failed = true;
        l->n++;
    }
    return 0;
}

/* Who packs, unpacks or removes holds a lock on what it works on. */
static bool in_use(struct lq_vault *v, const char *name)
{
    struct stat st;
    int fd, error;

    if (file_open(v->fd, name, &fd, &st) != FILE_OK && file_open_below(v->fd, name, &fd) != 0)
        return false;
    error = file_lock_flock(fd);
    close(fd);
    return error == EAGAIN;
}

static void told(lq_finding_fn *tell, void *ctx, const char *name, const char *what)
{
    char sentence[512];

    snprintf(sentence, sizeof(sentence), "%.200s: %s", name, what);
    if (tell)
        tell(ctx, sentence);
}

static void ignore(void *ctx, const char *sentence)
{
    (void)ctx, (void)sentence;
}

/* Whoever put the archive there: the tree goes only when everything of it is in there, and can go back from there. */
static bool replaces_tree(struct lq_vault *v, const char *name)
{
    struct lq_case *c;
    size_t findings = 1;
    bool yes;

    if (lq_case_open(&c, v, name, NULL) != LQ_OK)
        return false;
    yes = c->info.packed && pack_check(c->archive, c->path, NULL, ignore, NULL, &findings, NULL) == LQ_OK && findings == 0;
    lq_case_close(c);
    return yes;
}

/* An open tree beside its archive. */
static int tidy_packed(struct lq_vault *v, lq_finding_fn *tell, void *ctx, struct lq_error *err)
{
    char **names;
    size_t n;
    int error = 0, rc = lq_vault_cases(v, &names, &n, err);

    for (size_t i = 0; rc == LQ_OK && error == 0 && i < n; i++) {
        struct lq_case c = { .vault = v, .name = names[i], .archive = -1 };
        struct stat st;
        bool alive;

        if (file_stat(v->fd, names[i], &st) == FILE_GONE || case_find_packed(&c) != FILE_OK)
            continue;
        close(c.archive);
        free(c.path);
        if (vault_job_open(v, names[i], &alive) && alive)
            continue;
        if (!replaces_tree(v, names[i])) {
            told(tell, ctx, names[i], "there is an archive beside its open tree which is not the whole case; both were left as they are");
            continue;
        }
        error = case_remove_tree(v, names[i]);
        told(tell, ctx, names[i], "packed; what was left of its open tree is removed");
    }
    if (rc == LQ_OK) {
        lq_names_free(names, n);
        rc = error ? vault_error(v, "", error, err) : LQ_OK;
    }
    return rc;
}

int vault_tidy(struct lq_vault *v, lq_finding_fn *tell, void *ctx, struct lq_error *err)
{
    struct leftovers l = { 0 };
    enum file_result r = file_each(v->fd, note_leftover, &l);
    int error = l.failed ? ENOMEM : r == FILE_OK ? 0 : errno, rc;

    for (size_t i = 0; error == 0 && i < l.n; i++) {
        if (in_use(v, l.names[i]))
            continue;
        error = tree_remove(v->fd, l.names[i]);
        told(tell, ctx, l.names[i], "removed; nothing in it was needed any more");
    }
    lq_names_free(l.names, l.n);
    rc = error ? vault_error(v, "", error, err) : LQ_OK;
    return rc == LQ_OK ? tidy_packed(v, tell, ctx, err) : rc;
}
