/*
 * mkspool text: unpacks queues that are described in text; tests/spool/README is the format's
 * manual. A file's content is kept as lines and assembled until its labels stand still, because
 * a Postfix file names offsets before they are known.
 */
#include "mkspool.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

enum { MAX_PASSES = 8, MAX_LABELS = 256, MAX_INCLUDES = 8, POINTER_WIDTH = 15 };

struct label {
    char name[64];
    long value;
};

struct labels {
    struct label at[MAX_LABELS];
    size_t count;
};

/* The file being described: its head line, and its content lines for the passes. */
struct described {
    char *path;
    mode_t mode;
    int64_t mtime;
    struct line {
        char *text;
        unsigned number;
    } *lines;
    size_t count, room;
};

struct text {
    struct tree tree;
    const char *name; /* the description, for error sentences */
    unsigned line;
    unsigned depth; /* of includes */
    struct described file;
    struct labels labels;
    bool unsettled; /* a label moved in this pass */
};

static __attribute__((noreturn)) void fail(const struct text *t, const char *what, const char *detail)
{
    die("%s:%u: %s: '%s'", t->name, t->line, what, detail);
}

/* --- labels -------------------------------------------------------------------------------- */

static struct label *label_find(struct labels *l, const char *name)
{
    for (size_t i = 0; i < l->count; i++)
        if (strcmp(l->at[i].name, name) == 0)
            return &l->at[i];
    return NULL;
}

static void label_set(struct text *t, const char *name, long value)
{
    struct label *l = label_find(&t->labels, name);

    if (!l) {
        if (t->labels.count == MAX_LABELS || strlen(name) >= sizeof(l->name))
            fail(t, "too many labels, or too long", name);
        l = &t->labels.at[t->labels.count++];
        strcpy(l->name, name);
        l->value = -1;
    }
    if (l->value != value)
        t->unsettled = true;
    l->value = value;
}

/* EXPR of \{EXPR:WIDTH}: numbers and labels joined by + and -. */
static long evaluate(struct text *t, const char *expr, size_t n)
{
    char term[64];
    long sum = 0;
    size_t i = 0;

    while (i < n) {
        int sign = 1;
        size_t length = 0;

        if (expr[i] == '+' || expr[i] == '-')
            sign = expr[i++] == '-' ? -1 : 1;
        while (i < n && expr[i] != '+' && expr[i] != '-') {
            if (length + 1 == sizeof(term))
                fail(t, "term too long", expr);
            term[length++] = expr[i++];
        }
        term[length] = '\0';
        if (isdigit((unsigned char)term[0])) {
            sum += sign * strtol(term, NULL, 10);
        } else {
            struct label *l = label_find(&t->labels, term);

            /* In the first pass a label further down is unknown; the next pass knows it. */
            if (l)
                sum += sign * l->value;
            else
                label_set(t, term, 0);
        }
    }
    return sum;
}

/* --- escapes ------------------------------------------------------------------------------- */

static const char *reference(struct text *t, const char *s, struct buf *out)
{
    const char *end = strchr(s, '}');
    const char *colon;
    int width = POINTER_WIDTH;

    if (!end)
        fail(t, "'\\{' without '}'", s);
    colon = memchr(s, ':', (size_t)(end - s));
    if (colon)
        width = atoi(colon + 1);
    buf_printf(out, "%*ld", width, evaluate(t, s, (size_t)((colon ? colon : end) - s)));
    return end + 1;
}

/* One escape, s after the backslash. index is what \i gives in a repeated line. */
static const char *escape(struct text *t, const char *s, struct buf *out, long index)
{
    static const char simple[][2] = {
        { 'n', '\n' }, { 'r', '\r' }, { 't', '\t' }, { '0', '\0' }, { '\\', '\\' }, { '"', '"' },
    };
    unsigned byte;

    for (size_t i = 0; i < sizeof(simple) / sizeof(simple[0]); i++)
        if (*s == simple[i][0]) {
            buf_char(out, simple[i][1]);
            return s + 1;
        }
    if (*s == 'i') {
        buf_printf(out, "%ld", index);
        return s + 1;
    }
    if (*s == '{')
        return reference(t, s + 1, out);
    if (*s == 'x' && isxdigit((unsigned char)s[1]) && isxdigit((unsigned char)s[2]) &&
        sscanf(s + 1, "%2x", &byte) == 1) {
        buf_char(out, (int)byte);
        return s + 3;
    }
    fail(t, "unknown escape", s);
}

/* Text up to end of string, or to an unescaped quote; gives where it stopped. */
static const char *unescape(struct text *t, const char *s, char stop, struct buf *out, long index)
{
    while (*s && *s != stop) {
        if (*s == '\\') {
            s = escape(t, s + 1, out, index);
        } else {
            buf_char(out, (unsigned char)*s++);
        }
    }
    if (stop && !*s)
        fail(t, "no closing quote", s);
    return s;
}

/* One blank-separated word of a directive, escapes undone. */
static bool word(struct text *t, const char **s, struct buf *out)
{
    struct buf raw = { 0 };

    *s += strspn(*s, " \t");
    buf_reset(out);
    buf_put(out, "", 0);
    if (!**s)
        return false;
    buf_put(&raw, *s, strcspn(*s, " \t"));
    *s += raw.n;
    unescape(t, raw.p, '\0', out, 0);
    buf_free(&raw);
    return true;
}

/* Strings "…" and "…"*N, one after the other, until the line ends. */
static const char *strings(struct text *t, const char *s, struct buf *out, long index)
{
    struct buf piece = { 0 };

    while (*(s += strspn(s, " \t")) == '"') {
        long times = 1;

        buf_reset(&piece);
        s = unescape(t, s + 1, '"', &piece, index) + 1;
        if (*s == '*')
            times = strtol(s + 1, (char **)&s, 10);
        while (times-- > 0)
            buf_put(out, piece.p, piece.n);
    }
    buf_free(&piece);
    return s;
}

/* --- content lines ------------------------------------------------------------------------- */

/* A Postfix length: 7 bits a byte, the least significant first. */
static void put_length(struct buf *out, size_t n)
{
    do {
        buf_char(out, (int)((n & 0x7f) | (n > 0x7f ? 0x80 : 0)));
        n >>= 7;
    } while (n);
}

/* "sizes=6 flags=1 opts=1": a C record as Postfix of that many fields would fill it in. */
static void put_sizes(struct text *t, const char *s, struct buf *out)
{
    static const char *const fields[] = { "X-data", "data", "rcpts", "", "X-data", "" };
    long count = 0, flags = 0, options = 0;

    sscanf(s, "sizes=%ld flags=%ld opts=%ld", &count, &flags, &options);
    if (count < 3 || count > 6)
        fail(t, "3 to 6 sizes", s);
    for (long i = 0; i < count; i++) {
        long value = i == 3 ? flags : i == 5 ? options : evaluate(t, fields[i], strlen(fields[i]));

        buf_printf(out, "%s%*ld", i ? " " : "", POINTER_WIDTH, value);
    }
}

/* Labels that every queue file has without being asked. */
static void note_record(struct text *t, char type, size_t start, size_t end, bool first_pass)
{
    struct label *count = label_find(&t->labels, "rcpts");

    if (type == 'M')
        label_set(t, "data", (long)end);
    if (type == 'X')
        label_set(t, "X", (long)start);
    if (first_pass && strchr("RD/", type))
        label_set(t, "rcpts", count ? count->value + 1 : 1);
}

/* TYPE [LENGTH] "data"…: a record; a LENGTH that is given is written, true or not. */
static void record(struct text *t, const char *s, struct buf *out, long index, bool first_pass)
{
    struct buf type = { 0 }, data = { 0 };
    size_t start = out->n, length;
    char *end;
    bool lie;

    word(t, &s, &type);
    s += strspn(s, " \t");
    lie = isdigit((unsigned char)*s);
    length = strtoul(s, &end, 10);
    s = lie ? end + strspn(end, " \t") : s;
    if (strncmp(s, "sizes=", 6) == 0)
        put_sizes(t, s, &data);
    else if (*strings(t, s, &data, index))
        fail(t, "a record is TYPE [LENGTH] \"data\"", s);
    buf_char(out, type.p[0]);
    put_length(out, lie ? length : data.n);
    buf_put(out, data.p, data.n);
    note_record(t, type.p[0], start, out->n, first_pass);
    buf_free(&type);
    buf_free(&data);
}

static void hex(struct text *t, const char *s, struct buf *out)
{
    while (*(s += strspn(s, " \t"))) {
        unsigned byte;

        if (!isxdigit((unsigned char)s[0]) || !isxdigit((unsigned char)s[1]) ||
            sscanf(s, "%2x", &byte) != 1)
            fail(t, "hex wants pairs of digits", s);
        buf_char(out, (int)byte);
        s += 2;
    }
}

static void content(struct text *t, const char *s, struct buf *out, long index, bool first_pass)
{
    if (*s == '|' || *s == '+') {
        unescape(t, s + 1, '\0', out, index);
        if (*s == '|')
            buf_char(out, '\n');
    } else if (*s == '@') {
        label_set(t, s + 1, (long)out->n);
    } else if (strncmp(s, "hex ", 4) == 0) {
        hex(t, s + 4, out);
    } else {
        record(t, s, out, index, first_pass);
    }
}

static void content_line(struct text *t, const char *s, struct buf *out, bool first_pass)
{
    char *rest;
    long times;

    if (strncmp(s, "repeat ", 7) != 0) {
        content(t, s, out, 0, first_pass);
        return;
    }
    times = strtol(s + 7, &rest, 10);
    rest += strspn(rest, " \t");
    for (long i = 0; i < times; i++)
        content(t, rest, out, i, first_pass);
}

/* A content line begins with one of |+@, with hex or repeat, or with a one-character word. */
static bool is_content(const char *s)
{
    size_t first = strcspn(s, " \t");

    return strchr("|+@", *s) || strncmp(s, "hex ", 4) == 0 || strncmp(s, "repeat ", 7) == 0 ||
           first == 1 || (first == 4 && strncmp(s, "\\x", 2) == 0);
}

/* --- files --------------------------------------------------------------------------------- */

static void keep_line(struct text *t, const char *s)
{
    struct described *f = &t->file;

    if (!f->path)
        fail(t, "content without a file", s);
    if (f->count == f->room) {
        f->room = f->room ? f->room * 2 : 64;
        f->lines = realloc(f->lines, f->room * sizeof(*f->lines));
        if (!f->lines)
            die("out of memory");
    }
    f->lines[f->count].text = strdup(s);
    f->lines[f->count++].number = t->line;
}

/* Write the file that was being described, if any. */
static void finish_file(struct text *t)
{
    struct described *f = &t->file;
    struct buf out = { 0 };
    const unsigned here = t->line;

    if (!f->path)
        return;
    t->labels.count = 0;
    t->unsettled = true;
    for (int pass = 0; t->unsettled; pass++) {
        if (pass == MAX_PASSES)
            fail(t, "labels do not settle", f->path);
        t->unsettled = false;
        buf_reset(&out);
        for (size_t i = 0; i < f->count; i++) {
            t->line = f->lines[i].number;
            content_line(t, f->lines[i].text, &out, pass == 0);
        }
    }
    tree_file(&t->tree, f->path, &out, f->mode, f->mtime);
    for (size_t i = 0; i < f->count; i++)
        free(f->lines[i].text);
    free(f->lines);
    free(f->path);
    *f = (struct described){ 0 };
    buf_free(&out);
    t->line = here;
}

/* --- directives ---------------------------------------------------------------------------- */

static void attributes(struct text *t, const char *s, mode_t *mode, int64_t *mtime)
{
    struct buf w = { 0 };

    while (word(t, &s, &w)) {
        if (strncmp(w.p, "mode=", 5) == 0)
            *mode = (mode_t)strtoul(w.p + 5, NULL, 8);
        else if (strncmp(w.p, "mtime=", 6) == 0)
            *mtime = strtoll(w.p + 6, NULL, 10);
        else
            fail(t, "mode=OCTAL or mtime=EPOCH", w.p);
    }
    buf_free(&w);
}

static char *path_word(struct text *t, const char **s)
{
    struct buf w = { 0 };

    if (!word(t, s, &w))
        fail(t, "a path is missing", *s);
    return w.p;
}

static void do_file(struct text *t, const char *s)
{
    t->file.path = path_word(t, &s);
    t->file.mode = t->tree.file_mode;
    t->file.mtime = t->tree.mtime;
    attributes(t, s, &t->file.mode, &t->file.mtime);
}

static void do_dir(struct text *t, const char *s)
{
    char *path = path_word(t, &s);
    mode_t mode = t->tree.dir_mode;
    int64_t mtime = t->tree.mtime;

    attributes(t, s, &mode, &mtime);
    tree_dir(&t->tree, path, mode, mtime);
    free(path);
}

static void do_defaults(struct text *t, const char *s)
{
    struct buf w = { 0 };

    while (word(t, &s, &w)) {
        if (strncmp(w.p, "dir=", 4) == 0)
            t->tree.dir_mode = (mode_t)strtoul(w.p + 4, NULL, 8);
        else if (strncmp(w.p, "file=", 5) == 0)
            t->tree.file_mode = (mode_t)strtoul(w.p + 5, NULL, 8);
        else if (strncmp(w.p, "mtime=", 6) == 0)
            t->tree.mtime = strtoll(w.p + 6, NULL, 10);
        else
            fail(t, "dir=OCTAL, file=OCTAL or mtime=EPOCH", w.p);
    }
    buf_free(&w);
}

static void check_made(struct text *t, int rc, const char *path)
{
    if (rc < 0)
        die("%s:%u: %s: %s", t->name, t->line, path, strerror(errno));
}

static void do_symlink(struct text *t, const char *s)
{
    char *path = path_word(t, &s), *target = path_word(t, &s);

    tree_parents(&t->tree, path);
    check_made(t, symlinkat(target, t->tree.root, path), path);
    free(path);
    free(target);
}

static void do_link(struct text *t, const char *s)
{
    char *path = path_word(t, &s), *old = path_word(t, &s);

    tree_parents(&t->tree, path);
    check_made(t, linkat(t->tree.root, old, t->tree.root, path, 0), path);
    free(path);
    free(old);
}

static void do_fifo(struct text *t, const char *s)
{
    char *path = path_word(t, &s);

    tree_parents(&t->tree, path);
    check_made(t, mkfifoat(t->tree.root, path, 0600), path);
    free(path);
}

/* The twin of /dev/null: what a tool must not open. Needs root. */
static void do_device(struct text *t, const char *s)
{
    char *path = path_word(t, &s);

    tree_parents(&t->tree, path);
    check_made(t, mknodat(t->tree.root, path, S_IFCHR | 0600, makedev(1, 3)), path);
    free(path);
}

/* --- changing a file that is there: how a bad queue is told from a good one ------------------ */

static void rewrite(struct text *t, const char *path, const struct buf *content)
{
    struct stat st;

    check_made(t, fstatat(t->tree.root, path, &st, AT_SYMLINK_NOFOLLOW), path);
    tree_file(&t->tree, path, content, st.st_mode & 07777, st.st_mtim.tv_sec);
}

static void do_patch(struct text *t, const char *s)
{
    char *path = path_word(t, &s), *rest;
    struct buf old = { 0 }, new = { 0 };
    size_t at = strtoul(s, &rest, 10);

    read_file(t->tree.root, path, &old);
    strings(t, rest, &new, 0);
    if (at > old.n || new.n > old.n - at)
        fail(t, "patch beyond the end", path);
    memcpy(old.p + at, new.p, new.n);
    rewrite(t, path, &old);
    buf_free(&old);
    buf_free(&new);
    free(path);
}

static void do_truncate(struct text *t, const char *s)
{
    char *path = path_word(t, &s);
    struct buf old = { 0 };
    long n = strtol(s, NULL, 10);

    read_file(t->tree.root, path, &old);
    n = n < 0 ? (long)old.n + n : n;
    if (n < 0 || (size_t)n > old.n)
        fail(t, "truncate beyond the end", path);
    old.n = (size_t)n;
    rewrite(t, path, &old);
    buf_free(&old);
    free(path);
}

static void do_append(struct text *t, const char *s)
{
    char *path = path_word(t, &s);
    struct buf old = { 0 };

    read_file(t->tree.root, path, &old);
    strings(t, s, &old, 0);
    rewrite(t, path, &old);
    buf_free(&old);
    free(path);
}

/* replace PATH "old" "new": the first place; it must be there, else the test tests nothing. */
static void do_replace(struct text *t, const char *s)
{
    char *path = path_word(t, &s), *place;
    struct buf content_now = { 0 }, old = { 0 }, new = { 0 }, out = { 0 };
    size_t before;

    s += strspn(s, " \t");
    if (*s != '"')
        fail(t, "replace PATH \"old\" \"new\"", s);
    s = unescape(t, s + 1, '"', &old, 0) + 1;
    strings(t, s, &new, 0);
    read_file(t->tree.root, path, &content_now);
    place = old.n ? memmem(content_now.p, content_now.n, old.p, old.n) : NULL;
    if (!place)
        fail(t, "text to replace is not in the file", path);
    before = (size_t)(place - content_now.p);
    buf_put(&out, content_now.p, before);
    buf_put(&out, new.p, new.n);
    buf_put(&out, place + old.n, content_now.n - before - old.n);
    rewrite(t, path, &out);
    buf_free(&content_now);
    buf_free(&old);
    buf_free(&new);
    buf_free(&out);
    free(path);
}

static void do_remove(struct text *t, const char *s)
{
    char *path = path_word(t, &s);

    check_made(t, unlinkat(t->tree.root, path, 0), path);
    free(path);
}

static void do_rename(struct text *t, const char *s)
{
    char *from = path_word(t, &s), *to = path_word(t, &s);

    tree_parents(&t->tree, to);
    check_made(t, renameat(t->tree.root, from, t->tree.root, to), from);
    free(from);
    free(to);
}

static void do_attributes(struct text *t, const char *s)
{
    char *path = path_word(t, &s);
    mode_t mode = (mode_t)-1;
    int64_t mtime = -1;

    attributes(t, s, &mode, &mtime);
    if (mode != (mode_t)-1)
        check_made(t, fchmodat(t->tree.root, path, mode, 0), path);
    if (mtime != -1)
        tree_touch(&t->tree, path, mtime);
    free(path);
}

static void read_description(struct text *t, const char *name);

/* include FILE: beside the description that says so. */
static void do_include(struct text *t, const char *s)
{
    char *file = path_word(t, &s);
    const char *slash = strrchr(t->name, '/');
    struct buf path = { 0 };

    if (++t->depth > MAX_INCLUDES)
        fail(t, "includes too deep", file);
    buf_printf(&path, "%.*s%s", slash ? (int)(slash + 1 - t->name) : 0, t->name, file);
    read_description(t, path.p);
    t->depth--;
    buf_free(&path);
    free(file);
}

static const struct directive {
    const char *name;
    void (*run)(struct text *t, const char *rest);
} directives[] = {
    { "file", do_file },         { "dir", do_dir },         { "defaults", do_defaults },
    { "symlink", do_symlink },   { "link", do_link },       { "fifo", do_fifo },
    { "device", do_device },     { "patch", do_patch },     { "truncate", do_truncate },
    { "append", do_append },     { "replace", do_replace }, { "remove", do_remove },
    { "rename", do_rename },     { "set", do_attributes },  { "include", do_include },
};

static void directive(struct text *t, const char *s)
{
    size_t n = strcspn(s, " \t");

    finish_file(t);
    for (size_t i = 0; i < sizeof(directives) / sizeof(directives[0]); i++)
        if (strlen(directives[i].name) == n && strncmp(s, directives[i].name, n) == 0) {
            directives[i].run(t, s + n);
            return;
        }
    fail(t, "unknown directive", s);
}

static void read_description(struct text *t, const char *name)
{
    const char *outer = t->name;
    const unsigned outer_line = t->line;
    FILE *in = fopen(name, "re");
    char *line = NULL;
    size_t room = 0;
    ssize_t n;

    if (!in)
        die("cannot open %s: %s", name, strerror(errno));
    t->name = name;
    t->line = 0;
    while ((n = getline(&line, &room, in)) >= 0) {
        t->line++;
        if (n > 0 && line[n - 1] == '\n')
            line[n - 1] = '\0';
        if (line[strspn(line, " \t")] == '\0' || *line == '#')
            continue;
        if (is_content(line))
            keep_line(t, line);
        else
            directive(t, line);
    }
    finish_file(t);
    free(line);
    fclose(in);
    t->name = outer;
    t->line = outer_line;
}

int text_main(int argc, char **argv)
{
    static struct text t = {
        .tree = { .dir_mode = 0755, .file_mode = 0640, .mtime = 1795294800 },
    };

    if (argc < 3)
        die("text FILE... DIR");
    tree_begin(&t.tree, argv[argc - 1]);
    for (int i = 1; i < argc - 1; i++)
        read_description(&t, argv[i]);
    tree_end(&t.tree);
    return 0;
}
