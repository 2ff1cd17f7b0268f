/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NODE_RUNTIME_TLS_PEM_H
#define NODE_RUNTIME_TLS_PEM_H

#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "node/base/arena.h"
#include "node/base/bytes.h"
#include "node/base/err.h"

/*
 * PEM texts to OpenSSL objects and back, and certificates made from scratch. Inside this folder
 * only. What a reader returns is freed by the caller with the type's own function; NULL when
 * the text holds no such thing.
 */
X509 *tls_pem_certificate(struct bytes text);
EVP_PKEY *tls_pem_key(struct bytes text);
X509_REQ *tls_pem_request(struct bytes text);

struct bytes tls_certificate_pem(X509 *certificate, struct arena *arena);
struct bytes tls_key_pem(EVP_PKEY *key, struct arena *arena);

/* A new P-256 key pair. */
EVP_PKEY *tls_key_new(void);

/* All certificates of `chain`, the first as the context's own, and the key. False when they are
 * no matching pair. */
bool tls_use_pair(SSL_CTX *context, struct bytes chain, struct bytes key);

/* What a certificate says, besides its key. `names` is a value for subjectAltName, or NULL. */
struct tls_certificate_form {
    const char *organization; /* NULL: none */
    const char *common_name;
    const char *names;
    unsigned days;
    enum { TLS_FORM_AUTHORITY, TLS_FORM_NODE, TLS_FORM_SERVER } use;
};

/* A certificate for `key`, signed with `issuer_key`; `issuer` NULL makes it self-signed. */
X509 *tls_certificate_make(const struct tls_certificate_form *form, EVP_PKEY *key, X509 *issuer,
                           EVP_PKEY *issuer_key);

/* Logs the first error of this thread's OpenSSL queue under `event`, and empties the queue. */
void tls_log_error(const char *event);

/* For the connections of this folder. */
struct tls_context;
SSL_CTX *tls_context_ssl(struct tls_context *context);

/*
 * Who a verified certificate of a cluster names: "O=<cluster id>, CN=node-<id>". False when it
 * is no such certificate.
 */
enum { TLS_CLUSTER_ID_SIZE = 65 };
bool tls_certificate_identity(X509 *certificate, char cluster_id[TLS_CLUSTER_ID_SIZE],
                              uint64_t *node_id);

#endif
