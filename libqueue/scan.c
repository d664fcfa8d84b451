/*
 * The scan: list, read as little as needed, decide, deliver in order, by several threads.
 *
 * Workers take batches of 16 messages from a counter and fill a bounded ring of batches; the caller empties it in order. A batch
 * shows how many of its messages are ready, so that the caller follows a worker inside it: a message that turns out large
 * (a MiB of envelope) waits until everything before it was taken, and is then the only large one in memory. Those in between
 * share a budget while they wait in the ring; who finds it used up waits for its turn, too.
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "engine.h"
#include "ndjson.h"

enum {
    BATCH = 16, THREADS_DEFAULT = 4, THREADS_MAX = 64,
    RING_MORE = 24,             /* batches that may wait to be taken, beside one for each reader */
    WAITS = BATCH / 4,          /* times that a worker waited in a batch, so that one more pays */
    PUBLISH = 4 * BATCH,        /* messages that the caller takes before it says so */
    HELD_MAX = 8 << 20          /* bytes of all records that are neither small nor large */
};

enum verdict { VERDICT_SKIP, VERDICT_SELECTED };

struct slot {
    struct lq_record rec;
    enum verdict verdict;
    size_t held;                /* its share of HELD_MAX */
};

struct batch {
    struct slot slots[BATCH];
    size_t number;              /* which batch of the scan this holds */
    size_t ready;               /* slots [0, ready) may be taken */
};

struct counts {
    uint64_t vanished, undecided, stopped;
};

struct worker {
    struct lq_scan *scan;
    struct reading rd;
    struct filter_state state;
    struct counts counts;
    pthread_t thread;
    bool running;
    struct batch *batch;        /* being filled; for the growth of a record */
    size_t at;
};

struct lq_scan {
    struct ndjson_scan *records;    /* of lines of JSON, which does it all; NULL: of a directory */
    struct spool sp;
    struct lq_queue *queue;
    const struct lq_filter *filter;
    uint64_t want;              /* fields of output and filter */
    unsigned sections;          /* of the output */
    int64_t now;
    size_t total;
    struct lq_scan_stats stats;

    struct batch *ring;
    size_t ring_n;
    struct worker *workers;
    unsigned threads;           /* 1: no thread but the caller's */
    unsigned working;           /* of them, so far */

    pthread_mutex_t mutex;
    pthread_cond_t filled;      /* a batch got more ready slots */
    pthread_cond_t taken;       /* the caller went on */
    size_t next_batch;          /* for workers */
    size_t next;                /* all before were taken, as workers know */
    size_t held;                /* of all slots */
    size_t finished;            /* batches that are whole, in whatever order */
    unsigned waiting;           /* workers that sleep until the caller goes on */
    size_t awaited;             /* the batch that the caller sleeps for; SIZE_MAX: it does not */
    atomic_bool stop;           /* set under the mutex */

    /* The caller's own, without the mutex: a lock and a wake-up for every record cost as much as reading it. */
    size_t at;                  /* the message the caller wants next; >= next */
    size_t ready;               /* [at, ready) were filled */
};

/* Read and decide message i. */
static void decide(struct worker *w, size_t i, struct slot *slot)
{
    struct lq_scan *s = w->scan;
    struct reading *rd = &w->rd;
    enum tri t = TRI_YES;
    unsigned need = 0;
    bool here = true;

    w->state.stopped = false;
    slot->verdict = VERDICT_SKIP;
    reading_begin(rd, listing_ref(&s->sp, i), &slot->rec, s->want);
    if (s->filter) {
        while ((t = filter_eval(s->filter, &slot->rec, &w->state, &need)) == TRI_UNKNOWN && need && here)
            here = reading_sections(rd, reading_first(need));
    }
    if (here && t == TRI_YES)
        here = reading_sections(rd, s->sections);
    reading_end(rd);
    if (!here) {
        w->counts.vanished += rd->ref->twin ? 0 : 1;
        return;
    }
    /* A message that is still being received is nobody's yet: that is known, and no trouble. */
    if (t == TRI_UNKNOWN) {
        w->counts.undecided += slot->rec.state != STATE_RECEIVING;
        w->counts.stopped += w->state.stopped && slot->rec.state != STATE_RECEIVING;
    } else if (t == TRI_YES) {
        slot->verdict = VERDICT_SELECTED;
    }
}

/* Twice the room for this record, if the others leave so much. */
static bool get_share(struct lq_scan *s, struct slot *slot)
{
    size_t share = slot->rec.arena.large * 2;

    if (share > RECORD_LARGE || s->held - slot->held + share > HELD_MAX)
        return false;
    s->held += share - slot->held;
    slot->held = share;
    slot->rec.arena.large = share;
    return true;
}

static size_t batches(const struct lq_scan *s)
{
    return (s->total + BATCH - 1) / BATCH;
}

/*
 * Wake the caller when its next batch is there and others with it: a caller that slept for each one alone would take the processor from a
 * worker thousands of times. Unless a worker needs it awake, or no more will come. Under the mutex, which the caller shall find free when it
 * wakes: true when it was let go meanwhile.
 */
static bool rouse(struct lq_scan *s)
{
    const struct batch *b = &s->ring[s->awaited % s->ring_n];

    if (s->awaited == SIZE_MAX || b->number != s->awaited || b->ready <= s->next % BATCH)
        return false;
    if (s->waiting == 0 && s->finished < batches(s) && s->finished - s->awaited < s->ring_n / 2)
        return false;
    s->awaited = SIZE_MAX;
    pthread_mutex_unlock(&s->mutex);
    pthread_cond_signal(&s->filled);
    pthread_mutex_lock(&s->mutex);
    return true;
}

/* Sleep until the caller goes on, if it did not meanwhile; it shall know that somebody waits. Under the mutex. */
static void wait_for_caller(struct lq_scan *s)
{
    s->waiting++;
    if (!rouse(s))
        pthread_cond_wait(&s->taken, &s->mutex);
    s->waiting--;
}

/* A record grows: into its share, or alone, when everything before it was taken. */
static void grown(void *ctx)
{
    struct worker *w = ctx;
    struct lq_scan *s = w->scan;
    struct slot *slot = &w->batch->slots[w->at];

    pthread_mutex_lock(&s->mutex);
    if (!get_share(s, slot)) {
        w->batch->ready = w->at;
        while (!s->stop && s->next < w->batch->number * BATCH + w->at)
            wait_for_caller(s);
        slot->rec.arena.large = SIZE_MAX;
        /* Nobody wants it any more; all who waited must not grow at once. */
        if (s->stop)
            slot->rec.arena.closed = true;
    }
    pthread_mutex_unlock(&s->mutex);
}

static void fill(struct worker *w, struct batch *b)
{
    struct lq_scan *s = w->scan;

    w->batch = b;
    for (w->at = 0; w->at < BATCH && b->number * BATCH + w->at < s->total && !s->stop; w->at++) {
        struct slot *slot = &b->slots[w->at];

        slot->rec.arena.grown = grown;
        slot->rec.arena.ctx = w;
        decide(w, b->number * BATCH + w->at, slot);
    }
}

static void *work(void *ctx);

/* One more worker, if there may be. Under the mutex, or before there is any. */
static void admit(struct lq_scan *s)
{
    struct worker *w = &s->workers[s->working];

    if (s->working == s->threads || s->stop)
        return;
    w->running = pthread_create(&w->thread, NULL, work, w) == 0;
    s->working += w->running;
}

/* How often this thread gave its processor away because it had to wait: for a disk, nearly always. */
static long waits(void)
{
    struct rusage usage;

    return getrusage(RUSAGE_THREAD, &usage) == 0 ? usage.ru_nvcsw : 0;
}

static void *work(void *ctx)
{
    struct worker *w = ctx;
    struct lq_scan *s = w->scan;
    long before = 0;

    pthread_mutex_lock(&s->mutex);
    while (!s->stop && s->next_batch * BATCH < s->total) {
        size_t number = s->next_batch;
        struct batch *b = &s->ring[number % s->ring_n];
        bool more = s->working < s->threads;

        /* The ring place is free once the caller is past the batch that used it before. */
        if (number >= s->ring_n && s->next < (number - s->ring_n + 1) * BATCH) {
            wait_for_caller(s);
            continue;
        }
        s->next_batch++;
        b->number = number;
        b->ready = 0;
        pthread_mutex_unlock(&s->mutex);
        if (more)
            before = waits();
        fill(w, b);
        more = more && waits() - before >= WAITS;
        pthread_mutex_lock(&s->mutex);
        if (more)
            admit(s);
        b->ready = BATCH;
        s->finished++;
        rouse(s);
    }
    pthread_mutex_unlock(&s->mutex);
    return NULL;
}

/* Let the workers know how far the caller is. Under the mutex. */
static void publish(struct lq_scan *s)
{
    s->next = s->at;
    pthread_cond_broadcast(&s->taken);
}

/* The caller is past this message. What an unusual one held goes back at once. */
static void release(struct lq_scan *s, struct slot *slot)
{
    if (slot->rec.arena.used > RECORD_SMALL || slot->rec.json.cap > RECORD_SMALL)
        record_reset(&slot->rec);
    s->at++;
    if (slot->held > 0) {
        pthread_mutex_lock(&s->mutex);
        s->held -= slot->held;
        slot->held = 0;
        publish(s);
        pthread_mutex_unlock(&s->mutex);
    }
}

/*
 * The slot of message s->at, waiting for a worker to fill it. Workers learn how far the caller is when it waits, because one of them may
 * wait for just this turn, and each time it is PUBLISH messages on, which leaves the others most of the ring.
 */
static struct slot *await(struct lq_scan *s)
{
    size_t number = s->at / BATCH;
    struct batch *b = &s->ring[number % s->ring_n];

    if (s->at < s->ready && s->at - s->next < PUBLISH)
        return &b->slots[s->at % BATCH];
    pthread_mutex_lock(&s->mutex);
    publish(s);
    /* Nothing can hide between the counter and the ring: b->number is set when the batch is begun. */
    if (!(s->next_batch > number && b->number == number && b->ready > s->at % BATCH))
        s->awaited = number;
    while (s->awaited != SIZE_MAX)
        pthread_cond_wait(&s->filled, &s->mutex);
    for (; s->next_batch > number && b->number == number; b = &s->ring[++number % s->ring_n]) {
        s->ready = number * BATCH + b->ready;
        if (b->ready < BATCH)
            break;
    }
    pthread_mutex_unlock(&s->mutex);
    return &s->ring[s->at / BATCH % s->ring_n].slots[s->at % BATCH];
}

static bool next_threaded(struct lq_scan *s, const struct lq_record **rec)
{
    while (s->at < s->total) {
        struct slot *slot = await(s);

        if (slot->verdict == VERDICT_SELECTED) {
            *rec = &slot->rec;      /* stays until the next call: s->at does not move yet */
            return true;
        }
        release(s, slot);
    }
    return false;
}

/* The record given last is not needed any more. */
static void take(struct lq_scan *s)
{
    release(s, &s->ring[s->at / BATCH % s->ring_n].slots[s->threads > 1 ? s->at % BATCH : 0]);
}

static bool next_alone(struct lq_scan *s, const struct lq_record **rec)
{
    struct slot *slot = &s->ring[0].slots[0];

    while (s->at < s->total) {
        decide(&s->workers[0], s->at, slot);
        if (slot->verdict == VERDICT_SELECTED) {
            *rec = &slot->rec;
            return true;
        }
        s->at++;
    }
    return false;
}

static void add_counts(struct lq_scan *s)
{
    s->stats.vanished = s->stats.undecided = s->stats.stopped = 0;
    for (unsigned i = 0; i < s->threads; i++) {
        s->stats.vanished += s->workers[i].counts.vanished;
        s->stats.undecided += s->workers[i].counts.undecided;
        s->stats.stopped += s->workers[i].counts.stopped;
    }
    s->stats.troubles = listing_troubles(&s->sp);
    listing_settle(&s->sp);
}

static void join(struct lq_scan *s)
{
    pthread_mutex_lock(&s->mutex);
    s->stop = true;
    pthread_cond_broadcast(&s->taken);
    pthread_mutex_unlock(&s->mutex);
    for (unsigned i = 0; i < s->threads; i++) {
        if (s->workers[i].running)
            pthread_join(s->workers[i].thread, NULL);
        s->workers[i].running = false;
    }
}

int lq_scan_next(struct lq_scan *s, const struct lq_record **rec, struct lq_error *err)
{
    bool found;

    if (s->records)
        return ndjson_scan_next(s->records, rec, err);
    if (s->stats.selected > 0 && s->at < s->total)
        take(s);
    found = s->threads > 1 ? next_threaded(s, rec) : next_alone(s, rec);
    if (found) {
        s->stats.selected++;
        return LQ_OK;
    }
    join(s);
    add_counts(s);
    return LQ_END;
}

struct lq_scan_stats lq_scan_stats(const struct lq_scan *s)
{
    return s->records ? ndjson_scan_stats(s->records) : s->stats;
}

const char *lq_scan_trouble(const struct lq_scan *s, size_t i)
{
    return s->records ? ndjson_scan_trouble(s->records, i) : listing_trouble(&s->sp, i);
}

/*
 * More workers than processors are for files that must be waited for. Where nobody waits they would only stand in each other's way: one that is
 * put off in the middle of a batch makes all others wait for it once the ring is full.
 */
static void begin_work(struct lq_scan *s)
{
    unsigned processors = THREADS_DEFAULT;
    cpu_set_t set;

    if (sched_getaffinity(0, sizeof(set), &set) == 0)
        processors = (unsigned)CPU_COUNT(&set);
    s->working = 0;
    if (s->threads == 1)
        return;
    pthread_mutex_lock(&s->mutex);
    for (unsigned i = 0; i < s->threads && i < processors; i++)
        admit(s);
    /* A dying machine may refuse threads; the caller's own is enough. */
    if (s->working == 0)
        s->threads = 1;
    pthread_mutex_unlock(&s->mutex);
}

static int start(struct lq_scan *s)
{
    if (s->threads > batches(s))
        s->threads = batches(s) > 0 ? (unsigned)batches(s) : 1;
    s->awaited = SIZE_MAX;
    s->ring_n = s->threads > 1 ? s->threads + RING_MORE : 1;
    s->ring = calloc(s->ring_n, sizeof(*s->ring));
    s->workers = calloc(s->threads, sizeof(*s->workers));
    if (!s->ring || !s->workers)
        return -1;
    for (unsigned i = 0; i < s->threads; i++) {
        struct worker *w = &s->workers[i];

        w->scan = s;
        w->state.now = s->now;
        reading_init(&w->rd, &s->sp);
    }
    begin_work(s);
    return 0;
}

/* What begins every pass over the listing. */
static void prepare(struct lq_scan *s, const struct lq_scan_opts *opts)
{
    s->filter = opts->filter;
    s->sections = fields_sections(opts->fields);
    s->want = opts->fields | (s->filter ? filter_fields(s->filter) : 0);
    s->threads = opts->threads == 0 ? THREADS_DEFAULT : opts->threads < THREADS_MAX ? opts->threads : THREADS_MAX;
    s->now = opts->now;
    if (s->want & (ORIGIN_FIELDS | LQ_FIELD_BIT(LQ_RECEIVED)))
        queue_learn_trust(s->queue);
}

static int begin(struct lq_scan *s, struct lq_error *err)
{
    s->total = listing_count(&s->sp);
    s->stats = (struct lq_scan_stats){ .listed = s->total, .troubles = listing_troubles(&s->sp) };
    return start(s) < 0 ? error_memory(err) : LQ_OK;
}

/* Readers, and what they fill. */
static void stop_reading(struct lq_scan *s)
{
    if (s->workers) {
        join(s);
        for (unsigned i = 0; i < s->threads; i++) {
            reading_done(&s->workers[i].rd);
            pattern_scratch_done(&s->workers[i].state.scratch);
        }
    }
    for (size_t b = 0; s->ring && b < s->ring_n; b++)
        for (size_t i = 0; i < BATCH; i++)
            record_done(&s->ring[b].slots[i].rec);
    free(s->ring);
    free(s->workers);
    s->ring = NULL;
    s->workers = NULL;
}

int lq_scan_begin(struct lq_scan **out, struct lq_queue *q, const struct lq_scan_opts *opts, struct lq_error *err)
{
    struct lq_scan *s;
    int rc;

    if (!opts || opts->size < sizeof(*opts))
        return error_set(err, LQ_EINVAL, "lq_scan_opts.size is not set");
    s = calloc(1, sizeof(*s));
    if (!s)
        return error_memory(err);
    if (q->records) {
        rc = ndjson_scan_begin(&s->records, q, opts, err);
        if (rc != LQ_OK)
            free(s);
        else
            *out = s;
        return rc;
    }
    pthread_mutex_init(&s->mutex, NULL);
    pthread_cond_init(&s->filled, NULL);
    pthread_cond_init(&s->taken, NULL);
    s->queue = q;
    prepare(s, opts);
    rc = listing_begin_threads(&s->sp, q, fields_sections(s->want), s->filter, s->threads, err);
    if (rc == LQ_OK) {
        if (!s->now)
            s->now = lq_queue_now(q);
        rc = begin(s, err);
    }
    if (rc != LQ_OK) {
        lq_scan_end(s);
        return rc;
    }
    *out = s;
    return LQ_OK;
}

int lq_scan_again(struct lq_scan *s, const struct lq_scan_opts *opts, struct lq_error *err)
{
    int64_t now = s->now;
    int rc;

    if (!opts || opts->size < sizeof(*opts))
        return error_set(err, LQ_EINVAL, "lq_scan_opts.size is not set");
    if (s->records)
        return ndjson_scan_again(s->records, opts, err);
    stop_reading(s);
    prepare(s, opts);
    if (!s->now)
        s->now = now;
    s->stop = false;
    s->next_batch = s->next = s->held = s->finished = s->at = s->ready = 0;
    rc = listing_narrow(&s->sp, fields_sections(s->want), s->filter, err);
    return rc == LQ_OK ? begin(s, err) : rc;
}

void lq_scan_end(struct lq_scan *s)
{
    if (!s)
        return;
    if (s->records) {
        ndjson_scan_end(s->records);
        free(s);
        return;
    }
    stop_reading(s);
    listing_end(&s->sp);
    pthread_mutex_destroy(&s->mutex);
    pthread_cond_destroy(&s->filled);
    pthread_cond_destroy(&s->taken);
    free(s);
}
