/* Addresses: quoting, domains, IP text, networks. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "addr.h"

#define COUNT(a) (int)(sizeof(a) / sizeof((a)[0]))

static struct bytes text(const char *s)
{
    return bytes_from(s, strlen(s));
}

/* --- mailboxes --- */

static const struct { const char *name, *in, *out; } quote_rows[] = {
    { "plain",          "a@b.example",               "a@b.example" },
    { "null sender",    "",                          "" },
    { "apostrophe",     "o'brien@example.com",       "o'brien@example.com" },
    { "blank",          "odd user@example.net",      "\"odd user\"@example.net" },
    { "quote",          "a\"b@c.example",            "\"a\\\"b\"@c.example" },
    { "backslash",      "a\\b@c.example",            "\"a\\\\b\"@c.example" },
    { "two ats",        "a@b@c.example",             "\"a@b\"@c.example" },
    { "leading dot",    ".a@c.example",              "\".a\"@c.example" },
    { "trailing dot",   "a.@c.example",              "\"a.\"@c.example" },
    { "two dots",       "a..b@c.example",            "\"a..b\"@c.example" },
    { "no local part",  "@c.example",                "\"\"@c.example" },
    { "no domain",      "root",                      "root" },
    { "no domain, odd", "two words",                 "\"two words\"" },
    { "UTF-8",          "j\xc3\xb6rg@c.example",     "j\xc3\xb6rg@c.example" },
    { "literal",        "a@[IPv6:2001:db8::1]",      "a@[IPv6:2001:db8::1]" },
    { "control",        "a\x1b@c.example",           "\"a\\\x1b\"@c.example" },
};

START_TEST(quotes)
{
    struct buf b = { 0 };

    addr_quote(text(quote_rows[_i].in), &b);
    buf_add_char(&b, '\0');
    ck_assert_str_eq(b.p, quote_rows[_i].out);
    buf_done(&b);
}
END_TEST

static const struct { const char *name, *in, *domain; } domain_rows[] = {
    { "plain",           "a@b.example",              "b.example" },
    { "null sender",     "",                         "" },
    { "none",            "root",                     "" },
    { "nothing behind",  "root@",                    "" },
    { "two ats",         "a@b@c.example",            "c.example" },
    { "quoted at",       "\"a@b\"@c.example",        "c.example" },
    { "only quoted at",  "\"a@b\"",                  "" },
    { "escaped quote",   "\"a\\\"@b\"@c.example",    "c.example" },
    { "only escaped",    "\"a\\\"@b\"",               "" },
    { "open quote",      "\"a@b.example",            "b.example" },
    { "literal",         "a@[192.0.2.1]",            "[192.0.2.1]" },
};

START_TEST(domains)
{
    struct bytes in = text(domain_rows[_i].in), d = addr_domain(in);

    ck_assert_uint_eq(d.n, strlen(domain_rows[_i].domain));
    ck_assert_mem_eq(d.p, domain_rows[_i].domain, d.n);
    ck_assert_ptr_eq(d.p + d.n, in.p + in.n);
}
END_TEST

START_TEST(domain_of_nothing)
{
    ck_assert_uint_eq(addr_domain((struct bytes){ NULL, 0 }).n, 0);
}
END_TEST

/* --- IP addresses --- */

static const struct { const char *in, *out; } ip_rows[] = {      /* out NULL: refused */
    { "192.0.2.1", "192.0.2.1" },
    { "[192.0.2.1]", "192.0.2.1" },
    { "::ffff:192.0.2.1", "192.0.2.1" },
    { "[IPv6:::ffff:192.0.2.1]", "192.0.2.1" },
    { "2001:DB8:0:0:1:0:0:1", "2001:db8::1:0:0:1" },
    { "[IPv6:2001:db8::99]", "2001:db8::99" },
    { "ipv6:2001:db8::1", "2001:db8::1" },
    { "[2001:db8::1]", "2001:db8::1" },
    { "2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1" },         /* one zero group is not shortened */
    { "2001:0:0:1:0:0:0:1", "2001:0:0:1::1" },                  /* the longest run */
    { "::", "::" }, { "::1", "::1" }, { "1::", "1::" },
    { "::192.0.2.1", "::c000:201" },                            /* not v4-mapped: no IPv4 */
    { "", NULL }, { "[]", NULL }, { "192.0.2", NULL }, { "192.0.2.256", NULL }, { "192.0.2.01", NULL },
    { "192.0.2.1 ", NULL }, { "fe80::1%eth0", NULL }, { "IPv6:192.0.2.1", NULL }, { "[192.0.2.1", NULL },
    { "2001:db8:::1", NULL }, { "1:2:3:4:5:6:7:8:9", NULL }, { "example.net", NULL },
    { "0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000", NULL },
};

START_TEST(ips)
{
    char out[IP_TEXT_MAX];
    struct ip ip;
    bool ok = ip_parse(text(ip_rows[_i].in), &ip);

    ck_assert_int_eq(ok, ip_rows[_i].out != NULL);
    if (!ok)
        return;
    ck_assert_uint_eq(ip_format(&ip, out), strlen(out));
    ck_assert_str_eq(out, ip_rows[_i].out);
}
END_TEST

START_TEST(ip_with_nul)
{
    struct ip ip;

    ck_assert(!ip_parse(bytes_from("192.0.2.1\0x", 11), &ip));
}
END_TEST

START_TEST(longest_ip_text_fits)
{
    char out[IP_TEXT_MAX];
    struct ip ip;

    memset(ip.b, 0xff, sizeof(ip.b));
    ck_assert_uint_eq(ip_format(&ip, out), 39);
}
END_TEST

static const struct { const char *ip; unsigned p4, p6; const char *out; } network_rows[] = {
    { "203.0.113.77", 24, 48, "203.0.113.0/24" },
    { "203.0.113.77", 32, 48, "203.0.113.77/32" },
    { "203.0.113.77", 0, 48, "0.0.0.0/0" },
    { "203.0.113.77", 99, 48, "203.0.113.77/32" },
    { "::ffff:203.0.113.77", 16, 48, "203.0.0.0/16" },
    { "2001:db8:1:2:3::4", 24, 48, "2001:db8:1::/48" },
    { "2001:db8:ffff::", 24, 33, "2001:db8:8000::/33" },
    { "2001:db8::1", 24, 200, "2001:db8::1/128" },
};

START_TEST(networks)
{
    char out[64];
    struct ip ip;

    ck_assert(ip_parse(text(network_rows[_i].ip), &ip));
    ck_assert_uint_eq(ip_network(&ip, network_rows[_i].p4, network_rows[_i].p6, out), strlen(network_rows[_i].out));
    ck_assert_str_eq(out, network_rows[_i].out);
}
END_TEST

/* --- sets --- */

static const struct { const char *set, *in, *out; } set_rows[] = {      /* addresses that belong to it, and that do not */
    { "203.0.113.7", "203.0.113.7 ::ffff:203.0.113.7", "203.0.113.77 203.0.113.70 203.0.113.6 203.0.113.8" },
    { "203.0.113.0/24", "203.0.113.0 203.0.113.255", "203.0.112.255 203.0.114.0" },
    { "203.0.113.77/24", "203.0.113.1", "203.0.114.0" },
    { "192.0.2.10-192.0.2.20", "192.0.2.10 192.0.2.15 192.0.2.20", "192.0.2.9 192.0.2.21" },
    { "192.0.2.1, 198.51.100.0/24 ,2001:db8::/32", "192.0.2.1 198.51.100.200 2001:db8:ffff::1", "192.0.2.2 2001:db9::" },
    { "10.0.0.0/8,10.1.0.0/16,10.0.0.5", "10.255.0.0 10.1.2.3 10.0.0.5", "11.0.0.0 9.255.255.255" },
    { "10.0.0.5-10.0.0.20,10.0.0.0-10.0.0.10", "10.0.0.0 10.0.0.7 10.0.0.15 10.0.0.20", "10.0.0.21" },
    { "192.0.2.7,192.0.2.1,192.0.2.5,192.0.2.3", "192.0.2.1 192.0.2.3 192.0.2.5 192.0.2.7", "192.0.2.2 192.0.2.4 192.0.2.6" },
    { "0.0.0.0/0", "192.0.2.1 255.255.255.255", "::1 2001:db8::1" },
    { "::/0", "::1 2001:db8::1 ffff:: ::fffe:1:2 ::1:0:0:0", "192.0.2.1 0.0.0.0 255.255.255.255" },     /* any IPv6, and not all of IPv4 */
    { "::ffff:0:0/96", "192.0.2.1", "2001:db8::1" },
    { "[IPv6:2001:db8::]/32", "2001:db8::1", "2001:db7::1" },
    { "2001:db8::1-2001:db8::5", "2001:db8::3", "2001:db8::6" },
};

static void check_members(const struct netset *set, const char *list, bool expected)
{
    char copy[200], *save = NULL;
    struct ip ip;

    strcpy(copy, list);
    for (char *item = strtok_r(copy, " ", &save); item; item = strtok_r(NULL, " ", &save)) {
        ck_assert_msg(ip_parse(text(item), &ip), "%s", item);
        ck_assert_msg(netset_has(set, &ip) == expected, "%s", item);
    }
}

START_TEST(sets)
{
    struct netset *set;

    ck_assert_int_eq(netset_parse(&set, set_rows[_i].set, NULL), LQ_OK);
    check_members(set, set_rows[_i].in, true);
    check_members(set, set_rows[_i].out, false);
    netset_free(set);
}
END_TEST

static const struct { const char *set, *shown; } bad_set_rows[] = {     /* what the sentence must show */
    { "", "empty" }, { " ", "empty" }, { "192.0.2.1,", "empty" }, { ",192.0.2.1", "empty" }, { "192.0.2.1,,192.0.2.2", "empty" },
    { "192.0.2.1,192.0.2.0/33", "'192.0.2.0/33'" }, { "192.0.2.0/", "'192.0.2.0/'" }, { "192.0.2.0/-1", "/-1" },
    { "192.0.2.0/+8", "/+8" }, { "192.0.2.0/24x", "/24x" }, { "192.0.2.0/00000024", "/00000024" },
    { "2001:db8::/129", "/129" }, { "192.0.2.20-192.0.2.10", "192.0.2.20-192.0.2.10" },
    { "192.0.2.1-2001:db8::1", "192.0.2.1-2001" }, { "192.0.2.1-", "'192.0.2.1-'" }, { "-192.0.2.1", "'-192.0.2.1'" },
    { "192.0.2.1-192.0.2.9/24", "192.0.2.9/24" }, { "192.0.2", "'192.0.2'" }, { "203.0.113.*", "'203.0.113.*'" },
    { "::ffff:192.0.2.0/24", "::ffff:192.0.2.0/24" }, { "::ffff:192.0.2.0/95", "/95" },
    { "mx.example.net", "'mx.example.net'" }, { "192.0.2.1 192.0.2.2", "192.0.2.1 192.0.2.2" },
};

START_TEST(bad_sets)
{
    struct netset *set = NULL;
    struct lq_error err;

    ck_assert_int_eq(netset_parse(&set, bad_set_rows[_i].set, &err), LQ_EINVAL);
    ck_assert_ptr_null(set);
    ck_assert_msg(strstr(err.text, bad_set_rows[_i].shown) != NULL, "%s", err.text);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("addr");
    TCase *t = tcase_create("addr");
    SRunner *sr;
    int failed;

    tcase_add_loop_test(t, quotes, 0, COUNT(quote_rows));
    tcase_add_loop_test(t, domains, 0, COUNT(domain_rows));
    tcase_add_test(t, domain_of_nothing);
    tcase_add_loop_test(t, ips, 0, COUNT(ip_rows));
    tcase_add_test(t, ip_with_nul);
    tcase_add_test(t, longest_ip_text_fits);
    tcase_add_loop_test(t, networks, 0, COUNT(network_rows));
    tcase_add_loop_test(t, sets, 0, COUNT(set_rows));
    tcase_add_loop_test(t, bad_sets, 0, COUNT(bad_set_rows));
    suite_add_tcase(s, t);
    sr = srunner_create(s);
    srunner_run_all(sr, CK_NORMAL);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed ? 1 : 0;
}
