/*
 * GMime, loaded when somebody asks for a body. Linked like other libraries it would make every start of every command load 17 more
 * of them (GLib, GObject, GIO, GPGME …): 6.7 ms instead of 1.6 for an empty program. Static programs have mime_none.c instead.
 */
#include <dlfcn.h>
#include <string.h>
#include <threads.h>

#include "mime_library.h"

#define SONAME "libgmime-3.0.so.0"

static struct mime_functions functions;
static struct lq_error failure;
static bool loaded;

static bool find(void *library, const char *name, void *function)
{
    void *address = dlsym(library, name);

    /* C has no pointer that holds both; POSIX says that this works. */
    memcpy(function, &address, sizeof(address));
    return address != NULL;
}

static void load(void)
{
    void *library = dlopen(SONAME, RTLD_NOW | RTLD_LOCAL);
    bool all = library != NULL;

    if (!library) {
        error_set(&failure, LQ_EINVAL, "bodies are read by " SONAME ", which cannot be loaded (Debian: libgmime-3.0-0): %s", dlerror());
        return;
    }
#define F(name) all = all && find(library, #name, &functions.name);
    MIME_FUNCTIONS(F)
#undef F
    if (!all) {
        error_set(&failure, LQ_EINVAL, SONAME " is not the library that this program was made for: %s", dlerror());
        return;
    }
    functions.g_mime_init();
    loaded = true;
}

const struct mime_functions *mime_functions(struct lq_error *err)
{
    static once_flag once = ONCE_FLAG_INIT;

    call_once(&once, load);
    if (loaded)
        return &functions;
    if (err)
        *err = failure;
    return NULL;
}
