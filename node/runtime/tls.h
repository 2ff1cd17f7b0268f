/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NODE_RUNTIME_TLS_H
#define NODE_RUNTIME_TLS_H

#include "node/base/arena.h"
#include "node/base/bytes.h"
#include "node/base/err.h"

/* What clients see: certificate and key of a listener. TLS 1.2 and newer; OpenSSL stays in this
 * folder. */
struct tls_context;

/* PEM texts. ERR_MALFORMED (with the reason logged) when they are no matching pair. */
MUST_CHECK enum err tls_context_new(struct bytes certificate_chain, struct bytes key,
                                    struct tls_context **context);
void tls_context_free(struct tls_context **context);
/* Other ones in the same place: connections that begin to speak TLS from now on get them, those
 * that are there go on. On an error all stays as it is. */
MUST_CHECK enum err tls_context_replace(struct tls_context *context,
                                        struct bytes certificate_chain, struct bytes key);

/*
 * The cluster's own authority, P-256 and TLS 1.3. A node's certificate names the cluster and
 * the node (subject "O=<cluster id>, CN=node-<id>", and the same as a DNS name
 * "node-<id>.<cluster id>.postraft"); whoever holds one is that node. All results are PEM texts
 * in `arena`.
 */
struct tls_credentials {
    struct bytes authority;   /* certificate */
    struct bytes certificate; /* this node's */
    struct bytes key;         /* this node's */
};

void tls_authority_new(const char *cluster_id, struct arena *arena, struct bytes *certificate,
                       struct bytes *key);
/* A key pair and a signing request for it (PKCS#10). */
void tls_request_new(struct arena *arena, struct bytes *key, struct bytes *request);
/* Signs a request as node `node_id` of the cluster. Only the public key is taken from the
 * request. */
MUST_CHECK enum err tls_request_sign(struct bytes authority, struct bytes authority_key,
                                     struct bytes request, const char *cluster_id,
                                     uint64_t node_id, struct arena *arena,
                                     struct bytes *certificate);
/* SHA-256 of the certificate in hexadecimal: what a join token pins. */
MUST_CHECK enum err tls_fingerprint(struct bytes certificate, char text[65]);
/* A self-signed certificate for mail clients, so that a fresh node speaks TLS before it has a
 * real one. */
void tls_self_signed(const char *hostname, struct arena *arena, struct bytes *certificate,
                     struct bytes *key);

#endif
