/*
 * Instead of mime_library.c in static programs: there is no static GMime (Debian has none of GPGME, which it needs), and a static
 * program must not load the shared libraries of the machine that it was copied to, of whatever version they are.
 */
#include "mime_library.h"

const struct mime_functions *mime_functions(struct lq_error *err)
{
    error_set(err, LQ_EINVAL, "this command is a static one, without the library that reads bodies: ask for something else, or use the "
              "packaged command");
    return NULL;
}
