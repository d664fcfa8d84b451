/*
 * Bytes to parse, from memory or from a file through a moving window.
 *
 * Parsers ask for views at offsets and never know which of the two they read, so they are pure functions of
 * the bytes, and a 5 GB file costs the window only. A view dies with the next call on the source.
 */
#ifndef SOURCE_H
#define SOURCE_H

#include <stdbool.h>
#include <stdint.h>

#include "bytes.h"

enum {
    SOURCE_FIRST = 4096,        /* the first read: holds the whole envelope of most messages */
    SOURCE_VIEW_MAX = 65536,    /* the longest view that can be asked for */
    SOURCE_HOLES_MAX = 64 << 20 /* bytes of holes: fewer are read as the zeros they stand for, a file with so many is not read */
};

struct source {
    const unsigned char *at;    /* bytes [off, off + n) of the file */
    uint64_t off;
    size_t n;
    uint64_t size;              /* of the whole; shrinks when the file turns out shorter */
    int fd;                     /* -1: memory */
    int error;                  /* errno of a read that failed, ENODATA: too many holes; the rest then looks like the end */
    uint64_t holes;             /* bytes of them that were read */
    unsigned char *window;      /* owned; kept from file to file */
    size_t first, view;         /* sizes of first and later reads; tests make them tiny */
};

void source_memory(struct source *s, const void *p, size_t n);
/* Take fd (stays the caller's) of `size` bytes. s must have been zeroed once before its first use. 0, or -1 without memory. */
int source_file(struct source *s, int fd, uint64_t size);
void source_done(struct source *s);
/* Whether the open file has SOURCE_HOLES_MAX bytes of holes or more; false where nobody can tell. Moves fd's offset. */
bool source_hollow(int fd, uint64_t size);
/* What error means, for a sentence. */
const char *source_why(int error);

const unsigned char *source_fill(struct source *s, uint64_t off, size_t want, size_t *got);

/*
 * A view at `off` of at least min(want, bytes left) bytes; *got is how many there are (maybe more than want). want is at
 * most SOURCE_VIEW_MAX. NULL and *got = 0 at or beyond the end, or when reading failed (s->error).
 */
static inline const unsigned char *source_at(struct source *s, uint64_t off, size_t want, size_t *got)
{
    if (off >= s->off && off - s->off < s->n && s->n - (size_t)(off - s->off) >= want) {
        *got = s->n - (size_t)(off - s->off);
        return s->at + (off - s->off);
    }
    return source_fill(s, off, want, got);
}

enum line_end {
    LINE_WHOLE,         /* ended by LF (not part of the view) */
    LINE_PIECE,         /* SOURCE_VIEW_MAX bytes without LF: the line goes on */
    LINE_LAST,          /* the file ended before an LF */
    LINE_NONE           /* nothing left at *off */
};

/* The line at *off, which moves behind it (and its LF). */
enum line_end source_line(struct source *s, uint64_t *off, struct bytes *line);

#endif
