/* Thresholds for monitoring. */
#include "monitor.h"

#include <string.h>

#include "opts.h"
#include "rates.h"

static const struct {
    const char *name, *unit;
} numbers_of[MONITOR_NUMBERS] = {
    [MONITOR_COUNT] = { "count", "" },       [MONITOR_BYTES] = { "bytes", "B" },       [MONITOR_OLDEST] = { "oldest", "s" },
    [MONITOR_ARRIVED] = { "arrived", "" },   [MONITOR_DEFERRED] = { "deferred", "" },  [MONITOR_HELD] = { "held", "" },
    [MONITOR_SHARE] = { "share", "%" },
};

const char *monitor_name(enum monitor_number number)
{
    return numbers_of[number].name;
}

/* A number, for bytes with k M G, for the oldest an age. */
static int parse_value(int64_t *out, enum monitor_number number, const char *text, size_t n, struct lq_error *err)
{
    static const char units[] = "kMG";
    int64_t v = 0;
    size_t i = 0;

    if (number == MONITOR_OLDEST)
        return rates_age(out, text, n, err);
    for (; i < n && i < 15 && text[i] >= '0' && text[i] <= '9'; i++)
        v = v * 10 + (text[i] - '0');
    if (i == 0 || i + 1 < n || (i < n && (number != MONITOR_BYTES || !strchr(units, text[i]))))
        return opts_wrong(err, "\"%.*s\" is no number for %s", (int)(n < 40 ? n : 40), text, numbers_of[number].name);
    if (i < n)
        v <<= 10 * (strchr(units, text[i]) - units + 1);
    *out = v;
    return LQ_OK;
}

static int parse_one(struct monitor_limits *out, const char *text, size_t n, struct lq_error *err)
{
    size_t at = strcspn(text, "<>"), k = 0;

    if (at >= n)
        return opts_wrong(err, "\"%.*s\" has no > and no <: count>5000", (int)(n < 40 ? n : 40), text);
    while (k < MONITOR_NUMBERS && !(strlen(numbers_of[k].name) == at && memcmp(numbers_of[k].name, text, at) == 0))
        k++;
    if (k == MONITOR_NUMBERS)
        return opts_wrong(err, "\"%.*s\" is not known; there are count, bytes, oldest, arrived, deferred, held and share",
                          (int)(at < 40 ? at : 40), text);
    if (out->n == MONITOR_LIMITS_MAX)
        return opts_wrong(err, "more than %d limits", MONITOR_LIMITS_MAX);
    out->list[out->n].number = (enum monitor_number)k;
    out->list[out->n].above = text[at] == '>';
    return parse_value(&out->list[out->n++].value, (enum monitor_number)k, text + at + 1, n - at - 1, err);
}

int monitor_parse(struct monitor_limits *out, const char *list, struct lq_error *err)
{
    for (;;) {
        size_t n = strcspn(list, ",");
        int rc = parse_one(out, list, n, err);

        if (rc < 0 || !list[n])
            return rc;
        list += n + 1;
    }
}

/* Append what is beyond its limit, and answer whether anything is. */
static bool beyond(struct text *t, const int64_t numbers[MONITOR_NUMBERS], const struct monitor_limits *limits)
{
    bool any = false;

    for (size_t i = 0; i < limits->n; i++) {
        int64_t v = numbers[limits->list[i].number];
        bool above = limits->list[i].above;

        if (above ? v <= limits->list[i].value : v >= limits->list[i].value)
            continue;
        text_format(t, "%s%s %lld %s %lld", any ? ", " : "", numbers_of[limits->list[i].number].name, (long long)v,
                    above ? ">" : "<", (long long)limits->list[i].value);
        any = true;
    }
    return any;
}

int monitor_line(struct text *t, const int64_t numbers[MONITOR_NUMBERS], const struct monitor_limits *warn, const struct monitor_limits *crit)
{
    static const char *const words[] = { "OK", "WARNING", "CRITICAL" };
    struct text why = { 0 };
    int status = beyond(&why, numbers, crit) ? MONITOR_CRITICAL : beyond(&why, numbers, warn) ? MONITOR_WARNING : MONITOR_OK;

    text_format(t, "MQSTAT %s - ", words[status]);
    if (status == MONITOR_OK)
        text_format(t, "count %lld", (long long)numbers[MONITOR_COUNT]);
    text_add(t, why.p ? why.p : "", why.n);
    text_put(t, " |");
    for (int i = 0; i < MONITOR_NUMBERS; i++)
        text_format(t, " %s=%lld%s", numbers_of[i].name, (long long)numbers[i], numbers_of[i].unit);
    text_done(&why);
    return status;
}
