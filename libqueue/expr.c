/*
 * Expressions: text to tree. A parser of one function for each rule of the grammar, over the text itself, with a bound on its depth.
 * What a name means and whether a literal fits it is filter_place.c's business; this file knows words, quotes and where things stand.
 *
 *     expression  = conjunction { "or" conjunction }
 *     conjunction = negation { "and" negation }
 *     negation    = { "not" } ( "(" expression ")" | question )
 *     question    = [ "any" | "all" | "has" ] NAME [ operator VALUE | [ "not" ] "in" values ]
 *     values      = "(" VALUE { "," VALUE } ")" | VALUE { "," VALUE }
 */
#include "expr.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct parser {
    const char *text;
    size_t at;
    size_t wrong;               /* where the mistake is, once there is one */
    unsigned depth, leaves;
    struct lq_error *err;
};

#define FAIL(p, where, ...) ((p)->wrong = (where), error_set((p)->err, LQ_EINVAL, __VA_ARGS__))

/* --- words --- */

static bool is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool is_name(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '-';
}

/* What ends a value that has no quotes. */
static bool ends_value(char c)
{
    return c == '\0' || is_blank(c) || c == '(' || c == ')' || c == ',';
}

static char next(struct parser *p)
{
    while (is_blank(p->text[p->at]))
        p->at++;
    return p->text[p->at];
}

/* Where the next word begins. */
static size_t here(struct parser *p)
{
    next(p);
    return p->at;
}

static size_t name_length(const char *s)
{
    size_t n = 0;

    while (is_name(s[n]))
        n++;
    return n;
}

static bool sees(struct parser *p, const char *word)
{
    size_t n = strlen(word);

    next(p);
    return name_length(p->text + p->at) == n && memcmp(p->text + p->at, word, n) == 0;
}

static bool take(struct parser *p, const char *word)
{
    if (!sees(p, word))
        return false;
    p->at += strlen(word);
    return true;
}

/* --- values --- */

struct literal {
    char *text;
    size_t at;
    bool bare;
};

bool expr_is_keyword(const char *s, size_t n)
{
    static const char *const keywords[] = { "and", "or", "not", "in", "any", "all", "has" };

    for (size_t i = 0; i < sizeof(keywords) / sizeof(keywords[0]); i++)
        if (strlen(keywords[i]) == n && memcmp(keywords[i], s, n) == 0)
            return true;
    return false;
}

/* Inside quotes a backslash takes their meaning from quotes and from itself; before anything else it stays, and is the pattern's. */
static int quoted(struct parser *p, struct literal *l)
{
    const char *s = p->text + p->at;
    char quote = *s++, *to;

    l->text = to = malloc(strlen(s) + 1);
    if (!to)
        return error_memory(p->err);
    for (; *s && *s != quote; s++) {
        if (*s == '\\' && (s[1] == '\\' || s[1] == '\'' || s[1] == '"'))
            s++;
        *to++ = *s;
    }
    *to = '\0';
    if (!*s)
        return FAIL(p, l->at, "this quote is never closed");
    p->at = (size_t)(s + 1 - p->text);
    if (!ends_value(p->text[p->at]))
        return FAIL(p, p->at, "a value ends with its quote; a quote inside one is written \\%c", quote);
    return LQ_OK;
}

static int copied(struct parser *p, struct literal *l, size_t n)
{
    l->text = strndup(p->text + l->at, n);
    p->at = l->at + n;
    return l->text ? LQ_OK : error_memory(p->err);
}

/* A regular expression may hold blanks and parentheses, and ends with the next slash that no backslash stands before. */
static int slashed(struct parser *p, struct literal *l)
{
    size_t end = p->at + 1;

    while (p->text[end] && p->text[end] != '/')
        end += p->text[end] == '\\' && p->text[end + 1] ? 2 : 1;
    if (!p->text[end])
        return FAIL(p, l->at, "this regular expression has no / at its end");
    if (!ends_value(p->text[end + 1]))
        return FAIL(p, end + 1, "the regular expression ended with the / before this; one inside it is written \\/");
    return copied(p, l, end + 1 - p->at);
}

/* Quotes as word processors make them: they would become part of the text. */
static bool is_curly(const char *s)
{
    return memcmp(s, "\xe2\x80", 2) == 0 && (s[2] == '\x98' || s[2] == '\x99' || s[2] == '\x9c' || s[2] == '\x9d');
}

static int bare(struct parser *p, struct literal *l)
{
    const char *s = p->text + p->at;
    size_t n = 0;

    while (!ends_value(s[n]))
        n++;
    if (n == 0)
        return FAIL(p, l->at, "a value is missing here (is a shell variable unset?)");
    if (expr_is_keyword(s, n))
        return FAIL(p, l->at, "a value is missing before '%.*s' (is a shell variable unset?); put it in quotes if it is meant so", (int)n, s);
    if (n >= 3 && is_curly(s))
        return FAIL(p, l->at, "these are no quotes; type ' or \"");
    l->bare = true;
    return copied(p, l, n);
}

static int value(struct parser *p, const struct operand *o, struct literal *l)
{
    char c = next(p);

    *l = (struct literal){ .at = p->at };
    if (c == '\'' || c == '"')
        return quoted(p, l);
    if (c == '/' && o->op != OP_IS && (o->place.kind != KIND_NAME || o->op == OP_REGEX))
        return slashed(p, l);
    return bare(p, l);
}

/* --- a question --- */

static int add_leaf(struct parser *p, struct node **out, size_t at)
{
    if (++p->leaves > EXPR_LEAVES_MAX)
        return FAIL(p, at, "an expression may ask at most %d questions", (int)EXPR_LEAVES_MAX);
    *out = node_new(NODE_LEAF);
    return *out ? LQ_OK : error_memory(p->err);
}

/* The value becomes what the leaf compares with. */
static int compare(struct parser *p, struct operand *o, const struct literal *l)
{
    int rc = operand_add(o, l->text, l->bare, p->err);

    if (rc == LQ_EINVAL)
        p->wrong = l->at;
    return rc;
}

static int one_value(struct parser *p, struct operand *o)
{
    struct literal l;
    int rc = value(p, o, &l);

    if (rc == LQ_OK)
        rc = compare(p, o, &l);
    free(l.text);
    return rc;
}

static int values(struct parser *p, struct operand *o)
{
    size_t open = p->at;
    bool list = next(p) == '(';
    int rc;

    if (list) {
        open = p->at++;
        if (next(p) == ')')
            return FAIL(p, p->at, "an empty list selects nothing");
    }
    for (;;) {
        rc = one_value(p, o);
        if (rc != LQ_OK || next(p) != ',')
            break;
        p->at++;
    }
    if (rc != LQ_OK || !list)
        return rc;
    if (!p->text[p->at])
        return FAIL(p, open, "this ( is never closed");
    if (p->text[p->at] != ')')
        return FAIL(p, p->at, "a comma or a ) is missing here");
    p->at++;
    return LQ_OK;
}

/* Lists of ids can be long: asked as the options ask them, by one look into a table, before any file is opened. */
static int as_ids(struct parser *p, struct node *leaf)
{
    struct operand *o = &leaf->operand;
    int rc = LQ_OK;

    if (o->place.field != LQ_QUEUE_ID || o->op == OP_HAS)
        return LQ_OK;
    for (size_t i = 0; i < o->n; i++)
        if (o->tests[i].pattern)
            return LQ_OK;
    for (size_t i = 0; i < o->n && rc == LQ_OK; i++)
        rc = operand_add_id(o, o->tests[i].literal, p->err);
    leaf->selector = &selectors[LQ_SEL_ID];
    return rc;
}

/* Longest first. */
static const struct {
    const char *text;
    enum op op;
    bool negated;
} operators[] = {
    { "==", OP_IS, false }, { "!=", OP_IS, true }, { "<=", OP_MOST, false }, { ">=", OP_LEAST, false },
    { "=", OP_FITS, false }, { "<", OP_LESS, false }, { ">", OP_MORE, false }, { "~", OP_REGEX, false },
};

/* Nothing is taken where none stands: the name stands alone. */
static void take_operator(struct parser *p, enum op *op, bool *negated)
{
    size_t before = p->at;

    *op = OP_HAS;
    *negated = false;
    next(p);
    for (size_t i = 0; i < sizeof(operators) / sizeof(operators[0]); i++) {
        if (strncmp(p->text + p->at, operators[i].text, strlen(operators[i].text)) != 0)
            continue;
        p->at += strlen(operators[i].text);
        *op = operators[i].op;
        *negated = operators[i].negated;
        return;
    }
    *negated = take(p, "not");
    if (take(p, "in"))
        *op = OP_IN;
    else
        p->at = before;
    *negated = *negated && *op == OP_IN;
}

/* Names that are questions by themselves, the same as options. */
static const struct {
    const char *name;
    enum lq_selector sel;
} alone[] = {
    { "held", LQ_SEL_HELD }, { "bounces", LQ_SEL_BOUNCES }, { "bounce", LQ_SEL_BOUNCES }, { "local", LQ_SEL_LOCAL },
    { "damaged", LQ_SEL_DAMAGED },
};

/* "client-name" is an option, "client_name" the field: both are understood. */
static int take_name(struct parser *p, char name[PLACE_NAME_MAX])
{
    char c = next(p);
    size_t n = name_length(p->text + p->at), at = p->at;

    if (!c)
        return FAIL(p, at, "a question is missing at the end");
    if (n == 0 && c == '!')
        return FAIL(p, at, "the opposite is written 'not'");
    if (n == 0)
        return FAIL(p, at, "the name of a field is missing here");
    if (expr_is_keyword(p->text + at, n))
        return FAIL(p, at, "a question is missing before '%.*s'", (int)n, p->text + at);
    if (n >= PLACE_NAME_MAX)
        return FAIL(p, at, "unknown field '%.*s...'", 60, p->text + at);
    memcpy(name, p->text + at, n);
    name[n] = '\0';
    /* Header fields have names of their own, with dashes. */
    for (size_t i = 0; i < n && !content_is_header(name); i++)
        if (name[i] == '-')
            name[i] = '_';
    p->at += n;
    return LQ_OK;
}

static int question_alone(struct parser *p, struct node **out, size_t at, const char *name)
{
    for (size_t i = 0; i < sizeof(alone) / sizeof(alone[0]); i++) {
        enum op op;
        bool negated;
        size_t operator_at = here(p);
        int rc;

        if (strcmp(alone[i].name, name) != 0)
            continue;
        take_operator(p, &op, &negated);
        if (op != OP_HAS)
            return FAIL(p, operator_at, "'%s' stands alone: it is true or not", name);
        rc = add_leaf(p, out, at);
        if (rc != LQ_OK)
            return rc;
        (*out)->selector = &selectors[alone[i].sel];
        return selector_compile(&(*out)->operand, (*out)->selector, NULL, p->err);
    }
    return LQ_END;
}

/* Before the name: which of a list's values. After it: whether that makes sense. */
struct quantifier {
    size_t at;
    bool any, all, has;
};

static int check_quantifier(struct parser *p, const struct quantifier *q, const struct operand *o, size_t operator_at, bool negated)
{
    if ((q->any || q->all) && !o->place.list)
        return FAIL(p, q->at, "'%s' is no list: it has one value", o->place.name);
    if ((q->any || q->all) && negated)
        return FAIL(p, operator_at, "with any and all this could mean two things; type 'not %s %s = ...'", q->all ? "all" : "any",
                    o->place.name);
    if (q->has && o->op != OP_HAS)
        return FAIL(p, operator_at, "'has %s' is a whole question", o->place.name);
    if (!q->has && o->op == OP_HAS && kind_is_number(o->place.kind))
        return FAIL(p, p->at, "'%s' is a number: compare it, or ask 'has %s' whether it is known", o->place.name, o->place.name);
    return LQ_OK;
}

static int negate(struct parser *p, struct node **out)
{
    struct node *opposite = node_new(NODE_NOT);

    if (!opposite)
        return error_memory(p->err);
    node_append(opposite, *out);
    *out = opposite;
    return LQ_OK;
}

static int question(struct parser *p, struct node **out)
{
    struct quantifier q = { .at = here(p) };
    char name[PLACE_NAME_MAX];
    struct operand *o;
    size_t at, operator_at;
    bool negated;
    int rc;

    q.any = take(p, "any");
    q.all = !q.any && take(p, "all");
    q.has = take(p, "has");
    at = here(p);
    rc = take_name(p, name);
    if (rc != LQ_OK)
        return rc;
    rc = q.any || q.all || q.has ? LQ_END : question_alone(p, out, at, name);
    if (rc != LQ_END)
        return rc;
    rc = add_leaf(p, out, at);
    if (rc != LQ_OK)
        return rc;
    o = &(*out)->operand;
    if (place_find(&o->place, name, p->err) != LQ_OK) {
        p->wrong = at;
        return LQ_EINVAL;
    }
    o->all = q.all;
    operator_at = here(p);
    take_operator(p, &o->op, &negated);
    rc = check_quantifier(p, &q, o, operator_at, negated);
    if (rc == LQ_OK && operand_fits_kind(o, p->err) != LQ_OK) {
        p->wrong = operator_at;
        return LQ_EINVAL;
    }
    if (rc == LQ_OK && o->op != OP_HAS)
        rc = o->op == OP_IN ? values(p, o) : one_value(p, o);
    if (rc == LQ_OK)
        rc = as_ids(p, *out);
    return rc == LQ_OK && negated ? negate(p, out) : rc;
}

/* --- and, or, not --- */

static int expression(struct parser *p, struct node **out);

static int parenthesised(struct parser *p, struct node **out)
{
    size_t open = p->at++;
    int rc;

    if (++p->depth > EXPR_DEPTH_MAX)
        return FAIL(p, open, "parentheses stand more than %d deep", (int)EXPR_DEPTH_MAX);
    rc = expression(p, out);
    p->depth--;
    if (rc != LQ_OK)
        return rc;
    if (!next(p))
        return FAIL(p, open, "this ( is never closed");
    if (p->text[p->at] != ')')
        return FAIL(p, p->at, "'and' or 'or' is missing here");
    p->at++;
    return LQ_OK;
}

static int negation(struct parser *p, struct node **out)
{
    bool negated = false;
    int rc;

    while (take(p, "not"))
        negated = !negated;
    rc = next(p) == '(' ? parenthesised(p, out) : question(p, out);
    return rc == LQ_OK && negated ? negate(p, out) : rc;
}

typedef int rule(struct parser *p, struct node **out);

/* item { word item }. */
static int chain(struct parser *p, struct node **out, const char *word, enum node_kind kind, rule *item)
{
    struct node *all = NULL;
    int rc = item(p, out);

    while (rc == LQ_OK && take(p, word)) {
        struct node *more = NULL;

        if (!all) {
            all = node_new(kind);
            if (!all)
                return error_memory(p->err);
            node_append(all, *out);
            *out = all;
        }
        rc = item(p, &more);
        if (more)
            node_append(all, more);
    }
    return rc;
}

static int conjunction(struct parser *p, struct node **out)
{
    return chain(p, out, "and", NODE_AND, negation);
}

static int expression(struct parser *p, struct node **out)
{
    return chain(p, out, "or", NODE_OR, conjunction);
}

static int whole(struct parser *p, struct node **out)
{
    int rc;

    if (strnlen(p->text, EXPR_BYTES_MAX + 1) > EXPR_BYTES_MAX)
        return FAIL(p, EXPR_BYTES_MAX, "an expression may have at most %d bytes", (int)EXPR_BYTES_MAX);
    if (!next(p))
        return FAIL(p, 0, "the expression is empty; nothing is selected");
    rc = expression(p, out);
    if (rc != LQ_OK || !next(p))
        return rc;
    if (p->text[p->at] == ')')
        return FAIL(p, p->at, "this ) closes nothing");
    return FAIL(p, p->at, "'and' or 'or' is missing here");
}

int expr_parse(struct node **out, const char *text, size_t *at, struct lq_error *err)
{
    struct parser p = { .text = text, .err = err };
    struct node *tree = NULL;
    int rc = whole(&p, &tree);

    if (rc == LQ_OK) {
        *out = tree;
        return rc;
    }
    node_free(tree);
    if (at)
        *at = p.wrong;
    return rc;
}
