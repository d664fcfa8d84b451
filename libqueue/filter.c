/*
 * Selection: a tree of and, or, not and leaves, evaluated lazily and in three values.
 *
 * A leaf says yes, no or unknown; unknown names the sections it still wants to see. What stays unknown after they were read
 * is never selected, not by a negation either. A new selector is a new row of `selectors`; a new grammar is a new way to build the tree.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "addr.h"
#include "engine.h"
#include "reason.h"
#include "units.h"

struct ids {                    /* open addressing over the texts' hashes; a power of two of slots */
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
    struct ids ids;
};

struct selector {
    const char *option;         /* as in sentences */
    uint64_t fields;
    bool names;                 /* repeats OR; else a second one is an error */
    int (*compile)(struct operand *o, const char *arg, struct lq_error *err);
    enum tri (*match)(const struct operand *o, const struct lq_record *r, struct filter_state *state, unsigned *need);
};

enum node_kind { NODE_AND, NODE_OR, NODE_NOT, NODE_LEAF };

struct node {
    enum node_kind kind;
    struct node *first, *next;  /* children of AND, OR and NOT; siblings */
    const struct selector *selector;
    struct operand operand;
};

struct lq_filter {
    struct node *root;          /* an AND of one OR per selector; below `inverse` when inverted */
    struct node *inverse;       /* a NOT kept ready, so that inverting cannot fail */
    struct node *groups[LQ_SEL_COUNT];
};

static enum tri tri_not(enum tri t)
{
    return t == TRI_UNKNOWN ? t : t == TRI_YES ? TRI_NO : TRI_YES;
}

static enum tri tri_from(bool yes)
{
    return yes ? TRI_YES : TRI_NO;
}

unsigned fields_sections(uint64_t fields)
{
    unsigned sections = SEC_NAME;

    for (unsigned f = 0; f < LQ_FIELD_COUNT; f++)
        if (fields >> f & 1)
            sections |= field_table[f].sections;
    return sections;
}

/* --- what leaves ask of a record --- */

/* The field has no value: is that known? Unread sections are named in *need. */
static enum tri absent(const struct lq_record *r, enum lq_field f, unsigned *need)
{
    unsigned sections = field_table[f].sections;

    if ((r->have & sections) != sections) {
        *need |= sections & ~r->have;
        return TRI_UNKNOWN;
    }
    return r->broken & sections ? TRI_UNKNOWN : TRI_NO;
}

static enum tri match_str(const struct pattern *p, struct lq_str s, struct filter_state *state)
{
    switch (pattern_match(p, bytes_from(s.p, s.n), &state->scratch)) {
    case PATTERN_YES:
        return TRI_YES;
    case PATTERN_NO:
        return TRI_NO;
    default:
        return TRI_UNKNOWN;
    }
}

static enum tri match_text(const struct operand *o, const struct lq_record *r, enum lq_field f, struct filter_state *state,
                           unsigned *need)
{
    if (!record_is_set(r, f))
        return absent(r, f, need);
    /* Its end could make a pattern fit, or not. */
    if (r->cut & LQ_FIELD_BIT(f))
        return TRI_UNKNOWN;
    return match_str(o->pattern, r->value[f].text, state);
}

#define TEXT_LEAF(name, field)                                                                              \
    static enum tri name(const struct operand *o, const struct lq_record *r, struct filter_state *state,    \
                         unsigned *need)                                                                    \
    {                                                                                                       \
        return match_text(o, r, field, state, need);                                                        \
    }

TEXT_LEAF(match_sender, LQ_SENDER)
TEXT_LEAF(match_subject, LQ_SUBJECT)
TEXT_LEAF(match_helo, LQ_HELO_NAME)
TEXT_LEAF(match_client_name, LQ_CLIENT_NAME)
TEXT_LEAF(match_protocol, LQ_PROTOCOL_NAME)

/* Either of two fields; a yes of one outweighs that the other is unknown. */
static enum tri either(enum tri a, enum tri b)
{
    if (a == TRI_YES || b == TRI_YES)
        return TRI_YES;
    return a == TRI_UNKNOWN || b == TRI_UNKNOWN ? TRI_UNKNOWN : TRI_NO;
}

static enum tri match_user(const struct operand *o, const struct lq_record *r, struct filter_state *state, unsigned *need)
{
    return either(match_text(o, r, LQ_AUTH_USER, state, need), match_text(o, r, LQ_LOCAL_USER, state, need));
}

/* An address that there was no room for is unknown. */
static enum tri match_rcpt(const struct operand *o, const struct lq_recipient *rcpt, struct filter_state *state)
{
    return rcpt->address.p ? match_str(o->pattern, rcpt->address, state) : TRI_UNKNOWN;
}

static enum tri match_recipient(const struct operand *o, const struct lq_record *r, struct filter_state *state, unsigned *need)
{
    enum tri all = TRI_NO;

    for (size_t i = 0; i < r->recipients.n && all != TRI_YES; i++)
        all = either(all, match_rcpt(o, &r->recipients.items[i], state));
    return all == TRI_YES ? all : either(all, absent(r, LQ_RECIPIENT, need));
}

/* All pending recipients, and at least one: a message without any is not "all of theirs". */
static enum tri match_recipient_all(const struct operand *o, const struct lq_record *r, struct filter_state *state,
                                    unsigned *need)
{
    enum tri other = TRI_NO;        /* is there one that does not fit? */

    for (size_t i = 0; i < r->recipients.n && other != TRI_YES; i++)
        other = either(other, tri_not(match_rcpt(o, &r->recipients.items[i], state)));
    if (other == TRI_YES)
        return TRI_NO;
    other = either(other, absent(r, LQ_RECIPIENT, need));
    return other == TRI_NO ? tri_from(r->recipients.n > 0) : TRI_UNKNOWN;
}

static enum tri match_reason(const struct operand *o, const struct lq_record *r, struct filter_state *state, unsigned *need)
{
    enum tri any = match_text(o, r, LQ_REASON, state, need);

    for (size_t i = 0; i < r->recipients.n && any != TRI_YES; i++)
        if (r->recipients.items[i].delay_reason.p)
            any = either(any, match_str(o->pattern, r->recipients.items[i].delay_reason, state));
    return any;
}

static enum tri match_client(const struct operand *o, const struct lq_record *r, struct filter_state *state, unsigned *need)
{
    struct ip ip;
    struct lq_str s = r->value[LQ_CLIENT_ADDRESS].text;

    (void)state;
    if (!record_is_set(r, LQ_CLIENT_ADDRESS))
        return absent(r, LQ_CLIENT_ADDRESS, need);
    return tri_from(ip_parse(bytes_from(s.p, s.n), &ip) && netset_has(o->nets, &ip));
}

static enum tri in_range(const struct operand *o, const struct lq_record *r, enum lq_field f, unsigned *need)
{
    if (!record_is_set(r, f))
        return absent(r, f, need);
    return tri_from(r->value[f].number >= o->range.low && r->value[f].number <= o->range.high);
}

#define RANGE_LEAF(name, field)                                                                             \
    static enum tri name(const struct operand *o, const struct lq_record *r, struct filter_state *state,    \
                         unsigned *need)                                                                    \
    {                                                                                                       \
        (void)state;                                                                                        \
        return in_range(o, r, field, need);                                                                 \
    }

RANGE_LEAF(match_size, LQ_MESSAGE_SIZE)
RANGE_LEAF(match_attempts, LQ_ATTEMPTS)
RANGE_LEAF(match_since, LQ_ARRIVAL_TIME)
RANGE_LEAF(match_until, LQ_ARRIVAL_TIME)

/* Younger and older part the queue in two: an age equal to the limit is old. */
static enum tri match_younger(const struct operand *o, const struct lq_record *r, struct filter_state *state, unsigned *need)
{
    if (!record_is_set(r, LQ_ARRIVAL_TIME))
        return absent(r, LQ_ARRIVAL_TIME, need);
    /* Compared without subtracting: the arrival is a number from a file. */
    return tri_from(r->value[LQ_ARRIVAL_TIME].number > state->now - o->range.low);
}

static enum tri match_older(const struct operand *o, const struct lq_record *r, struct filter_state *state, unsigned *need)
{
    return tri_not(match_younger(o, r, state, need));
}

static enum tri match_rcpts(const struct operand *o, const struct lq_record *r, struct filter_state *state, unsigned *need)
{
    int64_t n = (int64_t)r->recipients.counted;

    (void)state;
    if (!(r->have & SEC_CONTROL) || !(r->broken & SEC_CONTROL))
        return absent(r, LQ_RECIPIENT, need) == TRI_NO ? tri_from(n >= o->range.low && n <= o->range.high) : TRI_UNKNOWN;
    /* Of a damaged message the count is the least there can be. */
    if (n > o->range.high)
        return TRI_NO;
    return n >= o->range.low && o->range.high == INT64_MAX ? TRI_YES : TRI_UNKNOWN;
}

static enum tri state_known(const struct lq_record *r, unsigned *need)
{
    return r->state != STATE_NONE && (r->have & field_table[LQ_STATE].sections) == field_table[LQ_STATE].sections
               ? TRI_YES : either(TRI_UNKNOWN, absent(r, LQ_STATE, need));
}

static enum tri match_state(const struct operand *o, const struct lq_record *r, struct filter_state *state, unsigned *need)
{
    (void)state;
    return state_known(r, need) == TRI_YES ? tri_from(o->set >> r->state & 1) : TRI_UNKNOWN;
}

static enum tri match_class(const struct operand *o, const struct lq_record *r, struct filter_state *state, unsigned *need)
{
    struct lq_str s = r->value[LQ_REASON_CLASS].text;

    (void)state;
    if (!record_is_set(r, LQ_REASON_CLASS))
        return absent(r, LQ_REASON_CLASS, need);
    for (unsigned c = 0; c < REASON_COUNT; c++)
        if (o->set >> c & 1 && strcmp(s.p, reason_class_names[c]) == 0)
            return TRI_YES;
    return TRI_NO;
}

static enum tri match_queue(const struct operand *o, const struct lq_record *r, struct filter_state *state, unsigned *need)
{
    (void)state;
    if (!record_is_set(r, LQ_QUEUE_NAME))
        return absent(r, LQ_QUEUE_NAME, need);
    return tri_from(strcmp(r->value[LQ_QUEUE_NAME].text.p, o->text) == 0);
}

static enum tri match_bounces(const struct operand *o, const struct lq_record *r, struct filter_state *state, unsigned *need)
{
    (void)o;
    (void)state;
    if (!record_is_set(r, LQ_SENDER))
        return absent(r, LQ_SENDER, need);
    return tri_from(r->value[LQ_SENDER].text.n == 0);
}

static enum tri match_local(const struct operand *o, const struct lq_record *r, struct filter_state *state, unsigned *need)
{
    (void)o;
    (void)state;
    return r->flags >> FLAG_LOCAL & 1 ? TRI_YES : absent(r, LQ_LOCAL_USER, need);
}

/* A message that is being received is not damaged, however it looks. */
static enum tri match_damaged(const struct operand *o, const struct lq_record *r, struct filter_state *state, unsigned *need)
{
    const unsigned sections = field_table[LQ_PROBLEMS].sections;    /* logs, too: the answer must not depend on what else is asked */

    (void)o;
    (void)state;
    if ((r->have & sections) != sections) {
        *need |= sections & ~r->have;
        return TRI_UNKNOWN;
    }
    return tri_from(r->problems.n > 0 && r->state != STATE_RECEIVING);
}

/* --- ids --- */

static size_t hash(const char *p, size_t n)
{
    uint64_t h = UINT64_C(14695981039346656037);

    for (size_t i = 0; i < n; i++)
        h = (h ^ (unsigned char)p[i]) * UINT64_C(1099511628211);
    return (size_t)(h ^ h >> 32);
}

static size_t id_slot(const struct ids *ids, const char *p, size_t n)
{
    size_t i = hash(p, n) & (ids->cap - 1);

    while (ids->slots[i] && (strlen(ids->slots[i]) != n || memcmp(ids->slots[i], p, n) != 0))
        i = (i + 1) & (ids->cap - 1);
    return i;
}

static int ids_add(struct ids *ids, const char *id)
{
    size_t at;
    char *copy;

    if (ids->n * 2 >= ids->cap) {
        struct ids more = { .cap = ids->cap ? ids->cap * 2 : 64, .n = ids->n };

        more.slots = calloc(more.cap, sizeof(*more.slots));
        if (!more.slots)
            return -1;
        for (size_t i = 0; i < ids->cap; i++)
            if (ids->slots[i])
                more.slots[id_slot(&more, ids->slots[i], strlen(ids->slots[i]))] = ids->slots[i];
        free(ids->slots);
        *ids = more;
    }
    at = id_slot(ids, id, strlen(id));
    if (ids->slots[at])
        return 0;
    copy = strdup(id);
    if (!copy)
        return -1;
    ids->slots[at] = copy;
    ids->n++;
    return 0;
}

static enum tri match_id(const struct operand *o, const struct lq_record *r, struct filter_state *state, unsigned *need)
{
    struct lq_str id = r->value[LQ_QUEUE_ID].text;

    (void)state;
    (void)need;
    return tri_from(o->ids.n > 0 && o->ids.slots[id_slot(&o->ids, id.p, id.n)] != NULL);
}

/* --- compiling arguments --- */

static int compile_address(struct operand *o, const char *arg, struct lq_error *err)
{
    return pattern_compile(&o->pattern, PATTERN_ADDRESS, arg, err);
}

static int compile_user(struct operand *o, const char *arg, struct lq_error *err)
{
    return pattern_compile(&o->pattern, PATTERN_USER, arg, err);
}

static int compile_text(struct operand *o, const char *arg, struct lq_error *err)
{
    return pattern_compile(&o->pattern, PATTERN_TEXT, arg, err);
}

static int compile_client(struct operand *o, const char *arg, struct lq_error *err)
{
    return netset_parse(&o->nets, arg, err);
}

static int compile_size(struct operand *o, const char *arg, struct lq_error *err)
{
    return units_size(&o->range, arg, err);
}

static int compile_count(struct operand *o, const char *arg, struct lq_error *err)
{
    return units_count(&o->range, arg, err);
}

static int compile_age(struct operand *o, const char *arg, struct lq_error *err)
{
    return units_age(&o->range.low, arg, err);
}

static int compile_since(struct operand *o, const char *arg, struct lq_error *err)
{
    o->range.high = INT64_MAX;
    return units_time(&o->range.low, arg, err);
}

static int compile_until(struct operand *o, const char *arg, struct lq_error *err)
{
    o->range.low = INT64_MIN;
    return units_time(&o->range.high, arg, err);
}

/* A comma list of words from a table; *set gets their bits. */
static int compile_words(unsigned *set, const char *arg, const char *const *words, unsigned from, unsigned count,
                         const char *what, struct lq_error *err)
{
    for (const char *p = arg;; p++) {
        size_t n = strcspn(p, ",");
        unsigned w = from;

        while (w < count && !(strlen(words[w]) == n && memcmp(words[w], p, n) == 0))
            w++;
        if (w == count) {
            char all[256] = "";

            for (unsigned i = from; i < count; i++) {
                strcat(all, i > from ? " " : "");
                strcat(all, words[i]);
            }
            return error_set(err, LQ_EINVAL, "unknown %s '%.*s'; known are: %s", what, (int)(n < 100 ? n : 100), p, all);
        }
        *set |= 1u << w;
        p += n;
        if (*p == '\0')
            return LQ_OK;
    }
}

static int compile_state(struct operand *o, const char *arg, struct lq_error *err)
{
    return compile_words(&o->set, arg, state_names, STATE_NONE + 1, STATE_COUNT, "state", err);
}

static int compile_held(struct operand *o, const char *arg, struct lq_error *err)
{
    (void)arg;
    (void)err;
    o->set = 1u << STATE_HELD;
    return LQ_OK;
}

static int compile_not_held(struct operand *o, const char *arg, struct lq_error *err)
{
    (void)arg;
    (void)err;
    o->set = ~(1u << STATE_HELD);
    return LQ_OK;
}

static int compile_class(struct operand *o, const char *arg, struct lq_error *err)
{
    return compile_words(&o->set, arg, reason_class_names, 0, REASON_COUNT, "reason class", err);
}

static int compile_queue(struct operand *o, const char *arg, struct lq_error *err)
{
    o->text = strdup(arg);
    return o->text ? LQ_OK : error_memory(err);
}

static int compile_id(struct operand *o, const char *arg, struct lq_error *err)
{
    return ids_add(&o->ids, arg) == 0 ? LQ_OK : error_memory(err);
}

/* --- the selectors --- */

#define F(f) LQ_FIELD_BIT(LQ_##f)

static const struct selector selectors[LQ_SEL_COUNT] = {
    [LQ_SEL_SENDER]        = { "-f", F(SENDER), true, compile_address, match_sender },
    [LQ_SEL_RECIPIENT]     = { "-r", F(RECIPIENT), true, compile_address, match_recipient },
    [LQ_SEL_RECIPIENT_ALL] = { "--rcpt-all", F(RECIPIENT), true, compile_address, match_recipient_all },
    [LQ_SEL_CLIENT]        = { "-p", F(CLIENT_ADDRESS), true, compile_client, match_client },
    [LQ_SEL_USER]          = { "-u", F(AUTH_USER) | F(LOCAL_USER), true, compile_user, match_user },
    [LQ_SEL_SUBJECT]       = { "-S", F(SUBJECT), true, compile_text, match_subject },
    [LQ_SEL_HELO]          = { "--helo", F(HELO_NAME), true, compile_text, match_helo },
    [LQ_SEL_CLIENT_NAME]   = { "--client-name", F(CLIENT_NAME), true, compile_text, match_client_name },
    [LQ_SEL_PROTOCOL]      = { "--protocol", F(PROTOCOL_NAME), true, compile_text, match_protocol },
    [LQ_SEL_REASON]        = { "--reason", F(REASON) | F(RECIPIENTS), true, compile_text, match_reason },
    [LQ_SEL_CLASS]         = { "--class", F(REASON_CLASS), true, compile_class, match_class },
    [LQ_SEL_SIZE]          = { "-s", F(MESSAGE_SIZE), false, compile_size, match_size },
    [LQ_SEL_YOUNGER]       = { "-y", F(ARRIVAL_TIME), false, compile_age, match_younger },
    [LQ_SEL_OLDER]         = { "-o", F(ARRIVAL_TIME), false, compile_age, match_older },
    [LQ_SEL_SINCE]         = { "--since", F(ARRIVAL_TIME), false, compile_since, match_since },
    [LQ_SEL_UNTIL]         = { "--until", F(ARRIVAL_TIME), false, compile_until, match_until },
    [LQ_SEL_RCPTS]         = { "--rcpts", F(RECIPIENT), false, compile_count, match_rcpts },
    [LQ_SEL_ATTEMPTS]      = { "--attempts", F(ATTEMPTS), false, compile_count, match_attempts },
    [LQ_SEL_STATE]         = { "-q", F(STATE), true, compile_state, match_state },
    [LQ_SEL_QUEUE]         = { "-G", F(QUEUE_NAME), true, compile_queue, match_queue },
    [LQ_SEL_HELD]          = { "-z", F(STATE), true, compile_held, match_state },
    [LQ_SEL_NOT_HELD]      = { "-x", F(STATE), true, compile_not_held, match_state },
    [LQ_SEL_BOUNCES]       = { "--bounces", F(SENDER), true, NULL, match_bounces },
    [LQ_SEL_LOCAL]         = { "--local", F(FLAGS), true, NULL, match_local },
    [LQ_SEL_DAMAGED]       = { "--damaged", F(PROBLEMS), true, NULL, match_damaged },
    [LQ_SEL_ID]            = { "an id", F(QUEUE_ID), true, compile_id, match_id },
};

#undef F

/* --- the tree --- */

static void operand_done(struct operand *o)
{
    pattern_free(o->pattern);
    netset_free(o->nets);
    free(o->text);
    for (size_t i = 0; i < o->ids.cap; i++)
        free(o->ids.slots[i]);
    free(o->ids.slots);
}

static void node_free(struct node *n)
{
    while (n) {
        struct node *next = n->next;

        node_free(n->first);
        operand_done(&n->operand);
        free(n);
        n = next;
    }
}

static struct node *node_new(enum node_kind kind)
{
    struct node *n = calloc(1, sizeof(*n));

    if (n)
        n->kind = kind;
    return n;
}

static void node_append(struct node *parent, struct node *child)
{
    struct node **end = &parent->first;

    while (*end)
        end = &(*end)->next;
    *end = child;
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

static int add_leaf(struct lq_filter *f, enum lq_selector sel, const char *arg, struct lq_error *err)
{
    struct node *leaf = node_new(NODE_LEAF);
    int rc;

    if (!leaf)
        return error_memory(err);
    leaf->selector = &selectors[sel];
    rc = selectors[sel].compile ? selectors[sel].compile(&leaf->operand, arg, err) : LQ_OK;
    if (rc == LQ_OK && !f->groups[sel]) {
        f->groups[sel] = node_new(NODE_OR);
        if (f->groups[sel])
            node_append(f->root, f->groups[sel]);
        else
            rc = error_memory(err);
    }
    if (rc == LQ_OK)
        node_append(f->groups[sel], leaf);
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
    if (s->compile && !arg && s->compile != compile_held && s->compile != compile_not_held)
        return error_set(err, LQ_EINVAL, "%s needs an argument", s->option);
    if (!s->names && f->groups[sel])
        return error_set(err, LQ_EINVAL, "%s was given twice; say a range as A..B", s->option);
    /* All ids are one leaf: a list of 100,000 must not be a chain of comparisons. */
    if (sel == LQ_SEL_ID && f->groups[sel])
        return compile_id(&f->groups[sel]->first->operand, arg, err);
    return add_leaf(f, sel, arg, err);
}

uint64_t filter_fields(const struct lq_filter *f)
{
    uint64_t fields = 0;

    for (unsigned s = 0; s < LQ_SEL_COUNT; s++)
        if (f->groups[s])
            fields |= selectors[s].fields;
    return fields;
}

bool filter_may_have(const struct lq_filter *f, const char *id, size_t n)
{
    const struct node *group = f->groups[LQ_SEL_ID];
    const struct ids *ids;

    if (!group || f->root->kind != NODE_AND)
        return true;
    ids = &group->first->operand.ids;
    return ids->n > 0 && ids->slots[id_slot(ids, id, n)] != NULL;
}

static enum tri eval(const struct node *n, const struct lq_record *r, struct filter_state *state, unsigned *need)
{
    enum tri all, stop;

    if (n->kind == NODE_LEAF)
        return n->selector->match(&n->operand, r, state, need);
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
