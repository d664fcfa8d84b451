/* What evidence.c, evidence_live.c, evidence_log.c and evidence_pages.c share. */
#ifndef EVIDENCE_H
#define EVIDENCE_H

#include "pack.h"
#include "page.h"
#include "redact.h"
#include "set.h"
#include "summary.h"
#include "xarf.h"

struct evidence {
    const struct lq_pack_opts *opts;
    struct lq_case *c;              /* NULL: from live queues */
    struct lq_case bag;             /* what the archive says of itself; only name, info, spools and journal_* are used */
    struct tar tar;
    bool tar_begun;
    enum tar_kind kind;
    char top[NAME_MAX + 1];         /* the directory in the archive */
    const char *base;               /* the archive's name, in dir */
    char *dir_name;
    int dir, fd;
    char partial[NAME_MAX + 1];     /* fd's file until it is whole; "": has none */
    bool named;                     /* it is base now */
    struct records records;
    bool records_kept;              /* the case's own go into the archive; only the summary is made anew */
    struct records originals;       /* redacted: what is in place of the files */
    struct buf eml, journal, source_journal;
    struct buf log_facts;           /* JSON objects, after commas: what logs/ is made of */
    struct summary summary;
    struct page page;
    bool reported;                  /* somebody reports: who; what about is gathered in xarf */
    struct xarf_who who;
    struct xarf xarf;
    char last_id[256];
    uint64_t emls, left;            /* left: messages of the set that are not here */
    int64_t now;
    bool clock_known, clock_synced;
    long clock_offset_us, clock_error_us;
    char hash[DIGEST_HEX + 1];      /* of the archive */
};

int evidence_error(const struct evidence *e, const char *what, int error, struct lq_error *err);
/* The name of the case, NULL: none, or redacted and it could name somebody. */
const char *evidence_source(const struct evidence *e);
/* LQ_OK; LQ_EREFUSED once somebody wants the pack to end. */
int evidence_go_on(const struct evidence *e, struct lq_error *err);
/* A spool's line; its number is that of the call. */
int evidence_spool(struct evidence *e, const struct lq_queue *q, struct lq_error *err);
int evidence_record(struct evidence *e, const struct lq_record *rec, struct lq_error *err);
/* The message of rd, whose control section was read and which nobody changes now. */
int evidence_eml(struct evidence *e, struct reading *rd, size_t spool, struct lq_error *err);
/*
 * Each message of q, which nobody changes, becomes an .eml and, if told, a record.
 */
int evidence_queue(struct evidence *e, struct lq_queue *q, size_t spool, bool records, struct lq_error *err);
/* evidence_log.c: ask for the lines of a message; and, when all were asked for, read the logs and write logs/. */
int evidence_log_want(struct evidence *e, const struct lq_record *rec, struct lq_error *err);
int evidence_logs(struct evidence *e, struct lq_error *err);
/* A file beside data/. */
int evidence_tag(struct evidence *e, const char *name, const struct buf *b, struct lq_error *err);
/* evidence_pages.c: summary.txt, report.html and xarf.json, when all messages were seen. */
int evidence_pages(struct evidence *e, struct lq_error *err);
/* evidence_live.c: the messages of a set. */
int evidence_live(struct evidence *e, const struct lq_set *set, struct lq_error *err);

#endif
