/*
 * What changes a directory or a file of a queue or of a vault: nothing else in the project does. One system call for each change, made
 * through the C library, so that tests can let any of them fail, or end the world between two of them. Knows nothing of messages: which
 * order keeps them whole is the engine's affair.
 *
 * A call that a signal interrupts has changed nothing on a local file system, so it is made again. Not for ever: a network file system
 * that is mounted "intr" may answer EINTR as often as it is asked.
 */
#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "digest.h"

enum { TRIES = 100, COPY_BLOCK = 1 << 16 };

/* AGAIN(n = call): repeated while it answers -1 and EINTR. */
#define AGAIN(call)                                                             \
    for (int again_ = 0; (call) == -1 && errno == EINTR && again_ < TRIES; again_++) \
        continue

#define DO(call)                        \
    do {                                \
        int rc_;                        \
        AGAIN(rc_ = (call));            \
        return rc_ == -1 ? errno : 0;   \
    } while (0)

/* Closes fd on the way out of an error that must not be lost. */
static int close_with(int fd, int error)
{
    close(fd);
    return error;
}

/* --- opening -------------------------------------------------------------------------------------------- */

enum file_result file_open_rw(int dirfd, const char *name, int *fd, struct stat *st)
{
    const int flags = O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY;
    enum file_result result = file_stat(dirfd, name, st);
    int f;

    /* Looked at first, because opening some devices, or a fifo that somebody waits for, does something. */
    if (result != FILE_OK)
        return result;
    AGAIN(f = openat(dirfd, name, flags | O_NOATIME));
    if (f < 0 && errno == EPERM)    /* only the owner and root may ask for that */
        AGAIN(f = openat(dirfd, name, flags));
    if (f < 0)
        return file_result_errno();
    if (fstat(f, st) < 0)
        return errno = close_with(f, errno), FILE_FAILED;
    if (!S_ISREG(st->st_mode))
        return close_with(f, FILE_ODD);
    *fd = f;
    return FILE_OK;
}

enum { DIR_FLAGS = O_RDONLY | O_DIRECTORY | O_CLOEXEC };

/* Taken apart by hand a path has no ".." and does not begin at the root; the kernel need not be asked about such ones either. */
static bool stays_below(const char *path)
{
    if (*path == '/')
        return false;
    for (const char *p = path; *p; p += strcspn(p, "/"), p += strspn(p, "/"))
        if (strncmp(p, "..", 2) == 0 && (p[2] == '/' || p[2] == '\0'))
            return false;
    return true;
}

/* One level. A symlink is ELOOP, as openat2 says, not the ENOTDIR of O_DIRECTORY. */
static int open_level(int dirfd, const char *name, int *fd)
{
    struct stat st;
    int f;

    AGAIN(f = openat(dirfd, name, DIR_FLAGS | O_NOFOLLOW));
    if (f >= 0) {
        *fd = f;
        return 0;
    }
    if (errno != ENOTDIR)
        return errno;
    return fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(st.st_mode) ? ELOOP : ENOTDIR;
}

/* Copies the next component; false at the end. Its name is *level. */
static bool next_level(const char **path, char level[NAME_MAX + 1], int *error)
{
    size_t n;

    *path += strspn(*path, "/");
    n = strcspn(*path, "/");
    if (n == 0)
        return false;
    if (n > NAME_MAX) {
        *error = ENAMETOOLONG;
        return false;
    }
    memcpy(level, *path, n);
    level[n] = '\0';
    *path += n;
    return true;
}

/* What a level needs before it is opened: NULL, or made where it is missing. */
typedef int level_fn(int dirfd, const char *name, bool *made);

static int walk(int dirfd, const char *path, level_fn *prepare, int *fd, bool *made)
{
    char level[NAME_MAX + 1];
    int here, below, error = open_level(dirfd, ".", &here);

    if (error)
        return error;
    while (next_level(&path, level, &error)) {
        error = prepare ? prepare(here, level, made) : 0;
        if (!error)
            error = open_level(here, level, &below);
        if (error)
            break;
        close(here);
        here = below;
    }
    if (error)
        return close_with(here, error);
    *fd = here;
    return 0;
}

/* Not there (before Linux 5.6), or forbidden by a filter of system calls that does not know it (containers). */
static bool openat2_missing(int error)
{
    return error == ENOSYS || error == EPERM;
}

int file_open_below(int dirfd, const char *path, int *fd)
{
    struct open_how how = { .flags = DIR_FLAGS, .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS };
    long f;

    if (!stays_below(path))
        return EXDEV;
    AGAIN(f = syscall(SYS_openat2, dirfd, *path ? path : ".", &how, sizeof(how)));
    if (f >= 0) {
        *fd = (int)f;
        return 0;
    }
    return openat2_missing(errno) ? walk(dirfd, path, NULL, fd, NULL) : errno;
}

/* A new level is put on disk in its parent at once: whatever is synced inside it later would be lost with it. */
static int make_level(int dirfd, const char *name, bool *made)
{
    int error = file_make_dir(dirfd, name, 0700);

    if (error)
        return error == EEXIST ? 0 : error;
    *made = true;
    return file_sync(dirfd);
}

int file_make_below(int dirfd, const char *path, int *fd, bool *made)
{
    bool ignored;

    if (!made)
        made = &ignored;
    *made = false;
    return stays_below(path) ? walk(dirfd, path, make_level, fd, made) : EXDEV;
}

/* --- directories ---------------------------------------------------------------------------------------- */

int file_make_dir(int dirfd, const char *name, mode_t mode)
{
    DO(mkdirat(dirfd, name, mode));
}

int file_remove_dir(int dirfd, const char *name)
{
    DO(unlinkat(dirfd, name, AT_REMOVEDIR));
}

/* --- contents ------------------------------------------------------------------------------------------- */

int file_create(int dirfd, const char *name, mode_t mode, int *fd)
{
    int f;

    AGAIN(f = openat(dirfd, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY, mode));
    if (f < 0)
        return errno;
    *fd = f;
    return 0;
}

int file_create_unnamed(int dirfd, mode_t mode, int *fd)
{
    int f;

    AGAIN(f = openat(dirfd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, mode));
    if (f < 0)      /* EISDIR: a kernel, or a file system's driver, that does not know the flag */
        return errno == EISDIR || errno == ENOENT ? EOPNOTSUPP : errno;
    *fd = f;
    return 0;
}

int file_give_name(int fd, int dirfd, const char *name)
{
    char link[40];

    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    DO(linkat(AT_FDCWD, link, dirfd, name, AT_SYMLINK_FOLLOW));
}

int file_append(int dirfd, const char *name, mode_t mode, int *fd)
{
    struct stat st;
    int f;

    AGAIN(f = openat(dirfd, name, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY, mode));
    if (f < 0)
        return errno;
    if (fstat(f, &st) < 0)
        return close_with(f, errno);
    if (!S_ISREG(st.st_mode))
        return close_with(f, EINVAL);
    *fd = f;
    return 0;
}

int file_write(int fd, const void *p, size_t n)
{
    const char *at = p;

    while (n > 0) {
        ssize_t done;

        AGAIN(done = write(fd, at, n));
        if (done < 0)
            return errno;
        if (done == 0)      /* never of a regular file; a loop would not end */
            return EIO;
        at += done;
        n -= (size_t)done;
    }
    return 0;
}

int file_truncate(int fd, uint64_t size)
{
    DO(ftruncate(fd, (off_t)size));
}

/* No more than was there when it began: a writer who is as fast as we are would never let us finish. */
int file_copy(int from, int to, uint64_t *size, struct digest *d)
{
    char block[COPY_BLOCK];
    struct stat st;
    off_t at = 0;

    if (fstat(from, &st) < 0)
        return errno;
    for (;;) {
        ssize_t n;
        int error;

        AGAIN(n = pread(from, block, sizeof(block), at));
        if (n < 0)
            return errno;
        if (n == 0)
            break;
        if (n > st.st_size - at)
            return ESTALE;
        error = file_write(to, block, (size_t)n);
        if (error)
            return error;
        if (d)
            digest_add(d, block, (size_t)n);
        at += n;
    }
    *size = (uint64_t)at;
    return 0;
}

static int write_zeros(int fd, uint64_t size)
{
    static const char zeros[COPY_BLOCK];

    for (int error; size > 0;) {
        size_t n = size < sizeof(zeros) ? (size_t)size : sizeof(zeros);

        error = file_write(fd, zeros, n);
        if (error)
            return error;
        size -= n;
    }
    return 0;
}

int file_reserve(int fd, uint64_t size)
{
    int rc;

    if (size == 0)
        return 0;
    AGAIN(rc = fallocate(fd, 0, 0, (off_t)size));
    if (rc == 0)
        return 0;
    return errno == EOPNOTSUPP || errno == ENOSYS ? write_zeros(fd, size) : errno;
}

/* --- names ---------------------------------------------------------------------------------------------- */

static int is_inode(int dirfd, const char *name, dev_t dev, ino_t ino)
{
    struct stat st;

    if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno;
    return st.st_dev == dev && st.st_ino == ino ? 0 : ESTALE;
}

/*
 * linkat() follows no symlink but would link the symlink itself, or whatever has the name by now; a descriptor could be linked
 * instead only by who may read everything, or through /proc. So it is looked at afterwards.
 */
int file_link(int fromdir, const char *from, int todir, const char *to, dev_t dev, ino_t ino)
{
    int rc, error;

    AGAIN(rc = linkat(fromdir, from, todir, to, 0));
    if (rc < 0)
        return errno;
    error = is_inode(todir, to, dev, ino);
    if (error)
        file_remove(todir, to);
    return error;
}

int file_move(int fromdir, const char *from, int todir, const char *to)
{
    DO(renameat2(fromdir, from, todir, to, RENAME_NOREPLACE));
}

int file_replace(int dirfd, const char *from, const char *to)
{
    DO(renameat(dirfd, from, dirfd, to));
}

int file_remove(int dirfd, const char *name)
{
    DO(unlinkat(dirfd, name, 0));
}

/* --- attributes ----------------------------------------------------------------------------------------- */

int file_set_mode(int fd, mode_t mode)
{
    DO(fchmod(fd, mode));
}

int file_set_owner(int fd, uid_t uid, gid_t gid)
{
    DO(fchown(fd, uid, gid));
}

int file_set_times(int fd, const struct stat *st)
{
    const struct timespec times[2] = { st->st_atim, st->st_mtim };

    DO(futimens(fd, times));
}

int file_touch(int dirfd, const char *name, const struct timespec *mtime)
{
    const struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, *mtime };

    DO(utimensat(dirfd, name, times, AT_SYMLINK_NOFOLLOW));
}

/* --- disk and locks ------------------------------------------------------------------------------------- */

/* An error is never asked about twice: the kernel reports it once and then believes that all is well. */
int file_sync(int fd)
{
    DO(fsync(fd));
}

void file_sync_begin(int fd)
{
    sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE);
}

int file_sync_all(int fd)
{
    DO(syncfs(fd));
}

/* Before Linux 5.8 syncfs() kept errors of writing to itself. */
static bool kernel_tells(void)
{
    struct utsname u;
    unsigned major, minor;

    return uname(&u) == 0 && sscanf(u.release, "%u.%u", &major, &minor) == 2 && (major > 5 || (major == 5 && minor >= 8));
}

static bool known_file_system(int fd)
{
    static const unsigned long types[] = { EXT4_SUPER_MAGIC, XFS_SUPER_MAGIC, BTRFS_SUPER_MAGIC, F2FS_SUPER_MAGIC, TMPFS_MAGIC };
    struct statfs s;

    if (fstatfs(fd, &s) < 0)
        return false;
    for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++)
        if ((unsigned long)s.f_type == types[i])
            return true;
    return false;
}

/* KiB that wait to be written, on all disks: it is not known on which. */
static unsigned long long waiting(void)
{
    FILE *f = fopen("/proc/meminfo", "re");
    unsigned long long sum = 0, n;
    char line[128];
    bool seen = false;

    while (f && fgets(line, sizeof(line), f))
        if (sscanf(line, "Dirty: %llu", &n) == 1 || sscanf(line, "Writeback: %llu", &n) == 1) {
            sum += n;
            seen = true;
        }
    if (f)
        fclose(f);
    return seen ? sum : ULLONG_MAX;
}

bool file_sync_all_pays(int fd, size_t n)
{
    /* KiB. A disk takes 4 milliseconds for a flush, or more, and writes 64 MiB in a second at worst, which is 256 KiB in the time of a flush. */
    enum { FEW = 8, MUCH = 64 << 10, FLUSH = 256 };

    return n >= FEW && known_file_system(fd) && kernel_tells() && waiting() < (n > MUCH / FLUSH ? (unsigned long long)n * FLUSH : MUCH);
}

int file_lock_flock(int fd)
{
    DO(flock(fd, LOCK_EX | LOCK_NB));
}

int file_lock_range(int fd, off_t start, off_t len)
{
    struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = start, .l_len = len };
    int rc;

    AGAIN(rc = fcntl(fd, F_OFD_SETLK, &lock));
    if (rc == 0)
        return 0;
    return errno == EACCES ? EAGAIN : errno;    /* POSIX allows either for "somebody holds it" */
}

/*
 * A lease for reading is refused while anybody has the file open to write, in whatever container. It is given back at once; who opens the file just then
 * waits for that, and the signal that tells us so is one that nobody minds.
 */
bool file_has_writer(int fd)
{
    int rc;

    if (fcntl(fd, F_SETSIG, SIGURG) < 0)
        return false;
    AGAIN(rc = fcntl(fd, F_SETLEASE, F_RDLCK));
    if (rc < 0)
        return errno == EAGAIN;
    fcntl(fd, F_SETLEASE, F_UNLCK);
    return false;
}
