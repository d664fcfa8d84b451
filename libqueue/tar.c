/*
 * POSIX pax archives: names of any length and any bytes, times to the nanosecond; what older readers do not understand of that, they ignore.
 * Owners are not kept: whoever unpacks gets the files.
 */
#include "tar.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bag.h"

enum { THREADS_MAX = 4 };

static la_ssize_t take(struct archive *a, void *ctx, const void *p, size_t n)
{
    struct tar *t = ctx;
    int error = file_write(t->fd, p, n);

    if (error) {
        archive_set_error(a, error, "%s", strerror(error));
        return -1;
    }
    digest_add(t->whole, p, n);
    return (la_ssize_t)n;
}

/* What libarchive says of a failure is an errno value of ours, or one of its own that means "something else". */
static int failed(struct tar *t)
{
    int error = archive_errno(t->a);

    return error > 0 ? error : EIO;
}

static int add_compressor(struct tar *t, enum tar_kind kind, int level)
{
    const char *name = kind == TAR_ZSTD ? "zstd" : "gzip";
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    char number[16];

    if ((kind == TAR_ZSTD ? archive_write_add_filter_zstd(t->a) : archive_write_add_filter_gzip(t->a)) != ARCHIVE_OK)
        return ENOTSUP;
    if (level > 0) {
        snprintf(number, sizeof(number), "%d", level);
        archive_write_set_filter_option(t->a, name, "compression-level", number);
    }
    /* Reading and hashing go on meanwhile. Libraries that cannot (libzstd without threads) say so, and do it one after the other. */
    if (kind == TAR_ZSTD) {
        snprintf(number, sizeof(number), "%ld", cpus < 1 ? 1 : cpus > THREADS_MAX ? (long)THREADS_MAX : cpus);
        archive_write_set_filter_option(t->a, name, "threads", number);
    }
    return 0;
}

int tar_begin(struct tar *t, int fd, enum tar_kind kind, int level, const char *top)
{
    int error;

    memset(t, 0, sizeof(*t));
    t->fd = fd;
    t->top = top;
    t->a = archive_write_new();
    t->e = archive_entry_new();
    t->d = digest_new();
    t->whole = digest_new();
    t->block = malloc(BAG_BLOCK);
    if (!t->a || !t->e || !t->d || !t->whole || !t->block)
        return ENOMEM;
    archive_write_set_format_pax(t->a);
    error = add_compressor(t, kind, level);
    if (error)
        return error;
    archive_write_set_bytes_in_last_block(t->a, 1);
    return archive_write_open(t->a, t, NULL, take, NULL) == ARCHIVE_OK ? 0 : failed(t);
}

int tar_open_file(struct tar *t, const char *path, const struct stat *st, uint64_t size)
{
    char name[PATH_MAX];

    if ((size_t)snprintf(name, sizeof(name), "%s/%s", t->top, path) >= sizeof(name))
        return ENAMETOOLONG;
    archive_entry_clear(t->e);
    archive_entry_set_pathname(t->e, name);
    archive_entry_set_filetype(t->e, AE_IFREG);
    archive_entry_set_perm(t->e, st->st_mode & 0777);
    archive_entry_set_size(t->e, (la_int64_t)size);
    archive_entry_set_mtime(t->e, st->st_mtim.tv_sec, st->st_mtim.tv_nsec);
    digest_begin(t->d);
    /* A warning is about a name that is not text in the present locale: it is kept as bytes. */
    return archive_write_header(t->a, t->e) >= ARCHIVE_WARN ? 0 : failed(t);
}

int tar_piece(struct tar *t, const void *p, size_t n)
{
    digest_add(t->d, p, n);
    for (const char *at = p; n > 0;) {
        la_ssize_t done = archive_write_data(t->a, at, n);

        if (done < 0)
            return failed(t);
        if (done == 0)      /* beyond the size that was announced */
            return ESTALE;
        at += done;
        n -= (size_t)done;
    }
    return 0;
}

int tar_close_file(struct tar *t, const char *path)
{
    char hex[DIGEST_HEX + 1];

    digest_end(t->d, hex);
    if (!*hex)
        return ENOMEM;
    if (!bag_untagged(path))
        bag_line(strncmp(path, "data/", 5) == 0 ? &t->manifest : &t->tags, hex, path);
    return archive_write_finish_entry(t->a) != ARCHIVE_OK ? failed(t) : t->manifest.failed || t->tags.failed ? ENOMEM : 0;
}

static int told(struct tar *t, const char *path, int error)
{
    if (error && !*t->why)
        snprintf(t->why, sizeof(t->why), "%.400s", path);
    return error;
}

int tar_add(struct tar *t, const char *path, const struct stat *st, const void *p, size_t n)
{
    int error = tar_open_file(t, path, st, n);

    if (error == 0)
        error = tar_piece(t, p, n);
    return told(t, path, error ? error : tar_close_file(t, path));
}

int tar_add_fd(struct tar *t, const char *path, const struct stat *st, int fd)
{
    uint64_t left = (uint64_t)st->st_size;
    int error = tar_open_file(t, path, st, left);
    ssize_t n;

    while (error == 0 && left > 0) {
        n = read(fd, t->block, left < BAG_BLOCK ? (size_t)left : BAG_BLOCK);
        if (n < 0 && errno == EINTR)
            continue;
        error = n < 0 ? errno : n == 0 ? ESTALE : tar_piece(t, t->block, (size_t)n);
        left -= error == 0 ? (uint64_t)n : 0;
    }
    if (error == 0 && strncmp(path, "data/", 5) == 0) {
        t->files++;
        t->bytes += (uint64_t)st->st_size;
    }
    return told(t, path, error ? error : tar_close_file(t, path));
}

int tar_end(struct tar *t, char hex[DIGEST_HEX + 1])
{
    int error = archive_write_close(t->a) == ARCHIVE_OK ? 0 : failed(t);

    digest_end(t->whole, hex);
    return error ? error : *hex ? 0 : EIO;
}

void tar_done(struct tar *t)
{
    archive_entry_free(t->e);
    archive_write_free(t->a);
    digest_free(t->d);
    digest_free(t->whole);
    free(t->block);
    buf_done(&t->manifest);
    buf_done(&t->tags);
}
