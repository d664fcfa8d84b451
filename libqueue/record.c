/* The table of fields, and a record being filled. */
#include "record.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define C SEC_CONTROL
#define S SEC_SIZE
#define L SEC_LOG

const struct field_info field_table[LQ_FIELD_COUNT] = {
    [LQ_HOST]            = { "host",            LQ_TYPE_TEXT,       SEC_NAME,  "" },
    [LQ_MTA]             = { "mta",             LQ_TYPE_TEXT,       SEC_NAME,  "" },
    [LQ_SPOOL]           = { "spool",           LQ_TYPE_TEXT,       SEC_NAME,  "" },
    [LQ_QUEUE_NAME]      = { "queue_name",      LQ_TYPE_TEXT,       SEC_NAME,  "queue" },
    [LQ_QUEUE_ID]        = { "queue_id",        LQ_TYPE_TEXT,       SEC_NAME,  "id" },
    [LQ_STATE]           = { "state",           LQ_TYPE_TEXT,       C | S,     "" },
    [LQ_ARRIVAL_TIME]    = { "arrival_time",    LQ_TYPE_NUMBER,     C,         "arrival time age" },
    [LQ_ARRIVAL_USEC]    = { "arrival_usec",    LQ_TYPE_NUMBER,     C,         "" },
    [LQ_MESSAGE_SIZE]    = { "message_size",    LQ_TYPE_NUMBER,     C | S,     "size" },
    [LQ_DATA_SIZE]       = { "data_size",       LQ_TYPE_NUMBER,     C | S | SEC_BODY, "" },
    [LQ_SENDER]          = { "sender",          LQ_TYPE_TEXT,       C,         "" },
    [LQ_RECIPIENTS]      = { "recipients",      LQ_TYPE_RECIPIENTS, C | L,     "" },
    [LQ_RECIPIENTS_DONE] = { "recipients_done", LQ_TYPE_RECIPIENTS, C,         "" },
    [LQ_CLIENT_ADDRESS]  = { "client_address",  LQ_TYPE_TEXT,       C,         "client" },
    [LQ_CLIENT_PORT]     = { "client_port",     LQ_TYPE_NUMBER,     C,         "" },
    [LQ_CLIENT_NAME]     = { "client_name",     LQ_TYPE_TEXT,       C,         "" },
    [LQ_HELO_NAME]       = { "helo_name",       LQ_TYPE_TEXT,       C,         "helo" },
    [LQ_PROTOCOL_NAME]   = { "protocol_name",   LQ_TYPE_TEXT,       C,         "protocol" },
    [LQ_AUTH_USER]       = { "auth_user",       LQ_TYPE_TEXT,       C,         "user account" },
    [LQ_AUTH_METHOD]     = { "auth_method",     LQ_TYPE_TEXT,       C,         "" },
    [LQ_LOCAL_USER]      = { "local_user",      LQ_TYPE_TEXT,       C,         "" },
    [LQ_LOCAL_UID]       = { "local_uid",       LQ_TYPE_NUMBER,     C,         "" },
    [LQ_ATTEMPTS]        = { "attempts",        LQ_TYPE_NUMBER,     C,         "" },
    [LQ_LAST_ATTEMPT]    = { "last_attempt",    LQ_TYPE_NUMBER,     C | L,     "" },
    [LQ_NEXT_ATTEMPT]    = { "next_attempt",    LQ_TYPE_NUMBER,     C,         "" },
    [LQ_FORCED_EXPIRE]   = { "forced_expire",   LQ_TYPE_BOOL,       C,         "" },
    [LQ_BOUNCE_REASON]   = { "bounce_reason",   LQ_TYPE_TEXT,       C | L,     "" },
    [LQ_HOLD_REASON]     = { "hold_reason",     LQ_TYPE_TEXT,       C,         "" },
    [LQ_REASON]          = { "reason",          LQ_TYPE_TEXT,       C | L,     "" },
    [LQ_REASON_CLASS]    = { "reason_class",    LQ_TYPE_TEXT,       C | L,     "reason.class class" },
    [LQ_SUBJECT]         = { "subject",         LQ_TYPE_TEXT,       C,         "" },
    [LQ_FROM]            = { "from",            LQ_TYPE_TEXT,       C,         "" },
    [LQ_TO]              = { "to",              LQ_TYPE_TEXT,       C,         "" },
    [LQ_MESSAGE_ID]      = { "message_id",      LQ_TYPE_TEXT,       C,         "" },
    [LQ_DATE]            = { "date",            LQ_TYPE_TEXT,       C,         "" },
    [LQ_RECEIVED]        = { "received",        LQ_TYPE_HOPS,       C,         "" },
    [LQ_ORIGIN_ADDRESS]  = { "origin_address",  LQ_TYPE_TEXT,       C,         "origin" },
    [LQ_ORIGIN_USER]     = { "origin_user",     LQ_TYPE_TEXT,       C,         "" },
    [LQ_ORIGIN_SCRIPT]   = { "origin_script",   LQ_TYPE_TEXT,       C,         "" },
    [LQ_ORIGIN_SOURCE]   = { "origin_source",   LQ_TYPE_TEXT,       C,         "" },
    [LQ_ORIGIN_TRUST]    = { "origin_trust",    LQ_TYPE_TEXT,       C,         "" },
    [LQ_FLAGS]           = { "flags",           LQ_TYPE_TEXTS,      C | S,     "flag" },
    [LQ_IDENTITY]        = { "identity",        LQ_TYPE_TEXT,       C | S,     "" },
    [LQ_PROBLEMS]        = { "problems",        LQ_TYPE_TEXTS,      C | S | L, "problem" },
    [LQ_FILES]           = { "files",           LQ_TYPE_TEXTS,      C | S | L, "file" },
    [LQ_RECIPIENT]       = { "recipient",       LQ_TYPE_TEXTS,      C,         "recipients.address rcpt" },
    [LQ_HEADER]          = { "header",          LQ_TYPE_TEXT,       C,         "" },
    [LQ_BODY]            = { "body",            LQ_TYPE_TEXT,       C | SEC_BODY, "" },
};

#undef C
#undef S
#undef L

const char *const state_names[STATE_COUNT] = {
    [STATE_NONE] = "", [STATE_RECEIVING] = "receiving", [STATE_CORRUPT] = "corrupt", [STATE_INCOMPLETE] = "incomplete",
    [STATE_ACTIVE] = "active", [STATE_HELD] = "held", [STATE_DEFERRED] = "deferred", [STATE_INCOMING] = "incoming",
};

const char *const flag_names[FLAG_COUNT] = {
    [FLAG_BOUNCE] = "bounce", [FLAG_LOCAL] = "local", [FLAG_AUTHENTICATED] = "authenticated", [FLAG_TLS] = "tls",
    [FLAG_SMTPUTF8] = "smtputf8", [FLAG_WARNED] = "warned", [FLAG_WIREFORMAT] = "wireformat",
    [FLAG_SHARED_BODY] = "shared-body", [FLAG_NAME_UNVERIFIED] = "client-name-unverified",
    [FLAG_PARTIAL] = "partly-delivered", [FLAG_REDIRECTED] = "redirected", [FLAG_FILTERED] = "content-filter",
};

const struct text_member recipient_members[] = {
    { "address", offsetof(struct lq_recipient, address) },
    { "delay_reason", offsetof(struct lq_recipient, delay_reason) },
    { "dsn_code", offsetof(struct lq_recipient, dsn_code) },
    { "orig_address", offsetof(struct lq_recipient, orig_address) },
    { NULL, 0 }
};

const struct text_member hop_members[] = {
    { "by", offsetof(struct lq_hop, by) },           { "from", offsetof(struct lq_hop, from) },
    { "helo", offsetof(struct lq_hop, helo) },       { "address", offsetof(struct lq_hop, address) },
    { "with", offsetof(struct lq_hop, with) },       { "id", offsetof(struct lq_hop, id) },
    { "trust", offsetof(struct lq_hop, trust) },
    { NULL, 0 }
};

/* An emptied list; the memory of an ordinary one is kept. */
static struct rcpt_list emptied(struct rcpt_list list)
{
    if (list.cap > 64) {
        free(list.items);
        list.items = NULL;
        list.cap = 0;
    }
    return (struct rcpt_list){ .items = list.items, .cap = list.cap };
}

/* All fields; what holds memory is as before. Of stamps the count is enough, and half a KiB less to write for each message. */
static void clear(struct lq_record *r)
{
    struct arena arena = r->arena;
    struct buf json = r->json;
    struct rcpt_list recipients = emptied(r->recipients), done = emptied(r->done);

    memset(r, 0, offsetof(struct lq_record, stamps));
    r->arena = arena;
    r->json = json;
    r->recipients = recipients;
    r->done = done;
    r->stamp_count = 0;
    r->part_dev = 0;
    r->part_ino = 0;
    r->have = SEC_NAME;
}

void record_reset(struct lq_record *r)
{
    clear(r);
    arena_reset(&r->arena);
    r->arena.limit = RECORD_ARENA_MAX;
    r->arena.large = RECORD_SMALL;
    buf_reset(&r->json, RECORD_SMALL);
}

void record_restart(struct lq_record *r)
{
    clear(r);
}

void record_done(struct lq_record *r)
{
    arena_done(&r->arena);
    buf_done(&r->json);
    free(r->recipients.items);
    free(r->done.items);
}

static bool is_escaped(unsigned char c)
{
    return c < ' ' || c > '~';
}

/* Whether any of eight bytes is outside ' ' to '~': borrow and carry set the highest bits. */
static bool any_escaped(const unsigned char *p)
{
    const uint64_t each = UINT64_C(0x0101010101010101);
    uint64_t v;

    memcpy(&v, p, sizeof(v));
    return ((v - ' ' * each) | (v + each) | v) & 0x80 * each;
}

static size_t escaped(const unsigned char *p, size_t n)
{
    size_t k = 0, i = 0;

    for (; n - i >= 8; i += 8) {
        if (!any_escaped(p + i))
            continue;
        for (size_t j = 0; j < 8; j++)
            k += is_escaped(p[i + j]);
    }
    if (n >= 8 && !any_escaped(p + n - 8))
        return k;
    for (; i < n; i++)
        k += is_escaped(p[i]);
    return k;
}

struct lq_str record_copy(struct lq_record *r, const void *p, size_t n)
{
    return record_keep(r, p, n < RECORD_TEXT_MAX ? n : RECORD_TEXT_MAX);
}

struct lq_str record_keep(struct lq_record *r, const void *p, size_t n)
{
    enum { MORE = 5 };      /* \u001b; and a byte as U+FFFD and base64 is less than that */
    size_t more;

    more = MORE * escaped(p, n);
    if (more > 0 && !arena_charge(&r->arena, more))
        return (struct lq_str){ NULL, 0 };
    return arena_copy(&r->arena, p, n);
}

struct lq_str record_share(struct lq_record *r, struct lq_str s, unsigned sections)
{
    if (!r->shared_out && s.n <= RECORD_SHARED_MAX - r->shared) {
        r->shared += s.n;
        return s;
    }
    if (!r->shared_out)
        record_problem(r, "recipients share more than %d bytes of text: it is not repeated for the others",
                       (int)RECORD_SHARED_MAX);
    r->shared_out = true;
    record_broken(r, sections);
    return (struct lq_str){ NULL, 0 };
}

bool record_is_set(const struct lq_record *r, enum lq_field f)
{
    return r->set >> f & 1;
}

void record_replace_text(struct lq_record *r, enum lq_field f, const void *p, size_t n)
{
    struct lq_str s = record_copy(r, p, n);

    if (!s.p) {
        record_broken(r, field_table[f].sections);
        return;
    }
    r->cut &= ~LQ_FIELD_BIT(f);
    if (n > RECORD_TEXT_MAX) {
        r->cut |= LQ_FIELD_BIT(f);
        record_problem(r, "%s is %zu bytes long; cut at %d", field_table[f].name, n, (int)RECORD_TEXT_MAX);
    }
    r->value[f].text = s;
    r->set |= LQ_FIELD_BIT(f);
}

void record_set_text(struct lq_record *r, enum lq_field f, const void *p, size_t n)
{
    if (!record_is_set(r, f))
        record_replace_text(r, f, p, n);
}

void record_set_stored(struct lq_record *r, enum lq_field f, const void *p, size_t n)
{
    r->stored[f - LQ_SUBJECT] = record_copy(r, p, n);
}

void record_replace_number(struct lq_record *r, enum lq_field f, int64_t v)
{
    if (v > RECORD_NUMBER_MAX || v < -RECORD_NUMBER_MAX) {
        record_problem(r, "%s is %lld, beyond what can be true", field_table[f].name, (long long)v);
        record_broken(r, field_table[f].sections);
        return;
    }
    r->value[f].number = v;
    r->set |= LQ_FIELD_BIT(f);
}

void record_set_number(struct lq_record *r, enum lq_field f, int64_t v)
{
    if (!record_is_set(r, f))
        record_replace_number(r, f, v);
}

static bool rcpt_room(struct lq_record *r, struct rcpt_list *list)
{
    size_t cap = list->cap ? list->cap * 2 : 8;
    struct lq_recipient *items;

    if (list->n < list->cap)
        return true;
    if (list->n >= RECORD_RECIPIENTS_MAX || !arena_charge(&r->arena, (cap - list->cap) * sizeof(*items)))
        return false;
    items = realloc(list->items, cap * sizeof(*items));
    if (!items)
        return false;
    list->items = items;
    list->cap = cap;
    return true;
}

struct lq_recipient *record_add_recipient(struct lq_record *r, struct rcpt_list *list)
{
    list->counted++;
    if (list->n < RECORD_RECIPIENTS_MAX && rcpt_room(r, list)) {
        memset(&list->items[list->n], 0, sizeof(*list->items));
        return &list->items[list->n++];
    }
    if (list->counted == list->n + 1)
        record_problem(r, "more than %zu recipients: the others are counted, not stored", list->n);
    record_broken(r, SEC_CONTROL);
    return NULL;
}

struct lq_hop *record_add_hop(struct lq_record *r)
{
    struct lq_hop *hops = NULL;

    if (r->hop_count < RECORD_HOPS_MAX)
        hops = arena_grow(&r->arena, r->hops, r->hop_count, &r->hop_cap, sizeof(*hops));
    if (!hops)
        return NULL;
    r->hops = hops;
    memset(&hops[r->hop_count], 0, sizeof(*hops));
    return &hops[r->hop_count++];
}

void record_set_identity(struct lq_record *r, dev_t dev, ino_t ino)
{
    int64_t seconds, usec = 0;
    char text[100];
    int n;

    r->part_dev = dev;
    r->part_ino = ino;
    if (!lq_record_number(r, LQ_ARRIVAL_TIME, &seconds) ||
        (!lq_record_number(r, LQ_ARRIVAL_USEC, &usec) && r->broken & SEC_CONTROL))
        return;
    n = snprintf(text, sizeof(text), "%lld.%06lld-%llx:%llu", (long long)seconds, (long long)usec, (unsigned long long)dev,
                 (unsigned long long)ino);
    record_set_text(r, LQ_IDENTITY, text, (size_t)n);
}

void record_add_stamp(struct lq_record *r, const struct stat *st)
{
    if (r->stamp_count < RECORD_STAMPS_MAX)
        r->stamps[r->stamp_count] = (struct file_stamp){ st->st_dev, st->st_ino, st->st_size, st->st_mtim, st->st_ctim };
    r->stamp_count++;
}

void record_flag(struct lq_record *r, enum flag f)
{
    r->flags |= 1u << f;
}

void record_set_state(struct lq_record *r, enum state s)
{
    if (r->state == STATE_NONE || s < r->state)
        r->state = s;
}

static void list_add(struct lq_record *r, struct str_list *list, const char *text, size_t n)
{
    struct lq_str *items, s;

    items = arena_grow(&r->arena, list->items, list->n, &list->cap, sizeof(*items));
    if (!items)
        return;
    list->items = items;
    s = arena_copy(&r->arena, text, n);
    if (s.p)
        items[list->n++] = s;
}

void record_problem(struct lq_record *r, const char *fmt, ...)
{
    char text[1024];
    va_list ap;
    int n;

    if (r->problems.n >= RECORD_PROBLEMS_MAX)
        return;
    va_start(ap, fmt);
    n = vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    if (n < 0)
        return;
    if ((size_t)n >= sizeof(text))
        n = sizeof(text) - 1;
    list_add(r, &r->problems, text, (size_t)n);
}

void record_broken(struct lq_record *r, unsigned sections)
{
    r->broken |= sections;
}

void record_add_file(struct lq_record *r, const char *dir, const char *name)
{
    char path[4096];
    int n = snprintf(path, sizeof(path), "%s%s%s", dir, *dir ? "/" : "", name);

    if (n > 0 && (size_t)n < sizeof(path))
        list_add(r, &r->files, path, (size_t)n);
}

/* --- the public view --- */

const char *lq_field_name(enum lq_field f)
{
    return f < LQ_FIELD_COUNT ? field_table[f].name : NULL;
}

enum lq_type lq_field_type(enum lq_field f)
{
    return f < LQ_FIELD_COUNT ? field_table[f].type : LQ_TYPE_TEXT;
}

static bool list_is_empty(const struct lq_record *r, enum lq_field f)
{
    switch (f) {
    case LQ_RECIPIENT:
    case LQ_RECIPIENTS:
        return r->recipients.counted == 0;
    case LQ_RECIPIENTS_DONE:
        return r->done.counted == 0;
    case LQ_RECEIVED:
        return r->hop_count == 0;
    default:
        return false;
    }
}

enum lq_presence lq_record_has(const struct lq_record *r, enum lq_field f)
{
    unsigned sections;

    if (f >= LQ_FIELD_COUNT)
        return LQ_ABSENT;
    if (r->foreign.is)
        return r->foreign.given >> f & 1 ? LQ_PRESENT : r->foreign.unknown >> f & 1 ? LQ_UNREAD : LQ_ABSENT;
    sections = field_table[f].sections;
    switch (field_table[f].type) {
    case LQ_TYPE_TEXT:
    case LQ_TYPE_NUMBER:
    case LQ_TYPE_BOOL:
        if (record_is_set(r, f) || (f == LQ_STATE && r->state != STATE_NONE && (r->have & sections) == sections))
            return LQ_PRESENT;
        break;
    case LQ_TYPE_TEXTS:
    case LQ_TYPE_RECIPIENTS:
    case LQ_TYPE_HOPS:
        /*
         * The elements found are known; that a broken section may hide more of them is the filter's concern. None
         * found in a broken one does not mean that there are none.
         */
        if (list_is_empty(r, f) && (f == LQ_RECIPIENTS_DONE || (r->broken & SEC_CONTROL)))
            break;
        if (r->have & SEC_CONTROL)
            return LQ_PRESENT;
        break;
    }
    if ((r->have & sections) != sections || (r->broken & sections))
        return LQ_UNREAD;
    return LQ_ABSENT;
}

struct lq_str lq_record_text(const struct lq_record *r, enum lq_field f)
{
    if (f == LQ_STATE && lq_record_has(r, f) == LQ_PRESENT)
        return (struct lq_str){ state_names[r->state], strlen(state_names[r->state]) };
    if (f < LQ_FIELD_COUNT && field_table[f].type == LQ_TYPE_TEXT && record_is_set(r, f))
        return r->value[f].text;
    return (struct lq_str){ NULL, 0 };
}

bool lq_record_number(const struct lq_record *r, enum lq_field f, int64_t *out)
{
    if (f >= LQ_FIELD_COUNT || !record_is_set(r, f) ||
        (field_table[f].type != LQ_TYPE_NUMBER && field_table[f].type != LQ_TYPE_BOOL))
        return false;
    *out = r->value[f].number;
    return true;
}

static struct lq_str flag_at(unsigned flags, size_t i)
{
    for (unsigned f = 0; f < FLAG_COUNT; f++)
        if (flags >> f & 1 && i-- == 0)
            return (struct lq_str){ flag_names[f], strlen(flag_names[f]) };
    return (struct lq_str){ NULL, 0 };
}

struct lq_str lq_record_text_at(const struct lq_record *r, enum lq_field f, size_t i)
{
    const struct str_list *list = f == LQ_PROBLEMS ? &r->problems : f == LQ_FILES ? &r->files : NULL;

    if (f == LQ_FLAGS)
        return flag_at(r->flags, i);
    if (f == LQ_RECIPIENT && i < r->recipients.n)
        return r->recipients.items[i].address;
    if (list && i < list->n)
        return list->items[i];
    return (struct lq_str){ NULL, 0 };
}

static const struct rcpt_list *rcpts(const struct lq_record *r, enum lq_field f)
{
    return f == LQ_RECIPIENTS_DONE ? &r->done : &r->recipients;
}

const struct lq_recipient *lq_record_recipients(const struct lq_record *r, enum lq_field f, size_t *n)
{
    *n = rcpts(r, f)->n;
    return rcpts(r, f)->items;
}

uint64_t lq_record_recipient_count(const struct lq_record *r, enum lq_field f)
{
    return rcpts(r, f)->counted;
}

const struct lq_hop *lq_record_hops(const struct lq_record *r, size_t *n)
{
    *n = r->hop_count;
    return r->hops;
}
