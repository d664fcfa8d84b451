/*
 * The files of an evidence pack that others read first: summary.txt, report.html, xarf.json. What each looks like is summary.c's, page.c's and
 * xarf.c's; here is what they say of the archive itself.
 */
#include "evidence.h"

#include <stdio.h>
#include <string.h>

/* --- what both pages say first --- */

enum { FACTS = 16 };

struct facts {
    struct page_fact all[FACTS];
    size_t n;
    char now[TIME_TEXT], clock[160], left[160], back[160];
    struct buf reports;
};

static void fact(struct facts *f, const char *name, const char *value)
{
    if (value && *value && f->n < FACTS)
        f->all[f->n++] = (struct page_fact){ name, value };
}

static void place_facts(const struct evidence *e, struct facts *f)
{
    for (size_t i = 0; i < e->bag.spool_count; i++) {
        const struct case_spool *s = &e->bag.spools[i];

        if (!e->opts->redact) {
            fact(f, "Host", s->host ? s->host : "(not known)");
            fact(f, "Queue", s->spool);
        }
        fact(f, "Server", s->mta);
    }
    fact(f, "Case", evidence_source(e));
}

static void clock_fact(const struct evidence *e, struct facts *f)
{
    if (e->clock_known && e->clock_synced)
        snprintf(f->clock, sizeof(f->clock), "synchronised (NTP); at packing off by %ld us, at most %ld us", e->clock_offset_us, e->clock_error_us);
    else
        snprintf(f->clock, sizeof(f->clock), "not known to be synchronised when this was packed");
    fact(f, "Clock", f->clock);
}

/* The counts are of what is in the archive; who compares them with the case's own wants to know where the others are. */
static void back_fact(const struct evidence *e, struct facts *f)
{
    const struct lq_case_info *info = e->c ? &e->c->info : NULL;
    uint64_t n = info ? info->restored : 0;
    const char *where = "";

    if (n == 0)
        return;
    if (info->sealed && e->summary.messages == info->messages)
        where = n == 1 ? "; it is here, too" : "; they are here, too";
    else if (info->sealed && e->summary.messages + n == info->messages)
        where = n == 1 ? "; it is not here, nor counted" : "; they are not here, nor counted";
    snprintf(f->back, sizeof(f->back), "%llu %s of this case went back to the queue before this was packed%s", (unsigned long long)n,
             n == 1 ? "message" : "messages", where);
    fact(f, "Put back", f->back);
    if (e->opts->tell)
        e->opts->tell(e->opts->tell_ctx, f->back);
}

static void gather(const struct evidence *e, struct facts *f)
{
    job_time(f->now);
    fact(f, "Prepared", f->now);
    fact(f, "By", e->opts->reporter);
    fact(f, "Why", e->opts->why);
    place_facts(e, f);
    clock_fact(e, f);
    if (e->left > 0)
        snprintf(f->left, sizeof(f->left), "%llu messages that left the queue, or kept changing, while they were copied", (unsigned long long)e->left);
    fact(f, "Not here", f->left);
    back_fact(e, f);
    if (e->opts->redact)
        fact(f, "Redacted", "no messages, addresses, accounts or names");
}

/* --- summary.txt --- */

static const char whole_closing[] =
    "\nWhat is in this archive\n"
    "  report.html              this page with pictures and a table of the messages, for a browser; it loads nothing\n"
    "  data/                    the mail server's own queue files, byte for byte\n"
    "  eml/                     each message as it would have been sent (RFC 5322)\n"
    "  records.ndjson           the envelope, client and header of each message, one JSON object a line\n"
    "  spools.ndjson            which server and directory each folder of data/ came from\n";

static const char redacted_closing[] =
    "\nWhat is in this archive\n"
    "  report.html              this page with pictures and a table of the messages, for a browser; it loads nothing\n"
    "  records.ndjson           times, sizes, client and state of each message, one JSON object a line\n"
    "  data/originals.ndjson    SHA-256 of each queue file and message, and what of its header names nobody\n"
    "  spools.ndjson            which mail server it was\n"
    "  The messages, their addresses, accounts and names were left out on purpose. Who has the originals can show by the\n"
    "  hashes that they are the same.\n";

static const char closing[] =
    "  journal.ndjson           who did what to these files, and when; each line holds the SHA-256 of the one before\n"
    "  bag-info.txt, bagit.txt  about this archive, which is a BagIt bag (RFC 8493)\n"
    "  manifest-sha256.txt, tagmanifest-sha256.txt    SHA-256 of every file\n"
    "\nHow to check it\n"
    "  In the unpacked directory: sha256sum -c manifest-sha256.txt tagmanifest-sha256.txt\n"
    "\nWhat can be relied on\n"
    "  The client address, port and time of each record were observed by the receiving server itself on the\n"
    "  connection.";

static const char whole_reliance[] =
    " The envelope sender, the HELO name, and all header fields below the server's own Received line\n"
    "  were given by the client and may be forged. An account is named only where the server checked a login.\n"
    "  Queue files name sender and recipients: treat this archive as personal data.\n";

static const char redacted_reliance[] =
    " Header fields below the server's own Received line were given by the client and may be\n"
    "  forged. An IP address can be personal data, too.\n";

static int write_summary(struct evidence *e, const struct facts *f, struct lq_error *err)
{
    struct buf b = { 0 };
    int rc;

    buf_add_str(&b, "Evidence from a mail queue\n==========================\n\n");
    for (size_t i = 0; i < f->n; i++) {
        char name[32];

        snprintf(name, sizeof(name), "%s:", f->all[i].name);
        buf_printf(&b, "%-10s ", name);
        summary_text(&b, f->all[i].value, strlen(f->all[i].value));
        buf_add_char(&b, '\n');
    }
    summary_print(&e->summary, &b);
    buf_add_str(&b, e->opts->redact ? redacted_closing : whole_closing);
    if (e->opts->log)
        buf_add_str(&b, "  logs/                    what the mail log says of the messages, line by line\n");
    buf_add(&b, f->reports.p ? f->reports.p : "", f->reports.n);
    buf_add_str(&b, closing);
    buf_add_str(&b, e->opts->redact ? redacted_reliance : whole_reliance);
    rc = evidence_tag(e, "summary.txt", &b, err);
    buf_done(&b);
    return rc;
}

/* --- xarf.json --- */

static void tell(const struct evidence *e, struct buf *sentence)
{
    buf_add_char(sentence, '\0');
    if (e->opts->tell && !sentence->failed)
        e->opts->tell(e->opts->tell_ctx, sentence->p);
    buf_done(sentence);
}

/* Why some messages, or all, are in no report. */
static void tell_unreported(const struct evidence *e)
{
    const struct { uint64_t n; const char *why; } left[] = {
        { e->xarf.relayed, "a relay of yours, this machine or a private address handed in" },
        { e->xarf.no_port, "the queue holds no client port for, which a report must name" },
        { e->xarf.no_sender, "no mail address is the sender of, which a report must name" },
        { e->xarf.no_time, "the queue holds no time of arrival for, which a report must name" },
    };

    for (size_t i = 0; i < sizeof(left) / sizeof(left[0]); i++) {
        struct buf b = { 0 };

        if (left[i].n == 0)
            continue;
        buf_printf(&b, "xarf.json leaves out %llu message%s that %s", (unsigned long long)left[i].n, left[i].n == 1 ? "" : "s", left[i].why);
        tell(e, &b);
    }
}

/* "xarf.json", "xarf-2.json": the address is in it, and its colons are no name of a file everywhere. */
static int write_report(struct evidence *e, struct facts *f, size_t i, struct lq_error *err)
{
    const char *address = e->xarf.sources[i].address;
    struct buf b = { 0 };
    char name[32] = "xarf.json";
    int rc;

    if (i > 0)
        snprintf(name, sizeof(name), "xarf-%zu.json", i + 1);
    rc = xarf_print(&e->xarf, i, &e->who, &b, err);
    if (rc == LQ_OK)
        rc = evidence_tag(e, name, &b, err);
    buf_printf(&f->reports, "  %-24s an abuse report (XARF v4) about ", name);
    summary_text(&f->reports, address, strlen(address));
    buf_add_char(&f->reports, '\n');
    buf_done(&b);
    return rc;
}

static void tell_beyond(const struct evidence *e)
{
    struct buf b = { 0 };

    buf_printf(&b, "there are reports about %zu of %zu client addresses, those that sent most: pack -p ADDRESS makes one about another", e->xarf.n,
               e->summary.counts[SUMMARY_CLIENT].used);
    tell(e, &b);
}

static int write_reports(struct evidence *e, struct facts *f, struct lq_error *err)
{
    struct buf b = { 0 };
    int rc = LQ_OK;
    bool all;

    if (e->opts->redact)
        return LQ_OK;
    if (!e->reported) {
        buf_add_str(&b, "there is no xarf.json: an abuse report needs to say who reports (--reporter 'Example Ltd <abuse@example.com>', or reporter in "
                        "/etc/mqtools.conf)");
        tell(e, &b);
        return LQ_OK;
    }
    all = xarf_choose(&e->xarf, &e->summary.counts[SUMMARY_CLIENT]);
    for (size_t i = 0; rc == LQ_OK && i < e->xarf.n; i++)
        rc = write_report(e, f, i, err);
    if (e->xarf.n == 0) {
        buf_add_str(&b, "there is no xarf.json: there is no message that an abuse report could be about");
        tell(e, &b);
    }
    tell_unreported(e);
    if (!all)
        tell_beyond(e);
    return rc;
}

/* --- all --- */

static int write_page(struct evidence *e, const struct facts *f, struct lq_error *err)
{
    struct buf b = { 0 };
    int rc;

    page_print(&e->page, &e->summary, f->all, f->n, &b);
    rc = evidence_tag(e, "report.html", &b, err);
    buf_done(&b);
    return rc;
}

int evidence_pages(struct evidence *e, struct lq_error *err)
{
    struct facts f = { 0 };
    int rc;

    gather(e, &f);
    rc = write_reports(e, &f, err);
    if (rc == LQ_OK && f.reports.failed)
        rc = error_memory(err);
    if (rc == LQ_OK)
        rc = write_summary(e, &f, err);
    if (rc == LQ_OK)
        rc = write_page(e, &f, err);
    buf_done(&f.reports);
    return rc;
}
