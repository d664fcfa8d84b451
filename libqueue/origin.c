/*
 * Where a message entered. Knows Received chains and the fields that name who is behind a webmail or a mail server.
 *
 * Everything rests on who wrote a line. A host puts its Received, and what else it adds at the top, above all that it was given:
 *
 *     Received: from relay (10.0.0.5) by us         ours: we know that it is true
 *     X-Originating-IP: …                           above a Received that 10.0.0.5 wrote: written by 10.0.0.5 or by us
 *     Received: from pc (198.51.100.7) by relay     true if we believe 10.0.0.5; 198.51.100.7 is where it entered
 *     X-Originating-IP: …                           came with the message from 198.51.100.7: a claim
 *     Received: …                                   likewise
 *
 * So the walk goes from our own line on as long as the address in it is one whose word counts. What stands above the last
 * Received that it believes is observed, what stands below is a claim, with one exception: where the chain ends inside, at a host that the
 * user named with --trust, nobody but this host can have written the rest.
 */
#include "origin.h"

#include "header.h"

enum kind { KIND_ADDRESS, KIND_USER, KIND_SCRIPT, KIND_COUNT };

/*
 * Fields by which programs name who is behind them, as their documentation and their users' mail show them; the more telling of a
 * kind first. Case of names is as usually written; origin_source shows it.
 */
static const struct named {
    const char *name;
    enum kind kind;
} names[] = {
    { "X-Originating-IP", KIND_ADDRESS },           /* Hotmail and Exchange, Zimbra, Roundcube by a plugin, many others */
    { "X-Sender-IP", KIND_ADDRESS },
    { "X-Source-IP", KIND_ADDRESS },                /* hosting panels */
    { "X-Client-IP", KIND_ADDRESS },
    { "X-Remote-IP", KIND_ADDRESS },
    { "X-Real-IP", KIND_ADDRESS },
    { "X-AOL-IP", KIND_ADDRESS },
    { "X-Yahoo-Post-IP", KIND_ADDRESS },
    { "X-Authenticated-Sender", KIND_USER },        /* cPanel: "host: account" */
    { "X-Authenticated-User", KIND_USER },          /* Zimbra */
    { "X-Authenticated-Id", KIND_USER },
    { "X-AuthUser", KIND_USER },
    { "X-Auth-User", KIND_USER },
    { "X-Auth-ID", KIND_USER },
    { "X-Get-Message-Sender-Via", KIND_USER },      /* cPanel: "host: authenticated_id: account" */
    { "X-Originating-Email", KIND_USER },           /* Hotmail: "[account]" */
    { "X-Sender", KIND_USER },                      /* Roundcube, Pine */
    { "X-PHP-Originating-Script", KIND_SCRIPT },    /* PHP, mail.add_x_header: "uid:script" */
    { "X-PHP-Script", KIND_SCRIPT },                /* cPanel's PHP: "host/script for ADDRESS" */
};

enum { NAMES = sizeof(names) / sizeof(*names) };

/* A value found, and how telling its field is. */
struct found {
    struct bytes value;
    const char *field;
    size_t rank;
};

/* The best of each kind. */
struct finds {
    struct found of[KIND_COUNT];
    struct ip ip;               /* of KIND_ADDRESS */
};

enum step {
    STEP_OWN,                   /* our own line is looked for */
    STEP_REQUEUED,              /* it was a second look by our own server; the one that names the client must follow */
    STEP_OUTWARD,
    STEP_STOPPED
};

struct walk {
    const struct lq_record *rec;
    const struct trust *trust;
    enum step step;
    struct ip client, at;       /* of the envelope; who gave the message to the last host that we believe */
    bool has_client, has_at;    /* known */
    bool local;                 /* a program on a host that we believe made it */
    size_t trusted;             /* Received fields that are believed */
    struct finds observed, below;
};

/* --- values --- */

/* The first word, up to a blank, comma or comment. */
static struct bytes first_word(struct bytes v)
{
    size_t n = 0;

    while (n < v.n && !strchr(" \t\r\n,;(", v.p[n]))
        n++;
    return bytes_from(v.p, n);
}

static struct bytes last_word(struct bytes v)
{
    size_t n = v.n;

    while (n > 0 && !strchr(" \t\r\n", v.p[n - 1]))
        n--;
    return bytes_skip(v, n);
}

static struct bytes trim(struct bytes v)
{
    while (v.n > 0 && strchr(" \t\r\n", v.p[0]))
        v = bytes_skip(v, 1);
    while (v.n > 0 && strchr(" \t\r\n", v.p[v.n - 1]))
        v.n--;
    return v;
}

/* Without a pair of brackets around it. */
static struct bytes unwrap(struct bytes v)
{
    if (v.n > 1 && ((v.p[0] == '<' && v.p[v.n - 1] == '>') || (v.p[0] == '[' && v.p[v.n - 1] == ']')))
        v = bytes_from(v.p + 1, v.n - 2);
    return v;
}

static void keep(struct finds *finds, enum kind kind, struct bytes value, const char *field, size_t rank)
{
    struct found *f = &finds->of[kind];

    if (value.n > 0 && (!f->value.p || rank < f->rank))
        *f = (struct found){ value, field, rank };
}

static void keep_address(struct finds *finds, struct bytes value, const char *field, size_t rank)
{
    struct ip ip;

    value = first_word(trim(value));
    if (!ip_parse(value, &ip))
        return;
    keep(finds, KIND_ADDRESS, value, field, rank);
    if (finds->of[KIND_ADDRESS].rank == rank && finds->of[KIND_ADDRESS].value.p == value.p)
        finds->ip = ip;
}

static void keep_script(struct finds *finds, struct bytes value, const char *field, size_t rank)
{
    static const struct bytes before = BYTES(" for ");
    const unsigned char *at;

    value = trim(value);
    at = value.n ? memmem(value.p, value.n, before.p, before.n) : NULL;
    if (at) {
        keep_address(finds, bytes_skip(value, (size_t)(at - value.p) + before.n), field, NAMES + rank);
        value.n = (size_t)(at - value.p);
    }
    keep(finds, KIND_SCRIPT, value, field, rank);
}

static void take_named(struct finds *finds, const struct header *h)
{
    size_t i = 0;

    if (h->name.n < 8 || ascii_lower(h->name.p[0]) != 'x')
        return;
    while (i < NAMES && !bytes_ieq(h->name, bytes_from(names[i].name, strlen(names[i].name))))
        i++;
    if (i == NAMES)
        return;
    if (names[i].kind == KIND_ADDRESS)
        keep_address(finds, h->value, names[i].name, i);
    else if (names[i].kind == KIND_SCRIPT)
        keep_script(finds, h->value, names[i].name, i);
    else
        keep(finds, KIND_USER, unwrap(last_word(trim(h->value))), names[i].name, i);
}

/* What stood between the last Received that is believed and one more: written by a host whose word counts. */
static void below_is_observed(struct walk *w)
{
    for (enum kind k = 0; k < KIND_COUNT; k++) {
        const struct found *f = &w->below.of[k];

        if (!f->value.p || (w->observed.of[k].value.p && w->observed.of[k].rank <= f->rank))
            continue;
        w->observed.of[k] = *f;
        if (k == KIND_ADDRESS)
            w->observed.ip = w->below.ip;
    }
    w->below = (struct finds){ .ip = { { 0 } } };
}

/* --- the walk --- */

static bool same_ip(const struct ip *a, const struct ip *b)
{
    return memcmp(a->b, b->b, sizeof(a->b)) == 0;
}

/* This Received is true: go on to the address that it names. */
static void believe(struct walk *w, const struct hop *hop)
{
    below_is_observed(w);
    w->trusted++;
    if (hop->user.p)
        keep(&w->observed, KIND_USER, trim(hop->user), "received", 0);
    if (!hop->has_ip) {
        w->local = true;
        w->step = STEP_STOPPED;
        return;
    }
    w->at = hop->ip;
    w->has_at = true;
    w->step = STEP_OUTWARD;
}

static bool has_own_id(const struct walk *w, const struct hop *hop)
{
    struct lq_str id = w->rec->value[LQ_QUEUE_ID].text;

    return id.n > 0 && bytes_eq(hop->id, bytes_from(id.p, id.n));
}

/*
 * The line that this host wrote when it took the message: by its id, or because it names the client that the envelope names. A message that
 * passed through its own server again (postsuper -r) has one more on top, without an address; one that came back from a content filter
 * has the filter's address there, while the envelope may name the client that the filter had it from (Postfix, XFORWARD).
 */
static bool own_line(struct walk *w, const struct hop *hop)
{
    bool client = w->has_client && hop->has_ip && same_ip(&w->client, &hop->ip);

    return client || (w->step == STEP_OWN && has_own_id(w, hop));
}

static void take_received(struct walk *w, struct bytes value)
{
    struct hop hop;

    if (w->step == STEP_STOPPED)
        return;
    header_hop(value, &hop);
    if (w->step != STEP_OUTWARD && own_line(w, &hop)) {
        believe(w, &hop);
        if (w->has_client && !hop.has_ip) {
            w->local = false;
            w->step = STEP_REQUEUED;
        }
        return;
    }
    if (!w->has_at || !trust_has(w->trust, &w->at)) {
        w->step = STEP_STOPPED;
        return;
    }
    believe(w, &hop);
}

static void walk(struct walk *w, struct bytes block)
{
    static const struct bytes received = BYTES("Received");
    struct header h;

    while (header_next(&block, &h)) {
        if (bytes_ieq(h.name, received))
            take_received(w, h.value);
        else
            take_named(&w->below, &h);
    }
}

/* --- what it says --- */

/* Addresses that no packet from the Internet carries: a NAT, a container bridge or a LAN (RFC 1918, 3927, 4193, 4291, 6598). */
static bool is_private(const struct ip *ip)
{
    static const unsigned char mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };
    const unsigned char *b = ip->b + sizeof(mapped);

    if (memcmp(ip->b, mapped, sizeof(mapped)) != 0)
        return (ip->b[0] & 0xfe) == 0xfc || (ip->b[0] == 0xfe && (ip->b[1] & 0xc0) == 0x80);
    return b[0] == 10 || (b[0] == 172 && (b[1] & 0xf0) == 16) || (b[0] == 192 && b[1] == 168) ||
           (b[0] == 169 && b[1] == 254) || (b[0] == 100 && (b[1] & 0xc0) == 64);
}

static bool any(const struct finds *finds)
{
    return finds->of[KIND_ADDRESS].value.p || finds->of[KIND_USER].value.p || finds->of[KIND_SCRIPT].value.p;
}

/* One more word of the comma list, unless it is the last one already: a field may name two things. */
static void add_source(struct buf *b, const char *word)
{
    size_t n = strlen(word);

    if (b->n >= n && memcmp(b->p + b->n - n, word, n) == 0 && (b->n == n || b->p[b->n - n - 1] == ','))
        return;
    if (b->n > 0)
        buf_add_char(b, ',');
    buf_add(b, word, n);
}

static void set_address(struct lq_record *r, const struct trust *trust, const struct ip *ip, struct buf *source)
{
    char text[IP_TEXT_MAX];

    record_set_text(r, LQ_ORIGIN_ADDRESS, text, ip_format(ip, text));
    if (trust_has(trust, ip))
        add_source(source, "inside");
    else if (is_private(ip))
        add_source(source, "private");
}

/* An address that a field names goes before the one where the chain ends, where that is inside. */
static void set_origin(struct lq_record *r, const struct walk *w, const struct finds *finds, bool outside, bool observed)
{
    static const enum lq_field fields[KIND_COUNT] = { LQ_ORIGIN_ADDRESS, LQ_ORIGIN_USER, LQ_ORIGIN_SCRIPT };
    const char *trust = observed ? "observed" : "claimed";
    bool named = finds->of[KIND_ADDRESS].value.p && !outside;
    struct buf source = { 0 }, unfolded = { 0 };

    if (!named)
        add_source(&source, !w->has_at ? "local" : w->has_client && same_ip(&w->at, &w->client) ? "client" : "received");
    for (enum kind k = named ? KIND_ADDRESS : KIND_USER; k < KIND_COUNT; k++)
        if (finds->of[k].value.p)
            add_source(&source, finds->of[k].field);
    if (named)
        set_address(r, w->trust, &finds->ip, &source);
    else if (w->has_at)
        set_address(r, w->trust, &w->at, &source);
    for (enum kind k = KIND_USER; k < KIND_COUNT; k++)
        if (finds->of[k].value.p) {
            header_unfold(finds->of[k].value, &unfolded);
            record_set_text(r, fields[k], unfolded.p, unfolded.n);
        }
    if (source.failed || unfolded.failed)
        record_broken(r, SEC_CONTROL);
    else
        record_set_text(r, LQ_ORIGIN_SOURCE, source.p, source.n);
    record_set_text(r, LQ_ORIGIN_TRUST, trust, strlen(trust));
    buf_done(&source);
    buf_done(&unfolded);
}

static void set_hops(struct lq_record *r, const struct walk *w)
{
    static const struct lq_str observed = { "observed", 8 }, claimed = { "claimed", 7 };

    for (size_t i = 0; i < r->hop_count; i++)
        r->hops[i].trust = i < w->trusted ? observed : claimed;
}

void origin_fields(struct lq_record *r, const struct trust *trust, struct bytes block, bool whole, uint64_t want)
{
    struct lq_str client = r->value[LQ_CLIENT_ADDRESS].text;
    struct walk w = { .rec = r, .trust = trust };
    bool outside;

    if (record_is_set(r, LQ_CLIENT_ADDRESS))
        w.has_client = w.has_at = ip_parse(bytes_from(client.p, client.n), &w.client);
    w.at = w.client;
    walk(&w, block);
    if (want & LQ_FIELD_BIT(LQ_RECEIVED))
        set_hops(r, &w);
    if (!(want & ORIGIN_FIELDS))
        return;
    /* A filter may have dropped the lines that lead to a client which it told our server about. */
    if (w.has_client && !trust_has(trust, &w.client) && trust_has(trust, &w.at))
        w.at = w.client;
    outside = w.has_at && !trust_has(trust, &w.at);
    /* Of a header that was cut, or of a damaged message, only a chain that left our networks is known to its end. */
    if (!outside && (!whole || r->broken & SEC_CONTROL))
        return;
    if (!outside && w.has_at && !w.local && trust_names(trust, &w.at))
        below_is_observed(&w);
    if (outside || any(&w.observed) || !any(&w.below))
        set_origin(r, &w, &w.observed, outside, true);
    else
        set_origin(r, &w, &w.below, outside, false);
}
