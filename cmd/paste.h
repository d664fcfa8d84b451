/*
 * A command line to paste that selects certain messages: the selection as it was given, and more options. It is read back as a
 * shell and the commands would read it before anybody sees it. Whether it selects the right messages is for the caller to ask
 * of the filter.
 */
#ifndef PASTE_H
#define PASTE_H

#include "select.h"

enum { PASTE_MAX = 8 };

struct paste {
    struct paste_option {
        enum lq_selector sel;
        char *value;
    } list[PASTE_MAX];
    size_t n;
    bool fine;                  /* nothing that cannot be typed was added */
    struct lq_filter *filter;   /* of these options alone; paste_ready() makes it */
};

void paste_begin(struct paste *p);
/* One more option; before is put in front of the value: "=" or "@". */
void paste_add(struct paste *p, enum lq_selector sel, const char *before, const char *value, size_t n);
/* True when all of them can be typed beside this selection: printable ASCII, patterns that are understood, of a kind it has not. */
bool paste_ready(struct paste *p, const struct selection *sel);
/* Append "mqgrep --spool x -p 192.0.2.1"; false, and nothing, where the line read back is not the same selection. */
bool paste_command(struct text *t, const struct paste *p, const struct selection *sel, const char *command);
void paste_done(struct paste *p);

#endif
