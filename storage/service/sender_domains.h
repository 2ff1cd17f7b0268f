/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_SERVICE_SENDER_DOMAINS_H
#define STORAGE_SERVICE_SENDER_DOMAINS_H

#include "storage/service/service.h"

enum {
    SENDER_DOMAIN_SEEN_MS = 7 * 24 * 60 * 60 * 1000, /* how exact seen_ms is */
    SENDER_DOMAIN_OLD_MS = 24 * 60 * 60 * 1000, /* a bad verdict, then it is looked at again */
};

/*
 * What the cluster knows of a sender's domain, from this node's copy of the directory. One that
 * nobody knows is put down by a command; the asker whose command made the row checks it, and
 * brings a verdict with a call of its own. A verdict that is not good is checked again when it
 * is old: the asker is told so by `first`, and its verdict replaces the old one.
 */
void sender_domain_ask_call(struct service_call *call);

#endif
