/* What stays of a message when everything goes that names somebody. Lists of what may stay, never of what must go. */
#include "redact.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "bag.h"
#include "file.h"
#include "header.h"
#include "json.h"

enum { HEADER_MAX = 256 << 10, FIELDS_MAX = 200 };

/* --- words --- */

/* RFC 3848 and the IANA registry of mail transmission types; Exim's and Postfix's names of local ways. */
static const char *const protocols[] = {
    "SMTP", "SMTPS", "SMTPA", "ESMTP", "ESMTPS", "ESMTPA", "ESMTPSA", "LMTP", "LMTPS", "LMTPA", "LMTPSA", "UTF8SMTP", "UTF8SMTPS", "UTF8SMTPA",
    "UTF8SMTPSA", "UTF8LMTP", "UTF8LMTPS", "UTF8LMTPA", "UTF8LMTPSA", "HTTP", "QMQP", "local", "local-smtp", "local-esmtp", "local-bsmtp", "bsmtp", NULL
};

/* The IANA registry of SASL mechanisms, those that mail servers offer. */
static const char *const mechanisms[] = {
    "PLAIN", "LOGIN", "CRAM-MD5", "DIGEST-MD5", "SCRAM-SHA-1", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS", "SCRAM-SHA-512", "NTLM", "GSSAPI",
    "GS2-KRB5", "EXTERNAL", "XOAUTH2", "OAUTHBEARER", "ANONYMOUS", NULL
};

/* Header fields by the names that everybody uses (RFC 5322, 2045, 2919, 2369, 3834, 6376, and what programs add). A name can be a message, too. */
static const char *const fields[] = {
    "Return-Path", "Received", "Date", "From", "Sender", "Reply-To", "To", "Cc", "Bcc", "Message-ID", "In-Reply-To", "References", "Subject", "Comments",
    "Keywords", "Resent-Date", "Resent-From", "Resent-Sender", "Resent-To", "Resent-Cc", "Resent-Message-ID", "MIME-Version", "Content-Type",
    "Content-Transfer-Encoding", "Content-ID", "Content-Description", "Content-Disposition", "Content-Language", "Auto-Submitted", "Precedence",
    "Importance", "Priority", "X-Priority", "X-MSMail-Priority", "Sensitivity", "X-Mailer", "User-Agent", "X-MimeOLE", "X-Originating-IP",
    "X-PHP-Originating-Script", "X-PHP-Script", "X-Get-Message-Sender-Via", "X-Authenticated-Sender", "X-Source", "X-Source-Args", "X-Source-Dir",
    "X-AntiAbuse", "Organization", "Thread-Index", "Thread-Topic", "List-Id", "List-Unsubscribe", "List-Unsubscribe-Post", "List-Help", "List-Post",
    "List-Subscribe", "List-Owner", "List-Archive", "Feedback-ID", "DKIM-Signature", "DomainKey-Signature", "Authentication-Results",
    "ARC-Seal", "ARC-Message-Signature", "ARC-Authentication-Results", "Received-SPF", "X-Spam-Status", "X-Spam-Flag", "X-Spam-Level", "X-Spam-Score",
    "X-Virus-Scanned", "Delivered-To", "X-Original-To", "Envelope-To", "Delivery-Date", "Disposition-Notification-To", "Return-Receipt-To",
    "Errors-To", "X-Failed-Recipients", "X-Report-Abuse", "X-Complaints-To", "X-Auto-Response-Suppress", "X-Loop", NULL
};

static const char *const types[] = {
    "text/plain", "text/html", "text/calendar", "text/csv", "text/enriched", "text/rfc822-headers", "multipart/mixed", "multipart/alternative",
    "multipart/related", "multipart/report", "multipart/signed", "multipart/encrypted", "multipart/digest", "message/rfc822", "message/delivery-status",
    "message/partial", "message/external-body", "message/disposition-notification", "application/octet-stream", "application/pdf", "application/zip",
    "application/msword", "application/pkcs7-mime", "application/x-pkcs7-mime", "application/pgp-encrypted", "application/rtf", "image/jpeg", "image/png",
    "image/gif", "audio/mpeg", "audio/wav", "video/mp4", NULL
};

static const char *const encodings[] = { "7bit", "8bit", "binary", "quoted-printable", "base64", NULL };

/* As the list has it; NULL: not in it. */
static const char *word(const char *const *list, const char *p, size_t n)
{
    for (; *list; list++)
        if (strlen(*list) == n && strncasecmp(*list, p, n) == 0)
            return *list;
    return NULL;
}

static void known_word(struct buf *out, const char *name, const char *const *list, struct lq_str s)
{
    if (s.p)
        json_text(out, name, word(list, s.p, s.n));
}

bool redact_address(struct lq_str s, char shown[IP_TEXT_MAX])
{
    struct ip ip;

    if (!s.p || !ip_parse(bytes_from(s.p, s.n), &ip))
        return false;
    ip_format(&ip, shown);
    return true;
}

static void address(struct buf *out, const char *name, struct lq_str s)
{
    char shown[IP_TEXT_MAX];

    if (redact_address(s, shown))
        json_text(out, name, shown);
}

/* --- ids --- */

/* The value of a character by its place, as each of them counts; Postfix has no vowels, and Sendmail only the first 60. */
static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
static const char no_vowels[] = "0123456789BCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz";

/* Whether each of n bytes is one of the first `base` of the alphabet; *value, unless NULL: the number that they are, bounded. */
static bool number_in(const char *alphabet, size_t base, const char *p, size_t n, uint64_t *value)
{
    uint64_t v = 0;

    for (size_t i = 0; i < n; i++) {
        const char *at = memchr(alphabet, p[i], base);

        if (!at)
            return false;
        v = v < UINT64_MAX / 64 ? v * base + (uint64_t)(at - alphabet) : v;
    }
    if (value)
        *value = v;
    return true;
}

/* Exim: seconds in base 62, process, fraction; 6-6-2, from 4.97 on 6-11-4. */
static bool exim_form(const char *p, size_t n)
{
    size_t second = n == 16 ? 13 : 18;
    uint64_t seconds;

    return (n == 16 || n == 23) && p[6] == '-' && p[second] == '-' && number_in(digits, 62, p, 6, &seconds) && seconds <= UINT32_MAX &&
           number_in(digits, 62, p + 7, second - 7, NULL) && number_in(digits, 62, p + second + 1, n - second - 1, NULL);
}

/* Postfix: 5 digits of microseconds and the inode in base 16; or seconds and 4 digits of microseconds in base 52, z, the inode in base 51. */
static bool postfix_form(const char *p, size_t n)
{
    const char *z = memrchr(p, 'z', n);
    size_t time = z ? (size_t)(z - p) : 0;
    uint64_t seconds, usec;

    if (!z)
        return n >= 6 && n <= 21 && number_in(digits, 16, p, 5, &usec) && usec < 1000000 && number_in(digits, 16, p + 5, n - 5, NULL);
    return time >= 10 && time <= 11 && n > time + 1 && n <= time + 13 && number_in(no_vowels, 52, p, time - 4, &seconds) &&
           seconds <= 2 * (uint64_t)UINT32_MAX && number_in(no_vowels, 52, z - 4, 4, &usec) && usec < 1000000 &&
           number_in(no_vowels, 51, z + 1, n - time - 1, NULL);
}

/* Sendmail from 8.12 on: year, month, day, hour, minute and second in base 60, two counting, the process in 6 digits or more. */
static bool sendmail_form(const char *p, size_t n)
{
    uint64_t month, day, hour;

    return n >= 14 && n <= 18 && number_in(digits, 60, p, 8, NULL) && number_in(digits, 60, p + 1, 1, &month) && month < 12 &&
           number_in(digits, 60, p + 2, 1, &day) && day >= 1 && day <= 31 && number_in(digits, 60, p + 3, 1, &hour) && hour < 24 &&
           number_in(digits, 10, p + 8, n - 8, NULL);
}

static const struct { const char *mta; bool (*form)(const char *p, size_t n); } forms[] = {
    { "exim", exim_form }, { "postfix", postfix_form }, { "sendmail", sendmail_form },
};

bool redact_id(struct lq_str mta, struct lq_str id)
{
    for (size_t i = 0; mta.p && id.p && i < sizeof(forms) / sizeof(forms[0]); i++)
        if (strlen(forms[i].mta) == mta.n && memcmp(forms[i].mta, mta.p, mta.n) == 0)
            return id.n > 0 && forms[i].form(id.p, id.n);
    return false;
}

static void add_id(struct buf *out, const struct lq_record *r)
{
    struct lq_str id = lq_record_text(r, LQ_QUEUE_ID);

    if (redact_id(lq_record_text(r, LQ_MTA), id))
        json_bytes(out, "queue_id", id);
}

/* --- records --- */

static const enum lq_field numbers[] = { LQ_ARRIVAL_TIME, LQ_ARRIVAL_USEC, LQ_MESSAGE_SIZE, LQ_CLIENT_PORT, LQ_ATTEMPTS, LQ_LAST_ATTEMPT, LQ_NEXT_ATTEMPT };

static void add_numbers(struct buf *out, const struct lq_record *r)
{
    int64_t v;

    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        if (lq_record_number(r, numbers[i], &v))
            json_number(out, lq_field_name(numbers[i]), v);
}

static void add_count(struct buf *out, const struct lq_record *r, enum lq_field f, const char *name)
{
    size_t n;

    if (lq_record_has(r, f) != LQ_PRESENT)
        return;
    lq_record_recipients(r, f, &n);
    json_number(out, name, (int64_t)n);
}

static void add_flags(struct buf *out, const struct lq_record *r)
{
    struct lq_str s;

    if (!lq_record_text_at(r, LQ_FLAGS, 0).p)
        return;
    buf_add_str(out, ",\"flags\":[");
    for (size_t i = 0; (s = lq_record_text_at(r, LQ_FLAGS, i)).p; i++)
        buf_printf(out, i > 0 ? ",\"%s\"" : "\"%s\"", s.p);
    buf_add_char(out, ']');
}

static void add_hops(struct buf *out, const struct lq_record *r)
{
    size_t n;
    const struct lq_hop *hops = lq_record_hops(r, &n);

    if (n == 0)
        return;
    buf_add_str(out, ",\"received\":[");
    for (size_t i = 0; i < n; i++) {
        buf_add_str(out, i > 0 ? ",{" : "{");
        address(out, "address", hops[i].address);
        known_word(out, "with", protocols, hops[i].with);
        if (hops[i].time != 0)
            json_number(out, "time", hops[i].time);
        json_bytes(out, "trust", hops[i].trust);
        buf_add_char(out, '}');
    }
    buf_add_char(out, ']');
}

void redact_record(struct buf *out, const struct lq_record *r)
{
    /* Texts that this library chose: state, reason_class, origin_trust. */
    buf_add_str(out, "{\"schema\":\"mqtools.redacted/1\"");
    json_bytes(out, "mta", lq_record_text(r, LQ_MTA));
    add_id(out, r);
    json_bytes(out, "state", lq_record_text(r, LQ_STATE));
    add_numbers(out, r);
    add_count(out, r, LQ_RECIPIENTS, "recipient_count");
    add_count(out, r, LQ_RECIPIENTS_DONE, "recipients_done_count");
    address(out, "client_address", lq_record_text(r, LQ_CLIENT_ADDRESS));
    known_word(out, "protocol_name", protocols, lq_record_text(r, LQ_PROTOCOL_NAME));
    known_word(out, "auth_method", mechanisms, lq_record_text(r, LQ_AUTH_METHOD));
    json_bytes(out, "reason_class", lq_record_text(r, LQ_REASON_CLASS));
    add_hops(out, r);
    address(out, "origin_address", lq_record_text(r, LQ_ORIGIN_ADDRESS));
    json_bytes(out, "origin_trust", lq_record_text(r, LQ_ORIGIN_TRUST));
    add_flags(out, r);
    if (lq_record_text_at(r, LQ_PROBLEMS, 0).p)
        buf_add_str(out, ",\"damaged\":true");
    buf_add_str(out, "}\n");
}

/* --- the header --- */

/* Up to what ends the word: a parameter, a comment, white space. */
static struct bytes first_word(struct bytes value)
{
    size_t from = 0, to;

    while (from < value.n && strchr(" \t\r\n", value.p[from]) && value.p[from])
        from++;
    for (to = from; to < value.n && value.p[to] && !strchr(" \t\r\n;(", value.p[to]);)
        to++;
    return bytes_from(value.p + from, to - from);
}

/* The values that are times, or words that are here; of the rest it is enough that they were there. */
static void add_value(struct buf *out, const char *name, struct bytes value)
{
    struct bytes w = first_word(value);
    struct lq_str s = { (const char *)w.p, w.n };
    struct buf unfolded = { 0 };
    int64_t when;

    if (strcmp(name, "Content-Type") == 0)
        known_word(out, "value", types, s);
    else if (strcmp(name, "Content-Transfer-Encoding") == 0)
        known_word(out, "value", encodings, s);
    if (strcmp(name, "Date") == 0) {
        header_unfold(value, &unfolded);
        if (header_date(bytes_from(unfolded.p ? unfolded.p : "", unfolded.n), &when))
            json_number(out, "time", when);
        buf_done(&unfolded);
    }
}

static void add_header(struct buf *out, struct bytes block)
{
    struct header h;
    size_t n = 0;

    buf_add_str(out, ",\"header\":[");
    while (n < FIELDS_MAX && header_next(&block, &h)) {
        const char *name = word(fields, (const char *)h.name.p, h.name.n);

        buf_add_str(out, n++ > 0 ? ",{" : "{");
        json_text(out, "name", name ? name : "(another)");
        json_number(out, "length", (int64_t)h.value.n);
        if (name)
            add_value(out, name, h.value);
        buf_add_char(out, '}');
    }
    buf_add_char(out, ']');
}

/* --- hashes --- */

struct sent {
    struct digest *d;
    uint64_t size;
    struct buf header;          /* its beginning */
};

static int take(void *ctx, const void *p, size_t n)
{
    struct sent *s = ctx;

    digest_add(s->d, p, n);
    s->size += n;
    buf_add(&s->header, p, n);
    return 0;
}

static void add_hash(struct buf *out, uint64_t size, const char *hex)
{
    json_number(out, "size", (int64_t)size);
    json_text(out, "sha256", hex);
}

static int add_file(struct buf *out, const struct reading *rd, const struct entry *e, struct digest *d, char *block, bool first)
{
    char hex[DIGEST_HEX + 1];
    uint64_t size = 0;
    struct stat st;
    int fd, error;
    enum file_result r = file_open(rd->spool->dirs[e->dir].fd, e->name, &fd, &st);

    if (r == FILE_GONE)
        return 0;
    if (r != FILE_OK)
        return r == FILE_DENIED ? EACCES : r == FILE_ODD ? EINVAL : errno;
    error = bag_hash_fd(d, fd, block, hex, &size);
    close(fd);
    if (error == 0) {
        buf_add_str(out, first ? "{" : ",{");
        add_hash(out, size, hex);
        buf_add_char(out, '}');
    }
    return error;
}

int redact_original(struct buf *out, struct reading *rd, struct digest *d, char *block, char why[256])
{
    struct sent sent = { .d = d, .header.limit = HEADER_MAX };
    char hex[DIGEST_HEX + 1];
    int error = 0;
    size_t start;

    buf_add_char(out, '{');
    json_bytes(out, "mta", lq_record_text(rd->rec, LQ_MTA));
    add_id(out, rd->rec);
    buf_add_str(out, ",\"files\":[");
    start = out->n;
    for (uint32_t i = 0; error == 0 && i < rd->ref->count; i++) {
        error = add_file(out, rd, &rd->ref->entries[i], d, block, out->n == start);
        if (error)
            snprintf(why, 256, "%.255s", rd->ref->entries[i].name);
    }
    digest_begin(d);
    if (error == 0)
        message_body(rd, take, &sent);
    digest_end(d, hex);
    buf_add_str(out, "],\"message\":{");
    add_hash(out, sent.size, hex);
    buf_add_char(out, '}');
    add_header(out, bytes_from(sent.header.p ? sent.header.p : "", sent.header.n));
    buf_add_str(out, "}\n");
    if (sent.header.failed || (error == 0 && !*hex))
        error = ENOMEM;
    buf_done(&sent.header);
    return error;
}
