/*
 * Taking messages out of a queue into a case.
 *
 * On one file system:  link the other parts into the case (of a message of one file: make the directories only) . sync the case . rename
 *                      the key into it . sync the case, then the spool . let the other parts go (logs: they move now).
 * Across two:          copy all parts into the case, the key as .partial-KEY . sync the case . rename the key in the spool to a name
 *                      that no server looks at . sync the spool . rename .partial-KEY to KEY . sync the case . let go what is in the spool.
 *
 * A case's directory is always on disk before the spool's that it was filled from, so a cut of power leaves a message whole in at least
 * one of them; recover.c tells from the places alone what is left to do.
 */
#include <errno.h>
#include <string.h>

#include "act.h"

struct take {
    struct lq_job *j;
    struct site *s;
    struct work *w;
    size_t n;
};

static int case_dir(struct take *t, const struct piece *p, int *fd, bool change)
{
    size_t i;
    int error = folders_of(&t->s->folders, &t->s->sp, p->dir, &i);

    if (error != 0)
        return error;
    *fd = t->s->folders.dirs[i].fd;
    t->s->folders.dirs[i].dirty |= change;
    return 0;
}

static int spool_fd(const struct take *t, const struct piece *p)
{
    return t->s->sp.dirs[p->dir].fd;
}

static bool in_spool_changed(struct take *t, const struct piece *p)
{
    return side_touch(&t->s->side, p->dir);
}

/* --- first step: everything but the key's name is in the case --- */

static int link_part(struct take *t, const struct piece *p)
{
    int fd, error = case_dir(t, p, &fd, true);

    return error ? error : file_link(spool_fd(t, p), p->name, fd, p->name, p->st.st_dev, p->st.st_ino);
}

static int copy_part(struct take *t, const struct piece *p, bool key)
{
    struct copy c = { .from = spool_fd(t, p), .name = p->name, .as = p->name, .st = &p->st, .uid = (uid_t)-1 };
    char name[NAME_MAX + 1];
    int error = case_dir(t, p, &c.to, true);

    if (key && !own_name(name, PARTIAL, "", p->name))
        error = ENAMETOOLONG;
    if (key)
        c.as = name;
    /* root works in queues whose files have several owners. */
    if (t->s->uid == 0) {
        c.uid = p->st.st_uid;
        c.gid = p->st.st_gid;
    }
    return error ? error : disk_copy(&c);
}

/* Take away from the case what was put there of a message that stays. */
static void withdraw(struct take *t, struct work *w)
{
    char name[NAME_MAX + 1];
    int fd;

    for (unsigned i = 0; i < w->placed; i++) {
        const struct piece *p = &w->c.parts[w->copied ? w->c.n - 1 - i : i + 1];
        int error = case_dir(t, p, &fd, true);

        if (error == 0)
            error = disk_remove(fd, p->name);
        if (error == 0 && w->copied && p == &w->c.parts[0] && own_name(name, PARTIAL, "", p->name))
            error = disk_remove(fd, name);
        t->j->uses[t->s->use].unfinished |= error != 0;
    }
    w->placed = 0;
}

/* The job ends: message cut of the batch and those behind it stay in the queue. */
static void drop_rest(struct take *t)
{
    for (size_t i = t->j->cut; i < t->n; i++) {
        if (t->w[i].live)
            withdraw(t, &t->w[i]);
        t->w[i].live = false;
    }
}

static int link_parts(struct take *t, struct work *w)
{
    int error = 0;

    for (size_t i = 1; i < w->c.n && error == 0; i++) {
        error = link_part(t, &w->c.parts[i]);
        w->placed += error == 0;
    }
    return error;
}

static int copy_parts(struct take *t, struct work *w)
{
    int error = 0;

    w->copied = true;
    for (size_t i = w->c.n; i-- > 0 && error == 0;) {
        error = copy_part(t, &w->c.parts[i], i == 0);
        w->placed += error == 0;
    }
    return error;
}

static bool elsewhere(struct take *t, const struct work *w)
{
    dev_t dev = t->j->uses[t->s->use].vault->dev;

    for (size_t i = 0; i < w->c.n; i++)
        if (w->c.parts[i].st.st_dev != dev)
            return true;
    return false;
}

static int put_parts(struct take *t, struct work *w)
{
    int error;

    w->copied = w->copied || elsewhere(t, w);
    if (w->copied)
        return copy_parts(t, w);
    if (t->s->actor->one_file)
        return 0;
    error = link_parts(t, w);
    if (error != EXDEV)
        return error;
    /* One device, but two mounts of it. */
    withdraw(t, w);
    return copy_parts(t, w);
}

/* An error that is not the message's own ends the job; the others are told with the message. */
static void give_up(struct take *t, struct work *w, int error, const char *doing)
{
    const char *why = strerrordesc_np(error);

    withdraw(t, w);
    if (disk_is_full(error) || disk_is_lost(error))
        job_ends(t->j, (size_t)(w - t->w), disk_is_full(error) ? LQ_ENOSPC : LQ_EIO, "%s: %s while %s message %s; it is still in the queue",
                 t->j->uses[t->s->use].vault->path, why, doing, w->item->id);
    else if (error == ENOENT)
        work_left(t->s, w);
    else if (error == EBUSY)
        work_skip(w, "it is being delivered now");
    else if (error == ESTALE)
        work_skip(w, "it is being changed by somebody");
    else if (error == EEXIST)
        work_fail(w, "the case has a file of this name already");
    else
        work_fail(w, "%s while %s it", why, doing);
}

/* A file must not come into a directory whose own name the disk may not have yet: not the key by its rename, and no log after it. */
static int make_dirs(struct take *t, const struct work *w)
{
    int fd, error = 0;

    for (size_t i = 0; i < w->c.n && error == 0; i++)
        error = case_dir(t, &w->c.parts[i], &fd, false);
    return error;
}

static void first_step(struct take *t)
{
    for (size_t i = 0; i < t->n && i < t->j->cut; i++) {
        struct work *w = &t->w[i];
        int error;

        if (!w->live)
            continue;
        error = make_dirs(t, w);
        if (error == 0)
            error = put_parts(t, w);
        /* Copies would only eat the room that the last lines need. */
        if (disk_is_full(error) && !w->copied && job_more_room(t->j, t->s)) {
            withdraw(t, w);
            error = make_dirs(t, w);
            if (error == 0)
                error = put_parts(t, w);
        }
        if (error != 0)
            give_up(t, w, error, "putting into the case");
    }
    drop_rest(t);
}

/* --- second step: the key --- */

/* What the rename moved must be what was claimed: names are the server's, and whoever has its rights can change them at any time. */
static int move_checked(int from, const char *name, int to, const char *as, const struct piece *p)
{
    int error = file_move(from, name, to, as);

    if (error == 0 && !piece_is_at(p, to, as)) {
        file_move(to, as, from, name);
        error = ESTALE;
    }
    return error;
}

static int move_key(struct take *t, struct work *w)
{
    struct piece *key = &w->c.parts[0];
    int from = spool_fd(t, key), to = from, error;
    char name[NAME_MAX + 1];

    if (!in_spool_changed(t, key))
        return ENOMEM;
    if (!own_name(name, w->copied ? ASIDE : "", w->copied ? job_mark(t->j) : "", key->name))
        return ENAMETOOLONG;
    error = w->copied ? 0 : case_dir(t, key, &to, true);
    if (error == 0 && work_in_use(t->s, w, from, key->name))
        error = EBUSY;
    if (error == 0)
        error = move_checked(from, key->name, to, name, key);
    if (error == 0 && work_in_use(t->s, w, to, name) && file_move(to, name, from, key->name) == 0)
        error = EBUSY;
    return error;
}

static void second_step(struct take *t)
{
    for (size_t i = 0; i < t->n && i < t->j->cut; i++) {
        struct work *w = &t->w[i];
        int error;

        if (!w->live)
            continue;
        error = move_key(t, w);
        if (disk_is_full(error) && job_more_room(t->j, t->s))
            error = move_key(t, w);
        if (error == EXDEV && !w->copied) {
            w->copied = true;
            withdraw(t, w);
            error = copy_parts(t, w);
            if (error == 0)
                error = folders_sync(&t->s->folders);
            if (error == 0)
                error = move_key(t, w);
        }
        w->key_moved = error == 0;
        if (error != 0)
            give_up(t, w, error, "moving");
    }
    drop_rest(t);
}

/* The key goes back to its old name. */
static bool key_back(struct take *t, struct work *w)
{
    struct piece *key = &w->c.parts[0];
    char name[NAME_MAX + 1];
    int fd, error;

    if (w->copied) {
        error = own_name(name, ASIDE, job_mark(t->j), key->name) ? 0 : ENAMETOOLONG;
        if (error == 0)
            error = file_move(spool_fd(t, key), name, spool_fd(t, key), key->name);
    } else {
        error = case_dir(t, key, &fd, true);
        if (error == 0)
            error = file_move(fd, key->name, spool_fd(t, key), key->name);
    }
    w->key_moved = error != 0;
    return error == 0;
}

/* A directory could not be synced: what the disk has of it is not known, so everything goes back, and only then out of the case. */
static void all_back(struct take *t, int error)
{
    bool back = true;

    for (size_t i = 0; i < t->n; i++)
        if (t->w[i].live && t->w[i].key_moved)
            back = key_back(t, &t->w[i]) && back;
    back = side_sync_first(&t->s->side) == 0 && back;
    for (size_t i = 0; i < t->n; i++) {
        if (t->w[i].live && back)
            withdraw(t, &t->w[i]);
        t->w[i].live = false;
    }
    t->j->uses[t->s->use].unfinished |= !back;
    job_ends(t->j, 0, disk_is_full(error) ? LQ_ENOSPC : LQ_EIO, "%s: %s while syncing; %s", t->j->uses[t->s->use].vault->path,
             strerrordesc_np(error), back ? "the messages are back in the queue" : "run 'mqquarantine recover'");
}

/* The copies get their names: from here on they are the messages. */
static int name_copies(struct take *t)
{
    char name[NAME_MAX + 1];
    int error = 0;

    for (size_t i = 0; i < t->n && error == 0; i++) {
        struct work *w = &t->w[i];
        const struct piece *key = &w->c.parts[0];
        int fd;

        if (!w->live || !w->copied)
            continue;
        error = own_name(name, PARTIAL, "", key->name) ? case_dir(t, key, &fd, true) : ENAMETOOLONG;
        if (error == 0)
            error = file_move(fd, name, fd, key->name);
    }
    return error;
}

/* --- third step: what is left in the spool --- */

/* A log of a message that has gone into the case. Its server may have taken it away itself. */
static int follow(struct take *t, const struct piece *p)
{
    int fd = -1, error = case_dir(t, p, &fd, true);
    struct stat st;

    if (error == ENOENT)
        return EIO;
    if (error == 0)
        error = move_checked(spool_fd(t, p), p->name, fd, p->name, p);
    if (disk_is_full(error) && job_more_room(t->j, t->s))
        error = move_checked(spool_fd(t, p), p->name, fd, p->name, p);
    if (error == ENOENT)
        return file_stat(spool_fd(t, p), p->name, &st) == FILE_GONE ? 0 : EIO;
    return error == ESTALE ? 0 : error;
}

static int settle_part(struct take *t, struct work *w, const struct piece *p)
{
    if (!in_spool_changed(t, p))
        return ENOMEM;
    return t->s->actor->one_file && !w->copied ? follow(t, p) : disk_remove(spool_fd(t, p), p->name);
}

static void settle(struct take *t, struct work *w)
{
    char name[NAME_MAX + 1];
    int error = 0;

    if (w->copied && own_name(name, ASIDE, job_mark(t->j), w->c.parts[0].name))
        error = in_spool_changed(t, &w->c.parts[0]) ? disk_remove(spool_fd(t, &w->c.parts[0]), name) : ENOMEM;
    for (size_t i = 1; i < w->c.n; i++) {
        int one = settle_part(t, w, &w->c.parts[i]);

        error = error ? error : one;
    }
    w->result = LQ_DONE;
    w->live = false;
    if (error != 0) {
        work_fail(w, "it is in the case, but files of it are left in the spool: %s; run 'mqquarantine recover'", strerrordesc_np(error));
        t->j->uses[t->s->use].unfinished = true;
    }
}

static void batch(struct lq_job *j, struct site *s, struct work *w, size_t n)
{
    struct take t = { j, s, w, n };
    bool copies = false;
    int error = 0;

    first_step(&t);
    for (size_t i = 0; i < n; i++)
        copies |= w[i].live && w[i].copied;
    error = folders_sync(&s->folders);
    if (error == 0) {
        second_step(&t);
        for (size_t i = 0; i < n; i++)
            copies |= w[i].live && w[i].copied;
        error = folders_sync_first(&s->folders);
    }
    if (error == 0)
        error = side_sync(&s->side);
    if (error == 0 && copies)
        error = name_copies(&t);
    if (error == 0 && copies)
        error = folders_sync(&s->folders);
    if (error != 0) {
        all_back(&t, error);
        return;
    }
    for (size_t i = 0; i < n; i++)
        if (w[i].live)
            settle(&t, &w[i]);
}

const struct verb take_verb = { .name = "take", .done = "taken", .claim_flags = CLAIM_DAMAGED, .fills_case = true, .batch = batch };
const struct verb undo_verb = { .name = "purge", .done = "purged", .claim_flags = CLAIM_DAMAGED, .fills_case = true, .batch = batch };
