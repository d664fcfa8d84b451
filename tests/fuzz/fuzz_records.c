/*
 * Feeds lines of JSON as records: read line by line through a scan with a filter. What is written from a record that was read must be read again, and
 * written the same.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ndjson.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Read the text into out and write it again; NULL when it is no record. The text is the record's. */
static const char *again(struct lq_record *out, const char *text, size_t n)
{
    struct ndjson_why why;
    struct lq_str json;

    record_reset(out);
    if (!ndjson_record(out, text, n, &why)) {
        if (why.text[0] == '\0' || strchr(why.text, '\n') || strchr(why.text, '\x1b'))
            abort();
        return NULL;
    }
    if (lq_record_json(out, LQ_FIELDS_ALL, &json, NULL) != LQ_OK || strlen(json.p) != json.n)
        abort();
    return json.p;
}

static void round_trip(const char *line, size_t n)
{
    static struct lq_record first, second, third;
    const char *one = again(&first, line, n), *two, *three;

    if (!one)
        return;
    /* Bytes that are no UTF-8 may come in escapes, and become those of a field only when they are written. */
    two = again(&second, one, strlen(one));
    three = two ? again(&third, two, strlen(two)) : NULL;
    if (!three || strcmp(two, three) != 0)
        abort();
}

static void scan(const uint8_t *data, size_t size)
{
    static struct lq_filter *filter;
    struct lq_scan_opts opts = { .size = sizeof(opts), .now = 1795293358 };
    const struct lq_record *rec;
    struct lq_queue *q;
    struct lq_scan *s;
    char path[40];
    int fd = memfd_create("records", MFD_CLOEXEC);

    if (fd < 0 || write(fd, data, size) != (ssize_t)size)
        abort();
    if (!filter && (lq_filter_new(&filter, NULL) < 0 || lq_filter_add(filter, LQ_SEL_SENDER, "/a/", NULL) < 0 ||
                    lq_filter_add(filter, LQ_SEL_RECIPIENT_ALL, "@b", NULL) < 0 || lq_filter_add(filter, LQ_SEL_YOUNGER, "1d", NULL) < 0))
        abort();
    lq_filter_invert(filter);
    opts.filter = filter;
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    if (lq_records_open(&q, path, NULL) < 0 || lq_scan_begin(&s, q, &opts, NULL) < 0)
        abort();
    while (lq_scan_next(s, &rec, NULL) == LQ_OK)
        for (enum lq_field f = 0; f < LQ_FIELD_COUNT; f++)
            lq_record_has(rec, f);
    if (lq_scan_stats(s).troubles > 0 && !lq_scan_trouble(s, 0))
        abort();
    lq_scan_end(s);
    lq_queue_close(q);
    close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *p = (const char *)data, *end = p + size;

    scan(data, size);
    while (p < end) {
        const char *newline = memchr(p, '\n', (size_t)(end - p)), *stop = newline ? newline : end;

        round_trip(p, (size_t)(stop - p));
        p = stop + 1;
    }
    return 0;
}
