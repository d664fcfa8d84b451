/*
 * Expressions: what they select, what is refused and where; that options and their expressions select the same, that a filter's text
 * selects what the filter does, and that what cannot be read never changes an answer: all three also on random messages.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine.h"

static const int64_t now = 1795293358 + 7200;

static void set_text(struct lq_record *r, enum lq_field f, const char *text)
{
    record_set_text(r, f, text, strlen(text));
}

static void add_rcpt(struct lq_record *r, struct rcpt_list *list, const char *address, const char *reason, const char *code)
{
    struct lq_recipient *rcpt = record_add_recipient(r, list);

    rcpt->address = record_copy(r, address, strlen(address));
    if (reason)
        rcpt->delay_reason = record_copy(r, reason, strlen(reason));
    if (code)
        rcpt->dsn_code = record_copy(r, code, strlen(code));
}

static void whole_record(struct lq_record *r)
{
    struct lq_hop *hop;

    record_reset(r);
    r->have = SEC_ALL;
    set_text(r, LQ_MTA, "postfix");
    set_text(r, LQ_SPOOL, "/var/spool/postfix");
    set_text(r, LQ_QUEUE_ID, "4jX48y4ynDz1blN8");
    set_text(r, LQ_QUEUE_NAME, "deferred");
    record_set_state(r, STATE_DEFERRED);
    record_set_number(r, LQ_ARRIVAL_TIME, 1795293358);
    record_set_number(r, LQ_MESSAGE_SIZE, 2062);
    set_text(r, LQ_SENDER, "O'Brien@Example.com");
    add_rcpt(r, &r->recipients, "lee@example.net", "connect to mx: Connection refused", "4.4.1");
    add_rcpt(r, &r->recipients, "mo@sub.example.net", NULL, NULL);
    add_rcpt(r, &r->done, "done@example.org", NULL, NULL);
    set_text(r, LQ_CLIENT_ADDRESS, "203.0.113.77");
    set_text(r, LQ_CLIENT_NAME, "host.example.org");
    set_text(r, LQ_AUTH_USER, "user70@mx.example.com");
    set_text(r, LQ_SUBJECT, "Cheap \"watches\" \\ and (more)");
    record_set_number(r, LQ_ATTEMPTS, 3);
    record_set_number(r, LQ_FORCED_EXPIRE, 1);
    set_text(r, LQ_REASON, "host mx said: 450 4.2.1 try later");
    set_text(r, LQ_REASON_CLASS, "greylist");
    record_flag(r, FLAG_TLS);
    record_flag(r, FLAG_AUTHENTICATED);
    hop = record_add_hop(r);
    hop->by = record_copy(r, "mx.example.com", 14);
    hop->from = record_copy(r, "host.example.org", 16);
    hop->address = record_copy(r, "203.0.113.77", 12);
    hop->time = 1795293350;
    hop = record_add_hop(r);
    hop->by = record_copy(r, "relay.example.org", 17);
    hop->address = record_copy(r, "10.1.2.3", 8);
    hop->time = 1795293340;
}

static struct lq_filter *compiled(const char *text)
{
    struct lq_filter *f;
    struct lq_error err = { .text = "" };
    size_t at = 0;

    ck_assert_int_eq(lq_filter_new(&f, &err), LQ_OK);
    ck_assert_msg(lq_filter_expression(f, text, &at, &err) == LQ_OK, "%s\n%s at %zu", text, err.text, at);
    return f;
}

static enum tri evaluate(const struct lq_filter *f, const struct lq_record *r, unsigned *need)
{
    struct filter_state state = { .now = now };
    enum tri t = filter_eval(f, r, &state, need);

    pattern_scratch_done(&state.scratch);
    return t;
}

static enum tri ask(const char *text, const struct lq_record *r)
{
    struct lq_filter *f = compiled(text);
    unsigned need;
    enum tri t = evaluate(f, r, &need);

    lq_filter_free(f);
    return t;
}

/* --- what is selected --- */

static const struct { const char *text; bool whole; } rows[] = {
    { "sender = o'brien@example.com", true },
    { "sender = brien@example.com", false },
    { "sender == O'BRIEN@example.com", true },
    { "sender == '@example.com'", false },
    { "sender = @example.com", true },
    { "sender=@.com", true },
    { "sender ~ brien", true },
    { "sender ~ /^o.brien@(a|example)[.]com$/", true },
    { "sender ~ ^brien", false },
    { "sender != 'o\\'brien@example.com'", false },
    { "sender = <>", false },
    { "sender != <>", true },
    { "sender", true },
    { "has sender", true },
    { "sender.domain == example.com", true },
    { "sender.domain = *.com", true },
    { "sender.domain = example", false },
    { "recipients.address = lee@example.net", true },
    { "recipient = @.example.net", true },
    { "recipients = lee*", true },
    { "all recipients.address = @.example.net", true },
    { "all recipients.address = @example.net", false },
    { "any recipients.address = @example.net", true },
    { "not all recipients.address = @example.net", true },
    { "recipients.address != lee@example.net", false },
    { "recipients.address != nobody@example.net", true },
    { "recipients.domain in (example.org, sub.example.net)", true },
    { "all recipients.domain in (example.net, sub.example.net)", true },
    { "recipients.delay_reason ~ refused", true },
    { "all recipients.delay_reason ~ refused", false },
    { "recipients.dsn_code = 4.4.*", true },
    { "recipients.orig_address", false },
    { "recipients_done.address = done@example.org", true },
    { "rcpts == 2 and rcpts > 1 and rcpts <= 2 and not rcpts > 2", true },
    { "client in 203.0.113.0/24", true },
    { "client in 203.0.113.7", false },
    { "client = 203.0.113.7", false },
    { "client == ::ffff:203.0.113.77", true },
    { "client = 203.0.113.*", true },
    { "client ~ ^203", true },
    { "client not in 203.0.113.0/24", false },
    { "client_address in (192.0.2.1, 203.0.113.70-203.0.113.79)", true },
    { "client in 2001:db8::/32", false },
    { "client-name = *.example.org", true },
    { "helo", false },
    { "user = user70", true },
    { "user = user7", false },
    { "user = user7*", true },
    { "auth_user.domain = mx.example.com", true },
    { "local_user", false },
    { "subject = cheap*", true },
    { "subject = 'cheap'", false },
    { "subject ~ 'watch(es)?'", true },
    { "subject == 'cheap \"watches\" \\\\ and (more)'", true },
    { "subject = \"*\\\"watches\\\" \\\\\\\\ and*\"", true },
    { "subject = *", true },
    { "message_id", false },
    { "size == 2062", true },
    { "size = 2062", true },
    { "size != 2062", false },
    { "size > 2k and size < 1M and size >= 2062 and size <= 2062", true },
    { "size in 2000..2100", true },
    { "size in (1, 2062, 5k..1M)", true },
    { "message_size<2062", false },
    { "attempts >= 3", true },
    { "has attempts", true },
    { "has client_port", false },
    { "client_port > 0", false },
    { "forced_expire", true },
    { "forced_expire == false", false },
    { "age < 2h", false },
    { "age >= 2h and age <= 7200s", true },
    { "age in 1h..3h", true },
    { "arrival >= 1795293358", true },
    { "arrival_time == 1795293358", true },
    { "arrival_time in 2026-11-21T00:00Z..2026-11-22T00:00Z", true },
    { "last_attempt < 2100-01-01", false },
    { "state == deferred", true },
    { "state in (held, active)", false },
    { "state in held,deferred", true },
    { "state != held", true },
    { "class = greylist", true },
    { "reason ~ refused", true },
    { "reason = *450*", true },
    { "flags == tls", true },
    { "flags != tls", false },
    { "flag in (bounce, authenticated)", true },
    { "all flags in (tls, authenticated)", true },
    { "all flags == tls", false },
    { "mta == postfix", true },
    { "spool == /var/spool/postfix", true },
    { "spool = /var/spool/*", true },
    { "queue = deferred", true },
    { "queue = DEFERRED", false },
    { "id == 4jX48y4ynDz1blN8", true },
    { "id == 4jx48y4yndz1bln8", false },
    { "id in (a, 4jX48y4ynDz1blN8)", true },
    { "id != 4jX48y4ynDz1blN8", false },
    { "id = 4jX48y*", true },
    { "received", true },
    { "received.address in 10.0.0.0/8", true },
    { "all received.address in 10.0.0.0/8", false },
    { "received.by = *.example.org", true },
    { "received.from = host.example.org", true },
    { "all received.from = host.example.org", false },
    { "received.time < 1795293345", true },
    { "problems", false },
    { "damaged", false },
    { "bounces", false },
    { "local", false },
    { "held", false },
    { "not held and not damaged", true },
    { "not not held", false },
    { "not (held or not (sender or held))", true },
    { "held and sender or subject", true },
    { "held and (sender or subject)", false },
    { "subject or held and held", true },
    { "\n client in\t203.0.113.0/24\nand size == 2062 and not user = prof* ", true },
};

START_TEST(selects)
{
    struct lq_record r = { 0 };
    char negated[400];

    whole_record(&r);
    ck_assert_int_eq(ask(rows[_i].text, &r), rows[_i].whole ? TRI_YES : TRI_NO);
    snprintf(negated, sizeof(negated), "not (%s)", rows[_i].text);
    ck_assert_int_eq(ask(negated, &r), rows[_i].whole ? TRI_NO : TRI_YES);
    record_done(&r);
}
END_TEST

/* The text of a filter selects the same, and is its own text. */
START_TEST(writes_itself)
{
    struct lq_record r = { 0 };
    struct lq_filter *f = compiled(rows[_i].text), *again;
    struct lq_error err;
    char *text, *second;
    unsigned need;

    whole_record(&r);
    for (int inverted = 0; inverted < 2; inverted++) {
        ck_assert_int_eq(lq_filter_text(f, &text, &err), LQ_OK);
        again = compiled(text);
        ck_assert_msg(evaluate(again, &r, &need) == evaluate(f, &r, &need), "%s became %s", rows[_i].text, text);
        ck_assert_int_eq(lq_filter_text(again, &second, &err), LQ_OK);
        ck_assert_str_eq(text, second);
        free(text);
        free(second);
        lq_filter_free(again);
        lq_filter_invert(f);
    }
    lq_filter_free(f);
    record_done(&r);
}
END_TEST

static const struct { const char *text; const char *says; int at; } bad_rows[] = {
    { "", "empty", 0 },
    { " \n\t ", "empty", 0 },
    { "clinet = x", "did you mean 'client'", 0 },
    { "sender = a and clinet = x", "did you mean 'client'", 15 },
    { "sendre", "did you mean 'sender'", 0 },
    { "recipients.adress = x", "address", 0 },
    { "sender.adress = x", "no part", 0 },
    { "received.nothing", "by from helo", 0 },
    { "damagd", "did you mean 'damaged'", 0 },
    { "sender =", "missing", 8 },
    { "sender = and size == 3", "missing before 'and'", 9 },
    { "sender = ''", "empty text", 9 },
    { "sender == \"\"", "empty text", 10 },
    { "sender in ()", "empty list", 11 },
    { "sender in (a,)", "missing", 13 },
    { "sender in (a b)", "comma", 13 },
    { "sender in (a, b", "never closed", 10 },
    { "sender = \"a", "never closed", 9 },
    { "sender = 'a'b", "ends with its quote", 12 },
    { "sender = ^bob", "/", 9 },
    { "sender == bob*", "pattern", 10 },
    { "user != prof*", "pattern", 8 },
    { "sender != @example.com", "pattern", 10 },
    { "sender ~ '('", "regular expression", 9 },
    { "sender ~ /a", "no / at its end", 9 },
    { "sender ~ /a/b", "ended", 12 },
    { "sender < 5", "does not compare", 7 },
    { "size ~ 5", "does not compare", 5 },
    { "state < held", "does not compare", 6 },
    { "received = x", "list", 9 },
    { "size == 2x", "no size", 8 },
    { "size == -2", "> and <", 8 },
    { "size == 1..2", "range", 8 },
    { "size in 5..2", "ends before", 8 },
    { "size in 1..2..9000", "two ends", 8 },
    { "rcpts = 1..1..1", "two ends", 8 },
    { "size = many", "no size", 7 },
    { "attempts = 1k", "no number", 11 },
    { "age < 5y", "age", 6 },
    { "age == 2h", "never exactly", 7 },
    { "arrival = 2026-11-21", "never exactly", 10 },
    { "arrival != 2026-11-21", "never exactly", 11 },
    { "arrival > noon", "time", 10 },
    { "client in 203.0.113.300", "203.0.113.300", 10 },
    { "client in (192.0.2.1, 203.0.113.0/33)", "33", 22 },
    { "client == 203.0.113.0/24", "in 203.0.113.0/24", 10 },
    { "state = frozen", "known are", 8 },
    { "flags = nothing", "known are", 8 },
    { "class in (dns, spam)", "known are", 15 },
    { "forced_expire = maybe", "neither", 16 },
    { "any sender = x", "no list", 0 },
    { "all recipients != x", "two things", 15 },
    { "all held", "unknown field", 4 },
    { "held = true", "stands alone", 5 },
    { "attempts", "compare it", 8 },
    { "has attempts > 3", "whole question", 13 },
    { "(sender", "never closed", 0 },
    { "sender)", "closes nothing", 6 },
    { "sender subject", "'and' or 'or'", 7 },
    { "(sender subject)", "'and' or 'or'", 8 },
    { "sender = a b", "'and' or 'or'", 11 },
    { "subject = inv(oice)", "'and' or 'or'", 13 },
    { "sender and", "missing at the end", 10 },
    { "and sender", "missing before 'and'", 0 },
    { "not", "missing at the end", 3 },
    { "! sender", "'not'", 0 },
    { "sender & subject", "'and' or 'or'", 7 },
    { "()", "name of a field", 1 },
    { "= 5", "name of a field", 0 },
    { "subject = \xe2\x80\x9cx\xe2\x80\x9d", "no quotes", 10 },
};

START_TEST(refuses)
{
    struct lq_filter *f;
    struct lq_error err = { .text = "" };
    size_t at = 9999;

    ck_assert_int_eq(lq_filter_new(&f, &err), LQ_OK);
    ck_assert_int_eq(lq_filter_expression(f, bad_rows[_i].text, &at, &err), LQ_EINVAL);
    ck_assert_msg(strstr(err.text, bad_rows[_i].says), "%s\nsaid: %s", bad_rows[_i].text, err.text);
    ck_assert_msg((int)at == bad_rows[_i].at, "%s\nsaid: %s at %zu", bad_rows[_i].text, err.text, at);
    ck_assert_ptr_null(strchr(err.text, '\n'));
    ck_assert(lq_filter_empty(f));
    lq_filter_free(f);
}
END_TEST

static char *repeated(const char *before, const char *item, const char *after, int n)
{
    size_t each = strlen(item);
    char *text = malloc(strlen(before) + each * (size_t)n + strlen(after) + 1), *to = stpcpy(text, before);

    for (int i = 0; i < n; i++)
        to = stpcpy(to, item);
    strcpy(to, after);
    return text;
}

/* Deep and long ones are refused before they cost anything; what is only long is not. */
START_TEST(has_bounds)
{
    static const struct { const char *before, *item, *after; int n; int rc; } deep[] = {
        { "", "(", "held", 1000000, LQ_EINVAL },
        { "", "not (", "held", 100000, LQ_EINVAL },
        { "", "not ", "held", 200000, LQ_OK },
        { "held", " or held", "", 9000, LQ_OK },
        { "held", " or held", "", 10000, LQ_EINVAL },
        { "held", " and held or held", "", 4000, LQ_OK },
        { "id in (a", ", b", ")", 100000, LQ_OK },
        { "sender = '", "x", "'", 2000000, LQ_EINVAL },
        { "", "(((((((((", "", 1000, LQ_EINVAL },
    };
    struct lq_filter *f;
    struct lq_error err;
    char *text = repeated(deep[_i].before, deep[_i].item, deep[_i].after, deep[_i].n);

    ck_assert_int_eq(lq_filter_new(&f, &err), LQ_OK);
    ck_assert_int_eq(lq_filter_expression(f, text, NULL, &err), deep[_i].rc);
    lq_filter_free(f);
    free(text);
}
END_TEST

/* Several narrow; after inverting none can be added. */
START_TEST(adds_up)
{
    struct lq_record r = { 0 };
    struct lq_filter *f = compiled("sender or held");
    struct lq_error err;
    unsigned need;
    char *text;

    whole_record(&r);
    ck_assert_int_eq(evaluate(f, &r, &need), TRI_YES);
    ck_assert_int_eq(lq_filter_add(f, LQ_SEL_SIZE, "2062", &err), LQ_OK);
    ck_assert_int_eq(lq_filter_add(f, LQ_SEL_SENDER, "@a.example", &err), LQ_OK);
    ck_assert_int_eq(lq_filter_add(f, LQ_SEL_SENDER, "@example.com", &err), LQ_OK);
    ck_assert_int_eq(evaluate(f, &r, &need), TRI_YES);
    ck_assert_int_eq(lq_filter_text(f, &text, &err), LQ_OK);
    ck_assert_str_eq(text, "(sender or held) and message_size in 2062 and (sender = @a.example or sender = @example.com)");
    free(text);
    ck_assert_int_eq(lq_filter_expression(f, "held", NULL, &err), LQ_OK);
    ck_assert_int_eq(evaluate(f, &r, &need), TRI_NO);
    lq_filter_invert(f);
    ck_assert_int_eq(lq_filter_expression(f, "held", NULL, &err), LQ_EINVAL);
    ck_assert_int_eq(evaluate(f, &r, &need), TRI_YES);
    lq_filter_free(f);
    record_done(&r);
}
END_TEST

/* Of names alone ids are decided; of the rest the sections are asked that are needed, and no more. */
START_TEST(reads_no_more_than_needed)
{
    static const struct { const char *text; unsigned need; } asks[] = {
        { "id == other", 0 },
        { "id == other and sender = x", 0 },
        { "sender = x", SEC_CONTROL },
        { "size == 5", SEC_CONTROL | SEC_SIZE },
        { "reason = x", SEC_CONTROL | SEC_LOG },
        { "recipients.address = x", SEC_CONTROL },
        { "flags == tls", SEC_CONTROL },
        { "flags == shared-body", SEC_CONTROL | SEC_SIZE },
        { "mta == exim or data_size == 5", SEC_CONTROL | SEC_SIZE | SEC_BODY },
        { "mta == postfix or data_size == 5", 0 },
    };
    struct lq_record r = { 0 };
    struct lq_filter *f = compiled(asks[_i].text);
    unsigned need;

    record_reset(&r);
    set_text(&r, LQ_QUEUE_ID, "X");
    set_text(&r, LQ_MTA, "postfix");
    evaluate(f, &r, &need);
    ck_assert_uint_eq(need, asks[_i].need);
    ck_assert(filter_may_have(f, "other", 5));
    ck_assert_int_eq(filter_may_have(f, "X", 1), _i > 1);
    lq_filter_free(f);
    record_done(&r);
}
END_TEST

START_TEST(knows_ages)
{
    struct lq_filter *f = compiled("sender and not (held or age > 3d)");

    ck_assert(lq_filter_asks_now(f));
    lq_filter_free(f);
    f = compiled("arrival > @5");
    ck_assert(!lq_filter_asks_now(f));
    lq_filter_free(f);
}
END_TEST

/* --- random messages --- */

static uint64_t seed;

static unsigned roll(unsigned n)
{
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (unsigned)(seed >> 33) % n;
}

static const char *const words[] = {
    "", "a", "alice", "alice@example.com", "bob@sub.example.com", "O'Brien@Example.com", "x@y@z", "203.0.113.77", "203.0.113.7",
    "2001:db8::1", "not an address", "user7", "user70", "Re: hello", "h\xc3\xa9llo", "\xff\xfe", "450 4.2.1 greylisted",
    "deferred", "hold", "esmtpsa",
};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const char *word(void)
{
    return words[roll(COUNT(words))];
}

/* Of a queue an address is one; records from elsewhere are cli/from.sh's business. */
static const char *address(void)
{
    static const char *const addresses[] = { "203.0.113.7", "203.0.113.77", "192.0.2.1", "2001:db8::1" };

    return addresses[roll(COUNT(addresses))];
}

static int64_t number(void)
{
    static const int64_t values[] = { 0, 1, 2, 5, 100, 2062, 4096, 1795293358, 1795293358 - 86400, -5, RECORD_NUMBER_MAX };

    return values[roll(COUNT(values))];
}

static const char *const headers[] = {
    "", "Subject: hello\n", "X-Mailer: a bulk mailer\nX-Mailer: another\nSubject: =?utf-8?q?h=C3=A9llo?=\n", "X-Mailer:\n",
};

/* A message that could be in a queue: each value there or not; nothing of it is unknown. */
static void random_record(struct lq_record *r)
{
    record_reset(r);
    r->have = SEC_ALL;
    set_text(r, LQ_QUEUE_ID, "4jX48y4ynDz1blN8");
    set_text(r, LQ_MTA, "exim");
    set_text(r, LQ_QUEUE_NAME, word());
    do      /* of a damaged one it is not known whether it is held */
        r->state = (enum state)(1 + roll(STATE_COUNT - 1));
    while (r->state == STATE_CORRUPT || r->state == STATE_INCOMPLETE);
    r->flags = roll(1u << FLAG_COUNT);
    for (unsigned f = LQ_ARRIVAL_TIME; f < LQ_RECEIVED; f++) {
        if (roll(4) == 0)
            continue;
        if (field_table[f].type == LQ_TYPE_TEXT)
            set_text(r, (enum lq_field)f, f == LQ_CLIENT_ADDRESS || f == LQ_ORIGIN_ADDRESS ? address() : word());
        else if (field_table[f].type != LQ_TYPE_RECIPIENTS)
            record_set_number(r, (enum lq_field)f, number());
    }
    record_replace_text(r, LQ_REASON_CLASS, "dns", 3);
    for (unsigned n = roll(4); n > 0; n--)
        add_rcpt(r, &r->recipients, word(), roll(2) ? word() : NULL, roll(2) ? word() : NULL);
    for (unsigned n = roll(2); n > 0; n--)
        add_rcpt(r, &r->done, word(), NULL, NULL);
    for (unsigned n = roll(3); n > 0; n--) {
        struct lq_hop *hop = record_add_hop(r);
        const char *text = word();

        hop->by = record_copy(r, text, strlen(text));
        text = address();
        hop->address = record_copy(r, text, strlen(text));
        hop->time = 1 + roll(2000000000);
    }
    if (roll(5) == 0)
        record_problem(r, "a problem");
    r->header = bytes_from(headers[roll(COUNT(headers))], 0);
    r->header.n = strlen((const char *)r->header.p);
}

/* What a reader may not get to see of it: sections unread, texts cut, lists and values lost of broken ones. */
static void damage(struct lq_record *r, bool readable)
{
    unsigned lost = !readable && roll(2) ? SEC_CONTROL << roll(4) : 0, unread = roll(3) == 0 ? SEC_CONTROL << roll(4) : 0;

    /* Without the control file nothing is known. */
    if (unread & SEC_CONTROL)
        unread = SEC_ALL & ~SEC_NAME;
    for (unsigned f = LQ_STATE; f < LQ_FIELD_COUNT; f++) {
        unsigned sections = field_table[f].sections;

        if ((sections & unread) || ((sections & lost) && roll(2))) {
            r->set &= ~LQ_FIELD_BIT(f);
        } else if (record_is_set(r, (enum lq_field)f) && field_table[f].type == LQ_TYPE_TEXT && f > LQ_STATE && r->value[f].text.n > 1 &&
                   roll(20) == 0) {
            r->value[f].text.n /= 2;
            r->cut |= LQ_FIELD_BIT(f);
        }
    }
    r->have &= ~unread;
    r->broken |= lost;
    if ((unread | lost) & SEC_CONTROL) {
        uint64_t counted = r->recipients.counted;

        r->recipients.n = roll((unsigned)r->recipients.n + 1);
        r->recipients.counted = unread ? 0 : counted;
        r->done.n = 0;
        r->hop_count = 0;
        r->flags = 0;
        r->header.n = 0;
    }
    if (unread & SEC_CONTROL)
        r->header.p = NULL;
    if (unread & SEC_CONTROL)
        r->recipients.n = 0;
    for (size_t i = 0; (unread | lost) & SEC_LOG && i < r->recipients.n; i++)
        r->recipients.items[i].delay_reason = (struct lq_str){ NULL, 0 };
    if (unread & field_table[LQ_PROBLEMS].sections)
        r->problems.n = 0;
    if ((unread | lost) & field_table[LQ_STATE].sections)
        r->state = STATE_NONE;
    if ((unread | lost) & SEC_SIZE)
        r->flags &= ~(1u << FLAG_SHARED_BODY);
}

/* --- random expressions --- */

static const char *const questions[] = {
    "sender = alice*", "sender = <>", "sender == alice@example.com", "sender ~ ^a", "sender.domain = *.com", "sender",
    "recipients = @.example.com", "all recipients = *a*", "recipients.domain == example.com", "recipients.delay_reason ~ 4",
    "all recipients.delay_reason", "recipients.dsn_code = *", "recipients_done.address = *", "rcpts > 1", "rcpts == 0", "rcpts in 1..2",
    "client in 203.0.113.0/24", "client = 203.0.113.7", "client", "helo = *e*", "client_name ~ e", "user = user7", "user = alice",
    "auth_user.domain", "local_user = a", "subject = *hello*", "subject ~ 'h(e|.)llo$'", "subject", "size == 2062", "size > 1k",
    "has size", "attempts < 5", "age < 1d", "age >= 1h", "arrival > 1795293357", "last_attempt > @5", "state == held",
    "state in (deferred, active)", "class == dns", "reason = *grey*", "flags == tls", "flags == shared-body", "flags in (local, bounce)",
    "all flags == tls", "received.address in 203.0.113.0/24", "received.by = *", "all received.time > @1000", "received", "problems",
    "damaged", "bounces", "local", "held", "queue = deferred", "id == 4jX48y4ynDz1blN8", "id == other", "mta != exim", "forced_expire",
    "data_size > 5", "message_id = *", "hold_reason", "from ~ .", "client_port in (1, 100)",
    "header.x-mailer = *bulk*", "all header.X-Mailer = *a*", "header.subject ~ 'h.llo'", "header.x-mailer", "not header.x-spam = *",
};

static void random_expression(FILE *out, unsigned depth)
{
    unsigned kind = depth > 0 ? roll(4) : 0;

    if (kind == 0) {
        fputs(questions[roll(COUNT(questions))], out);
        return;
    }
    fputs(kind == 1 ? "not (" : "(", out);
    random_expression(out, depth - 1);
    if (kind > 1) {
        fputs(roll(2) ? ") and (" : ") or (", out);
        random_expression(out, depth - 1);
    }
    fputs(")", out);
}

static enum tri opposite(enum tri t)
{
    return t == TRI_UNKNOWN ? t : t == TRI_YES ? TRI_NO : TRI_YES;
}

/*
 * An answer about a damaged message is the answer about the whole one: what could not be read never selects, by no negation. Twice
 * negated is the same, and so is the expression's own text.
 */
static void hold(const char *expr)
{
    char once[4100], twice[4200];
    struct lq_record r = { 0 };
    struct lq_filter *plain = compiled(expr), *no, *yes, *text;
    /* Damage is itself the answer to these: only what is not read yet may leave them open. */
    bool asks_damage = strstr(expr, "damaged") || strstr(expr, "problems");
    struct lq_error err;
    char *written;

    snprintf(once, sizeof(once), "not (%s)", expr);
    snprintf(twice, sizeof(twice), "not (%s)", once);
    no = compiled(once);
    yes = compiled(twice);
    ck_assert_int_eq(lq_filter_text(plain, &written, &err), LQ_OK);
    text = compiled(written);
    for (int i = 0; i < 20; i++) {
        uint64_t again = seed;
        enum tri whole, t;
        unsigned need;

        random_record(&r);
        whole = evaluate(plain, &r, &need);
        ck_assert_msg(whole != TRI_UNKNOWN, "%s: unknown of a whole message", expr);
        damage(&r, asks_damage);
        t = evaluate(plain, &r, &need);
        ck_assert_msg(t == TRI_UNKNOWN || t == whole, "%s: %d of a whole message, %d when damaged (seed %llu)", expr, whole, t,
                      (unsigned long long)again);
        ck_assert_msg(t == TRI_UNKNOWN || need == 0, "%s: decided, but wants to read", expr);
        ck_assert_msg(!(need & r.have), "%s: wants what it has", expr);
        ck_assert_int_eq(evaluate(no, &r, &need), opposite(t));
        ck_assert_int_eq(evaluate(yes, &r, &need), t);
        ck_assert_msg(evaluate(text, &r, &need) == t, "%s is not %s", expr, written);
        lq_filter_invert(plain);
        ck_assert_int_eq(evaluate(plain, &r, &need), opposite(t));
        lq_filter_invert(plain);
    }
    lq_filter_free(plain);
    lq_filter_free(no);
    lq_filter_free(yes);
    lq_filter_free(text);
    free(written);
    record_done(&r);
}

START_TEST(unknown_never_selects)
{
    seed = (uint64_t)_i * 7919 + 1;
    hold(questions[_i]);
}
END_TEST

START_TEST(unknown_never_selects_combined)
{
    seed = (uint64_t)_i + 1;
    for (int i = 0; i < 50; i++) {
        char *expr;
        size_t n;
        FILE *out = open_memstream(&expr, &n);

        random_expression(out, 3);
        fclose(out);
        hold(expr);
        free(expr);
    }
}
END_TEST

/* --- options and their expressions --- */

static const struct { enum lq_selector sel; const char *arg, *expr; } twins[] = {
    { LQ_SEL_SENDER, "alice*", "sender = alice*" },
    { LQ_SEL_SENDER, "<>", "sender == <>" },
    { LQ_SEL_SENDER, "=O'Brien@Example.com", "sender == \"o'brien@example.com\"" },
    { LQ_SEL_RECIPIENT, "@.example.com", "recipients.address = @.example.com" },
    { LQ_SEL_RECIPIENT_ALL, "*a*", "all recipients.address = *a*" },
    { LQ_SEL_CLIENT, "203.0.113.7,2001:db8::/32", "client in (203.0.113.7, 2001:db8::/32)" },
    { LQ_SEL_USER, "alice", "user = alice" },
    { LQ_SEL_SUBJECT, "/hello/", "subject ~ hello" },
    { LQ_SEL_HEADER, "X-Mailer:*bulk*", "header.x-mailer = *bulk*" },
    { LQ_SEL_HELO, "a*", "helo_name = a*" },
    { LQ_SEL_CLIENT_NAME, "a*", "client_name = a*" },
    { LQ_SEL_PROTOCOL, "esmtpsa", "protocol = esmtpsa" },
    { LQ_SEL_REASON, "*grey*", "reason = *grey*" },
    { LQ_SEL_CLASS, "dns,full", "class in (dns, full)" },
    { LQ_SEL_SIZE, "2062", "size == 2062" },
    { LQ_SEL_SIZE, "+2k", "size > 2k" },
    { LQ_SEL_SIZE, "-2k", "size < 2k" },
    { LQ_SEL_SIZE, "1..2k", "size in 1..2k" },
    { LQ_SEL_YOUNGER, "1d", "age < 1d" },
    { LQ_SEL_OLDER, "1d", "age >= 1d" },
    { LQ_SEL_SINCE, "1795293358", "arrival >= 1795293358" },
    { LQ_SEL_UNTIL, "1795293358", "arrival <= 1795293358" },
    { LQ_SEL_RCPTS, "2", "rcpts == 2" },
    { LQ_SEL_RCPTS, "+1", "rcpts > 1" },
    { LQ_SEL_ATTEMPTS, "-3", "attempts < 3" },
    { LQ_SEL_STATE, "held,active", "state in (held, active)" },
    { LQ_SEL_QUEUE, "hold", "queue == hold" },
    { LQ_SEL_HELD, NULL, "held" },
    { LQ_SEL_NOT_HELD, NULL, "not held" },
    { LQ_SEL_BOUNCES, NULL, "bounces" },
    { LQ_SEL_LOCAL, NULL, "local" },
    { LQ_SEL_DAMAGED, NULL, "damaged" },
    { LQ_SEL_ID, "4jX48y4ynDz1blN8", "id == 4jX48y4ynDz1blN8" },
};

/* Some options, and the same as one expression; random messages, whole and damaged. */
START_TEST(options_are_expressions)
{
    struct lq_record r = { 0 };

    seed = (uint64_t)_i + 1;
    for (int round = 0; round < 20; round++) {
        struct lq_filter *options, *text;
        char expr[1000] = "";
        struct lq_error err;
        char *written;

        ck_assert_int_eq(lq_filter_new(&options, &err), LQ_OK);
        for (unsigned i = 0, n = 1 + roll(4); i < n; i++) {
            const unsigned which = roll(COUNT(twins));

            /* The same twice would be another question, or an error. */
            if (!strstr(expr, twins[which].expr) && lq_filter_add(options, twins[which].sel, twins[which].arg, &err) == LQ_OK) {
                char *text_now;
                size_t n_now = strlen(expr);

                snprintf(expr + n_now, sizeof(expr) - n_now, "%s%s", n_now ? " and " : "", twins[which].expr);
                ck_assert_int_eq(lq_filter_text(options, &text_now, &err), LQ_OK);
                /* Names repeated are alternatives: leave that to the tests of options. */
                if (strstr(text_now, " or ")) {
                    expr[0] = '\0';
                    free(text_now);
                    break;
                }
                free(text_now);
            }
        }
        if (!expr[0]) {
            lq_filter_free(options);
            continue;
        }
        ck_assert_int_eq(lq_filter_text(options, &written, &err), LQ_OK);
        text = compiled(expr);
        for (int i = 0; i < 40; i++) {
            unsigned need;
            enum tri t;

            random_record(&r);
            t = evaluate(options, &r, &need);
            ck_assert_msg(evaluate(text, &r, &need) == t, "%s is not the options", expr);
            ck_assert_msg(ask(written, &r) == t, "%s is not the options", written);
            damage(&r, false);
            t = evaluate(options, &r, &need);
            ck_assert_msg(evaluate(text, &r, &need) == t, "%s is not the options of a damaged message", expr);
            ck_assert_msg(ask(written, &r) == t, "%s is not the options of a damaged message", written);
        }
        lq_filter_free(options);
        lq_filter_free(text);
        free(written);
    }
    record_done(&r);
}
END_TEST

/* --- words --- */

static void append(void *ctx, unsigned depth, const char *line)
{
    char *to = ctx;

    sprintf(to + strlen(to), "%*s%s\n", (int)depth * 2, "", line);
}

START_TEST(explains)
{
    struct lq_filter *f = compiled("client in 203.0.113.0/24 and (size == 2062 or not user = prof*) and not (held or all recipients = @a.example)");
    struct lq_error err;
    char text[2000] = "";

    ck_assert_int_eq(lq_filter_explain(f, append, text, &err), LQ_OK);
    ck_assert_str_eq(text,
                     "all of these:\n"
                     "  client_address is in 203.0.113.0/24\n"
                     "  any of these:\n"
                     "    message_size is exactly 2062\n"
                     "    not: user (account or local login) fits prof* as a whole\n"
                     "  not:\n"
                     "    any of these:\n"
                     "      it is held, frozen or quarantined\n"
                     "      all of recipients.address is in the domain a.example\n");
    ck_assert_uint_eq(lq_filter_parts(f), LQ_PART_NAME | LQ_PART_CONTROL | LQ_PART_SIZE);
    lq_filter_free(f);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("expr");
    TCase *t = tcase_create("expr");
    SRunner *sr;
    int failed;

    tcase_set_timeout(t, 120);
    tcase_add_loop_test(t, selects, 0, (int)COUNT(rows));
    tcase_add_loop_test(t, writes_itself, 0, (int)COUNT(rows));
    tcase_add_loop_test(t, refuses, 0, (int)COUNT(bad_rows));
    tcase_add_loop_test(t, has_bounds, 0, 9);
    tcase_add_test(t, adds_up);
    tcase_add_loop_test(t, reads_no_more_than_needed, 0, 10);
    tcase_add_test(t, knows_ages);
    tcase_add_loop_test(t, unknown_never_selects, 0, (int)COUNT(questions));
    tcase_add_loop_test(t, unknown_never_selects_combined, 0, 10);
    tcase_add_loop_test(t, options_are_expressions, 0, 20);
    tcase_add_test(t, explains);
    suite_add_tcase(s, t);
    sr = srunner_create(s);
    srunner_run_all(sr, CK_NORMAL);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed ? 1 : 0;
}
