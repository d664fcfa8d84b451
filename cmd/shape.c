/* Shapes of texts. */
#include "shape.h"

#include <string.h>

bool shape_address_char(char c)
{
    return (unsigned char)c > ' ' && c != 0x7f && !strchr("<>()[]\",;:", c);
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_word(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (unsigned char)c >= 0x80;
}

/* Bytes from p that all are of a kind; *digits of them are digits. */
static size_t run_of(const char *p, size_t n, bool (*kind)(char), size_t *digits)
{
    size_t i = 0;

    *digits = 0;
    for (; i < n && kind(p[i]); i++)
        *digits += is_digit(p[i]);
    return i;
}

/* The piece at p: its length, and the sign that stands for it, or 0 where it stays. */
static size_t piece(const char *p, size_t n, char *sign)
{
    size_t digits, length = run_of(p, n, shape_address_char, &digits);

    *sign = '*';
    if (length > 0 && memchr(p, '@', length))
        return length;
    length = run_of(p, n, is_word, &digits);
    *sign = digits == 0 ? 0 : digits == length ? '#' : '*';
    return length > 0 ? length : 1;
}

size_t shape_of(struct lq_str s, char *out, size_t max)
{
    size_t used = 0;

    for (size_t i = 0, n; i < s.n && used < max; i += n) {
        char sign;

        n = piece(s.p + i, s.n - i, &sign);
        if (sign) {
            out[used++] = sign;
        } else {
            size_t fits = n < max - used ? n : max - used;

            memcpy(out + used, s.p + i, fits);
            used += fits;
        }
    }
    return used;
}

/* The character at p as a number; false if it is not UTF-8. */
static bool decode(const char *p, size_t n, size_t *length, unsigned long *c)
{
    unsigned char lead = (unsigned char)*p;

    *length = lead < 0x80 ? 1 : lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
    if (lead < 0x80) {
        *c = lead;
        return true;
    }
    if (lead < 0xc2 || lead > 0xf4 || *length > n)
        return false;
    *c = lead & (0x7fu >> *length);
    for (size_t i = 1; i < *length; i++) {
        if (((unsigned char)p[i] & 0xc0) != 0x80)
            return false;
        *c = *c << 6 | ((unsigned char)p[i] & 0x3f);
    }
    return true;
}

bool shape_pattern(struct text *t, const char *shape, size_t n)
{
    size_t length;
    unsigned long c;

    text_put(t, "/\\A");
    for (size_t i = 0; i < n; i += length) {
        if (!decode(shape + i, n - i, &length, &c))
            return false;
        if (c == '#')
            text_put(t, "(?:[0-9]+|#)");
        else if (c == '*')
            text_put(t, "(?:[^ <>()\\[\\]\",;:]+|\\*)");
        else if (c < ' ' || c > '~')
            text_format(t, "\\x{%lx}", c);
        else if (is_word((char)c) || c == ' ')
            text_char(t, (char)c);
        else
            text_format(t, "\\%c", (char)c);
    }
    text_put(t, "\\z/");
    return true;
}
