/*
 * Moves files from one directory to another, rightly or in one of the wrong ways, so that the crash machinery can be seen to find
 * what is wrong. Not a mail tool: a message is a file here, the key and nothing else.
 *
 *     moves HOW FROM TO       "rename", "copy" and "copy-together" are right
 *     moves recover FROM TO   afterwards; prints what it did
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "file.h"

enum { NAMES = 100 };

static const struct how {
    const char *name;
    bool copy;
    bool in_place;          /* the copy is made under its last name */
    bool content_late;      /* the copy's content is not synced */
    bool names_late;        /* the new names are not synced before the old ones go */
    bool from_first;        /* directories are synced in the wrong order */
    bool careless;          /* what a full disk says is not heard */
    bool plain_times;       /* times are not kept */
    bool together;          /* all copies are written, then the whole file system is synced, then they get their names */
    bool named_early;       /* they get their names before it is synced */
} hows[] = {
    { .name = "rename" },
    { .name = "copy", .copy = true },
    { .name = "copy-in-place", .copy = true, .in_place = true },
    { .name = "copy-content-late", .copy = true, .content_late = true },
    { .name = "copy-names-late", .copy = true, .names_late = true },
    { .name = "rename-from-first", .from_first = true },
    { .name = "copy-careless", .copy = true, .careless = true },
    { .name = "copy-plain-times", .copy = true, .plain_times = true },
    { .name = "copy-together", .copy = true, .together = true },
    { .name = "copy-named-early", .copy = true, .together = true, .named_early = true },
};

static char names[NAMES][256];
static size_t count;
static int from, to;
static bool told;

static int add_name(void *ctx, const char *name, size_t len, unsigned char type)
{
    (void)ctx;
    (void)len;
    (void)type;
    snprintf(names[count++], sizeof(names[0]), "%s", name);
    return count == NAMES;
}

static bool list(int dir)
{
    count = 0;
    return file_each(dir, add_name, NULL) == FILE_OK;
}

static bool is_partial(const char *name) { return strncmp(name, ".partial-", 9) == 0; }
static void partial_name(const char *name, char out[300]) { snprintf(out, 300, ".partial-%s", name); }

static int copy_bytes(const struct how *how, int in, int out, const struct stat *st)
{
    uint64_t size;
    int error = file_copy(in, out, &size, NULL);

    if (error && !how->careless)
        return error;
    error = file_set_mode(out, st->st_mode & 07777);
    if (!error && !how->plain_times)
        error = file_set_times(out, st);
    if (!error && !how->content_late && !how->together)
        error = file_sync(out);
    return error;
}

static int copy(const struct how *how, const char *name)
{
    char partial[300];
    struct stat st;
    int in, out, error;

    partial_name(name, partial);
    if (file_open(from, name, &in, &st) != FILE_OK)
        return ENOENT;
    error = file_create(to, how->in_place ? name : partial, 0600, &out);
    if (error)
        return close(in), error;
    error = copy_bytes(how, in, out, &st);
    close(in);
    close(out);
    if (!error && !how->in_place && !how->together)
        error = file_move(to, partial, to, name);
    if (error)
        file_remove(to, how->in_place ? name : partial);
    return error;
}

/* The copies that were written get their names, or go. */
static int name_all(const struct how *how, bool done[NAMES])
{
    int error = how->named_early ? 0 : file_sync_all(to), e;

    for (size_t i = 0; i < count; i++) {
        char partial[300];

        partial_name(names[i], partial);
        e = done[i] && !error ? file_move(to, partial, to, names[i]) : 0;
        if (done[i] && (error || e)) {
            done[i] = false;
            file_remove(to, partial);
        }
        error = error ? error : e;
    }
    return how->named_early && !error ? file_sync_all(to) : error;
}

static int move(const struct how *how)
{
    bool done[NAMES] = { 0 };
    int error = 0, e;

    for (size_t i = 0; i < count; i++) {
        e = how->copy ? copy(how, names[i]) : file_move(from, names[i], to, names[i]);
        done[i] = e == 0;
        error = error ? error : e;
    }
    if (how->together && (e = name_all(how, done)) != 0)
        return e;
    e = how->names_late ? 0 : file_sync(how->from_first ? from : to);
    if (e)
        return e;
    if (how->copy)
        for (size_t i = 0; i < count; i++)
            if (done[i] && (e = file_remove(from, names[i])) != 0)
                error = e;
    e = file_sync(how->from_first ? to : from);
    return error ? error : e;
}

static void tell(const char *what, const char *name)
{
    printf("%s %s\n", what, name);
    told = true;
}

/* Whatever has its last name is whole, so the copy that is left goes. */
static int recover(void)
{
    struct stat st;
    int error = 0;

    if (!list(to))
        return EIO;
    for (size_t i = 0; i < count && !error; i++) {
        if (is_partial(names[i])) {
            tell("dropped", names[i]);
            error = file_remove(to, names[i]);
        } else if (file_stat(from, names[i], &st) == FILE_OK) {
            tell("finished", names[i]);
            error = file_sync(to);
            if (!error)
                error = file_remove(from, names[i]);
        }
    }
    if (told && !error)
        error = file_sync(to);
    if (told && !error)
        error = file_sync(from);
    return error;
}

static int fail(int error)
{
    if (error)
        fprintf(stderr, "moves: %s\n", strerror(error));
    return error ? 3 : 0;
}

int main(int argc, char **argv)
{
    if (argc != 4 || file_open_dir(AT_FDCWD, argv[2], &from) != FILE_OK || file_open_dir(AT_FDCWD, argv[3], &to) != FILE_OK)
        return 2;
    if (strcmp(argv[1], "recover") == 0)
        return fail(recover());
    for (size_t i = 0; i < sizeof(hows) / sizeof(hows[0]); i++)
        if (strcmp(argv[1], hows[i].name) == 0)
            return fail(list(from) ? move(&hows[i]) : EIO);
    return 2;
}
