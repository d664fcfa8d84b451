/* --explain and --save: what is done with a selection instead of selecting. */
#ifndef EXPLAIN_H
#define EXPLAIN_H

#include "select.h"

/*
 * After opts_parse() answered OPTS_GO: OPTS_GO when messages are to be looked at; OPTS_DONE when the selection was kept or explained,
 * which is all that is done then; OPTS_WRONG after saying what is wrong.
 */
enum opts_result select_aside(struct selection *s);

#endif
