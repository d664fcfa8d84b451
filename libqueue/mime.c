/*
 * The body of a message as text: multiparts taken apart, transfer encodings and charsets decoded (RFC 2045 to 2049, 2231).
 *
 * GMime reads the Content- fields and undoes the encodings. What it does not do for us is to take the message apart: its parser keeps an
 * object for each part and field and has no limit for that, so that 2 MiB of "a:" lines take 340 MiB, of tiny parts 390 (3.2.13). Boundaries
 * are therefore looked for here, line by line: a message of any size costs its text (bounded), a stack of boundaries and one line.
 *
 * Charsets are those of header fields (rfc2047.c), so that -S and -B know the same.
 */
#include "mime.h"

#include <stdlib.h>
#include <string.h>

#include "header.h"
#include "mime_library.h"

enum {
    LINE_MAX_KEPT = 4096,       /* a longer line comes in pieces; no boundary is that long */
    BOUNDARY_MAX = 255,         /* RFC 2046 allows 70 */
    STEP_MAX = 2048             /* bytes decoded at once */
};

enum where { IN_HEADER, IN_TEXT, IN_NOTHING };

enum encoding { ENCODING_NONE, ENCODING_BASE64, ENCODING_QUOTED, ENCODING_UNKNOWN };

enum field { FIELD_TYPE, FIELD_ENCODING, FIELD_DISPOSITION, FIELD_COUNT };

static const struct bytes field_names[FIELD_COUNT] = {
    { (const unsigned char *)"Content-Type", 12 },
    { (const unsigned char *)"Content-Transfer-Encoding", 25 },
    { (const unsigned char *)"Content-Disposition", 19 },
};

struct level {
    char text[BOUNDARY_MAX + 1];
    size_t n;
    bool digest;                /* its parts are messages if they do not say what they are */
};

struct mime {
    const struct mime_functions *gmime;
    struct buf text;
    struct mime_item *items;
    size_t n, cap;
    bool cut;

    struct level *stack;     /* MIME_DEPTH_MAX of them */
    size_t depth;
    enum where state;

    unsigned char line[LINE_MAX_KEPT];
    size_t line_n;
    bool line_goes_on;          /* its beginning was given away already */

    /* Of the header that is being read: */
    struct buf values[FIELD_COUNT];
    bool seen[FIELD_COUNT];
    enum field field;           /* that a folded line belongs to; FIELD_COUNT: to none of ours */
    bool digest, part;          /* a part of a multipart, not a message */

    /* Of the text that is being read: */
    GMimeEncoding decoder;
    bool encoded, quoted;
    struct recode recode;
    bool recoded;
    size_t at;                  /* where it begins in text */
};

int mime_library(struct lq_error *err)
{
    return mime_functions(err) ? LQ_OK : LQ_EINVAL;
}

struct mime *mime_new(void)
{
    struct mime *m = calloc(1, sizeof(*m));

    if (m) {
        m->gmime = mime_functions(NULL);
        m->stack = calloc(MIME_DEPTH_MAX, sizeof(*m->stack));
    }
    if (m && (!m->gmime || !m->stack)) {
        mime_free(m);
        return NULL;
    }
    return m;
}

void mime_free(struct mime *m)
{
    if (!m)
        return;
    for (enum field f = 0; f < FIELD_COUNT; f++)
        buf_done(&m->values[f]);
    buf_done(&m->text);
    free(m->items);
    free(m->stack);
    free(m);
}

/* --- what is found --- */

static void add_item(struct mime *m, size_t at)
{
    struct mime_item *items;

    if (m->text.n == at)
        return;
    if (m->n == MIME_ITEMS_MAX) {
        m->cut = true;
        m->text.n = at;
        return;
    }
    if (m->n == m->cap) {
        size_t cap = m->cap ? m->cap * 2 : 16;

        items = reallocarray(m->items, cap, sizeof(*items));
        if (!items) {
            m->cut = true;
            return;
        }
        m->items = items;
        m->cap = cap;
    }
    m->items[m->n++] = (struct mime_item){ at, m->text.n - at };
}

static void add_name(struct mime *m, const char *name)
{
    size_t at = m->text.n;

    if (!name || m->text.lost > 0)
        return;
    buf_add_str(&m->text, name);
    add_item(m, at);
}

/* --- text --- */

/* CR LF inside of encoded text becomes LF, too. */
static void tidy_lines(struct mime *m, size_t from)
{
    char *p = m->text.p;
    size_t to = from > m->at ? from - 1 : from;

    for (size_t i = to; i < m->text.n; i++) {
        if (p[i] == '\n' && to > m->at && p[to - 1] == '\r')
            to--;
        p[to++] = p[i];
    }
    m->text.n = to;
}

static void add_decoded(struct mime *m, const void *p, size_t n)
{
    size_t from = m->text.n;

    /* Behind what there was no room for nothing may follow as if it belonged there. */
    if (m->text.lost > 0)
        return;
    if (m->recoded)
        recode_add(&m->recode, p, n, &m->text);
    else
        buf_add(&m->text, p, n);
    if (m->encoded)
        tidy_lines(m, from);
}

static void add_text(struct mime *m, const unsigned char *p, size_t n)
{
    char out[2 * STEP_MAX];

    if (!m->encoded) {
        add_decoded(m, p, n);
        return;
    }
    while (n > 0) {
        size_t step = n < STEP_MAX ? n : STEP_MAX;

        if (m->gmime->g_mime_encoding_outlen(&m->decoder, step) > sizeof(out)) {
            m->cut = true;
            return;
        }
        add_decoded(m, out, m->gmime->g_mime_encoding_step(&m->decoder, (const char *)p, step, out));
        p += step;
        n -= step;
    }
}

static void end_text(struct mime *m)
{
    if (m->state != IN_TEXT)
        return;
    m->state = IN_NOTHING;
    if (m->recoded)
        recode_end(&m->recode, &m->text);
    m->recoded = false;
    while (m->text.n > m->at && (m->text.p[m->text.n - 1] == '\n' || m->text.p[m->text.n - 1] == '\r'))
        m->text.n--;
    add_item(m, m->at);
}

static void begin_text(struct mime *m, enum encoding encoding, const char *charset)
{
    m->state = IN_TEXT;
    m->at = m->text.n;
    m->encoded = encoding == ENCODING_BASE64 || encoding == ENCODING_QUOTED;
    m->quoted = encoding == ENCODING_QUOTED;
    m->cut = m->cut || encoding == ENCODING_UNKNOWN;
    if (m->encoded)
        m->gmime->g_mime_encoding_init_decode(&m->decoder, encoding == ENCODING_BASE64 ? GMIME_CONTENT_ENCODING_BASE64
                                                                                        : GMIME_CONTENT_ENCODING_QUOTEDPRINTABLE);
    m->recoded = false;
    if (!charset || recode_is_utf8(bytes_from(charset, strlen(charset))))
        return;
    m->recoded = recode_begin(&m->recode, bytes_from(charset, strlen(charset)));
    m->cut = m->cut || !m->recoded;
}

/* --- what a header says --- */

static void begin_header(struct mime *m, bool digest, bool part)
{
    m->state = IN_HEADER;
    m->field = FIELD_COUNT;
    m->digest = digest;
    m->part = part;
    for (enum field f = 0; f < FIELD_COUNT; f++) {
        buf_reset(&m->values[f], MIME_VALUE_MAX);
        m->values[f].limit = MIME_VALUE_MAX;
        m->seen[f] = false;
    }
}

static void header_line(struct mime *m, struct bytes line, bool begins)
{
    size_t colon = bytes_find(line, ':');
    struct bytes name;

    if (!begins || line.p[0] == ' ' || line.p[0] == '\t') {
        if (m->field < FIELD_COUNT)
            buf_add(&m->values[m->field], line.p, line.n);
        return;
    }
    m->field = FIELD_COUNT;
    name = bytes_trim(bytes_from(line.p, colon));
    for (enum field f = 0; f < FIELD_COUNT; f++) {
        if (!bytes_ieq(name, field_names[f]))
            continue;
        /* Of two, readers of mail take the one or the other. */
        if (m->seen[f]) {
            m->cut = true;
            return;
        }
        m->field = f;
        m->seen[f] = true;
        line = bytes_skip(line, colon + 1);
        buf_add(&m->values[f], line.p, line.n);
    }
}

/* The value as a C string; NULL where there is none. */
static const char *value(struct mime *m, enum field f)
{
    struct buf *b = &m->values[f];

    if (b->lost > 0 || (b->n > 0 && memchr(b->p, 0, b->n)))
        m->cut = true;
    if (!m->seen[f] || b->n == 0)
        return NULL;
    if (b->n == b->limit)
        b->n--;
    buf_add_char(b, '\0');
    b->n--;
    return b->failed ? NULL : b->p;
}

/* The transfer encodings that text is sent in; of others (uuencode, private ones) the bytes are taken as they are. */
static enum encoding encoding_of(struct mime *m)
{
    static const struct bytes plain[] = { BYTES("7bit"), BYTES("8bit"), BYTES("binary"), BYTES("7-bit"), BYTES("8-bit") };
    const char *text = value(m, FIELD_ENCODING);
    struct bytes word = bytes_trim(bytes_from(text ? text : "", text ? strlen(text) : 0));
    char name[40];

    word.n = bytes_find(word, ';');
    word.n = bytes_find(word, '(');
    word = bytes_trim(word);
    for (size_t i = 0; i < sizeof(plain) / sizeof(*plain); i++)
        if (word.n == 0 || bytes_ieq(word, plain[i]))
            return ENCODING_NONE;
    if (word.n >= sizeof(name))
        return ENCODING_UNKNOWN;
    memcpy(name, word.p, word.n);
    name[word.n] = '\0';
    switch (m->gmime->g_mime_content_encoding_from_string(name)) {
    case GMIME_CONTENT_ENCODING_BASE64:
        return ENCODING_BASE64;
    case GMIME_CONTENT_ENCODING_QUOTEDPRINTABLE:
        return ENCODING_QUOTED;
    default:
        return ENCODING_UNKNOWN;
    }
}

/* A multipart: its parts come next. */
static void enter(struct mime *m, const char *boundary, bool digest)
{
    size_t n = strlen(boundary);

    m->state = IN_NOTHING;
    if (m->depth == MIME_DEPTH_MAX || n > BOUNDARY_MAX) {
        m->cut = true;
        return;
    }
    m->stack[m->depth].n = n;
    m->stack[m->depth].digest = digest;
    memcpy(m->stack[m->depth].text, boundary, n + 1);
    m->depth++;
}

static bool word_is(const char *word, const char *other)
{
    return bytes_ieq(bytes_from(word, strlen(word)), bytes_from(other, strlen(other)));
}

static bool is_message(const char *major, const char *minor)
{
    return word_is(major, "message") && (word_is(minor, "rfc822") || word_is(minor, "global") || word_is(minor, "news"));
}

static void begin_body(struct mime *m, GMimeContentType *type)
{
    const struct mime_functions *g = m->gmime;
    const char *major = type ? g->g_mime_content_type_get_media_type(type) : m->digest ? "message" : "text";
    const char *minor = type ? g->g_mime_content_type_get_media_subtype(type) : m->digest ? "rfc822" : "plain";
    const char *boundary = type ? g->g_mime_content_type_get_parameter(type, "boundary") : NULL;
    enum encoding encoding = encoding_of(m);
    bool encoded = encoding != ENCODING_NONE;

    if (!major || !minor)
        major = "text", minor = "plain";
    if (word_is(major, "multipart") && boundary && *boundary && !encoded) {
        enter(m, boundary, word_is(minor, "digest"));
    } else if (is_message(major, minor) && !encoded) {
        begin_header(m, false, false);
    } else if (word_is(major, "text") || word_is(major, "multipart") || word_is(major, "message")) {
        /* What must not be encoded, or says not how it is divided, is not taken apart. */
        m->cut = m->cut || is_message(major, minor) || word_is(major, "multipart");
        begin_text(m, encoding, type ? g->g_mime_content_type_get_parameter(type, "charset") : NULL);
    } else {
        m->state = IN_NOTHING;
    }
}

/* "text/plain" or the like: what is no type at all is text, as readers of mail show it. */
static GMimeContentType *type_of(struct mime *m)
{
    const char *text = value(m, FIELD_TYPE);

    return text && strchr(text, '/') ? m->gmime->g_mime_content_type_parse(NULL, text) : NULL;
}

static void end_header(struct mime *m)
{
    const struct mime_functions *g = m->gmime;
    GMimeContentType *type = type_of(m);
    const char *text = value(m, FIELD_DISPOSITION), *name = NULL;
    GMimeContentDisposition *disposition = text ? g->g_mime_content_disposition_parse(NULL, text) : NULL;

    if (disposition)
        name = g->g_mime_content_disposition_get_parameter(disposition, "filename");
    if (!name && type)
        name = g->g_mime_content_type_get_parameter(type, "name");
    add_name(m, name);
    begin_body(m, type);
    if (type)
        g->g_object_unref(type);
    if (disposition)
        g->g_object_unref(disposition);
}

/* --- lines --- */

/* "--boundary" or "--boundary--", blanks behind it. */
static bool is_boundary(const struct level *b, struct bytes line, bool *last)
{
    struct bytes rest;

    if (line.n < b->n + 2 || memcmp(line.p + 2, b->text, b->n) != 0)
        return false;
    rest = bytes_skip(line, b->n + 2);
    *last = rest.n >= 2 && rest.p[0] == '-' && rest.p[1] == '-';
    return bytes_trim(*last ? bytes_skip(rest, 2) : rest).n == 0;
}

/* An outer boundary ends all that is inside, however many ends are missing. */
static bool take_boundary(struct mime *m, struct bytes line)
{
    bool last;

    if (line.n < 2 || line.p[0] != '-' || line.p[1] != '-')
        return false;
    for (size_t level = m->depth; level > 0; level--) {
        if (!is_boundary(&m->stack[level - 1], line, &last))
            continue;
        if (m->state == IN_HEADER)
            end_header(m);
        end_text(m);
        m->state = IN_NOTHING;
        m->depth = last ? level - 1 : level;
        if (!last)
            begin_header(m, m->stack[level - 1].digest, true);
        return true;
    }
    return false;
}

static void header_or_body(struct mime *m, struct bytes line, bool begins)
{
    bool odd = begins && line.n > 0 && bytes_find(line, ':') == line.n && line.p[0] != ' ' && line.p[0] != '\t';

    if (begins && line.n == 0) {
        end_header(m);
        return;
    }
    /* A part whose header does not end: what is no field is its body. */
    if (odd && m->part && line.n < LINE_MAX_KEPT) {
        end_header(m);
        if (m->state == IN_TEXT) {
            add_text(m, line.p, line.n);
            add_text(m, (const unsigned char *)"\n", 1);
        }
        return;
    }
    header_line(m, line, begins);
}

/* begins and ends: whether this is all of a line. */
static void take_line(struct mime *m, struct bytes line, bool begins, bool ends)
{
    /* There is no room for anything more: what comes need not be understood. */
    if (m->text.lost > 0 || (m->cut && m->n == MIME_ITEMS_MAX))
        return;
    if (ends && line.n > 0 && line.p[line.n - 1] == '\r')
        line.n--;
    if (begins && take_boundary(m, line))
        return;
    if (m->state == IN_HEADER) {
        header_or_body(m, line, begins);
    } else if (m->state == IN_TEXT) {
        /* Blanks at the end came by the way (RFC 2045, 6.7); GMime 3.2 keeps them, and a soft line break before them. */
        while (ends && m->quoted && line.n > 0 && (line.p[line.n - 1] == ' ' || line.p[line.n - 1] == '\t'))
            line.n--;
        add_text(m, line.p, line.n);
        if (ends)
            add_text(m, (const unsigned char *)"\n", 1);
    }
}

void mime_begin(struct mime *m, struct arena *owner)
{
    mime_reset(m, MIME_VALUE_MAX);
    m->text.limit = MIME_TEXT_MAX;
    m->text.owner = owner;
    begin_header(m, false, false);
}

void mime_push(struct mime *m, const void *p, size_t n)
{
    struct bytes in = bytes_from(p, n);

    while (in.n > 0) {
        size_t end = bytes_find(in, '\n'), room = LINE_MAX_KEPT - m->line_n;
        bool whole = end < in.n && end <= room;
        size_t take = whole ? end : in.n < room ? in.n : room;

        /* A line that is all here needs no copy. */
        if (whole && m->line_n == 0) {
            take_line(m, bytes_from(in.p, end), !m->line_goes_on, true);
            m->line_goes_on = false;
        } else {
            memcpy(m->line + m->line_n, in.p, take);
            m->line_n += take;
            if (whole || m->line_n == LINE_MAX_KEPT) {
                take_line(m, bytes_from(m->line, m->line_n), !m->line_goes_on, whole);
                m->line_goes_on = !whole;
                m->line_n = 0;
            }
        }
        in = bytes_skip(in, take + whole);
    }
}

void mime_end(struct mime *m)
{
    if (m->line_n > 0)
        take_line(m, bytes_from(m->line, m->line_n), !m->line_goes_on, true);
    m->line_n = 0;
    if (m->state == IN_HEADER)
        end_header(m);
    end_text(m);
    if (m->text.lost > 0 || m->text.failed)
        m->cut = true;
}

bool mime_item(const struct mime *m, size_t i, struct bytes *text)
{
    if (i >= m->n)
        return false;
    *text = bytes_from(m->text.p + m->items[i].at, m->items[i].n);
    return true;
}

bool mime_cut(const struct mime *m)
{
    return m->cut;
}

void mime_reset(struct mime *m, size_t keep)
{
    if (m->recoded)
        recode_end(&m->recode, &m->text);
    m->recoded = false;
    buf_reset(&m->text, keep);
    m->n = 0;
    m->cut = false;
    m->depth = m->line_n = 0;
    m->line_goes_on = false;
    m->state = IN_NOTHING;
}
