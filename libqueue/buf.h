/* A growing byte buffer with a ceiling. Knows nothing of what it holds. */
#ifndef BUF_H
#define BUF_H

#include <stdbool.h>
#include <stddef.h>

struct arena;

struct buf {
    char *p;
    size_t n, cap;
    size_t limit;       /* bytes beyond it are counted in `lost`, not stored; 0: no limit */
    size_t lost;
    bool failed;        /* no memory: what is here is not whole */
    struct arena *owner;    /* asked before this grows beyond 64 KiB; NULL: nobody */
};

void buf_add(struct buf *b, const void *p, size_t n);
void buf_add_str(struct buf *b, const char *text);
void buf_add_char(struct buf *b, char c);
void buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Make it empty; a buffer that had grown beyond `keep` bytes gives its memory back. */
void buf_reset(struct buf *b, size_t keep);
void buf_done(struct buf *b);

#endif
