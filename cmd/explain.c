/* What a selection means, and keeping it. Opens no queue. */
#include "explain.h"

#include <stdlib.h>
#include <string.h>

#include "report.h"
#include "sets.h"

static void put_line(void *ctx, unsigned depth, const char *line)
{
    struct text *t = ctx;

    text_format(t, "%*s", (int)(2 + 2 * depth), "");
    text_escape(t, line, strlen(line), 0);
    text_char(t, '\n');
}

/* Which files that is, of each mail server. */
static const struct {
    enum lq_part part;
    const char *what, *exim, *postfix, *sendmail;
} parts[] = {
    { LQ_PART_CONTROL, "envelope and header", "-H and -J", "queue file", "qf" },
    { LQ_PART_SIZE, "size (looked at, not opened)", "-D", NULL, "df" },
    { LQ_PART_LOG, "delay reasons", "message log", "defer and bounce log", NULL },
    { LQ_PART_BODY, "body", "-D", "queue file", "df" },
};

static bool has_mta(const struct selection *s, const char *mta)
{
    for (size_t i = 0; i < s->mtas.n; i++)
        if (strcmp(s->mtas.items[i], mta) == 0)
            return true;
    return s->mtas.n == 0;
}

static void put_files(struct text *t, const struct selection *s, size_t i)
{
    const struct { const char *mta, *name, *files; } of[] = {
        { "exim", "Exim", parts[i].exim }, { "postfix", "Postfix", parts[i].postfix }, { "sendmail", "Sendmail", parts[i].sendmail },
    };
    bool any = false;

    text_format(t, "  %s:", parts[i].what);
    for (size_t k = 0; k < sizeof(of) / sizeof(of[0]); k++)
        if (of[k].files && has_mta(s, of[k].mta)) {
            text_format(t, "%s %s %s", any ? "," : "", of[k].name, of[k].files);
            any = true;
        }
    text_put(t, any ? "\n" : " nothing more to read\n");
}

static void put_parts(struct text *t, const struct selection *s)
{
    unsigned needed = lq_filter_parts(s->filter);

    text_put(t, "Read of each message, until that is decided:\n");
    if (!(needed & ~(unsigned)LQ_PART_NAME))
        text_put(t, "  nothing: the name of its file tells\n");
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
        if (needed & parts[i].part)
            put_files(t, s, i);
}

static void put_words(struct text *t, const char *what, const struct word_list *words, const char *none)
{
    text_format(t, "  %s: ", what);
    for (size_t i = 0; i < words->n; i++) {
        text_put(t, i > 0 ? ", " : "");
        text_escape(t, words->items[i], strlen(words->items[i]), 0);
    }
    text_format(t, "%s\n", words->n > 0 ? "" : none);
}

static void put_setting(struct text *t, const char *what, const char *value)
{
    if (!value)
        return;
    text_format(t, "  %s: ", what);
    text_escape(t, value, strlen(value), 0);
    text_char(t, '\n');
}

/* What mqtools.conf says and no option replaced. */
static void put_conf(struct text *t, const struct selection *s)
{
    put_setting(t, "defaults from", s->conf.path ? s->conf.path : "nowhere, there is no " CONF_PATH);
    for (size_t i = 0; i < s->conf.spool_count && s->spools.n == 0; i++)
        put_setting(t, "spool", s->conf.spools[i]);
    put_setting(t, "vault, if no option names one", s->conf.vault);
    if (s->conf.undo_days)
        text_format(t, "  undo cases are kept: %lu day%s\n", s->conf.undo_days, s->conf.undo_days == 1 ? "" : "s");
    put_setting(t, "reporter", s->conf.reporter);
}

static void put_settings(struct text *t, const struct selection *s)
{
    text_put(t, "In force:\n");
    put_conf(t, s);
    if (s->spools.n > 0 || s->conf.spool_count == 0)
        put_words(t, "spools", &s->spools, "those found on this machine");
    if (s->trusted.n > 0)
        put_words(t, "trusted", &s->trusted, "");
    else
        put_setting(t, "trusted", s->conf.trust ? s->conf.trust : "loopback, this machine's own addresses, Postfix's mynetworks");
    put_words(t, "mail servers", &s->mtas, "any");
    if (s->fixed_now)
        text_put(t, "  ages count from: "), text_time(t, s->now), text_char(t, '\n');
    else if (lq_filter_asks_now(s->filter))
        text_put(t, "  ages count from: now; in a spool that stands still, from its last change\n");
    text_put(t, "  a regular expression that takes too long on a text leaves that message undecided\n");
    text_put(t, "  what cannot be read is not selected, by no negation\n");
}

static void explain(const struct selection *s)
{
    struct text t = { 0 };
    struct lq_error err;
    char *expression;

    text_put(&t, "Selected is every message of which this is true:\n");
    if (s->ids.given && s->ids.n == 0)
        put_line(&t, 0, "nothing: the list of ids is empty");
    else if (lq_filter_explain(s->filter, put_line, &t, &err) < 0)
        report_no_memory();
    if (!s->ids.given && lq_filter_text(s->filter, &expression, &err) == LQ_OK) {
        text_put(&t, "As an expression:\n");
        put_line(&t, 0, expression);
        free(expression);
    }
    put_parts(&t, s);
    put_settings(&t, s);
    output(t.p, t.n);
    text_done(&t);
}

static bool save(const struct selection *s)
{
    char *expression, *path;
    struct lq_error err;

    if (s->ids.given) {
        report(REPORT_FAILED, "--save: ids are not kept, they come to mean other messages; a list of messages is kept by mqgrep -j");
        return false;
    }
    if (lq_filter_text(s->filter, &expression, &err) < 0) {
        report(REPORT_FAILED, "--save: %s", err.text);
        return false;
    }
    if (!sets_write(s->save, expression, &path, &err)) {
        report(REPORT_FAILED, "--save: %s", err.text);
        free(expression);
        return false;
    }
    report(REPORT_NOTE, "%s: %s", path, expression);
    free(path);
    free(expression);
    return true;
}

enum opts_result select_aside(struct selection *s)
{
    if (!s->save && !s->explain)
        return OPTS_GO;
    if (!select_finish(s) || (s->save && !save(s)))
        return OPTS_WRONG;
    if (s->explain)
        explain(s);
    return OPTS_DONE;
}
