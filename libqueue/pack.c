/*
 * Writing archives: a sealed case in place of its tree, and evidence for others (evidence.c is about what else goes in there).
 *
 * In place: CASE/ is sealed. -> .packing-CASE.tar.zst is written, synced, read again, every hash of it compared. -> It is renamed to
 * CASE.tar.zst and the directory synced: from here it is the case. -> CASE/ is renamed to .gone-CASE and removed. Whatever comes between,
 * one of the two is whole; case.c says which counts.
 */
#include "pack.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tree.h"

/* What readers ask for comes first; then the rest of the top, then data/. */
static const char *const first_files[] = {
    "bagit.txt", "bag-info.txt", "spools.ndjson", "manifest-sha256.txt", "tagmanifest-sha256.txt", "journal.ndjson", "records.ndjson", NULL,
};

static bool is_first(const char *path)
{
    for (const char *const *f = first_files; *f; f++)
        if (strcmp(path, *f) == 0)
            return true;
    return false;
}

static int open_failed(enum file_result r)
{
    return r == FILE_GONE ? ENOENT : r == FILE_DENIED ? EACCES : r == FILE_ODD ? EINVAL : errno;
}

int pack_file(struct tar *t, int dir, const char *name, const char *path)
{
    struct stat st;
    enum file_result r;
    int fd, error;

    r = file_open(dir, name, &fd, &st);
    if (r != FILE_OK) {
        snprintf(t->why, sizeof(t->why), "%.400s", path);
        return open_failed(r);
    }
    error = tar_add_fd(t, path, &st, fd);
    close(fd);
    return error;
}

static int pack_rest(void *ctx, const struct tree_file *f)
{
    if (is_first(f->path) || strcmp(f->path, "INCOMPLETE") == 0 || strncmp(f->path, ".new-", 5) == 0)
        return 0;
    return pack_file(ctx, f->dir, f->name, f->path);
}

static int pack_tree(struct tar *t, int tree)
{
    int error = 0;

    for (const char *const *f = first_files; *f && error == 0; f++)
        error = pack_file(t, tree, *f, *f);
    return error ? error : tree_walk(tree, NULL, pack_rest, t);
}

/* --- in place --- */

static void first_finding(void *ctx, const char *sentence)
{
    char *first = ctx;

    if (*first == '\0')
        snprintf(first, 512, "%s", sentence);
}

/* What was written is read again before anything relies on it. */
static int check_archive(const struct lq_case *c, int fd, struct lq_error *err)
{
    char first[512] = "";
    size_t findings = 0;
    int rc = pack_check(fd, c->path, NULL, first_finding, first, &findings, err);

    return rc == LQ_OK && findings > 0 ? error_set(err, LQ_EDAMAGED, "%s: the archive that was just written differs: %s; the open case stays", c->path, first) : rc;
}

static int write_archive(struct lq_case *c, int fd, struct lq_error *err)
{
    char hex[DIGEST_HEX + 1];
    struct tar t;
    int rc = LQ_OK, error = tar_begin(&t, fd, TAR_ZSTD, 1, c->name);

    if (error == 0)
        error = pack_tree(&t, c->fd);
    if (error == 0)
        error = tar_end(&t, hex);
    if (error == 0)
        error = file_sync(fd);
    if (error)
        rc = case_error(c, t.why, error, err);
    tar_done(&t);
    return rc;
}

static void become_packed(struct lq_case *c, int fd, const char *file)
{
    char *path;

    case_close_tree(c);
    c->archive = fd;
    c->info.packed = true;
    if (asprintf(&path, "%s/%s", c->vault->path, file) < 0)
        return;
    free(c->path);
    c->path = path;
    c->info.path = path;
}

/* The archive has its name and is on disk; then the tree goes. */
static int put_in_place(struct lq_case *c, int fd, const char *temp, struct lq_error *err)
{
    char file[NAME_MAX + 1];
    int error;

    snprintf(file, sizeof(file), "%s.tar.zst", c->name);
    error = file_move(c->vault->fd, temp, c->vault->fd, file);
    if (error == 0)
        error = file_sync(c->vault->fd);
    if (error)
        return case_error(c, "", error, err);
    become_packed(c, fd, file);
    error = case_remove_tree(c->vault, c->name);
    return error ? case_error(c, "(packed; the open tree is still there)", error, err) : LQ_OK;
}

int case_pack_in_place(struct lq_case *c, struct lq_error *err)
{
    char temp[NAME_MAX + 1];
    int fd, error, rc;

    if (!c->vault || !c->info.sealed || c->info.packed)
        return error_set(err, LQ_EREFUSED, "case %s is not an open, sealed one of a vault", c->name);
    rc = case_journal(c, "packed in place", NULL, err);
    if (rc != LQ_OK)
        return rc;
    snprintf(temp, sizeof(temp), ".packing-%s.tar.zst", c->name);
    /* We have the case's lock, so whoever wrote this one is dead. */
    file_remove(c->vault->fd, temp);
    error = file_create(c->vault->fd, temp, 0600, &fd);
    if (error == 0 && (error = file_lock_flock(fd)) != 0)
        close(fd);
    if (error)
        return case_error(c, temp, error, err);
    rc = write_archive(c, fd, err);
    if (rc == LQ_OK)
        rc = check_archive(c, fd, err);
    if (rc == LQ_OK)
        rc = put_in_place(c, fd, temp, err);
    if (rc == LQ_OK || c->info.packed)
        return rc;
    close(fd);
    file_remove(c->vault->fd, temp);
    return rc;
}
