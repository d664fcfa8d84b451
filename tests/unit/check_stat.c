/* What mqstat groups by and counts with: shapes, near numbers, windows of time, and counting in bounded memory. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "monitor.h"
#include "classify.h"
#include "count.h"
#include "key.h"
#include "rates.h"
#include "shape.h"
#include "tally.h"

#define ROWS(a) (int)(sizeof(a) / sizeof((a)[0]))

/* --- shapes --- */

static const struct { const char *in, *shape, *pattern; } shape_rows[] = {
    { "",                                 "",                     "/\\A\\z/" },
    { "Lunch?",                           "Lunch?",               "/\\ALunch\\?\\z/" },
    { "Order 4711",                       "Order #",              "/\\AOrder (?:[0-9]+|#)\\z/" },
    { "Ticket a81f03c",                   "Ticket *",             NULL },
    { "2026-11-21 13:04:49",              "#-#-# #:#:#",          NULL },
    { "Hello bob@x.example, 50 % off",    "Hello *, # % off",     NULL },
    { "<bob@x.example>",                  "<*>",                  NULL },
    { "Gr\xc3\xbc\xc3\x9f" "e 7",         "Gr\xc3\xbc\xc3\x9f" "e #", "/\\AGr\\x{fc}\\x{df}e (?:[0-9]+|#)\\z/" },
    { "\xc3\xbc" "7",                     "*",                    NULL },
    { "'; $(reboot) `x`",                 "'; $(reboot) `x`",     "/\\A\\'\\; \\$\\(reboot\\) \\`x\\`\\z/" },
    { "a\nb/c",                           "a\nb/c",               "/\\Aa\\x{a}b\\/c\\z/" },
};

START_TEST(shapes)
{
    struct text t = { 0 };
    char shape[64];
    size_t n = shape_of((struct lq_str){ shape_rows[_i].in, strlen(shape_rows[_i].in) }, shape, sizeof(shape) - 1);

    shape[n] = '\0';
    ck_assert_str_eq(shape, shape_rows[_i].shape);
    ck_assert(shape_pattern(&t, shape, n));
    text_char(&t, '\0');
    ck_assert(text_plain(t.p, t.n - 1));
    if (shape_rows[_i].pattern)
        ck_assert_str_eq(t.p, shape_rows[_i].pattern);
    text_done(&t);
}
END_TEST

START_TEST(shapes_that_do_not_fit)
{
    struct text t = { 0 };
    char shape[8];

    ck_assert_uint_eq(shape_of((struct lq_str){ "abcdefghijkl 77", 15 }, shape, sizeof(shape)), sizeof(shape));
    ck_assert(memcmp(shape, "abcdefgh", 8) == 0);
    ck_assert(!shape_pattern(&t, "a\xff", 2));
    ck_assert(!shape_pattern(&t, "a\xc3", 2));
    ck_assert(!shape_pattern(&t, "\xc0\xaf", 2));
    text_done(&t);
}
END_TEST

/* --- keys --- */

static const struct { const char *name; bool fine; enum key_kind kind; enum lq_field field; } key_rows[] = {
    { "client",           true,  KEY_TEXT,             LQ_CLIENT_ADDRESS },
    { "client/24",        true,  KEY_NETWORK,          LQ_CLIENT_ADDRESS },
    { "client_address/64", true, KEY_NETWORK,          LQ_CLIENT_ADDRESS },
    { "client/0",         false, 0, 0 },
    { "client/129",       false, 0, 0 },
    { "client/",          false, 0, 0 },
    { "client/+24",       false, 0, 0 },
    { "sender/24",        false, 0, 0 },
    { "size/24",          false, 0, 0 },
    { "size~2%",          true,  KEY_NEAR,             LQ_MESSAGE_SIZE },
    { "size~2",           true,  KEY_NEAR,             LQ_MESSAGE_SIZE },
    { "size~0",           false, 0, 0 },
    { "size~101%",        false, 0, 0 },
    { "size~",            false, 0, 0 },
    { "size~2%%",         false, 0, 0 },
    { "sender~2%",        false, 0, 0 },
    { "sender.domain",    true,  KEY_DOMAIN,           LQ_SENDER },
    { "user.domain",      true,  KEY_DOMAIN,           LQ_AUTH_USER },
    { "recipient.domain", true,  KEY_RECIPIENT_DOMAIN, LQ_RECIPIENT },
    { "size.domain",      false, 0, 0 },
    { "subject.shape",    true,  KEY_SHAPE,            LQ_SUBJECT },
    { "reason.shape",     true,  KEY_REASON_SHAPE,     LQ_REASON },
    { "reason.class",     true,  KEY_TEXT,             LQ_REASON_CLASS },
    { "flags",            true,  KEY_LIST,             LQ_FLAGS },
    { "received",         false, 0, 0 },
    { "sendr",            false, 0, 0 },
    { "sendr.domain",     false, 0, 0 },
    { ".domain",          false, 0, 0 },
    { "~2%",              false, 0, 0 },
    { "/24",              false, 0, 0 },
    { "",                 false, 0, 0 },
};

START_TEST(keys)
{
    struct lq_error err;
    struct key key;
    int rc = key_parse(&key, key_rows[_i].name, strlen(key_rows[_i].name), &err);

    ck_assert_int_eq(rc, key_rows[_i].fine ? LQ_OK : LQ_EINVAL);
    if (rc == LQ_OK) {
        ck_assert_int_eq(key.kind, key_rows[_i].kind);
        ck_assert_int_eq(key.field, key_rows[_i].field);
    }
}
END_TEST

/* Each number is in one group, groups follow each other, and none is wider than it may be. */
START_TEST(near_numbers)
{
    static const unsigned parts[] = { 1, 4, 50, 100 };
    unsigned n = parts[_i];
    int64_t low, high, next = 0;

    while (next < INT64_C(1) << 40) {
        key_near(n, next, &low, &high);
        ck_assert_int_eq(low, next);
        ck_assert_int_ge(high, low);
        ck_assert_int_le((high - low) * (int64_t)n, low);
        for (int64_t v = low; v <= high; v += (high - low) / 3 + 1) {
            int64_t l, h;

            key_near(n, v, &l, &h);
            ck_assert(l == low && h == high);
        }
        next = high + 1;
    }
}
END_TEST

/* --- one value, asked of a filter --- */

static const struct { enum lq_selector sel; const char *pattern; enum lq_field field; const char *value; bool fits; } match_rows[] = {
    { LQ_SEL_SENDER, "=a@x.example",  LQ_SENDER,         "A@X.example",       true },
    { LQ_SEL_SENDER, "=a@x.example",  LQ_SENDER,         "aa@x.example",      false },
    { LQ_SEL_SENDER, "=*@x.example",  LQ_SENDER,         "b@x.example",       false },
    { LQ_SEL_SENDER, "<>",            LQ_SENDER,         "",                  true },
    { LQ_SEL_SENDER, "<>",            LQ_SENDER,         "a",                 false },
    { LQ_SEL_SENDER, "<>",            LQ_SUBJECT,        "",                  false },
    { LQ_SEL_USER,   "=alice",        LQ_AUTH_USER,      "alice",             true },
    { LQ_SEL_USER,   "=alice",        LQ_AUTH_USER,      "alice@mx.example",  false },
    { LQ_SEL_CLIENT, "192.0.2.1",     LQ_CLIENT_ADDRESS, "192.0.2.1",         true },
    { LQ_SEL_CLIENT, "192.0.2.1",     LQ_CLIENT_ADDRESS, "192.0.2.11",        false },
    { LQ_SEL_SIZE,   "0",             LQ_MESSAGE_SIZE,   "0",                 false },
};

START_TEST(matches_a_value)
{
    const char *value = match_rows[_i].value;
    struct lq_filter *filter;
    struct lq_error err;

    ck_assert_int_eq(lq_filter_new(&filter, &err), LQ_OK);
    ck_assert_int_eq(lq_filter_add(filter, match_rows[_i].sel, match_rows[_i].pattern, &err), LQ_OK);
    ck_assert_int_eq(lq_filter_matches_text(filter, match_rows[_i].field, (struct lq_str){ value, strlen(value) }), match_rows[_i].fits);
    ck_assert(!lq_filter_matches_text(filter, match_rows[_i].field, (struct lq_str){ NULL, 0 }));
    lq_filter_free(filter);
}
END_TEST

/* --- windows --- */

static const struct { const char *in; int64_t seconds; } age_rows[] = {
    { "90", 90 }, { "90s", 90 }, { "10m", 600 }, { "3h", 10800 }, { "2d", 172800 }, { "1w", 604800 },
    { "", 0 }, { "0", 0 }, { "m", 0 }, { "1x", 0 }, { "1mm", 0 }, { "-1", 0 }, { "1 m", 0 }, { "9999999999", 0 }, { "0m", 0 },
};

START_TEST(ages)
{
    struct lq_error err;
    int64_t v = 0;
    int rc = rates_age(&v, age_rows[_i].in, strlen(age_rows[_i].in), &err);

    ck_assert_int_eq(rc, age_rows[_i].seconds ? LQ_OK : LQ_EINVAL);
    ck_assert_int_eq(v, age_rows[_i].seconds);
}
END_TEST

START_TEST(windows)
{
    struct rates r = { .n = 0 };
    struct lq_error err;

    ck_assert_int_eq(rates_parse(&r, "1m,5m,1h", &err), LQ_OK);
    ck_assert_uint_eq(rates_columns(&r, 10000, 10000), 7);
    ck_assert_uint_eq(rates_columns(&r, 10000, 9940), 7);
    ck_assert_uint_eq(rates_columns(&r, 10000, 9939), 6);
    ck_assert_uint_eq(rates_columns(&r, 10000, 6399), 0);
    ck_assert_uint_eq(rates_columns(&r, 10000, 0), 0);
    ck_assert_uint_eq(rates_columns(&r, 10000, 20000), 7);      /* a clock that was set back */
    r.n = 0;
    ck_assert_int_eq(rates_parse(&r, "5m,1m", &err), LQ_EINVAL);
    r.n = 0;
    ck_assert_int_eq(rates_parse(&r, "1m,60s", &err), LQ_EINVAL);
    r.n = 0;
    ck_assert_int_eq(rates_parse(&r, "1m,", &err), LQ_EINVAL);
}
END_TEST

/* --- limits for monitoring --- */

static const struct { const char *warn, *crit; int status; } limit_rows[] = {
    { "count>99",            "count>1000",        MONITOR_WARNING },
    { "count>100",           "count>1000",        MONITOR_OK },
    { "count>99",            "count>99",          MONITOR_CRITICAL },
    { "count<101",           "bytes>1k",          MONITOR_WARNING },
    { "count<100",           "bytes>1023",        MONITOR_CRITICAL },
    { "count<100",           "oldest>1m,held>5",  MONITOR_CRITICAL },
    { "oldest>2h,share>80",  "oldest>1d",         MONITOR_WARNING },
    { "deferred>40",         "arrived>40",        MONITOR_OK },
};
static const char *const bad_limits[] = { "", "count", "count>", "count>x", "cuont>5", "count>5,", ">5", "count=5", "count>5k", "oldest>1y",
                                          "bytes>1T", "count>-1", "count>1>2", "count >5", "count>99999999999999999999" };

START_TEST(limits_passed)
{
    const int64_t numbers[MONITOR_NUMBERS] = { 100, 1024, 7200, 40, 40, 6, 81 };
    struct monitor_limits warn = { .n = 0 }, crit = { .n = 0 };
    struct lq_error err;
    struct text t = { 0 };

    ck_assert_int_eq(monitor_parse(&warn, limit_rows[_i].warn, &err), LQ_OK);
    ck_assert_int_eq(monitor_parse(&crit, limit_rows[_i].crit, &err), LQ_OK);
    ck_assert_int_eq(monitor_line(&t, numbers, &warn, &crit), limit_rows[_i].status);
    text_done(&t);
}
END_TEST

START_TEST(limits_refused)
{
    struct monitor_limits limits = { .n = 0 };
    struct lq_error err;

    ck_assert_int_eq(monitor_parse(&limits, bad_limits[_i], &err), LQ_EINVAL);
}
END_TEST

/* --- equal intervals --- */

static uint32_t draw(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(*state >> 33);
}

/* One in `missing` is not there; each is late by less than `late`; stamps in steps of `step`. */
static const struct { uint32_t every, late, missing, step; bool regular; } interval_rows[] = {
    { 2000000,   20000,    0,       1, true },
    { 2000000,   20000,    4,       1, true },
    { 300000000, 1000000,  0,       1, true },
    { 2000000,   2000000,  0,       1, false },
    { 2000000,   20000,    0, 1000000, true },
    { 60000000,  1000000,  5, 1000000, true },
    { 2000000,   20000,    2, 1000000, false },     /* too coarse to tell */
    { 0,         6000000,  0,       1, false },     /* by chance */
    { 0,         6000000,  0, 1000000, false },
};

START_TEST(equal_intervals)
{
    static int64_t times[400];
    uint64_t state = 5;
    int64_t now = INT64_C(1795300000000000);
    double interval;

    for (int i = 0; i < 400; i++) {
        now += interval_rows[_i].every ? interval_rows[_i].every : draw(&state) % interval_rows[_i].late;
        if (interval_rows[_i].missing && draw(&state) % interval_rows[_i].missing == 0)
            now += interval_rows[_i].every;
        times[i] = now + (interval_rows[_i].every ? draw(&state) % interval_rows[_i].late : 0);
        times[i] -= times[i] % interval_rows[_i].step;
        if (i > 0 && times[i] < times[i - 1])
            times[i] = times[i - 1];
    }
    ck_assert_int_eq(classify_regular(times, 400, interval_rows[_i].step == 1, &interval), interval_rows[_i].regular);
    if (interval_rows[_i].regular)
        ck_assert_double_eq_tol(interval, interval_rows[_i].every / 1e6, interval_rows[_i].every / 1e6 * 0.02);
    ck_assert(!classify_regular(times, 0, true, &interval));
    ck_assert(!classify_regular(times, 10, true, &interval));
}
END_TEST

/* --- bounded counting --- */

enum { LIMIT = 100, KEYS = 3000, DRAWS = 60000 };

/* Some keys come often, most seldom: of three draws the least. */
static uint32_t skewed(uint64_t *state)
{
    uint32_t least = KEYS;

    for (int i = 0; i < 3; i++) {
        uint32_t k = draw(state) % KEYS;

        least = k < least ? k : least;
    }
    return least * least / KEYS;
}

static uint32_t number_in(const char *p, size_t n)
{
    uint32_t v = 0;

    for (size_t i = 0; i < n; i++)
        v = p[i] >= '0' && p[i] <= '9' ? v * 10 + (uint32_t)(p[i] - '0') : v;
    return v;
}

START_TEST(bounded)
{
    static uint32_t truth[KEYS];
    struct counter c = { .fold = true, .limit = LIMIT, .frugal = _i & 1, .columns = _i & 2 ? 2 : 0 };
    uint64_t state = 77 + (uint64_t)_i, sum = 0;
    uint32_t *list, bound;
    size_t n, often = 0;

    for (uint32_t i = 1; i <= DRAWS; i++) {
        struct sighting s = { .message = i, .time = i, .bytes = 1, .columns = _i & 2 ? 1 + i % 2 : 0 };
        uint32_t k = skewed(&state);
        char text[64];
        int length = snprintf(text, sizeof(text), "%*s%u", (int)(k % 40), k % 2 ? "KEY" : "", k);

        truth[k]++;
        count_add(&c, count_key(&c, text, (size_t)length), &s);
    }
    bound = count_bound(&c);
    ck_assert_uint_gt(bound, 0);
    ck_assert_uint_le(bound, DRAWS / LIMIT);
    list = count_sorted(&c, &n);
    ck_assert_uint_le(n, LIMIT);
    for (size_t i = 0; i < n; i++) {
        const struct counted *e = count_get(&c, list[i]);
        uint32_t k = number_in(e->text, count_kept(e));
        const uint32_t *columns = count_columns(&c, list[i]);

        ck_assert_uint_lt(k, KEYS);
        ck_assert_uint_ge(e->messages, truth[k]);
        ck_assert_uint_le(e->messages - e->error, truth[k]);
        ck_assert_uint_le(e->error, bound);
        ck_assert_uint_eq(e->bytes, e->messages - e->error);
        if (columns)
            ck_assert_uint_eq(columns[0] + columns[1], e->messages - e->error);
        often += truth[k] > bound;
        sum += e->messages;
    }
    for (uint32_t k = 0; k < KEYS; k++)
        often -= truth[k] > bound;
    ck_assert_uint_eq(often, 0);        /* none that came more often than the bound is missing */
    ck_assert(c.frugal || sum == DRAWS);
    free(list);
    count_done(&c);
}
END_TEST

/* What the flooder does best: another value in each message, and long ones. Memory does not follow. */
START_TEST(all_different)
{
    struct counter c = { .limit = 1000 };
    char text[400];

    memset(text, 'x', sizeof(text));
    for (uint32_t i = 1; i <= 200000; i++) {
        size_t n = 20 + i % 380;

        memcpy(text, &i, sizeof(i));
        count_add(&c, count_key(&c, text, n), &(struct sighting){ .message = i });
    }
    ck_assert_uint_eq(c.n, 1000 + COUNT_FIRST);
    ck_assert_uint_le(c.chunk_count, 3);        /* of 256 KiB */
    ck_assert_uint_eq(count_bound(&c), 199);
    count_done(&c);
}
END_TEST

START_TEST(exact_below_the_limit)
{
    struct counter c = { .limit = 1000 };
    char text[16];

    for (uint32_t i = 1; i <= 5000; i++) {
        int n = snprintf(text, sizeof(text), "%u", i % 1000);

        count_add(&c, count_key(&c, text, (size_t)n), &(struct sighting){ .message = i });
    }
    ck_assert_uint_eq(count_bound(&c), 0);
    for (uint32_t e = COUNT_FIRST; e < c.n; e++)
        ck_assert(count_get(&c, e)->messages == 5 && count_get(&c, e)->error == 0);
    count_done(&c);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("stat");
    TCase *t = tcase_create("stat");
    SRunner *runner;
    int failed;

    tcase_add_loop_test(t, shapes, 0, ROWS(shape_rows));
    tcase_add_test(t, shapes_that_do_not_fit);
    tcase_add_loop_test(t, keys, 0, ROWS(key_rows));
    tcase_add_loop_test(t, near_numbers, 0, 4);
    tcase_add_loop_test(t, matches_a_value, 0, ROWS(match_rows));
    tcase_add_loop_test(t, ages, 0, ROWS(age_rows));
    tcase_add_test(t, windows);
    tcase_add_loop_test(t, limits_passed, 0, ROWS(limit_rows));
    tcase_add_loop_test(t, limits_refused, 0, ROWS(bad_limits));
    tcase_add_loop_test(t, equal_intervals, 0, ROWS(interval_rows));
    tcase_add_loop_test(t, bounded, 0, 4);
    tcase_add_test(t, all_different);
    tcase_add_test(t, exact_below_the_limit);
    suite_add_tcase(suite, t);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
