/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_QUERY_SCRUB_H
#define STORAGE_QUERY_SCRUB_H

#include "node/base/buffer.h"
#include "storage/db/db.h"
#include "storage/machine/record.h"

/*
 * Looks whether the bodies of a group are still what their digests say, a little at a time: a
 * read transaction each step, a large body over several. Bodies do not change, they only go.
 */
struct scrub;

enum scrub_state {
    SCRUB_MORE, /* go on in another transaction */
    SCRUB_BAD,  /* scrub_blob() is damaged; the next step goes on behind it */
    SCRUB_END,
};

struct scrub_counts {
    uint64_t blobs; /* that were looked at to the end */
    uint64_t bytes; /* as they lie here, compressed */
};

/* `from`: bodies up to this one are done; 0: none. */
struct scrub *scrub_new(uint32_t group, uint64_t from);
void scrub_free(struct scrub **scrub);
/* Reads up to about `bytes`. An error of the transaction is the caller's to look at. */
enum scrub_state scrub_step(struct scrub *scrub, struct db_txn *txn, size_t bytes);
uint64_t scrub_blob(const struct scrub *scrub);
/* What another scrub would go on from. */
uint64_t scrub_done(const struct scrub *scrub);
void scrub_counts(const struct scrub *scrub, struct scrub_counts *counts);

/*
 * A body that came from another node, block after block: it is taken only when it is what the
 * digest says, and of it only what is different here. At most SCRUB_KEPT_BYTES are kept: then
 * there is another round.
 */
enum { SCRUB_KEPT_BYTES = 16 << 20 };
struct scrub_repair;

struct scrub_repair *scrub_repair_new(uint32_t group, uint64_t blob);
void scrub_repair_free(struct scrub_repair **repair);
/* False when no block of a body looks like that, or there are too many. `frame` is a zstd
 * frame.
 */
bool scrub_repair_block(struct scrub_repair *repair, struct db_txn *read, struct bytes frame);
uint32_t scrub_repair_next_block(const struct scrub_repair *repair);

enum scrub_outcome {
    SCRUB_REPAIRED,
    SCRUB_AGAIN,   /* repaired in part: another round */
    SCRUB_GONE,    /* nothing to repair: the body was freed meanwhile */
    SCRUB_USELESS, /* what came does not fit the digest either */
};
/* After the last block; in a write transaction. */
enum scrub_outcome scrub_repair_write(struct scrub_repair *repair, struct db_txn *txn);

#endif
