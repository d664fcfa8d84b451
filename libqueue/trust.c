/*
 * Networks whose hosts are believed when they say where they had a message from. Knows loopback, this host's interfaces and how
 * Postfix writes its mynetworks; which of them count for a queue is the engine's to say.
 */
#include <ifaddrs.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "origin.h"

struct lq_trust {
    struct buf text;            /* all that was added, as one comma list */
    struct netset *nets;
};

int lq_trust_new(struct lq_trust **out, struct lq_error *err)
{
    struct lq_trust *t = calloc(1, sizeof(*t));

    if (!t)
        return error_memory(err);
    *out = t;
    return LQ_OK;
}

int lq_trust_add(struct lq_trust *t, const char *networks, struct lq_error *err)
{
    struct netset *nets = NULL;
    struct buf text = { 0 };
    int rc;

    if (t->text.n > 0) {
        buf_add_str(&text, t->text.p);
        buf_add_char(&text, ',');
    }
    buf_add(&text, networks, strlen(networks) + 1);
    rc = text.failed ? error_memory(err) : netset_parse(&nets, text.p, err);
    if (rc != LQ_OK) {
        buf_done(&text);
        return rc;
    }
    netset_free(t->nets);
    buf_done(&t->text);
    t->nets = nets;
    t->text = text;
    t->text.n--;
    return LQ_OK;
}

void lq_trust_free(struct lq_trust *t)
{
    if (!t)
        return;
    netset_free(t->nets);
    buf_done(&t->text);
    free(t);
}

#define LOOPBACK "127.0.0.0/8,::1"

int trust_begin(struct trust *t, struct lq_error *err)
{
    *t = (struct trust){ .always = NULL };
    return netset_parse(&t->always, LOOPBACK, err);
}

/* Of the kernel's address; false for families that mail does not use. */
static bool from_socket(const struct sockaddr *address, struct ip *ip)
{
    static const unsigned char mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };

    if (address && address->sa_family == AF_INET) {
        memcpy(ip->b, mapped, sizeof(mapped));
        memcpy(ip->b + sizeof(mapped), &((const struct sockaddr_in *)(const void *)address)->sin_addr, 4);
        return true;
    }
    if (address && address->sa_family == AF_INET6) {
        memcpy(ip->b, &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr, sizeof(ip->b));
        return true;
    }
    return false;
}

static void replace(struct netset **set, const char *list)
{
    struct lq_error err;
    struct netset *more;

    if (netset_parse(&more, list, &err) != LQ_OK)
        return;
    netset_free(*set);
    *set = more;
}

void trust_own_addresses(struct trust *t)
{
    struct ifaddrs *all;
    struct buf list = { 0 };
    char text[IP_TEXT_MAX];
    struct ip ip;

    if (getifaddrs(&all) != 0)
        return;
    buf_add_str(&list, LOOPBACK);
    for (const struct ifaddrs *a = all; a; a = a->ifa_next) {
        if (!from_socket(a->ifa_addr, &ip))
            continue;
        ip_format(&ip, text);
        buf_add_char(&list, ',');
        buf_add_str(&list, text);
    }
    freeifaddrs(all);
    buf_add_char(&list, '\0');
    if (!list.failed)
        replace(&t->always, list.p);
    buf_done(&list);
}

/* "[2001:db8::]/64" without its brackets, when that is an address or a network. */
static bool take_network(struct bytes item, struct buf *list)
{
    char text[64];
    struct netset *one;
    struct lq_error err;
    size_t n = 0;

    for (size_t i = 0; i < item.n; i++) {
        if (item.p[i] == '[' || item.p[i] == ']')
            continue;
        if (n == sizeof(text) - 1)
            return false;
        text[n++] = (char)item.p[i];
    }
    text[n] = '\0';
    if (netset_parse(&one, text, &err) != LQ_OK)
        return false;
    netset_free(one);
    if (list->n > 0)
        buf_add_char(list, ',');
    buf_add_str(list, text);
    return true;
}

void trust_mynetworks(struct trust *t, const char *text)
{
    struct buf in = { 0 }, out = { 0 };

    while (*(text += strspn(text, ", \t"))) {
        struct bytes item = bytes_from(text, strcspn(text, ", \t"));
        bool not = item.p[0] == '!';

        text += item.n;
        take_network(bytes_skip(item, not), not ? &out : &in);
    }
    buf_add_char(&in, '\0');
    buf_add_char(&out, '\0');
    if (in.n > 1 && !in.failed && !out.failed) {
        replace(&t->networks, in.p);
        if (out.n > 1)
            replace(&t->except, out.p);
    }
    buf_done(&in);
    buf_done(&out);
}

void trust_done(struct trust *t)
{
    netset_free(t->always);
    netset_free(t->networks);
    netset_free(t->except);
    *t = (struct trust){ .always = NULL };
}

static bool in(const struct netset *set, const struct ip *ip)
{
    return set && netset_has(set, ip);
}

bool trust_names(const struct trust *t, const struct ip *ip)
{
    return t->named && in(t->named->nets, ip);
}

bool trust_has(const struct trust *t, const struct ip *ip)
{
    if (in(t->always, ip) || trust_names(t, ip))
        return true;
    return !(t->named && t->named->nets) && in(t->networks, ip) && !in(t->except, ip);
}
