/*
 * Lines of mail logs, read from left to right: time, host, program, pid, id. Forms seen in logs of Postfix 3.7 and 3.10, Exim 4.96
 * and 4.98, Sendmail 8.17 and 8.18, written by rsyslog, postlogd(8) and journalctl(1) -o short, short-iso and short-precise.
 */
#include "maillog.h"

#include <time.h>

/* --- time --- */

enum { DIGIT = 1, LETTER = 2, TAG_END = 4 };

/* Every byte of the head of every line is asked what it is. */
static const unsigned char kinds[256] = {
    ['0'] = DIGIT, ['1'] = DIGIT, ['2'] = DIGIT, ['3'] = DIGIT, ['4'] = DIGIT,
    ['5'] = DIGIT, ['6'] = DIGIT, ['7'] = DIGIT, ['8'] = DIGIT, ['9'] = DIGIT,
    ['A'] = LETTER, ['B'] = LETTER, ['C'] = LETTER, ['D'] = LETTER, ['E'] = LETTER, ['F'] = LETTER, ['G'] = LETTER,
    ['H'] = LETTER, ['I'] = LETTER, ['J'] = LETTER, ['K'] = LETTER, ['L'] = LETTER, ['M'] = LETTER, ['N'] = LETTER,
    ['O'] = LETTER, ['P'] = LETTER, ['Q'] = LETTER, ['R'] = LETTER, ['S'] = LETTER, ['T'] = LETTER, ['U'] = LETTER,
    ['V'] = LETTER, ['W'] = LETTER, ['X'] = LETTER, ['Y'] = LETTER, ['Z'] = LETTER,
    ['a'] = LETTER, ['b'] = LETTER, ['c'] = LETTER, ['d'] = LETTER, ['e'] = LETTER, ['f'] = LETTER, ['g'] = LETTER,
    ['h'] = LETTER, ['i'] = LETTER, ['j'] = LETTER, ['k'] = LETTER, ['l'] = LETTER, ['m'] = LETTER, ['n'] = LETTER,
    ['o'] = LETTER, ['p'] = LETTER, ['q'] = LETTER, ['r'] = LETTER, ['s'] = LETTER, ['t'] = LETTER, ['u'] = LETTER,
    ['v'] = LETTER, ['w'] = LETTER, ['x'] = LETTER, ['y'] = LETTER, ['z'] = LETTER,
    [' '] = TAG_END, ['['] = TAG_END, [':'] = TAG_END,
};

static bool is_digit(unsigned char c)
{
    return kinds[c] == DIGIT;
}

static bool is_alnum(unsigned char c)
{
    return kinds[c] & (DIGIT | LETTER);
}

/* The bytes have the shape: 0 a digit, _ a digit or a blank, A a letter, anything else itself. */
static bool shaped(struct bytes b, const char *shape)
{
    size_t i = 0;

    for (; shape[i]; i++) {
        unsigned char c;

        if (i >= b.n)
            return false;
        c = b.p[i];
        if (shape[i] == '0' ? !is_digit(c) : shape[i] == '_' ? !is_digit(c) && c != ' ' :
            shape[i] == 'A' ? !is_alnum(c) || is_digit(c) : c != (unsigned char)shape[i])
            return false;
    }
    return true;
}

static size_t fraction_length(struct bytes b, size_t at)
{
    size_t i = at;

    if (i < b.n && b.p[i] == '.')
        for (i++; i < b.n && is_digit(b.p[i]); i++)
            ;
    return i - at;
}

/* "Z", "+01:00" or "+0100" at `at`. */
static size_t zone_length(struct bytes b, size_t at)
{
    struct bytes rest = bytes_skip(b, at);

    if (rest.n > 0 && rest.p[0] == 'Z')
        return 1;
    if (rest.n > 0 && (rest.p[0] == '+' || rest.p[0] == '-')) {
        if (shaped(bytes_skip(rest, 1), "00:00"))
            return 6;
        if (shaped(bytes_skip(rest, 1), "0000"))
            return 5;
    }
    return 0;
}

/* Bytes of the time at the front, 0 if there is none. Of the commonest form only the marks between its numbers are looked at here. */
static size_t stamp_length(struct bytes line)
{
    size_t n, zone;

    if (line.n < 15)
        return 0;
    if (!is_digit(line.p[0]))
        return line.p[3] == ' ' && line.p[6] == ' ' && line.p[9] == ':' && line.p[12] == ':' ? 15 + fraction_length(line, 15) : 0;
    if (shaped(line, "0000-00-00T00:00:00")) {
        n = 19 + fraction_length(line, 19);
        return n + zone_length(line, n);
    }
    if (!shaped(line, "0000-00-00 00:00:00"))
        return 0;
    n = 19 + fraction_length(line, 19);
    /* Exim's log_timezone puts a blank before the zone. */
    zone = n < line.n && line.p[n] == ' ' ? zone_length(line, n + 1) : 0;
    return zone > 1 ? n + 1 + zone : n;
}

static int two(const unsigned char *p)
{
    return (p[0] == ' ' ? 0 : p[0] - '0') * 10 + p[1] - '0';
}

static int month_of(const unsigned char *p)
{
    static const char names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

    for (int i = 0; i < 12; i++)
        if (memcmp(names + 3 * i, p, 3) == 0)
            return i;
    return -1;
}

static bool in_year(struct tm tm, int year, int64_t *out)
{
    time_t t;

    tm.tm_year = year - 1900;
    tm.tm_isdst = -1;
    t = mktime(&tm);
    *out = (int64_t)t;
    return t != (time_t)-1;
}

static bool time_without_year(const unsigned char *p, int64_t latest, int64_t *out)
{
    enum { DAY = 86400, LEAP = 8 };     /* 29 February may be that many years ago, around 1900 and 2100 */
    struct tm tm = { .tm_mon = month_of(p), .tm_mday = two(p + 4), .tm_hour = two(p + 7), .tm_min = two(p + 10), .tm_sec = two(p + 13) };
    time_t from = (time_t)latest;
    struct tm now;

    if (tm.tm_mon < 0 || tm.tm_mday < 1 || tm.tm_mday > 31 || !localtime_r(&from, &now) || now.tm_year > 8000)
        return false;
    /* From next year on, because the clock of the log may be a little ahead of a new year. */
    for (int year = now.tm_year + 1901; year > now.tm_year + 1901 - LEAP; year--) {
        bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

        if ((leap || tm.tm_mon != 1 || tm.tm_mday != 29) && in_year(tm, year, out) && *out <= latest + DAY)
            return true;
    }
    return false;
}

bool maillog_time(struct bytes stamp, int64_t latest, int64_t *out)
{
    const unsigned char *p = stamp.p;
    struct tm tm;
    size_t n, zone;

    if (stamp.n == 0 || stamp_length(stamp) != stamp.n)
        return false;
    if (!is_digit(p[0]))
        return shaped(stamp, "AAA _0 00:00:00") && time_without_year(p, latest, out);
    tm = (struct tm){ .tm_mon = two(p + 5) - 1, .tm_mday = two(p + 8), .tm_hour = two(p + 11), .tm_min = two(p + 14), .tm_sec = two(p + 17) };
    n = 19 + fraction_length(stamp, 19);
    n += n < stamp.n && p[n] == ' ';
    zone = stamp.n - n;
    if (tm.tm_mon < 0 || tm.tm_mon > 11)
        return false;
    if (zone == 0)
        return in_year(tm, two(p) * 100 + two(p + 2), out);
    tm.tm_year = two(p) * 100 + two(p + 2) - 1900;
    *out = (int64_t)timegm(&tm);
    if (zone > 1) {
        int shift = (two(p + n + 1) * 60 + two(p + n + zone - 2)) * 60;

        *out -= p[n] == '-' ? -shift : shift;
    }
    return true;
}

/* --- the head of a line --- */

/* "<22>": some collectors keep the priority. */
static struct bytes skip_priority(struct bytes line)
{
    size_t i = 1;

    if (line.n == 0 || line.p[0] != '<')
        return line;
    while (i < line.n && i < 4 && is_digit(line.p[i]))
        i++;
    return i > 1 && i < line.n && line.p[i] == '>' ? bytes_skip(line, i + 1) : line;
}

/* Exim's id: 6-6-2 or, since 4.97, 6-11-4 letters and digits, a word of its own. */
static size_t exim_id_length(struct bytes b)
{
    size_t second, n;

    if (b.n < 16 || b.p[6] != '-')
        return 0;
    second = b.p[13] == '-' ? 13 : b.n >= 23 && b.p[18] == '-' ? 18 : 0;
    n = second == 13 ? 16 : 23;
    if (second == 0 || b.n < n)
        return 0;
    for (size_t i = 0; i < n; i++)
        if (i != 6 && i != second && !is_alnum(b.p[i]))
            return 0;
    return n == b.n || b.p[n] == ' ' ? n : 0;
}

/* "[123] ": the digits, and *b behind it; n == 0 (nothing taken) without. */
static struct bytes take_bracketed(struct bytes *b)
{
    struct bytes digits;
    size_t i = 1;

    if (b->n < 4 || b->p[0] != '[')
        return (struct bytes){ b->p, 0 };
    while (i < b->n && is_digit(b->p[i]))
        i++;
    if (i == 1 || i + 1 >= b->n || b->p[i] != ']' || b->p[i + 1] != ' ')
        return (struct bytes){ b->p, 0 };
    digits = bytes_from(b->p + 1, i - 1);
    *b = bytes_skip(*b, i + 2);
    return digits;
}

/* What Exim writes behind its time: "[PID] ID TEXT", both of which may be missing. */
static void exim_text(struct maillog_line *l, struct bytes b)
{
    struct bytes pid = take_bracketed(&b);
    size_t n = exim_id_length(b);

    if (pid.n > 0)
        l->pid = pid;
    l->form = MAILLOG_EXIM;
    l->text = l->rest = b;
    l->id = bytes_from(b.p, n);
    if (n > 0)
        l->rest = bytes_skip(b, n + 1);
}

/* "[2/3] " or "[2\3] ": which piece of a long line this is; 0 (nothing taken) for a whole one. */
static unsigned take_piece(struct bytes *b)
{
    unsigned piece = 0;
    size_t i = 1;

    if (b->n < 6 || b->p[0] != '[')
        return 0;
    for (; i < b->n && i < 4 && is_digit(b->p[i]); i++)
        piece = piece * 10 + (unsigned)(b->p[i] - '0');
    if (i >= b->n || (b->p[i] != '/' && b->p[i] != '\\'))
        return 0;
    for (i++; i < b->n && i < 8 && is_digit(b->p[i]); i++)
        ;
    if (i + 1 >= b->n || b->p[i] != ']' || b->p[i + 1] != ' ')
        return 0;
    *b = bytes_skip(*b, i + 2);
    return piece;
}

/* Exim through syslog repeats its own time unless syslog_timestamp is off; true when this is a line of it. */
static bool exim_through_syslog(struct maillog_line *l)
{
    struct bytes b = l->text;
    unsigned part;
    size_t n;

    if (b.n < 7 || (b.p[0] != '[' && b.p[6] != '-' && b.p[4] != '-'))
        return false;
    part = take_piece(&b);
    n = b.n > 4 && b.p[4] == '-' ? stamp_length(b) : 0;
    if (n > 0 && n < b.n && b.p[n] == ' ')
        b = bytes_skip(b, n + 1);
    else if (part == 0 && exim_id_length(b) == 0)
        return false;
    exim_text(l, b);
    l->part = part;
    return true;
}

/* "ID: " at the front of what a syslog program writes. */
static void syslog_id(struct maillog_line *l)
{
    size_t n = 0;

    while (n < l->text.n && n <= MAILLOG_ID_MAX && is_alnum(l->text.p[n]))
        n++;
    if (n == 0 || n > MAILLOG_ID_MAX || n >= l->text.n || l->text.p[n] != ':' || (n + 1 < l->text.n && l->text.p[n + 1] != ' '))
        return;
    l->id = bytes_from(l->text.p, n);
    l->rest = bytes_skip(l->text, n + 2);
}

/* Where a tag ends: before "[", ":" or a blank. */
static size_t tag_length(struct bytes b)
{
    size_t i = 0;

    while (i < b.n && kinds[b.p[i]] != TAG_END)
        i++;
    return i;
}

/* "TAG[PID]: TEXT" or "TAG: TEXT"; false when b begins otherwise. */
static bool take_program(struct bytes b, struct maillog_line *l)
{
    size_t n = tag_length(b), i = n;

    l->tag = bytes_from(b.p, n);
    l->pid = bytes_from(b.p, 0);
    if (n == 0 || n == b.n)
        return false;
    if (b.p[i] == '[') {
        for (i++; i < b.n && is_digit(b.p[i]); i++)
            ;
        if (i >= b.n || b.p[i] != ']')
            return false;
        l->pid = bytes_from(b.p + n + 1, i - n - 1);
        i++;
    }
    if (i >= b.n || b.p[i] != ':')
        return false;
    l->text = l->rest = bytes_skip(b, i + 1 < b.n && b.p[i + 1] == ' ' ? i + 2 : i + 1);
    return true;
}

static size_t behind_slash(struct bytes tag)
{
    size_t n = tag.n;

    while (n > 0 && tag.p[n - 1] != '/')
        n--;
    return n;
}

static bool syslog_line(struct bytes b, struct maillog_line *l)
{
    size_t n = tag_length(b);

    /* Without a host where a program wrote to /dev/log and nobody put one in. */
    l->host = bytes_from(b.p, 0);
    if (n < b.n && b.p[n] == ' ') {
        l->host = bytes_from(b.p, n);
        b = bytes_skip(b, n + 1);
    } else if (n < b.n && b.p[n] == ':' && bytes_find(b, ' ') > n + 1) {
        n = bytes_find(b, ' ');         /* an IPv6 address as host */
        l->host = bytes_from(b.p, n);
        b = bytes_skip(b, n + 1);
    }
    if (!take_program(b, l))
        return false;
    n = behind_slash(l->tag);
    l->form = n > 0 ? MAILLOG_POSTFIX : MAILLOG_SYSLOG;
    l->program = bytes_skip(l->tag, n);
    l->id = bytes_from(l->text.p, 0);
    l->part = 0;
    if (l->form == MAILLOG_POSTFIX || !exim_through_syslog(l))
        syslog_id(l);
    return true;
}

bool maillog_parse(struct bytes line, struct maillog_line *out)
{
    struct bytes b;
    size_t n;

    if (line.n > 0 && line.p[line.n - 1] == '\r')
        line.n--;
    line = skip_priority(line);
    n = stamp_length(line);
    if (n == 0 || n + 1 >= line.n || line.p[n] != ' ')
        return false;
    out->stamp = bytes_from(line.p, n);
    b = bytes_skip(line, n + 1);
    if (line.p[10] != ' ' || !is_digit(line.p[0]))
        return syslog_line(b, out);
    out->host = out->tag = out->pid = out->program = bytes_from(b.p, 0);
    out->part = 0;
    exim_text(out, b);
    /* Some collectors write a blank instead of the T: a host and a program follow then. */
    if (out->id.n == 0 && out->pid.n == 0 && !syslog_line(b, out)) {
        out->host = out->tag = out->pid = out->program = bytes_from(b.p, 0);
        exim_text(out, b);
    }
    return true;
}

/* --- what happened --- */

static bool program_is(const struct maillog_line *l, struct bytes name)
{
    return l->program.n == name.n && memcmp(l->program.p, name.p, name.n) == 0;
}

static bool postfix_server(const struct maillog_line *l)
{
    return program_is(l, BYTES("smtpd")) || program_is(l, BYTES("qmqpd"));
}

static enum maillog_event postfix_event(const struct maillog_line *l)
{
    if (postfix_server(l))
        return l->id.n > 0 ? (bytes_start(l->rest, BYTES("client=")) ? MAILLOG_ARRIVAL : MAILLOG_OTHER) :
               bytes_start(l->text, BYTES("connect from ")) ? MAILLOG_CONNECT :
               bytes_start(l->text, BYTES("disconnect from ")) ? MAILLOG_DISCONNECT : MAILLOG_OTHER;
    if (l->id.n == 0)
        return MAILLOG_OTHER;
    if (program_is(l, BYTES("cleanup")))
        return bytes_start(l->rest, BYTES("message-id=")) ? MAILLOG_BIRTH : MAILLOG_OTHER;
    if (program_is(l, BYTES("pickup")))
        return bytes_start(l->rest, BYTES("uid=")) ? MAILLOG_BIRTH : MAILLOG_OTHER;
    if (program_is(l, BYTES("qmgr")) || program_is(l, BYTES("postsuper")))
        return bytes_eq(l->rest, BYTES("removed")) ? MAILLOG_REMOVED : MAILLOG_OTHER;
    return MAILLOG_OTHER;
}

static bool contains(struct bytes b, struct bytes what)
{
    return b.n >= what.n && memmem(b.p, b.n, what.p, what.n);
}

/* "SMTP connection from [192.0.2.1]:4242 (TCP/IP connection count = 1)" (log_selector +smtp_connection); the end has the same first words. */
static enum maillog_event exim_event(const struct maillog_line *l)
{
    if (l->id.n > 0)
        return bytes_start(l->rest, BYTES("<= ")) ? MAILLOG_ARRIVAL : MAILLOG_OTHER;
    if (!bytes_start(l->text, BYTES("SMTP connection ")))
        return MAILLOG_OTHER;
    return contains(l->text, BYTES(" closed ")) || contains(l->text, BYTES(" lost")) ? MAILLOG_DISCONNECT : MAILLOG_CONNECT;
}

static enum maillog_event sendmail_event(const struct maillog_line *l)
{
    if (bytes_start(l->text, BYTES("AUTH=server, ")) || bytes_start(l->text, BYTES("STARTTLS=server, relay=")))
        return MAILLOG_LOGIN;
    if (bytes_start(l->text, BYTES("NOQUEUE: connect from ")))
        return MAILLOG_CONNECT;
    return l->id.n > 0 && bytes_start(l->rest, BYTES("from=")) ? MAILLOG_ARRIVAL : MAILLOG_OTHER;
}

enum maillog_event maillog_event(const struct maillog_line *l)
{
    return l->form == MAILLOG_POSTFIX ? postfix_event(l) : l->form == MAILLOG_EXIM ? exim_event(l) : sendmail_event(l);
}

bool maillog_serves(const struct maillog_line *l)
{
    return l->pid.n > 0 && (l->form != MAILLOG_POSTFIX || postfix_server(l));
}

bool maillog_has_id(const struct maillog_line *l)
{
    bool hex = true, vowels = false, digits = false;
    struct bytes id = l->id;

    if (l->form == MAILLOG_EXIM)
        return id.n > 0;
    for (size_t i = 0; i < id.n; i++) {
        hex &= is_digit(id.p[i]) || (id.p[i] >= 'A' && id.p[i] <= 'F');
        vowels |= memchr("AEIOUaeiou", id.p[i], 10) != NULL;
        digits |= is_digit(id.p[i]);
    }
    if (l->form == MAILLOG_POSTFIX)         /* short ids are hexadecimal, long ones have no vowels: nobody shall read words in them */
        return id.n >= 6 && (hex || !vowels);
    return id.n >= 12 && digits;
}

/* --- who else, and who --- */

/* The letters and digits at the front. */
static struct bytes word(struct bytes b)
{
    size_t n = 0;

    while (n < b.n && n <= MAILLOG_ID_MAX && is_alnum(b.p[n]))
        n++;
    return bytes_from(b.p, n <= MAILLOG_ID_MAX ? n : 0);
}

/* bounce(8): "ID: sender non-delivery notification: NEW", "sender delay notification", "postmaster …". */
static struct bytes postfix_kin(const struct maillog_line *l)
{
    static const char mark[] = " notification: ";
    const unsigned char *at;

    if (l->id.n == 0 || !program_is(l, BYTES("bounce")))
        return bytes_from(NULL, 0);
    at = memmem(l->rest.p, l->rest.n, mark, sizeof(mark) - 1);
    return at ? word(bytes_skip(l->rest, (size_t)(at - l->rest.p) + sizeof(mark) - 1)) : bytes_from(NULL, 0);
}

/* Sendmail: "ID: NEW: DSN: User unknown", and "ID: split: count=1, id=NEW". */
static struct bytes sendmail_kin(const struct maillog_line *l)
{
    struct bytes first = word(l->rest);

    if (l->id.n == 0 || first.n == 0)
        return bytes_from(NULL, 0);
    if (bytes_eq(first, BYTES("split"))) {
        const unsigned char *at = memmem(l->rest.p, l->rest.n, " id=", 4);

        return at ? word(bytes_skip(l->rest, (size_t)(at - l->rest.p) + 4)) : bytes_from(NULL, 0);
    }
    return first.n + 1 < l->rest.n && l->rest.p[first.n] == ':' && l->rest.p[first.n + 1] == ' ' ? first : bytes_from(NULL, 0);
}

/* Exim: "NEW <= <> R=ID U=exim P=local": the null sender leaves no room for anybody's words before it. */
static struct bytes exim_kin(const struct maillog_line *l)
{
    static const char mark[] = "<= <> R=";
    struct bytes b;

    if (l->id.n == 0 || !bytes_start(l->rest, bytes_from(mark, sizeof(mark) - 1)))
        return bytes_from(NULL, 0);
    b = bytes_skip(l->rest, sizeof(mark) - 1);
    return bytes_from(b.p, exim_id_length(b));
}

struct bytes maillog_kin(const struct maillog_line *l)
{
    return l->form == MAILLOG_POSTFIX ? postfix_kin(l) : l->form == MAILLOG_EXIM ? exim_kin(l) : sendmail_kin(l);
}

/* What stands between the first `mark` and the first `end` behind it, or the end of the text; p == NULL without mark. */
static struct bytes between(struct bytes b, struct bytes mark, struct bytes end)
{
    const unsigned char *at = b.n >= mark.n ? memmem(b.p, b.n, mark.p, mark.n) : NULL, *stop;

    if (!at)
        return bytes_from(NULL, 0);
    b = bytes_skip(b, (size_t)(at - b.p) + mark.n);
    stop = memmem(b.p, b.n, end.p, end.n);
    return bytes_from(b.p, stop ? (size_t)(stop - b.p) : b.n);
}

/* Behind the last `mark`; p == NULL without. */
static struct bytes behind_last(struct bytes b, struct bytes mark)
{
    for (size_t i = b.n; i >= mark.n; i--)
        if (memcmp(b.p + i - mark.n, mark.p, mark.n) == 0)
            return bytes_skip(b, i);
    return bytes_from(NULL, 0);
}

struct bytes maillog_relay(const struct maillog_line *l)
{
    if (l->form != MAILLOG_SYSLOG)
        return bytes_from(NULL, 0);
    switch (maillog_event(l)) {
    case MAILLOG_CONNECT:
        return bytes_skip(l->text, sizeof("NOQUEUE: connect from ") - 1);
    case MAILLOG_LOGIN:
        return between(l->text, BYTES("relay="), BYTES(", "));
    case MAILLOG_ARRIVAL:
        return behind_last(l->rest, BYTES(", relay="));     /* the last thing of the line; what stands before it the client chose */
    default:
        return bytes_from(NULL, 0);
    }
}

struct bytes maillog_peer(const struct maillog_line *l)
{
    struct bytes b = l->text;
    const unsigned char *open;
    size_t at, end;

    if (l->form != MAILLOG_EXIM)
        return bytes_from(NULL, 0);
    if (maillog_event(l) == MAILLOG_ARRIVAL)
        b = between(b, BYTES(" H="), BYTES(" P="));
    for (at = b.n; at >= 2 && memcmp(b.p + at - 2, "]:", 2) != 0; at--)
        ;
    open = at >= 2 ? memrchr(b.p, '[', at - 2) : NULL;
    for (end = at; end < b.n && is_digit(b.p[end]); end++)
        ;
    return open && end > at ? bytes_from(open, (size_t)(b.p + end - open)) : bytes_from(NULL, 0);
}

/* smtpd(8): "client=NAME[ADDRESS], sasl_method=PLAIN, sasl_username=user"; nothing before them is the client's to choose. */
static struct maillog_login postfix_login(const struct maillog_line *l)
{
    struct maillog_login login = {
        .method = between(l->rest, BYTES(", sasl_method="), BYTES(", ")),
        .user = between(l->rest, BYTES(", sasl_username="), BYTES(", sasl_sender=")),
    };

    return login;
}

/* Length of Exim's "<= SENDER", as far as nobody else's words reach; 0 when that cannot be told. */
static size_t exim_sender_end(struct bytes b)
{
    size_t i = 3;
    bool quoted = false;

    for (; i < b.n && (quoted || b.p[i] != ' '); i++) {
        if (b.p[i] == '\\')
            i++;
        else if (b.p[i] == '"')
            quoted = !quoted;
    }
    return i < b.n ? i : 0;
}

/*
 * "<= SENDER H=NAME (HELO) [ADDRESS]:PORT P=esmtpa X=… A=plain:user S=…": sender and HELO are the client's words, and what follows S= may
 * be. The sender ends where its quotes do; a HELO with blanks (helo_allow_chars) or a second A= makes the line one that nothing is read from.
 */
static struct maillog_login exim_login(const struct maillog_line *l)
{
    static const struct maillog_login none;
    struct maillog_login login;
    struct bytes b = bytes_skip(l->rest, exim_sender_end(l->rest)), value = between(b, BYTES(" S="), BYTES(" "));
    size_t colon;

    b.n = value.p ? (size_t)(value.p - b.p) : 0;
    value = between(b, BYTES(" A="), BYTES(" "));
    if (!value.p || value.n == 0 || contains(bytes_skip(b, (size_t)(value.p - b.p)), BYTES(" A=")))
        return none;
    b.n = (size_t)(value.p - b.p);
    if (!contains(b, BYTES(" P=esmtp")) || contains(between(b, BYTES(" ("), BYTES(") [")), BYTES(" ")))
        return none;
    colon = bytes_find(value, ':');
    login.method = bytes_from(value.p, colon);
    login.user = colon < value.n ? bytes_skip(value, colon + 1) : bytes_from(NULL, 0);
    if (login.user.n > 0 && bytes_find(login.user, ':') < login.user.n)     /* +smtp_mailauth adds ":sender" */
        login.user.n = bytes_find(login.user, ':');
    return login;
}

static struct maillog_login sendmail_login(const struct maillog_line *l)
{
    struct maillog_login login = {
        .user = between(l->text, BYTES(", authid="), BYTES(", mech=")),
        .method = between(l->text, BYTES(", mech="), BYTES(", ")),
    };

    return login;
}

struct maillog_login maillog_login(const struct maillog_line *l)
{
    static const struct maillog_login none;
    enum maillog_event event = maillog_event(l);

    if (l->form == MAILLOG_SYSLOG)
        return event == MAILLOG_LOGIN ? sendmail_login(l) : none;
    if (event != MAILLOG_ARRIVAL)
        return none;
    return l->form == MAILLOG_POSTFIX ? postfix_login(l) : exim_login(l);
}

/* Exim: "== ADDRESS R=… defer (-44)…"; retry times that were not reached are no attempt. */
static struct bytes exim_put_off(const struct maillog_line *l)
{
    struct bytes b = bytes_skip(l->rest, 3);
    size_t quote = b.n > 0 && b.p[0] == '"' ? exim_sender_end(l->rest) : 0;

    if (!bytes_start(l->rest, BYTES("== ")) || contains(b, BYTES("retry time not reached")))
        return bytes_from(NULL, 0);
    return bytes_from(b.p, quote > 3 ? quote - 3 : bytes_find(b, ' '));
}

struct bytes maillog_put_off(const struct maillog_line *l)
{
    struct bytes status;

    if (l->id.n == 0)
        return bytes_from(NULL, 0);
    if (l->form == MAILLOG_EXIM)
        return exim_put_off(l);
    if (!bytes_start(l->rest, BYTES("to=")))
        return bytes_from(NULL, 0);
    if (l->form == MAILLOG_POSTFIX)
        return contains(l->rest, BYTES(", status=deferred ")) ? between(l->rest, BYTES("to="), BYTES(", ")) : bytes_from(NULL, 0);
    status = between(l->rest, BYTES(", stat="), BYTES("\n"));
    return bytes_start(status, BYTES("Deferred")) ? between(l->rest, BYTES("to="), BYTES(", delay=")) : bytes_from(NULL, 0);
}
