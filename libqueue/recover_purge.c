/*
 * What a purge without undo left when it was killed: its messages are gone with their keys, but the body of one may lie there still, seen by no server and
 * missed by nobody. The job wrote down which files it was about to delete; only those, known by inode, go, and only where no control file has the id.
 */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "recover.h"

struct purged {
    struct lq_queue *q;
    struct spool sp;
    bool listed;
    struct who who;
    size_t removed;
    int error;
};

/* "ID dev:inode" as going_line() writes it. */
static bool read_entry(const char *text, char id[256], dev_t *dev, ino_t *ino)
{
    uintmax_t d, i;

    if (sscanf(text, "%255s %jx:%ju", id, &d, &i) != 3 || i == 0)
        return false;
    *dev = (dev_t)d;
    *ino = (ino_t)i;
    return true;
}

/* The names of this id; entries are sorted by it. */
static const struct entry *names_of(const struct spool *sp, const char *id, size_t *count)
{
    size_t n, low = 0, high, len = strlen(id);
    const struct entry *e = listing_entries(sp, &n);

    high = n;
    while (low < high) {
        size_t middle = low + (high - low) / 2, common = e[middle].id_len < len ? e[middle].id_len : len;
        int c = memcmp(e[middle].id, id, common);

        if (c < 0 || (c == 0 && e[middle].id_len < len))
            low = middle + 1;
        else
            high = middle;
    }
    *count = 0;
    while (low + *count < n && e[low + *count].id_len == len && memcmp(e[low + *count].id, id, len) == 0)
        ++*count;
    return e + low;
}

static void remove_names(struct purged *p, const struct entry *e, size_t n, const struct entry *body)
{
    int error = 0;

    for (size_t i = 0; i < n && error == 0; i++)
        if (&e[i] != body)
            error = disk_remove(p->sp.dirs[e[i].dir].fd, e[i].name);
    if (error == 0)
        error = disk_remove(p->sp.dirs[body->dir].fd, body->name);
    p->error = p->error ? p->error : error;
    p->removed += error == 0;
}

/* Roles are ranked: what comes before a body's is a control file of some kind. */
static void look_at(struct purged *p, const char *id, dev_t dev, ino_t ino)
{
    const struct entry *e, *body = NULL;
    size_t n;

    e = names_of(&p->sp, id, &n);
    for (size_t i = 0; i < n; i++) {
        struct stat st;

        if (file_stat(p->sp.dirs[e[i].dir].fd, e[i].name, &st) == FILE_OK && st.st_dev == dev && st.st_ino == ino)
            body = &e[i];
    }
    for (size_t i = 0; i < n && body; i++)
        if (e[i].role < body->role || (e[i].role == body->role && &e[i] != body))
            body = NULL;
    if (body)
        remove_names(p, e, n, body);
}

static int open_spool(struct purged *p, const char *mta, const char *spool, struct lq_error *err)
{
    uid_t uid;
    gid_t gid;
    int rc = lq_queue_open(&p->q, mta, spool, NULL, err);

    if (rc == LQ_OK)
        rc = listing_begin(&p->sp, p->q, SEC_NAME | SEC_LOG, NULL, err);
    p->listed = rc == LQ_OK;
    if (rc == LQ_OK && p->q->backend->actor->owner(&p->sp, &uid, &gid) != 0)
        rc = error_set(err, LQ_EIO, "%s: whose queue this is cannot be told", spool);
    return rc == LQ_OK ? who_become(&p->who, uid, gid, err) : rc;
}

static void each_line(struct purged *p, int fd, const char *spool)
{
    int copy = dup(fd);
    FILE *f = copy >= 0 ? fdopen(copy, "r") : NULL;
    char *line = NULL;
    size_t size = 0;

    if (!f && copy >= 0)
        close(copy);
    if (f)
        rewind(f);
    while (f && getline(&line, &size, f) > 0) {
        json_t *o = strstr(line, "\"going\"") ? json_loads(line, 0, NULL) : NULL, *one;
        const char *event = json_string_value(json_object_get(o, "event")), *where = json_string_value(json_object_get(o, "spool"));
        char id[256];
        dev_t dev;
        ino_t ino;
        size_t i;

        if (event && where && strcmp(event, "going") == 0 && strcmp(where, spool) == 0)
            json_array_foreach(json_object_get(o, "messages"), i, one)
                if (read_entry(json_string_value(one) ? json_string_value(one) : "", id, &dev, &ino))
                    look_at(p, id, dev, ino);
        json_decref(o);
    }
    free(line);
    if (f)
        fclose(f);
}

int recover_bodies(int job, const char *mta, const char *spool, size_t *removed, struct lq_error *err)
{
    struct purged p = { 0 };
    struct lq_error back;
    int rc = open_spool(&p, mta, spool, err);

    if (rc == LQ_OK)
        each_line(&p, job, spool);
    if (who_back(&p.who, &back) != LQ_OK && rc == LQ_OK)
        rc = error_set(err, LQ_EIO, "%s", back.text);
    if (rc == LQ_OK && p.error != 0)
        rc = error_set(err, LQ_EIO, "%s: %s", spool, strerrordesc_np(p.error));
    *removed = p.removed;
    if (p.listed)
        listing_end(&p.sp);
    lq_queue_close(p.q);
    who_done(&p.who);
    return rc;
}
