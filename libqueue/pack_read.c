/*
 * Reading packed cases, whoever packed them. Of an archive we believe nothing: every name lies below one directory, goes nowhere else and is
 * a regular file or a directory; nothing is written beyond what its bag-info.txt announced, nor beyond the room that there is; what was
 * unpacked counts only when all its hashes agree with the manifest.
 */
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "bag.h"
#include "tree.h"

enum { SPARE = 4 << 20, SMALL_MAX = 1 << 20, TREES_MAX = 100 };

struct source_fd {
    int fd;
    off_t at;
    char block[BAG_BLOCK];
};

static la_ssize_t give(struct archive *a, void *ctx, const void **p)
{
    struct source_fd *s = ctx;
    ssize_t n;

    do
        n = pread(s->fd, s->block, sizeof(s->block), s->at);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        archive_set_error(a, errno, "%s", strerror(errno));
    else
        s->at += n;
    *p = s->block;
    return n;
}

struct packed_file {
    const char *path;           /* below the case's directory */
    mode_t mode;
    struct timespec mtime;
    struct archive *archive;    /* for its bytes */
};

/* A regular file of the archive. Negative: a failure whose sentence is told; LQ_END: enough. */
typedef int packed_fn(void *ctx, const struct packed_file *f, struct lq_error *err);

static int damaged(struct archive *a, const char *shown, struct lq_error *err)
{
    const char *why = archive_error_string(a);

    if (archive_errno(a) == ENOMEM)
        return error_memory(err);
    return error_set(err, LQ_EDAMAGED, "%s: %s", shown, why ? why : "not readable as a tar archive");
}

/* "CASE/data/x" -> "data/x"; NULL where a name has no place in a case. */
static const char *below_top(const char *name, char top[NAME_MAX + 1])
{
    const char *p = name, *slash = strchr(name, '/');
    unsigned depth = 0;
    size_t n = slash ? (size_t)(slash - name) : strlen(name);

    if (n == 0 || n > NAME_MAX || strlen(name) >= TREE_PATH)
        return NULL;
    for (; *p; depth++) {
        size_t len = strcspn(p, "/");

        if (len == 0 || len > NAME_MAX || depth > TREE_DEPTH || strncmp(p, ".", len) == 0 || (len == 2 && strncmp(p, "..", 2) == 0))
            return NULL;
        p += len;
        if (*p == '/')
            p++;
    }
    if (*top && (strlen(top) != n || memcmp(top, name, n) != 0))
        return NULL;
    memcpy(top, name, n);
    top[n] = '\0';
    return slash ? slash + 1 : name + n;
}

static int one_entry(struct archive *a, struct archive_entry *e, char top[NAME_MAX + 1], const char *shown, packed_fn *each, void *ctx, struct lq_error *err)
{
    const char *name = archive_entry_pathname(e);
    struct packed_file f = { .archive = a, .mode = archive_entry_perm(e) & 0777 };

    f.path = name ? below_top(name, top) : NULL;
    if (!f.path)
        return error_set(err, LQ_EDAMAGED, "%s: holds a name that leads elsewhere: %.500s", shown, name ? name : "(none)");
    if (archive_entry_filetype(e) == AE_IFDIR)
        return LQ_OK;
    if (archive_entry_filetype(e) != AE_IFREG || archive_entry_hardlink(e) || *f.path == '\0')
        return error_set(err, LQ_EDAMAGED, "%s: holds something that is no regular file: %.500s", shown, name);
    f.mtime.tv_sec = archive_entry_mtime(e);
    f.mtime.tv_nsec = archive_entry_mtime_nsec(e);
    return each(ctx, &f, err);
}

/* Every regular file of the archive, in its order. LQ_OK, what each answered, LQ_EDAMAGED, LQ_ENOMEM. */
static int each_file(int fd, const char *shown, packed_fn *each, void *ctx, struct lq_error *err)
{
    struct archive *a = archive_read_new();
    struct source_fd *s = calloc(1, sizeof(*s));
    char top[NAME_MAX + 1] = "";
    struct archive_entry *e;
    int rc = LQ_OK, r;

    if (!a || !s) {
        archive_read_free(a);
        free(s);
        return error_memory(err);
    }
    s->fd = fd;
    archive_read_support_filter_gzip(a);
    archive_read_support_filter_zstd(a);
    archive_read_support_format_tar(a);
    /* Names are bytes, whatever the locale. */
    archive_read_set_format_option(a, "tar", "hdrcharset", "BINARY");
    r = archive_read_open(a, s, NULL, give, NULL);
    while (r == ARCHIVE_OK && rc == LQ_OK) {
        r = archive_read_next_header(a, &e);
        if (r == ARCHIVE_WARN)
            r = ARCHIVE_OK;
        if (r == ARCHIVE_OK)
            rc = one_entry(a, e, top, shown, each, ctx, err);
    }
    if (rc == LQ_OK && r != ARCHIVE_EOF)
        rc = damaged(a, shown, err);
    archive_read_free(a);
    free(s);
    return rc == LQ_END ? LQ_OK : rc;
}

/* --- bag-info.txt and spools.ndjson alone: archives of ours begin with them --- */

struct wanted {
    const char *shown;
    struct buf *info, *spools;
    bool got_info, got_spools;
    char block[4096];
};

static int want(void *ctx, const struct packed_file *f, struct lq_error *err)
{
    struct wanted *w = ctx;
    bool info = strcmp(f->path, "bag-info.txt") == 0, spools = strcmp(f->path, "spools.ndjson") == 0;
    struct buf *b = info ? w->info : w->spools;
    la_ssize_t n;

    if (!info && !spools)
        return LQ_OK;
    b->n = 0;
    while ((n = archive_read_data(f->archive, w->block, sizeof(w->block))) > 0 && b->n <= SMALL_MAX)
        buf_add(b, w->block, (size_t)n);
    if (n != 0)
        return n < 0 ? damaged(f->archive, w->shown, err) : error_set(err, LQ_EDAMAGED, "%s: its %s is too large", w->shown, f->path);
    if (b->failed)
        return error_memory(err);
    w->got_info = w->got_info || info;
    w->got_spools = w->got_spools || spools;
    return w->got_info && w->got_spools ? LQ_END : LQ_OK;
}

int pack_read_info(int fd, const char *shown, struct buf *info, struct buf *spools, struct lq_error *err)
{
    struct wanted w = { .shown = shown, .info = info, .spools = spools };
    int rc = each_file(fd, shown, want, &w, err);

    if (rc == LQ_OK && !w.got_info)
        rc = error_set(err, LQ_EDAMAGED, "%s: no bag-info.txt in it: not a case", shown);
    return rc;
}

/* --- checking --- */

struct checking {
    struct bag_check k;
    const char *shown;
    char *block;
    /* unpacking */
    int tree, dir;              /* dir: of the file before, whose path is dir_path */
    char dir_path[TREE_PATH];
    uint64_t files, bytes, files_max, bytes_max;
};

static int check_one(void *ctx, const struct packed_file *f, struct lq_error *err)
{
    struct checking *c = ctx;
    la_ssize_t n;

    bag_check_file(&c->k, f->path);
    while (!c->k.failed && (n = archive_read_data(f->archive, c->block, BAG_BLOCK)) != 0) {
        if (n < 0)
            return damaged(f->archive, c->shown, err);
        bag_check_bytes(&c->k, c->block, (size_t)n);
    }
    bag_check_end(&c->k);
    return c->k.failed ? error_memory(err) : LQ_OK;
}

int pack_check(int fd, const char *shown, const struct ledger *ledger, lq_finding_fn *tell, void *ctx, size_t *findings, struct lq_error *err)
{
    struct checking c = { .shown = shown, .block = malloc(BAG_BLOCK) };
    int rc = bag_check_begin(&c.k) && c.block ? each_file(fd, shown, check_one, &c, err) : error_memory(err);

    (void)ledger;       /* what went back is still in the archive */
    if (rc == LQ_OK)
        *findings = bag_check_judge(&c.k, false, NULL, tell, ctx);
    bag_check_done(&c.k);
    free(c.block);
    return rc;
}

/* --- unpacking --- */

/* The directory of data/…/name, made where it is missing; the one before is kept open, because neighbours follow each other. */
static int go_to(struct checking *c, const char *path, const char **name)
{
    const char *slash = strrchr(path, '/');
    size_t n = (size_t)(slash - path);
    int error;

    *name = slash + 1;
    if (c->dir >= 0 && strlen(c->dir_path) == n && memcmp(c->dir_path, path, n) == 0)
        return 0;
    if (c->dir >= 0)
        close(c->dir);
    c->dir = -1;
    memcpy(c->dir_path, path, n);
    c->dir_path[n] = '\0';
    error = file_make_below(c->tree, c->dir_path, &c->dir, NULL);
    if (error)
        c->dir = -1;
    return error;
}

static int no_write(const struct checking *c, const char *path, int error, struct lq_error *err)
{
    if (error == EEXIST)
        return error_set(err, LQ_EDAMAGED, "%s: holds %.500s twice", c->shown, path);
    return error_set(err, error == ENOSPC || error == EDQUOT ? LQ_ENOSPC : LQ_EIO, "%s: cannot unpack %.500s: %s", c->shown, path, strerror(error));
}

static int write_bytes(struct checking *c, const struct packed_file *f, int fd, struct lq_error *err)
{
    la_ssize_t n;
    int error;

    while ((n = archive_read_data(f->archive, c->block, BAG_BLOCK)) != 0) {
        if (n < 0)
            return damaged(f->archive, c->shown, err);
        c->bytes += (uint64_t)n;
        if (c->bytes > c->bytes_max)
            return error_set(err, LQ_EDAMAGED, "%s: holds more than its bag-info.txt says", c->shown);
        error = file_write(fd, c->block, (size_t)n);
        if (error)
            return no_write(c, f->path, error, err);
        bag_check_bytes(&c->k, c->block, (size_t)n);
    }
    return LQ_OK;
}

/* Evidence that is packed out of this case goes on with it. */
static int unpack_journal(struct checking *c, const struct packed_file *f, struct lq_error *err)
{
    uint64_t total = 0;
    la_ssize_t n;
    int fd, error = file_create(c->tree, "journal.ndjson", 0600, &fd);

    if (error)
        return no_write(c, f->path, error, err);
    while (error == 0 && (n = archive_read_data(f->archive, c->block, BAG_BLOCK)) > 0 && (total += (uint64_t)n) <= SPARE)
        error = file_write(fd, c->block, (size_t)n);
    close(fd);
    if (error)
        return no_write(c, f->path, error, err);
    return n < 0 ? damaged(f->archive, c->shown, err) : LQ_OK;
}

static int unpack_one(void *ctx, const struct packed_file *f, struct lq_error *err)
{
    struct checking *c = ctx;
    struct stat st = { .st_atim = f->mtime, .st_mtim = f->mtime };
    const char *name;
    int fd, error, rc;

    if (strcmp(f->path, "journal.ndjson") == 0)
        return unpack_journal(c, f, err);
    if (strncmp(f->path, "data/", 5) != 0)
        return strcmp(f->path, "manifest-sha256.txt") == 0 ? check_one(ctx, f, err) : LQ_OK;
    if (++c->files > c->files_max)
        return error_set(err, LQ_EDAMAGED, "%s: holds more files than its bag-info.txt says", c->shown);
    bag_check_file(&c->k, f->path);
    error = c->k.failed ? ENOMEM : go_to(c, f->path, &name);
    if (error == 0)
        error = file_create(c->dir, name, 0600, &fd);
    if (error)
        return no_write(c, f->path, error, err);
    rc = write_bytes(c, f, fd, err);
    if (rc == LQ_OK) {
        error = file_set_times(fd, &st);
        if (error == 0)
            error = file_set_mode(fd, f->mode);
        rc = error ? no_write(c, f->path, error, err) : LQ_OK;
    }
    close(fd);
    bag_check_end(&c->k);
    return rc == LQ_OK && c->k.failed ? error_memory(err) : rc;
}

static int no_room(const struct lq_case *c, int error, struct lq_error *err)
{
    return error_set(err, LQ_ENOSPC, "%s: no room to unpack %llu files of %llu bytes: %s", c->path, (unsigned long long)c->payload_files,
                     (unsigned long long)c->info.bytes, strerror(error));
}

/* Before the first byte: nobody should fill the disk to learn that it is full. Of quotas nothing is known yet. */
static int check_room(const struct lq_case *c, struct lq_error *err)
{
    struct statvfs fs;

    if (fstatvfs(c->parent, &fs) < 0)
        return case_error(c, "", errno, err);
    if (c->info.bytes / fs.f_frsize + c->payload_files + SPARE / fs.f_frsize > fs.f_bavail ||
        (fs.f_files > 0 && c->payload_files + 100 > fs.f_favail))
        return no_room(c, ENOSPC, err);
    return LQ_OK;
}

/* A directory of its own, even while others read the same case; its lock says that it is in use. */
static int make_tree(struct lq_case *c, struct lq_error *err)
{
    char name[NAME_MAX + 1];
    int error = EEXIST;

    for (unsigned i = 1; error == EEXIST && i <= TREES_MAX; i++) {
        snprintf(name, sizeof(name), i == 1 ? ".unpacked-%.200s" : ".unpacked-%.200s.%u", c->name, i);
        error = file_make_dir(c->parent, name, 0700);
    }
    if (error == 0)
        error = file_open_below(c->parent, name, &c->fd);
    if (error == 0)
        error = file_lock_flock(c->fd);
    c->tree = error == 0 ? strdup(name) : NULL;
    if (error == 0 && !c->tree)
        error = ENOMEM;
    if (error == ENOSPC || error == EDQUOT)
        return no_room(c, error, err);
    return error ? case_error(c, name, error, err) : LQ_OK;
}

static void keep_first(void *ctx, const char *sentence)
{
    char *first = ctx;

    if (*first == '\0')
        snprintf(first, 512, "%s", sentence);
}

/* Also directories of spools of which no message was taken. */
static int make_spool_dirs(struct lq_case *c, int tree)
{
    int error = 0, fd;

    for (size_t i = 0; error == 0 && i < c->spool_count; i++) {
        char path[80];

        snprintf(path, sizeof(path), "data/%zu-%s", i, c->spools[i].mta);
        error = file_make_below(tree, path, &fd, NULL);
        if (error == 0)
            close(fd);
    }
    return error;
}

static int unpack_into(struct lq_case *c, struct lq_error *err)
{
    struct checking k = {
        .shown = c->path, .block = malloc(BAG_BLOCK), .tree = c->fd, .dir = -1, .files_max = c->payload_files, .bytes_max = c->info.bytes,
    };
    char first[512] = "";
    int error, rc = bag_check_begin(&k.k) && k.block ? each_file(c->archive, c->path, unpack_one, &k, err) : error_memory(err);

    if (rc == LQ_OK && bag_check_judge(&k.k, true, NULL, keep_first, first) > 0)
        rc = error_set(err, LQ_EDAMAGED, "%s: damaged: %s", c->path, first);
    if (rc == LQ_OK && (error = make_spool_dirs(c, c->fd)) != 0)
        rc = case_error(c, "data", error, err);
    if (k.dir >= 0)
        close(k.dir);
    bag_check_done(&k.k);
    free(k.block);
    return rc;
}

int pack_unpack(struct lq_case *c, struct lq_error *err)
{
    int rc = check_room(c, err);

    if (rc == LQ_OK)
        rc = make_tree(c, err);
    if (rc == LQ_OK)
        rc = unpack_into(c, err);
    if (rc == LQ_OK) {
        c->unpacked = true;
        return LQ_OK;
    }
    if (c->tree)
        tree_remove(c->parent, c->tree);
    if (c->fd >= 0)
        close(c->fd);
    c->fd = -1;
    free(c->tree);
    c->tree = NULL;
    return rc;
}
