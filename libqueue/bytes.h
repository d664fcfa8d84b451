/*
 * Views over bytes, and the small questions that parsers ask of them. Knows no mail.
 * Everything is bounded by the view's length; nothing here needs or looks for a NUL.
 */
#ifndef BYTES_H
#define BYTES_H

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct bytes {
    const unsigned char *p;
    size_t n;
};

#define BYTES(literal) ((struct bytes){ (const unsigned char *)(literal), sizeof(literal) - 1 })

static inline struct bytes bytes_from(const void *p, size_t n)
{
    return (struct bytes){ p, n };
}

static inline bool bytes_eq(struct bytes a, struct bytes b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static inline unsigned char ascii_lower(unsigned char c)
{
    return c >= 'A' && c <= 'Z' ? (unsigned char)(c + 32) : c;
}

static inline bool bytes_ieq(struct bytes a, struct bytes b)
{
    if (a.n != b.n)
        return false;
    for (size_t i = 0; i < a.n; i++)
        if (ascii_lower(a.p[i]) != ascii_lower(b.p[i]))
            return false;
    return true;
}

static inline bool bytes_start(struct bytes a, struct bytes prefix)
{
    return a.n >= prefix.n && memcmp(a.p, prefix.p, prefix.n) == 0;
}

/* The view without its first k bytes (all of them if k is larger). */
static inline struct bytes bytes_skip(struct bytes a, size_t k)
{
    if (k > a.n)
        k = a.n;
    return (struct bytes){ k ? a.p + k : a.p, a.n - k };   /* a NULL view stays one */
}

/* Blanks and tabs taken off both ends. */
static inline struct bytes bytes_trim(struct bytes a)
{
    while (a.n > 0 && (a.p[0] == ' ' || a.p[0] == '\t'))
        a = bytes_skip(a, 1);
    while (a.n > 0 && (a.p[a.n - 1] == ' ' || a.p[a.n - 1] == '\t'))
        a.n--;
    return a;
}

/* The view from its first byte on that is neither blank nor tab. Numbers are padded to 15 digits: eight blanks at a time. */
static inline struct bytes bytes_skip_blanks(struct bytes a)
{
    size_t i = 0;
    uint64_t eight;

    for (; a.n - i >= sizeof(eight); i += sizeof(eight)) {
        memcpy(&eight, a.p + i, sizeof(eight));
        eight = le64toh(eight) ^ UINT64_C(0x2020202020202020);
        if (eight != 0) {
            i += (size_t)__builtin_ctzll(eight) / 8;
            break;
        }
    }
    while (i < a.n && (a.p[i] == ' ' || a.p[i] == '\t'))
        i++;
    return bytes_skip(a, i);
}

/* Position of c, or a.n. */
static inline size_t bytes_find(struct bytes a, unsigned char c)
{
    const unsigned char *at = a.n ? memchr(a.p, c, a.n) : NULL;
    return at ? (size_t)(at - a.p) : a.n;
}

/* Take a decimal number of digits only off the front; false (nothing taken) without a digit or near INT64_MAX and beyond. */
static inline bool bytes_take_number(struct bytes *a, int64_t *out)
{
    uint64_t v = 0;
    size_t i = 0;

    for (; i < a->n && a->p[i] >= '0' && a->p[i] <= '9'; i++) {
        if (v > ((uint64_t)INT64_MAX - 9) / 10)
            return false;
        v = v * 10 + (uint64_t)(a->p[i] - '0');
    }
    if (i == 0)
        return false;
    *a = bytes_skip(*a, i);
    *out = (int64_t)v;
    return true;
}

/* The whole view is one decimal number with an optional minus. */
static inline bool bytes_number(struct bytes a, int64_t *out)
{
    bool minus = a.n > 0 && a.p[0] == '-';
    int64_t v;

    if (minus)
        a = bytes_skip(a, 1);
    if (!bytes_take_number(&a, &v) || a.n > 0)
        return false;
    *out = minus ? -v : v;
    return true;
}

#endif
