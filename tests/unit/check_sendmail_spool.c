/* The Sendmail back end over whole spools: places, what belongs together, states, and what moves while we look. */
#include <pwd.h>
#include <sys/file.h>
#include <time.h>

#include "engine.h"
#include "sendmail.h"
#include "tree.h"

static void put_dir(const char *path)
{
    ck_assert_int_eq(mkdir(at(path), 0700), 0);
}

#define QF "V8\nT1773066336\nK0\nN0\nS<a@b>\nRP:<x@y>\nH??Subject: s\n.\n"

static void age(const char *path, int64_t seconds)
{
    struct timespec times[2] = { { .tv_nsec = UTIME_NOW }, { .tv_sec = 0 } };
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    times[1].tv_sec = now.tv_sec - seconds;
    ck_assert_int_eq(utimensat(AT_FDCWD, at(path), times, AT_SYMLINK_NOFOLLOW), 0);
}

/* One line for each message: id queue state size files; then its problems, indented. */
static void tell_message(struct buf *out, const struct lq_record *r)
{
    int64_t size = -1;

    lq_record_number(r, LQ_MESSAGE_SIZE, &size);
    buf_printf(out, "%s %s %s %lld", lq_record_text(r, LQ_QUEUE_ID).p, lq_record_text(r, LQ_QUEUE_NAME).p,
               lq_record_has(r, LQ_STATE) == LQ_PRESENT ? lq_record_text(r, LQ_STATE).p : "?", (long long)size);
    for (size_t i = 0; lq_record_text_at(r, LQ_FILES, i).p; i++)
        buf_printf(out, " %s", lq_record_text_at(r, LQ_FILES, i).p);
    for (size_t i = 0; lq_record_text_at(r, LQ_FLAGS, i).p; i++)
        buf_printf(out, " +%s", lq_record_text_at(r, LQ_FLAGS, i).p);
    buf_add_char(out, '\n');
    for (size_t i = 0; lq_record_text_at(r, LQ_PROBLEMS, i).p; i++)
        buf_printf(out, "  %s\n", lq_record_text_at(r, LQ_PROBLEMS, i).p);
}

static struct lq_scan *begin(struct lq_queue **q)
{
    struct lq_scan_opts opts = { .size = sizeof(opts), .fields = LQ_FIELDS_ALL, .threads = 1 };
    struct lq_error err = { 0 };
    struct lq_scan *scan = NULL;

    ck_assert_msg(lq_queue_open(q, "sendmail", root, NULL, &err) == LQ_OK, "%s", err.text);
    ck_assert_msg(lq_scan_begin(&scan, *q, &opts, &err) == LQ_OK, "%s", err.text);
    return scan;
}

static void end(struct lq_scan *scan, struct lq_queue *q, struct buf *out)
{
    const struct lq_record *r;

    while (lq_scan_next(scan, &r, NULL) == LQ_OK)
        tell_message(out, r);
    for (size_t i = 0; lq_scan_trouble(scan, i); i++)
        buf_printf(out, "trouble: %s\n", lq_scan_trouble(scan, i));
    if (lq_scan_stats(scan).vanished > 0)
        buf_printf(out, "vanished: %d\n", (int)lq_scan_stats(scan).vanished);
    buf_add_char(out, '\0');
    lq_scan_end(scan);
    lq_queue_close(q);
}

static void expect(const char *expected)
{
    struct lq_queue *q;
    struct lq_scan *scan = begin(&q);
    struct buf out = { 0 };

    end(scan, q, &out);
    ck_assert_msg(strcmp(out.p, expected) == 0, "got\n%s\ninstead of\n%s", out.p, expected);
    buf_done(&out);
}

START_TEST(one_directory)
{
    put("qfhello", QF);
    put("dfhello", "body\n");
    put("xfhello", "transcript");
    put("hf629EPaQe004711", QF);
    put("df629EPaQe004711", "");
    put("Qf629EPaQe004712", QF);
    put("df629EPaQe004712", "12");
    put(".qf629EPaQe004713", QF);
    put("lf629EPaQe004713", "");
    put("readme", "");
    put("qf", "");
    put("qx629EPaQe004715", QF);
    expect("629EPaQe004711 mqueue held 0 hf629EPaQe004711 df629EPaQe004711\n"
           "629EPaQe004712 mqueue corrupt 2 Qf629EPaQe004712 df629EPaQe004712\n"
           "  Qf629EPaQe004712: sendmail set this control file aside\n"
           "hello mqueue incoming 5 qfhello dfhello\n");
}
END_TEST

START_TEST(several_directories)
{
    put_dir("q1");
    put_dir("other");
    put_dir("other/q2");
    put_dir("other/q2/df");
    put_dir("other/q2/xf");
    put_dir("q3");
    put_dir("q3/qf");
    put_dir("q3/df");
    put_dir("lost+found");
    put_dir(".hidden");
    put("q1/qf1", QF);
    put("q1/df1", "1");
    put("other/q2/qf2", QF);
    put("other/q2/df/df2", "22");
    put("q3/qf/hf3", QF);
    put("q3/df/df3", "333");
    put("q3/qf/qf4", "V8\nT1\ndother/q2\nS<a@b>\nRP:<x@y>\n.\n");
    put("other/q2/df/df4", "4444");
    put("q1/qf5", "V8\nT1\nd.\nS<a@b>\nRP:<x@y>\n.\n");
    put("df5", "55555");
    put("lost+found/qf9", QF);
    put(".hidden/qf9", QF);
    expect("1 mqueue incoming 1 q1/qf1 q1/df1\n"
           "2 mqueue incoming 2 other/q2/qf2 other/q2/df/df2\n"
           "3 mqueue held 3 q3/qf/hf3 q3/df/df3\n"
           "4 mqueue incoming 4 q3/qf/qf4 other/q2/df/df4\n"
           "5 mqueue incoming 5 q1/qf5 df5\n");
}
END_TEST

START_TEST(type_directories_are_independent)
{
    put_dir("qf");
    put("qf/qf1", QF);
    put("df1", "1");
    put("qf2", QF);
    put("df2", "22");
    expect("1 mqueue incoming 1 qf/qf1 df1\n"
           "2 mqueue incoming 2 qf2 df2\n"
           "  qf2: not in the qf directory, where sendmail looks for it\n");
}
END_TEST

START_TEST(bodies)
{
    put_dir("q1");
    put_dir("q2");
    put("q1/qf1", QF);                                                          /* none anywhere */
    put("q1/qf2", "V8\nT1\ndq9\nS<a@b>\nRP:<x@y>\n.\n");                        /* d leads nowhere */
    put("q1/df2", "22");
    put("q1/qf3", QF);                                                          /* elsewhere, without d */
    put("q2/df3", "333");
    put("q1/qf4", QF);
    put("q1/df4", "4444");
    put("q2/qf5", QF);
    symlink("/etc/passwd", at("q2/df5"));
    expect("1 mqueue incomplete -1 q1/qf1\n"
           "  df1 is missing in q1; sendmail would send the message without its body\n"
           "2 mqueue incomplete 2 q1/qf2 q1/df2\n"
           "  q1/df2: the body is here, but sendmail looks for it in q9\n"
           "3 mqueue incomplete 3 q1/qf3 q2/df3\n"
           "  q2/df3: the body is here, but sendmail looks for it in q1\n"
           "4 mqueue incoming 4 q1/qf4 q1/df4\n"
           "5 mqueue incomplete -1 q2/qf5\n"
           "  q2/df5: not a regular file\n");
}
END_TEST

START_TEST(shared_body)
{
    char other[300];

    put("qf1", QF);
    put("df1", "body");
    put("qf2", QF);
    strcpy(other, at("df2"));
    ck_assert_int_eq(link(at("df1"), other), 0);
    expect("1 mqueue incoming 4 qf1 df1 +shared-body\n"
           "2 mqueue incoming 4 qf2 df2 +shared-body\n");
}
END_TEST

START_TEST(being_received)
{
    put("qf1", "");
    put("df1", "1");
    put("qf2", "V8\nT1\nS<a@b>\n");
    put("df3", "333");
    put("qf4", "");
    age("qf4", 100000);
    put("qf5", "V8\nT1\nS<a@b>\n");
    put("df5", "5");
    age("qf5", 100000);
    put("df6", "6");
    age("df6", 100000);
    expect("1 mqueue receiving 1 qf1 df1\n"
           "2 mqueue receiving -1 qf2\n"
           "3 mqueue receiving 3 df3\n"
           "4 mqueue incomplete -1 qf4\n"
           "  qf4: empty; nobody has written to it for a day\n"
           "  df4 is missing in the spool directory itself; sendmail would send the message without its body\n"
           "5 mqueue incomplete 1 qf5 df5\n"
           "  qf5: no terminator: it was cut, or never finished; nobody has written to it for a day\n"
           "6 mqueue incomplete 1 df6\n"
           "  df6: a body without control file, more than a day old\n");
}
END_TEST

START_TEST(states)
{
    int fd;

    put("qf1", "V8\nT1\nN2\nqwhy\nS<a@b>\nRP:<x@y>\n.\n");
    put("df1", "");
    put("qf2", "V8\nT1\nN2\nS<a@b>\nRP:<x@y>\n.\n");
    put("df2", "");
    put("qf3", "V8\nT1\nN2\nS<a@b>\nRP:<x@y>\n.\n");
    put("df3", "");
    put("qf4", "V9\nT1\nN2\nS<a@b>\nRP:<x@y>\n.\n");
    put("df4", "");
    put("qf5", "V8\nT1\n");
    age("qf5", 100000);
    fd = open(at("qf3"), O_RDWR);
    ck_assert_int_eq(flock(fd, LOCK_EX), 0);
    expect("1 mqueue held 0 qf1 df1\n"
           "2 mqueue deferred 0 qf2 df2\n"
           "3 mqueue active 0 qf3 df3\n"
           "4 mqueue corrupt 0 qf4 df4\n"
           "  qf4: offset 0: queue version 9 is newer than any that is known\n"
           "5 mqueue incomplete -1 qf5\n"
           "  qf5: no terminator: it was cut, or never finished; nobody has written to it for a day\n"
           "  df5 is missing in the spool directory itself; sendmail would send the message without its body\n");
    close(fd);
    fd = open(at("qf5"), O_RDWR);
    ck_assert_int_eq(fcntl(fd, F_SETLK, &(struct flock){ .l_type = F_WRLCK }), 0);
    for (int i = 1; i < 5; i++) {
        char name[8];

        snprintf(name, sizeof(name), "qf%d", i);
        unlink(at(name));
        name[0] = 'd';
        unlink(at(name));
    }
    expect("5 mqueue receiving -1 qf5\n");
    close(fd);
}
END_TEST

START_TEST(two_control_files)
{
    put("qf1", QF);
    put("hf1", QF);
    put("df1", "1");
    put_dir("q1");
    put_dir("q2");
    put_dir("q3");
    put("q1/qf2", "V8\nT1\ndq3\nS<a@b>\nRP:<x@y>\n.\n");
    put("q2/qf2", QF);
    put("q2/df2", "22");
    put("q3/df2", "333");
    put("q1/df3", "");
    put("q2/df3", "3");
    expect("1 mqueue incoming 1 qf1 hf1 df1\n"
           "  hf1: a second control file of this message; shown is qf1, which sendmail would use\n"
           "2 mqueue incoming 2 q2/qf2 q2/df2\n"
           "2 mqueue incoming 3 q1/qf2 q3/df2\n"
           "3 mqueue receiving 0 q1/df3\n"
           "3 mqueue receiving 1 q2/df3\n");
}
END_TEST

START_TEST(temporary_control_files)
{
    put("qf1", QF);
    put("df1", "");
    put("tf1", "V8\n");
    put("qf2", QF);
    put("df2", "");
    put("tf2", "V8\n");
    age("tf2", 100000);
    put("tf3", QF);
    put("df3", "");
    expect("1 mqueue incoming 0 qf1 tf1 df1\n"
           "2 mqueue incoming 0 qf2 tf2 df2\n"
           "  tf2: a temporary control file that was left behind\n"
           "3 mqueue incomplete 0 tf3 df3\n"
           "  tf3: only this temporary control file is left\n");
}
END_TEST

START_TEST(odd_files)
{
    put_dir("qf629EPaQe004711");
    put("df629EPaQe004711", "x");
    ck_assert_int_eq(mkfifo(at("qf2"), 0600), 0);
    ck_assert_int_eq(symlink("/etc/passwd", at("qf3")), 0);
    ck_assert_int_eq(symlink("/nowhere", at("qf4")), 0);
    put("qf0123456789abcdef012345", QF);
    put("df0123456789abcdef012345", "");
    put_dir("q1");
    put("q1/qf5", QF);
    put("q1/df5", "");
    expect("0123456789abcdef012345 mqueue corrupt 0 qf0123456789abcdef012345 df0123456789abcdef012345\n"
           "  qf0123456789abcdef012345: the name is longer than sendmail accepts\n"
           "  df0123456789abcdef012345: the name is longer than sendmail accepts\n"
           "2 mqueue corrupt -1 qf2\n"
           "  qf2: not a regular file\n"
           "  df2 is missing in the spool directory itself; sendmail would send the message without its body\n"
           "3 mqueue corrupt -1 qf3\n"
           "  qf3: not a regular file\n"
           "  df3 is missing in the spool directory itself; sendmail would send the message without its body\n"
           "4 mqueue corrupt -1 qf4\n"
           "  qf4: not a regular file\n"
           "  df4 is missing in the spool directory itself; sendmail would send the message without its body\n"
           "5 mqueue incoming 0 q1/qf5 q1/df5\n"
           "629EPaQe004711 mqueue corrupt 1 qf629EPaQe004711 df629EPaQe004711\n"
           "  qf629EPaQe004711: not a regular file\n");
}
END_TEST

START_TEST(linked_directories)
{
    char elsewhere[64] = "/tmp/check-sendmail-XXXXXX", path[100];
    FILE *f;

    ck_assert_ptr_nonnull(mkdtemp(elsewhere));
    snprintf(path, sizeof(path), "%s/qf1", elsewhere);
    f = fopen(path, "w");
    fputs(QF, f);
    fclose(f);
    ck_assert_int_eq(symlink(elsewhere, at("q1")), 0);
    put("q0", "");
    expect("1 mqueue incomplete -1 q1/qf1\n"
           "  df1 is missing in q1; sendmail would send the message without its body\n");
    if (geteuid() == 0) {
        char expected[300];

        ck_assert_int_eq(lchown(at("q1"), 1, 1), 0);
        snprintf(expected, sizeof(expected), "trouble: cannot read directory %s/q1: not a directory, or a link that is not root's\n", root);
        expect(expected);
    }
    unlink(path);
    rmdir(elsewhere);
}
END_TEST

/* Two names for one directory, and a circle: every message once, under the name that is no link. */
START_TEST(directories_under_two_names)
{
    put_dir("q1");
    put_dir("q3");
    ck_assert_int_eq(symlink("q1", at("a0")), 0);
    ck_assert_int_eq(symlink("q1", at("q2")), 0);
    ck_assert_int_eq(symlink("..", at("q1/self")), 0);
    put("q1/qf1", QF);
    put("q1/df1", "1");
    put("q3/qf2", "V8\nT1\ndq2\nS<a@b>\nRP:<x@y>\n.\n");
    put("q1/df2", "22");
    expect("1 mqueue incoming 1 q1/qf1 q1/df1\n"
           "2 mqueue incoming 2 q3/qf2 q1/df2\n");
}
END_TEST

START_TEST(more_directories_than_are_walked)
{
    char name[32];

    put("qf1", QF);
    put("df1", "1");
    for (int i = 0; i < 1010; i++) {
        snprintf(name, sizeof(name), "q%d", i);
        put_dir(name);
    }
    put("qf2", QF);
    put("df2", "2");
    {
        struct lq_queue *q;
        struct lq_scan *scan = begin(&q);
        struct buf out = { 0 };

        end(scan, q, &out);
        ck_assert_ptr_nonnull(strstr(out.p, "1 mqueue incoming 1 qf1 df1\n"));
        ck_assert_ptr_nonnull(strstr(out.p, "2 mqueue incoming 1 qf2 df2\n"));
        ck_assert_ptr_nonnull(strstr(out.p, "more than 1000 directories"));
        buf_done(&out);
    }
}
END_TEST

/* Only its owner may read the queue directories: one sentence that names him, not a list of troubles. */
START_TEST(without_rights)
{
    struct lq_scan_opts opts = { .size = sizeof(opts), .fields = LQ_FIELDS_ALL, .threads = 1 };
    struct lq_error err = { 0 };
    struct lq_queue *q;
    struct lq_scan *scan;

    if (geteuid() != 0) {
        fprintf(stderr, "SKIP check_sendmail_spool without_rights: not root\n");
        return;
    }
    put_dir("q1");
    put("q1/qf1", QF);
    chmod(root, 0755);
    ck_assert_int_eq(chown(at("q1"), 1, 1), 0);
    ck_assert_int_eq(seteuid(65534), 0);
    ck_assert_int_eq(lq_queue_open(&q, "sendmail", root, NULL, &err), LQ_OK);
    ck_assert_int_eq(lq_scan_begin(&scan, q, &opts, &err), LQ_EACCES);
    ck_assert_int_eq(seteuid(0), 0);
    ck_assert_ptr_nonnull(strstr(err.text, ": no right to read it; become root"));
    if (getpwuid(1))
        ck_assert_ptr_nonnull(strstr(err.text, getpwuid(1)->pw_name));
    lq_queue_close(q);
}
END_TEST

START_TEST(what_moves_is_found_again)
{
    struct lq_queue *q;
    struct lq_scan *scan;
    struct buf out = { 0 };
    char to[300];

    put("qf1", QF);
    put("df1", "1");
    put("qf2", QF);
    put("df2", "2");
    put("qf3", QF);
    put("df3", "3");
    scan = begin(&q);
    strcpy(to, at("hf1"));
    ck_assert_int_eq(rename(at("qf1"), to), 0);
    unlink(at("df2"));
    unlink(at("qf2"));
    unlink(at("df3"));
    end(scan, q, &out);
    ck_assert_str_eq(out.p, "1 mqueue held 1 hf1 df1\n"
                            "3 mqueue incomplete -1 qf3\n"
                            "  df3 is missing in the spool directory itself; sendmail would send the message without its body\n"
                            "vanished: 1\n");
    buf_done(&out);
}
END_TEST

/* What happens to the queue between two reads of one message. */
static void (*between)(void);

static void racing_read(struct reading *rd, unsigned sections)
{
    sendmail_backend.read(rd, sections & SEC_CONTROL);
    if (between)
        between();
    between = NULL;
    sendmail_backend.read(rd, sections & ~(unsigned)SEC_CONTROL);
}

static void expect_race(void (*race)(void), const char *expected)
{
    struct lq_backend backend = sendmail_backend;
    struct lq_queue q = { .backend = &backend, .root = root, .fd = open(root, O_RDONLY | O_DIRECTORY) };
    struct lq_scan_opts opts = { .size = sizeof(opts), .fields = LQ_FIELDS_ALL, .threads = 1 };
    const struct lq_record *r;
    struct lq_scan *scan;
    struct buf out = { 0 };

    backend.read = racing_read;
    between = race;
    ck_assert_int_eq(lq_scan_begin(&scan, &q, &opts, NULL), LQ_OK);
    while (lq_scan_next(scan, &r, NULL) == LQ_OK) {
        tell_message(&out, r);
        ck_assert_uint_eq(lq_record_recipient_count(r, LQ_RECIPIENTS), 1);
    }
    buf_printf(&out, "vanished: %d", (int)lq_scan_stats(scan).vanished);
    buf_add_char(&out, '\0');
    lq_scan_end(scan);
    close(q.fd);
    ck_assert_str_eq(out.p, expected);
    buf_done(&out);
}

static void deliver(void)
{
    unlink(at("df1"));
    unlink(at("qf1"));
}

static void move_away(void)
{
    char to[300];

    unlink(at("df1"));
    put("q1/df1", "22");
    strcpy(to, at("q1/hf1"));
    rename(at("qf1"), to);
}

START_TEST(races)
{
    put_dir("q1");
    put("qf1", QF);
    put("df1", "1");
    expect_race(move_away, "1 mqueue held 2 q1/hf1 q1/df1\nvanished: 0");
    put("qf1", QF);
    put("df1", "1");
    unlink(at("q1/hf1"));
    unlink(at("q1/df1"));
    expect_race(deliver, "vanished: 1");
}
END_TEST

/* A message that arrives between two readdirs: its body was not listed, and is there. */
START_TEST(body_after_listing)
{
    struct lq_queue *q;
    struct lq_scan *scan;
    struct buf out = { 0 };

    put("qf1", QF);
    scan = begin(&q);
    put("df1", "1");
    end(scan, q, &out);
    ck_assert_str_eq(out.p, "1 mqueue incoming 1 qf1 df1\n");
    buf_done(&out);
}
END_TEST

/* The other way round: the control file was written after its directory was read. */
START_TEST(control_file_after_listing)
{
    struct lq_queue *q;
    struct lq_scan *scan;
    struct buf out = { 0 };

    put("df1", "1");
    put("df2", "22");
    scan = begin(&q);
    put("qf1", QF);
    end(scan, q, &out);
    ck_assert_str_eq(out.p, "1 mqueue incoming 1 qf1 df1\n2 mqueue receiving 2 df2\n");
    buf_done(&out);
}
END_TEST

/* --- this machine's own spool, with its configuration --- */

static char live_cf[300];

static int open_live(struct spool *sp, struct lq_error *err)
{
    return sendmail_open(sp, (const char *const[]){ "/nowhere/sendmail.cf", live_cf, NULL }, err);
}

static void expect_live(const char *cf, const char *expected)
{
    struct lq_backend backend = sendmail_backend;
    struct lq_queue q = { .backend = &backend, .root = root, .fd = open(root, O_RDONLY | O_DIRECTORY), .live = true };
    struct lq_scan_opts opts = { .size = sizeof(opts), .fields = LQ_FIELDS_ALL, .threads = 1 };
    const struct lq_record *r;
    struct lq_scan *scan;
    struct buf out = { 0 };

    strcpy(live_cf, at(".cf"));
    put(".cf", cf);
    backend.open = open_live;
    ck_assert_int_eq(lq_scan_begin(&scan, &q, &opts, NULL), LQ_OK);
    while (lq_scan_next(scan, &r, NULL) == LQ_OK)
        tell_message(&out, r);
    buf_add_char(&out, '\0');
    lq_scan_end(scan);
    trust_done(&q.trust);
    close(q.fd);
    ck_assert_str_eq(out.p, expected);
    buf_done(&out);
}

START_TEST(groups_of_the_configuration)
{
    char cf[500];

    put_dir("q1");
    put_dir("slow");
    put("q1/qf1", QF);
    put("q1/df1", "1");
    put("slow/qf2", QF);
    put("slow/df2", "22");
    snprintf(cf, sizeof(cf), "O QueueDirectory=%s/q*\nQslow, P=%s/slow\n", root, root);
    expect_live(cf, "1 mqueue incoming 1 q1/qf1 q1/df1\n2 slow incoming 2 slow/qf2 slow/df2\n");
    /* The configuration of another spool says nothing about this one. */
    expect_live("O QueueDirectory=/tmp/q*\nQslow, P=/tmp/slow\n",
                "1 mqueue incoming 1 q1/qf1 q1/df1\n2 mqueue incoming 2 slow/qf2 slow/df2\n");
}
END_TEST

START_TEST(modes_that_sendmail_refuses)
{
    char cf[500];

    put("qf1", QF);
    put("df1", "1");
    put("qf2", QF);
    put("df2", "2");
    chmod(at("qf1"), 0660);
    chmod(at("qf2"), 0602);
    snprintf(cf, sizeof(cf), "O QueueDirectory=%s\nO QueueFileMode=0640\n", root);
    expect_live(cf, "1 mqueue corrupt 1 qf1 df1\n  qf1: mode 0660 lets others write; sendmail would set it aside as Qf1\n"
                    "2 mqueue corrupt 1 qf2 df2\n  qf2: mode 0602 lets others write; sendmail would set it aside as Qf2\n");
    snprintf(cf, sizeof(cf), "O QueueDirectory=%s\nO QueueFileMode=0660\n", root);
    expect_live(cf, "1 mqueue incoming 1 qf1 df1\n"
                    "2 mqueue corrupt 1 qf2 df2\n  qf2: mode 0602 lets others write; sendmail would set it aside as Qf2\n");
    expect("1 mqueue incoming 1 qf1 df1\n2 mqueue incoming 1 qf2 df2\n");
}
END_TEST

static int collect(void *ctx, const void *p, size_t n)
{
    buf_add(ctx, p, n);
    return 0;
}

START_TEST(rebuilt)
{
    struct lq_queue *q;
    struct lq_scan *scan;
    const struct lq_record *r;
    struct buf out = { 0 };
    struct lq_error err = { 0 };

    put("qf1", "V8\nT1\nFb\nS<a@b>\nRP:<x@y>\nH??Return-Path: <\x81g>\nH??Subject: s\n\tt\nH?x?Full-Name: F\nH??bcc: z\n.\n");
    put("df1", "body\n.\nno end");
    scan = begin(&q);
    ck_assert_int_eq(lq_scan_next(scan, &r, NULL), LQ_OK);
    ck_assert_msg(lq_message_eml(q, r, collect, &out, &err) == LQ_OK, "%s", err.text);
    buf_add_char(&out, '\0');
    ck_assert_str_eq(out.p, "Return-Path: <a@b>\r\nSubject: s\r\n\tt\r\n\r\nbody\r\n.\r\nno end");
    unlink(at("df1"));
    ck_assert_int_eq(lq_message_eml(q, r, collect, &out, &err), LQ_EINVAL);
    buf_done(&out);
    lq_scan_end(scan);
    lq_queue_close(q);
    /* Sendmail would not find this body; we do, and have said so. */
    put_dir("q1");
    put("q1/df1", "elsewhere\n");
    scan = begin(&q);
    ck_assert_int_eq(lq_scan_next(scan, &r, NULL), LQ_OK);
    memset(&out, 0, sizeof(out));
    ck_assert_msg(lq_message_eml(q, r, collect, &out, &err) == LQ_OK, "%s", err.text);
    ck_assert_int_eq(memcmp(out.p + out.n - 11, "elsewhere\r\n", 11), 0);
    buf_done(&out);
    lq_scan_end(scan);
    lq_queue_close(q);
}
END_TEST

START_TEST(identity)
{
    struct lq_queue *q;
    struct lq_scan *scan;
    const struct lq_record *r;
    struct stat st;
    char text[100];

    put("qf1", QF);
    put("df1", "1");
    scan = begin(&q);
    ck_assert_int_eq(lq_scan_next(scan, &r, NULL), LQ_OK);
    stat(at("df1"), &st);
    snprintf(text, sizeof(text), "1773066336.000000-%llx:%llu", (unsigned long long)st.st_dev, (unsigned long long)st.st_ino);
    ck_assert_str_eq(lq_record_text(r, LQ_IDENTITY).p, text);
    lq_scan_end(scan);
    lq_queue_close(q);
}
END_TEST

/* --- recognising a spool --- */

static const struct { const char *name; const char *paths[4]; bool yes; } detect_rows[] = {
    { "empty", { NULL }, false },
    { "qf and df", { "qf629EPaQe004717", "df629EPaQe004717" }, true },
    { "old id", { "qfAAA06703" }, true },
    { "made by hand", { "qfhello" }, true },
    { "below q1", { "q1/", "q1/qf629EPaQe004717" }, true },
    { "below any name", { "fast/", "fast/df629EPaQe004717" }, true },
    { "empty type directories", { "qf/", "df/", "xf/" }, true },
    { "empty type directories below", { "q1/", "q1/qf/", "q1/df/" }, true },
    { "only one type directory", { "df/" }, false },
    { "files in qf and two levels", { "sub/", "sub/q1/", "sub/q1/qf/", "sub/q1/qf/qf629EPaQe004717" }, true },
    { "some directory", { "df-output", "Tfile", "hfiles", "tf" }, false },
    { "dot files", { ".qf629EPaQe004717" }, false },
};

START_TEST(detects)
{
    int fd;

    for (size_t i = 0; i < 4 && detect_rows[_i].paths[i]; i++) {
        char path[100];
        size_t n = strlen(strcpy(path, detect_rows[_i].paths[i]));

        if (path[n - 1] == '/') {
            path[n - 1] = '\0';
            put_dir(path);
        } else {
            put(path, "");
        }
    }
    fd = open(root, O_RDONLY | O_DIRECTORY);
    ck_assert_int_eq(sendmail_backend.detect(fd) > 0, detect_rows[_i].yes);
    close(fd);
}
END_TEST

#define COUNT(a) ((int)(sizeof(a) / sizeof((a)[0])))

static Suite *suite(void)
{
    Suite *s = suite_create("sendmail spools");
    TCase *disk = tcase_create("spools");

    tcase_set_timeout(disk, 120);
    tcase_add_checked_fixture(disk, make_root, remove_root);
    tcase_add_test(disk, one_directory);
    tcase_add_test(disk, several_directories);
    tcase_add_test(disk, type_directories_are_independent);
    tcase_add_test(disk, bodies);
    tcase_add_test(disk, shared_body);
    tcase_add_test(disk, being_received);
    tcase_add_test(disk, states);
    tcase_add_test(disk, two_control_files);
    tcase_add_test(disk, temporary_control_files);
    tcase_add_test(disk, odd_files);
    tcase_add_test(disk, linked_directories);
    tcase_add_test(disk, directories_under_two_names);
    tcase_add_test(disk, more_directories_than_are_walked);
    tcase_add_test(disk, without_rights);
    tcase_add_test(disk, what_moves_is_found_again);
    tcase_add_test(disk, races);
    tcase_add_test(disk, body_after_listing);
    tcase_add_test(disk, control_file_after_listing);
    tcase_add_test(disk, groups_of_the_configuration);
    tcase_add_test(disk, modes_that_sendmail_refuses);
    tcase_add_test(disk, rebuilt);
    tcase_add_test(disk, identity);
    tcase_add_loop_test(disk, detects, 0, COUNT(detect_rows));
    suite_add_tcase(s, disk);
    return s;
}

int main(void)
{
    SRunner *runner = srunner_create(suite());
    int failed;

    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
