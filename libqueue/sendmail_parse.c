/*
 * Sendmail control files (qf, hf, Qf, tf) of every queue version, V0 (8.6) to V8 (8.13 to 8.18).
 *
 * Knows records and what sendmail would do with each; leaves headers to sendmail_headers.c, who
 * brought the message to sendmail_origin.c, and to sendmail.c where files are and what state the
 * message is in. Facts: Sendmail 8.17 and 8.18 (queue.c, srvrsmtp.c) and the Operations Guide's
 * appendix on queue files, tried with 8.17.1 and 8.18.1.
 */
#include "sendmail_parse.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "reason.h"

#define WANT_LIST (FIELD(RECIPIENTS) | FIELD(RECIPIENT))
#define WANT_REASON (FIELD(REASON) | FIELD(REASON_CLASS))

enum { NUMBER_BITS = 53 };              /* larger numbers are not exact everywhere that reads our output */

/* --- what is wrong --- */

void sendmail_problem(struct parse *p, const char *what)
{
    record_problem(p->rec, "%s: offset %" PRIu64 ": %s", p->in->path, p->at, what);
}

/* Something of the envelope was not understood: what is missing now is unknown. */
static void broken(struct parse *p, const char *what)
{
    sendmail_problem(p, what);
    record_broken(p->rec, SEC_CONTROL);
}

static void refuse(struct parse *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void refuse(struct parse *p, const char *fmt, ...)
{
    char what[200];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(what, sizeof(what), fmt, ap);
    va_end(ap);
    broken(p, what);
    p->out->refused = true;
}

/* --- reading records --- */

static bool continues(struct parse *p)
{
    size_t got;
    const unsigned char *c = source_at(p->src, p->off, 1, &got);

    return c && (*c == ' ' || *c == '\t');
}

/* True when looking one byte ahead moves no window: views stay alive. */
static bool ahead_is_here(const struct source *s, uint64_t off)
{
    return off >= s->size || (off >= s->off && off - s->off < s->n);
}

static void drop_cr(struct bytes *line)
{
    if (line->n > 0 && line->p[line->n - 1] == '\r')
        line->n--;
}

/* Lines that continue a record are joined with their line ends inside, as sendmail does. */
static enum line_end join(struct parse *p, enum line_end end, struct bytes line, struct bytes *rec)
{
    struct buf *joined = p->in->tmp;

    buf_reset(joined, RECORD_TEXT_MAX);
    joined->limit = RECORD_HEADERS_MAX;
    for (;;) {
        buf_add(joined, line.p, line.n);
        if (end != LINE_PIECE) {
            if (joined->n > 0 && joined->p[joined->n - 1] == '\r')
                joined->n--;
            if (end != LINE_WHOLE || !continues(p))
                break;
            buf_add_char(joined, '\n');
        }
        end = source_line(p->src, &p->off, &line);
        if (end == LINE_NONE) {
            end = LINE_LAST;
            break;
        }
    }
    if (joined->lost > 0 && !p->big_told) {
        p->big_told = true;
        broken(p, "record of more than 4 MiB; the rest of it was not looked at");
    }
    if (joined->failed)
        record_broken(p->rec, SEC_CONTROL);
    *rec = bytes_from(joined->p, joined->n);
    return end;
}

static enum line_end next_record(struct parse *p, struct bytes *rec)
{
    struct bytes line;
    enum line_end end;
    size_t nul;

    p->at = p->off;
    end = source_line(p->src, &p->off, &line);
    if (end == LINE_NONE)
        return end;
    if (end == LINE_WHOLE && ahead_is_here(p->src, p->off) && !continues(p)) {
        drop_cr(&line);
        *rec = line;
    } else {
        end = join(p, end, line, rec);
    }
    /* For sendmail a NUL ends the value (8.17). */
    nul = bytes_find(*rec, '\0');
    if (nul < rec->n) {
        if (!p->nul_told)
            broken(p, "NUL byte; sendmail reads the record to there only");
        p->nul_told = true;
        rec->n = nul;
    }
    return end;
}

/* --- values --- */

/* Digits, maybe after a minus; anything else is a problem. */
static bool take_number(struct parse *p, struct bytes v, int64_t *out)
{
    int64_t n;

    if (!bytes_number(v, &n) || n > (INT64_C(1) << NUMBER_BITS) ||
        n < -(INT64_C(1) << NUMBER_BITS)) {
        broken(p, "not a number that makes sense");
        return false;
    }
    *out = n;
    return true;
}

static struct bytes without_brackets(struct bytes v)
{
    v = bytes_trim(v);
    if (v.n >= 2 && v.p[0] == '<' && v.p[v.n - 1] == '>')
        return bytes_from(v.p + 1, v.n - 2);
    return v;
}

/*
 * Internal quoting (0xFF before 0x80 to 0x9F and 0xFF), which builds with USE_EAI (8.17) use in
 * addresses, too.
 */
static struct lq_str copy_address(struct parse *p, struct bytes v)
{
    struct lq_str s = record_copy(p->rec, v.p, v.n);
    char *to = (char *)s.p;
    size_t n = 0;

    if (!s.p || !memchr(s.p, 0xff, s.n))
        return s;
    for (size_t i = 0; i < s.n; i++) {
        if ((unsigned char)s.p[i] == 0xff && i + 1 < s.n && ((unsigned char)s.p[i + 1] >= 0x80))
            i++;
        to[n++] = s.p[i];
    }
    to[n] = '\0';
    s.n = n;
    return s;
}

static int hex(unsigned char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = ascii_lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

void sendmail_add_xtext(struct buf *out, struct bytes v)
{
    for (size_t i = 0; i < v.n; i++) {
        if (v.p[i] == '+' && i + 2 < v.n && hex(v.p[i + 1]) >= 0 && hex(v.p[i + 2]) >= 0) {
            buf_add_char(out, (char)(hex(v.p[i + 1]) << 4 | hex(v.p[i + 2])));
            i += 2;
        } else {
            buf_add_char(out, (char)v.p[i]);
        }
    }
}

static bool xtext_valid(struct bytes v)
{
    for (size_t i = 0; i < v.n; i++) {
        if (v.p[i] < '!' || v.p[i] > '~' || v.p[i] == '=')
            return false;
        if (v.p[i] == '+' && (i + 2 >= v.n || hex(v.p[i + 1]) < 0 || hex(v.p[i + 2]) < 0))
            return false;
    }
    return true;
}

/* --- one function per record letter --- */

static void take_version(struct parse *p, struct bytes v)
{
    int64_t n;

    p->version_seen = true;
    if (!take_number(p, v, &n))
        return;
    p->version = n;
    if (n > SENDMAIL_VERSION_MAX)
        refuse(p, "queue version %" PRId64 " is newer than any that is known", n);
}

static void take_arrival(struct parse *p, struct bytes v)
{
    int64_t n;

    if (!take_number(p, v, &n))
        return;
    if (n < 0)
        broken(p, "the arrival time is negative");
    else
        record_set_number(p->rec, LQ_ARRIVAL_TIME, n);
}

static void take_last_attempt(struct parse *p, struct bytes v)
{
    int64_t n;

    if (!take_number(p, v, &n))
        return;
    if (n < 0)
        broken(p, "the time of the last attempt is negative");
    else if (n > 0)
        record_set_number(p->rec, LQ_LAST_ATTEMPT, n);
}

static void take_attempts(struct parse *p, struct bytes v)
{
    int64_t n;

    if (!take_number(p, v, &n))
        return;
    if (n < 0) {
        broken(p, "the number of attempts is negative");
        return;
    }
    p->out->attempts = n;
    record_set_number(p->rec, LQ_ATTEMPTS, n);
}

/* Sendmail itself never writes a path here that leaves the base directory. */
static bool path_leaves(struct bytes v)
{
    if (v.n == 0 || v.p[0] == '/')
        return true;
    while (v.n > 0) {
        size_t n = bytes_find(v, '/');

        if (n == 2 && v.p[0] == '.' && v.p[1] == '.')
            return true;
        v = bytes_skip(v, n + 1);
    }
    return false;
}

static void take_df_dir(struct parse *p, struct bytes v)
{
    if (path_leaves(v))
        refuse(p, "the d record names a directory outside of the queue");
    else
        p->out->df_dir = record_copy(p->rec, v.p, v.n);
}

static void take_body_type(struct parse *p, struct bytes v)
{
    if (!bytes_ieq(v, BYTES("7BIT")) && !bytes_ieq(v, BYTES("8BITMIME")))
        refuse(p, "unknown body type");
}

static void take_quarantine(struct parse *p, struct bytes v)
{
    p->out->quarantined = true;
    if (v.n > 0)
        record_set_text(p->rec, LQ_HOLD_REASON, v.p, v.n);
}

static void wait_for_recipient(struct parse *p, enum waiting w, struct bytes v)
{
    struct buf *pending = p->in->tmp2;
    size_t at = pending->n;

    buf_add(pending, v.p, v.n);
    p->waiting[w] = (struct span){ at, pending->n - at, true };
}

static struct bytes waiting(const struct parse *p, enum waiting w)
{
    if (p->waiting[w].n == 0)
        return BYTES("");
    return bytes_from(p->in->tmp2->p + p->waiting[w].at, p->waiting[w].n);
}

/* Only foreign hands fold such a record. */
static struct lq_str one_line(struct lq_str s)
{
    char *text = (char *)s.p;

    for (size_t i = 0; i < s.n; i++)
        if (text[i] == '\n')
            text[i] = ' ';
    return s;
}

/*
 * Before S: the message's own, maybe of a recipient who is gone. After it: the status of the next
 * recipient (8.12 on).
 */
static void take_status(struct parse *p, struct bytes v)
{
    if (!wanted(p, WANT_REASON | FIELD(RECIPIENTS)) || v.n == 0)
        return;
    if (p->sender_seen) {
        wait_for_recipient(p, WAIT_STATUS, v);
        return;
    }
    p->general = one_line(record_copy(p->rec, v.p, v.n));
}

static void take_flags(struct parse *p, struct bytes v)
{
    if (bytes_start(v, BYTES("rom "))) {
        refuse(p, "a line begins with 'From '");
        return;
    }
    p->header_early = p->header_early || p->header_seen;
    for (size_t i = 0; i < v.n; i++)
        if (v.p[i] >= 'a' && v.p[i] <= 'z')
            p->letters |= UINT32_C(1) << (v.p[i] - 'a');
}

static void take_sender(struct parse *p, struct bytes v)
{
    if (p->sender_seen)
        broken(p, "a second sender record");
    p->header_early = p->header_early || p->header_seen;
    p->sender = copy_address(p, without_brackets(v));
    p->sender_seen = true;
}

static void take_auth(struct parse *p, struct bytes v)
{
    if (!xtext_valid(v))
        refuse(p, "the A record (AUTH=) is not valid xtext");
}

/* C<user>:<uid>:<gid>:<alias>, C:<alias>, bare C; before V2 C<user>. It holds until the next C. */
static void take_controlling_user(struct parse *p, struct bytes v)
{
    p->alias = (struct lq_str){ NULL, 0 };
    if (p->version < 2 || v.n == 0 || !wanted(p, FIELD(RECIPIENTS)))
        return;
    if (v.p[0] != ':')
        for (int colons = 0; colons < 2; colons++)
            v = bytes_skip(v, bytes_find(v, ':') + 1);
    v = bytes_skip(v, bytes_find(v, ':') + 1);
    v = without_brackets(v);
    if (v.n > 0)
        p->alias = copy_address(p, v);
}

static void take_orcpt(struct parse *p, struct bytes v)
{
    if (wanted(p, FIELD(RECIPIENTS)))
        wait_for_recipient(p, WAIT_ORCPT, v);
}

static void take_final(struct parse *p, struct bytes v)
{
    if (wanted(p, FIELD(RECIPIENTS)))
        wait_for_recipient(p, WAIT_FINAL, v);
}

/* "rfc822;address": the address; n == 0 for another type. */
static struct bytes typed_address(struct bytes v)
{
    size_t semicolon = bytes_find(v, ';');
    struct bytes type = bytes_trim(bytes_from(v.p, semicolon));

    if (semicolon == v.n || !(bytes_ieq(type, BYTES("rfc822")) || bytes_ieq(type, BYTES("utf-8"))))
        return bytes_from(v.p, 0);
    return without_brackets(bytes_skip(v, semicolon + 1));
}

/*
 * Who it was for: the address before aliasing (r), what the client's ORCPT said (Q), the alias (C);
 * the first that differs.
 */
static void set_original(struct parse *p, struct lq_recipient *rcpt)
{
    struct bytes v = typed_address(waiting(p, WAIT_FINAL));
    struct buf *decoded = p->in->tmp;

    if (v.n > 0 && !bytes_eq(v, view(rcpt->address))) {
        rcpt->orig_address = copy_address(p, v);
        return;
    }
    if (p->waiting[WAIT_ORCPT].set) {
        buf_reset(decoded, RECORD_TEXT_MAX);
        sendmail_add_xtext(decoded, typed_address(waiting(p, WAIT_ORCPT)));
        v = bytes_from(decoded->p, decoded->n);
        if (v.n > 0 && !bytes_eq(v, view(rcpt->address)))
            rcpt->orig_address = record_copy(p->rec, v.p, v.n);
    } else if (!p->waiting[WAIT_FINAL].set && p->alias.p &&
               !bytes_eq(view(p->alias), view(rcpt->address))) {
        rcpt->orig_address = record_share(p->rec, p->alias, SEC_CONTROL);
    }
}

static void set_status(struct parse *p, struct lq_recipient *rcpt)
{
    struct bytes text = waiting(p, WAIT_STATUS), code;

    if (!p->waiting[WAIT_STATUS].set)
        return;
    if (!p->status.p || !bytes_eq(text, view(p->status))) {
        code = reason_dsn_code(text);
        p->status = one_line(record_copy(p->rec, text.p, text.n));
        p->status_code =
            code.n > 0 ? record_copy(p->rec, code.p, code.n) : (struct lq_str){ NULL, 0 };
    }
    if (!p->first.p)
        p->first = p->status;
    if (p->general.p && bytes_eq(view(p->status), view(p->general)))
        p->general_fits = true;
    if (!rcpt)
        return;
    rcpt->delay_reason = record_share(p->rec, p->status, SEC_CONTROL);
    rcpt->dsn_code = p->status_code;
}

static void add_recipient(struct parse *p, struct bytes address)
{
    struct lq_recipient *rcpt = NULL;

    p->recipients++;
    if (wanted(p, WANT_LIST))
        rcpt = record_add_recipient(p->rec, &p->rec->recipients);
    if (rcpt)
        rcpt->address = copy_address(p, address);
    set_status(p, rcpt);
    if (rcpt && wanted(p, FIELD(RECIPIENTS)))
        set_original(p, rcpt);
}

static void take_recipient(struct parse *p, struct bytes v)
{
    size_t colon = bytes_find(v, ':');

    if (p->version >= 1 && colon == v.n) {
        broken(p, "recipient without a colon; sendmail would drop it");
    } else {
        v = without_brackets(p->version >= 1 ? bytes_skip(v, colon + 1) : v);
        if (v.n == 0)
            broken(p, "recipient without an address");
        else
            add_recipient(p, v);
    }
    buf_reset(p->in->tmp2, RECORD_TEXT_MAX);
    memset(p->waiting, 0, sizeof(p->waiting));
}

/* Accepted and without meaning for us. */
static void take_nothing(struct parse *p, struct bytes v)
{
    (void)p;
    (void)v;
}

/* G and Y are of the experimental versions 5 and 7; X of some builds before 8.13. */
static void take_experiment(struct parse *p, struct bytes v)
{
    (void)v;
    if (p->version >= SENDMAIL_VERSION_MAX)
        refuse(p, "a record that sendmail 8.13 and later refuse");
}

/* --- the whole file --- */

static void (*const takers[128])(struct parse *p, struct bytes value) = {
    ['!'] = take_nothing,
    ['$'] = sendmail_take_macro,
    ['A'] = take_auth,
    ['B'] = take_body_type,
    ['C'] = take_controlling_user,
    ['D'] = take_nothing,
    ['E'] = take_nothing,
    ['F'] = take_flags,
    ['G'] = take_experiment,
    ['H'] = sendmail_take_header,
    ['I'] = take_nothing,
    ['K'] = take_last_attempt,
    ['L'] = take_nothing,
    ['M'] = take_status,
    ['N'] = take_attempts,
    ['P'] = take_nothing,
    ['Q'] = take_orcpt,
    ['R'] = take_recipient,
    ['S'] = take_sender,
    ['T'] = take_arrival,
    ['V'] = take_version,
    ['X'] = take_experiment,
    ['Y'] = take_experiment,
    ['Z'] = take_nothing,
    ['d'] = take_df_dir,
    ['q'] = take_quarantine,
    ['r'] = take_final,
};

static void take_unknown(struct parse *p, unsigned char c)
{
    if (c > ' ' && c < 0x7f)
        refuse(p, "unknown record '%c'", c);
    else
        refuse(p, "unknown record, byte 0x%02x", c);
}

static void take(struct parse *p, struct bytes rec)
{
    unsigned char c = rec.p[0];

    if (p->only_headers && c != 'H')
        return;
    if (c != 'H' && rec.n > RECORD_TEXT_MAX)
        sendmail_problem(p, "record of more than 64 KiB; the rest of it is cut off");
    if (c < 128 && takers[c])
        takers[c](p, bytes_skip(rec, 1));
    else
        take_unknown(p, c);
}

static void take_all(struct parse *p)
{
    struct bytes rec;
    enum line_end end;

    p->off = 0;
    while ((end = next_record(p, &rec)) != LINE_NONE) {
        if (p->ended) {
            refuse(p, "something follows the terminator");
            return;
        }
        if (rec.n > 0 && rec.p[0] == '.')
            p->ended = true;
        else if (end == LINE_LAST && (p->version_seen || p->at == 0))
            return;             /* cut in the middle of a record: being written, or truncated */
        else if (rec.n == 0)
            refuse(p, "empty line");
        else
            take(p, rec);
        if (p->only_headers && p->ended)
            return;
    }
}

/* Records may come in any order; headers that depend on later ones are made anew. */
static void redo_headers(struct parse *p)
{
    sendmail_forget_headers(p);
    p->only_headers = true;
    p->ended = false;
    take_all(p);
    p->ended = true;
}

/* --- what follows from all records together --- */

static void set_sender(struct parse *p)
{
    if (!p->sender_seen)
        return;
    if (null_sender(p)) {
        record_set_text(p->rec, LQ_SENDER, "", 0);
        record_flag(p->rec, FLAG_BOUNCE);
    } else if (p->sender.p) {
        record_set_text(p->rec, LQ_SENDER, p->sender.p, p->sender.n);
    }
}

/*
 * The message's own M may be of a recipient who is gone ("User unknown", 8.17): it counts when a
 * recipient who is left has the same text, or none has any.
 */
static void set_reason(struct parse *p)
{
    struct lq_str reason = p->general.p && (p->general_fits || !p->first.p) ? p->general : p->first;
    const char *class_name;

    if (!reason.p || !wanted(p, WANT_REASON))
        return;
    record_set_text(p->rec, LQ_REASON, reason.p, reason.n);
    if (!wanted(p, LQ_FIELD_BIT(LQ_REASON_CLASS)))
        return;
    class_name = reason_class_names[reason_classify(view(reason))];
    record_set_text(p->rec, LQ_REASON_CLASS, class_name, strlen(class_name));
}

static void finish(struct parse *p)
{
    set_sender(p);
    sendmail_set_origin(p);
    set_reason(p);
    sendmail_set_headers(p);
    if (flag_letter(p, 'w'))
        record_flag(p->rec, FLAG_WARNED);
    if (flag_letter(p, 'r'))
        record_flag(p->rec, FLAG_BOUNCE);
    if (flag_letter(p, 'e'))
        record_flag(p->rec, FLAG_SMTPUTF8);
}

/*
 * 8.6 wrote no version and no terminator: such a file is whole when it has a sender, recipients and
 * headers.
 */
static bool is_complete(const struct parse *p)
{
    return p->ended || (!p->version_seen && p->sender_seen && p->recipients > 0 && p->header_seen);
}

static void check_whole(struct parse *p)
{
    p->out->complete = is_complete(p);
    if (!p->out->complete) {
        record_broken(p->rec, SEC_CONTROL);
        return;
    }
    p->at = p->off;
    if (!p->sender_seen)
        refuse(p, "no sender record; sendmail fails on this file again and again");
    else if (p->recipients == 0)
        refuse(p, "no recipient; sendmail would delete this message at its next queue run");
}

void sendmail_parse(struct lq_record *r, const struct sendmail_input *in,
                    struct sendmail_control *out)
{
    struct parse p = { .rec = r, .in = in, .out = out, .src = in->src };

    memset(out, 0, sizeof(*out));
    if (in->src->size > SENDMAIL_CONTROL_MAX) {
        record_problem(r, "%s: %" PRIu64 " bytes: larger than a control file can be; it was not read", in->path, in->src->size);
        record_broken(r, SEC_CONTROL);
        out->refused = true;
        return;
    }
    buf_reset(in->tmp2, RECORD_TEXT_MAX);
    in->tmp2->limit = 4 * RECORD_TEXT_MAX;
    take_all(&p);
    check_whole(&p);
    if (p.header_early)
        redo_headers(&p);
    finish(&p);
}
