/*
 * What an open case held when it was sealed, by its manifest, for who asks about one message at a time. Of a manifest anybody may have written
 * any line.
 */
#ifndef SEALED_H
#define SEALED_H

#include "digest.h"
#include "vault.h"

struct sealed_file {
    const char *hex, *path;     /* path: "data/0-exim/input/1xUroU-…-H" */
    const char *id;             /* in path: of the message that it belongs to, by its name */
    size_t id_len;
};

struct sealed {
    struct buf text;
    struct sealed_file *files;  /* in order of id, then path */
    size_t n;
    struct digest *d;
    char *block;
};

/* LQ_OK; LQ_EDAMAGED where there is no manifest, or one that cannot be read; LQ_EIO, LQ_ENOMEM. */
int sealed_open(struct sealed **out, struct lq_case *c, struct lq_error *err);
void sealed_close(struct sealed *s);
/* The files whose names have that id, *n of them. */
const struct sealed_file *sealed_message(const struct sealed *s, const char *id, size_t id_len, size_t *n);
/* The id in a file's name. */
void sealed_id(const char *path, const char **id, size_t *id_len);
/* Read everything that is left of fd. 0; EBADMSG: it is not what was sealed; errno. */
int sealed_compare(struct sealed *s, const struct sealed_file *f, int fd);

#endif
