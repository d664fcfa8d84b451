/*
 * Exim's message log, msglog/ID: the only record of why a message waits.
 *
 * Text for people, appended to by each delivery attempt (4.50 to 4.99), so the newest line about a
 * recipient counts. Lines are
 *     2026-11-21 20:38:08 ADDR [<ORIGINAL>] R=router T=transport … defer (ERRNO): TEXT
 *     2026-11-21 20:38:08 H=name [ip] TEXT
 * and others that say nothing about delay. Everything in them may come from strangers.
 */
#include "exim.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "reason.h"

enum {
    LOG_MAX = 64 << 20,         /* only the end of a longer log is read */
    NOT_TRIED_FROM = -52,       /* this errno and lower ones: no attempt was made (retry time not reached, …) */
    TWINS_MAX = 16              /* recipients that differ in case only are looked through no further */
};

/* How well a text explains the delay; a newer one of at least the same weight replaces it. */
enum weight { NOTHING, NOT_TRIED, HOST, DEFER, DEFER_PENDING };

struct hit {                    /* a reason, as a place in the log */
    uint64_t off;
    uint32_t len, rcpt;
    enum weight weight;
};

struct stamp {
    struct tm tm;
    int zone;                   /* seconds east, where zoned */
    bool zoned;
};

struct log {
    struct exim_parse *p;
    struct hit *hits;           /* one for each pending recipient */
    uint32_t *order;            /* their numbers, sorted by address without case */
    struct hit best;
    struct stamp last;
    bool attempted;
};

/* --- time --- */

static bool take_digits(struct bytes *b, size_t n, int *out)
{
    int v = 0;

    if (b->n < n)
        return false;
    for (size_t i = 0; i < n; i++) {
        if (!exim_digit(b->p[i]))
            return false;
        v = v * 10 + (b->p[i] - '0');
    }
    *b = bytes_skip(*b, n);
    *out = v;
    return true;
}

static bool take_char(struct bytes *b, char c)
{
    if (b->n == 0 || b->p[0] != (unsigned char)c)
        return false;
    *b = bytes_skip(*b, 1);
    return true;
}

/* " +0100", with log_timezone. */
static void take_zone(struct bytes *b, struct stamp *out)
{
    struct bytes rest = *b;
    int hours, minutes, sign;

    if (rest.n < 6 || rest.p[0] != ' ' || (rest.p[1] != '+' && rest.p[1] != '-'))
        return;
    sign = rest.p[1] == '-' ? -1 : 1;
    rest = bytes_skip(rest, 2);
    if (!take_digits(&rest, 2, &hours) || !take_digits(&rest, 2, &minutes))
        return;
    out->zone = sign * (hours * 3600 + minutes * 60);
    out->zoned = true;
    *b = rest;
}

/* Take the time off a line, with the blank behind it. */
static bool take_stamp(struct bytes *b, struct stamp *out)
{
    struct bytes rest = *b;

    memset(out, 0, sizeof(*out));
    if (!take_digits(&rest, 4, &out->tm.tm_year) || !take_char(&rest, '-') || !take_digits(&rest, 2, &out->tm.tm_mon) ||
        !take_char(&rest, '-') || !take_digits(&rest, 2, &out->tm.tm_mday) || !take_char(&rest, ' ') ||
        !take_digits(&rest, 2, &out->tm.tm_hour) || !take_char(&rest, ':') || !take_digits(&rest, 2, &out->tm.tm_min) ||
        !take_char(&rest, ':') || !take_digits(&rest, 2, &out->tm.tm_sec))
        return false;
    out->tm.tm_year -= 1900;
    out->tm.tm_mon -= 1;
    out->tm.tm_isdst = -1;
    if (take_char(&rest, '.'))          /* log_selector +millisec */
        while (rest.n > 0 && exim_digit(rest.p[0]))
            rest = bytes_skip(rest, 1);
    take_zone(&rest, out);
    *b = rest;
    return take_char(b, ' ');
}

static int64_t stamp_time(struct stamp *s)
{
    return s->zoned ? (int64_t)timegm(&s->tm) - s->zone : (int64_t)mktime(&s->tm);
}

/* --- lines --- */

static size_t find_text(struct bytes in, struct bytes what)
{
    const unsigned char *at = in.n ? memmem(in.p, in.n, what.p, what.n) : NULL;

    return at ? (size_t)(at - in.p) : in.n;
}

/* What is behind " defer (ERRNO)". False if the line has no such part; then nothing is set. */
static bool take_defer(struct bytes line, size_t *at, int64_t *number, struct bytes *text)
{
    const struct bytes word = BYTES(" defer (");
    struct bytes rest;
    size_t close;

    *at = find_text(line, word);
    if (*at == line.n)
        return false;
    rest = bytes_skip(line, *at + word.n);
    close = bytes_find(rest, ')');
    if (close == rest.n || !bytes_number(bytes_from(rest.p, close), number))
        return false;
    rest = bytes_skip(rest, close + 1);
    take_char(&rest, ':');
    *text = bytes_trim(rest);
    return true;
}

/* "name [192.0.2.1]:25 TEXT" to TEXT. */
static struct bytes host_text(struct bytes rest)
{
    rest = bytes_skip(rest, bytes_find(rest, ']') + 1);
    if (rest.n > 1 && rest.p[0] == ':' && exim_digit(rest.p[1])) {
        rest = bytes_skip(rest, 1);
        while (rest.n > 0 && exim_digit(rest.p[0]))
            rest = bytes_skip(rest, 1);
    }
    take_char(&rest, ':');
    return bytes_trim(rest);
}

/* --- recipients by address --- */

static int fold_compare(struct bytes a, struct bytes b)
{
    size_t n = a.n < b.n ? a.n : b.n;

    for (size_t i = 0; i < n; i++) {
        int d = (int)ascii_lower(a.p[i]) - (int)ascii_lower(b.p[i]);

        if (d)
            return d;
    }
    return (a.n > b.n) - (a.n < b.n);
}

static struct bytes address_of(const struct lq_recipient *items, uint32_t i)
{
    return bytes_from(items[i].address.p, items[i].address.n);
}

static int by_address(const void *x, const void *y, void *items)
{
    const uint32_t *a = x, *b = y;
    int d = fold_compare(address_of(items, *a), address_of(items, *b));

    return d ? d : (*a > *b) - (*a < *b);
}

/* The pending recipient of that address, preferably with the same case; -1: none. */
static int64_t find_recipient(const struct log *log, struct bytes address)
{
    const struct rcpt_list *list = &log->p->rec->recipients;
    size_t low = 0, high = list->n;
    int64_t found = -1;

    while (low < high) {
        size_t mid = low + (high - low) / 2;

        if (fold_compare(address_of(list->items, log->order[mid]), address) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    high = list->n - low < TWINS_MAX ? list->n : low + TWINS_MAX;
    for (; low < high && fold_compare(address_of(list->items, log->order[low]), address) == 0; low++) {
        if (bytes_eq(address_of(list->items, log->order[low]), address))
            return log->order[low];
        if (found < 0)
            found = log->order[low];
    }
    return found;
}

/*
 * Whom a line is about, from what stands before " defer (": "ADDR <ORIGINAL> R=router …". ORIGINAL is the recipient
 * that was aliased, or its exact form; but the parent of a one_time child stands there, too, and is done.
 */
static int64_t line_recipient(const struct log *log, struct bytes head)
{
    const struct bytes router = BYTES(" R=");
    size_t open, at = find_text(head, router);
    struct bytes who = bytes_from(head.p, at);
    int64_t found = -1;

    open = find_text(who, BYTES(" <"));
    if (open < who.n && who.p[who.n - 1] == '>')
        found = find_recipient(log, bytes_from(who.p + open + 2, who.n - open - 3));
    return found >= 0 ? found : find_recipient(log, bytes_from(who.p, open));
}

/* --- the whole log --- */

static void note(struct hit *hit, uint64_t off, size_t len, enum weight weight)
{
    if (len == 0 || weight < hit->weight)
        return;
    hit->off = off;
    hit->len = (uint32_t)len;
    hit->weight = weight;
}

/*
 * "Received from SENDER H=… P=… S=BYTES id=…", the first line: how large the message was, as 4.96 and 4.98.2 count it in their listings,
 * too. What else looks like a size was written by strangers; the smallest makes them look for no more than there was.
 */
static int64_t size_told(struct bytes line)
{
    const struct bytes word = BYTES(" S=");
    int64_t least = 0, n;

    while ((line = bytes_skip(line, find_text(line, word))).n > 0) {
        line = bytes_skip(line, word.n);
        if (bytes_take_number(&line, &n) && n > 0 && (line.n == 0 || line.p[0] == ' ') && (least == 0 || n < least))
            least = n;
    }
    return least;
}

static void read_line(struct log *log, uint64_t at, struct bytes line)
{
    const unsigned char *begin = line.p;
    struct bytes text;
    struct stamp stamp;
    enum weight weight;
    int64_t number, rcpt;
    uint64_t text_at;
    size_t head;

    if (!take_stamp(&line, &stamp))
        return;
    if (at == 0 && bytes_start(line, BYTES("Received from "))) {
        log->p->came = size_told(line);
        return;
    }
    if (bytes_start(line, BYTES("H="))) {
        text = host_text(line);
        note(&log->best, at + (uint64_t)(text.p - begin), text.n, HOST);
        return;
    }
    if (!take_defer(line, &head, &number, &text))
        return;
    weight = number > NOT_TRIED_FROM ? DEFER : NOT_TRIED;
    if (weight == DEFER) {
        log->last = stamp;
        log->attempted = true;
    }
    text_at = at + (uint64_t)(text.p - begin);
    rcpt = line_recipient(log, bytes_from(line.p, head));
    if (rcpt >= 0)
        note(&log->hits[rcpt], text_at, text.n, weight);
    note(&log->best, text_at, text.n, weight == DEFER && rcpt >= 0 ? DEFER_PENDING : weight);
}

static void read_lines(struct log *log)
{
    struct exim_parse *p = log->p;
    bool inside = false;        /* a line that began in an earlier piece, or before what we read */
    struct bytes line;
    enum line_end end;

    p->off = 0;
    if (p->src->size > LOG_MAX) {
        p->off = p->src->size - LOG_MAX;
        inside = true;
    }
    do {
        p->at = p->off;
        end = source_line(p->src, &p->off, &line);
        if (!inside)
            read_line(log, p->at, line);
        inside = end == LINE_PIECE;
    } while (end == LINE_WHOLE || end == LINE_PIECE);
}

/* --- into the record --- */

static int by_offset(const void *x, const void *y)
{
    const struct hit *a = x, *b = y;

    return (a->off > b->off) - (a->off < b->off);
}

/* Texts are fetched in the order of the file; equal neighbours share one copy. */
static void set_recipients(struct log *log, size_t n)
{
    struct lq_record *r = log->p->rec;
    struct lq_str text = { NULL, 0 }, code = { NULL, 0 };

    qsort(log->hits, n, sizeof(*log->hits), by_offset);
    for (size_t i = 0; i < n; i++) {
        const struct hit *hit = &log->hits[i];
        struct lq_recipient *item = &r->recipients.items[hit->rcpt];
        struct bytes found;
        size_t got;
        const unsigned char *at;

        if (hit->weight == NOTHING || !(at = source_at(log->p->src, hit->off, hit->len, &got)) || got < hit->len)
            continue;
        if (!text.p || text.n != hit->len || memcmp(text.p, at, hit->len) != 0) {
            text = record_copy(r, at, hit->len);
            if (!text.p)
                return;
            found = reason_dsn_code(bytes_from(text.p, text.n));
            code = found.n > 0 ? record_copy(r, found.p, found.n) : (struct lq_str){ NULL, 0 };
        }
        item->delay_reason = record_share(r, text, SEC_LOG);
        item->dsn_code = code;
    }
}

static void set_reason(struct log *log)
{
    struct lq_record *r = log->p->rec;
    const char *class;
    size_t got;
    const unsigned char *at;

    if (log->attempted)
        record_set_number(r, LQ_LAST_ATTEMPT, stamp_time(&log->last));
    if (log->best.weight == NOTHING || !(at = source_at(log->p->src, log->best.off, log->best.len, &got)) ||
        got < log->best.len)
        return;
    record_set_text(r, LQ_REASON, at, log->best.len);
    if (!(log->p->want & LQ_FIELD_BIT(LQ_REASON_CLASS)))
        return;
    class = reason_class_names[reason_classify(bytes_from(at, log->best.len))];
    record_set_text(r, LQ_REASON_CLASS, class, strlen(class));
}

void exim_parse_log(struct exim_parse *p)
{
    const struct rcpt_list *list = &p->rec->recipients;
    struct log log = { .p = p };
    struct hit hit = { 0 };

    buf_reset(p->names, p->names->cap);
    buf_reset(p->nodes, p->nodes->cap);
    for (uint32_t i = 0; i < list->n; i++) {
        hit.rcpt = i;
        buf_add(p->names, &hit, sizeof(hit));
        buf_add(p->nodes, &i, sizeof(i));
    }
    if (p->names->failed || p->nodes->failed) {
        record_broken(p->rec, SEC_LOG);
        return;
    }
    log.hits = (struct hit *)(void *)p->names->p;
    log.order = (uint32_t *)(void *)p->nodes->p;
    if (list->n > 1)
        qsort_r(log.order, list->n, sizeof(*log.order), by_address, list->items);
    read_lines(&log);
    if (list->n > 0)
        set_recipients(&log, list->n);
    set_reason(&log);
    if (p->src->error)
        exim_unreadable(p, SEC_LOG);
}
