/*
 * Postfix: where messages and their delivery logs are, which files belong together, and what a
 * place says about a message. What the bytes of queue files mean is in postfix_parse.c, of delivery
 * logs in postfix_log.c.
 *
 * A queue is a directory; a message is one file in it, named by the queue id, possibly below
 * directories of one character (hash_queue_depth). Moving between queues is a rename, so a busy
 * message may be seen in two places, or in none.
 */
#include <dirent.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ahead.h"
#include "postfix.h"
#include "postfix_walk.h"

/* `saved` is not read by Postfix either; flush and trace tell nothing about pending mail. */
const struct postfix_queue postfix_queues[PF_DIRS] = {
    [PF_MAILDROP] = { "maildrop", false }, [PF_INCOMING] = { "incoming", false }, [PF_ACTIVE] = { "active", false },
    [PF_DEFERRED] = { "deferred", false }, [PF_HOLD] = { "hold", false },         [PF_CORRUPT] = { "corrupt", false },
    [PF_DEFER] = { "defer", true },        [PF_BOUNCE] = { "bounce", true },
};

static const char *const usual_dirs[] = { "/var/spool/postfix", NULL };

/* --- is it a Postfix queue_directory? --- */

static bool is_dir(int dirfd, const char *name)
{
    struct stat st;

    return fstatat(dirfd, name, &st, 0) == 0 && S_ISDIR(st.st_mode);
}

static unsigned detect(int rootfd)
{
    static const char *const beside[] = { "flush", "trace", "saved", "pid", "private", "public" };
    unsigned messages = 0, logs = 0, others = 0;

    for (size_t i = 0; i < PF_DIRS; i++)
        if (is_dir(rootfd, postfix_queues[i].name))
            *(postfix_queues[i].log ? &logs : &messages) += 1;
    if (messages == 0)
        return 0;
    for (size_t i = 0; i < sizeof(beside) / sizeof(beside[0]); i++)
        others += is_dir(rootfd, beside[i]);
    /* A copy may be of one queue only, but one directory called `active` or `hold` may be anybody's. */
    if (messages + logs < 2 && !is_dir(rootfd, postfix_queues[PF_DEFERRED].name) && !is_dir(rootfd, postfix_queues[PF_MAILDROP].name))
        return 0;
    return messages + logs + others;
}

static int open_spool(struct spool *sp, struct lq_error *err)
{
    sp->own = calloc(1, sizeof(struct postfix_spool));
    if (!sp->own)
        return error_set(err, LQ_ENOMEM, "out of memory");
    return LQ_OK;
}

static void close_spool(struct spool *sp)
{
    struct postfix_spool *own = sp->own;

    if (own)
        free(own->levels);
    free(own);
    sp->own = NULL;
}

/* --- listing --- */

static bool id_char(unsigned char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_';
}

bool postfix_id_name(const char *name, size_t n)
{
    if (n == 0 || n > 255)
        return false;
    for (size_t i = 0; i < n; i++)
        if (!id_char((unsigned char)name[i]))
            return false;
    return true;
}

struct walk_dir {
    struct spool *sp;
    size_t dir;             /* index of the directory being read */
    unsigned depth;
    enum postfix_dir kind;
    bool again;             /* names only: its levels are known */
    bool no_memory;
};

static bool is_level(int dirfd, const char *name, unsigned char type)
{
    struct stat st;

    if (type != DT_UNKNOWN)
        return type == DT_DIR;
    return fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
}

/* A queue itself may be a link of root's; a hash level never is. */
static void add_level(struct walk_dir *w, const char *name, unsigned char type)
{
    char path[128];
    size_t index;

    snprintf(path, sizeof(path), "%s/%s", w->sp->dirs[w->dir].path, name);
    if (!is_level(w->sp->dirs[w->dir].fd, name, type))
        spool_trouble(w->sp, "cannot read directory %s/%s: not a directory", w->sp->root, path);
    else if (w->depth >= POSTFIX_DEPTH_MAX)
        spool_trouble(w->sp, "cannot read directory %s/%s: too deep for a hashed queue", w->sp->root, path);
    else
        spool_add_dir(w->sp, path, postfix_queues[w->kind].name, w->kind, &index);
}

/*
 * One character: a hash level, as for Postfix's own scanners. A longer name is a file, whatever it
 * really is.
 */
static int each_name(void *ctx, const char *name, size_t len, unsigned char type)
{
    struct walk_dir *w = ctx;

    if (!postfix_id_name(name, len))
        return 0;
    if (len == 1) {
        if (!w->again)
            add_level(w, name, type);
    } else if (!listing_add(w->sp, w->dir, name, 0, len, (uint8_t)w->kind))
        w->no_memory = true;
    return w->no_memory;
}

static unsigned depth_of(const char *path)
{
    unsigned n = 0;

    for (; *path; path++)
        n += *path == '/';
    return n;
}

/*
 * Read the directories from `first` on; hash levels found on the way are appended and read in their turn. Levels of one queue are read side by
 * side, for messages do not move between them, but never two queues.
 */
static bool read_dirs(struct spool *sp, size_t first, enum postfix_dir kind)
{
    struct walk_dir w = { .sp = sp, .kind = kind };
    struct ahead *side = NULL;

    for (w.dir = first; w.dir < sp->dir_count && !w.no_memory; w.dir++) {
        enum file_result r;

        if (!ahead_has(side, w.dir - first)) {
            ahead_end(side);
            first = w.dir;
            side = ahead_begin(sp, first, sp->threads > 1 ? sp->threads - 1 : 0);
        }
        w.depth = depth_of(sp->dirs[w.dir].path);
        r = side ? ahead_each(side, w.dir - first, each_name, &w) : file_each(sp->dirs[w.dir].fd, each_name, &w);
        if (r != FILE_OK && !w.no_memory)
            spool_unread(sp, sp->dirs[w.dir].path, FILE_FAILED);
    }
    ahead_end(side);
    return !w.no_memory;
}

/*
 * A queue run moves messages from deferred into active while we read deferred, after we read active, and a flush through incoming:
 * seen in neither. So both are looked through once more; who is there twice is one message to the core.
 */
static bool read_again(struct spool *sp)
{
    struct walk_dir w = { .sp = sp, .again = true };

    for (w.dir = 0; w.dir < sp->dir_count && !w.no_memory; w.dir++) {
        w.kind = (enum postfix_dir)sp->dirs[w.dir].tag;
        if (w.kind == PF_INCOMING || w.kind == PF_ACTIVE)
            file_each(sp->dirs[w.dir].fd, each_name, &w);
    }
    return !w.no_memory;
}

static void note_owner(struct spool *sp, size_t dir)
{
    struct postfix_spool *own = sp->own;
    struct stat st;

    if (!own->owner_known && fstat(sp->dirs[dir].fd, &st) == 0) {
        own->mail_owner = st.st_uid;
        own->owner_known = true;
    }
}

static int list(struct spool *sp, unsigned sections, struct lq_error *err)
{
    size_t first, read = 0;
    const char *refused = NULL;

    for (size_t i = 0; i < PF_DIRS; i++) {
        if (postfix_queues[i].log && !(sections & SEC_LOG))
            continue;
        switch (spool_add_dir(sp, postfix_queues[i].name, postfix_queues[i].name, (unsigned)i, &first)) {
        case FILE_OK:
            break;
        case FILE_DENIED:
            refused = postfix_queues[i].name;
            continue;
        default:
            continue;
        }
        note_owner(sp, first);
        if (!read_dirs(sp, first, (enum postfix_dir)i))
            return error_memory(err);
        read++;
    }
    if (!read_again(sp))
        return error_memory(err);
    return read == 0 && refused ? file_denied(sp->fd, refused, sp->root, err) : LQ_OK;
}

/* The characters that name hash levels: of a long id the microseconds in hex, else the id itself. */
void postfix_hash_text(struct bytes id, char out[POSTFIX_DEPTH_MAX + 1])
{
    int64_t seconds, usec;
    size_t n = id.n < POSTFIX_DEPTH_MAX ? id.n : POSTFIX_DEPTH_MAX;

    if (postfix_long_id(id, &seconds, &usec)) {
        snprintf(out, POSTFIX_DEPTH_MAX + 1, "%05X", (unsigned)usec & 0xfffff);
        return;
    }
    memcpy(out, id.p, n);
    out[n] = '\0';
}

static unsigned level_number(char c)
{
    return (unsigned)(c <= '9' ? c - '0' : c <= 'Z' ? c - 'A' + 10 : c == '_' ? 36 : c - 'a' + 37);
}

/* Where it is noted what is below this directory at that character; NULL without memory. */
static uint16_t *level_below(const struct spool *sp, size_t dir, char c)
{
    struct postfix_spool *own = sp->own;

    if (dir >= own->level_count) {
        struct postfix_levels *more = realloc(own->levels, sp->dir_count * sizeof(*more));

        if (!more)
            return NULL;
        memset(more + own->level_count, 0, (sp->dir_count - own->level_count) * sizeof(*more));
        own->levels = more;
        own->level_count = sp->dir_count;
    }
    return &own->levels[dir].below[level_number(c)];
}

/* The directory of logs that is one level below *dir; false: there is none. Looked for once, though many messages are asked about. */
static bool find_level(struct spool *sp, size_t *dir, char c, enum postfix_dir kind)
{
    char path[32 + 2 * (POSTFIX_DEPTH_MAX + 2)];
    uint16_t *below = level_below(sp, *dir, c);
    size_t found;

    if (below && *below > 0) {
        *dir = *below - 1u;
        return *below != POSTFIX_NO_LEVEL;
    }
    snprintf(path, sizeof(path), "%s/%c", sp->dirs[*dir].path, c);
    if (spool_find_dir(sp, path, postfix_queues[kind].name, kind, &found) != FILE_OK)
        found = POSTFIX_NO_LEVEL - 1u;
    if (below)
        *below = (uint16_t)(found + 1);
    *dir = found;
    return found != POSTFIX_NO_LEVEL - 1u;
}

/* The log of that kind in "defer", "defer/1", "defer/1/5" …, as deep as there are directories. */
static void list_log(struct spool *sp, const struct entry *e, enum postfix_dir kind)
{
    char hash[POSTFIX_DEPTH_MAX + 1];
    const char *level = hash;
    struct stat st;
    size_t dir;

    if (spool_find_dir(sp, postfix_queues[kind].name, postfix_queues[kind].name, kind, &dir) != FILE_OK)
        return;
    postfix_hash_text(bytes_from(e->id, e->id_len), hash);
    for (unsigned depth = 0; depth <= POSTFIX_DEPTH_MAX; depth++) {
        if (file_stat(sp->dirs[dir].fd, e->name, &st) != FILE_GONE)
            listing_add(sp, dir, e->name, 0, e->id_len, (uint8_t)kind);
        if (depth == POSTFIX_DEPTH_MAX || !find_level(sp, &dir, *level ? *level++ : '_', kind))
            return;
    }
}

static void list_logs(struct spool *sp, const struct entry *e)
{
    for (size_t i = 0; i < PF_DIRS; i++)
        if (postfix_queues[i].log)
            list_log(sp, e, (enum postfix_dir)i);
}

/* --- grouping --- */

struct sighting {
    enum file_result found;
    dev_t dev;
    ino_t ino;
};

static struct sighting look(const struct spool *sp, const struct entry *e)
{
    struct stat st = { 0 };
    enum file_result r = file_stat(sp->dirs[e->dir].fd, e->name, &st);

    return (struct sighting){ .found = r, .dev = st.st_dev, .ino = st.st_ino };
}

static bool is_log(const struct entry *e)
{
    return postfix_queues[e->role].log;
}

static void swap_entries(struct entry *a, struct entry *b)
{
    struct entry t = *a;

    *a = *b;
    *b = t;
}

/*
 * Files of one id in several queues: a message renamed while we listed was seen twice, with luck
 * the first place is empty by now or holds the same inode. Takes those out of e[0..n) and answers
 * how many are left (at least one: the core asks again() about it).
 */
static size_t drop_sightings(const struct spool *sp, struct entry *e, size_t n)
{
    size_t kept = 0;

    for (size_t i = 0; i < n; i++) {
        struct sighting s = look(sp, &e[i]), t;
        bool again = s.found == FILE_GONE;

        for (size_t k = 0; k < kept && !again && s.found == FILE_OK; k++) {
            t = look(sp, &e[k]);
            again = t.found == FILE_OK && t.dev == s.dev && t.ino == s.ino;
        }
        if (!again && kept < i)
            swap_entries(&e[kept], &e[i]);
        kept += !again;
    }
    return kept > 0 ? kept : 1;
}

/*
 * Logs tell about the message that the queue manager handles; a namesake set aside or not yet
 * picked up comes after it.
 */
static unsigned log_rank(const struct entry *e)
{
    static const unsigned rank[PF_DIRS] = {
        [PF_DEFERRED] = 0, [PF_ACTIVE] = 1, [PF_INCOMING] = 2, [PF_HOLD] = 3, [PF_CORRUPT] = 4, [PF_MAILDROP] = 5,
    };

    return rank[e->role];
}

/* Message files first, in their order, then logs. Answers the number of the former. */
static size_t logs_last(struct entry *e, size_t n)
{
    size_t messages = 0;

    for (size_t i = 0; i < n; i++) {
        if (is_log(&e[i]))
            continue;
        for (size_t k = i; k > messages; k--)
            swap_entries(&e[k], &e[k - 1]);
        messages++;
    }
    return messages;
}

/* Bring e[from..from + n) to position `to`, before it, keeping both orders. */
static void bring(struct entry *e, size_t to, size_t from, size_t n)
{
    for (size_t i = 0; i < n; i++)
        for (size_t k = from + i; k > to + i; k--)
            swap_entries(&e[k], &e[k - 1]);
}

static size_t group(struct spool *sp, struct entry *e, size_t n, uint32_t *counts)
{
    size_t messages = logs_last(e, n), logs = n - messages, kept = messages, best = 0;

    if (messages == 0)
        return 0;
    if (messages > 1)
        kept = drop_sightings(sp, e, messages);
    for (size_t i = 0; i < kept; i++) {
        counts[i] = 1;
        if (log_rank(&e[i]) < log_rank(&e[best]))
            best = i;
    }
    bring(e, best + 1, messages, logs);
    counts[best] += (uint32_t)logs;
    return kept;
}

/* --- where it is now --- */

/* Whether "deferred/0/D" is a directory that a message with this hash text belongs into. */
static bool hash_fits(const char *path, const char *hash)
{
    for (path = strchr(path, '/'); path; path = strchr(path + 1, '/'), hash += *hash != '\0')
        if (path[1] != (*hash ? *hash : '_'))
            return false;
    return true;
}

static bool find_in(struct reading *rd, enum postfix_dir kind, const char *hash, struct entry *out)
{
    const struct spool *sp = rd->spool;
    const struct entry *key = &rd->ref->entries[0];
    struct stat st;

    for (size_t i = 0; i < sp->dir_count; i++) {
        if (sp->dirs[i].tag != kind || !hash_fits(sp->dirs[i].path, hash) ||
            file_stat(sp->dirs[i].fd, key->name, &st) != FILE_OK)
            continue;
        *out = *key;
        out->dir = (uint16_t)i;
        out->role = (uint8_t)kind;
        return true;
    }
    return false;
}

static size_t again(struct reading *rd, struct entry *out, size_t max)
{
    static const enum postfix_dir order[] = { PF_INCOMING, PF_ACTIVE, PF_DEFERRED, PF_HOLD, PF_CORRUPT };
    const struct entry *key = &rd->ref->entries[0];
    char hash[POSTFIX_DEPTH_MAX + 1];
    size_t n = 0;

    if (max == 0)
        return 0;
    postfix_hash_text(bytes_from(key->id, key->id_len), hash);
    /* Twice: it may move on while we go through the queues. */
    for (size_t i = 0; n == 0 && i < 2 * sizeof(order) / sizeof(order[0]); i++)
        n = find_in(rd, order[i % (sizeof(order) / sizeof(order[0]))], hash, &out[0]);
    for (size_t i = 1; n > 0 && i < rd->ref->count && n < max; i++)
        out[n++] = rd->ref->entries[i];
    return n;
}

/* --- reading --- */

const enum state postfix_dir_state[PF_DIRS] = {
    [PF_MAILDROP] = STATE_INCOMING, [PF_INCOMING] = STATE_INCOMING, [PF_ACTIVE] = STATE_ACTIVE,
    [PF_DEFERRED] = STATE_DEFERRED, [PF_HOLD] = STATE_HELD,         [PF_CORRUPT] = STATE_CORRUPT,
};

static void read_control(struct reading *rd)
{
    const struct entry *key = &rd->ref->entries[0];
    struct stat st;
    enum file_result opened = reading_open(rd, key, &st);

    if (opened == FILE_GONE) {
        rd->vanished = true;
        return;
    }
    for (uint32_t i = 0; (rd->want & LQ_FIELD_BIT(LQ_FILES)) && i < rd->ref->count; i++)
        record_add_file(rd->rec, rd->spool->dirs[rd->ref->entries[i].dir].path, rd->ref->entries[i].name);
    record_set_state(rd->rec, postfix_dir_state[key->role]);
    if (opened == FILE_OK) {
        postfix_parse(rd, &st, (enum postfix_dir)key->role);
        return;
    }
    /* The queue manager skips what is no regular file, for good. */
    if (opened == FILE_ODD)
        record_set_state(rd->rec, STATE_CORRUPT);
    record_broken(rd->rec, SEC_CONTROL);
}

static void read_logs(struct reading *rd)
{
    for (uint32_t i = 1; i < rd->ref->count; i++) {
        struct stat st;

        switch (reading_open(rd, &rd->ref->entries[i], &st)) {
        case FILE_OK:
            postfix_log(rd, &rd->ref->entries[i], &st);
            break;
        case FILE_GONE:     /* the queue manager deletes it with each new attempt */
            break;
        default:
            record_broken(rd->rec, SEC_LOG);
        }
    }
}

static void read_message(struct reading *rd, unsigned sections)
{
    if (sections & SEC_CONTROL)
        read_control(rd);
    if ((sections & SEC_LOG) && !rd->vanished)
        read_logs(rd);
}

static int send_message(struct reading *rd, body_fn *emit, void *ctx)
{
    uint64_t at = rd->rec->scratch[NOTE_CONTENT];

    return at > 0 ? postfix_walk_message(&rd->src, at, emit, ctx) : 1;
}

static int body(struct reading *rd, body_fn *emit, void *ctx)
{
    struct stat st;

    switch (reading_open(rd, &rd->ref->entries[0], &st)) {
    case FILE_OK:
        return send_message(rd, emit, ctx);
    case FILE_GONE:
        rd->vanished = true;
        return 1;
    default:
        return 1;
    }
}

/* postsuper(1) looks into every queue; the chroot's etc, lib … are refreshed by scripts of the distributions. Any other name is free. */
static bool scans(const char *below)
{
    static const char *const own[] = {
        "maildrop", "incoming", "active", "deferred", "hold", "corrupt", "defer", "bounce", "trace", "flush", "saved", "pid",
        "private", "public", "dev", "etc", "lib", "lib64", "usr", "var",
    };
    size_t n = strcspn(below, "/");

    for (size_t i = 0; i < sizeof(own) / sizeof(*own); i++)
        if (strlen(own[i]) == n && strncmp(below, own[i], n) == 0)
            return true;
    return false;
}

const struct lq_backend postfix_backend = {
    .name = "postfix",
    .usual_dirs = usual_dirs,
    .scans = scans,
    .detect = detect,
    .open = open_spool,
    .close = close_spool,
    .list = list,
    .list_logs = list_logs,
    .group = group,
    .read = read_message,
    .again = again,
    .body = body,
    .actor = &postfix_actor,
};
