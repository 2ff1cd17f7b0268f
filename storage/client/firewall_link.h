/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_CLIENT_FIREWALL_LINK_H
#define STORAGE_CLIENT_FIREWALL_LINK_H

#include "node/firewall/firewall.h"
#include "storage/client/client.h"

/*
 * The firewall of a front-end process, tied to its store: reads the directory's list and the
 * limits of rules, again whenever they change, and reports what clients do. As long as the
 * store cannot be asked, the list is the one that was last read.
 */
struct firewall_link;

enum {
    FIREWALL_LINK_REPORT_MS = 2000,
    FIREWALL_LINK_WAIT_MS = 60000, /* a question waits so long for a change */
    FIREWALL_LINK_AGAIN_MS = 2000, /* after one that failed */
    FIREWALL_LINK_BANS_MAX = 256,  /* bans whose lifting is noticed at once; of others what this
                                      process counted itself fades */
};

/* `network_of` as in struct firewall_config; NULL: unknown. */
struct firewall_link *
firewall_link_new(struct store_client *store,
                  uint32_t (*network_of)(void *context, const struct firewall_address *address),
                  void *context);
/* Before the store client. No connection may be open in the firewall. */
void firewall_link_free(struct firewall_link **link);

struct firewall *firewall_link_firewall(const struct firewall_link *link);
/* The cluster's key for digests of accounts and secrets; zero until it was read. */
const struct firewall_key *firewall_link_key(const struct firewall_link *link);
struct firewall_now firewall_link_now(void);

#endif
