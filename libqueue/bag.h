/* What bag.c and pack.c share: manifest lines, hashing, checking. */
#ifndef BAG_H
#define BAG_H

#include "vault.h"

/* Append a line of a manifest. */
void bag_line(struct buf *b, const char *hex, const char *path);
/* Take a line (its n bytes without newline, one more may be written) apart in place. False: no line of a manifest. */
bool bag_line_parse(char *line, size_t n, char **hex, char **path);
/* Everything that is left to read of fd. block: BAG_BLOCK bytes. 0 or errno. */
enum { BAG_BLOCK = 1 << 17 };
int bag_hash_fd(struct digest *d, int fd, char *block, char hex[DIGEST_HEX + 1], uint64_t *size);

#endif
