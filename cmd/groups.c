/* Groups of messages, shown. */
#include "groups.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "report.h"

void groups_cell(struct text *t)
{
    text_char(t, '\0');
}

void groups_print(struct text *t)
{
    output(t->p, t->n);
    t->n = 0;
}

void groups_print_line(struct text *t)
{
    text_char(t, '\n');
    groups_print(t);
}

void groups_print_json(struct text *t, bool terminal)
{
    struct text safe = { 0 };

    text_json_line(&safe, t->p, t->n, terminal);
    groups_print_line(&safe);
    text_done(&safe);
    t->n = 0;
}

bool groups_bound(const struct tally *t, struct text *out)
{
    uint32_t bound = count_bound(&t->counts);

    if (!bound)
        return false;
    text_put(out, "more than ");
    text_count(out, t->counts.limit);
    text_put(out, " different: a count is at most ");
    text_count(out, bound);
    text_put(out, " too high, and who is not shown has at most as many");
    return true;
}

/* --- people --- */

/* "13:04:49" today, else "11-20T13:04", else "2025-11-20": one word that fits its column. */
void groups_short_time(struct text *t, uint32_t epoch, int64_t now)
{
    time_t when = (time_t)epoch, today = (time_t)now;
    struct tm tm, ref;

    if (!epoch || !localtime_r(&when, &tm) || !localtime_r(&today, &ref))
        text_put(t, "-");
    else if (tm.tm_year == ref.tm_year && tm.tm_yday == ref.tm_yday)
        text_format(t, "%02d:%02d:%02d", tm.tm_hour, tm.tm_min, tm.tm_sec);
    else if (now - epoch < 300 * 86400 && now >= epoch)
        text_format(t, "%02d-%02dT%02d:%02d", tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min);
    else
        text_format(t, "%d-%02d-%02d", 1900 + tm.tm_year, tm.tm_mon + 1, tm.tm_mday);
}

static void cells_sums(const struct groups *g, struct text *t, const struct counted *sums)
{
    double rate;

    text_count(t, sums->messages);
    groups_cell(t);
    text_format(t, "%.1f%%", g->of ? 100.0 * (double)sums->messages / (double)g->of : 0.0);
    groups_cell(t);
    text_size(t, (int64_t)sums->bytes);
    groups_cell(t);
    if (!tally_rate(sums, &rate))
        text_put(t, "-");
    else
        text_format(t, rate < 10 ? "%.1f" : "%.0f", rate);
    groups_cell(t);
}

static void cells_times(const struct groups *g, struct text *t, const struct counted *sums)
{
    groups_short_time(t, sums->first, g->now);
    groups_cell(t);
    groups_short_time(t, sums->last, g->now);
    groups_cell(t);
}

static void cells_rates(const struct groups *g, struct text *t, const uint32_t *columns)
{
    for (size_t i = 0; g->rates && i < g->rates->n; i++) {
        rates_put(t, &g->rates->list[i], columns[i]);
        groups_cell(t);
    }
}

static const struct table_column sum_columns[] = {
    { .title = "count", .right = true, .least = 7 },
    { .title = "share", .right = true, .least = 6, .extra = true },
    { .title = "bytes", .right = true, .least = 6, .extra = true },
    { .title = "/min", .right = true, .least = 6, .extra = true },
};
static const struct table_column time_columns[] = {
    { .title = "first", .right = true, .least = 11, .extra = true },
    { .title = "last", .right = true, .least = 11, .extra = true },
};

enum {
    SUM_COLUMNS = sizeof(sum_columns) / sizeof(sum_columns[0]),
    TIME_COLUMNS = sizeof(time_columns) / sizeof(time_columns[0])
};

void groups_value(struct text *t, const struct key *k, const struct group_value *v, unsigned how)
{
    if (!v->text.p) {
        text_put(t, v->unread ? "?" : "-");
        return;
    }
    key_show(t, k, v->text, how);
    if (v->cut)
        text_put(t, "...");
}

static size_t titles(const struct groups *g, struct table_column *columns)
{
    size_t n = SUM_COLUMNS;

    memcpy(columns, sum_columns, sizeof(sum_columns));
    for (size_t i = 0; g->rates && i < g->rates->n; i++)
        columns[n++] = (struct table_column){ .title = g->rates->list[i].name, .right = true, .least = 5 };
    memcpy(columns + n, time_columns, sizeof(time_columns));
    n += TIME_COLUMNS;
    for (size_t i = 0; i < g->tally->n; i++)
        columns[n++] = (struct table_column){ .title = g->title ? g->title : g->tally->keys[i].name, .flexible = true };
    return n;
}

static uint32_t *sorted(const struct groups *g, size_t *n)
{
    return g->ordered ? tally_in_order(g->tally, g->order, n) : tally_sorted(g->tally, n);
}

/* Where no terminal is, all columns are words for awk, but for the last, which may hold blanks. */
void groups_show(const struct groups *g)
{
    struct table_column columns[SUM_COLUMNS + RATES_MAX + TIME_COLUMNS + TALLY_KEYS_MAX];
    struct table table = { .columns = columns, .n = titles(g, columns), .screen = g->screen, .header = true };
    struct text row = { 0 };
    size_t n, left = g->top;
    uint32_t *list = sorted(g, &n);

    for (size_t i = 0; i < n && left > 0; i++) {
        struct group group = tally_group(g->tally, list[i]);

        if (g->named_only && !group.value[0].text.p && !group.value[0].unread)
            continue;
        left--;
        row.n = 0;
        cells_sums(g, &row, group.sums);
        cells_rates(g, &row, group.columns);
        cells_times(g, &row, group.sums);
        for (size_t k = 0; k < g->tally->n; k++) {
            groups_value(&row, &g->tally->keys[k], &group.value[k],
                         k + 1 < g->tally->n && !g->screen.terminal ? ESCAPE_BLANKS : 0);
            groups_cell(&row);
        }
        table_row(&table, row.p, row.n);
    }
    table_end(&table);
    text_done(&row);
    free(list);
}

/* --- programs --- */

/* A rate of a machine-read table: three digits behind the point, never by locale. */
static void data_rate(struct text *t, const struct counted *sums, const char *without)
{
    double rate;

    if (tally_rate(sums, &rate))
        text_format(t, "%.3f", rate);
    else
        text_put(t, without);
}

static void data_time(struct text *t, uint32_t epoch, const char *without)
{
    if (epoch)
        text_format(t, "%lu", (unsigned long)epoch);
    else
        text_put(t, without);
}

void groups_json_key(struct text *t, const struct tally *tally, const struct group *g)
{
    bool unread = false, cut = false;

    text_put(t, "\"key\":{");
    for (size_t k = 0; k < tally->n; k++) {
        const struct group_value *v = &g->value[k];

        text_put(t, k ? "," : "");
        text_json(t, tally->keys[k].name, strlen(tally->keys[k].name));
        text_char(t, ':');
        if (!v->text.p)
            text_put(t, "null");
        else if (key_is_number(&tally->keys[k]))
            text_add(t, v->text.p, v->text.n);
        else
            text_json(t, v->text.p, v->text.n);
        unread |= v->unread;
        cut |= v->cut;
    }
    text_put(t, "}");
    text_put(t, unread ? ",\"unread\":true" : "");
    text_put(t, cut ? ",\"cut\":true" : "");
}

static void json_group(const struct groups *g, const struct group *group, struct text *t)
{
    text_put(t, "{\"schema\":\"mqtools.group/1\",");
    groups_json_key(t, g->tally, group);
    if (g->sample)
        text_format(t, ",\"sample\":%llu", (unsigned long long)g->of);
    text_format(t, ",\"count\":%lu", (unsigned long)group->sums->messages);
    if (count_bound(&g->tally->counts))
        text_format(t, ",\"error\":%lu", (unsigned long)group->sums->error);
    text_format(t, ",\"share\":%.6f,\"bytes\":%llu,\"rate\":",
                g->of ? (double)group->sums->messages / (double)g->of : 0.0, (unsigned long long)group->sums->bytes);
    data_rate(t, group->sums, "null");
    text_put(t, ",\"first\":");
    data_time(t, group->sums->first, "null");
    text_put(t, ",\"last\":");
    data_time(t, group->sums->last, "null");
    for (size_t i = 0; g->rates && i < g->rates->n; i++)
        text_format(t, "%s\"%lld\":%lu%s", i ? "," : ",\"arrived\":{", (long long)g->rates->list[i].seconds,
                    (unsigned long)group->columns[i], i + 1 == g->rates->n ? "}" : "");
    text_put(t, "}");
}

static void csv_group(const struct groups *g, const struct group *group, struct text *t)
{
    if (g->key_column) {
        text_put(t, g->tally->keys[0].name);
        text_char(t, ',');
    }
    for (size_t k = 0; k < g->tally->n; k++) {
        struct lq_str v = group->value[k].text;

        if (v.p && v.n == 0)
            text_put(t, "\"\"");
        else if (v.p)
            text_csv(t, v.p, v.n, g->screen.terminal);
        text_char(t, ',');
    }
    text_format(t, "%lu,%.6f,%llu,", (unsigned long)group->sums->messages,
                g->of ? (double)group->sums->messages / (double)g->of : 0.0, (unsigned long long)group->sums->bytes);
    data_rate(t, group->sums, "");
    text_char(t, ',');
    data_time(t, group->sums->first, "");
    text_char(t, ',');
    data_time(t, group->sums->last, "");
    text_format(t, ",%lu", (unsigned long)group->sums->error);
    for (size_t i = 0; g->rates && i < g->rates->n; i++)
        text_format(t, ",%lu", (unsigned long)group->columns[i]);
    text_put(t, "\r\n");
}

static void each_group(const struct groups *g, bool json)
{
    struct text row = { 0 };
    size_t n;
    uint32_t *list = sorted(g, &n);

    for (size_t i = 0; i < n && i < g->top && !report_output_broken(); i++) {
        struct group group = tally_group(g->tally, list[i]);

        if (json) {
            json_group(g, &group, &row);
            groups_print_json(&row, g->screen.terminal);
        } else {
            csv_group(g, &group, &row);
            groups_print(&row);
        }
    }
    text_done(&row);
    free(list);
}

void groups_json(const struct groups *g)
{
    each_group(g, true);
}

void groups_csv(const struct groups *g)
{
    each_group(g, false);
}

void groups_csv_header(const struct groups *g)
{
    struct text line = { 0 };

    if (g->key_column)
        text_put(&line, "key,value,");
    for (size_t k = 0; k < g->tally->n && !g->key_column; k++)
        text_format(&line, "%s,", g->tally->keys[k].name);
    text_put(&line, "count,share,bytes,rate,first,last,error");
    for (size_t i = 0; g->rates && i < g->rates->n; i++)
        text_format(&line, ",in_%s", g->rates->list[i].name);
    text_put(&line, "\r\n");
    groups_print(&line);
    text_done(&line);
}
