/*
 * The scan over a back end made of air: order, threads, vanished and large messages, undecided ones. No queue file is read.
 */
#include <check.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine.h"

enum { MESSAGES = 2000 };

static unsigned air_detect(int rootfd)
{
    (void)rootfd;
    return 0;
}

static int air_list(struct spool *sp, unsigned sections, struct lq_error *err)
{
    char name[32];
    size_t dir;

    (void)sections;
    (void)err;
    if (spool_add_dir(sp, "", "air", 0, &dir) != FILE_OK)
        return LQ_EIO;
    /* Not in order of id, as a directory would not be, either. */
    for (unsigned i = 0; i < MESSAGES; i++) {
        int n = snprintf(name, sizeof(name), "M%05u", i * 7919 % MESSAGES);

        if (!listing_add(sp, dir, name, 0, (size_t)n, 0))
            return LQ_ENOMEM;
    }
    /* Seen twice in one directory, because a back end looked there again: still one message. */
    return listing_add(sp, dir, "M00005", 0, 6, 0) ? LQ_OK : LQ_ENOMEM;
}

static size_t air_group(struct spool *sp, struct entry *e, size_t n, uint32_t *counts)
{
    (void)sp;
    (void)e;
    counts[0] = (uint32_t)n;
    return 1;
}

/* What happens to message i is its number's: every 50th is large, 7th gone, 11th found again elsewhere, 13th unreadable, 17th being received. */
static void air_read(struct reading *rd, unsigned sections)
{
    unsigned i = (unsigned)atoi(rd->ref->entries[0].id + 1);
    struct lq_record *r = rd->rec;

    if (!(sections & SEC_CONTROL))
        return;
    if ((i % 7 == 3 || i % 11 == 3) && rd->ref->entries[0].role == 0) {
        rd->vanished = true;
        return;
    }
    record_set_state(r, i % 17 == 3 ? STATE_RECEIVING : STATE_DEFERRED);
    if (i % 17 == 3) {
        record_broken(r, SEC_CONTROL);
        return;
    }
    if (i % 13 == 3) {
        record_problem(r, "unreadable");
        record_broken(r, SEC_CONTROL);
        return;
    }
    if (i % 50 == 0)
        for (unsigned k = 0; k < 3000; k++) {
            struct lq_recipient *rcpt = record_add_recipient(r, &r->recipients);
            char text[600];

            if (!rcpt) {
                ck_assert(r->arena.closed);     /* the scan was ended */
                break;
            }
            memset(text, 'a', sizeof(text));
            rcpt->address = record_copy(r, text, sizeof(text));
        }
    record_set_text(r, LQ_SENDER, i % 2 ? "odd@example.com" : "even@example.com", i % 2 ? 15 : 16);
    record_set_number(r, LQ_MESSAGE_SIZE, i);
}

static size_t air_again(struct reading *rd, struct entry *out, size_t max)
{
    unsigned i = (unsigned)atoi(rd->ref->entries[0].id + 1);

    if (max == 0 || i % 11 != 3)
        return 0;
    out[0] = rd->ref->entries[0];
    out[0].role = 1;
    return 1;
}

static const char *const nowhere[] = { NULL };

static const struct lq_backend air = {
    .name = "air", .usual_dirs = nowhere, .detect = air_detect, .list = air_list, .group = air_group, .read = air_read,
    .again = air_again,
};

static struct lq_queue queue_of_air(void)
{
    static char root[] = "/";

    return (struct lq_queue){ .backend = &air, .root = root, .fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC) };
}

struct result {
    char *ids;                  /* all ids given, joined */
    struct lq_scan_stats stats;
};

static struct result run(unsigned threads, const struct lq_filter *filter, unsigned stop_after)
{
    struct lq_queue q = queue_of_air();
    struct lq_scan_opts opts = { .size = sizeof(opts), .filter = filter, .fields = LQ_FIELDS_ALL, .threads = threads };
    struct buf ids = { 0 };
    const struct lq_record *rec;
    struct lq_error err;
    struct lq_scan *scan;
    struct result result;
    int rc = LQ_OK;

    ck_assert_int_eq(lq_scan_begin(&scan, &q, &opts, &err), LQ_OK);
    for (unsigned n = 0; n != stop_after && (rc = lq_scan_next(scan, &rec, &err)) == LQ_OK; n++) {
        struct lq_str id = lq_record_text(rec, LQ_QUEUE_ID);

        buf_add(&ids, id.p, id.n);
        buf_add_char(&ids, lq_record_recipient_count(rec, LQ_RECIPIENTS) == 3000 ? '+' : ' ');
    }
    ck_assert(rc == LQ_END || stop_after != UINT32_MAX);
    buf_add_char(&ids, '\0');
    result = (struct result){ ids.p, lq_scan_stats(scan) };
    lq_scan_end(scan);
    close(q.fd);
    return result;
}

static const unsigned thread_counts[] = { 2, 3, 8, 64 };

START_TEST(same_order_for_any_threads)
{
    struct result alone = run(1, NULL, UINT32_MAX), many = run(thread_counts[_i], NULL, UINT32_MAX);

    ck_assert_str_eq(many.ids, alone.ids);
    ck_assert(strncmp(alone.ids, "M00000+M00001 M00002 ", 21) == 0);
    ck_assert_uint_eq(many.stats.selected, alone.stats.selected);
    ck_assert_uint_eq(many.stats.vanished, alone.stats.vanished);
    ck_assert_uint_gt(alone.stats.vanished, 0);
    ck_assert_uint_eq(alone.stats.listed, MESSAGES);
    ck_assert_uint_eq(alone.stats.selected + alone.stats.vanished, MESSAGES);
    free(alone.ids);
    free(many.ids);
}
END_TEST

/* 3 is gone in both rules and found by again(); 10 is gone for good. */
START_TEST(looks_again_once)
{
    struct result r = run(1, NULL, UINT32_MAX);

    ck_assert_ptr_nonnull(strstr(r.ids, "M00003"));
    ck_assert_ptr_nonnull(strstr(r.ids, "M00014"));
    ck_assert_ptr_null(strstr(r.ids, "M00010"));
    free(r.ids);
}
END_TEST

START_TEST(ends_early_without_hanging)
{
    for (unsigned n = 0; n < 200; n += 33) {
        struct result r = run(thread_counts[_i], NULL, n);

        free(r.ids);
    }
}
END_TEST

static struct result select_with(enum lq_selector sel, const char *arg, bool invert, unsigned threads)
{
    struct lq_filter *f;
    struct lq_error err;
    struct result r;

    ck_assert_int_eq(lq_filter_new(&f, &err), LQ_OK);
    ck_assert_int_eq(lq_filter_add(f, sel, arg, &err), LQ_OK);
    if (invert)
        lq_filter_invert(f);
    r = run(threads, f, UINT32_MAX);
    lq_filter_free(f);
    return r;
}

/* How many messages are being received and did not vanish. */
static uint64_t receiving(void)
{
    uint64_t n = 0;

    for (unsigned i = 0; i < MESSAGES; i++)
        n += i % 17 == 3 && (i % 11 == 3 || i % 7 != 3);
    return n;
}

START_TEST(unreadable_is_selected_by_nobody)
{
    struct result yes = select_with(LQ_SEL_SENDER, "odd@example.com", false, 1);
    struct result no = select_with(LQ_SEL_SENDER, "odd@example.com", true, 8);

    ck_assert_ptr_null(strstr(yes.ids, "M00016"));      /* 16 = 13 + 3: its sender could not be read */
    ck_assert_ptr_null(strstr(no.ids, "M00016"));
    ck_assert_uint_gt(yes.stats.undecided, 0);
    ck_assert_uint_eq(yes.stats.undecided, no.stats.undecided);
    ck_assert_ptr_null(strstr(no.ids, "M00020"));       /* 20 = 17 + 3: not complete yet, and no trouble either */
    ck_assert_uint_eq(yes.stats.selected + no.stats.selected + yes.stats.undecided + yes.stats.vanished + receiving(),
                      MESSAGES);
    free(yes.ids);
    free(no.ids);
}
END_TEST

/* --- messages of two files, with ids of all lengths --- */

enum { PAIRS = 400, PART_H = 0, PART_D = 1 };

/* Some are longer than what is compared first, some begin like others. */
static int pair_id(unsigned i, char id[64])
{
    unsigned k = i * 271 % PAIRS;

    if (k % 4 == 0)
        return snprintf(id, 64, "a-long-beginning-that-all-of-them-share-%u", k);
    return snprintf(id, 64, "%.*s%u", (int)(k % 4), "xyz", k / 4);
}

static int pair_list(struct spool *sp, unsigned sections, struct lq_error *err)
{
    size_t dir;

    (void)sections;
    (void)err;
    if (spool_add_dir(sp, "", "pairs", 0, &dir) != FILE_OK)
        return LQ_EIO;
    for (unsigned i = 0; i < 2 * PAIRS; i++) {
        char name[80];
        int n = pair_id(i % PAIRS, name);

        strcat(name, i < PAIRS ? "-D" : "-H");
        if (!listing_add(sp, dir, name, 0, (size_t)n, i < PAIRS ? PART_D : PART_H))
            return LQ_ENOMEM;
    }
    return LQ_OK;
}

/* The key, -H, first: not the order of names. */
static size_t pair_group(struct spool *sp, struct entry *e, size_t n, uint32_t *counts)
{
    (void)sp;
    if (n == 2 && e[0].role == PART_D) {
        struct entry d = e[0];

        e[0] = e[1];
        e[1] = d;
    }
    counts[0] = (uint32_t)n;
    return 1;
}

static const struct lq_backend pairs = { .name = "pairs", .usual_dirs = nowhere, .detect = air_detect, .list = pair_list, .group = pair_group };

static int by_id(const struct entry *a, const struct entry *b)
{
    int d = memcmp(a->id, b->id, a->id_len < b->id_len ? a->id_len : b->id_len);

    return d ? d : (int)a->id_len - (int)b->id_len;
}

static void check_pairs(const struct spool *sp, size_t count)
{
    ck_assert_uint_eq(listing_count(sp), count);
    for (size_t i = 0; i < count; i++) {
        const struct ref *ref = listing_ref(sp, i);

        ck_assert_uint_eq(ref->count, 2);
        ck_assert(!ref->twin);
        ck_assert_uint_eq(ref->entries[0].role, PART_H);
        ck_assert_uint_eq(ref->entries[1].role, PART_D);
        ck_assert_int_eq(by_id(&ref->entries[0], &ref->entries[1]), 0);
        ck_assert(i == 0 || by_id(&listing_ref(sp, i - 1)->entries[0], &ref->entries[0]) < 0);
    }
}

START_TEST(lists_by_id_and_finds_ids)
{
    struct lq_queue q = queue_of_air();
    struct lq_filter *few;
    struct lq_error err;
    struct spool sp;

    q.backend = &pairs;
    ck_assert_int_eq(listing_begin(&sp, &q, SEC_NAME, NULL, &err), LQ_OK);
    check_pairs(&sp, PAIRS);
    ck_assert_int_eq(lq_filter_new(&few, &err), LQ_OK);
    for (unsigned i = 0; i < 12; i++) {
        char id[64];

        pair_id(i * 31, id);
        ck_assert_int_eq(lq_filter_add(few, LQ_SEL_ID, id, &err), LQ_OK);
    }
    ck_assert_int_eq(lq_filter_add(few, LQ_SEL_ID, "nobody", &err), LQ_OK);
    ck_assert_int_eq(listing_narrow(&sp, SEC_NAME, few, &err), LQ_OK);
    check_pairs(&sp, 12);
    /* Of so few names each is asked about. */
    ck_assert_int_eq(listing_narrow(&sp, SEC_NAME, few, &err), LQ_OK);
    check_pairs(&sp, 12);
    listing_end(&sp);
    lq_filter_free(few);
    close(q.fd);
}
END_TEST

/* A second look gives what a new scan with these options would have given. */
START_TEST(again_is_as_anew)
{
    struct lq_queue q = queue_of_air();
    struct lq_scan_opts opts = { .size = sizeof(opts), .fields = LQ_FIELDS_ALL, .threads = thread_counts[_i] };
    struct result anew = select_with(LQ_SEL_SENDER, "odd@example.com", false, 1);
    const struct lq_record *rec;
    struct buf ids = { 0 };
    struct lq_filter *f;
    struct lq_error err;
    struct lq_scan *scan;

    ck_assert_int_eq(lq_filter_new(&f, &err), LQ_OK);
    ck_assert_int_eq(lq_filter_add(f, LQ_SEL_SENDER, "odd@example.com", &err), LQ_OK);
    ck_assert_int_eq(lq_scan_begin(&scan, &q, &opts, &err), LQ_OK);
    for (unsigned look = 0; look < 2; look++) {
        while (lq_scan_next(scan, &rec, &err) == LQ_OK)
            ;
        opts.filter = f;
        ck_assert_int_eq(lq_scan_again(scan, &opts, &err), LQ_OK);
    }
    while (lq_scan_next(scan, &rec, &err) == LQ_OK) {
        struct lq_str id = lq_record_text(rec, LQ_QUEUE_ID);

        buf_add(&ids, id.p, id.n);
        buf_add_char(&ids, lq_record_recipient_count(rec, LQ_RECIPIENTS) == 3000 ? '+' : ' ');
    }
    buf_add_char(&ids, '\0');
    ck_assert_str_eq(ids.p, anew.ids);
    ck_assert_uint_eq(lq_scan_stats(scan).selected, anew.stats.selected);
    ck_assert_uint_eq(lq_scan_stats(scan).vanished, anew.stats.vanished);
    lq_scan_end(scan);
    lq_filter_free(f);
    close(q.fd);
    buf_done(&ids);
    free(anew.ids);
}
END_TEST

/* What the name decides opens nothing: a message that would vanish when read is still named. */
START_TEST(ids_alone_read_nothing)
{
    struct result r = select_with(LQ_SEL_ID, "M00010", true, 1);

    ck_assert_uint_gt(r.stats.vanished, 0);     /* the output wanted fields, so it was read after all */
    free(r.ids);
    r = select_with(LQ_SEL_ID, "M00011", false, 1);
    ck_assert_str_eq(r.ids, "M00011 ");
    ck_assert_uint_eq(r.stats.vanished, 0);     /* nobody else was read */
    free(r.ids);
}
END_TEST

/* Each nearly large, and a buffer beside it; none of them is selected, or all of them. */
static void fat_read(struct reading *rd, unsigned sections)
{
    static const char text[64 << 10];

    if (sections & SEC_CONTROL) {
        ck_assert(rd->rec->arena.closed || arena_alloc(&rd->rec->arena, 900 << 10));
        for (unsigned i = 0; i < 4; i++)
            buf_add(&rd->headers, text, sizeof(text));
        record_set_text(rd->rec, LQ_SENDER, "", 0);
    }
}

static const struct lq_backend fat = {
    .name = "fat", .usual_dirs = nowhere, .detect = air_detect, .list = air_list, .group = air_group, .read = fat_read,
};

/* Blocks of this size are mapped, and mallinfo2() counts those of all threads. Under a sanitizer it counts none. */
static void watch(size_t *most)
{
    struct mallinfo2 now = mallinfo2();

    if (now.hblkhd > *most)
        *most = now.hblkhd;
}

START_TEST(what_waits_in_the_ring_has_a_budget)
{
    struct lq_queue q = queue_of_air();
    struct lq_scan_opts opts = { .size = sizeof(opts), .fields = LQ_FIELDS_ALL, .threads = thread_counts[_i] };
    struct lq_filter *filter = NULL;
    const struct lq_record *rec;
    struct lq_error err;
    struct lq_scan *scan;
    size_t most = 0;

    q.backend = &fat;
    mallopt(M_MMAP_THRESHOLD, 128 << 10);
    if (_i % 2) {
        ck_assert_int_eq(lq_filter_new(&filter, &err), LQ_OK);
        ck_assert_int_eq(lq_filter_add(filter, LQ_SEL_SENDER, "nobody", &err), LQ_OK);
        opts.filter = filter;
    }
    ck_assert_int_eq(lq_scan_begin(&scan, &q, &opts, &err), LQ_OK);
    while (lq_scan_next(scan, &rec, &err) == LQ_OK)
        watch(&most);
    watch(&most);
    ck_assert_uint_eq(lq_scan_stats(scan).selected, filter ? 0 : MESSAGES);
    ck_assert_uint_lt(most, 40 << 20);
    lq_scan_end(scan);
    lq_filter_free(filter);
    close(q.fd);
}
END_TEST

START_TEST(damaged_are_found)
{
    struct result r = select_with(LQ_SEL_DAMAGED, NULL, false, 2);

    ck_assert_ptr_nonnull(strstr(r.ids, "M00016"));
    ck_assert_ptr_null(strstr(r.ids, "M00015"));
    ck_assert_uint_eq(r.stats.undecided, 0);
    free(r.ids);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("scan");
    TCase *t = tcase_create("scan");
    SRunner *sr;
    int failed;

    tcase_set_timeout(t, 60);
    tcase_add_loop_test(t, same_order_for_any_threads, 0, 4);
    tcase_add_test(t, looks_again_once);
    tcase_add_test(t, lists_by_id_and_finds_ids);
    tcase_add_loop_test(t, ends_early_without_hanging, 0, 4);
    tcase_add_test(t, unreadable_is_selected_by_nobody);
    tcase_add_loop_test(t, again_is_as_anew, 0, 4);
    tcase_add_test(t, ids_alone_read_nothing);
    tcase_add_loop_test(t, what_waits_in_the_ring_has_a_budget, 0, 4);
    tcase_add_test(t, damaged_are_found);
    suite_add_tcase(s, t);
    sr = srunner_create(s);
    srunner_run_all(sr, CK_NORMAL);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed ? 1 : 0;
}
