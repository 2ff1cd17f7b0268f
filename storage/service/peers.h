/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_SERVICE_PEERS_H
#define STORAGE_SERVICE_PEERS_H

#include "storage/service/service.h"

/* What stores ask each other, over mutual TLS: propose to a leader, read from a replica, say
 * how the groups are. */
MUST_CHECK enum err peers_open(struct service *service);
void peers_close(struct service *service);

/* Asks replicas elsewhere what happened in the mailboxes that sessions here have open, a few
 * times a second. */
void peers_watch_start(struct service *service);
void peers_watch_stop(struct service *service);

#endif
