/* mqtools.conf: a wrong line is an error, never skipped, so that nobody acts without a default that they believe to be in force. */
#include "conf.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "report.h"

enum { CONF_MAX = 64 << 10 };

/* --- keys --- */

struct place {
    const char *path;
    unsigned long line;
};

static bool wrong(const struct place *at, const char *what, const char *value)
{
    report(REPORT_FAILED, "%s, line %lu: %s \"%s\"; nothing was done", at->path, at->line, what, value);
    return false;
}

static char *copy(const char *value)
{
    char *p = strdup(value);

    if (!p)
        report_no_memory();
    return p;
}

static bool set_once(char **to, const char *value, const struct place *at)
{
    if (*to)
        return wrong(at, "a second value,", value);
    *to = copy(value);
    return true;
}

static bool absolute(const char *value, const struct place *at)
{
    return value[0] == '/' || wrong(at, "not an absolute path:", value);
}

static bool set_vault(struct conf *c, const char *value, const struct place *at)
{
    return absolute(value, at) && set_once(&c->vault, value, at);
}

static bool set_reporter(struct conf *c, const char *value, const struct place *at)
{
    return set_once(&c->reporter, value, at);
}

/* Repeated lines add up, as the option does. */
static bool set_trust(struct conf *c, const char *value, const struct place *at)
{
    size_t old = c->trust ? strlen(c->trust) : 0;
    char *p = realloc(c->trust, old + strlen(value) + 2);

    (void)at;
    if (!p)
        report_no_memory();
    if (old)
        p[old++] = ',';
    strcpy(p + old, value);
    c->trust = p;
    return true;
}

static bool set_undo_days(struct conf *c, const char *value, const struct place *at)
{
    char *end;

    if (c->undo_days)
        return wrong(at, "a second value,", value);
    errno = 0;
    c->undo_days = strtoul(value, &end, 10);
    if (value[0] < '0' || value[0] > '9' || *end || errno || c->undo_days == 0 || c->undo_days > 36500)
        return wrong(at, "not a number of days from 1 to 36500:", value);
    return true;
}

static bool set_spool(struct conf *c, const char *value, const struct place *at)
{
    char **spools;

    if (!absolute(value, at))
        return false;
    spools = realloc(c->spools, (c->spool_count + 1) * sizeof(*spools));
    if (!spools)
        report_no_memory();
    c->spools = spools;
    spools[c->spool_count++] = copy(value);
    return true;
}

static const struct {
    const char *key;
    bool (*set)(struct conf *c, const char *value, const struct place *at);
} keys[] = {
    { "vault", set_vault }, { "trust", set_trust }, { "reporter", set_reporter }, { "undo_days", set_undo_days }, { "spool", set_spool },
};

/* --- lines --- */

static const char blank[] = " \t\r";

static char *trim(char *p)
{
    size_t n;

    p += strspn(p, blank);
    for (n = strlen(p); n > 0 && strchr(blank, p[n - 1]); n--)
        p[n - 1] = '\0';
    return p;
}

static bool parse_line(struct conf *c, char *line, const struct place *at)
{
    char *value, *key = trim(line);

    if (*key == '\0' || *key == '#')
        return true;
    value = strchr(key, '=');
    if (!value)
        return wrong(at, "no = in", key);
    *value++ = '\0';
    key = trim(key);
    value = trim(value);
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
        if (strcmp(key, keys[i].key) == 0)
            return *value ? keys[i].set(c, value, at) : wrong(at, "no value for", key);
    return wrong(at, "unknown key (known are vault, trust, reporter, undo_days, spool):", key);
}

static bool parse(struct conf *c, const char *path, char *text, size_t n)
{
    struct place at = { path, 0 };

    if (memchr(text, '\0', n)) {
        report(REPORT_FAILED, "%s: a NUL byte; nothing was done", path);
        return false;
    }
    for (char *line = text; line; ) {
        char *end = strchr(line, '\n');

        if (end)
            *end++ = '\0';
        at.line++;
        if (!parse_line(c, line, &at))
            return false;
        line = end;
    }
    return true;
}

/* --- the file --- */

/* What root would do by these lines must be for root, or the one who runs this, to write. */
static bool trusted(const char *path, const struct stat *st)
{
    if (!S_ISREG(st->st_mode)) {
        report(REPORT_FAILED, "%s: not a file", path);
        return false;
    }
    if ((st->st_uid != 0 && st->st_uid != geteuid()) || st->st_mode & (S_IWGRP | S_IWOTH)) {
        report(REPORT_FAILED, "%s: others can write it; it must belong to root and be writable by nobody else", path);
        return false;
    }
    return true;
}

static ssize_t read_whole(int fd, char *to, size_t room)
{
    size_t n = 0;

    while (n < room) {
        ssize_t got = read(fd, to + n, room - n);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -1;
        if (got == 0)
            break;
        n += (size_t)got;
    }
    return (ssize_t)n;
}

bool conf_read(struct conf *c, const char *path)
{
    const char *name = path ? path : CONF_PATH;
    char *text;
    struct stat st;
    ssize_t n;
    bool fine;
    int fd;

    *c = (struct conf){ 0 };
    fd = open(name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0 && errno == ENOENT && !path)
        return true;
    if (fd < 0 || fstat(fd, &st) < 0) {
        report(REPORT_FAILED, "%s: %s", name, strerror(errno));
        if (fd >= 0)
            close(fd);
        return false;
    }
    c->path = name;
    text = malloc(CONF_MAX + 1);
    if (!text)
        report_no_memory();
    fine = trusted(name, &st);
    n = fine ? read_whole(fd, text, CONF_MAX + 1) : 0;
    close(fd);
    if (n < 0 || n > CONF_MAX) {
        report(REPORT_FAILED, "%s: %s", name, n < 0 ? strerror(errno) : "larger than 64 KiB");
        fine = false;
    }
    if (fine) {
        text[n] = '\0';
        fine = parse(c, name, text, (size_t)n);
    }
    free(text);
    return fine;
}

void conf_done(struct conf *c)
{
    for (size_t i = 0; i < c->spool_count; i++)
        free(c->spools[i]);
    free(c->spools);
    free(c->vault);
    free(c->reporter);
    free(c->trust);
    *c = (struct conf){ 0 };
}
