/*
 * Addresses: quoting of mailboxes (RFC 5321), IP addresses as text (RFC 5952) and as sets of networks.
 * What an address means to a selection is pattern.c's and filter.c's business.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>

#include "addr.h"

/* --- mailboxes --- */

/* atext of RFC 5322, and any byte of a UTF-8 character (RFC 6531). */
static bool is_atext(unsigned char c)
{
    static const char others[] = "!#$%&'*+-/=?^_`{|}~";

    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c >= 0x80 ||
           (c != 0 && strchr(others, c) != NULL);
}

/* Atoms joined by single dots: the only local parts that go without quotes. */
static bool is_dot_string(struct bytes s)
{
    bool after_atom = false;

    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '.' && !after_atom)
            return false;
        if (s.p[i] != '.' && !is_atext(s.p[i]))
            return false;
        after_atom = s.p[i] != '.';
    }
    return after_atom;
}

void addr_quote(struct bytes internal, struct buf *out)
{
    const unsigned char *at;
    struct bytes local = internal;

    if (!internal.p || internal.n == 0)
        return;
    at = memrchr(internal.p, '@', internal.n);
    if (at)
        local.n = (size_t)(at - internal.p);
    if (is_dot_string(local)) {
        buf_add(out, internal.p, internal.n);
        return;
    }
    buf_add_char(out, '"');
    for (size_t i = 0; i < local.n; i++) {
        unsigned char c = local.p[i];

        if (c == '"' || c == '\\' || c < ' ' || c == 0x7f)
            buf_add_char(out, '\\');
        buf_add_char(out, (char)c);
    }
    buf_add_char(out, '"');
    buf_add(out, internal.p + local.n, internal.n - local.n);
}

/* Position of the last @ outside quotes, or a.n; *open says that a quote never closed. */
static size_t find_at(struct bytes a, bool *open)
{
    size_t found = a.n;
    bool quoted = false;

    for (size_t i = 0; i < a.n; i++) {
        if (a.p[i] == '\\')
            i++;
        else if (a.p[i] == '"')
            quoted = !quoted;
        else if (a.p[i] == '@' && !quoted)
            found = i;
    }
    *open = quoted;
    return found;
}

struct bytes addr_domain(struct bytes address)
{
    const unsigned char *last;
    size_t at;
    bool open;

    if (!address.p || address.n == 0)
        return address;
    last = memrchr(address.p, '@', address.n);
    at = last ? (size_t)(last - address.p) : address.n;
    if (last && (memchr(address.p, '"', address.n) || memchr(address.p, '\\', address.n))) {
        size_t outside = find_at(address, &open);

        /* A quote without its end quotes nothing; the address is odd, but its domain plain to see. */
        if (!open)
            at = outside;
    }
    return bytes_skip(address, at < address.n ? at + 1 : at);
}

/* --- IP addresses --- */

static const unsigned char v4_prefix[12] = { [10] = 0xff, [11] = 0xff };

static bool is_v4(const struct ip *ip)
{
    return memcmp(ip->b, v4_prefix, sizeof(v4_prefix)) == 0;
}

static struct bytes strip_brackets(struct bytes t)
{
    if (t.n >= 2 && t.p[0] == '[' && t.p[t.n - 1] == ']')
        return (struct bytes){ t.p + 1, t.n - 2 };
    return t;
}

bool ip_parse(struct bytes text, struct ip *out)
{
    static const struct bytes tag = { (const unsigned char *)"ipv6:", 5 };
    struct bytes t = strip_brackets(text);
    char copy[IP_TEXT_MAX];
    struct ip ip;
    bool tagged = t.n >= tag.n && bytes_ieq((struct bytes){ t.p, tag.n }, tag);

    if (tagged)
        t = bytes_skip(t, tag.n);
    if (t.n == 0 || t.n >= sizeof(copy) || memchr(t.p, 0, t.n))
        return false;
    memcpy(copy, t.p, t.n);
    copy[t.n] = 0;
    if (memchr(copy, ':', t.n)) {
        if (inet_pton(AF_INET6, copy, ip.b) != 1)
            return false;
    } else {
        memcpy(ip.b, v4_prefix, sizeof(v4_prefix));
        if (tagged || inet_pton(AF_INET, copy, ip.b + sizeof(v4_prefix)) != 1)
            return false;
    }
    *out = ip;
    return true;
}

/* The longest run of two or more zero groups, the first of equals (RFC 5952, 4.2); *run is 0 without one. */
static size_t longest_zeros(const unsigned group[8], size_t *run)
{
    size_t best = 0;

    *run = 0;
    for (size_t i = 0; i < 8; i++) {
        size_t n = 0;

        while (i + n < 8 && group[i + n] == 0)
            n++;
        if (n >= 2 && n > *run) {
            best = i;
            *run = n;
        }
        i += n;
    }
    return best;
}

/* A number in the given base, without leading zeros; answers where it ends. */
static char *put_number(char *out, unsigned v, unsigned base)
{
    char digits[12];
    size_t n = 0;

    do {
        digits[n++] = "0123456789abcdef"[v % base];
        v /= base;
    } while (v > 0);
    while (n > 0)
        *out++ = digits[--n];
    return out;
}

static char *put_v4(char *out, const unsigned char b[4])
{
    for (size_t i = 0; i < 4; i++) {
        if (i > 0)
            *out++ = '.';
        out = put_number(out, b[i], 10);
    }
    return out;
}

static char *put_v6(char *out, const unsigned char b[16])
{
    unsigned group[8];
    size_t at, run;

    for (size_t i = 0; i < 8; i++)
        group[i] = (unsigned)b[2 * i] << 8 | b[2 * i + 1];
    at = longest_zeros(group, &run);
    for (size_t i = 0; i < 8; i++) {
        if (run > 0 && i == at) {
            *out++ = ':';
            *out++ = ':';
            i += run - 1;
            continue;
        }
        if (i > 0 && (run == 0 || i != at + run))
            *out++ = ':';
        out = put_number(out, group[i], 16);
    }
    return out;
}

/*
 * Own code instead of inet_ntop(): that writes ::192.0.2.1 for addresses that are no IPv4, differs between C libraries,
 * and goes through printf, for every message of a queue.
 */
size_t ip_format(const struct ip *ip, char out[IP_TEXT_MAX])
{
    char *end = is_v4(ip) ? put_v4(out, ip->b + sizeof(v4_prefix)) : put_v6(out, ip->b);

    *end = 0;
    return (size_t)(end - out);
}

/* Set or clear every bit behind the first `prefix` of 128. */
static void fill_behind(struct ip *ip, unsigned prefix, bool ones)
{
    for (unsigned i = prefix; i < 128; i++) {
        unsigned char bit = (unsigned char)(0x80 >> (i % 8));

        if (ones)
            ip->b[i / 8] |= bit;
        else
            ip->b[i / 8] &= (unsigned char)~bit;
    }
}

size_t ip_network(const struct ip *ip, unsigned prefix4, unsigned prefix6, char out[64])
{
    bool v4 = is_v4(ip);
    unsigned most = v4 ? 32 : 128, prefix = v4 ? prefix4 : prefix6;
    struct ip net = *ip;
    char text[IP_TEXT_MAX];

    if (prefix > most)
        prefix = most;
    fill_behind(&net, prefix + 128 - most, false);
    ip_format(&net, text);
    return (size_t)snprintf(out, 64, "%s/%u", text, prefix);
}

/* --- sets of networks --- */

struct span {       /* both ends belong to it */
    struct ip low, high;
};

struct netset {
    struct span *spans;     /* sorted, not touching each other: has() is a binary search */
    size_t n, cap;
};

static int compare_ips(const struct ip *a, const struct ip *b)
{
    return memcmp(a->b, b->b, sizeof(a->b));
}

static int compare_spans(const void *a, const void *b)
{
    return compare_ips(&((const struct span *)a)->low, &((const struct span *)b)->low);
}

static bool push(struct netset *set, struct ip low, struct ip high)
{
    if (set->n == set->cap) {
        size_t cap = set->cap ? set->cap * 2 : 8;
        struct span *spans = reallocarray(set->spans, cap, sizeof(*spans));

        if (!spans)
            return false;
        set->spans = spans;
        set->cap = cap;
    }
    set->spans[set->n++] = (struct span){ low, high };
    return true;
}

/*
 * An IPv6 network that was not written as IPv4 does not take all of IPv4 along, although v4-mapped addresses lie inside
 * ::/0: the span is cut around them, so that ::/0 means "any IPv6".
 */
static bool push_v6(struct netset *set, struct ip low, struct ip high)
{
    struct ip first = { { 0 } }, last, before = { { 0 } }, behind = { { 0 } };

    memcpy(first.b, v4_prefix, sizeof(v4_prefix));
    last = first;
    fill_behind(&last, 96, true);
    if (compare_ips(&high, &first) < 0 || compare_ips(&low, &last) > 0 || (is_v4(&low) && is_v4(&high)))
        return push(set, low, high);
    before.b[11] = 0xfe;
    before.b[10] = 0xff;
    fill_behind(&before, 96, true);
    behind.b[9] = 1;
    return (compare_ips(&low, &first) >= 0 || push(set, low, before)) &&
           (compare_ips(&high, &last) <= 0 || push(set, behind, high));
}

static bool prefix_length(struct bytes text, unsigned most, unsigned *out)
{
    int64_t v;

    if (text.n > 3 || !bytes_take_number(&text, &v) || text.n > 0 || v > most)
        return false;
    *out = (unsigned)v;
    return true;
}

/* One item of the list: an address, a network or a range. False when it is none of them; *fits is false without memory. */
static bool add_item(struct netset *set, struct bytes item, bool *fits)
{
    size_t slash = bytes_find(item, '/'), dash = bytes_find(item, '-');
    struct bytes first = { item.p, slash < dash ? slash : dash };
    bool v6 = bytes_find(first, ':') < first.n;
    unsigned prefix = v6 ? 128 : 32;
    struct span s;

    if (!ip_parse(first, &s.low))
        return false;
    s.high = s.low;
    if (dash < slash) {
        struct bytes second = bytes_skip(item, dash + 1);

        if (!ip_parse(second, &s.high) || v6 != (bytes_find(second, ':') < second.n) ||
            compare_ips(&s.low, &s.high) > 0)
            return false;
    } else if (slash < item.n && !prefix_length(bytes_skip(item, slash + 1), prefix, &prefix)) {
        return false;
    } else if (v6 && is_v4(&s.low) && prefix < 96) {
        return false;       /* a mapped address with the length of an IPv4 network: neither of both readings is sure */
    }
    if (dash == item.n) {
        fill_behind(&s.low, v6 ? prefix : prefix + 96, false);
        fill_behind(&s.high, v6 ? prefix : prefix + 96, true);
    }
    *fits = v6 ? push_v6(set, s.low, s.high) : push(set, s.low, s.high);
    return true;
}

static int parse_items(struct netset *set, const char *text, struct lq_error *err)
{
    const char *at = text;

    for (;;) {
        size_t n = strcspn(at, ",");
        struct bytes item = bytes_trim(bytes_from(at, n));
        bool fits = true;

        if (item.n == 0)
            return error_set(err, LQ_EINVAL, "an empty item in the list of networks '%s'.", text);
        if (!add_item(set, item, &fits))
            return error_set(err, LQ_EINVAL, "'%.*s' is no address, network or range (such as 203.0.113.9, "
                             "203.0.113.0/24, 2001:db8::/32 or 192.0.2.10-192.0.2.20).",
                             item.n > 200 ? 200 : (int)item.n, (const char *)item.p);
        if (!fits)
            return error_memory(err);
        if (at[n] == 0)
            return LQ_OK;
        at += n + 1;
    }
}

static void sort_and_merge(struct netset *set)
{
    size_t kept = 0;

    qsort(set->spans, set->n, sizeof(*set->spans), compare_spans);
    for (size_t i = 1; i < set->n; i++) {
        struct span *last = &set->spans[kept], *next = &set->spans[i];

        if (compare_ips(&next->low, &last->high) > 0)
            set->spans[++kept] = *next;
        else if (compare_ips(&next->high, &last->high) > 0)
            last->high = next->high;
    }
    set->n = kept + 1;
}

int netset_parse(struct netset **out, const char *text, struct lq_error *err)
{
    struct netset *set = calloc(1, sizeof(*set));
    int rc = set ? parse_items(set, text, err) : error_memory(err);

    if (rc != LQ_OK) {
        netset_free(set);
        return rc;
    }
    sort_and_merge(set);
    *out = set;
    return LQ_OK;
}

bool netset_has(const struct netset *set, const struct ip *ip)
{
    size_t low = 0, high = set->n;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct span *s = &set->spans[middle];

        if (compare_ips(ip, &s->low) < 0)
            high = middle;
        else if (compare_ips(ip, &s->high) > 0)
            low = middle + 1;
        else
            return true;
    }
    return false;
}

void netset_free(struct netset *set)
{
    if (!set)
        return;
    free(set->spans);
    free(set);
}
