/*
 * Postfix delivery logs: defer/ID and bounce/ID (bounce_append_service.c). Why delivery to whom is
 * delayed, since when nobody tried, and which failures are not reported yet. Knows nothing of the
 * queue file but the list of recipients.
 *
 * Text, a block for each recipient, blank lines between. Postfix 2.0 wrote one line "<address>:
 * reason"; since 2.1 lines name=value follow, among them offset=, the place of the recipient's
 * record in the queue file.
 */
#include "postfix.h"

#include <stdlib.h>
#include <string.h>

#include "reason.h"

struct block {
    bool any, has_reason, has_offset;
    int64_t offset;
    char status[16];
    size_t status_len;
};

struct log {
    struct reading *rd;
    struct lq_record *rec;
    struct block block;     /* its recipient is in rd->tmp */
    bool any_reason;        /* the last one is in rd->tmp2 */
    struct lq_str copied;   /* the last one that a recipient got: a server that is down gives hundreds the same */
    uint32_t *by_address;   /* made when first needed: indexes of recipients, sorted */
    bool no_index;
};

static struct bytes view(const struct buf *b)
{
    return b->n > 0 ? bytes_from(b->p, b->n) : BYTES("");
}

static void set(struct buf *b, struct bytes text)
{
    buf_reset(b, RECORD_TEXT_MAX);
    buf_add(b, text.p, text.n);
}

/* --- whom a block is about --- */

static int compare_places(const void *a, const void *b)
{
    const struct postfix_place *x = a, *y = b;

    return (x->offset > y->offset) - (x->offset < y->offset);
}

/* Pointers may lead backwards, so records are not always read in the order of their offsets. */
static void sort_places(struct lq_record *rec)
{
    struct postfix_place *places = (struct postfix_place *)(uintptr_t)rec->scratch[NOTE_PLACES];
    size_t n = (size_t)rec->scratch[NOTE_PLACE_COUNT];

    for (size_t i = 1; i < n; i++)
        if (places[i].offset < places[i - 1].offset) {
            qsort(places, n, sizeof(*places), compare_places);
            return;
        }
}

static struct lq_recipient *find_by_offset(const struct log *l)
{
    const struct postfix_place key = { .offset = (uint64_t)l->block.offset }, *place;
    const void *places = (const void *)(uintptr_t)l->rec->scratch[NOTE_PLACES];
    size_t n = (size_t)l->rec->scratch[NOTE_PLACE_COUNT];

    if (!l->block.has_offset || n == 0)
        return NULL;
    place = bsearch(&key, places, n, sizeof(key), compare_places);
    return place ? &l->rec->recipients.items[place->index] : NULL;
}

static int compare_text(struct bytes a, struct bytes b)
{
    int order = memcmp(a.p, b.p, a.n < b.n ? a.n : b.n);

    return order ? order : (a.n > b.n) - (a.n < b.n);
}

static struct bytes address(const struct lq_recipient *r)
{
    return r->address.p ? bytes_from(r->address.p, r->address.n) : BYTES("");
}

static int compare_addresses(const void *a, const void *b, void *items)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    const struct lq_recipient *r = items;
    int order = compare_text(address(&r[x]), address(&r[y]));

    return order ? order : (x > y) - (x < y);
}

static bool make_index(struct log *l)
{
    size_t n = l->rec->recipients.n;

    if (l->by_address || l->no_index)
        return l->by_address != NULL;
    l->by_address = n > 0 ? arena_alloc(&l->rec->arena, n * sizeof(*l->by_address)) : NULL;
    l->no_index = !l->by_address;
    if (l->no_index)
        return false;
    for (size_t i = 0; i < n; i++)
        l->by_address[i] = (uint32_t)i;
    qsort_r(l->by_address, n, sizeof(*l->by_address), compare_addresses, l->rec->recipients.items);
    return true;
}

/* The first recipient with this address (in RFC 5321 form, as logs and records have it). */
static struct lq_recipient *find_by_address(struct log *l, struct bytes wanted)
{
    struct lq_recipient *items = l->rec->recipients.items;
    size_t low = 0, high = l->rec->recipients.n;

    if (wanted.n == 0 || !make_index(l))
        return NULL;
    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (compare_text(address(&items[l->by_address[middle]]), wanted) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == l->rec->recipients.n || !bytes_eq(address(&items[l->by_address[low]]), wanted))
        return NULL;
    return &items[l->by_address[low]];
}

/* --- blocks --- */

/* Room that reasons of recipients leave in the record for what is latest of the message. */
enum { RESERVE = 2 * RECORD_TEXT_MAX };

static struct lq_str reason(struct log *l)
{
    struct bytes text = l->block.has_reason ? view(&l->rd->tmp2) : BYTES("");

    if (text.n == 0)
        return (struct lq_str){ NULL, 0 };
    if (l->copied.p && bytes_eq(text, bytes_from(l->copied.p, l->copied.n)))
        return l->copied;
    l->copied = (struct lq_str){ NULL, 0 };
    if (l->rec->arena.used + text.n + RESERVE < RECORD_ARENA_MAX)
        l->copied = record_copy(l->rec, text.p, text.n);
    if (!l->copied.p)
        record_broken(l->rec, SEC_LOG);
    return l->copied;
}

static struct lq_str dsn_code(struct log *l)
{
    struct bytes status = bytes_from(l->block.status, l->block.status_len);
    struct bytes text = l->block.has_reason ? view(&l->rd->tmp2) : BYTES("");
    struct bytes code = reason_dsn_code(status.n > 0 ? status : text);

    if (code.n == 0 || l->rec->arena.used + RESERVE >= RECORD_ARENA_MAX)
        return (struct lq_str){ NULL, 0 };
    return record_copy(l->rec, code.p, code.n);
}

static void end_block(struct log *l, bool defer)
{
    struct lq_recipient *r;

    if (!l->block.any)
        return;
    r = defer ? find_by_offset(l) : NULL;
    if (!r && defer)
        r = find_by_address(l, view(&l->rd->tmp));
    if (r) {
        r->delay_reason = record_share(l->rec, reason(l), SEC_LOG);
        r->dsn_code = dsn_code(l);
    }
    l->block = (struct block){ .any = false };
    set(&l->rd->tmp, BYTES(""));
}

static void set_reason(struct log *l, struct bytes text)
{
    set(&l->rd->tmp2, text);
    l->block.has_reason = true;
    l->any_reason = true;
}

/* "<lee@example.net>: reason"; the null recipient is "<>". */
static void old_line(struct log *l, struct bytes line)
{
    static const char end[] = ">: ";
    const unsigned char *at = memmem(line.p, line.n, end, sizeof(end) - 1);

    if (!at)
        return;
    l->block.any = true;
    set(&l->rd->tmp, bytes_from(line.p + 1, (size_t)(at - line.p) - 1));
    set_reason(l, bytes_from(at + 3, line.n - (size_t)(at - line.p) - 3));
}

static void value_line(struct log *l, struct bytes line)
{
    size_t eq = bytes_find(line, '=');
    struct bytes name = bytes_from(line.p, eq), value;

    if (eq == line.n)
        return;
    value = bytes_skip(line, eq + 1);
    l->block.any = true;
    if (bytes_eq(name, BYTES("recipient"))) {
        set(&l->rd->tmp, value);
    } else if (bytes_eq(name, BYTES("reason"))) {
        set_reason(l, value);
    } else if (bytes_eq(name, BYTES("offset"))) {
        l->block.has_offset = bytes_number(value, &l->block.offset) && l->block.offset >= 0;
    } else if (bytes_eq(name, BYTES("status")) && value.n < sizeof(l->block.status)) {
        memcpy(l->block.status, value.p, value.n);
        l->block.status_len = value.n;
    }
}

static bool alphanumeric(unsigned char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

static void read_lines(struct log *l, bool defer)
{
    uint64_t at = 0;
    struct bytes line;
    bool inside = false;    /* in the middle of a line longer than a view */
    enum line_end end;

    while ((end = source_line(&l->rd->src, &at, &line)) != LINE_NONE) {
        if (!inside && line.n == 0)
            end_block(l, defer);
        else if (!inside && line.p[0] == '<')
            old_line(l, line);
        else if (!inside && alphanumeric(line.p[0]))
            value_line(l, line);
        inside = end == LINE_PIECE;
    }
    end_block(l, defer);
}

/* --- a log --- */

/* Short ids are used again: a log that is older than the queue file was left behind by another message. */
static bool stale(const struct lq_record *rec, const struct stat *st)
{
    int64_t created = (int64_t)rec->scratch[NOTE_CREATED];

    return created > 0 && (int64_t)st->st_mtime < created - 1;
}

static void set_latest(struct log *l, bool defer)
{
    struct bytes text = view(&l->rd->tmp2);
    const char *class;

    if (!defer) {
        record_replace_text(l->rec, LQ_BOUNCE_REASON, text.p, text.n);
        return;
    }
    record_replace_text(l->rec, LQ_REASON, text.p, text.n);
    if (!(l->rd->want & LQ_FIELD_BIT(LQ_REASON_CLASS)))
        return;
    class = reason_class_names[reason_classify(text)];
    record_replace_text(l->rec, LQ_REASON_CLASS, class, strlen(class));
}

void postfix_log(struct reading *rd, const struct entry *e, const struct stat *st)
{
    struct log l = { .rd = rd, .rec = rd->rec };
    bool defer = e->role == PF_DEFER;

    if (stale(rd->rec, st))
        return;
    sort_places(rd->rec);
    set(&rd->tmp, BYTES(""));
    set(&rd->tmp2, BYTES(""));
    read_lines(&l, defer);
    if (rd->src.error) {
        record_problem(rd->rec, "%s: %s", reading_path(rd, e), source_why(rd->src.error));
        record_broken(rd->rec, SEC_LOG);
    }
    /* Postfix deletes the log before an attempt and writes it at the end of each delivery. */
    if (defer && st->st_size > 0)
        record_replace_number(rd->rec, LQ_LAST_ATTEMPT, (int64_t)st->st_mtime);
    if (l.any_reason && rd->tmp2.n > 0)
        set_latest(&l, defer);
}
