/*
 * Ledgers: which messages of a case went back to their queue. A line is on disk before its message's key file is put back, so nothing goes
 * back twice, wherever a crash came between. Kept apart from the case, which may be packed, and when the case is gone.
 *
 * Keys are paths; they are kept with every byte that is not plain ASCII as %XX, so that JSON can hold them without loss.
 */
#include "vault.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "json.h"

struct ledger {
    struct lq_vault *vault;
    char file[NAME_MAX + 1];
    int fd;                 /* -1: only looked at, and nothing there */
    bool looked;
    json_t *keys, *ids;     /* objects: key to id, id to how many keys */
    json_t *copied;         /* object: keys of which a copy went */
};

enum { KEY_MAX = 3 * PATH_MAX, LEDGER_MAX = 1 << 30 };

static const char *encode(const char *key, char out[KEY_MAX + 1])
{
    static const char digits[] = "0123456789ABCDEF";
    size_t n = 0;

    for (const unsigned char *p = (const unsigned char *)key; *p && n < KEY_MAX - 3; p++) {
        if (*p > ' ' && *p < 0x7F && *p != '%') {
            out[n++] = (char)*p;
            continue;
        }
        out[n++] = '%';
        out[n++] = digits[*p >> 4];
        out[n++] = digits[*p & 15];
    }
    out[n] = '\0';
    return out;
}

static void count_id(struct ledger *l, const char *id, int change)
{
    json_int_t was = json_integer_value(json_object_get(l->ids, id));

    json_object_set_new_nocheck(l->ids, id, json_integer(was + change));
}

static void forget(struct ledger *l, const char *key)
{
    const char *id = json_string_value(json_object_get(l->keys, key));

    if (id)
        count_id(l, id, -1);
    json_object_del(l->keys, key);
    json_object_del(l->copied, key);
}

static bool note(struct ledger *l, const char *key, const char *id, bool copied)
{
    if (copied && json_object_set_new_nocheck(l->copied, key, json_true()) != 0)
        return false;
    if (json_object_get(l->keys, key))
        return true;
    count_id(l, id, 1);
    return json_object_set_new_nocheck(l->keys, key, json_string_nocheck(id)) == 0;
}

/* A line that cannot be read counts for nothing here; verify would tell of it. */
static bool take_line(struct ledger *l, const char *line, size_t n)
{
    json_t *o = json_loadb(line, n, 0, NULL);
    const char *key = json_string_value(json_object_get(o, "key")), *id = json_string_value(json_object_get(o, "id"));
    bool kept = true;

    if (key && json_is_true(json_object_get(o, "cancelled")))
        forget(l, key);
    else if (key)
        kept = note(l, key, id ? id : "", json_is_true(json_object_get(o, "copied")));
    json_decref(o);
    return kept;
}

/* What the last line has without its end was never synced, so its message never went. */
static int load(struct ledger *l, const struct stat *st)
{
    char *text = st->st_size > 0 && st->st_size < LEDGER_MAX ? malloc((size_t)st->st_size) : NULL, *p = text, *end, *nl;
    ssize_t n;
    int error = 0;

    if (!text)
        return st->st_size == 0 ? 0 : ENOMEM;
    n = pread(l->fd, text, (size_t)st->st_size, 0);
    if (n < 0)
        error = errno;
    end = n > 0 ? text + n : text;
    for (; error == 0 && (nl = memchr(p, '\n', (size_t)(end - p))) != NULL; p = nl + 1)
        error = take_line(l, p, (size_t)(nl - p)) ? 0 : ENOMEM;
    if (error == 0 && p < end && !l->looked)
        error = file_truncate(l->fd, (uint64_t)(p - text));
    free(text);
    return error;
}

static int open_file(struct ledger *l, struct stat *st)
{
    enum file_result r = l->looked ? file_open(l->vault->ledger, l->file, &l->fd, st) : file_open_rw(l->vault->ledger, l->file, &l->fd, st);
    int error;

    if (r == FILE_GONE && l->looked) {
        st->st_size = 0;
        return 0;
    }
    if (r == FILE_GONE) {
        error = vault_create(l->vault, l->vault->ledger, l->file, &l->fd);
        if (error == 0)
            error = file_sync(l->vault->ledger);
        if (error == 0)
            error = fstat(l->fd, st) < 0 ? errno : 0;
    } else {
        error = r == FILE_OK ? 0 : r == FILE_DENIED ? EACCES : r == FILE_ODD ? EINVAL : errno;
    }
    if (error == 0 && !l->looked)
        error = file_lock_flock(l->fd);
    /* Somebody may have added while we waited for nothing. */
    return error == 0 && fstat(l->fd, st) < 0 ? errno : error;
}

static int open_ledger(struct ledger **out, struct lq_vault *v, const char *case_name, bool look, struct lq_error *err)
{
    struct ledger *l = calloc(1, sizeof(*l));
    struct stat st;
    int error, rc;

    if (!l)
        return error_memory(err);
    l->vault = v;
    l->fd = -1;
    l->looked = look;
    snprintf(l->file, sizeof(l->file), "%.200s.ndjson", case_name);
    l->keys = json_object();
    l->ids = json_object();
    l->copied = json_object();
    error = l->keys && l->ids && l->copied ? open_file(l, &st) : ENOMEM;
    if (error == 0)
        error = load(l, &st);
    if (error == 0) {
        *out = l;
        return LQ_OK;
    }
    rc = error == EAGAIN ? error_set(err, LQ_EREFUSED, "another process is putting messages of case %s back", case_name)
                         : vault_error(v, l->file, error, err);
    ledger_close(l);
    return rc;
}

int ledger_open(struct ledger **out, struct lq_vault *v, const char *case_name, struct lq_error *err)
{
    return open_ledger(out, v, case_name, false, err);
}

int ledger_look(struct ledger **out, struct lq_vault *v, const char *case_name, struct lq_error *err)
{
    return open_ledger(out, v, case_name, true, err);
}

bool ledger_has(const struct ledger *l, const char *key)
{
    char encoded[KEY_MAX + 1];

    return json_object_get(l->keys, encode(key, encoded)) != NULL;
}

bool ledger_copied(const struct ledger *l, const char *key)
{
    char encoded[KEY_MAX + 1];

    return json_object_get(l->copied, encode(key, encoded)) != NULL;
}

bool ledger_has_id(const struct ledger *l, const char *id, size_t n)
{
    char key[256];

    if (n >= sizeof(key))
        return false;
    memcpy(key, id, n);
    key[n] = '\0';
    return json_integer_value(json_object_get(l->ids, key)) > 0;
}

static int add_line(struct ledger *l, struct buf *b)
{
    int error = b->failed ? ENOMEM : vault_append(l->vault, l->fd, b->p, b->n);

    buf_done(b);
    return error;
}

int ledger_add(struct ledger *l, const char *key, const char *id, const char *new_id, const char *job, bool copied)
{
    char encoded[KEY_MAX + 1], now[TIME_TEXT];
    struct buf b = { 0 };
    int error;

    encode(key, encoded);
    job_time(now);
    buf_add_char(&b, '{');
    json_text(&b, "key", encoded);
    json_text(&b, "id", id);
    json_text(&b, "new_id", new_id);
    json_text(&b, "job", job);
    json_text(&b, "time", now);
    buf_add_str(&b, copied ? ",\"copied\":true}\n" : "}\n");
    error = add_line(l, &b);
    return error == 0 && !note(l, encoded, id, copied) ? ENOMEM : error;
}

int ledger_cancel(struct ledger *l, const char *key)
{
    char encoded[KEY_MAX + 1];
    struct buf b = { 0 };
    int error;

    encode(key, encoded);
    buf_add_char(&b, '{');
    json_text(&b, "key", encoded);
    buf_add_str(&b, ",\"cancelled\":true}\n");
    error = add_line(l, &b);
    if (error == 0)
        error = file_sync(l->fd);
    if (error == 0)
        forget(l, encoded);
    return error;
}

int ledger_sync(struct ledger *l)
{
    return file_sync(l->fd);
}

size_t ledger_count(const struct ledger *l)
{
    return json_object_size(l->keys);
}

void ledger_close(struct ledger *l)
{
    if (!l)
        return;
    if (l->fd >= 0)
        close(l->fd);
    json_decref(l->keys);
    json_decref(l->ids);
    json_decref(l->copied);
    free(l);
}
