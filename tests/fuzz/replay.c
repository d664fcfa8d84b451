/*
 * Gives each named file to a fuzzer's function once: for coverage, and to look at a finding with
 * any compiler and debugger.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void replay(const char *name)
{
    FILE *in = fopen(name, "rb");
    uint8_t *data;
    long size;

    if (!in || fseek(in, 0, SEEK_END) < 0 || (size = ftell(in)) < 0 || fseek(in, 0, SEEK_SET) < 0) {
        perror(name);
        exit(2);
    }
    /* As large as the input and no larger, so that a sanitizer sees one byte too many. */
    data = malloc(size ? (size_t)size : 1);
    if (!data || fread(data, 1, (size_t)size, in) != (size_t)size) {
        perror(name);
        exit(2);
    }
    LLVMFuzzerTestOneInput(data, (size_t)size);
    free(data);
    fclose(in);
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        replay(argv[i]);
    return 0;
}
