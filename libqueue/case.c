/*
 * Cases: making one, opening one that is open or packed, its spools. The custody journal is case_journal.c's, deleting and what crashes
 * leave case_end.c's, hashes and records are bag.c's, archives pack.c's.
 *
 * What is there at any moment, and which of it is true:
 *
 *     CASE/ with INCOMPLETE        being filled, or not sealed yet: the messages are there
 *     CASE/                        sealed
 *     CASE/ and .packing-CASE*     being packed: the tree is true, the rest is removed
 *     CASE/ and CASE.tar.zst       packed, verified and on disk: the archive is true, the tree goes
 *     .gone-CASE/                  a tree being removed: nothing in it counts any more
 *     CASE.tar.zst                 packed
 *     .unpacked-CASE*              a packed case being read: a copy
 *
 * Each of them becomes the next by one rename, in a directory that is synced after it.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include "bag.h"
#include "json.h"
#include "tree.h"
#include "vault.h"

enum { SPOOLS_MAX = 1000, INFO_MAX = 64 << 20 };

static const char *const custody_names[] = { [LQ_MOVED] = "moved", [LQ_PURGED] = "purged", [LQ_COPY] = "copy" };

const char *case_custody(enum lq_custody custody)
{
    return custody_names[custody];
}

int case_error(const struct lq_case *c, const char *name, int error, struct lq_error *err)
{
    enum lq_status status = error == ENOSPC || error == EDQUOT ? LQ_ENOSPC : error == ENOMEM ? LQ_ENOMEM : error == EACCES ? LQ_EACCES : LQ_EIO;

    return error_set(err, status, "%s%s%s: %s", c->path, name && *name ? "/" : "", name ? name : "", strerror(error));
}

static const char *keep(struct lq_case *c, const char *text)
{
    return text ? arena_copy(&c->texts, text, strlen(text)).p : NULL;
}

static struct lq_case *new_case(struct lq_vault *v, const char *name, const char *path)
{
    struct lq_case *c = calloc(1, sizeof(*c));

    if (!c)
        return NULL;
    c->vault = v;
    c->fd = c->parent = c->journal = c->archive = -1;
    c->name = strdup(name);
    if (path)
        c->path = strdup(path);
    else if (asprintf(&c->path, "%s/%s", v->path, name) < 0)
        c->path = NULL;
    if (!c->name || !c->path) {
        c->vault = NULL;
        lq_case_close(c);
        return NULL;
    }
    c->info.name = c->name;
    c->info.path = c->path;
    return c;
}

void case_close_tree(struct lq_case *c)
{
    for (size_t i = 0; i < c->spool_count; i++) {
        if (c->queues) {
            lq_queue_close(c->queues[i]);
            c->queues[i] = NULL;
        }
        if (c->spools[i].fd >= 0)
            close(c->spools[i].fd);
        c->spools[i].fd = -1;
    }
    if (c->unpacked && c->tree)
        tree_remove(c->parent, c->tree);
    c->unpacked = false;
    free(c->tree);
    c->tree = NULL;
    if (c->journal >= 0)
        close(c->journal);
    if (c->fd >= 0)
        close(c->fd);
    c->journal = c->fd = -1;
}

static void forget_spools(struct lq_case *c)
{
    for (size_t i = 0; i < c->spool_count; i++) {
        free(c->spools[i].spool);
        free(c->spools[i].mta);
        free(c->spools[i].host);
    }
    free(c->queues);
    free(c->spools);
    c->queues = NULL;
    c->spools = NULL;
    c->spool_count = 0;
}

void lq_case_close(struct lq_case *c)
{
    if (!c)
        return;
    case_close_tree(c);
    ledger_close(c->went);
    forget_spools(c);
    if (c->archive >= 0)
        close(c->archive);
    if (c->parent >= 0 && (!c->vault || c->parent != c->vault->fd))
        close(c->parent);
    free(c->name);
    free(c->path);
    arena_done(&c->texts);
    if (c->own_vault)
        lq_vault_close(c->vault);
    free(c);
}

/* --- files of its top --- */

int case_write_file(struct lq_case *c, const char *name, const void *p, size_t n)
{
    char temp[NAME_MAX + 1];
    int fd, error;

    snprintf(temp, sizeof(temp), ".new-%s", name);
    file_remove(c->fd, temp);
    error = vault_create(c->vault, c->fd, temp, &fd);
    if (error)
        return error;
    error = vault_append(c->vault, fd, p, n);
    if (error == 0)
        error = file_sync(fd);
    close(fd);
    if (error == 0)
        error = file_replace(c->fd, temp, name);
    if (error)
        file_remove(c->fd, temp);
    return error;
}

/* A line of bag-info.txt; what would end the line becomes a blank. */
static void label(struct buf *b, const char *name, const char *value)
{
    if (!value)
        return;
    buf_printf(b, "%s: ", name);
    for (const unsigned char *p = (const unsigned char *)value; *p; p++)
        buf_add_char(b, *p < ' ' || *p == 0x7F ? ' ' : (char)*p);
    buf_add_char(b, '\n');
}

static void label_time(struct buf *b, const char *name, int64_t t, const char *format)
{
    char text[64];
    time_t when = (time_t)t;
    struct tm tm;

    if (gmtime_r(&when, &tm) && strftime(text, sizeof(text), format, &tm) > 0)
        label(b, name, text);
}

void case_info_text(const struct lq_case *c, const struct bag_sums *sums, struct buf *b)
{
    const struct lq_case_info *i = &c->info;

    if (sums)
        label_time(b, "Bagging-Date", (int64_t)time(NULL), "%Y-%m-%d");
    label(b, "External-Identifier", c->name);
    label(b, "Bag-Software-Agent", "mqtools " MQ_VERSION);
    if (sums)
        buf_printf(b, "Payload-Oxum: %llu.%llu\n", (unsigned long long)sums->bytes, (unsigned long long)sums->files);
    label(b, "Mqtools-Custody", custody_names[i->custody]);
    label_time(b, "Mqtools-Created", i->created, "%Y-%m-%dT%H:%M:%SZ");
    label(b, "Mqtools-Host", i->host);
    label(b, "Mqtools-Verb", i->verb);
    label(b, "Mqtools-Why", i->why);
    label(b, "Mqtools-Command", i->command);
    buf_printf(b, "Mqtools-Spools: %zu\n", c->spool_count);
    if (sums)
        buf_printf(b, "Mqtools-Messages: %llu\n", (unsigned long long)sums->messages);
    if (c->journal_lines > 0)
        buf_printf(b, "Mqtools-Journal: %llu %s\n", (unsigned long long)c->journal_lines, c->journal_hash);
}

int case_write_info(struct lq_case *c, const struct bag_sums *sums, struct lq_error *err)
{
    struct buf b = { 0 };
    int error;

    case_info_text(c, sums, &b);
    error = b.failed ? ENOMEM : case_write_file(c, "bag-info.txt", b.p, b.n);
    buf_done(&b);
    return error ? case_error(c, "bag-info.txt", error, err) : LQ_OK;
}

/* --- reading bag-info.txt and spools.ndjson, which in a case from elsewhere anybody may have written --- */

/* The value of a label, with continued lines joined; NULL if it is not there. */
static const char *value_of(struct lq_case *c, const char *text, size_t n, const char *name)
{
    size_t len = strlen(name);
    const char *p = text, *end = text + n;

    while (p < end) {
        const char *nl = memchr(p, '\n', (size_t)(end - p)), *stop = nl ? nl : end;

        if ((size_t)(stop - p) > len && p[len] == ':' && strncasecmp(p, name, len) == 0) {
            const char *v = p + len + 1;

            while (v < stop && (*v == ' ' || *v == '\t'))
                v++;
            while (stop > v && stop[-1] == '\r')
                stop--;
            return arena_copy(&c->texts, v, (size_t)(stop - v)).p;
        }
        p = nl ? nl + 1 : end;
    }
    return NULL;
}

static uint64_t number_of(const char *text)
{
    return text && isdigit((unsigned char)*text) ? strtoull(text, NULL, 10) : 0;
}

static int load_info(struct lq_case *c, const char *text, size_t n, struct lq_error *err)
{
    struct lq_case_info *i = &c->info;
    const char *custody = value_of(c, text, n, "Mqtools-Custody"), *created = value_of(c, text, n, "Mqtools-Created");
    const char *oxum = value_of(c, text, n, "Payload-Oxum");
    bool known = false;

    for (size_t k = 0; custody && k < sizeof(custody_names) / sizeof(*custody_names); k++)
        if (strcmp(custody, custody_names[k]) == 0) {
            i->custody = (enum lq_custody)k;
            known = true;
        }
    if (!known)
        return error_set(err, LQ_EDAMAGED, "%s: bag-info.txt does not say Mqtools-Custody: moved, purged or copy: not a case of ours", c->path);
    c->own_name = value_of(c, text, n, "External-Identifier");
    i->host = value_of(c, text, n, "Mqtools-Host");
    i->verb = value_of(c, text, n, "Mqtools-Verb");
    i->why = value_of(c, text, n, "Mqtools-Why");
    i->command = value_of(c, text, n, "Mqtools-Command");
    i->redacted = value_of(c, text, n, CASE_REDACTED) != NULL;
    i->messages = number_of(value_of(c, text, n, "Mqtools-Messages"));
    i->bytes = number_of(oxum);
    c->payload_files = oxum && strchr(oxum, '.') ? number_of(strchr(oxum, '.') + 1) : 0;
    if (created)
        lq_time_parse(&i->created, created, NULL);
    return LQ_OK;
}

/* Text in a member that NAME_b64 would hold, too, is a name that no record shows differently. */
static char *member(json_t *o, const char *name)
{
    const char *text = json_string_value(json_object_get(o, name));

    return text ? strdup(text) : NULL;
}

static int add_spool(struct lq_case *c, struct case_spool **out)
{
    struct case_spool *more = realloc(c->spools, (c->spool_count + 1) * sizeof(*more));
    struct lq_queue **queues;

    if (!more)
        return ENOMEM;
    c->spools = more;
    queues = realloc(c->queues, (c->spool_count + 1) * sizeof(*queues));
    if (!queues)
        return ENOMEM;
    c->queues = queues;
    c->queues[c->spool_count] = NULL;
    *out = &c->spools[c->spool_count++];
    **out = (struct case_spool){ .fd = -1 };
    return 0;
}

/* Only the number of the line and a mail server that we know make the directory's name: no path comes from the file. */
static int load_spool(struct lq_case *c, const char *line, size_t n, struct lq_error *err)
{
    json_t *o = json_loadb(line, n, 0, NULL);
    const char *mta = json_string_value(json_object_get(o, "mta")), *dev = json_string_value(json_object_get(o, "dev"));
    struct case_spool *s = NULL;
    unsigned maj, min;
    int rc = LQ_OK;

    if (!mta || !queue_backend(mta) || !json_string_value(json_object_get(o, "spool")))
        rc = error_set(err, LQ_EDAMAGED, "%s: line %zu of spools.ndjson is not readable", c->path, c->spool_count + 1);
    else if (add_spool(c, &s) != 0)
        rc = error_memory(err);
    if (rc == LQ_OK) {
        s->mta = member(o, "mta");
        s->spool = member(o, "spool");
        s->host = member(o, "host");
        if (dev && sscanf(dev, "%x:%x", &maj, &min) == 2)
            s->dev = makedev(maj, min);
        s->inode = (uint64_t)json_integer_value(json_object_get(o, "inode"));
        if (!s->mta || !s->spool)
            rc = error_memory(err);
    }
    json_decref(o);
    return rc;
}

static int load_spools(struct lq_case *c, const char *text, size_t n, struct lq_error *err)
{
    const char *p = text, *end = text + n;
    int rc = LQ_OK;

    /* The last line without its end was being written when the world ended; its directory holds nothing. */
    for (const char *nl; rc == LQ_OK && p < end && (nl = memchr(p, '\n', (size_t)(end - p))) != NULL; p = nl + 1)
        rc = c->spool_count < SPOOLS_MAX ? load_spool(c, p, (size_t)(nl - p), err)
                                         : error_set(err, LQ_EDAMAGED, "%s: spools.ndjson has more than %d lines", c->path, (int)SPOOLS_MAX);
    c->info.spools = c->spool_count;
    return rc;
}

static void spool_dir_name(const struct lq_case *c, size_t i, char out[64])
{
    snprintf(out, 64, "%zu-%s", i, c->spools[i].mta);
}

/*
 * A tree that was copied (cp -a) is not the one that the messages were moved into, and what went back out of that one would go back again out of this. An
 * archive's tree is made anew each time.
 */
static bool was_copied(const struct lq_case *c, const struct case_spool *s)
{
    struct stat st;

    return s->fd >= 0 && !c->unpacked && !(c->tree && c->tree[0] == '.') && fstat(s->fd, &st) == 0 && (uint64_t)st.st_ino != s->inode;
}

/* The directories of its spools, in the tree. One that was never made holds nothing. */
static int open_spools(struct lq_case *c, struct lq_error *err)
{
    for (size_t i = 0; i < c->spool_count; i++) {
        char path[80] = "data/";
        int error;

        if (c->spools[i].fd >= 0)
            continue;
        spool_dir_name(c, i, path + 5);
        error = file_open_below(c->fd, path, &c->spools[i].fd);
        if (error && error != ENOENT)
            return case_error(c, path, error, err);
        if (was_copied(c, &c->spools[i]))
            c->info.custody = LQ_COPY;
    }
    return LQ_OK;
}

/* A whole small file of the tree; a missing one is empty. */
static int read_whole(int dirfd, const char *name, struct buf *b)
{
    struct stat st;
    int fd, error = 0;
    enum file_result r = file_open(dirfd, name, &fd, &st);
    char block[4096];
    ssize_t n;

    if (r == FILE_GONE)
        return 0;
    if (r != FILE_OK)
        return r == FILE_DENIED ? EACCES : r == FILE_ODD ? EINVAL : errno;
    while ((n = read(fd, block, sizeof(block))) > 0 && b->n <= INFO_MAX)
        buf_add(b, block, (size_t)n);
    if (n < 0)
        error = errno;
    else if (n > 0)
        error = EFBIG;
    close(fd);
    return b->failed ? ENOMEM : error;
}

int case_read_file(struct lq_case *c, const char *name, struct buf *b)
{
    return read_whole(c->fd, name, b);
}

/* --- where it comes from --- */

/* Nobody else can change what is in the tree, or exchange it, while it is read. */
static bool is_ours(const struct lq_case *c)
{
    struct stat st;
    int data, error;

    if (fstat(c->fd, &st) < 0 || (st.st_uid != 0 && st.st_uid != geteuid()) || (st.st_mode & 022))
        return false;
    error = file_open_below(c->fd, "data", &data);
    if (error)
        return error == ENOENT;
    error = fstat(data, &st);
    close(data);
    return error == 0 && (st.st_uid == 0 || st.st_uid == geteuid()) && !(st.st_mode & 022);
}

/*
 * A case that was made by a job of this vault, and has the name that it was given, is the one that messages were moved into. An archive that was brought
 * here, or renamed, may be a second one of the same messages. (A copied tree is told by its inodes.)
 */
static bool is_of_vault(const struct lq_case *c)
{
    char job[JOB_NAME + 8];
    struct stat st;

    if (!c->vault || (c->own_name && strcmp(c->own_name, c->name) != 0))
        return false;
    snprintf(job, sizeof(job), "%s.ndjson", c->name);
    return c->archive < 0 || file_stat(c->vault->jobs, job, &st) == FILE_OK;
}

/*
 * The ledger of a case from elsewhere is found by what is in the case, whatever its file is called. bag-info.txt stands for that, being first in an archive: it has
 * the number and sizes of all files, and the hash of the journal. Who copies it from a case of ours has that case.
 */
static int name_ledger(struct lq_case *c, const struct buf *info, struct lq_error *err)
{
    const char *name = c->own_name && vault_job_name(c->own_name, strlen(c->own_name)) ? c->own_name : "case";
    char hex[DIGEST_HEX + 1];
    struct digest *d;

    if (!c->info.elsewhere) {
        snprintf(c->ledger, sizeof(c->ledger), "%s", c->name);
        return LQ_OK;
    }
    d = digest_new();
    if (!d)
        return error_memory(err);
    digest_begin(d);
    digest_add(d, info->p ? info->p : "", info->n);
    digest_end(d, hex);
    digest_free(d);
    snprintf(c->ledger, sizeof(c->ledger), "%s-%.16s", name, hex);
    return LQ_OK;
}

static int judge(struct lq_case *c, const struct buf *info, struct lq_error *err)
{
    c->info.strangers = c->archive < 0 && !is_ours(c);
    c->info.elsewhere = c->info.strangers || !is_of_vault(c);
    if (c->info.elsewhere)
        c->info.custody = LQ_COPY;
    return name_ledger(c, info, err);
}

static int load_tree(struct lq_case *c, struct lq_error *err)
{
    struct buf info = { 0 }, spools = { 0 };
    struct stat st;
    int rc, error = read_whole(c->fd, "bag-info.txt", &info);

    if (error == 0)
        error = read_whole(c->fd, "spools.ndjson", &spools);
    if (error)
        rc = case_error(c, "", error, err);
    /* A case whose making was interrupted has nothing in it yet. */
    else if (info.n == 0 && c->vault && spools.n == 0)
        rc = LQ_OK;
    else
        rc = load_info(c, info.p ? info.p : "", info.n, err);
    if (rc == LQ_OK)
        rc = load_spools(c, spools.p ? spools.p : "", spools.n, err);
    if (rc == LQ_OK)
        rc = judge(c, &info, err);
    if (rc == LQ_OK)
        rc = open_spools(c, err);
    c->info.sealed = info.n > 0 && value_of(c, info.p, info.n, "Payload-Oxum") && file_stat(c->fd, "INCOMPLETE", &st) == FILE_GONE;
    buf_done(&info);
    buf_done(&spools);
    return rc;
}

/* --- opening --- */

static int add_size(void *ctx, const struct tree_file *f)
{
    uint64_t *bytes = ctx;
    struct stat st;

    if (file_stat(f->dir, f->name, &st) == FILE_OK)
        *bytes += (uint64_t)st.st_size;
    return 0;
}

/* What is not sealed is counted: names and sizes, nothing is opened. */
static void count_open(struct lq_case *c)
{
    c->info.messages = c->info.bytes = 0;
    for (size_t i = 0; i < c->spool_count; i++) {
        struct lq_queue *q;
        struct spool sp;

        if (c->spools[i].fd < 0 || lq_case_queue(&q, c, i, NULL) != LQ_OK)
            continue;
        if (listing_begin(&sp, q, SEC_NAME, NULL, NULL) == LQ_OK) {
            c->info.messages += listing_count(&sp);
            listing_end(&sp);
        }
        tree_walk(c->spools[i].fd, NULL, add_size, &c->info.bytes);
    }
}

static void finish_info(struct lq_case *c)
{
    struct ledger *l;

    if (!c->info.sealed && !c->info.packed)
        count_open(c);
    c->info.unfinished = c->vault && vault_case_crashed(c->vault, c->name);
    if (c->vault && ledger_look(&l, c->vault, c->ledger, NULL) == LQ_OK) {
        c->info.restored = ledger_count(l);
        ledger_close(l);
    }
    if (c->info.created == 0 && vault_job_name(c->name, strlen(c->name))) {
        struct tm tm = { 0 };

        if (strptime(c->name, "%Y%m%dT%H%M%SZ", &tm))
            c->info.created = (int64_t)timegm(&tm);
    }
}

static int open_packed(struct lq_case *c, struct lq_error *err)
{
    struct buf info = { 0 }, spools = { 0 };
    int rc = pack_read_info(c->archive, c->path, &info, &spools, err);

    if (rc == LQ_OK)
        rc = load_info(c, info.p ? info.p : "", info.n, err);
    if (rc == LQ_OK)
        rc = load_spools(c, spools.p ? spools.p : "", spools.n, err);
    c->info.packed = c->info.sealed = true;
    if (rc == LQ_OK)
        rc = judge(c, &info, err);
    buf_done(&info);
    buf_done(&spools);
    return rc;
}

/* The archive, once it has its name, is true; a tree beside it is on its way out. */
enum file_result case_find_packed(struct lq_case *c)
{
    char name[JOB_NAME + 16];
    struct stat st;

    for (const char *const *end = vault_packed_ends; *end; end++) {
        enum file_result r;

        snprintf(name, sizeof(name), "%s%s", c->name, *end);
        r = file_open(c->vault->fd, name, &c->archive, &st);
        if (r == FILE_OK) {
            free(c->path);
            if (asprintf(&c->path, "%s/%s", c->vault->path, name) < 0)
                c->path = NULL;
            c->info.path = c->path;
        }
        if (r != FILE_GONE)
            return r;
    }
    return FILE_GONE;
}

static int open_tree(struct lq_case *c, const char *tree, struct lq_error *err)
{
    int error = file_open_below(c->parent, tree, &c->fd);

    if (error == 0) {
        c->tree = strdup(tree);
        error = c->tree ? 0 : ENOMEM;
    }
    if (error)
        return error == ENOENT ? error_set(err, LQ_ENOENT, "%s: no such case", c->path) : case_error(c, "", error, err);
    return load_tree(c, err);
}

/*
 * Evidence that somebody put beside the open case, under its name. A case never becomes that; and who takes it for one could not bring its
 * messages back. Then the tree counts.
 */
static bool is_foreign_copy(struct lq_case *c)
{
    struct buf info = { 0 }, spools = { 0 };
    struct stat st;
    const char *custody;
    bool yes = false;
    char *path;

    if (file_stat(c->vault->fd, c->name, &st) == FILE_GONE)
        return false;
    if (pack_read_info(c->archive, c->path, &info, &spools, NULL) == LQ_OK) {
        custody = value_of(c, info.p ? info.p : "", info.n, "Mqtools-Custody");
        yes = custody && strcmp(custody, custody_names[LQ_COPY]) == 0;
    }
    buf_done(&info);
    buf_done(&spools);
    if (!yes || asprintf(&path, "%s/%s", c->vault->path, c->name) < 0)
        return false;
    free(c->path);
    c->path = path;
    c->info.path = path;
    close(c->archive);
    c->archive = -1;
    return true;
}

static int open_named(struct lq_case **out, struct lq_vault *v, const char *name, const char *tree, struct lq_error *err)
{
    struct lq_case *c;
    enum file_result r = FILE_GONE;
    int rc;

    if (!vault_job_name(name, strlen(name)))
        return error_set(err, LQ_EINVAL, "'%.100s' is not the name of a case (such as 20261122T031415Z-a1b2)", name);
    c = new_case(v, name, NULL);
    if (!c)
        return error_memory(err);
    c->parent = v->fd;
    if (!tree)
        r = case_find_packed(c);
    if (!c->path)
        rc = error_memory(err);
    else if (r == FILE_OK)
        rc = is_foreign_copy(c) ? open_tree(c, name, err) : open_packed(c, err);
    else if (r != FILE_GONE)
        rc = error_set(err, r == FILE_DENIED ? LQ_EACCES : LQ_EIO, "%s: %s", c->path, file_result_text(r));
    else
        rc = open_tree(c, tree ? tree : name, err);
    if (rc != LQ_OK) {
        lq_case_close(c);
        return rc;
    }
    finish_info(c);
    *out = c;
    return LQ_OK;
}

int case_open_tree(struct lq_case **out, struct lq_vault *v, const char *name, const char *tree, struct lq_error *err)
{
    return open_named(out, v, name, tree, err);
}

/* "/x/y.tar.zst/": directory "/x", name "y.tar.zst". False without memory. */
static bool split(const char *path, char **dir, char **base)
{
    size_t n = strlen(path), at;

    while (n > 1 && path[n - 1] == '/')
        n--;
    for (at = n; at > 0 && path[at - 1] != '/';)
        at--;
    *base = strndup(path + at, n - at);
    while (at > 1 && path[at - 1] == '/')
        at--;
    *dir = at > 0 ? strndup(path, at) : strdup(".");
    return *dir && *base;
}

/* A case's name is its file's without the end that says how it is packed. */
static void cut_end(char *name)
{
    for (const char *const *end = vault_packed_ends; *end; end++) {
        size_t n = strlen(name), k = strlen(*end);

        if (n > k && strcmp(name + n - k, *end) == 0)
            name[n - k] = '\0';
    }
}

static int open_elsewhere(struct lq_case *c, const char *dir, const char *base, struct lq_error *err)
{
    enum file_result r = file_open_dir(AT_FDCWD, dir, &c->parent);
    struct stat st;

    if (r == FILE_OK)
        r = file_open(c->parent, base, &c->archive, &st);
    else
        c->parent = -1;
    if (r == FILE_OK)
        return open_packed(c, err);
    if (r == FILE_ODD && c->parent >= 0)
        return open_tree(c, base, err);
    return error_set(err, r == FILE_GONE ? LQ_ENOENT : r == FILE_DENIED ? LQ_EACCES : LQ_EIO, "%s: %s", c->path, file_result_text(r));
}

static int open_path(struct lq_case **out, const char *path, struct lq_error *err)
{
    char *dir = NULL, *base = NULL, name[NAME_MAX + 1];
    struct lq_vault *v = NULL;
    struct lq_case *c = NULL;
    int rc = LQ_OK;

    if (!split(path, &dir, &base)) {
        rc = error_memory(err);
    } else {
        snprintf(name, sizeof(name), "%s", base);
        cut_end(name);
        /* In a vault it is opened as one of its cases: then its ledger is known. */
        if (vault_job_name(name, strlen(name)) && lq_vault_open(&v, dir, NULL) == LQ_OK) {
            rc = open_named(&c, v, name, NULL, err);
            if (rc == LQ_OK)
                c->own_vault = true;
            else
                lq_vault_close(v);
        } else {
            c = new_case(NULL, name, path);
            rc = c ? open_elsewhere(c, dir, base, err) : error_memory(err);
            if (rc == LQ_OK) {
                finish_info(c);
            } else {
                lq_case_close(c);
                c = NULL;
            }
        }
    }
    free(dir);
    free(base);
    if (rc == LQ_OK)
        *out = c;
    return rc;
}

int lq_case_open(struct lq_case **out, struct lq_vault *v, const char *name, struct lq_error *err)
{
    if (!name || *name == '\0')
        return error_set(err, LQ_EINVAL, "the name of the case is empty");
    return v ? open_named(out, v, name, NULL, err) : open_path(out, name, err);
}

const struct lq_case_info *lq_case_info(const struct lq_case *c)
{
    return &c->info;
}

static int open_unpacked(struct lq_case *c, struct lq_error *err)
{
    int rc;

    if (c->fd >= 0)
        return LQ_OK;
    rc = pack_unpack(c, err);
    return rc == LQ_OK ? open_spools(c, err) : rc;
}

/* For people: where the files are now. */
static char *tree_path(const struct lq_case *c, const char *dir)
{
    const char *slash = strrchr(c->path, '/');
    char *path;
    int n = c->unpacked ? asprintf(&path, "%.*s%s/data/%s", slash ? (int)(slash - c->path) + 1 : 0, c->path, c->tree, dir)
                        : asprintf(&path, "%s/data/%s", c->path, dir);

    return n < 0 ? NULL : path;
}

int lq_case_queue(struct lq_queue **out, struct lq_case *c, size_t i, struct lq_error *err)
{
    struct case_spool *s;
    char *root, dir[64];
    int fd, rc;

    if (i >= c->spool_count)
        return error_set(err, LQ_EINVAL, "case %s has no spool number %zu", c->name, i);
    if (c->info.redacted)
        return error_set(err, LQ_EREFUSED, "%s is redacted: it tells of messages, but holds none that could be read or put back", c->path);
    rc = open_unpacked(c, err);
    if (rc != LQ_OK)
        return rc;
    s = &c->spools[i];
    if (!c->queues[i]) {
        spool_dir_name(c, i, dir);
        if (s->fd < 0)
            return error_set(err, LQ_EDAMAGED, "%s: there is no data/%s", c->path, dir);
        root = tree_path(c, dir);
        if (!root)
            return error_memory(err);
        fd = fcntl(s->fd, F_DUPFD_CLOEXEC, 0);
        c->queues[i] = fd >= 0 ? queue_over(queue_backend(s->mta), fd, root, s->host, s->spool) : NULL;
        free(root);
        if (!c->queues[i]) {
            if (fd >= 0)
                close(fd);
            return error_memory(err);
        }
        c->queues[i]->in_case = c;
        c->queues[i]->case_spool = i;
    }
    *out = c->queues[i];
    return LQ_OK;
}

/* In an open case what went back is not there any more; copies say nothing of it. */
bool lq_case_went_back(const struct lq_queue *q, const struct lq_record *rec)
{
    struct lq_case *c = q->in_case;
    const struct entry *key;
    const char *dir;
    char path[PATH_MAX];

    if (!c || !c->unpacked || !c->vault || c->info.restored == 0 || !rec->ref || rec->ref->count == 0)
        return false;
    if (!c->went && ledger_look(&c->went, c->vault, c->ledger, NULL) != LQ_OK)
        return false;
    key = &rec->ref->entries[0];
    dir = rec->spool->dirs[key->dir].path;
    snprintf(path, sizeof(path), "%zu-%s/%s%s%s", q->case_spool, q->backend->name, dir, *dir ? "/" : "", key->name);
    return ledger_has(c->went, path);
}

/* --- making --- */

const char case_bagit[] = "BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n";
static const char incomplete[] = "This case is being filled, or waits for `mqquarantine seal`. What is in data/ is whole all the same.\n";

static int make_dir(struct lq_vault *v, int dirfd, const char *name, int *fd)
{
    int error = file_make_dir(dirfd, name, 0700);

    if ((error == ENOSPC || error == EDQUOT) && vault_use_reserve(v))
        error = file_make_dir(dirfd, name, 0700);
    if (error)
        return error;
    error = file_open_below(dirfd, name, fd);
    if (error)
        file_remove_dir(dirfd, name);
    return error;
}

static int fill_new(struct lq_case *c)
{
    int fd, data, error = case_write_file(c, "INCOMPLETE", incomplete, sizeof(incomplete) - 1);

    if (error == 0)
        error = case_write_file(c, "bagit.txt", case_bagit, strlen(case_bagit));
    if (error == 0)
        error = case_write_file(c, "spools.ndjson", "", 0);
    if (error == 0)
        error = make_dir(c->vault, c->fd, "data", &data);
    if (error == 0) {
        close(data);
        error = vault_create(c->vault, c->fd, "journal.ndjson", &fd);
    }
    if (error == 0) {
        close(fd);
        error = file_sync(c->fd);
    }
    return error;
}

static int begin_journal(struct lq_case *c, const struct job_intent *in, struct lq_error *err)
{
    struct buf b = { 0 };
    int rc;

    json_text(&b, "verb", in->verb);
    json_text(&b, "custody", custody_names[c->info.custody]);
    json_text(&b, "why", in->why);
    json_text(&b, "command", in->command);
    json_text(&b, "software", "mqtools " MQ_VERSION);
    job_who(&b);
    buf_add_char(&b, '\0');
    rc = b.failed ? error_memory(err) : case_journal(c, "created", b.p, err);
    buf_done(&b);
    return rc;
}

int case_create(struct lq_case **out, struct lq_vault *v, const char *name, enum lq_custody custody, const struct job_intent *intent, struct lq_error *err)
{
    struct lq_case *c = new_case(v, name, NULL);
    char host[256] = "";
    int error, rc = LQ_OK;

    if (!c)
        return error_memory(err);
    c->parent = v->fd;
    error = make_dir(v, v->fd, name, &c->fd);
    gethostname(host, sizeof(host) - 1);
    c->tree = strdup(name);
    snprintf(c->ledger, sizeof(c->ledger), "%s", name);
    c->info.custody = custody;
    c->info.host = keep(c, host);
    c->info.why = keep(c, intent->why);
    c->info.command = keep(c, intent->command);
    c->info.verb = keep(c, intent->verb);
    c->info.created = (int64_t)time(NULL);
    if (error == 0 && !c->tree)
        error = ENOMEM;
    if (error == 0)
        error = fill_new(c);
    if (error == 0)
        error = file_sync(v->fd);
    if (error)
        rc = case_error(c, "", error, err);
    if (rc == LQ_OK)
        rc = begin_journal(c, intent, err);
    if (rc == LQ_OK)
        rc = case_write_info(c, NULL, err);
    if (rc == LQ_OK && (error = file_sync(c->fd)) != 0)
        rc = case_error(c, "", error, err);
    if (rc != LQ_OK) {
        /* Nothing is in it; the name was ours alone. */
        if (c->fd >= 0)
            tree_remove(v->fd, name);
        lq_case_close(c);
        return rc;
    }
    *out = c;
    return LQ_OK;
}

void case_spool_line(const struct lq_case *c, size_t i, const struct stat *st, struct buf *b)
{
    const struct case_spool *s = &c->spools[i];
    char dir[64], dev[32];

    spool_dir_name(c, i, dir);
    snprintf(dev, sizeof(dev), "%02x:%02x", major(s->dev), minor(s->dev));
    buf_add_char(b, '{');
    json_text(b, "dir", dir);
    json_text(b, "mta", s->mta);
    json_text(b, "host", s->host);
    json_text(b, "spool", s->spool);
    json_text(b, "dev", dev);
    if (st) {
        json_number(b, "owner_uid", (int64_t)st->st_uid);
        json_number(b, "owner_gid", (int64_t)st->st_gid);
    }
    if (s->inode != 0)
        json_number(b, "inode", (int64_t)s->inode);
    buf_add_str(b, "}\n");
}

static int write_spool_line(struct lq_case *c, size_t i, const struct stat *st)
{
    struct buf b = { 0 };
    int fd, error;

    case_spool_line(c, i, st, &b);
    error = b.failed ? ENOMEM : file_append(c->fd, "spools.ndjson", 0600, &fd);
    if (error == 0) {
        error = vault_append(c->vault, fd, b.p, b.n);
        if (error == 0)
            error = file_sync(fd);
        close(fd);
    }
    buf_done(&b);
    return error;
}

static int make_spool_dir(struct lq_case *c, size_t i, uid_t uid, gid_t gid)
{
    struct case_spool *s = &c->spools[i];
    char dir[64];
    int data, error = file_open_below(c->fd, "data", &data);

    if (error)
        return error;
    spool_dir_name(c, i, dir);
    error = make_dir(c->vault, data, dir, &s->fd);
    if (error == 0 && geteuid() == 0)
        error = file_set_owner(s->fd, uid, gid);
    if (error == 0)
        error = file_sync(s->fd);
    if (error == 0)
        error = file_sync(data);
    close(data);
    return error;
}

int case_add_spool(struct lq_case *c, const struct lq_queue *q, uid_t uid, gid_t gid, size_t *index, struct lq_error *err)
{
    struct case_spool *s;
    struct stat st, own;
    int error = fstat(q->fd, &st) < 0 ? errno : add_spool(c, &s);
    size_t i = c->spool_count - 1;

    if (error)
        return case_error(c, "spools.ndjson", error, err);
    s->mta = strdup(q->backend->name);
    s->spool = strdup(q->origin ? q->origin : q->root);
    s->host = q->host ? strdup(q->host) : NULL;
    s->dev = st.st_dev;
    error = s->mta && s->spool && (s->host || !q->host) ? make_spool_dir(c, i, uid, gid) : ENOMEM;
    if (error == 0 && fstat(s->fd, &own) == 0)
        s->inode = (uint64_t)own.st_ino;
    if (error == 0)
        error = write_spool_line(c, i, &st);
    if (error)
        return case_error(c, "spools.ndjson", error, err);
    c->info.spools = c->spool_count;
    *index = i;
    return LQ_OK;
}
