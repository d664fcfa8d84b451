/* What messages are grouped by. */
#include "key.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "opts.h"
#include "shape.h"

/* Names that are not, or not only, a field of the record. */
static const struct {
    const char *name;
    enum key_kind kind;
    enum lq_field field;
} derived[] = {
    { "user", KEY_USER, LQ_AUTH_USER },
    { "account", KEY_USER, LQ_AUTH_USER },
    { "network", KEY_NETWORK, LQ_CLIENT_ADDRESS },
    { "sender_domain", KEY_DOMAIN, LQ_SENDER },
    { "recipient", KEY_RECIPIENT, LQ_RECIPIENT },
    { "recipients", KEY_RECIPIENT, LQ_RECIPIENT },
    { "rcpt", KEY_RECIPIENT, LQ_RECIPIENT },
    { "recipient.address", KEY_RECIPIENT, LQ_RECIPIENT },
    { "recipients.address", KEY_RECIPIENT, LQ_RECIPIENT },
    { "recipient.domain", KEY_RECIPIENT_DOMAIN, LQ_RECIPIENT },
    { "recipients.domain", KEY_RECIPIENT_DOMAIN, LQ_RECIPIENT },
    { "recipient_domain", KEY_RECIPIENT_DOMAIN, LQ_RECIPIENT },
    { "domain", KEY_RECIPIENT_DOMAIN, LQ_RECIPIENT },
    { "age", KEY_AGE, LQ_ARRIVAL_TIME },
    { "hour", KEY_HOUR, LQ_ARRIVAL_TIME },
    { "reason.shape", KEY_REASON_SHAPE, LQ_REASON },
};

/* Texts of the elements of lists. */
static const struct {
    enum lq_type of;
    const char *name;
    size_t at;
} list_parts[] = {
    { LQ_TYPE_RECIPIENTS, "address", offsetof(struct lq_recipient, address) },
    { LQ_TYPE_RECIPIENTS, "delay_reason", offsetof(struct lq_recipient, delay_reason) },
    { LQ_TYPE_RECIPIENTS, "reason", offsetof(struct lq_recipient, delay_reason) },
    { LQ_TYPE_RECIPIENTS, "dsn_code", offsetof(struct lq_recipient, dsn_code) },
    { LQ_TYPE_RECIPIENTS, "orig_address", offsetof(struct lq_recipient, orig_address) },
    { LQ_TYPE_HOPS, "by", offsetof(struct lq_hop, by) },
    { LQ_TYPE_HOPS, "from", offsetof(struct lq_hop, from) },
    { LQ_TYPE_HOPS, "helo", offsetof(struct lq_hop, helo) },
    { LQ_TYPE_HOPS, "address", offsetof(struct lq_hop, address) },
    { LQ_TYPE_HOPS, "with", offsetof(struct lq_hop, with) },
    { LQ_TYPE_HOPS, "id", offsetof(struct lq_hop, id) },
    { LQ_TYPE_HOPS, "trust", offsetof(struct lq_hop, trust) },
};

enum { LIST_PARTS = sizeof(list_parts) / sizeof(list_parts[0]) };

/* What can stand behind the name of a field, for hints. */
static const struct {
    enum lq_type of;
    const char *words;
} behind[] = {
    { LQ_TYPE_TEXT, "domain shape" },
    { LQ_TYPE_RECIPIENTS, "address domain delay_reason dsn_code orig_address" },
    { LQ_TYPE_HOPS, "by from helo address with id trust" },
};

static const struct {
    int64_t least;
    const char *label;
} ages[] = {
    { 0, "0-1m" },      { 60, "1-5m" },      { 300, "5-15m" },   { 900, "15-60m" },  { 3600, "1-4h" },
    { 14400, "4-24h" }, { 86400, "1-2d" },   { 172800, "2-5d" }, { 432000, "5d-" },
};

enum { AGES = sizeof(ages) / sizeof(ages[0]) };

static bool ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), k = strlen(end);

    return n > k && strcmp(s + n - k, end) == 0;
}

/* The field before the last n bytes of the key's name, which must have this type. */
static int parse_base(struct key *out, size_t n, enum lq_type type, const char *what, struct lq_error *err)
{
    char base[sizeof(out->name)];
    int rc;

    memcpy(base, out->name, n);
    base[n] = '\0';
    rc = lq_field_find(&out->field, base, err);
    if (rc == LQ_OK && lq_field_type(out->field) != type)
        return opts_wrong(err, "%s: %s has no %s", out->name, base, what);
    return rc;
}

/* client/24 and client/64 both give a network of a usual size to addresses of the other kind. */
static int parse_network(struct key *out, const char *number, struct lq_error *err)
{
    char *end;
    unsigned long n = strtoul(number, &end, 10);
    int rc = parse_base(out, (size_t)(number - out->name) - 1, LQ_TYPE_TEXT, "network", err);

    if (rc < 0)
        return rc;
    if (!ends_with(lq_field_name(out->field), "_address"))
        return opts_wrong(err, "%s: %s holds no address", out->name, lq_field_name(out->field));
    if (number[0] < '0' || number[0] > '9' || *end || n < 1 || n > 128)
        return opts_wrong(err, "\"%s\": a network is client/1 to client/128", out->name);
    out->kind = KEY_NETWORK;
    out->prefix4 = n <= 32 ? (unsigned)n : 24;
    out->prefix6 = n <= 32 ? 64 : (unsigned)n;
    return LQ_OK;
}

/* size~2%: near sizes. At most PERCENT from the smallest to the largest of a group. */
static int parse_near(struct key *out, const char *percent, struct lq_error *err)
{
    char *end;
    unsigned long n = strtoul(percent, &end, 10);
    int rc = parse_base(out, (size_t)(percent - out->name) - 1, LQ_TYPE_NUMBER, "near numbers", err);

    if (rc < 0)
        return rc;
    end += *end == '%';
    if (percent[0] < '0' || percent[0] > '9' || *end || n < 1 || n > 100)
        return opts_wrong(err, "\"%s\": near is size~1%% to size~100%%", out->name);
    out->kind = KEY_NEAR;
    out->parts = (unsigned)((100 + n - 1) / n);
    return LQ_OK;
}

/* The list or text before the dot; "recipient" is one value, but its parts are those of the recipients. */
static bool field_before(enum lq_field *out, const char *name, const char *dot)
{
    char head[sizeof(((struct key *)0)->name)];
    struct lq_error err;

    memcpy(head, name, (size_t)(dot - name));
    head[dot - name] = '\0';
    if (lq_field_find(out, head, &err) != LQ_OK)
        return false;
    if (*out == LQ_RECIPIENT)
        *out = LQ_RECIPIENTS;
    return true;
}

/* "recipients.dsn_code", "received.from". */
static bool parse_part(struct key *out)
{
    const char *dot = strrchr(out->name, '.');
    enum lq_field f = LQ_RECEIVED;

    if (!dot || !field_before(&f, out->name, dot))
        return false;
    for (size_t i = 0; i < LIST_PARTS; i++) {
        if (list_parts[i].of != lq_field_type(f) || strcmp(list_parts[i].name, dot + 1) != 0)
            continue;
        out->kind = f == LQ_RECEIVED ? KEY_HOP_PART : KEY_RECIPIENT_PART;
        out->field = f;
        out->at = list_parts[i].at;
        return true;
    }
    return false;
}

/* err says already that there is no such field; where one stands before a dot, what may stand behind it is the better hint. */
static int unknown_key(const struct key *k, struct lq_error *err)
{
    const char *dot = strrchr(k->name, '.'), *words = "", *near;
    enum lq_field f = LQ_RECEIVED;
    size_t n;

    if (!dot || !field_before(&f, k->name, dot))
        return LQ_EINVAL;
    for (size_t i = 0; i < sizeof(behind) / sizeof(behind[0]); i++)
        if (behind[i].of == lq_field_type(f))
            words = f == LQ_REASON ? "class shape" : behind[i].words;
    near = opts_near(dot + 1, strlen(dot + 1), words, &n);
    if (near)
        return opts_wrong(err, "unknown field '%s'; did you mean '%.*s.%.*s'?", k->name, (int)(dot - k->name), k->name, (int)n, near);
    if (words[0])
        return opts_wrong(err, "unknown field '%s'; behind '%.*s.' there can be: %s", k->name, (int)(dot - k->name), k->name, words);
    return LQ_EINVAL;
}

static int parse_field(struct key *out, struct lq_error *err)
{
    int rc = lq_field_find(&out->field, out->name, err);

    if (rc < 0 && parse_part(out))
        return LQ_OK;
    if (rc < 0)
        return unknown_key(out, err);
    switch (lq_field_type(out->field)) {
    case LQ_TYPE_TEXT:
        out->kind = KEY_TEXT;
        return LQ_OK;
    case LQ_TYPE_NUMBER:
    case LQ_TYPE_BOOL:
        out->kind = KEY_NUMBER;
        return LQ_OK;
    case LQ_TYPE_TEXTS:
        out->kind = KEY_LIST;
        return LQ_OK;
    default:
        return opts_wrong(err, "%s is a list of several things; name one of them, like %s", out->name,
                          out->field == LQ_RECEIVED ? "received.from" : "recipients_done.address");
    }
}

/* What stands behind a field's name: "sender.domain", "subject.shape". */
static const struct {
    const char *end;
    enum key_kind kind;
} suffixes[] = {
    { ".domain", KEY_DOMAIN },
    { ".shape", KEY_SHAPE },
};

static int parse_name(struct key *out, struct lq_error *err)
{
    const char *at = strpbrk(out->name, "/~");

    if (at)
        return *at == '/' ? parse_network(out, at + 1, err) : parse_near(out, at + 1, err);
    for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
        if (!ends_with(out->name, suffixes[i].end))
            continue;
        out->kind = suffixes[i].kind;
        return parse_base(out, strlen(out->name) - strlen(suffixes[i].end), LQ_TYPE_TEXT, suffixes[i].end + 1, err);
    }
    return parse_field(out, err);
}

int key_parse(struct key *out, const char *name, size_t n, struct lq_error *err)
{
    *out = (struct key){ .prefix4 = 24, .prefix6 = 64 };
    if (n == 0)
        return opts_wrong(err, "a key is empty");
    if (n >= sizeof(out->name))
        return opts_wrong(err, "\"%.*s...\" is not a field", 30, name);
    memcpy(out->name, name, n);
    for (size_t i = 0; i < sizeof(derived) / sizeof(derived[0]); i++) {
        if (strcmp(out->name, derived[i].name) == 0) {
            out->kind = derived[i].kind;
            out->field = derived[i].field;
            return LQ_OK;
        }
    }
    return parse_name(out, err);
}

uint64_t key_fields(const struct key *k)
{
    return LQ_FIELD_BIT(k->field) | (k->kind == KEY_USER ? LQ_FIELD_BIT(LQ_LOCAL_USER) : 0);
}

int key_list(const struct key *k)
{
    switch (k->kind) {
    case KEY_RECIPIENT:
    case KEY_RECIPIENT_DOMAIN:
        return LQ_RECIPIENTS;
    case KEY_RECIPIENT_PART:
    case KEY_HOP_PART:
    case KEY_LIST:
        return (int)k->field;
    default:
        return -1;
    }
}

size_t key_values(const struct key *k, const struct lq_record *r)
{
    size_t n = 1;

    if (k->kind == KEY_RECIPIENT || k->kind == KEY_RECIPIENT_DOMAIN) {
        lq_record_recipients(r, LQ_RECIPIENTS, &n);
    } else if (k->kind == KEY_RECIPIENT_PART) {
        lq_record_recipients(r, k->field, &n);
    } else if (k->kind == KEY_HOP_PART) {
        lq_record_hops(r, &n);
    } else if (k->kind == KEY_LIST) {
        for (n = 0; lq_record_text_at(r, k->field, n).p;)
            n++;
    }
    return n ? n : 1;       /* none: a group of its own */
}

bool key_is_number(const struct key *k)
{
    return k->kind == KEY_NUMBER || k->kind == KEY_AGE || k->kind == KEY_HOUR;
}

bool key_has_order(const struct key *k)
{
    return k->kind == KEY_AGE || k->kind == KEY_HOUR;
}

bool key_needs_now(const struct key *k)
{
    return k->kind == KEY_AGE;
}

bool key_folds(const struct key *k)
{
    return !key_is_number(k);
}

/* --- values --- */

static char *put_number(char *end, int64_t v)
{
    uint64_t rest = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;

    do
        *--end = (char)('0' + rest % 10);
    while (rest /= 10);
    if (v < 0)
        *--end = '-';
    return end;
}

static void make_number(struct key_value *out, int64_t v)
{
    char *end = out->made + sizeof(out->made), *p = put_number(end, v);

    out->text = (struct lq_str){ p, (size_t)(end - p) };
}

/*
 * From one power of two to the next there are so many equal parts that none is wider than the percentage of its smallest
 * number; a number below that is alone. Groups do not depend on what else is in the queue.
 */
void key_near(unsigned parts, int64_t v, int64_t *low, int64_t *high)
{
    unsigned e = 63 - (unsigned)__builtin_clzll((uint64_t)v | 1);
    uint64_t power = UINT64_C(1) << e, part;

    if (power <= parts || e > 53) {
        *low = *high = v;
        return;
    }
    part = ((uint64_t)v - power) * parts / power;
    *low = (int64_t)(power + (part * power + parts - 1) / parts);
    *high = (int64_t)(power + ((part + 1) * power + parts - 1) / parts) - 1;
}

/* "2048..2088", as -s takes it. */
static void make_near(unsigned parts, int64_t v, struct key_value *out)
{
    char *end = out->made + sizeof(out->made), *p;
    int64_t low, high;

    key_near(parts, v < 0 ? 0 : v, &low, &high);
    p = put_number(end, high);
    if (low != high) {
        *--p = '.';
        *--p = '.';
        p = put_number(p, low);
    }
    out->text = (struct lq_str){ p, (size_t)(end - p) };
}

static int64_t age_bucket(int64_t age)
{
    size_t i = AGES - 1;

    while (i > 0 && age < ages[i].least)
        i--;
    return ages[i].least;
}

/* Local hours: a zone may be half an hour off. Messages come in bursts, so the last answer often serves again. */
static int64_t hour_of(int64_t t)
{
    static int64_t begin = INT64_MIN, end = INT64_MIN;
    time_t when = (time_t)t;
    struct tm tm;

    if (t >= begin && t < end)
        return begin;
    if (!localtime_r(&when, &tm))
        return t;
    begin = t - tm.tm_min * 60 - tm.tm_sec;
    end = begin + 3600;
    return begin;
}

static void number_value(const struct key *k, const struct lq_record *r, int64_t now, struct key_value *out)
{
    int64_t v;

    if (!lq_record_number(r, k->field, &v))
        return;
    if (k->kind == KEY_NEAR)
        make_near(k->parts, v, out);
    else
        make_number(out, k->kind == KEY_AGE ? age_bucket(now - v) : k->kind == KEY_HOUR ? hour_of(v) : v);
}

/*
 * Servers repeat the recipient in their answers, so that each message has a reason of its own: what holds an @ becomes
 * a *, and the rest can be counted. Also a pattern for --reason, as long as it is whole.
 */
static void reason_value(struct lq_str reason, struct key_value *out)
{
    size_t used = 0, i = 0;

    while (i < reason.n && used < sizeof(out->made)) {
        size_t n = 0;

        while (i + n < reason.n && shape_address_char(reason.p[i + n]))
            n++;
        if (n > 0 && memchr(reason.p + i, '@', n)) {
            out->made[used++] = '*';
        } else {
            n = n ? n : 1;
            for (size_t k = 0; k < n && used < sizeof(out->made); k++)
                out->made[used++] = reason.p[i + k];
        }
        i += n;
    }
    out->text = (struct lq_str){ out->made, used };
}

/* The null sender has the empty domain; an address without a domain has none. */
static void domain_value(struct lq_str address, struct key_value *out)
{
    struct lq_str domain = address.n ? lq_address_domain(address) : address;

    if (address.n > 0 && domain.n == 0)
        out->has = LQ_ABSENT;
    else
        out->text = domain;
}

/* The part of element `which`; p == NULL where there is none. */
static struct lq_str part_value(const struct key *k, const struct lq_record *r, size_t which)
{
    size_t n;
    const void *list = k->kind == KEY_HOP_PART ? (const void *)lq_record_hops(r, &n)
                                               : (const void *)lq_record_recipients(r, k->field, &n);
    size_t step = k->kind == KEY_HOP_PART ? sizeof(struct lq_hop) : sizeof(struct lq_recipient);

    return which < n ? *(const struct lq_str *)((const char *)list + which * step + k->at) : (struct lq_str){ NULL, 0 };
}

void key_value(const struct key *k, const struct lq_record *r, size_t which, int64_t now, struct key_value *out)
{
    enum lq_field field = k->field;
    struct lq_str s;

    out->text = (struct lq_str){ NULL, 0 };
    out->has = lq_record_has(r, field);
    if (k->kind == KEY_USER && out->has != LQ_PRESENT && lq_record_has(r, LQ_LOCAL_USER) == LQ_PRESENT) {
        field = LQ_LOCAL_USER;
        out->has = LQ_PRESENT;
    }
    if (out->has != LQ_PRESENT)
        return;
    switch (k->kind) {
    case KEY_TEXT:
    case KEY_USER:
        out->text = lq_record_text(r, field);
        break;
    case KEY_NUMBER:
    case KEY_AGE:
    case KEY_HOUR:
    case KEY_NEAR:
        number_value(k, r, now, out);
        break;
    case KEY_NETWORK:
        s = lq_record_text(r, field);
        if (lq_address_network(s, k->prefix4, k->prefix6, out->made))
            out->text = (struct lq_str){ out->made, strlen(out->made) };
        else
            out->text = s;
        break;
    case KEY_REASON_SHAPE:
        reason_value(lq_record_text(r, field), out);
        break;
    case KEY_SHAPE:
        out->text = (struct lq_str){ out->made, shape_of(lq_record_text(r, field), out->made, sizeof(out->made)) };
        break;
    case KEY_DOMAIN:
        domain_value(lq_record_text(r, field), out);
        break;
    case KEY_LIST:
    case KEY_RECIPIENT:
        out->text = lq_record_text_at(r, field, which);
        break;
    case KEY_RECIPIENT_PART:
    case KEY_HOP_PART:
        out->text = part_value(k, r, which);
        break;
    case KEY_RECIPIENT_DOMAIN:
        s = lq_record_text_at(r, LQ_RECIPIENT, which);
        if (s.p)
            domain_value(s, out);
        break;
    }
    if (!out->text.p && out->has == LQ_PRESENT)
        out->has = LQ_ABSENT;
}

/* --- showing --- */

const char *key_age_label(int64_t least)
{
    for (size_t i = 0; i < AGES; i++)
        if (ages[i].least == least)
            return ages[i].label;
    return "?";
}

static int64_t to_number(struct lq_str s)
{
    char digits[24] = "";

    memcpy(digits, s.p, s.n < sizeof(digits) - 1 ? s.n : sizeof(digits) - 1);
    return strtoll(digits, NULL, 10);
}

void key_show(struct text *t, const struct key *k, struct lq_str value, unsigned how)
{
    if (k->kind == KEY_AGE)
        text_put(t, key_age_label(to_number(value)));
    else if (k->kind == KEY_HOUR || (k->kind == KEY_NUMBER && k->field == LQ_ARRIVAL_TIME))
        text_time(t, to_number(value));
    else if (value.n == 0)
        text_put(t, k->field == LQ_SENDER ? "<>" : "\"\"");
    else
        text_escape(t, value.p, value.n, how);
}
