/*
 * The one place where directories and files of a queue are opened. Read-only, never through a symlink, regular
 * files only, never blocking on a fifo, without touching access times where the kernel lets us.
 */
#ifndef FILE_H
#define FILE_H

#include <stdbool.h>
#include <sys/stat.h>

#include "error.h"

enum file_result {
    FILE_OK,
    FILE_GONE,          /* ENOENT: moved or finished meanwhile */
    FILE_DENIED,        /* EACCES, EPERM */
    FILE_ODD,           /* symlink, fifo, device, directory, socket: not a regular file */
    FILE_FAILED         /* anything else: errno tells */
};

/* Open `name` in dirfd for reading and stat it. *fd is the caller's on FILE_OK. */
enum file_result file_open(int dirfd, const char *name, int *fd, struct stat *st);
/* Only stat it, not following a symlink. FILE_OK also means: regular. */
enum file_result file_stat(int dirfd, const char *name, struct stat *st);
/*
 * Open directory `name` below dirfd (name may be absolute when dirfd is AT_FDCWD). A symlink is followed only when
 * root (or nobody but the caller, when not root) owns it: directories that configuration names may be links.
 */
enum file_result file_open_dir(int dirfd, const char *name, int *fd);
/*
 * The error of a directory that we may not read: "permission denied" helps nobody at night, the name of who may read does.
 * name is below dirfd, shown is what the sentence calls it. Answers LQ_EACCES.
 */
int file_denied(int dirfd, const char *name, const char *shown, struct lq_error *err);
/* "permission denied", "not a regular file", … for a sentence; uses errno for FILE_FAILED. */
const char *file_result_text(enum file_result r);

/* Called for each name but . and ..; type is DT_* or DT_UNKNOWN. Non-zero stops. */
typedef int file_each_fn(void *ctx, const char *name, size_t len, unsigned char type);
/* Every entry of an open directory, in no order. FILE_OK, or FILE_FAILED with errno. dirfd stays open. */
enum file_result file_each(int dirfd, file_each_fn *each, void *ctx);

#endif
