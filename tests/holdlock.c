/*
 * holdlock FILE COMMAND...: run a command while the file is locked as mail servers lock theirs: flock (Postfix, Sendmail) and a
 * POSIX lock (Exim, Sendmail) on all of it.
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
    int fd, status = 0;
    pid_t child;

    if (argc < 3)
        return 2;
    fd = open(argv[1], O_RDWR | O_CLOEXEC);
    if (fd < 0 || flock(fd, LOCK_EX) < 0 || fcntl(fd, F_SETLK, &lock) < 0) {
        perror(argv[1]);
        return 2;
    }
    child = fork();
    if (child == 0) {
        execvp(argv[2], argv + 2);
        _exit(127);
    }
    if (child < 0 || waitpid(child, &status, 0) < 0)
        return 2;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 2;
}
