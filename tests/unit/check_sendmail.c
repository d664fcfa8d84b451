/* Sendmail: control files from memory and through tiny windows, and sendmail.cf. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine.h"
#include "header.h"
#include "sendmail.h"

/* --- one control file, told in lines of text --- */

struct told {
    struct lq_record rec;
    struct sendmail_control control;
    struct buf headers, tmp, tmp2, text;
};

static void tell_text(struct buf *out, const char *key, struct lq_str s)
{
    if (s.p)
        buf_printf(out, "%s=", key), buf_add(out, s.p, s.n), buf_add_char(out, '\n');
}

static void tell_recipients(struct buf *out, const struct rcpt_list *list)
{
    if (list->counted > 20) {
        buf_printf(out, "recipients=%llu stored=%zu\n", (unsigned long long)list->counted, list->n);
        return;
    }
    for (size_t i = 0; i < list->n; i++) {
        const struct lq_recipient *r = &list->items[i];

        tell_text(out, "rcpt", r->address);
        tell_text(out, "  reason", r->delay_reason);
        tell_text(out, "  code", r->dsn_code);
        tell_text(out, "  orig", r->orig_address);
    }
}

static void tell(struct told *t)
{
    struct lq_record *r = &t->rec;
    struct buf *out = &t->text;
    int64_t n;

    r->have = SEC_ALL;
    for (enum lq_field f = 0; f < LQ_FIELD_COUNT; f++) {
        if (lq_field_type(f) == LQ_TYPE_TEXT)
            tell_text(out, lq_field_name(f), lq_record_text(r, f));
        else if (lq_record_number(r, f, &n))
            buf_printf(out, "%s=%lld\n", lq_field_name(f), (long long)n);
    }
    tell_recipients(out, &r->recipients);
    for (size_t i = 0; i < r->hop_count; i++)
        tell_text(out, "hop", r->hops[i].by);
    for (size_t i = 0; lq_record_text_at(r, LQ_FLAGS, i).p; i++)
        tell_text(out, "flag", lq_record_text_at(r, LQ_FLAGS, i));
    for (size_t i = 0; i < r->problems.n; i++)
        tell_text(out, "problem", r->problems.items[i]);
    tell_text(out, "df", t->control.df_dir);
    buf_printf(out, "%s%s%s%s", t->control.complete ? "complete\n" : "", t->control.refused ? "refused\n" : "",
               t->control.quarantined ? "quarantined\n" : "", r->broken & SEC_CONTROL ? "broken\n" : "");
    buf_add(out, t->headers.p, t->headers.n);
    buf_add_char(out, '\0');
}

static void parse(struct told *t, struct source *s, uint64_t want)
{
    struct sendmail_input in = {
        .src = s, .path = "qf1", .want = want, .headers = &t->headers, .tmp = &t->tmp, .tmp2 = &t->tmp2,
    };

    memset(t, 0, sizeof(*t));
    t->headers.limit = RECORD_HEADERS_MAX;
    record_reset(&t->rec);
    sendmail_parse(&t->rec, &in, &t->control);
    header_fields(&t->rec, bytes_from(t->headers.p, t->headers.n), want);
    tell(t);
}

static void parse_memory(struct told *t, const char *text, size_t n, uint64_t want)
{
    struct source s = { 0 };

    source_memory(&s, text, n);
    parse(t, &s, want);
}

static void told_done(struct told *t)
{
    record_done(&t->rec);
    buf_done(&t->headers);
    buf_done(&t->tmp);
    buf_done(&t->tmp2);
    buf_done(&t->text);
}

/* However the file comes in, the same record comes out. */
static void check_windows(const char *text, size_t n, const char *expected)
{
    static const size_t sizes[] = { 1, 2, 3, 7, 16, 61, 200 };
    FILE *f = tmpfile();

    ck_assert_uint_eq(fwrite(text, 1, n, f), n);
    fflush(f);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct source s = { .first = sizes[i], .view = sizes[i] };
        struct told t;

        ck_assert_int_eq(source_file(&s, fileno(f), n), 0);
        parse(&t, &s, LQ_FIELDS_ALL);
        ck_assert_msg(strcmp(t.text.p, expected) == 0, "window %zu:\n%s\ninstead of\n%s", sizes[i], t.text.p, expected);
        told_done(&t);
        source_done(&s);
    }
    fclose(f);
}

static bool has_line(const char *text, const char *line, size_t n)
{
    for (const char *at = text; at; at = strchr(at, '\n') ? strchr(at, '\n') + 1 : NULL)
        if (strncmp(at, line, n) == 0 && (at[n] == '\n' || at[n] == '\0'))
            return true;
    return false;
}

static bool has_start(const char *text, const char *start, size_t n)
{
    for (const char *at = text; at; at = strchr(at, '\n') ? strchr(at, '\n') + 1 : NULL)
        if (strncmp(at, start, n) == 0)
            return true;
    return false;
}

/* Each line of `expected` is told; "!x" means that no told line begins with x, "~x" that one does. */
static void check_told(const char *told, const char *expected)
{
    while (*expected) {
        size_t n = strcspn(expected, "\n");

        if (*expected == '!')
            ck_assert_msg(!has_start(told, expected + 1, n - 1), "unwanted: %.*s in\n%s", (int)n - 1, expected + 1, told);
        else if (*expected == '~')
            ck_assert_msg(has_start(told, expected + 1, n - 1), "missing: %.*s… in\n%s", (int)n - 1, expected + 1, told);
        else
            ck_assert_msg(has_line(told, expected, n), "missing: %.*s in\n%s", (int)n, expected, told);
        expected += n + (expected[n] == '\n');
    }
}

static void check_file(const char *text, size_t n, const char *expected)
{
    struct told t;

    parse_memory(&t, text, n, LQ_FIELDS_ALL);
    check_told(t.text.p, expected);
    check_windows(text, n, t.text.p);
    told_done(&t);
}

#define WHOLE "complete\n!refused\n!broken\n!problem\n"

static const struct { const char *name, *text, *expected; } file_rows[] = {
    { "esmtp",
      "V8\nT1773066336\nK0\nN0\nP90412\nB8BITMIME\nF8bdns\n$_client.example.net [192.0.2.10] (may be forged)\n$rESMTPSA\n"
      "$spc7.example.net\n${daemon_flags}\n${if_addr}192.0.2.25\n${auth_authen}alice@example.net\nS<alice@example.net>\n"
      "ZQQ314159+2Bx\nAalice+40example.net\n!\x01 7200\nQrfc822;Bob+2Btag@example.com\nrRFC822; bob@example.com\n"
      "RPNSFD:<bob@example.com>\nrRFC822; carol@example.org\nRPN:<carol@example.org>\nrRFC822; \"odd: name\"@example.org\n"
      "RPFD:<\"odd: name\"@example.org>\nH??Return-Path: <\x81g>\nH??Received: from pc7.example.net (client.example.net [192.0.2.10])\n"
      "\tby mx.example.com (8.17.1.9/8.17.1.9) with ESMTPSA id 629EPaQe004717;\n\tMon, 9 Mar 2026 14:25:36 GMT\n"
      "H?D?Date: Mon, 9 Mar 2026 14:25:36 GMT\nH??From: \"Alice A.\" <alice@example.net>\nH??To: bob@example.com, carol@example.org\n"
      "H??Subject: \xC3\xFF\x89tude no. 1\nH??Message-ID: <m1@example.net>\nH??X-Empty:\nH??Bcc: secret@example.com\n.\n",
      WHOLE "arrival_time=1773066336\nattempts=0\n!last_attempt\nsender=alice@example.net\nrcpt=bob@example.com\n  orig=Bob+tag@example.com\n"
      "rcpt=carol@example.org\nrcpt=\"odd: name\"@example.org\nclient_address=192.0.2.10\nclient_name=client.example.net\n"
      "helo_name=pc7.example.net\nprotocol_name=ESMTPSA\nauth_user=alice@example.net\nflag=client-name-unverified\nflag=tls\n"
      "flag=authenticated\n!flag=local\nsubject=\xC3\x89tude no. 1\nReturn-Path: <alice@example.net>\nX-Empty:\nhop=mx.example.com\n!Bcc\n!reason\n" },
    { "deferred, body elsewhere, alias",
      "V8\nT1773066400\nK1773070262\nN3\nP392098\ndq1\nI254/0/2572298\nMDeferred: 451 4.7.1 Please try again later\nFws\n"
      "$_[IPv6:2001:db8:0:0:0:0:0:10]\n$rESMTP\n$s[IPv6:2001:db8::99]\n${daemon_flags}\nS<owner@example.org>\n"
      "MDeferred: Connection refused by mx2.example.org.\nrRFC822; erin@example.org\nRPFD:<erin@example.org>\n"
      "MDeferred: 451 4.7.1 Please try again later\nCteam:8:0:team\nrRFC822; team@example.com\nRFDA:frank@example.net\nC\n"
      "rRFC822; gina@example.org\nRPFD:<gina@example.org>\nH??From: owner@example.org\nH??Subject: deferred sample\n.\n",
      WHOLE "df=q1\nattempts=3\nlast_attempt=1773070262\nrcpt=erin@example.org\n  reason=Deferred: Connection refused by mx2.example.org.\n"
      "rcpt=frank@example.net\n  reason=Deferred: 451 4.7.1 Please try again later\n  code=4.7.1\n  orig=team@example.com\n"
      "rcpt=gina@example.org\nreason=Deferred: 451 4.7.1 Please try again later\nclient_address=2001:db8::10\n!client_name\n"
      "helo_name=[IPv6:2001:db8::99]\nflag=warned\n" },
    { "quarantined",
      "V8\nT1773066500\nK0\nN0\nP30120\nqheld by admin: ticket 7\nFs\n$_localhost [127.0.0.1]\n$rSMTP\n$sapp.example.com\n"
      "S<evil@example.org>\nRPFD:<hana@example.com>\nH??Subject: held\n\tfolded\n.\n",
      WHOLE "quarantined\nhold_reason=held by admin: ticket 7\nclient_address=127.0.0.1\nclient_name=localhost\nSubject: held\n\tfolded\n!flag\n" },
    { "bounce",
      "V8\nT1773066600\nK1773066601\nN1\nMDeferred: Connection timed out with mail.example.net.\nFrs\n$_localhost\n$r\n$slocalhost\n"
      "SMAILER-DAEMON\nMDeferred: Connection timed out with mail.example.net.\nrRFC822; ivan@example.net\nRPF:<ivan@example.net>\n"
      "H??Return-Path: <\x81g>\nH?F?From: Mail Delivery Subsystem <MAILER-DAEMON>\nH?x?Full-Name: Mail Delivery Subsystem\n.\n",
      WHOLE "sender=\nflag=bounce\n!flag=local\n!helo\n!protocol\n!client\n!local_user\nReturn-Path: <>\n!Full-Name\n"
      "reason_class=timeout\n!  orig\n" },
    { "submission",
      "V8\nT1773066700\nK0\nN0\nFbs\n$_judy@localhost\n${daemon_flags}c u\nSjudy\nAjudy@host.example.com\nrRFC822; bob@example.com\n"
      "RPFD:bob@example.com\nH??Received: (from judy@localhost)\n\tby host.example.com; Mon, 9 Mar 2026 14:31:40 GMT\nH?F?From: judy <judy>\n.\n",
      WHOLE "local_user=judy\nflag=local\nsender=judy\nrcpt=bob@example.com\n!client\n!protocol\n!auth_user\n" },
    { "V2",
      "V2\nT0853000000\nK0\nN0\nI8/1/4711\n$rESMTP\n$srelay.example.net\n$_relay.example.net [192.0.2.77]\nS<kate@example.net>\n"
      "RPFD:<leo@example.com>\nH??Return-Path: kate@example.net\nHReceived: from relay.example.net\n\tby mx.example.com; Fri, 10 Jan 1997 20:26:40 GMT\n"
      "HSubject: V2 has no question marks here\n.\n",
      WHOLE "arrival_time=853000000\nrcpt=leo@example.com\nsubject=V2 has no question marks here\nhop=mx.example.com\nclient_address=192.0.2.77\n" },
    { "V0", "P30044\nT0757382400\nDdfAAA12345\n$rSMTP\n$srelay.example.net\n$_relay.example.net [192.0.2.77]\nS<kate@example.net>\n"
      "R<leo@example.com>\nH??Return-Path: kate@example.net\nHSubject: V0\n",
      WHOLE "rcpt=leo@example.com\nsubject=V0\n!attempts\n" },
    { "V0 has no flags", "T1\nS<a@b>\nRPFD:<a@b>\nHSubject: x\n", WHOLE "rcpt=PFD:<a@b>\n" },
    { "V0 names the controlling user alone", "T1\nCkate\nS<a@b>\nRx@y\nHSubject: x\n", WHOLE "rcpt=x@y\n!  orig\n" },
    { "V1 names the controlling user alone", "V1\nT1\nC:kate\nS<a@b>\nRP:x@y\nHSubject: x\n.\n", WHOLE "rcpt=x@y\n!  orig\n" },
    { "V4 alias without r", "V4\nT1\nS<a@b>\nC:staff\nRFDA:x@y\n.\n", WHOLE "rcpt=x@y\n  orig=staff\n" },
    { "alias with colons", "V4\nT1\nS<a@b>\nCu:1:2::include:/l\nRFDA:x@y\n.\n", WHOLE "  orig=:include:/l\n" },
    { "V5 delay records", "V5\nT1\nG1\nY60\nS<a@b>\nRP:<x@y>\n.\n", WHOLE },
    { "V7 delay and charset", "V7\nT1\nG1\nY60\nXlatin1\nS<a@b>\nRP:<x@y>\n.\n", WHOLE },
    { "old accepted records", "V8\nT1\nDdf1\nEx@y\nL5\nS<a@b>\nRP:<x@y>\n.\n", WHOLE },
    { "CRLF", "V8\r\nT1\r\nS<a@b>\r\nRP:<x@y>\r\nH??Subject: x\r\n\tfolded\r\n.\r\n",
      WHOLE "sender=a@b\nrcpt=x@y\nSubject: x\n\tfolded\n" },
    { "null sender", "V8\nT1\nS<>\nRP:<x@y>\nH??Return-Path: <\x81g>\n.\n", WHOLE "sender=\nflag=bounce\nReturn-Path: <>\n" },
    { "MAILER-DAEMON of another host", "V8\nT1\nSMAILER-DAEMON\nRP:<x@y>\n.\n", WHOLE "sender=MAILER-DAEMON\n!flag=bounce\n" },
    { "addresses with colons and programs", "V8\nT1\nSa\nRPFD:|/usr/bin/x -a:b\nRP::include:/l\nRP:/var/mail/x\n.\n",
      WHOLE "sender=a\nrcpt=|/usr/bin/x -a:b\nrcpt=:include:/l\nrcpt=/var/mail/x\n" },
    { "unknown R flags and F letters", "V8\nT1\nFzzyx8\nS<a@b>\nRPXYABS:<x@y>\n.\n", WHOLE "rcpt=x@y\n" },
    { "quoted UTF-8 in addresses", "V8\nT1\nFe\nS<\xC3\xFF\x89@b>\nRP:<\xC3\xFF\x9F@y>\nH??Return-Path: <\x81g>\n.\n",
      WHOLE "sender=\xC3\x89@b\nrcpt=\xC3\x9F@y\nflag=smtputf8\nReturn-Path: <\xC3\x89@b>\n" },
    { "headers before the sender and the flags", "V8\nT1\nH??Return-Path: <\x81g>\nH??Bcc: x\nH??Subject: s\nS<a@b>\nFb\nRP:<x@y>\n.\n",
      WHOLE "Return-Path: <a@b>\n!Bcc\nsubject=s\n" },
    { "a header of final delivery is not sent", "V8\nT1\nS<a@b>\nRP:<x@y>\nH?P?Return-Path: <\x81g>\nH?PD?X-Kept: 1\nH??Subject: s\n.\n",
      WHOLE "!Return-Path\nX-Kept: 1\nsubject=s\n" },
    { "headers before the sender", "V8\nT1\nFb\nH??Return-Path: <\x81g>\nH??Bcc: x\nS<a@b>\nRP:<x@y>\n.\n", WHOLE "Return-Path: <a@b>\n!Bcc\n" },
    { "headers before the flags", "V8\nT1\nSMAILER-DAEMON\nH??Return-Path: <\x81g>\nH??Bcc: x\nFbr\nRP:<x@y>\n.\n", WHOLE "Return-Path: <>\n!Bcc\n" },
    { "Bcc without the flag b stays", "V8\nT1\nFw\nS<a@b>\nRP:<x@y>\nH??Bcc: x\n.\n", WHOLE "Bcc: x\n" },
    { "macros and operators in headers", "V8\nT1\nS<a@b>\nRP:<x@y>\nH??X-A: \x81j \x81{mail_addr}.\nH??X-B: a\x85" "b\xFF\xFF" "c\nH??X-C: end\xFF\nH??X-D: \x81\n.\n",
      WHOLE "X-A: $j ${mail_addr}.\nX-B: a?b\xFF" "c\nX-C: end\nX-D: ?\n" },
    { "8-bit before V8 is as it came", "V6\nT1\nS<a@b>\nRP:<x@y>\nH??Subject: \xC3\x89\n.\n", WHOLE "Subject: \xC3\x89\n" },
    { "conditions", "V8\nT1\nS<a@b>\nRP:<x@y>\nH?$x?X-A: 1\nH?${name}?X-B: 2\nH?PD?X-C: 3\nH??X?D: 4\n.\n",
      WHOLE "X-A: 1\nX-B: 2\nX-C: 3\nX?D: 4\n" },
    { "an unconditional header wins", "V8\nT1\nS<a@b>\nRP:<x@y>\nH?F?From: made@here\nH??From: came@along\nH?D?date: 1\nH??Subject: one\nH??Subject: two\n.\n",
      WHOLE "from=came@along\ndate=1\nsubject=one\n" },
    { "a folded status becomes one line", "V8\nT1\nMa\n b\nS<a@b>\nMa\n\tb\nRP:<x@y>\n.\n", WHOLE "reason=a \tb\n  reason=a \tb\n" },
    { "the general reason of somebody gone", "V8\nT1\nMUser unknown\nS<a@b>\nMDeferred\nRP:<x@y>\n.\n", WHOLE "reason=Deferred\n  reason=Deferred\n" },
    { "the general reason alone", "V8\nT1\nMhost map: lookup (d1.example): deferred\nS<a@b>\nRP:<x@y>\nRP:<z@y>\n.\n",
      WHOLE "reason=host map: lookup (d1.example): deferred\n!  reason\n" },
    { "no general reason", "V8\nT1\nS<a@b>\nRP:<x@y>\nM450 4.2.0 later\nRP:<z@y>\n.\n",
      WHOLE "reason=450 4.2.0 later\nrcpt=x@y\nrcpt=z@y\n  reason=450 4.2.0 later\n  code=4.2.0\n" },
    { "ESC in a status", "V8\nT1\nS<a@b>\nM450 \x1b[31m\nRP:<x@y>\n.\n", WHOLE "reason=450 \x1b[31m\n" },
    { "ORCPT of another type", "V8\nT1\nS<a@b>\nQx400;x\nRP:<x@y>\n.\n", WHOLE "!  orig\n" },
    { "the address before aliasing comes first", "V8\nT1\nS<a@b>\nQrfc822;q@q\nrRFC822; r@r\nRP:<x@y>\nQrfc822;q@q\nrRFC822; x@y\nRP:<x@y>\n.\n",
      WHOLE "rcpt=x@y\n  orig=r@r\n  orig=q@q\n" },
    { "optional macros", "V8\nT1\n${client_addr}IPv6:2001:DB8::1\n${client_port}4242\n${client_name}h.example\n${auth_authen}bob+2Btag+3D@r\n"
      "${auth_type}PLAIN\n$_other [192.0.2.1]\n$rESMTP\nS<a@b>\nRP:<x@y>\n.\n",
      WHOLE "client_address=2001:db8::1\nclient_port=4242\nclient_name=h.example\nauth_user=bob+tag=@r\nauth_method=PLAIN\nflag=authenticated\n" },
    { "macros for nothing", "V8\nT1\n${client_addr}\n${client_port}70000\n${client_name}[192.0.2.1]\n${auth_authen}\n${auth_type}X\n$_h [192.0.2.1]\n$\n${x\nS<a@b>\nRP:<x@y>\n.\n",
      WHOLE "client_address=192.0.2.1\n!client_port\nclient_name=h\n!auth\n!flag\n" },
    { "UTF8SMTPSA", "V8\nT1\n$rUTF8SMTPSA\n$sh\nS<a@b>\nRP:<x@y>\n.\n", WHOLE "flag=smtputf8\nflag=tls\nflag=authenticated\nhelo_name=h\n" },
    { "the terminator without LF", "V8\nT1\nS<a@b>\nRP:<x@y>\n.", WHOLE "rcpt=x@y\n" },
    { "d names the base", "V8\nT1\nd.\nS<a@b>\nRP:<x@y>\n.\n", WHOLE "df=.\n" },
    { "q without a reason", "V8\nT1\nq\nS<a@b>\nRP:<x@y>\n.\n", WHOLE "quarantined\n!hold_reason\n" },
    /* Not whole: what is there is known, the rest is not. */
    { "empty", "", "!complete\nbroken\n!refused\n!problem\n" },
    { "being written", "V8\nT1\nS<a@b>\nRP:<x@y>\nRP:<zz", "!complete\nbroken\n!refused\n!problem\nsender=a@b\nrcpt=x@y\n!rcpt=z\n" },
    { "cut after a whole line", "V8\nT1\nS<a@b>\nRP:<x@y>\n", "!complete\nbroken\n!refused\n!problem\n" },
    { "cut in a header", "V8\nT1\nS<a@b>\nRP:<x@y>\nH??Subject: some", "!complete\nbroken\n!subject\n" },
    { "only a version", "V8", "!complete\nbroken\n" },
    /* Refused by sendmail. */
    { "newer version", "V9\nT1\nS<a@b>\nRP:<x@y>\n.\n", "refused\nbroken\n~problem=qf1: offset 0: queue version 9 is newer\nrcpt=x@y\n" },
    { "unknown record", "V8\nT1\nS<a@b>\nwhat\nRP:<x@y>\n.\n", "refused\nbroken\nproblem=qf1: offset 13: unknown record 'w'\nrcpt=x@y\n" },
    { "binary record", "V8\nT1\nS<a@b>\n\xE9\nRP:<x@y>\n.\n", "refused\nproblem=qf1: offset 13: unknown record, byte 0xe9\n" },
    { "empty line", "V8\nT1\nS<a@b>\n\nRP:<x@y>\n.\n", "refused\nproblem=qf1: offset 13: empty line\nrcpt=x@y\n" },
    { "after the terminator", "V8\nT1\nS<a@b>\nRP:<x@y>\n.\n\n", "refused\ncomplete\nproblem=qf1: offset 24: something follows the terminator\n" },
    { "body type", "V8\nT1\nBBINARY\nS<a@b>\nRP:<x@y>\n.\n", "refused\n~problem=qf1: offset 6: unknown body type\n" },
    { "body type in any case", "V8\nT1\nB8bitmime\nS<a@b>\nRP:<x@y>\n.\n", WHOLE },
    { "From line", "V8\nT1\nFrom x\nS<a@b>\nRP:<x@y>\n.\n", "refused\n~problem=qf1: offset 6: a line begins with 'From '\n" },
    { "bad AUTH=", "V8\nT1\nS<a@b>\nAx+4\nRP:<x@y>\n.\n", "refused\n~problem=qf1: offset 13: the A record\n" },
    { "AUTH= with a forbidden sign", "V8\nT1\nS<a@b>\nAx=y\nRP:<x@y>\n.\n", "refused\n~problem=qf1: offset 13: the A record\n" },
    { "delay records in V8", "V8\nT1\nG1\nS<a@b>\nRP:<x@y>\n.\n", "refused\n" },
    { "charset in V8", "V8\nT1\nXlatin1\nS<a@b>\nRP:<x@y>\n.\n", "refused\n" },
    { "d leaves the queue", "V8\nT1\nd../x\nS<a@b>\nRP:<x@y>\n.\n", "refused\n!df\n" },
    { "d is absolute", "V8\nT1\nd/etc\nS<a@b>\nRP:<x@y>\n.\n", "refused\n!df\n" },
    { "d climbs later", "V8\nT1\nda/../../x\nS<a@b>\nRP:<x@y>\n.\n", "refused\n!df\n" },
    { "no sender", "V8\nT1\nRP:<x@y>\n.\n", "refused\nbroken\n!sender\n~problem=qf1: offset 17: no sender\n" },
    { "no recipient", "V8\nT1\nS<a@b>\n.\n", "refused\n~problem=qf1: offset 15: no recipient\n" },
    { "begins with a continuation", " V8\nT1\nS<a@b>\nRP:<x@y>\n.\n", "refused\n~problem=qf1: offset 0: unknown record, byte 0x20\n" },
    /* Not refused, but something is wrong. */
    { "recipient without colon", "V8\nT1\nS<a@b>\nRx@y\nRP:<z@y>\n.\n", "!refused\nbroken\ncomplete\nrcpt=z@y\n!rcpt=x\n~problem=qf1: offset 13: recipient without a colon\n" },
    { "recipient without address", "V8\nT1\nS<a@b>\nRP:<>\nRP:<z@y>\n.\n", "!refused\nbroken\nrcpt=z@y\n" },
    { "header without colon", "V8\nT1\nS<a@b>\nRP:<x@y>\nH??Subject\n.\n", "!refused\n!broken\n~problem=qf1: offset 22: header without a colon\n!Subject\n" },
    { "two senders", "V8\nT1\nS<a@b>\nS<c@d>\nRP:<x@y>\n.\n", "broken\n~problem=qf1: offset 13: a second sender record\n" },
    { "T of 17 digits", "V8\nT17730663361773066\nS<a@b>\nRP:<x@y>\n.\n", "!refused\nbroken\n!arrival_time\n~problem=qf1: offset 3: not a number\n" },
    { "T in words", "V8\nTnow\nS<a@b>\nRP:<x@y>\n.\n", "broken\n!arrival_time\n" },
    { "negative K and N", "V8\nT1\nK-5\nN-1\nS<a@b>\nRP:<x@y>\n.\n", "broken\n!last_attempt\n!attempts\n~problem=qf1: offset 6: the time\n" },
    { "negative T", "V8\nT-1\nS<a@b>\nRP:<x@y>\n.\n", "broken\n!arrival_time\n" },
    { "absurd I and P", "V8\nT1\nI9/9/99999999999999999999999\nP-7777777777777777777777\nS<a@b>\nRP:<x@y>\n.\n", WHOLE },
};

START_TEST(files)
{
    check_file(file_rows[_i].text, strlen(file_rows[_i].text), file_rows[_i].expected);
}
END_TEST

START_TEST(nul_ends_a_value)
{
    static const char text[] = "V8\nT1\nS<a@b>\nRP:<x@y>\0z\nH??Subject: a\0b\nH??X-\0Y: 1\n.\n";

    check_file(text, sizeof(text) - 1, "complete\n!refused\nbroken\nrcpt=x@y\nsubject=a\n!X-\n~problem=qf1: offset 13: NUL byte\n");
}
END_TEST

/* Every prefix of a good file is a file that is being written: no crash, no refusal, nothing half. */
START_TEST(prefixes)
{
    const char *text = file_rows[_i].text;
    struct told t;

    for (size_t n = 0; n + 2 < strlen(text); n++) {
        parse_memory(&t, text, n, LQ_FIELDS_ALL);
        ck_assert_msg(!t.control.refused && t.rec.problems.n == 0, "%zu bytes:\n%s", n, t.text.p);
        ck_assert(!t.control.complete);
        ck_assert(t.rec.broken & SEC_CONTROL);
        told_done(&t);
    }
}
END_TEST

/* --- $_ --- */

static const struct { const char *peer, *protocol, *expected; } peer_rows[] = {
    { "host.example [192.0.2.1]", "ESMTP", "client_address=192.0.2.1\nclient_name=host.example\n!flag\n!local" },
    { "host.example [192.0.2.1] (may be forged)", "ESMTP", "client_address=192.0.2.1\nclient_name=host.example\nflag=client-name-unverified\n" },
    { "[192.0.2.1]", "SMTP", "client_address=192.0.2.1\n!client_name\n!flag\n" },
    { "[192.0.2.1] (may be forged)", "SMTP", "client_address=192.0.2.1\n!client_name\nflag=client-name-unverified\n" },
    { "[IPv6:2001:db8:0:0:0:0:0:10]", "SMTP", "client_address=2001:db8::10\n!client_name\n" },
    { "h.example [IPv6:2001:db8::10]", "SMTP", "client_address=2001:db8::10\nclient_name=h.example\n" },
    { "bob@h.example [192.0.2.1]", "SMTP", "client_address=192.0.2.1\nclient_name=h.example\n!local_user\n!flag\n" },
    { "IDENT:bob@h.example [192.0.2.1]", "SMTP", "client_address=192.0.2.1\nclient_name=h.example\n" },
    { "IDENT:bob@[192.0.2.1]", "SMTP", "client_address=192.0.2.1\n!client_name\n" },
    { "a[b@h.example [192.0.2.1]", "SMTP", "client_address=192.0.2.1\nclient_name=h.example\n" },
    { "a@b@h.example [192.0.2.1]", "SMTP", "client_address=192.0.2.1\nclient_name=h.example\n" },
    { "localhost [127.0.0.1]", "ESMTP", "client_address=127.0.0.1\nclient_name=localhost\n!flag\n" },
    { "judy@localhost [127.0.0.1]", "ESMTP", "client_address=127.0.0.1\nclient_name=localhost\n!local_user\n" },
    { "judy@localhost", NULL, "local_user=judy\nflag=local\n!client\n" },
    { "judy@localhost", "ESMTP", "local_user=judy\nflag=local\nprotocol_name=ESMTP\n!client\n" },
    { "localhost", "", "flag=local\n!local_user\n!client\n!protocol\n" },
    { "[192.0.2.1]", "ESMTPA", "flag=authenticated\n!flag=tls\n" },
    { "[192.0.2.1]", "ESMTPS", "flag=tls\n!flag=authenticated\n" },
    { "unknown [192.0.2.1]", "SMTP", "client_address=192.0.2.1\n!client_name\n" },
    { "h.example [@192.0.2.7@192.0.2.8:192.0.2.9]", "SMTP", "client_address=192.0.2.9\nclient_name=h.example\n" },
    { "h.example [!@192.0.2.7:192.0.2.9]", "SMTP", "client_address=192.0.2.9\nclient_name=h.example\n" },
    { "h.example [nonsense]", "SMTP", "!client_address\nclient_name=h.example\n!flag=local\n" },
    { "h.example [", "SMTP", "flag=local\n!client\n" },
    { "[]", "SMTP", "!client\n" },
    { "@", "SMTP", "flag=local\n!local_user\n!client\n" },
    { "", "SMTP", "!flag\n!client\n" },
};

START_TEST(peers)
{
    char text[500];

    snprintf(text, sizeof(text), "V8\nT1\n$_%s\n%s%s\n$sh\nS<a@b>\nRP:<x@y>\n.\n", peer_rows[_i].peer,
             peer_rows[_i].protocol ? "$r" : "P1", peer_rows[_i].protocol ? peer_rows[_i].protocol : "");
    check_file(text, strlen(text), peer_rows[_i].expected);
}
END_TEST

START_TEST(a_status_is_for_the_next_recipient_only)
{
    const char *text = "V8\nT1\nS<a@b>\nMlater\nQrfc822;q@q\nrRFC822; r@r\nRP:<x@y>\nRP:<z@y>\n.\n";
    struct told t;

    parse_memory(&t, text, strlen(text), LQ_FIELDS_ALL);
    ck_assert_uint_eq(t.rec.recipients.n, 2);
    ck_assert_str_eq(t.rec.recipients.items[0].delay_reason.p, "later");
    ck_assert_ptr_null(t.rec.recipients.items[1].delay_reason.p);
    ck_assert_ptr_null(t.rec.recipients.items[1].orig_address.p);
    told_done(&t);
}
END_TEST

/* --- only what is asked for, and much of it --- */

START_TEST(what_nobody_wants_is_not_made)
{
    const char *text = file_rows[1].text;
    struct told t;

    parse_memory(&t, text, strlen(text), LQ_FIELD_BIT(LQ_SENDER));
    check_told(t.text.p, "sender=owner@example.org\ncomplete\n!rcpt\n!reason\n!Subject\n!subject\n");
    ck_assert_uint_eq(t.headers.n, 0);
    told_done(&t);
    parse_memory(&t, text, strlen(text), LQ_FIELD_BIT(LQ_RECIPIENT));
    check_told(t.text.p, "rcpt=erin@example.org\nrcpt=gina@example.org\n!  reason\n!  orig\n");
    told_done(&t);
    parse_memory(&t, text, strlen(text), LQ_FIELD_BIT(LQ_REASON_CLASS));
    check_told(t.text.p, "reason=Deferred: 451 4.7.1 Please try again later\n~reason_class=\n!rcpt\n");
    told_done(&t);
}
END_TEST

static struct buf many(const char *head, const char *format, size_t count, const char *tail)
{
    struct buf b = { 0 };

    buf_add_str(&b, head);
    for (size_t i = 0; i < count; i++)
        buf_printf(&b, format, i, i);
    buf_add_str(&b, tail);
    return b;
}

START_TEST(two_hundred_thousand_recipients)
{
    struct buf b = many("V8\nT1\nS<a@b>\n", "MDeferred: later\nrRFC822; u%zu@example.com\nRPFD:<u%zu@example.com>\n", 200000, "H??Subject: s\n.\n");
    struct told t;

    parse_memory(&t, b.p, b.n, LQ_FIELDS_ALL);
    check_told(t.text.p, "recipients=200000 stored=100000\nsubject=s\nreason=Deferred: later\ncomplete\n!refused\n~problem=more than 100000 recipients\n");
    ck_assert(!t.rec.arena.refused);
    told_done(&t);
    buf_done(&b);
}
END_TEST

START_TEST(a_header_of_a_megabyte)
{
    struct buf b = many("V8\nT1\nS<a@b>\nRP:<x@y>\nH??To: ", "u%zu@example.com,\n        %zu ", 40000, "\nH??Subject: s\n.\n");
    struct told t;

    ck_assert_uint_gt(b.n, 1 << 20);
    parse_memory(&t, b.p, b.n, LQ_FIELDS_ALL);
    check_told(t.text.p, "complete\n!refused\nSubject: s\nsubject=s\nrcpt=x@y\n");
    ck_assert_uint_gt(t.headers.n, 1 << 20);
    told_done(&t);
    buf_done(&b);
}
END_TEST

START_TEST(fifty_megabytes_of_headers)
{
    struct buf b = { 0 };
    char *line = malloc((size_t)50 << 20);
    struct told t;

    memset(line, 'x', (size_t)50 << 20);
    buf_add_str(&b, "V8\nT1\nS<a@b>\nRP:<x@y>\nH??Subject: s\nH??X: ");
    buf_add(&b, line, (size_t)50 << 20);
    buf_add_str(&b, "\n.\n");
    parse_memory(&t, b.p, b.n, LQ_FIELDS_ALL);
    check_told(t.text.p, "complete\n!refused\nsubject=s\n~problem=qf1: offset 36: record of more than 4 MiB\n");
    ck_assert_uint_le(t.headers.n, RECORD_HEADERS_MAX);
    told_done(&t);
    buf_done(&b);
    free(line);
}
END_TEST

START_TEST(an_address_of_100_kilobytes)
{
    struct buf b = { 0 };
    char line[100000];
    struct told t;

    memset(line, 'x', sizeof(line));
    buf_add_str(&b, "V8\nT1\nS<a@b>\nRP:<");
    buf_add(&b, line, sizeof(line));
    buf_add_str(&b, ">\nRP:<x@y>\n.\n");
    parse_memory(&t, b.p, b.n, LQ_FIELDS_ALL);
    check_told(t.text.p, "complete\n!refused\nrcpt=x@y\n~problem=qf1: offset 13: record of more than 64 KiB\n");
    ck_assert_uint_eq(t.rec.recipients.items[0].address.n, RECORD_TEXT_MAX);
    told_done(&t);
    buf_done(&b);
}
END_TEST

/* --- sendmail.cf --- */

static const struct { const char *name, *text, *base, *dir, *group; unsigned mode; } cf_rows[] = {
    { "plain", "# O QueueDirectory=/no\nV10/Berkeley\nO QueueDirectory=/var/spool/mqueue\n", "/var/spool/mqueue", "", "mqueue", 0600 },
    { "blanks and slash", "O QueueDirectory = /var/spool/mqueue/ \nO QueueFileMode=0660\n", "/var/spool/mqueue", "", "mqueue", 0660 },
    { "star", "O QueueDirectory=/var/spool/mqueue/q*\n", "/var/spool/mqueue", "q12", "mqueue", 0600 },
    { "bare star", "O QueueDirectory=/m/*\n", "/m", "x", "mqueue", 0600 },
    { "old form", "OQ/usr/spool/mqueue\nOA/etc/aliases\n", "/usr/spool/mqueue", "", "mqueue", 0600 },
    { "CRLF, other case", "O queuedirectory=/m\r\n", "/m", "", "mqueue", 0600 },
    { "group", "O QueueDirectory=/m/q*\nQfast, P=/m/fast, F=f, R=2\nQslow, R=0, Path=/m/slow/s*\n", "/m", "fast", "fast", 0600 },
    { "group with a star", "O QueueDirectory=/m/q*\nQfast, P=/m/fast\nQslow, R=0, Path=/m/slow/s*\n", "/m", "slow/s1", "slow", 0600 },
    { "a group inside the default's star", "O QueueDirectory=/m/q*\nQfast, P=/m/qfast\n", "/m", "qfast", "fast", 0600 },
    { "no group", "O QueueDirectory=/m/q*\nQfast, P=/m/fast\n", "/m", "elsewhere", "mqueue", 0600 },
    { "group elsewhere", "O QueueDirectory=/m/q*\nQfast, P=/n/fast\n", "/m", "fast", "mqueue", 0600 },
    { "group without path", "O QueueDirectory=/m/q*\nQfast\nQ\nQ,\n", "/m", "q1", "mqueue", 0600 },
    { "the last one counts", "O QueueDirectory=/a\nO QueueDirectory=/b\n", "/b", "", "mqueue", 0600 },
    { "none", "O Timeout.ident=5s\n", NULL, NULL, NULL, 0 },
    { "relative", "O QueueDirectory=mqueue\n", NULL, NULL, NULL, 0 },
    { "a macro", "O QueueDirectory=/m/$x\n", NULL, NULL, NULL, 0 },
    { "a star is one level", "O QueueDirectory=/m/q*\nQa, P=/m/a*\n", "/m", "ab/c", "mqueue", 0600 },
    { "empty", "", NULL, NULL, NULL, 0 },
};

START_TEST(configurations)
{
    struct sendmail_cf cf;

    ck_assert(sendmail_cf_parse(&cf, bytes_from(cf_rows[_i].text, strlen(cf_rows[_i].text))));
    if (!cf_rows[_i].base) {
        ck_assert_uint_eq(cf.count, 0);
        ck_assert_ptr_null(cf.base);
        return;
    }
    ck_assert_str_eq(cf.base, cf_rows[_i].base);
    ck_assert_uint_eq(cf.file_mode, cf_rows[_i].mode);
    ck_assert_str_eq(sendmail_cf_group(&cf, cf_rows[_i].dir), cf_rows[_i].group);
    sendmail_cf_done(&cf);
}
END_TEST

START_TEST(a_group_without_a_name_is_none)
{
    struct bytes text = BYTES("O QueueDirectory=/m/q*\nQ\0x, P=/m/q1\n");
    struct sendmail_cf cf;

    ck_assert(sendmail_cf_parse(&cf, text));
    ck_assert_str_eq(sendmail_cf_group(&cf, "q1"), "mqueue");
    sendmail_cf_done(&cf);
}
END_TEST

START_TEST(more_groups_than_sendmail_takes)
{
    struct buf b = many("O QueueDirectory=/m\n", "Qg%zu, P=/m/%zu\n", 1000, "");
    struct sendmail_cf cf;

    ck_assert(sendmail_cf_parse(&cf, bytes_from(b.p, b.n)));
    ck_assert_uint_eq(cf.count, SENDMAIL_GROUPS_MAX);
    sendmail_cf_done(&cf);
    buf_done(&b);
}
END_TEST

#define COUNT(a) ((int)(sizeof(a) / sizeof((a)[0])))

static Suite *suite(void)
{
    Suite *s = suite_create("sendmail");
    TCase *files_case = tcase_create("files"), *cf = tcase_create("sendmail.cf");

    tcase_set_timeout(files_case, 120);
    tcase_add_loop_test(files_case, files, 0, COUNT(file_rows));
    tcase_add_loop_test(files_case, prefixes, 0, 5);
    tcase_add_loop_test(files_case, peers, 0, COUNT(peer_rows));
    tcase_add_test(files_case, nul_ends_a_value);
    tcase_add_test(files_case, a_status_is_for_the_next_recipient_only);
    tcase_add_test(files_case, what_nobody_wants_is_not_made);
    tcase_add_test(files_case, two_hundred_thousand_recipients);
    tcase_add_test(files_case, a_header_of_a_megabyte);
    tcase_add_test(files_case, fifty_megabytes_of_headers);
    tcase_add_test(files_case, an_address_of_100_kilobytes);
    tcase_add_loop_test(cf, configurations, 0, COUNT(cf_rows));
    tcase_add_test(cf, a_group_without_a_name_is_none);
    tcase_add_test(cf, more_groups_than_sendmail_takes);
    suite_add_tcase(s, files_case);
    suite_add_tcase(s, cf);
    return s;
}

int main(void)
{
    SRunner *runner = srunner_create(suite());
    int failed;

    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
