/* Opening directories and files of a queue: read-only, no links, regular files only. */
#include "file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <string.h>
#include <unistd.h>

enum file_result file_result_errno(void)
{
    switch (errno) {
    case ENOENT:
    case ENOTDIR:
        return FILE_GONE;
    case EACCES:
    case EPERM:
        return FILE_DENIED;
    case ELOOP:     /* O_NOFOLLOW met a symlink */
    case EMLINK:
    case ENXIO:     /* a socket, or a fifo without writer */
    case ENODEV:
        return FILE_ODD;
    default:
        return FILE_FAILED;
    }
}

/* Reading must not change access times, but only the owner and root may ask for that. */
static int open_quietly(int dirfd, const char *name, int flags)
{
    int fd = openat(dirfd, name, flags | O_NOATIME);

    return fd < 0 && errno == EPERM ? openat(dirfd, name, flags) : fd;
}

enum file_result file_open(int dirfd, const char *name, int *fd, struct stat *st)
{
    int f = open_quietly(dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);

    if (f < 0)
        return file_result_errno();
    if (fstat(f, st) < 0) {
        close(f);
        return FILE_FAILED;
    }
    if (!S_ISREG(st->st_mode)) {
        close(f);
        return FILE_ODD;
    }
    *fd = f;
    return FILE_OK;
}

enum file_result file_stat(int dirfd, const char *name, struct stat *st)
{
    if (fstatat(dirfd, name, st, AT_SYMLINK_NOFOLLOW) < 0)
        return file_result_errno();
    return S_ISREG(st->st_mode) ? FILE_OK : FILE_ODD;
}

/* A link that a stranger planted must not lead us anywhere; root's (and our own) are configuration. */
static bool link_is_trusted(int dirfd, const char *name)
{
    struct stat st;

    return fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(st.st_mode) &&
           (st.st_uid == 0 || (geteuid() != 0 && st.st_uid == geteuid()));
}

enum file_result file_open_dir(int dirfd, const char *name, int *fd)
{
    const int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NONBLOCK;
    int f = open_quietly(dirfd, name, flags | O_NOFOLLOW);

    if (f < 0 && (errno == ELOOP || errno == ENOTDIR) && link_is_trusted(dirfd, name))
        f = open_quietly(dirfd, name, flags);
    if (f < 0)
        return errno == ENOTDIR ? FILE_ODD : file_result_errno();
    *fd = f;
    return FILE_OK;
}

int file_denied(int dirfd, const char *name, const char *shown, struct lq_error *err)
{
    struct stat st;
    const struct passwd *owner = fstatat(dirfd, *name ? name : ".", &st, 0) == 0 && st.st_uid != 0 ? getpwuid(st.st_uid) : NULL;

    return error_set(err, LQ_EACCES, "%s: no right to read it; become root%s%s", shown, owner ? " or " : "",
                     owner ? owner->pw_name : "");
}

const char *file_result_text(enum file_result r)
{
    switch (r) {
    case FILE_OK:
        return "fine";
    case FILE_GONE:
        return "no such file";
    case FILE_DENIED:
        return "permission denied";
    case FILE_ODD:
        return "not a regular file";
    default:
        return strerrordesc_np(errno) ? strerrordesc_np(errno) : "unknown error";
    }
}

enum file_result file_each(int dirfd, file_each_fn *each, void *ctx)
{
    int fd = open_quietly(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    struct dirent *d;
    int error;

    if (!dir) {
        error = errno;
        if (fd >= 0)
            close(fd);
        errno = error;
        return file_result_errno();
    }
    while ((errno = 0, d = readdir(dir)) != NULL) {
        if (d->d_name[0] == '.' && (d->d_name[1] == '\0' || (d->d_name[1] == '.' && d->d_name[2] == '\0')))
            continue;
        if (each(ctx, d->d_name, strlen(d->d_name), d->d_type) != 0)
            break;
    }
    error = d ? 0 : errno;
    closedir(dir);
    errno = error;
    return error ? FILE_FAILED : FILE_OK;
}
