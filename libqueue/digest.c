/*
 * SHA-256 by OpenSSL. Fetched once for the process: a fetch takes as long as hashing some megabytes, and a copy between file systems needs a
 * digest for each file. In a library context of its own, so that neither openssl.cnf nor OPENSSL_CONF, nor what the calling program did
 * with OpenSSL, can put something else in its place. It is never let go: OpenSSL takes itself apart when the program exits, and whoever
 * freed it after that would touch what is gone.
 */
#include "digest.h"

#include <openssl/evp.h>
#include <stdatomic.h>
#include <stdlib.h>

struct hash {
    OSSL_LIB_CTX *library;
    EVP_MD *sha256;         /* never changes, and serves all threads */
};

static _Atomic(struct hash *) shared;

struct digest {
    EVP_MD *sha256;
    EVP_MD_CTX *state;
    bool broken;            /* OpenSSL refused: no hash is given, rather than a wrong one */
};

static void free_hash(struct hash *h)
{
    EVP_MD_free(h->sha256);
    OSSL_LIB_CTX_free(h->library);
    free(h);
}

/* NULL without memory; who comes next tries again. Of two threads that come first one gives its own up. */
static EVP_MD *fetch(void)
{
    struct hash *h = atomic_load(&shared), *first = NULL;

    if (h)
        return h->sha256;
    h = calloc(1, sizeof(*h));
    if (!h)
        return NULL;
    h->library = OSSL_LIB_CTX_new();
    h->sha256 = h->library ? EVP_MD_fetch(h->library, "SHA256", NULL) : NULL;
    if (h->sha256 && atomic_compare_exchange_strong(&shared, &first, h))
        return h->sha256;
    free_hash(h);
    return first ? first->sha256 : NULL;
}

struct digest *digest_new(void)
{
    struct digest *d = calloc(1, sizeof(*d));

    if (!d)
        return NULL;
    d->sha256 = fetch();
    d->state = EVP_MD_CTX_new();
    if (d->sha256 && d->state) {
        digest_begin(d);
        if (!d->broken)
            return d;
    }
    digest_free(d);
    return NULL;
}

void digest_begin(struct digest *d)
{
    d->broken = EVP_DigestInit_ex2(d->state, d->sha256, NULL) != 1;
}

void digest_add(struct digest *d, const void *p, size_t n)
{
    if (EVP_DigestUpdate(d->state, p, n) != 1)
        d->broken = true;
}

void digest_end(struct digest *d, char hex[DIGEST_HEX + 1])
{
    static const char digits[] = "0123456789abcdef";
    unsigned char sum[EVP_MAX_MD_SIZE];
    unsigned n = 0;

    if (EVP_DigestFinal_ex(d->state, sum, &n) != 1 || d->broken || n != DIGEST_HEX / 2)
        n = 0;
    for (unsigned i = 0; i < n; i++) {
        hex[2 * i] = digits[sum[i] >> 4];
        hex[2 * i + 1] = digits[sum[i] & 15];
    }
    hex[2 * n] = '\0';
    digest_begin(d);
}

void digest_free(struct digest *d)
{
    if (!d)
        return;
    EVP_MD_CTX_free(d->state);
    free(d);
}
