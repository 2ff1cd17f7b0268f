/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "raft/cache.h"

#include <stdlib.h>

#include "node/base/check.h"
#include "raft/frame.h"

enum { ENTRY_WEIGHT = 64, ROOM_LEAST = 64 };

static struct entry *slot(const struct cache *cache, uint64_t index)
{
    return &cache->ring[index & (cache->room - 1)];
}

void cache_init(struct cache *cache, uint64_t next)
{
    *cache = (struct cache){.first = next, .next = next};
}

void cache_fini(struct cache *cache)
{
    cache_drop_before(cache, cache->next);
    free(cache->ring);
    cache->ring = NULL;
    cache->room = 0;
}

const struct entry *cache_get(const struct cache *cache, uint64_t index)
{
    return index >= cache->first && index < cache->next ? slot(cache, index) : NULL;
}

static void forget(struct cache *cache, uint64_t index)
{
    struct entry *entry = slot(cache, index);
    cache->bytes -= entry->data.len + ENTRY_WEIGHT;
    frame_unref(entry->owner);
    *entry = (struct entry){0};
}

void cache_truncate(struct cache *cache, uint64_t from)
{
    CHECK(from <= cache->next);
    while (cache->next > from && cache->next > cache->first)
        forget(cache, --cache->next);
    if (cache->next > from) /* all that was held is gone, and more was asked for */
        cache->first = cache->next = from;
}

static void grow(struct cache *cache)
{
    uint64_t room = cache->room > 0 ? cache->room * 2 : ROOM_LEAST;
    struct entry *ring = calloc(room, sizeof(*ring));
    CHECK(ring != NULL);
    for (uint64_t i = cache->first; i < cache->next; i++)
        ring[i & (room - 1)] = *slot(cache, i);
    free(cache->ring);
    cache->ring = ring;
    cache->room = room;
}

void cache_append(struct cache *cache, struct entry entry)
{
    if (cache->next - cache->first == cache->room)
        grow(cache);
    *slot(cache, cache->next) = entry;
    cache->next++;
    cache->bytes += entry.data.len + ENTRY_WEIGHT;
}

void cache_drop_before(struct cache *cache, uint64_t index)
{
    while (cache->first < index && cache->first < cache->next)
        forget(cache, cache->first++);
}
