/* Log files line by line. One window for all: a line is found with memchr() where it was read, and is copied only when the window moves. */
#include "maillog_read.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
    CHUNK = 262144,
    MAGIC_MAX = 6,
    WINDOW = MAILLOG_LINE_MAX + CHUNK
};

static void trouble(struct maillog_file *f, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The first one is the cause; the file ends there. */
static void trouble(struct maillog_file *f, const char *fmt, ...)
{
    va_list args;

    f->ended = true;
    if (f->trouble[0])
        return;
    va_start(args, fmt);
    vsnprintf(f->trouble, sizeof(f->trouble), fmt, args);
    va_end(args);
}

static ssize_t read_bytes(struct maillog_file *f, unsigned char *to, size_t n)
{
    ssize_t got;

    do {
        if (f->stopped && f->stopped())
            return 0;
        got = read(f->fd, to, n);
    } while (got < 0 && errno == EINTR);
    if (got < 0)
        trouble(f, "%s", strerror(errno));
    return got;
}

/* --- what kind of file --- */

static const struct { struct bytes magic; const char *name, *program; } foreign[] = {
    { { (const unsigned char *)"\xFD" "7zXZ", 5 }, "xz", "xzcat" }, { { (const unsigned char *)"(\xB5/\xFD", 4 }, "zstd", "zstdcat" },
    { { (const unsigned char *)"BZh", 3 }, "bzip2", "bzcat" }, { { (const unsigned char *)"\x1F\x9D", 2 }, "compress", "zcat" },
};

/* The first bytes are in the window; gzip's move to `raw`. */
static void decide(struct maillog_file *f)
{
    struct bytes first = bytes_from(f->window, f->end);

    for (size_t i = 0; i < sizeof(foreign) / sizeof(*foreign); i++)
        if (bytes_start(first, foreign[i].magic)) {
            trouble(f, "compressed with %s, which is not read here: %s FILE | ... --log -", foreign[i].name, foreign[i].program);
            f->end = 0;
            return;
        }
    if (!bytes_start(first, bytes_from("\x1F\x8B", 2)))
        return;
    f->raw = malloc(CHUNK);
    if (!f->raw || inflateInit2(&f->z, 15 + 16) != Z_OK) {
        trouble(f, "out of memory");
        f->end = 0;
        return;
    }
    f->gzip = true;
    f->ended = false;       /* of the file it may be; what it holds is still to come */
    memcpy(f->raw, f->window, f->end);
    f->z.next_in = f->raw;
    f->z.avail_in = (uInt)f->end;
    f->end = 0;
}

/* --- gzip --- */

/* The next member of the file (rotated parts may be put together), behind zeros that a tape left. False when none begins here. */
static bool begin_member(struct maillog_file *f)
{
    while (f->z.avail_in > 0 && *f->z.next_in == 0) {
        f->z.next_in++;
        f->z.avail_in--;
    }
    if (f->z.avail_in == 0)
        return false;           /* more may be read */
    if (*f->z.next_in != 0x1F) {
        trouble(f, "bytes that are not compressed behind the end of the compressed data");
        return false;
    }
    f->member = inflateReset(&f->z) == Z_OK;
    return f->member;
}

static bool more_raw(struct maillog_file *f)
{
    ssize_t got = read_bytes(f, f->raw, CHUNK);

    f->z.next_in = f->raw;
    f->z.avail_in = got > 0 ? (uInt)got : 0;
    return got > 0;
}

/* Bytes into the window's free end. */
static void inflate_some(struct maillog_file *f)
{
    uInt room = (uInt)(WINDOW - f->end);

    f->z.next_out = f->window + f->end;
    f->z.avail_out = room;
    while (f->z.avail_out == room && !f->ended) {
        int rc;

        if (f->z.avail_in == 0 && !more_raw(f)) {
            if (f->member)
                trouble(f, "the compressed data ends too early");
            f->ended = true;
            break;
        }
        if (!f->member && !begin_member(f))
            continue;
        rc = inflate(&f->z, Z_NO_FLUSH);
        if (rc == Z_STREAM_END)
            f->member = false;
        else if (rc != Z_OK && rc != Z_BUF_ERROR)
            trouble(f, "damaged compressed data: %s", f->z.msg ? f->z.msg : "invalid");
    }
    f->end += room - f->z.avail_out;
}

/* --- the window --- */

/* Make room by moving what is left to the front, and read. False when nothing came. */
static bool fill(struct maillog_file *f)
{
    size_t before;
    ssize_t got;

    if (f->ended)
        return false;
    memmove(f->window, f->window + f->at, f->end - f->at);
    f->end -= f->at;
    f->at = 0;
    before = f->end;
    if (f->gzip) {
        inflate_some(f);
        return f->end > before;
    }
    got = read_bytes(f, f->window + f->end, WINDOW - f->end);
    f->ended |= got <= 0;
    f->end += got > 0 ? (size_t)got : 0;
    return f->end > before;
}

/* A pipe may give its first bytes one by one. */
static void begin(struct maillog_file *f)
{
    ssize_t got = 1;

    while (f->end < MAGIC_MAX && got > 0) {
        got = read_bytes(f, f->window + f->end, CHUNK - f->end);
        f->end += got > 0 ? (size_t)got : 0;
    }
    f->ended |= got <= 0;
    decide(f);
}

/* Bytes up to the end of line, which is looked for in what is new only; false when the window must be filled first. */
static bool find_end(struct maillog_file *f, size_t *n)
{
    size_t have = f->end - f->at;
    const unsigned char *from = f->window + f->at, *at = memchr(from + f->looked, '\n', have - f->looked);

    f->looked = at ? 0 : have;
    *n = at ? (size_t)(at - from) : have;
    return at != NULL;
}

/* A line that is too long: its first bytes are given, the rest passes through the window unseen. */
static bool give_cut(struct maillog_file *f, struct bytes *line)
{
    *line = bytes_from(f->window + f->at, MAILLOG_LINE_MAX);
    f->at = f->end;
    f->looked = 0;
    f->skipping = true;
    f->line++;
    return true;
}

bool maillog_next(struct maillog_file *f, struct bytes *line, bool *cut)
{
    size_t n;

    if (!f->begun) {
        f->begun = true;
        begin(f);
    }
    for (;;) {
        bool whole = find_end(f, &n);

        if (!whole && !f->skipping && n > MAILLOG_LINE_MAX)
            return *cut = give_cut(f, line);
        if (!whole && f->skipping) {
            f->at = f->end;
            f->looked = 0;
        }
        if (!whole && fill(f))
            continue;
        if (!whole && (n == 0 || f->skipping))
            return false;
        *line = bytes_from(f->window + f->at, n < MAILLOG_LINE_MAX ? n : MAILLOG_LINE_MAX);
        *cut = n > MAILLOG_LINE_MAX || (!whole && f->trouble[0]);
        f->at += n + whole;
        f->looked = 0;
        if (!f->skipping) {
            f->line++;
            return true;
        }
        f->skipping = false;
    }
}

/* --- opening --- */

static int open_path(const char *path, struct lq_error *err)
{
    int fd = strcmp(path, "-") == 0 ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);

    if (fd < 0)
        error_set(err, errno == ENOENT ? LQ_ENOENT : errno == EACCES ? LQ_EACCES : LQ_EIO, "cannot open %s: %s", path, strerror(errno));
    return fd;
}

int maillog_open(struct maillog_file *f, const char *path, struct lq_error *err)
{
    struct stat st;
    int fd = open_path(path, err);

    if (fd < 0)
        return err ? (int)err->status : LQ_EIO;
    memset(f, 0, sizeof(*f));
    f->fd = fd;
    f->own = fd != STDIN_FILENO;
    f->regular = fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
    f->changed = f->regular ? (int64_t)st.st_mtime : (int64_t)time(NULL);
    f->window = malloc(WINDOW);
    if (!f->window) {
        maillog_close(f);
        return error_memory(err);
    }
    return LQ_OK;
}

void maillog_close(struct maillog_file *f)
{
    if (f->gzip)
        inflateEnd(&f->z);
    if (f->own)
        close(f->fd);
    free(f->raw);
    free(f->window);
    f->raw = f->window = NULL;
}
