/* What the commands share: escaping, numbers in words, pasted ids, counting. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "count.h"
#include "ids.h"
#include "print.h"

#define COUNT(a) (int)(sizeof(a) / sizeof((a)[0]))

static void is(struct text *t, const char *expected)
{
    text_char(t, '\0');
    ck_assert_str_eq(t->p, expected);
    text_done(t);
}

/* --- escaping --- */

static const struct { const char *name, *in; unsigned how; const char *out; } escape_rows[] = {
    { "plain",             "a b~",                     0, "a b~" },
    { "blanks",            "a b",                      ESCAPE_BLANKS, "a\\x20b" },
    { "C0",                "\x1b[1m\a\x01",            0, "\\x1b[1m\\x07\\x01" },
    { "DEL",               "\x7f",                     0, "\\x7f" },
    { "newline",           "a\nb\tc\rd",               0, "a\\nb\\tc\\rd" },
    { "lines",             "a\nb\tc\rd",               ESCAPE_LINES, "a\nb\tc\\rd" },
    { "C1 as a byte",      "\x9b" "31m",               0, "\\x9b31m" },
    { "C1 as UTF-8",       "\xc2\x9b",                 0, "\\u009b" },
    { "UTF-8",             "gr\xc3\xbc\xc3\x9f",       0, "gr\xc3\xbc\xc3\x9f" },
    { "cut UTF-8",         "\xc3",                     0, "\\xc3" },
    { "overlong",          "\xc0\xaf",                 0, "\\xc0\\xaf" },
    { "surrogate",         "\xed\xa0\x80",             0, "\\xed\\xa0\\x80" },
    { "beyond Unicode",    "\xf4\x90\x80\x80",         0, "\\xf4\\x90\\x80\\x80" },
    { "right to left",     "\xe2\x80\xae",             0, "\\u202e" },
    { "isolate",           "\xe2\x81\xa6",             0, "\\u2066" },
    { "zero width",        "\xe2\x80\x8b\xef\xbb\xbf", 0, "\\u200b\\ufeff" },
    { "tag",               "\xf3\xa0\x80\x81",         0, "\\U000e0001" },
    { "gift",              "\xf0\x9f\x8e\x81",         0, "\xf0\x9f\x8e\x81" },
};

START_TEST(escapes)
{
    struct text t = { 0 };

    text_escape(&t, escape_rows[_i].in, strlen(escape_rows[_i].in), escape_rows[_i].how);
    is(&t, escape_rows[_i].out);
}
END_TEST

START_TEST(json_and_csv)
{
    struct text t = { 0 };

    text_json(&t, "a\"\\\x1b\x7f\xff\0b\xc2\x85", 10);
    is(&t, "\"a\\\"\\\\\\u001b\\u007f\xef\xbf\xbd\xef\xbf\xbd" "b\\u0085\"");
    text_json_line(&t, "\"\xe2\x80\xae\xf3\xa0\x80\x81\"", 9, true);
    is(&t, "\"\\u202e\\udb40\\udc01\"");
    text_csv(&t, "a,\"b\"", 5, false);
    is(&t, "\"a,\"\"b\"\"\"");
    text_csv(&t, "=1+1", 4, false);
    is(&t, "=1+1");
    text_csv(&t, " x", 2, false);
    is(&t, "\" x\"");
}
END_TEST

START_TEST(shell_words)
{
    struct text t = { 0 };

    text_shell(&t, "a@b.example", 11);
    text_char(&t, ' ');
    text_shell(&t, "=o'brien", 8);
    text_char(&t, ' ');
    text_shell(&t, "", 0);
    text_char(&t, ' ');
    text_shell(&t, "$(id)`", 6);
    is(&t, "a@b.example '=o'\\''brien' '' '$(id)`'");
}
END_TEST

/* --- numbers in words --- */

static const struct { long long n; const char *size, *age, *count; } number_rows[] = {
    { 0,           "0",      "0s",     "0" },
    { 119,         "119",    "119s",   "119" },
    { 120,         "120",    "2m",     "120" },
    { 1023,        "1023",   "17m",    "1,023" },
    { 1024,        "1.0K",   "17m",    "1,024" },
    { 7200,        "7.0K",   "2h",     "7,200" },
    { 172800,      "168.8K", "2d",     "172,800" },
    { 1048575,     "1.0M",   "12d",    "1,048,575" },
    { 5242880,     "5.0M",   "60d",    "5,242,880" },
};

START_TEST(numbers)
{
    struct text t = { 0 };

    text_size(&t, number_rows[_i].n);
    is(&t, number_rows[_i].size);
    text_age(&t, number_rows[_i].n);
    is(&t, number_rows[_i].age);
    text_count(&t, (uint64_t)number_rows[_i].n);
    is(&t, number_rows[_i].count);
}
END_TEST

START_TEST(widths)
{
    ck_assert_uint_eq(text_width("abc", 3), 3);
    ck_assert_uint_eq(text_width("\xe6\xbc\xa2\xe5\xad\x97", 6), 4);       /* two wide characters */
    ck_assert_uint_eq(text_width("e\xcc\x81", 3), 1);                      /* a combining accent */
}
END_TEST

/* --- ids --- */

static const struct { const char *in, *out; } id_rows[] = {
    { "1xUroU-0003xZ-2Y",                  "1xUroU-0003xZ-2Y" },
    { "1xUroU-0003xZ-2Y-H",                "1xUroU-0003xZ-2Y" },
    { "1xUs0E-000000000NA-0q2H-D",         "1xUs0E-000000000NA-0q2H" },
    { "/var/spool/exim4/input/1xUroU-0003xZ-2Y-J", "1xUroU-0003xZ-2Y" },
    { "0D431A0B0C1*",                      "0D431A0B0C1" },
    { "0D431A0B0C1!",                      "0D431A0B0C1" },
    { "0D431A0B0C1#",                      "0D431A0B0C1" },
    { "0D431A0B0C1:",                      "0D431A0B0C1" },
    { "4cXyZ12345z6789",                   "4cXyZ12345z6789" },
    { "qf629EU0Qe004715",                  "629EU0Qe004715" },
    { "Qf629EU0Qe004715",                  "629EU0Qe004715" },
    { "hfAAA12345",                        "AAA12345" },
    { "629EU0Qe004715*",                   "629EU0Qe004715" },
    { "629EU0Qe004715-",                   "629EU0Qe004715" },
    { "a;b",                               NULL },
    { "$(id)",                             NULL },
    { "*",                                 NULL },
    { "a/",                                NULL },
    { "\x1b[1m",                           NULL },
};

START_TEST(pasted_ids)
{
    struct ids ids = { 0 };
    struct lq_error err;
    int rc = ids_add(&ids, id_rows[_i].in, strlen(id_rows[_i].in), &err);

    if (!id_rows[_i].out) {
        ck_assert_int_eq(rc, LQ_EINVAL);
        ck_assert_uint_eq(ids.n, 0);
    } else {
        ck_assert_int_eq(rc, LQ_OK);
        ck_assert_uint_eq(ids.n, 1);
        ck_assert_str_eq(ids.list[0].text, id_rows[_i].out);
    }
    ids_done(&ids);
}
END_TEST

START_TEST(many_ids)
{
    struct ids ids = { 0 };
    struct lq_error err;

    ck_assert_int_eq(ids_add(&ids, "b a\0c\n a\t", 9, &err), LQ_OK);
    ids_sort(&ids);
    ck_assert_uint_eq(ids.n, 3);
    ids_seen(&ids, (struct lq_str){ "b", 1 });
    ck_assert(!ids.list[0].seen && ids.list[1].seen && !ids.list[2].seen);
    ids_done(&ids);
    ck_assert_int_eq(ids_add(&ids, " \n", 2, &err), LQ_OK);
    ck_assert(ids.given && ids.n == 0);
}
END_TEST

/* --- counting --- */

static void see(struct counter *c, const char *text, uint32_t message, uint32_t when, uint64_t bytes)
{
    count_add(c, count_key(c, text, strlen(text)), &(struct sighting){ .message = message, .time = when, .bytes = bytes });
}

START_TEST(counts)
{
    struct counter c = { .fold = true };
    const struct counted *e;
    uint32_t *list;
    size_t n;

    see(&c, "Bob", 1, 20, 5);
    see(&c, "alice", 2, 0, 1);
    see(&c, "bOB", 3, 10, 5);
    see(&c, "bob", 3, 10, 5);       /* the same message again */
    list = count_sorted(&c, &n);
    ck_assert_uint_eq(n, 2);
    e = count_get(&c, list[0]);
    ck_assert(count_kept(e) == 3 && memcmp(e->text, "Bob", 3) == 0);
    ck_assert_uint_eq(e->messages, 2);
    ck_assert_uint_eq(e->bytes, 10);
    ck_assert_uint_eq(e->first, 10);
    ck_assert_uint_eq(e->last, 20);
    ck_assert_uint_eq(count_get(&c, list[1])->first, 0);
    free(list);
    count_done(&c);
}
END_TEST

/* Texts that agree in the part that is kept are two. */
START_TEST(long_texts)
{
    struct counter c = { .fold = false };
    char a[1000], b[1000];

    memset(a, 'x', sizeof(a));
    memcpy(b, a, sizeof(b));
    b[999] = 'y';
    ck_assert_uint_ne(count_key(&c, a, sizeof(a)), count_key(&c, b, sizeof(b)));
    ck_assert_uint_ne(count_key(&c, a, sizeof(a)), count_key(&c, a, sizeof(a) - 1));
    ck_assert_uint_eq(count_key(&c, a, sizeof(a)), count_key(&c, a, sizeof(a)));
    ck_assert(count_cut(count_get(&c, count_key(&c, a, sizeof(a)))));
    count_done(&c);
}
END_TEST

/* A frugal counter forgets texts, not numbers: what comes twice is shown with all its messages. */
START_TEST(frugal)
{
    struct counter c = { .frugal = true };
    uint32_t *list;
    char text[32];
    size_t n;

    for (uint32_t i = 1; i <= 20000; i++) {
        snprintf(text, sizeof(text), "text %u", i);
        see(&c, text, i, i, 1);
    }
    for (uint32_t i = 0; i < 3; i++)
        see(&c, "text 19999", 30000 + i, 1, 1);
    list = count_sorted(&c, &n);
    ck_assert_uint_lt(n, 10000);
    ck_assert_uint_eq(count_get(&c, list[0])->messages, 4);
    ck_assert(memcmp(count_get(&c, list[0])->text, "text 19999", 10) == 0);
    free(list);
    count_done(&c);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cmd");
    TCase *t = tcase_create("cmd");
    SRunner *runner;
    int failed;

    tcase_add_loop_test(t, escapes, 0, COUNT(escape_rows));
    tcase_add_test(t, json_and_csv);
    tcase_add_test(t, shell_words);
    tcase_add_loop_test(t, numbers, 0, COUNT(number_rows));
    tcase_add_test(t, widths);
    tcase_add_loop_test(t, pasted_ids, 0, COUNT(id_rows));
    tcase_add_test(t, many_ids);
    tcase_add_test(t, counts);
    tcase_add_test(t, long_texts);
    tcase_add_test(t, frugal);
    suite_add_tcase(suite, t);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
