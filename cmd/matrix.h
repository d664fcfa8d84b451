/*
 * A key's values by the age of their messages: a table of buckets that each take up where the one before ends, the last
 * one without an end, so that every message is in one. Knows records through key.h only.
 */
#ifndef MATRIX_H
#define MATRIX_H

#include "groups.h"

enum { MATRIX_BUCKETS_MAX = 40 };

struct matrix {
    struct tally tally;         /* its columns: the buckets, and messages whose arrival is not known */
    bool parents;               /* a row for each parent domain, too */
    size_t buckets;
    int64_t from[MATRIX_BUCKETS_MAX];       /* age at which each begins, from[0] = 0 */
    char name[MATRIX_BUCKETS_MAX][16];
    uint64_t messages, sum[MATRIX_BUCKETS_MAX + 1];
};

/*
 * buckets: at least 2; step: where the second begins; linear: all as wide as the first, else each as wide as all before it together.
 * LQ_OK; LQ_EINVAL with a sentence.
 */
int matrix_begin(struct matrix *m, const char *key, size_t buckets, int64_t step, bool linear, bool parents, struct lq_error *err);
void matrix_add(struct matrix *m, const struct lq_record *r, int64_t now, const struct sighting *seen);
void matrix_show(const struct matrix *m, const struct groups *how);
void matrix_json(const struct matrix *m, const struct groups *how);
void matrix_csv(const struct matrix *m, const struct groups *how);
void matrix_done(struct matrix *m);

#endif
