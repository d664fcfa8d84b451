/*
 * Directories read side by side: what comes out is the same, in the same order, as of reading them one after the other, whoever helps.
 */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ahead.h"
#include "buf.h"

enum { DIRS = 24, FILES = 40 };

static char root[] = "/tmp/check_ahead.XXXXXX";
static struct spool_dir dirs[DIRS];
static struct spool spool = { .dirs = dirs, .dir_count = DIRS };

static void in_dir(size_t dir, const char *name, bool make)
{
    char path[sizeof(root) + 300];

    snprintf(path, sizeof(path), "%s/%zu%s%s", root, dir, *name ? "/" : "", name);
    if (!make)
        ck_assert_int_eq(remove(path), 0);
    else if (!*name)
        ck_assert_int_eq(mkdir(path, 0700), 0);
    else
        close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
}

/* The second half of them is as good as empty, so that caller and helpers meet somewhere. */
static void each_file(bool make)
{
    char name[256];

    for (size_t d = 0; d < DIRS; d++) {
        if (make)
            in_dir(d, "", true);
        for (unsigned i = 0; i < (d < DIRS / 2 ? FILES : 1); i++) {
            snprintf(name, sizeof(name), "%0*u", i == 0 ? 255 : 12, i);
            in_dir(d, name, make);
        }
        if (!make)
            in_dir(d, "", false);
    }
}

static void set_up(void)
{
    ck_assert_ptr_nonnull(mkdtemp(root));
    each_file(true);
    for (size_t d = 0; d < DIRS; d++) {
        char path[sizeof(root) + 24];

        snprintf(path, sizeof(path), "%s/%zu", root, d);
        dirs[d].fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        ck_assert_int_ge(dirs[d].fd, 0);
    }
}

static void tear_down(void)
{
    for (size_t d = 0; d < DIRS; d++)
        close(dirs[d].fd);
    each_file(false);
    ck_assert_int_eq(rmdir(root), 0);
}

struct seen {
    struct buf names;
    unsigned n, stop;           /* at this many; 0: never */
};

static int see(void *ctx, const char *name, size_t len, unsigned char type)
{
    struct seen *s = ctx;

    ck_assert_uint_eq(strlen(name), len);
    buf_add(&s->names, name, len);
    buf_add_char(&s->names, (char)('a' + type));
    return ++s->n == s->stop;
}

static struct seen one_after_the_other(void)
{
    struct seen s = { .n = 0 };

    for (size_t d = 0; d < DIRS; d++)
        ck_assert_int_eq(file_each(dirs[d].fd, see, &s), FILE_OK);
    return s;
}

START_TEST(same_as_alone)
{
    struct seen alone = one_after_the_other();

    for (unsigned round = 0; round < 50; round++) {
        struct ahead *a = ahead_begin(&spool, 0, (unsigned)_i);
        struct seen s = { .n = 0 };

        ck_assert_ptr_nonnull(a);
        for (size_t d = 0; d < DIRS; d++) {
            ck_assert(ahead_has(a, d));
            ck_assert_int_eq(ahead_each(a, d, see, &s), FILE_OK);
        }
        ck_assert(!ahead_has(a, DIRS));
        ahead_end(a);
        ck_assert_uint_eq(s.names.n, alone.names.n);
        ck_assert_int_eq(memcmp(s.names.p, alone.names.p, s.names.n), 0);
        buf_done(&s.names);
    }
    buf_done(&alone.names);
}
END_TEST

START_TEST(ends_in_the_middle)
{
    for (unsigned stop = 1; stop < DIRS / 2 * FILES; stop += 37) {
        struct ahead *a = ahead_begin(&spool, 0, 2);
        struct seen s = { .stop = stop };

        for (size_t d = 0; d < DIRS && s.n < stop; d++)
            ck_assert_int_eq(ahead_each(a, d, see, &s), FILE_OK);
        ck_assert_uint_eq(s.n, stop);
        ahead_end(a);
        buf_done(&s.names);
    }
}
END_TEST

/* What cannot be read says so to whom it is told, also when a helper met it. */
START_TEST(tells_what_failed)
{
    int good = dirs[DIRS - 1].fd, bad = open("/dev/null", O_RDONLY | O_CLOEXEC);
    struct seen s = { .n = 0 };
    struct ahead *a;

    dirs[DIRS - 1].fd = bad;
    a = ahead_begin(&spool, 0, 3);
    for (size_t d = 0; d < DIRS; d++)
        ck_assert_int_eq(ahead_each(a, d, see, &s) == FILE_OK, d < DIRS - 1);
    ahead_end(a);
    dirs[DIRS - 1].fd = good;
    close(bad);
    buf_done(&s.names);
}
END_TEST

START_TEST(nobody_helps_with_one)
{
    ck_assert_ptr_null(ahead_begin(&spool, DIRS - 1, 3));
    ck_assert_ptr_null(ahead_begin(&spool, 0, 0));
    ck_assert(!ahead_has(NULL, 0));
    ahead_end(NULL);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("ahead");
    TCase *t = tcase_create("ahead");
    SRunner *sr = srunner_create(s);
    int failed;

    tcase_add_unchecked_fixture(t, set_up, tear_down);
    tcase_add_loop_test(t, same_as_alone, 1, 4);
    tcase_add_test(t, ends_in_the_middle);
    tcase_add_test(t, tells_what_failed);
    tcase_add_test(t, nobody_helps_with_one);
    suite_add_tcase(s, t);
    srunner_run_all(sr, CK_ENV);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed > 0;
}
