/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NODE_RUNTIME_NNG_TLS_ENGINE_H
#define NODE_RUNTIME_NNG_TLS_ENGINE_H

#include <nng/nng.h>
#include <nng/supplemental/tls/engine.h>
#include <openssl/ssl.h>

#include "node/runtime/tls_pem.h"

/*
 * The two halves of the engine: a configuration (nng_tls_config.c) is shared by the connections
 * (nng_tls_conn.c) of a listener or dialer and is not changed once the first of them exists.
 */
enum { NNG_TLS_PIN_LEN = 32 };

struct nng_tls_engine_config {
    SSL_CTX *ssl;
    bool server;
    char *server_name;                    /* what a dialer's peer must be called, or NULL */
    char cluster_id[TLS_CLUSTER_ID_SIZE]; /* of our own certificate, "" without one */
    bool pinned;
    uint8_t pin[NNG_TLS_PIN_LEN];
};

/* How nng_tls_pinned() hands its pin through nng's call for an authority's PEM text. */
#define NNG_TLS_PIN_PREFIX "sha256:"

extern const nng_tls_engine_config_ops nng_tls_config_operations;
extern const nng_tls_engine_conn_ops nng_tls_conn_operations;

/* Once, before the first connection. */
void nng_tls_conn_setup(void);

/* The node that the last verified() of this thread found, 0 if none. */
void nng_tls_found_clear(void);
uint64_t nng_tls_found(void);

#endif
