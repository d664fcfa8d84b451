/*
 * Evidence packs: what the mail log says of the packed messages, as logs/ in the archive. One file there for each that was read and knows
 * them: its lines, byte for byte and in its order. Which lines those are, maillog_find.c knows; the caller names the files.
 *
 * The logs are read after the messages: whatever was logged about them until then is there.
 */
#include "evidence.h"

#include <stdio.h>
#include <string.h>

#include "json.h"
#include "maillog_find.h"
#include "tree.h"

enum { NAME_KEPT = 100 };       /* of a log's own name */

int evidence_log_want(struct evidence *e, const struct lq_record *rec, struct lq_error *err)
{
    int64_t arrival;
    bool known = lq_record_number(rec, LQ_ARRIVAL_TIME, &arrival);

    if (!e->opts->log)
        return LQ_OK;
    return lq_log_want(e->opts->log, lq_record_text(rec, LQ_MTA).p, lq_record_text(rec, LQ_QUEUE_ID), known ? &arrival : NULL, err);
}

/* "logs/0-mail.log.1": what is in it is plain, whatever the file was; its name was chosen elsewhere. */
static void log_path(size_t number, const char *file, char out[TREE_PATH])
{
    const char *slash = strrchr(file, '/'), *base = strcmp(file, "-") == 0 ? "standard-input" : slash ? slash + 1 : file;
    size_t n = strlen(base);
    char name[NAME_KEPT + 1];

    if (n > 3 && strcmp(base + n - 3, ".gz") == 0)
        n -= 3;
    n = n < NAME_KEPT ? n : NAME_KEPT;
    for (size_t i = 0; i < n; i++) {
        char c = base[i];
        bool plain = (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c == '.' || c == '-' || c == '_';

        name[i] = plain ? c : '_';
    }
    name[n] = '\0';
    snprintf(out, TREE_PATH, "logs/%zu-%s", number, name);
}

/* Lines [from, to) are of one file. */
static int add_lines(struct evidence *e, const char *path, size_t from, size_t to, uint64_t size, struct lq_error *err)
{
    struct stat st = { .st_mode = 0600, .st_mtim.tv_sec = e->now };
    int error = tar_open_file(&e->tar, path, &st, size);
    struct lq_log_line line;

    for (size_t i = from; i < to && error == 0; i++) {
        if (!lq_log_line(e->opts->log, i, &line))
            break;
        error = line.text.n > 0 ? tar_piece(&e->tar, line.text.p, line.text.n) : 0;
        error = error ? error : tar_piece(&e->tar, "\n", 1);
    }
    error = error ? error : tar_close_file(&e->tar, path);
    return error ? evidence_error(e, path, error, err) : LQ_OK;
}

/* For the journal: which file gave how many lines. */
static void tell_lines(struct evidence *e, const char *file, const char *path, uint64_t lines, uint64_t cut)
{
    struct buf *b = &e->log_facts;

    buf_add_str(b, b->n ? ",{" : "{");
    json_text(b, "file", file);
    json_text(b, "as", path);
    json_number(b, "lines", (int64_t)lines);
    if (cut)
        json_number(b, "lines_cut", (int64_t)cut);
    buf_add_char(b, '}');
}

static void tell_trouble(struct evidence *e, const char *sentence)
{
    struct buf *b = &e->log_facts;

    buf_add_str(b, b->n ? ",{" : "{");
    json_text(b, "trouble", sentence);
    buf_add_char(b, '}');
}

/* The lines from `from` on that are of the same file; answers where the next one's begin. */
static int add_file(struct evidence *e, size_t number, size_t *from, struct lq_error *err)
{
    struct lq_log_line line;
    uint64_t size = 0, cut = 0;
    const char *file = NULL;
    char path[TREE_PATH];
    size_t to = *from;
    int rc;

    for (; lq_log_line(e->opts->log, to, &line) && (!file || file == line.file); to++) {
        file = line.file;
        size += line.text.n + 1;
        cut += line.cut;
    }
    log_path(number, file, path);
    rc = add_lines(e, path, *from, to, size, err);
    tell_lines(e, file, path, to - *from, cut);
    *from = to;
    return rc;
}

int evidence_logs(struct evidence *e, struct lq_error *err)
{
    struct lq_log *log = e->opts->log;
    size_t n = 0;
    int rc;

    if (!log)
        return LQ_OK;
    log->stopped = e->opts->stopped;
    rc = lq_log_read(log, err);
    if (rc == LQ_OK)
        rc = evidence_go_on(e, err);
    if (rc == LQ_OK)
        rc = lq_log_all(log, &n, err);
    for (size_t from = 0, number = 0; rc == LQ_OK && from < n; number++)
        rc = add_file(e, number, &from, err);
    for (size_t i = 0; rc == LQ_OK && lq_log_trouble(log, i); i++)
        tell_trouble(e, lq_log_trouble(log, i));
    return rc == LQ_OK && e->log_facts.failed ? error_memory(err) : rc;
}
