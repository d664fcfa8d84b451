/*
 * Sendmail control files: any bytes make a record, and the same one whether they come from memory or through a
 * small window over a file.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "alone.h"
#include "header.h"
#include "sendmail.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct told {
    struct lq_record rec;
    struct sendmail_control control;
    struct buf headers, tmp, tmp2;
    struct lq_str json;
};

static void parse(struct told *t, struct source *s, uint64_t want)
{
    struct sendmail_input in = {
        .src = s, .path = "qf", .want = want, .headers = &t->headers, .tmp = &t->tmp, .tmp2 = &t->tmp2,
    };

    memset(t, 0, sizeof(*t));
    t->headers.limit = RECORD_HEADERS_MAX;
    record_reset(&t->rec);
    sendmail_parse(&t->rec, &in, &t->control);
    header_fields(&t->rec, bytes_from(t->headers.p, t->headers.n), want);
    t->rec.have = SEC_ALL;
    if (lq_record_json(&t->rec, LQ_FIELDS_ALL, &t->json, NULL) != LQ_OK)
        abort();
}

static void told_done(struct told *t)
{
    record_done(&t->rec);
    buf_done(&t->headers);
    buf_done(&t->tmp);
    buf_done(&t->tmp2);
}

static bool same(const struct told *a, const struct told *b)
{
    return a->json.n == b->json.n && memcmp(a->json.p, b->json.p, a->json.n) == 0 && a->headers.n == b->headers.n &&
           (a->headers.n == 0 || memcmp(a->headers.p, b->headers.p, a->headers.n) == 0) &&
           a->control.complete == b->control.complete && a->control.refused == b->control.refused;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int fd = -1;
    struct source whole = { 0 }, window = { .first = 1 + size % 61, .view = 1 + size % 97 };
    struct told a, b, few;

    if (fd < 0)
        fd = memfd_create("qf", MFD_CLOEXEC);
    if (fd < 0 || ftruncate(fd, 0) < 0 || pwrite(fd, data, size, 0) != (ssize_t)size)
        abort();
    source_memory(&whole, data, size);
    parse(&a, &whole, LQ_FIELDS_ALL);
    if (source_file(&window, fd, size) < 0)
        abort();
    parse(&b, &window, LQ_FIELDS_ALL);
    if (!same(&a, &b))
        abort();
    source_memory(&whole, data, size);
    parse(&few, &whole, ALONE_FIELDS);
    same_alone(&a.rec, &few.rec);
    told_done(&a);
    told_done(&b);
    told_done(&few);
    source_done(&window);
    return 0;
}
