/*
 * What the files of the Postfix back end share.
 *
 *     postfix.c           directories, names, which files belong together
 *     postfix_walk.c      records of a queue file, one after the other
 *     postfix_parse.c     what the records say: envelope, recipients, header
 *     postfix_fields.c    fields made of several facts: client, origin, times, state
 *     postfix_log.c       delivery logs
 */
#ifndef POSTFIX_H
#define POSTFIX_H

#include "backend.h"

/* Directories of a spool: the tag of a struct spool_dir and the role of an entry. */
enum postfix_dir {
    PF_MAILDROP, PF_INCOMING, PF_ACTIVE, PF_DEFERRED, PF_HOLD, PF_CORRUPT,
    PF_DEFER, PF_BOUNCE,    /* delivery logs, named like the message */
    PF_DIRS
};

/* Deeper than any hash_queue_depth that a path could hold; stops a tree of a thousand levels. */
enum { POSTFIX_DEPTH_MAX = 16 };

struct postfix_queue {
    const char *name;
    bool log;
};
extern const struct postfix_queue postfix_queues[PF_DIRS];
/* What a place says of a message there; of logs nothing. */
extern const enum state postfix_dir_state[PF_DIRS];

/* What is below a directory of logs, by the character of the level: 0: not looked for, POSTFIX_NO_LEVEL: nothing, else its number + 1. */
enum { POSTFIX_LEVELS = 63, POSTFIX_NO_LEVEL = UINT16_MAX };

struct postfix_levels {
    uint16_t below[POSTFIX_LEVELS];
};

/* struct spool's own: the account that Postfix works as, seen as the owner of its directories; what acting found out once. */
struct postfix_spool {
    uid_t mail_owner;
    bool owner_known;
    struct {
        bool asked, known;
        char hashed[256];   /* hash_queue_names */
        unsigned depth;     /* hash_queue_depth */
        int64_t lifetime, bounce_lifetime;  /* seconds */
        bool long_ids;
    } settings;             /* as postconf told them, of a live spool */
    struct {
        bool known;
        unsigned depth;     /* levels of one character above a file; where acting puts files only, for listing takes them as they are */
    } hash[PF_DIRS + 1];    /* the last: trace */
    struct postfix_levels *levels;      /* by directory number, for who looks for the logs of many single messages */
    size_t level_count;
    int log_dirs[3];        /* 1 + index of bounce, defer, trace; 0: not looked for, -1: not there */
    bool qmgr_known;
    int64_t qmgr_since;     /* milliseconds of the epoch, when its queue manager was started; INT64_MAX: none runs */
};

/* The characters that name hash levels: of a long id the microseconds in hex, else the id itself. */
void postfix_hash_text(struct bytes id, char out[POSTFIX_DEPTH_MAX + 1]);
/* Every Postfix tool ignores other names: "usec.pid" is a file that cleanup is about to name. */
bool postfix_id_name(const char *name, size_t n);

/* Where a pending recipient's record begins in the queue file: delivery logs name it so. */
struct postfix_place {
    uint64_t offset;
    uint32_t index;         /* in the record's list of recipients */
};

/* What parsing leaves in lq_record.scratch for the sections after it. */
enum {
    NOTE_CONTENT,           /* offset of the first content record; 0: not found */
    NOTE_PLACES,            /* address of an array of struct postfix_place, in the order of reading */
    NOTE_PLACE_COUNT,
    NOTE_CREATED            /* when this queue file was made, epoch seconds; 0: not known */
};

/* Attributes that are kept until all are known, because several of them make one field. */
enum postfix_attr {
    LOG_ADDRESS, LOG_PORT, LOG_NAME, LOG_HELO, LOG_PROTOCOL,
    PEER_ADDRESS, PEER_PORT, PEER_NAME, PEER_HELO, PEER_PROTOCOL,
    REVERSE_NAME, SASL_USER, SASL_METHOD,
    ATTR_KEPT,
    CREATE_TIME = ATTR_KEPT, DSN_ORIG_RCPT,
    ATTRS
};

/* The C record: data size, data offset, recipients, flags, content length, sendopts. */
enum { SIZE_DATA, SIZE_OFFSET, SIZE_RCPTS, SIZE_FLAGS, SIZE_CONTENT, SIZE_OPTS, SIZES };

/* A queue file while it is read. */
struct postfix_file {
    struct reading *rd;
    struct lq_record *rec;
    const struct stat *st;
    enum postfix_dir dir;
    bool receiving;         /* not ready yet: what is missing is still to come, nothing is damage */
    bool user_file;         /* written by a local user through postdrop */
    bool use_client;        /* what it says about clients is asked for, and believed */
    unsigned attrs_wanted;  /* 1 << enum postfix_attr */
    bool same_client;       /* the attributes log_client_… and client_… tell about one client */
    bool sizes_seen, time_seen;
    unsigned size_count;    /* fields of the C record; 0: none, or not understood */
    int64_t sizes[SIZES];
    struct lq_str attrs[ATTR_KEPT];
    struct lq_str redirect; /* p == NULL: none */
};

/* Fill the record from rd->src, the queue file rd->ref->entries[0]; st is what fstat said. */
void postfix_parse(struct reading *rd, const struct stat *st, enum postfix_dir dir);
/* The same for the delivery log e. */
void postfix_log(struct reading *rd, const struct entry *e, const struct stat *st);

/* What a place and mode say, before its bytes are read. */
struct postfix_file postfix_file(struct reading *rd, const struct stat *st, enum postfix_dir dir);
/* The fields that are made of several facts, after all are known. */
void postfix_fields(struct postfix_file *f);
/* Header fields must be read for these. */
extern const uint64_t postfix_header_mask;
/* What a recipient's address was before is read for these. */
extern const uint64_t postfix_original_mask;

/* A problem sentence about this queue file; its path and a colon come before it. */
void postfix_problem(struct postfix_file *f, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The same, and Postfix would refuse the file: state corrupt. Nothing of both while it is being received. */
void postfix_refuse(struct postfix_file *f, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The time in a long queue id (enable_long_queue_ids, Postfix 2.9 and later); false for a short id. */
bool postfix_long_id(struct bytes id, int64_t *seconds, int64_t *usec);

#endif
