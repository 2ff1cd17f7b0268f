/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From the socket to the session. */
#include "node/base/check.h"
#include "node/base/log.h"
#include "node/runtime/conn_internal.h"

bool conn_may_feed(const struct conn *conn)
{
    return conn->session != NULL && !conn->ended && !conn->closing && !conn->tls_asked &&
           !conn_full(conn);
}

/* Offers until the session takes nothing more; returns how many bytes it took. */
static size_t feed(struct conn *conn, struct bytes bytes)
{
    struct bytes rest = bytes;

    conn->feeding = true;
    while (rest.len > 0 && conn_may_feed(conn)) {
        size_t used = conn->protocol->feed(conn->session, rest);
        CHECK(used <= rest.len);
        if (used == 0)
            break;
        rest = bytes_skip(rest, used);
    }
    conn->feeding = false;
    return bytes.len - rest.len;
}

/* After feed(): STARTTLS was asked for, and nothing may stand between it and the handshake. */
static void begin_asked_tls(struct conn *conn)
{
    if (!conn->tls_asked || conn->ended || conn->closing)
        return;
    conn->tls_asked = false;
    if (buffer_len(&conn->input) == 0) {
        conn_tls_begin(conn);
        return;
    }
    log_warn(NULL, "bytes behind STARTTLS, connection cut",
             LOG_FIELDS(LOG_U64("conn", conn->id), LOG_TEXT("peer", conn->peer)));
    conn_client_failed(conn, TLS_FAILURE_INJECTED, "");
    conn_end(conn);
}

void conn_hold_secrets(struct conn *conn, bool secret)
{
    conn->secret = secret;
    if (conn->ssl == NULL)
        return;
    if (secret)
        SSL_set_options(conn->ssl, SSL_OP_CLEANSE_PLAINTEXT);
    else
        SSL_clear_options(conn->ssl, SSL_OP_CLEANSE_PLAINTEXT);
}

static void keep(struct conn *conn, struct bytes bytes)
{
    if (conn->secret)
        buffer_add_secret(&conn->input, bytes);
    else
        buffer_add(&conn->input, bytes);
}

void conn_received(struct conn *conn, struct bytes bytes)
{
    if (buffer_len(&conn->input) > 0) {
        keep(conn, bytes);
        conn_offer(conn);
        return;
    }
    bytes = bytes_skip(bytes, feed(conn, bytes));
    if (!conn->closing && !conn->ended)
        keep(conn, bytes);
    begin_asked_tls(conn);
}

void conn_offer(struct conn *conn)
{
    bool secret = conn->secret; /* also of what ends that */
    size_t used = feed(conn, buffer_bytes(&conn->input));

    if (secret && used > 0)
        explicit_bzero(conn->input.memory + conn->input.start, used);
    if (conn->closing || conn->ended) {
        buffer_wipe(&conn->input);
        return;
    }
    buffer_drop(&conn->input, used);
    if (buffer_len(&conn->input) == 0)
        buffer_release(&conn->input);
    begin_asked_tls(conn);
}

void conn_at_end(struct conn *conn)
{
    conn->eof = true;
    if ((conn->session == NULL || conn->handshaking) && !conn->closing) {
        conn_end(conn); /* in the middle of a handshake */
        return;
    }
    if (conn->closing && conn->shut)
        conn_end(conn);
    else
        conn_mark(conn);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    struct conn *conn = (struct conn *)handle;
    (void)suggested;
    *buf = uv_buf_init((char *)conn->shared->scratch, sizeof(conn->shared->scratch));
}

static void on_read(uv_stream_t *stream, ssize_t len, const uv_buf_t *buf)
{
    struct conn *conn = (struct conn *)stream;

    (void)buf;
    if (len == UV_EOF) {
        uv_read_stop(stream);
        conn->reading = false;
        conn_at_end(conn);
    } else if (len < 0) {
        conn_end(conn);
    } else if (len > 0 && !conn->closing) {
        struct bytes bytes = {conn->shared->scratch, (size_t)len};
        if (!conn->handshaking && !conn->proxying)
            conn_wheel_set(conn, conn_now_ms(conn) + conn->idle_ms);
        if (conn->proxying)
            conn_proxy_received(conn, bytes);
        else if (conn->ssl != NULL)
            conn_tls_received(conn, bytes);
        else
            conn_received(conn, bytes);
        conn_update_reading(conn);
    }
}

/* While a connection is closing, what comes is read and thrown away: to close with bytes unread
 * would make the kernel reset the connection, and the last reply could be lost. */
void conn_update_reading(struct conn *conn)
{
    bool wanted = !conn->ended && !conn->eof &&
                  (conn->closing || (!conn_full(conn) && !conn->tls_more &&
                                     buffer_len(&conn->input) < conn->limits->input_max));

    if (wanted == conn->reading || conn->ended)
        return;
    conn->reading = wanted;
    if (wanted)
        CHECK(uv_read_start((uv_stream_t *)&conn->tcp, on_alloc, on_read) == 0);
    else
        uv_read_stop((uv_stream_t *)&conn->tcp);
}
