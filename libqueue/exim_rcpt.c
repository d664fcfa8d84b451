/*
 * A recipient's line in Exim's -H: ADDR, and behind it what four generations of Exim wrote. Its end
 * tells which.
 */
#include "exim.h"

/* Cut " TEXT LEN,VALUE" off the end, TEXT being LEN bytes long: a block of the Exim 4 form. */
static bool cut_block(struct bytes *line, struct bytes *text, int64_t *value)
{
    struct bytes numbers;
    int64_t len;
    size_t n = line->n;

    while (n > 0 && (exim_digit(line->p[n - 1]) || line->p[n - 1] == ',' || line->p[n - 1] == '-'))
        n--;
    numbers = bytes_skip(*line, n);
    if (n == 0 || line->p[n - 1] != ' ' || !bytes_take_number(&numbers, &len) || numbers.n == 0 || numbers.p[0] != ',' ||
        !bytes_number(bytes_skip(numbers, 1), value))
        return false;
    n--;
    /* One blank must be left before the text, and an address before that. */
    if ((uint64_t)len + 2 > n || line->p[n - (size_t)len - 1] != ' ')
        return false;
    *text = bytes_from(line->p + n - len, (size_t)len);
    line->n = n - (size_t)len - 1;
    return true;
}

/* "ADDR ORCPT OLEN,DSN ERRTO ELEN,PNO#3"; #1 (to 4.85) has the last block only. */
static bool split_current(struct bytes line, int64_t bits, struct exim_recipient *out)
{
    struct bytes errors_to;
    int64_t dsn;

    if (bits & 1 && !cut_block(&line, &errors_to, &out->parent))
        return false;
    if (bits & 2 && !cut_block(&line, &out->orcpt, &dsn))
        return false;
    out->address = line;
    return true;
}

/* Exim 3: "ADDR n,PNO,n", where a blank stands before the numbers. */
static void split_exim3(struct bytes line, struct exim_recipient *out)
{
    struct bytes numbers;
    int64_t first, parent;
    size_t n = line.n;

    while (n > 0 && (exim_digit(line.p[n - 1]) || line.p[n - 1] == ','))
        n--;
    if (n < 2 || line.p[n - 1] != ' ')
        return;
    numbers = bytes_skip(line, n);
    out->address.n = n - 1;
    if (bytes_take_number(&numbers, &first) && numbers.n > 0 && numbers.p[0] == ',') {
        numbers = bytes_skip(numbers, 1);
        if (bytes_take_number(&numbers, &parent))
            out->parent = parent;
    }
}

bool exim_split_recipient(struct bytes line, struct exim_recipient *out)
{
    size_t n = line.n;
    int64_t number;

    *out = (struct exim_recipient){ .address = line, .orcpt = { NULL, 0 }, .parent = -1 };
    while (n > 0 && exim_digit(line.p[n - 1]))
        n--;
    if (n < 2 || n == line.n || !bytes_number(bytes_skip(line, n), &number))
        return true;
    switch (line.p[n - 1]) {
    case '#':
        return split_current(bytes_from(line.p, n - 1), number, out);
    case ',':
        split_exim3(line, out);
        return true;
    case ' ':       /* early Exim 4 */
        out->address.n = n - 1;
        out->parent = number;
        return true;
    default:
        return true;
    }
}

static int hex(unsigned char c)
{
    c = ascii_lower(c);
    return exim_digit(c) ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Decoded in place, in the record's own copy. */
struct lq_str exim_orcpt(struct lq_record *r, struct bytes orcpt)
{
    const struct bytes type = BYTES("rfc822;");
    struct lq_str s;
    char *to;

    if (orcpt.n >= type.n && bytes_ieq(bytes_from(orcpt.p, type.n), type))
        orcpt = bytes_skip(orcpt, type.n);
    s = record_copy(r, orcpt.p, orcpt.n);
    if (!s.p)
        return s;
    to = (char *)s.p;
    for (size_t i = 0; i < s.n; i++) {
        int high = s.p[i] == '+' && i + 2 < s.n ? hex((unsigned char)s.p[i + 1]) : -1;
        int low = high >= 0 ? hex((unsigned char)s.p[i + 2]) : -1;

        *to++ = low >= 0 ? (char)(high << 4 | low) : s.p[i];
        i += low >= 0 ? 2 : 0;
    }
    *to = '\0';
    s.n = (size_t)(to - s.p);
    return s;
}
