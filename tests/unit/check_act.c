/*
 * Jobs on small spools of all three servers, made here: taken, put back, held, released, deleted, on one file system and across two,
 * dry and in earnest, and messages that change between their selection and the act.
 */
#include "vault_help.h"

#include "act.h"

#include <sys/file.h>
#include <utime.h>

enum mta { EXIM, POSTFIX, SENDMAIL, MTAS };
enum { MESSAGES = 5 };

static const char *const mta_names[] = { "exim", "postfix", "sendmail" };

static char spool_path[600], vault_path[600], other_top[64];

/* --- calls that change something, counted: the process ends just before one of them, or just after it --- */

#include <sys/syscall.h>

static long calls_left = -1;

static void tick(void)
{
    if (calls_left >= 0 && calls_left-- == 0)
        _exit(99);
}

int renameat2(int from, const char *a, int to, const char *b, unsigned flags)
{
    int rc;

    tick();
    rc = (int)syscall(SYS_renameat2, from, a, to, b, flags);
    tick();
    return rc;
}

int linkat(int from, const char *a, int to, const char *b, int flags)
{
    int rc;

    tick();
    rc = (int)syscall(SYS_linkat, from, a, to, b, flags);
    tick();
    return rc;
}

int unlinkat(int dir, const char *name, int flags)
{
    int rc;

    tick();
    rc = (int)syscall(SYS_unlinkat, dir, name, flags);
    tick();
    return rc;
}

int fsync(int fd)
{
    tick();
    return (int)syscall(SYS_fsync, fd);
}

/* --- spools --- */

static void put_bytes(const char *path, const void *p, size_t n, mode_t mode)
{
    FILE *f;

    put(path, "");
    f = fopen(path, "w");
    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(fwrite(p, 1, n, f), n);
    fclose(f);
    ck_assert_int_eq(chmod(path, mode), 0);
}

static void put_exim_message(const char *input, const char *id)
{
    char path[900], text[1024];

    snprintf(path, sizeof(path), "%s/%s-H", input, id);
    snprintf(text, sizeof(text),
             "%s-H\nmail 8 8\n<sender@example.com>\n1795303390 0\n-received_time_usec .038558\n-host_address [203.0.113.9]:4711\n"
             "-body_linecount 1\n-max_received_linelength 70\nXX\n1\nrcpt@example.net\n\n"
             "025F From: sender@example.com\n015  Subject: hello\n", id);
    put_bytes(path, text, strlen(text), 0640);
    snprintf(path, sizeof(path), "%s/%s-D", input, id);
    snprintf(text, sizeof(text), "%s-D\nbody of a message\n", id);
    put_bytes(path, text, strlen(text), 0640);
}

static void make_exim(unsigned n)
{
    char input[700], path[800], id[32];

    snprintf(input, sizeof(input), "%s/input", spool_path);
    for (unsigned i = 0; i < n; i++) {
        snprintf(id, sizeof(id), "1xUroU-0000000000%u-000%u", i % 10, i % 10);
        put_exim_message(input, id);
        snprintf(path, sizeof(path), "%s/msglog/%s", spool_path, id);
        put(path, "2026-11-22 03:14:15 Received from sender@example.com\n");
    }
    snprintf(path, sizeof(path), "%s/input/1xUroU-00000000001-0001-J", spool_path);
    put(path, "done@example.net\n");
    snprintf(path, sizeof(path), "%s/db", spool_path);
    make_dirs(path);
}

/* One record of a Postfix queue file, shorter than 128 bytes. */
static size_t record(char *out, char type, const char *text)
{
    size_t n = strlen(text);

    out[0] = type;
    out[1] = (char)n;
    memcpy(out + 2, text, n);
    return n + 2;
}

static size_t postfix_message(char *out, unsigned i)
{
    char text[100], sender[60];
    size_t n = 97, data, end;

    n += record(out + n, 'T', "1795303390 38558");
    n += record(out + n, 'A', "create_time=1795303390");
    snprintf(sender, sizeof(sender), "sender%u@example.com", i);
    n += record(out + n, 'S', sender);
    n += record(out + n, 'O', "rcpt@example.net");
    n += record(out + n, 'R', "rcpt@example.net");
    n += record(out + n, 'M', "");
    data = n;
    n += record(out + n, 'N', "Subject: hello");
    n += record(out + n, 'N', "");
    n += record(out + n, 'N', "body");
    end = n;
    n += record(out + n, 'X', "");
    n += record(out + n, 'E', "");
    snprintf(text, sizeof(text), "%15zu %15zu %15d %15d %15zu %15d", end - data, data, 1, 0, end - data, 0);
    ck_assert_uint_eq(record(out, 'C', text), 97);
    return n;
}

/* Long ids: a short one holds the inode. */
static void postfix_id(unsigned i, char id[64])
{
    snprintf(id, 64, "4jX48y4yn%uz1blN%u", i, i);
}

static void make_postfix(unsigned n)
{
    static const char *const dirs[] = { "incoming", "active", "deferred", "hold", "corrupt", "maildrop", "defer", "bounce", "trace", "flush", "pid",
                                        "private", "public" };
    char path[800], bytes[2000], id[64];

    for (size_t i = 0; i < sizeof(dirs) / sizeof(*dirs); i++) {
        snprintf(path, sizeof(path), "%s/%s", spool_path, dirs[i]);
        make_dirs(path);
        chmod(path, 0700);
    }
    for (unsigned i = 0; i < n; i++) {
        postfix_id(i, id);
        snprintf(path, sizeof(path), "%s/%s/%s", spool_path, i % 2 ? "incoming" : "deferred/A", id);
        put_bytes(path, bytes, postfix_message(bytes, i), 0700);
        if (i % 2)
            continue;
        snprintf(path, sizeof(path), "%s/defer/A/%s", spool_path, id);
        put_bytes(path, "\n<rcpt@example.net>: later\n\n", 29, 0600);
    }
}

static void make_sendmail(unsigned n)
{
    char path[800], text[1000];

    for (unsigned i = 0; i < n; i++) {
        snprintf(path, sizeof(path), "%s/qfwAM3EFab00%04u", spool_path, i);
        snprintf(text, sizeof(text),
                 "V8\nT1795303390\nK0\nN0\nP30000\nFs\n$_localhost [127.0.0.1]\n$rESMTP\n$sapp.example.com\n${daemon_flags}\nS<sender%u@example.com>\n"
                 "rRFC822; rcpt@example.net\nRPFD:<rcpt@example.net>\nH?P?Return-Path: <\x81g>\nH??Subject: hello\n.\n", i);
        put_bytes(path, text, strlen(text), 0600);
        snprintf(path, sizeof(path), "%s/dfwAM3EFab00%04u", spool_path, i);
        put_bytes(path, "body\n", 5, 0600);
    }
}

static int age_file(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    struct timespec then[2] = { { 1795303000, 123456789 }, { 1795303000, 123456789 } };

    (void)st, (void)type, (void)ftw;
    return utimensat(AT_FDCWD, path, then, AT_SYMLINK_NOFOLLOW);
}

static void make_spool_below(enum mta mta, unsigned n, const char *where)
{
    static void (*const make[])(unsigned) = { make_exim, make_postfix, make_sendmail };

    snprintf(top, sizeof(top), "%s/mqtools-act-XXXXXX", where);
    ck_assert_ptr_nonnull(mkdtemp(top));
    snprintf(spool_path, sizeof(spool_path), "%s/spool", top);
    snprintf(vault_path, sizeof(vault_path), "%s/vault", top);
    make_dirs(spool_path);
    make[mta](n);
    nftw(spool_path, age_file, 16, FTW_PHYS);
}

static void make_spool(enum mta mta, unsigned n)
{
    make_spool_below(mta, n, "/tmp");
}

/* The vault goes to another file system. */
static void vault_elsewhere(const char *where)
{
    struct stat here, there_st;

    snprintf(other_top, sizeof(other_top), "%s/mqtools-act-XXXXXX", where);
    ck_assert_ptr_nonnull(mkdtemp(other_top));
    ck_assert(stat(top, &here) == 0 && stat(other_top, &there_st) == 0);
    ck_assert_msg(here.st_dev != there_st.st_dev, "/tmp and /dev/shm are one file system: this test needs two");
    snprintf(vault_path, sizeof(vault_path), "%s/vault", other_top);
}

static void clean(void)
{
    remove_top();
    if (*other_top)
        nftw(other_top, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    other_top[0] = '\0';
}

/* --- what is there: names, modes, times, content --- */

static char *picture;
static size_t picture_at;

static int draw(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)ftw;
    if (type == FTW_D)
        return 0;
    picture = realloc(picture, picture_at + strlen(path) + 1200 + (size_t)st->st_size * 2);
    picture_at += (size_t)sprintf(picture + picture_at, "%s mode %o nlink %lu mtime %ld.%09ld\n", path + strlen(spool_path), st->st_mode,
                                  (unsigned long)st->st_nlink, (long)st->st_mtim.tv_sec, st->st_mtim.tv_nsec);
    if (S_ISREG(st->st_mode)) {
        FILE *f = fopen(path, "r");
        int c;

        while ((c = getc(f)) != EOF)
            picture_at += (size_t)sprintf(picture + picture_at, c >= ' ' && c < 0x7f ? "%c" : "%%%02x", c);
        fclose(f);
        picture_at += (size_t)sprintf(picture + picture_at, "\n");
    }
    return 0;
}

static int by_line(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Of a directory, in order of names; the caller's. */
static char *draw_tree(const char *path)
{
    char *lines[4000], *sorted;
    size_t n = 0, at_byte = 0;

    picture = NULL;
    picture_at = 0;
    ck_assert_int_eq(nftw(path, draw, 16, FTW_PHYS), 0);
    if (!picture)
        return strdup("");
    for (char *p = picture; *p; n++) {
        char *end = strchr(strchr(p, '\n') + 1, '\n');

        ck_assert_ptr_nonnull(end);
        lines[n] = p;
        *end = '\0';
        p = end + 1;
    }
    qsort(lines, n, sizeof(*lines), by_line);
    sorted = malloc(picture_at + n + 1);
    sorted[0] = '\0';
    for (size_t i = 0; i < n; i++)
        at_byte += (size_t)sprintf(sorted + at_byte, "%s\n", lines[i]);
    free(picture);
    return sorted;
}

/* --- jobs --- */

static struct lq_error err;

static void add_all(struct lq_set *set, struct lq_queue *q, const struct lq_filter *filter)
{
    struct lq_scan_opts opts = { .size = sizeof(opts), .filter = filter, .fields = LQ_FIELDS_SET, .threads = 1 };
    const struct lq_record *rec;
    struct lq_scan *scan;
    int rc;

    ck_assert_msg(lq_scan_begin(&scan, q, &opts, &err) == LQ_OK, "%s", err.text);
    while ((rc = lq_scan_next(scan, &rec, &err)) == LQ_OK)
        ck_assert_int_eq(lq_set_add(set, q, rec, &err), LQ_OK);
    ck_assert_int_eq(rc, LQ_END);
    lq_scan_end(scan);
}

static struct lq_set *select_all(struct lq_queue *q, const struct lq_filter *filter)
{
    struct lq_set *set;

    ck_assert_int_eq(lq_set_new(&set, &err), LQ_OK);
    add_all(set, q, filter);
    return set;
}

/* "ID done; ID skipped: why; " of a run; the case's directory in *dir if not NULL (the caller's). */
static char *run_set(const struct lq_set *set, struct lq_job_opts opts, char **dir)
{
    static const char *const words[] = { "done", "skipped", "failed" };
    const struct lq_outcome *o;
    struct lq_job *job;
    char *text = calloc(1, 64 << 10);
    int rc;

    opts.size = sizeof(opts);
    if (!opts.vault)
        opts.vault = vault_path;
    opts.why = "test";
    opts.command = "check_act";
    rc = lq_job_begin(&job, set, &opts, &err);
    if (rc != LQ_OK) {
        sprintf(text, "begin %d: %s", rc, err.text);
        return text;
    }
    while ((rc = lq_job_next(job, &o, &err)) == LQ_OK)
        sprintf(text + strlen(text), "%s %s%s%s; ", o->id, words[o->result], o->text ? ": " : "", o->text ? o->text : "");
    if (rc != LQ_END)
        sprintf(text + strlen(text), "end %d: %s", rc, err.text);
    if (dir)
        *dir = lq_job_case(job, 0) ? strdup(lq_job_case(job, 0)) : NULL;
    rc = lq_job_end(job, &err);
    if (rc != LQ_OK)
        sprintf(text + strlen(text), "job_end %d: %s", rc, err.text);
    return text;
}

static char *run_queue(enum mta mta, struct lq_job_opts opts, char **dir)
{
    struct lq_queue *q = open_queue(mta_names[mta], spool_path);
    struct lq_set *set = select_all(q, opts.filter);
    char *text = run_set(set, opts, dir);

    lq_set_free(set);
    lq_queue_close(q);
    return text;
}

static char *run_case(const char *dir, struct lq_job_opts opts)
{
    struct lq_vault *v;
    struct lq_case *c;
    struct lq_queue *q;
    struct lq_set *set;
    const char *slash = strrchr(dir, '/');
    char name[64], *text;

    snprintf(name, sizeof(name), "%s", slash + 1);
    ck_assert_msg(lq_vault_open(&v, vault_path, &err) == LQ_OK, "%s", err.text);
    ck_assert_msg(lq_case_open(&c, v, name, &err) == LQ_OK, "%s", err.text);
    ck_assert_msg(lq_case_queue(&q, c, 0, &err) == LQ_OK, "%s", err.text);
    set = select_all(q, NULL);
    opts.verb = LQ_RESTORE;
    text = run_set(set, opts, NULL);
    lq_set_free(set);
    lq_case_close(c);
    lq_vault_close(v);
    return text;
}

static unsigned count_words(const char *text, const char *word)
{
    unsigned n = 0;

    for (const char *p = text; (p = strstr(p, word)) != NULL; p += strlen(word))
        n++;
    return n;
}

#define assert_all(text, word) ck_assert_msg(count_words((text), word) == MESSAGES && !strstr((text), "end "), "%s", (text))

static size_t messages_left(enum mta mta)
{
    struct lq_queue *q = open_queue(mta_names[mta], spool_path);
    struct lq_set *set = select_all(q, NULL);
    size_t n = lq_set_count(set);

    lq_set_free(set);
    lq_queue_close(q);
    return n;
}

/* --- take and restore --- */

static void take_and_restore(enum mta mta, bool elsewhere)
{
    char *before, *after, *text, *dir, *once;

    make_spool(mta, MESSAGES);
    if (elsewhere)
        vault_elsewhere("/dev/shm");
    before = draw_tree(spool_path);
    text = run_queue(mta, (struct lq_job_opts){ .verb = LQ_TAKE }, &dir);
    assert_all(text, " done");
    free(text);
    ck_assert_uint_eq(messages_left(mta), 0);
    after = draw_tree(spool_path);
    ck_assert_str_eq(after, "");
    free(after);

    text = run_case(dir, (struct lq_job_opts){ .dry = true });
    once = run_case(dir, (struct lq_job_opts){ 0 });
    assert_all(once, " done");
    ck_assert_str_eq(text, once);
    free(text);
    free(once);
    after = draw_tree(spool_path);
    ck_assert_str_eq(before, after);
    free(after);
    /* Nothing is in the case that could go back a second time. */
    text = run_case(dir, (struct lq_job_opts){ 0 });
    ck_assert_str_eq(text, "");
    free(text);
    free(before);
    free(dir);
    clean();
}

START_TEST(takes_and_restores)
{
    take_and_restore((enum mta)_i, false);
}
END_TEST

START_TEST(takes_and_restores_across)
{
    take_and_restore((enum mta)_i, true);
}
END_TEST

/* Two spools, one case: taken by one job, and put back by one. */
START_TEST(case_of_two_spools)
{
    char *before, *after, *text, *dir, second[700], command[1500];
    struct lq_queue *q[2];
    struct lq_set *set;
    struct lq_vault *v;
    struct lq_case *c;

    make_spool((enum mta)_i, MESSAGES);
    snprintf(second, sizeof(second), "%s/second", top);
    snprintf(command, sizeof(command), "cp -a '%s' '%s'", spool_path, second);
    ck_assert_int_eq(system(command), 0);
    before = draw_tree(top);
    ck_assert_int_eq(lq_set_new(&set, &err), LQ_OK);
    for (size_t i = 0; i < 2; i++) {
        q[i] = open_queue(mta_names[_i], i ? second : spool_path);
        add_all(set, q[i], NULL);
    }
    text = run_set(set, (struct lq_job_opts){ .verb = LQ_TAKE }, &dir);
    ck_assert_msg(count_words(text, " done") == 2 * MESSAGES, "%s", text);
    free(text);
    lq_set_free(set);

    ck_assert_int_eq(lq_vault_open(&v, vault_path, &err), LQ_OK);
    ck_assert_int_eq(lq_case_open(&c, v, strrchr(dir, '/') + 1, &err), LQ_OK);
    ck_assert_uint_eq(lq_case_info(c)->spools, 2);
    ck_assert_int_eq(lq_set_new(&set, &err), LQ_OK);
    for (size_t i = 0; i < 2; i++) {
        struct lq_queue *lent;

        lq_queue_close(q[i]);
        ck_assert_msg(lq_case_queue(&lent, c, i, &err) == LQ_OK, "%s", err.text);
        add_all(set, lent, NULL);
    }
    text = run_set(set, (struct lq_job_opts){ .verb = LQ_RESTORE }, NULL);
    ck_assert_msg(count_words(text, " done") == 2 * MESSAGES && !strstr(text, "begin"), "%s", text);
    free(text);
    lq_set_free(set);
    lq_case_close(c);
    lq_vault_close(v);
    nftw(vault_path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    after = draw_tree(top);
    ck_assert_str_eq(before, after);
    free(before);
    free(after);
    free(dir);
    clean();
}
END_TEST

/* --- dry, purge, hold --- */

START_TEST(dry_is_run)
{
    static const enum lq_verb verbs[] = { LQ_TAKE, LQ_HOLD, LQ_PURGE, LQ_RELEASE };

    for (size_t i = 0; i < sizeof(verbs) / sizeof(*verbs); i++) {
        char *before, *after, *dry, *run;

        make_spool((enum mta)_i, MESSAGES);
        before = draw_tree(top);
        dry = run_queue((enum mta)_i, (struct lq_job_opts){ .verb = verbs[i], .dry = true }, NULL);
        after = draw_tree(top);
        ck_assert_str_eq(before, after);
        ck_assert(!there(vault_path));
        run = run_queue((enum mta)_i, (struct lq_job_opts){ .verb = verbs[i] }, NULL);
        ck_assert_str_eq(dry, run);
        assert_all(run, verbs[i] == LQ_RELEASE ? " skipped" : " done");
        free(before);
        free(after);
        free(dry);
        free(run);
        clean();
    }
}
END_TEST

START_TEST(purges)
{
    char *text, *after;

    make_spool((enum mta)_i, MESSAGES);
    text = run_queue((enum mta)_i, (struct lq_job_opts){ .verb = LQ_PURGE }, NULL);
    assert_all(text, " done");
    after = draw_tree(spool_path);
    ck_assert_str_eq(after, "");
    free(after);
    free(text);
    clean();
}
END_TEST

START_TEST(purges_with_undo)
{
    char *text, *before, *after, *dir;

    make_spool((enum mta)_i, MESSAGES);
    before = draw_tree(spool_path);
    text = run_queue((enum mta)_i, (struct lq_job_opts){ .verb = LQ_PURGE, .undo = true }, &dir);
    assert_all(text, " done");
    free(text);
    after = draw_tree(spool_path);
    ck_assert_str_eq(after, "");
    free(after);
    ck_assert(!there(dir));
    text = run_case(dir, (struct lq_job_opts){ 0 });
    assert_all(text, " done");
    free(text);
    after = draw_tree(spool_path);
    ck_assert_str_eq(before, after);
    free(after);
    text = run_case(dir, (struct lq_job_opts){ 0 });
    assert_all(text, " skipped: it went back before");
    free(text);
    free(before);
    free(dir);
    clean();
}
END_TEST

START_TEST(holds_and_releases)
{
    char *text, *before, *held;

    make_spool((enum mta)_i, MESSAGES);
    before = draw_tree(spool_path);
    text = run_queue((enum mta)_i, (struct lq_job_opts){ .verb = LQ_HOLD, .hold_reason = "ticket 7" }, NULL);
    assert_all(text, " done");
    free(text);
    held = draw_tree(spool_path);
    ck_assert_str_ne(before, held);
    text = run_queue((enum mta)_i, (struct lq_job_opts){ .verb = LQ_HOLD }, NULL);
    assert_all(text, " skipped");
    free(text);
    text = run_queue((enum mta)_i, (struct lq_job_opts){ .verb = LQ_RELEASE }, NULL);
    assert_all(text, " done");
    free(text);
    text = run_queue((enum mta)_i, (struct lq_job_opts){ .verb = LQ_RELEASE }, NULL);
    assert_all(text, " skipped");
    free(text);
    free(before);
    free(held);
    clean();
}
END_TEST

/* Postfix's queue is hashed deeper by now, and lacks the levels: they are made. */
START_TEST(restores_into_new_levels)
{
    char path[900], id[64], *text, *dir;
    struct stat st;

    make_spool(POSTFIX, MESSAGES);
    text = run_queue(POSTFIX, (struct lq_job_opts){ .verb = LQ_TAKE }, &dir);
    assert_all(text, " done");
    free(text);
    for (const char *const *d = (const char *const[]){ "deferred/A", "defer/A", NULL }; *d; d++) {
        snprintf(path, sizeof(path), "%s/%s", spool_path, *d);
        ck_assert_int_eq(rmdir(path), 0);
        path[strlen(path) - 1] = '\0';
        strcat(path, "7/7/7");
        make_dirs(path);
    }
    text = run_case(dir, (struct lq_job_opts){ 0 });
    assert_all(text, " done");
    ck_assert_uint_eq(messages_left(POSTFIX), MESSAGES);
    postfix_id(0, id);
    snprintf(path, sizeof(path), "%s/deferred/A/A/D/%s", spool_path, id);
    ck_assert_msg(stat(path, &st) == 0, "%s", path);
    snprintf(path, sizeof(path), "%s/deferred/A/A", spool_path);
    ck_assert(stat(path, &st) == 0 && (st.st_mode & 07777) == 0700);
    free(text);
    free(dir);
    clean();
}
END_TEST

/* --- between selection and act --- */

/* The key file of message 0, and the file that carries its lock. */
static const char *key_path(enum mta mta)
{
    static char path[800];
    char id[64];

    postfix_id(0, id);
    if (mta == EXIM)
        snprintf(path, sizeof(path), "%s/input/1xUroU-00000000000-0000-H", spool_path);
    else if (mta == POSTFIX)
        snprintf(path, sizeof(path), "%s/deferred/A/%s", spool_path, id);
    else
        snprintf(path, sizeof(path), "%s/qfwAM3EFab000000", spool_path);
    return path;
}

static const char *lock_path(enum mta mta)
{
    static char path[800];

    snprintf(path, sizeof(path), "%s", key_path(mta));
    if (mta == EXIM)
        path[strlen(path) - 1] = 'D';
    return path;
}

/* The message with its sender changed, as the server would write it anew. */
static void change_sender(enum mta mta)
{
    char path[900], *text = strdup(slurp(key_path(mta)));
    char bytes[2000];

    snprintf(path, sizeof(path), "%s.new", key_path(mta));
    if (mta == POSTFIX) {
        size_t n = postfix_message(bytes, 9);
        FILE *f = fopen(key_path(mta), "r+");

        ck_assert_uint_eq(fwrite(bytes, 1, n, f), n);
        fclose(f);
    } else {
        char *at_sender = strstr(text, "sender");

        memcpy(at_sender, "nobody", 6);
        put_bytes(path, text, strlen(text), mta == EXIM ? 0640 : 0600);
        ck_assert_int_eq(rename(path, key_path(mta)), 0);
    }
    free(text);
}

START_TEST(changed_is_skipped)
{
    enum mta mta = (enum mta)_i;
    struct lq_filter *f;
    struct lq_queue *q;
    struct lq_set *set;
    char *text;

    make_spool(mta, MESSAGES);
    q = open_queue(mta_names[mta], spool_path);
    ck_assert_int_eq(lq_filter_new(&f, &err), LQ_OK);
    ck_assert_int_eq(lq_filter_add(f, LQ_SEL_SENDER, mta == EXIM ? "sender@example.com" : "sender0@example.com", &err), LQ_OK);
    set = select_all(q, f);
    ck_assert_uint_eq(lq_set_count(set), mta == EXIM ? MESSAGES : 1);
    change_sender(mta);
    text = run_set(set, (struct lq_job_opts){ .verb = LQ_TAKE, .filter = f }, NULL);
    ck_assert_msg(count_words(text, " skipped: it changed since it was selected, and is not selected any more") == 1, "%s", text);
    ck_assert_msg(count_words(text, " done") == lq_set_count(set) - 1, "%s", text);
    ck_assert(there(key_path(mta)));
    free(text);
    lq_set_free(set);
    lq_filter_free(f);
    lq_queue_close(q);
    clean();
}
END_TEST

/* Touched, but still selected: taken. */
START_TEST(touched_is_taken)
{
    enum mta mta = (enum mta)_i;
    struct lq_filter *f;
    struct lq_queue *q;
    struct lq_set *set;
    char *text;

    make_spool(mta, MESSAGES);
    q = open_queue(mta_names[mta], spool_path);
    ck_assert_int_eq(lq_filter_new(&f, &err), LQ_OK);
    ck_assert_int_eq(lq_filter_add(f, LQ_SEL_RECIPIENT, "rcpt@example.net", &err), LQ_OK);
    set = select_all(q, f);
    ck_assert_int_eq(utime(key_path(mta), NULL), 0);
    text = run_set(set, (struct lq_job_opts){ .verb = LQ_TAKE, .filter = f }, NULL);
    assert_all(text, " done");
    free(text);
    lq_set_free(set);
    lq_filter_free(f);
    lq_queue_close(q);
    clean();
}
END_TEST

/* Another message got the id: same names, other inodes. */
START_TEST(reused_is_skipped)
{
    enum mta mta = (enum mta)_i;
    char *text, *aside = strdup(at("aside")), *old = strdup(at("old"));
    struct lq_queue *q;
    struct lq_set *set;

    make_spool(mta, MESSAGES);
    free(aside);
    aside = strdup(at("aside"));
    q = open_queue(mta_names[mta], spool_path);
    set = select_all(q, NULL);
    ck_assert_int_eq(rename(spool_path, aside), 0);
    make_dirs(spool_path);
    lq_queue_close(q);
    free(old);
    (mta == EXIM ? make_exim : mta == POSTFIX ? make_postfix : make_sendmail)(MESSAGES);
    q = open_queue(mta_names[mta], spool_path);
    set->queues[0].q = q;
    text = run_set(set, (struct lq_job_opts){ .verb = LQ_TAKE }, NULL);
    assert_all(text, " skipped");
    ck_assert_uint_eq(messages_left(mta), MESSAGES);
    free(text);
    free(aside);
    lq_set_free(set);
    lq_queue_close(q);
    clean();
}
END_TEST

START_TEST(busy_is_skipped)
{
    enum mta mta = (enum mta)_i;
    struct flock range = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
    char *dry, *text;
    int fd;

    make_spool(mta, MESSAGES);
    fd = open(lock_path(mta), O_RDWR | O_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(mta == POSTFIX ? flock(fd, LOCK_EX) : fcntl(fd, F_OFD_SETLK, &range), 0);
    dry = run_queue(mta, (struct lq_job_opts){ .verb = LQ_TAKE, .dry = true }, NULL);
    text = run_queue(mta, (struct lq_job_opts){ .verb = LQ_TAKE }, NULL);
    ck_assert_msg(count_words(text, " skipped: it is being delivered now") == 1 && count_words(text, " done") == MESSAGES - 1, "%s", text);
    ck_assert_str_eq(dry, text);
    ck_assert_uint_eq(messages_left(mta), 1);
    close(fd);
    free(dry);
    free(text);
    clean();
}
END_TEST

/* --- killed, and recovered --- */

static char *recover_all(void)
{
    struct lq_vault *v;
    int rc;

    findings[0] = '\0';
    if (lq_vault_open(&v, vault_path, &err) != LQ_OK)
        return strdup("no vault");
    rc = lq_vault_recover(v, find_out, NULL, &err);
    ck_assert_msg(rc == LQ_OK, "%s", err.text);
    lq_vault_close(v);
    return strdup(findings);
}

/* The only case of the vault, or NULL; the caller's. */
static char *only_case(void)
{
    struct lq_vault *v;
    char **names, *dir = NULL;
    size_t n;

    if (lq_vault_open(&v, vault_path, &err) != LQ_OK)
        return NULL;
    ck_assert_msg(lq_vault_cases(v, &names, &n, &err) == LQ_OK, "%s", err.text);
    ck_assert_uint_le(n, 1);
    if (n == 1)
        ck_assert_int_gt(asprintf(&dir, "%s/%s", vault_path, names[0]), 0);
    lq_names_free(names, n);
    lq_vault_close(v);
    return dir;
}

static bool killed_at(long call, enum mta mta, struct lq_job_opts opts, const char *dir)
{
    pid_t pid = fork();
    int status;

    if (pid == 0) {
        calls_left = call;
        free(dir ? run_case(dir, opts) : run_queue(mta, opts, NULL));
        _exit(0);
    }
    ck_assert(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
    ck_assert_msg(WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 99, "%d", WEXITSTATUS(status));
    return WEXITSTATUS(status) == 99;
}

/* Recovery itself is killed, too, and then done to the end. */
static void recover_hard(void)
{
    for (long call = 0;; call++) {
        pid_t pid = fork();
        int status;

        if (pid == 0) {
            calls_left = call;
            free(recover_all());
            _exit(0);
        }
        ck_assert(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
        if (WEXITSTATUS(status) == 0)
            return;
        call += 1 + call / 2;
    }
}

/* A build that watches itself takes minutes for every call, and finds other things than the order of calls. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { KILL_EACH = 7 };
#else
enum { KILL_EACH = 1 };
#endif

/* Wherever it is killed: recovered and put back, the queue is what it was. */
static void kill_everywhere(enum mta mta, bool elsewhere, struct lq_job_opts opts, bool restoring)
{
    bool killed = true;

    for (long call = 0; killed; call += KILL_EACH) {
        char *before, *after, *dir = NULL, *text;

        /* Where syncing costs nothing. */
        make_spool_below(mta, 2, "/dev/shm");
        if (elsewhere)
            vault_elsewhere("/tmp");
        before = draw_tree(spool_path);
        if (restoring)
            free(run_queue(mta, opts, &dir));
        killed = killed_at(call, mta, opts, dir);
        free(dir);
        if (call % 3 == 0)
            recover_hard();
        text = recover_all();
        dir = only_case();
        after = draw_tree(spool_path);
        if (dir) {
            size_t left = messages_left(mta);
            char *back;

            free(after);
            back = run_case(dir, (struct lq_job_opts){ 0 });
            ck_assert_msg(restoring || count_words(back, " done") + left == 2, "call %ld: %zu left, %s\n%s", call, left, back, text);
            ck_assert_msg(!strstr(back, "skipped") || restoring, "call %ld: %s", call, back);
            free(back);
            after = draw_tree(spool_path);
        }
        ck_assert_msg(strcmp(before, after) == 0, "call %ld\n%s\n--- before\n%s\n--- after\n%s", call, text, before, after);
        free(before);
        free(after);
        free(text);
        free(dir);
        clean();
    }
}

START_TEST(killed_taking)
{
    kill_everywhere((enum mta)(_i / 2), _i % 2, (struct lq_job_opts){ .verb = LQ_TAKE }, false);
}
END_TEST

START_TEST(killed_restoring)
{
    kill_everywhere((enum mta)(_i / 2), _i % 2, (struct lq_job_opts){ .verb = LQ_TAKE }, true);
}
END_TEST

/* A key that is not where it was claimed: who is told what depends on what the lock is on, and whether that is still there. */
static const struct { const struct lq_actor *actor; bool on_key, there; const char *said; } left_rows[] = {
    { &postfix_actor, true, true, "moved to another queue" },
    { &postfix_actor, true, false, "is not in the queue any more" },
    { &exim_actor, false, true, "its other files are in the queue" },
    { &exim_actor, false, false, "is not in the queue any more" },
    { &sendmail_actor, true, true, "another name or directory" },
    { &sendmail_actor, true, false, "is not in the queue any more" },
};

START_TEST(says_where_it_went)
{
    char name[] = "/tmp/check-act-XXXXXX";
    struct site s = { .actor = left_rows[_i].actor };
    struct work w = { .live = true };
    struct piece *key = &w.c.parts[0];

    w.c.lock = mkstemp(name);
    ck_assert_int_ge(w.c.lock, 0);
    if (!left_rows[_i].there)
        unlink(name);
    ck_assert_int_eq(fstat(w.c.lock, &key->st), 0);
    key->st.st_ino += left_rows[_i].on_key ? 0 : 1;
    strcpy(key->name, "1aaaaa-000001-aa-H");
    work_left(&s, &w);
    ck_assert(!w.live && w.result == LQ_SKIPPED);
    ck_assert_msg(strstr(w.text, left_rows[_i].said) != NULL, "%s", w.text);
    close(w.c.lock);
    unlink(name);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("act");
    TCase *t = tcase_create("act");
    SRunner *r;
    int failed;

    tcase_set_timeout(t, 60);
    tcase_add_test(t, restores_into_new_levels);
    tcase_add_loop_test(t, takes_and_restores, 0, MTAS);
    tcase_add_test(t, restores_into_new_levels);
    tcase_add_loop_test(t, takes_and_restores_across, 0, MTAS);
    tcase_add_loop_test(t, case_of_two_spools, 0, MTAS);
    tcase_add_loop_test(t, dry_is_run, 0, MTAS);
    tcase_add_loop_test(t, purges, 0, MTAS);
    tcase_add_loop_test(t, purges_with_undo, 0, MTAS);
    tcase_add_loop_test(t, holds_and_releases, 0, MTAS);
    tcase_add_loop_test(t, changed_is_skipped, 0, MTAS);
    tcase_add_loop_test(t, touched_is_taken, 0, MTAS);
    tcase_add_loop_test(t, reused_is_skipped, 0, MTAS);
    tcase_add_loop_test(t, busy_is_skipped, 0, MTAS);
    tcase_add_loop_test(t, says_where_it_went, 0, sizeof(left_rows) / sizeof(left_rows[0]));
    suite_add_tcase(s, t);
    t = tcase_create("killed");
    tcase_set_timeout(t, 300);
    tcase_add_loop_test(t, killed_taking, 0, 2 * MTAS);
    tcase_add_loop_test(t, killed_restoring, 0, 2 * MTAS);
    suite_add_tcase(s, t);
    r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
