/*
 * Records that a program wrote (mqgrep -j) as a list of messages to act on. The list is a stranger's: it names messages, and says what
 * they were; what they are now, the queue says. Knows no queue and opens none.
 */
#ifndef LIST_FROM_H
#define LIST_FROM_H

#include <stdbool.h>
#include <stddef.h>

#include "ids.h"
#include "libqueue.h"

/* A message that the list names. */
struct listed {
    char *host;                 /* NULL: the record had none (a copied spool); of a job's file nobody asks */
    char *spool, *id;
    char *identity;             /* NULL: the list knows none, spool and id must do */
    const char *other;          /* what did not agree with a message of that id; NULL: none was seen */
    bool of_job;                /* our own file, of this host */
    bool found;
};

struct list_from {
    struct listed *list;
    size_t n, cap;
    bool given;                 /* also when it turned out empty */
    bool standard_input;        /* it was read from there */
    bool sorted;
};

/*
 * Read NDJSON from a file, "-" for standard input. LQ_OK; LQ_EINVAL with a sentence that names the line, or the record, when anything in it is
 * not a record of a message: then none of it may be used. LQ_ENOENT and the like when it cannot be opened.
 */
int list_from_read(struct list_from *l, const char *path, struct lq_error *err);
/*
 * The messages that a job did what it should with. verb: what it did; it may be called for several vaults of one job. As lq_vault_job().
 */
int list_from_job(struct list_from *l, struct lq_vault *v, const char *job, char verb[16], struct lq_error *err);
/* Sort and drop repeats, and give all ids to `ids`: the queue need not be read for others. */
int list_from_finish(struct list_from *l, struct ids *ids, struct lq_error *err);
/* Whether the list names this message: host, spool, id and identity agree. */
bool list_from_has(struct list_from *l, const struct lq_record *rec);
/* Why an entry was not found, as the end of the sentence "ID: …". */
const char *listed_why(const struct listed *entry);
void list_from_done(struct list_from *l);

#endif
