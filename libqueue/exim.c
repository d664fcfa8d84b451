/*
 * Exim's messages: their files are read, held against each other, found again when they moved. exim_places.c knows where they are.
 *
 * A message is ID-H (envelope and header), ID-D (body), often ID-J (journal of deliveries not yet
 * in -H) and msglog/ID. What the files mean is read in exim_parse.c and exim_log.c. Facts are from the sources of 4.50 to 4.99 and
 * from seen runs of 4.96 and 4.98.2.
 */
#include "exim.h"

#include <string.h>

#include "backend.h"

static const char *const usual_dirs[] = { "/var/spool/exim4", "/var/spool/exim", NULL };
const char exim_suffix[][EXIM_SUFFIX + 1] = { [PART_HEADER] = "-H", [PART_DATA] = "-D", [PART_JOURNAL] = "-J", [PART_LOG] = "" };

/* --- reading --- */

/* Notes in the record's scratch between sections. */
enum note { NOTE_LIVE, NOTE_ITEMS, NOTE_WHOLE, NOTE_DEAD };

static const struct entry *find_part(const struct reading *rd, enum exim_part part)
{
    for (uint32_t i = 0; i < rd->ref->count; i++)
        if (exim_part_of(&rd->ref->entries[i]) == part)
            return &rd->ref->entries[i];
    return NULL;
}

static struct bytes id_of(const struct entry *e)
{
    return bytes_from(e->id, e->id_len);
}

/* An entry of the same id, in directory `dir`; its name lives in the record. False without memory. */
static bool make_entry(struct reading *rd, const struct entry *key, size_t dir, enum exim_part part, struct entry *out)
{
    char *name = arena_alloc(&rd->rec->arena, (size_t)key->id_len + EXIM_SUFFIX + 1);

    if (!name)
        return false;
    memcpy(name, key->id, key->id_len);
    memcpy(name + key->id_len, exim_suffix[part], strlen(exim_suffix[part]) + 1);
    *out = (struct entry){ .name = name, .id = name, .dir = (uint16_t)dir, .id_len = key->id_len, .role = (uint8_t)part };
    return true;
}

static bool exists(struct reading *rd, const struct entry *e)
{
    struct stat st;

    return file_stat(rd->spool->dirs[e->dir].fd, e->name, &st) != FILE_GONE;
}

static void add_file(struct reading *rd, const struct entry *e)
{
    if (rd->want & LQ_FIELD_BIT(LQ_FILES))
        record_add_file(rd->rec, rd->spool->dirs[e->dir].path, e->name);
}

static void arrival_from_id(struct reading *rd, const struct entry *key)
{
    int64_t t;

    if (exim_id_time(id_of(key), &t))
        record_set_number(rd->rec, LQ_ARRIVAL_TIME, t);
}

/* -D alone: being received, or left by a reception that died. Exim never shows it and never removes it. */
static void read_orphan(struct reading *rd, const struct entry *key)
{
    struct lq_record *r = rd->rec;
    struct entry header;
    struct stat st;
    int64_t began;
    enum file_result result = reading_stat(rd, key, &st);

    if (result == FILE_GONE || (make_entry(rd, key, key->dir, PART_HEADER, &header) && exists(rd, &header))) {
        rd->vanished = true;    /* or rather, it is complete now */
        return;
    }
    add_file(rd, key);
    arrival_from_id(rd, key);
    record_broken(r, SEC_CONTROL | SEC_SIZE);
    if (result != FILE_OK) {
        record_set_state(r, STATE_INCOMPLETE);
        return;
    }
    if (!exim_id_time(id_of(key), &began) || began > rd->spool->clock)
        began = (int64_t)st.st_mtime;
    if (spool_locked(rd->spool, st.st_dev, st.st_ino) || rd->spool->clock - began < EXIM_ABANDONED) {
        record_set_state(r, STATE_RECEIVING);
        return;
    }
    record_set_state(r, STATE_INCOMPLETE);
    record_problem(r, "%s: the message's -H is missing: its reception was never finished", reading_path(rd, key));
}

static struct exim_parse parse_begin(struct reading *rd, const struct entry *e)
{
    return (struct exim_parse){
        .rec = rd->rec, .src = &rd->src, .dir = rd->spool->dirs[e->dir].path, .name = e->name, .id = id_of(e),
        .want = rd->want, .headers = &rd->headers, .names = &rd->tmp, .nodes = &rd->tmp2,
    };
}

/*
 * -J before -H: at the end of an attempt Exim writes -H anew and then removes -J, so this order never misses a delivery.
 * True if there was one.
 */
static bool read_journal(struct reading *rd)
{
    const struct entry *e = find_part(rd, PART_JOURNAL);
    struct exim_parse p;
    struct stat st;
    enum file_result r;

    if (!e)
        return false;
    r = reading_open(rd, e, &st);
    if (r == FILE_GONE)
        return false;
    if (r == FILE_OK) {
        p = parse_begin(rd, e);
        exim_parse_journal(&p);
    } else {
        record_broken(rd->rec, SEC_CONTROL);
    }
    return true;
}

static void read_control(struct reading *rd, const struct entry *key)
{
    enum { KEEP = 64 << 10 };
    struct lq_record *r = rd->rec;
    struct exim_parse p = parse_begin(rd, key);
    struct stat st;
    enum file_result result;

    buf_reset(&rd->tmp, KEEP);
    buf_reset(&rd->tmp2, KEEP);
    p.tried = read_journal(rd);
    result = reading_open(rd, key, &st);
    if (result == FILE_GONE) {
        rd->vanished = true;
        return;
    }
    add_file(rd, key);
    if (result == FILE_OK) {
        exim_parse_header(&p);
        r->scratch[NOTE_LIVE] = p.live;
        r->scratch[NOTE_DEAD] = p.dead;
        r->scratch[NOTE_ITEMS] = p.items_at;
        r->scratch[NOTE_WHOLE] = p.whole;
    } else {
        record_broken(r, SEC_CONTROL);
        if (result == FILE_ODD)
            record_set_state(r, STATE_CORRUPT);
    }
    arrival_from_id(rd, key);
    if (rd->spool->dirs[key->dir].tag & EXIM_TAG_FROZEN)
        record_set_state(r, STATE_HELD);
}

/* The -D, also where listing came too early to see it. */
static const struct entry *data_entry(struct reading *rd, struct entry *made)
{
    const struct entry *e = find_part(rd, PART_DATA), *key = &rd->ref->entries[0];

    if (e)
        return e;
    return make_entry(rd, key, key->dir, PART_DATA, made) ? made : NULL;
}

static void data_missing(struct reading *rd, const struct entry *key, const struct entry *data)
{
    /* -D goes first when a message is done, so -H is gone at once, too. */
    if (!exists(rd, key)) {
        rd->vanished = true;
        return;
    }
    record_problem(rd->rec, "%s: missing: the message has no body and Exim cannot deliver it", reading_path(rd, data));
    record_set_state(rd->rec, STATE_INCOMPLETE);
    record_broken(rd->rec, SEC_SIZE);
}

static void read_data(struct reading *rd, const struct entry *key)
{
    struct lq_record *r = rd->rec;
    struct entry made;
    const struct entry *e = data_entry(rd, &made), *journal = find_part(rd, PART_JOURNAL);
    int64_t before = key->id_len + EXIM_SUFFIX + 1;      /* the name and LF */
    struct stat st;
    enum file_result result;

    if (!e)
        return;
    result = reading_stat(rd, e, &st);
    if (result == FILE_GONE) {
        data_missing(rd, key, e);
        return;
    }
    add_file(rd, e);
    if (journal && rd->want & LQ_FIELD_BIT(LQ_FILES) && exists(rd, journal))
        add_file(rd, journal);
    if (result != FILE_OK) {
        record_set_state(r, STATE_INCOMPLETE);
        record_broken(r, SEC_SIZE);
        return;
    }
    if (rd->want & LQ_FIELD_BIT(LQ_IDENTITY))
        record_set_identity(r, st.st_dev, st.st_ino);
    if (spool_locked(rd->spool, st.st_dev, st.st_ino))
        record_set_state(r, STATE_ACTIVE);
    if (st.st_size < before) {
        record_problem(r, "%s: %lld bytes: cut before the body begins", reading_path(rd, e), (long long)st.st_size);
        record_set_state(r, STATE_INCOMPLETE);
        record_broken(r, SEC_SIZE);
    } else if (r->scratch[NOTE_WHOLE]) {
        record_set_number(r, LQ_MESSAGE_SIZE, (int64_t)r->scratch[NOTE_LIVE] + (int64_t)st.st_size - before + 1);
    }
}

/*
 * A -H that was cut between two header items looks whole, and so does a shorter -D; the log remembers how large they were together. Only a
 * sentence: what is selected must not depend on whether the log was read. Items that died since count as if they had been alive.
 */
static void compare_size(struct reading *rd, int64_t came)
{
    struct lq_record *r = rd->rec;
    int64_t here;

    if (came == 0 || !record_is_set(r, LQ_MESSAGE_SIZE))
        return;
    here = r->value[LQ_MESSAGE_SIZE].number;
    if (came - here > (int64_t)r->scratch[NOTE_DEAD])
        record_problem(r, "%s: %lld bytes came, but only %lld are here: the end of -H or of -D is missing", reading_path(rd, &rd->ref->entries[0]),
                       (long long)came, (long long)here);
}

static void read_log(struct reading *rd)
{
    const struct entry *e = find_part(rd, PART_LOG);
    struct exim_parse p;
    struct stat st;
    enum file_result r;

    if (!e)
        return;
    r = reading_open(rd, e, &st);
    if (r == FILE_GONE)
        return;
    add_file(rd, e);
    if (r != FILE_OK) {
        record_broken(rd->rec, SEC_LOG);
        return;
    }
    p = parse_begin(rd, e);
    exim_parse_log(&p);
    compare_size(rd, p.came);
}

static void read_sections(struct reading *rd, unsigned sections)
{
    const struct entry *key = &rd->ref->entries[0];
    bool orphan = exim_part_of(key) == PART_DATA;

    if (sections & SEC_CONTROL && orphan)
        read_orphan(rd, key);
    else if (sections & SEC_CONTROL)
        read_control(rd, key);
    if (sections & SEC_SIZE && !orphan && !rd->vanished)
        read_data(rd, key);
    if (sections & SEC_LOG && !rd->vanished)
        read_log(rd);
}

/* --- where a message went --- */

/* A part in the given queue; the same place first, as Exim keeps the letter when it moves a message. */
static bool find_in_queue(struct reading *rd, const struct entry *key, enum exim_part part, struct entry *out)
{
    const struct spool *sp = rd->spool;
    struct entry other;

    if (part != PART_LOG && make_entry(rd, key, key->dir, part, out) && exists(rd, out))
        return true;
    for (size_t i = 0; i < sp->dir_count; i++) {
        bool logs = sp->dirs[i].tag & EXIM_TAG_LOG;

        if (logs != (part == PART_LOG) || exim_queue_of(sp, i) != exim_queue_of(sp, key->dir))
            continue;
        if (make_entry(rd, key, i, part, &other) && exists(rd, &other)) {
            *out = other;
            return true;
        }
    }
    return false;
}

static size_t again(struct reading *rd, struct entry *out, size_t max)
{
    const struct spool *sp = rd->spool;
    const struct entry *key = &rd->ref->entries[0];
    size_t n = 0;

    for (size_t i = 0; i < sp->dir_count && n == 0; i++)
        if (!(sp->dirs[i].tag & EXIM_TAG_LOG) && make_entry(rd, key, i, PART_HEADER, &out[0]) && exists(rd, &out[0]))
            n = 1;
    for (unsigned part = PART_DATA; part <= PART_LOG && n > 0 && n < max; part++)
        n += find_in_queue(rd, &out[0], (enum exim_part)part, &out[n]);
    return n;
}

/* --- the message itself --- */

struct relay {
    body_fn *emit;
    void *ctx;
    int answer;
};

static int relay(void *ctx, const void *p, size_t n)
{
    struct relay *to = ctx;

    to->answer = to->emit(to->ctx, p, n);
    return to->answer;
}

/* Header fields from the file, where they are more than a record keeps. */
static int long_headers(struct reading *rd, struct relay *to)
{
    uint64_t off = rd->rec->scratch[NOTE_ITEMS], live;
    enum exim_item result;
    struct stat st;

    if (reading_open(rd, &rd->ref->entries[0], &st) != FILE_OK)
        return 1;
    do
        result = exim_header_item(&rd->src, &off, &live, relay, to);
    while (result == EXIM_ITEM_GOOD || result == EXIM_ITEM_NUL);
    if (result == EXIM_ITEM_STOPPED)
        return to->answer;
    return result != EXIM_ITEM_END;
}

/* LF lines normally; CRLF with spool_file_wireformat, unless that flag is stale (seen in 4.96 and 4.98.2). Passed as is. */
static int body(struct reading *rd, body_fn *emit, void *ctx)
{
    const struct entry *key = &rd->ref->entries[0], *e;
    struct relay to = { emit, ctx, 0 };
    struct entry made;
    struct stat st;
    uint64_t off = (uint64_t)key->id_len + EXIM_SUFFIX + 1;
    const unsigned char *at;
    size_t got;
    int rc = 0;

    if (exim_part_of(key) == PART_DATA)
        return 1;
    if (rd->headers.lost > 0 || rd->headers.failed)
        rc = long_headers(rd, &to);
    else if (rd->headers.n > 0)
        rc = emit(ctx, rd->headers.p, rd->headers.n);
    if (rc == 0)
        rc = emit(ctx, "\n", 1);
    if (rc != 0)
        return rc;
    e = data_entry(rd, &made);
    if (!e || reading_open(rd, e, &st) != FILE_OK || (uint64_t)st.st_size < off)
        return 1;
    for (; (at = source_at(&rd->src, off, SOURCE_VIEW_MAX, &got)) != NULL; off += got)
        if ((rc = emit(ctx, at, got)) != 0)
            return rc;
    if (rd->src.error)
        record_problem(rd->rec, "%s: %s", reading_path(rd, e), source_why(rd->src.error));
    return rd->src.error || off < (uint64_t)st.st_size || !rd->rec->scratch[NOTE_WHOLE];
}

const struct lq_backend exim_backend = {
    .name = "exim",
    .usual_dirs = usual_dirs,
    .scans = exim_scans,
    .detect = exim_detect,
    .open = exim_open,
    .close = exim_close,
    .list = exim_list,
    .list_logs = exim_list_logs,
    .group = exim_group,
    .read = read_sections,
    .again = again,
    .body = body,
    .actor = &exim_actor,
};
