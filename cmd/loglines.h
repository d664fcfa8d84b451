/*
 * --log: the mail-log lines of the selected messages, for whoever prints messages. Reads the logs once, before anything is
 * printed; what a line means the library knows.
 */
#ifndef LOGLINES_H
#define LOGLINES_H

#include "libqueue.h"
#include "opts.h"
#include "print.h"
#include "select.h"

struct loglines {
    struct word_list files;     /* as given */
    struct lq_log *log;         /* NULL: --log was not given, or loglines_read() not called */
};

/* For a row of an option table: each use adds a file. target: struct loglines. */
int loglines_option(const struct opt *o, void *target, const char *value, struct lq_error *err);
bool loglines_asked(const struct loglines *l);
/* What a record must hold so that it is known what only the log tells. */
uint64_t loglines_fields_wanted(void);
bool loglines_from_stdin(const struct loglines *l);
/* Whether each file may be read, before anything is begun; why one may not. What only reading tells, a cut archive, comes later. */
bool loglines_readable(const struct loglines *l, struct lq_error *why);
/* A reader of the files that asks for nothing yet; l->log. */
void loglines_open(struct loglines *l);
/* What could not be read of them; false if anything. */
bool loglines_report(const struct loglines *l);
/* Find the lines of the messages that sel selects, of the first `limit` if that is not 0. What cannot be read is reported. */
void loglines_read(struct loglines *l, struct selection *sel, unsigned long limit);
/* Append the lines of a message, each indented and escaped, with the name of its file if there are several. */
void loglines_text(struct loglines *l, const struct lq_record *r, struct text *out);
/* Append what only the log tells of a message, in the manner of `name   value (log)`. */
void loglines_fields(struct loglines *l, const struct lq_record *r, struct text *out);
/* Append the members for the message's JSON object, each after a comma. */
void loglines_json(struct loglines *l, const struct lq_record *r, struct text *out);
void loglines_done(struct loglines *l);

#endif
