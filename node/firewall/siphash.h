/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NODE_FIREWALL_SIPHASH_H
#define NODE_FIREWALL_SIPHASH_H

#include "node/firewall/digest.h"

/* Inside the firewall. SipHash (Aumasson, Bernstein 2012): its state and its round. */
struct siphash {
    uint64_t v0, v1, v2, v3;
};

static inline uint64_t siphash_turn(uint64_t word, unsigned bits)
{
    return word << bits | word >> (64 - bits);
}

static inline void siphash_round(struct siphash *hash)
{
    hash->v0 += hash->v1;
    hash->v1 = siphash_turn(hash->v1, 13) ^ hash->v0;
    hash->v0 = siphash_turn(hash->v0, 32);
    hash->v2 += hash->v3;
    hash->v3 = siphash_turn(hash->v3, 16) ^ hash->v2;
    hash->v0 += hash->v3;
    hash->v3 = siphash_turn(hash->v3, 21) ^ hash->v0;
    hash->v2 += hash->v1;
    hash->v1 = siphash_turn(hash->v1, 17) ^ hash->v2;
    hash->v2 = siphash_turn(hash->v2, 32);
}

static inline struct siphash siphash_start(const struct firewall_key *key)
{
    return (struct siphash){
        key->first ^ 0x736f6d6570736575,
        key->second ^ 0x646f72616e646f6d,
        key->first ^ 0x6c7967656e657261,
        key->second ^ 0x7465646279746573,
    };
}

/* One round a word and three at the end: for tables, whose order an attacker must not foresee.
 */
static inline uint64_t siphash_words(const struct firewall_key *key, uint64_t first,
                                     uint64_t second, uint64_t third)
{
    struct siphash hash = siphash_start(key);
    const uint64_t words[] = {first, second, third};

    for (unsigned i = 0; i < 3; i++) {
        hash.v3 ^= words[i];
        siphash_round(&hash);
        hash.v0 ^= words[i];
    }
    hash.v2 ^= 0xFF;
    for (unsigned i = 0; i < 3; i++)
        siphash_round(&hash);
    return hash.v0 ^ hash.v1 ^ hash.v2 ^ hash.v3;
}

#endif
