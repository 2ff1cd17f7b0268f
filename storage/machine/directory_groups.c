/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where the groups' replicas shall be.
 *
 * A record's version goes up with each change of its replicas; the group's leader says when
 * Raft's members have followed (GroupPlaced). So the directory alone tells which groups are
 * being moved, and what a node that leaves still has.
 */
#include "storage/machine/directory.h"
#include "storage/schema/entry.h"
#include "storage/schema/format.h"

static enum err replicas_check(struct apply *apply, Pr__Replica *const *replicas, size_t count)
{
    bool voters = false;

    if (count > DIRECTORY_REPLICAS_MAX)
        return apply_refuse(apply, ERR_TOOBIG, "%zu replicas", count);
    for (size_t i = 0; i < count; i++) {
        if (directory_node_load(apply, replicas[i]->node_id) == NULL)
            return apply_refuse(apply, ERR_NOTFOUND, "there is no node %llu",
                                (unsigned long long)replicas[i]->node_id);
        for (size_t j = 0; j < i; j++)
            if (replicas[j]->node_id == replicas[i]->node_id)
                return apply_refuse(apply, ERR_INVALID, "node %llu is named twice",
                                    (unsigned long long)replicas[i]->node_id);
        voters = voters || !replicas[i]->standby;
    }
    if (!voters)
        return apply_refuse(apply, ERR_INVALID, "a group needs at least one voter");
    return ERR_OK;
}

static enum err put_check(struct apply *apply, const Pr__GroupPut *call)
{
    bool preferred = call->preferred_leader == 0;
    enum err err = replicas_check(apply, call->replicas, call->n_replicas);

    for (size_t i = 0; i < call->n_replicas; i++)
        preferred = preferred || (call->replicas[i]->node_id == call->preferred_leader &&
                                  !call->replicas[i]->standby);
    if (err == ERR_OK && !preferred)
        return apply_refuse(apply, ERR_INVALID, "the preferred leader is no voter");
    return err;
}

static const Pr__Replica *replica_find(Pr__Replica *const *replicas, size_t count,
                                       uint64_t node_id)
{
    for (size_t i = 0; i < count; i++)
        if (replicas[i]->node_id == node_id)
            return replicas[i];
    return NULL;
}

/* The same nodes in the same roles; the order says nothing. */
static bool replicas_equal(const Pr__GroupRecord *group, const Pr__GroupPut *call)
{
    if (group->n_replicas != call->n_replicas)
        return false;
    for (size_t i = 0; i < group->n_replicas; i++) {
        const Pr__Replica *other =
            replica_find(call->replicas, call->n_replicas, group->replicas[i]->node_id);
        if (other == NULL || other->standby != group->replicas[i]->standby)
            return false;
    }
    return true;
}

enum err apply_group_put(struct apply *apply)
{
    const Pr__GroupPut *call = apply->command->group_put;
    Pr__GroupRecord *group = directory_group_load(apply, call->group);
    bool versions = apply_format(apply) >= FORMAT_DEPTH;
    enum err err;

    if (group == NULL)
        return apply_refuse(apply, ERR_NOTFOUND, "there is no group %u", call->group);
    if ((err = put_check(apply, call)) != ERR_OK)
        return err;
    if (versions && call->version_given && call->version != group->version)
        return apply_refuse(apply, ERR_CONFLICT, "group %u was placed anew in the meantime",
                            call->group);
    if (versions && directory_group_unborn(group))
        return apply_refuse(apply, ERR_BUSY, "group %u has not begun yet", call->group);
    if (versions && !replicas_equal(group, call))
        group->version++;
    if (versions && call->plan_taken)
        group->n_planned = 0;
    if (versions)
        group->leader_pinned = call->leader_pinned;
    group->replicas = call->replicas;
    group->n_replicas = call->n_replicas;
    group->preferred_leader = call->preferred_leader;
    directory_group_store(apply, group);
    return ERR_OK;
}

enum err apply_group_placed(struct apply *apply)
{
    const Pr__GroupPlaced *call = apply->command->group_placed;
    Pr__GroupRecord *group = directory_group_load(apply, call->group);

    if (group == NULL)
        return apply_refuse(apply, ERR_NOTFOUND, "there is no group %u", call->group);
    if (call->version != group->version)
        return apply_refuse(apply, ERR_CONFLICT, "group %u was placed anew in the meantime",
                            call->group);
    if (group->placed_version != group->version) {
        group->placed_version = group->version;
        directory_group_store(apply, group);
    }
    return ERR_OK;
}

static enum err plan_check(struct apply *apply, const Pr__GroupPlan *plan)
{
    const Pr__GroupRecord *group = directory_group_load(apply, plan->group);

    if (group == NULL || plan->group == DIRECTORY_GROUP)
        return apply_refuse(apply, ERR_NOTFOUND, "there is no mail group %u", plan->group);
    if (plan->version != group->version)
        return apply_refuse(apply, ERR_CONFLICT,
                            "group %u was placed anew in the meantime: plan again",
                            plan->group);
    return replicas_check(apply, plan->replicas, plan->n_replicas);
}

static void plans_clear(struct apply *apply)
{
    struct directory_rows groups =
        directory_load_all(apply, TABLE_GROUP, &pr__group_record__descriptor);

    for (size_t i = 0; i < groups.count; i++) {
        Pr__GroupRecord *group = groups.at[i];
        if (group->n_planned == 0)
            continue;
        group->n_planned = 0;
        directory_group_store(apply, group);
    }
}

enum err apply_groups_plan(struct apply *apply)
{
    const Pr__GroupsPlan *call = apply->command->groups_plan;
    enum err err;

    if (call->n_plans > DIRECTORY_GROUPS_MAX)
        return apply_refuse(apply, ERR_TOOBIG, "%zu plans", call->n_plans);
    for (size_t i = 0; i < call->n_plans; i++)
        if ((err = plan_check(apply, call->plans[i])) != ERR_OK)
            return err;
    if (call->clear)
        plans_clear(apply);
    for (size_t i = 0; i < call->n_plans; i++) {
        Pr__GroupRecord *group = directory_group_load(apply, call->plans[i]->group);
        if (group == NULL)
            continue;
        group->planned = call->plans[i]->replicas;
        group->n_planned = call->plans[i]->n_replicas;
        directory_group_store(apply, group);
    }
    return ERR_OK;
}

static enum err birth_check(struct apply *apply, uint64_t node_id)
{
    const Pr__NodeRecord *node = directory_node_load(apply, node_id);

    if (node == NULL)
        return apply_refuse(apply, ERR_NOTFOUND, "there is no node %llu",
                            (unsigned long long)node_id);
    if (node->witness || node->state != PR__NODE_STATE__NODE_ACTIVE)
        return apply_refuse(apply, ERR_INVALID, "node %s takes no mail groups", node->name);
    return ERR_OK;
}

enum err apply_groups_add(struct apply *apply)
{
    const Pr__GroupsAdd *call = apply->command->groups_add;
    Pr__ClusterRecord *cluster = directory_cluster_load(apply);
    Pr__Replica replica = PR__REPLICA__INIT;
    Pr__Replica *replicas[] = {&replica};
    enum err err;

    if (cluster == NULL)
        return apply->outcome->err;
    if (call->n_birth_node_ids < 1 || call->n_birth_node_ids > DIRECTORY_GROUPS_ADD_MAX)
        return apply_refuse(apply, ERR_INVALID, "1 to %d groups are added at a time",
                            DIRECTORY_GROUPS_ADD_MAX);
    for (size_t i = 0; i < call->n_birth_node_ids; i++)
        if ((err = birth_check(apply, call->birth_node_ids[i])) != ERR_OK)
            return err;
    struct directory_rows groups =
        directory_load_all(apply, TABLE_GROUP, &pr__group_record__descriptor);
    if (groups.count + call->n_birth_node_ids > DIRECTORY_GROUPS_MAX + 1)
        return apply_refuse(apply, ERR_TOOBIG, "a cluster has at most %d mail groups",
                            DIRECTORY_GROUPS_MAX);
    for (size_t i = 0; i < groups.count; i++) {
        const Pr__GroupRecord *group = groups.at[i];
        if (group->group >= cluster->next_group)
            cluster->next_group = group->group + 1;
    }
    apply->outcome->id = cluster->next_group;
    for (size_t i = 0; i < call->n_birth_node_ids; i++) {
        Pr__GroupRecord group = PR__GROUP_RECORD__INIT;
        replica.node_id = call->birth_node_ids[i];
        group.group = cluster->next_group++;
        group.replicas = replicas;
        group.n_replicas = 1;
        group.version = 1;
        group.birth_node_id = replica.node_id;
        directory_group_store(apply, &group);
    }
    directory_cluster_store(apply, cluster);
    return ERR_OK;
}
