/*
 * Who floods the queue: remembers of each message who it came from, and finds the one that most of them share.
 * Says so only when it is clear. Knows no record; it is told entry numbers.
 */
#ifndef SUSPECT_H
#define SUSPECT_H

#include "select.h"
#include "tally.h"

/* What is remembered of a message, each the entry number in a tally. The first three can be named as suspect. */
enum trait { TRAIT_USER, TRAIT_CLIENT, TRAIT_SENDER, TRAIT_SUBJECT, TRAIT_SIZE, TRAIT_COUNT };

enum { SUSPECT_BLOCK = 4096 };

struct suspects {
    struct trait_row {
        uint32_t entry[TRAIT_COUNT];
        uint32_t domain;        /* entry of the last recipient's */
        uint32_t time, usec;    /* arrival; 0: not known */
    } **blocks;
    uint32_t n;
    uint32_t domains;           /* beyond the largest entry of a recipient's domain */
    bool selected;              /* the messages are a selection, not the queue */
    bool two_users;             /* some message has an account and another local login */
};

enum { SUSPECT_RECENT = 300 };      /* seconds */

struct suspect {
    enum trait trait;
    uint32_t entry;
    uint32_t messages;
    double share;               /* 0 to 1 */
    uint32_t began;             /* when 99 % of them were still to come; 0: not known */
    uint32_t last;              /* arrival of the last one */
    uint32_t recent;            /* arrived in the last SUSPECT_RECENT seconds */
    bool has_rate;
    double rate;                /* a minute, since then */
};

void suspect_note(struct suspects *s, const struct trait_row *row);
static inline const struct trait_row *suspect_row(const struct suspects *s, uint32_t i)
{
    return &s->blocks[i / SUSPECT_BLOCK][i % SUSPECT_BLOCK];
}

/* How many of the messages noted as number from to from + n - 1 arrived at most `seconds` before now. */
uint64_t suspect_recent(const struct suspects *s, uint32_t from, uint32_t n, int64_t now, int64_t seconds);
/* False when nobody stands out. tallies: by trait, those of users, clients and senders not frugal. */
bool suspect_find(const struct suspects *s, struct tally *const tallies[TRAIT_COUNT], int64_t now, struct suspect *out);
/* Append "81 % of the queue: account user7, from 203.0.113.9, began 13:04:49, 340/min, 1,700 in the last 5 minutes". */
void suspect_sentence(struct text *t, const struct suspects *s, struct tally *const tallies[TRAIT_COUNT],
                      const struct suspect *found, int64_t now);
/* Append its value as JSON. */
void suspect_value_json(struct text *t, struct tally *const tallies[TRAIT_COUNT], const struct suspect *found);
/* Append the mqgrep command that selects exactly these messages; false, and nothing, when there is none. */
bool suspect_command(struct text *t, const struct suspects *s, struct tally *const tallies[TRAIT_COUNT],
                     const struct suspect *found, const struct selection *sel);
void suspect_done(struct suspects *s);

#endif
