/* How spools are looked for, so that tests can bring their own programs and files. */
#ifndef FIND_H
#define FIND_H

#include "libqueue.h"
#include "settings.h"

int spools_find(struct lq_spools **out, const char *mta, const struct find_places *places,
                struct lq_error *err);

#endif
