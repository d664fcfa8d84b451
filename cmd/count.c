/* Counting by key. */
#include "count.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "report.h"

enum {
    COUNT_BLOCK = 1024,
    TEXT_KEPT = 256,
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

static uint64_t rotate(uint64_t v, unsigned bits)
{
    return v << bits | v >> (64 - bits);
}

static void sip_round(uint64_t v[4])
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

/* A to Z in each of the eight bytes become a to z: the bytes of seven bits that are at least 'A', but not above 'Z'. */
static uint64_t folded(uint64_t word)
{
    const uint64_t each = UINT64_C(0x0101010101010101);
    uint64_t low = word & 0x7f * each;
    uint64_t upper = (low + (0x80 - 'A') * each) & ~(low + (0x7f - 'Z') * each) & ~word & 0x80 * each;

    return word | upper >> 2;
}

static void sip_word(uint64_t v[4], uint64_t word)
{
    v[3] ^= word;
    sip_round(v);
    v[0] ^= word;
}

static uint64_t hash_text(const char *p, size_t n, bool fold)
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
    word = eight_of(p + i, n - i);
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

static uint32_t new_entry(struct counter *c)
{
    if (c->n % COUNT_BLOCK == 0) {
        size_t block = c->n / COUNT_BLOCK;

        c->blocks = resized(c->blocks, (block + 1) * sizeof(struct counted *));
        c->blocks[block] = resized(NULL, COUNT_BLOCK * sizeof(struct counted));
        memset(c->blocks[block], 0, COUNT_BLOCK * sizeof(struct counted));
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

static const char *keep(struct counter *c, const char *p, size_t n)
{
    char *at;

    if (c->chunk_count == 0 || c->chunk_used + n > CHUNK) {
        c->chunks = resized(c->chunks, (c->chunk_count + 1) * sizeof(char *));
        c->chunks[c->chunk_count++] = resized(NULL, CHUNK);
        c->chunk_used = 0;
    }
    at = c->chunks[c->chunk_count - 1] + c->chunk_used;
    memcpy(at, p, n);
    c->chunk_used += n;
    return at;
}

size_t count_kept(const struct counted *e)
{
    return e->length < TEXT_KEPT ? e->length : TEXT_KEPT;
}

bool count_cut(const struct counted *e)
{
    return e->length > TEXT_KEPT;
}

static bool same_folded(const char *a, const char *b, size_t n)
{
    size_t i = 0;

    for (; n - i >= 8; i += 8)
        if (folded(eight_of(a + i, 8)) != folded(eight_of(b + i, 8)))
            return false;
    return folded(eight_of(a + i, n - i)) == folded(eight_of(b + i, n - i));
}

static bool same(const struct counter *c, const struct counted *e, uint64_t hash, const char *p, size_t n)
{
    size_t kept = count_kept(e);

    if (e->hash != hash || e->length != (uint32_t)n)
        return false;
    if (!e->text)
        return true;        /* not kept: 64 bits are enough to tell what is not shown */
    return memcmp(e->text, p, kept) == 0 || (c->fold && same_folded(e->text, p, kept));
}

uint32_t count_key(struct counter *c, const char *p, size_t n)
{
    uint64_t hash = hash_text(p, n, c->fold);
    struct counted *e;
    uint32_t slot, entry;

    if (c->n == 0)
        begin(c);
    slot = (uint32_t)hash & (c->slot_count - 1);
    while (c->slots[slot]) {
        e = count_get(c, c->slots[slot]);
        if (same(c, e, hash, p, n)) {
            if (!e->text)
                e->text = keep(c, p, count_kept(e));
            return c->slots[slot];
        }
        slot = (slot + 1) & (c->slot_count - 1);
    }
    if (c->n >= c->slot_count / 4 * 3)
        more_slots(c);
    entry = new_entry(c);
    e = count_get(c, entry);
    e->hash = hash;
    e->length = (uint32_t)n;
    if (!c->frugal || entry < FRUGAL_FROM)
        e->text = keep(c, p, count_kept(e));
    place(c, entry);
    return entry;
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
    for (uint32_t i = 0; i * COUNT_BLOCK < c->n; i++)
        free(c->blocks[i]);
    for (size_t i = 0; i < c->chunk_count; i++)
        free(c->chunks[i]);
    free(c->blocks);
    free(c->chunks);
    *c = (struct counter){ .fold = c->fold, .frugal = c->frugal };
}
