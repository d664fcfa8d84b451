/*
 * Small JSON objects, member by member, for the lines of vaults; records write themselves. Jansson reads them back. And what
 * belongs to NAME_b64: base64, and what stands beside it.
 */
#ifndef JSON_H
#define JSON_H

#include <stdint.h>

#include "buf.h"
#include "bytes.h"
#include "libqueue.h"

/*
 * Append `"name":"text"`, with a comma before it unless the object has just begun. NULL text: nothing. What is not UTF-8 becomes U+FFFD, and
 * name_b64 holds the bytes.
 */
void json_text(struct buf *b, const char *name, const char *text);
/* The same for bytes with a length. */
void json_bytes(struct buf *b, const char *name, struct lq_str s);
/* Whether JSON shows these bytes as this text: U+FFFD in place of NUL and of each byte that is not UTF-8. */
bool json_shows(struct bytes stored, struct bytes text);
/* Decode base64 of n characters into out, which has room for n / 4 * 3 bytes. False if it is not as json_text() writes it. */
bool json_base64(const char *p, size_t n, unsigned char *out, size_t *out_n);
/* Append base64 of the bytes (RFC 4648, padded, on one line), without quotes. */
void json_to_base64(struct buf *b, const void *bytes, size_t n);
/* Length of the valid UTF-8 character at p (RFC 3629: no overlong forms, no surrogates), 0 if there is none. */
size_t json_character(const unsigned char *p, size_t n);
void json_number(struct buf *b, const char *name, int64_t v);

#endif
