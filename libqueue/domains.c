/*
 * The domains that a mail server's own settings name in plain words as its own: who mails from there gets a report at home, everybody else gets one from
 * a stranger. Tables are not looked into, and macros not followed, so what is not found is not known to be local, no more.
 */
#include <ctype.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine.h"
#include "sendmail.h"
#include "settings.h"

struct lq_domains {
    char **names;               /* lower case; ".example" is all below it */
    size_t n, cap;
    const char *source;
    bool failed;                /* no memory */
};

enum { NAME_LIMIT = 255, NAMES_MAX = 1 << 20, LINE_LIMIT = 4096 };

static void add(struct lq_domains *d, const char *name, size_t n)
{
    if (n == 0 || n > NAME_LIMIT || d->n == NAMES_MAX || d->failed)
        return;
    if (d->n == d->cap) {
        size_t cap = d->cap ? d->cap * 2 : 16;
        char **more = realloc(d->names, cap * sizeof(*more));

        d->failed = !more;
        if (!more)
            return;
        d->names = more;
        d->cap = cap;
    }
    d->names[d->n] = strndup(name, n);
    d->failed = !d->names[d->n];
    if (d->failed)
        return;
    for (char *c = d->names[d->n]; *c; c++)
        *c = (char)tolower((unsigned char)*c);
    d->n++;
}

/* Words that can be a name; tables ("hash:/etc/…"), files, and what is not the case ("!…") are none. */
static void add_words(struct lq_domains *d, const char *text)
{
    for (const char *at = text; *(at += strspn(at, ", \t\r\n")); at += strcspn(at, ", \t\r\n")) {
        size_t n = strcspn(at, ", \t\r\n");

        if (strspn(at, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_") == n)
            add(d, at, n);
    }
}

static void add_host(struct lq_domains *d)
{
    char name[HOST_NAME_MAX + 1];

    if (gethostname(name, sizeof(name)) == 0) {
        name[HOST_NAME_MAX] = '\0';
        add_words(d, name);
    }
}

/* The lists may be longer than a setting: once it is known which instance this is, its lines are read as they are. */
static void ask_postfix(struct lq_domains *d, const struct lq_queue *q)
{
    static const char *const names[] = {
        "myhostname", "mydestination", "virtual_alias_domains", "virtual_mailbox_domains", "relay_domains", NULL
    };
    static const struct find_places places = { .timeout_ms = SETTINGS_TIMEOUT_MS };
    struct setting config = { .name = "config_directory" };
    char text[PROGRAM_ANSWER_MAX], *at = text, *value;

    if (!settings_ask("postfix", q->fd, &config, 1, NULL) || config.value[0] != '/' ||
        !settings_postconf_ask(program_first(settings_postconf), config.value, &places, names, text))
        return;
    while ((value = settings_line(&at)))
        add_words(d, value);
}

static void ask_exim(struct lq_domains *d, const struct lq_queue *q)
{
    struct setting s[] = { { .name = "primary_hostname" }, { .name = "qualify_domain" } };

    if (!settings_ask("exim", q->fd, s, sizeof(s) / sizeof(s[0]), NULL))
        return;
    for (size_t i = 0; i < sizeof(s) / sizeof(s[0]); i++)
        add_words(d, s[i].value);
}

static void add_file(struct lq_domains *d, const char *path)
{
    FILE *f = fopen(path, "re");
    char line[LINE_LIMIT];

    while (f && fgets(line, sizeof(line), f)) {
        line[strcspn(line, "#\n")] = '\0';
        add_words(d, line);
    }
    if (f)
        fclose(f);
}

/* Classes w (this host) and R (may be relayed to): "Cwa.example b.example", "Fw/etc/mail/local-host-names", "FR-o /etc/mail/relay-domains" (8.17). */
static void read_class(struct lq_domains *d, const char *line)
{
    char path[PATH_MAX];

    if ((line[0] != 'C' && line[0] != 'F') || (line[1] != 'w' && line[1] != 'R'))
        return;
    if (line[0] == 'C') {
        add_words(d, line + 2);
        return;
    }
    line += 2;
    line += strncmp(line, "-o", 2) == 0 ? 2 : 0;
    line += strspn(line, " \t");
    snprintf(path, sizeof(path), "%.*s", (int)strcspn(line, " \t\n"), line);
    if (path[0] == '/')
        add_file(d, path);
}

static void ask_sendmail(struct lq_domains *d, const struct lq_queue *q)
{
    char line[LINE_LIMIT];

    for (const char *const *path = sendmail_cf_files; *path; path++) {
        struct sendmail_cf cf;
        struct stat here, there;
        FILE *f;

        if (!sendmail_cf_read(&cf, *path))
            continue;
        f = stat(cf.base, &there) == 0 && fstat(q->fd, &here) == 0 && here.st_dev == there.st_dev && here.st_ino == there.st_ino
                ? fopen(*path, "re") : NULL;
        sendmail_cf_done(&cf);
        while (f && fgets(line, sizeof(line), f))
            read_class(d, line);
        if (f)
            fclose(f);
    }
}

static const struct {
    const char *mta, *source;
    void (*ask)(struct lq_domains *d, const struct lq_queue *q);
} servers[] = {
    { "exim", "primary_hostname and qualify_domain of Exim; its other local domains cannot be asked for", ask_exim },
    { "postfix", "mydestination, virtual_alias_domains, virtual_mailbox_domains and relay_domains of Postfix, without their tables", ask_postfix },
    { "sendmail", "classes w and R of Sendmail, without their tables", ask_sendmail },
};

int lq_domains_ask(struct lq_domains **out, struct lq_queue *q, struct lq_error *err)
{
    struct lq_domains *d = calloc(1, sizeof(*d));

    if (!d)
        return error_memory(err);
    d->source = "the name of this host";
    for (size_t i = 0; i < sizeof(servers) / sizeof(servers[0]); i++) {
        if (strcmp(servers[i].mta, q->backend->name) != 0)
            continue;
        d->source = servers[i].source;
        servers[i].ask(d, q);
    }
    add_host(d);
    if (d->failed) {
        lq_domains_free(d);
        return error_memory(err);
    }
    *out = d;
    return LQ_OK;
}

bool lq_domains_has(const struct lq_domains *d, struct lq_str domain)
{
    for (size_t i = 0; domain.p && i < d->n; i++) {
        size_t n = strlen(d->names[i]);
        const char *end = domain.n >= n ? domain.p + domain.n - n : NULL;

        if (end && strncasecmp(end, d->names[i], n) == 0 && (domain.n == n || d->names[i][0] == '.'))
            return true;
    }
    return false;
}

const char *lq_domains_source(const struct lq_domains *d)
{
    return d->source;
}

void lq_domains_free(struct lq_domains *d)
{
    for (size_t i = 0; d && i < d->n; i++)
        free(d->names[i]);
    if (d)
        free(d->names);
    free(d);
}
