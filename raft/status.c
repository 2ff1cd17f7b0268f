/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What others may know of a group. */
#include <stdlib.h>

#include "raft/internal.h"

/* Of so many members, behind each other. */
struct members_status {
    unsigned room;
    uint64_t *match;
    uint64_t *last_contact_ms;
    struct replicator_member *members;
    enum replicator_standing *standing;
};

static struct members_status *status_room(struct group *group, unsigned count)
{
    struct members_status *made = group->status;
    size_t each = 2 * sizeof(*made->match) + sizeof(*made->members) + sizeof(*made->standing);
    if (made != NULL && made->room >= count)
        return made;
    made = realloc(made, sizeof(*made) + count * each);
    CHECK(made != NULL);
    made->room = count;
    made->match = (void *)(made + 1);
    made->last_contact_ms = made->match + count;
    made->members = (void *)(made->last_contact_ms + count);
    made->standing = (void *)(made->members + count);
    group->status = made;
    return made;
}

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

static void link_fill(const struct link *link, struct replicator_status *status,
                      struct members_status *told, unsigned at, uint64_t now)
{
    if (link->contact_ms != 0)
        told->last_contact_ms[at] = now - link->contact_ms;
    if (link->known)
        told->standing[at] = standing_from_wire(link->standing);
    if (link->install != 0 &&
        (status->pinned_index == 0 || link->install + 1 < status->pinned_index))
        status->pinned_index = link->install + 1;
}

static void members_fill(struct group *group, struct replicator_status *status)
{
    const struct raft_configuration *members = &group->raft.configuration;
    struct members_status *told = status_room(group, members->n);
    uint64_t now = replicator_now(group->owner);
    status->member_count = members->n;
    status->members = told->members;
    status->match = told->match;
    status->last_contact_ms = told->last_contact_ms;
    status->standing = told->standing;
    for (unsigned i = 0; i < members->n; i++) {
        uint64_t node_id = members->servers[i].id;
        told->members[i] = (struct replicator_member){
            .node_id = node_id, .role = role_from_raft(members->servers[i].role)};
        told->match[i] = group_match(group, node_id);
        told->last_contact_ms[i] = node_id == group->raft.id ? 0 : UINT64_MAX;
        told->standing[i] = REPLICATOR_WHOLE;
        for (unsigned j = 0; j < group->links_count && group->led_term != 0; j++)
            if (group->links[j]->peer->node_id == node_id)
                link_fill(group->links[j], status, told, i, now);
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
    struct group *group = replicator_group(replicator, id);
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

bool replicator_own_role(const struct replicator *replicator, uint32_t id,
                         enum replicator_role *role)
{
    const struct group *group = replicator_group(replicator, id);
    for (unsigned i = 0; group != NULL && i < group->raft.configuration.n; i++)
        if (group->raft.configuration.servers[i].id == group->raft.id) {
            *role = role_from_raft(group->raft.configuration.servers[i].role);
            return true;
        }
    return false;
}

uint64_t replicator_leader(const struct replicator *replicator, uint32_t id)
{
    const struct group *group = replicator_group(replicator, id);
    return group != NULL ? group_serving_leader(group) : 0;
}

bool replicator_current(const struct replicator *replicator, uint32_t id)
{
    const struct group *group = replicator_group(replicator, id);
    return group != NULL && group_serving_leader(group) != 0 &&
           group->applied == group->raft.commit_index;
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
