/*
 * Directories that a job changes and syncs, directories that it makes, and copies between file systems. Knows names and descriptors,
 * no messages.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "act.h"
#include "digest.h"

bool own_name(char out[NAME_MAX + 1], const char *prefix, const char *mark, const char *name)
{
    return snprintf(out, NAME_MAX + 1, "%s%s%s%s", prefix, mark, *mark ? "-" : "", name) <= NAME_MAX;
}

bool disk_is_full(int error)
{
    return error == ENOSPC || error == EDQUOT;
}

/* A limit of file sizes (ulimit -f) is among them: no room that somebody makes helps. */
bool disk_is_lost(int error)
{
    return error == EROFS || error == EIO || error == ESHUTDOWN || error == EFBIG;
}

int disk_remove(int dir, const char *name)
{
    int error = file_remove(dir, name);
    struct stat st;

    if (error != ENOENT)
        return error;
    return file_stat(dir, name, &st) == FILE_GONE ? 0 : EIO;
}

/* --- syncing --- */

/* What is to be synced: descriptor i, NULL while it is clean. */
typedef bool *dirt_fn(void *of, size_t i, int *fd);

static bool is_on(int fd, dev_t dev)
{
    struct stat st;

    return fstat(fd, &st) == 0 && st.st_dev == dev;
}

/* Those of one file system, by one call where that pays; true when it was made, or failed. */
static bool sync_together(dirt_fn *dirt, void *of, size_t n, size_t first, int *error)
{
    struct stat st;
    size_t count = 0;
    int fd, with;

    if (!dirt(of, first, &with) || fstat(with, &st) < 0)
        return false;
    for (size_t i = first; i < n; i++)
        count += dirt(of, i, &fd) && is_on(fd, st.st_dev);
    if (!file_sync_all_pays(with, count))
        return false;
    *error = file_sync_all(with);
    for (size_t i = first; i < n && *error == 0; i++) {
        bool *dirty = dirt(of, i, &fd);

        if (dirty && is_on(fd, st.st_dev))
            *dirty = false;
    }
    return true;
}

static int sync_dirty(dirt_fn *dirt, void *of, size_t n, bool together)
{
    int first = 0;

    for (size_t i = 0; i < n; i++) {
        int fd, error = 0;
        bool *dirty = dirt(of, i, &fd);

        if (!dirty)
            continue;
        if (together && sync_together(dirt, of, n, i, &error) && error != 0)
            return error;
        /* What does not pay for the first does not for the others of the same file system; there is rarely a second. */
        together = !*dirty;
        if (*dirty)
            error = file_sync(fd);
        if (error == 0)
            *dirty = false;
        else if (first == 0)
            first = error;
    }
    return first;
}

/* --- sides --- */

bool side_touch(struct side *s, size_t dir)
{
    if (dir >= s->cap) {
        size_t cap = dir + 64;
        bool *more = realloc(s->dirty, cap * sizeof(*more));

        if (!more)
            return false;
        memset(more + s->cap, 0, (cap - s->cap) * sizeof(*more));
        s->dirty = more;
        s->cap = cap;
    }
    s->dirty[dir] = true;
    return true;
}

static bool *side_dirt(void *of, size_t i, int *fd)
{
    struct side *s = of;

    if (!s->dirty[i])
        return NULL;
    *fd = s->sp->dirs[i].fd;
    return &s->dirty[i];
}

int side_sync(struct side *s)
{
    return sync_dirty(side_dirt, s, s->cap, true);
}

int side_sync_first(struct side *s)
{
    return sync_dirty(side_dirt, s, s->cap, false);
}

void side_done(struct side *s)
{
    free(s->dirty);
    *s = (struct side){ 0 };
}

/* --- trees --- */

static int find_dir(struct folders *t, const char *path, size_t *out);

static int remember(struct folders *t, const char *path, int fd, size_t *out)
{
    struct folder dir = { .path = strdup(path), .fd = fd };

    if (dir.path && t->count == t->cap) {
        size_t cap = t->cap ? t->cap * 2 : 32;
        struct folder *more = realloc(t->dirs, cap * sizeof(*more));

        if (more) {
            t->dirs = more;
            t->cap = cap;
        }
    }
    if (!dir.path || t->count == t->cap) {
        free(dir.path);
        close(fd);
        return ENOMEM;
    }
    *out = t->count;
    t->dirs[t->count++] = dir;
    return 0;
}

/* One level, in the one above it, which is synced with the others before anything leaves the spool. */
static int make_level(int up, const char *name, int *fd, bool *made)
{
    int error = file_make_dir(up, name, 0700);

    *made = error == 0;
    return error == 0 || error == EEXIST ? file_open_below(up, name, fd) : error;
}

/* As many calls of itself as the path has levels; a spool's has three. */
static int add_dir(struct folders *t, const char *path, size_t *out)
{
    const char *slash = strrchr(path, '/');
    char above[PATH_MAX];
    size_t up;
    bool made = false;
    int fd, error;

    if (!*path) {
        error = file_open_below(t->base, ".", &fd);
        return error ? error : remember(t, path, fd, out);
    }
    snprintf(above, sizeof(above), "%.*s", slash ? (int)(slash - path) : 0, path);
    error = find_dir(t, above, &up);
    if (error == 0)
        error = make_level(t->dirs[up].fd, slash ? slash + 1 : path, &fd, &made);
    if (error == EMFILE && listing_more_files())
        error = make_level(t->dirs[up].fd, slash ? slash + 1 : path, &fd, &made);
    if (error != 0)
        return error;
    t->dirs[up].dirty |= made;
    return remember(t, path, fd, out);
}

static int find_dir(struct folders *t, const char *path, size_t *out)
{
    for (size_t i = 0; i < t->count; i++)
        if (strcmp(t->dirs[i].path, path) == 0) {
            *out = i;
            return 0;
        }
    return add_dir(t, path, out);
}

int folders_of(struct folders *t, const struct spool *sp, size_t dir, size_t *out)
{
    int error;

    if (dir >= t->of_count) {
        size_t count = sp->dir_count > dir ? sp->dir_count : dir + 1;
        size_t *more = realloc(t->of, count * sizeof(*more));

        if (!more)
            return ENOMEM;
        memset(more + t->of_count, 0, (count - t->of_count) * sizeof(*more));
        t->of = more;
        t->of_count = count;
    }
    if (t->of[dir]) {
        *out = t->of[dir] - 1;
        return 0;
    }
    error = find_dir(t, sp->dirs[dir].path, out);
    if (error == 0)
        t->of[dir] = *out + 1;
    return error;
}

static bool *folder_dirt(void *of, size_t i, int *fd)
{
    struct folders *t = of;

    *fd = t->dirs[i].fd;
    return t->dirs[i].dirty ? &t->dirs[i].dirty : NULL;
}

int folders_sync(struct folders *t)
{
    return sync_dirty(folder_dirt, t, t->count, true);
}

int folders_sync_first(struct folders *t)
{
    return sync_dirty(folder_dirt, t, t->count, false);
}

void folders_done(struct folders *t)
{
    for (size_t i = 0; i < t->count; i++) {
        close(t->dirs[i].fd);
        free(t->dirs[i].path);
    }
    free(t->dirs);
    free(t->of);
    *t = (struct folders){ 0 };
}

/* A level of directories at a time: files are given, directories are put off. Bounded by the depth of a path, not by what is in there. */
struct giving {
    int fd;
    uid_t uid;
    gid_t gid;
    unsigned depth;
    int error;
};

static int give_one(void *ctx, const char *name, size_t len, unsigned char type)
{
    enum { DEPTH_MAX = 16 };
    struct giving *g = ctx;
    struct giving below = { .uid = g->uid, .gid = g->gid, .depth = g->depth + 1 };
    struct stat st;
    int fd;

    (void)len;
    (void)type;
    if (file_open(g->fd, name, &fd, &st) == FILE_OK) {
        g->error = file_set_owner(fd, g->uid, g->gid);
    } else {
        g->error = g->depth < DEPTH_MAX ? file_open_below(g->fd, name, &fd) : ELOOP;
        if (g->error != 0)
            return 1;
        below.fd = fd;
        if (file_each(fd, give_one, &below) != FILE_OK)
            g->error = errno;
        if (g->error == 0)
            g->error = below.error;
        if (g->error == 0)
            g->error = file_set_owner(fd, g->uid, g->gid);
    }
    close(fd);
    return g->error != 0;
}

int folders_give(int fd, uid_t uid, gid_t gid, struct lq_error *err)
{
    struct giving g = { .fd = fd, .uid = uid, .gid = gid };

    if (uid == geteuid())
        return LQ_OK;
    if (file_each(fd, give_one, &g) != FILE_OK)
        g.error = errno;
    if (g.error == 0)
        g.error = file_set_owner(fd, uid, gid);
    return g.error == 0 ? LQ_OK : error_set(err, LQ_EIO, "the files of the case cannot be given to uid %lu, whose queue it is: %s", (unsigned long)uid, strerrordesc_np(g.error));
}

/* --- copies --- */

static bool same_stat(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/* The digest of what a descriptor gives when it is read now. */
static int digest_of(int fd, uint64_t size, struct digest *d, char hex[DIGEST_HEX + 1])
{
    struct source src = { .fd = -1 };
    const unsigned char *p;
    int error = 0;
    size_t got;

    if (source_file(&src, fd, size) < 0)
        return ENOMEM;
    digest_begin(d);
    for (uint64_t off = 0; (p = source_at(&src, off, SOURCE_VIEW_MAX, &got)) != NULL; off += got)
        digest_add(d, p, got);
    error = src.error;
    source_done(&src);
    digest_end(d, hex);
    return error;
}

static int fill(const struct copy *c, int from, int to, struct digest *d)
{
    char was[DIGEST_HEX + 1], is[DIGEST_HEX + 1];
    uint64_t size;
    int error = file_copy(from, to, &size, d);

    if (error != 0)
        return error;
    digest_end(d, was);
    if (size != (uint64_t)c->st->st_size)
        return ESTALE;
    if (c->uid != (uid_t)-1)
        error = file_set_owner(to, c->uid, c->gid);
    if (error == 0)
        error = file_set_mode(to, c->st->st_mode & 07777 & ~c->strip);
    if (error == 0)
        error = file_set_times(to, c->st);
    if (error == 0)
        error = file_sync(to);
    if (error == 0)
        error = digest_of(to, size, d, is);
    return error != 0 ? error : strcmp(was, is) == 0 ? 0 : EBADMSG;
}

static int from_result(enum file_result r)
{
    return r == FILE_FAILED ? errno : r == FILE_GONE ? ENOENT : r == FILE_DENIED ? EACCES : ESTALE;
}

int disk_copy(const struct copy *c)
{
    struct digest *d = digest_new();
    struct stat st;
    int from, to, error;
    enum file_result r;

    if (!d)
        return ENOMEM;
    r = file_open(c->from, c->name, &from, &st);
    if (r != FILE_OK) {
        error = from_result(r);
        digest_free(d);
        return error;
    }
    error = same_stat(&st, c->st) ? file_create(c->to, c->as, 0600, &to) : ESTALE;
    if (error == 0) {
        digest_begin(d);
        error = fill(c, from, to, d);
        if (error != 0)
            file_remove(c->to, c->as);
        if (error == 0 && c->fd)
            *c->fd = to;
        else
            close(to);
    }
    close(from);
    digest_free(d);
    return error;
}
