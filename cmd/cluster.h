/*
 * Messages that look alike: near in size, of one subject shape, and of one sender domain and recipient domain where these say
 * something. For each such cluster a selection that gives exactly its messages, tried on all messages in a second pass.
 */
#ifndef CLUSTER_H
#define CLUSTER_H

#include "groups.h"
#include "paste.h"
#include "shape.h"

enum { CLUSTER_LEAST = 10, CLUSTER_SHAPES = 200000 };

/* What is kept of each message. */
struct cluster_row {
    uint64_t id;                /* hash of queue and id */
    uint32_t size, time;
    uint32_t shape, subject;    /* entry of shapes; 32 bits of the subject's own hash */
    uint32_t from, to;          /* entries of domains of sender and recipients, or several */
    uint32_t cluster;           /* number from 1; 0: none */
};

enum { CLUSTER_CHOICES = 2 };

struct cluster {
    size_t first, n;            /* in order[] */
    uint64_t bytes;
    struct counted sums;        /* messages and times */
    uint32_t low, high;         /* sizes */
    uint32_t shape;
    uint32_t domain[2];         /* of senders and of recipients: entry, or several */
    uint32_t domains[2];        /* how many; 0: some messages have several each */
    bool same_subject, untimed;
    const char *subject;        /* where all have the same, and it is known */
    struct paste choice[CLUSTER_CHOICES];
    bool alive[CLUSTER_CHOICES];        /* it gave exactly these so far */
    uint32_t met;               /* messages of it in the second pass */
    uint64_t *bodies;           /* different ones met */
    uint32_t body_count, bodies_read;
};

struct clusters {
    bool bodies;                /* compare bodies, too */
    /* its own: */
    struct counter shapes, domains;
    char **samples;             /* a subject for each shape that was met twice */
    size_t sample_cap;
    struct cluster_row *rows;
    size_t n, cap, next;
    uint32_t left_out;          /* messages of one more shape than there is room for */
    uint32_t misses;            /* of the second pass */
    uint32_t *order;
    struct cluster *list;       /* the largest first */
    size_t count, shown;
};

void cluster_begin(struct clusters *c);
uint64_t cluster_fields(void);
void cluster_add(struct clusters *c, const struct lq_record *r, size_t queue, const struct sighting *seen);
/* Find clusters; the `top` largest are to be shown. Then choose a selection for each. */
void cluster_find(struct clusters *c, size_t top, const struct selection *sel);
/* The second pass: what the scans must ask for, each record in the order of cluster_add(). */
uint64_t cluster_check_fields(const struct clusters *c);
void cluster_check(struct clusters *c, const struct lq_record *r, struct lq_queue *q, size_t queue);
void cluster_show(const struct clusters *c, const struct selection *sel, const struct groups *how);
void cluster_json(const struct clusters *c, const struct selection *sel, const struct groups *how);
void cluster_csv(const struct clusters *c, const struct selection *sel, const struct groups *how);
void cluster_done(struct clusters *c);

#endif
