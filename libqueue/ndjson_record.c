/*
 * One line of JSON as a record. The text comes in the parser's events, at whatever depth a stranger likes; only what the table of fields
 * names is kept, what later versions may add is passed over, and anything else refuses the line.
 *
 * The parser is yajl. Of what Debian has for C, read line by line on records of a flooded queue: jq 29 MB/s, jansson 48, json-c 97, cJSON 205
 * (and its texts end at a NUL), yajl 440. simdjson does 2,500, but is C++ and has no archive for static linking; making records takes longer by then.
 */
#include "ndjson.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yajl/yajl_parse.h>

#include "header.h"
#include "json.h"

enum {
    ARENA_MAX = 2 * NDJSON_LINE_MAX,
    DEPTH_MAX = 100,            /* of values that are passed over */
    MEMBERS_MAX = 8,
    SHOWN_MAX = 3 * RECORD_TEXT_MAX     /* each byte of a text as U+FFFD */
};

/* Where the parser is. */
enum level { LEVEL_LINE, LEVEL_RECORD, LEVEL_LIST, LEVEL_ELEMENT };

/* What the last key of a record names. */
enum key { KEY_OTHER, KEY_SCHEMA, KEY_PARTIAL, KEY_UNREAD, KEY_FIELD, KEY_STORED };

/* What the last key of a recipient or a hop names. */
enum member_key { MEMBER_OTHER, MEMBER_TEXT, MEMBER_STORED, MEMBER_TIME };

struct parse {
    struct lq_record *r;
    struct ndjson_why *why;
    bool refused;               /* why says it */
    bool schema;
    enum level level;
    unsigned passing;           /* depth inside a value that is passed over */
    enum key key;
    enum lq_field field;        /* of KEY_FIELD and KEY_STORED; else where the search for the next key begins */
    unsigned keys;              /* 1 << enum key that were seen once */
    uint64_t fields, stored;    /* LQ_FIELD_BIT of keys that were seen */
    struct lq_str bytes[LQ_FIELD_COUNT];        /* of NAME_b64, where `stored` says so */
    struct str_list bytes_of[2];                /* of problems_b64 and files_b64 */

    void *item;                 /* the recipient or hop of LEVEL_ELEMENT */
    const struct text_member *members;
    enum member_key member_key;
    size_t member;
    unsigned item_texts, item_stored;           /* 1 << member */
    bool item_time;
    struct lq_str item_bytes[MEMBERS_MAX];
};

static const uint64_t headers = LQ_FIELD_BIT(LQ_SUBJECT) | LQ_FIELD_BIT(LQ_FROM) | LQ_FIELD_BIT(LQ_TO) |
                                LQ_FIELD_BIT(LQ_MESSAGE_ID) | LQ_FIELD_BIT(LQ_DATE);

/* Every record that was not made of some fields only has these, however damaged its message. */
static const uint64_t always = LQ_FIELD_BIT(LQ_MTA) | LQ_FIELD_BIT(LQ_SPOOL) | LQ_FIELD_BIT(LQ_QUEUE_NAME) |
                               LQ_FIELD_BIT(LQ_QUEUE_ID) | LQ_FIELD_BIT(LQ_FLAGS) | LQ_FIELD_BIT(LQ_PROBLEMS) | LQ_FIELD_BIT(LQ_FILES);

/* Sentences quote what a stranger wrote. */
static void make_plain(char *text)
{
    for (; *text; text++)
        if (*text < ' ' || *text > '~')
            *text = '?';
}

/* Answers 0, for the parser: stop. */
static int refuse(struct parse *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static int refuse(struct parse *p, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(p->why->text, sizeof(p->why->text), fmt, ap);
    va_end(ap);
    make_plain(p->why->text);
    p->refused = true;
    return 0;
}

static const char *field_name(const struct parse *p)
{
    return field_table[p->field].name;
}

static bool is_list(enum lq_field f)
{
    enum lq_type type = field_table[f].type;

    return type == LQ_TYPE_TEXTS || type == LQ_TYPE_RECIPIENTS || type == LQ_TYPE_HOPS;
}

static int wrong_type(struct parse *p)
{
    static const char *const wanted[] = {
        [LQ_TYPE_TEXT] = "a text", [LQ_TYPE_NUMBER] = "a whole number", [LQ_TYPE_BOOL] = "true or false",
        [LQ_TYPE_TEXTS] = "a list of texts", [LQ_TYPE_RECIPIENTS] = "a list of objects", [LQ_TYPE_HOPS] = "a list of objects",
    };

    if (p->level == LEVEL_LINE)
        return refuse(p, "not a JSON object");
    if (p->level == LEVEL_ELEMENT && p->member_key == MEMBER_TIME)
        return refuse(p, "time of %s is not a whole number", field_name(p));
    if (p->level == LEVEL_ELEMENT)
        return refuse(p, "%s of %s is not a text", p->members[p->member].name, field_name(p));
    if (p->key == KEY_SCHEMA)
        return refuse(p, "schema is not a text");
    if (p->key == KEY_PARTIAL)
        return refuse(p, "partial is not true or false");
    if (p->key == KEY_UNREAD)
        return refuse(p, "unread is not a list of texts");
    return refuse(p, "%s%s is not %s", field_name(p), p->key == KEY_STORED ? "_b64" : "", wanted[field_table[p->field].type]);
}

static struct lq_str keep(struct parse *p, const void *text, size_t n)
{
    struct lq_str s = record_keep(p->r, text, n);

    if (!s.p)
        refuse(p, "a larger record than any message makes");
    return s;
}

static struct lq_str keep_base64(struct parse *p, const unsigned char *text, size_t n)
{
    unsigned char *to = arena_alloc(&p->r->arena, n / 4 * 3 + 1);
    size_t got;

    if (!to)
        refuse(p, "a larger record than any message makes");
    else if (!json_base64((const char *)text, n, to, &got))
        refuse(p, "what ends in _b64 of %s is not base64", field_name(p));
    if (p->refused)
        return (struct lq_str){ NULL, 0 };
    to[got] = '\0';
    return (struct lq_str){ (const char *)to, got };
}

/* --- keys --- */

/* Keys come in the order of the table, as a rule: the search goes on where the last one ended. */
static bool find_field(enum lq_field *at, const char *name, size_t n)
{
    for (unsigned i = 1; i <= LQ_RECIPIENT; i++) {
        enum lq_field f = (enum lq_field)((*at + i) % LQ_RECIPIENT);

        if (strncmp(field_table[f].name, name, n) == 0 && field_table[f].name[n] == '\0') {
            *at = f;
            return true;
        }
    }
    return false;
}

static bool ends_b64(const char *name, size_t *n)
{
    if (*n <= 4 || memcmp(name + *n - 4, "_b64", 4) != 0)
        return false;
    *n -= 4;
    return true;
}

static int once(struct parse *p, bool before, const char *name, size_t n)
{
    return before ? refuse(p, "key \"%.*s\" stands twice", n < 60 ? (int)n : 60, name) : 1;
}

static int record_key(struct parse *p, const char *name, size_t n)
{
    static const struct { enum key key; const char *name; } own[] = {
        { KEY_SCHEMA, "schema" }, { KEY_PARTIAL, "partial" }, { KEY_UNREAD, "unread" },
    };
    size_t plain = n;
    bool before;

    if (memchr(name, '\0', n))
        return refuse(p, "a key holds a NUL");
    for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++) {
        if (strlen(own[i].name) != n || memcmp(own[i].name, name, n) != 0)
            continue;
        p->key = own[i].key;
        before = p->keys >> p->key & 1;
        p->keys |= 1u << p->key;
        return once(p, before, name, n);
    }
    p->key = KEY_OTHER;
    if (find_field(&p->field, name, n)) {
        p->key = KEY_FIELD;
        before = p->fields >> p->field & 1;
        p->fields |= LQ_FIELD_BIT(p->field);
        return once(p, before, name, n);
    }
    if (ends_b64(name, &plain) && find_field(&p->field, name, plain)) {
        p->key = KEY_STORED;
        before = p->stored >> p->field & 1;
        p->stored |= LQ_FIELD_BIT(p->field);
        return once(p, before, name, n);
    }
    return 1;
}

static bool find_member(struct parse *p, const char *name, size_t n)
{
    for (p->member = 0; p->members[p->member].name; p->member++)
        if (strlen(p->members[p->member].name) == n && memcmp(p->members[p->member].name, name, n) == 0)
            return true;
    return false;
}

static int element_key(struct parse *p, const char *name, size_t n)
{
    size_t plain = n;
    bool before;

    p->member_key = MEMBER_OTHER;
    if (find_member(p, name, n)) {
        p->member_key = MEMBER_TEXT;
        before = p->item_texts >> p->member & 1;
        p->item_texts |= 1u << p->member;
        return once(p, before, name, n);
    }
    if (ends_b64(name, &plain) && find_member(p, name, plain)) {
        p->member_key = MEMBER_STORED;
        before = p->item_stored >> p->member & 1;
        p->item_stored |= 1u << p->member;
        return once(p, before, name, n);
    }
    if (field_table[p->field].type == LQ_TYPE_HOPS && n == 4 && memcmp(name, "time", 4) == 0) {
        p->member_key = MEMBER_TIME;
        before = p->item_time;
        p->item_time = true;
        return once(p, before, name, n);
    }
    return 1;
}

static int on_key(void *ctx, const unsigned char *name, size_t n)
{
    struct parse *p = ctx;

    if (p->passing)
        return 1;
    return p->level == LEVEL_ELEMENT ? element_key(p, (const char *)name, n) : record_key(p, (const char *)name, n);
}

/* --- texts --- */

static int list_add(struct parse *p, struct str_list *list, struct lq_str s)
{
    struct lq_str *items;

    if (p->refused)
        return 0;
    items = arena_grow(&p->r->arena, list->items, list->n, &list->cap, sizeof(*items));
    if (!items)
        return refuse(p, "a larger record than any message makes");
    list->items = items;
    list->items[list->n++] = s;
    return 1;
}

/* A word of a later version is nothing that this one could ask for. */
static int set_flag(struct parse *p, const char *text, size_t n)
{
    for (unsigned f = 0; f < FLAG_COUNT; f++)
        if (strlen(flag_names[f]) == n && memcmp(flag_names[f], text, n) == 0)
            record_flag(p->r, (enum flag)f);
    return 1;
}

static int set_state(struct parse *p, const char *text, size_t n)
{
    for (unsigned s = STATE_NONE + 1; s < STATE_COUNT; s++)
        if (strlen(state_names[s]) == n && memcmp(state_names[s], text, n) == 0) {
            record_set_state(p->r, (enum state)s);
            return 1;
        }
    return refuse(p, "\"%.*s\" is not a state", n < 40 ? (int)n : 40, text);
}

static int list_text(struct parse *p, const char *text, size_t n)
{
    size_t which = p->field == LQ_FILES;

    if (p->key == KEY_UNREAD) {
        enum lq_field f = LQ_HOST;

        if (find_field(&f, text, n))
            p->r->foreign.unread |= LQ_FIELD_BIT(f);
        return 1;
    }
    if (field_table[p->field].type != LQ_TYPE_TEXTS)
        return wrong_type(p);
    if (p->key == KEY_STORED)
        return p->field == LQ_FLAGS ? 1 : list_add(p, &p->bytes_of[which], keep_base64(p, (const unsigned char *)text, n));
    if (p->field == LQ_FLAGS)
        return set_flag(p, text, n);
    return list_add(p, which ? &p->r->files : &p->r->problems, keep(p, text, n));
}

static int record_text(struct parse *p, const unsigned char *text, size_t n)
{
    static const char schema[] = "mqtools.record/1";

    switch (p->key) {
    case KEY_OTHER:
        return 1;
    case KEY_SCHEMA:
        p->schema = n == strlen(schema) && memcmp(text, schema, n) == 0;
        return p->schema ? 1 : refuse(p, "schema is not %s", schema);
    case KEY_STORED:
        if (field_table[p->field].type != LQ_TYPE_TEXT)
            return wrong_type(p);
        p->bytes[p->field] = keep_base64(p, text, n);
        return !p->refused;
    case KEY_FIELD:
        if (field_table[p->field].type != LQ_TYPE_TEXT)
            return wrong_type(p);
        p->r->foreign.given |= LQ_FIELD_BIT(p->field);
        if (p->field == LQ_STATE)
            return set_state(p, (const char *)text, n);
        p->r->value[p->field].text = keep(p, text, n);
        p->r->set |= LQ_FIELD_BIT(p->field);
        return !p->refused;
    default:
        return wrong_type(p);
    }
}

static struct lq_str *member_at(const struct parse *p, size_t i)
{
    return (struct lq_str *)(void *)((char *)p->item + p->members[i].at);
}

static int element_text(struct parse *p, const unsigned char *text, size_t n)
{
    switch (p->member_key) {
    case MEMBER_TEXT:
        *member_at(p, p->member) = keep(p, text, n);
        return !p->refused;
    case MEMBER_STORED:
        p->item_bytes[p->member] = keep_base64(p, text, n);
        return !p->refused;
    case MEMBER_TIME:
        return wrong_type(p);
    default:
        return 1;
    }
}

static int on_string(void *ctx, const unsigned char *text, size_t n)
{
    struct parse *p = ctx;

    if (p->passing)
        return 1;
    if (n > SHOWN_MAX / 3 * 4)
        return refuse(p, "a text is longer than %d bytes", (int)RECORD_TEXT_MAX);
    switch (p->level) {
    case LEVEL_RECORD:
        return record_text(p, text, n);
    case LEVEL_LIST:
        return list_text(p, (const char *)text, n);
    case LEVEL_ELEMENT:
        return element_text(p, text, n);
    default:
        return wrong_type(p);
    }
}

/* --- what is no text --- */

static int on_number(void *ctx, const char *text, size_t n)
{
    struct parse *p = ctx;
    int64_t v;

    if (p->passing || (p->level == LEVEL_RECORD && p->key == KEY_OTHER) ||
        (p->level == LEVEL_ELEMENT && p->member_key == MEMBER_OTHER))
        return 1;
    if (!bytes_number(bytes_from(text, n), &v) || v > RECORD_NUMBER_MAX || v < -RECORD_NUMBER_MAX)
        return wrong_type(p);
    if (p->level == LEVEL_ELEMENT && p->member_key == MEMBER_TIME) {
        ((struct lq_hop *)p->item)->time = v;
        return 1;
    }
    if (p->level != LEVEL_RECORD || p->key != KEY_FIELD || field_table[p->field].type != LQ_TYPE_NUMBER)
        return wrong_type(p);
    p->r->foreign.given |= LQ_FIELD_BIT(p->field);
    record_set_number(p->r, p->field, v);
    return 1;
}

static int on_boolean(void *ctx, int v)
{
    struct parse *p = ctx;

    if (p->passing || (p->level == LEVEL_RECORD && p->key == KEY_OTHER) ||
        (p->level == LEVEL_ELEMENT && p->member_key == MEMBER_OTHER))
        return 1;
    if (p->level == LEVEL_RECORD && p->key == KEY_PARTIAL) {
        p->r->foreign.partial = v;
        return 1;
    }
    if (p->level != LEVEL_RECORD || p->key != KEY_FIELD || field_table[p->field].type != LQ_TYPE_BOOL)
        return wrong_type(p);
    p->r->foreign.given |= LQ_FIELD_BIT(p->field);
    record_set_number(p->r, p->field, v);
    return 1;
}

/* As databases write what is not there. */
static int on_null(void *ctx)
{
    struct parse *p = ctx;

    if (p->passing)
        return 1;
    if (p->level == LEVEL_ELEMENT) {
        if (p->member_key == MEMBER_STORED)
            p->item_stored &= ~(1u << p->member);
        return 1;
    }
    if (p->level != LEVEL_RECORD)
        return wrong_type(p);
    if (p->key == KEY_STORED)
        p->stored &= ~LQ_FIELD_BIT(p->field);
    return 1;
}

/* --- lists and objects --- */

static int deeper(struct parse *p)
{
    return ++p->passing <= DEPTH_MAX ? 1 : refuse(p, "nested deeper than %d", DEPTH_MAX);
}

static int new_element(struct parse *p)
{
    bool hop = field_table[p->field].type == LQ_TYPE_HOPS;

    if (p->key != KEY_FIELD || field_table[p->field].type == LQ_TYPE_TEXTS)
        return wrong_type(p);
    if (hop)
        p->item = record_add_hop(p->r);
    else
        p->item = record_add_recipient(p->r, p->field == LQ_RECIPIENTS ? &p->r->recipients : &p->r->done);
    if (!p->item)
        return refuse(p, "more %s than any record has", hop ? "hops" : "recipients");
    p->members = hop ? hop_members : recipient_members;
    p->item_texts = p->item_stored = 0;
    p->item_time = false;
    p->level = LEVEL_ELEMENT;
    return 1;
}

static int on_start_map(void *ctx)
{
    struct parse *p = ctx;

    if (p->passing || (p->level == LEVEL_RECORD && p->key == KEY_OTHER) ||
        (p->level == LEVEL_ELEMENT && p->member_key == MEMBER_OTHER))
        return deeper(p);
    switch (p->level) {
    case LEVEL_LINE:
        p->level = LEVEL_RECORD;
        return 1;
    case LEVEL_LIST:
        return p->key == KEY_FIELD ? new_element(p) : wrong_type(p);
    default:
        return wrong_type(p);
    }
}

/* True when the bytes and the text that stands for them agree; the bytes are the field's value then. */
static bool restore(struct lq_str *text, struct lq_str bytes)
{
    if (!text->p || !json_shows(bytes_from(bytes.p, bytes.n), bytes_from(text->p, text->n)))
        return false;
    *text = bytes;
    return true;
}

static int end_element(struct parse *p)
{
    p->level = LEVEL_LIST;
    for (size_t i = 0; p->members[i].name; i++) {
        struct lq_str *text = member_at(p, i);

        if (p->item_stored >> i & 1 && !restore(text, p->item_bytes[i]))
            return refuse(p, "%s and %s_b64 of %s do not say the same", p->members[i].name, p->members[i].name, field_name(p));
        if (text->n > RECORD_TEXT_MAX)
            return refuse(p, "%s of %s is longer than %d bytes", p->members[i].name, field_name(p), (int)RECORD_TEXT_MAX);
    }
    return 1;
}

static int on_end_map(void *ctx)
{
    struct parse *p = ctx;

    if (p->passing) {
        p->passing--;
        return 1;
    }
    if (p->level == LEVEL_ELEMENT)
        return end_element(p);
    p->level = LEVEL_LINE;
    return 1;
}

static int on_start_array(void *ctx)
{
    struct parse *p = ctx;

    if (p->passing || (p->level == LEVEL_RECORD && p->key == KEY_OTHER) ||
        (p->level == LEVEL_ELEMENT && p->member_key == MEMBER_OTHER))
        return deeper(p);
    if (p->level != LEVEL_RECORD)
        return wrong_type(p);
    if (p->key != KEY_UNREAD &&
        !((p->key == KEY_FIELD || (p->key == KEY_STORED && field_table[p->field].type == LQ_TYPE_TEXTS)) && is_list(p->field)))
        return wrong_type(p);
    if (p->key == KEY_FIELD)
        p->r->foreign.given |= LQ_FIELD_BIT(p->field);
    p->level = LEVEL_LIST;
    return 1;
}

static int on_end_array(void *ctx)
{
    struct parse *p = ctx;

    if (p->passing)
        p->passing--;
    else
        p->level = LEVEL_RECORD;
    return 1;
}

/* --- the whole line --- */

/* A header field is decoded again; where that gives another text (another system's tables of characters), the text is what counts. */
static void restore_header(struct lq_record *r, enum lq_field f, struct lq_str bytes)
{
    struct lq_str text = r->value[f].text;
    size_t problems = r->problems.n;

    r->set &= ~LQ_FIELD_BIT(f);
    header_text(r, f, bytes_from(bytes.p, bytes.n));
    r->problems.n = problems;
    r->broken = 0;
    if (record_is_set(r, f) && json_shows(bytes_from(r->value[f].text.p, r->value[f].text.n), bytes_from(text.p, text.n)))
        return;
    r->stored[f - LQ_SUBJECT] = (struct lq_str){ NULL, 0 };
    r->value[f].text = text;
    r->set |= LQ_FIELD_BIT(f);
}

static bool restore_texts(struct parse *p)
{
    struct lq_record *r = p->r;

    for (unsigned f = 0; f < LQ_RECIPIENT; f++) {
        struct lq_str *text = &r->value[f].text;

        if (field_table[f].type != LQ_TYPE_TEXT || !(r->set >> f & 1)) {
            if (field_table[f].type == LQ_TYPE_TEXT && p->stored >> f & 1)
                return refuse(p, "%s_b64 stands alone", field_table[f].name);
            continue;
        }
        if (p->stored & headers & LQ_FIELD_BIT(f))
            restore_header(r, (enum lq_field)f, p->bytes[f]);
        else if (p->stored >> f & 1 && !restore(text, p->bytes[f]))
            return refuse(p, "%s and %s_b64 do not say the same", field_table[f].name, field_table[f].name);
        if (text->n > RECORD_TEXT_MAX)
            return refuse(p, "%s is longer than %d bytes", field_table[f].name, (int)RECORD_TEXT_MAX);
        if (text->n == RECORD_TEXT_MAX)
            r->cut |= LQ_FIELD_BIT(f);
    }
    return true;
}

static bool restore_lists(struct parse *p)
{
    static const enum lq_field fields[] = { LQ_PROBLEMS, LQ_FILES };

    for (size_t i = 0; i < 2; i++) {
        struct str_list *list = i ? &p->r->files : &p->r->problems;
        bool same = p->bytes_of[i].n == list->n;

        if (!(p->stored >> fields[i] & 1))
            continue;
        for (size_t k = 0; k < list->n && same; k++)
            same = restore(&list->items[k], p->bytes_of[i].items[k]);
        if (!same)
            return refuse(p, "%s and %s_b64 do not say the same", field_table[fields[i]].name, field_table[fields[i]].name);
    }
    return true;
}

static unsigned sections_of(uint64_t fields)
{
    unsigned sections = 0;

    for (unsigned f = 0; f < LQ_RECIPIENT; f++)
        if (fields >> f & 1)
            sections |= field_table[f].sections;
    return sections;
}

/*
 * What is not here is absent, or may have a value. Whoever made the record named what could not be read; from that follows which of a message's
 * sections were broken, and so which lists may have more elements: what a filter would have answered there, it answers here.
 */
static void judge(struct lq_record *r)
{
    struct foreign *o = &r->foreign;
    uint64_t lists = 0, known;

    for (unsigned f = 0; f < LQ_RECIPIENT; f++)
        if (is_list((enum lq_field)f))
            lists |= LQ_FIELD_BIT(f);
    o->is = true;
    o->partial = o->partial || (o->given & always) != always;
    r->have = SEC_NAME | SEC_CONTROL | SEC_SIZE | SEC_LOG;
    r->broken = sections_of(o->unread);
    known = (lists & o->given) | (LQ_FIELDS_ALL & ~lists & ~o->given);
    known &= ~o->unread & ~LQ_FIELD_BIT(LQ_PROBLEMS) & ~LQ_FIELD_BIT(LQ_FILES);
    if (!o->partial)
        r->broken &= ~sections_of(known);
    o->unknown = o->unread | (~o->given & (o->partial ? LQ_FIELDS_ALL : 0)) | (~o->given & LQ_FIELD_BIT(LQ_DATA_SIZE)) |
                 LQ_FIELD_BIT(LQ_HEADER) | LQ_FIELD_BIT(LQ_BODY);
    for (unsigned f = 0; f < LQ_RECIPIENT; f++)
        if (r->broken & field_table[f].sections && ((lists | ~o->given) >> f & 1))
            o->unknown |= LQ_FIELD_BIT(f);
    if (o->given >> LQ_RECIPIENTS & 1)
        o->given |= LQ_FIELD_BIT(LQ_RECIPIENT);
    if (r->broken & SEC_CONTROL || (o->unknown & ~o->given) >> LQ_RECIPIENTS & 1)
        o->unknown |= LQ_FIELD_BIT(LQ_RECIPIENT);
}

/* The parser's own words begin like "lexical error: "; they end in a newline. */
static void parser_says(yajl_handle h, struct ndjson_why *why)
{
    unsigned char *text = yajl_get_error(h, 0, NULL, 0);
    size_t n = text ? strcspn((const char *)text, "\n") : 0;

    snprintf(why->text, sizeof(why->text), "not JSON: %.*s", n < 150 ? (int)n : 150, text ? (const char *)text : "");
    make_plain(why->text);
    yajl_free_error(h, text);
}

bool ndjson_record(struct lq_record *r, const char *line, size_t n, struct ndjson_why *why)
{
    static const yajl_callbacks callbacks = {
        .yajl_null = on_null, .yajl_boolean = on_boolean, .yajl_number = on_number, .yajl_string = on_string,
        .yajl_start_map = on_start_map, .yajl_map_key = on_key, .yajl_end_map = on_end_map,
        .yajl_start_array = on_start_array, .yajl_end_array = on_end_array,
    };
    struct parse p = { .r = r, .why = why };
    yajl_handle h = yajl_alloc(&callbacks, NULL, &p);
    bool whole;

    if (!h)
        return refuse(&p, "out of memory");
    r->arena.limit = ARENA_MAX;
    r->arena.large = 0;
    whole = yajl_parse(h, (const unsigned char *)line, n) == yajl_status_ok && yajl_complete_parse(h) == yajl_status_ok;
    if (!whole && !p.refused)
        parser_says(h, why);
    yajl_free(h);
    if (!whole)
        return false;
    if (!p.schema)
        return refuse(&p, "not a record as mqgrep -j writes it (mqtools.record/1)");
    if (!restore_texts(&p) || !restore_lists(&p))
        return false;
    if (r->arena.refused)
        return refuse(&p, "a larger record than any message makes");
    judge(r);
    return true;
}
