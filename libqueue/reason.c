/*
 * Delay reasons: the enhanced status code inside one, and its class. Knows the words of mail servers, and no queue.
 *
 * A reason is a sentence of the local MTA, often with the remote server's reply inside. Words are asked first, because
 * servers say what they mean there and use one code for many things; the code decides what words did not.
 */
#include "reason.h"

const char *const reason_class_names[REASON_COUNT] = {
    [REASON_BLOCKLIST] = "blocklist", [REASON_RATELIMIT] = "ratelimit", [REASON_GREYLIST] = "greylist",
    [REASON_DNS] = "dns", [REASON_TIMEOUT] = "timeout", [REASON_REFUSED] = "refused", [REASON_FULL] = "full",
    [REASON_AUTH] = "auth", [REASON_POLICY] = "policy", [REASON_OTHER] = "other",
};

/* --- the status code --- */

static bool is_digit(unsigned char c)
{
    return c >= '0' && c <= '9';
}

static bool is_word(unsigned char c)
{
    return is_digit(c) || (ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z') || c >= 0x80 || c == '_' || c == '@' || c == '/';
}

/* One to three digits at `at`; answers where they end, or `at` when that is not what is there. */
static size_t digits_end(struct bytes t, size_t at)
{
    size_t i = at;

    while (i < t.n && is_digit(t.p[i]) && i - at < 4)
        i++;
    return i - at <= 3 ? i : at;
}

/* What stands before a code: nothing of a word or number. "550-5.7.26" is how replies of several lines write it. */
static bool begins_word(struct bytes t, size_t at)
{
    if (at == 0)
        return true;
    if (t.p[at - 1] == '-')
        return at >= 2 && is_digit(t.p[at - 2]);
    return !is_word(t.p[at - 1]) && t.p[at - 1] != '.';
}

static bool ends_word(struct bytes t, size_t at)
{
    if (at < t.n && (t.p[at] == '.' || t.p[at] == '-'))     /* the end of a sentence is one, a longer name is not */
        return at + 1 == t.n || !is_word(t.p[at + 1]);
    return at == t.n || !is_word(t.p[at]);
}

/* Length of the code at `at`, 0 without one. */
static size_t code_length(struct bytes t, size_t at)
{
    size_t subject, detail;

    if (t.n - at < 5 || (t.p[at] != '2' && t.p[at] != '4' && t.p[at] != '5') || t.p[at + 1] != '.' || !begins_word(t, at))
        return 0;
    subject = digits_end(t, at + 2);
    if (subject == at + 2 || subject >= t.n || t.p[subject] != '.')
        return 0;
    detail = digits_end(t, subject + 1);
    return detail > subject + 1 && ends_word(t, detail) ? detail - at : 0;
}

struct bytes reason_dsn_code(struct bytes text)
{
    for (size_t i = 0; i < text.n; i++) {
        size_t n = code_length(text, i);

        if (n > 0)
            return (struct bytes){ text.p + i, n };
    }
    return bytes_skip(text, text.n);
}

/* --- the class by words --- */

/* Lower case; the first that the reason contains decides. A leading or trailing blank stands for the edge of a word. */
static const struct rule {
    const char *words;
    enum reason_class class;
} rules[] = {
    /* Loops and routing: words of the next groups occur in them ("too many hops", RFC 5321 section 6.3). */
    { "too many hops", REASON_OTHER }, { "loops back to myself", REASON_DNS }, { "mail loop", REASON_OTHER },

    /* Greylisting: RFC 6647, and the replies of postgrey, milter-greylist, sqlgrey, Exim's and rspamd's greylisting. */
    { "greylist", REASON_GREYLIST }, { "graylist", REASON_GREYLIST }, { "grey-list", REASON_GREYLIST },
    { "gray-list", REASON_GREYLIST }, { "postgrey", REASON_GREYLIST },
    { "grey listed", REASON_GREYLIST }, { "gray listed", REASON_GREYLIST },

    /* DNS block lists: RFC 5782, and the public names of the lists as replies cite them. */
    { "spamhaus", REASON_BLOCKLIST }, { "spamcop", REASON_BLOCKLIST }, { "barracudacentral", REASON_BLOCKLIST },
    { "sorbs", REASON_BLOCKLIST }, { "uceprotect", REASON_BLOCKLIST }, { "surbl", REASON_BLOCKLIST },
    { "uribl", REASON_BLOCKLIST }, { "abuseat", REASON_BLOCKLIST }, { "mailspike", REASON_BLOCKLIST },
    { "invaluement", REASON_BLOCKLIST }, { "dnsbl", REASON_BLOCKLIST }, { " rbl", REASON_BLOCKLIST },
    { "blacklist", REASON_BLOCKLIST }, { "black list", REASON_BLOCKLIST },
    { "blocklist", REASON_BLOCKLIST }, { "block list", REASON_BLOCKLIST }, { "block-list", REASON_BLOCKLIST },
    { "denylist", REASON_BLOCKLIST }, { "blocked using", REASON_BLOCKLIST }, { "banned sending ip", REASON_BLOCKLIST },
    { "poor reputation", REASON_BLOCKLIST }, { "bad reputation", REASON_BLOCKLIST }, { "low reputation", REASON_BLOCKLIST },
    { " is listed ", REASON_BLOCKLIST }, { " listed in ", REASON_BLOCKLIST }, { " listed on ", REASON_BLOCKLIST },
    { " listed at ", REASON_BLOCKLIST }, { " listed by ", REASON_BLOCKLIST },

    /* Rate limits: Postfix anvil(8) ("too many connections"), Exim's ratelimit ACL, RFC 5321 452, the large providers' pages. */
    { "rate limit", REASON_RATELIMIT }, { "ratelimit", REASON_RATELIMIT }, { "rate-limit", REASON_RATELIMIT },
    { "too many", REASON_RATELIMIT }, { "too fast", REASON_RATELIMIT }, { "too much mail", REASON_RATELIMIT },
    { "throttl", REASON_RATELIMIT }, { "unusual rate", REASON_RATELIMIT }, { "unexpected volume", REASON_RATELIMIT },
    { "sending rate", REASON_RATELIMIT }, { "message rate", REASON_RATELIMIT }, { "connection rate", REASON_RATELIMIT },
    { "limit exceeded", REASON_RATELIMIT }, { "exceeded the maximum number", REASON_RATELIMIT },
    { "concurrent connections", REASON_RATELIMIT }, { "server busy", REASON_RATELIMIT },
    { "slow down", REASON_RATELIMIT }, { "rate of mail", REASON_RATELIMIT }, { "concurrency limit", REASON_RATELIMIT },
    { "sending quota", REASON_RATELIMIT }, { "sending limit", REASON_RATELIMIT }, { "daily quota", REASON_RATELIMIT },
    { "hourly quota", REASON_RATELIMIT }, { "message quota", REASON_RATELIMIT },

    /* Space: RFC 5321 452 and 552, RFC 3463 x.2.2 and x.3.1, Dovecot's and Cyrus' over-quota replies. */
    { "quota", REASON_FULL }, { "exceeded storage", REASON_FULL },
    { "exceeded its storage", REASON_FULL },
    { "out of storage", REASON_FULL }, { "mailbox full", REASON_FULL }, { "mailbox is full", REASON_FULL },
    { "inbox full", REASON_FULL }, { "inbox is full", REASON_FULL }, { "insufficient system storage", REASON_FULL },
    { "insufficient storage", REASON_FULL }, { "insufficient disk", REASON_FULL }, { "insufficient space", REASON_FULL },
    { "disk full", REASON_FULL }, { "no space left", REASON_FULL },
    { "low on space", REASON_FULL }, { "not enough space", REASON_FULL }, { "enough disk space", REASON_FULL },
    { "mailbox size limit", REASON_FULL },

    /* Who we are: SMTP AUTH (RFC 4954 530, 535), SPF, DKIM and DMARC (RFC 7372, RFC 7489). */
    { "authentication failed", REASON_AUTH }, { "authentication required", REASON_AUTH },
    { "authentication is required", REASON_AUTH }, { "authentication credentials", REASON_AUTH },
    { "authentication failure", REASON_AUTH }, { "authentication unsuccessful", REASON_AUTH },
    { "must authenticate", REASON_AUTH }, { "not authenticated", REASON_AUTH }, { "unauthenticated", REASON_AUTH },
    { "auth required", REASON_AUTH }, { "sasl ", REASON_AUTH }, { " spf ", REASON_AUTH },
    { " dkim", REASON_AUTH }, { "dmarc", REASON_AUTH }, { "sender policy framework", REASON_AUTH },

    /* Names: Postfix smtp(8), Exim's dnslookup router, Sendmail's "Name server: …: host name lookup failure". */
    { "host or domain name not found", REASON_DNS }, { "name service error", REASON_DNS },
    { "host not found", REASON_DNS }, { "domain not found", REASON_DNS }, { "host lookup", REASON_DNS },
    { "host name lookup failure", REASON_DNS }, { "hostname lookup", REASON_DNS }, { "name server", REASON_DNS },
    { "name or service not known", REASON_DNS }, { "name resolution", REASON_DNS }, { "could not resolve", REASON_DNS },
    { "cannot resolve", REASON_DNS }, { "not resolve", REASON_DNS }, { "unable to resolve", REASON_DNS },
    { "dns lookup", REASON_DNS }, { "dns error", REASON_DNS }, { "dns server", REASON_DNS }, { "nxdomain", REASON_DNS },
    { "servfail", REASON_DNS }, { "mx record", REASON_DNS }, { "mx lookup", REASON_DNS }, { "non-existent host", REASON_DNS },
    { "cannot find your hostname", REASON_DNS }, { "reverse hostname", REASON_DNS }, { "reverse dns", REASON_DNS },
    { "no such domain", REASON_DNS }, { "nullmx", REASON_DNS }, { "lookup failure", REASON_DNS },
    { "lookup of host", REASON_DNS },       /* Exim's manualroute: lookup of host "NAME" failed in dns router */

    /* No answer: strerror(ETIMEDOUT), Postfix "conversation with … timed out", Exim "SMTP timeout after …". */
    { "timed out", REASON_TIMEOUT }, { "timeout", REASON_TIMEOUT }, { "time-out", REASON_TIMEOUT },
    { "timed-out", REASON_TIMEOUT }, { "no answer from", REASON_TIMEOUT }, { "not responding", REASON_TIMEOUT },

    /* No way in, or the line cut: strerror() of the connect errors, Postfix "lost connection with …". */
    { "connection refused", REASON_REFUSED }, { "refused by", REASON_REFUSED }, { "no route to host", REASON_REFUSED },
    { "network is unreachable", REASON_REFUSED }, { "network unreachable", REASON_REFUSED },
    { "host is unreachable", REASON_REFUSED }, { "connection reset", REASON_REFUSED },
    { "lost connection", REASON_REFUSED }, { "broken pipe", REASON_REFUSED }, { "refused to talk", REASON_REFUSED },
    { "closed connection", REASON_REFUSED }, { "connection closed", REASON_REFUSED }, { "connection dropped", REASON_REFUSED },
    { "remote host closed", REASON_REFUSED }, { "server dropped connection", REASON_REFUSED },

    /* What a server does not want: Postfix access(5), Exim ACLs, content filters. */
    { "blocked", REASON_BLOCKLIST }, { "relay access denied", REASON_POLICY }, { "relaying denied", REASON_POLICY },
    { "relay not permitted", REASON_POLICY }, { "relaying not allowed", REASON_POLICY }, { "access denied", REASON_POLICY },
    { "access rejected", REASON_POLICY }, { "administrative prohibition", REASON_POLICY }, { "policy", REASON_POLICY },
    { "rejected due to content", REASON_POLICY }, { " spam", REASON_POLICY }, { "unsolicited", REASON_POLICY },
    { "virus", REASON_POLICY }, { "message rejected", REASON_POLICY }, { "not permitted", REASON_POLICY },
    { "tls is required", REASON_POLICY },
    { "certificate verif", REASON_POLICY }, { "not trusted", REASON_POLICY },
};

/* --- the class by code --- */

/* RFC 3463 and the registry of enhanced status codes (IANA; RFC 4954, 7372, 7505, 8689): subject and detail. */
static const struct code_rule {
    const char *code;
    enum reason_class class;
} codes[] = {
    { "2.2", REASON_FULL }, { "3.1", REASON_FULL },
    { "1.2", REASON_DNS }, { "1.10", REASON_DNS }, { "4.3", REASON_DNS }, { "4.4", REASON_DNS }, { "7.25", REASON_DNS },
    { "4.1", REASON_TIMEOUT }, { "4.7", REASON_TIMEOUT },
    { "4.2", REASON_REFUSED },
    { "3.2", REASON_RATELIMIT }, { "4.5", REASON_RATELIMIT }, { "5.3", REASON_RATELIMIT }, { "7.28", REASON_RATELIMIT },
    { "7.8", REASON_AUTH }, { "7.9", REASON_AUTH }, { "7.11", REASON_AUTH }, { "7.12", REASON_AUTH }, { "7.13", REASON_AUTH },
    { "7.14", REASON_AUTH }, { "7.20", REASON_AUTH }, { "7.21", REASON_AUTH }, { "7.22", REASON_AUTH },
    { "7.23", REASON_AUTH }, { "7.24", REASON_AUTH }, { "7.26", REASON_AUTH },
};

static enum reason_class class_of_code(struct bytes code)
{
    if (code.n == 0 || code.p[0] == '2')
        return REASON_OTHER;
    code = bytes_skip(code, 2);
    for (size_t i = 0; i < sizeof(codes) / sizeof(*codes); i++)
        if (bytes_eq(code, bytes_from(codes[i].code, strlen(codes[i].code))))
            return codes[i].class;
    return bytes_start(code, BYTES("7.")) ? REASON_POLICY : REASON_OTHER;
}

/* --- */

enum { LOOKED_AT = 1000 };      /* bytes of a reason; what comes later is small print and addresses of help pages */

/*
 * Lower case on one line, punctuation made blank, a blank before and behind. Mail addresses are left out: they are anybody's
 * words (timeout@example.com), not the server's. Host names stay, those of block lists among them.
 */
static void simplify(struct bytes text, char out[LOOKED_AT + 3])
{
    size_t n = 0, word = 1;         /* where the present word began */
    bool address = false;

    out[n++] = ' ';
    for (size_t i = 0; i < text.n && i < LOOKED_AT; i++) {
        unsigned char c = text.p[i];

        if (c == '@') {
            n = word;
            address = true;
        } else if (c <= ' ' || strchr("()[]<>\",;:", c)) {
            out[n++] = ' ';
            word = n;
            address = false;
        } else if (!address) {
            out[n++] = (char)ascii_lower(c);
        }
    }
    out[n++] = ' ';
    out[n] = 0;
}

enum reason_class reason_classify(struct bytes text)
{
    char simple[LOOKED_AT + 3];

    simplify(text, simple);
    for (size_t i = 0; i < sizeof(rules) / sizeof(*rules); i++)
        if (strstr(simple, rules[i].words))
            return rules[i].class;
    return class_of_code(reason_dsn_code(text));
}
