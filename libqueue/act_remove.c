/*
 * Deleting messages for good. Key first, so that the server sees nothing half; where the server would deliver a key without its data
 * (Sendmail), the key's going is on disk before the data goes. A message of one file goes last, after its logs: its inode is in its
 * name, and a log that stayed would be another's (Postfix).
 */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "act.h"

static int remove_piece(struct site *s, const struct piece *p)
{
    if (!side_touch(&s->side, p->dir))
        return ENOMEM;
    return file_remove(s->sp.dirs[p->dir].fd, p->name);
}

/* An error while nothing of the message is gone yet is no harm; the first one decides what is said. */
static void tell(struct lq_job *j, struct site *s, struct work *w, size_t at, int error)
{
    if (error == ENOENT)
        work_left(s, w);
    else if (error == EBUSY)
        work_skip(w, "it is being delivered now");
    else if (disk_is_lost(error))
        job_ends(j, at, LQ_EIO, "%s while deleting message %s", strerrordesc_np(error), w->item->id);
    else
        work_fail(w, "%s while deleting it", strerrordesc_np(error));
}

static void remove_rest(struct site *s, struct work *w)
{
    for (size_t i = 1; i < w->c.n; i++) {
        int error = remove_piece(s, &w->c.parts[i]);

        if (error != 0 && error != ENOENT) {
            work_fail(w, "it is deleted, but %s/%s is left: %s", s->sp.dirs[w->c.parts[i].dir].path, w->c.parts[i].name,
                      strerrordesc_np(error));
            return;
        }
    }
    w->result = LQ_DONE;
    w->live = false;
}

/* Logs first; when one cannot go the message stays. One that its server has just moved stays, too, and needs its logs: who was refused is told from them. */
static void remove_one_file(struct lq_job *j, struct site *s, struct work *w, size_t at)
{
    const struct piece *key = &w->c.parts[0];
    int dir = s->sp.dirs[key->dir].fd, error = 0;

    if (work_in_use(s, w, dir, key->name))
        error = EBUSY;
    else if (w->c.n > 1 && !piece_is_at(key, dir, key->name))
        error = ENOENT;

    for (size_t i = 1; i < w->c.n && error == 0; i++) {
        error = remove_piece(s, &w->c.parts[i]);
        if (error == ENOENT)
            error = 0;
    }
    if (error == 0)
        error = remove_piece(s, key);
    if (error != 0) {
        tell(j, s, w, at, error);
        return;
    }
    w->result = LQ_DONE;
    w->live = false;
}

static void remove_key(struct lq_job *j, struct site *s, struct work *w, size_t at)
{
    int error = remove_piece(s, &w->c.parts[0]);

    if (error != 0)
        tell(j, s, w, at, error);
    else if (!s->actor->sync_after_key)
        remove_rest(s, w);
}

/*
 * Which bodies are about to lose their keys, for recover: whoever is killed between the two leaves them where no server looks. Not synced: after a power
 * loss they may lie there, which harms nobody. A full disk is no reason not to delete.
 */
static void note_going(struct lq_job *j, struct site *s, const struct work *w, size_t n)
{
    json_t *o = json_pack("{ssss}", "event", "going", "spool", s->q->root), *messages = json_array();
    char text[320], *line;

    for (size_t i = 0; i < n; i++) {
        if (!w[i].live || w[i].item->ino == 0)
            continue;
        snprintf(text, sizeof(text), "%.255s %jx:%ju", w[i].item->id, (uintmax_t)w[i].item->dev, (uintmax_t)w[i].item->ino);
        json_array_append_new(messages, json_string(text));
    }
    json_object_set_new(o, "messages", messages);
    line = json_dumps(o, JSON_COMPACT);
    if (line)
        job_line(j->uses[s->use].job, NULL, line);
    free(line);
    json_decref(o);
}

static void batch(struct lq_job *j, struct site *s, struct work *w, size_t n)
{
    int error;

    if (!s->actor->one_file)
        note_going(j, s, w, n);
    for (size_t i = 0; i < n && i < j->cut; i++) {
        if (w[i].live && s->actor->one_file)
            remove_one_file(j, s, &w[i], i);
        else if (w[i].live)
            remove_key(j, s, &w[i], i);
    }
    /* What is live still has lost its key and waits for the directory. */
    error = side_sync(&s->side);
    for (size_t i = 0; i < n && i < j->cut; i++)
        if (w[i].live && error == 0)
            remove_rest(s, &w[i]);
        else if (w[i].live)
            work_fail(&w[i], "it is deleted, but its data file is left: %s", strerrordesc_np(error));
    if (error != 0 && !j->fatal)
        job_ends(j, n, LQ_EIO, "%s: %s while syncing", s->q->root, strerrordesc_np(error));
}

const struct verb purge_verb = { .name = "purge", .done = "deleted", .claim_flags = CLAIM_DAMAGED, .batch = batch };
