/* Sizes, ages, times and counts as people type them (mqselect(7)). Knows no field and no filter. */
#ifndef UNITS_H
#define UNITS_H

#include "error.h"

struct range {      /* both ends belong to it */
    int64_t low, high;
};

/* "2062" exact, "+1M" more than, "-10k" less than, "2000..2100"; k M G are powers of 1024 (either case). */
int units_size(struct range *out, const char *text, struct lq_error *err);
/* The same without units: "3", "+3", "-3", "1..5". */
int units_count(struct range *out, const char *text, struct lq_error *err);
/* "90" seconds, "10m", "3h", "2d", "1w" (also "s"): seconds. */
int units_age(int64_t *out, const char *text, struct lq_error *err);
/*
 * Epoch seconds ("1795293358", "@1795293358"; less than nine digits need the @: 2026 is a year to most people) or ISO 8601: date,
 * date and time with T or blank, minutes or seconds or fractions (dropped), zone Z, +hh:mm, +hhmm, +hh or none = local.
 */
int units_time(int64_t *out, const char *text, struct lq_error *err);

#endif
