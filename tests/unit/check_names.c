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
static struct spool_dir dirs[2];       /* the second has nothing in it, and nobody changes it */
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
static void await_list_of(size_t dir)
{
    for (int i = 0; i < 5000; i++) {
        spool_names_round(&sp);
        if (spool_lacks(&sp, dir, "absent"))
            return;
        nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
    }
    ck_abort_msg("an unchanged directory is never believed");
}

static void await_list(void)
{
    await_list_of(0);
}

static void setup(void)
{
    strcpy(top + strlen(top) - 6, "XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(top));
    dirs[0].fd = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ck_assert_int_ge(dirs[0].fd, 0);
    ck_assert_int_eq(mkdirat(dirs[0].fd, "other", 0700), 0);
    dirs[1].fd = openat(dirs[0].fd, "other", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ck_assert_int_ge(dirs[1].fd, 0);
    sp = (struct spool){ .dirs = dirs, .dir_count = 2 };
    make("there");
}

static void teardown(void)
{
    spool_names_done(&sp);
    unlinkat(dirs[0].fd, "there", 0);
    unlinkat(dirs[0].fd, "new", 0);
    unlinkat(dirs[0].fd, "other", AT_REMOVEDIR);
    close(dirs[1].fd);
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
    ck_assert_int_eq(unlinkat(dirs[0].fd, "other", AT_REMOVEDIR), 0);
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

/* --- batches --- */

enum { CLAIMS = 3 };

/* Claims 0 and 1 ask for a name in the first directory, 2 in the second. */
static void claim_all(void)
{
    static const char *const names[CLAIMS] = { "new", "absent", "new" };

    await_list_of(1);
    await_list();
    spool_names_begin(&sp, CLAIMS);
    for (size_t i = 0; i < CLAIMS; i++) {
        spool_names_asker(&sp, i);
        spool_names_round(&sp);
        ck_assert(spool_lacks(&sp, i / 2, names[i]));
    }
}

START_TEST(what_did_not_change_holds)
{
    bool doubtful[CLAIMS] = { false };

    claim_all();
    spool_names_end(&sp, doubtful, CLAIMS);
    for (size_t i = 0; i < CLAIMS; i++)
        ck_assert(!doubtful[i]);
    ck_assert(lacks_now("new"));
}
END_TEST

/* Before the last lock was taken: who was told that it is not there has to ask again. Of the other name in that directory a new list may tell. */
START_TEST(a_name_that_came_during_the_batch_is_noticed)
{
    bool doubtful[CLAIMS] = { false };

    claim_all();
    make("new");
    spool_names_end(&sp, doubtful, CLAIMS);
    ck_assert(doubtful[0]);
    ck_assert(!doubtful[2]);
    ck_assert(!lacks_now("new"));
}
END_TEST

START_TEST(another_name_harms_nobody)
{
    bool doubtful[CLAIMS] = { false };
    bool all = true;

    /* In the tick of the change nothing can be listed. */
    for (int i = 0; i < 5000 && all; i++) {
        claim_all();
        ck_assert_int_eq(i % 2 ? mkdirat(dirs[0].fd, "new", 0700) : unlinkat(dirs[0].fd, "there", 0), 0);
        nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
        memset(doubtful, 0, sizeof(doubtful));
        spool_names_end(&sp, doubtful, CLAIMS);
        all = doubtful[1];
        if (i % 2)
            ck_assert_int_eq(unlinkat(dirs[0].fd, "new", AT_REMOVEDIR), 0);
        else
            make("there");
    }
    ck_assert(!all);
    ck_assert(!doubtful[2]);
}
END_TEST

/* What is in a directory that was removed, or in one that has its path now, is not known. */
START_TEST(a_directory_removed_during_the_batch_is_doubted)
{
    bool doubtful[CLAIMS] = { false };

    claim_all();
    ck_assert_int_eq(unlinkat(dirs[0].fd, "other", AT_REMOVEDIR), 0);
    spool_names_end(&sp, doubtful, CLAIMS);
    ck_assert(doubtful[2]);
}
END_TEST

/* Between batches each round looks for itself. */
START_TEST(after_a_batch_each_round_looks)
{
    bool doubtful[CLAIMS] = { false };

    claim_all();
    spool_names_end(&sp, doubtful, CLAIMS);
    make("new");
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
    tcase_add_test(t, what_did_not_change_holds);
    tcase_add_test(t, a_name_that_came_during_the_batch_is_noticed);
    tcase_add_test(t, another_name_harms_nobody);
    tcase_add_test(t, a_directory_removed_during_the_batch_is_doubted);
    tcase_add_test(t, after_a_batch_each_round_looks);
    suite_add_tcase(s, t);
    r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed > 0;
}
