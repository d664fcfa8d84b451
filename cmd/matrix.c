/* Values by age. */
#include "matrix.h"

#include <stdlib.h>
#include <string.h>

#include "opts.h"
#include "report.h"

/* "5m", "90m", "2d": exactly, unlike ages for people. */
static void put_age(char *out, size_t size, int64_t seconds)
{
    static const struct { int64_t seconds; char letter; } units[] = { { 86400, 'd' }, { 3600, 'h' }, { 60, 'm' }, { 1, 's' } };
    size_t i = 0;

    while (seconds % units[i].seconds != 0)
        i++;
    snprintf(out, size, "%lld%c", (long long)(seconds / units[i].seconds), units[i].letter);
}

static bool is_domain(const struct key *k)
{
    return k->kind == KEY_DOMAIN || k->kind == KEY_RECIPIENT_DOMAIN;
}

int matrix_begin(struct matrix *m, const char *key, size_t buckets, int64_t step, bool linear, bool parents, struct lq_error *err)
{
    int rc = tally_parse(&m->tally, key, err);

    if (rc < 0)
        return rc;
    if (m->tally.n > 1)
        return opts_wrong(err, "the table of ages has one key");
    if (parents && !is_domain(&m->tally.keys[0]))
        return opts_wrong(err, "%s has no parent domains", key);
    if (buckets < 2 || buckets > MATRIX_BUCKETS_MAX)
        return opts_wrong(err, "there are 2 to %d steps of age", MATRIX_BUCKETS_MAX);
    m->parents = parents;
    m->buckets = buckets;
    m->tally.counts.columns = (unsigned)buckets + 1;
    for (size_t i = 1; i < buckets; i++) {
        if (m->from[i - 1] > INT64_C(1) << 50)
            return opts_wrong(err, "the steps of age end beyond all time; take fewer, or shorter ones");
        m->from[i] = i == 1 ? step : linear ? m->from[i - 1] + step : m->from[i - 1] * 2;
        put_age(m->name[i - 1], sizeof(m->name[i - 1]), m->from[i]);
    }
    put_age(m->name[buckets - 1], sizeof(m->name[0]) - 1, m->from[buckets - 1]);
    strcat(m->name[buckets - 1], "+");
    return LQ_OK;
}

/* A clock that was set back makes messages of the future: they are young. */
static size_t bucket_of(const struct matrix *m, int64_t now, uint32_t time)
{
    size_t i = m->buckets - 1;

    if (!time)
        return m->buckets;
    while (i > 0 && now - (int64_t)time < m->from[i])
        i--;
    return i;
}

/* ".b.example" and ".example" of a.b.example: a dot in front tells them from the domains themselves. */
static void add_parents(struct matrix *m, const struct lq_record *r, const struct sighting *seen)
{
    size_t n = key_values(&m->tally.keys[0], r);
    struct key_value v;

    for (size_t i = 0; i < n; i++) {
        const char *dot;

        key_value(&m->tally.keys[0], r, i, 0, &v);
        if (v.has != LQ_PRESENT)
            continue;
        while (v.text.n > 0 && (dot = memchr(v.text.p + 1, '.', v.text.n - 1))) {
            v.text = (struct lq_str){ dot, v.text.n - (size_t)(dot - v.text.p) };
            count_add(&m->tally.counts, count_key(&m->tally.counts, v.text.p, v.text.n), seen);
        }
    }
}

void matrix_add(struct matrix *m, const struct lq_record *r, int64_t now, const struct sighting *seen)
{
    struct sighting placed = *seen;
    size_t bucket = bucket_of(m, now, seen->time);

    placed.columns = UINT64_C(1) << bucket;
    m->messages++;
    m->sum[bucket]++;
    tally_add(&m->tally, r, now, &placed);
    if (m->parents)
        add_parents(m, r, &placed);
}

/* --- showing --- */

static uint32_t *sorted(const struct matrix *m, const struct groups *how, size_t *n)
{
    return how->ordered ? tally_in_order(&m->tally, how->order, n) : tally_sorted(&m->tally, n);
}

static void cells(const struct matrix *m, struct text *row, uint64_t all, const uint32_t *columns, bool unknown)
{
    text_count(row, all);
    groups_cell(row);
    for (size_t i = 0; i < m->buckets + unknown; i++) {
        text_count(row, columns ? columns[i] : m->sum[i]);
        groups_cell(row);
    }
}

void matrix_show(const struct matrix *m, const struct groups *how)
{
    struct table_column columns[MATRIX_BUCKETS_MAX + 3] = { { .title = "count", .right = true, .least = 7 } };
    bool unknown = m->sum[m->buckets] > 0;
    size_t last = m->buckets + 1 + unknown, n;
    struct table table = { .columns = columns, .n = last + 1, .screen = how->screen, .header = true };
    struct text row = { 0 };
    uint32_t *list = sorted(m, how, &n);

    for (size_t i = 0; i < m->buckets; i++)
        columns[i + 1] = (struct table_column){ .title = m->name[i], .right = true, .least = 5, .extra = true };
    if (unknown)
        columns[m->buckets + 1] = (struct table_column){ .title = "?", .right = true, .least = 5, .extra = true };
    columns[last] = (struct table_column){ .title = m->tally.keys[0].name, .flexible = true };
    cells(m, &row, m->messages, NULL, unknown);
    text_put(&row, "TOTAL");
    groups_cell(&row);
    table_row(&table, row.p, row.n);
    for (size_t i = 0; i < n && i < how->top; i++) {
        struct group g = tally_group(&m->tally, list[i]);

        row.n = 0;
        cells(m, &row, g.sums->messages, g.columns, unknown);
        groups_value(&row, &m->tally.keys[0], &g.value[0], 0);
        groups_cell(&row);
        table_row(&table, row.p, row.n);
    }
    table_end(&table);
    text_done(&row);
    free(list);
}

static void json_row(const struct matrix *m, struct text *t, uint64_t all, const uint32_t *columns)
{
    text_format(t, ",\"count\":%llu,\"ages\":[", (unsigned long long)all);
    for (size_t i = 0; i < m->buckets; i++) {
        text_format(t, "%s{\"from\":%lld", i ? "," : "", (long long)m->from[i]);
        if (i + 1 < m->buckets)
            text_format(t, ",\"to\":%lld", (long long)m->from[i + 1]);
        text_format(t, ",\"count\":%llu}", (unsigned long long)(columns ? columns[i] : m->sum[i]));
    }
    text_format(t, "],\"unknown\":%llu", (unsigned long long)(columns ? columns[m->buckets] : m->sum[m->buckets]));
}

void matrix_json(const struct matrix *m, const struct groups *how)
{
    struct text row = { 0 };
    size_t n;
    uint32_t *list = sorted(m, how, &n);

    text_put(&row, "{\"schema\":\"mqtools.ages/1\"");
    json_row(m, &row, m->messages, NULL);
    text_char(&row, '}');
    groups_print_json(&row, how->screen.terminal);
    for (size_t i = 0; i < n && i < how->top && !report_output_broken(); i++) {
        struct group g = tally_group(&m->tally, list[i]);

        text_put(&row, "{\"schema\":\"mqtools.ages/1\",");
        groups_json_key(&row, &m->tally, &g);
        json_row(m, &row, g.sums->messages, g.columns);
        if (count_bound(&m->tally.counts))
            text_format(&row, ",\"error\":%lu", (unsigned long)g.sums->error);
        text_char(&row, '}');
        groups_print_json(&row, how->screen.terminal);
    }
    text_done(&row);
    free(list);
}

/* The first row, of all messages, has no value. */
void matrix_csv(const struct matrix *m, const struct groups *how)
{
    struct text row = { 0 };
    size_t n;
    uint32_t *list = sorted(m, how, &n);

    text_format(&row, "%s,count", m->tally.keys[0].name);
    for (size_t i = 0; i < m->buckets; i++)
        text_format(&row, ",%s", m->name[i]);
    text_format(&row, ",unknown,error\r\n,%llu", (unsigned long long)m->messages);
    for (size_t i = 0; i <= m->buckets; i++)
        text_format(&row, ",%llu", (unsigned long long)m->sum[i]);
    text_put(&row, ",0\r\n");
    for (size_t k = 0; k < n && k < how->top && !report_output_broken(); k++) {
        struct group g = tally_group(&m->tally, list[k]);
        struct lq_str v = g.value[0].text;

        if (v.p && v.n == 0)
            text_put(&row, "\"\"");
        else if (v.p)
            text_csv(&row, v.p, v.n, how->screen.terminal);
        text_format(&row, ",%lu", (unsigned long)g.sums->messages);
        for (size_t i = 0; i <= m->buckets; i++)
            text_format(&row, ",%lu", (unsigned long)g.columns[i]);
        text_format(&row, ",%lu\r\n", (unsigned long)g.sums->error);
        groups_print(&row);
    }
    groups_print(&row);
    text_done(&row);
    free(list);
}

void matrix_done(struct matrix *m)
{
    tally_done(&m->tally);
}
