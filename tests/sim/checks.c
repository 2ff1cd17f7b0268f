/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What must hold, at every moment and at the end. */
#include <stdlib.h>

#include "raft/wire.h"
#include "sim.h"

#define LLU(value) (unsigned long long)(value)

static void truth_add(struct truth *truth, struct truth_record record)
{
    if (truth->count == truth->room) {
        truth->room = truth->room > 0 ? truth->room * 2 : 1024;
        truth->records = realloc(truth->records, truth->room * sizeof(*truth->records));
        CHECK(truth->records != NULL);
    }
    truth->records[truth->count++] = record;
}

/* State machine safety: every node applies the same at the same index; each command once, and
 * none that was refused. */
void check_applied(struct world *world, unsigned node, unsigned group,
                   struct truth_record record)
{
    struct truth *truth = &world->truths[group];
    if (record.index <= truth->count) {
        struct truth_record *first = &truth->records[record.index - 1];
        if (first->term == record.term && first->id == record.id &&
            first->reply != record.reply)
            sim_fail(world, "REPLIES: node %u answers %llu of group %u as no other", node + 1,
                     LLU(record.index), group);
        if (first->term != record.term || first->id != record.id)
            sim_fail(world,
                     "STATE MACHINE SAFETY: node %u applies %llu^%llu (%llu) of group %u, "
                     "another applied term %llu (%llu)",
                     node + 1, LLU(record.index), LLU(record.term), LLU(record.id), group,
                     LLU(first->term), LLU(first->id));
        return;
    }
    CHECK(record.index == truth->count + 1);
    record.led_by = truth->highest;
    truth_add(truth, record);
    world->stats->commits++;
    sim_trace(world, record.id << 16 ^ record.term);
    sim_trace(world, record.reply);
    if (record.id == 0)
        return;
    if (record.id > world->proposals_count) {
        sim_fail(world, "node %u applies what nobody proposed", node + 1);
        return;
    }
    struct proposal *proposal = &world->proposals[record.id - 1];
    proposal->applied++;
    if (proposal->applied > 1)
        sim_fail(world, "proposal %llu is in the log twice", LLU(record.id));
    if (proposal->outcome == PROPOSAL_NEVER)
        sim_fail(world, "proposal %llu was refused and is applied", LLU(record.id));
    if (proposal->group != group)
        sim_fail(world, "proposal %llu landed in another group", LLU(record.id));
}

/* Equal tables at equal indexes. */
void check_digest(struct world *world, unsigned node, unsigned group, uint64_t index,
                  uint64_t digest)
{
    struct truth *truth = &world->truths[group];
    if (index == 0 || index > truth->count)
        return;
    struct truth_record *record = &truth->records[index - 1];
    if (record->digest != 0 && record->digest != digest)
        sim_fail(world, "DIGEST: the tables of group %u at %llu are others on node %u", group,
                 LLU(index), node + 1);
    record->digest = digest;
    sim_trace(world, digest);
}

void check_describe(struct world *world, unsigned group)
{
    for (unsigned i = 0; i < world->plan.nodes; i++) {
        const struct node *node = &world->nodes[i];
        struct replicator_status status;
        if (!node->up || !replicator_status(node->replicator, group, &status)) {
            printf("  node %u: down or without the group\n", i + 1);
            continue;
        }
        printf("  node %u: state %d term %llu leader %llu log %llu..%llu commit %llu applied "
               "%llu members",
               i + 1, (int)status.state, LLU(status.term), LLU(status.leader),
               LLU(status.first_index), LLU(status.last_index), LLU(status.commit_index),
               LLU(status.applied_index));
        for (unsigned j = 0; j < status.member_count; j++)
            printf(" %llu:%c match %llu", LLU(status.members[j].node_id),
                   "VTS"[status.members[j].role], LLU(status.match[j]));
        printf("\n");
    }
}

/* A new leader has, on disk, everything that was committed in earlier terms; one that was
 * elected late, when a newer term has its leader already, need not have what that one did. */
static void check_leader_log(struct node *node, unsigned group, uint64_t term)
{
    struct world *world = node->world;
    const struct truth *truth = &world->truths[group];
    uint64_t first = node->disk.groups[group].state.first_index;
    for (uint64_t index = first; index <= truth->count; index++) {
        const struct disk_entry *entry = disk_entry(&node->disk, group, index);
        if (truth->records[index - 1].led_by >= term)
            break;
        if (entry == NULL || entry->term != truth->records[index - 1].term) {
            sim_fail(world, "LEADER COMPLETENESS: node %u leads group %u in %llu without %llu",
                     node->number + 1, group, LLU(term), LLU(index));
            if (world->verbose)
                check_describe(world, group);
            return;
        }
    }
}

static void check_leadership(struct node *node, unsigned group, uint64_t term)
{
    struct world *world = node->world;
    struct truth *truth = &world->truths[group];
    /* A sole voter leads in memory before its new term is on disk, and unheard by anybody. */
    if (node->disk.groups[group].state.term < term)
        return;
    if (term >= truth->leaders_room) {
        uint64_t room = term * 2 + 64;
        truth->leaders = realloc(truth->leaders, room * sizeof(*truth->leaders));
        CHECK(truth->leaders != NULL);
        memset(truth->leaders + truth->leaders_room, 0,
               (room - truth->leaders_room) * sizeof(*truth->leaders));
        truth->leaders_room = room;
    }
    /* A life of a process counts: one that died and led the same term again is two. */
    uint64_t leader = node->life << 8 | (node->number + 1);
    if (truth->leaders[term] != 0 && truth->leaders[term] != leader)
        sim_fail(world, "ELECTION SAFETY: nodes %llu and %u lead group %u in term %llu",
                 LLU(truth->leaders[term] & 255), node->number + 1, group, LLU(term));
    truth->leaders[term] = leader;
    if (node->led_term[group] == term)
        return;
    node->led_term[group] = term;
    world->stats->elections++;
    check_leader_log(node, group, term);
    if (term > truth->highest)
        truth->highest = term;
}

void check_turn(struct node *node)
{
    struct world *world = node->world;
    for (unsigned i = 0; i < world->plan.groups; i++) {
        struct replicator_status status;
        if (!replicator_status(node->replicator, i, &status))
            continue;
        if (status.state == REPLICATOR_STOPPED && status.term > 1 && !status.closing)
            sim_fail(world, "node %u: group %u stopped", node->number + 1, i);
        if (status.state == REPLICATOR_LEADER && status.own != REPLICATOR_WHOLE &&
            node->led_term[i] != status.term)
            world->stats->stateless_leaders++;
        if (status.state != REPLICATOR_LEADER)
            continue;
        check_leadership(node, i, status.term);
        if (world->leader_died_ms[i] != 0) {
            world->stats->failovers++;
            world->stats->failover_ms += world->now_ms - world->leader_died_ms[i];
            world->leader_died_ms[i] = 0;
        }
    }
}

/* Nothing leaves that is not true of the disk. */
static void check_message(struct world *world, unsigned from, unsigned to,
                          const struct wire_message *message)
{
    const struct disk_group *disk = &world->nodes[from].disk.groups[message->group];
    const struct log_state *state = &disk->state;
    bool vote = (message->type == WIRE_VOTE && !message->vote.pre_vote) ||
                (message->type == WIRE_VOTE_RESULT && message->vote_result.granted &&
                 !message->vote_result.pre_vote);
    uint64_t for_whom = message->type == WIRE_VOTE ? from + 1 : to + 1;
    bool pre_vote = (message->type == WIRE_VOTE && message->vote.pre_vote) ||
                    (message->type == WIRE_VOTE_RESULT && message->vote_result.pre_vote);
    if (!pre_vote && (!disk->exists || message->term > state->term))
        sim_fail(world, "DURABILITY: node %u sends %d of term %llu, on disk is %llu", from + 1,
                 message->type, LLU(message->term), LLU(state->term));
    if (vote && message->term == state->term && state->vote != for_whom)
        sim_fail(world, "DURABILITY: node %u votes for %llu, on disk is %llu", from + 1,
                 LLU(for_whom), LLU(state->vote));
    /* An older term's acknowledgement may leave late, when the entries were replaced. */
    if (message->type == WIRE_APPEND_RESULT && message->append_result.rejected == 0 &&
        message->term == state->term && message->append_result.last_index > state->last_index)
        sim_fail(world, "DURABILITY: node %u acknowledges %llu, on disk is %llu", from + 1,
                 LLU(message->append_result.last_index), LLU(state->last_index));
}

void check_sent(struct world *world, unsigned from, unsigned to, struct bytes frame)
{
    struct wire_reader reader = {0};
    struct wire_message message;
    enum err err = wire_reader_start(&reader, frame);
    while (err == ERR_OK) {
        err = wire_reader_next(&reader, &message);
        if (err == ERR_OK && world->gate)
            check_message(world, from, to, &message);
    }
    if (err != ERR_NOTFOUND)
        sim_fail(world, "node %u sends a frame that is refused", from + 1);
    wire_reader_fini(&reader);
}
