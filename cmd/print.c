/* Escaping, numbers in words, columns. Knows no queue and no option. */
#include "print.h"

#include <locale.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>
#include <wchar.h>

#include "report.h"

/* --- a growing text --- */

static char *text_room(struct text *t, size_t n)
{
    size_t cap = t->cap ? t->cap : 128;
    char *p;

    if (t->cap - t->n >= n && t->p)
        return t->p + t->n;
    while (cap - t->n < n) {
        if (cap > SIZE_MAX / 2)
            report_no_memory();
        cap *= 2;
    }
    p = realloc(t->p, cap);
    if (!p)
        report_no_memory();
    t->p = p;
    t->cap = cap;
    return p + t->n;
}

void text_add(struct text *t, const void *p, size_t n)
{
    if (n == 0)
        return;
    memcpy(text_room(t, n), p, n);
    t->n += n;
}

void text_put(struct text *t, const char *s)
{
    text_add(t, s, strlen(s));
}

void text_char(struct text *t, char c)
{
    *text_room(t, 1) = c;
    t->n++;
}

void text_format(struct text *t, const char *fmt, ...)
{
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (n < 0)
        return;
    text_room(t, (size_t)n + 1);
    va_start(ap, fmt);
    vsnprintf(t->p + t->n, (size_t)n + 1, fmt, ap);
    va_end(ap);
    t->n += (size_t)n;
}

static void text_pad(struct text *t, size_t n)
{
    if (n > 0) {
        memset(text_room(t, n), ' ', n);
        t->n += n;
    }
}

void text_done(struct text *t)
{
    free(t->p);
    *t = (struct text){ 0 };
}

/* --- characters --- */

/* One UTF-8 character (RFC 3629) at p: its length and value, or 0 if the bytes are none. */
static size_t utf8_decode(const char *p, size_t n, uint32_t *out)
{
    static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
    const unsigned char *s = (const unsigned char *)p;
    size_t len = s[0] < 0x80 ? 1 : s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : s[0] < 0xf5 ? 4 : 0;
    uint32_t c = len == 1 ? s[0] : s[0] & (0x7fu >> len);

    if (len == 0 || len > n)
        return 0;
    for (size_t i = 1; i < len; i++) {
        if ((s[i] & 0xc0) != 0x80)
            return 0;
        c = c << 6 | (s[i] & 0x3f);
    }
    if (c < least[len] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
        return 0;
    *out = c;
    return len;
}

/* Characters that are not seen but change what is seen (Unicode 15, category Cf and kin, and C0, DEL, C1). */
static bool invisible(uint32_t c)
{
    static const struct { uint32_t first, last; } ranges[] = {
        { 0x00, 0x1f }, { 0x7f, 0x9f }, { 0xad, 0xad }, { 0x34f, 0x34f }, { 0x61c, 0x61c }, { 0x115f, 0x1160 },
        { 0x17b4, 0x17b5 }, { 0x180b, 0x180f }, { 0x200b, 0x200f }, { 0x2028, 0x202e }, { 0x2060, 0x206f },
        { 0x3164, 0x3164 }, { 0xfeff, 0xfeff }, { 0xffa0, 0xffa0 }, { 0xfff0, 0xfffb }, { 0x1bca0, 0x1bca3 },
        { 0x1d173, 0x1d17a }, { 0xe0000, 0xe0fff },
    };

    for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++)
        if (c >= ranges[i].first && c <= ranges[i].last)
            return true;
    return (c & 0xfffe) == 0xfffe || (c >= 0xe000 && c <= 0xf8ff) || c >= 0xf0000;
}

/* The name of a width that does not depend on the user's settings; glibc has it built in since 2.35. */
static int char_width(uint32_t c)
{
    static locale_t utf8;
    locale_t before;
    int width;

    if (c < 0x7f)
        return 1;
    if (!utf8)
        utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
    if (!utf8)
        return 1;
    before = uselocale(utf8);
    width = wcwidth((wchar_t)c);
    uselocale(before);
    return width < 0 ? 1 : width;
}

size_t text_width(const char *p, size_t n)
{
    size_t width = 0, len;
    uint32_t c;

    for (size_t i = 0; i < n; i += len) {
        len = utf8_decode(p + i, n - i, &c);
        width += len ? (size_t)char_width(c) : 1;
        if (len == 0)
            len = 1;
    }
    return width;
}

bool text_plain(const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (p[i] < ' ' || p[i] > '~')
            return false;
    return true;
}

/* --- escaping --- */

static void escape_char(struct text *t, uint32_t c)
{
    if (c == '\n')
        text_put(t, "\\n");
    else if (c == '\t')
        text_put(t, "\\t");
    else if (c == '\r')
        text_put(t, "\\r");
    else if (c < 0x80)
        text_format(t, "\\x%02x", (unsigned)c);
    else
        text_format(t, c > 0xffff ? "\\U%08x" : "\\u%04x", (unsigned)c);
}

void text_escape(struct text *t, const char *p, size_t n, unsigned how)
{
    size_t len;
    uint32_t c;

    for (size_t i = 0; i < n; i += len) {
        size_t plain = 0;

        while (i + plain < n && p[i + plain] > ' ' && p[i + plain] <= '~')
            plain++;
        text_add(t, p + i, plain);
        i += plain;
        if (i >= n)
            break;
        len = utf8_decode(p + i, n - i, &c);
        if (len == 0) {
            text_format(t, "\\x%02x", (unsigned char)p[i]);
            len = 1;
        } else if (c == ' ' ? how & ESCAPE_BLANKS : invisible(c) && !((c == '\n' || c == '\t') && how & ESCAPE_LINES)) {
            escape_char(t, c);
        } else {
            text_add(t, p + i, len);
        }
    }
}

static void json_char(struct text *t, uint32_t c)
{
    if (c > 0xffff)
        text_format(t, "\\u%04x\\u%04x", (unsigned)(0xd7c0 + (c >> 10)), (unsigned)(0xdc00 | (c & 0x3ff)));
    else
        text_format(t, "\\u%04x", (unsigned)c);
}

void text_json(struct text *t, const char *p, size_t n)
{
    size_t len;
    uint32_t c;

    text_char(t, '"');
    for (size_t i = 0; i < n; i += len) {
        len = utf8_decode(p + i, n - i, &c);
        if (len == 0 || c == 0) {
            text_put(t, "\xef\xbf\xbd");
            len = 1;
        } else if (c == '"' || c == '\\') {
            text_char(t, '\\');
            text_char(t, (char)c);
        } else if (c < 0x20 || (c >= 0x7f && c < 0xa0)) {
            json_char(t, c);
        } else {
            text_add(t, p + i, len);
        }
    }
    text_char(t, '"');
}

void text_json_line(struct text *t, const char *p, size_t n, bool terminal)
{
    size_t len;
    uint32_t c;

    if (!terminal) {
        text_add(t, p, n);
        return;
    }
    for (size_t i = 0; i < n; i += len) {
        len = utf8_decode(p + i, n - i, &c);
        if (len == 0) {
            text_put(t, "\xef\xbf\xbd");
            len = 1;
        } else if (invisible(c)) {
            json_char(t, c);
        } else {
            text_add(t, p + i, len);
        }
    }
}

static void csv_quoted(struct text *t, const char *p, size_t n)
{
    text_char(t, '"');
    for (size_t i = 0; i < n; i++) {
        if (p[i] == '"')
            text_char(t, '"');
        text_char(t, p[i]);
    }
    text_char(t, '"');
}

static bool csv_simple(const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (p[i] == '"' || p[i] == ',' || p[i] == '\n' || p[i] == '\r')
            return false;
    return n == 0 || (p[0] != ' ' && p[n - 1] != ' ');
}

void text_csv(struct text *t, const char *p, size_t n, bool terminal)
{
    struct text escaped = { 0 };

    if (terminal) {
        text_escape(&escaped, p, n, 0);
        p = escaped.p;
        n = escaped.n;
    }
    if (csv_simple(p, n))
        text_add(t, p, n);
    else
        csv_quoted(t, p, n);
    text_done(&escaped);
}

void text_shell(struct text *t, const char *p, size_t n)
{
    size_t plain = 0;

    while (plain < n && (strchr("@%+:,./_-", p[plain]) || (p[plain] >= '0' && p[plain] <= '9') ||
                         ((p[plain] | 0x20) >= 'a' && (p[plain] | 0x20) <= 'z')))
        plain++;
    if (n > 0 && plain == n) {
        text_add(t, p, n);
        return;
    }
    text_char(t, '\'');
    for (size_t i = 0; i < n; i++) {
        if (p[i] == '\'')
            text_put(t, "'\\'");
        text_char(t, p[i]);
    }
    text_char(t, '\'');
}

/* --- numbers in words --- */

void text_size(struct text *t, int64_t bytes)
{
    static const char units[] = "KMGTPE";
    double value = (double)bytes;
    size_t u = 0;

    if (bytes < 1024) {
        text_format(t, "%lld", (long long)bytes);
        return;
    }
    for (value /= 1024; value >= 999.95 && units[u + 1]; value /= 1024)
        u++;
    text_format(t, "%.1f%c", value, units[u]);
}

/* Two digits of the largest unit are enough to see: 119s, 2m, 119m, 2h, 47h, 2d. */
void text_age(struct text *t, int64_t seconds)
{
    static const struct { int64_t below, unit; char letter; } steps[] = {
        { 120, 1, 's' }, { 7200, 60, 'm' }, { 172800, 3600, 'h' }, { INT64_MAX, 86400, 'd' },
    };
    size_t i = 0;

    while (seconds >= steps[i].below && steps[i].below != INT64_MAX)
        i++;
    text_format(t, "%lld%c", (long long)(seconds / steps[i].unit), steps[i].letter);
}

void text_count(struct text *t, uint64_t n)
{
    char digits[24];
    int len = snprintf(digits, sizeof(digits), "%llu", (unsigned long long)n);

    for (int i = 0; i < len; i++) {
        if (i > 0 && (len - i) % 3 == 0)
            text_char(t, ',');
        text_char(t, digits[i]);
    }
}

void text_time(struct text *t, int64_t epoch)
{
    time_t when = (time_t)epoch;
    struct tm tm;
    long offset;

    if (!localtime_r(&when, &tm)) {     /* a year beyond int: hostile, but a number */
        text_format(t, "@%lld", (long long)epoch);
        return;
    }
    offset = tm.tm_gmtoff / 60;
    text_format(t, "%04ld-%02d-%02dT%02d:%02d:%02d%c%02ld:%02ld", 1900L + tm.tm_year, tm.tm_mon + 1, tm.tm_mday,
                tm.tm_hour, tm.tm_min, tm.tm_sec, offset < 0 ? '-' : '+', labs(offset) / 60, labs(offset) % 60);
}

/* --- the screen --- */

static size_t terminal_width(void)
{
    const char *columns = getenv("COLUMNS");
    struct winsize ws;
    unsigned long n = columns ? strtoul(columns, NULL, 10) : 0;

    if (n >= 20 && n <= 10000)
        return n;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &ws) == 0 && ws.ws_col >= 20)
        return ws.ws_col;
    return 80;
}

struct screen screen_look(enum color_when color)
{
    const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");
    struct screen s = { .terminal = isatty(STDOUT_FILENO) };

    s.width = s.terminal ? terminal_width() : 0;
    s.color = color == COLOR_ALWAYS ||
              (color == COLOR_AUTO && s.terminal && !(no_color && *no_color) && term && strcmp(term, "dumb") != 0);
    return s;
}

/* --- tables --- */

enum {
    SAMPLE_ROWS = 256,
    FLEXIBLE_LEAST = 10,    /* columns that a cut cell keeps */
    FLEXIBLE_PAD = 40       /* where nothing is cut, one long address must not push all lines apart */
};

static void measure(struct table *t, const char *cells, const char *end)
{
    for (size_t i = 0; i < t->n && cells < end; i++) {
        size_t len = strlen(cells), width = text_width(cells, len);

        if (width > t->width[i])
            t->width[i] = width;
        cells += len + 1;
    }
}

static bool hidden(const struct table *t, size_t i)
{
    return t->hidden >> i & 1;
}

/* Of a line, if flexible columns take no more than `flexible` each. */
static size_t line_width(const struct table *t, size_t flexible)
{
    size_t total = 0;

    for (size_t i = 0; i < t->n; i++)
        if (!hidden(t, i))
            total += 1 + (t->columns[i].flexible && t->width[i] > flexible ? flexible : t->width[i]);
    return total > 0 ? total - 1 : 0;
}

/* What a table is about stands last in some: it must not be what a narrow terminal cuts off. */
static void hide_extras(struct table *t)
{
    for (size_t i = t->n; i-- > 0 && line_width(t, FLEXIBLE_LEAST) > t->screen.width;)
        if (t->columns[i].extra)
            t->hidden |= UINT64_C(1) << i;
}

/* Take columns from the widest flexible ones until the line fits. */
static void squeeze(struct table *t)
{
    size_t total = line_width(t, SIZE_MAX);

    while (total > t->screen.width) {
        size_t widest = t->n;

        for (size_t i = 0; i < t->n; i++)
            if (t->columns[i].flexible && t->width[i] > FLEXIBLE_LEAST &&
                (widest == t->n || t->width[i] > t->width[widest]))
                widest = i;
        if (widest == t->n)
            return;
        t->width[widest]--;
        total--;
    }
}

/* Behind the cells of a row, and its lines below. */
static const char *next_row(const struct table *t, const char *cells)
{
    for (size_t i = 0; i < t->n + t->below; i++)
        cells += strlen(cells) + 1;
    return cells;
}

static void lay_out(struct table *t)
{
    const char *p = t->waiting.p, *end = p + t->waiting.n;

    for (size_t i = 0; i < t->n; i++) {
        size_t title = text_width(t->columns[i].title, strlen(t->columns[i].title));

        t->width[i] = t->header && title > t->columns[i].least ? title : t->columns[i].least;
    }
    while (p < end) {
        measure(t, p, end);
        p = next_row(t, p);
    }
    if (t->screen.width > 0) {
        hide_extras(t);
        squeeze(t);
        return;
    }
    for (size_t i = 0; i < t->n; i++)
        if (t->columns[i].flexible && t->width[i] > FLEXIBLE_PAD)
            t->width[i] = FLEXIBLE_PAD;
}

/* How much of a cell's end counts what it does not name: " +12". It is worth more than the letters before it. */
static size_t tail_of(const char *p, size_t n, size_t width)
{
    const char *blank = memrchr(p, ' ', n);
    size_t tail = blank && blank[1] == '+' ? n - (size_t)(blank - p) : 0;

    return tail < width / 2 ? tail : 0;
}

/* Append a cell cut to `width` columns, with a sign that more follows. */
static void cut(struct text *line, const char *p, size_t whole, size_t width)
{
    size_t tail = tail_of(p, whole, width), n = whole - tail, used = tail, i = 0;
    uint32_t c;

    while (i < n) {
        size_t len = utf8_decode(p + i, n - i, &c), w = len ? (size_t)char_width(c) : 1;

        if (used + w > width - 1)
            break;
        used += w;
        i += len ? len : 1;
    }
    text_add(line, p, i);
    text_put(line, "\xe2\x80\xa6");
    text_add(line, p + n, tail);
    text_pad(line, width - used - 1);
}

static void print_cell(struct table *t, struct text *line, size_t i, const char *cell, size_t room, bool title)
{
    size_t len = strlen(cell), width = text_width(cell, len), want = t->width[i];
    const char *paint = NULL;

    if (t->screen.color)
        paint = title ? "\033[1m" : t->columns[i].paint ? t->columns[i].paint(cell) : NULL;
    if (want > room)
        want = room;
    if (t->columns[i].right && width < want)
        text_pad(line, want - width);
    if (paint)
        text_put(line, paint);
    if (t->screen.width > 0 && width > want)
        cut(line, cell, len, want);
    else
        text_add(line, cell, len);
    if (paint)
        text_put(line, "\033[0m");
    if (!t->columns[i].right && i + 1 < t->n && width < want)
        text_pad(line, want - width);
}

/* Cells given one after the other, each with its NUL; titles come the same way. */
static void print_row(struct table *t, const char *cells, bool title)
{
    struct text line = { 0 };
    size_t used = 0;

    for (size_t i = 0; i < t->n; i++) {
        size_t room = t->screen.width ? t->screen.width - used : SIZE_MAX;

        if (t->screen.width && (used >= t->screen.width || room == 0))
            break;
        if (!hidden(t, i)) {
            print_cell(t, &line, i, cells, room, title);
            used += t->width[i] + 1;
            if (i + 1 < t->n && (!t->screen.width || used < t->screen.width))
                text_char(&line, ' ');
        }
        cells += strlen(cells) + 1;
    }
    text_char(&line, '\n');
    output(line.p, line.n);
    text_done(&line);
}

static void print_whole_row(struct table *t, const char *row)
{
    print_row(t, row, false);
    if (t->below) {
        for (size_t i = 0; i < t->n; i++)
            row += strlen(row) + 1;
        output(row, strlen(row));
    }
}

static void begin(struct table *t)
{
    struct text titles = { 0 };

    lay_out(t);
    t->begun = true;
    if (t->header) {
        for (size_t i = 0; i < t->n; i++)
            text_add(&titles, t->columns[i].title, strlen(t->columns[i].title) + 1);
        print_row(t, titles.p, true);
    }
    text_done(&titles);
    for (const char *p = t->waiting.p, *end = p + t->waiting.n; p < end; p = next_row(t, p))
        print_whole_row(t, p);
    text_done(&t->waiting);
}

void table_row(struct table *t, const char *cells, size_t size)
{
    if (t->begun) {
        print_whole_row(t, cells);
        return;
    }
    text_add(&t->waiting, cells, size);
    if (++t->rows == SAMPLE_ROWS)
        begin(t);
}

void table_end(struct table *t)
{
    if (!t->begun)
        begin(t);
}
