/* Command lines to paste. */
#include "paste.h"

#include <stdlib.h>
#include <string.h>

#include "report.h"

/* How an option is typed. */
static const char *const typed[LQ_SEL_COUNT] = {
    [LQ_SEL_SENDER] = "-f", [LQ_SEL_RECIPIENT] = "-r", [LQ_SEL_RECIPIENT_ALL] = "--rcpt-all", [LQ_SEL_CLIENT] = "-p",
    [LQ_SEL_USER] = "-u", [LQ_SEL_SUBJECT] = "-S", [LQ_SEL_SIZE] = "-s", [LQ_SEL_SINCE] = "--since", [LQ_SEL_UNTIL] = "--until",
    [LQ_SEL_STATE] = "-q", [LQ_SEL_CLASS] = "--class",
};

void paste_begin(struct paste *p)
{
    *p = (struct paste){ .fine = true };
}

void paste_add(struct paste *p, enum lq_selector sel, const char *before, const char *value, size_t n)
{
    size_t m = strlen(before);
    char *text = malloc(m + n + 1);

    if (!text)
        report_no_memory();
    memcpy(text, before, m);
    memcpy(text + m, value, n);
    text[m + n] = '\0';
    p->fine &= p->n < PASTE_MAX && typed[sel] && text_plain(text, m + n);
    if (p->n < PASTE_MAX)
        p->list[p->n++] = (struct paste_option){ sel, text };
    else
        free(text);
}

/* The same kind twice would widen the selection, or be an error. */
static bool free_for(const struct paste *p, const struct selection *sel)
{
    for (size_t i = 0; i < p->n; i++)
        if (select_has(sel, p->list[i].sel))
            return false;
    return true;
}

bool paste_ready(struct paste *p, const struct selection *sel)
{
    struct lq_error err;

    if (!p->fine || !free_for(p, sel))
        return false;
    if (lq_filter_new(&p->filter, &err) < 0)
        report_no_memory();
    for (size_t i = 0; i < p->n; i++)
        if (lq_filter_add(p->filter, p->list[i].sel, p->list[i].value, &err) < 0)
            return false;
    return true;
}

/* --- read back --- */

enum { WORDS_MAX = 256 };

/* The words of a line that text_shell() wrote, as a shell takes them apart: bare, 'quoted', \' between. Answers how many. */
static size_t split(char *line, char **words)
{
    size_t n = 0;
    char *from = line, *to = line;

    while (*from && n < WORDS_MAX) {
        bool quoted = false;

        words[n++] = to;
        for (; *from && (quoted || *from != ' '); from++) {
            if (*from == '\'')
                quoted = !quoted;
            else if (*from == '\\' && !quoted && from[1])
                *to++ = *++from;
            else
                *to++ = *from;
        }
        from += *from == ' ';
        *to++ = '\0';
    }
    return n;
}

static bool same_words(const struct word_list *a, const struct word_list *b)
{
    for (size_t i = 0; i < a->n && i < b->n; i++)
        if (strcmp(a->items[i], b->items[i]) != 0)
            return false;
    return a->n == b->n;
}

static bool same_value(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

/* An expression may have come from a file and is then typed out. */
static bool same_pick(const struct pick *a, const struct pick *b)
{
    if (a->expression || b->expression)
        return a->expression && b->expression && strcmp(a->expression, b->expression) == 0;
    return a->opt == b->opt && same_value(a->value, b->value);
}

/* The selection's own options, then ours. */
static bool same_picks(const struct selection *back, const struct selection *sel, const struct paste *p)
{
    if (back->pick_count != sel->pick_count + p->n)
        return false;
    for (size_t i = 0; i < sel->pick_count; i++)
        if (!same_pick(&back->picks[i], &sel->picks[i]))
            return false;
    for (size_t i = 0; i < p->n; i++) {
        const struct pick *pick = &back->picks[sel->pick_count + i];

        if ((enum lq_selector)pick->opt->value != p->list[i].sel || !same_value(pick->value, p->list[i].value))
            return false;
    }
    return true;
}

static int no_operand(void *base, const char *word, struct lq_error *err)
{
    (void)base;
    return opts_wrong(err, "a line to paste has the word %s", word);
}

static bool reads_back(const struct text *line, const struct paste *p, const struct selection *sel)
{
    static const struct opt rows[] = { { .inherit = select_options }, { .inherit = select_from_options }, { 0 } };
    static const struct opts_program program = { .name = "mqgrep", .rows = rows, .operand = no_operand };
    char *copy = strndup(line->p, line->n), *words[WORDS_MAX];
    struct selection back;
    bool same;

    if (!copy)
        report_no_memory();
    select_begin(&back);
    same = opts_parse(&program, &back, (int)split(copy, words), words) == OPTS_GO;
    same = same && same_picks(&back, sel, p) && same_words(&back.spools, &sel->spools) && same_words(&back.mtas, &sel->mtas) &&
           same_words(&back.from, &sel->from) && same_words(&back.trusted, &sel->trusted) && !back.ids.given && !back.inverted;
    select_end(&back);
    free(copy);
    return same;
}

bool paste_command(struct text *t, const struct paste *p, const struct selection *sel, const char *command)
{
    struct text line = { 0 };
    bool fine = p->fine && select_command(sel, command, &line);

    for (size_t i = 0; i < p->n && fine; i++) {
        text_format(&line, " %s ", typed[p->list[i].sel]);
        text_shell(&line, p->list[i].value, strlen(p->list[i].value));
    }
    fine = fine && text_plain(line.p, line.n) && reads_back(&line, p, sel);
    if (fine)
        text_add(t, line.p, line.n);
    text_done(&line);
    return fine;
}

void paste_done(struct paste *p)
{
    for (size_t i = 0; i < p->n; i++)
        free(p->list[i].value);
    lq_filter_free(p->filter);
    *p = (struct paste){ .n = 0 };
}
