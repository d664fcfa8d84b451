/*
 * Who would get the non-delivery reports of messages that are given up: senders in a flood are rarely those who sent it, and each domain that is not our
 * own gets reports about mail it has never seen. Counts records; holds none.
 */
#ifndef BACKSCATTER_H
#define BACKSCATTER_H

#include "count.h"
#include "print.h"
#include "select.h"

struct backscatter {
    struct counter domains;     /* of senders, in lower case */
    uint32_t messages;
    uint64_t nobody;            /* null senders */
    uint64_t bare;              /* senders without a domain: accounts of this machine */
    uint64_t unread;
};

/* What lq_scan_opts.fields must hold. */
uint64_t backscatter_fields(void);
void backscatter_note(struct backscatter *b, const struct lq_record *rec);
/* Append lines, "  reports     …". What is local is asked of the servers of the selection's queues. */
void backscatter_show(struct text *t, const struct backscatter *b, const struct selection *sel);
void backscatter_done(struct backscatter *b);

#endif
