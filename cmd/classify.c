/* What a flood is. */
#include "classify.h"

#include <stdlib.h>
#include <string.h>

#include "report.h"

enum {
    HEADERS_READ = 100,         /* messages of the sample whose headers are looked at */
    INTERVALS_LEAST = 19,
    STRANGERS_LEAST = 20,
    TIMES_MAX = 16384,
    LONG = 8000000              /* microseconds: here a second more or less does not matter */
};

/* --- features --- */

/* How many different values there are, and messages of the largest. */
struct spread {
    uint32_t *messages;
    uint32_t entries, different, top, top_entry, some;
};

static void spread_begin(struct spread *d, uint32_t entries)
{
    *d = (struct spread){ .entries = entries, .messages = calloc((size_t)entries + 1, sizeof(uint32_t)) };
    if (!d->messages)
        report_no_memory();
}

static void spread_add(struct spread *d, uint32_t entry)
{
    if (entry < COUNT_FIRST || entry >= d->entries)
        return;
    d->different += d->messages[entry]++ == 0;
    if (d->messages[entry] > d->top) {
        d->top = d->messages[entry];
        d->top_entry = entry;
    }
    d->some++;
}

/* Sender domains, of senders that were counted. */
static void count_sender_domains(struct features *f, const struct counter *senders, const struct spread *d)
{
    struct counter domains = { .fold = true };
    struct sighting seen = { .message = 0 };

    for (uint32_t e = COUNT_FIRST; e < d->entries; e++) {
        const struct counted *sender = count_get(senders, e);
        struct lq_str domain;
        uint32_t entry;

        if (!d->messages[e] || !sender->text || sender->length == 0)
            continue;
        domain = lq_address_domain((struct lq_str){ sender->text, count_kept(sender) });
        entry = count_key(&domains, domain.p, domain.n);
        seen.message++;
        count_add(&domains, entry, &seen);
        count_get(&domains, entry)->bytes += d->messages[e];
        if (count_get(&domains, entry)->bytes > f->top_sender_domain)
            f->top_sender_domain = (uint32_t)count_get(&domains, entry)->bytes;
    }
    f->sender_domains = domains.n > COUNT_FIRST ? domains.n - COUNT_FIRST : 0;
    count_done(&domains);
}

static int compare_times(const void *pa, const void *pb)
{
    int64_t a = *(const int64_t *)pa, b = *(const int64_t *)pb;

    return (a > b) - (a < b);
}

/*
 * With microseconds: nearly every interval is near a multiple of the usual one, as some messages got away. With seconds alone
 * only intervals that hardly differ can be told from chance: of arrivals by chance the deviation is as large as the mean.
 */
bool classify_regular(const int64_t *times, uint32_t n, bool micro, double *interval)
{
    int64_t *gaps = malloc((size_t)(n ? n : 1) * sizeof(*gaps)), median;
    double sum = 0, squares = 0, steps = 0, kept = 0;
    uint32_t count = n ? n - 1 : 0, good = 0;

    if (!gaps)
        report_no_memory();
    for (uint32_t i = 0; i < count; i++) {
        gaps[i] = times[i + 1] - times[i];
        sum += (double)gaps[i];
        squares += (double)gaps[i] * (double)gaps[i];
    }
    qsort(gaps, count, sizeof(*gaps), compare_times);
    median = count ? gaps[count / 2] : 0;
    for (uint32_t i = 0; i < count && median > 0; i++) {
        double step = (double)((gaps[i] + median / 2) / median);
        double off = (double)gaps[i] - step * (double)median;

        if (step < 1 || step > 6 || (off < 0 ? -off : off) > 0.12 * (double)median)
            continue;
        good++;
        steps += step;
        kept += (double)gaps[i];
    }
    free(gaps);
    if (count < INTERVALS_LEAST || median <= 0)
        return false;
    if ((micro || median >= LONG) && good >= count - count / 5) {
        *interval = kept / steps / 1e6;
        return true;
    }
    *interval = sum / count / 1e6;
    return !micro && *interval >= 1.5 && squares / count - (sum / count) * (sum / count) <= 0.09 * (sum / count) * (sum / count);
}

/*
 * Of many messages the latest thousands are enough, taken by time: sorting all would cost more than all else here. Where nearly all
 * have one subject, only these: the program is not all that its user runs.
 */
static void count_times(struct features *f, const struct suspects *s, const struct suspect *found, uint32_t subject)
{
    int64_t *times = malloc(TIMES_MAX * sizeof(*times));
    bool narrow = f->top_subject >= f->messages - f->messages / 4, micro = false;
    uint32_t n = 0, span = found->last - found->began, from = 0;

    if (!times)
        report_no_memory();
    if (f->messages > TIMES_MAX / 2)
        from = found->last - (uint32_t)((uint64_t)span * (TIMES_MAX / 2) / f->messages);
    for (uint32_t i = 0; i < s->n && n < TIMES_MAX; i++) {
        const struct trait_row *row = suspect_row(s, i);

        if (row->entry[found->trait] != found->entry || !row->time || row->time < from ||
            (narrow && row->entry[TRAIT_SUBJECT] != subject))
            continue;
        times[n++] = (int64_t)row->time * 1000000 + row->usec;
        micro |= row->usec != 0;
    }
    /* So many at once are no equal intervals, and some of them would be gaps. */
    if (n < TIMES_MAX) {
        qsort(times, n, sizeof(*times), compare_times);
        f->regular = classify_regular(times, n, micro, &f->interval);
    }
    free(times);
}

static bool belongs(const struct trait_row *row, enum group_of of, const struct suspect *found)
{
    if (of == OF_SUSPECT)
        return row->entry[found->trait] == found->entry;
    return of == OF_ALL || (row->entry[TRAIT_USER] < COUNT_FIRST && row->entry[TRAIT_CLIENT] >= COUNT_FIRST);
}

static uint32_t null_entry(const struct counter *senders)
{
    for (uint32_t e = COUNT_FIRST; e < senders->n; e++)
        if (count_get(senders, e)->length == 0)
            return e;
    return UINT32_MAX;
}

static void count_group(struct features *f, const struct suspects *s, struct tally *const tallies[TRAIT_COUNT],
                        const struct suspect *found, enum group_of of)
{
    struct spread spread[TRAIT_COUNT], domains;
    uint32_t null = null_entry(&tallies[TRAIT_SENDER]->counts);

    *f = (struct features){ .of = of };
    spread_begin(&domains, s->domains);
    for (int t = 0; t < TRAIT_COUNT; t++)
        spread_begin(&spread[t], tallies[t]->counts.n);
    for (uint32_t i = 0; i < s->n; i++) {
        const struct trait_row *row = suspect_row(s, i);

        if (!belongs(row, of, found))
            continue;
        f->messages++;
        for (int t = 0; t < TRAIT_COUNT; t++)
            spread_add(&spread[t], row->entry[t]);
        spread_add(&domains, row->domain);
        f->null_senders += row->entry[TRAIT_SENDER] == null;
    }
    f->with_user = spread[TRAIT_USER].some;
    f->with_client = spread[TRAIT_CLIENT].some;
    f->users = spread[TRAIT_USER].different;
    f->clients = spread[TRAIT_CLIENT].different;
    f->senders = spread[TRAIT_SENDER].different;
    f->subjects = spread[TRAIT_SUBJECT].different;
    f->top_subject = spread[TRAIT_SUBJECT].top;
    f->domains = domains.different;
    f->top_domain = domains.top;
    count_sender_domains(f, &tallies[TRAIT_SENDER]->counts, &spread[TRAIT_SENDER]);
    if (of == OF_SUSPECT)
        count_times(f, s, found, spread[TRAIT_SUBJECT].top_entry);
    for (int t = 0; t < TRAIT_COUNT; t++)
        free(spread[t].messages);
    free(domains.messages);
}

/* --- the sample --- */

uint64_t classify_fields(void)
{
    return LQ_FIELD_BIT(LQ_REASON_CLASS) | LQ_FIELD_BIT(LQ_IDENTITY);
}

static int collect(void *ctx, const void *p, size_t n)
{
    enum { ENOUGH = 64 << 10 };
    struct text *t = ctx;

    text_add(t, p, n);
    return t->n > ENOUGH;
}

/*
 * What list servers write: RFC 2919, and Precedence, which no RFC asks for. List-Unsubscribe (RFC 2369) says nothing: spam has it, too,
 * as large receivers ask for it.
 */
static bool is_list_line(const char *line, size_t n)
{
    static const char *const signs[] = { "List-Id:", "Precedence: bulk", "Precedence: list" };

    for (size_t i = 0; i < sizeof(signs) / sizeof(signs[0]); i++)
        if (n >= strlen(signs[i]) && strncasecmp(line, signs[i], strlen(signs[i])) == 0)
            return true;
    return false;
}

static bool has_list_lines(const struct text *header)
{
    for (size_t i = 0, n; i < header->n; i += n + 1) {
        const char *end = memchr(header->p + i, '\n', header->n - i);

        n = end ? (size_t)(end - header->p) - i : header->n - i;
        if (is_list_line(header->p + i, n))
            return true;
    }
    return false;
}

void classify_sample(struct features *f, const struct lq_record *r, struct lq_queue *q)
{
    struct lq_str reason = lq_record_text(r, LQ_REASON_CLASS);
    struct text header = { 0 };
    struct lq_error err;

    f->sampled++;
    f->blocklist += reason.p && strcmp(reason.p, "blocklist") == 0;
    f->throttle += reason.p && (strcmp(reason.p, "ratelimit") == 0 || strcmp(reason.p, "greylist") == 0);
    if (f->headers >= HEADERS_READ)
        return;
    lq_message_headers(q, r, collect, &header, &err);
    f->headers += header.n > 0;
    f->lists += has_list_lines(&header);
    text_done(&header);
}

/* --- rules --- */

static bool most_of(uint32_t part, uint32_t whole)
{
    return whole > 0 && part >= whole - whole / 10;
}

static bool hardly_any(uint32_t part, uint32_t whole)
{
    return part <= whole / 10;
}

static bool is_list(const struct features *f)
{
    return most_of(f->lists, f->headers) && f->clients <= 3 && f->sender_domains <= 3 && hardly_any(f->null_senders, f->messages);
}

static bool one_source(const struct features *f)
{
    return f->clients <= 1 && f->senders <= 2 && f->domains <= 3 && hardly_any(f->lists, f->headers);
}

/* At full minutes, as cron and timers of systemd start what they start. */
static bool is_scheduled(const struct features *f)
{
    double minutes = f->interval / 60, off = minutes - (double)(int64_t)(minutes + 0.5);

    return f->regular && f->interval >= 55 && one_source(f) && (off < 0 ? -off : off) < 0.02 * minutes + 0.005;
}

static bool is_watchdog(const struct features *f)
{
    return f->regular && f->interval < 50 && one_source(f);
}

static bool is_account(const struct features *f)
{
    return f->users == 1 && most_of(f->with_user, f->messages) && most_of(f->with_client, f->messages) && f->clients >= 5 &&
           f->domains >= 10 && hardly_any(f->null_senders, f->messages);
}

static bool is_relay(const struct features *f)
{
    return hardly_any(f->with_user, f->messages) && most_of(f->with_client, f->messages) && f->sender_domains >= 10 &&
           f->top_sender_domain <= f->messages / 2 && f->domains >= 20 && f->top_domain <= f->messages / 2 &&
           hardly_any(f->lists, f->headers) && hardly_any(f->null_senders, f->messages);
}

static bool is_backscatter(const struct features *f)
{
    return most_of(f->null_senders, f->messages) && f->domains >= 10 && f->top_domain <= f->messages / 2;
}

static bool held_back(const struct features *f, uint32_t part)
{
    return f->sampled >= 20 && part >= f->sampled / 2 && f->users + f->senders >= 10;
}

static enum flood of_all(const struct features *f)
{
    if (held_back(f, f->blocklist) && f->blocklist >= 3 * f->throttle)
        return FLOOD_BLOCKLIST;
    if (held_back(f, f->throttle) && f->throttle >= 3 * f->blocklist)
        return FLOOD_THROTTLE;
    if (held_back(f, f->blocklist + f->throttle))
        return FLOOD_UNCLEAR;
    return FLOOD_NONE;
}

enum flood classify(const struct features *f)
{
    static const struct {
        enum flood flood;
        bool (*fits)(const struct features *f);
    } rules[] = {
        { FLOOD_BACKSCATTER, is_backscatter }, { FLOOD_LIST, is_list },       { FLOOD_SCHEDULED, is_scheduled },
        { FLOOD_WATCHDOG, is_watchdog },       { FLOOD_ACCOUNT, is_account }, { FLOOD_RELAY, is_relay },
    };

    if (f->of == OF_ALL)
        return of_all(f);
    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
        if (rules[i].fits(f))
            return rules[i].flood;
    return FLOOD_UNCLEAR;
}

/* Strangers who change their address and their sender are nobody in particular, but may be half of the queue. */
void classify_count(struct features *f, const struct suspects *s, struct tally *const tallies[TRAIT_COUNT], const struct suspect *found)
{
    if (found) {
        count_group(f, s, tallies, found, OF_SUSPECT);
        return;
    }
    count_group(f, s, tallies, NULL, OF_STRANGERS);
    if (f->messages < STRANGERS_LEAST || f->messages < s->n - s->n / 2 || !is_relay(f))
        count_group(f, s, tallies, NULL, OF_ALL);
}

/* --- words --- */

static const struct {
    const char *name, *words;
} floods[FLOOD_COUNT] = {
    [FLOOD_NONE] = { "none", "Nobody stands out" },
    [FLOOD_UNCLEAR] = { "unclear", "What it is stays unclear" },
    [FLOOD_WATCHDOG] = { "watchdog", "Looks like a program that mails at equal intervals" },
    [FLOOD_SCHEDULED] = { "scheduled", "Looks like a scheduled job, which may be in order" },
    [FLOOD_ACCOUNT] = { "account", "Looks like a compromised account" },
    [FLOOD_RELAY] = { "relay", "Looks like strangers who use this host as a relay" },
    [FLOOD_BACKSCATTER] = { "backscatter", "Looks like backscatter, bounces of mail with forged senders" },
    [FLOOD_LIST] = { "list", "Looks like a newsletter or mailing list, which may be in order" },
    [FLOOD_BLOCKLIST] = { "blocklist", "Looks like ordinary mail that waits because this host is on a blocklist" },
    [FLOOD_THROTTLE] = { "throttle", "Looks like ordinary mail that waits because receivers throttle it" },
};

const char *classify_name(enum flood flood)
{
    return floods[flood].name;
}

static void put_number(struct text *t, const char *before, uint32_t n, const char *one, const char *many)
{
    text_put(t, before);
    if (n == 0)
        text_put(t, "no");
    else if (n == 1)
        text_put(t, "one");
    else
        text_count(t, n);
    text_format(t, " %s", n == 1 ? one : many);
}

static void put_share(struct text *t, uint32_t part, uint32_t whole, const char *what)
{
    if (part > 0 && whole > 0)
        text_format(t, ", %s in %.0f %%", what, 100.0 * part / whole);
}

void classify_sentence(struct text *t, enum flood flood, const struct features *f)
{
    text_format(t, "%s: ", floods[flood].words);
    if (f->regular)
        text_format(t, f->interval < 100 ? "every %.1f s, " : "every %.0f s, ", f->interval);
    put_number(t, "", f->users, "account", "accounts");
    put_number(t, ", ", f->clients, "client address", "client addresses");
    if (most_of(f->null_senders, f->messages))
        text_put(t, ", null senders");
    else
        put_number(t, ", ", f->sender_domains, "sender domain", "sender domains");
    put_number(t, ", ", f->domains, "recipient domain", "recipient domains");
    put_number(t, ", ", f->subjects, "subject", "subjects");
    put_share(t, f->lists, f->headers, "marks of lists");
    put_share(t, f->blocklist, f->sampled, "refused by blocklists");
    put_share(t, f->throttle, f->sampled, "throttled");
}
