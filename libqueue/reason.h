/* Delay reasons: the enhanced status code inside one, and the class it belongs to. Knows no queue. */
#ifndef REASON_H
#define REASON_H

#include "bytes.h"

enum reason_class {
    REASON_BLOCKLIST, REASON_RATELIMIT, REASON_GREYLIST, REASON_DNS, REASON_TIMEOUT, REASON_REFUSED, REASON_FULL,
    REASON_AUTH, REASON_POLICY, REASON_OTHER, REASON_COUNT
};
extern const char *const reason_class_names[REASON_COUNT];

/* Words that stand for a class, and which document has them (table in reason_rules.h). */
struct reason_rule {
    const char *words;
    enum reason_class class;
    int source;
};

/* The rule whose words the text contains, NULL: none; and the i-th of all, NULL past the last. Static storage. */
const struct reason_rule *reason_rule_of(struct bytes text);
const struct reason_rule *reason_rule_at(size_t i);
const char *reason_source(const struct reason_rule *rule);

/* The class of a reason text, by words, else by its DSN code. */
enum reason_class reason_classify(struct bytes text);
/*
 * The first enhanced status code (RFC 3463: [245].n.n) in the text, as a word of its own and not part of an address or
 * longer number; n == 0 without one.
 */
struct bytes reason_dsn_code(struct bytes text);

#endif
