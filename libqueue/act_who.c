/*
 * Working as the owner of a queue. Only effective ids change, so that root can come back; groups first and last, because only root
 * may set them. Either all are changed or none.
 */
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "act.h"

static int not_allowed(uid_t uid, struct lq_error *err)
{
    const struct passwd *owner = uid != 0 ? getpwuid(uid) : NULL;

    return error_set(err, LQ_EACCES, "no right to act on this queue; become root%s%s", owner ? " or " : "", owner ? owner->pw_name : "");
}

static bool keep_groups(struct who *w)
{
    int n = getgroups(0, NULL);
    gid_t *groups = n >= 0 ? malloc(((size_t)n + 1) * sizeof(*groups)) : NULL;

    if (groups)
        n = getgroups(n, groups);
    if (!groups || n < 0) {
        free(groups);
        return false;
    }
    free(w->groups);
    w->groups = groups;
    w->group_count = n;
    return true;
}

static int restore(const struct who *w)
{
    return seteuid(w->uid) < 0 || setegid(w->gid) < 0 || setgroups((size_t)w->group_count, w->groups) < 0 ? -1 : 0;
}

int who_become(struct who *w, uid_t uid, gid_t gid, struct lq_error *err)
{
    uid_t now = geteuid();
    int error;

    if (now == uid)
        return LQ_OK;
    if (now != 0 || w->switched)
        return not_allowed(uid, err);
    if (!keep_groups(w))
        return error_memory(err);
    w->uid = now;
    w->gid = getegid();
    if (setgroups(1, &gid) == 0 && setegid(gid) == 0 && seteuid(uid) == 0) {
        w->switched = true;
        return LQ_OK;
    }
    error = errno;
    w->switched = restore(w) < 0;
    return error_set(err, LQ_EIO, "cannot work as uid %lu: %s", (unsigned long)uid, strerror(error));
}

int who_back(struct who *w, struct lq_error *err)
{
    if (!w->switched)
        return LQ_OK;
    if (restore(w) < 0)
        return error_set(err, LQ_EIO, "cannot become uid %lu again: %s", (unsigned long)w->uid, strerror(errno));
    w->switched = false;
    return LQ_OK;
}

void who_done(struct who *w)
{
    free(w->groups);
    w->groups = NULL;
}
