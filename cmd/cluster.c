/* Clusters of messages that look alike. */
#include "cluster.h"

#include <stdlib.h>
#include <string.h>

#include "report.h"

#define CLUSTER_MIXED UINT32_MAX    /* several domains */

enum {
    FEW = 10,                   /* sender domains say something if there are at least so many messages for each */
    BODIES_MAX = 100,
    SUBJECT_KEPT = COUNT_KEPT,
    MISSES_MAX = 1000
};

static const struct key shape_key = { .name = "subject.shape", .kind = KEY_SHAPE, .field = LQ_SUBJECT };

void cluster_begin(struct clusters *c)
{
    c->shapes = (struct counter){ .fold = true, .frugal = true, .limit = CLUSTER_SHAPES };
    c->domains = (struct counter){ .fold = true, .limit = CLUSTER_SHAPES };
}

uint64_t cluster_fields(void)
{
    return LQ_FIELD_BIT(LQ_QUEUE_ID) | LQ_FIELD_BIT(LQ_MESSAGE_SIZE) | LQ_FIELD_BIT(LQ_ARRIVAL_TIME) | LQ_FIELD_BIT(LQ_SUBJECT) |
           LQ_FIELD_BIT(LQ_SENDER) | LQ_FIELD_BIT(LQ_RECIPIENT);
}

/* --- the first pass --- */

static uint64_t id_hash(const struct lq_record *r, size_t queue)
{
    struct lq_str id = lq_record_text(r, LQ_QUEUE_ID);

    return count_hash(id.p, id.n, false) + queue;
}

/* Of the null sender the empty text; an address without a domain has none. */
static uint32_t domain_entry(struct clusters *c, struct lq_str address)
{
    struct lq_str domain = address.n ? lq_address_domain(address) : address;
    uint32_t entry;

    if (address.n > 0 && domain.n == 0)
        return COUNT_ABSENT;
    entry = count_key_if_room(&c->domains, domain.p, domain.n);
    return entry ? entry : CLUSTER_MIXED;
}

static uint32_t recipients_entry(struct clusters *c, const struct lq_record *r)
{
    struct lq_str address = lq_record_text_at(r, LQ_RECIPIENT, 0);
    uint32_t entry = address.p ? domain_entry(c, address) : COUNT_ABSENT;

    for (size_t i = 1; (address = lq_record_text_at(r, LQ_RECIPIENT, i)).p; i++)
        if (domain_entry(c, address) != entry)
            return CLUSTER_MIXED;
    return entry;
}

/* The second subject of a shape stands for it, in case all are the same. */
static void keep_subject(struct clusters *c, uint32_t shape, struct lq_str subject)
{
    if (count_get(&c->shapes, shape)->messages != 2 || subject.n > SUBJECT_KEPT)
        return;
    if (shape >= c->sample_cap) {
        size_t cap = shape + shape / 2 + 64;

        c->samples = realloc(c->samples, cap * sizeof(char *));
        if (!c->samples)
            report_no_memory();
        memset(c->samples + c->sample_cap, 0, (cap - c->sample_cap) * sizeof(char *));
        c->sample_cap = cap;
    }
    free(c->samples[shape]);
    c->samples[shape] = strndup(subject.p, subject.n);
    if (!c->samples[shape])
        report_no_memory();
}

static uint32_t shape_entry(struct clusters *c, const struct lq_record *r, const struct sighting *seen)
{
    struct lq_str subject = lq_record_text(r, LQ_SUBJECT);
    struct key_value v;
    uint32_t entry;

    key_value(&shape_key, r, 0, 0, &v);
    if (v.has != LQ_PRESENT)
        return v.has == LQ_UNREAD ? COUNT_UNREAD : COUNT_ABSENT;
    entry = count_key_if_room(&c->shapes, v.text.p, v.text.n);
    if (!entry) {
        c->left_out++;
        return COUNT_UNREAD;
    }
    count_add(&c->shapes, entry, seen);
    keep_subject(c, entry, subject);
    return entry;
}

static struct cluster_row *new_row(struct clusters *c)
{
    if (c->n == c->cap) {
        c->cap = c->cap ? c->cap + c->cap / 2 : 4096;
        c->rows = realloc(c->rows, c->cap * sizeof(*c->rows));
        if (!c->rows)
            report_no_memory();
    }
    return &c->rows[c->n++];
}

void cluster_add(struct clusters *c, const struct lq_record *r, size_t queue, const struct sighting *seen)
{
    struct lq_str subject = lq_record_text(r, LQ_SUBJECT);
    struct cluster_row *row = new_row(c);

    *row = (struct cluster_row){
        .id = id_hash(r, queue),
        .size = seen->bytes < UINT32_MAX ? (uint32_t)seen->bytes : UINT32_MAX,
        .time = seen->time,
        .subject = (uint32_t)count_hash(subject.p ? subject.p : "", subject.n, true),
        .shape = shape_entry(c, r, seen),
    };
    if (lq_record_has(r, LQ_SENDER) != LQ_PRESENT || lq_record_has(r, LQ_RECIPIENT) == LQ_UNREAD || !row->size)
        row->shape = COUNT_UNREAD;
    if (row->shape == COUNT_UNREAD)
        return;
    row->from = domain_entry(c, lq_record_text(r, LQ_SENDER));
    row->to = recipients_entry(c, r);
}

/* --- finding --- */

static int by_shape_and_size(const void *pa, const void *pb, void *rows)
{
    const struct cluster_row *a = (struct cluster_row *)rows + *(const uint32_t *)pa;
    const struct cluster_row *b = (struct cluster_row *)rows + *(const uint32_t *)pb;

    if (a->shape != b->shape)
        return a->shape < b->shape ? -1 : 1;
    if (a->size != b->size)
        return a->size < b->size ? -1 : 1;
    return (a > b) - (a < b);
}

static int by_from(const void *pa, const void *pb, void *rows)
{
    const struct cluster_row *a = (struct cluster_row *)rows + *(const uint32_t *)pa;
    const struct cluster_row *b = (struct cluster_row *)rows + *(const uint32_t *)pb;

    return a->from != b->from ? (a->from < b->from ? -1 : 1) : (a > b) - (a < b);
}

static int by_to(const void *pa, const void *pb, void *rows)
{
    const struct cluster_row *a = (struct cluster_row *)rows + *(const uint32_t *)pa;
    const struct cluster_row *b = (struct cluster_row *)rows + *(const uint32_t *)pb;

    return a->to != b->to ? (a->to < b->to ? -1 : 1) : (a > b) - (a < b);
}

static uint32_t from_of(const struct cluster_row *row)
{
    return row->from;
}

static uint32_t to_of(const struct cluster_row *row)
{
    return row->to;
}

/* Who changes the sender with nearly every message is one, who sends the same from a few domains is several. */
static bool few(size_t messages, size_t different, size_t most)
{
    (void)most;
    return different * FEW <= messages;
}

/* A flood goes everywhere; only where half of it goes to one domain is that a trait. */
static bool one_stands_out(size_t messages, size_t different, size_t most)
{
    (void)different;
    return most * 2 >= messages;
}

/* The domains by which what looks alike is parted, one after the other, if they say something. */
static const struct {
    int (*compare)(const void *a, const void *b, void *rows);
    uint32_t (*value)(const struct cluster_row *row);
    bool (*telling)(size_t messages, size_t different, size_t most);
} parts[] = { { by_from, from_of, few }, { by_to, to_of, one_stands_out } };

enum { PARTS = sizeof(parts) / sizeof(parts[0]) };

static void found(struct clusters *c, const struct cluster *cluster)
{
    if (c->count % 256 == 0) {
        c->list = realloc(c->list, (c->count + 256) * sizeof(*c->list));
        if (!c->list)
            report_no_memory();
    }
    c->list[c->count++] = *cluster;
}

/* How many from here on have the same domain. */
static size_t run_of(const struct clusters *c, const uint32_t *order, size_t n, int depth)
{
    size_t i = 1;

    while (i < n && parts[depth].value(&c->rows[order[i]]) == parts[depth].value(&c->rows[order[0]]))
        i++;
    return i;
}

static void part(struct clusters *c, struct cluster range, int depth)
{
    uint32_t *order = c->order + range.first;
    size_t different = 0, most = 0;
    uint32_t most_value = CLUSTER_MIXED;
    bool several = false;       /* some message goes to several */

    if (range.n < CLUSTER_LEAST)
        return;
    if (depth == PARTS) {
        found(c, &range);
        return;
    }
    qsort_r(order, range.n, sizeof(*order), parts[depth].compare, c->rows);
    for (size_t from = 0, n; from < range.n; from += n) {
        n = run_of(c, order + from, range.n - from, depth);
        most_value = n > most ? parts[depth].value(&c->rows[order[from]]) : most_value;
        most = n > most ? n : most;
        several |= parts[depth].value(&c->rows[order[from]]) == CLUSTER_MIXED;
        different++;
    }
    range.domain[depth] = CLUSTER_MIXED;
    range.domains[depth] = several ? 0 : (uint32_t)different;
    if (different > 1 && (most_value == CLUSTER_MIXED || !parts[depth].telling(range.n, different, most))) {
        part(c, range, depth + 1);
        return;
    }
    for (size_t from = 0, n; from < range.n; from += n) {
        struct cluster run = range;

        n = run_of(c, order + from, range.n - from, depth);
        run.first = range.first + from;
        run.n = n;
        run.domain[depth] = parts[depth].value(&c->rows[order[from]]);
        run.domains[depth] = run.domain[depth] != CLUSTER_MIXED;
        part(c, run, depth + 1);
    }
}

/* Sizes of one cluster leave no wide gap, and are not spread wide. */
static bool same_size(uint32_t smallest, uint32_t before, uint32_t size)
{
    return size - before <= 8 + before / 200 && size - smallest <= 16 + smallest / 25;
}

static int by_messages(const void *pa, const void *pb)
{
    const struct cluster *a = pa, *b = pb;

    if (a->n != b->n)
        return a->n > b->n ? -1 : 1;
    return (a->first > b->first) - (a->first < b->first);
}

static void sum_up(struct clusters *c, struct cluster *k, uint32_t number)
{
    uint32_t subject = c->rows[c->order[k->first]].subject;
    const char *sample = k->shape < c->sample_cap ? c->samples[k->shape] : NULL;

    k->low = UINT32_MAX;
    k->same_subject = true;
    for (size_t i = k->first; i < k->first + k->n; i++) {
        struct cluster_row *row = &c->rows[c->order[i]];

        row->cluster = number;
        k->bytes += row->size;
        k->low = row->size < k->low ? row->size : k->low;
        k->high = row->size > k->high ? row->size : k->high;
        if (row->time && (!k->sums.first || row->time < k->sums.first))
            k->sums.first = row->time;
        k->sums.last = row->time > k->sums.last ? row->time : k->sums.last;
        k->untimed |= !row->time;
        k->same_subject &= row->subject == subject;
    }
    k->sums.messages = (uint32_t)k->n;
    if (k->same_subject && sample && (uint32_t)count_hash(sample, strlen(sample), true) == subject)
        k->subject = sample;
}

/* --- selections --- */

/* As a literal: what a pattern would read as something else is escaped; one that begins with a dot would mean those below it. */
static void add_domain(const struct clusters *c, struct paste *p, enum lq_selector sel, uint32_t entry)
{
    const struct counted *e;
    struct text literal = { 0 };

    if (entry == CLUSTER_MIXED || entry == COUNT_ABSENT)
        return;
    e = count_get(&c->domains, entry);
    for (size_t i = 0; i < count_kept(e); i++) {
        if (strchr("*?\\", e->text[i]))
            text_char(&literal, '\\');
        text_char(&literal, e->text[i]);
    }
    if (e->length == 0)
        paste_add(p, sel, "", "<>", 2);
    else if (!count_cut(e) && e->text[0] != '.')
        paste_add(p, sel, "@", literal.p, literal.n);
    text_done(&literal);
}

static void add_subject(const struct clusters *c, struct paste *p, const struct cluster *k)
{
    const struct counted *shape;
    struct text pattern = { 0 };

    if (k->shape == COUNT_ABSENT)
        return;
    shape = count_get(&c->shapes, k->shape);
    if (k->subject && *k->subject && text_plain(k->subject, strlen(k->subject)))
        paste_add(p, LQ_SEL_SUBJECT, "=", k->subject, strlen(k->subject));
    else if (shape->text && !count_cut(shape) && shape_pattern(&pattern, shape->text, count_kept(shape)))
        paste_add(p, LQ_SEL_SUBJECT, "", pattern.p, pattern.n);
    text_done(&pattern);
}

static void add_number(struct paste *p, enum lq_selector sel, uint32_t low, uint32_t high)
{
    char text[32];
    int n = low == high ? snprintf(text, sizeof(text), "%lu", (unsigned long)low)
                        : snprintf(text, sizeof(text), "%lu..%lu", (unsigned long)low, (unsigned long)high);

    paste_add(p, sel, "", text, (size_t)n);
}

/* First by what they share, which later ones share, too; then within their times. */
static void choose(const struct clusters *c, struct cluster *k, const struct selection *sel)
{
    for (int i = 0; i < CLUSTER_CHOICES; i++) {
        struct paste *p = &k->choice[i];

        paste_begin(p);
        add_number(p, LQ_SEL_SIZE, k->low, k->high);
        add_domain(c, p, LQ_SEL_SENDER, k->domain[0]);
        add_domain(c, p, LQ_SEL_RECIPIENT_ALL, k->domain[1]);
        add_subject(c, p, k);
        if (i == 1) {
            add_number(p, LQ_SEL_SINCE, k->sums.first, k->sums.first);
            add_number(p, LQ_SEL_UNTIL, k->sums.last, k->sums.last);
        }
        k->alive[i] = !(i == 1 && k->untimed) && paste_ready(p, sel);
    }
}

void cluster_find(struct clusters *c, size_t top, const struct selection *sel)
{
    count_seal(&c->shapes);
    count_seal(&c->domains);
    c->order = malloc((c->n + 1) * sizeof(*c->order));
    if (!c->order)
        report_no_memory();
    for (size_t i = 0; i < c->n; i++)
        c->order[i] = (uint32_t)i;
    qsort_r(c->order, c->n, sizeof(*c->order), by_shape_and_size, c->rows);
    for (size_t i = 0, from = 0; i < c->n; i++) {
        const struct cluster_row *first = &c->rows[c->order[from]], *row = &c->rows[c->order[i]];
        const struct cluster_row *next = i + 1 < c->n ? &c->rows[c->order[i + 1]] : NULL;

        if (next && next->shape == row->shape && same_size(first->size, row->size, next->size))
            continue;
        if (row->shape != COUNT_UNREAD)
            part(c, (struct cluster){ .first = from, .n = i + 1 - from, .shape = row->shape }, 0);
        from = i + 1;
    }
    if (c->count > 1)
        qsort(c->list, c->count, sizeof(*c->list), by_messages);
    c->shown = c->count < top ? c->count : top;
    for (size_t i = 0; i < c->shown; i++) {
        sum_up(c, &c->list[i], (uint32_t)i + 1);
        choose(c, &c->list[i], sel);
    }
}

/* --- the second pass --- */

uint64_t cluster_check_fields(const struct clusters *c)
{
    uint64_t fields = LQ_FIELD_BIT(LQ_QUEUE_ID) | (c->bodies ? LQ_FIELD_BIT(LQ_IDENTITY) : 0);

    for (size_t i = 0; i < c->shown; i++)
        for (int k = 0; k < CLUSTER_CHOICES; k++)
            if (c->list[i].alive[k])
                fields |= lq_filter_fields(c->list[i].choice[k].filter);
    return fields;
}

/* Where the first pass noted it; NULL: it did not see it. */
static const struct cluster_row *row_of(struct clusters *c, uint64_t id)
{
    for (size_t i = c->next; i < c->n && c->misses < MISSES_MAX; i++) {
        if (c->rows[i].id == id) {
            c->next = i + 1;
            return &c->rows[i];
        }
    }
    c->misses++;
    return NULL;
}

/* The body on its way: what stands behind the first empty line, hashed piece by piece. */
struct body {
    struct text piece;
    uint64_t hash;
    unsigned line_ends;         /* how much of CR LF CR LF was seen */
};

static void body_flush(struct body *b)
{
    b->hash = (b->hash << 7 | b->hash >> 57) ^ count_hash(b->piece.p ? b->piece.p : "", b->piece.n, false);
    b->piece.n = 0;
}

static int body_bytes(void *ctx, const void *p, size_t n)
{
    static const char empty_line[] = "\r\n\r\n";
    enum { PIECE = 64 << 10 };
    struct body *b = ctx;
    const char *s = p;
    size_t i = 0;

    for (; i < n && b->line_ends < 4; i++)
        b->line_ends = s[i] == empty_line[b->line_ends] ? b->line_ends + 1 : s[i] == '\r';
    while (i < n) {
        size_t fits = n - i < PIECE - b->piece.n ? n - i : PIECE - b->piece.n;

        text_add(&b->piece, s + i, fits);
        i += fits;
        if (b->piece.n == PIECE)
            body_flush(b);
    }
    return 0;
}

static void compare_body(struct cluster *k, const struct lq_record *r, struct lq_queue *q)
{
    struct body body = { .hash = 0 };
    struct lq_error err;
    uint32_t i = 0;

    if (lq_message_eml(q, r, body_bytes, &body, &err) == LQ_OK) {
        body_flush(&body);
        k->bodies_read++;
        while (i < k->body_count && k->bodies[i] != body.hash)
            i++;
        if (!k->bodies)
            k->bodies = malloc(BODIES_MAX * sizeof(*k->bodies));
        if (!k->bodies)
            report_no_memory();
        if (i == k->body_count && i < BODIES_MAX)
            k->bodies[k->body_count++] = body.hash;
    }
    text_done(&body.piece);
}

void cluster_check(struct clusters *c, const struct lq_record *r, struct lq_queue *q, size_t queue)
{
    const struct cluster_row *row = row_of(c, id_hash(r, queue));

    for (size_t i = 0; i < c->shown; i++) {
        struct cluster *k = &c->list[i];
        bool in = row && row->cluster == i + 1;

        for (int v = 0; v < CLUSTER_CHOICES; v++)
            k->alive[v] = k->alive[v] && lq_filter_matches(k->choice[v].filter, r, 0) == in;
        if (in)
            k->met++;
        if (in && c->bodies)
            compare_body(k, r, q);
    }
}

/* --- showing --- */

static bool command_of(struct text *t, const struct cluster *k, const struct selection *sel)
{
    for (int v = 0; v < CLUSTER_CHOICES; v++)
        if (k->met > 0 && k->alive[v] && paste_command(t, &k->choice[v], sel, "mqgrep"))
            return true;
    return false;
}

static void put_domain(const struct clusters *c, struct text *t, const struct cluster *k, int which)
{
    const struct counted *e;

    if (k->domain[which] == CLUSTER_MIXED) {
        if (k->domains[which] > 0)
            text_count(t, k->domains[which]);
        text_put(t, k->domains[which] > 0 ? " domains" : "several domains");
        return;
    }
    if (k->domain[which] == COUNT_ABSENT) {
        text_put(t, which == 0 ? "no domain" : "nobody any more");
        return;
    }
    e = count_get(&c->domains, k->domain[which]);
    if (e->length == 0)
        text_put(t, "<>");
    text_escape(t, e->text, count_kept(e), 0);
}

static void put_line(const struct clusters *c, struct text *t, const struct cluster *k, const struct groups *how)
{
    double rate;

    text_count(t, k->n);
    text_format(t, " messages (%.1f%%), ", how->of ? 100.0 * (double)k->n / (double)how->of : 0.0);
    text_size(t, (int64_t)k->bytes);
    if (tally_rate(&k->sums, &rate))
        text_format(t, rate < 10 ? ", %.1f/min, " : ", %.0f/min, ", rate);
    else
        text_put(t, ", ");
    groups_short_time(t, k->sums.first, how->now);
    text_put(t, " to ");
    groups_short_time(t, k->sums.last, how->now);
    text_format(t, k->low == k->high ? ": %lu bytes" : ": %lu to %lu bytes", (unsigned long)k->low, (unsigned long)k->high);
    text_put(t, ", from ");
    put_domain(c, t, k, 0);
    text_put(t, " to ");
    put_domain(c, t, k, 1);
    if (k->shape == COUNT_ABSENT) {
        text_put(t, ", without subject");
    } else if (k->subject) {
        text_put(t, ", \"");
        text_escape(t, k->subject, strlen(k->subject), 0);
        text_put(t, "\"");
    } else {
        const struct counted *shape = count_get(&c->shapes, k->shape);

        text_put(t, ", like \"");
        text_escape(t, shape->text, count_kept(shape), 0);
        text_put(t, count_cut(shape) ? "...\"" : "\"");
    }
    if (c->bodies && k->bodies_read)
        text_format(t, k->body_count == 1 ? ", all bodies the same" : ", %s%lu different bodies",
                    k->body_count == BODIES_MAX ? "at least " : "", (unsigned long)k->body_count);
}

void cluster_show(const struct clusters *c, const struct selection *sel, const struct groups *how)
{
    struct text t = { 0 };

    for (size_t i = 0; i < c->shown; i++) {
        put_line(c, &t, &c->list[i], how);
        text_put(&t, "\n  ");
        if (!command_of(&t, &c->list[i], sel))
            text_put(&t, "(no selection gives exactly these)");
        groups_print_line(&t);
    }
    if (c->shown == 0) {
        text_format(&t, "No %d messages look alike.", CLUSTER_LEAST);
        groups_print_line(&t);
    } else if (c->shown < c->count) {
        text_put(&t, "and ");
        text_count(&t, c->count - c->shown);
        text_put(&t, " smaller");
        groups_print_line(&t);
    }
    if (c->left_out) {
        text_count(&t, c->left_out);
        text_put(&t, " messages were not compared: more than ");
        text_count(&t, CLUSTER_SHAPES);
        text_put(&t, " different subjects");
        groups_print_line(&t);
    }
    text_done(&t);
}

/* A domain that all share as text, else null; and how many there are. */
static void json_domain(const struct clusters *c, struct text *t, const struct cluster *k, int which, const char *name)
{
    const struct counted *e = NULL;

    if (k->domain[which] != CLUSTER_MIXED && k->domain[which] != COUNT_ABSENT)
        e = count_get(&c->domains, k->domain[which]);
    text_format(t, ",\"%s\":", name);
    if (e)
        text_json(t, e->text, count_kept(e));
    else
        text_put(t, "null");
}

void cluster_json(const struct clusters *c, const struct selection *sel, const struct groups *how)
{
    struct text t = { 0 };

    for (size_t i = 0; i < c->shown && !report_output_broken(); i++) {
        const struct cluster *k = &c->list[i];
        struct text command = { 0 };
        double rate;

        text_format(&t, "{\"schema\":\"mqtools.cluster/1\",\"count\":%zu,\"share\":%.6f,\"bytes\":%llu", k->n,
                    how->of ? (double)k->n / (double)how->of : 0.0, (unsigned long long)k->bytes);
        if (tally_rate(&k->sums, &rate))
            text_format(&t, ",\"rate\":%.3f", rate);
        if (k->sums.first)
            text_format(&t, ",\"first\":%lu,\"last\":%lu", (unsigned long)k->sums.first, (unsigned long)k->sums.last);
        text_format(&t, ",\"size\":[%lu,%lu]", (unsigned long)k->low, (unsigned long)k->high);
        json_domain(c, &t, k, 0, "sender.domain");
        json_domain(c, &t, k, 1, "recipient.domain");
        if (k->shape != COUNT_ABSENT) {
            const struct counted *shape = count_get(&c->shapes, k->shape);

            text_put(&t, ",\"subject.shape\":");
            text_json(&t, shape->text, count_kept(shape));
        }
        if (k->subject) {
            text_put(&t, ",\"subject\":");
            text_json(&t, k->subject, strlen(k->subject));
        }
        if (c->bodies)
            text_format(&t, ",\"bodies\":%lu", (unsigned long)k->body_count);
        if (command_of(&command, k, sel)) {
            text_put(&t, ",\"command\":");
            text_json(&t, command.p, command.n);
        }
        text_put(&t, "}");
        groups_print_json(&t, how->screen.terminal);
        text_done(&command);
    }
    text_done(&t);
}

static void csv_text(struct text *t, const struct counted *e, bool terminal)
{
    if (e && e->length == 0)
        text_put(t, "\"\"");
    else if (e)
        text_csv(t, e->text, count_kept(e), terminal);
    text_char(t, ',');
}

void cluster_csv(const struct clusters *c, const struct selection *sel, const struct groups *how)
{
    struct text t = { 0 };

    text_put(&t, "count,share,bytes,rate,first,last,size_min,size_max,sender.domain,recipient.domain,subject.shape,command\r\n");
    for (size_t i = 0; i < c->shown && !report_output_broken(); i++) {
        const struct cluster *k = &c->list[i];
        struct text command = { 0 };
        double rate;

        text_format(&t, "%zu,%.6f,%llu,", k->n, how->of ? (double)k->n / (double)how->of : 0.0, (unsigned long long)k->bytes);
        if (tally_rate(&k->sums, &rate))
            text_format(&t, "%.3f", rate);
        if (k->sums.first)
            text_format(&t, ",%lu,%lu", (unsigned long)k->sums.first, (unsigned long)k->sums.last);
        else
            text_put(&t, ",,");
        text_format(&t, ",%lu,%lu,", (unsigned long)k->low, (unsigned long)k->high);
        for (int d = 0; d < 2; d++)
            csv_text(&t, k->domain[d] != CLUSTER_MIXED && k->domain[d] != COUNT_ABSENT ? count_get(&c->domains, k->domain[d]) : NULL,
                     how->screen.terminal);
        csv_text(&t, k->shape != COUNT_ABSENT ? count_get(&c->shapes, k->shape) : NULL, how->screen.terminal);
        if (command_of(&command, k, sel))
            text_csv(&t, command.p, command.n, how->screen.terminal);
        text_put(&t, "\r\n");
        groups_print(&t);
        text_done(&command);
    }
    groups_print(&t);
    text_done(&t);
}

void cluster_done(struct clusters *c)
{
    for (size_t i = 0; i < c->shown; i++) {
        for (int k = 0; k < CLUSTER_CHOICES; k++)
            paste_done(&c->list[i].choice[k]);
        free(c->list[i].bodies);
    }
    for (size_t i = 0; i < c->sample_cap; i++)
        free(c->samples[i]);
    free(c->samples);
    free(c->list);
    free(c->order);
    free(c->rows);
    count_done(&c->shapes);
    count_done(&c->domains);
}
