/*
 * Counting by key: a dictionary of texts in which each entry has a number, and sums over the messages that
 * had it. Made for many different keys: 48 bytes an entry besides its text, of which at most 256
 * bytes are kept (a 64-bit hash stands for the rest). Knows no record.
 *
 * Memory is bounded: up to `limit` entries everything is exact. From then on a new key takes over the entry with the fewest
 * messages and goes on from its number (space-saving; Metwally, Agrawal, El Abbadi, 2005): no number is ever too low, none is
 * higher than the truth by more than its `error`, and a key with more messages than count_bound() is always there.
 */
#ifndef COUNT_H
#define COUNT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Two entries every counter has. */
enum { COUNT_ABSENT = 0, COUNT_UNREAD = 1, COUNT_FIRST = 2 };

enum { COUNT_RECENT = 256 };

struct counted {
    const char *text;           /* as it was first seen; not NUL-terminated; NULL for the two, or not kept */
    uint64_t bytes;             /* of the messages */
    uint64_t hash;
    uint32_t length : 20;       /* of the whole text; more than count_kept() when it was cut */
    uint32_t room : 12;         /* bytes at text */
    uint32_t messages;          /* never too low */
    uint32_t error;             /* by how much it may be too high */
    uint32_t message;           /* its last one, so that a message counts once */
    uint32_t first, last;       /* arrival, epoch seconds; 0: not known */
};

struct counter {
    bool fold;                  /* a-z and A-Z are the same: set before the first use */
    /*
     * Only the largest entries will be shown: beyond the first thousands the text of an entry is kept when it is
     * seen again. Set before the first use.
     */
    bool frugal;
    uint32_t limit;             /* most entries; 0: no limit. Set before the first use */
    unsigned columns;           /* more numbers for each entry, at most COUNT_COLUMNS_MAX. Set before the first use */
    uint32_t kept;              /* bytes kept of a text, at most 4,095; 0: COUNT_KEPT, which count_kept() and count_cut() assume */
    /* its own: */
    struct counted **blocks;    /* of COUNT_BLOCK entries each */
    uint32_t **more;            /* the columns of these blocks */
    uint32_t n;
    uint32_t *victims;          /* entries that had `least` messages when they were looked for */
    uint32_t victim_count, least;
    bool full;                  /* some entry was taken over */
    uint32_t *slots;            /* hash table of entry numbers */
    uint32_t slot_count;        /* a power of two */
    char **chunks;              /* texts */
    size_t chunk_count, chunk_used;
    uint32_t recent[COUNT_RECENT];      /* entries seen last, by a cheap look at the text */
};

/* One message, for count_add(). */
struct sighting {
    uint32_t message;           /* its number, from 1 */
    uint32_t time;              /* arrival; 0: not known */
    uint64_t bytes;
    uint64_t columns;           /* a bit for each column that it counts in */
};

enum { COUNT_COLUMNS_MAX = 64, COUNT_KEPT = 256 };

/* The number of this text's entry, which is made if there is none. */
uint32_t count_key(struct counter *c, const char *p, size_t n);
/* The same, but 0 where there is none and no room for more. */
uint32_t count_key_if_room(struct counter *c, const char *p, size_t n);
/* Add a message to an entry, unless it was the last one that was added there. */
void count_add(struct counter *c, uint32_t entry, const struct sighting *s);
struct counted *count_get(const struct counter *c, uint32_t entry);
/* Its columns; NULL without. */
const uint32_t *count_columns(const struct counter *c, uint32_t entry);
/* How many messages a key may have that is not there, and by how much a number may be too high: 0 while all is exact. */
uint32_t count_bound(const struct counter *c);
/* A 64-bit hash with a key of this run. */
uint64_t count_hash(const char *p, size_t n, bool fold);
/* Bytes of the text that are there. */
size_t count_kept(const struct counted *e);
bool count_cut(const struct counted *e);
/* Entries that have messages and, but for the two, a text: most messages first, then most bytes, then by text; for free(). */
uint32_t *count_sorted(const struct counter *c, size_t *n);
/* No more keys will come: free what only finds them. */
void count_seal(struct counter *c);
void count_done(struct counter *c);

#endif
