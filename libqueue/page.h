/*
 * report.html of an evidence pack: a page that needs nothing but itself, for a browser, a phone and paper. What messages say is
 * shown as text only; the page forbids every script and style but its own.
 */
#ifndef PAGE_H
#define PAGE_H

#include "summary.h"

/* The table of messages while it grows; the page holds the first of them. */
struct page {
    bool redacted;              /* no column names anybody */
    struct buf rows;
    uint64_t shown;
};

/* What the page says of the archive before it speaks of the messages. */
struct page_fact {
    const char *name, *value;
};

/* LQ_FIELD_BITs that page_add() looks at beside summary_fields. */
extern const uint64_t page_fields;

void page_add(struct page *p, const struct lq_record *r);
/* The whole page, beyond what page_add() saw with the counts of summary_add(). */
void page_print(const struct page *p, const struct summary *s, const struct page_fact *facts, size_t fact_count, struct buf *out);
void page_done(struct page *p);

#endif
