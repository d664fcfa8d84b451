/* summary.txt of an evidence pack: what people at an abuse desk read first. Counts records; prints plain ASCII. */
#ifndef SUMMARY_H
#define SUMMARY_H

#include "buf.h"
#include "libqueue.h"

enum { SUMMARY_KEYS = 5 };

struct counted {
    char *text;
    uint64_t n;
};

struct tally {
    struct counted *slots;      /* open addressing; a power of two */
    size_t used, cap;
    uint64_t known, beyond;     /* messages that have the field; of them those for which there was no room */
};

struct summary {
    struct tally tallies[SUMMARY_KEYS];
    uint64_t messages, damaged;
    int64_t first, last;        /* arrivals; 0: none known */
    bool failed;
};

/* What LQ_FIELD_BITs summary_add() looks at. */
extern const uint64_t summary_fields;

void summary_add(struct summary *s, const struct lq_record *r);
/* The paragraphs about the messages. */
void summary_print(const struct summary *s, struct buf *out);
/* Text of strangers for people: one line, printable ASCII, \xNN for the rest. */
void summary_text(struct buf *out, const char *text, size_t n);
void summary_done(struct summary *s);

#endif
