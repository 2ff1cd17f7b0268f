/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_MACHINE_BLOB_H
#define STORAGE_MACHINE_BLOB_H

#include "storage/machine/apply.h"

/*
 * Bodies: stored once in a group, counted by the messages and hand-overs that use them. A block
 * (a zstd frame) lies in pieces that fill an LMDB page each.
 */
enum { BLOB_PIECE_SIZE = 4080 };

/* Where the blocks of a body are. */
struct blob_source {
    bool uploaded;
    struct upload_record upload;
};

/* Whether the body can be stored; refuses else. */
enum err blob_check(struct apply *apply, const Pr__Body *body, struct blob_source *source);
/* Stores a body that was checked. The upload row is gone then. Returns its blob id. */
uint64_t blob_make(struct apply *apply, const Pr__Body *body, const struct blob_source *source,
                   uint64_t references);
void blob_reference(struct apply *apply, uint64_t blob);
/* With the last reference all of it goes, now or, when it is large, step by step. */
void blob_release(struct apply *apply, uint64_t blob);

/* Returns false when there is none. */
bool blob_load(struct db_txn *txn, uint32_t group, uint64_t blob, struct blob_record *record);
void blob_block_put(struct apply *apply, uint64_t blob, uint32_t block, struct bytes frame);
/* Up to `rows` pieces; returns how many went. */
unsigned blob_blocks_delete(struct apply *apply, uint64_t blob, unsigned rows);

/* Frees the blocks of an upload or body, whose other rows are gone, step by step. */
void doom_blob(struct apply *apply, uint64_t blob);
/* Likewise all rows of a mailbox but its own. With `kept_ms` its messages can be brought back:
 * expunged then, from a mailbox of that name. */
void doom_mailbox(struct apply *apply, uint64_t account_id, uint32_t mailbox_id,
                  uint64_t kept_ms, struct bytes name);
/* Forgets what is doomed of an account; up to `rows`, returns how many. */
unsigned doom_forget(struct apply *apply, uint64_t account_id, unsigned rows);
/* Likewise all of an account but its own row, or what was mapped for its import. */
void doom_account(struct apply *apply, uint64_t account_id);
void doom_import(struct apply *apply, uint64_t account_id);
/* Whether mailboxes of the account are doomed. */
bool doom_of_account(struct db_txn *txn, uint32_t group, uint64_t account_id);
/* Frees some of what is doomed, behind each command. */
void doom_step(struct apply *apply);

/* Deletes rows that begin with `prefix`, up to `rows`; returns how many. */
unsigned rows_delete(struct db_txn *txn, enum db_table table, struct bytes prefix,
                     unsigned rows);
/* Deletes message rows with `prefix` and releases their bodies. */
unsigned rows_delete_messages(struct apply *apply, struct bytes prefix, unsigned rows);

#endif
