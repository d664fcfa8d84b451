/*
 * Every file name of a queue once, sorted by id, and the messages that the back end makes of them.
 *
 * Knows directories, names, locks and troubles; opens no message. The order made here is the order of all output.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include "engine.h"
#include "filter.h"

enum { NAMES_BLOCK = 64 << 10, TROUBLES_MAX = 100 };

struct names {                  /* packed file names; 100,000 of them in a few blocks */
    struct names *next;
    size_t used;
    char text[NAMES_BLOCK];
};

struct lock {
    dev_t dev;
    ino_t ino;
    bool write;
};

struct listing {
    struct names *names;
    struct entry *entries;
    size_t count, cap;
    struct ref *refs;
    size_t ref_count;
    struct lock *locks;
    size_t lock_count;
    atomic_bool locks_read;
    bool reads_locks;           /* lock_reader is to be joined */
    pthread_t lock_reader;
    pthread_mutex_t mutex;      /* workers report troubles, too */
    char *troubles[TROUBLES_MAX];
    uint64_t trouble_count;
    const struct lq_filter *filter;     /* NULL: every name counts */
    bool only_dirs;             /* names are not wanted */
    uint16_t *slots;            /* spool_dir()'s: directory numbers + 1 by the hash of their path, open addressing */
    size_t slot_count, mapped;  /* a power of two; directories in slots */
    unsigned sections;          /* what the names are for: with logs or without */
    bool failed;                /* out of memory while listing */
    bool unread;                /* a directory could not be read: names may be missing */
};

void spool_trouble(struct spool *sp, const char *fmt, ...)
{
    struct listing *l = sp->listing;
    char *text = NULL;
    va_list ap;

    va_start(ap, fmt);
    if (vasprintf(&text, fmt, ap) < 0)
        text = NULL;
    va_end(ap);
    pthread_mutex_lock(&l->mutex);
    if (l->trouble_count < TROUBLES_MAX) {
        l->troubles[l->trouble_count] = text;
        text = NULL;
    }
    l->trouble_count++;
    pthread_mutex_unlock(&l->mutex);
    free(text);
}

void spool_unread(struct spool *sp, const char *path, enum file_result r)
{
    spool_trouble(sp, "cannot read directory %s/%s: %s", sp->root, path,
                  r == FILE_ODD ? "not a directory, or a link that is not root's" : file_result_text(r));
    sp->listing->unread |= r != FILE_ODD;
}

static int by_text(const void *x, const void *y)
{
    const char *const *a = x, *const *b = y;

    return *a && *b ? strcmp(*a, *b) : (*a != NULL) - (*b != NULL);
}

/* Directories come in no order, and threads report as they go: the reader shall see one order all the same. */
void listing_settle(struct spool *sp)
{
    struct listing *l = sp->listing;
    size_t n = l->trouble_count < TROUBLES_MAX ? (size_t)l->trouble_count : TROUBLES_MAX;

    if (n > 1)
        qsort(l->troubles, n, sizeof(l->troubles[0]), by_text);
}

/* One descriptor a directory: a deeply hashed queue has thousands, and the usual soft limit is 1,024. */
bool listing_more_files(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= limit.rlim_max)
        return false;
    limit.rlim_cur = limit.rlim_max;
    return setrlimit(RLIMIT_NOFILE, &limit) == 0;
}

/* Takes dir->fd over, also when it fails. */
static bool remember_dir(struct spool *sp, struct spool_dir dir, const char *path, const char *queue_name, size_t *index)
{
    struct stat st;

    dir.uid = fstat(dir.fd, &st) == 0 ? st.st_uid : (uid_t)-1;
    if (sp->dir_count == sp->dir_cap) {
        size_t cap = sp->dir_cap ? sp->dir_cap * 2 : 64;
        struct spool_dir *dirs = cap <= UINT16_MAX ? realloc(sp->dirs, cap * sizeof(*dirs)) : NULL;

        if (dirs) {
            sp->dirs = dirs;
            sp->dir_cap = cap;
        }
    }
    dir.path = strdup(path);
    dir.queue_name = strdup(queue_name);
    if (sp->dir_count == sp->dir_cap || !dir.path || !dir.queue_name) {
        close(dir.fd);
        free(dir.path);
        free((char *)dir.queue_name);
        errno = ENOMEM;
        return false;
    }
    *index = sp->dir_count;
    sp->dirs[sp->dir_count++] = dir;
    return true;
}

enum file_result spool_add_dir(struct spool *sp, const char *path, const char *queue_name, unsigned tag, size_t *index)
{
    struct spool_dir dir = { .tag = tag };
    enum file_result r = file_open_dir(sp->fd, *path ? path : ".", &dir.fd);

    if (r == FILE_FAILED && errno == EMFILE && listing_more_files())
        r = file_open_dir(sp->fd, *path ? path : ".", &dir.fd);
    if (r != FILE_OK) {
        if (r != FILE_GONE)
            spool_unread(sp, path, r);
        return r;
    }
    if (!remember_dir(sp, dir, path, queue_name, index)) {
        spool_trouble(sp, "cannot remember directory %s/%s: too many directories, or out of memory", sp->root, path);
        return FILE_FAILED;
    }
    return FILE_OK;
}

/* Level by level: a link is followed only where file_open_dir() trusts it, on the way as at the end. 0 or errno. */
static int open_levels(struct spool *sp, const char *path, int *fd)
{
    static const int errors[] = { [FILE_GONE] = ENOENT, [FILE_DENIED] = EACCES, [FILE_ODD] = ENOTDIR };
    int at = -1;

    do {
        char level[NAME_MAX + 1];
        size_t n = strcspn(path, "/");
        enum file_result r = FILE_FAILED;
        int next;

        errno = ENAMETOOLONG;
        if (n < sizeof(level)) {
            snprintf(level, sizeof(level), "%.*s", (int)n, path);
            r = file_open_dir(at < 0 ? sp->fd : at, n ? level : ".", &next);
        }
        if (r == FILE_FAILED && errno == EMFILE && listing_more_files())
            r = file_open_dir(at < 0 ? sp->fd : at, n ? level : ".", &next);
        if (r != FILE_OK) {
            int error = r == FILE_FAILED ? errno : errors[r];

            if (at >= 0)
                close(at);
            return error;
        }
        if (at >= 0)
            close(at);
        at = next;
        path += n + (path[n] == '/');
    } while (*path);
    *fd = at;
    return 0;
}

/* Servers remove directories that they find empty, and make them again. */
static bool was_removed(int fd)
{
    struct stat st;

    return fstat(fd, &st) < 0 || st.st_nlink == 0;
}

static size_t path_hash(const char *path)
{
    uint64_t h = UINT64_C(14695981039346656037);        /* FNV-1a */

    for (; *path; path++)
        h = (h ^ (unsigned char)*path) * UINT64_C(1099511628211);
    return (size_t)(h ^ h >> 32);
}

/* Where the path is in the table, or would go. */
static size_t path_slot(const struct spool *sp, const char *path)
{
    const struct listing *l = sp->listing;
    size_t at = path_hash(path) & (l->slot_count - 1);

    while (l->slots[at] && strcmp(sp->dirs[l->slots[at] - 1].path, path) != 0)
        at = (at + 1) & (l->slot_count - 1);
    return at;
}

/* Take in the directories that were opened since the last time. Acting asks for several of each message: no walk over 256 of them. */
static bool map_dirs(struct spool *sp)
{
    struct listing *l = sp->listing;

    if (l->slot_count < 2 * (sp->dir_count + 1)) {
        size_t count = l->slot_count ? l->slot_count : 64;
        uint16_t *slots;

        while (count < 4 * (sp->dir_count + 1))
            count *= 2;
        slots = calloc(count, sizeof(*slots));
        if (!slots)
            return false;
        free(l->slots);
        l->slots = slots;
        l->slot_count = count;
        l->mapped = 0;
    }
    for (; l->mapped < sp->dir_count; l->mapped++) {
        size_t at = path_slot(sp, sp->dirs[l->mapped].path);

        if (!l->slots[at])
            l->slots[at] = (uint16_t)(l->mapped + 1);
    }
    return true;
}

int spool_dir(struct spool *sp, const char *path, size_t *index)
{
    struct spool_dir dir = { .tag = SPOOL_TAG_NONE };
    char first[NAME_MAX + 1];
    uint16_t slot;
    size_t i;
    int error;

    if (!map_dirs(sp))
        return ENOMEM;
    slot = sp->listing->slots[path_slot(sp, path)];
    i = slot ? slot - 1u : sp->dir_count;
    if (i < sp->dir_count && !was_removed(sp->dirs[i].fd)) {
        *index = i;
        return 0;
    }
    error = open_levels(sp, path, &dir.fd);
    if (error != 0)
        return error;
    if (i < sp->dir_count) {
        close(sp->dirs[i].fd);
        sp->dirs[i].fd = dir.fd;
        *index = i;
        return 0;
    }
    snprintf(first, sizeof(first), "%.*s", (int)strcspn(path, "/"), path);
    return remember_dir(sp, dir, path, first, index) ? 0 : errno;
}

enum file_result spool_find_dir(struct spool *sp, const char *path, const char *queue_name, unsigned tag, size_t *index)
{
    for (size_t i = 0; i < sp->dir_count; i++) {
        if (sp->dirs[i].tag == tag && strcmp(sp->dirs[i].path, path) == 0) {
            *index = i;
            return FILE_OK;
        }
    }
    return spool_add_dir(sp, path, queue_name, tag, index);
}

static char *keep_name(struct listing *l, const char *name, size_t len)
{
    struct names *block = l->names;
    char *at;

    if (!block || NAMES_BLOCK - block->used < len + 1) {
        block = malloc(sizeof(*block));
        if (!block)
            return NULL;
        block->next = l->names;
        block->used = 0;
        l->names = block;
    }
    at = block->text + block->used;
    memcpy(at, name, len);
    at[len] = '\0';
    block->used += len + 1;
    return at;
}

bool listing_add(struct spool *sp, size_t dir, const char *name, size_t id_at, size_t id_len, uint8_t role)
{
    struct listing *l = sp->listing;
    struct entry *e;
    char *kept;

    if (l->only_dirs || (l->filter && !filter_may_have(l->filter, name + id_at, id_len)))
        return true;
    if (l->count == l->cap) {
        size_t cap = l->cap ? l->cap * 2 : 1024;

        e = realloc(l->entries, cap * sizeof(*e));
        if (!e) {
            l->failed = true;
            return false;
        }
        l->entries = e;
        l->cap = cap;
    }
    kept = keep_name(l, name, strlen(name));
    if (!kept || id_len == 0 || id_len > UINT8_MAX) {
        l->failed = l->failed || !kept;
        return false;
    }
    l->entries[l->count++] = (struct entry){ .name = kept, .id = kept + id_at, .dir = (uint16_t)dir,
                                             .id_len = (uint8_t)id_len, .role = role };
    return true;
}

/* --- order --- */

enum { KEY = 24 };              /* bytes: the longest ids, Exim's of 23, whole */

struct order {
    uint32_t at;                /* in the entries */
    unsigned char key[KEY];     /* the first bytes of the id, then zeros */
};

static int by_entry(const struct entry *a, const struct entry *b, const struct spool_dir *dirs)
{
    size_t n = a->id_len < b->id_len ? a->id_len : b->id_len;
    int d = memcmp(a->id, b->id, n);

    if (d == 0)
        d = (int)a->id_len - (int)b->id_len;
    if (d == 0 && a->dir != b->dir)
        d = strcmp(dirs[a->dir].path, dirs[b->dir].path);
    return d ? d : strcmp(a->name, b->name);
}

static int by_order(const void *x, const void *y, void *sp)
{
    const struct entry *entries = ((struct spool *)sp)->listing->entries;
    const struct order *a = x, *b = y;

    return by_entry(&entries[a->at], &entries[b->at], ((struct spool *)sp)->dirs);
}

/* Those with the same key: two or three files of one message, nearly always. */
static void sort_run(struct spool *sp, struct order *a, size_t n)
{
    enum { FEW = 8 };

    if (n > FEW) {
        qsort_r(a, n, sizeof(*a), by_order, sp);
        return;
    }
    for (size_t i = 1; i < n; i++) {
        struct order moved = a[i];
        size_t at = i;

        for (; at > 0 && by_order(&moved, &a[at - 1], sp) < 0; at--)
            a[at] = a[at - 1];
        a[at] = moved;
    }
}

static void sort_runs(struct spool *sp, struct order *a, size_t n)
{
    for (size_t i = 0, run; i < n; i += run) {
        for (run = 1; i + run < n && memcmp(a[i].key, a[i + run].key, KEY) == 0; run++)
            ;
        if (run > 1)
            sort_run(sp, a + i, run);
    }
}

/*
 * By key, byte for byte from the last to the first: nothing else can be done while the names are sorted, and with so many of them that differ
 * in so few bytes this takes a fourth of the time of a sort that compares. Answers which of the two arrays holds the result.
 */
static struct order *sort_keys(struct order *a, struct order *b, size_t n)
{
    for (size_t byte = KEY; byte-- > 0;) {
        size_t starts[256] = { 0 }, sum = 0;
        struct order *t = a;

        for (size_t i = 0; i < n; i++)
            starts[a[i].key[byte]]++;
        if (n == 0 || starts[a[0].key[byte]] == n)
            continue;
        for (size_t c = 0; c < 256; c++) {
            size_t count = starts[c];

            starts[c] = sum;
            sum += count;
        }
        for (size_t i = 0; i < n; i++)
            b[starts[a[i].key[byte]]++] = a[i];
        a = b;
        b = t;
    }
    return a;
}

static bool same_id(const struct entry *a, const struct entry *b)
{
    return a->id_len == b->id_len && memcmp(a->id, b->id, a->id_len) == 0;
}

static int sort(struct spool *sp)
{
    enum { AHEAD = 16 };        /* of the copying: entries lie in no order */
    struct listing *l = sp->listing;
    struct order *orders = malloc((2 * l->count + 1) * sizeof(*orders)), *order = orders;
    struct entry *sorted = malloc((l->count + 1) * sizeof(*sorted));
    size_t n = 0;

    if (!orders || !sorted || l->count > UINT32_MAX) {
        free(orders);
        free(sorted);
        return -1;
    }
    for (size_t i = 0; i < l->count; i++) {
        const struct entry *e = &l->entries[i];

        order[i].at = (uint32_t)i;
        memset(order[i].key, 0, KEY);
        memcpy(order[i].key, e->id, e->id_len < KEY ? e->id_len : KEY);
    }
    order = sort_keys(orders, orders + l->count, l->count);
    sort_runs(sp, order, l->count);
    for (size_t i = 0; i < l->count; i++) {
        const struct entry *e = &l->entries[order[i].at];
        bool follows = i > 0 && memcmp(order[i - 1].key, order[i].key, KEY) == 0 && same_id(&sorted[n - 1], e);

        if (i + AHEAD < l->count)
            __builtin_prefetch(&l->entries[order[i + AHEAD].at]);
        /* Back ends look into some directories twice, because messages move on meanwhile. */
        if (follows && sorted[n - 1].dir == e->dir && strcmp(sorted[n - 1].name, e->name) == 0)
            continue;
        sorted[n] = *e;
        sorted[n++].follows = follows;
    }
    free(orders);
    free(l->entries);
    l->entries = sorted;
    l->cap = l->count + 1;
    l->count = n;
    return 0;
}

/* Turn runs of one id into messages. */
static int group(struct spool *sp)
{
    struct listing *l = sp->listing;
    uint32_t *counts = NULL;
    size_t cap = 0;

    l->refs = malloc((l->count + 1) * sizeof(*l->refs));
    if (!l->refs)
        return -1;
    for (size_t i = 0, n; i < l->count; i += n) {
        struct entry *e = &l->entries[i];
        size_t messages, at = 0;

        for (n = 1; i + n < l->count && e[n].follows; n++)
            ;
        if (n > cap) {
            uint32_t *more = realloc(counts, n * sizeof(*counts));

            if (!more) {
                free(counts);
                return -1;
            }
            counts = more;
            cap = n;
        }
        messages = sp->backend->group(sp, e, n, counts);
        for (size_t k = 0; k < n && n > 1; k++)
            e[k].follows = k > 0;       /* they were put in another order */
        for (size_t m = 0; m < messages; m++) {
            l->refs[l->ref_count++] = (struct ref){ e + at, counts[m], messages > 1 };
            at += counts[m];
        }
    }
    free(counts);
    if (l->ref_count > 0) {
        struct ref *fit = realloc(l->refs, l->ref_count * sizeof(*fit));

        if (fit)
            l->refs = fit;
    }
    return 0;
}

/* --- locks --- */

static int by_lock(const void *x, const void *y)
{
    const struct lock *a = x, *b = y;

    if (a->ino != b->ino)
        return a->ino < b->ino ? -1 : 1;
    if (a->dev != b->dev)
        return a->dev < b->dev ? -1 : 1;
    return (int)a->write - (int)b->write;
}

/* Lines: "1: POSIX  ADVISORY  WRITE 715 fe:00:1335 0 18". False: no room for more. */
static bool add_locks(struct listing *l, size_t *cap)
{
    FILE *f = fopen("/proc/locks", "re");
    char line[256], room[8192];
    bool fits = true;

    if (f)
        setvbuf(f, room, _IOFBF, sizeof(room));
    while (f && fits && fgets(line, sizeof(line), f)) {
        unsigned major_dev, minor_dev;
        unsigned long long ino;
        char kind[16], mode[16];

        if (sscanf(line, "%*d: %15s %*s %15s %*d %x:%x:%llu", kind, mode, &major_dev, &minor_dev, &ino) != 5 ||
            kind[0] == '-')
            continue;
        if (l->lock_count == *cap) {
            size_t more_cap = *cap ? *cap * 2 : 16;
            struct lock *more = realloc(l->locks, more_cap * sizeof(*more));

            fits = more != NULL;
            if (!fits)
                break;
            l->locks = more;
            *cap = more_cap;
        }
        l->locks[l->lock_count++] = (struct lock){ makedev(major_dev, minor_dev), (ino_t)ino, strcmp(mode, "WRITE") == 0 };
    }
    if (f)
        fclose(f);
    return fits;
}

/*
 * Who holds locks now, from /proc/locks: asking with fcntl() would cost a call per file, and taking a lock to find out would make the MTA
 * skip the message. Read twice: between two reads the kernel goes on by number, so a lock that is given up meanwhile makes it leave out
 * another one.
 */
static void *read_locks(void *listing)
{
    struct listing *l = listing;
    size_t cap = 0;

    if (add_locks(l, &cap))
        add_locks(l, &cap);
    if (l->lock_count > 1)
        qsort(l->locks, l->lock_count, sizeof(*l->locks), by_lock);
    return NULL;
}

/* The kernel makes who reads that file wait, for all processors to pass by: by a thread of its own, where threads are allowed. */
static void begin_locks(struct spool *sp)
{
    struct listing *l = sp->listing;

    l->reads_locks = sp->threads > 1 && pthread_create(&l->lock_reader, NULL, read_locks, l) == 0;
    if (!l->reads_locks)
        read_locks(l);
    l->locks_read = !l->reads_locks;
}

static void await_locks(struct listing *l)
{
    pthread_mutex_lock(&l->mutex);
    if (l->reads_locks)
        pthread_join(l->lock_reader, NULL);
    l->reads_locks = false;
    l->locks_read = true;
    pthread_mutex_unlock(&l->mutex);
}

static bool has_lock(const struct spool *sp, dev_t dev, ino_t ino, bool write)
{
    struct listing *l = sp->listing;
    struct lock key = { dev, ino, write };

    if (!l->locks_read)
        await_locks(l);
    return l->lock_count > 0 && bsearch(&key, l->locks, l->lock_count, sizeof(key), by_lock);
}

bool spool_locked(const struct spool *sp, dev_t dev, ino_t ino)
{
    return has_lock(sp, dev, ino, true);
}

bool listing_any_lock(const struct spool *sp, dev_t dev, ino_t ino)
{
    return has_lock(sp, dev, ino, true) || has_lock(sp, dev, ino, false);
}

/*
 * The last time that a file came to one of the directories or left it. Of a queue that stands still this is its last sign of life, and
 * unlike the times of files it costs a handful of calls and never lies ahead (deferred Postfix files carry the time of their next attempt).
 */
static int64_t last_change(const struct spool *sp)
{
    int64_t last = 0;
    struct stat st;

    for (size_t i = 0; i < sp->dir_count; i++)
        if (fstat(sp->dirs[i].fd, &st) == 0 && st.st_mtim.tv_sec > last)
            last = st.st_mtim.tv_sec;
    return last;
}

/* --- life --- */

static int begin(struct spool *sp, struct lq_queue *q, unsigned sections, const struct lq_filter *filter, bool only_dirs,
                 unsigned threads, struct lq_error *err)
{
    int rc;

    memset(sp, 0, sizeof(*sp));
    sp->backend = q->backend;
    sp->root = q->root;
    sp->origin = q->origin;
    sp->fd = q->fd;
    sp->host = q->host;
    sp->live = q->live;
    sp->threads = threads;
    sp->trust = &q->trust;
    sp->clock = time(NULL);
    sp->listing = calloc(1, sizeof(*sp->listing));
    if (!sp->listing)
        return error_memory(err);
    pthread_mutex_init(&sp->listing->mutex, NULL);
    sp->listing->filter = filter;
    sp->listing->only_dirs = only_dirs;
    sp->listing->sections = sections;
    rc = sp->backend->open ? sp->backend->open(sp, err) : LQ_OK;
    if (rc == LQ_OK)
        rc = sp->backend->list(sp, sections, err);
    /* After the names: what was locked before a name appeared is then seen, too. */
    if (rc == LQ_OK)
        begin_locks(sp);
    if (rc == LQ_OK && (sp->listing->failed || sort(sp) < 0 || group(sp) < 0))
        rc = error_memory(err);
    if (rc == LQ_OK && !q->live) {
        q->now = last_change(sp);
        sp->clock = q->now;     /* what was being received when it stopped is not abandoned because years passed */
    }
    if (rc == LQ_OK)
        listing_settle(sp);
    if (rc != LQ_OK)
        listing_end(sp);
    return rc;
}

int listing_begin(struct spool *sp, struct lq_queue *q, unsigned sections, const struct lq_filter *filter, struct lq_error *err)
{
    return begin(sp, q, sections, filter, false, 1, err);
}

int listing_begin_threads(struct spool *sp, struct lq_queue *q, unsigned sections, const struct lq_filter *filter, unsigned threads,
                          struct lq_error *err)
{
    return begin(sp, q, sections, filter, false, threads, err);
}

int listing_dirs(struct spool *sp, struct lq_queue *q, struct lq_error *err)
{
    return begin(sp, q, SEC_NAME | SEC_LOG, NULL, true, 1, err);
}

/* Where entries of that id begin, or would. */
static size_t find_id(const struct listing *l, const char *id, size_t n)
{
    size_t low = 0, high = l->count;

    while (low < high) {
        size_t mid = low + (high - low) / 2, len = l->entries[mid].id_len;
        int d = memcmp(l->entries[mid].id, id, len < n ? len : n);

        if (d < 0 || (d == 0 && len < n))
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

/* A few ids of many: found, not asked about each name in turn. False without memory. */
static bool keep_ids(struct listing *l, const struct id_set *ids)
{
    bool *kept = calloc(l->count + 1, sizeof(*kept));
    size_t n = 0;

    if (!kept)
        return false;
    for (size_t i = 0; i < ids->cap; i++)
        if (ids->slots[i])
            kept[find_id(l, ids->slots[i], strlen(ids->slots[i]))] = true;
    for (size_t i = 0; i < l->count; i++) {
        kept[i] |= l->entries[i].follows && kept[i - 1];
        if (kept[i] && filter_may_have(l->filter, l->entries[i].id, l->entries[i].id_len))
            l->entries[n++] = l->entries[i];
    }
    l->count = n;
    free(kept);
    return true;
}

/* Entries whose id the filter does not rule out. */
static bool keep_selected(struct listing *l)
{
    const struct id_set *ids = l->filter ? filter_ids(l->filter) : NULL;
    size_t n = 0;

    if (ids && ids->n < l->count / 16)
        return keep_ids(l, ids);
    for (size_t i = 0; i < l->count; i++)
        if (!l->filter || filter_may_have(l->filter, l->entries[i].id, l->entries[i].id_len))
            l->entries[n++] = l->entries[i];
    l->count = n;
    return true;
}

int listing_narrow(struct spool *sp, unsigned sections, const struct lq_filter *filter, struct lq_error *err)
{
    struct listing *l = sp->listing;
    size_t kept;

    l->filter = filter;
    if (!keep_selected(l))
        return error_memory(err);
    kept = l->count;
    for (size_t i = 0; i < kept && sections & ~l->sections & SEC_LOG && sp->backend->list_logs; i++) {
        struct entry e = l->entries[i];     /* which may move */

        sp->backend->list_logs(sp, &e);
    }
    l->sections |= sections;
    free(l->refs);
    l->refs = NULL;
    l->ref_count = 0;
    return l->failed || sort(sp) < 0 || group(sp) < 0 ? error_memory(err) : LQ_OK;
}

void listing_end(struct spool *sp)
{
    struct listing *l = sp->listing;

    if (!l)
        return;
    await_locks(l);
    if (sp->backend->close)
        sp->backend->close(sp);
    for (size_t i = 0; i < sp->dir_count; i++) {
        close(sp->dirs[i].fd);
        free(sp->dirs[i].path);
        free((char *)sp->dirs[i].queue_name);
    }
    free(sp->dirs);
    spool_names_done(sp);
    while (l->names) {
        struct names *next = l->names->next;

        free(l->names);
        l->names = next;
    }
    for (size_t i = 0; i < TROUBLES_MAX; i++)
        free(l->troubles[i]);
    free(l->entries);
    free(l->refs);
    free(l->locks);
    free(l->slots);
    pthread_mutex_destroy(&l->mutex);
    free(l);
    memset(sp, 0, sizeof(*sp));
}

size_t listing_count(const struct spool *sp)
{
    return sp->listing->ref_count;
}

const struct ref *listing_ref(const struct spool *sp, size_t i)
{
    return &sp->listing->refs[i];
}

const struct entry *listing_entries(const struct spool *sp, size_t *n)
{
    *n = sp->listing->count;
    return sp->listing->entries;
}

uint64_t listing_troubles(const struct spool *sp)
{
    return sp->listing->trouble_count;
}

bool listing_unread(const struct spool *sp)
{
    return sp->listing->unread;
}

const char *listing_trouble(const struct spool *sp, size_t i)
{
    return i < sp->listing->trouble_count && i < TROUBLES_MAX ? sp->listing->troubles[i] : NULL;
}
