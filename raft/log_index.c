/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "raft/log_index.h"

#include <stdlib.h>

#include "node/base/check.h"

enum { ROOM_LEAST = 64 };

static uint64_t count_of(const struct log_index *index)
{
    return index->state.last_index + 1 - index->state.first_index;
}

void log_index_fini(struct log_index *index)
{
    free(index->positions);
    free(index->base_members);
    index->positions = NULL;
    index->base_members = NULL;
}

void log_index_state(struct log_index *index, const struct log_state *state)
{
    struct bytes members = state->base_members;
    uint8_t *copy = NULL;
    if (members.at == index->base_members && members.len == index->state.base_members.len) {
        index->state = *state;
        return;
    }
    if (members.len > 0) {
        copy = malloc(members.len);
        CHECK(copy != NULL);
        memcpy(copy, members.at, members.len);
    }
    free(index->base_members);
    index->base_members = copy;
    index->state = *state;
    index->state.base_members = bytes_from(copy, members.len);
}

const struct log_position *log_index_at(const struct log_index *index, uint64_t entry)
{
    if (entry < index->state.first_index || entry > index->state.last_index)
        return NULL;
    return &index->positions[index->skipped + entry - index->state.first_index];
}

static void make_room(struct log_index *index)
{
    uint64_t count = count_of(index);
    if (index->skipped + count < index->room)
        return;
    if (index->skipped > 0 && index->skipped >= count) {
        memmove(index->positions, index->positions + index->skipped,
                count * sizeof(*index->positions));
        index->skipped = 0;
        return;
    }
    index->room = index->room > 0 ? index->room * 2 : ROOM_LEAST;
    index->positions = realloc(index->positions, index->room * sizeof(*index->positions));
    CHECK(index->positions != NULL);
}

void log_index_append(struct log_index *index, const struct log_position *position)
{
    make_room(index);
    index->positions[index->skipped + count_of(index)] = *position;
    index->state.last_index++;
    index->bytes += position->len + LOG_RECORD_ENTRY_SIZE;
}

void log_index_set(struct log_index *index, uint64_t entry, const struct log_position *position)
{
    CHECK(entry >= index->state.first_index && entry <= index->state.last_index);
    struct log_position *at =
        &index->positions[index->skipped + entry - index->state.first_index];
    index->bytes = index->bytes - at->len + position->len;
    *at = *position;
}

void log_index_truncate(struct log_index *index, uint64_t from)
{
    while (index->state.last_index >= from && count_of(index) > 0) {
        index->bytes -=
            log_index_at(index, index->state.last_index)->len + LOG_RECORD_ENTRY_SIZE;
        index->state.last_index--;
    }
}

void log_index_trim(struct log_index *index, uint64_t before)
{
    while (index->state.first_index < before && count_of(index) > 0) {
        index->bytes -=
            log_index_at(index, index->state.first_index)->len + LOG_RECORD_ENTRY_SIZE;
        index->skipped++;
        index->state.first_index++;
    }
}

void log_index_reset(struct log_index *index, uint64_t first)
{
    index->skipped = 0;
    index->bytes = 0;
    index->state.first_index = first;
    index->state.last_index = first - 1;
}

enum err log_index_load(struct log_index *index, const struct log_record *record,
                        uint64_t sequence)
{
    uint64_t first_index = index->state.first_index;
    size_t offset = record->data_offset;
    /* The first record of a group may begin in what is trimmed, never behind it. */
    if (record->first > (index->next > first_index ? index->next : first_index))
        return ERR_MALFORMED;
    log_index_truncate(index, record->first);
    for (unsigned i = 0; i < record->count; i++) {
        struct log_record_entry entry = log_record_entry(record, i);
        struct log_position position = {.sequence = sequence,
                                        .term = entry.term,
                                        .offset = (uint32_t)offset,
                                        .len = entry.len,
                                        .type = entry.type};
        if (record->first + i >= first_index)
            log_index_append(index, &position);
        offset += entry.len;
    }
    index->next = record->first + record->count;
    return ERR_OK;
}
