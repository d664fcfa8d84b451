/*
 * Putting messages of a case back into the spool that they came from.
 *
 * From an open case on the spool's file system the files themselves go back: the other parts are linked into the spool . sync .
 * the key is renamed into it . sync . what is left in the case goes.
 * Otherwise copies go: all parts under names that no server looks at . the other parts get their names . sync . the key gets its
 * name . sync . what is left in the case goes, unless that is a copy, too.
 *
 * Before the key gets its name a line in the ledger is on disk: of a case that stays, nothing else tells what went back. The key comes
 * last, what carries the server's lock is locked before its name appears, and nothing is replaced.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "act.h"

enum there { THERE_NOT, THERE_ASIDE, THERE_NAMED };

/* A part on its way. */
struct going {
    size_t dir, aside;          /* in the spool: where it goes, and where its copy waits */
    char name[NAME_MAX + 1];    /* its name there */
    enum there there;
    struct stat st;             /* the copy's */
};

struct back {
    struct lq_job *j;
    struct site *s;
    struct work *w;
    size_t n;
};

/* --- the way home --- */

/* Whether this machine's own server says that its spool is there. */
static bool is_configured(const char *dir, const char *mta)
{
    struct lq_spools *spools;
    struct stat is, has;
    bool found = false;

    if (stat(dir, &is) < 0 || lq_spools_find(&spools, mta, NULL) != LQ_OK)
        return false;
    for (size_t i = 0; i < lq_spools_count(spools) && !found; i++)
        found = stat(lq_spools_dir(spools, i), &has) == 0 && has.st_dev == is.st_dev && has.st_ino == is.st_ino;
    lq_spools_free(spools);
    return found;
}

static int open_home(struct site *s, struct lq_error *err)
{
    const char *dir = s->q->in_case->spools[s->q->case_spool].spool, *mta = s->q->backend->name;
    int rc = lq_queue_open(&s->home, NULL, dir, NULL, err);

    /* A spool that was emptied may show no trait of its server; that it is where the messages came from is known of our own cases. */
    if (rc == LQ_EUNKNOWN && (!s->q->in_case->info.elsewhere || is_configured(dir, mta)))
        rc = lq_queue_open(&s->home, mta, dir, NULL, err);
    if (rc == LQ_EUNKNOWN)
        return error_set(err, LQ_EREFUSED, "%s, where the case says that its messages are from, is no spool of %s as far as can be told: a case from elsewhere may "
                                           "say anything, so nothing is put there", dir, mta);
    if (rc != LQ_OK)
        return rc;
    if (s->home->backend != s->q->backend)
        return error_set(err, LQ_EREFUSED, "%s is a spool of %s now; the messages are %s's", dir, s->home->backend->name, s->q->backend->name);
    rc = listing_dirs(&s->home_sp, s->home, err);
    s->home_listed = rc == LQ_OK;
    s->home_side.sp = &s->home_sp;
    return rc;
}

static int open_site(struct lq_job *j, struct site *s, struct lq_error *err)
{
    struct lq_case *c = s->q->in_case;

    if (!c)
        return error_set(err, LQ_EINVAL, "%s: not the messages of a case", s->q->root);
    if (c->info.strangers)
        return error_set(err, LQ_EREFUSED, "%s: others than root may change this directory at any moment, so nothing of it is put back", c->path);
    if (c->info.custody == LQ_COPY && !j->opts.again)
        return error_set(err, LQ_EREFUSED, "%s holds copies of messages that stayed in their queue: restoring them would deliver them twice", c->name);
    s->unpacked = c->unpacked;
    s->keep = c->unpacked || c->info.elsewhere || c->info.custody == LQ_COPY;
    s->ledger_name = c->ledger;
    snprintf(s->ledger_prefix, sizeof(s->ledger_prefix), "%zu-%s/", s->q->case_spool, s->q->backend->name);
    return open_home(s, err);
}

/* --- may it go? --- */

static void ledger_key(const struct site *s, const struct work *w, char out[PATH_MAX])
{
    const struct piece *key = &w->c.parts[0];
    const char *dir = s->sp.dirs[key->dir].path;

    snprintf(out, PATH_MAX, "%s%s%s%s", s->ledger_prefix, dir, *dir ? "/" : "", key->name);
}

/* A directory whose parent is there, made like it. */
static int make_home_dir(struct site *s, const char *path, size_t *out)
{
    const char *slash = strrchr(path, '/');
    size_t parent;
    struct stat st;
    char up[256];
    bool made;
    int fd, error;

    snprintf(up, sizeof(up), "%.*s", (int)(slash - path), path);
    error = spool_dir(&s->home_sp, up, &parent);
    if (error == 0)
        error = file_make_below(s->home_sp.dirs[parent].fd, slash + 1, &fd, &made);
    if (error != 0)
        return error;
    if (made && fstat(s->home_sp.dirs[parent].fd, &st) == 0) {
        error = s->uid == 0 ? file_set_owner(fd, st.st_uid, st.st_gid) : 0;
        if (error == 0)
            error = file_set_mode(fd, st.st_mode & 07777);
    }
    close(fd);
    return error ? error : spool_dir(&s->home_sp, path, out);
}

/* The directory in the spool; levels that are missing are made (Postfix may want several), but never a queue. */
static int home_dir(struct back *b, const char *path, size_t *out)
{
    struct site *s = b->s;
    int error = spool_dir(&s->home_sp, path, out);

    if (error == ENOENT && b->j->opts.dry) {
        *out = SIZE_MAX;
        return 0;
    }
    for (const char *end = strchr(path, '/'); error == ENOENT && end && *end;) {
        char level[256];

        end += 1 + strcspn(end + 1, "/");
        /* cppcheck-suppress nullPointerArithmeticRedundantCheck  ; the loop's condition is asked before */
        snprintf(level, sizeof(level), "%.*s", (int)(end - path), path);
        error = spool_dir(&s->home_sp, level, out);
        if (error == ENOENT)
            error = make_home_dir(s, level, out);
        if (error == 0 && *end)
            error = ENOENT;     /* not yet at the last one */
    }
    return error;
}

/* Where each part goes, under the new id if there is one; false with the reason in w. */
static bool find_places(struct back *b, struct work *w, const char *new_id)
{
    struct site *s = b->s;

    for (size_t i = 0; i < w->c.n; i++) {
        struct piece part = w->c.parts[i];
        char dir[256] = "", why[256] = "";
        int error;

        /* The times stay those of the file in the case: they tell since when the server has not seen the message. */
        if (new_id)
            snprintf(part.name, sizeof(part.name), "%s", new_id);
        if (!s->actor->place(&s->home_sp, &part, s->sp.dirs[part.dir].path, dir, w->going[i].name, why)) {
            work_skip(w, "%s", why);
            return false;
        }
        error = home_dir(b, dir, &w->going[i].dir);
        if (error != 0) {
            work_fail(w, "%s/%s: %s", s->home->root, dir, strerrordesc_np(error));
            return false;
        }
    }
    return true;
}

static bool needs_copies(const struct back *b, const struct work *w)
{
    struct stat st;

    if (b->s->keep || fstat(b->s->home_sp.fd, &st) < 0)
        return true;
    for (size_t i = 0; i < w->c.n; i++)
        if (w->c.parts[i].st.st_dev != st.st_dev)
            return true;
    return false;
}

/* In an open case on the same disk the key itself is the proof that it did not go. */
static bool went_back(const struct back *b, const struct work *w)
{
    char key[PATH_MAX];

    ledger_key(b->s, w, key);
    return w->copied && !b->j->opts.again && b->s->ledger && ledger_has(b->s->ledger, key);
}

static bool may_go(struct back *b, struct work *w)
{
    char why[256] = "";

    w->going = calloc(CLAIM_PARTS_MAX, sizeof(*w->going));
    if (!w->going) {
        work_fail(w, "out of memory");
        return false;
    }
    w->copied = needs_copies(b, w);
    if (went_back(b, w))
        work_skip(w, "it went back before");
    else if (!b->s->actor->vacant(&b->s->home_sp, w->item->id, why))
        work_skip(w, "%s", why);
    else if (work_as_sealed(b->s, w))
        return find_places(b, w, NULL);
    return false;
}

/* What the server will do with a message of its age, for the outcome's text. */
static void foretell(struct back *b, struct work *w)
{
    struct entry entries[CLAIM_PARTS_MAX];
    struct ref ref = { entries, (uint32_t)w->c.n, false };
    struct site *s = b->s;
    char text[256] = "";

    if (!s->actor->prospect)
        return;
    for (size_t i = 0; i < w->c.n; i++) {
        const struct piece *p = &w->c.parts[i];
        const char *id = strstr(p->name, w->item->id);

        if (!id)
            return;
        entries[i] = (struct entry){ .name = p->name, .id = id, .dir = (uint16_t)p->dir, .id_len = (uint8_t)strlen(w->item->id),
                                     .role = p->role };
    }
    reading_begin(&s->rd, &ref, &s->rec, LQ_FIELDS_ALL);
    if (reading_sections(&s->rd, SEC_CONTROL | SEC_SIZE) && s->actor->prospect(&s->home_sp, &s->rec, b->j->opts.now, text))
        snprintf(w->text, sizeof(w->text), "%s", text);
    reading_end(&s->rd);
}

/* --- first step: everything but the key's name --- */

static int from_fd(const struct back *b, const struct piece *p)
{
    return b->s->sp.dirs[p->dir].fd;
}

static int home_fd(const struct back *b, size_t dir)
{
    return b->s->home_sp.dirs[dir].fd;
}

static bool aside_name(const struct back *b, const struct work *w, size_t i, char out[NAME_MAX + 1])
{
    return own_name(out, i == 0 ? COPY_KEY : COPY_PART, job_mark(b->j), w->c.parts[i].name);
}

/* Take away from the spool what was put there of a message that stays in the case; its key has no name there. */
static void withdraw(struct back *b, struct work *w)
{
    char name[NAME_MAX + 1];

    for (size_t i = 0; w->going && i < w->c.n; i++) {
        struct going *g = &w->going[i];
        int error = 0;

        if (g->there == THERE_NAMED)
            error = disk_remove(home_fd(b, g->dir), g->name);
        else if (g->there == THERE_ASIDE && aside_name(b, w, i, name))
            error = disk_remove(home_fd(b, g->aside), name);
        b->j->uses[b->s->use].unfinished |= error != 0;
        g->there = THERE_NOT;
    }
}

static int keep_locked(struct back *b, struct work *w, const struct piece *p, int fd)
{
    int error = b->s->actor->lock(p, fd);

    if (error != 0)
        close(fd);
    else
        w->fds[w->fd_count++] = fd;
    return error;
}

/*
 * A log that a server left of a message which is in none of its queues (vacant() looked): an agent that was still at work when the message was taken
 * writes one, and the server itself deletes it when it comes to the message. It must not keep the message from coming back. (postfix: defer/ID.)
 */
static bool is_stale_log(const struct back *b, const struct work *w, size_t i, struct stat *st)
{
    const struct piece *p = &w->c.parts[i];
    const struct going *g = &w->going[i];

    return i > 0 && b->s->actor->one_file && g->dir != SIZE_MAX && file_stat(home_fd(b, g->dir), g->name, st) == FILE_OK && S_ISREG(st->st_mode) &&
           st->st_nlink == 1 && (st->st_ino != p->st.st_ino || st->st_dev != p->st.st_dev);
}

static void remove_stale(struct back *b, struct work *w, size_t i)
{
    struct stat st;

    if (is_stale_log(b, w, i, &st))
        file_remove(home_fd(b, w->going[i].dir), w->going[i].name);
}

/* Told beside what the message's age will do. */
static void note_stale(struct back *b, struct work *w)
{
    struct stat st;
    size_t n;

    for (size_t i = 1; i < w->c.n; i++) {
        if (!is_stale_log(b, w, i, &st))
            continue;
        n = strlen(w->text);
        snprintf(w->text + n, sizeof(w->text) - n, "%san older log of its id, %.100s/%.60s, gives way to the one of the case", n ? "; " : "",
                 b->s->home_sp.dirs[w->going[i].dir].path, w->going[i].name);
    }
}

/* The file itself: locked where it lies; linked into the spool unless it is the key, which moves later. */
static int link_part(struct back *b, struct work *w, size_t i)
{
    const struct piece *p = &w->c.parts[i];
    struct going *g = &w->going[i];
    struct stat st;
    int fd, error;

    if (file_open_rw(from_fd(b, p), p->name, &fd, &st) != FILE_OK)
        return ESTALE;
    if (st.st_ino != p->st.st_ino || st.st_dev != p->st.st_dev) {
        close(fd);
        return ESTALE;
    }
    error = keep_locked(b, w, p, fd);
    if (error == 0)
        remove_stale(b, w, i);
    if (error == 0 && (st.st_mode & 07777 & ~b->s->actor->modes))
        error = file_set_mode(fd, st.st_mode & 07777 & b->s->actor->modes);
    if (error == 0 && i > 0)
        error = file_link(from_fd(b, p), p->name, home_fd(b, g->dir), g->name, p->st.st_dev, p->st.st_ino);
    if (error == 0 && i > 0)
        g->there = THERE_NAMED;
    return error;
}

static int copy_part(struct back *b, struct work *w, size_t i)
{
    const struct piece *p = &w->c.parts[i];
    struct going *g = &w->going[i];
    char name[NAME_MAX + 1];
    struct stat dir;
    int fd, error;
    struct copy c = { .from = from_fd(b, p), .to = home_fd(b, g->dir), .name = p->name, .as = name, .st = &p->st, .uid = (uid_t)-1, .fd = &fd,
                      .strip = ~b->s->actor->modes };

    if (!aside_name(b, w, i, name))
        return ENAMETOOLONG;
    /* Never a number from a case: the owner is the spool's. */
    if (b->s->uid == 0 && fstat(c.to, &dir) == 0) {
        c.uid = dir.st_uid;
        c.gid = dir.st_gid;
    }
    g->aside = g->dir;
    error = disk_copy(&c);
    if (error != 0)
        return error;
    g->there = THERE_ASIDE;
    error = fstat(fd, &g->st) < 0 ? errno : 0;
    if (error != 0)
        close(fd);
    return error ? error : keep_locked(b, w, p, fd);
}

/* A copy's inode is a new one, and so, for some servers, is the id. */
static int take_id(struct back *b, struct work *w)
{
    const struct lq_actor *a = b->s->actor;
    char why[256] = "";

    if (!a->new_id || !a->new_id(&b->s->home_sp, w->item->id, &w->going[0].st, w->new_id) || strcmp(w->new_id, w->item->id) == 0) {
        w->new_id[0] = '\0';
        return 0;
    }
    if (!a->vacant(&b->s->home_sp, w->new_id, why))
        return EEXIST;
    return find_places(b, w, w->new_id) ? 0 : ECANCELED;
}

static int name_part(struct back *b, struct work *w, size_t i)
{
    struct going *g = &w->going[i];
    char name[NAME_MAX + 1];
    int error;

    if (!aside_name(b, w, i, name))
        return ENAMETOOLONG;
    if (!side_touch(&b->s->home_side, g->dir) || !side_touch(&b->s->home_side, g->aside))
        return ENOMEM;
    remove_stale(b, w, i);
    error = file_move(home_fd(b, g->aside), name, home_fd(b, g->dir), g->name);
    if (error == 0)
        g->there = THERE_NAMED;
    return error;
}

static int put_parts(struct back *b, struct work *w)
{
    int error = 0;

    for (size_t i = 0; i < w->c.n && error == 0; i++) {
        if (!side_touch(&b->s->home_side, w->going[i].dir))
            return ENOMEM;
        error = w->copied ? copy_part(b, w, i) : link_part(b, w, i);
    }
    return error == 0 && w->copied ? take_id(b, w) : error;
}

static void unlock(struct work *w)
{
    for (unsigned i = 0; i < w->fd_count; i++)
        close(w->fds[i]);
    w->fd_count = 0;
}

static void give_up(struct back *b, struct work *w, int error)
{
    withdraw(b, w);
    if (disk_is_full(error) || disk_is_lost(error))
        job_ends(b->j, (size_t)(w - b->w), disk_is_full(error) ? LQ_ENOSPC : LQ_EIO, "%s: %s; message %s is still in the case",
                 b->s->home->root, strerrordesc_np(error), w->item->id);
    else if (!w->live)
        return;
    else if (error == EEXIST)
        work_skip(w, "a file of this name is in the queue");
    else if (error == ENOENT || error == ESTALE)
        work_skip(w, "it is not in the case any more");
    else
        work_fail(w, "%s while putting it back", strerrordesc_np(error));
}

static void drop_rest(struct back *b)
{
    for (size_t i = b->j->cut; i < b->n; i++) {
        if (b->w[i].live)
            withdraw(b, &b->w[i]);
        b->w[i].live = false;
    }
}

static void first_step(struct back *b)
{
    for (size_t i = 0; i < b->n && i < b->j->cut; i++) {
        struct work *w = &b->w[i];
        int error;

        if (!w->live || !may_go(b, w))
            continue;
        foretell(b, w);
        note_stale(b, w);
        error = put_parts(b, w);
        if (error == EXDEV && !w->copied) {
            withdraw(b, w);
            unlock(w);
            w->copied = true;
            error = went_back(b, w) ? EALREADY : put_parts(b, w);
        }
        if (error != 0)
            give_up(b, w, error);
    }
    drop_rest(b);
}

/* Copies get their names only now that the key's copy is on disk: after a crash that one tells of parts that have theirs. */
static void name_parts(struct back *b)
{
    for (size_t i = 0; i < b->n && i < b->j->cut; i++) {
        struct work *w = &b->w[i];
        int error = 0;

        for (size_t part = 1; w->live && w->copied && part < w->c.n && error == 0; part++)
            error = name_part(b, w, part);
        if (error != 0)
            give_up(b, w, error);
    }
    drop_rest(b);
}

static bool any_copies(const struct back *b)
{
    for (size_t i = 0; i < b->n; i++)
        if (b->w[i].live && b->w[i].copied)
            return true;
    return false;
}

/* --- second step: the ledger, then the key --- */

static int note_in_ledger(struct back *b)
{
    char key[PATH_MAX];
    int error = 0;

    for (size_t i = 0; i < b->n && error == 0; i++) {
        const struct work *w = &b->w[i];

        if (!w->live)
            continue;
        ledger_key(b->s, w, key);
        error = ledger_add(b->s->ledger, key, w->item->id, w->new_id[0] ? w->new_id : NULL, b->j->name, w->copied);
    }
    return error ? error : ledger_sync(b->s->ledger);
}

/*
 * They did not go after all. Where that cannot be written down, the copy of the key stays in the queue as it is, under the name that nobody looks
 * at: by it recover knows that the line is one too many.
 */
static void cancel(struct back *b, struct work *w)
{
    char key[PATH_MAX];

    ledger_key(b->s, w, key);
    if (ledger_cancel(b->s->ledger, key) == 0 || !w->copied)
        return;
    w->going[0].there = THERE_NOT;
    b->j->uses[b->s->use].unfinished = true;
}

static int move_key(struct back *b, struct work *w)
{
    const struct piece *key = &w->c.parts[0];
    struct going *g = &w->going[0];
    int error;

    if (w->copied)
        return name_part(b, w, 0);
    if (!side_touch(&b->s->side, key->dir) || !side_touch(&b->s->home_side, g->dir))
        return ENOMEM;
    error = file_move(from_fd(b, key), key->name, home_fd(b, g->dir), g->name);
    if (error == 0)
        g->there = THERE_NAMED;
    return error;
}

static void second_step(struct back *b)
{
    for (size_t i = 0; i < b->n && i < b->j->cut; i++) {
        struct work *w = &b->w[i];
        int error;

        if (!w->live)
            continue;
        error = move_key(b, w);
        if (error != 0) {
            cancel(b, w);
            give_up(b, w, error);
        }
    }
    for (size_t i = b->j->cut; i < b->n; i++)
        if (b->w[i].live)
            cancel(b, &b->w[i]);
    drop_rest(b);
}

/* A key leaves its name: to the case, or, a copy, to the name that it had before. */
static int key_back(struct back *b, struct work *w)
{
    const struct piece *key = &w->c.parts[0];
    struct going *g = &w->going[0];
    char name[NAME_MAX + 1];
    int error = 0;

    if (w->copied)
        error = !aside_name(b, w, 0, name) ? ENAMETOOLONG : file_move(home_fd(b, g->dir), g->name, home_fd(b, g->aside), name);
    else
        error = file_move(home_fd(b, g->dir), g->name, from_fd(b, key), key->name);
    if (error == 0)
        g->there = w->copied ? THERE_ASIDE : THERE_NOT;
    return error;
}

/* The spool could not be synced: the keys, whose messages we still hold locked, leave it again. */
static void all_back(struct back *b, int error)
{
    bool back = true;

    for (size_t i = 0; i < b->n; i++)
        if (b->w[i].live && b->w[i].going[0].there == THERE_NAMED)
            back = key_back(b, &b->w[i]) == 0 && back;
    back = side_sync_first(&b->s->side) == 0 && back;
    back = side_sync(&b->s->home_side) == 0 && back;
    /* Where a key may be in the spool, on disk, its line must stay: else it could go back a second time. */
    for (size_t i = 0; i < b->n; i++) {
        struct work *w = &b->w[i];

        if (w->live && back) {
            cancel(b, w);
            withdraw(b, w);
        }
        w->live = false;
    }
    back = side_sync(&b->s->home_side) == 0 && back;
    b->j->uses[b->s->use].unfinished |= !back;
    job_ends(b->j, 0, disk_is_full(error) ? LQ_ENOSPC : LQ_EIO, "%s: %s while syncing; %s", b->s->home->root, strerrordesc_np(error),
             back ? "the messages are in the case" : "run 'mqquarantine recover'");
}

/* --- third step: what is left in the case --- */

/* The key of a copy goes last: while it is there, recover knows what the rest is. */
static void settle(struct back *b, struct work *w)
{
    int error = 0;

    w->result = LQ_DONE;
    w->live = false;
    for (size_t i = 1; i <= w->c.n && !b->s->keep && error == 0; i++) {
        const struct piece *p = &w->c.parts[i % w->c.n];

        if (i < w->c.n || w->copied)
            error = side_touch(&b->s->side, p->dir) ? disk_remove(from_fd(b, p), p->name) : ENOMEM;
    }
    if (error != 0) {
        b->j->uses[b->s->use].unfinished = true;
        work_fail(w, "it is in the queue, but files of it are left in the case: %s; run 'mqquarantine recover'", strerrordesc_np(error));
    }
}

static void forget(struct work *w)
{
    free(w->going);
    w->going = NULL;
}

static void batch(struct lq_job *j, struct site *s, struct work *w, size_t n)
{
    struct back b = { j, s, w, n };
    int error;

    first_step(&b);
    error = side_sync(&s->home_side);
    if (error == 0 && any_copies(&b)) {
        name_parts(&b);
        error = side_sync(&s->home_side);
    }
    if (error == 0)
        error = note_in_ledger(&b);
    if (error == 0) {
        second_step(&b);
        error = side_sync_first(&s->home_side);
    }
    if (error == 0)
        error = side_sync(&s->side);
    if (error != 0)
        all_back(&b, error);
    for (size_t i = 0; i < n; i++) {
        if (w[i].live)
            settle(&b, &w[i]);
        forget(&w[i]);
    }
}

static void dry(struct lq_job *j, struct site *s, struct work *w)
{
    struct back b = { j, s, w, 1 };

    if (may_go(&b, w)) {
        foretell(&b, w);
        note_stale(&b, w);
    }
    forget(w);
}

const struct verb restore_verb = { .name = "restore", .done = "restored", .claim_flags = CLAIM_UNLOCKED | CLAIM_DAMAGED,
                                   .open = open_site, .batch = batch, .dry = dry };
