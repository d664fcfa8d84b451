/*
 * Vaults, cases and jobs: what the engine that acts (act_*.c, recover.c) asks of vault.c, job.c, case.c, bag.c, ledger.c and pack.c.
 *
 *     <vault>/                     root, 0700
 *       jobs/JOB.ndjson            intent first, result last; locked (flock) while the job lives
 *       jobs/JOB.open              until the job is finished: few names to look at after years
 *       ledger/CASE.ndjson         messages of the case that went back
 *       reserve                    room for the last lines on a full disk
 *       CASE/                      open case; its name is its job's
 *       CASE.tar.zst               packed case
 *       .unpacked-CASE/            a packed case while it is being read
 */
#ifndef VAULT_H
#define VAULT_H

#include "engine.h"

enum { JOB_NAME = 21 };             /* "20261122T031415Z-a1b2" and NUL are 22 bytes */

struct lq_vault {
    char *path;
    int fd, jobs, ledger;
    dev_t dev;
};

/* Open, making it and its directories if missing; refuses one inside a queue of an MTA. */
int vault_make(struct lq_vault **out, const char *path, struct lq_error *err);
/* Free the reserve file: there is a little room now. False: it was free already. */
bool vault_use_reserve(struct lq_vault *v);

/* --- a job --- */

struct job;                         /* job.c */

struct job_intent {
    const char *verb, *why, *command;
    const struct lq_queue *const *queues;
    size_t queue_count;
};

/* A new job: its name is unique in the vault, its intent on disk, its lock held. name: NULL makes one; else this (the same job in another vault). */
int job_create(struct job **out, struct lq_vault *v, const char *name, const struct job_intent *intent, struct lq_error *err);
const char *job_name(const struct job *j);
/* One line of JSON (without newline), not synced by itself; also to syslog where it is about a message (id not NULL). */
int job_line(struct job *j, const char *id, const char *json);
/* result: "done", "partly", "interrupted", "failed". The job is finished on disk then; frees j. NULL result: leave it unfinished, only let go. */
int job_finish(struct job *j, const char *result, struct lq_error *err);

/* An unfinished job that nobody works on. */
struct crashed {
    char name[JOB_NAME + 1];
    char *intent;                   /* its first line, JSON; may be NULL when not even that reached the disk */
    int fd;                         /* holds its lock now, so nobody else recovers it */
};
/* All crashed jobs of the vault that concern the spool (real path; NULL: any), locked for us. Free with vault_crashed_free(). */
int vault_crashed(struct lq_vault *v, const char *spool, struct crashed **out, size_t *n, struct lq_error *err);
void vault_crashed_free(struct crashed *c, size_t n);
/* Recovered: mark it finished. */
int vault_crashed_finish(struct lq_vault *v, struct crashed *c, struct lq_error *err);

/* --- a case being filled or emptied --- */

struct case_spool {                 /* one line of spools.ndjson */
    char *spool, *mta, *host;       /* host NULL: not known */
    int fd;                         /* data/<n>-<mta> */
    dev_t dev;                      /* of the spool, when it was taken */
};

struct lq_case {
    struct lq_vault *vault;         /* NULL: opened by path */
    bool own_vault;
    char *name, *path;
    int fd;                         /* the open tree: the case's own or .unpacked-CASE; -1 while packed */
    bool unpacked;                  /* the tree is a temporary one */
    struct case_spool *spools;
    size_t spool_count;
    struct lq_queue **queues;       /* made when asked for */
    int journal;                    /* descriptor for case_journal(); -1: not open */
    struct lq_case_info info;
    struct arena *texts;            /* info's */
};

/* A new open case with its journal's first line and INCOMPLETE, synced. */
int case_create(struct lq_case **out, struct lq_vault *v, const char *name, enum lq_custody custody, const struct job_intent *intent, struct lq_error *err);
/* Make data/<n>-<mta> for a spool, owned by uid:gid, 0700, and its line in spools.ndjson, synced. *index: in c->spools. */
int case_add_spool(struct lq_case *c, const struct lq_queue *q, uid_t uid, gid_t gid, size_t *index, struct lq_error *err);
/* A line of the custody journal: JSON object text without its braces' end; time, sequence number and the hash of the line before are added. */
int case_journal(struct lq_case *c, const char *event, const char *json_members, struct lq_error *err);
/* records.ndjson, manifests, bag-info.txt; INCOMPLETE goes. */
int case_seal(struct lq_case *c, struct lq_error *err);
/* Replace the open tree of a sealed case by CASE.tar.zst: the archive is on disk before the first file goes. */
int case_pack_in_place(struct lq_case *c, struct lq_error *err);

/* --- the ledger: which messages of a case went back --- */

struct ledger;
int ledger_open(struct ledger **out, struct lq_vault *v, const char *case_name, struct lq_error *err);
/* key: "<n>-<mta>/<path of the key file>" as in the case. */
bool ledger_has(const struct ledger *l, const char *key);
int ledger_add(struct ledger *l, const char *key, const char *id, const char *new_id, const char *job);
int ledger_sync(struct ledger *l);
size_t ledger_count(const struct ledger *l);
void ledger_close(struct ledger *l);

#endif
