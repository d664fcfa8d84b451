/*
 * Exim's messages claimed, frozen and thawed, and their ids asked for, in small spools in a temporary directory. What freezing
 * writes is what 4.96 and 4.98.2 wrote for the same files.
 */
#include "acting.h"
#include "exim.h"

#define ID "1xUroU-0003xZ-2Y"
#define OLD "1AbCdE-000123-9Z"      /* of 2003 */
#define NEW "1xUs0E-000000000NA-0q2H"

/* H DIR ID [VARIABLES]; D DIR ID: the parts of a small message. */
#define TOOLS                                                                                                    \
    "H() { mkdir -p $1; printf '%s-H\\nalice 1 1\\n<a@b>\\n1795293358 0\\n%sXX\\n1\\nc@d\\n\\n' $2 \"$3\" >$1/$2-H; }\n" \
    "D() { mkdir -p $1; printf '%s-D\\nbody\\n' $2 >$1/$2-D; }\n"                                               \
    "F() { case $1 in */*) mkdir -p ${1%/*}; esac; echo x >$1; }\n"                                                                   \
    "mkdir -p input msglog\n"

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
    const char *id;
};

#define WHOLE "H input " ID "; D input " ID "\n"

static const struct claim_row claim_rows[] = {
    { "whole", WHOLE, NULL, 0, NO_LOCK, NULL, CLAIM_OK, "input/" ID "-H input/" ID "-D", ID },
    { "all parts", WHOLE "F input/" ID "-J; F msglog/" ID, NULL, 0, NO_LOCK, NULL, CLAIM_OK,
      "input/" ID "-H input/" ID "-J msglog/" ID " input/" ID "-D", ID },
    { "split", "H input/U " ID "; D input/U " ID "; F msglog/U/" ID "; F input/U/" ID "-J", NULL, 0, NO_LOCK, NULL, CLAIM_OK,
      "input/U/" ID "-H input/U/" ID "-J msglog/U/" ID " input/U/" ID "-D", ID },
    { "log in the other place", WHOLE "F msglog/U/" ID, NULL, 0, NO_LOCK, NULL, CLAIM_OK, "input/" ID "-H msglog/U/" ID " input/" ID "-D", ID },
    { "log in both places", WHOLE "F msglog/U/" ID "; F msglog/" ID, NULL, 0, NO_LOCK, NULL, CLAIM_OK,
      "input/" ID "-H msglog/U/" ID " msglog/" ID " input/" ID "-D", ID },
    { "named queue", "H slow/input " NEW "; D slow/input " NEW "; F slow/msglog/" NEW "; F msglog/" NEW, NULL, 0, NO_LOCK, NULL, CLAIM_OK,
      "slow/input/" NEW "-H slow/msglog/" NEW " slow/input/" NEW "-D", NEW },
    { "Finput", "H Finput " ID "; D Finput " ID "; F Fmsglog/" ID "; F msglog/" ID, NULL, 0, NO_LOCK, NULL, CLAIM_OK,
      "Finput/" ID "-H Fmsglog/" ID " Finput/" ID "-D", ID },
    { "parts that came later", WHOLE, "F input/" ID "-J; F msglog/" ID, 0, NO_LOCK, NULL, CLAIM_OK,
      "input/" ID "-H input/" ID "-J msglog/" ID " input/" ID "-D", ID },
    { "msglog directory that came later", WHOLE "rmdir msglog", "F msglog/U/" ID, 0, NO_LOCK, NULL, CLAIM_OK,
      "input/" ID "-H msglog/U/" ID " input/" ID "-D", ID },

    { "POSIX lock", WHOLE, NULL, 0, POSIX_WRITE, "input/" ID "-D", CLAIM_BUSY, "delivered", ID },
    { "POSIX read lock", WHOLE, NULL, 0, POSIX_READ, "input/" ID "-D", CLAIM_BUSY, "delivered", ID },
    { "OFD lock", WHOLE, NULL, 0, OFD_WRITE, "input/" ID "-D", CLAIM_BUSY, "delivered", ID },
    { "flock means nothing", WHOLE, NULL, 0, FLOCK_EX, "input/" ID "-D", CLAIM_OK, "input/" ID "-H input/" ID "-D", ID },
    { "a lock on -H means nothing", WHOLE, NULL, 0, POSIX_WRITE, "input/" ID "-H", CLAIM_OK, "input/" ID "-H input/" ID "-D", ID },

    { "finished", WHOLE, "rm input/*", 0, NO_LOCK, NULL, CLAIM_GONE, "not in the queue", ID },
    { "finished, directory and all", "H input/U " ID "; D input/U " ID, "rm -r input/U", 0, NO_LOCK, NULL, CLAIM_GONE, "not in the queue", ID },
    { "directory made anew", "H input/U " ID "; D input/U " ID, "mkdir t; mv input/U/* t; rmdir input/U; mkdir input/U; mv t/* input/U", 0, NO_LOCK, NULL,
      CLAIM_OK, "input/U/" ID "-H input/U/" ID "-D", ID },
    { "moved to the other place", WHOLE, "mkdir input/U; mv input/" ID "* input/U", 0, NO_LOCK, NULL, CLAIM_OK,
      "input/U/" ID "-H input/U/" ID "-D", ID },
    { "moved to Finput", WHOLE "mkdir Finput", "mv input/* Finput", 0, NO_LOCK, NULL, CLAIM_OK, "Finput/" ID "-H Finput/" ID "-D", ID },
    { "moved to a queue", WHOLE "mkdir -p slow/input", "mv input/* slow/input", 0, NO_LOCK, NULL, CLAIM_OK,
      "slow/input/" ID "-H slow/input/" ID "-D", ID },
    { "another message", WHOLE, "cp input/" ID "-D t; mv t input/" ID "-D", 0, NO_LOCK, NULL, CLAIM_OTHER, "another", ID },
    { "rewritten -H is the same message", WHOLE, "cp input/" ID "-H t; mv t input/" ID "-H", 0, NO_LOCK, NULL, CLAIM_OK,
      "input/" ID "-H input/" ID "-D", ID },

    { "no -H, young", "D input " ID, NULL, 0, NO_LOCK, NULL, CLAIM_REFUSED, "being received", ID },
    { "no -H, young, damaged", "D input " ID, NULL, CLAIM_DAMAGED, NO_LOCK, NULL, CLAIM_REFUSED, "being received", ID },
    { "no -H, old", "D input " OLD "; touch -d '3 days ago' input/*", NULL, 0, NO_LOCK, NULL, CLAIM_REFUSED, "being received", OLD },
    { "no -H, old, damaged", "D input " OLD "; F msglog/" OLD "; touch -d '3 days ago' input/*", NULL, CLAIM_DAMAGED, NO_LOCK, NULL, CLAIM_OK,
      "input/" OLD "-D msglog/" OLD, OLD },
    { "no -H, old, damaged, locked", "D input " OLD "; touch -d '3 days ago' input/*", NULL, CLAIM_DAMAGED, POSIX_WRITE, "input/" OLD "-D",
      CLAIM_BUSY, "", OLD },
    { "no -D", "H input " ID, NULL, 0, NO_LOCK, NULL, CLAIM_REFUSED, "no -D", ID },
    { "no -D, damaged", "H input " ID "; F input/" ID "-J", NULL, CLAIM_DAMAGED, NO_LOCK, NULL, CLAIM_OK, "input/" ID "-H input/" ID "-J", ID },
    { "-D and -H apart", "H input " ID "; D input/U " ID, NULL, 0, NO_LOCK, NULL, CLAIM_REFUSED, "no -D", ID },
    { "other name in line 1", "H input " NEW "; mv input/" NEW "-H input/" ID "-H; D input " ID, NULL, 0, NO_LOCK, NULL, CLAIM_REFUSED,
      "own name", ID },
    { "the same, damaged", "H input " NEW "; mv input/" NEW "-H input/" ID "-H; D input " ID, NULL, CLAIM_DAMAGED, NO_LOCK, NULL, CLAIM_OK,
      "input/" ID "-H input/" ID "-D", ID },
    { "empty -H", ">input/" ID "-H; D input " ID, NULL, 0, NO_LOCK, NULL, CLAIM_REFUSED, "own name", ID },

    { "-D a link", WHOLE, "mv input/" ID "-D t; ln -s ../t input/" ID "-D", 0, NO_LOCK, NULL, CLAIM_REFUSED, "not a regular file", ID },
    { "-D a fifo", WHOLE, "rm input/" ID "-D; mkfifo input/" ID "-D", 0, NO_LOCK, NULL, CLAIM_REFUSED, "not a regular file", ID },
    { "-D a directory", WHOLE, "rm input/" ID "-D; mkdir input/" ID "-D", 0, NO_LOCK, NULL, CLAIM_REFUSED, "not a regular file", ID },
    { "-D linked", WHOLE, "ln input/" ID "-D t", 0, NO_LOCK, NULL, CLAIM_REFUSED, "2 links", ID },
    { "-H a link", WHOLE, "mv input/" ID "-H t; ln -s ../t input/" ID "-H", 0, NO_LOCK, NULL, CLAIM_REFUSED, "not a regular file", ID },
    { "-H a fifo", WHOLE, "rm input/" ID "-H; mkfifo input/" ID "-H", 0, NO_LOCK, NULL, CLAIM_REFUSED, "not a regular file", ID },
    { "-H linked", WHOLE, "ln input/" ID "-H t", 0, NO_LOCK, NULL, CLAIM_REFUSED, "2 links", ID },
    { "-J a link", WHOLE, "ln -s /etc/passwd input/" ID "-J", 0, NO_LOCK, NULL, CLAIM_REFUSED, "not a regular file", ID },
    { "-J linked", WHOLE, "F t; ln t input/" ID "-J", 0, NO_LOCK, NULL, CLAIM_REFUSED, "2 links", ID },
    { "log a link", WHOLE, "ln -s /etc/passwd msglog/" ID, 0, NO_LOCK, NULL, CLAIM_REFUSED, "not a regular file", ID },
    { "log a fifo", WHOLE, "mkfifo msglog/" ID, 0, NO_LOCK, NULL, CLAIM_REFUSED, "not a regular file", ID },
    { "asked only: no lock", WHOLE, NULL, CLAIM_DRY, POSIX_WRITE, "input/" ID "-D", CLAIM_OK, "input/" ID "-H input/" ID "-D", ID },
    { "asked only, receiving", "D input " ID, NULL, CLAIM_DRY | CLAIM_DAMAGED, NO_LOCK, NULL, CLAIM_REFUSED, "being received", ID },
    { "asked only, linked", WHOLE, "ln input/" ID "-D t", CLAIM_DRY, NO_LOCK, NULL, CLAIM_REFUSED, "2 links", ID },
    { "in a case: no lock, any links", WHOLE "ln input/" ID "-D t", NULL, CLAIM_UNLOCKED, POSIX_WRITE, "input/" ID "-D", CLAIM_OK,
      "input/" ID "-H input/" ID "-D", ID },
    { "in a case, -D a link", WHOLE, "mv input/" ID "-D t; ln -s ../t input/" ID "-D", CLAIM_UNLOCKED, NO_LOCK, NULL, CLAIM_REFUSED,
      "not a regular file", ID },
};

enum { CLAIM_ROWS = sizeof(claim_rows) / sizeof(claim_rows[0]) };

static struct stat identity_of(const struct ref *ref)
{
    struct stat st = { 0 };

    for (uint32_t i = 0; i < ref->count; i++)
        if ((ref->entries[i].role & 3) == PART_DATA)
            fstatat(room_spool.dirs[ref->entries[i].dir].fd, ref->entries[i].name, &st, AT_SYMLINK_NOFOLLOW);
    return st;
}

static void check_claim(const struct claim_row *row, enum user user)
{
    char commands[3000], why[256];
    const struct ref *ref;
    enum claim_result r;
    struct claim c;
    struct holder h;
    struct stat st;

    snprintf(commands, sizeof(commands), "%s%s", TOOLS, row->before);
    room_open(user, commands);
    room_list(&exim_backend, SEC_NAME);
    ref = room_ref(row->id, NULL);
    st = identity_of(ref);
    if (row->after) {
        snprintf(commands, sizeof(commands), "%s%s", TOOLS, row->after);
        sh(commands);
    }
    h = hold_lock(row->locked, row->kind);
    r = exim_actor.claim(&room_spool, ref, st.st_dev, st.st_ino, row->flags, &c);
    let_go(h);
    snprintf(why, sizeof(why), "%s", c.why);
    ck_assert_msg(r == row->result, "%s: %s (%s)", row->name, result_names[r], why);
    if (r == CLAIM_OK) {
        ck_assert_msg(strcmp(parts_of(&c), row->parts) == 0, "%s: %s", row->name, parts_of(&c));
        for (size_t i = 0; i < c.n; i++)
            if (c.parts[i].role == PART_DATA && !(row->flags & (CLAIM_UNLOCKED | CLAIM_DRY)))
                ck_assert_msg(c.lock >= 0, "%s", row->name);
    } else {
        ck_assert_msg(strstr(why, row->parts) != NULL, "%s: %s", row->name, why);
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

START_TEST(a_claim_locks_as_exim_does)
{
    struct claim c;

    room_open(AS_WE_ARE, TOOLS WHOLE);
    room_list(&exim_backend, SEC_NAME);
    ck_assert(lockable("input/" ID "-D", POSIX_WRITE));
    ck_assert_int_eq(exim_actor.claim(&room_spool, room_ref(ID, NULL), 0, 0, 0, &c), CLAIM_OK);
    ck_assert(!lockable("input/" ID "-D", POSIX_WRITE));
    ck_assert(!lockable("input/" ID "-D", POSIX_READ));
    ck_assert(lockable("input/" ID "-H", POSIX_WRITE));
    claim_done(&c);
    ck_assert(lockable("input/" ID "-D", POSIX_WRITE));
    ck_assert_int_eq(c.lock, -1);
    room_close();
}
END_TEST

/* What belongs to somebody else is not Exim's. */
START_TEST(owners)
{
    struct claim c;
    uid_t uid;
    gid_t gid;

    room_open(AS_WE_ARE, TOOLS WHOLE);
    if (geteuid() == 0)
        sh("chown 1234:1235 input input/*; chown 0 input/*-H");
    room_list(&exim_backend, SEC_NAME);
    ck_assert_int_eq(exim_actor.owner(&room_spool, &uid, &gid), 0);
    ck_assert_uint_eq(uid, geteuid() == 0 ? 1234 : geteuid());
    if (geteuid() == 0) {
        ck_assert_uint_eq(gid, 1235);
        ck_assert_int_eq(exim_actor.claim(&room_spool, room_ref(ID, NULL), 0, 0, 0, &c), CLAIM_REFUSED);
        ck_assert_ptr_nonnull(strstr(c.why, "-H: belongs to uid 0, the queue to uid 1234"));
        sh("chown 1234 input/*-H; chown 0 input/*-D");
        ck_assert_int_eq(exim_actor.claim(&room_spool, room_ref(ID, NULL), 0, 0, 0, &c), CLAIM_REFUSED);
        sh("chown 1234 input/*-D; echo x >input/" ID "-J");
        ck_assert_int_eq(exim_actor.claim(&room_spool, room_ref(ID, NULL), 0, 0, 0, &c), CLAIM_REFUSED);
        sh("chown 1234 input/*-J");
        ck_assert_int_eq(exim_actor.claim(&room_spool, room_ref(ID, NULL), 0, 0, 0, &c), CLAIM_OK);
        claim_done(&c);
    }
    room_close();
}
END_TEST

/* The same id split and unsplit: only the place tells them apart, so each is looked for in its own. */
START_TEST(twins)
{
    struct claim c;

    room_open(AS_WE_ARE, TOOLS WHOLE "H input/U " ID "; D input/U " ID);
    room_list(&exim_backend, SEC_NAME);
    ck_assert_int_eq(exim_actor.claim(&room_spool, room_ref(ID, "input/U"), 0, 0, 0, &c), CLAIM_OK);
    ck_assert_str_eq(parts_of(&c), "input/U/" ID "-H input/U/" ID "-D");
    claim_done(&c);
    /* And their logs share two places, so the last one has them. */
    sh("mkdir -p msglog/U; echo log >msglog/U/" ID);
    ck_assert_int_eq(exim_actor.claim(&room_spool, room_ref(ID, "input/U"), 0, 0, 0, &c), CLAIM_OK);
    ck_assert_str_eq(parts_of(&c), "input/U/" ID "-H input/U/" ID "-D");
    ck_assert_uint_eq(c.namesakes, 1);
    claim_done(&c);
    ck_assert_int_eq(exim_actor.claim(&room_spool, room_ref(ID, "input"), 0, 0, 0, &c), CLAIM_OK);
    ck_assert_str_eq(parts_of(&c), "input/" ID "-H input/" ID "-D");
    claim_done(&c);
    sh("rm input/U/*");
    ck_assert_int_eq(exim_actor.claim(&room_spool, room_ref(ID, "input"), 0, 0, 0, &c), CLAIM_OK);
    ck_assert_str_eq(parts_of(&c), "input/" ID "-H msglog/U/" ID " input/" ID "-D");
    ck_assert_uint_eq(c.namesakes, 0);
    claim_done(&c);
    ck_assert_int_eq(exim_actor.claim(&room_spool, room_ref(ID, "input/U"), 0, 0, 0, &c), CLAIM_GONE);
    room_close();
}
END_TEST

/* --- freezing --- */

#define HEAD ID "-H\nalice 1 1\n<a@b>\n1795293358 0\n"
#define TAIL "XX\n1\nc@d\n\n009  Subject:\n"

static const struct {
    const char *name;
    const char *variables, *held, *released;    /* held: NULL when it is held already; released: of the held one */
} hold_rows[] = {
    { "none", "", "-frozen 7\n", "-manual_thaw\n" },
    { "as received", "-ident a\n-deliver_firsttime\n-tls_resumption A\n", "-ident a\n-deliver_firsttime\n-frozen 7\n-tls_resumption A\n",
      "-ident a\n-deliver_firsttime\n-manual_thaw\n-tls_resumption A\n" },
    { "before N", "-deliver_firsttime\n-N\n-host_lookup_failed\n-spam_score_int 5\n-sender_set_untrusted\n",
      "-deliver_firsttime\n-frozen 7\n-N\n-host_lookup_failed\n-spam_score_int 5\n-sender_set_untrusted\n",
      "-deliver_firsttime\n-N\n-host_lookup_failed\n-spam_score_int 5\n-manual_thaw\n-sender_set_untrusted\n" },
    { "thawed before", "-local\n-manual_thaw\n-tls_ver x\n", "-frozen 7\n-local\n-tls_ver x\n", "-local\n-manual_thaw\n-tls_ver x\n" },
    { "frozen", "-frozen 5\n-local\n", NULL, "-local\n-manual_thaw\n" },
    { "frozen, tainted", "--frozen 5\n-local\n", NULL, "-local\n-manual_thaw\n" },
    { "frozen, quoted", "--(mysql)frozen 5\n", NULL, "-manual_thaw\n" },
    { "frozen, one dash", "-(mysql)frozen 5\n", NULL, "-manual_thaw\n" },
    { "frozen without a blank", "-frozen5\n", NULL, "-manual_thaw\n" },
    { "frozen twice", "-frozen 5\n-local\n-frozen 6\n", NULL, "-local\n-manual_thaw\n" },
    { "both", "-manual_thaw\n-frozen 5\n", NULL, "-manual_thaw\n" },
    { "both, late", "-tls_ver x\n-manual_thaw\n-frozen 5\n", NULL, "-manual_thaw\n-tls_ver x\n" },
    { "thawed twice", "-manual_thaw\n-local\n-manual_thaw\n", "-frozen 7\n-local\n", "-local\n-manual_thaw\n" },
    { "unknown", "-some_new 5\n-tls_ver x\n-other_new\n", "-some_new 5\n-frozen 7\n-tls_ver x\n-other_new\n",
      "-some_new 5\n-manual_thaw\n-tls_ver x\n-other_new\n" },
    { "data that looks like it", "-aclc x 11\n-frozen 1\nX\n-aclm y 0\n\n-local\n", "-aclc x 11\n-frozen 1\nX\n-aclm y 0\n\n-frozen 7\n-local\n",
      "-aclc x 11\n-frozen 1\nX\n-aclm y 0\n\n-local\n-manual_thaw\n" },
    { "old data", "-acl 3 13\n-manual_thaw\n\n", "-acl 3 13\n-manual_thaw\n\n-frozen 7\n", "-acl 3 13\n-manual_thaw\n\n-manual_thaw\n" },
};

enum { HOLD_ROWS = sizeof(hold_rows) / sizeof(hold_rows[0]) };

/* A claim as hold() wants it, without a file behind. */
static struct claim made_claim(const char *name, const char *path)
{
    static struct spool_dir dir;
    struct claim c = { .n = 1, .lock = -1, .lock2 = -1 };

    dir = (struct spool_dir){ .path = (char *)path, .fd = -1, .queue_name = "default" };
    room_spool = (struct spool){ .backend = &exim_backend, .dirs = &dir, .dir_count = 1 };
    c.parts[0].role = PART_HEADER;
    strcpy(c.parts[0].name, name);
    return c;
}

static enum hold_result hold_bytes(struct bytes key, bool on, struct held *out)
{
    struct claim c = made_claim(ID "-H", "input");

    return exim_actor.hold(&room_spool, &c, key, on, NULL, 7, out);
}

static struct bytes bytes_of(const struct buf *b)
{
    return bytes_from(b->p, b->n);
}

static void assert_bytes(const char *name, const struct buf *got, const char *variables)
{
    char text[2000];

    snprintf(text, sizeof(text), "%s%s%s", HEAD, variables, TAIL);
    ck_assert_msg(bytes_eq(bytes_of(got), bytes_from(text, strlen(text))), "%s:\n%.*s", name, (int)got->n, got->p);
}

START_TEST(holds)
{
    struct held on = { 0 }, off = { 0 };
    struct bytes key;
    char text[2000];

    snprintf(text, sizeof(text), "%s%s%s", HEAD, hold_rows[_i].variables, TAIL);
    key = bytes_from(text, strlen(text));
    if (hold_rows[_i].held) {
        ck_assert_msg(hold_bytes(key, false, &off) == HOLD_ALREADY, "%s", hold_rows[_i].name);
        ck_assert_int_eq(hold_bytes(key, true, &on), HOLD_DO);
        ck_assert(on.rewritten && !on.moved && !on.touch);
        assert_bytes(hold_rows[_i].name, &on.bytes, hold_rows[_i].held);
        key = bytes_of(&on.bytes);
    }
    ck_assert_msg(hold_bytes(key, false, &off) == HOLD_DO, "%s: %s", hold_rows[_i].name, off.why);
    assert_bytes(hold_rows[_i].name, &off.bytes, hold_rows[_i].released);
    ck_assert_int_eq(hold_bytes(key, true, &off), HOLD_ALREADY);
    ck_assert_uint_eq(off.bytes.n, 0);
    buf_done(&on.bytes);
    buf_done(&off.bytes);
}
END_TEST

/* Every byte that is not ours stays: NULs in data, 8-bit, what has no LF at its end. */
START_TEST(hold_keeps_all_bytes)
{
    static const char key[] = HEAD "-aclm \xff 6\n\0\xfe\nXX\0\n-local\nYN a\xe9@b\nNN |x y\n1\nc@d\n\n013* \xff\n-frozen 1\n\n001  x";
    static const char held[] = HEAD "-aclm \xff 6\n\0\xfe\nXX\0\n-frozen 7\n-local\nYN a\xe9@b\nNN |x y\n1\nc@d\n\n013* \xff\n-frozen 1\n\n001  x";
    struct held out = { 0 };

    ck_assert_msg(hold_bytes(bytes_from(key, sizeof(key) - 1), true, &out) == HOLD_DO, "%s", out.why);
    ck_assert(bytes_eq(bytes_of(&out.bytes), bytes_from(held, sizeof(held) - 1)));
    buf_done(&out.bytes);
}
END_TEST

static const struct { const char *name, *text; } refused_rows[] = {
    { "empty", "" },
    { "another's name", "1xUroU-0003xZ-2Z-H\nalice 1 1\n<a@b>\n1 0\n" TAIL },
    { "no sender", ID "-H\nalice 1 1\na@b\n1 0\n" TAIL },
    { "ACL length too long", HEAD "-aclm x 9999\n" TAIL },
    { "ACL length negative", HEAD "-aclm x -5\n" TAIL },
    { "ACL length too short", HEAD "-aclm x 1\nabc\n" TAIL },
    { "frozen without a time", HEAD "-frozen\n" TAIL },
    { "frozen something", HEAD "-frozen_x 5\n" TAIL },
    { "COUNT negative", HEAD "XX\n-1\nc@d\n\n" },
    { "COUNT too high", HEAD "XX\n2\nc@d\n\n" },
    { "more than Exim reads", HEAD "XX\n16385\nc@d\n\n" },
    { "header cut", HEAD "XX\n1\nc@d\n\n099  Subject:\n" },
    { "envelope cut", HEAD "-local\nXX\n1\nc@d" },
    { "CRLF", ID "-H\r\nalice 1 1\r\n" },
};

enum { REFUSED_ROWS = sizeof(refused_rows) / sizeof(refused_rows[0]) };

START_TEST(damaged_is_not_rewritten)
{
    struct held out = { 0 };
    struct bytes key = bytes_from(refused_rows[_i].text, strlen(refused_rows[_i].text));

    for (int on = 0; on < 2; on++) {
        ck_assert_msg(hold_bytes(key, on, &out) == HOLD_REFUSED, "%s", refused_rows[_i].name);
        ck_assert_msg(out.why[0] != '\0', "%s", refused_rows[_i].name);
        ck_assert(!out.rewritten);
        ck_assert_uint_eq(out.bytes.n, 0);
    }
    buf_done(&out.bytes);
}
END_TEST

START_TEST(hold_of_places)
{
    struct claim c = made_claim(ID "-H", "slow/Finput/U");
    struct held out = { 0 };

    ck_assert_int_eq(exim_actor.hold(&room_spool, &c, BYTES(HEAD TAIL), true, NULL, 7, &out), HOLD_ALREADY);
    ck_assert_int_eq(exim_actor.hold(&room_spool, &c, BYTES(HEAD TAIL), false, NULL, 7, &out), HOLD_REFUSED);
    c = made_claim(ID "-D", "input");
    c.parts[0].role = PART_DATA;
    ck_assert_int_eq(exim_actor.hold(&room_spool, &c, BYTES(""), true, NULL, 7, &out), HOLD_REFUSED);
    buf_done(&out.bytes);
}
END_TEST

/* --- bringing back --- */

static const struct { const char *name, *made, *id; const char *why; } vacant_rows[] = {
    { "free", "F msglog/" ID, ID, NULL },
    { "no spool at all", "rmdir input", ID, NULL },
    { "-H", "H input " ID, ID, "input/" ID "-H exists" },
    { "-D", "D input " ID, ID, "input/" ID "-D exists" },
    { "-J", "F input/" ID "-J", ID, "input/" ID "-J exists" },
    { "split", "D input/U " ID, ID, "input/U/" ID "-D exists" },
    { "another's place", "D input/x " ID, ID, NULL },
    { "Finput", "D Finput " ID, ID, "Finput/" ID "-D exists" },
    { "Finput, split", "H Finput/U " ID, ID, "Finput/U/" ID "-H exists" },
    { "queue", "H slow/input " ID, ID, "slow/input/" ID "-H exists" },
    { "queue's Finput", "mkdir -p slow/input; H slow/Finput/U " ID, ID, "slow/Finput/U/" ID "-H exists" },
    { "a link", "ln -s /nowhere input/" ID "-H", ID, "input/" ID "-H exists" },
    { "another id", "H input " NEW, ID, NULL },
    { "new id", "H input " NEW, NEW, "input/" NEW "-H exists" },
    { "odd id", "true", "../../etc/passwd", "none that Exim gives" },
    { "odd id of the right length", "true", "1xUroU-0003xZ-2/", "none that Exim gives" },
};

enum { VACANT_ROWS = sizeof(vacant_rows) / sizeof(vacant_rows[0]) };

START_TEST(vacancy)
{
    char commands[2000], why[256] = "";
    bool free_id;

    snprintf(commands, sizeof(commands), "%s%s", TOOLS, vacant_rows[_i].made);
    room_open(AS_WE_ARE, commands);
    room_list(&exim_backend, SEC_NAME);
    free_id = exim_actor.vacant(&room_spool, vacant_rows[_i].id, why);
    ck_assert_msg(free_id == !vacant_rows[_i].why, "%s: %s", vacant_rows[_i].name, why);
    if (vacant_rows[_i].why)
        ck_assert_msg(strstr(why, vacant_rows[_i].why) != NULL, "%s: %s", vacant_rows[_i].name, why);
    room_close();
}
END_TEST

static const struct { const char *made, *from, *to; } place_rows[] = {
    { "true", "input", "input" },
    { "mkdir input/U", "input/U", "input/U" },
    { "true", "input/U", "input" },                     /* split_spool_directory was switched off */
    { "true", "slow/input/U", "slow/input/U" },         /* the engine makes it */
    { "mkdir -p slow/input", "slow/input/U", "slow/input" },
    { "true", "msglog/U", "msglog" },
};

START_TEST(places)
{
    struct piece part = { .role = PART_HEADER, .name = ID "-H" };
    char dir[256], name[NAME_MAX + 1], why[256], commands[1000];

    snprintf(commands, sizeof(commands), "%s%s", TOOLS, place_rows[_i].made);
    room_open(AS_WE_ARE, commands);
    room_list(&exim_backend, SEC_NAME);
    ck_assert(exim_actor.place(&room_spool, &part, place_rows[_i].from, dir, name, why));
    ck_assert_str_eq(dir, place_rows[_i].to);
    ck_assert_str_eq(name, ID "-H");
    room_close();
}
END_TEST

START_TEST(a_restored_body_is_locked)
{
    struct piece data = { .role = PART_DATA, .name = ID "-D" }, header = { .role = PART_HEADER, .name = ID "-H" };
    int fd;

    room_open(AS_WE_ARE, TOOLS WHOLE);
    room_list(&exim_backend, SEC_NAME);
    fd = openat(room_queue.fd, "input/" ID "-D", O_RDWR);
    ck_assert_int_eq(exim_actor.lock(&header, fd), 0);
    ck_assert(lockable("input/" ID "-D", POSIX_WRITE));
    ck_assert_int_eq(exim_actor.lock(&data, fd), 0);
    ck_assert(!lockable("input/" ID "-D", POSIX_WRITE));
    close(fd);
    ck_assert(lockable("input/" ID "-D", POSIX_WRITE));
    room_close();
}
END_TEST

enum { HOUR = 60 * 60, DAY = 24 * HOUR };

static const struct { const char *sender; bool frozen, told; int timeout, age; const char *says; } prospect_rows[] = {
    { "a@b", false, false, 0, 3 * DAY, NULL },
    { "a@b", false, false, 0, 5 * DAY, "5 days old: will bounce at its first failure where the retry rule has ended by now (usually after 4 days); "
                                       "if frozen, where timeout_frozen_after has passed" },
    { "a@b", true, true, 0, 3 * DAY, NULL },
    { "a@b", true, true, 0, 5 * DAY, "5 days old: will bounce at its first failure where the retry rule has ended by now (usually after 4 days)" },
    { "a@b", true, true, 7 * DAY, 6 * DAY, "6 days old: will bounce at its first failure where" },
    { "a@b", true, true, 7 * DAY, 7 * DAY, "7 days old and frozen: the next queue run will bounce it (timeout_frozen_after = 7d)" },
    { "", true, true, 36 * HOUR, 2 * DAY, "2 days old and frozen: the next queue run will drop it (timeout_frozen_after = 36h)" },
    { "a@b", false, true, 36 * HOUR, 2 * DAY, NULL },
};

enum { PROSPECT_ROWS = sizeof(prospect_rows) / sizeof(prospect_rows[0]) };

START_TEST(prospects)
{
    struct exim_spool own = { .settings = { .asked = true, .known = prospect_rows[_i].told, .frozen = prospect_rows[_i].timeout } };
    struct spool sp = { .own = &own };
    struct lq_record r = { 0 };
    char out[256];
    bool says;

    record_reset(&r);
    record_set_number(&r, LQ_ARRIVAL_TIME, 1000000);
    record_set_text(&r, LQ_SENDER, prospect_rows[_i].sender, strlen(prospect_rows[_i].sender));
    record_set_state(&r, prospect_rows[_i].frozen ? STATE_HELD : STATE_DEFERRED);
    r.have = SEC_ALL;
    says = exim_actor.prospect(&sp, &r, 1000000 + prospect_rows[_i].age, out);
    ck_assert(says == (prospect_rows[_i].says != NULL));
    if (says)
        ck_assert_msg(strncmp(out, prospect_rows[_i].says, strlen(prospect_rows[_i].says)) == 0, "%s", out);
    record_done(&r);
}
END_TEST

static const struct { bool told; int timeout, thaw; const char *says; } warning_rows[] = {
    { false, 0, 0, "where auto_thaw or timeout_frozen_after is set" },
    { true, 0, 0, NULL },
    { true, 7 * DAY, 0, "timeout_frozen_after = 7d" },
    { true, 0, 90 * 60, "auto_thaw = 90m" },
    { true, 7 * DAY, DAY, "auto_thaw = 1d" },
    { true, DAY, 7 * DAY, "timeout_frozen_after = 1d" },
};

START_TEST(warnings)
{
    struct exim_spool own = {
        .settings = { .asked = true, .known = warning_rows[_i].told, .frozen = warning_rows[_i].timeout, .thaw = warning_rows[_i].thaw },
    };
    struct spool sp = { .own = &own };
    char out[256];
    bool says = exim_actor.hold_warning(&sp, out);

    ck_assert(says == (warning_rows[_i].says != NULL));
    if (says)
        ck_assert_msg(strstr(out, warning_rows[_i].says) != NULL, "%s", out);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("exim_act");
    TCase *t = tcase_create("exim_act");
    SRunner *sr;
    int failed;

    tcase_set_timeout(t, 60);
    tcase_add_loop_test(t, claims, 0, CLAIM_ROWS * USERS);
    tcase_add_test(t, a_claim_locks_as_exim_does);
    tcase_add_test(t, owners);
    tcase_add_test(t, twins);
    tcase_add_loop_test(t, holds, 0, HOLD_ROWS);
    tcase_add_test(t, hold_keeps_all_bytes);
    tcase_add_loop_test(t, damaged_is_not_rewritten, 0, REFUSED_ROWS);
    tcase_add_test(t, hold_of_places);
    tcase_add_loop_test(t, vacancy, 0, VACANT_ROWS);
    tcase_add_loop_test(t, places, 0, sizeof(place_rows) / sizeof(place_rows[0]));
    tcase_add_test(t, a_restored_body_is_locked);
    tcase_add_loop_test(t, prospects, 0, PROSPECT_ROWS);
    tcase_add_loop_test(t, warnings, 0, sizeof(warning_rows) / sizeof(warning_rows[0]));
    suite_add_tcase(s, t);
    sr = srunner_create(s);
    srunner_run_all(sr, CK_NORMAL);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed ? 1 : 0;
}
