/*
 * What a command says on standard error, and how it ends: printing a diagnostic and raising the
 * exit status is one call, and the worst status wins.
 */
#ifndef REPORT_H
#define REPORT_H

#include <stdbool.h>
#include <stddef.h>

enum { EXIT_DONE = 0, EXIT_NONE = 1, EXIT_TROUBLE = 2 };

enum report_kind {
    REPORT_NOTE,            /* worth knowing, nothing is wrong */
    REPORT_NOT_FOUND,       /* an id that was asked for is not in the queue */
    REPORT_UNREADABLE,      /* a directory or file could not be read */
    REPORT_FAILED,          /* anything else that went wrong, usage included */
    REPORT_KIND_COUNT
};

/* The name that begins each line; it must outlive the program's last report. */
void report_begin(const char *program);
/* Print one line, escaped; of some kinds only the first 20, the others are counted. */
void report(enum report_kind kind, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Out of memory: say so and leave. Commands have nothing to put right; the library cleans up with the process. */
void report_no_memory(void) __attribute__((noreturn));
/* True when something was reported that went wrong. */
bool report_failed(void);
/*
 * The end of every command: print the counts of what was left out, close standard output, and
 * answer the exit status. selected: at least one message was.
 */
int report_end(bool selected);
/* Write to standard output; remembers why it failed, if it does. Everything a command prints goes through here. */
void output(const void *p, size_t n);
/* Let what was written be seen now. */
void output_flush(void);
/* True when standard output can take no more: the reader went away or the disk is full. */
bool report_output_broken(void);

#endif
