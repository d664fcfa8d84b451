/*
 * Records of Postfix queue files (record.c, rec_type.h, Postfix 1.0 to 3.12), the pointers between
 * them, and the message that they carry. Reads bytes from a struct source only.
 *
 * A record is a type byte, a length (7 bits a byte, low groups first, the high bit: more follows)
 * and data. A `p` record continues the stream at the offset that it names. Milters and
 * header_checks edit a message so: the record to replace is overwritten by a `p`, its successor
 * appended to the file. The bytes between a `p` and the next record are garbage.
 */
#include "postfix_walk.h"

#include <string.h>

/*
 * Postfix accepts 5 length bytes and 31 bits (4 and 28 since June 2026) and writes the shortest
 * form; others are read, too.
 */
enum { LENGTH_BYTES = 5, HEAD_MAX = 1 + LENGTH_BYTES };

/* Where Postfix gives up, too. Each may cost a read far away from the last one. */
enum { BACKWARD_MAX = 10000 };

struct walk postfix_walk_from(struct source *src, uint64_t at)
{
    return (struct walk){ .src = src, .at = at, .mark = UINT64_MAX, .mark_after = 1 };
}

/* The type and length at w->at. */
static enum step read_head(struct walk *w, struct item *it)
{
    size_t got, i = 1;
    const unsigned char *p = source_at(w->src, w->at, HEAD_MAX, &got);
    uint64_t len = 0;
    unsigned char b;

    *it = (struct item){ .at = w->at };
    if (!p)
        return STEP_END;
    it->type = p[0];
    do {
        if (i > LENGTH_BYTES)
            return STEP_LENGTH;
        if (i >= got)
            return STEP_CUT;
        b = p[i];
        len |= (uint64_t)(b & 0x7f) << (7 * (i - 1));
        i++;
    } while (b & 0x80);
    if (len > INT32_MAX)
        return STEP_LENGTH;
    it->len = len;
    it->data_at = w->at + i;
    it->data.p = p + i;
    it->data.n = got - i;
    return STEP_ITEM;
}

static __attribute__((noinline)) enum step take_long(struct walk *w, struct item *it, bool with_data)
{
    enum step step = read_head(w, it);
    size_t view = it->len < SOURCE_VIEW_MAX ? (size_t)it->len : SOURCE_VIEW_MAX;

    if (step != STEP_ITEM)
        return step;
    if (it->len > w->src->size - it->data_at)
        return STEP_CUT;
    if (with_data && it->data.n < view) {
        it->data.p = source_at(w->src, it->data_at, view, &it->data.n);
        if (!it->data.p || it->data.n < view)
            return STEP_CUT;
    }
    it->data.n = view;
    w->at = it->data_at + it->len;
    w->consumed += w->at - it->at;
    return w->consumed > w->src->size ? STEP_LOOP : STEP_ITEM;
}

enum step postfix_walk_item(struct walk *w, struct item *it, bool with_data)
{
    if (!postfix_walk_short(w, it))
        return take_long(w, it, with_data);
    return w->consumed > w->src->size ? STEP_LOOP : STEP_ITEM;
}

/*
 * Continue where the pointer says; 0 is a place kept free. A circle takes the same pointer again
 * and again: each is compared with one remembered, which is renewed after 1, 2, 4, 8 … jumps, so
 * that a small circle is found at once, not when the bytes run out.
 */
static enum step follow(struct walk *w, const struct item *it)
{
    struct bytes text = bytes_skip_blanks(it->data);
    int64_t to;

    if (!bytes_take_number(&text, &to) || text.n > 0)
        return STEP_POINTER;
    if (to == 0)
        return STEP_ITEM;
    if ((uint64_t)to >= w->src->size)
        return STEP_OUTSIDE;
    if (it->at == w->mark)
        return STEP_LOOP;
    if ((uint64_t)to < w->at && ++w->backward > BACKWARD_MAX)
        return STEP_BACKWARD;
    if (++w->jumps == w->mark_after) {
        w->mark = it->at;
        w->mark_after *= 2;
    }
    w->at = (uint64_t)to;
    return STEP_ITEM;
}

enum step postfix_walk_on(struct walk *w, struct item *it)
{
    for (;;) {
        enum step step = postfix_walk_item(w, it, true);

        if (step != STEP_ITEM || it->type != 'p')
            return step;
        step = follow(w, it);
        if (step != STEP_ITEM)
            return step;
    }
}

bool postfix_walk_rest(struct walk *w, const struct item *it, postfix_walk_piece_fn *piece, void *ctx)
{
    for (uint64_t done = it->data.n; done < it->len;) {
        uint64_t left = it->len - done;
        size_t got, want = left < SOURCE_VIEW_MAX ? (size_t)left : SOURCE_VIEW_MAX;
        const unsigned char *p = source_at(w->src, it->data_at + done, want, &got);

        if (!p || got < want || !piece(ctx, bytes_from(p, want)))
            return false;
        done += want;
    }
    return true;
}

/* --- the message --- */

struct sink {
    struct walk walk;
    body_fn *emit;
    void *ctx;
    int answer;
    bool open_line;         /* the last text record was an L */
};

static bool put(void *sink, struct bytes text)
{
    struct sink *s = sink;

    if (text.n > 0)
        s->answer = s->emit(s->ctx, text.p, text.n);
    return s->answer == 0;
}

static bool put_item(struct sink *s, const struct item *it)
{
    if (!put(s, it->data) || !postfix_walk_rest(&s->walk, it, put, s))
        return false;
    s->open_line = it->type == 'L';
    return s->open_line || put(s, BYTES("\n"));
}

/* False at X, and where it cannot go on. */
static bool put_next(struct sink *s, bool *whole)
{
    struct item it;

    if (postfix_walk_next(&s->walk, &it) != STEP_ITEM)
        return false;
    switch (it.type) {
    case 'N':
    case 'L':
        return put_item(s, &it);
    case 'w':
        return true;
    case 'X':
        *whole = !s->open_line || put(s, BYTES("\n"));
        return false;
    default:
        return false;
    }
}

int postfix_walk_message(struct source *src, uint64_t at, body_fn *emit, void *ctx)
{
    struct sink s = { .walk = postfix_walk_from(src, at), .emit = emit, .ctx = ctx };
    bool whole = false;

    while (put_next(&s, &whole))
        ;
    if (s.answer != 0)
        return s.answer;
    return whole ? 0 : 1;
}
