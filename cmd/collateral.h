/*
 * Whose mail is hit beside that of who floods: what should make somebody hesitate before the selected messages go. Counts records,
 * says it in sentences; decides nothing.
 */
#ifndef COLLATERAL_H
#define COLLATERAL_H

#include "select.h"
#include "tally.h"

struct collateral {
    uint64_t messages, local, internal, bounces, held, damaged, many;
};

/* What lq_scan_opts.fields must hold. */
uint64_t collateral_fields(void);
void collateral_note(struct collateral *c, const struct lq_record *rec);
/* Append a line for each finding, "  collateral  …"; one that says so if there is none. accounts: the messages by account. */
void collateral_show(struct text *t, const struct collateral *c, struct selection *sel, const struct tally *accounts);

#endif
