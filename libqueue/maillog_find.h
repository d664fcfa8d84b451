/* What maillog_find.c shares with maillog_json.c, and its tests: the lines that were found. */
#ifndef MAILLOG_FIND_H
#define MAILLOG_FIND_H

#include <time.h>

#include "arena.h"
#include "buf.h"
#include "maillog.h"
#include "maillog_read.h"

enum {
    MAILLOG_SESSIONS = 4096,        /* connections that are remembered at a time; the one longest silent goes first */
    MAILLOG_SESSION_LINES = 64,     /* lines of one that are remembered until it is known whether it brought a message: the first, and the last */
    MAILLOG_SESSION_BYTES = 16384,  /* of these lines together */
    MAILLOG_MESSAGE_LINES = 100000  /* lines of one message, and of one connection, that are kept */
};

#define MAILLOG_NONE UINT32_MAX

/* A line that was found, in the order of reading; its text is in the store. */
struct maillog_found {
    uint64_t at, number;
    uint32_t len, file;
    uint32_t next;              /* of the same list */
    bool cut;
};

struct maillog_list {
    uint32_t first, last, n;
    uint64_t lost;              /* beyond MAILLOG_MESSAGE_LINES */
};

/* A message that was asked for. */
struct maillog_message {
    const char *id;
    char mta;                   /* 'e', 'p', 's' */
    uint8_t id_len;
    bool ended;                 /* it left the queue; the id may be another message's from here on */
    bool closed;                /* ours is over, what comes now is another's */
    bool has_arrival;
    int64_t arrival;
    struct maillog_list lines;
    uint32_t session;           /* index into lq_log.kept, or MAILLOG_NONE */
};

/* Text that may grow beyond what memory should hold: then into a file without a name. */
struct maillog_store {
    struct buf buf;
    uint64_t flushed;           /* bytes in the file */
    int fd;                     /* -1: all is in memory */
    size_t most;                /* bytes in memory */
    struct buf back;            /* a line that was read back */
};

struct lq_log_file {
    char *path;
    int64_t changed, first;     /* first: time of its first line */
    struct timespec touched;    /* last change, exactly */
    bool ordered;               /* first is known */
    uint64_t lines, known;      /* lines that were read, and those of a form that we know */
};

struct maillog_session;

struct lq_log {
    bool (*stopped)(void);      /* true: read no further. NULL: nobody asks */
    struct maillog_message *messages;
    size_t count, cap;
    uint32_t *slots;            /* open addressing: index into messages + 1, 0 free */
    size_t slot_count;
    struct arena names;

    struct lq_log_file *files;
    size_t file_count;

    struct maillog_found *found;
    size_t found_count, found_cap;
    struct maillog_list *kept;  /* lines of connections that brought a message */
    size_t kept_count, kept_cap;
    struct maillog_store store;

    struct maillog_session *sessions;
    uint32_t *session_slots;
    uint32_t session_count, oldest, newest, free_session;
    uint64_t forgotten, dropped;    /* connections and lines that were not remembered */

    uint32_t file;              /* being read */
    uint64_t piece_of;          /* Exim through syslog: process whose long line goes on */
    uint32_t piece_message;
    bool failed;                /* no memory, or no room for the store */
    char why[200];

    struct maillog_found **gathered;    /* of the message asked about last */
    size_t gathered_count, gathered_cap;
    const struct maillog_message *about;
    struct buf json;

    char **troubles, **notes;
    size_t trouble_count, note_count;
};

/* The text of a found line; lives until the next call. */
struct bytes maillog_text(struct lq_log *log, const struct maillog_found *found);
/* Make room for n connections; before the first line, once. False without memory. */
bool maillog_sessions(struct lq_log *log, uint32_t n);
/* Take one line, after maillog_sessions(); for tests and the reader. */
void maillog_take(struct lq_log *log, struct bytes line, uint64_t number, bool cut);
bool maillog_found_time(struct lq_log *log, const struct maillog_found *found, int64_t *out);

#endif
