/*
 * Sizes, ages, times and counts as people type them. Whatever could mean two things is refused: a wrong guess selects
 * wrong mail.
 */
#include "units.h"

#include <string.h>
#include <time.h>

#include "bytes.h"

static int refuse(struct lq_error *err, const char *text, const char *what, const char *forms)
{
    if (text[0] == 0)
        return error_set(err, LQ_EINVAL, "an empty text is no %s.", what);
    return error_set(err, LQ_EINVAL, "'%.300s' is no %s: type it like %s.", text, what, forms);
}

/* --- numbers with units --- */

struct unit {
    char letter, other;
    int64_t factor;
};

static const struct unit no_units[] = { { 0, 0, 0 } };
static const struct unit size_units[] = {
    { 'k', 'K', INT64_C(1) << 10 }, { 'm', 'M', INT64_C(1) << 20 }, { 'g', 'G', INT64_C(1) << 30 }, { 0, 0, 0 },
};
/* Lower case only: M is a month elsewhere. */
static const struct unit age_units[] = {
    { 's', 0, 1 }, { 'm', 0, 60 }, { 'h', 0, 3600 }, { 'd', 0, 86400 }, { 'w', 0, 7 * 86400 }, { 0, 0, 0 },
};

static bool take_quantity(struct bytes *t, const struct unit *units, int64_t *out)
{
    int64_t v, factor = 1;

    if (!bytes_take_number(t, &v))
        return false;
    for (; units->letter && t->n > 0; units++)
        if (t->p[0] == (unsigned char)units->letter || (units->other && t->p[0] == (unsigned char)units->other)) {
            factor = units->factor;
            *t = bytes_skip(*t, 1);
            break;
        }
    if (v > INT64_MAX / factor)
        return false;
    *out = v * factor;
    return true;
}

/* N, +N (more than), -N (less than), A..B. */
static bool parse_range(struct range *out, struct bytes t, const struct unit *units)
{
    unsigned char sign = t.n > 0 && (t.p[0] == '+' || t.p[0] == '-') ? t.p[0] : 0;
    int64_t low, high;

    if (sign)
        t = bytes_skip(t, 1);
    if (!take_quantity(&t, units, &low))
        return false;
    high = low;
    if (!sign && bytes_start(t, BYTES(".."))) {
        t = bytes_skip(t, 2);
        if (!take_quantity(&t, units, &high))
            return false;
    }
    if (sign == '+') {
        if (low == INT64_MAX)
            return false;
        low++;
        high = INT64_MAX;
    } else if (sign == '-') {
        low = 0;
        high--;
    }
    *out = (struct range){ low, high };
    return t.n == 0 && low <= high;
}

int units_size(struct range *out, const char *text, struct lq_error *err)
{
    struct range r;

    if (!parse_range(&r, bytes_from(text, strlen(text)), size_units))
        return refuse(err, text, "size", "2062, +1M, -10k or 2000..2100");
    *out = r;
    return LQ_OK;
}

int units_count(struct range *out, const char *text, struct lq_error *err)
{
    struct range r;

    if (!parse_range(&r, bytes_from(text, strlen(text)), no_units))
        return refuse(err, text, "count", "3, +3, -3 or 1..5");
    *out = r;
    return LQ_OK;
}

int units_age(int64_t *out, const char *text, struct lq_error *err)
{
    struct bytes t = bytes_from(text, strlen(text));
    int64_t v;

    if (!take_quantity(&t, age_units, &v) || t.n > 0)
        return refuse(err, text, "age", "90 (seconds), 10m, 3h, 2d or 1w");
    *out = v;
    return LQ_OK;
}

/* --- times --- */

struct moment {
    struct tm tm;
    bool has_zone;
    int64_t zone;       /* seconds east of Greenwich */
};

/* Exactly n digits. */
static bool take_fixed(struct bytes *t, size_t n, int *out)
{
    struct bytes head = { t->p, n };
    int64_t v;

    if (t->n < n || !bytes_take_number(&head, &v) || head.n > 0)
        return false;
    *t = bytes_skip(*t, n);
    *out = (int)v;
    return true;
}

static bool take_char(struct bytes *t, char c)
{
    if (t->n == 0 || t->p[0] != (unsigned char)c)
        return false;
    *t = bytes_skip(*t, 1);
    return true;
}

static bool take_date(struct bytes *t, struct tm *tm)
{
    static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    int year, month, day;
    bool leap;

    if (!take_fixed(t, 4, &year) || !take_char(t, '-') || !take_fixed(t, 2, &month) || !take_char(t, '-') ||
        !take_fixed(t, 2, &day))
        return false;
    leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    if (year < 1970 || month < 1 || month > 12 || day < 1 || day > days[month - 1] + (leap && month == 2))
        return false;
    tm->tm_year = year - 1900;
    tm->tm_mon = month - 1;
    tm->tm_mday = day;
    return true;
}

static bool take_clock(struct bytes *t, struct tm *tm)
{
    int64_t fraction;

    if (!take_fixed(t, 2, &tm->tm_hour) || !take_char(t, ':') || !take_fixed(t, 2, &tm->tm_min))
        return false;
    if (take_char(t, ':')) {
        if (!take_fixed(t, 2, &tm->tm_sec))
            return false;
        if ((take_char(t, '.') || take_char(t, ',')) && !bytes_take_number(t, &fraction))
            return false;
    }
    return tm->tm_hour < 24 && tm->tm_min < 60 && tm->tm_sec <= 60;
}

/* Z, +hh, +hhmm, +hh:mm. */
static bool take_zone(struct bytes *t, struct moment *m)
{
    bool west = t->n > 0 && t->p[0] == '-';
    int hours, minutes = 0;

    if (t->n == 0)
        return true;
    m->has_zone = true;
    if (take_char(t, 'Z') || take_char(t, 'z'))
        return true;
    if ((!take_char(t, '+') && !take_char(t, '-')) || !take_fixed(t, 2, &hours))
        return false;
    if (t->n > 0) {
        take_char(t, ':');
        if (!take_fixed(t, 2, &minutes))
            return false;
    }
    m->zone = (hours * 3600 + minutes * 60) * (west ? -1 : 1);
    return hours < 24 && minutes < 60;
}

static bool parse_iso(struct bytes t, int64_t *out)
{
    struct moment m = { .tm.tm_isdst = -1 };
    time_t v;

    if (!take_date(&t, &m.tm))
        return false;
    if ((take_char(&t, 'T') || take_char(&t, 't') || take_char(&t, ' ')) && !(take_clock(&t, &m.tm) && take_zone(&t, &m)))
        return false;
    if (t.n > 0)
        return false;
    v = m.has_zone ? timegm(&m.tm) : mktime(&m.tm);
    *out = (int64_t)v - m.zone;
    return true;
}

/* Fewer digits than an epoch time of the last decades has, without the @ that says so, may as well be a year or a day. */
enum { EPOCH_DIGITS = 9 };

static bool parse_epoch(struct bytes t, int64_t *out)
{
    bool said = take_char(&t, '@');
    int64_t v;

    if ((!said && t.n < EPOCH_DIGITS) || !bytes_take_number(&t, &v) || t.n > 0)
        return false;
    *out = v;
    return true;
}

int units_time(int64_t *out, const char *text, struct lq_error *err)
{
    struct bytes t = bytes_from(text, strlen(text));
    int64_t v;

    if (!parse_epoch(t, &v) && !parse_iso(t, &v))
        return refuse(err, text, "time", "2026-03-09, 2026-03-09T14:25, 2026-03-09T14:25:36+01:00 or @1773062736");
    *out = v;
    return LQ_OK;
}
