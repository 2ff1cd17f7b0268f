/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_MACHINE_MOVING_H
#define STORAGE_MACHINE_MOVING_H

#include "storage/machine/account.h"
#include "storage/machine/apply.h"

/*
 * Accounts on their way from one group to another: what both groups write down about them. The
 * commands are in move.c (the group that an account leaves) and import.c (where it comes to);
 * README.md says why an account is never in two groups, or in none.
 */

/* False when the account is not on its way. */
bool moving_load(struct db_txn *txn, uint32_t group, uint64_t account_id,
                 struct moving_record *moving);
void moving_store(struct apply *apply, uint64_t account_id, const struct moving_record *moving);
void moving_delete(struct apply *apply, uint64_t account_id);
bool moving_is_out(const struct moving_record *moving);

/* Frees what the group has of an account but for its own row: messages with their bodies, all
 * other rows, what was imported for it. Up to `rows`; returns how many went, fewer than `rows`
 * when nothing is left. */
unsigned account_rows_free(struct apply *apply, uint64_t account_id, unsigned rows);
/* The blobs that an import has mapped, each with its reference; up to `rows`. */
unsigned import_rows_free(struct apply *apply, uint64_t account_id, unsigned rows);

#endif
