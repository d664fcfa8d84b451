/*
 * mkspool replicate: makes a large queue of a small one that a real mail server wrote. Every copy
 * gets a new id that this server could have given: in the file names, in the hashed directory,
 * and in the first line of Exim's files. Ids in Received headers stay, as after a restore.
 */
#include "mail.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_PARTS = 6, MAX_DEPTH = 6, ID_ROOM = 64 };

struct part {
    char *path;
    struct buf content;
    mode_t mode;
    int64_t mtime;
};

struct original {
    char id[ID_ROOM];
    struct part parts[MAX_PARTS]; /* the first is the file that makes it a message */
    size_t count;
    bool too_large;
};

struct replica {
    int from;
    struct tree to;
    struct dice dice;
    const struct kind *kind;
    size_t largest; /* messages with a larger file are left out */
    char **paths;
    size_t path_count, path_room;
    struct original *originals;
    size_t count, room;
};

/* What a path is: its id, and whether the file is a message's key file, a part of it, or neither. */
enum role { OTHER, KEY, PART };

struct kind {
    const char *mta;
    enum role (*classify)(const char *path, char id[ID_ROOM]);
    void (*new_id)(struct replica *r, const char *old, uint32_t serial, struct buf *id);
    bool hashed;  /* one-character directories above the file follow the id */
    bool inside;  /* the file's first bytes are the id */
};

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

static bool copy_id(char id[ID_ROOM], const char *text, size_t n)
{
    if (n == 0 || n >= ID_ROOM)
        return false;
    memcpy(id, text, n);
    id[n] = '\0';
    return true;
}

/* --- Postfix ------------------------------------------------------------------------------- */

static enum role postfix_classify(const char *path, char id[ID_ROOM])
{
    static const struct {
        const char *dir;
        enum role role;
    } dirs[] = {
        { "incoming/", KEY }, { "active/", KEY }, { "deferred/", KEY }, { "hold/", KEY },
        { "maildrop/", KEY }, { "defer/", PART }, { "bounce/", PART },  { "trace/", PART },
    };
    const char *name = base_name(path);

    if (strspn(name, digits_62) != strlen(name) || strlen(name) < 6 || !copy_id(id, name, strlen(name)))
        return OTHER;
    for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++)
        if (strncmp(path, dirs[i].dir, strlen(dirs[i].dir)) == 0)
            return dirs[i].role;
    return OTHER;
}

static const char consonants[] = "0123456789BCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz";

static void postfix_new_id(struct replica *r, const char *old, uint32_t serial, struct buf *id)
{
    const char *z = strrchr(old, 'z');
    const uint32_t usec = dice_below(&r->dice, 1000000);
    const uint64_t inode = 0x1000000u + serial;

    if (z && z - old >= 10) {
        buf_put(id, old, (size_t)(z - old) - 4);
        put_digits(id, usec, consonants, 52, 4);
        buf_char(id, 'z');
        put_digits(id, inode, consonants, 51, 1);
    } else {
        buf_printf(id, "%05X%lX", usec, (unsigned long)inode);
    }
}

/* The hexadecimal microseconds, whose digits name the hashed directories. */
static void postfix_hash(const char *id, char hash[8])
{
    const char *z = strrchr(id, 'z');
    unsigned long usec = 0;

    if (!z || z - id < 10) {
        snprintf(hash, 8, "%.5s", id);
        return;
    }
    for (const char *p = z - 4; p < z; p++)
        usec = usec * 52 + (unsigned long)(strchr(consonants, *p) - consonants);
    snprintf(hash, 8, "%05lX", usec & 0xfffff);
}

/* --- Exim ---------------------------------------------------------------------------------- */

static bool has_folder(const char *path, const char *folder)
{
    const char *at = strstr(path, folder);

    return at && (at == path || at[-1] == '/') && at[strlen(folder)] == '/';
}

static enum role exim_classify(const char *path, char id[ID_ROOM])
{
    const char *name = base_name(path);
    const size_t n = strlen(name);

    if (has_folder(path, "msglog"))
        return (n == 16 || n == 23) && copy_id(id, name, n) ? PART : OTHER;
    if (!has_folder(path, "input") || (n != 18 && n != 25) || name[n - 2] != '-' || !copy_id(id, name, n - 2))
        return OTHER;
    return name[n - 1] == 'H' ? KEY : name[n - 1] == 'D' || name[n - 1] == 'J' ? PART : OTHER;
}

/* The seconds stay, because they choose the split directory; the process id counts the copies. */
static void exim_new_id(struct replica *r, const char *old, uint32_t serial, struct buf *id)
{
    const size_t n = strlen(old);

    (void)r;
    buf_put(id, old, 7);
    put_digits(id, 1000000 + serial, digits_62, 62, n == 23 ? 11 : 6);
    buf_put(id, old + (n == 23 ? 18 : 13), n == 23 ? 5 : 3);
}

/* --- Sendmail ------------------------------------------------------------------------------ */

static enum role sendmail_classify(const char *path, char id[ID_ROOM])
{
    const char *name = base_name(path);

    if (strlen(name) < 8 || name[1] != 'f' || !copy_id(id, name + 2, strlen(name) - 2))
        return OTHER;
    return strchr("qhQ", name[0]) ? KEY : name[0] == 'd' ? PART : OTHER;
}

static void sendmail_new_id(struct replica *r, const char *old, uint32_t serial, struct buf *id)
{
    (void)r;
    buf_put(id, old, 6);
    put_digits(id, serial % 3600, digits_62, 60, 2);
    buf_printf(id, "%06u", 100000 + serial / 3600);
}

static const struct kind kinds[] = {
    { "postfix", postfix_classify, postfix_new_id, true, false },
    { "exim", exim_classify, exim_new_id, false, true },
    { "sendmail", sendmail_classify, sendmail_new_id, false, false },
};

/* --- reading the small queue ----------------------------------------------------------------- */

static void *grow(void *list, size_t count, size_t *room, size_t size)
{
    if (count < *room)
        return list;
    *room = *room ? *room * 2 : 64;
    list = realloc(list, *room * size);
    if (!list)
        die("out of memory");
    return list;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Every regular file below path, in no order. */
static void walk(struct replica *r, const char *path, int depth)
{
    int fd = openat(r->from, *path ? path : ".", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *entry;

    if (!dir || depth > MAX_DEPTH)
        die("cannot read directory %s: %s", path, strerror(errno));
    while ((entry = readdir(dir))) {
        struct buf below = { 0 };
        struct stat st;

        if (entry->d_name[0] == '.')
            continue;
        buf_printf(&below, "%s%s%s", path, *path ? "/" : "", entry->d_name);
        if (fstatat(r->from, below.p, &st, AT_SYMLINK_NOFOLLOW) < 0)
            st.st_mode = 0;
        if (S_ISDIR(st.st_mode))
            walk(r, below.p, depth + 1);
        if (S_ISREG(st.st_mode)) {
            r->paths = grow(r->paths, r->path_count, &r->path_room, sizeof(*r->paths));
            r->paths[r->path_count++] = below.p;
        } else {
            buf_free(&below);
        }
    }
    closedir(dir);
}

static struct original *find(struct replica *r, const char *id)
{
    for (size_t i = 0; i < r->count; i++)
        if (strcmp(r->originals[i].id, id) == 0)
            return &r->originals[i];
    return NULL;
}

static void take(struct replica *r, struct original *o, const char *path)
{
    struct part *part = &o->parts[o->count];
    struct stat st;

    if (o->count == MAX_PARTS || fstatat(r->from, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return;
    if ((size_t)st.st_size > r->largest) {
        o->too_large = true;
        return;
    }
    o->count++;
    part->path = strdup(path);
    part->mode = st.st_mode & 07777;
    part->mtime = st.st_mtim.tv_sec;
    read_file(r->from, path, &part->content);
    if (r->kind->inside && !has_folder(path, "msglog") && path[strlen(path) - 1] != 'J' &&
        (part->content.n < strlen(o->id) || memcmp(part->content.p, o->id, strlen(o->id)) != 0))
        die("%s does not begin with its id", path);
}

static void forget(struct original *o)
{
    for (size_t i = 0; i < o->count; i++) {
        free(o->parts[i].path);
        buf_free(&o->parts[i].content);
    }
}

static void collect(struct replica *r)
{
    char id[ID_ROOM];
    size_t kept = 0;

    walk(r, "", 0);
    qsort(r->paths, r->path_count, sizeof(*r->paths), by_text);
    for (size_t i = 0; i < r->path_count; i++) {
        if (r->kind->classify(r->paths[i], id) != KEY || find(r, id))
            continue;
        r->originals = grow(r->originals, r->count, &r->room, sizeof(*r->originals));
        memset(&r->originals[r->count], 0, sizeof(*r->originals));
        strcpy(r->originals[r->count].id, id);
        take(r, &r->originals[r->count++], r->paths[i]);
    }
    for (size_t i = 0; i < r->path_count; i++) {
        struct original *o;

        if (r->kind->classify(r->paths[i], id) == PART && (o = find(r, id)))
            take(r, o, r->paths[i]);
    }
    for (size_t i = 0; i < r->count; i++) {
        if (r->originals[i].too_large || r->originals[i].count == 0)
            forget(&r->originals[i]);
        else
            r->originals[kept++] = r->originals[i];
    }
    if (kept < r->count)
        fprintf(stderr, "mkspool: %zu of %zu messages left out: larger than %zu bytes\n", r->count - kept, r->count,
                r->largest);
    r->count = kept;
}

/* --- writing the large one ------------------------------------------------------------------- */

/* The path with the new id; Postfix's hashed directories, as many as there were, for that id. */
static void new_path(const struct replica *r, const struct original *o, const char *path, const char *id,
                     struct buf *out)
{
    const char *name = base_name(path), *place = strstr(name, o->id);
    char hash[8] = "";
    size_t level = 0;

    buf_put(out, path, (size_t)(name - path));
    if (r->kind->hashed) {
        postfix_hash(id, hash);
        for (size_t i = 2; i + 1 < out->n; i++)
            if (out->p[i - 1] == '/' && out->p[i + 1] == '/' && level < strlen(hash))
                out->p[i] = hash[level++];
    }
    buf_printf(out, "%.*s%s%s", (int)(place - name), name, id, place + strlen(o->id));
}

static void write_copy(struct replica *r, struct original *o, uint32_t serial)
{
    struct buf id = { 0 }, path = { 0 };

    r->kind->new_id(r, o->id, serial, &id);
    for (size_t i = 0; i < o->count; i++) {
        struct part *part = &o->parts[i];
        const bool inside = r->kind->inside && part->content.n >= id.n &&
                            memcmp(part->content.p, o->id, id.n) == 0;

        buf_reset(&path);
        new_path(r, o, part->path, id.p, &path);
        if (inside)
            memcpy(part->content.p, id.p, id.n);
        tree_file(&r->to, path.p, &part->content, part->mode, part->mtime);
        if (inside)
            memcpy(part->content.p, o->id, id.n);
    }
    buf_free(&id);
    buf_free(&path);
}

/* The directories of the small queue, so that the large one is recognised by its shape. */
static void copy_directories(struct replica *r, const char *path, int depth)
{
    int fd = openat(r->from, *path ? path : ".", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *entry;

    if (!dir || depth > MAX_DEPTH)
        die("cannot read directory %s: %s", path, strerror(errno));
    while ((entry = readdir(dir))) {
        struct buf below = { 0 };
        struct stat st;

        buf_printf(&below, "%s%s%s", path, *path ? "/" : "", entry->d_name);
        if (entry->d_name[0] != '.' && fstatat(r->from, below.p, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
            S_ISDIR(st.st_mode)) {
            tree_dir(&r->to, below.p, st.st_mode & 07777, st.st_mtim.tv_sec);
            copy_directories(r, below.p, depth + 1);
        }
        buf_free(&below);
    }
    closedir(dir);
}

static void release(struct replica *r)
{
    for (size_t i = 0; i < r->count; i++)
        forget(&r->originals[i]);
    for (size_t i = 0; i < r->path_count; i++)
        free(r->paths[i]);
    free(r->originals);
    free(r->paths);
    close(r->from);
}

int replicate_main(int argc, char **argv)
{
    static const struct option options[] = {
        { "seed", required_argument, NULL, 's' },
        { "largest", required_argument, NULL, 'l' },
        { NULL, 0, NULL, 0 },
    };
    struct replica r = { .dice = { 1 }, .largest = 256 * 1024, .to = { .dir_mode = 0700, .mtime = 1795294800 } };
    uint32_t n = 100000;
    int c;

    while ((c = getopt_long(argc, argv, "n:", options, NULL)) != -1) {
        switch (c) {
        case 'n': n = (uint32_t)strtoul(optarg, NULL, 10); break;
        case 's': r.dice.state = strtoull(optarg, NULL, 10); break;
        case 'l': r.largest = strtoull(optarg, NULL, 10); break;
        default: return 2;
        }
    }
    if (argc - optind != 3)
        die("replicate MTA SPOOL OUT [-n N] [--seed S] [--largest BYTES]");
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (strcmp(argv[optind], kinds[i].mta) == 0)
            r.kind = &kinds[i];
    if (!r.kind)
        die("no mail server is called '%s': postfix, exim or sendmail", argv[optind]);
    r.from = open(argv[optind + 1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (r.from < 0)
        die("cannot open %s: %s", argv[optind + 1], strerror(errno));
    collect(&r);
    if (r.count == 0)
        die("no message of %s in %s", r.kind->mta, argv[optind + 1]);
    tree_begin(&r.to, argv[optind + 2]);
    copy_directories(&r, "", 0);
    for (uint32_t serial = 0; serial < n; serial++)
        write_copy(&r, &r.originals[serial % r.count], serial);
    tree_end(&r.to);
    release(&r);
    return 0;
}
