/* Where a message entered: the walk along the Received chain, what webmail and its kin write, whose word counts. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "header.h"
#include "origin.h"

#define COUNT(a) (int)(sizeof(a) / sizeof((a)[0]))

#define OURS "Received: from c (c [198.51.100.7])\n\tby us (Postfix) with ESMTP id ABC123\n\tfor <r@x>; Sat, 21 Nov 2026 20:48:06 +0000\n"
#define OURS_FROM(ip) "Received: from c (c [" ip "]) by us (Postfix) with ESMTP id ABC123; Sat, 21 Nov 2026 20:48:06 +0000\n"
#define HOP(ip, by) "Received: from h (h [" ip "]) by " by " with ESMTP id Z9\n"
#define LOCAL_HOP "Received: by web.example (Postfix, from userid 33) id Q1; Sat, 21 Nov 2026 20:48:06 +0000\n"

/* Networks: 10.0.0.0/24 is mynetworks, 10.0.0.9 is taken out of it; `named` is what --trust says (NULL: nothing). */
static const struct row {
    const char *name, *named, *client, *block;
    const char *address, *user, *script, *source, *trust;      /* NULL: absent */
    size_t believed;
} rows[] = {
    { "direct client", NULL, "198.51.100.7", OURS "Subject: s\n",
      "198.51.100.7", NULL, NULL, "client", "observed", 1 },
    { "what an outsider claims is no origin", NULL, "198.51.100.7",
      OURS HOP("192.0.2.1", "bank") "X-Originating-IP: [192.0.2.2]\nX-PHP-Originating-Script: 33:a.php\n",
      "198.51.100.7", NULL, NULL, "client", "observed", 1 },
    { "our own line is missing", NULL, "198.51.100.7", HOP("192.0.2.1", "bank") "Subject: s\n",
      "198.51.100.7", NULL, NULL, "client", "observed", 0 },
    { "our own line is missing, and the client is believed", NULL, "10.0.0.5", HOP("198.51.100.7", "relay") HOP("192.0.2.1", "bank"),
      "198.51.100.7", NULL, NULL, "received", "observed", 1 },
    { "through a relay of ours", NULL, "10.0.0.5", OURS_FROM("10.0.0.5") HOP("198.51.100.7", "relay") HOP("192.0.2.1", "bank"),
      "198.51.100.7", NULL, NULL, "received", "observed", 2 },
    { "through a content filter", NULL, "127.0.0.1",
      OURS_FROM("127.0.0.1")
      "Received: from us ([127.0.0.1]) by localhost (us [127.0.0.1]) (amavisd-new, port 10024) with ESMTP id x\n"
      HOP("198.51.100.7", "us"),
      "198.51.100.7", NULL, NULL, "received", "observed", 3 },
    { "a content filter that names its client (XFORWARD)", NULL, "198.51.100.7",
      OURS_FROM("127.0.0.1") "Received: from us ([127.0.0.1]) by localhost (us [127.0.0.1]) (amavisd-new) with ESMTP id x\n" HOP("198.51.100.7", "us")
      HOP("192.0.2.1", "bank"), "198.51.100.7", NULL, NULL, "client", "observed", 3 },
    { "one that drops what came before", NULL, "198.51.100.7", OURS_FROM("127.0.0.1") "X-Originating-IP: 192.0.2.66\n",
      "198.51.100.7", NULL, NULL, "client", "observed", 1 },
    { "IPv6 loopback", NULL, "::1", OURS_FROM("IPv6:::1") HOP("IPv6:2001:db8::7", "us"),
      "2001:db8::7", NULL, NULL, "received", "observed", 2 },
    { "taken out of mynetworks", NULL, "10.0.0.9", OURS_FROM("10.0.0.9") HOP("198.51.100.7", "relay"),
      "10.0.0.9", NULL, NULL, "client,private", "observed", 1 },
    { "--trust instead of mynetworks", "192.0.2.0/24", "10.0.0.5", OURS_FROM("10.0.0.5") HOP("198.51.100.7", "relay"),
      "10.0.0.5", NULL, NULL, "client,private", "observed", 1 },
    { "loopback also with --trust", "192.0.2.0/24", "127.0.0.1", OURS_FROM("127.0.0.1") HOP("192.0.2.5", "us") HOP("198.51.100.7", "relay"),
      "198.51.100.7", NULL, NULL, "received", "observed", 3 },
    { "ends inside", NULL, "10.0.0.5", OURS_FROM("10.0.0.5") "Subject: s\n",
      "10.0.0.5", NULL, NULL, "client,inside", "observed", 1 },
    { "a container bridge", NULL, "172.17.0.2", OURS_FROM("172.17.0.2"),
      "172.17.0.2", NULL, NULL, "client,private", "observed", 1 },
    { "X-Originating-IP of a host in mynetworks", NULL, "10.0.0.5", OURS_FROM("10.0.0.5") "Subject: s\nX-Originating-IP: [203.0.113.9]\n",
      "203.0.113.9", NULL, NULL, "X-Originating-IP", "claimed", 1 },
    { "X-Originating-IP of a host that is named", "10.0.0.5", "10.0.0.5", OURS_FROM("10.0.0.5") "X-Originating-IP: [203.0.113.9]\n",
      "203.0.113.9", NULL, NULL, "X-Originating-IP", "observed", 1 },
    { "named, but a program there made it", "10.0.0.5", "10.0.0.5", OURS_FROM("10.0.0.5") LOCAL_HOP "X-Originating-IP: 203.0.113.9\n",
      "203.0.113.9", NULL, NULL, "X-Originating-IP", "claimed", 2 },
    { "above a line that is believed", NULL, "10.0.0.5",
      OURS_FROM("10.0.0.5") "X-Originating-IP: 203.0.113.9\n" HOP("10.0.0.6", "relay") "X-Originating-IP: 192.0.2.66\n",
      "203.0.113.9", NULL, NULL, "X-Originating-IP", "observed", 2 },
    { "an address behind the named one", NULL, "10.0.0.5", OURS_FROM("10.0.0.5") "X-Originating-IP: [10.0.0.77]\n",
      "10.0.0.77", NULL, NULL, "X-Originating-IP,inside", "claimed", 1 },
    { "no address", NULL, "10.0.0.5", OURS_FROM("10.0.0.5") "X-Originating-IP: nobody\n",
      "10.0.0.5", NULL, NULL, "client,inside", "observed", 1 },
    { "more telling goes first", NULL, "10.0.0.5", OURS_FROM("10.0.0.5") "X-Sender-IP: 192.0.2.1\nX-Originating-IP: 192.0.2.2\n",
      "192.0.2.2", NULL, NULL, "X-Originating-IP", "claimed", 1 },
    { "list and comment", NULL, "10.0.0.5", OURS_FROM("10.0.0.5") "x-originating-ip:\n 2001:db8::9, 192.0.2.1 (x)\n",
      "2001:db8::9", NULL, NULL, "X-Originating-IP", "claimed", 1 },
    { "SquirrelMail", NULL, "10.0.0.5",
      OURS_FROM("10.0.0.5") "Received: from 203.0.113.9 (SquirrelMail authenticated user joe@shop.example)\n        by mail.example with HTTP; Sat, 21 Nov 2026 20:48:06 -0000\n",
      "203.0.113.9", "joe@shop.example", NULL, "received", "observed", 2 },
    { "SquirrelMail behind a proxy", NULL, "10.0.0.5",
      OURS_FROM("10.0.0.5") "Received: from 203.0.113.9 (proxying for 192.168.1.4) (SquirrelMail authenticated user joe)\n by m with HTTP;\n Sat, 21 Nov 2026 20:48:06 -0000\n",
      "203.0.113.9", "joe", NULL, "received", "observed", 2 },
    { "Horde", NULL, "127.0.0.1",
      OURS_FROM("127.0.0.1") "Received: from pc.example (pc.example [203.0.113.9]) by\n webmail.example (Horde Framework) with HTTP; Sat, 21 Nov 2026 20:48:06 +0000\n",
      "203.0.113.9", NULL, NULL, "received", "observed", 2 },
    { "Roundcube", NULL, "127.0.0.1",
      OURS_FROM("127.0.0.1") "Received: from pc.example (pc.example [203.0.113.9])\n by mail.example\n with HTTP (HTTP/1.1 POST); Sat, 21 Nov 2026 20:48:06 +0000\nX-Sender: joe@shop.example\nUser-Agent: Roundcube Webmail/1.6\n",
      "203.0.113.9", NULL, NULL, "received", "observed", 2 },
    { "Roundcube without its Received", NULL, "127.0.0.1", OURS_FROM("127.0.0.1") "X-Sender: joe@shop.example\n",
      "127.0.0.1", "joe@shop.example", NULL, "client,X-Sender,inside", "claimed", 1 },
    { "Zimbra", NULL, "10.0.0.5", OURS_FROM("10.0.0.5") HOP("10.0.0.6", "mta") "X-Originating-IP: [203.0.113.9]\nX-Authenticated-User: joe@shop.example\n",
      "203.0.113.9", "joe@shop.example", NULL, "X-Originating-IP,X-Authenticated-User", "claimed", 2 },
    { "cPanel", NULL, "10.0.0.5", OURS_FROM("10.0.0.5") "X-Authenticated-Sender: web1.example: joe@shop.example\nX-Get-Message-Sender-Via: web1.example: authenticated_id: other\n",
      "10.0.0.5", "joe@shop.example", NULL, "client,X-Authenticated-Sender,inside", "claimed", 1 },
    { "PHP", NULL, "10.0.0.5", OURS_FROM("10.0.0.5") LOCAL_HOP "X-PHP-Originating-Script: 33:mailer.php(12) : eval()'d code\n",
      "10.0.0.5", NULL, "33:mailer.php(12) : eval()'d code", "client,X-PHP-Originating-Script,inside", "claimed", 2 },
    { "cPanel's PHP", NULL, "10.0.0.5", OURS_FROM("10.0.0.5") "X-PHP-Script: www.shop.example/a.php for 203.0.113.9, 10.1.1.1\n",
      "203.0.113.9", NULL, "www.shop.example/a.php", "X-PHP-Script", "claimed", 1 },
    { "PHP on this host", NULL, NULL, "Received: by us (Postfix, from userid 33) id ABC123; Sat, 21 Nov 2026 20:48:06 +0000\nX-PHP-Originating-Script: 33:a.php\n",
      NULL, NULL, "33:a.php", "local,X-PHP-Originating-Script", "claimed", 1 },
    { "a local program invents a chain", NULL, NULL, "Received: by us (Postfix, from userid 33) id ABC123\n" HOP("192.0.2.1", "us"),
      NULL, NULL, NULL, "local", "observed", 1 },
    { "local without our line", NULL, NULL, HOP("192.0.2.1", "us") "Subject: s\n", NULL, NULL, NULL, "local", "observed", 0 },
    { "requeued", NULL, "198.51.100.7", "Received: by us (Postfix, from userid 89) id ABC123\n" HOP("198.51.100.7", "us") HOP("192.0.2.1", "bank"),
      "198.51.100.7", NULL, NULL, "client", "observed", 2 },
    { "the client is known from our line only", NULL, NULL, OURS HOP("192.0.2.1", "bank"),
      "198.51.100.7", NULL, NULL, "received", "observed", 1 },
    { "an account that a relay of ours saw", NULL, "10.0.0.5",
      OURS_FROM("10.0.0.5") "Received: from pc (pc [198.51.100.7])\n (Authenticated sender: joe@shop.example)\n by relay (Postfix) with ESMTPSA id Q\n",
      "198.51.100.7", "joe@shop.example", NULL, "received", "observed", 2 },
    { "nothing at all", NULL, NULL, "", NULL, NULL, NULL, "local", "observed", 0 },
    { "a folded name", NULL, "10.0.0.5", OURS_FROM("10.0.0.5") "X-PHP-Originating-Script: 33:a\n b.php\n",
      "10.0.0.5", NULL, "33:a b.php", "client,X-PHP-Originating-Script,inside", "claimed", 1 },
};

static void check_field(const char *name, const struct lq_record *r, enum lq_field f, const char *expected)
{
    struct lq_str s = lq_record_text(r, f);

    if (!expected)
        ck_assert_msg(!s.p, "%s: %s is '%s'", name, lq_field_name(f), s.p);
    else
        ck_assert_msg(s.p && strcmp(s.p, expected) == 0, "%s: %s is '%s', not '%s'", name, lq_field_name(f), s.p ? s.p : "(absent)", expected);
}

static void begin(struct trust *t, const char *named)
{
    struct lq_trust *more = NULL;

    ck_assert_int_eq(trust_begin(t, NULL), LQ_OK);
    trust_mynetworks(t, "127.0.0.0/8 10.0.0.0/24, !10.0.0.9 [::1]/128 hash:/etc/postfix/network_table /etc/postfix/more");
    if (named) {
        ck_assert_int_eq(lq_trust_new(&more, NULL), LQ_OK);
        ck_assert_int_eq(lq_trust_add(more, named, NULL), LQ_OK);
    }
    t->named = more;
}

static void end(struct trust *t)
{
    lq_trust_free((struct lq_trust *)(uintptr_t)t->named);
    trust_done(t);
}

static void make(struct lq_record *r, const struct row *row)
{
    record_reset(r);
    r->have = SEC_ALL & ~SEC_BODY;
    record_set_text(r, LQ_QUEUE_ID, "ABC123", 6);
    if (row->client)
        record_set_text(r, LQ_CLIENT_ADDRESS, row->client, strlen(row->client));
}

START_TEST(origins)
{
    const struct row *row = &rows[_i];
    struct bytes block = bytes_from(row->block, strlen(row->block));
    struct lq_record r = { 0 };
    struct trust t;

    begin(&t, row->named);
    make(&r, row);
    header_fields(&r, block, LQ_FIELDS_ALL);
    origin_fields(&r, &t, block, true, LQ_FIELDS_ALL);
    check_field(row->name, &r, LQ_ORIGIN_ADDRESS, row->address);
    check_field(row->name, &r, LQ_ORIGIN_USER, row->user);
    check_field(row->name, &r, LQ_ORIGIN_SCRIPT, row->script);
    check_field(row->name, &r, LQ_ORIGIN_SOURCE, row->source);
    check_field(row->name, &r, LQ_ORIGIN_TRUST, row->trust);
    for (size_t i = 0; i < r.hop_count; i++)
        ck_assert_msg(strcmp(r.hops[i].trust.p, i < row->believed ? "observed" : "claimed") == 0, "%s: Received %zu", row->name, i);
    record_done(&r);
    end(&t);
}
END_TEST

/* Of a header that was cut, or damaged, only an address outside is sure. */
START_TEST(cut_chains_are_unknown)
{
    static const struct row inside = { .client = "10.0.0.5", .block = OURS_FROM("10.0.0.5") };
    static const struct row outside = { .client = "198.51.100.7", .block = OURS };
    struct lq_record r = { 0 };
    struct trust t;

    begin(&t, NULL);
    make(&r, &inside);
    origin_fields(&r, &t, bytes_from(inside.block, strlen(inside.block)), false, LQ_FIELDS_ALL);
    check_field("cut", &r, LQ_ORIGIN_ADDRESS, NULL);
    make(&r, &inside);
    record_broken(&r, SEC_CONTROL);
    origin_fields(&r, &t, bytes_from(inside.block, strlen(inside.block)), true, LQ_FIELDS_ALL);
    check_field("damaged", &r, LQ_ORIGIN_ADDRESS, NULL);
    ck_assert_int_eq(lq_record_has(&r, LQ_ORIGIN_ADDRESS), LQ_UNREAD);
    make(&r, &outside);
    origin_fields(&r, &t, bytes_from(outside.block, strlen(outside.block)), false, LQ_FIELDS_ALL);
    check_field("outside", &r, LQ_ORIGIN_ADDRESS, "198.51.100.7");
    record_done(&r);
    end(&t);
}
END_TEST

static struct ip ip_of(const char *text)
{
    struct ip ip;

    ck_assert(ip_parse(bytes_from(text, strlen(text)), &ip));
    return ip;
}

START_TEST(networks)
{
    static const struct { const char *ip; bool has; } by_default[] = {
        { "127.0.0.1", true }, { "127.255.1.1", true }, { "::1", true }, { "10.0.0.5", true }, { "10.0.0.9", false },
        { "10.0.1.5", false }, { "2001:db8::1", false },
    };
    struct lq_error err;
    struct lq_trust *named;
    struct trust t;

    begin(&t, NULL);
    for (size_t i = 0; i < sizeof(by_default) / sizeof(*by_default); i++)
        ck_assert_msg(trust_has(&t, &(struct ip[]){ ip_of(by_default[i].ip) }[0]) == by_default[i].has, "%s", by_default[i].ip);
    trust_own_addresses(&t);
    ck_assert(trust_has(&t, &(struct ip[]){ ip_of("127.0.0.1") }[0]));
    ck_assert_int_eq(lq_trust_new(&named, NULL), LQ_OK);
    t.named = named;
    ck_assert_msg(trust_has(&t, &(struct ip[]){ ip_of("10.0.0.5") }[0]), "nothing is named yet");
    ck_assert_int_eq(lq_trust_add(named, "192.0.2.1", NULL), LQ_OK);
    ck_assert_int_eq(lq_trust_add(named, "2001:db8::/32,198.51.100.0/24", NULL), LQ_OK);
    ck_assert_int_eq(lq_trust_add(named, "nonsense", &err), LQ_EINVAL);
    ck_assert_int_eq(lq_trust_add(named, "", &err), LQ_EINVAL);
    ck_assert(trust_has(&t, &(struct ip[]){ ip_of("192.0.2.1") }[0]));
    ck_assert(trust_has(&t, &(struct ip[]){ ip_of("2001:db8::5") }[0]));
    ck_assert(trust_names(&t, &(struct ip[]){ ip_of("198.51.100.4") }[0]));
    ck_assert(!trust_has(&t, &(struct ip[]){ ip_of("10.0.0.5") }[0]));
    ck_assert(!trust_names(&t, &(struct ip[]){ ip_of("127.0.0.1") }[0]));
    end(&t);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("origin");
    TCase *t = tcase_create("origin");
    SRunner *runner;
    int failed;

    tcase_add_loop_test(t, origins, 0, COUNT(rows));
    tcase_add_test(t, cut_chains_are_unknown);
    tcase_add_test(t, networks);
    suite_add_tcase(s, t);
    runner = srunner_create(s);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
