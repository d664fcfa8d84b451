/*
 * A record as one JSON object, schema mqtools.record/1: keys in the order of the table of fields, what is not
 * known left out. Bytes that are not UTF-8, and NUL, become U+FFFD, and NAME_b64 beside them holds the bytes.
 */
#include <string.h>

#include "error.h"
#include "json.h"
#include "record.h"

size_t json_character(const unsigned char *p, size_t n)
{
    static const struct { unsigned char mask, lead; unsigned min; } forms[] = {
        { 0x80, 0x00, 0 }, { 0xE0, 0xC0, 0x80 }, { 0xF0, 0xE0, 0x800 }, { 0xF8, 0xF0, 0x10000 },
    };

    for (size_t k = 0; k < 4 && k < n; k++) {
        unsigned long c = p[0] & (unsigned char)~forms[k].mask;

        if ((p[0] & forms[k].mask) != forms[k].lead)
            continue;
        for (size_t i = 1; i <= k; i++) {
            if ((p[i] & 0xC0) != 0x80)
                return 0;
            c = c << 6 | (p[i] & 0x3F);
        }
        return c < forms[k].min || c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF) ? 0 : k + 1;
    }
    return 0;
}

/* Append as a JSON string; answers whether every byte could be kept. */
static bool add_string(struct buf *b, const char *text, size_t n)
{
    const unsigned char *p = (const unsigned char *)text, *end = p + n, *run = p;
    bool kept = true;

    buf_add_char(b, '"');
    while (p < end) {
        size_t k;

        if (*p >= 0x20 && *p < 0x7F && *p != '"' && *p != '\\') {
            p++;
            continue;
        }
        k = json_character(p, (size_t)(end - p));
        buf_add(b, run, (size_t)(p - run));
        if (k == 0 || *p == '\0') {
            buf_add_str(b, "\xEF\xBF\xBD");
            kept = false;
            k = 1;
        } else if (*p == '"' || *p == '\\') {
            buf_add_char(b, '\\');
            buf_add_char(b, (char)*p);
        } else if (*p == '\n') {
            buf_add_str(b, "\\n");
        } else if (*p == '\t') {
            buf_add_str(b, "\\t");
        } else if (*p < 0x20 || *p == 0x7F) {
            buf_printf(b, "\\u%04x", *p);
        } else if (k == 2 && p[0] == 0xC2 && p[1] < 0xA0) {
            buf_printf(b, "\\u%04x", p[1]);     /* C1 controls: terminals obey them */
        } else {
            buf_add(b, p, k);
        }
        p += k;
        run = p;
    }
    buf_add(b, run, (size_t)(p - run));
    buf_add_char(b, '"');
    return kept;
}

void json_to_base64(struct buf *b, const void *bytes, size_t n)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *p = bytes;

    for (; n > 0; p += 3, n -= n < 3 ? n : 3) {
        unsigned long v = (unsigned long)p[0] << 16 | (n > 1 ? (unsigned long)p[1] << 8 : 0) | (n > 2 ? p[2] : 0);
        char out[4] = { digits[v >> 18], digits[v >> 12 & 63], n > 1 ? digits[v >> 6 & 63] : '=', n > 2 ? digits[v & 63] : '=' };

        buf_add(b, out, 4);
    }
}

static void add_base64(struct buf *b, const char *text, size_t n)
{
    buf_add_char(b, '"');
    json_to_base64(b, text, n);
    buf_add_char(b, '"');
}

static int base64_digit(unsigned char c)
{
    return c >= 'A' && c <= 'Z' ? c - 'A' : c >= 'a' && c <= 'z' ? c - 'a' + 26 : c >= '0' && c <= '9' ? c - '0' + 52 :
           c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Four characters, of which the last `padding` are =; false where bits would be lost. */
static bool base64_group(const char *p, unsigned padding, unsigned char out[3])
{
    unsigned long v = 0;

    for (unsigned i = 0; i < 4; i++) {
        int digit = i < 4 - padding ? base64_digit((unsigned char)p[i]) : 0;

        if (digit < 0)
            return false;
        v = v << 6 | (unsigned)digit;
    }
    out[0] = (unsigned char)(v >> 16);
    out[1] = (unsigned char)(v >> 8);
    out[2] = (unsigned char)v;
    return (padding < 1 || out[2] == 0) && (padding < 2 || out[1] == 0);
}

bool json_base64(const char *p, size_t n, unsigned char *out, size_t *out_n)
{
    *out_n = 0;
    if (n % 4 != 0)
        return false;
    for (size_t i = 0; i < n; i += 4) {
        unsigned padding = i + 4 == n && p[i + 3] == '=' ? p[i + 2] == '=' ? 2 : 1 : 0;
        unsigned char three[3];

        if (!base64_group(p + i, padding, three))
            return false;
        memcpy(out + *out_n, three, 3 - padding);
        *out_n += 3 - padding;
    }
    return true;
}

bool json_shows(struct bytes stored, struct bytes text)
{
    while (stored.n > 0) {
        size_t k = json_character(stored.p, stored.n);
        bool lost = k == 0 || *stored.p == '\0';
        struct bytes shown = lost ? BYTES("\xEF\xBF\xBD") : bytes_from(stored.p, k);

        if (!bytes_start(text, shown))
            return false;
        text = bytes_skip(text, shown.n);
        stored = bytes_skip(stored, lost ? 1 : k);
    }
    return text.n == 0;
}

static void add_key(struct buf *b, const char *name)
{
    if (b->n > 0 && b->p[b->n - 1] != '{')
        buf_add_char(b, ',');
    buf_add_char(b, '"');
    buf_add_str(b, name);
    buf_add_str(b, "\":");
}

/* stored: the bytes for NAME_b64 where they are not those of the text itself. */
static void add_text_of(struct buf *b, const char *name, struct lq_str s, struct lq_str stored)
{
    if (!s.p)
        return;
    add_key(b, name);
    if (add_string(b, s.p, s.n))
        return;
    buf_add_str(b, ",\"");
    buf_add_str(b, name);
    buf_add_str(b, "_b64\":");
    if (!stored.p)
        stored = s;
    add_base64(b, stored.p, stored.n);
}

static void add_text(struct buf *b, const char *name, struct lq_str s)
{
    add_text_of(b, name, s, (struct lq_str){ NULL, 0 });
}

void json_text(struct buf *b, const char *name, const char *text)
{
    if (text)
        add_text(b, name, (struct lq_str){ text, strlen(text) });
}

void json_bytes(struct buf *b, const char *name, struct lq_str s)
{
    add_text(b, name, s);
}

void json_number(struct buf *b, const char *name, int64_t v)
{
    add_key(b, name);
    buf_printf(b, "%lld", (long long)v);
}

static void add_member(struct buf *b, const struct text_member *m, const void *item)
{
    struct lq_str s;

    memcpy(&s, (const char *)item + m->at, sizeof(s));
    add_text(b, m->name, s);
}

static void add_recipients(struct buf *b, const struct lq_recipient *items, size_t n)
{
    buf_add_char(b, '[');
    for (size_t i = 0; i < n; i++) {
        buf_add_str(b, i > 0 ? ",{" : "{");
        for (const struct text_member *m = recipient_members; m->name; m++)
            add_member(b, m, &items[i]);
        buf_add_char(b, '}');
    }
    buf_add_char(b, ']');
}

static void add_hops(struct buf *b, const struct lq_hop *hops, size_t n)
{
    buf_add_char(b, '[');
    for (size_t i = 0; i < n; i++) {
        buf_add_str(b, i > 0 ? ",{" : "{");
        for (const struct text_member *m = hop_members; m->name; m++) {
            if (m->at == offsetof(struct lq_hop, trust) && hops[i].time != 0) {
                add_key(b, "time");
                buf_printf(b, "%lld", (long long)hops[i].time);
            }
            add_member(b, m, &hops[i]);
        }
        buf_add_char(b, '}');
    }
    buf_add_char(b, ']');
}

/* A list of texts; elements that are not UTF-8 have their bytes in NAME_b64, null for the others. */
static void add_texts(struct buf *b, const struct lq_record *r, enum lq_field f)
{
    bool kept = true;
    struct lq_str s;

    buf_add_char(b, '[');
    for (size_t i = 0; (s = lq_record_text_at(r, f, i)).p; i++) {
        if (i > 0)
            buf_add_char(b, ',');
        kept = add_string(b, s.p, s.n) && kept;
    }
    buf_add_char(b, ']');
    if (kept)
        return;
    buf_printf(b, ",\"%s_b64\":[", field_table[f].name);
    for (size_t i = 0; (s = lq_record_text_at(r, f, i)).p; i++) {
        if (i > 0)
            buf_add_char(b, ',');
        add_base64(b, s.p, s.n);
    }
    buf_add_char(b, ']');
}

static void add_field(struct buf *b, const struct lq_record *r, enum lq_field f)
{
    const char *name = field_table[f].name;
    size_t n;

    if (lq_record_has(r, f) != LQ_PRESENT)
        return;
    switch (field_table[f].type) {
    case LQ_TYPE_TEXT:
        add_text_of(b, name, lq_record_text(r, f),
                    f >= LQ_SUBJECT && f <= LQ_DATE ? r->stored[f - LQ_SUBJECT] : (struct lq_str){ NULL, 0 });
        break;
    case LQ_TYPE_NUMBER:
        add_key(b, name);
        buf_printf(b, "%lld", (long long)r->value[f].number);
        break;
    case LQ_TYPE_BOOL:
        add_key(b, name);
        buf_add_str(b, r->value[f].number ? "true" : "false");
        break;
    case LQ_TYPE_TEXTS:
        add_key(b, name);
        add_texts(b, r, f);
        break;
    case LQ_TYPE_RECIPIENTS: {
        const struct lq_recipient *items = lq_record_recipients(r, f, &n);

        add_key(b, name);
        add_recipients(b, items, n);
        break;
    }
    case LQ_TYPE_HOPS: {
        const struct lq_hop *hops = lq_record_hops(r, &n);

        add_key(b, name);
        add_hops(b, hops, n);
        break;
    }
    }
}

/* True for a list that may have more elements than are known, and for any field that could not be read. */
static bool is_unread(const struct lq_record *r, enum lq_field f)
{
    enum lq_type type = field_table[f].type;

    if (r->foreign.is)
        return r->foreign.unread >> f & 1;
    /* Of problems and files there are as many as were found. */
    if (f == LQ_FLAGS || type == LQ_TYPE_RECIPIENTS || type == LQ_TYPE_HOPS)
        return r->broken & field_table[f].sections;
    return lq_record_has(r, f) == LQ_UNREAD;
}

/* Names of what could not be read, so that a reader need not take it for absent. */
static void add_unread(struct buf *b, const struct lq_record *r, uint64_t fields)
{
    bool any = false;

    for (unsigned f = 0; f < LQ_RECIPIENT; f++) {
        if (!(fields >> f & 1) || !is_unread(r, (enum lq_field)f))
            continue;
        buf_printf(b, any ? ",\"%s\"" : ",\"unread\":[\"%s\"", field_table[f].name);
        any = true;
    }
    if (any)
        buf_add_char(b, ']');
}

int lq_record_json(const struct lq_record *r, uint64_t fields, struct lq_str *out, struct lq_error *err)
{
    /* The text is a cache inside the record, which the caller sees as constant. */
    struct buf *b = &((struct lq_record *)(uintptr_t)r)->json;

    b->n = 0;
    buf_add_str(b, "{\"schema\":\"mqtools.record/1\"");
    if (r->foreign.partial || (fields & LQ_FIELDS_ALL) != LQ_FIELDS_ALL)
        buf_add_str(b, ",\"partial\":true");
    for (unsigned f = 0; f < LQ_FIELD_COUNT && !b->failed; f++)
        if (fields >> f & 1)
            add_field(b, r, (enum lq_field)f);
    add_unread(b, r, fields);
    buf_add(b, "}", sizeof("}"));
    if (b->failed)
        return error_memory(err);
    *out = (struct lq_str){ b->p, b->n - 1 };
    return LQ_OK;
}
