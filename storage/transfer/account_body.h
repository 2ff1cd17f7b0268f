/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_TRANSFER_ACCOUNT_BODY_H
#define STORAGE_TRANSFER_ACCOUNT_BODY_H

#include "command.pb-c.h"
#include "node/base/arena.h"
#include "storage/db/db.h"
#include "storage/machine/record.h"

/* Bodies of an account that is copied. All zero: nothing is uploaded. */
struct account_upload {
    uint64_t blob;  /* under way; 0: none */
    uint64_t ready; /* all of its blocks went; 0: none */
    uint64_t attempt;
    uint32_t next_block;
};

void account_upload_begin(struct account_upload *upload, uint64_t attempt, uint64_t blob);
/* The command with the next block, or, when the body is gone by now, the one that drops it.
 * False: there is none; all blocks may have gone. */
bool account_upload_next(struct account_upload *upload, struct db_txn *txn, uint32_t group,
                         struct arena *arena, Pr__Command *command, size_t *bytes);

/* The body as a command takes it: its blocks within, or as they were uploaded. NULL: it cannot
 * be read. */
Pr__Body *account_body(struct db_txn *txn, uint32_t group, uint64_t blob,
                       const struct blob_record *record, const struct account_upload *upload,
                       struct arena *arena, size_t *bytes);

#endif
