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

/* Replies as the servers of large receivers word them, each from the document that its rule names; addresses are ours. */
static const struct { enum reason_class class; const char *in; } reply_rows[] = {
    /* Gmail */
    { REASON_RATELIMIT, "421 4.7.0 Our system has detected an unusual rate of unsolicited mail originating from your IP address. - gsmtp" },
    { REASON_RATELIMIT, "421-4.7.28 Gmail has detected an unusual rate of mail originating from your SPF domain [example.com]" },
    { REASON_RATELIMIT, "450 4.2.1 The user you are trying to contact is receiving mail too quickly. - gsmtp" },
    { REASON_RATELIMIT, "450 4.2.1 The user you are trying to contact is receiving mail at a rate that prevents additional messages from being delivered" },
    { REASON_RATELIMIT, "450 4.2.1 Peak SMTP relay limit exceeded for customer" },
    { REASON_RATELIMIT, "550 5.4.5 Daily SMTP relay sending limit exceeded for user" },
    { REASON_RATELIMIT, "421 4.4.5 Server busy, try again later." },
    { REASON_RATELIMIT, "452 4.5.3 Your message has too many recipients." },
    { REASON_AUTH, "421 4.7.27 Your email has been rate limited because SPF authentication didn't pass for this message" },
    { REASON_AUTH, "421-4.7.30 Your email has been rate limited because DKIM authentication didn't pass for this message" },
    { REASON_AUTH, "421 4.7.32 Your email has been rate limited because the From: header (RFC5322) in this message isn't aligned with either" },
    { REASON_POLICY, "421 4.7.29 Your email has been rate limited because you're not using a TLS connection." },
    { REASON_POLICY, "550 5.7.29 This message was blocked because it wasn\xe2\x80\x99t sent over a TLS connection." },
    { REASON_AUTH, "421 4.7.31 Your email has been rate limited because the sending domain doesn't have a DMARC record, or the DMARC record doesn't" },
    { REASON_AUTH, "421 4.7.26 This email has been rate limited because it is unauthenticated." },
    { REASON_AUTH, "550 5.7.27 This message was blocked because it didn't pass SPF authentication." },
    { REASON_DNS, "421 4.7.23 The sending IP address for this message doesn\xe2\x80\x99t have a PTR record. Your email has been temporarily rate limited." },
    { REASON_DNS, "550 5.7.25 This message was blocked because the sending IP address doesn't have a PTR record" },
    { REASON_AUTH, "host mx[192.0.2.9] said: 421-4.7.27 Your email has been rate limited 421-4.7.27 because SPF 421 4.7.27 authentication didn't pass" },
    { REASON_RATELIMIT, "550-5.7.1 [192.0.2.1] Our system has detected an unusual 550-5.7.1 rate of unsolicited mail" },
    { REASON_OTHER, "421 4.7.0 Temporary System Problem. Try again later." },
    { REASON_AUTH, "550-5.7.26 Your email has been blocked because the sender is unauthenticated. Gmail requires all senders to authenticate" },
    { REASON_AUTH, "454 4.7.0 Cannot authenticate due to a temporary system problem" },
    { REASON_POLICY, "421 4.7.0 IP not in whitelist for RCPT domain, closing connection." },
    { REASON_POLICY, "421 4.7.0 TLS required for RCPT domain, closing connection." },
    { REASON_POLICY, "550 5.7.1 Our system has detected that this message is likely unsolicited mail" },
    { REASON_FULL, "452 4.2.2 The email account that you tried to reach is over quota" },
    { REASON_FULL, "452-4.2.2 The recipient's inbox is out of storage space" },
    { REASON_TIMEOUT, "451 4.4.2 Timeout - closing connection." },
    { REASON_OTHER, "421 4.3.0 Temporary System Problem. Try again later" },
    { REASON_OTHER, "451 4.3.0 Multiple destination domains per transaction is unsupported. Please try again." },
    { REASON_OTHER, "452 4.5.3 Domain policy size per transaction exceeded, please try this recipient in a separate transaction." },
    { REASON_OTHER, "550 5.1.1 The email account that you tried to reach does not exist" },
    /* Microsoft: Exchange Online, Outlook.com */
    { REASON_RATELIMIT, "451 4.7.500 Server busy. Please try again later from [192.0.2.1]. (S77719) [AM6EUR05.example]" },
    { REASON_RATELIMIT, "421 4.3.2 The maximum number of concurrent connections per resource forest has exceeded a limit, closing transmission channel" },
    { REASON_RATELIMIT, "432 4.3.2 STOREDRV.Deliver; recipient thread limit exceeded" },
    { REASON_RATELIMIT, "451 4.7.650 The mail server [192.0.2.1] has been temporarily rate limited due to IP reputation. (S775)" },
    { REASON_RATELIMIT, "421 RP-001 (COL004-MC1F1) The mail server IP connecting has exceeded the rate limit allowed." },
    { REASON_RATELIMIT, "421 RP-003 The mail server IP connecting to Outlook.com server has exceeded the connection limit allowed." },
    { REASON_BLOCKLIST, "550 5.7.606 Access denied, banned sending IP [192.0.2.1]. To request removal from this list please visit" },
    { REASON_BLOCKLIST, "550 5.7.511 Access denied, banned sender[192.0.2.1]" },
    { REASON_BLOCKLIST, "550 5.7.1 Unfortunately, messages from [192.0.2.1] weren't sent. Part of their network is on our block list (S3150)." },
    { REASON_BLOCKLIST, "550 5.7.1 Service unavailable, Client host [192.0.2.1] blocked using Spamhaus." },
    { REASON_BLOCKLIST, "550 5.7.1 Service unavailable, Helo domain is listed in Spamhaus." },
    { REASON_POLICY, "550 SC-001 (BAY004-MC1F1) Unfortunately, messages weren't sent for policy reasons." },
    { REASON_AUTH, "530 5.7.57 Client not authenticated to send mail" },
    { REASON_AUTH, "550 5.7.515 Access denied, sending domain example.com doesn't meet the required authentication level: spf fail, DMARC fail" },
    { REASON_AUTH, "535 5.7.3 Authentication unsuccessful" },
    { REASON_REFUSED, "450 4.4.316 Connection refused [Message=Socket error code 10061]" },
    { REASON_DNS, "450 4.4.312 DNS query failed" },
    { REASON_FULL, "452 4.3.1 Insufficient system resources" },
    { REASON_FULL, "552 5.2.2 The recipient's mailbox is full and can't accept messages now" },
    { REASON_OTHER, "550 5.4.1 Recipient address rejected: Access denied. [AM0EUR02.example]" },
    { REASON_OTHER, "451 4.7.0 Temporary server error. Please try again later. PRX4" },
    /* Yahoo, AOL */
    { REASON_RATELIMIT, "421 4.7.0 [TSS04] Messages from 192.0.2.1 temporarily deferred due to unexpected volume or user complaints - 4.16.55.1" },
    { REASON_RATELIMIT, "421 4.7.0 [TS01] Messages from 192.0.2.1 temporarily deferred due to user complaints - 4.16.55.1" },
    { REASON_RATELIMIT, "421 4.7.0 [TS02] Temporarily deferred" },
    { REASON_BLOCKLIST, "421 4.7.1 [TS03] All messages from 192.0.2.1 will be permanently deferred; Retrying will NOT succeed." },
    { REASON_BLOCKLIST, "553 5.7.1 [BL21] Connections will not be accepted from 192.0.2.1" },
    { REASON_BLOCKLIST, "553 5.7.1 [BL23] Connections not accepted from servers on the Spamhaus XBL" },
    { REASON_POLICY, "554 5.7.9 Message not accepted for policy reasons." },
    { REASON_FULL, "552 5.2.2 Mailbox over quota" },
    /* Apple */
    { REASON_RATELIMIT, "421 4.7.1 Messages to r@icloud.example deferred due to excessive volume. Try again later" },
    { REASON_POLICY, "550 5.7.1 [CS01] Message rejected due to local policy." },
    { REASON_AUTH, "550 5.7.1 Your message was rejected due to example.com DMARC policy." },
    { REASON_BLOCKLIST, "550 5.7.1 Your email was rejected due to having a domain present in the Spamhaus DBL" },
    { REASON_POLICY, "421 4.7.0 me.com Error: too many errors" },
    { REASON_OTHER, "550 5.1.1 <r@icloud.example>: user does not exist" },
    /* GMX, web.de */
    { REASON_BLOCKLIST, "554-gmx.net (mxgmx104) Nemesis ESMTP Service not available 554-No SMTP service 554-IP address is block listed." },
    { REASON_RATELIMIT, "421 gmx.net (mxgmx104) Nemesis ESMTP Service not available: Rate limit reached. Please try again later" },
    { REASON_POLICY, "450 Reject due to policy violations." },
    { REASON_AUTH, "550 <r@web.example>: Reject due to SPF policy. The originating IP of the message is not permitted by the domain owner" },
    { REASON_DNS, "554-web.de (mxweb011) Nemesis ESMTP Service not available 554-Bad DNS PTR resource record." },
    { REASON_DNS, "550-Requested action not taken: invalid DNS MX or A/AAAA resource record" },
    { REASON_OTHER, "451 Requested action aborted: local error in processing" },
    { REASON_OTHER, "550 <r@gmx.example>: Requested action not taken: mailbox unavailable" },
    /* Mimecast, Proofpoint, Cisco, Barracuda, Rackspace */
    { REASON_GREYLIST, "451 Internal resource temporarily unavailable - https://community.example/docs" },
    { REASON_POLICY, "421 Sender address blocked" },
    { REASON_POLICY, "550 Envelope blocked - User Entry" },
    { REASON_BLOCKLIST, "550 Local CT IP Reputation - (reject)" },
    { REASON_BLOCKLIST, "451 IP temporarily blacklisted" },
    { REASON_POLICY, "550 Rejected by header based Anti-Spoofing policy" },
    { REASON_POLICY, "550 Administrative prohibition - envelope blocked" },
    { REASON_OTHER, "421 Unable to process connection at this time" },
    { REASON_BLOCKLIST, "550 5.7.1 Blocked - see https://ipcheck.proofpoint.com/?ip=192.0.2.1" },
    { REASON_BLOCKLIST, "554 5.7.1 Rejected - see https://support.proofpoint.com/dnsbl-lookup.cgi?ip=192.0.2.1" },
    { REASON_BLOCKLIST, "554 Your access to this mail system has been rejected due to the sending MTA's poor reputation." },
    { REASON_RATELIMIT, "452 Too many recipients received this hour" },
    { REASON_RATELIMIT, "421 #4.4.5 Too many connections from your host." },
    { REASON_TIMEOUT, "421 Exceeded allowable connection time, disconnecting." },
    { REASON_POLICY, "421 Exceeded bad SMTP command limit, disconnecting." },
    { REASON_BLOCKLIST, "554 Service unavailable; Client host [mx.example] blocked using Barracuda Reputation" },
    { REASON_BLOCKLIST, "554 5.7.1 Client host blocked, see http://www.barracudacentral.org/lookups?192.0.2.1" },
    { REASON_POLICY, "550 permanent failure for one or more recipients (r@example.net:blocked)" },
    { REASON_DNS, "450 4.7.1 Client host 192.0.2.1 has no PTR record (G1F)" },
    { REASON_RATELIMIT, "450 4.2.1 <r@example.net>: Mailbox received too much email in a short period of time (G30)" },
    { REASON_RATELIMIT, "451 4.7.1 Received too many messages from a new or untrusted IP (G28)" },
    { REASON_OTHER, "450 4.4.6 Routing loop detected (G16)" },
    /* Postfix's own, postscreen's */
    { REASON_GREYLIST, "host mx[192.0.2.9] said: 450 4.3.2 Service currently unavailable (in reply to RCPT TO command)" },
    { REASON_RATELIMIT, "host mx[192.0.2.9] refused to talk to me: 421 4.3.2 All server ports are busy" },
    { REASON_REFUSED, "host mx[192.0.2.9] refused to talk to me: 421 4.3.0 bye" },
    { REASON_DNS, "unable to look up host mx.example: Temporary failure in name resolution" },
    { REASON_DNS, "TLSA lookup error for mx.example:25" },
    { REASON_POLICY, "host mx[192.0.2.9] said: 530 5.7.0 Must issue a STARTTLS command first (in reply to MAIL FROM command)" },
    { REASON_POLICY, "Server certificate not trusted" },
    { REASON_POLICY, "454 4.7.1 <r@example.net>: Relay access denied" },
    { REASON_FULL, "maildir delivery failed: create maildir file: Disk quota exceeded" },
    { REASON_TIMEOUT, "delivery temporarily suspended: conversation with mx[192.0.2.9] timed out while receiving the initial server greeting" },
    { REASON_OTHER, "temporary failure. Command output: cannot open lock" },
    { REASON_OTHER, "450 4.1.1 <r@example.net>: Recipient address rejected: User unknown in virtual mailbox table" },
    /* Exim's and Sendmail's own */
    { REASON_DNS, "lookup of host \"mx.example\" failed in all router" },
    { REASON_DNS, "lowest numbered MX record points to local host" },
    { REASON_RATELIMIT, "concurrency limit reached for transport" },
    { REASON_POLICY, "a TLS session is required, but an attempt to start TLS failed" },
    { REASON_AUTH, "H=mx.example [192.0.2.9]: failed to authenticate: 535 incorrect" },
    { REASON_REFUSED, "H=mx.example [192.0.2.9]: Remote host closed connection in response to end of data" },
    { REASON_FULL, "mailbox is full (MTA-imposed quota exceeded while writing to file)" },
    { REASON_OTHER, "Unrouteable address" },
    { REASON_TIMEOUT, "Deferred: Connection timed out with mx.example.net." },
    { REASON_REFUSED, "Deferred: No route to host" },
    { REASON_DNS, "Deferred: Name server: mx.example.net.: host name lookup failure" },
    { REASON_FULL, "452 4.4.5 Insufficient disk space; try again later" },
    { REASON_RATELIMIT, "421 4.3.2 Connection rate limit exceeded." },
    { REASON_OTHER, "Deferred: 451 4.3.0 collect: unexpected close" },
    /* Greylisting */
    { REASON_GREYLIST, "450 4.7.1 Greylisted for 5 minutes (1)" },
    { REASON_GREYLIST, "451 4.7.1 Greylisting in action, please come back later" },
    { REASON_GREYLIST, "450 4.2.0 <r@example.net>: Recipient address rejected: Greylisted, see http://postgrey.example/help/x.html" },
    /* Only a code */
    { REASON_FULL, "452 4.3.1 no" }, { REASON_DNS, "451 4.4.3 no" }, { REASON_RATELIMIT, "451 4.4.5 no" }, { REASON_REFUSED, "421 4.4.2 no" },
    { REASON_AUTH, "450 4.7.24 no" }, { REASON_POLICY, "450 4.7.0 no" }, { REASON_OTHER, "450 4.1.1 no" }, { REASON_OTHER, "450 4.2.1 no" },
    { REASON_OTHER, "450 no" }, { REASON_OTHER, "451 4.5.1 no" },
};

START_TEST(replies)
{
    const struct reason_rule *rule = reason_rule_of(text(reply_rows[_i].in));
    enum reason_class got = reason_classify(text(reply_rows[_i].in));

    ck_assert_msg(got == reply_rows[_i].class, "'%s' is %s, not %s, because of '%s' (%s)", reply_rows[_i].in, reason_class_names[got],
                  reason_class_names[reply_rows[_i].class], rule ? rule->words : "its code", rule ? reason_source(rule) : "RFC 3463");
}
END_TEST

/* A row behind a more general one would never decide. */
START_TEST(every_rule_is_reached)
{
    const struct reason_rule *rule, *first;

    for (size_t i = 0; (rule = reason_rule_at(i)); i++) {
        first = reason_rule_of(text(rule->words));
        ck_assert_msg(first == rule || (first && first->class == rule->class), "'%s' comes too late: '%s'", rule->words, first->words);
        ck_assert_uint_gt(strlen(reason_source(rule)), 0);
    }
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
    tcase_add_loop_test(t, replies, 0, COUNT(reply_rows));
    tcase_add_test(t, every_rule_is_reached);
    tcase_add_loop_test(t, every_class_has_a_name, 0, REASON_COUNT);
    tcase_add_test(t, long_reasons_are_bounded);
    suite_add_tcase(s, t);
    sr = srunner_create(s);
    srunner_run_all(sr, CK_NORMAL);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed ? 1 : 0;
}
