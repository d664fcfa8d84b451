/*
 * What the files of the engine that acts share: act.c (a job's life, batches, outcomes), act_claim.c (claiming, and whether a message is
 * still the one that was selected), act_settled.c (whether its server has forgotten it), act_sealed.c (whether it is as it was sealed), act_disk.c (directories to sync, copies, room), act_who.c (whose rights), and the verbs: act_take.c,
 * act_remove.c, act_hold.c, act_bounce.c, act_restore.c.
 *
 * A batch goes through a verb in steps, each over all of its messages, with one sync of the directories touched between them: the key
 * of a message moves by one rename that replaces nothing, so its place says at any instant whose it is.
 */
#ifndef ACT_H
#define ACT_H

#include "set.h"
#include "vault.h"

/* --- names that only we use. No server looks at a name with a leading dot; four characters of the job's name tell whose it is. --- */

#define ASIDE ".mqt-"           /* key in the spool while its copy in the case gets its name */
#define REWRITTEN ".mqh-"       /* key in the spool, held or released, before it gets its name */
#define OLD_KEY ".mqo-"         /* the key as it was, a second link, while it is rewritten and moved */
#define COPY_KEY ".mqr-"        /* copy of a key in the spool, before it gets its name */
#define COPY_PART ".mqp-"       /* likewise another part */
#define PARTIAL ".partial-"     /* copy of a key in the case, before it gets its name */

/* prefix, the job's four characters, '-', name; false when that is no name any more. */
bool own_name(char out[NAME_MAX + 1], const char *prefix, const char *job, const char *name);

/* --- act_who.c --- */

struct who {
    bool switched;
    uid_t uid;
    gid_t gid;
    gid_t *groups;
    int group_count;
};

/* Work as the owner of a queue. root can be anybody, others only themselves (LQ_EACCES, the sentence says who may). Nothing changed on failure. */
int who_become(struct who *w, uid_t uid, gid_t gid, struct lq_error *err);
/* root again, where it was switched. A failure is an error that ends the job, and the next call tries once more. */
int who_back(struct who *w, struct lq_error *err);
void who_done(struct who *w);

/* --- act_disk.c --- */

/* The directories of a spool, with a mark at those that changed since they were synced. */
struct side {
    struct spool *sp;
    bool *dirty;
    size_t cap;
};

bool side_touch(struct side *s, size_t dir);
/* 0 or errno; what could not be synced stays marked. */
int side_sync(struct side *s);
/*
 * The same, one by one, before anything else of the file system: where it has names now that left another tree. Of a file system without a journal
 * the other tree could be on disk first else.
 */
int side_sync_first(struct side *s);
void side_done(struct side *s);

/* Directories below one, made when first asked for. */
struct folder {
    char *path;
    int fd;
    bool dirty;
};

struct folders {
    int base;                   /* not ours to close */
    struct folder *dirs;
    size_t count, cap;
    size_t *of;                 /* spool directory number -> ours + 1 */
    size_t of_count;
};

/* The directory of the tree that stands for directory `dir` of the spool: 0 and *out, or errno. */
int folders_of(struct folders *t, const struct spool *sp, size_t dir, size_t *out);
int folders_sync(struct folders *t);
int folders_sync_first(struct folders *t);
void folders_done(struct folders *t);
/* Make a tree of ours, and all in it, somebody's. LQ_OK or an error. */
int folders_give(int fd, uid_t uid, gid_t gid, struct lq_error *err);

/*
 * Copy a file as a new one with the same mode, without the bits of strip, and times, synced and compared; on failure nothing is left. uid (uid_t)-1: the owner is whoever
 * works. *fd: NULL, or the open copy. Errno, ESTALE when the source is not the inode that was claimed or changed meanwhile, EBADMSG when the copy differs.
 */
struct copy {
    int from, to;               /* directories */
    const char *name, *as;
    const struct stat *st;
    uid_t uid;
    gid_t gid;
    mode_t strip;
    int *fd;
};
int disk_copy(const struct copy *c);

/* Remove a name; 0 also when it is not there, which is looked at. */
int disk_remove(int dir, const char *name);

/* Errors that every further message would meet, too: no room, read-only, I/O. */
bool disk_is_full(int error);
bool disk_is_lost(int error);

/* --- a job --- */

struct vault_use {              /* a vault of the job */
    struct lq_vault *vault;
    struct job *job;
    struct lq_case *c;          /* being filled; NULL for verbs without one */
    const struct lq_queue **queues;     /* that use it */
    size_t queue_count;
    size_t done;                /* messages that came here, or went from here */
    size_t unlike;              /* that stayed because they are not as they were sealed, or are missing */
    bool unfinished;            /* leave it to recover: something could not be put right */
};

struct site {                   /* a queue of the set */
    const struct set_queue *in_set;
    struct lq_queue *q;
    struct spool sp;
    bool listed;
    struct side side;
    const struct lq_actor *actor;
    uid_t uid;                  /* who works here */
    gid_t gid;
    size_t use;                 /* which vault */
    size_t case_spool;          /* its number in the case */
    struct folders folders;           /* of it */
    uint16_t *map;              /* the set's directories -> sp's; UINT16_MAX: gone */
    unsigned claim_flags;
    struct reading rd;
    struct lq_record rec;

    /* Restoring: sp is the case's side; this is where the messages go. */
    struct lq_queue *home;
    struct spool home_sp;
    bool home_listed;
    struct side home_side;
    struct ledger *ledger;
    bool ledger_lent;           /* it is an earlier site's: both restore from one case */
    const char *ledger_name;
    char ledger_prefix[40];     /* "<n>-<mta>/" */
    struct sealed *sealed;      /* what an open case held when it was sealed; NULL: nothing to compare with */
    bool sealed_lent;
    bool unpacked, keep;        /* the case's tree is a temporary one; its files stay (a copy) */
};

struct work {                   /* a message of the batch */
    size_t index;
    const struct set_item *item;
    struct claim c;
    bool claimed;
    bool unlike;                /* not as it was sealed */
    bool already;               /* nothing was left to do */
    bool live;                  /* still to be acted on; else result and text say why not */
    enum lq_result result;
    char text[400];
    char new_id[64];

    /* The verbs' own. */
    unsigned placed;            /* parts that are at their new place, too, and must go from there when the key does not follow */
    bool copied;                /* not by links */
    bool key_moved;
    int fds[CLAIM_PARTS_MAX];   /* locks on what takes a locked file's place; of a held message its key and the new one */
    unsigned fd_count;
    struct held *held;
    struct going *going;        /* restoring: where each part goes */
};

enum { BATCH_MAX = 8192, BATCH_PER_DIR = 2048, RESTORE_MAX = 512 };

struct lq_job {
    const struct lq_set *set;
    struct lq_job_opts opts;
    char name[JOB_NAME + 1];
    char *why, *command, *vault;
    struct vault_use *uses;
    size_t use_count;
    struct site *sites;
    size_t site_count;
    struct who who;
    struct filter_state filter_state;
    uint64_t filter_fields;

    struct work *batch;
    size_t batch_max, batch_n, at;      /* [at, batch_n) are to be answered */
    size_t next;                /* in the set */
    volatile bool stop;
    int fatal;                  /* enum lq_status that ends the job once the batch is answered */
    size_t cut;                 /* then: the first message of the batch that is not answered for; else SIZE_MAX */
    struct lq_error error;
    struct lq_outcome outcome;
    size_t done, skipped, failed;
    struct missing_list *missing;       /* restoring: told after the messages of the set */
};

/* The message is not acted on, because of how it is (skip) or because something went wrong (fail). */
void work_skip(struct work *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void work_fail(struct work *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Its key is not where it was claimed. */
void work_left(const struct site *s, struct work *w);
/* Skipped, because it is not as it was sealed. */
void work_unlike(struct work *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The job ends after what was answered; message i of the batch and those behind it were not touched, or were put back. */
void job_ends(struct lq_job *j, size_t i, enum lq_status status, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
/* Room by the vault's reserve, once; as root, and the worker again afterwards. */
bool job_more_room(struct lq_job *j, struct site *s);
/* The four characters that names of ours carry. */
const char *job_mark(const struct lq_job *j);

/* --- act_claim.c --- */

/* Claim the message and see that it is the one that was selected, and still selected; else w says why not. */
void claim_message(struct lq_job *j, struct site *s, struct work *w);
void claim_end(struct work *w);
/* The same for a batch, several at a time. */
void claims_end(struct work *w, size_t n);
/* Whether the claimed file has this name now. */
bool piece_is_at(const struct piece *p, int dir, const char *name);
/* Whether the server works on it although it is claimed (in_use in backend.h). dir, name: where its key is now. */
bool work_in_use(const struct site *s, const struct work *w, int dir, const char *name);

/* --- act_settled.c --- */

/* The claimed files as a reader wants them; false when a name has not the message's id in it. */
bool work_entries(const struct work *w, struct entry *entries);
/* False, with `why`, where a held message must not go on its way yet. */
bool work_settled(struct site *s, struct work *w, char why[256]);

/* Whether the server is about to delete it: all its recipients are done. Taking it would only make it look undelivered. */
bool work_finished(struct site *s, struct work *w);

/* --- act_sealed.c --- */

/* Restoring: read the manifests of the cases, and see what is missing. After the ledgers are open, before anything is done. */
int job_look_sealed(struct lq_job *j, struct lq_error *err);
/* Whether the claimed message is as it was sealed; else w says why not. Reads all of it. */
bool work_as_sealed(struct site *s, struct work *w);
/* The next message that is missing from its case; out lives until the next call. False: no more. */
bool job_next_missing(struct lq_job *j, struct lq_outcome *out, size_t *use);
void job_forget_sealed(struct lq_job *j);

/*
 * --- the verbs ---
 * open (may be NULL): once for a site, before anything is written. batch: acts on the live ones of w[0..n), all claimed, working as the site's owner; sets results. What fails
 * for one message is that message's; what fails for all is told by job_ends(). dry (may be NULL): what batch would find out, without doing it.
 */
struct verb {
    const char *name;           /* as recorded */
    const char *done;           /* for people: "taken" */
    unsigned claim_flags;
    bool fills_case;
    unsigned (*at_once)(const struct site *s);      /* messages in a batch at most; NULL: as many as make syncing cheap */
    int (*open)(struct lq_job *j, struct site *s, struct lq_error *err);
    void (*batch)(struct lq_job *j, struct site *s, struct work *w, size_t n);
    void (*dry)(struct lq_job *j, struct site *s, struct work *w);
};

extern const struct verb take_verb, purge_verb, undo_verb, hold_verb, release_verb, restore_verb, bounce_verb;
const struct verb *job_verb(const struct lq_job *j);

#endif
