/*
 * Asking other programs, or letting them work: by absolute path with a small environment of our own, nothing on standard input, bounded
 * output and a time limit. What the answer means is for others.
 */
#include "program.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { NAP_MS = 5 };

static int64_t milliseconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Collect what comes before the deadline; false when it did not end in time. */
static bool read_answer(int fd, int64_t deadline, char *text, size_t size, size_t *n)
{
    for (;;) {
        struct pollfd p = { .fd = fd, .events = POLLIN };
        int64_t left = deadline - milliseconds();
        ssize_t got;

        if (left <= 0 || (poll(&p, 1, (int)left) < 0 && errno != EINTR))
            return false;
        if (p.revents == 0)
            continue;
        got = read(fd, text + *n, size - *n);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got == 0;
        *n += (size_t)got;
        if (*n == size)
            return false;
    }
}

/* The child's status once it ended; after the deadline it is killed. Only ever this child. */
static bool ended_well(pid_t pid, int64_t deadline, bool in_time)
{
    int status;
    pid_t r;

    while ((r = waitpid(pid, &status, in_time ? WNOHANG : 0)) == 0 || (r < 0 && errno == EINTR)) {
        if (r < 0)
            continue;
        in_time = milliseconds() < deadline;
        if (in_time)
            poll(NULL, 0, NAP_MS);
        else
            kill(pid, SIGKILL);
    }
    /* A host program that ignores SIGCHLD gets no status; the answer counts. */
    return r < 0 ? in_time : in_time && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* out: its standard output; -1: nobody listens, and it is on its own. */
static bool spawn(pid_t *pid, char *const argv[], int out)
{
    static char path[] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin", locale[] = "LC_ALL=C";
    char *env[] = { path, locale, NULL };
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attr;
    sigset_t none, all;
    int rc;

    sigemptyset(&none);
    sigfillset(&all);
    if (posix_spawn_file_actions_init(&files) != 0)
        return false;
    if (posix_spawnattr_init(&attr) != 0) {
        posix_spawn_file_actions_destroy(&files);
        return false;
    }
    posix_spawnattr_setflags(&attr, (short)(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | (out < 0 ? POSIX_SPAWN_SETSID : 0)));
    posix_spawnattr_setsigmask(&attr, &none);
    posix_spawnattr_setsigdefault(&attr, &all);
    rc = posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
    if (rc == 0)
        rc = out < 0 ? posix_spawn_file_actions_addopen(&files, 1, "/dev/null", O_WRONLY, 0) : posix_spawn_file_actions_adddup2(&files, out, 1);
    if (rc == 0)
        rc = posix_spawn_file_actions_addopen(&files, 2, "/dev/null", O_WRONLY, 0);
    if (rc == 0)
        rc = posix_spawn(pid, argv[0], &files, &attr, argv, env);
    posix_spawnattr_destroy(&attr);
    posix_spawn_file_actions_destroy(&files);
    return rc == 0;
}

bool program_ask(char *const argv[], int timeout_ms, char text[PROGRAM_ANSWER_MAX])
{
    int64_t deadline = milliseconds() + timeout_ms;
    size_t n = 0;
    int fds[2];
    bool fine;
    pid_t pid;

    if (pipe2(fds, O_CLOEXEC) < 0)
        return false;
    if (!spawn(&pid, argv, fds[1])) {
        close(fds[0]);
        close(fds[1]);
        return false;
    }
    close(fds[1]);
    fine = read_answer(fds[0], deadline, text, PROGRAM_ANSWER_MAX - 1, &n);
    close(fds[0]);
    if (!fine)
        kill(pid, SIGKILL);
    text[n] = '\0';
    return ended_well(pid, deadline, fine) && fine && strlen(text) == n;
}

enum program_end program_run(char *const argv[], int timeout_ms)
{
    int64_t deadline = milliseconds() + timeout_ms;
    int status;
    pid_t pid, r;

    if (!spawn(&pid, argv, -1))
        return PROGRAM_MISSING;
    while ((r = waitpid(pid, &status, WNOHANG)) == 0 || (r < 0 && errno == EINTR)) {
        if (milliseconds() >= deadline)
            return PROGRAM_LATE;
        poll(NULL, 0, NAP_MS);
    }
    return r > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0 ? PROGRAM_DONE : PROGRAM_FAILED;
}

const char *program_first(const char *const *programs)
{
    for (; programs && *programs; programs++)
        if (access(*programs, X_OK) == 0)
            return *programs;
    return NULL;
}
