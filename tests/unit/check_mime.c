/* The body as text: parts, transfer encodings, charsets, names of files; what hostile mail may cost; what is said to be cut. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mime.h"

#define COUNT(a) (int)(sizeof(a) / sizeof((a)[0]))

#define MIXED "Content-Type: multipart/mixed; boundary=b\n\n"
#define TYPE(t) "Content-Type: " t "\n\n"

/* Items as text|text|; a + at the end where something was cut. */
static const struct { const char *name, *message, *items; } rows[] = {
    { "plain", "Subject: s\n\nHello\nworld\n", "Hello\nworld|" },
    { "CR LF", "Subject: s\r\n\r\nHello\r\nworld\r\n", "Hello\nworld|" },
    { "no line end", "Subject: s\n\nHello", "Hello|" },
    { "empty body", "Subject: s\n\n", "" },
    { "no body", "Subject: s\n", "" },
    { "nothing", "", "" },
    { "blank lines at the end", "\n\nHello\n\n\n", "\nHello|" },
    { "base64", "Content-Transfer-Encoding: base64\n\nSGVs\nbG8=\n", "Hello|" },
    { "base64, CR LF inside", "Content-Transfer-Encoding: BASE64\n\nYQ0KYg0K\n", "a\nb|" },
    { "quoted-printable", "Content-Transfer-Encoding: Quoted-Printable (x)\n\nHel=\nlo =3D\n", "Hello =|" },
    { "quoted-printable, soft break with blanks", "Content-Transfer-Encoding: quoted-printable\n\na=  \nb\n", "ab|" },
    { "8bit UTF-8", "Content-Type: text/plain; charset=utf-8\n\ncaf\xc3\xa9\n", "caf\xc3\xa9|" },
    { "latin1", "Content-Type: text/plain; charset=\"ISO-8859-1\"\n\ncaf\xe9\n", "caf\xc3\xa9|" },
    { "table charset with a hole", "Content-Type: text/plain; charset=windows-1252\n\n\x80\x81\n", "\xe2\x82\xac\xef\xbf\xbd|" },
    { "charset in RFC 2231", "Content-Type: text/plain; charset*=us-ascii'en'koi8-r\nContent-Transfer-Encoding: quoted-printable\n\n=F0=D2\n",
      "\xd0\x9f\xd1\x80|" },
    { "multi-byte charset across lines of base64", "Content-Type: text/plain; charset=iso-2022-jp\nContent-Transfer-Encoding: base64\n\nGyRCRn\nxLX\nBsoQg==\n",
      "\xe6\x97\xa5\xe6\x9c\xac|" },
    { "bytes that a charset does not have", "Content-Type: text/plain; charset=euc-jp\n\na\xff" "b\n", "a\xef\xbf\xbd" "b|" },
    { "unknown charset", "Content-Type: text/plain; charset=x-klingon\n\nabc\n", "abc|+" },
    { "unknown encoding", "Content-Transfer-Encoding: x-uuencode\n\nbegin 644 a\n", "begin 644 a|+" },
    { "two encodings", "Content-Transfer-Encoding: base64\nContent-Transfer-Encoding: 8bit\n\nSGVsbG8=\n", "Hello|+" },
    { "html is its source", TYPE("text/html") "<b>a</b> &amp;\n", "<b>a</b> &amp;|" },
    { "no type at all", TYPE("text") "abc\n", "abc|" },
    { "junk for a type", TYPE(";;;") "abc\n", "abc|" },
    { "binary", "Content-Type: application/octet-stream; name=a.bin\nContent-Transfer-Encoding: base64\n\nSGVsbG8=\n", "a.bin|" },
    { "binary in an unknown encoding is none of our business", TYPE("image/png") "x", "" },
    { "name in RFC 2231", "Content-Type: application/pdf\nContent-Disposition: attachment; filename*0*=utf-8''caf%C3%A9;\n filename*1=\".pdf\"\n\nx",
      "caf\xc3\xa9.pdf|" },
    { "name in RFC 2047", "Content-Type: application/pdf; name=\"=?utf-8?Q?caf=C3=A9=2Epdf?=\"\n\nx", "caf\xc3\xa9.pdf|" },
    { "a text's name counts, too", "Content-Type: text/plain; name=a.txt\n\nabc\n", "a.txt|abc|" },
    { "two parts", MIXED "preamble\n--b\n\none\n--b\n" TYPE("text/plain") "two\n--b--\nepilogue\n", "one|two|" },
    { "CR LF boundaries", "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\none\r\n--b--\r\n", "one|" },
    { "quoted boundary, blanks behind", TYPE("multipart/mixed; boundary=\"b c\"") "--b c \t\n\none\n--b c-- \n", "one|" },
    { "not quite a boundary", MIXED "--b\n\none\n--bc\n-- b\n--b-\n--b--\n", "one\n--bc\n-- b\n--b-|" },
    { "the end is missing", MIXED "--b\n\none\n", "one|" },
    { "empty parts", MIXED "--b\n--b\n\n--b\n\n\n--b--\n", "" },
    { "nested", MIXED "--b\n" TYPE("multipart/alternative; boundary=c") "--c\n\none\n--c\n\ntwo\n--c--\nx\n--b\n\nthree\n--b--\n", "one|two|three|" },
    { "an outer boundary ends the inner one", MIXED "--b\n" TYPE("multipart/alternative; boundary=c") "--c\n\none\n--b\n\ntwo\n--c\n--b--\n", "one|two\n--c|" },
    { "the inner boundary is longer", TYPE("multipart/mixed; boundary=b") "--b\n" TYPE("multipart/mixed; boundary=bb") "--bb\n\none\n--bb--\n--b--\n", "one|" },
    { "a message inside", MIXED "--b\n" TYPE("message/rfc822") "Subject: x\nContent-Transfer-Encoding: base64\n\nSGVsbG8=\n--b--\n", "Hello|" },
    { "a digest", TYPE("multipart/digest; boundary=b") "--b\n\nSubject: x\n\none\n--b--\n", "one|" },
    { "a bounce", TYPE("multipart/report; boundary=b") "--b\n\nfailed\n--b\n" TYPE("message/delivery-status") "Reporting-MTA: dns; x\n--b\n"
      TYPE("text/rfc822-headers") "Subject: s\n--b--\n", "failed|Reporting-MTA: dns; x|Subject: s|" },
    { "an encoded message is not taken apart", "Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\nU3ViamVjdDogeA==\n", "Subject: x|+" },
    { "a multipart without boundary", TYPE("multipart/mixed") "--b\nabc\n", "--b\nabc|+" },
    { "part without header", MIXED "--b\nno field\nmore\n--b--\n", "no field\nmore|" },
    { "the first of two types", "Content-Type: text/plain\nContent-Type: image/png\n\nabc\n", "abc|+" },
    { "folded type", "Content-Type:\n multipart/mixed;\n\tboundary=b\n\n--b\n\none\n--b--\n", "one|" },
    { "NUL in a type", NULL, "abc|+" },
};

/* A message pushed in pieces of `step` bytes, as one text. */
static void extract(struct mime *m, struct bytes in, size_t step, struct buf *out)
{
    struct bytes item;

    mime_begin(m, NULL);
    for (size_t at = 0; at < in.n; at += step)
        mime_push(m, in.p + at, in.n - at < step ? in.n - at : step);
    mime_end(m);
    buf_reset(out, SIZE_MAX);
    for (size_t i = 0; mime_item(m, i, &item); i++) {
        buf_add(out, item.p, item.n);
        buf_add_char(out, '|');
    }
    if (mime_cut(m))
        buf_add_char(out, '+');
}

static struct mime *ready(void)
{
    struct lq_error err;
    struct mime *m;

    ck_assert_msg(mime_library(&err) == LQ_OK, "%s", err.text);
    m = mime_new();
    ck_assert_ptr_nonnull(m);
    return m;
}

START_TEST(items)
{
    static const char with_nul[] = "Content-Type: text/plain;\0 charset=utf-8\n\nabc\n";
    struct bytes in = rows[_i].message ? bytes_from(rows[_i].message, strlen(rows[_i].message)) : bytes_from(with_nul, sizeof(with_nul) - 1);
    struct mime *m = ready();
    struct buf out = { 0 };

    for (size_t step = 1; step <= 64; step = step < 8 ? step + 1 : step * 2) {
        extract(m, in, step, &out);
        buf_add_char(&out, '\0');
        ck_assert_msg(strcmp(out.p, rows[_i].items) == 0, "%s, by %zu: '%s', not '%s'", rows[_i].name, step, out.p, rows[_i].items);
    }
    buf_done(&out);
    mime_free(m);
}
END_TEST

/* --- hostile --- */

static size_t add_rounds(struct buf *in, const char *text, size_t bytes)
{
    size_t rounds = bytes / strlen(text);

    for (size_t i = 0; i < rounds; i++)
        buf_add_str(in, text);
    return rounds;
}

/* 8 MiB of each: what is kept stays small, and that it is not all is said. */
static const struct { const char *name, *head, *round; bool cut; } floods[] = {
    { "boundaries", MIXED, "--b\n", false },
    { "parts", MIXED, "--b\n\nx\n", true },
    { "fields", MIXED "--b\n", "a:\n", false },
    { "text", "\n", "0123456789abcdef\n", true },
    { "base64", "Content-Transfer-Encoding: base64\n\n", "QUFBQUFBQUFBQUFBQUFB\n", true },
    { "one line", "Subject: s\n\n", "0123456789abcdef", true },
    { "one type", "Content-Type: text/plain;", " a=\"b\";", true },
    { "many types", MIXED "--b\n", "Content-Type: a/b\n", true },
    { "names", MIXED, "--b\nContent-Type: a/b; name=x\n\n", true },
    { "messages in messages", "Content-Type: message/rfc822\n\n", "Content-Type: message/rfc822\n\n", false },
};

START_TEST(floods_are_bounded)
{
    struct mime *m = ready();
    struct buf in = { 0 }, out = { 0 };

    buf_add_str(&in, floods[_i].head);
    add_rounds(&in, floods[_i].round, 8 << 20);
    buf_add_str(&in, "\n");
    ck_assert(!in.failed);
    extract(m, bytes_from(in.p, in.n), 65536, &out);
    ck_assert_msg(out.n <= MIME_TEXT_MAX + MIME_ITEMS_MAX + 1, "%s: %zu", floods[_i].name, out.n);
    ck_assert_msg(mime_cut(m) == floods[_i].cut, "%s: cut", floods[_i].name);
    buf_done(&in);
    buf_done(&out);
    mime_free(m);
}
END_TEST

/* Multiparts inside each other, one more than there is room for; text of those within is found. */
START_TEST(depth_is_bounded)
{
    struct mime *m = ready();
    struct buf in = { 0 }, out = { 0 };

    buf_add_str(&in, "Content-Type: multipart/mixed; boundary=b0\n\n");
    for (int i = 0; i < MIME_DEPTH_MAX + _i; i++)
        buf_printf(&in, "--b%d\n\nt%d\n--b%d\nContent-Type: multipart/mixed; boundary=b%d\n\n", i, i, i, i + 1);
    buf_printf(&in, "--b%d\n\ndeepest\n", MIME_DEPTH_MAX + _i);
    extract(m, bytes_from(in.p, in.n), 4096, &out);
    buf_add_char(&out, '\0');
    ck_assert_ptr_nonnull(strstr(out.p, "t31|"));
    ck_assert(mime_cut(m));
    ck_assert_ptr_null(strstr(out.p, "deepest"));
    buf_done(&in);
    buf_done(&out);
    mime_free(m);
}
END_TEST

/* Text behind what there was no room for does not come close to what stands before it. */
START_TEST(nothing_joins_over_a_cut)
{
    struct mime *m = ready();
    struct buf in = { 0 }, out = { 0 };

    buf_add_str(&in, MIXED "--b\nContent-Transfer-Encoding: quoted-printable\n\n");
    add_rounds(&in, "0123456789abcde\n", MIME_TEXT_MAX);
    buf_add_str(&in, "--b\nContent-Type: a/b; name=late\n\n--b\n\nlate\n--b--\n");
    extract(m, bytes_from(in.p, in.n), 4096, &out);
    ck_assert(mime_cut(m) || out.n < MIME_TEXT_MAX);
    ck_assert_ptr_null(memmem(out.p, out.n, "e\nlate", 6));
    buf_done(&in);
    buf_done(&out);
    mime_free(m);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("mime");
    TCase *t = tcase_create("mime");
    SRunner *runner;
    int failed;

    tcase_add_loop_test(t, items, 0, COUNT(rows));
    tcase_add_loop_test(t, floods_are_bounded, 0, COUNT(floods));
    tcase_add_loop_test(t, depth_is_bounded, 0, 2);
    tcase_add_test(t, nothing_joins_over_a_cut);
    suite_add_tcase(s, t);
    runner = srunner_create(s);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
