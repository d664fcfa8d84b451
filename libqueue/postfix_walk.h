/* Records of Postfix queue files, one after the other through pointers; the message that they carry. */
#ifndef POSTFIX_WALK_H
#define POSTFIX_WALK_H

#include "backend.h"

struct item {
    unsigned char type;
    uint64_t at;            /* of the type byte */
    uint64_t data_at;
    uint64_t len;
    struct bytes data;      /* the first SOURCE_VIEW_MAX bytes at most; dies with the next call on the source */
};

struct walk {
    struct source *src;
    uint64_t at;            /* of the next record */
    uint64_t consumed;      /* a valid file has each byte read once at most */
    uint64_t jumps, mark, mark_after;
    unsigned backward;      /* jumps to lower offsets */
};

enum step {
    STEP_ITEM,
    STEP_END,               /* no byte left */
    STEP_CUT,               /* the file ends inside the record */
    STEP_LENGTH,            /* the length is not one */
    STEP_LOOP,
    STEP_BACKWARD,          /* more jumps back than Postfix makes */
    STEP_POINTER,           /* a pointer that is no number */
    STEP_OUTSIDE            /* a pointer past the end */
};

struct walk postfix_walk_from(struct source *src, uint64_t at);
/* As postfix_walk_next(). */
enum step postfix_walk_on(struct walk *w, struct item *it);
/* The record at w->at, which moves behind it; its data only if asked for. Pointers are records here. */
enum step postfix_walk_item(struct walk *w, struct item *it, bool with_data);
/* Nearly every record: its length is one byte, and all of it is in view. False: nothing was taken. */
static inline bool postfix_walk_short(struct walk *w, struct item *it)
{
    const struct source *s = w->src;
    uint64_t at = w->at - s->off;
    const unsigned char *p;

    if (w->at < s->off || at >= s->n || s->n - at < 2)
        return false;
    p = s->at + at;
    if (p[1] & 0x80 || s->n - at - 2 < p[1])
        return false;
    *it = (struct item){ .type = p[0], .at = w->at, .data_at = w->at + 2, .len = p[1], .data = { p + 2, p[1] } };
    w->at += 2 + it->len;
    w->consumed += 2 + it->len;
    return true;
}

/* The next record that is no pointer. */
static inline enum step postfix_walk_next(struct walk *w, struct item *it)
{
    const struct source *s = w->src;
    uint64_t at = w->at - s->off;

    /* What is neither short nor in view, and pointers, are taken out of line. */
    if (w->at >= s->off && at < s->n && s->at[at] != 'p' && postfix_walk_short(w, it))
        return w->consumed > s->size ? STEP_LOOP : STEP_ITEM;
    return postfix_walk_on(w, it);
}

/* Receives the data of a record in pieces; false stops. */
typedef bool postfix_walk_piece_fn(void *ctx, struct bytes piece);
/* What a record has beyond the first view of it. False: it could not be read, or piece() stopped. */
bool postfix_walk_rest(struct walk *w, const struct item *it, postfix_walk_piece_fn *piece, void *ctx);

/*
 * Emit the message whose first content record is at `at`. 0; 1 when the file is damaged there; what
 * emit answered.
 */
int postfix_walk_message(struct source *src, uint64_t at, body_fn *emit, void *ctx);

#endif
