/*
 * The administrator's defaults: KEY = VALUE lines of /etc/mqtools.conf, mqtools.conf(5). Only reads and
 * checks them; each command takes what it has no option for on its command line.
 */
#ifndef CONF_H
#define CONF_H

#include <stdbool.h>
#include <stddef.h>

#define CONF_PATH "/etc/mqtools.conf"

struct conf {
    char *vault, *reporter;     /* NULL: not said */
    char *trust;                /* networks between commas */
    char **spools;
    size_t spool_count;
    unsigned long undo_days;    /* 0: not said */
    const char *path;           /* of the file that was read, as it was given; NULL: there is none */
};

/*
 * path NULL: the usual place, where there need be none. False after saying which line cannot be
 * understood, or who else could have written the file; what stands in c then is not to be used. conf_done() in any case.
 */
bool conf_read(struct conf *c, const char *path);
void conf_done(struct conf *c);

#endif
