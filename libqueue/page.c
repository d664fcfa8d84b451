/*
 * report.html. Memory and the page are bounded: the table holds the first messages, texts are cut, values are counted in summary.c's bounds.
 *
 * Whatever a stranger wrote goes through text(), and stands between tags only: no attribute, no style and no script holds any of it. A
 * Content-Security-Policy stands before everything else, so that a mistake here would still run nothing and load nothing.
 */
#include "page.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "digest.h"
#include "json.h"
#include "page_look.h"
#include "redact.h"

enum { ROWS = 1000, ROWS_BYTES = 8 << 20, SHARES = 8 };

/* --- text --- */

/* Characters that show nothing, or make others show elsewhere: a name could seem to be another. */
static bool deceives(unsigned long c)
{
    static const struct { unsigned long from, to; } ranges[] = {
        { 0x00, 0x1F }, { 0x7F, 0x9F }, { 0xAD, 0xAD }, { 0x61C, 0x61C }, { 0x115F, 0x1160 }, { 0x17B4, 0x17B5 }, { 0x180B, 0x180F }, { 0x200B, 0x200F },
        { 0x2028, 0x202E }, { 0x2060, 0x206F }, { 0x3164, 0x3164 }, { 0xFE00, 0xFE0F }, { 0xFEFF, 0xFEFF }, { 0xFFA0, 0xFFA0 }, { 0xFFF0, 0xFFFB },
        { 0xFFFE, 0xFFFF }, { 0xE0000, 0xE0FFF },
    };

    for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++)
        if (c >= ranges[i].from && c <= ranges[i].to)
            return true;
    return false;
}

static unsigned long code_point(const unsigned char *p, size_t n)
{
    unsigned long c = n == 1 ? *p : *p & (0x7FU >> n);

    for (size_t i = 1; i < n; i++)
        c = c << 6 | (p[i] & 0x3F);
    return c;
}

/* One character of n bytes, 0: a byte that begins none. What is not shown as itself stands in <i>. */
static void character(struct buf *out, const unsigned char *p, size_t n)
{
    static const struct { char c; const char *as; } marks[] = { { '<', "&lt;" }, { '>', "&gt;" }, { '&', "&amp;" }, { '"', "&quot;" }, { '\'', "&#39;" } };
    unsigned long c = n > 0 ? code_point(p, n) : 0;

    for (size_t i = 0; n == 1 && i < sizeof(marks) / sizeof(marks[0]); i++)
        if (*p == (unsigned char)marks[i].c) {
            buf_add_str(out, marks[i].as);
            return;
        }
    if (n == 0 || (c < 0x80 && deceives(c)))
        buf_printf(out, "<i>\\x%02X</i>", *p);
    else if (deceives(c))
        buf_printf(out, "<i>U+%04lX</i>", c);
    else
        buf_add(out, p, n);
}

static void text(struct buf *out, const char *s, size_t n)
{
    const unsigned char *p = (const unsigned char *)s;
    size_t i = 0;

    while (i < n && i < SUMMARY_TEXT) {
        size_t k = json_character(p + i, n - i);

        character(out, p + i, k);
        i += k ? k : 1;
    }
    if (i < n)
        buf_add_str(out, "<i>…</i>");
}

static void plain(struct buf *out, const char *s)
{
    text(out, s, strlen(s));
}

/* 1,234,567 */
static void number(struct buf *out, uint64_t v)
{
    char digits[24];
    int n = snprintf(digits, sizeof(digits), "%llu", (unsigned long long)v);

    for (int i = 0; i < n; i++) {
        if (i > 0 && (n - i) % 3 == 0)
            buf_add_char(out, ',');
        buf_add_char(out, digits[i]);
    }
}

static void percent(struct buf *out, uint64_t part, uint64_t of)
{
    double share = of > 0 ? 100.0 * (double)part / (double)of : 0;
    unsigned tenths = (unsigned)(share * 10 + 0.5);

    if (part > 0 && tenths == 0)
        buf_add_str(out, "&lt; 0.1 %");
    else
        buf_printf(out, "%u.%u %%", tenths / 10, tenths % 10);
}

static void utc(struct buf *out, int64_t t, const char *format)
{
    char shown[64];
    time_t when = (time_t)t;
    struct tm tm;

    if (gmtime_r(&when, &tm) && strftime(shown, sizeof(shown), format, &tm) > 0)
        buf_add_str(out, shown);
}

/* --- the table --- */

enum kind { TEXT, NUMBER, TIME, ACCOUNT, RECIPIENTS };

static const struct column {
    const char *name;
    enum kind kind;
    enum lq_field field;
    const char *class;          /* n number, k short, w wide */
    bool open;                  /* names nobody, when redact.c looked at it */
} columns[] = {
    { "Arrived (UTC)", TIME, LQ_ARRIVAL_TIME, "k", true },
    { "Client", TEXT, LQ_CLIENT_ADDRESS, "k", true },
    { "Account", ACCOUNT, LQ_AUTH_USER, "", false },
    { "Sender", TEXT, LQ_SENDER, "", false },
    { "Recipients", RECIPIENTS, LQ_RECIPIENTS, "", false },
    { "Subject", TEXT, LQ_SUBJECT, "w", false },
    { "Bytes", NUMBER, LQ_MESSAGE_SIZE, "n", true },
    { "State", TEXT, LQ_STATE, "k", true },
    { "Delay", TEXT, LQ_REASON_CLASS, "k", true },
    { "Id", TEXT, LQ_QUEUE_ID, "k", true },
};

enum { COLUMNS = sizeof(columns) / sizeof(columns[0]) };

const uint64_t page_fields = LQ_FIELD_BIT(LQ_RECIPIENTS) | LQ_FIELD_BIT(LQ_STATE) | LQ_FIELD_BIT(LQ_QUEUE_ID) | LQ_FIELD_BIT(LQ_MTA);

static bool shows(const struct page *p, const struct column *c)
{
    return c->open || !p->redacted;
}

static void shown_text(struct buf *b, const struct lq_record *r, const struct column *c, bool redacted)
{
    struct lq_str s = lq_record_text(r, c->field);
    char address[IP_TEXT_MAX];

    if (redacted && c->field == LQ_CLIENT_ADDRESS) {
        plain(b, redact_address(s, address) ? address : "");
        return;
    }
    if (redacted && c->field == LQ_QUEUE_ID && !redact_id(lq_record_text(r, LQ_MTA), s))
        return;

    if (s.p && s.n == 0 && c->field == LQ_SENDER)
        s = (struct lq_str){ "<>", 2 };
    if (!s.p && c->kind == ACCOUNT)
        s = lq_record_text(r, LQ_LOCAL_USER);
    text(b, s.p ? s.p : "", s.n);
}

static void shown_recipients(struct buf *b, const struct lq_record *r)
{
    size_t n;
    const struct lq_recipient *all = lq_record_recipients(r, LQ_RECIPIENTS, &n);

    if (n > 0)
        text(b, all[0].address.p ? all[0].address.p : "", all[0].address.n);
    if (n > 1) {
        buf_add_str(b, " and ");
        number(b, n - 1);
        buf_add_str(b, " more");
    }
}

/* data-n: what to sort by; -1 for what is not known. */
static void cell(struct buf *b, const struct lq_record *r, const struct column *c, bool redacted)
{
    int64_t v = -1;
    bool known = (c->kind == NUMBER || c->kind == TIME) && lq_record_number(r, c->field, &v);

    buf_add_str(b, "<td");
    if (*c->class)
        buf_printf(b, " class=%s", c->class);
    if (c->kind == NUMBER || c->kind == TIME)
        buf_printf(b, " data-n=\"%lld\"", known ? (long long)v : -1LL);
    buf_add_char(b, '>');
    if (c->kind == TIME && known)
        utc(b, v, "%Y-%m-%d %H:%M:%S");
    else if (c->kind == NUMBER && known)
        number(b, v > 0 ? (uint64_t)v : 0);
    else if (c->kind == RECIPIENTS)
        shown_recipients(b, r);
    else if (c->kind == TEXT || c->kind == ACCOUNT)
        shown_text(b, r, c, redacted);
    buf_add_str(b, "</td>");
}

void page_add(struct page *p, const struct lq_record *r)
{
    if (p->shown == ROWS || p->rows.n > ROWS_BYTES)
        return;
    buf_add_str(&p->rows, "<tr>");
    for (size_t i = 0; i < COLUMNS; i++)
        if (shows(p, &columns[i]))
            cell(&p->rows, r, &columns[i], p->redacted);
    buf_add_str(&p->rows, "</tr>\n");
    p->shown++;
}

static void table(const struct page *p, const struct summary *s, struct buf *out)
{
    buf_add_str(out, "<section class=all><h2>Messages</h2>\n<p class=soft>");
    if (p->shown < s->messages) {
        buf_add_str(out, "The first ");
        number(out, p->shown);
        buf_add_str(out, " of ");
        number(out, s->messages);
        buf_add_str(out, "; <code>records.ndjson</code> has all of them. ");
    }
    buf_add_str(out, "A click on a heading sorts.</p>\n<div class=scroll><table id=messages><thead><tr>");
    for (size_t i = 0; i < COLUMNS; i++)
        if (shows(p, &columns[i]))
            buf_printf(out, "<th scope=col%s><button type=button>%s</button></th>", *columns[i].class == 'n' ? " class=n" : "", columns[i].name);
    buf_add_str(out, "</tr></thead>\n<tbody>\n");
    buf_add(out, p->rows.p ? p->rows.p : "", p->rows.n);
    buf_add_str(out, "</tbody></table></div></section>\n");
    out->failed = out->failed || p->rows.failed;
}

/* --- arrivals --- */

static const struct { int64_t seconds; const char *one, *many; } units[] = {
    { 604800, "week", "weeks" }, { 86400, "day", "days" }, { 3600, "hour", "hours" }, { 60, "minute", "minutes" }, { 1, "second", "seconds" },
};

static void span(struct buf *out, int64_t seconds)
{
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
        if (seconds % units[i].seconds == 0) {
            int64_t n = seconds / units[i].seconds;

            buf_printf(out, "%lld %s", (long long)n, n == 1 ? units[i].one : units[i].many);
            return;
        }
}

static void bars(const struct timeline *t, uint64_t most, struct buf *out)
{
    for (size_t i = 0; i < t->n; i++) {
        double high = 100.0 * (double)t->spans[i] / (double)most;

        if (t->spans[i] == 0)
            continue;
        high = high < 0.7 ? 0.7 : high;
        buf_printf(out, "<rect x=\"%zu.05\" y=\"%u.%02u\" width=\".9\" height=\"%u.%02u\"><title>", i, (unsigned)(100 - high),
                   (unsigned)((100 - high) * 100) % 100, (unsigned)high, (unsigned)(high * 100) % 100);
        utc(out, (t->first + (int64_t)i) * t->width, "%Y-%m-%d %H:%M:%S UTC: ");
        number(out, t->spans[i]);
        buf_add_str(out, "</title></rect>\n");
    }
}

static void arrivals(const struct timeline *t, struct buf *out)
{
    uint64_t most = 0;

    for (size_t i = 0; i < t->n; i++)
        most = t->spans[i] > most ? t->spans[i] : most;
    if (most == 0)
        return;
    buf_add_str(out, "<section><h2>Arrivals</h2>\n<p class=soft>Each bar is ");
    span(out, t->width);
    buf_add_str(out, "; the highest is ");
    number(out, most);
    buf_add_str(out, most == 1 ? " message." : " messages.");
    buf_printf(out, "</p>\n<figure><svg class=time viewBox=\"0 0 %zu 100\" preserveAspectRatio=none role=img aria-label=\"Arrivals over time\">\n", t->n);
    bars(t, most, out);
    buf_add_str(out, "</svg><figcaption><span>");
    utc(out, t->first * t->width, "%Y-%m-%d %H:%M:%S UTC");
    buf_add_str(out, "</span><span>");
    utc(out, (t->first + (int64_t)t->n) * t->width, "%Y-%m-%d %H:%M:%S UTC");
    buf_add_str(out, "</span></figcaption></figure></section>\n");
}

/* --- shares --- */

static void share(struct buf *out, const char *label, size_t n, const char *after, uint64_t count, uint64_t of, bool others)
{
    buf_printf(out, "<li%s><span>", others ? " class=others" : "");
    text(out, label, n);
    buf_add_str(out, after);
    buf_add_str(out, "</span><data>");
    number(out, count);
    buf_add_str(out, " · ");
    percent(out, count, of);
    buf_printf(out, "</data><svg class=bar viewBox=\"0 0 1000 10\" preserveAspectRatio=none aria-hidden=true><rect width=\"%u\" height=\"10\"/></svg></li>\n",
               of > 0 ? (unsigned)(1000.0 * (double)count / (double)of + 0.5) : 0);
}

static void shares(const struct counts *c, uint64_t messages, const char *title, const char *after, struct buf *out)
{
    uint64_t shown = 0;
    size_t n;
    struct counted *all = counts_sorted(c, &n);

    out->failed = out->failed || !all;
    if (!all || n == 0) {
        free(all);
        return;
    }
    buf_printf(out, "<article><h2>%s</h2><ol>\n", title);
    for (size_t i = 0; i < n && i < SHARES; i++) {
        share(out, all[i].text, all[i].len, after, all[i].n, messages, false);
        shown += all[i].n;
    }
    if (c->known > shown)
        share(out, "others", 6, "", c->known - shown, messages, true);
    if (messages > c->known)
        share(out, "none, or not known", 18, "", messages - c->known, messages, true);
    buf_add_str(out, "</ol></article>\n");
    free(all);
}

/* A flood of one size shows in bytes; sizes that all differ show in ranges. */
static enum summary_key telling_sizes(const struct summary *s)
{
    size_t n;
    struct counted *all = counts_sorted(&s->counts[SUMMARY_SIZE], &n);
    uint64_t most = all && n > 0 ? all[0].n : 0;

    free(all);
    return most * 10 >= s->messages ? SUMMARY_SIZE : SUMMARY_SIZES;
}

static void all_shares(const struct summary *s, struct buf *out)
{
    enum summary_key size = telling_sizes(s);
    const struct { enum summary_key key; const char *title, *after; } shown[] = {
        { SUMMARY_CLIENT, "Clients: who handed them in", "" },
        { SUMMARY_ACCOUNT, "Accounts: who logged in", "" },
        { size, "Sizes", size == SUMMARY_SIZE ? " bytes" : "" },
        { SUMMARY_CLASS, "Why they wait", "" },
        { SUMMARY_SENDER, "Envelope senders", "" },
        { SUMMARY_SUBJECT, "Subjects", "" },
        { SUMMARY_REASON, "Reasons of delay, as told", "" },
        { SUMMARY_HELO, "Names that clients gave themselves", "" },
    };

    buf_add_str(out, "<div class=shares>\n");
    for (size_t i = 0; i < sizeof(shown) / sizeof(shown[0]); i++)
        if (s->counts[shown[i].key].known > 0)
            shares(&s->counts[shown[i].key], s->messages, shown[i].title, shown[i].after, out);
    buf_add_str(out, "</div>\n");
}

/* --- the page --- */

/* 'sha256-…' as Content-Security-Policy names a text that it allows. */
static void source_hash(struct buf *out, const char *p, size_t n)
{
    struct digest *d = digest_new();
    char hex[DIGEST_HEX + 1] = "";
    unsigned char bytes[DIGEST_HEX / 2];

    if (d) {
        digest_add(d, p, n);
        digest_end(d, hex);
    }
    digest_free(d);
    out->failed = out->failed || !*hex;
    for (size_t i = 0; *hex && i < sizeof(bytes); i++) {
        char two[3] = { hex[2 * i], hex[2 * i + 1], '\0' };

        bytes[i] = (unsigned char)strtoul(two, NULL, 16);
    }
    buf_add_str(out, "'sha256-");
    if (*hex)
        json_to_base64(out, bytes, sizeof(bytes));
    buf_add_char(out, '\'');
}

/* On a phone each cell stands on a line of its own, behind the name of its column. */
static void style(const struct page *p, struct buf *b)
{
    unsigned k = 0;

    buf_add_str(b, page_style);
    buf_add_str(b, "@media screen and (max-width:44rem){");
    for (size_t i = 0; i < COLUMNS; i++)
        if (shows(p, &columns[i]))
            buf_printf(b, "td:nth-child(%u)::before{content:'%s'}", ++k, columns[i].name);
    buf_add_char(b, '}');
}

static void head(const struct page *p, const struct summary *s, struct buf *out)
{
    struct buf css = { 0 };

    style(p, &css);
    buf_add_str(out, "<!DOCTYPE html>\n<html lang=en>\n<head>\n<meta charset=utf-8>\n"
                     "<meta http-equiv=Content-Security-Policy content=\"default-src 'none'; style-src ");
    source_hash(out, css.p ? css.p : "", css.n);
    buf_add_str(out, "; script-src ");
    source_hash(out, page_script, strlen(page_script));
    buf_add_str(out, "; base-uri 'none'; form-action 'none'\">\n<meta name=viewport content=\"width=device-width, initial-scale=1\">\n"
                     "<meta name=referrer content=no-referrer>\n<title>Evidence from a mail queue: ");
    number(out, s->messages);
    buf_add_str(out, s->messages == 1 ? " message" : " messages");
    buf_add_str(out, "</title>\n<style>");
    buf_add(out, css.p ? css.p : "", css.n);
    buf_add_str(out, "</style>\n</head>\n");
    out->failed = out->failed || css.failed;
    buf_done(&css);
}

static void figure(struct buf *out, uint64_t v, const char *one, const char *many)
{
    buf_add_str(out, "<li><b>");
    number(out, v);
    buf_printf(out, "</b> %s</li>\n", v == 1 ? one : many);
}

/* What most of them have in common, if most have. */
static void lead(const struct summary *s, struct buf *out)
{
    size_t n;
    struct counted *all = counts_sorted(&s->counts[SUMMARY_CLIENT], &n);

    if (all && n > 0 && all[0].n * 2 > s->messages) {
        buf_add_str(out, "<p class=lead>");
        percent(out, all[0].n, s->messages);
        buf_add_str(out, " of the messages were handed in by <b>");
        text(out, all[0].text, all[0].len);
        buf_add_str(out, "</b>.</p>\n");
    }
    free(all);
}

static void figures(const struct summary *s, struct buf *out)
{
    buf_add_str(out, "<ul class=numbers>\n");
    figure(out, s->messages, "message", "messages");
    figure(out, s->bytes, "byte", "bytes");
    if (s->counts[SUMMARY_CLIENT].known)
        figure(out, s->counts[SUMMARY_CLIENT].used, "client", "clients");
    if (s->counts[SUMMARY_ACCOUNT].known)
        figure(out, s->counts[SUMMARY_ACCOUNT].used, "account", "accounts");
    if (s->damaged)
        figure(out, s->damaged, "damaged message", "damaged messages");
    buf_add_str(out, "</ul>\n");
}

static void about(const struct summary *s, const struct page_fact *facts, size_t n, struct buf *out)
{
    buf_add_str(out, "<header><h1>Evidence from a mail queue</h1>\n");
    lead(s, out);
    buf_add_str(out, "<dl>\n");
    for (size_t i = 0; i < n; i++) {
        buf_printf(out, "<dt>%s</dt><dd>", facts[i].name);
        plain(out, facts[i].value);
        buf_add_str(out, "</dd>\n");
    }
    if (s->last) {
        buf_add_str(out, "<dt>Arrived</dt><dd>");
        summary_time(out, s->first);
        buf_add_str(out, " to ");
        summary_time(out, s->last);
        buf_add_str(out, "</dd>\n");
    }
    buf_add_str(out, "</dl>\n");
    figures(s, out);
    buf_add_str(out, "</header>\n");
}

static const char relied_on[] =
    "<footer><p>The address, port and time of a client were seen by the receiving server itself. Senders, subjects and the names that clients\n"
    "gave themselves were written by strangers and may be forged; an account is named only where the server checked a login. What is\n"
    "set like <i>\\x1B</i> stands for a character that cannot be shown as it is.</p>\n"
    "<p><code>sha256sum -c manifest-sha256.txt tagmanifest-sha256.txt</code> checks every file of this archive, this page among them;\n"
    "<code>summary.txt</code> says what else is in it.</p></footer>\n";

void page_print(const struct page *p, const struct summary *s, const struct page_fact *facts, size_t fact_count, struct buf *out)
{
    head(p, s, out);
    buf_add_str(out, "<body><main>\n");
    about(s, facts, fact_count, out);
    arrivals(&s->arrivals, out);
    all_shares(s, out);
    table(p, s, out);
    buf_add_str(out, relied_on);
    buf_add_str(out, "</main>\n<script>");
    buf_add_str(out, page_script);
    buf_add_str(out, "</script>\n</body>\n</html>\n");
    out->failed = out->failed || s->failed;
}

void page_done(struct page *p)
{
    buf_done(&p->rows);
}
