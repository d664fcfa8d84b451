/*
 * RFC 2047: encoded words in header fields, into UTF-8. Knows charsets and nothing of which field it reads.
 *
 * Words are taken as mailers write them rather than as the RFC asks: any length, next to other text, with a question mark
 * or raw 8-bit bytes inside Q. What is never done is guessing: a word of an unknown charset, with a broken encoding, with
 * bytes that its charset does not have, or with a NUL, stays as it stands.
 *
 * The work is linear in the text: decoded bytes go through a small window, a word is looked at twice at most.
 */
#include <errno.h>
#include <iconv.h>
#include <stdatomic.h>
#include <sys/auxv.h>

#include "charsets.h"
#include "header.h"

enum verdict { WHOLE, PARTIAL, BAD };

/* --- charsets --- */

struct charset {
    const char *name;           /* in mail, lower case */
    enum { KIND_UTF8, KIND_ASCII, KIND_LATIN1, KIND_TABLE, KIND_ICONV } kind;
    const uint16_t *high;       /* of KIND_TABLE: 0x80 to 0xff */
    const char *iconv_name;     /* of KIND_ICONV */
};

/*
 * The charsets of real mail. Others stay encoded: iconv(3) knows hundreds, its converters for the rarest ones have had
 * memory errors (CVE-2024-2961 in ISO-2022-CN-EXT), and the name of the charset comes from a stranger.
 * Asian names stand for the wider sets that mailers mean by them: GBK for GB2312, CP932 for Shift_JIS (where 0x5c is a
 * backslash), UHC for EUC-KR and KS_C_5601.
 */
static const struct charset charsets[] = {
    { "utf-8", KIND_UTF8, NULL, NULL }, { "utf8", KIND_UTF8, NULL, NULL }, { "us-ascii", KIND_ASCII, NULL, NULL },
    { "ascii", KIND_ASCII, NULL, NULL }, { "ansi_x3.4-1968", KIND_ASCII, NULL, NULL },
    { "iso-8859-1", KIND_LATIN1, NULL, NULL }, { "iso8859-1", KIND_LATIN1, NULL, NULL },
    { "iso_8859-1", KIND_LATIN1, NULL, NULL }, { "latin1", KIND_LATIN1, NULL, NULL },
    { "latin-1", KIND_LATIN1, NULL, NULL }, { "iso-8859-2", KIND_TABLE, iso_8859_2, NULL },
    { "iso-8859-4", KIND_TABLE, iso_8859_4, NULL }, { "iso-8859-5", KIND_TABLE, iso_8859_5, NULL },
    { "iso-8859-7", KIND_TABLE, iso_8859_7, NULL }, { "iso-8859-8", KIND_TABLE, iso_8859_8, NULL },
    { "iso-8859-8-i", KIND_TABLE, iso_8859_8, NULL }, { "iso-8859-9", KIND_TABLE, iso_8859_9, NULL },
    { "iso-8859-13", KIND_TABLE, iso_8859_13, NULL }, { "iso-8859-15", KIND_TABLE, iso_8859_15, NULL },
    { "windows-1250", KIND_TABLE, windows_1250, NULL }, { "cp1250", KIND_TABLE, windows_1250, NULL },
    { "windows-1251", KIND_TABLE, windows_1251, NULL }, { "cp1251", KIND_TABLE, windows_1251, NULL },
    { "windows-1252", KIND_TABLE, windows_1252, NULL }, { "cp1252", KIND_TABLE, windows_1252, NULL },
    { "cp-1252", KIND_TABLE, windows_1252, NULL }, { "windows-1253", KIND_TABLE, windows_1253, NULL },
    { "windows-1254", KIND_TABLE, windows_1254, NULL }, { "windows-1256", KIND_TABLE, windows_1256, NULL },
    { "windows-1257", KIND_TABLE, windows_1257, NULL }, { "windows-874", KIND_TABLE, windows_874, NULL },
    { "tis-620", KIND_TABLE, windows_874, NULL }, { "iso-8859-11", KIND_TABLE, windows_874, NULL },
    { "koi8-r", KIND_TABLE, koi8_r, NULL }, { "koi8-u", KIND_TABLE, koi8_u, NULL },
    { "ibm866", KIND_TABLE, ibm866, NULL }, { "cp866", KIND_TABLE, ibm866, NULL },
    { "iso-8859-3", KIND_ICONV, NULL, "ISO-8859-3" }, { "iso-8859-6", KIND_ICONV, NULL, "ISO-8859-6" },
    { "iso-8859-10", KIND_ICONV, NULL, "ISO-8859-10" }, { "iso-8859-14", KIND_ICONV, NULL, "ISO-8859-14" },
    { "iso-8859-16", KIND_ICONV, NULL, "ISO-8859-16" }, { "windows-1255", KIND_ICONV, NULL, "CP1255" },
    { "windows-1258", KIND_ICONV, NULL, "CP1258" }, { "cp437", KIND_ICONV, NULL, "CP437" },
    { "ibm437", KIND_ICONV, NULL, "CP437" }, { "cp850", KIND_ICONV, NULL, "CP850" },
    { "ibm850", KIND_ICONV, NULL, "CP850" }, { "cp852", KIND_ICONV, NULL, "CP852" },
    { "macintosh", KIND_ICONV, NULL, "MACINTOSH" }, { "gb2312", KIND_ICONV, NULL, "GBK" },
    { "gbk", KIND_ICONV, NULL, "GBK" }, { "cp936", KIND_ICONV, NULL, "GBK" },
    { "gb18030", KIND_ICONV, NULL, "GB18030" }, { "big5", KIND_ICONV, NULL, "BIG5-HKSCS" },
    { "big5-hkscs", KIND_ICONV, NULL, "BIG5-HKSCS" }, { "shift_jis", KIND_ICONV, NULL, "CP932" },
    { "shift-jis", KIND_ICONV, NULL, "CP932" }, { "sjis", KIND_ICONV, NULL, "CP932" },
    { "x-sjis", KIND_ICONV, NULL, "CP932" }, { "windows-31j", KIND_ICONV, NULL, "CP932" },
    { "cp932", KIND_ICONV, NULL, "CP932" }, { "euc-jp", KIND_ICONV, NULL, "EUC-JP" },
    { "iso-2022-jp", KIND_ICONV, NULL, "ISO-2022-JP" }, { "euc-kr", KIND_ICONV, NULL, "UHC" },
    { "ks_c_5601-1987", KIND_ICONV, NULL, "UHC" }, { "ks_c_5601", KIND_ICONV, NULL, "UHC" },
    { "cp949", KIND_ICONV, NULL, "UHC" }, { "iso-2022-kr", KIND_ICONV, NULL, "ISO-2022-KR" },
    { "utf-7", KIND_ICONV, NULL, "UTF-7" },
};

static const struct charset *find_charset(struct bytes name)
{
    for (size_t i = 0; i < sizeof(charsets) / sizeof(*charsets); i++)
        if (bytes_ieq(name, bytes_from(charsets[i].name, strlen(charsets[i].name))))
            return &charsets[i];
    return NULL;
}

/* A character below U+10000 in UTF-8. */
static void add_character(struct buf *out, unsigned c)
{
    if (c < 0x80) {
        buf_add_char(out, (char)c);
    } else if (c < 0x800) {
        buf_add_char(out, (char)(0xc0 | c >> 6));
        buf_add_char(out, (char)(0x80 | (c & 0x3f)));
    } else {
        buf_add_char(out, (char)(0xe0 | c >> 12));
        buf_add_char(out, (char)(0x80 | (c >> 6 & 0x3f)));
        buf_add_char(out, (char)(0x80 | (c & 0x3f)));
    }
}

static enum verdict convert_ascii(const unsigned char *p, size_t n, struct buf *out)
{
    for (size_t i = 0; i < n; i++)
        if (p[i] == 0 || p[i] >= 0x80)
            return BAD;
    buf_add(out, p, n);
    return WHOLE;
}

/* high: what 0x80 to 0xff are; without it they are their own numbers (ISO-8859-1). */
static enum verdict convert_single(const uint16_t *high, const unsigned char *p, size_t n, struct buf *out)
{
    for (size_t i = 0; i < n; i++) {
        unsigned c = high && p[i] >= 0x80 ? high[p[i] - 0x80] : p[i];

        if (c == 0)
            return BAD;
        add_character(out, c);
    }
    return WHOLE;
}

/* Bytes of the UTF-8 character at p: 0 when there is none, n + 1 or more when it goes on behind the end. */
static size_t utf8_length(const unsigned char *p, size_t n)
{
    size_t len = p[0] < 0x80 ? 1 : p[0] < 0xc2 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : p[0] < 0xf5 ? 4 : 0;

    if (p[0] == 0)
        return 0;
    for (size_t i = 1; i < len && i < n; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    if (len > 2 && n > 1 && ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
                             (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f)))
        return 0;
    return len;
}

static enum verdict convert_utf8(const unsigned char *p, size_t n, size_t *used, struct buf *out)
{
    size_t i = 0, len = 0;

    while (i < n && (len = utf8_length(p + i, n - i)) > 0 && len <= n - i)
        i += len;
    buf_add(out, p, i);
    *used = i;
    return i == n ? WHOLE : len == 0 ? BAD : PARTIAL;
}

/* iconv(3) may write nothing for what it only remembers; p == NULL asks for the rest of that. */
static enum verdict convert_iconv(iconv_t cd, const unsigned char *p, size_t n, size_t *used, struct buf *out)
{
    char *from = (char *)(uintptr_t)p, text[512];
    size_t left = n;

    for (;;) {
        char *to = text;
        size_t room = sizeof(text);
        bool done = iconv(cd, p ? &from : NULL, &left, &to, &room) != (size_t)-1;
        int error = errno;

        if (memchr(text, 0, (size_t)(to - text)))
            return BAD;
        buf_add(out, text, (size_t)(to - text));
        *used = n - left;
        if (done)
            return WHOLE;
        if (error != E2BIG)
            return error == EINVAL ? PARTIAL : BAD;
        if (to == text)
            return BAD;
    }
}

/* --- one word --- */

struct word {
    size_t start, end;          /* in the text, with =? and ?= */
    struct bytes charset;       /* without the language of RFC 2231 */
    struct bytes text;
    bool base64;
};

struct decoder {
    struct bytes in;
    size_t barren;              /* no word ends before this: a text full of beginnings is not searched again and again */
    struct buf *out;
    const struct charset *charset;
    iconv_t cd;
    unsigned char window[256];  /* decoded bytes that are not yet converted */
    size_t n;
};

/* A token of RFC 2047 (a little wider), as charsets are. */
static bool is_token(struct bytes t)
{
    for (size_t i = 0; i < t.n; i++)
        if (t.p[i] <= ' ' || t.p[i] >= 0x7f)
            return false;
    return t.n > 0 && t.n <= 64;
}

/* Where the word's text, beginning at `at`, ends: the next ?= with no blank before it; in.n without one. */
static size_t find_end(struct decoder *d, size_t at)
{
    size_t i = at;

    if (at < d->barren)
        return d->in.n;
    for (; i < d->in.n && d->in.p[i] != ' ' && d->in.p[i] != '\t'; i++)
        if (d->in.p[i] == '?' && i + 1 < d->in.n && d->in.p[i + 1] == '=')
            return i;
    d->barren = i;
    return d->in.n;
}

static bool parse_word(struct decoder *d, size_t at, struct word *w)
{
    struct bytes in = d->in, rest = bytes_skip(in, at);
    size_t question, end;

    if (rest.n < 2 || rest.p[0] != '=' || rest.p[1] != '?')
        return false;
    rest = bytes_skip(rest, 2);
    question = bytes_find((struct bytes){ rest.p, rest.n < 66 ? rest.n : 66 }, '?');
    w->charset = (struct bytes){ rest.p, question };
    if (!is_token(w->charset) || rest.n - question < 4 || rest.p[question + 2] != '?')
        return false;
    w->charset.n = bytes_find(w->charset, '*');
    switch (rest.p[question + 1]) {
    case 'b': case 'B': w->base64 = true; break;
    case 'q': case 'Q': w->base64 = false; break;
    default: return false;
    }
    rest = bytes_skip(rest, question + 3);
    end = find_end(d, in.n - rest.n);
    if (end == in.n)
        return false;
    w->text = (struct bytes){ rest.p, end - (in.n - rest.n) };
    w->start = at;
    w->end = end + 2;
    return true;
}

/* Convert what the window holds; the beginning of a character that is not whole yet stays in it. */
static enum verdict convert_window(struct decoder *d)
{
    size_t used = d->n;
    enum verdict v = BAD;

    switch (d->charset->kind) {
    case KIND_UTF8: v = convert_utf8(d->window, d->n, &used, d->out); break;
    case KIND_ASCII: v = convert_ascii(d->window, d->n, d->out); break;
    case KIND_LATIN1:
    case KIND_TABLE: v = convert_single(d->charset->high, d->window, d->n, d->out); break;
    case KIND_ICONV: v = convert_iconv(d->cd, d->window, d->n, &used, d->out); break;
    }
    d->n -= used;
    memmove(d->window, d->window + used, d->n);
    return v;
}

static bool push(struct decoder *d, unsigned char c)
{
    d->window[d->n++] = c;
    return d->n < sizeof(d->window) || (convert_window(d) != BAD && d->n < sizeof(d->window) / 2);
}

static int hex_digit(unsigned char c)
{
    unsigned char l = ascii_lower(c);

    return c >= '0' && c <= '9' ? c - '0' : l >= 'a' && l <= 'f' ? l - 'a' + 10 : -1;
}

static bool decode_q(struct decoder *d, struct bytes t)
{
    for (size_t i = 0; i < t.n; i++) {
        unsigned char c = t.p[i];

        if (c == '=') {
            int high = i + 2 < t.n ? hex_digit(t.p[i + 1]) : -1, low = i + 2 < t.n ? hex_digit(t.p[i + 2]) : -1;

            if (high < 0 || low < 0)
                return false;
            c = (unsigned char)(high << 4 | low);
            i += 2;
        } else if (c == '_') {
            c = ' ';
        }
        if (!push(d, c))
            return false;
    }
    return true;
}

static int base64_digit(unsigned char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Padding may be missing or too long; a last digit that makes no byte is an error. */
static bool decode_b(struct decoder *d, struct bytes t)
{
    unsigned bits = 0, have = 0;
    size_t digits = 0;

    while (t.n > 0 && t.p[t.n - 1] == '=')
        t.n--;
    for (; digits < t.n; digits++) {
        int v = base64_digit(t.p[digits]);

        if (v < 0)
            return false;
        bits = (bits << 6 | (unsigned)v) & 0xffff;
        have += 6;
        if (have >= 8) {
            have -= 8;
            if (!push(d, (unsigned char)(bits >> have)))
                return false;
        }
    }
    return digits % 4 != 1;
}

static enum verdict decode_word(struct decoder *d, const struct word *w)
{
    if (!(w->base64 ? decode_b(d, w->text) : decode_q(d, w->text)))
        return BAD;
    return d->n > 0 ? convert_window(d) : WHOLE;
}

/* --- runs of words --- */

/*
 * glibc's converters are modules. A static program would load those of the machine that it was copied to, of
 * whatever version they are, so it does without (GBK and its kin then stay encoded): AT_BASE, the place of the
 * program interpreter, is 0 where there is none.
 */
static bool have_modules(void)
{
    return getauxval(AT_BASE) != 0;
}

/*
 * glibc unloads a converter's module when nobody has it open, and loads it again for the next word: 50 µs, or a twentieth of a scan
 * in which one message of a hundred needs it. So one descriptor of each charset waits here for whoever asks next, in any
 * thread, until the process ends.
 */
static _Atomic(iconv_t) parked[sizeof(charsets) / sizeof(*charsets)];

static iconv_t take_converter(const struct charset *c)
{
    iconv_t cd = atomic_exchange(&parked[c - charsets], NULL);

    return cd ? cd : iconv_open("UTF-8", c->iconv_name);
}

static void park_converter(const struct charset *c, iconv_t cd)
{
    iconv(cd, NULL, NULL, NULL, NULL);      /* into its first state, whatever the word ended in */
    cd = atomic_exchange(&parked[c - charsets], cd);
    if (cd)
        iconv_close(cd);
}

static bool open_charset(struct decoder *d, struct bytes name)
{
    d->charset = find_charset(name);
    d->n = 0;
    if (!d->charset || d->charset->kind != KIND_ICONV)
        return d->charset != NULL;
    d->cd = have_modules() ? take_converter(d->charset) : (iconv_t)-1;
    return d->cd != (iconv_t)-1;
}

static enum verdict close_charset(struct decoder *d, enum verdict v)
{
    size_t used;

    if (d->charset->kind != KIND_ICONV)
        return v;
    if (v == WHOLE)
        v = convert_iconv(d->cd, NULL, 0, &used, d->out);
    park_converter(d->charset, d->cd);
    return v;
}

static size_t skip_blanks(struct bytes in, size_t at)
{
    while (at < in.n && (in.p[at] == ' ' || in.p[at] == '\t'))
        at++;
    return at;
}

/*
 * The word at `at` and those that it takes to make its last character whole. True: decoded. False: the text up to *end is to
 * be copied as it stands, instead of anything that was added.
 */
static bool decode_run(struct decoder *d, size_t at, size_t *end)
{
    struct word w, next;
    enum verdict v;

    *end = at + 2;
    if (!parse_word(d, at, &w))
        return false;
    *end = w.end;
    if (!open_charset(d, w.charset))
        return false;
    while ((v = decode_word(d, &w)) == PARTIAL && parse_word(d, skip_blanks(d->in, w.end), &next) &&
           bytes_ieq(next.charset, w.charset))
        w = next;
    /* The word that broke a run may be sound by itself. */
    *end = v == BAD && w.start > at ? w.start : w.end;
    return close_charset(d, v) == WHOLE;
}

void header_decode(struct bytes unfolded, struct buf *out)
{
    struct decoder d = { .in = unfolded, .out = out };
    bool after_word = false;
    size_t at = 0;

    buf_reset(out, RECORD_TEXT_MAX);
    while (at < unfolded.n) {
        size_t blanks = after_word ? skip_blanks(unfolded, at) : at, end;
        const unsigned char *found = memmem(unfolded.p + blanks, unfolded.n - blanks, "=?", 2);
        size_t word = found ? (size_t)(found - unfolded.p) : unfolded.n;
        size_t before = out->n;

        /* White space between two words belongs to the encoding, before anything else it is text. */
        if (!(after_word && found && word == blanks))
            buf_add(out, unfolded.p + at, word - at);
        if (word == unfolded.n)
            return;
        after_word = decode_run(&d, word, &end);
        if (!after_word) {
            out->n = before;
            buf_add(out, unfolded.p + at, end - at);
        }
        at = end;
    }
}

/* --- bodies --- */

static const char replacement[] = "\xef\xbf\xbd";

bool recode_is_utf8(struct bytes charset)
{
    const struct charset *c = find_charset(charset);

    return c && (c->kind == KIND_UTF8 || c->kind == KIND_ASCII);
}

bool recode_begin(struct recode *r, struct bytes charset)
{
    iconv_t cd;

    *r = (struct recode){ .charset = find_charset(charset) };
    if (!r->charset || r->charset->kind != KIND_ICONV)
        return r->charset != NULL;
    cd = have_modules() ? take_converter(r->charset) : (iconv_t)-1;
    r->cd = cd;
    return cd != (iconv_t)-1;
}

static void recode_single(const struct charset *c, const unsigned char *p, size_t n, struct buf *out)
{
    for (size_t i = 0; i < n; i++) {
        unsigned v = c->high && p[i] >= 0x80 ? c->high[p[i] - 0x80] : p[i];

        if (v == 0 && p[i] != 0)
            buf_add_str(out, replacement);
        else
            add_character(out, v);
    }
}

/* Convert up to the beginning of a character that is not whole; answers how many bytes are left of it. */
static size_t recode_iconv(iconv_t cd, const unsigned char *p, size_t n, struct buf *out)
{
    char *from = (char *)(uintptr_t)p, text[1024];

    while (n > 0) {
        char *to = text;
        size_t room = sizeof(text);
        bool done = iconv(cd, &from, &n, &to, &room) != (size_t)-1;
        int error = errno;

        buf_add(out, text, (size_t)(to - text));
        if (done || (error == EINVAL && n <= sizeof(((struct recode *)0)->left)))
            return n;
        if (error == E2BIG && to > text)
            continue;
        buf_add_str(out, replacement);
        from++;
        n--;
    }
    return 0;
}

void recode_add(struct recode *r, const void *p, size_t n, struct buf *out)
{
    const unsigned char *b = p;
    unsigned char joined[2 * sizeof(r->left)];

    if (r->charset->kind != KIND_ICONV) {
        if (r->charset->kind == KIND_UTF8 || r->charset->kind == KIND_ASCII)
            buf_add(out, p, n);
        else
            recode_single(r->charset, b, n, out);
        return;
    }
    /* What was left is made whole first. */
    while (r->n > 0 && n > 0) {
        size_t more = sizeof(joined) - r->n < n ? sizeof(joined) - r->n : n, whole;

        memcpy(joined, r->left, r->n);
        memcpy(joined + r->n, b, more);
        whole = r->n + more;
        r->n = recode_iconv(r->cd, joined, whole, out);
        b += more;
        n -= more;
        memcpy(r->left, joined + whole - r->n, r->n);
    }
    if (n == 0)
        return;
    r->n = recode_iconv(r->cd, b, n, out);
    memcpy(r->left, b + n - r->n, r->n);
}

void recode_end(struct recode *r, struct buf *out)
{
    size_t used;

    if (!r->charset || r->charset->kind != KIND_ICONV)
        return;
    if (r->n > 0)
        buf_add_str(out, replacement);
    convert_iconv(r->cd, NULL, 0, &used, out);
    park_converter(r->charset, r->cd);
    r->n = 0;
    r->charset = NULL;
}
