/*
 * Any bytes as a message whose body is wanted as text. How the bytes are cut into pieces may not matter, and items stand in order
 * within the bounds.
 */
#include <stdlib.h>

#include "mime.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void extract(struct mime *m, struct bytes in, size_t step)
{
    mime_begin(m, NULL);
    for (size_t at = 0; at < in.n; at += step)
        mime_push(m, in.p + at, in.n - at < step ? in.n - at : step);
    mime_end(m);
}

static void compare(const struct mime *a, const struct mime *b)
{
    struct bytes x, y, last = { NULL, 0 };
    size_t i = 0;

    if (mime_cut(a) != mime_cut(b))
        abort();
    for (; mime_item(a, i, &x); i++) {
        if (!mime_item(b, i, &y) || !bytes_eq(x, y) || x.n == 0 || (last.p && last.p + last.n > x.p))
            abort();
        last = x;
    }
    if (mime_item(b, i, &y) || i > MIME_ITEMS_MAX)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct mime *whole, *pieces;

    if (!whole) {
        if (mime_library(NULL) != LQ_OK)
            abort();
        whole = mime_new();
        pieces = mime_new();
    }
    if (!whole || !pieces)
        abort();
    extract(whole, bytes_from(data, size), size ? size : 1);
    extract(pieces, bytes_from(data, size), size ? data[0] % 61 + 1 : 1);
    compare(whole, pieces);
    return 0;
}
