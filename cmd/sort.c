/* Rows in order. */
#include "sort.h"

#include <stdlib.h>
#include <string.h>

#include "opts.h"
#include "report.h"

enum { KEY_TEXT_MAX = 1024 };   /* of a longer text the beginning decides */

struct sort_row {
    uint64_t number;            /* in which order it came */
    size_t row_at, row_n;       /* in bytes */
    struct {
        bool has;
        int64_t number;
        size_t at, n;
    } key[SORT_KEYS_MAX];
    char bytes[];
};

int sort_parse(struct sorter *s, const char *list, struct lq_error *err)
{
    struct columns c;
    int rc = columns_parse(&c, list, err);

    if (rc < 0)
        return rc;
    if (c.n > SORT_KEYS_MAX)
        return opts_wrong(err, "more than %d keys", SORT_KEYS_MAX);
    for (size_t i = 0; i < c.n; i++) {
        enum lq_type type = lq_field_type(c.list[i].field);

        if (type == LQ_TYPE_HOPS || (type == LQ_TYPE_TEXTS && c.list[i].field != LQ_RECIPIENT))
            return opts_wrong(err, "%s is a list; there is no order in lists", c.list[i].name);
        s->keys[i] = c.list[i];
    }
    s->key_count = c.n;
    return LQ_OK;
}

static bool counts_recipients(enum lq_field f)
{
    return f == LQ_RECIPIENT || lq_field_type(f) == LQ_TYPE_RECIPIENTS;
}

uint64_t sort_fields(const struct sorter *s)
{
    uint64_t fields = 0;

    for (size_t i = 0; i < s->key_count; i++)
        fields |= LQ_FIELD_BIT(s->keys[i].field == LQ_RECIPIENTS ? LQ_RECIPIENT : s->keys[i].field);
    return fields;
}

static int64_t key_number(const struct column *c, const struct lq_record *r, bool *has)
{
    int64_t v = 0;

    if (counts_recipients(c->field)) {
        *has = lq_record_has(r, c->field == LQ_RECIPIENTS ? LQ_RECIPIENT : c->field) == LQ_PRESENT;
        return (int64_t)lq_record_recipient_count(r, c->field == LQ_RECIPIENT ? LQ_RECIPIENTS : c->field);
    }
    *has = lq_record_number(r, c->field, &v);
    return c->age ? -v : v;
}

static struct sort_row *make_row(const struct sorter *s, const struct lq_record *r, const char *row, size_t n)
{
    struct lq_str texts[SORT_KEYS_MAX] = { { NULL, 0 } };
    struct sort_row *item;
    size_t size = n, at = 0;

    for (size_t i = 0; i < s->key_count; i++) {
        if (lq_field_type(s->keys[i].field) == LQ_TYPE_TEXT)
            texts[i] = lq_record_text(r, s->keys[i].field);
        if (texts[i].n > KEY_TEXT_MAX)
            texts[i].n = KEY_TEXT_MAX;
        size += texts[i].n;
    }
    item = malloc(sizeof(*item) + size);
    if (!item)
        report_no_memory();
    for (size_t i = 0; i < s->key_count; i++) {
        item->key[i].number = key_number(&s->keys[i], r, &item->key[i].has);
        item->key[i].at = at;
        item->key[i].n = texts[i].n;
        if (texts[i].p) {
            memcpy(item->bytes + at, texts[i].p, texts[i].n);
            item->key[i].has = true;
        }
        at += texts[i].n;
    }
    item->row_at = at;
    item->row_n = n;
    if (n > 0)
        memcpy(item->bytes + at, row, n);
    return item;
}

static int compare_key(const struct sort_row *a, const struct sort_row *b, size_t i)
{
    size_t an = a->key[i].n, bn = b->key[i].n;
    int c = memcmp(a->bytes + a->key[i].at, b->bytes + b->key[i].at, an < bn ? an : bn);

    if (c == 0)
        c = (an > bn) - (an < bn);
    return c ? c : (a->key[i].number > b->key[i].number) - (a->key[i].number < b->key[i].number);
}

static int compare(const void *pa, const void *pb, void *ctx)
{
    const struct sort_row *a = *(struct sort_row *const *)pa, *b = *(struct sort_row *const *)pb;
    const struct sorter *s = ctx;
    int later = (a->number > b->number) - (a->number < b->number);

    for (size_t i = 0; i < s->key_count; i++) {
        int c;

        if (a->key[i].has != b->key[i].has)
            return a->key[i].has ? -1 : 1;
        c = a->key[i].has ? compare_key(a, b, i) : 0;
        if (c)
            return s->reverse ? -c : c;
    }
    return s->reverse && s->key_count == 0 ? -later : later;
}

void sort_finish(struct sorter *s)
{
    if (s->n > 1)
        qsort_r(s->rows, s->n, sizeof(*s->rows), compare, s);
    while (s->limit && s->n > s->limit)
        free(s->rows[--s->n]);
}

void sort_add(struct sorter *s, const struct lq_record *r, const char *row, size_t n)
{
    if (s->n == s->cap) {
        size_t cap = s->cap ? s->cap * 2 : 1024;
        struct sort_row **rows = realloc(s->rows, cap * sizeof(struct sort_row *));

        if (!rows)
            report_no_memory();
        s->rows = rows;
        s->cap = cap;
    }
    s->rows[s->n] = make_row(s, r, row, n);
    s->rows[s->n++]->number = s->added++;
    if (s->limit && s->n >= 1024 && s->n / 2 >= s->limit)
        sort_finish(s);
}

const char *sort_row(const struct sorter *s, size_t i, size_t *n)
{
    *n = s->rows[i]->row_n;
    return s->rows[i]->bytes + s->rows[i]->row_at;
}

void sort_done(struct sorter *s)
{
    while (s->n > 0)
        free(s->rows[--s->n]);
    free(s->rows);
    *s = (struct sorter){ .n = 0 };
}
