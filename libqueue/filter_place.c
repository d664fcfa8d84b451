/*
 * Where a leaf of a filter looks, and how it compares: names of fields and of parts of them, the values that a record has there, and
 * literals compiled for the kind of value. Nothing here knows where a literal was typed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "filter.h"
#include "reason.h"

/* --- names --- */

#define WORDS(table, first, end, what) { table, first, end, what }
static const char *const mta_names[] = { "exim", "postfix", "sendmail" };
static const struct words states = WORDS(state_names, STATE_NONE + 1, STATE_COUNT, "state");
static const struct words classes = WORDS(reason_class_names, 0, REASON_COUNT, "reason class");
static const struct words flag_words = WORDS(flag_names, 0, FLAG_COUNT, "flag");
static const struct words mtas = WORDS(mta_names, 0, 3, "mail server");

/* What a field's type and name do not tell. */
static const struct {
    enum lq_field field;
    enum kind kind;
    const struct words *words;
} kinds[] = {
    { LQ_SENDER, KIND_ADDRESS, NULL },  { LQ_RECIPIENT, KIND_ADDRESS, NULL }, { LQ_RECIPIENTS_DONE, KIND_ADDRESS, NULL },
    { LQ_AUTH_USER, KIND_USER, NULL },  { LQ_LOCAL_USER, KIND_USER, NULL },   { LQ_QUEUE_ID, KIND_NAME, NULL },
    { LQ_QUEUE_NAME, KIND_NAME, NULL }, { LQ_SPOOL, KIND_NAME, NULL },        { LQ_IDENTITY, KIND_NAME, NULL },
    { LQ_FILES, KIND_NAME, NULL },      { LQ_STATE, KIND_WORD, &states },     { LQ_REASON_CLASS, KIND_WORD, &classes },
    { LQ_FLAGS, KIND_WORD, &flag_words }, { LQ_MTA, KIND_WORD, &mtas },       { LQ_RECEIVED, KIND_LIST, NULL },
};

/* Fields are named by a rule, so those that are new find their kind themselves. */
static const struct {
    const char *end;
    enum lq_type type;
    enum kind kind;
} endings[] = {
    { "_address", LQ_TYPE_TEXT, KIND_IP },    { "_time", LQ_TYPE_NUMBER, KIND_TIME }, { "_attempt", LQ_TYPE_NUMBER, KIND_TIME },
    { "_size", LQ_TYPE_NUMBER, KIND_SIZE },
};

/* Names beside those of the table of fields. An option of the same name asks the same. */
static const struct place own_places[] = {
    { .name = "age", .field = LQ_ARRIVAL_TIME, .part = PART_AGE, .kind = KIND_AGE },
    { .name = "rcpts", .field = LQ_RECIPIENT, .part = PART_COUNT, .kind = KIND_COUNT },
    { .name = "user", .field = LQ_AUTH_USER, .kind = KIND_USER, .both = true, .field2 = LQ_LOCAL_USER },
    { .name = "reason", .field = LQ_REASON, .kind = KIND_TEXT, .both = true, .field2 = LQ_RECIPIENTS, .part2 = PART_REASON },
};

/* Parts of the elements of lists. */
static const struct {
    const char *name;
    enum lq_type of;
    enum part part;
    enum kind kind;
} parts[] = {
    { "address", LQ_TYPE_RECIPIENTS, PART_SELF, KIND_ADDRESS },
    { "domain", LQ_TYPE_RECIPIENTS, PART_DOMAIN, KIND_TEXT },
    { "delay_reason", LQ_TYPE_RECIPIENTS, PART_REASON, KIND_TEXT },
    { "reason", LQ_TYPE_RECIPIENTS, PART_REASON, KIND_TEXT },
    { "dsn_code", LQ_TYPE_RECIPIENTS, PART_CODE, KIND_TEXT },
    { "orig_address", LQ_TYPE_RECIPIENTS, PART_ORIG, KIND_ADDRESS },
    { "by", LQ_TYPE_HOPS, PART_BY, KIND_TEXT },
    { "from", LQ_TYPE_HOPS, PART_FROM, KIND_TEXT },
    { "helo", LQ_TYPE_HOPS, PART_HELO, KIND_TEXT },
    { "address", LQ_TYPE_HOPS, PART_ADDRESS, KIND_IP },
    { "with", LQ_TYPE_HOPS, PART_WITH, KIND_TEXT },
    { "id", LQ_TYPE_HOPS, PART_ID, KIND_NAME },
    { "trust", LQ_TYPE_HOPS, PART_TRUST, KIND_TEXT },
    { "time", LQ_TYPE_HOPS, PART_TIME, KIND_TIME },
};

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

static bool ends(const char *name, const char *end)
{
    size_t n = strlen(name), k = strlen(end);

    return n > k && strcmp(name + n - k, end) == 0;
}

static void set_kind(struct place *p)
{
    enum lq_type type = field_table[p->field].type;

    p->kind = type == LQ_TYPE_NUMBER ? KIND_COUNT : type == LQ_TYPE_BOOL ? KIND_BOOL : KIND_TEXT;
    for (size_t i = 0; i < COUNT_OF(endings); i++)
        if (endings[i].type == type && ends(field_table[p->field].name, endings[i].end))
            p->kind = endings[i].kind;
    for (size_t i = 0; i < COUNT_OF(kinds); i++)
        if (kinds[i].field == p->field) {
            p->kind = kinds[i].kind;
            p->words = kinds[i].words;
        }
}

static bool is_list(enum lq_type type)
{
    return type == LQ_TYPE_TEXTS || type == LQ_TYPE_RECIPIENTS || type == LQ_TYPE_HOPS;
}

static void field_place(struct place *p, enum lq_field f)
{
    *p = (struct place){ .field = f };
    /* Who compares recipients means their addresses, which are known before their reasons. */
    if (f == LQ_RECIPIENTS || f == LQ_RECIPIENT) {
        p->field = LQ_RECIPIENT;
        strcpy(p->name, "recipients.address");
    } else {
        snprintf(p->name, sizeof(p->name), "%s", field_table[f].name);
    }
    p->list = is_list(field_table[f].type);
    set_kind(p);
}

/* f's elements or text have a part of this name. */
static bool part_place(struct place *p, enum lq_field f, const char *part)
{
    enum lq_type type = field_table[f].type;

    if (f == LQ_RECIPIENT)
        type = LQ_TYPE_RECIPIENTS;
    field_place(p, f);
    if (type == LQ_TYPE_TEXT && strcmp(part, "domain") == 0 && (p->kind == KIND_ADDRESS || p->kind == KIND_USER)) {
        p->part = PART_DOMAIN;
        p->kind = KIND_TEXT;
        snprintf(p->name, sizeof(p->name), "%s.domain", field_table[f].name);
        return true;
    }
    for (size_t i = 0; i < COUNT_OF(parts); i++) {
        if (parts[i].of != type || strcmp(parts[i].name, part) != 0)
            continue;
        p->part = parts[i].part;
        p->kind = parts[i].kind;
        if (f == LQ_RECIPIENT || f == LQ_RECIPIENTS) {
            f = LQ_RECIPIENTS;
            p->field = p->part == PART_SELF || p->part == PART_DOMAIN ? LQ_RECIPIENT : LQ_RECIPIENTS;
        }
        snprintf(p->name, sizeof(p->name), "%s.%s", field_table[f].name, part);
        return true;
    }
    return false;
}

/* One more word of a list for people, as long as there is room. */
static void add_word(char *all, size_t size, const char *word)
{
    size_t n = strlen(all);

    snprintf(all + n, size - n, "%s%s", n > 0 ? " " : "", word);
}

static int no_part(enum lq_field f, const char *part, struct lq_error *err)
{
    const char *name = field_table[f].name, *hint;
    enum lq_type type = f == LQ_RECIPIENT ? LQ_TYPE_RECIPIENTS : field_table[f].type;
    struct nearest best = { .distance = UINT_MAX };
    struct place domain;
    char all[200] = "";

    for (size_t i = 0; i < COUNT_OF(parts); i++)
        if (parts[i].of == type)
            add_word(all, sizeof(all), parts[i].name);
    if (!all[0] && part_place(&domain, f, "domain"))
        add_word(all, sizeof(all), "domain");
    if (!all[0])
        return error_set(err, LQ_EINVAL, "'%s' has no part '%.60s'", name, part);
    nearest_name(&best, part, all);
    hint = nearest_hint(&best, part);
    if (hint)
        return error_set(err, LQ_EINVAL, "'%s' has no part '%.60s'; did you mean '%s.%s'? There are: %s", name, part, name, hint, all);
    return error_set(err, LQ_EINVAL, "'%s' has no part '%.60s'; there are: %s", name, part, all);
}

static int unknown_place(const char *name, struct lq_error *err)
{
    struct nearest best = { .distance = UINT_MAX };

    for (size_t i = 0; i < COUNT_OF(own_places); i++)
        nearest_name(&best, name, own_places[i].name);
    nearest_name(&best, name, "held bounces local damaged header body");
    nearest_field(&best, name);
    return unknown_field(&best, name, err);
}

int place_find(struct place *out, const char *name, struct lq_error *err)
{
    const char *dot = strrchr(name, '.');
    char head[PLACE_NAME_MAX];
    enum lq_field f;

    if (content_is_header(name))
        return content_header_place(out, name, err);
    if (strcmp(name, field_table[LQ_BODY].name) == 0)
        return content_body_place(out, err);
    for (size_t i = 0; i < COUNT_OF(own_places); i++)
        if (strcmp(own_places[i].name, name) == 0) {
            *out = own_places[i];
            return LQ_OK;
        }
    if (lq_field_find(&f, name, err) == LQ_OK) {
        field_place(out, f);
        return LQ_OK;
    }
    if (!dot || (size_t)(dot - name) >= sizeof(head))
        return unknown_place(name, err);
    memcpy(head, name, (size_t)(dot - name));
    head[dot - name] = '\0';
    if (lq_field_find(&f, head, err) != LQ_OK)
        return unknown_place(head, err);
    return part_place(out, f, dot + 1) ? LQ_OK : no_part(f, dot + 1, err);
}

uint64_t place_fields(const struct place *p)
{
    return LQ_FIELD_BIT(p->field) | (p->both ? LQ_FIELD_BIT(p->field2) : 0);
}

/* --- literals --- */

#define OP(o) (1u << OP_##o)
#define TEXT_OPS (OP(HAS) | OP(IS) | OP(FITS) | OP(REGEX) | OP(IN))
#define NUMBER_OPS (OP(HAS) | OP(IS) | OP(FITS) | OP(LESS) | OP(MOST) | OP(MORE) | OP(LEAST) | OP(IN))

const char *const op_names[OP_COUNT] = {
    [OP_HAS] = "", [OP_IS] = "==", [OP_FITS] = "=", [OP_REGEX] = "~", [OP_LESS] = "<", [OP_MOST] = "<=", [OP_MORE] = ">",
    [OP_LEAST] = ">=", [OP_IN] = "in",
};

static const struct {
    unsigned ops;
    const char *noun;
} kind_info[] = {
    [KIND_TEXT] = { TEXT_OPS, "a text" },       [KIND_ADDRESS] = { TEXT_OPS, "an address" },
    [KIND_USER] = { TEXT_OPS, "an account" },   [KIND_NAME] = { TEXT_OPS, "a name" },
    [KIND_IP] = { TEXT_OPS, "an IP address" },  [KIND_WORD] = { OP(HAS) | OP(IS) | OP(FITS) | OP(IN), "one of a few words" },
    [KIND_SIZE] = { NUMBER_OPS, "a size" },     [KIND_COUNT] = { NUMBER_OPS, "a number" },
    [KIND_TIME] = { NUMBER_OPS, "a time" },     [KIND_AGE] = { NUMBER_OPS, "an age" },
    [KIND_BOOL] = { OP(HAS) | OP(IS) | OP(FITS), "true or false" },
    [KIND_LIST] = { OP(HAS), "a list of several things (name one of them, like received.from)" },
};

int operand_fits_kind(const struct operand *o, struct lq_error *err)
{
    unsigned ops = kind_info[o->place.kind].ops;
    char all[60] = "";

    if (ops >> o->op & 1)
        return LQ_OK;
    for (unsigned i = OP_HAS + 1; i < OP_COUNT; i++)
        if (ops >> i & 1)
            add_word(all, sizeof(all), op_names[i]);
    if (o->op == OP_HAS)
        return error_set(err, LQ_EINVAL, "'%s' cannot stand alone; it is compared by %s", o->place.name, all);
    return error_set(err, LQ_EINVAL, "'%s' is %s, '%s' does not compare such%s%s", o->place.name, kind_info[o->place.kind].noun,
                     op_names[o->op], all[0] ? "; these do: " : "", all);
}

static int compile_pattern(struct test *t, enum pattern_kind kind, const char *before, const char *text, const char *after,
                           struct lq_error *err)
{
    char *whole;
    int rc;

    if (asprintf(&whole, "%s%s%s", before, text, after) < 0)
        return error_memory(err);
    rc = pattern_compile(&t->pattern, kind, whole, err);
    free(whole);
    return rc;
}

static bool in_slashes(const char *text)
{
    size_t n = strlen(text);

    return n > 1 && text[0] == '/' && text[n - 1] == '/';
}

static int compile_regex(struct test *t, const struct place *p, const char *literal, struct lq_error *err)
{
    const char *slash = in_slashes(literal) ? "" : "/";

    return compile_pattern(t, p->field == LQ_BODY ? PATTERN_BODY : PATTERN_TEXT, slash, literal, slash, err);
}

static bool has_wildcard(const char *literal)
{
    return strpbrk(literal, "*?") != NULL;
}

/* Exactly this text; but where no quotes say so, what looks like a pattern must not become the opposite of what was meant. */
static int compile_exact(struct test *t, const struct place *p, const char *literal, bool bare, struct lq_error *err)
{
    if (p->kind == KIND_ADDRESS && strcmp(literal, "<>") == 0)
        return pattern_compile(&t->pattern, PATTERN_ADDRESS, literal, err);
    if (bare && (has_wildcard(literal) || in_slashes(literal) || (literal[0] == '@' && p->kind != KIND_TEXT)))
        return error_set(err, LQ_EINVAL, "'%.200s' looks like a pattern, but == and != compare with exactly this text; for a pattern "
                         "type '%s = %.200s' or 'not %s = %.200s', for this text put it in quotes", literal, p->name, literal,
                         p->name, literal);
    return p->kind == KIND_NAME ? LQ_OK : compile_pattern(t, PATTERN_TEXT, "=", literal, "", err);
}

static int compile_text(struct test *t, const struct operand *o, const char *literal, bool bare, struct lq_error *err)
{
    static const enum pattern_kind languages[] = {
        [KIND_TEXT] = PATTERN_TEXT, [KIND_ADDRESS] = PATTERN_ADDRESS, [KIND_USER] = PATTERN_USER, [KIND_NAME] = PATTERN_TEXT,
    };

    if (o->op == OP_REGEX)
        return compile_regex(t, &o->place, literal, err);
    if (o->op == OP_IS)
        return compile_exact(t, &o->place, literal, bare, err);
    if (o->place.kind == KIND_NAME && !has_wildcard(literal))
        return LQ_OK;
    /* A path is no regular expression. */
    if (o->place.kind == KIND_NAME && literal[0] == '/')
        return compile_pattern(t, PATTERN_TEXT, "\\", literal, "", err);
    return pattern_compile(&t->pattern, o->place.field == LQ_BODY ? PATTERN_BODY : languages[o->place.kind], literal, err);
}

static int compile_ip(struct test *t, const struct operand *o, const char *literal, struct lq_error *err)
{
    struct ip ip;

    if (o->op == OP_REGEX)
        return compile_regex(t, &o->place, literal, err);
    if (o->op == OP_FITS && (has_wildcard(literal) || in_slashes(literal)))
        return pattern_compile(&t->pattern, PATTERN_TEXT, literal, err);
    if (o->op == OP_IS && !ip_parse(bytes_from(literal, strlen(literal)), &ip))
        return error_set(err, LQ_EINVAL, "'%.200s' is no address; a network is asked by '%s in %.200s'", literal, o->place.name, literal);
    return netset_parse(&t->nets, literal, err);
}

static int compile_word(const struct words *w, const char *literal, struct lq_error *err)
{
    struct nearest best = { .distance = UINT_MAX };
    const char *hint;
    char all[256] = "";

    for (unsigned i = w->from; i < w->count; i++) {
        if (strcmp(w->names[i], literal) == 0)
            return LQ_OK;
        nearest_name(&best, literal, w->names[i]);
        add_word(all, sizeof(all), w->names[i]);
    }
    hint = nearest_hint(&best, literal);
    if (hint)
        return error_set(err, LQ_EINVAL, "unknown %s '%.100s'; did you mean '%s'? Known are: %s", w->noun, literal, hint, all);
    return error_set(err, LQ_EINVAL, "unknown %s '%.100s'; known are: %s", w->noun, literal, all);
}

static int compile_bool(struct test *t, const char *literal, struct lq_error *err)
{
    static const char *const words[] = { "false", "true", "no", "yes", "0", "1" };

    for (size_t i = 0; i < COUNT_OF(words); i++)
        if (strcmp(words[i], literal) == 0) {
            t->range = (struct range){ i % 2, i % 2 };
            return LQ_OK;
        }
    return error_set(err, LQ_EINVAL, "'%.100s' is neither true nor false", literal);
}

/* One number of the kind. */
static int parse_number(int64_t *out, enum kind kind, const char *text, struct lq_error *err)
{
    struct range r;
    int rc;

    if (kind == KIND_AGE)
        return units_age(out, text, err);
    if (kind == KIND_TIME)
        return units_time(out, text, err);
    if (text[0] == '+' || text[0] == '-')
        return error_set(err, LQ_EINVAL, "'%.100s': more and less than a number are written > and < here", text);
    rc = kind == KIND_SIZE ? units_size(&r, text, err) : units_count(&r, text, err);
    if (rc != LQ_OK)
        return error_set(err, LQ_EINVAL, "'%.100s' is no %s", text, kind == KIND_SIZE ? "size: type it like 2062, 10k or 1M" : "number");
    *out = r.low;
    return rc;
}

/* A..B where a range may stand; else one number, which *one says. */
static int parse_range(struct range *out, bool *one, const struct operand *o, const char *literal, struct lq_error *err)
{
    const char *dots = strstr(literal, "..");
    char low[100];
    int rc;

    *one = !dots;
    if (!dots) {
        rc = parse_number(&out->low, o->place.kind, literal, err);
        out->high = out->low;
        return rc;
    }
    if (o->op != OP_IN && o->op != OP_FITS)
        return error_set(err, LQ_EINVAL, "'%.100s' is a range, which is asked by '%s in %.100s'", literal, o->place.name, literal);
    if ((size_t)(dots - literal) >= sizeof(low))
        return error_set(err, LQ_EINVAL, "'%.100s' is too long for a range", literal);
    memcpy(low, literal, (size_t)(dots - literal));
    low[dots - literal] = '\0';
    if (strstr(dots + 2, ".."))
        return error_set(err, LQ_EINVAL, "'%.100s' has more than two ends", literal);
    rc = parse_number(&out->low, o->place.kind, low, err);
    if (rc == LQ_OK)
        rc = parse_number(&out->high, o->place.kind, dots + 2, err);
    if (rc == LQ_OK && out->low > out->high)
        return error_set(err, LQ_EINVAL, "'%.100s' ends before it begins", literal);
    return rc;
}

/* A moment to the second is never what "on that day" or "two hours old" means. */
static bool is_vague(const struct operand *o, const char *literal)
{
    return o->place.kind == KIND_AGE || (o->place.kind == KIND_TIME && literal[strspn(literal, "@0123456789")] != '\0');
}

static int compile_number(struct test *t, const struct operand *o, const char *literal, struct lq_error *err)
{
    struct range r = { 0, 0 };
    bool one;
    int rc = parse_range(&r, &one, o, literal, err);

    if (rc != LQ_OK)
        return rc;
    switch (o->op) {
    case OP_LESS:
        t->range = (struct range){ INT64_MIN, r.low > INT64_MIN ? r.low - 1 : r.low };
        return LQ_OK;
    case OP_MOST:
        t->range = (struct range){ INT64_MIN, r.low };
        return LQ_OK;
    case OP_MORE:
        t->range = (struct range){ r.low < INT64_MAX ? r.low + 1 : r.low, INT64_MAX };
        return LQ_OK;
    case OP_LEAST:
        t->range = (struct range){ r.low, INT64_MAX };
        return LQ_OK;
    default:
        break;
    }
    if (one && is_vague(o, literal))
        return error_set(err, LQ_EINVAL, "'%s' is never exactly '%.100s'; type a range 'in A..B', or < <= > >=", o->place.name, literal);
    t->range = r;
    return LQ_OK;
}

static int compile_test(struct test *t, struct operand *o, const char *literal, bool bare, struct lq_error *err)
{
    if (literal[0] == '\0')
        return error_set(err, LQ_EINVAL, "an empty text selects nothing (is a shell variable unset?); the null sender is <>, "
                         "an empty text fits ~ '^$'");
    switch (o->place.kind) {
    case KIND_IP:
        return compile_ip(t, o, literal, err);
    case KIND_WORD:
        /* Only whether a body is shared is told by other files than the first. */
        if (o->place.field == LQ_FLAGS)
            o->set |= strcmp(literal, flag_names[FLAG_SHARED_BODY]) == 0 ? SEC_CONTROL | SEC_SIZE : SEC_CONTROL;
        return compile_word(o->place.words, literal, err);
    case KIND_BOOL:
        return compile_bool(t, literal, err);
    case KIND_SIZE:
    case KIND_COUNT:
    case KIND_TIME:
    case KIND_AGE:
        return compile_number(t, o, literal, err);
    default:
        return compile_text(t, o, literal, bare, err);
    }
}

static void test_done(struct test *t)
{
    free(t->literal);
    pattern_free(t->pattern);
    netset_free(t->nets);
}

int operand_add(struct operand *o, const char *literal, bool bare, struct lq_error *err)
{
    struct test t = { 0 }, *more;
    int rc = operand_fits_kind(o, err);

    if (rc == LQ_OK)
        rc = compile_test(&t, o, literal, bare, err);
    if (rc != LQ_OK) {
        test_done(&t);
        return rc;
    }
    t.literal = strdup(literal);
    /* Room grows at powers of two. */
    more = o->n & (o->n - 1) ? o->tests : realloc(o->tests, (o->n ? o->n * 2 : 1) * sizeof(*more));
    if (more)
        o->tests = more;
    if (!more || !t.literal) {
        test_done(&t);
        return error_memory(err);
    }
    o->tests[o->n++] = t;
    return LQ_OK;
}

void operand_done(struct operand *o)
{
    for (size_t i = 0; i < o->n; i++)
        test_done(&o->tests[i]);
    free(o->tests);
    pattern_free(o->pattern);
    netset_free(o->nets);
    free(o->text);
    for (size_t i = 0; i < o->ids.cap; i++)
        free(o->ids.slots[i]);
    free(o->ids.slots);
}

/* --- values --- */

struct value {
    struct lq_str text;
    int64_t number;
    bool least;                 /* of a damaged message: there may be more */
};

enum tri filter_absent(const struct lq_record *r, enum lq_field f, unsigned *need)
{
    unsigned sections = field_table[f].sections;

    if (r->foreign.is)
        return r->foreign.unknown >> f & 1 ? TRI_UNKNOWN : TRI_NO;
    if ((r->have & sections) != sections) {
        *need |= sections & ~r->have;
        return TRI_UNKNOWN;
    }
    return r->broken & sections ? TRI_UNKNOWN : TRI_NO;
}

enum tri filter_text_fits(const struct pattern *p, struct lq_str s, struct filter_state *state)
{
    switch (pattern_match(p, bytes_from(s.p, s.n), &state->scratch)) {
    case PATTERN_YES:
        return TRI_YES;
    case PATTERN_NO:
        return TRI_NO;
    default:
        state->stopped = true;
        return TRI_UNKNOWN;
    }
}

static enum tri in_range(const struct range *range, const struct value *v)
{
    if (!v->least)
        return tri_from(v->number >= range->low && v->number <= range->high);
    if (v->number > range->high)
        return TRI_NO;
    return v->number >= range->low && range->high == INT64_MAX ? TRI_YES : TRI_UNKNOWN;
}

static enum tri fits_one(const struct test *t, enum kind kind, const struct value *v, struct filter_state *state)
{
    struct ip ip;

    if (kind_is_number(kind) || kind == KIND_BOOL)
        return in_range(&t->range, v);
    if (t->pattern)
        return filter_text_fits(t->pattern, v->text, state);
    /* Records from elsewhere can say anything: what is no address is in no network, and not outside of one either. */
    if (t->nets && !ip_parse(bytes_from(v->text.p, v->text.n), &ip))
        return TRI_UNKNOWN;
    if (t->nets)
        return tri_from(netset_has(t->nets, &ip));
    return tri_from(v->text.n == strlen(t->literal) && memcmp(v->text.p, t->literal, v->text.n) == 0);
}

static enum tri fits(const struct operand *o, const struct value *v, struct filter_state *state)
{
    enum tri any = TRI_NO;

    if (o->op == OP_HAS && o->place.kind == KIND_BOOL)
        return tri_from(v->number != 0);
    if (o->op == OP_HAS)
        return tri_from(v->text.n > 0 || kind_is_number(o->place.kind) || o->place.kind == KIND_LIST);
    for (size_t i = 0; i < o->n && any != TRI_YES; i++)
        any = tri_or(any, fits_one(&o->tests[i], o->place.kind, v, state));
    return any;
}

enum tri operand_fits_text(const struct operand *o, struct lq_str s, struct filter_state *state)
{
    struct value v = { .text = s };

    return fits(o, &v, state);
}

static int64_t age_of(int64_t time, int64_t now)
{
    int64_t age;

    return !__builtin_sub_overflow(now, time, &age) ? age : now > time ? INT64_MAX : INT64_MIN;
}

static enum tri match_number(const struct operand *o, const struct lq_record *r, enum lq_field f, enum part part,
                             struct filter_state *state, unsigned *need)
{
    struct value v = { .number = 0 };

    if (part == PART_COUNT) {
        v.number = (int64_t)r->recipients.counted;
        v.least = (r->have & SEC_CONTROL) && (r->broken & SEC_CONTROL);
        if (!v.least && filter_absent(r, f, need) != TRI_NO)
            return TRI_UNKNOWN;
        return fits(o, &v, state);
    }
    if (!record_is_set(r, f))
        return filter_absent(r, f, need);
    v.number = part == PART_AGE ? age_of(r->value[f].number, state->now) : r->value[f].number;
    return fits(o, &v, state);
}

static struct lq_str domain_of(struct lq_str address)
{
    struct bytes domain = addr_domain(bytes_from(address.p, address.n));

    return domain.n > 0 ? (struct lq_str){ (const char *)domain.p, domain.n } : (struct lq_str){ NULL, 0 };
}

static enum tri match_state_text(const struct operand *o, const struct lq_record *r, struct filter_state *state, unsigned *need)
{
    struct value v;
    unsigned sections = field_table[LQ_STATE].sections;

    if (r->state == STATE_NONE || (r->have & sections) != sections) {
        filter_absent(r, LQ_STATE, need);
        return TRI_UNKNOWN;
    }
    v = (struct value){ .text = { state_names[r->state], strlen(state_names[r->state]) } };
    return fits(o, &v, state);
}

static enum tri match_text(const struct operand *o, const struct lq_record *r, enum lq_field f, enum part part,
                           struct filter_state *state, unsigned *need)
{
    struct value v = { .text = r->value[f].text };

    if (f == LQ_STATE)
        return match_state_text(o, r, state, need);
    if (!record_is_set(r, f))
        return filter_absent(r, f, need);
    /* Its end could make a pattern fit, or not. */
    if (r->cut & LQ_FIELD_BIT(f) && o->op != OP_HAS)
        return TRI_UNKNOWN;
    if (part == PART_DOMAIN) {
        v.text = domain_of(v.text);
        if (!v.text.p)
            return TRI_NO;
    }
    return fits(o, &v, state);
}

/* --- lists --- */

static size_t list_count(const struct lq_record *r, enum lq_field f)
{
    switch (f) {
    case LQ_FLAGS:
        return FLAG_COUNT;
    case LQ_PROBLEMS:
        return r->problems.n;
    case LQ_FILES:
        return r->files.n;
    case LQ_RECEIVED:
        return r->hop_count;
    case LQ_RECIPIENTS_DONE:
        return r->done.n;
    default:
        return r->recipients.n;
    }
}

static struct lq_str hop_part(const struct lq_hop *h, enum part part)
{
    const struct lq_str texts[] = { h->by, h->from, h->helo, h->address, h->with, h->id, h->trust };

    return part >= PART_BY && part <= PART_TRUST ? texts[part - PART_BY] : (struct lq_str){ "", 0 };
}

static struct lq_str rcpt_part(const struct lq_recipient *rcpt, enum part part)
{
    switch (part) {
    case PART_REASON:
        return rcpt->delay_reason;
    case PART_CODE:
        return rcpt->dsn_code;
    case PART_ORIG:
        return rcpt->orig_address;
    default:
        return rcpt->address;
    }
}

/* Element i; false where it has none of this part. */
static bool element(const struct lq_record *r, enum lq_field f, enum part part, size_t i, struct value *v)
{
    const struct rcpt_list *list = f == LQ_RECIPIENTS_DONE ? &r->done : &r->recipients;

    *v = (struct value){ .number = 0 };
    switch (f) {
    case LQ_FLAGS:
        v->text = (struct lq_str){ flag_names[i], strlen(flag_names[i]) };
        break;
    case LQ_PROBLEMS:
        v->text = r->problems.items[i];
        break;
    case LQ_FILES:
        v->text = r->files.items[i];
        break;
    case LQ_RECEIVED:
        v->text = hop_part(&r->hops[i], part);
        v->number = r->hops[i].time;
        return part == PART_TIME ? v->number != 0 : v->text.p != NULL;
    default:
        v->text = rcpt_part(&list->items[i], part);
        break;
    }
    return v->text.p != NULL;
}

/* What an element is that has no value: it may be one that there was no room for, or whose time nobody could read. */
static enum tri element_absent(const struct lq_record *r, enum lq_field f, enum part part, unsigned *need)
{
    enum tri t = filter_absent(r, f, need);

    return part == PART_SELF || part == PART_DOMAIN || part == PART_TIME ? TRI_UNKNOWN : t;
}

static enum tri element_fits(const struct operand *o, const struct lq_record *r, enum lq_field f, enum part part, size_t i,
                             struct filter_state *state, unsigned *need)
{
    struct value v;

    if (!element(r, f, part, i, &v))
        return element_absent(r, f, part, need);
    if (v.text.n >= RECORD_TEXT_MAX && o->op != OP_HAS)
        return TRI_UNKNOWN;
    if (part == PART_DOMAIN) {
        v.text = domain_of(v.text);
        if (!v.text.p)
            return TRI_NO;
    }
    return fits(o, &v, state);
}

/* Whether the list may have more elements than were seen: no or unknown. */
static enum tri list_more(const struct operand *o, const struct lq_record *r, enum lq_field f, unsigned *need)
{
    unsigned sections = f == LQ_FLAGS && o->set && !o->all ? o->set : field_table[f].sections;

    if (r->foreign.is && !(r->foreign.given >> f & 1 && (f == LQ_PROBLEMS || f == LQ_FLAGS)))
        return filter_absent(r, f, need);
    if ((r->have & sections) != sections) {
        *need |= sections & ~r->have;
        return TRI_UNKNOWN;
    }
    /* What is known to be wrong is all of it, however much is broken. */
    if (f == LQ_PROBLEMS)
        return r->problems.n < RECORD_PROBLEMS_MAX ? TRI_NO : TRI_UNKNOWN;
    return r->broken & sections || (f == LQ_RECEIVED && r->hop_count >= RECORD_HOPS_MAX) ? TRI_UNKNOWN : TRI_NO;
}

static enum tri match_list(const struct operand *o, const struct lq_record *r, enum lq_field f, enum part part,
                           struct filter_state *state, unsigned *need)
{
    enum tri found = TRI_NO;        /* any: one that fits; all: one that does not */
    size_t n = list_count(r, f), seen = 0;

    for (size_t i = 0; i < n && found != TRI_YES; i++) {
        enum tri t;

        if (f == LQ_FLAGS && !(r->flags >> i & 1))
            continue;
        t = element_fits(o, r, f, part, i, state, need);
        found = tri_or(found, o->all ? tri_not(t) : t);
        seen++;
    }
    if (found != TRI_YES)
        found = tri_or(found, list_more(o, r, f, need));
    if (!o->all)
        return found;
    /* A message without any is not "all of theirs". */
    return found == TRI_NO ? tri_from(seen > 0) : tri_not(found);
}

static enum tri match_field(const struct operand *o, const struct lq_record *r, enum lq_field f, enum part part,
                            struct filter_state *state, unsigned *need)
{
    if (part == PART_COUNT)
        return match_number(o, r, f, part, state, need);
    if (f == LQ_HEADER)
        return content_match_header(o, r, state, need);
    if (f == LQ_BODY)
        return content_match_body(o, r, state, need);
    switch (field_table[f].type) {
    case LQ_TYPE_NUMBER:
    case LQ_TYPE_BOOL:
        return match_number(o, r, f, part, state, need);
    case LQ_TYPE_TEXT:
        return match_text(o, r, f, part, state, need);
    default:
        return match_list(o, r, f, part, state, need);
    }
}

enum tri operand_match(const struct operand *o, const struct lq_record *r, struct filter_state *state, unsigned *need)
{
    const struct place *p = &o->place;
    enum tri t = match_field(o, r, p->field, p->part, state, need);

    if (p->both && t != TRI_YES)
        t = tri_or(t, match_field(o, r, p->field2, p->part2, state, need));
    return o->negated ? tri_not(t) : t;
}
