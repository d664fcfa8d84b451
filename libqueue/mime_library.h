/* The functions of GMime 3 that we call, loaded when they are needed first. */
#ifndef MIME_LIBRARY_H
#define MIME_LIBRARY_H

#include <gmime/gmime.h>

#include "error.h"

#define MIME_FUNCTIONS(F)                                                                                              \
    F(g_mime_init) F(g_mime_content_type_parse) F(g_mime_content_type_get_media_type)                                  \
    F(g_mime_content_type_get_media_subtype) F(g_mime_content_type_get_parameter) F(g_mime_content_disposition_parse)  \
    F(g_mime_content_disposition_get_parameter) F(g_mime_content_encoding_from_string) F(g_mime_encoding_init_decode)  \
    F(g_mime_encoding_outlen) F(g_mime_encoding_step) F(g_object_unref)

/* Each with the type that its header gives it, so that the compiler checks the calls. */
struct mime_functions {
#undef g_object_unref
#define F(name) __typeof__(name) *name;
    MIME_FUNCTIONS(F)
#undef F
};

/* NULL and a sentence where they are not to be had. Whoever is first loads them; any thread may. */
const struct mime_functions *mime_functions(struct lq_error *err);

#endif
