/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef RAFT_CACHE_H
#define RAFT_CACHE_H

#include "raft/log.h"

/*
 * The newest entries of one group, contiguous, for the writer, the followers and the machine.
 * Each holds a reference on its memory. `bytes` is what they weigh, a head each included.
 */
struct cache {
    struct entry *ring;
    uint64_t room;  /* a power of two, or 0 */
    uint64_t first; /* index of the oldest entry held */
    uint64_t next;  /* index behind the newest */
    uint64_t bytes;
};

/* Empty; the next entry appended is `next`. */
void cache_init(struct cache *cache, uint64_t next);
void cache_fini(struct cache *cache);

/* Borrowed; NULL when it is not here. Valid until the next change. */
const struct entry *cache_get(const struct cache *cache, uint64_t index);

/* Drops `from` and what is behind it. */
void cache_truncate(struct cache *cache, uint64_t from);

/* Behind the newest; takes the entry's reference over. */
void cache_append(struct cache *cache, struct entry entry);

/* Drops the oldest, below `index`. */
void cache_drop_before(struct cache *cache, uint64_t index);

#endif
