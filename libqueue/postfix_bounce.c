/*
 * Giving up messages of Postfix: the mark of `postsuper -e`, group execute permission, which its queue manager knows since 3.5: when it comes to such a
 * message it delivers nothing more and returns it with the reasons of its delays. Made through the descriptor of the file that was looked at, under its
 * lock: an id may be another message's by the time a program is told it. (3.7 and 3.10, tried.)
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "postfix.h"
#include "settings.h"

enum { AT_ONCE = 512, FORCED_EXPIRE = 0010, TIME_LIMIT_MS = 10000 };

enum { VERSION, CONFIG, COMMANDS, SETTINGS };

static bool ask(const struct spool *sp, struct setting s[SETTINGS])
{
    s[VERSION].name = "mail_version";
    s[CONFIG].name = "config_directory";
    s[COMMANDS].name = "command_directory";
    return settings_ask("postfix", sp->fd, s, SETTINGS, NULL);
}

static bool able(struct spool *sp, char why[256])
{
    struct setting s[SETTINGS];
    int major, minor;

    if (!ask(sp, s) || sscanf(s[VERSION].value, "%d.%d", &major, &minor) != 2) {
        snprintf(why, 256, "only Postfix itself can send non-delivery reports, and none is installed here whose queue_directory this is");
        return false;
    }
    if (major > 3 || (major == 3 && minor >= 5))
        return true;
    snprintf(why, 256, "Postfix %.40s cannot be told to return single messages: 3.5 and later can", s[VERSION].value);
    return false;
}

static bool fits(struct spool *sp, const struct claim *c, const char *id, char why[256])
{
    int role = c->parts[0].role;

    (void)sp;
    (void)id;
    if (role != PF_CORRUPT && role != PF_MAILDROP)
        return true;
    snprintf(why, 256, role == PF_CORRUPT ? "is in the corrupt queue, from which Postfix returns nothing"
                                          : "is in the maildrop: Postfix has not taken it in yet");
    return false;
}

/*
 * Due now, too, so that the queue manager looks at it. Where that one moved the message meanwhile (it met our lock: to the incoming queue), the mark
 * went with the file.
 */
static int mark(struct spool *sp, const struct claim *c)
{
    const struct piece *key = &c->parts[0];
    struct timespec now;
    struct stat st;
    int error = file_set_mode(c->lock, (key->st.st_mode & 07777) | FORCED_EXPIRE);

    if (error == 0 && clock_gettime(CLOCK_REALTIME, &now) == 0)
        error = file_touch(sp->dirs[key->dir].fd, key->name, &now);
    if (error == ENOENT && fstat(c->lock, &st) == 0 && st.st_nlink > 0)
        error = 0;
    return error ? error : file_sync(c->lock);
}

/* What is due in the deferred queue, and what is new. */
static bool begin(struct spool *sp, const struct given_up *m, size_t n, char why[256])
{
    static char c[] = "-c", class[] = "public", service[] = "qmgr", request[] = "DI";
    struct setting s[SETTINGS] = { 0 };
    char program[sizeof(s[COMMANDS].value) + sizeof("/postkick")];
    char *argv[] = { program, c, s[CONFIG].value, class, service, request, NULL };

    (void)m;
    (void)n;
    (void)why;
    /* That the message is marked counts: without a queue manager it is returned once there is one. */
    if (ask(sp, s) && s[COMMANDS].value[0] == '/' && s[CONFIG].value[0] == '/') {
        snprintf(program, sizeof(program), "%s/postkick", s[COMMANDS].value);
        program_run(argv, TIME_LIMIT_MS);
    }
    return true;
}

const struct lq_bouncer postfix_bouncer = {
    .at_once = AT_ONCE,
    .goes_on = true,
    .left = "it is marked: Postfix's queue manager returns it when it comes to it",
    .able = able,
    .fits = fits,
    .mark = mark,
    .begin = begin,
};
