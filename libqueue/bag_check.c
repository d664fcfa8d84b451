/*
 * Verifying: what is in a case, read and hashed once, against its manifests, its Payload-Oxum and its journal. Where the bytes come from, a
 * tree or an archive, makes no difference here. Anybody may have written any of it.
 */
#include "bag.h"

#include <errno.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tree.h"

enum { TEXT_MAX = 512 << 20, SENTENCE = TREE_PATH + 200 };

bool bag_check_begin(struct bag_check *k)
{
    memset(k, 0, sizeof(*k));
    k->manifest.limit = k->tagmanifest.limit = k->info.limit = k->journal.limit = TEXT_MAX;
    k->d = digest_new();
    return k->d != NULL;
}

void bag_check_done(struct bag_check *k)
{
    digest_free(k->d);
    arena_done(&k->texts);
    free(k->seen);
    buf_done(&k->manifest);
    buf_done(&k->tagmanifest);
    buf_done(&k->info);
    buf_done(&k->journal);
}

/*
 * Packed, a line of a manifest costs its maker a byte or two, and us its whole length: there is one for each file that Payload-Oxum counts. Some
 * more are read, to be told one by one. Where bag-info.txt did not come first (ours does), all are.
 */
static uint64_t lines_believed(const struct bag_check *k)
{
    enum { MORE = 1000 };
    char said[64];
    unsigned long long bytes, files;

    if (!k->info.p || !bag_label(&k->info, "Payload-Oxum", said, sizeof(said)) || sscanf(said, "%llu.%llu", &bytes, &files) != 2)
        return UINT64_MAX;
    return files < UINT64_MAX - MORE ? files + MORE : UINT64_MAX;
}

static void count_lines(struct bag_check *k, const char *p, size_t n)
{
    const char *end = p + n;

    for (; (p = memchr(p, '\n', (size_t)(end - p))) != NULL; p++)
        k->lines++;
    if (k->lines <= k->lines_max)
        return;
    k->surplus = true;
    k->keep = NULL;
}

void bag_check_file(struct bag_check *k, const char *path)
{
    const struct { const char *name; struct buf *text; } kept[] = {
        { "manifest-sha256.txt", &k->manifest }, { "tagmanifest-sha256.txt", &k->tagmanifest },
        { "bag-info.txt", &k->info }, { "journal.ndjson", &k->journal },
    };

    k->keep = NULL;
    for (size_t i = 0; i < sizeof(kept) / sizeof(*kept); i++)
        if (strcmp(path, kept[i].name) == 0)
            k->keep = kept[i].text;
    /* What is there and empty (everything went back before it was sealed) is not missing. */
    if (k->keep) {
        buf_add_char(k->keep, '\0');
        k->keep->n = 0;
    }
    if (k->keep == &k->manifest) {
        k->lines = 0;
        k->lines_max = lines_believed(k);
    }
    if (strcmp(path, "INCOMPLETE") == 0)
        k->incomplete = true;
    if (k->n == k->cap) {
        size_t cap = k->cap ? k->cap * 2 : 256;
        struct bag_seen *more = realloc(k->seen, cap * sizeof(*more));

        if (!more) {
            k->failed = true;
            return;
        }
        k->seen = more;
        k->cap = cap;
    }
    k->seen[k->n].path = arena_copy(&k->texts, path, strlen(path)).p;
    k->failed = k->failed || !k->seen[k->n].path;
    if (strncmp(path, "data/", 5) == 0)
        k->payload_files++;
    digest_begin(k->d);
}

void bag_check_bytes(struct bag_check *k, const void *p, size_t n)
{
    digest_add(k->d, p, n);
    if (k->keep == &k->manifest)
        count_lines(k, p, n);
    if (k->keep)
        buf_add(k->keep, p, n);
    if (!k->failed && strncmp(k->seen[k->n].path, "data/", 5) == 0)
        k->payload_bytes += n;
}

void bag_check_end(struct bag_check *k)
{
    if (k->failed)
        return;
    digest_end(k->d, k->seen[k->n++].hex);
    k->failed = k->keep && (k->keep->failed || k->keep->lost > 0);
}

void bag_check_cancel(struct bag_check *k)
{
    if (!k->failed)
        digest_begin(k->d);
}

void bag_check_known(struct bag_check *k, const char *path, const char *hex)
{
    bag_check_file(k, path);
    if (!k->failed)
        memcpy(k->seen[k->n++].hex, hex, DIGEST_HEX + 1);
}

/* --- judging --- */

struct listed {
    char *hex, *path;
};

struct judge {
    struct bag_check *k;
    const struct ledger *ledger;
    lq_finding_fn *tell;
    void *ctx;
    size_t findings;
};

static void found(struct judge *j, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void found(struct judge *j, const char *fmt, ...)
{
    char sentence[SENTENCE];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(sentence, sizeof(sentence), fmt, ap);
    va_end(ap);
    j->findings++;
    if (j->tell)
        j->tell(j->ctx, sentence);
}

bool bag_label(const struct buf *info, const char *name, char *out, size_t size)
{
    size_t len = strlen(name);
    const char *p = info->p, *end = p + info->n;

    while (p && p < end) {
        const char *nl = memchr(p, '\n', (size_t)(end - p)), *stop = nl ? nl : end;

        if ((size_t)(stop - p) > len + 1 && memcmp(p, name, len) == 0 && p[len] == ':') {
            p += len + 1;
            p += *p == ' ';
            snprintf(out, size, "%.*s", (int)(stop - p < 1000 ? stop - p : 1000), p);
            return true;
        }
        p = nl ? nl + 1 : end;
    }
    return false;
}

static bool is_payload(const char *path)
{
    return strncmp(path, "data/", 5) == 0;
}

static bool is_inside(const char *path)
{
    if (*path == '/' || *path == '\0')
        return false;
    for (const char *p = path; *p; p += strcspn(p, "/"), p += strspn(p, "/"))
        if (strncmp(p, "..", 2) == 0 && (p[2] == '/' || p[2] == '\0'))
            return false;
    return true;
}

static int by_path(const void *a, const void *b)
{
    return strcmp(((const struct listed *)a)->path, ((const struct listed *)b)->path);
}

static int by_seen_path(const void *a, const void *b)
{
    return strcmp(((const struct bag_seen *)a)->path, ((const struct bag_seen *)b)->path);
}

/* The lines of a manifest, in order of path. NULL without memory. */
static struct listed *parse_manifest(struct judge *j, struct buf *text, const char *name, bool payload, size_t *count)
{
    struct listed *l = NULL;
    size_t n = 0, cap = 0, line = 0, kept = 0;
    char *p = text->p, *end, *nl;

    buf_add_char(text, '\n');       /* for a last line without its own; and room for the NULs */
    if (text->failed)
        return NULL;
    p = text->p;
    end = p + text->n;
    for (; p < end && (nl = memchr(p, '\n', (size_t)(end - p))) != NULL; p = nl + 1) {
        line++;
        if (nl == p)
            continue;
        if (n == cap) {
            struct listed *more = realloc(l, (cap = cap ? cap * 2 : 256) * sizeof(*more));

            if (!more) {
                free(l);
                return NULL;
            }
            l = more;
        }
        if (!bag_line_parse(p, (size_t)(nl - p), &l[n].hex, &l[n].path))
            found(j, "%s: line %zu is not readable", name, line);
        else if (!is_inside(l[n].path) || is_payload(l[n].path) != payload)
            found(j, "%s: line %zu names a file elsewhere: %.*s", name, line, (int)TREE_PATH, l[n].path);
        else
            n++;
    }
    if (n > 1)
        qsort(l, n, sizeof(*l), by_path);
    for (size_t i = 0; i < n; i++) {
        if (kept > 0 && strcmp(l[kept - 1].path, l[i].path) == 0)
            found(j, "%s: two lines for %s", name, l[i].path);
        else
            l[kept++] = l[i];
    }
    *count = kept;
    return l ? l : calloc(1, sizeof(*l));
}

/* The files of one message carry its id: alone, as id-X, or after two letters. */
static bool went_back(const struct ledger *l, const char *path)
{
    const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
    size_t n = strlen(base);

    if (!l || ledger_count(l) == 0)
        return false;
    return ledger_has_id(l, base, n) || (n > 2 && base[n - 2] == '-' && ledger_has_id(l, base, n - 2)) ||
           (n > 2 && ledger_has_id(l, base + 2, n - 2));
}

/* Files that were seen, of one kind, against a manifest: both in order. */
static bool compare(struct judge *j, struct buf *text, const char *name, bool payload)
{
    struct bag_check *k = j->k;
    struct listed *l;
    size_t n = 0, i = 0, s = 0;

    l = parse_manifest(j, text, name, payload, &n);
    if (!l)
        return false;
    while (i < n || s < k->n) {
        int order;

        if (s < k->n && (is_payload(k->seen[s].path) != payload || (!payload && bag_untagged(k->seen[s].path)))) {
            s++;
            continue;
        }
        order = s == k->n ? -1 : i == n ? 1 : strcmp(l[i].path, k->seen[s].path);
        if (order < 0) {
            if (!went_back(j->ledger, l[i].path))
                found(j, "%s: missing", l[i].path);
            i++;
        } else if (order > 0) {
            found(j, "%s: is in no manifest", k->seen[s++].path);
        } else {
            if (strcmp(l[i].hex, k->seen[s].hex) != 0)
                found(j, "%s: changed", l[i].path);
            i++;
            s++;
        }
    }
    free(l);
    return true;
}

static void check_twice(struct judge *j)
{
    const struct bag_check *k = j->k;

    for (size_t i = 1; i < k->n; i++)
        if (strcmp(k->seen[i - 1].path, k->seen[i].path) == 0)
            found(j, "%s: is there twice", k->seen[i].path);
}

static void check_oxum(struct judge *j)
{
    const struct bag_check *k = j->k;
    char said[64], is[64];

    if (!bag_label(&k->info, "Payload-Oxum", said, sizeof(said))) {
        found(j, "bag-info.txt: no Payload-Oxum");
        return;
    }
    snprintf(is, sizeof(is), "%llu.%llu", (unsigned long long)k->payload_bytes, (unsigned long long)k->payload_files);
    if (!(j->ledger && ledger_count(j->ledger) > 0) && strcmp(said, is) != 0)
        found(j, "bag-info.txt: Payload-Oxum is %s, but data/ holds %s (bytes.files)", said, is);
}

static void hash(struct digest *d, const char *p, size_t n, char out[DIGEST_HEX + 1])
{
    digest_begin(d);
    digest_add(d, p, n);
    digest_end(d, out);
}

/* Each line holds the hash of the one before; what bag-info.txt says of the last one before sealing ties it to the tag manifest. */
static void check_journal(struct judge *j)
{
    struct bag_check *k = j->k;
    char prev[DIGEST_HEX + 1], anchor[128], anchored[DIGEST_HEX + 1] = "";
    unsigned long long lines = 0, seq = 0;
    const char *p = k->journal.p, *end = p + k->journal.n, *nl;

    if (bag_label(&k->info, "Mqtools-Journal", anchor, sizeof(anchor)))
        sscanf(anchor, "%llu %64s", &lines, anchored);
    memset(prev, '0', DIGEST_HEX);
    prev[DIGEST_HEX] = '\0';
    for (; p && p < end && (nl = memchr(p, '\n', (size_t)(end - p))) != NULL; p = nl + 1, seq++) {
        json_t *o = json_loadb(p, (size_t)(nl - p), 0, NULL);
        const char *said = json_string_value(json_object_get(o, "prev"));

        if (!said)
            found(j, "journal.ndjson: line %llu is not readable", seq + 1);
        else if (strcmp(said, prev) != 0)
            found(j, "journal.ndjson: the chain breaks before line %llu", seq + 1);
        else if (json_integer_value(json_object_get(o, "seq")) != (json_int_t)seq)
            found(j, "journal.ndjson: line %llu has another number", seq + 1);
        json_decref(o);
        hash(k->d, p, (size_t)(nl - p), prev);
        if (seq + 1 == lines && strcmp(prev, anchored) != 0)
            found(j, "journal.ndjson: line %llu is not the one that was there when the case was sealed", lines);
    }
    if (p && p < end)
        found(j, "journal.ndjson: ends in half a line");
    if (lines == 0)
        found(j, "bag-info.txt: no Mqtools-Journal: how the journal was when the case was sealed is not known");
    else if (seq < lines)
        found(j, "journal.ndjson: has %llu lines; when the case was sealed it had %llu", seq, lines);
}

size_t bag_check_judge(struct bag_check *k, bool data_only, const struct ledger *ledger, lq_finding_fn *tell, void *ctx)
{
    struct judge j = { k, ledger, tell, ctx, 0 };

    if (k->failed) {
        found(&j, "out of memory, or a manifest is larger than can be");
        return j.findings;
    }
    if (k->n > 1)
        qsort(k->seen, k->n, sizeof(*k->seen), by_seen_path);
    check_twice(&j);
    if (k->surplus)
        found(&j, "manifest-sha256.txt: has many more lines than the files that bag-info.txt counts (Payload-Oxum); it was not read to its end");
    else if (!k->manifest.p)
        found(&j, "manifest-sha256.txt: missing");
    else if (!compare(&j, &k->manifest, "manifest-sha256.txt", true))
        found(&j, "out of memory");
    if (data_only)
        return j.findings;
    if (k->incomplete)
        found(&j, "INCOMPLETE: the case was never sealed to its end");
    if (!k->tagmanifest.p)
        found(&j, "tagmanifest-sha256.txt: missing");
    else if (!compare(&j, &k->tagmanifest, "tagmanifest-sha256.txt", false))
        found(&j, "out of memory");
    check_oxum(&j);
    check_journal(&j);
    return j.findings;
}

/* --- a case --- */

struct looking {
    struct judge j;
    char *block;
};

static int read_to_check(struct looking *l, int fd)
{
    ssize_t n;

    while ((n = read(fd, l->block, BAG_BLOCK)) != 0) {
        if (n > 0)
            bag_check_bytes(l->j.k, l->block, (size_t)n);
        else if (errno != EINTR)
            return errno;
    }
    return 0;
}

static int look(void *ctx, const struct tree_file *f)
{
    struct looking *l = ctx;
    struct stat st;
    enum file_result r;
    int fd, error;

    r = file_open(f->dir, f->name, &fd, &st);
    if (r != FILE_OK) {
        found(&l->j, "%s: %s", f->path, file_result_text(r));
        return 0;
    }
    bag_check_file(l->j.k, f->path);
    error = l->j.k->failed ? ENOMEM : read_to_check(l, fd);
    close(fd);
    if (error == 0) {
        bag_check_end(l->j.k);
    } else {
        bag_check_cancel(l->j.k);
        found(&l->j, "%s: %s", f->path, strerror(error));
    }
    return error == ENOMEM ? ENOMEM : 0;
}

/* Lines of a manifest that we made of what we read, in place of reading it once more. */
static bool add_known(struct bag_check *k, const struct buf *lines)
{
    char *copy = malloc(lines->n + 1), *p = copy, *end, *nl, *hex, *path;

    if (!copy)
        return false;
    memcpy(copy, lines->p ? lines->p : "", lines->n);
    end = copy + lines->n;
    for (; p < end && (nl = memchr(p, '\n', (size_t)(end - p))) != NULL; p = nl + 1)
        if (bag_line_parse(p, (size_t)(nl - p), &hex, &path))
            bag_check_known(k, path, hex);
    free(copy);
    return !k->failed;
}

/* The ledger is looked at last: what goes back meanwhile has its line before its file is gone. */
int bag_check_read(struct lq_case *c, const struct buf *lines, uint64_t bytes, lq_finding_fn *tell, void *ctx, size_t *findings, struct lq_error *err)
{
    struct bag_check k;
    struct looking l = { .j = { &k, NULL, tell, ctx, 0 }, .block = malloc(BAG_BLOCK) };
    struct ledger *ledger = NULL;
    int error = bag_check_begin(&k) && l.block ? tree_walk(c->fd, "data", look, &l) : ENOMEM, rc = LQ_OK;

    if (error == 0 && !add_known(&k, lines))
        error = ENOMEM;
    k.payload_bytes = bytes;
    if (error == 0 && c->vault)
        rc = ledger_look(&ledger, c->vault, c->ledger, err);
    if (error == 0 && rc == LQ_OK)
        *findings = l.j.findings + bag_check_judge(&k, false, ledger, tell, ctx);
    ledger_close(ledger);
    bag_check_done(&k);
    free(l.block);
    return error ? case_error(c, "", error, err) : rc;
}

static int verify_tree(struct lq_case *c, const struct ledger *ledger, lq_finding_fn *tell, void *ctx, size_t *findings, struct lq_error *err)
{
    struct bag_check k;
    struct looking l = { .j = { &k, ledger, tell, ctx, 0 }, .block = malloc(BAG_BLOCK) };
    int error = bag_check_begin(&k) && l.block ? tree_walk(c->fd, NULL, look, &l) : ENOMEM;

    if (error == 0)
        *findings = l.j.findings + bag_check_judge(&k, false, ledger, tell, ctx);
    bag_check_done(&k);
    free(l.block);
    return error ? case_error(c, "", error, err) : LQ_OK;
}

int lq_case_verify(struct lq_case *c, lq_finding_fn *tell, void *ctx, struct lq_error *err)
{
    struct ledger *ledger = NULL;
    size_t findings = 0;
    bool open = !c->info.packed && !c->info.sealed;
    int rc = open ? case_idle(c, err) : LQ_OK;

    if (open && rc == LQ_OK)
        return error_set(err, LQ_EREFUSED, "case %s is not sealed: there are no hashes to check; first: mqquarantine seal", c->name);
    if (rc == LQ_OK && c->vault)
        rc = ledger_look(&ledger, c->vault, c->ledger, err);
    if (rc == LQ_OK && c->info.packed)
        rc = pack_check(c->archive, c->path, ledger, tell, ctx, &findings, err);
    else if (rc == LQ_OK)
        rc = verify_tree(c, ledger, tell, ctx, &findings, err);
    ledger_close(ledger);
    if (rc == LQ_OK && findings > 0)
        rc = error_set(err, LQ_EDAMAGED, "case %s: %zu finding%s", c->name, findings, findings > 1 ? "s" : "");
    return rc;
}
