/*
 * What a flood is, as far as the queue can tell: a few features of its messages, rules over them, and the reasons in words. A rule
 * is as narrow as it must be to be right; what fits none stays unclear. How often each is right is measured: tests/classify.
 */
#ifndef CLASSIFY_H
#define CLASSIFY_H

#include "suspect.h"

enum flood {
    FLOOD_NONE,             /* nobody stands out, and nothing holds the queue back */
    FLOOD_UNCLEAR,
    FLOOD_WATCHDOG,         /* a program that mails at equal intervals */
    FLOOD_SCHEDULED,        /* the same at full minutes: a cron job */
    FLOOD_ACCOUNT,          /* one account, many addresses, many recipient domains */
    FLOOD_RELAY,            /* no account, many sender domains, many recipient domains */
    FLOOD_BACKSCATTER,      /* null senders to many domains */
    FLOOD_LIST,             /* a newsletter or mailing list */
    FLOOD_BLOCKLIST,        /* ordinary mail that receivers refuse for now: listed */
    FLOOD_THROTTLE,         /* the same: too much */
    FLOOD_COUNT
};

/* Whose messages the features are of. */
enum group_of { OF_ALL, OF_SUSPECT, OF_STRANGERS };     /* strangers have an address and no account */

struct features {
    enum group_of of;
    uint32_t messages;
    uint32_t with_user, with_client, null_senders;
    uint32_t users, clients, senders, sender_domains, domains, subjects;        /* how many different ones */
    uint32_t top_sender_domain, top_domain, top_subject;        /* messages of the largest */
    bool regular;               /* arrivals lie an interval apart, or several */
    double interval;            /* seconds */
    /* of a sample: */
    uint32_t sampled, blocklist, throttle;      /* read; deferred for these reasons */
    uint32_t headers, lists;    /* headers read; with List-Id, Precedence: bulk or list */
};

/* Everything but the sample, of the group that says most. found: NULL if nobody stands out. domains: tally of recipient domains. */
void classify_count(struct features *f, const struct suspects *s, struct tally *const tallies[TRAIT_COUNT], const struct suspect *found);
/* Fields of classify_sample(). */
uint64_t classify_fields(void);
/* A message of the sample that is one of theirs. */
void classify_sample(struct features *f, const struct lq_record *r, struct lq_queue *q);
enum flood classify(const struct features *f);
/* "account" */
const char *classify_name(enum flood flood);
/* Append "Looks like a compromised account: one account, 212 client addresses, 1,204 recipient domains". */
void classify_sentence(struct text *t, enum flood flood, const struct features *f);
/* The same from what was measured: true if messages at these times (microseconds, sorted) come at equal intervals. */
bool classify_regular(const int64_t *times, uint32_t n, bool micro, double *interval);

#endif
