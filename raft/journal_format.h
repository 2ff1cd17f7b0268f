/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef RAFT_JOURNAL_FORMAT_H
#define RAFT_JOURNAL_FORMAT_H

#include "node/base/buffer.h"
#include "raft/log_index.h"

/*
 * A segment is a file "<number, 16 hexadecimal digits>.log" of a size that it has from the
 * start: a head of 4,096 bytes, then batches, each at a multiple of 8, then what lay there
 * before. All numbers are little-endian.
 *
 *   segment head  magic 8 bytes, version u8, zero x 7, number u64, salt u64, size u64, check
 *   batch head    magic u32, version u8, zero x 3, segment u64, number u64, check of the batch
 *                 before u64, length of the table u32, length of the data u32, records u32,
 *                 zero u32, check u64 (of head and table)
 *   table         records, each at a multiple of 8; all but the data of entries
 *   data          of the entries, in the order of the table
 *
 * Records begin with kind u8, zero x 3, group u32:
 *
 *   STATE, CHECKPOINT  flags u32, length u32, last index u64, the state (log_record.h), zeros
 *   ENTRIES, MOVED     count u32, zero u32, first index u64, count times (term u64, length
 *                      u32, check of the data u32, type u8, zero x 7)
 *   SEAL               nothing more: the last record of a segment that has a successor
 *   SEGMENTS           count u32, zero u32, count times the number u64 of an older segment
 *
 * The first batch of every segment but number 1 has SEGMENTS, all older ones that are needed,
 * and a CHECKPOINT of every group: so nothing older is needed but live entries. ENTRIES replace
 * what was there from their first index on. MOVED: live entries that lie here from now on.
 * Checks are XXH3 seeded with the log's random salt, which no sender of mail knows: a body
 * cannot look like a batch.
 */
enum {
    JOURNAL_SEGMENT_HEAD_SIZE = 4096,
    JOURNAL_BATCH_HEAD_SIZE = 56,
    JOURNAL_STATE_HEAD_SIZE = 24,
    JOURNAL_ENTRIES_HEAD_SIZE = 24,
    JOURNAL_ENTRY_SIZE = 24,
    JOURNAL_SEAL_SIZE = 8,
    JOURNAL_SEGMENTS_HEAD_SIZE = 16,
};

enum journal_kind {
    JOURNAL_STATE = 1,
    JOURNAL_CHECKPOINT,
    JOURNAL_ENTRIES,
    JOURNAL_MOVED,
    JOURNAL_SEAL,
    JOURNAL_SEGMENTS
};

enum { JOURNAL_FLAG_RESET = 1 };

/* ---- segments ---- */

struct journal_segment_head {
    uint64_t number;
    uint64_t salt;
    uint64_t size;
};
void journal_segment_head_write(uint8_t at[JOURNAL_SEGMENT_HEAD_SIZE],
                                const struct journal_segment_head *head);
bool journal_segment_head_read(const uint8_t at[JOURNAL_SEGMENT_HEAD_SIZE],
                               struct journal_segment_head *head);

/* ---- a batch that is being made ---- */

struct journal_batch {
    struct buffer table; /* the head's room in front */
    struct buffer data;
    unsigned records;
    /* Of its entries, in order; `offset` counts from the start of the data until sealed. */
    struct log_position *positions;
    size_t position_count;
    size_t position_room;
};

void journal_batch_fini(struct journal_batch *batch);
void journal_batch_clear(struct journal_batch *batch);
bool journal_batch_is_empty(const struct journal_batch *batch);
/* Bytes in the file. */
uint64_t journal_batch_size(const struct journal_batch *batch);
void journal_batch_state(struct journal_batch *batch, enum journal_kind kind,
                         const struct log_state *state, uint64_t last_index, unsigned flags);
/* JOURNAL_ENTRIES or JOURNAL_MOVED. */
void journal_batch_entries(struct journal_batch *batch, enum journal_kind kind, uint32_t group,
                           uint64_t first, const struct entry *entries, unsigned count,
                           uint64_t salt);
void journal_batch_seal(struct journal_batch *batch);
void journal_batch_segments(struct journal_batch *batch, const uint64_t *numbers,
                            unsigned count);

struct journal_place {
    uint64_t segment;
    uint64_t at;       /* in the file */
    uint64_t number;   /* of the batch */
    uint64_t previous; /* check of the batch before */
};
/* Completes the head and the positions. Returns the batch's check. */
uint64_t journal_batch_end(struct journal_batch *batch, const struct journal_place *place,
                           uint64_t salt);

/* ---- a batch that is read ---- */

struct journal_batch_head {
    uint64_t number;
    uint64_t previous;
    uint64_t check;
    uint32_t table_len;
    uint32_t data_len;
    uint32_t records;
};
/* What can be told without the table. */
bool journal_batch_head_read(const uint8_t at[JOURNAL_BATCH_HEAD_SIZE], uint64_t segment,
                             struct journal_batch_head *head);
/* Head and table are as they were written. `at` has head and table. */
bool journal_batch_check(struct bytes at, uint64_t salt);
uint64_t journal_batch_head_size(const struct journal_batch_head *head);

struct journal_record {
    enum journal_kind kind;
    uint32_t group;
    unsigned flags;
    uint64_t last_index;
    struct log_state state; /* borrows the members */
    uint64_t first;
    unsigned count;
    struct bytes heads; /* of entries; of SEGMENTS the numbers */
};
/* Takes the next record off `table`. ERR_MALFORMED: it is none. */
MUST_CHECK enum err journal_record_read(struct bytes *table, struct journal_record *record);
/* Entry `at` of an ENTRIES or MOVED record; its data lie at `offset` in the file. */
struct log_position journal_record_position(const struct journal_record *record, unsigned at,
                                            uint64_t segment, uint64_t offset);

uint32_t journal_data_check(struct bytes data, uint64_t salt);

#endif
