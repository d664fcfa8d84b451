/*
 * Freezing an Exim message: any -H that is accepted can be frozen, is frozen then and says nothing else, and thawed has its bytes
 * back but for the line that says so. The file's name is what its first line says.
 */
#include <stdlib.h>
#include <string.h>

#include "exim.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

static void demand(bool fact)
{
    if (!fact)
        abort();
}

static struct claim claim_of(struct bytes key)
{
    struct claim c = { .n = 1, .lock = -1, .lock2 = -1 };
    size_t n = bytes_find(key, '\n');

    strcpy(c.parts[0].name, "1xUroU-0003xZ-2Y-H");
    if (n > EXIM_SUFFIX && exim_is_id((const char *)key.p, n - EXIM_SUFFIX)) {
        memcpy(c.parts[0].name, key.p, n - EXIM_SUFFIX);
        strcpy(c.parts[0].name + n - EXIM_SUFFIX, "-H");
    }
    c.parts[0].role = PART_HEADER;
    return c;
}

static enum hold_result hold(struct bytes key, bool on, struct held *out)
{
    static char path[] = "input";
    struct spool_dir dir = { .path = path, .fd = -1, .queue_name = "default" };
    struct spool sp = { .backend = &exim_backend, .fd = -1, .dirs = &dir, .dir_count = 1 };
    struct claim c = claim_of(key);
    enum hold_result r = exim_actor.hold(&sp, &c, key, on, NULL, 7, out);

    demand(r == HOLD_DO ? out->rewritten && out->bytes.n > 0 : out->why[0] != '\0' && out->bytes.n == 0);
    return r;
}

static struct bytes bytes_of(const struct held *h)
{
    return bytes_from(h->bytes.p, h->bytes.n);
}

/* Everything that the file says but whether it is frozen, and where in the file something else is wrong. */
static void tell(struct bytes key, struct buf *out)
{
    const uint64_t fields = LQ_FIELDS_ALL & ~(LQ_FIELD_BIT(LQ_STATE) | LQ_FIELD_BIT(LQ_PROBLEMS) | LQ_FIELD_BIT(LQ_ATTEMPTS));
    struct claim c = claim_of(key);
    struct buf headers = { .limit = RECORD_HEADERS_MAX }, names = { 0 }, nodes = { 0 };
    struct source src = { 0 };
    struct lq_record rec;
    struct exim_parse p = {
        .rec = &rec, .src = &src, .dir = "input", .name = c.parts[0].name,
        .id = bytes_from(c.parts[0].name, strlen(c.parts[0].name) - EXIM_SUFFIX), .want = fields, .headers = &headers, .names = &names, .nodes = &nodes,
    };
    struct lq_error err;
    struct lq_str json;

    memset(&rec, 0, sizeof(rec));
    record_reset(&rec);
    source_memory(&src, key.p, key.n);
    exim_parse_header(&p);
    rec.have = SEC_ALL;
    demand(lq_record_json(&rec, fields, &json, &err) == LQ_OK);
    buf_add(out, json.p, json.n);
    buf_add(out, headers.p, headers.n);
    record_done(&rec);
    buf_done(&headers);
    buf_done(&names);
    buf_done(&nodes);
}

static void same_facts(struct bytes a, struct bytes b)
{
    struct buf x = { 0 }, y = { 0 };

    tell(a, &x);
    tell(b, &y);
    demand(x.n == y.n && (x.n == 0 || memcmp(x.p, y.p, x.n) == 0));
    buf_done(&x);
    buf_done(&y);
}

/* more is less with `line` put in somewhere. */
static void put_in(struct bytes less, struct bytes more, struct bytes line)
{
    size_t at = 0;

    demand(more.n == less.n + line.n);
    while (at < less.n && less.p[at] == more.p[at])
        at++;
    /* The line may begin like what it was put before: then the first difference comes later. */
    for (size_t back = 0; back <= at && back <= line.n; back++)
        if (memcmp(more.p + at - back, line.p, line.n) == 0 && memcmp(more.p + at - back + line.n, less.p + at - back, less.n - at + back) == 0)
            return;
    demand(false);
}

static void thaw(struct bytes frozen, struct held *out)
{
    struct held again = { 0 };

    demand(hold(frozen, true, &again) == HOLD_ALREADY);
    demand(hold(frozen, false, out) == HOLD_DO);
    demand(hold(bytes_of(out), false, &again) == HOLD_ALREADY);
    same_facts(frozen, bytes_of(out));
    buf_done(&again.bytes);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    struct held on = { 0 }, off = { 0 };
    struct bytes key = bytes_from(data, size);

    switch (hold(key, true, &on)) {
    case HOLD_DO:
        demand(hold(key, false, &off) == HOLD_ALREADY);
        same_facts(key, bytes_of(&on));
        thaw(bytes_of(&on), &off);
        if (!memmem(key.p, key.n, "manual_thaw", strlen("manual_thaw"))) {
            put_in(key, bytes_of(&on), BYTES("-frozen 7\n"));
            put_in(key, bytes_of(&off), BYTES("-manual_thaw\n"));
        }
        break;
    case HOLD_ALREADY:
        thaw(key, &off);
        break;
    default:
        demand(hold(key, false, &off) == HOLD_REFUSED);
    }
    buf_done(&on.bytes);
    buf_done(&off.bytes);
    return 0;
}
