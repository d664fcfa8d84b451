/*
 * What the parts of mkspool share: growing buffers, and making files below a root directory.
 * mkspool makes mail queues for tests. It knows what files look like on disk and nothing of
 * libqueue, so that a mistake of the library cannot hide in its own tests.
 */
#ifndef MKSPOOL_H
#define MKSPOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct buf {
    char *p; /* NUL-terminated once something was put */
    size_t n, room;
};

void buf_put(struct buf *b, const void *p, size_t n);
void buf_char(struct buf *b, int c);
void buf_printf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
void buf_reset(struct buf *b);
void buf_free(struct buf *b);

/* Print a sentence and exit with 2: a test's spool is made whole or not at all. */
_Noreturn void die(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A queue being made. Modes and times of directories are set last, when nothing changes them. */
struct tree {
    int root;
    mode_t dir_mode, file_mode;
    int64_t mtime;
    struct tree_dir *dirs;
    size_t dir_count, dir_room;
};

void tree_begin(struct tree *t, const char *root);
void tree_end(struct tree *t);
void tree_dir(struct tree *t, const char *path, mode_t mode, int64_t mtime);
/* Make the directories above path that are missing. */
void tree_parents(struct tree *t, const char *path);
void tree_file(struct tree *t, const char *path, const struct buf *content, mode_t mode, int64_t mtime);
void tree_touch(struct tree *t, const char *path, int64_t mtime);
/* Read path, a regular file below dirfd, whole. */
void read_file(int dirfd, const char *path, struct buf *out);

/* A small generator with a seed: the same queue on every machine. */
struct dice {
    uint64_t state;
};

uint32_t dice_below(struct dice *d, uint32_t n);

int text_main(int argc, char **argv);
int flood_main(int argc, char **argv);
int replicate_main(int argc, char **argv);

#endif
