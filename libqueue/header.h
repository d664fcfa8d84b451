/*
 * Header fields of a message: finding them in a header block, decoding RFC 2047, reading Received.
 * Works on bytes as sent (LF line ends, CR tolerated); knows no queue.
 */
#ifndef HEADER_H
#define HEADER_H

#include "addr.h"
#include "record.h"

struct header {
    struct bytes name;          /* without colon and blanks before it */
    struct bytes value;         /* after the colon, folded lines included (their LFs inside), without the last line end */
};

/*
 * Take the next field off the block. Lines that are no field (no colon, continuation without a field) are skipped.
 * False at the end of the block, or at an empty line.
 */
bool header_next(struct bytes *block, struct header *h);

/* The value unfolded: line ends taken out (CR LF, LF), inner white space kept, outer blanks trimmed. Into out, after reset. */
void header_unfold(struct bytes value, struct buf *out);
/*
 * RFC 2047 decoding of an unfolded value into UTF-8: encoded words, adjacent ones joined, a multi-byte character may be
 * split between words of one charset. An unknown charset, bad encoding or bytes invalid in their charset leave that word
 * as it stands; so does a NUL. Text outside encoded words is copied as it is (raw 8-bit stays). Into out, after reset.
 */
void header_decode(struct bytes unfolded, struct buf *out);

/*
 * Text of a body from its charset into UTF-8, piece by piece: the charsets of header_decode(). What a charset does not have becomes U+FFFD.
 * recode_begin() is false for a charset that is not known; after it, recode_end() must be called.
 */
struct recode {
    const struct charset *charset;
    void *cd;
    unsigned char left[16];     /* the beginning of a character */
    size_t n;
};
/* Nothing to do: UTF-8 or ASCII. */
bool recode_is_utf8(struct bytes charset);
bool recode_begin(struct recode *r, struct bytes charset);
void recode_add(struct recode *r, const void *p, size_t n, struct buf *out);
void recode_end(struct recode *r, struct buf *out);

/*
 * One Received value into a hop (strings in the record's arena): by, with, id, helo (the name the client gave),
 * from (the verified name; the login of a local submission where Exim and Sendmail write it), address (RFC 5952
 * text), time. Understands Postfix, Exim, Sendmail and the general RFC 5321 forms. A part not found stays { NULL,
 * 0 }. Nested comments are walked without recursion.
 */
void header_received(struct lq_record *r, struct bytes value, struct lq_hop *hop);
/* What tells of a Received value where the message came from: views into it. */
struct hop {
    struct bytes id, user;      /* user: the account that a comment names */
    struct ip ip;
    bool has_ip;
};
/* The same reading as header_received(), without a record. */
void header_hop(struct bytes value, struct hop *hop);
/*
 * RFC 5322 date-time ("Mon, 9 Mar 2026 14:25:36 +0100 (CET)", day of week and seconds optional, obsolete zones) to epoch
 * seconds.
 */
bool header_date(struct bytes text, int64_t *out);

/* Set one of the texts below from a field's stored bytes, as header_fields() does. */
void header_text(struct lq_record *r, enum lq_field f, struct bytes value);
/* Whether these fields of a record need the whole header, or it was not said what is needed (0). */
bool header_all(uint64_t want);
/*
 * Whether anybody will look at the field that this line begins, or at all of them: who asks for subjects alone saves copying the
 * others. True where that cannot be told yet.
 */
bool header_keeps(struct bytes line, uint64_t want);
/* Set subject, from, to, message_id, date and the received hops of the record, those in want, from its header block. */
void header_fields(struct lq_record *r, struct bytes block, uint64_t want);

#endif
