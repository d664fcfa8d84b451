/* Records as a list of messages. */
#include "list_from.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "opts.h"
#include "print.h"
#include "report.h"

enum {
    LINE_MAX_BYTES = 64 << 20,      /* a record of 100,000 recipients takes 40 MiB */
    ID_MAX_BYTES = 255
};

static char *copy(const char *text)
{
    char *p = text ? strdup(text) : NULL;

    if (text && !p)
        report_no_memory();
    return p;
}

static void list_add(struct list_from *l, const struct listed *entry)
{
    if (l->n == l->cap) {
        size_t cap = l->cap ? l->cap * 2 : 64;
        struct listed *list = realloc(l->list, cap * sizeof(*list));

        if (!list)
            report_no_memory();
        l->list = list;
        l->cap = cap;
    }
    l->given = true;
    l->list[l->n++] = (struct listed){
        .host = copy(entry->host), .spool = copy(entry->spool), .id = copy(entry->id), .identity = copy(entry->identity),
        .of_job = entry->of_job,
    };
}

/* --- reading --- */

struct reader;

/* One object of the list. */
typedef int add_fn(struct reader *r, const json_t *record, struct lq_error *err);

struct reader {
    struct list_from *list;
    const char *path;           /* as sentences call it */
    size_t line;
    add_fn *add;
    char *verb;                 /* of a job's file: goes here */
};

/* A text of the record; the empty one names nothing. */
static const char *member(const json_t *record, const char *key)
{
    const char *text = json_string_value(json_object_get(record, key));

    return text && *text ? text : NULL;
}

static bool is_id(const char *id)
{
    size_t n = strlen(id);

    for (size_t i = 0; i < n; i++)
        if (!((id[i] >= '0' && id[i] <= '9') || ((id[i] | 0x20) >= 'a' && (id[i] | 0x20) <= 'z') || strchr("-_.", id[i])))
            return false;
    return n <= ID_MAX_BYTES;
}

static int add_record(struct reader *r, const json_t *record, struct lq_error *err)
{
    const char *schema = member(record, "schema");
    struct listed entry = {
        .host = (char *)member(record, "host"), .spool = (char *)member(record, "spool"),
        .id = (char *)member(record, "queue_id"), .identity = (char *)member(record, "identity"),
    };

    if (!json_is_object(record) || !schema || strcmp(schema, "mqtools.record/1") != 0)
        return opts_wrong(err, "%s, line %zu: not a record as mqgrep -j writes it (mqtools.record/1)", r->path, r->line);
    if (!entry.spool || !entry.id || !entry.identity)
        return opts_wrong(err, "%s, line %zu: the record has no %s; mqgrep -j writes it", r->path, r->line,
                          !entry.id ? "queue_id" : !entry.spool ? "spool" : "identity");
    if (!is_id(entry.id))
        return opts_wrong(err, "%s, line %zu: \"%.100s\" is not a message id", r->path, r->line, entry.id);
    list_add(r->list, &entry);
    return LQ_OK;
}

static bool blank(const char *p, size_t n)
{
    return strspn(p, " \t\r") >= n;
}

/* p[n] is a NUL. The parser's own limit of depth (2,048) holds. */
static int add_line(struct reader *r, const char *p, size_t n, struct lq_error *err)
{
    json_error_t wrong;
    json_t *record;
    int rc;

    r->line++;
    if (blank(p, n))
        return LQ_OK;
    record = json_loadb(p, n, JSON_REJECT_DUPLICATES, &wrong);
    if (!record)
        return opts_wrong(err, "%s, line %zu: %s", r->path, r->line, wrong.text);
    rc = r->add(r, record, err);
    json_decref(record);
    return rc;
}

/* Lines of what was read so far; the last one stays until it is whole. */
static int add_lines(struct reader *r, struct text *t, bool end, struct lq_error *err)
{
    size_t from = 0;
    int rc = LQ_OK;

    while (rc == LQ_OK && from < t->n) {
        char *p = t->p + from, *newline = memchr(p, '\n', t->n - from);

        if (!newline && !end)
            break;
        if (!newline) {
            text_char(t, '\0');
            t->n--;
            p = t->p + from;
            newline = t->p + t->n;
        }
        *newline = '\0';
        rc = add_line(r, p, (size_t)(newline - p), err);
        from = (size_t)(newline - t->p) + 1;
    }
    from = from < t->n ? from : t->n;
    if (from > 0)
        memmove(t->p, t->p + from, t->n - from);
    t->n -= from;
    if (rc == LQ_OK && t->n > LINE_MAX_BYTES)
        return opts_wrong(err, "%s, line %zu: longer than %d MiB", r->path, r->line + 1, LINE_MAX_BYTES >> 20);
    return rc;
}

static int read_lines(struct reader *r, int fd, struct lq_error *err)
{
    struct text t = { 0 };
    char buf[65536];
    ssize_t got;
    int rc = LQ_OK;

    do {
        got = read(fd, buf, sizeof(buf));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            rc = opts_wrong(err, "cannot read %s: %s", r->path, strerror(errno));
            break;
        }
        text_add(&t, buf, (size_t)got);
        /* Looking for the end of a long line again and again would take its length squared. */
        if (got == 0 || memchr(buf, '\n', (size_t)got) || t.n > LINE_MAX_BYTES)
            rc = add_lines(r, &t, got == 0, err);
    } while (rc == LQ_OK && got != 0);
    text_done(&t);
    return rc;
}

int list_from_read(struct list_from *l, const char *path, struct lq_error *err)
{
    bool standard = strcmp(path, "-") == 0;
    struct reader r = { .list = l, .path = standard ? "standard input" : path, .add = add_record };
    int fd, rc;

    if (l->given)
        return opts_wrong(err, "given twice");
    l->given = true;
    l->standard_input = standard;
    fd = standard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return opts_wrong(err, "cannot open %s: %s", path, strerror(errno));
    rc = read_lines(&r, fd, err);
    if (!standard)
        close(fd);
    return rc;
}

/* Its first line says what the job did, each further one what became of a message. */
static int add_job_line(struct reader *r, const json_t *line, struct lq_error *err)
{
    const char *event = member(line, "event"), *verb = member(line, "verb"), *result = member(line, "result");
    struct listed entry = { .spool = (char *)member(line, "spool"), .id = (char *)member(line, "id"),
                            .identity = (char *)member(line, "identity"), .of_job = true };

    if (!event)
        return opts_wrong(err, "%s, line %zu: not a line of a job", r->path, r->line);
    if (strcmp(event, "intent") == 0)
        snprintf(r->verb, 16, "%s", verb ? verb : "?");
    if (strcmp(event, "message") == 0 && result && strcmp(result, "done") == 0 && entry.spool && entry.id)
        list_add(r->list, &entry);
    return LQ_OK;
}

int list_from_job(struct list_from *l, const char *path, char verb[16], struct lq_error *err)
{
    struct reader r = { .list = l, .path = path, .add = add_job_line, .verb = verb };
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC), rc;

    if (fd < 0 && errno == ENOENT)
        return LQ_ENOENT;
    if (fd < 0)
        return opts_wrong(err, "cannot open %s: %s", path, strerror(errno));
    l->given = true;
    rc = read_lines(&r, fd, err);
    close(fd);
    return rc;
}

/* --- looking up --- */

static int compare_texts(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) : (a != NULL) - (b != NULL);
}

static int compare(const void *a, const void *b)
{
    const struct listed *x = a, *y = b;
    int c = strcmp(x->id, y->id);

    c = c ? c : strcmp(x->spool, y->spool);
    c = c ? c : compare_texts(x->identity, y->identity);
    return c ? c : compare_texts(x->host, y->host);
}

static void forget(struct listed *e)
{
    free(e->host);
    free(e->spool);
    free(e->id);
    free(e->identity);
}

int list_from_finish(struct list_from *l, struct ids *ids, struct lq_error *err)
{
    size_t kept = 0;
    int rc = LQ_OK;

    if (l->n > 1)
        qsort(l->list, l->n, sizeof(*l->list), compare);
    for (size_t i = 0; i < l->n; i++) {
        if (kept > 0 && compare(&l->list[kept - 1], &l->list[i]) == 0)
            forget(&l->list[i]);
        else
            l->list[kept++] = l->list[i];
    }
    l->n = kept;
    l->sorted = true;
    ids->given = true;
    for (size_t i = 0; i < l->n && rc == LQ_OK; i++)
        rc = ids_add(ids, l->list[i].id, strlen(l->list[i].id), err);
    return rc;
}

/* The first entry of that id, or where it would be. */
static size_t first_of(const struct list_from *l, const char *id)
{
    size_t low = 0, high = l->n;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (strcmp(l->list[middle].id, id) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static const char *difference(const struct listed *e, const struct lq_record *rec)
{
    const char *host = lq_record_text(rec, LQ_HOST).p, *identity = lq_record_text(rec, LQ_IDENTITY).p;

    if (!e->identity)
        return NULL;
    if (!e->of_job && compare_texts(e->host, host) != 0)
        return "the record is of another host";
    if (!identity)
        return "what identifies the message cannot be read";
    return strcmp(e->identity, identity) != 0 ? "the id belongs to another message now" : NULL;
}

bool list_from_has(struct list_from *l, const struct lq_record *rec)
{
    const char *id = lq_record_text(rec, LQ_QUEUE_ID).p, *spool = lq_record_text(rec, LQ_SPOOL).p;
    bool found = false;

    if (!id || !spool)
        return false;
    for (size_t i = first_of(l, id); i < l->n && strcmp(l->list[i].id, id) == 0; i++) {
        struct listed *e = &l->list[i];

        e->other = strcmp(e->spool, spool) == 0 ? difference(e, rec) : "its spool is not among those looked at";
        e->found |= !e->other;
        found |= !e->other;
    }
    return found;
}

const char *listed_why(const struct listed *e)
{
    return e->other ? e->other : "not in the queue";
}

void list_from_done(struct list_from *l)
{
    for (size_t i = 0; i < l->n; i++)
        forget(&l->list[i]);
    free(l->list);
    *l = (struct list_from){ 0 };
}
