/*
 * The selection and queue options that all commands share: mqselect(7) as option rows. From them
 * come opened queues, one filter, and a walk over the selected messages of all queues.
 */
#ifndef SELECT_H
#define SELECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf.h"
#include "ids.h"
#include "libqueue.h"
#include "opts.h"
#include "print.h"

/* A selecting option as it was given. */
struct pick {
    const struct opt *opt;
    const char *value;
    const char *expression;     /* of -e and --use: what it adds to the filter; NULL: opt->value says */
};

struct word_list {
    const char **items;
    size_t n;
};

/* A queue that was opened. */
struct taken {
    struct lq_queue *queue;
    int64_t now;                /* ages count from here; 0: nobody asked yet */
    bool lent;                  /* of a case, which closes it */
};

struct selection {
    struct lq_filter *filter;
    struct pick *picks;
    size_t pick_count;
    struct ids ids;
    bool inverted;              /* of the whole selection, ids included */
    struct word_list spools, mtas;
    struct word_list from;      /* records, in place of queues */
    const char *host;
    struct lq_trust *trust;     /* NULL: the default */
    struct word_list trusted;   /* what it is made of */
    unsigned long threads;
    bool fixed_now;
    int64_t now;
    bool ages_said;
    const char *config;         /* instead of the usual file of defaults */
    struct conf conf;
    const char *save;           /* keep the selection under this name */
    bool explain;
    char **used;                /* texts of kept ones */
    size_t used_count;
    struct taken *queues;
    size_t queue_count;
};

extern const struct opt select_options[];   /* offsets in struct selection */
/* --from, for commands that only read; those that act take it as a list. */
extern const struct opt select_from_options[];

/* Before opts_parse(). */
void select_begin(struct selection *s);
/*
 * After opts_parse(): take what mqtools.conf says where the command line says nothing. OPTS_WRONG after saying which line of it is
 * not understood.
 */
enum opts_result select_configure(struct selection *s);
/* An argument that is no option: an id, or "-" for ids on standard input. For opts_program.operand. */
int select_operand(struct selection *s, const char *word, struct lq_error *err);
/*
 * After opts_parse(): finish the filter and open the queues, saying on standard error which were
 * found. What cannot be opened is reported; false when nothing is left to look at.
 */
bool select_open(struct selection *s);
/* True when records come from standard input. */
bool select_from_stdin(const struct selection *s);
/* Only finish the filter, where the queues come from select_lend(). False after saying what is wrong. */
bool select_finish(struct selection *s);
/* Look at this queue instead of, or beside, those of the machine; whoever lends it closes it after select_end(). */
void select_lend(struct selection *s, struct lq_queue *queue);
/* Close the queues, keep the rest. */
void select_close(struct selection *s);
/* True when an option or an id leaves something out. */
bool select_narrows(const struct selection *s);
/* Where ages of queue i count from. Of a spool that stands still this looks at all its files, once. */
int64_t select_now(struct selection *s, size_t i);
/*
 * Say where ages count from in spools that stand still, once; for commands that show ages. A selection
 * that asks for ages has it said by select_open().
 */
void select_say_ages(struct selection *s);
void select_end(struct selection *s);

/*
 * After nothing was selected: where an exact pattern would select messages as a substring, say so with the
 * form to type.
 */
void select_hint(struct selection *s);

/*
 * Append to t a command line that selects the same messages as s now does, for adding more options:
 * "mqgrep --spool=/x -q deferred". False when there is none that stays true or is printable ASCII.
 */
bool select_command(const struct selection *s, const char *command, struct text *t);
/* True when a selecting option of this kind was given. */
bool select_has(const struct selection *s, enum lq_selector sel);
/* How many messages were selected if patterns of `from` were patterns of `to`; reads the queues once more. */
uint64_t select_count_as(struct selection *s, enum lq_selector from, enum lq_selector to);

/* --- walking --- */

/* All selected messages of all queues, queue by queue. Set the upper part, zero the rest. */
struct walk {
    struct selection *sel;
    const struct lq_filter *filter;     /* usually sel->filter */
    uint64_t fields;
    bool quiet;                         /* a look aside: nothing is reported */
    bool missing_told;                  /* whoever walks says which ids are not in the queue */

    size_t index;                       /* the queue of the current record: sel->queues[index] */
    struct lq_scan *scan;
    struct lq_scan **kept;              /* one a queue, for the caller to end: the scans that came to their end; NULL: they are ended */
    uint64_t selected, vanished, undecided, stopped;
    size_t failed;                      /* queues that could not be listed at all */
};

/* LQ_OK and the next record, LQ_END after the last one. What cannot be read is reported on the way. */
int walk_next(struct walk *w, const struct lq_record **rec);
/* After the end: whether any queue could be listed, so that "none" is an answer. */
bool walk_saw_any(const struct walk *w);
/* After the end: the ids that are not in the queue, one by one from *i = 0; NULL after the last, or where options could have left them out. */
const char *walk_missing(const struct walk *w, size_t *i);
/* After the end, or instead of it: says what vanished or stayed undecided, and ids that are not in the queue. */
void walk_end(struct walk *w);

#endif
