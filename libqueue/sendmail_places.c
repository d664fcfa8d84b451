/*
 * Places of a Sendmail queue: its directories in every layout since 8.10 (several of them; qf, df
 * and xf below each; queue groups), the files in them, and which of these belong together. Opens no
 * message. Facts: Sendmail 8.17 and 8.18 (queue.c, readcf.c).
 */
#include "sendmail_places.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

const char sendmail_role_letters[ROLE_COUNT] = {
    [ROLE_QF] = 'q', [ROLE_HF] = 'h',     [ROLE_LOST] = 'Q',
    [ROLE_TF] = 't', [ROLE_OLD_TF] = 'T', [ROLE_DF] = 'd',
};

enum {
    DEPTH_MAX = 2,              /* of a home below the root: sub/q1 */
    HOMES_MAX = 1000,           /* each is kept open */
    SIGNS_MAX = 100,            /* enough to recognise a spool */
    LOOK_MAX = 1000             /* names of a directory, for that */
};

/* --- names --- */

static bool role_of(const char *name, size_t len, enum sendmail_role *role)
{
    if (len < 3 || name[1] != 'f')
        return false;
    for (enum sendmail_role r = 0; r < ROLE_COUNT; r++) {
        if (name[0] == sendmail_role_letters[r]) {
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

/*
 * As every release made them: letters and digits, 8 to 18, a process id of five digits or more at
 * the end.
 */
static bool usual_id(const char *id, size_t n)
{
    if (n < 8 || n > SENDMAIL_ID_MAX || !alnum(id, n))
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

/*
 * A file that only Sendmail's queue would have: a usual id, or, named by hand, at least the type of
 * a waiting message.
 */
static bool is_sign(const char *name, size_t len)
{
    enum sendmail_role role;

    if (!role_of(name, len, &role))
        return false;
    return usual_id(name + 2, len - 2) ||
           (role == ROLE_QF && len >= 6 && len <= SENDMAIL_ID_MAX + 2 && alnum(name + 2, len - 2));
}

/*
 * Any directory may be a home at the first level; deeper only names that Sendmail's own
 * configurations use are worth the time.
 */
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
        if (worth_opening(s, name) && s->opened++ < SIGNS_MAX &&
            file_open_dir(s->dirfd, name, &fd) == FILE_OK) {
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

unsigned sendmail_detect(int rootfd)
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

static void read_configuration(struct spool *sp, struct sendmail_places *own,
                               const char *const *path)
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
    struct sendmail_places *own = calloc(1, sizeof(*own));

    if (!own)
        return error_memory(err);
    if (sp->live)
        read_configuration(sp, own, cf_files);
    sp->own = own;
    return LQ_OK;
}

void sendmail_close(struct spool *sp)
{
    struct sendmail_places *own = sp->own;

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
    enum sendmail_kind kind;
    unsigned type_dirs;         /* seen in this home: 1 << kind */
    bool failed;
};

static bool add_home(struct sendmail_places *own, const char *parent, const char *name,
                     unsigned depth, bool linked)
{
    char *path = NULL;

    if (own->count == own->cap) {
        size_t cap = own->cap ? own->cap * 2 : 16;
        struct sendmail_home *homes = realloc(own->homes, cap * sizeof(*homes));

        if (!homes)
            return false;
        own->homes = homes;
        own->cap = cap;
    }
    if (asprintf(&path, "%s%s%s", parent, *parent ? "/" : "", name) < 0)
        return false;
    own->homes[own->count] = (struct sendmail_home){
        .path = path, .depth = depth, .linked = linked, .real = own->count,
    };
    own->count++;
    return true;
}

static bool is_link(int dirfd, const char *name, unsigned char type)
{
    struct stat st;

    return type == DT_LNK ||
           (type == DT_UNKNOWN && fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
            S_ISLNK(st.st_mode));
}

static bool see_home(struct walk *w, const char *name, unsigned char type)
{
    struct sendmail_places *own = sendmail_places(w->sp);
    const struct sendmail_home *home = &own->homes[w->home];

    if (home->depth >= DEPTH_MAX || !may_be_home(name))
        return true;
    if (own->count < HOMES_MAX)
        return add_home(own, home->path, name, home->depth + 1,
                        is_link(w->sp->dirs[w->dir].fd, name, type));
    if (!own->too_many)
        spool_trouble(w->sp, "%s: more than %d directories; the others were not looked at",
                      w->sp->root, (int)HOMES_MAX);
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
    enum sendmail_role role = ROLE_QF;
    bool ours = role_of(name, len, &role) && len - 2 <= UINT8_MAX;

    /*
     * A directory with the name of a message's file is no directory of the configuration: it is
     * named as what it is.
     */
    if (type != DT_REG && is_dir(w->sp->dirs[w->dir].fd, name, type)) {
        w->failed = !see_dir(w, name, type);
        ours = ours && (w->kind != KIND_HOME || usual_id(name + 2, len - 2));
    }
    if (!w->failed && ours) {
        sendmail_places(w->sp)->files++;
        w->failed = !listing_add(w->sp, w->dir, name, 2, len - 2, (uint8_t)role);
    }
    return w->failed;
}

static const char *group_name(const struct sendmail_places *own, const char *home)
{
    return own->configured ? sendmail_cf_group(&own->cf, home) : "mqueue";
}

/* One directory under two names is walked once: messages must not count twice. */
static bool walked_before(struct sendmail_places *own, struct sendmail_home *home, int fd)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return false;
    home->dev = st.st_dev;
    home->ino = st.st_ino;
    for (size_t i = 0; i < own->count; i++) {
        const struct sendmail_home *other = &own->homes[i];

        if (other != home && other->walked && other->dev == home->dev && other->ino == home->ino) {
            home->real = other->real;
            return true;
        }
    }
    return false;
}

static enum file_result walk_dir(struct walk *w, const char *path, enum sendmail_kind kind)
{
    struct sendmail_places *own = sendmail_places(w->sp);
    struct sendmail_home *home = &own->homes[w->home];
    enum file_result r;

    w->kind = kind;
    r = spool_add_dir(w->sp, path, group_name(own, home->path),
                      (unsigned)(w->home * KIND_COUNT + kind), &w->dir);
    if (r != FILE_OK)
        return r;
    if (kind == KIND_HOME && walked_before(own, home, w->sp->dirs[w->dir].fd))
        return FILE_OK;
    home->dirs[kind] = w->dir;
    home->has[kind] = true;
    r = file_each(w->sp->dirs[w->dir].fd, see, w);
    if (r != FILE_OK)
        spool_unread(w->sp, path, r);
    return r;
}

static enum file_result walk_home(struct spool *sp, size_t i, bool *failed)
{
    static const struct {
        const char *name;
        enum sendmail_kind kind;
    } types[] = { { "qf", KIND_QF }, { "df", KIND_DF } };
    struct walk w = { .sp = sp, .home = i };
    enum file_result r;

    sendmail_places(sp)->homes[i].walked = true;
    r = walk_dir(&w, sendmail_places(sp)->homes[i].path, KIND_HOME);
    for (size_t t = 0; t < sizeof(types) / sizeof(types[0]) && r == FILE_OK && !w.failed; t++) {
        const char *home = sendmail_places(sp)->homes[i].path;
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

/*
 * Directories before links, then by name: which of two names for one directory counts must not
 * depend on the disk.
 */
static bool walk_sooner(const struct sendmail_home *a, const struct sendmail_home *b)
{
    return a->linked != b->linked ? b->linked : strcmp(a->path, b->path) < 0;
}

static struct sendmail_home *next_home(const struct sendmail_places *own)
{
    struct sendmail_home *next = NULL;

    for (size_t i = 0; i < own->count; i++)
        if (!own->homes[i].walked && (!next || walk_sooner(&own->homes[i], next)))
            next = &own->homes[i];
    return next;
}

int sendmail_list(struct spool *sp, unsigned sections, struct lq_error *err)
{
    struct sendmail_places *own = sp->own;
    enum file_result r;
    struct sendmail_home *home;
    size_t denied = 0;
    bool failed = false;

    (void)sections;
    if (!add_home(own, "", "", 0, false))
        return error_memory(err);
    r = walk_home(sp, 0, &failed);
    if (r == FILE_DENIED)
        return file_denied(sp->fd, "", sp->root, err);
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
        return file_denied(sp->fd, own->homes[denied].path, sp->root, err);
    return LQ_OK;
}

/* --- for acting --- */

/* Listing leaves transcripts aside; who acts does not. */
static int find_xf(struct spool *sp, struct sendmail_home *home)
{
    char *path;
    int error;

    if (asprintf(&path, "%s%sxf", home->path, *home->path ? "/" : "") < 0)
        return ENOMEM;
    error = spool_dir(sp, path, &home->xf);
    free(path);
    if (error != 0)
        home->xf = home->dirs[KIND_HOME];
    return error == ENOENT || error == ENOTDIR || error == ELOOP ? 0 : error;
}

int sendmail_open_xf(struct spool *sp)
{
    struct sendmail_places *own = sp->own;
    int error = 0;

    if (own->xf_open)
        return 0;
    for (size_t i = 0; i < own->count && error == 0; i++)
        if (own->homes[i].has[KIND_HOME])
            error = find_xf(sp, &own->homes[i]);
    own->xf_open = error == 0;
    return error;
}

size_t sendmail_dir_for(const struct sendmail_home *home, unsigned role)
{
    enum sendmail_kind kind = role == ROLE_DF ? KIND_DF : KIND_QF;

    if (role == ROLE_XF)
        return home->xf;
    return home->dirs[home->has[kind] ? kind : KIND_HOME];
}

bool sendmail_df_home(const struct sendmail_places *own, const char *d, size_t *home)
{
    const char *want = d && strcmp(d, ".") == 0 ? "" : d;
    size_t i = *home;

    if (want)
        for (i = 0; i < own->count; i++)
            if (strcmp(own->homes[i].path, want) == 0)
                break;
    if (i == own->count)
        return false;
    *home = own->homes[i].real;
    return true;
}

/* --- group --- */

static enum sendmail_kind kind_of(const struct spool *sp, const struct entry *e)
{
    return (enum sendmail_kind)(sp->dirs[e->dir].tag % KIND_COUNT);
}

bool sendmail_misplaced(const struct spool *sp, const struct entry *e)
{
    const struct sendmail_home *home = &sendmail_places(sp)->homes[sendmail_home_of(sp, e)];
    enum sendmail_kind kind = e->role == ROLE_DF ? KIND_DF : KIND_QF;

    return kind_of(sp, e) != kind && (home->has[kind] || kind_of(sp, e) != KIND_HOME);
}

static unsigned weight(const struct spool *sp, const struct entry *e)
{
    return e->role * 2u + sendmail_misplaced(sp, e);
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

        if (sendmail_home_of(sp, &found) != home)
            continue;
        memmove(e + k + 1, e + k, (i - k) * sizeof(*e));
        e[k++] = found;
    }
    return k;
}

static bool one_home(const struct spool *sp, const struct entry *e, size_t n)
{
    for (size_t i = 1; i < n; i++)
        if (sendmail_home_of(sp, &e[i]) != sendmail_home_of(sp, &e[0]))
            return false;
    return true;
}

/* The first control file in e[0..n); n when there is none. */
static size_t first_control(const struct entry *e, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (sendmail_is_control(&e[i]))
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
 * Control files of one id in several homes are messages of their own; a body elsewhere (named by
 * the d record) goes to one that has none at home, and that one comes last.
 */
static size_t group_homes(struct spool *sp, struct entry *e, size_t n, uint32_t *counts)
{
    size_t messages = 0, at = 0, i;

    while ((i = first_control(e + at, n - at)) < n - at) {
        counts[messages] =
            (uint32_t)gather_home(sp, e + at, n - at, sendmail_home_of(sp, &e[at + i]));
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
        counts[messages] = (uint32_t)gather_home(sp, e + at, n - at, sendmail_home_of(sp, &e[at]));
        rank(sp, e + at, counts[messages]);
    }
    return messages;
}

size_t sendmail_group(struct spool *sp, struct entry *e, size_t n, uint32_t *counts)
{
    if (!one_home(sp, e, n))
        return group_homes(sp, e, n, counts);
    rank(sp, e, n);
    counts[0] = (uint32_t)n;
    return 1;
}
