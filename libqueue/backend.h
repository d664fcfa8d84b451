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

#include <limits.h>
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
    uid_t uid;                  /* its owner when it was opened */
};

/* A file found by list(). */
struct entry {
    const char *name;           /* file name in its directory */
    const char *id;             /* the id inside name, not terminated there: id_len bytes */
    uint16_t dir;               /* index into spool->dirs */
    uint8_t id_len;
    uint8_t role;               /* the back end's own: which part */
    bool follows;               /* listing.c's: the entry before it in the list has the same id */
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
    const char *origin;         /* what records say as their spool: where the messages of a case came from; NULL: root */
    int fd;
    const char *host;           /* NULL: not known */
    bool live;
    unsigned threads;           /* how many may read its directories side by side, the caller's among them; 0: that one alone */
    const struct trust *trust;  /* the queue's: whose Received fields are believed */
    int64_t clock;              /* now, for "a day old" questions; set when the scan begins */
    struct spool_dir *dirs;
    size_t dir_count, dir_cap;
    void *own;                  /* the back end's notes about this spool; freed by backend->close */
    struct dir_names *names;    /* names.c: by directory number */
    size_t named_dirs;
    uint64_t names_round;
    struct names_batch *names_batch;    /* NULL: between batches */
    struct listing *listing;    /* the core's: names, locks, troubles */
};

/* --- what the core lends to list() --- */

/*
 * Open directory `path` below the spool root and remember it. queue_name is copied. *index is its number.
 * FILE_GONE is silent (the caller decides); FILE_DENIED and others are recorded as a trouble of the scan.
 */
enum file_result spool_add_dir(struct spool *sp, const char *path, const char *queue_name, unsigned tag, size_t *index);
/*
 * The index of the directory, opened and remembered if it was not yet (opened anew if it was removed meanwhile); 0 or errno (ENOENT: no such
 * directory). One that list() did not see has SPOOL_TAG_NONE for its tag.
 */
#define SPOOL_TAG_NONE UINT_MAX
int spool_dir(struct spool *sp, const char *path, size_t *index);
/* The number of a directory that may have been added before, else as spool_add_dir(). */
enum file_result spool_find_dir(struct spool *sp, const char *path, const char *queue_name, unsigned tag, size_t *index);
/* Name one file; id points into name. Ids of 1..255 bytes. False without memory. */
bool listing_add(struct spool *sp, size_t dir, const char *name, size_t id_at, size_t id_len, uint8_t role);
/* Say that something of the spool could not be read (a directory, a file that no message owns). */
void spool_trouble(struct spool *sp, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The same of a directory that exists and whose names are not, or not all, known. Not for a thread beside others. */
void spool_unread(struct spool *sp, const char *path, enum file_result r);
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
    struct mime *mime;          /* the core's: reads the body where somebody asks for its text */
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

/* --- acting: what the engine needs to know to claim, hold, move and put back a message; act_*.c do the work --- */

/* A file of a claimed message. */
struct piece {
    size_t dir;                 /* index into spool->dirs */
    char name[NAME_MAX + 1];
    uint8_t role;               /* as in struct entry */
    bool links;                 /* several links are normal (a Sendmail df that envelopes share) */
    struct stat st;             /* under the lock */
};

enum { CLAIM_PARTS_MAX = 8 };

/* A message of which nobody but us changes anything, until claim_done(). */
struct claim {
    struct piece parts[CLAIM_PARTS_MAX];     /* the key first, then the others in the order in which they go */
    size_t n;
    int lock, lock2;            /* descriptors that hold the server's own lock; -1: none */
    enum state state;           /* by place and lock: held, deferred, incoming, active … */
    unsigned namesakes;         /* other messages with this id, of which one may own the logs that are there: those are then no parts */
    char why[256];              /* end of the sentence "NOT TAKEN: …" for every answer but CLAIM_OK */
};

enum claim_result {
    CLAIM_OK,
    CLAIM_GONE,                 /* finished or moved away by the server */
    CLAIM_BUSY,                 /* its lock is held: being delivered now */
    CLAIM_OTHER,                /* the id belongs to another message now */
    CLAIM_REFUSED               /* receiving, links where none belong, not a regular file, wrong owner, … */
};

enum {
    CLAIM_ACTIVE = 1,           /* also in Postfix's active queue */
    CLAIM_MAILDROP = 2,         /* also in Postfix's maildrop: the caller knows that Postfix is down */
    CLAIM_UNLOCKED = 4,         /* in a case: no server looks at it, no lock */
    CLAIM_DAMAGED = 8,          /* a control file that its server would refuse may be claimed, too */
    CLAIM_DRY = 16              /* answer as if it were claimed, but take no lock; whether somebody else has it is the caller's to ask */
};

/* --- names.c: for claims, by one thread --- */

/* What was known of directories before is compared with them again from here on. */
void spool_names_round(struct spool *sp);
/* Whether the name was surely not in this directory at some moment since the last spool_names_round(); false: look. */
bool spool_lacks(struct spool *sp, size_t dir, const char *name);
/*
 * The same, and not asked again at the end of a batch: for names that no server makes under a claim, in directories that it changes all the time (there a
 * change in the last tick of the clock would put the whole batch in doubt).
 */
bool spool_lacked(struct spool *sp, size_t dir, const char *name);
/*
 * A batch of at most n claims: until spool_names_end() a list that was true once is believed, and what it says is kept as said to the claim that
 * spool_names_asker() names. Without memory nothing changes.
 */
void spool_names_begin(struct spool *sp, size_t n);
void spool_names_asker(struct spool *sp, size_t i);
/* Once they are all made: doubtful[i] where something that claim i was told is not surely true now; it has to be made anew. */
void spool_names_end(struct spool *sp, bool *doubtful, size_t n);
void spool_names_done(struct spool *sp);

/* What holding or releasing means for the key file. The engine writes and moves. */
struct held {
    bool rewritten;
    struct buf bytes;           /* then: its new content, complete */
    bool moved;
    size_t dir;                 /* then: the directory and name it moves to */
    char name[NAME_MAX + 1];
    bool move_first;            /* both: moved under its old content, then rewritten (else rewritten, then moved) */
    bool touch;                 /* modification time becomes now before it moves, so that the server tries it */
    char why[256];              /* for HOLD_ALREADY and HOLD_REFUSED */
};

enum hold_result { HOLD_DO, HOLD_ALREADY, HOLD_REFUSED, HOLD_NO_MEMORY };

/* A message that its server is asked to give up. */
struct given_up {
    const char *id, *queue_name;
};

/*
 * Giving messages up: their own server returns them to their senders, with a non-delivery report. Where all of it is done by a program of the server, that
 * is asked by id once our locks are let go; where a mark in the file tells it (Postfix), that is made under the lock, on the file that was looked at.
 */
struct lq_bouncer {
    unsigned at_once;           /* messages in one round */
    bool goes_on;               /* the server works on when its program has ended: what is left is waited for */
    const char *left;           /* what to say of a message that is still there then */
    /* Whether the server of this spool is here and can do that. Asked once, while we are who was called; false with `why`. */
    bool (*able)(struct spool *sp, char why[256]);
    /* False, with `why`, where this claimed message cannot be given up as it is. */
    bool (*fits)(struct spool *sp, const struct claim *c, const char *id, char why[256]);
    /*
     * Mark a claimed message. 0 or errno. NULL: nothing is to be marked. What has a mark is done, gone or not; a held one is released by the engine, as the
     * actor's hold() says.
     */
    int (*mark)(struct spool *sp, const struct claim *c);
    /* Let the server go to work; no lock of ours is held. False with `why` when its program cannot be run. */
    bool (*begin)(struct spool *sp, const struct given_up *m, size_t n, char why[256]);
};

struct lq_actor {
    bool one_file;              /* the key is the whole message; other parts are logs: they move after it, go before it (ids are reused) */
    mode_t modes;               /* bits that files of it may have when they come back out of a case: what the server itself gives them */
    bool sync_after_key;        /* removing: the key's directory is on disk before the next part goes (Sendmail delivers a qf without its df) */

    /* Whether a claim's first part is the key: where the rest of a message can be claimed without it. NULL: it always is. */
    bool (*is_key)(const struct piece *part);
    /* Who owns the queue and does the work; root where files have several owners. 0 or errno. */
    int (*owner)(const struct spool *sp, uid_t *uid, gid_t *gid);
    /*
     * Take the server's own lock without waiting and find all files of the message as they are now: key, data, journal, logs. ref: its files when it
     * was selected, key first; a message that changed queues since is looked up where it is now. dev, ino: what the identity says of the part
     * that is never rewritten; another inode there is CLAIM_OTHER; ino 0: not known, not compared. Nothing stays open but the locks.
     */
    enum claim_result (*claim)(struct spool *sp, const struct ref *ref, dev_t dev, ino_t ino, unsigned flags, struct claim *c);
    /*
     * Whether the server works, or worked since, on a claimed message that the claim does not fence, as there is no lock of ours (Postfix's active queue): to
     * be asked right before its key goes away, and where it moves right after. dir, name: where the key is now. NULL: the lock keeps the server away.
     */
    bool (*in_use)(const struct piece *key, int dir, const char *name);
    /* key: the bytes of the key file under the lock. on: hold, else release. reason: for Sendmail's q; NULL: a standard text. */
    enum hold_result (*hold)(struct spool *sp, const struct claim *c, struct bytes key, bool on, const char *reason, int64_t now, struct held *out);
    /* NULL, or what this server's settings will do to held mail by themselves, for a warning ("timeout_frozen_after = 7d: …"); static or arena storage of out. */
    bool (*hold_warning)(const struct spool *sp, char out[256]);
    /* True when no file of any queue of the spool carries this id, so that it may come back; else `why` ("input/x/…-H exists"). */
    bool (*vacant)(struct spool *sp, const char *id, char why[256]);
    /*
     * Where a part that was at dir_path/name goes back to: usually the same place. Writes the directory below the root and the name. active: the
     * message was being delivered when it was taken. False with `why` when it must not go back now.
     */
    bool (*place)(struct spool *sp, const struct piece *part, const char *dir_path, char dir[256], char name[NAME_MAX + 1], char why[256]);
    /* For a copy (new inode): the id that the server expects then, into out; false: the id stays. NULL: never. */
    bool (*new_id)(struct spool *sp, const char *id, const struct stat *st, char out[64]);
    /* Lock a file that takes the place of a locked one (a restored -D, a rewritten qf) before its name appears; 0 also where this role carries no lock. */
    int (*lock)(const struct piece *part, int fd);
    /*
     * False, with `why`, while the server may still have in memory what it knew of this message when its file was moved away (st: the file as it is now; its
     * change time is not before that): to be asked before a message of unknown origin is released. NULL: no server of this kind does that.
     */
    bool (*settled)(struct spool *sp, const struct stat *st, char why[256]);
    /* What the server will do with a message of this age once it is back: a sentence; false: nothing worth saying. */
    bool (*prospect)(const struct spool *sp, const struct lq_record *r, int64_t now, char out[256]);
    const struct lq_bouncer *bouncer;
};

/* Close the locks. */
void claim_done(struct claim *c);
/* For actors: note why, and answer result. What hold() had begun to write is dropped. */
enum claim_result claim_answer(struct claim *c, enum claim_result result, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
enum hold_result hold_answer(struct held *out, enum hold_result result, const char *why);

struct lq_backend {
    const char *name;                   /* "exim" */
    const char *const *usual_dirs;      /* NULL-terminated absolute paths */

    /* How many facts of the directory fit this MTA; 0: not mine. Looks at names only. */
    unsigned (*detect)(int rootfd);
    /*
     * Whether the server looks for mail, or keeps files of its own, in a place below a spool root ("input/x"): there nothing of ours
     * may be. The place need not exist.
     */
    bool (*scans)(const char *below);
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
    const struct lq_actor *actor;
};

extern const struct lq_backend exim_backend, postfix_backend, sendmail_backend;
extern const struct lq_backend *const backends[];      /* NULL-terminated */
extern const struct lq_actor exim_actor, postfix_actor, sendmail_actor;
extern const struct lq_bouncer exim_bouncer, postfix_bouncer, sendmail_bouncer;

#endif
