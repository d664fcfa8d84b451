/*
 * Whole directory trees of a vault: every file of one in order of name, and removing one. Follows no symlink, goes no deeper than
 * TREE_DEPTH. Knows no case and no mail.
 */
#ifndef TREE_H
#define TREE_H

#include <stdbool.h>
#include <stddef.h>

enum { TREE_DEPTH = 32, TREE_PATH = 4096 };

struct tree_file {
    int dir;                /* open only during the call */
    const char *name;       /* in dir */
    const char *path;       /* below the top: "input/x/1xUroU-…-H" */
    bool regular;           /* else a symlink, fifo, device: nothing that we put there */
};

/* Non-zero stops the walk, which answers it. */
typedef int tree_fn(void *ctx, const struct tree_file *file);

/*
 * Every file (what is no directory) below dirfd, directory by directory, in order of name. skip: name of an entry of the top that is not
 * looked at; NULL: none. 0, what each answered, or an errno value (ENOMEM, ELOOP: too deep, ENAMETOOLONG, …).
 */
int tree_walk(int dirfd, const char *skip, tree_fn *each, void *ctx);
/* A tree_fn that stops at the first file. */
int tree_any_file(void *ctx, const struct tree_file *file);
/* Remove name in dirfd, a directory with all that is in it, or a file. Not being there is no error. 0 or errno. */
int tree_remove(int dirfd, const char *name);
/* Sync every directory of the tree, deepest first, then dirfd itself. 0 or errno. */
int tree_sync_dirs(int dirfd);

#endif
