/*
 * Where this machine's queues are: ask postconf and exim, read sendmail.cf, else try the usual
 * places.
 *
 * Programs are run by absolute path with a small environment of our own, nothing on standard input,
 * bounded output and a time limit; what they answer is a directory name and nothing more. Whether a
 * queue is in it is decided by who opens it.
 */
#include "find.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "backend.h"
#include "sendmail.h"

enum { ANSWER_MAX = 16 << 10, INSTANCES_MAX = 64, NAMES_MAX = 12, SPOOLS_MAX = 256, TIMEOUT_MS = 5000, NAP_MS = 5 };

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

/* --- running a program --- */

static int64_t milliseconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Collect what comes before the deadline; false when it did not end in time. */
static bool read_answer(int fd, int64_t deadline, char *text, size_t size, size_t *n)
{
    for (;;) {
        struct pollfd p = { .fd = fd, .events = POLLIN };
        int64_t left = deadline - milliseconds();
        ssize_t got;

        if (left <= 0 || (poll(&p, 1, (int)left) < 0 && errno != EINTR))
            return false;
        if (p.revents == 0)
            continue;
        got = read(fd, text + *n, size - *n);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got == 0;
        *n += (size_t)got;
        if (*n == size)
            return false;
    }
}

/* The child's status once it ended; after the deadline it is killed. Only ever this child. */
static bool ended_well(pid_t pid, int64_t deadline, bool in_time)
{
    int status;
    pid_t r;

    while ((r = waitpid(pid, &status, in_time ? WNOHANG : 0)) == 0 || (r < 0 && errno == EINTR)) {
        if (r < 0)
            continue;
        in_time = milliseconds() < deadline;
        if (in_time)
            poll(NULL, 0, NAP_MS);
        else
            kill(pid, SIGKILL);
    }
    /* A host program that ignores SIGCHLD gets no status; the answer counts. */
    return r < 0 ? in_time : in_time && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static bool spawn(pid_t *pid, char *const argv[], int out)
{
    static char path[] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin", locale[] = "LC_ALL=C";
    char *env[] = { path, locale, NULL };
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attr;
    sigset_t none, all;
    int rc;

    sigemptyset(&none);
    sigfillset(&all);
    if (posix_spawn_file_actions_init(&files) != 0)
        return false;
    if (posix_spawnattr_init(&attr) != 0) {
        posix_spawn_file_actions_destroy(&files);
        return false;
    }
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setsigmask(&attr, &none);
    posix_spawnattr_setsigdefault(&attr, &all);
    rc = posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
    if (rc == 0)
        rc = posix_spawn_file_actions_adddup2(&files, out, 1);
    if (rc == 0)
        rc = posix_spawn_file_actions_addopen(&files, 2, "/dev/null", O_WRONLY, 0);
    if (rc == 0)
        rc = posix_spawn(pid, argv[0], &files, &attr, argv, env);
    posix_spawnattr_destroy(&attr);
    posix_spawn_file_actions_destroy(&files);
    return rc == 0;
}

/*
 * What the program prints, NUL-terminated; false when it cannot be run, fails, says too much or
 * takes too long.
 */
static bool ask(char *const argv[], int timeout_ms, char text[ANSWER_MAX])
{
    int64_t deadline = milliseconds() + timeout_ms;
    size_t n = 0;
    int fds[2];
    bool fine;
    pid_t pid;

    if (pipe2(fds, O_CLOEXEC) < 0)
        return false;
    if (!spawn(&pid, argv, fds[1])) {
        close(fds[0]);
        close(fds[1]);
        return false;
    }
    close(fds[1]);
    fine = read_answer(fds[0], deadline, text, ANSWER_MAX - 1, &n);
    close(fds[0]);
    if (!fine)
        kill(pid, SIGKILL);
    text[n] = '\0';
    return ended_well(pid, deadline, fine) && fine && strlen(text) == n;
}

static const char *runnable(const char *const *programs)
{
    for (; programs && *programs; programs++)
        if (access(*programs, X_OK) == 0)
            return *programs;
    return NULL;
}

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

/* Take the first line off the text: trimmed, of "name = value" only the value. NULL at the end. */
static char *take_line(char **text)
{
    char *line = *text, *end, *value;

    if (*line == '\0')
        return NULL;
    end = strchr(line, '\n');
    *text = end ? end + 1 : line + strlen(line);
    if (end)
        *end = '\0';
    value = line[0] == '/' ? NULL : strstr(line, " = ");
    line = value ? value + 3 : line;
    for (end = line + strlen(line);
         end > line && (end[-1] == ' ' || end[-1] == '\t' || end[-1] == '\r');)
        *--end = '\0';
    return line + strspn(line, " \t");
}

/* --- one function per mail server --- */

/*
 * Ask postconf for parameters of a configuration directory (NULL: the default one); -x expands
 * $names (2.10 on).
 */
static bool ask_postconf(const char *program, const char *config, const struct find_places *places,
                         const char *const *names, char text[ANSWER_MAX])
{
    static char h[] = "-h", xh[] = "-xh", c[] = "-c";
    char *argv[NAMES_MAX + 5];
    size_t n;

    for (int expand = 0; expand < 2; expand++) {
        n = 0;
        argv[n++] = (char *)program;
        if (config) {
            argv[n++] = c;
            argv[n++] = (char *)config;
        }
        argv[n++] = expand ? xh : h;
        for (size_t i = 0; i < NAMES_MAX && names[i]; i++)
            argv[n++] = (char *)names[i];
        argv[n] = NULL;
        if (!ask(argv, places->timeout_ms, text))
            return false;
        if (!strchr(text, '$'))
            return true;
    }
    return false;
}

static bool find_instances(struct lq_spools *s, const char *program,
                           const struct find_places *places, char *list)
{
    static const char *const names[] = { "queue_directory", NULL };
    char text[ANSWER_MAX], *at, *dir, *rest = NULL;
    int count = 0;

    for (char *config = strtok_r(list, ", \t", &rest); config && count < INSTANCES_MAX;
         config = strtok_r(NULL, ", \t", &rest), count++) {
        if (config[0] != '/' || !ask_postconf(program, config, places, names, text))
            continue;
        at = text;
        dir = take_line(&at);
        if (dir && !add(s, "postfix", dir, "postconf"))
            return false;
    }
    return true;
}

static bool find_postfix(struct lq_spools *s, const struct find_places *places)
{
    static const char *const names[] = { "queue_directory", "multi_instance_directories", NULL };
    const char *program = runnable(places->postconf);
    char text[ANSWER_MAX], *at = text, *dir, *instances;

    if (!program || !ask_postconf(program, NULL, places, names, text))
        return true;
    dir = take_line(&at);
    instances = take_line(&at);
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
    const char *program = runnable(places->exim);
    char *argv[] = { (char *)program, n, bp, name, NULL };
    char text[ANSWER_MAX], *at = text, *dir;

    if (!program || !ask(argv, places->timeout_ms, text))
        return true;
    dir = take_line(&at);
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

static const char *const usual_postconf[] = {
    "/usr/sbin/postconf", "/usr/local/sbin/postconf", "/opt/sbin/postconf", NULL
};
static const char *const usual_exim[] = {
    "/usr/sbin/exim4", "/usr/sbin/exim", "/usr/local/sbin/exim", "/usr/exim/bin/exim", "/usr/lib/exim", NULL
};
static const struct find_places usual_places = {
    .postconf = usual_postconf,
    .exim = usual_exim,
    .sendmail_cf = sendmail_cf_files,
    .usual = true,
    .timeout_ms = TIMEOUT_MS,
};

/* --- settings of one instance --- */

static bool is_queue(const char *dir, int rootfd)
{
    struct stat a, b;

    return dir && dir[0] == '/' && stat(dir, &a) == 0 && fstat(rootfd, &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

/* A line for each, in the order in which they were asked for. */
static void take_values(char **text, struct find_setting *settings, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const char *value = take_line(text);

        snprintf(settings[i].value, sizeof(settings[i].value), "%s", value && strlen(value) < sizeof(settings[i].value) ? value : "");
    }
}

static bool postfix_settings(int rootfd, struct find_setting *settings, size_t n, const struct find_places *places)
{
    const char *names[NAMES_MAX + 1] = { "queue_directory", "multi_instance_directories" };
    const char *program = runnable(places->postconf);
    char text[ANSWER_MAX], list[ANSWER_MAX], *at = text, *line, *rest = NULL;
    size_t count = 2;
    int instances = 0;

    for (size_t i = 0; i < n && count < NAMES_MAX; i++)
        names[count++] = settings[i].name;
    if (!program || !ask_postconf(program, NULL, places, names, text))
        return false;
    line = take_line(&at);
    if (is_queue(line, rootfd)) {
        take_line(&at);
        take_values(&at, settings, n);
        return true;
    }
    line = line ? take_line(&at) : NULL;
    snprintf(list, sizeof(list), "%s", line ? line : "");
    for (char *config = strtok_r(list, ", \t", &rest); config && instances < INSTANCES_MAX;
         config = strtok_r(NULL, ", \t", &rest), instances++) {
        if (config[0] != '/' || !ask_postconf(program, config, places, names, text))
            continue;
        at = text;
        line = take_line(&at);
        if (is_queue(line, rootfd)) {
            take_line(&at);
            take_values(&at, settings, n);
            return true;
        }
    }
    return false;
}

static bool exim_settings(int rootfd, struct find_setting *settings, size_t n, const struct find_places *places)
{
    static char quiet[] = "-n", bp[] = "-bP", dir[] = "spool_directory";
    const char *program = runnable(places->exim);
    char *argv[NAMES_MAX + 5] = { (char *)program, quiet, bp, dir };
    char text[ANSWER_MAX], *at = text;

    for (size_t i = 0; i < n && i < NAMES_MAX; i++)
        argv[4 + i] = (char *)settings[i].name;
    if (!program || !ask(argv, places->timeout_ms, text) || !is_queue(take_line(&at), rootfd))
        return false;
    take_values(&at, settings, n);
    return true;
}

bool find_settings(const char *mta, int rootfd, struct find_setting *settings, size_t n, const struct find_places *places)
{
    if (!places)
        places = &usual_places;
    for (size_t i = 0; i < n; i++)
        settings[i].value[0] = '\0';
    if (strcmp(mta, "postfix") == 0)
        return postfix_settings(rootfd, settings, n, places);
    return strcmp(mta, "exim") == 0 && exim_settings(rootfd, settings, n, places);
}

bool find_duration(const char *text, int64_t alone, int64_t *seconds)
{
    static const struct { char name; int64_t seconds; } units[] = {
        { 's', 1 }, { 'm', 60 }, { 'h', 60 * 60 }, { 'd', 24 * 60 * 60 }, { 'w', 7 * 24 * 60 * 60 },
    };
    enum { MOST = 1 << 30 };

    *seconds = 0;
    do {
        char *end;
        long n = *text >= '0' && *text <= '9' ? strtol(text, &end, 10) : -1;
        int64_t unit = 0;

        if (n < 0 || n > MOST)
            return false;
        for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
            if (*end == units[i].name)
                unit = units[i].seconds;
        if (unit == 0 && *end != '\0')
            return false;
        *seconds += n * (unit ? unit : alone);
        text = end + (unit != 0);
    } while (*text);
    return true;
}

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
