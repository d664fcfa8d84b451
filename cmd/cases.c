/* Vaults and cases. */
#include "cases.h"

#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "report.h"

/* --- vaults --- */

static bool known(const struct cases *c, const char *dir)
{
    for (size_t i = 0; i < c->vault_count; i++)
        if (strcmp(lq_vault_dir(c->vaults[i]), dir) == 0)
            return true;
    return false;
}

/* Several queues may share one place. */
static void note_absent(struct cases *c, const char *dir)
{
    struct text t = { 0 };

    text_put(&t, ", ");
    text_put(&t, dir);
    text_put(&t, " (not there yet)");
    if (c->absent.n < t.n || !memmem(c->absent.p, c->absent.n, t.p, t.n))
        text_add(&c->absent, t.p, t.n);
    text_done(&t);
}

static bool add_vault(struct cases *c, const char *dir, bool must)
{
    struct lq_vault *vault, **vaults;
    struct lq_error err;
    int rc;

    if (known(c, dir))
        return true;
    rc = lq_vault_open(&vault, dir, &err);
    if (rc == LQ_ENOENT && !must) {
        note_absent(c, dir);
        return true;
    }
    if (rc < 0) {
        report(REPORT_FAILED, "%s", err.text);
        return false;
    }
    vaults = realloc(c->vaults, (c->vault_count + 1) * sizeof(*vaults));
    if (!vaults)
        report_no_memory();
    c->vaults = vaults;
    vaults[c->vault_count++] = vault;
    return true;
}

bool cases_vaults(struct cases *c, const char *named, struct selection *sel)
{
    bool fine = true;

    if (named)
        return select_finish(sel) && add_vault(c, named, true);
    if (!select_open(sel))
        return false;
    for (size_t i = 0; i < sel->queue_count; i++) {
        struct lq_error err;
        char *dir;

        if (lq_vault_default(&dir, sel->queues[i].queue, &err) < 0) {
            report(REPORT_FAILED, "%s", err.text);
            fine = false;
            continue;
        }
        fine &= add_vault(c, dir, false);
        free(dir);
    }
    return fine;
}

/* --- cases --- */

static void add_case(struct cases *c, struct lq_case *one)
{
    struct lq_case **list = realloc(c->list, (c->n + 1) * sizeof(*list));

    if (!list)
        report_no_memory();
    c->list = list;
    list[c->n++] = one;
}

static bool open_path(struct cases *c, const char *path)
{
    struct lq_case *one;
    struct lq_error err;

    if (lq_case_open(&one, NULL, path, &err) < 0) {
        report(REPORT_FAILED, "%s", err.text);
        return false;
    }
    add_case(c, one);
    return true;
}

bool cases_open(struct cases *c, const char *name)
{
    size_t before = c->n;

    if (strchr(name, '/'))
        return open_path(c, name);
    for (size_t i = 0; i < c->vault_count; i++) {
        struct lq_case *one;
        struct lq_error err;
        int rc = lq_case_open(&one, c->vaults[i], name, &err);

        if (rc == LQ_OK) {
            add_case(c, one);
        } else if (rc != LQ_ENOENT) {
            report(REPORT_FAILED, "%s", err.text);
            return false;
        }
    }
    if (c->n > before)
        return true;
    if (c->vault_count == 0)
        report(REPORT_FAILED, "there is no case %s: no vault either; --vault DIR names one", name);
    for (size_t i = 0; i < c->vault_count; i++)
        report(REPORT_FAILED, "there is no case %s in %s (mqquarantine list; --vault DIR names another vault)", name, lq_vault_dir(c->vaults[i]));
    return false;
}

void cases_close(struct cases *c)
{
    for (size_t i = 0; i < c->n; i++)
        lq_case_close(c->list[i]);
    free(c->list);
    c->list = NULL;
    c->n = 0;
}

void cases_end(struct cases *c)
{
    cases_close(c);
    for (size_t i = 0; i < c->vault_count; i++)
        lq_vault_close(c->vaults[i]);
    free(c->vaults);
    text_done(&c->absent);
    *c = (struct cases){ 0 };
}

/* --- in words --- */

static const char *const custodies[] = { [LQ_MOVED] = "moved", [LQ_PURGED] = "purged", [LQ_COPY] = "copy" };

static const char *condition(const struct lq_case_info *info)
{
    return info->unfinished ? "unfinished" : info->packed ? "packed" : info->sealed ? "sealed" : "open";
}

static void cell(struct text *t, const char *value)
{
    if (value && *value)
        text_escape(t, value, strlen(value), 0);
    else
        text_char(t, '-');
    text_char(t, '\0');
}

static void row(struct table *table, const struct lq_case_info *info)
{
    struct text t = { 0 };

    cell(&t, info->name);
    cell(&t, custodies[info->custody]);
    cell(&t, condition(info));
    text_count(&t, info->messages);
    text_char(&t, '\0');
    text_count(&t, info->restored);
    text_char(&t, '\0');
    text_size(&t, (int64_t)info->bytes);
    text_char(&t, '\0');
    cell(&t, info->why);
    table_row(table, t.p, t.n);
    text_done(&t);
}

static void member(struct text *t, const char *key, const char *value)
{
    if (!value)
        return;
    text_format(t, ",\"%s\":", key);
    text_json(t, value, strlen(value));
}

static void json(const struct lq_case_info *info)
{
    struct text raw = { 0 }, line = { 0 };

    text_put(&raw, "{\"schema\":\"mqtools.case/1\"");
    member(&raw, "case", info->name);
    member(&raw, "path", info->path);
    member(&raw, "custody", custodies[info->custody]);
    member(&raw, "condition", condition(info));
    member(&raw, "host", info->host);
    member(&raw, "verb", info->verb);
    member(&raw, "why", info->why);
    member(&raw, "command", info->command);
    text_put(&raw, info->redacted ? ",\"redacted\":true" : "");
    text_format(&raw, ",\"created\":%lld,\"messages\":%llu,\"bytes\":%llu,\"restored\":%llu,\"spools\":%zu}",
                (long long)info->created, (unsigned long long)info->messages, (unsigned long long)info->bytes,
                (unsigned long long)info->restored, info->spools);
    text_json_line(&line, raw.p, raw.n, isatty(STDOUT_FILENO));
    text_char(&line, '\n');
    output(line.p, line.n);
    text_done(&raw);
    text_done(&line);
}

static const struct table_column columns[] = {
    { .title = "case" },
    { .title = "custody" },
    { .title = "condition" },
    { .title = "messages", .right = true },
    { .title = "restored", .right = true },
    { .title = "bytes", .right = true },
    { .title = "why", .flexible = true },
};

static size_t list_vault(struct lq_vault *vault, struct table *table, bool as_json)
{
    struct lq_error err;
    char **names;
    size_t n;

    if (lq_vault_cases(vault, &names, &n, &err) < 0) {
        report(REPORT_FAILED, "%s", err.text);
        return 0;
    }
    for (size_t i = 0; i < n; i++) {
        struct lq_case *one;

        if (lq_case_open(&one, vault, names[i], &err) < 0) {
            report(REPORT_UNREADABLE, "%s", err.text);
            continue;
        }
        if (as_json)
            json(lq_case_info(one));
        else
            row(table, lq_case_info(one));
        lq_case_close(one);
    }
    lq_names_free(names, n);
    return n;
}

static void say_none(const struct cases *c)
{
    struct text t = { 0 };

    for (size_t i = 0; i < c->vault_count; i++) {
        text_put(&t, ", ");
        text_put(&t, lq_vault_dir(c->vaults[i]));
    }
    text_add(&t, c->absent.p, c->absent.n);
    if (t.n > 0)
        report(REPORT_NOTE, "there is no case in %.*s", (int)t.n - 2, t.p + 2);
    text_done(&t);
}

void cases_list(struct cases *c, bool as_json)
{
    struct table table = { .columns = columns, .n = sizeof(columns) / sizeof(columns[0]),
                           .screen = screen_look(COLOR_NEVER), .header = true };
    size_t n = 0;

    for (size_t i = 0; i < c->vault_count; i++)
        n += list_vault(c->vaults[i], &table, as_json);
    if (!as_json && n > 0)
        table_end(&table);
    if (n == 0)
        say_none(c);
}

void cases_whose(const char *dir, uid_t uid)
{
    const struct passwd *pw = getpwuid(uid);
    struct text t = { 0 };

    text_put(&t, dir);
    text_format(&t, " is a vault of user %s, who alone lists and restores its cases", pw ? pw->pw_name : "that is unknown here");
    if (pw) {
        text_put(&t, ": runuser -u ");
        text_shell(&t, pw->pw_name, strlen(pw->pw_name));
        text_put(&t, " -- mqquarantine list --vault ");
        text_shell(&t, dir, strlen(dir));
    }
    report(REPORT_NOTE, "%.*s", (int)t.n, t.p);
    text_done(&t);
}

/* A vault that is not the one of this user: who acted as the mail server's own user has his inside the spool. */
static void note_other(const struct cases *c, const char *dir)
{
    struct stat st, jobs;
    char below[4096];

    if (known(c, dir) || (size_t)snprintf(below, sizeof(below), "%s/jobs", dir) >= sizeof(below) || lstat(dir, &st) < 0 || !S_ISDIR(st.st_mode))
        return;
    /* What is in another's, only root sees. */
    if ((geteuid() == 0 || st.st_uid == geteuid()) && lstat(below, &jobs) < 0)
        return;
    if (st.st_uid == geteuid())
        report(REPORT_NOTE, "there is another vault, %s: --vault names it", dir);
    else
        cases_whose(dir, st.st_uid);
}

void cases_other_vaults(const struct cases *c, const struct selection *sel)
{
    for (size_t i = 0; i < sel->queue_count; i++) {
        const char *root = lq_queue_dir(sel->queues[i].queue), *slash = strrchr(root, '/');
        char dir[4096];

        if ((size_t)snprintf(dir, sizeof(dir), "%s/mqtools", root) < sizeof(dir))
            note_other(c, dir);
        if (slash && (size_t)snprintf(dir, sizeof(dir), "%.*s/mqtools", (int)(slash - root), root) < sizeof(dir))
            note_other(c, dir);
    }
}

static void line(struct text *t, const char *name, const char *value)
{
    if (!value)
        return;
    text_format(t, "%-10s ", name);
    text_escape(t, value, strlen(value), 0);
    text_char(t, '\n');
}

void cases_show(const struct lq_case *c, bool as_json)
{
    const struct lq_case_info *info = lq_case_info(c);
    struct text t = { 0 };

    if (as_json) {
        json(info);
        return;
    }
    line(&t, "case", info->name);
    line(&t, "path", info->path);
    line(&t, "custody", custodies[info->custody]);
    line(&t, "condition", condition(info));
    if (info->redacted)
        line(&t, "redacted", "holds no messages, only what is known of them");
    line(&t, "host", info->host);
    line(&t, "verb", info->verb);
    line(&t, "why", info->why);
    line(&t, "command", info->command);
    text_put(&t, "created    ");
    text_time(&t, info->created);
    text_put(&t, "\nmessages   ");
    text_count(&t, info->messages);
    text_put(&t, ", ");
    text_size(&t, (int64_t)info->bytes);
    text_put(&t, "\nrestored   ");
    text_count(&t, info->restored);
    text_char(&t, '\n');
    output(t.p, t.n);
    text_done(&t);
}
