/*
 * Any bytes as a header block: every field is unfolded, decoded, read as a Received line and as a date, and put into a record; then
 * the origin is looked for, by somebody who trusts nearly everybody.
 * Decoding may not make invalid UTF-8 of ASCII, nor lose text.
 */
#include <stdlib.h>
#include <string.h>

#include "header.h"
#include "origin.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_ascii(struct bytes b)
{
    for (size_t i = 0; i < b.n; i++)
        if (b.p[i] >= 0x80)
            return false;
    return true;
}

/* The plainest reading of the table in RFC 3629, section 4: nothing shared with the code under test. */
static bool is_utf8(struct bytes b)
{
    for (size_t i = 0; i < b.n;) {
        unsigned char c = b.p[i++];
        unsigned char low = 0x80, high = 0xbf;
        size_t more;

        if (c < 0x80)
            continue;
        if (c < 0xc2 || c > 0xf4)
            return false;
        more = c < 0xe0 ? 1 : c < 0xf0 ? 2 : 3;
        low = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : low;
        high = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : high;
        for (; more > 0; more--) {
            if (i == b.n || b.p[i] < low || b.p[i] > high)
                return false;
            low = 0x80;
            high = 0xbf;
            i++;
        }
    }
    return true;
}

static void one_value(struct lq_record *r, struct bytes value, struct buf *unfolded, struct buf *decoded)
{
    struct lq_hop hop = { .time = 0 };
    struct bytes in, out;
    int64_t t;

    header_unfold(value, unfolded);
    in = bytes_from(unfolded->p ? unfolded->p : "", unfolded->n);
    header_decode(in, decoded);
    out = bytes_from(decoded->p ? decoded->p : "", decoded->n);
    if (is_ascii(in) && !is_utf8(out))
        abort();
    if (out.n > 0 && memchr(out.p, 0, out.n) && !memchr(in.p, 0, in.n))
        abort();
    if (!memmem(in.p, in.n, "=?", 2) && !bytes_eq(in, out))
        abort();
    header_received(r, value, &hop);
    header_date(value, &t);
}

static void origin(struct lq_record *r, struct bytes block)
{
    static struct trust trust;
    enum lq_presence source;

    if (!trust.always)
        trust_begin(&trust, NULL);
    if (!trust.networks)
        trust_mynetworks(&trust, "0.0.0.0/1 [::]/0");
    record_set_text(r, LQ_QUEUE_ID, "4jX48y4ynDz1blN8", 16);
    record_set_text(r, LQ_CLIENT_ADDRESS, "10.0.0.5", 8);
    r->have = SEC_CONTROL;
    origin_fields(r, &trust, block, true, LQ_FIELDS_ALL);
    source = lq_record_has(r, LQ_ORIGIN_SOURCE);
    if (source != lq_record_has(r, LQ_ORIGIN_TRUST) || source == LQ_ABSENT)
        abort();
}

/* Parsers leave out the fields that nobody looks at: never one that somebody does. */
static void kept(struct lq_record *r, struct header h, struct bytes line)
{
    static const struct { const char *name; enum lq_field f; } names[] = {
        { "subject", LQ_SUBJECT }, { "from", LQ_FROM }, { "to", LQ_TO }, { "message-id", LQ_MESSAGE_ID }, { "date", LQ_DATE },
        { "received", LQ_RECEIVED },
    };

    if (!header_keeps(line, LQ_FIELDS_ALL))
        abort();
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (!bytes_ieq(h.name, bytes_from(names[i].name, strlen(names[i].name))))
            continue;
        if (!header_keeps(line, LQ_FIELD_BIT(names[i].f)))
            abort();
        record_reset(r);
        header_text(r, names[i].f, h.value);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes block = { data, size };
    struct buf unfolded = { 0 }, decoded = { 0 };
    struct lq_record r = { 0 };
    struct header h;

    record_reset(&r);
    header_fields(&r, block, LQ_FIELDS_ALL);
    origin(&r, block);
    one_value(&r, block, &unfolded, &decoded);
    for (struct bytes line = block; header_next(&block, &h); line = block) {
        one_value(&r, h.value, &unfolded, &decoded);
        kept(&r, h, bytes_from(h.name.p, (size_t)(line.p + line.n - h.name.p)));
    }
    buf_done(&unfolded);
    buf_done(&decoded);
    record_done(&r);
    return 0;
}
