/*
 * Which names a directory of a spool has, remembered. A claim asks for names that a message might have (logs, a journal, with Sendmail some thirty
 * names in all queues), of which most are not there, and each look for a name that is not there costs the disk's directory a search.
 *
 * A list counts while the directory's change time is what it was when it was listed, and lay in the past then: the clock of file times ticks
 * every few milliseconds, so a change in the tick of the listing would leave no trace. Nobody can set a change time. A directory that was
 * removed tells nothing: another may have its path. Only what is surely not there is answered; whatever else is looked at on disk, as
 * without a list. Knows nothing of what the names mean.
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

/* The directory's list, if it is true now. */
static struct dir_names *current(struct spool *sp, size_t dir)
{
    struct dir_names *names;
    struct stat st;

    if (dir >= sp->named_dirs) {
        struct dir_names *more = realloc(sp->names, (dir + 1) * sizeof(*more));

        if (!more)
            return NULL;
        memset(more + sp->named_dirs, 0, (dir + 1 - sp->named_dirs) * sizeof(*more));
        sp->names = more;
        sp->named_dirs = dir + 1;
    }
    names = &sp->names[dir];
    if (names->round == sp->names_round)
        return names->current ? names : NULL;
    if (fstat(sp->dirs[dir].fd, &st) < 0)
        return NULL;
    /* A directory that others change all the time is listed when that has paid for itself. */
    if (!unchanged(names, &st) && names->asked++ >= names->n / COST)
        list(names, sp->dirs[dir].fd, &st);
    names->round = sp->names_round;
    names->current = unchanged(names, &st);
    return names->current ? names : NULL;
}

void spool_names_round(struct spool *sp)
{
    sp->names_round++;
}

bool spool_lacks(struct spool *sp, size_t dir, const char *name)
{
    const struct dir_names *names = current(sp, dir);
    uint64_t h = hash(name);

    if (!names)
        return false;
    if (names->slot_count == 0)
        return true;
    for (size_t i = (size_t)h & (names->slot_count - 1); names->slots[i]; i = (i + 1) & (names->slot_count - 1))
        if (names->slots[i] == h)
            return false;
    return true;
}

void spool_names_done(struct spool *sp)
{
    for (size_t i = 0; i < sp->named_dirs; i++)
        free(sp->names[i].slots);
    free(sp->names);
    sp->names = NULL;
    sp->named_dirs = 0;
}
