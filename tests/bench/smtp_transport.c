/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "bench/smtp_transport.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "node/base/check.h"

enum { READ_SIZE = 16 * 1024, WRITE_SIZE = 64 * 1024 };

SSL_CTX *smtp_transport_context(void)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());

    CHECK(context != NULL);
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE |
                                  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                  SSL_MODE_RELEASE_BUFFERS);
    return context;
}

bool smtp_transport_open(struct smtp_transport *transport, int epoll_fd, void *data,
                         const struct sockaddr *target, socklen_t len,
                         const struct sockaddr *source)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT, .data.ptr = data};
    int on = 1;

    *transport =
        (struct smtp_transport){.epoll_fd = epoll_fd, .data = data, .is_watching_write = true};
    transport->fd = socket(target->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    CHECK(transport->fd >= 0);
    setsockopt(transport->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    /* The port is chosen by connect(), so one address has room for many connections. */
    setsockopt(transport->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
    CHECK(source == NULL || bind(transport->fd, source, len) == 0);
    CHECK(epoll_ctl(epoll_fd, EPOLL_CTL_ADD, transport->fd, &event) == 0);
    return connect(transport->fd, target, len) == 0 || errno == EINPROGRESS;
}

bool smtp_transport_connected(const struct smtp_transport *transport)
{
    int problem = 0;
    socklen_t len = sizeof(problem);

    CHECK(getsockopt(transport->fd, SOL_SOCKET, SO_ERROR, &problem, &len) == 0);
    return problem == 0;
}

void smtp_transport_start_tls(struct smtp_transport *transport, SSL_CTX *context)
{
    transport->ssl = SSL_new(context);
    CHECK(transport->ssl != NULL);
    SSL_set_fd(transport->ssl, transport->fd);
    SSL_set_connect_state(transport->ssl);
    transport->is_shaking = true;
}

void smtp_transport_close(struct smtp_transport *transport)
{
    SSL_free(transport->ssl);
    transport->ssl = NULL;
    if (transport->fd >= 0)
        close(transport->fd);
    transport->fd = -1;
}

static void watch(struct smtp_transport *transport, bool write)
{
    struct epoll_event event = {
        .events = EPOLLIN | (write ? (uint32_t)EPOLLOUT : 0),
        .data.ptr = transport->data,
    };

    if (write == transport->is_watching_write)
        return;
    transport->is_watching_write = write;
    CHECK(epoll_ctl(transport->epoll_fd, EPOLL_CTL_MOD, transport->fd, &event) == 0);
}

/* What TLS wants before it goes on. False: the connection is broken. */
static bool settle(struct smtp_transport *transport, int result)
{
    int error = SSL_get_error(transport->ssl, result);

    if (error == SSL_ERROR_WANT_WRITE)
        transport->wants_write = true;
    return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE;
}

/* 1: done, 0: not yet, -1: broken. */
static int shake(struct smtp_transport *transport)
{
    if (transport->ssl == NULL || !transport->is_shaking)
        return 1;
    int result = SSL_do_handshake(transport->ssl);
    if (result != 1)
        return settle(transport, result) ? 0 : -1;
    transport->is_shaking = false;
    return 1;
}

/* Bytes moved, 0: it would block, -1: broken. */
static int write_some(struct smtp_transport *transport, struct bytes bytes)
{
    size_t len = bytes.len < WRITE_SIZE ? bytes.len : WRITE_SIZE;

    if (transport->ssl != NULL) {
        int result = SSL_write(transport->ssl, bytes.at, (int)len);
        return result > 0 ? result : settle(transport, result) ? 0 : -1;
    }
    ssize_t sent = send(transport->fd, bytes.at, bytes.len, MSG_NOSIGNAL);
    return sent >= 0 ? (int)sent : errno == EAGAIN ? 0 : -1;
}

bool smtp_transport_write(struct smtp_transport *transport, struct buffer *output)
{
    transport->wants_write = false;
    int state = shake(transport);
    while (state > 0 && buffer_len(output) > 0) {
        state = write_some(transport, buffer_bytes(output));
        if (state > 0)
            buffer_drop(output, (size_t)state);
    }
    if (state < 0)
        return false;
    bool blocked = transport->ssl != NULL ? transport->wants_write : buffer_len(output) > 0;
    watch(transport, blocked);
    return true;
}

int smtp_transport_read(struct smtp_transport *transport, struct buffer *input)
{
    int state = shake(transport);

    if (state <= 0)
        return state;
    uint8_t *room = buffer_reserve(input, READ_SIZE);
    if (transport->ssl == NULL) {
        ssize_t got = recv(transport->fd, room, READ_SIZE, 0);
        if (got <= 0)
            return got < 0 && errno == EAGAIN ? 0 : -1;
        state = (int)got;
    } else {
        state = SSL_read(transport->ssl, room, READ_SIZE);
        if (state <= 0)
            return settle(transport, state) ? 0 : -1;
    }
    buffer_added(input, (size_t)state);
    return state;
}
