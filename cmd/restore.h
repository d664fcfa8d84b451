/* Putting messages of cases back: mqquarantine restore, and mqpurge --undo. */
#ifndef RESTORE_H
#define RESTORE_H

#include "acting.h"
#include "cases.h"

/* Restore from the opened cases what a's selection names, or all of it. */
void restore_run(struct acting *a, struct cases *c);

#endif
