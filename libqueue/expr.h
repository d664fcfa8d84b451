/* Expressions of the selection language (mqselect(7)): text to tree. */
#ifndef EXPR_H
#define EXPR_H

#include "filter.h"

enum {
    EXPR_BYTES_MAX = 1 << 20,
    EXPR_DEPTH_MAX = 100,       /* parentheses inside parentheses */
    EXPR_LEAVES_MAX = 10000
};

/*
 * A tree for the expression; node_free(). LQ_OK; LQ_EINVAL with a sentence, and *at the offset of the byte that it is about; LQ_ENOMEM.
 */
int expr_parse(struct node **out, const char *text, size_t *at, struct lq_error *err);
/* Whether a word means something in expressions, so that as a value it needs quotes. */
bool expr_is_keyword(const char *s, size_t n);

#endif
