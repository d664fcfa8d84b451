/*
 * A log file as lines: plain, gzip or standard input, told apart by its first bytes. Memory is bounded whatever the file holds.
 * Knows nothing of what the lines say.
 */
#ifndef MAILLOG_READ_H
#define MAILLOG_READ_H

#include <sys/types.h>
#include <zlib.h>

#include "bytes.h"
#include "error.h"

enum { MAILLOG_LINE_MAX = 65536 };      /* bytes of a line that are looked at and kept; the rest of it is passed over */

struct maillog_file {
    int fd;
    bool own;                   /* fd is closed by maillog_close() */
    bool begun, gzip, ended;
    bool member;                /* gzip: inside a member */
    z_stream z;
    unsigned char *raw;         /* gzip: bytes as they are in the file */
    unsigned char *window;      /* lines, from `at` to `end` */
    size_t at, end;
    size_t looked;              /* of them, bytes known to hold no end of line */
    bool skipping;              /* what comes next belongs to a line that was cut */
    uint64_t line;              /* number of the line given last, from 1 */
    int64_t changed;            /* of a regular file; else the clock */
    bool regular;
    bool (*stopped)(void);      /* asked before each window is filled; true: the file ends here. NULL: nobody asks */
    char trouble[200];          /* why the file could not be read to its end; "" while all is well */
};

/* "-" is standard input. LQ_OK, LQ_EIO, LQ_EACCES, LQ_ENOENT, LQ_ENOMEM; f needs no maillog_close() unless LQ_OK. */
int maillog_open(struct maillog_file *f, const char *path, struct lq_error *err);
/* The next line without its end; false after the last. cut: it was longer than MAILLOG_LINE_MAX. The view lives until the next call. */
bool maillog_next(struct maillog_file *f, struct bytes *line, bool *cut);
void maillog_close(struct maillog_file *f);

#endif
