/*
 * What the log adds to a record: its lines, and the few fields that only the log knows. They are given beside the record, never
 * inside it, so that nothing which selects messages to act on can take them for what the queue says.
 */
#include <stdlib.h>

#include "json.h"
#include "maillog_find.h"
#include "record.h"

struct facts {
    struct buf user, method;
    bool has_login, came_in;
    uint64_t *put_off;          /* hashes of recipients, one for each delivery that was put off */
    size_t n, cap;
};

/* --- the login --- */

static void set(struct buf *b, struct bytes text)
{
    buf_reset(b, 4096);
    if (text.p)
        buf_add(b, text.p, text.n);
}

static struct bytes last_of(const struct maillog_line *l, const char *mark)
{
    struct bytes found = { NULL, 0 }, b = l->rest;
    const unsigned char *at;

    while ((at = memmem(b.p, b.n, mark, strlen(mark)))) {
        b = bytes_skip(b, (size_t)(at - b.p) + strlen(mark));
        found = bytes_from(b.p, bytes_find(b, ','));
    }
    return found;
}

/* Sendmail: the login line counts where the message says that it came with authentication, from the same client. */
static void sendmail_arrival(struct facts *f, const struct maillog_line *l, const struct buf *relay)
{
    struct bytes proto = last_of(l, ", proto="), here = maillog_relay(l);
    bool same = here.p && relay->n == here.n && relay->n > 0 && memcmp(relay->p, here.p, here.n) == 0;

    f->came_in = true;
    f->has_login &= same && proto.n > 0 && proto.p[proto.n - 1] == 'A';
}

static void learn_login(struct facts *f, const struct maillog_line *l, enum maillog_event event, struct buf *relay)
{
    struct maillog_login login = maillog_login(l);

    if (event == MAILLOG_LOGIN && login.user.p && !f->came_in) {
        set(&f->user, login.user);
        set(&f->method, login.method);
        set(relay, maillog_relay(l));
        f->has_login = true;
    }
    if (event != MAILLOG_ARRIVAL)
        return;
    if (l->form == MAILLOG_SYSLOG) {
        sendmail_arrival(f, l, relay);
        return;
    }
    f->came_in = true;
    f->has_login = login.user.p != NULL && login.user.n > 0;
    set(&f->user, login.user);
    set(&f->method, login.method);
}

/* --- attempts --- */

static void learn_put_off(struct facts *f, struct bytes recipient)
{
    uint64_t h = UINT64_C(14695981039346656037);
    uint64_t *more;

    if (!recipient.p)
        return;
    for (size_t i = 0; i < recipient.n; i++)
        h = (h ^ recipient.p[i]) * UINT64_C(1099511628211);
    if (f->n == f->cap) {
        size_t cap = f->cap ? f->cap * 2 : 64;

        more = realloc(f->put_off, cap * sizeof(*more));
        if (!more)
            return;
        f->put_off = more;
        f->cap = cap;
    }
    f->put_off[f->n++] = h;
}

static int compare(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

/* As many as the recipient who was tried most often. */
static int64_t attempts(struct facts *f)
{
    size_t most = 0, run = 0;

    if (f->n > 1)
        qsort(f->put_off, f->n, sizeof(*f->put_off), compare);
    for (size_t i = 0; i < f->n; i++) {
        run = i > 0 && f->put_off[i] == f->put_off[i - 1] ? run + 1 : 1;
        most = run > most ? run : most;
    }
    return (int64_t)most;
}

/* --- all of it --- */

static bool about_it(const struct lq_log *log, const struct maillog_line *l)
{
    return bytes_eq(l->id, bytes_from(log->about->id, log->about->id_len));
}

static void learn(struct lq_log *log, struct facts *f)
{
    struct buf relay = { 0 };

    for (size_t i = 0; i < log->gathered_count; i++) {
        struct maillog_line l;
        enum maillog_event event;

        if (!maillog_parse(maillog_text(log, log->gathered[i]), &l))
            continue;
        event = maillog_event(&l);
        if (about_it(log, &l)) {
            learn_login(f, &l, event, &relay);
            f->came_in |= event == MAILLOG_BIRTH;
            learn_put_off(f, maillog_put_off(&l));
        } else if (event == MAILLOG_LOGIN) {
            learn_login(f, &l, event, &relay);
        }
    }
    buf_done(&relay);
}

static bool lacks(const struct lq_record *rec, enum lq_field f)
{
    return lq_record_has(rec, f) != LQ_PRESENT;
}

/* What the log tells and the record does not; n == 0: nothing. */
static void tell(struct facts *f, const struct lq_record *rec, enum lq_field field, struct buf *out)
{
    buf_reset(out, 4096);
    if (!f->came_in || !lacks(rec, field))
        return;
    if (field == LQ_AUTH_USER && f->has_login)
        buf_add(out, f->user.p, f->user.n);
    /* A method of the log does not go with a user of the queue. */
    if (field == LQ_AUTH_METHOD && f->has_login && lacks(rec, LQ_AUTH_USER))
        buf_add(out, f->method.p, f->method.n);
    /* Of a log that begins later than the message nobody can tell how many there were. */
    if (field == LQ_ATTEMPTS && f->n > 0)
        buf_printf(out, "%lld", (long long)attempts(f));
}

static void facts_done(struct facts *f)
{
    buf_done(&f->user);
    buf_done(&f->method);
    free(f->put_off);
}

struct lq_str lq_log_field(struct lq_log *log, const struct lq_record *rec, enum lq_field field)
{
    struct facts f = { .n = 0 };

    if (log->about)
        learn(log, &f);
    tell(&f, rec, field, &log->json);
    facts_done(&f);
    return log->json.n > 0 ? (struct lq_str){ log->json.p, log->json.n } : (struct lq_str){ NULL, 0 };
}

static void add_fields(struct buf *out, const struct lq_record *rec, struct facts *f)
{
    static const enum lq_field fields[] = { LQ_AUTH_USER, LQ_AUTH_METHOD, LQ_ATTEMPTS };
    struct buf value = { 0 };
    size_t before = out->n;

    buf_add_str(out, "\"log_fields\":{");
    for (size_t i = 0; i < sizeof(fields) / sizeof(*fields); i++) {
        tell(f, rec, fields[i], &value);
        if (value.n > 0 && lq_field_type(fields[i]) == LQ_TYPE_NUMBER)
            json_number(out, lq_field_name(fields[i]), attempts(f));
        else if (value.n > 0)
            json_bytes(out, lq_field_name(fields[i]), (struct lq_str){ value.p, value.n });
    }
    buf_done(&value);
    if (out->n > 0 && out->p[out->n - 1] == '{')
        out->n = before;
    else
        buf_add_str(out, "},");
}

static void add_lines(struct lq_log *log, struct buf *out)
{
    struct lq_log_line line;

    buf_add_str(out, "\"log\":[");
    for (size_t i = 0; lq_log_line(log, i, &line); i++) {
        buf_add_str(out, i > 0 ? ",{" : "{");
        json_text(out, "file", line.file);
        json_number(out, "line", (int64_t)line.number);
        if (line.has_time)
            json_number(out, "time", line.time);
        json_bytes(out, "text", line.text);
        if (line.cut)
            buf_add_str(out, ",\"cut\":true");
        buf_add_char(out, '}');
    }
    buf_add_char(out, ']');
}

int lq_log_json(struct lq_log *log, const struct lq_record *rec, struct lq_str *out, struct lq_error *err)
{
    struct facts f = { .n = 0 };

    buf_reset(&log->json, 65536);
    if (log->about)
        learn(log, &f);
    add_fields(&log->json, rec, &f);
    add_lines(log, &log->json);
    facts_done(&f);
    *out = (struct lq_str){ log->json.p, log->json.n };
    return log->json.failed ? error_memory(err) : LQ_OK;
}
