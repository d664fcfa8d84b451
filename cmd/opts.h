/*
 * Option tables: each option is a row, and parsing, help, completion and the hint after a typing
 * error all come from the same rows. Knows no option by name but --help, --version, --completion.
 */
#ifndef OPTS_H
#define OPTS_H

#include <stdbool.h>
#include <stddef.h>

#include "libqueue.h"

struct opt;

/*
 * Store an option. target: the place that the row names, inside the struct given to opts_parse();
 * value: the argument, never empty, NULL for a flag. LQ_OK, or negative with a sentence in err.
 */
typedef int opt_set(const struct opt *o, void *target, const char *value, struct lq_error *err);

struct opt {
    const char *name;           /* long name; NULL in rows that are no option, and in the last */
    char letter;                /* 0: none */
    const char *arg;            /* the argument's name in the help; NULL: a flag; "[X]": optional, only as --name=X */
    const char *help;
    opt_set *set;
    size_t at;                  /* offset of what set() writes to */
    int value;                  /* for set() */
    const char *words;          /* what the argument can be, for the completion */
    const struct opt *inherit;  /* these rows stand here; their offsets count from `at` */
    const char *heading;        /* a line of its own in the help */
};

struct opts_program {
    const char *name;           /* "mqgrep" */
    const char *usage;          /* "[OPTION]... [ID]..." */
    const char *summary;        /* a sentence */
    const char *footer;         /* lines after the options */
    const struct opt *rows;
    const char *verbs;          /* what the first argument can be, for the completion; NULL: anything */
    /* Store an argument that is no option. */
    int (*operand)(void *base, const char *value, struct lq_error *err);
};

enum opts_result {
    OPTS_GO,        /* parsed */
    OPTS_DONE,      /* help, version or completion was printed: leave with success */
    OPTS_WRONG      /* said what is wrong: leave with 2 */
};

/*
 * Of the names in words, with blanks between, the one that was probably meant by the n bytes of word: one that begins so, or the nearest
 * within a third of its letters. NULL, or where it begins in words, and its length.
 */
const char *opts_near(const char *word, size_t n, const char *words, size_t *len);

enum opts_result opts_parse(const struct opts_program *p, void *base, int argc, char **argv);

/* The argument's name where it is a list of fields; the completion knows them. */
#define OPTS_FIELDS "FIELD,..."

/* --- setters for simple targets --- */

int opt_flag(const struct opt *o, void *target, const char *value, struct lq_error *err);       /* bool */
int opt_text(const struct opt *o, void *target, const char *value, struct lq_error *err);       /* const char *; twice is an error */
int opt_count(const struct opt *o, void *target, const char *value, struct lq_error *err);      /* unsigned long, at least o->value */
/* int: o->value, which says what kind of output is wanted; two different kinds are an error. */
int opt_mode(const struct opt *o, void *target, const char *value, struct lq_error *err);
int opt_color(const struct opt *o, void *target, const char *value, struct lq_error *err);      /* enum color_when */

/*
 * err is about the byte at `at` of a text: where its sentence is reported, the text and a mark below that place follow. text must outlive
 * the setter that answers err.
 */
void opts_point(const struct lq_error *err, const char *text, size_t at);
/* Report err as the mistake of an option, with the place that opts_point() named for it, if it did. */
void opts_report(const char *as, const struct lq_error *err);
/* Fill err with one sentence; answers LQ_EINVAL, so that a setter can return it. */
int opts_wrong(struct lq_error *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
