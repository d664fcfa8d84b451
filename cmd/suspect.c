/* Who floods the queue. */
#include "suspect.h"

#include <stdlib.h>
#include <string.h>

#include "paste.h"
#include "report.h"

enum {
    LEAST_MESSAGES = 20,        /* fewer are no flood */
    SHOWN_MAX = 60              /* bytes of a subject or address in the sentence */
};

void suspect_note(struct suspects *s, const struct trait_row *row)
{
    size_t block = s->n / SUSPECT_BLOCK;

    if (s->n % SUSPECT_BLOCK == 0) {
        struct trait_row **blocks = realloc(s->blocks, (block + 1) * sizeof(struct trait_row *));

        if (!blocks)
            report_no_memory();
        s->blocks = blocks;
        blocks[block] = malloc(SUSPECT_BLOCK * sizeof(struct trait_row));
        if (!blocks[block])
            report_no_memory();
    }
    s->blocks[block][s->n++ % SUSPECT_BLOCK] = *row;
    if (row->domain >= s->domains)
        s->domains = row->domain + 1;
}

uint64_t suspect_recent(const struct suspects *s, uint32_t from, uint32_t n, int64_t now, int64_t seconds)
{
    uint64_t recent = 0;

    for (uint32_t i = from; i < from + n && i < s->n; i++)
        recent += suspect_row(s, i)->time && now - suspect_row(s, i)->time <= seconds;
    return recent;
}

static int compare_times(const void *pa, const void *pb)
{
    uint32_t a = *(const uint32_t *)pa, b = *(const uint32_t *)pb;

    return (a > b) - (a < b);
}

/*
 * One old message of the same account must not make a flood look slow: the first hundredth is left out
 * where it says when the flood began.
 */
static void find_times(const struct suspects *s, int64_t now, struct suspect *out)
{
    uint32_t *times = malloc((out->messages + 1) * sizeof(*times)), n = 0, from, span;

    if (!times)
        report_no_memory();
    for (uint32_t i = 0; i < s->n && n < out->messages; i++)
        if (suspect_row(s, i)->entry[out->trait] == out->entry && suspect_row(s, i)->time)
            times[n++] = suspect_row(s, i)->time;
    qsort(times, n, sizeof(*times), compare_times);
    if (n > 0) {
        from = n / 100;
        span = times[n - 1] - times[from];
        out->began = times[from];
        out->last = times[n - 1];
        while (out->recent < n && now - (int64_t)times[n - 1 - out->recent] <= SUSPECT_RECENT)
            out->recent++;
        out->has_rate = n - from > 1;
        out->rate = (n - from) * 60.0 / (span < 60 ? 60 : span);
    }
    free(times);
}

/* The value that half of the messages or more have; 0: none. */
static uint32_t most(const struct suspects *s, const struct counter *c)
{
    for (uint32_t e = COUNT_FIRST; e < c->n; e++)
        if (count_get(c, e)->messages >= LEAST_MESSAGES && count_get(c, e)->messages >= s->n - s->n / 2)
            return e;
    return 0;
}

/*
 * The account first: addresses change in minutes. But bounces are nobody's, although Exim writes its own login
 * into them.
 */
bool suspect_find(const struct suspects *s, struct tally *const tallies[TRAIT_COUNT], int64_t now, struct suspect *out)
{
    static const enum trait order[] = { TRAIT_SENDER, TRAIT_USER, TRAIT_CLIENT, TRAIT_SENDER };

    for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
        const struct counter *c = &tallies[order[i]]->counts;
        uint32_t e = most(s, c);

        if (!e || (i == 0 && count_get(c, e)->length > 0))
            continue;
        *out = (struct suspect){ .trait = order[i], .entry = e, .messages = count_get(c, e)->messages };
        out->share = (double)out->messages / s->n;
        find_times(s, now, out);
        return true;
    }
    return false;
}

/* --- saying it --- */

static void put_value(struct text *t, const struct tally *tally, uint32_t entry)
{
    const struct counted *e = count_get(&tally->counts, entry);
    size_t n = count_kept(e) < SHOWN_MAX ? count_kept(e) : SHOWN_MAX;

    /* Not in the middle of a UTF-8 character. */
    while (n < count_kept(e) && n > 0 && ((unsigned char)e->text[n] & 0xc0) == 0x80)
        n--;
    key_show(t, &tally->keys[0], (struct lq_str){ e->text, n }, 0);
    if (n < e->length)
        text_put(t, "...");
}

void suspect_value_json(struct text *t, struct tally *const tallies[TRAIT_COUNT], const struct suspect *found)
{
    const struct counted *e = count_get(&tallies[found->trait]->counts, found->entry);

    text_json(t, e->text, count_kept(e));
}

/* Values of another trait among the suspect's messages. */
struct mix {
    uint32_t different, best, best_messages;
};

static struct mix mix_of(const struct suspects *s, const struct suspect *found, enum trait trait, uint32_t entries)
{
    uint32_t *messages = calloc(entries + 1, sizeof(*messages));
    struct mix mix = { 0, 0, 0 };

    if (!messages)
        report_no_memory();
    for (uint32_t i = 0; i < s->n; i++) {
        const struct trait_row *row = suspect_row(s, i);
        uint32_t e = row->entry[trait];

        if (row->entry[found->trait] != found->entry || e < COUNT_FIRST || e >= entries)
            continue;
        mix.different += messages[e]++ == 0;
        if (messages[e] > mix.best_messages) {
            mix.best = e;
            mix.best_messages = messages[e];
        }
    }
    free(messages);
    return mix;
}

/* An account that sends as itself: its address is not said twice. */
static bool same_text(struct tally *const tallies[TRAIT_COUNT], const struct suspect *found, uint32_t sender)
{
    const struct counted *a = count_get(&tallies[found->trait]->counts, found->entry);
    const struct counted *b = count_get(&tallies[TRAIT_SENDER]->counts, sender);

    return a->length == b->length && strncasecmp(a->text, b->text, count_kept(a)) == 0;
}

/* "from 203.0.113.9": nearly all have it. "from 312 clients": they are many. Else nothing. */
static void put_mix(struct text *t, const struct suspects *s, struct tally *const tallies[TRAIT_COUNT],
                    const struct suspect *found, enum trait trait)
{
    static const struct { const char *one, *after, *many; } words[TRAIT_COUNT] = {
        [TRAIT_USER] = { "account ", "", NULL },
        [TRAIT_CLIENT] = { "from ", "", "clients" },
        [TRAIT_SENDER] = { "sender ", "", "senders" },
        [TRAIT_SUBJECT] = { "subject \"", "\"", NULL },
        [TRAIT_SIZE] = { "each ", " bytes", NULL },
    };
    struct mix mix;

    if (trait == found->trait)
        return;
    mix = mix_of(s, found, trait, tallies[trait]->counts.n);
    if (trait == TRAIT_SENDER && mix.best && same_text(tallies, found, mix.best))
        return;
    if (mix.best_messages >= found->messages - found->messages / 10 && mix.best) {
        text_format(t, ", %s", words[trait].one);
        put_value(t, tallies[trait], mix.best);
        text_put(t, words[trait].after);
    } else if (words[trait].many && mix.different > 1) {
        text_format(t, trait == TRAIT_CLIENT ? ", from " : ", ");
        text_count(t, mix.different);
        text_format(t, " %s", words[trait].many);
    }
}

/* Whether it goes on: what came lately, or since when nothing did. */
static void put_growth(struct text *t, const struct suspect *found, int64_t now)
{
    if (found->recent) {
        text_put(t, ", ");
        text_count(t, found->recent);
        text_format(t, " in the last %d minutes", SUSPECT_RECENT / 60);
    } else if (found->last) {
        text_put(t, ", none for ");
        text_age(t, now - found->last);
    }
}

void suspect_sentence(struct text *t, const struct suspects *s, struct tally *const tallies[TRAIT_COUNT],
                      const struct suspect *found, int64_t now)
{
    static const char *const nouns[] = { [TRAIT_USER] = "account ", [TRAIT_CLIENT] = "client ", [TRAIT_SENDER] = "sender " };

    text_format(t, "%d %% of %s: %s", (int)(found->share * 100 + 0.5), s->selected ? "the selection" : "the queue",
                nouns[found->trait]);
    put_value(t, tallies[found->trait], found->entry);
    put_mix(t, s, tallies, found, TRAIT_CLIENT);
    put_mix(t, s, tallies, found, TRAIT_SENDER);
    put_mix(t, s, tallies, found, TRAIT_SUBJECT);
    put_mix(t, s, tallies, found, TRAIT_SIZE);
    if (found->began) {
        text_put(t, ", began ");
        text_time(t, found->began);
    }
    if (found->has_rate)
        text_format(t, found->rate < 10 ? ", %.1f/min" : ", %.0f/min", found->rate);
    put_growth(t, found, now);
}

/* --- the command --- */

static const struct {
    enum lq_selector sel;
    enum lq_field field;
    const char *before;
} typed[] = {
    [TRAIT_USER] = { LQ_SEL_USER, LQ_AUTH_USER, "=" },
    [TRAIT_CLIENT] = { LQ_SEL_CLIENT, LQ_CLIENT_ADDRESS, "" },
    [TRAIT_SENDER] = { LQ_SEL_SENDER, LQ_SENDER, "=" },
};

/*
 * Whether the option fits this value and none other that was seen. It looks at nothing else, so it then selects exactly the
 * messages that were counted. Where not all values were kept nobody can say so.
 */
static bool fits_only(const struct lq_filter *filter, const struct counter *c, const struct suspect *found)
{
    for (uint32_t e = COUNT_FIRST; e < c->n; e++) {
        const struct counted *value = count_get(c, e);
        struct lq_str text = { value->text, value->text ? count_kept(value) : 0 };

        /* One that was cut is longer than every literal. */
        if (count_cut(value) && e != found->entry)
            continue;
        if (!value->text || count_cut(value) ||
            lq_filter_matches_text(filter, typed[found->trait].field, text) != (e == found->entry))
            return false;
    }
    return count_bound(c) == 0;
}

bool suspect_command(struct text *t, const struct suspects *s, struct tally *const tallies[TRAIT_COUNT],
                     const struct suspect *found, const struct selection *sel)
{
    const struct counter *c = &tallies[found->trait]->counts;
    const struct counted *e = count_get(c, found->entry);
    struct paste paste;
    bool fine;

    paste_begin(&paste);
    if (found->trait == TRAIT_SENDER && e->length == 0)
        paste_add(&paste, LQ_SEL_SENDER, "", "<>", 2);
    else
        paste_add(&paste, typed[found->trait].sel, typed[found->trait].before, e->text, count_kept(e));
    /* -u selects by either of two names. */
    fine = !(found->trait == TRAIT_USER && s->two_users) && paste_ready(&paste, sel) && fits_only(paste.filter, c, found) &&
           paste_command(t, &paste, sel, "mqgrep");
    paste_done(&paste);
    return fine;
}

void suspect_done(struct suspects *s)
{
    for (uint32_t i = 0; i * SUSPECT_BLOCK < s->n; i++)
        free(s->blocks[i]);
    free(s->blocks);
    *s = (struct suspects){ 0 };
}
