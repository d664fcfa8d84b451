/*
 * The headers of a Sendmail control file (H records): conditions, internal quoting, macros, and the header block as it would be sent.
 *
 * Facts: Sendmail 8.17 and 8.18 (headers.c, queue.c) and the Operations Guide's appendix on queue files.
 */
#include "sendmail_parse.h"

#include "header.h"
#include "origin.h"

/* Fields of the record; the header's unconditional form wins over `?x?`. */
static const struct single {
    const char *name;
    size_t len;
    enum lq_field field;
} singles[SINGLE_COUNT] = {
    { "subject", 7, LQ_SUBJECT }, { "from", 4, LQ_FROM }, { "to", 2, LQ_TO },
    { "message-id", 10, LQ_MESSAGE_ID }, { "date", 4, LQ_DATE },
};

/* A byte that internal quoting is about: 0x80 to 0x9F, 0xFF. */
static bool special(unsigned char c)
{
    return (c & 0xe0) == 0x80 || c == 0xff;
}

/* Most headers have no high bit at all: eight bytes at a time. */
static size_t plain_length(struct bytes v, size_t i)
{
    uint64_t eight;

    while (v.n - i >= sizeof(eight)) {
        memcpy(&eight, v.p + i, sizeof(eight));
        if (eight & UINT64_C(0x8080808080808080))
            break;
        i += sizeof(eight);
    }
    while (i < v.n && !special(v.p[i]))
        i++;
    return i;
}

/* Undo internal quoting at v.p[i]; answers where it ends. */
static size_t add_special(struct parse *p, struct bytes v, size_t i)
{
    struct buf *out = p->in->headers;
    unsigned char c = v.p[i++];
    size_t n;

    if (c == 0xff) {
        if (i < v.n)
            buf_add_char(out, (char)v.p[i++]);
        return i;
    }
    if (c != 0x81 || i == v.n) {
        /* Before V8 8-bit text was stored as it came; since then a bare byte is an operator. */
        buf_add_char(out, p->version < SENDMAIL_VERSION_MAX ? (char)c : '?');
        return i;
    }
    /*
     * 0x81 begins the name of a macro that is expanded when the message is sent; ${g} is the
     * sender.
     */
    n = v.p[i] == '{' ? bytes_find(bytes_skip(v, i), '}') + 1 : 1;
    if (n > v.n - i)
        n = v.n - i;
    if (n == 1 && v.p[i] == 'g') {
        if (!null_sender(p))
            buf_add(out, p->sender.p, p->sender.n);
    } else {
        buf_add_char(out, '$');
        buf_add(out, v.p + i, n);
    }
    return i + n;
}

static void add_decoded(struct parse *p, struct bytes v)
{
    for (size_t i = 0, end; i < v.n;) {
        end = plain_length(v, i);
        buf_add(p->in->headers, v.p + i, end - i);
        i = end < v.n ? add_special(p, v, end) : end;
    }
}

/* Remember an unconditional header that came after a conditional one of the same name. */
static void prefer(struct parse *p, struct bytes name, bool conditional, size_t start)
{
    for (size_t i = 0; i < SINGLE_COUNT; i++) {
        if (name.n != singles[i].len ||
            !bytes_ieq(name, bytes_from(singles[i].name, singles[i].len)))
            continue;
        if (conditional) {
            p->conditional[i] = true;
        } else if (!p->preferred[i]) {
            p->preferred[i] = true;
            if (p->conditional[i])
                p->prefer[i] = (struct span){ start, p->in->headers->n - start, true };
        }
    }
}

/*
 * A condition of mailer flags that no SMTP mailer of a stock configuration has: P marks Return-Path, which final delivery adds. The
 * message goes out without that header (watched, 8.17 and 8.18).
 */
static bool for_final_delivery(struct bytes condition)
{
    return condition.n == 1 && condition.p[0] == 'P';
}

/* Whether somebody will look at this header, or at all of them. Who asks for subjects alone saves copying the others. */
static bool header_wanted(const struct parse *p, struct bytes name)
{
    if (p->in->want == 0 || wanted(p, FIELD(RECEIVED) | FIELD(DATA_SIZE) | FIELD(PROBLEMS) | FIELD(HEADER) | FIELD(BODY) | ORIGIN_FIELDS))
        return true;
    for (size_t i = 0; i < SINGLE_COUNT; i++)
        if (wanted(p, LQ_FIELD_BIT(singles[i].field)) && bytes_ieq(name, bytes_from(singles[i].name, singles[i].len)))
            return true;
    return false;
}

void sendmail_take_header(struct parse *p, struct bytes v)
{
    struct bytes rest = bytes_skip(v, 1), name;
    size_t n, start = p->in->headers->n;
    bool conditional = false;

    p->header_seen = true;
    /* Whatever becomes of this one, the one before it is whole. */
    p->rec->header_followed = true;
    if (v.n > 0 && v.p[0] == '?') {
        n = bytes_find(rest, '?');
        conditional = n > 0;
        v = bytes_skip(rest, n + 1);
        if (for_final_delivery(bytes_from(rest.p, n)))
            return;
    }
    n = bytes_find(v, ':');
    if (n == v.n) {
        if (!p->only_headers)
            sendmail_problem(p, "header without a colon; sendmail drops it");
        return;
    }
    /* Put into a block it would end that, or go on with the field before it. */
    if (v.p[0] == ' ' || v.p[0] == '\t' || bytes_find(v, '\n') < n) {
        if (!p->only_headers)
            sendmail_problem(p, "header without a name in its first line");
        return;
    }
    name = bytes_trim(bytes_from(v.p, n));
    /* A name with quoted bytes in it may turn out to be any. */
    if ((plain_length(v, 0) >= n && !header_wanted(p, name)) || bytes_ieq(name, BYTES("Full-Name")) ||
        (flag_letter(p, 'b') && bytes_ieq(name, BYTES("Bcc"))))
        return;
    p->rec->header_followed = false;
    add_decoded(p, v);
    buf_add_char(p->in->headers, '\n');
    prefer(p, name, conditional, start);
}

void sendmail_forget_headers(struct parse *p)
{
    buf_reset(p->in->headers, RECORD_TEXT_MAX);
    p->in->headers->limit = RECORD_HEADERS_MAX;
    memset(p->conditional, 0, sizeof(p->conditional));
    memset(p->preferred, 0, sizeof(p->preferred));
    memset(p->prefer, 0, sizeof(p->prefer));
}

void sendmail_set_headers(struct parse *p)
{
    const struct buf *all = p->in->headers;
    bool followed = p->rec->header_followed;

    for (size_t i = 0; i < SINGLE_COUNT; i++)
        if (p->prefer[i].set && wanted(p, LQ_FIELD_BIT(singles[i].field))) {
            p->rec->header_followed = followed || p->prefer[i].at + p->prefer[i].n < all->n;
            header_fields(p->rec, bytes_from(all->p + p->prefer[i].at, p->prefer[i].n), LQ_FIELD_BIT(singles[i].field));
        }
    p->rec->header_followed = followed;
}
