/*
 * Options as leaves: one row of `selectors` each. Most say where they look and how they compare, and filter_place.c does it; some
 * have a compile and a match of their own. Knows nothing of how leaves are combined.
 */
#include <stdlib.h>
#include <string.h>

#include "filter.h"

/* --- damage --- */

/* The field is not in a record that came from elsewhere, and nothing says that it has no value. */
static bool lacks(const struct lq_record *r, enum lq_field f)
{
    return r->foreign.is && r->foreign.unknown & ~r->foreign.given & LQ_FIELD_BIT(f);
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
    if (lacks(r, LQ_PROBLEMS) || (r->problems.n > 0 && r->foreign.partial && lacks(r, LQ_STATE)))
        return TRI_UNKNOWN;
    return tri_from(r->problems.n > 0 && r->state != STATE_RECEIVING);
}

/*
 * A state is the first that fits, so "corrupt" and "incomplete" hide whether a message is frozen or quarantined as well. One that was put
 * aside must not go with those that were not.
 */
static enum tri match_held(const struct operand *o, const struct lq_record *r, struct filter_state *state, unsigned *need)
{
    const unsigned sections = field_table[LQ_STATE].sections;
    enum tri t = tri_from(r->state == STATE_HELD);

    (void)state;
    if (r->state == STATE_NONE || (r->have & sections) != sections) {
        filter_absent(r, LQ_STATE, need);
        return TRI_UNKNOWN;
    }
    if (r->state == STATE_CORRUPT || r->state == STATE_INCOMPLETE)
        return TRI_UNKNOWN;
    return o->negated ? tri_not(t) : t;
}

/* --- ids --- */

static size_t hash(const char *p, size_t n)
{
    uint64_t h = UINT64_C(14695981039346656037);

    for (size_t i = 0; i < n; i++)
        h = (h ^ (unsigned char)p[i]) * UINT64_C(1099511628211);
    return (size_t)(h ^ h >> 32);
}

static size_t id_slot(const struct id_set *ids, const char *p, size_t n)
{
    size_t i = hash(p, n) & (ids->cap - 1);

    while (ids->slots[i] && (strlen(ids->slots[i]) != n || memcmp(ids->slots[i], p, n) != 0))
        i = (i + 1) & (ids->cap - 1);
    return i;
}

static int ids_add(struct id_set *ids, const char *id)
{
    size_t at;
    char *copy;

    if (ids->n * 2 >= ids->cap) {
        struct id_set more = { .cap = ids->cap ? ids->cap * 2 : 64, .n = ids->n };

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

bool operand_has_id(const struct operand *o, const char *id, size_t n)
{
    return o->ids.n > 0 && o->ids.slots[id_slot(&o->ids, id, n)] != NULL;
}

static enum tri match_id(const struct operand *o, const struct lq_record *r, struct filter_state *state, unsigned *need)
{
    struct lq_str id = r->value[LQ_QUEUE_ID].text;

    (void)state;
    if (!record_is_set(r, LQ_QUEUE_ID))
        return filter_absent(r, LQ_QUEUE_ID, need);
    return tri_from(operand_has_id(o, id.p, id.n));
}

int operand_add_id(struct operand *o, const char *id, struct lq_error *err)
{
    return ids_add(&o->ids, id) == 0 ? LQ_OK : error_memory(err);
}

/* --- compiling arguments --- */

/* "+1M", "-10k", "2062", "2000..2100" as the operators that they are in an expression. */
static int compile_range(struct operand *o, const char *arg, struct lq_error *err)
{
    struct range r;
    int rc = o->place.kind == KIND_SIZE ? units_size(&r, arg, err) : units_count(&r, arg, err);

    if (rc != LQ_OK)
        return rc;
    o->op = arg[0] == '+' ? OP_MORE : arg[0] == '-' ? OP_LESS : OP_IN;
    return operand_add(o, arg + (o->op != OP_IN), false, err);
}

/* A comma list of words. */
static int compile_words(struct operand *o, const char *arg, struct lq_error *err)
{
    for (const char *p = arg;; p++) {
        size_t n = strcspn(p, ",");
        char *word = strndup(p, n);
        int rc = word ? operand_add(o, word, false, err) : error_memory(err);

        free(word);
        p += n;
        if (rc != LQ_OK || !*p)
            return rc;
    }
}

int selector_compile(struct operand *o, const struct selector *s, const char *arg, struct lq_error *err)
{
    int rc = LQ_OK;

    if (s->place)
        rc = place_find(&o->place, s->place, err);
    o->op = s->op;
    o->all = s->all;
    o->negated = s->negated;
    if (rc != LQ_OK)
        return rc;
    if (s->compile)
        return s->compile(o, arg, err);
    return s->place ? operand_add(o, s->fixed ? s->fixed : arg, false, err) : LQ_OK;
}

/* --- the selectors --- */

#define OWN(f, how, whether) .fields = LQ_FIELD_BIT(LQ_##f), .compile = (how), .match = (whether)
#define FITS(where) .names = true, .place = (where), .op = OP_FITS
#define NETS(where) .names = true, .place = (where), .op = OP_IN
#define WORD(where) .names = true, .place = (where), .op = OP_IN, .compile = compile_words
#define FIXED(where, how, what) .names = true, .bare = true, .place = (where), .op = (how), .fixed = (what)
#define IS_HELD .names = true, .bare = true, OWN(STATE, NULL, match_held), .word = "held", .told = "it is held, frozen or quarantined"
#define LIMIT(where, how) .place = (where), .op = (how)

const struct selector selectors[LQ_SEL_COUNT] = {
    [LQ_SEL_SENDER]        = { "-f", FITS("sender") },
    [LQ_SEL_RECIPIENT]     = { "-r", FITS("recipients.address") },
    [LQ_SEL_RECIPIENT_ALL] = { "--rcpt-all", FITS("recipients.address"), .all = true },
    [LQ_SEL_CLIENT]        = { "-p", NETS("client_address") },
    [LQ_SEL_ORIGIN]        = { "--origin", NETS("origin_address") },
    [LQ_SEL_USER]          = { "-u", FITS("user") },
    [LQ_SEL_SUBJECT]       = { "-S", FITS("subject") },
    [LQ_SEL_HEADER]        = { "-H", .names = true, .compile = content_compile_header },
    [LQ_SEL_BODY]          = { "-B", FITS("body") },
    [LQ_SEL_HELO]          = { "--helo", FITS("helo_name") },
    [LQ_SEL_CLIENT_NAME]   = { "--client-name", FITS("client_name") },
    [LQ_SEL_PROTOCOL]      = { "--protocol", FITS("protocol_name") },
    [LQ_SEL_REASON]        = { "--reason", FITS("reason") },
    [LQ_SEL_CLASS]         = { "--class", WORD("reason_class") },
    [LQ_SEL_SIZE]          = { "-s", LIMIT("message_size", OP_IN), .compile = compile_range },
    [LQ_SEL_YOUNGER]       = { "-y", LIMIT("age", OP_LESS) },
    [LQ_SEL_OLDER]         = { "-o", LIMIT("age", OP_LEAST) },
    [LQ_SEL_SINCE]         = { "--since", LIMIT("arrival_time", OP_LEAST) },
    [LQ_SEL_UNTIL]         = { "--until", LIMIT("arrival_time", OP_MOST) },
    [LQ_SEL_RCPTS]         = { "--rcpts", LIMIT("rcpts", OP_IN), .compile = compile_range },
    [LQ_SEL_ATTEMPTS]      = { "--attempts", LIMIT("attempts", OP_IN), .compile = compile_range },
    [LQ_SEL_STATE]         = { "-q", WORD("state") },
    [LQ_SEL_QUEUE]         = { "-G", .names = true, .place = "queue_name", .op = OP_IS },
    [LQ_SEL_HELD]          = { "-z", IS_HELD },
    [LQ_SEL_NOT_HELD]      = { "-x", IS_HELD, .negated = true },
    [LQ_SEL_BOUNCES]       = { "--bounces", FIXED("sender", OP_FITS, "<>") },
    [LQ_SEL_LOCAL]         = { "--local", FIXED("flags", OP_IS, "local") },
    [LQ_SEL_DAMAGED]       = { "--damaged", .names = true, .bare = true, OWN(PROBLEMS, NULL, match_damaged), .word = "damaged",
                               .told = "it has problems, and is not just being received" },
    [LQ_SEL_ID]            = { "an id", .names = true, OWN(QUEUE_ID, operand_add_id, match_id) },
};
