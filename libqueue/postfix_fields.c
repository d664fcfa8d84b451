/*
 * Postfix: fields of a record that are made of several facts of the queue file. Who the client was
 * and how it came, when, how big, and in which state the message is. The facts themselves are
 * collected by postfix_parse.c.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "addr.h"
#include "header.h"
#include "origin.h"
#include "postfix.h"

/* What Postfix's own Received line tells. */
static const uint64_t origin_mask = LQ_FIELD_BIT(LQ_PROTOCOL_NAME) | LQ_FIELD_BIT(LQ_LOCAL_UID) | LQ_FIELD_BIT(LQ_FLAGS);

/* What the attributes about clients are needed for. */
static const uint64_t client_mask =
    LQ_FIELD_BIT(LQ_CLIENT_ADDRESS) | LQ_FIELD_BIT(LQ_CLIENT_PORT) | LQ_FIELD_BIT(LQ_CLIENT_NAME) |
    LQ_FIELD_BIT(LQ_HELO_NAME) | LQ_FIELD_BIT(LQ_PROTOCOL_NAME) | LQ_FIELD_BIT(LQ_AUTH_USER) |
    LQ_FIELD_BIT(LQ_AUTH_METHOD) | LQ_FIELD_BIT(LQ_LOCAL_UID) | LQ_FIELD_BIT(LQ_FLAGS) | LQ_FIELD_BIT(LQ_PROBLEMS);

const uint64_t postfix_original_mask = LQ_FIELD_BIT(LQ_RECIPIENTS) | LQ_FIELD_BIT(LQ_RECIPIENTS_DONE);

/* What somebody who asks for clients and accounts alone looks at; all of them where flags, problems or other fields are asked for. */
static unsigned attrs_wanted(uint64_t want)
{
    const uint64_t few = LQ_FIELD_BIT(LQ_CLIENT_ADDRESS) | LQ_FIELD_BIT(LQ_AUTH_USER);

    if (want & client_mask & ~few)
        return (1u << ATTRS) - 1;
    return 1u << LOG_ADDRESS | 1u << PEER_ADDRESS | 1u << SASL_USER | 1u << CREATE_TIME |
           (want & postfix_original_mask ? 1u << DSN_ORIG_RCPT : 0);
}

/* State and problems belong here: a message is as corrupt when only they are asked for. */
const uint64_t postfix_header_mask =
    LQ_FIELD_BIT(LQ_SUBJECT) | LQ_FIELD_BIT(LQ_FROM) | LQ_FIELD_BIT(LQ_TO) | LQ_FIELD_BIT(LQ_MESSAGE_ID) |
    LQ_FIELD_BIT(LQ_DATE) | LQ_FIELD_BIT(LQ_RECEIVED) | LQ_FIELD_BIT(LQ_PROTOCOL_NAME) | LQ_FIELD_BIT(LQ_LOCAL_UID) |
    LQ_FIELD_BIT(LQ_FLAGS) | LQ_FIELD_BIT(LQ_STATE) | LQ_FIELD_BIT(LQ_PROBLEMS) | LQ_FIELD_BIT(LQ_HEADER) | ORIGIN_FIELDS;

/* --- a queue file --- */

static bool from_user(const struct reading *rd, const struct stat *st, enum postfix_dir dir)
{
    const struct postfix_spool *own = rd->spool->own;

    /* pickup, too, knows a requeued message by this: Postfix's own, and not readable by others. */
    return dir == PF_MAILDROP && !(own && own->owner_known && st->st_uid == own->mail_owner && !(st->st_mode & S_IROTH));
}

struct postfix_file postfix_file(struct reading *rd, const struct stat *st, enum postfix_dir dir)
{
    unsigned owner_bits = (unsigned)st->st_mode & S_IRWXU;

    return (struct postfix_file){
        .rd = rd, .rec = rd->rec, .st = st, .dir = dir,
        /* Agents leave only the right to read to what they find corrupt. */
        .receiving = dir != PF_CORRUPT && owner_bits != S_IRWXU && owner_bits != S_IRUSR,
        .use_client = rd->want & client_mask && !from_user(rd, st, dir),
        .user_file = from_user(rd, st, dir),
        .attrs_wanted = attrs_wanted(rd->want),
    };
}

static void sentence(struct postfix_file *f, const char *fmt, va_list ap)
{
    char text[800];

    vsnprintf(text, sizeof(text), fmt, ap);
    record_problem(f->rec, "%s: %s", reading_path(f->rd, &f->rd->ref->entries[0]), text);
}

void postfix_problem(struct postfix_file *f, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    sentence(f, fmt, ap);
    va_end(ap);
}

void postfix_refuse(struct postfix_file *f, const char *fmt, ...)
{
    va_list ap;

    if (f->receiving)
        return;
    va_start(ap, fmt);
    sentence(f, fmt, ap);
    va_end(ap);
    record_set_state(f->rec, STATE_CORRUPT);
}

/* --- what Postfix itself wrote at the top of the header --- */

struct own_line {
    struct bytes with;
    bool found, local;
    int64_t uid;
};

static bool is_space(unsigned char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* A word, or a comment with all that is nested in it; n == 0 at the end or at the semicolon before the date. */
static struct bytes next_word(struct bytes *text)
{
    struct bytes word;
    unsigned depth = 0;
    size_t i = 0;

    while (text->n > 0 && is_space(text->p[0]))
        *text = bytes_skip(*text, 1);
    word = *text;
    for (; i < word.n; i++) {
        unsigned char c = word.p[i];

        if (depth == 0 && i > 0 && (is_space(c) || c == '(' || c == ';'))
            break;
        if (depth == 0 && c == ';')
            return BYTES("");
        if (c == '(')
            depth++;
        if (c == ')' && depth > 0 && --depth == 0) {
            i++;
            break;
        }
    }
    word.n = i;
    *text = bytes_skip(*text, i);
    return word;
}

/* "(Postfix, from userid 1000)": written by pickup's cleanup for local submissions. */
static bool comment_uid(struct bytes comment, int64_t *uid)
{
    static const char key[] = ", from userid ";
    const unsigned char *at = memmem(comment.p, comment.n, key, sizeof(key) - 1);
    struct bytes digits;

    if (!at)
        return false;
    digits = bytes_skip(comment, (size_t)(at - comment.p) + sizeof(key) - 1);
    return bytes_take_number(&digits, uid) && bytes_eq(digits, BYTES(")"));
}

/* Takes a Received value apart. With an id, the line counts only if it has that id. */
static struct own_line read_own_line(struct bytes value, struct bytes id)
{
    struct own_line line = { .found = false };
    struct bytes before = BYTES(""), word;

    while ((word = next_word(&value)).n > 0) {
        if (word.p[0] == '(') {
            line.local = line.local || comment_uid(word, &line.uid);
            continue;
        }
        if (bytes_ieq(before, BYTES("with")))
            line.with = word;
        if (bytes_ieq(before, BYTES("id")) && (id.n == 0 || bytes_eq(word, id))) {
            line.found = true;
            break;
        }
        before = word;
    }
    return line;
}

static bool next_received(struct bytes *block, struct header *h)
{
    while (header_next(block, h))
        if (bytes_ieq(h->name, BYTES("received")))
            return true;
    return false;
}

/* The line of this queue file, and in *block what follows it. */
static struct own_line find_own_line(struct postfix_file *f, struct bytes *block)
{
    const struct entry *key = &f->rd->ref->entries[0];
    struct own_line line;
    struct header h;

    *block = f->rd->headers.n > 0 ? bytes_from(f->rd->headers.p, f->rd->headers.n) : BYTES("");
    while (next_received(block, &h)) {
        line = read_own_line(h.value, bytes_from(key->id, key->id_len));
        if (line.found)
            return line;
    }
    return (struct own_line){ .found = false };
}

/*
 * Who submitted a local message. A requeued one (postsuper -r) passed pickup again, in the name of
 * Postfix's own account: then the line below, which was on top before, tells.
 */
static void set_local_uid(struct postfix_file *f, struct own_line line, struct bytes block)
{
    const struct postfix_spool *own = f->rd->spool->own;
    struct header h;

    while (line.local && own && own->owner_known && line.uid == own->mail_owner && next_received(&block, &h)) {
        struct own_line below = read_own_line(h.value, BYTES(""));

        if (!below.local)
            break;
        line = below;
    }
    if (line.local)
        record_set_number(f->rec, LQ_LOCAL_UID, line.uid);
}

/* ESMTPS, UTF8SMTPSA: an S behind SMTP says TLS (RFC 3848, RFC 6531). */
static bool says_tls(struct bytes protocol)
{
    return protocol.n > 0 && memmem(protocol.p, protocol.n, "SMTPS", 5);
}

/* --- fields made of several attributes --- */

static struct bytes kept(const struct postfix_file *f, enum postfix_attr a)
{
    return f->attrs[a].p ? bytes_from(f->attrs[a].p, f->attrs[a].n) : BYTES("");
}

/* "unknown" is how Postfix writes that it does not know. */
static bool known(struct bytes text)
{
    return text.n > 0 && !bytes_ieq(text, BYTES("unknown"));
}

/*
 * The log_ attributes tell about the client that gave us the message, the others about the last
 * one: behind a content filter that is the filter. Only where both are the same client may one set
 * complete the other.
 */
static bool same_client(const struct postfix_file *f)
{
    struct bytes logged = kept(f, LOG_ADDRESS), peer = kept(f, PEER_ADDRESS);
    struct ip a, b;

    if (logged.n == 0 || bytes_ieq(logged, peer))
        return true;
    return ip_parse(logged, &a) && ip_parse(peer, &b) && memcmp(&a, &b, sizeof(a)) == 0;
}

static struct bytes client(const struct postfix_file *f, enum postfix_attr logged, enum postfix_attr peer)
{
    return f->same_client && !known(kept(f, logged)) ? kept(f, peer) : kept(f, logged);
}

static void set_known(struct postfix_file *f, enum lq_field field, struct bytes text)
{
    if (known(text))
        record_set_text(f->rec, field, text.p, text.n);
}

static void set_client_address(struct postfix_file *f)
{
    struct bytes text = client(f, LOG_ADDRESS, PEER_ADDRESS);
    char out[IP_TEXT_MAX];
    struct ip ip;

    if (!known(text))
        return;
    if (ip_parse(text, &ip))
        record_set_text(f->rec, LQ_CLIENT_ADDRESS, out, ip_format(&ip, out));
    else
        postfix_problem(f, "client address is no IP address: %.*s", (int)(text.n < 100 ? text.n : 100),
                       (const char *)text.p);
}

static void set_client_port(struct postfix_file *f)
{
    struct bytes text = client(f, LOG_PORT, PEER_PORT);
    int64_t port;

    if (!known(text))
        return;
    if (bytes_number(text, &port) && port >= 0 && port <= UINT16_MAX)
        record_set_number(f->rec, LQ_CLIENT_PORT, port);
    else
        postfix_problem(f, "client port is no port: %.*s", (int)(text.n < 100 ? text.n : 100),
                       (const char *)text.p);
}

static void set_client(struct postfix_file *f)
{
    f->same_client = same_client(f);
    set_client_address(f);
    set_client_port(f);
    set_known(f, LQ_HELO_NAME, client(f, LOG_HELO, PEER_HELO));
    set_known(f, LQ_CLIENT_NAME, client(f, LOG_NAME, PEER_NAME));
    /*
     * A name that the address claims but that does not lead back to it: Postfix itself calls such a
     * client unknown.
     */
    if (!record_is_set(f->rec, LQ_CLIENT_NAME) && f->same_client && known(kept(f, REVERSE_NAME))) {
        set_known(f, LQ_CLIENT_NAME, kept(f, REVERSE_NAME));
        record_flag(f->rec, FLAG_NAME_UNVERIFIED);
    }
    set_known(f, LQ_AUTH_METHOD, kept(f, SASL_METHOD));
    if (known(kept(f, SASL_USER))) {
        set_known(f, LQ_AUTH_USER, kept(f, SASL_USER));
        record_flag(f->rec, FLAG_AUTHENTICATED);
    }
}

/*
 * No client attribute means a message made on this host. Postfix before 2.1, whose size record has
 * three fields at most, did not write them for any message.
 */
static bool is_local(const struct postfix_file *f, const struct own_line *line)
{
    bool has_client = line->with.n > 0;

    for (enum postfix_attr a = LOG_ADDRESS; a <= PEER_PROTOCOL; a++)
        has_client = has_client || f->attrs[a].p;
    if (has_client || f->rec->scratch[NOTE_CONTENT] == 0)
        return false;
    if (line->local || f->dir == PF_MAILDROP)
        return true;
    /* A null sender that no user gave is Postfix's own bounce: nobody submitted it. */
    return f->size_count > 3 && f->rec->value[LQ_SENDER].text.n > 0;
}

/* How it came: the line that Postfix wrote on top tells ESMTPSA from ESMTP, the attributes do not. */
static void set_origin(struct postfix_file *f)
{
    struct bytes below, protocol = client(f, LOG_PROTOCOL, PEER_PROTOCOL);
    struct own_line line = find_own_line(f, &below);

    if (line.with.n > 0 && f->same_client)
        protocol = line.with;
    set_known(f, LQ_PROTOCOL_NAME, protocol);
    if (says_tls(protocol))
        record_flag(f->rec, FLAG_TLS);
    if (!is_local(f, &line))
        return;
    record_flag(f->rec, FLAG_LOCAL);
    if (f->user_file)
        record_set_number(f->rec, LQ_LOCAL_UID, (int64_t)f->st->st_uid);
    else
        set_local_uid(f, line, below);
}

/* --- fields of the file itself --- */

/* Postfix removes what is not ready after this time (postsuper -p, 3.5 and later). */
enum { UNFINISHED_MAX = 7 * 24 * 3600 };

static void set_receiving(struct postfix_file *f)
{
    const struct spool *sp = f->rd->spool;
    int64_t age = sp->clock - (int64_t)f->st->st_mtime;

    if (age <= UNFINISHED_MAX || spool_locked(sp, f->st->st_dev, f->st->st_ino)) {
        record_set_state(f->rec, STATE_RECEIVING);
        return;
    }
    record_set_state(f->rec, STATE_INCOMPLETE);
    postfix_problem(f, "was never completed (mode %04o), last written %" PRId64 " days ago",
                    (unsigned)f->st->st_mode & 07777, age / (24 * 3600));
}

static void check_mode(struct postfix_file *f)
{
    unsigned mode = (unsigned)f->st->st_mode & 07777;

    if (f->receiving)
        set_receiving(f);
    else if (f->dir != PF_CORRUPT && (mode & S_IRWXU) != S_IRWXU)
        postfix_refuse(f, "mode %04o: a delivery agent found this file corrupt", mode);
    if (f->st->st_nlink > 1)
        postfix_problem(f, "has %lu links, a Postfix queue file has one", (unsigned long)f->st->st_nlink);
    record_set_number(f->rec, LQ_FORCED_EXPIRE, (mode & S_IXGRP) != 0);
}

static void set_arrival(struct postfix_file *f)
{
    const struct entry *key = &f->rd->ref->entries[0];
    int64_t created = (int64_t)f->rec->scratch[NOTE_CREATED], seconds, usec;

    if (record_is_set(f->rec, LQ_ARRIVAL_TIME))
        return;
    if (created > 0) {
        record_set_number(f->rec, LQ_ARRIVAL_TIME, created);
    } else if (postfix_long_id(bytes_from(key->id, key->id_len), &seconds, &usec)) {
        record_set_number(f->rec, LQ_ARRIVAL_TIME, seconds);
        record_set_number(f->rec, LQ_ARRIVAL_USEC, usec);
    } else if (f->dir == PF_MAILDROP) {
        record_set_number(f->rec, LQ_ARRIVAL_TIME, (int64_t)f->st->st_mtime);
    }
}

/* The file's time is the earliest next attempt where the queue manager waits for it. */
static void set_next_attempt(struct postfix_file *f)
{
    int64_t at = (int64_t)f->st->st_mtime;

    if (f->dir == PF_DEFERRED || (f->dir == PF_INCOMING && !f->receiving && at > f->rd->spool->clock))
        record_set_number(f->rec, LQ_NEXT_ATTEMPT, at);
}

/* As postqueue lists it: the first number of the size record, else the file's size. */
static void set_size(struct postfix_file *f)
{
    if (f->size_count > 0 && f->sizes[0] > 0)
        record_set_number(f->rec, LQ_MESSAGE_SIZE, f->sizes[0]);
    else if (!f->receiving)
        record_set_number(f->rec, LQ_MESSAGE_SIZE, (int64_t)f->st->st_size);
}

/* A redirect sends all of it elsewhere; the recipient is then what it was before. */
static void redirect(struct postfix_file *f, struct rcpt_list *list)
{
    for (size_t i = 0; i < list->n; i++) {
        struct lq_recipient *r = &list->items[i];

        if (r->address.n != f->redirect.n || memcmp(r->address.p, f->redirect.p, f->redirect.n) != 0)
            r->orig_address = r->address;
        r->address = record_share(f->rec, f->redirect, SEC_CONTROL);
    }
}

static void finish_recipients(struct postfix_file *f)
{
    if (f->redirect.n > 0) {
        record_flag(f->rec, FLAG_REDIRECTED);
        redirect(f, &f->rec->recipients);
        redirect(f, &f->rec->done);
    }
    if (f->rec->recipients.counted > 0 && f->rec->done.counted > 0)
        record_flag(f->rec, FLAG_PARTIAL);
}

void postfix_fields(struct postfix_file *f)
{
    check_mode(f);
    if (f->use_client)
        set_client(f);
    if (f->rd->want & origin_mask)
        set_origin(f);
    set_arrival(f);
    set_next_attempt(f);
    set_size(f);
    if (f->rd->want & LQ_FIELD_BIT(LQ_IDENTITY))
        record_set_identity(f->rec, f->st->st_dev, f->st->st_ino);
    finish_recipients(f);
    if (f->dir == PF_CORRUPT && f->rec->problems.n == 0)
        postfix_problem(f, "set aside as corrupt by Postfix");
}

/* --- long queue ids --- */

/* Digits, lower and upper case without vowels, in the order of their values. */
static bool take_digits(struct bytes text, int base, int64_t *out)
{
    static const char alphabet[] = "0123456789BCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz";
    int64_t v = 0;

    for (size_t i = 0; i < text.n; i++) {
        const char *digit = memchr(alphabet, text.p[i], (size_t)base);

        if (!digit || v > (INT64_MAX - base) / base)
            return false;
        v = v * base + (digit - alphabet);
    }
    *out = v;
    return true;
}

/*
 * Seconds in base 52, 4 digits of microseconds, z, the inode in base 51 (which has no z). Shorter
 * before the z: a short id.
 */
bool postfix_long_id(struct bytes id, int64_t *seconds, int64_t *usec)
{
    const unsigned char *z = id.n > 0 ? memrchr(id.p, 'z', id.n) : NULL;
    size_t time = z ? (size_t)(z - id.p) : 0;

    return time >= 10 && take_digits(bytes_from(id.p, time - 4), 52, seconds) &&
           take_digits(bytes_from(id.p + time - 4, 4), 52, usec) && *usec < 1000000;
}
