/*
 * What a job did, from its own file, for who goes on from there (release JOB). The file is ours, in a directory that is root's alone; still no
 * line is believed before it is whole.
 */
#include "vault.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { VERB_SIZE = 16 };

struct job_file {
    const char *path;
    size_t line;
    char *verb;
    lq_job_message_fn *each;
    void *ctx;
};

static const char *member(const json_t *line, const char *key)
{
    const char *text = json_string_value(json_object_get(line, key));

    return text && *text ? text : NULL;
}

static int take_line(struct job_file *f, const char *p, size_t n, struct lq_error *err)
{
    json_t *line = json_loadb(p, n, JSON_REJECT_DUPLICATES, NULL);
    const char *event = member(line, "event"), *verb = member(line, "verb"), *result = member(line, "result");
    const char *spool = member(line, "spool"), *id = member(line, "id");
    int rc = LQ_OK;

    f->line++;
    if (!event)
        rc = error_set(err, LQ_EDAMAGED, "%s, line %zu: not a line of a job", f->path, f->line);
    else if (strcmp(event, "intent") == 0)
        snprintf(f->verb, VERB_SIZE, "%s", verb ? verb : "?");
    else if (strcmp(event, "message") == 0 && result && strcmp(result, "done") == 0 && spool && id)
        f->each(f->ctx, spool, id, member(line, "identity"));
    json_decref(line);
    return rc;
}

static int take_lines(struct job_file *f, int fd, struct lq_error *err)
{
    FILE *in = fdopen(fd, "r");
    char *line = NULL;
    size_t size = 0;
    ssize_t n = 0;
    int rc = LQ_OK;

    if (!in) {
        close(fd);
        return error_memory(err);
    }
    while (rc == LQ_OK && (n = getline(&line, &size, in)) > 0)
        rc = take_line(f, line, (size_t)n, err);
    if (rc == LQ_OK && ferror(in))
        rc = error_set(err, LQ_EIO, "cannot read %s: %s", f->path, strerror(errno));
    free(line);
    fclose(in);
    return rc;
}

int lq_vault_job(struct lq_vault *v, const char *job, char verb[16], lq_job_message_fn *each, void *ctx, struct lq_error *err)
{
    char name[JOB_NAME + sizeof(".ndjson")], *path;
    struct job_file f = { .verb = verb, .each = each, .ctx = ctx };
    enum file_result r;
    struct stat st;
    int fd, rc;

    if (!vault_job_name(job, strlen(job)))
        return error_set(err, LQ_ENOENT, "\"%.100s\" is not the name of a job", job);
    snprintf(name, sizeof(name), "%s.ndjson", job);
    r = file_open(v->jobs, name, &fd, &st);
    if (r == FILE_GONE)
        return error_set(err, LQ_ENOENT, "%s knows no job %s", v->path, job);
    if (r != FILE_OK)
        return error_set(err, r == FILE_DENIED ? LQ_EACCES : LQ_EIO, "%s/jobs/%s: %s", v->path, name, file_result_text(r));
    if (asprintf(&path, "%s/jobs/%s", v->path, name) < 0) {
        close(fd);
        return error_memory(err);
    }
    f.path = path;
    rc = take_lines(&f, fd, err);
    free(path);
    return rc;
}
