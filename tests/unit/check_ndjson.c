/*
 * Records read from JSON: what is one and what is none, with the sentence; what stays unknown; and how a file of lines goes on behind a line that is
 * no record. tests/cli/from.sh compares whole spools with their records; here are the corners.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ndjson.h"

#define COUNT(a) (int)(sizeof(a) / sizeof((a)[0]))

/* A row's text: ' is ", and @ before it is the begin of a record. Caller frees. */
static char *json(const char *row)
{
    char *text;

    ck_assert_int_gt(asprintf(&text, "%s%s", *row == '@' ? "{'schema':'mqtools.record/1'," : "", row + (*row == '@')), -1);
    for (char *p = text; *p; p++)
        if (*p == '\'')
            *p = '"';
    return text;
}

/* seeds_records.sh takes these lines, too: one row, one line. */
static const struct { const char *line, *says; } rows[] = {
    { "{'schema':'mqtools.record/1'}", NULL },
    { "@'queue_id':'a','sender':'','recipients':[],'flags':[],'files':[],'problems':[]}", NULL },
    { "@'sender':null,'arrival_time':null,'recipients':null,'sender_b64':null,'partial':null,'unread':null}", NULL },
    { "@'later':{'a':[1,{'b':null,'c':[true]}]},'more':1.5e99,'and':true,'so':'on','sender':'a'}", NULL },
    { "@'forced_expire':true,'arrival_time':-1,'arrival_usec':0,'message_size':9007199254740992}", NULL },
    { "@'state':'held','flags':['bounce','later','tls'],'flags_b64':['a']}", NULL },
    { "@'recipients':[{'address':'a@b','later':1,'more':[1],'so':{'a':{}},'on':false,'none':null,'text':'x'},{}]}", NULL },
    { "@'recipients':[{'address':'a\\ufffd','address_b64':'Yf8=','delay_reason':'\\ufffd','delay_reason_b64':'/w=='}],'recipients_done':[{'orig_address':'b'}]}", NULL },
    { "@'received':[{'by':'a','from':'b','helo':'c','address':'::1','with':'d','id':'e','time':5,'trust':'observed'},{'time':null,'by_b64':null}]}", NULL },
    { "@'subject':'caf\\u00e9','subject_b64':'Y2Fm6Q==','from':'x','from_b64':'PT91dGYtOD9xP3g/PQ=='}", NULL },
    { "@'subject':'\\u001b\\u0085\\n\\t','to':'\\ud83c\\udf81'}", NULL },
    { "@'problems':['a\\ufffd'],'problems_b64':['Yf8='],'files':['b','c'],'files_b64':['Yg==','Yw==']}", NULL },
    { "@'partial':true,'unread':['sender','recipients','later']}", NULL },
    { "@'partial':false,'unread':[]}", NULL },
    { " {'schema':'mqtools.record/1'} ", NULL },
    { "", "not JSON" },
    { "{", "not JSON" },
    { "{'schema':'mqtools.record/1'}{}", "not JSON" },
    { "relay1: {'schema':'mqtools.record/1'}", "not JSON" },
    { "@'sender':'\x1b[2J\xff'}", "not JSON" },
    { "[]", "not a JSON object" },
    { "null", "not a JSON object" },
    { "5", "not a JSON object" },
    { "true", "not a JSON object" },
    { "'text'", "not a JSON object" },
    { "{}", "not a record" },
    { "{'sender':'a'}", "not a record" },
    { "{'schema':'mqtools.record/2'}", "schema is not mqtools.record/1" },
    { "{'schema':5}", "schema is not a text" },
    { "{'schema':['mqtools.record/1']}", "schema is not a text" },
    { "{'schema':true}", "schema is not a text" },
    { "{'schema':{}}", "schema is not a text" },
    { "@'schema':'mqtools.record/1'}", "\"schema\" stands twice" },
    { "@'sender':'a','sender':'b'}", "\"sender\" stands twice" },
    { "@'sender_b64':'YQ==','sender_b64':'YQ=='}", "\"sender_b64\" stands twice" },
    { "@'recipients':[{'address':'a','address':'b'}]}", "\"address\" stands twice" },
    { "@'recipients':[{'address_b64':'YQ==','address_b64':'YQ=='}]}", "\"address_b64\" stands twice" },
    { "@'received':[{'time':1,'time':2}]}", "\"time\" stands twice" },
    { "@'a\\u0000':1}", "a key holds a NUL" },
    { "@'partial':1}", "partial is not true or false" },
    { "@'partial':'yes'}", "partial is not true or false" },
    { "@'partial':[]}", "partial is not true or false" },
    { "@'unread':true}", "unread is not a list of texts" },
    { "@'unread':'sender'}", "unread is not a list of texts" },
    { "@'unread':[1]}", "unread is not a list of texts" },
    { "@'unread':[{}]}", "unread is not a list of texts" },
    { "@'unread':[[]]}", "unread is not a list of texts" },
    { "@'sender':5}", "sender is not a text" },
    { "@'sender':true}", "sender is not a text" },
    { "@'sender':['a']}", "sender is not a text" },
    { "@'sender':{}}", "sender is not a text" },
    { "@'sender_b64':['YQ==']}", "sender_b64 is not a text" },
    { "@'sender_b64':5}", "sender_b64 is not a text" },
    { "@'arrival_time':'1'}", "arrival_time is not a whole number" },
    { "@'arrival_time':1.5}", "arrival_time is not a whole number" },
    { "@'arrival_time':9007199254740993}", "arrival_time is not a whole number" },
    { "@'arrival_time':99999999999999999999}", "arrival_time is not a whole number" },
    { "@'arrival_time':true}", "arrival_time is not a whole number" },
    { "@'arrival_time_b64':'YQ=='}", "arrival_time_b64 is not a whole number" },
    { "@'forced_expire':1}", "forced_expire is not true or false" },
    { "@'state':'asleep\\u001b[2J'}", "\"asleep?[2J\" is not a state" },
    { "@'flags':'tls'}", "flags is not a list of texts" },
    { "@'files':[1]}", "files is not a list of texts" },
    { "@'files':[{}]}", "files is not a list of texts" },
    { "@'files':[null]}", "files is not a list of texts" },
    { "@'files':[[]]}", "files is not a list of texts" },
    { "@'files_b64':'Yg=='}", "files_b64 is not a list of texts" },
    { "@'recipients':'a@b'}", "recipients is not a list of objects" },
    { "@'recipients':['a@b']}", "recipients is not a list of objects" },
    { "@'recipients':[1]}", "recipients is not a list of objects" },
    { "@'recipients_b64':[]}", "recipients_b64 is not a list of objects" },
    { "@'recipients':[{'address':1}]}", "address of recipients is not a text" },
    { "@'recipients':[{'address':['a']}]}", "address of recipients is not a text" },
    { "@'recipients':[{'address':{}}]}", "address of recipients is not a text" },
    { "@'recipients':[{'address':true}]}", "address of recipients is not a text" },
    { "@'received':[{'time':'x'}]}", "time of received is not a whole number" },
    { "@'received':[{'time':1.5}]}", "time of received is not a whole number" },
    { "@'received':[5]}", "received is not a list of objects" },
    { "@'sender':'a','sender_b64':'***='}", "not base64" },
    { "@'sender':'a','sender_b64':'YQ'}", "not base64" },
    { "@'recipients':[{'address':'a','address_b64':'*'}]}", "not base64" },
    { "@'files':['a'],'files_b64':['*']}", "not base64" },
    { "@'sender_b64':'YmI='}", "sender_b64 stands alone" },
    { "@'sender':'a\\ufffd','sender_b64':'YmI='}", "sender and sender_b64 do not say the same" },
    { "@'recipients':[{'address':'a','address_b64':'Yg=='}]}", "address and address_b64 of recipients do not say the same" },
    { "@'recipients':[{'address_b64':'Yg=='}]}", "address and address_b64 of recipients do not say the same" },
    { "@'files':['a'],'files_b64':['Yg==']}", "files and files_b64 do not say the same" },
    { "@'files':['a'],'files_b64':['YQ==','YQ==']}", "files and files_b64 do not say the same" },
    { "@'problems_b64':['YQ==']}", "problems and problems_b64 do not say the same" },
};

/* Read into r, and written again; NULL with why. The text is the record's. */
static const char *written(struct lq_record *r, const char *line, size_t n, struct ndjson_why *why)
{
    struct lq_str text;

    record_reset(r);
    why->text[0] = '\0';
    if (!ndjson_record(r, line, n, why))
        return NULL;
    ck_assert_int_eq(lq_record_json(r, LQ_FIELDS_ALL, &text, NULL), LQ_OK);
    return text.p;
}

START_TEST(lines)
{
    struct lq_record first = { 0 }, second = { 0 }, third = { 0 };
    struct ndjson_why why;
    char *line = json(rows[_i].line);
    const char *one = written(&first, line, strlen(line), &why), *two, *three;

    if (rows[_i].says) {
        ck_assert_msg(!one, "taken: %s", line);
        ck_assert_msg(strstr(why.text, rows[_i].says), "said: %s", why.text);
        ck_assert(!strpbrk(why.text, "\n\x1b\xff"));
    } else {
        ck_assert_msg(one, "refused: %s", why.text);
        two = written(&second, one, strlen(one), &why);
        ck_assert_msg(two, "what was written is refused: %s", why.text);
        three = written(&third, two, strlen(two), &why);
        ck_assert_str_eq(two, three);
    }
    free(line);
    record_done(&first);
    record_done(&second);
    record_done(&third);
}
END_TEST

/* --- what is there, what is not, what nobody knows --- */

static const struct { const char *line; enum lq_field f; enum lq_presence has; } presences[] = {
#define WHOLE "'mta':'exim','spool':'/q','queue_name':'default','queue_id':'a','flags':[],'problems':[],'files':[]}"
    { "@" WHOLE, LQ_SENDER, LQ_ABSENT },
    { "@'sender':'a'," WHOLE, LQ_SENDER, LQ_PRESENT },
    { "@'sender':''," WHOLE, LQ_SENDER, LQ_PRESENT },
    { "@'sender':null," WHOLE, LQ_SENDER, LQ_ABSENT },
    { "@'unread':['sender']," WHOLE, LQ_SENDER, LQ_UNREAD },
    { "@'partial':true," WHOLE, LQ_SENDER, LQ_UNREAD },
    { "@'partial':true," WHOLE, LQ_QUEUE_ID, LQ_PRESENT },
    /* Who leaves out what every record has made it of some fields. */
    { "@'queue_id':'a'}", LQ_SENDER, LQ_UNREAD },
    /* The body is not asked for by default. */
    { "@" WHOLE, LQ_DATA_SIZE, LQ_UNREAD },
    { "@'recipients':[]," WHOLE, LQ_RECIPIENTS, LQ_PRESENT },
    { "@'recipients':[]," WHOLE, LQ_RECIPIENT, LQ_PRESENT },
    { "@'partial':true," WHOLE, LQ_RECIPIENT, LQ_UNREAD },
    { "@'forced_expire':false," WHOLE, LQ_FORCED_EXPIRE, LQ_PRESENT },
};

START_TEST(presence)
{
    struct lq_record r = { 0 };
    struct ndjson_why why;
    char *line = json(presences[_i].line);

    record_reset(&r);
    ck_assert_msg(ndjson_record(&r, line, strlen(line), &why), "%s", why.text);
    ck_assert_int_eq(lq_record_has(&r, presences[_i].f), presences[_i].has);
    free(line);
    record_done(&r);
}
END_TEST

/* Bytes that are no UTF-8 come back as they were stored, wherever they stand. */
START_TEST(bytes_come_back)
{
    struct lq_record r = { 0 };
    struct ndjson_why why;
    char *line = json("@'sender':'a\\ufffdb','sender_b64':'Yf9i','recipients':[{'address':'\\ufffd','address_b64':'/g=='}],"
                      "'received':[{'by':'\\ufffd','by_b64':'/Q=='}],'files':['\\ufffd'],'files_b64':['/A==']}");
    size_t n;

    record_reset(&r);
    ck_assert_msg(ndjson_record(&r, line, strlen(line), &why), "%s", why.text);
    ck_assert_str_eq(lq_record_text(&r, LQ_SENDER).p, "a\xff" "b");
    ck_assert_str_eq(lq_record_recipients(&r, LQ_RECIPIENTS, &n)[0].address.p, "\xfe");
    ck_assert_str_eq(lq_record_hops(&r, &n)[0].by.p, "\xfd");
    ck_assert_str_eq(lq_record_text_at(&r, LQ_FILES, 0).p, "\xfc");
    free(line);
    record_done(&r);
}
END_TEST

/* --- limits --- */

/* `before`, n times `unit`, `after`. */
static char *repeated(const char *before, const char *unit, size_t n, const char *after)
{
    size_t size;
    char *plain, *text;
    FILE *out = open_memstream(&plain, &size);

    fputs(before, out);
    while (n-- > 0)
        fputs(unit, out);
    fputs(after, out);
    fclose(out);
    text = json(plain);
    free(plain);
    return text;
}

static const struct { const char *before, *unit; size_t n; const char *after, *says; } limits[] = {
    { "@'sender':'", "a", RECORD_TEXT_MAX, "'}", NULL },
    { "@'sender':'", "a", RECORD_TEXT_MAX + 1, "'}", "sender is longer than" },
    { "@'recipients':[{'address':'", "a", RECORD_TEXT_MAX + 1, "'}]}", "address of recipients is longer than" },
    { "@'later':'", "a", 8 << 20, "'}", "a text is longer than" },
    { "@'later':", "[", 1000, "", "nested deeper than" },
    { "@'later':", "{'a':", 1000, "", "nested deeper than" },
    { "", "[", 1000, "", "not a JSON object" },
};

START_TEST(has_limits)
{
    char *line = repeated(limits[_i].before, limits[_i].unit, limits[_i].n, limits[_i].after);
    struct lq_record r = { 0 };
    struct ndjson_why why = { "" };
    bool taken;

    record_reset(&r);
    taken = ndjson_record(&r, line, strlen(line), &why);
    ck_assert_int_eq(taken, limits[_i].says == NULL);
    ck_assert_msg(taken || strstr(why.text, limits[_i].says), "said: %s", why.text);
    free(line);
    record_done(&r);
}
END_TEST

/* --- files of lines --- */

static int file_of(const char *text, size_t n)
{
    int fd = memfd_create("records", MFD_CLOEXEC);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, text, n), (ssize_t)n);
    return fd;
}

/* Reads all: the ids, each with a comma behind it; how many lines were none. */
static uint64_t read_all(int fd, char ids[100], char trouble[300], unsigned rounds)
{
    struct lq_scan_opts opts = { .size = sizeof(opts), .fields = LQ_FIELDS_ALL };
    const struct lq_record *r;
    struct lq_queue *q;
    struct lq_error err;
    struct lq_scan *s;
    char path[40];
    uint64_t troubles = 0;
    int rc;

    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    ck_assert_int_eq(lq_records_open(&q, path, &err), LQ_OK);
    for (unsigned i = 0; i < rounds; i++) {
        ids[0] = trouble[0] = '\0';
        ck_assert_int_eq(lq_scan_begin(&s, q, &opts, &err), LQ_OK);
        while ((rc = lq_scan_next(s, &r, &err)) == LQ_OK)
            snprintf(ids + strlen(ids), 100 - strlen(ids), "%s,", lq_record_text(r, LQ_QUEUE_ID).p);
        ck_assert_int_eq(rc, LQ_END);
        troubles = lq_scan_stats(s).troubles;
        if (lq_scan_trouble(s, 0))
            snprintf(trouble, 300, "%s", lq_scan_trouble(s, 0));
        lq_scan_end(s);
    }
    lq_queue_close(q);
    close(fd);
    return troubles;
}

START_TEST(files)
{
    static const char text[] = "\n  \n{\"schema\":\"mqtools.record/1\",\"queue_id\":\"a\"}\r\nno\n"
                               "{\"schema\":\"mqtools.record/1\",\"queue_id\":\"b\"}\n{\"schema\":\"mqtools.record/1\",\"queue_id\":\"c\"}";
    char ids[100], trouble[300];

    /* The last line without its end is one, and a second look sees the same. */
    ck_assert_uint_eq(read_all(file_of(text, sizeof(text) - 1), ids, trouble, 2), 1);
    ck_assert_str_eq(ids, "a,b,c,");
    ck_assert_msg(strstr(trouble, "line 4: not JSON"), "said: %s", trouble);
    /* Cut in the middle of a line: what is left of it is named. */
    ck_assert_uint_eq(read_all(file_of(text, sizeof(text) - 3), ids, trouble, 1), 2);
    ck_assert_str_eq(ids, "a,b,");
    ck_assert_uint_eq(read_all(file_of("", 0), ids, trouble, 1), 0);
    ck_assert_str_eq(ids, "");
}
END_TEST

/* A line that no record has is passed over, the next one is read. */
START_TEST(line_without_end)
{
    enum { LONG = NDJSON_LINE_MAX + (3 << 20) };
    static const char before[] = "{\"schema\":\"mqtools.record/1\",\"queue_id\":\"a\"}\n", after[] = "\n{\"schema\":\"mqtools.record/1\",\"queue_id\":\"b\"}\n";
    char ids[100], trouble[300];
    int fd = file_of(before, sizeof(before) - 1);

    ck_assert_int_eq(ftruncate(fd, LONG), 0);
    ck_assert_int_eq(pwrite(fd, after, sizeof(after) - 1, LONG), (ssize_t)sizeof(after) - 1);
    ck_assert_uint_eq(read_all(fd, ids, trouble, 1), 1);
    ck_assert_str_eq(ids, "a,b,");
    ck_assert_msg(strstr(trouble, "line 2: longer than 64 MiB"), "said: %s", trouble);
    /* And where nothing follows. */
    fd = file_of(before, sizeof(before) - 1);
    ck_assert_int_eq(ftruncate(fd, LONG), 0);
    ck_assert_uint_eq(read_all(fd, ids, trouble, 1), 1);
    ck_assert_str_eq(ids, "a,");
}
END_TEST

START_TEST(no_files)
{
    static const struct { const char *path; int status; } paths[] = {
        { "/nonexistent/records", LQ_ENOENT }, { "/", LQ_EINVAL },
    };
    struct lq_queue *q;
    struct lq_error err = { .text = "" };

    for (int i = 0; i < COUNT(paths); i++) {
        ck_assert_int_eq(lq_records_open(&q, paths[i].path, &err), paths[i].status);
        ck_assert(strstr(err.text, paths[i].path));
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("ndjson");
    TCase *t = tcase_create("ndjson");
    SRunner *sr;
    int failed;

    tcase_add_loop_test(t, lines, 0, COUNT(rows));
    tcase_add_loop_test(t, presence, 0, COUNT(presences));
    tcase_add_test(t, bytes_come_back);
    tcase_add_loop_test(t, has_limits, 0, COUNT(limits));
    tcase_add_test(t, files);
    tcase_add_test(t, line_without_end);
    tcase_add_test(t, no_files);
    suite_add_tcase(s, t);
    sr = srunner_create(s);
    srunner_run_all(sr, CK_NORMAL);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed ? 1 : 0;
}
