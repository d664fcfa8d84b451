/*
 * Vaults and the cases in them, for the verbs that are about cases: finding, opening, listing, showing. Changes nothing.
 */
#ifndef CASES_H
#define CASES_H

#include "libqueue.h"
#include "print.h"
#include "select.h"

struct cases {
    struct lq_vault **vaults;
    size_t vault_count;
    struct lq_case **list;
    size_t n;
};

/* Finish the selection and open the vault that is named, else those of the selection's queues, which are opened for that. One that does not exist yet is none. False after a report. */
bool cases_vaults(struct cases *c, const char *named, struct selection *sel);
/* Open a case by name, in each vault that has it, or by path. False after saying why there is none. */
bool cases_open(struct cases *c, const char *name);
/* Close the cases, keep the vaults. */
void cases_close(struct cases *c);
void cases_end(struct cases *c);

/* A table, or one JSON object a line, of all cases in the vaults, oldest first. Answers how many. */
size_t cases_list(struct cases *c, bool json);
/* Everything that is known of an open case. */
void cases_show(const struct lq_case *c, bool json);

#endif
