/* Option tables: parsing, help, completion, hints. */
#include "opts.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "complete.h"
#include "print.h"
#include "report.h"

enum { ROWS_MAX = 128, NAME_MAX_LEN = 40 };

/* The tables of a program, inherited rows in their place. */
struct flat {
    const struct opts_program *program;
    struct {
        const struct opt *row;
        size_t base;
    } rows[ROWS_MAX];
    size_t n;
};

static bool opt_ends(const struct opt *o)
{
    return !o->name && !o->inherit && !o->heading;
}

static void flatten(struct flat *f, const struct opt *rows, size_t base)
{
    for (; !opt_ends(rows) && f->n < ROWS_MAX; rows++) {
        if (rows->inherit) {
            flatten(f, rows->inherit, base + rows->at);     /* tables nest as deep as their author wrote them */
            continue;
        }
        f->rows[f->n].row = rows;
        f->rows[f->n++].base = base;
    }
}

static const struct opt common[] = {
    { .heading = "Other" },
    { .name = "help", .letter = 'h', .help = "show this help" },
    { .name = "version", .help = "show the version" },
    { .name = "completion", .arg = "SHELL", .help = "print a completion script: " COMPLETE_SHELLS, .words = COMPLETE_SHELLS },
    { 0 }
};

static bool optional(const struct opt *o)
{
    return o->arg && o->arg[0] == '[';
}

int opts_wrong(struct lq_error *err, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(err->text, sizeof(err->text), fmt, ap);
    va_end(ap);
    err->status = LQ_EINVAL;
    return LQ_EINVAL;
}

/* --- where a mistake is --- */

/* Set by a setter that fails, which ends the parsing: there is never a second one. */
static struct {
    const struct lq_error *err;
    const char *text;
    size_t at;
} pointed;

void opts_point(const struct lq_error *err, const char *text, size_t at)
{
    pointed.err = err;
    pointed.text = text;
    pointed.at = at;
}

static bool is_tail(char c)
{
    return ((unsigned char)c & 0xc0) == 0x80;
}

/* The text around the place in one line, and a mark below it. A long text loses its ends. */
static void show_place(const char *text, size_t at)
{
    enum { BEFORE = 50, SHOWN = 70 };       /* columns or so */
    size_t n = strlen(text), from = at > BEFORE ? at - BEFORE : 0, to = n - from > SHOWN ? from + SHOWN : n;
    struct text line = { 0 }, mark = { 0 };

    while (from > 0 && is_tail(text[from]))
        from--;
    while (to < n && is_tail(text[to]))
        to++;
    text_put(&line, from > 0 ? "..." : "");
    text_escape(&line, text + from, at - from, 0);
    text_format(&mark, "%*s^", (int)text_width(line.p, line.n), "");
    text_escape(&line, text + at, to - at, 0);
    text_put(&line, to < n ? "..." : "");
    report(REPORT_FAILED, "  %.*s", (int)line.n, line.p);
    report(REPORT_FAILED, "  %.*s", (int)mark.n, mark.p);
    text_done(&line);
    text_done(&mark);
}

void opts_report(const char *as, const struct lq_error *err)
{
    if (strncmp(err->text, as, strlen(as)) == 0)
        report(REPORT_FAILED, "%s", err->text);
    else
        report(REPORT_FAILED, "%s: %s", as, err->text);
    if (pointed.err == err)
        show_place(pointed.text, pointed.at);
}

/* --- setters --- */

int opt_flag(const struct opt *o, void *target, const char *value, struct lq_error *err)
{
    (void)o, (void)value, (void)err;
    *(bool *)target = true;
    return LQ_OK;
}

int opt_text(const struct opt *o, void *target, const char *value, struct lq_error *err)
{
    const char **text = target;

    (void)o;
    if (*text)
        return opts_wrong(err, "given twice (\"%s\" and \"%s\")", *text, value);
    *text = value;
    return LQ_OK;
}

int opt_count(const struct opt *o, void *target, const char *value, struct lq_error *err)
{
    unsigned long n;
    char *end;

    errno = 0;
    n = strtoul(value, &end, 10);
    if (value[0] < '0' || value[0] > '9' || *end || errno || n < (unsigned long)o->value)
        return opts_wrong(err, "\"%s\" is not a number from %d up", value, o->value);
    *(unsigned long *)target = n;
    return LQ_OK;
}

int opt_mode(const struct opt *o, void *target, const char *value, struct lq_error *err)
{
    int *mode = target;

    (void)value;
    if (*mode && *mode != o->value)
        return opts_wrong(err, "only one kind of output can be asked for");
    *mode = o->value;
    return LQ_OK;
}

int opt_color(const struct opt *o, void *target, const char *value, struct lq_error *err)
{
    static const char *const words[] = { [COLOR_AUTO] = "auto", [COLOR_ALWAYS] = "always", [COLOR_NEVER] = "never" };

    (void)o;
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strcmp(value ? value : "always", words[i]) == 0) {
            *(enum color_when *)target = (enum color_when)i;
            return LQ_OK;
        }
    }
    return opts_wrong(err, "\"%s\" is none of auto, always, never", value);
}

/* --- hints --- */

/* Damerau-Levenshtein distance (one swap of neighbours counts one) of short names; 99 for long ones. */
static unsigned distance(const char *a, size_t an, const char *b, size_t bn)
{
    unsigned d[NAME_MAX_LEN + 1][NAME_MAX_LEN + 1];

    if (an > NAME_MAX_LEN || bn > NAME_MAX_LEN)
        return 99;
    for (size_t i = 0; i <= an; i++)
        d[i][0] = (unsigned)i;
    for (size_t j = 0; j <= bn; j++)
        d[0][j] = (unsigned)j;
    for (size_t i = 1; i <= an; i++) {
        for (size_t j = 1; j <= bn; j++) {
            unsigned best = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);

            if (d[i - 1][j] + 1 < best)
                best = d[i - 1][j] + 1;
            if (d[i][j - 1] + 1 < best)
                best = d[i][j - 1] + 1;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && d[i - 2][j - 2] + 1 < best)
                best = d[i - 2][j - 2] + 1;
            d[i][j] = best;
        }
    }
    return d[an][bn];
}

/* The best so far. */
struct guess {
    unsigned distance;
    const char *name;
    size_t len;
};

/* One that begins so is as good as the same. */
static void guess_name(struct guess *g, const char *word, size_t n, const char *name, size_t len)
{
    unsigned d = n >= 2 && n <= len && memcmp(name, word, n) == 0 ? 0 : distance(word, n, name, len);

    if (d < g->distance || (d == g->distance && d > 0 && !g->name))
        *g = (struct guess){ d, name, len };
}

static struct guess guess_begin(size_t n)
{
    return (struct guess){ .distance = (unsigned)n / 3 + 1 };
}

const char *opts_near(const char *word, size_t n, const char *words, size_t *len)
{
    struct guess g = guess_begin(n);

    for (const char *p = words; *p; p += strspn(p, " ")) {
        *len = strcspn(p, " ");
        guess_name(&g, word, n, p, *len);
        p += *len;
    }
    *len = g.len;
    return g.name;
}

static const char *nearest(const struct flat *f, const char *name, size_t n)
{
    struct guess g = guess_begin(n);

    for (size_t i = 0; i < f->n; i++)
        if (f->rows[i].row->name)
            guess_name(&g, name, n, f->rows[i].row->name, strlen(f->rows[i].row->name));
    return g.name;
}

static enum opts_result unknown_long(const struct flat *f, const char *name, size_t n)
{
    const char *hint = nearest(f, name, n);

    if (hint)
        report(REPORT_FAILED, "unknown option --%.*s: did you mean --%s?", (int)n, name, hint);
    else
        report(REPORT_FAILED, "unknown option --%.*s (%s --help lists them)", (int)n, name, f->program->name);
    return OPTS_WRONG;
}

static enum opts_result unknown_letter(const struct flat *f, char letter)
{
    for (size_t i = 0; i < f->n; i++) {
        const struct opt *o = f->rows[i].row;

        if (o->letter && o->letter == (letter ^ 0x20)) {
            report(REPORT_FAILED, "unknown option -%c: did you mean -%c (--%s)?", letter, o->letter, o->name);
            return OPTS_WRONG;
        }
    }
    report(REPORT_FAILED, "unknown option -%c (%s --help lists them)", letter, f->program->name);
    return OPTS_WRONG;
}

/* --- help --- */

enum { HELP_AT = 26, HELP_END = 79 };

static size_t help_names(struct text *t, const struct opt *o)
{
    size_t from = t->n;

    if (o->letter)
        text_format(t, "  -%c, --%s", o->letter, o->name);
    else
        text_format(t, "      --%s", o->name);
    if (optional(o))
        text_format(t, "[=%.*s", (int)strlen(o->arg + 1), o->arg + 1);
    else if (o->arg)
        text_format(t, "=%s", o->arg);
    return t->n - from;
}

static void help_wrapped(struct text *t, const char *words, size_t column)
{
    while (*words) {
        size_t n = strcspn(words, " ");

        if (column + 1 + n > HELP_END && column > HELP_AT) {
            text_format(t, "\n%*s", HELP_AT, "");
            column = HELP_AT;
        } else if (column > HELP_AT) {
            text_char(t, ' ');
            column++;
        }
        text_add(t, words, n);
        column += n;
        words += n + strspn(words + n, " ");
    }
    text_char(t, '\n');
}

static void print_help(const struct flat *f)
{
    const struct opts_program *p = f->program;
    struct text t = { 0 };

    text_format(&t, "Usage: %s %s\n%s\n", p->name, p->usage, p->summary);
    for (size_t i = 0; i < f->n; i++) {
        const struct opt *o = f->rows[i].row;
        size_t used;

        if (o->heading) {
            text_format(&t, "\n%s:\n", o->heading);
            continue;
        }
        used = help_names(&t, o);
        if (used + 2 > HELP_AT)
            text_format(&t, "\n%*s", HELP_AT, "");
        else
            text_format(&t, "%*s", (int)(HELP_AT - used), "");
        help_wrapped(&t, o->help, HELP_AT);
    }
    if (p->footer)
        text_format(&t, "\n%s", p->footer);
    output(t.p, t.n);
    text_done(&t);
}

static bool print_completion(const struct flat *f, const char *shell)
{
    const struct opt *rows[ROWS_MAX];
    struct text t = { 0 };
    bool known;

    for (size_t i = 0; i < f->n; i++)
        rows[i] = f->rows[i].row;
    known = complete_script(&t, shell, f->program, rows, f->n);
    output(t.p, t.n);
    text_done(&t);
    return known;
}

static void print_version(const struct flat *f)
{
    struct text t = { 0 };

    text_format(&t, "%s (mqtools) %s\n", f->program->name, lq_version());
    output(t.p, t.n);
    text_done(&t);
}

/* --- parsing --- */

/* --help and its like need the tables, so no setter can serve them. */
static enum opts_result common_option(const struct flat *f, const struct opt *o, const char *value)
{
    if (strcmp(o->name, "help") == 0) {
        print_help(f);
    } else if (strcmp(o->name, "version") == 0) {
        print_version(f);
    } else if (!print_completion(f, value)) {
        report(REPORT_FAILED, "--completion: \"%s\" is none of " COMPLETE_SHELLS, value);
        return OPTS_WRONG;
    }
    return OPTS_DONE;
}

static enum opts_result apply(const struct flat *f, size_t i, void *base, const char *as, const char *value)
{
    const struct opt *o = f->rows[i].row;
    struct lq_error err = { 0 };

    if (value && !*value) {
        report(REPORT_FAILED, "%s: the argument is empty", as);
        return OPTS_WRONG;
    }
    if (!o->set)
        return common_option(f, o, value);
    if (o->set(o, (char *)base + f->rows[i].base + o->at, value, &err) == LQ_OK)
        return OPTS_GO;
    opts_report(as, &err);
    return OPTS_WRONG;
}

struct words {
    char **argv;
    int argc, next;
};

static enum opts_result parse_long(const struct flat *f, void *base, struct words *w, const char *word)
{
    size_t n = strcspn(word, "="), i = 0;
    const char *value = word[n] ? word + n + 1 : NULL;
    char as[64];

    while (i < f->n && !(f->rows[i].row->name && strlen(f->rows[i].row->name) == n &&
                         strncmp(f->rows[i].row->name, word, n) == 0))
        i++;
    if (i == f->n)
        return unknown_long(f, word, n);
    snprintf(as, sizeof(as), "--%s", f->rows[i].row->name);
    if (!f->rows[i].row->arg && value) {
        report(REPORT_FAILED, "%s takes no argument", as);
        return OPTS_WRONG;
    }
    if (f->rows[i].row->arg && !optional(f->rows[i].row) && !value) {
        if (w->next == w->argc) {
            report(REPORT_FAILED, "%s needs an argument: %s=%s", as, as, f->rows[i].row->arg);
            return OPTS_WRONG;
        }
        value = w->argv[w->next++];
    }
    return apply(f, i, base, as, value);
}

/* One word of letters: flags together, the last of them with its argument in the same or the next word. */
static enum opts_result parse_letters(const struct flat *f, void *base, struct words *w, const char *word)
{
    enum opts_result rc = OPTS_GO;

    for (; *word && rc == OPTS_GO; word++) {
        char as[3] = { '-', *word, '\0' };
        const char *value = NULL;
        size_t i = 0;

        while (i < f->n && f->rows[i].row->letter != *word)
            i++;
        if (i == f->n)
            return unknown_letter(f, *word);
        if (f->rows[i].row->arg && !optional(f->rows[i].row)) {
            value = word[1] ? word + 1 : w->next < w->argc ? w->argv[w->next++] : NULL;
            if (!value) {
                report(REPORT_FAILED, "%s needs an argument: %s %s", as, as, f->rows[i].row->arg);
                return OPTS_WRONG;
            }
            return apply(f, i, base, as, value);
        }
        rc = apply(f, i, base, as, NULL);
    }
    return rc;
}

static enum opts_result parse_operand(const struct flat *f, void *base, const char *word)
{
    struct lq_error err = { 0 };

    if (f->program->operand(base, word, &err) == LQ_OK)
        return OPTS_GO;
    report(REPORT_FAILED, "%s", err.text);
    return OPTS_WRONG;
}

enum opts_result opts_parse(const struct opts_program *p, void *base, int argc, char **argv)
{
    struct flat f = { .program = p };
    struct words w = { .argv = argv, .argc = argc, .next = 1 };
    enum opts_result rc = OPTS_GO;
    bool only_operands = false;

    flatten(&f, p->rows, 0);
    flatten(&f, common, 0);
    while (w.next < argc && rc == OPTS_GO) {
        const char *word = argv[w.next++];

        if (only_operands || word[0] != '-' || !word[1])
            rc = parse_operand(&f, base, word);
        else if (strcmp(word, "--") == 0)
            only_operands = true;
        else if (word[1] == '-')
            rc = parse_long(&f, base, &w, word + 2);
        else
            rc = parse_letters(&f, base, &w, word + 1);
    }
    return rc;
}
