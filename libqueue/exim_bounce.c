/*
 * Giving up messages of Exim: `exim -Mg`, which writes "cancelled by" into its log, sends the report and removes the message, frozen or not, without
 * another attempt; it answers 0 also where a message was locked (4.96 and 4.98, tried).
 */
#include <stdio.h>

#include "exim.h"
#include "settings.h"

enum { AT_ONCE = 16, TIME_LIMIT_MS = 60000 };

static bool able(struct spool *sp, char why[256])
{
    if (settings_ask("exim", sp->fd, NULL, 0, NULL))
        return true;
    snprintf(why, 256, "only Exim itself can send non-delivery reports, and none is installed here whose spool_directory this is");
    return false;
}

static bool fits(struct spool *sp, const struct claim *c, const char *id, char why[256])
{
    const char *path = sp->dirs[c->parts[0].dir].path;

    (void)id;
    if (!strstr(path, "Finput"))
        return true;
    snprintf(why, 256, "is in Finput, where Exim finds no message");
    return false;
}

/* Ids of one queue: others than the default one are named. */
static bool begin_queue(const char *queue, const struct given_up *m, size_t n, char why[256])
{
    static char give_up[] = "-Mg";
    char *argv[AT_ONCE + 4], option[NAME_MAX + 4];
    size_t count = 0;

    argv[count++] = (char *)program_first(settings_exim);
    snprintf(option, sizeof(option), "-qG%s", queue);
    if (strcmp(queue, "default") != 0)
        argv[count++] = option;
    argv[count++] = give_up;
    for (size_t i = 0; i < n && count <= AT_ONCE + 2; i++)
        if (strcmp(m[i].queue_name, queue) == 0)
            argv[count++] = (char *)m[i].id;
    argv[count] = NULL;
    if (argv[0] && program_run(argv, TIME_LIMIT_MS) != PROGRAM_MISSING)
        return true;
    snprintf(why, 256, "%.200s cannot be run", argv[0] ? argv[0] : "exim");
    return false;
}

static bool begin(struct spool *sp, const struct given_up *m, size_t n, char why[256])
{
    (void)sp;
    for (size_t i = 0; i < n; i++) {
        size_t before = 0;

        while (before < i && strcmp(m[before].queue_name, m[i].queue_name) != 0)
            before++;
        if (before == i && !begin_queue(m[i].queue_name, m + i, n - i, why))
            return false;
    }
    return true;
}

const struct lq_bouncer exim_bouncer = {
    .at_once = AT_ONCE,
    .left = "Exim did not give it up: it was being delivered at that moment, or Exim's log says why",
    .able = able,
    .fits = fits,
    .begin = begin,
};
