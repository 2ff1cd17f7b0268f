/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Keeping the log short. The leader decides, because it alone knows what every member has on
 * disk: entries that any of them still lacks are kept, whatever they weigh, since there is no
 * other way yet to bring a member up to date. It tells the members where to cut with its
 * AppendEntries; each cuts there as soon as its own state is durable that far.
 */
#include "raft/internal.h"

enum { TRIM_ENTRIES_LEAST = 1024 };

/* Every member has what is below; 0 when nothing can be said. */
static uint64_t members_floor(const struct group *group)
{
    const struct raft_configuration *members = &group->raft.configuration;
    uint64_t floor = UINT64_MAX;
    for (unsigned i = 0; i < members->n; i++) {
        uint64_t match = members->servers[i].id == group->raft.id
                             ? group->raft.last_stored
                             : group_match(group, members->servers[i].id);
        if (members->servers[i].role != RAFT_SPARE && match < floor)
            floor = match;
    }
    return floor == UINT64_MAX ? 0 : floor + 1;
}

void trim_turn(struct group *group)
{
    struct entry_log *log = group->owner->config.log;
    uint64_t retain = group->owner->config.log_retain_bytes;
    uint64_t bytes = log->ops->bytes(log, group->id);
    uint64_t entries = group->raft.last_stored + 1 - group->log_first;
    if (retain == 0 || entries == 0 || bytes < retain + retain / 4)
        return;
    uint64_t target = group->log_first + (bytes - retain) / (bytes / entries + 1);
    uint64_t floor = members_floor(group);
    if (target > floor)
        target = floor;
    if (target > group->trim_allowed)
        group->trim_allowed = target;
}

static void changes_drop_before(struct group *group, uint64_t base)
{
    unsigned drop = 0;
    while (drop + 1 < group->changes_count && group->changes[drop + 1].index <= base)
        drop++;
    group->changes_count -= drop;
    memmove(group->changes, group->changes + drop,
            group->changes_count * sizeof(*group->changes));
}

void trim_follow(struct group *group)
{
    struct machine *machine = group->owner->config.machine;
    if (!group->started || group->failed || group->trim_allowed <= group->log_first ||
        group->write.trim_before != 0)
        return;
    uint64_t end = machine->ops->durable(machine, group->id) + 1;
    if (end > group->applied + 1)
        end = group->applied + 1;
    if (end > group->trim_allowed)
        end = group->trim_allowed;
    /* The newest entry on disk stays, and libraft knows the term of the one before it. */
    if (end > group->raft.last_stored)
        end = group->raft.last_stored;
    if (end <= group->log_first ||
        (end < group->trim_allowed && end < group->log_first + TRIM_ENTRIES_LEAST))
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
    cache_drop_before(&group->cache, end);
    group->owner->cache_bytes -= before - group->cache.bytes;
    changes_drop_before(group, end - 1);
}
