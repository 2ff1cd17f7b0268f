/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_MACHINE_EXPUNGED_H
#define STORAGE_MACHINE_EXPUNGED_H

#include "storage/machine/account.h"
#include "storage/machine/apply.h"

/*
 * Messages that were expunged and can be brought back. A row keeps the reference to the body;
 * quotas do not count it. `time_ms` is that of the command that took the message out.
 */
struct expunged {
    uint64_t time_ms;
    uint32_t mailbox_id;
    uint32_t uid;
    struct message_record record; /* without modseqs; keywords are the mailbox's bits */
    struct bytes name; /* of the mailbox when it was expunged; borrowed from the row */
};

/* Takes over the message's reference to its body. The account's counts change, in the caller's
 * record. */
void expunged_put(struct apply *apply, struct account *account,
                  const struct expunged *expunged);
/* False when there is none. The name is valid until the next write. */
bool expunged_load(struct db_txn *txn, const struct account *account, uint64_t time_ms,
                   uint32_t mailbox_id, uint32_t uid, struct expunged *expunged);
/* Takes the row away; the reference to the body is the caller's then. */
void expunged_take(struct apply *apply, struct account *account,
                   const struct expunged *expunged);
/* Of a row as a cursor finds it. */
bool expunged_decode(struct bytes key, struct bytes row, struct expunged *expunged);

/* Frees rows of an account that are older than `before_ms`, up to `rows`; returns how many.
 * The account's counts change in the caller's record. */
unsigned expunged_free(struct apply *apply, struct account *account, uint64_t before_ms,
                       unsigned rows);
/* The first account from `from` on that has such rows; 0 when there is none among the next
 * `looks` accounts with rows, and *next is where to go on (0: nowhere). */
uint64_t expunged_due(struct db_txn *txn, uint32_t group, uint64_t from, uint64_t before_ms,
                      unsigned looks, uint64_t *next);

#endif
