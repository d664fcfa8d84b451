/*
 * A directory of a test's own, below /tmp, with files in it: made before the test and removed after it, whatever the test left.
 */
#ifndef TREE_H
#define TREE_H

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char root[64];
static int root_fd;

static inline void make_root(void)
{
    strcpy(root, "/tmp/mqtools-unit-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(root));
    root_fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ck_assert_int_ge(root_fd, 0);
}

static inline void remove_root(void)
{
    char command[200];

    close(root_fd);
    snprintf(command, sizeof(command), "chmod -R u+rwX '%s'; rm -rf '%s'", root, root);
    ck_assert_int_eq(system(command), 0);
}

/* The path of something in it; good for three more calls. */
static inline const char *at(const char *path)
{
    static char full[4][600];
    static unsigned turn;
    char *out = full[turn++ % 4];

    snprintf(out, sizeof(full[0]), "%s/%s", root, path);
    return out;
}

/* Commands run in it, all of which must succeed. */
static inline void sh(const char *commands)
{
    char text[1000];

    snprintf(text, sizeof(text), "cd '%s' && set -e\n%s", root, commands);
    ck_assert_msg(system(text) == 0, "%s", text);
}

static inline void put_bytes(const char *path, const void *p, size_t n, mode_t mode)
{
    char dir[256];
    int fd;

    for (size_t i = 0; path[i]; i++)
        if (path[i] == '/') {
            snprintf(dir, sizeof(dir), "%.*s", (int)i, path);
            mkdirat(root_fd, dir, 0700);
        }
    fd = openat(root_fd, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    ck_assert_msg(fd >= 0, "%s: %s", path, strerror(errno));
    ck_assert_int_eq(write(fd, p, n), (ssize_t)n);
    ck_assert_int_eq(fchmod(fd, mode), 0);
    close(fd);
}

static inline void put(const char *path, const char *text)
{
    put_bytes(path, text, strlen(text), 0600);
}

#endif
