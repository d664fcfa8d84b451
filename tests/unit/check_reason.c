/* Delay reasons: status codes and classes, on replies as servers word them. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "reason.h"

#define COUNT(a) (int)(sizeof(a) / sizeof((a)[0]))

static struct bytes text(const char *s)
{
    return bytes_from(s, strlen(s));
}

static const struct { const char *in, *code; } code_rows[] = {
    { "host mx[192.0.2.9] said: 450 4.2.1 try later (in reply to RCPT TO command)", "4.2.1" },
    { "4.7.1", "4.7.1" }, { "(4.7.1)", "4.7.1" }, { "[5.1.1]", "5.1.1" }, { "#5.5.0 smtp", "5.5.0" }, { "smtp;4.4.2", "4.4.2" },
    { "code=4.4.2,", "4.4.2" }, { "550-5.7.26 This mail", "5.7.26" }, { "said 4.2.2.", "4.2.2" }, { "451 4.7.500 Server busy", "4.7.500" },
    { "2.0.0 Ok", "2.0.0" }, { "4.1.1 and 5.2.2", "4.1.1" }, { "5.111.222", "5.111.222" },
    { "", "" }, { "4.7", "" }, { "4.7.", "" }, { "4..1", "" }, { "3.7.1", "" }, { "4.1234.1", "" }, { "4.1.1234", "" },
    { "14.2.1", "" }, { "1.4.2.1", "" }, { "4.2.1.9", "" }, { "connect to mx[5.9.1.2]:25: refused", "" }, { "host-4.2.1", "" },
    { "mx4.2.1", "" }, { "4.2.1.example.net", "" }, { "4.2.1-example", "" }, { "a@4.2.1", "" }, { "4.2.1@b", "" }, { "v4.2.1", "" },
    { "4.2.1/24", "" }, { "5.1", "" }, { "x 4.2.10", "4.2.10" }, { "192.0.2.1 4.4.1 x", "4.4.1" },
};

START_TEST(codes)
{
    struct bytes in = text(code_rows[_i].in), code = reason_dsn_code(in);

    ck_assert_msg(code.n == strlen(code_rows[_i].code) && memcmp(code.p, code_rows[_i].code, code.n) == 0, "'%s' gives '%.*s'",
                  code_rows[_i].in, (int)code.n, (const char *)code.p);
}
END_TEST

static const struct { enum reason_class class; const char *in; } class_rows[] = {
    { REASON_TIMEOUT, "connect to mx.example.net[192.0.2.9]:25: Connection timed out" },
    { REASON_TIMEOUT, "Connection timed out with mail.example.net." },
    { REASON_TIMEOUT, "H=mx.example.net [192.0.2.9]: Connection timed out" },
    { REASON_TIMEOUT, "SMTP timeout after initial connection: Connection timed out" },
    { REASON_TIMEOUT, "conversation with mx[192.0.2.9] timed out while receiving the initial server greeting" },
    { REASON_TIMEOUT, "delivery temporarily suspended: connect to mx[192.0.2.9]:25: Connection timed out" },
    { REASON_TIMEOUT, "retry timeout exceeded" },
    { REASON_TIMEOUT, "4.4.1 no reply" },
    { REASON_REFUSED, "connect to mx.example.net[192.0.2.9]:25: Connection refused" },
    { REASON_REFUSED, "Connection refused by mx2.example.org." },
    { REASON_REFUSED, "connect to mx[2001:db8::9]:25: Network is unreachable" },
    { REASON_REFUSED, "connect to mx[192.0.2.9]:25: No route to host" },
    { REASON_REFUSED, "lost connection with mx[192.0.2.9] while sending RCPT TO" },
    { REASON_REFUSED, "Remote host closed connection in response to initial connection" },
    { REASON_REFUSED, "Deferred: Connection reset by mx.example.net." },
    { REASON_DNS, "Host or domain name not found. Name service error for name=example.invalid type=MX: Host not found, try again" },
    { REASON_DNS, "Name server: mx.example.net.: host name lookup failure" },
    { REASON_DNS, "host lookup did not complete" },
    { REASON_DNS, "all relevant MX records point to non-existent hosts" },
    { REASON_DNS, "450 4.1.8 <a@example.invalid>: Sender address rejected: Domain not found" },
    { REASON_DNS, "450 4.7.25 Client host rejected: cannot find your hostname, [192.0.2.1]" },
    { REASON_DNS, "mail for example.net loops back to myself" },
    { REASON_GREYLIST, "450 4.2.0 <r@example.net>: Recipient address rejected: Greylisted, see http://postgrey.example/" },
    { REASON_GREYLIST, "451 4.7.1 Greylisting in action, please come back in 00:05:00" },
    { REASON_GREYLIST, "451 Temporary local problem - grey listed, please try again later" },
    { REASON_BLOCKLIST, "554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.org" },
    { REASON_BLOCKLIST, "421 4.7.1 Your IP is listed on our RBL" },
    { REASON_BLOCKLIST, "550 5.7.606 Access denied, banned sending IP [192.0.2.1]" },
    { REASON_BLOCKLIST, "550 JunkMail rejected - mx [192.0.2.1]:25 is in an RBL, see x" },
    { REASON_BLOCKLIST, "553 192.0.2.1 is blacklisted" },
    { REASON_BLOCKLIST, "550 Blocked" },
    { REASON_RATELIMIT, "421 4.7.0 mx Error: too many connections from 192.0.2.1" },
    { REASON_RATELIMIT, "452 4.5.3 Error: too many recipients" },
    { REASON_RATELIMIT, "421-4.7.28 Gmail has detected an unusual rate of unsolicited mail originating from your IP address" },
    { REASON_RATELIMIT, "421 4.7.0 [TSS04] Messages from 192.0.2.1 temporarily deferred due to unexpected volume or user complaints" },
    { REASON_RATELIMIT, "451 4.7.500 Server busy. Please try again later" },
    { REASON_RATELIMIT, "450 4.7.1 Error: sending quota exceeded" },
    { REASON_RATELIMIT, "450 4.7.1 rate limited, blocked for a while" },
    { REASON_FULL, "452 4.2.2 The email account that you tried to reach is over quota" },
    { REASON_FULL, "552 5.2.2 Mailbox full" },
    { REASON_FULL, "452 4.3.1 Insufficient system storage" },
    { REASON_FULL, "write error: No space left on device" },
    { REASON_FULL, "450 4.2.2 try later" },
    { REASON_AUTH, "SASL authentication failed; server mx[192.0.2.9] said: 535 5.7.8 Error" },
    { REASON_AUTH, "530 5.7.0 Authentication required" },
    { REASON_AUTH, "550 5.7.23 The message was rejected because of SPF: fail" },
    { REASON_AUTH, "550-5.7.26 Unauthenticated email is not accepted due to domain's DMARC policy" },
    { REASON_AUTH, "550 5.7.8 no" },
    { REASON_POLICY, "554 5.7.1 <r@example.net>: Relay access denied" },
    { REASON_POLICY, "550 5.7.1 Message rejected as spam by content filter" },
    { REASON_POLICY, "451 4.7.1 Please try again later" },
    { REASON_POLICY, "TLS is required, but was not offered by host mx[192.0.2.9]" },
    { REASON_OTHER, "retry time not reached for any host for 'example.net'" },
    { REASON_OTHER, "451 4.3.0 Temporary lookup" },
    { REASON_OTHER, "too many hops, this message is looping" },
    { REASON_OTHER, "mail transport unavailable" },
    { REASON_OTHER, "" },
    { REASON_OTHER, "250 2.7.1 Ok" },
    /* words of an address are not the server's */
    { REASON_OTHER, "450 <timeout@example.net>: try later" },
    { REASON_OTHER, "450 <bob@greylist.example>: try later" },
    { REASON_TIMEOUT, "450 <quota@example.net>: timed out" },
    { REASON_OTHER, "@@@ quotaless@" },
};

START_TEST(classes)
{
    enum reason_class got = reason_classify(text(class_rows[_i].in));

    ck_assert_msg(got == class_rows[_i].class, "'%s' is %s, not %s", class_rows[_i].in, reason_class_names[got],
                  reason_class_names[class_rows[_i].class]);
}
END_TEST

START_TEST(every_class_has_a_name)
{
    ck_assert_ptr_nonnull(reason_class_names[_i]);
    ck_assert_uint_gt(strlen(reason_class_names[_i]), 0);
}
END_TEST

START_TEST(long_reasons_are_bounded)
{
    static char in[1 << 20];

    memset(in, 'x', sizeof(in));
    memcpy(in + sizeof(in) - 20, "Connection timed out", 20);
    ck_assert_int_eq(reason_classify(bytes_from(in, sizeof(in))), REASON_OTHER);
    memcpy(in + 900, "Connection timed out", 20);
    ck_assert_int_eq(reason_classify(bytes_from(in, sizeof(in))), REASON_TIMEOUT);
    memset(in, '@', sizeof(in));
    ck_assert_int_eq(reason_classify(bytes_from(in, sizeof(in))), REASON_OTHER);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("reason");
    TCase *t = tcase_create("reason");
    SRunner *sr;
    int failed;

    tcase_add_loop_test(t, codes, 0, COUNT(code_rows));
    tcase_add_loop_test(t, classes, 0, COUNT(class_rows));
    tcase_add_loop_test(t, every_class_has_a_name, 0, REASON_COUNT);
    tcase_add_test(t, long_reasons_are_bounded);
    suite_add_tcase(s, t);
    sr = srunner_create(s);
    srunner_run_all(sr, CK_NORMAL);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed ? 1 : 0;
}
