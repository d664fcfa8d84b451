/*
 * Postfix queue files: what their records say about envelope, recipients and header. Knows no
 * directory; reads bytes only through postfix_walk.c. Facts are of Postfix 1.0 to 3.12 (rec_type.h,
 * cleanup, qmgr) unless a comment says otherwise.
 *
 *     C T A… S A… (O R)…   M   N L…   X   A… (O R)…   E   anything
 *     envelope                 content    extracted       not read
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "addr.h"
#include "header.h"
#include "postfix.h"
#include "postfix_walk.h"

/* --- what may stand where --- */

enum segment { ENVELOPE = 1, CONTENT = 2, EXTRACTED = 4 };

/*
 * Where a type may stand (rec_type.h). Another one there makes the queue manager, 3.7 and later,
 * set the file aside.
 */
static const unsigned char fits[256] = {
    ['M'] = ENVELOPE, ['C'] = ENVELOPE, ['T'] = ENVELOPE, ['c'] = ENVELOPE, ['S'] = ENVELOPE, ['W'] = ENVELOPE,
    ['V'] = ENVELOPE, ['<'] = ENVELOPE, ['i'] = ENVELOPE,
    ['F'] = ENVELOPE | EXTRACTED, ['I'] = ENVELOPE | EXTRACTED, ['D'] = ENVELOPE | EXTRACTED,
    ['R'] = ENVELOPE | EXTRACTED, ['O'] = ENVELOPE | EXTRACTED, ['/'] = ENVELOPE | EXTRACTED,
    ['A'] = ENVELOPE | EXTRACTED, ['>'] = ENVELOPE | EXTRACTED, ['K'] = ENVELOPE | EXTRACTED,
    ['o'] = ENVELOPE | EXTRACTED, ['n'] = ENVELOPE | EXTRACTED,
    ['L'] = ENVELOPE | CONTENT | EXTRACTED,     /* a content filter, or text without its line end */
    ['N'] = CONTENT, ['X'] = CONTENT, ['w'] = CONTENT,
    ['P'] = EXTRACTED, ['r'] = EXTRACTED, ['e'] = EXTRACTED, ['E'] = EXTRACTED,
};

static const struct attr_info {
    struct bytes name;
    bool last;              /* a repeated one replaces the first (qmgr_message.c) */
    bool client;            /* tells about an SMTP client: postdrop lets any local user write it */
} attrs[] = {
#define NAME(text) { (const unsigned char *)text, sizeof(text) - 1 }
    [LOG_ADDRESS] = { NAME("log_client_address"), true, true },
    [LOG_PORT] = { NAME("log_client_port"), true, true },
    [LOG_NAME] = { NAME("log_client_name"), true, true },
    [LOG_HELO] = { NAME("log_helo_name"), true, true },
    [LOG_PROTOCOL] = { NAME("log_protocol_name"), true, true },
    [PEER_ADDRESS] = { NAME("client_address"), true, true },
    [PEER_PORT] = { NAME("client_port"), true, true },
    [PEER_NAME] = { NAME("client_name"), true, true },
    [PEER_HELO] = { NAME("helo_name"), true, true },
    [PEER_PROTOCOL] = { NAME("protocol_name"), true, true },
    [REVERSE_NAME] = { NAME("reverse_client_name"), true, true },
    [SASL_USER] = { NAME("sasl_username"), false, true },
    [SASL_METHOD] = { NAME("sasl_method"), false, true },
    [CREATE_TIME] = { NAME("create_time"), false, false },
    [DSN_ORIG_RCPT] = { NAME("dsn_orig_rcpt"), true, false },
#undef NAME
};

_Static_assert(sizeof(attrs) / sizeof(attrs[0]) == ATTRS, "one row each");

/* Which of them have a name of so many bytes: each message has twenty attributes, most of them none of these. */
static const uint16_t attrs_of_length[] = {
    [9] = 1 << PEER_HELO,
    [11] = 1 << PEER_PORT | 1 << PEER_NAME | 1 << SASL_METHOD | 1 << CREATE_TIME,
    [13] = 1 << LOG_HELO | 1 << PEER_PROTOCOL | 1 << SASL_USER | 1 << DSN_ORIG_RCPT,
    [14] = 1 << PEER_ADDRESS,
    [15] = 1 << LOG_PORT | 1 << LOG_NAME,
    [17] = 1 << LOG_PROTOCOL,
    [18] = 1 << LOG_ADDRESS,
    [19] = 1 << REVERSE_NAME,
};

/* --- the parser's state --- */

/* A text in rd->tmp. */
struct note {
    size_t at, n;
    bool known;
};

struct parse {
    struct postfix_file *file;
    struct reading *rd;
    struct lq_record *rec;
    enum segment segment;
    struct walk walk;
    bool warn_seen;
    struct note orig, orcpt;        /* O and dsn_orig_rcpt of the next recipient */
    size_t place_cap;
};

/* Printable for a sentence: 'R', or 0x1b. */
static const char *type_text(unsigned char type, char out[8])
{
    snprintf(out, 8, type > ' ' && type < 127 ? "'%c'" : "0x%02x", type);
    return out;
}

/* Why there is no next record. The rest of the file stays unknown. */
static bool stop(struct parse *p, enum step step, const struct item *it)
{
    static const char *const why[] = {
        [STEP_CUT] = "runs past the end of the file",
        [STEP_LENGTH] = "has an impossible length",
        [STEP_LOOP] = "was read before: pointers run in a circle",
        [STEP_BACKWARD] = "is one pointer back too many",
        [STEP_POINTER] = "holds no offset",
        [STEP_OUTSIDE] = "leads past the end of the file",
    };
    char type[8];

    record_broken(p->rec, SEC_CONTROL);
    type_text(it->type, type);
    if (p->walk.src->error)
        postfix_problem(p->file, "cannot be read at offset %" PRIu64 ": %s", it->at, source_why(p->walk.src->error));
    else if (step == STEP_ITEM)
        postfix_refuse(p->file, "unexpected record %s at offset %" PRIu64, type, it->at);
    else if (step == STEP_END)
        postfix_refuse(p->file, "no end record 'E' before the end of the file at offset %" PRIu64, it->at);
    else
        postfix_refuse(p->file, "record %s at offset %" PRIu64 " %s", type, it->at, why[step]);
    return false;
}

/* The next record of the stream, if it may stand here. */
static inline bool next(struct parse *p, struct item *it)
{
    enum step step = postfix_walk_next(&p->walk, it);

    if (step == STEP_ITEM && (fits[it->type] & p->segment))
        return true;
    return stop(p, step, it);
}

/* --- texts --- */

static void keep(struct parse *p, struct lq_str *s, struct bytes text)
{
    *s = record_copy(p->rec, text.p, text.n);
    if (!s->p)
        record_broken(p->rec, SEC_CONTROL);
}

static const unsigned char plain[256] = {
    ['0'] = 1, ['1'] = 1, ['2'] = 1, ['3'] = 1, ['4'] = 1, ['5'] = 1, ['6'] = 1, ['7'] = 1, ['8'] = 1, ['9'] = 1,
    ['a'] = 1, ['b'] = 1, ['c'] = 1, ['d'] = 1, ['e'] = 1, ['f'] = 1, ['g'] = 1, ['h'] = 1, ['i'] = 1, ['j'] = 1,
    ['k'] = 1, ['l'] = 1, ['m'] = 1, ['n'] = 1, ['o'] = 1, ['p'] = 1, ['q'] = 1, ['r'] = 1, ['s'] = 1, ['t'] = 1,
    ['u'] = 1, ['v'] = 1, ['w'] = 1, ['x'] = 1, ['y'] = 1, ['z'] = 1,
    ['A'] = 1, ['B'] = 1, ['C'] = 1, ['D'] = 1, ['E'] = 1, ['F'] = 1, ['G'] = 1, ['H'] = 1, ['I'] = 1, ['J'] = 1,
    ['K'] = 1, ['L'] = 1, ['M'] = 1, ['N'] = 1, ['O'] = 1, ['P'] = 1, ['Q'] = 1, ['R'] = 1, ['S'] = 1, ['T'] = 1,
    ['U'] = 1, ['V'] = 1, ['W'] = 1, ['X'] = 1, ['Y'] = 1, ['Z'] = 1,
    ['-'] = 1, ['+'] = 1, ['_'] = 1, ['='] = 1, ['.'] = 2, ['@'] = 3,
};

/* Most addresses need no quoting: letters, digits, - + _ =, single dots between them, one @. */
static bool needs_no_quotes(struct bytes a)
{
    unsigned char before = 2;
    unsigned ats = 0;

    for (size_t i = 0; i < a.n; i++) {
        unsigned char kind = plain[a.p[i]];

        if (kind == 1) {
            before = 1;
            continue;
        }
        if (kind == 0 || before > 1)
            return false;
        ats += kind == 3;
        before = kind;
    }
    return ats <= 1 && before == 1;
}

/*
 * The RFC 5321 form of an address of the queue file, which holds them unquoted. May use rd->tmp2;
 * dies with the next call.
 */
static struct bytes quoted(struct parse *p, struct bytes internal)
{
    struct buf *b = &p->rd->tmp2;

    if (internal.n == 0 || needs_no_quotes(internal))
        return internal;
    buf_reset(b, RECORD_TEXT_MAX);
    addr_quote(internal, b);
    return bytes_from(b->p, b->n);
}

/* --- numbers and times --- */

static bool take_signed(struct bytes *text, int64_t *out)
{
    bool minus;

    *text = bytes_skip_blanks(*text);
    minus = text->n > 0 && text->p[0] == '-';
    if (minus)
        *text = bytes_skip(*text, 1);
    if (!bytes_take_number(text, out))
        return false;
    *out = minus ? -*out : *out;
    return true;
}

static void read_sizes(struct parse *p, const struct item *it)
{
    struct bytes text = it->data;
    unsigned n = 0;

    /* The first one counts. postdrop of 3.11 and later may write one of -1s into a maildrop file. */
    if (p->file->sizes_seen || p->file->dir == PF_MAILDROP)
        return;
    p->file->sizes_seen = true;
    while (n < SIZES && take_signed(&text, &p->file->sizes[n]))
        n++;
    if (n == 1 || n >= 3)
        p->file->size_count = n;
}

/*
 * Bits of the fourth field that Postfix knows (qmgr refuses others): mixed recipients, and DSN
 * notifications.
 */
enum { QMGR_FLAGS = 31, SENDOPT_SMTPUTF8 = 1 };

static void check_sizes(struct parse *p)
{
    const int64_t *c = p->file->sizes;
    bool good = p->file->size_count == 1 ? c[0] > 0 : p->file->size_count >= 3 && c[0] > 0 && c[1] > 0;

    if (p->file->dir == PF_MAILDROP)
        return;
    if (p->file->size_count > 3)
        good = good && (c[3] & ~(int64_t)QMGR_FLAGS) == 0;
    if (p->file->size_count > 4)
        good = good && c[4] >= 0;
    if (p->file->size_count > 5 && (c[5] & SENDOPT_SMTPUTF8))
        record_flag(p->rec, FLAG_SMTPUTF8);
    if (good)
        return;
    postfix_refuse(p->file, "%s", p->file->sizes_seen ? "the size record 'C' makes no sense" : "no size record 'C'");
    p->file->size_count = p->file->size_count && c[0] > 0 ? 1 : 0;
    p->file->sizes[1] = 0;
}

/* Numbers beyond 2^53 are not exact in JSON. */
static bool sane(int64_t v)
{
    return v <= INT64_C(1) << 53 && v >= -(INT64_C(1) << 53);
}

static void read_time(struct parse *p, const struct item *it)
{
    struct bytes text = it->data;
    int64_t seconds, usec;
    bool more;

    if (p->file->time_seen)
        return;
    p->file->time_seen = true;
    if (!take_signed(&text, &seconds) || !sane(seconds)) {
        postfix_problem(p->file, "the time record 'T' at offset %" PRIu64 " is no time", it->at);
        return;
    }
    record_set_number(p->rec, LQ_ARRIVAL_TIME, seconds);
    more = text.n > 0;
    if (more && take_signed(&text, &usec) && usec >= 0 && usec < 1000000)
        record_set_number(p->rec, LQ_ARRIVAL_USEC, usec);
    else if (more)
        postfix_problem(p->file, "the microseconds of record 'T' at offset %" PRIu64 " are none", it->at);
}

/* --- attributes --- */

/* What is said about the next recipient, before it: what its address was. */
static void note(struct parse *p, struct note *n, struct bytes text)
{
    struct buf *b = &p->rd->tmp;

    if (n->known || !(p->rd->want & postfix_original_mask))
        return;
    if (!p->orig.known && !p->orcpt.known)
        buf_reset(b, RECORD_TEXT_MAX);
    n->at = b->n;
    buf_add(b, text.p, text.n);
    n->n = b->n - n->at;
    n->known = true;
}

static struct bytes noted(const struct parse *p, const struct note *n)
{
    return n->n > 0 ? bytes_from(p->rd->tmp.p + n->at, n->n) : BYTES("");
}

static void use_attr(struct parse *p, enum postfix_attr a, struct bytes value)
{
    int64_t created;

    if (a == DSN_ORIG_RCPT)
        note(p, &p->orcpt, value);
    else if (a == CREATE_TIME && p->rec->scratch[NOTE_CREATED] == 0 && bytes_number(value, &created) && created > 0 &&
             sane(created))
        p->rec->scratch[NOTE_CREATED] = (uint64_t)created;
    else if (a < ATTR_KEPT && (attrs[a].last || !p->file->attrs[a].p))
        keep(p, &p->file->attrs[a], value);
}

static void read_attr(struct parse *p, const struct item *it)
{
    size_t eq = bytes_find(it->data, '=');
    struct bytes name = bytes_trim(bytes_from(it->data.p, eq));

    if (eq == it->data.n || name.n == 0) {
        postfix_refuse(p->file, "attribute record at offset %" PRIu64 " is no name=value", it->at);
        record_broken(p->rec, SEC_CONTROL);
        return;
    }
    if (name.n >= sizeof(attrs_of_length) / sizeof(attrs_of_length[0]))
        return;
    for (unsigned left = p->file->attrs_wanted & attrs_of_length[name.n]; left; left &= left - 1) {
        int i = __builtin_ctz(left);

        if (!bytes_eq(name, attrs[i].name))
            continue;
        if (!attrs[i].client || p->file->use_client)
            use_attr(p, (enum postfix_attr)i, bytes_trim(bytes_skip(it->data, eq + 1)));
        break;
    }
}

/* --- recipients --- */

/* The address of `rfc822;lee@example.net`; n == 0 for another type. Written in RFC 5321 form already. */
static struct bytes orcpt_address(struct bytes orcpt)
{
    size_t semicolon = bytes_find(orcpt, ';');
    struct bytes type = bytes_trim(bytes_from(orcpt.p, semicolon));

    if (!bytes_ieq(type, BYTES("rfc822")) && !bytes_ieq(type, BYTES("utf-8")))
        return BYTES("");
    return bytes_trim(bytes_skip(orcpt, semicolon + 1));
}

/* Whether an address in RFC 5321 form is this unquoted one; case does not count. */
static bool same_address(struct bytes text, struct bytes internal)
{
    bool inside = false;
    size_t n = 0;

    if (bytes_eq(text, internal) && bytes_find(text, '"') == text.n)
        return true;
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] == '"') {
            inside = !inside;
            continue;
        }
        if (inside && text.p[i] == '\\' && i + 1 < text.n)
            i++;
        if (n == internal.n || ascii_lower(text.p[i]) != ascii_lower(internal.p[n++]))
            return false;
    }
    return n == internal.n;
}

/*
 * What the recipient was before aliasing (O), else what the client called it (ORCPT), where it is
 * another address.
 */
static struct lq_str original(struct parse *p, struct bytes internal)
{
    struct bytes orig = noted(p, &p->orig), orcpt = orcpt_address(noted(p, &p->orcpt));

    if (orig.n > 0 && !bytes_eq(orig, internal)) {
        orig = quoted(p, orig);
        return record_copy(p->rec, orig.p, orig.n);
    }
    if (orcpt.n > 0 && !same_address(orcpt, internal))
        return record_copy(p->rec, orcpt.p, orcpt.n);
    return (struct lq_str){ NULL, 0 };
}

/* Only delivery logs ask for places. */
static void add_place(struct parse *p, const struct item *it)
{
    uint64_t *notes = p->rec->scratch;
    size_t n = (size_t)notes[NOTE_PLACE_COUNT];
    struct postfix_place *places = (struct postfix_place *)(uintptr_t)notes[NOTE_PLACES];

    if (p->rd->ref->count < 2)
        return;
    places = arena_grow(&p->rec->arena, places, n, &p->place_cap, sizeof(*places));
    if (!places)
        return;
    places[n] = (struct postfix_place){ .offset = it->at, .index = (uint32_t)(p->rec->recipients.n - 1) };
    notes[NOTE_PLACES] = (uint64_t)(uintptr_t)places;
    notes[NOTE_PLACE_COUNT] = n + 1;
}

static void read_recipient(struct parse *p, const struct item *it)
{
    bool done = it->type == 'D';
    struct lq_recipient *r = it->type == '/' ? NULL :
                             record_add_recipient(p->rec, done ? &p->rec->done : &p->rec->recipients);
    struct bytes address;

    if (r) {
        address = quoted(p, it->data);
        r->address = record_copy(p->rec, address.p, address.n);
        r->orig_address = original(p, it->data);
        if (!r->address.p)
            record_broken(p->rec, SEC_CONTROL);
        if (!done)
            add_place(p, it);
    }
    p->orig.known = p->orcpt.known = false;
    p->orig.n = p->orcpt.n = 0;
}

/* --- the header --- */

/* Reads a header line by line, in whatever pieces: is it still header? */
enum line {
    LINE_START,             /* nothing of the line seen yet */
    LINE_NAME, LINE_COLON,  /* in what may be a field's name; blanks before its colon */
    LINE_FIELD,             /* a field, or its continuation */
    LINE_TEXT               /* not header: the body begins here */
};

static bool is_blank(unsigned char c)
{
    return c == ' ' || c == '\t';
}

static enum line line_step(enum line line, unsigned char c, bool continues)
{
    bool blank = is_blank(c);

    if (line == LINE_START && blank)
        return continues ? LINE_FIELD : LINE_TEXT;
    if (c == ':')
        return line == LINE_START ? LINE_TEXT : LINE_FIELD;
    if (blank)
        return LINE_COLON;
    return line != LINE_COLON && c > ' ' && c < 127 ? LINE_NAME : LINE_TEXT;
}

static enum line line_look(enum line line, struct bytes piece, bool continues)
{
    size_t i = 0;

    while (i < piece.n && line < LINE_FIELD) {
        line = line_step(line, piece.p[i++], continues);
        /* The characters of most names, which change nothing. */
        while (line == LINE_NAME && i < piece.n && plain[piece.p[i]] == 1)
            i++;
    }
    return line;
}

static bool add_piece(void *headers, struct bytes piece)
{
    buf_add(headers, piece.p, piece.n);
    return true;
}

enum header_end { HEADER_BODY, HEADER_X, HEADER_BROKEN };

/*
 * The header block into rd->headers, through pointers: the fields of `want`, or all if that is 0. Ends before an empty line or one
 * that is no header field, as cleanup has it. odd: there is a record of which it cannot be told what fields it holds.
 */
static enum header_end read_header_for(struct parse *p, uint64_t want, bool *odd)
{
    struct buf *out = &p->rd->headers;
    size_t begin = out->n, field_count = 0;
    enum line line = LINE_START;
    bool kept = true;           /* the field in hand: others have no reader */
    struct item it;

    while (next(p, &it)) {
        if (it.type == 'w')
            continue;
        if (line == LINE_START && it.data.n > 0 && !is_blank(it.data.p[0]))
            kept = header_keeps(it.data, want);
        if (it.type != 'X')
            line = line_look(line, it.data, field_count > 0);
        /* A field whose line is not ended (L) at the end of the text gets its line end, as in delivery. */
        if (line != LINE_FIELD && (it.type != 'L' || line == LINE_TEXT)) {
            out->n = begin;
            return it.type == 'X' ? HEADER_X : HEADER_BODY;
        }
        p->rec->header_followed = !kept;
        if (!kept && it.type != 'X' && (it.len > it.data.n || memchr(it.data.p, '\n', it.data.n))) {
            *odd = true;
            return HEADER_BROKEN;
        }
        if (it.type != 'X' && kept) {
            buf_add(out, it.data.p, it.data.n);
            if (it.len > it.data.n && !postfix_walk_rest(&p->walk, &it, add_piece, out)) {
                stop(p, STEP_CUT, &it);
                return HEADER_BROKEN;
            }
        }
        if (it.type == 'L')
            continue;
        if (kept)
            buf_add_char(out, '\n');
        if (it.type == 'X')
            return HEADER_X;
        begin = out->n;
        field_count++;
        line = LINE_START;
    }
    return HEADER_BROKEN;
}

/*
 * Only the fields that somebody looks at, as far as that can be told: a record of several lines, which Postfix never writes, may
 * hold other fields, and then all are read.
 */
static enum header_end read_header(struct parse *p)
{
    const struct walk start = p->walk;
    const size_t begin = p->rd->headers.n;
    bool odd = false;
    /* What does not fit into a record is counted, so all of it counts. */
    enum header_end end = read_header_for(p, p->walk.src->size > RECORD_HEADERS_MAX ? 0 : p->rd->want, &odd);

    if (!odd)
        return end;
    p->walk = start;
    p->rd->headers.n = begin;
    return read_header_for(p, 0, &odd);
}

/* --- content --- */

static bool seek_x(struct parse *p, uint64_t at)
{
    struct walk there = postfix_walk_from(p->walk.src, at);
    struct item it;

    if (postfix_walk_item(&there, &it, false) != STEP_ITEM || it.type != 'X')
        return false;
    p->walk.at = there.at;
    return true;
}

/* Through the content, record by record: where there is no size record, or a wrong one. */
static bool search_x(struct parse *p)
{
    struct item it;

    do {
        if (!next(p, &it))
            return false;
    } while (it.type != 'X');
    return true;
}

/* Where X must be: as the size record says, before Postfix 1.0 as M itself says. 0: not known. */
static uint64_t x_offset(const struct parse *p, struct bytes m)
{
    int64_t at;

    if (p->file->size_count >= 3)
        return (uint64_t)p->file->sizes[0] + (uint64_t)p->file->sizes[1];
    if (p->file->size_count == 1 && take_signed(&m, &at) && at > 0)
        return (uint64_t)at;
    return 0;
}

/* After M: the header where somebody wants it, then on behind X. */
static bool read_content(struct parse *p, const struct item *m)
{
    uint64_t x = x_offset(p, m->data);
    enum header_end end = HEADER_BODY;
    bool found;

    p->rec->scratch[NOTE_CONTENT] = p->walk.at;
    p->segment = CONTENT;
    if (p->file->size_count >= 3 && (uint64_t)p->file->sizes[1] != p->walk.at)
        postfix_refuse(p->file, "the size record says that the text begins at offset %" PRId64 ", but it begins at %" PRIu64,
               p->file->sizes[1], p->walk.at);
    if (p->rd->want & postfix_header_mask)
        end = read_header(p);
    if (end == HEADER_BROKEN)
        return false;
    if (p->rd->headers.lost > 0)
        record_broken(p->rec, SEC_CONTROL);
    found = x > 0 && seek_x(p, x);
    if (x > 0 && !found)
        postfix_refuse(p->file, "no record 'X' at offset %" PRIu64 ", where the size record ends the text", x);
    if (!found && end != HEADER_X && !search_x(p))
        return false;
    p->segment = EXTRACTED;
    return true;
}

/* --- all records --- */

/* Longer than anything that SMTP lets in; the views are cut. */
static void check_length(struct parse *p, const struct item *it)
{
    char type[8];

    postfix_problem(p->file, "record %s at offset %" PRIu64 " is %" PRIu64 " bytes long, only %zu were read",
                    type_text(it->type, type), it->at, it->len, it->data.n);
}

static void read_sender(struct parse *p, const struct item *it)
{
    struct bytes sender;

    if (record_is_set(p->rec, LQ_SENDER))
        return;
    sender = quoted(p, it->data);
    record_set_text(p->rec, LQ_SENDER, sender.p, sender.n);
    if (it->len == 0)
        record_flag(p->rec, FLAG_BOUNCE);
}

/* When the sender is to be warned of a delay; -1 once that was done. */
static void read_warning(struct parse *p, const struct item *it)
{
    struct bytes text = it->data;
    int64_t at;

    if (!p->warn_seen && take_signed(&text, &at) && at < 0)
        record_flag(p->rec, FLAG_WARNED);
    p->warn_seen = true;
}

/*
 * One record of the envelope or the extracted segment. False: there is nothing after it, or it
 * cannot be read.
 */
static bool use_record(struct parse *p, const struct item *it)
{
    struct bytes text;

    if (it->len > it->data.n)
        check_length(p, it);
    switch (it->type) {
    case 'C':
        read_sizes(p, it);
        break;
    case 'T':
        read_time(p, it);
        break;
    case 'S':
        read_sender(p, it);
        break;
    case 'A':
        read_attr(p, it);
        break;
    case 'O':
        note(p, &p->orig, it->data);
        break;
    case 'R':
    case 'D':
    case '/':
        read_recipient(p, it);
        break;
    case 'W':
        read_warning(p, it);
        break;
    case 'L':
        record_flag(p->rec, FLAG_FILTERED);
        break;
    case '>':
        text = quoted(p, it->data);
        keep(p, &p->file->redirect, text);
        break;
    case 'M':
        check_sizes(p);
        return read_content(p, it);
    default:    /* names, options of notices, killed records: nothing that the record shows */
        break;
    }
    return true;
}

static bool read_records(struct parse *p)
{
    struct item it;

    while (next(p, &it)) {
        if (it.type == 'E')
            return true;
        if (!use_record(p, &it))
            return false;
    }
    return false;
}

/* What the queue manager wants besides a stream that ends well (which cannot be without M and X). */
static void check_required(struct parse *p)
{
    if (!record_is_set(p->rec, LQ_SENDER))
        postfix_refuse(p->file, "no sender record 'S'");
    if (!p->file->time_seen)
        postfix_refuse(p->file, "no time record 'T'");
    if (!record_is_set(p->rec, LQ_SENDER) || !p->file->time_seen)
        record_broken(p->rec, SEC_CONTROL);
}

void postfix_parse(struct reading *rd, const struct stat *st, enum postfix_dir dir)
{
    struct postfix_file file = postfix_file(rd, st, dir);
    struct parse p = {
        .file = &file, .rd = rd, .rec = rd->rec, .segment = ENVELOPE, .walk = postfix_walk_from(&rd->src, 0),
    };

    buf_reset(&rd->headers, RECORD_TEXT_MAX);
    if (read_records(&p))
        check_required(&p);
    postfix_fields(&file);
}
