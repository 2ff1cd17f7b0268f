/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NODE_FIREWALL_DIGEST_H
#define NODE_FIREWALL_DIGEST_H

#include "node/base/bytes.h"

/*
 * Keyed short digests (SipHash-2-4). Accounts and tried secrets are known to the firewall by
 * these alone. The key is the cluster's, drawn at random once and kept in the directory, so
 * that all processes of all nodes mean the same; it must not leave the cluster.
 */
struct firewall_key {
    uint64_t first;
    uint64_t second;
};

uint64_t firewall_digest(const struct firewall_key *key, struct bytes bytes);

/* Of an account's canonical name (as the directory spells it, or what was tried, in lower
 * case). Never 0, which stands for no account. */
uint64_t firewall_account_digest(const struct firewall_key *key, struct bytes name);

/*
 * Of a secret that was tried: 1..FIREWALL_SECRET_MAX. 0 stands for a secret that was not seen
 * (SCRAM). Only 24 bits: enough to tell the few secrets of a forgetful client apart and to see
 * one that is tried everywhere, too few to find a password by.
 */
#define FIREWALL_SECRET_MAX 0xFFFFFFu
uint32_t firewall_secret_digest(const struct firewall_key *key, struct bytes secret);

#endif
