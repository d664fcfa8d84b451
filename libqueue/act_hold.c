/*
 * Holding and releasing in place, the server's own way. The actor says what becomes of the key; here it is written beside the old one
 * under a name that no server looks at, synced, and put over it or moved, a batch at a time: at any instant there is one
 * whole key. Where it takes both (Sendmail), a second link keeps the old one until both are done, so that recover can undo a move.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "act.h"

enum { KEY_MAX = 64 << 20 };    /* a control file is a few KiB; what is larger is no work of a server */

struct hold {
    struct lq_job *j;
    struct site *s;
    bool on;
};

/*
 * The descriptor stays open until the batch is done: the rename over it would have to free the old file else, and wait for the disk each time
 * (see claims_end()).
 */
static int read_key(struct site *s, struct work *w, struct buf *out)
{
    const struct piece *key = &w->c.parts[0];
    struct source src = { .fd = -1 };
    const unsigned char *p;
    struct stat st;
    size_t got;
    int fd, error;

    if (file_open(s->sp.dirs[key->dir].fd, key->name, &fd, &st) != FILE_OK)
        return ESTALE;
    w->fds[w->fd_count++] = fd;
    if (st.st_ino != key->st.st_ino || st.st_dev != key->st.st_dev)
        return ESTALE;
    if (st.st_size > KEY_MAX || source_file(&src, fd, (uint64_t)st.st_size) < 0)
        return st.st_size > KEY_MAX ? EFBIG : ENOMEM;
    for (uint64_t off = 0; (p = source_at(&src, off, SOURCE_VIEW_MAX, &got)) != NULL; off += got)
        buf_add(out, p, got);
    error = src.error ? src.error : out->failed ? ENOMEM : out->n != (size_t)st.st_size ? ESTALE : 0;
    source_done(&src);
    return error;
}

/* Ask what to do; false with the reason in w. */
static bool decide(struct hold *h, struct work *w)
{
    struct buf key = { 0 };
    char why[256];
    int error = 0;

    if (!h->on && !work_settled(h->s, w, why)) {
        work_skip(w, "%s", why);
        return false;
    }
    /* A message of one file is held by its place: its bytes are not asked for. */
    if (!h->s->actor->one_file)
        error = read_key(h->s, w, &key);
    w->held = error == 0 ? calloc(1, sizeof(*w->held)) : NULL;
    if (error != 0)
        work_fail(w, "its control file cannot be read: %s", strerrordesc_np(error));
    else if (!w->held)
        work_fail(w, "out of memory");
    else
        switch (h->s->actor->hold(&h->s->sp, &w->c, bytes_from(key.p, key.n), h->on, h->j->opts.hold_reason, time(NULL), w->held)) {
        case HOLD_DO:
            break;
        case HOLD_ALREADY:
            w->already = true;
            /* fall through */
        case HOLD_REFUSED:
            work_skip(w, "%s", w->held->why);
            break;
        case HOLD_NO_MEMORY:
            work_fail(w, "out of memory");
        }
    buf_done(&key);
    return w->live;
}

static void forget(struct work *w)
{
    if (w->held)
        buf_done(&w->held->bytes);
    free(w->held);
    w->held = NULL;
}

/* What could not be undone is recover's. */
static void undone(struct hold *h, int error)
{
    h->j->uses[h->s->use].unfinished |= error != 0;
}

/* The new content under a temporary name: mode and owner of the old one, and locked. Its descriptor keeps the lock. */
static int write_new(struct hold *h, struct work *w, const char *name)
{
    const struct piece *key = &w->c.parts[0];
    int dir = h->s->sp.dirs[key->dir].fd, fd, error;

    error = file_create(dir, name, 0600, &fd);
    if (error == EEXIST) {
        /* Whoever made it is gone: the message's lock is ours. */
        error = file_remove(dir, name);
        if (error == 0)
            error = file_create(dir, name, 0600, &fd);
    }
    if (error != 0)
        return error;
    error = h->s->actor->lock(key, fd);
    if (error == 0)
        error = file_write(fd, w->held->bytes.p, w->held->bytes.n);
    if (error == 0 && (key->st.st_uid != geteuid() || key->st.st_gid != getegid()))
        error = file_set_owner(fd, key->st.st_uid, key->st.st_gid);
    if (error == 0)
        error = file_set_mode(fd, key->st.st_mode & 07777);
    if (error != 0) {
        close(fd);
        undone(h, disk_remove(dir, name));
        return error;
    }
    w->fds[w->fd_count++] = fd;
    return 0;
}

static void stop_or_fail(struct hold *h, struct work *w, size_t at, int error)
{
    if (disk_is_full(error) || disk_is_lost(error))
        job_ends(h->j, at, disk_is_full(error) ? LQ_ENOSPC : LQ_EIO, "%s: %s; message %s and those after it are as they were", h->s->q->root,
                 strerrordesc_np(error), w->item->id);
    else if (error == EEXIST)
        work_skip(w, "another file has the name that it would get");
    else if (error == EBUSY)
        work_skip(w, "it is being delivered now");
    else if (error == ENOENT || error == ESTALE)
        work_left(h->s, w);
    else
        work_fail(w, "%s", strerrordesc_np(error));
}

static int key_dir(const struct hold *h, const struct work *w)
{
    return h->s->sp.dirs[w->c.parts[0].dir].fd;
}

static int move(struct hold *h, struct work *w)
{
    const struct held *held = w->held;
    const char *name = w->c.parts[0].name;
    int from = key_dir(h, w), to = h->s->sp.dirs[held->dir].fd, error = 0;
    struct timespec now;

    if (work_in_use(h->s, w, from, name))
        return EBUSY;
    if (held->touch && clock_gettime(CLOCK_REALTIME, &now) == 0)
        error = file_touch(from, name, &now);
    if (error == 0)
        error = file_move(from, name, to, held->name);
    if (error == 0 && work_in_use(h->s, w, to, held->name) && file_move(to, held->name, from, name) == 0)
        error = EBUSY;
    return error;
}

/* Whether the key is what and where it was; else its second link stays for recover. */
static bool as_it_was(const struct hold *h, const struct work *w)
{
    const struct piece *key = &w->c.parts[0];
    struct stat now;

    return file_stat(key_dir(h, w), key->name, &now) == FILE_OK && now.st_ino == key->st.st_ino && now.st_dev == key->st.st_dev;
}

/* The new content is in `temp`. */
static int put_over(struct hold *h, struct work *w, const char *temp)
{
    const struct piece *key = &w->c.parts[0];
    const struct held *held = w->held;
    int dir = key_dir(h, w), error;

    if (!held->moved)
        return file_replace(dir, temp, key->name);
    if (held->dir != key->dir)
        return EXDEV;
    if (!held->move_first) {
        error = file_replace(dir, temp, key->name);
        return error ? error : move(h, w);
    }
    error = move(h, w);
    if (error != 0)
        return error;
    error = file_replace(dir, temp, held->name);
    if (error != 0)
        undone(h, file_move(h->s->sp.dirs[held->dir].fd, held->name, dir, key->name));
    return error;
}

static bool temp_name(const struct hold *h, const struct work *w, char temp[NAME_MAX + 1])
{
    return own_name(temp, REWRITTEN, job_mark(h->j), w->c.parts[0].name);
}

/* The new content takes the old one's place. */
static int rewrite(struct hold *h, struct work *w)
{
    const struct piece *key = &w->c.parts[0];
    char temp[NAME_MAX + 1], old[NAME_MAX + 1];
    int dir = key_dir(h, w), error = 0;

    if (!temp_name(h, w, temp) || !own_name(old, OLD_KEY, job_mark(h->j), key->name))
        return ENAMETOOLONG;
    if (w->held->moved)
        error = file_link(dir, key->name, dir, old, key->st.st_dev, key->st.st_ino);
    if (error != 0) {
        undone(h, disk_remove(dir, temp));
        return error;
    }
    error = put_over(h, w, temp);
    if (error != 0)
        undone(h, disk_remove(dir, temp));
    if (error != 0 && w->held->moved && !as_it_was(h, w))
        undone(h, w->held->move_first ? EIO : file_replace(dir, old, key->name));
    if (w->held->moved && (error == 0 || as_it_was(h, w)))
        undone(h, disk_remove(dir, old));
    return error;
}

/* First step: what is to be written, beside the key. */
static int prepare(struct hold *h, struct work *w)
{
    const struct held *held = w->held;
    char temp[NAME_MAX + 1];

    if (!side_touch(&h->s->side, w->c.parts[0].dir) || (held->moved && !side_touch(&h->s->side, held->dir)))
        return ENOMEM;
    if (!held->rewritten)
        return 0;
    return temp_name(h, w, temp) ? write_new(h, w, temp) : ENAMETOOLONG;
}

static int new_key(const struct work *w)
{
    return w->fds[w->fd_count - 1];
}

static bool is_new(const struct hold *h, const struct work *w, size_t i)
{
    return i < h->j->cut && w[i].live && w[i].held->rewritten;
}

/* Second step: what was written of [from, end) is on disk, or it is not used. */
static void sync_new(struct hold *h, struct work *w, size_t from, size_t end, size_t written)
{
    size_t first = from;
    int error;

    while (first < end && !is_new(h, w, first))
        first++;
    if (first < end && file_sync_all_pays(new_key(&w[first]), written)) {
        error = file_sync_all(new_key(&w[first]));
        if (error != 0)
            stop_or_fail(h, &w[first], first, disk_is_full(error) ? error : EIO);
        return;
    }
    /* One by one, but all are on their way while the first is waited for. */
    for (size_t i = first; i < end; i++)
        if (is_new(h, w, i))
            file_sync_begin(new_key(&w[i]));
    for (size_t i = first; i < end; i++) {
        char temp[NAME_MAX + 1];

        error = is_new(h, w, i) ? file_sync(new_key(&w[i])) : 0;
        if (error == 0)
            continue;
        undone(h, temp_name(h, &w[i], temp) ? disk_remove(key_dir(h, &w[i]), temp) : ENAMETOOLONG);
        stop_or_fail(h, &w[i], i, error);
    }
}

/* The job ends before this one. */
static void leave(struct hold *h, struct work *w)
{
    char temp[NAME_MAX + 1];

    if (w->live && w->held && w->held->rewritten)
        undone(h, temp_name(h, w, temp) ? disk_remove(key_dir(h, w), temp) : ENAMETOOLONG);
    w->live = false;
}

/* Targets before sources: a key that moves between directories is in one of them on disk at any instant. */
static int sync_batch(struct hold *h, struct work *w, size_t n)
{
    int error = 0;

    for (size_t i = 0; i < n; i++) {
        size_t dir = w[i].live && w[i].held->moved ? w[i].held->dir : SIZE_MAX;

        if (dir == SIZE_MAX || !h->s->side.dirty[dir] || dir == w[i].c.parts[0].dir)
            continue;
        error = file_sync(h->s->sp.dirs[dir].fd);
        if (error != 0)
            return error;
        h->s->side.dirty[dir] = false;
    }
    return side_sync(&h->s->side);
}

/*
 * Messages [from, answer) of the batch are written, then synced, then put in place: the disk writes many files in the time that it takes
 * for one. Few enough that their second copies need little room; where the disk is full even so, those before go on alone.
 */
static size_t run_some(struct hold *h, struct work *w, size_t from, size_t n)
{
    enum { ROOM = 32 << 20 };
    size_t end, written = 0, bytes = 0;

    for (end = from; end < n && end < h->j->cut && bytes < ROOM; end++) {
        int error = 0;

        if (w[end].live && decide(h, &w[end]))
            error = prepare(h, &w[end]);
        if (disk_is_full(error) && written > 0) {
            forget(&w[end]);
            break;
        }
        if (error != 0)
            stop_or_fail(h, &w[end], end, error);
        if (w[end].live && w[end].held->rewritten) {
            written++;
            bytes += w[end].held->bytes.n;
        }
        if (w[end].held)
            buf_done(&w[end].held->bytes);
    }
    sync_new(h, w, from, end, written);
    for (size_t i = from; i < end && i < h->j->cut; i++) {
        int error = 0;

        if (w[i].live)
            error = w[i].held->rewritten ? rewrite(h, &w[i]) : move(h, &w[i]);
        if (error != 0)
            stop_or_fail(h, &w[i], i, error);
    }
    for (size_t i = h->j->cut; i < end; i++)
        leave(h, &w[i]);
    return end;
}

static void run(struct hold *h, struct work *w, size_t n)
{
    int error;

    for (size_t i = 0; i < n && i < h->j->cut;)
        i = run_some(h, w, i, n);
    for (size_t i = h->j->cut; i < n; i++)
        w[i].live = false;
    error = sync_batch(h, w, n);
    for (size_t i = 0; i < n; i++) {
        if (w[i].live)
            w[i].result = LQ_DONE;
        w[i].live = false;
        forget(&w[i]);
    }
    if (error != 0 && !h->j->fatal)
        job_ends(h->j, n, LQ_EIO, "%s: %s while syncing", h->s->q->root, strerrordesc_np(error));
}

static void hold_batch(struct lq_job *j, struct site *s, struct work *w, size_t n)
{
    struct hold h = { j, s, true };

    run(&h, w, n);
}

static void release_batch(struct lq_job *j, struct site *s, struct work *w, size_t n)
{
    struct hold h = { j, s, false };

    run(&h, w, n);
}

static void hold_dry(struct lq_job *j, struct site *s, struct work *w)
{
    struct hold h = { j, s, true };

    decide(&h, w);
    forget(w);
}

static void release_dry(struct lq_job *j, struct site *s, struct work *w)
{
    struct hold h = { j, s, false };

    decide(&h, w);
    forget(w);
}

const struct verb hold_verb = { .name = "hold", .done = "held", .batch = hold_batch, .dry = hold_dry };
const struct verb release_verb = { .name = "release", .done = "released", .batch = release_batch, .dry = release_dry };
