/*
 * faults.so, put under a command with LD_PRELOAD: counts the calls that change files below given directories, lets one of them fail or
 * ends the program there, and writes down what is on disk for sure, so that a power failure can be played afterwards (shadow.py).
 *
 *   FAULT_ROOTS=DIR:DIR    absolute, without symlinks; calls on other paths pass uncounted
 *   FAULT_STATE=FILE       8 bytes or more: the number of calls so far, common to all processes
 *   FAULT_TRACE=FILE       a line for each call: number, name, paths, how it ended
 *   FAULT_AT=N             with FAULT_ERRNO=NUMBER: call N fails so, and is not made
 *                          with FAULT_KILL=before|after: SIGKILL to the process group around call N; stop: SIGSTOP before it
 *   FAULT_FROM=N           each call from N on fails with FAULT_ERRNO; FAULT_GROWING=1: only those that a full disk refuses
 *   FAULT_READS=1          opening and reading below the roots counts and fails, too
 *   FAULT_SHADOW=DIR       writable for everybody the command becomes: DIR/ops, and DIR/files with contents at their last sync
 *   FAULT_GRAVES=DIR:DIR   beside the roots, one for each file system: what loses its last name is moved there, so that its inode lives
 *   FAULT_NOSYNC=1         syncing is noted but not done: the disk is the shadow's, and time matters
 *   FAULT_SERVE=FD         a socket: do not run, but fork for each order that comes and let the child run. Loading and linking a program takes
 *                          longer than what it does to a small queue.
 *
 * System calls are made directly, so nothing here is counted.
 */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

enum { MAX_ROOTS = 8 };

static char roots[MAX_ROOTS][PATH_MAX], graves[MAX_ROOTS][PATH_MAX];
static int root_count, grave_count, fail_errno, trace_fd = -1, ops_fd = -1, files_fd = -1;
static uint64_t at, from;
static bool kill_before, kill_after, stop_before, growing_only, reads, no_sync, active;
static _Atomic uint64_t *calls;

/* What a call is, for who fails. */
enum kind { READS, CHANGES, GROWS };

/* --- settings ---------------------------------------------------------------------------------------- */

static int split(const char *list, char out[MAX_ROOTS][PATH_MAX])
{
    int n = 0;

    while (list && *list && n < MAX_ROOTS) {
        size_t len = strcspn(list, ":");

        snprintf(out[n++], PATH_MAX, "%.*s", (int)len, list);
        list += len + (list[len] == ':');
    }
    return n;
}

static uint64_t number(const char *name)
{
    const char *value = getenv(name);

    return value ? strtoull(value, NULL, 10) : 0;
}

static int open_at(int dir, const char *path, int flags, mode_t mode)
{
    return (int)syscall(SYS_openat, dir, path, flags | O_CLOEXEC, mode);
}

static void broken(const char *what)
{
    dprintf(2, "faults.so: %s\n", what);
    abort();
}

static void open_shadow(const char *dir)
{
    int fd;

    if (!dir)
        return;
    fd = open_at(AT_FDCWD, dir, O_RDONLY | O_DIRECTORY, 0);
    ops_fd = open_at(fd, "ops", O_WRONLY | O_APPEND | O_CREAT, 0666);
    files_fd = open_at(fd, "files", O_RDONLY | O_DIRECTORY, 0);
    if (ops_fd < 0 || files_fd < 0)
        broken("no shadow");
    close(fd);
}

__attribute__((constructor)) static void start(void)
{
    const char *state = getenv("FAULT_STATE"), *trace = getenv("FAULT_TRACE"), *when = getenv("FAULT_KILL");
    int fd;

    if (!state || getenv("FAULT_SERVE"))
        return;
    fd = open_at(AT_FDCWD, state, O_RDWR, 0);
    calls = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof(*calls), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (calls == MAP_FAILED)
        broken("no state");
    close(fd);
    root_count = split(getenv("FAULT_ROOTS"), roots);
    grave_count = split(getenv("FAULT_GRAVES"), graves);
    at = number("FAULT_AT");
    from = number("FAULT_FROM");
    fail_errno = (int)number("FAULT_ERRNO");
    growing_only = number("FAULT_GROWING");
    reads = number("FAULT_READS");
    no_sync = number("FAULT_NOSYNC");
    kill_before = when && strcmp(when, "before") == 0;
    kill_after = when && strcmp(when, "after") == 0;
    stop_before = when && strcmp(when, "stop") == 0;
    if (trace)
        trace_fd = open_at(AT_FDCWD, trace, O_WRONLY | O_APPEND | O_CREAT, 0666);
    open_shadow(getenv("FAULT_SHADOW"));
    active = true;
}

/* --- many runs of one program ------------------------------------------------------------------------ */

enum { ORDER_MAX = 1 << 14 };

static int (*program)(int, char **, char **);

/* An order: the file that is to be standard output and error, then settings of this run; each ended by a NUL. */
static void follow(char *order, size_t n)
{
    int out = open_at(AT_FDCWD, order, O_WRONLY | O_CREAT | O_TRUNC, 0666);

    if (out < 0 || dup2(out, 1) < 0 || dup2(out, 2) < 0)
        broken("no output");
    close(out);
    for (char *p = order + strlen(order) + 1; p < order + n; p += strlen(p) + 1)
        if (putenv(p) != 0)
            broken("no environment");
    unsetenv("FAULT_SERVE");
    setsid();
    start();
}

/* Comes back in the children only. */
static void serve(int orders)
{
    static char order[ORDER_MAX];
    ssize_t n;

    while ((n = recv(orders, order, sizeof(order) - 1, 0)) > 0) {
        pid_t pid = fork();
        int status;

        order[n] = '\0';
        if (pid == 0) {
            close(orders);
            follow(order, (size_t)n);
            return;
        }
        if (pid < 0 || send(orders, &pid, sizeof(pid), MSG_NOSIGNAL) < 0 || waitpid(pid, &status, 0) != pid ||
            send(orders, &status, sizeof(status), MSG_NOSIGNAL) < 0)
            break;
    }
    _exit(0);
}

static int served_main(int argc, char **argv, char **env)
{
    (void)env;
    serve(atoi(getenv("FAULT_SERVE")));
    return program(argc, argv, environ);
}

typedef int start_fn(int (*)(int, char **, char **), int, char **, void (*)(void), void (*)(void), void (*)(void), void *);

EXPORT start_fn __libc_start_main;
int __libc_start_main(int (*run)(int, char **, char **), int argc, char **argv, void (*init)(void), void (*fini)(void), void (*rtld_fini)(void),
                      void *stack)
{
    start_fn *real = (start_fn *)dlsym(RTLD_NEXT, "__libc_start_main");

    program = run;
    return real(getenv("FAULT_SERVE") ? served_main : run, argc, argv, init, fini, rtld_fini, stack);
}

/* --- paths ------------------------------------------------------------------------------------------- */

static void fd_path(int fd, char out[PATH_MAX])
{
    char link[40];
    ssize_t n;

    if (fd == AT_FDCWD)
        snprintf(link, sizeof(link), "/proc/self/cwd");
    else
        snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    n = syscall(SYS_readlinkat, AT_FDCWD, link, out, PATH_MAX - 1);
    out[n < 0 ? 0 : n] = '\0';
}

static void at_path(int dir, const char *name, char out[PATH_MAX])
{
    size_t n = 0;

    out[0] = '\0';
    if (*name != '/') {
        fd_path(dir, out);
        n = strlen(out);
    }
    snprintf(out + n, PATH_MAX - n, "%s%s", *name == '/' ? "" : "/", name);
}

static bool counts(const char *path)
{
    for (int i = 0; path && i < root_count; i++) {
        size_t n = strlen(roots[i]);

        if (strncmp(path, roots[i], n) == 0 && (path[n] == '/' || path[n] == '\0'))
            return true;
    }
    return false;
}

/* --- a call's turn ------------------------------------------------------------------------------------ */

struct turn {
    uint64_t n;         /* 0: not counted */
};

static void say(int fd, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void say(int fd, const char *fmt, ...)
{
    char line[3 * PATH_MAX];
    va_list args;
    int n;

    va_start(args, fmt);
    n = vsnprintf(line, sizeof(line), fmt, args);
    va_end(args);
    if (syscall(SYS_write, fd, line, (size_t)n) != n)
        broken("a line was not written");
}

/* Everybody whom the test started; it gave them a session of their own. */
static void die(void)
{
    syscall(SYS_kill, getpgrp() == getsid(0) ? 0 : getpid(), SIGKILL);
    for (;;)
        pause();
}

static bool fails(uint64_t n, enum kind kind)
{
    if (fail_errno == 0)
        return false;
    if (from)
        return n >= from && (kind == GROWS || !growing_only);
    return n == at;
}

/* True: the call is not made, errno says why. */
static bool refused(struct turn *t, enum kind kind, const char *name, const char *path, const char *path2)
{
    int error = errno;

    t->n = 0;
    if (!active || (kind == READS && !reads) || !(counts(path) || counts(path2)))
        return false;
    t->n = atomic_fetch_add(calls, 1) + 1;
    if (trace_fd >= 0)
        say(trace_fd, "%llu %s %s%s%s\n", (unsigned long long)t->n, name, path, path2 ? " -> " : "", path2 ? path2 : "");
    if (t->n == at && kill_before)
        die();
    if (t->n == at && stop_before)
        syscall(SYS_kill, getpid(), SIGSTOP);
    errno = error;
    if (!fails(t->n, kind))
        return false;
    if (trace_fd >= 0)
        say(trace_fd, "%llu fails\n", (unsigned long long)t->n);
    errno = fail_errno;
    return true;
}

static long made(const struct turn *t, long result)
{
    if (t->n && t->n == at && kill_after)
        die();
    return result;
}

/* --- the shadow --------------------------------------------------------------------------------------- */

/* A name in a directory. */
struct slot {
    dev_t dev;
    ino_t dir;
    char name[3 * NAME_MAX + 1];    /* blanks and what is not ASCII as %XX */
};

static void escape(const char *name, char out[3 * NAME_MAX + 1])
{
    size_t n = 0;

    for (; *name && n < 3 * NAME_MAX - 3; name++) {
        unsigned char c = (unsigned char)*name;

        n += (size_t)snprintf(out + n, 4, c <= ' ' || c >= 127 || c == '%' ? "%%%02X" : "%c", c);
    }
}

static bool slot_of(int dir, const char *name, struct slot *s)
{
    const char *slash = strrchr(name, '/');
    char parent[PATH_MAX];
    struct stat st;

    snprintf(parent, sizeof(parent), "%.*s", slash ? (int)(slash - name) : 1, slash ? name : ".");
    if (slash == name)
        snprintf(parent, sizeof(parent), "/");
    if (fstatat(dir, parent, &st, 0) < 0)
        return false;
    s->dev = st.st_dev;
    s->dir = st.st_ino;
    escape(slash ? slash + 1 : name, s->name);
    return true;
}

static bool look(int dir, const char *name, struct stat *st)
{
    return fstatat(dir, name, st, AT_SYMLINK_NOFOLLOW) == 0;
}

static void note(const char *op, const struct slot *s, const struct stat *st)
{
    if (ops_fd >= 0)
        say(ops_fd, "%s %llu:%llu %s %llu:%llu\n", op, (unsigned long long)s->dev, (unsigned long long)s->dir, s->name,
            (unsigned long long)st->st_dev, (unsigned long long)st->st_ino);
}

static void note_rename(const struct slot *old, const struct slot *new, const struct stat *st)
{
    if (ops_fd >= 0)
        say(ops_fd, "rename %llu:%llu %s %llu:%llu %llu:%llu %s\n", (unsigned long long)old->dev, (unsigned long long)old->dir, old->name,
            (unsigned long long)st->st_dev, (unsigned long long)st->st_ino, (unsigned long long)new->dev, (unsigned long long)new->dir,
            new->name);
}

/* A path in the graveyard of this file system; false: there is none. */
static bool grave(const struct stat *st, char out[PATH_MAX + 40])
{
    struct stat yard;

    if (ops_fd < 0)
        return false;
    for (int i = 0; i < grave_count; i++)
        if (stat(graves[i], &yard) == 0 && yard.st_dev == st->st_dev) {
            snprintf(out, PATH_MAX + 40, "%.4000s/%c%llu", graves[i], S_ISDIR(st->st_mode) ? 'd' : 'f', (unsigned long long)st->st_ino);
            return true;
        }
    return false;
}

static bool is_empty(int dir, const char *name)
{
    int fd = open_at(dir, name, O_RDONLY | O_DIRECTORY, 0);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    int n = 0;

    if (!d)
        return false;
    while (readdir(d))
        n++;
    closedir(d);
    return n == 2;
}

static void copy_bytes(int in, int out)
{
    char block[1 << 14];
    off_t place = 0;
    ssize_t n;

    while ((n = syscall(SYS_pread64, in, block, sizeof(block), place)) > 0) {
        if (syscall(SYS_write, out, block, (size_t)n) != n)
            broken("a shadow was not written");
        place += n;
    }
    if (n < 0)
        broken("a synced file cannot be read");
}

/* As root where the command works as somebody else just now: it may sync what it could not open. */
static void keep_content(int fd, const struct stat *st)
{
    char link[40], name[60], temp[70];
    int in, out;
    long uid = syscall(SYS_setfsuid, 0);

    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    snprintf(name, sizeof(name), "%llu:%llu", (unsigned long long)st->st_dev, (unsigned long long)st->st_ino);
    snprintf(temp, sizeof(temp), "%s.new", name);
    in = open_at(AT_FDCWD, link, O_RDONLY, 0);
    out = open_at(files_fd, temp, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    if (in < 0 || out < 0)
        broken("a synced file cannot be kept");
    copy_bytes(in, out);
    close(in);
    close(out);
    if (syscall(SYS_renameat2, files_fd, temp, files_fd, name, 0) != 0)
        broken("a shadow has no name");
    syscall(SYS_setfsuid, uid);
}

static void note_sync(int fd)
{
    struct stat st;

    if (ops_fd < 0 || fstat(fd, &st) < 0)
        return;
    if (S_ISREG(st.st_mode))
        keep_content(fd, &st);
    say(ops_fd, "%s %llu:%llu %o %u %u %lld.%09ld\n", S_ISDIR(st.st_mode) ? "syncdir" : "syncfile", (unsigned long long)st.st_dev,
        (unsigned long long)st.st_ino, st.st_mode & 07777, st.st_uid, st.st_gid, (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
}

/* --- the calls: names ---------------------------------------------------------------------------------- */

static long open_noting(int dir, const char *path, int flags, mode_t mode)
{
    struct stat st;
    struct slot s;
    bool fresh = (flags & O_CREAT) && ops_fd >= 0 && !look(dir, path, &st) && slot_of(dir, path, &s);
    long fd = syscall(SYS_openat, dir, path, flags, mode);

    if (fd >= 0 && fresh && fstat((int)fd, &st) == 0)
        note("create", &s, &st);
    return fd;
}

static int open_any(int dir, const char *path, int flags, mode_t mode)
{
    char whole[PATH_MAX];
    struct turn t;

    at_path(dir, path, whole);
    if (refused(&t, flags & O_CREAT ? GROWS : (flags & O_ACCMODE) != O_RDONLY ? CHANGES : READS, "open", whole, NULL))
        return -1;
    return (int)made(&t, counts(whole) ? open_noting(dir, path, flags, mode) : syscall(SYS_openat, dir, path, flags, mode));
}

static mode_t mode_of(int flags, va_list args)
{
    return flags & O_CREAT || (flags & O_TMPFILE) == O_TMPFILE ? (mode_t)va_arg(args, int) : 0;
}

#define OPENAT(symbol)                                                  \
    EXPORT int symbol(int dir, const char *path, int flags, ...);       \
    EXPORT int symbol(int dir, const char *path, int flags, ...)        \
    {                                                                   \
        va_list args;                                                   \
        mode_t mode;                                                    \
                                                                        \
        va_start(args, flags);                                          \
        mode = mode_of(flags, args);                                    \
        va_end(args);                                                   \
        return open_any(dir, path, flags, mode);                        \
    }

#define OPEN(symbol)                                                    \
    EXPORT int symbol(const char *path, int flags, ...);                \
    EXPORT int symbol(const char *path, int flags, ...)                 \
    {                                                                   \
        va_list args;                                                   \
        mode_t mode;                                                    \
                                                                        \
        va_start(args, flags);                                          \
        mode = mode_of(flags, args);                                    \
        va_end(args);                                                   \
        return open_any(AT_FDCWD, path, flags, mode);                   \
    }

OPENAT(openat)
OPENAT(openat64)
OPEN(open)
OPEN(open64)
/* What packagers' -D_FORTIFY_SOURCE makes of them. */
EXPORT int __openat64_2(int dir, const char *path, int flags);
EXPORT int __openat64_2(int dir, const char *path, int flags) { return open_any(dir, path, flags, 0); }
EXPORT int __open64_2(const char *path, int flags);
EXPORT int __open64_2(const char *path, int flags) { return open_any(AT_FDCWD, path, flags, 0); }

EXPORT int mkdirat(int dir, const char *path, mode_t mode)
{
    char whole[PATH_MAX];
    struct turn t;
    struct stat st;
    struct slot s;
    long rc;

    at_path(dir, path, whole);
    if (refused(&t, GROWS, "mkdir", whole, NULL))
        return -1;
    rc = syscall(SYS_mkdirat, dir, path, mode);
    if (rc == 0 && t.n && slot_of(dir, path, &s) && look(dir, path, &st))
        note("mkdir", &s, &st);
    return (int)made(&t, rc);
}

/* Removing the last name: a move to the graveyard, so that the file can come back as the same inode. */
static long bury(int dir, const char *path, int flags)
{
    char tomb[PATH_MAX + 40];
    struct stat st;
    struct slot s;
    bool whole_dir, there = look(dir, path, &st) && slot_of(dir, path, &s) && ops_fd >= 0;
    long rc;

    whole_dir = there && S_ISDIR(st.st_mode);
    if (!there || whole_dir != ((flags & AT_REMOVEDIR) != 0) || (whole_dir && !is_empty(dir, path)) || (!whole_dir && st.st_nlink > 1) ||
        !grave(&st, tomb))
        rc = syscall(SYS_unlinkat, dir, path, flags);
    else
        rc = syscall(SYS_renameat2, dir, path, AT_FDCWD, tomb, 0);
    if (rc == 0 && there)
        note("unlink", &s, &st);
    return rc;
}

EXPORT int unlinkat(int dir, const char *path, int flags)
{
    char whole[PATH_MAX];
    struct turn t;

    at_path(dir, path, whole);
    if (refused(&t, CHANGES, flags & AT_REMOVEDIR ? "rmdir" : "unlink", whole, NULL)) {
        /* Nobody can be told that a file is not there while it is: somebody else was faster. */
        if (errno == ENOENT && bury(dir, path, flags) == 0)
            errno = ENOENT;
        return -1;
    }
    return (int)made(&t, t.n ? bury(dir, path, flags) : syscall(SYS_unlinkat, dir, path, flags));
}

EXPORT int unlink(const char *path) { return unlinkat(AT_FDCWD, path, 0); }
EXPORT int rmdir(const char *path) { return unlinkat(AT_FDCWD, path, AT_REMOVEDIR); }
EXPORT int mkdir(const char *path, mode_t mode) { return mkdirat(AT_FDCWD, path, mode); }

/* The file that loses its name to the one renamed gets a grave first. */
static bool save_target(int dir, const char *path, const struct stat *source, char tomb[PATH_MAX + 40])
{
    struct stat st;

    return look(dir, path, &st) && !S_ISDIR(st.st_mode) && st.st_nlink == 1 && st.st_ino != source->st_ino && grave(&st, tomb) &&
           syscall(SYS_linkat, dir, path, AT_FDCWD, tomb, 0) == 0;
}

static long rename_noting(int fromdir, const char *old, int todir, const char *new, unsigned flags)
{
    char tomb[PATH_MAX + 40];
    struct stat st;
    struct slot from_slot, to_slot;
    bool known = look(fromdir, old, &st) && slot_of(fromdir, old, &from_slot) && slot_of(todir, new, &to_slot);
    bool saved = known && !(flags & RENAME_NOREPLACE) && save_target(todir, new, &st, tomb);
    long rc;

    if (flags & ~(unsigned)RENAME_NOREPLACE)
        broken("a kind of rename that is not understood");
    rc = syscall(SYS_renameat2, fromdir, old, todir, new, flags);
    if (rc < 0 && saved)
        syscall(SYS_unlinkat, AT_FDCWD, tomb, 0);
    if (rc == 0 && known)
        note_rename(&from_slot, &to_slot, &st);
    return rc;
}

EXPORT int renameat2(int fromdir, const char *old, int todir, const char *new, unsigned flags)
{
    char from_path[PATH_MAX], to_path[PATH_MAX];
    struct turn t;

    at_path(fromdir, old, from_path);
    at_path(todir, new, to_path);
    if (refused(&t, GROWS, "rename", from_path, to_path))
        return -1;
    return (int)made(&t, t.n ? rename_noting(fromdir, old, todir, new, flags) : syscall(SYS_renameat2, fromdir, old, todir, new, flags));
}

EXPORT int renameat(int fromdir, const char *old, int todir, const char *new) { return renameat2(fromdir, old, todir, new, 0); }
EXPORT int rename(const char *old, const char *new) { return renameat2(AT_FDCWD, old, AT_FDCWD, new, 0); }

EXPORT int linkat(int fromdir, const char *old, int todir, const char *new, int flags)
{
    char from_path[PATH_MAX], to_path[PATH_MAX];
    struct turn t;
    struct stat st;
    struct slot s;
    long rc;

    at_path(fromdir, old, from_path);
    at_path(todir, new, to_path);
    if (refused(&t, GROWS, "link", from_path, to_path))
        return -1;
    rc = syscall(SYS_linkat, fromdir, old, todir, new, flags);
    if (rc == 0 && t.n && slot_of(todir, new, &s) && look(todir, new, &st))
        note("link", &s, &st);
    return (int)made(&t, rc);
}

EXPORT int link(const char *old, const char *new) { return linkat(AT_FDCWD, old, AT_FDCWD, new, 0); }

/* --- the calls: contents and attributes ------------------------------------------------------------------ */

/* A call on a descriptor that leaves nothing to note: its effect is in the inode, which is looked at when it is synced. */
#define ON_FD(kind, name, fd, call)                     \
    do {                                                \
        char path_[PATH_MAX];                           \
        struct turn t_ = { 0 };                         \
                                                        \
        if (active)                                     \
            fd_path(fd, path_);                         \
        if (active && refused(&t_, kind, name, path_, NULL)) \
            return -1;                                  \
        return (__typeof__(call))made(&t_, call);       \
    } while (0)

EXPORT ssize_t write(int fd, const void *p, size_t n) { ON_FD(GROWS, "write", fd, (ssize_t)syscall(SYS_write, fd, p, n)); }
EXPORT ssize_t pwrite64(int fd, const void *p, size_t n, off_t o) { ON_FD(GROWS, "write", fd, (ssize_t)syscall(SYS_pwrite64, fd, p, n, o)); }
EXPORT ssize_t read(int fd, void *p, size_t n) { ON_FD(READS, "read", fd, (ssize_t)syscall(SYS_read, fd, p, n)); }
EXPORT ssize_t pread64(int fd, void *p, size_t n, off_t o) { ON_FD(READS, "read", fd, (ssize_t)syscall(SYS_pread64, fd, p, n, o)); }
EXPORT int ftruncate64(int fd, off_t n) { ON_FD(CHANGES, "truncate", fd, (int)syscall(SYS_ftruncate, fd, n)); }
EXPORT int fallocate64(int fd, int mode, off_t o, off_t n) { ON_FD(GROWS, "fallocate", fd, (int)syscall(SYS_fallocate, fd, mode, o, n)); }
EXPORT int fchmod(int fd, mode_t mode) { ON_FD(CHANGES, "chmod", fd, (int)syscall(SYS_fchmod, fd, mode)); }
EXPORT int fchown(int fd, uid_t uid, gid_t gid) { ON_FD(CHANGES, "chown", fd, (int)syscall(SYS_fchown, fd, uid, gid)); }
EXPORT int flock(int fd, int how) { ON_FD(CHANGES, "flock", fd, (int)syscall(SYS_flock, fd, how)); }

EXPORT int futimens(int fd, const struct timespec times[2])
{
    ON_FD(CHANGES, "utimens", fd, (int)syscall(SYS_utimensat, fd, NULL, times, 0));
}

EXPORT int utimensat(int dir, const char *path, const struct timespec times[2], int flags)
{
    char whole[PATH_MAX];
    struct turn t;

    at_path(dir, path, whole);
    if (refused(&t, CHANGES, "utimens", whole, NULL))
        return -1;
    return (int)made(&t, syscall(SYS_utimensat, dir, path, times, flags));
}

static long sync_noting(int fd)
{
    long rc = no_sync ? 0 : syscall(SYS_fsync, fd);

    if (rc == 0)
        note_sync(fd);
    return rc;
}

EXPORT int fsync(int fd)
{
    char path[PATH_MAX];
    struct turn t;

    fd_path(fd, path);
    if (refused(&t, CHANGES, "fsync", path, NULL))
        return -1;
    return (int)made(&t, t.n ? sync_noting(fd) : syscall(SYS_fsync, fd));
}

EXPORT int fdatasync(int fd) { return fsync(fd); }
/* Every file of the trees that is on this file system. */
static void keep_all(int dir, dev_t dev)
{
    DIR *d = fdopendir(dir);
    struct dirent *entry;

    if (!d)
        broken("a directory cannot be read");
    while ((entry = readdir(d))) {
        int fd = strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..") ? open_at(dir, entry->d_name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0) : -1;
        struct stat st;

        if (fd < 0 || fstat(fd, &st) < 0 || st.st_dev != dev || !(S_ISREG(st.st_mode) || S_ISDIR(st.st_mode))) {
            if (fd >= 0)
                close(fd);
        } else if (S_ISDIR(st.st_mode)) {
            keep_all(fd, dev);
        } else {
            note_sync(fd);
            close(fd);
        }
    }
    closedir(d);
}

static long sync_all_noting(int fd)
{
    long rc = no_sync ? 0 : syscall(SYS_syncfs, fd), uid = syscall(SYS_setfsuid, 0);
    struct stat st, top;

    for (int i = 0; rc == 0 && ops_fd >= 0 && fstat(fd, &st) == 0 && i < root_count; i++) {
        int root = open_at(AT_FDCWD, roots[i], O_RDONLY | O_DIRECTORY, 0);

        if (root >= 0 && fstat(root, &top) == 0 && top.st_dev == st.st_dev)
            keep_all(root, st.st_dev);
        else if (root >= 0)
            close(root);
    }
    if (rc == 0 && ops_fd >= 0)
        say(ops_fd, "syncfs %llu\n", (unsigned long long)st.st_dev);
    syscall(SYS_setfsuid, uid);
    return rc;
}

EXPORT int syncfs(int fd)
{
    char path[PATH_MAX];
    struct turn t;

    fd_path(fd, path);
    if (refused(&t, CHANGES, "syncfs", path, NULL))
        return -1;
    return (int)made(&t, t.n ? sync_all_noting(fd) : syscall(SYS_syncfs, fd));
}

/* What others write on this machine must not decide how a command syncs: each run has the same calls. */
EXPORT FILE *fopen64(const char *path, const char *mode)
{
    static char quiet[] = "Dirty: 0 kB\nWriteback: 0 kB\n";
    FILE *(*real)(const char *, const char *) = (FILE *(*)(const char *, const char *))dlsym(RTLD_NEXT, "fopen64");

    return active && strcmp(path, "/proc/meminfo") == 0 ? fmemopen(quiet, strlen(quiet), "r") : real(path, mode);
}

/* They would be done, and not be in the shadow. */
EXPORT void sync(void) { broken("sync is not understood"); }

static bool is_lock(int command)
{
    return command == F_OFD_SETLK || command == F_OFD_SETLKW || command == F_SETLK || command == F_SETLKW;
}

#define FCNTL(symbol)                                                   \
    EXPORT int symbol(int fd, int command, ...);                        \
    EXPORT int symbol(int fd, int command, ...)                         \
    {                                                                   \
        va_list args;                                                   \
        void *arg;                                                      \
                                                                        \
        va_start(args, command);                                        \
        arg = va_arg(args, void *);                                     \
        va_end(args);                                                   \
        if (!is_lock(command))                                          \
            return (int)syscall(SYS_fcntl, fd, command, arg);           \
        ON_FD(CHANGES, "lock", fd, (int)syscall(SYS_fcntl, fd, command, arg)); \
    }

FCNTL(fcntl)
FCNTL(fcntl64)
