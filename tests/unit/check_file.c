/*
 * What changes files: every call against every kind of thing that may bear the name, on one and across two file systems, interrupted,
 * cut short, and on a kernel without openat2. Some calls of the C library are replaced here, to answer what disks and signals seldom do.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "digest.h"
#include "file.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* --- calls that can be told to misbehave --- */

static int interruptions;           /* so many calls more answer EINTR */
static size_t write_at_most;        /* 0: as asked */
static bool no_fallocate;
static int grow_fd = -1;            /* each read makes this file longer */

static bool interrupted(void)
{
    if (interruptions == 0)
        return false;
    interruptions--;
    errno = EINTR;
    return true;
}

int fsync(int fd) { return interrupted() ? -1 : (int)syscall(SYS_fsync, fd); }
int unlinkat(int dir, const char *name, int flags) { return interrupted() ? -1 : (int)syscall(SYS_unlinkat, dir, name, flags); }
int mkdirat(int dir, const char *name, mode_t mode) { return interrupted() ? -1 : (int)syscall(SYS_mkdirat, dir, name, mode); }
int fchmod(int fd, mode_t mode) { return interrupted() ? -1 : (int)syscall(SYS_fchmod, fd, mode); }

int linkat(int fromdir, const char *from, int todir, const char *to, int flags)
{
    return interrupted() ? -1 : (int)syscall(SYS_linkat, fromdir, from, todir, to, flags);
}

int renameat2(int fromdir, const char *from, int todir, const char *to, unsigned flags)
{
    return interrupted() ? -1 : (int)syscall(SYS_renameat2, fromdir, from, todir, to, flags);
}

ssize_t write(int fd, const void *p, size_t n)
{
    if (interrupted())
        return -1;
    return syscall(SYS_write, fd, p, write_at_most && n > write_at_most ? write_at_most : n);
}

ssize_t pread(int fd, void *p, size_t n, off_t at)
{
    if (grow_fd >= 0 && syscall(SYS_write, grow_fd, "more", 4) != 4)
        return -1;
    return syscall(SYS_pread64, fd, p, n, at);
}

int fallocate(int fd, int mode, off_t at, off_t n)
{
    if (no_fallocate) {
        errno = EOPNOTSUPP;
        return -1;
    }
    return (int)syscall(SYS_fallocate, fd, mode, at, n);
}

/* --- two directories --- */

static char path[] = "/tmp/check-file-XXXXXX", far_path[] = "/dev/shm/check-file-XXXXXX";
static int dir = -1, far_dir = -1;

static void setup(void)
{
    ck_assert_ptr_nonnull(mkdtemp(path));
    dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ck_assert_int_ge(dir, 0);
}

static void teardown(void)
{
    char command[100];

    snprintf(command, sizeof(command), "rm -rf %s %s", path, far_dir >= 0 ? far_path : "");
    ck_assert_int_eq(system(command), 0);
}

/* A second file system; the tests need one, so that without it they fail rather than pass. */
static void go_far(void)
{
    struct stat here, there;

    ck_assert_ptr_nonnull(mkdtemp(far_path));
    far_dir = open(far_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ck_assert_int_ge(far_dir, 0);
    ck_assert_int_eq(fstat(dir, &here), 0);
    ck_assert_int_eq(fstat(far_dir, &there), 0);
    ck_assert_msg(here.st_dev != there.st_dev, "/tmp and /dev/shm are one file system: nothing can be tested across two");
}

static int put(int where, const char *name, const char *text)
{
    int fd = openat(where, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0640);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, text, strlen(text)), (int)strlen(text));
    return fd;
}

static const char *get(int where, const char *name)
{
    static char text[100];
    int fd = openat(where, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

    if (fd >= 0)
        close(fd);
    text[n < 0 ? 0 : n] = '\0';
    return n < 0 ? NULL : text;
}

static ino_t inode(int where, const char *name)
{
    struct stat st;

    return fstatat(where, name, &st, AT_SYMLINK_NOFOLLOW) == 0 ? st.st_ino : 0;
}

static dev_t device(void)
{
    struct stat st;

    ck_assert_int_eq(fstat(dir, &st), 0);
    return st.st_dev;
}

/* --- every call against every kind of name --- */

enum { MISSING, FILE_, LINK, DANGLING, FIFO, DIRECTORY };

/* What stands under "name" before; errno of creating, adding, linking and moving to it, replacing, removing it, and opening it to write. */
static const struct {
    const char *name;
    int kind, create, append, link, move, replace, remove;
    enum file_result open;
} kinds[] = {
    { "missing",          MISSING,   0,      0,      0,      0,      0,      ENOENT, FILE_GONE },
    { "file",             FILE_,     EEXIST, 0,      EEXIST, EEXIST, 0,      0,      FILE_OK },
    { "symlink to file",  LINK,      EEXIST, ELOOP,  EEXIST, EEXIST, 0,      0,      FILE_ODD },
    { "dangling symlink", DANGLING,  EEXIST, ELOOP,  EEXIST, EEXIST, 0,      0,      FILE_ODD },
    { "fifo",             FIFO,      EEXIST, ENXIO,  EEXIST, EEXIST, 0,      0,      FILE_ODD },
    { "directory",        DIRECTORY, EEXIST, EISDIR, EEXIST, EEXIST, EISDIR, EISDIR, FILE_ODD },
};

static void make_kind(int kind)
{
    switch (kind) {
    case FILE_:
        close(put(dir, "name", "old"));
        break;
    case LINK:
        ck_assert_int_eq(symlinkat("victim", dir, "name"), 0);
        break;
    case DANGLING:
        ck_assert_int_eq(symlinkat("nowhere", dir, "name"), 0);
        break;
    case FIFO:
        ck_assert_int_eq(mkfifoat(dir, "name", 0600), 0);
        break;
    case DIRECTORY:
        ck_assert_int_eq(mkdirat(dir, "name", 0700), 0);
        break;
    default:
        break;
    }
}

static int do_create(void)
{
    int fd = -1, rc = file_create(dir, "name", 0600, &fd);

    close(fd);
    return rc;
}

static int do_append(void)
{
    int fd = -1, rc = file_append(dir, "name", 0600, &fd);

    if (rc == 0)
        ck_assert_int_eq(file_write(fd, "+", 1), 0);
    close(fd);
    return rc;
}

static int do_link(void) { return file_link(dir, "new", dir, "name", device(), inode(dir, "new")); }
static int do_move(void) { return file_move(dir, "new", dir, "name"); }
static int do_replace(void) { return file_replace(dir, "new", "name"); }
static int do_remove(void) { return file_remove(dir, "name"); }

static const struct { const char *name; int (*call)(void); size_t want; const char *after; } calls[] = {
#define WANT(member) offsetof(__typeof__(kinds[0]), member)
    { "create",  do_create,  WANT(create),  "" },
    { "append",  do_append,  WANT(append),  NULL },
    { "link",    do_link,    WANT(link),    "new" },
    { "move",    do_move,    WANT(move),    "new" },
    { "replace", do_replace, WANT(replace), "new" },
    { "remove",  do_remove,  WANT(remove),  NULL },
};

START_TEST(call_meets_kind)
{
    size_t call = (size_t)_i / COUNT(kinds), kind = (size_t)_i % COUNT(kinds);
    int want = *(const int *)((const char *)&kinds[kind] + calls[call].want), got;
    ino_t before;

    close(put(dir, "victim", "untouched"));
    close(put(dir, "new", "new"));
    make_kind(kinds[kind].kind);
    before = inode(dir, "name");
    got = calls[call].call();
    ck_assert_msg(got == want, "%s: %s answers %d, not %d", calls[call].name, kinds[kind].name, got, want);
    if (got != 0)
        ck_assert_uint_eq(inode(dir, "name"), before);
    else if (calls[call].after)
        ck_assert_str_eq(get(dir, "name"), calls[call].after);
    ck_assert_str_eq(get(dir, "victim"), "untouched");
    ck_assert(got == 0 || strcmp(get(dir, "new"), "new") == 0);
    ck_assert_uint_eq(inode(dir, "nowhere"), 0);
}
END_TEST

START_TEST(open_rw_meets_kind)
{
    int fd = -1;
    struct stat st;
    enum file_result want = kinds[_i].open;

    close(put(dir, "victim", "untouched"));
    make_kind(kinds[_i].kind);
    ck_assert_int_eq(file_open_rw(dir, "name", &fd, &st), want);
    ck_assert_int_eq(fd >= 0, want == FILE_OK);
    if (want == FILE_OK)
        ck_assert_int_eq(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDWR);
    close(fd);
}
END_TEST

START_TEST(append_adds)
{
    close(put(dir, "name", "old"));
    ck_assert_int_eq(do_append(), 0);
    ck_assert_int_eq(do_append(), 0);
    ck_assert_str_eq(get(dir, "name"), "old++");
}
END_TEST

/* --- links and moves --- */

START_TEST(link_is_the_same_file)
{
    struct stat st;

    close(put(dir, "new", "new"));
    ck_assert_int_eq(do_link(), 0);
    ck_assert_int_eq(fstatat(dir, "name", &st, 0), 0);
    ck_assert_uint_eq(st.st_nlink, 2);
    ck_assert_uint_eq(st.st_ino, inode(dir, "new"));
}
END_TEST

/* Somebody put another file, or a symlink, under the name after we had looked. */
START_TEST(link_to_another_inode_is_taken_back)
{
    ino_t meant;

    close(put(dir, "meant", "meant"));
    meant = inode(dir, "meant");
    if (_i == 0)
        close(put(dir, "new", "other"));
    else
        ck_assert_int_eq(symlinkat("meant", dir, "new"), 0);
    ck_assert_int_eq(file_link(dir, "new", dir, "name", device(), meant), ESTALE);
    ck_assert_uint_eq(inode(dir, "name"), 0);
    ck_assert_uint_ne(inode(dir, "new"), 0);
    ck_assert_str_eq(get(dir, "meant"), "meant");
}
END_TEST

START_TEST(another_file_system)
{
    go_far();
    close(put(dir, "new", "new"));
    ck_assert_int_eq(file_link(dir, "new", far_dir, "name", device(), inode(dir, "new")), EXDEV);
    ck_assert_int_eq(file_move(dir, "new", far_dir, "name"), EXDEV);
    ck_assert_str_eq(get(dir, "new"), "new");
    ck_assert_uint_eq(inode(far_dir, "name"), 0);
}
END_TEST

START_TEST(directories_move_too)
{
    ck_assert_int_eq(file_make_dir(dir, "new", 0700), 0);
    ck_assert_int_eq(file_make_dir(dir, "new", 0700), EEXIST);
    ck_assert_int_eq(do_move(), 0);
    close(put(dir, "name/x", ""));
    ck_assert_int_eq(file_remove_dir(dir, "name"), ENOTEMPTY);
    ck_assert_int_eq(file_remove(dir, "name/x"), 0);
    ck_assert_int_eq(file_remove_dir(dir, "name"), 0);
    ck_assert_int_eq(file_remove_dir(dir, "name"), ENOENT);
}
END_TEST

/* --- paths of several levels, with the kernel's help and without --- */

#define LONG "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"
#define TOO_LONG LONG LONG LONG

static const struct { const char *path; int open, make; } below[] = {
    { "",            0,            0 },
    { ".",           0,            0 },
    { "a",           0,            0 },
    { "a/b/c",       0,            0 },
    { "a//b/./c/",   0,            0 },
    { "a/..x",       0,            0 },
    { "new",         ENOENT,       0 },
    { "a/new/new",   ENOENT,       0 },
    { "..",          EXDEV,        EXDEV },
    { "a/..",        EXDEV,        EXDEV },
    { "a/../a",      EXDEV,        EXDEV },
    { "new/../../x", EXDEV,        EXDEV },
    { "/",           EXDEV,        EXDEV },
    { "/tmp",        EXDEV,        EXDEV },
    { "a/in",        ELOOP,        ELOOP },
    { "a/in/c",      ELOOP,        ELOOP },
    { "out",         ELOOP,        ELOOP },
    { "out/x",       ELOOP,        ELOOP },
    { "dangling",    ELOOP,        ELOOP },
    { "a/file",      ENOTDIR,      ENOTDIR },
    { "a/file/x",    ENOTDIR,      ENOTDIR },
    { "fifo",        ENOTDIR,      ENOTDIR },
    { TOO_LONG,      ENAMETOOLONG, ENAMETOOLONG },
};

static void make_levels(void)
{
    static const char *const dirs[] = { "a", "a/b", "a/b/c", "a/..x" };
    static const char *const links[][2] = { { "b", "a/in" }, { "/tmp", "out" }, { "nowhere", "dangling" } };

    for (size_t i = 0; i < COUNT(dirs); i++)
        ck_assert_int_eq(mkdirat(dir, dirs[i], 0700), 0);
    for (size_t i = 0; i < COUNT(links); i++)
        ck_assert_int_eq(symlinkat(links[i][0], dir, links[i][1]), 0);
    close(put(dir, "a/file", ""));
    ck_assert_int_eq(mkfifoat(dir, "fifo", 0600), 0);
}

/* From here on this process has no openat2, as on an old kernel (ENOSYS) or in a container (EPERM). */
static void forbid_openat2(int error)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat2, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = { COUNT(code), code };

    ck_assert_int_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    ck_assert_int_eq(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
    ck_assert_int_eq(syscall(SYS_openat2, dir, ".", NULL, 0), -1);
    ck_assert_int_eq(errno, error);
}

static const int kernels[] = { 0, ENOSYS, EPERM };

START_TEST(opens_below)
{
    const char *name = below[(size_t)_i / COUNT(kernels)].path;
    int kernel = kernels[(size_t)_i % COUNT(kernels)], want = below[(size_t)_i / COUNT(kernels)].open, got, fd = -1;

    make_levels();
    if (kernel)
        forbid_openat2(kernel);
    got = file_open_below(dir, name, &fd);
    ck_assert_msg(got == want, "'%s': %d, not %d", name, got, want);
    if (want == 0)
        ck_assert_uint_eq(inode(fd, "."), inode(dir, *name ? name : "."));
    else
        ck_assert_int_eq(fd, -1);
    close(fd);
}
END_TEST

START_TEST(makes_below)
{
    const char *name = below[_i].path;
    int want = below[_i].make, got, fd = -1;
    bool made = false;

    make_levels();
    got = file_make_below(dir, name, &fd, &made);
    ck_assert_msg(got == want, "'%s': %d, not %d", name, got, want);
    ck_assert_int_eq(made, below[_i].open == ENOENT);
    if (want == 0)
        ck_assert_uint_eq(inode(fd, "."), inode(dir, *name ? name : "."));
    close(fd);
    ck_assert_uint_eq(inode(dir, "nowhere"), 0);
}
END_TEST

/* --- contents --- */

static const size_t sizes[] = { 0, 1, 65535, 65536, 65537, 300000 };

/* A file of n bytes that differ from their neighbours. */
static int sized(size_t n)
{
    static unsigned char bytes[300000];
    int fd = put(dir, "from", "");

    for (size_t i = 0; i < n; i++)
        bytes[i] = (unsigned char)(i * 7 + i / 251);
    ck_assert_int_eq(pwrite(fd, bytes, n, 0), (ssize_t)n);
    return fd;
}

static void sum(int fd, char hex[DIGEST_HEX + 1])
{
    struct digest *d = digest_new();
    unsigned char bytes[777];
    ssize_t n;

    ck_assert_ptr_nonnull(d);
    for (off_t at = 0; (n = pread(fd, bytes, sizeof(bytes), at)) > 0; at += n)
        digest_add(d, bytes, (size_t)n);
    digest_end(d, hex);
    digest_free(d);
}

START_TEST(copies)
{
    struct digest *d = digest_new();
    char passing[DIGEST_HEX + 1], from_sum[DIGEST_HEX + 1], to_sum[DIGEST_HEX + 1];
    int from = sized(sizes[_i]), to = put(dir, "to", "");
    uint64_t size = 1;

    ck_assert_int_eq(lseek(from, 0, SEEK_END), (off_t)sizes[_i]);
    write_at_most = 4000;
    ck_assert_int_eq(file_copy(from, to, &size, d), 0);
    digest_end(d, passing);
    digest_free(d);
    ck_assert_uint_eq(size, sizes[_i]);
    sum(from, from_sum);
    sum(to, to_sum);
    ck_assert_str_eq(from_sum, to_sum);
    ck_assert_str_eq(from_sum, passing);
    ck_assert_int_eq(file_copy(from, to, &size, NULL), 0);
    ck_assert_int_eq(lseek(to, 0, SEEK_CUR), (off_t)sizes[_i] * 2);
}
END_TEST

START_TEST(copy_does_not_run_after_a_growing_file)
{
    int from = sized(100), to = put(dir, "to", "");
    uint64_t size = 77;

    grow_fd = openat(dir, "from", O_WRONLY | O_APPEND | O_CLOEXEC);
    ck_assert_int_eq(file_copy(from, to, &size, NULL), ESTALE);
    ck_assert_uint_eq(size, 77);
}
END_TEST

START_TEST(full_disk)
{
    int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
    uint64_t size = 77;

    ck_assert_int_eq(file_write(fd, "x", 1), ENOSPC);
    ck_assert_int_eq(file_copy(sized(100), fd, &size, NULL), ENOSPC);
    ck_assert_uint_eq(size, 77);
}
END_TEST

START_TEST(reserves)
{
    int fd = put(dir, "reserve", "");
    struct stat st;

    no_fallocate = _i;
    ck_assert_int_eq(file_reserve(fd, 0), 0);
    ck_assert_int_eq(file_reserve(fd, 300001), 0);
    ck_assert_int_eq(fsync(fd), 0);
    ck_assert_int_eq(fstat(fd, &st), 0);
    ck_assert_int_eq(st.st_size, 300001);
    ck_assert_int_ge(st.st_blocks * 512, 300001);
}
END_TEST

/* Nothing is there until it gets its name, and what has the name stays. */
START_TEST(unnamed)
{
    int fd;

    ck_assert_int_eq(file_create_unnamed(dir, 0600, &fd), 0);
    ck_assert_int_eq(file_write(fd, "new", 3), 0);
    close(put(dir, "taken", "old"));
    ck_assert_int_eq(file_give_name(fd, dir, "taken"), EEXIST);
    ck_assert_str_eq(get(dir, "taken"), "old");
    ck_assert_int_eq(file_give_name(fd, dir, "name"), 0);
    ck_assert_str_eq(get(dir, "name"), "new");
}
END_TEST

/* --- attributes --- */

START_TEST(attributes)
{
    const struct stat like = { .st_atim = { 1000000000, 111 }, .st_mtim = { 1100000000, 222 } };
    const struct timespec now = { 1200000000, 333 };
    struct stat st;
    int fd = put(dir, "name", "");

    ck_assert_int_eq(symlinkat("name", dir, "link"), 0);
    ck_assert_int_eq(file_set_mode(fd, 0600), 0);
    ck_assert_int_eq(file_set_owner(fd, geteuid(), getegid()), 0);
    ck_assert_int_eq(file_set_times(fd, &like), 0);
    ck_assert_int_eq(file_touch(dir, "link", &now), 0);
    ck_assert_int_eq(fstat(fd, &st), 0);
    ck_assert_uint_eq(st.st_mode & 07777, 0600);
    ck_assert_int_eq(st.st_atim.tv_sec, 1000000000);
    ck_assert_int_eq(st.st_mtim.tv_sec, 1100000000);
    ck_assert_int_eq(st.st_mtim.tv_nsec, 222);
    ck_assert_int_eq(file_touch(dir, "name", &now), 0);
    ck_assert_int_eq(fstat(fd, &st), 0);
    ck_assert_int_eq(st.st_mtim.tv_sec, 1200000000);
    ck_assert_int_eq(st.st_mtim.tv_nsec, 333);
    ck_assert_int_eq(st.st_atim.tv_sec, 1000000000);
}
END_TEST

START_TEST(owner)
{
    struct stat st;
    int fd = put(dir, "name", "");

    if (geteuid() == 0) {
        ck_assert_int_eq(file_set_owner(fd, 1234, 2345), 0);
        ck_assert_int_eq(fstat(fd, &st), 0);
        ck_assert_uint_eq(st.st_uid, 1234);
        ck_assert_uint_eq(st.st_gid, 2345);
    } else {
        ck_assert_int_eq(file_set_owner(fd, geteuid() + 1, getegid()), EPERM);
    }
}
END_TEST

/* --- signals --- */

static int fd_for_calls;
static int do_sync(void) { return file_sync(fd_for_calls); }
static int do_write(void) { return file_write(fd_for_calls, "x", 1); }
static int do_mode(void) { return file_set_mode(fd_for_calls, 0600); }
static int do_make_dir(void) { return file_make_dir(dir, "name", 0700); }

static const struct { int (*call)(void); bool on_file; } interruptible[] = {
    { do_sync, false }, { do_write, false }, { do_mode, false }, { do_make_dir, false }, { do_link, false }, { do_move, false }, { do_remove, true },
};

START_TEST(interrupted_calls_are_repeated)
{
    fd_for_calls = put(dir, "new", "");
    if (interruptible[_i].on_file)
        close(put(dir, "name", ""));
    interruptions = INT_MAX;
    ck_assert_int_eq(interruptible[_i].call(), EINTR);
    interruptions = 10;
    ck_assert_int_eq(interruptible[_i].call(), 0);
    ck_assert_int_eq(interruptions, 0);
}
END_TEST

/* --- locks --- */

START_TEST(flock_is_exclusive)
{
    int fd = put(dir, "name", ""), other = openat(dir, "name", O_RDONLY | O_CLOEXEC);

    ck_assert_int_eq(file_lock_flock(fd), 0);
    ck_assert_int_eq(file_lock_flock(other), EAGAIN);
    close(fd);
    ck_assert_int_eq(file_lock_flock(other), 0);
}
END_TEST

/* A mail server's POSIX lock on the first ten bytes, in a process of its own. */
static const struct { off_t start, len; int want; } ranges[] = {
    { 0, 5, EAGAIN }, { 9, 1, EAGAIN }, { 10, 5, 0 }, { 0, 0, EAGAIN }, { 11, 0, 0 },
};

START_TEST(range_meets_posix_locks)
{
    int fd = put(dir, "name", "0123456789abcdef"), ready[2], end[2];
    char byte;
    pid_t pid;

    ck_assert_int_eq(pipe(ready), 0);
    ck_assert_int_eq(pipe(end), 0);
    pid = fork();
    if (pid == 0) {
        struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 10 };

        close(end[1]);
        _exit(fcntl(fd, F_SETLK, &lock) < 0 || write(ready[1], "x", 1) != 1 || read(end[0], &byte, 1) != 0);
    }
    ck_assert_int_gt(pid, 0);
    close(ready[1]);
    ck_assert_int_eq(read(ready[0], &byte, 1), 1);
    ck_assert_int_eq(file_lock_range(fd, ranges[_i].start, ranges[_i].len), ranges[_i].want);
    close(end[0]);
    close(end[1]);
    ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
    ck_assert_int_eq(file_lock_range(fd, ranges[_i].start, ranges[_i].len), 0);
}
END_TEST

/* The descriptor owns it, not the process: closing another one of the same file does not let go. */
START_TEST(range_survives_other_descriptors)
{
    int fd = put(dir, "name", ""), other = openat(dir, "name", O_RDWR | O_CLOEXEC), third;

    ck_assert_int_eq(file_lock_range(fd, 0, 0), 0);
    ck_assert_int_eq(file_lock_range(other, 0, 0), EAGAIN);
    close(other);
    third = openat(dir, "name", O_RDWR | O_CLOEXEC);
    ck_assert_int_eq(file_lock_range(third, 0, 0), EAGAIN);
}
END_TEST

/* --- digest: vectors of FIPS 180-4's examples --- */

static const struct { const char *text; unsigned times; const char *hex; } vectors[] = {
    { "", 1, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
    { "abc", 1, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
    { "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 1, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1" },
    { "a", 1000000, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0" },
};

START_TEST(digests)
{
    struct digest *d = digest_new();
    char hex[DIGEST_HEX + 1];

    for (int again = 0; again < 2; again++) {
        for (unsigned i = 0; i < vectors[_i].times; i++)
            digest_add(d, vectors[_i].text, strlen(vectors[_i].text));
        digest_end(d, hex);
        ck_assert_str_eq(hex, vectors[_i].hex);
    }
    digest_add(d, "forgotten", 9);
    digest_begin(d);
    digest_add(d, "abc", 3);
    digest_end(d, hex);
    ck_assert_str_eq(hex, vectors[1].hex);
    digest_free(d);
    digest_free(NULL);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("file");
    TCase *t = tcase_create("file");
    SRunner *sr;
    int failed;

    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_loop_test(t, call_meets_kind, 0, COUNT(calls) * COUNT(kinds));
    tcase_add_loop_test(t, open_rw_meets_kind, 0, COUNT(kinds));
    tcase_add_test(t, append_adds);
    tcase_add_test(t, link_is_the_same_file);
    tcase_add_loop_test(t, link_to_another_inode_is_taken_back, 0, 2);
    tcase_add_test(t, another_file_system);
    tcase_add_test(t, directories_move_too);
    tcase_add_loop_test(t, opens_below, 0, COUNT(below) * COUNT(kernels));
    tcase_add_loop_test(t, makes_below, 0, COUNT(below));
    tcase_add_loop_test(t, copies, 0, COUNT(sizes));
    tcase_add_test(t, copy_does_not_run_after_a_growing_file);
    tcase_add_test(t, full_disk);
    tcase_add_loop_test(t, reserves, 0, 2);
    tcase_add_test(t, unnamed);
    tcase_add_test(t, attributes);
    tcase_add_test(t, owner);
    tcase_add_loop_test(t, interrupted_calls_are_repeated, 0, COUNT(interruptible));
    tcase_add_test(t, flock_is_exclusive);
    tcase_add_loop_test(t, range_meets_posix_locks, 0, COUNT(ranges));
    tcase_add_test(t, range_survives_other_descriptors);
    tcase_add_loop_test(t, digests, 0, COUNT(vectors));
    suite_add_tcase(s, t);
    sr = srunner_create(s);
    srunner_run_all(sr, CK_NORMAL);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed ? 1 : 0;
}
