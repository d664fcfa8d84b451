/* Manifests of open cases, in order of message. See sealed.h; what they must look like is bag.c's. */
#include "sealed.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bag.h"

enum { MANIFEST_MAX = 512 << 20 };

/*
 * In which way a name in a case holds its message's id: alone (Postfix, Exim's message log), before a dash and a letter (Exim), after two letters
 * (Sendmail). The folder of the spool says whose it is: "data/0-sendmail/…".
 */
void sealed_id(const char *path, const char **id, size_t *id_len)
{
    const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path, *spool = strchr(path, '/');
    size_t n = strlen(base), digits = spool ? strspn(spool + 1, "0123456789") : 0;
    const char *mta = spool ? spool + 1 + digits : path;

    if (strncmp(mta, "-sendmail/", strlen("-sendmail/")) == 0 && n > 2) {
        base += 2;
        n -= 2;
    } else if (strncmp(mta, "-exim/", strlen("-exim/")) == 0 && n > 2 && base[n - 2] == '-') {
        n -= 2;
    }
    *id = base;
    *id_len = n;
}

static int order(const char *a, size_t an, const char *b, size_t bn)
{
    int by = memcmp(a, b, an < bn ? an : bn);

    return by ? by : (an > bn) - (an < bn);
}

static int by_id(const void *a, const void *b)
{
    const struct sealed_file *x = a, *y = b;
    int by = order(x->id, x->id_len, y->id, y->id_len);

    return by ? by : strcmp(x->path, y->path);
}

static int read_text(struct lq_case *c, struct sealed *s, struct lq_error *err)
{
    enum file_result r;
    struct stat st;
    ssize_t n;
    int fd, error = 0;

    r = file_open(c->fd, "manifest-sha256.txt", &fd, &st);
    if (r != FILE_OK)
        return error_set(err, LQ_EDAMAGED, "%s/manifest-sha256.txt: %s; whether the messages are as they were sealed cannot be told, so none goes back. Put it back "
                         "from a copy; or, where what is there now is to be trusted: touch %s/INCOMPLETE, then mqquarantine seal", c->path,
                         file_result_text(r), c->path);
    s->text.limit = MANIFEST_MAX;
    while (error == 0 && (n = read(fd, s->block, BAG_BLOCK)) != 0) {
        if (n > 0)
            buf_add(&s->text, s->block, (size_t)n);
        else if (errno != EINTR)
            error = errno;
        if (s->text.lost > 0)
            error = EFBIG;
    }
    close(fd);
    buf_add_char(&s->text, '\n');       /* for a last line without its own; and room for the NULs */
    if (s->text.failed)
        error = ENOMEM;
    return error ? case_error(c, "manifest-sha256.txt", error, err) : LQ_OK;
}

static int parse(struct lq_case *c, struct sealed *s, struct lq_error *err)
{
    char *p = s->text.p, *end = p + s->text.n, *nl, *hex, *path;
    size_t cap = 0;

    for (; p < end && (nl = memchr(p, '\n', (size_t)(end - p))) != NULL; p = nl + 1) {
        if (nl == p)
            continue;
        if (s->n == cap) {
            struct sealed_file *more = realloc(s->files, (cap = cap ? cap * 2 : 256) * sizeof(*more));

            if (!more)
                return error_memory(err);
            s->files = more;
        }
        if (!bag_line_parse(p, (size_t)(nl - p), &hex, &path))
            return error_set(err, LQ_EDAMAGED, "%s/manifest-sha256.txt: a line of it is not readable", c->path);
        s->files[s->n] = (struct sealed_file){ .hex = hex, .path = path };
        sealed_id(path, &s->files[s->n].id, &s->files[s->n].id_len);
        s->n++;
    }
    if (s->n > 1)
        qsort(s->files, s->n, sizeof(*s->files), by_id);
    return LQ_OK;
}

int sealed_open(struct sealed **out, struct lq_case *c, struct lq_error *err)
{
    struct sealed *s = calloc(1, sizeof(*s));
    int rc;

    if (!s)
        return error_memory(err);
    s->d = digest_new();
    s->block = malloc(BAG_BLOCK);
    rc = s->d && s->block ? read_text(c, s, err) : error_memory(err);
    if (rc == LQ_OK)
        rc = parse(c, s, err);
    if (rc == LQ_OK)
        *out = s;
    else
        sealed_close(s);
    return rc;
}

void sealed_close(struct sealed *s)
{
    if (!s)
        return;
    digest_free(s->d);
    buf_done(&s->text);
    free(s->files);
    free(s->block);
    free(s);
}

const struct sealed_file *sealed_message(const struct sealed *s, const char *id, size_t id_len, size_t *n)
{
    size_t from = 0, to = s->n;

    while (from < to) {
        size_t middle = from + (to - from) / 2;

        if (order(s->files[middle].id, s->files[middle].id_len, id, id_len) < 0)
            from = middle + 1;
        else
            to = middle;
    }
    for (*n = 0; from + *n < s->n && order(s->files[from + *n].id, s->files[from + *n].id_len, id, id_len) == 0;)
        ++*n;
    return s->files + from;
}

int sealed_compare(struct sealed *s, const struct sealed_file *f, int fd)
{
    char hex[DIGEST_HEX + 1];
    uint64_t size;
    int error = bag_hash_fd(s->d, fd, s->block, hex, &size);

    return error ? error : strcmp(hex, f->hex) == 0 ? 0 : EBADMSG;
}
