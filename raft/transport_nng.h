/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef RAFT_TRANSPORT_NNG_H
#define RAFT_TRANSPORT_NNG_H

#include "node/runtime/tls.h"
#include "raft/transport.h"

/*
 * One pull socket listens, one push socket dials each peer, over mutual TLS 1.3. A frame's
 * sender is the node that its pipe's certificate names. nng's threads only queue and wake;
 * `wake` is called from them.
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
void transport_nng_peer_remove(struct transport_nng *transport, uint64_t node_id);

/* In the replicator's thread: hands what came to replicator_received() and
 * replicator_peer_up(). */
struct replicator;
void transport_nng_deliver(struct transport_nng *transport, struct replicator *replicator);

#endif
