/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Handing leadership over. libraft sends its one TimeoutNow when it sees the first answer, and
 * the target ignores it unless it has everything on disk, and nothing more; so proposals wait,
 * and libraft is asked when the target has all. What an older leader left at the end of the
 * target's log goes when an entry of this term comes: if there is none, one is made.
 */
#include "raft/internal.h"

/* It has said that it can lead, or has said nothing yet. */
static bool fit(const struct group *group, uint64_t node_id, bool said)
{
    for (unsigned i = 0; i < group->links_count; i++)
        if (group->links[i]->peer->node_id == node_id && group->links[i]->known)
            return group->links[i]->standing == 0;
    return !said;
}

static uint64_t most_advanced(const struct group *group, bool said)
{
    const struct raft_configuration *members = &group->raft.configuration;
    uint64_t best = 0;
    uint64_t best_match = 0;
    for (unsigned i = 0; i < members->n; i++) {
        uint64_t node_id = members->servers[i].id;
        uint64_t match = group_match(group, node_id);
        if (members->servers[i].role == RAFT_VOTER && node_id != group->raft.id &&
            fit(group, node_id, said) && (best == 0 || match > best_match)) {
            best = node_id;
            best_match = match;
        }
    }
    return best;
}

void replicator_transfer(struct replicator *replicator, uint32_t id, uint64_t node_id,
                         void (*done)(void *context, enum err err), void *context)
{
    struct group *group = replicator_group(replicator, id);
    struct call *call = call_new_simple(done, context);
    enum err err = ERR_OK;
    if (group != NULL)
        members_give_way(group);
    if (group == NULL || !group_leads(group))
        err = ERR_NOTLEADER;
    else if (group->transfer.call != NULL || group->change.call != NULL)
        err = ERR_BUSY;
    else if (node_id == 0)
        node_id = most_advanced(group, false);
    if (err == ERR_OK && (node_id == 0 || node_id == replicator->config.node_id ||
                          !group_is_voter(group, node_id) || !fit(group, node_id, false)))
        err = ERR_NOTFOUND;
    if (err != ERR_OK) {
        call_finish(replicator, call, err);
        return;
    }
    call->deadline_ms = replicator_now(replicator) + 2 * replicator->config.election_timeout_ms;
    group->transfer = (struct transfer_request){.call = call, .node_id = node_id};
    group_touch(group);
}

/* Elected because nobody else had the log: as soon as somebody can lead better, it shall. */
void transfer_hand_over(struct group *group, uint64_t now)
{
    if (!group_leads(group) || group_fit(group) || group->transfer.call != NULL ||
        now < group->hand_over_ms)
        return;
    uint64_t node_id = most_advanced(group, true);
    if (node_id == 0)
        return;
    members_give_way(group);
    if (group->change.call != NULL)
        return;
    group->hand_over_ms = now + group->owner->config.election_timeout_ms;
    struct call *call = call_new_simple(NULL, NULL);
    call->deadline_ms = now + 2 * group->owner->config.election_timeout_ms;
    group->transfer = (struct transfer_request){.call = call, .node_id = node_id};
    group_touch(group);
}

static void transfer_end(struct group *group, enum err err)
{
    struct call *call = group->transfer.call;
    group->transfer = (struct transfer_request){0};
    call_finish(group->owner, call, err);
    group_touch(group);
}

void transfer_turn(struct group *group, uint64_t now)
{
    struct transfer_request *transfer = &group->transfer;
    if (transfer->call == NULL)
        return;
    if (!group_leads(group)) {
        uint64_t leader = group_leader(group);
        if (leader == transfer->node_id)
            transfer_end(group, ERR_OK);
        else if (leader != 0)
            transfer_end(group, ERR_NOTLEADER);
        else if (now >= transfer->call->deadline_ms)
            transfer_end(group, ERR_TIMEOUT);
        return;
    }
    if (now >= transfer->call->deadline_ms ||
        (transfer->asked && raft_transferee(&group->raft) == 0)) {
        /* libraft gives up after an election timeout; until then it takes no proposals. */
        if (raft_transferee(&group->raft) == 0)
            transfer_end(group, ERR_TIMEOUT);
        return;
    }
    if (!transfer->asked &&
        group_term_of(group, raft_last_index(&group->raft)) != group->led_term) {
        static const uint8_t nothing[8];
        group_submit_own(group, ENTRY_BARRIER, bytes_from(nothing, sizeof(nothing)));
        return;
    }
    if (transfer->asked ||
        group_match(group, transfer->node_id) < raft_last_index(&group->raft))
        return;
    struct raft_event event = {.type = RAFT_TRANSFER};
    event.transfer.server_id = transfer->node_id;
    transfer->asked = true;
    if (group_step(group, &event, NULL) != 0)
        transfer_end(group, ERR_NOTFOUND);
}
