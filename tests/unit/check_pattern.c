/* Patterns: each form, what it must and must not take, and what is refused with which words. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "pattern.h"

#define COUNT(a) (int)(sizeof(a) / sizeof((a)[0]))
enum { ADDRESS = PATTERN_ADDRESS, USER = PATTERN_USER, TEXT = PATTERN_TEXT };

static const struct { int kind; const char *pattern, *subject; bool fits; } rows[] = {
    /* the whole address, whatever its case */
    { ADDRESS, "a@b.example", "a@b.example", true },
    { ADDRESS, "a@b.example", "A@B.Example", true },
    { ADDRESS, "A@B.EXAMPLE", "a@b.example", true },
    { ADDRESS, "a@b.example", "aa@b.example", false },
    { ADDRESS, "a@b.example", "a@b.examples", false },
    { ADDRESS, "a.b@c.example", "axb@c.example", false },
    { ADDRESS, "user7@example.com", "user70@example.com", false },
    { ADDRESS, "bob", "bob@example.com", false },
    { ADDRESS, "bob", "bob", true },
    { ADDRESS, "o'brien@example.com", "o'brien@example.com", true },
    { ADDRESS, "o'brien@*", "O'Brien@example.com", true },
    { ADDRESS, "\"odd user\"@example.net", "\"odd user\"@example.net", true },
    { ADDRESS, "a[b]@c.example", "a[b]@c.example", true },
    { ADDRESS, "a@b.example", "", false },
    { ADDRESS, "j\xc3\xb6rg@c.example", "J\xc3\xb6rg@c.example", true },

    /* null sender */
    { ADDRESS, "<>", "", true },
    { ADDRESS, "<>", "a@b.example", false },
    { ADDRESS, "*", "", true },
    { ADDRESS, "?*", "", false },
    { ADDRESS, "@b.example", "", false },

    /* domains */
    { ADDRESS, "@b.example", "a@b.example", true },
    { ADDRESS, "@b.example", "a@B.EXAMPLE", true },
    { ADDRESS, "@b.example", "a@x.b.example", false },
    { ADDRESS, "@b.example", "a@xb.example", false },
    { ADDRESS, "@b.example", "\"a@b.example\"@c.example", false },
    { ADDRESS, "@b.example", "a", false },
    { ADDRESS, "@.b.example", "a@b.example", true },
    { ADDRESS, "@.b.example", "a@x.b.example", true },
    { ADDRESS, "@.b.example", "a@y.x.b.example", true },
    { ADDRESS, "@.b.example", "a@xb.example", false },
    { ADDRESS, "@.b.example", "a@b.example.net", false },
    { ADDRESS, "@.b.example", "b.example", false },
    { ADDRESS, "@*", "a@b.example", true },
    { ADDRESS, "@*", "root", false },
    { ADDRESS, "@.*", "", false },
    { ADDRESS, "@b.*", "a@b.example", true },
    { ADDRESS, "@b.*", "a@c.example", false },
    { ADDRESS, "@.b.*", "a@x.b.example", true },
    { ADDRESS, "@[192.0.2.1]", "a@[192.0.2.1]", true },
    { ADDRESS, "@\\*", "a@b.example", false },

    /* globs */
    { ADDRESS, "*@b.example", "a@b.example", true },
    { ADDRESS, "*@b.example", "a@b.example.net", false },
    { ADDRESS, "*bob*", "jim.bob@b.example", true },
    { ADDRESS, "user?@b.example", "user7@b.example", true },
    { ADDRESS, "user?@b.example", "user70@b.example", false },
    { ADDRESS, "user?@b.example", "user@b.example", false },
    { ADDRESS, "j?rg@b.example", "j\xc3\xb6rg@b.example", true },
    { ADDRESS, "j??rg@b.example", "j\xc3\xb6rg@b.example", false },
    { ADDRESS, "a?b", "a\xff" "b", true },
    { ADDRESS, "a\\*b", "a*b", true },
    { ADDRESS, "a\\*b", "axb", false },
    { ADDRESS, "a\\?b", "axb", false },
    { ADDRESS, "a\\\\b", "a\\b", true },
    { ADDRESS, "*a*b*c*", "xxaxxbxxcxx", true },
    { ADDRESS, "*a*b*c*", "xxaxxcxxbxx", false },
    { ADDRESS, "*ab", "aab", true },
    { ADDRESS, "a**b", "ab", true },
    { ADDRESS, "[ab]@c.example", "a@c.example", false },

    /* literally */
    { ADDRESS, "=*@b.example", "*@b.example", true },
    { ADDRESS, "=*@b.example", "a@b.example", false },
    { ADDRESS, "==x", "=x", true },
    { ADDRESS, "=a\\b", "a\\b", true },
    { ADDRESS, "=@b.example", "a@b.example", false },
    { ADDRESS, "=/x/", "/x/", true },
    { ADDRESS, "=^x$", "^x$", true },
    { ADDRESS, "=A@b.example", "a@B.example", true },
    { ADDRESS, "=<>", "", false },
    { ADDRESS, "\\=x", "=x", true },

    /* regular expressions are found anywhere, and fold case */
    { ADDRESS, "/^user[0-9]+@/", "USER70@b.example", true },
    { ADDRESS, "/user7/", "user70@b.example", true },
    { ADDRESS, "/^user7@/", "user70@b.example", false },
    { ADDRESS, "/a/b/", "xa/bx", true },
    { ADDRESS, "/a\\//", "a/", true },
    { ADDRESS, "/^$/", "", true },
    { TEXT, "/\xc3\xa9t\xc3\xa9/", "\xc3\x89T\xc3\x89", true },
    { TEXT, "/^.$/", "\xc3\xa9", true },
    { TEXT, "/free/", "\xff\xfe" "free\xff", true },
    { TEXT, "/a.b/", "a\xff" "b", false },              /* a byte that is no character fits nothing */

    /* accounts, with and without their realm */
    { USER, "alice", "alice", true },
    { USER, "alice", "alice@mx.example.com", true },
    { USER, "ALICE", "alice@mx.example.com", true },
    { USER, "alice", "alice2@mx.example.com", false },
    { USER, "user7", "user70@mx.example.com", false },
    { USER, "user7", "user70", false },
    { USER, "alice", "malice@mx.example.com", false },
    { USER, "alice", "x@alice", false },
    { USER, "al*", "alice@mx.example.com", true },
    { USER, "*e", "alice@mx.example.com", true },
    { USER, "alice@mx.example.com", "alice", false },
    { USER, "alice@mx.example.com", "alice@mx.example.com", true },
    { USER, "alice@*", "alice@mx.example.com", true },
    { USER, "=alice", "alice@mx.example.com", false },
    { USER, "=alice", "alice", true },
    { USER, "@mx.example.com", "alice@mx.example.com", true },
    { USER, "@mx.example.com", "alice", false },
    { USER, "a", "a@b@c", false },
    { USER, "a@b", "a@b@c", false },
    { USER, "<>", "", false },

    /* text: @ and <> are letters */
    { TEXT, "@dom", "a@dom", false },
    { TEXT, "@dom", "@dom", true },
    { TEXT, "<>", "<>", true },
    { TEXT, "<>", "", false },
    { TEXT, "*invoice*", "Your INVOICE 7", true },
    { TEXT, "invoice", "Your invoice", false },
    { TEXT, "\\/dev/*", "/dev/sda is full", true },
    { TEXT, "100\\$", "100$", true },
    { TEXT, "\\^_^", "^_^", true },
    { TEXT, "*", "", true },
};

START_TEST(forms)
{
    struct pattern_scratch scratch = { 0 };
    struct pattern *p;
    struct lq_error err;
    const char *s = rows[_i].subject;

    ck_assert_msg(pattern_compile(&p, (enum pattern_kind)rows[_i].kind, rows[_i].pattern, &err) == LQ_OK, "%s: %s",
                  rows[_i].pattern, err.text);
    ck_assert_msg(pattern_match(p, bytes_from(s, strlen(s)), &scratch) == (rows[_i].fits ? PATTERN_YES : PATTERN_NO),
                  "'%s' and '%s'", rows[_i].pattern, s);
    pattern_free(p);
    pattern_scratch_done(&scratch);
}
END_TEST

static const struct { int kind; const char *pattern, *shown; } bad_rows[] = {
    { ADDRESS, "", "empty" }, { USER, "", "empty" }, { TEXT, "", "empty" }, { ADDRESS, "", "'<>'" },
    { ADDRESS, "^bob", "'/^bob/'" }, { ADDRESS, "bob$", "'/bob$/'" }, { ADDRESS, "^bob$", "'/^bob$/'" },
    { TEXT, "^Re:", "'/^Re:/'" }, { USER, "user7$", "'/user7$/'" }, { TEXT, "100\\\\$", "'/100\\\\$/'" },
    { TEXT, "^", "'/^/'" }, { TEXT, "$", "'/$/'" },
    { ADDRESS, "=", "'<>'" }, { TEXT, "=", "'/^$/'" },
    { ADDRESS, "a\\", "backslash" }, { ADDRESS, "@b\\", "backslash" },
    { ADDRESS, "@", "no domain" }, { ADDRESS, "@.", "no domain" }, { USER, "@", "no domain" },
    { ADDRESS, "/", "does not end" }, { ADDRESS, "//", "empty" }, { ADDRESS, "/a", "does not end" },
    { ADDRESS, "/a\\/", "does not end" }, { ADDRESS, "/a/i", "does not end" },
    { ADDRESS, "/(/", "character 2" }, { ADDRESS, "/a[/", "character 3" }, { TEXT, "/*/", "character 1" }, { TEXT, "/a\xff/", "UTF-8" },
    { TEXT, "/\\C/", "bad regular expression" },
};

START_TEST(refused)
{
    struct pattern *p = NULL;
    struct lq_error err = { 0 };

    ck_assert_int_eq(pattern_compile(&p, (enum pattern_kind)bad_rows[_i].kind, bad_rows[_i].pattern, &err), LQ_EINVAL);
    ck_assert_ptr_null(p);
    ck_assert_msg(strstr(err.text, bad_rows[_i].shown) != NULL, "%s", err.text);
    ck_assert_int_eq(pattern_compile(&p, (enum pattern_kind)bad_rows[_i].kind, bad_rows[_i].pattern, NULL), LQ_EINVAL);
}
END_TEST

static const struct { int kind; const char *pattern; bool exact; } exact_rows[] = {
    { ADDRESS, "bob", true }, { ADDRESS, "=bob", true }, { ADDRESS, "a\\*", true }, { USER, "bob", true }, { TEXT, "bob", true },
    { ADDRESS, "bo?", false }, { ADDRESS, "*bob*", false }, { ADDRESS, "/bob/", false }, { ADDRESS, "@dom", false },
    { ADDRESS, "@.dom", false }, { ADDRESS, "<>", false }, { TEXT, "@dom", true },
};

START_TEST(exact)
{
    struct pattern *p;

    ck_assert_int_eq(pattern_compile(&p, (enum pattern_kind)exact_rows[_i].kind, exact_rows[_i].pattern, NULL), LQ_OK);
    ck_assert_int_eq(pattern_exact(p), exact_rows[_i].exact);
    pattern_free(p);
}
END_TEST

/* Texts that make a matcher with a stack of alternatives try them all: answered, or given up, within the test's time. */
static const struct { const char *pattern; enum pattern_result result; } slow_rows[] = {
    { "*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b", PATTERN_NO },
    { "@.*a*a*a*a*a*a*b", PATTERN_NO },
    { "/(a+)+[bc]$/", PATTERN_LIMIT },
    { "/^@(a|a|a|b)*[cd]/", PATTERN_LIMIT },
    { "/(a*)*\\1[bc]/", PATTERN_LIMIT },
};

START_TEST(no_text_takes_for_ever)
{
    static char subject[60000];
    struct pattern_scratch scratch = { 0 };
    struct pattern *p;

    memset(subject, 'a', sizeof(subject));
    subject[0] = '@';
    for (size_t i = 2; i < sizeof(subject) / 2; i += 2)
        if (slow_rows[_i].pattern[0] == '@')
            subject[i] = '.';
    ck_assert_int_eq(pattern_compile(&p, PATTERN_ADDRESS, slow_rows[_i].pattern, NULL), LQ_OK);
    ck_assert_int_eq(pattern_match(p, bytes_from(subject, sizeof(subject)), &scratch), slow_rows[_i].result);
    pattern_free(p);
    pattern_scratch_done(&scratch);
}
END_TEST

START_TEST(one_scratch_serves_all_patterns)
{
    struct pattern_scratch scratch = { 0 };
    struct pattern *p, *q;

    ck_assert_int_eq(pattern_compile(&p, PATTERN_TEXT, "/(a)(b)(c)/", NULL), LQ_OK);
    ck_assert_int_eq(pattern_compile(&q, PATTERN_TEXT, "/x/", NULL), LQ_OK);
    ck_assert_int_eq(pattern_match(q, BYTES("xyz"), &scratch), PATTERN_YES);
    ck_assert_int_eq(pattern_match(p, BYTES("abc"), &scratch), PATTERN_YES);
    ck_assert_int_eq(pattern_match(p, (struct bytes){ NULL, 0 }, &scratch), PATTERN_NO);
    ck_assert_int_eq(pattern_match(q, BYTES("abc"), &scratch), PATTERN_NO);
    pattern_free(p);
    pattern_free(q);
    pattern_free(NULL);
    pattern_scratch_done(&scratch);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("pattern");
    TCase *t = tcase_create("pattern");
    SRunner *sr;
    int failed;

    tcase_set_timeout(t, 120);
    tcase_add_loop_test(t, forms, 0, COUNT(rows));
    tcase_add_loop_test(t, refused, 0, COUNT(bad_rows));
    tcase_add_loop_test(t, exact, 0, COUNT(exact_rows));
    tcase_add_loop_test(t, no_text_takes_for_ever, 0, COUNT(slow_rows));
    tcase_add_test(t, one_scratch_serves_all_patterns);
    suite_add_tcase(s, t);
    sr = srunner_create(s);
    srunner_run_all(sr, CK_NORMAL);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed ? 1 : 0;
}
