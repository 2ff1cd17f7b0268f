/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <sodium.h>

#include "node/base/check.h"
#include "smtp/policy/internal.h"

enum { GREYLIST_V4_BITS = 24 };

static void add(crypto_generichash_state *state, struct bytes text)
{
    const uint8_t len[2] = {(uint8_t)(text.len >> 8), (uint8_t)text.len};

    crypto_generichash_update(state, len, sizeof(len));
    crypto_generichash_update(state, text.at, text.len);
}

void greylist_key(const struct address *client, struct bytes sender_domain,
                  struct bytes recipient, uint8_t key[16])
{
    static const uint8_t purpose[] = "postraft greylist";
    struct address net = policy_net(client, GREYLIST_V4_BITS);
    crypto_generichash_state state;

    CHECK(crypto_generichash_init(&state, purpose, sizeof(purpose) - 1, 16) == 0);
    add(&state, bytes_from(net.bytes, sizeof(net.bytes)));
    add(&state, sender_domain);
    add(&state, recipient);
    crypto_generichash_final(&state, key, 16);
}
