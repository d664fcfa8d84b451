/* What pack.c and evidence.c share. */
#ifndef PACK_H
#define PACK_H

#include "bag.h"
#include "tar.h"

/* A file of a tree into the archive. 0 or errno. */
int pack_file(struct tar *t, int dir, const char *name, const char *path);

#endif
