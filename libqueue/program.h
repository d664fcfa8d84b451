/* Asking other programs, mail servers' own ones, what they know. */
#ifndef PROGRAM_H
#define PROGRAM_H

#include <stdbool.h>

enum { PROGRAM_ANSWER_MAX = 16 << 10 };

/*
 * What the program prints, NUL-terminated; false when it cannot be run, fails, says too much or takes too long.
 */
bool program_ask(char *const argv[], int timeout_ms, char text[PROGRAM_ANSWER_MAX]);
/* The first of a list that can be run, or NULL. The list ends with NULL. */
const char *program_first(const char *const *programs);

#endif
