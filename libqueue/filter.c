/*
 * Selection: a tree of and, or, not and leaves, evaluated lazily and in three values.
 *
 * What stays unknown after all was read that a leaf asked for is never selected, not by a negation either. What leaves ask stands in
 * filter_leaf.c; a new grammar is a new way to build the tree.
 */
#include <stdlib.h>

#include "expr.h"

struct lq_filter {
    struct node *root;          /* an AND of one OR per selector; below `inverse` when inverted */
    struct node *inverse;       /* a NOT kept ready, so that inverting cannot fail */
    struct node *groups[LQ_SEL_COUNT];
};

unsigned fields_sections(uint64_t fields)
{
    unsigned sections = SEC_NAME;

    for (unsigned f = 0; f < LQ_FIELD_COUNT; f++)
        if (fields >> f & 1)
            sections |= field_table[f].sections;
    return sections;
}

/* --- the tree --- */

void node_free(struct node *n)
{
    while (n) {
        struct node *next = n->next;

        node_free(n->first);
        operand_done(&n->operand);
        free(n);
        n = next;
    }
}

struct node *node_new(enum node_kind kind)
{
    struct node *n = calloc(1, sizeof(*n));

    if (n)
        n->kind = kind;
    return n;
}

void node_append(struct node *parent, struct node *child)
{
    if (parent->last)
        parent->last->next = child;
    else
        parent->first = child;
    parent->last = child;
}

static uint64_t leaf_fields(const struct node *n)
{
    return n->selector && n->selector->match ? n->selector->fields : place_fields(&n->operand.place);
}

uint64_t node_fields(const struct node *n)
{
    uint64_t fields = n->kind == NODE_LEAF ? leaf_fields(n) : 0;

    for (const struct node *c = n->first; c; c = c->next)
        fields |= node_fields(c);
    return fields;
}

const struct node *filter_root(const struct lq_filter *f)
{
    return f->root;
}

int lq_filter_new(struct lq_filter **out, struct lq_error *err)
{
    struct lq_filter *f = calloc(1, sizeof(*f));

    if (f) {
        f->root = node_new(NODE_AND);
        f->inverse = node_new(NODE_NOT);
    }
    if (!f || !f->root || !f->inverse) {
        lq_filter_free(f);
        return error_memory(err);
    }
    *out = f;
    return LQ_OK;
}

void lq_filter_free(struct lq_filter *f)
{
    if (f) {
        if (f->root != f->inverse)
            node_free(f->inverse);
        node_free(f->root);
    }
    free(f);
}

bool lq_filter_empty(const struct lq_filter *f)
{
    return f->root->kind == NODE_AND && !f->root->first;
}

void lq_filter_invert(struct lq_filter *f)
{
    if (f->root == f->inverse) {
        f->root = f->inverse->first;
        f->inverse->first = NULL;
    } else {
        f->inverse->first = f->root;
        f->root = f->inverse;
    }
}

/* Where a leaf belongs: with those of its selector; of header fields, with those of the same name. */
static struct node *find_group(const struct lq_filter *f, enum lq_selector sel, const struct operand *o)
{
    if (sel != LQ_SEL_HEADER || !f->groups[sel])
        return f->groups[sel];
    for (struct node *c = f->root->first; c; c = c->next)
        if (c->kind == NODE_OR && c->first->kind == NODE_LEAF && c->first->selector == &selectors[sel] &&
            strcmp(c->first->operand.place.name, o->place.name) == 0)
            return c;
    return NULL;
}

static int add_leaf(struct lq_filter *f, enum lq_selector sel, const char *arg, struct lq_error *err)
{
    struct node *leaf = node_new(NODE_LEAF), *group = NULL;
    int rc;

    if (!leaf)
        return error_memory(err);
    leaf->selector = &selectors[sel];
    rc = selector_compile(&leaf->operand, &selectors[sel], arg, err);
    if (rc == LQ_OK)
        group = find_group(f, sel, &leaf->operand);
    if (rc == LQ_OK && !group) {
        group = node_new(NODE_OR);
        if (group)
            node_append(f->root, group);
        else
            rc = error_memory(err);
        f->groups[sel] = group;
    }
    if (rc == LQ_OK)
        node_append(group, leaf);
    else
        node_free(leaf);
    return rc;
}

int lq_filter_add(struct lq_filter *f, enum lq_selector sel, const char *arg, struct lq_error *err)
{
    const struct selector *s;

    if (sel >= LQ_SEL_COUNT || f->root->kind != NODE_AND)
        return error_set(err, LQ_EINVAL, "no such selector, or the filter was inverted already");
    s = &selectors[sel];
    if (arg && *arg == '\0')
        return error_set(err, LQ_EINVAL, "%s has an empty argument; nothing is selected (is a shell variable unset?)", s->option);
    if (!s->bare && !arg)
        return error_set(err, LQ_EINVAL, "%s needs an argument", s->option);
    if (!s->names && f->groups[sel])
        return error_set(err, LQ_EINVAL, "%s was given twice; say a range as A..B", s->option);
    /* All ids are one leaf: a list of 100,000 must not be a chain of comparisons. */
    if (sel == LQ_SEL_ID && f->groups[sel])
        return operand_add_id(&f->groups[sel]->first->operand, arg, err);
    return add_leaf(f, sel, arg, err);
}

int lq_filter_expression(struct lq_filter *f, const char *text, size_t *at, struct lq_error *err)
{
    struct node *tree;
    int rc;

    if (at)
        *at = 0;
    if (f->root->kind != NODE_AND)
        return error_set(err, LQ_EINVAL, "the filter was inverted already");
    rc = expr_parse(&tree, text, at, err);
    if (rc == LQ_OK)
        node_append(f->root, tree);
    return rc;
}

/* Whether a leaf below counts from now. */
static bool asks_now(const struct node *n)
{
    if (n->kind == NODE_LEAF && n->operand.place.part == PART_AGE)
        return true;
    for (const struct node *c = n->first; c; c = c->next)
        if (asks_now(c))
            return true;
    return false;
}

bool lq_filter_asks_now(const struct lq_filter *f)
{
    return asks_now(f->root);
}

uint64_t filter_fields(const struct lq_filter *f)
{
    return node_fields(f->root);
}

/* False when no message of this id can fit. What looks at more than the id may. */
static bool may_have(const struct node *n, const char *id, size_t size)
{
    bool may = n->kind != NODE_OR;

    if (n->kind == NODE_LEAF)
        return n->selector != &selectors[LQ_SEL_ID] || operand_has_id(&n->operand, id, size);
    if (n->kind == NODE_NOT)
        return true;
    for (const struct node *c = n->first; c && may == (n->kind == NODE_AND); c = c->next)
        may = may_have(c, id, size);
    return may;
}

bool filter_may_have(const struct lq_filter *f, const char *id, size_t n)
{
    return may_have(f->root, id, n);
}

const struct id_set *filter_ids(const struct lq_filter *f)
{
    for (const struct node *n = f->root->first; n && f->root->kind == NODE_AND; n = n->next)
        if (n->kind == NODE_OR && n->first && !n->first->next && n->first->kind == NODE_LEAF &&
            n->first->selector == &selectors[LQ_SEL_ID])
            return &n->first->operand.ids;
    return NULL;
}

static enum tri eval(const struct node *n, const struct lq_record *r, struct filter_state *state, unsigned *need)
{
    enum tri all, stop;

    if (n->kind == NODE_LEAF && n->selector && n->selector->match)
        return n->selector->match(&n->operand, r, state, need);
    if (n->kind == NODE_LEAF)
        return operand_match(&n->operand, r, state, need);
    if (n->kind == NODE_NOT)
        return tri_not(eval(n->first, r, state, need));
    all = n->kind == NODE_AND ? TRI_YES : TRI_NO;
    stop = tri_not(all);
    for (const struct node *c = n->first; c; c = c->next) {
        enum tri t = eval(c, r, state, need);

        if (t == stop)
            return t;
        if (t == TRI_UNKNOWN)
            all = TRI_UNKNOWN;
    }
    return all;
}

enum tri filter_eval(const struct lq_filter *f, const struct lq_record *r, struct filter_state *state, unsigned *need)
{
    enum tri t;

    *need = 0;
    t = eval(f->root, r, state, need);
    if (t != TRI_UNKNOWN)
        *need = 0;
    return t;
}
