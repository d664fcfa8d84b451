/*
 * One invented message, and what each mail server's writer makes of it.
 */
#ifndef MAIL_H
#define MAIL_H

#include "mkspool.h"

enum { MAX_RCPTS = 60, ADDRESS_ROOM = 96 };

enum mail_state { MAIL_NEW, MAIL_ACTIVE, MAIL_DEFERRED, MAIL_HELD };

struct mail {
    uint32_t serial; /* unique in its queue; ids are made of it */
    int64_t when;
    uint32_t usec;
    enum mail_state state;
    char sender[ADDRESS_ROOM]; /* empty: a bounce made here */
    char rcpts[MAX_RCPTS][ADDRESS_ROOM];
    size_t rcpt_count, done_count; /* the first done_count are delivered */
    char client_address[64];       /* empty: submitted on this host */
    char client_name[ADDRESS_ROOM]; /* empty: no name for that address */
    char helo[ADDRESS_ROOM];
    char auth_user[ADDRESS_ROOM];
    const char *login; /* of a local submission */
    char subject[160];
    const char *headers; /* more header lines, each with its LF; NULL: none */
    size_t body_size;
    const char *reason; /* why it is deferred or held */
    unsigned attempts;
    int64_t last_attempt, next_attempt;
};

struct flood {
    struct tree tree;
    struct dice dice;
    int64_t now;
    bool long_ids; /* Postfix: long; Exim: 23 characters */
    bool flat;     /* no hashed, split or numbered directories */
    /* night.c: */
    const struct night *night; /* what floods; NULL: an account of this host */
    uint32_t percent;          /* how much of the queue that is */
    uint32_t habits[8];
    const char *reason;        /* why most other mail waits; NULL: by chance */
    uint32_t kept, jitter;
    uint64_t ticks;
};

void night_begin(struct flood *f, const char *kind);
/* When its next message came, in microseconds. */
int64_t night_time(struct flood *f, uint32_t flood_time);
void night_message(struct flood *f, struct mail *m);

#define MAIL_HOST "mx.example.com"

void postfix_skeleton(struct flood *f);
void postfix_write(struct flood *f, const struct mail *m);
void exim_skeleton(struct flood *f);
void exim_write(struct flood *f, const struct mail *m);
void sendmail_skeleton(struct flood *f);
void sendmail_write(struct flood *f, const struct mail *m);

/* "Sat, 21 Nov 2026 20:35:58 +0000" */
const char *mail_date(int64_t when);
/* The protocol as Received and Exim name it: ESMTPSA, ESMTP, … */
const char *mail_protocol(const struct mail *m);
/* Body text of exactly m->body_size bytes, lines ended by LF. */
void mail_body(const struct mail *m, struct buf *out);
/* value in base digits of alphabet, at least width of them. */
void put_digits(struct buf *out, uint64_t value, const char *alphabet, unsigned base, unsigned width);

extern const char digits_62[];

#endif
