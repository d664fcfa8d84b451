/* Records as a list of messages. */
#include "list_from.h"

#include <stdlib.h>
#include <string.h>

#include "opts.h"
#include "report.h"

enum { ID_MAX_BYTES = 255 };

static char *copy(const char *text)
{
    char *p = text ? strdup(text) : NULL;

    if (text && !p)
        report_no_memory();
    return p;
}

static void list_add(struct list_from *l, const struct listed *entry)
{
    if (l->n == l->cap) {
        size_t cap = l->cap ? l->cap * 2 : 64;
        struct listed *list = realloc(l->list, cap * sizeof(*list));

        if (!list)
            report_no_memory();
        l->list = list;
        l->cap = cap;
    }
    l->given = true;
    l->list[l->n++] = (struct listed){
        .host = copy(entry->host), .spool = copy(entry->spool), .id = copy(entry->id), .identity = copy(entry->identity),
        .of_job = entry->of_job,
    };
}

/* --- reading --- */

static const uint64_t fields_asked = LQ_FIELD_BIT(LQ_HOST) | LQ_FIELD_BIT(LQ_SPOOL) | LQ_FIELD_BIT(LQ_QUEUE_ID) | LQ_FIELD_BIT(LQ_IDENTITY);

/* A text of the record; the empty one names nothing, and of one with a NUL the rest would not be compared. */
static char *member(const struct lq_record *rec, enum lq_field f)
{
    struct lq_str s = lq_record_text(rec, f);

    return s.p && s.n > 0 && strlen(s.p) == s.n ? (char *)s.p : NULL;
}

static bool is_id(const char *id)
{
    size_t n = strlen(id);

    for (size_t i = 0; i < n; i++)
        if (!((id[i] >= '0' && id[i] <= '9') || ((id[i] | 0x20) >= 'a' && (id[i] | 0x20) <= 'z') || strchr("-_.", id[i])))
            return false;
    return n <= ID_MAX_BYTES;
}

static int add_record(struct list_from *l, const char *name, size_t number, const struct lq_record *rec, struct lq_error *err)
{
    struct listed entry = {
        .host = member(rec, LQ_HOST), .spool = member(rec, LQ_SPOOL), .id = member(rec, LQ_QUEUE_ID), .identity = member(rec, LQ_IDENTITY),
    };

    if (!entry.spool || !entry.id || !entry.identity)
        return opts_wrong(err, "%s, record %zu: it has no %s; mqgrep -j writes it", name, number,
                          !entry.id ? "queue_id" : !entry.spool ? "spool" : "identity");
    if (!is_id(entry.id))
        return opts_wrong(err, "%s, record %zu: \"%.100s\" is not a message id", name, number, entry.id);
    if (!entry.host && lq_record_has(rec, LQ_HOST) == LQ_PRESENT)
        return opts_wrong(err, "%s, record %zu: its host is no name", name, number);
    list_add(l, &entry);
    return LQ_OK;
}

/* The first line that is no record; of several the first sentence only counts them. */
static const char *first_trouble(const struct lq_scan *scan)
{
    return lq_scan_stats(scan).troubles == 0 ? NULL : lq_scan_trouble(scan, lq_scan_stats(scan).troubles > 1);
}

static int read_records(struct list_from *l, const char *name, struct lq_queue *records, struct lq_error *err)
{
    struct lq_scan_opts opts = { .size = sizeof(opts), .fields = fields_asked };
    const struct lq_record *rec;
    struct lq_scan *scan;
    size_t number = 0;
    int rc = lq_scan_begin(&scan, records, &opts, err);

    if (rc != LQ_OK)
        return rc;
    while ((rc = lq_scan_next(scan, &rec, err)) == LQ_OK && (rc = add_record(l, name, ++number, rec, err)) == LQ_OK)
        ;
    if (rc == LQ_END)
        rc = first_trouble(scan) ? opts_wrong(err, "%s", first_trouble(scan)) : LQ_OK;
    lq_scan_end(scan);
    return rc;
}

int list_from_read(struct list_from *l, const char *path, struct lq_error *err)
{
    bool standard = strcmp(path, "-") == 0;
    struct lq_queue *records;
    int rc;

    if (l->given)
        return opts_wrong(err, "given twice");
    l->given = true;
    l->standard_input = standard;
    rc = lq_records_open(&records, path, err);
    if (rc != LQ_OK)
        return rc;
    rc = read_records(l, standard ? "standard input" : path, records, err);
    lq_queue_close(records);
    return rc;
}

static void add_of_job(void *ctx, const char *spool, const char *id, const char *identity)
{
    struct listed entry = { .spool = (char *)spool, .id = (char *)id, .identity = (char *)identity, .of_job = true };

    list_add(ctx, &entry);
}

int list_from_job(struct list_from *l, struct lq_vault *v, const char *job, char verb[16], struct lq_error *err)
{
    int rc = lq_vault_job(v, job, verb, add_of_job, l, err);

    l->given = l->given || rc != LQ_ENOENT;
    return rc;
}

/* --- looking up --- */

static int compare_texts(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) : (a != NULL) - (b != NULL);
}

static int compare(const void *a, const void *b)
{
    const struct listed *x = a, *y = b;
    int c = strcmp(x->id, y->id);

    c = c ? c : strcmp(x->spool, y->spool);
    c = c ? c : compare_texts(x->identity, y->identity);
    return c ? c : compare_texts(x->host, y->host);
}

static void forget(struct listed *e)
{
    free(e->host);
    free(e->spool);
    free(e->id);
    free(e->identity);
}

int list_from_finish(struct list_from *l, struct ids *ids, struct lq_error *err)
{
    size_t kept = 0;
    int rc = LQ_OK;

    if (l->n > 1)
        qsort(l->list, l->n, sizeof(*l->list), compare);
    for (size_t i = 0; i < l->n; i++) {
        if (kept > 0 && compare(&l->list[kept - 1], &l->list[i]) == 0)
            forget(&l->list[i]);
        else
            l->list[kept++] = l->list[i];
    }
    l->n = kept;
    l->sorted = true;
    ids->given = true;
    for (size_t i = 0; i < l->n && rc == LQ_OK; i++)
        rc = ids_add(ids, l->list[i].id, strlen(l->list[i].id), err);
    return rc;
}

/* The first entry of that id, or where it would be. */
static size_t first_of(const struct list_from *l, const char *id)
{
    size_t low = 0, high = l->n;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (strcmp(l->list[middle].id, id) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static const char *difference(const struct listed *e, const struct lq_record *rec)
{
    const char *host = lq_record_text(rec, LQ_HOST).p, *identity = lq_record_text(rec, LQ_IDENTITY).p;

    if (!e->identity)
        return NULL;
    if (!e->of_job && compare_texts(e->host, host) != 0)
        return "the record is of another host";
    if (!identity)
        return "what identifies the message cannot be read";
    return strcmp(e->identity, identity) != 0 ? "the id belongs to another message now" : NULL;
}

bool list_from_has(struct list_from *l, const struct lq_record *rec)
{
    const char *id = lq_record_text(rec, LQ_QUEUE_ID).p, *spool = lq_record_text(rec, LQ_SPOOL).p;
    bool found = false;

    if (!id || !spool)
        return false;
    for (size_t i = first_of(l, id); i < l->n && strcmp(l->list[i].id, id) == 0; i++) {
        struct listed *e = &l->list[i];

        e->other = strcmp(e->spool, spool) == 0 ? difference(e, rec) : "its spool is not among those looked at";
        e->found |= !e->other;
        found |= !e->other;
    }
    return found;
}

const char *listed_why(const struct listed *e)
{
    return e->other ? e->other : "not in the queue";
}

void list_from_done(struct list_from *l)
{
    for (size_t i = 0; i < l->n; i++)
        forget(&l->list[i]);
    free(l->list);
    *l = (struct list_from){ 0 };
}
