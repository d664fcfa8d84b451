/* Sendmail: what can be claimed, what hold and release make of control files, where messages may come back. */
#include <sys/file.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "engine.h"
#include "sendmail.h"
#include "sendmail_places.h"
#include "tree.h"

/* --- a queue in a few words --- */

#define HEAD "V8\nT1773066336\nK0\nN0\n"
#define TAIL "S<a@b>\nRP:<x@y>\nH??Subject: s\n\tfolded\n.\n"
#define QF HEAD TAIL
#define TRIED "V8\nT1773066336\nK1773066400\nN2\n" TAIL
#define HELD HEAD "qticket 7\n" TAIL

static const struct { const char *word, *text; } contents[] = {
    { "qf", QF }, { "tried", TRIED }, { "held", HELD }, { "body", "text\n" }, { "none", "" },
    { "cut", "V8\nT1\nS<a@b>\n" }, { "V9", "V9\nT1\nS<a@b>\nRP:<x@y>\n.\n" }, { "nobody", "V8\nT1\nS<a@b>\n.\n" },
    { "d=q2", "V8\nT1\nN0\ndq2\nS<a@b>\nRP:<x@y>\n.\n" }, { "d=.", "V8\nT1\nN0\nd.\nS<a@b>\nRP:<x@y>\n.\n" },
    { "d=q9", "V8\nT1\nN0\ndq9\nS<a@b>\nRP:<x@y>\n.\n" },
};

/* "PATH/" a directory, "PATH WORD" a file of contents[], "PATH -> TARGET" a symlink, "PATH = OTHER" a hard link, "PATH |" a fifo. */
static void build_line(char *line)
{
    char *path = line, *what = strchr(line, ' ');

    if (!what) {
        ck_assert_int_eq(mkdir(at(path), 0700), 0);
        return;
    }
    *what++ = '\0';
    if (strncmp(what, "-> ", 3) == 0) {
        ck_assert_int_eq(symlink(what + 3, at(path)), 0);
    } else if (strncmp(what, "= ", 2) == 0) {
        ck_assert_int_eq(link(at(what + 2), at(path)), 0);
    } else if (strcmp(what, "|") == 0) {
        ck_assert_int_eq(mkfifo(at(path), 0600), 0);
    } else {
        size_t i = 0;

        while (i < sizeof(contents) / sizeof(contents[0]) && strcmp(contents[i].word, what) != 0)
            i++;
        ck_assert_msg(i < sizeof(contents) / sizeof(contents[0]), "no content %s", what);
        put(path, contents[i].text);
    }
}

static void build(const char *script)
{
    char *copy = strdup(script), *save = NULL;

    for (char *line = strtok_r(copy, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
        build_line(line);
    free(copy);
}

/* As the engine does it: the directories are listed, no message. */
static struct lq_queue *queue;

static void open_spool(struct spool *sp)
{
    ck_assert_int_eq(lq_queue_open(&queue, "sendmail", root, NULL, NULL), LQ_OK);
    ck_assert_int_eq(listing_dirs(sp, queue, NULL), LQ_OK);
}

static void close_spool(struct spool *sp)
{
    listing_end(sp);
    lq_queue_close(queue);
}

static unsigned role_of_name(const char *name)
{
    unsigned role = 0;

    while (role < ROLE_COUNT && sendmail_role_letters[role] != name[0])
        role++;
    ck_assert_uint_lt(role, ROLE_COUNT);
    return role;
}

/* The message as it was selected, by the path of its key: whatever has become of that since. */
static enum claim_result claim_path(struct spool *sp, const char *key, const struct stat *body, unsigned flags, struct claim *c)
{
    const char *slash = strrchr(key, '/'), *name = slash ? slash + 1 : key;
    char dir[300];
    struct entry e = { .name = name, .id = name + 2, .id_len = (uint8_t)(strlen(name) - 2), .role = (uint8_t)role_of_name(name) };
    struct ref ref = { &e, 1, false };
    size_t index;

    snprintf(dir, sizeof(dir), "%.*s", (int)(slash ? slash - key : 0), key);
    ck_assert_int_eq(spool_dir(sp, dir, &index), 0);
    e.dir = (uint16_t)index;
    return sendmail_actor.claim(sp, &ref, body ? body->st_dev : 0, body ? body->st_ino : 0, flags, c);
}

static void tell_claim(const struct spool *sp, enum claim_result r, const struct claim *c, struct buf *out)
{
    static const char *const words[] = { "ok", "gone", "busy", "other", "refused" };

    buf_printf(out, "%s", words[r]);
    if (r != CLAIM_OK) {
        buf_printf(out, ": %s", c->why);
        ck_assert_int_eq(c->lock, -1);
    } else {
        buf_printf(out, " %s", state_names[c->state]);
        for (size_t i = 0; i < c->n; i++)
            buf_printf(out, " %s%s%s", sp->dirs[c->parts[i].dir].path, *sp->dirs[c->parts[i].dir].path ? "/" : "", c->parts[i].name);
    }
    buf_add_char(out, '\0');
}

static void expect_claim(const char *key, const struct stat *body, unsigned flags, const char *expected)
{
    struct spool sp;
    struct buf told = { 0 };
    struct claim c;

    open_spool(&sp);
    tell_claim(&sp, claim_path(&sp, key, body, flags, &c), &c, &told);
    ck_assert_msg(strcmp(told.p, expected) == 0, "got\n%s\ninstead of\n%s", told.p, expected);
    buf_done(&told);
    claim_done(&c);
    close_spool(&sp);
}

/* --- what can be claimed --- */

enum { D = CLAIM_DAMAGED, U = CLAIM_UNLOCKED };

static const struct { const char *name, *build, *key; unsigned flags; const char *expected; } claim_rows[] = {
    { "plain", "qf1 qf\ndf1 body\nqf11 qf\ndf11 body", "qf1", 0, "ok incoming qf1 df1" },
    { "tried", "qf1 tried\ndf1 body", "qf1", 0, "ok deferred qf1 df1" },
    { "held", "hf1 held\ndf1 body", "hf1", 0, "ok held hf1 df1" },
    { "held, not yet moved", "qf1 held\ndf1 body", "qf1", 0, "ok held qf1 df1" },
    { "empty body", "qf1 qf\ndf1 none", "qf1", 0, "ok incoming qf1 df1" },
    { "transcript", "qf1 qf\ndf1 body\nxf1 body", "qf1", 0, "ok incoming qf1 df1 xf1" },
    { "transcripts elsewhere", "xf/\nq1/\nq1/xf/\nq2/\nq1/qf1 qf\nq1/df1 body\nq1/xf/xf1 body\nq2/xf1 none\nxf/xf1 none", "q1/qf1", 0,
      "ok incoming q1/qf1 q1/df1 q1/xf/xf1 xf/xf1 q2/xf1" },
    { "a transcript that is none", "qf1 qf\ndf1 body\nxf1 -> /etc/passwd", "qf1", 0, "ok incoming qf1 df1" },
    { "a transcript with links", "qf1 qf\ndf1 body\nxf1 body\nother = xf1", "qf1", 0, "ok incoming qf1 df1" },
    { "an old Tf goes along", "qf1 qf\ndf1 body\nTf1 cut", "qf1", 0, "ok incoming qf1 df1 Tf1" },
    { "type directories", "qf/\ndf/\nxf/\nqf/qf1 qf\ndf/df1 body\nxf/xf1 body", "qf/qf1", 0, "ok incoming qf/qf1 df/df1 xf/xf1" },
    { "only df has one", "df/\nqf1 qf\ndf/df1 body", "qf1", 0, "ok incoming qf1 df/df1" },
    { "d names another directory", "q1/\nq2/\nq2/df/\nq1/qf1 d=q2\nq2/df/df1 body", "q1/qf1", 0, "ok incoming q1/qf1 q2/df/df1" },
    { "d names the base", "q1/\nq1/qf1 d=.\ndf1 body", "q1/qf1", 0, "ok incoming q1/qf1 df1" },
    { "two bodies: the one that d names first", "q1/\nq2/\nq1/qf1 d=q2\nq1/df1 body\nq2/df1 body", "q1/qf1", 0, "ok incoming q1/qf1 q2/df1 q1/df1" },
    { "body elsewhere", "q1/\nq2/\nq1/qf1 qf\nq2/df1 body", "q1/qf1", 0, "ok incoming q1/qf1 q2/df1" },
    { "d leads nowhere", "q1/\nq1/qf1 d=q9\nq1/df1 body", "q1/qf1", 0, "ok incoming q1/qf1 q1/df1" },
    { "no body", "qf1 qf", "qf1", 0, "ok incoming qf1" },
    { "shared body", "qf1 qf\ndf1 body\nqf2 qf\ndf2 = df1", "qf1", 0, "ok incoming qf1 df1" },
    { "ids of 18 bytes", "qf123456789012345678 qf\ndf123456789012345678 body", "qf123456789012345678", 0,
      "ok incoming qf123456789012345678 df123456789012345678" },
    { "ids that sendmail would not take", "qf12345678901234567890123 qf\ndf12345678901234567890123 body", "qf12345678901234567890123", 0,
      "ok incoming qf12345678901234567890123 df12345678901234567890123" },
    /* It is elsewhere now. */
    { "held meanwhile", "hf1 held\ndf1 body", "qf1", 0, "ok held hf1 df1" },
    { "released meanwhile", "qf1 qf\ndf1 body", "hf1", 0, "ok incoming qf1 df1" },
    { "came while only its body was there", "qf1 qf\ndf1 body", "df1", 0, "ok incoming qf1 df1" },
    { "moved to another directory", "q1/\nq2/\nq2/qf1 qf\nq2/df1 body", "q1/qf1", 0, "ok incoming q2/qf1 q2/df1" },
    { "finished", "df2 body", "qf1", 0, "gone: it has left the queue" },
    { "finished but for the transcript", "xf1 body", "qf1", 0, "gone: it has left the queue" },
    /* Not to be touched. */
    { "being received", "qf1 none\ndf1 body", "qf1", 0, "refused: qf1: empty: being received" },
    { "being received, damaged or not", "qf1 none\ndf1 body", "qf1", D, "refused: qf1: empty: being received" },
    { "body only", "df1 body", "df1", D, "refused: df1: a body without control file: being received, finished at this moment, or left over" },
    { "tf only", "tf1 qf\ndf1 body", "tf1", D, "refused: tf1: only this temporary control file is left" },
    { "tf beside it", "qf1 qf\ndf1 body\ntf1 cut", "qf1", D, "refused: a temporary control file tf1 stands beside it" },
    { "both", "qf1 qf\nhf1 held\ndf1 body", "qf1", D,
      "refused: both qf1 and hf1 exist: a hold or release is under way or was interrupted, or two messages have one id" },
    { "both, the other asked", "qf1 qf\nhf1 held\ndf1 body", "hf1", 0,
      "refused: both hf1 and qf1 exist: a hold or release is under way or was interrupted, or two messages have one id" },
    { "twins", "q1/\nq2/\nq1/qf1 qf\nq1/df1 body\nq2/qf1 qf\nq2/df1 body", "q2/qf1", 0,
      "refused: both q2/qf1 and q1/qf1 exist: a hold or release is under way or was interrupted, or two messages have one id" },
    { "lost", "Qf1 qf\ndf1 body", "Qf1", 0, "refused: Qf1: sendmail set this control file aside" },
    { "lost, asked for", "Qf1 qf\ndf1 body", "Qf1", D, "ok corrupt Qf1 df1" },
    { "cut", "qf1 cut\ndf1 body", "qf1", 0, "refused: qf1: no terminator: it was cut, or never finished" },
    { "cut, asked for", "qf1 cut\ndf1 body", "qf1", D, "ok incomplete qf1 df1" },
    { "newer version", "qf1 V9\ndf1 body", "qf1", 0, "refused: qf1: sendmail would refuse this control file" },
    { "no recipient, asked for", "qf1 nobody\ndf1 body", "qf1", D, "ok corrupt qf1 df1" },
    /* Hostile. */
    { "symlink", "qf1 -> /etc/passwd\ndf1 body", "qf1", D, "refused: qf1: not a regular file" },
    { "symlink to a message", "qf2 qf\nqf1 -> qf2\ndf1 body", "qf1", 0, "refused: qf1: not a regular file" },
    { "fifo", "qf1 |\ndf1 body", "qf1", D, "refused: qf1: not a regular file" },
    { "directory", "qf1/\ndf1 body", "qf1", D, "refused: qf1: not a regular file" },
    { "hard link", "qf1 qf\ndf1 body\nother = qf1", "qf1", D, "refused: qf1: it has 2 links" },
    { "body is a symlink", "qf1 qf\ndf1 -> /etc/passwd", "qf1", D, "refused: df1: not a regular file" },
    { "body is a fifo", "qf1 qf\ndf1 |", "qf1", D, "refused: df1: not a regular file" },
    { "second control file is a symlink", "qf1 qf\nhf1 -> qf1\ndf1 body", "qf1", D,
      "refused: both qf1 and hf1 exist: a hold or release is under way or was interrupted, or two messages have one id" },
    { "Tf with links", "qf1 qf\ndf1 body\nTf1 cut\nother = Tf1", "qf1", 0, "refused: Tf1: it has 2 links" },
    /* In a case nobody locks, and what an interrupted job left is met. */
    { "case", "qf1 qf\ndf1 body\nxf1 body", "qf1", U, "ok incoming qf1 df1 xf1" },
    { "case: damaged", "qf1 cut\ndf1 body", "qf1", U, "ok incomplete qf1 df1" },
    { "case: empty", "qf1 none\ndf1 body", "qf1", U, "ok incomplete qf1 df1" },
    { "case: linked parts", "qf1 qf\ndf1 body\nTf1 cut\nother = Tf1", "qf1", U, "ok incoming qf1 df1 Tf1" },
    { "case: symlink", "qf1 -> /etc/passwd\ndf1 body", "qf1", U, "refused: qf1: not a regular file" },
};

START_TEST(claims)
{
    build(claim_rows[_i].build);
    expect_claim(claim_rows[_i].key, NULL, claim_rows[_i].flags, claim_rows[_i].expected);
}
END_TEST

START_TEST(identity)
{
    struct stat body, other;

    build("qf1 qf\ndf1 body\nqf2 qf\ndf2 body\nq2/\nq1/\nq1/qf3 qf\nq2/df3 body");
    ck_assert_int_eq(stat(at("df1"), &body), 0);
    ck_assert_int_eq(stat(at("df2"), &other), 0);
    expect_claim("qf1", &body, 0, "ok incoming qf1 df1");
    expect_claim("qf1", &other, 0, "other: another message has its id now");
    unlink(at("df1"));
    expect_claim("qf1", &body, 0, "refused: its body is gone");
    ck_assert_int_eq(stat(at("q2/df3"), &body), 0);
    expect_claim("q1/qf3", &body, 0, "ok incoming q1/qf3 q2/df3");
    body.st_dev++;
    expect_claim("q1/qf3", &body, 0, "other: another message has its id now");
}
END_TEST

/* A link of a file that is nobody's message, in a directory that others may write. */
START_TEST(foreign_bodies)
{
    build("qf1 qf\nother body\nqf2 qf\ndf2 body\nqf3 qf\ndf3 = df2");
    ck_assert_int_eq(chmod(at("other"), 0755), 0);
    ck_assert_int_eq(link(at("other"), at("df1")), 0);
    expect_claim("qf1", NULL, 0, "refused: df1: a link to a file that is no message's");
    if (geteuid() != 0) {
        fprintf(stderr, "SKIP check_sendmail_act foreign_bodies: not root\n");
        return;
    }
    ck_assert_int_eq(chown(at(""), 0, 4711), 0);
    ck_assert_int_eq(chmod(at(""), 02770), 0);
    expect_claim("qf2", NULL, 0, "refused: df2: a link to a file that is no message's");
    ck_assert_int_eq(chown(at("df2"), 0, 4711), 0);
    expect_claim("qf2", NULL, 0, "ok incoming qf2 df2");
}
END_TEST

/* --- locks --- */

enum kind { BY_FLOCK, BY_POSIX, BY_OFD };

static int take_lock(int fd, enum kind kind)
{
    struct flock whole = { .l_type = F_WRLCK };

    switch (kind) {
    case BY_FLOCK:
        return flock(fd, LOCK_EX | LOCK_NB);
    case BY_POSIX:
        return fcntl(fd, F_SETLK, &whole);
    default:
        return fcntl(fd, F_OFD_SETLK, &whole);
    }
}

/* A process that holds a lock until the descriptor that comes back is closed. */
static int hold_lock(const char *path, enum kind kind, pid_t *pid)
{
    int ready[2], end[2];
    char byte;

    ck_assert_int_eq(pipe(ready), 0);
    ck_assert_int_eq(pipe(end), 0);
    *pid = fork();
    if (*pid == 0) {
        int fd = open(at(path), O_RDWR);

        close(end[1]);
        if (take_lock(fd, kind) == 0)
            (void)!write(ready[1], "x", 1);
        (void)!read(end[0], &byte, 1);
        _exit(0);
    }
    ck_assert_int_eq(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    close(ready[1]);
    close(end[0]);
    return end[1];
}

/* Whether another process gets the lock now. */
static bool others_may(const char *path, enum kind kind)
{
    pid_t pid = fork();
    int status;

    if (pid == 0)
        _exit(take_lock(open(at(path), O_RDWR), kind) == 0 ? 0 : 1);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

START_TEST(busy)
{
    pid_t pid;
    int end;

    build("qf1 qf\ndf1 body\nhf2 held\ndf2 body");
    end = hold_lock("qf1", (enum kind)_i, &pid);
    expect_claim("qf1", NULL, 0, "busy: it is being delivered");
    expect_claim("qf1", NULL, U, "ok incoming qf1 df1");
    expect_claim("hf2", NULL, 0, "ok held hf2 df2");
    close(end);
    ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
    expect_claim("qf1", NULL, 0, "ok incoming qf1 df1");
    /* A body carries no lock. */
    end = hold_lock("df1", (enum kind)_i, &pid);
    expect_claim("qf1", NULL, 0, "ok incoming qf1 df1");
    close(end);
    ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
}
END_TEST

START_TEST(claimed_is_locked)
{
    struct spool sp;
    struct claim c;

    build("qf1 qf\ndf1 body");
    open_spool(&sp);
    ck_assert_int_eq(claim_path(&sp, "qf1", NULL, 0, &c), CLAIM_OK);
    for (enum kind kind = BY_FLOCK; kind <= BY_OFD; kind++)
        ck_assert(!others_may("qf1", kind));
    claim_done(&c);
    for (enum kind kind = BY_FLOCK; kind <= BY_OFD; kind++)
        ck_assert(others_may("qf1", kind));
    close_spool(&sp);
}
END_TEST

START_TEST(rewritten_files_are_locked)
{
    static const struct { unsigned role; bool locked; } rows[] = {
        { ROLE_QF, true }, { ROLE_HF, true }, { ROLE_LOST, true }, { ROLE_DF, false }, { ROLE_XF, false }, { ROLE_OLD_TF, false },
    };

    build("qf1 qf");
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct piece part = { .role = (uint8_t)rows[i].role };
        int fd = open(at("qf1"), O_RDWR);

        ck_assert_int_eq(sendmail_actor.lock(&part, fd), 0);
        for (enum kind kind = BY_FLOCK; kind <= BY_OFD; kind++)
            ck_assert_int_eq(others_may("qf1", kind), !rows[i].locked);
        close(fd);
    }
}
END_TEST

/* What happens between the look at a name and the lock: the library's calls end up here. */
static void (*before_lock)(void);
static unsigned locks_asked;

int flock(int fd, int operation)
{
    locks_asked++;
    if (before_lock)
        before_lock();
    return (int)syscall(SYS_flock, fd, operation);
}

static void replace_once(void)
{
    before_lock = NULL;
    put("tf1", TRIED);
    ck_assert_int_eq(rename(at("tf1"), at("qf1")), 0);
}

static void replace_always(void)
{
    put("tf1", TRIED);
    ck_assert_int_eq(rename(at("tf1"), at("qf1")), 0);
}

static void finish(void)
{
    before_lock = NULL;
    unlink(at("df1"));
    unlink(at("qf1"));
}

static void quarantine(void)
{
    before_lock = NULL;
    ck_assert_int_eq(rename(at("qf1"), at("hf1")), 0);
}

static void take_by_reader(void)
{
    ck_assert_int_eq(truncate(at("qf1"), 0), 0);
}

static const struct { const char *name; void (*race)(void); const char *expected; } race_rows[] = {
    { "rewritten", replace_once, "ok deferred qf1 df1" },
    { "rewritten again and again", replace_always, "busy: it is being delivered" },
    { "finished", finish, "gone: it has left the queue" },
    { "quarantined", quarantine, "ok held hf1 df1" },
    { "emptied", take_by_reader, "refused: qf1: empty: being received" },
};

START_TEST(races)
{
    build("qf1 qf\ndf1 body");
    before_lock = race_rows[_i].race;
    expect_claim("qf1", NULL, 0, race_rows[_i].expected);
    before_lock = NULL;
}
END_TEST

START_TEST(empty_files_are_never_locked)
{
    build("qf1 none\ndf1 body");
    locks_asked = 0;
    expect_claim("qf1", NULL, 0, "refused: qf1: empty: being received");
    ck_assert_uint_eq(locks_asked, 0);
}
END_TEST

/* --- hold and release --- */

static struct buf read_all(const char *path)
{
    struct buf b = { 0 };
    char piece[4096];
    FILE *f = fopen(at(path), "r");
    size_t n;

    ck_assert_msg(f != NULL, "%s: %s", path, strerror(errno));
    while ((n = fread(piece, 1, sizeof(piece), f)) > 0)
        buf_add(&b, piece, n);
    fclose(f);
    buf_add_char(&b, '\0');
    b.n--;
    return b;
}

static void rewrite_file(const char *path, const struct buf *bytes)
{
    FILE *f = fopen(at(".temp"), "w");

    ck_assert_uint_eq(fwrite(bytes->p, 1, bytes->n, f), bytes->n);
    fclose(f);
    ck_assert_int_eq(rename(at(".temp"), at(path)), 0);
}

/* What the engine does with a struct held, without its care. Answers where the key is then. */
static const char *carry_out(const char *path, const struct held *h)
{
    if (h->rewritten && !h->move_first)
        rewrite_file(path, &h->bytes);
    if (h->moved) {
        ck_assert_int_eq(syscall(SYS_renameat2, AT_FDCWD, at(path), AT_FDCWD, at(h->name), 1), 0);
        path = h->name;
    }
    if (h->rewritten && h->move_first)
        rewrite_file(path, &h->bytes);
    return path;
}

/* Hold or release the message; afterwards its key is `path` with this text. Or: "already: …", "refused: …". */
static void expect_hold(const char *key, bool on, const char *reason, const char *expected_path, const char *expected)
{
    static const char *const words[] = { "", "already: ", "refused: " };
    struct spool sp;
    struct buf bytes = read_all(key), now;
    struct held h;
    struct claim c;
    enum hold_result r;
    char told[300];

    open_spool(&sp);
    ck_assert_int_eq(claim_path(&sp, key, NULL, CLAIM_DAMAGED, &c), CLAIM_OK);
    r = sendmail_actor.hold(&sp, &c, bytes_from(bytes.p, bytes.n), on, reason, 1773066999, &h);
    ck_assert_int_ne(r, HOLD_NO_MEMORY);
    if (r == HOLD_DO) {
        ck_assert_int_eq(h.move_first, !on);
        ck_assert(!h.moved || h.dir == c.parts[0].dir);
        ck_assert_str_eq(carry_out(key, &h), expected_path);
        now = read_all(expected_path);
        ck_assert_str_eq(now.p, expected);
        buf_done(&now);
    } else {
        snprintf(told, sizeof(told), "%s%s", words[r], h.why);
        ck_assert_str_eq(told, expected);
    }
    buf_done(&bytes);
    buf_done(&h.bytes);
    claim_done(&c);
    close_spool(&sp);
}

static const struct { const char *name, *key, *text; bool on; const char *reason, *path, *expected; } hold_rows[] = {
    { "hold", "qf1", QF, true, "ticket 7", "hf1", HELD },
    { "release", "hf1", HELD, false, NULL, "qf1", QF },
    { "hold without a reason", "qf1", QF, true, NULL, "hf1", HEAD "qheld by an administrator\n" TAIL },
    { "a blank reason", "qf1", QF, true, " \t ", "hf1", HEAD "qheld by an administrator\n" TAIL },
    { "line ends and control bytes", "qf1", QF, true, "a\r\nb\tc\x1b[31m\x7f", "hf1", HEAD "qa  b c [31m \n" TAIL },
    { "UTF-8", "qf1", QF, true, "\xC3\x89tude \xE2\x82\xAC \xF0\x9F\x93\xA7", "hf1", HEAD "q\xC3\x89tude \xE2\x82\xAC \xF0\x9F\x93\xA7\n" TAIL },
    { "no UTF-8, C1, cut", "qf1", QF, true, "\x9B" "31m\xC2\x9B" "31m\xE2\x82", "hf1", HEAD "q?31m??31m??\n" TAIL },
    { "it is cut", "qf1", QF, true,
      "1234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890"
      "1234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890more", "hf1", HEAD "q"
      "1234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890"
      "1234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890\n" TAIL },
    { "no character is cut", "qf1", QF, true,
      "1234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890"
      "123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789\xC3\x89x", "hf1", HEAD "q"
      "1234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890"
      "123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789\n" TAIL },
    { "held already", "hf1", HELD, true, "other", NULL, "already: it is held already" },
    { "not held", "qf1", QF, false, NULL, NULL, "already: it is not held" },
    { "half held: only the name is missing", "qf1", HELD, true, "other", "hf1", HELD },
    { "half held: released", "qf1", HELD, false, NULL, "qf1", QF },
    { "only the name says so: hold", "hf1", QF, true, "ticket 7", "hf1", HELD },
    { "only the name says so: release", "hf1", QF, false, NULL, "qf1", QF },
    { "more than one q, folded", "hf1", "V8\nqone\n\tmore\nT1\nqtwo\r\n x\nS<a@b>\nRP:<x@y>\n.\n", false, NULL, "qf1", "V8\nT1\nS<a@b>\nRP:<x@y>\n.\n" },
    { "S and q in a folded header are none", "qf1", "V8\nT1\nS<a@b>\nRP:<x@y>\nH??X: 1\n\tS\n q\nH??Y: q\n.\n", true, "w", "hf1",
      "V8\nT1\nqw\nS<a@b>\nRP:<x@y>\nH??X: 1\n\tS\n q\nH??Y: q\n.\n" },
    { "CRLF stays", "qf1", "V8\r\nT1\r\nS<a@b>\r\nRP:<x@y>\r\n.\r\n", true, "w", "hf1", "V8\r\nT1\r\nqw\nS<a@b>\r\nRP:<x@y>\r\n.\r\n" },
    { "no line end at the end", "qf1", "V8\nS<a@b>\nRP:<x@y>\n.", true, "w", "hf1", "V8\nqw\nS<a@b>\nRP:<x@y>\n." },
    { "only the first S", "qf1", "V8\nS<a@b>\nS<c@d>\nRP:<x@y>\n.\n", true, "w", "hf1", "V8\nqw\nS<a@b>\nS<c@d>\nRP:<x@y>\n.\n" },
    { "what follows the terminator stays", "qf1", "V8\nS<a@b>\nRP:<x@y>\n.\nqx\nSy\n", true, "w", "hf1", "V8\nqw\nS<a@b>\nRP:<x@y>\n.\nqx\nSy\n" },
    { "set aside", "Qf1", QF, true, NULL, NULL, "refused: sendmail set its control file aside" },
    { "cut", "qf1", "V8\nS<a@b>\nRP:<x@y>\n", true, NULL, NULL, "refused: its control file has no sender or no terminator" },
    { "no sender", "qf1", "V8\nRP:<x@y>\n.\n", false, NULL, NULL, "refused: its control file has no sender or no terminator" },
    { "old", "qf1", "V6\nS<a@b>\nRP:<x@y>\n.\n", true, NULL, NULL,
      "refused: its control file is of a sendmail before 8.13, which knows no quarantine" },
};

START_TEST(holds)
{
    put(hold_rows[_i].key, hold_rows[_i].text);
    put("df1", "body");
    expect_hold(hold_rows[_i].key, hold_rows[_i].on, hold_rows[_i].reason, hold_rows[_i].path, hold_rows[_i].expected);
}
END_TEST

/* --- coming back --- */

static const struct { const char *name, *build, *id, *expected; } vacant_rows[] = {
    { "empty", "q1/\nqf2 qf\ndf2 body", "1", "" },
    { "transcripts are nobody's", "xf1 body", "1", "" },
    { "another id", "qf11 qf\ndf11 body\n.qf1 qf", "1", "" },
    { "qf", "qf1 qf", "1", "qf1 exists" },
    { "hf", "hf1 qf", "1", "hf1 exists" },
    { "Qf", "Qf1 qf", "1", "Qf1 exists" },
    { "tf", "tf1 qf", "1", "tf1 exists" },
    { "Tf", "Tf1 qf", "1", "Tf1 exists" },
    { "df", "df1 body", "1", "df1 exists" },
    { "in another directory", "q1/\nsub/\nsub/q2/\nsub/q2/df/\nsub/q2/df/df1 body", "1", "sub/q2/df/df1 exists" },
    { "beside the directory where it should be", "qf/\nqf1 qf", "1", "qf1 exists" },
    { "whatever it is", "qf1 -> /nowhere", "1", "qf1 exists" },
    { "a directory", "df1/", "1", "df1 exists" },
    { "a path", "q1/", "1/../1", "its name is no message's" },
    { "nothing", "q1/", "", "its name is no message's" },
};

START_TEST(vacancies)
{
    struct spool sp;
    char why[256] = "";

    build(vacant_rows[_i].build);
    open_spool(&sp);
    ck_assert_int_eq(sendmail_actor.vacant(&sp, vacant_rows[_i].id, why), *vacant_rows[_i].expected == '\0');
    ck_assert_str_eq(why, vacant_rows[_i].expected);
    close_spool(&sp);
}
END_TEST

static const struct { const char *name, *build, *part, *expected; } place_rows[] = {
    { "the same directory", "q1/", "q1/qf1", "q1 qf1" },
    { "the spool itself", "q1/", "df1", " df1" },
    { "type directories", "q1/\nq1/qf/\nq1/df/", "q1/df/df1", "q1/df df1" },
    { "type directories came", "qf/\ndf/\nxf/", "q9/qf1", "queue directory q9: No such file or directory" },
    { "type directories went: qf", "q1/", "q1/qf/qf1", "q1 qf1" },
    { "type directories went: df", "q1/", "q1/df/df1", "q1 df1" },
    { "type directories went: xf", "q1/", "q1/xf/xf1", "q1 xf1" },
    { "and from the spool itself", "q1/", "df/df1", " df1" },
    { "type directories moved", "q1/\nq1/qf/", "q1/hf/hf1", "queue directory q1/hf: No such file or directory" },
    { "gone", "q1/", "q2/qf1", "queue directory q2: No such file or directory" },
};

START_TEST(places)
{
    const char *slash = strrchr(place_rows[_i].part, '/'), *file = slash ? slash + 1 : place_rows[_i].part;
    char from[300], dir[256] = "", name[NAME_MAX + 1] = "", why[256] = "", told[1000];
    struct piece part = { .role = (uint8_t)(*file == 'x' ? ROLE_XF : role_of_name(file)) };
    struct spool sp;

    build(place_rows[_i].build);
    open_spool(&sp);
    snprintf(from, sizeof(from), "%.*s", (int)(slash ? slash - place_rows[_i].part : 0), place_rows[_i].part);
    strcpy(part.name, file);
    if (sendmail_actor.place(&sp, &part, from, dir, name, why))
        snprintf(told, sizeof(told), "%s %s", dir, name);
    else
        snprintf(told, sizeof(told), "%s", why);
    ck_assert_str_eq(told, place_rows[_i].expected);
    close_spool(&sp);
}
END_TEST

enum { DAYS = 86400 };

static const struct { const char *cf; int64_t age; bool held; const char *expected; } prospect_rows[] = {
    { NULL, 1 * DAYS, false, "" },
    { NULL, 6 * DAYS, false,
      "it will bounce at its first failure: it is older than Timeout.queuereturn, 5 days unless sendmail.cf says otherwise" },
    { "", 6 * DAYS, false, "it will bounce at its first failure: it is older than Timeout.queuereturn, 5 days" },
    { "", 6 * DAYS, true, "once released, it will bounce at its first failure: it is older than Timeout.queuereturn, 5 days" },
    { "O Timeout.queuereturn=4h30m\n", 5 * 3600, false, "it will bounce at its first failure: it is older than Timeout.queuereturn, 270 minutes" },
    { "O Timeout.queuereturn=4h30m\n", 4 * 3600, false, "" },
    { "O Timeout.queuereturn=1\n", DAYS, false, "it will bounce at its first failure: it is older than Timeout.queuereturn, 1 day" },
    { "O Timeout.queuereturn=2w\n", 13 * DAYS, false, "" },
    { "O Timeout.queuereturn=infinity\n", 1300 * DAYS, false, "" },
    { "O Timeout.queuereturn.normal = 1d\nO Timeout.queuereturn.urgent=9d\n", DAYS, false,
      "it will bounce at its first failure: it is older than Timeout.queuereturn, 1 day" },
    { "O Timeout.queuereturn=99999999999999999999d\n", 1300 * DAYS, false, "" },
    { "O Timeout.queuereturn=now\n", 0, false, "it will bounce at its first failure: it is older than Timeout.queuereturn, 0 days" },
    { "", -5, false, "" },
};

START_TEST(prospects)
{
    const char *const files[] = { at(".cf"), NULL };
    struct lq_record rec = { 0 };
    struct spool sp = { .root = root, .live = true };
    char out[256] = "", cf[400];

    if (prospect_rows[_i].cf) {
        snprintf(cf, sizeof(cf), "O QueueDirectory=%s\n%s", root, prospect_rows[_i].cf);
        put(".cf", cf);
    }
    sp.fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ck_assert_int_eq(sendmail_open(&sp, files, NULL), LQ_OK);
    record_reset(&rec);
    rec.have = SEC_ALL;
    record_set_number(&rec, LQ_ARRIVAL_TIME, 1773066336);
    record_set_state(&rec, prospect_rows[_i].held ? STATE_HELD : STATE_INCOMING);
    ck_assert_int_eq(sendmail_actor.prospect(&sp, &rec, 1773066336 + prospect_rows[_i].age, out), *prospect_rows[_i].expected != '\0');
    ck_assert_str_eq(out, prospect_rows[_i].expected);
    record_done(&rec);
    sendmail_close(&sp);
    close(sp.fd);
}
END_TEST

START_TEST(owners)
{
    struct spool sp;
    uid_t uid = 4711;
    gid_t gid = 4711;

    open_spool(&sp);
    ck_assert_int_eq(sendmail_actor.owner(&sp, &uid, &gid), 0);
    ck_assert_uint_eq(uid, geteuid());
    if (geteuid() != 0) {
        fprintf(stderr, "SKIP check_sendmail_act owners: not root\n");
    } else {
        ck_assert_int_eq(seteuid(65534), 0);
        ck_assert_int_eq(sendmail_actor.owner(&sp, &uid, &gid), EACCES);
        ck_assert_int_eq(seteuid(0), 0);
        ck_assert_int_eq(chown(root, 65534, 65533), 0);
        ck_assert_int_eq(sendmail_actor.owner(&sp, &uid, &gid), 0);
        ck_assert_uint_eq(uid, 0);
        ck_assert_uint_eq(gid, 65533);
        ck_assert_int_eq(seteuid(65534), 0);
        ck_assert_int_eq(sendmail_actor.owner(&sp, &uid, &gid), 0);
        ck_assert_int_eq(seteuid(0), 0);
        ck_assert_uint_eq(uid, 65534);
    }
    close_spool(&sp);
}
END_TEST

#define ROWS(rows) (int)(sizeof(rows) / sizeof((rows)[0]))

int main(void)
{
    Suite *s = suite_create("sendmail_act");
    TCase *c = tcase_create("on disk");
    SRunner *r;
    int failed;

    tcase_add_checked_fixture(c, make_root, remove_root);
    tcase_add_loop_test(c, claims, 0, ROWS(claim_rows));
    tcase_add_test(c, identity);
    tcase_add_test(c, foreign_bodies);
    tcase_add_loop_test(c, busy, BY_FLOCK, BY_OFD + 1);
    tcase_add_test(c, claimed_is_locked);
    tcase_add_test(c, rewritten_files_are_locked);
    tcase_add_loop_test(c, races, 0, ROWS(race_rows));
    tcase_add_test(c, empty_files_are_never_locked);
    tcase_add_loop_test(c, holds, 0, ROWS(hold_rows));
    tcase_add_loop_test(c, vacancies, 0, ROWS(vacant_rows));
    tcase_add_loop_test(c, places, 0, ROWS(place_rows));
    tcase_add_loop_test(c, prospects, 0, ROWS(prospect_rows));
    tcase_add_test(c, owners);
    suite_add_tcase(s, c);
    r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? 1 : 0;
}
