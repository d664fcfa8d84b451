/*
 * sendmail.cf and submit.cf, as far as they say where queues are and what they are called:
 * QueueDirectory (and its old form OQ), Q lines, QueueFileMode; and how long messages are tried. Knows no queue file. Facts:
 * Sendmail 8.17 (readcf.c) and the Operations Guide, 5.6 and 5.12.
 */
#include "sendmail.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    CF_MAX = 4 << 20,           /* the files of the distribution have 60 to 80 KiB */
    TIME_MAX = 1000000000       /* of a number before its unit, and of the sum: beyond it is forever */
};

const char *const sendmail_cf_files[] = {
    "/etc/mail/sendmail.cf", "/etc/mail/submit.cf", "/etc/sendmail.cf",
    "/usr/local/etc/mail/sendmail.cf", NULL
};

static bool blank(unsigned char c)
{
    return c == ' ' || c == '\t';
}

static struct bytes next_line(struct bytes *text)
{
    size_t n = bytes_find(*text, '\n');
    struct bytes line = { text->p, n };

    *text = bytes_skip(*text, n + 1);
    if (line.n > 0 && line.p[line.n - 1] == '\r')
        line.n--;
    line.n = bytes_find(line, '\0');        /* to sendmail a line is a string */
    return line;
}

static struct sendmail_group *find_group(struct sendmail_cf *cf, struct bytes name)
{
    for (size_t i = 0; i < cf->count; i++)
        if (bytes_eq(bytes_from(cf->groups[i].name, strlen(cf->groups[i].name)), name))
            return &cf->groups[i];
    return NULL;
}

/*
 * Give a group its directory: without star, without slashes at the end. Only absolute paths without
 * macros mean something here.
 */
static bool set_path(struct sendmail_group *group, struct bytes path)
{
    char *copy;

    path = bytes_trim(path);
    if (path.n == 0 || path.p[0] != '/' || bytes_find(path, '$') < path.n)
        return true;
    group->star = path.p[path.n - 1] == '*';
    if (group->star)
        path.n--;
    while (!group->star && path.n > 1 && path.p[path.n - 1] == '/')
        path.n--;
    copy = strndup((const char *)path.p, path.n);
    if (!copy)
        return false;
    free(group->path);
    group->path = copy;
    return true;
}

static struct sendmail_group *add_group(struct sendmail_cf *cf, struct bytes name)
{
    struct sendmail_group *group = find_group(cf, name);

    if (group)
        return group;
    if (cf->count == SENDMAIL_GROUPS_MAX)
        return NULL;
    group = &cf->groups[cf->count];
    *group = (struct sendmail_group){ .name = strndup((const char *)name.p, name.n) };
    if (!group->name)
        return NULL;
    cf->count++;
    return group;
}

/* Qname, P=/var/spool/mqueue/fast, F=f, …: of each field's name only the first letter counts. */
static bool queue_line(struct sendmail_cf *cf, struct bytes line)
{
    size_t n = bytes_find(line, ',');
    struct bytes name = bytes_trim(bytes_from(line.p, n)), field;
    struct sendmail_group *group;

    if (name.n == 0)
        return true;
    group = add_group(cf, name);
    if (!group)
        return cf->count == SENDMAIL_GROUPS_MAX;
    for (line = bytes_skip(line, n + 1); line.n > 0; line = bytes_skip(line, n + 1)) {
        n = bytes_find(line, ',');
        field = bytes_trim(bytes_from(line.p, n));
        if (field.n > 0 && field.p[0] == 'P' && bytes_find(field, '=') < field.n &&
            !set_path(group, bytes_skip(field, bytes_find(field, '=') + 1)))
            return false;
    }
    return true;
}

static unsigned octal(struct bytes v)
{
    unsigned mode = 0;

    for (v = bytes_trim(v); v.n > 0 && v.p[0] >= '0' && v.p[0] <= '7' && mode < 010000;
         v = bytes_skip(v, 1))
        mode = mode << 3 | (unsigned)(v.p[0] - '0');
    return mode;
}

/*
 * "5d", "4h30m": units s, m, h, d, w; a number alone counts in days here. "now" is nothing, a word that begins with i is forever (8.17,
 * convtime).
 */
static int64_t time_span(struct bytes v)
{
    static const struct {
        char unit;
        int64_t seconds;
    } units[] = { { 's', 1 }, { 'm', 60 }, { 'h', 3600 }, { 'd', 86400 }, { 'w', 7 * 86400 } };
    int64_t sum = 0, n;

    v = bytes_trim(v);
    if (v.n > 0 && ascii_lower(v.p[0]) == 'i')
        return SENDMAIL_NEVER;
    while (v.n > 0 && v.p[0] >= '0' && v.p[0] <= '9') {
        int64_t seconds = 86400;

        if (!bytes_take_number(&v, &n) || n > TIME_MAX || sum > TIME_MAX)
            return SENDMAIL_NEVER;

        for (size_t i = 0; i < sizeof(units) / sizeof(units[0]) && v.n > 0; i++)
            if (ascii_lower(v.p[0]) == (unsigned char)units[i].unit)
                seconds = units[i].seconds;
        sum += n * seconds;
        v = bytes_skip(v, 1);
    }
    return sum;
}

/* "O Name=value" since 8.7, "OXvalue" with a letter before. */
static bool option_line(struct sendmail_cf *cf, struct bytes line)
{
    struct bytes name;
    size_t n;

    if (line.n > 0 && line.p[0] == 'Q')
        return set_path(&cf->groups[0], bytes_skip(line, 1));
    if (line.n == 0 || !blank(line.p[0]))
        return true;
    n = bytes_find(line, '=');
    name = bytes_trim(bytes_from(line.p, n));
    if (bytes_ieq(name, BYTES("QueueDirectory")))
        return set_path(&cf->groups[0], bytes_skip(line, n + 1));
    if (bytes_ieq(name, BYTES("QueueFileMode")))
        cf->file_mode = octal(bytes_skip(line, n + 1));
    if (bytes_ieq(name, BYTES("Timeout.queuereturn")) || bytes_ieq(name, BYTES("Timeout.queuereturn.normal")))
        cf->queue_return = time_span(bytes_skip(line, n + 1));
    return true;
}

/* The base directory: QueueDirectory, or its parent when it ends in a star. */
static bool set_base(struct sendmail_cf *cf)
{
    char *slash;

    cf->base = strdup(cf->groups[0].path);
    if (!cf->base)
        return false;
    slash = cf->groups[0].star ? strrchr(cf->base, '/') : NULL;
    if (slash)
        slash[slash == cf->base ? 1 : 0] = '\0';
    return true;
}

bool sendmail_cf_parse(struct sendmail_cf *cf, struct bytes text)
{
    bool fine;

    memset(cf, 0, sizeof(*cf));
    cf->file_mode = 0600;
    cf->queue_return = SENDMAIL_QUEUE_RETURN;
    fine = add_group(cf, BYTES("mqueue")) != NULL;
    while (fine && text.n > 0) {
        struct bytes line = next_line(&text);

        if (line.n > 0 && line.p[0] == 'O')
            fine = option_line(cf, bytes_skip(line, 1));
        else if (line.n > 0 && line.p[0] == 'Q')
            fine = queue_line(cf, bytes_skip(line, 1));
    }
    if (fine && cf->groups[0].path)
        fine = set_base(cf);
    if (!fine || !cf->base)
        sendmail_cf_done(cf);
    return fine;
}

bool sendmail_cf_read(struct sendmail_cf *cf, const char *path)
{
    FILE *f = fopen(path, "re");
    char *text = f ? malloc(CF_MAX) : NULL;
    size_t n = text ? fread(text, 1, CF_MAX, f) : 0;
    bool fine = n > 0 && !ferror(f);

    memset(cf, 0, sizeof(*cf));
    fine = fine && sendmail_cf_parse(cf, bytes_from(text, n)) && cf->count > 0;
    free(text);
    if (f)
        fclose(f);
    return fine;
}

void sendmail_cf_done(struct sendmail_cf *cf)
{
    for (size_t i = 0; i < cf->count; i++) {
        free(cf->groups[i].name);
        free(cf->groups[i].path);
    }
    free(cf->base);
    memset(cf, 0, sizeof(*cf));
}

/* The group's path below the base directory; NULL when it is elsewhere. */
static const char *below_base(const struct sendmail_cf *cf, const struct sendmail_group *group)
{
    size_t n = strlen(cf->base);

    if (!group->path || strncmp(group->path, cf->base, n) != 0)
        return NULL;
    if (n == 1)
        return group->path + 1;
    if (group->path[n] == '\0')
        return group->path + n;
    return group->path[n] == '/' ? group->path + n + 1 : NULL;
}

static bool is_of(const struct sendmail_group *group, const char *below, const char *dir)
{
    size_t n = strlen(below);

    if (!group->star)
        return strcmp(below, dir) == 0;
    return strncmp(below, dir, n) == 0 && dir[n] != '\0' && !strchr(dir + n, '/');
}

const char *sendmail_cf_group(const struct sendmail_cf *cf, const char *dir)
{
    /* The default group last: its star may also cover directories of the others. */
    for (size_t i = cf->count; i-- > 0;) {
        const char *below = below_base(cf, &cf->groups[i]);

        if (below && is_of(&cf->groups[i], below, dir))
            return cf->groups[i].name;
    }
    return "mqueue";
}
