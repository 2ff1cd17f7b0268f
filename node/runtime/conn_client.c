/* SPDX-License-Identifier: GPL-2.0-or-later */
/* TLS on connections that were dialled: what was proven, and what went wrong. */
#include <openssl/err.h>
#include <openssl/sha.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>

#include "node/base/check.h"
#include "node/runtime/conn_internal.h"
#include "node/runtime/dial.h"
#include "node/runtime/tls_expect.h"

_Static_assert(TLS_KEY_DIGEST_SIZE == SHA256_DIGEST_LENGTH, "SHA-256");

void conn_client_failed(struct conn *conn, enum tls_failure failure, const char *reason)
{
    struct conn_client *client = conn->client;

    if (client == NULL || client->failure != TLS_FAILURE_NONE)
        return;
    client->failure = failure;
    snprintf(client->reason, sizeof(client->reason), "%s", reason);
}

static void unproven(struct conn *conn, long verify_result)
{
    conn_client_failed(conn, tls_expect_failure(verify_result),
                       X509_verify_cert_error_string(verify_result));
}

/* The last error is what ended it. Before it stand those of signatures that were tried with
 * the bare keys of TLSA records. */
void conn_client_tls_refused(struct conn *conn)
{
    unsigned long code = ERR_peek_last_error();
    const char *reason = ERR_reason_error_string(code);

    if (conn->client == NULL)
        return;
    if (ERR_GET_LIB(code) == ERR_LIB_SSL &&
        ERR_GET_REASON(code) == SSL_R_CERTIFICATE_VERIFY_FAILED)
        unproven(conn, SSL_get_verify_result(conn->ssl));
    else
        conn_client_failed(conn, TLS_FAILURE_PROTOCOL, reason != NULL ? reason : "");
}

void conn_client_tls_done(struct conn *conn)
{
    struct conn_client *client = conn->client;

    if (client == NULL || client->rule == TLS_RULE_NONE)
        return;
    long result = SSL_get_verify_result(conn->ssl);
    if (result != X509_V_OK) {
        unproven(conn, result);
        return;
    }
    CHECK(SSL_get0_peer_certificate(conn->ssl) != NULL);
    client->verified = client->rule == TLS_RULE_DANE ? TLS_VERIFIED_DANE : TLS_VERIFIED_WEB;
    CHECK(client->rule != TLS_RULE_DANE || SSL_get0_dane_authority(conn->ssl, NULL, NULL) >= 0);
}

SSL *conn_client_take_ssl(struct conn_client *client)
{
    SSL *ssl = client->asked;

    client->asked = NULL;
    return ssl;
}

void conn_client_free(struct conn_client **client)
{
    if (*client != NULL)
        SSL_free((*client)->asked);
    free(*client);
    *client = NULL;
}

enum err conn_start_tls_client(struct conn *conn, struct tls_client *client,
                               const struct tls_expect *expect)
{
    if (conn->client == NULL || conn->ssl != NULL || conn->tls_asked)
        return ERR_UNSUPPORTED;
    if (conn->closing || conn->ended)
        return ERR_OK;
    if (!conn->feeding && buffer_len(&conn->input) > 0)
        return ERR_INVALID;
    enum err err = tls_expect_ssl(client, expect, &conn->client->asked);
    if (err != ERR_OK)
        return err;
    conn->client->rule = expect->rule;
    if (conn->feeding)
        conn->tls_asked = true;
    else
        conn_tls_begin(conn);
    return ERR_OK;
}

enum tls_verified conn_tls_verified(const struct conn *conn)
{
    return conn->client != NULL ? conn->client->verified : TLS_VERIFIED_NOTHING;
}

enum tls_failure conn_tls_failure(const struct conn *conn, const char **reason)
{
    if (reason != NULL)
        *reason = conn->client != NULL ? conn->client->reason : "";
    return conn->client != NULL ? conn->client->failure : TLS_FAILURE_NONE;
}

bool conn_tls_peer_key(const struct conn *conn, uint8_t digest[TLS_KEY_DIGEST_SIZE])
{
    X509 *certificate = conn_has_tls(conn) ? SSL_get0_peer_certificate(conn->ssl) : NULL;
    uint8_t *key = NULL;
    int len =
        certificate != NULL ? i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &key) : 0;

    if (len > 0)
        CHECK(SHA256(key, (size_t)len, digest) != NULL);
    OPENSSL_free(key);
    return len > 0;
}
