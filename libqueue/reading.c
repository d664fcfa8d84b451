/*
 * One message, read section by section: files opened for the back end, problems named, header fields set, a vanished
 * message looked up once more.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "engine.h"
#include "header.h"
#include "mime.h"

#define HEADER_FIELDS                                                                              \
    (LQ_FIELD_BIT(LQ_SUBJECT) | LQ_FIELD_BIT(LQ_FROM) | LQ_FIELD_BIT(LQ_TO) | LQ_FIELD_BIT(LQ_MESSAGE_ID) | \
     LQ_FIELD_BIT(LQ_DATE) | LQ_FIELD_BIT(LQ_RECEIVED))

/* What the walk along the Received chain tells. */
#define WALK_FIELDS (ORIGIN_FIELDS | LQ_FIELD_BIT(LQ_RECEIVED))

enum { KEEP = 64 << 10 };       /* buffers of an unusual message give their memory back beyond this */

void reading_init(struct reading *rd, struct spool *sp)
{
    memset(rd, 0, sizeof(*rd));
    rd->spool = sp;
    rd->fd = -1;
}

static void empty(struct reading *rd)
{
    buf_reset(&rd->headers, KEEP);
    buf_reset(&rd->tmp, KEEP);
    buf_reset(&rd->tmp2, KEEP);
    if (rd->mime)
        mime_reset(rd->mime, KEEP);
}

static void close_file(struct reading *rd)
{
    if (rd->fd >= 0)
        close(rd->fd);
    rd->fd = -1;
}

void reading_done(struct reading *rd)
{
    close_file(rd);
    source_done(&rd->src);
    buf_done(&rd->headers);
    buf_done(&rd->tmp);
    buf_done(&rd->tmp2);
    mime_free(rd->mime);
}

const char *reading_path(struct reading *rd, const struct entry *e)
{
    const char *parts[] = { rd->spool->dirs[e->dir].path, "/", e->name };
    size_t n = 0;

    /* Some back ends ask for each message: formatted printing would cost more than parsing one. */
    for (size_t i = *parts[0] ? 0 : 2; i < 3; i++) {
        size_t more = strnlen(parts[i], sizeof(rd->path) - 1 - n);

        memcpy(rd->path + n, parts[i], more);
        n += more;
    }
    rd->path[n] = '\0';
    return rd->path;
}

static bool acts(const struct reading *rd)
{
    return rd->want & LQ_FIELD_BIT(LQ_IDENTITY);
}

static enum file_result told(struct reading *rd, const struct entry *e, enum file_result r)
{
    const char *why = file_result_text(r);

    if (r != FILE_OK && r != FILE_GONE)
        record_problem(rd->rec, "%s: %s", reading_path(rd, e), why);
    /* Odd things under a message's name are damage; what we may not read is our own trouble, too. */
    if (r == FILE_DENIED || r == FILE_FAILED)
        spool_trouble(rd->spool, "cannot read %s/%s: %s", rd->spool->root, reading_path(rd, e), why);
    return r;
}

enum file_result reading_open(struct reading *rd, const struct entry *e, struct stat *st)
{
    enum file_result r;

    close_file(rd);
    r = file_open(rd->spool->dirs[e->dir].fd, e->name, &rd->fd, st);
    if (r == FILE_OK && acts(rd))
        record_add_stamp(rd->rec, st);
    if (r != FILE_OK)
        rd->fd = -1;
    else if (source_file(&rd->src, rd->fd, (uint64_t)st->st_size) < 0) {
        errno = ENOMEM;
        r = FILE_FAILED;
    }
    return told(rd, e, r);
}

enum file_result reading_stat(struct reading *rd, const struct entry *e, struct stat *st)
{
    enum file_result r = file_stat(rd->spool->dirs[e->dir].fd, e->name, st);

    if (r == FILE_OK && acts(rd))
        record_add_stamp(rd->rec, st);
    return told(rd, e, r);
}

static void set_view(struct lq_record *r, enum lq_field f, const char *p)
{
    if (!p)
        return;
    r->value[f].text = (struct lq_str){ p, strlen(p) };
    r->set |= LQ_FIELD_BIT(f);
}

static void name_fields(struct reading *rd)
{
    const struct entry *key = &rd->ref->entries[0];
    struct lq_record *r = rd->rec;

    r->spool = rd->spool;
    r->ref = rd->ref;
    set_view(r, LQ_HOST, rd->spool->host);
    set_view(r, LQ_MTA, rd->spool->backend->name);
    set_view(r, LQ_SPOOL, rd->spool->origin ? rd->spool->origin : rd->spool->root);
    set_view(r, LQ_QUEUE_NAME, rd->spool->dirs[key->dir].queue_name);
    record_set_text(r, LQ_QUEUE_ID, key->id, key->id_len);
}

void reading_begin(struct reading *rd, const struct ref *ref, struct lq_record *rec, uint64_t want)
{
    record_reset(rec);
    rd->ref = ref;
    rd->rec = rec;
    rd->want = want | (want & WALK_FIELDS ? LQ_FIELD_BIT(LQ_CLIENT_ADDRESS) : 0);
    rd->vanished = false;
    empty(rd);
    rd->headers.owner = rd->tmp.owner = rd->tmp2.owner = &rec->arena;
    rd->headers.limit = RECORD_HEADERS_MAX;
    name_fields(rd);
}

void reading_end(struct reading *rd)
{
    close_file(rd);
    empty(rd);
    rd->rec->header = (struct bytes){ NULL, 0 };
    rd->rec->body = NULL;
}

/* Where the last field begins, when the limit may have cut it; the whole block otherwise. */
static size_t whole_fields(const struct buf *headers)
{
    size_t n = headers->n;

    while (headers->lost > 0 && n > 0 &&
           (n == headers->n || headers->p[n - 1] != '\n' || headers->p[n] == ' ' || headers->p[n] == '\t'))
        n--;
    return n;
}

static void read_sections(struct reading *rd, unsigned sections)
{
    struct bytes header;

    rd->spool->backend->read(rd, sections & ~(unsigned)(SEC_NAME | SEC_BODY));
    if (rd->vanished)
        return;
    rd->rec->have |= sections & ~(unsigned)SEC_BODY;
    if (!(sections & SEC_CONTROL))
        return;
    if (rd->headers.lost > 0) {
        record_problem(rd->rec, "%zu bytes of header fields; only the first %d were looked at",
                       rd->headers.n + rd->headers.lost, (int)RECORD_HEADERS_MAX);
        record_broken(rd->rec, SEC_CONTROL);
    }
    header = bytes_from(rd->headers.p ? rd->headers.p : "", whole_fields(&rd->headers));
    if (rd->want & LQ_FIELD_BIT(LQ_HEADER))
        rd->rec->header = header;
    if (rd->want & HEADER_FIELDS)
        header_fields(rd->rec, header, rd->want);
    if (rd->want & WALK_FIELDS)
        origin_fields(rd->rec, rd->spool->trust, header, rd->headers.lost == 0, rd->want);
}

/* The key file is gone: moved to another place of the queue (read it there), or finished. */
static bool found_again(struct reading *rd, unsigned sections)
{
    enum { PARTS = 8 };
    struct lq_record *r = rd->rec;
    struct entry entries[PARTS], *kept;
    struct ref *ref;
    size_t n;

    if (rd->ref->twin || !rd->spool->backend->again)
        return false;
    n = rd->spool->backend->again(rd, entries, PARTS);
    if (n == 0)
        return false;
    /* The names live in the record's arena, so the record goes on instead of beginning anew. */
    ref = arena_alloc(&r->arena, sizeof(*ref));
    kept = arena_alloc(&r->arena, n * sizeof(*kept));
    if (!ref || !kept)
        return false;
    memcpy(kept, entries, n * sizeof(*kept));
    *ref = (struct ref){ kept, (uint32_t)n, false };
    rd->ref = ref;
    rd->vanished = false;
    record_restart(r);
    buf_reset(&rd->headers, KEEP);
    name_fields(rd);
    read_sections(rd, sections);
    return !rd->vanished;
}

/* --- the body, counted as it would be sent --- */

struct crlf_count {
    uint64_t n;
    unsigned char last;
};

static int count_crlf(struct crlf_count *c, const void *p, size_t n)
{
    const unsigned char *b = p, *end = b + n;

    c->n += n;
    while (b < end) {
        const unsigned char *lf = memchr(b, '\n', (size_t)(end - b));

        if (!lf)
            break;
        if ((lf == p ? c->last : lf[-1]) != '\r')
            c->n++;
        b = lf + 1;
    }
    if (n > 0)
        c->last = end[-1];
    return 0;
}

struct body {
    struct crlf_count count;
    struct mime *mime;          /* NULL: nobody asks for its text */
};

static int take_body(void *ctx, const void *p, size_t n)
{
    struct body *b = ctx;

    if (b->mime)
        mime_push(b->mime, p, n);
    return count_crlf(&b->count, p, n);
}

static void read_body(struct reading *rd)
{
    struct body b = { .mime = NULL };
    bool whole;

    rd->rec->have |= SEC_BODY;
    if (rd->want & LQ_FIELD_BIT(LQ_BODY)) {
        rd->mime = rd->mime ? rd->mime : mime_new();
        b.mime = rd->mime;
    }
    if (b.mime)
        mime_begin(b.mime, &rd->rec->arena);
    whole = rd->spool->backend->body(rd, take_body, &b) == 0;
    if (b.mime) {
        mime_end(b.mime);
        rd->rec->body = b.mime;
    }
    if (whole)
        record_set_number(rd->rec, LQ_DATA_SIZE, (int64_t)b.count.n);
    else
        record_broken(rd->rec, SEC_BODY);
}

unsigned reading_first(unsigned need)
{
    return need & (~need + 1);
}

bool reading_sections(struct reading *rd, unsigned sections)
{
    struct lq_record *r = rd->rec;
    bool body = sections & SEC_BODY && !(r->have & SEC_BODY);

    sections &= ~(r->have | SEC_BODY);
    if (sections) {
        read_sections(rd, sections);
        if (rd->vanished && ((r->have & SEC_CONTROL) || !found_again(rd, sections)))
            return false;
    }
    if (body)
        read_body(rd);
    if (r->arena.refused) {
        r->arena.refused = false;
        r->arena.limit += KEEP;
        record_problem(r, "more than %d bytes of envelope: the rest is not shown", (int)RECORD_ARENA_MAX);
        record_broken(r, SEC_CONTROL | SEC_LOG);
    }
    return true;
}
