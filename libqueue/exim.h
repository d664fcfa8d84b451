/*
 * Exim's spool: where its messages are (exim_places.c), and its files as bytes, what exim.c (messages) asks of the others (their meaning).
 */
#ifndef EXIM_H
#define EXIM_H

#include "backend.h"
#include "record.h"
#include "source.h"

/* --- exim_places.c: names and places --- */

enum exim_part { PART_HEADER, PART_DATA, PART_JOURNAL, PART_LOG };

enum {
    EXIM_ID_OLD = 16, EXIM_ID_NEW = 23,     /* to 4.96, from 4.97 */
    EXIM_SUFFIX = 2,
    EXIM_ABANDONED = 24 * 60 * 60           /* a -D of this age without its -H is not being received any more */
};

bool exim_is_id(const char *s, size_t n);
/* When reception began, in seconds: the first part of an id (base 62: ids of a case-insensitive file system mislead). */
bool exim_id_time(struct bytes id, int64_t *out);

/* struct spool's own. */
struct exim_spool {
    char **bases;               /* "input", "Finput", "slow/input" …: where messages are, or one level below; NULL: not looked for yet */
    size_t base_count;
    struct {
        bool asked, known;
        int64_t frozen, thaw, bounce;   /* timeout_frozen_after, auto_thaw, ignore_bounce_errors_after, in seconds; 0: never */
    } settings;                 /* as exim -bP told them, of a live spool */
};

/* Bits of a directory's tag: it holds message logs; it is Finput or Fmsglog. */
enum { EXIM_TAG_LOG = 1, EXIM_TAG_FROZEN = 2 };

/* Which part an entry is, and the number of the queue that a directory belongs to. */
enum exim_part exim_part_of(const struct entry *e);
unsigned exim_queue_of(const struct spool *sp, size_t dir);

/* Of the back end. */
unsigned exim_detect(int rootfd);
int exim_open(struct spool *sp, struct lq_error *err);
void exim_close(struct spool *sp);
int exim_list(struct spool *sp, unsigned sections, struct lq_error *err);
void exim_list_logs(struct spool *sp, const struct entry *e);
size_t exim_group(struct spool *sp, struct entry *e, size_t n, uint32_t *counts);
bool exim_scans(const char *below);

/* sp's own with its bases known, whether they exist or not; NULL without memory. */
const struct exim_spool *exim_bases(struct spool *sp);

/* --- exim.c --- */

/* What follows the id in a file name. */
extern const char exim_suffix[][EXIM_SUFFIX + 1];

/* --- exim_parse.c --- */

static inline bool exim_digit(unsigned char c)
{
    return c >= '0' && c <= '9';
}

/* One message being read. All pointers are the caller's; zero the rest before the first call. */
struct exim_parse {
    struct lq_record *rec;
    struct source *src;         /* the file that is read now */
    const char *dir, *name;     /* its place below the spool root, for sentences about damage */
    struct bytes id;
    uint64_t want;              /* LQ_FIELD_BITs */
    struct buf *headers;        /* gets the live header fields */
    struct buf *names, *nodes;  /* empty buffers to work in; names keeps the done addresses between the calls */
    bool tried;                 /* in: a -J exists, so a delivery was tried */
    /* Told of each variable after its line and data were passed over: bytes [at, off), and at their end (name.p NULL: at is behind the last). NULL: nobody is. */
    void (*variable)(struct exim_parse *p, struct bytes name);
    void *ctx;                  /* of variable() */

    /* What exim_parse_header() found. */
    uint64_t live;              /* bytes of header fields that are part of the message */
    uint64_t dead;              /* of those that are not: no fewer than they have */
    uint64_t items_at;          /* where the header items begin */
    bool whole;                 /* read to the end and understood */

    /* What exim_parse_log() found. */
    int64_t came;               /* bytes of the message when it came; 0: the log does not say */

    /* Its own. */
    uint64_t at, off;           /* begin of the line being looked at; the next byte */
    unsigned seen;              /* variables without a field of their own */
    uint64_t problems;          /* found so far, told or not */
    bool too_many;              /* done addresses beyond the limit: said already */
    size_t done_max;            /* bytes of delivered addresses that are kept; 0: 8 MiB (fuzzers make it small) */
    struct lq_str login, auth, mechanism, account;
    int64_t uid;
};

/* Add the deliveries of a -J to the addresses that are done; before exim_parse_header(). */
void exim_parse_journal(struct exim_parse *p);
/* A -H, into the record. */
void exim_parse_header(struct exim_parse *p);
/* A message log: reasons of the record's recipients, last attempt. After exim_parse_header() of the same record. */
void exim_parse_log(struct exim_parse *p);

/* --- exim_done.c --- */

/* Fields that need the addresses that are done. */
#define EXIM_RECIPIENT_FIELDS                                                                      \
    (LQ_FIELD_BIT(LQ_RECIPIENTS) | LQ_FIELD_BIT(LQ_RECIPIENTS_DONE) | LQ_FIELD_BIT(LQ_RECIPIENT) | \
     LQ_FIELD_BIT(LQ_FLAGS) | LQ_FIELD_BIT(LQ_REASON) | LQ_FIELD_BIT(LQ_REASON_CLASS))

/* Add an address to p->names; fold: its domain becomes lower case, as in journals. Beyond 8 MiB a problem instead. */
void exim_done_add(struct exim_parse *p, struct bytes name, bool fold);
/* All were added; now they can be looked up. */
void exim_done_close(struct exim_parse *p);
/* Byte for byte, or with the domain in lower case: a merged journal leaves only that form (4.96 then does not deliver). */
bool exim_done_has(const struct exim_parse *p, struct bytes address);

/* --- exim_rcpt.c --- */

struct exim_recipient {
    struct bytes address, orcpt;
    int64_t parent;             /* index of the one_time parent in the list; negative: none */
};
/* False when the lengths in the line lie. */
bool exim_split_recipient(struct bytes line, struct exim_recipient *out);
/* The address in an ORCPT: without "rfc822;", +HH decoded (RFC 3461); in the record's arena. */
struct lq_str exim_orcpt(struct lq_record *r, struct bytes orcpt);

/* --- exim_parse.c, exim_log.c --- */

/* Whether a variable of this name says that the message is frozen. */
bool exim_is_frozen(struct bytes name);

/* The file of p->src could not be read to its end: a problem, and the section is broken. */
void exim_unreadable(struct exim_parse *p, unsigned section);

/* Receives pieces of text; non-zero stops. */
typedef int exim_piece_fn(void *ctx, const void *p, size_t n);

enum exim_item {
    EXIM_ITEM_GOOD,
    EXIM_ITEM_END,              /* the file ended where an item could begin */
    EXIM_ITEM_BAD,              /* does not begin with a number */
    EXIM_ITEM_SHORT,            /* longer than the rest of the file */
    EXIM_ITEM_NUL,              /* whole, but holds a NUL */
    EXIM_ITEM_STOPPED           /* by emit */
};
/* The header item at *off, given in pieces if it is live; *off moves behind it, *live is its length (0 of a dead one). */
enum exim_item exim_header_item(struct source *src, uint64_t *off, uint64_t *live, exim_piece_fn *emit, void *ctx);

#endif
