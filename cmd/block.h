/*
 * What to paste so that the clients and accounts found in the queue are refused at SMTP time. Addresses and accounts are strangers' texts:
 * only literals that mean nothing else anywhere are written, what is not such a literal is counted.
 */
#ifndef BLOCK_H
#define BLOCK_H

#include "print.h"
#include "tally.h"

/* Append the block for the largest of these clients and accounts; mta: "postfix", "exim", "sendmail". False, and nothing, when there is no literal. */
bool block_show(struct text *t, const char *mta, const struct tally *clients, const struct tally *accounts);

#endif
