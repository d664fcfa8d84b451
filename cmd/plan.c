/* What is about to be done. */
#include "plan.h"

#include <stdlib.h>
#include <string.h>

#include "report.h"

enum { TOP_SHOWN = 5 };

static void begin_tally(struct tally *t, const char *key)
{
    struct lq_error err;

    if (tally_parse(t, key, &err) < 0)
        report_no_memory();
}

void plan_begin(struct plan *p, size_t queues, bool reports)
{
    *p = (struct plan){ .queues = queues, .reports = reports, .per_queue = calloc(queues + 1, sizeof(*p->per_queue)),
                        .dirs = calloc(queues + 1, sizeof(char *)) };
    if (!p->per_queue || !p->dirs)
        report_no_memory();
    begin_tally(&p->senders, "sender");
    begin_tally(&p->accounts, "user");
    begin_tally(&p->clients, "client");
    begin_tally(&p->subjects, "subject");
    begin_tally(&p->logins, "auth_user");
}

uint64_t plan_fields(const struct plan *p)
{
    return tally_fields(&p->senders) | tally_fields(&p->accounts) | tally_fields(&p->clients) | tally_fields(&p->subjects) |
           collateral_fields() | backscatter_fields() |
           LQ_FIELD_BIT(LQ_SPOOL) | LQ_FIELD_BIT(LQ_QUEUE_ID) | LQ_FIELD_BIT(LQ_ARRIVAL_TIME) | LQ_FIELD_BIT(LQ_MESSAGE_SIZE) | LQ_FIELD_BIT(LQ_SUBJECT);
}

/* --- samples --- */

static void add_text(struct text *t, const struct lq_record *rec, enum lq_field f, const char *empty, const char *absent)
{
    struct lq_str s = lq_record_text(rec, f);

    if (!s.p)
        text_put(t, absent);
    else if (s.n == 0)
        text_put(t, empty);
    else
        text_escape(t, s.p, s.n, ESCAPE_BLANKS);
}

static void add_recipients(struct text *t, const struct lq_record *rec)
{
    struct lq_str first = lq_record_text_at(rec, LQ_RECIPIENT, 0);
    uint64_t n = lq_record_recipient_count(rec, LQ_RECIPIENT);

    text_put(t, " to ");
    if (first.p)
        text_escape(t, first.p, first.n, ESCAPE_BLANKS);
    else
        text_char(t, lq_record_has(rec, LQ_RECIPIENT) == LQ_UNREAD ? '?' : '-');
    if (n > 1)
        text_format(t, " +%llu", (unsigned long long)n - 1);
}

/* No ages: the plan of a dry run a minute ago reads the same. */
static void add_sample(struct text *t, const struct lq_record *rec, int64_t arrival)
{
    struct lq_str subject = lq_record_text(rec, LQ_SUBJECT);
    int64_t size;

    text_put(t, "  sample      ");
    add_text(t, rec, LQ_QUEUE_ID, "-", "-");
    text_char(t, ' ');
    if (arrival)
        text_time(t, arrival);
    else
        text_char(t, '-');
    if (lq_record_number(rec, LQ_MESSAGE_SIZE, &size))
        text_format(t, " %lld", (long long)size);
    else
        text_put(t, " -");
    text_put(t, " from ");
    add_text(t, rec, LQ_SENDER, "<>", "?");
    add_recipients(t, rec);
    if (subject.p) {
        text_put(t, " \"");
        text_escape(t, subject.p, subject.n < 200 ? subject.n : 200, 0);
        text_char(t, '"');
    }
    text_char(t, '\n');
}

/* What is in a case names the spool that it came from, and goes back to. */
static char *spool_of(const struct lq_record *rec)
{
    struct lq_str s = lq_record_text(rec, LQ_SPOOL);
    char *dir = strndup(s.p ? s.p : "?", s.p ? s.n : 1);

    if (!dir)
        report_no_memory();
    return dir;
}

void plan_note(struct plan *p, const struct lq_record *rec, size_t queue)
{
    int64_t arrival = 0, size = 0;
    struct sighting s = { .message = (uint32_t)++p->messages };

    lq_record_number(rec, LQ_ARRIVAL_TIME, &arrival);
    lq_record_number(rec, LQ_MESSAGE_SIZE, &size);
    s.bytes = size > 0 ? (uint64_t)size : 0;
    s.time = arrival > 0 && arrival <= UINT32_MAX ? (uint32_t)arrival : 0;
    p->bytes += s.bytes;
    if (s.time) {
        p->first = p->first == 0 || arrival < p->first ? arrival : p->first;
        p->last = arrival > p->last ? arrival : p->last;
    }
    if (queue < p->queues && p->per_queue[queue]++ == 0)
        p->dirs[queue] = spool_of(rec);
    tally_add(&p->senders, rec, 0, &s);
    tally_add(&p->accounts, rec, 0, &s);
    tally_add(&p->clients, rec, 0, &s);
    tally_add(&p->subjects, rec, 0, &s);
    tally_add(&p->logins, rec, 0, &s);
    collateral_note(&p->collateral, rec);
    if (p->reports)
        backscatter_note(&p->backscatter, rec);
    if (p->sample_count < PLAN_SAMPLES) {
        add_sample(&p->samples, rec, s.time ? arrival : 0);
        p->sample_count++;
    }
}

/* --- the text --- */

/* "  senders     a@b 1,203, c@d 12, and 7 others"; nothing where nobody is named. */
static void show_top(struct text *t, const char *title, const struct tally *tally, bool quoted)
{
    size_t n, named = 0;
    uint32_t *sorted = tally_sorted(tally, &n);
    struct text line = { 0 };

    for (size_t i = 0; i < n; i++) {
        struct group g = tally_group(tally, sorted[i]);
        const struct counted *e = g.sums;
        const char *quote;

        if (!e->text)
            continue;
        if (++named > TOP_SHOWN)
            continue;
        quote = quoted && count_kept(e) > 0 ? "\"" : "";
        text_format(&line, "%s%s", named > 1 ? ", " : "", quote);
        key_show(&line, &tally->keys[0], (struct lq_str){ e->text, count_kept(e) }, quoted ? 0 : ESCAPE_BLANKS);
        text_format(&line, "%s%s ", count_cut(e) ? "..." : "", quote);
        text_count(&line, e->messages);
    }
    if (named > 0)
        text_format(t, "  %-11s %.*s", title, (int)line.n, line.p);
    if (named > TOP_SHOWN)
        text_format(t, ", and %zu other%s", named - TOP_SHOWN, named > TOP_SHOWN + 1 ? "s" : "");
    if (named > 0)
        text_char(t, '\n');
    text_done(&line);
    free(sorted);
}

static void show_queues(struct text *t, const struct plan *p, const struct selection *sel)
{
    for (size_t i = 0; i < p->queues && i < sel->queue_count; i++) {
        if (p->per_queue[i] == 0)
            continue;
        text_put(t, p->back ? "  goes back to " : "  queue       ");
        text_escape(t, p->dirs[i], strlen(p->dirs[i]), 0);
        text_format(t, " (%s): ", lq_queue_mta(sel->queues[i].queue));
        text_count(t, p->per_queue[i]);
        text_char(t, '\n');
    }
}

void plan_show(struct text *t, const struct plan *p, const char *verb, struct selection *sel)
{
    text_format(t, "%s ", verb);
    text_count(t, p->messages);
    text_format(t, " message%s, ", p->messages == 1 ? "" : "s");
    text_size(t, (int64_t)p->bytes);
    text_char(t, '\n');
    show_queues(t, p, sel);
    if (p->first) {
        text_put(t, "  arrived     ");
        text_time(t, p->first);
        text_put(t, " to ");
        text_time(t, p->last);
        text_char(t, '\n');
    }
    show_top(t, "senders", &p->senders, false);
    show_top(t, "accounts", &p->accounts, false);
    show_top(t, "clients", &p->clients, false);
    /* Several subjects of one account may be its owner's own mail. */
    show_top(t, "subjects", &p->subjects, true);
    text_add(t, p->samples.p, p->samples.n);
    collateral_show(t, &p->collateral, sel, &p->accounts);
    if (p->reports)
        backscatter_show(t, &p->backscatter, sel);
}

void plan_done(struct plan *p)
{
    tally_done(&p->senders);
    tally_done(&p->accounts);
    tally_done(&p->clients);
    tally_done(&p->subjects);
    tally_done(&p->logins);
    text_done(&p->samples);
    backscatter_done(&p->backscatter);
    for (size_t i = 0; i < p->queues && p->dirs; i++)
        free(p->dirs[i]);
    free(p->dirs);
    free(p->per_queue);
    *p = (struct plan){ 0 };
}
