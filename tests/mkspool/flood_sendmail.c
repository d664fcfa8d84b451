/*
 * A message as Sendmail 8.17 stores it (V8), in four queue directories with qf and df apart, or
 * flat in one. The site stores ${auth_authen}, which is not the default: without it nobody could
 * name the account.
 */
#include "mail.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum { QUEUES = 4 };

void sendmail_skeleton(struct flood *f)
{
    char path[16];

    f->tree.dir_mode = 0750;
    for (int i = 1; i <= QUEUES && !f->flat; i++) {
        snprintf(path, sizeof(path), "q%d/qf", i);
        tree_dir(&f->tree, path, 0750, f->now);
        snprintf(path, sizeof(path), "q%d/df", i);
        tree_dir(&f->tree, path, 0750, f->now);
        snprintf(path, sizeof(path), "q%d/xf", i);
        tree_dir(&f->tree, path, 0750, f->now);
    }
}

/* Year, month, day, hour, minute, second and a sequence number in base 60, and the process id. */
static void make_id(const struct mail *m, struct buf *id)
{
    time_t when = (time_t)m->when;
    struct tm tm;

    gmtime_r(&when, &tm);
    const int parts[] = { tm.tm_year % 60, tm.tm_mon, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec };
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
        put_digits(id, (uint64_t)parts[i], digits_62, 60, 1);
    put_digits(id, m->serial % 3600, digits_62, 60, 2);
    buf_printf(id, "%06u", 1000 + m->serial / 3600);
}

static void envelope(struct buf *b, const struct mail *m)
{
    buf_printf(b, "V8\nT%lld\nK%lld\nN%u\nP%zu\n", (long long)m->when, (long long)m->last_attempt, m->attempts,
               m->body_size + 30000 * m->rcpt_count);
    if (m->state == MAIL_HELD)
        buf_printf(b, "q%s\n", m->reason);
    if (m->state == MAIL_DEFERRED)
        buf_printf(b, "MDeferred: %s\n", m->reason);
    buf_printf(b, "F%ss\n", m->sender[0] ? "" : "r");
    if (m->client_address[0]) {
        const char *v6 = strchr(m->client_address, ':') ? "IPv6:" : "";

        buf_printf(b, "$_%s%s[%s%s]\n", m->client_name, m->client_name[0] ? " " : "", v6, m->client_address);
        buf_printf(b, "$r%s\n$s%s\n", mail_protocol(m), m->helo);
    } else if (m->login) {
        buf_printf(b, "$_%s@localhost\n", m->login);
    } else {
        buf_printf(b, "$_localhost\n$r\n$slocalhost\n");
    }
    buf_printf(b, "${daemon_flags}\n");
    if (m->auth_user[0])
        buf_printf(b, "${auth_authen}%s\n${auth_type}PLAIN\n", m->auth_user);
    if (m->sender[0])
        buf_printf(b, "S<%s>\n", m->sender);
    else
        buf_printf(b, "SMAILER-DAEMON\n");
    for (size_t i = m->done_count; i < m->rcpt_count; i++) {
        if (m->state == MAIL_DEFERRED)
            buf_printf(b, "MDeferred: %s\n", m->reason);
        buf_printf(b, "rRFC822; %s\nRPFD:<%s>\n", m->rcpts[i], m->rcpts[i]);
    }
}

static void headers(struct buf *b, const struct mail *m, const char *id)
{
    const char *date = mail_date(m->when);

    buf_printf(b, "H?P?Return-Path: <\x81g>\n");
    if (m->client_address[0])
        buf_printf(b,
                   "H??Received: from %s (%s%s[%s%s])\n\tby " MAIL_HOST
                   " (8.17.1.9/8.17.1.9) with %s id %s;\n\t%s\n",
                   m->helo, m->client_name, m->client_name[0] ? " " : "",
                   strchr(m->client_address, ':') ? "IPv6:" : "", m->client_address, mail_protocol(m), id, date);
    else if (m->login)
        buf_printf(b, "H??Received: (from %s@localhost)\n\tby " MAIL_HOST " (8.17.1.9/8.17.1.9/Submit) id %s;\n\t%s\n",
                   m->login, id, date);
    else
        buf_printf(b, "H??Received: from localhost (localhost)\n\tby " MAIL_HOST " (8.17.1.9/8.17.1.9) id %s;\n\t%s\n",
                   id, date);
    buf_printf(b, "H?D?Date: %s\nH??From: %s\nH??To: undisclosed-recipients:;\n", date,
               m->sender[0] ? m->sender : "Mail Delivery Subsystem <MAILER-DAEMON>");
    for (const char *line = m->headers; line && *line; line = strchr(line, '\n') + 1)
        buf_printf(b, "H??%.*s\n", (int)strcspn(line, "\n"), line);
    buf_printf(b, "H??Subject: %s\nH?M?Message-Id: <%s@" MAIL_HOST ">\n.\n", m->subject, id);
}

void sendmail_write(struct flood *f, const struct mail *m)
{
    struct buf id = { 0 }, path = { 0 }, file = { 0 };
    const unsigned queue = 1 + m->serial % QUEUES;
    const char type = m->state == MAIL_HELD ? 'h' : 'q';

    make_id(m, &id);
    if (f->flat)
        buf_printf(&path, "df%s", id.p);
    else
        buf_printf(&path, "q%u/df/df%s", queue, id.p);
    mail_body(m, &file);
    tree_file(&f->tree, path.p, &file, 0640, m->when);

    buf_reset(&file);
    envelope(&file, m);
    headers(&file, m, id.p);
    buf_reset(&path);
    if (f->flat)
        buf_printf(&path, "%cf%s", type, id.p);
    else
        buf_printf(&path, "q%u/qf/%cf%s", queue, type, id.p);
    tree_file(&f->tree, path.p, &file, 0640, m->state == MAIL_DEFERRED ? m->last_attempt : m->when);
    buf_free(&id);
    buf_free(&path);
    buf_free(&file);
}
