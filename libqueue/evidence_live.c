/*
 * Evidence out of queues at work: files are read, nothing is locked, moved or touched. A message that its server changes while it is copied
 * is copied again; one that is gone, or is another one by now, is left out and counted.
 *
 * Some messages at a time are copied into a working directory beside the archive, which then is a small queue that stands still.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "evidence.h"
#include "tree.h"

enum { CHUNK = 256, CHUNK_BYTES = 64 << 20, TRIES = 3, PARTS = 16 };

struct live {
    struct evidence *e;
    struct lq_queue *q;
    struct spool sp;
    struct reading rd;
    struct lq_record rec;
    uint16_t *map;              /* the set's number of a directory -> the spool's; UINT16_MAX: gone */
    size_t spool;               /* number in the archive */
    char work[NAME_MAX + 1];    /* name of the working directory */
    int stage;                  /* a chunk's: work/<n> */
    uint64_t bytes;             /* in it */
};

/* The files of a message, with names of their own: a record's die with it. */
struct files {
    struct entry entries[PARTS];
    char names[PARTS][NAME_MAX + 1];
    struct ref ref;
};

enum copied { COPIED, COPY_GONE, COPY_CHANGED, COPY_FAILED };

static bool same(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
           a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

static void keep(struct files *f, const struct entry *e, size_t n)
{
    f->ref = (struct ref){ .entries = f->entries };
    for (size_t i = 0; i < n && i < PARTS; i++) {
        snprintf(f->names[i], sizeof(f->names[i]), "%s", e[i].name);
        f->entries[i] = e[i];
        f->entries[i].name = f->names[i];
        f->entries[i].id = f->names[i] + (e[i].id - e[i].name);
        f->ref.count++;
    }
}

/* The files as they were when they were selected, where their directories are still there. */
static void keep_first(const struct live *l, const struct set_item *item, struct files *f)
{
    struct entry e[PARTS];
    size_t n = 0;

    for (size_t i = 0; i < item->part_count && n < PARTS; i++) {
        const struct set_part *p = &item->parts[i];

        if (l->map[p->dir] != UINT16_MAX)
            e[n++] = (struct entry){ .name = p->name, .id = p->name + p->id_at, .dir = l->map[p->dir], .id_len = p->id_len, .role = p->role };
        else if (i == 0)
            break;
    }
    keep(f, e, n);
}

/* Stat what there is of the message; the part that is never rewritten must be among it. */
static bool look(const struct live *l, const struct set_item *item, const struct files *f, struct stat st[PARTS])
{
    bool found = item->ino == 0;

    memset(st, 0, PARTS * sizeof(*st));
    for (uint32_t i = 0; i < f->ref.count; i++) {
        const struct entry *e = &f->entries[i];
        enum file_result r = file_stat(l->sp.dirs[e->dir].fd, e->name, &st[i]);

        if (r != FILE_OK && (i == 0 || r != FILE_GONE))
            return false;
        if (r != FILE_OK)
            memset(&st[i], 0, sizeof(st[i]));
        found = found || (st[i].st_dev == item->dev && st[i].st_ino == item->ino);
    }
    return found && f->ref.count > 0;
}

/* Where it is now, if its server moved it. */
static bool find(struct live *l, const struct set_item *item, struct files *f, struct stat st[PARTS])
{
    struct entry e[PARTS];
    size_t n;

    keep_first(l, item, f);
    if (look(l, item, f, st))
        return true;
    if (f->ref.count == 0 || !l->q->backend->again)
        return false;
    reading_begin(&l->rd, &f->ref, &l->rec, 0);
    n = l->q->backend->again(&l->rd, e, PARTS);
    reading_end(&l->rd);
    keep(f, e, n);
    return n > 0 && look(l, item, f, st);
}

static int copy_bytes(int from, int to, const struct stat *st, uint64_t *size)
{
    int error = file_copy(from, to, size, NULL);

    if (error == 0)
        error = file_set_times(to, st);
    return error ? error : file_set_mode(to, st->st_mode & 0777);
}

static int copy_part(struct live *l, const struct entry *e, const struct stat *was, bool *changed)
{
    const struct spool_dir *dir = &l->sp.dirs[e->dir];
    struct stat st, after;
    uint64_t size = 0;
    int from, to, into, error;

    if (file_open(dir->fd, e->name, &from, &st) != FILE_OK) {
        *changed = true;
        return 0;
    }
    *changed = !same(&st, was);
    error = *changed ? 0 : source_hollow(from, (uint64_t)st.st_size) ? ENODATA : file_make_below(l->stage, dir->path, &into, NULL);
    if (error == 0 && !*changed) {
        error = file_create(into, e->name, 0600, &to);
        close(into);
        if (error == 0) {
            error = copy_bytes(from, to, &st, &size);
            close(to);
            *changed = error == ESTALE || fstat(from, &after) < 0 || !same(&st, &after);
        }
    }
    close(from);
    l->bytes += size;
    return *changed ? 0 : error;
}

static void remove_copy(struct live *l, const struct files *f)
{
    for (uint32_t i = 0; i < f->ref.count; i++) {
        int dir;

        if (file_open_below(l->stage, l->sp.dirs[f->entries[i].dir].path, &dir) == 0) {
            file_remove(dir, f->names[i]);
            close(dir);
        }
    }
}

static bool unchanged(const struct live *l, const struct set_item *item, const struct files *f, const struct stat before[PARTS])
{
    struct stat after[PARTS];
    bool yes = look(l, item, f, after);

    for (uint32_t i = 0; yes && i < f->ref.count; i++)
        yes = same(&before[i], &after[i]);
    return yes;
}

/* Read its record, copy its files; both are of one moment if the files are afterwards what they were before. */
static enum copied try_copy(struct live *l, const struct set_item *item, int *error)
{
    struct stat before[PARTS];
    struct files f;
    bool changed = false;

    if (!find(l, item, &f, before))
        return COPY_GONE;
    reading_begin(&l->rd, &f.ref, &l->rec, LQ_FIELDS_ALL);
    if (!reading_sections(&l->rd, SEC_CONTROL) || !reading_sections(&l->rd, SEC_SIZE) || !reading_sections(&l->rd, SEC_LOG) || l->rd.ref != &f.ref)
        return COPY_CHANGED;
    reading_end(&l->rd);
    for (uint32_t i = 0; *error == 0 && !changed && i < f.ref.count; i++)
        if (before[i].st_ino != 0)
            *error = copy_part(l, &f.entries[i], &before[i], &changed);
    if (*error == 0 && !changed && unchanged(l, item, &f, before))
        return COPIED;
    remove_copy(l, &f);
    return *error ? COPY_FAILED : COPY_CHANGED;
}

static int copy_message(struct live *l, const struct set_item *item, struct lq_error *err)
{
    enum copied r = COPY_CHANGED;
    int error = 0, rc = LQ_OK;

    for (unsigned i = 0; r == COPY_CHANGED && i < TRIES; i++)
        r = try_copy(l, item, &error);
    reading_end(&l->rd);
    if (r == COPY_FAILED && error == ENODATA)
        return error_set(err, LQ_EREFUSED, "message %s: %s; nobody could send or unpack its zeros: leave it out of the selection", item->id, source_why(error));
    if (r == COPY_FAILED)
        return evidence_error(l->e, item->id, error, err);
    /* A redacted record is made with the hashes, of the copy. */
    if (r != COPIED)
        l->e->left++;
    else if (!l->e->opts->redact)
        rc = evidence_record(l->e, &l->rec, err);
    return rc;
}

/* --- a chunk --- */

static int add_copy(void *ctx, const struct tree_file *f)
{
    struct live *l = ctx;
    char path[TREE_PATH + 100];

    snprintf(path, sizeof(path), "data/%zu-%s/%s", l->spool, l->q->backend->name, f->path);
    return pack_file(&l->e->tar, f->dir, f->name, path);
}

/* What was copied, into the archive. */
static int pack_chunk(struct live *l, struct lq_error *err)
{
    struct lq_queue *copy;
    struct trust own;
    int rc, fd, error = l->e->opts->redact ? 0 : tree_walk(l->stage, NULL, add_copy, l);

    if (error)
        return evidence_error(l->e, l->e->tar.why, error, err);
    fd = dup(l->stage);
    copy = fd >= 0 ? queue_over(l->q->backend, fd, l->q->root, l->q->host, NULL) : NULL;
    if (!copy) {
        if (fd >= 0)
            close(fd);
        return error_memory(err);
    }
    /* The copy would know only loopback for a relay. */
    own = copy->trust;
    copy->trust = l->q->trust;
    rc = evidence_queue(l->e, copy, l->spool, l->e->opts->redact, err);
    copy->trust = own;
    lq_queue_close(copy);
    return rc;
}

/* Whether the name is that of the open directory, still. */
static bool is_named(const struct live *l, int fd)
{
    struct stat a, b;

    return fstat(fd, &a) == 0 && fstatat(l->e->dir, l->work, &b, AT_SYMLINK_NOFOLLOW) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

/*
 * A pack that was killed left its working directory, with files of the queue. Who works in one has it locked; one that nobody locks, and that
 * could be a pack's of our own, goes.
 */
static int remove_left(const struct live *l, struct lq_error *err)
{
    int fd, error = file_open_below(l->e->dir, l->work, &fd);
    struct stat st;

    if (error == ENOENT)
        return LQ_OK;
    if (error || fstat(fd, &st) < 0 || st.st_uid != geteuid() || (st.st_mode & 07777) != 0700) {
        if (!error)
            close(fd);
        return error_set(err, LQ_EREFUSED, "%s: %s/%s is in the way and is not the working directory of a pack of yours: move it away, or choose another name",
                         l->e->opts->output, l->e->dir_name, l->work);
    }
    error = file_lock_flock(fd);
    if (error) {
        close(fd);
        return error_set(err, LQ_EREFUSED, "%s: another pack of this name works in %s/%s", l->e->opts->output, l->e->dir_name, l->work);
    }
    error = is_named(l, fd) ? tree_remove(l->e->dir, l->work) : 0;
    close(fd);
    return error ? error_set(err, LQ_EIO, "%s: %s/%s, which a killed pack left, cannot be removed: %s", l->e->opts->output, l->e->dir_name, l->work,
                             strerror(error)) : LQ_OK;
}

static int begin_chunk(struct live *l, struct lq_error *err)
{
    int error = file_make_dir(l->e->dir, l->work, 0700), rc = LQ_OK;

    if (error == EEXIST) {
        rc = remove_left(l, err);
        error = rc == LQ_OK ? file_make_dir(l->e->dir, l->work, 0700) : 0;
    }
    if (rc != LQ_OK)
        return rc;
    if (error == 0)
        error = file_open_below(l->e->dir, l->work, &l->stage);
    if (error == 0 && ((error = file_lock_flock(l->stage)) != 0 || !is_named(l, l->stage))) {
        /* Another one took it for left, in between. */
        close(l->stage);
        error = error ? error : EEXIST;
    }
    l->bytes = 0;
    return error ? evidence_error(l->e, l->work, error, err) : LQ_OK;
}

/* Locked until it is gone. */
static int end_chunk(struct live *l, int rc, struct lq_error *err)
{
    int error;

    if (rc == LQ_OK)
        rc = pack_chunk(l, err);
    error = tree_remove(l->e->dir, l->work);
    close(l->stage);
    return rc == LQ_OK && error ? evidence_error(l->e, l->work, error, err) : rc;
}

/* --- a queue --- */

static int pack_items(struct live *l, const struct lq_set *set, uint32_t queue, struct lq_error *err)
{
    size_t i = 0;
    int rc = LQ_OK;

    while (rc == LQ_OK && i < set->count) {
        rc = begin_chunk(l, err);
        if (rc != LQ_OK)
            break;
        for (size_t n = 0; rc == LQ_OK && i < set->count && n < CHUNK && l->bytes < CHUNK_BYTES; i++) {
            if (set->items[i].queue != queue)
                continue;
            rc = evidence_go_on(l->e, err);
            if (rc == LQ_OK)
                rc = copy_message(l, &set->items[i], err);
            n++;
        }
        rc = end_chunk(l, rc, err);
    }
    return rc;
}

/* The set's directories among those that are open now. */
static int map_dirs(struct live *l, const struct set_queue *sq, struct lq_error *err)
{
    l->map = malloc((sq->dir_count + 1) * sizeof(*l->map));
    if (!l->map)
        return error_memory(err);
    for (size_t i = 0; i < sq->dir_count; i++) {
        size_t index;

        l->map[i] = spool_dir(&l->sp, sq->dirs[i], &index) == 0 && index < UINT16_MAX ? (uint16_t)index : UINT16_MAX;
    }
    return LQ_OK;
}

static int pack_queue(struct evidence *e, const struct lq_set *set, uint32_t queue, struct lq_error *err)
{
    struct live l = { .e = e, .q = set->queues[queue].q, .spool = queue };
    int rc;

    snprintf(l.work, sizeof(l.work), ".%.200s.work", e->base);
    queue_learn_trust(l.q);
    rc = listing_dirs(&l.sp, l.q, err);
    if (rc != LQ_OK)
        return rc;
    reading_init(&l.rd, &l.sp);
    rc = evidence_spool(e, l.q, err);
    if (rc == LQ_OK)
        rc = map_dirs(&l, &set->queues[queue], err);
    if (rc == LQ_OK)
        rc = pack_items(&l, set, queue, err);
    reading_done(&l.rd);
    record_done(&l.rec);
    free(l.map);
    listing_end(&l.sp);
    return rc;
}

int evidence_live(struct evidence *e, const struct lq_set *set, struct lq_error *err)
{
    int rc = LQ_OK;

    for (size_t i = 0; rc == LQ_OK && i < set->queue_count; i++)
        rc = pack_queue(e, set, (uint32_t)i, err);
    return rc;
}
