/* Who sent what, counted for the pages of an evidence pack that people read: summary.txt, which this writes, and report.html (page.c). */
#ifndef SUMMARY_H
#define SUMMARY_H

#include "buf.h"
#include "counts.h"
#include "libqueue.h"
#include "timeline.h"

enum summary_key {
    SUMMARY_CLIENT, SUMMARY_ACCOUNT, SUMMARY_SENDER, SUMMARY_SUBJECT, SUMMARY_HELO, SUMMARY_SIZE, SUMMARY_SIZES, SUMMARY_CLASS, SUMMARY_REASON,
    SUMMARY_KEYS
};

enum { SUMMARY_TEXT = 200 };    /* bytes of a stranger's text that are shown */

struct summary {
    bool redacted;              /* nothing that names anybody is counted */
    struct counts counts[SUMMARY_KEYS];
    struct timeline arrivals;
    uint64_t messages, damaged, bytes;
    int64_t first, last;        /* arrivals; 0: none known */
    bool failed;
};

/* What LQ_FIELD_BITs summary_add() looks at. */
extern const uint64_t summary_fields;

void summary_add(struct summary *s, const struct lq_record *r);
/* The paragraphs about the messages, for summary.txt: plain ASCII. */
void summary_print(const struct summary *s, struct buf *out);
/* Text of strangers for people: one line, printable ASCII, \xNN for the rest. */
void summary_text(struct buf *out, const char *text, size_t n);
/* "2026-11-22 03:14:15 UTC" */
void summary_time(struct buf *out, int64_t t);
void summary_done(struct summary *s);

#endif
