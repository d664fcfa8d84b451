/* Asking other programs, mail servers' own ones, what they know. */
#ifndef PROGRAM_H
#define PROGRAM_H

#include <stdbool.h>

enum { PROGRAM_ANSWER_MAX = 16 << 10 };

/*
 * What the program prints, NUL-terminated; false when it cannot be run, fails, says too much or takes too long.
 */
bool program_ask(char *const argv[], int timeout_ms, char text[PROGRAM_ANSWER_MAX]);
/*
 * Let a program work, which is not ended when it takes too long: half done work of a mail server is worse than late work. It has a session of its
 * own, so that nobody's Ctrl-C reaches it, and says nothing to anybody.
 */
enum program_end { PROGRAM_DONE, PROGRAM_FAILED, PROGRAM_LATE, PROGRAM_MISSING };
enum program_end program_run(char *const argv[], int timeout_ms);
/* The first of a list that can be run, or NULL. The list ends with NULL. */
const char *program_first(const char *const *programs);

#endif
