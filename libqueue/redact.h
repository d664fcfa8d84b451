/*
 * What a redacted evidence pack says of a message: nothing that names a person, an account, a mailbox or a domain. Only numbers, times, IP
 * addresses, hashes, and words of lists that are here; a text that a stranger, or an administrator's configuration, could choose is left out.
 */
#ifndef REDACT_H
#define REDACT_H

#include "addr.h"
#include "digest.h"
#include "engine.h"

/* Whether the text is an IP address and no more; shown: in the usual form, without a zone. Exim keeps whatever stood there. */
bool redact_address(struct lq_str s, char shown[IP_TEXT_MAX]);
/* Whether an id is of the form that its server makes of a clock, a process and a counter: other names can be anybody's words. */
bool redact_id(struct lq_str mta, struct lq_str id);
/* A line of records.ndjson, newline included. */
void redact_record(struct buf *out, const struct lq_record *r);
/*
 * A line of data/originals.ndjson, newline included: size and hash of each file of the message, and of the message as it would be sent, and what
 * of its header names nobody. rd: the message, whose control section was read. block: BAG_BLOCK bytes. 0, or errno with the file in why.
 */
int redact_original(struct buf *out, struct reading *rd, struct digest *d, char *block, char why[256]);

#endif
