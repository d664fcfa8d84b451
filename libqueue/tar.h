/*
 * Writing a case's files into a compressed tar archive: the only place where libarchive writes. Knows names, bytes and hashes; what goes in,
 * and in which order, is pack.c's.
 */
#ifndef TAR_H
#define TAR_H

#include <archive.h>
#include <archive_entry.h>
#include <sys/stat.h>

#include "buf.h"
#include "digest.h"

enum tar_kind { TAR_ZSTD, TAR_GZIP };

struct tar {
    struct archive *a;
    struct archive_entry *e;
    const char *top;            /* directory that all names are below */
    int fd;                     /* the archive, open for writing */
    struct digest *d, *whole;   /* of the present file; of the archive */
    char *block;
    struct buf manifest;        /* lines "HASH  data/…" of what was written below data/ */
    struct buf tags;            /* the others' */
    uint64_t files, bytes;      /* below data/ */
    char why[512];              /* which file made it fail */
};

/* level 0: the compressor's default. 0 or errno. On failure, too: tar_done(). */
int tar_begin(struct tar *t, int fd, enum tar_kind kind, int level, const char *top);
/* Each answers 0 or errno, and cannot go on after an error. */
int tar_add(struct tar *t, const char *path, const struct stat *st, const void *p, size_t n);
/* st: of the open file fd, which must not change: ESTALE. */
int tar_add_fd(struct tar *t, const char *path, const struct stat *st, int fd);
/* A file in pieces: size is known before. */
int tar_open_file(struct tar *t, const char *path, const struct stat *st, uint64_t size);
int tar_piece(struct tar *t, const void *p, size_t n);
int tar_close_file(struct tar *t, const char *path);
/* The end of the archive; the file is not synced. hex: the SHA-256 of the whole archive. */
int tar_end(struct tar *t, char hex[DIGEST_HEX + 1]);
void tar_done(struct tar *t);

#endif
