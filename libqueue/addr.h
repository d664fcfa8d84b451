/*
 * Addresses: RFC 5321 mailbox text, IP addresses and sets of networks. Knows no queue and no filter.
 */
#ifndef ADDR_H
#define ADDR_H

#include "buf.h"
#include "bytes.h"
#include "error.h"

/* Append an address given in internal, unquoted form (odd user@example.net) in RFC 5321 form ("odd user"@example.net). */
void addr_quote(struct bytes internal, struct buf *out);
/* The domain: what follows the last @ that is outside quotes; n == 0 and p at the end when there is none. */
struct bytes addr_domain(struct bytes address);

/* IPv4 is kept as v4-mapped IPv6, so that 192.0.2.1 and ::ffff:192.0.2.1 are one address. Network byte order. */
struct ip {
    unsigned char b[16];
};

enum { IP_TEXT_MAX = 46 };

/* "192.0.2.1", "2001:db8::1", "IPv6:2001:db8::1" (any case), "[…]" around any of them. A zone index (%eth0) is refused. */
bool ip_parse(struct bytes text, struct ip *out);
/* RFC 5952; a v4-mapped address as plain IPv4. NUL-terminated; answers the length. */
size_t ip_format(const struct ip *ip, char out[IP_TEXT_MAX]);
/* Zero all bits behind the prefix (v4: 0..32, v6: 0..128, chosen by the kind of address) and format "addr/prefix". */
size_t ip_network(const struct ip *ip, unsigned prefix4, unsigned prefix6, char out[64]);

struct netset;
/*
 * "192.0.2.1,198.51.100.0/24,2001:db8::/32,192.0.2.10-192.0.2.20": IP, CIDR, range, comma list; empty items are
 * errors; host bits set behind a prefix are accepted; IPv6 networks such as ::/0 do not take IPv4 along. LQ_OK;
 * LQ_EINVAL with a sentence that shows the bad item; LQ_ENOMEM.
 */
int netset_parse(struct netset **out, const char *text, struct lq_error *err);
bool netset_has(const struct netset *set, const struct ip *ip);
void netset_free(struct netset *set);

#endif
