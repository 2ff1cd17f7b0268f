/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef RAFT_TRANSPORT_NNG_H
#define RAFT_TRANSPORT_NNG_H

#include "node/runtime/tls.h"
#include "raft/transport.h"

/*
 * Links over nng's byte streams and mutual TLS 1.3 (transport_link.h): each node dials each of
 * its peers and sends over that connection; what it hears comes over those that the peers have
 * dialed. A frame's sender is the node that the connection's certificate names.
 *
 * A peer is up (replicator_peer_up()) from when our connection to it is open until that one or
 * the newest of its own ends, whichever is seen first; the end of a process is seen at once. It
 * is up again when either has been opened anew. Each change is told as down, then up: nothing
 * of the connection before is delivered after that. One that cannot be linked is dialed at
 * least four times a second, and at once when it has dialed us.
 *
 * All calls are for the replicator's thread.
 */
struct transport_nng;

struct transport_nng_config {
    uint64_t node_id;
    const char *cluster_id;
    const char *listen;                        /* "host:port" */
    const struct tls_credentials *credentials; /* borrowed until transport_nng_new() returns */
    void (*wake)(void *context); /* from any thread: call transport_nng_deliver() soon */
    void *context;
};

MUST_CHECK enum err transport_nng_new(const struct transport_nng_config *config,
                                      struct transport_nng **transport);
void transport_nng_free(struct transport_nng **transport);
struct transport *transport_nng_interface(struct transport_nng *transport);

/* Adds a peer, or moves it to another address. Idempotent. */
MUST_CHECK enum err transport_nng_peer(struct transport_nng *transport, uint64_t node_id,
                                       const char *address);
/* What it still sends is delivered. */
void transport_nng_peer_remove(struct transport_nng *transport, uint64_t node_id);

/* Hands what came to replicator_received() and replicator_peer_up(). Whoever does not call it
 * for long makes the peers wait. */
struct replicator;
void transport_nng_deliver(struct transport_nng *transport, struct replicator *replicator);

#endif
