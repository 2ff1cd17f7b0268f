/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "smtp/policy/familiar.h"

#include <stdlib.h>

#include "node/base/check.h"

struct familiar {
    uint64_t seed;
    struct {
        struct address net;
        uint64_t until_ms;
    } at[FAMILIAR_MAX];
};

struct familiar *familiar_new(uint64_t seed)
{
    struct familiar *familiar = calloc(1, sizeof(*familiar));

    CHECK(familiar != NULL);
    familiar->seed = seed;
    return familiar;
}

void familiar_free(struct familiar **familiar)
{
    free(*familiar);
    *familiar = NULL;
}

struct address policy_net(const struct address *address, unsigned v4_bits)
{
    struct address net = *address;
    unsigned bits = address_is_v4(address) ? 96 + v4_bits : 64;

    for (unsigned bit = bits; bit < 128; bit++)
        net.bytes[bit / 8] &= (uint8_t) ~(0x80 >> bit % 8);
    return net;
}

static size_t place(const struct familiar *familiar, const struct address *net)
{
    uint64_t hash = familiar->seed ^ 0x9e3779b97f4a7c15u;

    for (size_t i = 0; i < sizeof(net->bytes); i++) {
        hash = (hash ^ net->bytes[i]) * 0xff51afd7ed558ccdu;
        hash ^= hash >> 32;
    }
    return hash % FAMILIAR_MAX;
}

void familiar_note(struct familiar *familiar, const struct address *address, uint64_t until_ms)
{
    struct address net = policy_net(address, 32);
    size_t at = place(familiar, &net);

    familiar->at[at].net = net;
    familiar->at[at].until_ms = until_ms;
}

bool familiar_knows(const struct familiar *familiar, const struct address *address,
                    uint64_t now_ms)
{
    struct address net = policy_net(address, 32);
    size_t at = place(familiar, &net);

    return familiar->at[at].until_ms > now_ms && address_equal(&familiar->at[at].net, &net);
}

bool policy_is_local(const struct address *address)
{
    static const char *const nets[] = {
        "127.0.0.0/8",    "10.0.0.0/8",    "172.16.0.0/12", "192.168.0.0/16",
        "169.254.0.0/16", "100.64.0.0/10", "0.0.0.0/8",     "224.0.0.0/3",
        "::/127",         "fc00::/7",      "fe80::/10",     "ff00::/8",
    };
    struct address_prefix net;

    for (size_t i = 0; i < sizeof(nets) / sizeof(nets[0]); i++)
        if (address_prefix_parse(bytes_of(nets[i]), &net) && address_in(address, &net))
            return true;
    return false;
}
