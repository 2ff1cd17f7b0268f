/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_UNIT_NODE_RUNTIME_LINES_H
#define TESTS_UNIT_NODE_RUNTIME_LINES_H

#include "tests/unit/node/runtime/until.h"

#include <arpa/inet.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "node/base/buffer.h"
#include "node/base/check.h"
#include "node/runtime/conn.h"

/*
 * The server speaks in lines. It takes one line a call; "HOLD" makes it take nothing more for a
 * while. The clients are threads with blocking sockets.
 */
struct server {
    struct loop *loop;
    struct conn_listener *listener;
    struct tls_context *tls;
    uint16_t port;
    bool implicit;
    unsigned opened, closed, idle, tls_started, writable;
    size_t fed_max;
    char last_tls[80];
    char last_peer[64];
    _Atomic bool client_done;
};

struct session {
    struct server *server;
    struct conn *conn;
    bool held;
    bool later_tls;
    size_t stream_left;
};

static inline void *on_open(void *context, struct conn *conn)
{
    struct server *server = context;
    struct session *session = calloc(1, sizeof(*session));
    CHECK(session != NULL);
    *session = (struct session){.server = server, .conn = conn};
    server->opened++;
    snprintf(server->last_peer, sizeof(server->last_peer), "%s", conn_peer_address(conn));
    conn_write(conn, BYTES("hello\n"));
    return session;
}

static inline void on_released(void *context)
{
    struct session *session = context;
    session->held = false;
    conn_resume(session->conn);
}

static inline void stream(struct session *session)
{
    static const char block[8192];
    while (session->stream_left > 0 && !conn_full(session->conn)) {
        size_t len =
            session->stream_left < sizeof(block) ? session->stream_left : sizeof(block);
        conn_write(session->conn, bytes_from(block, len));
        session->stream_left -= len;
    }
}

static inline void on_tls_later(void *context)
{
    struct session *session = context;
    enum err err = conn_start_tls(session->conn);
    if (err != ERR_OK)
        conn_write(session->conn, bytes_of(err_name(err)));
    session->held = false;
    conn_resume(session->conn);
}

static inline void write_binding(struct conn *conn, struct bytes kind)
{
    struct buffer binding = BUFFER_EMPTY, text = BUFFER_EMPTY;
    bool there = conn_channel_binding(conn,
                                      bytes_equal(kind, BYTES("exporter"))
                                          ? CONN_BINDING_TLS_EXPORTER
                                          : CONN_BINDING_TLS_SERVER_END_POINT,
                                      &binding);
    CHECK(there == (buffer_len(&binding) > 0));
    for (size_t i = 0; i < buffer_len(&binding); i++)
        buffer_printf(&text, "%02x", buffer_bytes(&binding).at[i]);
    buffer_add_string(&text, there ? "\n" : "-\n");
    conn_write(conn, buffer_bytes(&text));
    buffer_fini(&binding);
    buffer_fini(&text);
}

static inline void run_line(struct session *session, struct bytes line)
{
    struct conn *conn = session->conn;
    struct loop *loop = session->server->loop;
    if (bytes_start_nocase(line, BYTES("ECHO "))) {
        conn_write(conn, bytes_skip(line, 5));
        conn_write(conn, BYTES("\n"));
    } else if (bytes_equal(line, BYTES("QUIT"))) {
        conn_write(conn, BYTES("bye\n"));
        conn_close(conn);
        conn_write(conn, BYTES("never seen\n"));
    } else if (bytes_equal(line, BYTES("STARTTLS"))) {
        conn_write(conn, BYTES("go\n"));
        CHECK(conn_start_tls(conn) == ERR_OK);
    } else if (bytes_equal(line, BYTES("NOTLS"))) {
        conn_write(conn, bytes_of(err_name(conn_start_tls(conn))));
        conn_write(conn, BYTES("\n"));
    } else if (bytes_equal(line, BYTES("LATER"))) {
        loop_timer_start(loop, 50, 0, on_tls_later, session);
        session->held = true;
    } else if (bytes_equal(line, BYTES("HOLD"))) {
        session->held = true;
        loop_timer_start(loop, 50, 0, on_released, session);
    } else if (bytes_start_nocase(line, BYTES("STREAM "))) {
        uint64_t count;
        CHECK(bytes_to_u64(bytes_skip(line, 7), &count));
        session->stream_left = count;
        stream(session);
    } else if (bytes_start_nocase(line, BYTES("BIND "))) {
        write_binding(conn, bytes_skip(line, 5));
    } else if (bytes_equal(line, BYTES("PEER"))) {
        char text[160];
        int len = snprintf(text, sizeof(text), "%s %u %s\n", conn_peer_address(conn),
                           conn_peer_port(conn), conn_proxy_address(conn));
        conn_write(conn, bytes_from(text, (size_t)len));
    } else if (bytes_equal(line, BYTES("IDLE"))) {
        conn_set_idle(conn, 150);
    }
}

static inline size_t on_feed(void *context, struct bytes input)
{
    struct session *session = context;
    size_t len = bytes_find(input, '\n');
    if (input.len > session->server->fed_max)
        session->server->fed_max = input.len;
    if (session->held || len == input.len)
        return 0;
    run_line(session, bytes_from(input.at, len));
    return len + 1;
}

static inline void on_tls_started(void *context)
{
    struct session *session = context;
    session->server->tls_started++;
    CHECK(conn_has_tls(session->conn));
    snprintf(session->server->last_tls, sizeof(session->server->last_tls), "%s",
             conn_tls_text(session->conn));
}

static inline void on_idle(void *context)
{
    struct session *session = context;
    session->server->idle++;
    conn_write(session->conn, BYTES("too slow\n"));
    conn_close(session->conn);
}

static inline void on_writable(void *context)
{
    struct session *session = context;
    session->server->writable++;
    stream(session);
}

static inline void on_closed(void *context)
{
    struct session *session = context;
    session->server->closed++;
    free(session);
}

static const struct conn_protocol protocol = {on_open, on_feed,     on_tls_started,
                                              on_idle, on_writable, on_closed};

static inline int listen_on_any(uint16_t *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t len = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(fd, 128), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    *port = ntohs(address.sin_port);
    return fd;
}

static inline void server_start(struct server *server, bool implicit, struct conn_limits limits)
{
    struct arena arena;
    struct bytes certificate, key;
    *server = (struct server){.loop = loop_new(), .implicit = implicit};
    arena_init(&arena);
    tls_self_signed("localhost", &arena, &certificate, &key);
    assert_int_equal(tls_context_new(certificate, key, &server->tls), ERR_OK);
    arena_fini(&arena);
    int fd = listen_on_any(&server->port);
    server->listener = conn_listen(server->loop, fd, &protocol, server, server->tls, implicit,
                                   &limits, BYTES("full\n"));
}

static inline bool all_is_over(void *context)
{
    struct server *server = context;
    return atomic_load(&server->client_done) && server->closed == server->opened &&
           conn_count() == 0;
}

static inline void server_stop(struct server *server)
{
    conn_listener_close(&server->listener);
    loop_free(&server->loop);
    tls_context_free(&server->tls);
    assert_int_equal(server->closed, server->opened);
    assert_int_equal(conn_count(), 0);
}

/* A client's script runs in a thread of its own and returns NULL, or what went wrong. */
struct client {
    struct server *server;
    const char *(*script)(struct client *client);
    const char *problem;
    int fd;
    SSL *ssl;
    struct buffer seen;
};

static inline bool say(struct client *client, const char *text)
{
    size_t len = strlen(text);
    if (client->ssl != NULL)
        return SSL_write(client->ssl, text, (int)len) == (int)len;
    return send(client->fd, text, len, MSG_NOSIGNAL) == (ssize_t)len;
}

static inline ssize_t hear(struct client *client, void *at, size_t size)
{
    if (client->ssl != NULL)
        return SSL_read(client->ssl, at, (int)size);
    return recv(client->fd, at, size, 0);
}

/* Exactly this comes next. */
static inline bool want(struct client *client, const char *text)
{
    char got[256];
    size_t len = strlen(text), have = 0;
    while (have < len) {
        ssize_t part = hear(client, got + have, len - have);
        if (part <= 0)
            return false;
        have += (size_t)part;
    }
    return memcmp(got, text, len) == 0;
}

static inline bool want_end(struct client *client)
{
    char byte;
    ssize_t len = hear(client, &byte, 1);
    /* In TLS the end must be said, or somebody else may have cut the connection. */
    return len == 0 && (client->ssl == NULL ||
                        SSL_get_error(client->ssl, (int)len) == SSL_ERROR_ZERO_RETURN);
}

static inline bool client_tls(struct client *client)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    client->ssl = SSL_new(context);
    SSL_CTX_free(context);
    SSL_set_fd(client->ssl, client->fd);
    return SSL_connect(client->ssl) == 1;
}

static inline int dial(uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct timeval limit = {.tv_sec = 20};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    CHECK(connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0);
    return fd;
}

static inline void *client_main(void *context)
{
    struct client *client = context;
    client->fd = dial(client->server->port);
    if (client->server->implicit && !client_tls(client))
        client->problem = "handshake";
    if (client->problem == NULL)
        client->problem = client->script(client);
    SSL_free(client->ssl);
    close(client->fd);
    buffer_fini(&client->seen);
    atomic_store(&client->server->client_done, true);
    return NULL;
}

static inline void play_with(const char *(*script)(struct client *client), bool implicit,
                             struct conn_limits limits, struct server *server)
{
    struct client client = {.server = server, .script = script};
    pthread_t thread;
    server_start(server, implicit, limits);
    assert_int_equal(pthread_create(&thread, NULL, client_main, &client), 0);
    run_until(server->loop, all_is_over, server);
    pthread_join(thread, NULL);
    if (client.problem != NULL)
        fail_msg("client: %s", client.problem);
    server_stop(server);
}

static inline struct server play(const char *(*script)(struct client *client), bool implicit)
{
    struct server server;
    play_with(script, implicit, conn_limits_default, &server);
    return server;
}

#define EXPECT(condition)                                                                      \
    do {                                                                                       \
        if (!(condition))                                                                      \
            return #condition;                                                                 \
    } while (0)

#endif
