/* Settings of mail servers, as their own programs tell them. */
#ifndef SETTINGS_H
#define SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "program.h"

enum { SETTINGS_MAX = 12, SETTINGS_INSTANCES_MAX = 64, SETTINGS_TIMEOUT_MS = 5000 };

/* Lists end with NULL; of programs the first that can be run is asked. */
struct find_places {
    const char *const *postconf;
    const char *const *exim;
    const char *const *sendmail_cf;     /* all are read */
    bool usual;                         /* try the back ends' usual places where nothing answered */
    int timeout_ms;                     /* of each program */
};

/* A setting of a mail server, as its own program tells it. */
struct setting {
    const char *name;
    char value[2048];           /* "" where it is not known */
};

/*
 * Settings of that instance of the mail server whose queue is the directory open as rootfd. False where no program is installed that says so. places
 * NULL: where programs usually are.
 */
bool settings_ask(const char *mta, int rootfd, struct setting *settings, size_t n, const struct find_places *places);
/* "5d", "90", "1h30m" in seconds; a number alone counts units of `alone` seconds. False if it is none. */
bool settings_duration(const char *text, int64_t alone, int64_t *seconds);

/* Where the programs usually are. */
extern const char *const settings_postconf[], *const settings_exim[];

/* --- for who understands answers, too --- */

/*
 * Ask postconf for parameters of a configuration directory (NULL: the default one); -x expands
 * $names (2.10 on). names ends with NULL.
 */
bool settings_postconf_ask(const char *program, const char *config, const struct find_places *places, const char *const *names,
                           char text[PROGRAM_ANSWER_MAX]);
/* Take the first line off the text: trimmed, of "name = value" only the value. NULL at the end. */
char *settings_line(char **text);

#endif
