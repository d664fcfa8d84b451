/*
 * What is about to be done, before anybody agrees to it: how many messages, how much, whose, from where, a few of them. The same text
 * for the same set, whether it is only a dry run or not. Counts records; holds none.
 */
#ifndef PLAN_H
#define PLAN_H

#include "backscatter.h"
#include "collateral.h"

enum { PLAN_SAMPLES = 5 };

struct plan {
    struct tally senders, accounts, clients, subjects;
    struct tally logins;        /* accounts of the SMTP server alone, for the block */
    struct collateral collateral;
    bool reports;               /* senders get some */
    struct backscatter backscatter;
    struct text samples;
    size_t sample_count;
    uint64_t messages, bytes;
    int64_t first, last;        /* arrivals; 0: none known */
    uint64_t *per_queue;        /* messages of each queue of the selection */
    char **dirs;                /* of each that has some: its spool; of a case the one that the messages are from */
    size_t queues;
    bool back;                  /* messages of a case: those spools are where they go */
};

/* reports: what is done sends non-delivery reports. */
void plan_begin(struct plan *p, size_t queues, bool reports);
/* What lq_scan_opts.fields must hold. */
uint64_t plan_fields(const struct plan *p);
/* Note a message that is going to be acted on. */
void plan_note(struct plan *p, const struct lq_record *rec, size_t queue);
/* Append the text: lines for people, escaped. verb: "take". */
void plan_show(struct text *t, const struct plan *p, const char *verb, struct selection *sel);
void plan_done(struct plan *p);

#endif
