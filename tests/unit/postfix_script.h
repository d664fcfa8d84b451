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

/* --- whole files: samples A, B and D and the maildrop file of tests/spool/postfix --- */

#define TIME "T 1136214245 54321\n"
#define SAMPLE_A_ENVELOPE                                                                                              \
    "C6\n" TIME "A create_time=1136214245\nA rewrite_context=remote\nA sasl_method=PLAIN\nA sasl_username=kim\n"       \
    "S kim@example.com\nA log_client_address=IPv6:2001:db8::7\nA client_address=2001:db8::7\nA client_port=40777\n"    \
    "A dsn_orig_rcpt=rfc822;Lee@example.net\nO Lee@example.net\n@lee\nR lee@example.net\nO mo@example.net\n"           \
    "D mo@example.net\n"
#define SAMPLE_A                                                                                                       \
    SAMPLE_A_ENVELOPE "M\nN From: Kim <kim@example.com>\nN Subject: a\nN\nN nul \\x00 8bit \\xe9\n"                    \
    "L xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\n" \
    "N end\nX\nA encoding=8bit\nE\n"
#define SAMPLE_B                                                                                                       \
    "C6\n" TIME "A create_time=1136214245\np @sender\n=0A\n@client\nA client_address=192.0.2.7\nO b@example.net\n"     \
    "R b@example.net\nO c@example.net\n/ c@example.net\np @rcpt\n@content\nM\nN Received: by mx.example.com\n"         \
    "p @subject\n=al text\n@a\nN A: b\nw         0\np @header\n@body\nN\nN body\np               0\nX\n"               \
    "p               0\nE\n@sender\nS bounces@example.com\np @client\n@subject\nN Subject: changed\np @a\n"            \
    "@header\nN X-Added: 1\nw   0\np @body\n@rcpt\nO d@example.net\nR d@example.net\np @content\n"
#define SAMPLE_D                                                                                                       \
    "C4 1\nT 1117548000\nA rewrite_context=remote\nS news@example.com\nA client_name=host.example.com\n"               \
    "A client_address=192.0.2.44\nA message_origin=host.example.com[192.0.2.44]\nA helo_name=host.example.com\n"       \
    "A protocol_name=ESMTP\nO pat@example.net\nR pat@example.net\nM\n"                                                 \
    "N Received: from host.example.com (host.example.com [192.0.2.44])\nN Subject: old\nN\nN text\nX\nE\n"
#define MAILDROP                                                                                                       \
    TIME "A rewrite_context=local\nF Kim Example\nS kim\nA encoding=8bit\nM\nN Subject: t\nN To: lee@example.net\nN\n" \
    "L no newline\nX\nR lee@example.net\nE\n"

/* Around records of interest. */
#define ENVELOPE(records) "C6\n" TIME records "S a@b.example\nR c@d.example\nM\nN Subject: s\nN\nX\nE\n"

#endif
