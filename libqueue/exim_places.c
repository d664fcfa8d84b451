/*
 * Where Exim keeps messages: its directories, how a spool is known, and which files of them are one message. What is in the files is
 * exim.c's business.
 *
 * They lie in input/ or, with split_spool_directory, in input/c/, c being the sixth character of the id; Exim looks in both, so must
 * we. A named queue (4.88) is the same below a directory of its name, and Finput is where move_frozen_messages puts frozen ones. Facts
 * are from the sources of 4.50 to 4.99 and from seen runs of 4.96 and 4.98.2.
 */
#include "exim.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* An entry's role: its part, in the low bits; above them the place of the message that it belongs to. */
enum { PART_BITS = 2, PART_MASK = 3 };

/* Places of one queue: one for each character, and the base directory. */
enum { PLACES = 62, PLACE_BASE = PLACES, PLACE_NONE };

enum { TAG_PLACE_SHIFT = 2, TAG_QUEUE_SHIFT = 8 };

enum { QUEUES_MAX = 1000 };

/* --- names --- */

/* 0-9 A-Z a-z, the order of Exim's base 62; -1 for any other byte. */
static int digit(unsigned char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'A' && c <= 'Z')
        return c - 'A' + 10;
    return c >= 'a' && c <= 'z' ? c - 'a' + 36 : -1;
}

static char place_char(unsigned place)
{
    return (char)(place < 10 ? '0' + place : place < 36 ? 'A' + (place - 10) : 'a' + (place - 36));
}

static bool are_digits(const char *s, size_t n)
{
    while (n > 0 && digit((unsigned char)*s) >= 0) {
        s++;
        n--;
    }
    return n == 0;
}

bool exim_is_id(const char *s, size_t n)
{
    size_t second = n == EXIM_ID_OLD ? 13 : 18;

    return (n == EXIM_ID_OLD || n == EXIM_ID_NEW) && s[6] == '-' && s[second] == '-' && are_digits(s, 6) &&
           are_digits(s + 7, second - 7) && are_digits(s + second + 1, n - second - 1);
}

/* The first part of an id is when reception began, in seconds (base 62: ids of a case-insensitive file system mislead). */
bool exim_id_time(struct bytes id, int64_t *out)
{
    int64_t t = 0;

    if (id.n < 6)
        return false;
    for (size_t i = 0; i < 6; i++) {
        if (digit(id.p[i]) < 0)
            return false;
        t = t * 62 + digit(id.p[i]);
    }
    *out = t;
    return true;
}

/* Which part a file of an input directory is; false for temporaries and strangers. */
static bool input_part(const char *name, size_t len, uint8_t *role)
{
    if (len <= EXIM_SUFFIX || name[len - 2] != '-')
        return false;
    switch (name[len - 1]) {
    case 'H':
        *role = PART_HEADER;
        break;
    case 'D':
        *role = PART_DATA;
        break;
    case 'J':
        *role = PART_JOURNAL;
        break;
    default:
        return false;
    }
    return exim_is_id(name, len - EXIM_SUFFIX);
}

/* --- recognising a spool --- */

struct look {
    unsigned ids, places, strangers, seen;
};

static int look_at(void *ctx, const char *name, size_t len, unsigned char type)
{
    enum { ENOUGH = 1000 };
    struct look *l = ctx;
    uint8_t role;

    (void)type;
    if (input_part(name, len, &role))
        l->ids++;
    else if (len == 1 && digit((unsigned char)*name) >= 0)
        l->places++;
    else if (strncmp(name, "hdr.", 4) != 0)
        l->strangers++;
    return ++l->seen >= ENOUGH;
}

/* `input` is a common word: a directory of that name with other things in it is not ours. */
static unsigned input_facts(int rootfd, const char *path)
{
    struct look look = { 0 };
    int fd;
    enum file_result r = file_open_dir(rootfd, path, &fd);

    if (r != FILE_OK)
        return r == FILE_DENIED;
    file_each(fd, look_at, &look);
    close(fd);
    if (look.strangers > 0 && look.ids == 0)
        return 0;
    return 1 + (look.ids > 0) * 2 + (look.places > 0);
}

static unsigned is_dir(int rootfd, const char *path)
{
    struct stat st;

    return fstatat(rootfd, path, &st, 0) == 0 && S_ISDIR(st.st_mode);
}

/* Directories that a spool may have and that are no queues. */
static bool not_a_queue(const char *name)
{
    static const char *const names[] = {
        "input", "Finput", "msglog", "Fmsglog", "msglog.OLD", "db", "log", "scan", "lost+found"
    };

    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return false;
}

struct queues {
    char *names[QUEUES_MAX];
    size_t n;
    bool full;
};

static int note_queue(void *ctx, const char *name, size_t len, unsigned char type)
{
    struct queues *q = ctx;

    (void)type;
    if (name[0] == '.' || len > 200 || not_a_queue(name))
        return 0;
    if (q->n == QUEUES_MAX) {
        q->full = true;
        return 1;
    }
    q->names[q->n] = strdup(name);
    q->n += q->names[q->n] != NULL;
    return 0;
}

/* Directories that may be named queues: they have an input of their own. sp hears of those that cannot be looked into; NULL: nobody does. */
static struct queues *find_queues(int rootfd, struct spool *sp)
{
    struct queues *q = calloc(1, sizeof(*q));
    size_t kept = 0;

    if (!q)
        return NULL;
    file_each(rootfd, note_queue, q);
    for (size_t i = 0; i < q->n; i++) {
        char path[256];
        enum file_result opened;
        struct stat st;
        int fd;

        snprintf(path, sizeof(path), "%s/input", q->names[i]);
        opened = file_open_dir(rootfd, q->names[i], &fd);
        if (sp && opened == FILE_DENIED)
            spool_trouble(sp, "cannot read directory %s/%s, which may be a queue: %s", sp->root, q->names[i],
                          file_result_text(opened));
        if (opened == FILE_OK) {
            close(fd);
            if (fstatat(rootfd, path, &st, 0) == 0 && S_ISDIR(st.st_mode)) {
                q->names[kept++] = q->names[i];
                continue;
            }
        }
        free(q->names[i]);
    }
    q->n = kept;
    return q;
}

static void free_queues(struct queues *q)
{
    for (size_t i = 0; q && i < q->n; i++)
        free(q->names[i]);
    free(q);
}

static bool add_base(struct exim_spool *own, const char *prefix, const char *name)
{
    char **base = &own->bases[own->base_count];

    if (asprintf(base, "%s%s%s", prefix, *prefix ? "/" : "", name) < 0)
        return false;
    own->base_count++;
    return true;
}

const struct exim_spool *exim_bases(struct spool *sp)
{
    struct exim_spool *own = sp->own;
    struct queues *queues;
    bool fine;

    if (own->bases)
        return own;
    queues = find_queues(sp->fd, NULL);
    own->bases = queues ? calloc(2 * (queues->n + 1), sizeof(*own->bases)) : NULL;
    fine = own->bases && add_base(own, "", "input") && add_base(own, "", "Finput");
    for (size_t i = 0; fine && i < queues->n; i++)
        fine = add_base(own, queues->names[i], "input") && add_base(own, queues->names[i], "Finput");
    free_queues(queues);
    return fine ? own : NULL;
}

int exim_open(struct spool *sp, struct lq_error *err)
{
    sp->own = calloc(1, sizeof(struct exim_spool));
    return sp->own ? LQ_OK : error_memory(err);
}

void exim_close(struct spool *sp)
{
    struct exim_spool *own = sp->own;

    for (size_t i = 0; own && i < own->base_count; i++)
        free(own->bases[i]);
    if (own)
        free(own->bases);
    free(own);
    sp->own = NULL;
}

unsigned exim_detect(int rootfd)
{
    struct queues *queues;
    unsigned facts = input_facts(rootfd, "input") + is_dir(rootfd, "msglog") + is_dir(rootfd, "db") +
                     is_dir(rootfd, "Finput");
    bool any = is_dir(rootfd, "input");

    queues = find_queues(rootfd, NULL);
    for (size_t i = 0; queues && i < queues->n; i++) {
        char path[256];

        snprintf(path, sizeof(path), "%s/input", queues->names[i]);
        facts += input_facts(rootfd, path);
        snprintf(path, sizeof(path), "%s/msglog", queues->names[i]);
        facts += is_dir(rootfd, path);
        any = true;
    }
    free_queues(queues);
    return any && facts > 1 ? facts : 0;
}

/* --- listing --- */

struct walk {
    struct spool *sp;
    size_t dir;
    bool logs;                  /* these directories hold message logs */
    uint64_t places;            /* split directories that were seen */
    unsigned opened, denied;
};

static int see(void *ctx, const char *name, size_t len, unsigned char type)
{
    struct walk *w = ctx;
    uint8_t role = PART_LOG;
    size_t id_len = w->logs ? len : len - EXIM_SUFFIX;

    if (len == 1 && digit((unsigned char)*name) >= 0 && (type == DT_DIR || type == DT_LNK || type == DT_UNKNOWN))
        w->places |= UINT64_C(1) << digit((unsigned char)*name);
    else if (w->logs ? exim_is_id(name, len) : input_part(name, len, &role))
        return !listing_add(w->sp, w->dir, name, 0, id_len, role);
    return 0;
}

static void walk_dir(struct walk *w, const char *path, const char *queue_name, unsigned tag)
{
    enum file_result r = spool_add_dir(w->sp, path, queue_name, tag, &w->dir);

    w->opened += r == FILE_OK;
    w->denied += r == FILE_DENIED;
    if (r != FILE_OK)
        return;
    r = file_each(w->sp->dirs[w->dir].fd, see, w);
    if (r != FILE_OK)
        spool_unread(w->sp, path, r);
}

/* A directory and its split places. */
static void walk_base(struct walk *w, const char *base, const char *queue_name, unsigned tag)
{
    char path[300];
    uint64_t places;

    w->logs = tag & EXIM_TAG_LOG;
    w->places = 0;
    walk_dir(w, base, queue_name, tag | PLACE_BASE << TAG_PLACE_SHIFT);
    places = w->places;
    for (unsigned i = 0; i < PLACES; i++) {
        if (!(places >> i & 1))
            continue;
        snprintf(path, sizeof(path), "%s/%c", base, place_char(i));
        walk_dir(w, path, queue_name, tag | i << TAG_PLACE_SHIFT);
    }
}

/* input and msglog, or Finput and Fmsglog, of one queue: prefix is "" or "NAME/". */
static void walk_queue(struct walk *w, const char *prefix, const char *kind, const char *queue_name, unsigned tag,
                       unsigned sections)
{
    char path[256];
    unsigned opened, denied;

    snprintf(path, sizeof(path), "%s%sinput", prefix, kind);
    walk_base(w, path, queue_name, tag);
    if (!(sections & SEC_LOG))
        return;
    opened = w->opened;
    denied = w->denied;
    snprintf(path, sizeof(path), "%s%smsglog", prefix, kind);
    walk_base(w, path, queue_name, tag | EXIM_TAG_LOG);
    w->opened = opened;
    w->denied = denied;
}

int exim_list(struct spool *sp, unsigned sections, struct lq_error *err)
{
    struct walk w = { .sp = sp };
    struct queues *queues = find_queues(sp->fd, sp);
    unsigned tag = 0;

    if (!queues)
        return error_memory(err);
    walk_queue(&w, "", "", "default", tag++ << TAG_QUEUE_SHIFT, sections);
    walk_queue(&w, "", "F", "Finput", tag++ << TAG_QUEUE_SHIFT | EXIM_TAG_FROZEN, sections);
    for (size_t i = 0; i < queues->n; i++) {
        char prefix[210], frozen[210];

        snprintf(prefix, sizeof(prefix), "%s/", queues->names[i]);
        snprintf(frozen, sizeof(frozen), "%s/Finput", queues->names[i]);
        walk_queue(&w, prefix, "", queues->names[i], tag++ << TAG_QUEUE_SHIFT, sections);
        walk_queue(&w, prefix, "F", frozen, tag++ << TAG_QUEUE_SHIFT | EXIM_TAG_FROZEN, sections);
    }
    if (queues->full)
        spool_trouble(sp, "%s: more than %d directories: some may be queues that are not shown", sp->root, (int)QUEUES_MAX);
    free_queues(queues);
    return w.opened == 0 && w.denied > 0 ? file_denied(sp->fd, "input", sp->root, err) : LQ_OK;
}

/* --- from names to messages --- */

enum exim_part exim_part_of(const struct entry *e)
{
    return (enum exim_part)(e->role & PART_MASK);
}

static unsigned tag_of(const struct spool *sp, const struct entry *e)
{
    return sp->dirs[e->dir].tag;
}

static unsigned place_of(const struct spool *sp, const struct entry *e)
{
    return tag_of(sp, e) >> TAG_PLACE_SHIFT & 63;
}

unsigned exim_queue_of(const struct spool *sp, size_t dir)
{
    return sp->dirs[dir].tag >> TAG_QUEUE_SHIFT;
}

static unsigned queue_of(const struct spool *sp, const struct entry *e)
{
    return exim_queue_of(sp, e->dir);
}

static unsigned home_of(const struct entry *e)
{
    return e->role >> PART_BITS;
}

static int by_home(const struct spool *sp, const struct entry *a, const struct entry *b)
{
    bool none = home_of(a) == PLACE_NONE;

    if (none != (home_of(b) == PLACE_NONE))
        return none ? 1 : -1;
    if (queue_of(sp, a) != queue_of(sp, b))
        return queue_of(sp, a) < queue_of(sp, b) ? -1 : 1;
    return (int)a->role - (int)b->role;
}

static int by_home_qsort(const void *x, const void *y, void *sp)
{
    return by_home(sp, x, y);
}

/* Two or three entries nearly always. */
static void sort_entries(struct spool *sp, struct entry *e, size_t n)
{
    enum { FEW = 8 };

    if (n > FEW) {
        qsort_r(e, n, sizeof(*e), by_home_qsort, sp);
        return;
    }
    for (size_t i = 1; i < n; i++) {
        struct entry moved = e[i];
        size_t at = i;

        for (; at > 0 && by_home(sp, &moved, &e[at - 1]) < 0; at--)
            e[at] = e[at - 1];
        e[at] = moved;
    }
}

static void list_log_in(struct spool *sp, const struct entry *e, const char *path, unsigned place)
{
    unsigned tag = (tag_of(sp, e) & ~(63u << TAG_PLACE_SHIFT)) | EXIM_TAG_LOG | place << TAG_PLACE_SHIFT;
    char name[EXIM_ID_NEW + 1] = "";
    struct stat st;
    size_t dir;

    memcpy(name, e->id, e->id_len);
    if (spool_find_dir(sp, path, sp->dirs[e->dir].queue_name, tag, &dir) == FILE_OK &&
        file_stat(sp->dirs[dir].fd, name, &st) != FILE_GONE)
        listing_add(sp, dir, name, 0, e->id_len, PART_LOG);
}

/* In the msglog beside this input, and below it in the directory of the id's sixth character. */
void exim_list_logs(struct spool *sp, const struct entry *e)
{
    enum { INPUT = sizeof("input") - 1 };
    const char *in = sp->dirs[e->dir].path;
    int prefix = (int)(strlen(in) - (place_of(sp, e) == PLACE_BASE ? 0 : 2) - INPUT);
    char path[300];

    if (exim_part_of(e) != PART_HEADER)
        return;
    snprintf(path, sizeof(path), "%.*smsglog", prefix, in);
    list_log_in(sp, e, path, PLACE_BASE);
    snprintf(path, sizeof(path), "%.*smsglog/%c", prefix, in, e->id[5]);
    list_log_in(sp, e, path, (unsigned)digit((unsigned char)e->id[5]));
}

static unsigned lowest(uint64_t places)
{
    return places ? (unsigned)__builtin_ctzll(places) : PLACE_NONE;
}

/*
 * Which message of its queue a part belongs to, named by that message's place. Exim looks for a message in both
 * places, so a part that lies alone most likely belongs to a message that lacks it. has: places that have each part
 * already.
 */
static unsigned choose_home(enum exim_part part, unsigned place, uint64_t has[4])
{
    uint64_t heads = has[PART_HEADER], orphans = has[PART_DATA] & ~heads, bit = UINT64_C(1) << place;
    unsigned home;

    if (part == PART_HEADER || heads & bit)
        return place;
    home = lowest(heads & ~has[part]);
    if (part != PART_DATA && orphans & bit)
        return place;
    if (part == PART_DATA && home == PLACE_NONE)
        return place;           /* the message begins with this one */
    if (part == PART_LOG && home == PLACE_NONE)
        home = lowest(orphans & ~has[part]);
    return home;
}

/* Entries of one queue, in any order. */
static void find_homes(struct spool *sp, struct entry *e, size_t n)
{
    uint64_t has[4] = { 0 };

    for (size_t i = 0; i < n; i++)
        has[exim_part_of(&e[i])] |= UINT64_C(1) << place_of(sp, &e[i]);
    for (unsigned part = PART_HEADER; part <= PART_LOG; part++) {
        for (size_t i = 0; i < n; i++) {
            unsigned place = place_of(sp, &e[i]), home;

            if (exim_part_of(&e[i]) != part)
                continue;
            home = choose_home((enum exim_part)part, place, has);
            if (home != place)
                has[part] &= ~(UINT64_C(1) << place);
            if (home != PLACE_NONE)
                has[part] |= UINT64_C(1) << home;
            e[i].role = (uint8_t)(part | home << PART_BITS);
        }
    }
}

size_t exim_group(struct spool *sp, struct entry *e, size_t n, uint32_t *counts)
{
    size_t messages = 0;

    for (size_t i = 0; i < n; i++)
        e[i].role = exim_part_of(&e[i]);
    sort_entries(sp, e, n);
    for (size_t i = 0, run; i < n; i += run) {
        for (run = 1; i + run < n && queue_of(sp, &e[i]) == queue_of(sp, &e[i + run]); run++)
            ;
        find_homes(sp, e + i, run);
    }
    sort_entries(sp, e, n);
    for (size_t i = 0; i < n && home_of(&e[i]) != PLACE_NONE; i++) {
        if (i == 0 || queue_of(sp, &e[i]) != queue_of(sp, &e[i - 1]) || home_of(&e[i]) != home_of(&e[i - 1]))
            counts[messages++] = 0;
        counts[messages - 1]++;
    }
    return messages;
}

/* A queue is any X with X/input (4.88 and later); the others are directories that Exim makes in its spool. */
bool exim_scans(const char *below)
{
    static const char *const own[] = { "input", "msglog", "Finput", "Fmsglog", "db", "scan", "log" };
    const char *second = strchrnul(below, '/');

    for (size_t i = 0; i < sizeof(own) / sizeof(*own); i++) {
        size_t n = strlen(own[i]);

        if (strncmp(below, own[i], n) == 0 && (below[n] == '/' || below[n] == '\0'))
            return true;
        if (*second && strncmp(second + 1, own[i], n) == 0 && (second[1 + n] == '/' || second[1 + n] == '\0'))
            return true;
    }
    return false;
}
