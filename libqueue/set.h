/*
 * A set of messages fixed at one moment: which files they had, what identifies them, what the decision for them rested on. Who acts
 * or packs reads it; nothing here changes once the set is made.
 */
#ifndef SET_H
#define SET_H

#include "engine.h"

struct set_part {
    const char *name;
    uint16_t dir;               /* index into set_queue.dirs */
    uint8_t id_at, id_len, role;    /* as in struct entry */
};

struct set_item {
    const char *id, *identity;          /* identity: NULL where it could not be told */
    const struct set_part *parts;       /* the key first */
    const struct file_stamp *stamps;    /* of the files that were looked at, in no order that says which */
    dev_t dev;                  /* of the part that is never rewritten; ino 0: not known */
    ino_t ino;
    int64_t read_at;            /* when the scan began: what changed shortly before may have changed once more since */
    uint64_t bytes;             /* of the files that were looked at */
    uint32_t queue;             /* index into lq_set.queues */
    uint8_t part_count, stamp_count, state;
    bool unsure;                /* more files than stamps: what it rested on is not known */
    bool twin;                  /* as in struct ref, when it was listed */
};

struct set_queue {
    struct lq_queue *q;
    char **dirs;                /* paths below the queue's root */
    size_t dir_count, dir_cap;
    uint16_t *map;              /* the scan's number of a directory -> ours, where it still agrees */
    size_t map_count;
    uint64_t bytes;
};

struct lq_set {
    struct arena arena;
    struct set_item *items;
    size_t count, cap;
    struct set_queue *queues;
    size_t queue_count;
    uint64_t bytes;
};

/* The message's files as a back end names them, for dirs[] of a spool where directory i of the set is map[i]; entries: item->part_count of them. */
struct ref set_ref(const struct set_item *item, const uint16_t *map, struct entry *entries);

/* Whether two messages of the set have one id in one queue. */
bool set_namesake(const struct lq_set *s, size_t a, size_t b);

#endif
