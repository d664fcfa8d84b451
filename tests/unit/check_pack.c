/* Packed cases: in place of a tree and what a crash leaves of that, unpacking, hostile archives, evidence. */
#include "vault_help.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <time.h>

/* A file system that has no files without names (FUSE, vfat), and whether what is synced there has the name `watched` before it is on disk. */
static bool no_unnamed;
static char watched[512];
static unsigned ready_early, partial_seen;

int openat(int dir, const char *name, int flags, ...)
{
    mode_t mode = 0;
    va_list ap;

    va_start(ap, flags);
    if (flags & O_CREAT || (flags & O_TMPFILE) == O_TMPFILE)
        mode = va_arg(ap, mode_t);
    va_end(ap);
    if (no_unnamed && (flags & O_TMPFILE) == O_TMPFILE) {
        errno = EOPNOTSUPP;
        return -1;
    }
    return (int)syscall(SYS_openat, dir, name, flags, mode);
}

int fsync(int fd)
{
    struct stat st, named;

    if (no_unnamed && *watched && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0 && st.st_nlink == 1) {
        ready_early += lstat(watched, &named) == 0 && named.st_ino == st.st_ino && named.st_dev == st.st_dev;
        partial_seen++;
    }
    return (int)syscall(SYS_fsync, fd);
}

#define CASE "20261122T031415Z-a1b2"

static int run(const char *format, const char *name)
{
    char command[2000];

    snprintf(command, sizeof(command), format, name);
    return system(command);
}

/* An undo case of three messages in vault `vault`. */
static struct lq_case *make_case(struct lq_vault *v, const char *vault, enum lq_custody custody, bool seal)
{
    struct lq_queue *q = open_queue("exim", make_exim_spool("spool"));
    const struct lq_queue *queues[] = { q };
    struct job_intent intent = { .verb = "purge", .why = "ticket 7", .command = "mqpurge", .queues = queues, .queue_count = 1 };
    struct lq_error err = { 0 };
    struct lq_case *c = NULL;
    char to[512], command[1200];
    size_t i;

    ck_assert_msg(case_create(&c, v, CASE, custody, &intent, &err) == LQ_OK, "%s", err.text);
    ck_assert_int_eq(case_add_spool(c, q, getuid(), getgid(), &i, &err), LQ_OK);
    snprintf(to, sizeof(to), "%s/jobs/" CASE ".ndjson", vault);
    put(at(to), "");            /* an archive is the vault's own where a job made it */
    snprintf(to, sizeof(to), "%s/" CASE "/data/0-exim", vault);
    snprintf(command, sizeof(command), "mv '%s' '%s'", at("spool/input"), at(to));
    ck_assert_int_eq(system(command), 0);
    if (seal)
        ck_assert_msg(case_seal(c, &err) == LQ_OK, "%s", err.text);
    lq_queue_close(q);
    return c;
}

static struct lq_case *sealed_case(struct lq_vault *v, const char *vault, enum lq_custody custody)
{
    return make_case(v, vault, custody, true);
}

static struct lq_case *open_case(struct lq_vault *v, const char *name)
{
    struct lq_error err = { 0 };
    struct lq_case *c = NULL;

    ck_assert_msg(lq_case_open(&c, v, name, &err) == LQ_OK, "%s", err.text);
    return c;
}

/* As a purge does it: sealed on the way. */
static void pack(struct lq_vault *v)
{
    struct lq_case *c = make_case(v, "v", LQ_PURGED, false);
    struct lq_error err = { 0 };

    ck_assert_msg(case_pack_in_place(c, &err) == LQ_OK, "%s", err.text);
    ck_assert(lq_case_info(c)->packed);
    lq_case_close(c);
}

static unsigned count_messages(struct lq_case *c, int *rc, struct lq_error *err)
{
    struct lq_scan_opts opts = { .size = sizeof(opts), .fields = LQ_FIELDS_ALL };
    const struct lq_record *rec;
    struct lq_queue *q;
    struct lq_scan *scan;
    unsigned n = 0;

    *rc = lq_case_queue(&q, c, 0, err);
    if (*rc != LQ_OK)
        return 0;
    ck_assert_int_eq(lq_scan_begin(&scan, q, &opts, err), LQ_OK);
    while (lq_scan_next(scan, &rec, err) == LQ_OK) {
        ck_assert_str_eq(lq_record_text(rec, LQ_SPOOL).p, at("spool"));
        ck_assert_uint_eq(lq_record_text_at(rec, LQ_PROBLEMS, 0).n, 0);
        n++;
    }
    lq_scan_end(scan);
    return n;
}

START_TEST(in_place)
{
    struct lq_error err = { 0 };
    struct lq_vault *v = make_vault("v");
    struct lq_case *c, *other;
    const struct lq_case_info *i;
    struct stat was, is;
    char **names;
    size_t n;
    int rc;

    put(at("spool/input/odd \\ \xe9\n-x"), "odd");
    put(at("spool/input/" ID1 "-D"), "");
    run("rm '%s'", at("spool/input/" ID1 "-D"));
    c = make_case(v, "v", LQ_PURGED, _i == 0);
    ck_assert_int_eq(stat(at("v/" CASE "/data/0-exim/input/" ID1 "-D"), &was), 0);
    ck_assert_int_eq(case_pack_in_place(c, &err), LQ_OK);
    lq_case_close(c);
    ck_assert(!there(at("v/" CASE)));
    ck_assert(there(at("v/" CASE ".tar.zst")));
    ck_assert_int_eq(run("! ls -A '%s' | grep -E '^\\.'", at("v")), 0);
    ck_assert_int_eq(lq_vault_cases(v, &names, &n, &err), LQ_OK);
    ck_assert_uint_eq(n, 1);
    lq_names_free(names, n);

    c = open_case(v, CASE);
    i = lq_case_info(c);
    ck_assert(i->packed && i->sealed && !i->unfinished);
    ck_assert_int_eq(i->custody, LQ_PURGED);
    ck_assert_uint_eq(i->messages, 3);
    ck_assert_str_eq(i->path, at("v/" CASE ".tar.zst"));
    ck_assert_str_eq(i->why, "ticket 7");
    findings[0] = '\0';
    ck_assert_int_eq(lq_case_verify(c, find_out, NULL, &err), LQ_OK);
    ck_assert_str_eq(findings, "");
    ck_assert_uint_eq(count_messages(c, &rc, &err), 3);
    ck_assert_str_eq(c->tree, ".unpacked-" CASE);
    ck_assert_int_eq(stat(at("v/.unpacked-" CASE "/data/0-exim/input/" ID1 "-D"), &is), 0);
    ck_assert_int_eq(was.st_size, is.st_size);
    ck_assert_int_eq(was.st_mode, is.st_mode);
    ck_assert_int_eq(was.st_mtim.tv_sec, is.st_mtim.tv_sec);
    ck_assert_int_eq(was.st_mtim.tv_nsec, is.st_mtim.tv_nsec);
    ck_assert(there(at("v/.unpacked-" CASE "/data/0-exim/input/odd \\ \xe9\n-x")));
    /* Another reader gets another tree, and neither is tidied away. */
    other = open_case(v, CASE);
    ck_assert_uint_eq(count_messages(other, &rc, &err), 3);
    ck_assert_str_eq(other->tree, ".unpacked-" CASE ".2");
    ck_assert_int_eq(vault_tidy(v, NULL, NULL, &err), LQ_OK);
    ck_assert(there(at("v/.unpacked-" CASE)));
    lq_case_close(c);
    ck_assert(!there(at("v/.unpacked-" CASE)));
    lq_case_close(other);
    ck_assert(!there(at("v/.unpacked-" CASE ".2")));
    lq_vault_close(v);
}
END_TEST

/* tar and sha256sum alone can check it. */
START_TEST(plain_tools)
{
    struct lq_vault *v = make_vault("v");

    pack(v);
    make_dirs(at("out"));
    ck_assert_int_eq(run("cd '%s'/out && zstd -qdc ../v/" CASE ".tar.zst | tar xf - 2>&1 | grep . ; cd " CASE
                         " && sha256sum --strict -c manifest-sha256.txt tagmanifest-sha256.txt >/dev/null", top), 0);
    lq_vault_close(v);
}
END_TEST

/* What a crash left while a case was packed; command: in the vault, after packing (an unpacked copy of the tree is in keep/). Which one counts then. */
static const struct { const char *name, *command; bool packed; } left[] = {
    { "half an archive under its first name", "mv keep/" CASE " . && head -c 200 " CASE ".tar.zst >.packing-" CASE ".tar.zst && rm " CASE ".tar.zst", false },
    { "a whole one under its first name",     "mv keep/" CASE " . && mv " CASE ".tar.zst .packing-" CASE ".tar.zst", false },
    { "both under their names",               "mv keep/" CASE " .", true },
    { "the tree half removed",                "mv keep/" CASE " . && rm -r " CASE "/data", true },
    { "the tree renamed",                     "mv keep/" CASE " .gone-" CASE, true },
    { "the renamed tree half removed",        "mv keep/" CASE " .gone-" CASE " && rm .gone-" CASE "/bag*", true },
    { "an unpacked tree of a dead reader",    "mv keep/" CASE " .unpacked-" CASE, true },
};

START_TEST(states)
{
    struct lq_error err = { 0 };
    struct lq_vault *v = make_vault("v");
    struct lq_case *c;
    char command[1024];
    int rc;

    pack(v);
    ck_assert_int_eq(run("cd '%s' && mkdir keep && cd keep && zstd -qdc ../*.tar.zst | tar xf -", at("v")), 0);
    snprintf(command, sizeof(command), "cd '%s' && %s && rm -rf keep", at("v"), left[_i].command);
    ck_assert_int_eq(system(command), 0);
    for (int again = 0; again < 2; again++) {
        c = open_case(v, CASE);
        ck_assert_msg(lq_case_info(c)->packed == left[_i].packed, "%s", left[_i].name);
        findings[0] = '\0';
        ck_assert_msg(lq_case_verify(c, find_out, NULL, &err) == LQ_OK, "%s: %s", left[_i].name, findings);
        ck_assert_uint_eq(count_messages(c, &rc, &err), 3);
        lq_case_close(c);
        findings[0] = '\0';
        ck_assert_int_eq(vault_tidy(v, find_out, NULL, &err), LQ_OK);
        ck_assert_msg((*findings != '\0') == (again == 0), "%s", findings);
        ck_assert_int_eq(run("test $(ls -A '%s' | grep -c " CASE ") = 1", at("v")), 0);
    }
    lq_vault_close(v);
}
END_TEST

/* A tree that cannot be packed for want of room stays as it is. */
START_TEST(no_room)
{
    struct lq_error err = { 0 };
    struct lq_vault *v;
    struct lq_case *c;
    int fd, rc;
    char block[4096];

    if (geteuid() != 0)
        return;
    make_dirs(at("v"));
    ck_assert_int_eq(mount("none", at("v"), "tmpfs", 0, "size=6m,mode=700"), 0);
    v = make_vault("v");
    fd = open("/dev/urandom", O_RDONLY);
    ck_assert_int_eq(read(fd, block, sizeof(block)), (ssize_t)sizeof(block));
    close(fd);
    c = make_case(v, "v", LQ_PURGED, _i == 0);
    fd = open(at("v/filler"), O_WRONLY | O_CREAT, 0600);
    while (write(fd, block, sizeof(block)) > 0)
        continue;
    close(fd);
    vault_use_reserve(v);
    fd = open(at("v/filler2"), O_WRONLY | O_CREAT, 0600);
    while (write(fd, block, sizeof(block)) > 0)
        continue;
    close(fd);
    rc = case_pack_in_place(c, &err);
    ck_assert_msg(rc == LQ_ENOSPC, "%d %s", rc, err.text);
    ck_assert(!there(at("v/" CASE ".tar.zst")));
    ck_assert(!there(at("v/.packing-" CASE ".tar.zst")));
    lq_case_close(c);
    unlink(at("v/filler"));
    unlink(at("v/filler2"));
    c = open_case(v, CASE);
    ck_assert(lq_case_info(c)->sealed == (_i == 0) && !lq_case_info(c)->packed);
    ck_assert_int_eq(lq_case_verify(c, NULL, NULL, &err), _i == 0 ? LQ_OK : LQ_EREFUSED);
    ck_assert_int_eq(case_pack_in_place(c, &err), LQ_OK);
    lq_case_close(c);
    /* And none to unpack it. */
    fd = open(at("v/filler"), O_WRONLY | O_CREAT, 0600);
    while (write(fd, block, sizeof(block)) > 0)
        continue;
    close(fd);
    c = open_case(v, CASE);
    ck_assert_uint_eq(count_messages(c, &rc, &err), 0);
    ck_assert_int_eq(rc, LQ_ENOSPC);
    ck_assert(!there(at("v/.unpacked-" CASE)));
    lq_case_close(c);
    lq_vault_close(v);
    umount2(at("v"), MNT_DETACH);
}
END_TEST

/* --- archives that somebody else made --- */

struct member {
    const char *name, *bytes;
    int type;                   /* AE_*; 0: a regular file */
    const char *link;
};

static const char info3[] = "Mqtools-Custody: moved\nPayload-Oxum: 6.2\n";
static const char spools[] = "{\"dir\":\"0-exim\",\"mta\":\"exim\",\"spool\":\"/x\"}\n";
#define ONE_HASH "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed"      /* of "one" */
#define FILE_OF(name, bytes) { name, bytes, 0, NULL }
#define GOOD FILE_OF("c/bag-info.txt", info3), FILE_OF("c/spools.ndjson", spools), \
             FILE_OF("c/manifest-sha256.txt", ONE_HASH "  data/0-exim/input/a\n" ONE_HASH "  data/0-exim/input/b\n")

static const struct { const char *name; struct member members[8]; int opens, reads; const char *expect; } archives[] = {
    { "a good one",            { GOOD, FILE_OF("c/data/0-exim/input/a", "one"), FILE_OF("c/data/0-exim/input/b", "one") }, LQ_OK, LQ_OK, "" },
    { "with directories",      { { "c", NULL, AE_IFDIR, NULL }, GOOD, { "c/data", NULL, AE_IFDIR, NULL }, FILE_OF("c/data/0-exim/input/a", "one"), FILE_OF("c/data/0-exim/input/b", "one") },
                               LQ_OK, LQ_OK, "" },
    { "an absolute name",      { GOOD, FILE_OF("/etc/evil", "one") }, LQ_OK, LQ_EDAMAGED, "leads elsewhere" },
    { "dots",                  { GOOD, FILE_OF("c/data/../../evil", "one") }, LQ_OK, LQ_EDAMAGED, "leads elsewhere" },
    { "dots first",            { FILE_OF("../c/bag-info.txt", info3) }, LQ_EDAMAGED, 0, "leads elsewhere" },
    { "another directory",     { GOOD, FILE_OF("d/data/0-exim/input/a", "one") }, LQ_OK, LQ_EDAMAGED, "leads elsewhere" },
    { "a symbolic link",       { GOOD, { "c/data/0-exim/input/a", NULL, AE_IFLNK, "/etc" } }, LQ_OK, LQ_EDAMAGED, "no regular file" },
    { "through a link",        { GOOD, { "c/data/0-exim/input", NULL, AE_IFLNK, "/tmp" }, FILE_OF("c/data/0-exim/input/a", "one") }, LQ_OK, LQ_EDAMAGED, "no regular file" },
    { "a hard link",           { GOOD, { "c/data/0-exim/input/a", NULL, 0, "/etc/passwd" } }, LQ_OK, LQ_EDAMAGED, "no regular file" },
    { "a fifo",                { GOOD, { "c/data/0-exim/input/a", NULL, AE_IFIFO, NULL } }, LQ_OK, LQ_EDAMAGED, "no regular file" },
    { "a device",              { GOOD, { "c/data/0-exim/input/a", NULL, AE_IFCHR, NULL } }, LQ_OK, LQ_EDAMAGED, "no regular file" },
    { "more bytes",            { GOOD, FILE_OF("c/data/0-exim/input/a", "one"), FILE_OF("c/data/0-exim/input/b", "four") }, LQ_OK, LQ_EDAMAGED, "more than its bag-info" },
    { "more files",            { GOOD, FILE_OF("c/data/0-exim/input/a", "one"), FILE_OF("c/data/0-exim/input/b", ""), FILE_OF("c/data/0-exim/input/c", "") },
                               LQ_OK, LQ_EDAMAGED, "more files" },
    { "twice",                 { GOOD, FILE_OF("c/data/0-exim/input/a", "one"), FILE_OF("c/data/0-exim/input/a", "one") }, LQ_OK, LQ_EDAMAGED, "twice" },
    { "a file over a folder",  { GOOD, FILE_OF("c/data/0-exim/input/a", "one"), FILE_OF("c/data/0-exim/input", "one") }, LQ_OK, LQ_EDAMAGED, "twice" },
    { "other bytes",           { GOOD, FILE_OF("c/data/0-exim/input/a", "one"), FILE_OF("c/data/0-exim/input/b", "two") }, LQ_OK, LQ_EDAMAGED, "changed" },
    { "one missing",           { GOOD, FILE_OF("c/data/0-exim/input/a", "one") }, LQ_OK, LQ_EDAMAGED, "missing" },
    { "no bag-info.txt",       { FILE_OF("c/spools.ndjson", spools) }, LQ_EDAMAGED, 0, "no bag-info.txt" },
    { "an unknown custody",    { FILE_OF("c/bag-info.txt", "Mqtools-Custody: mine\n"), FILE_OF("c/spools.ndjson", spools) }, LQ_EDAMAGED, 0, "Mqtools-Custody" },
    { "an unknown server",     { FILE_OF("c/bag-info.txt", info3), FILE_OF("c/spools.ndjson", "{\"mta\":\"../../..\",\"spool\":\"/x\"}\n") }, LQ_EDAMAGED, 0, "line 1 of spools.ndjson" },
    { "a room beyond all",     { FILE_OF("c/bag-info.txt", "Mqtools-Custody: moved\nPayload-Oxum: 9999999999999999.2\n"), FILE_OF("c/spools.ndjson", spools) },
                               LQ_OK, LQ_ENOSPC, "no room" },
    { "more inodes than all",  { FILE_OF("c/bag-info.txt", "Mqtools-Custody: moved\nPayload-Oxum: 2.99999999999999\n"), FILE_OF("c/spools.ndjson", spools) },
                               LQ_OK, LQ_ENOSPC, "no room" },
    { "nothing",               { { NULL, NULL, 0, NULL } }, LQ_EDAMAGED, 0, "" },
};

static void write_archive(const char *path, const struct member *m)
{
    struct archive *a = archive_write_new();
    struct archive_entry *e = archive_entry_new();

    archive_write_add_filter_zstd(a);
    archive_write_set_format_pax(a);
    ck_assert_int_eq(archive_write_open_filename(a, path), ARCHIVE_OK);
    for (; m->name; m++) {
        archive_entry_clear(e);
        archive_entry_set_pathname(e, m->name);
        archive_entry_set_filetype(e, m->type ? (unsigned)m->type : AE_IFREG);
        archive_entry_set_perm(e, 04644);
        if (m->type == AE_IFLNK)
            archive_entry_set_symlink(e, m->link);
        else if (m->link)
            archive_entry_set_hardlink(e, m->link);
        archive_entry_set_size(e, m->bytes ? (la_int64_t)strlen(m->bytes) : 0);
        ck_assert_int_ge(archive_write_header(a, e), ARCHIVE_WARN);
        if (m->bytes)
            archive_write_data(a, m->bytes, strlen(m->bytes));
    }
    ck_assert_int_eq(archive_write_close(a), ARCHIVE_OK);
    archive_entry_free(e);
    archive_write_free(a);
}

START_TEST(hostile)
{
    struct lq_error err = { 0 };
    struct lq_case *c;
    struct lq_queue *q;
    struct stat st;
    int rc;

    make_dirs(at("in"));
    write_archive(at("in/c.tar.zst"), archives[_i].members);
    rc = lq_case_open(&c, NULL, at("in/c.tar.zst"), &err);
    ck_assert_msg(rc == archives[_i].opens, "%s: %d %s", archives[_i].name, rc, err.text);
    if (rc == LQ_OK) {
        rc = lq_case_queue(&q, c, 0, &err);
        ck_assert_msg(rc == archives[_i].reads, "%s: %d %s", archives[_i].name, rc, err.text);
        if (rc == LQ_OK) {
            ck_assert_int_eq(stat(at("in/.unpacked-c/data/0-exim/input/a"), &st), 0);
            ck_assert_int_eq(st.st_mode & 07777, 0644);
            ck_assert_int_eq(lq_case_verify(c, NULL, NULL, &err), LQ_EDAMAGED);     /* no tag manifest, no journal */
        }
        lq_case_close(c);
    }
    ck_assert_msg(strstr(err.text, archives[_i].expect) || archives[_i].reads == LQ_OK, "%s: %s", archives[_i].name, err.text);
    /* Nothing beside the archive, inside or outside of its directory. */
    ck_assert_int_eq(run("cd '%s' && test \"$(find . | sort | tr '\\n' ' ')\" = '. ./in ./in/c.tar.zst '", top), 0);
    ck_assert(!there("/etc/evil"));
}
END_TEST

/* Every cut of an archive is refused or verifies as damaged, and leaves nothing. */
START_TEST(truncated)
{
    struct lq_error err = { 0 };
    struct lq_vault *v = make_vault("v");
    struct lq_case *c;
    struct stat st;
    int rc;

    pack(v);
    lq_vault_close(v);
    ck_assert_int_eq(stat(at("v/" CASE ".tar.zst"), &st), 0);
    ck_assert_int_eq(truncate(at("v/" CASE ".tar.zst"), st.st_size * _i / 16), 0);
    rc = lq_case_open(&c, NULL, at("v/" CASE ".tar.zst"), &err);
    if (rc == LQ_OK) {
        ck_assert_int_eq(lq_case_verify(c, NULL, NULL, &err), LQ_EDAMAGED);
        count_messages(c, &rc, &err);
        lq_case_close(c);
    }
    ck_assert_int_eq(rc, LQ_EDAMAGED);
    ck_assert_int_eq(run("! ls -A '%s' | grep unpacked", at("v")), 0);
}
END_TEST

/* --- evidence --- */

static struct lq_pack_opts evidence(const char *output)
{
    static char kept[512];

    snprintf(kept, sizeof(kept), "%s", output);
    return (struct lq_pack_opts){ .size = sizeof(struct lq_pack_opts), .output = kept, .why = "ticket 7", .command = "mqquarantine pack", .reporter = "Postmaster <postmaster@example.com>" };
}

/* Whole, readable by plain tools, and a case of copies. */
static void check_evidence(const char *path, unsigned messages)
{
    struct lq_error err = { 0 };
    struct lq_case *c = open_case(NULL, path);
    int rc;

    ck_assert_int_eq(lq_case_info(c)->custody, LQ_COPY);
    ck_assert_uint_eq(lq_case_info(c)->messages, messages);
    findings[0] = '\0';
    rc = lq_case_verify(c, find_out, NULL, &err);
    ck_assert_msg(rc == LQ_OK, "%s %s", err.text, findings);
    ck_assert_uint_eq(count_messages(c, &rc, &err), messages);
    lq_case_close(c);
}

static const char *const outputs[] = { "out/e.tar.zst", "out/e.tar.gz", "out/e.tgz" };

START_TEST(evidence_of_case)
{
    struct lq_error err = { 0 };
    struct lq_vault *v = make_vault("v");
    struct lq_case *c = sealed_case(v, "v", LQ_MOVED);
    struct lq_pack_opts opts = evidence(at(outputs[_i]));

    lq_case_close(c);
    make_dirs(at("out"));
    c = open_case(v, CASE);
    ck_assert_msg(lq_pack(c, NULL, &opts, &err) == LQ_OK, "%s", err.text);
    ck_assert_int_eq(lq_pack(c, NULL, &opts, &err), LQ_EREFUSED);
    ck_assert_ptr_nonnull(strstr(err.text, "nothing is overwritten"));
    ck_assert_int_eq(run("cd '%s' && grep -q '\"event\":\"copied\",\"output\":' v/" CASE "/journal.ndjson", top), 0);
    ck_assert_int_eq(lq_case_verify(c, NULL, NULL, &err), LQ_OK);
    lq_case_close(c);
    check_evidence(at(outputs[_i]), 3);
    ck_assert_int_eq(run("cd '%s'/out && test \"$(ls -A | wc -l)\" = 1", top), 0);
    ck_assert_int_eq(run("cd '%s'/out && cat e.t* >e.copy && (zstd -qdc e.copy 2>/dev/null || gzip -dc e.copy) | tar xf - 2>&1 | grep .; cd e && sha256sum --strict --quiet -c *manifest-sha256.txt", top), 0);
    ck_assert_int_eq(run("cd '%s'/out/e && test $(ls eml/0-exim | wc -l) = 3 && grep -q '203.0.113.9' summary.txt && test $(wc -l <records.ndjson) = 3", top), 0);
    ck_assert_int_eq(run("cd '%s'/out/e && printf 'From: sender@example.com\\r\\nSubject: hello you\\r\\n\\r\\nfirst\\r\\n' | cmp - eml/0-exim/" ID1 ".eml", top), 0);
    ck_assert_int_eq(run("cd '%s'/out/e && tail -1 journal.ndjson | grep -q '\"source\":\"" CASE "\".*\"clock\":{\"synchronised\":'", top), 0);
    ck_assert_int_eq(run("cd '%s'/out/e && cmp data/0-exim/input/" ID1 "-H ../../v/" CASE "/data/0-exim/input/" ID1 "-H", top), 0);
    lq_vault_close(v);
}
END_TEST

/* Where a file must have a name from the beginning, it gets that of the pack only when it is whole. */
START_TEST(evidence_without_unnamed_files)
{
    struct lq_vault *v = make_vault("v");
    struct lq_case *c = sealed_case(v, "v", LQ_MOVED);
    struct lq_pack_opts opts = evidence(at("out/e.tar.gz"));
    struct lq_error err = { 0 };

    ck_assert_int_eq(mkdir(at("out"), 0700), 0);
    snprintf(watched, sizeof(watched), "%s", at("out/e.tar.gz"));
    no_unnamed = true;
    ck_assert_msg(lq_pack(c, NULL, &opts, &err) == LQ_OK, "%s", err.text);
    ck_assert_uint_gt(partial_seen, 0);
    ck_assert_uint_eq(ready_early, 0);
    ck_assert_int_eq(run("test \"$(ls -A '%s')\" = e.tar.gz", at("out")), 0);
    ck_assert_int_eq(lq_pack(c, NULL, &opts, &err), LQ_EREFUSED);
    ck_assert_int_eq(run("test \"$(ls -A '%s')\" = e.tar.gz", at("out")), 0);
    no_unnamed = false;
    lq_case_close(c);
    lq_vault_close(v);
}
END_TEST

START_TEST(evidence_of_packed_case)
{
    struct lq_error err = { 0 };
    struct lq_vault *v = make_vault("v");
    struct lq_pack_opts opts = evidence(at("e.tar.zst"));
    struct lq_case *c;

    pack(v);
    c = open_case(v, CASE);
    ck_assert_msg(lq_pack(c, NULL, &opts, &err) == LQ_OK, "%s", err.text);
    lq_case_close(c);
    check_evidence(at("e.tar.zst"), 3);
    /* The journal goes on. */
    ck_assert_int_eq(run("cd '%s' && zstd -qdc e.tar.zst | tar xf - && head -1 e/journal.ndjson | grep -q created && tail -1 e/journal.ndjson | grep -q '\"packed\"'", top), 0);
    lq_vault_close(v);
}
END_TEST

static const struct { const char *output; int expect; } bad_outputs[] = {
    { "out/e.zip", LQ_EINVAL }, { "out/e", LQ_EINVAL }, { "out/.tar.zst", LQ_EINVAL }, { "out/...tar.gz", LQ_EINVAL },
    { "v/" CASE ".tar.zst", LQ_EREFUSED }, { "v/" CASE ".tgz", LQ_EREFUSED }, { "none/e.tar.zst", LQ_ENOENT }, { "out/there.tar.zst", LQ_EREFUSED }, { "out/link.tar.zst", LQ_EREFUSED },
};

START_TEST(bad_output)
{
    struct lq_error err = { 0 };
    struct lq_vault *v = make_vault("v");
    struct lq_case *c = sealed_case(v, "v", LQ_MOVED);
    struct lq_pack_opts opts = evidence(at(bad_outputs[_i].output));

    put(at("out/there.tar.zst"), "precious");
    ck_assert_int_eq(symlink("nowhere", at("out/link.tar.zst")), 0);
    ck_assert_int_eq(lq_pack(c, NULL, &opts, &err), bad_outputs[_i].expect);
    ck_assert_str_eq(slurp(at("out/there.tar.zst")), "precious");
    ck_assert_int_eq(run("test $(ls -A '%s'/out | wc -l) = 2", top), 0);
    lq_case_close(c);
    lq_vault_close(v);
}
END_TEST

/* Evidence under the name of the case that it is of, beside it: the open case stays, and stays what it is. */
START_TEST(evidence_is_no_case)
{
    struct lq_error err = { 0 };
    struct lq_vault *v = make_vault("v");
    struct lq_case *c = sealed_case(v, "v", LQ_MOVED);
    struct lq_pack_opts opts = evidence(at("e.tar.gz"));
    int rc;

    ck_assert_msg(lq_pack(c, NULL, &opts, &err) == LQ_OK, "%s", err.text);
    lq_case_close(c);
    ck_assert_int_eq(rename(at("e.tar.gz"), at("v/" CASE ".tar.gz")), 0);
    findings[0] = '\0';
    ck_assert_int_eq(vault_tidy(v, find_out, NULL, &err), LQ_OK);
    ck_assert_ptr_nonnull(strstr(findings, "left as they are"));
    c = open_case(v, CASE);
    ck_assert_int_eq(lq_case_info(c)->custody, LQ_MOVED);
    ck_assert_str_eq(lq_case_info(c)->path, at("v/" CASE));
    ck_assert_uint_eq(count_messages(c, &rc, &err), 3);
    lq_case_close(c);
    /* Nor what was cut off while somebody wrote it. */
    ck_assert_int_eq(truncate(at("v/" CASE ".tar.gz"), 300), 0);
    ck_assert_int_eq(vault_tidy(v, find_out, NULL, &err), LQ_OK);
    ck_assert(there(at("v/" CASE "/data/0-exim/input/" ID1 "-H")));
    lq_vault_close(v);
}
END_TEST

static struct lq_set *select_all(struct lq_queue *q)
{
    struct lq_scan_opts opts = { .size = sizeof(opts), .fields = LQ_FIELDS_ALL };
    const struct lq_record *rec;
    struct lq_error err = { 0 };
    struct lq_set *set = NULL;
    struct lq_scan *scan;

    ck_assert_int_eq(lq_set_new(&set, &err), LQ_OK);
    ck_assert_int_eq(lq_scan_begin(&scan, q, &opts, &err), LQ_OK);
    while (lq_scan_next(scan, &rec, &err) == LQ_OK)
        ck_assert_int_eq(lq_set_add(set, q, rec, &err), LQ_OK);
    lq_scan_end(scan);
    return set;
}

#define STATE_OF_SPOOL "(find spool -printf '%%p %%i %%s %%m %%T@ %%C@\\n'; find spool -type f -printf '%%p %%A@\\n') | sort"

/* Straight from the queue, which stays exactly as it is. */
START_TEST(evidence_of_queue)
{
    struct lq_error err = { 0 };
    struct lq_queue *q = open_queue("exim", make_exim_spool("spool"));
    struct lq_pack_opts opts = evidence(at("out/e.tar.zst"));
    struct lq_set *set = select_all(q);

    make_dirs(at("out"));
    ck_assert_int_eq(run("cd '%s' && " STATE_OF_SPOOL " >before", top), 0);
    ck_assert_msg(lq_pack(NULL, set, &opts, &err) == LQ_OK, "%s", err.text);
    ck_assert_int_eq(run("cd '%s' && " STATE_OF_SPOOL " | diff before -", top), 0);
    check_evidence(at("out/e.tar.zst"), 3);
    ck_assert_int_eq(run("cd '%s'/out && test $(ls -A | wc -l) = 1 && zstd -qdc e.tar.zst | tar xf - && cmp e/data/0-exim/input/" ID2 "-D ../spool/input/" ID2 "-D", top), 0);
    ck_assert_int_eq(run("cd '%s'/out/e && test $(ls eml/0-exim | wc -l) = 3 && grep -q 'Messages:  3' summary.txt && ! grep -q 'Not here' summary.txt", top), 0);
    lq_set_free(set);
    lq_queue_close(q);
}
END_TEST

/* Meanwhile one was delivered, one moved to another directory, one is another message by now. */
START_TEST(evidence_of_moving_queue)
{
    struct lq_error err = { 0 };
    struct lq_queue *q;
    struct lq_pack_opts opts = evidence(at("out/e.tar.zst"));
    struct lq_set *set;

    make_exim_spool("spool");
    make_dirs(at("spool/input/U"));
    q = open_queue("exim", at("spool"));
    set = select_all(q);
    make_dirs(at("out"));
    ck_assert_int_eq(run("cd '%s'/spool/input && rm " ID1 "-? && mv " ID2 "-? U && cp " ID3 "-D x && mv x " ID3 "-D", top), 0);
    ck_assert_msg(lq_pack(NULL, set, &opts, &err) == LQ_OK, "%s", err.text);
    check_evidence(at("out/e.tar.zst"), 1);
    ck_assert_int_eq(run("cd '%s'/out && zstd -qdc e.tar.zst | tar xf - && test -f e/data/0-exim/input/U/" ID2 "-H && grep -q 'Not here:  2 messages' e/summary.txt", top), 0);
    lq_set_free(set);
    lq_queue_close(q);
}
END_TEST

/* What strangers wrote stays text. */
START_TEST(hostile_summary)
{
    struct lq_error err = { 0 };
    struct lq_queue *q;
    struct lq_pack_opts opts = evidence(at("e.tar.zst"));
    struct lq_set *set;

    make_exim_spool("spool");
    ck_assert_int_eq(run("cd '%s'/spool/input && sed -i 's/^019  Subject: hello you/017  Subject: \x1b[31m\\\\x/' " ID1 "-H", top), 0);
    q = open_queue("exim", at("spool"));
    set = select_all(q);
    ck_assert_msg(lq_pack(NULL, set, &opts, &err) == LQ_OK, "%s", err.text);
    ck_assert_int_eq(run("cd '%s' && zstd -qdc e.tar.zst | tar xf - && LC_ALL=C grep -vc '^[ -~]*$' e/summary.txt | grep -qx 0 && grep -qF '\\x1B[31m' e/summary.txt", top), 0);
    lq_set_free(set);
    lq_queue_close(q);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("pack");
    TCase *c = tcase_create("pack");

    tcase_add_checked_fixture(c, make_top, remove_top);
    tcase_add_loop_test(c, in_place, 0, 2);
    tcase_add_test(c, plain_tools);
    tcase_add_loop_test(c, states, 0, sizeof(left) / sizeof(*left));
    tcase_add_loop_test(c, no_room, 0, 2);
    tcase_add_loop_test(c, hostile, 0, sizeof(archives) / sizeof(*archives));
    tcase_add_loop_test(c, truncated, 0, 16);
    tcase_add_loop_test(c, evidence_of_case, 0, 3);
    tcase_add_test(c, evidence_without_unnamed_files);
    tcase_add_test(c, evidence_of_packed_case);
    tcase_add_test(c, evidence_is_no_case);
    tcase_add_loop_test(c, bad_output, 0, sizeof(bad_outputs) / sizeof(*bad_outputs));
    tcase_add_test(c, evidence_of_queue);
    tcase_add_test(c, evidence_of_moving_queue);
    tcase_add_test(c, hostile_summary);
    suite_add_tcase(s, c);
    return s;
}

int main(void)
{
    SRunner *r = srunner_create(suite());
    int failed;

    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? 1 : 0;
}
