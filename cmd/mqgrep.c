/* mqgrep: the selected messages, one line each, or in the form that was asked for. */
#include <stdlib.h>
#include <string.h>

#include "column.h"
#include "explain.h"
#include "loglines.h"
#include "opts.h"
#include "print.h"
#include "report.h"
#include "select.h"
#include "sort.h"

enum mode {
    MODE_TABLE, MODE_LONG, MODE_BRIEF, MODE_IDS, MODE_COUNT, MODE_JSON, MODE_CSV, MODE_FORMAT,
    MODE_SHOW, MODE_RAW, MODE_EML,
    MODE_COUNT_OF
};

/* A piece of --format: plain text, or a field when column.name is set. */
struct piece {
    struct column column;
    struct text plain;
};

struct grep {
    struct selection sel;
    int mode;                   /* enum mode */
    bool nul, reverse, header;
    const char *fields, *sort, *format;
    unsigned long limit;
    enum color_when color;
    struct loglines log;

    struct screen screen;
    struct columns columns;
    struct table_column titles[TABLE_COLUMNS_MAX];
    struct table table;
    struct piece *pieces;
    size_t piece_count;
    struct sorter sorter;
    struct walk walk;
    bool stop;                  /* an output could not be made or written */
};

/* --- options --- */

#define INTO(setter, member) .set = (setter), .at = offsetof(struct grep, member)
#define MODE(m) INTO(opt_mode, mode), .value = (m)

static const struct opt options[] = {
    { .heading = "What to show (default: id, state, age, size, sender, client, recipients)" },
    { "long", 'l', NULL, "everything known, one field a line", MODE(MODE_LONG) },
    { "brief", 'b', NULL, "id, sender and all recipients", MODE(MODE_BRIEF) },
    { "ids", 'i', NULL, "ids only", MODE(MODE_IDS) },
    { "count", 'c', NULL, "how many", MODE(MODE_COUNT) },
    { "json", 'j', NULL, "one JSON object a line, see mqtools-record(5)", MODE(MODE_JSON) },
    { "csv", 0, NULL, "comma-separated values with a header", MODE(MODE_CSV) },
    { "format", 0, "TEXT", "TEXT with {field} replaced; \\n \\t \\\\ {{ }}", INTO(opt_text, format) },
    { "null", '0', NULL, "ids or formatted text with a NUL instead of a newline", INTO(opt_flag, nul) },
    { "fields", 0, OPTS_FIELDS, "these fields, in the table, in --csv and in -j", INTO(opt_text, fields) },
    { "show", 0, NULL, "envelope and header of the message", MODE(MODE_SHOW) },
    { "raw", 0, NULL, "the bytes of its queue files", MODE(MODE_RAW) },
    { "eml", 0, NULL, "the message as it would be sent (RFC 5322)", MODE(MODE_EML) },
    { "log", 0, "FILE", "the lines about it in this mail log, plain or .gz; - is standard input", INTO(loglines_option, log) },
    { "sort", 0, OPTS_FIELDS, "in the order of these fields", INTO(opt_text, sort) },
    { "reverse", 'R', NULL, "in reverse order", INTO(opt_flag, reverse) },
    { "max-count", 'm', "N", "the first N", INTO(opt_count, limit), .value = 1 },
    { "header", 0, NULL, "titles above the table, also where it is no terminal", INTO(opt_flag, header) },
    { "color", 0, "[WHEN]", "auto, always or never", INTO(opt_color, color), .words = "auto always never" },
    { "invert", 'v', NULL, "the messages that do not fit", INTO(opt_flag, sel.inverted) },
    { .inherit = select_options, .at = offsetof(struct grep, sel) },
    { .inherit = select_from_options, .at = offsetof(struct grep, sel) },
    { 0 }
};

static int operand(void *base, const char *word, struct lq_error *err)
{
    return select_operand(&((struct grep *)base)->sel, word, err);
}

static const struct opts_program program = {
    .name = "mqgrep",
    .usage = "[OPTION]... [ID]...",
    .summary = "List the messages of mail queues that fit, one a line.",
    .footer = "ID may be - for ids on standard input.\n"
              "Exit status: 0 some fit, 1 none, 2 trouble (what fits is still listed).\n",
    .rows = options,
    .operand = operand,
};

/* --- --format --- */

static struct piece *add_piece(struct grep *g)
{
    struct piece *pieces = realloc(g->pieces, (g->piece_count + 1) * sizeof(*pieces));

    if (!pieces)
        report_no_memory();
    g->pieces = pieces;
    pieces[g->piece_count] = (struct piece){ .plain = { 0 } };
    return &pieces[g->piece_count++];
}

static int format_field(struct grep *g, const char **p, struct lq_error *err)
{
    size_t n = strcspn(*p, "}");
    int rc;

    if (!(*p)[n])
        return opts_wrong(err, "\"{%s\" has no end; a brace is written {{", *p);
    rc = column_find(&add_piece(g)->column, *p, n, err);
    *p += n + 1;
    return rc;
}

static int format_escape(struct text *plain, const char **p, struct lq_error *err)
{
    static const char from[] = "nt\\", to[] = "\n\t\\";
    const char *at = **p ? strchr(from, **p) : NULL;

    if (!at)
        return opts_wrong(err, "\\%s is not known; there are \\n, \\t and \\\\", *p);
    text_char(plain, to[at - from]);
    ++*p;
    return LQ_OK;
}

static int format_parse(struct grep *g, const char *p, struct lq_error *err)
{
    struct piece *plain = NULL;
    int rc = LQ_OK;

    while (*p && rc == LQ_OK) {
        char c = *p++;

        if (c == '{' && *p != '{') {
            rc = format_field(g, &p, err);
            plain = NULL;
            continue;
        }
        if (c == '}' && *p != '}')
            return opts_wrong(err, "a } stands alone; a brace is written }}");
        if (!plain)
            plain = add_piece(g);
        if (c == '\\') {
            rc = format_escape(&plain->plain, &p, err);
            continue;
        }
        p += c == '{' || c == '}';
        text_char(&plain->plain, c);
    }
    return rc;
}

static uint64_t format_fields(const struct grep *g)
{
    struct columns c = { .n = 1 };
    uint64_t fields = 0;

    for (size_t i = 0; i < g->piece_count; i++) {
        c.list[0] = g->pieces[i].column;
        if (c.list[0].name)
            fields |= columns_fields(&c);
    }
    return fields;
}

/* --- one row of each kind --- */

static int64_t row_now(struct grep *g)
{
    return select_now(&g->sel, g->walk.index);
}

static void table_cells(struct grep *g, const struct lq_record *r, struct text *row)
{
    /* For awk all columns are words, but for a text that comes last; people like their blanks. */
    for (size_t i = 0; i < g->columns.n; i++) {
        bool last = i + 1 == g->columns.n && lq_field_type(g->columns.list[i].field) == LQ_TYPE_TEXT;
        bool word = !g->screen.terminal && !last;

        column_show(row, r, &g->columns.list[i], row_now(g), word ? COLUMN_WORD : 0);
        text_char(row, '\0');
    }
    if (g->table.below) {
        loglines_text(&g->log, r, row);
        text_char(row, '\0');
    }
}

static void log_block(struct grep *g, const struct lq_record *r, struct text *row)
{
    if (!loglines_asked(&g->log))
        return;
    loglines_fields(&g->log, r, row);
    loglines_text(&g->log, r, row);
}

static void long_block(struct grep *g, const struct lq_record *r, struct text *row)
{
    for (enum lq_field f = 0; f < LQ_RECIPIENT; f++)
        if (LQ_FIELDS_ALL & LQ_FIELD_BIT(f))
            column_block(row, r, f, row_now(g));
    log_block(g, r, row);
    text_char(row, '\n');
}

/* exiqgrep -b writes it so. A sender or recipients that could not be read are `?` as in the table, not a null sender. */
static void brief_line(struct grep *g, const struct lq_record *r, struct text *row)
{
    struct lq_str id = lq_record_text(r, LQ_QUEUE_ID), s = lq_record_text(r, LQ_SENDER);

    (void)g;
    text_escape(row, id.p, id.n, 0);
    text_put(row, s.p ? " From: <" : " From: ?");
    text_escape(row, s.p, s.n, 0);
    text_put(row, s.p ? "> To: " : " To: ");
    if (lq_record_has(r, LQ_RECIPIENT) == LQ_UNREAD)
        text_char(row, '?');
    for (size_t i = 0; (s = lq_record_text_at(r, LQ_RECIPIENT, i)).p; i++) {
        if (i > 0)
            text_char(row, ';');
        text_escape(row, s.p, s.n, 0);
    }
    text_char(row, '\n');
    if (loglines_asked(&g->log))
        loglines_text(&g->log, r, row);
}

static void id_line(struct grep *g, const struct lq_record *r, struct text *row)
{
    struct lq_str id = lq_record_text(r, LQ_QUEUE_ID);

    if (!id.p)
        return;     /* a record from elsewhere, made of other fields */
    text_escape(row, id.p, id.n, ESCAPE_BLANKS);
    text_char(row, g->nul ? '\0' : '\n');
}

static void nothing(struct grep *g, const struct lq_record *r, struct text *row)
{
    (void)g, (void)r, (void)row;
}

/* The record's last brace closes what is added, too. */
static void json_with_log(struct grep *g, const struct lq_record *r, struct lq_str json, struct text *row)
{
    struct text whole = { 0 };

    text_add(&whole, json.p, json.n - 1);
    loglines_json(&g->log, r, &whole);
    text_char(&whole, '}');
    text_json_line(row, whole.p, whole.n, g->screen.terminal);
    text_char(row, '\n');
    text_done(&whole);
}

static void json_line(struct grep *g, const struct lq_record *r, struct text *row)
{
    uint64_t fields = g->fields ? columns_json_fields(&g->columns) : LQ_FIELDS_ALL;
    struct lq_error err;
    struct lq_str s;

    if (lq_record_json(r, fields, &s, &err) < 0)
        report_no_memory();
    if (loglines_asked(&g->log)) {
        json_with_log(g, r, s, row);
        return;
    }
    /* A hostile message makes 40 MiB of it: not copied where it need not be. */
    if (g->screen.terminal || g->sort || g->reverse)
        text_json_line(row, s.p, s.n, g->screen.terminal);
    else
        output(s.p, s.n);
    text_char(row, '\n');
}

/* A known empty value is written "", one that is not stored is nothing at all. */
static void csv_line(struct grep *g, const struct lq_record *r, struct text *row)
{
    struct text value = { 0 };

    for (size_t i = 0; i < g->columns.n; i++) {
        bool has;

        value.n = 0;
        has = column_data(&value, r, &g->columns.list[i], row_now(g));
        if (i > 0)
            text_char(row, ',');
        if (has && value.n == 0)
            text_put(row, "\"\"");
        else
            text_csv(row, value.p, value.n, g->screen.terminal);
    }
    text_put(row, "\r\n");
    text_done(&value);
}

static void format_line(struct grep *g, const struct lq_record *r, struct text *row)
{
    for (size_t i = 0; i < g->piece_count; i++) {
        if (g->pieces[i].column.name)
            column_show(row, r, &g->pieces[i].column, row_now(g), COLUMN_ALL);
        else
            text_add(row, g->pieces[i].plain.p, g->pieces[i].plain.n);
    }
    text_char(row, g->nul ? '\0' : '\n');
}

/* --- the message itself --- */

static bool write_failed(struct grep *g, const struct lq_record *r, int rc, const struct lq_error *err)
{
    struct lq_str id = lq_record_text(r, LQ_QUEUE_ID);

    if (rc >= 0)
        return false;
    g->stop = report_output_broken();
    if (rc == LQ_ENOENT)
        report(REPORT_NOTE, "%.*s left the queue while it was being read", (int)id.n, id.p);
    else if (!g->stop)
        report(REPORT_UNREADABLE, "%s", err->text);
    return true;
}

static int collect(void *ctx, const void *p, size_t n)
{
    text_add(ctx, p, n);
    return 0;
}

/* What the header tells is not said twice. */
static void show_message(struct grep *g, const struct lq_record *r, struct text *row)
{
    static const uint64_t in_header = LQ_FIELD_BIT(LQ_SUBJECT) | LQ_FIELD_BIT(LQ_FROM) | LQ_FIELD_BIT(LQ_TO) |
                                      LQ_FIELD_BIT(LQ_MESSAGE_ID) | LQ_FIELD_BIT(LQ_DATE) | LQ_FIELD_BIT(LQ_RECEIVED);
    struct text header = { 0 };
    struct lq_error err;
    int rc;

    for (enum lq_field f = 0; f < LQ_RECIPIENT; f++)
        if (LQ_FIELDS_ALL & ~in_header & LQ_FIELD_BIT(f))
            column_block(row, r, f, row_now(g));
    rc = lq_message_headers(g->sel.queues[g->walk.index].queue, r, collect, &header, &err);
    text_char(row, '\n');
    text_escape(row, header.p, header.n, ESCAPE_LINES);
    if (header.n > 0 && header.p[header.n - 1] != '\n')
        text_char(row, '\n');
    log_block(g, r, row);
    text_char(row, '\n');
    write_failed(g, r, rc, &err);
    text_done(&header);
}

/* Bytes of a message on their way to standard output. */
struct sink {
    bool terminal;
    struct text line;       /* on a terminal: the line that is not whole yet */
};

static void sink_line(struct sink *s)
{
    struct text escaped = { 0 };

    if (s->line.n > 1 && s->line.p[s->line.n - 1] == '\n' && s->line.p[s->line.n - 2] == '\r')
        s->line.p[--s->line.n - 1] = '\n';
    text_escape(&escaped, s->line.p, s->line.n, ESCAPE_LINES);
    output(escaped.p, escaped.n);
    text_done(&escaped);
    s->line.n = 0;
}

static int sink_write(void *ctx, const void *p, size_t n)
{
    enum { LINE_MAX_SHOWN = 65536 };    /* a longer one is shown in pieces */
    const char *bytes = p;
    struct sink *s = ctx;

    if (!s->terminal)
        output(p, n);
    for (size_t i = 0; i < n && s->terminal; i++) {
        text_char(&s->line, bytes[i]);
        if (bytes[i] == '\n' || s->line.n >= LINE_MAX_SHOWN)
            sink_line(s);
    }
    return report_output_broken();
}

static void sink_end(struct sink *s)
{
    if (s->line.n > 0)
        sink_line(s);
    text_done(&s->line);
}

static void raw_message(struct grep *g, const struct lq_record *r, struct text *row)
{
    struct sink sink = { .terminal = g->screen.terminal };
    struct lq_error err;
    int rc = LQ_OK;

    (void)row;
    for (size_t i = 0; rc == LQ_OK && lq_record_text_at(r, LQ_FILES, i).p; i++)
        rc = lq_message_raw(g->sel.queues[g->walk.index].queue, r, i, sink_write, &sink, &err);
    sink_end(&sink);
    write_failed(g, r, rc, &err);
}

static void eml_message(struct grep *g, const struct lq_record *r, struct text *row)
{
    struct sink sink = { .terminal = g->screen.terminal };
    struct lq_error err;
    int rc = lq_message_eml(g->sel.queues[g->walk.index].queue, r, sink_write, &sink, &err);

    (void)row;
    sink_end(&sink);
    write_failed(g, r, rc, &err);
}

/* --- modes --- */

static const struct {
    void (*row)(struct grep *g, const struct lq_record *r, struct text *row);
    uint64_t fields;            /* 0: those of the columns */
    const char *columns;        /* without --fields; NULL: --fields does not go with it */
    bool direct;                /* writes the message itself: cannot be sorted */
    bool ages;
    bool log;                   /* --log goes with it */
} modes[MODE_COUNT_OF] = {
    [MODE_TABLE] = { table_cells, 0, "id,state,age,size,sender,client,recipients", false, true, true },
    [MODE_LONG] = { long_block, LQ_FIELDS_ALL, NULL, false, true, true },
    [MODE_BRIEF] = { brief_line, LQ_FIELD_BIT(LQ_QUEUE_ID) | LQ_FIELD_BIT(LQ_SENDER) | LQ_FIELD_BIT(LQ_RECIPIENT),
                     NULL, false, false, true },
    [MODE_IDS] = { id_line, LQ_FIELD_BIT(LQ_QUEUE_ID), NULL, false, false, false },
    [MODE_COUNT] = { nothing, LQ_FIELD_BIT(LQ_QUEUE_ID), NULL, false, false, false },
    [MODE_JSON] = { json_line, LQ_FIELDS_ALL, "id", false, false, true },
    [MODE_CSV] = { csv_line, 0,
                   "mta,spool,queue_name,queue_id,state,arrival_time,message_size,sender,recipients,client_address,"
                   "auth_user,local_user,subject,problems", false, false, false },
    [MODE_FORMAT] = { format_line, 0, NULL, false, false, false },
    [MODE_SHOW] = { show_message, LQ_FIELDS_ALL, NULL, true, true, true },
    [MODE_RAW] = { raw_message, LQ_FIELDS_ALL, NULL, true, false, false },
    [MODE_EML] = { eml_message, LQ_FIELDS_ALL, NULL, true, false, false },
};

static uint64_t fields_wanted(const struct grep *g)
{
    uint64_t fields = modes[g->mode].fields;

    if (g->mode == MODE_FORMAT)
        fields = format_fields(g);
    else if (g->mode == MODE_JSON && g->fields)
        fields = columns_json_fields(&g->columns);
    else if (fields == 0)
        fields = columns_fields(&g->columns);
    if (loglines_asked(&g->log))
        fields |= loglines_fields_wanted();
    return fields | sort_fields(&g->sorter) | LQ_FIELD_BIT(LQ_QUEUE_ID);
}

static bool shows_age(const struct grep *g)
{
    bool ages = modes[g->mode].ages && g->mode != MODE_TABLE;

    if (modes[g->mode].columns)
        for (size_t i = 0; i < g->columns.n; i++)
            ages |= g->columns.list[i].age;
    for (size_t i = 0; i < g->piece_count; i++)
        ages |= g->pieces[i].column.age;
    return ages;
}

static const char *paint_state(const char *cell)
{
    static const struct { const char *state, *paint; } paints[] = {
        { "held", "\033[33m" },     { "corrupt", "\033[31m" },   { "incomplete", "\033[31m" },
        { "active", "\033[32m" },   { "receiving", "\033[36m" },
    };

    for (size_t i = 0; i < sizeof(paints) / sizeof(paints[0]); i++)
        if (strcmp(cell, paints[i].state) == 0)
            return paints[i].paint;
    return NULL;
}

static const char *title(const struct column *c)
{
    switch (c->field) {
    case LQ_QUEUE_ID:
        return "id";
    case LQ_MESSAGE_SIZE:
        return "size";
    case LQ_CLIENT_ADDRESS:
        return "client";
    default:
        return c->name;
    }
}

static void prepare_table(struct grep *g)
{
    for (size_t i = 0; i < g->columns.n; i++) {
        const struct column *c = &g->columns.list[i];
        enum lq_type type = lq_field_type(c->field);
        bool number = type == LQ_TYPE_NUMBER && (c->age || c->field != LQ_ARRIVAL_TIME);

        g->titles[i] = (struct table_column){
            .title = title(c),
            .right = number,
            .flexible = !number && c->field != LQ_QUEUE_ID && c->field != LQ_STATE,
            .paint = c->field == LQ_STATE ? paint_state : NULL,
        };
    }
    g->table = (struct table){
        .columns = g->titles, .n = g->columns.n, .screen = g->screen, .header = g->header || g->screen.terminal,
        .below = loglines_asked(&g->log),
    };
}

/* What the options say together; false after saying what does not go together. */
static bool agree(struct grep *g)
{
    const char *wrong = NULL;

    if (g->nul && g->mode == MODE_TABLE)
        g->mode = MODE_IDS;
    if (g->nul && g->mode != MODE_IDS && g->mode != MODE_FORMAT)
        wrong = "-0 ends ids and --format lines only";
    else if (g->fields && !modes[g->mode].columns)
        wrong = "--fields goes with the table, --csv and -j only";
    else if ((g->sort || g->reverse) && modes[g->mode].direct)
        wrong = "--sort and -R do not go with --show, --raw and --eml";
    else if (loglines_asked(&g->log) && !modes[g->mode].log)
        wrong = "--log goes with the table, -l, -b, -j and --show only";
    else if (loglines_from_stdin(&g->log) && g->sel.ids.standard_input)
        wrong = "standard input cannot be both a log and a list of ids";
    else if (loglines_from_stdin(&g->log) && select_from_stdin(&g->sel))
        wrong = "standard input cannot be both a log and records";
    else if (g->sel.from.n && modes[g->mode].direct)
        wrong = "--show, --raw and --eml need the message itself: records from elsewhere hold only what is known of it";
    if (wrong)
        report(REPORT_FAILED, "%s", wrong);
    return !wrong;
}

static bool prepare(struct grep *g)
{
    struct lq_error err;
    const char *columns;

    if (g->format && g->mode != MODE_TABLE) {
        report(REPORT_FAILED, "--format: only one kind of output can be asked for");
        return false;
    }
    if (g->format)
        g->mode = MODE_FORMAT;
    if (!agree(g))
        return false;
    if (g->format && format_parse(g, g->format, &err) < 0) {
        report(REPORT_FAILED, "--format: %s", err.text);
        return false;
    }
    columns = g->fields ? g->fields : modes[g->mode].columns;
    if (columns && columns_parse(&g->columns, columns, &err) < 0) {
        report(REPORT_FAILED, "--fields: %s", err.text);
        return false;
    }
    if (g->sort && sort_parse(&g->sorter, g->sort, &err) < 0) {
        report(REPORT_FAILED, "--sort: %s", err.text);
        return false;
    }
    g->sorter.reverse = g->reverse;
    g->sorter.limit = g->limit;
    g->screen = screen_look(g->color);
    if (g->mode == MODE_TABLE)
        prepare_table(g);
    return true;
}

/* --- the loop --- */

static void put_row(struct grep *g, const char *p, size_t n)
{
    if (g->mode == MODE_TABLE)
        table_row(&g->table, p, n);
    else
        output(p, n);
}

static void csv_header(const struct grep *g)
{
    struct text line = { 0 };

    for (size_t i = 0; i < g->columns.n; i++)
        text_format(&line, "%s%s", i ? "," : "", g->columns.list[i].name);
    text_put(&line, "\r\n");
    output(line.p, line.n);
    text_done(&line);
}

/* Two messages in one stream of bytes cannot be told apart again: one, or as many as -m says. */
static bool one_message(struct grep *g)
{
    struct walk look = { .sel = &g->sel, .filter = g->sel.filter, .fields = LQ_FIELD_BIT(LQ_QUEUE_ID), .quiet = true };
    const struct lq_record *rec;

    if ((g->mode != MODE_RAW && g->mode != MODE_EML) || g->limit)
        return true;
    while (look.selected < 2 && walk_next(&look, &rec) == LQ_OK)
        ;
    walk_end(&look);
    if (look.selected < 2)
        return true;
    report(REPORT_FAILED, "more than one message fits, and %s writes one: give its id, or -m 1 for the first",
           g->mode == MODE_RAW ? "--raw" : "--eml");
    return false;
}

static uint64_t list_messages(struct grep *g)
{
    bool sorted = g->sort || g->reverse;
    const struct lq_record *rec;
    struct text row = { 0 };
    uint64_t n = 0;

    if (g->mode == MODE_CSV)
        csv_header(g);
    while (!g->stop && !(g->limit && !sorted && n == g->limit) && walk_next(&g->walk, &rec) == LQ_OK) {
        n++;
        row.n = 0;
        modes[g->mode].row(g, rec, &row);
        if (sorted)
            sort_add(&g->sorter, rec, row.p, row.n);
        else
            put_row(g, row.p, row.n);
        g->stop |= report_output_broken();
    }
    text_done(&row);
    return n;
}

static void print_count(uint64_t n)
{
    struct text line = { 0 };

    text_format(&line, "%llu\n", (unsigned long long)n);
    output(line.p, line.n);
    text_done(&line);
}

static void print_rest(struct grep *g, uint64_t n)
{
    sort_finish(&g->sorter);
    for (size_t i = 0; i < g->sorter.n && !report_output_broken(); i++) {
        size_t len;
        const char *row = sort_row(&g->sorter, i, &len);

        put_row(g, row, len);
    }
    if (g->mode == MODE_TABLE && n > 0)
        table_end(&g->table);
    if (g->mode == MODE_COUNT && walk_saw_any(&g->walk))
        print_count(g->limit && n > g->limit ? g->limit : n);
}

static void finish(struct grep *g)
{
    sort_done(&g->sorter);
    loglines_done(&g->log);
    for (size_t i = 0; i < g->piece_count; i++)
        text_done(&g->pieces[i].plain);
    free(g->pieces);
    select_end(&g->sel);
}

static uint64_t run(struct grep *g)
{
    uint64_t n;

    if (!prepare(g) || !select_open(&g->sel) || !one_message(g))
        return 0;
    if (loglines_asked(&g->log))
        loglines_read(&g->log, &g->sel, g->sort || g->reverse ? 0 : g->limit);
    g->walk = (struct walk){ .sel = &g->sel, .filter = g->sel.filter, .fields = fields_wanted(g) };
    n = list_messages(g);
    walk_end(&g->walk);
    print_rest(g, n);
    if (n > 0 && shows_age(g))
        select_say_ages(&g->sel);
    if (n == 0)
        select_hint(&g->sel);
    return n;
}

int main(int argc, char **argv)
{
    struct grep g = { 0 };
    enum opts_result parsed;
    uint64_t n = 0;

    report_begin(program.name);
    select_begin(&g.sel);
    parsed = opts_parse(&program, &g, argc, argv);
    if (parsed == OPTS_GO)
        parsed = select_configure(&g.sel);
    if (parsed == OPTS_GO)
        parsed = select_aside(&g.sel);
    if (parsed == OPTS_GO)
        n = run(&g);
    finish(&g);
    return report_end(n > 0 || parsed == OPTS_DONE);
}
