/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A destination that was leased by another relay comes up again when its lease should be over.
 * Whether it is, no clock can tell that two machines share: it is when it has lain there
 * unchanged for the whole time of a lease by the clock of this one.
 */
#include <endian.h>
#include <stdlib.h>

#include "node/base/check.h"
#include "smtp/relay/internal.h"

struct watch {
    uint64_t id;
    uint32_t destination;
    uint32_t renewals;
    uint64_t lease;
    uint64_t since_ms;
    uint64_t looked_ms;
};

static uint64_t watch_hash(const struct relay_group *group, uint64_t id, uint32_t destination)
{
    const uint64_t key[2] = {htobe64(id), htobe64(destination)};

    return relay_hash(group->relay, bytes_from(key, sizeof(key)));
}

static void forget(struct relay_group *group, uint64_t hash)
{
    struct watch *watch = map_remove(&group->watches, hash);

    if (watch == NULL)
        return;
    free(watch);
    group->relay->watch_count--;
}

bool watch_is_over(struct relay_group *group, uint64_t id,
                   const Pr__QueueDestination *destination)
{
    uint64_t hash = watch_hash(group, id, destination->number);
    uint64_t now_ms = clock_monotonic_ms();
    struct watch *watch = map_get(&group->watches, hash);
    struct watch seen = {
        .id = id,
        .destination = destination->number,
        .renewals = destination->renewals,
        .lease = destination->lease,
        .since_ms = now_ms,
        .looked_ms = now_ms,
    };

    /* Of this node only one relay runs: one of it that is no job here is of one that died. */
    if (destination->lease == 0 || destination->node_id == group->relay->node_id) {
        forget(group, hash);
        return true;
    }
    if (watch == NULL) {
        if (group->relay->watch_count >= RELAY_WATCHES_MAX)
            return false;
        watch = malloc(sizeof(*watch));
        CHECK(watch != NULL);
        *watch = seen;
        map_put(&group->watches, hash, watch);
        group->relay->watch_count++;
        return false;
    }
    if (watch->id != id || watch->destination != destination->number ||
        watch->lease != destination->lease || watch->renewals != destination->renewals) {
        *watch = seen;
        return false;
    }
    watch->looked_ms = now_ms;
    return now_ms - watch->since_ms >= RELAY_LEASE_MS + RELAY_LEASE_MARGIN_MS;
}

void watches_sweep(struct relay_group *group)
{
    uint64_t now_ms = clock_monotonic_ms();
    size_t at = 0;
    uint64_t hash;
    void *watch;

    while (map_next(&group->watches, &at, &hash, &watch))
        if (now_ms - ((struct watch *)watch)->looked_ms > RELAY_WATCH_KEPT_MS)
            forget(group, hash);
}

void watches_free(struct relay_group *group)
{
    size_t at = 0;
    uint64_t hash;
    void *watch;

    while (map_next(&group->watches, &at, &hash, &watch))
        forget(group, hash);
    map_fini(&group->watches);
}
