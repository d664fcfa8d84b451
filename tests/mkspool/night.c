/*
 * What floods a queue, kind by kind, innocent ones among them. Each draws its habits from the seed first (how often, how many
 * addresses, domains and subjects, how honest its headers), so that no two nights are alike.
 */
#include "mail.h"

#include <stdio.h>
#include <string.h>

enum {
    EVERY,              /* milliseconds from one message to the next; 0: by chance */
    CLIENTS, DOMAINS, SUBJECTS, SENDERS,
    HONEST,             /* a list marks its mail as such */
    SIZE, FORGED
};

static uint32_t between(struct flood *f, uint32_t low, uint32_t high)
{
    return low + dice_below(&f->dice, high - low + 1);
}

static void to_anybody(struct flood *f, struct mail *m)
{
    snprintf(m->rcpts[m->rcpt_count++], ADDRESS_ROOM, "p%u@d%u.example", dice_below(&f->dice, 100000),
             dice_below(&f->dice, f->habits[DOMAINS]));
}

static void from_outside(struct flood *f, struct mail *m)
{
    uint32_t c = dice_below(&f->dice, f->habits[CLIENTS]);

    snprintf(m->client_address, sizeof(m->client_address), "203.0.%u.%u", 113 + c / 250 % 100, 1 + c % 250);
    snprintf(m->helo, sizeof(m->helo), "host%u", c);
}

static void a_subject(struct flood *f, struct mail *m, const char *what)
{
    uint32_t n = dice_below(&f->dice, f->habits[SUBJECTS]);

    snprintf(m->subject, sizeof(m->subject), n ? "%s %u" : "%s", what, n);
}

/* --- kinds: habits, then a message --- */

static void watchdog_habits(struct flood *f)
{
    f->habits[EVERY] = between(f, 500, 30000);
    f->habits[SUBJECTS] = dice_below(&f->dice, 2) ? 1 : 1000;
    f->habits[CLIENTS] = dice_below(&f->dice, 3);       /* 0: a program of this host */
    f->habits[SIZE] = between(f, 200, 3000);
}

static void watchdog(struct flood *f, struct mail *m)
{
    strcpy(m->sender, "watchdog@plant.example");
    strcpy(m->rcpts[m->rcpt_count++], "oncall@firm.example");
    a_subject(f, m, "Pressure low");
    m->body_size = f->habits[SIZE] + dice_below(&f->dice, 8);
    if (f->habits[CLIENTS] > 0) {
        strcpy(m->client_address, "10.1.2.3");
        strcpy(m->helo, "plc7");
    } else {
        m->login = "root";
    }
}

static void scheduled_habits(struct flood *f)
{
    static const uint32_t minutes[] = { 1, 2, 5, 10, 15 };

    f->habits[EVERY] = minutes[dice_below(&f->dice, 5)] * 60000;
    f->habits[SIZE] = between(f, 100, 5000);
}

static void scheduled(struct flood *f, struct mail *m)
{
    strcpy(m->sender, "root@" MAIL_HOST);
    strcpy(m->rcpts[m->rcpt_count++], "admin@firm.example");
    strcpy(m->subject, "Cron <root@mx> /usr/local/bin/check-backup");
    m->body_size = f->habits[SIZE] + dice_below(&f->dice, 200);
    m->login = "root";
}

static void account_habits(struct flood *f)
{
    f->habits[CLIENTS] = between(f, 6, 400);
    f->habits[DOMAINS] = between(f, 30, 3000);
    f->habits[SUBJECTS] = between(f, 1, 50);
    f->habits[FORGED] = dice_below(&f->dice, 2);
    f->habits[HONEST] = dice_below(&f->dice, 20);       /* spammers write such headers, too: some unsubscribe links, few whole lists */
    f->habits[SIZE] = between(f, 500, 9000);
}

static void account(struct flood *f, struct mail *m)
{
    strcpy(m->auth_user, "postmaster@shop.example");
    if (f->habits[FORGED])
        snprintf(m->sender, sizeof(m->sender), "s%u@f%u.example", dice_below(&f->dice, 9999), dice_below(&f->dice, 300));
    else
        strcpy(m->sender, m->auth_user);
    from_outside(f, m);
    a_subject(f, m, "Your account is limited");
    to_anybody(f, m);
    m->headers = f->habits[HONEST] == 0 ? "List-Id: <deals.f1.example>\nList-Unsubscribe: <mailto:off@f1.example>\n"
                 : f->habits[HONEST] < 5 ? "List-Unsubscribe: <mailto:off@f1.example>\n" : NULL;
    m->body_size = f->habits[SIZE] + dice_below(&f->dice, 60);
}

/* A stolen account, but all of it through one webmail host: in the queue like somebody who writes to many. */
static void webmail_habits(struct flood *f)
{
    account_habits(f);
    f->habits[CLIENTS] = 1;
    f->habits[FORGED] = 0;
    f->habits[DOMAINS] = dice_below(&f->dice, 2) ? 1 : f->habits[DOMAINS];
}

static void relay_habits(struct flood *f)
{
    f->habits[CLIENTS] = between(f, 1, 3);
    f->habits[DOMAINS] = between(f, 60, 3000);
    f->habits[SENDERS] = between(f, 1, 500);
    f->habits[SUBJECTS] = between(f, 1, 200);
    f->habits[SIZE] = between(f, 500, 9000);
}

static void relay(struct flood *f, struct mail *m)
{
    snprintf(m->sender, sizeof(m->sender), "offer%u@f%u.example", dice_below(&f->dice, 9999), dice_below(&f->dice, f->habits[SENDERS]));
    from_outside(f, m);
    if (f->habits[CLIENTS] < 3)
        strcpy(m->client_address, "203.0.113.77");      /* the proxy next door */
    a_subject(f, m, "Loans");
    to_anybody(f, m);
    m->body_size = f->habits[SIZE] + dice_below(&f->dice, 400);
}

static void backscatter_habits(struct flood *f)
{
    f->habits[DOMAINS] = dice_below(&f->dice, 5) ? between(f, 40, 3000) : between(f, 1, 5);     /* or: of one flood's sender */
    f->habits[SUBJECTS] = between(f, 1, 3);
}

static void backscatter(struct flood *f, struct mail *m)
{
    a_subject(f, m, "Undelivered Mail Returned to Sender");
    to_anybody(f, m);
    m->body_size = 1500 + dice_below(&f->dice, 6000);
}

static void newsletter_habits(struct flood *f)
{
    f->habits[DOMAINS] = between(f, 30, 2000);
    f->habits[HONEST] = dice_below(&f->dice, 7) != 0;
    f->habits[CLIENTS] = between(f, 1, 3);
    f->habits[SENDERS] = dice_below(&f->dice, 2);
    f->habits[SIZE] = between(f, 5000, 60000);
}

static void newsletter(struct flood *f, struct mail *m)
{
    to_anybody(f, m);
    if (f->habits[SENDERS])
        snprintf(m->sender, sizeof(m->sender), "news+%u@letters.example", m->serial);
    else
        strcpy(m->sender, "news@letters.example");
    if (f->habits[CLIENTS] > 1)
        strcpy(m->auth_user, "news@letters.example");
    snprintf(m->client_address, sizeof(m->client_address), "198.51.100.%u", 70 + dice_below(&f->dice, f->habits[CLIENTS]));
    strcpy(m->helo, "lists.letters.example");
    strcpy(m->subject, "Letter no. 117");
    m->headers = f->habits[HONEST] ? "List-Id: <news.letters.example>\nList-Unsubscribe: <https://letters.example/off>\n" : NULL;
    m->body_size = f->habits[SIZE] + dice_below(&f->dice, 100);
}

static void list_habits(struct flood *f)
{
    f->habits[DOMAINS] = between(f, 10, 400);
    f->habits[HONEST] = dice_below(&f->dice, 10) != 0;
    f->habits[SUBJECTS] = between(f, 2, 30);
}

static void list(struct flood *f, struct mail *m)
{
    strcpy(m->sender, "garden-bounces@" MAIL_HOST);
    m->login = "list";
    for (uint32_t i = 0, n = between(f, 1, 20); i < n; i++)
        to_anybody(f, m);
    a_subject(f, m, "[garden] Re: tomatoes");
    m->headers = f->habits[HONEST] ? "List-Id: <garden.example>\nPrecedence: list\n" : NULL;
    m->body_size = 800 + dice_below(&f->dice, 9000);
}

static const struct night {
    const char *name;
    void (*habits)(struct flood *f);
    void (*message)(struct flood *f, struct mail *m);   /* NULL: nothing floods */
    const char *reason;                 /* of most of what waits */
} nights[] = {
    { "watchdog", watchdog_habits, watchdog, NULL },
    { "scheduled", scheduled_habits, scheduled, NULL },
    { "account", account_habits, account, NULL },
    { "webmail", webmail_habits, account, NULL },
    { "relay", relay_habits, relay, NULL },
    { "backscatter", backscatter_habits, backscatter, NULL },
    { "newsletter", newsletter_habits, newsletter, NULL },
    { "list", list_habits, list, NULL },
    { "blocklist", NULL, NULL, "host mx.bigmail.example[198.51.100.25] said: 550 5.7.1 blocked using bl.lists.example" },
    { "throttle", NULL, NULL, "host mx.bigmail.example[198.51.100.25] said: 421 4.7.0 too many messages from this address, slow down" },
    { "ordinary", NULL, NULL, NULL },
};

void night_begin(struct flood *f, const char *kind)
{
    for (size_t i = 0; i < sizeof(nights) / sizeof(nights[0]); i++)
        if (strcmp(nights[i].name, kind) == 0)
            f->night = &nights[i];
    if (!f->night) {
        die("no flood is called '%s'", kind);
        return;
    }
    f->percent = f->night->message ? between(f, 58, 95) : 0;
    f->reason = f->night->reason;
    f->kept = between(f, 60, 100);
    f->jitter = between(f, 0, 4);
    if (f->night->habits)
        f->night->habits(f);
}

/* At equal intervals some get away, and each comes a little late; others come by chance. */
int64_t night_time(struct flood *f, uint32_t flood_time)
{
    uint64_t every = f->habits[EVERY];

    if (!every)
        return (f->now - 1 - (int64_t)dice_below(&f->dice, flood_time)) * 1000000 + dice_below(&f->dice, 1000000);
    do
        f->ticks++;
    while (dice_below(&f->dice, 100) >= f->kept);
    return ((f->now - 1) / 3600 * 3600) * 1000000 - (int64_t)(f->ticks * every * 1000) +
           (int64_t)dice_below(&f->dice, (uint32_t)(1 + (every < 20000 ? every : 20000) * 10 * f->jitter));
}

void night_message(struct flood *f, struct mail *m)
{
    f->night->message(f, m);
}
