/*
 * Diagnostics and exit status. Knows nothing of what it reports; what comes out of queue files and
 * stands in a sentence is escaped here, so no caller can forget it.
 */
#include "report.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "print.h"

static const struct {
    int status;
    unsigned limit;         /* lines; 0: all of them */
    const char *rest;       /* what is counted beyond the limit */
} kinds[REPORT_KIND_COUNT] = {
    [REPORT_NOTE] = { EXIT_DONE, 0, NULL },
    [REPORT_NOT_FOUND] = { EXIT_DONE, 20, "more ids are not in the queue" },
    [REPORT_UNREADABLE] = { EXIT_TROUBLE, 20, "more directories and files could not be read" },
    [REPORT_FAILED] = { EXIT_TROUBLE, 0, NULL },
};

static const char *name = "mqtools";
static unsigned long seen[REPORT_KIND_COUNT];
static int status = EXIT_DONE;
static int output_error;        /* errno of the first failure; stdio keeps only that there was one */

/* A limit of file sizes (ulimit -f) is told like a full disk, and ends nobody half way. */
void report_begin(const char *program)
{
    name = program;
    signal(SIGXFSZ, SIG_IGN);
}

static void note_output_error(void)
{
    if (!output_error)
        output_error = errno ? errno : EIO;
}

void output(const void *p, size_t n)
{
    if (n > 0 && !output_error && fwrite(p, 1, n, stdout) != n)
        note_output_error();
}

void output_flush(void)
{
    if (!output_error && fflush(stdout) != 0)
        note_output_error();
}

static void print_line(const char *text, size_t n)
{
    struct text line = { 0 };

    /* What was printed before the trouble stands before it on the terminal, too. */
    output_flush();
    text_put(&line, name);
    text_put(&line, ": ");
    text_escape(&line, text, n, 0);
    text_put(&line, "\n");
    fwrite(line.p, 1, line.n, stderr);
    text_done(&line);
}

void report(enum report_kind kind, const char *fmt, ...)
{
    char text[4096];
    va_list ap;
    int n;

    if (kinds[kind].status > status)
        status = kinds[kind].status;
    if (kinds[kind].limit && ++seen[kind] > kinds[kind].limit)
        return;
    va_start(ap, fmt);
    n = vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    if (n >= (int)sizeof(text))
        n = sizeof(text) - 1;
    if (n > 0)
        print_line(text, (size_t)n);
}

void report_no_memory(void)
{
    fprintf(stderr, "%s: out of memory\n", name);
    exit(EXIT_TROUBLE);
}

bool report_failed(void)
{
    return status == EXIT_TROUBLE;
}

bool report_output_broken(void)
{
    return output_error != 0;
}

/*
 * A full disk must not look like a short list. A reader that left (mqgrep | head) ends us by
 * SIGPIPE; where that signal is ignored we leave without a word, but with status 2, as grep does.
 */
static void close_output(void)
{
    if (fclose(stdout) != 0)
        note_output_error();
    if (!output_error)
        return;
    status = EXIT_TROUBLE;
    if (output_error != EPIPE)
        fprintf(stderr, "%s: cannot write to standard output: %s\n", name, strerror(output_error));
}

int report_end(bool selected)
{
    char text[160];

    for (int k = 0; k < REPORT_KIND_COUNT; k++) {
        if (!kinds[k].limit || seen[k] <= kinds[k].limit)
            continue;
        snprintf(text, sizeof(text), "%lu %s", seen[k] - kinds[k].limit, kinds[k].rest);
        print_line(text, strlen(text));
    }
    close_output();
    return status == EXIT_DONE && !selected ? EXIT_NONE : status;
}
