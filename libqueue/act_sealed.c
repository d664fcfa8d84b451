/*
 * Restoring from a sealed, open case: is a message as it was sealed, and which ones are missing? (What is unpacked was compared while it was.)
 * A case that is not sealed yet has nothing to compare with.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "act.h"
#include "sealed.h"

struct missing {
    const char *id;             /* in the manifest, not terminated there */
    size_t id_len;
    const char *spool, *mta;
    size_t use;
};

struct missing_list {
    struct missing *list;
    size_t n, at;
    char id[256];               /* of the one that was answered last */
};

/* --- a message --- */

static const struct sealed_file *find(const struct sealed_file *files, size_t n, const char *path)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(files[i].path, path) == 0)
            return &files[i];
    return NULL;
}

static void part_path(const struct site *s, const struct piece *p, char out[PATH_MAX])
{
    const char *dir = s->sp.dirs[p->dir].path;

    snprintf(out, PATH_MAX, "data/%s%s%s%s", s->ledger_prefix, dir, *dir ? "/" : "", p->name);
}

static bool part_is_same(struct site *s, struct work *w, const struct piece *p)
{
    const struct sealed_file *files, *f;
    char path[PATH_MAX];
    const char *id;
    size_t id_len, n;
    struct stat st;
    int fd, error;

    part_path(s, p, path);
    sealed_id(path, &id, &id_len);
    files = sealed_message(s->sealed, id, id_len, &n);
    f = find(files, n, path);
    if (!f) {
        work_unlike(w, "changed since it was sealed: %.300s is in no manifest", path);
        return false;
    }
    if (file_open(s->sp.dirs[p->dir].fd, p->name, &fd, &st) != FILE_OK) {
        work_unlike(w, "changed since it was sealed: %.300s is missing", path);
        return false;
    }
    error = sealed_compare(s->sealed, f, fd);
    close(fd);
    if (error == EBADMSG)
        work_unlike(w, "changed since it was sealed: %.300s", path);
    else if (error != 0)
        work_fail(w, "%.300s cannot be compared with what was sealed: %s", path, strerrordesc_np(error));
    return error == 0;
}

/* path: below the spool's folder of the case. */
static bool is_there(struct site *s, const char *path)
{
    const char *slash = strrchr(path, '/');
    char dir[PATH_MAX];
    struct stat st;
    size_t index;

    snprintf(dir, sizeof(dir), "%.*s", slash ? (int)(slash - path) : 0, path);
    return spool_dir(&s->sp, dir, &index) == 0 && file_stat(s->sp.dirs[index].fd, slash ? slash + 1 : path, &st) != FILE_GONE;
}

/* A file of it that is not there any more. Where another message of its id went back, its files are rightly gone. */
static bool is_whole(struct site *s, struct work *w)
{
    char prefix[64], path[PATH_MAX];
    const struct sealed_file *files;
    const char *id;
    size_t id_len, n, skip;

    part_path(s, &w->c.parts[0], path);
    sealed_id(path, &id, &id_len);
    if (s->ledger && ledger_has_id(s->ledger, id, id_len))
        return true;
    files = sealed_message(s->sealed, id, id_len, &n);
    skip = (size_t)snprintf(prefix, sizeof(prefix), "data/%s", s->ledger_prefix);
    for (size_t i = 0; i < n; i++) {
        if (strncmp(files[i].path, prefix, skip) != 0 || is_there(s, files[i].path + skip))
            continue;
        work_unlike(w, "changed since it was sealed: %.300s is missing", files[i].path);
        return false;
    }
    return true;
}

bool work_as_sealed(struct site *s, struct work *w)
{
    if (!s->sealed)
        return true;
    for (size_t i = 0; i < w->c.n; i++)
        if (!part_is_same(s, w, &w->c.parts[i]))
            return false;
    return is_whole(s, w);
}

/* --- the case --- */

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

struct ids {
    char **list;
    size_t n, cap;
};

static bool add_id(struct ids *l, const struct entry *e)
{
    if (l->n == l->cap) {
        size_t cap = l->cap ? l->cap * 2 : 256;
        char **more = realloc(l->list, cap * sizeof(*more));

        if (!more)
            return false;
        l->list = more;
        l->cap = cap;
    }
    l->list[l->n] = strndup(e->id, e->id_len);
    return l->list[l->n] && ++l->n;
}

/* The ids of what is in the case now. */
static int list_ids(struct lq_case *c, struct ids *ids, struct lq_error *err)
{
    int rc = LQ_OK;

    for (size_t i = 0; rc == LQ_OK && i < c->spool_count; i++) {
        struct lq_queue *q;
        struct spool sp;

        if (c->spools[i].fd < 0)
            continue;
        rc = lq_case_queue(&q, c, i, err);
        if (rc == LQ_OK)
            rc = listing_begin(&sp, q, SEC_NAME, NULL, err);
        if (rc != LQ_OK)
            break;
        for (size_t k = 0; rc == LQ_OK && k < listing_count(&sp); k++)
            if (!add_id(ids, &listing_ref(&sp, k)->entries[0]))
                rc = error_memory(err);
        listing_end(&sp);
    }
    if (ids->n > 1)
        qsort(ids->list, ids->n, sizeof(*ids->list), by_text);
    return rc;
}

static size_t selected(const struct lq_job *j, const struct lq_case *c)
{
    size_t n = 0;

    for (size_t i = 0; i < j->set->count; i++)
        n += j->set->queues[j->set->items[i].queue].q->in_case == c;
    return n;
}

/* The spool of "data/<n>-<mta>/…"; NULL: none of the case's. */
static const struct case_spool *spool_of(const struct lq_case *c, const char *path)
{
    char prefix[80];

    for (size_t i = 0; i < c->spool_count; i++) {
        int n = snprintf(prefix, sizeof(prefix), "data/%zu-%s/", i, c->spools[i].mta);

        if (strncmp(path, prefix, (size_t)n) == 0)
            return &c->spools[i];
    }
    return NULL;
}

static bool add_missing(struct lq_job *j, const struct site *s, const struct sealed_file *f, const struct case_spool *spool)
{
    struct missing *more = realloc(j->missing->list, (j->missing->n + 1) * sizeof(*more));

    if (!more)
        return false;
    j->missing->list = more;
    more[j->missing->n++] = (struct missing){ f->id, f->id_len, spool->spool, spool->mta, s->use };
    return true;
}

static bool is_listed(const struct ids *ids, const char *id, size_t n)
{
    char text[256], *key = text;

    if (n >= sizeof(text))
        return true;
    memcpy(text, id, n);
    text[n] = '\0';
    return ids->n > 0 && bsearch(&key, ids->list, ids->n, sizeof(*ids->list), by_text);
}

/* Messages that were sealed, did not go back, and are not there. Only who puts back all that is there is told of them. */
static int find_missing(struct lq_job *j, const struct site *s, struct lq_error *err)
{
    const struct sealed *sealed = s->sealed;
    struct lq_case *c = s->q->in_case;
    struct ids ids = { 0 };
    int rc = list_ids(c, &ids, err);
    bool all = selected(j, c) >= ids.n;

    for (size_t i = 0; rc == LQ_OK && all && i < sealed->n; i++) {
        const struct sealed_file *f = &sealed->files[i];
        const struct case_spool *spool = spool_of(c, f->path);

        if (i > 0 && f->id_len == f[-1].id_len && memcmp(f->id, f[-1].id, f->id_len) == 0)
            continue;
        if (!spool || is_listed(&ids, f->id, f->id_len) || (s->ledger && ledger_has_id(s->ledger, f->id, f->id_len)))
            continue;
        if (!add_missing(j, s, f, spool))
            rc = error_memory(err);
    }
    for (size_t i = 0; i < ids.n; i++)
        free(ids.list[i]);
    free(ids.list);
    return rc;
}

static const struct site *of_same_case(const struct lq_job *j, const struct site *s)
{
    for (const struct site *other = j->sites; other < s; other++)
        if (other->q->in_case == s->q->in_case)
            return other;
    return NULL;
}

int job_look_sealed(struct lq_job *j, struct lq_error *err)
{
    int rc = LQ_OK;

    if (j->opts.verb != LQ_RESTORE)
        return LQ_OK;
    j->missing = calloc(1, sizeof(*j->missing));
    if (!j->missing)
        return error_memory(err);
    for (size_t i = 0; rc == LQ_OK && i < j->site_count; i++) {
        struct site *s = &j->sites[i];
        const struct site *other = of_same_case(j, s);

        if (!s->q->in_case->info.sealed || s->unpacked)
            continue;
        if (other) {
            s->sealed = other->sealed;
            s->sealed_lent = true;
            continue;
        }
        rc = sealed_open(&s->sealed, s->q->in_case, err);
        if (rc == LQ_OK)
            rc = find_missing(j, s, err);
    }
    return rc;
}

bool job_next_missing(struct lq_job *j, struct lq_outcome *out, size_t *use)
{
    const struct missing *m;

    if (!j->missing || j->missing->at == j->missing->n)
        return false;
    m = &j->missing->list[j->missing->at++];
    snprintf(j->missing->id, sizeof(j->missing->id), "%.*s", (int)m->id_len, m->id);
    *out = (struct lq_outcome){ .index = SIZE_MAX, .result = LQ_SKIPPED, .id = j->missing->id, .spool = m->spool, .mta = m->mta,
                                .text = "it is missing from the case" };
    *use = m->use;
    return true;
}

void job_forget_sealed(struct lq_job *j)
{
    for (size_t i = 0; i < j->site_count; i++)
        if (!j->sites[i].sealed_lent)
            sealed_close(j->sites[i].sealed);
    if (j->missing)
        free(j->missing->list);
    free(j->missing);
}
