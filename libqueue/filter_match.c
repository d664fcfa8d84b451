/* Asking a filter about one record, or about one value, outside of a scan. */
#include "engine.h"

static bool matches(const struct lq_filter *f, const struct lq_record *r, int64_t now)
{
    struct filter_state state = { .now = now };
    unsigned need;
    enum tri t = filter_eval(f, r, &state, &need);

    pattern_scratch_done(&state.scratch);
    return t == TRI_YES;
}

bool lq_filter_matches(const struct lq_filter *f, const struct lq_record *r, int64_t now)
{
    return matches(f, r, now);
}

bool lq_filter_matches_text(const struct lq_filter *f, enum lq_field field, struct lq_str value)
{
    struct lq_record r = { .spool = NULL };
    bool fits;

    if (field >= LQ_FIELD_COUNT || field_table[field].type != LQ_TYPE_TEXT || !value.p)
        return false;
    record_reset(&r);
    r.have = SEC_ALL;
    record_set_text(&r, field, value.p, value.n);
    fits = matches(f, &r, 0);
    record_done(&r);
    return fits;
}

uint64_t lq_filter_fields(const struct lq_filter *f)
{
    return filter_fields(f);
}
