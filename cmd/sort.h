/*
 * Rows kept until all are known, for --sort, -R and the first N of them. A row is finished text, so
 * memory is what the output takes; with a limit only about twice as many rows are kept.
 */
#ifndef SORT_H
#define SORT_H

#include "column.h"

enum { SORT_KEYS_MAX = 8 };

struct sort_row;

struct sorter {
    struct column keys[SORT_KEYS_MAX];
    size_t key_count;
    bool reverse;
    size_t limit;               /* 0: all rows */
    /* its own: */
    struct sort_row **rows;
    size_t n, cap;
    uint64_t added;
};

/* Parse "size,sender". LQ_OK; LQ_EINVAL with a sentence. */
int sort_parse(struct sorter *s, const char *list, struct lq_error *err);
/* What lq_scan_opts.fields must hold besides. */
uint64_t sort_fields(const struct sorter *s);
/* Copies the row. */
void sort_add(struct sorter *s, const struct lq_record *r, const char *row, size_t n);
/* All rows are there: put them in order. Equal ones stay in the order they came in; missing values come last. */
void sort_finish(struct sorter *s);
/* Row i in order, after sort_finish(); s->n of them. */
const char *sort_row(const struct sorter *s, size_t i, size_t *n);
void sort_done(struct sorter *s);

#endif
