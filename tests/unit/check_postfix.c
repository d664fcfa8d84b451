/*
 * Postfix queue files and delivery logs over memory and over windows of any size. The bounce files are those of
 * tests/spool/postfix, as are the samples; verdicts on broken files are of a real Postfix 3.7.11.
 */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine.h"
#include "header.h"
#include "postfix.h"
#include "postfix_script.h"
#include "postfix_walk.h"

enum { MAIL_OWNER = 105, USER = 1000 };

static struct postfix_spool owner = { .mail_owner = MAIL_OWNER, .owner_known = true };
static struct spool_dir dirs[] = {
    [PF_MAILDROP] = { .path = (char[]){ "maildrop" }, .fd = -1, .queue_name = "maildrop", .tag = PF_MAILDROP },
    [PF_INCOMING] = { .path = (char[]){ "incoming" }, .fd = -1, .queue_name = "incoming", .tag = PF_INCOMING },
    [PF_ACTIVE] = { .path = (char[]){ "active" }, .fd = -1, .queue_name = "active", .tag = PF_ACTIVE },
    [PF_DEFERRED] = { .path = (char[]){ "deferred" }, .fd = -1, .queue_name = "deferred", .tag = PF_DEFERRED },
    [PF_HOLD] = { .path = (char[]){ "hold" }, .fd = -1, .queue_name = "hold", .tag = PF_HOLD },
    [PF_CORRUPT] = { .path = (char[]){ "corrupt" }, .fd = -1, .queue_name = "corrupt", .tag = PF_CORRUPT },
    [PF_DEFER] = { .path = (char[]){ "defer" }, .fd = -1, .queue_name = "defer", .tag = PF_DEFER },
    [PF_BOUNCE] = { .path = (char[]){ "bounce" }, .fd = -1, .queue_name = "bounce", .tag = PF_BOUNCE },
};
static struct spool spool = {
    .backend = &postfix_backend, .root = (char[]){ "/q" }, .fd = -1, .clock = 1136300000, .dirs = dirs, .dir_count = 8, .own = &owner,
};

/* Where a test's file is, and as what. */
struct place {
    const char *id;
    enum postfix_dir dir;
    mode_t mode;
    uid_t uid;
    time_t mtime;
};

/* A source over memory (window 0), or over a file with that small a window. */
static int source_of(struct source *s, const struct buf *b, size_t window)
{
    int fd;

    if (window == 0) {
        source_memory(s, b->n ? b->p : "", b->n);
        return -1;
    }
    fd = memfd_create("queue file", MFD_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, b->p, b->n), (ssize_t)b->n);
    s->first = s->view = window;
    ck_assert_int_eq(source_file(s, fd, b->n), 0);
    return fd;
}

struct parsed {
    struct reading rd;
    struct lq_record rec;
    struct entry entries[3];
    struct ref ref;
};

static void begin(struct parsed *t, const struct place *at, unsigned logs, uint64_t want)
{
    memset(t, 0, sizeof(*t));
    for (unsigned i = 0; i < 3; i++)
        t->entries[i] = (struct entry){ .name = at->id, .id = at->id, .id_len = (uint8_t)strlen(at->id) };
    t->entries[0].dir = t->entries[0].role = (uint8_t)at->dir;
    t->entries[1].dir = t->entries[1].role = PF_DEFER;
    t->entries[2].dir = t->entries[2].role = PF_BOUNCE;
    t->ref = (struct ref){ t->entries, 1 + logs, false };
    reading_init(&t->rd, &spool);
    reading_begin(&t->rd, &t->ref, &t->rec, want);
}

static void end(struct parsed *t)
{
    reading_done(&t->rd);
    record_done(&t->rec);
}

static void parse_file(struct parsed *t, const struct place *at, const struct buf *file, size_t window)
{
    struct stat st = { .st_mode = S_IFREG | at->mode, .st_uid = at->uid, .st_mtime = at->mtime, .st_size = (off_t)file->n,
                       .st_dev = 0x801, .st_ino = 42, .st_nlink = 1 };
    static const enum state states[] = { STATE_INCOMING, STATE_INCOMING, STATE_ACTIVE, STATE_DEFERRED, STATE_HELD, STATE_CORRUPT };
    int fd = source_of(&t->rd.src, file, window);

    record_set_state(&t->rec, states[at->dir]);
    postfix_parse(&t->rd, &st, at->dir);
    t->rec.have |= SEC_CONTROL | SEC_SIZE;
    header_fields(&t->rec, bytes_from(t->rd.headers.p, t->rd.headers.n), t->rd.want);
    if (fd >= 0)
        close(fd);
}

static void parse_log(struct parsed *t, unsigned which, const char *text, time_t mtime, size_t window)
{
    struct buf b = { .p = (char *)(uintptr_t)text, .n = strlen(text) };
    struct stat st = { .st_mode = S_IFREG | 0600, .st_mtime = mtime, .st_size = (off_t)b.n };
    int fd = source_of(&t->rd.src, &b, window);

    postfix_log(&t->rd, &t->entries[which], &st);
    t->rec.have |= SEC_LOG;
    if (fd >= 0)
        close(fd);
}

/* The members of the record's JSON that were asked for, in a static buffer; what it says of itself is another test's. */
static const char *shown(struct parsed *t, uint64_t fields)
{
    static const char schema[] = "{\"schema\":\"mqtools.record/1\"", partial[] = ",\"partial\":true";
    static char text[1 << 16];
    struct lq_str json;
    char *end;

    ck_assert_int_eq(lq_record_json(&t->rec, fields, &json, NULL), LQ_OK);
    ck_assert(strncmp(json.p, schema, strlen(schema)) == 0);
    json.p += strlen(schema);
    json.p += strncmp(json.p, partial, strlen(partial)) == 0 ? strlen(partial) : 0;
    snprintf(text, sizeof(text), "%s", json.p);
    end = strstr(text, ",\"unread\":[");
    end = end ? end : strrchr(text, '}');
    *end = '\0';
    return *text ? text + 1 : text;
}

/* --- one file, one record --- */

/* Around one record of interest; ENVELOPE, too. */
#define RECEIVED(line) "C6\n" TIME "S a@b.example\nA client_address=192.0.2.1\nA protocol_name=ESMTP\nR c@d.example\nM\n" line "N Subject: s\nN\nX\nE\n"
#define LOCAL(line) "C6\n" TIME "S a@b.example\nR c@d.example\nM\n" line "N\nX\nE\n"
#define RECIPIENTS(records) "C6\n" TIME "S a@b.example\nM\nN\nX\n" records "E\n"

#define PLACE(d) { "0D431A0B0C1", d, 0700, MAIL_OWNER, 1136218000 }
#define DEFERRED PLACE(PF_DEFERRED)
#define ACTIVE PLACE(PF_ACTIVE)
#define USERS_MAILDROP { "0D431A0B0C1", PF_MAILDROP, 0744, USER, 1136218000 }

#define F(name) LQ_FIELD_BIT(LQ_##name)
#define VERDICT (F(STATE) | F(PROBLEMS))
#define RCPTS (F(RECIPIENTS) | F(RECIPIENTS_DONE))
#define CLIENT (F(CLIENT_ADDRESS) | F(CLIENT_PORT) | F(CLIENT_NAME) | F(HELO_NAME) | F(PROTOCOL_NAME) | F(AUTH_USER) | F(AUTH_METHOD))
#define ORIGIN (F(PROTOCOL_NAME) | F(LOCAL_USER) | F(LOCAL_UID) | F(FLAGS))
#define TIMES (F(ARRIVAL_TIME) | F(ARRIVAL_USEC) | F(NEXT_ATTEMPT))
#define HEADER (F(SUBJECT) | F(MESSAGE_ID) | F(PROBLEMS))
#define WHOLE (VERDICT | RCPTS | CLIENT | ORIGIN | TIMES | HEADER | F(MESSAGE_SIZE) | F(SENDER) | F(FORCED_EXPIRE))

static const struct {
    const char *name;
    struct place at;
    const char *script;
    uint64_t fields;
    const char *json;
} rows[] = {
    { "sample A: authenticated, one recipient done", DEFERRED,
      SAMPLE_A,
      WHOLE,
      "\"state\":\"deferred\",\"arrival_time\":1136214245,\"arrival_usec\":54321,\"message_size\":195,"
      "\"sender\":\"kim@example.com\",\"recipients\":[{\"address\":\"lee@example.net\","
      "\"orig_address\":\"Lee@example.net\"}],\"recipients_done\":[{\"address\":\"mo@example.net\"}],"
      "\"client_address\":\"2001:db8::7\",\"client_port\":40777,\"auth_user\":\"kim\",\"auth_method\":\"PLAIN\","
      "\"next_attempt\":1136218000,\"forced_expire\":false,\"subject\":\"a\",\"flags\":[\"authenticated\","
      "\"partly-delivered\"],\"problems\":[]" },
    { "sample B: edited by a milter", PLACE(PF_HOLD),
      SAMPLE_B,
      WHOLE,
      "\"state\":\"held\",\"arrival_time\":1136214245,\"arrival_usec\":54321,\"message_size\":112,"
      "\"sender\":\"bounces@example.com\",\"recipients\":[{\"address\":\"b@example.net\"},"
      "{\"address\":\"d@example.net\"}],\"client_address\":\"192.0.2.7\",\"forced_expire\":false,"
      "\"subject\":\"changed\",\"flags\":[],\"problems\":[]" },
    { "sample D: Postfix 2.2", ACTIVE,
      SAMPLE_D,
      WHOLE,
      "\"state\":\"active\",\"arrival_time\":1117548000,\"message_size\":87,\"sender\":\"news@example.com\","
      "\"recipients\":[{\"address\":\"pat@example.net\"}],\"client_address\":\"192.0.2.44\","
      "\"client_name\":\"host.example.com\",\"helo_name\":\"host.example.com\",\"protocol_name\":\"ESMTP\","
      "\"forced_expire\":false,\"subject\":\"old\",\"flags\":[],\"problems\":[]" },
    { "maildrop file of a user", USERS_MAILDROP,
      MAILDROP,
      WHOLE,
      "\"state\":\"incoming\",\"arrival_time\":1136214245,\"arrival_usec\":54321,\"message_size\":144,"
      "\"sender\":\"kim\",\"recipients\":[{\"address\":\"lee@example.net\"}],\"local_uid\":1000,"
      "\"forced_expire\":false,\"subject\":\"t\",\"flags\":[\"local\"],\"problems\":[]" },
    { "bounce message", DEFERRED,
      "C6\n" TIME "A create_time=1136214245\nA log_message_origin=local\nA trace_flags=0\nS\n"
      "A dsn_orig_rcpt=rfc822;kim@example.com\nO kim@example.com\nR kim@example.com\nM\nN Received: by mx.example.com (Postfix)\n"
      "N \tid 0D431A0B0C1; Mon,  2 Jan 2006 15:04:05 +0000 (UTC)\nN Subject: Undelivered\nN\n"
      "X\nA encoding=8bit\nE\n",
      WHOLE,
      "\"state\":\"deferred\",\"arrival_time\":1136214245,\"arrival_usec\":54321,\"message_size\":119,"
      "\"sender\":\"\",\"recipients\":[{\"address\":\"kim@example.com\"}],\"next_attempt\":1136218000,"
      "\"forced_expire\":false,\"subject\":\"Undelivered\",\"flags\":[\"bounce\"],\"problems\":[]" },
    { "size record of 1.0", DEFERRED,
      "C3\n" TIME "S a@b.example\nR c@d.example\nM\nN Subject: s\nN\nX\nE\n",
      VERDICT | F(MESSAGE_SIZE) | F(FLAGS),
      "\"state\":\"deferred\",\"message_size\":14,\"flags\":[],\"problems\":[]" },
    { "size record of 2.1", DEFERRED,
      "C4 1\n" TIME "S a@b.example\nR c@d.example\nM\nN Subject: s\nN\nX\nE\n",
      VERDICT | F(MESSAGE_SIZE) | F(FLAGS),
      "\"state\":\"deferred\",\"message_size\":14,\"flags\":[\"local\"],\"problems\":[]" },
    { "size record of 2.4", DEFERRED,
      "C5\n" TIME "S a@b.example\nR c@d.example\nM\nN Subject: s\nN\nX\nE\n",
      VERDICT | F(MESSAGE_SIZE) | F(FLAGS),
      "\"state\":\"deferred\",\"message_size\":14,\"flags\":[\"local\"],\"problems\":[]" },
    { "size record of 3.0, SMTPUTF8 asked for", DEFERRED,
      "C6 0 1\n" TIME "S a@b.example\nR c@d.example\nM\nN Subject: s\nN\nX\nE\n",
      VERDICT | F(MESSAGE_SIZE) | F(FLAGS),
      "\"state\":\"deferred\",\"message_size\":14,\"flags\":[\"local\",\"smtputf8\"],\"problems\":[]" },
    { "size record of 3.0, UTF-8 only seen", DEFERRED,
      "C6 0 2\n" TIME "S a@b.example\nR c@d.example\nM\nN Subject: s\nN\nX\nE\n",
      VERDICT | F(MESSAGE_SIZE) | F(FLAGS),
      "\"state\":\"deferred\",\"message_size\":14,\"flags\":[\"local\"],\"problems\":[]" },
    { "size record before 1.0: M tells where X is", DEFERRED,
      "C              11\n" TIME "S a@b.example\nR c@d.example\nM              87\nN Subject\n"
      "X\nR e@f.example\nE\n",
      VERDICT | F(MESSAGE_SIZE) | F(RECIPIENTS),
      "\"state\":\"deferred\",\"message_size\":11,\"recipients\":[{\"address\":\"c@d.example\"},"
      "{\"address\":\"e@f.example\"}],\"problems\":[]" },
    { "size record of two fields", DEFERRED,
      "C 1 2\n" TIME "S a@b.example\nR c@d.example\nM\nN\nX\nE\n",
      VERDICT | F(MESSAGE_SIZE),
      "\"state\":\"corrupt\",\"message_size\":57,"
      "\"problems\":[\"deferred/0D431A0B0C1: the size record 'C' makes no sense\"]" },
    { "size record with unknown flags", DEFERRED,
      "C6 999\n" TIME "S a@b.example\nR c@d.example\nM\nN\nX\nE\n",
      VERDICT | F(MESSAGE_SIZE),
      "\"state\":\"corrupt\",\"message_size\":2,"
      "\"problems\":[\"deferred/0D431A0B0C1: the size record 'C' makes no sense\"]" },
    { "no size record", DEFERRED,
      TIME "S a@b.example\nR c@d.example\nM\nN\nX\nR e@f.example\nE\n",
      VERDICT | F(RECIPIENTS) | F(MESSAGE_SIZE),
      "\"state\":\"corrupt\",\"message_size\":65,\"recipients\":[{\"address\":\"c@d.example\"},"
      "{\"address\":\"e@f.example\"}],\"problems\":[\"deferred/0D431A0B0C1: no size record 'C'\"]" },
    { "size record of zeros in a ready file", DEFERRED,
      "C               0               0               0               0               0               0\n" TIME "S a@b.example\n"
      "R c@d.example\nM\nN\nX\nR e@f.example\nE\n",
      VERDICT | F(RECIPIENTS) | F(MESSAGE_SIZE),
      "\"state\":\"corrupt\",\"message_size\":162,\"recipients\":[{\"address\":\"c@d.example\"},"
      "{\"address\":\"e@f.example\"}],"
      "\"problems\":[\"deferred/0D431A0B0C1: the size record 'C' makes no sense\"]" },
    { "size record that misses X", DEFERRED,
      "C 3 57 1 0 3 0\n" TIME "S a@b.example\nR c@d.example\nM\nN\nX\nR e@f.example\nE\n",
      VERDICT | F(RECIPIENTS),
      "\"state\":\"corrupt\",\"recipients\":[{\"address\":\"c@d.example\"},{\"address\":\"e@f.example\"}],"
      "\"problems\":[\"deferred/0D431A0B0C1: the size record says that the text begins at offset 57,"
      " but it begins at 60\",\"deferred/0D431A0B0C1: no record 'X' at offset 60,"
      " where the size record ends the text\"]" },
    { "sizes beyond all files", DEFERRED,
      "C 9223372036854775800 9223372036854775800 1\n" TIME "S a@b.example\nR c@d.example\nM\n"
      "N\nX\nR e@f.example\nE\n",
      VERDICT | F(RECIPIENTS),
      "\"state\":\"corrupt\",\"recipients\":[{\"address\":\"c@d.example\"},{\"address\":\"e@f.example\"}],"
      "\"problems\":[\"deferred/0D431A0B0C1: the size record 'C' makes no sense\"]" },
    { "size record of -1s, as postdrop 3.11 writes it", USERS_MAILDROP,
      TIME "C -1 -1 -1\nS a@b.example\nM\nN\nX\nE\n",
      VERDICT | F(MESSAGE_SIZE),
      "\"state\":\"incoming\",\"message_size\":49,\"problems\":[]" },
    { "no microseconds", DEFERRED,
      "C6\nT 1117548000\nS a@b.example\nM\nN\nX\nE\n",
      TIMES | F(PROBLEMS),
      "\"arrival_time\":1117548000,\"next_attempt\":1136218000,\"problems\":[]" },
    { "short microseconds", DEFERRED,
      "C6\nT 100 54321\nS a@b.example\nM\nN\nX\nE\n",
      TIMES | F(PROBLEMS),
      "\"arrival_time\":100,\"arrival_usec\":54321,\"next_attempt\":1136218000,\"problems\":[]" },
    { "microseconds of a second and more", DEFERRED,
      "C6\nT 100 1000000\nS a@b.example\nM\nN\nX\nE\n",
      TIMES | F(PROBLEMS),
      "\"arrival_time\":100,\"next_attempt\":1136218000,"
      "\"problems\":[\"deferred/0D431A0B0C1: the microseconds of record 'T' at offset 97 are none\"]" },
    { "negative time", DEFERRED,
      "C6\nT -5 1\nS a@b.example\nM\nN\nX\nE\n",
      TIMES | F(PROBLEMS),
      "\"arrival_time\":-5,\"arrival_usec\":1,\"next_attempt\":1136218000,\"problems\":[]" },
    { "time beyond 2^53", DEFERRED,
      "C6\nT 9007199254740994\nS a@b.example\nM\nN\nX\nE\n",
      TIMES | F(PROBLEMS),
      "\"next_attempt\":1136218000,"
      "\"problems\":[\"deferred/0D431A0B0C1: the time record 'T' at offset 97 is no time\"]" },
    { "time in words", DEFERRED,
      "C6\nT now\nA create_time=1136214245\nS a@b.example\nM\nN\nX\nE\n",
      TIMES | F(PROBLEMS),
      "\"arrival_time\":1136214245,\"next_attempt\":1136218000,"
      "\"problems\":[\"deferred/0D431A0B0C1: the time record 'T' at offset 97 is no time\"]" },
    { "no time", ACTIVE,
      "C6\nS a@b.example\nM\nN\nX\nE\n",
      VERDICT | TIMES,
      "\"state\":\"corrupt\",\"problems\":[\"active/0D431A0B0C1: no time record 'T'\"]" },
    { "no time, but a long id", { "2zNjYx0N4dz1XMpM", PF_ACTIVE, 0700, MAIL_OWNER, 0 },
      "C6\nS a@b.example\nM\nN\nX\nE\n",
      TIMES,
      "\"arrival_time\":1136214245,\"arrival_usec\":54321" },
    { "cool-off in incoming", { "0D431A0B0C1", PF_INCOMING, 0700, MAIL_OWNER, 1136300060 },
      ENVELOPE(""),
      TIMES | VERDICT,
      "\"state\":\"incoming\",\"arrival_time\":1136214245,\"arrival_usec\":54321,\"next_attempt\":1136300060,"
      "\"problems\":[]" },
    { "long in incoming", PLACE(PF_INCOMING),
      ENVELOPE(""),
      TIMES | VERDICT,
      "\"state\":\"incoming\",\"arrival_time\":1136214245,\"arrival_usec\":54321,\"problems\":[]" },
    { "no sender", DEFERRED,
      "C6\n" TIME "R c@d.example\nM\nN\nX\nE\n",
      VERDICT | F(SENDER),
      "\"state\":\"corrupt\",\"problems\":[\"deferred/0D431A0B0C1: no sender record 'S'\"]" },
    { "two senders: the first counts", DEFERRED,
      "C6\n" TIME "S first@x.example\nS second@x.example\nM\nN\nX\nE\n",
      VERDICT | F(SENDER),
      "\"state\":\"deferred\",\"sender\":\"first@x.example\",\"problems\":[]" },
    { "a second sender that is null", DEFERRED,
      "C6\n" TIME "S first@x.example\nS\nM\nN\nX\nE\n",
      F(SENDER) | F(FLAGS),
      "\"sender\":\"first@x.example\",\"flags\":[\"local\"]" },
    { "addresses are quoted", DEFERRED,
      "C6\n" TIME "S odd user@x.example\nR a@b>c@r.example\nR .dot@x\nR x.@y\nR a..b@c\nR plain\n"
      "R \nM\nN\nX\nE\n",
      F(SENDER) | F(RECIPIENTS),
      "\"sender\":\"\\\"odd user\\\"@x.example\",\"recipients\":[{\"address\":\"\\\"a@b>c\\\"@r.example\"},"
      "{\"address\":\"\\\".dot\\\"@x\"},{\"address\":\"\\\"x.\\\"@y\"},{\"address\":\"\\\"a..b\\\"@c\"},"
      "{\"address\":\"plain\"},{\"address\":\"\"}]" },
    { "addresses in UTF-8 and in no character set", DEFERRED,
      RECIPIENTS("R j\\xc3\\xbcrgen@b\\xc3\\xbccher.example\nR \\xff@x.example\nR \\x1b[2J@x.example\n"),
      F(RECIPIENTS) | F(PROBLEMS),
      "\"recipients\":[{\"address\":\"jürgen@bücher.example\"},"
      "{\"address\":\"\xef\xbf\xbd@x.example\",\"address_b64\":\"/0B4LmV4YW1wbGU=\"},"
      "{\"address\":\"\\\"\\\\\\u001b[2J\\\"@x.example\"}],\"problems\":[]" },
    { "no recipients", DEFERRED,
      "C6\n" TIME "S a@b.example\nM\nN\nX\nE\n",
      VERDICT | RCPTS,
      "\"state\":\"deferred\",\"recipients\":[],\"problems\":[]" },
    { "recipients behind the text; cancelled ones are none", DEFERRED,
      RECIPIENTS("O to@do.example\nR to@do.example\nD done@x.example\n/ not@x.example\n"),
      VERDICT | RCPTS | F(FLAGS),
      "\"state\":\"deferred\",\"recipients\":[{\"address\":\"to@do.example\"}],"
      "\"recipients_done\":[{\"address\":\"done@x.example\"}],\"flags\":[\"local\",\"partly-delivered\"],"
      "\"problems\":[]" },
    { "original belongs to the next recipient only", DEFERRED,
      RECIPIENTS("O alias@x.example\nR a@x.example\nR b@x.example\nO other@x.example\n/ c@x.example\n"
      "R d@x.example\n"),
      RCPTS,
      "\"recipients\":[{\"address\":\"a@x.example\",\"orig_address\":\"alias@x.example\"},"
      "{\"address\":\"b@x.example\"},{\"address\":\"d@x.example\"}]" },
    { "ORCPT of the client where nothing was aliased", DEFERRED,
      RECIPIENTS("A notify_flags=8\nA dsn_orig_rcpt=rfc822;first@x.example\nO a@x.example\nR a@x.example\n"
      "A dsn_orig_rcpt=x400;c=de\nR b@x.example\nA dsn_orig_rcpt=utf-8;B@X.example\nR b@x.example\n"),
      RCPTS,
      "\"recipients\":[{\"address\":\"a@x.example\",\"orig_address\":\"first@x.example\"},"
      "{\"address\":\"b@x.example\"},{\"address\":\"b@x.example\"}]" },
    { "ORCPT is quoted differently, not another address", DEFERRED,
      RECIPIENTS("A dsn_orig_rcpt=rfc822;\"a\\\\@b>c\"@r.example\nR a@b>c@r.example\n"),
      RCPTS,
      "\"recipients\":[{\"address\":\"\\\"a@b>c\\\"@r.example\"}]" },
    { "alias wins over ORCPT", DEFERRED,
      RECIPIENTS("A dsn_orig_rcpt=rfc822;client@x.example\nO before@x.example\nR after@x.example\n"),
      RCPTS,
      "\"recipients\":[{\"address\":\"after@x.example\",\"orig_address\":\"before@x.example\"}]" },
    { "redirect: the last one", DEFERRED,
      RECIPIENTS("> one@t.example\nR a@x.example\nD b@x.example\nR to@t.example\n> to@t.example\n"),
      RCPTS | F(FLAGS),
      "\"recipients\":[{\"address\":\"to@t.example\",\"orig_address\":\"a@x.example\"},"
      "{\"address\":\"to@t.example\"}],\"recipients_done\":[{\"address\":\"to@t.example\","
      "\"orig_address\":\"b@x.example\"}],\"flags\":[\"local\",\"partly-delivered\",\"redirected\"]" },
    { "killed record", DEFERRED,
      ENVELOPE("K trace_flags=1024\n"),
      VERDICT,
      "\"state\":\"deferred\",\"problems\":[]" },
    { "warning to come", DEFERRED,
      ENVELOPE("W      1136218845\n"),
      F(FLAGS),
      "\"flags\":[\"local\"]" },
    { "warning sent", DEFERRED,
      ENVELOPE("W              -1\n"),
      F(FLAGS),
      "\"flags\":[\"local\",\"warned\"]" },
    { "content filter", DEFERRED,
      ENVELOPE("L smtp:[127.0.0.1]:10026\n"),
      VERDICT | F(FLAGS),
      "\"state\":\"deferred\",\"flags\":[\"local\",\"content-filter\"],\"problems\":[]" },
    { "forced to expire", { "0D431A0B0C1", PF_DEFERRED, 0710, MAIL_OWNER, 1136218000 },
      ENVELOPE(""),
      F(FORCED_EXPIRE) | VERDICT,
      "\"state\":\"deferred\",\"forced_expire\":true,\"problems\":[]" },
    { "behind a filter: the first client counts", DEFERRED,
      ENVELOPE("A log_client_name=unknown\nA log_client_address=203.0.113.9\nA log_client_port=25\n"
      "A log_helo_name=first\nA log_protocol_name=ESMTP\nA client_name=localhost\nA client_address=127.0.0.1\n"
      "A client_port=4\nA helo_name=filter\nA protocol_name=SMTP\nA reverse_client_name=localhost\n"),
      CLIENT | F(FLAGS),
      "\"client_address\":\"203.0.113.9\",\"client_port\":25,\"helo_name\":\"first\","
      "\"protocol_name\":\"ESMTP\",\"flags\":[]" },
    { "one client, described twice", DEFERRED,
      ENVELOPE("A log_client_address=IPV6:2001:DB8:0::1\nA client_address=2001:db8::1\nA client_port=77\n"
      "A client_name=host.example\nA helo_name=h\nA protocol_name=SMTP\n"),
      CLIENT,
      "\"client_address\":\"2001:db8::1\",\"client_port\":77,\"client_name\":\"host.example\","
      "\"helo_name\":\"h\",\"protocol_name\":\"SMTP\"" },
    { "client name only claimed", DEFERRED,
      ENVELOPE("A log_client_name=unknown\nA log_client_address=192.0.2.1\nA client_name=unknown\n"
      "A client_address=192.0.2.1\nA reverse_client_name=liar.example\n"),
      CLIENT | F(FLAGS),
      "\"client_address\":\"192.0.2.1\",\"client_name\":\"liar.example\",\"flags\":[\"client-name-unverified\"]" },
    { "nothing known", DEFERRED,
      ENVELOPE("A log_client_name=unknown\nA log_client_address=unknown\nA log_client_port=unknown\n"
      "A log_helo_name=\nA reverse_client_name=unknown\n"),
      CLIENT | F(FLAGS) | F(PROBLEMS),
      "\"flags\":[],\"problems\":[]" },
    { "no address, no port", DEFERRED,
      ENVELOPE("A client_address=192.0.2.300\nA client_port=99999\n"),
      CLIENT | F(PROBLEMS),
      "\"problems\":[\"deferred/0D431A0B0C1: client address is no IP address: 192.0.2.300\","
      "\"deferred/0D431A0B0C1: client port is no port: 99999\"]" },
    { "repeated attributes", DEFERRED,
      ENVELOPE("A log_helo_name=one\nA sasl_username=one\nA log_helo_name=two\nA sasl_username=two\n"
      "A  sasl_method = LOGIN \n"),
      CLIENT,
      "\"helo_name\":\"two\",\"auth_user\":\"one\",\"auth_method\":\"LOGIN\"" },
    { "a user's maildrop file cannot name a client or account", USERS_MAILDROP,
      TIME "A client_address=192.0.2.1\nA sasl_username=boss\nS a@b.example\nM\nN\nX\nE\n",
      CLIENT | ORIGIN,
      "\"local_uid\":1000,\"flags\":[\"local\"]" },
    { "a requeued file can", { "0D431A0B0C1", PF_MAILDROP, 0700, MAIL_OWNER, 1136218000 },
      TIME "A client_address=192.0.2.1\nA sasl_username=boss\nS a@b.example\nM\nN\nX\nE\n",
      CLIENT | ORIGIN,
      "\"client_address\":\"192.0.2.1\",\"auth_user\":\"boss\",\"flags\":[\"authenticated\"]" },
    { "what Postfix's own account submits is not requeued", { "0D431A0B0C1", PF_MAILDROP, 0744, MAIL_OWNER, 1136218000 },
      TIME "A client_address=192.0.2.1\nA sasl_username=boss\nS a@b.example\nM\nN\nX\nE\n",
      CLIENT | ORIGIN,
      "\"local_uid\":105,\"flags\":[\"local\"]" },
    { "own line tells TLS and AUTH", DEFERRED,
      RECEIVED("N Received: from h (unknown [192.0.2.1])\nN \t(using TLSv1.3 with cipher X (256/256 bits))\n"
      "N \t(No client certificate (really) requested)\nN \tby mx.example (Postfix) with ESMTPSA id 0D431A0B0C1\n"
      "N \tfor <c@d.example>; Mon, 2 Jan 2006 15:04:05 +0000\n"),
      ORIGIN,
      "\"protocol_name\":\"ESMTPSA\",\"flags\":[\"tls\"]" },
    { "another's line tells nothing", DEFERRED,
      RECEIVED("N Received: from h by mx.example (Postfix) with ESMTPSA id 0D431A0B0C2;\n"),
      ORIGIN,
      "\"protocol_name\":\"ESMTP\",\"flags\":[]" },
    { "own line below a milter's", DEFERRED,
      RECEIVED("N X-Milter: yes\nN Received: by milter id 7; x\nN Received: from h by mx.example (Postfix) with UTF8SMTPS id 0D431A0B0C1; x\n"),
      ORIGIN,
      "\"protocol_name\":\"UTF8SMTPS\",\"flags\":[\"tls\"]" },
    { "a greeting that looks like the line", DEFERRED,
      RECEIVED("N Received: from id (with [192.0.2.1]) by with with SMTP id 0D431A0B0C1; x\n"),
      ORIGIN,
      "\"protocol_name\":\"SMTP\",\"flags\":[]" },
    { "own line of the filter's session", DEFERRED,
      "C6\n" TIME "S a@b.example\nA log_client_address=192.0.2.1\nA log_protocol_name=ESMTP\n"
      "A client_address=127.0.0.1\nA protocol_name=SMTP\nM\nN Received: from f by mx.example (Postfix) with SMTPS id 0D431A0B0C1; x\n"
      "N\nX\nE\n",
      ORIGIN,
      "\"protocol_name\":\"ESMTP\",\"flags\":[]" },
    { "local submission", DEFERRED,
      LOCAL("N Received: by mx.example (Postfix, from userid 1000)\nN \tid 0D431A0B0C1; x\n"),
      ORIGIN,
      "\"local_uid\":1000,\"flags\":[\"local\"]" },
    { "requeued local submission", DEFERRED,
      LOCAL("N Received: by mx.example (Postfix, from userid 105)\nN \tid 0D431A0B0C1; x\nN Received: by mx.example (Postfix, from userid 1000) id 1; x\n"
      "N Received: by mx.example (Postfix, from userid 7) id 0; x\n"),
      ORIGIN,
      "\"local_uid\":1000,\"flags\":[\"local\"]" },
    { "Postfix's own mail", DEFERRED,
      LOCAL("N Received: by mx.example (Postfix, from userid 105)\nN \tid 0D431A0B0C1; x\nN Received: from a by b id 1; x\n"),
      ORIGIN,
      "\"local_uid\":105,\"flags\":[\"local\"]" },
    { "Postfix before 2.1 names no client", DEFERRED,
      "C3\n" TIME "S a@b.example\nM\nN Received: from h by mx.example (Postfix) with SMTP id 0D431A0B0C1; x\n"
      "N\nX\nE\n",
      ORIGIN,
      "\"protocol_name\":\"SMTP\",\"flags\":[]" },
    { "local before 2.1", DEFERRED,
      "C3\n" TIME "S a@b.example\nM\nN Received: by mx.example (Postfix, from userid 0) id 0D431A0B0C1; x\n"
      "N\nX\nE\n",
      ORIGIN,
      "\"local_uid\":0,\"flags\":[\"local\"]" },
    { "header ends at a line that is no field", DEFERRED,
      LOCAL("N Subject: one\nN no field\nN Message-Id: <late>\n"),
      HEADER,
      "\"subject\":\"one\",\"problems\":[]" },
    { "blanks before the colon, folded, in pieces", DEFERRED,
      LOCAL("L Sub\nL ject \nN : one\nN \t two\nN message-id: <i>\n"),
      HEADER,
      "\"subject\":\"one\\t two\",\"message_id\":\"<i>\",\"problems\":[]" },
    { "continuation without a field", DEFERRED,
      LOCAL("N \tnothing\nN Subject: late\n"),
      HEADER,
      "\"problems\":[]" },
    { "empty name", DEFERRED,
      LOCAL("N : x\nN Subject: late\n"),
      HEADER,
      "\"problems\":[]" },
    { "two words before the colon", DEFERRED,
      LOCAL("N Sub ject: x\nN Subject: late\n"),
      HEADER,
      "\"problems\":[]" },
    { "text ends in the header", DEFERRED,
      "C6\n" TIME "S a@b.example\nM\nL Subject: open\nX\nE\n",
      HEADER,
      "\"subject\":\"open\",\"problems\":[]" },
    { "no text at all", DEFERRED,
      "C6\n" TIME "S a@b.example\nM\nX\nE\n",
      HEADER,
      "\"problems\":[\"deferred/0D431A0B0C1: the size record 'C' makes no sense\"]" },
    { "cut before the end record", DEFERRED,
      SAMPLE_A_ENVELOPE "M\nN\nX\n",
      VERDICT | F(SENDER),
      "\"state\":\"corrupt\",\"sender\":\"kim@example.com\","
      "\"problems\":[\"deferred/0D431A0B0C1: no end record 'E' before the end of the file at offset 412\"]" },
    { "empty file", DEFERRED,
      "",
      VERDICT | F(SENDER) | F(RECIPIENTS),
      "\"state\":\"corrupt\","
      "\"problems\":[\"deferred/0D431A0B0C1: no end record 'E' before the end of the file at offset 0\"]" },
    { "length of 35 bits", DEFERRED,
      "=\\x43\\xff\\xff\\xff\\xff\\x7f\nS\n",
      VERDICT,
      "\"state\":\"corrupt\","
      "\"problems\":[\"deferred/0D431A0B0C1: record 'C' at offset 0 has an impossible length\"]" },
    { "length without end", DEFERRED,
      "=\\x43\\xff\\xff\\xff\\xff\\xff\\x01\n",
      VERDICT,
      "\"state\":\"corrupt\","
      "\"problems\":[\"deferred/0D431A0B0C1: record 'C' at offset 0 has an impossible length\"]" },
    { "length not in its shortest form", DEFERRED,
      "C6\n" TIME "=S\\x81\\x80\\x00a\nM\nN\nX\nE\n",
      VERDICT | F(SENDER),
      "\"state\":\"deferred\",\"sender\":\"a\",\"problems\":[]" },
    { "record past the end", DEFERRED,
      TIME "=S\\x7fabc\n",
      VERDICT | F(SENDER),
      "\"state\":\"corrupt\","
      "\"problems\":[\"deferred/0D431A0B0C1: record 'S' at offset 18 runs past the end of the file\"]" },
    { "unknown type in the envelope", DEFERRED,
      "C6\n" TIME "Z x\nS a@b.example\nM\nN\nX\nE\n",
      VERDICT | F(SENDER),
      "\"state\":\"corrupt\",\"problems\":[\"deferred/0D431A0B0C1: unexpected record 'Z' at offset 115\"]" },
    { "type 0", DEFERRED,
      "C6\n" TIME "=\\x00\\x00\n",
      VERDICT,
      "\"state\":\"corrupt\",\"problems\":[\"deferred/0D431A0B0C1: unexpected record 0x00 at offset 115\"]" },
    { "unknown type in the header", DEFERRED,
      "C6\n" TIME "S a@b.example\nM\nN A: b\nZ\nX\nE\n",
      VERDICT,
      "\"state\":\"corrupt\",\"problems\":[\"deferred/0D431A0B0C1: unexpected record 'Z' at offset 136\"]" },
    { "text in the envelope", DEFERRED,
      "C6\n" TIME "S a@b.example\nN text\nM\nN\nX\nE\n",
      VERDICT,
      "\"state\":\"corrupt\",\"problems\":[\"deferred/0D431A0B0C1: unexpected record 'N' at offset 128\"]" },
    { "a second M", DEFERRED,
      "C6\n" TIME "S a@b.example\nM\nN\nX\nM\nX\nE\n",
      VERDICT,
      "\"state\":\"corrupt\",\"problems\":[\"deferred/0D431A0B0C1: unexpected record 'M' at offset 134\"]" },
    { "a second X", DEFERRED,
      "C6\n" TIME "S a@b.example\nM\nN\nX\nX\nE\n",
      VERDICT,
      "\"state\":\"corrupt\",\"problems\":[\"deferred/0D431A0B0C1: unexpected record 'X' at offset 134\"]" },
    { "no M", DEFERRED,
      "C6\n" TIME "S a@b.example\nE\n",
      VERDICT,
      "\"state\":\"corrupt\",\"problems\":[\"deferred/0D431A0B0C1: unexpected record 'E' at offset 128\"]" },
    { "attribute without =", DEFERRED,
      ENVELOPE("A nothing\n"),
      VERDICT | F(SENDER),
      "\"state\":\"corrupt\",\"sender\":\"a@b.example\","
      "\"problems\":[\"deferred/0D431A0B0C1: attribute record at offset 115 is no name=value\"]" },
    { "attribute without name", DEFERRED,
      ENVELOPE("A  =x\n"),
      VERDICT,
      "\"state\":\"corrupt\","
      "\"problems\":[\"deferred/0D431A0B0C1: attribute record at offset 115 is no name=value\"]" },
    { "junk behind the end", DEFERRED,
      ENVELOPE("") "=\\xff\\xff\n",
      VERDICT,
      "\"state\":\"deferred\",\"problems\":[]" },
    { "pointer to itself", DEFERRED,
      "C6\n" TIME "@here\np @here\nS a@b.example\nM\nN\nX\nE\n",
      VERDICT,
      "\"state\":\"corrupt\","
      "\"problems\":[\"deferred/0D431A0B0C1: record 'p' at offset 115 was read before: pointers run in a circle\"]" },
    { "pointers in a circle", DEFERRED,
      "C6\n" TIME "@one\nR a@x\np @two\n@two\nR b@x\np @one\nS a@b.example\nM\nN\nX\nE\n",
      VERDICT,
      "\"state\":\"corrupt\","
      "\"problems\":[\"deferred/0D431A0B0C1: record 'p' at offset 120 was read before: pointers run in a circle\"]" },
    { "circle in the header", DEFERRED,
      "C6\n" TIME "S a@b.example\nM\n@one\nN A: b\np @one\nN\nX\nE\n",
      VERDICT,
      "\"state\":\"corrupt\","
      "\"problems\":[\"deferred/0D431A0B0C1: record 'p' at offset 136 was read before: pointers run in a circle\"]" },
    { "circle over M", DEFERRED,
      "C6\n" TIME "S a@b.example\n@m\nM\nN\nX\np @m\nE\n",
      VERDICT,
      "\"state\":\"corrupt\",\"problems\":[\"deferred/0D431A0B0C1: unexpected record 'M' at offset 128\"]" },
    { "pointer past the end", DEFERRED,
      "C6\n" TIME "p          999999\nS a@b.example\nM\nN\nX\nE\n",
      VERDICT,
      "\"state\":\"corrupt\","
      "\"problems\":[\"deferred/0D431A0B0C1: record 'p' at offset 115 leads past the end of the file\"]" },
    { "pointer in words", DEFERRED,
      "C6\n" TIME "p             39x\nS a@b.example\nM\nN\nX\nE\n",
      VERDICT,
      "\"state\":\"corrupt\",\"problems\":[\"deferred/0D431A0B0C1: record 'p' at offset 115 holds no offset\"]" },
    { "pointer beyond 63 bits", DEFERRED,
      "C6\n" TIME "p 99999999999999999999\nS a@b.example\nM\nN\nX\nE\n",
      VERDICT,
      "\"state\":\"corrupt\",\"problems\":[\"deferred/0D431A0B0C1: record 'p' at offset 115 holds no offset\"]" },
    { "pointer into a record", DEFERRED,
      "C6\n" TIME "p 100\nS a@b.example\nM\nN\nX\nE\n",
      VERDICT,
      "\"state\":\"corrupt\","
      "\"problems\":[\"deferred/0D431A0B0C1: record '1' at offset 100 runs past the end of the file\"]" },
    { "pointer kept free", DEFERRED,
      "C6\n" TIME "p               0\nS a@b.example\np  0\nM\nN\nX\nE\n",
      VERDICT,
      "\"state\":\"deferred\",\"problems\":[]" },
    { "still being received", { "0D431A0B0C1", PF_INCOMING, 0600, MAIL_OWNER, 1136299999 },
      "C               0               0               0               0               0               0\n" TIME "S a@b.example\n"
      "R c@d.example\nM\nN Sub",
      VERDICT | F(SENDER) | F(MESSAGE_SIZE),
      "\"state\":\"receiving\",\"sender\":\"a@b.example\",\"problems\":[]" },
    { "nothing received yet", { "0D431A0B0C1", PF_INCOMING, 0600, MAIL_OWNER, 1136299999 },
      "",
      VERDICT | F(SENDER),
      "\"state\":\"receiving\",\"problems\":[]" },
    { "found corrupt by an agent", { "0D431A0B0C1", PF_DEFERRED, 0400, MAIL_OWNER, 1136218000 },
      ENVELOPE(""),
      VERDICT | F(SENDER),
      "\"state\":\"corrupt\",\"sender\":\"a@b.example\","
      "\"problems\":[\"deferred/0D431A0B0C1: mode 0400: a delivery agent found this file corrupt\"]" },
    { "set aside though it looks good", PLACE(PF_CORRUPT),
      ENVELOPE(""),
      VERDICT | F(SENDER),
      "\"state\":\"corrupt\",\"sender\":\"a@b.example\","
      "\"problems\":[\"corrupt/0D431A0B0C1: set aside as corrupt by Postfix\"]" },
    { "set aside and cut", { "0D431A0B0C1", PF_CORRUPT, 0400, MAIL_OWNER, 1136218000 },
      "C6\n" TIME,
      VERDICT,
      "\"state\":\"corrupt\","
      "\"problems\":[\"corrupt/0D431A0B0C1: no end record 'E' before the end of the file at offset 115\"]" },
};

static void check_row(size_t i, size_t window)
{
    struct buf file = script_make(rows[i].script);
    struct parsed t;

    begin(&t, &rows[i].at, 0, LQ_FIELDS_ALL);
    parse_file(&t, &rows[i].at, &file, window);
    ck_assert_msg(strcmp(shown(&t, rows[i].fields), rows[i].json) == 0, "%s, window %zu:\n got %s\nwant %s", rows[i].name,
                  window, shown(&t, rows[i].fields), rows[i].json);
    end(&t);
    buf_done(&file);
}

START_TEST(files)
{
    check_row((size_t)_i, 0);
}
END_TEST

START_TEST(files_in_small_windows)
{
    check_row((size_t)_i, 1);
    check_row((size_t)_i, 7);
    check_row((size_t)_i, 64);
}
END_TEST

/* --- a field asked for alone is what it is among all others --- */

static const char *const pieces[] = {
    "C6\n" TIME "S a@b.example\nR c@d.example\nM\n"
    "L X-Long: aa\nL Subject: no\nN bb\nL  more\nN  of it\nN \tand more\n"
    "L Sub\nL ject\nL : one\nN two\nL  three\nN four\nN \tfive\n"
    "N Reply-To: x\nN  Subject: of no field\nN To : t\nN from:f\nN SUBJECT: second\nL Message-ID: <m@i>\nN\nN\nN Date: body\nX\nE\n",
    "C6\n" TIME "S a@b.example\nR c@d.example\nM\nL\nN X-Empty: piece first\nL\nN  Subject: no\np @more\n=junk\n@more\nN Date: d\nL To: cut\nX\nE\n",
    "C6\n" TIME "S a@b.example\nR c@d.example\nM\nN Subject: s\nN X-Other: o\nZ\nX\nE\n",
    "C6\n" TIME "S a@b.example\nR c@d.example\nM\nN X-Other: o\nN no field\nN Subject: s\nX\nE\n",
};

static void check_alone(const char *script, const struct place *at, size_t window)
{
    struct buf file = script_make(script);
    struct parsed all, alone;

    begin(&all, at, 0, LQ_FIELDS_ALL);
    parse_file(&all, at, &file, window);
    for (enum lq_field f = LQ_ARRIVAL_TIME; f < LQ_RECEIVED; f++) {
        uint64_t want = LQ_FIELD_BIT(f) | F(STATE);
        char *among;

        if (f == LQ_DATA_SIZE)
            continue;
        among = strdup(shown(&all, want));
        begin(&alone, at, 0, want);
        parse_file(&alone, at, &file, window);
        ck_assert_msg(strcmp(shown(&alone, want), among) == 0, "%s, window %zu:\n got %s\nwant %s", script, window, shown(&alone, want), among);
        end(&alone);
        free(among);
    }
    end(&all);
    buf_done(&file);
}

START_TEST(asked_alone)
{
    static const size_t windows[] = { 0, 1, 7, 64, 4096 };

    for (size_t w = 0; w < sizeof(windows) / sizeof(*windows); w++) {
        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
            check_alone(rows[i].script, &rows[i].at, windows[w]);
        for (size_t i = 0; i < sizeof(pieces) / sizeof(*pieces); i++)
            check_alone(pieces[i], &(struct place)DEFERRED, windows[w]);
    }
}
END_TEST

START_TEST(subject_in_pieces)
{
    struct buf file = script_make(pieces[0]);
    struct parsed t;

    begin(&t, &(struct place)DEFERRED, 0, F(SUBJECT));
    parse_file(&t, &(struct place)DEFERRED, &file, 0);
    ck_assert_str_eq(shown(&t, F(SUBJECT)), "\"subject\":\"onetwo threefour\\tfive\"");
    ck_assert_uint_eq(t.rd.headers.n, strlen("Subject: onetwo\n threefour\n\tfive\nSUBJECT: second\n"));
    end(&t);
    buf_done(&file);
}
END_TEST

/* --- delivery logs --- */

#define LOG_FILE "C6\n" TIME "A create_time=1136214245\nS a@b.example\nR lee@example.net\nR odd user@example.net\nD done@x.example\nR mo@example.net\nM\nN\nX\nE\n"
#define LEE "host 192.0.2.9[192.0.2.9] said: 450 4.2.1 try later (in reply to RCPT TO command)"

/* Recipients stand at 152, 169 and 207 in LOG_FILE. */
static const struct {
    const char *name, *defer, *bounce, *json;
} log_rows[] = {
    { "as Postfix 3.7 writes it",
      "\n<lee@example.net>: " LEE "\nrecipient=lee@example.net\noffset=152\nstatus=4.2.1\naction=delayed\nreason=" LEE "\n\n",
      NULL,
      "\"recipients\":[{\"address\":\"lee@example.net\",\"delay_reason\":\"" LEE "\",\"dsn_code\":\"4.2.1\"},{"
      "\"address\":\"\\\"odd user\\\"@example.net\"},{\"address\":\"mo@example.net\"}],"
      "\"last_attempt\":1136217000,\"reason\":\"" LEE "\",\"reason_class\":\"other\",\"problems\":[]" },
    { "old style only (2.0)",
      "<mo@example.net>: connect to mx[192.0.2.1]: Connection timed out\n\n<lee@example.net>: 451 4.7.1 greylisted\n\n", NULL,
      "\"recipients\":[{\"address\":\"lee@example.net\",\"delay_reason\":\"451 4.7.1 greylisted\",\"dsn_code\":\"4.7.1\"},{"
      "\"address\":\"\\\"odd user\\\"@example.net\"},{"
      "\"address\":\"mo@example.net\",\"delay_reason\":\"connect to mx[192.0.2.1]: Connection timed out\"}],\"last_attempt\":1136217000,\"reason\":\"451 4.7.1 greylisted\",\"reason_class\":\"greylist\",\"problems\":[]" },
    { "the offset counts, not the address",
      "\nrecipient=redirect@x.example\noriginal_recipient=lee@example.net\noffset=169\nreason=x\n\n", NULL,
      "\"recipients\":[{\"address\":\"lee@example.net\"},{"
      "\"address\":\"\\\"odd user\\\"@example.net\",\"delay_reason\":\"x\"},{"
      "\"address\":\"mo@example.net\"}],"
      "\"last_attempt\":1136217000,\"reason\":\"x\",\"reason_class\":\"other\",\"problems\":[]" },
    { "an offset of no pending recipient: then the address",
      "\nrecipient=\"odd user\"@example.net\noffset=1\nstatus=4.4.1\nreason=x\n\n", NULL,
      "\"recipients\":[{\"address\":\"lee@example.net\"},{"
      "\"address\":\"\\\"odd user\\\"@example.net\",\"delay_reason\":\"x\",\"dsn_code\":\"4.4.1\"},{"
      "\"address\":\"mo@example.net\"}],"
      "\"last_attempt\":1136217000,\"reason\":\"x\",\"reason_class\":\"other\",\"problems\":[]" },
    { "of a recipient that is done",
      "\nrecipient=done@x.example\noffset=189\nreason=x\n\n", NULL,
      "\"recipients\":[{\"address\":\"lee@example.net\"},{\"address\":\"\\\"odd user\\\"@example.net\"},{"
      "\"address\":\"mo@example.net\"}],"
      "\"last_attempt\":1136217000,\"reason\":\"x\",\"reason_class\":\"other\",\"problems\":[]" },
    { "the last of several",
      "\nrecipient=lee@example.net\noffset=152\nstatus=4.0.1\nreason=one\n\n\nrecipient=lee@example.net\noffset=152\nstatus=4.0.2\nreason=two\n", NULL,
      "\"recipients\":[{\"address\":\"lee@example.net\",\"delay_reason\":\"two\",\"dsn_code\":\"4.0.2\"},{"
      "\"address\":\"\\\"odd user\\\"@example.net\"},{\"address\":\"mo@example.net\"}],"
      "\"last_attempt\":1136217000,\"reason\":\"two\",\"reason_class\":\"other\",\"problems\":[]" },
    { "fields missing",
      "\noffset=152\n\n\nreason=alone\n\n", NULL,
      "\"recipients\":[{\"address\":\"lee@example.net\"},{\"address\":\"\\\"odd user\\\"@example.net\"},{"
      "\"address\":\"mo@example.net\"}],"
      "\"last_attempt\":1136217000,\"reason\":\"alone\",\"reason_class\":\"other\",\"problems\":[]" },
    { "no status",
      "\noffset=207\nreason=host x said: 452 4.2.2 mailbox full\n\n", NULL,
      "\"recipients\":[{\"address\":\"lee@example.net\"},{\"address\":\"\\\"odd user\\\"@example.net\"},{"
      "\"address\":\"mo@example.net\",\"delay_reason\":\"host x said: 452 4.2.2 mailbox full\",\"dsn_code\":\"4.2.2\"}],"
      "\"last_attempt\":1136217000,\"reason\":\"host x said: 452 4.2.2 mailbox full\",\"reason_class\":\"full\",\"problems\":[]" },
    { "what is no line of a log",
      "\n\t x\n=\n<no end\n\x01\nrecipient\noffset=-5\noffset=99999999999999999999\nstatus=a text that is far too long for a code\n\n", NULL,
      "\"recipients\":[{\"address\":\"lee@example.net\"},{\"address\":\"\\\"odd user\\\"@example.net\"},{"
      "\"address\":\"mo@example.net\"}],"
      "\"last_attempt\":1136217000,\"problems\":[]" },
    { "empty",
      "", "",
      "\"recipients\":[{\"address\":\"lee@example.net\"},{\"address\":\"\\\"odd user\\\"@example.net\"},{"
      "\"address\":\"mo@example.net\"}],"
      "\"problems\":[]" },
    { "a bounce that is not sent yet",
      NULL, "\n<done@x.example>: user unknown\nrecipient=done@x.example\noffset=189\nstatus=5.1.1\naction=failed\nreason=user unknown\n\n",
      "\"recipients\":[{\"address\":\"lee@example.net\"},{\"address\":\"\\\"odd user\\\"@example.net\"},{"
      "\"address\":\"mo@example.net\"}],"
      "\"bounce_reason\":\"user unknown\",\"problems\":[]" },
};

static void check_log_row(size_t i, size_t window)
{
    static const struct place at = DEFERRED;
    struct buf file = script_make(LOG_FILE);
    struct parsed t;
    uint64_t fields = F(RECIPIENTS) | F(REASON) | F(REASON_CLASS) | F(LAST_ATTEMPT) | F(BOUNCE_REASON) | F(PROBLEMS);

    begin(&t, &at, 2, LQ_FIELDS_ALL);
    parse_file(&t, &at, &file, window);
    if (log_rows[i].defer)
        parse_log(&t, 1, log_rows[i].defer, 1136217000, window);
    if (log_rows[i].bounce)
        parse_log(&t, 2, log_rows[i].bounce, 1136217000, window);
    ck_assert_msg(strcmp(shown(&t, fields), log_rows[i].json) == 0, "%s, window %zu:\n got %s\nwant %s", log_rows[i].name, window,
                  shown(&t, fields), log_rows[i].json);
    end(&t);
    buf_done(&file);
}

START_TEST(logs)
{
    check_log_row((size_t)_i, 0);
    check_log_row((size_t)_i, 1);
    check_log_row((size_t)_i, 7);
}
END_TEST

/* Short ids are used again, and a log may be left behind by the message that had it before. */
START_TEST(log_of_another_message)
{
    static const struct place at = DEFERRED;
    struct buf file = script_make(LOG_FILE);
    struct parsed t;

    begin(&t, &at, 1, LQ_FIELDS_ALL);
    parse_file(&t, &at, &file, 0);
    parse_log(&t, 1, "<lee@example.net>: old\n\n", 1136214000, 0);
    ck_assert_str_eq(shown(&t, F(REASON) | F(LAST_ATTEMPT)), "");
    parse_log(&t, 1, "<lee@example.net>: new\n\n", 1136214245, 0);
    ck_assert_str_eq(shown(&t, F(REASON) | F(LAST_ATTEMPT)), "\"last_attempt\":1136214245,\"reason\":\"new\"");
    end(&t);
    buf_done(&file);
}
END_TEST

/* A line longer than a view comes in pieces; only the first of them is looked at. */
START_TEST(log_with_a_long_line)
{
    static const struct place at = DEFERRED;
    struct buf file = script_make(LOG_FILE), log = { .p = NULL };
    struct parsed t;

    buf_add_str(&log, "\nx=");
    while (log.n < SOURCE_VIEW_MAX + 1)
        buf_add_char(&log, 'y');
    buf_add_str(&log, "reason=not this\n\n");
    buf_add_char(&log, '\0');
    begin(&t, &at, 1, LQ_FIELDS_ALL);
    parse_file(&t, &at, &file, 0);
    parse_log(&t, 1, log.p, 1136217000, 0);
    ck_assert_str_eq(shown(&t, F(REASON) | F(LAST_ATTEMPT)), "\"last_attempt\":1136217000");
    end(&t);
    buf_done(&log);
    buf_done(&file);
}
END_TEST

/* More reasons than a record holds: the latest is still there. */
START_TEST(log_of_a_million_reasons)
{
    static const struct place at = DEFERRED;
    struct buf file = script_make(LOG_FILE), log = { .p = NULL };
    struct parsed t;

    for (int i = 0; i < 1000000; i++)
        buf_printf(&log, "<lee@example.net>: 450 4.2.1 why %d\n\n", i);
    buf_add_char(&log, '\0');
    begin(&t, &at, 1, LQ_FIELDS_ALL);
    parse_file(&t, &at, &file, 0);
    parse_log(&t, 1, log.p, 1136217000, 0);
    ck_assert_str_eq(shown(&t, F(REASON)), "\"reason\":\"450 4.2.1 why 999999\"");
    ck_assert(!t.rec.arena.refused);
    ck_assert_uint_eq(t.rec.broken, SEC_LOG);
    end(&t);
    buf_done(&log);
    buf_done(&file);
}
END_TEST

/* A pointer back: the second recipient read stands before the first. */
START_TEST(log_offsets_out_of_order)
{
    static const struct place at = DEFERRED;
    struct buf file = script_make("C6\n" TIME "S a@b.example\np @second\n@first\nR first@x.example\np @rest\n@second\nR second@x.example\np @first\n@rest\nM\nN\nX\nE\n");
    struct parsed t;

    begin(&t, &at, 1, LQ_FIELDS_ALL);
    parse_file(&t, &at, &file, 0);
    parse_log(&t, 1, "\noffset=145\nreason=one\n\n\noffset=179\nreason=two\n\n", 1136217000, 0);
    ck_assert_str_eq(shown(&t, F(RECIPIENTS)),
                     "\"recipients\":[{\"address\":\"second@x.example\",\"delay_reason\":\"two\"},"
                     "{\"address\":\"first@x.example\",\"delay_reason\":\"one\"}]");
    end(&t);
    buf_done(&file);
}
END_TEST

/* --- cut and damaged --- */

static const char *const whole[] = { SAMPLE_A, SAMPLE_B, SAMPLE_D, MAILDROP };

/*
 * A file that is not ready may end anywhere and is no damage; a ready one is, wherever it is cut
 * before its end record.
 */
START_TEST(cut_anywhere)
{
    struct place ready = DEFERRED, coming = { "0D431A0B0C1", PF_INCOMING, 0600, MAIL_OWNER, 1136299999 };
    struct buf file = script_make(whole[_i]);
    size_t full = file.n;
    struct parsed t;

    if (_i == 3)
        ready.dir = PF_MAILDROP;
    for (size_t n = 0; n < full; n++) {
        file.n = n;
        begin(&t, &coming, 0, LQ_FIELDS_ALL);
        parse_file(&t, &coming, &file, 0);
        ck_assert_int_eq(t.rec.state, STATE_RECEIVING);
        ck_assert_uint_eq(t.rec.problems.n, 0);
        end(&t);
        begin(&t, &ready, 0, LQ_FIELDS_ALL);
        parse_file(&t, &ready, &file, n % 5);
        if (_i != 1 || n < 300) {       /* sample B has recipients behind its end record */
            ck_assert_msg(t.rec.state == STATE_CORRUPT, "cut at %zu of %zu", n, full);
            ck_assert_uint_ge(t.rec.problems.n, 1);
            ck_assert_uint_eq(t.rec.broken & SEC_CONTROL, SEC_CONTROL);
        }
        end(&t);
    }
    file.n = full;
    buf_done(&file);
}
END_TEST

static int count_bytes(void *ctx, const void *p, size_t n)
{
    (void)p;
    *(size_t *)ctx += n;
    return 0;
}

/* Whatever one byte becomes: it ends, and a sanitizer is content. */
START_TEST(any_byte_changed)
{
    static const struct place at = DEFERRED;
    static const unsigned char values[] = { 0, 1, 0x7f, 0x80, 0xff, 'p', 'M', 'X', 'E', 'N', 'L', 'A', 'R', '9', ' ', '-' };
    struct buf file = script_make(whole[_i]);
    struct parsed t;

    for (size_t n = 0; n < file.n; n++)
        for (size_t v = 0; v < sizeof(values); v++) {
            char was = file.p[n];
            size_t sent = 0;

            file.p[n] = (char)values[v];
            begin(&t, &at, 0, LQ_FIELDS_ALL);
            parse_file(&t, &at, &file, 0);
            postfix_walk_message(&t.rd.src, t.rec.scratch[NOTE_CONTENT], count_bytes, &sent);
            end(&t);
            file.p[n] = was;
        }
    buf_done(&file);
}
END_TEST

/* --- large --- */

START_TEST(many_recipients)
{
    static const struct place at = DEFERRED;
    struct buf file = script_make(TIME "S a@b.example\n");
    struct parsed t;
    size_t n;

    for (int i = 0; i < 200000; i++) {
        char text[32];

        script_record(&file, 'R', text, (size_t)snprintf(text, sizeof(text), "r%06d@example.net", i));
    }
    script_record(&file, 'M', "", 0);
    script_record(&file, 'X', "", 0);
    script_record(&file, 'E', "", 0);
    begin(&t, &at, 1, LQ_FIELDS_ALL);
    parse_file(&t, &at, &file, 4096);
    lq_record_recipients(&t.rec, LQ_RECIPIENTS, &n);
    ck_assert_uint_eq(n, 100000);
    ck_assert_uint_eq(lq_record_recipient_count(&t.rec, LQ_RECIPIENTS), 200000);
    ck_assert_uint_eq(t.rec.problems.n, 2);     /* no size record either */
    parse_log(&t, 1, "<r099999@example.net>: old style\n\n<r100000@example.net>: not stored\n\n", 1136217000, 0);
    ck_assert_str_eq(t.rec.recipients.items[99999].delay_reason.p, "old style");
    end(&t);
    buf_done(&file);
}
END_TEST

/* Pointers to and fro between two far ends: as many as Postfix follows, no more. */
START_TEST(pointers_to_and_fro)
{
    enum { PAIRS = 10100, FAR = 2 * PAIRS * 17 };
    static const struct place at = USERS_MAILDROP;
    struct buf file = script_make(TIME "S a@b.example\n");
    size_t first = file.n;
    struct parsed t;
    char text[20];

    for (size_t i = 0; i < PAIRS; i++)
        script_record(&file, 'p', text, (size_t)snprintf(text, sizeof(text), "%15zu", first + FAR + 17 * i));
    while (file.n < first + FAR)
        script_record(&file, 'R', "somebody@nobody", 15);
    for (size_t i = 0; i < PAIRS; i++)
        script_record(&file, 'p', text, (size_t)snprintf(text, sizeof(text), "%15zu", first + 17 * (i + 1)));
    begin(&t, &at, 0, LQ_FIELDS_ALL);
    parse_file(&t, &at, &file, 4096);
    ck_assert_str_eq(t.rec.problems.items[0].p, "maildrop/0D431A0B0C1: record 'p' at offset 513431 is one pointer back too many");
    end(&t);
    buf_done(&file);
}
END_TEST

/* A line of records L longer than any view, in the header and in the text. */
START_TEST(long_records)
{
    enum { LONG = 3 * SOURCE_VIEW_MAX + 17 };
    static const struct place at = USERS_MAILDROP;
    struct buf file = script_make(TIME "S a@b.example\nR c@d.example\nM\nN Subject: s\n");
    char *text = malloc(LONG);
    struct parsed t;
    size_t sent = 0;

    memset(text, 'x', LONG);
    text[3] = ':';
    script_record(&file, 'N', text, LONG);
    script_record(&file, 'N', "", 0);
    script_record(&file, 'N', text, LONG);
    script_record(&file, 'X', "", 0);
    script_record(&file, 'A', text, LONG);
    script_record(&file, 'E', "", 0);
    begin(&t, &at, 0, LQ_FIELDS_ALL);
    parse_file(&t, &at, &file, 4096);
    ck_assert_uint_eq(t.rd.headers.n, 11 + LONG + 1);
    ck_assert_uint_eq(t.rec.problems.n, 2);     /* cut, and no name=value in what is left */
    end(&t);
    begin(&t, &at, 0, LQ_FIELDS_ALL);
    parse_file(&t, &at, &file, 0);
    ck_assert_int_eq(postfix_walk_message(&t.rd.src, t.rec.scratch[NOTE_CONTENT], count_bytes, &sent), 0);
    ck_assert_uint_eq(sent, 11 + LONG + 1 + 1 + LONG + 1);
    end(&t);
    free(text);
    buf_done(&file);
}
END_TEST

START_TEST(header_beyond_the_limit)
{
    static const struct place at = USERS_MAILDROP;
    struct buf file = script_make(TIME "S a@b.example\nR c@d.example\nM\n");
    struct parsed t;
    char text[1001];

    memset(text, 'x', sizeof(text));
    text[1] = ':';
    for (int i = 0; i < 5000; i++)
        script_record(&file, 'N', text, 1000);
    script_record(&file, 'N', "", 0);
    script_record(&file, 'X', "", 0);
    script_record(&file, 'E', "", 0);
    begin(&t, &at, 0, LQ_FIELDS_ALL);
    parse_file(&t, &at, &file, 4096);
    ck_assert_uint_eq(t.rd.headers.n, RECORD_HEADERS_MAX);
    ck_assert_uint_eq(t.rd.headers.lost, 5000 * 1001 - RECORD_HEADERS_MAX);
    ck_assert_uint_eq(t.rec.broken & SEC_CONTROL, SEC_CONTROL);     /* a subject may be in the rest */
    ck_assert_int_eq(t.rec.state, STATE_INCOMING);
    end(&t);
    buf_done(&file);
}
END_TEST

/* Only what somebody looks at is read: without header fields the text is jumped over. */
START_TEST(header_not_wanted)
{
    static const struct place at = DEFERRED;
    struct buf file = script_make("C6\n" TIME "S a@b.example\nR c@d.example\nM\nN Subject: s\nZ\nX\nE\n");
    struct parsed t;

    begin(&t, &at, 0, F(SENDER));
    parse_file(&t, &at, &file, 0);
    ck_assert_uint_eq(t.rec.problems.n, 0);
    ck_assert_uint_eq(t.rd.headers.n, 0);
    end(&t);
    buf_done(&file);
}
END_TEST

/* A message is as corrupt, and its client's address as wrong, when nothing but that is asked for. */
START_TEST(verdict_does_not_depend_on_what_is_asked)
{
    static const struct place at = DEFERRED;
    static const uint64_t wants[] = { F(STATE), F(PROBLEMS), LQ_FIELDS_ALL };
    struct buf file = script_make("C6\n" TIME "S a@b.example\nA client_address=x\nM\nN Subject: s\nZ\nX\nE\n");
    struct parsed t;

    for (size_t i = 0; i < 3; i++) {
        begin(&t, &at, 0, wants[i]);
        parse_file(&t, &at, &file, 0);
        ck_assert_int_eq(t.rec.state, STATE_CORRUPT);
        ck_assert_uint_eq(t.rec.problems.n, wants[i] & F(PROBLEMS) ? 2 : 1);
        end(&t);
    }
    buf_done(&file);
}
END_TEST

/* --- the message rebuilt --- */

static int collect(void *ctx, const void *p, size_t n)
{
    buf_add(ctx, p, n);
    return 0;
}

static int stop_at_once(void *ctx, const void *p, size_t n)
{
    (void)ctx;
    (void)p;
    (void)n;
    return 42;
}

#define XS "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"

static const struct {
    const char *name, *script, *text;
    size_t n;
    int rc;
} messages[] = {
#define TEXT(literal) literal, sizeof(literal) - 1
    { "sample A", SAMPLE_A, TEXT("From: Kim <kim@example.com>\nSubject: a\n\nnul \0 8bit \xe9\n" XS "end\n"), 0 },
    { "sample B", SAMPLE_B, TEXT("Received: by mx.example.com\nSubject: changed\nA: b\nX-Added: 1\n\nbody\n"), 0 },
    { "sample D", SAMPLE_D, TEXT("Received: from host.example.com (host.example.com [192.0.2.44])\nSubject: old\n\ntext\n"), 0 },
    { "text without its last line end", MAILDROP, TEXT("Subject: t\nTo: lee@example.net\n\nno newline\n"), 0 },
    { "a record that is no text", ENVELOPE("") "", TEXT("Subject: s\n\n"), 0 },
    { "wrong type", "C6\n" TIME "S\nM\nN one\nR two\nX\nE\n", TEXT("one\n"), 1 },
    { "circle", "C6\n" TIME "S\nM\n@a\nN one\np @a\nX\nE\n", TEXT("one\none\n"), 1 },
    { "cut", "C6\n" TIME "S\nM\nN one\nL two", TEXT("one\ntwo"), 1 },
#undef TEXT
};

START_TEST(rebuilt)
{
    static const size_t windows[] = { 0, 1, 7, 64 };
    static const struct place at = DEFERRED;
    struct buf file = script_make(messages[_i].script), out = { .p = NULL };
    struct parsed t;

    for (size_t w = 0; w < 4; w++) {
        int fd;

        begin(&t, &at, 0, F(SENDER));
        parse_file(&t, &at, &file, 0);
        fd = source_of(&t.rd.src, &file, windows[w]);
        buf_reset(&out, 0);
        ck_assert_int_eq(postfix_walk_message(&t.rd.src, t.rec.scratch[NOTE_CONTENT], collect, &out), messages[_i].rc);
        ck_assert_uint_eq(out.n, messages[_i].n);
        ck_assert_mem_eq(out.p, messages[_i].text, out.n);
        ck_assert_int_eq(postfix_walk_message(&t.rd.src, t.rec.scratch[NOTE_CONTENT], stop_at_once, NULL), 42);
        if (fd >= 0)
            close(fd);
        end(&t);
    }
    buf_done(&out);
    buf_done(&file);
}
END_TEST

/* --- ids --- */

static const struct {
    const char *id;
    bool is_long;
    int64_t seconds, usec;
} ids[] = {
    { "2zNjYx0N4dz1XMpM", true, 1136214245, 54321 },    /* the second one was made by Postfix 3.7.11 */
    { "4jX48y4ynDz1blN8", true, 1795294226, 699776 },
    { "0D431A0B0C1", false, 0, 0 },
    { "2zNjY00N4z1", false, 0, 0 },                     /* z too early */
    { "2aNjYx0N4dz1XMpM", false, 0, 0 },                /* a vowel */
    { "2zNjYxzzzzz1XMpM", false, 0, 0 },                /* more than a second of microseconds */
    { "zzzzzzzzzzzzzzzzzzzzzzzzzzz0000z1", false, 0, 0 },
};

START_TEST(long_ids)
{
    int64_t seconds = 0, usec = 0;

    ck_assert_int_eq(postfix_long_id(bytes_from(ids[_i].id, strlen(ids[_i].id)), &seconds, &usec), ids[_i].is_long);
    if (ids[_i].is_long) {
        ck_assert_int_eq(seconds, ids[_i].seconds);
        ck_assert_int_eq(usec, ids[_i].usec);
    }
}
END_TEST

#define LOOP(tcase, test, rows) tcase_add_loop_test(tcase, test, 0, (int)(sizeof(rows) / sizeof((rows)[0])))

int main(void)
{
    Suite *suite = suite_create("postfix");
    TCase *file_case = tcase_create("files"), *log_case = tcase_create("logs");
    SRunner *runner;
    int failed;

    tcase_set_timeout(file_case, 120);
    tcase_set_timeout(log_case, 120);
    LOOP(file_case, files, rows);
    LOOP(file_case, files_in_small_windows, rows);
    tcase_add_test(file_case, asked_alone);
    tcase_add_test(file_case, subject_in_pieces);
    LOOP(file_case, cut_anywhere, whole);
    LOOP(file_case, any_byte_changed, whole);
    LOOP(file_case, rebuilt, messages);
    LOOP(file_case, long_ids, ids);
    tcase_add_test(file_case, many_recipients);
    tcase_add_test(file_case, pointers_to_and_fro);
    tcase_add_test(file_case, long_records);
    tcase_add_test(file_case, header_beyond_the_limit);
    tcase_add_test(file_case, header_not_wanted);
    tcase_add_test(file_case, verdict_does_not_depend_on_what_is_asked);
    LOOP(log_case, logs, log_rows);
    tcase_add_test(log_case, log_of_another_message);
    tcase_add_test(log_case, log_with_a_long_line);
    tcase_add_test(log_case, log_of_a_million_reasons);
    tcase_add_test(log_case, log_offsets_out_of_order);
    suite_add_tcase(suite, file_case);
    suite_add_tcase(suite, log_case);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
