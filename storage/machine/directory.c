/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/machine/directory.h"

#include "node/base/buffer.h"
#include "node/base/check.h"
#include "storage/machine/utf8.h"
#include "storage/schema/entry.h"

void *directory_unpack(struct db_txn *txn, struct bytes row,
                       const ProtobufCMessageDescriptor *descriptor, struct arena *arena)
{
    ProtobufCAllocator allocator = arena_allocator(arena);
    void *message = protobuf_c_message_unpack(descriptor, &allocator, row.len, row.at);

    if (message == NULL)
        db_fail(txn, ERR_MALFORMED);
    return message;
}

void *directory_load(struct db_txn *txn, enum db_table table, struct bytes key,
                     const ProtobufCMessageDescriptor *descriptor, struct arena *arena)
{
    struct bytes row;

    if (db_get(txn, table, key, &row) != ERR_OK)
        return NULL;
    return directory_unpack(txn, row, descriptor, arena);
}

void directory_store(struct apply *apply, enum db_table table, struct bytes key,
                     const ProtobufCMessage *message)
{
    uint8_t *room;
    size_t size = protobuf_c_message_get_packed_size(message);

    db_reserve(apply->txn, table, key, size, &room);
    if (room != NULL)
        CHECK(protobuf_c_message_pack(message, room) == size);
}

struct directory_rows directory_load_all(struct apply *apply, enum db_table table,
                                         const ProtobufCMessageDescriptor *descriptor)
{
    struct directory_rows rows = {NULL, 0};
    size_t room = 0;
    struct key prefix;
    struct bytes key;
    struct bytes row;
    struct db_cursor *cursor =
        db_cursor_open(apply->txn, table, key_group(&prefix, DIRECTORY_GROUP));

    for (bool more = db_cursor_first(cursor, &key, &row); more;
         more = db_cursor_next(cursor, &key, &row)) {
        void *message = directory_unpack(apply->txn, row, descriptor, apply->arena);
        if (message == NULL)
            break;
        if (rows.count == room) {
            room = room == 0 ? 64 : 2 * room;
            void **wider = arena_alloc(apply->arena, room * sizeof(*wider));
            if (rows.count > 0)
                memcpy(wider, rows.at, rows.count * sizeof(*wider));
            rows.at = wider;
        }
        rows.at[rows.count++] = message;
    }
    db_cursor_close(&cursor);
    return rows;
}

Pr__GroupRecord *directory_group_load(struct apply *apply, uint32_t group)
{
    struct key key;

    return directory_load(apply->txn, TABLE_GROUP,
                          key_small_number(&key, DIRECTORY_GROUP, group),
                          &pr__group_record__descriptor, apply->arena);
}

void directory_group_store(struct apply *apply, const Pr__GroupRecord *group)
{
    struct key key;

    directory_store(apply, TABLE_GROUP, key_small_number(&key, DIRECTORY_GROUP, group->group),
                    &group->base);
    apply->events->directory_changed = true;
}

Pr__NodeRecord *directory_node_load(struct apply *apply, uint64_t node_id)
{
    struct key key;

    return directory_load(apply->txn, TABLE_NODE, key_number(&key, DIRECTORY_GROUP, node_id),
                          &pr__node_record__descriptor, apply->arena);
}

void directory_node_store(struct apply *apply, const Pr__NodeRecord *node)
{
    struct key key;

    directory_store(apply, TABLE_NODE, key_number(&key, DIRECTORY_GROUP, node->id),
                    &node->base);
    apply->events->directory_changed = true;
}

bool directory_group_unborn(const Pr__GroupRecord *group)
{
    return group->birth_node_id != 0 && group->placed_version == 0;
}

Pr__ClusterRecord *directory_cluster_load(struct apply *apply)
{
    struct key key;
    Pr__ClusterRecord *cluster =
        directory_load(apply->txn, TABLE_CLUSTER, key_group(&key, DIRECTORY_GROUP),
                       &pr__cluster_record__descriptor, apply->arena);

    if (cluster == NULL)
        apply_refuse(apply, ERR_NOTFOUND, "there is no cluster yet");
    return cluster;
}

void directory_cluster_store(struct apply *apply, const Pr__ClusterRecord *cluster)
{
    struct key key;

    directory_store(apply, TABLE_CLUSTER, key_group(&key, DIRECTORY_GROUP), &cluster->base);
}

static bool is_lower(uint8_t byte)
{
    return byte >= 'a' && byte <= 'z';
}

static bool is_digit(uint8_t byte)
{
    return byte >= '0' && byte <= '9';
}

bool directory_name_valid(struct bytes name)
{
    if (name.len < 1 || name.len > DIRECTORY_NAME_SIZE_MAX)
        return false;
    for (size_t i = 0; i < name.len; i++) {
        uint8_t byte = byte_lower(name.at[i]);
        if (!is_lower(byte) && !is_digit(byte) && byte != '-' && byte != '_' && byte != '.')
            return false;
    }
    return true;
}

bool directory_endpoint_valid(struct bytes endpoint)
{
    if (endpoint.len < 1 || endpoint.len > DIRECTORY_ENDPOINT_SIZE_MAX)
        return false;
    for (size_t i = 0; i < endpoint.len; i++)
        if (endpoint.at[i] <= ' ' || endpoint.at[i] >= 0x7f)
            return false;
    return true;
}

static bool label_valid(struct bytes label)
{
    if (label.len < 1 || label.len > 63 || label.at[0] == '-' || label.at[label.len - 1] == '-')
        return false;
    for (size_t i = 0; i < label.len; i++)
        if (!is_lower(label.at[i]) && !is_digit(label.at[i]) && label.at[i] != '-')
            return false;
    return true;
}

bool directory_domain_valid(struct bytes domain)
{
    unsigned labels = 0;
    bool number = true;

    if (domain.len > DIRECTORY_DOMAIN_SIZE_MAX)
        return false;
    for (struct bytes rest = domain;; labels++) {
        struct bytes label = {rest.at, bytes_find(rest, '.')};
        if (!label_valid(label))
            return false;
        number = true;
        for (size_t i = 0; i < label.len; i++)
            number = number && is_digit(label.at[i]);
        if (label.len == rest.len)
            break;
        rest = bytes_skip(rest, label.len + 1);
    }
    return labels >= 1 && !number;
}

bool directory_local_valid(struct bytes local)
{
    bool dot = true; /* none may be first */

    if (local.len < 1 || local.len > DIRECTORY_LOCAL_SIZE_MAX || !utf8_valid(local))
        return false;
    for (size_t i = 0; i < local.len; i++) {
        uint8_t byte = local.at[i];
        if (byte == '.' && dot)
            return false;
        dot = byte == '.';
        if (byte <= ' ' || byte == 0x7f || (byte >= 'A' && byte <= 'Z') ||
            strchr("()<>[]:;@\\,\"", byte) != NULL)
            return false;
    }
    return !dot;
}
