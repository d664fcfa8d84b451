/* What pack.c, evidence.c and evidence_live.c share. */
#ifndef PACK_H
#define PACK_H

#include "bag.h"
#include "tar.h"

/* records.ndjson, or another file of lines, while its size is not known: a file without a name. */
struct records {
    struct buf b;
    int fd;                     /* -1: not open */
    uint64_t count;
};

/* In dir, under a name that is gone at once. 0 or errno. */
int records_open(struct records *r, int dir, const char *name);
/* LQ_OK, LQ_ENOMEM; LQ_EIO with *error. */
int records_add(struct records *r, const struct lq_record *rec, int *error, struct lq_error *err);
/* For who appended a line to r->b. 0 or errno. */
int records_added(struct records *r);
/* All of them as a file of the archive. 0 or errno. */
int records_pack(struct records *r, struct tar *t, const char *path);
void records_done(struct records *r);

/* A file of a tree into the archive. 0 or errno. */
int pack_file(struct tar *t, int dir, const char *name, const char *path);

#endif
