/*
 * SHA-256 of bytes as they pass by: OpenSSL's libcrypto, because it is as fast as sha256sum and Debian maintains it.
 */
#ifndef DIGEST_H
#define DIGEST_H

#include <stdbool.h>
#include <stddef.h>

enum { DIGEST_HEX = 64 };

struct digest;

/* NULL without memory. */
struct digest *digest_new(void);
/* Begin anew. */
void digest_begin(struct digest *d);
void digest_add(struct digest *d, const void *p, size_t n);
/* Lower-case hex and NUL; begins anew. */
void digest_end(struct digest *d, char hex[DIGEST_HEX + 1]);
void digest_free(struct digest *d);

#endif
