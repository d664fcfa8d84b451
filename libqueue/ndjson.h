/*
 * Records that were written as JSON, one a line, in place of a queue. ndjson.c reads lines and answers what scan.c is asked of them;
 * ndjson_record.c makes a record of a line. The text is a stranger's: no line may end the reading of the others.
 */
#ifndef NDJSON_H
#define NDJSON_H

#include "engine.h"

struct ndjson;          /* one input, behind a queue */
struct ndjson_scan;

enum { NDJSON_LINE_MAX = 64 << 20 };    /* a record of 100,000 recipients takes 40 MiB */

/* An input: a file, or "-" for standard input. */
int ndjson_open(struct ndjson **out, const char *path, struct lq_error *err);
void ndjson_close(struct ndjson *in);
/* Ages count from here: when the file was last written, or (of a pipe) the clock. */
int64_t ndjson_now(const struct ndjson *in);
/* True when the records come while they are read. */
bool ndjson_live(const struct ndjson *in);

/* What the lq_scan functions do for such a queue. One scan at a time; a second one only where the input can be read again. */
int ndjson_scan_begin(struct ndjson_scan **out, struct lq_queue *q, const struct lq_scan_opts *opts, struct lq_error *err);
int ndjson_scan_next(struct ndjson_scan *s, const struct lq_record **rec, struct lq_error *err);
int ndjson_scan_again(struct ndjson_scan *s, const struct lq_scan_opts *opts, struct lq_error *err);
struct lq_scan_stats ndjson_scan_stats(const struct ndjson_scan *s);
const char *ndjson_scan_trouble(const struct ndjson_scan *s, size_t i);
void ndjson_scan_end(struct ndjson_scan *s);

/* Why a line is no record: the end of a sentence. */
struct ndjson_why {
    char text[200];
};

/* Fill an empty record from a line. False, and why; the record is then to be reset. */
bool ndjson_record(struct lq_record *r, const char *line, size_t n, struct ndjson_why *why);

#endif
