/*
 * Lines of JSON in place of a queue: reading them, naming those that are no records, and asking the filter. Memory is bounded by one
 * line; an input is read once from its beginning to its end, and again only if it is a file.
 */
#include "ndjson.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
    BLOCK = 256 << 10,          /* bytes read at once */
    TROUBLES_MAX = 100          /* sentences kept */
};

struct ndjson {
    int fd;
    bool own;                   /* fd is ours to close */
    bool file;                  /* can be read again */
    bool used;                  /* bytes were taken from it */
    int64_t written;            /* of a file */
};

struct ndjson_scan {
    struct lq_queue *queue;
    const struct lq_filter *filter;
    struct filter_state state;
    struct lq_record rec;
    struct lq_scan_stats stats;
    char *troubles[TROUBLES_MAX];
    char *all;                  /* how many lines are no records */
    uint64_t line;

    char *buf;
    size_t cap, n;              /* buf[at, n) is read and not taken yet */
    size_t at, searched;        /* no line ends in buf[at, searched) */
    bool end;
    bool no_memory;
};

/* --- the input --- */

int ndjson_open(struct ndjson **out, const char *path, struct lq_error *err)
{
    bool standard = strcmp(path, "-") == 0;
    int fd = standard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    struct ndjson *in;
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0)
        return error_set(err, errno == ENOENT ? LQ_ENOENT : errno == EACCES ? LQ_EACCES : LQ_EIO, "cannot open %s: %s",
                         standard ? "standard input" : path, strerror(errno));
    if (S_ISDIR(st.st_mode)) {
        if (!standard)
            close(fd);
        return error_set(err, LQ_EINVAL, "%s is a directory; a spool is named with --spool, a file of records is asked for",
                         standard ? "standard input" : path);
    }
    in = calloc(1, sizeof(*in));
    if (!in) {
        if (!standard)
            close(fd);
        return error_memory(err);
    }
    *in = (struct ndjson){ .fd = fd, .own = !standard, .file = S_ISREG(st.st_mode), .written = st.st_mtime };
    *out = in;
    return LQ_OK;
}

void ndjson_close(struct ndjson *in)
{
    if (in && in->own)
        close(in->fd);
    free(in);
}

int64_t ndjson_now(const struct ndjson *in)
{
    int64_t clock = time(NULL);

    return in->file && in->written < clock ? in->written : clock;
}

bool ndjson_live(const struct ndjson *in)
{
    return !in->file;
}

/* --- troubles --- */

static void trouble(struct ndjson_scan *s, const char *what)
{
    uint64_t n = s->stats.troubles++;

    if (n < TROUBLES_MAX && asprintf(&s->troubles[n], "%s, line %llu: %s", s->queue->root, (unsigned long long)s->line, what) < 0)
        s->troubles[n] = NULL;
}

/* How many there are is known at the end, and said first. */
static void sum_up(struct ndjson_scan *s)
{
    if (s->stats.troubles > 1 && !s->all &&
        asprintf(&s->all, "%s: %llu of %llu lines are no records", s->queue->root, (unsigned long long)s->stats.troubles,
                 (unsigned long long)s->line) < 0)
        s->all = NULL;
}

const char *ndjson_scan_trouble(const struct ndjson_scan *s, size_t i)
{
    if (s->all && i-- == 0)
        return s->all;
    return i < TROUBLES_MAX && i < s->stats.troubles ? s->troubles[i] : NULL;
}

/* --- lines --- */

/* Room for another block behind what is kept; false without memory. */
static bool make_room(struct ndjson_scan *s)
{
    size_t cap;
    char *buf;

    if (s->at > 0) {
        memmove(s->buf, s->buf + s->at, s->n - s->at);
        s->n -= s->at;
        s->searched -= s->at;
        s->at = 0;
    }
    if (s->cap - s->n >= BLOCK)
        return true;
    cap = s->cap ? s->cap * 2 : 2 * BLOCK;
    cap = cap < NDJSON_LINE_MAX + 2 * BLOCK ? cap : NDJSON_LINE_MAX + 2 * BLOCK;
    buf = realloc(s->buf, cap);
    if (!buf) {
        s->no_memory = true;
        return false;
    }
    s->buf = buf;
    s->cap = cap;
    return true;
}

/* After an unusual line the memory goes back. */
static void shrink(struct ndjson_scan *s)
{
    char *buf;

    if (s->cap <= 4 * BLOCK || s->n - s->at > BLOCK)
        return;
    memmove(s->buf, s->buf + s->at, s->n - s->at);
    s->n -= s->at;
    s->searched = s->at = 0;
    buf = realloc(s->buf, 2 * BLOCK);
    if (buf) {
        s->buf = buf;
        s->cap = 2 * BLOCK;
    }
}

/* Read more; false at the end, also when it is an error, which is told. */
static bool fill(struct ndjson_scan *s)
{
    struct ndjson *in = s->queue->records;
    ssize_t got;

    if (s->end || !make_room(s)) {
        s->end = true;
        return false;
    }
    do
        got = read(in->fd, s->buf + s->n, BLOCK);
    while (got < 0 && errno == EINTR);
    in->used = true;
    if (got < 0) {
        s->line++;
        trouble(s, strerror(errno));
    }
    s->end = got <= 0;
    s->n += got > 0 ? (size_t)got : 0;
    return !s->end;
}

/* Forget a line that is too long, up to its end. */
static void pass_over(struct ndjson_scan *s)
{
    const char *newline = NULL;

    do {
        s->n = s->at = s->searched = 0;
        if (!fill(s))
            return;
        newline = memchr(s->buf, '\n', s->n);
    } while (!newline);
    s->at = s->searched = (size_t)(newline - s->buf) + 1;
}

/* The next line without its end, also one that the end of the input cuts; false when there is none. It stays until the next call. */
static bool next_line(struct ndjson_scan *s, const char **line, size_t *n)
{
    const char *newline;

    shrink(s);
    for (;;) {
        newline = s->searched < s->n ? memchr(s->buf + s->searched, '\n', s->n - s->searched) : NULL;
        s->searched = s->n;
        if (newline || s->n - s->at > NDJSON_LINE_MAX || !fill(s))
            break;
    }
    if (!newline && s->at == s->n)
        return false;
    s->line++;
    *line = s->buf + s->at;
    *n = (size_t)((newline ? newline : s->buf + s->n) - *line);
    if (newline) {
        s->at = s->searched = (size_t)(newline - s->buf) + 1;
    } else if (!s->end) {
        *n = s->n - s->at;      /* too long: the caller says so before the rest is passed over */
    } else {
        s->at = s->n;
    }
    return true;
}

static bool blank(const char *p, size_t n)
{
    while (n > 0 && (*p == ' ' || *p == '\t' || *p == '\r')) {
        p++;
        n--;
    }
    return n == 0;
}

/* --- the scan --- */

static int prepare(struct ndjson_scan *s, const struct lq_scan_opts *opts, struct lq_error *err)
{
    struct ndjson *in = s->queue->records;

    if (opts->filter && filter_fields(opts->filter) & (LQ_FIELD_BIT(LQ_HEADER) | LQ_FIELD_BIT(LQ_BODY)))
        return error_set(err, LQ_EINVAL, "%s: records hold neither other header fields nor bodies; ask for them where the queue is",
                         s->queue->root);
    if (in->used && !(in->file && lseek(in->fd, 0, SEEK_SET) == 0))
        return error_set(err, LQ_EINVAL, "%s cannot be read twice", s->queue->root);
    for (size_t i = 0; i < TROUBLES_MAX; i++)
        free(s->troubles[i]);
    memset(s->troubles, 0, sizeof(s->troubles));
    free(s->all);
    s->all = NULL;
    s->filter = opts->filter;
    s->state.now = opts->now ? opts->now : ndjson_now(in);
    s->stats = (struct lq_scan_stats){ .listed = 0 };
    s->line = 0;
    s->n = s->at = s->searched = 0;
    s->end = false;
    return LQ_OK;
}

int ndjson_scan_begin(struct ndjson_scan **out, struct lq_queue *q, const struct lq_scan_opts *opts, struct lq_error *err)
{
    struct ndjson_scan *s = calloc(1, sizeof(*s));
    int rc;

    if (!s)
        return error_memory(err);
    s->queue = q;
    rc = prepare(s, opts, err);
    if (rc != LQ_OK) {
        ndjson_scan_end(s);
        return rc;
    }
    *out = s;
    return LQ_OK;
}

int ndjson_scan_again(struct ndjson_scan *s, const struct lq_scan_opts *opts, struct lq_error *err)
{
    return prepare(s, opts, err);
}

/* Whether the line is a record that the filter selects. */
static bool selects(struct ndjson_scan *s, const char *line, size_t n)
{
    enum tri t = TRI_YES;
    struct ndjson_why why;
    unsigned need;

    if (n > NDJSON_LINE_MAX) {
        snprintf(why.text, sizeof(why.text), "longer than %d MiB", NDJSON_LINE_MAX >> 20);
        trouble(s, why.text);
        pass_over(s);
        return false;
    }
    if (blank(line, n))
        return false;
    record_reset(&s->rec);
    if (!ndjson_record(&s->rec, line, n, &why)) {
        trouble(s, why.text);
        return false;
    }
    s->stats.listed++;
    s->state.stopped = false;
    if (s->filter)
        t = filter_eval(s->filter, &s->rec, &s->state, &need);
    if (t == TRI_UNKNOWN && s->rec.state != STATE_RECEIVING) {
        s->stats.undecided++;
        s->stats.stopped += s->state.stopped;
    }
    return t == TRI_YES;
}

int ndjson_scan_next(struct ndjson_scan *s, const struct lq_record **rec, struct lq_error *err)
{
    const char *line;
    size_t n;

    while (next_line(s, &line, &n)) {
        if (!selects(s, line, n))
            continue;
        s->stats.selected++;
        *rec = &s->rec;
        return LQ_OK;
    }
    sum_up(s);
    return s->no_memory ? error_memory(err) : LQ_END;
}

struct lq_scan_stats ndjson_scan_stats(const struct ndjson_scan *s)
{
    return s->stats;
}

void ndjson_scan_end(struct ndjson_scan *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < TROUBLES_MAX; i++)
        free(s->troubles[i]);
    free(s->all);
    pattern_scratch_done(&s->state.scratch);
    record_done(&s->rec);
    free(s->buf);
    free(s);
}
