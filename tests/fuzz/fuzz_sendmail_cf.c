/* sendmail.cf: any bytes are understood, or name no queue; from a file as from memory. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "sendmail.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_file(const struct sendmail_cf *expected, const uint8_t *data, size_t size)
{
    int fd = memfd_create("cf", MFD_CLOEXEC);
    struct sendmail_cf cf;
    char path[40];

    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    if (fd < 0 || write(fd, data, size) != (ssize_t)size)
        abort();
    if (sendmail_cf_read(&cf, path) != (expected->count > 0) || cf.count != expected->count ||
        (cf.count > 0 && strcmp(cf.base, expected->base) != 0))
        abort();
    sendmail_cf_done(&cf);
    close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sendmail_cf cf;

    if (!sendmail_cf_parse(&cf, bytes_from(data, size)))
        abort();
    if (cf.count > 0 && (cf.base[0] != '/' || !*sendmail_cf_group(&cf, "q1")))
        abort();
    /* Not each, since it is a hundred times as slow. */
    if (size % 16 == 0)
        read_file(&cf, data, size);
    sendmail_cf_done(&cf);
    return 0;
}
