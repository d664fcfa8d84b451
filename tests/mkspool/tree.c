/*
 * Buffers, and files below a root directory. Everything is made relative to the root's
 * descriptor; a path that could leave it is refused.
 */
#include "mkspool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct tree_dir {
    char *path;
    mode_t mode;
    int64_t mtime;
};

void die(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fputs("mkspool: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    exit(2);
}

static void reserve(struct buf *b, size_t more)
{
    if (b->n + more + 1 <= b->room)
        return;
    while (b->n + more + 1 > b->room)
        b->room = b->room ? b->room * 2 : 256;
    b->p = realloc(b->p, b->room);
    if (!b->p)
        die("out of memory");
}

void buf_put(struct buf *b, const void *p, size_t n)
{
    reserve(b, n);
    if (n)
        memcpy(b->p + b->n, p, n);
    b->n += n;
    b->p[b->n] = '\0';
}

void buf_char(struct buf *b, int c)
{
    char byte = (char)c;

    buf_put(b, &byte, 1);
}

void buf_printf(struct buf *b, const char *format, ...)
{
    va_list args, again;
    int n;

    va_start(args, format);
    va_copy(again, args);
    n = vsnprintf(NULL, 0, format, again);
    va_end(again);
    if (n < 0)
        die("cannot format text");
    reserve(b, (size_t)n);
    vsnprintf(b->p + b->n, (size_t)n + 1, format, args);
    b->n += (size_t)n;
    va_end(args);
}

void buf_reset(struct buf *b)
{
    b->n = 0;
}

void buf_free(struct buf *b)
{
    free(b->p);
    *b = (struct buf){ 0 };
}

void tree_begin(struct tree *t, const char *root)
{
    if (mkdir(root, 0755) < 0 && errno != EEXIST)
        die("cannot make %s: %s", root, strerror(errno));
    t->root = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (t->root < 0)
        die("cannot open %s: %s", root, strerror(errno));
}

static void stay_below(const char *path)
{
    const char *p = path;

    if (*path == '/' || *path == '\0')
        die("path '%s' is not relative", path);
    for (; p; p = strchr(p, '/')) {
        p += *p == '/';
        if (strncmp(p, "..", 2) == 0 && (p[2] == '/' || p[2] == '\0'))
            die("path '%s' leaves the queue", path);
    }
}

static void set_times(struct tree *t, const char *path, int64_t mtime)
{
    struct timespec times[2] = { { .tv_sec = mtime }, { .tv_sec = mtime } };

    if (utimensat(t->root, path, times, AT_SYMLINK_NOFOLLOW) < 0)
        die("cannot set the time of %s: %s", path, strerror(errno));
}

static struct tree_dir *find_dir(struct tree *t, const char *path)
{
    for (size_t i = 0; i < t->dir_count; i++)
        if (strcmp(t->dirs[i].path, path) == 0)
            return &t->dirs[i];
    return NULL;
}

static struct tree_dir *add_dir(struct tree *t, const char *path)
{
    struct tree_dir *d;

    if (mkdirat(t->root, path, 0700) < 0 && errno != EEXIST)
        die("cannot make directory %s: %s", path, strerror(errno));
    if (t->dir_count == t->dir_room) {
        t->dir_room = t->dir_room ? t->dir_room * 2 : 32;
        t->dirs = realloc(t->dirs, t->dir_room * sizeof(*t->dirs));
        if (!t->dirs)
            die("out of memory");
    }
    d = &t->dirs[t->dir_count++];
    *d = (struct tree_dir){ strdup(path), t->dir_mode, t->mtime };
    if (!d->path)
        die("out of memory");
    return d;
}

void tree_parents(struct tree *t, const char *path)
{
    char part[4096];
    const char *slash;

    stay_below(path);
    for (slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
        size_t n = (size_t)(slash - path);

        if (n >= sizeof(part))
            die("path too long: %s", path);
        memcpy(part, path, n);
        part[n] = '\0';
        if (!find_dir(t, part))
            add_dir(t, part);
    }
}

void tree_dir(struct tree *t, const char *path, mode_t mode, int64_t mtime)
{
    struct tree_dir *d;

    tree_parents(t, path);
    d = find_dir(t, path);
    if (!d)
        d = add_dir(t, path);
    d->mode = mode;
    d->mtime = mtime;
}

void tree_file(struct tree *t, const char *path, const struct buf *content, mode_t mode, int64_t mtime)
{
    size_t done = 0;
    int fd;

    tree_parents(t, path);
    fd = openat(t->root, path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        die("cannot make %s: %s", path, strerror(errno));
    while (done < content->n) {
        ssize_t n = write(fd, content->p + done, content->n - done);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            die("cannot write %s: %s", path, strerror(errno));
        done += (size_t)n;
    }
    if (fchmod(fd, mode) < 0 || close(fd) < 0)
        die("cannot finish %s: %s", path, strerror(errno));
    set_times(t, path, mtime);
}

void tree_touch(struct tree *t, const char *path, int64_t mtime)
{
    struct tree_dir *d = find_dir(t, path);

    if (d)
        d->mtime = mtime;
    else
        set_times(t, path, mtime);
}

/* The deepest first: a directory's time changes when its entries do, and 0000 closes it. */
void tree_end(struct tree *t)
{
    for (size_t i = t->dir_count; i-- > 0;) {
        struct tree_dir *d = &t->dirs[i];

        if (fchmodat(t->root, d->path, d->mode, 0) < 0 && errno != ENOENT)
            die("cannot set the mode of %s: %s", d->path, strerror(errno));
        if (faccessat(t->root, d->path, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
            set_times(t, d->path, d->mtime);
        free(d->path);
    }
    free(t->dirs);
    set_times(t, ".", t->mtime);
    close(t->root);
}

void read_file(int dirfd, const char *path, struct buf *out)
{
    char block[65536];
    int fd = openat(dirfd, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    ssize_t n;

    if (fd < 0)
        die("cannot open %s: %s", path, strerror(errno));
    buf_reset(out);
    while ((n = read(fd, block, sizeof(block))) > 0)
        buf_put(out, block, (size_t)n);
    if (n < 0)
        die("cannot read %s: %s", path, strerror(errno));
    close(fd);
}

/* splitmix64 (public domain algorithm): short, and the same everywhere. */
uint32_t dice_below(struct dice *d, uint32_t n)
{
    uint64_t z = d->state += 0x9e3779b97f4a7c15u;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    z ^= z >> 31;
    return (uint32_t)(z % n);
}
