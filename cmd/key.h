/*
 * What messages are grouped by: fields of the record and what is derived from them (networks, domains,
 * near sizes, shapes of texts, ages, hours). Finds a key's value in a record and says how to show it.
 */
#ifndef KEY_H
#define KEY_H

#include "libqueue.h"
#include "print.h"

enum key_kind {
    KEY_TEXT, KEY_NUMBER, KEY_USER, KEY_NETWORK, KEY_DOMAIN, KEY_RECIPIENT, KEY_RECIPIENT_DOMAIN, KEY_LIST,
    KEY_RECIPIENT_PART, KEY_HOP_PART, KEY_AGE, KEY_HOUR, KEY_NEAR, KEY_SHAPE, KEY_REASON_SHAPE
};

struct key {
    char name[40];              /* as the user wrote it */
    enum key_kind kind;
    enum lq_field field;
    unsigned prefix4, prefix6;  /* KEY_NETWORK */
    unsigned parts;             /* KEY_NEAR: of each power of two */
    size_t at;                  /* of a part: its text in struct lq_recipient or struct lq_hop */
};

enum { KEY_VALUE_MAX = 512 };

/* A value: p == NULL with absent or unread. Text that had to be made lives in the struct. */
struct key_value {
    enum lq_presence has;
    struct lq_str text;
    char made[KEY_VALUE_MAX];
};

/* Parse one name of n bytes: "client", "client/24", "sender.domain". LQ_OK; LQ_EINVAL with a sentence. */
int key_parse(struct key *out, const char *name, size_t n, struct lq_error *err);
/* What lq_scan_opts.fields must hold. */
uint64_t key_fields(const struct key *k);
/* The list whose elements have a value each; -1: a message has one value. */
int key_list(const struct key *k);
/* How many values a message has: of recipients and lists several, else one. */
size_t key_values(const struct key *k, const struct lq_record *r);
/* The group of near numbers that v, at least 0, belongs to: *low to *high. */
void key_near(unsigned parts, int64_t v, int64_t *low, int64_t *high);
/* True when the values are numbers: text is decimal digits. */
bool key_is_number(const struct key *k);
/* True when values are shown in their own order, not by count. */
bool key_has_order(const struct key *k);
/* True when key_value() looks at its `now`. */
bool key_needs_now(const struct key *k);
/* True when a-z and A-Z mean the same, as they do for the selectors. */
bool key_folds(const struct key *k);
/* which: of several values. */
void key_value(const struct key *k, const struct lq_record *r, size_t which, int64_t now, struct key_value *out);
/* Append a value for people, escaped. how: ESCAPE_BLANKS where another column follows. */
void key_show(struct text *t, const struct key *k, struct lq_str value, unsigned how);
/* What people and programs call an age bucket: "1-5m" for 60. */
const char *key_age_label(int64_t least);

#endif
