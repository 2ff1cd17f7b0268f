/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <openssl/err.h>
#include <stdlib.h>

#include "node/base/check.h"
#include "node/runtime/tls.h"
#include "node/runtime/tls_pem.h"

/*
 * Forward secrecy and authenticated encryption first; CBC with ECDHE stays for the old mail
 * servers whose other choice would be the clear.
 */
static const char ciphers_tls12[] = "ECDHE+AESGCM:ECDHE+CHACHA20:ECDHE+AES:!aNULL:!eNULL";

struct tls_context {
    SSL_CTX *ssl;
};

SSL_CTX *tls_context_ssl(struct tls_context *context)
{
    return context->ssl;
}

/*
 * No session tickets and no session cache: a ticket would be worth something in one process of
 * one node only, and its key would have to be rotated.
 */
static void set_policy(SSL_CTX *ssl)
{
    CHECK(SSL_CTX_set_min_proto_version(ssl, TLS1_2_VERSION) == 1);
    CHECK(SSL_CTX_set_cipher_list(ssl, ciphers_tls12) == 1);
    CHECK(SSL_CTX_set_num_tickets(ssl, 0) == 1);
    SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_options(ssl, SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION |
                                 SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE |
                                 SSL_OP_PRIORITIZE_CHACHA);
    SSL_CTX_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                              SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_verify(ssl, SSL_VERIFY_NONE, NULL); /* clients log in, with a password */
}

static enum err ssl_new(struct bytes certificate_chain, struct bytes key, SSL_CTX **made)
{
    SSL_CTX *ssl = SSL_CTX_new(TLS_server_method());

    CHECK(ssl != NULL);
    set_policy(ssl);
    if (!tls_use_pair(ssl, certificate_chain, key)) {
        tls_log_error("certificate and key cannot be used");
        SSL_CTX_free(ssl);
        return ERR_MALFORMED;
    }
    *made = ssl;
    return ERR_OK;
}

enum err tls_context_new(struct bytes certificate_chain, struct bytes key,
                         struct tls_context **context)
{
    SSL_CTX *ssl = NULL;
    enum err err = ssl_new(certificate_chain, key, &ssl);

    *context = NULL;
    if (err != ERR_OK)
        return err;
    *context = calloc(1, sizeof(**context));
    CHECK(*context != NULL);
    (*context)->ssl = ssl;
    return ERR_OK;
}

enum err tls_context_replace(struct tls_context *context, struct bytes certificate_chain,
                             struct bytes key)
{
    SSL_CTX *ssl = NULL;
    enum err err = ssl_new(certificate_chain, key, &ssl);

    if (err != ERR_OK)
        return err;
    SSL_CTX_free(context->ssl); /* each connection holds a reference of its own */
    context->ssl = ssl;
    return ERR_OK;
}

void tls_context_free(struct tls_context **context)
{
    if (*context != NULL) {
        SSL_CTX_free((*context)->ssl);
        free(*context);
    }
    *context = NULL;
}
