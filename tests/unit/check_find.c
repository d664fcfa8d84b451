/* Finding spools: programs of our own that answer, lie, fail, hang or talk too much; configuration files; usual places. */
#include <signal.h>

#include "find.h"
#include "tree.h"

static char program[128], other[128], cf[128];

static void make_places(void)
{
    make_root();
    snprintf(program, sizeof(program), "%s/program", root);
    snprintf(other, sizeof(other), "%s/other", root);
    snprintf(cf, sizeof(cf), "%s/sendmail.cf", root);
    for (const char *const *d = (const char *const[]){ "a", "b", "c", NULL }; *d; d++)
        ck_assert_int_eq(mkdir(at(*d), 0700), 0);
}

/* Write a text in which % stands for the root. */
static void put_text(const char *path, const char *text, int mode)
{
    FILE *f = fopen(path, "w");

    ck_assert_ptr_nonnull(f);
    for (; *text; text++) {
        if (*text == '%')
            fputs(root, f);
        else
            fputc(*text, f);
    }
    fclose(f);
    ck_assert_int_eq(chmod(path, (mode_t)mode), 0);
}

/* "postfix:%/a postconf" for each found, in order. */
static char *found(const char *mta, const struct find_places *places)
{
    static char text[2000];
    struct lq_error err = { 0 };
    struct lq_spools *s;
    size_t n = 0;

    ck_assert_msg(spools_find(&s, mta, places, &err) == LQ_OK, "%s", err.text);
    text[0] = '\0';
    for (size_t i = 0; i < lq_spools_count(s); i++) {
        const char *dir = lq_spools_dir(s, i), *origin = lq_spools_origin(s, i);

        ck_assert_uint_eq(strncmp(dir, root, strlen(root)), 0);
        n += (size_t)snprintf(text + n, sizeof(text) - n, "%s:%s %s\n", lq_spools_mta(s, i), dir + strlen(root),
                              strncmp(origin, root, strlen(root)) == 0 ? origin + strlen(root) : origin);
    }
    ck_assert_ptr_null(lq_spools_dir(s, lq_spools_count(s)));
    lq_spools_free(s);
    return text;
}

static const char *const programs[] = { other, program, NULL };
static const char *const cfs[] = { "/nowhere/sendmail.cf", cf, NULL };

static const struct { const char *name, *script, *expected; } postconf_rows[] = {
    { "one instance", "[ \"$*\" = '-h queue_directory multi_instance_directories' ] && printf '%/a\\n\\n'", "postfix:/a postconf\n" },
    { "instances", "case \"$*\" in '-c /etc/postfix-b -h queue_directory') echo %/b;; '-c /etc/postfix-c -h queue_directory') echo %/c;;"
      " -c*) exit 1;; *) printf '%/a\\n/etc/postfix-b, /etc/postfix-c relative /etc/postfix-d\\n';; esac",
      "postfix:/a postconf\npostfix:/b postconf\npostfix:/c postconf\n" },
    { "the same directory twice", "case \"$*\" in -c*) echo %/a/../a;; *) printf '%/a\\n/etc/postfix-b\\n';; esac", "postfix:/a postconf\n" },
    { "a parameter inside", "case \"$*\" in -h*) printf '$base/a\\n\\n';; -xh*) printf '%/a\\n\\n';; esac", "postfix:/a postconf\n" },
    { "a parameter that stays", "printf '$base/a\\n\\n'", "" },
    { "no such directory", "printf '%/nowhere\\n\\n'", "" },
    { "relative", "printf '.\\n\\n'", "" },
    { "not a directory", "printf '%/program\\n\\n'", "" },
    { "fails", "printf '%/a\\n\\n'; exit 1", "" },
    { "dies", "printf '%/a\\n\\n'; kill -9 $$", "" },
    { "says nothing", "exit 0", "" },
    { "without a newline", "printf %/a", "postfix:/a postconf\n" },
    { "NUL in the answer", "printf '%/a\\0\\n'", "" },
    { "talks too much", "printf '%/a\\n\\n'; while :; do echo xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx || exit 1; done", "" },
    { "closes its output and stays", "printf '%/a\\n\\n'; exec >&- 2>&-; exec sleep 60", "" },
    { "hangs", "printf '%/a\\n\\n'; exec sleep 60", "" },
    { "a clean environment", "[ -z \"$SECRET\" ] && [ \"$LC_ALL\" = C ] && [ \"$(cat)\" = '' ] && printf '%/a\\n\\n'", "postfix:/a postconf\n" },
    { "complaints are not read", "echo warning >&2; printf '%/a\\n\\n'", "postfix:/a postconf\n" },
};

static void put_program(const char *script)
{
    char text[2000];

    snprintf(text, sizeof(text), "#!/bin/sh\n%s\n", script);
    put_text(program, text, 0755);
}

START_TEST(postconf)
{
    struct find_places places = { .postconf = programs, .timeout_ms = 30000 };

    /* The two that only a limit ends: a short one is enough for them, a long one keeps slow machines from failing the others. */
    if (strstr(postconf_rows[_i].script, "sleep"))
        places.timeout_ms = 300;
    setenv("SECRET", "x", 1);
    put_program(postconf_rows[_i].script);
    ck_assert_str_eq(found(NULL, &places), postconf_rows[_i].expected);
    ck_assert_str_eq(found("postfix", &places), postconf_rows[_i].expected);
    ck_assert_str_eq(found("exim", &places), "");
}
END_TEST

static const struct { const char *name, *script, *expected; } exim_rows[] = {
    { "value alone", "[ \"$*\" = '-n -bP spool_directory' ] && echo %/a", "exim:/a exim -bP\n" },
    { "name and value", "echo 'spool_directory = %/a '", "exim:/a exim -bP\n" },
    { "fails", "echo 'Exim configuration error'; exit 1", "" },
    { "an error on standard output", "echo 'spool_directory is not a known option'", "" },
};

START_TEST(exim)
{
    const struct find_places places = { .exim = programs, .timeout_ms = 30000 };

    put_program(exim_rows[_i].script);
    ck_assert_str_eq(found(NULL, &places), exim_rows[_i].expected);
}
END_TEST

START_TEST(child_status_taken_by_the_host)
{
    const struct find_places places = { .exim = programs, .timeout_ms = 30000 };

    put_program("echo %/a");
    signal(SIGCHLD, SIG_IGN);
    ck_assert_str_eq(found(NULL, &places), "exim:/a exim -bP\n");
    signal(SIGCHLD, SIG_DFL);
}
END_TEST

static const struct { const char *name, *text, *expected; } cf_rows[] = {
    { "one directory", "O QueueDirectory=%/a\n", "sendmail:/a /sendmail.cf\n" },
    { "several directories", "O QueueDirectory=%/a/q*\n", "sendmail:/a /sendmail.cf\n" },
    { "old form", "OQ%/b\n", "sendmail:/b /sendmail.cf\n" },
    { "groups below the base", "O QueueDirectory=%/a/q*\nQx, P=%/a/x\n", "sendmail:/a /sendmail.cf\n" },
    { "no queue", "O Timeout.ident=5s\n", "" },
    { "no such directory", "O QueueDirectory=%/nowhere\n", "" },
};

START_TEST(sendmail)
{
    const struct find_places places = { .sendmail_cf = cfs };

    put_text(cf, cf_rows[_i].text, 0600);
    ck_assert_str_eq(found(NULL, &places), cf_rows[_i].expected);
}
END_TEST

START_TEST(nothing_installed)
{
    const struct find_places places = { .postconf = programs, .exim = programs, .sendmail_cf = cfs, .timeout_ms = 1000 };

    ck_assert_str_eq(found(NULL, &places), "");
    put_text(program, "not a program", 0600);
    ck_assert_str_eq(found(NULL, &places), "");
}
END_TEST

START_TEST(all_three)
{
    const struct find_places places = { .postconf = programs, .exim = programs, .sendmail_cf = cfs, .timeout_ms = 30000 };

    put_program("case \"$*\" in *spool*) echo %/a;; *) printf '%/b\\n\\n';; esac");
    put_text(cf, "O QueueDirectory=%/c/*\n", 0600);
    ck_assert_str_eq(found(NULL, &places), "exim:/a exim -bP\npostfix:/b postconf\nsendmail:/c /sendmail.cf\n");
}
END_TEST

/* --- settings of one instance --- */

static const struct { const char *name, *mta, *script, *expected; } settings_rows[] = {
    { "postfix", "postfix", "[ \"$*\" = '-h queue_directory multi_instance_directories one two' ] && printf '%/a\\n\\n1\\n2 3\\n'", "1|2 3" },
    { "postfix, an empty value", "postfix", "printf '%/a\\n/etc/b\\n\\n2\\n'", "|2" },
    { "postfix, another queue", "postfix", "printf '%/b\\n\\n1\\n2\\n'", NULL },
    { "postfix, an instance", "postfix",
      "case \"$*\" in '-c /etc/b '*) printf '%/c\\n\\n3\\n4\\n';; '-c /etc/c '*) printf '%/a\\n\\n5\\n6\\n';; "
      "*) printf '%/b\\n/etc/b, etc/x /etc/c\\n1\\n2\\n';; esac", "5|6" },
    { "postfix fails", "postfix", "printf '%/a\\n\\n1\\n2\\n'; exit 1", NULL },
    { "postfix, cut", "postfix", "printf '%/a\\n\\n1'", "1|" },
    { "exim", "exim", "[ \"$*\" = '-n -bP spool_directory one two' ] && printf '%/a\\n7d\\n0s\\n'", "7d|0s" },
    { "exim, with names", "exim", "printf 'spool_directory = %/a\\none = 7d\\ntwo = 0s\\n'", "7d|0s" },
    { "exim, another queue", "exim", "printf '%/b\\n7d\\n0s\\n'", NULL },
    { "exim fails", "exim", "printf '%/a\\n7d\\n0s\\n'; exit 1", NULL },
    { "a long value", "exim", "printf '%/a\\n'; head -c 3000 /dev/zero | tr '\\0' x; printf '\\n0s\\n'", "|0s" },
    { "nobody to ask", "sendmail", "printf '%/a\\n7d\\n0s\\n'", NULL },
};

START_TEST(settings)
{
    const struct find_places places = { .postconf = programs, .exim = programs, .timeout_ms = 30000 };
    struct setting s[] = { { .name = "one", .value = "old" }, { .name = "two", .value = "old" } };
    char path[128], got[sizeof(s)];
    int fd;

    snprintf(path, sizeof(path), "%s/a", root);
    fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    put_program(settings_rows[_i].script);
    ck_assert(settings_ask(settings_rows[_i].mta, fd, s, 2, &places) == (settings_rows[_i].expected != NULL));
    snprintf(got, sizeof(got), "%s|%s", s[0].value, s[1].value);
    ck_assert_str_eq(got, settings_rows[_i].expected ? settings_rows[_i].expected : "|");
    close(fd);
}
END_TEST

static const struct { const char *text; int64_t seconds; } duration_rows[] = {
    { "0s", 0 }, { "5d", 432000 }, { "5", 432000 }, { "1h30m", 5400 }, { "10w", 6048000 }, { "0", 0 }, { "90m", 5400 },
    { "", -1 }, { "d", -1 }, { "-5d", -1 }, { "5x", -1 }, { "5d ", -1 }, { "99999999999d", -1 }, { "5 d", -1 },
};

START_TEST(durations)
{
    int64_t seconds;
    bool fine = settings_duration(duration_rows[_i].text, 24 * 60 * 60, &seconds);

    ck_assert_msg(fine == (duration_rows[_i].seconds >= 0), "%s", duration_rows[_i].text);
    if (fine)
        ck_assert_int_eq(seconds, duration_rows[_i].seconds);
}
END_TEST

START_TEST(unknown_mta)
{
    const struct find_places places = { .timeout_ms = 1 };
    struct lq_error err = { 0 };
    struct lq_spools *s = NULL;

    ck_assert_int_eq(spools_find(&s, "qmail", &places, &err), LQ_EINVAL);
    ck_assert_ptr_null(s);
    ck_assert_ptr_nonnull(strstr(err.text, "qmail"));
}
END_TEST

#define COUNT(a) ((int)(sizeof(a) / sizeof((a)[0])))

int main(void)
{
    Suite *s = suite_create("find");
    TCase *tc = tcase_create("find");
    SRunner *runner;
    int failed;

    tcase_set_timeout(tc, 120);
    tcase_add_checked_fixture(tc, make_places, remove_root);
    tcase_add_loop_test(tc, postconf, 0, COUNT(postconf_rows));
    tcase_add_loop_test(tc, exim, 0, COUNT(exim_rows));
    tcase_add_test(tc, child_status_taken_by_the_host);
    tcase_add_loop_test(tc, sendmail, 0, COUNT(cf_rows));
    tcase_add_test(tc, nothing_installed);
    tcase_add_test(tc, all_three);
    tcase_add_loop_test(tc, settings, 0, COUNT(settings_rows));
    tcase_add_loop_test(tc, durations, 0, COUNT(duration_rows));
    tcase_add_test(tc, unknown_mta);
    suite_add_tcase(s, tc);
    runner = srunner_create(s);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
