/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_CLIENT_GUARD_H
#define STORAGE_CLIENT_GUARD_H

#include "storage/client/firewall_link.h"

/*
 * The firewall's view of one connection: what its client does is told here, and the verdict is
 * turned into what the engine says. Connections of programs of this machine (no address, or a
 * loopback one), and LMTP, are not watched.
 */
struct guard;

struct guard_config {
    struct firewall_link *link;
    struct loop *loop;
    const char *peer; /* numeric; "" : not watched */
    enum firewall_service service;
};

/* NULL: it is not watched; all calls accept that. */
struct guard *guard_new(const struct guard_config *config);
void guard_free(struct guard **guard);

/* The verdict on the connection itself. */
struct firewall_verdict guard_opened(const struct guard *guard);
/* Somebody who has shown who he is, or whom nobody watches: the last to be turned away when
 * there is no room for all. */
bool guard_knows(struct guard *guard);
/* An event, of which `count` happened. `account`: digest, or 0. */
struct firewall_verdict guard_tell(struct guard *guard, enum firewall_event event,
                                   uint64_t account, uint32_t secret);
/* Before a password costs anything: may this client try one now? Which account is not known
 * yet. Never DELAY: it is the answer that is held back. */
struct firewall_verdict guard_may_log_in(struct guard *guard);
/* The digest of an account's address, for guard_tell(). */
uint64_t guard_account(const struct guard *guard, struct bytes address);

/* Holds an answer back for delay_ms, then calls `done`, once; another one before that is
 * answered at once. */
void guard_delay(struct guard *guard, uint32_t delay_ms, void (*done)(void *context),
                 void *context);

#endif
