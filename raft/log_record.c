/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Record: version u8, zero x 3, group u32, first index u64, count u32, zero u32; count times
 * (term u64, length u32, type u8, zero x 3); the entries' data. Version 2 where an entry names
 * more than MEMBERSHIP_FEW members. State: version u8, zero x 3, members size u32, term, vote,
 * first index, base term, index of the members u64; in version 2, which is used when it must
 * be, and in version 3, for more than MEMBERSHIP_FEW members: promised term, promised index
 * u64, dropped u8, zero x 7; members. All little-endian; keys are big-endian, so that they
 * sort.
 */
#include "raft/log_record.h"

#include "node/base/check.h"
#include "raft/coding.h"
#include "raft/membership.h"

enum { RECORD_VERSION = 2, STATE_VERSION = 3, STATE_SIZE = 48, STATE_SIZE_2 = 72 };

_Static_assert((int)LOG_MEMBERS_SIZE_MAX == (int)MEMBERSHIP_SIZE_MAX, "one and the same");

unsigned log_record_plan(const struct entry *entries, unsigned count, size_t *size)
{
    size_t data = entries[0].data.len;
    unsigned taken = 1;
    while (taken < count && data + entries[taken].data.len <= LOG_RECORD_DATA_MAX)
        data += entries[taken++].data.len;
    *size = LOG_RECORD_HEAD_SIZE + (size_t)taken * LOG_RECORD_ENTRY_SIZE + data;
    return taken;
}

void log_record_write(uint8_t *at, uint32_t group, uint64_t first, const struct entry *entries,
                      unsigned count)
{
    uint8_t *head = at + LOG_RECORD_HEAD_SIZE;
    uint8_t *data = head + (size_t)count * LOG_RECORD_ENTRY_SIZE;
    memset(at, 0, LOG_RECORD_HEAD_SIZE);
    at[0] = 1;
    put_le32(at + 4, group);
    put_le64(at + 8, first);
    put_le32(at + 16, count);
    for (unsigned i = 0; i < count; i++) {
        memset(head, 0, LOG_RECORD_ENTRY_SIZE);
        put_le64(head, entries[i].term);
        put_le32(head + 8, (uint32_t)entries[i].data.len);
        head[12] = entries[i].type;
        if (entries[i].type == ENTRY_CHANGE && membership_is_wide(entries[i].data))
            at[0] = RECORD_VERSION;
        head += LOG_RECORD_ENTRY_SIZE;
        if (entries[i].data.len > 0)
            memcpy(data, entries[i].data.at, entries[i].data.len);
        data += entries[i].data.len;
    }
}

struct log_record_entry log_record_entry(const struct log_record *record, unsigned at)
{
    const uint8_t *head = record->heads.at + (size_t)at * LOG_RECORD_ENTRY_SIZE;
    return (struct log_record_entry){
        .term = get_le64(head), .len = get_le32(head + 8), .type = head[12]};
}

enum err log_record_read(struct bytes value, struct log_record *record)
{
    if (value.len < LOG_RECORD_HEAD_SIZE || value.at[0] == 0 || value.at[0] > RECORD_VERSION)
        return ERR_MALFORMED;
    record->group = get_le32(value.at + 4);
    record->first = get_le64(value.at + 8);
    record->count = get_le32(value.at + 16);
    struct bytes rest = bytes_skip(value, LOG_RECORD_HEAD_SIZE);
    if (record->count == 0 || record->count > rest.len / LOG_RECORD_ENTRY_SIZE ||
        record->first == 0 || record->first > (uint64_t)1 << 62)
        return ERR_MALFORMED;
    record->heads = bytes_from(rest.at, (size_t)record->count * LOG_RECORD_ENTRY_SIZE);
    record->data_offset = LOG_RECORD_HEAD_SIZE + record->heads.len;
    size_t data = rest.len - record->heads.len;
    for (unsigned i = 0; i < record->count; i++) {
        struct log_record_entry entry = log_record_entry(record, i);
        if (entry.len > data || entry.term == 0)
            return ERR_MALFORMED;
        data -= entry.len;
    }
    return data == 0 ? ERR_OK : ERR_MALFORMED;
}

static unsigned version_of(const struct log_state *state)
{
    if (membership_is_wide(state->base_members))
        return STATE_VERSION;
    return state->dropped || state->promised_term != 0 || state->promised_index != 0 ? 2 : 1;
}

size_t log_state_write(uint8_t *at, const struct log_state *state)
{
    unsigned version = version_of(state);
    size_t size = version == 1 ? STATE_SIZE : STATE_SIZE_2;
    CHECK(state->base_members.len <= LOG_MEMBERS_SIZE_MAX);
    memset(at, 0, size);
    at[0] = (uint8_t)version;
    put_le32(at + 4, (uint32_t)state->base_members.len);
    put_le64(at + 8, state->term);
    put_le64(at + 16, state->vote);
    put_le64(at + 24, state->first_index);
    put_le64(at + 32, state->base_term);
    put_le64(at + 40, state->base_members_index);
    if (version > 1) {
        put_le64(at + 48, state->promised_term);
        put_le64(at + 56, state->promised_index);
        at[64] = state->dropped;
    }
    if (state->base_members.len > 0)
        memcpy(at + size, state->base_members.at, state->base_members.len);
    return size + state->base_members.len;
}

enum err log_state_read(struct bytes value, struct log_state *state)
{
    unsigned version = value.len > 0 ? value.at[0] : 0;
    size_t size = version == 1 ? STATE_SIZE : STATE_SIZE_2;
    if (version == 0 || version > STATE_VERSION || value.len < size)
        return ERR_MALFORMED;
    *state = (struct log_state){
        .term = get_le64(value.at + 8),
        .vote = get_le64(value.at + 16),
        .first_index = get_le64(value.at + 24),
        .base_term = get_le64(value.at + 32),
        .base_members_index = get_le64(value.at + 40),
        .base_members = bytes_skip(value, size),
    };
    if (version > 1) {
        state->promised_term = get_le64(value.at + 48);
        state->promised_index = get_le64(value.at + 56);
        state->dropped = value.at[64] == 1;
        if (value.at[64] > 1)
            return ERR_MALFORMED;
    }
    if (state->base_members.len > LOG_MEMBERS_SIZE_MAX ||
        state->base_members.len != get_le32(value.at + 4) || state->first_index == 0 ||
        version_of(state) != version)
        return ERR_MALFORMED;
    return ERR_OK;
}
