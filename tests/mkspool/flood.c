/*
 * mkspool flood: a queue as it looks on a bad night. One account, from one address, sends the
 * same text all day (--kind: another flood, see night.c); around it lies the mail of a normal server. Which message comes next is
 * decided here, the same for every mail server; how it is stored is the writers' business.
 */
#include "mail.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { FLOOD_PERCENT = 81, FLOOD_PER_MINUTE = 340, DAY = 86400 };

static const char *const reasons[] = {
    "host mx.bigmail.example[198.51.100.25] said: 421 4.7.0 too many messages from this address, slow down",
    "host mx.bigmail.example[198.51.100.25] said: 421 4.7.0 too many messages from this address, slow down",
    "host mx2.letters.example[198.51.100.77] said: 451 4.7.1 greylisted, come back in five minutes",
    "connect to mx.slow.example[198.51.100.3]:25: Connection timed out",
    "connect to mx.gone.example[198.51.100.4]:25: Connection refused",
    "host mx.careful.example[198.51.100.90] said: 450 4.7.1 client blocked using bl.lists.example",
    "host mx.home.example[198.51.100.8] said: 452 4.2.2 mailbox full",
};
static const char *const domains[] = {
    "bigmail.example", "bigmail.example", "bigmail.example", "letters.example", "slow.example",
    "gone.example",    "careful.example", "home.example",    "school.example",  "firm.example",
};
static const char *const people[] = { "anna", "ben", "carla", "dario", "eva", "felix", "grace", "hugo" };
static const char *const topics[] = {
    "Minutes of Monday",  "Re: offer 2231", "=?UTF-8?Q?Gr=C3=BC=C3=9Fe_aus_dem_B=C3=BCro?=",
    "Invoice for October", "Lunch?",        "Re: Re: the new heating",
};
static const char *const logins[] = { "root", "www-data", "backup" };

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))
#define PICK(d, list) ((list)[dice_below(d, COUNT(list))])

const char *mail_date(int64_t when)
{
    static char text[64];
    time_t t = (time_t)when;
    struct tm tm;

    gmtime_r(&t, &tm);
    strftime(text, sizeof(text), "%a, %d %b %Y %H:%M:%S +0000", &tm);
    return text;
}

const char *mail_protocol(const struct mail *m)
{
    return m->auth_user[0] ? "ESMTPSA" : "ESMTP";
}

void mail_body(const struct mail *m, struct buf *out)
{
    static const char line[] = "This text was made by a machine to have a certain length and no meaning.\n";
    size_t end = out->n + m->body_size;

    while (out->n + sizeof(line) - 1 <= end)
        buf_put(out, line, sizeof(line) - 1);
    while (out->n + 1 < end)
        buf_char(out, 'x');
    if (out->n < end)
        buf_char(out, '\n');
}

const char digits_62[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

void put_digits(struct buf *out, uint64_t value, const char *alphabet, unsigned base, unsigned width)
{
    char digits[64];
    size_t n = sizeof(digits);

    do {
        digits[--n] = alphabet[value % base];
        value /= base;
    } while (value || n > sizeof(digits) - width);
    buf_put(out, digits + n, sizeof(digits) - n);
}

static void add_rcpt(struct flood *f, struct mail *m)
{
    snprintf(m->rcpts[m->rcpt_count++], ADDRESS_ROOM, "%s%u@%s", PICK(&f->dice, people),
             dice_below(&f->dice, 10000), PICK(&f->dice, domains));
}

/* The flood: one account, one address, one subject, one size. */
static void flooding(struct flood *f, struct mail *m)
{
    strcpy(m->sender, "user7@shop.example");
    strcpy(m->auth_user, "user7@shop.example");
    strcpy(m->client_address, "203.0.113.9");
    strcpy(m->helo, "desktop");
    strcpy(m->subject, "Your parcel is waiting");
    m->body_size = 1742;
    add_rcpt(f, m);
}

/* A user of this host's own, from an office or from home. */
static void by_user(struct flood *f, struct mail *m)
{
    const char *who = PICK(&f->dice, people);
    unsigned host = dice_below(&f->dice, 30) + 10;

    snprintf(m->sender, sizeof(m->sender), "%s@shop.example", who);
    strcpy(m->auth_user, m->sender);
    if (host % 3 == 0)
        snprintf(m->client_address, sizeof(m->client_address), "2001:db8::%x", host);
    else
        snprintf(m->client_address, sizeof(m->client_address), "192.0.2.%u", host);
    snprintf(m->client_name, sizeof(m->client_name), "pc%u.office.example", host);
    strcpy(m->helo, m->client_name);
    snprintf(m->subject, sizeof(m->subject), "%s", PICK(&f->dice, topics));
    m->body_size = 300 + dice_below(&f->dice, 9000);
    for (unsigned i = 0, n = 1 + dice_below(&f->dice, 3); i < n; i++)
        add_rcpt(f, m);
}

static void from_outside(struct flood *f, struct mail *m)
{
    unsigned host = dice_below(&f->dice, 200) + 2;

    snprintf(m->sender, sizeof(m->sender), "%s@%s", PICK(&f->dice, people), PICK(&f->dice, domains));
    snprintf(m->client_address, sizeof(m->client_address), "198.51.100.%u", host);
    if (host % 4)
        snprintf(m->client_name, sizeof(m->client_name), "out%u.relay.example", host);
    snprintf(m->helo, sizeof(m->helo), "out%u.relay.example", host);
    snprintf(m->subject, sizeof(m->subject), "%s", PICK(&f->dice, topics));
    m->body_size = 500 + dice_below(&f->dice, 20000);
    add_rcpt(f, m);
}

/* What the flood leaves behind: its bounces cannot be delivered either. */
static void bounce(struct flood *f, struct mail *m)
{
    strcpy(m->subject, "Undelivered mail");
    m->body_size = 2400 + dice_below(&f->dice, 200);
    strcpy(m->rcpts[m->rcpt_count++], dice_below(&f->dice, 4) ? "user7@shop.example" : "news@letters.example");
}

static void local(struct flood *f, struct mail *m)
{
    m->login = PICK(&f->dice, logins);
    snprintf(m->sender, sizeof(m->sender), "%s@" MAIL_HOST, m->login);
    snprintf(m->subject, sizeof(m->subject), "Report of job %u", dice_below(&f->dice, 40));
    m->body_size = 100 + dice_below(&f->dice, 4000);
    strcpy(m->rcpts[m->rcpt_count++], "admin@firm.example");
}

static void newsletter(struct flood *f, struct mail *m)
{
    strcpy(m->sender, "news-bounces@letters.example");
    strcpy(m->client_address, "198.51.100.77");
    strcpy(m->client_name, "lists.letters.example");
    strcpy(m->helo, "lists.letters.example");
    snprintf(m->subject, sizeof(m->subject), "Letter no. %u", 100 + dice_below(&f->dice, 5));
    m->body_size = 12000;
    for (unsigned i = 0, n = 20 + dice_below(&f->dice, 30); i < n; i++)
        add_rcpt(f, m);
    m->done_count = dice_below(&f->dice, (uint32_t)m->rcpt_count - 1);
}

/* How often each kind is met in the rest. */
static void (*const kinds[])(struct flood *f, struct mail *m) = {
    by_user, by_user, by_user, by_user, by_user, by_user, by_user, from_outside, from_outside, from_outside,
    from_outside, from_outside, bounce, bounce, bounce, local, local, local, newsletter, newsletter,
};

static void fate(struct flood *f, struct mail *m, bool flooder)
{
    uint32_t die = dice_below(&f->dice, 100);
    int64_t age = f->now - m->when;

    m->state = die < 75 ? MAIL_DEFERRED : die < 90 ? MAIL_NEW : die < 95 ? MAIL_ACTIVE : MAIL_HELD;
    if (m->state == MAIL_HELD && flooder)
        m->state = MAIL_DEFERRED;
    if (m->done_count && m->state == MAIL_NEW)
        m->state = MAIL_DEFERRED;
    if (m->state == MAIL_HELD)
        m->reason = "held by the administrator: ticket 7";
    if (m->state != MAIL_DEFERRED)
        return;
    if (f->reason && dice_below(&f->dice, 10) < 8)
        m->reason = f->reason;
    else if (f->night)
        m->reason = PICK(&f->dice, reasons);
    else
        m->reason = flooder && dice_below(&f->dice, 3) ? reasons[0] : PICK(&f->dice, reasons);
    m->attempts = 1 + (unsigned)(age / 3000);
    m->last_attempt = m->when + 1 + (int64_t)dice_below(&f->dice, (uint32_t)age);
    m->next_attempt = m->last_attempt + 300 + (int64_t)dice_below(&f->dice, 3700);
}

static void invent(struct flood *f, struct mail *m, uint32_t serial, uint32_t flood_time)
{
    const bool flooder = dice_below(&f->dice, 100) < f->percent;

    memset(m, 0, sizeof(*m));
    m->serial = serial;
    m->when = f->now - 1 - (int64_t)dice_below(&f->dice, flooder ? flood_time : 2 * DAY);
    m->usec = dice_below(&f->dice, 1000000);
    if (flooder && f->night) {
        int64_t when = night_time(f, flood_time);

        m->when = when / 1000000;
        m->usec = (uint32_t)(when % 1000000);
        night_message(f, m);
    } else if (flooder) {
        flooding(f, m);
    } else {
        PICK(&f->dice, kinds)(f, m);
    }
    fate(f, m, flooder);
}

static const struct {
    const char *mta;
    void (*skeleton)(struct flood *f);
    void (*write)(struct flood *f, const struct mail *m);
} writers[] = {
    { "postfix", postfix_skeleton, postfix_write },
    { "exim", exim_skeleton, exim_write },
    { "sendmail", sendmail_skeleton, sendmail_write },
};

int flood_main(int argc, char **argv)
{
    static const struct option options[] = {
        { "seed", required_argument, NULL, 's' }, { "now", required_argument, NULL, 'w' },
        { "long-ids", no_argument, NULL, 'l' },   { "flat", no_argument, NULL, 'f' },
        { "body", required_argument, NULL, 'b' }, { "kind", required_argument, NULL, 'k' },
        { NULL, 0, NULL, 0 },
    };
    struct flood f = { .now = 1795294800, .dice = { 1 }, .percent = FLOOD_PERCENT };
    static struct mail m;
    const char *kind = NULL;
    size_t body = 0; /* 0: as each kind of message has it */
    uint32_t n = 1000, flood_time; /* seconds since it began */
    int c;

    while ((c = getopt_long(argc, argv, "n:", options, NULL)) != -1) {
        switch (c) {
        case 'n': n = (uint32_t)strtoul(optarg, NULL, 10); break;
        case 's': f.dice.state = strtoull(optarg, NULL, 10); break;
        case 'w': f.now = strtoll(optarg, NULL, 10); break;
        case 'b': body = strtoul(optarg, NULL, 10); break;
        case 'k': kind = optarg; break;
        case 'l': f.long_ids = true; break;
        case 'f': f.flat = true; break;
        default: return 2;
        }
    }
    if (argc - optind != 2)
        die("flood MTA DIR [-n N] [--seed S] [--long-ids] [--flat] [--now EPOCH] [--body BYTES] [--kind KIND]");
    if (kind)
        night_begin(&f, kind);
    for (size_t i = 0; i < COUNT(writers); i++) {
        if (strcmp(argv[optind], writers[i].mta) != 0)
            continue;
        tree_begin(&f.tree, argv[optind + 1]);
        f.tree.mtime = f.now;
        writers[i].skeleton(&f);
        flood_time = 1 + n / 100 * FLOOD_PERCENT * 60 / FLOOD_PER_MINUTE;
        for (uint32_t serial = 0; serial < n; serial++) {
            invent(&f, &m, serial, flood_time);
            m.body_size = body ? body : m.body_size;
            writers[i].write(&f, &m);
        }
        tree_end(&f.tree);
        return 0;
    }
    die("no mail server is called '%s': postfix, exim or sendmail", argv[optind]);
}
