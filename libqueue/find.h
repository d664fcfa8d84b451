/* How spools are looked for, so that tests can bring their own programs and files. */
#ifndef FIND_H
#define FIND_H

#include "libqueue.h"

/* Lists end with NULL; of programs the first that can be run is asked. */
struct find_places {
    const char *const *postconf;
    const char *const *exim;
    const char *const *sendmail_cf;     /* all are read */
    bool usual;                         /* try the back ends' usual places where nothing answered */
    int timeout_ms;                     /* of each program */
};

/* A setting of a mail server, as its own program tells it. */
struct find_setting {
    const char *name;
    char value[256];            /* "" where it is not known */
};

/*
 * Settings of that instance of the mail server whose queue is the directory open as rootfd. False where no program is installed that says so. places
 * NULL: where programs usually are.
 */
bool find_settings(const char *mta, int rootfd, struct find_setting *settings, size_t n, const struct find_places *places);
/* "5d", "90", "1h30m" in seconds; a number alone counts units of `alone` seconds. False if it is none. */
bool find_duration(const char *text, int64_t alone, int64_t *seconds);

int spools_find(struct lq_spools **out, const char *mta, const struct find_places *places,
                struct lq_error *err);

#endif
