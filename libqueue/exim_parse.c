/*
 * The meaning of Exim's spool files ID-H (envelope and header) and ID-J (journal).
 *
 * Functions of a struct source, for everything that Exim 4.50 to 4.99 writes, and Exim 3
 * recipients. There is no version in the files: the shape of each item tells its variant. Exim's
 * own reader (spool_in.c, as seen in 4.96 and 4.98.2) decides what is damaged: what it would refuse
 * is `corrupt`, but what could be read stays. Which files there are, and who holds them, is for
 * exim.c; message logs are read in exim_log.c.
 */
#include "exim.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "addr.h"
#include "header.h"

enum {
    FILE_MAX = 64 << 20,        /* a -H is at most header_maxsize (1 MiB) and its envelope; more is not read */
    LINE_SHORT = 16384,         /* Exim's buffer for lines 1 to 4, tree and count, with the LF */
    LINE_LONG = 65536,          /* of variables and recipients (4.94.2) */
    COUNT_MAX = 16384,          /* recipients that Exim reads (since 4.88), although it accepts and writes more */
    OLD_ACL_MAX = 16384,        /* data of an -acl item (to 4.60) */
    OLD_ACL_COUNT = 20,
    LINE_NUMBERS_MAX = 1 << 20, /* beyond this offset a problem is not worth counting lines */
    PORT_MAX = 65535
};

enum seen {
    SEEN_HOST = 1, SEEN_NAME = 2, SEEN_FIRST = 4, SEEN_LOOKUP_BAD = 8, SEEN_OWN = 16
};

/* --- damage --- */

static uint64_t line_number(struct source *src, uint64_t off)
{
    uint64_t at = 0, lines = 1;
    struct bytes line;

    while (at < off) {
        enum line_end end = source_line(src, &at, &line);

        if (end == LINE_NONE)
            break;
        lines += end == LINE_WHOLE && at <= off;
    }
    return lines;
}

/* Views of the source are dead after this. */
static void problem(struct exim_parse *p, uint64_t off, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static void problem(struct exim_parse *p, uint64_t off, const char *fmt, ...)
{
    char why[256], line[32] = "";
    va_list ap;

    /* Counted here, because counting lines costs even where the record has no room for the sentence. */
    if (p->problems++ >= RECORD_PROBLEMS_MAX)
        return;
    va_start(ap, fmt);
    vsnprintf(why, sizeof(why), fmt, ap);
    va_end(ap);
    if (off < LINE_NUMBERS_MAX)
        snprintf(line, sizeof(line), "line %llu, ", (unsigned long long)line_number(p->src, off));
    record_problem(p->rec, "%s%s%s: %soffset %llu: %s", p->dir, *p->dir ? "/" : "", p->name, line,
                   (unsigned long long)off, why);
}

/* Exim would refuse this, but the rest can still be understood. */
#define refuse(p, off, ...) (problem(p, off, __VA_ARGS__), record_set_state((p)->rec, STATE_CORRUPT))

/* From here on, or for want of this, not everything is known. */
#define lose(p, off, ...) (refuse(p, off, __VA_ARGS__), record_broken((p)->rec, SEC_CONTROL))

void exim_unreadable(struct exim_parse *p, unsigned section)
{
    record_problem(p->rec, "%s%s%s: cannot be read beyond offset %llu: %s", p->dir, *p->dir ? "/" : "", p->name,
                   (unsigned long long)p->src->size, source_why(p->src->error));
    record_broken(p->rec, section);
}

/* The bytes ran out. A disk that cannot be read is no fault of the file. */
static void ended(struct exim_parse *p, const char *where)
{
    if (p->src->error)
        exim_unreadable(p, SEC_CONTROL);
    else
        lose(p, p->src->size, "the file ends in %s", where);
}

/* --- lines --- */

/* The next line, at p->at; what it is, for people. False when there is none that makes sense. */
static bool next_line(struct exim_parse *p, struct bytes *line, const char *what, size_t max)
{
    p->at = p->off;
    switch (source_line(p->src, &p->off, line)) {
    case LINE_WHOLE:
        break;
    case LINE_PIECE:
        lose(p, p->at, "%s is longer than %d bytes", what, (int)LINE_LONG);
        return false;
    default:
        ended(p, what);
        return false;
    }
    if (line->n >= max) {
        refuse(p, p->at, "%s is longer than %zu bytes", what, max);
        p->off = p->at;
        source_line(p->src, &p->off, line);
    }
    return true;
}

static bool is_space(unsigned char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* A number as scanf reads it: white space and a sign may come first, anything may follow. */
static bool take_integer(struct bytes *b, int64_t *out)
{
    struct bytes rest = *b;
    bool minus;

    while (rest.n > 0 && is_space(rest.p[0]))
        rest = bytes_skip(rest, 1);
    minus = rest.n > 0 && rest.p[0] == '-';
    if (minus)
        rest = bytes_skip(rest, 1);
    if (!bytes_take_number(&rest, out))
        return false;
    if (minus)
        *out = -*out;
    *b = rest;
    return true;
}

/* Cut the last word off, which must be a number and have a blank before it: "John Q Public 1000 -2". */
static bool cut_number(struct bytes *b, int64_t *out)
{
    size_t n = b->n;

    while (n > 0 && (exim_digit(b->p[n - 1]) || b->p[n - 1] == '-'))
        n--;
    if (n == 0 || b->p[n - 1] != ' ' || !bytes_number(bytes_skip(*b, n), out))
        return false;
    b->n = n - 1;
    return true;
}

/* --- lines 1 to 4 --- */

/* 4.98.2 compares only as many bytes as an old id has. */
static bool read_name(struct exim_parse *p)
{
    enum { COMPARED = 18 };
    const struct bytes suffix = BYTES("-H");
    struct bytes line;
    size_t n = p->id.n;
    bool crlf, id_fits, whole;

    if (p->src->size == 0) {
        lose(p, 0, "the file is empty");
        return false;
    }
    if (!next_line(p, &line, "line 1, the file's own name", LINE_SHORT))
        return false;
    crlf = line.n > 0 && line.p[line.n - 1] == '\r';
    whole = line.n == n + suffix.n && memcmp(line.p, p->id.p, n) == 0 && bytes_eq(bytes_skip(line, n), suffix);
    id_fits = line.n >= COMPARED && n > COMPARED && memcmp(line.p, p->id.p, COMPARED) == 0;
    if (crlf) {
        lose(p, 0, "lines end in CR LF");
        return false;
    }
    if (!whole && id_fits)
        problem(p, 0, "is not the file's own name");
    else if (!whole)
        refuse(p, 0, "is not the file's own name");
    return true;
}

static bool read_login(struct exim_parse *p)
{
    struct bytes line;
    int64_t gid;

    if (!next_line(p, &line, "line 2, login", LINE_SHORT))
        return false;
    while (line.n > 0 && is_space(line.p[line.n - 1]))
        line.n--;
    if (cut_number(&line, &gid) && cut_number(&line, &p->uid))
        p->login = record_copy(p->rec, line.p, line.n);
    else
        lose(p, p->at, "is not LOGIN UID GID");
    return true;
}

static bool read_sender(struct exim_parse *p)
{
    struct bytes line;

    if (!next_line(p, &line, "line 3, sender", LINE_SHORT))
        return false;
    if (line.n < 2 || line.p[0] != '<' || line.p[line.n - 1] != '>') {
        lose(p, p->at, "is not <SENDER>");
        return true;
    }
    record_set_text(p->rec, LQ_SENDER, line.p + 1, line.n - 2);
    if (line.n == 2)
        record_flag(p->rec, FLAG_BOUNCE);
    if (memchr(line.p, '\0', line.n))
        refuse(p, p->at, "NUL in the sender");
    return true;
}

static bool read_times(struct exim_parse *p)
{
    int64_t arrival, warnings;
    struct bytes line;

    if (!next_line(p, &line, "line 4, time and warnings", LINE_SHORT))
        return false;
    if (take_integer(&line, &arrival) && take_integer(&line, &warnings)) {
        record_set_number(p->rec, LQ_ARRIVAL_TIME, arrival);
        if (warnings > 0)
            record_flag(p->rec, FLAG_WARNED);
    } else {
        lose(p, p->at, "is not TIME WARNINGS");
    }
    return true;
}

/* --- variables --- */

static void take_usec(struct exim_parse *p, struct bytes value)
{
    int64_t usec;
    size_t digits = value.n - 1;

    if (value.n < 2 || value.p[0] != '.' || digits > 6 || !bytes_number(bytes_skip(value, 1), &usec) || usec < 0)
        return;
    for (; digits < 6; digits++)
        usec *= 10;
    record_set_number(p->rec, LQ_ARRIVAL_USEC, usec);
}

/*
 * ADDR and PORT of "[2001:db8::1]:25" (from 4.96), "192.0.2.1.25", "2001:db8::1.25" (before): there the port follows the
 * fourth dot of an IPv4 address, also a mapped one, or the only dot behind the last colon.
 */
static struct bytes split_host(struct bytes value, struct bytes *port)
{
    size_t end, dots = 0, want;
    bool colon = false;

    *port = bytes_skip(value, value.n);
    if (value.n > 0 && value.p[0] == '[') {
        value = bytes_skip(value, 1);
        end = bytes_find(value, ']');
        *port = bytes_skip(value, end + 1);
        if (port->n > 0)
            *port = port->p[0] == ':' ? bytes_skip(*port, 1) : bytes_skip(*port, port->n);
        return bytes_from(value.p, end);
    }
    for (size_t i = 0; i < value.n; i++) {
        dots = value.p[i] == ':' ? 0 : dots + (value.p[i] == '.');
        colon = colon || value.p[i] == ':';
    }
    want = colon && dots < 3 ? dots : dots - 3;
    if (dots == 0 || (!colon && dots < 4) || want == 0)
        return value;
    for (end = value.n; want > 0; end--)
        want -= value.p[end - 1] == '.';
    *port = bytes_skip(value, end + 1);
    return bytes_from(value.p, end);
}

static void take_host(struct exim_parse *p, struct bytes value)
{
    char text[IP_TEXT_MAX];
    struct bytes port, addr = split_host(value, &port);
    struct ip ip;
    int64_t number;

    if (p->seen & SEEN_HOST)
        return;
    p->seen |= SEEN_HOST;
    if (!ip_parse(addr, &ip)) {
        record_set_text(p->rec, LQ_CLIENT_ADDRESS, value.p, value.n);
        return;
    }
    record_set_text(p->rec, LQ_CLIENT_ADDRESS, text, ip_format(&ip, text));
    if (bytes_number(port, &number) && number > 0 && number <= PORT_MAX)
        record_set_number(p->rec, LQ_CLIENT_PORT, number);
}

/* Other fields may be made of any of them. */
static void set_wanted(struct exim_parse *p, enum lq_field f, struct bytes value)
{
    if (header_all(p->want) || p->want & LQ_FIELD_BIT(f))
        record_set_text(p->rec, f, value.p, value.n);
}

static void take_host_name(struct exim_parse *p, struct bytes value)
{
    if (value.n == 0 || bytes_ieq(value, BYTES("unknown")))
        return;
    p->seen |= SEEN_NAME;
    set_wanted(p, LQ_CLIENT_NAME, value);
}

static void keep(struct exim_parse *p, struct lq_str *where, struct bytes value)
{
    if (!where->p)
        *where = record_copy(p->rec, value.p, value.n);
}

static void take_auth(struct exim_parse *p, struct bytes value)
{
    keep(p, &p->auth, value);
}

static void take_mechanism(struct exim_parse *p, struct bytes value)
{
    keep(p, &p->mechanism, value);
}

static void take_account(struct exim_parse *p, struct bytes value)
{
    keep(p, &p->account, value);
}

static void take_frozen(struct exim_parse *p, struct bytes value)
{
    int64_t since;

    if (!take_integer(&value, &since))
        refuse(p, p->at, "-frozen without a time");
    record_set_state(p->rec, STATE_HELD);
}

/* Raw data follows the line: LEN bytes and one more, whatever they are. Never parsed by lines. */
static bool skip_data(struct exim_parse *p, struct bytes length, int64_t max)
{
    int64_t n;

    if (!take_integer(&length, &n) || n < 0 || n > max || (uint64_t)n >= p->src->size - p->off) {
        lose(p, p->at, "the length of an ACL variable is wrong");
        return false;
    }
    p->off += (uint64_t)n + 1;
    return true;
}

static bool read_acl(struct exim_parse *p, struct bytes value)
{
    return skip_data(p, bytes_skip(value, bytes_find(value, ' ')), FILE_MAX);
}

static bool read_old_acl(struct exim_parse *p, struct bytes value)
{
    int64_t number;

    if (!take_integer(&value, &number) || number < 0 || number >= OLD_ACL_COUNT) {
        lose(p, p->at, "the number of an ACL variable is wrong");
        return false;
    }
    return skip_data(p, value, OLD_ACL_MAX);
}

/* What to do with a variable; those not listed tell us nothing. */
struct variable {
    const char *name;
    enum { TEXT, FLAG, SEEN, TAKE, DATA } kind;
    unsigned what;                                              /* field, flag or SEEN bit */
    void (*take)(struct exim_parse *p, struct bytes value);     /* TAKE */
    bool (*read)(struct exim_parse *p, struct bytes value);     /* DATA; false: cannot go on */
};

enum variable_number {
    V_ACLC, V_ACLM, V_ACL, V_HELO_NAME, V_HOST_ADDRESS, V_HOST_NAME, V_HOST_AUTH, V_HOST_AUTH_PUBNAME, V_AUTH_ID,
    V_RECEIVED_PROTOCOL, V_RECEIVED_TIME_USEC, V_FROZEN, V_DELIVER_FIRSTTIME, V_LOCALERROR, V_HOST_LOOKUP_FAILED,
    V_HOST_LOOKUP_DEFERRED, V_SMTPUTF8, V_SPOOL_FILE_WIREFORMAT, V_TLS_CIPHER, V_TLS_VER
};

static const struct variable variables[] = {
    [V_ACLC] = { .name = "aclc", .kind = DATA, .read = read_acl },
    [V_ACLM] = { .name = "aclm", .kind = DATA, .read = read_acl },
    [V_ACL] = { .name = "acl", .kind = DATA, .read = read_old_acl },
    [V_HELO_NAME] = { .name = "helo_name", .kind = TEXT, .what = LQ_HELO_NAME },
    [V_HOST_ADDRESS] = { .name = "host_address", .kind = TAKE, .take = take_host },
    [V_HOST_NAME] = { .name = "host_name", .kind = TAKE, .take = take_host_name },
    [V_HOST_AUTH] = { .name = "host_auth", .kind = TAKE, .take = take_auth },
    [V_HOST_AUTH_PUBNAME] = { .name = "host_auth_pubname", .kind = TAKE, .take = take_mechanism },
    [V_AUTH_ID] = { .name = "auth_id", .kind = TAKE, .take = take_account },
    [V_RECEIVED_PROTOCOL] = { .name = "received_protocol", .kind = TEXT, .what = LQ_PROTOCOL_NAME },
    [V_RECEIVED_TIME_USEC] = { .name = "received_time_usec", .kind = TAKE, .take = take_usec },
    [V_FROZEN] = { .name = "frozen", .kind = TAKE, .take = take_frozen },
    [V_DELIVER_FIRSTTIME] = { .name = "deliver_firsttime", .kind = SEEN, .what = SEEN_FIRST },
    [V_LOCALERROR] = { .name = "localerror", .kind = SEEN, .what = SEEN_OWN },
    [V_HOST_LOOKUP_FAILED] = { .name = "host_lookup_failed", .kind = SEEN, .what = SEEN_LOOKUP_BAD },
    [V_HOST_LOOKUP_DEFERRED] = { .name = "host_lookup_deferred", .kind = SEEN, .what = SEEN_LOOKUP_BAD },
    [V_SMTPUTF8] = { .name = "smtputf8", .kind = FLAG, .what = FLAG_SMTPUTF8 },
    [V_SPOOL_FILE_WIREFORMAT] = { .name = "spool_file_wireformat", .kind = FLAG, .what = FLAG_WIREFORMAT },
    [V_TLS_CIPHER] = { .name = "tls_cipher", .kind = FLAG, .what = FLAG_TLS },
    [V_TLS_VER] = { .name = "tls_ver", .kind = FLAG, .what = FLAG_TLS },
};

/* Which of them have a name of so many bytes: half of a message's variables are none of these. */
static const uint32_t variables_of_length[] = {
    [3] = 1 << V_ACL,
    [4] = 1 << V_ACLC | 1 << V_ACLM,
    [6] = 1 << V_FROZEN,
    [7] = 1 << V_AUTH_ID | 1 << V_TLS_VER,
    [8] = 1 << V_SMTPUTF8,
    [9] = 1 << V_HELO_NAME | 1 << V_HOST_NAME | 1 << V_HOST_AUTH,
    [10] = 1 << V_LOCALERROR | 1 << V_TLS_CIPHER,
    [12] = 1 << V_HOST_ADDRESS,
    [17] = 1 << V_HOST_AUTH_PUBNAME | 1 << V_RECEIVED_PROTOCOL | 1 << V_DELIVER_FIRSTTIME,
    [18] = 1 << V_RECEIVED_TIME_USEC | 1 << V_HOST_LOOKUP_FAILED,
    [20] = 1 << V_HOST_LOOKUP_DEFERRED,
    [21] = 1 << V_SPOOL_FILE_WIREFORMAT,
};

static const struct variable *find_variable(struct bytes name)
{
    if (name.n >= sizeof(variables_of_length) / sizeof(*variables_of_length))
        return NULL;
    for (uint32_t left = variables_of_length[name.n]; left; left &= left - 1) {
        const struct variable *v = &variables[__builtin_ctz(left)];

        if (memcmp(v->name, name.p, name.n) == 0)
            return v;
    }
    return NULL;
}

/* Take the marks off: "-name" plain, "--name" tainted (4.93), "--(lookup)name" quoted for a lookup (4.96; it reads "-(lookup)name", too). */
static bool strip_marks(struct bytes *line)
{
    size_t close;

    *line = bytes_skip(*line, 1);
    if (line->n > 0 && line->p[0] == '-')
        *line = bytes_skip(*line, 1);
    if (line->n == 0 || line->p[0] != '(')
        return true;
    close = bytes_find(*line, ')');
    *line = bytes_skip(*line, close + 1);
    return line->n > 0;
}

bool exim_is_frozen(struct bytes name)
{
    return bytes_start(name, BYTES("frozen"));
}

static bool read_variable(struct exim_parse *p, struct bytes line)
{
    const struct variable *v;
    size_t name_len;
    struct bytes value;

    if (!strip_marks(&line)) {
        refuse(p, p->at, "a variable's quoting mark has no end");
        return true;
    }
    /* Exim compares the beginning only, and wants the number right behind it (4.96 and 4.98.2). */
    name_len = exim_is_frozen(line) ? BYTES("frozen").n : bytes_find(line, ' ');
    value = bytes_skip(line, name_len + (name_len < line.n && line.p[name_len] == ' '));
    v = find_variable(bytes_from(line.p, name_len));
    if (v && v->kind == DATA)
        return v->read(p, value);
    if (v && v->kind == TEXT)
        set_wanted(p, (enum lq_field)v->what, value);
    else if (v && v->kind == FLAG)
        record_flag(p->rec, (enum flag)v->what);
    else if (v && v->kind == SEEN)
        p->seen |= v->what;
    else if (v)
        v->take(p, value);
    return true;
}

static struct bytes variable_name(struct bytes line)
{
    strip_marks(&line);
    return bytes_from(line.p, bytes_find(line, ' '));
}

/* What only all variables together tell. */
static void conclude(struct exim_parse *p)
{
    struct lq_record *r = p->rec;
    bool first = p->seen & SEEN_FIRST && !p->tried;

    if (!(p->seen & SEEN_HOST)) {
        if (!(p->seen & SEEN_OWN))      /* Exim's own bounces nobody submitted */
            record_flag(r, FLAG_LOCAL);
        if (p->login.p) {
            record_set_text(r, LQ_LOCAL_USER, p->login.p, p->login.n);
            record_set_number(r, LQ_LOCAL_UID, p->uid);
        }
    }
    /* auth_id alone is the login of a local submitter. */
    if (p->auth.p) {
        const struct lq_str *method = p->mechanism.n > 0 ? &p->mechanism : &p->auth;

        record_flag(r, FLAG_AUTHENTICATED);
        record_set_text(r, LQ_AUTH_METHOD, method->p, method->n);
        if (p->account.p)
            record_set_text(r, LQ_AUTH_USER, p->account.p, p->account.n);
    }
    if (p->seen & SEEN_NAME && p->seen & SEEN_LOOKUP_BAD)
        record_flag(r, FLAG_NAME_UNVERIFIED);
    if (first)
        record_set_number(r, LQ_ATTEMPTS, 0);
    record_set_state(r, first ? STATE_INCOMING : STATE_DEFERRED);
}

/* All variables; *line is then the first line behind them. */
static bool read_variables(struct exim_parse *p, struct bytes *line)
{
    while (next_line(p, line, "the envelope", LINE_LONG)) {
        struct bytes name = { NULL, 0 };

        if (line->n == 0 || line->p[0] != '-') {
            if (p->variable)
                p->variable(p, name);
            conclude(p);
            return true;
        }
        if (memchr(line->p, '\0', line->n)) {
            uint64_t next = p->off;

            refuse(p, p->at, "NUL in a variable");
            p->off = p->at;
            source_line(p->src, &p->off, line);
            p->off = next;
        }
        if (p->variable)
            name = variable_name(*line);
        if (!read_variable(p, *line))
            return false;
        if (p->variable)
            p->variable(p, name);
    }
    return false;
}

/* --- the addresses that are done: journal and tree --- */

void exim_parse_journal(struct exim_parse *p)
{
    enum line_end end;
    struct bytes line;

    p->off = 0;
    while ((end = source_line(p->src, &p->off, &line)) == LINE_WHOLE)
        exim_done_add(p, line, true);
    if (p->src->error) {
        ended(p, "");
    } else if (end != LINE_NONE) {
        /* Exim cuts such a name short when it merges it, so it delivers there again. */
        problem(p, p->off - line.n, end == LINE_PIECE ? "a name without end" : "the last name is cut short");
        if (end == LINE_PIECE)
            record_broken(p->rec, SEC_CONTROL);
    }
}

/* "XX", or nodes in preorder, "YN NAME": has left child, has right child. */
static bool read_tree(struct exim_parse *p, struct bytes line)
{
    uint64_t pending = 1;

    if (bytes_eq(line, BYTES("XX")))
        return true;
    if (bytes_start(line, BYTES("XX"))) {
        lose(p, p->at, "XX, the empty tree of delivered addresses, has a tail");
        return false;
    }
    for (;;) {
        if (line.n < 4) {
            lose(p, p->at, "is not a node of the tree of delivered addresses");
            return false;
        }
        pending += (line.p[0] == 'Y') + (line.p[1] == 'Y');
        exim_done_add(p, bytes_skip(line, 3), false);
        if (--pending == 0)
            return true;
        if (!next_line(p, &line, "the tree of delivered addresses", LINE_SHORT))
            return false;
    }
}

/* --- recipients --- */

static bool same(struct lq_str a, struct lq_str b)
{
    return a.n == b.n && memcmp(a.p, b.p, a.n) == 0;
}

/* addresses: a struct lq_str for each recipient so far, because a one_time child names its parent by number. */
static void add_recipient(struct exim_parse *p, const struct exim_recipient *rcpt, struct buf *addresses)
{
    bool done = exim_done_has(p, rcpt->address);
    struct lq_recipient *item = record_add_recipient(p->rec, done ? &p->rec->done : &p->rec->recipients);
    struct lq_str none = { NULL, 0 }, orig = none;

    if (!item) {
        buf_add(addresses, &none, sizeof(none));
        return;
    }
    item->address = record_copy(p->rec, rcpt->address.p, rcpt->address.n);
    if (rcpt->orcpt.n > 0)
        orig = exim_orcpt(p->rec, rcpt->orcpt);
    else if (rcpt->parent >= 0 && (uint64_t)rcpt->parent < addresses->n / sizeof(orig))
        memcpy(&orig, addresses->p + (size_t)rcpt->parent * sizeof(orig), sizeof(orig));
    if (orig.p && item->address.p && !same(orig, item->address))
        item->orig_address = record_share(p->rec, orig, SEC_CONTROL);
    buf_add(addresses, &item->address, sizeof(item->address));
}

static void read_recipient(struct exim_parse *p, struct bytes line, struct buf *addresses)
{
    struct exim_recipient rcpt;
    bool nul = memchr(line.p, '\0', line.n);

    if (!exim_split_recipient(line, &rcpt)) {
        const struct lq_str none = { NULL, 0 };

        buf_add(addresses, &none, sizeof(none));
        lose(p, p->at, "the lengths in a recipient's line are wrong");
        return;
    }
    if (p->want & EXIM_RECIPIENT_FIELDS)
        add_recipient(p, &rcpt, addresses);
    if (nul)
        refuse(p, p->at, "NUL in a recipient");
}

/* COUNT, which Exim trusts (a negative one makes it die), that many lines, and an empty one. */
static bool read_recipients(struct exim_parse *p, struct buf *addresses)
{
    struct bytes line;
    int64_t count;

    if (!next_line(p, &line, "the number of recipients", LINE_SHORT))
        return false;
    if (!take_integer(&line, &count)) {
        lose(p, p->at, "is not the number of recipients");
        return false;
    }
    if (count < 0)
        lose(p, p->at, "the number of recipients is negative (Exim dies when it reads this)");
    else if (count > COUNT_MAX)
        refuse(p, p->at, "%lld recipients are more than Exim reads (%d)", (long long)count, (int)COUNT_MAX);
    for (int64_t i = 0; i != count; i++) {
        if (!next_line(p, &line, "the recipients", LINE_LONG))
            return false;
        if (line.n == 0) {
            if (count >= 0)
                lose(p, p->at, "%lld recipients announced, but only %lld are here", (long long)count, (long long)i);
            return true;
        }
        read_recipient(p, line, addresses);
    }
    if (!next_line(p, &line, "the end of the recipients", LINE_LONG))
        return false;
    if (line.n > 0) {
        bool item = exim_digit(line.p[0]);

        lose(p, p->at, "the empty line before the header is missing");
        p->off = p->at;
        return item;
    }
    return true;
}

/* --- header --- */

static uint64_t skip_space(struct source *src, uint64_t off)
{
    const unsigned char *at;
    size_t got;

    while ((at = source_at(src, off, 1, &got)) && is_space(*at))
        off++;
    return off;
}

static enum exim_item emit_text(struct source *src, uint64_t *off, uint64_t n, exim_piece_fn *emit, void *ctx)
{
    enum exim_item result = EXIM_ITEM_GOOD;

    while (n > 0) {
        size_t got;
        const unsigned char *at = source_at(src, *off, 1, &got);

        if (!at)
            return EXIM_ITEM_SHORT;
        if (got > n)
            got = (size_t)n;
        if (memchr(at, '\0', got))
            result = EXIM_ITEM_NUL;
        *off += got;
        n -= got;
        if (emit && emit(ctx, at, got) != 0)
            return EXIM_ITEM_STOPPED;
    }
    return result;
}

enum exim_item exim_header_item(struct source *src, uint64_t *off, uint64_t *live, exim_piece_fn *emit, void *ctx)
{
    enum { HEAD = 16 };         /* digits, type */
    uint64_t n = 0, text;
    size_t got, digits = 0;
    const unsigned char *at = source_at(src, *off, HEAD, &got);
    bool dead;

    *live = 0;
    if (!at)
        return src->error ? EXIM_ITEM_SHORT : EXIM_ITEM_END;
    for (; digits < got && digits < HEAD && exim_digit(at[digits]); digits++)
        n = n * 10 + (uint64_t)(at[digits] - '0');
    if (digits == 0)
        return EXIM_ITEM_BAD;
    if (digits == got || digits == HEAD)
        return EXIM_ITEM_SHORT;
    dead = at[digits] == '*';
    /* Exim's scanf takes any white space, also none, between type and text. */
    text = skip_space(src, *off + digits + 1);
    if (text > src->size || n > src->size - text)
        return EXIM_ITEM_SHORT;
    *off = text;
    if (!dead)
        *live = n;
    return emit_text(src, off, n, dead ? NULL : emit, ctx);
}

/* An item on its way into the header block. */
struct item {
    struct exim_parse *p;
    uint64_t want;
    bool begun, dropped;
};

/* Whether text ends here and is one field, not several: an item of several is kept whole. */
static bool is_one_field(struct bytes text)
{
    for (size_t lf; (lf = bytes_find(text, '\n')) < text.n; text = bytes_skip(text, lf + 1))
        if (lf + 1 < text.n && text.p[lf + 1] != ' ' && text.p[lf + 1] != '\t')
            return false;
    return text.n == 0;
}

static int add_piece(void *ctx, const void *p, size_t n)
{
    struct item *item = ctx;
    struct bytes text = { p, n };

    if (!item->begun)
        item->dropped = !header_keeps(text, item->want) && is_one_field(text);
    item->begun = true;
    if (!item->dropped)
        buf_add(item->p->headers, p, n);
    return 0;
}

/* Exim reads this, but never wrote it: each message has its Received field, as a dead item where it is switched off (4.96, 4.98.2). */
static void no_fields(struct exim_parse *p)
{
    problem(p, p->at, "the file ends where the header begins");
    record_broken(p->rec, SEC_CONTROL);
}

/* Nothing in the file says how many items there are: one that was cut between two of them looks whole. See exim_parse_log(). */
static void read_headers(struct exim_parse *p)
{
    p->items_at = p->off;
    for (;;) {
        /* What does not fit into a record is counted, so all of it counts. */
        struct item item = { .p = p, .want = p->src->size > RECORD_HEADERS_MAX ? 0 : p->want };
        uint64_t live;
        enum exim_item result;

        p->at = p->off;
        result = exim_header_item(p->src, &p->off, &live, add_piece, &item);
        p->live += live;
        if (result == EXIM_ITEM_GOOD && live == 0)
            p->dead += p->off - p->at;
        if (item.begun || result == EXIM_ITEM_GOOD)
            p->rec->header_followed = item.dropped || !item.begun;
        if (result == EXIM_ITEM_NUL)
            refuse(p, p->at, "NUL in a header field");
        else if (result == EXIM_ITEM_BAD)
            lose(p, p->at, "a header field does not begin with its length");
        else if (result == EXIM_ITEM_SHORT && p->src->error)
            ended(p, "the header");
        else if (result == EXIM_ITEM_SHORT)
            lose(p, p->at, "a header field is longer than the rest of the file");
        else if (result == EXIM_ITEM_END && p->at == p->items_at)
            no_fields(p);
        else if (result == EXIM_ITEM_END)
            p->whole = true;
        if (result != EXIM_ITEM_GOOD && result != EXIM_ITEM_NUL)
            return;
    }
}

void exim_parse_header(struct exim_parse *p)
{
    struct buf addresses = { .limit = 2 * RECORD_RECIPIENTS_MAX * sizeof(struct lq_str) };  /* two lists are stored */
    struct bytes line;

    p->off = 0;
    if (p->src->size > FILE_MAX) {
        record_problem(p->rec, "%s%s%s: larger than %d MiB: not read further", p->dir, *p->dir ? "/" : "", p->name,
                       FILE_MAX >> 20);
        p->src->size = FILE_MAX;
    }
    if (!read_name(p) || !read_login(p) || !read_sender(p) || !read_times(p) || !read_variables(p, &line) ||
        !read_tree(p, line))
        return;
    exim_done_close(p);
    if (read_recipients(p, &addresses))
        read_headers(p);
    buf_done(&addresses);
    if (p->rec->recipients.counted > 0 && p->rec->done.counted > 0)
        record_flag(p->rec, FLAG_PARTIAL);
}
