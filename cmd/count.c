/* Counting by key. */
#include "count.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "report.h"

enum {
    COUNT_BLOCK = 1024,
    LENGTH_MAX = (1 << 20) - 1,
    CHUNK = 256 << 10,
    FIRST_SLOTS = 256,
    FRUGAL_FROM = 8192
};

/*
 * SipHash-1-3 (Aumasson and Bernstein, 2012) with a key of this run: who floods a queue chooses the subjects,
 * and must not be able to choose them so that all fall into one slot.
 */
static uint64_t seed[2];

static void make_seed(void)
{
    static const uint64_t fallback = UINT64_C(0x9e3779b97f4a7c15);

    if (getrandom(seed, sizeof(seed), GRND_NONBLOCK) != (ssize_t)sizeof(seed)) {
        seed[0] = fallback ^ (uint64_t)time(NULL);
        seed[1] = fallback + (uint64_t)(uintptr_t)&seed;
    }
    seed[0] |= 1;       /* never all zero: that is "not made yet" */
}

static inline uint64_t rotate(uint64_t v, unsigned bits)
{
    return v << bits | v >> (64 - bits);
}

/* Called out of line the state would go through memory for each round. */
#define IN_REGISTERS static inline __attribute__((always_inline))

IN_REGISTERS void sip_round(uint64_t v[4])
{
    v[0] += v[1];
    v[1] = rotate(v[1], 13) ^ v[0];
    v[0] = rotate(v[0], 32);
    v[2] += v[3];
    v[3] = rotate(v[3], 16) ^ v[2];
    v[0] += v[3];
    v[3] = rotate(v[3], 21) ^ v[0];
    v[2] += v[1];
    v[1] = rotate(v[1], 17) ^ v[2];
    v[2] = rotate(v[2], 32);
}

/* Eight bytes at a time: a key is hashed for each table and message. */
static uint64_t eight_of(const char *p, size_t n)
{
    uint64_t word = 0;

    memcpy(&word, p, n < sizeof(word) ? n : sizeof(word));
    return word;
}

/* The n < 8 bytes that end at `end`; before them there are others, if there are `before`. */
static uint64_t last_of(const char *end, size_t n, bool before)
{
    return before && n > 0 ? le64toh(eight_of(end - 8, 8)) >> (64 - 8 * n) : le64toh(eight_of(end - n, n));
}

/* A to Z in each of the eight bytes become a to z: the bytes of seven bits that are at least 'A', but not above 'Z'. */
static uint64_t folded(uint64_t word)
{
    const uint64_t each = UINT64_C(0x0101010101010101);
    uint64_t low = word & 0x7f * each;
    uint64_t upper = (low + (0x80 - 'A') * each) & ~(low + (0x7f - 'Z') * each) & ~word & 0x80 * each;

    return word | upper >> 2;
}

IN_REGISTERS void sip_word(uint64_t v[4], uint64_t word)
{
    v[3] ^= word;
    sip_round(v);
    v[0] ^= word;
}

uint64_t count_hash(const char *p, size_t n, bool fold)
{
    uint64_t v[4], word;
    size_t i = 0;

    if (!seed[0])
        make_seed();
    v[0] = seed[0] ^ UINT64_C(0x736f6d6570736575);
    v[1] = seed[1] ^ UINT64_C(0x646f72616e646f6d);
    v[2] = seed[0] ^ UINT64_C(0x6c7967656e657261);
    v[3] = seed[1] ^ UINT64_C(0x7465646279746573);
    for (; n - i >= 8; i += 8) {
        word = eight_of(p + i, 8);
        sip_word(v, fold ? folded(word) : word);
    }
    word = last_of(p + n, n - i, i > 0);
    sip_word(v, (fold ? folded(word) : word) | (uint64_t)n << 56);
    v[2] ^= 0xff;
    for (int k = 0; k < 3; k++)
        sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

static void *resized(void *p, size_t size)
{
    p = realloc(p, size);
    if (!p)
        report_no_memory();
    return p;
}

struct counted *count_get(const struct counter *c, uint32_t entry)
{
    return &c->blocks[entry / COUNT_BLOCK][entry % COUNT_BLOCK];
}

static uint32_t *columns_of(const struct counter *c, uint32_t entry)
{
    return c->more[entry / COUNT_BLOCK] + (size_t)(entry % COUNT_BLOCK) * c->columns;
}

const uint32_t *count_columns(const struct counter *c, uint32_t entry)
{
    return c->columns ? columns_of(c, entry) : NULL;
}

uint32_t count_bound(const struct counter *c)
{
    return c->full ? c->least : 0;
}

static uint32_t new_entry(struct counter *c)
{
    if (c->n % COUNT_BLOCK == 0) {
        size_t block = c->n / COUNT_BLOCK;

        c->blocks = resized(c->blocks, (block + 1) * sizeof(struct counted *));
        c->blocks[block] = resized(NULL, COUNT_BLOCK * sizeof(struct counted));
        memset(c->blocks[block], 0, COUNT_BLOCK * sizeof(struct counted));
        if (c->columns) {
            c->more = resized(c->more, (block + 1) * sizeof(uint32_t *));
            c->more[block] = calloc(COUNT_BLOCK, c->columns * sizeof(uint32_t));
            if (!c->more[block])
                report_no_memory();
        }
    }
    return c->n++;
}

static void place(struct counter *c, uint32_t entry)
{
    uint32_t slot = (uint32_t)count_get(c, entry)->hash & (c->slot_count - 1);

    while (c->slots[slot])
        slot = (slot + 1) & (c->slot_count - 1);
    c->slots[slot] = entry;     /* entries 0 and 1 have no text: 0 is a free slot */
}

static void more_slots(struct counter *c)
{
    c->slot_count = c->slot_count ? c->slot_count * 2 : FIRST_SLOTS;
    c->slots = resized(c->slots, c->slot_count * sizeof(uint32_t));
    memset(c->slots, 0, c->slot_count * sizeof(uint32_t));
    for (uint32_t e = COUNT_FIRST; e < c->n; e++)
        place(c, e);
}

static void begin(struct counter *c)
{
    new_entry(c);
    new_entry(c);
    more_slots(c);
}

static char *room_for(struct counter *c, size_t n)
{
    if (c->chunk_count == 0 || c->chunk_used + n > CHUNK) {
        c->chunks = resized(c->chunks, (c->chunk_count + 1) * sizeof(char *));
        c->chunks[c->chunk_count++] = resized(NULL, CHUNK);
        c->chunk_used = 0;
    }
    c->chunk_used += n;
    return c->chunks[c->chunk_count - 1] + c->chunk_used - n;
}

static size_t kept_of(const struct counter *c, const struct counted *e)
{
    uint32_t most = c->kept ? c->kept : COUNT_KEPT;

    return e->length < most ? e->length : most;
}

/*
 * Entries that change hands keep their room; where a longer text needs more of it, it is doubled, so that what is left
 * behind is never more than what is used.
 */
static void keep(struct counter *c, struct counted *e, const char *p)
{
    size_t n = kept_of(c, e), room = n, most = c->kept ? c->kept : COUNT_KEPT;

    if (!e->text || e->room < n) {
        if (c->full)
            room = e->room * 2u > n ? e->room * 2u : n;
        e->room = room > most ? most : room;
        e->text = room_for(c, e->room);
    }
    memcpy((char *)e->text, p, n);
}

size_t count_kept(const struct counted *e)
{
    return e->length < COUNT_KEPT ? e->length : COUNT_KEPT;
}

bool count_cut(const struct counted *e)
{
    return e->length > COUNT_KEPT;
}

static bool same_folded(const char *a, const char *b, size_t n)
{
    size_t i = 0;

    for (; n - i >= 8; i += 8)
        if (folded(eight_of(a + i, 8)) != folded(eight_of(b + i, 8)))
            return false;
    return folded(last_of(a + n, n - i, i > 0)) == folded(last_of(b + n, n - i, i > 0));
}

static bool same(const struct counter *c, const struct counted *e, uint64_t hash, const char *p, uint32_t n)
{
    size_t kept;

    if (e->hash != hash || e->length != n)
        return false;
    if (!e->text)
        return true;        /* not kept: 64 bits are enough to tell what is not shown */
    kept = kept_of(c, e);
    return memcmp(e->text, p, kept) == 0 || (c->fold && same_folded(e->text, p, kept));
}

/* --- when all entries are taken --- */

/*
 * Entries with the fewest messages. That number only grows, and each look at all entries raises it, so that there are never
 * more looks than messages for each entry.
 */
static void find_victims(struct counter *c)
{
    if (!c->victims)
        c->victims = resized(NULL, c->n * sizeof(*c->victims));
    c->least = UINT32_MAX;
    for (uint32_t e = COUNT_FIRST; e < c->n; e++)
        if (count_get(c, e)->messages < c->least)
            c->least = count_get(c, e)->messages;
    c->victim_count = 0;
    for (uint32_t e = c->n; e-- > COUNT_FIRST;)
        if (count_get(c, e)->messages == c->least)
            c->victims[c->victim_count++] = e;
}

static uint32_t next_victim(struct counter *c)
{
    for (;;) {
        while (c->victim_count > 0) {
            uint32_t e = c->victims[--c->victim_count];

            if (count_get(c, e)->messages == c->least)
                return e;
        }
        find_victims(c);
    }
}

/* Take it out of the table of slots; what stands behind it moves up to where it would be looked for. */
static void unplace(struct counter *c, uint32_t entry)
{
    uint32_t mask = c->slot_count - 1, hole = (uint32_t)count_get(c, entry)->hash & mask, at;

    while (c->slots[hole] != entry)
        hole = (hole + 1) & mask;
    c->slots[hole] = 0;
    for (at = (hole + 1) & mask; c->slots[at]; at = (at + 1) & mask) {
        uint32_t home = (uint32_t)count_get(c, c->slots[at])->hash & mask;

        if (((at - home) & mask) >= ((at - hole) & mask)) {
            c->slots[hole] = c->slots[at];
            c->slots[at] = 0;
            hole = at;
        }
    }
}

/* Its sums begin anew, but for the number of messages. */
static uint32_t take_over(struct counter *c)
{
    uint32_t entry = next_victim(c);
    struct counted *e = count_get(c, entry), old = *e;

    c->full = true;
    unplace(c, entry);
    *e = (struct counted){ .text = old.text, .room = old.room, .messages = old.messages, .error = old.messages };
    if (c->columns)
        memset(columns_of(c, entry), 0, c->columns * sizeof(uint32_t));
    return entry;
}

/* The entry of this text; 0: none yet. */
static uint32_t find(struct counter *c, uint64_t hash, const char *p, uint32_t n)
{
    uint32_t slot = (uint32_t)hash & (c->slot_count - 1);

    for (; c->slots[slot]; slot = (slot + 1) & (c->slot_count - 1)) {
        struct counted *e = count_get(c, c->slots[slot]);

        if (!same(c, e, hash, p, n))
            continue;
        if (!e->text)
            keep(c, e, p);
        return c->slots[slot];
    }
    return 0;
}

static bool is_full(const struct counter *c)
{
    return c->limit && c->n >= c->limit + COUNT_FIRST;
}

/*
 * Where the entry of this text stands if it was among the last ones. A flood repeats itself, and comparing costs less than hashing;
 * who makes all texts fall into one place wins nothing but the hashing.
 */
static uint32_t *recent_place(struct counter *c, const char *p, size_t n)
{
    uint64_t word = eight_of(p, n) + n;

    if (n > 8)
        word ^= rotate(eight_of(p + n - 8, 8), 31);
    return &c->recent[word * UINT64_C(0x9e3779b97f4a7c15) >> 56];
}

/* Byte for byte, and all of it: what differs in case is found by its hash. */
static bool is_text_of(const struct counter *c, uint32_t entry, const char *p, size_t n)
{
    const struct counted *e = count_get(c, entry);

    return e->text && e->length == n && kept_of(c, e) == n && memcmp(e->text, p, n) == 0;
}

static uint32_t find_or_make_hashed(struct counter *c, const char *p, size_t length, bool take)
{
    uint64_t hash = count_hash(p, length, c->fold);
    uint32_t entry, n = length < LENGTH_MAX ? (uint32_t)length : LENGTH_MAX;
    struct counted *e;

    entry = find(c, hash, p, n);
    if (entry || (is_full(c) && !take))
        return entry;
    if (is_full(c)) {
        entry = take_over(c);
    } else {
        if (c->n >= c->slot_count / 4 * 3)
            more_slots(c);
        entry = new_entry(c);
    }
    e = count_get(c, entry);
    e->hash = hash;
    e->length = n & LENGTH_MAX;
    if (!c->frugal || entry < FRUGAL_FROM || c->full)
        keep(c, e, p);
    place(c, entry);
    return entry;
}

static uint32_t find_or_make(struct counter *c, const char *p, size_t n, bool take)
{
    uint32_t *recent = recent_place(c, p, n);

    if (c->n == 0)
        begin(c);
    if (!*recent || !is_text_of(c, *recent, p, n))
        *recent = find_or_make_hashed(c, p, n, take);
    return *recent;
}

uint32_t count_key(struct counter *c, const char *p, size_t n)
{
    return find_or_make(c, p, n, true);
}

uint32_t count_key_if_room(struct counter *c, const char *p, size_t n)
{
    return find_or_make(c, p, n, false);
}

void count_add(struct counter *c, uint32_t entry, const struct sighting *s)
{
    struct counted *e;

    if (c->n == 0)
        begin(c);
    e = count_get(c, entry);
    if (e->message == s->message)
        return;
    e->message = s->message;
    e->messages++;
    e->bytes += s->bytes;
    for (uint64_t bits = s->columns; bits; bits &= bits - 1)
        columns_of(c, entry)[__builtin_ctzll(bits)]++;
    if (s->time && (!e->first || s->time < e->first))
        e->first = s->time;
    if (s->time > e->last)
        e->last = s->time;
}

static int compare(const void *pa, const void *pb, void *ctx)
{
    const struct counted *a = count_get(ctx, *(const uint32_t *)pa), *b = count_get(ctx, *(const uint32_t *)pb);
    size_t an = a->text ? count_kept(a) : 0, bn = b->text ? count_kept(b) : 0;
    int c;

    if (a->messages != b->messages)
        return a->messages > b->messages ? -1 : 1;
    if (a->bytes != b->bytes)
        return a->bytes > b->bytes ? -1 : 1;
    c = an && bn ? memcmp(a->text, b->text, an < bn ? an : bn) : 0;
    if (c == 0)
        c = (an > bn) - (an < bn);
    return c ? c : (*(const uint32_t *)pa > *(const uint32_t *)pb) - (*(const uint32_t *)pa < *(const uint32_t *)pb);
}

uint32_t *count_sorted(const struct counter *c, size_t *n)
{
    uint32_t *list = resized(NULL, (c->n + 1) * sizeof(*list));

    *n = 0;
    for (uint32_t e = 0; e < c->n; e++)
        if (count_get(c, e)->messages > 0 && (e < COUNT_FIRST || count_get(c, e)->text))
            list[(*n)++] = e;
    if (*n > 1)
        qsort_r(list, *n, sizeof(*list), compare, (void *)c);
    return list;
}

void count_seal(struct counter *c)
{
    free(c->slots);
    c->slots = NULL;
    c->slot_count = 0;
}

void count_done(struct counter *c)
{
    count_seal(c);
    for (uint32_t i = 0; i * COUNT_BLOCK < c->n; i++) {
        free(c->blocks[i]);
        if (c->columns)
            free(c->more[i]);
    }
    free(c->more);
    free(c->victims);
    for (size_t i = 0; i < c->chunk_count; i++)
        free(c->chunks[i]);
    free(c->blocks);
    free(c->chunks);
    *c = (struct counter){ .fold = c->fold, .frugal = c->frugal, .limit = c->limit, .columns = c->columns, .kept = c->kept };
}
