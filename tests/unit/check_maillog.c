/* Lines of mail logs: forms, places of ids, times; and which lines belong to a message. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "maillog_find.h"

#define COUNT(a) (int)(sizeof(a) / sizeof((a)[0]))

static struct bytes text(const char *s)
{
    return bytes_from(s, strlen(s));
}

static bool is(struct bytes b, const char *s)
{
    return b.n == strlen(s) && memcmp(b.p, s, b.n) == 0;
}

/* --- one line --- */

static const struct { const char *line, *tag, *pid, *id; enum maillog_form form; enum maillog_event event; } line_rows[] = {
    { "Nov 22 03:58:16 mx postfix/smtpd[204]: 65CB9128A6A: client=unknown[127.0.0.1]", "postfix/smtpd", "204", "65CB9128A6A", MAILLOG_POSTFIX, MAILLOG_ARRIVAL },
    { "Nov  2 03:58:16 mx postfix-out/submission/smtpd[204]: 4jX48y4ynDz1blN8: client=a[::1]", "postfix-out/submission/smtpd", "204", "4jX48y4ynDz1blN8", MAILLOG_POSTFIX, MAILLOG_ARRIVAL },
    { "2026-11-22T03:58:16.123456+01:00 mx postfix/smtpd[204]: connect from unknown[127.0.0.1]", "postfix/smtpd", "204", "", MAILLOG_POSTFIX, MAILLOG_CONNECT },
    { "2026-11-22T03:58:16+0100 mx postfix/smtpd[204]: disconnect from unknown[127.0.0.1] commands=0/0", "postfix/smtpd", "204", "", MAILLOG_POSTFIX, MAILLOG_DISCONNECT },
    { "2026-11-22T03:58:16Z mx postfix/qmgr[2]: 65CB9128A6A: removed", "postfix/qmgr", "2", "65CB9128A6A", MAILLOG_POSTFIX, MAILLOG_REMOVED },
    { "Nov 22 03:58:16.123456 mx postfix/pickup[2]: 65CB9128A6A: uid=0 from=<root>", "postfix/pickup", "2", "65CB9128A6A", MAILLOG_POSTFIX, MAILLOG_BIRTH },
    { "Nov 22 03:58:16 mx postfix/cleanup[2]: 65CB9128A6A: message-id=<x>", "postfix/cleanup", "2", "65CB9128A6A", MAILLOG_POSTFIX, MAILLOG_BIRTH },
    { "Nov 22 03:58:16 mx postfix/smtpd[2]: warning: unknown[192.0.2.1]: SASL LOGIN authentication failed: x", "postfix/smtpd", "2", "warning", MAILLOG_POSTFIX, MAILLOG_OTHER },
    { "Nov 22 03:58:16 mx postfix/smtpd[2]: NOQUEUE: reject: RCPT from x", "postfix/smtpd", "2", "NOQUEUE", MAILLOG_POSTFIX, MAILLOG_OTHER },
    { "Nov 22 03:58:16 mx opendkim[9]: 65CB9128A6A: DKIM-Signature field added", "opendkim", "9", "65CB9128A6A", MAILLOG_SYSLOG, MAILLOG_OTHER },
    { "<22>Nov 22 05:39:12 sendmail[115]: 6AM5dC0k000115: from=<a@b>, size=194, relay=[127.0.0.2]", "sendmail", "115", "6AM5dC0k000115", MAILLOG_SYSLOG, MAILLOG_ARRIVAL },
    { "Nov 22 05:39:12 mx sm-mta[115]: NOQUEUE: connect from a [127.0.0.2]", "sm-mta", "115", "NOQUEUE", MAILLOG_SYSLOG, MAILLOG_CONNECT },
    { "Nov 22 05:39:12 mx sm-mta[115]: AUTH=server, relay=a [127.0.0.2], authid=lab1, mech=PLAIN, bits=0", "sm-mta", "115", "", MAILLOG_SYSLOG, MAILLOG_LOGIN },
    { "Nov 22 05:39:12 mx sm-mta[115]: STARTTLS=server, init=1", "sm-mta", "115", "", MAILLOG_SYSLOG, MAILLOG_OTHER },
    { "2026-11-22 05:38:51 1xV0Hr-00001p-20 <= a@b H=(c) [127.0.0.9] P=esmtp S=4", "", "", "1xV0Hr-00001p-20", MAILLOG_EXIM, MAILLOG_ARRIVAL },
    { "2026-11-22 05:38:51.123 +0100 [113] 1xV0H4-00000000025-3cqW == a@b R=x T=y defer (-44): z", "", "113", "1xV0H4-00000000025-3cqW", MAILLOG_EXIM, MAILLOG_OTHER },
    { "2026-11-22 05:38:51 [57] SMTP connection from [127.0.0.1]:46646 Ci=57 (TCP/IP connection count = 1)", "", "57", "", MAILLOG_EXIM, MAILLOG_CONNECT },
    { "2026-11-22 05:38:51 [57] SMTP connection Ci=59 from (c0.lab.example) [127.0.0.2]:48915 D=0s closed by QUIT", "", "57", "", MAILLOG_EXIM, MAILLOG_DISCONNECT },
    { "2026-11-22 05:38:51 1xV0Hr-00001p-20 Completed", "", "", "1xV0Hr-00001p-20", MAILLOG_EXIM, MAILLOG_OTHER },
    { "2026-11-22 05:38:51 1xV0Hr-00001p-20x <= a", "", "", "", MAILLOG_EXIM, MAILLOG_OTHER },
    { "2026-11-22 05:38:51 Start queue run: pid=53", "", "", "", MAILLOG_EXIM, MAILLOG_OTHER },
    { "Nov 22 05:38:51 mx exim[12]: 2026-11-22 05:38:51 1xV0Hr-00001p-20 <= a@b P=local S=4", "exim", "12", "1xV0Hr-00001p-20", MAILLOG_EXIM, MAILLOG_ARRIVAL },
    { "Nov 22 05:38:51 mx exim[12]: 1xV0Hr-00001p-20 <= a@b P=local S=4", "exim", "12", "1xV0Hr-00001p-20", MAILLOG_EXIM, MAILLOG_ARRIVAL },
    { "Nov 22 05:38:51 mx exim[12]: [1/2] 2026-11-22 05:38:51 1xV0Hr-00001p-20 ** a", "exim", "12", "1xV0Hr-00001p-20", MAILLOG_EXIM, MAILLOG_OTHER },
    { "Nov 22 05:38:51 mx exim[12]: [2\\2] the rest", "exim", "12", "", MAILLOG_EXIM, MAILLOG_OTHER },
    { "2026-11-22 05:39:12 mx sm-mta[115]: 6AM5dC0k000115: to=<a@b>, stat=queued", "sm-mta", "115", "6AM5dC0k000115", MAILLOG_SYSLOG, MAILLOG_OTHER },
    { "Nov 22 05:39:12 2001:db8::7 sm-mta[115]: 6AM5dC0k000115: to=<a@b>, stat=queued\r", "sm-mta", "115", "6AM5dC0k000115", MAILLOG_SYSLOG, MAILLOG_OTHER },
    { "Nov 22 05:39:12 mx kernel: 65CB9128A6A: odd", "kernel", "", "65CB9128A6A", MAILLOG_SYSLOG, MAILLOG_OTHER },
};

START_TEST(lines)
{
    struct maillog_line l;

    ck_assert_msg(maillog_parse(text(line_rows[_i].line), &l), "%s", line_rows[_i].line);
    ck_assert_msg(is(l.tag, line_rows[_i].tag), "tag %.*s", (int)l.tag.n, l.tag.p);
    ck_assert_msg(is(l.pid, line_rows[_i].pid), "pid %.*s", (int)l.pid.n, l.pid.p);
    ck_assert_msg(is(l.id, line_rows[_i].id), "id %.*s", (int)l.id.n, l.id.p);
    ck_assert_int_eq(l.form, line_rows[_i].form);
    ck_assert_int_eq(maillog_event(&l), line_rows[_i].event);
}
END_TEST

static const char *const foreign_rows[] = {
    "", "x", "Nov 22", "Nov 22 03:58:16", "Nov 22 03:58:16 ", "Nov 22 03:58:16 mx", "Nov 22 03:58:16 mx postfix/smtpd", "-- Journal begins at Sun 2026-11-22 --",
    "Nov 22 03:58:16 mx postfix/smtpd[204: x: y", "Nov 22 03:58:16 mx postfix/smtpd[20x]: 65CB9128A6A: y", "2026-11-22T03:58:16", "<22>", "<>", "<2222>Nov 22 03:58:16 a b: c",
    " 65CB9128A6A: removed", "65CB9128A6A: removed",
};

START_TEST(no_lines)
{
    struct maillog_line l;

    ck_assert_msg(!maillog_parse(text(foreign_rows[_i]), &l), "%s", foreign_rows[_i]);
}
END_TEST

/* An id is the whole word in its place. */
static const char *const elsewhere_rows[] = {
    "Nov 22 03:58:16 mx postfix/smtp[2]: 65CB9128A6A0: to=<a@b>, status=sent (250 queued as ABCDEF01)",
    "Nov 22 03:58:16 mx postfix/smtp[2]: 165CB9128A6A: to=<ABCDEF01@b>",
    "Nov 22 03:58:16 mx postfix/smtp[2]: x ABCDEF01: removed",
    "Nov 22 03:58:16 mx postfix/smtp[2]: ABCDEF01:removed",
    "Nov 22 03:58:16 mx postfix/smtp[2]: ABCDEF01 removed",
    "Nov 22 03:58:16 mx postfix/smtp[2]: -ABCDEF01: removed",
    "Nov 22 03:58:16 mx postfix/smtpd[2]: warning: header Subject: ABCDEF01: removed",
    "Nov 22 03:58:16 mx postfix/cleanup[2]: 65CB9128A6A: message-id=<x> ABCDEF01: removed",
    "Nov 22 03:58:16 ABCDEF01: postfix/qmgr[2]: x",
    "2026-11-22 05:38:51 x 1xV0Hr-00001p-20 <= a",
    "2026-11-22 05:38:51 1xV0Hr-00001p-201 <= a",
    "2026-11-22 05:38:51 1xV0Hs-00001r-0L <= <> R=1xV0Hr-00001p-201 U=x",
    "2026-11-22 05:38:51 1xV0Hs-00001r-0L <= a R=1xV0Hr-00001p-20 U=x",
    "Nov 22 05:39:12 mx sm-mta[115]: 6AM5dC0k0001157: to=<a@b>",
    "Nov 22 05:39:12 mx sm-mta[115]: 6AM5dXXX000115: 6AM5dC0k0001157: DSN: x",
    "Nov 22 05:39:12 mx postfix/bounce[115]: 65CB9128A6A: sender non-delivery notification: ABCDEF012",
};

static struct lq_log *asked_for(const char *mta, const char *id, const int64_t *arrival)
{
    struct lq_error err;
    struct lq_log *log;

    ck_assert_int_eq(lq_log_new(&log, &err), LQ_OK);
    ck_assert(maillog_sessions(log, MAILLOG_SESSIONS));
    ck_assert_int_eq(lq_log_add_file(log, "test", &err), LQ_OK);
    ck_assert_int_eq(lq_log_want(log, mta, (struct lq_str){ id, strlen(id) }, arrival, &err), LQ_OK);
    return log;
}

START_TEST(not_in_its_place)
{
    static const char *const ids[][2] = { { "postfix", "ABCDEF01" }, { "exim", "1xV0Hr-00001p-20" }, { "sendmail", "6AM5dC0k000115" } };
    struct lq_error err;
    size_t n;

    for (int i = 0; i < COUNT(ids); i++) {
        struct lq_log *log = asked_for(ids[i][0], ids[i][1], NULL);

        maillog_take(log, text(elsewhere_rows[_i]), 1, false);
        ck_assert_int_eq(lq_log_all(log, &n, &err), LQ_OK);
        ck_assert_uint_eq(n, 0);
        lq_log_free(log);
    }
}
END_TEST

/* --- time --- */

static const struct { const char *stamp, *latest, *is; } time_rows[] = {
    { "2026-11-22T03:58:16+01:00", "", "2026-11-22T02:58:16" }, { "2026-11-22T03:58:16.123456-0530", "", "2026-11-22T09:28:16" },
    { "2026-11-22T03:58:16Z", "", "2026-11-22T03:58:16" }, { "2026-11-22T03:58:16", "", "2026-11-22T03:58:16" },
    { "2026-11-22 03:58:16", "", "2026-11-22T03:58:16" }, { "2026-11-22 03:58:16.123 +0200", "", "2026-11-22T01:58:16" },
    { "Nov 22 03:58:16", "2026-11-22T10:00:00", "2026-11-22T03:58:16" }, { "Nov  2 03:58:16", "2026-11-22T10:00:00", "2026-11-02T03:58:16" },
    { "Dec 31 23:59:59", "2027-01-01T00:00:01", "2026-12-31T23:59:59" }, { "Jan  1 00:00:05", "2026-12-31T23:59:59", "2027-01-01T00:00:05" },
    { "Jan  1 00:00:05", "2027-03-01T00:00:00", "2027-01-01T00:00:05" }, { "Nov 24 00:00:00", "2026-11-22T10:00:00", "2025-11-24T00:00:00" },
    { "Feb 29 12:00:00", "2026-11-22T10:00:00", "2024-02-29T12:00:00" }, { "Nov 22 03:58:16.5", "2026-11-22T10:00:00", "2026-11-22T03:58:16" },
    { "Nov 22 03:58:1x", "2026-11-22T10:00:00", NULL }, { "Nox 22 03:58:16", "2026-11-22T10:00:00", NULL }, { "", "", NULL },
    { "2026-13-22T03:58:16Z", "", NULL }, { "2026-11-22", "", NULL }, { "Nov 00 03:58:16", "2026-11-22T10:00:00", NULL },
};

static int64_t utc(const char *s)
{
    struct tm tm = { 0 };

    strptime(s, "%Y-%m-%dT%H:%M:%S", &tm);
    return (int64_t)timegm(&tm);
}

START_TEST(times)
{
    int64_t t = 0;
    bool known;

    setenv("TZ", "UTC", 1);
    tzset();
    known = maillog_time(text(time_rows[_i].stamp), utc(time_rows[_i].latest), &t);
    ck_assert_msg(known == (time_rows[_i].is != NULL), "%s", time_rows[_i].stamp);
    if (known)
        ck_assert_msg(t == utc(time_rows[_i].is), "%s is %lld", time_rows[_i].stamp, (long long)t);
}
END_TEST

/* --- who logged in --- */

static const struct { const char *line, *user, *method; } login_rows[] = {
    { "Nov 22 03:58:16 mx postfix/smtpd[204]: 65CB9128A6A: client=a[192.0.2.1], sasl_method=PLAIN, sasl_username=user7@mx, x", "user7@mx, x", "PLAIN" },
    { "Nov 22 03:58:16 mx postfix/smtpd[204]: 65CB9128A6A: client=a[192.0.2.1], sasl_method=PLAIN, sasl_username=u, sasl_sender=b@c", "u", "PLAIN" },
    { "Nov 22 03:58:16 mx postfix/smtpd[204]: 65CB9128A6A: client=a[192.0.2.1]", NULL, NULL },
    { "Nov 22 03:58:16 mx postfix/cleanup[204]: 65CB9128A6A: message-id=<client=, sasl_username=root>", NULL, NULL },
    { "2026-11-22 05:38:52 1xV0Hs-00001s-0Z <= a@b H=(c) [127.0.0.10]:39279 P=esmtpsa X=TLS1.3:x:256 CV=no A=plain:lab1 S=488 id=x@y", "lab1", "plain" },
    { "2026-11-22 05:38:52 1xV0Hs-00001s-0Z <= a@b H=(c) [127.0.0.10] P=esmtpa A=plain:lab1:b@c S=488", "lab1", "plain" },
    { "2026-11-22 05:38:52 1xV0Hs-00001s-0Z <= a@b H=(c) [127.0.0.10] P=esmtp S=488 id=x A=plain:root", NULL, NULL },
    { "2026-11-22 05:38:52 1xV0Hs-00001s-0Z <= \"a P=esmtpa A=plain:root \"@b H=(c) [127.0.0.10] P=esmtp S=488", NULL, NULL },
    { "2026-11-22 05:38:52 1xV0Hs-00001s-0Z <= a@b H=(P=esmtp A=plain:root) [127.0.0.10] P=esmtp S=488", NULL, NULL },
    { "2026-11-22 05:38:52 1xV0Hs-00001s-0Z <= a@b U=root P=local S=488", NULL, NULL },
    { "Nov 22 05:39:36 mx sm-mta[223]: AUTH=server, relay=nine [127.0.0.9], authid=lab1, mech=PLAIN, bits=0", "lab1", "PLAIN" },
    { "Nov 22 05:39:36 mx sm-mta[223]: 6AM5dC0k000115: from=<AUTH=server, authid=root, mech=x>", NULL, NULL },
};

START_TEST(logins)
{
    struct maillog_login login;
    struct maillog_line l;

    ck_assert(maillog_parse(text(login_rows[_i].line), &l));
    login = maillog_login(&l);
    ck_assert_msg(login_rows[_i].user ? login.user.p && is(login.user, login_rows[_i].user) : !login.user.p, "%s: %.*s", login_rows[_i].line,
                  (int)login.user.n, login.user.p);
    if (login_rows[_i].user)
        ck_assert(is(login.method, login_rows[_i].method));
}
END_TEST

/* --- what belongs together --- */

/* `all`: the log, a line each; `mine`: the letters of its lines that are found. Lines begin with a letter and a blank, which are taken off. */
static const struct { const char *name, *mta, *id, *mine, *all; int64_t arrival; } story_rows[] = {
    { "one connection", "postfix", "ABCDEF01", "acdeg",
      "a Nov 22 10:00:00 mx postfix/smtpd[7]: connect from a[192.0.2.1]\n"
      "b Nov 22 10:00:00 mx postfix/smtpd[8]: connect from b[192.0.2.2]\n"
      "c Nov 22 10:00:01 mx postfix/smtpd[7]: warning: a[192.0.2.1]: SASL LOGIN authentication failed: x\n"
      "d Nov 22 10:00:02 mx postfix/smtpd[7]: ABCDEF01: client=a[192.0.2.1]\n"
      "e Nov 22 10:00:03 mx postfix/qmgr[1]: ABCDEF01: from=<x@y>, size=1, nrcpt=1 (queue active)\n"
      "f Nov 22 10:00:03 mx postfix/smtpd[8]: disconnect from b[192.0.2.2]\n"
      "g Nov 22 10:00:04 mx postfix/smtpd[7]: disconnect from a[192.0.2.1]\n"
      "h Nov 22 10:00:05 mx postfix/smtpd[7]: connect from c[192.0.2.3]\n", 0 },
    { "another message of the connection", "postfix", "ABCDEF01", "acdf",
      "a Nov 22 10:00:00 mx postfix/smtpd[7]: connect from a[192.0.2.1]\n"
      "b Nov 22 10:00:02 mx postfix/smtpd[7]: ABCDEF02: client=a[192.0.2.1]\n"
      "c Nov 22 10:00:02 mx postfix/smtpd[7]: ABCDEF01: client=a[192.0.2.1]\n"
      "d Nov 22 10:00:02 mx postfix/smtpd[7]: NOQUEUE: reject: RCPT from a[192.0.2.1]: 550\n"
      "e Nov 22 10:00:02 mx postfix/smtpd[7]: ABCDEF02: reject: RCPT from a[192.0.2.1]: 550\n"
      "f Nov 22 10:00:04 mx postfix/smtpd[7]: disconnect from a[192.0.2.1]\n", 0 },
    { "the same pid of another host, and of another instance", "postfix", "ABCDEF01", "ad",
      "a Nov 22 10:00:00 mx postfix/smtpd[7]: connect from a[192.0.2.1]\n"
      "b Nov 22 10:00:00 mx2 postfix/smtpd[7]: connect from b[192.0.2.1]\n"
      "c Nov 22 10:00:00 mx postfix-in/smtpd[7]: connect from c[192.0.2.1]\n"
      "d Nov 22 10:00:02 mx postfix/smtpd[7]: ABCDEF01: client=a[192.0.2.1]\n", 0 },
    { "a log that begins late", "postfix", "ABCDEF01", "ab",
      "a Nov 22 10:00:02 mx postfix/smtpd[7]: ABCDEF01: client=a[192.0.2.1]\n"
      "b Nov 22 10:00:04 mx postfix/smtpd[7]: disconnect from a[192.0.2.1]\n"
      "c Nov 22 10:00:04 mx postfix/smtpd[7]: connect from a[192.0.2.1]\n", 0 },
    { "an id that comes again, the later", "postfix", "ABCDEF01", "de",
      "a Nov 21 10:00:02 mx postfix/smtpd[7]: ABCDEF01: client=a[192.0.2.1]\n"
      "b Nov 21 10:00:03 mx postfix/smtp[9]: ABCDEF01: to=<x@y>, status=sent\n"
      "c Nov 21 10:00:04 mx postfix/qmgr[1]: ABCDEF01: removed\n"
      "d Nov 22 10:00:02 mx postfix/pickup[8]: ABCDEF01: uid=0 from=<root>\n"
      "e Nov 22 10:00:03 mx postfix/qmgr[1]: ABCDEF01: from=<x@y>, size=1, nrcpt=1 (queue active)\n", 1795341602 },
    { "an id that comes again, the earlier", "postfix", "ABCDEF01", "abc",
      "a Nov 21 10:00:02 mx postfix/smtpd[7]: ABCDEF01: client=a[192.0.2.1]\n"
      "b Nov 21 10:00:03 mx postfix/smtp[9]: ABCDEF01: to=<x@y>, status=sent\n"
      "c Nov 21 10:00:04 mx postfix/qmgr[1]: ABCDEF01: removed\n"
      "d Nov 22 10:00:02 mx postfix/pickup[8]: ABCDEF01: uid=0 from=<root>\n"
      "e Nov 22 10:00:03 mx postfix/qmgr[1]: ABCDEF01: from=<x@y>, size=1, nrcpt=1 (queue active)\n", 1795255202 },
    { "only another message had the id", "postfix", "ABCDEF01", "",
      "a Nov 21 10:00:02 mx postfix/smtpd[7]: ABCDEF01: client=a[192.0.2.1]\n"
      "b Nov 21 10:00:04 mx postfix/qmgr[1]: ABCDEF01: removed\n", 1795341602 },
    { "a bounce, and what it is about", "postfix", "ABCDEF01", "ab",
      "a Nov 21 10:00:02 mx postfix/cleanup[7]: ABCDEF01: message-id=<x>\n"
      "b Nov 21 10:00:02 mx postfix/bounce[7]: ABCDEF02: sender non-delivery notification: ABCDEF01\n"
      "c Nov 21 10:00:04 mx postfix/qmgr[1]: ABCDEF02: removed\n", 0 },
    { "an Exim that serves with a process of its own", "exim", "1xV0Hr-00001p-20", "abcf",
      "a 2026-11-22 10:00:00 [57] SMTP connection from [192.0.2.1]:4242 (TCP/IP connection count = 1)\n"
      "b 2026-11-22 10:00:00 [57] plain authenticator failed for (x) [192.0.2.1]:4242: 535 Incorrect authentication data (set_id=root)\n"
      "c 2026-11-22 10:00:00 [57] 1xV0Hr-00001p-20 <= a@b H=(x) [192.0.2.1]:4242 P=esmtp S=4\n"
      "d 2026-11-22 10:00:00 [58] 1xV0Hs-00001p-20 => a@b R=x T=y\n"
      "e 2026-11-22 10:00:00 [57] 1xV0Ht-00001p-20 <= a@b H=(x) [192.0.2.1]:4242 P=esmtp S=4\n"
      "f 2026-11-22 10:00:00 [57] SMTP connection from (x) [192.0.2.1]:4242 D=0s closed by QUIT\n"
      "g 2026-11-22 10:00:00 [57] no MAIL in SMTP connection from [192.0.2.9]:4242 D=0s\n", 0 },
    { "an Exim whose daemon writes the connect line", "exim", "1xV0Hr-00001p-20", "acd",
      "a 2026-11-22 10:00:00 [56] SMTP connection from [192.0.2.1]:4242 (TCP/IP connection count = 1)\n"
      "b 2026-11-22 10:00:00 [56] SMTP connection from [192.0.2.1]:4243 (TCP/IP connection count = 2)\n"
      "c 2026-11-22 10:00:00 [57] 1xV0Hr-00001p-20 <= a@b H=(x) [192.0.2.1]:4242 P=esmtp S=4\n"
      "d 2026-11-22 10:00:00 [57] SMTP connection from (x) [192.0.2.1]:4242 closed by QUIT\n"
      "e 2026-11-22 10:00:00 [58] SMTP connection from (x) [192.0.2.1]:4243 closed by QUIT\n", 0 },
    { "an Exim without pids", "exim", "1xV0Hr-00001p-20", "bc",
      "a 2026-11-22 10:00:00 SMTP connection from [192.0.2.1]:4242 (TCP/IP connection count = 1)\n"
      "b 2026-11-22 10:00:00 1xV0Hr-00001p-20 <= a@b H=(x) [192.0.2.1]:4242 P=esmtp S=4\n"
      "c 2026-11-22 10:00:00 1xV0Hr-00001p-20 Completed\n", 0 },
    { "long lines of an Exim through syslog", "exim", "1xV0Hr-00001p-20", "ac",
      "a Nov 22 10:00:00 mx exim[57]: [1/2] 2026-11-22 10:00:00 1xV0Hr-00001p-20 ** a@b\n"
      "b Nov 22 10:00:00 mx exim[58]: [2/2] of another\n"
      "c Nov 22 10:00:00 mx exim[57]: [2/2] the rest\n"
      "d Nov 22 10:00:00 mx exim[57]: [1/2] 2026-11-22 10:00:00 1xV0Hs-00001p-20 ** a@b\n"
      "e Nov 22 10:00:00 mx exim[57]: [2/2] the rest\n", 0 },
    { "Sendmail's login", "sendmail", "6AM5dC0k000115", "abde",
      "a Nov 22 10:00:00 mx sm-mta[115]: STARTTLS=server, relay=a [192.0.2.1], version=TLSv1.3\n"
      "b Nov 22 10:00:00 mx sm-mta[115]: AUTH=server, relay=a [192.0.2.1], authid=lab1, mech=PLAIN, bits=0\n"
      "c Nov 22 10:00:00 mx sm-mta[116]: AUTH=server, relay=b [192.0.2.2], authid=lab2, mech=PLAIN, bits=0\n"
      "d Nov 22 10:00:00 mx sm-mta[115]: 6AM5dC0k000115: from=<a@b>, size=1, nrcpts=1, proto=ESMTPSA, daemon=MTA, relay=a [192.0.2.1]\n"
      "e Nov 22 10:00:00 mx sm-mta[115]: 6AM5dC0k000115: to=<a@b>, delay=00:00:00, stat=queued\n", 0 },
    { "a pid that comes again with another client", "sendmail", "6AM5dC0k000115", "b",
      "a Nov 22 10:00:00 mx sm-mta[115]: AUTH=server, relay=a [192.0.2.1], authid=lab1, mech=PLAIN, bits=0\n"
      "b Nov 22 11:00:00 mx sm-mta[115]: 6AM5dC0k000115: from=<a@b>, size=1, nrcpts=1, proto=ESMTP, daemon=MTA, relay=b [192.0.2.2]\n", 0 },
    { "a message that was split", "sendmail", "6AM5dC0l000115", "acd",
      "a Nov 22 10:00:00 mx sm-mta[115]: AUTH=server, relay=a [192.0.2.1], authid=lab1, mech=PLAIN, bits=0\n"
      "b Nov 22 10:00:00 mx sm-mta[115]: 6AM5dC0k000115: from=<a@b>, size=1, nrcpts=2, proto=ESMTPA, daemon=MTA, relay=a [192.0.2.1]\n"
      "c Nov 22 10:00:00 mx sm-mta[115]: 6AM5dC0k000115: split: count=1, id=6AM5dC0l000115\n"
      "d Nov 22 10:00:00 mx sm-mta[115]: 6AM5dC0l000115: to=<a@b>, delay=00:00:00, stat=queued\n", 0 },
};

START_TEST(stories)
{
    struct lq_log *log = asked_for(story_rows[_i].mta, story_rows[_i].id, story_rows[_i].arrival ? &story_rows[_i].arrival : NULL);
    struct lq_log_line line;
    struct lq_error err;
    char found[32] = "";
    size_t n, letters = 0;

    setenv("TZ", "UTC", 1);
    tzset();
    log->files[0].changed = utc("2026-11-23T00:00:00");
    for (const char *p = story_rows[_i].all; *p; p = strchr(p, '\n') + 1)
        maillog_take(log, bytes_from(p + 2, (size_t)(strchr(p, '\n') - p - 2)), (uint64_t)(p - story_rows[_i].all) + 1, false);
    ck_assert_int_eq(lq_log_message(log, story_rows[_i].mta, (struct lq_str){ story_rows[_i].id, strlen(story_rows[_i].id) }, &n, &err), LQ_OK);
    for (size_t i = 0; lq_log_line(log, i, &line); i++)
        found[letters++] = story_rows[_i].all[line.number - 1];
    ck_assert_msg(strcmp(found, story_rows[_i].mine) == 0, "%s: found \"%s\"", story_rows[_i].name, found);
    lq_log_free(log);
}
END_TEST

/* --- bounds --- */

static void take(struct lq_log *log, uint64_t number, const char *fmt, unsigned long a, unsigned long b) __attribute__((format(printf, 3, 0)));

static void take(struct lq_log *log, uint64_t number, const char *fmt, unsigned long a, unsigned long b)
{
    char line[200];
    int n = snprintf(line, sizeof(line), fmt, a, b);

    maillog_take(log, bytes_from(line, (size_t)n), number, false);
}

START_TEST(a_session_is_bounded)
{
    struct lq_log *log = asked_for("postfix", "ABCDEF01", NULL);
    struct lq_log_line line;
    struct lq_error err;
    size_t n;

    take(log, 1, "Nov 22 10:00:00 mx postfix/smtpd[7]: connect from a[192.0.2.1]", 0, 0);
    for (unsigned long i = 2; i < 1000; i++)
        take(log, i, "Nov 22 10:00:00 mx postfix/smtpd[7]: NOQUEUE: reject: RCPT from a[192.0.2.1]: %lu", i, 0);
    take(log, 1000, "Nov 22 10:00:00 mx postfix/smtpd[7]: ABCDEF01: client=a[192.0.2.1]", 0, 0);
    ck_assert_int_eq(lq_log_all(log, &n, &err), LQ_OK);
    ck_assert_uint_eq(n, MAILLOG_SESSION_LINES + 1);
    ck_assert(lq_log_line(log, 0, &line) && line.number == 1);
    ck_assert(lq_log_line(log, 1, &line) && line.number == 1000 - (MAILLOG_SESSION_LINES - 1));
    ck_assert(lq_log_line(log, n - 2, &line) && line.number == 999 && strstr(line.text.p, ": 999"));
    ck_assert_uint_eq(log->dropped, 999 - MAILLOG_SESSION_LINES);
    lq_log_free(log);
}
END_TEST

START_TEST(sessions_are_bounded)
{
    struct lq_log *log = asked_for("postfix", "ABCDEF01", NULL);
    struct lq_error err;
    size_t n;

    for (unsigned long i = 1; i <= 3 * MAILLOG_SESSIONS; i++)
        take(log, i, "Nov 22 10:00:00 mx postfix/smtpd[%lu]: connect from a[192.0.2.%lu]", i, i % 256);
    take(log, 90000, "Nov 22 10:00:00 mx postfix/smtpd[%lu]: ABCDEF01: client=a[192.0.2.1]", 2 * MAILLOG_SESSIONS + 1, 0);
    ck_assert_int_eq(lq_log_all(log, &n, &err), LQ_OK);
    ck_assert_uint_eq(n, 2);
    ck_assert_uint_eq(log->forgotten, 2 * MAILLOG_SESSIONS);
    lq_log_free(log);
}
END_TEST

/* Every line comes back as it was, also those that went into the file. */
START_TEST(a_store_that_is_full)
{
    struct lq_log *log = asked_for("postfix", "ABCDEF01", NULL);
    struct lq_log_line line;
    struct lq_error err;
    char want[100];
    size_t n;

    log->store.most = 1000;
    for (unsigned long i = 1; i < 500; i++)
        take(log, i, "Nov 22 10:00:00 mx postfix/smtp[7]: ABCDEF01: to=<a%lu@b>", i, 0);
    ck_assert_int_eq(lq_log_all(log, &n, &err), LQ_OK);
    ck_assert_uint_eq(n, 499);
    ck_assert(log->store.fd >= 0);
    for (size_t i = 0; lq_log_line(log, i, &line); i++) {
        snprintf(want, sizeof(want), "Nov 22 10:00:00 mx postfix/smtp[7]: ABCDEF01: to=<a%zu@b>", i + 1);
        ck_assert(is(bytes_from(line.text.p, line.text.n), want));
    }
    lq_log_free(log);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("maillog");
    TCase *t = tcase_create("maillog");
    SRunner *r = srunner_create(s);
    int failed;

    tcase_add_loop_test(t, lines, 0, COUNT(line_rows));
    tcase_add_loop_test(t, no_lines, 0, COUNT(foreign_rows));
    tcase_add_loop_test(t, not_in_its_place, 0, COUNT(elsewhere_rows));
    tcase_add_loop_test(t, times, 0, COUNT(time_rows));
    tcase_add_loop_test(t, logins, 0, COUNT(login_rows));
    tcase_add_loop_test(t, stories, 0, COUNT(story_rows));
    tcase_add_test(t, a_session_is_bounded);
    tcase_add_test(t, sessions_are_bounded);
    tcase_add_test(t, a_store_that_is_full);
    suite_add_tcase(s, t);
    srunner_run_all(r, CK_NORMAL);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
