/* What a message says of a field must not depend on what else is asked of it: parsers leave out what nobody looks at. */
#ifndef ALONE_H
#define ALONE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "record.h"

#define ALONE_FIELDS (LQ_FIELD_BIT(LQ_SUBJECT) | LQ_FIELD_BIT(LQ_FROM))

/* all: read for every field; few: for ALONE_FIELDS. */
static inline void same_alone(const struct lq_record *all, const struct lq_record *few)
{
    static const enum lq_field fields[] = { LQ_SUBJECT, LQ_FROM };

    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        enum lq_field f = fields[i];
        const struct lq_str *a = &all->value[f].text, *b = &few->value[f].text;
        bool is = record_is_set(all, f);

        if (is == record_is_set(few, f) && (!is || (a->n == b->n && memcmp(a->p, b->p, a->n) == 0)) &&
            (all->cut & LQ_FIELD_BIT(f)) == (few->cut & LQ_FIELD_BIT(f)))
            continue;
        fprintf(stderr, "%s differs when it is asked alone: \"%.*s\"%s, \"%.*s\"%s\n", lq_field_name(f), (int)a->n, is ? a->p : "",
                all->cut & LQ_FIELD_BIT(f) ? " (cut)" : "", record_is_set(few, f) ? (int)b->n : 0, record_is_set(few, f) ? b->p : "",
                few->cut & LQ_FIELD_BIT(f) ? " (cut)" : "");
        abort();
    }
}

#endif
