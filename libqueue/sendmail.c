/*
 * Sendmail queues: the states and the parts of one message.
 *
 * Leaves directories and names to sendmail_places.c, the bytes of control files to
 * sendmail_parse.c, configuration to sendmail_cf.c. Facts: Sendmail 8.17 and 8.18 (queue.c), the
 * Operations Guide.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "sendmail_places.h"

enum { DAY = 24 * 60 * 60 };

static const char *const usual_dirs[] = {
    "/var/spool/mqueue", "/var/spool/mqueue-client", "/var/spool/clientmqueue",
    "/private/var/spool/mqueue", NULL
};

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
static void set_receiving(struct reading *rd, const struct entry *e, const struct stat *st,
                          bool locked)
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
        if (sendmail_is_control(e))
            record_problem(
                rd->rec,
                "%s: a second control file of this message; shown is %s, which sendmail would use",
                reading_path(rd, e), key->name);
        else if (day_old(rd->spool, &st) && !spool_locked(rd->spool, st.st_dev, st.st_ino))
            record_problem(rd->rec, "%s: a temporary control file that was left behind",
                           reading_path(rd, e));
    }
}

static void check_place(struct reading *rd, const struct entry *e)
{
    if (sendmail_misplaced(rd->spool, e))
        record_problem(rd->rec, "%s: not in the %s directory, where sendmail looks for it",
                       reading_path(rd, e), e->role == ROLE_DF ? "df" : "qf");
    else if (e->id_len > SENDMAIL_ID_MAX)
        record_problem(rd->rec, "%s: the name is longer than sendmail accepts",
                       reading_path(rd, e));
}

/*
 * Modes that make sendmail set a control file aside (8.17); they are lost on many copies, so only a
 * live spool is asked.
 */
static void check_mode(struct reading *rd, const struct entry *e, const struct stat *st)
{
    const struct sendmail_places *own = sendmail_places(rd->spool);
    mode_t refused = S_IWOTH;

    if (!rd->spool->live)
        return;
    if (own->configured && !(own->cf.file_mode & S_IWGRP))
        refused |= S_IWGRP;
    if (!(st->st_mode & refused))
        return;
    record_set_state(rd->rec, STATE_CORRUPT);
    record_problem(rd->rec,
                   "%s: mode %04o lets others write; sendmail would set it aside as Qf%.*s",
                   reading_path(rd, e), (unsigned)(st->st_mode & 07777), (int)e->id_len, e->id);
}

static void set_states(struct reading *rd, const struct entry *key, const struct stat *st,
                       const struct sendmail_control *c)
{
    struct lq_record *r = rd->rec;
    bool locked = spool_locked(rd->spool, st->st_dev, st->st_ino);

    if (key->role == ROLE_LOST) {
        record_set_state(r, STATE_CORRUPT);
        record_problem(r, "%s: sendmail set this control file aside", reading_path(rd, key));
    } else if (c->refused || key->id_len > SENDMAIL_ID_MAX) {
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
    struct sendmail_input in = {
        .src = &rd->src, .want = rd->want, .headers = &rd->headers, .tmp = &rd->tmp, .tmp2 = &rd->tmp2,
    };
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
        record_problem(r, "%s: %s", reading_path(rd, key), source_why(rd->src.error));
    check_place(rd, key);
    check_mode(rd, key, &st);
    set_states(rd, key, &st, &c);
    report_others(rd);
}

/* Look for one file of this message in all directories, now; answers how many entries it filled. */
static size_t look_for(struct reading *rd, enum sendmail_role role, struct entry *out)
{
    const struct entry *key = &rd->ref->entries[0];
    char name[UINT8_MAX + 3];
    struct lq_str kept;
    struct stat st;

    snprintf(name, sizeof(name), "%cf%.*s", sendmail_role_letters[role], (int)key->id_len, key->id);
    for (size_t i = 0; i < rd->spool->dir_count; i++) {
        const struct spool_dir *dir = &rd->spool->dirs[i];

        if ((dir->tag % KIND_COUNT == KIND_DF) != (role == ROLE_DF) &&
            dir->tag % KIND_COUNT != KIND_HOME)
            continue;
        if (file_stat(dir->fd, name, &st) != FILE_OK)
            continue;
        kept = arena_copy(&rd->rec->arena, name, strlen(name));
        if (!kept.p)
            return 0;
        *out = (struct entry){
            .name = kept.p, .id = kept.p + 2, .dir = (uint16_t)i, .id_len = key->id_len,
            .role = (uint8_t)role,
        };
        return 1;
    }
    return 0;
}

/* Sendmail may have written the control file after its directory was listed. */
static bool has_control_now(struct reading *rd)
{
    struct entry found;

    return look_for(rd, ROLE_QF, &found) > 0 || look_for(rd, ROLE_HF, &found) > 0;
}

/*
 * A body without control file: being received for as long as its DATA takes, or left over from long
 * ago.
 */
static void read_orphan(struct reading *rd)
{
    const struct entry *key = &rd->ref->entries[0];
    struct lq_record *r = rd->rec;
    struct stat st;
    enum file_result result = reading_stat(rd, key, &st);

    record_broken(r, SEC_CONTROL);
    if (result == FILE_GONE || (!rd->ref->twin && has_control_now(rd))) {
        rd->vanished = true;    /* as a body alone; again() finds the message */
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
        record_problem(r, "%s: a body without control file, more than a day old",
                       reading_path(rd, key));
}

/* --- read: the body's size and identity --- */

/* Where sendmail would look for the body; false when d names no directory of this spool. */
static bool df_place(const struct reading *rd, size_t *dir)
{
    const struct sendmail_places *own = sendmail_places(rd->spool);
    size_t home = sendmail_home_of(rd->spool, &rd->ref->entries[0]);
    const struct sendmail_home *h;

    if (!sendmail_df_home(own, rd->rec->scratch_text[0].p, &home))
        return false;
    h = &own->homes[home];
    *dir = sendmail_dir_for(h, ROLE_DF);
    return h->has[KIND_HOME];
}

/*
 * A body that list() did not meet, for example because the message was just arriving, becomes part
 * of the message now.
 */
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
    entries[n] = (struct entry){
        .name = name, .id = name + 2, .dir = (uint16_t)dir, .id_len = key->id_len, .role = ROLE_DF,
    };
    *ref = (struct ref){ entries, n + 1, rd->ref->twin };
    rd->ref = ref;
    return &entries[n];
}

static const struct entry *find_df(const struct reading *rd, size_t dir)
{
    for (uint32_t i = 0; i < rd->ref->count; i++)
        if (rd->ref->entries[i].role == ROLE_DF &&
            (dir == SIZE_MAX || rd->ref->entries[i].dir == dir))
            return &rd->ref->entries[i];
    return NULL;
}

static enum file_result stat_df(struct reading *rd, size_t dir, const struct entry **df,
                                struct stat *st)
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

/*
 * The body is not where it should be. Sendmail takes it away before the control file, so the
 * message may just have been finished.
 */
static void missing_df(struct reading *rd, const char *where)
{
    const struct entry *key = &rd->ref->entries[0], *elsewhere = find_df(rd, SIZE_MAX);
    struct lq_record *r = rd->rec;
    struct stat st;

    if (elsewhere && reading_stat(rd, elsewhere, &st) == FILE_OK) {
        record_set_state(r, STATE_INCOMPLETE);
        record_problem(r, "%s: the body is here, but sendmail looks for it in %s",
                       reading_path(rd, elsewhere), where);
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
    record_problem(r, "df%.*s is missing in %s; sendmail would send the message without its body",
                   (int)key->id_len, key->id, where);
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
        missing_df(rd, *rd->spool->dirs[dir].path ? rd->spool->dirs[dir].path
                                                  : "the spool directory itself");
        break;
    default:
        record_set_state(rd->rec, STATE_INCOMPLETE);
        record_broken(rd->rec, SEC_SIZE);
    }
}

/* Who acts may name any directory; in one that is no queue directory sendmail has no messages. */
static bool in_queue(const struct reading *rd)
{
    for (uint32_t i = 0; i < rd->ref->count; i++)
        if (rd->spool->dirs[rd->ref->entries[i].dir].tag == SPOOL_TAG_NONE)
            return false;
    return true;
}

static void read_message(struct reading *rd, unsigned sections)
{
    struct lq_record *r = rd->rec;

    if (!in_queue(rd)) {
        record_broken(r, sections);
        return;
    }
    if (sections & SEC_CONTROL) {
        if (rd->ref->entries[0].role == ROLE_DF)
            read_orphan(rd);
        else
            read_control(rd);
    }
    if (sections & SEC_SIZE && !rd->vanished)
        read_size(rd);
    /* sendmail never rewrites a body (8.17). */
    if (wants(rd, LQ_IDENTITY) && r->scratch[NOTE_HAS_DF])
        record_set_identity(r, (dev_t)r->scratch[NOTE_DEV], (ino_t)r->scratch[NOTE_INO]);
}

/* --- again --- */

/*
 * Quarantined or released meanwhile (qf and hf), set aside (Qf), or the rewritten file of a changed
 * type.
 */
static size_t again(struct reading *rd, struct entry *out, size_t max)
{
    size_t n = 0;

    for (enum sendmail_role role = ROLE_QF; role <= ROLE_LOST && n < max; role++)
        n += look_for(rd, role, out + n);
    /*
     * A body alone is no message here: sendmail and tools that delete take the control file or the
     * body away last.
     */
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
    for (uint64_t off = 0; (p = source_at(&rd->src, off, SOURCE_VIEW_MAX, &got)) != NULL;
         off += got) {
        rc = emit(ctx, p, got);
        if (rc != 0)
            return rc;
    }
    if (!rd->src.error)
        return 0;
    record_problem(rd->rec, "%s: %s", reading_path(rd, df), source_why(rd->src.error));
    return 1;
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

static int open_spool(struct spool *sp, struct lq_error *err)
{
    return sendmail_open(sp, sendmail_cf_files, err);
}

/*
 * QueueDirectory=/base/q* takes every directory of the base whose name starts with q (8.17), and a directory qf, df or xf inside a queue holds
 * its files. A group's P= may end in another letter and *; the names of files begin with two letters and a digit or so, never "mqt".
 */
static bool scans(const char *below)
{
    for (const char *p = below; *p; p += strcspn(p, "/"), p += strspn(p, "/")) {
        size_t n = strcspn(p, "/");

        if (*p == 'q' || (n == 2 && p[1] == 'f' && strchr("dx", *p)))
            return true;
    }
    return false;
}

const struct lq_backend sendmail_backend = {
    .name = "sendmail",
    .usual_dirs = usual_dirs,
    .scans = scans,
    .detect = sendmail_detect,
    .open = open_spool,
    .close = sendmail_close,
    .list = sendmail_list,
    .group = sendmail_group,
    .read = read_message,
    .again = again,
    .body = body,
    .actor = &sendmail_actor,
};
