/*
 * Delay reasons: the enhanced status code inside one, and its class. Knows the words of mail servers, and no queue.
 *
 * A reason is a sentence of the local MTA, often with the remote server's reply inside. Words are asked first, because
 * servers say what they mean there and use one code for many things; the code decides what words did not. The words, each with the
 * document that has it, are in reason_rules.h.
 */
#include "reason_rules.h"

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

/* "421-4.7.28", "550", "5.7.1": a reply of several lines has one wherever a line began, in the middle of what it says. */
static bool is_reply_code(struct bytes word)
{
    if (word.n >= 3 && (word.p[0] == '4' || word.p[0] == '5') && is_digit(word.p[1]) && is_digit(word.p[2])) {
        word = bytes_skip(word, 3);
        if (word.n > 0 && word.p[0] == '-')
            word = bytes_skip(word, 1);
        if (word.n == 0)
            return true;
    }
    return code_length(word, 0) == word.n;
}

/*
 * Lower case on one line, punctuation and runs of blanks made one blank, a blank before and behind. Mail addresses are left out: they are
 * anybody's words (timeout@example.com), not the server's. Reply codes are left out, too. Host names stay, those of block lists among them.
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
            if (is_reply_code(bytes_from(out + word, n - word)))
                n = word;
            if (out[n - 1] != ' ')
                out[n++] = ' ';
            word = n;
            address = false;
        } else if (!address) {
            out[n++] = (char)ascii_lower(c);
        }
    }
    if (out[n - 1] != ' ')
        out[n++] = ' ';
    out[n] = 0;
}

/* Which pairs of neighbours a text has: most rules can be told from that alone, and there are many rules. */
enum { PAIR_BITS = 4096 };

static unsigned pair(const char *p)
{
    return ((unsigned char)p[0] * 67u + (unsigned char)p[1]) % PAIR_BITS;
}

static void note_pairs(const char *text, uint64_t set[PAIR_BITS / 64])
{
    memset(set, 0, PAIR_BITS / 8);
    for (; text[0] && text[1]; text++)
        set[pair(text) / 64] |= UINT64_C(1) << pair(text) % 64;
}

static bool may_hold(const uint64_t set[PAIR_BITS / 64], const char *words)
{
    for (; words[0] && words[1]; words++)
        if (!(set[pair(words) / 64] >> pair(words) % 64 & 1))
            return false;
    return true;
}

const struct reason_rule *reason_rule_of(struct bytes text)
{
    char simple[LOOKED_AT + 3];
    uint64_t set[PAIR_BITS / 64];

    simplify(text, simple);
    note_pairs(simple, set);
    for (size_t i = 0; i < sizeof(rules) / sizeof(*rules); i++)
        if (may_hold(set, rules[i].words) && strstr(simple, rules[i].words))
            return &rules[i];
    return NULL;
}

const struct reason_rule *reason_rule_at(size_t i)
{
    return i < sizeof(rules) / sizeof(*rules) ? &rules[i] : NULL;
}

const char *reason_source(const struct reason_rule *rule)
{
    return sources[rule->source];
}

enum reason_class reason_classify(struct bytes text)
{
    const struct reason_rule *rule = reason_rule_of(text);

    return rule ? rule->class : class_of_code(reason_dsn_code(text));
}
