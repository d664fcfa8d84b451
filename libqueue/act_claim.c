/*
 * From an item of a set to a claimed message: the server's lock, the same message, unchanged since it was read, or read once more under
 * the lock and still selected. What cannot be told is not touched.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "act.h"

/* The item's files as the spool numbers its directories now; false when the key's directory is gone. */
static bool present_ref(const struct site *s, const struct set_item *item, struct ref *ref, struct entry *entries)
{
    uint32_t n = 0;

    for (unsigned i = 0; i < item->part_count; i++) {
        const struct set_part *p = &item->parts[i];

        if (s->map[p->dir] == UINT16_MAX && i == 0)
            return false;
        if (s->map[p->dir] != UINT16_MAX)
            entries[n++] = (struct entry){ .name = p->name, .id = p->name + p->id_at, .dir = s->map[p->dir], .id_len = p->id_len,
                                           .role = p->role };
    }
    *ref = (struct ref){ entries, n, item->twin };
    return true;
}

static bool same_time(const struct timespec *a, const struct timespec *b)
{
    return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

static const struct piece *stamped(const struct claim *c, const struct file_stamp *f)
{
    for (size_t i = 0; i < c->n; i++) {
        const struct stat *st = &c->parts[i].st;

        if (st->st_ino == f->ino && st->st_dev == f->dev)
            return st->st_size == f->size && same_time(&st->st_mtim, &f->mtime) && same_time(&st->st_ctim, &f->ctime) ? &c->parts[i] : NULL;
    }
    return NULL;
}

static bool listed(const struct site *s, const struct set_item *item, const struct piece *p)
{
    for (unsigned i = 0; i < item->part_count; i++)
        if (s->map[item->parts[i].dir] == p->dir && strcmp(item->parts[i].name, p->name) == 0)
            return true;
    return false;
}

/* The message was decided on what its files hold, and they are as they were when they were read. */
static bool unchanged(const struct lq_job *j, const struct site *s, const struct work *w)
{
    enum { RACY = 1 };          /* seconds: a change in the same tick of the clock leaves no trace in the times */
    const struct set_item *item = w->item;
    const struct claim *c = &w->c;
    bool logs = fields_sections(j->filter_fields) & SEC_LOG;

    if (item->unsure || item->stamp_count == 0 || s->map[item->parts[0].dir] != c->parts[0].dir)
        return false;
    for (unsigned i = 0; i < item->stamp_count; i++)
        if (item->stamps[i].ctime.tv_sec + RACY >= item->read_at || !stamped(c, &item->stamps[i]))
            return false;
    /* A file that was not there: a journal tells of deliveries since; a log matters to who asked for reasons. */
    for (size_t i = 1; i < c->n; i++)
        if ((logs || c->parts[i].dir == c->parts[0].dir) && !listed(s, item, &c->parts[i]))
            return false;
    return true;
}

/* Is one of the claimed files one of those that were looked at? For messages whose identity could not be told. */
static bool shares_file(const struct set_item *item, const struct claim *c)
{
    for (unsigned i = 0; i < item->stamp_count; i++)
        for (size_t k = 0; k < c->n; k++)
            if (item->stamps[i].ino == c->parts[k].st.st_ino && item->stamps[i].dev == c->parts[k].st.st_dev)
                return true;
    return false;
}

/* Read what the filter asks, from the files as they are under the lock. */
static enum tri evaluate(struct lq_job *j, struct site *s, const struct ref *ref)
{
    struct reading *rd = &s->rd;
    enum tri t;
    unsigned need = 0;
    bool here = true;

    reading_begin(rd, ref, &s->rec, j->filter_fields | LQ_FIELD_BIT(LQ_STATE));
    while ((t = filter_eval(j->opts.filter, &s->rec, &j->filter_state, &need)) == TRI_UNKNOWN && need && here)
        here = reading_sections(rd, reading_first(need));
    reading_end(rd);
    return here ? t : TRI_NO;
}

static bool still_selected(struct lq_job *j, struct site *s, struct work *w)
{
    struct entry entries[CLAIM_PARTS_MAX];
    struct ref ref = { entries, (uint32_t)w->c.n, false };
    enum tri t;

    for (size_t i = 0; i < w->c.n; i++) {
        struct piece *p = &w->c.parts[i];
        const char *id = strstr(p->name, w->item->id);

        if (!id)
            return false;
        entries[i] = (struct entry){ .name = p->name, .id = id, .dir = (uint16_t)p->dir, .id_len = (uint8_t)strlen(w->item->id),
                                     .role = p->role };
    }
    t = evaluate(j, s, &ref);
    if (t == TRI_NO)
        work_skip(w, "it changed since it was selected, and is not selected any more");
    else if (t == TRI_UNKNOWN)
        work_skip(w, "it changed since it was selected, and whether it still is cannot be told");
    return t == TRI_YES;
}

/* The actors' answers are clauses about the message; some leave its pronoun out. */
static const char *pronoun(const char *why)
{
    static const char *const verbs[] = { "is ", "has ", "may " };

    for (size_t i = 0; i < sizeof(verbs) / sizeof(*verbs); i++)
        if (strncmp(why, verbs[i], strlen(verbs[i])) == 0)
            return "it ";
    return "";
}

/* Without taking a lock the table of the system tells who has one. */
static bool seems_locked(const struct site *s, const struct claim *c)
{
    for (size_t i = 0; i < c->n; i++)
        if (listing_any_lock(&s->sp, c->parts[i].st.st_dev, c->parts[i].st.st_ino))
            return true;
    return false;
}

/* A file of the message that is terabytes of holes, put there by damage or malice: to hash or copy its zeros would take days, and fill the vault. */
static const struct piece *hollow_part(const struct site *s, const struct claim *c)
{
    for (size_t i = 0; i < c->n; i++) {
        const struct piece *p = &c->parts[i];
        struct stat st;
        bool hollow;
        int fd;

        if (p->st.st_size <= SOURCE_HOLES_MAX || file_open(s->sp.dirs[p->dir].fd, p->name, &fd, &st) != FILE_OK)
            continue;
        hollow = source_hollow(fd, (uint64_t)st.st_size);
        close(fd);
        if (hollow)
            return p;
    }
    return NULL;
}

/* How many messages right before this one in the set have its id: they lie side by side. */
static unsigned namesakes_before(const struct lq_job *j, const struct work *w)
{
    unsigned n = 0;

    while (n < w->index && set_namesake(j->set, w->index - n - 1, w->index))
        n++;
    return n;
}

/* Whose logs move with a message; a dry run says what will be left when it is this one's turn. */
static void tell_namesakes(const struct lq_job *j, struct work *w)
{
    bool takes = j->opts.verb == LQ_TAKE || j->opts.verb == LQ_PURGE;

    if (takes && w->c.namesakes > (j->opts.dry ? namesakes_before(j, w) : 0))
        snprintf(w->text, sizeof(w->text), "another message has the same id, and the logs stay with it");
}

void claim_message(struct lq_job *j, struct site *s, struct work *w)
{
    struct entry entries[UINT8_MAX];
    struct ref ref;
    const struct piece *hollow;
    enum claim_result r;

    w->c.n = w->c.namesakes = 0;
    w->c.lock = w->c.lock2 = -1;
    w->c.why[0] = '\0';
    if (!present_ref(s, w->item, &ref, entries)) {
        work_skip(w, "it is not in the queue any more");
        return;
    }
    r = s->actor->claim(&s->sp, &ref, w->item->dev, w->item->ino, s->claim_flags | (j->opts.dry ? CLAIM_DRY : 0), &w->c);
    w->claimed = r == CLAIM_OK;
    if (r == CLAIM_BUSY || (r == CLAIM_OK && j->opts.dry && seems_locked(s, &w->c)))
        work_skip(w, "it is being delivered now");
    else if (r != CLAIM_OK)
        work_skip(w, "%s%s", pronoun(w->c.why), w->c.why);
    else if (w->item->ino == 0 && !shares_file(w->item, &w->c))
        work_skip(w, "it is not the message that was selected: its id is another's now");
    else if (work_finished(s, w))
        work_skip(w, "it is delivered, and about to leave the queue");
    else if (job_verb(j)->fills_case && (hollow = hollow_part(s, &w->c)) != NULL)
        work_skip(w, "most of its file %.100s was never written (%lld bytes, with holes): no case takes it; mqpurge --no-undo deletes it", hollow->name,
                  (long long)hollow->st.st_size);
    else if (j->opts.filter && !s->home && !unchanged(j, s, w))
        w->live = still_selected(j, s, w);
    if (w->live)
        tell_namesakes(j, w);
    else
        claim_end(w);
}

bool piece_is_at(const struct piece *p, int dir, const char *name)
{
    struct stat st;

    return file_stat(dir, name, &st) == FILE_OK && st.st_ino == p->st.st_ino && st.st_dev == p->st.st_dev;
}

bool work_in_use(const struct site *s, const struct work *w, int dir, const char *name)
{
    return s->actor->in_use && s->actor->in_use(&w->c.parts[0], dir, name);
}

/*
 * A Postfix whose queue manager meets our lock puts the message into its incoming queue; and an administrator may move it anywhere. Exim's lock is on
 * the -D: without its control file that is no message any more, but still there. Of Sendmail's two locks the first is the control file's.
 */
void work_left(const struct site *s, struct work *w)
{
    const struct piece *key = &w->c.parts[0];
    struct stat st;

    if (w->c.lock < 0 || fstat(w->c.lock, &st) < 0 || st.st_nlink == 0)
        work_skip(w, "it is not in the queue any more");
    else if (s->actor->one_file)
        work_skip(w, "it was moved to another queue meanwhile, and is there");
    else if (st.st_ino == key->st.st_ino && st.st_dev == key->st.st_dev)
        work_skip(w, "its control file got another name or directory meanwhile (quarantined, or moved): it is in the queue, as somebody else left it");
    else
        work_skip(w, "somebody else took its control file %.100s away meanwhile; its other files are in the queue", key->name);
}

void claim_end(struct work *w)
{
    if (w->claimed)
        claim_done(&w->c);
    w->claimed = false;
    for (unsigned i = 0; i < w->fd_count; i++)
        close(w->fds[i]);
    w->fd_count = 0;
}

/* --- letting go of many --- */

struct letting_go {
    struct work *w;
    size_t n;
    atomic_size_t next;
};

static void *let_go(void *ctx)
{
    enum { AT_ONCE = 16 };
    struct letting_go *l = ctx;
    size_t from;

    while ((from = atomic_fetch_add(&l->next, AT_ONCE)) < l->n)
        for (size_t i = from; i < l->n && i < from + AT_ONCE; i++)
            claim_end(&l->w[i]);
    return NULL;
}

/*
 * The last close of a file without a name frees its blocks, and a file system that tells the disk at once (ext4 without journal, mounted
 * with "discard") waits for the disk each time: a millisecond or more. Disks take many such requests side by side.
 */
void claims_end(struct work *w, size_t n)
{
    enum { HELPERS = 8, EACH = 64 };
    struct letting_go l = { .w = w, .n = n };
    pthread_t helpers[HELPERS];
    unsigned count = 0;

    while (count < HELPERS && count < n / EACH && pthread_create(&helpers[count], NULL, let_go, &l) == 0)
        count++;
    let_go(&l);
    for (unsigned i = 0; i < count; i++)
        pthread_join(helpers[i], NULL);
}
