/*
 * A case's custody journal: lines chained by hash, and the lock of who writes them, which is the case's own.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bag.h"
#include "digest.h"
#include "json.h"
#include "vault.h"

static const char first_link[] = "0000000000000000000000000000000000000000000000000000000000000000";

static void hash_line(const char *line, size_t n, char out[DIGEST_HEX + 1])
{
    struct digest *d = digest_new();

    *out = '\0';
    if (!d)
        return;
    digest_add(d, line, n);
    digest_end(d, out);
    digest_free(d);
}

/* How many lines there are and the hash of the last. What a crash left of a line that was never answered for is cut off. */
static int resume_journal(struct lq_case *c)
{
    struct stat st;
    char *text = NULL;
    const char *p, *end, *nl;
    ssize_t n;
    int error = 0;

    strcpy(c->journal_hash, first_link);
    c->journal_lines = 0;
    if (fstat(c->journal, &st) < 0)
        return errno;
    if (st.st_size == 0)
        return 0;
    text = malloc((size_t)st.st_size);
    n = text ? pread(c->journal, text, (size_t)st.st_size, 0) : -1;
    if (n < 0)
        error = text ? errno : ENOMEM;
    p = text;
    end = n > 0 ? text + n : text;
    for (; error == 0 && (nl = memchr(p, '\n', (size_t)(end - p))) != NULL; p = nl + 1) {
        c->journal_lines++;
        if (!memchr(nl + 1, '\n', (size_t)(end - nl - 1)))
            hash_line(p, (size_t)(nl - p), c->journal_hash);
    }
    if (error == 0 && p < end)
        error = file_truncate(c->journal, (uint64_t)(p - text));
    if (error == 0 && c->journal_hash[0] == '\0')
        error = ENOMEM;
    free(text);
    return error;
}

int case_lock(struct lq_case *c, struct lq_error *err)
{
    struct stat st;
    enum file_result r;
    int error;

    if (c->journal >= 0)
        return LQ_OK;
    if (c->info.packed)
        return error_set(err, LQ_EREFUSED, "case %s is packed: nothing in it can be changed", c->name);
    r = file_open_rw(c->fd, "journal.ndjson", &c->journal, &st);
    error = r == FILE_OK ? 0 : r == FILE_GONE ? file_create(c->fd, "journal.ndjson", 0600, &c->journal) : r == FILE_DENIED ? EACCES : EIO;
    if (error == 0)
        error = file_lock_flock(c->journal);
    if (error == 0)
        error = resume_journal(c);
    if (error == 0)
        return LQ_OK;
    if (c->journal >= 0)
        close(c->journal);
    c->journal = -1;
    if (error == EAGAIN)
        return error_set(err, LQ_EREFUSED, "another process works on case %s", c->name);
    return case_error(c, "journal.ndjson", error, err);
}

bool case_chain(struct buf *b, const char *event, const char *members, uint64_t *lines, char hash[DIGEST_HEX + 1])
{
    char now[TIME_TEXT];
    size_t from;

    /* Text that was there before: the chain goes on from its last line. */
    if (b->n > 0 && *lines == 0)
        for (const char *p = b->p, *end = b->p + b->n, *nl; (nl = memchr(p, '\n', (size_t)(end - p))) != NULL; p = nl + 1) {
            hash_line(p, (size_t)(nl - p), hash);
            ++*lines;
        }
    if (*lines == 0)
        strcpy(hash, first_link);
    if (b->n > 0 && b->p[b->n - 1] != '\n')
        buf_add_char(b, '\n');
    job_time(now);
    from = b->n;
    buf_add_char(b, '{');
    json_number(b, "seq", (int64_t)*lines);
    json_text(b, "time", now);
    json_text(b, "event", event);
    if (members && *members) {
        buf_add_char(b, ',');
        buf_add_str(b, members);
    }
    json_text(b, "prev", hash);
    buf_add_str(b, "}\n");
    if (b->failed)
        return false;
    hash_line(b->p + from, b->n - from - 1, hash);
    ++*lines;
    return hash[0] != '\0';
}

int case_journal(struct lq_case *c, const char *event, const char *json_members, struct lq_error *err)
{
    char hash[DIGEST_HEX + 1];
    uint64_t lines;
    struct buf b = { 0 };
    int error, rc = case_lock(c, err);

    if (rc != LQ_OK)
        return rc;
    lines = c->journal_lines;
    strcpy(hash, c->journal_hash);
    error = case_chain(&b, event, json_members, &lines, hash) ? vault_append(c->vault, c->journal, b.p, b.n) : ENOMEM;
    if (error == 0)
        error = file_sync(c->journal);
    if (error == 0) {
        strcpy(c->journal_hash, hash);
        c->journal_lines = lines;
    }
    buf_done(&b);
    return error ? case_error(c, "journal.ndjson", error, err) : LQ_OK;
}
