/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What an answer promises, and what must hold in the end. */
#include "sim.h"

#define LLU(value) (unsigned long long)(value)

static bool on_disk(struct world *world, unsigned node, unsigned group, uint64_t index)
{
    const struct disk_entry *entry = disk_entry(&world->nodes[node].disk, group, index);
    /* A witness cuts its log when told that the others have it. */
    if (index < world->nodes[node].disk.groups[group].state.first_index)
        return world->nodes[node].witness ||
               machine_holds(&world->nodes[node].machine, group, index);
    return entry != NULL && entry->term == world->truths[group].records[index - 1].term;
}

/* An acknowledged command is applied here, on a majority of disks, and by policy elsewhere. */
void check_ok(struct world *world, unsigned number, unsigned group, uint64_t id, uint64_t index,
              struct bytes reply)
{
    struct node *node = &world->nodes[number];
    struct truth *truth = &world->truths[group];
    struct replicator_status status;
    unsigned voters = 0;
    unsigned have = 0;
    bool outside = false;
    if (index == 0 || index > truth->count || truth->records[index - 1].id != id) {
        sim_fail(world, "proposal %llu is acknowledged and not at %llu", LLU(id), LLU(index));
        return;
    }
    if (truth->records[index - 1].reply != machine_hash(reply))
        sim_fail(world, "proposal %llu got another's reply", LLU(id));
    if (machine_applied_index(&node->machine, group) < index)
        sim_fail(world, "proposal %llu is acknowledged before it is applied", LLU(id));
    CHECK(replicator_status(node->replicator, group, &status));
    for (unsigned i = 0; i < status.member_count; i++) {
        unsigned member = (unsigned)status.members[i].node_id - 1;
        bool has = world->gate && on_disk(world, member, group, index);
        voters += status.members[i].role == REPLICATOR_VOTER;
        have += status.members[i].role == REPLICATOR_VOTER && has;
        /* Entries without the state that they belong to are of no use to anybody. */
        outside = outside || (has && world->nodes[member].site != node->site &&
                              !world->nodes[member].machine.groups[group].partial);
    }
    if (!world->gate || status.state != REPLICATOR_LEADER)
        return;
    /* While a change of members is under way, the majority may be that of before. */
    if (have <= voters / 2 && !world->plan.churn && !world->plan.growth)
        sim_fail(world, "proposal %llu is acknowledged and on %u of %u disks", LLU(id), have,
                 voters);
    if (status.single_site) {
        world->stats->single_site++;
        world->proposals[id - 1].alone = true;
    }
    if (world->plan.cross_dc && !outside && !status.single_site)
        sim_fail(world, "proposal %llu is acknowledged inside one data center", LLU(id));
}

void check_lost(struct world *world, unsigned group, uint64_t count)
{
    const struct truth *truth = &world->truths[group];
    for (uint64_t i = count; i < truth->count; i++) {
        const struct proposal *proposal;
        if (truth->records[i].id == 0)
            continue;
        proposal = &world->proposals[truth->records[i].id - 1];
        if (proposal->outcome == PROPOSAL_OK && !proposal->alone)
            sim_fail(world, "LOST with a data center: proposal %llu at %llu of group %u",
                     LLU(truth->records[i].id), LLU(i + 1), group);
    }
}

static void check_group_end(struct world *world, unsigned group)
{
    struct truth *truth = &world->truths[group];
    struct replicator_status status = {0};
    unsigned leaders = 0;
    if (world->unrecovered[group])
        return;
    for (unsigned i = 0; i < world->plan.nodes; i++) {
        struct node *node = &world->nodes[i];
        if (node->up && replicator_leader(node->replicator, group) == i + 1) {
            CHECK(replicator_status(node->replicator, group, &status));
            leaders++;
        }
    }
    if (leaders != 1 || truth->ok_calm < 20) {
        sim_fail(world, "LIVENESS: group %u: %u leaders, %llu acknowledged in the calm", group,
                 leaders, LLU(truth->ok_calm));
        if (world->verbose)
            check_describe(world, group);
        return;
    }
    for (unsigned i = 0; i < status.member_count; i++) {
        struct node *node = &world->nodes[status.members[i].node_id - 1];
        if (!node->up || node->witness || status.members[i].role == REPLICATOR_SPARE)
            continue;
        if (machine_applied_index(&node->machine, group) + 200 >= truth->count)
            continue;
        if (world->verbose)
            check_describe(world, group);
        sim_fail(world, "LIVENESS: node %u applied %llu of %llu of group %u", node->number + 1,
                 LLU(machine_applied_index(&node->machine, group)), LLU(truth->count), group);
    }
}

void check_end(struct world *world)
{
    for (unsigned i = 0; i < world->plan.groups; i++)
        check_group_end(world, i);
    for (uint64_t i = 0; i < world->proposals_count; i++) {
        struct proposal *proposal = &world->proposals[i];
        struct truth *truth = &world->truths[proposal->group];
        if (proposal->outcome == PROPOSAL_OK &&
            (proposal->applied != 1 || proposal->index > truth->count ||
             truth->records[proposal->index - 1].id != i + 1))
            sim_fail(world, "LOST: proposal %llu was acknowledged", LLU(i + 1));
    }
    for (unsigned i = 0; i < world->plan.nodes; i++)
        if (world->plan.growth && !world->nodes[i].up)
            sim_fail(world, "node %u is not up at the end", i + 1);
}
