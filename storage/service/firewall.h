/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_SERVICE_FIREWALL_H
#define STORAGE_SERVICE_FIREWALL_H

#include "node/firewall/tally.h"
#include "storage/service/service.h"

/*
 * The cluster's half of the firewall (node/firewall/tally.h). Front ends report what their
 * clients did; each store counts it, and passes it on to those who vote on the directory; who
 * leads it proposes bans. The list is the directory's; front ends read it here.
 */
struct firewalls;

enum {
    FIREWALLS_STEP_MS = 1000,
    FIREWALLS_WRITE_MS = 10000,
    FIREWALLS_BANS_MAX = 100, /* in one command; with their exempt addresses at most 1,000 */
    FIREWALLS_PAGE_MAX = 1000,
};

struct firewalls *firewalls_new(struct service *service);
/* After the databases' readers have ended. */
void firewalls_free(struct firewalls **firewall);

/* The key of digests (node/firewall/digest.h): the same on all nodes. */
struct firewall_key firewalls_key(struct service *service);

/* Of a front end of this node, or of another node. ERR_MALFORMED, ERR_TOOBIG, ... */
enum err firewalls_news(struct service *service, struct bytes batch, char **forgiven,
                        size_t forgiven_count);

/* A client of a front end was let in or refused: only then its report of it is believed. */
void firewalls_login(struct service *service, uint32_t connection, const char *peer, bool good);
/* What of a front end's batch is believed (firewall_shares.h), in `believed`. Errors as above.
 */
enum err firewalls_believe(struct service *service, uint32_t connection, struct bytes batch,
                           struct buffer *believed);
void firewalls_connection_closed(struct service *service, uint32_t connection);

/* Lines of words on an address: entries of the list, counters, credit. */
void firewalls_explain(struct firewalls *firewall, const struct firewall_address *address,
                       struct buffer *text);

/* front ends */
void firewall_read_call(struct service_call *call);
void firewall_report_call(struct service_call *call);
/* operators */
void firewall_put_call(struct service_call *call);
void firewall_remove_call(struct service_call *call);
void firewall_list_call(struct service_call *call);
void firewall_explain_call(struct service_call *call);

#endif
