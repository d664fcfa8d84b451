/*
 * Fields of a header block: taking them apart, unfolding, and putting the ones a record has into it.
 * RFC 2047 is in rfc2047.c, Received lines and dates are in received.c; this file knows where fields begin and end.
 */
#include "header.h"

/* Room for RECORD_TEXT_MAX bytes of text that was sent in encoded words (Q triples it). */
enum { ENCODED_MAX = 4 * RECORD_TEXT_MAX };

/* The first line of the block without its line end; the block moves behind it. */
static struct bytes take_line(struct bytes *block)
{
    size_t n = bytes_find(*block, '\n');
    struct bytes line = { block->p, n };

    *block = bytes_skip(*block, n + 1);
    if (line.n > 0 && line.p[line.n - 1] == '\r')
        line.n--;
    return line;
}

static bool is_blank(unsigned char c)
{
    return c == ' ' || c == '\t';
}

/* The name before the colon: printable ASCII without blanks (RFC 5322), blanks allowed between it and the colon. */
static bool split_field(struct bytes line, struct header *h)
{
    size_t colon = bytes_find(line, ':');
    size_t n = colon;

    if (colon == line.n)
        return false;
    while (n > 0 && is_blank(line.p[n - 1]))
        n--;
    for (size_t i = 0; i < n; i++)
        if (line.p[i] <= ' ' || line.p[i] >= 0x7f)
            return false;
    h->name = (struct bytes){ line.p, n };
    h->value = bytes_skip(line, colon + 1);
    return n > 0;
}

bool header_next(struct bytes *block, struct header *h)
{
    while (block->n > 0) {
        struct bytes rest = *block, line = take_line(&rest);

        if (line.n == 0)
            return false;
        *block = rest;
        if (!split_field(line, h))
            continue;
        while (block->n > 0 && is_blank(block->p[0])) {
            line = take_line(block);
            h->value.n = (size_t)(line.p + line.n - h->value.p);
        }
        return true;
    }
    return false;
}

void header_unfold(struct bytes value, struct buf *out)
{
    buf_reset(out, RECORD_TEXT_MAX);
    value = bytes_trim(value);
    while (value.n > 0) {
        struct bytes line = take_line(&value);

        if (out->n == 0)
            while (line.n > 0 && is_blank(line.p[0]))
                line = bytes_skip(line, 1);
        buf_add(out, line.p, line.n);
    }
    while (out->n > 0 && is_blank((unsigned char)out->p[out->n - 1]))
        out->n--;
}

/* --- the fields of a record --- */

static const struct wanted {
    struct bytes name;
    enum lq_field field;
    bool decoded;           /* a Message-ID is compared byte by byte with logs, a Date holds nothing to decode */
} wanted_fields[] = {
    { BYTES("Subject"),    LQ_SUBJECT,    true },
    { BYTES("From"),       LQ_FROM,       true },
    { BYTES("To"),         LQ_TO,         true },
    { BYTES("Message-ID"), LQ_MESSAGE_ID, false },
    { BYTES("Date"),       LQ_DATE,       false },
    { BYTES("Received"),   LQ_RECEIVED,   false },
};

static const uint64_t wanted_mask =
    LQ_FIELD_BIT(LQ_SUBJECT) | LQ_FIELD_BIT(LQ_FROM) | LQ_FIELD_BIT(LQ_TO) | LQ_FIELD_BIT(LQ_MESSAGE_ID) |
    LQ_FIELD_BIT(LQ_DATE) | LQ_FIELD_BIT(LQ_RECEIVED);

/* Who asks for these alone needs no field but those of wanted_fields; any other may be made of the rest of the header. */
static const uint64_t few_mask =
    LQ_FIELD_BIT(LQ_HOST) | LQ_FIELD_BIT(LQ_MTA) | LQ_FIELD_BIT(LQ_SPOOL) | LQ_FIELD_BIT(LQ_QUEUE_NAME) | LQ_FIELD_BIT(LQ_QUEUE_ID) |
    LQ_FIELD_BIT(LQ_STATE) | LQ_FIELD_BIT(LQ_ARRIVAL_TIME) | LQ_FIELD_BIT(LQ_ARRIVAL_USEC) | LQ_FIELD_BIT(LQ_MESSAGE_SIZE) |
    LQ_FIELD_BIT(LQ_SENDER) | LQ_FIELD_BIT(LQ_RECIPIENT) | LQ_FIELD_BIT(LQ_RECIPIENTS) | LQ_FIELD_BIT(LQ_RECIPIENTS_DONE) |
    LQ_FIELD_BIT(LQ_CLIENT_ADDRESS) | LQ_FIELD_BIT(LQ_AUTH_USER) | LQ_FIELD_BIT(LQ_LOCAL_USER) | LQ_FIELD_BIT(LQ_REASON) |
    LQ_FIELD_BIT(LQ_REASON_CLASS) | LQ_FIELD_BIT(LQ_SUBJECT) | LQ_FIELD_BIT(LQ_FROM) | LQ_FIELD_BIT(LQ_TO) |
    LQ_FIELD_BIT(LQ_MESSAGE_ID) | LQ_FIELD_BIT(LQ_DATE);

bool header_all(uint64_t want)
{
    return want == 0 || want & ~few_mask;
}

static const struct wanted *find_wanted(struct bytes name, uint64_t want)
{
    /* The table is in the order of the fields. */
    for (unsigned left = (unsigned)((want & wanted_mask) >> LQ_SUBJECT); left; left &= left - 1) {
        const struct wanted *w = &wanted_fields[__builtin_ctz(left)];

        if (bytes_ieq(name, w->name))
            return w;
    }
    return NULL;
}

bool header_keeps(struct bytes line, uint64_t want)
{
    size_t colon;

    if (header_all(want))
        return true;
    colon = bytes_find(line, ':');
    return colon == line.n || find_wanted(bytes_trim(bytes_from(line.p, colon)), want);
}

/* Two buffers for one block of fields; most blocks need neither. */
struct work {
    struct buf unfolded, decoded;
};

/* Bytes that may not be UTF-8: JSON then shows the stored bytes beside the text. */
static bool has_raw_bytes(struct bytes b)
{
    for (size_t i = 0; i < b.n; i++)
        if (b.p[i] >= 0x80 || b.p[i] == '\0')
            return true;
    return false;
}

static void set_text(struct lq_record *r, const struct wanted *w, struct bytes value, struct work *work)
{
    bool folded = memchr(value.p, '\n', value.n) != NULL;
    bool encoded = w->decoded && memmem(value.p, value.n, "=?", 2) != NULL;

    value = bytes_trim(value);
    if ((folded || encoded) && has_raw_bytes(value))
        record_set_stored(r, w->field, value.p, value.n);
    if (folded) {
        header_unfold(value, &work->unfolded);
        value = bytes_from(work->unfolded.p ? work->unfolded.p : "", work->unfolded.n);
    }
    if (encoded) {
        header_decode(value, &work->decoded);
        value = bytes_from(work->decoded.p ? work->decoded.p : "", work->decoded.n);
    }
    if (work->unfolded.failed || work->decoded.failed)
        record_broken(r, field_table[w->field].sections);
    else
        record_set_text(r, w->field, value.p, value.n);
}

void header_text(struct lq_record *r, enum lq_field f, struct bytes value)
{
    struct work work = { .unfolded.limit = ENCODED_MAX, .decoded.limit = ENCODED_MAX };

    for (size_t i = 0; i < sizeof(wanted_fields) / sizeof(*wanted_fields); i++)
        if (wanted_fields[i].field == f && f != LQ_RECEIVED)
            set_text(r, &wanted_fields[i], value, &work);
    buf_done(&work.unfolded);
    buf_done(&work.decoded);
}

void header_fields(struct lq_record *r, struct bytes block, uint64_t want)
{
    struct work work = { .unfolded.limit = ENCODED_MAX, .decoded.limit = ENCODED_MAX };
    struct header h;

    /* The first field of a name counts, of Received all: when each was seen, the rest of the block cannot tell more. */
    while ((want & wanted_mask & ~(r->set & ~LQ_FIELD_BIT(LQ_RECEIVED))) && header_next(&block, &h)) {
        const struct wanted *w = find_wanted(h.name, want);
        struct lq_hop *hop;

        if (!w)
            continue;
        if (w->field == LQ_RECEIVED) {
            hop = record_add_hop(r);
            if (hop)
                header_received(r, h.value, hop);
            continue;
        }
        if (!record_is_set(r, w->field)) {
            set_text(r, w, h.value, &work);
            /* Of a block that was cut the last field may have gone on in lines that are missing. */
            if (block.n == 0 && !r->header_followed && r->broken & SEC_CONTROL)
                r->cut |= LQ_FIELD_BIT(w->field);
        }
    }
    buf_done(&work.unfolded);
    buf_done(&work.decoded);
}
