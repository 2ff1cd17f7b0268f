/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdlib.h>

#include "node/base/check.h"
#include "smtp/relay/internal.h"

struct broken_tls {
    struct address address;
    uint64_t until_ms;
};

static struct broken_tls *find(const struct relay *relay, const struct address *address)
{
    return map_get(&relay->broken_tls,
                   relay_hash(relay, bytes_from(address->bytes, sizeof(address->bytes))));
}

bool tls_is_broken(struct relay *relay, const struct address *address)
{
    const struct broken_tls *broken = find(relay, address);

    return broken != NULL && address_equal(&broken->address, address) &&
           clock_monotonic_ms() < broken->until_ms;
}

void tls_broke(struct relay *relay, const struct address *address)
{
    struct broken_tls *broken = find(relay, address);

    if (broken == NULL) {
        if (relay->broken_tls.count >= RELAY_BROKEN_TLS_MAX)
            return;
        broken = malloc(sizeof(*broken));
        CHECK(broken != NULL);
        map_put(&relay->broken_tls,
                relay_hash(relay, bytes_from(address->bytes, sizeof(address->bytes))), broken);
    }
    broken->address = *address;
    broken->until_ms = clock_monotonic_ms() + RELAY_BROKEN_TLS_MS;
}

static void forget(struct relay *relay, uint64_t before_ms)
{
    size_t at = 0;
    uint64_t hash;
    void *broken;

    while (map_next(&relay->broken_tls, &at, &hash, &broken)) {
        if (((struct broken_tls *)broken)->until_ms > before_ms)
            continue;
        map_remove(&relay->broken_tls, hash);
        free(broken);
    }
}

void tls_memory_sweep(struct relay *relay)
{
    forget(relay, clock_monotonic_ms());
}

void tls_memory_free(struct relay *relay)
{
    forget(relay, UINT64_MAX);
    map_fini(&relay->broken_tls);
}
