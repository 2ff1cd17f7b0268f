/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The cluster, its nodes, the tokens they join with, and the placement of groups. */
#include "node/base/hex.h"
#include "storage/machine/directory.h"
#include "storage/schema/entry.h"
#include "storage/schema/format.h"

static enum err node_check(struct apply *apply, const Pr__NodeJoin *call)
{
    const char *endpoints[] = {call->raft_address, call->rpc_address, call->join_address};

    if (!directory_name_valid(bytes_of(call->name)))
        return apply_refuse(apply, ERR_INVALID,
                            "a node's name is 1 to %d letters, digits, '-', '_', '.'",
                            DIRECTORY_NAME_SIZE_MAX);
    if (!directory_name_valid(bytes_of(call->data_center)))
        return apply_refuse(apply, ERR_INVALID,
                            "a data center's name is 1 to %d letters, digits, '-', '_', '.'",
                            DIRECTORY_NAME_SIZE_MAX);
    for (unsigned i = 0; i < sizeof(endpoints) / sizeof(*endpoints); i++)
        if (!directory_endpoint_valid(bytes_of(endpoints[i])))
            return apply_refuse(apply, ERR_INVALID, "a node needs its three addresses");
    return ERR_OK;
}

static void node_store(struct apply *apply, uint64_t node_id, const Pr__NodeJoin *call)
{
    Pr__NodeRecord node = PR__NODE_RECORD__INIT;
    struct key key;

    node.id = node_id;
    node.name = call->name;
    node.data_center = call->data_center;
    node.raft_address = call->raft_address;
    node.rpc_address = call->rpc_address;
    node.join_address = call->join_address;
    node.joined_ms = apply->command->time_ms;
    if (apply_format(apply) >= FORMAT_DEPTH)
        node.witness = call->witness;
    directory_store(apply, TABLE_NODE, key_number(&key, DIRECTORY_GROUP, node_id), &node.base);
    apply->outcome->id = node_id;
    apply->events->directory_changed = true;
}

static enum err cluster_check(struct apply *apply, const Pr__ClusterCreate *call)
{
    uint8_t id[16];
    struct key key;
    struct bytes row;

    if (db_get(apply->txn, TABLE_CLUSTER, key_group(&key, DIRECTORY_GROUP), &row) == ERR_OK)
        return apply_refuse(apply, ERR_EXISTS, "the cluster has been created before");
    if (!hex_decode(bytes_of(call->cluster_id), id, sizeof(id)))
        return apply_refuse(apply, ERR_INVALID, "a cluster id is 32 hexadecimal digits");
    if (!directory_name_valid(bytes_of(call->name)))
        return apply_refuse(apply, ERR_INVALID,
                            "a cluster's name is 1 to %d letters, digits, '-', '_', '.'",
                            DIRECTORY_NAME_SIZE_MAX);
    if (call->authority.len > DIRECTORY_PEM_SIZE_MAX ||
        call->authority_key.len > DIRECTORY_PEM_SIZE_MAX)
        return apply_refuse(apply, ERR_TOOBIG, "an authority of more than %d bytes",
                            DIRECTORY_PEM_SIZE_MAX);
    if (call->mail_groups < 1 || call->mail_groups > DIRECTORY_MAIL_GROUPS_MAX)
        return apply_refuse(apply, ERR_INVALID, "a cluster has 1 to %d mail groups",
                            DIRECTORY_MAIL_GROUPS_MAX);
    if (call->node == NULL)
        return apply_refuse(apply, ERR_INVALID, "a cluster needs its first node");
    return node_check(apply, call->node);
}

enum err apply_cluster_create(struct apply *apply)
{
    const Pr__ClusterCreate *call = apply->command->cluster_create;
    Pr__ClusterRecord cluster = PR__CLUSTER_RECORD__INIT;
    Pr__Replica replica = PR__REPLICA__INIT;
    Pr__Replica *replicas[] = {&replica};
    enum err err = cluster_check(apply, call);

    if (err != ERR_OK)
        return err;
    replica.node_id = 1;
    cluster.cluster_id = call->cluster_id;
    cluster.name = call->name;
    cluster.authority = call->authority;
    cluster.authority_key = call->authority_key;
    cluster.created_ms = apply->command->time_ms;
    cluster.next_node_id = 2;
    cluster.next_tenant_id = 1;
    cluster.next_account_id = 1;
    apply->record.format =
        (uint8_t)(call->format < FORMAT_NEWEST ? call->format : FORMAT_NEWEST);
    directory_cluster_store(apply, &cluster);
    node_store(apply, replica.node_id, call->node);
    for (uint32_t i = 0; i <= call->mail_groups; i++) {
        Pr__GroupRecord group = PR__GROUP_RECORD__INIT;
        group.group = i;
        group.replicas = replicas;
        group.n_replicas = 1;
        directory_group_store(apply, &group);
    }
    return ERR_OK;
}

/* Whether the name and the endpoints are free. */
static enum err node_unique(struct apply *apply, const Pr__NodeJoin *call)
{
    struct key prefix;
    struct bytes key;
    struct bytes row;
    struct db_cursor *cursor =
        db_cursor_open(apply->txn, TABLE_NODE, key_group(&prefix, DIRECTORY_GROUP));
    enum err err = ERR_OK;

    for (bool more = db_cursor_first(cursor, &key, &row); more && err == ERR_OK;
         more = db_cursor_next(cursor, &key, &row)) {
        Pr__NodeRecord *node =
            directory_unpack(apply->txn, row, &pr__node_record__descriptor, apply->arena);
        if (node == NULL)
            break;
        if (bytes_equal_nocase(bytes_of(node->name), bytes_of(call->name)))
            err = apply_refuse(apply, ERR_EXISTS, "node %llu has the name %s",
                               (unsigned long long)node->id, node->name);
        else if (strcmp(node->raft_address, call->raft_address) == 0)
            err = apply_refuse(apply, ERR_EXISTS, "node %s has the address %s", node->name,
                               node->raft_address);
    }
    db_cursor_close(&cursor);
    return err;
}

enum err apply_node_join(struct apply *apply)
{
    const Pr__NodeJoin *call = apply->command->node_join;
    Pr__ClusterRecord *cluster = directory_cluster_load(apply);
    struct bytes hash = bytes_of_field(call->token_hash);
    Pr__TokenRecord *token = NULL;
    struct key key;
    enum err err;

    if (cluster == NULL)
        return apply->outcome->err;
    if (hash.len == DIRECTORY_HASH_SIZE)
        token = directory_load(apply->txn, TABLE_TOKEN, key_name(&key, DIRECTORY_GROUP, hash),
                               &pr__token_record__descriptor, apply->arena);
    if (token == NULL || token->expires_ms <= apply->command->time_ms)
        return apply_refuse(apply, ERR_DENIED, "the token is unknown, used up, or has expired");
    if ((err = node_check(apply, call)) != ERR_OK || (err = node_unique(apply, call)) != ERR_OK)
        return err;
    db_delete(apply->txn, TABLE_TOKEN, key_name(&key, DIRECTORY_GROUP, hash));
    node_store(apply, cluster->next_node_id++, call);
    directory_cluster_store(apply, cluster);
    return ERR_OK;
}

/* Refuses when a group's placement names the node, or may not have let go of it yet. */
static enum err node_unused(struct apply *apply, const Pr__NodeRecord *node)
{
    struct directory_rows groups =
        directory_load_all(apply, TABLE_GROUP, &pr__group_record__descriptor);

    for (size_t g = 0; g < groups.count; g++) {
        const Pr__GroupRecord *group = groups.at[g];
        for (size_t i = 0; i < group->n_replicas; i++)
            if (group->replicas[i]->node_id == node->id)
                return apply_refuse(apply, ERR_INVALID,
                                    "node %s still has a replica of group %u", node->name,
                                    group->group);
        if (group->version != group->placed_version && group->n_replicas > 0)
            return apply_refuse(apply, ERR_INVALID, "group %u is still being moved",
                                group->group);
    }
    return ERR_OK;
}

enum err apply_node_remove(struct apply *apply)
{
    uint64_t node_id = apply->command->node_remove->node_id;
    const Pr__NodeRecord *node = directory_node_load(apply, node_id);
    struct key key;
    enum err err;

    if (node == NULL)
        return apply_refuse(apply, ERR_NOTFOUND, "there is no node %llu",
                            (unsigned long long)node_id);
    if ((err = node_unused(apply, node)) != ERR_OK)
        return err;
    db_delete(apply->txn, TABLE_NODE, key_number(&key, DIRECTORY_GROUP, node_id));
    apply->events->directory_changed = true;
    return ERR_OK;
}

/* Deletes the tokens that have expired; returns how many are left. */
static unsigned tokens_expire(struct apply *apply, bool only_count)
{
    struct key prefix;
    struct bytes key;
    struct bytes row;
    struct db_cursor *cursor =
        db_cursor_open(apply->txn, TABLE_TOKEN, key_group(&prefix, DIRECTORY_GROUP));
    unsigned good = 0;

    for (bool more = db_cursor_first(cursor, &key, &row); more;
         more = db_cursor_next(cursor, &key, &row)) {
        Pr__TokenRecord *token =
            directory_unpack(apply->txn, row, &pr__token_record__descriptor, apply->arena);
        if (token == NULL)
            break;
        if (token->expires_ms > apply->command->time_ms)
            good++;
        else if (!only_count)
            db_cursor_delete(cursor);
    }
    db_cursor_close(&cursor);
    return good;
}

enum err apply_token_add(struct apply *apply)
{
    const Pr__TokenAdd *call = apply->command->token_add;
    struct bytes hash = bytes_of_field(call->token_hash);
    Pr__TokenRecord token = PR__TOKEN_RECORD__INIT;
    struct key key;
    struct bytes row;

    if (directory_cluster_load(apply) == NULL)
        return apply->outcome->err;
    if (hash.len != DIRECTORY_HASH_SIZE)
        return apply_refuse(apply, ERR_INVALID, "a token's hash of %zu bytes", hash.len);
    if (call->expires_ms <= apply->command->time_ms)
        return apply_refuse(apply, ERR_INVALID, "the token would have expired already");
    if (db_get(apply->txn, TABLE_TOKEN, key_name(&key, DIRECTORY_GROUP, hash), &row) == ERR_OK)
        return apply_refuse(apply, ERR_EXISTS, "the token is there already");
    if (tokens_expire(apply, true) >= DIRECTORY_TOKENS_MAX)
        return apply_refuse(apply, ERR_TOOBIG, "%d tokens are good at the same time",
                            DIRECTORY_TOKENS_MAX);
    tokens_expire(apply, false);
    token.expires_ms = call->expires_ms;
    directory_store(apply, TABLE_TOKEN, key_name(&key, DIRECTORY_GROUP, hash), &token.base);
    apply->events->directory_changed = true;
    return ERR_OK;
}
