/*
 * Acting on a Sendmail queue: which files are one message now, the locks that keep every sendmail away from it, what hold and release do to
 * its control file, where it may come back.
 *
 * Moves and writes nothing itself; leaves directories to sendmail_places.c, bytes to sendmail_parse.c and sendmail_hold.c. Facts:
 * Sendmail 8.17 and 8.18 (queue.c, conf.c, envelope.c), tried beside running daemons.
 */
#include "sendmail_places.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    FOUND_MAX = 16,             /* files of one id that are looked at; nobody has so many */
    TRIES = 3,                  /* while the control file is replaced between its name and its lock */
    SHARED_MODES = 07111        /* what no body has: a planted link to a program has it */
};

static const char letters[] = { [ROLE_QF] = 'q', [ROLE_HF] = 'h', [ROLE_LOST] = 'Q', [ROLE_TF] = 't',
                                [ROLE_OLD_TF] = 'T', [ROLE_DF] = 'd', [ROLE_XF] = 'x' };

/* --- the files of one id, in all queue directories --- */

struct found {
    size_t dir;
    unsigned role;
    enum file_result result;    /* not FILE_GONE */
    struct stat st;
};

struct search {
    struct spool *sp;
    struct lq_str id;
    struct found found[FOUND_MAX];
    size_t n;
    bool too_many;
    bool remembered;            /* names that a directory has not, by its list, are not looked for */
    int error;                  /* a directory could not be searched */
};

static void name_of(const struct search *s, unsigned role, char name[NAME_MAX + 1])
{
    size_t n = s->id.n < NAME_MAX - 2 ? s->id.n : NAME_MAX - 2;

    name[0] = letters[role];
    name[1] = 'f';
    memcpy(name + 2, s->id.p, n);
    name[n + 2] = '\0';
}

/* "q1/qf629EPaQe004717" for a sentence. */
static const char *path_of(const struct search *s, size_t dir, unsigned role, char out[128])
{
    const char *path = s->sp->dirs[dir].path;

    snprintf(out, 128, "%.64s%s%cf%.*s", path, *path ? "/" : "", letters[role], (int)s->id.n, s->id.p);
    return out;
}

static void look_in(struct search *s, size_t dir, unsigned role)
{
    char name[NAME_MAX + 1];
    struct found f = { .dir = dir, .role = role };

    name_of(s, role, name);
    if (s->remembered && spool_lacks(s->sp, dir, name))
        return;
    f.result = file_stat(s->sp->dirs[dir].fd, name, &f.st);
    if (f.result == FILE_GONE)
        return;
    if (f.result != FILE_OK && f.result != FILE_ODD)
        s->error = f.result == FILE_DENIED ? EACCES : errno;
    if (s->n < FOUND_MAX)
        s->found[s->n++] = f;
    else
        s->too_many = true;
}

/* The directory where the server keeps files of this role of a home, and the home itself, where files lie that it does not see. */
static void look_in_home(struct search *s, const struct sendmail_home *home, unsigned role)
{
    size_t dir = sendmail_dir_for(home, role);

    if (dir != home->dirs[KIND_HOME])
        look_in(s, dir, role);
    look_in(s, home->dirs[KIND_HOME], role);
}

static void begin_search(struct search *s)
{
    s->n = 0;
    s->too_many = false;
    s->error = 0;
}

static bool is_home(const struct sendmail_places *own, size_t i)
{
    return own->homes[i].real == i && own->homes[i].has[KIND_HOME];
}

/* Whatever bears the id, in all homes. By role, so that the key comes first. */
static void search(struct search *s, unsigned first, unsigned last)
{
    const struct sendmail_places *own = sendmail_places(s->sp);

    begin_search(s);
    for (unsigned role = first; role <= last; role++)
        for (size_t i = 0; i < own->count; i++)
            if (is_home(own, i))
                look_in_home(s, &own->homes[i], role);
}

/*
 * What a message in this home can have: there, everything; in other homes, a control file that would make two messages of one id, and
 * transcripts. Bodies are elsewhere only where the control file says so. Each message asks this, so it asks for no more names.
 */
static void search_around(struct search *s, size_t home)
{
    static const unsigned elsewhere[] = { ROLE_QF, ROLE_HF, ROLE_LOST, ROLE_XF };
    const struct sendmail_places *own = sendmail_places(s->sp);

    begin_search(s);
    s->remembered = true;
    spool_names_round(s->sp);
    for (unsigned role = ROLE_QF; role <= ROLE_XF; role++)
        look_in_home(s, &own->homes[home], role);
    for (size_t i = 0; i < own->count; i++)
        for (size_t k = 0; k < sizeof(elsewhere) / sizeof(elsewhere[0]) && i != home && is_home(own, i); k++)
            look_in(s, sendmail_dir_for(&own->homes[i], elsewhere[k]), elsewhere[k]);
    s->remembered = false;
}

static const struct found *first_of(const struct search *s, unsigned from, unsigned to)
{
    for (size_t i = 0; i < s->n; i++)
        if (s->found[i].role >= from && s->found[i].role <= to)
            return &s->found[i];
    return NULL;
}

/* --- claim --- */

static const char *error_text(int error)
{
    return strerrordesc_np(error) ? strerrordesc_np(error) : "unknown error";
}

/* A control file of the id now: where it was, or wherever sendmail or an administrator brought it. */
static enum claim_result locate(struct search *s, const struct ref *ref, struct claim *c, struct found *key)
{
    const struct entry *was = &ref->entries[0];
    const struct found *now;
    char path[128];

    begin_search(s);
    if (sendmail_is_control(was) && s->sp->dirs[was->dir].tag != SPOOL_TAG_NONE)
        look_in(s, was->dir, was->role);
    if (s->n == 0)
        search(s, ROLE_QF, ROLE_LOST);
    now = first_of(s, ROLE_QF, ROLE_LOST);
    if (s->error)
        return claim_answer(c, CLAIM_REFUSED, "its files cannot be looked for: %s", error_text(s->error));
    if (now) {
        *key = *now;
        return now->result == FILE_OK ? CLAIM_OK : claim_answer(c, CLAIM_REFUSED, "%s: not a regular file", path_of(s, now->dir, now->role, path));
    }
    search(s, ROLE_TF, ROLE_DF);
    now = first_of(s, ROLE_TF, ROLE_DF);
    if (!now)
        return claim_answer(c, CLAIM_GONE, "it has left the queue");
    path_of(s, now->dir, now->role, path);
    return now->role == ROLE_DF ? claim_answer(c, CLAIM_REFUSED, "%s: a body without control file: being received, finished at this moment, or left over", path)
                                : claim_answer(c, CLAIM_REFUSED, "%s: only this temporary control file is left", path);
}

static enum claim_result lock_answer(struct claim *c, int error)
{
    if (error == EAGAIN)
        return claim_answer(c, CLAIM_BUSY, "it is being delivered");
    return claim_answer(c, CLAIM_REFUSED, "its control file cannot be locked: %s", error_text(error));
}

/*
 * Both kinds of lock: which one a sendmail takes was decided when it was built, and the kernel keeps them apart. Never on an empty file: whoever
 * receives the message makes it and locks it in two steps, and would give up if he came second.
 */
static int lock_both(int fd)
{
    int error = file_lock_flock(fd);

    return error ? error : file_lock_range(fd, 0, 0);
}

static enum claim_result open_key(struct search *s, const struct found *key, unsigned flags, struct claim *c, int *fd, struct stat *st)
{
    char name[NAME_MAX + 1], path[128];
    enum file_result r;
    int error;

    name_of(s, key->role, name);
    if (key->st.st_size == 0 && !(flags & CLAIM_UNLOCKED))
        return claim_answer(c, CLAIM_REFUSED, "%s: empty: being received", path_of(s, key->dir, key->role, path));
    r = flags & CLAIM_UNLOCKED ? file_open(s->sp->dirs[key->dir].fd, name, fd, st)
                               : file_open_rw(s->sp->dirs[key->dir].fd, name, fd, st);
    if (r != FILE_OK)
        return r == FILE_GONE ? CLAIM_GONE : claim_answer(c, CLAIM_REFUSED, "%s: %s", path_of(s, key->dir, key->role, path),
                                                          file_result_text(r));
    if (flags & CLAIM_UNLOCKED)
        return CLAIM_OK;
    error = st->st_size == 0 ? EAGAIN : flags & CLAIM_DRY ? 0 : lock_both(*fd);
    if (error == 0)
        return CLAIM_OK;
    close(*fd);
    return lock_answer(c, error);
}

static bool same_file(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size && a->st_nlink == b->st_nlink;
}

static enum claim_result second(struct search *s, const struct found *a, const struct found *b, struct claim *c)
{
    char path[128], other[128];

    path_of(s, a->dir, a->role, path);
    path_of(s, b->dir, b->role, other);
    return claim_answer(c, CLAIM_REFUSED, "both %s and %s exist: a hold or release is under way or was interrupted, or two messages have one id", path, other);
}

/*
 * What lies beside the key under the lock. A sendmail that works on the message holds the lock; so what is odd now stays odd. In a case, links
 * are what an interrupted job left.
 */
static enum claim_result check_others(struct search *s, const struct found *key, unsigned flags, struct claim *c)
{
    char path[128];

    if (s->error)
        return claim_answer(c, CLAIM_REFUSED, "its files cannot be looked for: %s", error_text(s->error));
    if (s->too_many)
        return claim_answer(c, CLAIM_REFUSED, "more than %d files have its id", (int)FOUND_MAX);
    for (size_t i = 0; i < s->n; i++) {
        const struct found *f = &s->found[i];

        if (f->role <= ROLE_LOST && (f->role != key->role || f->dir != key->dir))
            return second(s, key, f, c);
        if (f->role == ROLE_TF)
            return claim_answer(c, CLAIM_REFUSED, "a temporary control file %s stands beside it",
                                path_of(s, f->dir, f->role, path));
        if (f->role == ROLE_XF)
            continue;
        if (f->result != FILE_OK)
            return claim_answer(c, CLAIM_REFUSED, "%s: not a regular file", path_of(s, f->dir, f->role, path));
        if (f->role != ROLE_DF && f->st.st_nlink > 1 && !(flags & CLAIM_UNLOCKED))
            return claim_answer(c, CLAIM_REFUSED, "%s: it has %" PRIuMAX " links", path_of(s, f->dir, f->role, path),
                                (uintmax_t)f->st.st_nlink);
    }
    return CLAIM_OK;
}

/*
 * A body that several envelopes share is a hard link; but so is another file of the disk that somebody with rights in the directory linked
 * there. Bodies are never programs, and in a directory that hands its group down they have that group.
 */
static bool foreign_link(const struct search *s, const struct found *f)
{
    struct stat dir;

    if (f->role != ROLE_DF || f->st.st_nlink < 2)
        return false;
    return (f->st.st_mode & SHARED_MODES) != 0 || fstat(s->sp->dirs[f->dir].fd, &dir) < 0 ||
           ((dir.st_mode & S_ISGID) && dir.st_gid != f->st.st_gid);
}

static bool add_part(const struct search *s, const struct found *f, struct claim *c)
{
    struct piece *p = &c->parts[c->n];

    /* A transcript may stay behind: it is nobody's, and keeps no message from coming back. */
    if (f->role == ROLE_XF && (c->n == CLAIM_PARTS_MAX || f->result != FILE_OK || f->st.st_nlink > 1))
        return true;
    if (c->n == CLAIM_PARTS_MAX)
        return false;
    *p = (struct piece){ .dir = f->dir, .role = (uint8_t)f->role, .links = f->role == ROLE_DF, .st = f->st };
    name_of(s, f->role, p->name);
    c->n++;
    return true;
}

static size_t home_of(const struct search *s, size_t dir)
{
    return sendmail_places(s->sp)->homes[s->sp->dirs[dir].tag / KIND_COUNT].real;
}

static bool found_in(const struct search *s, size_t dir, unsigned role)
{
    for (size_t i = 0; i < s->n; i++)
        if (s->found[i].dir == dir && s->found[i].role == role)
            return true;
    return false;
}

/*
 * Where sendmail looks for the body, by the control file's d record, SIZE_MAX: nowhere in this spool. If it is not there nor beside the key, it
 * may have been moved by hand to any home.
 */
static size_t find_body(struct search *s, const struct found *key, const struct sendmail_control *control)
{
    const struct sendmail_places *own = sendmail_places(s->sp);
    size_t home = home_of(s, key->dir), dir = SIZE_MAX;

    if (sendmail_df_home(own, control->df_dir.p, &home))
        dir = sendmail_dir_for(&own->homes[home], ROLE_DF);
    if (dir != SIZE_MAX && !found_in(s, dir, ROLE_DF))
        look_in(s, dir, ROLE_DF);
    for (size_t i = 0; i < own->count && !first_of(s, ROLE_DF, ROLE_DF); i++)
        if (is_home(own, i))
            look_in_home(s, &own->homes[i], ROLE_DF);
    return dir;
}

/*
 * The key, the body that sendmail would send, other bodies of the id (nobody else's, there being one control file), an old Tf, transcripts.
 * Everything that would keep the message from coming back goes with it.
 */
static enum claim_result collect(struct search *s, const struct found *key, size_t body, struct claim *c)
{
    bool fits = add_part(s, key, c);
    char path[128];

    for (size_t i = 0; i < s->n; i++)
        if (s->found[i].role == ROLE_DF && s->found[i].dir == body)
            fits = fits && add_part(s, &s->found[i], c);
    for (size_t i = 0; i < s->n; i++) {
        const struct found *f = &s->found[i];

        if (foreign_link(s, f))
            return claim_answer(c, CLAIM_REFUSED, "%s: a link to a file that is no message's", path_of(s, f->dir, f->role, path));
        if (f->role > ROLE_TF && !(f->role == ROLE_DF && f->dir == body))
            fits = fits && add_part(s, f, c);
    }
    return fits ? CLAIM_OK : claim_answer(c, CLAIM_REFUSED, "it has more than %d files", (int)CLAIM_PARTS_MAX);
}

/* The body is never rewritten: its inode tells this message from a later one of the same id. */
static enum claim_result compare(struct claim *c, dev_t dev, ino_t ino)
{
    bool body = false;

    if (ino == 0)
        return CLAIM_OK;
    for (size_t i = 1; i < c->n; i++) {
        body = body || c->parts[i].role == ROLE_DF;
        if (c->parts[i].role == ROLE_DF && c->parts[i].st.st_dev == dev && c->parts[i].st.st_ino == ino)
            return CLAIM_OK;
    }
    if (body)
        return claim_answer(c, CLAIM_OTHER, "another message has its id now");
    return claim_answer(c, CLAIM_REFUSED, "its body is gone");
}

static enum state state_of(const struct found *key, const struct sendmail_control *control)
{
    if (key->role == ROLE_LOST || control->refused)
        return STATE_CORRUPT;
    if (!control->complete)
        return STATE_INCOMPLETE;
    if (key->role == ROLE_HF || control->quarantined)
        return STATE_HELD;
    return control->attempts > 0 ? STATE_DEFERRED : STATE_INCOMING;
}

static enum claim_result check_content(struct search *s, const struct found *key, const struct sendmail_control *control, unsigned flags,
                                       struct claim *c)
{
    char path[128];

    if (flags & (CLAIM_DAMAGED | CLAIM_UNLOCKED))
        return CLAIM_OK;
    path_of(s, key->dir, key->role, path);
    if (key->role == ROLE_LOST)
        return claim_answer(c, CLAIM_REFUSED, "%s: sendmail set this control file aside", path);
    if (control->refused)
        return claim_answer(c, CLAIM_REFUSED, "%s: sendmail would refuse this control file", path);
    if (!control->complete)
        return claim_answer(c, CLAIM_REFUSED, "%s: no terminator: it was cut, or never finished", path);
    return CLAIM_OK;
}

/* The control file's bytes, read through the descriptor that holds its lock. */
static int parse(int fd, const struct stat *st, struct lq_record *rec, struct sendmail_control *control)
{
    struct source src = { 0 };
    struct buf headers = { 0 }, tmp = { 0 }, tmp2 = { 0 };
    struct sendmail_input in = {
        .src = &src, .path = "", .want = LQ_FIELD_BIT(LQ_ATTEMPTS), .headers = &headers, .tmp = &tmp, .tmp2 = &tmp2,
    };
    int error = source_file(&src, fd, (uint64_t)st->st_size) < 0 ? ENOMEM : 0;

    if (error == 0) {
        sendmail_parse(rec, &in, control);
        error = src.error;
    }
    source_done(&src);
    buf_done(&headers);
    buf_done(&tmp);
    buf_done(&tmp2);
    return error;
}

/* Everything that can be asked once nobody else works on the message, after the search around it. */
static enum claim_result take_stock(struct search *s, const struct found *key, int fd, const struct stat *st, unsigned flags, struct claim *c)
{
    struct lq_record rec = { 0 };
    struct sendmail_control control;
    size_t body = SIZE_MAX;
    enum claim_result r;
    int error;

    record_reset(&rec);
    error = parse(fd, st, &rec, &control);
    if (error == 0) {
        body = find_body(s, key, &control);
        r = check_others(s, key, flags, c);
    } else {
        r = claim_answer(c, CLAIM_REFUSED, "its control file cannot be read: %s", error_text(error));
    }
    if (r == CLAIM_OK)
        r = check_content(s, key, &control, flags, c);
    if (r == CLAIM_OK)
        r = collect(s, key, body, c);
    if (r == CLAIM_OK)
        c->state = state_of(key, &control);
    record_done(&rec);
    return r;
}

/* Looks around under the lock; true while the name still leads to the file that was opened and locked. */
static bool still_there(struct search *s, const struct found *key, const struct stat *st)
{
    char name[NAME_MAX + 1];
    struct stat now;

    search_around(s, home_of(s, key->dir));
    for (size_t i = 0; i < s->n; i++)
        if (s->found[i].dir == key->dir && s->found[i].role == key->role)
            return s->found[i].result == FILE_OK && same_file(&s->found[i].st, st);
    name_of(s, key->role, name);
    return file_stat(s->sp->dirs[key->dir].fd, name, &now) == FILE_OK && same_file(&now, st);
}

static enum claim_result claim_once(struct search *s, const struct ref *ref, unsigned flags, struct claim *c, bool *again)
{
    struct found key;
    struct stat st;
    enum claim_result r = locate(s, ref, c, &key);
    int fd;

    *again = false;
    if (r == CLAIM_OK) {
        r = open_key(s, &key, flags, c, &fd, &st);
        *again = r == CLAIM_GONE;
    }
    if (r != CLAIM_OK)
        return r;
    key.st = st;
    if (still_there(s, &key, &st))
        r = take_stock(s, &key, fd, &st, flags, c);
    else
        *again = true;
    if (r == CLAIM_OK && !*again && !(flags & CLAIM_UNLOCKED))
        c->lock = fd;
    else
        close(fd);
    return r;
}

static bool id_is_fine(const struct entry *key)
{
    return key->id_len > 0 && key->id_len <= NAME_MAX - 2 && !memchr(key->id, '/', key->id_len) && !memchr(key->id, '\0', key->id_len);
}

static enum claim_result claim(struct spool *sp, const struct ref *ref, dev_t dev, ino_t ino, unsigned flags, struct claim *c)
{
    struct search s = { .sp = sp };
    enum claim_result r = CLAIM_BUSY;
    bool again = true;
    int error;

    *c = (struct claim){ .lock = -1, .lock2 = -1 };
    if (ref->count == 0 || !id_is_fine(&ref->entries[0]))
        return claim_answer(c, CLAIM_REFUSED, "its name is no message's");
    s.id = (struct lq_str){ ref->entries[0].id, ref->entries[0].id_len };
    error = sendmail_open_xf(sp);
    if (error)
        return claim_answer(c, CLAIM_REFUSED, "the queue directories cannot be read: %s", error_text(error));
    for (int i = 0; i < TRIES && again; i++)
        r = claim_once(&s, ref, flags, c, &again);
    if (again)
        return claim_answer(c, CLAIM_BUSY, "it is being delivered");
    if (r == CLAIM_OK)
        r = compare(c, dev, ino);
    if (r != CLAIM_OK)
        claim_done(c);
    return r;
}

/* --- hold and release --- */

/* The other name of the control file: sendmail never looks at an hf, and runs no qf with a q record. */
static void move_to(const struct claim *c, enum sendmail_role role, struct held *out)
{
    const struct piece *key = &c->parts[0];

    if (key->role == role)
        return;
    out->moved = true;
    out->dir = key->dir;
    snprintf(out->name, sizeof(out->name), "%cf%.*s", letters[role], NAME_MAX - 2, key->name + 2);
}

/*
 * Held: q first, then the name, so that it never runs; released: the name first. In between it is a qf with q, which sendmail makes an hf of,
 * so a message is held or waiting whatever crashes.
 */
static enum hold_result hold(struct spool *sp, const struct claim *c, struct bytes key, bool on, const char *reason, int64_t now, struct held *out)
{
    unsigned role = c->parts[0].role;

    (void)sp;
    (void)now;
    *out = (struct held){ .move_first = !on };
    if (role != ROLE_QF && role != ROLE_HF)
        return hold_answer(out, HOLD_REFUSED, "sendmail set its control file aside");
    switch (sendmail_quarantine(key, on, reason, &out->bytes)) {
    case QUARANTINE_CHANGED:
        out->rewritten = true;
        break;
    case QUARANTINE_SAME:
        if (role == (on ? ROLE_HF : ROLE_QF))
            return hold_answer(out, HOLD_ALREADY, on ? "it is held already" : "it is not held");
        break;
    case QUARANTINE_TOO_OLD:
        return hold_answer(out, HOLD_REFUSED, "its control file is of a sendmail before 8.13, which knows no quarantine");
    case QUARANTINE_DAMAGED:
        return hold_answer(out, HOLD_REFUSED, "its control file has no sender or no terminator");
    }
    if (out->bytes.failed)
        return HOLD_NO_MEMORY;
    move_to(c, on ? ROLE_HF : ROLE_QF, out);
    return HOLD_DO;
}

/* --- coming back --- */

static bool vacant(struct spool *sp, const char *id, char why[256])
{
    struct search s = { .sp = sp, .id = { id, strlen(id) } };
    char path[128];
    int error;

    if (s.id.n == 0 || s.id.n > NAME_MAX - 2 || strchr(id, '/')) {
        snprintf(why, 256, "its name is no message's");
        return false;
    }
    error = sendmail_open_xf(sp);
    if (error == 0) {
        search(&s, ROLE_QF, ROLE_DF);
        error = s.error;
    }
    if (error) {
        snprintf(why, 256, "the queue directories cannot be read: %s", error_text(error));
        return false;
    }
    if (s.n > 0)
        snprintf(why, 256, "%s exists", path_of(&s, s.found[0].dir, s.found[0].role, path));
    return s.n == 0;
}

/* The home of a directory, by its path: without qf, df or xf at its end. */
static size_t home_length(const char *path)
{
    static const char *const types[] = { "qf", "df", "xf" };
    const char *slash = strrchr(path, '/'), *last = slash ? slash + 1 : path;

    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        if (strcmp(last, types[i]) == 0)
            return slash ? (size_t)(slash - path) : 0;
    return strlen(path);
}

static const struct sendmail_home *home_at(const struct sendmail_places *own, const char *path, size_t n)
{
    for (size_t i = 0; i < own->count; i++)
        if (strncmp(own->homes[i].path, path, n) == 0 && own->homes[i].path[n] == '\0')
            return &own->homes[own->homes[i].real];
    return NULL;
}

/* Where sendmail would look today for a file that was in dir_path: sub-directories may have come or gone meanwhile. */
static bool todays_dir(struct spool *sp, unsigned role, const char *dir_path, size_t *dir)
{
    const struct sendmail_home *home = home_at(sendmail_places(sp), dir_path, home_length(dir_path));

    if (!home || !home->has[KIND_HOME])
        return false;
    *dir = sendmail_dir_for(home, role);
    return true;
}

static bool place(struct spool *sp, const struct piece *part, const char *dir_path, char dir[256], char name[NAME_MAX + 1], char why[256])
{
    int error = sendmail_open_xf(sp);
    size_t index;

    if (error == 0 && spool_dir(sp, dir_path, &index) != 0 && !todays_dir(sp, part->role, dir_path, &index))
        error = ENOENT;
    if (error == 0 && strlen(sp->dirs[index].path) >= 256)
        error = ENAMETOOLONG;
    if (error) {
        snprintf(why, 256, "queue directory %.100s: %s", *dir_path ? dir_path : ".", error_text(error));
        return false;
    }
    strcpy(dir, sp->dirs[index].path);
    snprintf(name, NAME_MAX + 1, "%s", part->name);
    return true;
}

static int lock_part(const struct piece *part, int fd)
{
    return part->role <= ROLE_TF ? lock_both(fd) : 0;
}

/* "5 days", "90 minutes": in the largest unit that leaves nothing over. */
static void tell_time(int64_t seconds, char out[32])
{
    static const struct {
        int64_t n;
        const char *name;
    } units[] = { { 86400, "day" }, { 3600, "hour" }, { 60, "minute" }, { 1, "second" } };
    size_t i = 0;

    while (seconds % units[i].n != 0)
        i++;
    seconds /= units[i].n;
    snprintf(out, 32, "%" PRId64 " %s%s", seconds, units[i].name, seconds == 1 ? "" : "s");
}

static bool prospect(const struct spool *sp, const struct lq_record *r, int64_t now, char out[256])
{
    const struct sendmail_places *own = sendmail_places(sp);
    int64_t limit = own && own->configured ? own->cf.queue_return : SENDMAIL_QUEUE_RETURN, arrival;
    const char *held = r->state == STATE_HELD ? "once released, it " : "it ";
    char text[32];

    if (!lq_record_number(r, LQ_ARRIVAL_TIME, &arrival) || limit == SENDMAIL_NEVER || now < arrival || now - arrival < limit)
        return false;
    tell_time(limit, text);
    snprintf(out, 256, "%swill bounce at its first failure: it is older than Timeout.queuereturn, %s%s", held, text,
             own && own->configured ? "" : " unless sendmail.cf says otherwise");
    return true;
}

/* The files of one queue have several owners, so only root can do everything; else who owns the directory, with what he may. */
static int owner(const struct spool *sp, uid_t *uid, gid_t *gid)
{
    struct stat st;

    if (fstat(sp->fd, &st) < 0)
        return errno;
    if (geteuid() != 0 && st.st_uid != geteuid())
        return EACCES;
    *uid = geteuid();
    *gid = st.st_gid;
    return 0;
}

const struct lq_actor sendmail_actor = {
    .modes = 0664,
    .sync_after_key = true,
    .owner = owner,
    .claim = claim,
    .hold = hold,
    .vacant = vacant,
    .place = place,
    .lock = lock_part,
    .prospect = prospect,
    .bouncer = &sendmail_bouncer,
};
