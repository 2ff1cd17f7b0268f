/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where entries come from: the cache, and below it the log. */
#include "raft/internal.h"

static unsigned entries_from_cache(const struct group *group, uint64_t first, unsigned count,
                                   size_t bytes_max, struct entry *entries)
{
    size_t bytes = 0;
    unsigned got = 0;
    while (got < count && (got == 0 || bytes < bytes_max)) {
        const struct entry *entry = cache_get(&group->cache, first + got);
        if (entry == NULL)
            break;
        entries[got] = *entry;
        if (entry->owner != NULL)
            frame_ref(entry->owner);
        bytes += entry->data.len + WIRE_ENTRY_HEAD_SIZE;
        got++;
    }
    return got;
}

unsigned group_entries(struct group *group, uint64_t first, unsigned count, size_t bytes_max,
                       struct entry *entries)
{
    struct entry_log *log = group->owner->config.log;
    if (first >= group->cache.first)
        return entries_from_cache(group, first, count, bytes_max, entries);
    if (first < group->log_first)
        return 0;
    /* What the cache has let go is on disk: it keeps what is not. */
    uint64_t below = group->cache.first - first;
    return log->ops->read(log, group->id, first, below < count ? (unsigned)below : count,
                          bytes_max, entries);
}

/* What may go: it is on disk, it is applied (if it is applied here at all), and no write under
 * way points at it. */
static uint64_t evictable_before(const struct group *group)
{
    uint64_t end = group_whole(group) ? group->applied + 1 : UINT64_MAX;
    if (end > group->raft.last_stored + 1)
        end = group->raft.last_stored + 1;
    if (group->write.from != 0 && end > group->write.from)
        end = group->write.from;
    if (group->flight.active && group->flight.from != 0 && end > group->flight.from)
        end = group->flight.from;
    return end;
}

void cache_evict(struct replicator *replicator)
{
    unsigned idle = 0;
    while (replicator->cache_bytes > replicator->config.cache_bytes_max &&
           idle < replicator->groups_count) {
        if (replicator->evict_cursor >= replicator->groups_count)
            replicator->evict_cursor = 0;
        struct group *group = replicator->groups[replicator->evict_cursor++];
        uint64_t before = group->cache.bytes;
        uint64_t end = evictable_before(group);
        if (end > group->cache.first + 64)
            end = group->cache.first + 64;
        cache_drop_before(&group->cache, end);
        replicator->cache_bytes -= before - group->cache.bytes;
        idle = before == group->cache.bytes ? idle + 1 : 0;
    }
}
