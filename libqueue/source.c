/* Bytes from memory or through a window over a file. */
#include "source.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void source_memory(struct source *s, const void *p, size_t n)
{
    s->at = p;
    s->off = 0;
    s->n = n;
    s->size = n;
    s->fd = -1;
    s->error = 0;
}

int source_file(struct source *s, int fd, uint64_t size)
{
    if (!s->window) {
        s->window = malloc(SOURCE_VIEW_MAX);
        if (!s->window)
            return -1;
    }
    if (s->first == 0)
        s->first = SOURCE_FIRST;
    if (s->view == 0)
        s->view = SOURCE_VIEW_MAX;
    s->at = s->window;
    s->off = 0;
    s->n = 0;
    s->size = size;
    s->fd = fd;
    s->error = 0;
    s->holes = 0;
    return 0;
}

void source_done(struct source *s)
{
    free(s->window);
    s->window = NULL;
}

static bool all_zero(const unsigned char *p, size_t n)
{
    return n > 0 && p[0] == 0 && memcmp(p, p + 1, n - 1) == 0;
}

/*
 * Nothing but zeros was read at off: whether too much of the file was never written by now. No server leaves holes, a damaged disk and whoever
 * wants to keep us busy do: 4 TiB of them cost their maker nothing. Only who finds zeros asks, so that mail pays nothing. Where the system cannot
 * tell holes, all is data.
 */
static bool too_empty(struct source *s, uint64_t off, size_t n)
{
    off_t data = lseek(s->fd, (off_t)off, SEEK_DATA);
    uint64_t end = data >= 0 ? (uint64_t)data : s->size;

    if (data < 0 && errno != ENXIO)
        return false;
    if (end < off + n)
        return false;
    if (end - off >= SOURCE_HOLES_MAX - s->holes)
        return true;
    s->holes += n;
    return false;
}

/* Read up to n bytes at off into the window; a file that ends early is shorter than stat said. */
static void load(struct source *s, uint64_t off, size_t n)
{
    size_t have = 0;

    while (have < n) {
        ssize_t k = pread(s->fd, s->window + have, n - have, (off_t)(off + have));

        if (k > 0) {
            have += (size_t)k;
            continue;
        }
        if (k < 0 && errno == EINTR)
            continue;
        if (k < 0)
            s->error = errno;
        s->size = off + have;
        break;
    }
    if (all_zero(s->window, have) && s->size > SOURCE_HOLES_MAX && too_empty(s, off, have)) {
        s->error = ENODATA;
        s->size = off;
        have = 0;
    }
    s->at = s->window;
    s->off = off;
    s->n = have;
}

bool source_hollow(int fd, uint64_t size)
{
    uint64_t at = 0, holes = 0;

    while (at < size && size > SOURCE_HOLES_MAX) {
        off_t data = lseek(fd, (off_t)at, SEEK_DATA), hole;

        if (data < 0 && errno != ENXIO)
            return false;
        holes += (data < 0 ? size : (uint64_t)data) - at;
        if (holes >= SOURCE_HOLES_MAX)
            return true;
        hole = data < 0 ? -1 : lseek(fd, data, SEEK_HOLE);
        if (hole < 0)
            return false;
        at = (uint64_t)hole;
    }
    return false;
}

const char *source_why(int error)
{
    return error == ENODATA ? "most of it was never written: it has holes" : strerror(error);
}

const unsigned char *source_fill(struct source *s, uint64_t off, size_t want, size_t *got)
{
    uint64_t left = off < s->size ? s->size - off : 0;
    size_t n;

    *got = 0;
    if (left == 0)
        return NULL;
    if (want > left)
        want = (size_t)left;
    if (s->fd >= 0 && !(off >= s->off && off - s->off < s->n && s->n - (off - s->off) >= want)) {
        n = s->n == 0 && off == 0 ? s->first : s->view;
        if (n < want)
            n = want;
        if (n > SOURCE_VIEW_MAX)
            n = SOURCE_VIEW_MAX;
        if (n > left)
            n = (size_t)left;
        load(s, off, n);
    }
    if (off < s->off || off - s->off >= s->n)
        return NULL;
    *got = s->n - (size_t)(off - s->off);
    return s->at + (off - s->off);
}

enum line_end source_line(struct source *s, uint64_t *off, struct bytes *line)
{
    size_t got;
    const unsigned char *p = source_at(s, *off, 1, &got), *lf;

    /* Nearly always. */
    if (p && (lf = memchr(p, '\n', got < SOURCE_VIEW_MAX ? got : SOURCE_VIEW_MAX)) != NULL) {
        *line = bytes_from(p, (size_t)(lf - p));
        *off += line->n + 1;
        return LINE_WHOLE;
    }
    line->p = (const unsigned char *)"";
    line->n = 0;
    if (!p)
        return LINE_NONE;
    lf = memchr(p, '\n', got);
    if (!lf && got < SOURCE_VIEW_MAX && got < s->size - *off) {
        p = source_at(s, *off, SOURCE_VIEW_MAX, &got);
        if (!p)
            return LINE_NONE;
        lf = memchr(p, '\n', got);
    }
    /* A memory source may hold more than a view; a line piece never is longer than one. */
    if (!lf || (size_t)(lf - p) >= SOURCE_VIEW_MAX) {
        line->p = p;
        line->n = got < SOURCE_VIEW_MAX ? got : SOURCE_VIEW_MAX;
        *off += line->n;
        return *off >= s->size ? LINE_LAST : LINE_PIECE;
    }
    line->p = p;
    line->n = (size_t)(lf - p);
    *off += line->n + 1;
    return LINE_WHOLE;
}
