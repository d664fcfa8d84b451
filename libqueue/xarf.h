/*
 * xarf.json of an evidence pack: abuse reports as XARF v4 has them, messaging/spam, one about each client address. Chooses the message that
 * a report shows, and writes the reports; knows the specification (xarf-spec, schemas 4.2.0), and nothing of archives.
 */
#ifndef XARF_H
#define XARF_H

#include "buf.h"
#include "counts.h"
#include "error.h"
#include "libqueue.h"

enum {
    XARF_SOURCES = 32,              /* addresses that are followed */
    XARF_REPORTS = 16,              /* of them are reported at most */
    XARF_ATTACHED = 1 << 20,        /* bytes of a message that goes along whole; XARF allows 5 MiB */
    XARF_ORG = 200                  /* XARF's limit, characters; ours, bytes */
};

/* Who reports. */
struct xarf_who {
    char org[XARF_ORG + 1], contact[320], domain[256];
};

/* "Name <abuse@example.com>", or the address alone, whose domain is the name then. LQ_OK; LQ_EINVAL with a sentence. */
int xarf_reporter(struct xarf_who *out, const char *text, struct lq_error *err);

/* A client address, and the message that stands for what it sent. */
struct xarf_source {
    char *address;
    uint64_t weight;                /* messages, with those that its place was counted for before */
    uint64_t reportable;            /* of them its own */
    uint64_t messages;              /* xarf_choose(): all that it sent */
    bool at_least;                  /* or more: there was no room to count its address from its first message on */
    bool whole;                     /* weight, recipients and times are its own from its first message on */
    uint64_t recipients;
    int64_t first, last;
    int64_t when, port;             /* the message's */
    struct buf sender, recipient, subject, message_id, eml;
    bool cut;                       /* eml is its header alone */
};

struct xarf {
    struct xarf_source sources[XARF_SOURCES];
    size_t n;
    bool displaced;                 /* there are more addresses than places */
    uint64_t considered;
    uint64_t no_port, no_sender, no_time, relayed;   /* messages that no report can be about, and why */
    bool failed;
};

/* LQ_FIELD_BITs that xarf_add() looks at. */
extern const uint64_t xarf_fields;

/* eml: the message as it would be sent, lost > 0: its beginning. */
void xarf_add(struct xarf *x, const struct lq_record *r, const struct buf *eml);
/*
 * When all were added: the sources that get a report, most messages first. clients: how many each address sent, whether or not it could be
 * reported. False: there are more addresses, which sent less.
 */
bool xarf_choose(struct xarf *x, const struct counts *clients);
/* A report. LQ_OK, LQ_ENOMEM, LQ_EIO: no random numbers. */
int xarf_print(const struct xarf *x, size_t i, const struct xarf_who *who, struct buf *out, struct lq_error *err);
void xarf_done(struct xarf *x);

#endif
