/* The Postfix back end over whole spools: every place of a queue, odd files in it, and what moves while we look. */
#include <sys/file.h>

#include "engine.h"
#include "postfix.h"
#include "postfix_script.h"
#include "tree.h"

static void put_script(const char *path, const char *script, mode_t mode)
{
    struct buf file = script_make(script);

    put_bytes(path, file.p, file.n, mode);
    buf_done(&file);
}

static void message(const char *path)
{
    put_script(path, ENVELOPE(""), 0700);
}

/*
 * Every record as "files... state[ problem]\n". `between` runs after listing, before reading; `twice`: logs are
 * asked for by a second look at the listing only.
 */
static void scan_so(struct buf *out, void (*between)(void), bool twice)
{
    struct lq_scan_opts opts = { .size = sizeof(opts), .fields = twice ? LQ_FIELD_BIT(LQ_SENDER) : LQ_FIELDS_ALL, .threads = 1 };
    const struct lq_record *rec;
    struct lq_queue *q;
    struct lq_scan *s;
    struct lq_error err;
    struct lq_str text;
    int rc;

    ck_assert_int_eq(lq_queue_open(&q, NULL, root, NULL, &err), LQ_OK);
    ck_assert_str_eq(lq_queue_mta(q), "postfix");
    ck_assert_int_eq(lq_scan_begin(&s, q, &opts, &err), LQ_OK);
    if (between)
        between();
    buf_reset(out, 0);
    if (twice) {
        while ((rc = lq_scan_next(s, &rec, &err)) == LQ_OK)
            ;
        opts.fields = LQ_FIELDS_ALL;
        ck_assert_int_eq(lq_scan_again(s, &opts, &err), LQ_OK);
    }
    while ((rc = lq_scan_next(s, &rec, &err)) == LQ_OK) {
        for (size_t i = 0; (text = lq_record_text_at(rec, LQ_FILES, i)).p; i++)
            buf_printf(out, "%s ", text.p);
        buf_add_str(out, lq_record_text(rec, LQ_STATE).p);
        for (size_t i = 0; (text = lq_record_text_at(rec, LQ_PROBLEMS, i)).p; i++)
            buf_printf(out, " [%s]", text.p);
        buf_add_char(out, '\n');
    }
    ck_assert_int_eq(rc, LQ_END);
    for (size_t i = 0; lq_scan_trouble(s, i); i++)
        buf_printf(out, "trouble: %s\n", strstr(lq_scan_trouble(s, i), "deferred"));
    lq_scan_end(s);
    lq_queue_close(q);
    buf_add_char(out, '\0');
}

static void scan(struct buf *out, void (*between)(void))
{
    scan_so(out, between, false);
}

START_TEST(every_place_is_listed)
{
    struct buf out = { .p = NULL };

    message("maildrop/A0000001");
    message("incoming/A0000002");
    message("incoming/795000.123");             /* being named */
    message("incoming/A000-0002");
    message("active/A0000003");
    message("deferred/A/A0000004");
    message("deferred/A/0/A0000005");           /* hash_queue_depth 2 */
    message("deferred/A0000006");               /* and 0; both left over, and invisible to Postfix itself */
    message("deferred/F/A0000007");
    message("deferred/_/A0000008");
    message("hold/A0000009");
    message("corrupt/A0000010");
    message("saved/A0000011");
    message("flush/A0000012");
    put("defer/A/A0000004", "<c@d.example>: why\n\n");
    put("bounce/A0000004", "<c@d.example>: not\n\n");
    put("defer/A/A0000099", "<c@d.example>: nobody's\n\n");
    scan_so(&out, NULL, _i);
    ck_assert_str_eq(out.p, "maildrop/A0000001 incoming\n"
                            "incoming/A0000002 incoming\n"
                            "active/A0000003 active\n"
                            "deferred/A/A0000004 bounce/A0000004 defer/A/A0000004 deferred\n"
                            "deferred/A/0/A0000005 deferred\n"
                            "deferred/A0000006 deferred\n"
                            "deferred/F/A0000007 deferred\n"
                            "deferred/_/A0000008 deferred\n"
                            "hold/A0000009 held\n"
                            "corrupt/A0000010 corrupt [corrupt/A0000010: set aside as corrupt by Postfix]\n");
    buf_done(&out);
}
END_TEST

/* What is no regular file is a record with its problem; a link among the hash levels is not followed. */
START_TEST(odd_things)
{
    struct buf out = { .p = NULL };

    message("deferred/A0000001");
    mkdirat(root_fd, "active", 0700);
    ck_assert_int_eq(symlinkat("/etc/passwd", root_fd, "active/A0000002"), 0);
    ck_assert_int_eq(mkfifoat(root_fd, "active/A0000003", 0700), 0);
    ck_assert_int_eq(mkdirat(root_fd, "active/A0000004", 0700), 0);
    message("active/A0000005");
    ck_assert_int_eq(linkat(root_fd, "active/A0000005", root_fd, "saved-link", 0), 0);
    message("hold/A0000006");
    ck_assert_int_eq(symlinkat("../hold", root_fd, "deferred/A"), 0);
    scan(&out, NULL);
    ck_assert_str_eq(out.p, "deferred/A0000001 deferred\n"
                            "active/A0000002 corrupt [active/A0000002: not a regular file]\n"
                            "active/A0000003 corrupt [active/A0000003: not a regular file]\n"
                            "active/A0000004 corrupt [active/A0000004: not a regular file]\n"
                            "active/A0000005 active [active/A0000005: has 2 links, a Postfix queue file has one]\n"
                            "hold/A0000006 held\n"
                            "trouble: deferred/A: not a directory\n");
    buf_done(&out);
}
END_TEST

static void rename_in(const char *from, const char *to)
{
    ck_assert_int_eq(renameat(root_fd, from, root_fd, to), 0);
}

static void move_on(void)
{
    rename_in("incoming/A0000001", "active/A0000001");
    rename_in("active/A0000002", "deferred/A/A0000002");
    rename_in("deferred/A/A0000003", "hold/A0000003");
    rename_in("active/A0000004", "saved/A0000004");
    rename_in("active/4jX48y4ynDz1blN8", "deferred/A/4jX48y4ynDz1blN8");
}

START_TEST(moved_while_we_looked)
{
    struct buf out = { .p = NULL };

    message("incoming/A0000001");
    message("active/A0000002");
    message("deferred/A/A0000003");
    message("active/A0000004");
    message("active/4jX48y4ynDz1blN8");
    mkdirat(root_fd, "hold", 0700);
    mkdirat(root_fd, "saved", 0700);
    put("defer/A/A0000003", "<c@d.example>: why\n\n");
    scan(&out, move_on);
    ck_assert_str_eq(out.p, "deferred/A/4jX48y4ynDz1blN8 deferred\n"
                            "active/A0000001 active\n"
                            "deferred/A/A0000002 deferred\n"
                            "hold/A0000003 defer/A/A0000003 held\n");
    buf_done(&out);
}
END_TEST

/* The same id in several places: one file under two names is one message, two files are two. */
START_TEST(twins)
{
    struct buf out = { .p = NULL };

    message("deferred/A/A0000001");
    message("corrupt/A0000001");
    message("maildrop/A0000001");
    put("defer/A/A0000001", "<c@d.example>: why\n\n");
    message("active/A0000002");
    mkdirat(root_fd, "incoming", 0700);
    ck_assert_int_eq(linkat(root_fd, "active/A0000002", root_fd, "incoming/A0000002", 0), 0);
    scan(&out, NULL);
    ck_assert_str_eq(out.p, "corrupt/A0000001 corrupt [corrupt/A0000001: set aside as corrupt by Postfix]\n"
                            "deferred/A/A0000001 defer/A/A0000001 deferred\n"
                            "maildrop/A0000001 incoming\n"
                            "active/A0000002 active [active/A0000002: has 2 links, a Postfix queue file has one]\n");
    buf_done(&out);
}
END_TEST

/* Postfix throws what was never completed away after a week; not what somebody still holds a lock on. */
START_TEST(never_completed)
{
    struct timespec old[2] = { { .tv_sec = 1000000000 }, { .tv_sec = 1000000000 } };
    struct buf out = { .p = NULL };
    int locked;

    put_script("incoming/A0000001", TIME, 0600);
    put_script("incoming/A0000002", TIME, 0600);
    put_script("incoming/A0000003", TIME, 0600);
    mkdirat(root_fd, "active", 0700);
    ck_assert_int_eq(utimensat(root_fd, "incoming/A0000002", old, 0), 0);
    ck_assert_int_eq(utimensat(root_fd, "incoming/A0000003", old, 0), 0);
    locked = openat(root_fd, "incoming/A0000003", O_RDONLY | O_CLOEXEC);
    ck_assert_int_eq(flock(locked, LOCK_EX | LOCK_NB), 0);
    scan(&out, NULL);
    close(locked);
    ck_assert_ptr_nonnull(strstr(out.p, "incoming/A0000003 receiving\n"));
    ck_assert_ptr_nonnull(strstr(out.p, "incoming/A0000001 receiving\n"));
    ck_assert_ptr_nonnull(strstr(out.p, "incoming/A0000002 incomplete [incoming/A0000002: was never completed (mode 0600), last written "));
    buf_done(&out);
}
END_TEST

/* A queue listed while a message went from incoming to active: the place that is empty by now is forgotten. */
START_TEST(seen_twice)
{
    struct spool_dir places[] = {
        [PF_INCOMING] = { .path = (char[]){ "incoming" }, .fd = -1, .tag = PF_INCOMING },
        [PF_ACTIVE] = { .path = (char[]){ "active" }, .fd = -1, .tag = PF_ACTIVE },
        [PF_DEFER] = { .path = (char[]){ "defer" }, .fd = -1, .tag = PF_DEFER },
    };
    struct spool sp = { .backend = &postfix_backend, .root = root, .fd = root_fd, .dirs = places, .dir_count = PF_DEFER + 1 };
    struct entry e[3];
    uint32_t counts[3] = { 0 };

    message("active/A0000001");
    mkdirat(root_fd, "incoming", 0700);
    places[PF_INCOMING].fd = openat(root_fd, "incoming", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    places[PF_ACTIVE].fd = openat(root_fd, "active", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    e[0] = (struct entry){ .name = "A0000001", .id = "A0000001", .dir = PF_INCOMING, .id_len = 8, .role = PF_INCOMING };
    e[1] = (struct entry){ .name = "A0000001", .id = "A0000001", .dir = PF_DEFER, .id_len = 8, .role = PF_DEFER };
    e[2] = (struct entry){ .name = "A0000001", .id = "A0000001", .dir = PF_ACTIVE, .id_len = 8, .role = PF_ACTIVE };
    ck_assert_uint_eq(postfix_backend.group(&sp, e, 3, counts), 1);
    ck_assert_uint_eq(counts[0], 2);
    ck_assert_uint_eq(e[0].role, PF_ACTIVE);
    ck_assert_uint_eq(e[1].role, PF_DEFER);
    /* Gone from both: one is kept, so that it is looked for again. */
    ck_assert_int_eq(unlinkat(root_fd, "active/A0000001", 0), 0);
    ck_assert_uint_eq(postfix_backend.group(&sp, e, 3, counts), 1);
    ck_assert_uint_eq(postfix_backend.group(&sp, &e[1], 1, counts), 0);
    close(places[PF_INCOMING].fd);
    close(places[PF_ACTIVE].fd);
}
END_TEST

START_TEST(too_deep)
{
    struct buf out = { .p = NULL };
    char path[80] = "deferred/A0000001";

    message(path);
    for (int i = 0; i < 20; i++)
        memcpy(path + 8 + 2 * i, "/A/A0000002", 12);
    message(path);
    scan(&out, NULL);
    ck_assert_str_eq(out.p, "deferred/A0000001 deferred\n"
                            "trouble: deferred/A/A/A/A/A/A/A/A/A/A/A/A/A/A/A/A/A: too deep for a hashed queue\n");
    buf_done(&out);
}
END_TEST

static int to_stream(void *ctx, const void *p, size_t n)
{
    buf_add(ctx, p, n);
    return 0;
}

START_TEST(message_of_a_file)
{
    struct lq_scan_opts opts = { .size = sizeof(opts), .fields = LQ_FIELDS_ALL | LQ_FIELD_BIT(LQ_DATA_SIZE), .threads = 1 };
    const struct lq_record *rec;
    struct buf out = { .p = NULL };
    struct lq_queue *q;
    struct lq_scan *s;
    struct lq_error err;
    int64_t size;

    put_script("deferred/0D431A0B0C1", SAMPLE_B, 0700);
    put_bytes("deferred/0D431A0B0C2", "C", sizeof("C") - 1, 0700);
    ck_assert_int_eq(lq_queue_open(&q, "postfix", root, NULL, &err), LQ_OK);
    ck_assert_int_eq(lq_scan_begin(&s, q, &opts, &err), LQ_OK);
    ck_assert_int_eq(lq_scan_next(s, &rec, &err), LQ_OK);
    ck_assert_int_eq(lq_message_eml(q, rec, to_stream, &out, &err), LQ_OK);
    buf_add_char(&out, '\0');
    ck_assert_str_eq(out.p, "Received: by mx.example.com\r\nSubject: changed\r\nA: b\r\nX-Added: 1\r\n\r\nbody\r\n");
    ck_assert(lq_record_number(rec, LQ_DATA_SIZE, &size));
    ck_assert_int_eq(size, (int64_t)out.n - 1);
    ck_assert_int_eq(lq_scan_next(s, &rec, &err), LQ_OK);
    ck_assert(!lq_record_number(rec, LQ_DATA_SIZE, &size));
    ck_assert_int_eq(lq_message_eml(q, rec, to_stream, &out, &err), LQ_EINVAL);
    lq_scan_end(s);
    lq_queue_close(q);
    buf_done(&out);
}
END_TEST

/* Without the rights to read: one sentence that names who has them. */
START_TEST(no_right_to_read)
{
    struct lq_scan_opts opts = { .size = sizeof(opts), .fields = LQ_FIELDS_ALL, .threads = 1 };
    struct lq_queue *q;
    struct lq_scan *s;
    struct lq_error err;

    message("deferred/A0000001");
    ck_assert_int_eq(fchmod(root_fd, 0755), 0);
    if (geteuid() != 0)
        fchmodat(root_fd, "deferred", 0, 0);
    else
        ck_assert_int_eq(seteuid(65534), 0);
    ck_assert_int_eq(lq_queue_open(&q, "postfix", root, NULL, &err), LQ_OK);
    ck_assert_int_eq(lq_scan_begin(&s, q, &opts, &err), LQ_EACCES);
    ck_assert_ptr_nonnull(strstr(err.text, ": no right to read it; become root"));
    lq_queue_close(q);
    ck_assert_int_eq(seteuid(getuid()), 0);
    fchmodat(root_fd, "deferred", 0700, 0);
}
END_TEST

/* A log that cannot be read hides the reasons: they are unknown, not absent. */
START_TEST(log_unreadable)
{
    struct lq_scan_opts opts = { .size = sizeof(opts), .fields = LQ_FIELDS_ALL, .threads = 1 };
    const struct lq_record *rec;
    struct lq_queue *q;
    struct lq_scan *s;
    struct lq_error err;

    message("deferred/A0000001");
    mkdirat(root_fd, "defer", 0700);
    ck_assert_int_eq(symlinkat("/etc/passwd", root_fd, "defer/A0000001"), 0);
    ck_assert_int_eq(lq_queue_open(&q, "postfix", root, NULL, &err), LQ_OK);
    ck_assert_int_eq(lq_scan_begin(&s, q, &opts, &err), LQ_OK);
    ck_assert_int_eq(lq_scan_next(s, &rec, &err), LQ_OK);
    ck_assert_int_eq(lq_record_has(rec, LQ_REASON), LQ_UNREAD);
    ck_assert_int_eq(lq_record_has(rec, LQ_CLIENT_ADDRESS), LQ_ABSENT);
    ck_assert_str_eq(lq_record_text_at(rec, LQ_PROBLEMS, 0).p, "defer/A0000001: not a regular file");
    lq_scan_end(s);
    lq_queue_close(q);
}
END_TEST

static const struct {
    const char *name, *made;
    unsigned facts;
} shapes[] = {
    { "whole", "active bounce corrupt defer deferred flush hold incoming maildrop pid private public saved trace", 14 },
    { "copied queue only", "deferred", 1 },
    { "copied queue with logs", "deferred defer", 2 },
    { "anybody's directory", "active", 0 },
    { "logs alone", "defer bounce trace flush", 0 },
    { "Exim", "input msglog db", 0 },
    { "empty", "", 0 },
};

START_TEST(detected_by_shape)
{
    char names[200], *save = NULL;

    snprintf(names, sizeof(names), "%s", shapes[_i].made);
    for (char *name = strtok_r(names, " ", &save); name; name = strtok_r(NULL, " ", &save))
        ck_assert_int_eq(mkdirat(root_fd, name, 0700), 0);
    ck_assert_uint_eq(postfix_backend.detect(root_fd), shapes[_i].facts);
}
END_TEST

#define LOOP(tcase, test, rows) tcase_add_loop_test(tcase, test, 0, (int)(sizeof(rows) / sizeof((rows)[0])))

int main(void)
{
    Suite *suite = suite_create("postfix spools");
    TCase *dir_case = tcase_create("directories");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(dir_case, make_root, remove_root);
    tcase_add_loop_test(dir_case, every_place_is_listed, 0, 2);
    tcase_add_test(dir_case, odd_things);
    tcase_add_test(dir_case, moved_while_we_looked);
    tcase_add_test(dir_case, twins);
    tcase_add_test(dir_case, never_completed);
    tcase_add_test(dir_case, seen_twice);
    tcase_add_test(dir_case, too_deep);
    tcase_add_test(dir_case, message_of_a_file);
    tcase_add_test(dir_case, no_right_to_read);
    tcase_add_test(dir_case, log_unreadable);
    LOOP(dir_case, detected_by_shape, shapes);
    suite_add_tcase(suite, dir_case);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
