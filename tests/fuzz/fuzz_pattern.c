/*
 * Any text as each thing that an administrator types (first part, up to a NUL), and any bytes as what it is held against (the
 * rest): patterns, networks, units; addresses and delay reasons. What must hold is said where it is checked.
 */
#include <stdio.h>
#include <stdlib.h>

#include "addr.h"
#include "pattern.h"
#include "reason.h"
#include "units.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void patterns(const char *text, struct bytes subject)
{
    struct pattern_scratch scratch = { 0 };

    for (int kind = PATTERN_ADDRESS; kind <= PATTERN_TEXT; kind++) {
        struct pattern *p;
        struct lq_error err = { 0 };

        if (pattern_compile(&p, (enum pattern_kind)kind, text, &err) != LQ_OK) {
            if (!err.text[0])
                abort();
            continue;
        }
        pattern_match(p, subject, &scratch);
        pattern_free(p);
    }
    pattern_scratch_done(&scratch);
}

/* Command lines that we print select by =TEXT: it must take exactly what it was made of. */
static void literal(const char *text)
{
    struct pattern_scratch scratch = { 0 };
    struct bytes self = bytes_from(text, strlen(text));
    struct pattern *p;
    char *pattern;

    if (self.n == 0 || asprintf(&pattern, "=%s", text) < 0)
        return;
    for (int kind = PATTERN_ADDRESS; kind <= PATTERN_TEXT; kind++) {
        if (pattern_compile(&p, (enum pattern_kind)kind, pattern, NULL) != LQ_OK || !pattern_exact(p) ||
            pattern_match(p, self, &scratch) != PATTERN_YES ||
            pattern_match(p, bytes_skip(self, 1), &scratch) != PATTERN_NO)
            abort();
        pattern_free(p);
    }
    free(pattern);
    pattern_scratch_done(&scratch);
}

/* Quoting may not change where the domain begins. */
static void addresses(struct bytes internal)
{
    const unsigned char *at = internal.n ? memrchr(internal.p, '@', internal.n) : NULL;
    struct bytes domain = { at ? at + 1 : internal.p, at ? (size_t)(internal.p + internal.n - at - 1) : 0 };
    struct buf quoted = { 0 };

    addr_domain(internal);
    addr_quote(internal, &quoted);
    if (quoted.n > 0 && !bytes_eq(addr_domain(bytes_from(quoted.p, quoted.n)), domain))
        abort();
    buf_done(&quoted);
}

static void networks(const char *text, struct bytes subject)
{
    struct netset *set;
    struct ip ip, again;
    char out[IP_TEXT_MAX], net[64];

    if (!ip_parse(subject, &ip))
        memcpy(ip.b, "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1", 16);
    if (subject.n >= 16)
        memcpy(ip.b, subject.p, 16);
    if (!ip_parse(bytes_from(out, ip_format(&ip, out)), &again) || memcmp(&ip, &again, sizeof(ip)) != 0)
        abort();
    ip_network(&ip, subject.n & 63, subject.n & 255, net);
    /* The network of an address has it. */
    if (netset_parse(&set, net, NULL) != LQ_OK || !netset_has(set, &ip))
        abort();
    netset_free(set);
    if (netset_parse(&set, text, NULL) == LQ_OK) {
        netset_has(set, &ip);
        netset_free(set);
    }
}

static void units(const char *text)
{
    struct range r;
    int64_t v;

    if (units_size(&r, text, NULL) == LQ_OK && r.low > r.high)
        abort();
    if (units_count(&r, text, NULL) == LQ_OK && r.low > r.high)
        abort();
    if (units_age(&v, text, NULL) == LQ_OK && v < 0)
        abort();
    units_time(&v, text, NULL);
}

static void reasons(struct bytes text)
{
    struct bytes code = reason_dsn_code(text);

    if (reason_classify(text) >= REASON_COUNT || (code.n > 0 && (code.n < 5 || code.n > 9)))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t n = bytes_find((struct bytes){ data, size }, 0);
    struct bytes subject = bytes_skip((struct bytes){ data, size }, n + 1);
    char *text = strndup((const char *)data, n);

    if (!text)
        return 0;
    patterns(text, subject);
    literal(text);
    addresses(subject);
    networks(text, subject);
    units(text);
    reasons(subject);
    free(text);
    return 0;
}
