/*
 * The log lines of messages that are asked for, in one pass over any number of files. Knows which lines belong together: those of an
 * id, and those of the connection that brought it. How a line is written is maillog.c's business.
 *
 * A connection's first lines come before anybody knows whether it brings a message that was asked for. They wait in its session, a
 * small one; when such a message arrives they become `kept`, and what the process writes from then on is added until it
 * disconnects.
 */
#include "maillog_find.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "file.h"

enum {
    SESSION_SLOTS = 8192,
    HELD_LINE_MAX = 4096,               /* bytes kept of a line that waits */
    STORE_MEMORY = 64 << 20,
    TROUBLES_MAX = 100
};

struct held {
    uint32_t at, len;                   /* in session.text */
    uint32_t file;
    bool cut;
    uint64_t number;
};

struct maillog_session {
    uint64_t key;                       /* of host, program and pid, or of the peer; 0: free */
    uint64_t peer, relay;               /* hashes; 0: not known */
    uint32_t older, newer, chain;
    uint32_t kept;
    bool ends;                          /* its program says when it ends */
    uint32_t held_count;
    uint64_t dropped;
    struct held held[MAILLOG_SESSION_LINES];
    struct buf text;
};

/* --- saying what went wrong --- */

static void say(char ***list, size_t *n, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Without memory for it, or when there is enough of them, it is lost. */
static void say(char ***list, size_t *n, const char *fmt, ...)
{
    char **more = *n < TROUBLES_MAX ? realloc(*list, (*n + 1) * sizeof(**list)) : NULL;
    va_list args;

    if (!more)
        return;
    *list = more;
    va_start(args, fmt);
    if (vasprintf(&more[*n], fmt, args) >= 0)
        ++*n;
    va_end(args);
}

static void fail(struct lq_log *log, const char *why)
{
    if (!log->failed)
        snprintf(log->why, sizeof(log->why), "%s", why);
    log->failed = true;
}

/* --- hashes --- */

static uint64_t mix(uint64_t h)
{
    h ^= h >> 32;
    h *= UINT64_C(0x9E3779B97F4A7C15);
    return h ^ h >> 29;
}

static uint64_t hash(uint64_t h, struct bytes b)
{
    uint64_t word;

    for (; b.n >= sizeof(word); b = bytes_skip(b, sizeof(word))) {
        memcpy(&word, b.p, sizeof(word));
        h = mix(h ^ word);
    }
    word = b.n;
    for (size_t i = 0; i < b.n; i++)
        word = word << 8 | b.p[i];
    return mix(h ^ word);
}

/* Never 0, which means none. */
static uint64_t hash_or_none(uint64_t seed, struct bytes b)
{
    uint64_t h = b.n > 0 ? hash(seed, b) : 0;

    return b.n > 0 && h == 0 ? 1 : h;
}

/* --- the messages that are asked for --- */

static uint32_t *slot_of(const struct lq_log *log, struct bytes id, bool exim)
{
    size_t mask = log->slot_count - 1;
    size_t i = (size_t)hash(exim, id) & mask;

    for (; log->slots[i]; i = (i + 1) & mask) {
        const struct maillog_message *m = &log->messages[log->slots[i] - 1];

        if (m->id_len == id.n && (m->mta == 'e') == exim && memcmp(m->id, id.p, id.n) == 0)
            break;
    }
    return &log->slots[i];
}

static struct maillog_message *message_of(const struct lq_log *log, struct bytes id, bool exim)
{
    uint32_t at = id.n > 0 && id.n <= MAILLOG_ID_MAX && log->slot_count > 0 ? *slot_of(log, id, exim) : 0;

    return at ? &log->messages[at - 1] : NULL;
}

static bool grow_slots(struct lq_log *log)
{
    size_t n = log->slot_count ? log->slot_count * 2 : 1024;
    uint32_t *old = log->slots, *slots = calloc(n, sizeof(*slots));

    if (!slots)
        return false;
    log->slots = slots;
    log->slot_count = n;
    for (size_t i = 0; i < log->count; i++)
        *slot_of(log, bytes_from(log->messages[i].id, log->messages[i].id_len), log->messages[i].mta == 'e') = (uint32_t)i + 1;
    free(old);
    return true;
}

static bool room_for_message(struct lq_log *log)
{
    size_t cap = log->cap ? log->cap * 2 : 256;
    struct maillog_message *more;

    /* At most half full, so that a miss is found after one step or two. */
    if (log->slot_count <= log->count * 2 && !grow_slots(log))
        return false;
    if (log->count < log->cap)
        return true;
    more = realloc(log->messages, cap * sizeof(*more));
    if (!more)
        return false;
    log->messages = more;
    log->cap = cap;
    return true;
}

int lq_log_want(struct lq_log *log, const char *mta, struct lq_str id, const int64_t *arrival, struct lq_error *err)
{
    struct maillog_message *m;
    struct lq_str kept;

    if (!mta || !strchr("eps", mta[0]))
        return error_set(err, LQ_EINVAL, "\"%s\" is no mail server that we know", mta ? mta : "");
    if (id.n == 0 || id.n > MAILLOG_ID_MAX || message_of(log, bytes_from(id.p, id.n), mta[0] == 'e'))
        return LQ_OK;
    kept = arena_copy(&log->names, id.p, id.n);
    if (!kept.p || log->count >= MAILLOG_NONE - 1 || !room_for_message(log))
        return error_memory(err);
    m = &log->messages[log->count];
    *m = (struct maillog_message){
        .id = kept.p, .id_len = (uint8_t)id.n, .mta = mta[0], .session = MAILLOG_NONE, .has_arrival = arrival != NULL,
        .arrival = arrival ? *arrival : 0, .lines = { .first = MAILLOG_NONE, .last = MAILLOG_NONE },
    };
    *slot_of(log, bytes_from(m->id, m->id_len), m->mta == 'e') = (uint32_t)++log->count;
    return LQ_OK;
}

/* --- keeping lines --- */

/* Where large things may lie: /tmp is often memory. 0 or errno. */
static int open_unnamed(int *fd)
{
    const char *dir = getenv("TMPDIR");
    int dirfd, error;

    if (file_open_dir(AT_FDCWD, dir && dir[0] == '/' ? dir : "/var/tmp", &dirfd) != FILE_OK)
        return errno;
    error = file_create_unnamed(dirfd, 0600, fd);
    close(dirfd);
    return error;
}

static int write_out(struct maillog_store *s)
{
    int error = s->fd < 0 ? open_unnamed(&s->fd) : 0;

    if (error == 0)
        error = file_write(s->fd, s->buf.p, s->buf.n);
    if (error == 0) {
        s->flushed += s->buf.n;
        s->buf.n = 0;
    }
    return error;
}

static bool keep_text(struct lq_log *log, struct bytes text, uint64_t *at)
{
    struct maillog_store *s = &log->store;
    int error = 0;

    if (log->failed)
        return false;
    if (s->buf.n + text.n > s->most)
        error = write_out(s);
    if (error != 0) {
        fail(log, strerror(error));
        return false;
    }
    *at = s->flushed + s->buf.n;
    buf_add(&s->buf, text.p, text.n);
    if (s->buf.failed)
        fail(log, "out of memory");
    return !log->failed;
}

static struct maillog_found *new_found(struct lq_log *log)
{
    struct maillog_found *more;
    size_t cap = log->found_cap ? log->found_cap * 2 : 1024;

    if (log->found_count < log->found_cap)
        return &log->found[log->found_count];
    more = cap < MAILLOG_NONE ? realloc(log->found, cap * sizeof(*more)) : NULL;
    if (!more) {
        fail(log, "out of memory");
        return NULL;
    }
    log->found = more;
    log->found_cap = cap;
    return &more[log->found_count];
}

static void add_line(struct lq_log *log, struct maillog_list *list, struct bytes text, uint32_t file, uint64_t number, bool cut)
{
    struct maillog_found *f;
    uint64_t at;

    if (list->n >= MAILLOG_MESSAGE_LINES) {
        list->lost++;
        return;
    }
    f = new_found(log);
    if (!f || !keep_text(log, text, &at))
        return;
    *f = (struct maillog_found){ .at = at, .number = number, .len = (uint32_t)text.n, .file = file, .next = MAILLOG_NONE, .cut = cut };
    if (list->last == MAILLOG_NONE)
        list->first = (uint32_t)log->found_count;
    else
        log->found[list->last].next = (uint32_t)log->found_count;
    list->last = (uint32_t)log->found_count++;
    list->n++;
}

struct bytes maillog_text(struct lq_log *log, const struct maillog_found *f)
{
    struct maillog_store *s = &log->store;
    size_t done = 0;

    if (f->at >= s->flushed)
        return bytes_from(s->buf.p + (f->at - s->flushed), f->len);
    buf_reset(&s->back, MAILLOG_LINE_MAX);
    while (done < f->len) {
        char piece[4096];
        size_t want = f->len - done < sizeof(piece) ? f->len - done : sizeof(piece);
        ssize_t got = pread(s->fd, piece, want, (off_t)(f->at + done));

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            break;
        buf_add(&s->back, piece, (size_t)got);
        done += (size_t)got;
    }
    return s->back.n > 0 ? bytes_from(s->back.p, s->back.n) : BYTES("");
}

bool maillog_found_time(struct lq_log *log, const struct maillog_found *f, int64_t *out)
{
    struct maillog_line l;

    return maillog_parse(maillog_text(log, f), &l) && maillog_time(l.stamp, log->files[f->file].changed, out);
}

/* --- sessions --- */

static struct maillog_session *session_find(const struct lq_log *log, uint64_t key)
{
    uint32_t i = log->session_slots[key % SESSION_SLOTS];

    while (i != MAILLOG_NONE && log->sessions[i].key != key)
        i = log->sessions[i].chain;
    return i == MAILLOG_NONE ? NULL : &log->sessions[i];
}

static uint32_t index_of(const struct lq_log *log, const struct maillog_session *s)
{
    return (uint32_t)(s - log->sessions);
}

static void unchain(struct lq_log *log, struct maillog_session *s)
{
    uint32_t *at = &log->session_slots[s->key % SESSION_SLOTS];

    while (*at != index_of(log, s))
        at = &log->sessions[*at].chain;
    *at = s->chain;
}

static void chain(struct lq_log *log, struct maillog_session *s, uint64_t key)
{
    s->key = key;
    s->chain = log->session_slots[key % SESSION_SLOTS];
    log->session_slots[key % SESSION_SLOTS] = index_of(log, s);
}

/* Out of the list by age. */
static void unlist(struct lq_log *log, struct maillog_session *s)
{
    *(s->older == MAILLOG_NONE ? &log->oldest : &log->sessions[s->older].newer) = s->newer;
    *(s->newer == MAILLOG_NONE ? &log->newest : &log->sessions[s->newer].older) = s->older;
}

static void list_newest(struct lq_log *log, struct maillog_session *s)
{
    s->older = log->newest;
    s->newer = MAILLOG_NONE;
    *(log->newest == MAILLOG_NONE ? &log->oldest : &log->sessions[log->newest].newer) = index_of(log, s);
    log->newest = index_of(log, s);
}

static void session_end(struct lq_log *log, struct maillog_session *s)
{
    unchain(log, s);
    unlist(log, s);
    buf_reset(&s->text, HELD_LINE_MAX);
    s->key = 0;
    s->newer = log->free_session;
    log->free_session = index_of(log, s);
}

static struct maillog_session *session_begin(struct lq_log *log, uint64_t key, bool ends)
{
    struct maillog_session *s = session_find(log, key);

    if (s)
        session_end(log, s);
    if (log->free_session == MAILLOG_NONE) {
        s = &log->sessions[log->oldest];
        /* One that never says its end is most likely over; of the others we know that something is missing. */
        log->forgotten += s->ends && s->kept == MAILLOG_NONE;
        session_end(log, s);
    }
    s = &log->sessions[log->free_session];
    log->free_session = s->newer;
    s->peer = s->relay = 0;
    s->kept = MAILLOG_NONE;
    s->ends = ends;
    s->held_count = 0;
    s->dropped = 0;
    chain(log, s, key);
    list_newest(log, s);
    return s;
}

bool maillog_sessions(struct lq_log *log, uint32_t n)
{
    log->sessions = calloc(n, sizeof(*log->sessions));
    log->session_count = log->sessions ? n : 0;
    if (!log->session_slots)
        log->session_slots = malloc(SESSION_SLOTS * sizeof(*log->session_slots));
    if (!log->sessions || !log->session_slots)
        return false;
    memset(log->session_slots, 0xFF, SESSION_SLOTS * sizeof(*log->session_slots));
    for (uint32_t i = 0; i < n; i++)
        log->sessions[i].newer = i + 1 < n ? i + 1 : MAILLOG_NONE;
    log->free_session = 0;
    log->oldest = log->newest = MAILLOG_NONE;
    return true;
}

/* The second line goes: the first says who connected, the last ones what led to the message. */
static void drop_second(struct maillog_session *s)
{
    uint32_t at = s->held[1].at, len = s->held[1].len;

    memmove(s->text.p + at, s->text.p + at + len, s->text.n - at - len);
    s->text.n -= len;
    s->held_count--;
    s->dropped++;
    memmove(&s->held[1], &s->held[2], (s->held_count - 1) * sizeof(*s->held));
    for (uint32_t i = 1; i < s->held_count; i++)
        s->held[i].at -= len;
}

static void hold(struct lq_log *log, struct maillog_session *s, struct bytes line, uint64_t number, bool cut)
{
    size_t n = line.n < HELD_LINE_MAX ? line.n : HELD_LINE_MAX;

    if (s->kept != MAILLOG_NONE) {
        add_line(log, &log->kept[s->kept], line, log->file, number, cut);
        return;
    }
    while (s->held_count > 1 && (s->held_count == MAILLOG_SESSION_LINES || s->text.n + n > MAILLOG_SESSION_BYTES))
        drop_second(s);
    s->held[s->held_count++] = (struct held){
        .at = (uint32_t)s->text.n, .len = (uint32_t)n, .file = log->file, .number = number, .cut = cut || n < line.n,
    };
    buf_add(&s->text, line.p, n);
    if (s->text.failed)
        fail(log, "out of memory");
}

/* The connection brought a message that was asked for. */
static void keep_session(struct lq_log *log, struct maillog_session *s)
{
    struct maillog_list *more;
    size_t cap = log->kept_cap ? log->kept_cap * 2 : 256;

    if (s->kept != MAILLOG_NONE)
        return;
    if (log->kept_count == log->kept_cap) {
        more = realloc(log->kept, cap * sizeof(*more));
        if (!more) {
            fail(log, "out of memory");
            return;
        }
        log->kept = more;
        log->kept_cap = cap;
    }
    s->kept = (uint32_t)log->kept_count++;
    log->kept[s->kept] = (struct maillog_list){ .first = MAILLOG_NONE, .last = MAILLOG_NONE };
    for (uint32_t i = 0; i < s->held_count && !log->failed; i++)
        add_line(log, &log->kept[s->kept], bytes_from(s->text.p + s->held[i].at, s->held[i].len), s->held[i].file, s->held[i].number,
                 s->held[i].cut);
    log->dropped += s->dropped;
    s->held_count = 0;
    buf_reset(&s->text, HELD_LINE_MAX);
}

/* --- which connection a line is of --- */

static uint64_t session_key(const struct maillog_line *l)
{
    return hash_or_none(hash(hash((uint64_t)l->form, l->host), l->tag), l->pid);
}

static uint64_t peer_key(const struct maillog_line *l)
{
    struct bytes peer = maillog_peer(l);

    return peer.n > 0 ? hash_or_none(hash(77, l->host), peer) : 0;
}

/*
 * Exim up to 4.96 writes the connect line from the daemon, later from the process that serves it. So it waits under the client's address and
 * port, and the first line of a process that names them takes it over.
 */
static struct maillog_session *exim_session(struct lq_log *log, const struct maillog_line *l, uint64_t key)
{
    struct maillog_session *s = session_find(log, key), *waiting;
    uint64_t peer = peer_key(l);

    if (peer == 0 || (s && s->peer == peer))
        return s;
    waiting = session_find(log, peer);
    if (!waiting)
        return s;
    if (s)
        session_end(log, s);
    unchain(log, waiting);
    chain(log, waiting, key);
    return waiting;
}

/* Sendmail's processes do not say when a connection ends, and pids come again: another name is another connection. */
static struct maillog_session *sendmail_session(struct lq_log *log, const struct maillog_line *l, uint64_t key)
{
    struct maillog_session *s = session_find(log, key);
    struct bytes text = maillog_relay(l);
    uint64_t relay = hash_or_none(1, text);

    if (s && relay && s->relay && s->relay != relay) {
        session_end(log, s);
        s = NULL;
    }
    if (s && relay)
        s->relay = relay;
    return s;
}

static struct maillog_session *session_of(struct lq_log *log, const struct maillog_line *l, uint64_t key)
{
    return l->form == MAILLOG_EXIM ? exim_session(log, l, key) :
           l->form == MAILLOG_SYSLOG ? sendmail_session(log, l, key) : session_find(log, key);
}

static struct maillog_session *connection_begins(struct lq_log *log, const struct maillog_line *l, uint64_t key)
{
    uint64_t peer = peer_key(l);
    struct maillog_session *s = session_begin(log, peer ? peer : key, l->form != MAILLOG_SYSLOG);

    s->peer = peer;
    s->relay = hash_or_none(1, maillog_relay(l));
    return s;
}

/* What a line means for the connection of its process; m: the message of its id, if that was asked for. */
static void take_for_session(struct lq_log *log, const struct maillog_line *l, enum maillog_event event, struct maillog_message *m,
                             struct bytes line, uint64_t number, bool cut)
{
    uint64_t key = session_key(l);
    struct maillog_session *s;

    if (event == MAILLOG_CONNECT) {
        hold(log, connection_begins(log, l, key), line, number, cut);
        return;
    }
    s = session_of(log, l, key);
    if (event == MAILLOG_ARRIVAL && m) {
        /* Its beginning may be in a file that was not given. */
        if (!s)
            s = session_begin(log, key, l->form != MAILLOG_SYSLOG);
        s->relay = s->relay ? s->relay : hash_or_none(1, maillog_relay(l));
        keep_session(log, s);
        m->session = s->kept;
        return;
    }
    if (event == MAILLOG_LOGIN && !s) {
        s = session_begin(log, key, false);
        s->relay = hash_or_none(1, maillog_relay(l));
    }
    if (!s)
        return;
    if (event == MAILLOG_DISCONNECT || !maillog_has_id(l)) {
        hold(log, s, line, number, cut);
        unlist(log, s);
        list_newest(log, s);
    }
    if (event == MAILLOG_DISCONNECT)
        session_end(log, s);
}

/* --- one line --- */

/* Short ids of Postfix come again: which of two messages is ours? The one that began closer to its arrival; without that, the later one. */
static void another_life(struct lq_log *log, struct maillog_message *m, const struct maillog_line *l)
{
    int64_t then, now;

    if (m->has_arrival && m->lines.first != MAILLOG_NONE && maillog_found_time(log, &log->found[m->lines.first], &then) &&
        maillog_time(l->stamp, log->files[log->file].changed, &now) && llabs(now - m->arrival) > llabs(then - m->arrival)) {
        m->closed = true;
        return;
    }
    m->lines = (struct maillog_list){ .first = MAILLOG_NONE, .last = MAILLOG_NONE };
    m->session = MAILLOG_NONE;
    m->ended = false;
}

static void take_for_message(struct lq_log *log, struct maillog_message *m, const struct maillog_line *l, enum maillog_event event,
                             struct bytes line, uint64_t number, bool cut)
{
    if (m->ended && (event == MAILLOG_ARRIVAL || event == MAILLOG_BIRTH))
        another_life(log, m, l);
    if (m->closed)
        return;
    m->ended |= event == MAILLOG_REMOVED;
    add_line(log, &m->lines, line, log->file, number, cut);
}

/* Exim through syslog: the second piece of a long line has no id, but the same process writes it next. */
static struct maillog_message *piece_of(struct lq_log *log, const struct maillog_line *l, struct maillog_message *m)
{
    uint64_t key = session_key(l);

    if (l->part == 1) {
        log->piece_of = m ? key : 0;
        log->piece_message = m ? (uint32_t)(m - log->messages) : MAILLOG_NONE;
        return m;
    }
    return log->piece_of == key && log->piece_message != MAILLOG_NONE ? &log->messages[log->piece_message] : m;
}

/* Sendmail splits a message while the connection that brought it is open; what a delivery makes has none. */
static void split_off(struct lq_log *log, struct maillog_message *m, const struct maillog_line *l)
{
    struct maillog_session *s = session_find(log, session_key(l));

    if (!s)
        return;
    keep_session(log, s);
    m->session = s->kept;
}

void maillog_take(struct lq_log *log, struct bytes line, uint64_t number, bool cut)
{
    struct maillog_message *m, *kin;
    struct maillog_line l;
    enum maillog_event event;
    struct bytes other;

    if (!maillog_parse(line, &l))
        return;
    log->files[log->file].known++;
    m = message_of(log, l.id, l.form == MAILLOG_EXIM);
    if (l.part > 0)
        m = piece_of(log, &l, m);
    if (!m && !maillog_serves(&l) && l.id.n == 0)
        return;
    event = maillog_event(&l);
    if (m)
        take_for_message(log, m, &l, event, line, number, cut);
    other = maillog_kin(&l);
    kin = message_of(log, other, l.form == MAILLOG_EXIM);
    if (kin && kin != m)
        take_for_message(log, kin, &l, MAILLOG_OTHER, line, number, cut);
    if (l.part <= 1 && maillog_serves(&l) && !(m && m->closed))
        take_for_session(log, &l, event, m, line, number, cut);
    if (kin && kin != m && l.form == MAILLOG_SYSLOG)
        split_off(log, kin, &l);
}

/* --- files --- */

int lq_log_new(struct lq_log **out, struct lq_error *err)
{
    struct lq_log *log = calloc(1, sizeof(*log));

    *out = NULL;
    if (!log)
        return error_memory(err);
    log->store.fd = -1;
    log->store.most = STORE_MEMORY;
    log->piece_message = MAILLOG_NONE;
    *out = log;
    return LQ_OK;
}

int lq_log_add_file(struct lq_log *log, const char *path, struct lq_error *err)
{
    struct lq_log_file *more = realloc(log->files, (log->file_count + 1) * sizeof(*more));

    if (!more)
        return error_memory(err);
    log->files = more;
    more[log->file_count] = (struct lq_log_file){ .path = strdup(path) };
    if (!more[log->file_count].path)
        return error_memory(err);
    log->file_count++;
    return LQ_OK;
}

/* The time of the first line that has one. What is wrong with a file is told when it is read. */
static void look_at_first(struct lq_log_file *file)
{
    enum { TRIES = 1000 };
    struct maillog_file f;
    struct maillog_line l;
    struct lq_error err;
    struct bytes line;
    struct stat st;
    bool cut;

    /* Standard input and pipes can be read once only. */
    if (strcmp(file->path, "-") == 0 || stat(file->path, &st) != 0 || !S_ISREG(st.st_mode) || maillog_open(&f, file->path, &err) < 0)
        return;
    file->touched = st.st_mtim;
    for (int i = 0; i < TRIES && !file->ordered && maillog_next(&f, &line, &cut); i++)
        file->ordered = maillog_parse(line, &l) && maillog_time(l.stamp, f.changed, &file->first);
    maillog_close(&f);
}

/* Of files that begin in the same second, the one that was finished first. */
static bool later(const struct lq_log_file *a, const struct lq_log_file *b)
{
    if (a->first != b->first)
        return a->first > b->first;
    return a->touched.tv_sec != b->touched.tv_sec ? a->touched.tv_sec > b->touched.tv_sec : a->touched.tv_nsec > b->touched.tv_nsec;
}

/* Rotated files come as a shell lists them, newest first; connections and lives of ids go on from the older to the newer. */
static void order_files(struct lq_log *log)
{
    for (size_t i = 0; i < log->file_count; i++) {
        look_at_first(&log->files[i]);
        if (!log->files[i].ordered)
            return;
    }
    for (size_t i = 1; i < log->file_count; i++) {
        struct lq_log_file file = log->files[i];
        size_t k = i;

        for (; k > 0 && later(&log->files[k - 1], &file); k--)
            log->files[k] = log->files[k - 1];
        log->files[k] = file;
    }
}

static void read_one(struct lq_log *log, struct lq_log_file *file)
{
    struct maillog_file f;
    struct lq_error err;
    struct bytes line;
    bool cut;

    if (maillog_open(&f, file->path, &err) < 0) {
        say(&log->troubles, &log->trouble_count, "%s", err.text);
        return;
    }
    file->changed = f.changed;
    f.stopped = log->stopped;
    while (!log->failed && maillog_next(&f, &line, &cut))
        maillog_take(log, line, f.line, cut);
    file->lines = f.line;
    if (f.trouble[0] && f.line == 0)
        say(&log->troubles, &log->trouble_count, "cannot read %s: %s", file->path, f.trouble);
    else if (f.trouble[0])
        say(&log->troubles, &log->trouble_count, "%s, after line %llu: %s", file->path, (unsigned long long)f.line, f.trouble);
    else if (file->lines > 0 && file->known == 0 && !log->failed)
        say(&log->troubles, &log->trouble_count, "%s holds no line of a mail log", file->path);
    maillog_close(&f);
}

static uint64_t lost_lines(const struct lq_log *log)
{
    uint64_t lost = 0;

    for (size_t i = 0; i < log->count; i++)
        lost += log->messages[i].lines.lost;
    for (size_t i = 0; i < log->kept_count; i++)
        lost += log->kept[i].lost;
    return lost;
}

static void tell_bounds(struct lq_log *log)
{
    uint64_t lost = lost_lines(log);

    if (log->failed)
        say(&log->troubles, &log->trouble_count, "%s, after line %llu: what was found cannot be kept: %s", log->files[log->file].path,
            (unsigned long long)log->files[log->file].lines, log->why);
    if (lost > 0)
        say(&log->notes, &log->note_count, "%llu lines are left out of the log: %d of one message, or of one connection, are kept",
            (unsigned long long)lost, MAILLOG_MESSAGE_LINES);
    if (log->dropped > 0)
        say(&log->notes, &log->note_count, "%llu lines of connections are left out of the log: %d before a message are kept, the first and the last",
            (unsigned long long)log->dropped, MAILLOG_SESSION_LINES);
    if (log->forgotten > 0)
        say(&log->notes, &log->note_count, "the log has more than %d connections at a time: the first lines of some may be left out",
            MAILLOG_SESSIONS);
}

int lq_log_read(struct lq_log *log, struct lq_error *err)
{
    if (log->file_count >= MAILLOG_NONE || !maillog_sessions(log, MAILLOG_SESSIONS))
        return error_memory(err);
    if (log->file_count > 1)
        order_files(log);
    for (size_t i = 0; i < log->file_count && !log->failed && !(log->stopped && log->stopped()); i++) {
        log->file = (uint32_t)i;
        read_one(log, &log->files[i]);
    }
    tell_bounds(log);
    return LQ_OK;
}

const char *lq_log_trouble(const struct lq_log *log, size_t i)
{
    return i < log->trouble_count ? log->troubles[i] : NULL;
}

const char *lq_log_note(const struct lq_log *log, size_t i)
{
    return i < log->note_count ? log->notes[i] : NULL;
}

/* --- giving the lines --- */

static bool gather(struct lq_log *log, const struct maillog_list *list)
{
    for (uint32_t i = list->first; i != MAILLOG_NONE; i = log->found[i].next) {
        if (log->gathered_count == log->gathered_cap) {
            size_t cap = log->gathered_cap ? log->gathered_cap * 2 : 256;
            struct maillog_found **more = realloc(log->gathered, cap * sizeof(*more));

            if (!more)
                return false;
            log->gathered = more;
            log->gathered_cap = cap;
        }
        log->gathered[log->gathered_count++] = &log->found[i];
    }
    return true;
}

/* The id left the queue before our message came: all that the log has is another's. */
static bool of_another(struct lq_log *log, const struct maillog_message *m)
{
    enum { CLOCKS = 2 };        /* seconds that a stamp and an arrival may differ */
    int64_t then;

    return m->ended && m->has_arrival && m->lines.last != MAILLOG_NONE &&
           maillog_found_time(log, &log->found[m->lines.last], &then) && then < m->arrival - CLOCKS;
}

static bool gather_message(struct lq_log *log, const struct maillog_message *m)
{
    if (of_another(log, m))
        return true;
    return gather(log, &m->lines) && (m->session == MAILLOG_NONE || gather(log, &log->kept[m->session]));
}

static int in_order(const void *a, const void *b)
{
    const struct maillog_found *x = *(struct maillog_found *const *)a, *y = *(struct maillog_found *const *)b;

    if (x->file != y->file)
        return (x->file > y->file) - (x->file < y->file);
    return (x->number > y->number) - (x->number < y->number);
}

/* A line may be there for two messages, or for a message and its connection. */
static void sort_gathered(struct lq_log *log)
{
    size_t n = 0;

    if (log->gathered_count > 1)
        qsort(log->gathered, log->gathered_count, sizeof(*log->gathered), in_order);
    for (size_t i = 0; i < log->gathered_count; i++)
        if (n == 0 || in_order(&log->gathered[n - 1], &log->gathered[i]) != 0)
            log->gathered[n++] = log->gathered[i];
    log->gathered_count = n;
}

int lq_log_message(struct lq_log *log, const char *mta, struct lq_str id, size_t *n, struct lq_error *err)
{
    const struct maillog_message *m = id.p ? message_of(log, bytes_from(id.p, id.n), mta[0] == 'e') : NULL;

    *n = log->gathered_count = 0;
    log->about = m;
    if (!m)
        return LQ_END;
    if (!gather_message(log, m))
        return error_memory(err);
    sort_gathered(log);
    *n = log->gathered_count;
    return LQ_OK;
}

int lq_log_all(struct lq_log *log, size_t *n, struct lq_error *err)
{
    bool *given = calloc(log->kept_count + 1, sizeof(*given));
    bool ok = given != NULL;

    *n = log->gathered_count = 0;
    log->about = NULL;
    for (size_t i = 0; ok && i < log->count; i++) {
        const struct maillog_message *m = &log->messages[i];

        if (of_another(log, m))
            continue;
        ok = gather(log, &m->lines) && (m->session == MAILLOG_NONE || given[m->session] || gather(log, &log->kept[m->session]));
        if (m->session != MAILLOG_NONE)
            given[m->session] = true;
    }
    free(given);
    if (!ok)
        return error_memory(err);
    sort_gathered(log);
    *n = log->gathered_count;
    return LQ_OK;
}

bool lq_log_line(struct lq_log *log, size_t i, struct lq_log_line *out)
{
    const struct maillog_found *f;
    struct maillog_line l;
    struct bytes text;

    if (i >= log->gathered_count)
        return false;
    f = log->gathered[i];
    text = maillog_text(log, f);
    *out = (struct lq_log_line){ .file = log->files[f->file].path, .number = f->number, .cut = f->cut,
                                 .text = { (const char *)text.p, text.n } };
    out->has_time = maillog_parse(text, &l) && maillog_time(l.stamp, log->files[f->file].changed, &out->time);
    return true;
}

void lq_log_free(struct lq_log *log)
{
    if (!log)
        return;
    for (size_t i = 0; i < log->file_count; i++)
        free(log->files[i].path);
    for (size_t i = 0; i < log->session_count; i++)
        buf_done(&log->sessions[i].text);
    for (size_t i = 0; i < log->trouble_count; i++)
        free(log->troubles[i]);
    for (size_t i = 0; i < log->note_count; i++)
        free(log->notes[i]);
    if (log->store.fd >= 0)
        close(log->store.fd);
    buf_done(&log->store.buf);
    buf_done(&log->store.back);
    buf_done(&log->json);
    arena_done(&log->names);
    free(log->troubles);
    free(log->notes);
    free(log->files);
    free(log->messages);
    free(log->slots);
    free(log->found);
    free(log->kept);
    free(log->sessions);
    free(log->session_slots);
    free(log->gathered);
    free(log);
}
