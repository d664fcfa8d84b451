/*
 * yardstick: how fast can it be? Opens exactly the files that a question about senders, clients
 * and subjects needs, once each (openat, one pread of 4 KiB, fstat, close), stats those that need
 * only a stat, and does nothing else. What mqstat is measured against.
 *
 *     yardstick read MTA SPOOL [--threads N]    prints files opened, files stat'ed, seconds
 *     yardstick rewrite MTA SPOOL               each control file written anew beside itself, one sync of all, then renamed over it, and a sync
 *     yardstick run COMMAND...                  prints seconds and peak memory (KiB) of a command
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { CHUNK = 16, MAX_THREADS = 64, MAX_DEPTH = 5 };

enum need { NOTHING, STAT, OPEN };

struct item {
    int dir;
    enum need need;
    char *name;
};

static struct {
    struct item *items;
    size_t count, room;
    atomic_size_t next, opened, stated;
    const struct mta *mta;
} work;

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "yardstick: %s: %s\n", what, strerror(errno));
    exit(2);
}

static enum need postfix(const char *name)
{
    return strlen(name) > 5 ? OPEN : NOTHING;
}

static enum need exim(const char *name)
{
    const size_t n = strlen(name);

    if (n != 18 && n != 25)
        return NOTHING;
    return name[n - 1] == 'D' ? STAT : OPEN; /* -H, and a -J where there is one */
}

static enum need sendmail(const char *name)
{
    if (name[0] == '\0' || name[1] != 'f' || strlen(name) < 8)
        return NOTHING;
    return strchr("qhQ", name[0]) ? OPEN : name[0] == 'd' ? STAT : NOTHING;
}

/* Where each mail server keeps messages, below the spool; "" is the spool itself. */
static const struct mta {
    const char *name;
    enum need (*classify)(const char *name);
    const char *dirs[6];
    const char *skip; /* directories without messages, each after a blank */
} mtas[] = {
    { "postfix", postfix, { "incoming", "active", "deferred", "hold", "maildrop" }, "" },
    { "exim", exim, { "." }, " msglog Fmsglog db log scan " },
    { "sendmail", sendmail, { "." }, " xf " },
};

static void add(int dir, enum need need, const char *name)
{
    if (work.count == work.room) {
        work.room = work.room ? work.room * 2 : 4096;
        work.items = realloc(work.items, work.room * sizeof(*work.items));
        if (!work.items)
            die("memory");
    }
    work.items[work.count++] = (struct item){ dir, need, strdup(name) };
}

static bool skipped(const char *name)
{
    char word[300];

    snprintf(word, sizeof(word), " %s ", name);
    return strstr(work.mta->skip, word) != NULL;
}

/* The descriptor stays open: the files are opened relative to it. */
static void list(int parent, const char *path, int depth)
{
    int fd = openat(parent, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *entry;

    if (!dir && errno == ENOENT)
        return;
    if (!dir || depth > MAX_DEPTH)
        die(path);
    while ((entry = readdir(dir))) {
        if (entry->d_name[0] == '.')
            continue;
        if (entry->d_type == DT_DIR) {
            if (!skipped(entry->d_name))
                list(fd, entry->d_name, depth + 1);
        } else {
            const enum need need = work.mta->classify(entry->d_name);

            if (need != NOTHING)
                add(fd, need, entry->d_name);
        }
    }
}

static void read_item(const struct item *item)
{
    char block[4096];
    struct stat st;
    int fd;

    if (item->need == STAT) {
        atomic_fetch_add(&work.stated, fstatat(item->dir, item->name, &st, AT_SYMLINK_NOFOLLOW) == 0);
        return;
    }
    fd = openat(item->dir, item->name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return;
    if (pread(fd, block, sizeof(block), 0) >= 0 && fstat(fd, &st) == 0)
        atomic_fetch_add(&work.opened, 1);
    close(fd);
}

static void *worker(void *unused)
{
    size_t from;

    (void)unused;
    while ((from = atomic_fetch_add(&work.next, CHUNK)) < work.count)
        for (size_t i = from; i < from + CHUNK && i < work.count; i++)
            read_item(&work.items[i]);
    return NULL;
}

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int read_main(const struct mta *mta, const char *spool, int threads)
{
    const double start = now();
    int root = open(spool, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    pthread_t ids[MAX_THREADS];

    if (root < 0)
        die(spool);
    work.mta = mta;
    for (size_t i = 0; mta->dirs[i]; i++)
        list(root, mta->dirs[i], 0);
    for (int i = 1; i < threads; i++)
        if (pthread_create(&ids[i], NULL, worker, NULL) != 0)
            die("thread");
    worker(NULL);
    for (int i = 1; i < threads; i++)
        pthread_join(ids[i], NULL);
    printf("%zu %zu %.3f\n", (size_t)work.opened, (size_t)work.stated, now() - start);
    return 0;
}

/* --- what holding has to do at least --- */

static bool is_key(const char *name)
{
    const size_t n = strlen(name);

    return work.mta->classify == exim ? name[n - 1] == 'H' : name[0] == 'q';
}

static void beside(const struct item *item, char temp[300])
{
    snprintf(temp, 300, ".%s", item->name);
}

static void write_beside(const struct item *item)
{
    static char bytes[1 << 20];
    char temp[300];
    int in = openat(item->dir, item->name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC), out;
    ssize_t n = in < 0 ? -1 : read(in, bytes, sizeof(bytes));

    if (n < 0 || close(in) < 0)
        die(item->name);
    beside(item, temp);
    out = openat(item->dir, temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (out < 0 || write(out, bytes, (size_t)n) != n || close(out) < 0)
        die(temp);
}

static void put_over(const struct item *item)
{
    char temp[300];

    beside(item, temp);
    if (renameat(item->dir, temp, item->dir, item->name) < 0)
        die(item->name);
}

static int rewrite_main(const struct mta *mta, const char *spool)
{
    int root = open(spool, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (root < 0)
        die(spool);
    work.mta = mta;
    for (size_t i = 0; mta->dirs[i]; i++)
        list(root, mta->dirs[i], 0);
    for (size_t i = 0; i < work.count; i++)
        if (is_key(work.items[i].name))
            write_beside(&work.items[i]);
    if (syncfs(root) < 0)
        die("sync");
    for (size_t i = 0; i < work.count; i++)
        if (is_key(work.items[i].name))
            put_over(&work.items[i]);
    if (syncfs(root) < 0)
        die("sync");
    return 0;
}

/* Output of the command goes where ours would; what we have to say goes to descriptor 3. */
static int run_main(char **argv)
{
    const double start = now();
    struct rusage usage;
    pid_t pid = fork();
    int status;

    if (pid < 0)
        die("fork");
    if (pid == 0) {
        execvp(argv[0], argv);
        die(argv[0]);
    }
    if (wait4(pid, &status, 0, &usage) < 0)
        die("wait");
    dprintf(3, "%.3f %ld\n", now() - start, usage.ru_maxrss);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

/* --- bare loops over all files of a tree: what acting is compared with --- */

static void rename_one(int from, int to, const char *name)
{
    if (renameat(from, name, to, name) < 0)
        die(name);
}

static void unlink_one(int from, int to, const char *name)
{
    (void)to;
    if (unlinkat(from, name, 0) < 0)
        die(name);
}

/* to < 0: there is no other tree. Files are renamed or removed while the directory is read, names of a directory first, as ls would. */
static void each_file(int from, int to, void (*act)(int from, int to, const char *name), int depth)
{
    struct dirent **names = NULL;
    int n = 0;

    n = scandirat(from, ".", &names, NULL, NULL);
    if (n < 0 || depth > MAX_DEPTH)
        die("scandir");
    for (int i = 0; i < n; i++) {
        const char *name = names[i]->d_name;

        if (names[i]->d_type == DT_DIR && name[0] != '.') {
            int below = openat(from, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC), there = -1;

            if (to >= 0 && mkdirat(to, name, 0700) < 0 && errno != EEXIST)
                die(name);
            if (to >= 0)
                there = openat(to, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
            if (below < 0 || (to >= 0 && there < 0))
                die(name);
            each_file(below, there, act, depth + 1);
            close(below);
            if (there >= 0)
                close(there);
        } else if (names[i]->d_type == DT_REG) {
            act(from, to, name);
        }
        free(names[i]);
    }
    free(names);
}

static int loop_main(const char *from, const char *to)
{
    int f = open(from, O_RDONLY | O_DIRECTORY | O_CLOEXEC), t = -1;

    if (f < 0)
        die(from);
    if (to && mkdir(to, 0700) < 0 && errno != EEXIST)
        die(to);
    if (to && (t = open(to, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
        die(to);
    each_file(f, t, to ? rename_one : unlink_one, 0);
    return 0;
}

int main(int argc, char **argv)
{
    int threads = 1;

    if (argc > 2 && strcmp(argv[1], "run") == 0)
        return run_main(argv + 2);
    if (argc == 6 && strcmp(argv[4], "--threads") == 0)
        threads = atoi(argv[5]);
    if ((argc == 4 || argc == 6) && strcmp(argv[1], "read") == 0 && threads >= 1 && threads <= MAX_THREADS)
        for (size_t i = 0; i < sizeof(mtas) / sizeof(mtas[0]); i++)
            if (strcmp(argv[2], mtas[i].name) == 0)
                return read_main(&mtas[i], argv[3], threads);
    if (argc == 4 && strcmp(argv[1], "rewrite") == 0)
        for (size_t i = 0; i < sizeof(mtas) / sizeof(mtas[0]); i++)
            if (strcmp(argv[2], mtas[i].name) == 0 && mtas[i].classify != postfix)
                return rewrite_main(&mtas[i], argv[3]);
    if (argc == 4 && strcmp(argv[1], "rename") == 0)
        return loop_main(argv[2], argv[3]);
    if (argc == 3 && strcmp(argv[1], "unlink") == 0)
        return loop_main(argv[2], NULL);
    fputs("usage: yardstick read MTA SPOOL [--threads N]\n       yardstick rewrite exim|sendmail SPOOL\n       yardstick rename TREE OTHER\n       yardstick unlink TREE\n       yardstick run COMMAND... 3>RESULT\n", stderr);
    return 2;
}
