/* Selection: each selector's yes, no and unknown; repeats; refusals; negation. */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "engine.h"
#include "filter.h"

/* A message of everything: what rows below select or not. */
static void whole_record(struct lq_record *r)
{
    struct lq_recipient *rcpt;

    record_reset(r);
    r->have = SEC_ALL;
    record_set_text(r, LQ_QUEUE_ID, "4jX48y4ynDz1blN8", 16);
    record_set_text(r, LQ_QUEUE_NAME, "deferred", 8);
    record_set_state(r, STATE_DEFERRED);
    record_set_number(r, LQ_ARRIVAL_TIME, 1795293358);
    record_set_number(r, LQ_MESSAGE_SIZE, 2062);
    record_set_text(r, LQ_SENDER, "O'Brien@Example.com", 19);
    rcpt = record_add_recipient(r, &r->recipients);
    rcpt->address = record_copy(r, "lee@example.net", 15);
    rcpt->delay_reason = record_copy(r, "connect to mx: Connection refused", 33);
    rcpt = record_add_recipient(r, &r->recipients);
    rcpt->address = record_copy(r, "mo@sub.example.net", 18);
    record_set_text(r, LQ_CLIENT_ADDRESS, "203.0.113.77", 12);
    record_set_text(r, LQ_CLIENT_NAME, "host.example.org", 16);
    record_set_text(r, LQ_HELO_NAME, "pc7", 3);
    record_set_text(r, LQ_PROTOCOL_NAME, "ESMTPSA", 7);
    record_set_text(r, LQ_AUTH_USER, "user70@mx.example.com", 21);
    record_set_text(r, LQ_SUBJECT, "Cheap watches", 13);
    record_set_number(r, LQ_ATTEMPTS, 3);
    record_set_text(r, LQ_REASON, "host mx said: 450 4.2.1 try later", 33);
    record_set_text(r, LQ_REASON_CLASS, "greylist", 8);
}

static enum tri ask(enum lq_selector sel, const char *arg, const struct lq_record *r, unsigned *need)
{
    struct filter_state state = { .now = 1795293358 + 7200 };
    struct lq_filter *f;
    struct lq_error err = { .text = "" };
    enum tri t;

    ck_assert_int_eq(lq_filter_new(&f, &err), LQ_OK);
    ck_assert_msg(lq_filter_add(f, sel, arg, &err) == LQ_OK, "%s", err.text);
    t = filter_eval(f, r, &state, need);
    lq_filter_invert(f);
    ck_assert_int_eq(filter_eval(f, r, &state, need), t == TRI_UNKNOWN ? t : t == TRI_YES ? TRI_NO : TRI_YES);
    lq_filter_invert(f);
    ck_assert_int_eq(filter_eval(f, r, &state, need), t);
    lq_filter_free(f);
    pattern_scratch_done(&state.scratch);
    return t;
}

static const struct { enum lq_selector sel; const char *arg; enum tri whole; } rows[] = {
    { LQ_SEL_SENDER, "o'brien@example.com", TRI_YES },
    { LQ_SEL_SENDER, "brien@example.com", TRI_NO },
    { LQ_SEL_SENDER, "@example.com", TRI_YES },
    { LQ_SEL_SENDER, "@ample.com", TRI_NO },
    { LQ_SEL_SENDER, "<>", TRI_NO },
    { LQ_SEL_RECIPIENT, "@example.net", TRI_YES },
    { LQ_SEL_RECIPIENT, "@sub.example.net", TRI_YES },
    { LQ_SEL_RECIPIENT, "nobody@example.net", TRI_NO },
    { LQ_SEL_RECIPIENT_ALL, "@example.net", TRI_NO },
    { LQ_SEL_RECIPIENT_ALL, "@.example.net", TRI_YES },
    { LQ_SEL_CLIENT, "203.0.113.7", TRI_NO },
    { LQ_SEL_CLIENT, "203.0.113.77", TRI_YES },
    { LQ_SEL_CLIENT, "::ffff:203.0.113.77", TRI_YES },
    { LQ_SEL_CLIENT, "203.0.113.0/24", TRI_YES },
    { LQ_SEL_CLIENT, "192.0.2.1,203.0.113.70-203.0.113.79", TRI_YES },
    { LQ_SEL_CLIENT, "2001:db8::/32", TRI_NO },
    { LQ_SEL_USER, "user7", TRI_NO },
    { LQ_SEL_USER, "user70", TRI_YES },
    { LQ_SEL_USER, "user70@mx.example.com", TRI_YES },
    { LQ_SEL_USER, "user70@other.example", TRI_NO },
    { LQ_SEL_SUBJECT, "cheap*", TRI_YES },
    { LQ_SEL_SUBJECT, "cheap", TRI_NO },
    { LQ_SEL_SUBJECT, "/watch/", TRI_YES },
    { LQ_SEL_HELO, "PC7", TRI_YES },
    { LQ_SEL_CLIENT_NAME, "*.example.org", TRI_YES },
    { LQ_SEL_PROTOCOL, "esmtpsa", TRI_YES },
    { LQ_SEL_REASON, "*refused", TRI_YES },
    { LQ_SEL_REASON, "*450*", TRI_YES },
    { LQ_SEL_REASON, "*timed out*", TRI_NO },
    { LQ_SEL_CLASS, "dns,greylist", TRI_YES },
    { LQ_SEL_CLASS, "dns", TRI_NO },
    { LQ_SEL_SIZE, "2062", TRI_YES },
    { LQ_SEL_SIZE, "+2k", TRI_YES },
    { LQ_SEL_SIZE, "-2k", TRI_NO },
    { LQ_SEL_SIZE, "2000..2100", TRI_YES },
    { LQ_SEL_YOUNGER, "2h", TRI_NO },
    { LQ_SEL_YOUNGER, "7201", TRI_YES },
    { LQ_SEL_OLDER, "2h", TRI_YES },
    { LQ_SEL_OLDER, "7201", TRI_NO },
    { LQ_SEL_SINCE, "1795293358", TRI_YES },
    { LQ_SEL_SINCE, "1795293359", TRI_NO },
    { LQ_SEL_UNTIL, "1795293358", TRI_YES },
    { LQ_SEL_UNTIL, "1795293357", TRI_NO },
    { LQ_SEL_RCPTS, "2", TRI_YES },
    { LQ_SEL_RCPTS, "+2", TRI_NO },
    { LQ_SEL_ATTEMPTS, "1..3", TRI_YES },
    { LQ_SEL_STATE, "deferred", TRI_YES },
    { LQ_SEL_STATE, "held,active", TRI_NO },
    { LQ_SEL_QUEUE, "deferred", TRI_YES },
    { LQ_SEL_QUEUE, "defer", TRI_NO },
    { LQ_SEL_HELD, NULL, TRI_NO },
    { LQ_SEL_NOT_HELD, NULL, TRI_YES },
    { LQ_SEL_BOUNCES, NULL, TRI_NO },
    { LQ_SEL_LOCAL, NULL, TRI_NO },
    { LQ_SEL_DAMAGED, NULL, TRI_NO },
    { LQ_SEL_ID, "4jX48y4ynDz1blN8", TRI_YES },
    { LQ_SEL_ID, "4jX48y4ynDz1blN", TRI_NO },
};

START_TEST(decides_a_whole_message)
{
    struct lq_record r = { 0 };
    unsigned need;

    whole_record(&r);
    ck_assert_int_eq(ask(rows[_i].sel, rows[_i].arg, &r, &need), rows[_i].whole);
    record_done(&r);
}
END_TEST

/* Nothing was read yet: only what the name tells is decided, all else names the sections it wants. */
START_TEST(asks_for_what_is_not_read)
{
    struct lq_record r = { 0 };
    unsigned need;
    enum tri t;

    record_reset(&r);
    record_set_text(&r, LQ_QUEUE_ID, "X", 1);
    record_set_text(&r, LQ_QUEUE_NAME, "Y", 1);
    t = ask(rows[_i].sel, rows[_i].arg, &r, &need);
    if (rows[_i].sel == LQ_SEL_ID || rows[_i].sel == LQ_SEL_QUEUE) {
        ck_assert_int_eq(t, TRI_NO);
        ck_assert_uint_eq(need, 0);
    } else {
        ck_assert_int_eq(t, TRI_UNKNOWN);
        ck_assert(need & SEC_CONTROL);
    }
    record_done(&r);
}
END_TEST

/* All was read and nothing understood: neither a selector nor its negation (tried in ask()) may select. */
START_TEST(broken_stays_unknown)
{
    struct lq_record r = { 0 };
    unsigned need;
    enum tri t;

    record_reset(&r);
    r.have = SEC_ALL;
    record_broken(&r, SEC_ALL & ~SEC_NAME);
    record_problem(&r, "unreadable");
    record_set_text(&r, LQ_QUEUE_ID, "X", 1);
    record_set_text(&r, LQ_QUEUE_NAME, "Y", 1);
    t = ask(rows[_i].sel, rows[_i].arg, &r, &need);
    ck_assert_uint_eq(need, 0);
    if (rows[_i].sel == LQ_SEL_ID || rows[_i].sel == LQ_SEL_QUEUE)
        ck_assert_int_eq(t, TRI_NO);
    else if (rows[_i].sel == LQ_SEL_DAMAGED)
        ck_assert_int_eq(t, TRI_YES);
    else
        ck_assert_int_eq(t, TRI_UNKNOWN);
    record_done(&r);
}
END_TEST

/* All was read, and the queue stores none of it: known not to match. */
START_TEST(absent_is_no)
{
    struct lq_record r = { 0 };
    unsigned need;

    record_reset(&r);
    r.have = SEC_ALL;
    r.state = STATE_INCOMING;
    record_set_text(&r, LQ_QUEUE_ID, "X", 1);
    record_set_text(&r, LQ_QUEUE_NAME, "Y", 1);
    if (rows[_i].sel != LQ_SEL_NOT_HELD && rows[_i].sel != LQ_SEL_OLDER)
        ck_assert_int_eq(ask(rows[_i].sel, rows[_i].arg, &r, &need), TRI_NO);
    record_done(&r);
}
END_TEST

/* A frozen message whose file is damaged as well shows only that: it is not among those that nobody put aside. */
START_TEST(damage_hides_held)
{
    static const struct { enum state state; enum tri held; } states[] = {
        { STATE_CORRUPT, TRI_UNKNOWN }, { STATE_INCOMPLETE, TRI_UNKNOWN }, { STATE_HELD, TRI_YES }, { STATE_ACTIVE, TRI_NO },
        { STATE_RECEIVING, TRI_NO },
    };

    for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
        struct lq_record r = { 0 };
        unsigned need;
        enum tri held = states[i].held;

        whole_record(&r);
        r.state = states[i].state;
        ck_assert_int_eq(ask(LQ_SEL_HELD, NULL, &r, &need), held);
        ck_assert_int_eq(ask(LQ_SEL_NOT_HELD, NULL, &r, &need), tri_not(held));
        ck_assert_uint_eq(need, 0);
        ck_assert_int_eq(ask(LQ_SEL_STATE, "held", &r, &need), tri_from(r.state == STATE_HELD));
        record_done(&r);
    }
}
END_TEST

static const struct { enum lq_selector sel; const char *arg, *says; } bad_rows[] = {
    { LQ_SEL_SENDER, "", "empty" },
    { LQ_SEL_SENDER, NULL, "argument" },
    { LQ_SEL_SENDER, "^bob", "/" },
    { LQ_SEL_SENDER, "bob$", "/" },
    { LQ_SEL_SENDER, "/(/", "" },
    { LQ_SEL_CLIENT, "203.0.113.300", "203.0.113.300" },
    { LQ_SEL_CLIENT, "203.0.113.0/33", "33" },
    { LQ_SEL_CLIENT, "192.0.2.1,", "" },
    { LQ_SEL_SIZE, "2q", "2q" },
    { LQ_SEL_SIZE, "", "empty" },
    { LQ_SEL_OLDER, "-3d", "" },
    { LQ_SEL_OLDER, "3y", "" },
    { LQ_SEL_SINCE, "yesterday", "yesterday" },
    { LQ_SEL_STATE, "frozen", "frozen" },
    { LQ_SEL_STATE, "held,", "" },
    { LQ_SEL_CLASS, "spam", "spam" },
    { LQ_SEL_RCPTS, "many", "many" },
    { LQ_SEL_ID, "", "empty" },
};

START_TEST(refuses)
{
    struct lq_filter *f;
    struct lq_error err = { .text = "" };

    ck_assert_int_eq(lq_filter_new(&f, &err), LQ_OK);
    ck_assert_int_eq(lq_filter_add(f, bad_rows[_i].sel, bad_rows[_i].arg, &err), LQ_EINVAL);
    ck_assert_msg(err.text[0] != '\0' && strstr(err.text, bad_rows[_i].says), "said: %s", err.text);
    ck_assert(lq_filter_empty(f));
    lq_filter_free(f);
}
END_TEST

START_TEST(names_or_limits_refuse)
{
    struct filter_state state = { .now = 1 };
    struct lq_record r = { 0 };
    struct lq_filter *f;
    struct lq_error err;
    unsigned need;

    whole_record(&r);
    ck_assert_int_eq(lq_filter_new(&f, &err), LQ_OK);
    ck_assert_int_eq(lq_filter_add(f, LQ_SEL_SENDER, "a@b.example", &err), LQ_OK);
    ck_assert_int_eq(filter_eval(f, &r, &state, &need), TRI_NO);
    ck_assert_int_eq(lq_filter_add(f, LQ_SEL_SENDER, "@example.com", &err), LQ_OK);
    ck_assert_int_eq(filter_eval(f, &r, &state, &need), TRI_YES);
    ck_assert_int_eq(lq_filter_add(f, LQ_SEL_SIZE, "+1k", &err), LQ_OK);
    ck_assert_int_eq(lq_filter_add(f, LQ_SEL_SIZE, "-9k", &err), LQ_EINVAL);
    ck_assert_ptr_nonnull(strstr(err.text, "twice"));
    ck_assert_int_eq(filter_eval(f, &r, &state, &need), TRI_YES);
    ck_assert_int_eq(lq_filter_add(f, LQ_SEL_ID, "AAA", &err), LQ_OK);
    ck_assert_int_eq(filter_eval(f, &r, &state, &need), TRI_NO);
    for (int i = 0; i < 1000; i++) {
        char id[20];

        snprintf(id, sizeof(id), "ID%d", i);
        ck_assert_int_eq(lq_filter_add(f, LQ_SEL_ID, id, &err), LQ_OK);
    }
    ck_assert_int_eq(lq_filter_add(f, LQ_SEL_ID, "4jX48y4ynDz1blN8", &err), LQ_OK);
    ck_assert_int_eq(filter_eval(f, &r, &state, &need), TRI_YES);
    lq_filter_free(f);
    record_done(&r);
    pattern_scratch_done(&state.scratch);
}
END_TEST

/* 200,000 recipients of which 100,000 are stored: the count still decides what it can. */
START_TEST(counts_what_is_not_stored)
{
    static const struct { const char *arg; enum tri t; } asks[] = {
        { "+1000", TRI_YES }, { "-1000", TRI_NO }, { "5", TRI_NO }, { "200000..300000", TRI_UNKNOWN },
    };
    struct lq_record r = { 0 };
    unsigned need;

    record_reset(&r);
    r.have = SEC_ALL;
    for (int i = 0; i < 200000; i++)
        record_add_recipient(&r, &r.recipients);
    for (size_t i = 0; i < sizeof(asks) / sizeof(asks[0]); i++)
        ck_assert_int_eq(ask(LQ_SEL_RCPTS, asks[i].arg, &r, &need), asks[i].t);
    record_done(&r);
}
END_TEST

#define COUNT(a) (int)(sizeof(a) / sizeof((a)[0]))

int main(void)
{
    Suite *s = suite_create("filter");
    TCase *t = tcase_create("filter");
    SRunner *sr;
    int failed;

    tcase_set_timeout(t, 60);
    tcase_add_loop_test(t, decides_a_whole_message, 0, COUNT(rows));
    tcase_add_loop_test(t, asks_for_what_is_not_read, 0, COUNT(rows));
    tcase_add_loop_test(t, broken_stays_unknown, 0, COUNT(rows));
    tcase_add_loop_test(t, absent_is_no, 0, COUNT(rows));
    tcase_add_test(t, damage_hides_held);
    tcase_add_loop_test(t, refuses, 0, COUNT(bad_rows));
    tcase_add_test(t, names_or_limits_refuse);
    tcase_add_test(t, counts_what_is_not_stored);
    suite_add_tcase(s, t);
    sr = srunner_create(s);
    srunner_run_all(sr, CK_NORMAL);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed ? 1 : 0;
}
