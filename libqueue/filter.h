/*
 * What filter.c, the tree, and filter_leaf.c, the questions at its leaves, know of each other.
 *
 * A leaf says yes, no or unknown; unknown names the sections it still wants to see. A new selector is a new row of `selectors`.
 */
#ifndef FILTER_H
#define FILTER_H

#include "addr.h"
#include "engine.h"
#include "units.h"

struct id_set {                 /* open addressing over the texts' hashes; a power of two of slots */
    char **slots;
    size_t n, cap;
};

/* A leaf's compiled argument; which member counts is the selector's business. */
struct operand {
    struct pattern *pattern;
    struct netset *nets;
    struct range range;
    unsigned set;               /* bits of enum state or enum reason_class */
    char *text;
    struct id_set ids;
};

struct selector {
    const char *option;         /* as in sentences */
    uint64_t fields;
    bool names;                 /* repeats OR; else a second one is an error */
    int (*compile)(struct operand *o, const char *arg, struct lq_error *err);
    enum tri (*match)(const struct operand *o, const struct lq_record *r, struct filter_state *state, unsigned *need);
    bool bare;                  /* takes no argument, compiles without one */
};

extern const struct selector selectors[LQ_SEL_COUNT];

void operand_done(struct operand *o);
/* Add one more id to the operand of LQ_SEL_ID. */
int operand_add_id(struct operand *o, const char *id, struct lq_error *err);
/* For match functions that test the name alone. */
bool operand_has_id(const struct operand *o, const char *id, size_t n);

static inline enum tri tri_not(enum tri t)
{
    return t == TRI_UNKNOWN ? t : t == TRI_YES ? TRI_NO : TRI_YES;
}

static inline enum tri tri_from(bool yes)
{
    return yes ? TRI_YES : TRI_NO;
}

/* One of two; a yes of one outweighs that the other is unknown. */
static inline enum tri tri_or(enum tri a, enum tri b)
{
    if (a == TRI_YES || b == TRI_YES)
        return TRI_YES;
    return a == TRI_UNKNOWN || b == TRI_UNKNOWN ? TRI_UNKNOWN : TRI_NO;
}

#endif
