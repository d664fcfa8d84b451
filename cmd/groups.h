/* Groups of messages as people and programs read them: a table, JSON lines, CSV. Counts nothing. */
#ifndef GROUPS_H
#define GROUPS_H

#include "print.h"
#include "rates.h"
#include "tally.h"

struct groups {
    const struct tally *tally;
    const char *title;          /* of the last column; NULL: the keys' names */
    bool ordered;               /* by `order`; else in the tally's usual order */
    enum tally_order order;
    size_t top;                 /* rows; SIZE_MAX: all */
    uint64_t of;                /* messages that were looked at */
    bool sample;                /* that is not all of them */
    bool named_only;            /* messages without a value are no row */
    bool key_column;            /* CSV: the key's name stands in the first column */
    const struct rates *rates;  /* the tally's columns; NULL: none */
    int64_t now;                /* decides how times are shortened */
    struct screen screen;
};

void groups_show(const struct groups *g);
void groups_json(const struct groups *g);
void groups_csv(const struct groups *g);
/* The header for groups_csv(). */
void groups_csv_header(const struct groups *g);
/* Append the sentence on what a bounded tally does not know exactly; false, and nothing, when all is exact. */
bool groups_bound(const struct tally *t, struct text *out);

/* The pieces, for other tables. */
void groups_value(struct text *t, const struct key *k, const struct group_value *v, unsigned how);
void groups_json_key(struct text *t, const struct tally *tally, const struct group *g);
void groups_short_time(struct text *t, uint32_t epoch, int64_t now);
/* End a cell of a table's row. */
void groups_cell(struct text *t);
/* Print and empty: as it is, with a newline, or one line of JSON. */
void groups_print(struct text *t);
void groups_print_line(struct text *t);
void groups_print_json(struct text *t, bool terminal);

#endif
