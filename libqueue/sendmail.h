/*
 * What the Sendmail files share: sendmail_parse.c (control files), sendmail_cf.c (sendmail.cf, also
 * for find.c, which looks for spools), and the one call of sendmail_places.c that tests need.
 */
#ifndef SENDMAIL_H
#define SENDMAIL_H

#include "record.h"
#include "source.h"

/* --- the spool --- */

/* The back end's open(), with the configuration files to believe about a live spool. */
int sendmail_open(struct spool *sp, const char *const *cf_files, struct lq_error *err);

/* --- control files (qf, hf, Qf, tf) --- */

/* What sendmail.c must know of a control file beyond the fields of the record. */
struct sendmail_control {
    bool complete;              /* the terminator was seen, or the version knows none */
    bool refused;               /* sendmail would not work with it; a problem says why */
    bool quarantined;           /* it has a q record */
    int64_t attempts;
    struct lq_str df_dir;       /* the d record; p == NULL without one */
};

struct sendmail_input {
    struct source *src;
    const char *path;           /* for problems */
    uint64_t want;              /* LQ_FIELD_BITs that somebody will look at */
    struct buf *headers;        /* gets the header block as it would be sent */
    struct buf *tmp, *tmp2;     /* room to work in */
};

/* Fill the record from one control file. The state of the message is left to the caller. */
void sendmail_parse(struct lq_record *r, const struct sendmail_input *in,
                    struct sendmail_control *out);

/* --- the q record of control files --- */

enum sendmail_quarantine {
    QUARANTINE_CHANGED,         /* the new content is in *out, unless it has failed */
    QUARANTINE_SAME,            /* it has a q record, or has none, already */
    QUARANTINE_TOO_OLD,         /* of a sendmail before 8.13, which refuses q */
    QUARANTINE_DAMAGED          /* no sender, or no terminator */
};

/* The whole of a control file with q, or without. reason: NULL or blank for a standard text; made one printable line, and cut. */
enum sendmail_quarantine sendmail_quarantine(struct bytes key, bool on, const char *reason, struct buf *out);

/* --- sendmail.cf and submit.cf --- */

enum { SENDMAIL_GROUPS_MAX = 50 };      /* MAXQUEUEGROUPS (8.12 to 8.18) */
#define SENDMAIL_NEVER INT64_MAX
#define SENDMAIL_QUEUE_RETURN (INT64_C(5) * 24 * 60 * 60)      /* the default (8.17) */

struct sendmail_group {
    char *name;                 /* "mqueue" for the one of QueueDirectory */
    char *path;                 /* absolute, without a trailing star */
    bool star;                  /* all directories that begin with path */
};

struct sendmail_cf {
    struct sendmail_group groups[SENDMAIL_GROUPS_MAX];
    size_t count;               /* groups[0] is the default group; 0: no QueueDirectory was found */
    char *base;                 /* the directory that all queue directories are below */
    unsigned file_mode;         /* QueueFileMode */
    int64_t queue_return;       /* Timeout.queuereturn in seconds; SENDMAIL_NEVER */
};

/* The configuration files of this machine, where Sendmail is used to keep them. NULL at the end. */
extern const char *const sendmail_cf_files[];

/* Understand the text of a configuration file. False without memory; *cf is then empty. */
bool sendmail_cf_parse(struct sendmail_cf *cf, struct bytes text);
/* The same for a file; false also when it cannot be read or names no queue. */
bool sendmail_cf_read(struct sendmail_cf *cf, const char *path);
void sendmail_cf_done(struct sendmail_cf *cf);
/*
 * The name of the group whose directory dir (below base, "" is the base itself) is; "mqueue" when
 * no group claims it.
 */
const char *sendmail_cf_group(const struct sendmail_cf *cf, const char *dir);

#endif
