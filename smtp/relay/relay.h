/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SMTP_RELAY_RELAY_H
#define SMTP_RELAY_RELAY_H

#include "node/runtime/dns.h"
#include "node/runtime/tls_client.h"
#include "smtp/egress/classify.h"
#include "smtp/relay/retry.h"
#include "smtp/relay/route.h"
#include "storage/client/client.h"

/*
 * Mail to other hosts: takes what is due from the queues of the mail groups that this node
 * leads, and sends it. Keeps nothing: what it has begun is leased in the log, what became of it
 * is reported into the log, and a relay that dies is followed by another one.
 */
struct relay;

enum { RELAY_SOURCES_MAX = 64 };

struct relay_config {
    struct loop *loop;
    struct store_client *store;
    struct tls_client *tls;
    struct routes_config routes;   /* its loop and seed are not looked at */
    const char *hostname;          /* that is said behind EHLO, and in notices */
    const struct address *sources; /* own addresses to send from; none: as the system chooses */
    unsigned source_count;
    bool v4_first;
    unsigned connections_max;      /* of the process */
    unsigned site_connections_max; /* to the hosts of one route */
    unsigned messages_max;         /* of one connection */
    const struct retry_config *retry;
    struct classify_rules *rules; /* of replies; what they say is logged */
};

/* What `config` points at is borrowed. */
struct relay *relay_new(const struct relay_config *config);
/* Takes nothing new, gives back what was not begun, ends what was; then `stopped` is called, or
 * after a few seconds. */
void relay_stop(struct relay *relay, void (*stopped)(void *context), void *context);
void relay_free(struct relay **relay);

#endif
