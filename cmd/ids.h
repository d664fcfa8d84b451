/* Message ids as people paste them: from arguments, a file or standard input. Knows no queue. */
#ifndef IDS_H
#define IDS_H

#include <stdbool.h>
#include <stddef.h>

#include "libqueue.h"

struct id {
    char *text;
    bool seen;
};

struct ids {
    struct id *list;
    size_t n, cap;
    bool given;             /* a list was asked for, also one that turned out empty */
    bool sorted;
    bool standard_input;    /* some of it came from there */
};

/*
 * Add every id in a text: separated by blanks, newlines or NULs. A listing's marks behind an id
 * (* ! # - and : ,), file name affixes (-H -D -J -K, qf df hf Qf xf) and directories before it are
 * dropped. LQ_OK; LQ_EINVAL with a sentence for a word that cannot be an id.
 */
int ids_add(struct ids *ids, const char *text, size_t n, struct lq_error *err);
/* The same from a file; "-" is standard input. LQ_EIO too. */
int ids_read(struct ids *ids, const char *path, struct lq_error *err);
/* Sort and drop repeats; before ids_seen(). */
void ids_sort(struct ids *ids);
/* Note that a message with this id was found. */
void ids_seen(struct ids *ids, struct lq_str id);
void ids_done(struct ids *ids);

#endif
