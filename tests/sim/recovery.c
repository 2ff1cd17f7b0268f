/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A majority of five burns down, and an operator puts together what two are left: the product's
 * own plan decides whose log and whose state the groups go on from. What it leaves behind must
 * be all that any survivor has and another's state can take.
 */
#include <stdlib.h>

#include "storage/service/recover.h"
#include "tests/sim/sim.h"

struct wreck {
    struct arena arena;
    struct recover_view view;
    struct status_answer answers[NODES_MAX];
    Pr__NodeRecord *nodes[NODES_MAX];
    uint64_t lost[NODES_MAX];
};

static void *made(struct wreck *wreck, size_t size)
{
    return arena_alloc(&wreck->arena, size);
}

static char *word(struct wreck *wreck, const char *text)
{
    return arena_string(&wreck->arena, bytes_of(text));
}

static Pr__GroupStatus *words_of(struct wreck *wreck, const struct node *node, unsigned group)
{
    static const char *const roles[] = {"voter", "standby", "spare"};
    struct replicator_status status;
    Pr__GroupStatus *words = made(wreck, sizeof(*words));
    if (!replicator_status(node->replicator, group, &status))
        return NULL;
    pr__group_status__init(words);
    words->group = group;
    words->first_index = status.first_index;
    words->last_index = status.last_index;
    words->last_term = status.last_term;
    words->commit_index = status.commit_index;
    words->applied_index = status.applied_index;
    words->members = made(wreck, status.member_count * sizeof(*words->members));
    for (unsigned i = 0; i < status.member_count; i++) {
        Pr__GroupMember *member = words->members[words->n_members++] =
            made(wreck, sizeof(*member));
        pr__group_member__init(member);
        member->node_id = status.members[i].node_id;
        member->role = word(wreck, roles[status.members[i].role]);
    }
    words->states = made(wreck, sizeof(*words->states));
    words->states[words->n_states++] = made(wreck, sizeof(**words->states));
    pr__replica_state__init(words->states[0]);
    words->states[0]->node_id = node->number + 1;
    words->states[0]->state = word(wreck, status.own == REPLICATOR_WHOLE ? "whole" : "partial");
    return words;
}

static void look(struct world *world, struct wreck *wreck)
{
    *wreck = (struct wreck){0};
    arena_init(&wreck->arena);
    for (unsigned i = 0; i < world->plan.nodes; i++) {
        const struct node *node = &world->nodes[i];
        struct status_answer *answer = &wreck->answers[i];
        wreck->nodes[i] = made(wreck, sizeof(Pr__NodeRecord));
        pr__node_record__init(wreck->nodes[i]);
        wreck->nodes[i]->id = answer->node_id = i + 1;
        wreck->nodes[i]->witness = node->witness;
        if (node->dead_for_good) {
            wreck->lost[wreck->view.lost_count++] = i + 1;
            continue;
        }
        answer->reachable = true;
        answer->groups = made(wreck, world->plan.groups * sizeof(*answer->groups));
        for (unsigned g = 0; g < world->plan.groups; g++)
            if ((answer->groups[answer->group_count] = words_of(wreck, node, g)) != NULL)
                answer->group_count++;
    }
    wreck->view.nodes = wreck->nodes;
    wreck->view.node_count = world->plan.nodes;
    wreck->view.answers = wreck->answers;
    wreck->view.lost = wreck->lost;
}

/* How much of what was ever committed the log of a node has. */
static uint64_t truth_in(const struct world *world, uint64_t node_id, unsigned group)
{
    const struct truth *truth = &world->truths[group];
    const struct disk *disk = &world->nodes[node_id - 1].disk;
    uint64_t count = truth->count;
    while (count > 0) {
        const struct disk_entry *entry = disk_entry(disk, group, count);
        if (count < disk->groups[group].state.first_index ||
            (entry != NULL && entry->term == truth->records[count - 1].term))
            break;
        count--;
    }
    return count;
}

/* CLOSED: a node died over it, and the operator tries again; BUSY: that is under way. */
static void recovered(void *context, enum err err)
{
    struct world *world = context;
    if (err == ERR_OK)
        world->stats->recoveries++;
    else if (err == ERR_CLOSED)
        operator_recover_again(world);
    else if (err != ERR_BUSY)
        sim_fail(world, "recovery of a group: %s", err_text(err));
}

static void given_up(void *context, enum err err)
{
    struct world *world = context;
    if (err == ERR_OK)
        world->stats->removals++;
    else if (err != ERR_CLOSED)
        sim_fail(world, "a replica that is given up: %s", err_text(err));
}

static const Pr__RecoverReplica *replica_of(const Pr__RecoverGroup *group, uint64_t node_id)
{
    size_t at = 0;
    while (group->replicas[at]->node_id != node_id)
        at++;
    return group->replicas[at];
}

/* No survivor has more than the one that is chosen, unless its log cannot be joined to what the
 * best state is of. */
static void choice_check(struct world *world, const Pr__RecoverGroup *plan, unsigned group)
{
    uint64_t kept = truth_in(world, plan->log_node_id, group);
    const Pr__RecoverReplica *best = replica_of(plan, plan->best_node_id);
    for (size_t i = 0; i < plan->n_replicas; i++) {
        const Pr__RecoverReplica *replica = plan->replicas[i];
        if (replica->answers && replica->first_index <= best->last_index + 1 &&
            truth_in(world, replica->node_id, group) > kept)
            sim_fail(world, "group %u goes on from node %llu with %llu, node %llu has %llu",
                     group, (unsigned long long)plan->log_node_id, (unsigned long long)kept,
                     (unsigned long long)replica->node_id,
                     (unsigned long long)truth_in(world, replica->node_id, group));
    }
    uint64_t alone = truth_in(world, plan->best_node_id, group);
    world->stats->brought_back += kept > alone ? kept - alone : 0;
    world->stats->lost += world->truths[group].count - kept;
    /* Users have seen what is gone: they cannot be asked any more. */
    world->over = world->over || world->truths[group].count > kept;
}

static void group_recover(struct world *world, struct wreck *wreck, unsigned group)
{
    Pr__GroupRecord record = PR__GROUP_RECORD__INIT;
    record.group = group;
    const Pr__RecoverGroup *plan = recover_group(&wreck->view, &record, &wreck->arena);
    if (plan->majority)
        return;
    if (plan->best_node_id == 0) {
        world->unrecovered[group] = world->over = true;
        world->stats->unrecovered++;
        return;
    }
    choice_check(world, plan, group);
    struct replicator *replicator = world->nodes[plan->log_node_id - 1].replicator;
    for (size_t i = 1; i < plan->n_member_ids; i++) {
        const Pr__RecoverReplica *member = replica_of(plan, plan->member_ids[i]);
        if (replica_of(plan, plan->log_node_id)->first_index > recover_committed(member) + 1 &&
            !replicator_has_entry(replicator, group, member->last_index, member->last_term)) {
            world->unrecovered[group] = world->over = true;
            return;
        }
    }
    replicator_group_recover(replicator, group, plan->member_ids, (unsigned)plan->n_member_ids,
                             recovered, world);
    node_wake(&world->nodes[plan->log_node_id - 1]);
    for (size_t i = 0; i < plan->n_given_up_ids; i++) {
        struct node *node = &world->nodes[plan->given_up_ids[i] - 1];
        replicator_group_remove(node->replicator, group, true, given_up, world);
        node_wake(node);
    }
}

bool recovery_run(struct world *world)
{
    struct wreck wreck;
    for (unsigned i = 0; i < world->plan.nodes; i++) {
        const struct node *node = &world->nodes[i];
        if (!node->dead_for_good && (!node->up || node->dying || node->failed))
            return false;
    }
    look(world, &wreck);
    for (unsigned g = 0; g < world->plan.groups; g++)
        group_recover(world, &wreck, g);
    arena_fini(&wreck.arena);
    return true;
}
