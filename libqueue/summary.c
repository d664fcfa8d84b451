/* Counting who sent what, and saying it in a page. */
#include "summary.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { DISTINCT_MAX = 100000, SHOWN = 10, TEXT_MAX = 200 };

static const struct { enum lq_field field, other; const char *title; } keys[SUMMARY_KEYS] = {
    { LQ_CLIENT_ADDRESS, LQ_CLIENT_ADDRESS, "Hosts that handed the messages in, by the address of their connection as this server saw it" },
    { LQ_AUTH_USER, LQ_LOCAL_USER, "Accounts that logged in to send them" },
    { LQ_SENDER, LQ_SENDER, "Envelope senders" },
    { LQ_SUBJECT, LQ_SUBJECT, "Subjects" },
    { LQ_HELO_NAME, LQ_HELO_NAME, "Names that the hosts gave themselves (HELO)" },
};

const uint64_t summary_fields = LQ_FIELD_BIT(LQ_CLIENT_ADDRESS) | LQ_FIELD_BIT(LQ_AUTH_USER) | LQ_FIELD_BIT(LQ_LOCAL_USER) | LQ_FIELD_BIT(LQ_SENDER) |
                                LQ_FIELD_BIT(LQ_SUBJECT) | LQ_FIELD_BIT(LQ_HELO_NAME) | LQ_FIELD_BIT(LQ_ARRIVAL_TIME) | LQ_FIELD_BIT(LQ_PROBLEMS);

void summary_text(struct buf *out, const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)text[i];

        if (i == TEXT_MAX) {
            buf_add_str(out, " ...");
            return;
        }
        if (c >= ' ' && c < 0x7F && c != '\\')
            buf_add_char(out, (char)c);
        else
            buf_printf(out, "\\x%02X", c);
    }
}

static uint64_t hash(const char *p, size_t n)
{
    uint64_t h = UINT64_C(14695981039346656037);

    for (size_t i = 0; i < n; i++)
        h = (h ^ (unsigned char)p[i]) * UINT64_C(1099511628211);
    return h;
}

static struct counted *slot(struct counted *slots, size_t cap, const char *text)
{
    size_t i = hash(text, strlen(text)) & (cap - 1);

    while (slots[i].text && strcmp(slots[i].text, text) != 0)
        i = (i + 1) & (cap - 1);
    return &slots[i];
}

static bool grow(struct tally *t)
{
    size_t cap = t->cap ? t->cap * 2 : 64;
    struct counted *more = calloc(cap, sizeof(*more));

    if (!more)
        return false;
    for (size_t i = 0; i < t->cap; i++)
        if (t->slots[i].text)
            *slot(more, cap, t->slots[i].text) = t->slots[i];
    free(t->slots);
    t->slots = more;
    t->cap = cap;
    return true;
}

/* text: already printable, so that it has no NUL. */
static bool count(struct tally *t, const char *text)
{
    struct counted *c;

    t->known++;
    if (t->used * 2 >= t->cap && !grow(t))
        return false;
    c = slot(t->slots, t->cap, text);
    if (!c->text && t->used == DISTINCT_MAX) {
        t->beyond++;
        return true;
    }
    if (!c->text) {
        c->text = strdup(text);
        if (!c->text)
            return false;
        t->used++;
    }
    c->n++;
    return true;
}

void summary_add(struct summary *s, const struct lq_record *r)
{
    struct buf shown = { 0 };
    int64_t when;

    s->messages++;
    s->damaged += lq_record_text_at(r, LQ_PROBLEMS, 0).p != NULL;
    if (lq_record_number(r, LQ_ARRIVAL_TIME, &when)) {
        if (s->first == 0 || when < s->first)
            s->first = when;
        if (when > s->last)
            s->last = when;
    }
    for (size_t k = 0; k < SUMMARY_KEYS; k++) {
        struct lq_str text = lq_record_text(r, keys[k].field);

        if (!text.p)
            text = lq_record_text(r, keys[k].other);
        if (!text.p)
            continue;
        shown.n = 0;
        if (keys[k].field == LQ_SENDER && text.n == 0)
            text = (struct lq_str){ "<> (bounces)", 12 };
        summary_text(&shown, text.p, text.n);
        buf_add_char(&shown, '\0');
        s->failed = s->failed || shown.failed || !count(&s->tallies[k], shown.p);
    }
    buf_done(&shown);
}

static int more_first(const void *a, const void *b)
{
    const struct counted *x = a, *y = b;

    if (x->n != y->n)
        return x->n > y->n ? -1 : 1;
    return strcmp(x->text, y->text);
}

static void print_tally(const struct tally *t, const char *title, struct buf *out)
{
    struct counted *all = malloc((t->used + 1) * sizeof(*all));
    size_t n = 0;
    uint64_t shown = 0;

    if (!all) {
        out->failed = true;
        return;
    }
    for (size_t i = 0; i < t->cap; i++)
        if (t->slots[i].text)
            all[n++] = t->slots[i];
    if (n > 1)
        qsort(all, n, sizeof(*all), more_first);
    buf_printf(out, "\n%s:\n", title);
    for (size_t i = 0; i < n && i < SHOWN; i++) {
        buf_printf(out, "  %8llu  %s\n", (unsigned long long)all[i].n, all[i].text);
        shown += all[i].n;
    }
    if (t->known > shown)
        buf_printf(out, "  %8llu  others\n", (unsigned long long)(t->known - shown));
    free(all);
}

static void print_time(struct buf *out, int64_t t)
{
    char text[64];
    time_t when = (time_t)t;
    struct tm tm;

    if (gmtime_r(&when, &tm) && strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S UTC", &tm) > 0)
        buf_add_str(out, text);
}

void summary_print(const struct summary *s, struct buf *out)
{
    buf_printf(out, "Messages:  %llu", (unsigned long long)s->messages);
    if (s->damaged)
        buf_printf(out, " (%llu of them damaged; records.ndjson says how)", (unsigned long long)s->damaged);
    if (s->last) {
        buf_add_str(out, "\nArrived:   ");
        print_time(out, s->first);
        buf_add_str(out, " to ");
        print_time(out, s->last);
    }
    buf_add_char(out, '\n');
    for (size_t k = 0; k < SUMMARY_KEYS; k++)
        if (s->tallies[k].known)
            print_tally(&s->tallies[k], keys[k].title, out);
}

void summary_done(struct summary *s)
{
    for (size_t k = 0; k < SUMMARY_KEYS; k++) {
        for (size_t i = 0; i < s->tallies[k].cap; i++)
            free(s->tallies[k].slots[i].text);
        free(s->tallies[k].slots);
    }
}
