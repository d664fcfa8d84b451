/*
 * mkspool: makes mail queues for tests. Three verbs, one file each.
 */
#include "mkspool.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *usage;
} verbs[] = {
    { "text", text_main, "text FILE... DIR                     unpack described queues (tests/spool/README)" },
    { "flood", flood_main, "flood MTA DIR [-n N] [--seed S] [--long-ids] [--flat] [--now EPOCH] [--body BYTES] [--kind KIND]   a flooded queue" },
    { "replicate", replicate_main, "replicate MTA SPOOL OUT [-n N] [--seed S]   copies under new ids" },
};

int main(int argc, char **argv)
{
    const size_t count = sizeof(verbs) / sizeof(verbs[0]);

    for (size_t i = 0; argc > 1 && i < count; i++)
        if (strcmp(argv[1], verbs[i].name) == 0)
            return verbs[i].run(argc - 1, argv + 1);
    fputs("usage:\n", stderr);
    for (size_t i = 0; i < count; i++)
        fprintf(stderr, "  mkspool %s\n", verbs[i].usage);
    return 2;
}
