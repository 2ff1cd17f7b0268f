/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Connections that a proxy passes on: who is the client is said in front of all else. */
#include "node/base/check.h"
#include "node/base/log.h"
#include "node/runtime/conn_internal.h"
#include "node/runtime/log_pause.h"
#include "node/runtime/metrics.h"
#include "node/runtime/proxy_header.h"

void conn_proxy_begin(struct conn *conn)
{
    conn->proxying = true;
    conn_wheel_set(conn, conn_now_ms(conn) + conn->limits->proxy_ms);
}

/* To go on would be to take the proxy for the client. */
static void cut(struct conn *conn)
{
    static _Atomic uint64_t logged_ms;

    metric_add(METRIC_PROXY_HEADERS_REFUSED, 1);
    if (log_pause_over(&logged_ms))
        log_warn(NULL, "no PROXY header from a proxy, connection cut",
                 LOG_FIELDS(LOG_U64("conn", conn->id), LOG_TEXT("proxy", conn->peer)));
    conn_end(conn);
}

static void name_client(struct conn *conn, const struct proxy_header *header)
{
    memcpy(conn->proxy, conn->peer, sizeof(conn->proxy));
    conn_name_peer(conn, &header->client, header->client_port);
}

/* What stands behind the header, as if it had just come. */
static void pass_on(struct conn *conn, struct bytes bytes)
{
    if (bytes.len == 0 || conn->closing || conn->ended)
        return;
    if (conn->ssl != NULL)
        conn_tls_received(conn, bytes);
    else
        conn_received(conn, bytes);
}

void conn_proxy_received(struct conn *conn, struct bytes bytes)
{
    struct buffer whole = conn->input;
    struct proxy_header header;

    buffer_init(&conn->input);
    buffer_add(&whole, bytes);
    enum proxy_outcome outcome = proxy_header_parse(buffer_bytes(&whole), &header);
    if (outcome == PROXY_MORE) {
        conn->input = whole;
        return;
    }
    if (outcome == PROXY_MALFORMED) {
        cut(conn);
    } else {
        if (outcome == PROXY_CLIENT)
            name_client(conn, &header);
        conn->proxying = false;
        conn_wheel_set(conn, conn_now_ms(conn) + conn->idle_ms);
        conn_listener_admit(conn);
        pass_on(conn, bytes_skip(buffer_bytes(&whole), header.len));
    }
    buffer_fini(&whole);
}
