/*
 * Lines of mail logs: which program wrote one, about which message, and what happened. Knows how Postfix, Exim and Sendmail
 * write their logs, through syslog, through journalctl or into Exim's own main log; knows no queue and no file.
 *
 * Everything is a view into the line. A line can be anybody's: client programs choose what stands in most of it. Only places that the
 * server itself fills are looked at, and an id counts only as the whole word in the place of an id.
 */
#ifndef MAILLOG_H
#define MAILLOG_H

#include "bytes.h"

enum maillog_form {
    MAILLOG_SYSLOG,         /* HOST TAG[PID]: TEXT; Sendmail, milters, and Exim through syslog until its id is seen */
    MAILLOG_POSTFIX,        /* the same with a / in TAG: postfix/smtpd, postfix-out/submission/smtpd */
    MAILLOG_EXIM            /* Exim's main log, or that through syslog */
};

enum maillog_event {
    MAILLOG_OTHER,
    MAILLOG_CONNECT,        /* a connection begins */
    MAILLOG_LOGIN,          /* Sendmail: who it is; begins a connection where its log level leaves out the connect line */
    MAILLOG_DISCONNECT,     /* it ends */
    MAILLOG_ARRIVAL,        /* the message of the id came in, over the connection of the same process if there is one */
    MAILLOG_BIRTH,          /* the id is new, how it came in is not said here */
    MAILLOG_REMOVED         /* the message of the id left the queue */
};

struct maillog_line {
    enum maillog_form form;
    struct bytes stamp;     /* the time as written */
    struct bytes host, tag, pid;    /* n == 0: not there */
    struct bytes program;   /* of tag, what stands behind its last / */
    struct bytes text;      /* all that the program wrote */
    struct bytes id;        /* the word in the place of an id; n == 0: none. "warning" is one: whoever asks knows the ids */
    struct bytes rest;      /* of text, behind the id */
    unsigned part;          /* Exim through syslog cuts long lines; this is the n-th piece; 0: whole */
};

enum { MAILLOG_ID_MAX = 32 };

/* False when this is no line of a log of any form that we know. */
bool maillog_parse(struct bytes line, struct maillog_line *out);
enum maillog_event maillog_event(const struct maillog_line *line);
/* True for a program that takes connections, so that its other lines of the same pid may be those of one. */
bool maillog_serves(const struct maillog_line *line);
/* True when the word in the place of an id looks like one, so that the line is another message's and not the connection's. */
bool maillog_has_id(const struct maillog_line *line);
/* Another id that a line names in a place of its own: the bounce that was made, the message that a bounce is about, a split. n == 0: none. */
struct bytes maillog_kin(const struct maillog_line *line);
/* Sendmail: who is connected, as CONNECT, LOGIN and ARRIVAL lines spell it. p == NULL: not told. */
struct bytes maillog_relay(const struct maillog_line *line);
/*
 * Exim: "[ADDRESS]:PORT" of the client (log_selector +incoming_port). Up to 4.96 the daemon writes the connect line, and another process
 * the rest: this is what they have in common. n == 0: not told.
 */
struct bytes maillog_peer(const struct maillog_line *line);

/*
 * When. Stamps without a year are of the last one that makes them no later than `latest` plus a day; stamps without a zone are local
 * time. False when the stamp is none.
 */
bool maillog_time(struct bytes stamp, int64_t latest, int64_t *out);

/* Who logged in, as an ARRIVAL line or (Sendmail) a LOGIN line tells; p == NULL where the place could be the client's words. */
struct maillog_login {
    struct bytes user, method;
};
struct maillog_login maillog_login(const struct maillog_line *line);
/* The recipient whose delivery was tried and put off in this line; p == NULL when it says nothing of that kind. */
struct bytes maillog_put_off(const struct maillog_line *line);

#endif
