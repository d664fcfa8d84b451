/* Vaults: where one may be, its reserve, jobs that live and that crashed, ledgers. */
#include "vault_help.h"

#include <errno.h>
#include <sys/mount.h>

/* --- places --- */

static const struct { const char *name, *make, *vault; mode_t mode; int expect; } places[] = {
    { "a new directory",            NULL, "v", 0, LQ_OK },
    { "an old one of our own",      "v", "v", 0700, LQ_OK },
    { "one that others may write",  "v", "v", 0777, LQ_EREFUSED },
    { "one of a writable group",    "v", "v", 0770, LQ_EREFUSED },
    { "below what others may move", "open", "open/v", 0777, LQ_EREFUSED },
    { "below a sticky directory",   "open", "open/v", 01777, LQ_OK },
    { "no such parent",             NULL, "no/v", 0, LQ_ENOENT },
    { "the spool itself",           NULL, "spool", 0, LQ_EREFUSED },
    { "inside input",               NULL, "spool/input/v", 0, LQ_EREFUSED },
    { "a hash level of input",      NULL, "spool/input/5", 0, LQ_EREFUSED },
    { "inside msglog",              NULL, "spool/msglog/v", 0, LQ_EREFUSED },
    { "beside input",               NULL, "spool/mqtools", 0, LQ_OK },
    { "below a server's own",       "other/input", "other/v", 0750, LQ_OK },
};

START_TEST(placed)
{
    struct lq_error err = { 0 };
    struct lq_vault *v = NULL;
    int rc;

    make_exim_spool("spool");
    if (places[_i].make) {
        make_dirs(at(places[_i].make));
        chmod(at(places[_i].make), places[_i].mode);
    }
    rc = vault_make(&v, at(places[_i].vault), &err);
    ck_assert_msg(rc == places[_i].expect, "%s: %d, %s", places[_i].name, rc, err.text);
    if (rc == LQ_OK) {
        ck_assert_str_eq(lq_vault_dir(v), at(places[_i].vault));
        lq_vault_close(v);
        ck_assert_int_eq(lq_vault_open(&v, at(places[_i].vault), &err), LQ_OK);
        lq_vault_close(v);
    } else {
        ck_assert(!there(at("spool/jobs")));
        ck_assert_str_ne(err.text, "");
    }
}
END_TEST

/* below: a place in the spool; whether the server looks there. */
static const struct { const char *mta, *below; bool scanned; } rooms[] = {
    { "exim", "mqtools", false },       { "exim", "other/input", true },   { "exim", "other/msglog/x", true },
    { "exim", "mqtools/20261122T031415Z-a1b2", false },                    { "exim", "Finput", true },
    { "exim", "input", true },          { "exim", "inputs", false },       { "exim", "db", true },
    { "postfix", "mqtools", false },    { "postfix", "deferred/mqtools", true }, { "postfix", "saved", true },
    { "postfix", "deferreds", false },  { "postfix", "hold", true },
    { "sendmail", "mqtools", false },   { "sendmail", "quarantine", true }, { "sendmail", "q1/vault", true },
    { "sendmail", "qf", true },         { "sendmail", "df", true },        { "sendmail", "vault/quiet", true },
};

START_TEST(room)
{
    ck_assert_msg(queue_backend(rooms[_i].mta)->scans(rooms[_i].below) == rooms[_i].scanned, "%s %s", rooms[_i].mta, rooms[_i].below);
}
END_TEST

START_TEST(link_of_another)
{
    struct lq_error err;
    struct lq_vault *v;

    make_dirs(at("real"));
    ck_assert_int_eq(symlink(at("real"), at("own")), 0);
    ck_assert_int_eq(vault_make(&v, at("own"), &err), LQ_OK);
    lq_vault_close(v);
    if (geteuid() != 0)
        return;
    ck_assert_int_eq(symlink(at("real"), at("foreign")), 0);
    ck_assert_int_eq(lchown(at("foreign"), 4711, 4711), 0);
    ck_assert_int_eq(vault_make(&v, at("foreign"), &err), LQ_EREFUSED);
    make_dirs(at("real/deep"));
    ck_assert_int_eq(vault_make(&v, at("foreign/deep"), &err), LQ_EREFUSED);
    ck_assert_ptr_nonnull(strstr(err.text, "symbolic link of another user"));
}
END_TEST

START_TEST(not_a_vault)
{
    struct lq_error err;
    struct lq_vault *v;

    make_dirs(at("empty"));
    ck_assert_int_eq(lq_vault_open(&v, at("empty"), &err), LQ_ENOENT);
    ck_assert(!there(at("empty/jobs")));
    ck_assert_int_eq(lq_vault_open(&v, at("missing"), &err), LQ_ENOENT);
    ck_assert_int_eq(lq_vault_open(&v, "", &err), LQ_EINVAL);
}
END_TEST

/* Making it was interrupted after its first part; who only looks leaves it so. */
START_TEST(half_made)
{
    struct lq_error err;
    struct lq_vault *v;

    make_dirs(at("half/jobs"));
    ck_assert_int_eq(vault_look(&v, at("half"), &err), LQ_ENOENT);
    ck_assert(!there(at("half/ledger")));
    ck_assert_int_eq(lq_vault_open(&v, at("half"), &err), LQ_OK);
    ck_assert(there(at("half/ledger")));
    lq_vault_close(v);
    make_dirs(at("others/jobs"));
    make_dirs(at("others/letters"));
    ck_assert_int_eq(lq_vault_open(&v, at("others"), &err), LQ_ENOENT);
    ck_assert(!there(at("others/ledger")));
}
END_TEST

/* A queue on a mount of its own gets its vault beside it on the mount or, where that cannot be, inside. */
START_TEST(default_place)
{
    struct lq_error err = { 0 };
    struct lq_queue *q;
    char *place = NULL;

    if (geteuid() != 0)
        return;
    make_dirs(at("mount"));
    ck_assert_int_eq(mount("none", at("mount"), "tmpfs", 0, "size=1m,mode=755"), 0);
    make_exim_spool("mount/exim");
    q = open_queue("exim", at("mount/exim"));
    ck_assert_msg(lq_vault_default(&place, q, &err) == LQ_OK, "%s", err.text);
    ck_assert_str_eq(place, at("mount/mqtools"));
    free(place);
    /* Something else has the name beside it: then inside. */
    put(at("mount/mqtools"), "a file");
    ck_assert_int_eq(lq_vault_default(&place, q, &err), LQ_OK);
    ck_assert_str_eq(place, at("mount/exim/mqtools"));
    free(place);
    /* Where anybody may move the queue itself, no place is safe. */
    chmod(at("mount"), 0777);
    ck_assert_int_eq(lq_vault_default(&place, q, &err), LQ_EREFUSED);
    lq_queue_close(q);
    umount2(at("mount"), MNT_DETACH);

    ck_assert_int_eq(mount("none", at("mount"), "tmpfs", 0, "size=1m,mode=755"), 0);
    make_exim_spool("mount");
    q = open_queue("exim", at("mount"));
    ck_assert_int_eq(lq_vault_default(&place, q, &err), LQ_OK);
    ck_assert_str_eq(place, at("mount/mqtools"));
    free(place);
    lq_queue_close(q);
    umount2(at("mount"), MNT_DETACH);
}
END_TEST

/* Each server's queue, on a mount of its own and as a mount of its own; dirs: what makes it one. */
static const struct { const char *mta; const char *dirs[7]; } queues[] = {
    { "exim",     { "input", "msglog", "db" } },
    { "postfix",  { "incoming", "active", "deferred", "hold", "maildrop", "defer", "bounce" } },
    { "sendmail", { "q1", "q2" } },
    { "sendmail", { "qf", "df", "xf" } },
};

START_TEST(default_of_each)
{
    static const char *const spools[] = { "mount/queue", "mount" };
    struct lq_error err = { 0 };
    struct lq_queue *q;
    struct lq_vault *v;
    char *place, dir[200];

    if (geteuid() != 0)
        return;
    make_dirs(at("mount"));
    for (size_t k = 0; k < 2; k++) {
        ck_assert_int_eq(mount("none", at("mount"), "tmpfs", 0, "size=3m,mode=755"), 0);
        for (size_t i = 0; i < 7 && queues[_i].dirs[i]; i++) {
            snprintf(dir, sizeof(dir), "%s/%s", spools[k], queues[_i].dirs[i]);
            make_dirs(at(dir));
        }
        /* A queue directory of sendmail is known by what is in it. */
        if (strcmp(queues[_i].mta, "sendmail") == 0) {
            snprintf(dir, sizeof(dir), "%s/%s/qf5AM3Eg1x012345", spools[k], queues[_i].dirs[0]);
            put(at(dir), "V8\n.\n");
        }
        /* As it belongs to the server's own user, who may not write what the vault is in. */
        ck_assert_int_eq(chown(at(spools[k]), 4711, 4711), 0);
        q = open_queue(queues[_i].mta, at(spools[k]));
        ck_assert_msg(lq_vault_default(&place, q, &err) == LQ_OK, "%s: %s", queues[_i].mta, err.text);
        ck_assert_str_eq(place, at("mount/mqtools"));
        ck_assert_msg(vault_make(&v, place, &err) == LQ_OK, "%s", err.text);
        lq_vault_close(v);
        free(place);
        lq_queue_close(q);
        umount2(at("mount"), MNT_DETACH);
    }
}
END_TEST

/* --- the reserve --- */

START_TEST(reserve)
{
    struct lq_vault *v = make_vault("v");
    struct stat st;

    ck_assert_int_eq(stat(at("v/reserve"), &st), 0);
    ck_assert_int_ge(st.st_blocks * 512, 1 << 20);
    ck_assert(vault_use_reserve(v));
    ck_assert(!vault_use_reserve(v));
    /* The last of it is for who makes room. */
    ck_assert_int_eq(stat(at("v/reserve"), &st), 0);
    ck_assert_int_eq(st.st_size, 256 << 10);
    v->makes_room = true;
    ck_assert(vault_use_reserve(v));
    ck_assert(!vault_use_reserve(v));
    ck_assert_int_eq(stat(at("v/reserve"), &st), 0);
    ck_assert_int_eq(st.st_blocks, 0);
    lq_vault_close(v);
    /* The next job makes it anew. */
    v = make_vault("v");
    ck_assert(vault_use_reserve(v));
    lq_vault_close(v);
}
END_TEST

static void fill_disk(const char *path)
{
    static char block[4096];
    int fd = open(path, O_WRONLY | O_CREAT, 0600);

    while (write(fd, block, sizeof(block)) > 0)
        continue;
    close(fd);
}

static struct job *begin_job(struct lq_vault *v, const char *name, const struct lq_queue *q)
{
    struct job_intent intent = { .verb = "take", .why = "a \"reason\"\n", .command = "mqquarantine take", .queues = &q, .queue_count = q ? 1 : 0 };
    struct lq_error err = { 0 };
    struct job *j = NULL;

    ck_assert_msg(job_create(&j, v, name, &intent, &err) == LQ_OK, "%s", err.text);
    return j;
}

/* On a full disk a job begins, writes its lines and its result out of the reserve; without it nothing half is left. */
START_TEST(full_disk)
{
    struct lq_error err = { 0 };
    struct lq_vault *v;
    struct job *j;
    char line[4000];
    int error, lines = 0;

    if (geteuid() != 0)
        return;
    make_dirs(at("mount"));
    ck_assert_int_eq(mount("none", at("mount"), "tmpfs", 0, "size=2m,mode=755"), 0);
    v = make_vault("mount/v");
    fill_disk(at("mount/filler"));
    j = begin_job(v, NULL, NULL);
    memset(line, 'x', sizeof(line) - 1);
    line[sizeof(line) - 1] = '\0';
    line[0] = line[sizeof(line) - 2] = '"';
    while ((error = job_line(j, NULL, line)) == 0 && lines < 10000)
        lines++;
    ck_assert_int_eq(error, ENOSPC);
    ck_assert_int_gt(lines, 180);
    /* What is there are whole lines. */
    ck_assert_int_eq(truncate(at("mount/filler"), 0), 0);
    ck_assert_int_eq(job_line(j, NULL, "{\"a\":1}"), 0);
    ck_assert_int_eq(job_finish(j, "partly", &err), LQ_OK);
    lq_vault_close(v);
    umount2(at("mount"), MNT_DETACH);
}
END_TEST

/* --- jobs --- */

START_TEST(job_life)
{
    struct lq_error err;
    struct lq_vault *v = make_vault("v");
    struct lq_queue *q = open_queue("exim", make_exim_spool("spool"));
    struct job *j = begin_job(v, NULL, q);
    char name[JOB_NAME + 1], file[64];
    struct crashed *c;
    size_t n;
    bool alive;
    char *text;

    snprintf(name, sizeof(name), "%s", job_name(j));
    ck_assert(vault_job_name(name, strlen(name)));
    snprintf(file, sizeof(file), "v/jobs/%s.open", name);
    ck_assert(there(at(file)));
    ck_assert(vault_job_open(v, name, &alive));
    ck_assert(alive);
    ck_assert_int_eq(vault_crashed(v, NULL, &c, &n, &err), LQ_OK);
    ck_assert_uint_eq(n, 0);
    vault_crashed_free(c, n);
    ck_assert_int_eq(job_line(j, "1xUroU-1\nforged", "{\"id\":\"x\"}"), 0);
    ck_assert_int_eq(job_finish(j, "done", &err), LQ_OK);
    ck_assert(!there(at(file)));
    ck_assert(!vault_job_open(v, name, &alive));
    snprintf(file, sizeof(file), "v/jobs/%s.ndjson", name);
    text = slurp(at(file));
    ck_assert_ptr_nonnull(strstr(text, "\"verb\":\"take\",\"why\":\"a \\\"reason\\\"\\n\""));
    ck_assert_ptr_nonnull(strstr(text, "\"mta\":\"exim\""));
    ck_assert_ptr_nonnull(strstr(text, "{\"id\":\"x\"}\n{\"event\":\"result\",\"result\":\"done\""));
    lq_queue_close(q);
    lq_vault_close(v);
}
END_TEST

START_TEST(crashed_job)
{
    struct lq_error err;
    struct lq_vault *v = make_vault("v");
    struct lq_queue *q = open_queue("exim", make_exim_spool("spool"));
    struct crashed *c, *again;
    char real[512], *text;
    size_t n, m;
    pid_t child = fork();

    if (child == 0) {
        begin_job(v, "20261122T031415Z-a1b2", q);
        _exit(0);
    }
    waitpid(child, NULL, 0);
    ck_assert_int_eq(vault_crashed(v, "/another/spool", &c, &n, &err), LQ_OK);
    ck_assert_uint_eq(n, 0);
    vault_crashed_free(c, n);
    ck_assert_ptr_nonnull(realpath(at("spool"), real));
    ck_assert_int_eq(vault_crashed(v, real, &c, &n, &err), LQ_OK);
    ck_assert_uint_eq(n, 1);
    ck_assert_str_eq(c[0].name, "20261122T031415Z-a1b2");
    text = vault_crashed_text(&c[0], "verb");
    ck_assert_str_eq(text, "take");
    free(text);
    /* Locked now: nobody else recovers it. */
    ck_assert_int_eq(vault_crashed(v, NULL, &again, &m, &err), LQ_OK);
    ck_assert_uint_eq(m, 0);
    vault_crashed_free(again, m);
    ck_assert_int_eq(vault_crashed_finish(v, &c[0], &err), LQ_OK);
    vault_crashed_free(c, n);
    ck_assert_int_eq(vault_crashed(v, NULL, &c, &n, &err), LQ_OK);
    ck_assert_uint_eq(n, 0);
    vault_crashed_free(c, n);
    ck_assert_ptr_nonnull(strstr(slurp(at("v/jobs/20261122T031415Z-a1b2.ndjson")), "\"result\":\"recovered\""));
    lq_queue_close(q);
    lq_vault_close(v);
}
END_TEST

/* A damaged intent may be about any spool, and a missing file still is a job to recover. */
static const struct { const char *name, *intent; } damaged[] = {
    { "empty", "" }, { "not JSON", "garbage\n" }, { "no spools", "{\"verb\":\"take\"}\n" }, { "half a line", "{\"verb\":\"ta" }, { "missing", NULL },
};

START_TEST(damaged_job)
{
    struct lq_error err;
    struct lq_vault *v = make_vault("v");
    struct crashed *c;
    size_t n;

    put(at("v/jobs/20261122T031415Z-a1b2.open"), "");
    if (damaged[_i].intent)
        put(at("v/jobs/20261122T031415Z-a1b2.ndjson"), damaged[_i].intent);
    ck_assert_int_eq(vault_crashed(v, "/some/spool", &c, &n, &err), LQ_OK);
    ck_assert_uint_eq(n, 1);
    ck_assert_int_eq(vault_crashed_finish(v, &c[0], &err), LQ_OK);
    vault_crashed_free(c, n);
    lq_vault_close(v);
}
END_TEST

/* One job on two file systems has its file in both vaults. */
START_TEST(two_vaults)
{
    struct lq_error err;
    struct lq_vault *a = make_vault("a"), *b = make_vault("b");
    struct job *first = begin_job(a, NULL, NULL), *second = begin_job(b, job_name(first), NULL), *third;
    struct job_intent intent = { .verb = "take" };

    ck_assert_str_eq(job_name(first), job_name(second));
    ck_assert_int_eq(job_create(&third, b, job_name(first), &intent, &err), LQ_EIO);
    ck_assert_int_eq(job_finish(first, "done", &err), LQ_OK);
    ck_assert_int_eq(job_finish(second, NULL, &err), LQ_OK);
    lq_vault_close(a);
    lq_vault_close(b);
}
END_TEST

/* --- ledger --- */

START_TEST(ledger)
{
    struct lq_error err;
    struct lq_vault *v = make_vault("v");
    struct ledger *l, *other;
    FILE *f;

    ck_assert_int_eq(ledger_look(&l, v, "CASE", &err), LQ_OK);
    ck_assert_uint_eq(ledger_count(l), 0);
    ledger_close(l);
    ck_assert(!there(at("v/ledger/CASE.ndjson")));
    ck_assert_int_eq(ledger_open(&l, v, "CASE", &err), LQ_OK);
    ck_assert_int_eq(ledger_open(&other, v, "CASE", &err), LQ_EREFUSED);
    ck_assert_int_eq(ledger_add(l, "0-exim/input/x/a\xff%\n-H", ID1, NULL, "JOB", false), 0);
    ck_assert_int_eq(ledger_add(l, "0-exim/input/x/b-H", ID2, ID3, "JOB", true), 0);
    ck_assert_int_eq(ledger_sync(l), 0);
    ledger_close(l);
    /* Half a line was never synced. */
    f = fopen(at("v/ledger/CASE.ndjson"), "a");
    fputs("{\"key\":\"0-exim/in", f);
    fclose(f);
    ck_assert_int_eq(ledger_open(&l, v, "CASE", &err), LQ_OK);
    ck_assert_uint_eq(ledger_count(l), 2);
    ck_assert(ledger_has(l, "0-exim/input/x/a\xff%\n-H"));
    ck_assert(!ledger_has(l, "0-exim/input/x/a\xfe%\n-H"));
    ck_assert(ledger_has_id(l, ID2, strlen(ID2)));
    ck_assert(ledger_copied(l, "0-exim/input/x/b-H"));
    ck_assert(!ledger_copied(l, "0-exim/input/x/a\xff%\n-H"));
    ck_assert_int_eq(ledger_cancel(l, "0-exim/input/x/b-H"), 0);
    ck_assert(!ledger_has_id(l, ID2, strlen(ID2)));
    ck_assert(!ledger_copied(l, "0-exim/input/x/b-H"));
    ledger_close(l);
    ck_assert_int_eq(ledger_look(&l, v, "CASE", &err), LQ_OK);
    ck_assert_uint_eq(ledger_count(l), 1);
    ck_assert(!ledger_has(l, "0-exim/input/x/b-H"));
    ledger_close(l);
    lq_vault_close(v);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("vault");
    TCase *c = tcase_create("vault");

    tcase_add_checked_fixture(c, make_top, remove_top);
    tcase_add_loop_test(c, placed, 0, sizeof(places) / sizeof(*places));
    tcase_add_loop_test(c, room, 0, sizeof(rooms) / sizeof(*rooms));
    tcase_add_test(c, link_of_another);
    tcase_add_test(c, not_a_vault);
    tcase_add_test(c, half_made);
    tcase_add_test(c, default_place);
    tcase_add_loop_test(c, default_of_each, 0, sizeof(queues) / sizeof(*queues));
    tcase_add_test(c, reserve);
    tcase_add_test(c, full_disk);
    tcase_add_test(c, job_life);
    tcase_add_test(c, crashed_job);
    tcase_add_loop_test(c, damaged_job, 0, sizeof(damaged) / sizeof(*damaged));
    tcase_add_test(c, two_vaults);
    tcase_add_test(c, ledger);
    suite_add_tcase(s, c);
    return s;
}

int main(void)
{
    SRunner *r = srunner_create(suite());
    int failed;

    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? 1 : 0;
}
