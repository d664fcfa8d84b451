/*
 * Patterns of the selection language (mqselect(7)) compiled once and matched by several threads; the only user of PCRE2.
 */
#ifndef PATTERN_H
#define PATTERN_H

#include "bytes.h"
#include "error.h"

enum pattern_kind {
    PATTERN_ADDRESS,    /* a@b, @dom, @.dom, globs, <>, =TEXT, /re/ on the whole address */
    PATTERN_USER,       /* the same but <>; without @ also an account before its realm (alice = alice@mx.example.com) */
    PATTERN_TEXT,       /* globs on the whole text, =TEXT, /re/ */
    PATTERN_BODY        /* the same for long texts of many lines: ^ and $ are those of a line, and the match limit is higher */
};

enum pattern_result {
    PATTERN_NO, PATTERN_YES,
    PATTERN_LIMIT       /* a regex ran into its match limit: undecided */
};

struct pattern;
/* Per-thread scratch of a match; zero it first. */
struct pattern_scratch {
    void *match_data;
};

/*
 * LQ_OK; LQ_EINVAL for an empty text (also behind = or @, and between slashes), a bad regex (with the place), one
 * without its last slash, a glob that begins with ^ or ends with $ (the sentence shows the /…/ form), a trailing
 * backslash; LQ_ENOMEM. Regexes are case-insensitive, UTF, with JIT where there is one. Globs: * ? and \ as
 * escape; ASCII case-insensitive.
 */
int pattern_compile(struct pattern **out, enum pattern_kind kind, const char *text, struct lq_error *err);
/* Any number of threads may match one pattern, each with its own scratch. Bytes that are not UTF-8 match as such. */
enum pattern_result pattern_match(const struct pattern *p, struct bytes subject, struct pattern_scratch *scratch);
/* True for patterns that name one text exactly (no glob, no regex, no @dom form): a hint can offer the substring form. */
bool pattern_exact(const struct pattern *p);
void pattern_free(struct pattern *p);
void pattern_scratch_done(struct pattern_scratch *scratch);

#endif
