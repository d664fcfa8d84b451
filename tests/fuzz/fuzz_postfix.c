/*
 * Feeds the Postfix parsers: a queue file in several places and modes, then its message, in one of them also
 * through a small window, which must tell the same; what begins like a delivery log is also read as one, for a message with recipients.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "alone.h"
#include "engine.h"
#include "header.h"
#include "postfix.h"
#include "postfix_walk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct postfix_spool owner = { .mail_owner = 105, .owner_known = true };
static struct spool_dir dirs[] = {
    [PF_MAILDROP] = { .path = (char[]){ "maildrop" }, .fd = -1, .queue_name = "maildrop", .tag = PF_MAILDROP },
    [PF_INCOMING] = { .path = (char[]){ "incoming" }, .fd = -1, .queue_name = "incoming", .tag = PF_INCOMING },
    [PF_ACTIVE] = { .path = (char[]){ "active" }, .fd = -1, .queue_name = "active", .tag = PF_ACTIVE },
    [PF_DEFERRED] = { .path = (char[]){ "deferred" }, .fd = -1, .queue_name = "deferred", .tag = PF_DEFERRED },
    [PF_HOLD] = { .path = (char[]){ "hold" }, .fd = -1, .queue_name = "hold", .tag = PF_HOLD },
    [PF_CORRUPT] = { .path = (char[]){ "corrupt" }, .fd = -1, .queue_name = "corrupt", .tag = PF_CORRUPT },
    [PF_DEFER] = { .path = (char[]){ "defer" }, .fd = -1, .queue_name = "defer", .tag = PF_DEFER },
    [PF_BOUNCE] = { .path = (char[]){ "bounce" }, .fd = -1, .queue_name = "bounce", .tag = PF_BOUNCE },
};
static struct spool spool = {
    .backend = &postfix_backend, .root = (char[]){ "/q" }, .fd = -1, .clock = 1136300000, .dirs = dirs, .dir_count = 8,
    .own = &owner,
};

/* A message with pending recipients at 0, 17 and 34, for logs to name. */
static const char three[] = "R\017lee@example.netR\017odd@example.netR\017mo@example.net\0S\003a@bM\0";

#define SHORT_ID "0D431A0B0C1"

static const struct kind {
    enum postfix_dir dir;
    mode_t mode;
    uid_t uid;
    const char *id;
    nlink_t links;
} kinds[] = {
    { PF_DEFERRED, 0700, 105, SHORT_ID, 1 },
    { PF_MAILDROP, 0744, 1000, SHORT_ID, 1 },
    { PF_INCOMING, 0600, 105, SHORT_ID, 1 },
    { PF_CORRUPT, 0400, 105, "4jX48y4ynDz1blN8", 1 },
    { PF_HOLD, 0400, 105, SHORT_ID, 2 },
};

static int ignore(void *ctx, const void *p, size_t n)
{
    (void)p;
    *(size_t *)ctx += n;
    return 0;
}

/* window 0: from memory. */
static void parse(struct reading *rd, struct lq_record *rec, const struct kind *kind, const void *data, size_t size, size_t window,
                  uint64_t want)
{
    static struct entry entries[3];
    static struct ref ref = { entries, 3, false };
    struct stat st = { .st_mode = S_IFREG | kind->mode, .st_uid = kind->uid, .st_mtime = 1136299000, .st_size = (off_t)size,
                       .st_nlink = kind->links };
    uint8_t len = (uint8_t)strlen(kind->id);

    entries[0] = (struct entry){ .name = kind->id, .id = kind->id, .dir = (uint16_t)kind->dir, .id_len = len, .role = (uint8_t)kind->dir };
    entries[1] = (struct entry){ .name = kind->id, .id = kind->id, .dir = PF_DEFER, .id_len = len, .role = PF_DEFER };
    entries[2] = (struct entry){ .name = kind->id, .id = kind->id, .dir = PF_BOUNCE, .id_len = len, .role = PF_BOUNCE };
    reading_begin(rd, &ref, rec, want);
    if (window == 0) {
        source_memory(&rd->src, data, size);
    } else {
        rd->fd = memfd_create("fuzz", MFD_CLOEXEC);
        rd->src.first = rd->src.view = window;
        if (rd->fd < 0 || write(rd->fd, data, size) != (ssize_t)size || source_file(&rd->src, rd->fd, size) < 0)
            abort();
    }
    postfix_parse(rd, &st, kind->dir);
    header_fields(rec, bytes_from(rd->headers.p, rd->headers.n), rd->want);
}

static struct lq_str finish(struct lq_record *rec)
{
    struct lq_str json = { NULL, 0 };
    struct lq_error err;

    rec->have |= SEC_CONTROL | SEC_SIZE | SEC_LOG;
    lq_record_json(rec, LQ_FIELDS_ALL, &json, &err);
    return json;
}

/* The same file through a window. */
static void compare(const struct kind *kind, const uint8_t *data, size_t size, struct lq_str expected, size_t expected_sent)
{
    static struct reading rd;
    static struct lq_record rec;
    struct lq_str json;
    size_t sent = 0;

    if (!rd.spool)
        reading_init(&rd, &spool);
    parse(&rd, &rec, kind, data, size, 1 + size % 64, LQ_FIELDS_ALL);
    if (rec.scratch[NOTE_CONTENT] > 0)
        postfix_walk_message(&rd.src, rec.scratch[NOTE_CONTENT], ignore, &sent);
    json = finish(&rec);
    if (json.n != expected.n || memcmp(json.p, expected.p, json.n) != 0 || sent != expected_sent) {
        fprintf(stderr, "memory: %s\nwindow: %s\n", expected.p, json.p);
        abort();
    }
    reading_end(&rd);
}

static void alone(const struct kind *kind, const uint8_t *data, size_t size, const struct lq_record *all)
{
    static struct reading rd;
    static struct lq_record rec;

    if (!rd.spool)
        reading_init(&rd, &spool);
    parse(&rd, &rec, kind, data, size, 0, ALONE_FIELDS);
    same_alone(all, &rec);
    reading_end(&rd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct reading rd;
    static struct lq_record rec;
    struct stat st = { .st_mode = S_IFREG | 0600, .st_mtime = 1136299000, .st_size = (off_t)size };
    size_t sent = 0;

    if (!rd.spool)
        reading_init(&rd, &spool);
    if (size > 0 && (data[0] == '\n' || data[0] == '<')) {
        parse(&rd, &rec, &kinds[0], three, sizeof(three) - 1, 0, LQ_FIELDS_ALL);
        for (unsigned log = 1; log <= 2; log++) {
            source_memory(&rd.src, data, size);
            postfix_log(&rd, &rd.ref->entries[log], &st);
        }
        finish(&rec);
        return 0;
    }
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        struct lq_str json;

        sent = 0;
        parse(&rd, &rec, &kinds[i], data, size, 0, LQ_FIELDS_ALL);
        if (rec.scratch[NOTE_CONTENT] > 0)
            postfix_walk_message(&rd.src, rec.scratch[NOTE_CONTENT], ignore, &sent);
        json = finish(&rec);
        if (i == size % (sizeof(kinds) / sizeof(kinds[0])))
            compare(&kinds[i], data, size, json, sent);
        alone(&kinds[i], data, size, &rec);
    }
    return 0;
}
