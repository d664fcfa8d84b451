/* Rates over windows of time. */
#include "rates.h"

#include <stdlib.h>
#include <string.h>

#include "opts.h"

int rates_age(int64_t *out, const char *text, size_t n, struct lq_error *err)
{
    static const struct { char letter; int64_t seconds; } units[] = {
        { 's', 1 }, { 'm', 60 }, { 'h', 3600 }, { 'd', 86400 }, { 'w', 604800 },
    };
    int64_t v = 0, unit = 1;
    size_t i = 0;

    for (; i < n && i < 9 && text[i] >= '0' && text[i] <= '9'; i++)
        v = v * 10 + (text[i] - '0');
    if (i > 0 && i + 1 == n) {
        for (size_t k = 0; k < sizeof(units) / sizeof(units[0]); k++)
            unit = units[k].letter == text[i] ? units[k].seconds : unit;
        i += unit != 1 || text[i] == 's';
    }
    if (v < 1 || i != n)
        return opts_wrong(err, "\"%.*s\" is no time; it is written 90 (seconds), 10m, 3h, 2d, 1w", (int)(n < 40 ? n : 40), text);
    *out = v * unit;
    return LQ_OK;
}

int rates_parse(struct rates *out, const char *list, struct lq_error *err)
{
    for (;;) {
        size_t n = strcspn(list, ",");
        struct window *w = &out->list[out->n];
        int rc;

        if (out->n == RATES_MAX)
            return opts_wrong(err, "more than %d times", RATES_MAX);
        rc = rates_age(&w->seconds, list, n, err);
        if (rc < 0)
            return rc;
        if (n >= sizeof(w->name))
            return opts_wrong(err, "\"%.*s\" is written too long", (int)sizeof(w->name), list);
        memcpy(w->name, list, n);
        w->name[n] = '\0';
        if (out->n > 0 && w->seconds <= w[-1].seconds)
            return opts_wrong(err, "%s stands behind %s; the shortest comes first", w->name, w[-1].name);
        out->n++;
        if (!list[n])
            return LQ_OK;
        list += n + 1;
    }
}

uint64_t rates_columns(const struct rates *r, int64_t now, uint32_t time)
{
    uint64_t columns = 0;

    for (size_t i = 0; i < r->n && time; i++)
        columns |= (uint64_t)(now - (int64_t)time <= r->list[i].seconds) << i;
    return columns;
}

void rates_put(struct text *t, const struct window *w, uint64_t messages)
{
    double rate = (double)messages * 60 / (double)w->seconds;

    text_format(t, rate < 10 ? "%.1f" : "%.0f", rate);
}
