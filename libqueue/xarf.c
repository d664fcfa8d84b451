/*
 * Abuse reports. What XARF v4.2.0 asks of messaging/spam over SMTP (xarf-core.json, messaging-spam.json, specification.md,
 * implementation-guide.md), and how it is met:
 *
 *   one incident, one report        one for each client address, about one message and how many came with it
 *   reporter, sender                org, contact, domain of who made the pack; both are the same
 *   timestamp, source_port          when and from which port that message came: together they name a customer behind carrier NAT
 *   smtp_from (an address)          so the null sender, and an address that is not ASCII, cannot be reported
 *   evidence                        base64 on one line, 5 MiB an item, 15 MiB in all, hash of the bytes before encoding
 *   evidence_source, confidence     left out: recommended, but judgements that the queue does not hold
 *
 * Which addresses send most is not known before the end. A table of 32 keeps whoever sends more than a 32nd of all messages: a newcomer takes the
 * place of the least, and its count (Metwally, Agrawal, El Abbadi: "Efficient computation of frequent and top-k elements in data streams", 2005).
 */
#include "xarf.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "digest.h"
#include "json.h"

#define XARF_VERSION "4.2.0"

enum { SUBJECT = 500, MESSAGE_ID = 200, ADDRESS = 320, HEADER_MAX = 256 << 10 };

const uint64_t xarf_fields = LQ_FIELD_BIT(LQ_CLIENT_ADDRESS) | LQ_FIELD_BIT(LQ_CLIENT_PORT) | LQ_FIELD_BIT(LQ_SENDER) | LQ_FIELD_BIT(LQ_ARRIVAL_TIME) |
                             LQ_FIELD_BIT(LQ_RECIPIENTS) | LQ_FIELD_BIT(LQ_RECIPIENTS_DONE) | LQ_FIELD_BIT(LQ_SUBJECT) | LQ_FIELD_BIT(LQ_MESSAGE_ID) |
                             LQ_FIELD_BIT(LQ_ORIGIN_ADDRESS) | LQ_FIELD_BIT(LQ_ORIGIN_SOURCE);

/* --- addresses --- */

/* Letters, digits, hyphens inside, dots between. */
static bool is_domain(const char *p, size_t n)
{
    size_t label = 0;

    if (n == 0 || n > 253)
        return false;
    for (size_t i = 0; i < n; i++) {
        bool hyphen = p[i] == '-' && label > 0 && i + 1 < n && p[i + 1] != '.';

        if (p[i] == '.' && label > 0 && i + 1 < n)
            label = 0;
        else if ((isalnum((unsigned char)p[i]) && (unsigned char)p[i] < 0x80) || hyphen)
            label++;
        else
            return false;
        if (label > 63)
            return false;
    }
    return true;
}

/* Words of RFC 5322's atoms with single dots between them. */
static bool is_local_part(const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        bool dot = p[i] == '.' && i > 0 && i + 1 < n && p[i + 1] != '.';

        if (!dot && (p[i] <= ' ' || p[i] >= 0x7F || strchr("()<>[]:;@\\,\".", p[i])))
            return false;
    }
    return n > 0 && n <= 64;
}

/* Of the two forms that a mailbox can have, the one that every checker of "format": "email" takes. */
static bool is_mailbox(const char *p, size_t n)
{
    const char *at = n > 0 ? memrchr(p, '@', n) : NULL;

    return at && n <= 254 && is_local_part(p, (size_t)(at - p)) && is_domain(at + 1, n - (size_t)(at - p) - 1);
}

static void copy_text(char *to, size_t room, const char *p, size_t n)
{
    n = n < room ? n : room - 1;
    memcpy(to, p, n);
    to[n] = '\0';
}

static bool has_controls(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < ' ' || *text == 0x7F)
            return true;
    return false;
}

int xarf_reporter(struct xarf_who *out, const char *text, struct lq_error *err)
{
    size_t n = strlen(text), name = 0;
    const char *open = n > 0 && text[n - 1] == '>' ? memrchr(text, '<', n) : NULL, *address = open ? open + 1 : text, *at;
    size_t len = open ? (size_t)(text + n - 1 - address) : n;

    if (!is_mailbox(address, len) || has_controls(text))
        return error_set(err, LQ_EINVAL, "\"%.200s\" does not say who reports: a name and a mail address are needed, Example Ltd <abuse@example.com>", text);
    at = memrchr(address, '@', len);
    copy_text(out->contact, sizeof(out->contact), address, len);
    copy_text(out->domain, sizeof(out->domain), at + 1, len - (size_t)(at - address) - 1);
    for (name = open ? (size_t)(open - text) : 0; name > 0 && text[name - 1] == ' ';)
        name--;
    if (name >= 2 && text[0] == '"' && text[name - 1] == '"') {
        text++;
        name -= 2;
    }
    if (name > XARF_ORG)
        return error_set(err, LQ_EINVAL, "\"%.200s\": the name is longer than %d bytes", text, XARF_ORG);
    copy_text(out->org, sizeof(out->org), name > 0 ? text : out->domain, name > 0 ? name : strlen(out->domain));
    return LQ_OK;
}

/* --- what a report can be about --- */

static bool has_word(struct lq_str list, const char *word)
{
    size_t n = strlen(word);

    for (const char *p = list.p, *end = list.p + list.n; p < end;) {
        const char *comma = memchr(p, ',', (size_t)(end - p));
        size_t len = (size_t)((comma ? comma : end) - p);

        if (len == n && memcmp(p, word, n) == 0)
            return true;
        p += len + 1;
    }
    return false;
}

/* Relays of our own, this machine and private networks handed it in for somebody else, or nobody outside could find them. */
static bool is_source(const struct lq_record *r)
{
    struct lq_str where = lq_record_text(r, LQ_ORIGIN_SOURCE);

    return where.p && has_word(where, "client") && !has_word(where, "inside") && !has_word(where, "private");
}

/* NULL: no report can be about it. */
static struct lq_str reportable(struct xarf *x, const struct lq_record *r)
{
    struct lq_str client = lq_record_text(r, LQ_CLIENT_ADDRESS), sender = lq_record_text(r, LQ_SENDER), none = { NULL, 0 };
    int64_t port, when;

    if (!client.p)
        return none;
    if (!is_source(r))
        x->relayed++;
    else if (!lq_record_number(r, LQ_CLIENT_PORT, &port) || port < 1 || port > 65535)
        x->no_port++;
    else if (!sender.p || !is_mailbox(sender.p, sender.n))
        x->no_sender++;
    else if (!lq_record_number(r, LQ_ARRIVAL_TIME, &when) || when <= 0)
        x->no_time++;
    else
        return client;
    return none;
}

/* --- the message that stands for them --- */

static void keep(struct buf *b, struct lq_str s, size_t max)
{
    b->n = 0;
    if (s.p)
        buf_add(b, s.p, s.n < max ? s.n : max);
}

/* Up to the empty line. 0: there is no end of it. */
static size_t header_size(const struct buf *eml)
{
    const char *end = eml->n > 0 ? memmem(eml->p, eml->n < HEADER_MAX ? eml->n : HEADER_MAX, "\r\n\r\n", 4) : NULL;

    return end ? (size_t)(end - eml->p) + 2 : 0;
}

static void keep_sample(struct xarf_source *s, const struct lq_record *r, const struct buf *eml)
{
    size_t n;
    const struct lq_recipient *to = lq_record_recipients(r, LQ_RECIPIENTS, &n);

    lq_record_number(r, LQ_CLIENT_PORT, &s->port);
    lq_record_number(r, LQ_ARRIVAL_TIME, &s->when);
    keep(&s->sender, lq_record_text(r, LQ_SENDER), ADDRESS);
    keep(&s->recipient, n == 1 ? to[0].address : (struct lq_str){ NULL, 0 }, ADDRESS);
    keep(&s->subject, lq_record_text(r, LQ_SUBJECT), SUBJECT);
    keep(&s->message_id, lq_record_text(r, LQ_MESSAGE_ID), MESSAGE_ID + 1);
    s->cut = eml->lost > 0 || eml->n > XARF_ATTACHED;
    keep(&s->eml, (struct lq_str){ eml->p, s->cut ? header_size(eml) : eml->n }, XARF_ATTACHED);
}

static void forget(struct xarf_source *s)
{
    free(s->address);
    buf_done(&s->sender);
    buf_done(&s->recipient);
    buf_done(&s->subject);
    buf_done(&s->message_id);
    buf_done(&s->eml);
    *s = (struct xarf_source){ 0 };
}

/* Where the address is counted from now on. NULL without memory. */
static struct xarf_source *place(struct xarf *x, struct lq_str address)
{
    struct xarf_source *s = x->sources;
    uint64_t weight = 0;

    for (size_t i = 0; i < x->n; i++) {
        if (strlen(x->sources[i].address) == address.n && memcmp(x->sources[i].address, address.p, address.n) == 0)
            return &x->sources[i];
        if (x->sources[i].weight < s->weight)
            s = &x->sources[i];
    }
    if (x->n < XARF_SOURCES) {
        s = &x->sources[x->n];
    } else {
        weight = s->weight;
        x->displaced = true;
        forget(s);
    }
    *s = (struct xarf_source){ .address = strndup(address.p, address.n), .weight = weight, .whole = weight == 0 };
    if (s == &x->sources[x->n])
        x->n++;
    if (s->address)
        return s;
    x->failed = true;
    *s = x->sources[--x->n];
    return NULL;
}

void xarf_add(struct xarf *x, const struct lq_record *r, const struct buf *eml)
{
    struct lq_str address = reportable(x, r);
    struct xarf_source *s = address.p ? place(x, address) : NULL;
    size_t pending, done;
    int64_t when = 0;

    x->considered += address.p != NULL;
    if (!s)
        return;
    lq_record_recipients(r, LQ_RECIPIENTS, &pending);
    lq_record_recipients(r, LQ_RECIPIENTS_DONE, &done);
    lq_record_number(r, LQ_ARRIVAL_TIME, &when);
    s->recipients += pending + done;
    /* A message that goes along whole is worth more than the header of an earlier one. */
    if (s->when == 0 || (s->cut && eml->lost == 0 && eml->n <= XARF_ATTACHED))
        keep_sample(s, r, eml);
    s->first = s->first == 0 || when < s->first ? when : s->first;
    s->last = when > s->last ? when : s->last;
    s->weight++;
    s->reportable++;
}

static int more_first(const void *a, const void *b)
{
    const struct xarf_source *x = a, *y = b;

    return x->messages != y->messages ? (x->messages > y->messages ? -1 : 1) : strcmp(x->address, y->address);
}

bool xarf_choose(struct xarf *x, const struct counts *clients)
{
    size_t n = x->n;

    for (size_t i = 0; i < n; i++) {
        struct xarf_source *s = &x->sources[i];

        s->messages = counts_of(clients, s->address, strlen(s->address));
        s->at_least = s->messages == 0;
        s->messages = s->at_least ? s->reportable : s->messages;
    }
    if (n > 1)
        qsort(x->sources, n, sizeof(x->sources[0]), more_first);
    /* Of those below a 32nd, which are still here is chance. */
    while (x->n > XARF_REPORTS || (x->displaced && x->n > 0 && x->sources[x->n - 1].messages * XARF_SOURCES <= x->considered))
        forget(&x->sources[--x->n]);
    return x->n == n && !x->displaced;
}

/* --- writing --- */

/* Whole characters of UTF-8, at most max of them; what is none becomes U+FFFD. */
static void clean(struct buf *out, const struct buf *in, size_t max)
{
    size_t i = 0;

    out->n = 0;
    for (size_t k, count = 0; i < in->n && count < max; count++, i += k ? k : 1) {
        k = json_character((const unsigned char *)in->p + i, in->n - i);
        if (k == 0 || in->p[i] == '\0')
            buf_add_str(out, "\xEF\xBF\xBD");
        else
            buf_add(out, in->p + i, k);
    }
}

static void member(struct buf *out, const char *name, const struct buf *value, size_t max)
{
    struct buf text = { 0 };

    if (value->n > 0) {
        clean(&text, value, max);
        json_bytes(out, name, (struct lq_str){ text.p, text.n });
        out->failed = out->failed || text.failed;
    }
    buf_done(&text);
}

static void moment(struct buf *out, int64_t t)
{
    char text[64];
    time_t when = (time_t)t;
    struct tm tm;

    if (gmtime_r(&when, &tm) && strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm) > 0)
        buf_add_str(out, text);
}

/* A random one, version 4 (RFC 9562). */
static int add_id(struct buf *out, struct lq_error *err)
{
    unsigned char u[16];

    if (getrandom(u, sizeof(u), 0) != (ssize_t)sizeof(u))
        return error_set(err, LQ_EIO, "no random numbers: %s", strerror(errno));
    u[6] = (unsigned char)((u[6] & 0x0F) | 0x40);
    u[8] = (unsigned char)((u[8] & 0x3F) | 0x80);
    buf_add_str(out, ",\"report_id\":\"");
    for (size_t i = 0; i < sizeof(u); i++)
        buf_printf(out, i == 4 || i == 6 || i == 8 || i == 10 ? "-%02x" : "%02x", u[i]);
    buf_add_char(out, '"');
    return LQ_OK;
}

static void add_contact(struct buf *out, const char *name, const struct xarf_who *who)
{
    struct buf org = { 0 };

    buf_add_str(&org, who->org);
    buf_printf(out, ",\"%s\":{", name);
    member(out, "org", &org, XARF_ORG);
    json_text(out, "contact", who->contact);
    json_text(out, "domain", who->domain);
    buf_add_char(out, '}');
    out->failed = out->failed || org.failed;
    buf_done(&org);
}

static void add_description(struct buf *out, const struct xarf_source *s)
{
    uint64_t messages = s->messages;
    struct buf text = { 0 };

    buf_printf(&text, "%s%llu unwanted message%s came to our mail server from this address", s->at_least ? "At least " : "", (unsigned long long)messages, messages == 1 ? "" : "s");
    if (s->whole && messages > 1) {
        buf_add_str(&text, "; those that could be reported arrived from ");
        moment(&text, s->first);
        buf_add_str(&text, " to ");
        moment(&text, s->last);
    }
    buf_add_str(&text, ". This report shows one of them; its time and port are of that connection as our server saw it.");
    json_bytes(out, "description", (struct lq_str){ text.p, text.n });
    out->failed = out->failed || text.failed;
    buf_done(&text);
}

static void add_evidence(struct buf *out, const struct xarf_source *s)
{
    char hex[DIGEST_HEX + 1] = "";
    struct digest *d;

    if (s->eml.n == 0)
        return;
    d = digest_new();
    if (d) {
        digest_add(d, s->eml.p, s->eml.n);
        digest_end(d, hex);
    }
    digest_free(d);
    out->failed = out->failed || !*hex;
    buf_add_str(out, ",\"evidence\":[{");
    json_text(out, "content_type", s->cut ? "text/rfc822-headers" : "message/rfc822");
    json_text(out, "description", s->cut ? "Header of the message; the whole is too large to go along" : "The message as our server would have sent it on");
    buf_printf(out, ",\"hash\":\"sha256:%s\",\"size\":%zu,\"payload\":\"", hex, s->eml.n);
    json_to_base64(out, s->eml.p, s->eml.n);
    buf_add_str(out, "\"}]");
}

static void add_message(struct buf *out, const struct xarf_source *s)
{
    json_text(out, "category", "messaging");
    json_text(out, "type", "spam");
    json_text(out, "protocol", "smtp");
    member(out, "smtp_from", &s->sender, ADDRESS);
    if (s->recipient.n > 0 && is_mailbox(s->recipient.p, s->recipient.n))
        member(out, "smtp_to", &s->recipient, ADDRESS);
    member(out, "subject", &s->subject, SUBJECT);
    if (s->message_id.n <= MESSAGE_ID)
        member(out, "message_id", &s->message_id, MESSAGE_ID);
    if (s->whole && s->reportable == s->messages && s->recipients > 0)
        json_number(out, "recipient_count", (int64_t)s->recipients);
}

int xarf_print(const struct xarf *x, size_t i, const struct xarf_who *who, struct buf *out, struct lq_error *err)
{
    const struct xarf_source *s = &x->sources[i];
    int rc;

    buf_add_str(out, "{\"xarf_version\":\"" XARF_VERSION "\"");
    rc = add_id(out, err);
    if (rc != LQ_OK)
        return rc;
    buf_add_str(out, ",\"timestamp\":\"");
    moment(out, s->when);
    buf_add_char(out, '"');
    add_contact(out, "reporter", who);
    add_contact(out, "sender", who);
    json_text(out, "source_identifier", s->address);
    json_number(out, "source_port", s->port);
    add_message(out, s);
    add_description(out, s);
    add_evidence(out, s);
    buf_add_str(out, "}\n");
    return out->failed || x->failed || s->eml.failed || s->sender.failed ? error_memory(err) : LQ_OK;
}

void xarf_done(struct xarf *x)
{
    for (size_t i = 0; i < x->n; i++)
        forget(&x->sources[i]);
    x->n = 0;
}
