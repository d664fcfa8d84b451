/*
 * The two sides of a spool that a crashed job left in between, its queue and its place in a case, and what is where. recover_files.c
 * puts every message on one side; recover.c knows jobs.
 */
#ifndef RECOVER_H
#define RECOVER_H

#include "act.h"

struct pair {
    struct lq_vault *vault;
    struct lq_case *c;
    size_t number;              /* of the spool in the case */
    const char *mark;           /* of the job's own names */
    struct who who;
    uid_t uid;
    gid_t gid;
    struct lq_queue *home, *kept;       /* kept: the case's; not ours to close */
    struct spool home_sp, kept_sp;
    bool home_listed, kept_listed;
    struct ledger *ledger;      /* of a restore; else NULL */
    size_t in_case, in_queue;   /* messages that were put right, by where they are now */
    size_t leftover;            /* files of no message any more */
    size_t unclear;             /* ids that two messages have */
    int error;                  /* the first that happened */
    char at[600];               /* where */
};

/* A job that filled, or emptied, an open case: every message to one side. */
void pair_settle(struct pair *p);
/* Copies that were on their way into the queue out of any case: they go, and the ledger's line with them. */
void pair_drop_copies(struct pair *p);
/* Control files that were being written anew, and keys in two places of a queue: for hold (on) and release. */
void pair_settle_hold(struct pair *p, bool on);

/* --- recover_purge.c --- */

/* Bodies without a control file that a job (its file's descriptor) was deleting from this spool. */
int recover_bodies(int job, const char *mta, const char *spool, size_t *removed, struct lq_error *err);

#endif
