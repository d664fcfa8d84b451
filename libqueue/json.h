/* Small JSON objects, member by member, for the lines of vaults; records write themselves. Jansson reads them back. */
#ifndef JSON_H
#define JSON_H

#include <stdint.h>

#include "buf.h"
#include "libqueue.h"

/*
 * Append `"name":"text"`, with a comma before it unless the object has just begun. NULL text: nothing. What is not UTF-8 becomes U+FFFD, and
 * name_b64 holds the bytes.
 */
void json_text(struct buf *b, const char *name, const char *text);
/* The same for bytes with a length. */
void json_bytes(struct buf *b, const char *name, struct lq_str s);
void json_number(struct buf *b, const char *name, int64_t v);

#endif
