/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "raft/journal_format.h"

#include <stdlib.h>
#include <xxhash.h>

#include "node/base/check.h"
#include "raft/coding.h"

enum {
    SEGMENT_VERSION = 1,
    BATCH_VERSION = 1,
    SEGMENT_CHECK_AT = 40,
    BATCH_CHECK_AT = 48,
    BATCH_MEMORY_KEPT = 4 * 1024 * 1024,
};

#define SEGMENT_MAGIC "PRAFTLOG"
#define BATCH_MAGIC UINT32_C(0x42525250)
#define INDEX_MAX ((uint64_t)1 << 62)

static size_t padded(size_t len)
{
    return (len + 7) & ~(size_t)7;
}

/* ---- segments ---- */

void journal_segment_head_write(uint8_t at[JOURNAL_SEGMENT_HEAD_SIZE],
                                const struct journal_segment_head *head)
{
    memset(at, 0, JOURNAL_SEGMENT_HEAD_SIZE);
    memcpy(at, SEGMENT_MAGIC, 8);
    at[8] = SEGMENT_VERSION;
    put_le64(at + 16, head->number);
    put_le64(at + 24, head->salt);
    put_le64(at + 32, head->size);
    put_le64(at + SEGMENT_CHECK_AT, XXH3_64bits(at, SEGMENT_CHECK_AT));
}

bool journal_segment_head_read(const uint8_t at[JOURNAL_SEGMENT_HEAD_SIZE],
                               struct journal_segment_head *head)
{
    *head = (struct journal_segment_head){
        .number = get_le64(at + 16),
        .salt = get_le64(at + 24),
        .size = get_le64(at + 32),
    };
    return memcmp(at, SEGMENT_MAGIC, 8) == 0 && at[8] == SEGMENT_VERSION &&
           get_le64(at + SEGMENT_CHECK_AT) == XXH3_64bits(at, SEGMENT_CHECK_AT);
}

/* ---- making a batch ---- */

void journal_batch_fini(struct journal_batch *batch)
{
    buffer_fini(&batch->table);
    buffer_fini(&batch->data);
    free(batch->positions);
    batch->positions = NULL;
}

static uint8_t *zeros_add(struct buffer *buffer, size_t len)
{
    uint8_t *at = buffer_reserve(buffer, len);

    memset(at, 0, len);
    buffer_added(buffer, len);
    return at;
}

void journal_batch_clear(struct journal_batch *batch)
{
    if (batch->data.size > BATCH_MEMORY_KEPT)
        buffer_release(&batch->data);
    buffer_truncate(&batch->table, 0);
    buffer_truncate(&batch->data, 0);
    batch->records = 0;
    batch->position_count = 0;
    zeros_add(&batch->table, JOURNAL_BATCH_HEAD_SIZE);
}

bool journal_batch_is_empty(const struct journal_batch *batch)
{
    return batch->records == 0;
}

uint64_t journal_batch_size(const struct journal_batch *batch)
{
    return buffer_len(&batch->table) + padded(buffer_len(&batch->data));
}

static uint8_t *record_add(struct journal_batch *batch, enum journal_kind kind, uint32_t group,
                           size_t len)
{
    uint8_t *at = zeros_add(&batch->table, padded(len));

    at[0] = (uint8_t)kind;
    put_le32(at + 4, group);
    batch->records++;
    return at;
}

void journal_batch_state(struct journal_batch *batch, enum journal_kind kind,
                         const struct log_state *state, uint64_t last_index, unsigned flags)
{
    size_t before = buffer_len(&batch->table);
    uint8_t *at = buffer_reserve(&batch->table, JOURNAL_STATE_HEAD_SIZE + LOG_STATE_SIZE_MAX);
    size_t len = log_state_write(at + JOURNAL_STATE_HEAD_SIZE, state);

    buffer_added(&batch->table, JOURNAL_STATE_HEAD_SIZE + len);
    memset(at, 0, JOURNAL_STATE_HEAD_SIZE);
    at[0] = (uint8_t)kind;
    put_le32(at + 4, state->group);
    put_le32(at + 8, flags);
    put_le32(at + 12, (uint32_t)len);
    put_le64(at + 16, last_index);
    zeros_add(&batch->table,
              before + padded(JOURNAL_STATE_HEAD_SIZE + len) - buffer_len(&batch->table));
    batch->records++;
}

static void position_add(struct journal_batch *batch, const struct log_position *position)
{
    if (batch->position_count == batch->position_room) {
        batch->position_room = batch->position_room > 0 ? batch->position_room * 2 : 256;
        batch->positions =
            realloc(batch->positions, batch->position_room * sizeof(*batch->positions));
        CHECK(batch->positions != NULL);
    }
    batch->positions[batch->position_count++] = *position;
}

void journal_batch_entries(struct journal_batch *batch, enum journal_kind kind, uint32_t group,
                           uint64_t first, const struct entry *entries, unsigned count,
                           uint64_t salt)
{
    size_t size = JOURNAL_ENTRIES_HEAD_SIZE + (size_t)count * JOURNAL_ENTRY_SIZE;
    uint8_t *at = record_add(batch, kind, group, size);

    put_le32(at + 8, count);
    put_le64(at + 16, first);
    at += JOURNAL_ENTRIES_HEAD_SIZE;
    for (unsigned i = 0; i < count; i++, at += JOURNAL_ENTRY_SIZE) {
        struct log_position position = {
            .term = entries[i].term,
            .offset = (uint32_t)buffer_len(&batch->data),
            .len = (uint32_t)entries[i].data.len,
            .check = journal_data_check(entries[i].data, salt),
            .type = entries[i].type,
        };
        put_le64(at, position.term);
        put_le32(at + 8, position.len);
        put_le32(at + 12, position.check);
        at[16] = position.type;
        buffer_add(&batch->data, entries[i].data);
        position_add(batch, &position);
    }
}

void journal_batch_seal(struct journal_batch *batch)
{
    record_add(batch, JOURNAL_SEAL, 0, JOURNAL_SEAL_SIZE);
}

void journal_batch_segments(struct journal_batch *batch, const uint64_t *numbers,
                            unsigned count)
{
    uint8_t *at = record_add(batch, JOURNAL_SEGMENTS, 0,
                             JOURNAL_SEGMENTS_HEAD_SIZE + (size_t)count * sizeof(uint64_t));

    put_le32(at + 8, count);
    for (unsigned i = 0; i < count; i++)
        put_le64(at + JOURNAL_SEGMENTS_HEAD_SIZE + (size_t)i * sizeof(uint64_t), numbers[i]);
}

static uint64_t batch_check(struct bytes at, uint64_t salt)
{
    struct bytes table = bytes_skip(at, JOURNAL_BATCH_HEAD_SIZE);

    return XXH3_64bits_withSeed(table.at, table.len,
                                XXH3_64bits_withSeed(at.at, BATCH_CHECK_AT, salt));
}

uint64_t journal_batch_end(struct journal_batch *batch, const struct journal_place *place,
                           uint64_t salt)
{
    struct bytes table = buffer_bytes(&batch->table);
    uint8_t *at = batch->table.memory + batch->table.start;
    size_t data = buffer_len(&batch->data);

    CHECK(table.len <= UINT32_MAX && data <= UINT32_MAX &&
          place->at + table.len + data <= UINT32_MAX);
    zeros_add(&batch->data, padded(data) - data);
    put_le32(at, BATCH_MAGIC);
    at[4] = BATCH_VERSION;
    put_le64(at + 8, place->segment);
    put_le64(at + 16, place->number);
    put_le64(at + 24, place->previous);
    put_le32(at + 32, (uint32_t)(table.len - JOURNAL_BATCH_HEAD_SIZE));
    put_le32(at + 36, (uint32_t)data);
    put_le32(at + 40, batch->records);
    uint64_t check = batch_check(table, salt);
    put_le64(at + BATCH_CHECK_AT, check);
    for (size_t i = 0; i < batch->position_count; i++) {
        batch->positions[i].sequence = place->segment;
        batch->positions[i].offset += (uint32_t)(place->at + table.len);
    }
    return check;
}

/* ---- reading a batch ---- */

bool journal_batch_head_read(const uint8_t at[JOURNAL_BATCH_HEAD_SIZE], uint64_t segment,
                             struct journal_batch_head *head)
{
    *head = (struct journal_batch_head){
        .number = get_le64(at + 16),
        .previous = get_le64(at + 24),
        .check = get_le64(at + BATCH_CHECK_AT),
        .table_len = get_le32(at + 32),
        .data_len = get_le32(at + 36),
        .records = get_le32(at + 40),
    };
    return get_le32(at) == BATCH_MAGIC && at[4] == BATCH_VERSION &&
           get_le64(at + 8) == segment && head->table_len % 8 == 0;
}

bool journal_batch_check(struct bytes at, uint64_t salt)
{
    return get_le64(at.at + BATCH_CHECK_AT) == batch_check(at, salt);
}

uint64_t journal_batch_head_size(const struct journal_batch_head *head)
{
    return JOURNAL_BATCH_HEAD_SIZE + (uint64_t)head->table_len + padded(head->data_len);
}

static enum err state_read(struct bytes *table, struct journal_record *record)
{
    struct bytes at = *table;

    if (at.len < JOURNAL_STATE_HEAD_SIZE)
        return ERR_MALFORMED;
    record->flags = get_le32(at.at + 8);
    record->last_index = get_le64(at.at + 16);
    size_t len = get_le32(at.at + 12);
    struct bytes state = bytes_skip(at, JOURNAL_STATE_HEAD_SIZE);
    if (len > state.len || padded(JOURNAL_STATE_HEAD_SIZE + len) > at.len ||
        record->last_index > INDEX_MAX)
        return ERR_MALFORMED;
    *table = bytes_skip(at, padded(JOURNAL_STATE_HEAD_SIZE + len));
    enum err err = log_state_read(bytes_from(state.at, len), &record->state);
    record->state.group = record->group;
    return err == ERR_OK && record->state.first_index > INDEX_MAX ? ERR_MALFORMED : err;
}

static enum err entries_read(struct bytes *table, struct journal_record *record)
{
    struct bytes at = *table;

    if (at.len < JOURNAL_ENTRIES_HEAD_SIZE)
        return ERR_MALFORMED;
    record->count = get_le32(at.at + 8);
    record->first = get_le64(at.at + 16);
    struct bytes heads = bytes_skip(at, JOURNAL_ENTRIES_HEAD_SIZE);
    if (record->count == 0 || record->count > heads.len / JOURNAL_ENTRY_SIZE ||
        record->first == 0 || record->first > INDEX_MAX)
        return ERR_MALFORMED;
    record->heads = bytes_from(heads.at, (size_t)record->count * JOURNAL_ENTRY_SIZE);
    *table = bytes_skip(heads, record->heads.len);
    for (unsigned i = 0; i < record->count; i++)
        if (get_le64(heads.at + (size_t)i * JOURNAL_ENTRY_SIZE) == 0) /* no term */
            return ERR_MALFORMED;
    return ERR_OK;
}

static enum err segments_read(struct bytes *table, struct journal_record *record)
{
    if (table->len < JOURNAL_SEGMENTS_HEAD_SIZE)
        return ERR_MALFORMED;
    struct bytes numbers = bytes_skip(*table, JOURNAL_SEGMENTS_HEAD_SIZE);
    uint32_t count = get_le32(table->at + 8);
    if (count > numbers.len / sizeof(uint64_t))
        return ERR_MALFORMED;
    record->heads = bytes_from(numbers.at, (size_t)count * sizeof(uint64_t));
    *table = bytes_skip(numbers, record->heads.len);
    return ERR_OK;
}

enum err journal_record_read(struct bytes *table, struct journal_record *record)
{
    if (table->len < JOURNAL_SEAL_SIZE)
        return ERR_MALFORMED;
    *record = (struct journal_record){.kind = (enum journal_kind)table->at[0],
                                      .group = get_le32(table->at + 4)};
    switch (record->kind) {
    case JOURNAL_STATE:
    case JOURNAL_CHECKPOINT:
        return state_read(table, record);
    case JOURNAL_ENTRIES:
    case JOURNAL_MOVED:
        return entries_read(table, record);
    case JOURNAL_SEAL:
        *table = bytes_skip(*table, JOURNAL_SEAL_SIZE);
        return ERR_OK;
    case JOURNAL_SEGMENTS:
        return segments_read(table, record);
    default:
        return ERR_MALFORMED;
    }
}

struct log_position journal_record_position(const struct journal_record *record, unsigned at,
                                            uint64_t segment, uint64_t offset)
{
    const uint8_t *head = record->heads.at + (size_t)at * JOURNAL_ENTRY_SIZE;

    return (struct log_position){
        .sequence = segment,
        .term = get_le64(head),
        .offset = (uint32_t)offset,
        .len = get_le32(head + 8),
        .check = get_le32(head + 12),
        .type = head[16],
    };
}

uint32_t journal_data_check(struct bytes data, uint64_t salt)
{
    return (uint32_t)XXH3_64bits_withSeed(data.at, data.len, salt);
}
