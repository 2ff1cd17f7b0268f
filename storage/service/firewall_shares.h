/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_SERVICE_FIREWALL_SHARES_H
#define STORAGE_SERVICE_FIREWALL_SHARES_H

#include "node/firewall/batch.h"

/*
 * What of a front end's report is believed. It alone sees what clients do, so it is taken at
 * its word, but by each connection only for so many events of a kind in a time: one that was
 * taken over cannot have half the world banned. Log-ins are what the store has decided itself:
 * none is counted that it has not seen, from that address, through that connection.
 */
struct firewall_shares;

enum {
    FIREWALL_SHARES_LOGIN_MS = 60 * 1000, /* to twice as long a log-in may be told of late */
    FIREWALL_SHARES_LOGINS_MAX = 65536,   /* addresses of log-ins not told of, a connection */
};

struct firewall_shares *firewall_shares_new(void);
void firewall_shares_free(struct firewall_shares **shares);
void firewall_shares_connection_closed(struct firewall_shares *shares, uint32_t connection);

/* The store has let in, or refused, a client of that address. */
void firewall_shares_login(struct firewall_shares *shares, uint32_t connection,
                           const struct firewall_address *address, bool good, uint64_t now_ms);

/* Takes out what is not believed; returns how many events that were. */
uint64_t firewall_shares_take(struct firewall_shares *shares, uint32_t connection,
                              struct firewall_batch *batch, uint64_t now_ms);

#endif
