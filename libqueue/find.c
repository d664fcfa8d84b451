/*
 * Where this machine's queues are: ask postconf and exim, read sendmail.cf, else try the usual
 * places.
 *
 * What programs answer is a directory name and nothing more (settings.c asks them). Whether a queue is in it is decided by who
 * opens it.
 */
#include "find.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backend.h"
#include "sendmail.h"

enum { SPOOLS_MAX = 256 };

struct spool_entry {
    char *dir, *origin;
    const char *mta;            /* the back end's own text */
    dev_t dev;
    ino_t ino;
};

struct lq_spools {
    struct spool_entry entries[SPOOLS_MAX];
    size_t count;
};

/* --- the list --- */

static const struct lq_backend *backend_named(const char *mta)
{
    for (const struct lq_backend *const *b = backends; *b; b++)
        if (strcmp((*b)->name, mta) == 0)
            return *b;
    return NULL;
}

/* Remember a directory that exists and is not there yet. False only without memory. */
static bool add(struct lq_spools *s, const char *mta, const char *dir, const char *origin)
{
    struct spool_entry e = { .mta = backend_named(mta)->name };
    struct stat st;

    if (dir[0] != '/' || stat(dir, &st) < 0 || !S_ISDIR(st.st_mode) || s->count == SPOOLS_MAX)
        return true;
    for (size_t i = 0; i < s->count; i++)
        if (s->entries[i].dev == st.st_dev && s->entries[i].ino == st.st_ino)
            return true;
    e.dev = st.st_dev;
    e.ino = st.st_ino;
    e.dir = strdup(dir);
    e.origin = strdup(origin);
    if (!e.dir || !e.origin) {
        free(e.dir);
        free(e.origin);
        return false;
    }
    s->entries[s->count++] = e;
    return true;
}

/* --- one function per mail server --- */

static bool find_instances(struct lq_spools *s, const char *program,
                           const struct find_places *places, char *list)
{
    static const char *const names[] = { "queue_directory", NULL };
    char text[PROGRAM_ANSWER_MAX], *at, *dir, *rest = NULL;
    int count = 0;

    for (char *config = strtok_r(list, ", \t", &rest); config && count < SETTINGS_INSTANCES_MAX;
         config = strtok_r(NULL, ", \t", &rest), count++) {
        if (config[0] != '/' || !settings_postconf_ask(program, config, places, names, text))
            continue;
        at = text;
        dir = settings_line(&at);
        if (dir && !add(s, "postfix", dir, "postconf"))
            return false;
    }
    return true;
}

static bool find_postfix(struct lq_spools *s, const struct find_places *places)
{
    static const char *const names[] = { "queue_directory", "multi_instance_directories", NULL };
    const char *program = program_first(places->postconf);
    char text[PROGRAM_ANSWER_MAX], *at = text, *dir, *instances;

    if (!program || !settings_postconf_ask(program, NULL, places, names, text))
        return true;
    dir = settings_line(&at);
    instances = settings_line(&at);
    if (dir && !add(s, "postfix", dir, "postconf"))
        return false;
    return !instances || find_instances(s, program, places, instances);
}

/*
 * Exim prints "spool_directory = DIR", with -n (4.8x on) only DIR; older ones ignore -n before -bP.
 */
static bool find_exim(struct lq_spools *s, const struct find_places *places)
{
    static char n[] = "-n", bp[] = "-bP", name[] = "spool_directory";
    const char *program = program_first(places->exim);
    char *argv[] = { (char *)program, n, bp, name, NULL };
    char text[PROGRAM_ANSWER_MAX], *at = text, *dir;

    if (!program || !program_ask(argv, places->timeout_ms, text))
        return true;
    dir = settings_line(&at);
    return !dir || add(s, "exim", dir, "exim -bP");
}

static bool find_sendmail(struct lq_spools *s, const struct find_places *places)
{
    bool fine = true;

    for (const char *const *path = places->sendmail_cf; path && *path && fine; path++) {
        struct sendmail_cf cf;

        if (!sendmail_cf_read(&cf, *path))
            continue;
        fine = add(s, "sendmail", cf.base, *path);
        sendmail_cf_done(&cf);
    }
    return fine;
}

static bool find_usual(struct lq_spools *s, const struct lq_backend *backend)
{
    for (const char *const *dir = backend->usual_dirs; *dir; dir++)
        if (!add(s, backend->name, *dir, "usual place"))
            return false;
    return true;
}

static const struct {
    const char *mta;
    bool (*find)(struct lq_spools *s, const struct find_places *places);
} finders[] = {
    { "exim", find_exim }, { "postfix", find_postfix }, { "sendmail", find_sendmail },
};

int spools_find(struct lq_spools **out, const char *mta, const struct find_places *places,
                struct lq_error *err)
{
    struct lq_spools *s;
    bool fine = true;

    if (mta && !backend_named(mta))
        return error_set(err, LQ_EINVAL,
                         "unknown mail server '%.60s'; known are: exim postfix sendmail", mta);
    s = calloc(1, sizeof(*s));
    if (!s)
        return error_memory(err);
    for (size_t i = 0; i < sizeof(finders) / sizeof(finders[0]) && fine; i++) {
        size_t before = s->count;

        if (mta && strcmp(mta, finders[i].mta) != 0)
            continue;
        fine = finders[i].find(s, places);
        if (fine && places->usual && s->count == before)
            fine = find_usual(s, backend_named(finders[i].mta));
    }
    if (!fine) {
        lq_spools_free(s);
        return error_memory(err);
    }
    *out = s;
    return LQ_OK;
}

static const struct find_places usual_places = {
    .postconf = settings_postconf,
    .exim = settings_exim,
    .sendmail_cf = sendmail_cf_files,
    .usual = true,
    .timeout_ms = SETTINGS_TIMEOUT_MS,
};

/* --- the public face --- */

int lq_spools_find(struct lq_spools **out, const char *mta, struct lq_error *err)
{
    return spools_find(out, mta, &usual_places, err);
}

size_t lq_spools_count(const struct lq_spools *s)
{
    return s->count;
}

const char *lq_spools_dir(const struct lq_spools *s, size_t i)
{
    return i < s->count ? s->entries[i].dir : NULL;
}

const char *lq_spools_mta(const struct lq_spools *s, size_t i)
{
    return i < s->count ? s->entries[i].mta : NULL;
}

const char *lq_spools_origin(const struct lq_spools *s, size_t i)
{
    return i < s->count ? s->entries[i].origin : NULL;
}

void lq_spools_free(struct lq_spools *s)
{
    for (size_t i = 0; s && i < s->count; i++) {
        free(s->entries[i].dir);
        free(s->entries[i].origin);
    }
    free(s);
}
