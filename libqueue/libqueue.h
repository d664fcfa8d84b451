/*
 * libqueue: one record for every message in an Exim, Postfix or Sendmail queue.
 *
 * The library only reads: it opens queue files with O_RDONLY, takes no lock, and never prints or
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
    LQ_FLAGS, LQ_IDENTITY, LQ_PROBLEMS, LQ_FILES,
    /* Not a column of the record: the addresses of `recipients` alone, cheaper than the whole list. */
    LQ_RECIPIENT,
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
};

struct lq_queue;
struct lq_filter;
struct lq_scan;
struct lq_record;
struct lq_spools;

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
LQ_API const char *lq_queue_mta(const struct lq_queue *q);
LQ_API const char *lq_queue_dir(const struct lq_queue *q);
/** True when this is the machine's own spool: ages count from the clock, not from the last change. */
LQ_API bool lq_queue_live(const struct lq_queue *q);
/**
 * The time that ages of this queue's messages count from, in epoch seconds: the clock for a live spool, else the last time that
 * a file came into one of its directories or left it, as the last scan saw them (without a scan, this lists the queue).
 */
LQ_API int64_t lq_queue_now(struct lq_queue *q);
LQ_API void lq_queue_close(struct lq_queue *q);

/* ---- selecting --------------------------------------------------------------------------------- */

/* What a filter can ask; the arguments are texts as in mqselect(7). */
enum lq_selector {
    LQ_SEL_SENDER, LQ_SEL_RECIPIENT, LQ_SEL_RECIPIENT_ALL, LQ_SEL_CLIENT, LQ_SEL_USER, LQ_SEL_SUBJECT,
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
/** Turn the whole filter round; what could not be read stays unselected. */
LQ_API void lq_filter_invert(struct lq_filter *f);
/** True when nothing was added: it selects every message. */
LQ_API bool lq_filter_empty(const struct lq_filter *f);
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
 * present. The text belongs to the record and lives until the next call on this record or until it dies.
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
