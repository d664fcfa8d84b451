/*
 * One field of a record as text: a word for people, data for programs, lines of a long block. Which
 * fields, and how --fields, --format and --sort name them, is here too.
 */
#ifndef COLUMN_H
#define COLUMN_H

#include "libqueue.h"
#include "print.h"

struct column {
    enum lq_field field;
    const char *name;           /* as lists of fields write it: "age", "queue_id" */
    bool age;                   /* the arrival time as an age */
};

struct columns {
    struct column list[TABLE_COLUMNS_MAX];
    size_t n;
};

/* Parse "id,sender,age". LQ_OK; LQ_EINVAL with a sentence. */
int columns_parse(struct columns *out, const char *list, struct lq_error *err);
/* One name of n bytes. */
int column_find(struct column *out, const char *name, size_t n, struct lq_error *err);
/* What lq_scan_opts.fields must hold for column_show() and column_data(). */
uint64_t columns_fields(const struct columns *c);
/* What lq_record_json() is asked for. */
uint64_t columns_json_fields(const struct columns *c);

enum column_style {
    COLUMN_ALL = 1,             /* every element of a list, not only the first and a number */
    COLUMN_WORD = 2             /* blanks are escaped, too: one word for awk */
};

/*
 * Append the value for people, on one line: "-" absent, "?" could not be read, <> the null sender, "" another
 * empty text. now: where ages count from.
 */
void column_show(struct text *t, const struct lq_record *r, const struct column *c, int64_t now, unsigned style);
/* Append the bare value, unescaped: numbers and epoch seconds, lists with a blank between. False, and nothing, when it has none. */
bool column_data(struct text *t, const struct lq_record *r, const struct column *c, int64_t now);
/* Append "name  value" lines of a field, escaped; nothing for an absent one. */
void column_block(struct text *t, const struct lq_record *r, enum lq_field f, int64_t now);

#endif
