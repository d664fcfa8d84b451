/* Delay reasons: the enhanced status code inside one, and the class it belongs to. Knows no queue. */
#ifndef REASON_H
#define REASON_H

#include "bytes.h"

enum reason_class {
    REASON_BLOCKLIST, REASON_RATELIMIT, REASON_GREYLIST, REASON_DNS, REASON_TIMEOUT, REASON_REFUSED, REASON_FULL,
    REASON_AUTH, REASON_POLICY, REASON_OTHER, REASON_COUNT
};
extern const char *const reason_class_names[REASON_COUNT];

/* The class of a reason text, by words and DSN codes (table in reason.c). */
enum reason_class reason_classify(struct bytes text);
/*
 * The first enhanced status code (RFC 3463: [245].n.n) in the text, as a word of its own and not part of an address or
 * longer number; n == 0 without one.
 */
struct bytes reason_dsn_code(struct bytes text);

#endif
