/*
 * SHA-256 by OpenSSL. Fetched once for each digest object and then begun anew for every file: a fetch takes as long as hashing some
 * hundred kilobytes. In a library context of its own, so that neither openssl.cnf nor OPENSSL_CONF, nor what the calling program did with
 * OpenSSL, can put something else in its place.
 */
#include "digest.h"

#include <openssl/evp.h>
#include <stdlib.h>

struct digest {
    OSSL_LIB_CTX *library;
    EVP_MD *sha256;
    EVP_MD_CTX *state;
    bool broken;            /* OpenSSL refused: no hash is given, rather than a wrong one */
};

struct digest *digest_new(void)
{
    struct digest *d = calloc(1, sizeof(*d));

    if (!d)
        return NULL;
    d->library = OSSL_LIB_CTX_new();
    d->sha256 = d->library ? EVP_MD_fetch(d->library, "SHA256", NULL) : NULL;
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
    EVP_MD_free(d->sha256);
    OSSL_LIB_CTX_free(d->library);
    free(d);
}
