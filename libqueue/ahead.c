/*
 * Directories of a spool read side by side: helpers read names ahead of the caller, from the last directory on, while the caller reads from the
 * first on. The caller sees them as if it had read them all, one after the other.
 *
 * Knows directories and names, and no queue. Its threads end with ahead_end() at the latest.
 */
#include "ahead.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum {
    HELPERS_MAX = 3,
    HELD_MAX = 4 << 20,         /* bytes of names that wait to be taken; no further directory is begun beyond this */
    FIRST_ROOM = 16 << 10
};

/* The names of one directory: type, length and name of each, the length without the NUL behind it. */
struct read_dir {
    int fd;
    bool done;
    bool failed;                /* no memory: the caller reads it itself */
    enum file_result result;
    int error;
    unsigned char *text;
    size_t n, cap;
};

struct ahead {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    struct read_dir *dirs;
    size_t n, front, back;      /* [0, front) are the caller's, [back, n) the helpers' */
    size_t bytes;               /* of all names held */
    bool stop;
    pthread_t helpers[HELPERS_MAX];
    unsigned helper_count;
};

static int keep_name(void *ctx, const char *name, size_t len, unsigned char type)
{
    struct read_dir *d = ctx;

    if (d->cap - d->n < len + 3) {
        size_t cap = d->cap ? d->cap * 2 : FIRST_ROOM;
        unsigned char *more = realloc(d->text, cap);

        if (!more || len > UINT8_MAX) {
            d->text = more ? more : d->text;
            return d->failed = true;
        }
        d->text = more;
        d->cap = cap;
    }
    d->text[d->n++] = type;
    d->text[d->n++] = (unsigned char)len;
    memcpy(d->text + d->n, name, len + 1);
    d->n += len + 1;
    return 0;
}

static void *help(void *ctx)
{
    struct ahead *a = ctx;

    pthread_mutex_lock(&a->mutex);
    while (!a->stop && a->front < a->back) {
        struct read_dir *d;

        if (a->bytes > HELD_MAX) {
            pthread_cond_wait(&a->changed, &a->mutex);
            continue;
        }
        d = &a->dirs[--a->back];
        pthread_mutex_unlock(&a->mutex);
        d->result = file_each(d->fd, keep_name, d);
        d->error = errno;
        pthread_mutex_lock(&a->mutex);
        d->done = true;
        a->bytes += d->cap;
        pthread_cond_broadcast(&a->changed);
    }
    pthread_mutex_unlock(&a->mutex);
    return NULL;
}

struct ahead *ahead_begin(const struct spool *sp, size_t first, unsigned helpers)
{
    size_t n = sp->dir_count - first;
    struct ahead *a = n > 1 && helpers > 0 ? calloc(1, sizeof(*a)) : NULL;

    if (!a)
        return NULL;
    a->dirs = calloc(n, sizeof(*a->dirs));
    if (!a->dirs) {
        free(a);
        return NULL;
    }
    /* The spool's own array moves when a directory is added. */
    for (size_t i = 0; i < n; i++)
        a->dirs[i].fd = sp->dirs[first + i].fd;
    a->n = a->back = n;
    pthread_mutex_init(&a->mutex, NULL);
    pthread_cond_init(&a->changed, NULL);
    helpers = helpers < HELPERS_MAX ? helpers : HELPERS_MAX;
    while (a->helper_count < helpers && a->helper_count < n - 1 &&
           pthread_create(&a->helpers[a->helper_count], NULL, help, a) == 0)
        a->helper_count++;
    return a;
}

static void give_back(struct ahead *a, struct read_dir *d)
{
    pthread_mutex_lock(&a->mutex);
    a->bytes -= d->cap;
    pthread_cond_broadcast(&a->changed);
    pthread_mutex_unlock(&a->mutex);
    free(d->text);
    d->text = NULL;
    d->n = d->cap = 0;
}

/* Names that a helper read, for as long as they are wanted. */
static enum file_result take(struct ahead *a, struct read_dir *d, file_each_fn *each, void *ctx)
{
    enum file_result result = d->result;
    size_t at = 0;

    while (at < d->n) {
        const unsigned char *name = d->text + at;

        at += name[1] + 3u;
        if (each(ctx, (const char *)name + 2, name[1], name[0]) != 0) {
            result = FILE_OK;
            break;
        }
    }
    give_back(a, d);
    errno = d->error;
    return result;
}

bool ahead_has(const struct ahead *a, size_t i)
{
    return a && i < a->n;
}

enum file_result ahead_each(struct ahead *a, size_t i, file_each_fn *each, void *ctx)
{
    struct read_dir *d = &a->dirs[i];
    bool own;

    pthread_mutex_lock(&a->mutex);
    own = i < a->back;
    if (own)
        a->front = i + 1;
    while (!own && !d->done)
        pthread_cond_wait(&a->changed, &a->mutex);
    pthread_mutex_unlock(&a->mutex);
    if (!own && !d->failed)
        return take(a, d, each, ctx);
    if (!own)
        give_back(a, d);
    return file_each(d->fd, each, ctx);
}

void ahead_end(struct ahead *a)
{
    if (!a)
        return;
    pthread_mutex_lock(&a->mutex);
    a->stop = true;
    pthread_cond_broadcast(&a->changed);
    pthread_mutex_unlock(&a->mutex);
    for (unsigned i = 0; i < a->helper_count; i++)
        pthread_join(a->helpers[i], NULL);
    for (size_t i = 0; i < a->n; i++)
        free(a->dirs[i].text);
    free(a->dirs);
    pthread_mutex_destroy(&a->mutex);
    pthread_cond_destroy(&a->changed);
    free(a);
}
