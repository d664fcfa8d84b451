/* Who floods the queue. */
#include "suspect.h"

#include <stdlib.h>
#include <string.h>

#include "report.h"

enum {
    ROW_BLOCK = 4096,
    LEAST_MESSAGES = 20,        /* fewer are no flood */
    SHOWN_MAX = 60              /* bytes of a subject or address in the sentence */
};

void suspect_note(struct suspects *s, const uint32_t entry[TRAIT_COUNT], uint32_t time)
{
    struct trait_row *row;
    size_t block = s->n / ROW_BLOCK;

    if (s->n % ROW_BLOCK == 0) {
        struct trait_row **blocks = realloc(s->blocks, (block + 1) * sizeof(struct trait_row *));

        if (!blocks)
            report_no_memory();
        s->blocks = blocks;
        blocks[block] = malloc(ROW_BLOCK * sizeof(struct trait_row));
        if (!blocks[block])
            report_no_memory();
    }
    row = &s->blocks[block][s->n++ % ROW_BLOCK];
    memcpy(row->entry, entry, sizeof(row->entry));
    row->time = time;
}

static const struct trait_row *row_at(const struct suspects *s, uint32_t i)
{
    return &s->blocks[i / ROW_BLOCK][i % ROW_BLOCK];
}

uint64_t suspect_recent(const struct suspects *s, uint32_t from, uint32_t n, int64_t now, int64_t seconds)
{
    uint64_t recent = 0;

    for (uint32_t i = from; i < from + n && i < s->n; i++)
        recent += row_at(s, i)->time && now - row_at(s, i)->time <= seconds;
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
static void find_times(const struct suspects *s, struct suspect *out)
{
    uint32_t *times = malloc((out->messages + 1) * sizeof(*times)), n = 0, from, span;

    if (!times)
        report_no_memory();
    for (uint32_t i = 0; i < s->n && n < out->messages; i++)
        if (row_at(s, i)->entry[out->trait] == out->entry && row_at(s, i)->time)
            times[n++] = row_at(s, i)->time;
    qsort(times, n, sizeof(*times), compare_times);
    if (n > 0) {
        from = n / 100;
        span = times[n - 1] - times[from];
        out->began = times[from];
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
bool suspect_find(const struct suspects *s, struct tally *const tallies[TRAIT_COUNT], struct suspect *out)
{
    static const enum trait order[] = { TRAIT_SENDER, TRAIT_USER, TRAIT_CLIENT, TRAIT_SENDER };

    for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
        const struct counter *c = &tallies[order[i]]->counts;
        uint32_t e = most(s, c);

        if (!e || (i == 0 && count_get(c, e)->length > 0))
            continue;
        *out = (struct suspect){ .trait = order[i], .entry = e, .messages = count_get(c, e)->messages };
        out->share = (double)out->messages / s->n;
        find_times(s, out);
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
        const struct trait_row *row = row_at(s, i);
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

void suspect_sentence(struct text *t, const struct suspects *s, struct tally *const tallies[TRAIT_COUNT],
                      const struct suspect *found)
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
}

/* --- the command --- */

static const struct {
    enum lq_selector sel;
    const char *option, *before;
} typed[] = {
    [TRAIT_USER] = { LQ_SEL_USER, "-u", "=" },
    [TRAIT_CLIENT] = { LQ_SEL_CLIENT, "-p", "" },
    [TRAIT_SENDER] = { LQ_SEL_SENDER, "-f", "=" },
};

static bool parses(enum lq_selector sel, const char *pattern)
{
    struct lq_filter *filter;
    struct lq_error err;
    bool fine;

    if (lq_filter_new(&filter, &err) < 0)
        return false;
    fine = lq_filter_add(filter, sel, pattern, &err) == LQ_OK;
    lq_filter_free(filter);
    return fine;
}

/* True when the selection's own options leave room for one more of this kind: the same twice would widen it. */
static bool free_for(const struct selection *sel, enum lq_selector selector)
{
    for (size_t i = 0; i < sel->pick_count; i++)
        if (sel->picks[i].opt->set && (enum lq_selector)sel->picks[i].opt->value == selector)
            return false;
    return true;
}

bool suspect_command(struct text *t, const struct suspects *s, struct tally *const tallies[TRAIT_COUNT],
                     const struct suspect *found, const struct selection *sel)
{
    const struct counted *e = count_get(&tallies[found->trait]->counts, found->entry);
    enum lq_selector selector = typed[found->trait].sel;
    struct text pattern = { 0 };
    bool fine;

    if (count_cut(e) || !text_plain(e->text, count_kept(e)) || !free_for(sel, selector) ||
        (found->trait == TRAIT_USER && s->two_users))
        return false;
    if (found->trait == TRAIT_SENDER && e->length == 0)
        text_put(&pattern, "<>");
    else
        text_format(&pattern, "%s%.*s", typed[found->trait].before, (int)count_kept(e), e->text);
    text_char(&pattern, '\0');
    fine = e->length + (found->trait == TRAIT_SENDER) > 0 && parses(selector, pattern.p) && select_command(sel, "mqgrep", t);
    text_format(t, " %s ", typed[found->trait].option);
    text_shell(t, pattern.p, pattern.n - 1);
    text_done(&pattern);
    return fine;
}

void suspect_done(struct suspects *s)
{
    for (uint32_t i = 0; i * ROW_BLOCK < s->n; i++)
        free(s->blocks[i]);
    free(s->blocks);
    *s = (struct suspects){ 0 };
}
