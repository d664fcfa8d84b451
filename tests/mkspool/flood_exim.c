/*
 * A message as Exim 4.96 (or, with 23-character ids, 4.97 and later) stores it: -H, -D, and what
 * was tried in msglog.
 */
#include "mail.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

void exim_skeleton(struct flood *f)
{
    f->tree.dir_mode = 0750;
    tree_dir(&f->tree, "input", 0750, f->now);
    tree_dir(&f->tree, "msglog", 0750, f->now);
    tree_dir(&f->tree, "db", 0750, f->now);
}

/* Seconds, process id, fraction: of 500 µs in the old form, of 1 µs in the new. */
static void make_id(const struct flood *f, const struct mail *m, struct buf *id)
{
    put_digits(id, (uint64_t)m->when, digits_62, 62, 6);
    buf_char(id, '-');
    put_digits(id, 1000 + m->serial, digits_62, 62, f->long_ids ? 11 : 6);
    buf_char(id, '-');
    put_digits(id, f->long_ids ? m->usec : m->usec / 500, digits_62, 62, f->long_ids ? 4 : 2);
}

static void client(struct buf *b, const struct mail *m)
{
    const char *lower = m->auth_user[0] ? "esmtpsa" : "esmtp";

    if (!m->client_address[0]) {
        const char *login = m->login ? m->login : "Debian-exim";

        buf_printf(b, "-ident %s\n-received_protocol local\n-auth_id %s\n", login, login);
        return;
    }
    buf_printf(b, "--helo_name %s\n-host_address [%s]:40777\n", m->helo, m->client_address);
    if (m->client_name[0])
        buf_printf(b, "--host_name %s\n", m->client_name);
    if (m->auth_user[0])
        buf_printf(b, "-host_auth plain\n-host_auth_pubname PLAIN\n--auth_id %s\n", m->auth_user);
    buf_printf(b, "-received_protocol %s\n", lower);
}

static void state(struct buf *b, const struct mail *m)
{
    if (m->state == MAIL_NEW || m->state == MAIL_ACTIVE)
        buf_printf(b, "-deliver_firsttime\n");
    if (m->state == MAIL_HELD)
        buf_printf(b, "-frozen %lld\n", (long long)m->when + 60);
    if (!m->sender[0])
        buf_printf(b, "-localerror\n");
    else if (m->login)
        buf_printf(b, "-local\n");
    buf_printf(b, "-tls_resumption A\n");
}

/* Delivered addresses: a tree that leans to the right, which is in order when the names are. */
static void delivered(struct buf *b, const struct mail *m)
{
    const char *names[MAX_RCPTS];
    size_t n = 0;

    for (size_t i = 0; i < m->done_count; i++) {
        size_t at = 0;

        while (at < n && strcmp(names[at], m->rcpts[i]) < 0)
            at++;
        if (at < n && strcmp(names[at], m->rcpts[i]) == 0)
            continue;
        memmove(names + at + 1, names + at, (n - at) * sizeof(names[0]));
        names[at] = m->rcpts[i];
        n++;
    }
    if (n == 0)
        buf_printf(b, "XX\n");
    for (size_t i = 0; i < n; i++)
        buf_printf(b, "N%c %s\n", i + 1 < n ? 'Y' : 'N', names[i]);
}

static void header(struct buf *b, char type, const char *name, const char *value)
{
    buf_printf(b, "%03zu%c %s: %s\n", strlen(name) + strlen(value) + 3, type, name, value);
}

static void headers(struct buf *b, const struct mail *m, const char *id)
{
    struct buf received = { 0 };
    char message_id[128];

    if (m->client_address[0])
        buf_printf(&received, "from [%s] (helo=%s)\n\tby " MAIL_HOST " with %s (Exim 4.96)\n\tid %s;\n\t%s",
                   m->client_address, m->helo, m->auth_user[0] ? "esmtpsa" : "esmtp", id, mail_date(m->when));
    else
        buf_printf(&received, "from %s by " MAIL_HOST " with local (Exim 4.96)\n\tid %s;\n\t%s",
                   m->login ? m->login : "Debian-exim", id, mail_date(m->when));
    snprintf(message_id, sizeof(message_id), "<E%s@" MAIL_HOST ">", id);
    header(b, 'P', "Received", received.p);
    for (const char *line = m->headers; line && *line; line = strchr(line, '\n') + 1)
        buf_printf(b, "%03zu  %.*s\n", strcspn(line, "\n") + 1, (int)strcspn(line, "\n"), line);
    header(b, 'F', "From", m->sender[0] ? m->sender : "Mailer-Daemon@" MAIL_HOST);
    header(b, 'T', "To", "undisclosed-recipients:;");
    header(b, ' ', "Subject", m->subject);
    header(b, 'I', "Message-Id", message_id);
    header(b, ' ', "Date", mail_date(m->when));
    buf_free(&received);
}

/* Exim writes local time; on this host that is UTC. */
static void log_stamp(char *stamp, size_t room, int64_t when)
{
    time_t t = (time_t)when;
    struct tm tm;

    gmtime_r(&t, &tm);
    strftime(stamp, room, "%Y-%m-%d %H:%M:%S", &tm);
}

static void message_log(struct flood *f, const struct mail *m, const char *path)
{
    struct buf log = { 0 };
    char stamp[32];

    log_stamp(stamp, sizeof(stamp), m->when);
    buf_printf(&log, "%s Received from %s H=(%s) [%s] P=esmtp S=%zu\n", stamp, m->sender, m->helo, m->client_address,
               m->body_size);
    log_stamp(stamp, sizeof(stamp), m->last_attempt);
    for (size_t i = m->done_count; i < m->rcpt_count; i++)
        buf_printf(&log, "%s %s R=dnslookup T=remote_smtp defer (-44): %s\n", stamp, m->rcpts[i], m->reason);
    tree_file(&f->tree, path, &log, 0640, m->last_attempt);
    buf_free(&log);
}

void exim_write(struct flood *f, const struct mail *m)
{
    struct buf id = { 0 }, path = { 0 }, file = { 0 };
    char split[3] = "";

    make_id(f, m, &id);
    if (!f->flat)
        snprintf(split, sizeof(split), "%c/", id.p[5]);

    buf_printf(&path, "input/%s%s-D", split, id.p);
    buf_printf(&file, "%s-D\n", id.p);
    mail_body(m, &file);
    tree_file(&f->tree, path.p, &file, 0640, m->when);

    buf_reset(&file);
    buf_printf(&file, "%s-H\n%s\n<%s>\n%lld 0\n-received_time_usec .%06u\n", id.p,
               m->login ? "www-data 33 33" : "Debian-exim 107 114", m->sender, (long long)m->when, m->usec);
    client(&file, m);
    buf_printf(&file, "-body_linecount %zu\n-max_received_linelength 73\n", m->body_size / 73);
    state(&file, m);
    delivered(&file, m);
    buf_printf(&file, "%zu\n", m->rcpt_count);
    for (size_t i = 0; i < m->rcpt_count; i++)
        buf_printf(&file, "%s\n", m->rcpts[i]);
    buf_char(&file, '\n');
    headers(&file, m, id.p);
    path.p[path.n - 1] = 'H';
    tree_file(&f->tree, path.p, &file, 0640, m->state == MAIL_DEFERRED ? m->last_attempt : m->when);

    if (m->state == MAIL_DEFERRED) {
        buf_reset(&path);
        buf_printf(&path, "msglog/%s%s", split, id.p);
        message_log(f, m, path.p);
    }
    buf_free(&id);
    buf_free(&path);
    buf_free(&file);
}
