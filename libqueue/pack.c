/*
 * Writing archives: a case in place of its tree (evidence.c: for others).
 *
 * CASE/ is there, sealed or not: hashes are made on the way then. -> .packing-CASE.tar.zst is written, synced, read again, every hash of it compared. -> It is renamed to
 * CASE.tar.zst and the directory synced: from here it is the case. -> CASE/ is renamed to .gone-CASE and removed. Whatever comes between,
 * one of the two is whole; case.c says which counts.
 */
#include "pack.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
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

/* --- records --- */

enum { RECORDS_KEPT = 1 << 18 };

int records_open(struct records *r, int dir, const char *name)
{
    int error = file_create_unnamed(dir, 0600, &r->fd);

    if (error == 0)
        return 0;
    error = file_create(dir, name, 0600, &r->fd);
    if (error) {
        r->fd = -1;
        return error;
    }
    return file_remove(dir, name);
}

static int flush_records(struct records *r)
{
    int error = r->b.failed ? ENOMEM : file_write(r->fd, r->b.p, r->b.n);

    r->b.n = 0;
    return error;
}

int records_add(struct records *r, const struct lq_record *rec, int *error, struct lq_error *err)
{
    struct lq_str json;
    int rc = lq_record_json(rec, LQ_FIELDS_ALL, &json, err);

    *error = 0;
    if (rc != LQ_OK)
        return rc;
    buf_add(&r->b, json.p, json.n);
    buf_add_char(&r->b, '\n');
    *error = records_added(r);
    return *error ? LQ_EIO : LQ_OK;
}

int records_added(struct records *r)
{
    r->count++;
    return r->b.n > RECORDS_KEPT ? flush_records(r) : 0;
}

int records_pack(struct records *r, struct tar *t, const char *path)
{
    struct stat st;
    int error = flush_records(r);

    if (error == 0 && (fstat(r->fd, &st) < 0 || lseek(r->fd, 0, SEEK_SET) < 0))
        error = errno;
    return error ? error : tar_add_fd(t, path, &st, r->fd);
}

void records_done(struct records *r)
{
    if (r->fd >= 0)
        close(r->fd);
    r->fd = -1;
    buf_done(&r->b);
}

/* --- files --- */

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

static int write_sealed(struct lq_case *c, struct tar *t, struct lq_error *err)
{
    int rc = case_journal(c, "packing", NULL, err), error;

    if (rc != LQ_OK)
        return rc;
    error = pack_tree(t, c->fd);
    return error ? case_error(c, t->why, error, err) : LQ_OK;
}

/* --- sealing and packing in one: every file is read once, what would be written to the tree goes into the archive alone --- */

static int add_size(void *ctx, const struct tree_file *f)
{
    struct bag_sums *sums = ctx;
    struct stat st;
    enum file_result r = file_stat(f->dir, f->name, &st);

    if (r != FILE_OK)
        return open_failed(r);
    sums->files++;
    sums->bytes += (uint64_t)st.st_size;
    return 0;
}

static int scan_records(struct lq_case *c, size_t i, struct records *r, struct lq_error *err)
{
    struct lq_scan_opts opts = { .size = sizeof(opts), .fields = LQ_FIELDS_ALL };
    const struct lq_record *rec;
    struct lq_queue *q;
    struct lq_scan *scan;
    int error = 0, rc = lq_case_queue(&q, c, i, err);

    if (rc == LQ_OK)
        rc = lq_scan_begin(&scan, q, &opts, err);
    if (rc != LQ_OK)
        return rc;
    while ((rc = lq_scan_next(scan, &rec, err)) == LQ_OK)
        if ((rc = records_add(r, rec, &error, err)) != LQ_OK)
            break;
    lq_scan_end(scan);
    return error ? case_error(c, "records.ndjson", error, err) : rc == LQ_END ? LQ_OK : rc;
}

/* What is known only now comes first in the archive: who lists cases reads no further. */
static int count_all(struct lq_case *c, struct records *r, struct bag_sums *sums, struct lq_error *err)
{
    char name[NAME_MAX + 1];
    int data, error, rc = LQ_OK;

    snprintf(name, sizeof(name), ".packing-%s.records", c->name);
    file_remove(c->vault->fd, name);
    error = records_open(r, c->vault->fd, name);
    if (error == 0)
        error = file_open_below(c->fd, "data", &data);
    if (error == 0) {
        error = tree_walk(data, NULL, add_size, sums);
        close(data);
    }
    if (error)
        return case_error(c, name, error, err);
    for (size_t i = 0; rc == LQ_OK && i < c->spool_count; i++)
        if (c->spools[i].fd >= 0)
            rc = scan_records(c, i, r, err);
    sums->messages = r->count;
    return rc;
}

static int pack_info(struct lq_case *c, struct tar *t, const struct bag_sums *sums)
{
    struct stat st = { .st_mode = 0600, .st_mtim.tv_sec = time(NULL) };
    struct buf b = { 0 };
    int error;

    case_info_text(c, sums, &b);
    error = b.failed ? ENOMEM : tar_add(t, "bag-info.txt", &st, b.p, b.n);
    buf_done(&b);
    return error;
}

static int pack_open_rest(void *ctx, const struct tree_file *f)
{
    static const char *const made[] = { "bag-info.txt", "manifest-sha256.txt", "tagmanifest-sha256.txt", "records.ndjson", "journal.ndjson", "spools.ndjson" };

    for (size_t i = 0; i < sizeof(made) / sizeof(*made); i++)
        if (strcmp(f->path, made[i]) == 0)
            return 0;
    return strcmp(f->path, "INCOMPLETE") == 0 || strncmp(f->path, ".new-", 5) == 0 ? 0 : pack_file(ctx, f->dir, f->name, f->path);
}

static int pack_unsealed(struct lq_case *c, struct tar *t, struct records *r, const struct bag_sums *sums)
{
    struct stat st = { .st_mode = 0600, .st_mtim.tv_sec = time(NULL) };
    int error = pack_info(c, t, sums);

    if (error == 0)
        error = pack_file(t, c->fd, "spools.ndjson", "spools.ndjson");
    if (error == 0)
        error = pack_file(t, c->fd, "journal.ndjson", "journal.ndjson");
    if (error == 0)
        error = records_pack(r, t, "records.ndjson");
    if (error == 0)
        error = tree_walk(c->fd, NULL, pack_open_rest, t);
    if (error == 0 && (t->files != sums->files || t->bytes != sums->bytes))
        error = ESTALE;
    if (error == 0)
        error = tar_add(t, "manifest-sha256.txt", &st, t->manifest.p ? t->manifest.p : "", t->manifest.n);
    return error ? error : tar_add(t, "tagmanifest-sha256.txt", &st, t->tags.p, t->tags.n);
}

static int write_unsealed(struct lq_case *c, struct tar *t, struct lq_error *err)
{
    struct records r = { .fd = -1 };
    struct bag_sums sums = { 0 };
    char members[200];
    int error, rc = count_all(c, &r, &sums, err);

    snprintf(members, sizeof(members), "\"messages\":%llu,\"files\":%llu,\"bytes\":%llu", (unsigned long long)sums.messages,
             (unsigned long long)sums.files, (unsigned long long)sums.bytes);
    if (rc == LQ_OK)
        rc = case_journal(c, "sealing and packing", members, err);
    if (rc == LQ_OK && (error = pack_unsealed(c, t, &r, &sums)) != 0)
        rc = case_error(c, t->why, error, err);
    records_done(&r);
    c->info.messages = sums.messages;
    c->info.bytes = sums.bytes;
    return rc;
}

static int write_archive(struct lq_case *c, int fd, struct lq_error *err)
{
    char hex[DIGEST_HEX + 1];
    struct tar t;
    int error = tar_begin(&t, fd, TAR_ZSTD, 1, c->name), rc;

    rc = error ? case_error(c, "", error, err) : c->info.sealed ? write_sealed(c, &t, err) : write_unsealed(c, &t, err);
    if (rc == LQ_OK) {
        error = tar_end(&t, hex);
        if (error == 0)
            error = file_sync(fd);
        if (error)
            rc = case_error(c, "", error, err);
    }
    tar_done(&t);
    return rc;
}

/* --- in its place --- */

static void become_packed(struct lq_case *c, int fd, const char *file)
{
    char *path;

    case_close_tree(c);
    c->archive = fd;
    c->info.packed = c->info.sealed = true;
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

    if (!c->vault || c->info.packed)
        return error_set(err, LQ_EREFUSED, "case %s is not an open one of a vault", c->name);
    rc = case_lock(c, err);
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
