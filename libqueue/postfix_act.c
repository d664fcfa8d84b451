/*
 * What acting on Postfix's messages takes: its lock, a message's file and logs as they are now, hold and release, and whether an id is free.
 *
 * Postfix (2.0 to 3.12, qmgr, smtp, local, bounce: myflock.c) locks a queue file while it reads it into memory (exclusively) and while it delivers
 * (shared, one for each delivery agent): with flock() on Linux. An exclusive lock of ours on a file in incoming, deferred or hold makes the queue
 * manager put the message off for a minute, whatever it was about to do with it, so it cannot disappear under us. In active the same lock would
 * make a delivery agent die ("fatal: shared lock …"), be it for an instant: there we never lock, and ask whether anybody has it open or locked; once
 * more when the file has just moved, because an agent delivers what it has opened, whatever its name is by then. It gets
 * its file back: the queue manager takes no step with a message that an agent has.
 *
 * A message in active is in the queue manager's memory as well. It may be taken away all the same (the agents then find no file), but must not
 * come back under its id while that memory lasts: the queue manager would load it a second time and abort (seen with 3.7.11). settled() tells
 * whether it was started anew since.
 */
#include "settings.h"
#include "postfix.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

enum { ROUNDS = 3, READY = 0700, PATH_SIZE = 64, ROLE_TRACE = PF_DIRS, A_DAY = 24 * 60 * 60, LIFETIME = 5 * A_DAY };

/* In the order in which postsuper removes them. */
static const struct {
    const char *name;
    uint8_t role;
} logs[] = {
    { "bounce", PF_BOUNCE }, { "defer", PF_DEFER }, { "trace", ROLE_TRACE },
};

enum { LOGS = sizeof(logs) / sizeof(logs[0]) };

/* --- places --- */

/* The kind of "deferred/0/D", also of a directory that listing did not see; PF_DIRS for trace; -1: none of a queue's. */
static int kind_of(const char *path)
{
    size_t n = strcspn(path, "/");

    for (int i = 0; i < PF_DIRS; i++)
        if (strlen(postfix_queues[i].name) == n && memcmp(path, postfix_queues[i].name, n) == 0)
            return i;
    return n == strlen("trace") && memcmp(path, "trace", n) == 0 ? ROLE_TRACE : -1;
}

static const char *kind_name(int kind)
{
    return kind == ROLE_TRACE ? "trace" : postfix_queues[kind].name;
}

/* --- settings --- */

enum { HASH_NAMES, HASH_DEPTH, LIFE, BOUNCE_LIFE, LONG_IDS, SETTINGS };

static void note_settings(struct postfix_spool *own, const struct setting *s)
{
    char *end;
    unsigned long depth = strtoul(s[HASH_DEPTH].value, &end, 10);

    own->settings.known = end > s[HASH_DEPTH].value && *end == '\0' && settings_duration(s[LIFE].value, A_DAY, &own->settings.lifetime) &&
                          settings_duration(s[BOUNCE_LIFE].value, A_DAY, &own->settings.bounce_lifetime);
    own->settings.depth = depth < POSTFIX_DEPTH_MAX ? (unsigned)depth : POSTFIX_DEPTH_MAX;
    own->settings.long_ids = strcasecmp(s[LONG_IDS].value, "yes") == 0;
    snprintf(own->settings.hashed, sizeof(own->settings.hashed), "%.*s", (int)sizeof(own->settings.hashed) - 1, s[HASH_NAMES].value);
}

/* Ask postconf, once; NULL where it does not answer for this spool: a copy, or Postfix is not installed. */
static const struct postfix_spool *settings(const struct spool *sp)
{
    struct setting s[SETTINGS] = {
        [HASH_NAMES] = { .name = "hash_queue_names" },      [HASH_DEPTH] = { .name = "hash_queue_depth" },
        [LIFE] = { .name = "maximal_queue_lifetime" },      [BOUNCE_LIFE] = { .name = "bounce_queue_lifetime" },
        [LONG_IDS] = { .name = "enable_long_queue_ids" },
    };
    struct postfix_spool *own = sp->own;

    if (!own->settings.asked && sp->live && settings_ask("postfix", sp->fd, s, SETTINGS, NULL))
        note_settings(own, s);
    own->settings.asked = true;
    return own->settings.known ? own : NULL;
}

/* Whether hash_queue_names has this queue; in any case, as Postfix compares. */
static bool is_hashed(const struct postfix_spool *own, const char *queue)
{
    const char *separators = ", \t\r\n", *at = own->settings.hashed;

    while (at += strspn(at, separators), *at) {
        size_t n = strcspn(at, separators);

        if (n == strlen(queue) && strncasecmp(at, queue, n) == 0)
            return true;
        at += n;
    }
    return false;
}

/* --- hash levels --- */

/* The way down from a queue's base through the hash levels of one id. */
struct levels {
    struct spool *sp;
    char hash[POSTFIX_DEPTH_MAX + 1];
    char path[PATH_SIZE];
    size_t dir;
    unsigned depth;
};

static char level_char(const struct levels *l)
{
    size_t n = strlen(l->hash);

    return l->depth < n ? l->hash[l->depth] : '_';
}

/* The base itself. 0 or errno. */
static int levels_begin(struct levels *l, struct spool *sp, const char *queue, const char *id)
{
    l->sp = sp;
    l->depth = 0;
    postfix_hash_text(bytes_from(id, strlen(id)), l->hash);
    snprintf(l->path, sizeof(l->path), "%s", queue);
    return spool_dir(sp, l->path, &l->dir);
}

/* One level further down, if there is one. */
static bool levels_next(struct levels *l)
{
    char name[2] = { level_char(l), '\0' };
    size_t n = strlen(l->path);
    struct stat st;

    if (l->depth >= POSTFIX_DEPTH_MAX || fstatat(l->sp->dirs[l->dir].fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISDIR(st.st_mode))
        return false;
    snprintf(l->path + n, sizeof(l->path) - n, "/%s", name);
    l->depth++;
    return spool_dir(l->sp, l->path, &l->dir) == 0;
}

struct shape {
    char level[2];              /* a hash level that is there */
    bool files;
};

static int see_shape(void *ctx, const char *name, size_t len, unsigned char type)
{
    struct shape *s = ctx;

    if (len == 1 && postfix_id_name(name, len) && (type == DT_DIR || type == DT_UNKNOWN)) {
        s->level[0] = *name;
        return 1;
    }
    s->files = s->files || (len > 1 && postfix_id_name(name, len));
    return 0;
}

/* Levels below this directory, as some path through them has; -1: empty, which tells nothing. */
static int depth_below(struct spool *sp, const char *queue)
{
    char path[PATH_SIZE];
    int depth = 0;
    struct shape s;
    size_t dir;

    snprintf(path, sizeof(path), "%s", queue);
    while (depth < POSTFIX_DEPTH_MAX && spool_dir(sp, path, &dir) == 0) {
        size_t n = strlen(path);

        memset(&s, 0, sizeof(s));
        file_each(sp->dirs[dir].fd, see_shape, &s);
        if (!s.level[0])
            return depth == 0 && !s.files ? -1 : depth;
        snprintf(path + n, sizeof(path) - n, "/%s", s.level);
        depth++;
    }
    return depth;
}

/*
 * How many hash levels a queue has, by hash_queue_names and hash_queue_depth. Where nobody tells those they show on disk: `postfix start` and
 * `postfix reload` let postsuper move all files to where they belong, and remove levels that are not needed (seen with 3.7.11). An empty queue shows
 * nothing: then deferred and defer, which are hashed by default, go together, and others are flat.
 */
static unsigned depth_of(struct spool *sp, int kind)
{
    struct postfix_spool *own = sp->own;
    int depth;

    if (own->hash[kind].known)
        return own->hash[kind].depth;
    if (settings(sp))
        depth = is_hashed(own, kind_name(kind)) ? (int)own->settings.depth : 0;
    else
        depth = depth_below(sp, kind_name(kind));
    if (depth < 0 && (kind == PF_DEFERRED || kind == PF_DEFER)) {
        depth = depth_below(sp, kind_name(kind == PF_DEFER ? PF_DEFERRED : PF_DEFER));
        depth = depth < 0 ? 1 : depth;
    }
    own->hash[kind].known = true;
    own->hash[kind].depth = depth > 0 ? (unsigned)depth : 0;
    return own->hash[kind].depth;
}

/* "deferred/0" for an id, whether it exists or not. */
static void path_for(struct spool *sp, int kind, const char *id, char out[PATH_SIZE])
{
    struct levels l = { .depth = 0 };
    unsigned depth = depth_of(sp, kind);
    size_t n;

    postfix_hash_text(bytes_from(id, strlen(id)), l.hash);
    n = (size_t)snprintf(out, PATH_SIZE, "%s", kind_name(kind));
    for (; l.depth < depth; l.depth++)
        n += (size_t)snprintf(out + n, PATH_SIZE - n, "/%c", level_char(&l));
}

/* The directory that a message moves to, made if need be. 0 or errno. */
static int directory_for(struct spool *sp, int kind, const char *id, bool make, size_t *dir)
{
    char path[PATH_SIZE];
    size_t base;
    int fd, error = spool_dir(sp, kind_name(kind), &base);

    if (error != 0)
        return error;
    path_for(sp, kind, id, path);
    error = spool_dir(sp, path, dir);
    if (error != ENOENT)
        return error;
    if (!make) {
        *dir = base;
        return 0;
    }
    error = file_make_below(sp->dirs[base].fd, path + strlen(kind_name(kind)) + 1, &fd, NULL);
    if (error != 0)
        return error;
    close(fd);
    return spool_dir(sp, path, dir);
}

/* --- claiming --- */

/* What is known while a message is claimed. */
struct taking {
    struct spool *sp;
    struct claim *c;
    const char *name;           /* the id, which is the file name */
    dev_t dev;
    ino_t ino;
    unsigned flags;
    bool other;                 /* another message of this id was seen */
};

static void add_part(struct taking *t, size_t dir, uint8_t role, const struct stat *st)
{
    struct piece *p = &t->c->parts[t->c->n++];

    p->dir = dir;
    p->role = role;
    p->links = false;
    p->st = *st;
    snprintf(p->name, sizeof(p->name), "%s", t->name);
}

/* One link, and of the queue's owner: what a stranger linked or left there is not Postfix's. In a case there are no strangers. */
static bool sound(struct taking *t, size_t dir, const struct stat *st, bool any_owner)
{
    const struct spool_dir *d = &t->sp->dirs[dir];

    if (t->flags & CLAIM_UNLOCKED)
        return true;
    if (st->st_nlink != 1)
        claim_answer(t->c, CLAIM_REFUSED, "%s/%s: has %lu links, where Postfix's files have one", d->path, t->name, (unsigned long)st->st_nlink);
    else if (!any_owner && st->st_uid != d->uid)
        claim_answer(t->c, CLAIM_REFUSED, "%s/%s: belongs to uid %lu, the queue to uid %lu", d->path, t->name, (unsigned long)st->st_uid,
               (unsigned long)d->uid);
    else
        return true;
    return false;
}

/* Between two reads the kernel goes on by number, so a lock that is given up meanwhile makes it leave out another one; small reads make that likely. */
enum { LOCKS_AT_ONCE = 8192 };

static bool locks_name(const struct stat *st)
{
    FILE *f = fopen("/proc/locks", "re");
    char line[256], room[LOCKS_AT_ONCE];
    bool found = false;

    if (f)
        setvbuf(f, room, _IOFBF, sizeof(room));
    while (f && !found && fgets(line, sizeof(line), f)) {
        unsigned major_dev, minor_dev;
        unsigned long long ino;

        found = sscanf(line, "%*d: %*s %*s %*s %*d %x:%x:%llu", &major_dev, &minor_dev, &ino) == 3 &&
                ino == st->st_ino && makedev(major_dev, minor_dev) == st->st_dev;
    }
    if (f)
        fclose(f);
    return found;
}

/*
 * Whether anybody has a lock on it, of whatever kind: in active that is a delivery agent, or the queue manager reading it. Asking with a lock of our
 * own would end the agent that asks for its own just then. Beside 160 locks that others took and gave up, 2 of 3,000 looks missed one that was held
 * (19 with small reads), of pairs of looks none did.
 */
static bool somebody_locks(const struct stat *st)
{
    return locks_name(st) || locks_name(st);
}

/* An agent opens it to write, and asks for his lock in the next call. */
static bool somebody_opened(int dir, const char *name)
{
    struct stat st;
    int fd;
    bool yes;

    if (file_open(dir, name, &fd, &st) != FILE_OK)
        return false;
    yes = file_has_writer(fd);
    close(fd);
    return yes;
}

/* An agent that is done by now has left its mark in the file. That is looked at last: he may be done while we ask who is not. */
static bool in_use(const struct piece *key, int dir, const char *name)
{
    struct stat now;

    if (key->role != PF_ACTIVE || file_stat(dir, name, &now) != FILE_OK)
        return false;
    if (somebody_opened(dir, name) || somebody_locks(&now))
        return true;
    return file_stat(dir, name, &now) == FILE_OK && (now.st_mtim.tv_sec != key->st.st_mtim.tv_sec || now.st_mtim.tv_nsec != key->st.st_mtim.tv_nsec);
}

/* What the queue that it is in allows. */
static enum claim_result allowed(struct taking *t, int kind, const struct stat *st)
{
    if (t->flags & CLAIM_UNLOCKED)
        return CLAIM_OK;
    if (kind == PF_MAILDROP && !(t->flags & CLAIM_MAILDROP))
        return claim_answer(t->c, CLAIM_REFUSED, "in the maildrop, from where Postfix takes it at any moment: only while Postfix is down");
    if (kind == PF_ACTIVE && !(t->flags & CLAIM_ACTIVE))
        return claim_answer(t->c, CLAIM_REFUSED, "in the active queue: --active takes it");
    if (kind == PF_CORRUPT || (st->st_mode & READY) == READY)
        return CLAIM_OK;
    if (kind == PF_ACTIVE || kind == PF_DEFERRED)
        return claim_answer(t->c, CLAIM_REFUSED, "mode %04o: Postfix found it damaged and is about to set it aside", (unsigned)st->st_mode & 07777);
    return claim_answer(t->c, CLAIM_REFUSED, "is still being received");
}

/* The lock that makes Postfix keep away, then a second look at the name: it may have moved before we had it. */
static enum claim_result lock_key(struct taking *t, size_t dir, int kind, struct stat *st)
{
    enum file_result found;
    struct stat again;
    int error = kind == PF_ACTIVE || (t->flags & CLAIM_DRY) ? 0 : file_lock_flock(t->c->lock);

    if (error == EAGAIN || (kind == PF_ACTIVE && somebody_locks(st)))
        return claim_answer(t->c, CLAIM_BUSY, "is being delivered");
    if (error != 0)
        return claim_answer(t->c, CLAIM_REFUSED, "%s/%s: cannot be locked: %s", t->sp->dirs[dir].path, t->name, strerrordesc_np(error));
    found = file_stat(t->sp->dirs[dir].fd, t->name, &again);
    if (found != FILE_OK || again.st_dev != st->st_dev || again.st_ino != st->st_ino)
        return CLAIM_GONE;
    *st = again;
    return CLAIM_OK;
}

static enum claim_result claim_open(struct taking *t, size_t dir, int kind, struct stat *st)
{
    enum claim_result r;

    if (t->ino != 0 && (st->st_ino != t->ino || st->st_dev != t->dev)) {
        t->other = true;
        return CLAIM_GONE;
    }
    r = allowed(t, kind, st);
    if (r != CLAIM_OK)
        return r;
    if (st->st_nlink == 0)
        return CLAIM_GONE;
    if (!sound(t, dir, st, kind == PF_MAILDROP))
        return CLAIM_REFUSED;
    if (t->flags & CLAIM_UNLOCKED)
        return CLAIM_OK;
    r = lock_key(t, dir, kind, st);
    if (r != CLAIM_OK)
        return r;
    r = allowed(t, kind, st);
    return r != CLAIM_OK || sound(t, dir, st, kind == PF_MAILDROP) ? r : CLAIM_REFUSED;
}

/*
 * The key in this directory. Of one in active the descriptor stays open, too, without a lock: its inode cannot become another message's.
 */
static enum claim_result claim_key(struct taking *t, size_t dir, int kind)
{
    enum claim_result r;
    struct stat st;
    int fd;
    enum file_result found = file_open(t->sp->dirs[dir].fd, t->name, &fd, &st);

    if (found == FILE_GONE)
        return CLAIM_GONE;
    if (found != FILE_OK)
        return claim_answer(t->c, CLAIM_REFUSED, "%s/%s: %s", t->sp->dirs[dir].path, t->name, file_result_text(found));
    t->c->lock = fd;
    r = claim_open(t, dir, kind, &st);
    if (r == CLAIM_OK) {
        add_part(t, dir, (uint8_t)kind, &st);
        t->c->state = postfix_dir_state[kind];
    }
    if (r != CLAIM_OK || (t->flags & (CLAIM_UNLOCKED | CLAIM_DRY)))
        claim_done(t->c);
    return r;
}

/* In the directories of a queue that this id may be in. */
static enum claim_result claim_in_queue(struct taking *t, int kind)
{
    enum claim_result r = CLAIM_GONE;
    struct levels l;

    if (levels_begin(&l, t->sp, kind_name(kind), t->name) != 0)
        return CLAIM_GONE;
    do
        r = claim_key(t, l.dir, kind);
    while (r == CLAIM_GONE && levels_next(&l));
    return r;
}

/* First where it was seen; the queue manager may have moved it on, even while we look, or made the directory anew. */
static enum claim_result look_everywhere(struct taking *t, size_t dir, int kind, bool elsewhere)
{
    static const int order[] = { PF_INCOMING, PF_ACTIVE, PF_DEFERRED, PF_HOLD, PF_CORRUPT };
    enum claim_result r = claim_key(t, dir, kind);

    for (unsigned round = 0; round < ROUNDS && r == CLAIM_GONE; round++) {
        if (spool_dir(t->sp, t->sp->dirs[dir].path, &dir) == 0)
            r = claim_key(t, dir, kind);
        for (size_t i = 0; elsewhere && r == CLAIM_GONE && i < sizeof(order) / sizeof(order[0]); i++)
            r = claim_in_queue(t, order[i]);
    }
    return r;
}

static bool add_log(struct taking *t, size_t dir, uint8_t role)
{
    struct stat st;
    enum file_result found = file_stat(t->sp->dirs[dir].fd, t->name, &st);

    if (found == FILE_GONE || t->c->n == CLAIM_PARTS_MAX)
        return true;
    if (found != FILE_OK) {
        claim_answer(t->c, CLAIM_REFUSED, "%s/%s: %s", t->sp->dirs[dir].path, t->name, file_result_text(found));
        return false;
    }
    if (!sound(t, dir, &st, false))
        return false;
    add_part(t, dir, role, &st);
    return true;
}

/* The base of a log directory, looked for once; -1: there is none. */
static int log_base(struct spool *sp, size_t i)
{
    struct postfix_spool *own = sp->own;
    size_t dir;

    if (!own->log_dirs[i])
        own->log_dirs[i] = spool_dir(sp, logs[i].name, &dir) == 0 ? (int)dir + 1 : -1;
    return own->log_dirs[i] > 0 ? own->log_dirs[i] - 1 : -1;
}

static bool is_known(const struct spool *sp, const char *path, size_t *dir)
{
    for (*dir = 0; *dir < sp->dir_count; ++*dir)
        if (strcmp(sp->dirs[*dir].path, path) == 0)
            return true;
    return false;
}

/* The directory of a log at its full depth: one that was opened before, or through levels that are no links. */
static bool log_dir(struct spool *sp, const char *queue, const char *path, const char *id, size_t *dir)
{
    struct levels l;

    if (is_known(sp, path, dir))
        return true;
    if (levels_begin(&l, sp, queue, id) != 0)
        return false;
    while (strlen(l.path) < strlen(path))
        if (!levels_next(&l))
            return false;
    *dir = l.dir;
    return true;
}

/*
 * Logs are named like the message, and lie where the setting of each log directory says; nearly always there is at most one of them. Most are not
 * there: a list of names tells so, if it is true now, under the lock; else a look from the base, whatever is on the way. Only what is there is gone
 * to level by level.
 */
static bool add_logs(struct taking *t)
{
    spool_names_round(t->sp);
    for (size_t i = 0; i < LOGS; i++) {
        int base = log_base(t->sp, i);
        char path[PATH_SIZE], name[PATH_SIZE + NAME_MAX + 1];
        struct stat st;
        size_t dir;

        if (base < 0)
            continue;
        path_for(t->sp, logs[i].role, t->name, path);
        if (is_known(t->sp, path, &dir) && spool_lacks(t->sp, dir, t->name))
            continue;
        snprintf(name, sizeof(name), "%s/%s", path, t->name);
        if (file_stat(t->sp->dirs[base].fd, name + strlen(logs[i].name) + 1, &st) != FILE_GONE &&
            log_dir(t->sp, logs[i].name, path, t->name, &dir) && !add_log(t, dir, logs[i].role))
            return false;
    }
    return true;
}

static bool is_there(const struct taking *t, size_t base, const char *path, const char *name, struct stat *st)
{
    const char *below = path + strcspn(path, "/");
    char full[PATH_SIZE + NAME_MAX + 1];
    size_t dir;

    if (is_known(t->sp, path, &dir) && spool_lacked(t->sp, dir, name))
        return false;
    snprintf(full, sizeof(full), "%s%s%s", *below ? below + 1 : "", *below ? "/" : "", name);
    memset(st, 0, sizeof(*st));
    return file_stat(t->sp->dirs[base].fd, full, st) != FILE_GONE;
}

/* Other files of this name in a queue. What the queue manager has moved there meanwhile is the message itself. */
static unsigned namesakes_in(const struct taking *t, int kind)
{
    const struct stat *own = &t->c->parts[0].st;
    struct levels l = { .depth = 0 };
    struct stat st;
    size_t base;
    unsigned n = 0;

    postfix_hash_text(bytes_from(t->name, strlen(t->name)), l.hash);
    snprintf(l.path, sizeof(l.path), "%s", kind_name(kind));
    if (!is_known(t->sp, l.path, &base) && spool_dir(t->sp, l.path, &base) != 0)
        return 0;
    for (;; l.depth++) {
        char level[2] = { level_char(&l), '\0' };
        size_t end = strlen(l.path);

        n += is_there(t, base, l.path, t->name, &st) && (st.st_ino != own->st_ino || st.st_dev != own->st_dev);
        if (l.depth == POSTFIX_DEPTH_MAX || !is_there(t, base, l.path, level, &st) || !S_ISDIR(st.st_mode))
            return n;
        snprintf(l.path + end, sizeof(l.path) - end, "/%s", level);
    }
}

/* Postfix gives an id once, but a copy of a queue, or of a file, brings one back. What waits in the maildrop was never tried, and has no logs. */
static unsigned namesakes(const struct taking *t)
{
    static const int kinds[] = { PF_INCOMING, PF_ACTIVE, PF_DEFERRED, PF_HOLD, PF_CORRUPT };
    unsigned n = 0;

    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        n += namesakes_in(t, kinds[i]);
    return n;
}

/* Of namesakes the logs are not told apart: the last of them that leaves the queue has them, and the first that goes back. */
static bool add_own_logs(struct taking *t)
{
    if (!add_logs(t))
        return false;
    t->c->namesakes = t->c->n > 1 && !(t->flags & CLAIM_UNLOCKED) ? namesakes(t) : 0;
    if (t->c->namesakes > 0)
        t->c->n = 1;
    return true;
}

static enum claim_result claim(struct spool *sp, const struct ref *ref, dev_t dev, ino_t ino, unsigned flags, struct claim *c)
{
    const struct entry *key = &ref->entries[0];
    struct taking t = { .sp = sp, .c = c, .name = key->name, .dev = dev, .ino = ino, .flags = flags };
    int kind = kind_of(sp->dirs[key->dir].path);
    enum claim_result r;

    c->lock = c->lock2 = -1;
    c->n = c->namesakes = 0;
    c->why[0] = '\0';
    if (kind < 0 || kind == ROLE_TRACE || postfix_queues[kind].log || !postfix_id_name(key->name, strlen(key->name)))
        return claim_answer(t.c, CLAIM_REFUSED, "is no queue file");
    /* Of two messages with one id only the inode tells which one is meant. */
    r = look_everywhere(&t, key->dir, kind, !(flags & CLAIM_UNLOCKED) && (ino != 0 || !ref->twin));
    if (r == CLAIM_GONE)
        return t.other ? claim_answer(t.c, CLAIM_OTHER, "the id belongs to another message now")
                       : claim_answer(t.c, CLAIM_GONE, "is not in the queue any more");
    if (r != CLAIM_OK)
        return r;
    if (c->parts[0].role != PF_MAILDROP && !add_own_logs(&t)) {
        claim_done(c);
        return CLAIM_REFUSED;
    }
    return CLAIM_OK;
}

/* --- holding: what `postsuper -h` and `postsuper -H` do --- */

/*
 * A rename and nothing else, as postsuper does it: mode, times (but of what is new) and logs stay. So a released message is tried at the next scan of the deferred queue
 * after its time, and at once by `postqueue -f` or `postqueue -i`.
 */
static enum hold_result hold(struct spool *sp, const struct claim *c, struct bytes key, bool on, const char *reason, int64_t now, struct held *out)
{
    const struct piece *file = &c->parts[0];
    int kind = file->role, error;

    (void)key;
    (void)reason;
    (void)now;
    out->rewritten = out->moved = out->move_first = out->touch = false;
    out->why[0] = '\0';
    if (kind == PF_CORRUPT || kind == PF_MAILDROP)
        return hold_answer(out, HOLD_REFUSED, kind == PF_CORRUPT ? "in the corrupt queue, from which Postfix delivers nothing"
                                                                 : "in the maildrop: Postfix has not taken it in yet");
    if (on == (kind == PF_HOLD))
        return hold_answer(out, HOLD_ALREADY, on ? "is on hold already" : "is not on hold");
    /* Only who has claimed it is going to move it: for others nothing is made. */
    error = directory_for(sp, on ? PF_HOLD : PF_DEFERRED, file->name, c->lock >= 0, &out->dir);
    if (error == ENOMEM)
        return HOLD_NO_MEMORY;
    if (error != 0) {
        snprintf(out->why, sizeof(out->why), "directory %s: %s", on ? "hold" : "deferred", strerrordesc_np(error));
        return HOLD_REFUSED;
    }
    out->moved = true;
    /* That it was held before anybody tried it can be seen from then on: its modification time has no other meaning there. */
    out->touch = on && kind == PF_INCOMING;
    snprintf(out->name, sizeof(out->name), "%s", file->name);
    return HOLD_DO;
}

/* --- the queue manager's memory --- */

static bool read_text(int dirfd, const char *name, char *text, size_t size)
{
    int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, text, size - 1) : -1;

    if (fd >= 0)
        close(fd);
    text[n > 0 ? n : 0] = '\0';
    return n > 0;
}

/* Its working directory is its queue; where that may not be asked (who is not root), being of the queue's owner has to do. */
static bool works_here(int pid_dir, const struct stat *root, uid_t mail_owner)
{
    char text[4096];
    unsigned long uid;
    const char *at;
    struct stat st;

    if (fstatat(pid_dir, "cwd", &st, 0) == 0)
        return st.st_dev == root->st_dev && st.st_ino == root->st_ino;
    if (!read_text(pid_dir, "status", text, sizeof(text)))
        return false;
    at = strstr(text, "\nUid:");
    return at && sscanf(at, "\nUid: %lu", &uid) == 1 && uid == mail_owner;
}

enum { MS = 1000, NS_IN_MS = 1000 * 1000 };

static int64_t milliseconds(const struct timespec *t)
{
    return (int64_t)t->tv_sec * MS + t->tv_nsec / NS_IN_MS;
}

/* When the process began, in milliseconds of the epoch; INT64_MAX when it ended meanwhile. */
static int64_t began(int pid_dir)
{
    enum { FIELD = 22 };        /* proc(5): starttime, counted from 1; after the name the third follows */
    struct timespec real, boot;
    unsigned long long ticks = 0;
    char text[1024], *at;

    if (!read_text(pid_dir, "stat", text, sizeof(text)) || !(at = strrchr(text, ')')))
        return INT64_MAX;
    for (unsigned field = 2; field < FIELD && at; field++)
        at = strchr(at + 1, ' ');
    if (!at || sscanf(at, "%llu", &ticks) != 1)
        return INT64_MAX;
    clock_gettime(CLOCK_REALTIME, &real);
    clock_gettime(CLOCK_BOOTTIME, &boot);
    return milliseconds(&real) - milliseconds(&boot) + (int64_t)(ticks * MS / (unsigned long)sysconf(_SC_CLK_TCK));
}

/* The oldest queue manager of this spool; INT64_MAX: none is seen. master: whether the process is that starts it. */
static int64_t find_qmgr(const struct spool *sp, bool *master)
{
    const struct postfix_spool *own = sp->own;
    int64_t since = INT64_MAX;
    struct stat root;
    struct dirent *d;
    DIR *proc = opendir("/proc");

    *master = false;
    while (proc && fstat(sp->fd, &root) == 0 && (d = readdir(proc)) != NULL) {
        char comm[32];
        int64_t t;
        int fd;

        if (d->d_name[0] < '1' || d->d_name[0] > '9' ||
            (fd = openat(dirfd(proc), d->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
            continue;
        if (!read_text(fd, "comm", comm, sizeof(comm)))
            comm[0] = '\0';
        if (strcmp(comm, "master\n") == 0)
            *master = *master || works_here(fd, &root, 0);
        else if ((strcmp(comm, "qmgr\n") == 0 || strcmp(comm, "nqmgr\n") == 0) && works_here(fd, &root, own->mail_owner) &&
                 (t = began(fd)) < since)
            since = t;
        close(fd);
    }
    if (proc)
        closedir(proc);
    return since;
}

/* Postfix's master has its pid file open as long as it lives (master.c), in whatever container; for who is not root there is no telling. */
static bool master_lives(const struct spool *sp)
{
    struct stat st;
    int dir, fd;
    bool lives = false;

    if (file_open_dir(sp->fd, "pid", &dir) != FILE_OK)
        return false;
    if (file_open(dir, "master.pid", &fd, &st) == FILE_OK) {
        lives = file_has_writer(fd);
        close(fd);
    }
    close(dir);
    return lives;
}

enum { QMGR_UNSEEN = 0 };       /* it runs where we see no processes; nothing was before that */

/* Asked once, if possible as root: who acts as the queue's owner cannot see what the queue manager works on. A later restart only makes it safer. */
static int64_t qmgr_since(const struct spool *sp)
{
    struct postfix_spool *own = sp->own;
    bool master;

    if (!own->qmgr_known) {
        own->qmgr_since = find_qmgr(sp, &master);
        if (own->qmgr_since == INT64_MAX && !master && master_lives(sp))
            own->qmgr_since = QMGR_UNSEEN;
        own->qmgr_known = true;
    }
    return own->qmgr_since;
}

static bool settled(struct spool *sp, const struct stat *st, char why[256])
{
    enum { BLUR = 100 };        /* milliseconds; processes and files are dated by clocks that go in steps of up to 10 */

    if (qmgr_since(sp) == INT64_MAX || qmgr_since(sp) > milliseconds(&st->st_ctim) + BLUR)
        return true;
    snprintf(why, 256, qmgr_since(sp) == QMGR_UNSEEN ? "Postfix runs where its processes cannot be seen from here, and may still have it in memory: act there, or stop it first"
                                                     : "Postfix's queue manager may still have it in memory, and would abort: first `postfix reload`");
    return false;
}

/* --- bringing back --- */

static bool vacant(struct spool *sp, const char *id, char why[256])
{
    static const int kinds[] = { PF_MAILDROP, PF_INCOMING, PF_ACTIVE, PF_DEFERRED, PF_HOLD, PF_CORRUPT };

    if (strlen(id) < 2 || !postfix_id_name(id, strlen(id))) {
        snprintf(why, 256, "its name is no queue id");
        return false;
    }
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        struct levels l;
        struct stat st;
        int error = levels_begin(&l, sp, kind_name(kinds[i]), id);

        if (error == ENOENT)
            continue;
        if (error != 0) {
            snprintf(why, 256, "directory %s: %s", kind_name(kinds[i]), strerrordesc_np(error));
            return false;
        }
        do {
            if (file_stat(sp->dirs[l.dir].fd, id, &st) != FILE_GONE) {
                snprintf(why, 256, "%s/%.100s exists", l.path, id);
                return false;
            }
        } while (levels_next(&l));
    }
    return true;
}

/* The same queue, at the depth that it has now. What was in active becomes deferred, as the queue manager itself would leave it. */
static bool place(struct spool *sp, const struct piece *part, const char *dir_path, char dir[256], char name[NAME_MAX + 1], char why[256])
{
    int kind = kind_of(dir_path);
    char path[PATH_SIZE];

    if (kind < 0 || !postfix_id_name(part->name, strlen(part->name))) {
        snprintf(why, 256, "%.100s/%.100s is no place of Postfix's", dir_path, part->name);
        return false;
    }
    if (kind == PF_ACTIVE) {
        if (!settled(sp, &part->st, why))
            return false;
        kind = PF_DEFERRED;
    }
    path_for(sp, kind, part->name, path);
    snprintf(dir, 256, "%s", path);
    snprintf(name, NAME_MAX + 1, "%s", part->name);
    return true;
}

/*
 * Short ids are microseconds (five hexadecimal digits) and the inode; when the inode differs, the next `postfix start` or `postsuper -s` renames the
 * file to the new one. Long ids it leaves alone, unless enable_long_queue_ids is off by now: then it makes short ones of them.
 */
static bool new_id(struct spool *sp, const char *id, const struct stat *st, char out[64])
{
    enum { MICROSECONDS = 5 };
    struct bytes text = bytes_from(id, strlen(id));
    int64_t seconds, usec;

    if (postfix_long_id(text, &seconds, &usec)) {
        if (!settings(sp) || settings(sp)->settings.long_ids)
            return false;
        snprintf(out, 64, "%05X%lX", (unsigned)usec & 0xfffff, (unsigned long)st->st_ino);
        return true;
    }
    if (text.n <= MICROSECONDS)
        return false;
    snprintf(out, 64, "%.*s%lX", (int)MICROSECONDS, id, (unsigned long)st->st_ino);
    return strcmp(out, id) != 0;
}

/* A complete file appears by one rename; nobody locks it for that. */
static int lock_part(const struct piece *part, int fd)
{
    (void)part;
    (void)fd;
    return 0;
}

/* --- who works, and what comes of it --- */

/* The owner of the queues is mail_owner; his group is in the passwd file, because Debian gives the directories to root's. */
static int owner(const struct spool *sp, uid_t *uid, gid_t *gid)
{
    static const int kinds[] = { PF_DEFERRED, PF_INCOMING, PF_HOLD, PF_ACTIVE, PF_CORRUPT };

    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        const struct passwd *pw;
        struct stat st;

        if (fstatat(sp->fd, kind_name(kinds[i]), &st, 0) < 0 || !S_ISDIR(st.st_mode))
            continue;
        pw = st.st_uid != 0 ? getpwuid(st.st_uid) : NULL;
        *uid = st.st_uid;
        *gid = pw ? pw->pw_gid : st.st_gid;
        if (geteuid() == 0) {
            ((struct postfix_spool *)sp->own)->mail_owner = st.st_uid;
            qmgr_since(sp);
            settings(sp);
        }
        return 0;
    }
    return ENOENT;
}

/* "5 days", "90 minutes": the largest unit of which it is a whole number. */
static void say_duration(int64_t seconds, char out[32])
{
    static const struct { int64_t seconds; const char *name; } units[] = {
        { A_DAY, "day" }, { 60 * 60, "hour" }, { 60, "minute" }, { 1, "second" },
    };
    size_t i = 0;

    while (seconds % units[i].seconds != 0)
        i++;
    seconds /= units[i].seconds;
    snprintf(out, 32, "%lld %s%s", (long long)seconds, units[i].name, seconds == 1 ? "" : "s");
}

/* The queue manager looks at the lifetime when a delivery was put off, and then returns the message, or drops a bounce. */
static bool prospect(const struct spool *sp, const struct lq_record *r, int64_t now, char out[256])
{
    struct lq_str sender = lq_record_text(r, LQ_SENDER);
    bool bounce = sender.p && sender.n == 0;
    const struct postfix_spool *own = settings(sp);
    int64_t arrival, life = !own ? LIFETIME : bounce ? own->settings.bounce_lifetime : own->settings.lifetime;
    char text[32];

    if (!lq_record_number(r, LQ_ARRIVAL_TIME, &arrival) || now - arrival < life)
        return false;
    say_duration(life, text);
    snprintf(out, 256, "%lld days old: %s at its first failure (%s is %s%s)", (long long)((now - arrival) / A_DAY),
             bounce ? "a bounce itself, will be dropped" : "will bounce", bounce ? "bounce_queue_lifetime" : "maximal_queue_lifetime",
             own ? "" : "usually ", text);
    return true;
}

static bool hold_warning(const struct spool *sp, char out[256])
{
    const struct postfix_spool *own = settings(sp);
    char text[32];

    say_duration(own ? own->settings.lifetime : LIFETIME, text);
    snprintf(out, 256, "a message's lifetime goes on while it is on hold: one that is older than %s%s (maximal_queue_lifetime) when it is released is "
                       "returned at its first failure", own ? "" : "usually ", text);
    return true;
}

const struct lq_actor postfix_actor = {
    .one_file = true,
    .modes = 0775,              /* x says that the file is whole (mail_queue.h); maildrop's have 0744, postsuper -e sets 0010 */
    .owner = owner,
    .claim = claim,
    .in_use = in_use,
    .hold = hold,
    .hold_warning = hold_warning,
    .vacant = vacant,
    .place = place,
    .new_id = new_id,
    .lock = lock_part,
    .settled = settled,
    .prospect = prospect,
    .bouncer = &postfix_bouncer,
};
