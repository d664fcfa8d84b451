/*
 * Received header fields and their dates (RFC 5321 section 4.4, RFC 5322 section 3.3) as mail servers write them.
 * Knows the dialects of the servers; where a field begins and ends is header.c's.
 *
 * A field is read once, as clauses (from, by, with, id …) of words and comments; then what stands behind "from" is given
 * its meaning, which depends on who wrote it:
 *
 *     Postfix, Sendmail, RFC 5321    from HELO (NAME [ADDR])             NAME verified by the writer
 *     Exim                           from NAME ([ADDR] helo=HELO)        or from [ADDR] (helo=HELO)
 *     qmail and its kin              from NAME (HELO HELO) (ADDR)
 *     Exchange                       from HELO (ADDR)
 */
#include "addr.h"
#include "header.h"

enum { PROTOCOL_MAX = 64 };

/* --- words and comments --- */

enum token_kind { TOKEN_END, TOKEN_WORD, TOKEN_COMMENT, TOKEN_SEMICOLON };

struct token {
    enum token_kind kind;
    struct bytes text;          /* of a comment: what is between its parentheses */
};

struct lexer {
    struct bytes rest;
    bool quotes_end, angles_end;    /* no closing " or > was found behind here: not looked for again */
};

static bool is_space(unsigned char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static struct bytes skip_space(struct bytes t)
{
    while (t.n > 0 && is_space(t.p[0]))
        t = bytes_skip(t, 1);
    return t;
}

/* Length of the comment that t begins with, both parentheses included; without an end it is all of t. */
static size_t comment_length(struct bytes t)
{
    size_t depth = 0;

    for (size_t i = 0; i < t.n; i++) {
        if (t.p[i] == '\\')
            i++;
        else if (t.p[i] == '(')
            depth++;
        else if (t.p[i] == ')' && --depth == 0)
            return i + 1;
    }
    return t.n;
}

/* Length of the quoted part that t begins with; 0 when it does not end. */
static size_t quoted_length(struct bytes t, unsigned char close, bool *never)
{
    for (size_t i = 1; i < t.n && !*never; i++) {
        if (t.p[i] == '\\')
            i++;
        else if (t.p[i] == close)
            return i + 1;
    }
    *never = true;
    return 0;
}

static size_t word_length(struct lexer *l)
{
    struct bytes t = l->rest;
    size_t i = 0;

    while (i < t.n && !is_space(t.p[i]) && t.p[i] != '(' && t.p[i] != ';') {
        size_t quoted = 0;

        if (t.p[i] == '"')
            quoted = quoted_length(bytes_skip(t, i), '"', &l->quotes_end);
        else if (t.p[i] == '<')
            quoted = quoted_length(bytes_skip(t, i), '>', &l->angles_end);
        i += quoted ? quoted : 1;
    }
    return i;
}

static struct token next_token(struct lexer *l)
{
    struct token t = { TOKEN_END, { NULL, 0 } };
    size_t n;

    l->rest = skip_space(l->rest);
    if (l->rest.n == 0)
        return t;
    if (l->rest.p[0] == ';') {
        t.kind = TOKEN_SEMICOLON;
        n = 1;
    } else if (l->rest.p[0] == '(') {
        t.kind = TOKEN_COMMENT;
        n = comment_length(l->rest);
        t.text = (struct bytes){ l->rest.p + 1, n > 1 ? n - 2 : 0 };
    } else {
        t.kind = TOKEN_WORD;
        n = word_length(l);
        t.text = (struct bytes){ l->rest.p, n };
    }
    l->rest = bytes_skip(l->rest, n);
    return t;
}

/* --- the clauses --- */

enum clause { NO_CLAUSE, FROM, BY, VIA, WITH, ID, FOR, TLS, DATE, CLAUSE_COUNT };

static const char *const clause_words[CLAUSE_COUNT] = {
    [FROM] = "from", [BY] = "by", [VIA] = "via", [WITH] = "with", [ID] = "id", [FOR] = "for", [TLS] = "tls",
};

struct parsed {
    struct bytes value[CLAUSE_COUNT];   /* the word behind each; p == NULL: no such clause */
    struct bytes name, helo;            /* from the comments behind "from": NAME of (NAME [ADDR]), HELO of (helo=HELO) */
    struct bytes submitter;             /* Sendmail's (from user@localhost) */
    struct bytes user;                  /* (Authenticated sender: USER), (SquirrelMail authenticated user USER) */
    struct ip ip;
    bool has_ip, forged, exim;
    bool named_first;                   /* the writer names HELO in a comment: the word behind "from" is the client's name */
    char protocol[PROTOCOL_MAX];        /* "Microsoft SMTP Server": several words */
    size_t protocol_len;
    int64_t time;
};

static enum clause find_clause(struct bytes word)
{
    for (enum clause c = FROM; c < DATE; c++)
        if (bytes_ieq(word, bytes_from(clause_words[c], strlen(clause_words[c]))))
            return c;
    return NO_CLAUSE;
}

/* "[192.0.2.1]", "[192.0.2.1]:4242", "192.0.2.1", "192.0.2.1:4242" (XMail), "ident@192.0.2.1" (qmail), "ident@[192.0.2.1]". */
static bool take_ip(struct parsed *p, struct bytes word)
{
    size_t at = bytes_find(word, '@'), close, colon;

    if (at < word.n)
        word = bytes_skip(word, at + 1);
    close = bytes_find(word, ']');
    colon = bytes_find(word, ':');
    if (close < word.n)
        word.n = close + 1;
    else if (colon < word.n && bytes_find(bytes_skip(word, colon + 1), ':') == word.n - colon - 1)
        word.n = colon;
    if (p->has_ip || !ip_parse(word, &p->ip))
        return false;
    p->has_ip = true;
    return true;
}

/* A host name that a server looked up: "unknown" and its kin are none. */
static struct bytes host_name(struct bytes name)
{
    static const struct bytes none[] = { BYTES("unknown"), BYTES("<unknown>"), BYTES("unverified"), BYTES("softdnserr") };
    size_t at = bytes_find(name, '@');

    if (at < name.n)        /* old Sendmail: IDENT:user@host */
        name = bytes_skip(name, at + 1);
    for (size_t i = 0; i < sizeof(none) / sizeof(*none); i++)
        if (bytes_ieq(name, none[i]))
            return (struct bytes){ NULL, 0 };
    if (name.n > 1 && name.p[name.n - 1] == '.')
        name.n--;
    return name;
}

static bool is_helo_word(struct bytes word)
{
    static const struct bytes helo = BYTES("HELO"), ehlo = BYTES("EHLO");

    return bytes_eq(word, helo) || bytes_eq(word, ehlo);
}

static bool has_helo_key(struct bytes word)
{
    static const struct bytes key = BYTES("helo=");

    return word.n > key.n && bytes_ieq((struct bytes){ word.p, key.n }, key);
}

/* One word of a comment behind "from": the words-th, after `last`. */
static void from_comment_word(struct parsed *p, struct bytes word, struct bytes last, size_t words)
{
    size_t bracket = bytes_find(word, '[');

    if (is_helo_word(last) || has_helo_key(word)) {
        if (!p->helo.p)
            p->helo = has_helo_key(word) ? bytes_skip(word, sizeof("helo=") - 1) : word;
    } else if (is_helo_word(word)) {
        p->named_first = true;
    } else if (words == 1 && bracket == 0) {
        if (take_ip(p, word))
            p->name = last;
    } else if (words == 0 && bracket > 0 && bracket < word.n && word.p[bracket - 1] != '@') {
        if (take_ip(p, bytes_skip(word, bracket)))      /* "name[192.0.2.1]", without a blank */
            p->name = (struct bytes){ word.p, bracket };
    } else if (words == 0 || bracket == 0) {
        take_ip(p, word);
    }
}

/* What a comment behind "from" says about the client. */
static void from_comment(struct parsed *p, struct bytes text)
{
    struct lexer l = { .rest = text };
    struct bytes last = { NULL, 0 };
    struct token t;
    size_t words = 0;

    while ((t = next_token(&l)).kind != TOKEN_END) {
        if (t.kind == TOKEN_COMMENT && bytes_ieq(t.text, BYTES("may be forged")))
            p->forged = true;
        if (t.kind != TOKEN_WORD)
            continue;
        while (t.text.n > 1 && t.text.p[t.text.n - 1] == ',')
            t.text.n--;
        from_comment_word(p, t.text, last, words++);
        last = t.text;
    }
}

static void add_protocol_word(struct parsed *p, struct bytes word)
{
    size_t need = word.n + (p->protocol_len > 0);

    if (need > sizeof(p->protocol) - p->protocol_len)
        return;
    if (p->protocol_len > 0)
        p->protocol[p->protocol_len++] = ' ';
    memcpy(p->protocol + p->protocol_len, word.p, word.n);
    p->protocol_len += word.n;
}

/*
 * The account that a comment names: Postfix with smtpd_sasl_authenticated_header, and webmail that writes a Received of its own
 * (SquirrelMail 1.4).
 */
static void take_user(struct parsed *p, struct bytes text)
{
    static const struct bytes before[] = { BYTES("Authenticated sender: "), BYTES("SquirrelMail authenticated user ") };

    for (size_t i = 0; i < sizeof(before) / sizeof(*before); i++)
        if (!p->user.p && bytes_start(text, before[i]))
            p->user = bytes_skip(text, before[i].n);
}

static void take_comment(struct parsed *p, enum clause clause, struct bytes text)
{
    static const struct bytes exim = BYTES("Exim "), from = BYTES("from ");

    if (bytes_start(text, exim)) {
        p->exim = true;
    } else if (clause == FROM) {
        if (!p->value[FROM].p)          /* "from ([192.0.2.1]) by …": no name comes any more */
            p->value[FROM] = (struct bytes){ text.p, 0 };
        take_user(p, text);
        from_comment(p, text);
    } else if (clause == NO_CLAUSE && bytes_start(text, from)) {
        p->submitter = bytes_skip(text, from.n);
    }
}

/*
 * A word's part in the sentence. The one behind "from" and "by" is a name whatever it is: a client may call itself "by".
 * Answers the clause that goes on behind the word.
 */
static enum clause take_word(struct parsed *p, enum clause clause, struct bytes word)
{
    bool awaited = clause != NO_CLAUSE && !p->value[clause].p;
    enum clause next = awaited && (clause == FROM || clause == BY) ? NO_CLAUSE : find_clause(word);

    if (next != NO_CLAUSE)
        return p->value[next].p ? NO_CLAUSE : next;
    if (awaited)
        p->value[clause] = word;
    else if (clause == FROM && !take_ip(p, word))
        p->value[FROM].n = 0;           /* "from mail pickup service": no name at all */
    if (clause == WITH)
        add_protocol_word(p, word);
    return clause;
}

static void parse_received(struct parsed *p, struct bytes value)
{
    struct lexer l = { .rest = value };
    enum clause clause = NO_CLAUSE;
    struct token t;

    while ((t = next_token(&l)).kind != TOKEN_END) {
        if (t.kind == TOKEN_SEMICOLON) {
            clause = DATE;
            p->value[DATE] = l.rest;
        } else if (t.kind == TOKEN_COMMENT) {
            take_comment(p, clause, t.text);
            if (clause == WITH && p->value[WITH].p)
                clause = NO_CLAUSE;
        } else if (clause != DATE) {
            clause = take_word(p, clause, t.text);
        }
    }
}

/* --- what it means --- */

/* Exim alone writes its protocols in lower case ("esmtpsa", "local"), also where received_header_text has no "(Exim …)". */
static bool is_exim_protocol(struct bytes with)
{
    for (size_t i = 0; i < with.n; i++)
        if (with.p[i] != ascii_lower(with.p[i]))
            return false;
    return with.n > 0 && (memmem(with.p, with.n, "smtp", 4) || bytes_start(with, BYTES("local")));
}

static struct lq_str copy(struct lq_record *r, struct bytes s)
{
    return s.n > 0 ? record_copy(r, s.p, s.n) : (struct lq_str){ NULL, 0 };
}

/* Whether the word behind "from" is an address. */
static bool is_literal(struct bytes first)
{
    return first.n > 0 && (first.p[0] == '[' || ip_parse(first, &(struct ip){ { 0 } }));
}

static void set_client(struct lq_record *r, struct parsed *p, struct lq_hop *hop)
{
    struct bytes first = p->value[FROM];
    bool told = p->has_ip, literal = is_literal(first);

    if (literal)
        take_ip(p, first);
    if (p->helo.p || p->named_first || p->exim) {
        /* Exim leaves helo= out where it would only repeat the name or the address: it is not known which. */
        hop->helo = copy(r, p->helo);
        hop->from = literal ? (struct lq_str){ NULL, 0 } : copy(r, host_name(first));
    } else if (told || !literal) {
        hop->helo = copy(r, first);
        if (!p->forged)
            hop->from = copy(r, host_name(p->name));
    }
    if (p->submitter.p)
        hop->from = copy(r, p->submitter);
}

void header_received(struct lq_record *r, struct bytes value, struct lq_hop *hop)
{
    struct parsed p = { .time = 0 };
    char address[IP_TEXT_MAX];

    parse_received(&p, value);
    p.exim = p.exim || is_exim_protocol(p.value[WITH]);
    set_client(r, &p, hop);
    hop->by = copy(r, p.value[BY]);
    hop->id = copy(r, p.value[ID]);
    hop->with = copy(r, bytes_from(p.protocol, p.protocol_len));
    if (p.has_ip)
        hop->address = copy(r, bytes_from(address, ip_format(&p.ip, address)));
    if (p.value[DATE].p)
        header_date(p.value[DATE], &hop->time);
}

void header_hop(struct bytes value, struct hop *hop)
{
    struct parsed p = { .time = 0 };

    parse_received(&p, value);
    if (is_literal(p.value[FROM]))
        take_ip(&p, p.value[FROM]);
    *hop = (struct hop){ .id = p.value[ID], .user = p.user, .ip = p.ip, .has_ip = p.has_ip };
}

/* --- dates --- */

static struct bytes skip_cfws(struct bytes t)
{
    for (;;) {
        t = skip_space(t);
        if (t.n == 0 || t.p[0] != '(')
            return t;
        t = bytes_skip(t, comment_length(t));
    }
}

/* A number of at most `most` digits, then white space and comments; *digits is how many there were. */
static bool take_digits(struct bytes *t, size_t most, int *out, size_t *digits)
{
    struct bytes rest = *t;
    int64_t v;

    if (!bytes_take_number(&rest, &v) || t->n - rest.n > most)
        return false;
    *digits = t->n - rest.n;
    *t = skip_cfws(rest);
    *out = (int)v;
    return true;
}

static bool take_mark(struct bytes *t, char mark)
{
    if (t->n == 0 || t->p[0] != (unsigned char)mark)
        return false;
    *t = skip_cfws(bytes_skip(*t, 1));
    return true;
}

static struct bytes take_letters(struct bytes *t)
{
    struct bytes word = { t->p, 0 };

    while (word.n < t->n && ascii_lower(t->p[word.n]) >= 'a' && ascii_lower(t->p[word.n]) <= 'z')
        word.n++;
    *t = skip_cfws(bytes_skip(*t, word.n));
    return word;
}

/* 1 to 12; 0 for what is no month. */
static int month_number(struct bytes word)
{
    static const char names[] = "janfebmaraprmayjunjulaugsepoctnovdec";

    if (word.n != 3)
        return 0;
    for (int m = 0; m < 12; m++)
        if (bytes_ieq(word, bytes_from(names + (size_t)m * 3, 3)))
            return m + 1;
    return 0;
}

/* RFC 5322, 4.3: two digits below 50 are of this century, three count from 1900. */
static int full_year(int year, size_t digits)
{
    if (digits == 2 && year < 50)
        return year + 2000;
    return digits < 4 ? year + 1900 : year;
}

static int days_in_month(int year, int month)
{
    static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

    return days[month - 1] + (leap && month == 2);
}

/* Days from 1970-01-01 in the Gregorian calendar: years begin in March, so that the leap day is the last of one. */
static int64_t days_since_epoch(int year, int month, int day)
{
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t months = month <= 2 ? month + 9 : month - 3;

    return y * 365 + y / 4 - y / 100 + y / 400 + (months * 153 + 2) / 5 + day - 1 - 719468;
}

/* Seconds east of Greenwich. Names but the American ones, and no zone at all, mean UTC (RFC 5322, 4.3: "-0000"). */
static bool take_zone(struct bytes *t, int *out)
{
    static const struct { struct bytes name; int hours; } zones[] = {
        { BYTES("EST"), -5 }, { BYTES("EDT"), -4 }, { BYTES("CST"), -6 }, { BYTES("CDT"), -5 },
        { BYTES("MST"), -7 }, { BYTES("MDT"), -6 }, { BYTES("PST"), -8 }, { BYTES("PDT"), -7 },
    };
    struct bytes word;
    bool west = t->n > 0 && t->p[0] == '-';
    size_t digits;
    int v;

    *out = 0;
    if (west || (t->n > 0 && t->p[0] == '+')) {
        *t = bytes_skip(*t, 1);
        if (!take_digits(t, 4, &v, &digits) || digits != 4 || v % 100 > 59)
            return false;
        *out = (v / 100 * 3600 + v % 100 * 60) * (west ? -1 : 1);
        return true;
    }
    word = take_letters(t);
    for (size_t i = 0; i < sizeof(zones) / sizeof(*zones); i++)
        if (bytes_ieq(word, zones[i].name))
            *out = zones[i].hours * 3600;
    return true;
}

static bool take_clock(struct bytes *t, int *seconds)
{
    int hour, minute, second = 0;
    size_t digits;

    if (!take_digits(t, 2, &hour, &digits) || !take_mark(t, ':') || !take_digits(t, 2, &minute, &digits))
        return false;
    if (take_mark(t, ':') && !take_digits(t, 2, &second, &digits))
        return false;
    *seconds = hour * 3600 + minute * 60 + second;
    return hour < 24 && minute < 60 && second <= 60;
}

bool header_date(struct bytes text, int64_t *out)
{
    struct bytes t = skip_cfws(text);
    int day, month, year, seconds, zone;
    size_t digits;

    take_letters(&t);
    take_mark(&t, ',');
    if (!take_digits(&t, 2, &day, &digits))
        return false;
    month = month_number(take_letters(&t));
    if (month == 0 || !take_digits(&t, 4, &year, &digits) || digits < 2)
        return false;
    year = full_year(year, digits);
    if (day < 1 || day > days_in_month(year, month) || !take_clock(&t, &seconds) || !take_zone(&t, &zone))
        return false;
    *out = days_since_epoch(year, month, day) * 86400 + seconds - zone;
    return true;
}
