/* What messages are grouped by. */
#include "key.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "opts.h"

/* Names that are not, or not only, a field of the record. */
static const struct {
    const char *name;
    enum key_kind kind;
    enum lq_field field;
} derived[] = {
    { "user", KEY_USER, LQ_AUTH_USER },
    { "account", KEY_USER, LQ_AUTH_USER },
    { "network", KEY_NETWORK, LQ_CLIENT_ADDRESS },
    { "sender.domain", KEY_SENDER_DOMAIN, LQ_SENDER },
    { "sender_domain", KEY_SENDER_DOMAIN, LQ_SENDER },
    { "recipient", KEY_RECIPIENT, LQ_RECIPIENT },
    { "recipients", KEY_RECIPIENT, LQ_RECIPIENT },
    { "recipient.domain", KEY_RECIPIENT_DOMAIN, LQ_RECIPIENT },
    { "recipient_domain", KEY_RECIPIENT_DOMAIN, LQ_RECIPIENT },
    { "domain", KEY_RECIPIENT_DOMAIN, LQ_RECIPIENT },
    { "age", KEY_AGE, LQ_ARRIVAL_TIME },
    { "hour", KEY_HOUR, LQ_ARRIVAL_TIME },
    { "reason.shape", KEY_REASON_SHAPE, LQ_REASON },
};

static const struct {
    int64_t least;
    const char *label;
} ages[] = {
    { 0, "0-1m" },      { 60, "1-5m" },      { 300, "5-15m" },   { 900, "15-60m" },  { 3600, "1-4h" },
    { 14400, "4-24h" }, { 86400, "1-2d" },   { 172800, "2-5d" }, { 432000, "5d-" },
};

enum { AGES = sizeof(ages) / sizeof(ages[0]) };

/* client/24 and client/64 both give a network of a usual size to addresses of the other kind. */
static int parse_network(struct key *out, const char *number, struct lq_error *err)
{
    char *end;
    unsigned long n = strtoul(number, &end, 10);

    if (number[0] < '0' || number[0] > '9' || *end || n < 1 || n > 128)
        return opts_wrong(err, "\"%s\": a network is client/1 to client/128", out->name);
    out->kind = KEY_NETWORK;
    out->field = LQ_CLIENT_ADDRESS;
    out->prefix4 = n <= 32 ? (unsigned)n : 24;
    out->prefix6 = n <= 32 ? 64 : (unsigned)n;
    return LQ_OK;
}

static int parse_field(struct key *out, struct lq_error *err)
{
    int rc = lq_field_find(&out->field, out->name, err);

    if (rc < 0)
        return rc;
    switch (lq_field_type(out->field)) {
    case LQ_TYPE_TEXT:
        out->kind = KEY_TEXT;
        return LQ_OK;
    case LQ_TYPE_NUMBER:
    case LQ_TYPE_BOOL:
        out->kind = KEY_NUMBER;
        return LQ_OK;
    default:
        return opts_wrong(err, "%s is a list that messages cannot be grouped by", out->name);
    }
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
    if (strncmp(out->name, "client/", 7) == 0)
        return parse_network(out, out->name + 7, err);
    return parse_field(out, err);
}

uint64_t key_fields(const struct key *k)
{
    return LQ_FIELD_BIT(k->field) | (k->kind == KEY_USER ? LQ_FIELD_BIT(LQ_LOCAL_USER) : 0);
}

bool key_per_recipient(const struct key *k)
{
    return k->kind == KEY_RECIPIENT || k->kind == KEY_RECIPIENT_DOMAIN;
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

static void make_number(struct key_value *out, int64_t v)
{
    char *p = out->made + sizeof(out->made);
    uint64_t rest = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;

    do
        *--p = (char)('0' + rest % 10);
    while (rest /= 10);
    if (v < 0)
        *--p = '-';
    out->text = (struct lq_str){ p, (size_t)(out->made + sizeof(out->made) - p) };
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
    make_number(out, k->kind == KEY_AGE ? age_bucket(now - v) : k->kind == KEY_HOUR ? hour_of(v) : v);
}

static bool address_char(char c)
{
    return (unsigned char)c > ' ' && c != 0x7f && !strchr("<>()[]\",;:", c);
}

/*
 * Servers repeat the recipient in their answers, so that each message has a reason of its own: what holds an @ becomes
 * a *, and the rest can be counted. Also a pattern for --reason, as long as it is whole.
 */
static void shape_value(struct lq_str reason, struct key_value *out)
{
    size_t used = 0, i = 0;

    while (i < reason.n && used < sizeof(out->made)) {
        size_t n = 0;

        while (i + n < reason.n && address_char(reason.p[i + n]))
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

void key_value(const struct key *k, const struct lq_record *r, size_t recipient, int64_t now, struct key_value *out)
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
        shape_value(lq_record_text(r, field), out);
        break;
    case KEY_SENDER_DOMAIN:
        domain_value(lq_record_text(r, field), out);
        break;
    case KEY_RECIPIENT:
        out->text = lq_record_text_at(r, LQ_RECIPIENT, recipient);
        break;
    case KEY_RECIPIENT_DOMAIN:
        s = lq_record_text_at(r, LQ_RECIPIENT, recipient);
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
        text_put(t, k->kind == KEY_SENDER_DOMAIN || k->field == LQ_SENDER ? "<>" : "\"\"");
    else
        text_escape(t, value.p, value.n, how);
}
