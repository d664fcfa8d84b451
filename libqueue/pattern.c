/*
 * Patterns of the selection language: what a text means (product names: =TEXT, /re/, @dom, globs), compiled once, matched by
 * several threads. Knows what an address is made of, not which field it came from. The only user of PCRE2.
 */
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdlib.h>

#include "addr.h"
#include "pattern.h"

/* A pattern of a careless or hostile administrator's pipe against a stranger's text: none may take the machine. */
enum {
    MATCH_LIMIT = 200000,
    BODY_LIMIT = 5000000,       /* a text of 4 MiB is looked at from each of its bytes */
    DEPTH_LIMIT = 20000,
    HEAP_LIMIT_KIB = 4096
};

enum form {
    FORM_EXACT,         /* the whole text is this */
    FORM_GLOB,          /* the whole text fits this */
    FORM_DOMAIN,        /* @dom: the domain fits this */
    FORM_BELOW,         /* @.dom: the domain, or one below it, fits this */
    FORM_NULL,          /* <> */
    FORM_REGEX
};

/* A glob is a row of these. */
enum step_kind { STEP_CHAR, STEP_ANY_CHAR, STEP_ANY_TEXT };

struct step {
    unsigned char kind;
    unsigned char c;    /* lower case */
};

struct pattern {
    enum form form;
    bool before_realm;          /* also what stands before the subject's last @ */
    bool named;                 /* one text exactly: pattern_exact() */
    struct step *steps;
    size_t n;
    pcre2_code *code;
    pcre2_match_context *limits;
};

/* --- compiling --- */

static int refuse_anchor(const char *text, struct lq_error *err)
{
    return error_set(err, LQ_EINVAL, "'%.300s' looks like a regular expression; type it as '/%.300s/', or '=%.300s' for "
                     "exactly this text.", text, text, text);
}

/* An unescaped character at the end of text: not preceded by an odd number of backslashes. */
static bool ends_with(const char *text, size_t n, char c)
{
    size_t slashes = 0;

    if (n == 0 || text[n - 1] != c)
        return false;
    while (slashes < n - 1 && text[n - 2 - slashes] == '\\')
        slashes++;
    return slashes % 2 == 0;
}

/* Backslashes of a glob taken out, * and ? given their meaning; all of them letters when literal. */
static int compile_steps(struct pattern *p, const char *text, bool literal, struct lq_error *err)
{
    size_t n = strlen(text);

    p->steps = calloc(n + 1, sizeof(*p->steps));
    if (!p->steps)
        return error_memory(err);
    for (size_t i = 0; i < n; i++) {
        char c = text[i];
        enum step_kind kind = STEP_CHAR;

        if (!literal && c == '\\') {
            if (i + 1 == n)
                return error_set(err, LQ_EINVAL, "'%.300s' ends with a backslash that escapes nothing; type \\\\ for a "
                                 "backslash.", text);
            c = text[++i];
        } else if (!literal && c == '*') {
            kind = STEP_ANY_TEXT;
        } else if (!literal && c == '?') {
            kind = STEP_ANY_CHAR;
        }
        /* Two stars are one, and cost as one. */
        if (kind == STEP_ANY_TEXT && p->n > 0 && p->steps[p->n - 1].kind == STEP_ANY_TEXT)
            continue;
        p->steps[p->n++] = (struct step){ (unsigned char)kind, ascii_lower((unsigned char)c) };
    }
    return LQ_OK;
}

static bool has_wildcard(const struct pattern *p)
{
    for (size_t i = 0; i < p->n; i++)
        if (p->steps[i].kind != STEP_CHAR)
            return true;
    return false;
}

static int compile_literal(struct pattern *p, const char *text, enum pattern_kind kind, struct lq_error *err)
{
    if (text[1] == 0)
        return error_set(err, LQ_EINVAL, "'=' needs the text behind it%s.",
                         kind == PATTERN_ADDRESS ? "; the null sender is '<>'" : "; an empty one is '/^$/'");
    p->form = FORM_EXACT;
    p->named = true;
    return compile_steps(p, text + 1, true, err);
}

static int compile_regex(struct pattern *p, const char *text, enum pattern_kind kind, struct lq_error *err)
{
    size_t n = strlen(text);
    PCRE2_UCHAR message[200];
    uint32_t lines = kind == PATTERN_BODY ? PCRE2_MULTILINE : 0;
    PCRE2_SIZE at;
    int code;

    if (n < 2 || !ends_with(text + 1, n - 1, '/'))
        return error_set(err, LQ_EINVAL, "'%.300s' begins like a regular expression but does not end with '/'; type '=%.300s' for "
                         "exactly this text, or '\\%.300s' for a pattern with * and ?.", text, text, text);
    if (n == 2)
        return error_set(err, LQ_EINVAL, "'//' is an empty regular expression; it would fit everything.");
    p->form = FORM_REGEX;
    p->limits = pcre2_match_context_create(NULL);
    p->code = pcre2_compile((PCRE2_SPTR)text + 1, n - 2,
                            PCRE2_CASELESS | PCRE2_UTF | PCRE2_MATCH_INVALID_UTF | PCRE2_NEVER_BACKSLASH_C | lines, &code, &at, NULL);
    if (!p->limits)
        return error_memory(err);
    if (!p->code) {
        pcre2_get_error_message(code, message, sizeof(message));
        return error_set(err, LQ_EINVAL, "bad regular expression %.300s: %s at character %zu.", text, (char *)message, at + 1);
    }
    pcre2_set_match_limit(p->limits, kind == PATTERN_BODY ? BODY_LIMIT : MATCH_LIMIT);
    pcre2_set_depth_limit(p->limits, DEPTH_LIMIT);
    pcre2_set_heap_limit(p->limits, HEAP_LIMIT_KIB);
    /* Without a just-in-time compiler the interpreter does the same, slower. */
    pcre2_jit_compile(p->code, PCRE2_JIT_COMPLETE);
    return LQ_OK;
}

static int compile_domain(struct pattern *p, const char *text, struct lq_error *err)
{
    bool below = text[1] == '.';
    const char *domain = text + 1 + below;

    if (domain[0] == 0)
        return error_set(err, LQ_EINVAL, "'%s' names no domain.", text);
    p->form = below ? FORM_BELOW : FORM_DOMAIN;
    return compile_steps(p, domain, false, err);
}

static int compile_glob(struct pattern *p, const char *text, enum pattern_kind kind, struct lq_error *err)
{
    size_t n = strlen(text);

    if (text[0] == '^' || ends_with(text, n, '$'))
        return refuse_anchor(text, err);
    if (text[0] == '@' && (kind == PATTERN_ADDRESS || kind == PATTERN_USER))
        return compile_domain(p, text, err);
    p->before_realm = kind == PATTERN_USER && !strchr(text, '@');
    int rc = compile_steps(p, text, false, err);
    p->form = has_wildcard(p) ? FORM_GLOB : FORM_EXACT;
    p->named = p->form == FORM_EXACT;
    return rc;
}

static int compile(struct pattern *p, enum pattern_kind kind, const char *text, struct lq_error *err)
{
    if (text[0] == 0)
        return error_set(err, LQ_EINVAL, "an empty pattern selects nothing%s.",
                         kind == PATTERN_ADDRESS ? "; the null sender is '<>'" : "");
    if (text[0] == '=')
        return compile_literal(p, text, kind, err);
    if (text[0] == '/')
        return compile_regex(p, text, kind, err);
    if (kind == PATTERN_ADDRESS && strcmp(text, "<>") == 0) {
        p->form = FORM_NULL;
        return LQ_OK;
    }
    return compile_glob(p, text, kind, err);
}

int pattern_compile(struct pattern **out, enum pattern_kind kind, const char *text, struct lq_error *err)
{
    struct pattern *p = calloc(1, sizeof(*p));
    int rc = p ? compile(p, kind, text, err) : error_memory(err);

    if (rc != LQ_OK) {
        pattern_free(p);
        return rc;
    }
    *out = p;
    return LQ_OK;
}

bool pattern_exact(const struct pattern *p)
{
    return p->named;
}

void pattern_free(struct pattern *p)
{
    if (!p)
        return;
    free(p->steps);
    pcre2_code_free(p->code);
    pcre2_match_context_free(p->limits);
    free(p);
}

/* --- matching --- */

/* Bytes of one character for '?': a lead byte with the bytes that continue it, anything else alone. */
static size_t character(struct bytes s, size_t at)
{
    size_t most = s.p[at] >= 0xf0 ? 4 : s.p[at] >= 0xe0 ? 3 : s.p[at] >= 0xc2 ? 2 : 1, n = 1;

    while (n < most && at + n < s.n && (s.p[at + n] & 0xc0) == 0x80)
        n++;
    return n;
}

/*
 * The whole subject fits the steps. When something does not fit, only the last star is asked to take one byte more: an
 * earlier star can never do better, so the work is at most length x length, never exponential.
 */
static bool match_steps(const struct pattern *p, struct bytes s)
{
    size_t i = 0, at = 0, star = p->n, star_at = 0;

    while (at < s.n) {
        if (i < p->n && p->steps[i].kind == STEP_ANY_TEXT) {
            star = i++;
            star_at = at;
        } else if (i < p->n && p->steps[i].kind == STEP_ANY_CHAR) {
            at += character(s, at);
            i++;
        } else if (i < p->n && p->steps[i].c == ascii_lower(s.p[at])) {
            at++;
            i++;
        } else if (star < p->n) {
            at = ++star_at;
            i = star + 1;
        } else {
            return false;
        }
    }
    while (i < p->n && p->steps[i].kind == STEP_ANY_TEXT)
        i++;
    return i == p->n;
}

/* No longer name is a domain (RFC 1035: 255); without this bound a name of 64 KiB of dots would be matched 64 Ki times. */
enum { DOMAIN_MAX = 1024 };

/* The domain fits, or what is left of it behind one of its dots. */
static bool match_below(const struct pattern *p, struct bytes domain)
{
    for (;;) {
        size_t dot = bytes_find(domain, '.');

        if (domain.n <= DOMAIN_MAX && match_steps(p, domain))
            return true;
        if (dot == domain.n)
            return false;
        domain = bytes_skip(domain, dot + 1);
    }
}

static enum pattern_result match_regex(const struct pattern *p, struct bytes s, struct pattern_scratch *scratch)
{
    PCRE2_SPTR text = s.n ? s.p : (PCRE2_SPTR)"";
    int rc;

    if (!scratch->match_data)
        scratch->match_data = pcre2_match_data_create(1, NULL);
    if (!scratch->match_data)
        return PATTERN_LIMIT;
    rc = pcre2_match(p->code, text, s.n, 0, 0, scratch->match_data, p->limits);
    /* The just-in-time code has a small stack of its own; the interpreter has the limits above. */
    if (rc == PCRE2_ERROR_JIT_STACKLIMIT)
        rc = pcre2_match(p->code, text, s.n, 0, PCRE2_NO_JIT, scratch->match_data, p->limits);
    return rc >= 0 ? PATTERN_YES : rc == PCRE2_ERROR_NOMATCH ? PATTERN_NO : PATTERN_LIMIT;
}

static bool match_realm(const struct pattern *p, struct bytes s)
{
    const unsigned char *at = s.n ? memrchr(s.p, '@', s.n) : NULL;

    return at && match_steps(p, (struct bytes){ s.p, (size_t)(at - s.p) });
}

enum pattern_result pattern_match(const struct pattern *p, struct bytes subject, struct pattern_scratch *scratch)
{
    struct bytes domain;
    bool fits = false;

    switch (p->form) {
    case FORM_REGEX:
        return match_regex(p, subject, scratch);
    case FORM_NULL:
        fits = subject.n == 0;
        break;
    case FORM_DOMAIN:
    case FORM_BELOW:
        domain = addr_domain(subject);
        fits = domain.n > 0 && (p->form == FORM_BELOW ? match_below(p, domain) : match_steps(p, domain));
        break;
    case FORM_EXACT:
    case FORM_GLOB:
        fits = match_steps(p, subject) || (p->before_realm && match_realm(p, subject));
        break;
    }
    return fits ? PATTERN_YES : PATTERN_NO;
}

void pattern_scratch_done(struct pattern_scratch *scratch)
{
    pcre2_match_data_free(scratch->match_data);
    scratch->match_data = NULL;
}
