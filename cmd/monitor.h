/* A queue in a few numbers: thresholds on them for monitoring, and what became of these. Knows no queue. */
#ifndef MONITOR_H
#define MONITOR_H

#include "libqueue.h"
#include "print.h"

enum monitor_number { MONITOR_COUNT, MONITOR_BYTES, MONITOR_OLDEST, MONITOR_ARRIVED, MONITOR_DEFERRED, MONITOR_HELD, MONITOR_SHARE, MONITOR_NUMBERS };

enum { MONITOR_LIMITS_MAX = 16 };

struct monitor_limits {
    struct {
        enum monitor_number number;
        bool above;             /* else below */
        int64_t value;
    } list[MONITOR_LIMITS_MAX];
    size_t n;
};

/* Exit statuses that monitoring programs know. */
enum { MONITOR_OK = 0, MONITOR_WARNING = 1, MONITOR_CRITICAL = 2, MONITOR_UNKNOWN = 3 };

/* "count>5000,oldest>4h,count<1". LQ_OK; LQ_EINVAL with a sentence. */
int monitor_parse(struct monitor_limits *out, const char *list, struct lq_error *err);
/* Append the line for monitoring; answers the exit status. */
int monitor_line(struct text *t, const int64_t numbers[MONITOR_NUMBERS], const struct monitor_limits *warn, const struct monitor_limits *crit);
/* "count" */
const char *monitor_name(enum monitor_number number);

#endif
