/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Committed entries to the machine: a batch of any groups at a time in each lane. */
#include <stdlib.h>

#include "node/runtime/metrics.h"
#include "raft/internal.h"

void replicator_batch_applied(struct replicator *replicator, struct machine_batch *batch)
{
    struct lane *lane = batch->lane < LANES_MAX ? replicator->lanes[batch->lane] : NULL;
    CHECK(lane != NULL && lane->batch == batch && lane->busy && !lane->finished);
    lane->finished = true;
}

static void lane_completed(struct replicator *replicator, struct lane *lane)
{
    struct machine_batch *batch = lane->batch;
    struct group *group = NULL;
    for (unsigned i = 0; i < batch->count; i++) {
        const struct machine_command *command = &batch->commands[i];
        if (group == NULL || group->id != command->group)
            group = replicator_group(replicator, command->group);
        CHECK(group != NULL && command->index == group->applied + 1);
        group->applied = command->index;
        group_touch(group);
        proposals_applied(group, command);
        frame_unref(lane->owners[i]);
    }
    lane->busy = false;
    metric_add(METRIC_RAFT_ENTRIES_APPLIED, batch->count);
    metric_add(METRIC_RAFT_APPLY_COMMITS, 1);
}

void apply_completed(struct replicator *replicator)
{
    for (unsigned i = 0; i < LANES_MAX; i++)
        if (replicator->lanes[i] != NULL && replicator->lanes[i]->finished)
            lane_completed(replicator, replicator->lanes[i]);
}

void apply_release(struct replicator *replicator)
{
    struct machine *machine = replicator->config.machine;
    for (unsigned i = 0; i < LANES_MAX; i++) {
        struct lane *lane = replicator->lanes[i];
        if (lane == NULL || !lane->finished || lane->busy)
            continue;
        lane->finished = false;
        machine->ops->release(machine, lane->batch);
        lane->batch->count = 0;
        lane->batch->memory = NULL;
    }
}

/* Puts the group's next entries into the lane's batch; returns their weight. */
static size_t batch_fill(struct group *group, struct lane *lane, size_t bytes_max)
{
    struct machine_batch *batch = lane->batch;
    struct entry entries[MACHINE_BATCH_COMMANDS_MAX];
    uint64_t end = group->raft.commit_index < group->raft.last_stored ? group->raft.commit_index
                                                                      : group->raft.last_stored;
    uint64_t left = end + 1 - group->apply_next;
    unsigned room = MACHINE_BATCH_COMMANDS_MAX - batch->count;
    unsigned count = group_entries(group, group->apply_next,
                                   left < room ? (unsigned)left : room, bytes_max, entries);
    const struct call_list *own = &group->submitted;
    size_t bytes = 0;
    CHECK(count > 0); /* committed, and not in the log */
    for (unsigned i = 0; i < count; i++) {
        uint64_t index = group->apply_next++;
        bool command = entries[i].type == ENTRY_COMMAND;
        lane->owners[batch->count] = entries[i].owner;
        batch->commands[batch->count++] = (struct machine_command){
            .group = group->id,
            .index = index,
            .term = entries[i].term,
            .command = command ? entries[i].data : (struct bytes){NULL, 0},
            .want_reply = command && own->head != NULL && index >= own->head->index &&
                          index <= own->tail->index,
        };
        bytes += entries[i].data.len;
    }
    return bytes;
}

static void lane_hand_out(struct replicator *replicator, struct lane *lane)
{
    struct machine *machine = replicator->config.machine;
    size_t bytes = 0;
    while (lane->ready_head != NULL && lane->batch->count < MACHINE_BATCH_COMMANDS_MAX &&
           bytes < MACHINE_BATCH_BYTES_MAX) {
        struct group *group = lane->ready_head;
        lane->ready_head = group->next_ready;
        if (lane->ready_head == NULL)
            lane->ready_tail = NULL;
        group->ready = false;
        if (group->failed || !group_whole(group))
            continue;
        bytes += batch_fill(group, lane, MACHINE_BATCH_BYTES_MAX - bytes);
        group_apply_ready(group);
    }
    if (lane->batch->count == 0)
        return;
    lane->busy = true;
    machine->ops->apply(machine, lane->batch);
}

void apply_hand_out(struct replicator *replicator)
{
    for (unsigned i = 0; i < LANES_MAX; i++) {
        struct lane *lane = replicator->lanes[i];
        if (lane != NULL && !lane->busy && !lane->finished && lane->ready_head != NULL)
            lane_hand_out(replicator, lane);
    }
}
