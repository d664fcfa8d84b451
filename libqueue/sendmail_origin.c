/*
 * Who brought a message to Sendmail: the macros that its control file keeps ($ records), above all $_, the peer.
 *
 * Facts: Sendmail 8.17 and 8.18 (srvrsmtp.c, daemon.c, queue.c) and the Operations Guide.
 */
#include "sendmail_parse.h"

#include "addr.h"

#define WANT_MACROS                                                                                \
    (FIELD(CLIENT_ADDRESS) | FIELD(CLIENT_PORT) | FIELD(CLIENT_NAME) | FIELD(HELO_NAME) |          \
     FIELD(PROTOCOL_NAME) | FIELD(AUTH_USER) | FIELD(AUTH_METHOD) | FIELD(LOCAL_USER) |            \
     FIELD(FLAGS))

static const struct bytes macro_names[MACRO_COUNT] = {
    [MACRO_PEER] = { (const unsigned char *)"_", 1 },
    [MACRO_PROTOCOL] = { (const unsigned char *)"r", 1 },
    [MACRO_HELO] = { (const unsigned char *)"s", 1 },
    [MACRO_ADDR] = { (const unsigned char *)"{client_addr}", 13 },
    [MACRO_PORT] = { (const unsigned char *)"{client_port}", 13 },
    [MACRO_NAME] = { (const unsigned char *)"{client_name}", 13 },
    [MACRO_AUTHEN] = { (const unsigned char *)"{auth_authen}", 13 },
    [MACRO_AUTH_TYPE] = { (const unsigned char *)"{auth_type}", 11 },
};

void sendmail_take_macro(struct parse *p, struct bytes v)
{
    size_t n = v.n > 0 && v.p[0] == '{' ? bytes_find(v, '}') + 1 : 1;
    struct bytes name = { v.p, n };

    if (n > v.n || !wanted(p, WANT_MACROS))
        return;
    v = bytes_skip(v, n);
    for (enum macro m = 0; m < MACRO_COUNT; m++)
        if (bytes_eq(name, macro_names[m]))
            p->macros[m] = record_copy(p->rec, v.p, v.n);
}

struct peer {                   /* the parts of $_ */
    struct bytes ident, name, address;
    bool forged;                /* forward and reverse lookup disagreed */
    bool remote;                /* there was an address in brackets */
};

static bool cut_end(struct bytes *v, struct bytes end)
{
    if (v->n < end.n || memcmp(v->p + v->n - end.n, end.p, end.n) != 0)
        return false;
    v->n -= end.n;
    return true;
}

static size_t find_last(struct bytes v, unsigned char c)
{
    size_t i = v.n;

    while (i > 0 && v.p[i - 1] != c)
        i--;
    return i ? i - 1 : v.n;
}

/*
 * [ident@]name [ip] (may be forged), [ident@][ip], user@localhost, localhost. A source-routed peer
 * is [@gw@gw:origin] or [!@gw:origin]: its last address is the client.
 */
static struct peer peer_of(struct bytes v)
{
    struct peer peer = { .forged = false };
    size_t open, at;

    v = bytes_trim(v);
    if (cut_end(&v, BYTES("(may be forged)"))) {
        peer.forged = true;
        v = bytes_trim(v);
    }
    open = find_last(v, '[');
    if (open < v.n && cut_end(&v, BYTES("]"))) {
        peer.remote = true;
        peer.address = bytes_skip(v, open + 1);
        if (peer.address.n > 0 && (peer.address.p[0] == '@' || peer.address.p[0] == '!'))
            peer.address = bytes_skip(peer.address, find_last(peer.address, ':') + 1);
        v = bytes_trim(bytes_from(v.p, open));
    }
    at = find_last(v, '@');
    if (at < v.n) {
        peer.ident = bytes_from(v.p, at);
        v = bytes_skip(v, at + 1);
    }
    peer.name = v;
    return peer;
}

static bool set_address(struct lq_record *r, struct bytes text)
{
    char address[IP_TEXT_MAX];
    struct ip ip;

    if (text.n == 0 || !ip_parse(text, &ip))
        return false;
    record_set_text(r, LQ_CLIENT_ADDRESS, address, ip_format(&ip, address));
    return true;
}

static void set_name(struct lq_record *r, struct bytes name)
{
    if (name.n > 0 && name.p[0] != '[' && !bytes_ieq(name, BYTES("unknown")))
        record_set_text(r, LQ_CLIENT_NAME, name.p, name.n);
}

static void set_client(struct parse *p)
{
    struct peer peer = peer_of(view(p->macros[MACRO_PEER]));
    struct bytes port = view(p->macros[MACRO_PORT]);
    int64_t n;

    if (p->macros[MACRO_PEER].n > 0 && !peer.remote) {
        /* Without a login and with a null sender it is sendmail's own bounce: nobody submitted it. */
        if (peer.ident.n > 0 || p->rec->value[LQ_SENDER].text.n > 0)
            record_flag(p->rec, FLAG_LOCAL);
        if (peer.ident.n > 0)
            record_set_text(p->rec, LQ_LOCAL_USER, peer.ident.p, peer.ident.n);
        return;
    }
    if (!set_address(p->rec, view(p->macros[MACRO_ADDR])))
        set_address(p->rec, peer.address);
    set_name(p->rec, view(p->macros[MACRO_NAME]));
    set_name(p->rec, peer.name);
    if (peer.forged)
        record_flag(p->rec, FLAG_NAME_UNVERIFIED);
    if (port.n > 0 && bytes_number(port, &n) && n > 0 && n <= 65535)
        record_set_number(p->rec, LQ_CLIENT_PORT, n);
}

/* SMTP, ESMTP, ESMTPS, ESMTPA, ESMTPSA, and UTF8 in front: S is TLS, A is authenticated. */
static void set_protocol(struct parse *p)
{
    struct bytes v = view(p->macros[MACRO_PROTOCOL]), helo = view(p->macros[MACRO_HELO]);

    /* Messages made here have an empty one, and claim localhost as HELO. */
    if (v.n == 0)
        return;
    record_set_text(p->rec, LQ_PROTOCOL_NAME, v.p, v.n);
    if (helo.n > 0)
        record_set_text(p->rec, LQ_HELO_NAME, helo.p, helo.n);
    if (bytes_start(v, BYTES("UTF8"))) {
        record_flag(p->rec, FLAG_SMTPUTF8);
        v = bytes_skip(v, 4);
    }
    if (v.n > 0 && v.p[0] == 'E')
        v = bytes_skip(v, 1);
    if (!bytes_start(v, BYTES("SMTP")))
        return;
    v = bytes_skip(v, 4);
    if (bytes_find(v, 'S') < v.n)
        record_flag(p->rec, FLAG_TLS);
    if (bytes_find(v, 'A') < v.n)
        record_flag(p->rec, FLAG_AUTHENTICATED);
}

/* ${auth_authen} is stored with = < > " ) and + as xtext (srvrsmtp.c, 8.12 to 8.18). */
static void set_login(struct parse *p)
{
    struct bytes user = view(p->macros[MACRO_AUTHEN]), method = view(p->macros[MACRO_AUTH_TYPE]);
    struct buf *decoded = p->in->tmp;

    if (user.n == 0)
        return;
    buf_reset(decoded, RECORD_TEXT_MAX);
    sendmail_add_xtext(decoded, user);
    record_set_text(p->rec, LQ_AUTH_USER, decoded->p, decoded->n);
    record_flag(p->rec, FLAG_AUTHENTICATED);
    if (method.n > 0)
        record_set_text(p->rec, LQ_AUTH_METHOD, method.p, method.n);
}

void sendmail_set_origin(struct parse *p)
{
    set_client(p);
    set_protocol(p);
    set_login(p);
}
