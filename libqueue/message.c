/*
 * The message itself, rebuilt or raw. Files are opened anew, and only given out when they still are the ones that the record
 * was read from.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "engine.h"

struct crlf {
    lq_write_fn *write;
    void *ctx;
    unsigned char last;
};

/* Pass bytes on with CRLF at the end of each line, whether they came with LF or CRLF. */
static int write_crlf(void *ctx, const void *p, size_t n)
{
    struct crlf *c = ctx;
    const unsigned char *b = p, *end = b + n;

    while (b < end) {
        const unsigned char *lf = memchr(b, '\n', (size_t)(end - b));
        const unsigned char *stop = lf ? lf : end;
        unsigned char before = stop > b ? stop[-1] : c->last;

        if (stop > b && c->write(c->ctx, b, (size_t)(stop - b)) != 0)
            return -1;
        if (!lf) {
            c->last = before;
            return 0;
        }
        if (before != '\r' && c->write(c->ctx, "\r", 1) != 0)
            return -1;
        if (c->write(c->ctx, "\n", 1) != 0)
            return -1;
        c->last = '\n';
        b = lf + 1;
    }
    return 0;
}

/* Read the message's control file again and make sure that it is the same message. */
static int reread(struct reading *rd, struct lq_record *fresh, const struct lq_record *rec, struct lq_error *err)
{
    struct lq_str was = lq_record_text(rec, LQ_IDENTITY), is;

    memset(fresh, 0, sizeof(*fresh));
    reading_init(rd, rec->spool);
    if (rec->foreign.is)
        return error_set(err, LQ_EINVAL, "a record from elsewhere holds no message, only what is known of it");
    reading_begin(rd, rec->ref, fresh, LQ_FIELDS_ALL);
    if (!reading_sections(rd, SEC_CONTROL | SEC_SIZE))
        return error_set(err, LQ_ENOENT, "message %s left the queue meanwhile", lq_record_text(rec, LQ_QUEUE_ID).p);
    is = lq_record_text(fresh, LQ_IDENTITY);
    if (was.p && is.p && (was.n != is.n || memcmp(was.p, is.p, is.n) != 0))
        return error_set(err, LQ_ENOENT, "id %s belongs to another message now", lq_record_text(rec, LQ_QUEUE_ID).p);
    return LQ_OK;
}

static void reread_done(struct reading *rd, struct lq_record *fresh)
{
    reading_done(rd);
    record_done(fresh);
}

int lq_message_headers(struct lq_queue *q, const struct lq_record *rec, lq_write_fn *write, void *ctx, struct lq_error *err)
{
    struct reading rd;
    struct lq_record fresh;
    int rc = reread(&rd, &fresh, rec, err);

    (void)q;
    if (rc == LQ_OK && rd.headers.n > 0 && write(ctx, rd.headers.p, rd.headers.n) != 0)
        rc = error_set(err, LQ_EIO, "writing the header stopped");
    reread_done(&rd, &fresh);
    return rc;
}

int message_body(struct reading *rd, lq_write_fn *write, void *ctx)
{
    struct crlf crlf = { write, ctx, 0 };

    return rd->spool->backend->body(rd, write_crlf, &crlf);
}

int lq_message_eml(struct lq_queue *q, const struct lq_record *rec, lq_write_fn *write, void *ctx, struct lq_error *err)
{
    struct reading rd;
    struct lq_record fresh;
    int rc = reread(&rd, &fresh, rec, err), damage;

    (void)q;
    if (rc == LQ_OK) {
        damage = message_body(&rd, write, ctx);
        if (damage < 0)
            rc = error_set(err, LQ_EIO, "writing message %s stopped", lq_record_text(rec, LQ_QUEUE_ID).p);
        else if (damage > 0)
            rc = error_set(err, LQ_EINVAL, "message %s is damaged; what was written is not all of it%s%s",
                           lq_record_text(rec, LQ_QUEUE_ID).p, fresh.problems.n > 0 ? ": " : "",
                           fresh.problems.n > 0 ? fresh.problems.items[fresh.problems.n - 1].p : "");
    }
    reread_done(&rd, &fresh);
    return rc;
}

static int copy_file(struct reading *rd, const struct entry *e, lq_write_fn *write, void *ctx, struct lq_error *err)
{
    struct stat st;
    enum file_result r = reading_open(rd, e, &st);
    const unsigned char *p;
    size_t got;

    if (r == FILE_GONE)
        return error_set(err, LQ_ENOENT, "%s left the queue meanwhile", reading_path(rd, e));
    if (r != FILE_OK)
        return error_set(err, r == FILE_DENIED ? LQ_EACCES : LQ_EIO, "%s: %s", reading_path(rd, e), file_result_text(r));
    for (uint64_t off = 0; (p = source_at(&rd->src, off, SOURCE_VIEW_MAX, &got)) != NULL; off += got)
        if (write(ctx, p, got) != 0)
            return error_set(err, LQ_EIO, "writing %s stopped", reading_path(rd, e));
    if (rd->src.error)
        return error_set(err, LQ_EIO, "%s: %s", reading_path(rd, e), source_why(rd->src.error));
    return LQ_OK;
}

/* The entry of a path below the spool root, as LQ_FILES gives it. */
static const struct entry *entry_of(struct reading *rd, struct lq_str path)
{
    for (uint32_t i = 0; i < rd->ref->count; i++) {
        const char *p = reading_path(rd, &rd->ref->entries[i]);

        if (strlen(p) == path.n && memcmp(p, path.p, path.n) == 0)
            return &rd->ref->entries[i];
    }
    return NULL;
}

int lq_message_raw(struct lq_queue *q, const struct lq_record *rec, size_t i, lq_write_fn *write, void *ctx,
                   struct lq_error *err)
{
    struct lq_str path = lq_record_text_at(rec, LQ_FILES, i);
    const struct entry *e;
    struct reading rd;
    struct lq_record fresh;
    int rc;

    (void)q;
    if (!path.p)
        return LQ_END;
    rc = reread(&rd, &fresh, rec, err);
    if (rc == LQ_OK) {
        e = entry_of(&rd, path);
        rc = e ? copy_file(&rd, e, write, ctx, err) : error_set(err, LQ_ENOENT, "%s left the queue meanwhile", path.p);
    }
    reread_done(&rd, &fresh);
    return rc;
}
