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

int spools_find(struct lq_spools **out, const char *mta, const struct find_places *places,
                struct lq_error *err);

#endif
