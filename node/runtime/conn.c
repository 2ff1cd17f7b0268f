/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "node/runtime/conn.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "node/base/check.h"
#include "node/runtime/conn_internal.h"
#include "node/runtime/metrics.h"

const struct conn_limits conn_limits_default = {
    .input_max = 64 * 1024,
    .output_high = 256 * 1024,
    .output_low = 64 * 1024,
    .output_max = 64 * 1024 * 1024,
    .idle_ms = 5 * 60 * 1000,
    .proxy_ms = 5 * 1000,
    .tls_handshake_ms = 20 * 1000,
    .close_ms = 5 * 1000,
    .connections_max = 20000,
    .connections_address_max = 50,
};

enum { KEEPALIVE_S = 300 }; /* a client that has vanished is noticed in the end */

static _Atomic unsigned open_count;
static _Atomic uint64_t last_id;

unsigned conn_count(void)
{
    return atomic_load(&open_count);
}

size_t conn_output_len(const struct conn *conn)
{
    return buffer_len(&conn->plain) + buffer_len(&conn->output) +
           (conn->writing != NULL
                ? uv_stream_get_write_queue_size((const uv_stream_t *)&conn->tcp)
                : 0);
}

void conn_mark(struct conn *conn)
{
    struct conn_shared *shared = conn->shared;

    if (conn->dirty || conn->ended)
        return;
    conn->dirty = true;
    conn->dirty_next = NULL;
    *shared->dirty_last = conn;
    shared->dirty_last = &conn->dirty_next;
    loop_wake(shared->loop);
}

static void tell_closed(struct conn *conn)
{
    void *session = conn->session;

    conn->session = NULL;
    if (session != NULL)
        conn->protocol->closed(session);
}

static void on_uv_closed(uv_handle_t *handle)
{
    struct conn *conn = (struct conn *)handle;

    tell_closed(conn);
    if (conn->listener != NULL)
        conn_listener_left(conn->listener, conn);
    conn_client_free(&conn->client);
    atomic_fetch_sub(&open_count, 1);
    metric_sub(METRIC_CONNECTIONS_OPEN, 1);
    SSL_free(conn->ssl);
    buffer_fini(&conn->cipher);
    buffer_wipe(&conn->input);
    buffer_fini(&conn->plain);
    buffer_fini(&conn->output);
    free(conn->tls_text);
    free(conn);
}

void conn_end(struct conn *conn)
{
    if (conn->ended)
        return;
    if (conn->handshaking && !conn->closing)
        conn_client_failed(conn, TLS_FAILURE_CUT, "");
    conn_wheel_remove(conn);
    conn->ended = true;
    conn->reading = false;
    *(conn->previous != NULL ? &conn->previous->next : &conn->shared->first) = conn->next;
    if (conn->next != NULL)
        conn->next->previous = conn->previous;
    if (!conn->dirty) /* else when the turn ends, which still looks at it */
        uv_close((uv_handle_t *)&conn->tcp, on_uv_closed);
}

/* What a turn's end brings for one connection. */
static void settle(struct conn *conn)
{
    conn->dirty = false;
    if (conn->ended) {
        uv_close((uv_handle_t *)&conn->tcp, on_uv_closed);
        return;
    }
    if (conn->closing)
        tell_closed(conn);
    conn_flush(conn);
    if (conn->ended || conn->closing) {
        conn_update_reading(conn);
        return;
    }
    bool drained = conn->was_full && conn_output_len(conn) <= conn->limits->output_low;
    if (drained) {
        conn->was_full = false;
        conn->protocol->writable(conn->session);
    }
    if (drained || conn->resumed) {
        conn->resumed = false;
        conn_offer(conn);
    }
    if (conn->tls_more && !conn->ended && !conn->closing)
        conn_tls_received(conn, bytes_from(NULL, 0));
    if (conn->eof && !conn->handshaking && !conn->tls_more && !conn->was_full &&
        buffer_len(&conn->input) == 0)
        conn_close(conn);
    conn_update_reading(conn);
}

static void on_turn(void *context)
{
    struct conn_shared *shared = context;
    struct conn *conn = shared->dirty;

    /* Who becomes dirty now has its turn next time. */
    shared->dirty = NULL;
    shared->dirty_last = &shared->dirty;
    while (conn != NULL) {
        struct conn *next = conn->dirty_next;
        settle(conn);
        conn = next;
    }
}

static void on_loop_free(void *context)
{
    struct conn_shared *shared = context;

    dial_cancel_all(shared);
    while (shared->first != NULL)
        conn_end(shared->first);
    while (shared->dirty != NULL)
        on_turn(shared);
    loop_timer_stop(&shared->ticker);
    loop_hook_remove(&shared->hook);
    free(shared);
}

struct conn_shared *conn_shared_of(struct loop *loop)
{
    struct conn_shared **place = loop_conns(loop);

    if (*place == NULL) {
        struct conn_shared *shared = calloc(1, sizeof(*shared));
        CHECK(shared != NULL);
        shared->loop = loop;
        shared->dirty_last = &shared->dirty;
        shared->hook = loop_on_turn(loop, on_turn, shared);
        conn_wheel_init(shared);
        loop_at_free(loop, on_loop_free, shared);
        *place = shared;
    }
    return *place;
}

void conn_name_peer(struct conn *conn, const struct address *address, uint16_t port)
{
    conn->local = address == NULL;
    conn->port = port;
    if (conn->local)
        return;
    conn->address = *address;
    conn->network = conn_network_of(address);
    address_text(address, conn->peer);
}

struct conn *conn_new(struct conn_shared *shared, const struct conn_protocol *protocol,
                      const struct conn_limits *limits, int fd)
{
    struct conn *conn = calloc(1, sizeof(*conn));

    CHECK(conn != NULL && uv_tcp_init(loop_uv(shared->loop), &conn->tcp) == 0);
    CHECK(uv_tcp_open(&conn->tcp, fd) == 0);
    uv_tcp_nodelay(&conn->tcp, 1); /* bytes are gathered here, not in the kernel */
    uv_tcp_keepalive(&conn->tcp, 1, KEEPALIVE_S);
    conn->shared = shared;
    conn->protocol = protocol;
    conn->limits = limits;
    conn->id = atomic_fetch_add(&last_id, 1) + 1;
    conn->idle_ms = limits->idle_ms;
    conn->next = shared->first;
    if (shared->first != NULL)
        shared->first->previous = conn;
    shared->first = conn;
    atomic_fetch_add(&open_count, 1);
    metric_add(METRIC_CONNECTIONS_OPEN, 1);
    conn_wheel_set(conn, conn_now_ms(conn) + conn->idle_ms);
    return conn;
}

void conn_open_session(struct conn *conn)
{
    void *server = conn->listener != NULL ? conn->listener->server : conn->client->context;

    conn->session = conn->protocol->open(server, conn);
    CHECK(conn->session != NULL);
}

void conn_write(struct conn *conn, struct bytes bytes)
{
    if (conn->closing || conn->ended || bytes.len == 0)
        return;
    buffer_add(conn->ssl != NULL || conn->tls_asked ? &conn->plain : &conn->output, bytes);
    if (conn_output_len(conn) > conn->limits->output_max) {
        conn_end(conn);
        return;
    }
    if (conn_full(conn))
        conn->was_full = true;
    conn_mark(conn);
}

bool conn_full(const struct conn *conn)
{
    return conn_output_len(conn) > conn->limits->output_high;
}

void conn_close(struct conn *conn)
{
    if (conn->closing || conn->ended)
        return;
    conn->closing = true;
    buffer_release(&conn->cipher);
    if (!conn->feeding)
        buffer_wipe(&conn->input);
    conn_wheel_set(conn, conn_now_ms(conn) + conn->limits->close_ms);
    conn_mark(conn);
}

void conn_resume(struct conn *conn)
{
    conn->resumed = true;
    conn_mark(conn);
}

enum err conn_start_tls(struct conn *conn)
{
    if (conn->listener == NULL || conn->listener->tls == NULL || conn->ssl != NULL)
        return ERR_UNSUPPORTED;
    if (conn->closing || conn->ended)
        return ERR_OK;
    if (conn->feeding) {
        conn->tls_asked = true;
        return ERR_OK;
    }
    if (buffer_len(&conn->input) > 0)
        return ERR_INVALID;
    conn_tls_begin(conn);
    return ERR_OK;
}

void conn_set_idle(struct conn *conn, uint64_t idle_ms)
{
    conn->idle_ms = idle_ms;
    if (!conn->closing && !conn->ended && !conn->handshaking)
        conn_wheel_set(conn, conn_now_ms(conn) + idle_ms);
}

bool conn_has_tls(const struct conn *conn)
{
    return conn->tls_text != NULL;
}

const char *conn_tls_text(const struct conn *conn)
{
    return conn->tls_text != NULL ? conn->tls_text : "";
}

const char *conn_peer_address(const struct conn *conn)
{
    return conn->peer;
}

const struct address *conn_peer(const struct conn *conn)
{
    return conn->local ? NULL : &conn->address;
}

const char *conn_proxy_address(const struct conn *conn)
{
    return conn->proxy;
}

unsigned conn_peer_port(const struct conn *conn)
{
    return conn->port;
}

bool conn_is_crowded(const struct conn *conn)
{
    return conn->crowded;
}

uint64_t conn_id(const struct conn *conn)
{
    return conn->id;
}

struct loop *conn_loop(const struct conn *conn)
{
    return conn->shared->loop;
}
