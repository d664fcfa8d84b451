/*
 * Queue files for the Postfix tests, made in memory from text: one record a line, its type and its data.
 *
 *     C6            the size record with that many fields, filled in from M and X; "C6 1 1": flags and sendopts
 *     S kim@x       a record; escapes \xHH and \\ in its data
 *     @name         a label: the offset here; "p @name" points to it
 *     =\x52\x7f     bytes as they are
 */
#ifndef POSTFIX_SCRIPT_H
#define POSTFIX_SCRIPT_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"

enum { SCRIPT_LABELS = 16 };

struct script {
    struct buf out;
    size_t size_at, data, x;
    int fields, flags, opts, rcpts;
    struct {
        char name[16];
        size_t at;
    } labels[SCRIPT_LABELS], uses[SCRIPT_LABELS];
    size_t label_count, use_count;
};

static inline void script_record(struct buf *b, char type, const void *data, size_t n)
{
    size_t left = n;

    buf_add_char(b, type);
    do {
        buf_add_char(b, (char)((left & 0x7f) | (left > 0x7f ? 0x80 : 0)));
        left >>= 7;
    } while (left > 0);
    buf_add(b, data, n);
}

static inline size_t script_unescape(const char *in, size_t n, char *out)
{
    size_t k = 0;

    for (size_t i = 0; i < n; i++) {
        if (in[i] != '\\') {
            out[k++] = in[i];
        } else if (in[i + 1] == 'x') {
            out[k++] = (char)strtol((char[]){ in[i + 2], in[i + 3], 0 }, NULL, 16);
            i += 3;
        } else {
            out[k++] = in[++i];
        }
    }
    return k;
}

static inline void script_line(struct script *s, const char *line, size_t n)
{
    char data[4096];
    size_t len;

    if (line[0] == '@') {
        snprintf(s->labels[s->label_count].name, 16, "%.*s", (int)n - 1, line + 1);
        s->labels[s->label_count++].at = s->out.n;
    } else if (line[0] == '=') {
        len = script_unescape(line + 1, n - 1, data);
        buf_add(&s->out, data, len);
    } else if (line[0] == 'C' && n > 1 && line[1] != ' ') {
        s->size_at = s->out.n;
        sscanf(line, "C%d %d %d", &s->fields, &s->flags, &s->opts);
        memset(data, ' ', sizeof(data));
        script_record(&s->out, 'C', data, (size_t)s->fields * 16 - 1);
    } else {
        len = n > 2 ? script_unescape(line + 2, n - 2, data) : 0;
        if (line[0] == 'p' && data[0] == '@') {
            snprintf(s->uses[s->use_count].name, 16, "%.*s", (int)len - 1, data + 1);
            s->uses[s->use_count++].at = s->out.n + 2;
            len = (size_t)snprintf(data, sizeof(data), "%15d", 0);
        }
        if (line[0] == 'X' && s->x == 0)
            s->x = s->out.n;
        s->rcpts += line[0] == 'R' || line[0] == 'D' || line[0] == '/';
        script_record(&s->out, line[0], data, len);
        if (line[0] == 'M' && s->data == 0)
            s->data = s->out.n;
    }
}

static inline void script_sizes(struct script *s)
{
    long c[6] = { (long)(s->x - s->data), (long)s->data, s->rcpts, s->flags, (long)(s->x - s->data), s->opts };
    char text[128];
    int n = 0;

    for (int i = 0; i < s->fields; i++)
        n += snprintf(text + n, sizeof(text) - (size_t)n, "%s%15ld", i ? " " : "", c[i]);
    memcpy(s->out.p + s->size_at + 2, text, (size_t)n);
}

static inline void script_pointers(struct script *s)
{
    char text[16];

    for (size_t u = 0; u < s->use_count; u++)
        for (size_t l = 0; l < s->label_count; l++)
            if (strcmp(s->uses[u].name, s->labels[l].name) == 0) {
                snprintf(text, sizeof(text), "%15zu", s->labels[l].at);
                memcpy(s->out.p + s->uses[u].at, text, 15);
            }
}

/* The file; out.p is the caller's. */
static inline struct buf script_make(const char *text)
{
    struct script s = { .fields = 0 };

    while (*text) {
        size_t n = strcspn(text, "\n");

        if (n > 0)
            script_line(&s, text, n);
        text += n + (text[n] == '\n');
    }
    if (s.fields > 0)
        script_sizes(&s);
    script_pointers(&s);
    return s.out;
}

#endif
