/*
 * The questions that a filter can ask of a record: one row of `selectors` each, with how its argument is compiled and how it is
 * matched. Knows nothing of how they are combined.
 */
#include <stdlib.h>
#include <string.h>

#include "filter.h"
#include "reason.h"

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

static enum tri match_user(const struct operand *o, const struct lq_record *r, struct filter_state *state, unsigned *need)
{
    return tri_or(match_text(o, r, LQ_AUTH_USER, state, need), match_text(o, r, LQ_LOCAL_USER, state, need));
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
        all = tri_or(all, match_rcpt(o, &r->recipients.items[i], state));
    return all == TRI_YES ? all : tri_or(all, absent(r, LQ_RECIPIENT, need));
}

/* All pending recipients, and at least one: a message without any is not "all of theirs". */
static enum tri match_recipient_all(const struct operand *o, const struct lq_record *r, struct filter_state *state,
                                    unsigned *need)
{
    enum tri other = TRI_NO;        /* is there one that does not fit? */

    for (size_t i = 0; i < r->recipients.n && other != TRI_YES; i++)
        other = tri_or(other, tri_not(match_rcpt(o, &r->recipients.items[i], state)));
    if (other == TRI_YES)
        return TRI_NO;
    other = tri_or(other, absent(r, LQ_RECIPIENT, need));
    return other == TRI_NO ? tri_from(r->recipients.n > 0) : TRI_UNKNOWN;
}

static enum tri match_reason(const struct operand *o, const struct lq_record *r, struct filter_state *state, unsigned *need)
{
    enum tri any = match_text(o, r, LQ_REASON, state, need);

    for (size_t i = 0; i < r->recipients.n && any != TRI_YES; i++)
        if (r->recipients.items[i].delay_reason.p)
            any = tri_or(any, match_str(o->pattern, r->recipients.items[i].delay_reason, state));
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
               ? TRI_YES : tri_or(TRI_UNKNOWN, absent(r, LQ_STATE, need));
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
    (void)need;
    return tri_from(operand_has_id(o, id.p, id.n));
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

int operand_add_id(struct operand *o, const char *id, struct lq_error *err)
{
    return ids_add(&o->ids, id) == 0 ? LQ_OK : error_memory(err);
}

/* --- the selectors --- */

#define F(f) LQ_FIELD_BIT(LQ_##f)

const struct selector selectors[LQ_SEL_COUNT] = {
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
    [LQ_SEL_HELD]          = { "-z", F(STATE), true, compile_held, match_state, .bare = true },
    [LQ_SEL_NOT_HELD]      = { "-x", F(STATE), true, compile_not_held, match_state, .bare = true },
    [LQ_SEL_BOUNCES]       = { "--bounces", F(SENDER), true, NULL, match_bounces },
    [LQ_SEL_LOCAL]         = { "--local", F(FLAGS), true, NULL, match_local },
    [LQ_SEL_DAMAGED]       = { "--damaged", F(PROBLEMS), true, NULL, match_damaged },
    [LQ_SEL_ID]            = { "an id", F(QUEUE_ID), true, operand_add_id, match_id },
};

#undef F

void operand_done(struct operand *o)
{
    pattern_free(o->pattern);
    netset_free(o->nets);
    free(o->text);
    for (size_t i = 0; i < o->ids.cap; i++)
        free(o->ids.slots[i]);
    free(o->ids.slots);
}
