/*
 * Sendmail's quarantine: any control file that is accepted can be held with any reason, is held then and nothing else, and gets its
 * bytes back when it is released. The reason is the end of the input.
 */
#include <stdlib.h>
#include <string.h>

#include "header.h"
#include "sendmail.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { REASON_MAX = 300 };

static struct sendmail_control parse(struct bytes text)
{
    struct buf headers = { 0 }, tmp = { 0 }, tmp2 = { 0 };
    struct source s = { 0 };
    struct sendmail_input in = {
        .src = &s, .path = "qf", .want = LQ_FIELD_BIT(LQ_HOLD_REASON), .headers = &headers, .tmp = &tmp, .tmp2 = &tmp2,
    };
    struct sendmail_control control;
    struct lq_record rec = { 0 };

    record_reset(&rec);
    source_memory(&s, text.p, text.n);
    sendmail_parse(&rec, &in, &control);
    control.df_dir.p = NULL;
    record_done(&rec);
    buf_done(&headers);
    buf_done(&tmp);
    buf_done(&tmp2);
    return control;
}

static void demand(bool fact)
{
    if (!fact)
        abort();
}

/* Only files before 8.7 have no version, and may lack a terminator. */
static bool has_version(struct bytes text)
{
    return (text.n > 0 && text.p[0] == 'V') || memmem(text.p, text.n, "\nV", 2) != NULL;
}

/* From the first q on, held and plain differ by one line that a terminal may see. */
static void one_line_more(struct bytes plain, struct bytes held)
{
    size_t at = 0, end;

    while (at < plain.n && plain.p[at] == held.p[at])
        at++;
    while (at > 0 && held.p[at - 1] != '\n')    /* the line put in may begin as the one it is before */
        at--;
    demand(held.p[at] == 'q');
    end = at + bytes_find(bytes_skip(held, at), '\n');
    for (size_t i = at; i < end; i++)
        demand(held.p[i] >= ' ' && held.p[i] != 0x7f);
    demand(bytes_eq(bytes_skip(held, end + 1), bytes_skip(plain, at)));
}

static void check_hold(struct bytes key, const char *reason)
{
    struct sendmail_control before = parse(key), after;
    struct buf held = { 0 }, back = { 0 };
    bool accepted = before.complete && !before.refused;
    enum sendmail_quarantine r = sendmail_quarantine(key, true, reason, &held);

    demand(r != QUARANTINE_DAMAGED || !accepted || !has_version(key));
    demand(r != QUARANTINE_SAME || !accepted || before.quarantined);
    if (r == QUARANTINE_CHANGED) {
        after = parse(bytes_from(held.p, held.n));
        demand(after.quarantined && after.complete == before.complete && after.refused == before.refused && after.attempts == before.attempts);
        one_line_more(key, bytes_from(held.p, held.n));
        demand(sendmail_quarantine(bytes_from(held.p, held.n), true, reason, &back) == QUARANTINE_SAME && back.n == 0);
        demand(sendmail_quarantine(bytes_from(held.p, held.n), false, NULL, &back) == QUARANTINE_CHANGED);
        demand(bytes_eq(bytes_from(back.p, back.n), key));
    }
    buf_done(&held);
    buf_done(&back);
}

static void check_release(struct bytes key)
{
    struct buf out = { 0 }, again = { 0 };

    if (sendmail_quarantine(key, false, NULL, &out) == QUARANTINE_CHANGED) {
        demand(out.n < key.n);
        demand(sendmail_quarantine(bytes_from(out.p, out.n), false, NULL, &again) == QUARANTINE_SAME);
        if (parse(key).complete)
            demand(!parse(bytes_from(out.p, out.n)).quarantined);
    }
    buf_done(&out);
    buf_done(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes key = bytes_from(data, size), last = bytes_skip(key, size > REASON_MAX ? size - REASON_MAX : 0);
    char reason[REASON_MAX + 1];

    memcpy(reason, last.p, last.n);
    reason[last.n] = '\0';
    check_hold(key, reason);
    check_release(key);
    return 0;
}
