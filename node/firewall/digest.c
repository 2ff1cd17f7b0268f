/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "node/firewall/digest.h"

#include "node/firewall/siphash.h"

static uint64_t word_of(const uint8_t *at, size_t len)
{
    uint64_t word = 0;

    for (size_t i = 0; i < len; i++)
        word |= (uint64_t)at[i] << (8 * i);
    return word;
}

static void add_word(struct siphash *hash, uint64_t word)
{
    hash->v3 ^= word;
    siphash_round(hash);
    siphash_round(hash);
    hash->v0 ^= word;
}

uint64_t firewall_digest(const struct firewall_key *key, struct bytes bytes)
{
    struct siphash hash = siphash_start(key);
    size_t whole = bytes.len / 8 * 8;

    for (size_t i = 0; i < whole; i += 8)
        add_word(&hash, word_of(bytes.at + i, 8));
    struct bytes rest = bytes_skip(bytes, whole);
    add_word(&hash, (uint64_t)bytes.len << 56 | word_of(rest.at, rest.len));
    hash.v2 ^= 0xFF;
    for (unsigned i = 0; i < 4; i++)
        siphash_round(&hash);
    return hash.v0 ^ hash.v1 ^ hash.v2 ^ hash.v3;
}

/* The two uses have keys of their own, so that a name and a secret that are equal do not show.
 */
static struct firewall_key key_for(const struct firewall_key *key, uint64_t use)
{
    return (struct firewall_key){key->first ^ use, key->second};
}

uint64_t firewall_account_digest(const struct firewall_key *key, struct bytes name)
{
    struct firewall_key own = key_for(key, 1);
    uint64_t digest = firewall_digest(&own, name);

    return digest != 0 ? digest : 1;
}

uint32_t firewall_secret_digest(const struct firewall_key *key, struct bytes secret)
{
    struct firewall_key own = key_for(key, 2);
    uint32_t digest = (uint32_t)firewall_digest(&own, secret) & FIREWALL_SECRET_MAX;

    return digest != 0 ? digest : 1;
}
