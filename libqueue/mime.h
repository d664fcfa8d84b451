/*
 * What a message's body says: its text parts decoded into UTF-8, and the file names of the others. Works on the bytes of a message as
 * they come, in constant memory but for the text itself; knows no queue.
 */
#ifndef MIME_H
#define MIME_H

#include "buf.h"
#include "bytes.h"
#include "error.h"

enum {
    MIME_TEXT_MAX = 4 << 20,    /* of all text of one message */
    MIME_ITEMS_MAX = 1000,      /* texts and names of one message */
    MIME_DEPTH_MAX = 32,        /* multiparts inside each other */
    MIME_VALUE_MAX = 8 << 10    /* of one Content- field that is looked at */
};

/* The text of a part, or a name of its file. */
struct mime_item {
    size_t at, n;               /* in mime_text() */
};

struct mime;

/*
 * Load the MIME library, once; nothing else here may be called before. LQ_OK; LQ_EINVAL with a sentence where it is not installed, or where the
 * program is a static one.
 */
int mime_library(struct lq_error *err);
/* NULL without memory. */
struct mime *mime_new(void);
void mime_free(struct mime *m);
/* Begin a message; owner (may be NULL) is asked before its text grows large. */
void mime_begin(struct mime *m, struct arena *owner);
/* The next bytes of the message: header, empty line, body; LF or CRLF. */
void mime_push(struct mime *m, const void *p, size_t n);
void mime_end(struct mime *m);

/* After mime_end(): item i; false past the last. Line ends are LF, those at the end are not part of it. */
bool mime_item(const struct mime *m, size_t i, struct bytes *text);
/*
 * True when the items are not all that the body says: too much text, too many parts or levels, an encoding or a charset that is not
 * known (its bytes are then given as they are).
 */
bool mime_cut(const struct mime *m);
/* Forget the message; memory beyond `keep` bytes is given back. */
void mime_reset(struct mime *m, size_t keep);

#endif
