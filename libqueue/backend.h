/*
 * What one MTA's file must say. The only header that the author of a back end reads first.
 *
 * A back end supplies facts: where messages are, which files belong to one, what their bytes mean. It never prints, knows no
 * filter, and opens files only through the calls below. Its parsers are functions of a struct source, so that tests and fuzzers run
 * them over memory.
 *
 * The life of a message in a scan:
 *     list()   walks the spool's directories once and names every file by listing_add();
 *              the core sorts all names by id, then by place
 *     group()  gets all names of one id and forms messages from them (usually one)
 *     read()   fills the record section by section, possibly in several calls, each section at most once
 *     again()  is asked where a message is now, when its key file vanished between list() and read()
 */
#ifndef BACKEND_H
#define BACKEND_H

#include <sys/stat.h>

#include "file.h"
#include "record.h"
#include "source.h"

/* A directory of the spool, opened once. */
struct spool_dir {
    char *path;                 /* below the spool root; "" is the root itself */
    int fd;
    const char *queue_name;     /* what records say as queue_name; owned by the spool */
    unsigned tag;               /* the back end's own: which kind of directory */
};

/* A file found by list(). */
struct entry {
    const char *name;           /* file name in its directory */
    const char *id;             /* the id inside name, not terminated there: id_len bytes */
    uint16_t dir;               /* index into spool->dirs */
    uint8_t id_len;
    uint8_t role;               /* the back end's own: which part */
};

/* A message: its files, the key first. Several refs may share an id (the same id in two places). */
struct ref {
    const struct entry *entries;
    uint32_t count;
    bool twin;                  /* another message of this spool has the same id */
};

struct spool {
    const struct lq_backend *backend;
    char *root;                 /* absolute path, for people */
    int fd;
    const char *host;           /* NULL: not known */
    bool live;
    int64_t clock;              /* now, for "a day old" questions; set when the scan begins */
    struct spool_dir *dirs;
    size_t dir_count, dir_cap;
    void *own;                  /* the back end's notes about this spool; freed by backend->close */
    struct listing *listing;    /* the core's: names, locks, troubles */
};

/* --- what the core lends to list() --- */

/*
 * Open directory `path` below the spool root and remember it. queue_name is copied. *index is its number.
 * FILE_GONE is silent (the caller decides); FILE_DENIED and others are recorded as a trouble of the scan.
 */
enum file_result spool_add_dir(struct spool *sp, const char *path, const char *queue_name, unsigned tag, size_t *index);
/* The number of a directory that may have been added before, else as spool_add_dir(). */
enum file_result spool_find_dir(struct spool *sp, const char *path, const char *queue_name, unsigned tag, size_t *index);
/* Name one file; id points into name. Ids of 1..255 bytes. False without memory. */
bool listing_add(struct spool *sp, size_t dir, const char *name, size_t id_at, size_t id_len, uint8_t role);
/* Say that something of the spool could not be read (a directory, a file that no message owns). */
void spool_trouble(struct spool *sp, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* True if some process holds a write lock (POSIX, OFD or flock) on that inode, as /proc/locks said when the scan began. */
bool spool_locked(const struct spool *sp, dev_t dev, ino_t ino);

/* --- what the core lends to read() --- */

struct reading {
    struct spool *spool;
    const struct ref *ref;
    struct lq_record *rec;
    uint64_t want;              /* LQ_FIELD_BITs that somebody will look at; others need not be set */
    struct source src;          /* for reading_open() */
    int fd;                     /* open while src is in use */
    struct buf headers;         /* the header block as it would be sent, LF line ends; limit RECORD_HEADERS_MAX */
    struct buf tmp, tmp2;       /* free for any use inside one call */
    bool vanished;              /* the key file is gone: set by read(), handled by the core */
    char path[1024];            /* reading_path()'s text */
};

/*
 * Open an entry as rd->src and stat it; only one at a time (the next call closes the one before).
 * A result other than FILE_OK and FILE_GONE is made a problem of the record that names the file.
 */
enum file_result reading_open(struct reading *rd, const struct entry *e, struct stat *st);
/* Only stat an entry; problems as reading_open(). */
enum file_result reading_stat(struct reading *rd, const struct entry *e, struct stat *st);
/* "input/x/1xUroU-…-H": path of an entry below the spool root, for problem sentences; lives until the next call. */
const char *reading_path(struct reading *rd, const struct entry *e);

/* Receives pieces of a message being rebuilt. Non-zero stops. */
typedef int body_fn(void *ctx, const void *p, size_t n);

struct lq_backend {
    const char *name;                   /* "exim" */
    const char *const *usual_dirs;      /* NULL-terminated absolute paths */

    /* How many facts of the directory fit this MTA; 0: not mine. Looks at names only. */
    unsigned (*detect)(int rootfd);
    /* Prepare sp->own if needed. LQ_OK or an error about the spool itself (LQ_EACCES, LQ_EIO). */
    int (*open)(struct spool *sp, struct lq_error *err);
    void (*close)(struct spool *sp);
    /*
     * Name every file that belongs to a message; log directories only when sections has SEC_LOG. A directory that cannot be read
     * is a trouble, not an error; LQ_EACCES only when none could be read (the sentence names the owner to become).
     */
    int (*list)(struct spool *sp, unsigned sections, struct lq_error *err);
    /*
     * Name the logs of the message that e belongs to, which list() named without logs, by looking where the MTA writes them.
     * NULL: there are none.
     */
    void (*list_logs)(struct spool *sp, const struct entry *e);
    /*
     * e[0..n) have the same id, sorted by directory path and name. Reorder them so that each message is a run with its key first, and
     * answer how many messages there are, with counts[i] the length of run i; entries that belong to no message go last and are left out.
     */
    size_t (*group)(struct spool *sp, struct entry *e, size_t n, uint32_t *counts);
    /*
     * Read these sections (never NAME; LOG includes what it needs of CONTROL only if that is asked, too: the core always asks CONTROL first, then SIZE, LOG).
     * Fills rd->rec. Sets queue_name and queue_id never: the core does, from the ref.
     */
    void (*read)(struct reading *rd, unsigned sections);
    /* Where the message of rd->ref is now: fill at most max entries (names in the record's arena), key first; 0: nowhere. */
    size_t (*again)(struct reading *rd, struct entry *out, size_t max);
    /*
     * Rebuild the message: header block, empty line, body, in pieces with LF or CRLF line ends as stored (the core makes CRLF of
     * both). Called with CONTROL read, rd->headers filled. 0; a positive value when the file is damaged; what emit answered.
     */
    int (*body)(struct reading *rd, body_fn *emit, void *ctx);
};

extern const struct lq_backend exim_backend, postfix_backend, sendmail_backend;
extern const struct lq_backend *const backends[];      /* NULL-terminated */

#endif
