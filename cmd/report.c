/*
 * Diagnostics and exit status. Knows nothing of what it reports; what comes out of queue files and
 * stands in a sentence is escaped here, so no caller can forget it.
 */
#include "report.h"

#include <errno.h>
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

void report_begin(const char *program)
{
    name = program;
}

static void print_line(const char *text, size_t n)
{
    struct text line = { 0 };

    /* What was printed before the trouble stands before it on the terminal, too. */
    fflush(stdout);
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

bool report_output_broken(void)
{
    return ferror(stdout);
}

/*
 * A full disk must not look like a short list. A reader that left (mqgrep | head) ends us by
 * SIGPIPE; where that signal is ignored we leave without a word, but with status 2, as grep does.
 */
static void close_output(void)
{
    bool broken = ferror(stdout);

    errno = 0;
    if (fclose(stdout) == 0 && !broken)
        return;
    status = EXIT_TROUBLE;
    if (errno != EPIPE && !(broken && errno == 0))
        fprintf(stderr, "%s: cannot write to standard output: %s\n", name, strerror(errno ? errno : EIO));
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
