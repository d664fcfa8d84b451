/*
 * Exim's files as a stranger might write them: a -H with a -J and a message log behind it, in memory and through a small window,
 * which must tell the same. The input is the three, separated by the byte 0x01 in a line of its own.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "alone.h"
#include "exim.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

enum { FILES = 3 };

struct run {
    struct lq_record rec;
    struct source src;
    struct buf headers, names, nodes;
    struct exim_parse p;
};

static void parse_file(struct run *run, struct bytes file, size_t window, void (*parse)(struct exim_parse *))
{
    int fd = -1;

    if (window == 0) {
        source_memory(&run->src, file.p, file.n);
    } else {
        fd = memfd_create("fuzz", MFD_CLOEXEC);
        run->src.first = run->src.view = window;
        if (fd < 0 || write(fd, file.p, file.n) != (ssize_t)file.n || source_file(&run->src, fd, file.n) < 0)
            abort();
    }
    parse(&run->p);
    if (fd >= 0)
        close(fd);
}

static int piece(void *ctx, const void *p, size_t n)
{
    (void)p;
    *(size_t *)ctx += n;
    return 0;
}

static void parse_all(struct run *run, const struct bytes *files, size_t window, size_t done_max, uint64_t want)
{
    memset(run, 0, sizeof(*run));
    record_reset(&run->rec);
    run->headers.limit = RECORD_HEADERS_MAX;
    run->p = (struct exim_parse){
        .rec = &run->rec, .src = &run->src, .dir = "input", .name = "fuzz", .id = BYTES("1xUroU-0003xZ-2Y"), .want = want,
        .headers = &run->headers, .names = &run->names, .nodes = &run->nodes,
        .done_max = done_max,
    };
    if (files[1].n > 0) {
        parse_file(run, files[1], window, exim_parse_journal);
        run->p.tried = true;
    }
    parse_file(run, files[0], window, exim_parse_header);
    /* What the body is rebuilt from: the same items once more. */
    if (run->p.whole && window == 0 && want == LQ_FIELDS_ALL) {
        uint64_t off = run->p.items_at, live;
        size_t n = 0;
        enum exim_item item;

        do
            item = exim_header_item(&run->src, &off, &live, piece, &n);
        while (item == EXIM_ITEM_GOOD || item == EXIM_ITEM_NUL);
        if (n != run->headers.n || n != run->p.live)
            abort();
    }
    run->rec.have = SEC_NAME | SEC_CONTROL | SEC_SIZE;
    if (files[2].n > 0)
        parse_file(run, files[2], window, exim_parse_log);
    run->rec.have |= SEC_LOG;
}

static void run_done(struct run *run)
{
    record_done(&run->rec);
    source_done(&run->src);
    buf_done(&run->headers);
    buf_done(&run->names);
    buf_done(&run->nodes);
}

static void compare(struct run *a, struct run *b)
{
    struct lq_str x, y;
    struct lq_error err;

    if (lq_record_json(&a->rec, LQ_FIELDS_ALL, &x, &err) != LQ_OK || lq_record_json(&b->rec, LQ_FIELDS_ALL, &y, &err) != LQ_OK)
        abort();
    if (x.n != y.n || memcmp(x.p, y.p, x.n) != 0 || a->rec.broken != b->rec.broken || a->p.live != b->p.live ||
        a->headers.n != b->headers.n || (x.n && a->headers.n && memcmp(a->headers.p, b->headers.p, a->headers.n) != 0)) {
        fprintf(stderr, "memory: %s\nwindow: %s\n", x.p, y.p);
        abort();
    }
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    struct bytes files[FILES], rest = bytes_from(data, size);
    struct run memory, window, few;

    for (size_t i = 0; i < FILES; i++) {
        const unsigned char *at = i + 1 < FILES && rest.n > 0 ? memmem(rest.p, rest.n, "\x01\n", 2) : NULL;

        files[i] = bytes_from(rest.p, at ? (size_t)(at - rest.p) : rest.n);
        rest = bytes_skip(rest, files[i].n + (at ? 2 : 0));
    }
    /* Lists of delivered addresses that reach their limit are larger than inputs. */
    parse_all(&memory, files, 0, size % 2 ? 0 : 200, LQ_FIELDS_ALL);
    parse_all(&window, files, 1 + size % 64, size % 2 ? 0 : 200, LQ_FIELDS_ALL);
    parse_all(&few, files, size % 3 ? 0 : 1 + size % 64, size % 2 ? 0 : 200, ALONE_FIELDS);
    compare(&memory, &window);
    same_alone(&memory.rec, &few.rec);
    run_done(&memory);
    run_done(&window);
    run_done(&few);
    return 0;
}
