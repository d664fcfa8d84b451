/*
 * What the two commands that change queues share: the options of acting, the guards, the set that is fixed before anything is done,
 * the question, and how it ends. A command says what is to be done and what it is called; run.c does it.
 */
#ifndef ACTING_H
#define ACTING_H

#include <stdbool.h>
#include <stdint.h>

#include "count.h"
#include "list_from.h"
#include "opts.h"
#include "plan.h"
#include "select.h"

/* Beside those of report.h. */
enum { EXIT_PARTLY = 3, EXIT_INTERRUPTED = 130 };

/* More of what came back held is told by its number, not by its ids. */
enum { HELD_NAMED = 20 };

/* How sure somebody must be before it is done. */
enum asking { ASK_YES, ASK_NUMBER };

struct acting {
    /* What the command says. */
    enum lq_verb verb;
    const char *program;        /* what is typed: "mqquarantine take" */
    const char *word;           /* "take" */
    const char *done_word;      /* "taken" */
    enum asking asking;
    bool undo;                  /* LQ_PURGE: through a case */
    bool lent;                  /* the queues are those of cases; the whole case is a selection */

    /* Options. */
    struct selection sel;
    struct list_from from;
    const char *from_path;
    bool all, dry, yes, json, each, active, nfs_ok, trust_ids, again, block;
    unsigned long expect, max, limit;   /* 0: not given */
    unsigned long rate;         /* messages a second; 0: as fast as it goes */
    unsigned long wait;         /* --for, in seconds */
    const char *why, *vault, *hold_reason;

    /* Its own. */
    struct text command;        /* the command line as it could be typed again */
    struct counter seen;        /* every message that was in a set so far, by spool, id and identity */
    struct counter left;        /* by spool and id, how often a message was skipped; with --for some are tried again */
    uint32_t left_count;
    bool again_now;             /* in this round */
    struct plan plan;
    struct lq_set *set;
    uint64_t matched;           /* also those beyond --max-count */
    uint64_t done, skipped, failed;
    uint64_t already;           /* held, or not held, before; neither skipped nor failed */
    uint64_t stayed;            /* in Postfix's active queue */
    uint64_t later;             /* arrived since, and match */
    struct text names;          /* of the jobs, for the last line, with blanks between */
    struct text where;          /* the vault that has the case of the first */
    struct text held_spools;    /* LQ_RESTORE: of what came back held, as options */
    struct text held_ids;       /* its ids, as words */
    uint64_t held;
    uint64_t went;              /* LQ_RESTORE: selected, but back already */
    uint64_t went_all;          /* of the whole cases */
    bool refused;               /* by a guard, or by who was asked */
    bool complete;              /* what was asked for is there: a signal came too late */
    bool any;                   /* some message was selected */
    bool own_now;               /* ages count from a time that is ours to move on */
};

extern const struct opt acting_options[];           /* offsets in struct acting; the selection's are among them */
extern const struct opt acting_wait_options[];      /* for take and hold */

/* Before opts_parse(); keeps the command line for the record, and catches what would end the program half way. */
void acting_begin(struct acting *a, int argc, char **argv);
/* After opts_parse(): select_configure(), and the vault that the file names. */
enum opts_result acting_configure(struct acting *a);
/* After opts_parse(): refuse what needs no look at a queue. False after saying why. */
bool acting_guard(struct acting *a);
/* Fix the set, show it, ask, do it: to the queues of the selection, which are open. Until --for has passed. */
void acting_run(struct acting *a);
/* Only fix the set and show the plan. False when nothing is selected or a guard refused. */
bool acting_gather(struct acting *a);
/*
 * Ask on the terminal. number: what is to be typed; 0: yes or no. True where --yes or --expect answered it before. False after saying why
 * it is refused.
 */
bool acting_ask(struct acting *a, const char *question, uint64_t number);
/* True for the name that a job and its case have: 20261122T031415Z-a1b2. */
bool acting_is_job(const char *word);
/* Text of the plan: to standard output, to standard error with -j, to both where somebody is asked who would not see it. */
void acting_show(const struct acting *a, const struct text *t);
/* The end of the command: the exit status. */
int acting_end(struct acting *a);

/* A message was skipped: with --for it may be tried again. */
void acting_skipped(struct acting *a, const char *spool, const char *id);
/* True once SIGINT, SIGTERM or SIGHUP came. */
bool acting_interrupted(void);
/* Wait, at most until such a signal comes. */
void acting_sleep(double seconds);

#endif
