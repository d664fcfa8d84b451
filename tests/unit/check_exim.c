/*
 * Exim's parsers over memory and over windows of any size.
 * The samples are those of tests/spool/exim; what Exim refuses was tried with 4.96 and 4.98.2.
 */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "engine.h"
#include "exim.h"
#include "file.h"
#include "header.h"

static const char local_header[] =
    "1xUroU-0003xZ-2Y-H\n"
    "alice 1001 1001\n"
    "<alice@example.com>\n"
    "1795293358 0\n"
    "-received_time_usec .791739\n"
    "-received_time_complete 1795293358.792443\n"
    "-ident alice\n"
    "-received_protocol local\n"
    "-body_linecount 1\n"
    "-max_received_linelength 25\n"
    "-auth_id alice\n"
    "-auth_sender alice@example.com\n"
    "-allow_unqualified_recipient\n"
    "-allow_unqualified_sender\n"
    "-deliver_firsttime\n"
    "-local\n"
    "-tls_resumption A\n"
    "XX\n"
    "2\n"
    "bob@example.net\n"
    "\"carol c\"@example.net\n"
    "\n"
    "154P Received: from alice by mx.example.com with local (Exim 4.96)\n"
    "\t(envelope-from <alice@example.com>)\n"
    "\tid 1xUroU-0003xZ-2Y;\n"
    "\tSat, 21 Nov 2026 20:35:58 +0000\n"
    "032F From: Alice <alice@example.com>\n"
    "020T To: bob@example.net\n"
    "019  Subject: local one\n"
    "047I Message-Id: <E1xUroU-0003xZ-2Y@mx.example.com>\n"
    "038  Date: Sat, 21 Nov 2026 20:35:58 +0000\n";

static const char long_header[] =
    "1xUs0E-000000000NA-0q2H-H\n"
    "Debian-exim 107 114\n"
    "<sales@example.com>\n"
    "1795294086 0\n"
    "-received_time_usec .200029\n"
    "-received_time_complete 1795294086.200879\n"
    "--helo_name [IPv6:2001:db8::5]\n"
    "-host_address [2001:db8::5]:40000\n"
    "--host_name client.example.org\n"
    "-host_auth plain\n"
    "-host_auth_pubname PLAIN\n"
    "-interface_address [2001:db8::1]:587\n"
    "-received_protocol esmtpsa\n"
    "--aclc _note 23\n"
    "first line\n"
    "-frozen 1\n"
    "XX\n"
    "-aclm _empty 0\n"
    "\n"
    "-aclm 0 2\n"
    "42\n"
    "-body_linecount 1\n"
    "-max_received_linelength 23\n"
    "--auth_id sales@example.com\n"
    "--auth_sender sales+tag@example.com\n"
    "-deliver_firsttime\n"
    "-tls_cipher TLS1.3:ECDHE_X25519__RSA_PSS_RSAE_SHA256__AES_256_GCM:256\n"
    "--tls_peerdn CN=client.example.org,O=Two\\nLines\n"
    "--tls_sni mx.example.com\n"
    "-tls_resumption B\n"
    "-tls_ver TLS1.3\n"
    "-dsn_envid QQ314159\n"
    "-dsn_ret 2\n"
    "XX\n"
    "3\n"
    "r1@example.net rfc822;r1@orig.example 22,12  0,-1#3\n"
    "r2@example.net  0,2  0,-1#3\n"
    "r3@example.net\n"
    "\n"
    "153P Received: from client.example.org ([2001:db8::5])\n"
    "\tby mx.example.com with esmtpsa (TLS1.3)\n"
    "\tid 1xUs0E-000000000NA-0q2H;\n"
    "\tSat, 21 Nov 2026 20:48:06 +0000\n"
    "085P Received: from [198.51.100.7] by client.example.org; Sat, 21 Nov 2026 20:48:05 +0000\n"
    "032F From: Sales <sales@example.com>\n"
    "019C Cc: r3@example.net\n"
    "024R Reply-To: x@example.com\n"
    "022S Sender: y@example.com\n"
    "034  Subject: long id,\n"
    " folded subject\n"
    "030I Message-ID: <abc@example.com>\n";

static const char partly_header[] =
    "1xUrqZ-0004l7-26-H\n"
    "Debian-exim 107 114\n"
    "<alice@example.com>\n"
    "1795293487 2\n"
    "-received_time_usec .651313\n"
    "-received_time_complete 1795293487.651734\n"
    "--helo_name client.example\n"
    "--host_address [192.0.2.10]:4321\n"
    "-received_protocol esmtp\n"
    "--(mysql)aclm q 3\n"
    "a'b\n"
    "-body_linecount 1\n"
    "-max_received_linelength 10\n"
    "-frozen 1795380000\n"
    "-host_lookup_failed\n"
    "-tls_resumption A\n"
    "YY list@example.com\n"
    "YN UPPER@example.net\n"
    "NN UPPER@Example.NET\n"
    "NN |/usr/local/bin/filter:list@example.com\n"
    "5\n"
    "list@example.com\n"
    "UPPER@Example.NET\n"
    "\"quoted local\"@example.net\n"
    "child1@example.net  0,0 owner-list@example.com 22,0#3\n"
    "child2@example.net  0,0  0,0#3\n"
    "\n"
    "147P Received: from [192.0.2.10] (helo=client.example)\n"
    "\tby mx.example.com with esmtp (Exim 4.96)\n"
    "\tid 1xUrqZ-0004l7-26;\n"
    "\tSat, 21 Nov 2026 20:38:07 +0000\n"
    "029* Return-Path: <x@example.org>\n"
    "012* From: alice\n"
    "024F From: alice@example.com\n"
    "024B Bcc: hidden@example.com\n"
    "021  Subject: partly done\n";

static const char bounce_header[] =
    "1xUrqv-0004pn-1t-H\n"
    "Debian-exim 107 114\n"
    "<>\n"
    "1795293509 0\n"
    "-received_time_usec .585197\n"
    "-received_time_complete 1795293509.585571\n"
    "-ident Debian-exim\n"
    "-received_protocol local\n"
    "-body_linecount 1\n"
    "-max_received_linelength 98\n"
    "-frozen 1795293600\n"
    "-localerror\n"
    "-tls_resumption A\n"
    "XX\n"
    "1\n"
    "sender@example.org\n"
    "\n"
    "147P Received: from Debian-exim by mx.example.com with local (Exim 4.96)\n"
    "\tid 1xUrqv-0004pn-1t\n"
    "\tfor sender@example.org;\n"
    "\tSat, 21 Nov 2026 20:38:29 +0000\n"
    "040  X-Failed-Recipients: nouser@example.net\n"
    "055F From: Mail Delivery System <Mailer-Daemon@example.com>\n"
    "059  Subject: Mail delivery failed: returning message to sender\n";

static const char old_header[] =
    "1AbCdE-000123-9Z-H\n"
    "John Q Public 1000 -2\n"
    "<\"odd> local\"@example.com>\n"
    "1110000000 1\n"
    "-helo_name old.example\n"
    "-host_address 2001:db8::7.25\n"
    "-interface_address 192.0.2.1.25\n"
    "-ident john\n"
    "-received_protocol esmtp\n"
    "-acl 3 5\n"
    "hello\n"
    "-acl 12 3\n"
    "a\n"
    "b\n"
    "-body_linecount 0\n"
    "-N\n"
    "-sender_set_untrusted\n"
    "-some_future_flag whatever\n"
    "XX\n"
    "5\n"
    "plain@example.net\n"
    "onetime-old@example.net 0\n"
    "exim3@example.net 0,1,0\n"
    "new1@example.net  0,0#1\n"
    "new2@example.net owner@example.com 17,0#1\n"
    "\n"
    "044* Received: ; Sat, 05 Mar 2005 05:20:00 +0000\n"
    "013  Subject: old\n";

static const char wire_header[] =
    "1xUrqk-0004oA-1p-H\n"
    "Debian-exim 107 114\n"
    "<jürgen@example.com>\n"
    "1795293498 0\n"
    "-received_time_usec .566131\n"
    "-received_time_complete 1795293498.566561\n"
    "--helo_name [192.0.2.9]\n"
    "-host_address [192.0.2.9]:0\n"
    "-received_protocol utf8esmtp\n"
    "-spool_file_wireformat\n"
    "-max_received_linelength 14\n"
    "-tls_resumption A\n"
    "-smtputf8\n"
    "-utf8_optdowncvt\n"
    "XX\n"
    "1\n"
    "rü@example.net\n"
    "\n"
    "036F From: Jürgen <jürgen@example.com>\n"
    "015  Subject: wïre\n";

static const char partly_journal[] = "\"quoted local\"@example.net\n";

/* --- one message, described line by line --- */

struct text {
    const char *p;
    size_t n;
};

#define TEXT(literal) ((struct text){ literal, sizeof(literal) - 1 })

struct input {
    const char *id;
    struct text header, journal, log;
    bool has_journal;
    size_t window;              /* 0: memory */
};

struct parsed {
    struct lq_record rec;
    struct exim_parse p;
    struct source src;
    struct buf headers, names, nodes, out;
};

static int as_file(struct source *s, struct text text, size_t window)
{
    int fd = memfd_create("input", MFD_CLOEXEC);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, text.p, text.n), (ssize_t)text.n);
    s->first = s->view = window;
    ck_assert_int_eq(source_file(s, fd, text.n), 0);
    return fd;
}

static void with_source(struct parsed *o, struct text text, size_t window, void (*parse)(struct exim_parse *))
{
    int fd = -1;

    if (window)
        fd = as_file(&o->src, text, window);
    else
        source_memory(&o->src, text.p, text.n);
    parse(&o->p);
    if (fd >= 0)
        close(fd);
}

static void parse_with(struct parsed *o, const struct input *in, uint64_t want)
{
    memset(o, 0, sizeof(*o));
    record_reset(&o->rec);
    o->headers.limit = RECORD_HEADERS_MAX;
    o->p = (struct exim_parse){
        .rec = &o->rec, .src = &o->src, .dir = "input", .id = bytes_from(in->id, strlen(in->id)), .want = want,
        .headers = &o->headers, .names = &o->names, .nodes = &o->nodes,
    };
    if (in->has_journal) {
        o->p.name = "J";
        with_source(o, in->journal, in->window, exim_parse_journal);
        o->p.tried = true;
    }
    o->p.name = "H";
    with_source(o, in->header, in->window, exim_parse_header);
    if (in->log.p) {
        o->p.name = "log";
        with_source(o, in->log, in->window, exim_parse_log);
    }
    header_fields(&o->rec, bytes_from(o->headers.p, o->headers.n), want);
}

static void parse_all(struct parsed *o, const struct input *in)
{
    parse_with(o, in, LQ_FIELDS_ALL);
}

static void parsed_done(struct parsed *o)
{
    record_done(&o->rec);
    source_done(&o->src);
    buf_done(&o->headers);
    buf_done(&o->names);
    buf_done(&o->nodes);
    buf_done(&o->out);
}

static void describe_recipients(struct buf *out, const char *word, const struct rcpt_list *list)
{
    for (size_t i = 0; i < list->n; i++) {
        const struct lq_recipient *r = &list->items[i];

        buf_printf(out, "%s %s", word, r->address.p);
        if (r->orig_address.p)
            buf_printf(out, " <- %s", r->orig_address.p);
        if (r->dsn_code.p)
            buf_printf(out, " %s", r->dsn_code.p);
        if (r->delay_reason.p)
            buf_printf(out, " (%s)", r->delay_reason.p);
        buf_add_char(out, '\n');
    }
}

static const char *describe(struct parsed *o)
{
    const struct lq_record *r = &o->rec;
    struct buf *out = &o->out;

    buf_printf(out, "state %s\n", state_names[r->state]);
    for (enum lq_field f = LQ_ARRIVAL_TIME; f < LQ_SUBJECT; f++) {
        if (!record_is_set(r, f))
            continue;
        if (field_table[f].type == LQ_TYPE_TEXT)
            buf_printf(out, "%s %s\n", field_table[f].name, r->value[f].text.p);
        else
            buf_printf(out, "%s %lld\n", field_table[f].name, (long long)r->value[f].number);
    }
    describe_recipients(out, "to", &r->recipients);
    describe_recipients(out, "done", &r->done);
    for (unsigned f = 0; f < FLAG_COUNT; f++)
        if (r->flags >> f & 1)
            buf_printf(out, "flag %s\n", flag_names[f]);
    buf_printf(out, "live %llu of %zu\n", (unsigned long long)o->p.live, o->headers.n);
    for (size_t i = 0; i < r->problems.n; i++)
        buf_printf(out, "problem %s\n", r->problems.items[i].p);
    if (!o->p.whole)
        buf_add_str(out, "not whole\n");
    if (r->broken)
        buf_printf(out, "broken %u\n", r->broken);
    buf_add(out, "", 1);
    return out->p;
}

static const size_t windows[] = { 0, 1, 2, 16, 61, 4096 };
enum { WINDOWS = sizeof(windows) / sizeof(*windows) };

/* Memory and each window must tell what is expected; expected NULL: what memory told. */
static void check_parse(struct input in, const char *expected)
{
    char *first = NULL;

    for (size_t i = 0; i < WINDOWS; i++) {
        struct parsed o;
        const char *got;

        in.window = windows[i];
        parse_all(&o, &in);
        got = describe(&o);
        if (!first)
            first = strdup(got);
        ck_assert_str_eq(got, expected ? expected : first);
        parsed_done(&o);
    }
    free(first);
}

/* --- the samples --- */

static const struct {
    const char *name, *id;
    struct text header, journal;
    const char *expected;
} samples[] = {
    { "local submission", "1xUroU-0003xZ-2Y", TEXT(local_header), { NULL, 0 },
      "state incoming\n"
      "arrival_time 1795293358\n"
      "arrival_usec 791739\n"
      "sender alice@example.com\n"
      "protocol_name local\n"
      "local_user alice\n"
      "local_uid 1001\n"
      "attempts 0\n"
      "to bob@example.net\n"
      "to \"carol c\"@example.net\n"
      "flag local\n"
      "live 310 of 310\n" },
    { "long id", "1xUs0E-000000000NA-0q2H", TEXT(long_header), { NULL, 0 },
      "state incoming\n"
      "arrival_time 1795294086\n"
      "arrival_usec 200029\n"
      "sender sales@example.com\n"
      "client_address 2001:db8::5\n"
      "client_port 40000\n"
      "client_name client.example.org\n"
      "helo_name [IPv6:2001:db8::5]\n"
      "protocol_name esmtpsa\n"
      "auth_user sales@example.com\n"
      "auth_method PLAIN\n"
      "attempts 0\n"
      "to r1@example.net <- r1@orig.example\n"
      "to r2@example.net\n"
      "to r3@example.net\n"
      "flag authenticated\n"
      "flag tls\n"
      "live 399 of 399\n" },
    { "partly delivered", "1xUrqZ-0004l7-26", TEXT(partly_header), TEXT(partly_journal),
      "state held\n"
      "arrival_time 1795293487\n"
      "arrival_usec 651313\n"
      "sender alice@example.com\n"
      "client_address 192.0.2.10\n"
      "client_port 4321\n"
      "helo_name client.example\n"
      "protocol_name esmtp\n"
      "to child1@example.net <- list@example.com\n"
      "to child2@example.net <- list@example.com\n"
      "done list@example.com\n"
      "done UPPER@Example.NET\n"
      "done \"quoted local\"@example.net\n"
      "flag warned\n"
      "flag partly-delivered\n"
      "live 216 of 216\n" },
    { "bounce", "1xUrqv-0004pn-1t", TEXT(bounce_header), { NULL, 0 },
      "state held\n"
      "arrival_time 1795293509\n"
      "arrival_usec 585197\n"
      "sender \n"
      "protocol_name local\n"
      "local_user Debian-exim\n"
      "local_uid 107\n"
      "to sender@example.org\n"
      "flag bounce\n"
      "live 301 of 301\n" },
    { "old styles", "1AbCdE-000123-9Z", TEXT(old_header), { NULL, 0 },
      "state deferred\n"
      "arrival_time 1110000000\n"
      "sender \"odd> local\"@example.com\n"
      "client_address 2001:db8::7\n"
      "client_port 25\n"
      "helo_name old.example\n"
      "protocol_name esmtp\n"
      "to plain@example.net\n"
      "to onetime-old@example.net <- plain@example.net\n"
      "to exim3@example.net <- onetime-old@example.net\n"
      "to new1@example.net <- plain@example.net\n"
      "to new2@example.net <- plain@example.net\n"
      "flag warned\n"
      "live 13 of 13\n" },
    { "wireformat", "1xUrqk-0004oA-1p", TEXT(wire_header), { NULL, 0 },
      "state deferred\n"
      "arrival_time 1795293498\n"
      "arrival_usec 566131\n"
      "sender j\303\274rgen@example.com\n"
      "client_address 192.0.2.9\n"
      "helo_name [192.0.2.9]\n"
      "protocol_name utf8esmtp\n"
      "to r\303\274@example.net\n"
      "flag smtputf8\n"
      "flag wireformat\n"
      "live 51 of 51\n" },
};

START_TEST(sample)
{
    struct input in = { .id = samples[_i].id, .header = samples[_i].header, .journal = samples[_i].journal,
                        .has_journal = samples[_i].journal.p };

    check_parse(in, samples[_i].expected);
}
END_TEST

/* A header field asked for alone is what it is among all others, and no more is copied; an item of several fields is kept whole. */
START_TEST(header_asked_alone)
{
    static const char items[] =
        "1xUroU-0003xZ-2Y-H\nalice 1001 1001\n<alice@example.com>\n1795293358 0\n-local\nXX\n1\nbob@example.net\n\n"
        "029P Received: from a\n\tSubject: x\n" "026  X-Other: one\nSubject: two\n" "020  Subject : three\n \tx\n"
        "008* To: old\n" "008  To: new\n" "015  Reply-To: date\n" "007  from:f\n";
    struct text headers[] = { TEXT(items), TEXT(local_header) };

    for (size_t i = 0; i < 2 * WINDOWS; i++) {
        struct input in = { .id = "1xUroU-0003xZ-2Y", .header = headers[i % 2], .window = windows[i / 2] };
        struct parsed all, alone;

        parse_with(&all, &in, LQ_FIELDS_ALL);
        for (enum lq_field f = LQ_SUBJECT; f < LQ_RECEIVED; f++) {
            parse_with(&alone, &in, LQ_FIELD_BIT(f));
            ck_assert_uint_eq(record_is_set(&alone.rec, f), record_is_set(&all.rec, f));
            if (record_is_set(&all.rec, f))
                ck_assert_str_eq(alone.rec.value[f].text.p, all.rec.value[f].text.p);
            if (!in.window)     /* where a name is cut in two, it is kept */
                ck_assert_uint_lt(alone.headers.n, all.headers.n);
            ck_assert_uint_eq(alone.p.live, all.p.live);
            parsed_done(&alone);
        }
        parsed_done(&all);
    }
}
END_TEST

/* --- what Exim refuses: one change to the local submission --- */

static struct text change(struct text base, struct text find, struct text replace)
{
    char *at = memmem(base.p, base.n, find.p, find.n), *to = malloc(base.n + replace.n + 1);
    size_t before;

    ck_assert_ptr_nonnull(at);
    ck_assert_ptr_nonnull(to);
    before = (size_t)(at - base.p);
    memcpy(to, base.p, before);
    memcpy(to + before, replace.p, replace.n);
    memcpy(to + before + replace.n, at + find.n, base.n - before - find.n);
    return (struct text){ to, base.n - find.n + replace.n };
}

#define RECIPIENTS "to bob@example.net\nto \"carol c\"@example.net\n"
#define LOCAL "state corrupt\narrival_time 1795293358\narrival_usec 791739\nsender alice@example.com\n" \
              "protocol_name local\nlocal_user alice\nlocal_uid 1001\nattempts 0\n"
#define CUT "state corrupt\narrival_time 1795293358\narrival_usec 791739\nsender alice@example.com\nprotocol_name local\n"

/* find "" replaces everything. */
static const struct {
    const char *name;
    struct text find, replace;
    const char *expected;
} changes[] = {
    { "another name", TEXT("1xUroU-0003xZ-2Y-H\nalice"), TEXT("1xUroU-0003xZ-2Z-H\nalice"),
      LOCAL RECIPIENTS "flag local\nlive 310 of 310\nproblem input/H: line 1, offset 0: is not the file's own name\n" },
    { "no uid", TEXT("alice 1001 1001"), TEXT("alice 1001"),
      "state corrupt\narrival_time 1795293358\narrival_usec 791739\nsender alice@example.com\nprotocol_name local\nattempts 0\n"
      RECIPIENTS "flag local\nlive 310 of 310\nproblem input/H: line 2, offset 19: is not LOGIN UID GID\nbroken 2\n" },
    { "sender without brackets", TEXT("<alice@example.com>\n1"), TEXT("alice@example.com\n1"),
      "state corrupt\narrival_time 1795293358\narrival_usec 791739\nprotocol_name local\nlocal_user alice\nlocal_uid 1001\nattempts 0\n"
      RECIPIENTS "flag local\nlive 310 of 310\nproblem input/H: line 3, offset 35: is not <SENDER>\nbroken 2\n" },
    { "NUL in the sender", TEXT("<alice@example.com>\n1"), TEXT("<alice@\0xample.com>\n1"),
      "state corrupt\narrival_time 1795293358\narrival_usec 791739\nsender alice@\nprotocol_name local\nlocal_user alice\nlocal_uid 1001\n"
      "attempts 0\n" RECIPIENTS "flag local\nlive 310 of 310\nproblem input/H: line 3, offset 35: NUL in the sender\n" },
    { "no time", TEXT("1795293358 0\n"), TEXT("soon 0\n"),
      "state corrupt\narrival_usec 791739\nsender alice@example.com\nprotocol_name local\nlocal_user alice\nlocal_uid 1001\nattempts 0\n"
      RECIPIENTS "flag local\nlive 310 of 310\nproblem input/H: line 4, offset 55: is not TIME WARNINGS\nbroken 2\n" },
    { "frozen without time", TEXT("-local\n"), TEXT("-local\n-frozen\n"),
      LOCAL RECIPIENTS "flag local\nlive 310 of 310\nproblem input/H: line 17, offset 349: -frozen without a time\n" },
    { "mark without end", TEXT("-local\n"), TEXT("--(nope\n"),
      LOCAL RECIPIENTS "flag local\nlive 310 of 310\nproblem input/H: line 16, offset 342: a variable's quoting mark has no end\n" },
    { "NUL in a variable", TEXT("-local\n"), TEXT("-lo\0cal\n"),
      LOCAL RECIPIENTS "flag local\nlive 310 of 310\nproblem input/H: line 16, offset 342: NUL in a variable\n" },
    { "ACL data of negative length", TEXT("-local\n"), TEXT("-aclm x -5\n"),
      CUT "live 0 of 0\nproblem input/H: line 16, offset 342: the length of an ACL variable is wrong\nnot whole\nbroken 2\n" },
    { "ACL data longer than the file", TEXT("-local\n"), TEXT("-aclm x 99999\n"),
      CUT "live 0 of 0\nproblem input/H: line 16, offset 342: the length of an ACL variable is wrong\nnot whole\nbroken 2\n" },
    { "ACL data without room for its last LF", TEXT("-local\n"), TEXT("-aclm x 402\n"),
      CUT "live 0 of 0\nproblem input/H: line 16, offset 342: the length of an ACL variable is wrong\nnot whole\nbroken 2\n" },
    { "ACL data up to the end", TEXT("-local\n"), TEXT("-aclm x 401\n"),
      CUT "live 0 of 0\nproblem input/H: line 32, offset 756: the file ends in the envelope\nnot whole\nbroken 2\n" },
    { "ACL data longer than any number", TEXT("-local\n"), TEXT("-aclc x 99999999999999999999999\n"),
      CUT "live 0 of 0\nproblem input/H: line 16, offset 342: the length of an ACL variable is wrong\nnot whole\nbroken 2\n" },
    { "old ACL variable 20", TEXT("-local\n"), TEXT("-acl 20 1\nx\n"),
      CUT "live 0 of 0\nproblem input/H: line 16, offset 342: the number of an ACL variable is wrong\nnot whole\nbroken 2\n" },
    { "empty tree with a tail", TEXT("XX\n"), TEXT("XX \n"),
      LOCAL "flag local\nlive 0 of 0\nproblem input/H: line 18, offset 367: XX, the empty tree of delivered addresses, has a tail\n"
      "not whole\nbroken 2\n" },
    { "tree that eats the rest", TEXT("XX\n"), TEXT("YY a@b.example\n"),
      LOCAL "flag local\nlive 0 of 0\nproblem input/H: line 19, offset 382: is not a node of the tree of delivered addresses\n"
      "not whole\nbroken 2\n" },
    { "negative count", TEXT("\n2\nbob"), TEXT("\n-1\nbob"),
      LOCAL RECIPIENTS "flag local\nlive 310 of 310\nproblem input/H: line 19, offset 370: the number of recipients is negative "
      "(Exim dies when it reads this)\nbroken 2\n" },
    { "count that Exim does not read", TEXT("\n2\nbob"), TEXT("\n16385\nbob"),
      LOCAL RECIPIENTS "flag local\nlive 310 of 310\nproblem input/H: line 19, offset 370: 16385 recipients are more than Exim reads (16384)\n"
      "problem input/H: line 22, offset 414: 16385 recipients announced, but only 2 are here\nbroken 2\n" },
    { "no count", TEXT("\n2\nbob"), TEXT("\nx\nbob"),
      LOCAL "flag local\nlive 0 of 0\nproblem input/H: line 19, offset 370: is not the number of recipients\nnot whole\nbroken 2\n" },
    { "count beyond all numbers", TEXT("\n2\nbob"), TEXT("\n99999999999999999999\nbob"),
      LOCAL "flag local\nlive 0 of 0\nproblem input/H: line 19, offset 370: is not the number of recipients\nnot whole\nbroken 2\n" },
    { "one recipient too few", TEXT("\n2\nbob"), TEXT("\n3\nbob"),
      LOCAL RECIPIENTS "flag local\nlive 310 of 310\nproblem input/H: line 22, offset 410: 3 recipients announced, but only 2 are here\nbroken 2\n" },
    { "one recipient too many", TEXT("\n2\nbob"), TEXT("\n1\nbob"),
      LOCAL "to bob@example.net\nflag local\nlive 0 of 0\nproblem input/H: line 21, offset 388: the empty line before the header is missing\n"
      "not whole\nbroken 2\n" },
    { "recipient with lengths that lie", TEXT("bob@example.net\n\""), TEXT("a@b.example 9,0 x 99,0#3\n\""),
      LOCAL "to \"carol c\"@example.net\nflag local\nlive 310 of 310\n"
      "problem input/H: line 20, offset 372: the lengths in a recipient's line are wrong\nbroken 2\n" },
    { "NUL in a recipient", TEXT("bob@example.net\n\""), TEXT("bob\0example.net\n\""),
      LOCAL "to bob\nto \"carol c\"@example.net\nflag local\nlive 310 of 310\n"
      "problem input/H: line 20, offset 372: NUL in a recipient\n" },
    { "no empty line", TEXT("\n\n154P"), TEXT("\n154P"),
      LOCAL RECIPIENTS "flag local\nlive 310 of 310\nproblem input/H: line 22, offset 410: the empty line before the header is missing\nbroken 2\n" },
    { "header longer than the file", TEXT("019  S"), TEXT("999999999  S"),
      LOCAL RECIPIENTS "flag local\nlive 206 of 206\nproblem input/H: line 29, offset 632: a header field is longer than the rest of the file\n"
      "not whole\nbroken 2\n" },
    { "header length beyond all numbers", TEXT("019  S"), TEXT("99999999999999999999999999  S"),
      LOCAL RECIPIENTS "flag local\nlive 206 of 206\nproblem input/H: line 29, offset 632: a header field is longer than the rest of the file\n"
      "not whole\nbroken 2\n" },
    { "header a byte too short", TEXT("019  S"), TEXT("018  S"),
      LOCAL RECIPIENTS "flag local\nlive 224 of 224\nproblem input/H: line 29, offset 655: a header field does not begin with its length\n"
      "not whole\nbroken 2\n" },
    { "NUL in a header", TEXT("local one"), TEXT("local\0one"),
      LOCAL RECIPIENTS "flag local\nlive 310 of 310\nproblem input/H: line 29, offset 632: NUL in a header field\n" },
    { "NUL behind the end", TEXT("Date: Sat, 21 Nov 2026 20:35:58 +0000\n"), TEXT("Date: Sat, 21 Nov 2026 20:35:58 +0000\n\0"),
      LOCAL RECIPIENTS "flag local\nlive 310 of 310\nproblem input/H: line 32, offset 751: a header field does not begin with its length\n"
      "not whole\nbroken 2\n" },
    { "CR LF", TEXT("2Y-H\nalice"), TEXT("2Y-H\r\nalice"),
      "state corrupt\nlive 0 of 0\nproblem input/H: line 1, offset 0: lines end in CR LF\nnot whole\nbroken 2\n" },
    { "what Exim puts up with", TEXT("1795293358 0\n"), TEXT(" 1795293358 0 and more\n"),
      "state incoming\narrival_time 1795293358\narrival_usec 791739\nsender alice@example.com\nprotocol_name local\nlocal_user alice\n"
      "local_uid 1001\nattempts 0\n" RECIPIENTS "flag local\nlive 310 of 310\n" },
    { "junk behind the count", TEXT("\n2\nbob"), TEXT("\n2 and more\nbob"),
      "state incoming\narrival_time 1795293358\narrival_usec 791739\nsender alice@example.com\nprotocol_name local\nlocal_user alice\n"
      "local_uid 1001\nattempts 0\n" RECIPIENTS "flag local\nlive 310 of 310\n" },
};

START_TEST(changed)
{
    struct text made = change(TEXT(local_header), changes[_i].find, changes[_i].replace);
    struct input in = { .id = "1xUroU-0003xZ-2Y", .header = made };

    check_parse(in, changes[_i].expected);
    free((char *)made.p);
}
END_TEST

/* 4.98.2 does not compare the end of a long id. */
START_TEST(end_of_a_long_name)
{
    struct text made = change(TEXT(long_header), TEXT("0q2H-H\nDebian"), TEXT("0q2I-H\nDebian"));
    struct input in = { .id = "1xUs0E-000000000NA-0q2H", .header = made };
    struct parsed o;

    parse_all(&o, &in);
    ck_assert_int_eq(o.rec.state, STATE_INCOMING);
    ck_assert_uint_eq(o.rec.problems.n, 1);
    parsed_done(&o);
    check_parse(in, NULL);
    free((char *)made.p);
}
END_TEST

static struct text with_long_line(const char *find, size_t n)
{
    struct buf line = { 0 };
    struct text made;

    buf_add_str(&line, find);
    for (size_t i = 0; i < n; i++)
        buf_add_char(&line, 'x');
    made = change(TEXT(local_header), (struct text){ find, strlen(find) }, (struct text){ line.p, line.n });
    buf_done(&line);
    return made;
}

/* Longer than Exim's buffers: of a short one the rest is still read, a variable beyond 64 KiB has no end. */
static const struct {
    const char *find;
    size_t n;
    bool corrupt, whole;
    const char *sender;
} long_lines[] = {
    { "<alice", 20000, true, true, "<alicexxxx" },
    { "\n2", 20000, true, true, "<alice@" },
    { "-auth_id", 20000, false, true, "<alice@" },
    { "-auth_id", 70000, true, false, "<alice@" },
    { "<alice", 70000, true, false, NULL },
    { "bob", 20000, false, true, "<alice@" },
    { "bob", 70000, true, false, "<alice@" },
};

START_TEST(long_line)
{
    struct text made = with_long_line(long_lines[_i].find, long_lines[_i].n);
    struct input in = { .id = "1xUroU-0003xZ-2Y", .header = made };
    struct parsed o;

    parse_all(&o, &in);
    ck_assert_int_eq(o.rec.state == STATE_CORRUPT, long_lines[_i].corrupt);
    ck_assert_int_eq(o.p.whole, long_lines[_i].whole);
    ck_assert_int_eq(o.rec.broken != 0, !long_lines[_i].whole);
    o.rec.have = SEC_NAME | SEC_CONTROL;
    if (long_lines[_i].sender)
        ck_assert_mem_eq(lq_record_text(&o.rec, LQ_SENDER).p, long_lines[_i].sender + 1, strlen(long_lines[_i].sender + 1));
    else
        ck_assert_int_eq(lq_record_has(&o.rec, LQ_SENDER), LQ_UNREAD);
    parsed_done(&o);
    check_parse(in, NULL);
    free((char *)made.p);
}
END_TEST

/* A disk that fails makes nothing corrupt. */
START_TEST(unreadable)
{
    struct input in = { .id = "1xUroU-0003xZ-2Y" };
    struct parsed o;
    int fd;

    parse_all(&o, &(struct input){ .id = in.id, .header = TEXT(local_header) });
    parsed_done(&o);
    memset(&o, 0, sizeof(o));
    record_reset(&o.rec);
    o.p = (struct exim_parse){ .rec = &o.rec, .src = &o.src, .dir = "input", .name = "H", .id = bytes_from(in.id, strlen(in.id)),
                               .want = LQ_FIELDS_ALL, .headers = &o.headers, .names = &o.names, .nodes = &o.nodes };
    fd = as_file(&o.src, TEXT(local_header), 64);
    close(fd);
    exim_parse_header(&o.p);
    ck_assert_int_eq(o.rec.state, STATE_NONE);
    ck_assert_uint_eq(o.rec.broken, SEC_CONTROL);
    ck_assert_str_eq(o.rec.problems.items[0].p, "input/H: cannot be read beyond offset 0: Bad file descriptor");
    source_file(&o.src, fd, 10);
    exim_parse_journal(&o.p);
    ck_assert_uint_eq(o.rec.problems.n, 2);
    source_file(&o.src, fd, 10);
    exim_parse_log(&o.p);
    ck_assert_uint_eq(o.rec.broken, SEC_CONTROL | SEC_LOG);
    parsed_done(&o);
}
END_TEST

/* Cut anywhere, nothing is made up: whatever is said stands in the whole file, too. */
START_TEST(cut_anywhere)
{
    for (size_t n = 0; n < sizeof(long_header) - 1; n++) {
        char *copy = malloc(n + 1);
        struct input in = { .id = "1xUs0E-000000000NA-0q2H", .header = { copy, n } };
        struct parsed o;

        memcpy(copy, long_header, n);
        for (size_t w = 0; w < 2; w++) {
            in.window = w * 16;
            parse_all(&o, &in);
            ck_assert_uint_le(o.rec.recipients.n, 3);
            ck_assert_uint_le(o.p.live, 399);
            if (!o.p.whole) {
                /* No field at all is nothing that Exim would refuse. */
                if (n > 0 && n == o.p.items_at)
                    ck_assert_int_ne(o.rec.state, STATE_CORRUPT);
                else
                    ck_assert_int_eq(o.rec.state, STATE_CORRUPT);
                ck_assert_uint_ge(o.rec.problems.n, 1);
                ck_assert_uint_eq(o.rec.broken, SEC_CONTROL);
            }
            parsed_done(&o);
        }
        free(copy);
    }
}
END_TEST

/* --- recipient lines --- */

static const struct {
    const char *line, *address, *orcpt;
    int parent;
} recipients[] = {
    { "a@b.example", "a@b.example", NULL, -1 },
    { "\"a b\"@c.example", "\"a b\"@c.example", NULL, -1 },
    { "user1@[192.0.2.1]", "user1@[192.0.2.1]", NULL, -1 },
    { "a@b.example1", "a@b.example1", NULL, -1 },
    { "12345", "12345", NULL, -1 },
    { "a@b.example 3", "a@b.example", NULL, 3 },
    { "a@b.example 0,1,0", "a@b.example", NULL, 1 },
    { "a@b.example,1,0", "a@b.example,1,0", NULL, -1 },
    { "a@b.example  0,0#1", "a@b.example", NULL, 0 },
    { "a@b.example  0,-1#1", "a@b.example", NULL, -1 },
    { "a@b.example owner@example.com 17,2#1", "a@b.example", NULL, 2 },
    { "a@b.example  0,0  0,0#3", "a@b.example", NULL, 0 },
    { "a@b.example  0,28  0,-1#3", "a@b.example", NULL, -1 },
    { "a@b.example rfc822;x@y.example 18,12  0,-1#3", "a@b.example", "rfc822;x@y.example", -1 },
    { "a@b.example rfc822;x@y.example 18,12 \"own er\"@c.example 18,7#3", "a@b.example", "rfc822;x@y.example", 7 },
    { "\"a 0,0#3\"@c.example", "\"a 0,0#3\"@c.example", NULL, -1 },
    { "a@b.example#8", "a@b.example", NULL, -1 },
    /* lies */
    { "a@b.example 9,0 x 99,0#3", NULL, NULL, 0 },
    { "a@b.example x 1,0 x 2,0#3", NULL, NULL, 0 },
    { "a@b.example 0,0#1", NULL, NULL, 0 },
    { " 0,0#1", NULL, NULL, 0 },
    { "#1", "#1", NULL, -1 },
    { "0,0#3", NULL, NULL, 0 },
    { "0,0#1", NULL, NULL, 0 },
    { "a@b.example -1,0#1", NULL, NULL, 0 },
    { "a@b.example  99999999999999999999,0#1", NULL, NULL, 0 },
    { "a@b.example  18446744073709551615,0#1", NULL, NULL, 0 },
    { "a@b.example  9223372036854775806,0#1", NULL, NULL, 0 },
};

static void check_bytes(struct bytes got, const char *expected)
{
    ck_assert_uint_eq(got.n, strlen(expected));
    if (got.n > 0)
        ck_assert_mem_eq(got.p, expected, got.n);
}

START_TEST(recipient_line)
{
    const char *line = recipients[_i].line;
    struct exim_recipient rcpt;

    if (!exim_split_recipient(bytes_from(line, strlen(line)), &rcpt)) {
        ck_assert_ptr_null(recipients[_i].address);
        return;
    }
    ck_assert_ptr_nonnull(recipients[_i].address);
    check_bytes(rcpt.address, recipients[_i].address);
    check_bytes(rcpt.orcpt, recipients[_i].orcpt ? recipients[_i].orcpt : "");
    ck_assert_int_eq((int)rcpt.parent, recipients[_i].parent);
}
END_TEST

static const struct {
    const char *orcpt, *address;
} orcpts[] = {
    { "rfc822;a@b.example", "a@b.example" },
    { "RFC822;a+2Bb@c.example", "a+b@c.example" },
    { "rfc822;a+2", "a+2" },
    { "rfc822;a+2x", "a+2x" },
    { "rfc822;+41+42", "AB" },
    { "x400;/c=us", "x400;/c=us" },
    { "", "" },
};

START_TEST(orcpt)
{
    struct lq_record r;
    struct lq_str got;

    memset(&r, 0, sizeof(r));
    got = exim_orcpt(&r, bytes_from(orcpts[_i].orcpt, strlen(orcpts[_i].orcpt)));
    ck_assert_str_eq(got.p, orcpts[_i].address);
    ck_assert_uint_eq(got.n, strlen(orcpts[_i].address));
    record_done(&r);
}
END_TEST

/* --- variables --- */

static const struct {
    struct text value;
    const char *address;
    int port;                   /* 0: none */
} hosts[] = {
    { TEXT("[192.0.2.1]:25"), "192.0.2.1", 25 },
    { TEXT("[192.0.2.1]"), "192.0.2.1", 0 },
    { TEXT("[192.0.2.1]:0"), "192.0.2.1", 0 },
    { TEXT("[192.0.2.1]:99999"), "192.0.2.1", 0 },
    { TEXT("[2001:DB8:0::1]:25"), "2001:db8::1", 25 },
    { TEXT("[::ffff:192.0.2.1]:25"), "192.0.2.1", 25 },
    { TEXT("192.0.2.1"), "192.0.2.1", 0 },
    { TEXT("192.0.2.1.25"), "192.0.2.1", 25 },
    { TEXT("192.0.2.1.0"), "192.0.2.1", 0 },
    { TEXT("2001:db8::1"), "2001:db8::1", 0 },
    { TEXT("2001:db8::1.25"), "2001:db8::1", 25 },
    { TEXT("::ffff:192.0.2.1"), "192.0.2.1", 0 },
    { TEXT("::ffff:192.0.2.1.25"), "192.0.2.1", 25 },
    { TEXT("nonsense"), "nonsense", 0 },
    { TEXT("[nonsense]:25"), "[nonsense]:25", 0 },
    { TEXT("["), "[", 0 },
    { TEXT("]"), "]", 0 },
    { TEXT(":"), ":", 0 },
    { TEXT("1.2.3.4.5.6"), "1.2.3.4", 0 },
    { TEXT(""), "", 0 },
};

START_TEST(host)
{
    struct text made = change(TEXT(wire_header), TEXT("[192.0.2.9]:0"), hosts[_i].value);
    struct input in = { .id = "1xUrqk-0004oA-1p", .header = made };
    struct parsed o;
    int64_t port = 0;

    parse_all(&o, &in);
    o.rec.have = SEC_NAME | SEC_CONTROL;
    ck_assert_str_eq(lq_record_text(&o.rec, LQ_CLIENT_ADDRESS).p, hosts[_i].address);
    lq_record_number(&o.rec, LQ_CLIENT_PORT, &port);
    ck_assert_int_eq((int)port, hosts[_i].port);
    ck_assert_int_eq(o.rec.flags >> FLAG_LOCAL & 1, 0);
    parsed_done(&o);
    free((char *)made.p);
}
END_TEST

/* What stands in ACL data is no envelope, whatever it looks like. */
START_TEST(acl_data_is_not_parsed)
{
    static const struct text lines = TEXT("-aclc _note 41\n-frozen 1\nXX\n1\nevil@example.com\n\n003  x\n\0\n-host_address [203.0.113.9]:1\n");
    struct text made = change(TEXT(local_header), TEXT("-local\n"), lines);
    struct input in = { .id = "1xUroU-0003xZ-2Y", .header = made };

    check_parse(in, "state incoming\narrival_time 1795293358\narrival_usec 791739\nsender alice@example.com\n"
                    "client_address 203.0.113.9\nclient_port 1\nprotocol_name local\nattempts 0\n" RECIPIENTS "live 310 of 310\n");
    free((char *)made.p);
}
END_TEST

/* The account of a local submitter is no SMTP authentication; a mark changes no meaning; order is free. */
START_TEST(authentication_needs_host_auth)
{
    struct text made = change(TEXT(local_header), TEXT("-local\n"), TEXT("-local\n--(sqlite)host_auth login\n"));
    struct input in = { .id = "1xUroU-0003xZ-2Y", .header = made };
    struct parsed o;

    parse_all(&o, &in);
    o.rec.have = SEC_NAME | SEC_CONTROL;
    ck_assert_str_eq(lq_record_text(&o.rec, LQ_AUTH_USER).p, "alice");
    ck_assert_str_eq(lq_record_text(&o.rec, LQ_AUTH_METHOD).p, "login");
    ck_assert_int_eq(o.rec.flags >> FLAG_AUTHENTICATED & 1, 1);
    parsed_done(&o);
    free((char *)made.p);
}
END_TEST

/* --- done or not --- */

static const struct {
    const char *name;
    struct text tree, journal;
    const char *expected;       /* of UPPER@Example.NET */
} done_rows[] = {
    { "exact",                    TEXT("NN UPPER@Example.NET\n"), { NULL, 0 }, "done" },
    { "domain in lower case",     TEXT("NN UPPER@example.net\n"), { NULL, 0 }, "done" },
    { "other case of the domain", TEXT("NN UPPER@EXAMPLE.NET\n"), { NULL, 0 }, "to" },
    { "local part in lower case", TEXT("NN upper@example.net\n"), { NULL, 0 }, "to" },
    { "journal",                  TEXT("XX\n"), TEXT("UPPER@example.net\n"), "done" },
    { "journal, any domain case", TEXT("XX\n"), TEXT("UPPER@EXAMPLE.net\n"), "done" },
    { "journal, local part",      TEXT("XX\n"), TEXT("upper@example.net\n"), "to" },
    { "journal, cut short",       TEXT("XX\n"), TEXT("UPPER@example.net"), "to" },
    { "journal, a file",          TEXT("XX\n"), TEXT("/var/mail/x:UPPER@example.net\n\n"), "to" },
    { "longer",                   TEXT("NN UPPER@Example.NETS\n"), { NULL, 0 }, "to" },
    { "shorter",                  TEXT("NN UPPER@Example.NE\n"), { NULL, 0 }, "to" },
    { "strange tree letters",     TEXT("ZYxUPPER@Example.NET\nnnxz@z\n"), { NULL, 0 }, "done" },
};

START_TEST(done_or_not)
{
    struct text one = change(TEXT(local_header), TEXT("XX\n2\nbob@example.net\n"), TEXT("XX\n2\nUPPER@Example.NET\n"));
    struct text made = change(one, TEXT("XX\n"), done_rows[_i].tree);
    struct input in = { .id = "1xUroU-0003xZ-2Y", .header = made, .journal = done_rows[_i].journal,
                        .has_journal = done_rows[_i].journal.p };
    char line[100];
    struct parsed o;

    parse_all(&o, &in);
    snprintf(line, sizeof(line), "%s UPPER@Example.NET\n", done_rows[_i].expected);
    ck_assert_ptr_nonnull(strstr(describe(&o), line));
    ck_assert_int_eq(o.rec.state, in.has_journal ? STATE_DEFERRED : STATE_INCOMING);
    ck_assert_int_eq(record_is_set(&o.rec, LQ_ATTEMPTS), !in.has_journal);
    parsed_done(&o);
    check_parse(in, NULL);
    free((char *)one.p);
    free((char *)made.p);
}
END_TEST

/* 200,000 recipients, every other one done, in a tree that is one long branch: no recursion, no quadratic time. */
START_TEST(many_recipients)
{
    enum { MANY = 200000 };
    struct buf text = { 0 }, journal = { 0 };
    struct input in = { .id = "1xUroU-0003xZ-2Y" };
    struct parsed o;

    buf_add_str(&text, "1xUroU-0003xZ-2Y-H\nalice 1001 1001\n<alice@example.com>\n1795293358 0\n-host_address [192.0.2.1]:25\n");
    for (unsigned i = 0; i < MANY; i += 4)
        buf_printf(&text, "%s user%u@example.net\n", i + 4 < MANY ? "NY" : "NN", i);
    for (unsigned i = 2; i < MANY; i += 4)
        buf_printf(&journal, "user%u@example.net\n", i);
    buf_printf(&text, "%u\n", (unsigned)MANY);
    for (unsigned i = 0; i < MANY; i++)
        buf_printf(&text, "user%u@Example.Net\n", i);
    buf_add_str(&text, "\n014  Subject: many\n");
    in.header = (struct text){ text.p, text.n };
    in.journal = (struct text){ journal.p, journal.n };
    in.has_journal = true;
    for (in.window = 0; in.window <= 4096; in.window += 4096) {
        parse_all(&o, &in);
        ck_assert_uint_eq(o.rec.recipients.counted, MANY / 2);
        ck_assert_uint_eq(o.rec.done.counted, MANY / 2);
        ck_assert_str_eq(o.rec.recipients.items[0].address.p, "user1@Example.Net");
        ck_assert_str_eq(o.rec.done.items[1].address.p, "user2@Example.Net");
        ck_assert_uint_eq(o.p.live, 14);
        ck_assert_int_eq(o.rec.state, STATE_CORRUPT);   /* Exim would not read so many */
        ck_assert_uint_ge(o.rec.problems.n, 1);
        parsed_done(&o);
    }
    buf_done(&text);
    buf_done(&journal);
}
END_TEST

/* More delivered addresses than are kept: not knowing who is done must not look like knowing. */
START_TEST(too_many_done)
{
    struct buf text = { 0 };
    struct input in = { .id = "1xUroU-0003xZ-2Y" };
    struct parsed o;

    buf_add_str(&text, "1xUroU-0003xZ-2Y-H\nalice 1001 1001\n<alice@example.com>\n1795293358 0\n-deliver_firsttime\n");
    for (unsigned i = 0; i < 500000; i++)
        buf_printf(&text, "NY user%u@example.net\n", i);
    buf_add_str(&text, "NN z\n1\nlast@example.net\n\n009  Subject:\n");
    in.header = (struct text){ text.p, text.n };
    parse_all(&o, &in);
    ck_assert_str_eq(o.rec.recipients.items[0].address.p, "last@example.net");
    ck_assert_uint_eq(o.rec.broken, SEC_CONTROL);
    ck_assert_uint_eq(o.rec.problems.n, 1);
    parsed_done(&o);
    buf_done(&text);
}
END_TEST

/* --- message logs --- */

#define LOG_RECIPIENTS "2\nbob@example.net\n\"carol c\"@example.net\n"

static const struct {
    const char *name, *zone;
    struct text log;
    const char *expected;       /* of last_attempt, reason, reason_class, to */
} logs[] = {
    { "nothing", "UTC", TEXT("2026-11-21 20:35:58 Received from alice@example.com U=alice P=local S=321\n"),
      "to bob@example.net\nto \"carol c\"@example.net\n" },
    { "empty", "UTC", TEXT(""), "to bob@example.net\nto \"carol c\"@example.net\n" },
    { "one deferred, local time", "CET-1CEST,M3.5.0,M10.5.0/3",
      TEXT("2026-11-21 21:35:59 bob@example.net R=smart T=remote defer (111): Connection refused\n"),
      "last_attempt 1795293359\nreason Connection refused\nreason_class refused\n"
      "to bob@example.net (Connection refused)\nto \"carol c\"@example.net\n" },
    { "zone and milliseconds", "CET-1CEST,M3.5.0,M10.5.0/3",
      TEXT("2026-11-21 15:05:59.123 -0530 bob@example.net R=smart T=remote defer (111): Connection refused\n"),
      "last_attempt 1795293359\nreason Connection refused\nreason_class refused\n"
      "to bob@example.net (Connection refused)\nto \"carol c\"@example.net\n" },
    { "the newest counts, codes in the text", "UTC",
      TEXT("2026-11-21 20:35:58 bob@example.net R=smart T=remote defer (111): Connection refused\n"
           "2026-11-21 20:35:58 H=mx.example.net [192.0.2.7] Connection timed out\n"
           "2026-11-21 20:35:59 bob@example.net R=smart T=remote defer (-44) H=mx [192.0.2.7]: SMTP error: 450-4.2.1 busy\\n450 4.2.1 later\n"
           "2026-11-21 20:35:59 quoted <\"carol c\"@example.net> R=smart T=remote defer (-45): 421 closing\n"),
      "last_attempt 1795293359\nreason 421 closing\nreason_class other\n"
      "to bob@example.net 4.2.1 (H=mx [192.0.2.7]: SMTP error: 450-4.2.1 busy\\n450 4.2.1 later)\n"
      "to \"carol c\"@example.net (421 closing)\n" },
    { "not tried is not an attempt", "UTC",
      TEXT("2026-11-21 20:35:58 bob@example.net R=smart T=remote defer (111): Connection refused\n"
           "2026-11-21 20:36:58 bob@example.net R=smart T=remote defer (-54): retry time not reached for any host\n"
           "2026-11-21 20:36:58 carol c@example.net <\"carol c\"@example.net> R=smart T=remote defer (-53): retry time not reached\n"),
      "last_attempt 1795293358\nreason Connection refused\nreason_class refused\n"
      "to bob@example.net (Connection refused)\nto \"carol c\"@example.net (retry time not reached)\n" },
    { "a done one does not hide the waiting", "UTC",
      TEXT("2026-11-21 20:35:58 BOB@Example.net R=smart T=remote defer (111): Connection refused\n"
           "2026-11-21 20:35:59 other@example.net R=smart T=remote defer (110): Connection timed out\n"
           "2026-11-21 20:36:58 other@example.net: remote transport succeeded\n"),
      "last_attempt 1795293359\nreason Connection refused\nreason_class refused\n"
      "to bob@example.net (Connection refused)\nto \"carol c\"@example.net\n" },
    { "host only", "UTC",
      TEXT("2026-11-21 20:35:58 H=mx.example.net [192.0.2.7]:25: Connection refused\n*** Frozen (delivery error message)\n"),
      "reason Connection refused\nreason_class refused\nto bob@example.net\nto \"carol c\"@example.net\n" },
    { "forms without sense", "UTC",
      TEXT("2026-11-21 20:35:58 defer (1): x\n2026-11-21 20:35:58  defer (): x\n2026-11-21 20:35:58  defer (1\n2026-11-21 20:35:5\n"
           "x defer (1): y\n2026-11-21 20:35:58 H=\n2026-11-21 20:35:58 bob@example.net defer (5)\n\0\n2026-11-21 20:35:58 H=x]"),
      "last_attempt 1795293358\nto bob@example.net\nto \"carol c\"@example.net\n" },
    { "last line unfinished", "UTC",
      TEXT("2026-11-21 20:35:58 bob@example.net defer (5): half a l"),
      "last_attempt 1795293358\nreason half a l\nreason_class other\nto bob@example.net (half a l)\nto \"carol c\"@example.net\n" },
};

START_TEST(message_log)
{
    char expected[2000];
    struct input in = { .id = "1xUroU-0003xZ-2Y", .header = TEXT(local_header), .log = logs[_i].log };
    const char *to = strstr(logs[_i].expected, "to ");

    setenv("TZ", logs[_i].zone, 1);
    snprintf(expected, sizeof(expected),
             "state incoming\narrival_time 1795293358\narrival_usec 791739\nsender alice@example.com\nprotocol_name local\n"
             "local_user alice\nlocal_uid 1001\nattempts 0\n%.*s%sflag local\nlive 310 of 310\n",
             (int)(to - logs[_i].expected), logs[_i].expected, to);
    check_parse(in, expected);
}
END_TEST

/* Each of many recipients gets its newest reason, and equal reasons are stored once. */
START_TEST(log_of_many)
{
    enum { MANY = 2000 };
    struct buf text = { 0 }, log = { 0 };
    struct input in = { .id = "1xUroU-0003xZ-2Y" };
    char expected[100];
    struct parsed o;

    buf_add_str(&text, "1xUroU-0003xZ-2Y-H\nalice 1001 1001\n<alice@example.com>\n1795293358 0\nXX\n2000\n");
    for (unsigned i = 0; i < MANY; i++)
        buf_printf(&text, "user%u@example.net\n", i);
    buf_add_str(&text, "\n");
    for (unsigned round = 0; round < 3; round++)
        for (unsigned i = MANY; i-- > 0;)
            buf_printf(&log, "2026-11-21 20:0%u:00 user%u@example.net R=x T=y defer (%d): round %u of %u\n", round, i,
                       round == 2 && i % 2 ? -54 : 111, round, i / 100);
    in.header = (struct text){ text.p, text.n };
    in.log = (struct text){ log.p, log.n };
    for (in.window = 0; in.window <= 256; in.window += 64) {
        parse_all(&o, &in);
        for (unsigned i = 0; i < MANY; i++) {
            snprintf(expected, sizeof(expected), "round %u of %u", i % 2 ? 1 : 2, i / 100);
            ck_assert_str_eq(o.rec.recipients.items[i].delay_reason.p, expected);
        }
        ck_assert_ptr_eq(o.rec.recipients.items[0].delay_reason.p, o.rec.recipients.items[2].delay_reason.p);
        ck_assert_str_eq(o.rec.value[LQ_REASON].text.p, "round 2 of 0");
        parsed_done(&o);
    }
    buf_done(&text);
    buf_done(&log);
}
END_TEST

#define LOOP(tc, test, rows) tcase_add_loop_test(tc, test, 0, sizeof(rows) / sizeof(*(rows)))

int main(void)
{
    SRunner *runner;
    Suite *suite = suite_create("exim");
    TCase *files = tcase_create("files");
    int failed;

    LOOP(files, sample, samples);
    LOOP(files, changed, changes);
    LOOP(files, recipient_line, recipients);
    LOOP(files, orcpt, orcpts);
    LOOP(files, host, hosts);
    LOOP(files, done_or_not, done_rows);
    LOOP(files, message_log, logs);
    LOOP(files, long_line, long_lines);
    tcase_add_test(files, header_asked_alone);
    tcase_add_test(files, end_of_a_long_name);
    tcase_add_test(files, unreadable);
    tcase_add_test(files, cut_anywhere);
    tcase_add_test(files, acl_data_is_not_parsed);
    tcase_add_test(files, authentication_needs_host_auth);
    tcase_add_test(files, many_recipients);
    tcase_add_test(files, too_many_done);
    tcase_add_test(files, log_of_many);
    suite_add_tcase(suite, files);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
