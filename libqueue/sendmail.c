/*
 * Sendmail queues: which directories and files there are, what belongs together, in which state a message is.
 *
 * Leaves the bytes of control files to sendmail_parse.c and configuration to sendmail_cf.c. Facts: Sendmail 8.17 and 8.18 (queue.c),
 * the Operations Guide; layouts since 8.10 (several queue directories; qf, df and xf below them).
 *
 * A queue directory ("home" here) is the spool root or a directory up to two levels below it. Data files live in its
 * df/ if there is one, all other types in its qf/ if there is one, else in itself; each of these is independent.
 */
#include "sendmail.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backend.h"

enum role { ROLE_QF, ROLE_HF, ROLE_LOST, ROLE_TF, ROLE_OLD_TF, ROLE_DF, ROLE_COUNT };      /* by rank: the first is the key */

static const char role_letters[ROLE_COUNT] = {
    [ROLE_QF] = 'q', [ROLE_HF] = 'h', [ROLE_LOST] = 'Q', [ROLE_TF] = 't', [ROLE_OLD_TF] = 'T', [ROLE_DF] = 'd',
};

enum kind { KIND_HOME, KIND_QF, KIND_DF, KIND_COUNT };     /* tag of a directory: home * KIND_COUNT + kind */

enum {
    ID_MAX = 18,                /* sendmail refuses names of 21 bytes and more (8.17) */
    DEPTH_MAX = 2,              /* of a home below the root: sub/q1 */
    HOMES_MAX = 1000,           /* each is kept open */
    DAY = 24 * 60 * 60,
    SIGNS_MAX = 100,            /* enough to recognise a spool */
    LOOK_MAX = 1000             /* names of a directory, for that */
};

struct home {
    char *path;                 /* below the root, "" is the root */
    unsigned depth;
    bool linked;                /* found as a symlink */
    bool walked;
    size_t real;                /* index of this home, or of the one that is the same directory */
    dev_t dev;
    ino_t ino;
    size_t dirs[KIND_COUNT];    /* indexes into spool->dirs */
    bool has[KIND_COUNT];
};

struct own {
    struct home *homes;
    size_t count, cap;
    size_t readable;            /* homes below the root */
    size_t files;               /* that were named */
    bool too_many;
    struct sendmail_cf cf;
    bool configured;            /* cf is about this spool */
};

static const char *const usual_dirs[] = {
    "/var/spool/mqueue", "/var/spool/mqueue-client", "/var/spool/clientmqueue", "/private/var/spool/mqueue", NULL
};

/* --- names --- */

static bool role_of(const char *name, size_t len, enum role *role)
{
    if (len < 3 || name[1] != 'f')
        return false;
    for (enum role r = 0; r < ROLE_COUNT; r++) {
        if (name[0] == role_letters[r]) {
            *role = r;
            return true;
        }
    }
    return false;
}

static bool alnum(const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)p[i], l = ascii_lower(c);

        if (!(c >= '0' && c <= '9') && !(l >= 'a' && l <= 'z'))
            return false;
    }
    return true;
}

/* As every release made them: letters and digits, 8 to 18, a process id of five digits or more at the end. */
static bool usual_id(const char *id, size_t n)
{
    if (n < 8 || n > ID_MAX || !alnum(id, n))
        return false;
    for (size_t i = n - 5; i < n; i++)
        if (id[i] < '0' || id[i] > '9')
            return false;
    return true;
}

static bool is_type_dir(const char *name)
{
    return strcmp(name, "qf") == 0 || strcmp(name, "df") == 0 || strcmp(name, "xf") == 0;
}

/* A directory that may hold messages: not hidden, not the file system's own. */
static bool may_be_home(const char *name)
{
    return name[0] != '.' && strcmp(name, "lost+found") != 0;
}

/* Links count as what they lead to; file.c decides later whether to follow one. */
static bool is_dir(int dirfd, const char *name, unsigned char type)
{
    struct stat st;

    if (type == DT_DIR)
        return true;
    if (type != DT_LNK && type != DT_UNKNOWN)
        return false;
    return fstatat(dirfd, name, &st, 0) == 0 && S_ISDIR(st.st_mode);
}

/* --- detect --- */

struct signs {
    int dirfd;
    unsigned depth;
    unsigned found, type_dirs;
    unsigned names, opened;
};

static unsigned signs_in(int dirfd, unsigned depth);

/* A file that only Sendmail's queue would have: a usual id, or, named by hand, at least the type of a waiting message. */
static bool is_sign(const char *name, size_t len)
{
    enum role role;

    if (!role_of(name, len, &role))
        return false;
    return usual_id(name + 2, len - 2) || (role == ROLE_QF && len >= 6 && len <= ID_MAX + 2 && alnum(name + 2, len - 2));
}

/* Any directory may be a home at the first level; deeper only names that Sendmail's own configurations use are worth the time. */
static bool worth_opening(const struct signs *s, const char *name)
{
    if (is_type_dir(name))
        return s->depth <= DEPTH_MAX;
    return s->depth < DEPTH_MAX && may_be_home(name) && (s->depth == 0 || name[0] == 'q');
}

static int look_at(void *ctx, const char *name, size_t len, unsigned char type)
{
    struct signs *s = ctx;
    int fd;

    if (type != DT_REG && is_dir(s->dirfd, name, type)) {
        s->type_dirs += is_type_dir(name);
        if (worth_opening(s, name) && s->opened++ < SIGNS_MAX && file_open_dir(s->dirfd, name, &fd) == FILE_OK) {
            s->found += signs_in(fd, is_type_dir(name) ? DEPTH_MAX + 1 : s->depth + 1);
            close(fd);
        }
    } else {
        s->found += is_sign(name, len);
    }
    return s->found >= SIGNS_MAX || ++s->names >= LOOK_MAX;
}

/* The depth is bounded by DEPTH_MAX and one type directory, whatever is on disk. */
static unsigned signs_in(int dirfd, unsigned depth)
{
    struct signs s = { .dirfd = dirfd, .depth = depth };

    if (depth <= DEPTH_MAX + 1)
        file_each(dirfd, look_at, &s);
    return s.found + (s.type_dirs >= 2 ? s.type_dirs : 0);
}

static unsigned detect(int rootfd)
{
    return signs_in(rootfd, 0);
}

/* --- open --- */

/* sendmail.cf speaks about this spool when its base directory is the same directory. */
static bool cf_is_about(const struct sendmail_cf *cf, int fd)
{
    struct stat here, there;

    return fstat(fd, &here) == 0 && stat(cf->base, &there) == 0 && here.st_dev == there.st_dev &&
           here.st_ino == there.st_ino;
}

static void read_configuration(struct spool *sp, struct own *own, const char *const *path)
{
    for (; *path && !own->configured; path++) {
        if (!sendmail_cf_read(&own->cf, *path))
            continue;
        own->configured = cf_is_about(&own->cf, sp->fd);
        if (!own->configured)
            sendmail_cf_done(&own->cf);
    }
}

int sendmail_open(struct spool *sp, const char *const *cf_files, struct lq_error *err)
{
    struct own *own = calloc(1, sizeof(*own));

    if (!own)
        return error_memory(err);
    if (sp->live)
        read_configuration(sp, own, cf_files);
    sp->own = own;
    return LQ_OK;
}

static int open_spool(struct spool *sp, struct lq_error *err)
{
    return sendmail_open(sp, sendmail_cf_files, err);
}

static void close_spool(struct spool *sp)
{
    struct own *own = sp->own;

    if (!own)
        return;
    for (size_t i = 0; i < own->count; i++)
        free(own->homes[i].path);
    free(own->homes);
    sendmail_cf_done(&own->cf);
    free(own);
    sp->own = NULL;
}

/* --- list --- */

struct walk {
    struct spool *sp;
    size_t home;
    size_t dir;
    enum kind kind;
    unsigned type_dirs;         /* seen in this home: 1 << kind */
    bool failed;
};

static struct own *own_of(const struct spool *sp)
{
    return sp->own;
}

static bool add_home(struct own *own, const char *parent, const char *name, unsigned depth, bool linked)
{
    char *path = NULL;

    if (own->count == own->cap) {
        size_t cap = own->cap ? own->cap * 2 : 16;
        struct home *homes = realloc(own->homes, cap * sizeof(*homes));

        if (!homes)
            return false;
        own->homes = homes;
        own->cap = cap;
    }
    if (asprintf(&path, "%s%s%s", parent, *parent ? "/" : "", name) < 0)
        return false;
    own->homes[own->count] = (struct home){ .path = path, .depth = depth, .linked = linked, .real = own->count };
    own->count++;
    return true;
}

static bool is_link(int dirfd, const char *name, unsigned char type)
{
    struct stat st;

    return type == DT_LNK ||
           (type == DT_UNKNOWN && fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(st.st_mode));
}

static bool see_home(struct walk *w, const char *name, unsigned char type)
{
    struct own *own = own_of(w->sp);
    const struct home *home = &own->homes[w->home];

    if (home->depth >= DEPTH_MAX || !may_be_home(name))
        return true;
    if (own->count < HOMES_MAX)
        return add_home(own, home->path, name, home->depth + 1, is_link(w->sp->dirs[w->dir].fd, name, type));
    if (!own->too_many)
        spool_trouble(w->sp, "%s: more than %d directories; the others were not looked at", w->sp->root, (int)HOMES_MAX);
    own->too_many = true;
    return true;
}

/* A directory in a directory; false only without memory. */
static bool see_dir(struct walk *w, const char *name, unsigned char type)
{
    if (w->kind != KIND_HOME)
        return true;
    if (!is_type_dir(name))
        return see_home(w, name, type);
    if (name[0] == 'q')
        w->type_dirs |= 1u << KIND_QF;
    else if (name[0] == 'd')
        w->type_dirs |= 1u << KIND_DF;
    return true;
}

static int see(void *ctx, const char *name, size_t len, unsigned char type)
{
    struct walk *w = ctx;
    enum role role = ROLE_QF;
    bool ours = role_of(name, len, &role) && len - 2 <= UINT8_MAX;

    /* A directory with the name of a message's file is no directory of the configuration: it is named as what it is. */
    if (type != DT_REG && is_dir(w->sp->dirs[w->dir].fd, name, type)) {
        w->failed = !see_dir(w, name, type);
        ours = ours && (w->kind != KIND_HOME || usual_id(name + 2, len - 2));
    }
    if (!w->failed && ours) {
        own_of(w->sp)->files++;
        w->failed = !listing_add(w->sp, w->dir, name, 2, len - 2, (uint8_t)role);
    }
    return w->failed;
}

static const char *group_name(const struct own *own, const char *home)
{
    return own->configured ? sendmail_cf_group(&own->cf, home) : "mqueue";
}

/* One directory under two names is walked once: messages must not count twice. */
static bool walked_before(struct own *own, struct home *home, int fd)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return false;
    home->dev = st.st_dev;
    home->ino = st.st_ino;
    for (size_t i = 0; i < own->count; i++) {
        const struct home *other = &own->homes[i];

        if (other != home && other->walked && other->dev == home->dev && other->ino == home->ino) {
            home->real = other->real;
            return true;
        }
    }
    return false;
}

static enum file_result walk_dir(struct walk *w, const char *path, enum kind kind)
{
    struct own *own = own_of(w->sp);
    struct home *home = &own->homes[w->home];
    enum file_result r;

    w->kind = kind;
    r = spool_add_dir(w->sp, path, group_name(own, home->path), (unsigned)(w->home * KIND_COUNT + kind), &w->dir);
    if (r != FILE_OK)
        return r;
    if (kind == KIND_HOME && walked_before(own, home, w->sp->dirs[w->dir].fd))
        return FILE_OK;
    home->dirs[kind] = w->dir;
    home->has[kind] = true;
    r = file_each(w->sp->dirs[w->dir].fd, see, w);
    if (r != FILE_OK)
        spool_trouble(w->sp, "cannot read directory %s/%s: %s", w->sp->root, path, file_result_text(r));
    return r;
}

static enum file_result walk_home(struct spool *sp, size_t i, bool *failed)
{
    static const struct { const char *name; enum kind kind; } types[] = { { "qf", KIND_QF }, { "df", KIND_DF } };
    struct walk w = { .sp = sp, .home = i };
    enum file_result r;

    own_of(sp)->homes[i].walked = true;
    r = walk_dir(&w, own_of(sp)->homes[i].path, KIND_HOME);
    for (size_t t = 0; t < sizeof(types) / sizeof(types[0]) && r == FILE_OK && !w.failed; t++) {
        const char *home = own_of(sp)->homes[i].path;
        char *path;

        if (!(w.type_dirs & 1u << types[t].kind))
            continue;
        if (asprintf(&path, "%s%s%s", home, *home ? "/" : "", types[t].name) < 0) {
            w.failed = true;
            break;
        }
        walk_dir(&w, path, types[t].kind);
        free(path);
    }
    *failed = w.failed;
    return r;
}

/* Directories before links, then by name: which of two names for one directory counts must not depend on the disk. */
static bool walk_sooner(const struct home *a, const struct home *b)
{
    return a->linked != b->linked ? b->linked : strcmp(a->path, b->path) < 0;
}

static struct home *next_home(const struct own *own)
{
    struct home *next = NULL;

    for (size_t i = 0; i < own->count; i++)
        if (!own->homes[i].walked && (!next || walk_sooner(&own->homes[i], next)))
            next = &own->homes[i];
    return next;
}

/* Who may read what we may not: the owner of a directory below the root. */
static int nothing_readable(struct spool *sp, const char *path, struct lq_error *err)
{
    struct stat st;
    const struct passwd *owner = fstatat(sp->fd, *path ? path : ".", &st, 0) == 0 ? getpwuid(st.st_uid) : NULL;

    if (owner && owner->pw_uid == 0)
        owner = NULL;
    return error_set(err, LQ_EACCES, "%s%s%s: no right to read it; become root%s%s", sp->root, *path ? "/" : "", path,
                     owner ? " or " : "", owner ? owner->pw_name : "");
}

static int list(struct spool *sp, unsigned sections, struct lq_error *err)
{
    struct own *own = sp->own;
    enum file_result r;
    struct home *home;
    size_t denied = 0;
    bool failed = false;

    (void)sections;
    if (!add_home(own, "", "", 0, false))
        return error_memory(err);
    r = walk_home(sp, 0, &failed);
    if (r == FILE_DENIED)
        return nothing_readable(sp, "", err);
    if (r != FILE_OK)
        return error_set(err, LQ_EIO, "%s: %s", sp->root, file_result_text(r));
    while (!failed && (home = next_home(own)) != NULL) {
        size_t i = (size_t)(home - own->homes);

        r = walk_home(sp, i, &failed);
        own->readable += r == FILE_OK;
        denied = r == FILE_DENIED ? i : denied;
    }
    if (failed)
        return error_memory(err);
    if (denied && own->readable == 0 && own->files == 0)
        return nothing_readable(sp, own->homes[denied].path, err);
    return LQ_OK;
}

/* --- group --- */

static size_t home_index(const struct spool *sp, const struct entry *e)
{
    return sp->dirs[e->dir].tag / KIND_COUNT;
}

static enum kind kind_of(const struct spool *sp, const struct entry *e)
{
    return (enum kind)(sp->dirs[e->dir].tag % KIND_COUNT);
}

static bool is_control(const struct entry *e)
{
    return e->role <= ROLE_LOST;
}

/* Beside a qf/ or df/ where it should be, so that sendmail does not see it. */
static bool misplaced(const struct spool *sp, const struct entry *e)
{
    const struct home *home = &own_of(sp)->homes[home_index(sp, e)];
    enum kind kind = e->role == ROLE_DF ? KIND_DF : KIND_QF;

    return kind_of(sp, e) != kind && (home->has[kind] || kind_of(sp, e) != KIND_HOME);
}

static unsigned weight(const struct spool *sp, const struct entry *e)
{
    return e->role * 2u + misplaced(sp, e);
}

/* Sort by role, keeping the order of places; runs are short. */
static void rank(const struct spool *sp, struct entry *e, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        struct entry moved = e[i];
        size_t j = i;

        for (; j > 0 && weight(sp, &e[j - 1]) > weight(sp, &moved); j--)
            e[j] = e[j - 1];
        e[j] = moved;
    }
}

/* Bring the entries of `home` to the front of e[0..n); answers how many there are. */
static size_t gather_home(const struct spool *sp, struct entry *e, size_t n, size_t home)
{
    size_t k = 0;

    for (size_t i = 0; i < n; i++) {
        struct entry found = e[i];

        if (home_index(sp, &found) != home)
            continue;
        memmove(e + k + 1, e + k, (i - k) * sizeof(*e));
        e[k++] = found;
    }
    return k;
}

static bool one_home(const struct spool *sp, const struct entry *e, size_t n)
{
    for (size_t i = 1; i < n; i++)
        if (home_index(sp, &e[i]) != home_index(sp, &e[0]))
            return false;
    return true;
}

/* The first entry of e[0..n) that can lead a message; n when there is none. A control file before what waits for one. */
static size_t leader(const struct entry *e, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (is_control(&e[i]))
            return i;
    return n;
}

static bool has_df(const struct entry *e, size_t n)
{
    return n > 0 && e[n - 1].role == ROLE_DF;
}

/* Put the run e[0..a) behind the run e[a..a+b). */
static void rotate(struct entry *e, size_t a, size_t b)
{
    for (size_t i = 0; i < b; i++) {
        struct entry moved = e[a + i];

        memmove(e + i + 1, e + i, a * sizeof(*e));
        e[i] = moved;
    }
}

/*
 * Control files of one id in several homes are messages of their own; a body elsewhere (named by the d record) goes to one that
 * has none at home, and that one comes last.
 */
static size_t group_homes(struct spool *sp, struct entry *e, size_t n, uint32_t *counts)
{
    size_t messages = 0, at = 0, i;

    while ((i = leader(e + at, n - at)) < n - at) {
        counts[messages] = (uint32_t)gather_home(sp, e + at, n - at, home_index(sp, &e[at + i]));
        rank(sp, e + at, counts[messages]);
        at += counts[messages];
        if (messages > 0 && has_df(e + at - counts[messages], counts[messages]) &&
            !has_df(e + at - counts[messages] - counts[messages - 1], counts[messages - 1])) {
            uint32_t a = counts[messages - 1], b = counts[messages];

            rotate(e + at - a - b, a, b);
            counts[messages - 1] = b;
            counts[messages] = a;
        }
        messages++;
    }
    if (messages > 0) {
        counts[messages - 1] += (uint32_t)(n - at);
        rank(sp, e + n - counts[messages - 1], counts[messages - 1]);
        return messages;
    }
    for (; at < n; at += counts[messages++]) {
        counts[messages] = (uint32_t)gather_home(sp, e + at, n - at, home_index(sp, &e[at]));
        rank(sp, e + at, counts[messages]);
    }
    return messages;
}

static size_t group(struct spool *sp, struct entry *e, size_t n, uint32_t *counts)
{
    if (!one_home(sp, e, n))
        return group_homes(sp, e, n, counts);
    rank(sp, e, n);
    counts[0] = (uint32_t)n;
    return 1;
}

/* --- read: the control file --- */

enum note { NOTE_RECEIVING, NOTE_DEV, NOTE_INO, NOTE_HAS_DF };     /* in the record's scratch */

static bool wants(const struct reading *rd, enum lq_field f)
{
    return rd->want & LQ_FIELD_BIT(f);
}

static void add_file(struct reading *rd, const struct entry *e)
{
    if (wants(rd, LQ_FILES))
        record_add_file(rd->rec, rd->spool->dirs[e->dir].path, e->name);
}

static bool day_old(const struct spool *sp, const struct stat *st)
{
    return sp->clock - st->st_mtim.tv_sec > DAY;
}

/* Being written, unless nobody has done so for a day. */
static void set_receiving(struct reading *rd, const struct entry *e, const struct stat *st, bool locked)
{
    if (locked || !day_old(rd->spool, st)) {
        rd->rec->scratch[NOTE_RECEIVING] = true;
        record_set_state(rd->rec, STATE_RECEIVING);
        return;
    }
    record_set_state(rd->rec, STATE_INCOMPLETE);
    record_problem(rd->rec, "%s: %s; nobody has written to it for a day", reading_path(rd, e),
                   st->st_size == 0 ? "empty" : "no terminator: it was cut, or never finished");
}

/* Other control files and leftovers of the same id. */
static void report_others(struct reading *rd)
{
    const struct entry *key = &rd->ref->entries[0], *e;
    struct stat st;

    for (uint32_t i = 1; i < rd->ref->count; i++) {
        e = &rd->ref->entries[i];
        if (e->role == ROLE_DF || reading_stat(rd, e, &st) != FILE_OK)
            continue;
        add_file(rd, e);
        if (is_control(e))
            record_problem(rd->rec, "%s: a second control file of this message; shown is %s, which sendmail would use",
                           reading_path(rd, e), key->name);
        else if (day_old(rd->spool, &st) && !spool_locked(rd->spool, st.st_dev, st.st_ino))
            record_problem(rd->rec, "%s: a temporary control file that was left behind", reading_path(rd, e));
    }
}

static void check_place(struct reading *rd, const struct entry *e)
{
    if (misplaced(rd->spool, e))
        record_problem(rd->rec, "%s: not in the %s directory, where sendmail looks for it", reading_path(rd, e),
                       e->role == ROLE_DF ? "df" : "qf");
    else if (e->id_len > ID_MAX)
        record_problem(rd->rec, "%s: the name is longer than sendmail accepts", reading_path(rd, e));
}

/* Modes that make sendmail set a control file aside (8.17); they are lost on many copies, so only a live spool is asked. */
static void check_mode(struct reading *rd, const struct entry *e, const struct stat *st)
{
    const struct own *own = own_of(rd->spool);
    mode_t refused = S_IWOTH;

    if (!rd->spool->live)
        return;
    if (own->configured && !(own->cf.file_mode & S_IWGRP))
        refused |= S_IWGRP;
    if (!(st->st_mode & refused))
        return;
    record_set_state(rd->rec, STATE_CORRUPT);
    record_problem(rd->rec, "%s: mode %04o lets others write; sendmail would set it aside as Qf%.*s", reading_path(rd, e),
                   (unsigned)(st->st_mode & 07777), (int)e->id_len, e->id);
}

static void set_states(struct reading *rd, const struct entry *key, const struct stat *st, const struct sendmail_control *c)
{
    struct lq_record *r = rd->rec;
    bool locked = spool_locked(rd->spool, st->st_dev, st->st_ino);

    if (key->role == ROLE_LOST) {
        record_set_state(r, STATE_CORRUPT);
        record_problem(r, "%s: sendmail set this control file aside", reading_path(rd, key));
    } else if (c->refused || key->id_len > ID_MAX) {
        record_set_state(r, STATE_CORRUPT);
    } else if (key->role == ROLE_TF || key->role == ROLE_OLD_TF) {
        record_set_state(r, STATE_INCOMPLETE);
        record_problem(r, "%s: only this temporary control file is left", reading_path(rd, key));
    } else if (rd->src.error) {
        record_set_state(r, STATE_INCOMPLETE);
    } else if (!c->complete) {
        set_receiving(rd, key, st, locked);
    }
    if (locked)
        record_set_state(r, STATE_ACTIVE);
    if (key->role == ROLE_HF || c->quarantined)
        record_set_state(r, STATE_HELD);
    record_set_state(r, c->attempts > 0 ? STATE_DEFERRED : STATE_INCOMING);
}

/* The control file could not be read: what its name alone says. */
static void set_state_by_name(struct reading *rd, const struct entry *key, enum file_result result)
{
    record_broken(rd->rec, SEC_CONTROL);
    if (key->role == ROLE_LOST || result == FILE_ODD)
        record_set_state(rd->rec, STATE_CORRUPT);
}

static void read_control(struct reading *rd)
{
    const struct entry *key = &rd->ref->entries[0];
    struct lq_record *r = rd->rec;
    struct sendmail_control c;
    struct sendmail_input in = { .src = &rd->src, .want = rd->want, .headers = &rd->headers, .tmp = &rd->tmp, .tmp2 = &rd->tmp2 };
    struct stat st;
    char *path;
    enum file_result result = reading_open(rd, key, &st);

    if (result == FILE_GONE) {
        rd->vanished = true;
        return;
    }
    add_file(rd, key);
    if (result != FILE_OK) {
        set_state_by_name(rd, key, result);
        return;
    }
    path = strdup(reading_path(rd, key));
    in.path = path ? path : key->name;
    sendmail_parse(r, &in, &c);
    free(path);
    r->scratch_text[0] = c.df_dir;
    if (rd->src.error)
        record_problem(r, "%s: %s", reading_path(rd, key), strerror(rd->src.error));
    check_place(rd, key);
    check_mode(rd, key, &st);
    set_states(rd, key, &st, &c);
    report_others(rd);
}

/* A body without control file: being received for as long as its DATA takes, or left over from long ago. */
static void read_orphan(struct reading *rd)
{
    const struct entry *key = &rd->ref->entries[0];
    struct lq_record *r = rd->rec;
    struct stat st;
    enum file_result result = reading_stat(rd, key, &st);

    record_broken(r, SEC_CONTROL);
    if (result == FILE_GONE) {
        rd->vanished = true;
        return;
    }
    add_file(rd, key);
    if (result == FILE_OK && !day_old(rd->spool, &st)) {
        r->scratch[NOTE_RECEIVING] = true;
        record_set_state(r, STATE_RECEIVING);
        return;
    }
    record_set_state(r, STATE_INCOMPLETE);
    if (result == FILE_OK)
        record_problem(r, "%s: a body without control file, more than a day old", reading_path(rd, key));
}

/* --- read: the body's size and identity --- */

/* Where sendmail would look for the body; false when d names no directory of this spool. */
static bool df_place(const struct reading *rd, size_t *dir)
{
    const struct own *own = own_of(rd->spool);
    size_t home = home_index(rd->spool, &rd->ref->entries[0]);
    struct lq_str d = rd->rec->scratch_text[0];
    const struct home *h;

    if (d.p) {
        const char *want = strcmp(d.p, ".") == 0 ? "" : d.p;

        for (home = 0; home < own->count; home++)
            if (strcmp(own->homes[home].path, want) == 0)
                break;
        if (home == own->count)
            return false;
    }
    h = &own->homes[own->homes[home].real];
    *dir = h->dirs[h->has[KIND_DF] ? KIND_DF : KIND_HOME];
    return h->has[KIND_HOME];
}

/* A body that list() did not meet, for example because the message was just arriving, becomes part of the message now. */
static const struct entry *adopt_df(struct reading *rd, size_t dir)
{
    const struct entry *key = &rd->ref->entries[0];
    struct arena *a = &rd->rec->arena;
    uint32_t n = rd->ref->count;
    struct entry *entries = arena_alloc(a, (n + 1) * sizeof(*entries));
    struct ref *ref = arena_alloc(a, sizeof(*ref));
    char *name = arena_alloc(a, key->id_len + 3u);

    if (!entries || !ref || !name)
        return NULL;
    memcpy(name, "df", 2);
    memcpy(name + 2, key->id, key->id_len);
    name[key->id_len + 2] = '\0';
    memcpy(entries, rd->ref->entries, n * sizeof(*entries));
    entries[n] = (struct entry){ .name = name, .id = name + 2, .dir = (uint16_t)dir, .id_len = key->id_len, .role = ROLE_DF };
    *ref = (struct ref){ entries, n + 1, rd->ref->twin };
    rd->ref = ref;
    return &entries[n];
}

static const struct entry *find_df(const struct reading *rd, size_t dir)
{
    for (uint32_t i = 0; i < rd->ref->count; i++)
        if (rd->ref->entries[i].role == ROLE_DF && (dir == SIZE_MAX || rd->ref->entries[i].dir == dir))
            return &rd->ref->entries[i];
    return NULL;
}

static enum file_result stat_df(struct reading *rd, size_t dir, const struct entry **df, struct stat *st)
{
    const struct ref *before = rd->ref;
    enum file_result r;

    *df = find_df(rd, dir);
    if (!*df)
        *df = adopt_df(rd, dir);
    r = *df ? reading_stat(rd, *df, st) : FILE_FAILED;
    if (r == FILE_GONE)
        rd->ref = before;
    return r;
}

static void note_df(struct reading *rd, const struct entry *df, const struct stat *st)
{
    struct lq_record *r = rd->rec;

    record_set_number(r, LQ_MESSAGE_SIZE, st->st_size);
    if (st->st_nlink > 1)
        record_flag(r, FLAG_SHARED_BODY);
    r->scratch[NOTE_DEV] = (uint64_t)st->st_dev;
    r->scratch[NOTE_INO] = (uint64_t)st->st_ino;
    r->scratch[NOTE_HAS_DF] = true;
    if (df != &rd->ref->entries[0])
        add_file(rd, df);
}

/* The body is not where it should be. Sendmail takes it away before the control file, so the message may just have been finished. */
static void missing_df(struct reading *rd, const char *where)
{
    const struct entry *key = &rd->ref->entries[0], *elsewhere = find_df(rd, SIZE_MAX);
    struct lq_record *r = rd->rec;
    struct stat st;

    if (elsewhere && reading_stat(rd, elsewhere, &st) == FILE_OK) {
        record_set_state(r, STATE_INCOMPLETE);
        record_problem(r, "%s: the body is here, but sendmail looks for it in %s", reading_path(rd, elsewhere), where);
        note_df(rd, elsewhere, &st);
        return;
    }
    record_broken(r, SEC_SIZE);
    if (r->scratch[NOTE_RECEIVING])
        return;
    if (file_stat(rd->spool->dirs[key->dir].fd, key->name, &st) == FILE_GONE) {
        rd->vanished = true;
        return;
    }
    record_set_state(r, STATE_INCOMPLETE);
    record_problem(r, "df%.*s is missing in %s; sendmail would send the message without its body", (int)key->id_len, key->id, where);
}

static void read_size(struct reading *rd)
{
    const struct entry *df;
    struct stat st;
    size_t dir;

    if (rd->ref->entries[0].role == ROLE_DF) {
        df = &rd->ref->entries[0];
        if (reading_stat(rd, df, &st) == FILE_OK)
            note_df(rd, df, &st);
        else
            record_broken(rd->rec, SEC_SIZE);
        return;
    }
    if (!df_place(rd, &dir)) {
        missing_df(rd, rd->rec->scratch_text[0].p);
        return;
    }
    switch (stat_df(rd, dir, &df, &st)) {
    case FILE_OK:
        note_df(rd, df, &st);
        check_place(rd, df);
        break;
    case FILE_GONE:
        missing_df(rd, *rd->spool->dirs[dir].path ? rd->spool->dirs[dir].path : "the spool directory itself");
        break;
    default:
        record_set_state(rd->rec, STATE_INCOMPLETE);
        record_broken(rd->rec, SEC_SIZE);
    }
}

/* Arrival and the inode of the body, which sendmail never rewrites (8.17). */
static void set_identity(struct reading *rd)
{
    struct lq_record *r = rd->rec;
    char text[80];
    int64_t arrival;
    int n;

    if (!r->scratch[NOTE_HAS_DF] || !lq_record_number(r, LQ_ARRIVAL_TIME, &arrival))
        return;
    n = snprintf(text, sizeof(text), "%lld.000000-%llx:%llu", (long long)arrival, (unsigned long long)r->scratch[NOTE_DEV],
                 (unsigned long long)r->scratch[NOTE_INO]);
    record_set_text(r, LQ_IDENTITY, text, (size_t)n);
}

static void read_message(struct reading *rd, unsigned sections)
{
    struct lq_record *r = rd->rec;

    if (sections & SEC_CONTROL) {
        /* A message that moved is read a second time into the same record. */
        r->recipients.n = r->recipients.counted = 0;
        memset(r->scratch, 0, sizeof(r->scratch));
        r->scratch_text[0] = (struct lq_str){ NULL, 0 };
        if (rd->ref->entries[0].role == ROLE_DF)
            read_orphan(rd);
        else
            read_control(rd);
    }
    if (sections & SEC_SIZE && !rd->vanished)
        read_size(rd);
    if (wants(rd, LQ_IDENTITY))
        set_identity(rd);
}

/* --- again --- */

static size_t look_for(struct reading *rd, enum role role, struct entry *out)
{
    const struct entry *key = &rd->ref->entries[0];
    char name[UINT8_MAX + 3];
    struct lq_str kept;
    struct stat st;

    snprintf(name, sizeof(name), "%cf%.*s", role_letters[role], (int)key->id_len, key->id);
    for (size_t i = 0; i < rd->spool->dir_count; i++) {
        const struct spool_dir *dir = &rd->spool->dirs[i];

        if ((dir->tag % KIND_COUNT == KIND_DF) != (role == ROLE_DF) && dir->tag % KIND_COUNT != KIND_HOME)
            continue;
        if (file_stat(dir->fd, name, &st) != FILE_OK)
            continue;
        kept = arena_copy(&rd->rec->arena, name, strlen(name));
        if (!kept.p)
            return 0;
        *out = (struct entry){ .name = kept.p, .id = kept.p + 2, .dir = (uint16_t)i, .id_len = key->id_len, .role = (uint8_t)role };
        return 1;
    }
    return 0;
}

/* Quarantined or released meanwhile (qf and hf), set aside (Qf), or the rewritten file of a changed type. */
static size_t again(struct reading *rd, struct entry *out, size_t max)
{
    size_t n = 0;

    for (enum role role = ROLE_QF; role <= ROLE_LOST && n < max; role++)
        n += look_for(rd, role, out + n);
    /* A body alone is no message here: sendmail and tools that delete take the control file or the body away last. */
    if (n > 0 && n < max)
        n += look_for(rd, ROLE_DF, out + n);
    return n;
}

/* --- body --- */

static int emit_file(struct reading *rd, const struct entry *df, body_fn *emit, void *ctx)
{
    const unsigned char *p;
    struct stat st;
    size_t got;
    int rc;

    if (reading_open(rd, df, &st) != FILE_OK)
        return 1;
    for (uint64_t off = 0; (p = source_at(&rd->src, off, SOURCE_VIEW_MAX, &got)) != NULL; off += got) {
        rc = emit(ctx, p, got);
        if (rc != 0)
            return rc;
    }
    return rd->src.error ? 1 : 0;
}

static int body(struct reading *rd, body_fn *emit, void *ctx)
{
    const struct entry *df;
    size_t dir;
    int rc = rd->headers.n > 0 ? emit(ctx, rd->headers.p, rd->headers.n) : 0;

    if (rc == 0)
        rc = emit(ctx, "\n", 1);
    if (rc != 0)
        return rc;
    df = df_place(rd, &dir) ? find_df(rd, dir) : NULL;
    if (!df)
        df = find_df(rd, SIZE_MAX);
    rc = df ? emit_file(rd, df, emit, ctx) : 1;
    if (rc == 0 && (rd->rec->broken & SEC_CONTROL))
        rc = 1;
    return rc;
}

const struct lq_backend sendmail_backend = {
    .name = "sendmail",
    .usual_dirs = usual_dirs,
    .detect = detect,
    .open = open_spool,
    .close = close_spool,
    .list = list,
    .group = group,
    .read = read_message,
    .again = again,
    .body = body,
};
