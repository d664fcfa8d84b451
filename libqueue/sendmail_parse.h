/*
 * What the readers of Sendmail's control files share: sendmail_parse.c (records, recipients), sendmail_headers.c (H) and
 * sendmail_origin.c ($: who brought the message). One struct parse is one file being read.
 */
#ifndef SENDMAIL_PARSE_H
#define SENDMAIL_PARSE_H

#include "sendmail.h"

#define FIELD(name) LQ_FIELD_BIT(LQ_##name)

enum {
    SENDMAIL_VERSION_MAX = 8,           /* 8.13 to 8.18 */
    SENDMAIL_CONTROL_MAX = 64 << 20     /* bytes: a million recipients have room in it; more is no work of a server */
};

enum macro {
    MACRO_PEER,
    MACRO_PROTOCOL,
    MACRO_HELO,
    MACRO_ADDR,
    MACRO_PORT,
    MACRO_NAME,
    MACRO_AUTHEN,
    MACRO_AUTH_TYPE,
    MACRO_COUNT
};

/* Records that belong to the next R wait in `pending` until it comes. */
enum waiting { WAIT_STATUS, WAIT_ORCPT, WAIT_FINAL, WAIT_COUNT };

struct span {
    size_t at, n;
    bool set;
};

/* Header fields of the record that come from one header. */
enum { SINGLE_COUNT = 5 };

struct parse {
    struct lq_record *rec;
    const struct sendmail_input *in;
    struct sendmail_control *out;
    struct source *src;
    uint64_t off, at;           /* where to read on; where the record in hand begins */
    int64_t version;
    bool version_seen, sender_seen, ended, nul_told, big_told;
    bool header_seen;
    bool header_early;          /* one came before the records that decide how it looks */
    bool only_headers;          /* the second pass for such files */
    uint32_t letters;           /* F flags a to z */
    uint64_t recipients;
    struct lq_str sender, alias, macros[MACRO_COUNT];
    struct span waiting[WAIT_COUNT];
    struct lq_str status, status_code;  /* of the recipient before: many share one text */
    struct lq_str general, first;       /* M before S; the first M after it */
    bool general_fits;          /* some recipient still has the same text as `general` */
    bool conditional[SINGLE_COUNT], preferred[SINGLE_COUNT];
    struct span prefer[SINGLE_COUNT];
};

static inline struct bytes view(struct lq_str s)
{
    return bytes_from(s.p, s.n);
}

static inline bool wanted(const struct parse *p, uint64_t fields)
{
    return p->in->want & fields;
}

static inline bool flag_letter(const struct parse *p, char letter)
{
    return p->letters >> (letter - 'a') & 1;
}

/*
 * Bounces made here have the sender MAILER-DAEMON and the flag r; their envelope sender is null
 * (8.17).
 */
static inline bool null_sender(const struct parse *p)
{
    return p->sender.n == 0 ||
           (flag_letter(p, 'r') && bytes_ieq(view(p->sender), BYTES("MAILER-DAEMON")));
}

/* What is wrong with the record in hand. */
void sendmail_problem(struct parse *p, const char *what);
/* RFC 3461 xtext; what is no +HH stays as it is. */
void sendmail_add_xtext(struct buf *out, struct bytes v);

/* --- sendmail_headers.c --- */

void sendmail_take_header(struct parse *p, struct bytes v);
/* As if none had been taken. */
void sendmail_forget_headers(struct parse *p);
/* Once all were taken. */
void sendmail_set_headers(struct parse *p);

/* --- sendmail_origin.c --- */

void sendmail_take_macro(struct parse *p, struct bytes v);
/* Client, protocol and login, once all records were taken. */
void sendmail_set_origin(struct parse *p);

#endif
