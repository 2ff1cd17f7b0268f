/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMAP_SERVER_SERVER_H
#define IMAP_SERVER_SERVER_H

#include "imap/session/session.h"
#include "node/runtime/conn.h"
#include "node/runtime/loop.h"
#include "storage/client/firewall_link.h"

/*
 * What stands between connections, sessions and the store: moves bytes and calls, and knows
 * nothing of IMAP. One store connection and one Watch call serve all connections of a process.
 */
struct imap_server;

struct imap_server_config {
    const char *hostname;
    const char *store_url;
    uint64_t append_size_max;
    bool can_tls;                /* STARTTLS on connections in the clear */
    unsigned login_failures_max; /* log-ins of a connection that fail; not 0 */
    /* Of struct firewall_config; NULL: unknown. */
    uint32_t (*network_of)(void *context, const struct firewall_address *address);
    void *network_context;
};

/* Strings are borrowed and must outlive the server. */
MUST_CHECK enum err imap_server_new(struct loop *loop, const struct imap_server_config *config,
                                    struct imap_server **server);

/* For conn_listen(), with the server as its context. */
extern const struct conn_protocol imap_server_protocol;

/* Says BYE to everybody. `stopped` is called when all are gone: conn_limits.close_ms at the
 * latest. */
void imap_server_stop(struct imap_server *server, void (*stopped)(void *context),
                      void *context);

/* After its listeners and connections are closed. */
void imap_server_free(struct imap_server **server);

#endif
