/* Sets: ids, files and identities of messages, copied out of the records of a scan. Opens nothing. */
#include <stdlib.h>
#include <string.h>

#include "set.h"

int lq_set_new(struct lq_set **out, struct lq_error *err)
{
    struct lq_set *s = calloc(1, sizeof(*s));

    if (!s)
        return error_memory(err);
    *out = s;
    return LQ_OK;
}

void lq_set_free(struct lq_set *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->queue_count; i++) {
        for (size_t k = 0; k < s->queues[i].dir_count; k++)
            free(s->queues[i].dirs[k]);
        free(s->queues[i].dirs);
        free(s->queues[i].map);
    }
    free(s->queues);
    free(s->items);
    arena_done(&s->arena);
    free(s);
}

size_t lq_set_count(const struct lq_set *s)
{
    return s->count;
}

uint64_t lq_set_bytes(const struct lq_set *s)
{
    return s->bytes;
}

static struct set_queue *find_queue(struct lq_set *s, struct lq_queue *q)
{
    struct set_queue *more;

    for (size_t i = s->queue_count; i-- > 0;)
        if (s->queues[i].q == q)
            return &s->queues[i];
    more = realloc(s->queues, (s->queue_count + 1) * sizeof(*more));
    if (!more)
        return NULL;
    s->queues = more;
    s->queues[s->queue_count] = (struct set_queue){ .q = q };
    return &s->queues[s->queue_count++];
}

static bool find_dir(struct set_queue *q, const char *path, uint16_t *index)
{
    char **more;

    for (size_t i = 0; i < q->dir_count; i++)
        if (strcmp(q->dirs[i], path) == 0) {
            *index = (uint16_t)i;
            return true;
        }
    if (q->dir_count == q->dir_cap) {
        size_t cap = q->dir_cap ? q->dir_cap * 2 : 16;

        more = cap <= UINT16_MAX ? realloc(q->dirs, cap * sizeof(*more)) : NULL;
        if (!more)
            return false;
        q->dirs = more;
        q->dir_cap = cap;
    }
    q->dirs[q->dir_count] = strdup(path);
    if (!q->dirs[q->dir_count])
        return false;
    *index = (uint16_t)q->dir_count++;
    return true;
}

/* Our number of a directory of the scan. Another scan numbers them otherwise, so what the map says is compared. */
static bool map_dir(struct set_queue *q, const struct spool *sp, uint16_t dir, uint16_t *index)
{
    const char *path = sp->dirs[dir].path;

    if (dir >= q->map_count) {
        uint16_t *more = realloc(q->map, sp->dir_count * sizeof(*more));

        if (!more)
            return false;
        memset(more + q->map_count, 0xff, (sp->dir_count - q->map_count) * sizeof(*more));
        q->map = more;
        q->map_count = sp->dir_count;
    }
    *index = q->map[dir];
    if (*index >= q->dir_count || strcmp(q->dirs[*index], path) != 0) {
        if (!find_dir(q, path, index))
            return false;
        q->map[dir] = *index;
    }
    return true;
}

static struct set_part *copy_parts(struct lq_set *s, struct set_queue *q, const struct lq_record *rec)
{
    const struct ref *ref = rec->ref;
    struct set_part *parts = arena_alloc(&s->arena, ref->count * sizeof(*parts));

    for (uint32_t i = 0; parts && i < ref->count; i++) {
        const struct entry *e = &ref->entries[i];

        parts[i] = (struct set_part){ .name = arena_copy(&s->arena, e->name, strlen(e->name)).p, .id_at = (uint8_t)(e->id - e->name),
                                      .id_len = e->id_len, .role = e->role };
        if (!parts[i].name || !map_dir(q, rec->spool, e->dir, &parts[i].dir))
            return NULL;
    }
    return parts;
}

static int add(struct lq_set *s, struct lq_queue *q, const struct lq_record *rec, struct lq_error *err)
{
    struct set_queue *own = find_queue(s, q);
    const struct entry *key = &rec->ref->entries[0];
    unsigned stamps = rec->stamp_count < RECORD_STAMPS_MAX ? rec->stamp_count : RECORD_STAMPS_MAX;
    struct set_item item = { .dev = rec->part_dev, .ino = rec->part_ino, .read_at = rec->spool->clock, .state = (uint8_t)rec->state,
                             .stamp_count = (uint8_t)stamps, .unsure = rec->stamp_count > stamps, .twin = rec->ref->twin };
    struct lq_str identity = lq_record_text(rec, LQ_IDENTITY);
    struct file_stamp *copy = arena_alloc(&s->arena, (stamps + 1) * sizeof(*copy));

    if (!own || !copy || rec->ref->count > UINT8_MAX)
        return error_memory(err);
    item.queue = (uint32_t)(own - s->queues);
    item.part_count = (uint8_t)rec->ref->count;
    item.parts = copy_parts(s, own, rec);
    item.id = arena_copy(&s->arena, key->id, key->id_len).p;
    if (identity.p)
        item.identity = arena_copy(&s->arena, identity.p, identity.n).p;
    memcpy(copy, rec->stamps, stamps * sizeof(*copy));
    item.stamps = copy;
    for (unsigned i = 0; i < stamps; i++)
        item.bytes += (uint64_t)copy[i].size;
    if (s->count == s->cap) {
        size_t cap = s->cap ? s->cap * 2 : 256;
        struct set_item *more = realloc(s->items, cap * sizeof(*more));

        if (!more)
            return error_memory(err);
        s->items = more;
        s->cap = cap;
    }
    if (!item.parts || !item.id || (identity.p && !item.identity))
        return error_memory(err);
    own->bytes += item.bytes;
    s->bytes += item.bytes;
    s->items[s->count++] = item;
    return LQ_OK;
}

int lq_set_add(struct lq_set *s, struct lq_queue *q, const struct lq_record *rec, struct lq_error *err)
{
    if (q->records)
        return error_set(err, LQ_EINVAL, "%s: a record from elsewhere is no message that could be acted on", q->root);
    return add(s, q, rec, err);
}

struct ref set_ref(const struct set_item *item, const uint16_t *map, struct entry *entries)
{
    for (unsigned i = 0; i < item->part_count; i++) {
        const struct set_part *p = &item->parts[i];

        entries[i] = (struct entry){ .name = p->name, .id = p->name + p->id_at, .dir = map[p->dir], .id_len = p->id_len, .role = p->role };
    }
    return (struct ref){ entries, item->part_count, item->twin };
}

bool set_namesake(const struct lq_set *s, size_t a, size_t b)
{
    return s->items[a].queue == s->items[b].queue && strcmp(s->items[a].id, s->items[b].id) == 0;
}
