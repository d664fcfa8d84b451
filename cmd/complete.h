/* Completion scripts for shells, made from the rows of option tables. Knows shells, and no option by name. */
#ifndef COMPLETE_H
#define COMPLETE_H

#include "opts.h"
#include "print.h"

#define COMPLETE_SHELLS "bash zsh fish"

/* The script for a shell into t; rows without a name are passed over. False: no such shell. */
bool complete_script(struct text *t, const char *shell, const struct opts_program *p, const struct opt *const *rows, size_t n);

#endif
