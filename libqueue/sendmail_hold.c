/*
 * Quarantine in a Sendmail control file: the q record, put in and taken out, and not one other byte.
 *
 * Knows bytes only; which file gets which name is up to sendmail_act.c. Facts: Sendmail 8.17 and 8.18 (queue.c:
 * quarantine_queue_item, readqf), compared with what `sendmail -Q` makes of the same files.
 */
#include "sendmail.h"

enum {
    QUARANTINE_VERSION = 8,     /* of queue files: 8.13 and later know q */
    REASON_MAX = 200            /* bytes; the listings of 8.17 read a line of 2047 */
};

static const char standard_reason[] = "held by an administrator";

/* What a control file says of itself, as far as quarantine asks. */
struct look {
    int64_t version;
    bool quarantined, sender, ended;
};

/* The record at the front of *text with the lines that continue it, line ends included; *text moves behind it. */
static struct bytes next_record(struct bytes *text)
{
    struct bytes rest = *text, rec;

    do
        rest = bytes_skip(rest, bytes_find(rest, '\n') + 1);
    while (rest.n > 0 && (rest.p[0] == ' ' || rest.p[0] == '\t'));
    rec = bytes_from(text->p, text->n - rest.n);
    *text = rest;
    return rec;
}

static int64_t version_of(struct bytes rec)
{
    struct bytes v = bytes_skip(rec, 1);
    int64_t n;

    return bytes_take_number(&v, &n) ? n : 0;
}

static struct look look_at(struct bytes text)
{
    struct look look = { 0 };

    while (text.n > 0 && !look.ended) {
        struct bytes rec = next_record(&text);

        switch (rec.p[0]) {
        case 'V':
            look.version = version_of(rec);
            break;
        case 'q':
            look.quarantined = true;
            break;
        case 'S':
            look.sender = true;
            break;
        case '.':
            look.ended = true;
            break;
        }
    }
    return look;
}

/* Length of the UTF-8 character at the front; 0 for what is none, or would steer a terminal (U+0080 to U+009F). */
static size_t character(struct bytes v)
{
    static const uint32_t least[] = { 0, 0, 0xa0, 0x800, 0x10000 };
    size_t n = v.p[0] >= 0xf0 ? 4 : v.p[0] >= 0xe0 ? 3 : 2;
    uint32_t c = v.p[0] & (0x7fu >> n);

    if (v.p[0] < 0xc2 || v.p[0] > 0xf4 || v.n < n)
        return 0;
    for (size_t i = 1; i < n; i++) {
        if ((v.p[i] & 0xc0) != 0x80)
            return 0;
        c = c << 6 | (v.p[i] & 0x3fu);
    }
    return c < least[n] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000) ? 0 : n;
}

/*
 * One line that mailq may print to a terminal as it is, because it does. Not the internal quoting of headers: sendmail applies none
 * to q (tried with 8.17.1 and 8.18.1).
 */
static void add_reason(struct buf *out, const char *reason)
{
    struct bytes v = bytes_trim(bytes_from(reason, strlen(reason)));
    size_t start = out->n, n;

    while (v.n > 0 && out->n - start < REASON_MAX) {
        if (v.p[0] < 0x80) {
            buf_add_char(out, v.p[0] < ' ' || v.p[0] == 0x7f ? ' ' : (char)v.p[0]);
            v = bytes_skip(v, 1);
            continue;
        }
        n = character(v);
        if (n > 0 && out->n - start + n > REASON_MAX)
            break;
        if (n > 0)
            buf_add(out, v.p, n);
        else
            buf_add_char(out, '?');
        v = bytes_skip(v, n > 0 ? n : 1);
    }
}

/* All records but q, with a new one before the sender unless reason is NULL; what follows the terminator stays, too. */
static void rewrite(struct buf *out, struct bytes text, const char *reason)
{
    bool ended = false;

    while (text.n > 0 && !ended) {
        struct bytes rec = next_record(&text);

        if (rec.p[0] == 'q')
            continue;
        if (rec.p[0] == 'S' && reason) {
            buf_add_char(out, 'q');
            add_reason(out, reason);
            buf_add_char(out, '\n');
            reason = NULL;
        }
        ended = rec.p[0] == '.';
        buf_add(out, rec.p, rec.n);
    }
    buf_add(out, text.p, text.n);
}

enum sendmail_quarantine sendmail_quarantine(struct bytes key, bool on, const char *reason, struct buf *out)
{
    struct look look = look_at(key);

    if (!look.sender || !look.ended)
        return QUARANTINE_DAMAGED;
    if (look.version < QUARANTINE_VERSION)
        return QUARANTINE_TOO_OLD;
    if (look.quarantined == on)
        return QUARANTINE_SAME;
    if (on && (!reason || bytes_trim(bytes_from(reason, strlen(reason))).n == 0))
        reason = standard_reason;
    rewrite(out, key, on ? reason : NULL);
    return QUARANTINE_CHANGED;
}
