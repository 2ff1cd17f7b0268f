/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SMTP_RECEIVE_RECEIVE_H
#define SMTP_RECEIVE_RECEIVE_H

#include "node/runtime/config.h"
#include "node/runtime/loop.h"
#include "node/runtime/memory_budget.h"
#include "node/runtime/tls.h"
#include "smtp/policy/policy.h"
#include "smtp/protocol/session.h"
#include "storage/client/client.h"
#include "storage/client/firewall_link.h"

/*
 * Mail from the world: what stands between client connections (node/runtime/conn.h), the
 * session engine (smtp/protocol/session.h) and the store. It holds nothing that matters:
 * killing it loses no message that was acknowledged.
 */
struct receive;

/* Every time limit; receive_times_default is what the program uses. */
struct receive_times {
    uint64_t idle_ms;       /* a client that sends nothing (RFC 5321 section 4.5.3.2.7) */
    uint64_t command_ms;    /* from one reply to the next complete command */
    uint64_t data_grace_ms; /* for a message, and on top of it a second for each */
    uint64_t data_rate_min; /* bytes */
    uint64_t sweep_ms;      /* how often command_ms and the data rate are looked at */
    unsigned lookup_ms;     /* a recipient in the directory */
    unsigned login_ms;      /* a step of a log-in: hashes wait for one another */
    unsigned upload_ms;     /* a block of a large message on its way to the store */
    /*
     * From the final dot until the store must have answered. Long enough for an election, far
     * shorter than the ten minutes that a client waits (RFC 5321 section 4.5.3.2.6).
     */
    unsigned commit_ms;
    uint64_t stop_ms; /* for messages under way when the service ends */
};
extern const struct receive_times receive_times_default;

struct receive_config {
    struct loop *loop;
    struct store_client *store;
    struct tls_context *tls; /* NULL: STARTTLS is not offered */
    const char *hostname;
    uint64_t message_bytes_max;
    unsigned recipients_max;
    unsigned submission_recipients_max;
    unsigned auth_failures_max;
    const struct config_prefixes *proxy_networks;   /* NULL: none */
    const struct config_prefixes *xclient_networks; /* likewise */
    struct memory_budget *memory;                   /* NULL: no limit */
    struct firewall_link *firewall;                 /* NULL: none */
    struct policy *policy;                          /* of mail from the world; NULL: none */
    unsigned connections_max;
    unsigned connections_address_max;
    unsigned messages_max; /* at a time; what they hold: smtp/receive/room.h */
    const struct receive_times *times;
};

/* All that `config` points to must outlive the receiver; the struct itself is copied. */
struct receive *receive_new(const struct receive_config *config);

/* Accepts on a bound and listening socket, which it owns from here on. `implicit`: TLS from the
 * start. */
void receive_listen(struct receive *receive, int fd, enum smtp_service service, bool implicit);

/*
 * Takes no more connections, tells those that are idle 421, and lets messages under way finish
 * within times.stop_ms. `stopped` is called once, when nothing is left.
 */
void receive_stop(struct receive *receive, void (*stopped)(void *context), void *context);

/* After `stopped`, or when the loop runs no more and no connection is left. */
void receive_free(struct receive **receive);

#endif
