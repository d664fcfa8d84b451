/*
 * Vaults: where one may be, opening and making it, its reserve for a full disk, the jobs and cases in it. Knows nothing of what is inside
 * a job file (job.c) or a case (case.c, bag.c, pack.c).
 *
 * A vault holds other people's mail and the only copy of what was taken, so nobody but its owner may change it: it is root's (or
 * the caller's), not writable by others, on no way that others could turn elsewhere, and outside of all that a mail server looks into.
 */
#include "vault.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

/*
 * What the last batch of a job may still need when nothing is left: a directory block of 4 KiB for each of 64 messages (hashed queues, every
 * one in another directory, twice for its logs), and some hundred bytes a message for the job, the ledger and the journal. That
 * is about 600 KiB; records and manifests wait for `seal`.
 */
/* Of the reserve, how much is kept for who puts back, drops or recovers: that is what makes room on a full disk. */
enum { RESERVE = 1 << 20, RESERVE_LAST = 256 << 10 };

static const char *const usual_vault = "/var/spool/mqtools";

/* --- places --- */

/* Renames work inside one mount; a bind mount of the same file system is another one. */
static bool same_mount(int a, int b)
{
    struct statx x, y;
    const unsigned want = STATX_INO | STATX_MNT_ID;

    if (statx(a, "", AT_EMPTY_PATH, want, &x) < 0 || statx(b, "", AT_EMPTY_PATH, want, &y) < 0)
        return false;
    if (x.stx_dev_major != y.stx_dev_major || x.stx_dev_minor != y.stx_dev_minor)
        return false;
    return !(x.stx_mask & y.stx_mask & STATX_MNT_ID) || x.stx_mnt_id == y.stx_mnt_id;
}

bool vault_on_network(int fd)
{
    /* NFS, SMB1 to 3, AFS, Ceph, FUSE (sshfs, gluster), 9P: from linux/magic.h and the drivers' own headers. */
    static const unsigned long types[] = {
        0x6969, 0x517B, 0xFF534D42, 0xFE534D42, 0x5346414F, 0x00C36400, 0x65735546, 0x01021997,
    };
    struct statfs s;

    if (fstatfs(fd, &s) < 0)
        return false;
    for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++)
        if ((unsigned long)s.f_type == types[i] || ((unsigned long)s.f_type & 0xFFFFFFFF) == types[i])
            return true;
    return false;
}

static bool mine(uid_t uid)
{
    return uid == 0 || uid == geteuid();
}

/* Whether others can put something else in place of a name in this directory. Sticky ones let nobody touch what is ours. */
static bool others_write(const struct stat *st)
{
    return !mine(st->st_uid) || ((st->st_mode & 022) && !(st->st_mode & S_ISVTX));
}

/* A mail server's own spool belongs to it; on a file system of its own there may be no other place. */
static bool is_spool(const char *path)
{
    int fd;
    bool found = false;

    if (file_open_dir(AT_FDCWD, path, &fd) == FILE_OK) {
        found = queue_recognise(fd) != NULL;
        close(fd);
    }
    return found;
}

/*
 * The directory that holds the vault may be a mail server's own: its user could move the vault aside, but not into it, nor put anything in
 * its place that we would take for one.
 */
static bool lenient(const char *way, const struct stat *st, bool last)
{
    return last && (!(st->st_mode & 02) || (st->st_mode & S_ISVTX)) && is_spool(way);
}

/* Each directory above `path` as it was written: symlinks only of people we trust, nothing that others may rename. */
static int check_way(const char *path, struct lq_error *err)
{
    char *way = strdup(path);
    struct stat st;
    int rc = LQ_OK;

    if (!way)
        return error_memory(err);
    for (char *p = way; rc == LQ_OK && (p = strchr(p + 1, '/')) != NULL;) {
        *p = '\0';
        if (lstat(way, &st) < 0)
            rc = errno == ENOENT ? LQ_OK : error_set(err, errno == EACCES ? LQ_EACCES : LQ_EIO, "%s: %s", way, strerror(errno));
        else if (S_ISLNK(st.st_mode) && !mine(st.st_uid))
            rc = error_set(err, LQ_EREFUSED, "vault %s: %s is a symbolic link of another user", path, way);
        else if (S_ISDIR(st.st_mode) && others_write(&st) && !lenient(way, &st, strchr(p + 1, '/') == NULL))
            rc = error_set(err, LQ_EREFUSED, "vault %s: others than root may change %s; choose another place or change its owner and mode", path, way);
        *p = '/';
    }
    free(way);
    return rc;
}

/* The part of `path` below `above`, which has n bytes. */
static const char *below(const char *path, size_t n)
{
    const char *p = path + n;

    return p + strspn(p, "/");
}

int vault_not_scanned(const char *what, const char *path, struct lq_error *err)
{
    char *way = strdup(path);
    int rc = LQ_OK, fd;

    if (!way)
        return error_memory(err);
    for (size_t n = strlen(way); rc == LQ_OK && n > 1;) {
        way[n] = '\0';
        if (file_open_dir(AT_FDCWD, way, &fd) == FILE_OK) {
            const struct lq_backend *b = queue_recognise(fd);

            close(fd);
            if (b && (*below(path, n) == '\0' || b->scans(below(path, n))))
                rc = error_set(err, LQ_EREFUSED, "%s%s: inside the %s queue %s, where the server itself looks; choose another place",
                               what, path, b->name, way);
        }
        while (n > 1 && way[n - 1] != '/')
            n--;
        while (n > 1 && way[n - 1] == '/')
            n--;
    }
    free(way);
    return rc;
}

static char *parent_of(const char *path)
{
    const char *slash = strrchr(path, '/');

    return strndup(path, slash && slash > path ? (size_t)(slash - path) : 1);
}

/* The real path of a directory that may not exist yet; its parent must. */
static char *real_path(const char *path)
{
    char *real = realpath(path, NULL), *copy, *slash, *parent, *out = NULL;

    if (real || errno != ENOENT)
        return real;
    copy = strdup(path);
    if (!copy)
        return NULL;
    while ((slash = strrchr(copy, '/')) != NULL && slash > copy && slash[1] == '\0')
        *slash = '\0';
    if (!slash) {
        parent = realpath(".", NULL);
        slash = copy - 1;
    } else {
        *slash = '\0';
        parent = realpath(slash == copy ? "/" : copy, NULL);
    }
    if (parent && asprintf(&out, "%s/%s", strcmp(parent, "/") == 0 ? "" : parent, slash + 1) < 0)
        out = NULL;
    free(parent);
    free(copy);
    return out;
}

static int bad_path(const char *path, struct lq_error *err)
{
    if (errno == ENOENT)
        return error_set(err, LQ_ENOENT, "vault %s: no such directory", path);
    if (errno == ENOMEM)
        return error_memory(err);
    return error_set(err, errno == EACCES ? LQ_EACCES : LQ_EIO, "vault %s: %s", path, strerror(errno));
}

/* --- opening --- */

static int check_own(const char *path, int fd, struct lq_error *err)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return bad_path(path, err);
    if (!mine(st.st_uid) || (st.st_mode & 022))
        return error_set(err, LQ_EREFUSED, "vault %s: belongs to user %u with mode %04o; it must be root's (or your own), and writable by nobody else",
                         path, (unsigned)st.st_uid, (unsigned)(st.st_mode & 07777));
    return LQ_OK;
}

static int open_vault_dir(const char *path, int *fd, struct lq_error *err)
{
    switch (file_open_dir(AT_FDCWD, path, fd)) {
    case FILE_OK:
        return LQ_OK;
    case FILE_GONE:
        return error_set(err, LQ_ENOENT, "vault %s: no such directory", path);
    case FILE_DENIED:
        return file_denied(AT_FDCWD, path, path, err);
    case FILE_ODD:
        return error_set(err, LQ_EREFUSED, "vault %s: not a directory, or a symbolic link of another user", path);
    default:
        return bad_path(path, err);
    }
}

static int open_part(struct lq_vault *v, const char *name, bool make, int *fd, struct lq_error *err)
{
    int error = make ? file_make_dir(v->fd, name, 0700) : 0;

    if (error == 0 || error == EEXIST)
        error = file_open_below(v->fd, name, fd);
    if (error == ENOENT && !make)
        return error_set(err, LQ_ENOENT, "%s is not a vault: it has no directory %s", v->path, name);
    return error ? vault_error(v, name, error, err) : LQ_OK;
}

int vault_error(const struct lq_vault *v, const char *name, int error, struct lq_error *err)
{
    enum lq_status status = error == ENOSPC || error == EDQUOT ? LQ_ENOSPC : error == ENOMEM ? LQ_ENOMEM : error == EACCES ? LQ_EACCES : LQ_EIO;

    return error_set(err, status, "%s/%s: %s", v->path, name, strerror(error));
}

/* What a crash left of a vault that was being made: nothing in it but the first of its parts. An empty directory is anybody's. */
static int note_stranger(void *ctx, const char *name, size_t len, unsigned char type)
{
    bool *stranger = ctx;

    (void)len;
    (void)type;
    *stranger = strcmp(name, "jobs") != 0;
    return *stranger;
}

static bool half_made(const struct lq_vault *v)
{
    bool stranger = true;

    return file_each(v->fd, note_stranger, &stranger) == FILE_OK && !stranger;
}

static int cannot_make(const char *path, int error, struct lq_error *err)
{
    return error_set(err, error == ENOSPC || error == EDQUOT ? LQ_ENOSPC : error == EACCES ? LQ_EACCES : LQ_EIO,
                     "vault %s cannot be made: %s", path, strerror(error));
}

/* LOOK writes nothing; OPEN finishes one that was being made. */
enum how { LOOK, OPEN, MAKE };

static int open_checked(struct lq_vault **out, const char *path, enum how how, struct lq_error *err)
{
    struct lq_vault *v = calloc(1, sizeof(*v));
    struct stat st;
    bool make;
    int rc;

    if (!v)
        return error_memory(err);
    v->fd = v->jobs = v->ledger = v->reserve = -1;
    v->path = real_path(path);
    rc = v->path ? check_way(path, err) : bad_path(path, err);
    if (rc == LQ_OK)
        rc = check_way(v->path, err);
    if (rc == LQ_OK)
        rc = vault_not_scanned("vault ", v->path, err);
    /* Of the name as given: a link there is followed only if it is root's or ours. */
    if (rc == LQ_OK && how == MAKE) {
        int error = file_make_dir(AT_FDCWD, v->path, 0700);

        if (error && error != EEXIST)
            rc = cannot_make(v->path, error, err);
    }
    if (rc == LQ_OK)
        rc = open_vault_dir(path, &v->fd, err);
    if (rc == LQ_OK)
        rc = check_own(v->path, v->fd, err);
    make = how == MAKE || (rc == LQ_OK && how == OPEN && half_made(v));
    if (rc == LQ_OK)
        rc = open_part(v, "jobs", make, &v->jobs, err);
    if (rc == LQ_OK)
        rc = open_part(v, "ledger", make, &v->ledger, err);
    if (rc == LQ_OK && fstat(v->fd, &st) < 0)
        rc = bad_path(v->path, err);
    if (rc != LQ_OK) {
        lq_vault_close(v);
        return rc;
    }
    v->dev = st.st_dev;
    *out = v;
    return LQ_OK;
}

static int sync_parent(const struct lq_vault *v)
{
    int fd, error = file_open_dir(v->fd, "..", &fd) == FILE_OK ? 0 : EIO;

    if (error == 0) {
        error = file_sync(fd);
        close(fd);
    }
    return error;
}

/* On a full disk there is none, or what the last job left: taking mail needs almost no room, so that is no reason to refuse. */
static void make_reserve(struct lq_vault *v)
{
    struct stat st = { 0 };

    if (file_open_rw(v->fd, "reserve", &v->reserve, &st) != FILE_OK && file_create(v->fd, "reserve", 0600, &v->reserve) != 0) {
        v->reserve = -1;
        return;
    }
    if (st.st_size >= RESERVE || file_reserve(v->reserve, RESERVE) == 0)
        return;
    file_truncate(v->reserve, (uint64_t)st.st_size);
    if (st.st_size < RESERVE_LAST && file_reserve(v->reserve, RESERVE_LAST) != 0)
        file_truncate(v->reserve, (uint64_t)st.st_size);
}

bool vault_use_reserve(struct lq_vault *v)
{
    uint64_t keep = v && v->makes_room ? 0 : RESERVE_LAST;
    struct stat st;

    /* Cut by its descriptor: whoever works as the owner of a queue cannot remove a name in root's directory. */
    return v && v->reserve >= 0 && fstat(v->reserve, &st) == 0 && (uint64_t)st.st_size > keep && file_truncate(v->reserve, keep) == 0 &&
           file_sync(v->reserve) == 0;
}

int vault_make(struct lq_vault **out, const char *path, struct lq_error *err)
{
    struct lq_vault *v;
    int error, rc = open_checked(&v, path, MAKE, err);

    if (rc != LQ_OK)
        return rc;
    error = file_sync(v->fd);
    if (error == 0)
        error = sync_parent(v);
    if (error) {
        rc = vault_error(v, "", error, err);
        lq_vault_close(v);
        return rc;
    }
    make_reserve(v);
    *out = v;
    return LQ_OK;
}

int lq_vault_open(struct lq_vault **out, const char *dir, struct lq_error *err)
{
    struct lq_vault *v;
    int rc;

    if (!dir || *dir == '\0')
        return error_set(err, LQ_EINVAL, "the name of the vault is empty");
    rc = open_checked(&v, dir, OPEN, err);
    if (rc == LQ_OK) {
        struct stat st;

        if (file_open_rw(v->fd, "reserve", &v->reserve, &st) != FILE_OK)
            v->reserve = -1;
        v->makes_room = true;
        *out = v;
    }
    return rc;
}

int vault_look(struct lq_vault **out, const char *path, struct lq_error *err)
{
    return open_checked(out, path, LOOK, err);
}

/* Of one that is not there, or not whole yet: vault_look() found the way to it in order. err already says why it would not do. */
static int would_make(const char *path, int failed, struct lq_error *err)
{
    char *real = real_path(path), *parent = real ? parent_of(real) : NULL;
    struct stat st;
    bool there = real && lstat(real, &st) == 0;
    int rc = failed;

    if (parent && (!there || S_ISDIR(st.st_mode)))
        rc = faccessat(AT_FDCWD, there ? real : parent, W_OK | X_OK, AT_EACCESS) == 0 ? LQ_OK : cannot_make(real, errno, err);
    free(real);
    free(parent);
    return rc;
}

int vault_try(struct lq_vault **out, const char *path, struct lq_error *err)
{
    int rc;

    *out = NULL;
    rc = vault_look(out, path, err);
    if (rc == LQ_ENOENT)
        return would_make(path, rc, err);
    if (rc == LQ_OK && faccessat((*out)->jobs, ".", W_OK | X_OK, AT_EACCESS) < 0) {
        rc = vault_error(*out, "jobs", errno, err);
        lq_vault_close(*out);
        *out = NULL;
    }
    return rc;
}

int vault_place(const char *path, char **real, uint64_t *reserve)
{
    struct stat st;
    char *parent;
    int fd = -1;

    *real = real_path(path);
    parent = *real ? parent_of(*real) : NULL;
    *reserve = RESERVE;
    if (parent && file_open_dir(AT_FDCWD, *real, &fd) == FILE_OK) {
        if (fstatat(fd, "reserve", &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_size >= RESERVE)
            *reserve = 0;
    } else if (!parent || file_open_dir(AT_FDCWD, parent, &fd) != FILE_OK) {
        fd = -1;
        free(*real);
    }
    free(parent);
    return fd;
}

const char *lq_vault_dir(const struct lq_vault *v)
{
    return v->path;
}

void lq_vault_close(struct lq_vault *v)
{
    if (!v)
        return;
    for (size_t i = 0; i < 4; i++) {
        int fd = (int[]){ v->fd, v->jobs, v->ledger, v->reserve }[i];

        if (fd >= 0)
            close(fd);
    }
    free(v->path);
    free(v);
}

/* --- the vault of a queue when nobody names one --- */

/* Of the directory or, while it is missing, of the one that is to hold it. */
static bool on_mount(const char *path, int spool)
{
    char *parent = parent_of(path);
    bool same = false;
    int fd;

    if (parent && (file_open_dir(AT_FDCWD, path, &fd) == FILE_OK || file_open_dir(AT_FDCWD, parent, &fd) == FILE_OK)) {
        same = same_mount(fd, spool);
        close(fd);
    }
    free(parent);
    return same;
}

static bool usable(const char *path, int spool)
{
    struct stat st;
    bool there = lstat(path, &st) == 0;

    if (there && (!S_ISDIR(st.st_mode) || !mine(st.st_uid) || (st.st_mode & 022)))
        return false;
    return on_mount(path, spool) && check_way(path, NULL) == LQ_OK && vault_not_scanned("vault ", path, NULL) == LQ_OK;
}

/* Whether the directory that is to hold it lets us make something there. */
static bool makeable(const char *path)
{
    char *parent = parent_of(path);
    bool yes = faccessat(AT_FDCWD, path, W_OK | X_OK, AT_EACCESS) == 0;

    if (!yes && errno == ENOENT && parent)
        yes = faccessat(AT_FDCWD, parent, W_OK | X_OK, AT_EACCESS) == 0;
    free(parent);
    return yes;
}

int lq_vault_default(char **out, struct lq_queue *q, struct lq_error *err)
{
    char *beside = NULL, *inside = NULL;
    const char *slash = strrchr(q->root, '/'), *found = NULL;
    int n = slash ? (int)(slash - q->root) : 0;

    if (asprintf(&beside, "%.*s/mqtools", n, q->root) < 0)
        beside = NULL;
    if (asprintf(&inside, "%s/mqtools", q->root) < 0)
        inside = NULL;
    if (!beside || !inside) {
        free(beside);
        free(inside);
        return error_memory(err);
    }
    for (size_t i = 0; i < 3 && !found; i++) {
        const char *place = (const char *const[]){ usual_vault, beside, inside }[i];

        if (usable(place, q->fd) && makeable(place))
            found = place;
    }
    *out = found ? strdup(found) : NULL;
    free(beside);
    free(inside);
    if (!found)
        return error_set(err, LQ_EREFUSED, "no safe place for a vault on the file system of %s; name one (it may be on another file system)", q->root);
    return *out ? LQ_OK : error_memory(err);
}

/* --- files and lines --- */

int vault_create(struct lq_vault *v, int dirfd, const char *name, int *fd)
{
    int error = file_create(dirfd, name, 0600, fd);

    if ((error == ENOSPC || error == EDQUOT) && vault_use_reserve(v))
        error = file_create(dirfd, name, 0600, fd);
    return error;
}

int vault_append(struct lq_vault *v, int fd, const char *line, size_t n)
{
    off_t before = lseek(fd, 0, SEEK_END);
    int error;

    if (before < 0)
        return errno;
    error = file_write(fd, line, n);
    if (error == 0)
        return 0;
    file_truncate(fd, (uint64_t)before);
    if ((error != ENOSPC && error != EDQUOT) || !vault_use_reserve(v))
        return error;
    lseek(fd, before, SEEK_SET);
    error = file_write(fd, line, n);
    if (error)
        file_truncate(fd, (uint64_t)before);
    return error;
}

/* --- names of jobs and cases --- */

bool vault_job_name(const char *p, size_t n)
{
    static const char shape[] = "dddddddd.dddddd.-xxxx";

    if (n != JOB_NAME)
        return false;
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)p[i];

        if (shape[i] == 'd' ? !isdigit(c) : shape[i] == 'x' ? !(isdigit(c) || (c >= 'a' && c <= 'f')) :
            shape[i] == '-' ? c != '-' : c != (i == 8 ? 'T' : 'Z'))
            return false;
    }
    return true;
}

const char *const vault_packed_ends[] = { ".tar.zst", ".tar.gz", NULL };

struct name_list {
    char **names;
    size_t n, cap;
    bool failed;
};

static int note_case(void *ctx, const char *name, size_t len, unsigned char type)
{
    struct name_list *l = ctx;
    bool fits = len == JOB_NAME;

    (void)type;
    for (const char *const *end = vault_packed_ends; *end && !fits; end++)
        fits = len == JOB_NAME + strlen(*end) && strcmp(name + JOB_NAME, *end) == 0;
    if (!fits || !vault_job_name(name, JOB_NAME))
        return 0;
    if (l->n == l->cap) {
        size_t cap = l->cap ? l->cap * 2 : 32;
        char **more = realloc(l->names, cap * sizeof(*more));

        if (!more)
            return l->failed = true;
        l->names = more;
        l->cap = cap;
    }
    l->names[l->n] = strndup(name, JOB_NAME);
    if (!l->names[l->n])
        return l->failed = true;
    l->n++;
    return 0;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

int lq_vault_cases(struct lq_vault *v, char ***names, size_t *n, struct lq_error *err)
{
    struct name_list l = { 0 };
    enum file_result r = file_each(v->fd, note_case, &l);
    size_t kept = 0;

    if (r != FILE_OK || l.failed) {
        int error = l.failed ? ENOMEM : errno;

        lq_names_free(l.names, l.n);
        return vault_error(v, "", error, err);
    }
    /* Names begin with the time: in their order they are oldest first. */
    if (l.n > 1)
        qsort(l.names, l.n, sizeof(*l.names), by_text);
    for (size_t i = 0; i < l.n; i++) {
        if (kept > 0 && strcmp(l.names[kept - 1], l.names[i]) == 0)
            free(l.names[i]);
        else
            l.names[kept++] = l.names[i];
    }
    *names = l.names;
    *n = kept;
    return LQ_OK;
}

void lq_names_free(char **names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free(names[i]);
    free(names);
}
