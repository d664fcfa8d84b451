/* Walking and removing trees: names are read and sorted directory by directory, so nothing changes under a running readdir. */
#include "tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "file.h"

struct names {
    char *text;             /* type byte, name, NUL; … */
    size_t n, cap;
    size_t *at;
    size_t count, at_cap;
    bool failed;
};

static int remember(void *ctx, const char *name, size_t len, unsigned char type)
{
    struct names *l = ctx;

    if (l->n + len + 2 > l->cap) {
        size_t cap = l->cap ? l->cap * 2 : 4096;
        char *more = realloc(l->text, cap);

        if (!more)
            return l->failed = true;
        l->text = more;
        l->cap = cap;
    }
    if (l->count == l->at_cap) {
        size_t cap = l->at_cap ? l->at_cap * 2 : 64;
        size_t *more = realloc(l->at, cap * sizeof(*more));

        if (!more)
            return l->failed = true;
        l->at = more;
        l->at_cap = cap;
    }
    l->at[l->count++] = l->n;
    l->text[l->n++] = (char)type;
    memcpy(l->text + l->n, name, len + 1);
    l->n += len + 1;
    return 0;
}

static int by_name(const void *a, const void *b, void *text)
{
    const char *t = text;

    return strcmp(t + *(const size_t *)a + 1, t + *(const size_t *)b + 1);
}

static int list(int dirfd, struct names *l)
{
    memset(l, 0, sizeof(*l));
    if (file_each(dirfd, remember, l) != FILE_OK)
        return errno ? errno : EIO;
    if (l->failed)
        return ENOMEM;
    if (l->count > 1)
        qsort_r(l->at, l->count, sizeof(*l->at), by_name, l->text);
    return 0;
}

static void list_done(struct names *l)
{
    free(l->text);
    free(l->at);
}

static mode_t type_of(int dirfd, const char *entry)
{
    struct stat st;

    if (entry[0] != DT_UNKNOWN)
        return DTTOIF((unsigned char)entry[0]);
    return fstatat(dirfd, entry + 1, &st, AT_SYMLINK_NOFOLLOW) == 0 ? st.st_mode & S_IFMT : 0;
}

struct walk {
    char path[TREE_PATH];
    const char *skip;
    tree_fn *each;
    int (*leave)(int dirfd);
    void *ctx;
};

static int walk_dir(struct walk *w, int dirfd, size_t len, unsigned depth);

static int walk_entry(struct walk *w, int dirfd, const char *entry, size_t len, unsigned depth)
{
    const char *name = entry + 1;
    size_t n = strlen(name);
    mode_t type = type_of(dirfd, entry);
    int below, rc;

    if (len + n + 2 > sizeof(w->path))
        return ENAMETOOLONG;
    memcpy(w->path + len, name, n + 1);
    if (type != S_IFDIR) {
        struct tree_file file = { dirfd, name, w->path, type == S_IFREG };

        return w->each && type != 0 ? w->each(w->ctx, &file) : 0;
    }
    rc = file_open_below(dirfd, name, &below);
    if (rc)
        return rc;
    w->path[len + n] = '/';
    rc = walk_dir(w, below, len + n + 1, depth + 1);
    close(below);
    return rc;
}

static int walk_dir(struct walk *w, int dirfd, size_t len, unsigned depth)
{
    struct names l;
    int rc;

    if (depth > TREE_DEPTH)
        return ELOOP;
    rc = list(dirfd, &l);
    for (size_t i = 0; rc == 0 && i < l.count; i++) {
        const char *entry = l.text + l.at[i];

        if (depth > 0 || !w->skip || strcmp(entry + 1, w->skip) != 0)
            rc = walk_entry(w, dirfd, entry, len, depth);
    }
    list_done(&l);
    return rc == 0 && w->leave ? w->leave(dirfd) : rc;
}

int tree_walk(int dirfd, const char *skip, tree_fn *each, void *ctx)
{
    struct walk w = { .skip = skip, .each = each, .ctx = ctx };

    return walk_dir(&w, dirfd, 0, 0);
}

int tree_any_file(void *ctx, const struct tree_file *file)
{
    (void)ctx, (void)file;
    return -1;
}

int tree_sync_dirs(int dirfd)
{
    struct walk w = { .leave = file_sync };

    return walk_dir(&w, dirfd, 0, 0);
}

static int remove_entry(int dirfd, const char *entry, unsigned depth);

static int empty_dir(int dirfd, unsigned depth)
{
    struct names l;
    int rc = depth > TREE_DEPTH ? ELOOP : list(dirfd, &l);

    if (rc == ELOOP)
        return rc;
    for (size_t i = 0; rc == 0 && i < l.count; i++)
        rc = remove_entry(dirfd, l.text + l.at[i], depth);
    list_done(&l);
    return rc;
}

static int remove_entry(int dirfd, const char *entry, unsigned depth)
{
    const char *name = entry + 1;
    int below, rc;

    if (type_of(dirfd, entry) != S_IFDIR) {
        rc = file_remove(dirfd, name);
        return rc == ENOENT ? 0 : rc;
    }
    rc = file_open_below(dirfd, name, &below);
    if (rc == 0) {
        rc = empty_dir(below, depth + 1);
        close(below);
    }
    if (rc == 0)
        rc = file_remove_dir(dirfd, name);
    return rc == ENOENT ? 0 : rc;
}

int tree_remove(int dirfd, const char *name)
{
    char *entry = malloc(strlen(name) + 2);
    int rc;

    if (!entry)
        return ENOMEM;
    entry[0] = DT_UNKNOWN;
    strcpy(entry + 1, name);
    rc = remove_entry(dirfd, entry, 0);
    free(entry);
    return rc;
}
