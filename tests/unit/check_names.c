/*
 * What is remembered of a directory's names: only what is surely not there may be answered, whatever happens to the directory meanwhile. A list
 * counts once the clock of file times has gone on, so each test waits for the first answer that comes from one.
 */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "backend.h"

static char top[] = "/tmp/check_names-XXXXXX";
static struct spool_dir dirs[1];
static struct spool sp;

static void make(const char *name)
{
    int fd = openat(dirs[0].fd, name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);

    ck_assert_int_ge(fd, 0);
    close(fd);
}

static bool lacks_now(const char *name)
{
    spool_names_round(&sp);
    return spool_lacks(&sp, 0, name);
}

/* A directory that nobody changes is believed soon. */
static void await_list(void)
{
    for (int i = 0; i < 5000; i++) {
        if (lacks_now("absent"))
            return;
        nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
    }
    ck_abort_msg("an unchanged directory is never believed");
}

static void setup(void)
{
    strcpy(top + strlen(top) - 6, "XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(top));
    dirs[0].fd = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ck_assert_int_ge(dirs[0].fd, 0);
    sp = (struct spool){ .dirs = dirs, .dir_count = 1 };
    make("there");
}

static void teardown(void)
{
    spool_names_done(&sp);
    unlinkat(dirs[0].fd, "there", 0);
    unlinkat(dirs[0].fd, "new", 0);
    close(dirs[0].fd);
    rmdir(top);
}

START_TEST(what_is_there_is_looked_at)
{
    await_list();
    ck_assert(!lacks_now("there"));
    ck_assert(lacks_now("new"));
}
END_TEST

START_TEST(a_new_name_is_seen)
{
    await_list();
    make("new");
    ck_assert(!lacks_now("new"));
    await_list();
    ck_assert(!lacks_now("new"));
}
END_TEST

/* Somebody may have made it anew, with files, under the same path. */
START_TEST(a_removed_directory_tells_nothing)
{
    await_list();
    ck_assert_int_eq(unlinkat(dirs[0].fd, "there", 0), 0);
    await_list();
    ck_assert_int_eq(rmdir(top), 0);
    for (int i = 0; i < 50; i++) {
        ck_assert(!lacks_now("absent"));
        nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
    }
    ck_assert_int_eq(mkdir(top, 0700), 0);
}
END_TEST

/* Of one round: what was known at its beginning. */
START_TEST(a_round_looks_once)
{
    await_list();
    make("new");
    ck_assert(spool_lacks(&sp, 0, "new"));
    ck_assert(!lacks_now("new"));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("names");
    TCase *t = tcase_create("lists");
    SRunner *r;
    int failed;

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, what_is_there_is_looked_at);
    tcase_add_test(t, a_new_name_is_seen);
    tcase_add_test(t, a_removed_directory_tells_nothing);
    tcase_add_test(t, a_round_looks_once);
    suite_add_tcase(s, t);
    r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed > 0;
}
