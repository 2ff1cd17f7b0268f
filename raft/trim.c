/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Keeping the log short. The leader decides, because it alone knows what every member has on
 * disk. It keeps the group's share of log_retain_bytes for all. For a member that is behind it
 * keeps more, up to that of log_hold_bytes, or until that member has been silent for
 * log_hold_ms; whoever comes back later than that gets the state of another replica instead.
 * The leader tells the members where to cut with its AppendEntries; each cuts there as soon as
 * its own state is durable that far.
 */
#include <stdlib.h>

#include "raft/internal.h"

enum { TRIM_ENTRIES_LEAST = 1024, PIN_TIMEOUTS = 10 };

static const struct link *link_of(const struct group *group, uint64_t node_id)
{
    for (unsigned i = 0; i < group->links_count; i++)
        if (group->links[i]->peer->node_id == node_id)
            return group->links[i];
    return NULL;
}

/* Where to cut so that about `keep` bytes stay. */
static uint64_t cut_for(const struct group *group, uint64_t keep, uint64_t bytes)
{
    uint64_t entries = group->raft.last_stored + 1 - group->log_first;
    return bytes <= keep ? group->log_first
                         : group->log_first + (bytes - keep) / (bytes / entries + 1);
}

static bool silent(const struct group *group, const struct link *link, uint64_t now)
{
    uint64_t heard_ms = group->led_since_ms;
    if (link != NULL && link->contact_ms > heard_ms)
        heard_ms = link->contact_ms;
    return now - heard_ms > group->owner->config.log_hold_ms;
}

/*
 * The lowest entry that the members still need and are waited for. One whose next entry is gone
 * already needs the state, and nothing of the log before that.
 */
static uint64_t members_floor(const struct group *group, uint64_t now)
{
    const struct raft_configuration *members = &group->raft.configuration;
    uint64_t floor = group->raft.last_stored + 1;
    for (unsigned i = 0; i < members->n; i++) {
        uint64_t node_id = members->servers[i].id;
        const struct link *link = link_of(group, node_id);
        uint64_t next = group_match(group, node_id) + 1;
        if (node_id == group->raft.id || members->servers[i].role == RAFT_SPARE ||
            silent(group, link, now) || next < group->log_first)
            continue;
        if (next < floor)
            floor = next;
    }
    return floor;
}

/*
 * The state must not come to lie on this node alone by the log's being cut: of the other
 * voters whose state is whole, the most advanced keeps its way, whatever the bytes. A silent
 * one counts only while another member is fetching the state: until that one has it. As long as
 * none is known, and a new leader has not yet heard what one of them has, nothing is cut.
 */
static uint64_t second_whole(const struct group *group, uint64_t now)
{
    const struct raft_configuration *members = &group->raft.configuration;
    uint64_t best = 0;
    bool fetching = false;
    bool unclear = false;
    for (unsigned i = 0; i < members->n; i++) {
        const struct link *link = link_of(group, members->servers[i].id);
        fetching = fetching || (link != NULL && link->known && !silent(group, link, now) &&
                                (link->standing & WIRE_PARTIAL) != 0);
    }
    for (unsigned i = 0; i < members->n; i++) {
        uint64_t node_id = members->servers[i].id;
        const struct link *link = link_of(group, node_id);
        uint64_t next = group_match(group, node_id) + 1;
        bool lacks = link != NULL && link->known &&
                     (link->standing & (WIRE_PARTIAL | WIRE_STATELESS)) != 0;
        if (node_id == group->raft.id || members->servers[i].role != RAFT_VOTER || lacks ||
            (silent(group, link, now) && !fetching))
            continue;
        if (next == 1 && (link == NULL || link->install == 0))
            unclear = true;
        else if (next >= group->log_first && next > best)
            best = next;
    }
    if (best != 0)
        return best;
    return unclear ? group->log_first : UINT64_MAX;
}

/* A member that is told to begin behind an entry must find the next one here when it has. */
static uint64_t pinned_from(const struct group *group, uint64_t now)
{
    uint64_t pinned = UINT64_MAX;
    uint64_t patience = (uint64_t)PIN_TIMEOUTS * group->owner->config.election_timeout_ms;
    for (unsigned i = 0; i < group->links_count; i++) {
        const struct link *link = group->links[i];
        if (link->install != 0 && now - link->contact_ms <= patience &&
            link->install + 1 < pinned)
            pinned = link->install + 1;
    }
    return pinned;
}

void trim_turn(struct group *group)
{
    const struct replicator_config *config = &group->owner->config;
    struct entry_log *log = config->log;
    uint64_t now = replicator_now(group->owner);
    uint64_t retain = config->log_retain_bytes / group->owner->groups_count;
    uint64_t hold = config->log_hold_bytes / group->owner->groups_count;
    uint64_t bytes = log->ops->bytes(log, group->id);
    if (retain == 0 || group->raft.last_stored < group->log_first ||
        bytes < retain + retain / 4)
        return;
    uint64_t target = cut_for(group, retain, bytes);
    uint64_t floor = members_floor(group, now);
    uint64_t limit = cut_for(group, hold, bytes);
    uint64_t pinned = pinned_from(group, now);
    uint64_t second = second_whole(group, now);
    if (floor < limit)
        floor = limit;
    if (floor > second)
        floor = second;
    if (target > floor)
        target = floor;
    if (target > pinned)
        target = pinned;
    if (target > group->trim_allowed)
        group->trim_allowed = target;
}

/* The log has complained already. The members' logs are theirs. */
void trim_damaged(struct group *group, uint64_t index)
{
    if (index >= group->log_first && index < group->raft.last_stored &&
        group->cut_here <= index)
        group->cut_here = index + 1;
}

static uint64_t trim_to(const struct group *group)
{
    return group->cut_here > group->trim_allowed ? group->cut_here : group->trim_allowed;
}

static void changes_drop_before(struct group *group, uint64_t base)
{
    unsigned drop = 0;
    while (drop + 1 < group->changes_count && group->changes[drop + 1].index <= base)
        free(group->changes[drop++].payload);
    group->changes_count -= drop;
    memmove(group->changes, group->changes + drop,
            group->changes_count * sizeof(*group->changes));
}

void trim_follow(struct group *group)
{
    struct machine *machine = group->owner->config.machine;
    if (!group->started || group->failed || trim_to(group) <= group->log_first ||
        group->write.trim_before != 0 || fetch_waits(group))
        return;
    uint64_t end = group->raft.commit_index + 1;
    if (!group->witness && end > group->applied + 1)
        end = group->applied + 1;
    if (!group->witness && end > machine->ops->durable(machine, group->id) + 1)
        end = machine->ops->durable(machine, group->id) + 1;
    if (end > trim_to(group))
        end = trim_to(group);
    /* The newest entry on disk stays, and libraft knows the term of the one before it. */
    if (end > group->raft.last_stored)
        end = group->raft.last_stored;
    if (end <= group->log_first ||
        (end < trim_to(group) && end < group->log_first + TRIM_ENTRIES_LEAST))
        return;
    const struct change *change = group_change_at(group, end - 1);
    struct raft_event event = {.type = RAFT_SNAPSHOT};
    struct raft_snapshot_metadata *base = &event.snapshot.metadata;
    CHECK(change != NULL);
    base->index = end - 1;
    base->term = group_term_of(group, end - 1);
    base->configuration_index = change->index;
    struct membership membership;
    CHECK(base->term != 0 &&
          membership_decode(bytes_from(change->payload, change->size), &membership) == ERR_OK);
    raft_configuration_init(&base->configuration);
    for (unsigned i = 0; i < membership.count; i++) {
        char address[MEMBERSHIP_ADDRESS_SIZE];
        membership_address(membership.members[i].id, address);
        CHECK(raft_configuration_add(&base->configuration, membership.members[i].id, address,
                                     membership.members[i].role) == 0);
    }
    if (group_step(group, &event, NULL) != 0)
        return;
    uint64_t before = group->cache.bytes;
    group->log_first = end;
    group->write.trim_before = end;
    group_write_wanted(group);
    cache_drop_before(&group->cache, end);
    group->owner->cache_bytes -= before - group->cache.bytes;
    changes_drop_before(group, end - 1);
}
