/*
 * Sealing and verifying: BagIt (RFC 8493) manifests that `sha256sum -c` reads, and the records of what is in a case. Knows nothing of mail
 * servers: the records come from an ordinary scan of the case's own queues.
 *
 * Names in manifests are written as sha256sum (coreutils 9.1) writes them: a line whose name holds a backslash, a newline or a carriage return
 * begins with a backslash and has \\, \n, \r instead. RFC 8493 would want %0A; a check with ordinary tools comes first.
 */
#include "bag.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tree.h"

enum { OUT_BLOCK = 1 << 18 };

/* --- a file written aside --- */

struct out {
    struct lq_case *c;
    const char *name;
    char temp[NAME_MAX + 1];
    int fd, error;
    struct buf b;
};

static void out_begin(struct out *o, struct lq_case *c, const char *name)
{
    memset(o, 0, sizeof(*o));
    o->c = c;
    o->name = name;
    snprintf(o->temp, sizeof(o->temp), ".new-%s", name);
    file_remove(c->fd, o->temp);
    o->error = vault_create(c->vault, c->fd, o->temp, &o->fd);
    if (o->error)
        o->fd = -1;
}

static void out_flush(struct out *o, size_t more_than)
{
    if (o->b.failed)
        o->error = ENOMEM;
    if (o->error == 0 && o->b.n > more_than) {
        o->error = file_write(o->fd, o->b.p, o->b.n);
        o->b.n = 0;
    }
}

/* keep: all went well, and the file takes its name. */
static int out_end(struct out *o, bool keep)
{
    out_flush(o, 0);
    if (o->error == 0 && keep)
        o->error = file_sync(o->fd);
    if (o->fd >= 0)
        close(o->fd);
    if (o->error == 0 && keep)
        o->error = file_replace(o->c->fd, o->temp, o->name);
    if (o->error || !keep)
        file_remove(o->c->fd, o->temp);
    buf_done(&o->b);
    return o->error;
}

static int remove_new(void *ctx, const char *name, size_t len, unsigned char type)
{
    struct lq_case *c = ctx;

    (void)len;
    (void)type;
    if (strncmp(name, ".new-", 5) == 0)
        file_remove(c->fd, name);
    return 0;
}

void case_forget_new(struct lq_case *c)
{
    file_each(c->fd, remove_new, c);
}

/* --- manifest lines --- */

void bag_line(struct buf *b, const char *hex, const char *path)
{
    bool odd = strpbrk(path, "\\\n\r") != NULL;

    if (odd)
        buf_add_char(b, '\\');
    buf_add(b, hex, DIGEST_HEX);
    buf_add(b, "  ", 2);
    if (!odd)
        buf_add_str(b, path);
    for (const char *p = path; odd && *p; p++) {
        const char *special = strchr("\\\\\nn\rr", *p);

        if (*p == '\\' || *p == '\n' || *p == '\r') {
            buf_add_char(b, '\\');
            buf_add_char(b, special[1]);
        } else {
            buf_add_char(b, *p);
        }
    }
    buf_add_char(b, '\n');
}

static bool is_hex(const char *p)
{
    for (size_t i = 0; i < DIGEST_HEX; i++)
        if (!((p[i] >= '0' && p[i] <= '9') || (p[i] >= 'a' && p[i] <= 'f')))
            return false;
    return true;
}

bool bag_line_parse(char *line, size_t n, char **hex, char **path)
{
    bool odd = n > 0 && line[0] == '\\';
    char *p = line + odd, *to;

    n -= odd;
    if (n < DIGEST_HEX + 3 || !is_hex(p) || p[DIGEST_HEX] != ' ' || (p[DIGEST_HEX + 1] != ' ' && p[DIGEST_HEX + 1] != '*') ||
        memchr(p, '\0', n))
        return false;
    *hex = p;
    p[DIGEST_HEX] = '\0';
    *path = to = p + DIGEST_HEX + 2;
    p[n] = '\0';
    for (const char *from = *path; odd && *from; from++) {
        if (*from != '\\') {
            *to++ = *from;
            continue;
        }
        from++;
        if (*from != '\\' && *from != 'n' && *from != 'r')
            return false;
        *to++ = *from == 'n' ? '\n' : *from == 'r' ? '\r' : '\\';
    }
    if (odd)
        *to = '\0';
    return true;
}

/* --- hashing --- */

int bag_hash_fd(struct digest *d, int fd, char *block, char hex[DIGEST_HEX + 1], uint64_t *size)
{
    ssize_t n;

    *size = 0;
    while ((n = read(fd, block, BAG_BLOCK)) != 0) {
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            digest_begin(d);
            return errno;
        }
        digest_add(d, block, (size_t)n);
        *size += (uint64_t)n;
    }
    digest_end(d, hex);
    return *hex ? 0 : EIO;
}

bool bag_untagged(const char *path)
{
    static const char *const names[] = { "journal.ndjson", "INCOMPLETE", "tagmanifest-sha256.txt" };

    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        if (strcmp(path, names[i]) == 0)
            return true;
    return strncmp(path, ".new-", 5) == 0;      /* being written */
}

struct hashing {
    struct digest *d;
    char *block;
    bool tags;
    struct out *out;
    struct bag_sums sums;
    char why[512];              /* what could not be hashed */
};

static int hash_file(void *ctx, const struct tree_file *f)
{
    struct hashing *h = ctx;
    char path[TREE_PATH + 8], hex[DIGEST_HEX + 1];
    enum file_result r;
    struct stat st;
    uint64_t size;
    int fd, error;

    if (h->tags && bag_untagged(f->path))
        return 0;
    r = file_open(f->dir, f->name, &fd, &st);
    if (r != FILE_OK) {
        snprintf(h->why, sizeof(h->why), "%s%.400s: %s", h->tags ? "" : "data/", f->path, file_result_text(r));
        return EIO;
    }
    error = bag_hash_fd(h->d, fd, h->block, hex, &size);
    close(fd);
    if (error)
        return error;
    snprintf(path, sizeof(path), "%s%s", h->tags ? "" : "data/", f->path);
    bag_line(&h->out->b, hex, path);
    h->sums.files++;
    h->sums.bytes += size;
    out_flush(h->out, OUT_BLOCK);
    return h->out->error;
}

/* dir: what it is about. */
static int write_manifest(struct lq_case *c, const char *name, int dir, struct hashing *h, struct lq_error *err)
{
    struct out o;
    int error;

    out_begin(&o, c, name);
    /* Used while the tree is walked, and set anew by the next walk. */
    /* cppcheck-suppress autoVariables */
    h->out = &o;
    error = o.error ? o.error : tree_walk(dir, h->tags ? "data" : NULL, hash_file, h);
    if (error) {
        out_end(&o, false);
        return *h->why ? error_set(err, LQ_EIO, "%s: %s", c->path, h->why) : case_error(c, name, error, err);
    }
    error = out_end(&o, true);
    return error ? case_error(c, name, error, err) : LQ_OK;
}

static int with_digest(struct lq_case *c, struct hashing *h, int dir, struct lq_error *err)
{
    int rc;

    h->d = digest_new();
    h->block = malloc(BAG_BLOCK);
    rc = h->d && h->block ? write_manifest(c, h->tags ? "tagmanifest-sha256.txt" : "manifest-sha256.txt", dir, h, err) : error_memory(err);
    digest_free(h->d);
    free(h->block);
    return rc;
}

static int write_payload_manifest(struct lq_case *c, struct bag_sums *sums, struct lq_error *err)
{
    struct hashing h = { .tags = false };
    int data, rc, error = file_open_below(c->fd, "data", &data);

    if (error)
        return case_error(c, "data", error, err);
    rc = with_digest(c, &h, data, err);
    close(data);
    sums->files = h.sums.files;
    sums->bytes = h.sums.bytes;
    return rc;
}

static int write_tag_manifest(struct lq_case *c, struct lq_error *err)
{
    struct hashing h = { .tags = true };

    return with_digest(c, &h, c->fd, err);
}

/* --- records --- */

static int add_records(struct out *o, struct lq_queue *q, uint64_t *count, struct lq_error *err)
{
    struct lq_scan_opts opts = { .size = sizeof(opts), .fields = LQ_FIELDS_ALL };
    const struct lq_record *rec;
    struct lq_scan *scan;
    struct lq_str json;
    int rc = lq_scan_begin(&scan, q, &opts, err);

    if (rc != LQ_OK)
        return rc;
    while (o->error == 0 && (rc = lq_scan_next(scan, &rec, err)) == LQ_OK) {
        rc = lq_record_json(rec, LQ_FIELDS_ALL, &json, err);
        if (rc != LQ_OK)
            break;
        buf_add(&o->b, json.p, json.n);
        buf_add_char(&o->b, '\n');
        ++*count;
        out_flush(o, OUT_BLOCK);
    }
    lq_scan_end(scan);
    return rc == LQ_END || rc == LQ_OK ? LQ_OK : rc;
}

static int write_records(struct lq_case *c, uint64_t *count, struct lq_error *err)
{
    struct out o;
    int rc = LQ_OK, error;

    *count = 0;
    out_begin(&o, c, "records.ndjson");
    for (size_t i = 0; rc == LQ_OK && o.error == 0 && i < c->spool_count; i++) {
        struct lq_queue *q;

        if (c->spools[i].fd < 0)
            continue;
        rc = lq_case_queue(&q, c, i, err);
        if (rc == LQ_OK)
            rc = add_records(&o, q, count, err);
    }
    error = out_end(&o, rc == LQ_OK);
    if (rc == LQ_OK && error)
        rc = case_error(c, "records.ndjson", error, err);
    return rc;
}

/* --- sealing --- */

static int journal_sealed(struct lq_case *c, const struct bag_sums *sums, struct lq_error *err)
{
    char members[200];

    snprintf(members, sizeof(members), "\"messages\":%llu,\"files\":%llu,\"bytes\":%llu", (unsigned long long)sums->messages,
             (unsigned long long)sums->files, (unsigned long long)sums->bytes);
    return case_journal(c, "sealed", members, err);
}

/* INCOMPLETE goes last: until then everything else may be written again. */
int case_seal(struct lq_case *c, struct lq_error *err)
{
    struct bag_sums sums = { 0 };
    int error, rc = case_lock(c, err);

    if (rc == LQ_OK)
        rc = write_records(c, &sums.messages, err);
    if (rc == LQ_OK)
        rc = write_payload_manifest(c, &sums, err);
    if (rc == LQ_OK)
        rc = journal_sealed(c, &sums, err);
    if (rc == LQ_OK)
        rc = case_write_info(c, &sums, err);
    if (rc == LQ_OK)
        rc = write_tag_manifest(c, err);
    if (rc != LQ_OK)
        return rc;
    error = file_sync(c->fd);
    if (error == 0)
        error = file_remove(c->fd, "INCOMPLETE");
    if (error == 0 || error == ENOENT)
        error = file_sync(c->fd);
    if (error)
        return case_error(c, "INCOMPLETE", error, err);
    c->info.sealed = true;
    c->info.messages = sums.messages;
    c->info.bytes = sums.bytes;
    return LQ_OK;
}
