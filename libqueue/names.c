/*
 * Which names a directory of a spool has, remembered. A claim asks for names that a message might have (logs, a journal, with Sendmail some thirty
 * names in all queues), of which most are not there, and each look for a name that is not there costs the disk's directory a search.
 *
 * A list counts while the directory's change time is what it was when it was listed, and lay in the past then: the clock of file times ticks
 * every few milliseconds, so a change in the tick of the listing would leave no trace. Nobody can set a change time. A directory that was
 * removed tells nothing: another may have its path. Only what is surely not there is answered; whatever else is looked at on disk, as
 * without a list. Knows nothing of what the names mean.
 *
 * A claim wants to know what is true under its lock. Of thousands that hold their locks together the directories are compared once, after the last
 * lock: what was said meanwhile is remembered, and holds if the directory did not change, or has, listed again, still no such name.
 */
#include "backend.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    NAMES_MAX = 1 << 22,        /* more are not remembered */
    COST = 8,                   /* names that are listed in the time of one look */
    COARSE = 2                  /* seconds: the ticks of file systems that keep no fractions of them */
};

/* Of one directory. Hashes will do: of two names with one hash the other is looked for on disk. */
struct dir_names {
    dev_t dev;
    ino_t ino;
    struct timespec changed;    /* the directory, when it was listed */
    uint64_t *slots;            /* open addressing, 0: free */
    size_t slot_count, n;
    size_t asked;               /* since it was listed, or since that failed */
    bool valid;
    uint64_t round;             /* when it was last compared */
    bool current;               /* and whether it was true then */
    bool relied;                /* on its list, in the batch */
    bool lost;                  /* at the batch's end: what it is now is not known */
};

struct said {                   /* "it is not there" */
    uint64_t hash;
    uint32_t dir, asker;
};

struct names_batch {
    struct said *said;
    size_t n, cap;
    size_t claims;              /* that are expected */
    uint32_t asker;
    bool forgot;                /* without memory */
};

static uint64_t hash(const char *name)
{
    uint64_t h = 0xcbf29ce484222325;

    for (; *name; name++)
        h = (h ^ (unsigned char)*name) * 0x100000001b3;
    return h ? h : 1;
}

static void put(uint64_t *slots, size_t count, uint64_t h)
{
    size_t i = (size_t)h & (count - 1);

    while (slots[i] && slots[i] != h)
        i = (i + 1) & (count - 1);
    slots[i] = h;
}

static bool has(const struct dir_names *names, uint64_t h)
{
    if (names->slot_count == 0)
        return false;
    for (size_t i = (size_t)h & (names->slot_count - 1); names->slots[i]; i = (i + 1) & (names->slot_count - 1))
        if (names->slots[i] == h)
            return true;
    return false;
}

static bool grow(struct dir_names *names)
{
    size_t count = names->slot_count ? names->slot_count * 2 : 256;
    uint64_t *slots = names->n < NAMES_MAX ? calloc(count, sizeof(*slots)) : NULL;

    if (!slots)
        return false;
    for (size_t i = 0; i < names->slot_count; i++)
        if (names->slots[i])
            put(slots, count, names->slots[i]);
    free(names->slots);
    names->slots = slots;
    names->slot_count = count;
    return true;
}

struct adding {
    struct dir_names *names;
    bool stopped;
};

static int add_name(void *ctx, const char *name, size_t len, unsigned char type)
{
    struct adding *a = ctx;
    struct dir_names *names = a->names;

    (void)len;
    (void)type;
    a->stopped = names->n >= names->slot_count / 2 && !grow(names);
    if (a->stopped)
        return 1;
    put(names->slots, names->slot_count, hash(name));
    names->n++;
    return 0;
}

static bool same_time(const struct timespec *a, const struct timespec *b)
{
    return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

/* Whether a change from `now` on would show. */
static bool past(const struct timespec *changed, const struct timespec *now)
{
    if (changed->tv_nsec == 0)
        return changed->tv_sec + COARSE < now->tv_sec;
    return changed->tv_sec < now->tv_sec || (changed->tv_sec == now->tv_sec && changed->tv_nsec < now->tv_nsec);
}

/* The clock is the one that file times come from. */
static void list(struct dir_names *names, int fd, const struct stat *before)
{
    struct adding a = { .names = names };
    struct timespec now;
    struct stat after;

    names->valid = false;
    names->asked = 0;
    if (clock_gettime(CLOCK_REALTIME_COARSE, &now) < 0 || !past(&before->st_ctim, &now))
        return;
    if (names->slots)
        memset(names->slots, 0, names->slot_count * sizeof(*names->slots));
    names->n = 0;
    names->dev = before->st_dev;
    names->ino = before->st_ino;
    names->changed = before->st_ctim;
    names->valid = file_each(fd, add_name, &a) == FILE_OK && !a.stopped && fstat(fd, &after) == 0 &&
                   same_time(&after.st_ctim, &before->st_ctim);
}

static bool unchanged(const struct dir_names *names, const struct stat *st)
{
    return names->valid && st->st_nlink > 0 && st->st_dev == names->dev && st->st_ino == names->ino && same_time(&st->st_ctim, &names->changed);
}

static struct dir_names *names_of(struct spool *sp, size_t dir)
{
    if (dir >= sp->named_dirs) {
        struct dir_names *more = realloc(sp->names, (dir + 1) * sizeof(*more));

        if (!more)
            return NULL;
        memset(more + sp->named_dirs, 0, (dir + 1 - sp->named_dirs) * sizeof(*more));
        sp->names = more;
        sp->named_dirs = dir + 1;
    }
    return &sp->names[dir];
}

/* A directory that others change all the time is listed when that has paid for itself, or will in this batch. */
static bool listing_pays(const struct spool *sp, struct dir_names *names)
{
    bool first = names->round != sp->names_round;

    return names->asked++ >= names->n / COST || (sp->names_batch && first && sp->names_batch->claims >= names->n / COST);
}

/* The directory's list, if it is true now; in a batch, if it was true in it. */
static struct dir_names *current(struct spool *sp, size_t dir)
{
    struct dir_names *names = names_of(sp, dir);
    struct stat st;

    if (!names)
        return NULL;
    if (names->round == sp->names_round && (names->current || !sp->names_batch))
        return names->current ? names : NULL;
    if (fstat(sp->dirs[dir].fd, &st) < 0)
        return NULL;
    if (!unchanged(names, &st) && listing_pays(sp, names))
        list(names, sp->dirs[dir].fd, &st);
    names->round = sp->names_round;
    names->current = unchanged(names, &st);
    return names->current ? names : NULL;
}

void spool_names_round(struct spool *sp)
{
    if (!sp->names_batch)
        sp->names_round++;
}

static void keep(struct names_batch *b, size_t dir, uint64_t h)
{
    if (b->n == b->cap) {
        size_t cap = b->cap ? b->cap * 2 : 1024;
        struct said *more = realloc(b->said, cap * sizeof(*more));

        if (!more) {
            b->forgot = true;
            return;
        }
        b->said = more;
        b->cap = cap;
    }
    b->said[b->n++] = (struct said){ h, (uint32_t)dir, b->asker };
}

bool spool_lacked(struct spool *sp, size_t dir, const char *name)
{
    struct dir_names *names = current(sp, dir);

    return names && !has(names, hash(name));
}

bool spool_lacks(struct spool *sp, size_t dir, const char *name)
{
    struct dir_names *names = current(sp, dir);
    uint64_t h = hash(name);

    if (!names || has(names, h))
        return false;
    if (sp->names_batch) {
        names->relied = true;
        keep(sp->names_batch, dir, h);
    }
    return true;
}

void spool_names_begin(struct spool *sp, size_t n)
{
    sp->names_round++;
    sp->names_batch = calloc(1, sizeof(*sp->names_batch));
    if (sp->names_batch)
        sp->names_batch->claims = n;
}

void spool_names_asker(struct spool *sp, size_t i)
{
    if (sp->names_batch)
        sp->names_batch->asker = (uint32_t)i;
}

/* Compared once more, and listed once more if it changed; true while it is what it was. */
static bool stayed(struct spool *sp, size_t dir)
{
    struct dir_names *names = &sp->names[dir];
    struct stat st;

    names->lost = fstat(sp->dirs[dir].fd, &st) < 0;
    if (!names->lost && unchanged(names, &st))
        return true;
    if (!names->lost)
        list(names, sp->dirs[dir].fd, &st);
    names->lost = names->lost || !unchanged(names, &st);
    return false;
}

void spool_names_end(struct spool *sp, bool *doubtful, size_t n)
{
    struct names_batch *b = sp->names_batch;
    bool same = true;

    if (!b)
        return;
    sp->names_batch = NULL;
    sp->names_round++;
    for (size_t dir = 0; dir < sp->named_dirs; dir++) {
        if (sp->names[dir].relied)
            same = stayed(sp, dir) && same;
        sp->names[dir].relied = false;
    }
    for (size_t i = 0; i < b->n && !same; i++) {
        const struct dir_names *names = &sp->names[b->said[i].dir];

        if (b->said[i].asker < n && (names->lost || has(names, b->said[i].hash)))
            doubtful[b->said[i].asker] = true;
    }
    for (size_t i = 0; i < n && b->forgot; i++)
        doubtful[i] = true;
    free(b->said);
    free(b);
}

void spool_names_done(struct spool *sp)
{
    for (size_t i = 0; i < sp->named_dirs; i++)
        free(sp->names[i].slots);
    if (sp->names_batch)
        free(sp->names_batch->said);
    free(sp->names_batch);
    sp->names_batch = NULL;
    free(sp->names);
    sp->names = NULL;
    sp->named_dirs = 0;
}
