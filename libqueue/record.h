/*
 * One message, as the back ends fill it: the table of fields and the only way to set them.
 * Knows no queue format; a record lives in one arena and dies with it.
 */
#ifndef RECORD_H
#define RECORD_H

#include <sys/stat.h>
#include <sys/types.h>

#include "arena.h"
#include "buf.h"
#include "bytes.h"
#include "libqueue.h"

/*
 * A message is read in sections, each only when a filter or an output asks for a field that lives in it.
 * NAME costs nothing (the directory entry told it), BODY costs the whole message.
 */
enum section {
    SEC_NAME = 1,
    SEC_CONTROL = 2,    /* the key file: envelope and header. Exim -H and -J, Postfix queue file, Sendmail qf */
    SEC_SIZE = 4,       /* stat of the other parts: Exim -D, Sendmail df */
    SEC_LOG = 8,        /* Postfix defer and bounce logs, Exim msglog */
    SEC_BODY = 16,
    SEC_ALL = 31
};

struct field_info {
    const char *name;
    enum lq_type type;
    unsigned sections;          /* what must have been read before the field is known */
    const char *aliases;        /* separated by blanks */
};
extern const struct field_info field_table[LQ_FIELD_COUNT];

enum state {        /* in the order of product precedence: the first that fits */
    STATE_NONE, STATE_RECEIVING, STATE_CORRUPT, STATE_INCOMPLETE, STATE_ACTIVE, STATE_HELD, STATE_DEFERRED, STATE_INCOMING,
    STATE_COUNT
};
extern const char *const state_names[STATE_COUNT];

enum flag {
    FLAG_BOUNCE, FLAG_LOCAL, FLAG_AUTHENTICATED, FLAG_TLS, FLAG_SMTPUTF8, FLAG_WARNED, FLAG_WIREFORMAT,
    FLAG_SHARED_BODY,           /* a Sendmail df with several links */
    FLAG_NAME_UNVERIFIED,       /* "(may be forged)", reverse_client_name only */
    FLAG_PARTIAL,               /* some recipients are done, some are not */
    FLAG_REDIRECTED,            /* Postfix > record */
    FLAG_FILTERED,              /* Postfix content filter */
    FLAG_COUNT
};
extern const char *const flag_names[FLAG_COUNT];

enum {
    RECORD_RECIPIENTS_MAX = 100000,     /* stored; beyond are counted */
    RECORD_HEADERS_MAX = 4 << 20,
    RECORD_TEXT_MAX = 64 << 10,         /* one text value; longer ones are cut, with a problem */
    RECORD_HOPS_MAX = 100,
    RECORD_PROBLEMS_MAX = 20,
    RECORD_ARENA_MAX = 16 << 20,
    RECORD_SHARED_MAX = 16 << 20,       /* sum of the texts that recipients share with others */
    RECORD_SMALL = 8 << 10,             /* what every record may take without asking, and keep */
    RECORD_LARGE = 1 << 20              /* beyond this a message is parsed alone */
};

/* A text inside a recipient or a hop, by the key that JSON gives it. */
struct text_member {
    const char *name;           /* NULL: the last one */
    size_t at;                  /* offset of its struct lq_str */
};
extern const struct text_member recipient_members[], hop_members[];

/* What a record that was read from JSON says of itself, where `is` is set; sections mean nothing there. */
struct foreign {
    bool is;
    bool partial;               /* it holds only the fields that were asked for */
    uint64_t given;             /* LQ_FIELD_BIT of what it has */
    uint64_t unread;            /* of what whoever made it could not read */
    uint64_t unknown;           /* of what may have a value, or more elements, that is not here */
};

struct rcpt_list {
    struct lq_recipient *items; /* on the heap, not in the arena: it grows by realloc without leaving copies behind */
    size_t n, cap;
    uint64_t counted;           /* all that were seen */
};

struct str_list {
    struct lq_str *items;
    size_t n, cap;
};

/* A file as it was just before it was read: what a decision rested on. */
struct file_stamp {
    dev_t dev;
    ino_t ino;
    off_t size;
    struct timespec mtime, ctime;
};

enum { RECORD_STAMPS_MAX = 8 };

/* Larger numbers lose digits in most readers of JSON; none of a queue is that large. */
#define RECORD_NUMBER_MAX (INT64_C(1) << 53)

struct spool;
struct ref;
struct mime;

struct lq_record {
    struct spool *spool;        /* where it is; the core's, for lq_message_*() */
    const struct ref *ref;
    struct arena arena;
    uint64_t set;               /* LQ_FIELD_BIT of scalar fields that have a value */
    uint64_t cut;               /* of texts that are only the beginning of what is stored */
    unsigned have;              /* sections that were read, well or badly */
    bool header_followed;       /* in its file something stands behind the last field of the header block that was read */
    unsigned broken;            /* sections of which some could not be read or understood: absent there means unknown */
    struct foreign foreign;
    union {
        struct lq_str text;
        int64_t number;
    } value[LQ_FIELD_COUNT];
    enum state state;           /* STATE_NONE until a back end knows; record_set_state() keeps the first that fits */
    unsigned flags;             /* 1 << enum flag */
    struct rcpt_list recipients, done;
    size_t shared;              /* bytes given out by record_share() */
    bool shared_out;            /* there were more */
    struct str_list problems, files;
    struct bytes header;        /* while it is being read, and LQ_HEADER wanted: the header block, whole fields; p == NULL: not known */
    const struct mime *body;    /* likewise, LQ_BODY */
    struct lq_hop *hops;
    size_t hop_count, hop_cap;
    struct lq_str stored[LQ_DATE - LQ_SUBJECT + 1];     /* bytes of header fields before unfolding and decoding, where record_set_stored() kept them */
    uint64_t scratch[6];        /* the back end's own notes between sections of one message (offsets, sums) */
    struct lq_str scratch_text[2];
    struct buf json;            /* lq_record_json()'s text */
    struct file_stamp stamps[RECORD_STAMPS_MAX];     /* of the files looked at, where LQ_IDENTITY is wanted */
    unsigned stamp_count;
    dev_t part_dev;             /* of the part that is never rewritten, as record_set_identity() was told; ino 0: it was not */
    ino_t part_ino;
};

/* Empty, ready for the next message; keeps the memory. */
void record_reset(struct lq_record *r);
void record_done(struct lq_record *r);
/* Forget the fields, not the memory: the message is read once more, and what was allocated meanwhile stays. */
void record_restart(struct lq_record *r);

/* A value is copied; longer than RECORD_TEXT_MAX is cut and a problem. The first value stays: later calls for the same field are ignored. */
void record_set_text(struct lq_record *r, enum lq_field f, const void *p, size_t n);
/* The same, but a later value replaces an earlier one. */
void record_replace_text(struct lq_record *r, enum lq_field f, const void *p, size_t n);
/* The bytes that the queue stores for a header field (LQ_SUBJECT … LQ_DATE), where its text was made from them: NAME_b64 shows them. */
void record_set_stored(struct lq_record *r, enum lq_field f, const void *p, size_t n);
/* Negative numbers are allowed; beyond RECORD_NUMBER_MAX is a problem and no value. The first value stays. */
void record_set_number(struct lq_record *r, enum lq_field f, int64_t v);
void record_replace_number(struct lq_record *r, enum lq_field f, int64_t v);
bool record_is_set(const struct lq_record *r, enum lq_field f);
/* A new, empty recipient to fill, or NULL when it is beyond what is stored (then it was counted, and the list is a problem once). */
struct lq_recipient *record_add_recipient(struct lq_record *r, struct rcpt_list *list);
struct lq_hop *record_add_hop(struct lq_record *r);
void record_flag(struct lq_record *r, enum flag f);
/*
 * identity: the arrival to the microsecond and the inode of the part that the MTA never rewrites, "1795303390.038558-fe00:11020797".
 * Not set while the arrival is not known exactly: what is compared later must not rest on a guess.
 */
void record_set_identity(struct lq_record *r, dev_t dev, ino_t ino);
/* Note what a file was like before it was read. More than RECORD_STAMPS_MAX: the count says so, and nobody may rely on them. */
void record_add_stamp(struct lq_record *r, const struct stat *st);
/* Keep the state that comes first in enum state. */
void record_set_state(struct lq_record *r, enum state s);
/* A sentence about damage: which file, where, why. Does not by itself make a section broken. */
void record_problem(struct lq_record *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Fields of these sections that have no value are unknown from now on, not absent. */
void record_broken(struct lq_record *r, unsigned sections);
void record_add_file(struct lq_record *r, const char *dir, const char *name);
/* A copy in the record's arena, cut at RECORD_TEXT_MAX like a field. Bytes that outputs must escape count as the six that each becomes. */
struct lq_str record_copy(struct lq_record *r, const void *p, size_t n);
/* The same, never cut. */
struct lq_str record_keep(struct lq_record *r, const void *p, size_t n);
/*
 * A copied text for one more recipient: it costs nothing here, but is written once for each, so their sum is bounded, too. { NULL, 0 }
 * beyond that bound; the record says so once, and the sections are broken.
 */
struct lq_str record_share(struct lq_record *r, struct lq_str s, unsigned sections);

#endif
