/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Frame head, 24 bytes: magic "PRAF", version u16 (1; 2 for what is marked so), zero u16,
 * sender u64, message count u32, zero u32; version 3 for what names more than MEMBERSHIP_FEW
 * members, in an entry or an INSTALL. Message: group u32, type u8, flags u8, zero u16,
 * term u64, then by type APPEND         prev index u64, prev term u64, commit u64, trim u64,
 * count u32, data u32; count entry heads (term u64, length u32, type u8, zero u8 x 3); data
 *                                                        flags: 1 unserving (2)
 *   APPEND_RESULT  rejected u64, last index u64          flags: standing, if any (2)
 *   VOTE           last index u64, last term u64         flags: 1 disrupt, 2 pre-vote
 *   VOTE_RESULT                                          flags: 1 granted, 2 pre-vote
 *   TIMEOUT_NOW    last index u64, last term u64
 *   READ_PING, READ_ACK, READ_ASK   sequence u64
 *   READ_INDEX     sequence u64, index u64
 *   INSTALL        last index u64, last term u64, members index u64, members size u32, zero
 *                  u32; members (2)
 */
#include "raft/wire.h"

#include <stdlib.h>

#include "node/base/check.h"
#include "raft/coding.h"
#include "raft/membership.h"
#include "raft/replicator.h"

enum {
    WIRE_VERSION = WIRE_VERSION_WIDE,
    MESSAGE_HEAD_SIZE = 16,
    APPEND_SIZE = 40,
    INSTALL_SIZE = 32
};

enum { UNSERVING = 1, STANDING = WIRE_PARTIAL | WIRE_STATELESS | WIRE_UNWILLING };

static const uint8_t magic[4] = {'P', 'R', 'A', 'F'};

/* What follows the message head, and which flags may be set. */
static const struct layout {
    size_t fixed;
    uint8_t flags;
} layouts[WIRE_TYPE_COUNT] = {
    [WIRE_APPEND] = {APPEND_SIZE, UNSERVING},
    [WIRE_APPEND_RESULT] = {16, STANDING},
    [WIRE_VOTE] = {16, 3},
    [WIRE_VOTE_RESULT] = {0, 3},
    [WIRE_TIMEOUT_NOW] = {16, 0},
    [WIRE_READ_PING] = {8, 0},
    [WIRE_READ_ACK] = {8, 0},
    [WIRE_READ_ASK] = {8, 0},
    [WIRE_READ_INDEX] = {16, 0},
    [WIRE_INSTALL] = {INSTALL_SIZE, 0},
};

size_t wire_message_size(const struct wire_message *message)
{
    size_t size = MESSAGE_HEAD_SIZE + layouts[message->type].fixed;
    if (message->type == WIRE_APPEND)
        for (unsigned i = 0; i < message->append.count; i++)
            size += WIRE_ENTRY_HEAD_SIZE + message->append.entries[i].data.len;
    if (message->type == WIRE_INSTALL)
        size += message->install.members.len;
    return size;
}

static unsigned version_of(enum wire_type type, uint8_t flags)
{
    bool marked = (type == WIRE_APPEND || type == WIRE_APPEND_RESULT) && flags != 0;
    return type == WIRE_INSTALL || marked ? 2 : 1;
}

void wire_head_write(uint8_t *at, uint64_t sender, uint32_t message_count, unsigned version)
{
    memset(at, 0, WIRE_HEAD_SIZE);
    memcpy(at, magic, sizeof(magic));
    put_le16(at + 4, (uint16_t)version);
    put_le64(at + 8, sender);
    put_le32(at + 16, message_count);
}

static size_t append_write(uint8_t *at, const struct wire_message *message)
{
    uint8_t *head = at + APPEND_SIZE;
    uint8_t *data = head + (size_t)message->append.count * WIRE_ENTRY_HEAD_SIZE;
    uint8_t *start = data;
    for (unsigned i = 0; i < message->append.count; i++) {
        const struct entry *entry = &message->append.entries[i];
        memset(head, 0, WIRE_ENTRY_HEAD_SIZE);
        put_le64(head, entry->term);
        put_le32(head + 8, (uint32_t)entry->data.len);
        head[12] = entry->type;
        head += WIRE_ENTRY_HEAD_SIZE;
        if (entry->data.len > 0)
            memcpy(data, entry->data.at, entry->data.len);
        data += entry->data.len;
    }
    put_le64(at, message->append.prev_index);
    put_le64(at + 8, message->append.prev_term);
    put_le64(at + 16, message->append.commit_index);
    put_le64(at + 24, message->append.trim_before);
    put_le32(at + 32, message->append.count);
    put_le32(at + 36, (uint32_t)(data - start));
    return (size_t)(data - at);
}

static size_t install_write(uint8_t *at, const struct wire_message *message)
{
    const struct bytes *members = &message->install.members;
    put_le64(at, message->install.last_index);
    put_le64(at + 8, message->install.last_term);
    put_le64(at + 16, message->install.members_index);
    put_le32(at + 24, (uint32_t)members->len);
    put_le32(at + 28, 0);
    memcpy(at + INSTALL_SIZE, members->at, members->len);
    return INSTALL_SIZE + members->len;
}

static uint8_t flags_of(const struct wire_message *message)
{
    if (message->type == WIRE_APPEND)
        return message->append.unserving ? UNSERVING : 0;
    if (message->type == WIRE_APPEND_RESULT)
        return message->append_result.standing;
    if (message->type == WIRE_VOTE)
        return (uint8_t)((message->vote.disrupt ? 1 : 0) | (message->vote.pre_vote ? 2 : 0));
    if (message->type == WIRE_VOTE_RESULT)
        return (uint8_t)((message->vote_result.granted ? 1 : 0) |
                         (message->vote_result.pre_vote ? 2 : 0));
    return 0;
}

/* Whether what comes with the message names many members. */
static bool is_wide(const struct wire_message *message)
{
    if (message->type == WIRE_INSTALL)
        return membership_is_wide(message->install.members);
    for (unsigned i = 0; message->type == WIRE_APPEND && i < message->append.count; i++)
        if (message->append.entries[i].type == ENTRY_CHANGE &&
            membership_is_wide(message->append.entries[i].data))
            return true;
    return false;
}

unsigned wire_message_version(const struct wire_message *message)
{
    return is_wide(message) ? WIRE_VERSION_WIDE : version_of(message->type, flags_of(message));
}

size_t wire_message_write(uint8_t *at, const struct wire_message *message)
{
    uint8_t *body = at + MESSAGE_HEAD_SIZE;
    put_le32(at, message->group);
    at[4] = (uint8_t)message->type;
    at[5] = flags_of(message);
    put_le16(at + 6, 0);
    put_le64(at + 8, message->term);
    switch (message->type) {
    case WIRE_APPEND:
        return MESSAGE_HEAD_SIZE + append_write(body, message);
    case WIRE_INSTALL:
        return MESSAGE_HEAD_SIZE + install_write(body, message);
    case WIRE_APPEND_RESULT:
        put_le64(body, message->append_result.rejected);
        put_le64(body + 8, message->append_result.last_index);
        break;
    case WIRE_VOTE:
        put_le64(body, message->vote.last_index);
        put_le64(body + 8, message->vote.last_term);
        break;
    case WIRE_TIMEOUT_NOW:
        put_le64(body, message->timeout_now.last_index);
        put_le64(body + 8, message->timeout_now.last_term);
        break;
    case WIRE_READ_PING:
    case WIRE_READ_ACK:
    case WIRE_READ_ASK:
    case WIRE_READ_INDEX:
        put_le64(body, message->read.sequence);
        if (message->type == WIRE_READ_INDEX)
            put_le64(body + 8, message->read.index);
        break;
    case WIRE_VOTE_RESULT:
    case WIRE_TYPE_COUNT:
        break;
    }
    return MESSAGE_HEAD_SIZE + layouts[message->type].fixed;
}

void wire_reader_fini(struct wire_reader *reader)
{
    free(reader->entries);
    *reader = (struct wire_reader){0};
}

enum err wire_reader_start(struct wire_reader *reader, struct bytes frame)
{
    if (frame.len < WIRE_HEAD_SIZE || memcmp(frame.at, magic, sizeof(magic)) != 0 ||
        get_le16(frame.at + 4) == 0 || get_le16(frame.at + 4) > WIRE_VERSION ||
        get_le16(frame.at + 6) != 0 || get_le32(frame.at + 20) != 0)
        return ERR_MALFORMED;
    reader->version = get_le16(frame.at + 4);
    reader->sender = get_le64(frame.at + 8);
    reader->left = get_le32(frame.at + 16);
    reader->rest = bytes_skip(frame, WIRE_HEAD_SIZE);
    return ERR_OK;
}

/* A log position: both zero, or both not, and within bounds. */
static bool position_valid(uint64_t index, uint64_t term)
{
    return (index == 0) == (term == 0) && index <= WIRE_NUMBER_MAX && term <= WIRE_NUMBER_MAX;
}

static bool entry_valid(const struct entry *entry, uint64_t term_least, uint64_t term_most)
{
    struct membership membership;
    if (entry->term == 0 || entry->term < term_least || entry->term > term_most)
        return false;
    switch (entry->type) {
    case ENTRY_COMMAND:
        return entry->data.len > 0 && entry->data.len <= REPLICATOR_COMMAND_SIZE_MAX;
    case ENTRY_BARRIER:
        return entry->data.len == 8;
    case ENTRY_CHANGE:
        return membership_decode(entry->data, &membership) == ERR_OK;
    default:
        return false;
    }
}

static enum err append_read(struct wire_reader *reader, struct bytes body,
                            struct wire_message *message)
{
    unsigned count = get_le32(body.at + 32);
    size_t data_len = get_le32(body.at + 36);
    message->append.prev_index = get_le64(body.at);
    message->append.prev_term = get_le64(body.at + 8);
    message->append.commit_index = get_le64(body.at + 16);
    message->append.trim_before = get_le64(body.at + 24);
    message->append.count = count;
    message->append.entries = NULL;
    if (!position_valid(message->append.prev_index, message->append.prev_term) ||
        message->append.prev_term > message->term ||
        message->append.commit_index > WIRE_NUMBER_MAX ||
        message->append.trim_before > WIRE_NUMBER_MAX ||
        count > reader->rest.len / WIRE_ENTRY_HEAD_SIZE ||
        data_len > reader->rest.len - (size_t)count * WIRE_ENTRY_HEAD_SIZE)
        return ERR_MALFORMED;
    if (count > reader->entries_room) {
        reader->entries = realloc(reader->entries, count * sizeof(*reader->entries));
        CHECK(reader->entries != NULL);
        reader->entries_room = count;
    }
    struct bytes heads = bytes_from(reader->rest.at, (size_t)count * WIRE_ENTRY_HEAD_SIZE);
    struct bytes data = bytes_from(reader->rest.at + heads.len, data_len);
    reader->rest = bytes_skip(reader->rest, heads.len + data_len);
    uint64_t term = message->append.prev_term;
    for (unsigned i = 0; i < count; i++) {
        const uint8_t *head = heads.at + (size_t)i * WIRE_ENTRY_HEAD_SIZE;
        size_t len = get_le32(head + 8);
        if (len > data.len || (head[13] | head[14] | head[15]) != 0)
            return ERR_MALFORMED;
        reader->entries[i] = (struct entry){
            .term = get_le64(head), .type = head[12], .data = bytes_from(data.at, len)};
        data = bytes_skip(data, len);
        if (!entry_valid(&reader->entries[i], term, message->term))
            return ERR_MALFORMED;
        term = reader->entries[i].term;
    }
    message->append.entries = reader->entries;
    return data.len == 0 ? ERR_OK : ERR_MALFORMED;
}

static enum err install_read(struct wire_reader *reader, struct bytes body,
                             struct wire_message *message)
{
    struct membership membership;
    size_t len = get_le32(body.at + 24);
    message->install.last_index = get_le64(body.at);
    message->install.last_term = get_le64(body.at + 8);
    message->install.members_index = get_le64(body.at + 16);
    if (len > reader->rest.len || get_le32(body.at + 28) != 0)
        return ERR_MALFORMED;
    message->install.members = bytes_from(reader->rest.at, len);
    reader->rest = bytes_skip(reader->rest, len);
    bool valid = message->install.last_index != 0 &&
                 position_valid(message->install.last_index, message->install.last_term) &&
                 message->install.last_term <= message->term &&
                 message->install.members_index != 0 &&
                 message->install.members_index <= message->install.last_index;
    return valid ? membership_decode(message->install.members, &membership) : ERR_MALFORMED;
}

static enum err body_read(struct wire_reader *reader, struct bytes body, uint8_t flags,
                          struct wire_message *message)
{
    uint64_t first = body.len >= 8 ? get_le64(body.at) : 0;
    uint64_t second = body.len >= 16 ? get_le64(body.at + 8) : 0;
    bool valid = true;
    switch (message->type) {
    case WIRE_APPEND:
        message->append.unserving = (flags & UNSERVING) != 0;
        return append_read(reader, body, message);
    case WIRE_INSTALL:
        return install_read(reader, body, message);
    case WIRE_APPEND_RESULT:
        message->append_result.standing = flags;
        message->append_result.rejected = first;
        message->append_result.last_index = second;
        valid = first <= WIRE_NUMBER_MAX && second <= WIRE_NUMBER_MAX &&
                (first == 0 || second < first);
        break;
    case WIRE_VOTE:
        message->vote.last_index = first;
        message->vote.last_term = second;
        message->vote.disrupt = (flags & 1) != 0;
        message->vote.pre_vote = (flags & 2) != 0;
        valid = position_valid(first, second) && second <= message->term;
        break;
    case WIRE_VOTE_RESULT:
        message->vote_result.granted = (flags & 1) != 0;
        message->vote_result.pre_vote = (flags & 2) != 0;
        break;
    case WIRE_TIMEOUT_NOW:
        message->timeout_now.last_index = first;
        message->timeout_now.last_term = second;
        valid = position_valid(first, second) && second <= message->term;
        break;
    case WIRE_READ_PING:
    case WIRE_READ_ACK:
    case WIRE_READ_ASK:
    case WIRE_READ_INDEX:
        message->read.sequence = first;
        message->read.index = second;
        valid = second <= WIRE_NUMBER_MAX;
        break;
    case WIRE_TYPE_COUNT:
        valid = false;
        break;
    }
    return valid ? ERR_OK : ERR_MALFORMED;
}

enum err wire_reader_next(struct wire_reader *reader, struct wire_message *message)
{
    if (reader->left == 0)
        return reader->rest.len == 0 ? ERR_NOTFOUND : ERR_MALFORMED;
    if (reader->rest.len < MESSAGE_HEAD_SIZE)
        return ERR_MALFORMED;
    const uint8_t *head = reader->rest.at;
    uint8_t type = head[4];
    *message = (struct wire_message){.group = get_le32(head), .term = get_le64(head + 8)};
    if (type == 0 || type >= WIRE_TYPE_COUNT || (head[5] & ~layouts[type].flags) != 0 ||
        get_le16(head + 6) != 0 || message->term == 0 || message->term > WIRE_NUMBER_MAX)
        return ERR_MALFORMED;
    message->type = (enum wire_type)type;
    reader->rest = bytes_skip(reader->rest, MESSAGE_HEAD_SIZE);
    if (reader->rest.len < layouts[type].fixed)
        return ERR_MALFORMED;
    struct bytes body = bytes_from(reader->rest.at, layouts[type].fixed);
    reader->rest = bytes_skip(reader->rest, layouts[type].fixed);
    reader->left--;
    enum err err = body_read(reader, body, head[5], message);
    return err == ERR_OK && wire_message_version(message) > reader->version ? ERR_MALFORMED
                                                                            : err;
}
