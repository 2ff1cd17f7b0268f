/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How many connections there are from one IPv4 address or one IPv6 /64: whoever has one address
 * of such a network has all of them. */
#include <stdlib.h>
#include <sys/random.h>

#include "node/base/check.h"
#include "node/runtime/conn_internal.h"

enum { BUCKETS = 4096 };

struct row {
    struct row *next;
    struct conn_network network;
    unsigned count;
};

struct conn_networks {
    uint64_t seed; /* so that nobody can choose networks that fall into one bucket */
    struct row *buckets[BUCKETS];
};

struct conn_networks *conn_networks_new(void)
{
    struct conn_networks *networks = calloc(1, sizeof(*networks));
    CHECK(networks != NULL);
    CHECK(getrandom(&networks->seed, sizeof(networks->seed), 0) == sizeof(networks->seed));
    return networks;
}

void conn_networks_free(struct conn_networks **networks)
{
    if (*networks == NULL)
        return;
    for (unsigned i = 0; i < BUCKETS; i++)
        CHECK((*networks)->buckets[i] == NULL);
    free(*networks);
    *networks = NULL;
}

struct conn_network conn_network_of(const struct address *address)
{
    struct conn_network network = {.is_v6 = !address_is_v4(address)};

    if (network.is_v6)
        memcpy(network.bytes, address->bytes, 8);
    else
        memcpy(network.bytes, address->bytes + 12, 4);
    return network;
}

static bool same(const struct conn_network *a, const struct conn_network *b)
{
    return a->is_v6 == b->is_v6 && memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

/* The link that leads to the network's row, or to the end of its bucket. */
static struct row **find(struct conn_networks *networks, const struct conn_network *network)
{
    uint64_t hash;

    memcpy(&hash, network->bytes, sizeof(hash));
    hash = (hash ^ networks->seed) * 0x9e3779b97f4a7c15u;
    hash = (hash ^ hash >> 32 ^ networks->seed >> 7) * 0xd6e8feb86659fd93u;
    struct row **link = &networks->buckets[(hash >> 40) % BUCKETS];
    while (*link != NULL && !same(&(*link)->network, network))
        link = &(*link)->next;
    return link;
}

bool conn_networks_enter(struct conn_networks *networks, const struct conn_network *network,
                         unsigned most)
{
    struct row **link = find(networks, network);

    if (most == 0)
        return false;
    if (*link == NULL) {
        *link = calloc(1, sizeof(**link));
        CHECK(*link != NULL);
        (*link)->network = *network;
    }
    if ((*link)->count >= most)
        return false;
    (*link)->count++;
    return true;
}

void conn_networks_leave(struct conn_networks *networks, const struct conn_network *network)
{
    struct row **link = find(networks, network);
    struct row *row = *link;

    CHECK(row != NULL && row->count > 0);
    if (--row->count == 0) {
        *link = row->next;
        free(row);
    }
}
