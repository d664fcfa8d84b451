/* Message ids as people paste them. */
#include "ids.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "opts.h"
#include "report.h"

enum { ID_MAX = 255 };

static bool alnum(char c)
{
    return isalnum((unsigned char)c);   /* the C locale is never left */
}

/* Exim: 6-6-2 or 6-11-4 characters, and a letter for the file. */
static bool exim_file(const char *p, size_t n)
{
    return (n == 18 || n == 25) && p[6] == '-' && p[n - 2] == '-' && strchr("HDJK", p[n - 1]);
}

/* Sendmail: 14 characters (8.9 and later) or at least 8 (before), behind a letter and an f. */
static bool sendmail_file(const char *p, size_t n)
{
    if (n < 10 || !strchr("dhqtxQT", p[0]) || p[1] != 'f')
        return false;
    for (size_t i = 2; i < n; i++)
        if (!alnum(p[i]))
            return false;
    return true;
}

static void strip(const char **p, size_t *n)
{
    const char *slash;

    while (*n > 0 && strchr("*!#-:,", (*p)[*n - 1]))
        --*n;
    slash = memrchr(*p, '/', *n);
    if (slash) {
        *n -= (size_t)(slash + 1 - *p);
        *p = slash + 1;
    }
    if (exim_file(*p, *n))
        *n -= 2;
    if (sendmail_file(*p, *n)) {
        *p += 2;
        *n -= 2;
    }
}

static int add_word(struct ids *ids, const char *word, size_t word_n, struct lq_error *err)
{
    const char *p = word;
    size_t n = word_n;

    strip(&p, &n);
    for (size_t i = 0; i < n; i++)
        if (!alnum(p[i]) && !strchr("-_.", p[i]))
            n = 0;
    if (n == 0 || n > ID_MAX)
        return opts_wrong(err, "\"%.*s\" is not a message id", (int)(word_n < 100 ? word_n : 100), word);
    if (ids->n == ids->cap) {
        size_t cap = ids->cap ? ids->cap * 2 : 64;
        struct id *list = realloc(ids->list, cap * sizeof(*list));

        if (!list)
            report_no_memory();
        ids->list = list;
        ids->cap = cap;
    }
    ids->list[ids->n] = (struct id){ .text = strndup(p, n) };
    if (!ids->list[ids->n++].text)
        report_no_memory();
    return LQ_OK;
}

static bool separates(char c)
{
    return c == '\0' || c == ' ' || (c >= '\t' && c <= '\r');
}

int ids_add(struct ids *ids, const char *text, size_t n, struct lq_error *err)
{
    size_t i = 0;
    int rc = LQ_OK;

    ids->given = true;
    while (i < n && rc == LQ_OK) {
        size_t from;

        while (i < n && separates(text[i]))
            i++;
        from = i;
        while (i < n && !separates(text[i]))
            i++;
        if (i > from)
            rc = add_word(ids, text + from, i - from, err);
    }
    return rc;
}

/* A word may lie across two reads: what is behind the last separator stays for the next round. */
static int read_words(struct ids *ids, int fd, const char *path, struct lq_error *err)
{
    char buf[65536];
    size_t kept = 0;
    ssize_t got;
    int rc = LQ_OK;

    while (rc == LQ_OK) {
        size_t whole;

        got = read(fd, buf + kept, sizeof(buf) - kept);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return opts_wrong(err, "cannot read %s: %s", path, strerror(errno));
        whole = kept + (size_t)got;
        if (got == 0)
            return ids_add(ids, buf, whole, err);
        while (whole > 0 && !separates(buf[whole - 1]))
            whole--;
        rc = ids_add(ids, buf, whole, err);
        kept = kept + (size_t)got - whole;
        memmove(buf, buf + whole, kept);
        if (kept > 2 * ID_MAX && rc == LQ_OK)
            return opts_wrong(err, "%s holds a word of more than %d bytes: not a message id", path, 2 * ID_MAX);
    }
    return rc;
}

int ids_read(struct ids *ids, const char *path, struct lq_error *err)
{
    int fd = STDIN_FILENO, rc;

    ids->given = true;
    if (strcmp(path, "-") == 0) {
        ids->standard_input = true;
        return read_words(ids, fd, "standard input", err);
    }
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return opts_wrong(err, "cannot open %s: %s", path, strerror(errno));
    rc = read_words(ids, fd, path, err);
    close(fd);
    return rc;
}

static int compare(const void *a, const void *b)
{
    return strcmp(((const struct id *)a)->text, ((const struct id *)b)->text);
}

void ids_sort(struct ids *ids)
{
    size_t kept = 0;

    if (ids->n > 1)
        qsort(ids->list, ids->n, sizeof(*ids->list), compare);
    for (size_t i = 0; i < ids->n; i++) {
        if (kept > 0 && strcmp(ids->list[kept - 1].text, ids->list[i].text) == 0)
            free(ids->list[i].text);
        else
            ids->list[kept++] = ids->list[i];
    }
    ids->n = kept;
    ids->sorted = true;
}

void ids_seen(struct ids *ids, struct lq_str id)
{
    struct id wanted = { .text = (char *)id.p }, *found;

    if (!ids->sorted || ids->n == 0 || !id.p)
        return;
    found = bsearch(&wanted, ids->list, ids->n, sizeof(*ids->list), compare);
    if (found)
        found->seen = true;
}

void ids_done(struct ids *ids)
{
    for (size_t i = 0; i < ids->n; i++)
        free(ids->list[i].text);
    free(ids->list);
    *ids = (struct ids){ 0 };
}
