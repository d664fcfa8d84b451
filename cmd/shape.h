/*
 * The shape of a text: what stays the same when a program writes it a thousand times. Of a shape also the regular
 * expression that fits all texts that have it. Knows bytes only.
 *
 *     a word (letters, digits and bytes beyond ASCII) of digits alone       #    "Order 4711"       Order #
 *     a word with digits and something else                                 *    "Ticket a81f03c"   Ticket *
 *     what holds an @ (up to blanks, quotes, brackets and , ; :)            *    "Mail for a@b.c"   Mail for *
 *     everything else                                                       as it is
 */
#ifndef SHAPE_H
#define SHAPE_H

#include "libqueue.h"
#include "print.h"

/* True for what addresses are made of. */
bool shape_address_char(char c);
/* Write the shape, at most max bytes (a longer one is cut); answers its length. */
size_t shape_of(struct lq_str s, char *out, size_t max);
/*
 * Append a pattern for -S in printable ASCII, "/\A...\z/", which fits at least the texts of this shape; false if the shape is not
 * UTF-8, which no regular expression can name.
 */
bool shape_pattern(struct text *t, const char *shape, size_t n);

#endif
