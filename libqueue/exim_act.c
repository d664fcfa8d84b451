/*
 * What acting on Exim's messages takes: its lock, a message's files as they are now, freezing, and whether an id is free.
 *
 * Who has the write lock on the first line of ID-D owns ID-H, ID-J and the message log, too (deliver.c, queue.c of Exim 4; observed
 * with 4.96 and 4.98.2). flock() means nothing to Exim. A -D without a -H is never locked unless it is old: it is being received, and
 * a lock taken in the instant before Exim's own would end that reception. What the bytes of a -H mean is read in exim_parse.c; the
 * order of linking, renaming and removing is the engine's.
 */
#include "exim.h"
#include "settings.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { DIR_MAX = 256, ROUNDS = 3, A_DAY = 24 * 60 * 60 };

/* --- places --- */

/* "slow/input/x" is "slow/input" and 'x'; without a split place, '\0'. */
static char split_place(const char *path, char base[DIR_MAX])
{
    size_t n = strlen(path);
    char c = '\0';

    if (n > 2 && path[n - 2] == '/') {
        c = path[n - 1];
        n -= 2;
    }
    snprintf(base, DIR_MAX, "%.*s", (int)n, path);
    return c;
}

/* "slow/Finput" becomes "slow/Fmsglog". False if it is no input directory. */
static bool log_base(char base[DIR_MAX])
{
    size_t n = strlen(base), input = strlen("input");

    if (n < input || strcmp(base + n - input, "input") != 0 || n - input + strlen("msglog") >= DIR_MAX)
        return false;
    strcpy(base + n - input, "msglog");
    return true;
}

static bool is_known(const struct spool *sp, const char *path, size_t *dir)
{
    for (*dir = 0; *dir < sp->dir_count; ++*dir)
        if (strcmp(sp->dirs[*dir].path, path) == 0)
            return true;
    return false;
}

/* As spool_dir(), without asking again whether a known one is still there. */
static int find_dir(struct spool *sp, const char *path, size_t *dir)
{
    return is_known(sp, path, dir) ? 0 : spool_dir(sp, path, dir);
}

/* Whether the file is there, as what it is in *st. */
static enum file_result look(struct spool *sp, size_t dir, const char *name, struct stat *st)
{
    return file_stat(sp->dirs[dir].fd, name, st);
}

/* --- claiming --- */

/* What is known while a message is claimed. */
struct taking {
    struct spool *sp;
    struct claim *c;
    char id[EXIM_ID_NEW + 1];
    size_t id_len;
    dev_t dev;
    ino_t ino;
    unsigned flags;
    size_t dir;                 /* where it is looked for now */
};

static enum claim_result gone(struct taking *t)
{
    return claim_answer(t->c, CLAIM_GONE, "is not in the queue any more");
}

static void part_name(const struct taking *t, enum exim_part part, char name[NAME_MAX + 1])
{
    snprintf(name, NAME_MAX + 1, "%s%s", t->id, exim_suffix[part]);
}

/* What stat said of the part must be what Exim makes: one regular file of the queue's owner. In a case only regular counts. */
static bool sound(struct taking *t, size_t dir, const char *name, const struct stat *st, enum file_result found)
{
    const char *path = t->sp->dirs[dir].path;

    if (found != FILE_OK)
        claim_answer(t->c, CLAIM_REFUSED, "%s/%s: %s", path, name, file_result_text(found));
    else if (t->flags & CLAIM_UNLOCKED)
        return true;
    else if (st->st_nlink > 1)
        claim_answer(t->c, CLAIM_REFUSED, "%s/%s: has %lu links, where Exim's files have one", path, name, (unsigned long)st->st_nlink);
    else if (st->st_uid != t->sp->dirs[t->dir].uid)
        claim_answer(t->c, CLAIM_REFUSED, "%s/%s: belongs to uid %lu, the queue to uid %lu", path, name, (unsigned long)st->st_uid,
               (unsigned long)t->sp->dirs[t->dir].uid);
    else
        return true;
    return false;
}

static void add_part(struct taking *t, size_t dir, enum exim_part part, const struct stat *st)
{
    struct piece *p = &t->c->parts[t->c->n++];

    p->dir = dir;
    p->role = (uint8_t)part;
    p->links = false;
    p->st = *st;
    part_name(t, part, p->name);
}

/* A part that need not be there. False with an answer when there is something else in its place. */
static bool add_if_there(struct taking *t, size_t dir, enum exim_part part)
{
    char name[NAME_MAX + 1];
    enum file_result found;
    struct stat st;

    part_name(t, part, name);
    if (spool_lacks(t->sp, dir, name))
        return true;
    found = look(t->sp, dir, name, &st);
    if (found == FILE_GONE)
        return true;
    if (!sound(t, dir, name, &st, found))
        return false;
    add_part(t, dir, part, &st);
    return true;
}

/* What is not there is seen from the base, without opening a directory for it. */
static bool add_split_log(struct taking *t, const char *base, size_t base_dir)
{
    char split[DIR_MAX + 2], name[NAME_MAX + 3], place[2] = { t->id[5], '\0' };
    struct stat st;
    size_t dir, before = t->c->n;
    bool known;

    snprintf(split, sizeof(split), "%s/%s", base, place);
    known = is_known(t->sp, split, &dir);
    if (spool_lacks(t->sp, base_dir, place) || (known && spool_lacks(t->sp, dir, t->id)))
        return true;
    /* Where it is not found the directory may have been removed and made anew. */
    if (known && (!add_if_there(t, dir, PART_LOG) || t->c->n > before))
        return t->c->n > before;
    snprintf(name, sizeof(name), "%s/%s", place, t->id);
    return look(t->sp, base_dir, name, &st) == FILE_GONE || find_dir(t->sp, split, &dir) != 0 || add_if_there(t, dir, PART_LOG);
}

/* Whether a file of this name is in `path`, which is base_dir or one level below it. */
static bool is_there(struct taking *t, size_t base_dir, const char *path, const char *name)
{
    const char *below = path + strlen(t->sp->dirs[base_dir].path);
    char full[NAME_MAX + 3];
    struct stat st;
    size_t dir;

    if (is_known(t->sp, path, &dir) && spool_lacked(t->sp, dir, name))
        return false;
    snprintf(full, sizeof(full), "%s%s%.*s", *below ? below + 1 : "", *below ? "/" : "", NAME_MAX - 1, name);
    return look(t->sp, base_dir, full, &st) != FILE_GONE;
}

/* Whether the other of the two places that share their logs has a message of this id, too. */
static bool has_namesake(struct taking *t)
{
    static const enum exim_part parts[] = { PART_HEADER, PART_DATA };
    const char *here = t->sp->dirs[t->dir].path;
    char base[DIR_MAX], split[DIR_MAX + 2], place[2] = { t->id[5], '\0' }, name[NAME_MAX + 1];
    bool is_split = split_place(here, base) != '\0', found = false;
    size_t dir;

    if (find_dir(t->sp, base, &dir) != 0 || (!is_split && spool_lacked(t->sp, dir, place)))
        return false;
    snprintf(split, sizeof(split), "%s/%s", base, place);
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]) && !found; i++) {
        part_name(t, parts[i], name);
        found = is_there(t, dir, is_split ? base : split, name);
    }
    return found;
}

/*
 * In the log directory of the same queue; after split_spool_directory was changed, in either place, so in both. Whose they are of two messages with
 * one id is not told: the last of them that leaves the queue has them, and the first that goes back.
 */
static bool add_logs(struct taking *t)
{
    size_t dir, before = t->c->n;
    char base[DIR_MAX];

    split_place(t->sp->dirs[t->dir].path, base);
    if (!log_base(base) || find_dir(t->sp, base, &dir) != 0)
        return true;
    if (!add_split_log(t, base, dir) || !add_if_there(t, dir, PART_LOG))
        return false;
    if (t->c->n > before && !(t->flags & CLAIM_UNLOCKED) && has_namesake(t)) {
        t->c->namesakes = 1;
        t->c->n = before;
    }
    return true;
}

/* Open -H, and see whether its first line is its own name: a file that begins otherwise is none. */
static enum file_result look_into_header(struct taking *t, const char *name, struct stat *st, bool *begins)
{
    struct source src = { .first = 64, .view = 64 };
    uint64_t off = 0;
    struct bytes line;
    int fd;
    enum file_result found = file_open(t->sp->dirs[t->dir].fd, name, &fd, st);

    *begins = false;
    if (found != FILE_OK)
        return found;
    if (source_file(&src, fd, (uint64_t)st->st_size) == 0)
        *begins = source_line(&src, &off, &line) == LINE_WHOLE && bytes_eq(line, bytes_from(name, strlen(name)));
    source_done(&src);
    close(fd);
    return FILE_OK;
}

/* Long enough without its -H that nobody is about to write one. */
static bool abandoned(const struct taking *t, const struct stat *data)
{
    int64_t now = time(NULL), began;

    if (!exim_id_time(bytes_from(t->id, t->id_len), &began) || began > now || began < data->st_mtime)
        began = data->st_mtime;
    return now - began >= EXIM_ABANDONED;
}

/* May this -D, which has no -H, be locked? */
static enum claim_result orphan(struct taking *t, const struct stat *data)
{
    if (!(t->flags & (CLAIM_DAMAGED | CLAIM_UNLOCKED)))
        return claim_answer(t->c, CLAIM_REFUSED, "is being received, or its reception was never finished (no -H)");
    if (!(t->flags & CLAIM_UNLOCKED) && !abandoned(t, data))
        return claim_answer(t->c, CLAIM_REFUSED, "may still be being received (no -H, and younger than a day)");
    return CLAIM_OK;
}

static bool is_other(const struct taking *t, const struct stat *data)
{
    return t->ino != 0 && (data->st_ino != t->ino || data->st_dev != t->dev);
}

static bool same_file(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* Open -D and lock it. Its path is looked at again under the lock: Exim may have finished with it meanwhile. */
static enum claim_result lock_data(struct taking *t, const char *name, struct stat *st)
{
    struct stat again;
    int fd, error;
    enum file_result found = file_open_rw(t->sp->dirs[t->dir].fd, name, &fd, st);

    if (found == FILE_GONE)
        return gone(t);
    if (found != FILE_OK) {
        sound(t, t->dir, name, st, found);
        return CLAIM_REFUSED;
    }
    t->c->lock = fd;
    if (st->st_nlink == 0)
        return gone(t);
    if (is_other(t, st))
        return claim_answer(t->c, CLAIM_OTHER, "is another message now");
    if (!sound(t, t->dir, name, st, FILE_OK))
        return CLAIM_REFUSED;
    error = file_lock_range(fd, 0, (off_t)(t->id_len + EXIM_SUFFIX + 1));
    if (error == EAGAIN)
        return claim_answer(t->c, CLAIM_BUSY, "is being delivered");
    if (error != 0)
        return claim_answer(t->c, CLAIM_REFUSED, "%s/%s: cannot be locked: %s", t->sp->dirs[t->dir].path, name, strerrordesc_np(error));
    found = look(t->sp, t->dir, name, &again);
    if (found == FILE_GONE || (found == FILE_OK && !same_file(st, &again)))
        return gone(t);
    if (!sound(t, t->dir, name, &again, found))
        return CLAIM_REFUSED;
    *st = again;
    return CLAIM_OK;
}

static enum claim_result take_data(struct taking *t, const char *name, struct stat *st)
{
    enum file_result found;

    if (!(t->flags & (CLAIM_UNLOCKED | CLAIM_DRY)))
        return lock_data(t, name, st);
    found = look(t->sp, t->dir, name, st);
    if (found == FILE_GONE)
        return gone(t);
    if (found == FILE_OK && is_other(t, st))
        return claim_answer(t->c, CLAIM_OTHER, "is another message now");
    return sound(t, t->dir, name, st, found) ? CLAIM_OK : CLAIM_REFUSED;
}

/* A -H alone: Exim cannot deliver it, and there is nothing to lock. */
static enum claim_result without_data(struct taking *t, const char *header, const struct stat *st, enum file_result found)
{
    struct stat again;

    if (!(t->flags & (CLAIM_DAMAGED | CLAIM_UNLOCKED)))
        return claim_answer(t->c, CLAIM_REFUSED, "has no -D: Exim cannot deliver it");
    /* Of a message that is done -D goes first; then -H is gone at once. */
    if (t->ino != 0 || look(t->sp, t->dir, header, &again) == FILE_GONE)
        return gone(t);
    if (!sound(t, t->dir, header, st, found))
        return CLAIM_REFUSED;
    spool_names_round(t->sp);
    add_part(t, t->dir, PART_HEADER, st);
    return add_if_there(t, t->dir, PART_JOURNAL) && add_logs(t) ? CLAIM_OK : CLAIM_REFUSED;
}

/* Key first; -D, which carries the lock, last. Nobody makes a journal or a log of it from now on, so a list of names that is true now will do. */
static enum claim_result collect(struct taking *t, const char *header, const struct stat *data)
{
    bool begins, picky = !(t->flags & (CLAIM_DAMAGED | CLAIM_UNLOCKED));
    struct stat st;
    enum file_result found;

    spool_names_round(t->sp);
    found = picky ? look_into_header(t, header, &st, &begins) : look(t->sp, t->dir, header, &st);

    if (found == FILE_GONE) {
        enum claim_result may = orphan(t, data);

        if (may != CLAIM_OK)
            return may;
        add_part(t, t->dir, PART_DATA, data);
        return add_if_there(t, t->dir, PART_JOURNAL) && add_logs(t) ? CLAIM_OK : CLAIM_REFUSED;
    }
    if (!sound(t, t->dir, header, &st, found))
        return CLAIM_REFUSED;
    if (picky && !begins)
        return claim_answer(t->c, CLAIM_REFUSED, "its -H does not begin with its own name: Exim refuses it");
    add_part(t, t->dir, PART_HEADER, &st);
    if (!add_if_there(t, t->dir, PART_JOURNAL) || !add_logs(t))
        return CLAIM_REFUSED;
    add_part(t, t->dir, PART_DATA, data);
    return CLAIM_OK;
}

static enum claim_result claim_here(struct taking *t)
{
    char header[NAME_MAX + 1], data[NAME_MAX + 1];
    struct stat h, d;
    enum file_result has_header, has_data;
    enum claim_result r;

    part_name(t, PART_HEADER, header);
    part_name(t, PART_DATA, data);
    t->c->n = 0;
    /* Before anything is locked: a -D without -H may be being received. */
    has_header = look(t->sp, t->dir, header, &h);
    if (has_header == FILE_GONE) {
        has_data = look(t->sp, t->dir, data, &d);
        if (has_data == FILE_GONE)
            return gone(t);
        if (!sound(t, t->dir, data, &d, has_data))
            return CLAIM_REFUSED;
        r = orphan(t, &d);
        if (r != CLAIM_OK)
            return r;
    }
    r = take_data(t, data, &d);
    if (r == CLAIM_GONE && has_header != FILE_GONE && look(t->sp, t->dir, data, &d) == FILE_GONE)
        return without_data(t, header, &h, has_header);
    return r == CLAIM_OK ? collect(t, header, &d) : r;
}

static bool is_frozen_place(const char *path)
{
    char base[DIR_MAX];
    size_t n, end = strlen("Finput");

    split_place(path, base);
    n = strlen(base);
    return n >= end && strcmp(base + n - end, "Finput") == 0 && (n == end || base[n - end - 1] == '/');
}

static enum claim_result try_dir(struct taking *t, size_t dir)
{
    enum claim_result r;

    t->dir = dir;
    r = claim_here(t);
    if (r != CLAIM_OK)
        claim_done(t->c);
    return r;
}

static enum claim_result try_path(struct taking *t, const char *path)
{
    size_t dir;

    return spool_dir(t->sp, path, &dir) == 0 ? try_dir(t, dir) : CLAIM_GONE;
}

/* Exim moves messages between queues (-MG), and frozen ones into Finput. */
static enum claim_result look_elsewhere(struct taking *t)
{
    const struct exim_spool *own = exim_bases(t->sp);
    enum claim_result r = CLAIM_GONE;

    for (size_t i = 0; own && i < own->base_count && r == CLAIM_GONE; i++) {
        char path[DIR_MAX];

        if (snprintf(path, sizeof(path), "%s/%c", own->bases[i], t->id[5]) >= (int)sizeof(path))
            continue;
        r = try_path(t, path);
        path[strlen(path) - 2] = '\0';
        if (r == CLAIM_GONE)
            r = try_path(t, path);
    }
    return r;
}

static enum claim_result claim(struct spool *sp, const struct ref *ref, dev_t dev, ino_t ino, unsigned flags, struct claim *c)
{
    const struct entry *key = &ref->entries[0];
    struct taking t = { .sp = sp, .c = c, .dev = dev, .ino = ino, .flags = flags };
    enum claim_result r;

    c->lock = c->lock2 = -1;
    c->n = 0;
    c->why[0] = '\0';
    c->namesakes = 0;
    t.id_len = key->id_len;
    if (!exim_is_id(key->id, key->id_len))
        return claim_answer(t.c, CLAIM_REFUSED, "its name is none that Exim gives");
    memcpy(t.id, key->id, t.id_len);
    r = try_dir(&t, key->dir);
    for (unsigned round = 0; round < ROUNDS && r == CLAIM_GONE; round++) {
        r = try_path(&t, sp->dirs[key->dir].path);      /* it may have been removed and made anew */
        if (r == CLAIM_GONE && !ref->twin && !(flags & CLAIM_UNLOCKED))
            r = look_elsewhere(&t);
    }
    if (r == CLAIM_GONE)
        return gone(&t);
    if (r == CLAIM_OK)
        c->state = is_frozen_place(sp->dirs[t.dir].path) ? STATE_HELD : STATE_DEFERRED;
    return r;
}

/* --- holding: what `exim -Mf` and `exim -Mt` do to a -H --- */

/*
 * Exim writes -frozen before these, and -manual_thaw before those of them that follow spam_score_int (spool_out.c; seen in 4.96 and 4.98.2).
 * Its reader takes them in any order.
 */
static const struct {
    const char *name;
    bool whole;                 /* else how the name begins */
    bool late;
} after[] = {
    { "N", true, false },             { "host_lookup_", false, false }, { "local", true, false }, { "localerror", true, false },
    { "local_scan", true, false },    { "spam_", false, false },        { "manual_thaw", true, false },
    { "sender_set_untrusted", true, true }, { "bmi_verdicts", true, true }, { "tls_", false, true },
    { "smtputf8", true, true },       { "utf8_", false, true },         { "dsn_", false, true },
};

static bool comes_after(struct bytes name, bool late)
{
    for (size_t i = 0; i < sizeof(after) / sizeof(after[0]); i++) {
        struct bytes text = bytes_from(after[i].name, strlen(after[i].name));

        if ((after[i].late || !late) && (after[i].whole ? bytes_eq(name, text) : bytes_start(name, text)))
            return true;
    }
    return false;
}

/* The new -H while the old one is read. */
struct edit {
    struct bytes key;
    struct buf *out;
    bool on;
    bool frozen;                /* it is frozen */
    bool placed;                /* our line is there */
    uint64_t copied;            /* bytes of key that are in out, or left out */
    char line[64];              /* ours */
};

static void copy_to(struct edit *e, uint64_t end)
{
    buf_add(e->out, e->key.p + e->copied, (size_t)(end - e->copied));
    e->copied = end;
}

static void place_line(struct edit *e, uint64_t at)
{
    copy_to(e, at);
    buf_add_str(e->out, e->line);
    e->placed = true;
}

static void edit_variable(struct exim_parse *p, struct bytes name)
{
    struct edit *e = p->ctx;
    bool frozen = exim_is_frozen(name), thawed = bytes_eq(name, BYTES("manual_thaw"));

    e->frozen = e->frozen || frozen;
    if (!e->placed && !e->on && thawed) {
        e->placed = true;
        return;
    }
    if (!e->placed && (!name.p || comes_after(name, !e->on)))
        place_line(e, p->at);
    if (frozen || thawed) {
        copy_to(e, p->at);
        e->copied = p->off;
    }
}

/* Exim itself does not change a -H that it cannot read. */
static enum hold_result judge(const struct edit *e, const struct exim_parse *p, struct held *out)
{
    const struct lq_record *r = p->rec;

    if (out->bytes.failed)
        return hold_answer(out, HOLD_NO_MEMORY, "out of memory");
    if (r->state == STATE_CORRUPT || !p->whole)
        return hold_answer(out, HOLD_REFUSED, r->problems.n > 0 ? r->problems.items[0].p : "its -H is not whole: Exim would refuse it");
    if (e->frozen == e->on)
        return hold_answer(out, HOLD_ALREADY, e->on ? "is frozen already" : "is not frozen");
    out->rewritten = true;
    return HOLD_DO;
}

static enum hold_result hold(struct spool *sp, const struct claim *c, struct bytes key, bool on, const char *reason, int64_t now, struct held *out)
{
    const struct piece *file = &c->parts[0];
    struct edit e = { .key = key, .out = &out->bytes, .on = on };
    struct buf headers = { .limit = 1 }, names = { 0 }, nodes = { 0 };
    struct lq_record rec;
    struct source src = { 0 };
    struct exim_parse p = {
        .rec = &rec, .src = &src, .dir = sp->dirs[file->dir].path, .name = file->name,
        .id = bytes_from(file->name, strlen(file->name) - EXIM_SUFFIX), .headers = &headers, .names = &names, .nodes = &nodes,
        .variable = edit_variable, .ctx = &e,
    };
    enum hold_result result;

    (void)reason;               /* Exim keeps none */
    out->rewritten = out->moved = out->move_first = out->touch = false;
    out->why[0] = '\0';
    buf_reset(&out->bytes, SIZE_MAX);
    if (file->role != PART_HEADER)
        return hold_answer(out, HOLD_REFUSED, "has no -H");
    if (is_frozen_place(p.dir))
        return hold_answer(out, on ? HOLD_ALREADY : HOLD_REFUSED,
                           "Exim moved it into Finput, where nothing delivers it, and has no command to bring it back");
    if (on)
        snprintf(e.line, sizeof(e.line), "-frozen %lld\n", (long long)now);
    else
        snprintf(e.line, sizeof(e.line), "-manual_thaw\n");
    memset(&rec, 0, sizeof(rec));
    record_reset(&rec);
    source_memory(&src, key.p, key.n);
    exim_parse_header(&p);
    copy_to(&e, key.n);
    result = judge(&e, &p, out);
    record_done(&rec);
    buf_done(&headers);
    buf_done(&names);
    buf_done(&nodes);
    return result;
}

/* --- settings --- */

/* Ask exim, once; NULL where it does not answer for this spool: a copy, or Exim is not installed. */
static const struct exim_spool *settings(const struct spool *sp)
{
    struct setting s[] = { { .name = "timeout_frozen_after" }, { .name = "auto_thaw" }, { .name = "ignore_bounce_errors_after" } };
    struct exim_spool *own = sp->own;

    if (!own->settings.asked && sp->live && settings_ask("exim", sp->fd, s, sizeof(s) / sizeof(s[0]), NULL))
        own->settings.known = settings_duration(s[0].value, 1, &own->settings.frozen) && settings_duration(s[1].value, 1, &own->settings.thaw) &&
                              settings_duration(s[2].value, 1, &own->settings.bounce);
    own->settings.asked = true;
    return own->settings.known ? own : NULL;
}

/* "7d", "90m": the largest unit of which it is a whole number, as Exim writes times. */
static const char *say_duration(int64_t seconds, char out[32])
{
    static const struct { int64_t seconds; char name; } units[] = { { A_DAY, 'd' }, { 60 * 60, 'h' }, { 60, 'm' }, { 1, 's' } };
    size_t i = 0;

    while (seconds % units[i].seconds != 0)
        i++;
    snprintf(out, 32, "%lld%c", (long long)(seconds / units[i].seconds), units[i].name);
    return out;
}

static bool hold_warning(const struct spool *sp, char out[256])
{
    const struct exim_spool *own = settings(sp);
    char thaw[32], frozen[32];

    if (!own)
        snprintf(out, 256, "Exim ends a freeze by itself where auto_thaw or timeout_frozen_after is set (exim -bP auto_thaw timeout_frozen_after)");
    else if (own->settings.thaw > 0 && (own->settings.frozen == 0 || own->settings.thaw < own->settings.frozen))
        snprintf(out, 256, "auto_thaw = %s: then Exim thaws the messages by itself and delivers them", say_duration(own->settings.thaw, thaw));
    else if (own->settings.frozen > 0)
        snprintf(out, 256, "timeout_frozen_after = %s: of this age Exim returns frozen messages, and drops frozen bounces",
                 say_duration(own->settings.frozen, frozen));
    return !own || own->settings.thaw > 0 || own->settings.frozen > 0;
}

/* --- bringing back --- */

static bool free_in(struct spool *sp, const char *path, const char *id, char why[256])
{
    static const enum exim_part parts[] = { PART_HEADER, PART_DATA, PART_JOURNAL };
    size_t dir;
    int error = spool_dir(sp, path, &dir);

    if (error == ENOENT)
        return true;
    if (error != 0) {
        snprintf(why, 256, "%.100s: %s", path, strerrordesc_np(error));
        return false;
    }
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        char name[NAME_MAX + 1];
        struct stat st;

        snprintf(name, sizeof(name), "%s%s", id, exim_suffix[parts[i]]);
        if (look(sp, dir, name, &st) != FILE_GONE) {
            snprintf(why, 256, "%.100s/%.40s exists", path, name);
            return false;
        }
    }
    return true;
}

static bool vacant(struct spool *sp, const char *id, char why[256])
{
    const struct exim_spool *own = exim_bases(sp);

    if (!exim_is_id(id, strlen(id))) {
        snprintf(why, 256, "its name is none that Exim gives");
        return false;
    }
    if (!own) {
        snprintf(why, 256, "out of memory");
        return false;
    }
    for (size_t i = 0; i < own->base_count; i++) {
        char split[DIR_MAX];

        if (snprintf(split, sizeof(split), "%s/%c", own->bases[i], id[5]) >= (int)sizeof(split))
            continue;
        if (!free_in(sp, own->bases[i], id, why) || !free_in(sp, split, id, why))
            return false;
    }
    return true;
}

/* The same place. Where split_spool_directory is off by now, the base: a split place made now would have to be removed by Exim again. */
static bool place(struct spool *sp, const struct piece *part, const char *dir_path, char dir[256], char name[NAME_MAX + 1], char why[256])
{
    char base[DIR_MAX];
    size_t index;

    (void)why;
    snprintf(dir, 256, "%s", dir_path);
    snprintf(name, NAME_MAX + 1, "%s", part->name);
    if (split_place(dir_path, base) && spool_dir(sp, dir_path, &index) == ENOENT && spool_dir(sp, base, &index) == 0)
        snprintf(dir, 256, "%s", base);
    return true;
}

static bool is_key(const struct piece *part)
{
    return part->role == PART_HEADER;
}

static int lock_part(const struct piece *part, int fd)
{
    return part->role == PART_DATA ? file_lock_range(fd, 0, (off_t)strlen(part->name) + 1) : 0;
}

/* --- who works, and what comes of it --- */

static int owner(const struct spool *sp, uid_t *uid, gid_t *gid)
{
    struct stat st;
    int fd;

    settings(sp);               /* while we are who was called */
    for (size_t i = 0; i < sp->dir_count; i++) {
        if (strstr(sp->dirs[i].path, "input") && fstat(sp->dirs[i].fd, &st) == 0) {
            *uid = st.st_uid;
            *gid = st.st_gid;
            return 0;
        }
    }
    if (file_open_dir(sp->fd, "input", &fd) != FILE_OK)
        return errno ? errno : ENOENT;
    if (fstat(fd, &st) < 0) {
        int error = errno;

        close(fd);
        return error;
    }
    close(fd);
    *uid = st.st_uid;
    *gid = st.st_gid;
    return 0;
}

/*
 * All ages count from the arrival. A frozen message is timed out at the next queue run; others are given up at a failure when the retry rule of their
 * destination has ended, of which Exim tells nobody: four days in the usual configuration.
 */
static bool prospect(const struct spool *sp, const struct lq_record *r, int64_t now, char out[256])
{
    enum { USUAL = 4 };
    const struct exim_spool *own = settings(sp);
    struct lq_str sender = lq_record_text(r, LQ_SENDER);
    int64_t arrival, age, frozen = own ? own->settings.frozen : 0;
    char text[32];

    if (!lq_record_number(r, LQ_ARRIVAL_TIME, &arrival))
        return false;
    age = now - arrival;
    if (r->state == STATE_HELD && frozen > 0 && age >= frozen)
        snprintf(out, 256, "%lld days old and frozen: the next queue run will %s it (timeout_frozen_after = %s)", (long long)(age / A_DAY),
                 sender.p && sender.n == 0 ? "drop" : "bounce", say_duration(frozen, text));
    else if (age >= USUAL * A_DAY)
        snprintf(out, 256, "%lld days old: will bounce at its first failure where the retry rule has ended by now (usually after %d days)%s",
                 (long long)(age / A_DAY), (int)USUAL, own ? "" : "; if frozen, where timeout_frozen_after has passed");
    return (r->state == STATE_HELD && frozen > 0 && age >= frozen) || age >= USUAL * A_DAY;
}

const struct lq_actor exim_actor = {
    .modes = 0664,
    .owner = owner,
    .claim = claim,
    .hold = hold,
    .hold_warning = hold_warning,
    .vacant = vacant,
    .place = place,
    .is_key = is_key,
    .lock = lock_part,
    .prospect = prospect,
    .bouncer = &exim_bouncer,
};
