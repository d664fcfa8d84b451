/*
 * Jobs: one run of an acting command each. What it wanted is on disk, and locked, before it touches anything; its result comes last. So a
 * file without result whose lock is free tells of a crash. Knows nothing of messages; the engine writes the lines between.
 */
#include "vault.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/sysmacros.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "json.h"

struct job {
    struct lq_vault *vault;
    char name[JOB_NAME + 1];
    char file[JOB_NAME + sizeof(".ndjson")], open[JOB_NAME + sizeof(".open")];
    char *verb;
    int fd;                     /* its lock is the job's life */
    bool heard;                 /* a log daemon listens */
};

enum { INTENT_MAX = 1 << 20, NAMES_TRIED = 100, LOOKS = 4 };

/* --- facts about here and now --- */

/* First line of a small file of /proc, without newline; "" when it cannot be read. */
static void fact(const char *path, char *out, size_t size)
{
    FILE *f = fopen(path, "re");

    *out = '\0';
    if (f && fgets(out, (int)size, f))
        out[strcspn(out, "\n")] = '\0';
    if (f)
        fclose(f);
}

void job_time(char out[TIME_TEXT])
{
    struct timespec now;
    struct tm tm;
    size_t n;

    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &tm);
    n = strftime(out, TIME_TEXT, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(out + n, TIME_TEXT - n, ".%03ldZ", now.tv_nsec / 1000000);
}

void job_who(struct buf *b)
{
    char host[256], boot[64], login[32];

    json_number(b, "uid", (int64_t)getuid());
    /* The account that logged in, before su or sudo; the kernel keeps it, no environment can say otherwise. */
    fact("/proc/self/loginuid", login, sizeof(login));
    if (*login && strcmp(login, "4294967295") != 0)
        json_number(b, "login_uid", atoll(login));
    json_number(b, "pid", (int64_t)getpid());
    if (gethostname(host, sizeof(host)) == 0) {
        host[sizeof(host) - 1] = '\0';
        json_text(b, "host", host);
    }
    fact("/proc/sys/kernel/random/boot_id", boot, sizeof(boot));
    if (*boot)
        json_text(b, "boot_id", boot);
}

static void write_intent(struct buf *b, const struct job *j, const struct job_intent *in)
{
    char now[TIME_TEXT];

    job_time(now);
    buf_add_char(b, '{');
    json_text(b, "schema", "mqtools.job/1");
    json_text(b, "event", "intent");
    json_text(b, "job", j->name);
    json_text(b, "time", now);
    json_text(b, "verb", in->verb);
    json_text(b, "why", in->why);
    json_text(b, "command", in->command);
    job_who(b);
    json_text(b, "case", in->case_name ? in->case_name : j->name);
    buf_add_str(b, ",\"spools\":[");
    for (size_t i = 0; i < in->queue_count; i++) {
        const struct lq_queue *q = in->queues[i];
        struct stat st;
        char dev[32] = "";

        buf_add_str(b, i > 0 ? ",{" : "{");
        json_text(b, "mta", q->backend->name);
        json_text(b, "path", q->root);
        json_text(b, "origin", q->origin);
        if (fstat(q->fd, &st) == 0)
            snprintf(dev, sizeof(dev), "%02x:%02x", major(st.st_dev), minor(st.st_dev));
        json_text(b, "dev", dev);
        buf_add_char(b, '}');
    }
    buf_add_str(b, "]}\n");
}

/* --- life --- */

static void set_names(struct job *j, const char *name)
{
    snprintf(j->name, sizeof(j->name), "%s", name);
    snprintf(j->file, sizeof(j->file), "%s.ndjson", j->name);
    snprintf(j->open, sizeof(j->open), "%s.open", j->name);
}

static void make_name(char out[JOB_NAME + 1])
{
    time_t now = time(NULL);
    struct tm tm;
    unsigned short random = 0;
    size_t n;

    if (getrandom(&random, sizeof(random), 0) != sizeof(random))
        random = (unsigned short)((unsigned)getpid() ^ (unsigned)now);
    gmtime_r(&now, &tm);
    n = strftime(out, JOB_NAME + 1, "%Y%m%dT%H%M%SZ", &tm);
    snprintf(out + n, JOB_NAME + 1 - n, "-%04x", random);
}

/* A new name for nobody's file. A case of the name, left by a job whose file was lost, is somebody's, too. */
static int create_file(struct job *j, const char *name)
{
    char own[JOB_NAME + 1];
    struct stat st;
    int error = EEXIST;

    for (unsigned i = 0; error == EEXIST && i < (name ? 1 : NAMES_TRIED); i++) {
        if (!name)
            make_name(own);
        set_names(j, name ? name : own);
        error = file_stat(j->vault->fd, j->name, &st) == FILE_GONE ? vault_create(j->vault, j->vault->jobs, j->file, &j->fd) : EEXIST;
    }
    return error;
}

/* The intent is on disk before the name that says "unfinished", and that before anything is done. */
static int begin(struct job *j, const struct job_intent *in)
{
    struct buf b = { 0 };
    int fd, error = file_lock_flock(j->fd);

    write_intent(&b, j, in);
    if (error == 0 && b.failed)
        error = ENOMEM;
    if (error == 0)
        error = vault_append(j->vault, j->fd, b.p, b.n);
    if (error == 0)
        error = file_sync(j->fd);
    if (error == 0)
        error = vault_create(j->vault, j->vault->jobs, j->open, &fd);
    if (error == 0) {
        close(fd);
        error = file_sync(j->vault->jobs);
    }
    buf_done(&b);
    return error;
}

static void free_job(struct job *j)
{
    if (j->fd >= 0)
        close(j->fd);
    free(j->verb);
    free(j);
}

int job_create(struct job **out, struct lq_vault *v, const char *name, const struct job_intent *intent, struct lq_error *err)
{
    struct job *j = calloc(1, sizeof(*j));
    char file[sizeof("jobs/") + sizeof(j->file)];
    int error;

    if (!j)
        return error_memory(err);
    j->vault = v;
    j->fd = -1;
    j->verb = strdup(intent->verb);
    error = j->verb ? create_file(j, name) : ENOMEM;
    if (error == 0) {
        error = begin(j, intent);
        if (error) {
            file_remove(v->jobs, j->open);
            file_remove(v->jobs, j->file);
        }
    }
    if (error) {
        snprintf(file, sizeof(file), "jobs/%s", j->file);
        free_job(j);
        return vault_error(v, file, error, err);
    }
    *out = j;
    return LQ_OK;
}

const char *job_name(const struct job *j)
{
    return j->name;
}

/* Without a log daemon each line would look for one anew. */
static void look_for_daemon(struct job *j)
{
    j->heard = access(_PATH_LOG, F_OK) == 0;
}

/* Ids come from file names: nothing of them may end the line or look like another one. */
void job_tell(struct job *j, const char *id)
{
    char shown[256];
    size_t n = 0;

    if (!j->heard)
        return;

    for (const unsigned char *p = (const unsigned char *)id; *p && n < sizeof(shown) - 1; p++)
        shown[n++] = *p > ' ' && *p < 0x7F ? (char)*p : '?';
    shown[n] = '\0';
    syslog(LOG_MAIL | LOG_NOTICE, "%s: verb=%s job=%s uid=%u", shown, j->verb, j->name, (unsigned)getuid());
}

int job_line(struct job *j, const char *id, const char *json)
{
    size_t n = strlen(json);
    char small[1024], *line = n < sizeof(small) ? small : malloc(n + 1);
    int error;

    if (!line)
        return ENOMEM;
    memcpy(line, json, n);
    line[n] = '\n';
    error = vault_append(j->vault, j->fd, line, n + 1);
    if (line != small)
        free(line);
    if (id) {
        look_for_daemon(j);
        job_tell(j, id);
    }
    return error;
}

int job_lines(struct job *j, const struct buf *lines)
{
    look_for_daemon(j);
    return lines->failed ? ENOMEM : vault_append(j->vault, j->fd, lines->p, lines->n);
}

/* The result is on disk before the name that says "unfinished" goes. */
static int finish(struct lq_vault *v, int fd, const char *open_name, const char *result)
{
    char now[TIME_TEXT];
    struct buf b = { 0 };
    int error;

    job_time(now);
    buf_add_char(&b, '{');
    json_text(&b, "event", "result");
    json_text(&b, "result", result);
    json_text(&b, "time", now);
    buf_add_str(&b, "}\n");
    error = b.failed ? ENOMEM : vault_append(v, fd, b.p, b.n);
    if (error == 0)
        error = file_sync(fd);
    if (error == 0)
        error = file_remove(v->jobs, open_name);
    if (error == 0 || error == ENOENT)
        error = file_sync(v->jobs);
    buf_done(&b);
    return error;
}

int job_finish(struct job *j, const char *result, struct lq_error *err)
{
    int error = 0, rc = LQ_OK;

    if (!j)
        return LQ_OK;
    if (result)
        error = finish(j->vault, j->fd, j->open, result);
    if (error)
        rc = vault_error(j->vault, j->file, error, err);
    free_job(j);
    return rc;
}

/* --- crashed ones --- */

/* Its first line; NULL if there is none, or it cannot be read: errno is 0, or says why. */
static char *read_intent(int fd)
{
    char *text = malloc(INTENT_MAX + 1), *end, *small;
    ssize_t n;

    errno = 0;
    n = text ? pread(fd, text, INTENT_MAX, 0) : -1;

    if (n > 0) {
        end = memchr(text, '\n', (size_t)n);
        if (end) {
            *end = '\0';
            small = strdup(text);
            free(text);
            return small;
        }
    }
    free(text);
    return NULL;
}

/* A job that left no readable intent may concern any spool. */
static bool concerns(const char *intent, const char *spool)
{
    json_t *root = intent ? json_loads(intent, 0, NULL) : NULL, *spools = json_object_get(root, "spools"), *entry;
    bool yes = !json_is_array(spools);
    size_t i;

    json_array_foreach(spools, i, entry) {
        const char *path = json_string_value(json_object_get(entry, "path"));

        yes = yes || !path || strcmp(path, spool) == 0;
    }
    json_decref(root);
    return yes;
}

/* Opens the file of an unfinished job and locks it: 0; EAGAIN it lives; ENOENT it is finished. */
static int lock_job(struct lq_vault *v, const char *name, int *fd)
{
    char file[JOB_NAME + sizeof(".ndjson")], open_name[JOB_NAME + sizeof(".open")];
    enum file_result r;
    struct stat st;
    int error;

    snprintf(file, sizeof(file), "%s.ndjson", name);
    snprintf(open_name, sizeof(open_name), "%s.open", name);
    r = file_open_rw(v->jobs, file, fd, &st);
    /* Lost with the disk's last seconds, perhaps: then a new one tells that it was recovered. */
    if (r == FILE_GONE && file_create(v->jobs, file, 0600, fd) == 0)
        r = FILE_OK;
    if (r != FILE_OK)
        return r == FILE_DENIED ? EACCES : r == FILE_GONE ? ENOENT : EIO;
    /* Others who look, as we do, hold it for some microseconds; a job that lives does for longer. */
    for (unsigned i = 0; (error = file_lock_flock(*fd)) == EAGAIN && i < LOOKS; i++)
        nanosleep(&(struct timespec){ .tv_nsec = 5000000 }, NULL);
    /* It may have finished between our looking at the directory and now. */
    if (error == 0 && file_stat(v->jobs, open_name, &st) == FILE_GONE)
        error = ENOENT;
    if (error)
        close(*fd);
    return error;
}

bool vault_job_open(struct lq_vault *v, const char *name, bool *alive)
{
    char open_name[JOB_NAME + sizeof(".open")];
    struct stat st;
    int fd, error;

    *alive = false;
    snprintf(open_name, sizeof(open_name), "%s.open", name);
    if (file_stat(v->jobs, open_name, &st) == FILE_GONE)
        return false;
    error = lock_job(v, name, &fd);
    if (error == 0)
        close(fd);
    *alive = error == EAGAIN;
    return error != ENOENT;
}

struct open_jobs {
    char (*names)[JOB_NAME + 1];
    size_t n, cap;
    bool failed;
};

static int note_open(void *ctx, const char *name, size_t len, unsigned char type)
{
    struct open_jobs *l = ctx;

    (void)type;
    if (len != JOB_NAME + strlen(".open") || strcmp(name + JOB_NAME, ".open") != 0 || !vault_job_name(name, JOB_NAME))
        return 0;
    if (l->n == l->cap) {
        size_t cap = l->cap ? l->cap * 2 : 16;
        char (*more)[JOB_NAME + 1] = realloc(l->names, cap * sizeof(*more));

        if (!more)
            return l->failed = true;
        l->names = more;
        l->cap = cap;
    }
    memcpy(l->names[l->n], name, JOB_NAME);
    l->names[l->n++][JOB_NAME] = '\0';
    return 0;
}

static int by_name(const void *a, const void *b)
{
    return memcmp(a, b, JOB_NAME);
}

/* Oldest first. */
static int open_jobs(struct lq_vault *v, struct open_jobs *l, struct lq_error *err)
{
    enum file_result r;

    memset(l, 0, sizeof(*l));
    r = file_each(v->jobs, note_open, l);
    if (r != FILE_OK || l->failed) {
        free(l->names);
        return vault_error(v, "jobs", l->failed ? ENOMEM : errno, err);
    }
    if (l->n > 1)
        qsort(l->names, l->n, sizeof(*l->names), by_name);
    return LQ_OK;
}

int vault_crashed(struct lq_vault *v, const char *spool, struct crashed **out, size_t *n, struct lq_error *err)
{
    struct open_jobs l;
    struct crashed *found;
    size_t count = 0;
    int rc = open_jobs(v, &l, err);

    if (rc != LQ_OK)
        return rc;
    found = calloc(l.n + 1, sizeof(*found));
    if (!found)
        rc = error_memory(err);
    for (size_t i = 0; rc == LQ_OK && i < l.n; i++) {
        struct crashed *c = &found[count];
        int error = lock_job(v, l.names[i], &c->fd);

        if (error == EAGAIN || error == ENOENT)
            continue;
        if (error) {
            rc = vault_error(v, l.names[i], error, err);
            break;
        }
        memcpy(c->name, l.names[i], sizeof(c->name));
        c->intent = read_intent(c->fd);
        if (!c->intent && errno) {
            rc = vault_error(v, l.names[i], errno, err);
            close(c->fd);
            break;
        }
        if (!spool || concerns(c->intent, spool)) {
            count++;
            continue;
        }
        close(c->fd);
        free(c->intent);
        c->intent = NULL;
    }
    free(l.names);
    if (rc != LQ_OK) {
        vault_crashed_free(found, count);
        return rc;
    }
    *out = found;
    *n = count;
    return LQ_OK;
}

/* Unlike lock_job() it makes no file where one was lost. */
static bool seems_crashed(struct lq_vault *v, const char *name, const char *spool)
{
    char file[JOB_NAME + sizeof(".ndjson")], *intent = NULL;
    enum file_result r;
    struct stat st;
    bool crashed;
    int fd;

    snprintf(file, sizeof(file), "%s.ndjson", name);
    r = file_open(v->jobs, file, &fd, &st);
    if (r != FILE_OK)
        return r == FILE_GONE;
    crashed = file_lock_flock(fd) == 0;
    if (crashed)
        intent = read_intent(fd);
    crashed = crashed && concerns(intent, spool);
    free(intent);
    close(fd);
    return crashed;
}

bool vault_crashed_look(struct lq_vault *v, const char *spool, char name[JOB_NAME + 1])
{
    struct open_jobs l;
    bool found = false;

    if (open_jobs(v, &l, NULL) != LQ_OK)
        return false;
    for (size_t i = 0; i < l.n && !found; i++) {
        found = seems_crashed(v, l.names[i], spool);
        if (found)
            snprintf(name, JOB_NAME + 1, "%s", l.names[i]);
    }
    free(l.names);
    return found;
}

/* The case that a job's intent names, without asking whether the job lives. */
static bool names_case(struct lq_vault *v, const char *job, const char *case_name)
{
    struct crashed c = { .fd = -1 };
    char file[JOB_NAME + sizeof(".ndjson")], *text;
    struct stat st;
    bool yes;

    snprintf(file, sizeof(file), "%s.ndjson", job);
    if (file_open(v->jobs, file, &c.fd, &st) == FILE_OK)
        c.intent = read_intent(c.fd);
    text = vault_crashed_text(&c, "case");
    yes = strcmp(text ? text : job, case_name) == 0;
    free(text);
    free(c.intent);
    if (c.fd >= 0)
        close(c.fd);
    return yes;
}

bool vault_case_crashed(struct lq_vault *v, const char *case_name)
{
    struct open_jobs l;
    bool alive, crashed = false;

    if (open_jobs(v, &l, NULL) != LQ_OK)
        return false;
    for (size_t i = 0; i < l.n && !crashed; i++)
        crashed = names_case(v, l.names[i], case_name) && vault_job_open(v, l.names[i], &alive) && !alive;
    free(l.names);
    return crashed;
}

void vault_crashed_free(struct crashed *c, size_t n)
{
    for (size_t i = 0; c && i < n; i++) {
        if (c[i].fd >= 0)
            close(c[i].fd);
        free(c[i].intent);
    }
    free(c);
}

char *vault_crashed_text(const struct crashed *c, const char *member)
{
    json_t *root = c->intent ? json_loads(c->intent, 0, NULL) : NULL;
    const char *text = json_string_value(json_object_get(root, member));
    char *copy = text ? strdup(text) : NULL;

    json_decref(root);
    return copy;
}

int vault_crashed_finish(struct lq_vault *v, struct crashed *c, struct lq_error *err)
{
    char open_name[JOB_NAME + sizeof(".open")];
    int error;

    snprintf(open_name, sizeof(open_name), "%s.open", c->name);
    error = finish(v, c->fd, open_name, "recovered");
    if (error)
        return vault_error(v, c->name, error, err);
    close(c->fd);
    c->fd = -1;
    return LQ_OK;
}
