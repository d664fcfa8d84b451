/*
 * libqueue: one record for every message in an Exim, Postfix or Sendmail queue.
 *
 * Everything up to "acting" only reads: it opens queue files with O_RDONLY and takes no lock. The library never prints or
 * exits. Results come out through the first argument, errors go into the last one.
 *
 *     struct lq_error err;
 *     struct lq_queue *queue;
 *     struct lq_scan *scan;
 *     const struct lq_record *rec;
 *     struct lq_scan_opts opts = { .size = sizeof(opts), .fields = LQ_FIELDS_ALL };
 *
 *     if (lq_queue_open(&queue, NULL, "/var/spool/postfix", NULL, &err) < 0) ...
 *     if (lq_scan_begin(&scan, queue, &opts, &err) < 0) ...
 *     while ((rc = lq_scan_next(scan, &rec, &err)) == LQ_OK)
 *         ...
 *     lq_scan_end(scan);
 *     lq_queue_close(queue);
 *
 * Threads: different queues may be used by different threads at the same time; one queue, one scan
 * or one filter under construction belongs to one thread. A finished filter is never written again
 * and may serve several scans.
 */
#ifndef LIBQUEUE_H
#define LIBQUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LQ_API __attribute__((visibility("default")))

/* What a call answers: 0 is success, a positive value "no, but nothing is wrong", negative failure. */
enum lq_status {
    LQ_OK = 0,
    LQ_END = 1,         /* nothing (more) to give */
    LQ_EINVAL = -1,     /* the caller's text or arguments make no sense */
    LQ_ENOMEM = -2,
    LQ_EIO = -3,        /* the operating system refused; the text says what and why */
    LQ_EACCES = -4,     /* no right to read; the text names who has it */
    LQ_ENOENT = -5,     /* no such spool, message or file (any more) */
    LQ_EUNKNOWN = -6,   /* not a spool of a mail server that we know */
    LQ_EREFUSED = -7,   /* a guard says no: nothing was changed; the text says why and what to do */
    LQ_ENOSPC = -8,     /* no room; what was begun is consistent */
    LQ_EDAMAGED = -9,   /* a case, a packed case or a list of records is not what it should be */
};

/* Filled on failure only: one finished sentence, no newline. */
struct lq_error {
    enum lq_status status;
    char text[1024];
};

/*
 * Bytes with a length. p == NULL: no value. n == 0 with p: a known, empty value (the null sender).
 * Text of records is also NUL-terminated (p[n] == 0) but may hold NULs of its own.
 */
struct lq_str {
    const char *p;
    size_t n;
};

/*
 * The fields of the common record, in the order of the manual's table, mqtools-record(5), which
 * says what each means. Names as used in JSON, --fields and --sort come from lq_field_name().
 */
enum lq_field {
    LQ_HOST, LQ_MTA, LQ_SPOOL, LQ_QUEUE_NAME, LQ_QUEUE_ID, LQ_STATE,
    LQ_ARRIVAL_TIME, LQ_ARRIVAL_USEC, LQ_MESSAGE_SIZE, LQ_DATA_SIZE,
    LQ_SENDER, LQ_RECIPIENTS, LQ_RECIPIENTS_DONE,
    LQ_CLIENT_ADDRESS, LQ_CLIENT_PORT, LQ_CLIENT_NAME, LQ_HELO_NAME,
    LQ_PROTOCOL_NAME, LQ_AUTH_USER, LQ_AUTH_METHOD, LQ_LOCAL_USER, LQ_LOCAL_UID,
    LQ_ATTEMPTS, LQ_LAST_ATTEMPT, LQ_NEXT_ATTEMPT, LQ_FORCED_EXPIRE, LQ_BOUNCE_REASON,
    LQ_HOLD_REASON, LQ_REASON, LQ_REASON_CLASS,
    LQ_SUBJECT, LQ_FROM, LQ_TO, LQ_MESSAGE_ID, LQ_DATE, LQ_RECEIVED,
    LQ_ORIGIN_ADDRESS, LQ_ORIGIN_USER, LQ_ORIGIN_SCRIPT, LQ_ORIGIN_SOURCE, LQ_ORIGIN_TRUST,
    LQ_FLAGS, LQ_IDENTITY, LQ_PROBLEMS, LQ_FILES,
    /* Not a column of the record: the addresses of `recipients` alone, cheaper than the whole list. */
    LQ_RECIPIENT,
    /* Only for selecting: a header field of any name, and the text of the body. Records never hold them. */
    LQ_HEADER, LQ_BODY,
    LQ_FIELD_COUNT
};

#define LQ_FIELD_BIT(f) (UINT64_C(1) << (f))
/* Every column but data_size, which needs the whole body of every message. */
#define LQ_FIELDS_ALL ((LQ_FIELD_BIT(LQ_RECIPIENT) - 1) & ~LQ_FIELD_BIT(LQ_DATA_SIZE))

enum lq_type {
    LQ_TYPE_TEXT,       /* lq_record_text() */
    LQ_TYPE_NUMBER,     /* lq_record_number() */
    LQ_TYPE_BOOL,       /* lq_record_number(), 0 or 1 */
    LQ_TYPE_TEXTS,      /* a list: lq_record_text_at() */
    LQ_TYPE_RECIPIENTS, /* lq_record_recipients() */
    LQ_TYPE_HOPS        /* lq_record_hops() */
};

/* Whether a field has a value in this record. */
enum lq_presence {
    LQ_ABSENT,          /* the queue does not store it for this message: known */
    LQ_PRESENT,
    LQ_UNREAD           /* it could not be read, or its part of the message was not asked for */
};

/* A recipient still to be delivered to, or (recipients_done) one that is done. p == NULL: not stored. */
struct lq_recipient {
    struct lq_str address;      /* where it will go, RFC 5321 quoting */
    struct lq_str delay_reason;
    struct lq_str dsn_code;     /* "4.2.1" */
    struct lq_str orig_address; /* before aliasing, redirect or ORCPT, where different */
};

/* One Received header field, as text without comments' parentheses; time is 0 when unreadable. */
struct lq_hop {
    struct lq_str by, from, helo, address, with, id;
    int64_t time;               /* epoch seconds */
    struct lq_str trust;        /* "observed": a host that we believe wrote it; "claimed" */
};

struct lq_queue;
struct lq_filter;
struct lq_scan;
struct lq_record;
struct lq_spools;
struct lq_trust;
struct lq_domains;
struct lq_set;
struct lq_job;
struct lq_vault;
struct lq_case;
struct lq_log;

/** The library's version, "0.1.0". Static storage. */
LQ_API const char *lq_version(void);

/* ---- fields ------------------------------------------------------------------------------- */

/** The JSON name of a field ("queue_id"); NULL if f is not a field. Static storage. */
LQ_API const char *lq_field_name(enum lq_field f);

/** The type of a field, which decides the accessor. */
LQ_API enum lq_type lq_field_type(enum lq_field f);

/**
 * Find a field by its JSON name or an alias ("size", "client", "user", "id", "age").
 * LQ_OK and *out; LQ_EINVAL with a sentence that offers the nearest name.
 */
LQ_API int lq_field_find(enum lq_field *out, const char *name, struct lq_error *err);

/* ---- spools: where queues are --------------------------------------------------------------- */

/**
 * Look for the spools of this machine: ask postconf, exim and sendmail.cf, else try the usual places.
 * mta: NULL for all, or "exim", "postfix", "sendmail". The helper programs are run by absolute path, with a
 * clean environment and at most 5 seconds each. The list is the caller's: lq_spools_free().
 * LQ_OK (the list may be empty), LQ_EINVAL for an unknown mta, LQ_ENOMEM.
 */
LQ_API int lq_spools_find(struct lq_spools **out, const char *mta, struct lq_error *err);
LQ_API size_t lq_spools_count(const struct lq_spools *s);
/** Directory, MTA name and origin ("postconf", "exim -bP", "/etc/mail/sendmail.cf", "usual place") of entry i; they live as long as the list. */
LQ_API const char *lq_spools_dir(const struct lq_spools *s, size_t i);
LQ_API const char *lq_spools_mta(const struct lq_spools *s, size_t i);
LQ_API const char *lq_spools_origin(const struct lq_spools *s, size_t i);
LQ_API void lq_spools_free(struct lq_spools *s);

/**
 * Open a queue for reading. dir: the spool directory of an MTA, live, stopped, copied or mounted.
 * mta: NULL to recognise it by its shape. host: what records say as their host; NULL: this machine's
 * name when dir is this machine's own spool (a usual place), else absent.
 *
 * LQ_OK; LQ_ENOENT no such directory; LQ_EACCES; LQ_EUNKNOWN not recognised; LQ_EINVAL unknown mta; LQ_ENOMEM; LQ_EIO.
 */
LQ_API int lq_queue_open(struct lq_queue **out, const char *mta, const char *dir, const char *host,
                         struct lq_error *err);
/** Open entry i of the list as this machine's own spool: live, host this machine's name unless given. Errors as lq_queue_open(). */
LQ_API int lq_spools_open(struct lq_queue **out, const struct lq_spools *s, size_t i, const char *host,
                          struct lq_error *err);
/**
 * Records that mqgrep -j or lq_record_json() wrote, one a line, in place of a queue: a file, or "-" for standard input (which stays open). A scan
 * of it gives them in the order of the input, one line in memory at a time. What is not there is LQ_UNREAD where the record says so, or was made
 * of some fields only. Lines that are no records are troubles of the scan. There is no message behind such a record: lq_message_*() and lq_set_add()
 * answer LQ_EINVAL. A second scan needs an input that can be read again, a file; else LQ_EINVAL.
 * LQ_OK; LQ_ENOENT; LQ_EACCES; LQ_EINVAL a directory; LQ_EIO; LQ_ENOMEM.
 */
LQ_API int lq_records_open(struct lq_queue **out, const char *path, struct lq_error *err);
LQ_API bool lq_queue_is_records(const struct lq_queue *q);
/** "exim", "postfix" or "sendmail"; "records" for lq_records_open(). */
LQ_API const char *lq_queue_mta(const struct lq_queue *q);
LQ_API const char *lq_queue_dir(const struct lq_queue *q);
/** True when this is the machine's own spool: ages count from the clock, not from the last change. */
LQ_API bool lq_queue_live(const struct lq_queue *q);
/**
 * The time that ages of this queue's messages count from, in epoch seconds: the clock for a live spool, else the last time that
 * a file came into one of its directories or left it, as the last scan saw them (without a scan, this lists the queue).
 */
LQ_API int64_t lq_queue_now(struct lq_queue *q);
/**
 * Networks whose hosts are believed when their Received fields say where a message came from; for the origin fields and the trust of received
 * hops. lq_trust_add() takes an address, network, range or comma list. LQ_OK; LQ_EINVAL with a sentence (t is then as it was); LQ_ENOMEM.
 */
LQ_API int lq_trust_new(struct lq_trust **out, struct lq_error *err);
LQ_API int lq_trust_add(struct lq_trust *t, const char *networks, struct lq_error *err);
LQ_API void lq_trust_free(struct lq_trust *t);
/**
 * Believe these networks instead of those that the mail server's own settings name (Postfix's mynetworks, of a live queue). Loopback and, for a live
 * queue, this host's own addresses are believed in any case. t must outlive the queue and is not changed meanwhile; NULL: the default.
 */
LQ_API void lq_queue_trust(struct lq_queue *q, const struct lq_trust *t);
LQ_API void lq_queue_close(struct lq_queue *q);

/**
 * The domains that the server of this queue calls its own, as far as its settings name them in plain words: its programs and configuration files are asked,
 * its tables are not. Where nobody answers for this queue: this host's name. lq_domains_free(). LQ_OK, LQ_ENOMEM.
 */
LQ_API int lq_domains_ask(struct lq_domains **out, struct lq_queue *q, struct lq_error *err);
/** Whether the domain is among them, in any case; false says only that it is not known. */
LQ_API bool lq_domains_has(const struct lq_domains *d, struct lq_str domain);
/** Which settings they are, as a phrase for people. Static. */
LQ_API const char *lq_domains_source(const struct lq_domains *d);
LQ_API void lq_domains_free(struct lq_domains *d);

/* ---- selecting --------------------------------------------------------------------------------- */

/* What a filter can ask; the arguments are texts as in mqselect(7). */
enum lq_selector {
    LQ_SEL_SENDER, LQ_SEL_RECIPIENT, LQ_SEL_RECIPIENT_ALL, LQ_SEL_CLIENT, LQ_SEL_ORIGIN, LQ_SEL_USER, LQ_SEL_SUBJECT,
    LQ_SEL_HEADER,      /* "NAME:PATTERN"; repeats for one NAME OR, different ones AND */
    LQ_SEL_BODY,
    LQ_SEL_HELO, LQ_SEL_CLIENT_NAME, LQ_SEL_PROTOCOL, LQ_SEL_REASON, LQ_SEL_CLASS,
    LQ_SEL_SIZE, LQ_SEL_YOUNGER, LQ_SEL_OLDER, LQ_SEL_SINCE, LQ_SEL_UNTIL,
    LQ_SEL_RCPTS, LQ_SEL_ATTEMPTS,
    LQ_SEL_STATE, LQ_SEL_QUEUE,
    LQ_SEL_HELD, LQ_SEL_NOT_HELD, LQ_SEL_BOUNCES, LQ_SEL_LOCAL, LQ_SEL_DAMAGED,
    LQ_SEL_ID,
    LQ_SEL_COUNT
};

/** A filter that selects everything. Free with lq_filter_free(). LQ_OK, LQ_ENOMEM. */
LQ_API int lq_filter_new(struct lq_filter **out, struct lq_error *err);
/**
 * Narrow the filter: different selectors AND, the same selector again ORs where it names things
 * (sender, client, …) and is an error where it limits them (size, age, time, count). arg is copied; it
 * is NULL for the selectors without argument (held … damaged).
 * LQ_OK; LQ_EINVAL with a sentence for an empty argument, unknown word, bad network, pattern, unit or a
 * second limit: the filter is then unchanged and must not be used to act.
 */
LQ_API int lq_filter_add(struct lq_filter *f, enum lq_selector sel, const char *arg, struct lq_error *err);
/**
 * Narrow the filter by an expression (mqselect(7)): what was added before must hold, too. text is copied.
 * LQ_OK; LQ_EINVAL with a sentence, and in *at (may be NULL) the offset in text of the byte that the mistake is about: the filter is then
 * unchanged and must not be used to act. LQ_ENOMEM.
 */
LQ_API int lq_filter_expression(struct lq_filter *f, const char *text, size_t *at, struct lq_error *err);
/**
 * The filter as the text of one expression that selects the same, inverted or not; the caller's: free(). LQ_OK; LQ_EINVAL when it selects
 * everything, for which there is no expression; LQ_ENOMEM.
 */
LQ_API int lq_filter_text(const struct lq_filter *f, char **out, struct lq_error *err);
/* One line of many; depth: how far it is indented. */
typedef void lq_line_fn(void *ctx, unsigned depth, const char *line);
/** Tell in words what the filter selects. The words may hold whatever bytes its arguments held. LQ_OK, LQ_ENOMEM. */
LQ_API int lq_filter_explain(const struct lq_filter *f, lq_line_fn *tell, void *ctx, struct lq_error *err);
/* Parts of a message; the further down, the more it costs. */
enum lq_part {
    LQ_PART_NAME = 1,       /* the directory entry tells it */
    LQ_PART_CONTROL = 2,    /* envelope and header: Exim -H and -J, Postfix queue file, Sendmail qf */
    LQ_PART_SIZE = 4,       /* the other parts are looked at, not opened: Exim -D, Sendmail df */
    LQ_PART_LOG = 8,        /* Postfix defer and bounce logs, Exim message logs */
    LQ_PART_BODY = 16,      /* the whole message is read */
};
/** Which parts (enum lq_part) may have to be read of a message until the filter is decided. */
LQ_API unsigned lq_filter_parts(const struct lq_filter *f);
/** True when an age is asked: what is selected then depends on lq_scan_opts.now. */
LQ_API bool lq_filter_asks_now(const struct lq_filter *f);
/** Turn the whole filter round; what could not be read stays unselected. */
LQ_API void lq_filter_invert(struct lq_filter *f);
/** True when nothing was added: it selects every message. */
LQ_API bool lq_filter_empty(const struct lq_filter *f);
/** Fields that lq_filter_matches() looks at: LQ_FIELD_BIT()s for lq_scan_opts.fields. */
LQ_API uint64_t lq_filter_fields(const struct lq_filter *f);
/**
 * True if f selects this record of a scan, by what the scan read of it; false also where that cannot be said. now: where ages count from.
 * For putting several questions to one scan.
 */
LQ_API bool lq_filter_matches(const struct lq_filter *f, const struct lq_record *r, int64_t now);
/** True if f selects a message that has this value in a field of LQ_TYPE_TEXT, and in no other field any. */
LQ_API bool lq_filter_matches_text(const struct lq_filter *f, enum lq_field field, struct lq_str value);
LQ_API void lq_filter_free(struct lq_filter *f);

/* ---- scanning ------------------------------------------------------------------------------------ */

struct lq_scan_opts {
    size_t size;                        /* sizeof(struct lq_scan_opts), so that it can grow */
    const struct lq_filter *filter;     /* NULL: every message; must outlive the scan */
    uint64_t fields;                    /* LQ_FIELD_BIT()s that the caller will ask of each record */
    unsigned threads;                   /* 0: default (4); 1: no threads, the reference */
    int64_t now;                        /* ages count from here; 0: lq_queue_now() */
};

/**
 * List the queue's messages and begin to read them. q and the filter must outlive the scan. The scan keeps a descriptor open for
 * each directory of the queue; where the process may not have as many, its soft RLIMIT_NOFILE is raised to the hard one.
 * LQ_OK; LQ_EACCES, LQ_EIO when the queue itself cannot be listed; LQ_ENOMEM.
 */
LQ_API int lq_scan_begin(struct lq_scan **out, struct lq_queue *q, const struct lq_scan_opts *opts,
                         struct lq_error *err);
/**
 * Give the next selected message, in order of id (bytewise), then of place; the order never depends on threads.
 *
 * *rec belongs to the scan and lives until the next call on it. A damaged message is given too, with
 * its problems in LQ_PROBLEMS.
 * LQ_OK; LQ_END after the last one; LQ_ENOMEM; LQ_EIO.
 */
LQ_API int lq_scan_next(struct lq_scan *s, const struct lq_record **rec, struct lq_error *err);

/* Counts; whole once lq_scan_next() said LQ_END. */
struct lq_scan_stats {
    uint64_t listed;        /* messages found by name; where the filter names ids, those of them */
    uint64_t selected;
    uint64_t vanished;      /* gone between listing and reading, also at the second look */
    uint64_t undecided;     /* membership could not be decided: unreadable where the filter asked */
    uint64_t stopped;       /* of these: a regular expression took too long on one of its texts */
    uint64_t troubles;      /* directories and files that could not be read: lq_scan_trouble() */
};
LQ_API struct lq_scan_stats lq_scan_stats(const struct lq_scan *s);
/** Sentence i about a directory or file that could not be read (at most 100 are kept); NULL past the end. Lives as long as the scan. */
LQ_API const char *lq_scan_trouble(const struct lq_scan *s, size_t i);
/**
 * Go through the same listing once more with other options: the messages that opts->filter selects of those that the scan
 * found when it began; no directory is listed again. The counts begin anew. now 0: as before. After LQ_END only. Made for a
 * second look at a few of many messages. Errors as lq_scan_begin(); the scan is then still to be ended.
 */
LQ_API int lq_scan_again(struct lq_scan *s, const struct lq_scan_opts *opts, struct lq_error *err);
/** End the scan, also before its end. NULL is accepted, as by every _free, _end and _close here. */
LQ_API void lq_scan_end(struct lq_scan *s);

/* ---- records --------------------------------------------------------------------------------------- */

/** Whether the field has a value; for LQ_RECIPIENTS and other lists LQ_PRESENT means that the list is known. */
LQ_API enum lq_presence lq_record_has(const struct lq_record *r, enum lq_field f);
/** The text of a field of LQ_TYPE_TEXT; p == NULL unless present. Lives as long as the record. */
LQ_API struct lq_str lq_record_text(const struct lq_record *r, enum lq_field f);
/** The number of a field of LQ_TYPE_NUMBER or LQ_TYPE_BOOL; false unless present (*out untouched). */
LQ_API bool lq_record_number(const struct lq_record *r, enum lq_field f, int64_t *out);
/** Element i of a list field of LQ_TYPE_TEXTS; p == NULL past the end. */
LQ_API struct lq_str lq_record_text_at(const struct lq_record *r, enum lq_field f, size_t i);
/** The elements stored in LQ_RECIPIENTS or LQ_RECIPIENTS_DONE (at most 100,000); *n their number. */
LQ_API const struct lq_recipient *lq_record_recipients(const struct lq_record *r, enum lq_field f, size_t *n);
/** Recipients counted, also those beyond what is stored. */
LQ_API uint64_t lq_record_recipient_count(const struct lq_record *r, enum lq_field f);
LQ_API const struct lq_hop *lq_record_hops(const struct lq_record *r, size_t *n);
/**
 * The record as one JSON object (schema mqtools.record/1), without newline, of the given fields that are
 * present. "partial" says that they are fewer than LQ_FIELDS_ALL, "unread" names those that could not be read. The text belongs to the record and lives until the next call on this record or until it dies.
 * LQ_OK, LQ_ENOMEM.
 */
LQ_API int lq_record_json(const struct lq_record *r, uint64_t fields, struct lq_str *out, struct lq_error *err);

/* ---- the message itself ---------------------------------------------------------------------------- */

/* Receives bytes; a non-zero answer stops the writing, which then answers LQ_EIO. */
typedef int lq_write_fn(void *ctx, const void *p, size_t n);

/**
 * Write the message as it would be sent (RFC 5322, CRLF line ends): header, empty line, body.
 * rec: a record of a scan of q that is still alive; ask LQ_IDENTITY of that scan: files are opened anew, and when they changed
 * identity meanwhile, LQ_ENOENT. LQ_OK; LQ_EIO; LQ_EACCES; LQ_EINVAL when the file is too damaged to rebuild (what could be is written first).
 */
LQ_API int lq_message_eml(struct lq_queue *q, const struct lq_record *rec, lq_write_fn *write, void *ctx,
                          struct lq_error *err);
/** Write the header section only, as stored (LF line ends), at most 4 MiB. Errors as lq_message_eml(). */
LQ_API int lq_message_headers(struct lq_queue *q, const struct lq_record *rec, lq_write_fn *write, void *ctx,
                              struct lq_error *err);
/** Write the bytes of the message's i-th file (LQ_FILES). LQ_END past the last; else as lq_message_eml(). */
LQ_API int lq_message_raw(struct lq_queue *q, const struct lq_record *rec, size_t i, lq_write_fn *write, void *ctx,
                          struct lq_error *err);

/* ---- a set: messages fixed at one moment ----------------------------------------------------------- */

/* What lq_scan_opts.fields must contain (beside what the caller shows) for records that go into a set. */
#define LQ_FIELDS_SET (LQ_FIELD_BIT(LQ_IDENTITY) | LQ_FIELD_BIT(LQ_STATE) | LQ_FIELD_BIT(LQ_MESSAGE_SIZE))

/** An empty set. It keeps ids, files and what identifies each message, not records: about 300 bytes a message. */
LQ_API int lq_set_new(struct lq_set **out, struct lq_error *err);
/**
 * Add a record of a scan of q, in the order of the calls. q must stay open as long as the set lives. Any state may be added; what may not be
 * touched is left alone, and said, when it is acted on. LQ_OK, LQ_ENOMEM.
 */
LQ_API int lq_set_add(struct lq_set *s, struct lq_queue *q, const struct lq_record *rec, struct lq_error *err);
LQ_API size_t lq_set_count(const struct lq_set *s);
/** Sum of the sizes of the files, as they were. */
LQ_API uint64_t lq_set_bytes(const struct lq_set *s);
LQ_API void lq_set_free(struct lq_set *s);

/* ---- acting on a set --------------------------------------------------------------------------------- */

enum lq_verb {
    LQ_TAKE,            /* move into a case */
    LQ_HOLD,            /* in place, the server's own way */
    LQ_RELEASE,
    LQ_PURGE,           /* delete; with undo: through a case */
    LQ_RESTORE,         /* the set is of queues of cases: lq_case_queue() */
    LQ_BOUNCE           /* let the server return them to their senders, who get non-delivery reports; not what has no sender. Runs the server's own programs */
};

struct lq_job_opts {
    size_t size;                        /* sizeof(struct lq_job_opts) */
    enum lq_verb verb;
    const char *vault;                  /* directory; NULL: the default one of each spool, lq_vault_default() */
    const char *why, *command;          /* recorded */
    const char *hold_reason;            /* Sendmail stores it; NULL: a standard one */
    const struct lq_filter *filter;     /* a message that changed since it was selected is asked again, under the lock; NULL: by identity alone */
    int64_t now;                        /* what the filter's ages count from, as at the selection */
    bool undo;                          /* LQ_PURGE: into a packed case first */
    bool active;                        /* also messages in Postfix's active queue */
    bool again;                         /* LQ_RESTORE: also what went back before, and out of copies */
    bool nfs_ok;
    bool dry;                           /* answer what would happen; nothing is written, locked or made, but the vault must be one that could be made or used */
    unsigned batch;                     /* messages between two syncs; 0: as many as make syncing cheap, 512 for each directory touched, at most 8,192 */
};

/**
 * Prepare to act: find the vault, refuse what a guard refuses, write down the intent. The calling process, if root, works as the
 * queue's owner inside lq_job_next() (effective user, group and groups change for the whole process, so: one job at a time and no
 * other threads at work), and is root again when it answers.
 * LQ_OK; LQ_EREFUSED (an unfinished job, NFS, no room, a vault inside a queue, …); LQ_EACCES; LQ_ENOSPC; LQ_EIO; LQ_EINVAL; LQ_ENOMEM.
 */
LQ_API int lq_job_begin(struct lq_job **out, const struct lq_set *set, const struct lq_job_opts *opts, struct lq_error *err);

enum lq_result { LQ_DONE, LQ_SKIPPED, LQ_FAILED };

struct lq_outcome {
    size_t index;                       /* in the set; SIZE_MAX: LQ_RESTORE: not in it, but missing from the case */
    enum lq_result result;
    const char *id, *spool, *mta;
    const char *state;                  /* when it was selected */
    const char *text;                   /* why it was skipped or failed, or what to know of it (NULL: nothing) */
    const char *new_id;                 /* LQ_RESTORE: where it differs; else NULL */
    bool already;                       /* skipped, because nothing is left to do: LQ_HOLD of what is held, LQ_RELEASE of what is not */
};

/**
 * The next message's outcome, in the order of the set. Messages are worked on in batches: when this answers, the message is where it belongs, and synced.
 * LQ_RESTORE of all that is in a sealed case: after them, as skipped, those that are missing from it.
 * *out lives until the next call. Stop after any call: lq_job_end() finishes what was begun.
 * LQ_OK; LQ_END after the last; LQ_ENOSPC, LQ_EIO, LQ_ENOMEM: the job cannot go on, messages not yet answered for are untouched.
 */
LQ_API int lq_job_next(struct lq_job *job, const struct lq_outcome **out, struct lq_error *err);
/** "20261122T031415Z-a1b2"; NULL when dry. */
LQ_API const char *lq_job_name(const struct lq_job *job);
/** Directories of the cases that the job fills, in the order of their spools; NULL past the end. */
LQ_API const char *lq_job_case(const struct lq_job *job, size_t i);
/** What the server of the i-th queue of the job does by itself to messages that are held: a sentence, "" for nothing. LQ_OK; LQ_END past the last queue. */
LQ_API int lq_job_warning(const struct lq_job *job, size_t i, char out[256]);
/** Begin no further batch: lq_job_next() still answers for the messages that were worked on, then LQ_END. For who is interrupted; a signal handler may call it. */
LQ_API void lq_job_stop(struct lq_job *job);
/**
 * Finish: let go of what is claimed, write the result, seal its cases (records, hashes; for undo: pack). job is gone afterwards whatever
 * it answers. LQ_OK; LQ_ENOSPC, LQ_EIO: the messages are safe, but a case could not be sealed: the text says which.
 */
LQ_API int lq_job_end(struct lq_job *job, struct lq_error *err);

/* ---- vaults and cases ---------------------------------------------------------------------------------- */

/** The vault for this queue when none is named: /var/spool/mqtools on the same file system, else a directory on the spool's own mount. The text is the caller's: free(). */
LQ_API int lq_vault_default(char **out, struct lq_queue *q, struct lq_error *err);
/** Open an existing vault. LQ_OK; LQ_ENOENT; LQ_EACCES; LQ_EREFUSED if it is not safely root's (or our own); LQ_ENOMEM. */
LQ_API int lq_vault_open(struct lq_vault **out, const char *dir, struct lq_error *err);
LQ_API const char *lq_vault_dir(const struct lq_vault *v);
LQ_API void lq_vault_close(struct lq_vault *v);

/* A message that a job did what it should with. identity: NULL if its file knows none. The texts live during the call. */
typedef void lq_job_message_fn(void *ctx, const char *spool, const char *id, const char *identity);
/**
 * Tell the messages that a job of this vault did what it should with, from the job's own file, and what that was ("hold"). LQ_OK; LQ_ENOENT: the vault knows
 * no such job; LQ_EDAMAGED: a line is none, and what was told before is not to be used; LQ_EACCES, LQ_EIO, LQ_ENOMEM.
 */
LQ_API int lq_vault_job(struct lq_vault *v, const char *job, char verb[16], lq_job_message_fn *each, void *ctx, struct lq_error *err);

/** Names of all cases, oldest first; *n of them. The array is the caller's: lq_names_free(). */
LQ_API int lq_vault_cases(struct lq_vault *v, char ***names, size_t *n, struct lq_error *err);
LQ_API void lq_names_free(char **names, size_t n);

/* What happened to the messages of a case: only moved and purged ones can go back. */
enum lq_custody { LQ_MOVED, LQ_PURGED, LQ_COPY };

struct lq_case_info {
    const char *name, *path;            /* path: the directory or the packed file */
    enum lq_custody custody;
    bool packed, sealed;
    bool redacted;                      /* evidence without the messages themselves: lq_case_queue() refuses */
    bool unfinished;                    /* its job was interrupted: `recover` */
    bool elsewhere;                     /* in no vault, or in one that did not make it: counts as a copy, whatever it says of itself */
    bool strangers;                     /* a directory of neither root nor the caller: nothing of it is put back */
    const char *host, *why, *command, *verb;    /* NULL where not known */
    int64_t created;                    /* epoch seconds */
    uint64_t messages, bytes;           /* when it was filled */
    uint64_t restored;                  /* of them went back */
    size_t spools;
};

/** Open a case of a vault by its name, or (v NULL) a case directory or packed file anywhere by its path. */
LQ_API int lq_case_open(struct lq_case **out, struct lq_vault *v, const char *name, struct lq_error *err);
/** Lives as long as the case. */
LQ_API const struct lq_case_info *lq_case_info(const struct lq_case *c);
/**
 * The i-th spool's messages in the case as a queue to scan: records say the host and spool that they came from. Belongs to the case. A packed case is unpacked
 * into its vault for that (LQ_ENOSPC), and removed again by lq_case_close().
 */
LQ_API int lq_case_queue(struct lq_queue **out, struct lq_case *c, size_t i, struct lq_error *err);
/**
 * Whether a message of a case went back to its queue, by the vault's ledger: rec is one that a scan of a queue of lq_case_queue() gives now. For packed
 * cases, which keep what went; of open ones it is not there any more. false also where there is no ledger. One thread for each case.
 */
LQ_API bool lq_case_went_back(const struct lq_queue *queue, const struct lq_record *rec);
/** Write records.ndjson, manifests and bag-info.txt; the case is sealed then. LQ_EREFUSED if it is sealed or its job runs. */
LQ_API int lq_case_seal(struct lq_case *c, struct lq_error *err);

/* One finding about a case; sentence without newline. */
typedef void lq_finding_fn(void *ctx, const char *sentence);
/** Check every hash, size and name, the journal's chain, and that nothing is there that no manifest names. Messages that went back are no finding. LQ_OK: all well; LQ_EDAMAGED: findings were told; LQ_EIO … */
LQ_API int lq_case_verify(struct lq_case *c, lq_finding_fn *tell, void *ctx, struct lq_error *err);
/** Delete the case for good. why is recorded in the vault's jobs. */
LQ_API int lq_case_drop(struct lq_case *c, const char *why, const char *command, struct lq_error *err);
LQ_API void lq_case_close(struct lq_case *c);

struct lq_pack_opts {
    size_t size;
    const char *output;                 /* new file; .tar.gz, .tgz, .tar.zst: its end decides. Never overwritten */
    const char *why, *command;
    const char *reporter;               /* "Example Ltd <abuse@example.com>" or the address alone: xarf.json needs it. NULL: nobody */
    const struct lq_trust *trust;       /* of a case: relays that no report is about; of a set, its queues know. NULL: loopback alone */
    struct lq_log *log;                 /* NULL: none; else files were added and nothing was asked: the messages' lines go into logs/. Not with redact */
    bool redact;                        /* no queue files, no messages, nothing that names people; why and reporter stay as they are */
    lq_finding_fn *tell;                /* sentences for who packs, such as why there is no xarf.json. NULL: nobody asks */
    void *tell_ctx;
    bool (*stopped)(void);              /* asked again and again; true: give up, leave no archive. NULL: nobody interrupts */
};
/**
 * An evidence tarball of a case, or (c NULL) of a set, straight from the queues, which are only read. Custody: copy. LQ_OK; LQ_EINVAL: no name for
 * an archive, a reporter that is none; LQ_EREFUSED: output exists, the case is a redacted pack, stopped() said so; LQ_ENOSPC …
 */
LQ_API int lq_pack(struct lq_case *c, const struct lq_set *set, const struct lq_pack_opts *opts, struct lq_error *err);

/** Finish or undo what crashed jobs left in this vault: after that every message is whole, in one place. tell: what was found and done. Jobs that live are left alone. */
LQ_API int lq_vault_recover(struct lq_vault *v, lq_finding_fn *tell, void *ctx, struct lq_error *err);
/** Delete undo cases (custody purged) made before `before`; never one that holds taken mail. */
LQ_API int lq_vault_expire(struct lq_vault *v, int64_t before, bool dry, lq_finding_fn *tell, void *ctx, struct lq_error *err);

/* ---- the mail log beside the queue ------------------------------------------------------------------- */

/* A line of a log. */
struct lq_log_line {
    const char *file;                   /* as it was named */
    uint64_t number;                    /* in its file, from 1 */
    bool has_time, cut;                 /* cut: the line was longer than what is kept of it, 64 KiB */
    int64_t time;                       /* epoch seconds; of a stamp without zone by this process's TZ, without year by the file's age */
    struct lq_str text;                 /* the line as it is there, anybody's bytes */
};

/**
 * A reader of mail logs: first say which messages are asked for and in which files, then read, then ask for their lines.
 * Memory: 60 bytes a message, 40 a line that is found; their texts beyond 64 MiB go to a nameless file in TMPDIR (/var/tmp). LQ_OK, LQ_ENOMEM.
 */
LQ_API int lq_log_new(struct lq_log **out, struct lq_error *err);
/**
 * Ask for a message of an MTA by its id. arrival: epoch seconds, NULL if not known; it tells messages apart that had the same id, as
 * short ones of Postfix may. Asking twice is asking once. LQ_OK; LQ_EINVAL: no such MTA; LQ_ENOMEM.
 */
LQ_API int lq_log_want(struct lq_log *log, const char *mta, struct lq_str id, const int64_t *arrival, struct lq_error *err);
/** Add a file: plain or gzip, whatever its name is; "-" is standard input. LQ_OK, LQ_ENOMEM. */
LQ_API int lq_log_add_file(struct lq_log *log, const char *path, struct lq_error *err);
/**
 * Read the files once, each as a stream. Files whose first line has a time are read in the order of these times, if all of them
 * have one and can be read twice; else in the order given. What cannot be read is a trouble, and what was found before it stays.
 * LQ_OK, LQ_ENOMEM.
 */
LQ_API int lq_log_read(struct lq_log *log, struct lq_error *err);
/** Sentence i about a file that could not be read to its end; NULL past the last. */
LQ_API const char *lq_log_trouble(const struct lq_log *log, size_t i);
/** Sentence i about lines that were left out because there are too many; NULL past the last. */
LQ_API const char *lq_log_note(const struct lq_log *log, size_t i);
/**
 * Gather the lines of a message: those of its id, and those of the connection that brought it; *n of them. They stand for lq_log_line()
 * and lq_log_json() until the next call of this or of lq_log_all(). LQ_OK; LQ_END: it was not asked for; LQ_ENOMEM.
 */
LQ_API int lq_log_message(struct lq_log *log, const char *mta, struct lq_str id, size_t *n, struct lq_error *err);
/** Gather the lines of all messages, each line once, in the order of the files. LQ_OK, LQ_ENOMEM. */
LQ_API int lq_log_all(struct lq_log *log, size_t *n, struct lq_error *err);
/** Line i of what was gathered; its text lives until the next call with this log. False past the last. */
LQ_API bool lq_log_line(struct lq_log *log, size_t i, struct lq_log_line *out);
/**
 * A field that the record does not have and the gathered lines of this message tell, as text: LQ_AUTH_USER, LQ_AUTH_METHOD, LQ_ATTEMPTS. p ==
 * NULL otherwise. Lives until the next call with this log.
 */
LQ_API struct lq_str lq_log_field(struct lq_log *log, const struct lq_record *rec, enum lq_field f);
/**
 * Members for the JSON object of rec, without braces: "log_fields", if there are any, and "log". Lives until the next call with this log.
 * LQ_OK, LQ_ENOMEM.
 */
LQ_API int lq_log_json(struct lq_log *log, const struct lq_record *rec, struct lq_str *out, struct lq_error *err);
LQ_API void lq_log_free(struct lq_log *log);

/* ---- words that commands share with the library ----------------------------------------------------- */

/** The domain of an address: after the last @ outside quotes; n == 0 without one, p == NULL for none. A view into a. */
LQ_API struct lq_str lq_address_domain(struct lq_str a);
/** The network of an address in text, RFC 5952 ("203.0.113.0/24"), into out; false if addr is not an address. */
LQ_API bool lq_address_network(struct lq_str addr, unsigned prefix4, unsigned prefix6, char out[64]);
/** Parse a time: epoch seconds or ISO 8601 (no zone: local time). LQ_OK, LQ_EINVAL. */
LQ_API int lq_time_parse(int64_t *out, const char *text, struct lq_error *err);

#ifdef __cplusplus
}
#endif
#endif
