/*
 * Giving up messages of Sendmail: a queue run over exactly these ids with Timeout.queuereturn=now, which returns them without another attempt (8.17 and
 * 8.18, tried). It goes on after its program has ended, tries to deliver each report itself, and removes the message after that.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "program.h"
#include "sendmail_places.h"

enum { AT_ONCE = 8, TIME_LIMIT_MS = 60000, ASK_MS = 5000 };

static const char *const programs[] = { "/usr/sbin/sendmail", "/usr/lib/sendmail", "/usr/local/sbin/sendmail", NULL };

/* The configuration file whose queue this is; NULL: none is known. */
static const char *config_of(const struct spool *sp)
{
    for (const char *const *path = sendmail_cf_files; *path; path++) {
        struct sendmail_cf cf;
        struct stat here, there;
        bool same;

        if (!sendmail_cf_read(&cf, *path))
            continue;
        same = stat(cf.base, &there) == 0 && fstat(sp->fd, &here) == 0 && here.st_dev == there.st_dev && here.st_ino == there.st_ino;
        sendmail_cf_done(&cf);
        if (same)
            return *path;
    }
    return NULL;
}

static bool is_submission(const char *config)
{
    const char *slash = strrchr(config, '/');

    return strcmp(slash ? slash + 1 : config, "submit.cf") == 0;
}

/* Postfix and Exim install a program of this name, too. */
static bool is_sendmail(const char *program)
{
    static char version[] = "-d0.1", test[] = "-bt";
    char *argv[] = { (char *)program, version, test, NULL };
    char text[PROGRAM_ANSWER_MAX];
    int major = 0, minor = 0;

    return program_ask(argv, ASK_MS, text) && sscanf(text, "Version %d.%d", &major, &minor) == 2 && major == 8 && minor >= 12;
}

static bool able(struct spool *sp, char why[256])
{
    const char *config = config_of(sp), *program = program_first(programs);

    if (!config || !program || !is_sendmail(program))
        snprintf(why, 256, "only Sendmail itself can send non-delivery reports, and none is installed here whose queue this is");
    else if (is_submission(config))
        snprintf(why, 256, "this is the queue of mail on its way to the server: let it go there, and return it from there");
    else
        return true;
    return false;
}

/* -qI takes every id that has this one in it. */
static bool longer_id(struct spool *sp, const char *id)
{
    size_t n = strlen(id);
    bool found = false;

    for (size_t i = 0; i < sp->dir_count && !found; i++) {
        int fd = dup(sp->dirs[i].fd);
        DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
        struct dirent *d;

        if (!dir) {
            close(fd);
            return true;
        }
        rewinddir(dir);
        while (!found && (d = readdir(dir)))
            found = strlen(d->d_name) > n + 2 && strstr(d->d_name, id);
        closedir(dir);
    }
    return found;
}

static bool fits(struct spool *sp, const struct claim *c, const char *id, char why[256])
{
    if (c->parts[0].role != ROLE_QF)
        snprintf(why, 256, "is quarantined, and so would be its report: release it first");
    else if (longer_id(sp, id))
        snprintf(why, 256, "has an id that is a part of another one, and Sendmail would return both");
    else
        return true;
    return false;
}

/*
 * The report is tried at once; a host that does not answer shall not hold up the others for minutes. Timeout.queuereturn=now is that of
 * reports, too: one that is put off, as greylisting does, would be given up at once, and be lost (8.17, watched), so theirs is named
 * after it. It counts for this run alone.
 */
static bool begin(struct spool *sp, const struct given_up *m, size_t n, char why[256])
{
    static char mta[] = "-Am", c[] = "-C", now[] = "-OTimeout.queuereturn=now", later[] = "-OTimeout.queuereturn.dsn=5d",
                connect[] = "-OTimeout.connect=10s", first[] = "-OTimeout.iconnect=10s", all[] = "-OTimeout.aconnect=20s",
                initial[] = "-OTimeout.initial=20s";
    const char *config = config_of(sp);
    char *argv[AT_ONCE + 11] = { (char *)program_first(programs), mta, c, (char *)config, now, later, connect, first, all, initial };
    char ids[AT_ONCE][NAME_MAX + 4];
    size_t count = 10;

    for (size_t i = 0; i < n && i < AT_ONCE; i++) {
        snprintf(ids[i], sizeof(ids[i]), "-qI%s", m[i].id);
        argv[count++] = ids[i];
    }
    argv[count] = NULL;
    if (argv[0] && config && program_run(argv, TIME_LIMIT_MS) != PROGRAM_MISSING)
        return true;
    snprintf(why, 256, "sendmail cannot be run");
    return false;
}

const struct lq_bouncer sendmail_bouncer = {
    .at_once = AT_ONCE,
    .goes_on = true,
    .left = "Sendmail has not returned it yet: it may still be sending the report, or have been delivering the message; look again",
    .able = able,
    .fits = fits,
    .begin = begin,
};
