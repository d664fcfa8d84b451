/* The mail-log lines of the selected messages: asks for them by id, reads the logs once, and writes them where a message is shown. */
#include "loglines.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "column.h"
#include "report.h"

int loglines_option(const struct opt *o, void *target, const char *value, struct lq_error *err)
{
    struct word_list *files = &((struct loglines *)target)->files;
    const char **more;

    (void)o;
    for (size_t i = 0; i < files->n; i++)
        if (strcmp(files->items[i], value) == 0)
            return opts_wrong(err, "%s is given twice", value);
    more = realloc(files->items, (files->n + 1) * sizeof(*more));
    if (!more)
        report_no_memory();
    files->items = more;
    more[files->n++] = value;
    return LQ_OK;
}

bool loglines_asked(const struct loglines *l)
{
    return l->files.n > 0;
}

bool loglines_from_stdin(const struct loglines *l)
{
    for (size_t i = 0; i < l->files.n; i++)
        if (strcmp(l->files.items[i], "-") == 0)
            return true;
    return false;
}

uint64_t loglines_fields_wanted(void)
{
    return LQ_FIELD_BIT(LQ_MTA) | LQ_FIELD_BIT(LQ_QUEUE_ID) | LQ_FIELD_BIT(LQ_AUTH_USER) | LQ_FIELD_BIT(LQ_AUTH_METHOD) |
           LQ_FIELD_BIT(LQ_ATTEMPTS);
}

static const uint64_t fields_asked = LQ_FIELD_BIT(LQ_MTA) | LQ_FIELD_BIT(LQ_QUEUE_ID) | LQ_FIELD_BIT(LQ_ARRIVAL_TIME);

static void must(int rc)
{
    if (rc < 0)
        report_no_memory();
}

static void ask(struct lq_log *log, const struct lq_record *r)
{
    int64_t arrival;
    bool known = lq_record_number(r, LQ_ARRIVAL_TIME, &arrival);
    struct lq_error err;

    must(lq_log_want(log, lq_record_text(r, LQ_MTA).p, lq_record_text(r, LQ_QUEUE_ID), known ? &arrival : NULL, &err));
}

bool loglines_readable(const struct loglines *l, struct lq_error *why)
{
    struct stat st;

    for (size_t i = 0; i < l->files.n; i++) {
        const char *path = l->files.items[i];
        bool standard = strcmp(path, "-") == 0;
        int error = standard ? 0 : eaccess(path, R_OK) < 0 || stat(path, &st) < 0 ? errno : S_ISDIR(st.st_mode) ? EISDIR : 0;

        /* It need not have an end. */
        if (!standard && error == 0 && (S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode))) {
            opts_wrong(why, "cannot read %s: a device is no mail log", path);
            return false;
        }
        if (error) {
            opts_wrong(why, "cannot read %s: %s", path, strerror(error));
            return false;
        }
    }
    return true;
}

void loglines_open(struct loglines *l)
{
    struct lq_error err;

    must(lq_log_new(&l->log, &err));
    for (size_t i = 0; i < l->files.n; i++)
        must(lq_log_add_file(l->log, l->files.items[i], &err));
}

bool loglines_report(const struct loglines *l)
{
    const char *sentence;

    for (size_t i = 0; (sentence = lq_log_trouble(l->log, i)); i++)
        report(REPORT_UNREADABLE, "%s", sentence);
    for (size_t i = 0; (sentence = lq_log_note(l->log, i)); i++)
        report(REPORT_NOTE, "%s", sentence);
    return !lq_log_trouble(l->log, 0);
}

void loglines_read(struct loglines *l, struct selection *sel, unsigned long limit)
{
    struct walk walk = { .sel = sel, .filter = sel->filter, .fields = fields_asked, .quiet = true };
    const struct lq_record *r;
    struct lq_error err;

    loglines_open(l);
    while (!(limit && walk.selected == limit) && walk_next(&walk, &r) == LQ_OK)
        ask(l->log, r);
    walk_end(&walk);
    must(lq_log_read(l->log, &err));
    loglines_report(l);
}

/* Lines of the message are gathered; false for one that came while the log was read. */
static bool gathered(struct loglines *l, const struct lq_record *r)
{
    struct lq_error err;
    size_t n;
    int rc = lq_log_message(l->log, lq_record_text(r, LQ_MTA).p, lq_record_text(r, LQ_QUEUE_ID), &n, &err);

    must(rc);
    return rc == LQ_OK;
}

void loglines_text(struct loglines *l, const struct lq_record *r, struct text *out)
{
    struct lq_log_line line;

    if (!gathered(l, r))
        return;
    for (size_t i = 0; lq_log_line(l->log, i, &line); i++) {
        text_put(out, "    ");
        if (l->files.n > 1) {
            text_escape(out, line.file, strlen(line.file), 0);
            text_put(out, ": ");
        }
        text_escape(out, line.text.p, line.text.n, 0);
        text_put(out, line.cut ? " ...\n" : "\n");
    }
}

void loglines_fields(struct loglines *l, const struct lq_record *r, struct text *out)
{
    static const enum lq_field fields[] = { LQ_AUTH_USER, LQ_AUTH_METHOD, LQ_ATTEMPTS };

    if (!gathered(l, r))
        return;
    for (size_t i = 0; i < sizeof(fields) / sizeof(*fields); i++) {
        struct lq_str value = lq_log_field(l->log, r, fields[i]);

        if (!value.p)
            continue;
        text_format(out, "%-16s ", lq_field_name(fields[i]));
        text_escape(out, value.p, value.n, 0);
        text_put(out, " (from the log)\n");
    }
}

void loglines_json(struct loglines *l, const struct lq_record *r, struct text *out)
{
    struct lq_error err;
    struct lq_str members;

    if (!gathered(l, r))
        return;
    must(lq_log_json(l->log, r, &members, &err));
    text_char(out, ',');
    text_add(out, members.p, members.n);
}

void loglines_done(struct loglines *l)
{
    lq_log_free(l->log);
    free(l->files.items);
}
