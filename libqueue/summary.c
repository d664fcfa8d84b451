/* Counting who sent what, and saying it in a page of text. */
#include "summary.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "redact.h"

enum { SHOWN = 10 };

/* title NULL: not in the text. open: names nobody, so that a redacted pack has it. */
static const struct { enum lq_field field, other; const char *title; bool open; } keys[SUMMARY_KEYS] = {
    [SUMMARY_CLIENT] = { LQ_CLIENT_ADDRESS, LQ_CLIENT_ADDRESS, "Hosts that handed the messages in, by the address of their connection as this server saw it", true },
    [SUMMARY_ACCOUNT] = { LQ_AUTH_USER, LQ_LOCAL_USER, "Accounts that logged in to send them", false },
    [SUMMARY_SENDER] = { LQ_SENDER, LQ_SENDER, "Envelope senders", false },
    [SUMMARY_SUBJECT] = { LQ_SUBJECT, LQ_SUBJECT, "Subjects", false },
    [SUMMARY_HELO] = { LQ_HELO_NAME, LQ_HELO_NAME, "Names that the hosts gave themselves (HELO)", false },
    [SUMMARY_SIZE] = { LQ_MESSAGE_SIZE, LQ_MESSAGE_SIZE, NULL, true },
    [SUMMARY_SIZES] = { LQ_MESSAGE_SIZE, LQ_MESSAGE_SIZE, NULL, true },
    [SUMMARY_CLASS] = { LQ_REASON_CLASS, LQ_REASON_CLASS, NULL, true },
    [SUMMARY_REASON] = { LQ_REASON, LQ_REASON, NULL, false },
};

const uint64_t summary_fields = LQ_FIELD_BIT(LQ_CLIENT_ADDRESS) | LQ_FIELD_BIT(LQ_AUTH_USER) | LQ_FIELD_BIT(LQ_LOCAL_USER) | LQ_FIELD_BIT(LQ_SENDER) |
                                LQ_FIELD_BIT(LQ_SUBJECT) | LQ_FIELD_BIT(LQ_HELO_NAME) | LQ_FIELD_BIT(LQ_ARRIVAL_TIME) | LQ_FIELD_BIT(LQ_PROBLEMS) |
                                LQ_FIELD_BIT(LQ_MESSAGE_SIZE) | LQ_FIELD_BIT(LQ_REASON_CLASS) | LQ_FIELD_BIT(LQ_REASON);

void summary_text(struct buf *out, const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)text[i];

        if (i == SUMMARY_TEXT) {
            buf_add_str(out, " ...");
            return;
        }
        if (c >= ' ' && c < 0x7F && c != '\\')
            buf_add_char(out, (char)c);
        else
            buf_printf(out, "\\x%02X", c);
    }
}

static void add_arrival(struct summary *s, int64_t when)
{
    if (s->first == 0 || when < s->first)
        s->first = when;
    if (when > s->last)
        s->last = when;
    timeline_add(&s->arrivals, when);
}

/* The power of two at or below it, and the one above. */
static int size_range(char out[64], int64_t size)
{
    int64_t from = 1;

    while (from <= size / 2)
        from *= 2;
    if (from < 1024)
        return snprintf(out, 64, "below 1 KiB");
    if (from < 1 << 20)
        return snprintf(out, 64, "%lld to %lld KiB", (long long)(from >> 10), (long long)(from >> 9));
    return snprintf(out, 64, "%lld to %lld MiB", (long long)(from >> 20), (long long)(from >> 19));
}

static bool add_size(struct summary *s, int64_t size)
{
    char text[64];
    int n = snprintf(text, sizeof(text), "%lld", (long long)size);
    bool fine = counts_add(&s->counts[SUMMARY_SIZE], text, (size_t)n);

    s->bytes += size > 0 ? (uint64_t)size : 0;
    n = size_range(text, size);
    return counts_add(&s->counts[SUMMARY_SIZES], text, (size_t)n) && fine;
}

static bool add_key(struct summary *s, enum summary_key k, const struct lq_record *r)
{
    struct lq_str text = lq_record_text(r, keys[k].field);
    char address[IP_TEXT_MAX];

    if (s->redacted && k == SUMMARY_CLIENT)
        text = redact_address(text, address) ? (struct lq_str){ address, strlen(address) } : (struct lq_str){ NULL, 0 };
    else if (!text.p)
        text = lq_record_text(r, keys[k].other);
    if (!text.p)
        return true;
    if (k == SUMMARY_SENDER && text.n == 0)
        text = (struct lq_str){ "<> (bounces)", 12 };
    /* One byte more than is shown tells that there was more. */
    return counts_add(&s->counts[k], text.p, text.n > SUMMARY_TEXT + 1 ? SUMMARY_TEXT + 1 : text.n);
}

void summary_add(struct summary *s, const struct lq_record *r)
{
    int64_t number;

    s->messages++;
    s->damaged += lq_record_text_at(r, LQ_PROBLEMS, 0).p != NULL;
    if (lq_record_number(r, LQ_ARRIVAL_TIME, &number))
        add_arrival(s, number);
    if (lq_record_number(r, LQ_MESSAGE_SIZE, &number))
        s->failed |= !add_size(s, number);
    for (enum summary_key k = 0; k < SUMMARY_KEYS; k++)
        if (keys[k].field != LQ_MESSAGE_SIZE && (keys[k].open || !s->redacted))
            s->failed |= !add_key(s, k, r);
}

static void print_counts(const struct counts *c, const char *title, struct buf *out)
{
    size_t n;
    struct counted *all = counts_sorted(c, &n);
    uint64_t shown = 0;

    if (!all) {
        out->failed = true;
        return;
    }
    buf_printf(out, "\n%s:\n", title);
    for (size_t i = 0; i < n && i < SHOWN; i++) {
        buf_printf(out, "  %8llu  ", (unsigned long long)all[i].n);
        summary_text(out, all[i].text, all[i].len);
        buf_add_char(out, '\n');
        shown += all[i].n;
    }
    if (c->known > shown)
        buf_printf(out, "  %8llu  others\n", (unsigned long long)(c->known - shown));
    free(all);
}

void summary_time(struct buf *out, int64_t t)
{
    char text[64];
    time_t when = (time_t)t;
    struct tm tm;

    if (gmtime_r(&when, &tm) && strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S UTC", &tm) > 0)
        buf_add_str(out, text);
}

void summary_print(const struct summary *s, struct buf *out)
{
    buf_printf(out, "Messages:  %llu", (unsigned long long)s->messages);
    if (s->damaged)
        buf_printf(out, " (%llu of them damaged; records.ndjson says %s)", (unsigned long long)s->damaged, s->redacted ? "which" : "how");
    if (s->last) {
        buf_add_str(out, "\nArrived:   ");
        summary_time(out, s->first);
        buf_add_str(out, " to ");
        summary_time(out, s->last);
    }
    buf_add_char(out, '\n');
    for (enum summary_key k = 0; k < SUMMARY_KEYS; k++)
        if (keys[k].title && s->counts[k].known)
            print_counts(&s->counts[k], keys[k].title, out);
    out->failed = out->failed || s->failed;
}

void summary_done(struct summary *s)
{
    for (enum summary_key k = 0; k < SUMMARY_KEYS; k++)
        counts_done(&s->counts[k]);
}
