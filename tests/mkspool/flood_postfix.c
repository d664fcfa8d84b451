/*
 * A message as Postfix 3.x stores it: one file of records, and a defer log beside it.
 */
#include "mail.h"

#include <string.h>

void postfix_skeleton(struct flood *f)
{
    static const char *const dirs[] = {
        "active", "bounce", "corrupt", "defer",   "deferred", "flush", "hold",
        "incoming", "maildrop", "private", "public", "saved", "trace",
    };

    f->tree.dir_mode = 0700;
    for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++)
        tree_dir(&f->tree, dirs[i], 0700, f->now);
    tree_dir(&f->tree, "pid", 0755, f->now);
}

static void put_record(struct buf *b, char type, const char *data, size_t n)
{
    size_t length = n;

    buf_char(b, type);
    do {
        buf_char(b, (int)((length & 0x7f) | (length > 0x7f ? 0x80 : 0)));
        length >>= 7;
    } while (length);
    buf_put(b, data, n);
}

static void put(struct buf *b, char type, const char *data)
{
    put_record(b, type, data, strlen(data));
}

static void attribute(struct buf *b, const char *name, const char *value)
{
    struct buf line = { 0 };

    buf_printf(&line, "%s=%s", name, value);
    put_record(b, 'A', line.p, line.n);
    buf_free(&line);
}

/* Short: microseconds and inode. Long: seconds, microseconds, z, inode, without vowels. */
static void make_id(const struct flood *f, const struct mail *m, struct buf *id)
{
    static const char consonants[] = "0123456789BCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz";
    const uint64_t inode = 0xA00000u + m->serial;

    if (!f->long_ids) {
        buf_printf(id, "%05X%lX", m->usec, (unsigned long)inode);
        return;
    }
    put_digits(id, (uint64_t)m->when, consonants, 52, 6);
    put_digits(id, m->usec, consonants, 52, 4);
    buf_char(id, 'z');
    put_digits(id, inode, consonants, 51, 1);
}

static void envelope(struct buf *b, const struct mail *m, const char *id)
{
    struct buf line = { 0 };

    buf_printf(&line, "%lld %u", (long long)m->when, m->usec);
    put_record(b, 'T', line.p, line.n);
    buf_reset(&line);
    buf_printf(&line, "%lld", (long long)m->when);
    attribute(b, "create_time", line.p);
    attribute(b, "log_ident", id);
    attribute(b, "rewrite_context", m->client_address[0] && !m->auth_user[0] ? "remote" : "local");
    if (m->auth_user[0]) {
        attribute(b, "sasl_method", "PLAIN");
        attribute(b, "sasl_username", m->auth_user);
    }
    if (!m->sender[0])
        attribute(b, "log_message_origin", "local");
    put(b, 'S', m->sender);
    if (m->client_address[0]) {
        const char *name = m->client_name[0] ? m->client_name : "unknown";

        buf_reset(&line);
        buf_printf(&line, "%s%s", strchr(m->client_address, ':') ? "IPv6:" : "", m->client_address);
        attribute(b, "log_client_name", name);
        attribute(b, "log_client_address", line.p);
        attribute(b, "log_client_port", "40777");
        attribute(b, "log_helo_name", m->helo);
        attribute(b, "log_protocol_name", "ESMTP");
        attribute(b, "client_name", name);
        attribute(b, "client_address", m->client_address);
        attribute(b, "client_port", "40777");
        attribute(b, "helo_name", m->helo);
        attribute(b, "protocol_name", "ESMTP");
    }
    buf_free(&line);
}

static void text(struct buf *b, const struct mail *m, const char *id)
{
    struct buf out = { 0 };
    const char *line, *end;

    if (m->client_address[0])
        buf_printf(&out, "Received: from %s (%s [%s%s])\n\tby " MAIL_HOST " (Postfix) with %s id %s;\n\t%s\n",
                   m->helo, m->client_name[0] ? m->client_name : "unknown",
                   strchr(m->client_address, ':') ? "IPv6:" : "", m->client_address, mail_protocol(m), id,
                   mail_date(m->when));
    else
        buf_printf(&out, "Received: by " MAIL_HOST " (Postfix%s)\n\tid %s; %s\n",
                   m->login ? ", from userid 33" : "", id, mail_date(m->when));
    buf_printf(&out, "%sFrom: %s\nTo: undisclosed-recipients:;\nSubject: %s\nMessage-Id: <%s@" MAIL_HOST ">\nDate: %s\n\n",
               m->headers ? m->headers : "", m->sender[0] ? m->sender : "MAILER-DAEMON@" MAIL_HOST, m->subject, id,
               mail_date(m->when));
    mail_body(m, &out);
    for (line = out.p; line < out.p + out.n; line = end + 1) {
        end = memchr(line, '\n', (size_t)(out.p + out.n - line));
        put_record(b, 'N', line, (size_t)(end - line));
    }
    buf_free(&out);
}

/* The size record has a fixed width: its place is kept at the start, and filled in last. */
static void sizes(struct buf *b, size_t content, size_t data, size_t rcpts)
{
    struct buf field = { 0 };

    buf_printf(&field, "%15zu %15zu %15zu %15d %15zu %15d", content, data, rcpts, 0, content, 0);
    put_record(b, 'C', field.p, field.n);
    buf_free(&field);
}

static void defer_log(struct flood *f, const struct mail *m, const char *path, const size_t *offsets)
{
    struct buf log = { 0 };

    for (size_t i = m->done_count; i < m->rcpt_count; i++)
        buf_printf(&log, "\n<%s>: %s\nrecipient=%s\noffset=%zu\nstatus=4.0.0\naction=delayed\nreason=%s\n\n",
                   m->rcpts[i], m->reason, m->rcpts[i], offsets[i], m->reason);
    tree_file(&f->tree, path, &log, 0600, m->last_attempt);
    buf_free(&log);
}

void postfix_write(struct flood *f, const struct mail *m)
{
    static const char *const queues[] = { "incoming", "active", "deferred", "hold" };
    size_t offsets[MAX_RCPTS], data, content;
    struct buf head = { 0 }, file = { 0 }, id = { 0 }, path = { 0 }, hash = { 0 };

    make_id(f, m, &id);
    if (m->state == MAIL_DEFERRED && !f->flat)
        buf_printf(&hash, "%c/", "0123456789ABCDEF"[m->usec >> 16]);
    else
        buf_put(&hash, "", 0);
    sizes(&file, 0, 0, 0);
    envelope(&file, m, id.p);
    for (size_t i = 0; i < m->rcpt_count; i++) {
        put(&file, 'O', m->rcpts[i]);
        offsets[i] = file.n;
        put(&file, i < m->done_count ? 'D' : 'R', m->rcpts[i]);
    }
    put(&file, 'M', "");
    data = file.n;
    text(&file, m, id.p);
    content = file.n - data;
    put(&file, 'X', "");
    put(&file, 'E', "");
    sizes(&head, content, data, m->rcpt_count);
    memcpy(file.p, head.p, head.n);

    buf_printf(&path, "%s/%s%s", queues[m->state], hash.p, id.p);
    tree_file(&f->tree, path.p, &file, 0700, m->state == MAIL_DEFERRED ? m->next_attempt : m->when);
    if (m->state == MAIL_DEFERRED) {
        buf_reset(&path);
        buf_printf(&path, "defer/%s%s", hash.p, id.p);
        defer_log(f, m, path.p, offsets);
    }
    buf_free(&head);
    buf_free(&file);
    buf_free(&id);
    buf_free(&path);
    buf_free(&hash);
}
