/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_SERVICE_SENDER_DOMAINS_H
#define STORAGE_SERVICE_SENDER_DOMAINS_H

#include "storage/service/service.h"

enum {
    SENDER_DOMAIN_SEEN_MS = 7 * 24 * 60 * 60 * 1000, /* how exact seen_ms is */
    SENDER_DOMAIN_OLD_MS = 24 * 60 * 60 * 1000, /* a verdict with findings, then it is old */
};
#define SENDER_DOMAIN_GOOD_MS ((uint64_t)30 * 24 * 60 * 60 * 1000) /* one without */

/*
 * What the cluster knows of a sender's domain, from this node's copy of the directory. One that
 * nobody knows is put down by a command; the asker whose command made the row checks it, and
 * brings what it found with a call of its own; the store adds whom the name looks like
 * (sender_domain_similar.h). A verdict is checked again when it is old: the asker is told so by
 * `first`, and its findings replace the old ones. ERR_LIMIT: the cluster has put down so many
 * today that this one is not, and its mail is to come in. A domain whose mail is here is good.
 */
void sender_domain_ask_call(struct service_call *call);

#endif
