/*
 * A filter written down: as one expression that selects the same, and in words. Quotes whatever could be read as something else.
 */
#include <stdlib.h>
#include <string.h>

#include "expr.h"

/* --- as an expression --- */

/* Plain words need no quotes, but for what could be a pattern where none is meant. */
static bool is_plain(const char *s, enum op op)
{
    static const char fine[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.:+-/";
    const char *more = op == OP_IS ? "" : "@*?<>";
    size_t n = strlen(s), at = 0;

    while (s[at] && (strchr(fine, s[at]) || strchr(more, s[at])))
        at++;
    return n > 0 && at == n && s[0] != '/' && !expr_is_keyword(s, n);
}

static void put_literal(struct buf *b, const char *s, enum op op)
{
    if (is_plain(s, op) || strcmp(s, "<>") == 0) {
        buf_add_str(b, s);
        return;
    }
    buf_add_char(b, '"');
    for (; *s; s++) {
        if (*s == '"' || *s == '\\')
            buf_add_char(b, '\\');
        buf_add_char(b, *s);
    }
    buf_add_char(b, '"');
}

/* a, or (a, b). */
static void put_list(struct buf *b, const char *const *items, size_t n, enum op op)
{
    if (n > 1)
        buf_add_char(b, '(');
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            buf_add_str(b, ", ");
        put_literal(b, items[i], op);
    }
    if (n > 1)
        buf_add_char(b, ')');
}

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* What the leaf compares with, in order; free() the array, not the texts. NULL without memory. */
static const char **literals(const struct operand *o, size_t *n)
{
    const char **items = calloc(o->n + o->ids.n + 1, sizeof(*items));

    *n = 0;
    if (!items)
        return NULL;
    for (size_t i = 0; i < o->n; i++)
        items[(*n)++] = o->tests[i].literal;
    /* Ids of an option have no other order than this. */
    for (size_t i = 0; i < o->ids.cap && o->n == 0; i++)
        if (o->ids.slots[i])
            items[(*n)++] = o->ids.slots[i];
    if (o->n == 0)
        qsort(items, *n, sizeof(*items), compare_texts);
    return items;
}

static bool is_ids(const struct node *n)
{
    return n->selector == &selectors[LQ_SEL_ID];
}

static void put_leaf(struct buf *b, const struct node *n, bool negated)
{
    const struct operand *o = &n->operand;
    enum op op = is_ids(n) && o->n == 0 ? OP_IN : o->op;
    const char *name = is_ids(n) ? field_table[LQ_QUEUE_ID].name : o->place.name;
    bool inside = negated && !o->all && (op == OP_IS || op == OP_IN);     /* != and not in */
    const char **items;
    size_t count;

    if (negated && !inside)
        buf_add_str(b, "not ");
    if (n->selector && n->selector->word) {
        buf_add_str(b, n->selector->word);
        return;
    }
    buf_printf(b, "%s%s%s", o->all ? "all " : "", op == OP_HAS && kind_is_number(o->place.kind) ? "has " : "", name);
    if (op == OP_HAS)
        return;
    items = literals(o, &count);
    buf_printf(b, " %s%s ", inside && op == OP_IN ? "not " : "", inside && op == OP_IS ? "!=" : op_names[op]);
    if (items)
        put_list(b, items, count, op);
    else
        b->failed = true;
    free(items);
}

/* An AND or OR of one is that one. */
static const struct node *unwrapped(const struct node *n)
{
    while ((n->kind == NODE_AND || n->kind == NODE_OR) && n->first && !n->first->next)
        n = n->first;
    return n;
}

static void put_node(struct buf *b, const struct node *n, enum node_kind above)
{
    bool wrap;

    n = unwrapped(n);
    if (n->kind == NODE_LEAF) {
        put_leaf(b, n, n->operand.negated);
        return;
    }
    if (n->kind == NODE_NOT) {
        const struct node *inner = unwrapped(n->first);

        if (inner->kind == NODE_LEAF) {
            put_leaf(b, inner, !inner->operand.negated);
            return;
        }
        if (inner->kind == NODE_NOT) {
            put_node(b, inner->first, above);
            return;
        }
        buf_add_str(b, "not ");
        put_node(b, inner, NODE_NOT);
        return;
    }
    wrap = above == NODE_NOT || (above == NODE_AND && n->kind == NODE_OR);
    buf_add_str(b, wrap ? "(" : "");
    for (const struct node *c = n->first; c; c = c->next) {
        if (c != n->first)
            buf_add_str(b, n->kind == NODE_AND ? " and " : " or ");
        put_node(b, c, n->kind);
    }
    buf_add_str(b, wrap ? ")" : "");
}

int lq_filter_text(const struct lq_filter *f, char **out, struct lq_error *err)
{
    struct buf b = { 0 };

    if (!unwrapped(filter_root(f))->first && unwrapped(filter_root(f))->kind == NODE_AND)
        return error_set(err, LQ_EINVAL, "nothing was asked: there is no expression for every message");
    put_node(&b, filter_root(f), NODE_OR);
    buf_add_char(&b, '\0');
    if (b.failed) {
        buf_done(&b);
        return error_memory(err);
    }
    *out = b.p;
    return LQ_OK;
}

/* --- in words --- */

static const char *const op_words[OP_COUNT] = {
    [OP_IS] = "is exactly", [OP_REGEX] = "fits the regular expression", [OP_LESS] = "less than", [OP_MOST] = "at most",
    [OP_MORE] = "more than", [OP_LEAST] = "at least",
};

/* What a pattern means by its first characters: as pattern.c reads it. */
static void put_pattern(struct buf *b, const char *s, enum kind kind)
{
    size_t n = strlen(s);

    if (s[0] == '=')
        buf_printf(b, "is exactly %s", s + 1);
    else if (n > 1 && s[0] == '/' && s[n - 1] == '/')
        buf_printf(b, "fits the regular expression %s", s);
    else if (kind == KIND_ADDRESS && strcmp(s, "<>") == 0)
        buf_add_str(b, "is the null sender");
    else if (kind != KIND_TEXT && strncmp(s, "@.", 2) == 0)
        buf_printf(b, "is in the domain %s or below it", s + 2);
    else if (kind != KIND_TEXT && s[0] == '@')
        buf_printf(b, "is in the domain %s", s + 1);
    else if (strpbrk(s, "*?"))
        buf_printf(b, "fits %s as a whole", s);
    else
        buf_printf(b, kind == KIND_USER && !strchr(s, '@') ? "is %s, or %s before an @" : "is %s", s, s);
}

static void put_test(struct buf *b, const struct operand *o, const char *literal)
{
    enum kind kind = o->place.kind;
    bool pattern = o->op == OP_FITS || o->op == OP_IN;

    if (kind == KIND_IP && pattern && !strpbrk(literal, "*?"))
        buf_printf(b, "is in %s", literal);
    else if (pattern && (kind == KIND_TEXT || kind == KIND_ADDRESS || kind == KIND_USER || kind == KIND_IP))
        put_pattern(b, literal, kind);
    else if (pattern)
        buf_printf(b, strstr(literal, "..") ? "is between %s" : "is %s", literal);
    else
        buf_printf(b, "%s %s", op_words[o->op], literal);
}

static void put_where(struct buf *b, const struct place *p)
{
    buf_add_str(b, p->name);
    if (p->both && p->field2 == LQ_LOCAL_USER)
        buf_add_str(b, " (account or local login)");
    else if (p->both)
        buf_add_str(b, " (the message's latest, or a recipient's)");
}

static void leaf_words(struct buf *b, const struct node *n)
{
    const struct operand *o = &n->operand;
    size_t count;

    if (n->selector && n->selector->told) {
        buf_add_str(b, n->selector->told);
        return;
    }
    if (is_ids(n)) {
        const char **items = o->ids.n == 1 ? literals(o, &count) : NULL;

        if (items)
            buf_printf(b, "queue_id is %s", items[0]);
        else
            buf_printf(b, "queue_id is one of the %zu given", o->ids.n);
        free(items);
        return;
    }
    buf_add_str(b, o->place.list ? o->all ? "all of " : "any of " : "");
    put_where(b, &o->place);
    buf_add_char(b, ' ');
    if (o->op == OP_HAS)
        buf_add_str(b, o->place.kind == KIND_BOOL ? "is true" : kind_is_number(o->place.kind) ? "is known" : "is there, and not empty");
    for (size_t i = 0; i < o->n; i++) {
        buf_add_str(b, i > 0 ? ", or " : "");
        put_test(b, o, o->tests[i].literal);
    }
}

struct telling {
    lq_line_fn *tell;
    void *ctx;
    bool failed;
};

static void tell_leaf(struct telling *t, unsigned depth, const struct node *n, bool negated)
{
    struct buf b = { 0 };

    leaf_words(&b, n);
    if (negated) {
        struct buf opposite = { 0 };

        buf_add_str(&opposite, "not: ");
        buf_add(&opposite, b.p, b.n);
        opposite.failed |= b.failed;
        buf_done(&b);
        b = opposite;
    }
    buf_add_char(&b, '\0');
    if (b.failed)
        t->failed = true;
    else
        t->tell(t->ctx, depth, b.p);
    buf_done(&b);
}

static void tell_node(struct telling *t, unsigned depth, const struct node *n);

/* An AND in an AND is one. */
static void tell_children(struct telling *t, unsigned depth, const struct node *n)
{
    for (const struct node *c = n->first; c; c = c->next) {
        const struct node *child = unwrapped(c);

        if (child->kind == n->kind && n->kind != NODE_NOT)
            tell_children(t, depth, child);
        else
            tell_node(t, depth, child);
    }
}

static void tell_node(struct telling *t, unsigned depth, const struct node *n)
{
    n = unwrapped(n);
    if (n->kind == NODE_LEAF) {
        tell_leaf(t, depth, n, n->operand.negated);
    } else if (n->kind == NODE_NOT && unwrapped(n->first)->kind == NODE_LEAF) {
        tell_leaf(t, depth, unwrapped(n->first), !unwrapped(n->first)->operand.negated);
    } else {
        t->tell(t->ctx, depth, n->kind == NODE_NOT ? "not:" : n->kind == NODE_OR ? "any of these:" : "all of these:");
        tell_children(t, depth + 1, n);
    }
}

int lq_filter_explain(const struct lq_filter *f, lq_line_fn *tell, void *ctx, struct lq_error *err)
{
    struct telling t = { tell, ctx, false };
    const struct node *root = unwrapped(filter_root(f));

    if (root->kind == NODE_AND && !root->first)
        tell(ctx, 0, "every message");
    else
        tell_node(&t, 0, root);
    return t.failed ? error_memory(err) : LQ_OK;
}

unsigned lq_filter_parts(const struct lq_filter *f)
{
    return fields_sections(filter_fields(f));
}
