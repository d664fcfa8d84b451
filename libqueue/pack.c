/* Packed cases: reading and writing tar archives. */
#include "vault.h"

int pack_read_info(int fd, const char *shown, struct buf *info, struct buf *spools, struct lq_error *err)
{
    (void)fd, (void)info, (void)spools;
    return error_set(err, LQ_EIO, "%s: packed", shown);
}

int pack_unpack(struct lq_case *c, struct lq_error *err)
{
    return error_set(err, LQ_EIO, "%s: packed", c->path);
}

int case_pack_in_place(struct lq_case *c, struct lq_error *err)
{
    return error_set(err, LQ_EIO, "%s: packed", c->path);
}

int lq_pack(struct lq_case *c, const struct lq_set *set, const struct lq_pack_opts *opts, struct lq_error *err)
{
    (void)set, (void)opts;
    return error_set(err, LQ_EIO, "%s: packed", c->path);
}
