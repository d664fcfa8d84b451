/*
 * What sealing, verifying and packing share: manifests, hashing, and the comparing of what is there with what manifests say.
 *
 *     bag.c           sealing: records, manifests
 *     bag_check.c     verifying a tree or an archive
 *     pack_read.c     reading archives: their bag-info.txt, unpacking
 *     pack.c          writing archives: in place of a case, as evidence
 */
#ifndef BAG_H
#define BAG_H

#include "vault.h"

/* --- bag.c --- */

/* Append a line of a manifest. */
void bag_line(struct buf *b, const char *hex, const char *path);
/* Take a line (its n bytes without newline; the byte after them is written) apart in place. False: no line of a manifest. */
bool bag_line_parse(char *line, size_t n, char **hex, char **path);

enum { BAG_BLOCK = 1 << 17 };
/* Everything that is left to read of fd. block: BAG_BLOCK bytes. 0 or errno. */
int bag_hash_fd(struct digest *d, int fd, char *block, char hex[DIGEST_HEX + 1], uint64_t *size);
/* Names at the top of a case that the tag manifest does not have: the journal, which goes on, and the manifest itself. */
bool bag_untagged(const char *path);

/* --- bag_check.c --- */

struct bag_seen {
    const char *path;
    char hex[DIGEST_HEX + 1];
};

struct bag_check {
    struct arena texts;
    struct bag_seen *seen;
    size_t n, cap;
    struct buf manifest, tagmanifest, info, journal;
    struct digest *d;
    struct buf *keep;               /* where the present file's text goes, too */
    uint64_t lines, lines_max;      /* of the manifest of data/; how many are believed */
    bool surplus;                   /* it had more, which were not kept */
    uint64_t payload_files, payload_bytes;
    bool incomplete, failed;        /* failed: no memory */
};

bool bag_check_begin(struct bag_check *k);
void bag_check_done(struct bag_check *k);
/* A file of the case, its bytes and its end. */
void bag_check_file(struct bag_check *k, const char *path);
void bag_check_bytes(struct bag_check *k, const void *p, size_t n);
void bag_check_end(struct bag_check *k);
/* It could not be read to its end: as if it were not there. */
void bag_check_cancel(struct bag_check *k);
/* A file of the case that was read and hashed before. */
void bag_check_known(struct bag_check *k, const char *path, const char *hex);
/* Compare. data_only: the payload and its manifest alone. ledger: what went back (may be NULL). Answers the number of findings. */
size_t bag_check_judge(struct bag_check *k, bool data_only, const struct ledger *ledger, lq_finding_fn *tell, void *ctx);
/*
 * All of an open, sealed case as verifying it, but of data/ what was just read: its manifest, and how many bytes it was. LQ_OK: it was compared;
 * *findings of them were told.
 */
int bag_check_read(struct lq_case *c, const struct buf *lines, uint64_t bytes, lq_finding_fn *tell, void *ctx, size_t *findings, struct lq_error *err);
/* The value of a label of bag-info.txt into out; false if it is not there. */
bool bag_label(const struct buf *info, const char *name, char *out, size_t size);

/* --- pack_read.c --- */

/* Check everything in the archive as bag_check_judge() does. LQ_OK: it was read; *findings of them were told. */
int pack_check(int fd, const char *shown, const struct ledger *ledger, lq_finding_fn *tell, void *ctx, size_t *findings, struct lq_error *err);

#endif
