/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One TLS connection of nng: OpenSSL over a BIO that reads and writes through nng. */
#include <limits.h>
#include <openssl/err.h>

#include "node/base/check.h"
#include "node/base/log.h"
#include "node/runtime/log_pause.h"
#include "node/runtime/nng_tls_engine.h"

#define LOG_PAUSE_MS                                                                           \
    1000 /* a refused peer comes again and again; one line a second will do                    \
          */

/*
 * nng calls all of these with the connection's lock held, so nothing here is entered twice at
 * the same time for one connection.
 */
struct nng_tls_engine_conn {
    void *nng; /* what nng_tls_engine_send() and recv() take */
    const struct nng_tls_engine_config *config;
    SSL *ssl;
    bool failed;
};

static BIO_METHOD *method;

/*
 * nng 1.5 has no way to ask a pipe for its peer's certificate, but it asks the engine whether a
 * pipe is verified, in the caller's thread: what verified() finds is left here for the caller.
 */
static _Thread_local uint64_t found;

void nng_tls_found_clear(void)
{
    found = 0;
}

uint64_t nng_tls_found(void)
{
    return found;
}

static int bio_write(BIO *bio, const char *at, int len)
{
    struct nng_tls_engine_conn *conn = BIO_get_data(bio);
    size_t count = (size_t)len;

    BIO_clear_retry_flags(bio);
    int result = nng_tls_engine_send(conn->nng, (const uint8_t *)at, &count);
    if (result == 0)
        return (int)count;
    if (result == NNG_EAGAIN)
        BIO_set_retry_write(bio);
    return -1;
}

static int bio_read(BIO *bio, char *at, int len)
{
    struct nng_tls_engine_conn *conn = BIO_get_data(bio);
    size_t count = (size_t)len;

    BIO_clear_retry_flags(bio);
    int result = nng_tls_engine_recv(conn->nng, (uint8_t *)at, &count);
    if (result == 0)
        return (int)count;
    if (result == NNG_EAGAIN)
        BIO_set_retry_read(bio);
    return -1;
}

static long bio_control(BIO *bio, int command, long number, void *pointer)
{
    (void)bio;
    (void)number;
    (void)pointer;
    return command == BIO_CTRL_FLUSH;
}

static int bio_create(BIO *bio)
{
    BIO_set_init(bio, 1);
    return 1;
}

void nng_tls_conn_setup(void)
{
    method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "nng");
    CHECK(method != NULL);
    BIO_meth_set_write(method, bio_write);
    BIO_meth_set_read(method, bio_read);
    BIO_meth_set_ctrl(method, bio_control);
    BIO_meth_set_create(method, bio_create);
}

static int conn_init(nng_tls_engine_conn *conn, void *nng, nng_tls_engine_config *config)
{
    conn->nng = nng;
    conn->config = config;
    conn->ssl = SSL_new(config->ssl);
    BIO *bio = BIO_new(method);
    CHECK(conn->ssl != NULL && bio != NULL);
    BIO_set_data(bio, conn);
    SSL_set_bio(conn->ssl, bio, bio);
    if (config->server) {
        SSL_set_accept_state(conn->ssl);
        return 0;
    }
    SSL_set_connect_state(conn->ssl);
    if (config->server_name != NULL) {
        CHECK(SSL_set_tlsext_host_name(conn->ssl, config->server_name) == 1);
        CHECK(SSL_set1_host(conn->ssl, config->server_name) == 1);
    }
    return 0;
}

/* Also called for a connection whose init() never was. */
static void conn_fini(nng_tls_engine_conn *conn)
{
    SSL_free(conn->ssl);
    conn->ssl = NULL;
}

static void conn_close(nng_tls_engine_conn *conn)
{
    if (conn->ssl != NULL && !conn->failed && SSL_is_init_finished(conn->ssl))
        SSL_shutdown(conn->ssl);
    ERR_clear_error();
}

static void log_failure(const struct nng_tls_engine_conn *conn)
{
    static _Atomic uint64_t last_ms;
    char text[160] = "connection lost";
    unsigned long code = ERR_peek_error();

    if (!log_pause_over(&last_ms))
        return;
    if (code != 0)
        ERR_error_string_n(code, text, sizeof(text));
    long verify = SSL_get_verify_result(conn->ssl);
    log_warn(NULL, "peer connection refused",
             LOG_FIELDS(LOG_TEXT("side", conn->config->server ? "listener" : "dialer"),
                        LOG_TEXT("reason", text),
                        LOG_TEXT("certificate", X509_verify_cert_error_string(verify))));
}

static int failure_of(nng_tls_engine_conn *conn, int result)
{
    int error = SSL_get_error(conn->ssl, result);

    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE)
        return NNG_EAGAIN;
    if (error == SSL_ERROR_ZERO_RETURN)
        return NNG_ECLOSED;
    if (!conn->failed && ERR_peek_error() != 0)
        log_failure(conn);
    conn->failed = true;
    ERR_clear_error();
    return NNG_ECRYPTO;
}

static int conn_handshake(nng_tls_engine_conn *conn)
{
    ERR_clear_error();
    int result = SSL_do_handshake(conn->ssl);
    return result == 1 ? 0 : failure_of(conn, result);
}

static int conn_recv(nng_tls_engine_conn *conn, uint8_t *at, size_t *len)
{
    ERR_clear_error();
    int result = SSL_read(conn->ssl, at, *len > INT_MAX ? INT_MAX : (int)*len);
    if (result <= 0)
        return failure_of(conn, result);
    *len = (size_t)result;
    return 0;
}

static int conn_send(nng_tls_engine_conn *conn, const uint8_t *at, size_t *len)
{
    ERR_clear_error();
    int result = SSL_write(conn->ssl, at, *len > INT_MAX ? INT_MAX : (int)*len);
    if (result <= 0)
        return failure_of(conn, result);
    *len = (size_t)result;
    return 0;
}

static bool conn_verified(nng_tls_engine_conn *conn)
{
    char cluster_id[TLS_CLUSTER_ID_SIZE];
    uint64_t node_id;

    found = 0;
    if (conn->ssl == NULL || conn->failed || !SSL_is_init_finished(conn->ssl) ||
        SSL_get_verify_result(conn->ssl) != X509_V_OK)
        return false;
    X509 *certificate = SSL_get0_peer_certificate(conn->ssl);
    if (certificate == NULL || !tls_certificate_identity(certificate, cluster_id, &node_id))
        return false;
    if (conn->config->cluster_id[0] != '\0' &&
        strcmp(conn->config->cluster_id, cluster_id) != 0)
        return false;
    found = node_id;
    return true;
}

const nng_tls_engine_conn_ops nng_tls_conn_operations = {
    .size = sizeof(struct nng_tls_engine_conn),
    .init = conn_init,
    .fini = conn_fini,
    .close = conn_close,
    .handshake = conn_handshake,
    .recv = conn_recv,
    .send = conn_send,
    .verified = conn_verified,
};
