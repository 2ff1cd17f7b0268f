/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/db/key.h"

#include "node/base/check.h"

static void add_number(struct key *key, uint64_t number, unsigned size)
{
    CHECK(key->len + size <= sizeof(key->at));
    for (unsigned i = 0; i < size; i++)
        key->at[key->len + i] = (uint8_t)(number >> (8 * (size - 1 - i)));
    key->len += size;
}

static void add_bytes(struct key *key, struct bytes bytes)
{
    CHECK(bytes.len <= sizeof(key->at) - key->len);
    if (bytes.len > 0)
        memcpy(key->at + key->len, bytes.at, bytes.len);
    key->len += bytes.len;
}

static struct bytes key_bytes(const struct key *key)
{
    return bytes_from(key->at, key->len);
}

struct bytes key_group(struct key *key, uint32_t group)
{
    key->len = 0;
    add_number(key, group, 4);
    return key_bytes(key);
}

struct bytes key_number(struct key *key, uint32_t group, uint64_t number)
{
    key_group(key, group);
    add_number(key, number, 8);
    return key_bytes(key);
}

struct bytes key_small_number(struct key *key, uint32_t group, uint32_t number)
{
    key_group(key, group);
    add_number(key, number, 4);
    return key_bytes(key);
}

struct bytes key_name(struct key *key, uint32_t group, struct bytes name)
{
    key_group(key, group);
    add_bytes(key, name);
    return key_bytes(key);
}

struct bytes key_address(struct key *key, uint32_t group, struct bytes local,
                         struct bytes domain)
{
    key_name(key, group, domain);
    add_bytes(key, BYTES("@"));
    add_bytes(key, local);
    return key_bytes(key);
}

struct bytes key_mailbox(struct key *key, uint32_t group, uint64_t account_id,
                         uint32_t mailbox_id)
{
    key_number(key, group, account_id);
    add_number(key, mailbox_id, 4);
    return key_bytes(key);
}

struct bytes key_mailbox_name(struct key *key, uint32_t group, uint64_t account_id,
                              struct bytes name)
{
    key_number(key, group, account_id);
    add_bytes(key, name);
    return key_bytes(key);
}

struct bytes key_uid(struct key *key, uint32_t group, uint64_t account_id, uint32_t mailbox_id,
                     uint32_t uid)
{
    key_mailbox(key, group, account_id, mailbox_id);
    add_number(key, uid, 4);
    return key_bytes(key);
}

struct bytes key_change(struct key *key, uint32_t group, uint64_t account_id,
                        uint32_t mailbox_id, uint64_t modseq)
{
    key_mailbox(key, group, account_id, mailbox_id);
    add_number(key, modseq, 8);
    return key_bytes(key);
}

struct bytes key_expunged(struct key *key, uint32_t group, uint64_t account_id,
                          uint64_t time_ms, uint32_t mailbox_id, uint32_t uid)
{
    key_number(key, group, account_id);
    add_number(key, time_ms, 8);
    add_number(key, mailbox_id, 4);
    add_number(key, uid, 4);
    return key_bytes(key);
}

struct bytes key_import(struct key *key, uint32_t group, uint64_t account_id,
                        uint64_t source_blob)
{
    key_number(key, group, account_id);
    add_number(key, source_blob, 8);
    return key_bytes(key);
}

struct bytes key_of_account(struct key *key, uint32_t group, uint64_t account_id,
                            struct bytes behind)
{
    key_number(key, group, account_id);
    add_bytes(key, behind);
    return key_bytes(key);
}

struct bytes key_scope(struct key *key, uint32_t group, uint8_t kind, uint64_t scope_id)
{
    key_group(key, group);
    add_number(key, kind, 1);
    add_number(key, scope_id, 8);
    return key_bytes(key);
}

struct bytes key_queue_lane(struct key *key, uint32_t group, struct bytes domain,
                            uint8_t queue_class, uint64_t tenant_id)
{
    key_name(key, group, domain);
    add_number(key, 0, 1);
    add_number(key, queue_class, 1);
    add_number(key, tenant_id, 8);
    return key_bytes(key);
}

struct bytes key_queue_place(struct key *key, uint32_t group, struct bytes lane,
                             uint64_t due_ms, uint64_t queue_id, uint32_t destination)
{
    key_name(key, group, lane);
    add_number(key, due_ms, 8);
    add_number(key, queue_id, 8);
    add_number(key, destination, 4);
    return key_bytes(key);
}

struct bytes key_queue_due(struct key *key, uint32_t group, uint64_t due_ms, struct bytes lane)
{
    key_number(key, group, due_ms);
    add_bytes(key, lane);
    return key_bytes(key);
}

enum { GREYLIST_KEY = 1, GREYLIST_DUE = 2 };

struct bytes key_greylist(struct key *key, uint32_t group, struct bytes digest)
{
    key_group(key, group);
    add_number(key, GREYLIST_KEY, 1);
    add_bytes(key, digest);
    return key_bytes(key);
}

struct bytes key_greylist_all_due(struct key *key, uint32_t group)
{
    key_group(key, group);
    add_number(key, GREYLIST_DUE, 1);
    return key_bytes(key);
}

struct bytes key_greylist_due(struct key *key, uint32_t group, uint64_t time_ms,
                              struct bytes digest)
{
    key_greylist_all_due(key, group);
    add_number(key, time_ms, 8);
    add_bytes(key, digest);
    return key_bytes(key);
}

struct bytes key_block(struct key *key, uint32_t group, uint64_t blob, uint32_t block,
                       uint16_t piece)
{
    key_number(key, group, blob);
    add_number(key, block, 4);
    add_number(key, piece, 2);
    return key_bytes(key);
}

static uint64_t last_number(struct bytes key, unsigned size)
{
    uint64_t number = 0;

    if (key.len < size)
        return 0;
    for (size_t i = key.len - size; i < key.len; i++)
        number = number << 8 | key.at[i];
    return number;
}

uint32_t key_last_u32(struct bytes key)
{
    return (uint32_t)last_number(key, 4);
}

uint64_t key_last_u64(struct bytes key)
{
    return last_number(key, 8);
}

struct bytes key_behind_group(struct bytes key)
{
    return bytes_skip(key, 4);
}

struct bytes key_behind_account(struct bytes key)
{
    return bytes_skip(key, 12);
}
