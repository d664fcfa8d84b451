/* What queue.c, listing.c, reading.c, filter.c, scan.c and message.c share. */
#ifndef ENGINE_H
#define ENGINE_H

#include "backend.h"
#include "origin.h"
#include "pattern.h"

struct lq_queue {
    const struct lq_backend *backend;
    char *root;
    int fd;
    char *host;                 /* NULL: not known */
    bool live;
    int64_t now;                /* last change of a spool that is not live; noted by each listing, 0 before the first */
    char *origin;               /* what records say as their spool: of a case, where its messages came from. NULL: root */
    struct lq_case *in_case;    /* the case whose data/<n>-<mta> this is, and n; NULL: a spool */
    size_t case_spool;
    struct trust trust;
    bool trust_learnt;          /* what this host knows of itself was asked */
    struct ndjson *records;     /* lines of JSON in place of all that: no backend, fd -1, root is the input's name. NULL: a directory */
};

/* --- queue.c --- */

/* The back end whose queue an open directory looks like; NULL: none. */
const struct lq_backend *queue_recognise(int fd);
const struct lq_backend *queue_backend(const char *mta);
/* A queue over an open directory, which becomes the queue's own; host and origin may be NULL. NULL without memory: fd stays the caller's. */
struct lq_queue *queue_over(const struct lq_backend *backend, int fd, const char *root, const char *host, const char *origin);

/* Before origins are asked of a live queue: this host's own addresses, and the networks of its mail server. Once; asks a program. */
void queue_learn_trust(struct lq_queue *q);

/* A name that was probably meant. Begin with distance UINT_MAX and hold all names against what was typed. */
struct nearest {
    unsigned distance;
    char name[40];
};

/* words: one or more, with blanks between. */
void nearest_name(struct nearest *best, const char *name, const char *words);
/* All fields of the record and their aliases. */
void nearest_field(struct nearest *best, const char *name);
/* The name, if it is near enough to be the one that was meant, else NULL. */
const char *nearest_hint(const struct nearest *best, const char *name);
/* LQ_EINVAL with the sentence. */
int unknown_field(const struct nearest *best, const char *name, struct lq_error *err);

/* --- listing.c: every name once, sorted; troubles; locks --- */

struct listing;

/*
 * List the queue anew into *sp, which stays where it is and is emptied by listing_end(). Names whose id the filter (NULL: none) rules
 * out are passed over: a few ids of a full queue need no memory and no sorting.
 */
int listing_begin(struct spool *sp, struct lq_queue *q, unsigned sections, const struct lq_filter *filter, struct lq_error *err);
/* The same by so many threads side by side; what is listed does not depend on them. */
int listing_begin_threads(struct spool *sp, struct lq_queue *q, unsigned sections, const struct lq_filter *filter, unsigned threads,
                          struct lq_error *err);
/* Only its directories, opened, those of logs, too; no message is listed. Who acts finds files by name. */
int listing_dirs(struct spool *sp, struct lq_queue *q, struct lq_error *err);
/* Keep what the filter does not rule out, and name logs for it if sections ask for them, without listing directories again. */
int listing_narrow(struct spool *sp, unsigned sections, const struct lq_filter *filter, struct lq_error *err);
void listing_end(struct spool *sp);
/* Every name that list() gave, also those that belong to no message, sorted by id. */
const struct entry *listing_entries(const struct spool *sp, size_t *n);
size_t listing_count(const struct spool *sp);
const struct ref *listing_ref(const struct spool *sp, size_t i);
/* True when names may be missing: a directory could not be read. What is no directory of ours (a stranger's link) is none. */
bool listing_unread(const struct spool *sp);
uint64_t listing_troubles(const struct spool *sp);
const char *listing_trouble(const struct spool *sp, size_t i);
/* Put the troubles in order; once nobody adds any. */
void listing_settle(struct spool *sp);

/* True if some process held any lock, also one for reading, as spool_locked(). */
bool listing_any_lock(const struct spool *sp, dev_t dev, ino_t ino);
/* Raise the soft limit of open files to the hard one; false when it was there. */
bool listing_more_files(void);

/* --- reading.c: one message, section by section --- */

void reading_init(struct reading *rd, struct spool *sp);
void reading_done(struct reading *rd);
/* Begin a message; nothing is opened. */
void reading_begin(struct reading *rd, const struct ref *ref, struct lq_record *rec, uint64_t want);
/* Read these sections unless read; false when the message vanished (looked up again once, in vain). */
bool reading_sections(struct reading *rd, unsigned sections);
/* Of the sections that a filter still needs, the one to read first, the cheapest: it may decide, above all without the body. */
unsigned reading_first(unsigned need);
/* Close files and let go of buffers; the record stays. */
void reading_end(struct reading *rd);

/* --- message.c --- */

/*
 * The message being read (its control section was), as it would be sent, CRLF line ends. 0; positive: damaged, what could be was written; negative:
 * what write answered.
 */
int message_body(struct reading *rd, lq_write_fn *write, void *ctx);

/* --- filter.c --- */

enum tri { TRI_NO, TRI_YES, TRI_UNKNOWN };

struct filter_state {           /* per thread */
    struct pattern_scratch scratch;
    int64_t now;
    bool stopped;               /* set when a regular expression ran into its limit; never cleared here */
};

/* Fields that the filter's leaves look at. */
uint64_t filter_fields(const struct lq_filter *f);
/*
 * Decide with what the record holds. TRI_UNKNOWN with *need != 0: read those sections and ask again; with *need == 0 the
 * message cannot be decided.
 */
/* False when no message of this id can be selected. */
bool filter_may_have(const struct lq_filter *f, const char *id, size_t n);
enum tri filter_eval(const struct lq_filter *f, const struct lq_record *r, struct filter_state *state, unsigned *need);

/* Sections that must be read so that all these fields are known. */
unsigned fields_sections(uint64_t fields);

#endif
