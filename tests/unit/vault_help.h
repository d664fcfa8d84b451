/* Temporary directories, small spools and files for the tests of vaults and cases. */
#ifndef VAULT_HELP_H
#define VAULT_HELP_H

#include <check.h>
#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vault.h"

static char top[64];

static inline void make_top(void)
{
    strcpy(top, "/tmp/mqtools-vault-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(top));
}

static inline int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

static inline void remove_top(void)
{
    nftw(top, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* "TOP/name"; four of them live at a time. */
static inline const char *at(const char *name)
{
    static char paths[4][1024];
    static unsigned turn;
    char *p = paths[turn++ % 4];

    snprintf(p, sizeof(paths[0]), "%s/%s", top, name);
    return p;
}

static inline void make_dirs(const char *path)
{
    char *copy = strdup(path);

    for (char *p = copy + 1; (p = strchr(p, '/')) != NULL; p++) {
        *p = '\0';
        mkdir(copy, 0755);
        *p = '/';
    }
    mkdir(copy, 0755);
    free(copy);
}

static inline void put(const char *path, const char *text)
{
    char *dir = strdup(path);
    FILE *f;

    *strrchr(dir, '/') = '\0';
    make_dirs(dir);
    free(dir);
    f = fopen(path, "w");
    ck_assert_msg(f != NULL, "cannot write %s", path);
    fputs(text, f);
    fclose(f);
}

static inline char *slurp(const char *path)
{
    FILE *f = fopen(path, "r");
    static char text[1 << 18];
    size_t n;

    ck_assert_msg(f != NULL, "cannot read %s", path);
    n = fread(text, 1, sizeof(text) - 1, f);
    text[n] = '\0';
    fclose(f);
    return text;
}

static inline bool there(const char *path)
{
    struct stat st;

    return lstat(path, &st) == 0;
}

/* An Exim message of a few lines (4.94's format). */
static inline void put_exim(const char *input, const char *id, const char *body)
{
    char path[1024], text[1024];

    snprintf(path, sizeof(path), "%s/%s-H", input, id);
    snprintf(text, sizeof(text),
             "%s-H\nmail 8 8\n<sender@example.com>\n1795303390 0\n-received_time_usec .038558\n-host_address [203.0.113.9]:4711\n"
             "-body_linecount 1\n-max_received_linelength 70\nXX\n1\nrcpt@example.net\n\n"
             "025F From: sender@example.com\n019  Subject: %s\n", id, "hello you");
    put(path, text);
    snprintf(path, sizeof(path), "%s/%s-D", input, id);
    snprintf(text, sizeof(text), "%s-D\n%s\n", id, body);
    put(path, text);
}

#define ID1 "1xUroU-00000000001-0001"
#define ID2 "1xUroU-00000000002-0002"
#define ID3 "1xUroV-00000000003-0003"

static inline const char *make_exim_spool(const char *name)
{
    char input[600];

    snprintf(input, sizeof(input), "%s/%s/input", top, name);
    put_exim(input, ID1, "first");
    put_exim(input, ID2, "second");
    put_exim(input, ID3, "third");
    make_dirs(at("spool/msglog"));
    make_dirs(at("spool/db"));
    return at(name);
}

static inline struct lq_queue *open_queue(const char *mta, const char *dir)
{
    struct lq_error err = { 0 };
    struct lq_queue *q = NULL;

    ck_assert_msg(lq_queue_open(&q, mta, dir, "mx.example.com", &err) == LQ_OK, "%s", err.text);
    return q;
}

static inline struct lq_vault *make_vault(const char *name)
{
    struct lq_error err = { 0 };
    struct lq_vault *v = NULL;

    ck_assert_msg(vault_make(&v, at(name), &err) == LQ_OK, "%s", err.text);
    return v;
}

/* What lq_finding_fn told. */
static char findings[8192];

static inline void find_out(void *ctx, const char *sentence)
{
    (void)ctx;
    ck_assert_uint_lt(strlen(findings) + strlen(sentence) + 2, sizeof(findings));
    strcat(findings, sentence);
    strcat(findings, "\n");
}

#endif
