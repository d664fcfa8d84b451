/*
 * Any bytes as a mail log: its first line names the messages that are asked for, the rest is read line by line. Every view lies in its
 * line, every line that is found is one of the log, and what is found comes in the order of the log.
 */
#include <stdio.h>
#include <stdlib.h>

#include "maillog_find.h"
#include "record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void inside(struct bytes line, struct bytes view)
{
    if (view.n > 0 && (view.p < line.p || view.p + view.n > line.p + line.n))
        abort();
}

static void one_line(struct bytes line)
{
    struct maillog_line l;
    struct maillog_login login;
    int64_t t;

    if (!maillog_parse(line, &l))
        return;
    inside(line, l.stamp);
    inside(line, l.host);
    inside(line, l.tag);
    inside(line, l.program);
    inside(line, l.pid);
    inside(line, l.text);
    inside(line, l.id);
    inside(line, l.rest);
    inside(line, maillog_kin(&l));
    inside(line, maillog_relay(&l));
    inside(line, maillog_peer(&l));
    inside(line, maillog_put_off(&l));
    login = maillog_login(&l);
    inside(line, login.user);
    inside(line, login.method);
    maillog_event(&l);
    maillog_has_id(&l);
    maillog_time(l.stamp, 1795300000, &t);
}

static void ask(struct lq_log *log, struct bytes words)
{
    static const char *const mtas[] = { "exim", "postfix", "sendmail" };
    struct lq_error err;

    for (int i = 0; words.n > 0; i++) {
        size_t n = bytes_find(words, ' ');
        int64_t arrival = 1795290000 + i;

        lq_log_want(log, mtas[i % 3], (struct lq_str){ (const char *)words.p, n }, i % 2 ? &arrival : NULL, &err);
        words = bytes_skip(words, n + 1);
    }
}

static void answer(struct lq_log *log, struct bytes all)
{
    static struct lq_record rec;
    struct lq_log_line line;
    struct lq_error err;
    struct lq_str json;
    uint64_t last = 0;
    size_t n;

    record_reset(&rec);
    for (size_t i = 0; i < log->count; i++) {
        const struct maillog_message *m = &log->messages[i];

        lq_log_message(log, m->mta == 'e' ? "exim" : m->mta == 'p' ? "postfix" : "sendmail", (struct lq_str){ m->id, m->id_len }, &n, &err);
        lq_log_json(log, &rec, &json, &err);
    }
    lq_log_all(log, &n, &err);
    for (size_t i = 0; lq_log_line(log, i, &line); i++) {
        if (line.number <= last || (line.text.n > 0 && !memmem(all.p, all.n, line.text.p, line.text.n)))
            abort();
        last = line.number;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes all = { data, size }, rest;
    size_t n = bytes_find(all, '\n');
    uint64_t number = 0;
    struct lq_error err;
    struct lq_log *log;

    if (lq_log_new(&log, &err) < 0 || lq_log_add_file(log, "-", &err) < 0 || !maillog_sessions(log, 3))
        abort();
    log->files[0].changed = 1795300000;
    log->store.most = 500;
    ask(log, bytes_from(all.p, n));
    for (rest = bytes_skip(all, n + 1); rest.n > 0; rest = bytes_skip(rest, n + 1)) {
        n = bytes_find(rest, '\n');
        one_line(bytes_from(rest.p, n));
        maillog_take(log, bytes_from(rest.p, n), ++number, false);
    }
    answer(log, all);
    lq_log_free(log);
    return 0;
}
