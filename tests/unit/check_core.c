/* Memory, bytes and the record: arena, buf, source, file, record, json. */
#include <check.h>
#include <dirent.h>
#include <fcntl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "file.h"
#include "record.h"
#include "source.h"

/* --- source: memory and windows of any size tell the same lines --- */

static const struct { const char *name, *text; const char *lines; } line_rows[] = {
    { "empty",          "",              "" },
    { "one",            "a\n",           "a|" },
    { "no end",         "a\nb",          "a|b!" },
    { "empty lines",    "\n\nx\n",       "||x|" },
    { "ends in empty",  "x\n\n",         "x||" },
    { "long",           "0123456789012345678901234567890123456789\nx\n", "0123456789012345678901234567890123456789|x|" },
};

static void collect(struct source *s, char *out)
{
    uint64_t off = 0;
    struct bytes line;
    enum line_end end;

    while ((end = source_line(s, &off, &line)) != LINE_NONE) {
        memcpy(out, line.p, line.n);
        out += line.n;
        if (end != LINE_PIECE)
            *out++ = end == LINE_WHOLE ? '|' : '!';
    }
    *out = '\0';
}

START_TEST(lines)
{
    const char *text = line_rows[_i].text;
    char got[200];
    struct source s = { 0 };
    FILE *f = tmpfile();

    source_memory(&s, text, strlen(text));
    collect(&s, got);
    ck_assert_str_eq(got, line_rows[_i].lines);

    fputs(text, f);
    fflush(f);
    for (size_t window = 1; window < 50; window += 7) {
        struct source w = { .first = window, .view = window };

        ck_assert_int_eq(source_file(&w, fileno(f), strlen(text)), 0);
        collect(&w, got);
        ck_assert_str_eq(got, line_rows[_i].lines);
        source_done(&w);
    }
    fclose(f);
}
END_TEST

START_TEST(long_line_comes_in_pieces)
{
    size_t n = 3 * SOURCE_VIEW_MAX + 5, sum = 0, pieces = 0;
    char *text = malloc(n + 1);
    struct source s = { 0 };
    struct bytes line;
    uint64_t off = 0;
    enum line_end end;

    memset(text, 'x', n);
    text[n] = '\n';
    source_memory(&s, text, n + 1);
    do {
        end = source_line(&s, &off, &line);
        ck_assert_uint_le(line.n, SOURCE_VIEW_MAX);
        sum += line.n;
        pieces++;
    } while (end == LINE_PIECE);
    ck_assert_int_eq(end, LINE_WHOLE);
    ck_assert_uint_eq(sum, n);
    ck_assert_uint_eq(pieces, 4);
    ck_assert_int_eq(source_line(&s, &off, &line), LINE_NONE);
    free(text);
}
END_TEST

/* Holes are zeros, but nobody reads terabytes of them; what comes before them is there. */
START_TEST(holes_without_end)
{
    const uint64_t sizes[] = { SOURCE_HOLES_MAX / 2, (uint64_t)1 << 40 };
    FILE *f = tmpfile();

    for (size_t i = 0; i < 2; i++) {
        struct source s = { 0 };
        uint64_t off = 0;
        size_t got;

        ck_assert_int_eq(ftruncate(fileno(f), 0), 0);
        ck_assert_int_eq(pwrite(fileno(f), "abc", 3, 0), 3);
        ck_assert_int_eq(ftruncate(fileno(f), (off_t)sizes[i]), 0);
        ck_assert(source_hollow(fileno(f), sizes[i]) == (i == 1));
        ck_assert_int_eq(source_file(&s, fileno(f), sizes[i]), 0);
        for (; source_at(&s, off, SOURCE_VIEW_MAX, &got) && off < SOURCE_HOLES_MAX; off += got)
            continue;
        ck_assert_int_eq(s.error, i == 1 ? ENODATA : 0);
        ck_assert_uint_gt(off, 0);
        ck_assert(i == 1 || off == sizes[i]);
        source_done(&s);
    }
    fclose(f);
}
END_TEST

/* A file that is shorter than stat said ends where it ends. */
START_TEST(shrunken_file)
{
    struct source s = { 0 };
    FILE *f = tmpfile();
    size_t got;

    fputs("abc", f);
    fflush(f);
    ck_assert_int_eq(source_file(&s, fileno(f), 1000), 0);
    ck_assert_ptr_nonnull(source_at(&s, 0, 100, &got));
    ck_assert_uint_eq(got, 3);
    ck_assert_uint_eq(s.size, 3);
    ck_assert_ptr_null(source_at(&s, 3, 1, &got));
    ck_assert_ptr_null(source_at(&s, UINT64_MAX, 1, &got));
    ck_assert_int_eq(s.error, 0);
    source_done(&s);
    fclose(f);
}
END_TEST

/* --- file: only regular files, never through a link --- */

static void make_tree(char dir[64])
{
    char path[200];

    strcpy(dir, "/tmp/check_core.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/file", dir);
    fclose(fopen(path, "w"));
    snprintf(path, sizeof(path), "%s/link", dir);
    ck_assert_int_eq(symlink("file", path), 0);
    snprintf(path, sizeof(path), "%s/fifo", dir);
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    snprintf(path, sizeof(path), "%s/dir", dir);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    snprintf(path, sizeof(path), "%s/dirlink", dir);
    ck_assert_int_eq(symlink("dir", path), 0);
}

static int remove_one(void *ctx, const char *name, size_t len, unsigned char type)
{
    (void)len;
    return unlinkat(*(int *)ctx, name, type == DT_DIR ? AT_REMOVEDIR : 0);
}

static const struct { const char *name; enum file_result open, stat; } file_rows[] = {
    { "file", FILE_OK, FILE_OK },     { "link", FILE_ODD, FILE_ODD },   { "fifo", FILE_ODD, FILE_ODD },
    { "dir", FILE_ODD, FILE_ODD },    { "gone", FILE_GONE, FILE_GONE }, { "dirlink", FILE_ODD, FILE_ODD },
};

START_TEST(opens_regular_files_only)
{
    char dir[64];
    struct stat st;
    int root, fd = -1;

    make_tree(dir);
    ck_assert_int_eq(file_open_dir(AT_FDCWD, dir, &root), FILE_OK);
    ck_assert_int_eq(file_open(root, file_rows[_i].name, &fd, &st), file_rows[_i].open);
    ck_assert_int_eq(file_stat(root, file_rows[_i].name, &st), file_rows[_i].stat);
    if (fd >= 0)
        close(fd);
    ck_assert_int_eq(file_each(root, remove_one, &root), FILE_OK);
    close(root);
    ck_assert_int_eq(rmdir(dir), 0);
}
END_TEST

/* A directory link is configuration when root owns it, and a trap when somebody else does. */
START_TEST(follows_only_trusted_links_to_directories)
{
    char dir[64];
    int root, fd;

    make_tree(dir);
    ck_assert_int_eq(file_open_dir(AT_FDCWD, dir, &root), FILE_OK);
    ck_assert_int_eq(file_open_dir(root, "dirlink", &fd), FILE_OK);
    close(fd);
    if (geteuid() == 0) {
        ck_assert_int_eq(fchownat(root, "dirlink", 65534, 65534, AT_SYMLINK_NOFOLLOW), 0);
        ck_assert_int_eq(file_open_dir(root, "dirlink", &fd), FILE_ODD);
    }
    ck_assert_int_eq(file_open_dir(root, "file", &fd), FILE_ODD);
    ck_assert_int_eq(file_each(root, remove_one, &root), FILE_OK);
    close(root);
    ck_assert_int_eq(rmdir(dir), 0);
}
END_TEST

/* --- buf, arena --- */

START_TEST(buf_counts_what_it_does_not_keep)
{
    struct buf b = { .limit = 10 };

    buf_add_str(&b, "01234567");
    buf_add_str(&b, "89abc");
    ck_assert_uint_eq(b.n, 10);
    ck_assert_uint_eq(b.lost, 3);
    buf_add_str(&b, "x");
    ck_assert_uint_eq(b.lost, 4);
    buf_reset(&b, 0);
    ck_assert_uint_eq(b.lost, 0);
    ck_assert_ptr_null(b.p);
    buf_done(&b);
}
END_TEST

struct calls {
    struct arena *arena;
    int n;
};

static void note(void *ctx)
{
    struct calls *calls = ctx;

    calls->n++;
    calls->arena->large = SIZE_MAX;
}

START_TEST(arena_refuses_beyond_its_limit)
{
    struct calls calls = { .n = 0 };
    struct arena a = { .limit = 100000, .grown = note, .ctx = &calls };

    calls.arena = &a;
    for (int i = 0; i < 2; i++) {
        a.large = 5000;
        ck_assert_ptr_nonnull(arena_alloc(&a, 4000));
        ck_assert_int_eq(calls.n, i);
        ck_assert_ptr_nonnull(arena_alloc(&a, 4000));
        ck_assert_int_eq(calls.n, i + 1);
        ck_assert_ptr_null(arena_alloc(&a, 100000));
        ck_assert(a.refused);
        ck_assert_ptr_null(arena_alloc(&a, SIZE_MAX));
        ck_assert_ptr_nonnull(arena_alloc(&a, 90000));
        arena_reset(&a);
    }
    ck_assert(!a.refused);
    arena_done(&a);
}
END_TEST

/* --- record and json --- */

/* One long text for 100,000 recipients would be gigabytes of output. */
START_TEST(record_bounds_what_recipients_share)
{
    static const char long_text[RECORD_TEXT_MAX];
    struct lq_record r = { .have = 0 };
    struct lq_str text, shared;
    size_t sum = 0;

    record_reset(&r);
    text = record_copy(&r, long_text, sizeof(long_text));
    for (int i = 0; i < 1000; i++) {
        shared = record_share(&r, text, SEC_LOG);
        sum += shared.n;
        ck_assert(shared.p ? shared.p == text.p : shared.n == 0);
    }
    ck_assert_uint_eq(sum, RECORD_SHARED_MAX);
    ck_assert_uint_eq(r.problems.n, 1);
    ck_assert_uint_eq(r.broken, SEC_LOG);
    record_done(&r);
}
END_TEST

START_TEST(record_counts_what_must_be_escaped)
{
    struct lq_record r = { .have = 0 };
    unsigned char nuls[RECORD_TEXT_MAX] = { 0 };
    size_t n = 0;

    record_reset(&r);
    while (record_copy(&r, nuls, sizeof(nuls)).p)
        n += sizeof(nuls);
    ck_assert(r.arena.refused);
    ck_assert_uint_gt(n, RECORD_ARENA_MAX / 8);
    ck_assert_uint_le(n, RECORD_ARENA_MAX / 6);
    record_done(&r);
}
END_TEST

static const struct { const char *name, *in; size_t n; const char *out; } json_rows[] = {
#define ROW(name, in, out) { name, in, sizeof(in) - 1, out }
    ROW("plain", "a@b", "\"sender\":\"a@b\""),
    ROW("empty", "", "\"sender\":\"\""),
    ROW("quotes", "\"a\\b\"@c", "\"sender\":\"\\\"a\\\\b\\\"@c\""),
    ROW("controls", "\x1b[2J\n\t\x7f", "\"sender\":\"\\u001b[2J\\n\\t\\u007f\""),
    ROW("C1", "a\xc2\x9bz", "\"sender\":\"a\\u009bz\""),
    ROW("utf-8", "\xc3\xbc\xf0\x9f\x98\x80", "\"sender\":\"\xc3\xbc\xf0\x9f\x98\x80\""),
    ROW("latin-1", "\xfc", "\"sender\":\"\xef\xbf\xbd\",\"sender_b64\":\"/A==\""),
    ROW("NUL", "a\0b", "\"sender\":\"a\xef\xbf\xbd" "b\",\"sender_b64\":\"YQBi\""),
    ROW("overlong", "\xc0\xaf", "\"sender\":\"\xef\xbf\xbd\xef\xbf\xbd\",\"sender_b64\":\"wK8=\""),
    ROW("surrogate", "\xed\xa0\x80", "\"sender\":\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\",\"sender_b64\":\"7aCA\""),
    ROW("cut", "\xe2\x82", "\"sender\":\"\xef\xbf\xbd\xef\xbf\xbd\",\"sender_b64\":\"4oI=\""),
#undef ROW
};

START_TEST(json_text)
{
    struct lq_record r = { 0 };
    struct lq_str out;
    char want[200];

    record_reset(&r);
    record_set_text(&r, LQ_SENDER, json_rows[_i].in, json_rows[_i].n);
    ck_assert_int_eq(lq_record_json(&r, LQ_FIELD_BIT(LQ_SENDER), &out, NULL), LQ_OK);
    snprintf(want, sizeof(want), "{\"schema\":\"mqtools.record/1\",\"partial\":true,%s}", json_rows[_i].out);
    ck_assert_uint_eq(out.n, strlen(want));
    ck_assert(memcmp(out.p, want, out.n) == 0);
    record_done(&r);
}
END_TEST

START_TEST(json_leaves_out_what_is_not_known)
{
    struct lq_record r = { 0 };
    struct lq_recipient *rcpt;
    struct lq_str out;
    char text[2000], *at;

    record_reset(&r);
    r.have = SEC_NAME | SEC_CONTROL;
    record_set_number(&r, LQ_ARRIVAL_TIME, -5);
    record_set_number(&r, LQ_MESSAGE_SIZE, INT64_MAX);
    rcpt = record_add_recipient(&r, &r.recipients);
    rcpt->address = record_copy(&r, "a@b", 3);
    record_flag(&r, FLAG_TLS);
    record_flag(&r, FLAG_BOUNCE);
    ck_assert_int_eq(lq_record_json(&r, LQ_FIELDS_ALL & ~LQ_FIELD_BIT(LQ_RECEIVED), &out, NULL), LQ_OK);
    snprintf(text, sizeof(text), "%.*s", (int)out.n, out.p);
    at = strstr(text, ",\"unread\"");
    ck_assert_ptr_nonnull(at);
    /* The section that holds it is broken: what else it may have held is not absent. */
    ck_assert_ptr_nonnull(strstr(at, "\"message_size\",\"sender\",\"recipients\",\"recipients_done\",\"client_address\""));
    ck_assert_ptr_nonnull(strstr(at, "\"flags\",\"identity\"]}"));
    ck_assert_ptr_null(strstr(at, "\"arrival_time\""));
    ck_assert_ptr_null(strstr(at, "\"received\""));
    *at = '\0';
    ck_assert_str_eq(text, "{\"schema\":\"mqtools.record/1\",\"partial\":true,\"arrival_time\":-5,\"recipients\":[{\"address\":\"a@b\"}],"
                           "\"flags\":[\"bounce\",\"tls\"],"
                           "\"problems\":[\"message_size is 9223372036854775807, beyond what can be true\"],\"files\":[]");
    record_done(&r);
}
END_TEST

START_TEST(recipients_beyond_the_limit_are_counted)
{
    struct lq_record r = { 0 };

    record_reset(&r);
    r.have = SEC_NAME | SEC_CONTROL;
    for (int i = 0; i < RECORD_RECIPIENTS_MAX + 1000; i++)
        record_add_recipient(&r, &r.recipients);
    ck_assert_uint_eq(r.recipients.n, RECORD_RECIPIENTS_MAX);
    ck_assert_uint_eq(lq_record_recipient_count(&r, LQ_RECIPIENTS), RECORD_RECIPIENTS_MAX + 1000);
    ck_assert_uint_eq(r.problems.n, 1);
    ck_assert(r.broken & SEC_CONTROL);
    record_reset(&r);
    ck_assert_uint_eq(r.recipients.counted, 0);
    ck_assert_uint_eq(r.problems.n, 0);
    record_done(&r);
}
END_TEST

START_TEST(absent_is_not_unread)
{
    struct lq_record r = { 0 };

    record_reset(&r);
    ck_assert_int_eq(lq_record_has(&r, LQ_AUTH_USER), LQ_UNREAD);
    r.have |= SEC_CONTROL;
    ck_assert_int_eq(lq_record_has(&r, LQ_AUTH_USER), LQ_ABSENT);
    ck_assert_int_eq(lq_record_has(&r, LQ_REASON), LQ_UNREAD);
    record_broken(&r, SEC_CONTROL);
    ck_assert_int_eq(lq_record_has(&r, LQ_AUTH_USER), LQ_UNREAD);
    record_set_text(&r, LQ_AUTH_USER, "", 0);
    ck_assert_int_eq(lq_record_has(&r, LQ_AUTH_USER), LQ_PRESENT);
    record_done(&r);
}
END_TEST

/* An empty list of a message cut before its recipients would read as "nobody is left". */
START_TEST(no_list_of_broken_is_empty)
{
    static const enum lq_field lists[] = { LQ_RECIPIENTS, LQ_RECIPIENT, LQ_RECIPIENTS_DONE, LQ_RECEIVED };
    struct lq_record r = { 0 };

    record_reset(&r);
    r.have |= SEC_CONTROL | SEC_SIZE | SEC_LOG;
    ck_assert_int_eq(lq_record_has(&r, LQ_RECIPIENTS), LQ_PRESENT);
    ck_assert_int_eq(lq_record_has(&r, LQ_RECEIVED), LQ_PRESENT);
    record_broken(&r, SEC_CONTROL);
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
        ck_assert_int_eq(lq_record_has(&r, lists[i]), LQ_UNREAD);
    ck_assert_int_eq(lq_record_has(&r, LQ_PROBLEMS), LQ_PRESENT);
    ck_assert_ptr_nonnull(record_add_recipient(&r, &r.recipients));
    ck_assert_int_eq(lq_record_has(&r, LQ_RECIPIENTS), LQ_PRESENT);
    record_done(&r);
}
END_TEST

START_TEST(every_field_has_a_row)
{
    ck_assert_ptr_nonnull(lq_field_name((enum lq_field)_i));
    ck_assert_uint_ne(field_table[_i].sections, 0);
}
END_TEST

#define COUNT(a) (int)(sizeof(a) / sizeof((a)[0]))

int main(void)
{
    Suite *s = suite_create("core");
    TCase *t = tcase_create("core");
    SRunner *sr;
    int failed;

    tcase_set_timeout(t, 60);
    tcase_add_loop_test(t, lines, 0, COUNT(line_rows));
    tcase_add_test(t, long_line_comes_in_pieces);
    tcase_add_test(t, shrunken_file);
    tcase_add_test(t, holes_without_end);
    tcase_add_loop_test(t, opens_regular_files_only, 0, COUNT(file_rows));
    tcase_add_test(t, follows_only_trusted_links_to_directories);
    tcase_add_test(t, buf_counts_what_it_does_not_keep);
    tcase_add_test(t, arena_refuses_beyond_its_limit);
    tcase_add_test(t, record_bounds_what_recipients_share);
    tcase_add_test(t, record_counts_what_must_be_escaped);
    tcase_add_loop_test(t, json_text, 0, COUNT(json_rows));
    tcase_add_test(t, json_leaves_out_what_is_not_known);
    tcase_add_test(t, recipients_beyond_the_limit_are_counted);
    tcase_add_test(t, absent_is_not_unread);
    tcase_add_test(t, no_list_of_broken_is_empty);
    tcase_add_loop_test(t, every_field_has_a_row, 0, LQ_FIELD_COUNT);
    suite_add_tcase(s, t);
    sr = srunner_create(s);
    srunner_run_all(sr, CK_NORMAL);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed ? 1 : 0;
}
