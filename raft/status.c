/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What others may know of a group. */
#include "raft/internal.h"

static enum replicator_role role_from_raft(int role)
{
    return role == RAFT_VOTER     ? REPLICATOR_VOTER
           : role == RAFT_STANDBY ? REPLICATOR_STANDBY
                                  : REPLICATOR_SPARE;
}

static enum replicator_standing standing_from_wire(uint8_t standing)
{
    return (standing & WIRE_STATELESS) != 0 ? REPLICATOR_STATELESS
           : (standing & WIRE_PARTIAL) != 0 ? REPLICATOR_PARTIAL
                                            : REPLICATOR_WHOLE;
}

static void link_fill(const struct link *link, struct replicator_status *status, unsigned at,
                      uint64_t now)
{
    if (link->contact_ms != 0)
        status->last_contact_ms[at] = now - link->contact_ms;
    if (link->known)
        status->standing[at] = standing_from_wire(link->standing);
    if (link->install != 0 &&
        (status->pinned_index == 0 || link->install + 1 < status->pinned_index))
        status->pinned_index = link->install + 1;
}

static void members_fill(const struct group *group, struct replicator_status *status)
{
    const struct raft_configuration *members = &group->raft.configuration;
    uint64_t now = replicator_now(group->owner);
    CHECK(members->n <= REPLICATOR_MEMBERS_MAX);
    status->member_count = members->n;
    for (unsigned i = 0; i < members->n; i++) {
        uint64_t node_id = members->servers[i].id;
        status->members[i] = (struct replicator_member){
            .node_id = node_id, .role = role_from_raft(members->servers[i].role)};
        status->match[i] = group_match(group, node_id);
        status->last_contact_ms[i] = node_id == group->raft.id ? 0 : UINT64_MAX;
        for (unsigned j = 0; j < group->links_count && group->led_term != 0; j++)
            if (group->links[j]->peer->node_id == node_id)
                link_fill(group->links[j], status, i, now);
    }
}

/* For routing: one that takes no proposals is none. */
uint64_t group_serving_leader(const struct group *group)
{
    uint64_t leader = group_leader(group);
    bool serves = leader == group->raft.id ? group_serves(group) : !group->unserving;
    return serves ? leader : 0;
}

bool replicator_status(const struct replicator *replicator, uint32_t id,
                       struct replicator_status *status)
{
    const struct group *group = replicator_group(replicator, id);
    if (group == NULL)
        return false;
    *status = (struct replicator_status){
        .state = REPLICATOR_STOPPED,
        .term = group->raft.current_term,
        .leader = group_serving_leader(group),
        .first_index = group->log_first,
        .last_index = group->cache.next - 1,
        .last_term = group_term_of(group, group->cache.next - 1),
        .commit_index = group->raft.commit_index,
        .applied_index = group->applied,
        .single_site = group->single_site,
        .own = group->witness       ? REPLICATOR_STATELESS
               : group_whole(group) ? REPLICATOR_WHOLE
                                    : REPLICATOR_PARTIAL,
        .closing = group->closing.stage != CLOSING_NONE,
        .fetch_source = group->fetch.running ? group->fetch.source : 0,
    };
    if (group->started && !group->failed)
        status->state = group->raft.state == RAFT_LEADER      ? REPLICATOR_LEADER
                        : group->raft.state == RAFT_CANDIDATE ? REPLICATOR_CANDIDATE
                                                              : REPLICATOR_FOLLOWER;
    members_fill(group, status);
    return true;
}

uint64_t replicator_leader(const struct replicator *replicator, uint32_t id)
{
    const struct group *group = replicator_group(replicator, id);
    return group != NULL ? group_serving_leader(group) : 0;
}

uint64_t replicator_applied(const struct replicator *replicator, uint32_t id)
{
    const struct group *group = replicator_group(replicator, id);
    return group != NULL ? group->applied : 0;
}

unsigned replicator_groups(const struct replicator *replicator, uint32_t *groups, unsigned max)
{
    for (unsigned i = 0; i < replicator->groups_count && i < max; i++)
        groups[i] = replicator->groups[i]->id;
    return replicator->groups_count;
}
