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

#include "digest.h"
#include "engine.h"

enum { JOB_NAME = 21 };             /* "20261122T031415Z-a1b2" and NUL are 22 bytes */

struct lq_vault {
    char *path;
    int fd, jobs, ledger;
    int reserve;                    /* -1: there is none */
    bool makes_room;                /* may use the last of it: puts messages back, or takes cases away */
    dev_t dev;
};

/* Open, making it and its directories if missing; refuses one inside a queue of an MTA. */
int vault_make(struct lq_vault **out, const char *path, struct lq_error *err);
/* Open an existing one to look only: nothing is written, and there is no reserve. Errors as lq_vault_open(). */
int vault_look(struct lq_vault **out, const char *path, struct lq_error *err);
/*
 * Whether vault_make() would open or make it, for who only asks: nothing is made. LQ_OK with *out to look at, NULL where it would be made first;
 * else vault_make()'s error.
 */
int vault_try(struct lq_vault **out, const char *path, struct lq_error *err);
/*
 * For who only asks: the vault's directory or, where it would be made first, the one that is to hold it, opened; -1: neither is there. *real: its
 * path, the caller's; *reserve: the room that opening it would use up, where there is so much.
 */
int vault_place(const char *path, char **real, uint64_t *reserve);
/*
 * Where a mail server looks for mail, nothing of ours may be: its own cleaning would find it. path: absolute, without links; what: begins the sentence.
 * LQ_OK, LQ_EREFUSED, LQ_ENOMEM.
 */
int vault_not_scanned(const char *what, const char *path, struct lq_error *err);
/* Free the reserve file, but for its last part where mail is taken: there is a little room now. False: it was free already. */
bool vault_use_reserve(struct lq_vault *v);

/* A network file system, where renames replace and locks may be one or none: acting there needs lq_job_opts.nfs_ok. */
bool vault_on_network(int fd);
/* "VAULT/NAME: No space left on device", with the status that fits the errno value. */
int vault_error(const struct lq_vault *v, const char *name, int error, struct lq_error *err);
/* A new file of the vault, 0600, in one of its directories. Uses the reserve. */
int vault_create(struct lq_vault *v, int dirfd, const char *name, int *fd);
/* Add a line (newline included) to a file of the vault: all of it or, with an errno value, nothing. Uses the reserve. v may be NULL. */
int vault_append(struct lq_vault *v, int fd, const char *line, size_t n);
/* Whether this is the name of a job and of its case. */
bool vault_job_name(const char *p, size_t n);
/* ".tar.zst", ".tar.gz": what follows a case's name when it is packed. */
extern const char *const vault_packed_ends[];       /* NULL-terminated */
/* Whether the job's file is not finished; *alive: its lock is held, by another process or by a job of ours. */
bool vault_job_open(struct lq_vault *v, const char *name, bool *alive);
/* Whether a job that nobody works on any more filled, or emptied, the case. Does not wait for jobs of other cases. */
bool vault_case_crashed(struct lq_vault *v, const char *case_name);
/*
 * Remove what packing, unpacking and deleting left when they were interrupted: .packing-*, .unpacked-*, .gone-*, and the open tree of a case
 * whose archive is complete. Nothing of these is the only copy of anything; call it when no crashed job is left. What others use now stays.
 */
int vault_tidy(struct lq_vault *v, lq_finding_fn *tell, void *ctx, struct lq_error *err);

/* --- a job --- */

struct job;                         /* job.c */

enum { TIME_TEXT = 32 };            /* "2026-11-22T03:14:15.123Z" */
void job_time(char out[TIME_TEXT]);
/* Members uid, login_uid, pid, host, boot_id of an object. */
void job_who(struct buf *b);

struct job_intent {
    const char *verb, *why, *command;
    const struct lq_queue *const *queues;
    size_t queue_count;
    const char *case_name;          /* the case that is emptied, sealed, dropped; NULL: the job's own, if it has one */
};

/* A new job: its name is unique in the vault, its intent on disk, its lock held. name: NULL makes one; else this (the same job in another vault). */
int job_create(struct job **out, struct lq_vault *v, const char *name, const struct job_intent *intent, struct lq_error *err);
const char *job_name(const struct job *j);
/* One line of JSON (without newline), not synced by itself; also to syslog where it is about a message (id not NULL). */
int job_line(struct job *j, const char *id, const char *json);
/* Whole lines of JSON about messages, at once; the job's file has all of them or, with an errno value, none. Then job_tell() for each. */
int job_lines(struct job *j, const struct buf *lines);
/* A message's line for syslog, by the connection that the C library keeps. */
void job_tell(struct job *j, const char *id);
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
/* Whether there is one, and its name, without writing anything, for who only asks. */
bool vault_crashed_look(struct lq_vault *v, const char *spool, char name[JOB_NAME + 1]);
void vault_crashed_free(struct crashed *c, size_t n);
/* Text member of the intent, at its top; NULL: not there. The caller's: free(). */
char *vault_crashed_text(const struct crashed *c, const char *member);
/* Recovered: mark it finished; c's lock is let go. */
int vault_crashed_finish(struct lq_vault *v, struct crashed *c, struct lq_error *err);

/* --- a case being filled or emptied --- */

struct case_spool {                 /* one line of spools.ndjson */
    char *spool, *mta, *host;       /* host NULL: not known */
    int fd;                         /* data/<n>-<mta> */
    dev_t dev;                      /* of the spool, when it was taken */
    uint64_t inode;                 /* of data/<n>-<mta>, when it was made; 0: not known */
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
    int journal;                    /* descriptor for case_journal(), locked: who has it is the only one that changes the case; -1: not open */
    uint64_t journal_lines;
    char journal_hash[DIGEST_HEX + 1];  /* of its last line */
    int parent;                     /* directory of the tree or of the packed file: the vault's, or where a case given by path lies */
    int archive;                    /* the packed file; -1: not packed */
    uint64_t payload_files;         /* as bag-info.txt says; bytes are info's */
    struct ledger *went;            /* looked at when first asked what went back; NULL: not yet */
    char *tree;                     /* name of the open or unpacked tree in its directory; NULL while packed */
    const char *own_name;           /* as bag-info.txt says; NULL: it does not */
    char ledger[JOB_NAME + 20];     /* the ledger's name: of a case of the vault its own, else by what is inside */
    struct lq_case_info info;
    struct arena texts;             /* info's */
};

/* case_journal() and all that changes a case need this lock; LQ_EREFUSED while another process (or another struct lq_case) has it. */
int case_lock(struct lq_case *c, struct lq_error *err);
/* The same for a case that may be packed, so that nobody deletes it while its messages are put back. */
int case_hold(struct lq_case *c, struct lq_error *err);
/*
 * Open a case over a tree of that name in the vault ("CASE", or ".unpacked-CASE.2" as c->tree was while a restore that crashed read it).
 */
int case_open_tree(struct lq_case **out, struct lq_vault *v, const char *name, const char *tree, struct lq_error *err);
/* A file of the case's top, whole or not at all: written aside, synced, renamed. 0 or errno. */
int case_write_file(struct lq_case *c, const char *name, const void *p, size_t n);
/* Let go of the open tree: its queues, directories, journal. */
void case_close_tree(struct lq_case *c);
/* LQ_EREFUSED while its job runs, or when it crashed. */
int case_idle(struct lq_case *c, struct lq_error *err);
/* Whether there is any file of a queue in its open tree, or that cannot be told: then it must not be removed. */
bool case_has_files(struct lq_case *c);
/* Take the open tree of that name out of the way by one rename, then remove it. 0 or errno. */
int case_remove_tree(struct lq_vault *v, const char *name);
/* What sealing found out, for bag-info.txt. */
struct bag_sums {
    uint64_t files, bytes, messages;
};
/* The label of bag-info.txt that says that no file of a queue is in data/. */
#define CASE_REDACTED "Mqtools-Redacted"
void case_info_text(const struct lq_case *c, const struct bag_sums *sums, struct buf *b);
const char *case_custody(enum lq_custody custody);
/* Open the packed file of a case that has a name and a vault, as c->archive; its path becomes the case's. The archive, once it has its name, is true. */
enum file_result case_find_packed(struct lq_case *c);
extern const char case_bagit[];
/* The line of spools.ndjson; st: of the spool, NULL: not told. */
void case_spool_line(const struct lq_case *c, size_t i, const struct stat *st, struct buf *b);
/*
 * Append a journal's next line, chained to what was there. lines and hash: of all lines and of the last; *lines 0: count those that are in b.
 * False without memory.
 */
bool case_chain(struct buf *b, const char *event, const char *members, uint64_t *lines, char hash[DIGEST_HEX + 1]);
/* A small file of the tree's top; a missing one is empty. 0 or errno. */
int case_read_file(struct lq_case *c, const char *name, struct buf *b);
/* bag-info.txt anew; sums NULL: not sealed yet. */
int case_write_info(struct lq_case *c, const struct bag_sums *sums, struct lq_error *err);
/* "CASE/NAME: No space left on device". */
int case_error(const struct lq_case *c, const char *name, int error, struct lq_error *err);

/* A new open case with its journal's first line and INCOMPLETE, synced. */
int case_create(struct lq_case **out, struct lq_vault *v, const char *name, enum lq_custody custody, const struct job_intent *intent, struct lq_error *err);
/* Make data/<n>-<mta> for a spool, owned by uid:gid, 0700, and its line in spools.ndjson, synced. *index: in c->spools. */
int case_add_spool(struct lq_case *c, const struct lq_queue *q, uid_t uid, gid_t gid, size_t *index, struct lq_error *err);
/* A line of the custody journal, synced: JSON object text without its braces' end; time, sequence number and the hash of the line before are added. */
int case_journal(struct lq_case *c, const char *event, const char *json_members, struct lq_error *err);
/* records.ndjson, manifests, bag-info.txt; INCOMPLETE goes. */
int case_seal(struct lq_case *c, struct lq_error *err);
/* Remove what was being written beside those when somebody was killed; for who leaves the sealing to later. */
void case_forget_new(struct lq_case *c);
/*
 * Replace the open tree by CASE.tar.zst: the archive is on disk, and was read again, before the first file goes. A case that is not sealed yet is
 * sealed on the way, reading each file once: faster than case_seal() before it. On failure the open case is as it was, unsealed.
 */
int case_pack_in_place(struct lq_case *c, struct lq_error *err);

/* --- pack.c --- */

/* bag-info.txt and spools.ndjson out of an archive. */
int pack_read_info(int fd, const char *shown, struct buf *info, struct buf *spools, struct lq_error *err);
/* Unpack c->archive into a new directory c->tree beside it; every hash is checked on the way. */
int pack_unpack(struct lq_case *c, struct lq_error *err);

/* --- the ledger: which messages of a case went back --- */

struct ledger;
/* Made if missing, and locked: LQ_EREFUSED while another process puts messages of this case back. */
int ledger_open(struct ledger **out, struct lq_vault *v, const char *case_name, struct lq_error *err);
/* key: "<n>-<mta>/<path of the key file>" as in the case. */
bool ledger_has(const struct ledger *l, const char *key);
/* Whether a copy went: then the key that is still in the case does not tell that it did not. */
bool ledger_copied(const struct ledger *l, const char *key);
int ledger_add(struct ledger *l, const char *key, const char *id, const char *new_id, const char *job, bool copied);
int ledger_sync(struct ledger *l);
/* It did not go back after all. Synced. */
int ledger_cancel(struct ledger *l, const char *key);
/* Whether any message of this id went back. */
bool ledger_has_id(const struct ledger *l, const char *id, size_t n);
/* To look only: no lock, nothing can be added. A case of which nothing went back has an empty one. */
int ledger_look(struct ledger **out, struct lq_vault *v, const char *case_name, struct lq_error *err);
size_t ledger_count(const struct ledger *l);
void ledger_close(struct ledger *l);

#endif
