/*
 * Postfix's messages claimed, held and released, and their ids asked for, in small spools in a temporary directory. Where things go is where
 * postsuper of 3.7.11 put them.
 */
#include <errno.h>

#include "acting.h"
#include "postfix.h"

#define ID "0D431A0B0C1"
#define LONG "4jX48y4ynDz1blN8"         /* hashed by its microseconds: A, A, D … */

/* M QUEUE ID: a message; L DIR ID: a log. Every queue is there. */
#define FUNCTIONS                                                               \
    "M() { mkdir -p $1; echo message >$1/$2; chmod 0700 $1/$2; }\n"            \
    "L() { mkdir -p $1; echo log >$1/$2; chmod 0600 $1/$2; }\n"
#define TOOLS FUNCTIONS "mkdir maildrop incoming active deferred hold corrupt defer bounce trace saved\n"

/* --- claiming --- */

struct claim_row {
    const char *name;
    const char *before;         /* made before the spool is listed */
    const char *after;          /* done to it then */
    unsigned flags;
    enum lock_kind kind;
    const char *locked;
    enum claim_result result;
    const char *parts;          /* or, of a refusal, a piece of why */
    enum state state;
};

#define DEFERRED "M deferred/0 " ID "\n"
#define KEY "deferred/0/" ID

static const struct claim_row claim_rows[] = {
    { "deferred", DEFERRED, NULL, 0, NO_LOCK, NULL, CLAIM_OK, KEY, STATE_DEFERRED },
    { "deferred, flat", "M deferred " ID, NULL, 0, NO_LOCK, NULL, CLAIM_OK, "deferred/" ID, STATE_DEFERRED },
    { "incoming", "M incoming " ID, NULL, 0, NO_LOCK, NULL, CLAIM_OK, "incoming/" ID, STATE_INCOMING },
    { "hold", "M hold " ID, NULL, 0, NO_LOCK, NULL, CLAIM_OK, "hold/" ID, STATE_HELD },
    { "corrupt", "M corrupt " ID "; chmod 400 corrupt/" ID, NULL, 0, NO_LOCK, NULL, CLAIM_OK, "corrupt/" ID, STATE_CORRUPT },
    { "active", "M active " ID, NULL, 0, NO_LOCK, NULL, CLAIM_REFUSED, "--active takes it", STATE_NONE },
    { "active, wanted", "M active " ID, NULL, CLAIM_ACTIVE, NO_LOCK, NULL, CLAIM_OK, "active/" ID, STATE_ACTIVE },
    { "active, delivered", "M active " ID, NULL, CLAIM_ACTIVE, FLOCK_SH, "active/" ID, CLAIM_BUSY, "delivered", STATE_NONE },
    { "active, being read", "M active " ID, NULL, CLAIM_ACTIVE, FLOCK_EX, "active/" ID, CLAIM_BUSY, "delivered", STATE_NONE },
    { "maildrop", "M maildrop " ID, NULL, 0, NO_LOCK, NULL, CLAIM_REFUSED, "maildrop", STATE_NONE },
    { "maildrop, down", "M maildrop " ID "; L defer/0 " ID, NULL, CLAIM_MAILDROP, NO_LOCK, NULL, CLAIM_OK, "maildrop/" ID, STATE_INCOMING },

    { "logs, hashed", DEFERRED "L defer/0 " ID "; L bounce/0 " ID "; L trace/0 " ID, NULL, 0, NO_LOCK, NULL, CLAIM_OK,
      KEY " bounce/0/" ID " defer/0/" ID " trace/0/" ID, STATE_DEFERRED },
    { "logs, flat and deep", DEFERRED "L defer/0/D/4 " ID "; L bounce " ID "; L trace " ID, NULL, 0, NO_LOCK, NULL, CLAIM_OK,
      KEY " bounce/" ID " defer/0/D/4/" ID " trace/" ID, STATE_DEFERRED },
    { "log level that came later", DEFERRED, "L defer/0 " ID, 0, NO_LOCK, NULL, CLAIM_OK, KEY " defer/0/" ID, STATE_DEFERRED },
    { "another's log", DEFERRED "L defer/D " ID "; L defer/0 " LONG, NULL, 0, NO_LOCK, NULL, CLAIM_OK, KEY, STATE_DEFERRED },

    { "being delivered", DEFERRED, NULL, 0, FLOCK_SH, KEY, CLAIM_BUSY, "delivered", STATE_NONE },
    { "locked", DEFERRED, NULL, 0, FLOCK_EX, KEY, CLAIM_BUSY, "delivered", STATE_NONE },
    { "a POSIX lock means nothing", DEFERRED, NULL, 0, POSIX_WRITE, KEY, CLAIM_OK, KEY, STATE_DEFERRED },

    { "receiving", "M incoming " ID "; chmod 0600 incoming/" ID, NULL, 0, NO_LOCK, NULL, CLAIM_REFUSED, "received", STATE_NONE },
    { "receiving into hold", "M hold " ID "; chmod 0600 hold/" ID, NULL, 0, NO_LOCK, NULL, CLAIM_REFUSED, "received", STATE_NONE },
    { "forced to expire", DEFERRED "chmod 0710 " KEY, NULL, 0, NO_LOCK, NULL, CLAIM_OK, KEY, STATE_DEFERRED },
    { "found damaged", DEFERRED "chmod 0400 " KEY, NULL, 0, NO_LOCK, NULL, CLAIM_REFUSED, "mode 0400", STATE_NONE },

    { "finished", DEFERRED, "rm " KEY, 0, NO_LOCK, NULL, CLAIM_GONE, "not in the queue", STATE_NONE },
    { "moved to active", DEFERRED, "mv " KEY " active", 0, NO_LOCK, NULL, CLAIM_REFUSED, "--active", STATE_NONE },
    { "moved to active, wanted", DEFERRED, "mv " KEY " active", CLAIM_ACTIVE, NO_LOCK, NULL, CLAIM_OK, "active/" ID, STATE_ACTIVE },
    { "moved to incoming", DEFERRED, "mv " KEY " incoming", 0, NO_LOCK, NULL, CLAIM_OK, "incoming/" ID, STATE_INCOMING },
    { "moved to hold, deep", DEFERRED, "mkdir -p hold/0/D; mv " KEY " hold/0/D", 0, NO_LOCK, NULL, CLAIM_OK, "hold/0/D/" ID, STATE_HELD },
    { "put into a level", "M deferred " ID, "mkdir deferred/0; mv deferred/" ID " deferred/0", 0, NO_LOCK, NULL, CLAIM_OK, KEY, STATE_DEFERRED },
    { "lost in a wrong level", "M incoming " ID, "mkdir deferred/D; mv incoming/" ID " deferred/D", 0, NO_LOCK, NULL, CLAIM_GONE, "", STATE_NONE },
    { "level made anew", DEFERRED, "mv " KEY " t; rmdir deferred/0; mkdir deferred/0; mv t " KEY, 0, NO_LOCK, NULL, CLAIM_OK, KEY, STATE_DEFERRED },
    { "another message", DEFERRED, "M t " ID "; mv t/" ID " " KEY, 0, NO_LOCK, NULL, CLAIM_OTHER, "another message", STATE_NONE },
    { "another message elsewhere", DEFERRED, "M active " ID "; rm " KEY, 0, NO_LOCK, NULL, CLAIM_OTHER, "another message", STATE_NONE },
    { "moved, and another in its place", DEFERRED, "mv " KEY " hold; M deferred/0 " ID, 0, NO_LOCK, NULL, CLAIM_OK, "hold/" ID, STATE_HELD },

    { "a link", DEFERRED, "mv " KEY " t; ln -s ../../t " KEY, 0, NO_LOCK, NULL, CLAIM_REFUSED, "not a regular file", STATE_NONE },
    { "a fifo", DEFERRED, "rm " KEY "; mkfifo " KEY, 0, NO_LOCK, NULL, CLAIM_REFUSED, "not a regular file", STATE_NONE },
    { "a directory", DEFERRED, "rm " KEY "; mkdir " KEY, 0, NO_LOCK, NULL, CLAIM_REFUSED, "not a regular file", STATE_NONE },
    { "linked", DEFERRED, "ln " KEY " t", 0, NO_LOCK, NULL, CLAIM_REFUSED, "2 links", STATE_NONE },
    { "log a link", DEFERRED, "ln -s /etc/passwd bounce/" ID, 0, NO_LOCK, NULL, CLAIM_REFUSED, "not a regular file", STATE_NONE },
    { "log a fifo", DEFERRED, "mkdir defer/0; mkfifo defer/0/" ID, 0, NO_LOCK, NULL, CLAIM_REFUSED, "not a regular file", STATE_NONE },
    { "log linked", DEFERRED, "L defer/0 " ID "; ln defer/0/" ID " t", 0, NO_LOCK, NULL, CLAIM_REFUSED, "2 links", STATE_NONE },
    { "logs at a depth that is not theirs", DEFERRED "L defer " ID "; L defer/1/2 1234567; L bounce/0 1234567; L bounce " ID, NULL, 0, NO_LOCK, NULL,
      CLAIM_OK, KEY, STATE_DEFERRED },
    { "log level a link", DEFERRED, "mkdir t; L t " ID "; ln -s ../t defer/0", 0, NO_LOCK, NULL, CLAIM_OK, KEY, STATE_DEFERRED },

    { "asked only: no lock", DEFERRED, NULL, CLAIM_DRY, FLOCK_SH, KEY, CLAIM_OK, KEY, STATE_DEFERRED },
    { "asked only, moved", DEFERRED, "mv " KEY " active", CLAIM_DRY, NO_LOCK, NULL, CLAIM_REFUSED, "--active", STATE_NONE },
    { "asked only, linked", DEFERRED, "ln " KEY " t", CLAIM_DRY, NO_LOCK, NULL, CLAIM_REFUSED, "2 links", STATE_NONE },
    { "in a case", DEFERRED "L defer/0 " ID "; ln " KEY " t", NULL, CLAIM_UNLOCKED, FLOCK_EX, KEY, CLAIM_OK, KEY " defer/0/" ID, STATE_DEFERRED },
    { "in a case, from active", "M active " ID, NULL, CLAIM_UNLOCKED, NO_LOCK, NULL, CLAIM_OK, "active/" ID, STATE_ACTIVE },
    { "in a case it does not move", DEFERRED, "mv " KEY " hold", CLAIM_UNLOCKED, NO_LOCK, NULL, CLAIM_GONE, "", STATE_NONE },
};

enum { CLAIM_ROWS = sizeof(claim_rows) / sizeof(claim_rows[0]) };

static void check_claim(const struct claim_row *row, enum user user)
{
    char commands[3000];
    const struct ref *ref;
    enum claim_result r;
    struct claim c;
    struct holder h;
    struct stat st;

    snprintf(commands, sizeof(commands), "%s%s", TOOLS, row->before);
    room_open(user, commands);
    room_list(&postfix_backend, SEC_NAME);
    ref = room_ref(ID, NULL);
    ck_assert_int_eq(fstatat(room_spool.dirs[ref->entries[0].dir].fd, ID, &st, 0), 0);
    if (row->after) {
        snprintf(commands, sizeof(commands), "%s%s", FUNCTIONS, row->after);
        sh(commands);
    }
    h = hold_lock(row->locked, row->kind);
    r = postfix_actor.claim(&room_spool, ref, st.st_dev, st.st_ino, row->flags, &c);
    let_go(h);
    ck_assert_msg(r == row->result, "%s: %s (%s)", row->name, result_names[r], c.why);
    if (r == CLAIM_OK) {
        ck_assert_msg(strcmp(parts_of(&c), row->parts) == 0, "%s: %s", row->name, parts_of(&c));
        ck_assert_msg(c.state == row->state, "%s: %s", row->name, state_names[c.state]);
        ck_assert_msg((c.lock >= 0) == !(row->flags & (CLAIM_UNLOCKED | CLAIM_DRY)), "%s", row->name);
    } else {
        ck_assert_msg(strstr(c.why, row->parts) != NULL, "%s: %s", row->name, c.why);
        ck_assert_int_lt(c.lock, 0);
    }
    claim_done(&c);
    room_close();
}

START_TEST(claims)
{
    check_claim(&claim_rows[_i / USERS], (enum user)(_i % USERS));
}
END_TEST

/* In active an agent must be able to take its lock at any time, in other queues nobody. */
START_TEST(locks)
{
    static const struct { const char *queue; bool free; } rows[] = { { "active", true }, { "deferred", false }, { "hold", false } };
    char commands[500], name[100];
    struct claim c;

    snprintf(commands, sizeof(commands), TOOLS "M %s " ID, rows[_i].queue);
    snprintf(name, sizeof(name), "%s/" ID, rows[_i].queue);
    room_open(AS_WE_ARE, commands);
    room_list(&postfix_backend, SEC_NAME);
    ck_assert_int_eq(postfix_actor.claim(&room_spool, room_ref(ID, NULL), 0, 0, CLAIM_ACTIVE, &c), CLAIM_OK);
    ck_assert(lockable(name, FLOCK_SH) == rows[_i].free);
    ck_assert(lockable(name, FLOCK_EX) == rows[_i].free);
    claim_done(&c);
    ck_assert(lockable(name, FLOCK_EX));
    room_close();
}
END_TEST

START_TEST(owners)
{
    struct claim c;
    uid_t uid;
    gid_t gid;

    room_open(AS_WE_ARE, TOOLS DEFERRED "L defer/0 " ID "; M maildrop 0D432A0B0C2");
    if (geteuid() == 0)
        sh("chown 1234:1235 incoming active deferred deferred/0 hold defer defer/0 maildrop " KEY "; chown 4321 maildrop/*");
    room_list(&postfix_backend, SEC_NAME);
    ck_assert_int_eq(postfix_actor.owner(&room_spool, &uid, &gid), 0);
    ck_assert_uint_eq(uid, geteuid() == 0 ? 1234 : geteuid());
    if (geteuid() == 0) {
        ck_assert_uint_eq(gid, 1235);
        ck_assert_int_eq(postfix_actor.claim(&room_spool, room_ref(ID, NULL), 0, 0, 0, &c), CLAIM_REFUSED);
        ck_assert_ptr_nonnull(strstr(c.why, "defer/0/" ID ": belongs to uid 0, the queue to uid 1234"));
        sh("chown 1234 defer/0/*; chown 0 " KEY);
        ck_assert_int_eq(postfix_actor.claim(&room_spool, room_ref(ID, NULL), 0, 0, 0, &c), CLAIM_REFUSED);
        ck_assert_ptr_nonnull(strstr(c.why, "belongs to uid 0"));
        /* Whoever submits owns his file there. */
        ck_assert_int_eq(postfix_actor.claim(&room_spool, room_ref("0D432A0B0C2", NULL), 0, 0, CLAIM_MAILDROP, &c), CLAIM_OK);
        claim_done(&c);
        /* In a case it does not matter. */
        ck_assert_int_eq(postfix_actor.claim(&room_spool, room_ref(ID, NULL), 0, 0, CLAIM_UNLOCKED, &c), CLAIM_OK);
    }
    room_close();
}
END_TEST

START_TEST(twins)
{
    struct claim c;
    struct ref ref;
    struct stat st;

    room_open(AS_WE_ARE, TOOLS DEFERRED "M hold " ID "; L defer " ID);
    room_list(&postfix_backend, SEC_NAME);
    ck_assert_int_eq(postfix_actor.claim(&room_spool, room_ref(ID, "hold"), 0, 0, 0, &c), CLAIM_OK);
    ck_assert_str_eq(parts_of(&c), "hold/" ID);         /* whose log it is nobody knows */
    ck_assert_uint_eq(c.namesakes, 1);
    claim_done(&c);
    /* What counts is what is there now, not when it was listed. */
    ref = *room_ref(ID, "hold");
    ref.twin = false;
    ck_assert_int_eq(postfix_actor.claim(&room_spool, &ref, 0, 0, 0, &c), CLAIM_OK);
    ck_assert_str_eq(parts_of(&c), "hold/" ID);
    claim_done(&c);
    sh("mkdir -p corrupt/0/D; mv " KEY " corrupt/0/D/" ID);
    ck_assert_int_eq(postfix_actor.claim(&room_spool, &ref, 0, 0, 0, &c), CLAIM_OK);
    ck_assert_str_eq(parts_of(&c), "hold/" ID);
    claim_done(&c);
    ck_assert_int_eq(postfix_actor.claim(&room_spool, &ref, 0, 0, CLAIM_UNLOCKED, &c), CLAIM_OK);
    ck_assert_str_eq(parts_of(&c), "hold/" ID " defer/" ID);
    sh("mv corrupt/0/D/" ID " maildrop");
    ck_assert_int_eq(postfix_actor.claim(&room_spool, room_ref(ID, "hold"), 0, 0, 0, &c), CLAIM_OK);
    ck_assert_str_eq(parts_of(&c), "hold/" ID " defer/" ID);
    ck_assert_uint_eq(c.namesakes, 0);
    claim_done(&c);
    sh("mv maildrop/" ID " deferred/0");
    st = room_stat("hold/" ID);
    sh("rm hold/" ID);
    ck_assert_int_eq(postfix_actor.claim(&room_spool, room_ref(ID, "hold"), 0, 0, 0, &c), CLAIM_GONE);
    ck_assert_int_eq(postfix_actor.claim(&room_spool, room_ref(ID, "hold"), st.st_dev, st.st_ino, 0, &c), CLAIM_OTHER);
    room_close();
}
END_TEST

/* --- holding --- */

static const struct {
    const char *name, *made, *id;
    bool on;
    enum hold_result result;
    const char *where;          /* or a piece of why */
} hold_rows[] = {
    { "deferred", DEFERRED, ID, true, HOLD_DO, "hold" },
    { "incoming", "M incoming " ID, ID, true, HOLD_DO, "hold" },
    { "active", "M active " ID, ID, true, HOLD_DO, "hold" },
    { "held", "M hold " ID, ID, true, HOLD_ALREADY, "on hold already" },
    { "corrupt", "M corrupt " ID, ID, true, HOLD_REFUSED, "corrupt" },
    { "maildrop", "M maildrop " ID, ID, true, HOLD_REFUSED, "maildrop" },
    { "hold is hashed", DEFERRED "mkdir -p hold/7/A", ID, true, HOLD_DO, "hold/0/D" },
    { "hold is hashed, long id", "M deferred/A " LONG "; mkdir -p hold/7/7", LONG, true, HOLD_DO, "hold/A/A" },
    { "hold has a file", DEFERRED "M hold 11111111", ID, true, HOLD_DO, "hold" },
    { "release, default", "M hold " ID, ID, false, HOLD_DO, "deferred/0" },
    { "release, hashed", "M hold " ID "; mkdir -p deferred/7/A", ID, false, HOLD_DO, "deferred/0/D" },
    { "release, flat", "M hold " ID "; M deferred 11111111", ID, false, HOLD_DO, "deferred" },
    { "release, as defer is", "M hold " ID "; mkdir -p defer/7/A/7", ID, false, HOLD_DO, "deferred/0/D/4" },
    { "release, level is there", "M hold " ID "; mkdir -p deferred/0", ID, false, HOLD_DO, "deferred/0" },
    { "release, long id", "M hold " LONG, LONG, false, HOLD_DO, "deferred/A" },
    { "release, short id in deep queue", "M hold 12; mkdir -p deferred/A/B/C", "12", false, HOLD_DO, "deferred/1/2/_" },
    { "released", DEFERRED, ID, false, HOLD_ALREADY, "not on hold" },
    { "release, level is a file", "M hold " ID "; echo >deferred/0; M deferred/1 11111111", ID, false, HOLD_REFUSED, "directory" },
    { "release, level is a link", "M hold " ID "; mkdir t; chown -h 1234 t 2>/dev/null || :; ln -s ../t deferred/0; M deferred/1 11111111", ID, false,
      HOLD_REFUSED, "directory" },
    { "nowhere to", "M deferred " ID "; rmdir hold", ID, true, HOLD_REFUSED, "directory hold" },
};

enum { HOLD_ROWS = sizeof(hold_rows) / sizeof(hold_rows[0]) };

START_TEST(holds)
{
    const char *name = hold_rows[_i / USERS].name, *where = hold_rows[_i / USERS].where;
    struct held out = { 0 };
    char commands[1500];
    struct stat before;
    enum hold_result r;
    struct claim c;

    snprintf(commands, sizeof(commands), "%s%s", TOOLS, hold_rows[_i / USERS].made);
    room_open((enum user)(_i % USERS), commands);
    if (strstr(name, "a link"))
        sh(geteuid() == 0 ? "chown -h 1234 deferred/0" : ":");
    room_list(&postfix_backend, SEC_NAME);
    ck_assert_int_eq(postfix_actor.claim(&room_spool, room_ref(hold_rows[_i / USERS].id, NULL), 0, 0, CLAIM_ACTIVE | CLAIM_MAILDROP, &c), CLAIM_OK);
    before = c.parts[0].st;
    r = postfix_actor.hold(&room_spool, &c, BYTES(""), hold_rows[_i / USERS].on, NULL, 7, &out);
    if (strstr(name, "a link") && geteuid() != 0)
        r = HOLD_REFUSED, strcpy(out.why, "directory");     /* a link of our own is configuration */
    ck_assert_msg(r == hold_rows[_i / USERS].result, "%s: %d %s", name, (int)r, out.why);
    if (r == HOLD_DO) {
        struct stat st;

        /* What nobody has tried yet can be told by its time from then on. */
        ck_assert(out.moved && !out.rewritten && out.touch == (hold_rows[_i / USERS].on && c.parts[0].role == PF_INCOMING));
        ck_assert_msg(strcmp(room_spool.dirs[out.dir].path, where) == 0, "%s: %s", name, room_spool.dirs[out.dir].path);
        ck_assert_str_eq(out.name, c.parts[0].name);
        ck_assert_int_eq(file_move(room_spool.dirs[c.parts[0].dir].fd, c.parts[0].name, room_spool.dirs[out.dir].fd, out.name), 0);
        st = room_stat(strcat(strcat(strcpy(commands, where), "/"), out.name));
        ck_assert(st.st_ino == before.st_ino && st.st_mode == before.st_mode && st.st_mtime == before.st_mtime);
        ck_assert(strchr(where, '/') == NULL || fstat(room_spool.dirs[out.dir].fd, &st) == 0);
    } else {
        ck_assert_msg(strstr(out.why, where) != NULL, "%s: %s", name, out.why);
    }
    claim_done(&c);
    room_close();
}
END_TEST

/* What is done to it between the claim and the mark that its server shall return it; and whether it is marked then. */
static const struct { const char *meanwhile, *where; int error; } mark_rows[] = {
    { NULL, KEY, 0 },
    { "mv " KEY " incoming", "incoming/" ID, 0 },
    { "rm " KEY, NULL, ENOENT },
};

START_TEST(marks)
{
    struct claim c;
    time_t before;

    room_open(AS_WE_ARE, TOOLS DEFERRED "touch -d @1000 " KEY);
    room_list(&postfix_backend, SEC_NAME);
    ck_assert_int_eq(postfix_actor.claim(&room_spool, room_ref(ID, NULL), 0, 0, 0, &c), CLAIM_OK);
    before = c.parts[0].st.st_mtime;
    sh(mark_rows[_i].meanwhile);
    ck_assert_int_eq(postfix_bouncer.mark(&room_spool, &c), mark_rows[_i].error);
    if (mark_rows[_i].where) {
        struct stat st = room_stat(mark_rows[_i].where);

        ck_assert(st.st_mode & 0010);
        ck_assert_int_eq(st.st_mtime != before, !mark_rows[_i].meanwhile);
    }
    claim_done(&c);
    room_close();
}
END_TEST

/* Without a lock it is only asked what would happen. */
START_TEST(asking_makes_nothing)
{
    struct held out = { 0 };
    struct claim c;
    struct stat st;

    room_open(AS_WE_ARE, TOOLS "M hold " ID "; mkdir deferred/7");
    room_list(&postfix_backend, SEC_NAME);
    ck_assert_int_eq(postfix_actor.claim(&room_spool, room_ref(ID, NULL), 0, 0, CLAIM_UNLOCKED, &c), CLAIM_OK);
    ck_assert_int_eq(postfix_actor.hold(&room_spool, &c, BYTES(""), false, NULL, 7, &out), HOLD_DO);
    ck_assert(fstatat(room_queue.fd, "deferred/0", &st, 0) < 0);
    claim_done(&c);
    ck_assert_int_eq(postfix_actor.claim(&room_spool, room_ref(ID, NULL), 0, 0, 0, &c), CLAIM_OK);
    ck_assert_int_eq(postfix_actor.hold(&room_spool, &c, BYTES(""), false, NULL, 7, &out), HOLD_DO);
    st = room_stat("deferred/0");
    ck_assert_uint_eq(st.st_mode & 07777, 0700);
    claim_done(&c);
    room_close();
}
END_TEST

/* --- bringing back --- */

static const struct { const char *name, *made, *id, *why; } vacant_rows[] = {
    { "free", "L defer/0 " ID "; M hold " LONG, ID, NULL },
    { "no queues", "rmdir incoming active deferred hold corrupt", ID, NULL },
    { "maildrop", "M maildrop " ID, ID, "maildrop/" ID " exists" },
    { "incoming", "M incoming " ID, ID, "incoming/" ID " exists" },
    { "receiving", "M incoming " ID "; chmod 0600 incoming/" ID, ID, "incoming/" ID " exists" },
    { "active", "M active " ID, ID, "active/" ID " exists" },
    { "deferred", DEFERRED, ID, KEY " exists" },
    { "deferred, flat", "M deferred " ID "; mkdir deferred/0", ID, "deferred/" ID " exists" },
    { "deferred, deep", "M deferred/0/D/4/3 " ID, ID, "deferred/0/D/4/3/" ID " exists" },
    { "deferred, long", "M deferred/A/A " LONG, LONG, "deferred/A/A/" LONG " exists" },
    { "hold", "M hold " ID, ID, "hold/" ID " exists" },
    { "corrupt", "M corrupt " ID, ID, "corrupt/" ID " exists" },
    { "a link", "ln -s /nowhere hold/" ID, ID, "hold/" ID " exists" },
    { "odd id", ":", "../x", "no queue id" },
    { "level", ":", "0", "no queue id" },
    { "none", ":", "", "no queue id" },
};

enum { VACANT_ROWS = sizeof(vacant_rows) / sizeof(vacant_rows[0]) };

START_TEST(vacancy)
{
    char commands[2000], why[256] = "";
    bool free_id;

    snprintf(commands, sizeof(commands), "%s%s", TOOLS, vacant_rows[_i].made);
    room_open(AS_WE_ARE, commands);
    room_list(&postfix_backend, SEC_NAME);
    free_id = postfix_actor.vacant(&room_spool, vacant_rows[_i].id, why);
    ck_assert_msg(free_id == !vacant_rows[_i].why, "%s: %s", vacant_rows[_i].name, why);
    if (vacant_rows[_i].why)
        ck_assert_msg(strstr(why, vacant_rows[_i].why) != NULL, "%s: %s", vacant_rows[_i].name, why);
    room_close();
}
END_TEST

static const struct { const char *name, *made, *from, *id, *to; } place_rows[] = {
    { "same", "mkdir deferred/7", "deferred/0", ID, "deferred/0" },
    { "flat before", "mkdir deferred/7", "deferred", ID, "deferred/0" },
    { "hashed before", "M deferred 11111111", "deferred/0/D", ID, "deferred" },
    { "hold", ":", "hold", ID, "hold" },
    { "hold, hashed by now", "mkdir hold/7", "hold", LONG, "hold/A" },
    { "incoming", ":", "incoming", ID, "incoming" },
    { "log", "mkdir -p defer/7/7", "defer/0", ID, "defer/0/D" },
    { "trace", "mkdir -p trace/7", "trace", ID, "trace/0" },
    { "active", ":", "active", ID, "deferred/0" },          /* nobody manages this queue */
    { "elsewhere", ":", "saved", ID, NULL },
    { "outside", ":", "../deferred", ID, NULL },
    { "odd name", ":", "deferred", "../x", NULL },
};

START_TEST(places)
{
    char dir[256], name[NAME_MAX + 1], why[256] = "", commands[1000];
    struct piece part = { .role = PF_DEFERRED };

    strcpy(part.name, place_rows[_i].id);
    snprintf(commands, sizeof(commands), "%s%s", TOOLS, place_rows[_i].made);
    room_open(AS_WE_ARE, commands);
    room_list(&postfix_backend, SEC_NAME);
    ck_assert_msg(postfix_actor.place(&room_spool, &part, place_rows[_i].from, dir, name, why) == (place_rows[_i].to != NULL), "%s: %s",
                  place_rows[_i].name, why);
    if (place_rows[_i].to) {
        ck_assert_msg(strcmp(dir, place_rows[_i].to) == 0, "%s: %s", place_rows[_i].name, dir);
        ck_assert_str_eq(name, place_rows[_i].id);
    } else {
        ck_assert(why[0] != '\0');
    }
    room_close();
}
END_TEST

/* A process of that name that works in the queue directory, as the queue manager does. */
static struct holder start_qmgr(const char *where)
{
    struct holder h = { fork() };

    ck_assert_int_ge(h.pid, 0);
    if (h.pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (chdir(where) == 0 && prctl(PR_SET_NAME, "qmgr") == 0)
            for (;;)
                pause();
        _exit(1);
    }
    for (;;) {          /* until it has its name */
        char path[64], comm[32] = "";
        FILE *f;

        snprintf(path, sizeof(path), "/proc/%d/comm", (int)h.pid);
        f = fopen(path, "re");
        if (f && fgets(comm, sizeof(comm), f) && strcmp(comm, "qmgr\n") == 0) {
            fclose(f);
            return h;
        }
        if (f)
            fclose(f);
        ck_assert_int_eq(waitpid(h.pid, NULL, WNOHANG), 0);
    }
}

/* What was taken from active may come back when the queue manager began after that. */
START_TEST(memory)
{
    static const struct { const char *where; int seconds; bool settled; } rows[] = {
        { NULL, 0, true }, { "/", 0, true }, { room, 0, false }, { room, -1, true }, { room, -3600, true }, { room, 3600, false },
    };
    struct holder h = { 0 };
    struct piece part = { .role = PF_ACTIVE, .name = ID };
    char dir[256], name[NAME_MAX + 1], why[256] = "";

    room_open(AS_WE_ARE, TOOLS);
    room_list(&postfix_backend, SEC_NAME);
    clock_gettime(CLOCK_REALTIME, &part.st.st_ctim);
    if (rows[_i].where)
        h = start_qmgr(rows[_i].where);
    if (rows[_i].seconds >= 0)
        clock_gettime(CLOCK_REALTIME, &part.st.st_ctim);
    part.st.st_ctim.tv_sec += rows[_i].seconds;
    ck_assert_msg(postfix_actor.settled(&room_spool, &part.st, why) == rows[_i].settled, "%s", why);
    ck_assert(postfix_actor.place(&room_spool, &part, "active", dir, name, why) == rows[_i].settled);
    if (!rows[_i].settled)
        ck_assert_ptr_nonnull(strstr(why, "postfix reload"));
    let_go(h);
    room_close();
}
END_TEST

/* What postconf would have told. */
static struct postfix_spool told(const char *hashed, unsigned depth, bool long_ids)
{
    const int64_t day = 24 * 60 * 60;
    struct postfix_spool own = {
        .settings = { .asked = true, .known = true, .depth = depth, .lifetime = 2 * day, .bounce_lifetime = day / 2, .long_ids = long_ids },
    };

    snprintf(own.settings.hashed, sizeof(own.settings.hashed), "%s", hashed);
    return own;
}

/* Settings count more than what lies on the disk. */
START_TEST(hash_settings)
{
    static const struct { const char *hashed; unsigned depth; const char *from, *to; } rows[] = {
        { "deferred, defer", 2, "hold", "deferred/0/D" }, { "deferred, defer", 2, "deferred", "hold" }, { "", 1, "hold", "deferred" },
        { "defer", 1, "hold", "deferred" }, { "Hold,DEFERRED", 1, "deferred", "hold/0" }, { "deferred", 0, "hold", "deferred" },
    };
    struct postfix_spool own = told(rows[_i].hashed, rows[_i].depth, false);
    struct held out = { 0 };
    char commands[500];
    struct claim c;

    snprintf(commands, sizeof(commands), TOOLS "M %s " ID "; mkdir -p deferred/7/7/7 hold/7/7/7", rows[_i].from);
    room_open(AS_WE_ARE, commands);
    room_list(&postfix_backend, SEC_NAME);
    *(struct postfix_spool *)room_spool.own = own;
    ck_assert_int_eq(postfix_actor.claim(&room_spool, room_ref(ID, NULL), 0, 0, 0, &c), CLAIM_OK);
    ck_assert_int_eq(postfix_actor.hold(&room_spool, &c, BYTES(""), rows[_i].from[0] == 'd', NULL, 7, &out), HOLD_DO);
    ck_assert_str_eq(room_spool.dirs[out.dir].path, rows[_i].to);
    claim_done(&c);
    room_close();
}
END_TEST

static const struct { const char *id; unsigned long ino; bool short_ids; const char *now; } id_rows[] = {
    { ID, 0xA0B0C1, false, NULL }, { ID, 0xABC, false, "0D431ABC" }, { "12345", 7, false, NULL }, { LONG, 7, false, NULL },
    { LONG, 0xABC, true, "AAD80ABC" }, { "000001", 0xfffffffff, false, "00000FFFFFFFFF" },
};

START_TEST(new_ids)
{
    struct postfix_spool own = told("", 1, !id_rows[_i].short_ids);
    struct spool sp = { .own = &own };
    struct stat st = { .st_ino = id_rows[_i].ino };
    char out[64] = "";

    ck_assert_msg(postfix_actor.new_id(&sp, id_rows[_i].id, &st, out) == (id_rows[_i].now != NULL), "%s: %s", id_rows[_i].id, out);
    if (id_rows[_i].now)
        ck_assert_str_eq(out, id_rows[_i].now);
    own.settings.known = false;     /* what is not known stays */
    if (strcmp(id_rows[_i].id, LONG) == 0)
        ck_assert(!postfix_actor.new_id(&sp, LONG, &st, out));
}
END_TEST

static const struct { const char *sender; bool told; int hours; const char *says; } prospect_rows[] = {
    { "a@b", false, 119, NULL },
    { "a@b", false, 120, "5 days old: will bounce at its first failure (maximal_queue_lifetime is usually 5 days)" },
    { "", false, 119, NULL },
    { "", false, 130, "5 days old: a bounce itself, will be dropped at its first failure (bounce_queue_lifetime is usually 5 days)" },
    { "a@b", true, 47, NULL },
    { "a@b", true, 49, "2 days old: will bounce at its first failure (maximal_queue_lifetime is 2 days)" },
    { "", true, 11, NULL },
    { "", true, 12, "0 days old: a bounce itself, will be dropped at its first failure (bounce_queue_lifetime is 12 hours)" },
};

START_TEST(prospects)
{
    struct postfix_spool own = told("", 1, false);
    struct spool sp = { .own = &own };
    struct lq_record r = { 0 };
    char out[256];
    bool says;

    own.settings.known = prospect_rows[_i].told;
    record_reset(&r);
    record_set_number(&r, LQ_ARRIVAL_TIME, 1000000);
    record_set_text(&r, LQ_SENDER, prospect_rows[_i].sender, strlen(prospect_rows[_i].sender));
    r.have = SEC_ALL;
    says = postfix_actor.prospect(&sp, &r, 1000000 + prospect_rows[_i].hours * 3600, out);
    ck_assert(says == (prospect_rows[_i].says != NULL));
    if (says)
        ck_assert_str_eq(out, prospect_rows[_i].says);
    ck_assert(postfix_actor.hold_warning(&sp, out));
    ck_assert_ptr_nonnull(strstr(out, prospect_rows[_i].told ? "older than 2 days" : "older than usually 5 days"));
    record_done(&r);
}
END_TEST

#define COUNT(rows) ((int)(sizeof(rows) / sizeof(rows[0])))

int main(void)
{
    Suite *s = suite_create("postfix_act");
    TCase *t = tcase_create("postfix_act");
    SRunner *sr;
    int failed;

    tcase_set_timeout(t, 60);
    tcase_add_loop_test(t, claims, 0, CLAIM_ROWS * USERS);
    tcase_add_loop_test(t, locks, 0, 3);
    tcase_add_test(t, owners);
    tcase_add_test(t, twins);
    tcase_add_loop_test(t, holds, 0, HOLD_ROWS * USERS);
    tcase_add_loop_test(t, marks, 0, sizeof(mark_rows) / sizeof(mark_rows[0]));
    tcase_add_test(t, asking_makes_nothing);
    tcase_add_loop_test(t, vacancy, 0, VACANT_ROWS);
    tcase_add_loop_test(t, places, 0, COUNT(place_rows));
    tcase_add_loop_test(t, memory, 0, 6);
    tcase_add_loop_test(t, new_ids, 0, COUNT(id_rows));
    tcase_add_loop_test(t, hash_settings, 0, 6);
    tcase_add_loop_test(t, prospects, 0, COUNT(prospect_rows));
    suite_add_tcase(s, t);
    sr = srunner_create(s);
    srunner_run_all(sr, CK_NORMAL);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed ? 1 : 0;
}
