/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_TRANSFER_ACCOUNT_H
#define STORAGE_TRANSFER_ACCOUNT_H

#include "command.pb-c.h"
#include "node/base/arena.h"
#include "storage/db/db.h"
#include "storage/transfer/digest.h"

/*
 * The rows of one account, as commands for the group that it moves to, while the account is in
 * use. Each call reads in one short transaction; while the copy lives it notes which rows of
 * the account are written, and gives these again. Bodies go once, in front of the first row
 * that names them; one of several blocks as an upload.
 *
 * The commands are to be applied in the order in which they come, each before the next is asked
 * for. A command that cannot be applied ends the copy; the next attempt begins anew.
 */
struct account_copy;

enum {
    ACCOUNT_COPY_BYTES = 192 * 1024, /* of a command, but for one body or row */
    ACCOUNT_COPY_ROWS = 1024,        /* of a command */
    ACCOUNT_COPY_KEYS_BYTES = 64 << 20,
};

struct account_copy_config {
    struct db *db;
    uint32_t group;
    uint64_t account_id;
    uint64_t attempt;
    uint8_t seed[TRANSFER_SEED_SIZE]; /* random */
    size_t command_bytes;             /* 0: ACCOUNT_COPY_BYTES */
};

/* Both wait for the writer of the database. */
MUST_CHECK enum err account_copy_new(const struct account_copy_config *config,
                                     struct account_copy **copy);
void account_copy_free(struct account_copy **copy);

struct account_copy_look {
    bool frozen;   /* what was looked at does not change any more */
    bool through;  /* all rows went once; only changes are left */
    size_t left;   /* changes that wait, at least */
    uint64_t rows; /* given so far */
    uint64_t bytes;
    uint64_t sequence; /* of the last ImportRows */
};

/*
 * ERR_OK with the next command, in `arena`. ERR_NOTFOUND: there is nothing to copy as of this
 * look; when it was also frozen, the copy is whole. ERR_TOOBIG: too much changes meanwhile; or
 * the database's error. One call at a time, from any thread.
 */
MUST_CHECK enum err account_copy_next(struct account_copy *copy, struct arena *arena,
                                      Pr__Command *command, struct account_copy_look *look);

#endif
