/*
 * Opening a queue: ask each back end whether the directory is its own, take the best bid. Also the words that commands
 * share with the library and that need no message.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "addr.h"
#include "engine.h"
#include "ndjson.h"
#include "settings.h"
#include "units.h"

const char *lq_version(void)
{
    return MQ_VERSION;
}

const struct lq_backend *queue_backend(const char *mta)
{
    for (const struct lq_backend *const *b = backends; *b; b++)
        if (strcmp((*b)->name, mta) == 0)
            return *b;
    return NULL;
}

static int find_backend(const struct lq_backend **out, const char *mta, struct lq_error *err)
{
    const struct lq_backend *found = queue_backend(mta);

    if (found) {
        *out = found;
        return LQ_OK;
    }
    return error_set(err, LQ_EINVAL, "unknown mail server '%.60s'; known are: exim postfix sendmail", mta);
}

const struct lq_backend *queue_recognise(int fd)
{
    const struct lq_backend *best = NULL;
    unsigned most = 0;

    for (const struct lq_backend *const *b = backends; *b; b++) {
        unsigned facts = (*b)->detect(fd);

        if (facts > most) {
            most = facts;
            best = *b;
        }
    }
    return best;
}

/* True when dir is one of the places where this machine's own mail servers keep their queue. */
static bool usual(const struct lq_backend *b, int fd)
{
    struct stat here, there;

    if (fstat(fd, &here) < 0)
        return false;
    for (const char *const *dir = b->usual_dirs; *dir; dir++)
        if (stat(*dir, &there) == 0 && here.st_dev == there.st_dev && here.st_ino == there.st_ino)
            return true;
    return false;
}

static int open_root(const char *dir, int *fd, struct lq_error *err)
{
    *fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NONBLOCK);
    if (*fd >= 0)
        return LQ_OK;
    if (errno == ENOENT)
        return error_set(err, LQ_ENOENT, "%s: no such directory", dir);
    if (errno == ENOTDIR)
        return error_set(err, LQ_ENOENT, "%s: not a directory", dir);
    if (errno == EACCES || errno == EPERM)
        return file_denied(AT_FDCWD, dir, dir, err);
    return error_set(err, LQ_EIO, "%s: %s", dir, strerror(errno));
}

static char *own_host(void)
{
    char name[HOST_NAME_MAX + 1];

    if (gethostname(name, sizeof(name)) < 0)
        return NULL;
    name[HOST_NAME_MAX] = '\0';
    return strdup(name);
}

static int open_queue(struct lq_queue **out, const struct lq_backend *backend, const char *dir, const char *host, bool own,
                      struct lq_error *err)
{
    struct lq_queue *q;
    int fd, rc = open_root(dir, &fd, err);

    if (rc != LQ_OK)
        return rc;
    if (!backend)
        backend = queue_recognise(fd);
    if (!backend) {
        close(fd);
        return error_set(err, LQ_EUNKNOWN,
                         "%s: not recognised as a spool of Exim, Postfix or Sendmail (for an empty one say --mta)", dir);
    }
    q = calloc(1, sizeof(*q));
    if (!q) {
        close(fd);
        return error_memory(err);
    }
    q->backend = backend;
    q->fd = fd;
    /* Below a directory that is closed to us a relative name has no absolute one: the name as given must do. */
    q->root = realpath(dir, NULL);
    if (!q->root)
        q->root = strdup(dir);
    q->live = own || usual(backend, fd);
    q->host = host ? strdup(host) : q->live ? own_host() : NULL;
    if (!q->root || (host && !q->host) || trust_begin(&q->trust, err) != LQ_OK) {
        lq_queue_close(q);
        return error_memory(err);
    }
    *out = q;
    return LQ_OK;
}

int lq_records_open(struct lq_queue **out, const char *path, struct lq_error *err)
{
    struct lq_queue *q = calloc(1, sizeof(*q));
    int rc;

    if (!q)
        return error_memory(err);
    q->fd = -1;
    q->root = strdup(strcmp(path, "-") == 0 ? "standard input" : path);
    rc = q->root ? ndjson_open(&q->records, path, err) : error_memory(err);
    if (rc != LQ_OK) {
        lq_queue_close(q);
        return rc;
    }
    q->live = ndjson_live(q->records);
    *out = q;
    return LQ_OK;
}

bool lq_queue_is_records(const struct lq_queue *q)
{
    return q->records != NULL;
}

struct lq_queue *queue_over(const struct lq_backend *backend, int fd, const char *root, const char *host, const char *origin)
{
    struct lq_queue *q = calloc(1, sizeof(*q));

    if (!q)
        return NULL;
    q->backend = backend;
    q->fd = -1;
    q->root = strdup(root);
    q->host = host ? strdup(host) : NULL;
    q->origin = origin ? strdup(origin) : NULL;
    if (!q->root || (host && !q->host) || (origin && !q->origin) || trust_begin(&q->trust, NULL) != LQ_OK) {
        lq_queue_close(q);
        return NULL;
    }
    q->fd = fd;
    return q;
}

int lq_queue_open(struct lq_queue **out, const char *mta, const char *dir, const char *host, struct lq_error *err)
{
    const struct lq_backend *backend = NULL;

    if (!dir || *dir == '\0')
        return error_set(err, LQ_EINVAL, "the name of the spool directory is empty");
    if (mta && find_backend(&backend, mta, err) != LQ_OK)
        return LQ_EINVAL;
    return open_queue(out, backend, dir, host, false, err);
}

int lq_spools_open(struct lq_queue **out, const struct lq_spools *s, size_t i, const char *host, struct lq_error *err)
{
    const struct lq_backend *backend = NULL;
    int rc;

    if (i >= lq_spools_count(s))
        return error_set(err, LQ_EINVAL, "there is no spool number %zu", i);
    rc = find_backend(&backend, lq_spools_mta(s, i), err);
    return rc == LQ_OK ? open_queue(out, backend, lq_spools_dir(s, i), host, true, err) : rc;
}

const char *lq_queue_mta(const struct lq_queue *q)
{
    return q->records ? "records" : q->backend->name;
}

const char *lq_queue_dir(const struct lq_queue *q)
{
    return q->root;
}

bool lq_queue_live(const struct lq_queue *q)
{
    return q->live;
}

int64_t lq_queue_now(struct lq_queue *q)
{
    int64_t clock = time(NULL);
    struct spool sp;

    if (q->records)
        return ndjson_now(q->records);
    if (q->live)
        return clock;
    /* A listing notes it; only who asks before the first scan pays for one. */
    if (q->now == 0 && listing_begin(&sp, q, SEC_NAME, NULL, NULL) == LQ_OK)
        listing_end(&sp);
    return q->now > 0 && q->now < clock ? q->now : clock;
}

void lq_queue_trust(struct lq_queue *q, const struct lq_trust *t)
{
    q->trust.named = t;
}

void queue_learn_trust(struct lq_queue *q)
{
    struct setting networks = { .name = "mynetworks" };

    if (!q->live || q->trust_learnt)
        return;
    q->trust_learnt = true;
    trust_own_addresses(&q->trust);
    if (!q->trust.named && strcmp(q->backend->name, "postfix") == 0 && settings_ask(q->backend->name, q->fd, &networks, 1, NULL))
        trust_mynetworks(&q->trust, networks.value);
}

void lq_queue_close(struct lq_queue *q)
{
    if (!q)
        return;
    if (q->fd >= 0)
        close(q->fd);
    free(q->root);
    free(q->host);
    free(q->origin);
    trust_done(&q->trust);
    ndjson_close(q->records);
    free(q);
}

/* --- words --- */

struct lq_str lq_address_domain(struct lq_str a)
{
    struct bytes domain;

    if (!a.p)
        return a;
    domain = addr_domain(bytes_from(a.p, a.n));
    return (struct lq_str){ (const char *)domain.p, domain.n };
}

bool lq_address_network(struct lq_str addr, unsigned prefix4, unsigned prefix6, char out[64])
{
    struct ip ip;

    if (!addr.p || !ip_parse(bytes_from(addr.p, addr.n), &ip))
        return false;
    ip_network(&ip, prefix4, prefix6, out);
    return true;
}

int lq_time_parse(int64_t *out, const char *text, struct lq_error *err)
{
    return units_time(out, text, err);
}

/* --- field names --- */

static bool word_in(const char *words, const char *word)
{
    size_t n = strlen(word);

    for (const char *p = words; *p; p += strspn(p, " ")) {
        size_t len = strcspn(p, " ");

        if (len == n && memcmp(p, word, n) == 0)
            return true;
        p += len;
    }
    return false;
}

/* How many single-letter changes and swaps of neighbours make a into b[0..nb); names of at most MAX. */
static unsigned distance(const char *a, const char *b, size_t nb)
{
    enum { MAX = 32 };
    unsigned d[MAX + 1][MAX + 1];
    size_t na = strlen(a);

    if (na > MAX || nb > MAX)
        return UINT_MAX;
    for (size_t i = 0; i <= na; i++) {
        for (size_t j = 0; j <= nb; j++) {
            if (i == 0 || j == 0) {
                d[i][j] = (unsigned)(i + j);
                continue;
            }
            d[i][j] = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
            if (d[i - 1][j] + 1 < d[i][j])
                d[i][j] = d[i - 1][j] + 1;
            if (d[i][j - 1] + 1 < d[i][j])
                d[i][j] = d[i][j - 1] + 1;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && d[i - 2][j - 2] + 1 < d[i][j])
                d[i][j] = d[i - 2][j - 2] + 1;
        }
    }
    return d[na][nb];
}

void nearest_name(struct nearest *best, const char *name, const char *words)
{
    for (const char *p = words; *p; p += strspn(p, " ")) {
        size_t n = strcspn(p, " ");
        unsigned d = distance(name, p, n);

        if (d < best->distance) {
            best->distance = d;
            snprintf(best->name, sizeof(best->name), "%.*s", (int)n, p);
        }
        p += n;
    }
}

const char *nearest_hint(const struct nearest *best, const char *name)
{
    /* Further away than half of its letters, a name is another word. */
    return best->distance <= strlen(name) / 2 ? best->name : NULL;
}

int unknown_field(const struct nearest *best, const char *name, struct lq_error *err)
{
    const char *hint = nearest_hint(best, name);

    if (!hint)
        return error_set(err, LQ_EINVAL, "unknown field '%.60s'; mqtools-record(5) lists them", name);
    return error_set(err, LQ_EINVAL, "unknown field '%.60s'; did you mean '%s'?", name, hint);
}

void nearest_field(struct nearest *best, const char *name)
{
    for (unsigned f = 0; f <= LQ_RECIPIENT; f++) {
        nearest_name(best, name, field_table[f].name);
        nearest_name(best, name, field_table[f].aliases);
    }
}

int lq_field_find(enum lq_field *out, const char *name, struct lq_error *err)
{
    struct nearest best = { .distance = UINT_MAX };

    /* What stands behind it can be asked for in a selection only. */
    for (unsigned f = 0; f <= LQ_RECIPIENT; f++)
        if (strcmp(field_table[f].name, name) == 0 || word_in(field_table[f].aliases, name)) {
            *out = (enum lq_field)f;
            return LQ_OK;
        }
    nearest_field(&best, name);
    return unknown_field(&best, name, err);
}
