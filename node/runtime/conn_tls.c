/* SPDX-License-Identifier: GPL-2.0-or-later */
/* TLS between the socket and the session: OpenSSL reads from the bytes that have just come, and
 * writes into the connection's output. */
#include <openssl/err.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "node/base/check.h"
#include "node/base/log.h"
#include "node/runtime/conn_internal.h"
#include "node/runtime/tls_pem.h"

static BIO_METHOD *method;

static int bio_read(BIO *bio, char *at, int len)
{
    struct conn *conn = BIO_get_data(bio);
    size_t count = conn->window.len < (size_t)len ? conn->window.len : (size_t)len;

    BIO_clear_retry_flags(bio);
    if (count == 0) {
        BIO_set_retry_read(bio);
        return -1;
    }
    memcpy(at, conn->window.at, count);
    conn->window = bytes_skip(conn->window, count);
    return (int)count;
}

static int bio_write(BIO *bio, const char *at, int len)
{
    struct conn *conn = BIO_get_data(bio);

    BIO_clear_retry_flags(bio);
    buffer_add(&conn->output, bytes_from(at, (size_t)len));
    return len;
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

static void make_method(void)
{
    method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "conn");
    CHECK(method != NULL);
    BIO_meth_set_read(method, bio_read);
    BIO_meth_set_write(method, bio_write);
    BIO_meth_set_ctrl(method, bio_control);
    BIO_meth_set_create(method, bio_create);
}

/* The alert that says why goes out before the end. */
static void fail(struct conn *conn, const char *event)
{
    char reason[160] = "";
    unsigned long code = ERR_peek_error();

    if (code != 0)
        ERR_error_string_n(code, reason, sizeof(reason));
    conn_client_tls_refused(conn);
    ERR_clear_error();
    log_debug(NULL, event,
              LOG_FIELDS(LOG_U64("conn", conn->id), LOG_TEXT("peer", conn->peer),
                         LOG_TEXT("reason", reason)));
    conn->tls_ended = true;
    conn->handshaking = false;
    buffer_release(&conn->plain);
    conn_close(conn);
}

static void handshake(struct conn *conn)
{
    ERR_clear_error();
    int result = SSL_do_handshake(conn->ssl);

    conn_mark(conn);
    if (result != 1) {
        if (SSL_get_error(conn->ssl, result) != SSL_ERROR_WANT_READ)
            fail(conn, "TLS handshake failed");
        return;
    }
    char text[96];
    snprintf(text, sizeof(text), "%s %s", SSL_get_version(conn->ssl),
             SSL_get_cipher_name(conn->ssl));
    conn->tls_text = strdup(text);
    CHECK(conn->tls_text != NULL);
    conn->handshaking = false;
    conn_client_tls_done(conn);
    conn_wheel_set(conn, conn_now_ms(conn) + conn->idle_ms);
    if (conn->session == NULL)
        conn_open_session(conn);
    else
        conn->protocol->tls_started(conn->session);
}

void conn_tls_begin(struct conn *conn)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    CHECK(pthread_once(&once, make_method) == 0 && conn->ssl == NULL);
    conn->ssl = conn->client != NULL ? conn_client_take_ssl(conn->client)
                                     : SSL_new(tls_context_ssl(conn->listener->tls));
    BIO *bio = BIO_new(method);
    CHECK(conn->ssl != NULL && bio != NULL);
    BIO_set_data(bio, conn);
    SSL_set_bio(conn->ssl, bio, bio);
    conn_hold_secrets(conn, conn->secret);
    conn->handshaking = true;
    conn_wheel_set(conn, conn_now_ms(conn) + conn->limits->tls_handshake_ms);
    if (conn->client == NULL) {
        SSL_set_accept_state(conn->ssl);
    } else {
        SSL_set_connect_state(conn->ssl);
        handshake(conn); /* the client speaks first */
    }
}

/* Reads what SSL has, as far as the session takes it. */
static void decrypt(struct conn *conn)
{
    struct conn_shared *shared = conn->shared;

    conn->tls_more = false;
    while (!conn->ended && !conn->closing) {
        if (conn_full(conn) || buffer_len(&conn->input) >= conn->limits->input_max) {
            conn->tls_more = true;
            return;
        }
        ERR_clear_error();
        int result = SSL_read(conn->ssl, shared->plain, sizeof(shared->plain));
        if (result > 0) {
            bool secret = conn->secret; /* also of what ends that */
            conn_received(conn, bytes_from(shared->plain, (size_t)result));
            if (secret)
                explicit_bzero(shared->plain, (size_t)result);
            continue;
        }
        int error = SSL_get_error(conn->ssl, result);
        if (error == SSL_ERROR_ZERO_RETURN) {
            conn->window = bytes_from(NULL, 0); /* what follows in the clear is not looked at */
            conn_at_end(conn);
        } else if (error != SSL_ERROR_WANT_READ) {
            fail(conn, "TLS record refused");
        }
        return;
    }
}

void conn_tls_received(struct conn *conn, struct bytes bytes)
{
    struct buffer earlier = conn->cipher;

    buffer_init(&conn->cipher);
    if (buffer_len(&earlier) > 0) {
        buffer_add(&earlier, bytes);
        bytes = buffer_bytes(&earlier);
    }
    conn->window = bytes;
    if (conn->handshaking)
        handshake(conn);
    if (!conn->handshaking)
        decrypt(conn);
    if (!conn->ended && !conn->closing)
        buffer_add(&conn->cipher, conn->window);
    conn->window = bytes_from(NULL, 0);
    buffer_fini(&earlier);
    if (!conn->ended && buffer_len(&conn->output) > 0)
        conn_mark(conn);
}

bool conn_tls_encrypt(struct conn *conn)
{
    while (buffer_len(&conn->plain) > 0) {
        struct bytes bytes = buffer_bytes(&conn->plain);
        int len = bytes.len < CONN_PLAIN_SIZE ? (int)bytes.len : CONN_PLAIN_SIZE;
        ERR_clear_error();
        int result = SSL_write(conn->ssl, bytes.at, len);
        if (result <= 0) {
            ERR_clear_error();
            return false;
        }
        buffer_drop(&conn->plain, (size_t)result);
    }
    buffer_release(&conn->plain);
    return true;
}

void conn_tls_shutdown(struct conn *conn)
{
    if (!conn->tls_ended)
        SSL_shutdown(conn->ssl);
    conn->tls_ended = true;
    ERR_clear_error();
}
