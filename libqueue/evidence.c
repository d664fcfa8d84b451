/*
 * Evidence packs: a case, or messages of live queues, as one archive for others to read and check. Queues are only read.
 *
 * The archive is a bag like a packed case (custody: copy) with more beside data/: eml/ (each message as it would be sent), pages for people
 * (evidence_pages.c), and a journal that goes on with who packed it, on which host and by which clock. What the messages are is known at the
 * end, so tag files come last. A redacted one has other records and, in data/, hashes in place of files (redact.c). Messages of a live queue are first copied to a working directory beside the archive, some at a time (evidence_live.c), so that
 * the raw files, the .eml and the record of one message are of one moment.
 */
#include "evidence.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timex.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "json.h"
#include "tree.h"

enum { EML_KEPT = 16 << 20 };

/* --- failures --- */

int evidence_error(const struct evidence *e, const char *what, int error, struct lq_error *err)
{
    enum lq_status status = error == ENOSPC || error == EDQUOT ? LQ_ENOSPC : error == ENOMEM ? LQ_ENOMEM : LQ_EIO;

    if (error == ESTALE)
        return error_set(err, LQ_EIO, "%s: %s changed while it was packed", e->opts->output, what);
    return error_set(err, status, "%s: %s%s%s", e->opts->output, what, *what ? ": " : "", strerror(error));
}

static bool stopped(const struct evidence *e)
{
    return e->opts->stopped && e->opts->stopped();
}

int evidence_go_on(const struct evidence *e, struct lq_error *err)
{
    return stopped(e) ? error_set(err, LQ_EREFUSED, "%s: interrupted; it is not written", e->opts->output) : LQ_OK;
}

static int tar_failed(const struct evidence *e, int error, struct lq_error *err)
{
    return evidence_error(e, e->tar.why, error, err);
}

/* --- records --- */

int evidence_record(struct evidence *e, const struct lq_record *rec, struct lq_error *err)
{
    int error = 0, rc = LQ_OK;

    if (e->opts->redact) {
        redact_record(&e->records.b, rec);
        error = records_added(&e->records);
    } else if (!e->records_kept) {
        rc = records_add(&e->records, rec, &error, err);
    }
    summary_add(&e->summary, rec);
    page_add(&e->page, rec);
    if (rc == LQ_OK)
        rc = evidence_log_want(e, rec, err);
    return error ? evidence_error(e, "records.ndjson", error, err) : rc;
}

/* In place of the message and its files: what proves later that they are the same. */
static int add_original(struct evidence *e, struct reading *rd, struct lq_error *err)
{
    char why[256] = "";
    int error = redact_original(&e->originals.b, rd, e->tar.d, e->tar.block, why);

    if (error == 0)
        error = records_added(&e->originals);
    return error ? evidence_error(e, *why ? why : "data/originals.ndjson", error, err) : LQ_OK;
}

/* --- eml/ --- */

struct eml {
    struct evidence *e;
    uint64_t size;
    bool again;                 /* too large to keep: written the second time */
    int error;
};

static int take_eml(void *ctx, const void *p, size_t n)
{
    struct eml *m = ctx;

    m->size += n;
    if (m->again)
        m->error = tar_piece(&m->e->tar, p, n);
    else
        buf_add(&m->e->eml, p, n);
    return m->error;
}

/* "eml/0-exim/ID.eml"; ids that are not plain names, or come twice, get their number. */
static void eml_path(struct evidence *e, size_t spool, const char *mta, struct lq_str id, char out[TREE_PATH])
{
    char name[256];
    size_t n = 0;
    bool plain = id.n > 0 && id.n < 200;

    for (size_t i = 0; i < id.n && n < 200; i++) {
        bool good = strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-", id.p[i]) && id.p[i];

        plain = plain && good;
        name[n++] = good ? id.p[i] : '_';
    }
    name[n] = '\0';
    if (plain && strcmp(name, e->last_id) != 0)
        snprintf(out, TREE_PATH, "eml/%zu-%s/%s.eml", spool, mta, name);
    else
        snprintf(out, TREE_PATH, "eml/%zu-%s/%s.%llu.eml", spool, mta, name, (unsigned long long)e->emls);
    snprintf(e->last_id, sizeof(e->last_id), "%s", name);
}

static int write_large(struct evidence *e, struct reading *rd, const char *path, const struct stat *st, uint64_t size, struct lq_error *err)
{
    struct eml m = { .e = e, .again = true };
    int error = tar_open_file(&e->tar, path, st, size);

    if (error == 0)
        message_body(rd, take_eml, &m);
    error = error ? error : m.error ? m.error : m.size != size ? ESTALE : tar_close_file(&e->tar, path);
    return error ? evidence_error(e, path, error, err) : LQ_OK;
}

/* Of a damaged message there is as much as could be read; its record says what is wrong. */
int evidence_eml(struct evidence *e, struct reading *rd, size_t spool, struct lq_error *err)
{
    struct eml m = { .e = e };
    struct stat st = { .st_mode = 0600 };
    char path[TREE_PATH];
    int64_t when;
    int error;

    e->eml.n = e->eml.lost = 0;
    message_body(rd, take_eml, &m);
    e->emls++;
    eml_path(e, spool, rd->spool->backend->name, lq_record_text(rd->rec, LQ_QUEUE_ID), path);
    if (lq_record_number(rd->rec, LQ_ARRIVAL_TIME, &when))
        st.st_mtim.tv_sec = (time_t)when;
    if (e->eml.failed)
        return error_memory(err);
    if (e->eml.lost > 0)
        return write_large(e, rd, path, &st, m.size, err);
    error = tar_add(&e->tar, path, &st, e->eml.p ? e->eml.p : "", e->eml.n);
    return error ? tar_failed(e, error, err) : LQ_OK;
}

static int one_message(struct evidence *e, struct reading *rd, const struct ref *ref, struct lq_record *rec, size_t spool, uint64_t want, bool records,
                       struct lq_error *err)
{
    unsigned sections = records ? fields_sections(want) : SEC_CONTROL | SEC_SIZE;
    int rc = LQ_OK;

    reading_begin(rd, ref, rec, want);
    if (!reading_sections(rd, SEC_CONTROL) || !reading_sections(rd, sections & ~(unsigned)SEC_BODY))
        return LQ_OK;
    if (records)
        rc = evidence_record(e, rec, err);
    if (rc == LQ_OK && e->opts->redact) {
        rc = add_original(e, rd, err);
    } else if (rc == LQ_OK) {
        rc = evidence_eml(e, rd, spool, err);
        if (rc == LQ_OK && e->reported)
            xarf_add(&e->xarf, rec, &e->eml);
    }
    reading_end(rd);
    return rc;
}

int evidence_queue(struct evidence *e, struct lq_queue *q, size_t spool, bool records, struct lq_error *err)
{
    uint64_t want = records && !e->records_kept ? LQ_FIELDS_ALL : records ? summary_fields | page_fields | xarf_fields : xarf_fields;
    struct lq_record rec = { 0 };
    struct reading rd;
    struct spool sp;
    int rc;

    queue_learn_trust(q);
    rc = listing_begin(&sp, q, fields_sections(want), NULL, err);

    if (rc != LQ_OK)
        return rc;
    reading_init(&rd, &sp);
    for (size_t i = 0; rc == LQ_OK && i < listing_count(&sp); i++) {
        rc = evidence_go_on(e, err);
        if (rc == LQ_OK)
            rc = one_message(e, &rd, listing_ref(&sp, i), &rec, spool, want, records, err);
    }
    reading_done(&rd);
    record_done(&rec);
    listing_end(&sp);
    return rc;
}

/* --- who, where, by which clock --- */

static void member_of_os(struct buf *b)
{
    FILE *f = fopen("/etc/os-release", "re");
    char line[512];

    while (f && fgets(line, sizeof(line), f)) {
        if (strncmp(line, "PRETTY_NAME=", 12) == 0) {
            char *p = line + 12;

            p[strcspn(p, "\n")] = '\0';
            if (*p == '"')
                p++;
            p[strcspn(p, "\"")] = '\0';
            json_text(b, "os", p);
        }
    }
    if (f)
        fclose(f);
}

/* What the kernel knows of its clock: ntpd, chrony and timesyncd tell it there. */
static void clock_facts(struct evidence *e)
{
    struct timex t = { 0 };

    e->clock_known = adjtimex(&t) >= 0;
    e->clock_synced = e->clock_known && !(t.status & STA_UNSYNC);
    e->clock_offset_us = t.status & STA_NANO ? t.offset / 1000 : t.offset;
    e->clock_error_us = t.maxerror;
}

/* The journal of the case stays behind, where addresses may stand in it; its end is named, so that it can be shown later to be the one. */
static void name_journal(struct buf *b, const struct evidence *e)
{
    const char *p = e->source_journal.p, *end = p + e->source_journal.n, *line = p;
    struct digest *d = digest_new();
    char hex[DIGEST_HEX + 1] = "";
    int64_t lines = 0;

    for (const char *nl; p < end && (nl = memchr(p, '\n', (size_t)(end - p))) != NULL; p = nl + 1, lines++)
        line = p;
    if (d && lines > 0) {
        digest_add(d, line, (size_t)(p - line - 1));
        digest_end(d, hex);
        json_number(b, "source_journal_lines", lines);
        json_text(b, "source_journal_sha256", hex);
    }
    b->failed = b->failed || !d;
    digest_free(d);
}

/* A packed case is a file that anybody may have named. */
const char *evidence_source(const struct evidence *e)
{
    return e->c && (!e->opts->redact || vault_job_name(e->c->name, strlen(e->c->name))) ? e->c->name : NULL;
}

static void write_facts(struct evidence *e, struct buf *b)
{
    const struct lq_pack_opts *o = e->opts;
    struct utsname u;
    time_t now = time(NULL);
    struct tm tm;

    json_text(b, "verb", "pack");
    json_text(b, "why", o->why);
    json_text(b, "command", e->bag.info.command);
    json_text(b, "reporter", o->reporter);
    json_text(b, "source", e->c ? evidence_source(e) : "live queue");
    json_text(b, "software", "mqtools " MQ_VERSION);
    if (o->redact)
        name_journal(b, e);
    else
        job_who(b);
    if (uname(&u) == 0) {
        json_text(b, "kernel", u.release);
        json_text(b, "machine", u.machine);
    }
    member_of_os(b);
    if (localtime_r(&now, &tm)) {
        json_text(b, "time_zone", tm.tm_zone);
        json_number(b, "utc_offset_s", tm.tm_gmtoff);
    }
    if (o->log) {
        buf_add_str(b, ",\"logs\":[");
        buf_add(b, e->log_facts.p ? e->log_facts.p : "", e->log_facts.n);
        buf_add_char(b, ']');
    }
    if (!e->clock_known)
        return;
    buf_printf(b, ",\"clock\":{\"synchronised\":%s", e->clock_synced ? "true" : "false");
    if (e->clock_synced) {
        json_number(b, "offset_us", e->clock_offset_us);
        json_number(b, "max_error_us", e->clock_error_us);
    }
    buf_add_char(b, '}');
}

/* The case's own journal, and one line more. */
static int write_journal(struct evidence *e, struct lq_error *err)
{
    struct buf members = { 0 };
    struct lq_case *c = e->c;
    int error = c ? case_read_file(c, "journal.ndjson", e->opts->redact ? &e->source_journal : &e->journal) : 0;

    if (error)
        return case_error(c, "journal.ndjson", error, err);
    clock_facts(e);
    write_facts(e, &members);
    buf_add_char(&members, '\0');
    if (members.failed || !case_chain(&e->journal, "packed", members.p, &e->bag.journal_lines, e->bag.journal_hash))
        error = ENOMEM;
    buf_done(&members);
    return error ? error_memory(err) : LQ_OK;
}

/* --- tag files --- */

int evidence_tag(struct evidence *e, const char *name, const struct buf *b, struct lq_error *err)
{
    struct stat st = { .st_mode = 0600, .st_mtim.tv_sec = e->now };
    int error = b->failed ? ENOMEM : tar_add(&e->tar, name, &st, b->p ? b->p : "", b->n);

    return error ? evidence_error(e, name, error, err) : LQ_OK;
}

static int add_text(struct evidence *e, const char *name, void write(const struct evidence *, struct buf *), struct lq_error *err)
{
    struct buf b = { 0 };
    int rc;

    write(e, &b);
    rc = evidence_tag(e, name, &b, err);
    buf_done(&b);
    return rc;
}

static void write_info(const struct evidence *e, struct buf *b)
{
    struct bag_sums sums = { e->tar.files, e->tar.bytes, e->summary.messages };

    case_info_text(&e->bag, &sums, b);
    if (e->opts->redact)
        buf_add_str(b, CASE_REDACTED ": yes\n");
    if (evidence_source(e))
        buf_printf(b, "Mqtools-Source-Case: %s\n", evidence_source(e));
    if (e->c)
        buf_printf(b, "Mqtools-Source-Custody: %s\n", case_custody(e->c->info.custody));
}

static void write_spools(const struct evidence *e, struct buf *b)
{
    for (size_t i = 0; i < e->bag.spool_count; i++)
        if (e->opts->redact)
            buf_printf(b, "{\"dir\":\"%zu-%s\",\"mta\":\"%s\",\"spool\":\"\"}\n", i, e->bag.spools[i].mta, e->bag.spools[i].mta);
        else
            case_spool_line(&e->bag, i, NULL, b);
}

static void write_bagit(const struct evidence *e, struct buf *b)
{
    (void)e;
    buf_add_str(b, case_bagit);
}

static int add_records(struct evidence *e, struct lq_error *err)
{
    int error = e->records_kept ? pack_file(&e->tar, e->c->fd, "records.ndjson", "records.ndjson") : records_pack(&e->records, &e->tar, "records.ndjson");

    return error ? evidence_error(e, "records.ndjson", error, err) : LQ_OK;
}

static int add_tags(struct evidence *e, struct lq_error *err)
{
    struct stat st = { .st_mode = 0600, .st_mtim.tv_sec = e->now };
    int rc = add_text(e, "bag-info.txt", write_info, err), error;

    if (rc == LQ_OK)
        rc = add_text(e, "spools.ndjson", write_spools, err);
    if (rc == LQ_OK)
        rc = add_text(e, "bagit.txt", write_bagit, err);
    if (rc == LQ_OK)
        rc = evidence_pages(e, err);
    if (rc == LQ_OK)
        rc = add_records(e, err);
    if (rc == LQ_OK)
        rc = evidence_tag(e, "journal.ndjson", &e->journal, err);
    if (rc == LQ_OK)
        rc = evidence_tag(e, "manifest-sha256.txt", &e->tar.manifest, err);
    /* Of itself it says nothing, so it is written past the list that it is. */
    error = rc == LQ_OK ? tar_add(&e->tar, "tagmanifest-sha256.txt", &st, e->tar.tags.p, e->tar.tags.n) : 0;
    return error ? tar_failed(e, error, err) : rc;
}

/* --- from a case --- */

static int add_data_file(void *ctx, const struct tree_file *f)
{
    struct evidence *e = ctx;
    char path[TREE_PATH + 8];

    if (stopped(e))
        return ECANCELED;
    snprintf(path, sizeof(path), "data/%s", f->path);
    return pack_file(&e->tar, f->dir, f->name, path);
}

static void keep_first(void *ctx, const char *sentence)
{
    char *first = ctx;

    if (*first == '\0')
        snprintf(first, 512, "%s", sentence);
}

static int unlike(const struct evidence *e, const char *finding, size_t more, struct lq_error *err)
{
    char others[64] = "";

    if (more > 0)
        snprintf(others, sizeof(others), " (and %zu more)", more);
    return error_set(err, LQ_EDAMAGED, "case %s is not as it was sealed: %.400s%s; no pack was made of it (mqquarantine verify tells all)", e->c->name,
                     finding, others);
}

/* What is not compared while it is packed: an archive is unpacked for that, and of a redacted pack the files stay behind. */
static int check_before(struct evidence *e, struct lq_error *err)
{
    char first[512] = "";
    struct lq_error why;
    int rc = !e->c || !e->c->info.sealed || (!e->c->info.packed && !e->opts->redact) ? LQ_OK : lq_case_verify(e->c, keep_first, first, &why);

    if (rc == LQ_OK)
        return LQ_OK;
    return *first ? unlike(e, first, 0, err) : error_set(err, (enum lq_status)rc, "%s", why.text);
}

/* A pack has new hashes: what was changed since the case was sealed would look true. */
static int check_packed(struct evidence *e, struct lq_error *err)
{
    char first[512] = "";
    size_t findings = 0;
    int rc;

    if (!e->c->info.sealed || e->c->info.packed)
        return LQ_OK;
    rc = bag_check_read(e->c, &e->tar.manifest, e->tar.bytes, keep_first, first, &findings, err);
    return rc == LQ_OK && findings > 0 ? unlike(e, first, findings - 1, err) : rc;
}

static int pack_case(struct evidence *e, struct lq_error *err)
{
    struct lq_case *c = e->c;
    int data, error, rc = LQ_OK;

    /* What was written at sealing is still all true, and is evidence itself. */
    e->records_kept = c->info.sealed && !c->info.packed && c->info.restored == 0 && !e->opts->redact;
    for (size_t i = 0; rc == LQ_OK && i < c->spool_count; i++) {
        struct lq_queue *q;

        rc = lq_case_queue(&q, c, i, err);
        if (rc == LQ_OK && e->opts->trust)
            lq_queue_trust(q, e->opts->trust);
        if (rc == LQ_OK)
            rc = evidence_spool(e, q, err);
        if (rc == LQ_OK)
            rc = evidence_queue(e, q, i, true, err);
    }
    if (rc != LQ_OK || e->opts->redact)
        return rc;
    error = file_open_below(c->fd, "data", &data);
    if (error == 0) {
        error = tree_walk(data, NULL, add_data_file, e);
        close(data);
    }
    return error ? tar_failed(e, error, err) : check_packed(e, err);
}

int evidence_spool(struct evidence *e, const struct lq_queue *q, struct lq_error *err)
{
    struct lq_case *b = &e->bag;
    struct case_spool *more = realloc(b->spools, (b->spool_count + 1) * sizeof(*more)), *s;
    struct stat st;

    if (!more)
        return error_memory(err);
    b->spools = more;
    s = &b->spools[b->spool_count++];
    *s = (struct case_spool){ .fd = -1, .mta = strdup(q->backend->name), .spool = strdup(q->origin ? q->origin : q->root) };
    s->host = q->host ? strdup(q->host) : NULL;
    if (q->in_case)
        s->dev = q->in_case->spools[q->case_spool].dev;
    else if (fstat(q->fd, &st) == 0)
        s->dev = st.st_dev;
    if (!b->info.host && !e->opts->redact)
        b->info.host = s->host;
    return s->mta && s->spool && (s->host || !q->host) ? LQ_OK : error_memory(err);
}

/* --- the archive's file --- */

static const struct { const char *end; enum tar_kind kind; } kinds[] = {
    { ".tar.zst", TAR_ZSTD }, { ".tar.gz", TAR_GZIP }, { ".tgz", TAR_GZIP },
};

/* Directory and name of the output, what it is, and the directory that is inside of it. */
static int name_output(struct evidence *e, struct lq_error *err)
{
    const char *out = e->opts->output, *slash = out ? strrchr(out, '/') : NULL, *base = slash ? slash + 1 : out;
    size_t n = base ? strlen(base) : 0;

    for (size_t i = 0; base && i < sizeof(kinds) / sizeof(*kinds); i++) {
        size_t k = strlen(kinds[i].end);

        if (n > k && n - k < sizeof(e->top) && strcmp(base + n - k, kinds[i].end) == 0) {
            e->base = base;
            e->kind = kinds[i].kind;
            memcpy(e->top, base, n - k);
            e->top[n - k] = '\0';
            e->dir_name = slash ? strndup(out, slash > out ? (size_t)(slash - out) : 1) : strdup(".");
            if (!e->dir_name)
                return error_memory(err);
            return strcmp(e->top, ".") == 0 || strcmp(e->top, "..") == 0 ? error_set(err, LQ_EINVAL, "%s: not a name for an archive", out) : LQ_OK;
        }
    }
    return error_set(err, LQ_EINVAL, "%s: the name must end in .tar.zst, .tar.gz or .tgz", out && *out ? out : "(no name)");
}

/* The name of a case in a vault is that case: its open tree would be taken for what is left of it. */
static bool is_case(const struct evidence *e)
{
    static const char *const parts[] = { "jobs", "ledger" };
    int fd;

    if (!vault_job_name(e->top, strlen(e->top)))
        return false;
    for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++) {
        if (file_open_below(e->dir, parts[i], &fd) != 0)
            return false;
        close(fd);
    }
    return true;
}

static int outside_queues(const struct evidence *e, struct lq_error *err)
{
    char *real = realpath(e->dir_name, NULL), *file = NULL;
    int rc;

    if (!real)
        return evidence_error(e, e->dir_name, errno, err);
    if (asprintf(&file, "%s/%s", real, e->base) < 0)
        file = NULL;
    rc = file ? vault_not_scanned("", file, err) : error_memory(err);
    free(file);
    free(real);
    return rc;
}

static int open_output(struct evidence *e, struct lq_error *err)
{
    enum file_result r = file_open_dir(AT_FDCWD, e->dir_name, &e->dir);
    char name[NAME_MAX + 1];
    struct stat st;
    int error, rc;

    if (r != FILE_OK) {
        e->dir = -1;
        return error_set(err, r == FILE_GONE ? LQ_ENOENT : r == FILE_DENIED ? LQ_EACCES : LQ_EIO, "%s: directory %s: %s", e->opts->output, e->dir_name,
                         file_result_text(r));
    }
    rc = outside_queues(e, err);
    if (rc != LQ_OK)
        return rc;
    if (is_case(e))
        return error_set(err, LQ_EREFUSED, "%s: in a vault that is the name of a case; choose another place or name", e->opts->output);
    /* Without a name until it is whole; where the file system cannot do that, under one that says so. */
    error = file_stat(e->dir, e->base, &st) != FILE_GONE ? EEXIST : file_create_unnamed(e->dir, 0600, &e->fd);
    if (error == EOPNOTSUPP) {
        snprintf(e->partial, sizeof(e->partial), ".%.200s.partial-%ld", e->base, (long)getpid());
        error = file_create(e->dir, e->partial, 0600, &e->fd);
        if (error)
            e->partial[0] = '\0';
    }
    if (error == EEXIST)
        return error_set(err, LQ_EREFUSED, "%s exists; nothing is overwritten", e->opts->output);
    if (error) {
        e->fd = -1;
        return evidence_error(e, "", error, err);
    }
    snprintf(name, sizeof(name), ".%.200s.records", e->base);
    error = records_open(&e->records, e->dir, name);
    if (error == 0 && e->opts->redact) {
        snprintf(name, sizeof(name), ".%.200s.originals", e->base);
        error = records_open(&e->originals, e->dir, name);
    }
    return error ? evidence_error(e, "records.ndjson", error, err) : LQ_OK;
}

/* No name that is there is taken. Where the file system cannot rename so (NFS, FUSE), the name is made first, and what is replaced is ours. */
static int give_name(struct evidence *e)
{
    int fd, error;

    if (!e->partial[0]) {
        error = file_give_name(e->fd, e->dir, e->base);
    } else {
        error = file_move(e->dir, e->partial, e->dir, e->base);
        if (error == EINVAL && (error = file_create(e->dir, e->base, 0600, &fd)) == 0) {
            close(fd);
            error = file_replace(e->dir, e->partial, e->base);
            if (error)
                file_remove(e->dir, e->base);
        }
    }
    e->named = error == 0;
    return error;
}

static int finish_output(struct evidence *e, struct lq_error *err)
{
    int error = tar_end(&e->tar, e->hash);

    if (error == 0)
        error = file_sync(e->fd);
    if (error == 0)
        error = give_name(e);
    if (error == 0)
        error = file_sync(e->dir);
    if (error == EEXIST)
        return error_set(err, LQ_EREFUSED, "%s exists by now; nothing is overwritten", e->opts->output);
    return error ? tar_failed(e, error, err) : LQ_OK;
}

static void evidence_done(struct evidence *e, bool keep)
{
    if (e->tar_begun)
        tar_done(&e->tar);
    if (e->fd >= 0) {
        close(e->fd);
        if (!keep && e->named)
            file_remove(e->dir, e->base);
        else if (e->partial[0] && !e->named)
            file_remove(e->dir, e->partial);
    }
    records_done(&e->records);
    records_done(&e->originals);
    if (e->dir >= 0)
        close(e->dir);
    for (size_t i = 0; i < e->bag.spool_count; i++) {
        free(e->bag.spools[i].mta);
        free(e->bag.spools[i].spool);
        free(e->bag.spools[i].host);
    }
    free(e->bag.spools);
    free(e->dir_name);
    buf_done(&e->eml);
    buf_done(&e->journal);
    buf_done(&e->log_facts);
    buf_done(&e->source_journal);
    summary_done(&e->summary);
    page_done(&e->page);
    xarf_done(&e->xarf);
}

static int write_all(struct evidence *e, const struct lq_set *set, struct lq_error *err)
{
    int error, rc;

    e->tar_begun = true;
    error = tar_begin(&e->tar, e->fd, e->kind, 0, e->top);
    if (error)
        return tar_failed(e, error, err);
    rc = e->c ? pack_case(e, err) : evidence_live(e, set, err);
    if (rc == LQ_OK && e->opts->redact && (error = records_pack(&e->originals, &e->tar, "data/originals.ndjson")) != 0)
        rc = tar_failed(e, error, err);
    if (rc == LQ_OK)
        rc = evidence_logs(e, err);
    if (rc == LQ_OK)
        rc = write_journal(e, err);
    if (rc == LQ_OK)
        rc = add_tags(e, err);
    if (rc == LQ_OK)
        rc = evidence_go_on(e, err);
    return rc == LQ_OK ? finish_output(e, err) : rc;
}

/* The case remembers that a copy left. One that is packed, or that somebody works on, cannot; the archive itself tells all the same. */
static void note_copy(struct evidence *e)
{
    struct buf b = { 0 };

    if (!e->c || !e->c->vault || e->c->info.packed)
        return;
    json_text(&b, "output", e->opts->output);
    json_text(&b, "sha256", e->hash);
    json_text(&b, "why", e->opts->why);
    json_text(&b, "command", e->opts->command);
    buf_add_char(&b, '\0');
    if (!b.failed)
        case_journal(e->c, "copied", b.p, NULL);
    buf_done(&b);
}

int lq_pack(struct lq_case *c, const struct lq_set *set, const struct lq_pack_opts *opts, struct lq_error *err)
{
    struct evidence e = { .opts = opts, .c = c, .fd = -1, .dir = -1, .records.fd = -1, .originals.fd = -1, .now = time(NULL), .eml.limit = EML_KEPT };
    int rc;

    if (!opts || opts->size < sizeof(*opts) || !c == !set)
        return error_set(err, LQ_EINVAL, "lq_pack: a case or a set, and lq_pack_opts.size");
    if (opts->redact && opts->log)
        return error_set(err, LQ_EINVAL, "lq_pack: the lines of a log name people; a redacted pack has none");
    e.summary.redacted = e.page.redacted = opts->redact;
    e.reported = opts->reporter && !opts->redact;
    rc = opts->reporter ? xarf_reporter(&e.who, opts->reporter, err) : LQ_OK;
    if (rc == LQ_OK)
        rc = name_output(&e, err);
    if (rc == LQ_OK && c && !c->info.packed)
        rc = case_idle(c, err);
    if (rc == LQ_OK)
        rc = check_before(&e, err);
    if (rc == LQ_OK)
        rc = open_output(&e, err);
    if (rc == LQ_OK) {
        e.bag.name = e.top;
        e.bag.info.custody = LQ_COPY;
        e.bag.info.created = e.now;
        e.bag.info.verb = "pack";
        e.bag.info.why = opts->why;
        e.bag.info.command = opts->redact ? "mqquarantine pack --redact (what else was typed is left out)" : opts->command;
        rc = write_all(&e, set, err);
    }
    if (rc == LQ_OK)
        note_copy(&e);
    evidence_done(&e, rc == LQ_OK);
    return rc;
}
