/* Selections kept by name. */
#include "sets.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "opts.h"
#include "print.h"
#include "report.h"

#define SHARED_DIR "/etc/mqtools/sets"

enum { NAME_MOST = 64, FILE_MOST = (1 << 20) + 4096 };

/* --- where --- */

static bool check_name(const char *name, struct lq_error *err)
{
    static const char fine[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";
    size_t n = strlen(name);

    if (n > 0 && n <= NAME_MOST && name[0] != '.' && name[0] != '-' && strspn(name, fine) == n)
        return true;
    opts_wrong(err, "\"%.100s\" is no name for a selection: letters, digits, _ . - and no . or - first, at most %d", name, (int)NAME_MOST);
    return false;
}

static char *path_of(const char *dir, const char *name)
{
    char *path;

    if (asprintf(&path, "%s%s%s", dir, *name ? "/" : "", name) < 0)
        report_no_memory();
    return path;
}

/* NULL: there is no home. */
static char *own_dir(void)
{
    const char *config = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
    const struct passwd *pw;

    if (config && config[0] == '/')
        return path_of(config, "mqtools/sets");
    /* sudo may leave another's home behind. */
    if (geteuid() == 0)
        return path_of(SHARED_DIR, "");
    if (!home || home[0] != '/')
        home = (pw = getpwuid(geteuid())) ? pw->pw_dir : NULL;
    return home ? path_of(home, ".config/mqtools/sets") : NULL;
}

/* --- who could have written it --- */

static bool is_safe(const struct stat *st, const char *path, struct lq_error *err)
{
    if (st->st_uid != 0 && st->st_uid != geteuid()) {
        opts_wrong(err, "%s belongs to somebody else: not used", path);
        return false;
    }
    if (st->st_mode & (S_IWGRP | S_IWOTH)) {
        opts_wrong(err, "%s can be written by others: not used (chmod go-w)", path);
        return false;
    }
    return true;
}

/* A descriptor of the directory; -1 with errno, or with a sentence and errno 0. */
static int open_dir(const char *dir, struct lq_error *err)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    struct stat st;

    if (fd < 0)
        return -1;
    if (fstat(fd, &st) == 0 && is_safe(&st, dir, err))
        return fd;
    close(fd);
    errno = 0;
    return -1;
}

/* --- reading --- */

static char *read_all(int fd, const char *path, struct lq_error *err)
{
    char *p = malloc(FILE_MOST + 1);
    size_t n = 0;
    ssize_t got = 0;

    if (!p)
        report_no_memory();
    while (n <= FILE_MOST && ((got = read(fd, p + n, FILE_MOST + 1 - n)) > 0 || (got < 0 && errno == EINTR)))
        n += got > 0 ? (size_t)got : 0;
    /* The beginning of an expression can select more than the whole. */
    if (got < 0) {
        opts_wrong(err, "%s: %s", path, strerror(errno));
        free(p);
        return NULL;
    }
    if (n <= FILE_MOST && !memchr(p, '\0', n)) {
        p[n] = '\0';
        return p;
    }
    free(p);
    opts_wrong(err, "%s is no kept selection: it is too large or not text", path);
    return NULL;
}

/* Comments first, then the expression. */
static void strip(char *p)
{
    char *from = p;
    size_t n;

    while (*from == '#') {
        from += strcspn(from, "\n");
        from += *from == '\n';
    }
    n = strlen(from);
    while (n > 0 && from[n - 1] == '\n')
        n--;
    memmove(p, from, n);
    p[n] = '\0';
}

/* NULL with errno, or with a sentence and errno 0. */
static char *read_in(const char *dir, const char *name, struct lq_error *err)
{
    int at = open_dir(dir, err), fd;
    char *path, *text = NULL;
    struct stat st;

    if (at < 0)
        return NULL;
    fd = openat(at, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    close(at);
    if (fd < 0)
        return NULL;
    path = path_of(dir, name);
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        opts_wrong(err, "%s is no file", path);
    else if (is_safe(&st, path, err))
        text = read_all(fd, path, err);
    if (text)
        strip(text);
    close(fd);
    free(path);
    errno = 0;
    return text;
}

/* The same, with a sentence for all but a name that is not there; *goes_on then. */
static char *look_in(const char *dir, const char *name, bool *goes_on, struct lq_error *err)
{
    char *text = read_in(dir, name, err);

    *goes_on = !text && (errno == ENOENT || errno == ENOTDIR);
    if (!text && errno == ELOOP)
        opts_wrong(err, "%s/%s is a symbolic link: not used", dir, name);
    else if (!text && !*goes_on && errno)
        opts_wrong(err, "%s/%s: %s", dir, name, strerror(errno));
    return text;
}

char *sets_read(const char *name, struct lq_error *err)
{
    char *own = own_dir(), *text = NULL;
    bool goes_on = check_name(name, err);

    if (goes_on && own)
        text = look_in(own, name, &goes_on, err);
    if (goes_on && !(own && strcmp(own, SHARED_DIR) == 0))
        text = look_in(SHARED_DIR, name, &goes_on, err);
    if (goes_on)
        opts_wrong(err, "no selection is kept as \"%s\" (in %s)", name, own ? own : SHARED_DIR);
    free(own);
    return text;
}

/* --- writing --- */

/* The directory and those above it. */
static bool make_dirs(const char *dir, struct lq_error *err)
{
    char *path = path_of(dir, "");
    bool fine = true;

    for (char *p = path + 1; *p && fine; p++) {
        p += strcspn(p, "/");
        char kept = *p;

        *p = '\0';
        fine = mkdir(path, geteuid() == 0 ? 0755 : 0700) == 0 || errno == EEXIST;
        if (!fine)
            opts_wrong(err, "cannot make %s: %s", path, strerror(errno));
        *p = kept;
        if (!kept)
            break;
    }
    free(path);
    return fine;
}

static bool write_all(int fd, const char *p)
{
    size_t n = strlen(p);

    while (n > 0) {
        ssize_t put = write(fd, p, n);

        if (put < 0)
            return false;
        p += put;
        n -= (size_t)put;
    }
    return true;
}

/* Whole or not at all, and never in the place of another. */
static bool write_in(int at, const char *name, const char *expression)
{
    char tmp[NAME_MOST + 40];
    int fd, error = 0;

    snprintf(tmp, sizeof(tmp), ".%s.%ld", name, (long)getpid());
    fd = openat(at, tmp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (fd < 0)
        return false;
    if (fchmod(fd, 0644) < 0 || !write_all(fd, "# A selection of mqtools: mqgrep --use; see mqselect(7).\n") ||
        !write_all(fd, expression) || !write_all(fd, "\n") || fsync(fd) < 0 || linkat(at, tmp, at, name, 0) < 0)
        error = errno;
    close(fd);
    unlinkat(at, tmp, 0);
    errno = error;
    return error == 0;
}

/* The name is taken: by the same, which is fine, or by another. */
static bool is_kept(const char *dir, const char *name, const char *expression, struct lq_error *err)
{
    bool goes_on;
    char *text = look_in(dir, name, &goes_on, err);
    bool same = text && strcmp(text, expression) == 0;

    if (!same && (text || goes_on))
        opts_wrong(err, "\"%s\" is kept already, as another selection; remove %s/%s to keep this one", name, dir, name);
    free(text);
    return same;
}

bool sets_write(const char *name, const char *expression, char **path, struct lq_error *err)
{
    char *dir = check_name(name, err) ? own_dir() : NULL;
    bool fine = false;
    int at = -1;

    if (!dir && check_name(name, err))
        opts_wrong(err, "nowhere to keep it: there is no home directory");
    if (dir && make_dirs(dir, err)) {
        at = open_dir(dir, err);
        fine = at >= 0 && write_in(at, name, expression);
        if (!fine && errno == EEXIST)
            fine = is_kept(dir, name, expression, err);
        else if (!fine && errno)
            opts_wrong(err, "cannot write %s/%s: %s", dir, name, strerror(errno));
    }
    if (at >= 0)
        close(at);
    if (fine)
        *path = path_of(dir, name);
    free(dir);
    return fine;
}
