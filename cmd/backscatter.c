/* Who would get the reports. */
#include "backscatter.h"

#include <stdlib.h>
#include <string.h>

#include "report.h"

enum { DOMAINS_SHOWN = 5 };

uint64_t backscatter_fields(void)
{
    return LQ_FIELD_BIT(LQ_SENDER);
}

void backscatter_note(struct backscatter *b, const struct lq_record *rec)
{
    struct lq_str sender = lq_record_text(rec, LQ_SENDER), domain = lq_address_domain(sender);
    struct sighting s = { .message = ++b->messages };

    b->domains.fold = true;
    b->unread += !sender.p;
    b->nobody += sender.p && sender.n == 0;
    b->bare += sender.n > 0 && domain.n == 0;
    if (domain.n > 0)
        count_add(&b->domains, count_key(&b->domains, domain.p, domain.n), &s);
}

/* --- whose domains --- */

struct owners {
    struct lq_domains **of;     /* of each queue of the selection */
    size_t n;
};

static void ask_owners(struct owners *o, const struct selection *sel)
{
    struct lq_error err;

    o->of = calloc(sel->queue_count + 1, sizeof(struct lq_domains *));
    if (!o->of)
        report_no_memory();
    for (o->n = 0; o->n < sel->queue_count; o->n++)
        if (lq_domains_ask(&o->of[o->n], sel->queues[o->n].queue, &err) < 0)
            report_no_memory();
}

static bool is_own(const struct owners *o, struct lq_str domain)
{
    for (size_t i = 0; i < o->n; i++)
        if (lq_domains_has(o->of[i], domain))
            return true;
    return false;
}

static void owners_done(struct owners *o)
{
    for (size_t i = 0; i < o->n; i++)
        lq_domains_free(o->of[i]);
    free(o->of);
}

/* --- in sentences --- */

static void line(struct text *t, uint64_t n, const char *one, const char *several)
{
    if (n == 0)
        return;
    text_put(t, "  reports     ");
    text_count(t, n);
    text_format(t, " %s\n", n == 1 ? one : several);
}

static void show_sources(struct text *t, const struct owners *o)
{
    for (size_t i = 0; i < o->n; i++) {
        const char *source = lq_domains_source(o->of[i]);
        bool told = false;

        for (size_t k = 0; k < i; k++)
            told |= strcmp(lq_domains_source(o->of[k]), source) == 0;
        if (!told)
            text_format(t, "  reports     known to be local: this host, and %s\n", source);
    }
}

struct foreign {
    struct text names;
    uint64_t messages, own;
    size_t domains;
};

static void add_domain(struct foreign *f, const struct counted *e)
{
    f->messages += e->messages;
    if (++f->domains > DOMAINS_SHOWN)
        return;
    text_put(&f->names, f->domains > 1 ? ", " : "");
    text_escape(&f->names, e->text, count_kept(e), ESCAPE_BLANKS);
    text_put(&f->names, count_cut(e) ? "... " : " ");
    text_count(&f->names, e->messages);
}

void backscatter_show(struct text *t, const struct backscatter *b, const struct selection *sel)
{
    struct foreign f = { .own = b->bare };
    struct owners owners;
    size_t n;
    uint32_t *sorted = count_sorted(&b->domains, &n);

    ask_owners(&owners, sel);
    for (size_t i = 0; i < n; i++) {
        const struct counted *e = count_get(&b->domains, sorted[i]);

        if (e->text && is_own(&owners, (struct lq_str){ e->text, count_kept(e) }))
            f.own += e->messages;
        else if (e->text)
            add_domain(&f, e);
    }
    if (f.domains > 0) {
        text_put(t, "  reports     ");
        text_count(t, f.messages);
        text_put(t, " to ");
        text_count(t, f.domains);
        text_format(t, " domain%s not known to be local (backscatter): %.*s", f.domains == 1 ? "" : "s", (int)f.names.n, f.names.p);
        if (f.domains > DOMAINS_SHOWN) {
            text_put(t, ", and ");
            text_count(t, f.domains - DOMAINS_SHOWN);
            text_format(t, " other%s", f.domains > DOMAINS_SHOWN + 1 ? "s" : "");
        }
        text_char(t, '\n');
    }
    line(t, f.own, "to a sender of this server", "to senders of this server");
    line(t, b->nobody, "without sender: nobody gets a report, it is left alone", "without sender: nobody gets a report, they are left alone");
    line(t, b->unread, "whose sender cannot be read is left alone", "whose sender cannot be read are left alone");
    show_sources(t, &owners);
    owners_done(&owners);
    text_done(&f.names);
    free(sorted);
}

void backscatter_done(struct backscatter *b)
{
    count_done(&b->domains);
}
