/* What the pages of an evidence pack are made of: counts, spans of time, whom abuse reports are about, and text as HTML. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "page.h"
#include "record.h"
#include "timeline.h"
#include "xarf.h"

#define COUNT(a) ((int)(sizeof(a) / sizeof((a)[0])))

/* --- counts --- */

START_TEST(counting)
{
    struct counts c = { 0 };
    struct counted *all;
    size_t n;

    for (int i = 0; i < 1000; i++) {
        char text[16];
        int len = snprintf(text, sizeof(text), "%d", i % 300);

        ck_assert(counts_add(&c, text, (size_t)len));
    }
    ck_assert(counts_add(&c, "a\0b", 3));
    ck_assert(counts_add(&c, "a\0b", 3));
    ck_assert(counts_add(&c, "a", 1));
    ck_assert(counts_add(&c, "", 0));
    ck_assert_uint_eq(counts_of(&c, "a\0b", 3), 2);
    ck_assert_uint_eq(counts_of(&c, "99", 2), 4);
    ck_assert_uint_eq(counts_of(&c, "100", 3), 3);
    ck_assert_uint_eq(counts_of(&c, "none", 4), 0);
    all = counts_sorted(&c, &n);
    ck_assert_uint_eq(n, 303);
    ck_assert_str_eq(all[0].text, "0");
    ck_assert_str_eq(all[1].text, "1");
    ck_assert_str_eq(all[2].text, "10");
    ck_assert_uint_eq(all[99].n, 4);
    ck_assert_uint_eq(all[100].n, 3);
    ck_assert_str_eq(all[302].text, "a");
    ck_assert_uint_eq(c.known, 1004);
    free(all);
    counts_done(&c);
    ck_assert_uint_eq(counts_of(&c, "99", 2), 0);
}
END_TEST

/* --- time --- */

static const struct {
    int64_t from, step;
    int n;
    int64_t width;
} time_rows[] = {
    { 1795293000, 0, 5, 1 },                { 1795293000, 1, 240, 1 },          { 1795293000, 1, 241, 2 },
    { 1795293000, -1, 241, 2 },             { 1795293000, 60, 1440, 600 },      { -5000, 100, 100, 60 },
    { 0, INT64_MAX / 2, 2, INT64_C(1) << 48 }, { INT64_MIN, 0, 1, 1 },         { 1795293000, 86400, 300, 604800 },
};

/* Nothing is lost, and the spans are no wider than they must be. */
START_TEST(spans)
{
    struct timeline t = { 0 };
    uint64_t sum = 0;

    for (int i = 0; i < time_rows[_i].n; i++)
        timeline_add(&t, time_rows[_i].from + i * time_rows[_i].step);
    for (size_t i = 0; i < t.n; i++)
        sum += t.spans[i];
    ck_assert_uint_eq(sum, time_rows[_i].n);
    ck_assert_uint_le(t.n, TIMELINE_SPANS);
    ck_assert_uint_gt(t.spans[0], 0);
    ck_assert_uint_gt(t.spans[t.n - 1], 0);
    if (time_rows[_i].width < 1 << 30)
        ck_assert_int_eq(t.width, time_rows[_i].width);
}
END_TEST

/* In which order they come does not matter. */
START_TEST(orders)
{
    struct timeline a = { 0 }, b = { 0 };

    for (int i = 0; i < 5000; i++)
        timeline_add(&a, 1795293000 + (i * 7919) % 5000 * 13);
    for (int i = 4999; i >= 0; i--)
        timeline_add(&b, 1795293000 + i * 13);
    ck_assert_int_eq(a.width, b.width);
    ck_assert_int_eq(a.first, b.first);
    ck_assert_uint_eq(a.n, b.n);
    ck_assert_int_eq(memcmp(a.spans, b.spans, a.n * sizeof(a.spans[0])), 0);
}
END_TEST

/* --- abuse reports --- */

static const struct { const char *in, *org, *contact, *domain; } reporters[] = {
    { "abuse@example.com", "example.com", "abuse@example.com", "example.com" },
    { "Example Ltd <abuse@mx.example.com>", "Example Ltd", "abuse@mx.example.com", "mx.example.com" },
    { "\"Example, Ltd\" <abuse@example.com>", "Example, Ltd", "abuse@example.com", "example.com" },
    { "<abuse@example.com>", "example.com", "abuse@example.com", "example.com" },
    { "a <b> c <x.y+z@e.example>", "a <b> c", "x.y+z@e.example", "e.example" },
    { "", NULL, NULL, NULL }, { "<>", NULL, NULL, NULL }, { "@", NULL, NULL, NULL }, { "x@", NULL, NULL, NULL }, { "@x", NULL, NULL, NULL },
    { "a@b@", NULL, NULL, NULL }, { "a@b@c", NULL, NULL, NULL }, { "x <a@b", NULL, NULL, NULL }, { "a@b>", NULL, NULL, NULL },
    { ".a@example.com", NULL, NULL, NULL }, { "a..b@example.com", NULL, NULL, NULL }, { "a.@example.com", NULL, NULL, NULL },
    { "a@.example.com", NULL, NULL, NULL }, { "a@example.com.", NULL, NULL, NULL }, { "a@-x.example", NULL, NULL, NULL },
    { "a@x-.example", NULL, NULL, NULL }, { "a@ex\xC3\xA4mple.com", NULL, NULL, NULL }, { "\xC3\xA4@example.com", NULL, NULL, NULL },
    { "a\tb <a@example.com>", NULL, NULL, NULL }, { "a\x1B[2J <a@example.com>", NULL, NULL, NULL }, { "a\x7F <a@example.com>", NULL, NULL, NULL },
    { "a b@example.com", NULL, NULL, NULL }, { "a@[192.0.2.1]", NULL, NULL, NULL },
};

START_TEST(who_reports)
{
    struct lq_error err = { 0 };
    struct xarf_who who;
    int rc = xarf_reporter(&who, reporters[_i].in, &err);

    ck_assert_msg(rc == (reporters[_i].org ? LQ_OK : LQ_EINVAL), "%s", reporters[_i].in);
    if (rc != LQ_OK)
        return;
    ck_assert_str_eq(who.org, reporters[_i].org);
    ck_assert_str_eq(who.contact, reporters[_i].contact);
    ck_assert_str_eq(who.domain, reporters[_i].domain);
}
END_TEST

static struct lq_record rec;

static void set(enum lq_field f, const char *text)
{
    record_set_text(&rec, f, text, strlen(text));
}

static void add(struct xarf *x, struct counts *clients, unsigned address, int64_t when, const char *source, const char *sender)
{
    static const struct buf eml = { .p = (char *)(uintptr_t)"Subject: x\r\n\r\nbody", .n = 18 };
    char text[32];

    record_reset(&rec);
    snprintf(text, sizeof(text), "192.0.2.%u", address);
    set(LQ_CLIENT_ADDRESS, text);
    counts_add(clients, text, strlen(text));
    set(LQ_ORIGIN_SOURCE, source);
    set(LQ_SENDER, sender);
    record_set_number(&rec, LQ_CLIENT_PORT, 4000 + address);
    record_set_number(&rec, LQ_ARRIVAL_TIME, when);
    xarf_add(x, &rec, &eml);
}

/* Whoever sent more than a 32nd is found, whatever came between; who did not, and is still there by chance, is not accused. */
START_TEST(many_addresses)
{
    struct xarf *x = calloc(1, sizeof(*x));
    struct counts clients = { 0 };

    for (unsigned i = 0; i < 4000; i++)
        add(x, &clients, i % 10 == 0 ? 1 : i % 10 == 5 ? 2 : 3 + i % 250, 1795293000 + i, "client", "bob@evil.example");
    ck_assert_uint_eq(x->n, XARF_SOURCES);
    ck_assert(!xarf_choose(x, &clients));
    ck_assert_uint_eq(x->n, 2);
    ck_assert_str_eq(x->sources[0].address, "192.0.2.1");
    ck_assert_uint_eq(x->sources[0].messages, 400);
    ck_assert_str_eq(x->sources[1].address, "192.0.2.2");
    xarf_done(x);
    counts_done(&clients);
    free(x);
}
END_TEST

START_TEST(few_addresses)
{
    struct xarf *x = calloc(1, sizeof(*x));
    struct counts clients = { 0 };

    for (unsigned i = 1; i <= XARF_SOURCES; i++)
        for (unsigned k = 0; k < i; k++)
            add(x, &clients, i, 1795293000 + k, "client,X-PHP-Script", "bob@evil.example");
    ck_assert(!xarf_choose(x, &clients));
    ck_assert_uint_eq(x->n, XARF_REPORTS);
    ck_assert_str_eq(x->sources[0].address, "192.0.2.32");
    ck_assert(x->sources[0].whole);
    ck_assert_int_eq(x->sources[0].first, 1795293000);
    ck_assert_int_eq(x->sources[0].last, 1795293031);
    ck_assert_int_eq(x->sources[0].when, 1795293000);
    xarf_done(x);
    counts_done(&clients);
    free(x);
}
END_TEST

/* Of an address that there was no room to count there are at least those that were seen. */
START_TEST(uncounted)
{
    struct xarf *x = calloc(1, sizeof(*x));
    struct counts clients = { 0 }, others = { 0 };
    struct xarf_who who = { "Example", "abuse@example.com", "example.com" };
    struct buf out = { 0 };

    for (unsigned i = 0; i < 7; i++)
        add(x, &clients, 1, 1795293000 + i, "client", "bob@evil.example");
    xarf_choose(x, &others);
    ck_assert_uint_eq(x->n, 1);
    ck_assert_int_eq(xarf_print(x, 0, &who, &out, NULL), LQ_OK);
    buf_add_char(&out, '\0');
    ck_assert_msg(strstr(out.p, "At least 7 unwanted messages") != NULL, "%s", out.p);
    buf_done(&out);
    xarf_done(x);
    counts_done(&clients);
    free(x);
}
END_TEST

/* Recipients are counted of what could be reported, which need not be all that came. */
START_TEST(recipients)
{
    struct xarf *x = calloc(1, sizeof(*x));
    struct counts clients = { 0 };
    struct xarf_who who = { "Example", "abuse@example.com", "example.com" };
    struct buf out = { 0 };

    add(x, &clients, 1, 1795293000, "client", "bob@evil.example");
    x->sources[0].recipients = 5;
    if (_i == 1)
        add(x, &clients, 1, 1795293000, "client", "");
    xarf_choose(x, &clients);
    ck_assert_int_eq(xarf_print(x, 0, &who, &out, NULL), LQ_OK);
    buf_add_char(&out, '\0');
    ck_assert_int_eq(strstr(out.p, "\"recipient_count\":5") != NULL, _i == 0);
    buf_done(&out);
    xarf_done(x);
    counts_done(&clients);
    free(x);
}
END_TEST

static const struct { const char *source, *sender; uint64_t relayed, no_sender; } unreported[] = {
    { "client", "bob@evil.example", 0, 0 },         { "client,inside", "bob@evil.example", 1, 0 }, { "client,private", "bob@evil.example", 1, 0 },
    { "received", "bob@evil.example", 1, 0 },       { "clients", "bob@evil.example", 1, 0 },       { "local", "bob@evil.example", 1, 0 },
    { "client", "", 0, 1 },                         { "client", "\"b b\"@evil.example", 0, 1 },    { "client", "bob", 0, 1 },
};

START_TEST(no_report)
{
    struct xarf *x = calloc(1, sizeof(*x));
    struct counts clients = { 0 };

    add(x, &clients, 1, 0, "client", "bob@evil.example");
    ck_assert_uint_eq(x->no_time, 1);
    add(x, &clients, 1, 1795293000, unreported[_i].source, unreported[_i].sender);
    ck_assert_uint_eq(x->relayed, unreported[_i].relayed);
    ck_assert_uint_eq(x->no_sender, unreported[_i].no_sender);
    ck_assert(xarf_choose(x, &clients));
    ck_assert_uint_eq(x->n, unreported[_i].relayed + unreported[_i].no_sender == 0);
    xarf_done(x);
    counts_done(&clients);
    free(x);
}
END_TEST

/* --- HTML --- */

static const struct { const char *in; size_t n; const char *out; } html_rows[] = {
#define ROW(in, out) { in, sizeof(in) - 1, out }
    ROW("<a href='x'>&\"", "&lt;a href=&#39;x&#39;&gt;&amp;&quot;"),
    ROW("\0\x1b\x7f\n", "<i>\\x00</i><i>\\x1B</i><i>\\x7F</i><i>\\x0A</i>"),
    ROW("\xff\xc3(\xed\xa0\x80\xc0\xbc", "<i>\\xFF</i><i>\\xC3</i>(<i>\\xED</i><i>\\xA0</i><i>\\x80</i><i>\\xC0</i><i>\\xBC</i>"),
    ROW("\xc2\x9b\xe2\x80\xae\xef\xbb\xbf\xf3\xa0\x80\xa1", "<i>U+009B</i><i>U+202E</i><i>U+FEFF</i><i>U+E0021</i>"),
    ROW("Gr\xc3\xbc\xc3\x9f \xf0\x9f\x93\xa8 \\x41", "Gr\xc3\xbc\xc3\x9f \xf0\x9f\x93\xa8 \\x41"),
    ROW("", ""),
#undef ROW
};

START_TEST(html)
{
    struct page p = { 0 };
    char wanted[400];

    record_reset(&rec);
    record_set_text(&rec, LQ_SUBJECT, html_rows[_i].in, html_rows[_i].n);
    page_add(&p, &rec);
    buf_add_char(&p.rows, '\0');
    snprintf(wanted, sizeof(wanted), "<td class=w>%s</td>", html_rows[_i].out);
    ck_assert_msg(strstr(p.rows.p, wanted) != NULL, "%s", p.rows.p);
    page_done(&p);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("pages");
    TCase *t = tcase_create("pages");
    SRunner *sr;
    int failed;

    tcase_add_test(t, counting);
    tcase_add_loop_test(t, spans, 0, COUNT(time_rows));
    tcase_add_test(t, orders);
    tcase_add_loop_test(t, who_reports, 0, COUNT(reporters));
    tcase_add_test(t, many_addresses);
    tcase_add_test(t, few_addresses);
    tcase_add_test(t, uncounted);
    tcase_add_loop_test(t, recipients, 0, 2);
    tcase_add_loop_test(t, no_report, 0, COUNT(unreported));
    tcase_add_loop_test(t, html, 0, COUNT(html_rows));
    suite_add_tcase(s, t);
    sr = srunner_create(s);
    srunner_run_all(sr, CK_NORMAL);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed ? 1 : 0;
}
