/* Header fields: taking apart, RFC 2047, Received lines of every dialect, dates. */
#include <check.h>
#include <iconv.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "header.h"

#define COUNT(a) (int)(sizeof(a) / sizeof((a)[0]))

static struct bytes text(const char *s)
{
    return bytes_from(s, strlen(s));
}

/* --- fields --- */

static const struct { const char *name, *block, *fields; } field_rows[] = {     /* name=value| */
    { "two",               "A: b\nC: d\n",                   "A= b|C= d|" },
    { "no line end",       "A: b",                           "A= b|" },
    { "CR LF",             "A: b\r\nC:d\r\n",                "A= b|C=d|" },
    { "folded",            "A: b\n c\n\td\nE: f\n",          "A= b\n c\n\td|E= f|" },
    { "folded, CR LF",     "A: b\r\n c\r\nE: f\r\n",         "A= b\r\n c|E= f|" },
    { "folded at the end", "A: b\n c",                       "A= b\n c|" },
    { "blank line folds",  "A: b\n \nC: d\n",                "A= b\n |C= d|" },
    { "empty value",       "A:\nC: d\n",                     "A=|C= d|" },
    { "value below",       "A:\n b\n",                       "A=\n b|" },
    { "blank before colon", "A : b\nC\t:d\n",                "A= b|C=d|" },
    { "body",              "A: b\n\nC: d\n",                 "A= b|" },
    { "body, CR LF",       "A: b\r\n\r\nC: d\r\n",           "A= b|" },
    { "only body",         "\nC: d\n",                       "" },
    { "nothing",           "",                               "" },
    { "no colon",          "junk\nA: b\n",                   "A= b|" },
    { "junk is folded",    "junk\n C: d\nA: b\n",            "A= b|" },
    { "begins folded",     " C: d\nA: b\n",                  "A= b|" },
    { "mbox line",         "From a@b Sat Nov 21 20:35:58\nA: b\n", "A= b|" },
    { "no name",           ": x\nA: b\n",                    "A= b|" },
    { "8-bit name",        "\xc3\x84: x\nA: b\n",            "A= b|" },
    { "two colons",        "A: b: c\n",                      "A= b: c|" },
};

START_TEST(fields)
{
    struct bytes block = text(field_rows[_i].block);
    struct buf b = { 0 };
    struct header h;

    while (header_next(&block, &h)) {
        buf_add(&b, h.name.p, h.name.n);
        buf_add_char(&b, '=');
        buf_add(&b, h.value.p, h.value.n);
        buf_add_char(&b, '|');
    }
    buf_add_char(&b, '\0');
    ck_assert_str_eq(b.p, field_rows[_i].fields);
    buf_done(&b);
}
END_TEST

static const struct { const char *in, *out; } unfold_rows[] = {
    { " a", "a" }, { "a\n b", "a b" }, { "a\r\n\tb", "a\tb" }, { "a  \n  b", "a    b" }, { "\n a", "a" }, { "\n \n a\n \n", "a" },
    { " \t a \t ", "a" }, { "", "" }, { " \n ", "" }, { "a\n", "a" }, { "a\rb", "a\rb" }, { "a\n b \n", "a b" },
};

START_TEST(unfolds)
{
    struct buf b = { 0 };

    buf_add_str(&b, "left over");
    header_unfold(text(unfold_rows[_i].in), &b);
    buf_add_char(&b, '\0');
    ck_assert_str_eq(b.p, unfold_rows[_i].out);
    buf_done(&b);
}
END_TEST

/* --- RFC 2047; NULL: stays as it stands --- */

static const struct { const char *name, *in, *out; } decode_rows[] = {
    { "plain",              "hello",                                     NULL },
    { "nothing",            "",                                          NULL },
    { "Q",                  "=?utf-8?Q?caf=C3=A9?=",                     "café" },
    { "q, lower case",      "=?utf-8?q?caf=c3=a9?=",                     "café" },
    { "B",                  "=?UTF-8?B?Y2Fmw6k=?=",                      "café" },
    { "b, no padding",      "=?UTF-8?b?Y2Fmw6k?=",                       "café" },
    { "underscore",         "=?utf-8?Q?a_b=5Fc?=",                       "a b_c" },
    { "language",           "=?US-ASCII*en?Q?Keith_Moore?=",             "Keith Moore" },
    { "empty word",         "a =?utf-8?Q?\?= b",                       "a  b" },
    { "text around",        "Re: =?utf-8?Q?=C3=A9?= and",                "Re: é and" },
    { "no blanks around",   "x=?utf-8?Q?=C3=A9?=y",                      "xéy" },
    { "in quotes",          "\"=?utf-8?Q?J=C3=B6rg?=\" <j@b.example>",   "\"Jörg\" <j@b.example>" },
    { "two join",           "=?utf-8?Q?a?= =?utf-8?Q?b?=",               "ab" },
    { "two join, tab",      "=?utf-8?Q?a?= \t =?iso-8859-1?Q?b?=",       "ab" },
    { "text keeps blanks",  "=?utf-8?Q?a?= b =?utf-8?Q?c?=",             "a b c" },
    { "blanks at the end",  "=?utf-8?Q?a?=  ",                           "a  " },
    { "split character, B", "=?utf-8?B?4oI=?= =?utf-8?B?rA==?=",         "€" },
    { "split character, Q", "=?utf-8?Q?=E2?= =?utf-8?Q?=82?= =?utf-8?Q?=AC!?=", "€!" },
    { "split, other encoding", "=?utf-8?Q?=E2=82?= =?UTF-8?B?rA==?=",    "€" },
    { "split, other charset", "=?utf-8?Q?=E2=82?= =?iso-8859-1?Q?=AC?=", "=?utf-8?Q?=E2=82?= ¬" },
    { "split, text between", "=?utf-8?Q?=E2=82?= x =?utf-8?Q?=AC?=",     NULL },
    { "split, then broken", "=?utf-8?Q?=E2=82?= =?utf-8?Q?=FFa?= =?utf-8?Q?b?=", "=?utf-8?Q?=E2=82?= =?utf-8?Q?=FFa?= b" },
    { "question mark in Q", "=?utf-8?Q?why?_really?=",                   "why? really" },
    { "8-bit in Q",         "=?utf-8?Q?caf\xc3\xa9?=",                   "café" },
    { "more than 75 bytes", "=?utf-8?Q?0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890?=",
      "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890" },

    { "ISO-8859-1",         "=?iso-8859-1?Q?=E9t=E9_=80?=",              "été \xc2\x80" },
    { "windows-1252",       "=?Windows-1252?Q?=80=93=E9?=",              "€“é" },
    { "us-ascii",           "=?us-ascii?Q?a=7Eb?=",                      "a~b" },
    { "GB2312",             "=?gb2312?B?xOO6ww==?=",                     "你好" },
    { "GB2312, of GBK",     "=?GB2312?B?6Xc=?=",                         "閣" },
    { "GB2312, split",      "=?gb2312?B?xA==?= =?gb2312?B?47rD?=",       "你好" },
    { "Shift_JIS",          "=?Shift_JIS?B?k/qWe4zqXA==?=",              "日本語\\" },
    { "ISO-2022-JP",        "=?iso-2022-jp?B?GyRCRnxLXBsoQg==?=",        "日本" },
    { "ISO-2022-JP, two",   "=?iso-2022-jp?B?GyRCRnwbKEI=?= =?ISO-2022-JP?B?GyRCS1wbKEI=?=", "日本" },
    { "EUC-KR",             "=?euc-kr?B?x9GxuQ==?=",                     "한국" },
    { "Big5",               "=?big5?B?pKSk5Q==?=",                       "中文" },
    { "KOI8-R",             "=?koi8-r?B?8NLJ18XU?=",                     "Привет" },
    { "windows-1251",       "=?windows-1251?B?z/Do4uXy?=",               "Привет" },
    { "ISO-8859-2",         "=?iso-8859-2?Q?=B1=E6=EA?=",                "ąćę" },

    { "unknown charset",    "=?x-unknown?Q?abc?=",                       NULL },
    { "charset of no mail", "=?IBM037?Q?=C1?=",                          NULL },
    { "iconv's options, 2", "=?gbk//TRANSLIT?Q?=C4=E3?=",                NULL },
    { "iconv's options",    "=?koi8-r//IGNORE?Q?=F0?=",                  NULL },
    { "unknown, known",     "=?x-unknown?Q?a?= =?utf-8?Q?b?=",           "=?x-unknown?Q?a?= b" },
    { "known, unknown",     "=?utf-8?Q?a?= =?x-unknown?Q?b?=",           "a =?x-unknown?Q?b?=" },
    { "blank in Q",         "=?utf-8?Q?a b?=",                           NULL },
    { "bad hex",            "=?utf-8?Q?=G1?=",                           NULL },
    { "cut hex",            "=?utf-8?Q?a=4?=",                           NULL },
    { "bad base64",         "=?utf-8?B?Y2F*?=",                          NULL },
    { "cut base64",         "=?utf-8?B?Y2Fmw?=",                         NULL },
    { "padding inside",     "=?utf-8?B?Y2E=Y2E=?=",                      NULL },
    { "unknown encoding",   "=?utf-8?X?abc?=",                           NULL },
    { "no end",             "=?utf-8?Q?abc",                             NULL },
    { "no text",            "=?utf-8?Q?=",                               NULL },
    { "no charset",         "=?\?Q?abc?=",                             NULL },
    { "only a language",    "=?*en?Q?abc?=",                             NULL },
    { "begins twice",       "=?=?utf-8?Q?a?=",                           "=?a" },
    { "invalid UTF-8",      "=?utf-8?Q?=FF?=",                           NULL },
    { "overlong",           "=?utf-8?Q?=C0=AF?=",                        NULL },
    { "overlong, 3",        "=?utf-8?Q?=E0=80=AF?=",                     NULL },
    { "surrogate",          "=?utf-8?Q?=ED=A0=80?=",                     NULL },
    { "beyond Unicode",     "=?utf-8?Q?=F4=90=80=80?=",                  NULL },
    { "cut UTF-8",          "=?utf-8?Q?=E2=82?=",                        NULL },
    { "8-bit ASCII",        "=?us-ascii?Q?=E9?=",                        NULL },
    { "NUL, table",         "=?koi8-r?Q?a=00b?=",                        NULL },
    { "not in 1252",        "=?windows-1252?Q?=81?=",                    NULL },
    { "not in GBK",         "=?gbk?Q?=FF=FF?=",                          NULL },
    { "NUL",                "=?utf-8?Q?a=00b?=",                         NULL },
    { "NUL, iconv",         "=?gb2312?Q?a=00b?=",                        NULL },
    { "NUL, Latin",         "=?iso-8859-1?Q?a=00b?=",                    NULL },
    { "raw bytes stay",     "\xe9 =?utf-8?Q?=C3=A9?=",                   "\xe9 é" },
};

START_TEST(decodes)
{
    const char *out = decode_rows[_i].out ? decode_rows[_i].out : decode_rows[_i].in;
    struct buf b = { 0 };

    buf_add_str(&b, "left over");
    header_decode(text(decode_rows[_i].in), &b);
    buf_add_char(&b, '\0');
    ck_assert_str_eq(b.p, out);
    buf_done(&b);
}
END_TEST

/* Our tables against the system's: every byte of every single-byte charset, also those that are no character. */
static const struct { const char *mail, *system; } table_rows[] = {
    { "ISO-8859-1", "ISO-8859-1" }, { "ISO-8859-2", "ISO-8859-2" }, { "ISO-8859-4", "ISO-8859-4" }, { "ISO-8859-5", "ISO-8859-5" },
    { "ISO-8859-7", "ISO-8859-7" }, { "ISO-8859-8", "ISO-8859-8" }, { "ISO-8859-8-I", "ISO-8859-8" }, { "ISO-8859-9", "ISO-8859-9" },
    { "ISO-8859-13", "ISO-8859-13" }, { "ISO-8859-15", "ISO-8859-15" }, { "windows-1250", "CP1250" }, { "windows-1251", "CP1251" },
    { "windows-1252", "CP1252" }, { "windows-1253", "CP1253" }, { "windows-1254", "CP1254" }, { "windows-1256", "CP1256" },
    { "windows-1257", "CP1257" }, { "windows-874", "CP874" }, { "koi8-r", "KOI8-R" }, { "koi8-u", "KOI8-U" }, { "cp866", "CP866" },
};

START_TEST(tables_agree_with_the_system)
{
    iconv_t cd = iconv_open("UTF-8", table_rows[_i].system);
    struct buf out = { 0 };

    ck_assert(cd != (iconv_t)-1);
    for (int c = 1; c < 256; c++) {
        char in = (char)c, text[8], word[64], *from = &in, *to = text;
        size_t in_left = 1, room = sizeof(text);
        int n = snprintf(word, sizeof(word), "=?%s?q?=%02X?=", table_rows[_i].mail, c);
        bool known = iconv(cd, &from, &in_left, &to, &room) != (size_t)-1;

        header_decode(bytes_from(word, (size_t)n), &out);
        ck_assert_uint_eq(out.n, known ? sizeof(text) - room : (size_t)n);
        ck_assert_mem_eq(out.p, known ? text : word, out.n);
    }
    iconv_close(cd);
    buf_done(&out);
}
END_TEST

/* A word whose text fills the decoder's window many times, in characters that straddle its ends. */
START_TEST(long_words_come_out_whole)
{
    struct buf in = { 0 }, out = { 0 };
    const int n = 5000;

    buf_add_str(&in, _i ? "=?gb2312?Q?x" : "=?utf-8?Q?x");
    for (int i = 0; i < n; i++)
        buf_add_str(&in, _i ? "=C4=E3" : "=E2=82=AC");
    buf_add_str(&in, "?=");
    header_decode(bytes_from(in.p, in.n), &out);
    ck_assert_uint_eq(out.n, 1 + 3 * (size_t)n);
    for (int i = 0; i < n; i++)
        ck_assert_mem_eq(out.p + 1 + 3 * i, _i ? "你" : "€", 3);
    buf_done(&in);
    buf_done(&out);
}
END_TEST

/* Texts that make a decoder look ahead again and again, as long as a record's may be. */
static const char *const hostile_pieces[] = {
    "=?", "=?a?q?x", "=?utf-8?q?=E2?= ", "=?utf-8?b?", "=?utf-8?q?=E2=82?=\t=?utf-8?q?=AC?= =?utf-8?q?=FF?=", "=?utf-8?q? ?= ",
    "=?gbk?q?=C4?= ", "=?utf-8?q?\?=",
};

START_TEST(hostile_texts_end)
{
    struct buf in = { 0 }, out = { 0 };

    while (in.n < 4 * RECORD_TEXT_MAX)
        buf_add_str(&in, hostile_pieces[_i]);
    header_decode(bytes_from(in.p, in.n), &out);
    ck_assert_uint_le(out.n, in.n);
    buf_done(&in);
    buf_done(&out);
}
END_TEST

/* --- Received --- */

static const struct {
    const char *name, *value;
    const char *from, *helo, *address, *by, *with, *id;     /* NULL: not there */
    int64_t time;
} hop_rows[] = {
    { "Postfix, TLS and SASL",
      "from pc7 (client.example.org [192.0.2.10])\n\t(using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits)\n\t"
      " key-exchange X25519)\n\t(No client certificate requested)\n\t(Authenticated sender: user7@mx.example.com)\n\t"
      "by mx.example.com (Postfix) with ESMTPSA id 4jX48y4ynDz1blN8\n\tfor <r@example.net>; Sat, 21 Nov 2026 20:48:06 +0000 (UTC)",
      "client.example.org", "pc7", "192.0.2.10", "mx.example.com", "ESMTPSA", "4jX48y4ynDz1blN8", 1795294086 },
    { "Postfix, unknown, IPv6",
      "from [10.0.0.5] (unknown [IPv6:2001:DB8:0::5])\n\tby mx.example.com (Postfix) with ESMTP id A1B2C3; 21 Nov 2026 20:48:06 +0000",
      NULL, "[10.0.0.5]", "2001:db8::5", "mx.example.com", "ESMTP", "A1B2C3", 1795294086 },
    { "Postfix, local",
      "by mx.example.com (Postfix, from userid 1000)\n\tid A1B2C3; Sat, 21 Nov 2026 21:48:06 +0100 (CET)",
      NULL, NULL, NULL, "mx.example.com", NULL, "A1B2C3", 1795294086 },
    { "Postfix, internal",
      "by mx.example.com (Postfix)\n\tid A1B2C3; Sat, 21 Nov 2026 20:48:06 +0000",
      NULL, NULL, NULL, "mx.example.com", NULL, "A1B2C3", 1795294086 },
    { "Exim, verified name and HELO",
      "from client.example.org ([192.0.2.10]:4242 helo=pc7 ident=root)\n\tby mx.example.com with esmtpsa  (TLS1.3) tls TLS_AES_256_GCM_SHA384\n\t"
      "(Exim 4.96)\n\t(envelope-from <a@example.org>)\n\tid 1xUs0E-0000NA-0q\n\tfor r@example.net;\n\tSat, 21 Nov 2026 20:48:06 +0000",
      "client.example.org", "pc7", "192.0.2.10", "mx.example.com", "esmtpsa", "1xUs0E-0000NA-0q", 1795294086 },
    { "Exim, HELO left out",
      "from client.example.org ([2001:db8::5])\n\tby mx.example.com with esmtpsa (TLS1.3)\n\tid 1xUs0E-000000000NA-0q2H;\n\tSat, 21 Nov 2026 20:48:06 +0000",
      "client.example.org", NULL, "2001:db8::5", "mx.example.com", "esmtpsa", "1xUs0E-000000000NA-0q2H", 1795294086 },
    { "Exim, no name",
      "from [192.0.2.10] (helo=pc7)\n\tby mx.example.com with esmtp (Exim 4.96)\n\tid 1xUrqZ-0004l7-26;\n\tSat, 21 Nov 2026 20:48:06 +0000",
      NULL, "pc7", "192.0.2.10", "mx.example.com", "esmtp", "1xUrqZ-0004l7-26", 1795294086 },
    { "Exim, no name, port, literal HELO",
      "from [2001:db8::5]:4242 (helo=[10.0.0.5])\n\tby mx.example.com with esmtp (Exim 4.98)\n\tid X;\n\tSat, 21 Nov 2026 20:48:06 +0000",
      NULL, "[10.0.0.5]", "2001:db8::5", "mx.example.com", "esmtp", "X", 1795294086 },
    { "Exim, address alone",
      "from [192.0.2.10]\n\tby mx.example.com with esmtp (Exim 4.96)\n\tid X;\n\tSat, 21 Nov 2026 20:48:06 +0000",
      NULL, NULL, "192.0.2.10", "mx.example.com", "esmtp", "X", 1795294086 },
    { "Exim, local",
      "from alice by mx.example.com with local (Exim 4.96)\n\t(envelope-from <alice@example.com>)\n\tid 1xUroU-0003xZ-2Y;\n\tSat, 21 Nov 2026 20:48:06 +0000",
      "alice", NULL, NULL, "mx.example.com", "local", "1xUroU-0003xZ-2Y", 1795294086 },
    { "Exim, suppressed", "; Sat, 05 Mar 2005 05:20:00 +0000", NULL, NULL, NULL, NULL, NULL, NULL, 1110000000 },
    { "Sendmail, forged",
      "from pc7.example.net (client.example.net [192.0.2.10] (may be forged))\n\t(authenticated bits=0)\n\t"
      "by mx.example.com (8.17.1.9/8.17.1.9) with ESMTPSA id 629EPaQe004717\n\t(version=TLSv1.3 cipher=X bits=256 verify=NOT);\n\tMon, 9 Mar 2026 14:25:36 GMT",
      NULL, "pc7.example.net", "192.0.2.10", "mx.example.com", "ESMTPSA", "629EPaQe004717", 1773066336 },
    { "Sendmail, verified",
      "from pc7 (IDENT:jim@client.example.net. [192.0.2.10]) by mx.example.com (8.8.8/8.8.8) with SMTP id AAA06703; Mon, 9 Mar 2026 14:25:36 GMT",
      "client.example.net", "pc7", "192.0.2.10", "mx.example.com", "SMTP", "AAA06703", 1773066336 },
    { "Sendmail, no name",
      "from [IPv6:2001:db8::99] ([IPv6:2001:db8:0:0:0:0:0:10])\n\tby mx.example.com (8.17.1.9/8.17.1.9) with ESMTP id 629EQeQe004711;\n\tMon, 9 Mar 2026 14:25:36 GMT",
      NULL, "[IPv6:2001:db8::99]", "2001:db8::10", "mx.example.com", "ESMTP", "629EQeQe004711", 1773066336 },
    { "Sendmail, local",
      "(from judy@localhost)\n\tby host.example.com (8.17.1.9/8.17.1.9/Submit) id 629EVeQe004717;\n\tMon, 9 Mar 2026 14:25:36 GMT",
      "judy@localhost", NULL, NULL, "host.example.com", NULL, "629EVeQe004717", 1773066336 },
    { "qmail, local", "(qmail 4711 invoked by uid 1000); 9 Mar 2026 14:25:36 -0000", NULL, NULL, NULL, NULL, NULL, NULL, 1773066336 },
    { "qmail, network",
      "from unknown (HELO pc7) (jim@192.0.2.10)\n  by mx.example.com with SMTP; 9 Mar 2026 14:25:36 -0000",
      NULL, "pc7", "192.0.2.10", "mx.example.com", "SMTP", NULL, 1773066336 },
    { "qmail, name",
      "from client.example.org (HELO pc7) (192.0.2.10)\n  by mx.example.com with SMTP; 9 Mar 2026 14:25:36 -0000",
      "client.example.org", "pc7", "192.0.2.10", "mx.example.com", "SMTP", NULL, 1773066336 },
    { "Exchange",
      "from EX1.example.org (10.0.0.1) by EX2.example.org (10.0.0.2) with Microsoft\n SMTP Server (version=TLS1_2,\n cipher=X) id 15.1.2308.8 via Mailbox\n Transport; Mon, 9 Mar 2026 15:25:36 +0100",
      NULL, "EX1.example.org", "10.0.0.1", "EX2.example.org", "Microsoft SMTP Server", "15.1.2308.8", 1773066336 },
    { "Gmail, in",
      "from mail-x.example.com (mail-x.example.com. [192.0.2.41])\n        by mx.example.org with SMTPS id x5sor1.2.2026.03.09\n        for <r@example.org>\n        (Google Transport Security);\n        Mon, 09 Mar 2026 07:25:36 -0700 (PDT)",
      "mail-x.example.com", "mail-x.example.com", "192.0.2.41", "mx.example.org", "SMTPS", "x5sor1.2.2026.03.09", 1773066336 },
    { "Gmail, inside",
      "by 2002:a05:6214:4a8b:b0:6c3:5c11:1aed with SMTP id pi11csp1;\n        Mon, 9 Mar 2026 07:25:36 -0700 (PDT)",
      NULL, NULL, NULL, "2002:a05:6214:4a8b:b0:6c3:5c11:1aed", "SMTP", "pi11csp1", 1773066336 },
    { "web mail", "from [198.51.100.7] by web1.example.org via HTTP; Mon, 9 Mar 2026 14:25:36 GMT",
      NULL, NULL, "198.51.100.7", "web1.example.org", NULL, NULL, 1773066336 },
    { "Courier",
      "from pc7 (client.example.org [::ffff:192.0.2.10])\n  (AUTH: LOGIN jim, TLS: TLSv1/SSLv3,128bits,RC4-SHA)\n  by mx.example.com with ESMTPSA; Mon, 09 Mar 2026 14:25:36 +0000\n  id 00000000001",
      "client.example.org", "pc7", "192.0.2.10", "mx.example.com", "ESMTPSA", NULL, 1773066336 },
    { "OpenSMTPD", "from pc7 (<unknown> [192.0.2.10])\n\tby mx.example.com (OpenSMTPD) with ESMTPS id 1a2b (TLSv1.3:X:256:NO)\n\tfor <r@example.net>;\n\tMon, 9 Mar 2026 14:25:36 +0000 (UTC)",
      NULL, "pc7", "192.0.2.10", "mx.example.com", "ESMTPS", "1a2b", 1773066336 },
    { "RFC 5321", "from pc7 (client.example.org [192.0.2.10]) BY mx.example.com VIA TCP WITH ESMTP ID 5 FOR <a@b>; Mon, 9 Mar 2026 14:25:36 +0000",
      "client.example.org", "pc7", "192.0.2.10", "mx.example.com", "ESMTP", "5", 1773066336 },
    { "no blank before the address", "from pc7 (client.example.org[192.0.2.10]) by mx with SMTP; Mon, 9 Mar 2026 14:25:36 +0000",
      "client.example.org", "pc7", "192.0.2.10", "mx", "SMTP", NULL, 1773066336 },
    { "no parentheses", "from pc7 [192.0.2.10] by mx [192.0.2.11] with SMTP; Mon, 9 Mar 2026 14:25:36 +0000",
      NULL, "pc7", "192.0.2.10", "mx", "SMTP", NULL, 1773066336 },
    { "ident and brackets", "from pc7 (jim@[192.0.2.10]) by mx (8.11.6/8.11.6) with SMTP id h8; Mon, 9 Mar 2026 14:25:36 +0000",
      NULL, "pc7", "192.0.2.10", "mx", "SMTP", "h8", 1773066336 },
    { "address and port", "from pc7 (192.0.2.10:23198) by mx with [XMail 1.20 ESMTP Server] id <S72E>; Mon, 9 Mar 2026 14:25:36 +0000",
      NULL, "pc7", "192.0.2.10", "mx", "[XMail 1.20 ESMTP Server]", "<S72E>", 1773066336 },
    { "empty HELO", "from 192.0.2.10  (EHLO ) (192.0.2.10) by mx with SMTP; Mon, 9 Mar 2026 14:25:36 +0000",
      NULL, NULL, "192.0.2.10", "mx", "SMTP", NULL, 1773066336 },
    { "account and HELO", "from [192.0.2.10] (account jim HELO [10.0.0.5]) by mx (CommuniGate Pro SMTP 5) with ESMTPA id 2; Mon, 9 Mar 2026 14:25:36 +0000",
      NULL, "[10.0.0.5]", "192.0.2.10", "mx", "ESMTPA", "2", 1773066336 },
    { "address, comma, HELO", "from client.example.org(192.0.2.10, HELO pc7) by mx via smap (V1.3) id xma; Mon, 9 Mar 2026 14:25:36 +0000",
      "client.example.org", "pc7", "192.0.2.10", "mx", NULL, "xma", 1773066336 },
    { "bare address", "from 192.0.2.10 by mx with HTTP; Mon, 9 Mar 2026 14:25:36 +0000",
      NULL, NULL, "192.0.2.10", "mx", "HTTP", NULL, 1773066336 },
    { "address as HELO", "from 10.0.0.5 (client.example.org [192.0.2.10]) by mx with SMTP; Mon, 9 Mar 2026 14:25:36 +0000",
      "client.example.org", "10.0.0.5", "192.0.2.10", "mx", "SMTP", NULL, 1773066336 },
    { "two protocols", "from pc7 (client.example.org [192.0.2.10]) by mx with ESMTP with STARTTLS (a) b id 5; Mon, 9 Mar 2026 14:25:36 +0000",
      "client.example.org", "pc7", "192.0.2.10", "mx", "ESMTP", "5", 1773066336 },
    { "words behind the protocol's comment", "from pc7 (client.example.org [192.0.2.10]) by mx with ESMTPS (TLS1.3) over IP id 5; Mon, 9 Mar 2026 14:25:36 +0000",
      "client.example.org", "pc7", "192.0.2.10", "mx", "ESMTPS", "5", 1773066336 },
    { "mail pickup service", "from mail pickup service by mx with Microsoft SMTPSVC; Mon, 9 Mar 2026 14:25:36 +0000",
      NULL, NULL, NULL, "mx", "Microsoft SMTPSVC", NULL, 1773066336 },
    { "only a comment", "from ([192.0.2.10]) by mx with ESMTP ; Mon, 9 Mar 2026 14:25:36 +0000",
      NULL, NULL, "192.0.2.10", "mx", "ESMTP", NULL, 1773066336 },
    { "a client called by", "from by (with [192.0.2.10]) by by (id) with SMTP id with1; Mon, 9 Mar 2026 14:25:36 +0000",
      "with", "by", "192.0.2.10", "by", "SMTP", "with1", 1773066336 },
    { "semicolon and parenthesis in quotes", "from \"a;(b\" by mx.example.com; Mon, 9 Mar 2026 14:25:36 +0000",
      NULL, "\"a;(b\"", NULL, "mx.example.com", NULL, NULL, 1773066336 },
    { "nested comments", "from pc7 (a (b (c [192.0.2.99]) \\) d) e [192.0.2.98]) by mx (x (y)); Mon, 9 Mar 2026 14:25:36 +0000",
      NULL, "pc7", "192.0.2.98", "mx", NULL, NULL, 1773066336 },
    { "an address in the account", "from pc7 (client.example.org [192.0.2.10]) (Authenticated sender: [192.0.2.66]) by mx; Mon, 9 Mar 2026 14:25:36 +0000",
      "client.example.org", "pc7", "192.0.2.10", "mx", NULL, NULL, 1773066336 },
    { "nothing", "", NULL, NULL, NULL, NULL, NULL, NULL, 0 },
    { "open comment", "from pc7 (x [192.0.2.10", NULL, "pc7", NULL, NULL, NULL, NULL, 0 },
    { "no date", "from pc7 by mx id 5", NULL, "pc7", NULL, "mx", NULL, "5", 0 },
    { "bad date", "from pc7 by mx id 5; yesterday", NULL, "pc7", NULL, "mx", NULL, "5", 0 },
    { "ends early", "from", NULL, NULL, NULL, NULL, NULL, NULL, 0 },
};

static void check_part(const char *row, const char *part, struct lq_str got, const char *expected)
{
    ck_assert_msg((got.p == NULL) == (expected == NULL) && (!expected || strcmp(got.p, expected) == 0),
                  "%s: %s is '%s', not '%s'", row, part, got.p ? got.p : "(none)", expected ? expected : "(none)");
}

START_TEST(hops)
{
    const char *name = hop_rows[_i].name;
    struct lq_record r = { 0 };
    struct lq_hop hop = { .time = 0 };

    record_reset(&r);
    header_received(&r, text(hop_rows[_i].value), &hop);
    check_part(name, "from", hop.from, hop_rows[_i].from);
    check_part(name, "helo", hop.helo, hop_rows[_i].helo);
    check_part(name, "address", hop.address, hop_rows[_i].address);
    check_part(name, "by", hop.by, hop_rows[_i].by);
    check_part(name, "with", hop.with, hop_rows[_i].with);
    check_part(name, "id", hop.id, hop_rows[_i].id);
    ck_assert_int_eq(hop.time, hop_rows[_i].time);
    record_done(&r);
}
END_TEST

static const char *const hostile_hops[] = { "(", ")", "\"", "<", "\\", ";", "from ", "from (", "from x ([", "by;", "(a)", "x[" };

START_TEST(hostile_hops_end)
{
    struct lq_record r = { 0 };
    struct lq_hop hop = { .time = 0 };
    struct buf in = { 0 };

    record_reset(&r);
    while (in.n < 1000000)
        buf_add_str(&in, hostile_hops[_i]);
    header_received(&r, bytes_from(in.p, in.n), &hop);
    buf_done(&in);
    record_done(&r);
}
END_TEST

/* --- dates; -1: refused --- */

static const struct { const char *in; int64_t out; } date_rows[] = {
    { "Mon, 9 Mar 2026 14:25:36 +0100 (CET)", 1773062736 }, { "9 Mar 2026 14:25:36 +0100", 1773062736 },
    { "9 Mar 2026 14:25 +0100", 1773062700 }, { "  Mon , 09 Mar 2026 14:25:36 -0330", 1773078936 },
    { "Mon,9 MAR 2026 14:25:36 GMT", 1773066336 }, { "9 Mar 2026 14:25:36 UT", 1773066336 }, { "9 Mar 2026 14:25:36 Z", 1773066336 },
    { "9 Mar 2026 14:25:36 EST", 1773084336 }, { "9 Mar 2026 14:25:36 pdt", 1773091536 }, { "9 Mar 2026 14:25:36 CEST", 1773066336 },
    { "9 Mar 2026 14:25:36 A", 1773066336 }, { "9 Mar 2026 14:25:36", 1773066336 }, { "9 Mar 2026 14:25:36 -0000", 1773066336 },
    { "(a (b) \\) c) Mon (x), 9 (y) Mar 2026 14 : 25 : 36 (z) +0000", 1773066336 }, { "9 Mar 2026\r\n\t14:25:36 +0000", 1773066336 },
    { "29 Feb 2024 00:00:00 +0000", 1709164800 }, { "31 Dec 2016 23:59:60 +0000", 1483228800 },
    { "10 Jan 97 20:26:40 GMT", 852928000 }, { "10 Jan 05 00:00 GMT", 1105315200 }, { "10 Jan 103 00:00 GMT", 1042156800 },
    { "1 Jan 49 00:00 GMT", INT64_C(2493072000) }, { "1 Jan 50 00:00 GMT", -631152000 }, { "29 Feb 2000 00:00 GMT", 951782400 },
    { "29 Feb 1900 00:00 GMT", -1 }, { "29 Feb 2100 00:00 GMT", -1 }, { "1 Mar 2100 00:00 GMT", INT64_C(4107542400) },
    { "1 Jan 1970 00:00:00 +0000", 0 }, { "1 Jan 1970 00:00:00 +0100", -3600 }, { "1 Jan 1900 00:00 GMT", INT64_C(-2208988800) },
    { "31 Dec 9999 23:59:59 -9959", INT64_C(253402660739) },
    { "", -1 }, { "Mon,", -1 }, { "Mon, 9", -1 }, { "9 Mar", -1 }, { "9 Mar 2026", -1 }, { "9 Mar 2026 14", -1 }, { "9 Mar 2026 14:", -1 },
    { "9 Mar 2026 14:25:", -1 }, { "0 Mar 2026 14:25", -1 }, { "32 Mar 2026 14:25", -1 }, { "29 Feb 2026 14:25", -1 },
    { "31 Apr 2026 14:25", -1 }, { "9 Mrz 2026 14:25", -1 }, { "9 March 2026 14:25", -1 }, { "9 Mar 6 14:25", -1 },
    { "9 Mar 12026 14:25", -1 }, { "9 Mar 99999999999999999999 14:25", -1 }, { "9 Mar 2026 24:00", -1 }, { "9 Mar 2026 14:60", -1 },
    { "9 Mar 2026 14:25:61", -1 }, { "9 Mar 2026 14:25 +100", -1 }, { "9 Mar 2026 14:25 +01000", -1 }, { "9 Mar 2026 14:25 +0060", -1 },
    { "9 Mar 2026 14:25 +", -1 }, { "9 Mar -2026 14:25", -1 }, { "2026-03-09T14:25:36Z", -1 },
};

START_TEST(dates)
{
    const char *in = date_rows[_i].in;
    int64_t v = -1;

    ck_assert_msg(header_date(text(in), &v) == (date_rows[_i].out != -1), "%s", in);
    ck_assert_int_eq(v, date_rows[_i].out);
}
END_TEST

/* --- a record's fields --- */

static void check_field(const struct lq_record *r, enum lq_field f, const char *expected)
{
    ck_assert_int_eq(record_is_set(r, f), expected != NULL);
    if (expected)
        ck_assert_str_eq(r->value[f].text.p, expected);
}

START_TEST(sets_the_first_of_each_field)
{
    static const char block[] =
        "Received: from a by b; Mon, 9 Mar 2026 14:25:36 +0000\n"
        "received: from c by d; bad\n"
        "FROM: =?utf-8?Q?J=C3=B6rg?=\n <j@example.org>\n"
        "Subject :  one \n\t two \r\n"
        "Subject: three\n"
        "To:\n"
        "Message-Id: <=?utf-8?Q?a?=@b>\n"
        "Date: Mon, 9 Mar 2026\n 14:25:36 +0000\n"
        "\n"
        "Subject: body\n";
    struct lq_record r = { 0 };

    record_reset(&r);
    header_fields(&r, text(block), LQ_FIELDS_ALL);
    check_field(&r, LQ_FROM, "Jörg <j@example.org>");
    check_field(&r, LQ_SUBJECT, "one \t two");
    check_field(&r, LQ_TO, "");
    check_field(&r, LQ_MESSAGE_ID, "<=?utf-8?Q?a?=@b>");
    check_field(&r, LQ_DATE, "Mon, 9 Mar 2026 14:25:36 +0000");
    ck_assert_uint_eq(r.hop_count, 2);
    ck_assert_str_eq(r.hops[0].by.p, "b");
    ck_assert_str_eq(r.hops[1].by.p, "d");
    record_done(&r);
}
END_TEST

START_TEST(sets_only_what_is_wanted)
{
    struct lq_record r = { 0 };

    record_reset(&r);
    header_fields(&r, text("Received: x\nFrom: a\nSubject: b\n"), LQ_FIELD_BIT(LQ_SUBJECT));
    check_field(&r, LQ_SUBJECT, "b");
    check_field(&r, LQ_FROM, NULL);
    check_field(&r, LQ_TO, NULL);
    ck_assert_uint_eq(r.hop_count, 0);
    record_done(&r);
}
END_TEST

START_TEST(raw_bytes_stay_raw)
{
    struct lq_record r = { 0 };

    record_reset(&r);
    header_fields(&r, bytes_from("Subject: \xe9t\xe9\0x\nTo: a\n", 18), LQ_FIELDS_ALL);
    ck_assert_uint_eq(r.value[LQ_SUBJECT].text.n, 5);
    ck_assert_mem_eq(r.value[LQ_SUBJECT].text.p, "\xe9t\xe9\0x", 5);
    record_done(&r);
}
END_TEST

START_TEST(stored_bytes_are_those_of_the_first)
{
    struct lq_record r = { 0 };

    record_reset(&r);
    header_fields(&r, text("Subject: =?utf-8?Q?a?= \xe9\nSubject: =?utf-8?Q?b?= \xe8\n"), LQ_FIELDS_ALL);
    check_field(&r, LQ_SUBJECT, "a \xe9");
    ck_assert_str_eq(r.stored[0].p, "=?utf-8?Q?a?= \xe9");
    record_done(&r);
}
END_TEST

START_TEST(many_hops_are_bounded)
{
    struct lq_record r = { 0 };
    struct buf b = { 0 };

    for (int i = 0; i < 5000; i++)
        buf_add_str(&b, "Received: from a by b; Mon, 9 Mar 2026 14:25:36 +0000\n");
    buf_add_str(&b, "Subject: last\n");
    record_reset(&r);
    header_fields(&r, bytes_from(b.p, b.n), LQ_FIELDS_ALL);
    ck_assert_uint_eq(r.hop_count, RECORD_HOPS_MAX);
    check_field(&r, LQ_SUBJECT, "last");
    buf_done(&b);
    record_done(&r);
}
END_TEST

START_TEST(long_values_are_cut)
{
    struct lq_record r = { 0 };
    struct buf b = { 0 };

    buf_add_str(&b, _i ? "Subject: =?utf-8?Q?a?=\n " : "Subject: ");
    while (b.n < 4 << 20)
        buf_add_str(&b, "0123456789");
    record_reset(&r);
    header_fields(&r, bytes_from(b.p, b.n), LQ_FIELDS_ALL);
    ck_assert_uint_eq(r.value[LQ_SUBJECT].text.n, RECORD_TEXT_MAX);
    ck_assert_uint_eq(r.problems.n, 1);
    buf_done(&b);
    record_done(&r);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("header");
    TCase *t = tcase_create("header");
    SRunner *sr;
    int failed;

    tcase_set_timeout(t, 60);
    tcase_add_loop_test(t, fields, 0, COUNT(field_rows));
    tcase_add_loop_test(t, unfolds, 0, COUNT(unfold_rows));
    tcase_add_loop_test(t, decodes, 0, COUNT(decode_rows));
    tcase_add_loop_test(t, tables_agree_with_the_system, 0, COUNT(table_rows));
    tcase_add_loop_test(t, long_words_come_out_whole, 0, 2);
    tcase_add_loop_test(t, hostile_texts_end, 0, COUNT(hostile_pieces));
    tcase_add_loop_test(t, hops, 0, COUNT(hop_rows));
    tcase_add_loop_test(t, hostile_hops_end, 0, COUNT(hostile_hops));
    tcase_add_loop_test(t, dates, 0, COUNT(date_rows));
    tcase_add_test(t, sets_the_first_of_each_field);
    tcase_add_test(t, sets_only_what_is_wanted);
    tcase_add_test(t, raw_bytes_stay_raw);
    tcase_add_test(t, stored_bytes_are_those_of_the_first);
    tcase_add_test(t, many_hops_are_bounded);
    tcase_add_loop_test(t, long_values_are_cut, 0, 2);
    suite_add_tcase(s, t);
    sr = srunner_create(s);
    srunner_run_all(sr, CK_NORMAL);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed ? 1 : 0;
}
