/* The Exim back end over whole spools: which files are a message, in which queue, in what state, and what is wrong with them. */
#include "engine.h"
#include "tree.h"

/* A small message; its id's time is in 2026, so it is more than a day old wherever a clock is right. */
static void put_header(const char *path, const char *id, const char *variables)
{
    char text[500];

    snprintf(text, sizeof(text), "%s-H\nalice 1001 1001\n<alice@example.com>\n1795293358 0\n%sXX\n1\nbob@example.net\n\n009  Subject:\n",
             id, variables);
    put(path, text);
}

static void put_data(const char *path, const char *id)
{
    char text[100];

    snprintf(text, sizeof(text), "%s-D\nbody\n", id);
    put(path, text);
}

/* "queue id state size problems: files", one line for each message. twice: logs are asked for by a second look only. */
static void describe_spool(struct buf *out, unsigned threads, bool twice)
{
    struct lq_scan_opts opts = {
        .size = sizeof(opts), .fields = twice ? LQ_FIELD_BIT(LQ_SENDER) : LQ_FIELDS_ALL, .threads = threads,
    };
    const struct lq_record *r;
    struct lq_error err;
    struct lq_queue *q;
    struct lq_scan *scan;
    struct lq_str s;
    int64_t size;
    int rc;

    rc = lq_queue_open(&q, NULL, root, NULL, &err);
    ck_assert_msg(rc == LQ_OK, "%s", err.text);
    ck_assert_str_eq(lq_queue_mta(q), "exim");
    ck_assert_int_eq(lq_scan_begin(&scan, q, &opts, &err), LQ_OK);
    if (twice) {
        while ((rc = lq_scan_next(scan, &r, &err)) == LQ_OK)
            ;
        opts.fields = LQ_FIELDS_ALL;
        ck_assert_int_eq(lq_scan_again(scan, &opts, &err), LQ_OK);
    }
    while ((rc = lq_scan_next(scan, &r, &err)) == LQ_OK) {
        buf_printf(out, "%s %s %s", lq_record_text(r, LQ_QUEUE_NAME).p, lq_record_text(r, LQ_QUEUE_ID).p,
                   lq_record_has(r, LQ_STATE) == LQ_PRESENT ? lq_record_text(r, LQ_STATE).p : "?");
        if (lq_record_number(r, LQ_MESSAGE_SIZE, &size))
            buf_printf(out, " %lld", (long long)size);
        for (size_t i = 0; (s = lq_record_text_at(r, LQ_FILES, i)).p; i++)
            buf_printf(out, " %s", s.p);
        for (size_t i = 0; (s = lq_record_text_at(r, LQ_PROBLEMS, i)).p; i++)
            buf_printf(out, " [%s]", s.p);
        buf_add_char(out, '\n');
    }
    ck_assert_int_eq(rc, LQ_END);
    for (size_t i = 0; lq_scan_trouble(scan, i); i++)
        buf_printf(out, "trouble %s\n", lq_scan_trouble(scan, i) + strlen("cannot read directory "));
    if (lq_scan_stats(scan).vanished)
        buf_printf(out, "vanished %llu\n", (unsigned long long)lq_scan_stats(scan).vanished);
    lq_scan_end(scan);
    lq_queue_close(q);
    buf_add(out, "", 1);
}

static void check_spool(const char *expected)
{
    for (unsigned way = 0; way < 4; way++) {
        struct buf out = { 0 };

        describe_spool(&out, way % 2 ? 4 : 1, way / 2);
        ck_assert_str_eq(out.p, expected);
        buf_done(&out);
    }
}

#define ID "1xUroU-0003xZ-2Y"
#define LATER "1xUroV-0003xZ-2Y"
#define LONG_ID "1xUs0E-000000000NA-0q2H"

START_TEST(queues_and_places)
{
    put_header("input/" ID "-H", ID, "-deliver_firsttime\n");
    put_data("input/" ID "-D", ID);
    put("msglog/" ID, "");
    put_header("input/E/" LONG_ID "-H", LONG_ID, "");
    put_data("input/E/" LONG_ID "-D", LONG_ID);
    put("input/E/" LONG_ID "-J", "bob@example.net\n");
    put("msglog/E/" LONG_ID, "");
    put_header("Finput/V/" LATER "-H", LATER, "");
    put_data("Finput/V/" LATER "-D", LATER);
    put("Fmsglog/V/" LATER, "");
    put_header("slow/input/1xUroW-0003xZ-2Y-H", "1xUroW-0003xZ-2Y", "-frozen 1795293400\n");
    put_data("slow/input/1xUroW-0003xZ-2Y-D", "1xUroW-0003xZ-2Y");
    put("slow/msglog/1xUroW-0003xZ-2Y", "");
    put_header("slow/Finput/1xUroX-0003xZ-2Y-H", "1xUroX-0003xZ-2Y", "");
    put_data("slow/Finput/1xUroX-0003xZ-2Y-D", "1xUroX-0003xZ-2Y");
    /* not messages */
    put("input/hdr." ID, "");
    put("input/" ID "-12345-K", "");
    put("input/" ID "-X", "");
    put("input/xUroU-0003xZ-2Y-H", "");
    put("input/1xUro!-0003xZ-2Y-H", "");
    put("input/1xUroU_0003xZ-2Y-H", "");
    put("input/EE/" ID "-H", "");
    put("input/1xUroZ-0003xZ-2Y-J", "alone\n");
    put("msglog/1xUroY-0003xZ-2Y", "");
    put("msglog/" ID "-123-1", "");
    put("db/retry", "");
    put("other/file", "");
    check_spool("default " ID " incoming 15 input/" ID "-H input/" ID "-D msglog/" ID "\n"
                "Finput " LATER " held 15 Finput/V/" LATER "-H Finput/V/" LATER "-D Fmsglog/V/" LATER "\n"
                "slow 1xUroW-0003xZ-2Y held 15 slow/input/1xUroW-0003xZ-2Y-H slow/input/1xUroW-0003xZ-2Y-D slow/msglog/1xUroW-0003xZ-2Y\n"
                "slow/Finput 1xUroX-0003xZ-2Y held 15 slow/Finput/1xUroX-0003xZ-2Y-H slow/Finput/1xUroX-0003xZ-2Y-D\n"
                "default " LONG_ID " deferred 15 input/E/" LONG_ID "-H input/E/" LONG_ID "-D input/E/" LONG_ID "-J msglog/E/" LONG_ID "\n");
}
END_TEST

START_TEST(one_id_in_many_places)
{
    put_header("input/" ID "-H", ID, "-deliver_firsttime\n");
    put_data("input/" ID "-D", ID);
    put_header("input/U/" ID "-H", ID, "");
    put_data("input/U/" ID "-D", ID);
    put("msglog/" ID, "");
    put("msglog/U/" ID, "");
    put_header("slow/input/" ID "-H", ID, "");
    put_data("slow/input/" ID "-D", ID);
    /* Exim looks for each part in both places */
    put_header("input/V/" LATER "-H", LATER, "");
    put_data("input/" LATER "-D", LATER);
    put("input/" LATER "-J", "");
    put("msglog/" LATER, "");
    check_spool("default " ID " deferred 15 input/U/" ID "-H input/U/" ID "-D msglog/U/" ID "\n"
                "default " ID " incoming 15 input/" ID "-H input/" ID "-D msglog/" ID "\n"
                "slow " ID " deferred 15 slow/input/" ID "-H slow/input/" ID "-D\n"
                "default " LATER " deferred 15 input/V/" LATER "-H input/" LATER "-D input/" LATER "-J msglog/" LATER "\n");
}
END_TEST

START_TEST(parts_missing)
{
    put_header("input/" ID "-H", ID, "");
    put_header("input/" LATER "-H", LATER, "");
    put("input/" LATER "-D", LATER);
    put_data("input/1ZZZZZ-0003xZ-2Y-D", "1ZZZZZ-0003xZ-2Y");
    put("input/1ZZZZZ-0003xZ-2Y-J", "");
    put_data("input/zzzzzz-0003xZ-2Y-D", "zzzzzz-0003xZ-2Y");
    check_spool("default 1ZZZZZ-0003xZ-2Y incomplete input/1ZZZZZ-0003xZ-2Y-D "
                "[input/1ZZZZZ-0003xZ-2Y-D: the message's -H is missing: its reception was never finished]\n"
                "default " ID " incomplete input/" ID "-H [input/" ID "-D: missing: the message has no body and Exim cannot deliver it]\n"
                "default " LATER " incomplete input/" LATER "-H input/" LATER "-D [input/" LATER "-D: 16 bytes: cut before the body begins]\n"
                "default zzzzzz-0003xZ-2Y receiving input/zzzzzz-0003xZ-2Y-D\n");
}
END_TEST

START_TEST(locked)
{
    struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 19 };
    int fd[2];

    put_header("input/" ID "-H", ID, "-frozen 1795293400\n");
    put_data("input/" ID "-D", ID);
    put_data("input/1ZZZZZ-0003xZ-2Y-D", "1ZZZZZ-0003xZ-2Y");
    for (size_t i = 0; i < 2; i++) {
        fd[i] = open(at(i ? "input/1ZZZZZ-0003xZ-2Y-D" : "input/" ID "-D"), O_RDWR | O_CLOEXEC);
        /* An OFD lock: closing the same file elsewhere in this process does not lose it. */
        ck_assert_int_eq(fcntl(fd[i], F_OFD_SETLK, &lock), 0);
    }
    check_spool("default 1ZZZZZ-0003xZ-2Y receiving input/1ZZZZZ-0003xZ-2Y-D\n"
                "default " ID " active 15 input/" ID "-H input/" ID "-D\n");
    close(fd[0]);
    close(fd[1]);
}
END_TEST

START_TEST(strange_files)
{
    put_data("input/" ID "-D", ID);
    sh("cd input && ln -s /etc/passwd " ID "-H && mkfifo " LATER "-H && mkdir " LONG_ID "-H");
    put_data("input/" LATER "-D", LATER);
    put_data("input/" LONG_ID "-D", LONG_ID);
    put_header("input/1xUroW-0003xZ-2Y-H", "1xUroW-0003xZ-2Y", "");
    sh("cd input && ln -s /etc/passwd 1xUroW-0003xZ-2Y-D && echo >x && ln -s /nowhere y");
    check_spool("default " ID " corrupt input/" ID "-H input/" ID "-D [input/" ID "-H: not a regular file]\n"
                "default " LATER " corrupt input/" LATER "-H input/" LATER "-D [input/" LATER "-H: not a regular file]\n"
                "default 1xUroW-0003xZ-2Y incomplete input/1xUroW-0003xZ-2Y-H input/1xUroW-0003xZ-2Y-D [input/1xUroW-0003xZ-2Y-D: not a regular file]\n"
                "default " LONG_ID " corrupt input/" LONG_ID "-H input/" LONG_ID "-D [input/" LONG_ID "-H: not a regular file]\n");
}
END_TEST

/* Only named queues: still a spool. */
START_TEST(named_queues_only)
{
    put_header("slow/input/" ID "-H", ID, "");
    put_data("slow/input/" ID "-D", ID);
    check_spool("slow " ID " deferred 15 slow/input/" ID "-H slow/input/" ID "-D\n");
}
END_TEST

START_TEST(not_a_spool)
{
    struct lq_queue *q;
    struct lq_error err;

    put("input/file.txt", "");
    put("input/x/file.txt", "");
    put("output/file.txt", "");
    ck_assert_int_eq(lq_queue_open(&q, NULL, root, NULL, &err), LQ_EUNKNOWN);
}
END_TEST

/* A message that moves to another queue between listing and reading is found there; one that is done is gone. */
START_TEST(moved_and_gone)
{
    struct lq_scan_opts opts = { .size = sizeof(opts), .fields = LQ_FIELDS_ALL, .threads = 1 };
    const struct lq_record *r;
    struct lq_error err;
    struct lq_queue *q;
    struct lq_scan *scan;

    put_header("input/" ID "-H", ID, "");
    put_data("input/" ID "-D", ID);
    put_header("input/" LATER "-H", LATER, "");
    put_data("input/" LATER "-D", LATER);
    sh("mkdir -p slow/input");
    ck_assert_int_eq(lq_queue_open(&q, NULL, root, NULL, &err), LQ_OK);
    ck_assert_int_eq(lq_scan_begin(&scan, q, &opts, &err), LQ_OK);
    sh("mv input/" ID "-* slow/input/ && rm input/" LATER "-*");
    ck_assert_int_eq(lq_scan_next(scan, &r, &err), LQ_OK);
    ck_assert_str_eq(lq_record_text(r, LQ_QUEUE_NAME).p, "slow");
    ck_assert_str_eq(lq_record_text(r, LQ_QUEUE_ID).p, ID);
    ck_assert_str_eq(lq_record_text_at(r, LQ_FILES, 1).p, "slow/input/" ID "-D");
    ck_assert_uint_eq(lq_record_recipient_count(r, LQ_RECIPIENTS), 1);
    ck_assert_int_eq(lq_scan_next(scan, &r, &err), LQ_END);
    ck_assert_uint_eq(lq_scan_stats(scan).vanished, 1);
    lq_scan_end(scan);
    lq_queue_close(q);
}
END_TEST

/* Cut between two header items, or in the body: only the log tells. */
static const struct {
    const char *name, *log, *header, *body;
    bool cut;
} sizes[] = {
    { "whole", "a@example.com H=x P=esmtp S=40", "009  Subject:\n010  X: 567890\n", "twenty bytes of body", false },
    { "header cut", "a@example.com H=x P=esmtp S=40", "009  Subject:\n", "twenty bytes of body", true },
    { "body cut", "a@example.com H=x P=esmtp S=40 id=a@b.example", "009  Subject:\n010  X: 567890\n", "twenty bytes of bod", true },
    { "a field died", "a@example.com H=x P=esmtp S=40", "009  Subject:\n010* X: 567890\n", "twenty bytes of body", false },
    { "a field came", "a@example.com H=x P=esmtp S=30", "009  Subject:\n010  X: 567890\n", "twenty bytes of body", false },
    { "forged in an id", "a@example.com S=40 id=<x S=9999 @b>", "009  Subject:\n010  X: 567890\n", "twenty bytes of body", false },
    { "forged in a sender", "\"a S=9999 \"@example.com S=40", "009  Subject:\n010  X: 567890\n", "twenty bytes of body", false },
    { "no size", "a@example.com S= S=x S=0 S=99x", "009  Subject:\n", "twenty bytes of body", false },
};

START_TEST(size_of_the_log)
{
    struct lq_scan_opts opts = { .size = sizeof(opts), .fields = LQ_FIELDS_ALL, .threads = 1 };
    const struct lq_record *r;
    struct lq_error err;
    struct lq_queue *q;
    struct lq_scan *scan;
    const char *said;
    char text[500];

    snprintf(text, sizeof(text), ID "-H\nalice 1001 1001\n<alice@example.com>\n1795293358 0\nXX\n1\nbob@example.net\n\n%s", sizes[_i].header);
    put("input/" ID "-H", text);
    snprintf(text, sizeof(text), ID "-D\n%s", sizes[_i].body);
    put("input/" ID "-D", text);
    snprintf(text, sizeof(text), "2026-11-21 20:35:58 Received from %s\n2026-11-21 20:35:58 Received from a@b S=9999\n", sizes[_i].log);
    put("msglog/" ID, text);
    ck_assert_int_eq(lq_queue_open(&q, NULL, root, NULL, &err), LQ_OK);
    ck_assert_int_eq(lq_scan_begin(&scan, q, &opts, &err), LQ_OK);
    ck_assert_int_eq(lq_scan_next(scan, &r, &err), LQ_OK);
    said = lq_record_text_at(r, LQ_PROBLEMS, 0).p;
    ck_assert_msg(!said == !sizes[_i].cut, "said: %s", said ? said : "nothing");
    ck_assert(!said || strstr(said, ID "-H: 40 bytes came, but only "));
    lq_scan_end(scan);
    lq_queue_close(q);
}
END_TEST

static int collect(void *out, const void *p, size_t n)
{
    buf_add(out, p, n);
    return 0;
}

static const struct {
    const char *name, *variables, *header, *body, *message;
    int rc;
} messages[] = {
    { "LF", "", "009  Subject:\n004* X:y\n", "a\nb\n", "Subject:\r\n\r\na\r\nb\r\n", LQ_OK },
    { "wireformat", "-spool_file_wireformat\n", "009  Subject:\n", "a\r\n.\r\n", "Subject:\r\n\r\na\r\n.\r\n", LQ_OK },
    { "stale wireformat", "-spool_file_wireformat\n", "009  Subject:\n", "a\n.\n", "Subject:\r\n\r\na\r\n.\r\n", LQ_OK },
    { "empty", "", "009* Subject:\n", "", "\r\n", LQ_OK },
    { "no header", "", "", "", "\r\n", LQ_EINVAL },
    { "no last LF", "", "008  Subject:", "a", "Subject:\r\na", LQ_OK },
    { "broken header", "", "009  Subject:\n999  X:\n", "a\n", "Subject:\r\n\r\na\r\n", LQ_EINVAL },
};

START_TEST(message)
{
    struct lq_scan_opts opts = { .size = sizeof(opts), .fields = LQ_FIELDS_ALL | LQ_FIELD_BIT(LQ_DATA_SIZE), .threads = 1 };
    const struct lq_record *r;
    struct lq_error err;
    struct lq_queue *q;
    struct lq_scan *scan;
    struct buf out = { 0 };
    char text[500];
    int64_t size;

    snprintf(text, sizeof(text), ID "-H\nalice 1001 1001\n<alice@example.com>\n1795293358 0\n%sXX\n1\nbob@example.net\n\n%s",
             messages[_i].variables, messages[_i].header);
    put("input/" ID "-H", text);
    snprintf(text, sizeof(text), ID "-D\n%s", messages[_i].body);
    put("input/" ID "-D", text);
    ck_assert_int_eq(lq_queue_open(&q, NULL, root, NULL, &err), LQ_OK);
    ck_assert_int_eq(lq_scan_begin(&scan, q, &opts, &err), LQ_OK);
    ck_assert_int_eq(lq_scan_next(scan, &r, &err), LQ_OK);
    ck_assert_int_eq(lq_message_eml(q, r, collect, &out, &err), messages[_i].rc);
    buf_add(&out, "", 1);
    ck_assert_str_eq(out.p, messages[_i].message);
    ck_assert_int_eq(lq_record_number(r, LQ_DATA_SIZE, &size), messages[_i].rc == LQ_OK);
    if (messages[_i].rc == LQ_OK)
        ck_assert_int_eq(size, (int64_t)strlen(messages[_i].message));
    lq_scan_end(scan);
    lq_queue_close(q);
    buf_done(&out);
}
END_TEST

/* More header than a record keeps is counted, and still written. */
START_TEST(header_beyond_the_limit)
{
    enum { FIELDS = 700, LENGTH = 8000 };
    struct lq_scan_opts opts = { .size = sizeof(opts), .fields = LQ_FIELDS_ALL, .threads = 1 };
    const struct lq_record *r;
    struct lq_error err;
    struct lq_queue *q;
    struct lq_scan *scan;
    struct buf text = { 0 }, out = { 0 };
    int64_t size;

    buf_add_str(&text, ID "-H\nalice 1001 1001\n<alice@example.com>\n1795293358 0\nXX\n1\nbob@example.net\n\n015  Subject: begin\n");
    for (unsigned i = 0; i < FIELDS; i++) {
        char field[LENGTH + 1];

        memset(field, 'x', sizeof(field));
        memcpy(field, "X: ", 3);
        field[LENGTH - 1] = '\n';
        field[LENGTH] = '\0';
        buf_printf(&text, "%d  ", (int)LENGTH);
        buf_add_str(&text, field);
    }
    buf_add(&text, "", 1);
    put("input/" ID "-H", text.p);
    put_data("input/" ID "-D", ID);
    ck_assert_int_eq(lq_queue_open(&q, NULL, root, NULL, &err), LQ_OK);
    ck_assert_int_eq(lq_scan_begin(&scan, q, &opts, &err), LQ_OK);
    ck_assert_int_eq(lq_scan_next(scan, &r, &err), LQ_OK);
    ck_assert_str_eq(lq_record_text(r, LQ_SUBJECT).p, "begin");
    ck_assert_ptr_nonnull(lq_record_text_at(r, LQ_PROBLEMS, 0).p);
    ck_assert(lq_record_number(r, LQ_MESSAGE_SIZE, &size));
    ck_assert_int_eq(size, 15 + FIELDS * LENGTH + 1 + 5);
    ck_assert_int_eq(lq_message_eml(q, r, collect, &out, &err), LQ_OK);
    ck_assert_uint_eq(out.n, (size_t)size + FIELDS + 3);
    lq_scan_end(scan);
    lq_queue_close(q);
    buf_done(&text);
    buf_done(&out);
}
END_TEST

#define LOOP(tc, test, rows) tcase_add_loop_test(tc, test, 0, sizeof(rows) / sizeof(*(rows)))

int main(void)
{
    SRunner *runner;
    Suite *suite = suite_create("exim spools");
    TCase *spools = tcase_create("spools");
    int failed;

    tcase_add_checked_fixture(spools, make_root, remove_root);
    LOOP(spools, message, messages);
    LOOP(spools, size_of_the_log, sizes);
    tcase_add_test(spools, queues_and_places);
    tcase_add_test(spools, one_id_in_many_places);
    tcase_add_test(spools, parts_missing);
    tcase_add_test(spools, locked);
    tcase_add_test(spools, strange_files);
    tcase_add_test(spools, named_queues_only);
    tcase_add_test(spools, not_a_spool);
    tcase_add_test(spools, moved_and_gone);
    tcase_add_test(spools, header_beyond_the_limit);
    suite_add_tcase(suite, spools);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
