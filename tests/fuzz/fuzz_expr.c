/*
 * Any text as an expression (first part, up to a NUL), and any bytes as the message that it is asked of. What must hold is said where it
 * is checked.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Fields, recipients and hops from the bytes; half of the sections may be broken. */
static void fill(struct lq_record *r, struct bytes from)
{
    unsigned f = 0;

    record_reset(r);
    r->have = SEC_ALL;
    r->header = from;
    record_set_text(r, LQ_QUEUE_ID, "4jX48y4ynDz1blN8", 16);
    while (from.n > 1) {
        size_t n = from.p[0] % 32, k = n < from.n - 1 ? n : from.n - 1;
        struct lq_recipient *rcpt;
        struct lq_hop *hop;

        f = (f + 1 + from.p[0] / 32) % LQ_FIELD_COUNT;
        if (field_table[f].type == LQ_TYPE_TEXT && f != LQ_STATE) {
            record_set_text(r, (enum lq_field)f, from.p + 1, k);
        } else if (field_table[f].type == LQ_TYPE_NUMBER || field_table[f].type == LQ_TYPE_BOOL) {
            record_set_number(r, (enum lq_field)f, (int64_t)from.p[1] << (k % 50));
        } else if (field_table[f].type == LQ_TYPE_HOPS && (hop = record_add_hop(r))) {
            hop->by = hop->address = record_copy(r, from.p + 1, k);
        } else if (f == LQ_FLAGS) {
            r->flags = from.p[1];
            r->state = (enum state)(from.p[1] % STATE_COUNT);
            r->broken = from.p[1] & SEC_ALL & ~SEC_NAME;
        } else if ((rcpt = record_add_recipient(r, f == LQ_RECIPIENTS_DONE ? &r->done : &r->recipients))) {
            rcpt->address = rcpt->delay_reason = record_copy(r, from.p + 1, k);
        }
        from = bytes_skip(from, 1 + k);
    }
}

static enum tri ask(const struct lq_filter *f, const struct lq_record *r, struct filter_state *state)
{
    unsigned need;
    enum tri t = filter_eval(f, r, state, &need);

    /* Who is decided reads nothing, who reads asks for what is not there. */
    if ((t != TRI_UNKNOWN && need) || (need & r->have))
        abort();
    return t;
}

/* The other way round is the opposite, and unknown stays unknown. */
static enum tri both_ways(struct lq_filter *f, const struct lq_record *r, struct filter_state *state)
{
    enum tri t = ask(f, r, state), other;

    lq_filter_invert(f);
    other = ask(f, r, state);
    lq_filter_invert(f);
    if (other != (t == TRI_UNKNOWN ? t : t == TRI_YES ? TRI_NO : TRI_YES))
        abort();
    return t;
}

static void nothing(void *ctx, unsigned depth, const char *line)
{
    (void)ctx;
    if (depth > 300 || !line[0])
        abort();
}

/* What is written down is understood, says the same, and is written down as before. */
static void rewritten(const struct lq_filter *f, const struct lq_record *r, struct filter_state *state, enum tri expected)
{
    struct lq_filter *again;
    char *text, *second;

    if (lq_filter_text(f, &text, NULL) != LQ_OK || lq_filter_explain(f, nothing, NULL, NULL) != LQ_OK)
        abort();
    if (lq_filter_new(&again, NULL) != LQ_OK)
        exit(0);
    /* Quotes make a text longer than what was typed. */
    if (strlen(text) < 100000) {
        if (lq_filter_expression(again, text, NULL, NULL) != LQ_OK || ask(again, r, state) != expected ||
            lq_filter_text(again, &second, NULL) != LQ_OK || strcmp(text, second) != 0)
            abort();
        free(second);
    }
    lq_filter_free(again);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t n = bytes_find((struct bytes){ data, size }, 0), at = 0;
    char *text = strndup((const char *)data, n);
    struct filter_state state = { .now = 1795293358 };
    struct lq_record r = { 0 };
    struct lq_error err = { .text = "" };
    struct lq_filter *f;

    if (!text || lq_filter_new(&f, &err) != LQ_OK)
        return 0;
    if (lq_filter_expression(f, text, &at, &err) == LQ_OK) {
        record_reset(&r);
        ask(f, &r, &state);
        fill(&r, bytes_skip((struct bytes){ data, size }, n + 1));
        rewritten(f, &r, &state, both_ways(f, &r, &state));
    } else if (!err.text[0] || at > n || !lq_filter_empty(f)) {
        abort();
    }
    lq_filter_free(f);
    record_done(&r);
    pattern_scratch_done(&state.scratch);
    free(text);
    return 0;
}
