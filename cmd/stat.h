/* What the parts of mqstat share: what was asked, and what was counted for it. */
#ifndef STAT_H
#define STAT_H

#include "classify.h"
#include "cluster.h"
#include "matrix.h"
#include "monitor.h"
#include "print.h"
#include "rates.h"
#include "select.h"
#include "suspect.h"
#include "tally.h"

enum mode { MODE_PEOPLE, MODE_JSON, MODE_CSV, MODE_PROM, MODE_CHECK };
enum what { WHAT_SCREEN, WHAT_KEYS, WHAT_AGES, WHAT_CLUSTERS };

enum {
    SCREEN_TOP = 5,         /* rows of each table of the screen */
    KEYS_TOP = 20,          /* rows of -k */
    CLUSTERS_TOP = 10,
    SAMPLE_MAX = 2000       /* beyond this many, every second one is dropped again */
};

/* The tables of the screen. The traits of a suspect come first, in their order; reasons are read from a sample. */
enum top { TOP_DOMAIN = TRAIT_COUNT, TOP_REASON, TOP_COUNT };

extern const struct stat_top {
    const char *key, *title;
} stat_tops[TOP_COUNT];

/* An even sample of the messages: each stride-th one. */
struct sample {
    struct sampled {
        char *id;
        size_t queue;
    } list[SAMPLE_MAX];
    size_t n;
    uint64_t stride;
};

struct stat_run {
    struct selection sel;
    int mode;
    const char *by, *matrix_key, *sort, *rates_list, *step, *warn_list, *crit_list;
    unsigned long top, ages;
    bool all;                       /* -t 0 */
    bool linear, parents, clusters, body;
    enum color_when color;

    enum what what;
    struct screen screen;
    struct walk walk;
    uint64_t messages, bytes;
    uint32_t oldest;
    int64_t now;                    /* the latest of the queues' */
    struct queue_sum {
        uint64_t messages, bytes;
    } *queues;
    struct lq_scan **scans;         /* of the queues, for reasons; NULL: could not be listed */
    bool ordered, needs_now;
    enum tally_order order;
    struct tally by_keys, by_state, by_top[TOP_COUNT];
    struct rates rates;             /* 1, 5 and 60 minutes if nothing else was asked for */
    uint64_t recently[RATES_MAX];
    struct matrix matrix;
    struct monitor_limits warn, crit;
    int checked;                    /* exit status of --check */
    bool said;                      /* its line was printed */
    struct clusters alike;
    struct suspects suspects;
    bool suspected;
    struct suspect suspect;
    struct features features;
    struct sample sample;
    uint64_t sampled;               /* messages of the sample that were read */
};

/* One pass over the messages. */
void stat_count(struct stat_run *s);
/* The overview's second look: reasons, from the sample; whom to suspect, and of what. */
void stat_reasons(struct stat_run *s);
/* The second look of --clusters: that each selection gives exactly its cluster. */
void stat_clusters(struct stat_run *s);

/* The overview's tables whose values can be suspects. */
void stat_traits(struct stat_run *s, struct tally *tallies[TRAIT_COUNT]);

/* What was counted, as people or programs want it. */
void stat_print_screen(struct stat_run *s);
void stat_print_keys(struct stat_run *s);
void stat_print_ages(struct stat_run *s);
void stat_print_clusters(struct stat_run *s);

#endif
