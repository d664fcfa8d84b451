/*
 * The meaning of Exim's spool files ID-H (envelope and header) and ID-J (journal).
 *
 * Functions of a struct source, for everything that Exim 4.50 to 4.99 writes, and Exim 3 recipients. There is no version in the
 * files: the shape of each item tells its variant. Exim's own reader (spool_in.c, as seen in 4.96 and 4.98.2) decides what is
 * damaged: what it would refuse is `corrupt`, but what could be read stays. Which files there are, and who holds them, is for exim.c;
 * message logs are read in exim_log.c.
 */
#include "exim.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "addr.h"

enum {
    FILE_MAX = 64 << 20,        /* a -H is at most header_maxsize (1 MiB) and its envelope; more is not read */
    LINE_SHORT = 16384,         /* Exim's buffer for lines 1 to 4, tree and count, with the LF */
    LINE_LONG = 65536,          /* of variables and recipients (4.94.2) */
    COUNT_MAX = 16384,          /* recipients that Exim reads (since 4.88), although it accepts and writes more */
    OLD_ACL_MAX = 16384,        /* data of an -acl item (to 4.60) */
    OLD_ACL_COUNT = 20,
    SET_MAX = 8 << 20,          /* bytes of done addresses that are kept for comparison */
    LINE_NUMBERS_MAX = 1 << 20, /* beyond this offset a problem is not worth counting lines */
    PORT_MAX = 65535
};

enum seen {
    SEEN_HOST = 1, SEEN_NAME = 2, SEEN_FIRST = 4, SEEN_LOOKUP_BAD = 8
};

#define RECIPIENT_FIELDS                                                                           \
    (LQ_FIELD_BIT(LQ_RECIPIENTS) | LQ_FIELD_BIT(LQ_RECIPIENTS_DONE) | LQ_FIELD_BIT(LQ_RECIPIENT) | \
     LQ_FIELD_BIT(LQ_FLAGS) | LQ_FIELD_BIT(LQ_REASON) | LQ_FIELD_BIT(LQ_REASON_CLASS))

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

    if (p->rec->problems.n >= RECORD_PROBLEMS_MAX)
        return;
    va_start(ap, fmt);
    vsnprintf(why, sizeof(why), fmt, ap);
    va_end(ap);
    if (off < LINE_NUMBERS_MAX)
        snprintf(line, sizeof(line), "line %llu, ", (unsigned long long)line_number(p->src, off));
    record_problem(p->rec, "%s%s%s: %soffset %llu: %s", p->dir, *p->dir ? "/" : "", p->name, line, (unsigned long long)off, why);
}

/* Exim would refuse this, but the rest can still be understood. */
#define refuse(p, off, ...) (problem(p, off, __VA_ARGS__), record_set_state((p)->rec, STATE_CORRUPT))

/* From here on, or for want of this, not everything is known. */
#define lose(p, off, ...) (refuse(p, off, __VA_ARGS__), record_broken((p)->rec, SEC_CONTROL))

void exim_unreadable(struct exim_parse *p, unsigned section)
{
    const char *why = strerrordesc_np(p->src->error);

    record_problem(p->rec, "%s%s%s: cannot be read beyond offset %llu: %s", p->dir, *p->dir ? "/" : "", p->name,
                   (unsigned long long)p->src->size, why ? why : "input/output error");
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

static bool is_digit(unsigned char c)
{
    return c >= '0' && c <= '9';
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

    while (n > 0 && (is_digit(b->p[n - 1]) || b->p[n - 1] == '-'))
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

static void take_host_name(struct exim_parse *p, struct bytes value)
{
    if (value.n == 0 || bytes_ieq(value, BYTES("unknown")))
        return;
    p->seen |= SEEN_NAME;
    record_set_text(p->rec, LQ_CLIENT_NAME, value.p, value.n);
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
    size_t len;
    enum { TEXT, FLAG, SEEN, TAKE, DATA } kind;
    unsigned what;                                              /* field, flag or SEEN bit */
    void (*take)(struct exim_parse *p, struct bytes value);     /* TAKE */
    bool (*read)(struct exim_parse *p, struct bytes value);     /* DATA; false: cannot go on */
};

#define NAME(text) .name = text, .len = sizeof(text) - 1

static const struct variable variables[] = {
    { NAME("aclc"), .kind = DATA, .read = read_acl },
    { NAME("aclm"), .kind = DATA, .read = read_acl },
    { NAME("acl"), .kind = DATA, .read = read_old_acl },
    { NAME("helo_name"), TEXT, LQ_HELO_NAME },
    { NAME("host_address"), .kind = TAKE, .take = take_host },
    { NAME("host_name"), .kind = TAKE, .take = take_host_name },
    { NAME("host_auth"), .kind = TAKE, .take = take_auth },
    { NAME("host_auth_pubname"), .kind = TAKE, .take = take_mechanism },
    { NAME("auth_id"), .kind = TAKE, .take = take_account },
    { NAME("received_protocol"), TEXT, LQ_PROTOCOL_NAME },
    { NAME("received_time_usec"), .kind = TAKE, .take = take_usec },
    { NAME("frozen"), .kind = TAKE, .take = take_frozen },
    { NAME("deliver_firsttime"), SEEN, SEEN_FIRST },
    { NAME("host_lookup_failed"), SEEN, SEEN_LOOKUP_BAD },
    { NAME("host_lookup_deferred"), SEEN, SEEN_LOOKUP_BAD },
    { NAME("smtputf8"), FLAG, FLAG_SMTPUTF8 },
    { NAME("spool_file_wireformat"), FLAG, FLAG_WIREFORMAT },
    { NAME("tls_cipher"), FLAG, FLAG_TLS },
    { NAME("tls_ver"), FLAG, FLAG_TLS },
};

static const struct variable *find_variable(struct bytes name)
{
    for (size_t i = 0; i < sizeof(variables) / sizeof(*variables); i++)
        if (variables[i].len == name.n && memcmp(variables[i].name, name.p, name.n) == 0)
            return &variables[i];
    return NULL;
}

/* Take the marks off: "-name" plain, "--name" tainted (4.93), "--(lookup)name" quoted for a lookup (4.96). */
static bool strip_marks(struct bytes *line)
{
    size_t close;

    *line = bytes_skip(*line, 1);
    if (line->n == 0 || line->p[0] != '-')
        return true;
    *line = bytes_skip(*line, 1);
    if (line->n == 0 || line->p[0] != '(')
        return true;
    close = bytes_find(*line, ')');
    *line = bytes_skip(*line, close + 1);
    return line->n > 0;
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
    name_len = bytes_find(line, ' ');
    value = bytes_skip(line, name_len + 1);
    v = find_variable(bytes_from(line.p, name_len));
    if (v && v->kind == DATA)
        return v->read(p, value);
    if (v && v->kind == TEXT)
        record_set_text(p->rec, (enum lq_field)v->what, value.p, value.n);
    else if (v && v->kind == FLAG)
        record_flag(p->rec, (enum flag)v->what);
    else if (v && v->kind == SEEN)
        p->seen |= v->what;
    else if (v)
        v->take(p, value);
    return true;
}

/* What only all variables together tell. */
static void conclude(struct exim_parse *p)
{
    struct lq_record *r = p->rec;
    bool first = p->seen & SEEN_FIRST && !p->tried;

    if (!(p->seen & SEEN_HOST)) {
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
        if (line->n == 0 || line->p[0] != '-') {
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
        if (!read_variable(p, *line))
            return false;
    }
    return false;
}

/* --- the addresses that are done: tree and journal --- */

struct node {
    uint32_t at, n;             /* in names */
};

/* Domain in lower case from `fold` on: so journals name addresses, and Exim compares. */
struct key {
    struct bytes address;
    size_t fold;
};

static size_t domain_at(struct bytes address)
{
    struct bytes domain = addr_domain(address);

    return address.n - domain.n;
}

static void set_add(struct exim_parse *p, struct bytes name, bool fold)
{
    struct node node = { (uint32_t)p->names->n, (uint32_t)name.n };

    if (!(p->want & RECIPIENT_FIELDS) || name.n == 0)
        return;
    if (p->names->n + p->nodes->n + name.n > SET_MAX) {
        if (!p->not_first)
            record_problem(p->rec, "%s%s%s: more than %d bytes of delivered addresses: some recipients may be done",
                           p->dir, *p->dir ? "/" : "", p->name, (int)SET_MAX);
        p->not_first = true;
        record_broken(p->rec, SEC_CONTROL);
        return;
    }
    buf_add(p->names, name.p, name.n);
    buf_add(p->nodes, &node, sizeof(node));
    if (p->names->failed || p->nodes->failed) {
        record_broken(p->rec, SEC_CONTROL);
        return;
    }
    if (fold)
        for (size_t i = domain_at(name); i < name.n; i++)
            p->names->p[node.at + i] = (char)ascii_lower((unsigned char)p->names->p[node.at + i]);
}

static size_t set_count(const struct exim_parse *p)
{
    return p->nodes->failed || p->names->failed ? 0 : p->nodes->n / sizeof(struct node);
}

static int by_name(const void *x, const void *y, void *names)
{
    const struct node *a = x, *b = y;
    int d = memcmp((char *)names + a->at, (char *)names + b->at, a->n < b->n ? a->n : b->n);

    return d ? d : (a->n > b->n) - (a->n < b->n);
}

/* Sorted, because a tree may hold 200,000 and a stranger chose their names. */
static void set_close(struct exim_parse *p)
{
    if (set_count(p) > 1)
        qsort_r(p->nodes->p, set_count(p), sizeof(struct node), by_name, p->names->p);
}

static int compare(const struct key *key, const unsigned char *name, size_t n)
{
    size_t less = key->address.n < n ? key->address.n : n;

    for (size_t i = 0; i < less; i++) {
        unsigned char c = key->address.p[i];

        if (i >= key->fold)
            c = ascii_lower(c);
        if (c != name[i])
            return c < name[i] ? -1 : 1;
    }
    return (key->address.n > n) - (key->address.n < n);
}

static bool set_has_key(const struct exim_parse *p, const struct key *key)
{
    const struct node *nodes = (const struct node *)(void *)p->nodes->p;
    size_t low = 0, high = set_count(p);

    while (low < high) {
        size_t mid = low + (high - low) / 2;
        int d = compare(key, (unsigned char *)p->names->p + nodes[mid].at, nodes[mid].n);

        if (d == 0)
            return true;
        if (d < 0)
            high = mid;
        else
            low = mid + 1;
    }
    return false;
}

/* Byte for byte, or with the domain in lower case: a merged journal leaves only that form (4.96 then does not deliver). */
static bool set_has(const struct exim_parse *p, struct bytes address)
{
    return set_count(p) > 0 && (set_has_key(p, &(struct key){ address, address.n }) ||
                                set_has_key(p, &(struct key){ address, domain_at(address) }));
}

void exim_parse_journal(struct exim_parse *p)
{
    enum line_end end;
    struct bytes line;

    p->off = 0;
    while ((end = source_line(p->src, &p->off, &line)) == LINE_WHOLE)
        set_add(p, line, true);
    if (p->src->error) {
        ended(p, "");
    } else if (end != LINE_NONE) {
        /* Exim cuts such a name short when it merges it, so it delivers there again. */
        problem(p, p->off - line.n, end == LINE_PIECE ? "a name without end" : "the last name is cut short");
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
        set_add(p, bytes_skip(line, 3), false);
        if (--pending == 0)
            return true;
        if (!next_line(p, &line, "the tree of delivered addresses", LINE_SHORT))
            return false;
    }
}

/* --- recipients --- */

struct recipient {
    struct bytes address, orcpt;
    int64_t parent;             /* index of the one_time parent in the list; negative: none */
};

/* Cut " TEXT LEN,VALUE" off the end, TEXT being LEN bytes long: a block of the Exim 4 form. */
static bool cut_block(struct bytes *line, struct bytes *text, int64_t *value)
{
    struct bytes numbers;
    int64_t len;
    size_t n = line->n;

    while (n > 0 && (is_digit(line->p[n - 1]) || line->p[n - 1] == ',' || line->p[n - 1] == '-'))
        n--;
    numbers = bytes_skip(*line, n);
    if (n == 0 || line->p[n - 1] != ' ' || !bytes_take_number(&numbers, &len) || numbers.n == 0 || numbers.p[0] != ',' ||
        !bytes_number(bytes_skip(numbers, 1), value))
        return false;
    n--;
    /* One blank must be left before the text, and an address before that. */
    if ((uint64_t)len + 2 > n || line->p[n - (size_t)len - 1] != ' ')
        return false;
    *text = bytes_from(line->p + n - len, (size_t)len);
    line->n = n - (size_t)len - 1;
    return true;
}

/* "ADDR ORCPT OLEN,DSN ERRTO ELEN,PNO#3"; #1 (to 4.85) has the last block only. */
static bool split_current(struct bytes line, int64_t bits, struct recipient *out)
{
    struct bytes errors_to;
    int64_t dsn;

    if (bits & 1 && !cut_block(&line, &errors_to, &out->parent))
        return false;
    if (bits & 2 && !cut_block(&line, &out->orcpt, &dsn))
        return false;
    out->address = line;
    return true;
}

/* Exim 3: "ADDR n,PNO,n", where a blank stands before the numbers. */
static void split_exim3(struct bytes line, struct recipient *out)
{
    struct bytes numbers;
    int64_t first, parent;
    size_t n = line.n;

    while (n > 0 && (is_digit(line.p[n - 1]) || line.p[n - 1] == ','))
        n--;
    if (n < 2 || line.p[n - 1] != ' ')
        return;
    numbers = bytes_skip(line, n);
    out->address.n = n - 1;
    if (bytes_take_number(&numbers, &first) && numbers.n > 0 && numbers.p[0] == ',') {
        numbers = bytes_skip(numbers, 1);
        if (bytes_take_number(&numbers, &parent))
            out->parent = parent;
    }
}

/* The end of the line tells the variant. False when its lengths lie. */
static bool split_recipient(struct bytes line, struct recipient *out)
{
    size_t n = line.n;
    int64_t number;

    *out = (struct recipient){ .address = line, .orcpt = { NULL, 0 }, .parent = -1 };
    while (n > 0 && is_digit(line.p[n - 1]))
        n--;
    if (n < 2 || n == line.n || !bytes_number(bytes_skip(line, n), &number))
        return true;
    switch (line.p[n - 1]) {
    case '#':
        return split_current(bytes_from(line.p, n - 1), number, out);
    case ',':
        split_exim3(line, out);
        return true;
    case ' ':       /* early Exim 4 */
        out->address.n = n - 1;
        out->parent = number;
        return true;
    default:
        return true;
    }
}

static int hex(unsigned char c)
{
    c = ascii_lower(c);
    return is_digit(c) ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The address in an ORCPT: without "rfc822;", +HH decoded (RFC 3461). In place, in the record's own copy. */
static struct lq_str decode_orcpt(struct exim_parse *p, struct bytes orcpt)
{
    const struct bytes type = BYTES("rfc822;");
    struct lq_str s;
    char *to;

    if (orcpt.n >= type.n && bytes_ieq(bytes_from(orcpt.p, type.n), type))
        orcpt = bytes_skip(orcpt, type.n);
    s = record_copy(p->rec, orcpt.p, orcpt.n);
    if (!s.p)
        return s;
    to = (char *)s.p;
    for (size_t i = 0; i < s.n; i++) {
        int high = s.p[i] == '+' && i + 2 < s.n ? hex((unsigned char)s.p[i + 1]) : -1;
        int low = high >= 0 ? hex((unsigned char)s.p[i + 2]) : -1;

        *to++ = low >= 0 ? (char)(high << 4 | low) : s.p[i];
        i += low >= 0 ? 2 : 0;
    }
    *to = '\0';
    s.n = (size_t)(to - s.p);
    return s;
}

static bool same(struct lq_str a, struct lq_str b)
{
    return a.n == b.n && memcmp(a.p, b.p, a.n) == 0;
}

/* addresses: a struct lq_str for each recipient so far, because a one_time child names its parent by number. */
static void add_recipient(struct exim_parse *p, const struct recipient *rcpt, struct buf *addresses)
{
    bool done = set_has(p, rcpt->address);
    struct lq_recipient *item = record_add_recipient(p->rec, done ? &p->rec->done : &p->rec->recipients);
    struct lq_str none = { NULL, 0 }, orig = none;

    if (!item) {
        buf_add(addresses, &none, sizeof(none));
        return;
    }
    item->address = record_copy(p->rec, rcpt->address.p, rcpt->address.n);
    if (rcpt->orcpt.n > 0)
        orig = decode_orcpt(p, rcpt->orcpt);
    else if (rcpt->parent >= 0 && (uint64_t)rcpt->parent < addresses->n / sizeof(orig))
        memcpy(&orig, addresses->p + (size_t)rcpt->parent * sizeof(orig), sizeof(orig));
    if (orig.p && item->address.p && !same(orig, item->address))
        item->orig_address = orig;
    buf_add(addresses, &item->address, sizeof(item->address));
}

static void read_recipient(struct exim_parse *p, struct bytes line, struct buf *addresses)
{
    struct recipient rcpt;
    bool nul = memchr(line.p, '\0', line.n);

    if (!split_recipient(line, &rcpt)) {
        lose(p, p->at, "the lengths in a recipient's line are wrong");
        return;
    }
    if (p->want & RECIPIENT_FIELDS)
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
        bool item = is_digit(line.p[0]);

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
    for (; digits < got && digits < HEAD && is_digit(at[digits]); digits++)
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

static int add_header(void *headers, const void *p, size_t n)
{
    buf_add(headers, p, n);
    return 0;
}

static void read_headers(struct exim_parse *p)
{
    p->items_at = p->off;
    for (;;) {
        uint64_t live;
        enum exim_item result;

        p->at = p->off;
        result = exim_header_item(p->src, &p->off, &live, add_header, p->headers);
        p->live += live;
        if (result == EXIM_ITEM_NUL)
            refuse(p, p->at, "NUL in a header field");
        else if (result == EXIM_ITEM_BAD)
            lose(p, p->at, "a header field does not begin with its length");
        else if (result == EXIM_ITEM_SHORT && p->src->error)
            ended(p, "the header");
        else if (result == EXIM_ITEM_SHORT)
            lose(p, p->at, "a header field is longer than the rest of the file");
        else if (result == EXIM_ITEM_END)
            p->whole = true;
        if (result != EXIM_ITEM_GOOD && result != EXIM_ITEM_NUL)
            return;
    }
}

void exim_parse_header(struct exim_parse *p)
{
    struct buf addresses = { 0 };
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
    set_close(p);
    if (read_recipients(p, &addresses))
        read_headers(p);
    buf_done(&addresses);
    if (p->rec->recipients.counted > 0 && p->rec->done.counted > 0)
        record_flag(p->rec, FLAG_PARTIAL);
}

/* --- ids --- */

bool exim_id_time(struct bytes id, int64_t *out)
{
    int64_t t = 0;

    if (id.n < 6)
        return false;
    for (size_t i = 0; i < 6; i++) {
        unsigned char c = id.p[i];

        if (is_digit(c))
            t = t * 62 + (c - '0');
        else if (c >= 'A' && c <= 'Z')
            t = t * 62 + (c - 'A' + 10);
        else if (c >= 'a' && c <= 'z')
            t = t * 62 + (c - 'a' + 36);
        else
            return false;
    }
    *out = t;
    return true;
}
