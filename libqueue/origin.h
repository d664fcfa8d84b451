/*
 * Where a message entered: the Received chain walked outward through hosts whose word counts, and the header fields by which
 * webmail and mail servers name who is behind them. Knows header fields and addresses, no queue.
 */
#ifndef ORIGIN_H
#define ORIGIN_H

#include "addr.h"
#include "record.h"

/* Whose Received fields are believed. Never changed while a scan reads. */
struct trust {
    struct netset *always;      /* loopback, and of a live spool the host's own addresses */
    struct netset *networks;    /* of the mail server's settings (mynetworks); NULL: none known */
    struct netset *except;      /* taken out of them ("!192.0.2.7"); NULL: nothing */
    const struct lq_trust *named;   /* by the user, instead of the server's; NULL: by nobody */
};

/* Fields of which some are found here; who wants one of them wants LQ_CLIENT_ADDRESS, too. */
#define ORIGIN_FIELDS                                                                                                  \
    (LQ_FIELD_BIT(LQ_ORIGIN_ADDRESS) | LQ_FIELD_BIT(LQ_ORIGIN_USER) | LQ_FIELD_BIT(LQ_ORIGIN_SCRIPT) |                 \
     LQ_FIELD_BIT(LQ_ORIGIN_SOURCE) | LQ_FIELD_BIT(LQ_ORIGIN_TRUST))

/*
 * Set the origin fields of the record and the trust of its received hops, those in want, from its header block, its id and its client, which must be
 * set already. whole: the block is all of the header; else what only its rest could tell stays unknown.
 */
void origin_fields(struct lq_record *r, const struct trust *trust, struct bytes block, bool whole, uint64_t want);

/* --- trust.c --- */

/* Loopback alone. LQ_OK, LQ_ENOMEM. */
int trust_begin(struct trust *t, struct lq_error *err);
/* Addresses of this host's interfaces are its own, too. Without memory or rights to ask they stay unknown. */
void trust_own_addresses(struct trust *t);
/* Postfix's mynetworks as postconf prints it; items that are no networks (tables, files) are passed over. */
void trust_mynetworks(struct trust *t, const char *list);
void trust_done(struct trust *t);
bool trust_has(const struct trust *t, const struct ip *ip);
/* Named by the user: believed in everything it says, not only in where it had a message from. */
bool trust_names(const struct trust *t, const struct ip *ip);

#endif
