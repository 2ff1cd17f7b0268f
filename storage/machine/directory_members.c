/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What an operator decides about nodes: who goes, how mail is replicated, who is lost. */
#include "storage/machine/directory.h"
#include "storage/schema/entry.h"

static struct directory_rows nodes_load(struct apply *apply)
{
    return directory_load_all(apply, TABLE_NODE, &pr__node_record__descriptor);
}

static struct directory_rows groups_load(struct apply *apply)
{
    return directory_load_all(apply, TABLE_GROUP, &pr__group_record__descriptor);
}

/* ---- one node ---- */

static bool keeps_mail(const Pr__NodeRecord *node)
{
    return !node->witness && node->state == PR__NODE_STATE__NODE_ACTIVE;
}

static enum err successor_check(struct apply *apply, const Pr__NodeRecord *node,
                                uint64_t successor_id)
{
    const Pr__NodeRecord *successor = directory_node_load(apply, successor_id);

    if (successor == NULL)
        return apply_refuse(apply, ERR_NOTFOUND, "there is no node %llu",
                            (unsigned long long)successor_id);
    if (successor->id == node->id)
        return apply_refuse(apply, ERR_INVALID, "a node does not replace itself");
    if (successor->state != PR__NODE_STATE__NODE_ACTIVE)
        return apply_refuse(apply, ERR_INVALID, "node %s is on its way out itself",
                            successor->name);
    if (successor->witness != node->witness)
        return apply_refuse(apply, ERR_INVALID, "node %s is a witness, node %s is none",
                            successor->witness ? successor->name : node->name,
                            successor->witness ? node->name : successor->name);
    return ERR_OK;
}

static enum err leaving_check(struct apply *apply, const Pr__NodeRecord *node)
{
    const Pr__NodeChange *call = apply->command->node_change;
    struct directory_rows nodes = nodes_load(apply);
    struct directory_rows groups = groups_load(apply);
    bool others = false;

    for (size_t i = 0; i < nodes.count; i++) {
        const Pr__NodeRecord *other = nodes.at[i];
        others = others || (other->id != node->id && keeps_mail(other));
    }
    if (!others)
        return apply_refuse(apply, ERR_INVALID,
                            "node %s is the only one left that could keep mail", node->name);
    for (size_t i = 0; i < groups.count; i++) {
        const Pr__GroupRecord *group = groups.at[i];
        if (group->birth_node_id == node->id && directory_group_unborn(group) &&
            call->state == PR__NODE_STATE__NODE_DRAINING)
            return apply_refuse(apply, ERR_BUSY, "group %u is just beginning on node %s",
                                group->group, node->name);
    }
    return ERR_OK;
}

static enum err change_check(struct apply *apply, const Pr__NodeRecord *node)
{
    const Pr__NodeChange *call = apply->command->node_change;
    enum err err = ERR_OK;

    switch (call->state) {
    case PR__NODE_STATE__NODE_ACTIVE:
        if (call->replaced_by != 0)
            return apply_refuse(apply, ERR_INVALID, "a node that stays is not replaced");
        return ERR_OK;
    case PR__NODE_STATE__NODE_DRAINING:
    case PR__NODE_STATE__NODE_REMOVING:
        err = leaving_check(apply, node);
        if (err == ERR_OK && call->replaced_by != 0)
            err = successor_check(apply, node, call->replaced_by);
        return err;
    default:
        return apply_refuse(apply, ERR_INVALID, "a node has no state %d", (int)call->state);
    }
}

/* Groups that were to begin on a node which is not coming back: nobody can have written to
 * them, their numbers are not used again. */
static void unborn_delete(struct apply *apply, uint64_t node_id)
{
    struct directory_rows groups = groups_load(apply);
    struct key key;

    for (size_t i = 0; i < groups.count; i++) {
        const Pr__GroupRecord *group = groups.at[i];
        if (group->birth_node_id == node_id && directory_group_unborn(group))
            db_delete(apply->txn, TABLE_GROUP,
                      key_small_number(&key, DIRECTORY_GROUP, group->group));
    }
}

enum err apply_node_change(struct apply *apply)
{
    const Pr__NodeChange *call = apply->command->node_change;
    Pr__NodeRecord *node = directory_node_load(apply, call->node_id);
    enum err err;

    if (node == NULL)
        return apply_refuse(apply, ERR_NOTFOUND, "there is no node %llu",
                            (unsigned long long)call->node_id);
    if ((err = change_check(apply, node)) != ERR_OK)
        return err;
    if (node->state != call->state)
        node->changed_ms = apply->command->time_ms;
    node->state = call->state;
    node->replaced_by = call->replaced_by;
    directory_node_store(apply, node);
    if (call->state == PR__NODE_STATE__NODE_REMOVING)
        unborn_delete(apply, node->id);
    apply->outcome->id = node->id;
    return ERR_OK;
}

/* ---- the cluster's policy ---- */

/* In how many data centers nodes stand that take part in mail groups. */
static unsigned centers_count(struct apply *apply)
{
    struct directory_rows nodes = nodes_load(apply);
    unsigned centers = 0;

    for (size_t i = 0; i < nodes.count; i++) {
        const Pr__NodeRecord *node = nodes.at[i];
        bool fresh = node->state == PR__NODE_STATE__NODE_ACTIVE;
        for (size_t j = 0; j < i && fresh; j++) {
            const Pr__NodeRecord *other = nodes.at[j];
            fresh = other->state != PR__NODE_STATE__NODE_ACTIVE ||
                    strcmp(other->data_center, node->data_center) != 0;
        }
        centers += fresh;
    }
    return centers;
}

enum err apply_replication_set(struct apply *apply)
{
    Pr__ClusterPolicy *policy = apply->command->replication_set->policy;
    Pr__ClusterRecord *cluster = directory_cluster_load(apply);

    if (cluster == NULL)
        return apply->outcome->err;
    if (policy == NULL)
        return apply_refuse(apply, ERR_INVALID, "there is no policy in it");
    if (policy->replicas != 0 && policy->replicas != 3 && policy->replicas != 5)
        return apply_refuse(apply, ERR_INVALID, "a mail group has 3 or 5 replicas");
    if (policy->min_dcs > (policy->replicas == 0 ? 3 : policy->replicas))
        return apply_refuse(apply, ERR_INVALID, "%u replicas cannot stand in %u data centers",
                            policy->replicas == 0 ? 3 : policy->replicas, policy->min_dcs);
    unsigned centers = centers_count(apply);
    if (policy->min_dcs > centers)
        return apply_refuse(apply, ERR_INVALID,
                            "%u data centers are asked for, but nodes stand in %u only",
                            policy->min_dcs, centers);
    if ((unsigned)policy->durability > PR__CLUSTER_POLICY__DURABILITY__MAJORITY)
        return apply_refuse(apply, ERR_INVALID, "durability %d is not known",
                            (int)policy->durability);
    if (policy->grace_s > DIRECTORY_GRACE_S_MAX)
        return apply_refuse(apply, ERR_INVALID, "the grace is at most %d seconds",
                            DIRECTORY_GRACE_S_MAX);
    cluster->replication = policy;
    directory_cluster_store(apply, cluster);
    apply->events->directory_changed = true;
    return ERR_OK;
}

/* ---- after the loss of a majority ---- */

static bool is_lost(const Pr__ClusterRecover *call, uint64_t node_id)
{
    for (size_t i = 0; i < call->n_lost_node_ids; i++)
        if (call->lost_node_ids[i] == node_id)
            return true;
    return false;
}

static enum err recover_check(struct apply *apply, const Pr__ClusterRecover *call)
{
    struct directory_rows nodes = nodes_load(apply);
    bool left = false;

    if (call->n_lost_node_ids < 1)
        return apply_refuse(apply, ERR_INVALID, "no lost node is named");
    for (size_t i = 0; i < call->n_lost_node_ids; i++)
        if (directory_node_load(apply, call->lost_node_ids[i]) == NULL)
            return apply_refuse(apply, ERR_NOTFOUND, "there is no node %llu",
                                (unsigned long long)call->lost_node_ids[i]);
    for (size_t i = 0; i < nodes.count; i++) {
        const Pr__NodeRecord *node = nodes.at[i];
        left = left || !is_lost(call, node->id);
    }
    if (!left || is_lost(call, call->by_node_id))
        return apply_refuse(apply, ERR_INVALID, "no node would be left");
    return ERR_OK;
}

/* Takes lost nodes out of a list; returns how many replicas are left. */
static size_t replicas_keep(const Pr__ClusterRecover *call, Pr__Replica **replicas,
                            size_t count)
{
    size_t kept = 0;

    for (size_t i = 0; i < count; i++)
        if (!is_lost(call, replicas[i]->node_id))
            replicas[kept++] = replicas[i];
    return kept;
}

static void group_recover(struct apply *apply, const Pr__ClusterRecover *call,
                          Pr__GroupRecord *group)
{
    size_t kept = replicas_keep(call, group->replicas, group->n_replicas);

    if (kept == group->n_replicas && group->n_planned == 0)
        return;
    if (kept != group->n_replicas)
        group->version++;
    group->n_replicas = kept;
    group->n_planned = 0;
    if (is_lost(call, group->preferred_leader)) {
        group->preferred_leader = 0;
        group->leader_pinned = false;
    }
    directory_group_store(apply, group);
}

static void recovery_remember(struct apply *apply, Pr__ClusterRecord *cluster)
{
    const Pr__ClusterRecover *call = apply->command->cluster_recover;
    size_t count = cluster->n_recoveries;
    size_t first = count >= DIRECTORY_RECOVERIES_MAX ? count - DIRECTORY_RECOVERIES_MAX + 1 : 0;
    Pr__Recovery made = PR__RECOVERY__INIT;
    Pr__Recovery **all = arena_alloc(apply->arena, (count - first + 1) * sizeof(*all));

    for (size_t i = first; i < count; i++)
        all[i - first] = cluster->recoveries[i];
    all[count - first] = &made;
    made.epoch = count > 0 ? cluster->recoveries[count - 1]->epoch + 1 : 1;
    made.time_ms = apply->command->time_ms;
    made.by_node_id = call->by_node_id;
    made.n_lost_node_ids = call->n_lost_node_ids;
    made.lost_node_ids = call->lost_node_ids;
    made.n_groups = call->n_groups;
    made.groups = call->groups;
    cluster->recoveries = all;
    cluster->n_recoveries = count - first + 1;
    directory_cluster_store(apply, cluster);
    apply->outcome->id = made.epoch;
}

enum err apply_cluster_recover(struct apply *apply)
{
    const Pr__ClusterRecover *call = apply->command->cluster_recover;
    Pr__ClusterRecord *cluster = directory_cluster_load(apply);
    struct key key;
    enum err err;

    if (cluster == NULL)
        return apply->outcome->err;
    if ((err = recover_check(apply, call)) != ERR_OK)
        return err;
    for (size_t i = 0; i < call->n_lost_node_ids; i++) {
        unborn_delete(apply, call->lost_node_ids[i]);
        db_delete(apply->txn, TABLE_NODE,
                  key_number(&key, DIRECTORY_GROUP, call->lost_node_ids[i]));
    }
    struct directory_rows groups = groups_load(apply);
    for (size_t i = 0; i < groups.count; i++)
        group_recover(apply, call, groups.at[i]);
    struct directory_rows nodes = nodes_load(apply);
    for (size_t i = 0; i < nodes.count; i++) {
        Pr__NodeRecord *node = nodes.at[i];
        if (!is_lost(call, node->replaced_by))
            continue;
        node->replaced_by = 0;
        directory_node_store(apply, node);
    }
    recovery_remember(apply, cluster);
    apply->events->directory_changed = true;
    return ERR_OK;
}
