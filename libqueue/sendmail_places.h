/*
 * Where the messages of a Sendmail queue are: what sendmail_places.c finds and sendmail.c asks
 * about it.
 *
 * A queue directory ("home" here) is the spool root or a directory up to two levels below it. Data
 * files live in its df/ if there is one, all other types in its qf/ if there is one, else in
 * itself; each of these is independent (8.10 to 8.18).
 */
#ifndef SENDMAIL_PLACES_H
#define SENDMAIL_PLACES_H

#include "backend.h"
#include "sendmail.h"

/* Types of files, by rank: the first of a message is its key. */
enum sendmail_role { ROLE_QF, ROLE_HF, ROLE_LOST, ROLE_TF, ROLE_OLD_TF, ROLE_DF, ROLE_COUNT };
extern const char sendmail_role_letters[ROLE_COUNT];

/* Kinds of directories; the tag of one is home * KIND_COUNT + kind. */
enum sendmail_kind { KIND_HOME, KIND_QF, KIND_DF, KIND_COUNT };

/* Session transcripts: never listed, but they go with their message. Kept in xf/ where that exists. */
enum { ROLE_XF = ROLE_COUNT };

enum { SENDMAIL_ID_MAX = 18 };          /* sendmail refuses names of 21 bytes and more (8.17) */

struct sendmail_home {
    char *path;                 /* below the root, "" is the root */
    unsigned depth;
    bool linked;                /* found as a symlink */
    bool walked;
    size_t real;                /* index of this home, or of the one that is the same directory */
    dev_t dev;
    ino_t ino;
    size_t dirs[KIND_COUNT];    /* indexes into spool->dirs */
    bool has[KIND_COUNT];
    size_t xf;                  /* the same for xf/; dirs[KIND_HOME] without one. Known after sendmail_open_xf() */
};

struct sendmail_places {        /* spool->own */
    struct sendmail_home *homes;
    size_t count, cap;
    size_t readable;            /* homes below the root */
    size_t files;               /* that were named */
    bool too_many;
    struct sendmail_cf cf;
    bool configured;            /* cf is about this spool */
    bool xf_open;
};

/* Members of the back end. */
unsigned sendmail_detect(int rootfd);
void sendmail_close(struct spool *sp);
int sendmail_list(struct spool *sp, unsigned sections, struct lq_error *err);
size_t sendmail_group(struct spool *sp, struct entry *e, size_t n, uint32_t *counts);

static inline struct sendmail_places *sendmail_places(const struct spool *sp)
{
    return sp->own;
}

static inline size_t sendmail_home_of(const struct spool *sp, const struct entry *e)
{
    return sp->dirs[e->dir].tag / KIND_COUNT;
}

/* qf, hf or Qf: a control file that is more than temporary. */
static inline bool sendmail_is_control(const struct entry *e)
{
    return e->role <= ROLE_LOST;
}

/* Open the directories that only acting asks for, those of transcripts; the others were listed. 0 or errno. */
int sendmail_open_xf(struct spool *sp);
/* The directory where sendmail keeps files of this role. */
size_t sendmail_dir_for(const struct sendmail_home *home, unsigned role);
/* The home that a control file in `home` with this d record (NULL: none) has its body in; false when there is no such home. */
bool sendmail_df_home(const struct sendmail_places *own, const char *d, size_t *home);

/* Beside a qf/ or df/ where it should be, so that sendmail does not see it. */
bool sendmail_misplaced(const struct spool *sp, const struct entry *e);

#endif
