/*
 * Vaults and the cases in them, for the verbs that are about cases: finding, opening, listing, showing. Changes nothing.
 */
#ifndef CASES_H
#define CASES_H

#include <sys/types.h>

#include "libqueue.h"
#include "print.h"
#include "select.h"

struct cases {
    struct lq_vault **vaults;
    size_t vault_count;
    struct lq_case **list;
    size_t n;
    struct text absent;         /* where vaults would be that are not there yet, for people */
};

/* Finish the selection and open the vault that is named, else those of the selection's queues, which are opened for that. One that does not exist yet is none. False after a report. */
bool cases_vaults(struct cases *c, const char *named, struct selection *sel);
/* Open a case by name, in each vault that has it, or by path. False after saying why there is none. */
bool cases_open(struct cases *c, const char *name);
/* Close the cases, keep the vaults. */
void cases_close(struct cases *c);
void cases_end(struct cases *c);

/* A table, or one JSON object a line, of all cases in the vaults, oldest first; where there is none it is said where was looked. */
void cases_list(struct cases *c, bool json);
/* Say where the usual places of these queues have vaults that were not looked at: of other users, or from before. */
void cases_other_vaults(const struct cases *c, const struct selection *sel);
/* Say that this vault is that user's, and how root gets at it. */
void cases_whose(const char *dir, uid_t uid);
/* Everything that is known of an open case. */
void cases_show(const struct lq_case *c, bool json);

#endif
