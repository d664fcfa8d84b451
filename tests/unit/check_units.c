/* Sizes, ages, counts and times as typed. */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "units.h"

#define COUNT(a) (int)(sizeof(a) / sizeof((a)[0]))
#define MIB (INT64_C(1) << 20)

static const struct { const char *in; int64_t low, high; } size_rows[] = {     /* low > high: refused */
    { "2062", 2062, 2062 }, { "0", 0, 0 }, { "+1M", MIB + 1, INT64_MAX }, { "-10k", 0, 10239 }, { "10K", 10240, 10240 },
    { "2000..2100", 2000, 2100 }, { "1k..2k", 1024, 2048 }, { "2g", 2048 * MIB, 2048 * MIB }, { "2..2", 2, 2 },
    { "+0", 1, INT64_MAX }, { "-1", 0, 0 }, { "9223372036854775799", INT64_C(9223372036854775799), INT64_C(9223372036854775799) },
    { "", 1, 0 }, { "-0", 1, 0 }, { "k", 1, 0 }, { "1kb", 1, 0 }, { "1 k", 1, 0 }, { " 1", 1, 0 }, { "1t", 1, 0 }, { "1.5M", 1, 0 },
    { "2..1", 1, 0 }, { "..1", 1, 0 }, { "1..", 1, 0 }, { "1...2", 1, 0 }, { "+1..2", 1, 0 }, { "1..+2", 1, 0 }, { "++1", 1, 0 },
    { "99999999999999999999", 1, 0 }, { "9007199254740992k", 1, 0 }, { "+9223372036854775807", 1, 0 }, { "0x10", 1, 0 }, { "1,000", 1, 0 },
};

START_TEST(sizes)
{
    struct range r = { 7, 7 };
    struct lq_error err = { 0 };
    int rc = units_size(&r, size_rows[_i].in, &err);

    if (size_rows[_i].low > size_rows[_i].high) {
        ck_assert_int_eq(rc, LQ_EINVAL);
        ck_assert_int_eq(r.low, 7);
        ck_assert_ptr_nonnull(strstr(err.text, "size"));
        return;
    }
    ck_assert_int_eq(rc, LQ_OK);
    ck_assert_int_eq(r.low, size_rows[_i].low);
    ck_assert_int_eq(r.high, size_rows[_i].high);
}
END_TEST

START_TEST(counts)
{
    struct range r;

    ck_assert_int_eq(units_count(&r, "+3", NULL), LQ_OK);
    ck_assert_int_eq(r.low, 4);
    ck_assert_int_eq(r.high, INT64_MAX);
    ck_assert_int_eq(units_count(&r, "1..5", NULL), LQ_OK);
    ck_assert_int_eq(r.high, 5);
    ck_assert_int_eq(units_count(&r, "3k", NULL), LQ_EINVAL);
    ck_assert_int_eq(units_count(&r, "", NULL), LQ_EINVAL);
}
END_TEST

static const struct { const char *in; int64_t out; } age_rows[] = {    /* -1: refused */
    { "90", 90 }, { "90s", 90 }, { "10m", 600 }, { "3h", 10800 }, { "2d", 172800 }, { "1w", 604800 }, { "0", 0 },
    { "", -1 }, { "m", -1 }, { "10M", -1 }, { "1h30m", -1 }, { "-5", -1 }, { "+5", -1 }, { "1.5h", -1 }, { "5 m", -1 },
    { "15250284452472w", -1 }, { "1y", -1 },
};

START_TEST(ages)
{
    int64_t v = -7;
    int rc = units_age(&v, age_rows[_i].in, NULL);

    ck_assert_int_eq(rc, age_rows[_i].out < 0 ? LQ_EINVAL : LQ_OK);
    ck_assert_int_eq(v, age_rows[_i].out < 0 ? -7 : age_rows[_i].out);
}
END_TEST

/* Local time is Berlin's: +01:00 in March and November, +02:00 in July. */
static const struct { const char *in; int64_t out; } time_rows[] = {
    { "1795293358", 1795293358 }, { "@1795293358", 1795293358 }, { "@5", 5 },
    { "2026-11-21T20:35:58Z", 1795293358 }, { "2026-11-21 20:35:58Z", 1795293358 }, { "2026-11-21t20:35:58z", 1795293358 },
    { "2026-11-21T21:35:58+01:00", 1795293358 }, { "2026-11-21T21:35:58+0100", 1795293358 },
    { "2026-11-21T21:35:58+01", 1795293358 }, { "2026-11-21T15:05:58-0530", 1795293358 },
    { "2026-11-21T20:35:58.999Z", 1795293358 }, { "2026-11-21T20:35Z", 1795293300 },
    { "2026-11-21T21:35:58", 1795293358 }, { "2026-11-21T21:35", 1795293300 }, { "2026-11-21", 1795215600 },
    { "2026-07-01T12:00:00", 1782900000 }, { "2024-02-29T00:00Z", 1709164800 }, { "9999-12-31T23:59:59Z", INT64_C(253402300799) },
    { "", -1 }, { "2026", -1 }, { "20261121", -1 }, { "@", -1 }, { "@-5", -1 }, { "-5", -1 }, { "99999999999999999999", -1 },
    { "2026-11-21T", -1 }, { "2026-11-21T20", -1 }, { "2026-11-21Z", -1 }, { "2026-13-01", -1 }, { "2026-00-01", -1 },
    { "2026-02-29", -1 }, { "2026-11-31", -1 }, { "2026-11-00", -1 }, { "2026-1-1", -1 }, { "1969-12-31", -1 },
    { "2026-11-21T24:00", -1 }, { "2026-11-21T20:60", -1 }, { "2026-11-21T20:35:61", -1 }, { "2026-11-21T20:35:", -1 },
    { "2026-11-21T20:35:58.", -1 }, { "2026-11-21T20:35:58+1", -1 }, { "2026-11-21T20:35:58+01:", -1 },
    { "2026-11-21T20:35:58+24:00", -1 }, { "2026-11-21T20:35:58+01:60", -1 }, { "2026-11-21T20:35:58 Z", -1 },
    { "2026-11-21T20:35:58Zx", -1 }, { "1795293358x", -1 }, { "yesterday", -1 }, { "12026-11-21", -1 },
};

START_TEST(times)
{
    int64_t v = -7;
    struct lq_error err = { 0 };
    int rc = units_time(&v, time_rows[_i].in, &err);

    ck_assert_int_eq(rc, time_rows[_i].out < 0 ? LQ_EINVAL : LQ_OK);
    ck_assert_int_eq(v, time_rows[_i].out < 0 ? -7 : time_rows[_i].out);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("units");
    TCase *t = tcase_create("units");
    SRunner *sr;
    int failed;

    setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1);
    tzset();
    tcase_add_loop_test(t, sizes, 0, COUNT(size_rows));
    tcase_add_test(t, counts);
    tcase_add_loop_test(t, ages, 0, COUNT(age_rows));
    tcase_add_loop_test(t, times, 0, COUNT(time_rows));
    suite_add_tcase(s, t);
    sr = srunner_create(s);
    srunner_run_all(sr, CK_NORMAL);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed ? 1 : 0;
}
