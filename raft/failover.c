/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A leader whose process dies takes its connections with it, so its followers need not wait for
 * the election timeout: a voter whose link to the leader is down, and has not heard of it
 * since, stands soon. It asks before it stands (pre-vote), and who still hears the leader
 * refuses: one link that breaks takes no leader down. A majority that has lost it agrees.
 *
 * The voters stand one after the other, in an order that follows from the term: two that stand
 * at once would split the votes and then wait for long.
 */
#include "raft/internal.h"

enum {
    WAIT_SHARE = 20, /* of the election timeout: a link that comes back at once is no loss */
    RANK_SHARE = 32, /* more than an election takes inside a data center */
    ATTEMPTS = 4,
};

/* Where this node stands among the voters that are left. */
static unsigned rank_of(const struct group *group, uint64_t leader)
{
    const struct raft_configuration *members = &group->raft.configuration;
    unsigned voters = 0;
    unsigned own = 0;
    for (unsigned i = 0; i < members->n; i++) {
        if (members->servers[i].role != RAFT_VOTER || members->servers[i].id == leader)
            continue;
        if (members->servers[i].id == group->raft.id)
            own = voters;
        voters++;
    }
    return voters > 0 ? (unsigned)((own + group->raft.current_term + group->id) % voters) : 0;
}

static uint64_t wait_ms(const struct group *group)
{
    uint64_t election_ms = group->owner->config.election_timeout_ms;
    uint64_t rank = rank_of(group, group->lost.leader);
    uint64_t late = group_fit(group) ? 0 : election_ms / 2;
    return election_ms / WAIT_SHARE + rank * (election_ms / RANK_SHARE) + late;
}

void failover_link(struct group *group, uint64_t node_id, bool up)
{
    struct lost_leader *lost = &group->lost;
    uint64_t now = replicator_now(group->owner);
    if (!group->started || group->failed || group->raft.state != RAFT_FOLLOWER ||
        group_leader(group) != node_id || !group_is_voter(group, group->raft.id))
        return;
    if (up && !lost->active)
        return;
    bool again = lost->active;
    uint64_t due = lost->due_ms;
    *lost = (struct lost_leader){
        .active = true, .term = group->raft.current_term, .leader = node_id};
    /* It is back, or another process of it: a leader is heard within two heartbeats. */
    if (up)
        lost->due_ms = now + (uint64_t)2 * group->owner->config.heartbeat_ms + wait_ms(group);
    else
        lost->due_ms = now + wait_ms(group);
    if (again && !up && due < lost->due_ms)
        lost->due_ms = due;
}

void failover_heard(struct group *group)
{
    group->lost.active = false;
}

bool failover_unheard(const struct group *group)
{
    const struct lost_leader *lost = &group->lost;
    if (!lost->active || lost->term != group->raft.current_term)
        return false;
    const struct peer *peer = replicator_peer(group->owner, lost->leader, false);
    return peer == NULL || !peer->up || replicator_now(group->owner) >= lost->due_ms;
}

/* libraft's own timer, public in its structure, is set to have run out. */
void failover_turn(struct group *group, uint64_t now)
{
    struct lost_leader *lost = &group->lost;
    struct raft *raft = &group->raft;
    if (!lost->active || now < lost->due_ms)
        return;
    bool asks = raft->state == RAFT_CANDIDATE && raft->candidate_state.in_pre_vote;
    if (lost->term != raft->current_term || (raft->state != RAFT_FOLLOWER && !asks) ||
        lost->attempts == ATTEMPTS) {
        lost->active = false;
        return;
    }
    /* libraft would put it off for a whole timeout: not before everything is on disk. */
    if (raft->last_stored < raft_last_index(raft) || group->install.active)
        return;
    lost->attempts++;
    lost->due_ms = now + wait_ms(group);
    if (asks)
        raft->candidate_state.randomized_election_timeout = 0;
    else
        raft->follower_state.randomized_election_timeout = 0;
    group->stands = true;
}
