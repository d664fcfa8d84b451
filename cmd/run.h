/*
 * A job while it runs: a line for each outcome, progress on a terminal, the rate, the end of it. Knows no selection and asks nothing.
 */
#ifndef RUN_H
#define RUN_H

#include "acting.h"

/* Act on a->set, and add to what a counts. False when it could not even begin; that is said then. */
bool run_job(struct acting *a);
/* One line, or one JSON object, of an outcome; nothing for one that only says "done" where nobody asked for each. */
void run_line(const struct acting *a, const struct lq_outcome *o);

#endif
