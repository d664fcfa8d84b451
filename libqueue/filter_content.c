/*
 * What leaves ask of a message's own words: header fields of any name (header.NAME, -H), and the text of the body (body, -B). They are no
 * fields of a record, which would have to keep them: the header block and the body are looked at while the message is being read.
 *
 * Each is a list, of the fields of that name, and of the texts and file names of the body's parts: one that fits is enough.
 */
#include <stdio.h>
#include <strings.h>

#include "filter.h"
#include "header.h"
#include "mime.h"

static const char header_prefix[] = "header.";

bool content_is_header(const char *name)
{
    return strncasecmp(name, header_prefix, sizeof(header_prefix) - 1) == 0;
}

/* RFC 5322 allows all printable ASCII but the colon; expressions, which must be able to say the same, less. */
static bool is_field_name(const char *name)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";

    return *name && name[strspn(name, letters)] == '\0';
}

int content_header_place(struct place *out, const char *name, struct lq_error *err)
{
    const char *field = name + sizeof(header_prefix) - 1;

    if (!is_field_name(field))
        return error_set(err, LQ_EINVAL, "'%.60s' is no name of a header field", field);
    if (strlen(name) >= sizeof(out->name))
        return error_set(err, LQ_EINVAL, "'%.60s…' is too long for the name of a header field", field);
    *out = (struct place){ .field = LQ_HEADER, .kind = KIND_TEXT, .list = true };
    for (size_t i = 0; name[i]; i++)
        out->name[i] = (char)ascii_lower((unsigned char)name[i]);
    return LQ_OK;
}

int content_body_place(struct place *out, struct lq_error *err)
{
    int rc = mime_library(err);

    if (rc == LQ_OK)
        *out = (struct place){ .name = "body", .field = LQ_BODY, .kind = KIND_TEXT, .list = true };
    return rc;
}

int content_compile_header(struct operand *o, const char *arg, struct lq_error *err)
{
    const char *colon = strchr(arg, ':');
    char name[PLACE_NAME_MAX];
    int n = colon ? (int)(colon - arg) : 0;

    if (!colon)
        return error_set(err, LQ_EINVAL, "-H is NAME:PATTERN, such as 'X-Mailer:*bulk*'; '%.100s' has no colon", arg);
    if (n == 0 || (size_t)n >= sizeof(name) - sizeof(header_prefix))
        return error_set(err, LQ_EINVAL, "-H is NAME:PATTERN, such as 'X-Mailer:*bulk*'; '%.100s' has no name of a header field", arg);
    snprintf(name, sizeof(name), "%s%.*s", header_prefix, n, arg);
    o->op = OP_FITS;
    if (content_header_place(&o->place, name, err) != LQ_OK)
        return LQ_EINVAL;
    colon += 1 + strspn(colon + 1, " \t");
    if (!*colon)
        return error_set(err, LQ_EINVAL, "-H '%.100s' has no pattern; nothing is selected (is a shell variable unset?)", arg);
    return operand_add(o, colon, false, err);
}

/* --- matching --- */

/* The fields or texts seen so far: any wants one that fits, all one that does not. */
struct search {
    const struct operand *o;
    struct filter_state *state;
    enum tri found;
    size_t seen, stops;
};

/* Each text may cost a pattern's whole match limit, and a message may have a thousand: after so many that ran into it the rest is not known. */
enum { STOPS_MAX = 8 };

static bool goes_on(const struct search *s)
{
    return s->found != TRI_YES && s->stops < STOPS_MAX;
}

static void look(struct search *s, struct bytes text)
{
    enum tri t = operand_fits_text(s->o, (struct lq_str){ text.n ? (const char *)text.p : "", text.n }, s->state);

    s->found = tri_or(s->found, s->o->all ? tri_not(t) : t);
    s->seen++;
    s->stops += t == TRI_UNKNOWN;
}

/* more: whether there may be others that were not seen, no or unknown. */
static enum tri answer(const struct search *s, enum tri more)
{
    enum tri found = s->found == TRI_YES ? TRI_YES : tri_or(s->found, more);

    if (!s->o->all)
        return found;
    return found == TRI_NO ? tri_from(s->seen > 0) : tri_not(found);
}

/* Two buffers for all fields of a message; most need neither. */
struct work {
    struct buf unfolded, decoded;
};

enum { FIELD_MAX = 4 * RECORD_TEXT_MAX };

/* The value as people read it. False when there is no room for all of it. */
static bool readable(struct bytes *value, struct work *w)
{
    w->unfolded.limit = w->decoded.limit = FIELD_MAX;
    *value = bytes_trim(*value);
    if (memchr(value->p, '\n', value->n)) {
        header_unfold(*value, &w->unfolded);
        *value = bytes_from(w->unfolded.p ? w->unfolded.p : "", w->unfolded.n);
    }
    if (memmem(value->p, value->n, "=?", 2)) {
        header_decode(*value, &w->decoded);
        *value = bytes_from(w->decoded.p ? w->decoded.p : "", w->decoded.n);
    }
    return !w->unfolded.failed && !w->decoded.failed && w->unfolded.lost == 0 && w->decoded.lost == 0;
}

enum tri content_match_header(const struct operand *o, const struct lq_record *r, struct filter_state *state, unsigned *need)
{
    const char *name = o->place.name + sizeof(header_prefix) - 1;
    struct bytes block = r->header, wanted = bytes_from(name, strlen(name));
    struct search s = { .o = o, .state = state, .found = TRI_NO };
    enum tri more = TRI_NO;
    struct work work = { .unfolded = { 0 } };
    struct header h;

    if (!r->header.p) {
        if (!r->foreign.is && !(r->have & SEC_CONTROL))
            *need |= SEC_CONTROL;
        return TRI_UNKNOWN;
    }
    while (goes_on(&s) && header_next(&block, &h)) {
        if (!bytes_ieq(h.name, wanted))
            continue;
        /* Of a block that was cut the last field may have gone on in lines that are missing: that there is one is all that is known. */
        if (readable(&h.value, &work) && (block.n > 0 || r->header_followed || !(r->broken & SEC_CONTROL) || o->op == OP_HAS))
            look(&s, h.value);
        else
            more = TRI_UNKNOWN;
    }
    buf_done(&work.unfolded);
    buf_done(&work.decoded);
    return answer(&s, r->broken & SEC_CONTROL ? TRI_UNKNOWN : more);
}

enum tri content_match_body(const struct operand *o, const struct lq_record *r, struct filter_state *state, unsigned *need)
{
    struct search s = { .o = o, .state = state, .found = TRI_NO };
    struct bytes text;

    if (!r->body) {
        if (!r->foreign.is)
            *need |= (SEC_CONTROL | SEC_BODY) & ~r->have;
        return TRI_UNKNOWN;
    }
    for (size_t i = 0; goes_on(&s) && mime_item(r->body, i, &text); i++)
        look(&s, text);
    return answer(&s, r->broken & (SEC_CONTROL | SEC_BODY) || mime_cut(r->body) ? TRI_UNKNOWN : TRI_NO);
}
