/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NODE_FIREWALL_WEIGHT_H
#define NODE_FIREWALL_WEIGHT_H

#include "node/firewall/table.h"

/* Inside the firewall: how heavy a failed log-in is, the same for both halves. */

/* A short digest of an account's, never 0. */
uint32_t weight_account_mark(uint64_t account);
/* Whether the account is one that gave the slot its credit. */
bool weight_is_known(const struct table_slot *slot, uint64_t account);
/* Puts it in front of the slot's known accounts. */
void weight_learn(struct table_slot *slot, uint64_t account);

/*
 * How many guesses `count` failures in a row with one secret are, for an address without
 * credit. A secret that was seen is told by its first time; one that was not seen (0) weighs
 * little when the account was tried from there before: a client that retries a minute makes
 * 1440 a day, and the rules must bear that, while thousands a day of somebody who guesses they
 * do not.
 */
float weight_of_guesses(struct seen *seen, const struct firewall_address *address,
                        uint64_t account, uint32_t secret, uint32_t count, uint32_t tick);

/* By credit. */
#define WEIGHT_KNOWN_ACCOUNT 0.1f
#define WEIGHT_CREDIT (1.0f / 3.0f)

#endif
