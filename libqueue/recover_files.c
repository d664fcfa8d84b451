/*
 * After a crash, from the places of files alone: which side does a message belong to, and what of it is left on the other.
 *
 * The key file's place decides. What else the losing side has of a message goes: a link while there is another one, a copy while its
 * original is there; a file that turns out to be the only one of its kind is put aside in the case's leftover/, never deleted.
 * Everything can be done again from the beginning, wherever it stopped.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "recover.h"

static void note(struct pair *p, int error, const struct spool *sp, size_t dir, const char *name)
{
    if (error == 0 || p->error != 0)
        return;
    p->error = error;
    snprintf(p->at, sizeof(p->at), "%.200s/%.200s/%.190s", sp->root, sp->dirs[dir].path, name);
}

static void sync_all(struct pair *p, struct spool *sp)
{
    for (size_t i = 0; i < sp->dir_count; i++)
        note(p, file_sync(sp->dirs[i].fd), sp, i, "");
}

/* --- names of ours --- */

struct found {
    size_t dir;
    char name[NAME_MAX + 1];    /* without what we put before it */
};

struct finds {
    struct pair *p;
    const char *prefix;         /* with the mark and its dash */
    size_t dir;
    struct found *items;
    size_t n, cap;
};

static int find_one(void *ctx, const char *name, size_t len, unsigned char type)
{
    struct finds *f = ctx;
    size_t skip = strlen(f->prefix);

    (void)type;
    if (strncmp(name, f->prefix, skip) != 0 || len == skip)
        return 0;
    if (f->n == f->cap) {
        size_t cap = f->cap ? f->cap * 2 : 64;
        struct found *more = realloc(f->items, cap * sizeof(*more));

        if (!more) {
            f->p->error = f->p->error ? f->p->error : ENOMEM;
            return 1;
        }
        f->items = more;
        f->cap = cap;
    }
    f->items[f->n].dir = f->dir;
    snprintf(f->items[f->n++].name, NAME_MAX + 1, "%s", name + skip);
    return 0;
}

/* All names in a spool that begin so. */
static struct finds find_names(struct pair *p, struct spool *sp, const char *prefix)
{
    struct finds f = { .p = p, .prefix = prefix };

    for (f.dir = 0; f.dir < sp->dir_count; f.dir++)
        if (file_each(sp->dirs[f.dir].fd, find_one, &f) != FILE_OK)
            note(p, errno, sp, f.dir, "");
    return f;
}

/* It is the name of a file that was found, so it fits; what would not is no file's name. */
static void full_name(char out[NAME_MAX + 1], const char *prefix, const char *name)
{
    if (snprintf(out, NAME_MAX + 1, "%s%s", prefix, name) > NAME_MAX)
        out[0] = '\0';
}

static bool exists(struct spool *sp, size_t dir, const char *name, struct stat *st)
{
    return file_stat(sp->dirs[dir].fd, name, st) == FILE_OK;
}

static bool same_inode(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* The directory of the other side that stands for this one. */
static bool opposite(struct spool *from, size_t dir, struct spool *to, size_t *out)
{
    return spool_dir(to, from->dirs[dir].path, out) == 0;
}

static int drop(struct pair *p, struct spool *sp, size_t dir, const char *name)
{
    int error = disk_remove(sp->dirs[dir].fd, name);

    note(p, error, sp, dir, name);
    return error;
}

/* --- keys that stood aside while their copy got its name --- */

static void settle_aside(struct pair *p)
{
    char prefix[40], aside[NAME_MAX + 1];
    struct finds f;

    snprintf(prefix, sizeof(prefix), ASIDE "%s-", p->mark);
    f = find_names(p, &p->home_sp, prefix);
    for (size_t i = 0; i < f.n; i++) {
        struct spool *home = &p->home_sp;
        size_t dir = f.items[i].dir, kept;
        const char *name = f.items[i].name;
        struct stat st, is;
        int error;

        full_name(aside, prefix, name);
        if (opposite(home, dir, &p->kept_sp, &kept) && exists(&p->kept_sp, kept, name, &st)) {
            drop(p, home, dir, aside);
            continue;
        }
        error = file_move(home->dirs[dir].fd, aside, home->dirs[dir].fd, name);
        if (error == EEXIST && exists(home, dir, aside, &st) && exists(home, dir, name, &is) && same_inode(&st, &is))
            error = drop(p, home, dir, aside);
        note(p, error, home, dir, aside);
    }
    if (f.n > 0)
        sync_all(p, &p->home_sp);
    free(f.items);
}

/* --- what each side has of an id --- */

enum { FILES_MAX = 64 };

struct one {
    size_t dir;
    const char *name;
    struct stat st;
    bool key;
    bool gone;
};

struct group {
    struct spool *sp;
    struct one files[FILES_MAX];
    size_t n;
    bool keyed;
};

static bool is_id(const struct entry *e, const char *id, size_t n)
{
    return e->id_len == n && memcmp(e->id, id, n) == 0;
}

/* The first of the sorted entries that has the id or follows it. */
static size_t lower(const struct entry *e, size_t n, const char *id, size_t id_len)
{
    size_t from = 0;

    while (n > 0) {
        size_t half = n / 2, len = e[from + half].id_len < id_len ? e[from + half].id_len : id_len;
        int d = memcmp(e[from + half].id, id, len);

        if (d == 0)
            d = (int)e[from + half].id_len - (int)id_len;
        if (d < 0) {
            from += half + 1;
            n -= half + 1;
        } else {
            n = half;
        }
    }
    return from;
}

/* Which files are keys is the actor's to say. */
static void mark_keys(struct group *g, const struct ref *ref)
{
    const struct lq_actor *a = g->sp->backend->actor;
    struct claim c = { .lock = -1, .lock2 = -1 };

    if (a->claim(g->sp, ref, 0, 0, CLAIM_UNLOCKED | CLAIM_DAMAGED | CLAIM_ACTIVE | CLAIM_MAILDROP, &c) != CLAIM_OK)
        return;
    for (size_t i = 0; i < g->n && (!a->is_key || a->is_key(&c.parts[0])); i++)
        if (g->files[i].dir == c.parts[0].dir && strcmp(g->files[i].name, c.parts[0].name) == 0)
            g->files[i].key = g->keyed = true;
    claim_done(&c);
}

static void gather(struct group *g, struct spool *sp, const char *id, size_t id_len)
{
    size_t n, at;
    const struct entry *e = listing_entries(sp, &n);
    size_t refs = listing_count(sp), low = 0, high = refs;

    g->sp = sp;
    g->n = 0;
    g->keyed = false;
    for (at = lower(e, n, id, id_len); at < n && is_id(&e[at], id, id_len) && g->n < FILES_MAX; at++) {
        struct one *f = &g->files[g->n];

        *f = (struct one){ .dir = e[at].dir, .name = e[at].name };
        g->n += exists(sp, f->dir, f->name, &f->st);
    }
    /* Messages are sorted as their entries are. */
    while (low < high) {
        size_t half = low + (high - low) / 2;
        const struct entry *key = &listing_ref(sp, half)->entries[0];
        size_t len = key->id_len < id_len ? key->id_len : id_len;
        int d = memcmp(key->id, id, len);

        if (d == 0)
            d = (int)key->id_len - (int)id_len;
        if (d < 0)
            low = half + 1;
        else
            high = half;
    }
    for (; low < refs && is_id(&listing_ref(sp, low)->entries[0], id, id_len); low++)
        mark_keys(g, listing_ref(sp, low));
}

/* The same file on the other side: the same inode, or, between file systems, the same name in the same place. */
static struct one *twin(struct group *g, const struct one *f, const struct spool *sp)
{
    for (size_t i = 0; i < g->n; i++) {
        struct one *o = &g->files[i];

        if (o->gone)
            continue;
        if (same_inode(&o->st, &f->st))
            return o;
        if (o->st.st_dev != f->st.st_dev && strcmp(o->name, f->name) == 0 && strcmp(g->sp->dirs[o->dir].path, sp->dirs[f->dir].path) == 0)
            return o;
    }
    return NULL;
}

static bool related(struct group *a, struct group *b)
{
    for (size_t i = 0; i < a->n; i++) {
        const struct one *o = twin(b, &a->files[i], a->sp);

        if (o && o->st.st_dev == a->files[i].st.st_dev)
            return true;
    }
    return false;
}

/* Aside, in the case: <case>/leftover/<n>-<mta>/<place>/<name>. As root, whose the case is. */
static void put_aside(struct pair *p, struct one *f)
{
    const char *dir = p->kept_sp.dirs[f->dir].path;
    char path[700], name[NAME_MAX + 1];
    int fd, error = who_back(&p->who, NULL) == LQ_OK ? 0 : EPERM;

    snprintf(path, sizeof(path), "leftover/%zu-%s%s%s", p->number, p->kept_sp.backend->name, *dir ? "/" : "", dir);
    if (error == 0)
        error = file_make_below(p->c->fd, path, &fd, NULL);
    if (error == 0) {
        snprintf(name, sizeof(name), "%s", f->name);
        for (unsigned i = 1; (error = file_move(p->kept_sp.dirs[f->dir].fd, f->name, fd, name)) == EEXIST && i < 10; i++)
            snprintf(name, sizeof(name), "%.200s.%u", f->name, i);
        if (error == 0)
            error = file_sync(fd);
        close(fd);
    }
    if (who_become(&p->who, p->uid, p->gid, NULL) != LQ_OK)
        error = EPERM;
    if (error == 0)
        p->leftover++;
    f->gone = error == 0;
    note(p, error, &p->kept_sp, f->dir, f->name);
}

static void drop_file(struct pair *p, struct group *g, struct one *f)
{
    if (drop(p, g->sp, f->dir, f->name) == 0)
        f->gone = true;
}

/* The message is in the queue: the case lets go of what it has of it. */
static void to_queue(struct pair *p, struct group *kept, struct group *home, bool copies)
{
    for (size_t i = 0; i < kept->n; i++) {
        struct one *f = &kept->files[i];

        if (f->st.st_nlink > 1 || copies || twin(home, f, kept->sp))
            drop_file(p, kept, f);
        else
            put_aside(p, f);
    }
    p->in_queue += home->keyed;
}

/* A log that did not follow its message yet (Postfix: they move after it). */
static void follow(struct pair *p, struct one *f)
{
    const char *path = p->home_sp.dirs[f->dir].path;
    int fd, error = file_make_below(p->kept->fd, path, &fd, NULL);

    if (error == 0) {
        error = file_move(p->home_sp.dirs[f->dir].fd, f->name, fd, f->name);
        if (error == 0)
            error = file_sync(fd);
        close(fd);
    }
    note(p, error == ENOENT || error == EXDEV ? 0 : error, &p->home_sp, f->dir, f->name);
    f->gone = error == 0;
}

/* The message is in the case: the queue lets go of what it has of it. */
static void to_case(struct pair *p, struct group *kept, struct group *home)
{
    bool any = false;

    for (size_t i = 0; i < home->n; i++) {
        struct one *f = &home->files[i];

        if (twin(kept, f, home->sp)) {
            drop_file(p, home, f);
            any = true;
        } else if (home->sp->backend->actor->one_file) {
            follow(p, f);
            any = true;
        }
    }
    p->in_case += any;
}

/* Whether a key of this name is the id's: "ID" (Postfix), "ID-H" (Exim), "qfID" (Sendmail). One id can be part of another. */
static bool names_id(const char *name, const char *id, size_t n)
{
    size_t len = strlen(name);

    if (len == n)
        return memcmp(name, id, n) == 0;
    if (len != n + 2)
        return false;
    return (name[1] == 'f' && memcmp(name + 2, id, n) == 0) || (name[n] == '-' && memcmp(name, id, n) == 0);
}

/* Whether a copy of this message was only half way into the case: its key has no name yet. */
static bool was_partial(const struct finds *partials, const char *id, size_t n)
{
    for (size_t i = 0; i < partials->n; i++)
        if (names_id(partials->items[i].name, id, n))
            return true;
    return false;
}

static bool in_ledger(struct pair *p, const struct group *kept, char key[PATH_MAX])
{
    for (size_t i = 0; p->ledger && i < kept->n; i++) {
        const char *dir = kept->sp->dirs[kept->files[i].dir].path;

        if (!kept->files[i].key)
            continue;
        snprintf(key, PATH_MAX, "%zu-%s/%s%s%s", p->number, kept->sp->backend->name, dir, *dir ? "/" : "", kept->files[i].name);
        if (ledger_has(p->ledger, key))
            return true;
    }
    return false;
}

static void settle_id(struct pair *p, const char *id, size_t n, const struct finds *partials)
{
    static struct group kept, home;     /* large; recovery is one thread's */
    char key[PATH_MAX];
    bool partial = was_partial(partials, id, n), went, copied;

    gather(&kept, &p->kept_sp, id, n);
    gather(&home, &p->home_sp, id, n);
    if (kept.n == 0)
        return;
    went = in_ledger(p, &kept, key);
    copied = went && ledger_copied(p->ledger, key);
    /* Copied back: lines of copies whose key never got its name are cancelled. Where no copy went the key itself says that it did not go. */
    if (kept.keyed && copied) {
        to_queue(p, &kept, &home, true);
        return;
    }
    if (kept.keyed && !home.keyed) {
        to_case(p, &kept, &home);
        if (went)
            note(p, ledger_cancel(p->ledger, key), &p->kept_sp, 0, id);
    } else if (!kept.keyed) {
        /* The key goes from the case when the message is in the queue, and the ledger knew of it before. */
        to_queue(p, &kept, &home, partial || (p->ledger && ledger_has_id(p->ledger, id, n)));
    } else if (related(&kept, &home)) {
        to_queue(p, &kept, &home, false);
    } else {
        p->unclear++;
    }
}

void pair_settle(struct pair *p)
{
    struct finds partials;
    const struct entry *e;
    size_t n;

    /* What is seen may be on no disk yet. */
    sync_all(p, &p->kept_sp);
    sync_all(p, &p->home_sp);
    if (p->error)
        return;
    settle_aside(p);
    partials = find_names(p, &p->kept_sp, PARTIAL);
    e = listing_entries(&p->kept_sp, &n);
    for (size_t i = 0, run; i < n && !p->error; i += run) {
        for (run = 1; i + run < n && is_id(&e[i + run], e[i].id, e[i].id_len); run++)
            ;
        settle_id(p, e[i].id, e[i].id_len, &partials);
    }
    /* After the parts that are told by them. */
    for (size_t i = 0; i < partials.n && !p->error; i++) {
        char name[NAME_MAX + 1];

        full_name(name, PARTIAL, partials.items[i].name);
        drop(p, &p->kept_sp, partials.items[i].dir, name);
    }
    free(partials.items);
    sync_all(p, &p->kept_sp);
    sync_all(p, &p->home_sp);
}

/* --- restoring copies --- */

/* The ledger's line of a key that never got its name. Its place in the case is, as a rule, its place in the queue. */
static void cancel_line(struct pair *p, const struct found *f)
{
    const char *dir = p->home_sp.dirs[f->dir].path;
    char key[PATH_MAX];
    size_t n;
    const struct entry *e;

    snprintf(key, sizeof(key), "%zu-%s/%s%s%s", p->number, p->home_sp.backend->name, dir, *dir ? "/" : "", f->name);
    if (ledger_has(p->ledger, key)) {
        note(p, ledger_cancel(p->ledger, key), &p->home_sp, f->dir, f->name);
        return;
    }
    if (!p->kept_listed)
        return;
    e = listing_entries(&p->kept_sp, &n);
    for (size_t i = 0; i < n; i++) {
        if (strcmp(e[i].name, f->name) != 0)
            continue;
        dir = p->kept_sp.dirs[e[i].dir].path;
        snprintf(key, sizeof(key), "%zu-%s/%s%s%s", p->number, p->home_sp.backend->name, dir, *dir ? "/" : "", f->name);
        if (ledger_has(p->ledger, key))
            note(p, ledger_cancel(p->ledger, key), &p->home_sp, f->dir, f->name);
    }
}

static void drop_parts_of(struct pair *p, const char *id, size_t n)
{
    static struct group home;

    gather(&home, &p->home_sp, id, n);
    for (size_t k = 0; k < home.n && !home.keyed; k++)
        drop_file(p, &home, &home.files[k]);
}

/* Parts of this key's copy that had their name already: of its id, or of the one that a server gives to a copy. */
static void drop_named_parts(struct pair *p, const struct found *f, const char *temp)
{
    const struct lq_actor *a = p->home_sp.backend->actor;
    size_t n;
    const struct entry *e = listing_entries(&p->home_sp, &n);
    struct stat st;
    char id[64];

    for (size_t i = 0; i < n; i++)
        if (names_id(f->name, e[i].id, e[i].id_len))
            drop_parts_of(p, e[i].id, e[i].id_len);
    if (a->new_id && exists(&p->home_sp, f->dir, temp, &st) && a->new_id(&p->home_sp, f->name, &st, id))
        drop_parts_of(p, id, strlen(id));
}

void pair_drop_copies(struct pair *p)
{
    char prefix[40], name[NAME_MAX + 1];
    struct finds keys, parts;

    sync_all(p, &p->home_sp);
    snprintf(prefix, sizeof(prefix), COPY_PART "%s-", p->mark);
    parts = find_names(p, &p->home_sp, prefix);
    for (size_t i = 0; i < parts.n && !p->error; i++) {
        full_name(name, prefix, parts.items[i].name);
        drop(p, &p->home_sp, parts.items[i].dir, name);
    }
    snprintf(prefix, sizeof(prefix), COPY_KEY "%s-", p->mark);
    keys = find_names(p, &p->home_sp, prefix);
    /* The key's copy goes last: it tells of the others, and of the line. */
    for (size_t i = 0; i < keys.n && !p->error; i++) {
        full_name(name, prefix, keys.items[i].name);
        drop_named_parts(p, &keys.items[i], name);
        if (p->ledger)
            cancel_line(p, &keys.items[i]);
        if (!p->error)
            drop(p, &p->home_sp, keys.items[i].dir, name);
    }
    p->in_case += keys.n;
    free(parts.items);
    free(keys.items);
    sync_all(p, &p->home_sp);
}

/* --- hold and release --- */

/* One file under two names: it was moved, and the disk has where to, but not yet that it left. */
static void one_place(struct pair *p, const struct entry *a, const struct entry *b, bool on)
{
    struct spool *sp = &p->home_sp;
    struct stat x, y;
    bool held;

    if (!exists(sp, a->dir, a->name, &x) || !exists(sp, b->dir, b->name, &y) || !same_inode(&x, &y))
        return;
    held = strncmp(sp->dirs[a->dir].path, "hold", 4) == 0;
    drop(p, sp, held == on ? b->dir : a->dir, held == on ? b->name : a->name);
    p->in_queue++;
}

/*
 * The old key is kept until the new one is written and in its place. Moved and not rewritten it goes back. What is under its name is never replaced: if
 * we wrote that, it is held by what is in it, and Sendmail gives it the other name; but its server may have gone on since, and the old key does not
 * know who has the message by now.
 */
static void back_to_old(struct pair *p, const struct found *f, const char *old)
{
    struct spool *sp = &p->home_sp;
    int dir = sp->dirs[f->dir].fd, error = 0;
    struct stat was, now;
    size_t n;
    const struct entry *e = listing_entries(sp, &n);

    if (!exists(sp, f->dir, old, &was))
        return;
    if (!exists(sp, f->dir, f->name, &now))
        for (size_t i = 0; i < n && error == 0; i++)
            if (e[i].dir == f->dir && names_id(f->name, e[i].id, e[i].id_len) && exists(sp, f->dir, e[i].name, &now) &&
                same_inode(&was, &now))
                error = file_move(dir, e[i].name, dir, f->name);
    note(p, error, sp, f->dir, f->name);
    if (error == 0)
        drop(p, sp, f->dir, old);
}

void pair_settle_hold(struct pair *p, bool on)
{
    char prefix[40], name[NAME_MAX + 1];
    struct finds f;
    const struct entry *e;
    size_t n;

    sync_all(p, &p->home_sp);
    snprintf(prefix, sizeof(prefix), OLD_KEY "%s-", p->mark);
    f = find_names(p, &p->home_sp, prefix);
    for (size_t i = 0; i < f.n && !p->error; i++) {
        full_name(name, prefix, f.items[i].name);
        back_to_old(p, &f.items[i], name);
    }
    free(f.items);
    snprintf(prefix, sizeof(prefix), REWRITTEN "%s-", p->mark);
    f = find_names(p, &p->home_sp, prefix);
    for (size_t i = 0; i < f.n && !p->error; i++) {
        full_name(name, prefix, f.items[i].name);
        drop(p, &p->home_sp, f.items[i].dir, name);
    }
    free(f.items);
    e = listing_entries(&p->home_sp, &n);
    for (size_t i = 0; i < n && !p->error; i++)
        for (size_t k = i + 1; k < n && is_id(&e[k], e[i].id, e[i].id_len); k++)
            one_place(p, &e[i], &e[k], on);
    sync_all(p, &p->home_sp);
}
