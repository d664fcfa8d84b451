/*
 * What the parts of a filter know of each other: filter.c, the tree; filter_leaf.c, the options as leaves; filter_place.c, what a
 * leaf looks at and how it compares; filter_text.c, a tree as text; expr.c, text as a tree.
 *
 * A leaf says yes, no or unknown; unknown names the sections it still wants to see.
 */
#ifndef FILTER_H
#define FILTER_H

#include "addr.h"
#include "buf.h"
#include "engine.h"
#include "units.h"

/* --- where a leaf looks --- */

/* How values of a place are compared, and what is typed for them. */
enum kind {
    KIND_TEXT,          /* patterns of text */
    KIND_ADDRESS,       /* patterns of addresses */
    KIND_USER,          /* patterns of accounts */
    KIND_NAME,          /* names of the queue's own (ids, paths): case counts */
    KIND_IP,            /* networks */
    KIND_WORD,          /* one of a few words */
    KIND_SIZE, KIND_COUNT, KIND_TIME, KIND_AGE,
    KIND_BOOL,
    KIND_LIST           /* of things with parts: only whether there are any */
};

static inline bool kind_is_number(enum kind kind)
{
    return kind == KIND_SIZE || kind == KIND_COUNT || kind == KIND_TIME || kind == KIND_AGE;
}

/* Which part of a field's value, or of each element of a list. */
enum part {
    PART_SELF, PART_DOMAIN,
    PART_AGE,           /* a time, counted from now */
    PART_COUNT,         /* of recipients */
    PART_REASON, PART_CODE, PART_ORIG,                  /* of a recipient */
    PART_BY, PART_FROM, PART_HELO, PART_ADDRESS, PART_WITH, PART_ID, PART_TRUST, PART_TIME     /* of a hop */
};

struct words {
    const char *const *names;
    unsigned from, count;       /* names[from] … names[count - 1] */
    const char *noun;
};

enum { PLACE_NAME_MAX = 80 };

struct place {
    char name[PLACE_NAME_MAX];  /* as expressions have it */
    enum lq_field field;
    enum part part;
    enum kind kind;
    bool list;                  /* many values: any and all make a difference */
    bool both;                  /* also field2, part2: either counts */
    enum lq_field field2;
    enum part part2;
    const struct words *words;  /* of KIND_WORD */
};

/* The place of a name or alias. LQ_EINVAL with a sentence that offers the nearest name. */
int place_find(struct place *out, const char *name, struct lq_error *err);
/* Fields that must be wanted so that the place is filled. */
uint64_t place_fields(const struct place *p);

/* --- what it compares with --- */

/* OP_HAS has no literal: the value is there and not empty (of texts and lists), or true. */
enum op { OP_HAS, OP_IS, OP_FITS, OP_REGEX, OP_LESS, OP_MOST, OP_MORE, OP_LEAST, OP_IN, OP_COUNT };
extern const char *const op_names[OP_COUNT];

/* One literal, compiled. Which member counts, the kind and the operator say. */
struct test {
    char *literal;
    struct pattern *pattern;
    struct netset *nets;
    struct range range;
};

struct id_set {                 /* open addressing over the texts' hashes; a power of two of slots */
    char **slots;
    size_t n, cap;
};

/* A leaf: where it looks, what it compares with. */
struct operand {
    struct place place;
    enum op op;
    bool all;                   /* all values of a list, and at least one; else any */
    bool negated;               /* whatever it says, the opposite; unknown stays */
    struct test *tests;         /* one must fit */
    size_t n;
    /* For selectors with a compile() and match() of their own: */
    struct pattern *pattern;
    struct netset *nets;
    struct range range;
    unsigned set;
    char *text;
    struct id_set ids;
};

/*
 * Add what the place's values are compared with by the operand's op. bare: the literal stood without quotes, so what looks like a pattern
 * was meant as one. LQ_EINVAL with a sentence.
 */
int operand_add(struct operand *o, const char *literal, bool bare, struct lq_error *err);
enum tri operand_match(const struct operand *o, const struct lq_record *r, struct filter_state *state, unsigned *need);
void operand_done(struct operand *o);
/* Sentence for an operator that this kind does not know; LQ_OK if it does. */
int operand_fits_kind(const struct operand *o, struct lq_error *err);

/* --- options as leaves --- */

struct selector {
    const char *option;         /* as in sentences */
    uint64_t fields;
    bool names;                 /* repeats OR; else a second one is an error */
    /* NULL: the leaf is place, op and argument of this row */
    int (*compile)(struct operand *o, const char *arg, struct lq_error *err);
    enum tri (*match)(const struct operand *o, const struct lq_record *r, struct filter_state *state, unsigned *need);
    bool bare;                  /* takes no argument */
    const char *place;
    enum op op;
    const char *fixed;          /* what a bare one compares with */
    bool all, negated;
    /* Of one that is no comparison: its name in an expression, and what it asks in words. */
    const char *word, *told;
};

extern const struct selector selectors[LQ_SEL_COUNT];

/* Compile a selector's argument (NULL: none) into an empty operand. */
int selector_compile(struct operand *o, const struct selector *s, const char *arg, struct lq_error *err);
/* Add one more id to the operand of LQ_SEL_ID. */
int operand_add_id(struct operand *o, const char *id, struct lq_error *err);
/* For match functions that test the name alone. */
bool operand_has_id(const struct operand *o, const char *id, size_t n);
/* The field has no value: is that known? Unread sections are named in *need. */
enum tri filter_absent(const struct lq_record *r, enum lq_field f, unsigned *need);
/* A pattern against a text; a limit reached is noted in the state. */
enum tri filter_text_fits(const struct pattern *p, struct lq_str s, struct filter_state *state);

/* --- the message's own words: filter_content.c --- */

/* "header.NAME", in any case. */
bool content_is_header(const char *name);
int content_header_place(struct place *out, const char *name, struct lq_error *err);
/* Loads the library that reads bodies; LQ_EINVAL with a sentence where there is none. */
int content_body_place(struct place *out, struct lq_error *err);
/* -H NAME:PATTERN. */
int content_compile_header(struct operand *o, const char *arg, struct lq_error *err);
enum tri content_match_header(const struct operand *o, const struct lq_record *r, struct filter_state *state, unsigned *need);
enum tri content_match_body(const struct operand *o, const struct lq_record *r, struct filter_state *state, unsigned *need);
/* Whether one text is what the operand asks for, whatever `all` and `negated` say. */
enum tri operand_fits_text(const struct operand *o, struct lq_str s, struct filter_state *state);

/* --- the tree --- */

enum node_kind { NODE_AND, NODE_OR, NODE_NOT, NODE_LEAF };

struct node {
    enum node_kind kind;
    struct node *first, *last, *next;   /* children of AND, OR and NOT; siblings */
    const struct selector *selector;    /* of a leaf that matches in its own way; NULL: operand_match() */
    struct operand operand;
};

struct node *node_new(enum node_kind kind);
void node_free(struct node *n);
void node_append(struct node *parent, struct node *child);
uint64_t node_fields(const struct node *n);

/* All ids that the filter may select, where it names them one by one (slots may be empty); NULL: any. */
const struct id_set *filter_ids(const struct lq_filter *f);
/* The root of a filter, for who writes it down. */
const struct node *filter_root(const struct lq_filter *f);

/* --- three values --- */

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
