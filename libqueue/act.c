/*
 * A job: the queues and vaults of a set, the guards, batches and their outcomes, the end. What is done to a message is the verbs' work.
 *
 * Messages go in batches, because a directory's sync costs as much as many renames: a batch is large enough that each directory it
 * changes has BATCH_PER_DIR of its messages on average, and small enough for the descriptors that hold its locks.
 */
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "act.h"
#include "json.h"

static const struct verb *const verbs[] = {
    [LQ_TAKE] = &take_verb, [LQ_HOLD] = &hold_verb, [LQ_RELEASE] = &release_verb, [LQ_PURGE] = &purge_verb, [LQ_RESTORE] = &restore_verb,
    [LQ_BOUNCE] = &bounce_verb,
};

const struct verb *job_verb(const struct lq_job *j)
{
    return j->opts.verb == LQ_PURGE && j->opts.undo ? &undo_verb : verbs[j->opts.verb];
}

/* --- what the verbs tell --- */

static void tell(struct work *w, enum lq_result result, const char *fmt, va_list ap)
{
    vsnprintf(w->text, sizeof(w->text), fmt, ap);
    w->result = result;
    w->live = false;
}

void work_skip(struct work *w, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    tell(w, LQ_SKIPPED, fmt, ap);
    va_end(ap);
}

void work_fail(struct work *w, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    tell(w, LQ_FAILED, fmt, ap);
    va_end(ap);
}

void work_unlike(struct work *w, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    tell(w, LQ_SKIPPED, fmt, ap);
    va_end(ap);
    w->unlike = true;
}

void job_ends(struct lq_job *j, size_t i, enum lq_status status, const char *fmt, ...)
{
    va_list ap;

    if (i < j->cut)
        j->cut = i;
    if (j->fatal)
        return;
    j->fatal = status;
    j->error.status = status;
    va_start(ap, fmt);
    vsnprintf(j->error.text, sizeof(j->error.text), fmt, ap);
    va_end(ap);
}

/* The reserve is root's file. */
bool job_more_room(struct lq_job *j, struct site *s)
{
    bool more = false;

    if (who_back(&j->who, NULL) == LQ_OK)
        more = vault_use_reserve(j->uses[s->use].vault);
    return who_become(&j->who, s->uid, s->gid, NULL) == LQ_OK && more;
}

const char *job_mark(const struct lq_job *j)
{
    const char *dash = strrchr(j->name, '-');

    return dash ? dash + 1 : j->name;
}

/* --- beginning: sites --- */

static int map_dirs(struct site *s, struct lq_error *err)
{
    const struct set_queue *q = s->in_set;

    s->map = malloc((q->dir_count + 1) * sizeof(*s->map));
    if (!s->map)
        return error_memory(err);
    for (size_t i = 0; i < q->dir_count; i++) {
        size_t index;
        int error = spool_dir(&s->sp, q->dirs[i], &index);

        s->map[i] = error == 0 ? (uint16_t)index : UINT16_MAX;
        if (error != 0 && error != ENOENT)
            return error_set(err, error == ENOMEM ? LQ_ENOMEM : LQ_EIO, "%s/%s: %s", s->q->root, q->dirs[i], strerrordesc_np(error));
    }
    return LQ_OK;
}

/*
 * Whether the server is down, so that what it would pick up at any moment may be touched: Postfix's master holds a lock on its pid file as
 * long as it lives (master.c). The system's table of locks may not show other containers' ones; then only trying tells.
 */
static bool server_is_down(const struct lq_job *j, const struct site *s)
{
    struct stat st;
    int pid, fd;
    bool down;

    if (file_open_dir(s->q->fd, "pid", &pid) != FILE_OK)
        return true;
    if (file_open(pid, "master.pid", &fd, &st) != FILE_OK) {
        close(pid);
        return errno == ENOENT;
    }
    down = !listing_any_lock(&s->sp, st.st_dev, st.st_ino) && (j->opts.dry || file_lock_flock(fd) == 0);
    close(fd);
    close(pid);
    return down;
}

static bool has_dir(const struct set_queue *q, const char *path)
{
    for (size_t i = 0; i < q->dir_count; i++)
        if (strcmp(q->dirs[i], path) == 0)
            return true;
    return false;
}

static int check_rights(const struct site *s, struct lq_error *err)
{
    const struct passwd *owner = s->uid != 0 ? getpwuid(s->uid) : NULL;

    if (geteuid() == 0 || geteuid() == s->uid)
        return LQ_OK;
    return error_set(err, LQ_EACCES, "%s: no right to act on this queue; become root%s%s", s->home ? s->home->root : s->q->root,
                     owner ? " or " : "", owner ? owner->pw_name : "");
}

static int open_site(struct lq_job *j, struct site *s, const struct set_queue *in_set, struct lq_error *err)
{
    const struct verb *verb = job_verb(j);
    int error, rc;

    s->in_set = in_set;
    s->q = in_set->q;
    s->actor = s->q->backend->actor;
    s->claim_flags = verb->claim_flags | (j->opts.active ? CLAIM_ACTIVE : 0);
    if (!s->actor)
        return error_set(err, LQ_EINVAL, "%s: nothing can be done to a queue of %s", s->q->root, s->q->backend->name);
    if (j->opts.verb != LQ_RESTORE && s->q->in_case)
        return error_set(err, LQ_EINVAL, "%s: the messages of a case can only be restored", s->q->root);
    rc = listing_dirs(&s->sp, s->q, err);
    if (rc != LQ_OK)
        return rc;
    s->listed = true;
    s->side.sp = &s->sp;
    reading_init(&s->rd, &s->sp);
    rc = verb->open ? verb->open(j, s, err) : LQ_OK;
    if (rc == LQ_OK)
        rc = map_dirs(s, err);
    if (rc != LQ_OK)
        return rc;
    if (has_dir(in_set, "maildrop") && server_is_down(j, s))
        s->claim_flags |= CLAIM_MAILDROP;
    error = s->actor->owner(s->home ? &s->home_sp : &s->sp, &s->uid, &s->gid);
    if (error != 0)
        return error_set(err, LQ_EIO, "%s: whose queue this is cannot be told: %s", s->q->root, strerrordesc_np(error));
    return j->opts.dry ? LQ_OK : check_rights(s, err);
}

/* Where the messages are or go, for people and for jobs. */
static struct lq_queue *site_queue(const struct site *s)
{
    return s->home ? s->home : s->q;
}

/* --- beginning: vaults --- */

/* Of the case, the one that was named, or the usual one. The caller's: free(). */
static int vault_path(const struct lq_job *j, const struct site *s, char **out, struct lq_error *err)
{
    const char *path = s->q->in_case && s->q->in_case->vault ? s->q->in_case->vault->path : j->vault;

    if (!path)
        return lq_vault_default(out, site_queue(s), err);
    *out = strdup(path);
    return *out ? LQ_OK : error_memory(err);
}

/* open: vault_make() or, to look only, vault_try(). */
static int open_vault(struct lq_job *j, struct site *s, int (*open)(struct lq_vault **out, const char *path, struct lq_error *err),
                      struct lq_vault **out, struct lq_error *err)
{
    char *path = NULL;
    int rc = vault_path(j, s, &path, err);

    if (rc == LQ_OK)
        rc = open(out, path, err);
    free(path);
    return rc;
}

static int use_vault(struct lq_job *j, struct site *s, struct lq_error *err)
{
    struct lq_vault *v;
    struct stat is, was;
    struct vault_use *use;
    int rc = open_vault(j, s, vault_make, &v, err);

    if (rc != LQ_OK)
        return rc;
    v->makes_room = s->q->in_case != NULL;
    for (s->use = 0; s->use < j->use_count; s->use++)
        if (fstat(v->fd, &is) == 0 && fstat(j->uses[s->use].vault->fd, &was) == 0 && is.st_dev == was.st_dev && is.st_ino == was.st_ino)
            break;
    use = &j->uses[s->use];
    if (s->use == j->use_count) {
        j->use_count++;
        use->vault = v;
    } else {
        lq_vault_close(v);
    }
    use->queues[use->queue_count++] = site_queue(s);
    return LQ_OK;
}

static int crashed_error(const char *job, const char *spool, const char *vault, struct lq_error *err)
{
    return error_set(err, LQ_EREFUSED, "job %s on %s was interrupted and is not finished; first: mqquarantine recover --vault %s", job, spool, vault);
}

static int refuse_network(const struct lq_job *j, const struct site *s, const struct lq_vault *v, struct lq_error *err)
{
    if (j->opts.nfs_ok || (!vault_on_network(site_queue(s)->fd) && (!v || !vault_on_network(v->fd))))
        return LQ_OK;
    return error_set(err, LQ_EREFUSED, "%s or its vault is on a network file system, where renames and locks promise less; --nfs-ok to act all the same",
                     site_queue(s)->root);
}

/*
 * Of a dry run: what the run would find out about its vault, but nothing is made, locked for longer than a look, or written. Who could not act is
 * shown what would be done all the same, whatever the vault looks like from there.
 */
static int look_vault(struct lq_job *j, struct site *s, struct lq_error *err)
{
    const char *spool = site_queue(s)->root;
    struct lq_vault *v = NULL;
    char name[JOB_NAME + 1];
    int rc = open_vault(j, s, vault_try, &v, err);

    if (rc != LQ_OK && check_rights(s, NULL) != LQ_OK)
        rc = LQ_OK;
    if (rc == LQ_OK)
        rc = refuse_network(j, s, v, err);
    if (rc == LQ_OK && v && vault_crashed_look(v, spool, name))
        rc = crashed_error(name, spool, v->path, err);
    lq_vault_close(v);
    return rc;
}

static int refuse_crashed(struct vault_use *use, const char *spool, struct lq_error *err)
{
    struct crashed *crashed;
    size_t n;
    int rc = vault_crashed(use->vault, spool, &crashed, &n, err);

    if (rc != LQ_OK)
        return rc;
    if (n > 0)
        rc = crashed_error(crashed[0].name, spool, use->vault->path, err);
    vault_crashed_free(crashed, n);
    return rc;
}

/* An undo case must fit before the first message goes: its archive, and on another file system the messages, too. */
enum { ROOM_MARGIN = 4 << 20, ROOM_PER_MESSAGE = 4096 };

static uint64_t room_for(const struct site *s, dev_t vault)
{
    struct stat st;
    bool copied = fstat(s->q->fd, &st) == 0 && st.st_dev != vault;

    return s->in_set->bytes * (copied ? 2 : 1);
}

static uint64_t room_of(const struct statvfs *fs)
{
    return (uint64_t)fs->f_bavail * fs->f_frsize;
}

static int refuse_full(const struct lq_job *j, const char *vault, uint64_t have, uint64_t need, struct lq_error *err)
{
    need += ROOM_MARGIN + (uint64_t)j->set->count * ROOM_PER_MESSAGE;
    if (have >= need)
        return LQ_OK;
    return error_set(err, LQ_EREFUSED,
                     "%s: no room for the undo case: it may need %llu MiB, %llu MiB are free; nothing was deleted. Either take the messages "
                     "(mqquarantine take), or name a vault elsewhere (--vault), or purge without undo (--no-undo)",
                     vault, (unsigned long long)(need >> 20), (unsigned long long)(have >> 20));
}

static int check_room(struct lq_job *j, size_t u, struct lq_error *err)
{
    const struct lq_vault *v = j->uses[u].vault;
    struct statvfs fs;
    uint64_t need = 0;

    if (job_verb(j) != &undo_verb || fstatvfs(v->fd, &fs) < 0)
        return LQ_OK;
    for (size_t i = 0; i < j->site_count; i++)
        need += j->sites[i].use == u ? room_for(&j->sites[i], v->dev) : 0;
    return refuse_full(j, v->path, room_of(&fs), need, err);
}

/* Of a dry run: in the vault that site `at` would use, or where that would be made, once for all that share it. */
static int look_room(struct lq_job *j, char *const *paths, size_t at, struct lq_error *err)
{
    uint64_t need = 0, reserve, have;
    struct statvfs fs;
    struct stat st;
    char *real;
    int fd, rc = LQ_OK;

    for (size_t i = 0; i < at; i++)
        if (strcmp(paths[i], paths[at]) == 0)
            return LQ_OK;
    fd = vault_place(paths[at], &real, &reserve);
    if (fd < 0)
        return LQ_OK;
    for (size_t i = at; i < j->site_count && fstat(fd, &st) == 0; i++)
        need += strcmp(paths[i], paths[at]) == 0 ? room_for(&j->sites[i], st.st_dev) : 0;
    if (fstatvfs(fd, &fs) == 0) {
        have = room_of(&fs);
        rc = refuse_full(j, real, have >= reserve ? have - reserve : have, need, err);
    }
    free(real);
    close(fd);
    return rc;
}

/* Who could not act is not told of room. */
static int look_rooms(struct lq_job *j, struct lq_error *err)
{
    char **paths = calloc(j->site_count + 1, sizeof(*paths));
    int rc = paths ? LQ_OK : error_memory(err);
    bool may = true;

    for (size_t i = 0; i < j->site_count && rc == LQ_OK; i++) {
        may = may && check_rights(&j->sites[i], NULL) == LQ_OK;
        rc = vault_path(j, &j->sites[i], &paths[i], err);
    }
    for (size_t i = 0; i < j->site_count && rc == LQ_OK && may; i++)
        rc = look_room(j, paths, i, err);
    for (size_t i = 0; paths && i < j->site_count; i++)
        free(paths[i]);
    free(paths);
    return may ? rc : LQ_OK;
}

static int check_guards(struct lq_job *j, struct lq_error *err)
{
    int rc = LQ_OK;

    for (size_t i = 0; i < j->site_count && rc == LQ_OK && !j->opts.dry; i++)
        rc = refuse_network(j, &j->sites[i], j->uses[j->sites[i].use].vault, err);
    for (size_t i = 0; i < j->site_count && rc == LQ_OK; i++)
        rc = j->opts.dry ? look_vault(j, &j->sites[i], err)
                         : refuse_crashed(&j->uses[j->sites[i].use], site_queue(&j->sites[i])->root, err);
    for (size_t u = 0; u < j->use_count && rc == LQ_OK; u++)
        rc = check_room(j, u, err);
    if (rc == LQ_OK && j->opts.dry && job_verb(j) == &undo_verb)
        rc = look_rooms(j, err);
    return rc;
}

static int begin_use(struct lq_job *j, struct vault_use *use, struct lq_error *err)
{
    const struct verb *verb = job_verb(j);
    struct job_intent intent = { .verb = verb->name, .why = j->why, .command = j->command, .queues = use->queues,
                                 .queue_count = use->queue_count };
    int rc;

    for (size_t i = 0; i < j->site_count; i++)
        if (j->sites[i].ledger_name && &j->uses[j->sites[i].use] == use)
            intent.case_name = j->sites[i].ledger_name;
    rc = job_create(&use->job, use->vault, *j->name ? j->name : NULL, &intent, err);
    if (rc == LQ_OK)
        snprintf(j->name, sizeof(j->name), "%s", job_name(use->job));
    if (rc == LQ_OK && verb->fills_case)
        rc = case_create(&use->c, use->vault, j->name, verb == &undo_verb ? LQ_PURGED : LQ_MOVED, &intent, err);
    return rc;
}

/* A case of several spools has one ledger, and this process would shut itself out. */
static int site_ledger(struct lq_job *j, struct site *s, struct lq_error *err)
{
    for (struct site *other = j->sites; other < s; other++) {
        if (other->use == s->use && other->ledger) {
            s->ledger = other->ledger;
            s->ledger_lent = true;
            return LQ_OK;
        }
    }
    return ledger_open(&s->ledger, j->uses[s->use].vault, s->ledger_name, err);
}

/* A case that was carried to another host, or whose server was installed anew: its numbers mean nobody, or somebody else, here. */
static bool is_strangers(const struct site *s)
{
    struct stat st;

    return geteuid() == 0 && s->uid != 0 && fstat(s->q->fd, &st) == 0 && st.st_uid != s->uid;
}

static int begin_site(struct lq_job *j, struct site *s, struct lq_error *err)
{
    struct vault_use *use = &j->uses[s->use];
    int rc = LQ_OK;

    if (use->c) {
        rc = case_add_spool(use->c, s->q, s->uid, s->gid, &s->case_spool, err);
        if (rc == LQ_OK)
            s->folders.base = use->c->spools[s->case_spool].fd;
    }
    /* Before anything of it goes back: what is deleted meanwhile would be lost, and what is being taken is not whole yet. */
    if (rc == LQ_OK && s->ledger_name && s->q->in_case->vault)
        rc = case_hold(s->q->in_case, err);
    if (rc == LQ_OK && s->ledger_name)
        rc = site_ledger(j, s, err);
    if (rc == LQ_OK && s->ledger_name && (s->unpacked || is_strangers(s)))
        rc = folders_give(s->q->fd, s->uid, s->gid, err);
    return rc;
}

/* A dry run looks into the ledger where there is one. */
static int look_site(struct site *s, struct lq_error *err)
{
    if (!s->ledger_name || !s->q->in_case->vault)
        return LQ_OK;
    return ledger_look(&s->ledger, s->q->in_case->vault, s->ledger_name, err);
}

/* Of a dry run the vaults were not opened. */
static bool same_vault(const struct lq_job *j, const struct site *a, const struct site *b)
{
    const struct lq_vault *x = a->q->in_case->vault, *y = b->q->in_case->vault;

    return j->opts.dry ? !x || !y || strcmp(x->path, y->path) == 0 : a->use == b->use;
}

/* A job on several file systems has a case on each, all of its name; in one vault its file names one. */
static int one_case(const struct lq_job *j, struct lq_error *err)
{
    for (size_t i = 1; i < j->site_count && j->opts.verb == LQ_RESTORE; i++)
        for (size_t k = 0; k < i; k++)
            if (j->sites[i].q->in_case != j->sites[k].q->in_case && same_vault(j, &j->sites[i], &j->sites[k]))
                return error_set(err, LQ_EINVAL, "one job restores from one case of a vault");
    return LQ_OK;
}

/* As many messages at a time as descriptors allow: the lock of each, and of a held one its key and the new one. */
static int make_batch(struct lq_job *j, struct lq_error *err)
{
    bool restore = j->opts.verb == LQ_RESTORE;
    size_t each = restore ? CLAIM_PARTS_MAX + 2 : 3, used = 128, max = restore ? RESTORE_MAX : BATCH_MAX;
    struct rlimit limit;

    for (size_t i = 0; i < j->site_count; i++)
        used += 2 * j->sites[i].sp.dir_count + j->sites[i].home_sp.dir_count;
    for (size_t i = 0; i < j->site_count && job_verb(j)->at_once; i++)
        if (job_verb(j)->at_once(&j->sites[i]) < max)
            max = job_verb(j)->at_once(&j->sites[i]);
    listing_more_files();
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < used + max * each)
        max = limit.rlim_cur > used + each ? (size_t)(limit.rlim_cur - used) / each : 1;
    if (max > j->set->count)
        max = j->set->count + 1;
    if (j->opts.batch > 0 && j->opts.batch < max)
        max = j->opts.batch;
    j->batch = calloc(max, sizeof(*j->batch));
    j->batch_max = max;
    return j->batch ? LQ_OK : error_memory(err);
}

/* A vault, a job and a case, and while the case is sealed once more each directory that messages came from. */
static size_t files_needed(const struct lq_job *j)
{
    enum { OWN = 48, PER_MESSAGE = 4, MOST = 1 << 14 };
    size_t dirs = 0, need;

    for (size_t i = 0; i < j->site_count; i++)
        dirs += j->sites[i].sp.dir_count;
    need = OWN + 2 * (dirs < PER_MESSAGE * j->set->count ? dirs : PER_MESSAGE * j->set->count);
    return need < MOST ? need : MOST;
}

/* To run out of descriptors in the middle would leave an empty case, or one without its hashes. */
static int check_files(const struct lq_job *j, struct lq_error *err)
{
    size_t need = files_needed(j), n = 0;
    struct rlimit limit = { 0 };
    int *fds;

    if (!job_verb(j)->fills_case || j->opts.dry || j->site_count == 0)
        return LQ_OK;
    listing_more_files();
    fds = calloc(need, sizeof(*fds));
    if (!fds)
        return error_memory(err);
    while (n < need && (fds[n] = fcntl(j->sites[0].sp.fd, F_DUPFD_CLOEXEC, 0)) >= 0)
        n++;
    for (size_t i = 0; i < n; i++)
        close(fds[i]);
    free(fds);
    if (n == need)
        return LQ_OK;
    getrlimit(RLIMIT_NOFILE, &limit);
    return error_set(err, LQ_EREFUSED, "too few open files are allowed (ulimit -n: %llu): %zu more are needed, %zu are left; nothing was changed",
                     (unsigned long long)limit.rlim_cur, need, n);
}

static int begin(struct lq_job *j, struct lq_error *err)
{
    int rc = LQ_OK;

    for (size_t i = 0; i < j->set->queue_count && rc == LQ_OK; i++)
        rc = open_site(j, &j->sites[j->site_count++], &j->set->queues[i], err);
    if (rc == LQ_OK)
        rc = check_files(j, err);
    for (size_t i = 0; i < j->site_count && rc == LQ_OK && !j->opts.dry; i++)
        rc = use_vault(j, &j->sites[i], err);
    if (rc == LQ_OK)
        rc = one_case(j, err);
    if (rc == LQ_OK)
        rc = check_guards(j, err);
    if (rc == LQ_OK)
        rc = make_batch(j, err);
    for (size_t u = 0; u < j->use_count && rc == LQ_OK; u++)
        rc = begin_use(j, &j->uses[u], err);
    for (size_t i = 0; i < j->site_count && rc == LQ_OK; i++)
        rc = j->opts.dry ? look_site(&j->sites[i], err) : begin_site(j, &j->sites[i], err);
    return rc == LQ_OK ? job_look_sealed(j, err) : rc;
}

/* --- memory --- */

static bool copy_text(char **out, const char *text)
{
    *out = text ? strdup(text) : NULL;
    return *out || !text;
}

static struct lq_job *new_job(const struct lq_set *set, const struct lq_job_opts *opts)
{
    struct lq_job *j = calloc(1, sizeof(*j));
    size_t n = set->queue_count;

    if (!j)
        return NULL;
    j->set = set;
    memcpy(&j->opts, opts, opts->size < sizeof(j->opts) ? opts->size : sizeof(j->opts));
    j->cut = SIZE_MAX;
    if (j->opts.now == 0)
        j->opts.now = time(NULL);
    j->filter_state.now = j->opts.now;
    j->filter_fields = j->opts.filter ? filter_fields(j->opts.filter) : 0;
    j->uses = calloc(n + 1, sizeof(*j->uses));
    j->sites = calloc(n + 1, sizeof(*j->sites));
    for (size_t i = 0; j->uses && i < n; i++)
        j->uses[i].queues = calloc(n, sizeof(*j->uses[i].queues));
    if (j->uses && j->sites && copy_text(&j->why, opts->why) && copy_text(&j->command, opts->command) && copy_text(&j->vault, opts->vault) &&
        (n == 0 || j->uses[n - 1].queues))
        return j;
    return j;
}

static void close_site(struct site *s)
{
    reading_done(&s->rd);
    record_done(&s->rec);
    side_done(&s->side);
    side_done(&s->home_side);
    folders_done(&s->folders);
    if (s->ledger && !s->ledger_lent)
        ledger_close(s->ledger);
    if (s->listed)
        listing_end(&s->sp);
    if (s->home_listed)
        listing_end(&s->home_sp);
    lq_queue_close(s->home);
    free(s->map);
}

static void free_job(struct lq_job *j)
{
    job_forget_sealed(j);
    for (size_t i = 0; i < j->site_count; i++)
        close_site(&j->sites[i]);
    for (size_t u = 0; j->uses && u < j->set->queue_count; u++) {
        lq_case_close(j->uses[u].c);
        lq_vault_close(j->uses[u].vault);
        free(j->uses[u].queues);
    }
    pattern_scratch_done(&j->filter_state.scratch);
    who_done(&j->who);
    free(j->uses);
    free(j->sites);
    free(j->batch);
    free(j->why);
    free(j->command);
    free(j->vault);
    free(j);
}

/* Nothing was done yet: the cases are empty. */
static void abandon(struct lq_job *j)
{
    for (size_t u = 0; u < j->use_count; u++) {
        struct vault_use *use = &j->uses[u];

        lq_case_close(use->c);
        if (use->c)
            case_remove_tree(use->vault, j->name);
        use->c = NULL;
        if (use->job)
            job_finish(use->job, "failed", NULL);
        use->job = NULL;
    }
}

int lq_job_begin(struct lq_job **out, const struct lq_set *set, const struct lq_job_opts *opts, struct lq_error *err)
{
    struct lq_job *j;
    int rc;

    if ((unsigned)opts->verb > LQ_BOUNCE)
        return error_set(err, LQ_EINVAL, "there is no verb number %d", (int)opts->verb);
    j = new_job(set, opts);
    if (!j)
        return error_memory(err);
    rc = begin(j, err);
    if (rc != LQ_OK) {
        abandon(j);
        free_job(j);
        return rc;
    }
    *out = j;
    return LQ_OK;
}

/* --- batches --- */

static const char *result_name(enum lq_result r)
{
    return r == LQ_DONE ? "done" : r == LQ_SKIPPED ? "skipped" : "failed";
}

static void add_line(struct buf *lines, const struct site *s, const struct work *w)
{
    buf_add_char(lines, '{');
    json_text(lines, "event", "message");
    json_text(lines, "id", w->item->id);
    json_text(lines, "spool", site_queue(s)->root);
    json_text(lines, "identity", w->item->identity && *w->item->identity ? w->item->identity : NULL);
    json_text(lines, "result", result_name(w->result));
    json_text(lines, "text", w->text[0] ? w->text : NULL);
    json_text(lines, "new_id", w->new_id[0] ? w->new_id : NULL);
    buf_add_str(lines, "}\n");
}

/* The job's file says what became of each message, answered for or not: the caller may stop. A full disk takes what it can of them. */
static void write_lines(struct lq_job *j, const struct site *s, const struct work *w, size_t n)
{
    enum { AT_ONCE = 1 << 16 };
    struct job *job = j->uses[s->use].job;
    struct buf lines = { 0 };

    for (size_t i = 0, told = 0; i < n; i++) {
        add_line(&lines, s, &w[i]);
        if (lines.n < AT_ONCE && i + 1 < n)
            continue;
        job_lines(job, &lines);
        buf_reset(&lines, SIZE_MAX);
        for (; told <= i; told++)
            job_tell(job, w[told].item->id);
    }
    buf_done(&lines);
}

static void count(struct lq_job *j, struct site *s, const struct work *w)
{
    size_t *const counts[] = { [LQ_DONE] = &j->done, [LQ_SKIPPED] = &j->skipped, [LQ_FAILED] = &j->failed };

    if (!w->already)
        (*counts[w->result])++;
    if (j->opts.dry)
        return;
    j->uses[s->use].done += w->result == LQ_DONE;
    j->uses[s->use].unlike += w->unlike;
}

static void claim_one(struct lq_job *j, struct site *s, struct work *w, size_t index)
{
    memset(w, 0, offsetof(struct work, c));
    memset(&w->claimed, 0, sizeof(*w) - offsetof(struct work, claimed));
    w->index = index;
    w->item = &j->set->items[index];
    w->live = true;
    claim_message(j, s, w);
}

/* All locks are held now: whoever was told of files that there are none, and that may be wrong since, is claimed anew by itself. */
static void claim_again(struct lq_job *j, struct site *s, size_t n)
{
    bool *doubtful = calloc(n + 1, sizeof(*doubtful));

    spool_names_end(&s->sp, doubtful, doubtful ? n : 0);
    for (size_t i = 0; i < n; i++) {
        struct work *w = &j->batch[i];

        if (doubtful && !doubtful[i])
            continue;
        claim_end(w);
        claim_one(j, s, w, w->index);
    }
    free(doubtful);
}

/* Messages of one queue until there are enough for one round of syncing. */
static size_t claim_batch(struct lq_job *j, struct site *s)
{
    size_t n = 0, claimed = 0, dirs = 0, left = j->set->count - j->next;
    bool *seen = calloc(UINT16_MAX, sizeof(*seen));

    spool_names_begin(&s->sp, left < j->batch_max ? left : j->batch_max);
    while (seen && n < j->batch_max && n < left && &j->sites[j->set->items[j->next + n].queue] == s) {
        struct work *w = &j->batch[n];

        spool_names_asker(&s->sp, n);
        claim_one(j, s, w, j->next + n);
        n++;
        /* The last of several with one id takes the logs along: the others have to be gone by then. */
        if (w->c.namesakes > 0 && n < left && set_namesake(j->set, w->index, w->index + 1))
            break;
        if (!w->live)
            continue;
        dirs += !seen[w->c.parts[0].dir];
        seen[w->c.parts[0].dir] = true;
        if (++claimed >= BATCH_PER_DIR * dirs && j->opts.batch == 0)
            break;
    }
    claim_again(j, s, n);
    free(seen);
    return n;
}

static void try_batch(struct lq_job *j, struct site *s, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct work *w = &j->batch[i];

        if (w->live && job_verb(j)->dry)
            job_verb(j)->dry(j, s, w);
        if (w->live)
            w->result = LQ_DONE;
    }
}

static int run_batch(struct lq_job *j, struct lq_error *err)
{
    struct site *s = &j->sites[j->set->items[j->next].queue];
    struct lq_error back = { 0 };
    size_t n;
    int rc = j->opts.dry ? LQ_OK : who_become(&j->who, s->uid, s->gid, err);

    if (rc != LQ_OK)
        return rc;
    n = claim_batch(j, s);
    if (j->opts.dry)
        try_batch(j, s, n);
    else
        job_verb(j)->batch(j, s, j->batch, n);
    claims_end(j->batch, n);
    if (who_back(&j->who, &back) != LQ_OK)
        job_ends(j, n, LQ_EIO, "%s", back.text);
    if (n == 0)
        return error_memory(err);
    j->batch_n = n < j->cut ? n : j->cut;
    j->at = 0;
    j->next += j->batch_n;
    for (size_t i = 0; i < j->batch_n; i++)
        count(j, s, &j->batch[i]);
    if (!j->opts.dry)
        write_lines(j, s, j->batch, j->batch_n);
    return LQ_OK;
}

static const struct lq_outcome *answer(struct lq_job *j, const struct work *w)
{
    const struct lq_queue *q = site_queue(&j->sites[w->item->queue]);

    j->outcome = (struct lq_outcome){
        .index = w->index, .result = w->result, .id = w->item->id, .spool = q->root, .mta = q->backend->name,
        .state = state_names[w->item->state], .text = w->text[0] ? w->text : NULL, .new_id = w->new_id[0] ? w->new_id : NULL,
        .already = w->already,
    };
    return &j->outcome;
}

/* What was sealed and is not there any more is told like a message that was skipped. */
static int answer_missing(struct lq_job *j, const struct lq_outcome **out)
{
    struct buf line = { 0 };
    size_t use;

    if (j->stop || !job_next_missing(j, &j->outcome, &use))
        return LQ_END;
    *out = &j->outcome;
    j->skipped++;
    if (j->opts.dry)
        return LQ_OK;
    j->uses[use].unlike++;
    buf_add_char(&line, '{');
    json_text(&line, "event", "message");
    json_text(&line, "id", j->outcome.id);
    json_text(&line, "spool", j->outcome.spool);
    json_text(&line, "result", result_name(j->outcome.result));
    json_text(&line, "text", j->outcome.text);
    buf_add_str(&line, "}\n");
    job_lines(j->uses[use].job, &line);
    buf_done(&line);
    return LQ_OK;
}

int lq_job_next(struct lq_job *j, const struct lq_outcome **out, struct lq_error *err)
{
    while (j->at == j->batch_n) {
        int rc;

        if (j->fatal) {
            if (err)
                *err = j->error;
            return j->fatal;
        }
        if (j->stop || j->next == j->set->count)
            return answer_missing(j, out);
        rc = run_batch(j, err);
        if (rc != LQ_OK) {
            job_ends(j, 0, rc, "%s", err ? err->text : "");
            return rc;
        }
    }
    *out = answer(j, &j->batch[j->at++]);
    return LQ_OK;
}

void lq_job_stop(struct lq_job *j)
{
    j->stop = true;
}

const char *lq_job_name(const struct lq_job *j)
{
    return *j->name ? j->name : NULL;
}

const char *lq_job_case(const struct lq_job *j, size_t i)
{
    return i < j->use_count && j->uses[i].c ? j->uses[i].c->path : NULL;
}

int lq_job_warning(const struct lq_job *j, size_t i, char out[256])
{
    *out = '\0';
    if (i >= j->site_count)
        return LQ_END;
    if (j->opts.verb == LQ_HOLD && j->sites[i].actor->hold_warning && !j->sites[i].actor->hold_warning(&j->sites[i].sp, out))
        *out = '\0';
    return LQ_OK;
}

/* --- the end --- */

static void sync_site(struct lq_job *j, struct site *s)
{
    int error = folders_sync(&s->folders);

    /* A case before the spool that it was filled from, a spool before the case that it was filled from. */
    if (error == 0 && s->home)
        error = side_sync(&s->home_side);
    if (error == 0)
        error = side_sync(&s->side);
    if (error != 0) {
        j->uses[s->use].unfinished = true;
        job_ends(j, 0, LQ_EIO, "%s: %s while syncing; run 'mqquarantine recover'", s->q->root, strerrordesc_np(error));
    }
}

static const char *job_result(const struct lq_job *j)
{
    if (j->fatal)
        return "failed";
    if (j->next < j->set->count)
        return "interrupted";
    return j->skipped + j->failed > 0 ? "partly" : "done";
}

static int journal(struct lq_job *j, struct lq_case *c, struct vault_use *use, struct lq_error *err)
{
    char members[256];
    int n = snprintf(members, sizeof(members), "\"job\":\"%s\",\"result\":\"%s\",\"messages\":%zu", j->name, job_result(j), use->done);

    if (use->unlike > 0)
        snprintf(members + n, sizeof(members) - (size_t)n, ",\"not_as_sealed\":%zu", use->unlike);
    return case_journal(c, job_verb(j)->done, members, err);
}

/* The case is complete: hashes, and for undo the archive. An empty one is none. */
static int end_case(struct lq_job *j, struct vault_use *use, struct lq_error *err)
{
    int rc;

    if (use->done == 0 && case_has_files(use->c)) {
        use->unfinished = true;
        return error_set(err, LQ_EIO, "%s: no message is in this case, but files are; run 'mqquarantine recover'", use->c->path);
    }
    if (use->done == 0) {
        lq_case_close(use->c);
        use->c = NULL;
        case_remove_tree(use->vault, j->name);
        return LQ_OK;
    }
    /* Records and manifests need room, too. */
    if (j->fatal == LQ_ENOSPC)
        vault_use_reserve(use->vault);
    rc = journal(j, use->c, use, err);
    if (rc != LQ_OK)
        return rc;
    return job_verb(j) == &undo_verb ? case_pack_in_place(use->c, err) : case_seal(use->c, err);
}

/* What happened to a case that messages left is its own story, too. */
static int end_restore(struct lq_job *j, struct vault_use *use, struct lq_error *err)
{
    struct lq_case *c = NULL;

    for (size_t i = 0; i < j->site_count && !c; i++)
        c = &j->uses[j->sites[i].use] == use ? j->sites[i].q->in_case : NULL;
    return c && use->done + use->unlike > 0 && !c->unpacked && c->vault ? journal(j, c, use, err) : LQ_OK;
}

static int end_use(struct lq_job *j, struct vault_use *use, struct lq_error *err)
{
    struct lq_error second;
    int rc = LQ_OK, finished;

    if (use->c && !use->unfinished)
        rc = end_case(j, use, err);
    else if (j->opts.verb == LQ_RESTORE && use->job)
        rc = end_restore(j, use, err);
    if (!use->job)
        return rc;
    finished = job_finish(use->job, use->unfinished ? NULL : job_result(j), rc == LQ_OK ? err : &second);
    use->job = NULL;
    return rc == LQ_OK ? finished : rc;
}

int lq_job_end(struct lq_job *j, struct lq_error *err)
{
    int rc, told;

    if (!j)
        return LQ_OK;
    rc = who_back(&j->who, err);
    told = j->fatal;
    if (!j->opts.dry)
        for (size_t i = 0; i < j->site_count; i++)
            sync_site(j, &j->sites[i]);
    if (rc == LQ_OK && !told && j->fatal) {
        rc = j->fatal;
        if (err)
            *err = j->error;
    }
    for (size_t u = 0; u < j->use_count; u++) {
        int one = end_use(j, &j->uses[u], rc == LQ_OK ? err : NULL);

        rc = rc == LQ_OK ? one : rc;
    }
    free_job(j);
    return rc;
}
