/*
 * Room for tests of the actors: a small spool made by shell commands, listed, and locks that another process holds.
 * As root the tests run twice, the second time as an ordinary user.
 */
#ifndef ACTING_H
#define ACTING_H

#include <check.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "engine.h"

enum { NOBODY = 65534 };

enum user { AS_WE_ARE, AS_ORDINARY, USERS };

static char room[64];
static struct lq_queue room_queue;
static struct spool room_spool;

/* Commands run in the room; the first that fails is the test's failure. */
static void sh(const char *commands)
{
    char text[4000];

    if (!commands)
        return;
    snprintf(text, sizeof(text), "cd '%s' && set -e\n%s", room, commands);
    ck_assert_msg(system(text) == 0, "%s", text);
}

static void room_open(enum user user, const char *commands)
{
    strcpy(room, "/tmp/check-act-XXXXXX");
    if (user == AS_ORDINARY && geteuid() == 0)
        ck_assert(setgid(NOBODY) == 0 && setuid(NOBODY) == 0);
    umask(022);
    ck_assert_ptr_nonnull(mkdtemp(room));
    sh(commands);
}

static void room_list(const struct lq_backend *backend, unsigned sections)
{
    struct lq_error err;

    room_queue = (struct lq_queue){ .backend = backend, .root = room, .fd = open(room, O_RDONLY | O_DIRECTORY | O_CLOEXEC), .live = true };
    ck_assert_int_ge(room_queue.fd, 0);
    ck_assert_int_eq(listing_begin(&room_spool, &room_queue, sections, NULL, &err), LQ_OK);
}

static void room_close(void)
{
    if (room_spool.listing)
        listing_end(&room_spool);
    if (room_queue.fd > 0)
        close(room_queue.fd);
    sh("rm -rf \"$PWD\"");
}

/* The message of this id whose key is in `dir` (NULL: the first of all). */
static const struct ref *room_ref(const char *id, const char *dir)
{
    for (size_t i = 0; i < listing_count(&room_spool); i++) {
        const struct ref *ref = listing_ref(&room_spool, i);
        const struct entry *key = &ref->entries[0];

        if (key->id_len == strlen(id) && memcmp(key->id, id, key->id_len) == 0 && (!dir || strcmp(room_spool.dirs[key->dir].path, dir) == 0))
            return ref;
    }
    ck_abort_msg("%s is not listed", id);
    return NULL;
}

static inline struct stat room_stat(const char *name)
{
    struct stat st;

    ck_assert_msg(fstatat(room_queue.fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0, "%s", name);
    return st;
}

/* "input/ID-H input/ID-D" */
static const char *parts_of(const struct claim *c)
{
    static char text[2000];
    size_t n = 0;

    text[0] = '\0';
    for (size_t i = 0; i < c->n; i++)
        n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%s/%s", i ? " " : "", room_spool.dirs[c->parts[i].dir].path, c->parts[i].name);
    return text;
}

enum lock_kind { NO_LOCK, FLOCK_EX, FLOCK_SH, POSIX_WRITE, POSIX_READ, OFD_WRITE };

struct holder {
    pid_t pid;
};

static bool take_lock(int fd, enum lock_kind kind)
{
    struct flock range = { .l_type = kind == POSIX_READ ? F_RDLCK : F_WRLCK, .l_whence = SEEK_SET };

    if (kind == FLOCK_EX || kind == FLOCK_SH)
        return flock(fd, (kind == FLOCK_EX ? LOCK_EX : LOCK_SH) | LOCK_NB) == 0;
    return fcntl(fd, kind == OFD_WRITE ? F_OFD_SETLK : F_SETLK, &range) == 0;
}

/* Another process that has the lock when this returns, until it is told to let go. */
static struct holder hold_lock(const char *name, enum lock_kind kind)
{
    struct holder h = { 0 };
    char ready;
    int fds[2];

    if (kind == NO_LOCK)
        return h;
    ck_assert_int_eq(pipe(fds), 0);
    h.pid = fork();
    ck_assert_int_ge(h.pid, 0);
    if (h.pid == 0) {
        int fd = openat(room_queue.fd, name, O_RDWR | O_CLOEXEC);

        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (fd < 0 || !take_lock(fd, kind) || write(fds[1], "", 1) != 1)
            _exit(1);
        for (;;)
            pause();
    }
    close(fds[1]);
    ck_assert_msg(read(fds[0], &ready, 1) == 1, "no lock on %s", name);
    close(fds[0]);
    return h;
}

static void let_go(struct holder h)
{
    if (h.pid > 0) {
        kill(h.pid, SIGKILL);
        waitpid(h.pid, NULL, 0);
    }
}

/* Whether somebody else can have this lock: false while a claim has it. */
static bool lockable(const char *name, enum lock_kind kind)
{
    int status, fd = openat(room_queue.fd, name, O_RDWR | O_CLOEXEC);
    pid_t pid;

    ck_assert_int_ge(fd, 0);
    close(fd);
    pid = fork();
    if (pid == 0) {
        fd = openat(room_queue.fd, name, O_RDWR | O_CLOEXEC);
        _exit(take_lock(fd, kind) ? 0 : 1);
    }
    ck_assert(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
    return WEXITSTATUS(status) == 0;
}

static const char *const result_names[] = {
    [CLAIM_OK] = "ok", [CLAIM_GONE] = "gone", [CLAIM_BUSY] = "busy", [CLAIM_OTHER] = "other", [CLAIM_REFUSED] = "refused",
};

#endif
