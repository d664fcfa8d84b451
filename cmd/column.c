/* One field of a record as text. Knows the types of fields, and no output format but words and blocks. */
#include "column.h"

#include <string.h>

#include "opts.h"

/* --- naming --- */

int column_find(struct column *out, const char *name, size_t n, struct lq_error *err)
{
    char copy[64];
    enum lq_field field;
    int rc;

    if (n == 0)
        return opts_wrong(err, "a field name is empty");
    if (n >= sizeof(copy))
        return opts_wrong(err, "\"%.*s...\" is not a field", 40, name);
    memcpy(copy, name, n);
    copy[n] = '\0';
    rc = lq_field_find(&field, copy, err);
    if (rc < 0)
        return rc;
    out->field = field;
    out->age = strcmp(copy, "age") == 0;
    out->name = out->age ? "age" : lq_field_name(field);
    return LQ_OK;
}

int columns_parse(struct columns *out, const char *list, struct lq_error *err)
{
    struct columns c = { .n = 0 };

    for (;;) {
        size_t n = strcspn(list, ",");
        int rc;

        if (c.n == TABLE_COLUMNS_MAX)
            return opts_wrong(err, "more than %d fields", TABLE_COLUMNS_MAX);
        rc = column_find(&c.list[c.n], list, n, err);
        if (rc < 0)
            return rc;
        c.n++;
        if (!list[n])
            break;
        list += n + 1;
    }
    *out = c;
    return LQ_OK;
}

/* Addresses alone are cheaper than recipients with their reasons. */
static enum lq_field read_as(enum lq_field f)
{
    return f == LQ_RECIPIENTS ? LQ_RECIPIENT : f;
}

uint64_t columns_fields(const struct columns *c)
{
    uint64_t fields = 0;

    for (size_t i = 0; i < c->n; i++)
        fields |= LQ_FIELD_BIT(read_as(c->list[i].field));
    return fields;
}

uint64_t columns_json_fields(const struct columns *c)
{
    uint64_t fields = 0;

    for (size_t i = 0; i < c->n; i++)
        fields |= LQ_FIELD_BIT(c->list[i].field == LQ_RECIPIENT ? LQ_RECIPIENTS : c->list[i].field);
    return fields;
}

/* --- values --- */

static bool is_time(enum lq_field f)
{
    return f == LQ_ARRIVAL_TIME || f == LQ_LAST_ATTEMPT || f == LQ_NEXT_ATTEMPT;
}

/* Element i of any list as bytes; p == NULL past the end. */
static struct lq_str element(const struct lq_record *r, enum lq_field f, size_t i)
{
    size_t n;

    if (lq_field_type(f) == LQ_TYPE_RECIPIENTS) {
        const struct lq_recipient *list = lq_record_recipients(r, f, &n);

        return i < n ? list[i].address : (struct lq_str){ NULL, 0 };
    }
    if (lq_field_type(f) == LQ_TYPE_HOPS) {
        const struct lq_hop *hops = lq_record_hops(r, &n);

        if (i >= n)
            return (struct lq_str){ NULL, 0 };
        return hops[i].by.p ? hops[i].by : (struct lq_str){ "", 0 };
    }
    return lq_record_text_at(r, f, i);
}

/* Elements, also those beyond what a record stores. */
static uint64_t elements(const struct lq_record *r, enum lq_field f)
{
    uint64_t n = 0;

    if (f == LQ_RECIPIENT || lq_field_type(f) == LQ_TYPE_RECIPIENTS)
        return lq_record_recipient_count(r, f == LQ_RECIPIENT ? LQ_RECIPIENTS : f);
    while (element(r, f, n).p)
        n++;
    return n;
}

static bool is_list(enum lq_field f)
{
    enum lq_type type = lq_field_type(f);

    return type == LQ_TYPE_TEXTS || type == LQ_TYPE_RECIPIENTS || type == LQ_TYPE_HOPS;
}

static void show_text(struct text *t, enum lq_field f, struct lq_str s, unsigned style)
{
    if (s.n > 0)
        text_escape(t, s.p, s.n, style & COLUMN_WORD ? ESCAPE_BLANKS : 0);
    else
        text_put(t, f == LQ_SENDER ? "<>" : "\"\"");
}

static void show_list(struct text *t, const struct lq_record *r, enum lq_field f, unsigned style)
{
    uint64_t n = elements(r, f);
    struct lq_str s = element(r, f, 0);

    if (!s.p) {
        text_put(t, "-");
        return;
    }
    show_text(t, f, s, style);
    if (!(style & COLUMN_ALL)) {
        if (n > 1)
            text_format(t, " +%llu", (unsigned long long)(n - 1));
        return;
    }
    for (size_t i = 1; (s = element(r, f, i)).p; i++) {
        text_put(t, f == LQ_PROBLEMS ? "; " : ",");
        show_text(t, f, s, style);
    }
}

static void show_number(struct text *t, const struct column *c, int64_t v, int64_t now)
{
    if (c->age)
        text_age(t, now - v);
    else if (is_time(c->field))
        text_time(t, v);
    else if (lq_field_type(c->field) == LQ_TYPE_BOOL)
        text_put(t, v ? "yes" : "no");
    else
        text_format(t, "%lld", (long long)v);
}

void column_show(struct text *t, const struct lq_record *r, const struct column *c, int64_t now, unsigned style)
{
    enum lq_presence has = lq_record_has(r, read_as(c->field));
    int64_t v;

    if (has != LQ_PRESENT)
        text_put(t, has == LQ_UNREAD ? "?" : "-");
    else if (is_list(c->field))
        show_list(t, r, c->field, style);
    else if (lq_record_number(r, c->field, &v))
        show_number(t, c, v, now);
    else
        show_text(t, c->field, lq_record_text(r, c->field), style);
}

bool column_data(struct text *t, const struct lq_record *r, const struct column *c, int64_t now)
{
    struct lq_str s;
    int64_t v;

    if (lq_record_has(r, read_as(c->field)) != LQ_PRESENT)
        return false;
    if (is_list(c->field)) {
        for (size_t i = 0; (s = element(r, c->field, i)).p; i++) {
            if (i > 0)
                text_put(t, c->field == LQ_PROBLEMS ? "; " : " ");
            text_add(t, s.p, s.n);
        }
    } else if (lq_record_number(r, c->field, &v)) {
        text_format(t, "%lld", (long long)(c->age ? now - v : v));
    } else {
        s = lq_record_text(r, c->field);
        text_add(t, s.p, s.n);
    }
    return true;
}

/* --- blocks --- */

enum { BLOCK_NAME = 16 };

/* The name stands before the first line of a field only. */
static void block_begin(struct text *t, const char **name)
{
    text_format(t, "%-*s ", BLOCK_NAME, *name);
    *name = "";
}

static void block_part(struct text *t, const char *before, struct lq_str s, const char *after)
{
    if (!s.p)
        return;
    text_put(t, before);
    text_escape(t, s.p, s.n, 0);
    text_put(t, after);
}

static void block_recipients(struct text *t, const struct lq_record *r, enum lq_field f)
{
    const char *name = lq_field_name(f);
    size_t n;
    const struct lq_recipient *list = lq_record_recipients(r, f, &n);
    uint64_t all = lq_record_recipient_count(r, f);

    for (size_t i = 0; i < n; i++) {
        block_begin(t, &name);
        block_part(t, "", list[i].address, "");
        block_part(t, " (was ", list[i].orig_address, ")");
        block_part(t, "  ", list[i].dsn_code, "");
        block_part(t, "  ", list[i].delay_reason, "");
        text_char(t, '\n');
    }
    if (all > n) {
        block_begin(t, &name);
        text_put(t, "and ");
        text_count(t, all - n);
        text_put(t, " more\n");
    }
}

static void block_hops(struct text *t, const struct lq_record *r)
{
    const char *name = lq_field_name(LQ_RECEIVED);
    size_t n;
    const struct lq_hop *hops = lq_record_hops(r, &n);

    for (size_t i = 0; i < n; i++) {
        text_format(t, "%-*s", BLOCK_NAME, name);
        name = "";
        block_part(t, " by ", hops[i].by, "");
        block_part(t, " from ", hops[i].from, "");
        block_part(t, " helo ", hops[i].helo, "");
        block_part(t, " [", hops[i].address, "]");
        block_part(t, " with ", hops[i].with, "");
        block_part(t, " id ", hops[i].id, "");
        block_part(t, ", ", hops[i].trust, "");
        if (hops[i].time) {
            text_char(t, ' ');
            text_time(t, hops[i].time);
        }
        text_char(t, '\n');
    }
}

static void block_number(struct text *t, enum lq_field f, int64_t v, int64_t now)
{
    struct column c = { .field = f };

    show_number(t, &c, v, now);
    if (f == LQ_ARRIVAL_TIME || f == LQ_LAST_ATTEMPT) {
        text_put(t, "  (");
        text_age(t, now - v);
        text_put(t, " ago)");
    } else if ((f == LQ_MESSAGE_SIZE || f == LQ_DATA_SIZE) && v >= 1024) {
        text_put(t, "  (");
        text_size(t, v);
        text_put(t, ")");
    }
    text_char(t, '\n');
}

static bool has_word(struct lq_str list, const char *word)
{
    size_t n = strlen(word);

    for (size_t i = 0; i + n <= list.n; i++)
        if (memcmp(list.p + i, word, n) == 0 && (i == 0 || list.p[i - 1] == ',') && (i + n == list.n || list.p[i + n] == ','))
            return true;
    return false;
}

/* What people should know of a value. */
static const char *remark(enum lq_field f, struct lq_str s)
{
    if (f == LQ_ORIGIN_SOURCE && has_word(s, "inside"))
        return "  (inside the trusted networks: a proxy, NAT, relay or workstation of our own)";
    if (f == LQ_ORIGIN_SOURCE && has_word(s, "private"))
        return "  (a private address: a NAT, container or LAN of our own)";
    if (f == LQ_ORIGIN_TRUST && has_word(s, "claimed"))
        return "  (no host that we trust wrote it: whoever sent the message may have invented it)";
    return "";
}

void column_block(struct text *t, const struct lq_record *r, enum lq_field f, int64_t now)
{
    enum lq_presence has = lq_record_has(r, f);
    const char *name = lq_field_name(f);
    struct lq_str s;
    int64_t v;

    if (has == LQ_ABSENT)
        return;
    if (has == LQ_UNREAD) {
        block_begin(t, &name);
        text_put(t, "?\n");
    } else if (lq_field_type(f) == LQ_TYPE_RECIPIENTS) {
        block_recipients(t, r, f);
    } else if (lq_field_type(f) == LQ_TYPE_HOPS) {
        block_hops(t, r);
    } else if (lq_field_type(f) == LQ_TYPE_TEXTS) {
        for (size_t i = 0; (s = lq_record_text_at(r, f, i)).p; i++) {
            block_begin(t, &name);
            block_part(t, "", s, "\n");
        }
    } else if (lq_record_number(r, f, &v)) {
        block_begin(t, &name);
        block_number(t, f, v, now);
    } else {
        block_begin(t, &name);
        s = lq_record_text(r, f);
        if (s.n == 0 && f == LQ_SENDER)
            text_put(t, "<>");
        block_part(t, "", s, remark(f, s));
        text_char(t, '\n');
    }
}
