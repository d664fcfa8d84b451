/*
 * The one place where directories and files of a queue and of a vault are opened, made, moved and removed. Never through a
 * symlink, regular files only, never blocking on a fifo, without touching access times where the kernel lets us.
 *
 * Reading answers an enum file_result. What changes something answers 0 or an errno value, and has changed nothing then (but
 * file_write() and file_copy(), which can stop half way). Interrupted calls are repeated.
 */
#ifndef FILE_H
#define FILE_H

#include <stdbool.h>
#include <stdint.h>
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
/* What errno means for who only wanted to look. */
enum file_result file_result_errno(void);
/* "permission denied", "not a regular file", … for a sentence; uses errno for FILE_FAILED. */
const char *file_result_text(enum file_result r);

/* Called for each name but . and ..; type is DT_* or DT_UNKNOWN. Non-zero stops. */
typedef int file_each_fn(void *ctx, const char *name, size_t len, unsigned char type);
/* Every entry of an open directory, in no order. FILE_OK, or FILE_FAILED with errno. dirfd stays open. */
enum file_result file_each(int dirfd, file_each_fn *each, void *ctx);

/* --- changing --- */

/* The same as file_open(), for reading and writing: locks of some servers ask for it. Nothing is written through it. */
enum file_result file_open_rw(int dirfd, const char *name, int *fd, struct stat *st);
/*
 * Open a directory of several levels below dirfd, no symlink on the way (openat2 with RESOLVE_BENEATH where the kernel has it, else
 * level by level). "" is dirfd itself. 0 or errno: ELOOP for a symlink, EXDEV for "..", an absolute path, or what else leads out.
 */
int file_open_below(int dirfd, const char *path, int *fd);
/*
 * Make the levels of path that are missing, mode 0700, and open the last one. A new level is on disk in its parent. made: NULL, or told
 * whether any was made. After an error levels may be there that were not; they are empty.
 */
int file_make_below(int dirfd, const char *path, int *fd, bool *made);
int file_make_dir(int dirfd, const char *name, mode_t mode);
int file_remove_dir(int dirfd, const char *name);

/* A new file for writing, and for reading back; EEXIST if the name is taken, by whatever. */
int file_create(int dirfd, const char *name, mode_t mode, int *fd);
/*
 * A new file in the directory's file system without a name: nothing is left of it, whatever happens, until file_give_name(). EOPNOTSUPP where
 * the file system has no such files. Naming needs /proc, answers EEXIST, and replaces nothing.
 */
int file_create_unnamed(int dirfd, mode_t mode, int *fd);
int file_give_name(int fd, int dirfd, const char *name);
/* Our own open file (a journal) for adding lines at its end; made if missing. EINVAL, ELOOP, ENXIO: not a regular file. */
int file_append(int dirfd, const char *name, mode_t mode, int *fd);
int file_write(int fd, const void *p, size_t n);
/* Cut a file of our own: the half of a line that a full disk left, the reserve that is given up. */
int file_truncate(int fd, uint64_t size);
/*
 * Everything from one descriptor's beginning to the other's present place, digested on the way if d is not NULL; *size: bytes copied.
 * ESTALE: the file grew meanwhile.
 */
struct digest;
int file_copy(int from, int to, uint64_t *size, struct digest *d);
/* Reserve room, really allocated. EOPNOTSUPP is answered by writing zeros. */
int file_reserve(int fd, uint64_t size);

/* Both names exist afterwards; EEXIST, EXDEV. If the new name turns out to be another inode than (dev, ino), it is taken away again: ESTALE. */
int file_link(int fromdir, const char *from, int todir, const char *to, dev_t dev, ino_t ino);
/* Rename that replaces nothing, a directory too: EEXIST, EXDEV, ENOENT. On file systems without RENAME_NOREPLACE: EINVAL. */
int file_move(int fromdir, const char *from, int todir, const char *to);
/* Rename over what is there, in one directory. */
int file_replace(int dirfd, const char *from, const char *to);
int file_remove(int dirfd, const char *name);

int file_set_mode(int fd, mode_t mode);
int file_set_owner(int fd, uid_t uid, gid_t gid);
int file_set_times(int fd, const struct stat *st);
/* Modification time of a name; a symlink is not followed. */
int file_touch(int dirfd, const char *name, const struct timespec *mtime);

/* Of a file or a directory: on disk when it answers 0. After an error nothing is known of it; asking again would answer 0. */
int file_sync(int fd);
/* A hint: the file will be synced soon, let its content be written meanwhile. Promises nothing. */
void file_sync_begin(int fd);
/*
 * The same for everything of the descriptor's file system, also what others wrote: whether to ask for that is file_sync_all_pays()'s to say. In
 * which order the changes arrive is not told.
 */
int file_sync_all(int fd);
/*
 * Whether one file_sync_all() is as good as, and likely to be faster than, syncing n of its directories or files: a kernel and a file system that
 * tell of errors, and little else that waits to be written on this machine.
 */
bool file_sync_all_pays(int fd, size_t n);

/* Locks that never wait: 0, EAGAIN if somebody holds one, errno. Let go by closing the descriptor. */
int file_lock_flock(int fd);
/* An open-file-description lock for writing on [start, start + len), len 0: to the end; it conflicts with POSIX locks of others. */
int file_lock_range(int fd, off_t start, off_t len);
/* Whether somebody has the file open to write. The descriptor is read-only, and its file ours or we are root; where nobody can tell (NFS): false. */
bool file_has_writer(int fd);

#endif
