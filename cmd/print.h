/*
 * Everything that turns data into what people and programs read: a growing text, escaping, numbers
 * in words, columns. Text that came out of a queue file goes through one of the escaping calls here
 * before it is printed; nothing else in cmd/ may write it.
 */
#ifndef PRINT_H
#define PRINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "libqueue.h"

/* Bytes that grow; p is not NUL-terminated. All zero is empty. Running out of memory ends the program. */
struct text {
    char *p;
    size_t n, cap;
};

void text_add(struct text *t, const void *p, size_t n);
void text_put(struct text *t, const char *s);
void text_char(struct text *t, char c);
void text_format(struct text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void text_done(struct text *t);

enum escape {
    ESCAPE_BLANKS = 1,      /* blanks too, so that the result is one word for awk */
    ESCAPE_LINES = 2,       /* newlines and tabs stay as they are: text of several lines */
};

/*
 * Append bytes so that a terminal only shows them: printable UTF-8 stays, the rest becomes \n, \t,
 * \x1b (a byte) or \u202e (a character). That is C0, DEL, C1, invalid UTF-8, and what changes
 * the order or the look of text without being seen: bidirectional controls, zero-width characters.
 */
void text_escape(struct text *t, const char *p, size_t n, unsigned how);
/* Append a JSON string with its quotes; bytes that are not UTF-8, and NUL, become U+FFFD. */
void text_json(struct text *t, const char *p, size_t n);
/* Append JSON that the library made; on a terminal invisible characters become \u escapes, still the same JSON. */
void text_json_line(struct text *t, const char *p, size_t n, bool terminal);
/* Append an RFC 4180 field: quoted where needed, bytes as they are; escaped first when a terminal reads it. */
void text_csv(struct text *t, const char *p, size_t n, bool terminal);
/* Append one word for a POSIX shell, in single quotes unless it is plain. */
void text_shell(struct text *t, const char *p, size_t n);

/* For people, never by locale: "198.4M", "3h", "1,203", "2026-11-21T13:04:49+01:00". */
void text_size(struct text *t, int64_t bytes);
void text_age(struct text *t, int64_t seconds);
void text_count(struct text *t, uint64_t n);
void text_time(struct text *t, int64_t epoch);

/* True when every byte is printable ASCII (blank included). */
bool text_plain(const char *p, size_t n);
/* Terminal columns of escaped text. */
size_t text_width(const char *p, size_t n);

enum color_when { COLOR_AUTO, COLOR_ALWAYS, COLOR_NEVER };

/* Where the output goes. */
struct screen {
    bool terminal;          /* standard output is one */
    bool color;
    size_t width;           /* columns of the terminal; 0: lines are never cut */
};

struct screen screen_look(enum color_when color);

/* --- tables --- */

struct table_column {
    const char *title;
    bool right;             /* aligned to the right */
    bool flexible;          /* may be cut when the terminal is too narrow, and is not padded far elsewhere */
    size_t least;               /* never narrower than this */
    bool extra;             /* left out, the last such first, where the terminal is too narrow for the others */
    const char *(*paint)(const char *cell);     /* colour: what to print before the cell, or NULL */
};

/*
 * Lines of cells. The first 256 decide how wide columns are; from then on lines are printed at
 * once. On a terminal no line is wider than it; elsewhere nothing is ever cut.
 */
struct table {
    const struct table_column *columns;
    size_t n;
    struct screen screen;
    bool header;
    bool below;             /* each row has one more cell, whole lines that are printed below it as they are */
    /* its own: */
    struct text waiting;    /* rows not printed yet */
    size_t rows;
    size_t width[64];
    uint64_t hidden;        /* 1 << column: left out */
    bool begun;
};

enum { TABLE_COLUMNS_MAX = 64 };

/* cells: the row's escaped cells, each with a NUL after it. */
void table_row(struct table *t, const char *cells, size_t size);
/* The end: prints what waits, and the header of an empty table if there is one. */
void table_end(struct table *t);

#endif
