/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_TRANSFER_SINK_H
#define STORAGE_TRANSFER_SINK_H

#include "storage/transfer/format.h"

/*
 * The receiving side of one copy of a group's rows (README.md): asks with digests of what it
 * has, and writes what comes. Before the first question the group is marked as partial, and
 * that on disk (storage/machine/local.h); the mark goes in the transaction of the last rows.
 *
 *   transfer_sink_begin()       once; write transaction, synced
 *   transfer_sink_question()    read transaction
 *   transfer_sink_receive()     checks the answer
 *   transfer_sink_write()       a short write transaction; again while there is more
 *   ...                         until transfer_sink_done(); its caller syncs
 *
 * The next question may be made, and asked, as soon as an answer is received: what of it is not
 * written yet lies before where that question begins.
 *
 * A copy that ends before that begins anew with another sink, which sends for nothing that is
 * here already. One call at a time, from any thread.
 */
struct transfer_sink;

enum {
    TRANSFER_DELETE_COST = 1024, /* a deleted row counts as so many bytes of a transaction */
};

struct transfer_sink_config {
    struct db *db;
    uint32_t group;
    uint64_t source; /* the node */
    uint8_t seed[TRANSFER_SEED_SIZE];
    const struct transfer_limits *limits; /* NULL: the default; borrowed */
    uint64_t (*now_ms)(void);             /* monotonic */
    uint64_t wall_ms;                     /* when it began */
};

struct transfer_sink *transfer_sink_new(const struct transfer_sink_config *config);
void transfer_sink_free(struct transfer_sink **sink);

MUST_CHECK enum err transfer_sink_begin(struct transfer_sink *sink);
MUST_CHECK enum err transfer_sink_question(struct transfer_sink *sink, struct buffer *question);
/* Whether the answer that was received is the last one: nothing is to be asked any more. */
bool transfer_sink_last(const struct transfer_sink *sink);
/* ERR_MALFORMED. `answer` is borrowed until all of it is written; so must be the one before. */
MUST_CHECK enum err transfer_sink_receive(struct transfer_sink *sink, struct bytes answer);
MUST_CHECK enum err transfer_sink_write(struct transfer_sink *sink, bool *more);
/* Whether the last answer was written: the rows are those of entry *index. */
bool transfer_sink_done(const struct transfer_sink *sink, uint64_t *index);

struct transfer_sink_progress {
    uint64_t rows_received;
    uint64_t bytes_received; /* of rows */
    uint64_t rows_deleted;
    uint64_t bytes_compared; /* of own rows, looked at for questions */
    uint64_t read_longest_ms;
    uint64_t write_longest_ms;
};
void transfer_sink_progress(const struct transfer_sink *sink,
                            struct transfer_sink_progress *progress);

#endif
