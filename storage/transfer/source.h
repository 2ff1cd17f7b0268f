/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_TRANSFER_SOURCE_H
#define STORAGE_TRANSFER_SOURCE_H

#include "storage/transfer/format.h"

/*
 * The sending side of one copy of a group's rows (README.md). The receiver asks, this answers:
 * rows in the order of their keys, left out where the receiver's digests say that it has them,
 * and behind them what has changed since in what went before. Each answer reads in one short
 * transaction; only the one that ends the copy must see it whole, and it sees little.
 *
 * While it lives it notes which keys of the group are written (storage/db.h, db_watch).
 */
struct transfer_source;

struct transfer_source_config {
    struct db *db;
    uint32_t group;
    uint8_t seed[TRANSFER_SEED_SIZE];     /* random, the same on both sides */
    struct bytes tables;                  /* transfer_tables_encode() of the receiver */
    const struct transfer_limits *limits; /* NULL: the default; borrowed */
    uint64_t (*now_ms)(void);             /* monotonic */
};

/*
 * Waits for the writer, as free() does. ERR_MALFORMED: the tables; ERR_UNSUPPORTED: there are
 * rows in a table that the receiver does not know; ERR_NOTFOUND: the state here is not whole,
 * or nothing was ever applied; or the database's error.
 */
MUST_CHECK enum err transfer_source_new(const struct transfer_source_config *config,
                                        struct transfer_source **source);
void transfer_source_free(struct transfer_source **source);

/*
 * ERR_OK with the answer appended. Any error ends the copy, and another may begin:
 * ERR_MALFORMED: the question; ERR_TOOBIG: too many changes were waiting; the database's. One
 * call at a time, from any thread.
 */
MUST_CHECK enum err transfer_source_answer(struct transfer_source *source,
                                           struct bytes question, struct buffer *answer);

struct transfer_source_progress {
    uint64_t rows;
    uint64_t bytes;
    uint64_t read_longest_ms; /* of the transactions */
};
void transfer_source_progress(const struct transfer_source *source,
                              struct transfer_source_progress *progress);

#endif
