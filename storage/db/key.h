/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_DB_KEY_H
#define STORAGE_DB_KEY_H

#include "node/base/bytes.h"
#include "storage/db/db.h"

/*
 * Keys: the group in 4 bytes, then what the table's row in db.h names; numbers big endian, so
 * that byte order is number order. Each builder fills `key` and returns its bytes, valid until
 * the key is filled again. A prefix of a key's parts is made with the shorter builder.
 */
struct key {
    size_t len;
    uint8_t at[DB_KEY_SIZE_MAX];
};

struct bytes key_group(struct key *key, uint32_t group);
/* node, account, handover, blob, queue, sending (accounts): a table with one number. */
struct bytes key_number(struct key *key, uint32_t group, uint64_t number);
/* group records: the number of the group meant. */
struct bytes key_small_number(struct key *key, uint32_t group, uint32_t number);
/* tenant, domain, token, upload, dedupe: names and ids of any bytes. */
struct bytes key_name(struct key *key, uint32_t group, struct bytes name);
/* address: the domain, '@', the local part, so that a domain's accounts lie side by side. */
struct bytes key_address(struct key *key, uint32_t group, struct bytes local,
                         struct bytes domain);
struct bytes key_mailbox(struct key *key, uint32_t group, uint64_t account_id,
                         uint32_t mailbox_id);
struct bytes key_mailbox_name(struct key *key, uint32_t group, uint64_t account_id,
                              struct bytes name);
/* message, uid_range, deleted; keyword: its number stands for the uid. */
struct bytes key_uid(struct key *key, uint32_t group, uint64_t account_id, uint32_t mailbox_id,
                     uint32_t uid);
struct bytes key_change(struct key *key, uint32_t group, uint64_t account_id,
                        uint32_t mailbox_id, uint64_t modseq);
struct bytes key_expunged(struct key *key, uint32_t group, uint64_t account_id,
                          uint64_t time_ms, uint32_t mailbox_id, uint32_t uid);
struct bytes key_import(struct key *key, uint32_t group, uint64_t account_id,
                        uint64_t source_blob);
/* Any row of an account by what is behind it in the key. */
struct bytes key_of_account(struct key *key, uint32_t group, uint64_t account_id,
                            struct bytes behind);
/* scope, scope_grant, sending (tenants; no account has an id that begins with such a byte):
 * kinds are SCOPE_* of types.proto. */
struct bytes key_scope(struct key *key, uint32_t group, uint8_t kind, uint64_t scope_id);
/* A lane of the queue: the domain, without a NUL, and one behind it; class; tenant. In the
 * other two `lane` is what is behind the group of such a key. */
struct bytes key_queue_lane(struct key *key, uint32_t group, struct bytes domain,
                            uint8_t queue_class, uint64_t tenant_id);
struct bytes key_queue_place(struct key *key, uint32_t group, struct bytes lane,
                             uint64_t due_ms, uint64_t queue_id, uint32_t destination);
struct bytes key_queue_due(struct key *key, uint32_t group, uint64_t due_ms, struct bytes lane);
/* greylist: 1 and the key's 16 bytes; 2, a time and the key: in the order of expiry. */
struct bytes key_greylist(struct key *key, uint32_t group, struct bytes digest);
struct bytes key_greylist_all_due(struct key *key, uint32_t group);
struct bytes key_greylist_due(struct key *key, uint32_t group, uint64_t time_ms,
                              struct bytes digest);
struct bytes key_block(struct key *key, uint32_t group, uint64_t blob, uint32_t block,
                       uint16_t piece);

/* The last 4 or 8 bytes of a key: its uid, mailbox, modseq, blob. 0 for a key that is too
 * short. */
uint32_t key_last_u32(struct bytes key);
uint64_t key_last_u64(struct bytes key);
/* What is behind the group, or behind group and account. */
struct bytes key_behind_group(struct bytes key);
struct bytes key_behind_account(struct bytes key);

#endif
