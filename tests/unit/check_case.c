/* Cases: making and opening them, the chained journal, sealing and verifying, dropping and expiring. */
#include "vault_help.h"

#include <errno.h>
#include <time.h>

#include "bag.h"

static const char name1[] = "20261122T031415Z-a1b2";

static struct job_intent take(const struct lq_queue *const *q)
{
    return (struct job_intent){ .verb = "take", .why = "flood,\nticket 7", .command = "mqquarantine -p 203.0.113.9", .queues = q, .queue_count = 1 };
}

/* Move what is in the spool's input into the case's data, as the engine does. */
static void fill(const char *spool, const char *dir)
{
    char from[512], to[512], command[1200];

    snprintf(from, sizeof(from), "%s/%s/input", top, spool);
    snprintf(to, sizeof(to), "%s/%s", top, dir);
    snprintf(command, sizeof(command), "mv '%s' '%s'", from, to);
    ck_assert_int_eq(system(command), 0);
}

/* A case `name` in vault v that holds the messages of a new spool. */
static struct lq_case *make_case(struct lq_vault *v, const char *name, const char *vault, enum lq_custody custody)
{
    struct lq_queue *q = open_queue("exim", make_exim_spool("spool"));
    struct job_intent intent = take((const struct lq_queue *const *)&q);
    struct lq_error err = { 0 };
    struct lq_case *c = NULL;
    char dir[200];
    size_t i;

    ck_assert_msg(case_create(&c, v, name, custody, &intent, &err) == LQ_OK, "%s", err.text);
    ck_assert_msg(case_add_spool(c, q, getuid(), getgid(), &i, &err) == LQ_OK, "%s", err.text);
    ck_assert_uint_eq(i, 0);
    snprintf(dir, sizeof(dir), "%s/%s/data/0-exim", vault, name);
    fill("spool", dir);
    lq_queue_close(q);
    return c;
}

static struct lq_case *sealed_case(struct lq_vault *v)
{
    struct lq_case *c = make_case(v, name1, "v", LQ_MOVED);
    struct lq_error err = { 0 };

    ck_assert_msg(case_seal(c, &err) == LQ_OK, "%s", err.text);
    return c;
}

static struct lq_case *open_case(struct lq_vault *v, const char *name)
{
    struct lq_error err = { 0 };
    struct lq_case *c = NULL;

    ck_assert_msg(lq_case_open(&c, v, name, &err) == LQ_OK, "%s", err.text);
    return c;
}

/* --- opening --- */

START_TEST(open_unsealed)
{
    struct lq_error err;
    struct lq_vault *v = make_vault("v");
    struct lq_case *c;
    const struct lq_case_info *i;

    lq_case_close(make_case(v, name1, "v", LQ_MOVED));
    c = open_case(v, name1);
    i = lq_case_info(c);
    ck_assert_str_eq(i->name, name1);
    ck_assert_str_eq(i->path, at("v/20261122T031415Z-a1b2"));
    ck_assert_int_eq(i->custody, LQ_MOVED);
    ck_assert(!i->sealed && !i->packed && !i->unfinished);
    ck_assert_str_eq(i->why, "flood, ticket 7");
    ck_assert_str_eq(i->verb, "take");
    ck_assert_uint_eq(i->messages, 3);
    ck_assert_uint_eq(i->spools, 1);
    ck_assert_uint_gt(i->bytes, 100);
    ck_assert_int_gt((long)i->created, 1600000000);
    lq_case_close(c);
    ck_assert_int_eq(lq_case_open(&c, v, "20261122T031415Z-a1b3", &err), LQ_ENOENT);
    ck_assert_int_eq(lq_case_open(&c, v, "../v", &err), LQ_EINVAL);
    ck_assert_int_eq(lq_case_open(&c, v, "jobs", &err), LQ_EINVAL);
    lq_vault_close(v);
}
END_TEST

/* Records say where the messages came from. */
START_TEST(original_place)
{
    struct lq_error err;
    struct lq_vault *v = make_vault("v");
    struct lq_case *c = sealed_case(v);
    struct lq_scan_opts opts = { .size = sizeof(opts), .fields = LQ_FIELDS_ALL };
    const struct lq_record *rec;
    struct lq_queue *q;
    struct lq_scan *scan;
    unsigned n = 0;

    ck_assert_int_eq(lq_case_queue(&q, c, 1, &err), LQ_EINVAL);
    ck_assert_int_eq(lq_case_queue(&q, c, 0, &err), LQ_OK);
    ck_assert_ptr_eq(q->in_case, c);
    ck_assert_str_eq(lq_queue_dir(q), at("v/20261122T031415Z-a1b2/data/0-exim"));
    ck_assert_int_eq(lq_scan_begin(&scan, q, &opts, &err), LQ_OK);
    for (; lq_scan_next(scan, &rec, &err) == LQ_OK; n++) {
        ck_assert_str_eq(lq_record_text(rec, LQ_SPOOL).p, at("spool"));
        ck_assert_str_eq(lq_record_text(rec, LQ_HOST).p, "mx.example.com");
        ck_assert_str_eq(lq_record_text(rec, LQ_SENDER).p, "sender@example.com");
    }
    ck_assert_uint_eq(n, 3);
    lq_scan_end(scan);
    lq_case_close(c);
    lq_vault_close(v);
}
END_TEST

/* By its path, in a vault or anywhere, with or without a slash. */
START_TEST(open_by_path)
{
    struct lq_error err;
    struct lq_vault *v = make_vault("v");
    struct lq_case *c;
    char path[512];

    lq_case_close(sealed_case(v));
    lq_vault_close(v);
    snprintf(path, sizeof(path), "%s/", at("v/20261122T031415Z-a1b2"));
    c = open_case(NULL, path);
    ck_assert_ptr_nonnull(c->vault);
    ck_assert(lq_case_info(c)->sealed);
    lq_case_close(c);
    ck_assert_int_eq(rename(at("v/20261122T031415Z-a1b2"), at("copied")), 0);
    c = open_case(NULL, at("copied"));
    ck_assert_ptr_null(c->vault);
    ck_assert_str_eq(lq_case_info(c)->name, "copied");
    ck_assert_uint_eq(lq_case_info(c)->messages, 3);
    ck_assert_int_eq(lq_case_drop(c, "why", "command", &err), LQ_EREFUSED);
    lq_case_close(c);
    ck_assert_int_eq(lq_case_open(&c, NULL, at("none"), &err), LQ_ENOENT);
    ck_assert_int_eq(lq_case_open(&c, NULL, at("v"), &err), LQ_EDAMAGED);
    ck_assert_int_eq(lq_case_open(&c, NULL, "/", &err), LQ_ENOENT);
}
END_TEST

START_TEST(unfinished)
{
    struct lq_error err;
    struct lq_vault *v = make_vault("v");
    struct lq_case *c = make_case(v, name1, "v", LQ_MOVED);
    struct job_intent intent = { .verb = "take" };
    struct job *j;

    lq_case_close(c);
    ck_assert_int_eq(job_create(&j, v, "20261122T031415Z-ffff", &intent, &err), LQ_OK);
    ck_assert_int_eq(job_finish(j, NULL, &err), LQ_OK);     /* of another case */
    c = open_case(v, name1);
    ck_assert(!lq_case_info(c)->unfinished);
    lq_case_close(c);
    intent.case_name = name1;
    ck_assert_int_eq(job_create(&j, v, "20261122T031415Z-fffe", &intent, &err), LQ_OK);
    c = open_case(v, name1);
    ck_assert(!lq_case_info(c)->unfinished);                /* it lives */
    lq_case_close(c);
    ck_assert_int_eq(job_finish(j, NULL, &err), LQ_OK);
    c = open_case(v, name1);
    ck_assert(lq_case_info(c)->unfinished);
    ck_assert_int_eq(lq_case_seal(c, &err), LQ_EREFUSED);
    ck_assert_int_eq(lq_case_drop(c, "why", "command", &err), LQ_EREFUSED);
    ck_assert_ptr_nonnull(strstr(err.text, "recover"));
    lq_case_close(c);
    lq_vault_close(v);
}
END_TEST

/* A case whose making was cut off holds nothing and can be opened and dropped. */
START_TEST(cut_off)
{
    static const char *const gone[] = { "bag-info.txt", "journal.ndjson", "data/0-exim", "data", "spools.ndjson", "bagit.txt", "INCOMPLETE" };
    struct lq_error err = { 0 };
    struct lq_vault *v = make_vault("v");
    struct lq_case *c = make_case(v, name1, "v", LQ_MOVED);
    char path[200], command[600];

    lq_case_close(c);
    for (int i = 0; i <= _i; i++) {
        snprintf(path, sizeof(path), "v/%s/%s", name1, gone[i]);
        snprintf(command, sizeof(command), "rm -rf '%s'", at(path));
        ck_assert_int_eq(system(command), 0);
    }
    if (_i < 4 && lq_case_open(&c, v, name1, &err) != LQ_OK) {
        ck_assert_int_eq(err.status, LQ_EDAMAGED);
        lq_vault_close(v);
        return;
    }
    c = open_case(v, name1);
    ck_assert(!lq_case_info(c)->sealed);
    ck_assert_msg(lq_case_drop(c, "why", "command", &err) == LQ_OK, "%s", err.text);
    lq_case_close(c);
    ck_assert(!there(at("v/20261122T031415Z-a1b2")));
    lq_vault_close(v);
}
END_TEST

/* --- journal --- */

START_TEST(journal_resumes)
{
    struct lq_error err;
    struct lq_vault *v = make_vault("v");
    struct lq_case *c = make_case(v, name1, "v", LQ_MOVED), *other;
    FILE *f;
    char *text;

    other = open_case(v, name1);
    ck_assert_int_eq(case_journal(other, "event", NULL, &err), LQ_EREFUSED);
    lq_case_close(c);
    f = fopen(at("v/20261122T031415Z-a1b2/journal.ndjson"), "a");
    fputs("{\"seq\":1,\"ti", f);
    fclose(f);
    ck_assert_int_eq(case_journal(other, "restore", "\"messages\":3", &err), LQ_OK);
    ck_assert_uint_eq(other->journal_lines, 2);
    text = slurp(at("v/20261122T031415Z-a1b2/journal.ndjson"));
    ck_assert_ptr_nonnull(strstr(text, "{\"seq\":0,"));
    ck_assert_ptr_nonnull(strstr(text, "{\"seq\":1,\"time\":\""));
    ck_assert_ptr_nonnull(strstr(text, "\"event\":\"restore\",\"messages\":3,\"prev\":\""));
    ck_assert_ptr_null(strstr(text, "\"ti{"));
    lq_case_close(other);
    lq_vault_close(v);
}
END_TEST

/* --- sealing --- */

static int run(const char *format, const char *name)
{
    char command[1200];

    snprintf(command, sizeof(command), format, name);
    return system(command);
}

START_TEST(plain_sha256sum)
{
    struct lq_error err;
    struct lq_vault *v = make_vault("v");
    struct lq_case *c = make_case(v, name1, "v", LQ_MOVED);

    put(at("v/20261122T031415Z-a1b2/data/0-exim/odd \\ na\nme\r"), "one");
    put(at("v/20261122T031415Z-a1b2/data/0-exim/end\r"), "two");
    put(at("v/20261122T031415Z-a1b2/data/0-exim/%0A"), "three");
    put(at("v/20261122T031415Z-a1b2/data/0-exim/ blank "), "four");
    put(at("v/20261122T031415Z-a1b2/data/0-exim/caf\xe9"), "five");
    ck_assert_int_eq(case_seal(c, &err), LQ_OK);
    ck_assert(!there(at("v/20261122T031415Z-a1b2/INCOMPLETE")));
    ck_assert_int_eq(run("cd '%s' && sha256sum --strict -c manifest-sha256.txt >/dev/null", at("v/20261122T031415Z-a1b2")), 0);
    ck_assert_int_eq(run("cd '%s' && sha256sum --strict -c tagmanifest-sha256.txt >/dev/null", at("v/20261122T031415Z-a1b2")), 0);
    ck_assert_int_eq(run("cd '%s' && test $(wc -l <records.ndjson) = 3", at("v/20261122T031415Z-a1b2")), 0);
    ck_assert_int_eq(run("cd '%s' && ! grep -q journal tagmanifest-sha256.txt", at("v/20261122T031415Z-a1b2")), 0);
    ck_assert_int_eq(run("cd '%s' && grep -q '^Payload-Oxum: [0-9]*\\.11$' bag-info.txt", at("v/20261122T031415Z-a1b2")), 0);
    ck_assert_int_eq(lq_case_seal(c, &err), LQ_EREFUSED);
    lq_case_close(c);
    c = open_case(v, name1);
    ck_assert(lq_case_info(c)->sealed);
    ck_assert_uint_eq(lq_case_info(c)->messages, 3);
    lq_case_close(c);
    lq_vault_close(v);
}
END_TEST

/* --- verifying --- */

#define CASE "20261122T031415Z-a1b2"

/* command: in the case's directory; what must be found (NULL: nothing). Each breaks one thing. */
static const struct { const char *name, *command, *expect; } breaks[] = {
    { "nothing",              "true", NULL },
    { "a changed byte",       "printf X | dd of=data/0-exim/input/" ID1 "-D bs=1 seek=30 conv=notrunc 2>/dev/null", "data/0-exim/input/" ID1 "-D: changed\n" },
    { "a longer file",        "echo >>data/0-exim/input/" ID1 "-D", "-D: changed\nbag-info.txt: Payload-Oxum is" },
    { "a missing file",       "rm data/0-exim/input/" ID2 "-H", "data/0-exim/input/" ID2 "-H: missing\n" },
    { "a file too many",      "touch data/0-exim/input/extra", "data/0-exim/input/extra: is in no manifest\n" },
    { "one in a new folder",  "mkdir data/more && touch data/more/extra", "data/more/extra: is in no manifest\n" },
    { "one at the top",       "touch note", "note: is in no manifest\n" },
    { "a symlink instead",    "mv data/0-exim/input/" ID1 "-D x && ln -s ../../../x data/0-exim/input/" ID1 "-D", "-D: not a regular file" },
    { "other records",        "sed -i 1d records.ndjson", "records.ndjson: changed\n" },
    { "another manifest",     "sed -i 1d manifest-sha256.txt", "manifest-sha256.txt: changed\n" },
    { "no manifest",          "rm manifest-sha256.txt", "manifest-sha256.txt: missing\n" },
    { "half a line in it",    "echo 1234 >>manifest-sha256.txt", "manifest-sha256.txt: line 7 is not readable\n" },
    { "a line that leads out", "head -1 manifest-sha256.txt | sed s,data/.*,../../etc/passwd, >>manifest-sha256.txt", "line 7 names a file elsewhere" },
    { "a line twice",         "head -1 manifest-sha256.txt >x && cat x >>manifest-sha256.txt && rm x", "manifest-sha256.txt: two lines for data/" },
    { "lines without end",    "yes \"$(head -1 manifest-sha256.txt)\" | head -n 5000 >>manifest-sha256.txt",
      "manifest-sha256.txt: has many more lines than the files that bag-info.txt counts" },
    { "no tag manifest",      "rm tagmanifest-sha256.txt", "tagmanifest-sha256.txt: missing\n" },
    { "another custody",      "sed -i s/moved/copy/ bag-info.txt", "bag-info.txt: changed\n" },
    { "another why in the journal", "sed -i 1s/flood/fl00d/ journal.ndjson", "journal.ndjson: the chain breaks before line 2\n" },
    { "its last line changed", "sed -i '$s/messages.:3/messages\":2/' journal.ndjson", "journal.ndjson: line 2 is not the one that was there when the case was sealed" },
    { "no journal's hash",    "sed -i /^Mqtools-Journal/d bag-info.txt", "bag-info.txt: no Mqtools-Journal: how the journal was when the case was sealed is not known" },
    { "its last line gone",   "sed -i '$d' journal.ndjson", "journal.ndjson: has 1 lines; when the case was sealed it had 2" },
    { "no journal",           "rm journal.ndjson", "journal.ndjson: has 0 lines" },
    { "half a line at its end", "printf '{' >>journal.ndjson", "journal.ndjson: ends in half a line" },
    { "sealing not at its end", "touch INCOMPLETE", NULL },
};

static int verify(struct lq_case *c)
{
    struct lq_error err = { 0 };

    findings[0] = '\0';
    return lq_case_verify(c, find_out, NULL, &err);
}

START_TEST(verifies)
{
    struct lq_vault *v = make_vault("v");
    struct lq_case *c = sealed_case(v);
    char command[1024];
    int rc;

    lq_case_close(c);
    snprintf(command, sizeof(command), "cd '%s' && %s", at("v/" CASE), breaks[_i].command);
    ck_assert_int_eq(system(command), 0);
    c = open_case(v, name1);
    rc = verify(c);
    if (_i == 0) {
        ck_assert_str_eq(findings, "");
        ck_assert_int_eq(rc, LQ_OK);
    } else if (breaks[_i].expect) {
        ck_assert_msg(strstr(findings, breaks[_i].expect), "%s: %s", breaks[_i].name, findings);
        ck_assert_int_eq(rc, LQ_EDAMAGED);
    } else {
        ck_assert_int_eq(rc, LQ_EREFUSED);      /* not sealed */
    }
    lq_case_close(c);
    lq_vault_close(v);
}
END_TEST

/* What went back is not missing; what did not is. */
START_TEST(verifies_restored)
{
    struct lq_error err;
    struct lq_vault *v = make_vault("v");
    struct lq_case *c = sealed_case(v);
    struct ledger *l;

    ck_assert_int_eq(ledger_open(&l, v, name1, &err), LQ_OK);
    ck_assert_int_eq(ledger_add(l, "0-exim/input/" ID1 "-H", ID1, NULL, "JOB", false), 0);
    ledger_close(l);
    ck_assert_int_eq(verify(c), LQ_OK);         /* still there, or not yet removed */
    ck_assert_int_eq(run("rm '%s'/data/0-exim/input/" ID1 "-?", at("v/" CASE)), 0);
    ck_assert_int_eq(verify(c), LQ_OK);
    ck_assert_int_eq(case_journal(c, "restored", "\"messages\":1", &err), LQ_OK);
    ck_assert_int_eq(verify(c), LQ_OK);
    ck_assert_int_eq(run("rm '%s'/data/0-exim/input/" ID2 "-D", at("v/" CASE)), 0);
    ck_assert_int_eq(verify(c), LQ_EDAMAGED);
    ck_assert_str_eq(findings, "data/0-exim/input/" ID2 "-D: missing\n");
    lq_case_close(c);
    c = open_case(v, name1);
    ck_assert_uint_eq(lq_case_info(c)->restored, 1);
    lq_case_close(c);
    lq_vault_close(v);
}
END_TEST

/* --- dropping --- */

START_TEST(drop)
{
    struct lq_error err;
    struct lq_vault *v = make_vault("v");
    struct lq_case *c = sealed_case(v);
    char **names;
    size_t n;

    lq_case_close(c);
    c = open_case(v, name1);
    ck_assert_int_eq(lq_case_drop(c, "no longer needed", "mqquarantine drop", &err), LQ_OK);
    lq_case_close(c);
    ck_assert_int_eq(lq_vault_cases(v, &names, &n, &err), LQ_OK);
    ck_assert_uint_eq(n, 0);
    lq_names_free(names, n);
    ck_assert_int_eq(run("grep -q '\"event\":\"drop\",\"case\":\"20261122T031415Z-a1b2\"' '%s'/jobs/*.ndjson", at("v")), 0);
    ck_assert_int_eq(run("grep -q 'no longer needed' '%s'/jobs/*.ndjson", at("v")), 0);
    ck_assert_int_eq(run("! ls '%s' | grep -q gone", at("v")), 0);
    lq_vault_close(v);
}
END_TEST

/* Only undo cases that are old enough go. */
START_TEST(expire)
{
    struct lq_error err;
    struct lq_vault *v = make_vault("v");
    struct lq_case *c;
    char **names;
    size_t n;

    lq_case_close(make_case(v, "20260101T000000Z-0001", "v", LQ_PURGED));
    lq_case_close(make_case(v, "20260101T000000Z-0002", "v", LQ_MOVED));
    lq_case_close(make_case(v, "20260101T000000Z-0003", "v", LQ_COPY));
    c = make_case(v, "20260101T000000Z-0004", "v", LQ_PURGED);      /* its journal is in use */
    findings[0] = '\0';
    ck_assert_int_eq(lq_vault_expire(v, time(NULL) - 1000, false, find_out, NULL, &err), LQ_OK);
    ck_assert_str_eq(findings, "");
    ck_assert_int_eq(lq_vault_expire(v, time(NULL) + 1000, true, find_out, NULL, &err), LQ_OK);
    ck_assert_ptr_nonnull(strstr(findings, "20260101T000000Z-0001: undo case of 3 messages"));
    ck_assert_ptr_nonnull(strstr(findings, "would be deleted"));
    ck_assert(there(at("v/20260101T000000Z-0001")));
    findings[0] = '\0';
    ck_assert_int_eq(lq_vault_expire(v, time(NULL) + 1000, false, find_out, NULL, &err), LQ_OK);
    ck_assert_ptr_nonnull(strstr(findings, "20260101T000000Z-0004 is left"));
    lq_case_close(c);
    ck_assert_int_eq(lq_vault_cases(v, &names, &n, &err), LQ_OK);
    ck_assert_uint_eq(n, 3);
    ck_assert_str_eq(names[0], "20260101T000000Z-0002");
    ck_assert_str_eq(names[2], "20260101T000000Z-0004");
    lq_names_free(names, n);
    lq_vault_close(v);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("case");
    TCase *c = tcase_create("case");

    tcase_add_checked_fixture(c, make_top, remove_top);
    tcase_add_test(c, open_unsealed);
    tcase_add_test(c, original_place);
    tcase_add_test(c, open_by_path);
    tcase_add_test(c, unfinished);
    tcase_add_loop_test(c, cut_off, 0, 7);
    tcase_add_test(c, journal_resumes);
    tcase_add_test(c, plain_sha256sum);
    tcase_add_loop_test(c, verifies, 0, sizeof(breaks) / sizeof(*breaks));
    tcase_add_test(c, verifies_restored);
    tcase_add_test(c, drop);
    tcase_add_test(c, expire);
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
