/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "node/base/check.h"
#include "node/base/log.h"
#include "node/runtime/conn_internal.h"
#include "node/runtime/log_pause.h"
#include "node/runtime/metrics.h"

enum {
    ACCEPTS_A_TURN = 64,    /* then the connections that there are have their turn */
    PAUSE_MS = 100,         /* when the machine has no descriptors left */
    DESCRIPTORS_KEPT = 384, /* 272 of them for questions to name servers */
    CROWD_MIN = 10,         /* fewer places have no last tenth */
};

static void count_refusal(const struct conn_listener *listener)
{
    static _Atomic uint64_t logged_ms;

    metric_add(METRIC_CONNECTIONS_REFUSED, 1);
    if (log_pause_over(&logged_ms))
        log_warn(NULL, "connection refused, too many",
                 LOG_FIELDS(LOG_U64("open", listener->connections)));
}

static void send_refusal(const struct conn_listener *listener, int fd)
{
    if (listener->implicit || listener->refusal.len == 0)
        return;
    ssize_t sent =
        send(fd, listener->refusal.at, listener->refusal.len, MSG_NOSIGNAL | MSG_DONTWAIT);
    (void)sent; /* a courtesy */
    shutdown(fd, SHUT_WR);
}

static void refuse(struct conn_listener *listener, int fd)
{
    count_refusal(listener);
    send_refusal(listener, fd);
    close(fd);
}

static void on_acceptable(void *context);

static void on_pause_over(void *context)
{
    struct conn_listener *listener = context;

    listener->pause = NULL; /* it fires once */
    listener->watch =
        loop_watch_start(listener->shared->loop, listener->fd, on_acceptable, listener);
}

/*
 * The listening descriptor stays readable while nothing can be accepted, so the loop would
 * turn and turn.
 */
static void pause_accepting(struct conn_listener *listener, int error)
{
    static _Atomic uint64_t logged_ms;

    if (log_pause_over(&logged_ms))
        log_error(NULL, "cannot accept", LOG_FIELDS(LOG_TEXT("reason", strerror(error))));
    loop_watch_stop(&listener->watch);
    listener->pause =
        loop_timer_start(listener->shared->loop, PAUSE_MS, 0, on_pause_over, listener);
}

static bool is_proxy(const struct conn_listener *listener, const struct address *address)
{
    for (unsigned i = 0; i < listener->proxies_count; i++)
        if (address_in(address, &listener->proxies[i]))
            return true;
    return false;
}

static bool enter(struct conn_listener *listener, const struct conn_network *network)
{
    return conn_networks_enter(listener->networks, network,
                               listener->limits.connections_address_max);
}

static void begin(struct conn *conn)
{
    metric_add(METRIC_CONNECTIONS_ACCEPTED, 1);
    if (conn->listener->implicit)
        conn_tls_begin(conn);
    else
        conn_open_session(conn);
}

void conn_listener_admit(struct conn *conn)
{
    uv_os_fd_t fd;

    conn->counted = enter(conn->listener, &conn->network);
    if (conn->counted) {
        begin(conn);
        return;
    }
    count_refusal(conn->listener);
    if (uv_fileno((const uv_handle_t *)&conn->tcp, &fd) == 0)
        send_refusal(conn->listener, fd);
    conn_end(conn); /* at once: it would hold a place of the listener */
}

static void accept_one(struct conn_listener *listener, int fd, const struct sockaddr *peer)
{
    struct address address;
    struct conn_network network = {.is_v6 = false};
    uint16_t port = 0;
    bool known = address_of_socket(peer, &address, &port); /* else a program of this machine */
    bool proxied = known && is_proxy(listener, &address);
    bool counted = known && !proxied;

    if (known)
        network = conn_network_of(&address);
    if (listener->connections >= listener->limits.connections_max ||
        (counted && !enter(listener, &network))) {
        refuse(listener, fd);
        return;
    }
    listener->connections++;
    struct conn *conn = conn_new(listener->shared, listener->protocol, &listener->limits, fd);
    conn->listener = listener;
    conn->crowded =
        listener->limits.connections_max >= CROWD_MIN &&
        (uint64_t)listener->connections * 10 > (uint64_t)listener->limits.connections_max * 9;
    conn_name_peer(conn, known ? &address : NULL, port);
    conn->counted = counted;
    if (proxied)
        conn_proxy_begin(conn);
    else
        begin(conn);
    conn_update_reading(conn);
}

static void on_acceptable(void *context)
{
    struct conn_listener *listener = context;

    for (unsigned i = 0; i < ACCEPTS_A_TURN && listener->watch != NULL; i++) {
        struct sockaddr_storage address;
        socklen_t len = sizeof(address);
        int fd = accept4(listener->fd, (struct sockaddr *)&address, &len,
                         SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            accept_one(listener, fd, (const struct sockaddr *)&address);
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            pause_accepting(listener, errno);
        } else if (errno == EAGAIN) {
            return; /* another process was faster */
        }
        /* Everything else is about one connection that has gone by now. */
    }
}

/* No listener may use up the descriptors that the process needs for itself. */
static unsigned fitting(unsigned connections_max)
{
    struct rlimit limit;

    CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    rlim_t room = limit.rlim_cur > 2 * DESCRIPTORS_KEPT ? limit.rlim_cur - DESCRIPTORS_KEPT
                                                        : DESCRIPTORS_KEPT;
    if (limit.rlim_cur == RLIM_INFINITY || connections_max <= room)
        return connections_max;
    log_warn(NULL, "fewer connections than configured, for want of descriptors",
             LOG_FIELDS(LOG_U64("configured", connections_max), LOG_U64("possible", room)));
    return (unsigned)room;
}

struct conn_listener *conn_listen(struct loop *loop, int fd,
                                  const struct conn_protocol *protocol, void *server,
                                  struct tls_context *tls, bool implicit,
                                  const struct conn_limits *limits, struct bytes refusal)
{
    struct conn_listener *listener = calloc(1, sizeof(*listener));

    CHECK(listener != NULL && (tls != NULL || !implicit));
    CHECK(limits->output_low <= limits->output_high);
    int flags = fcntl(fd, F_GETFL);
    CHECK(flags >= 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0);
    listener->shared = conn_shared_of(loop);
    listener->fd = fd;
    listener->protocol = protocol;
    listener->server = server;
    listener->tls = tls;
    listener->implicit = implicit;
    listener->limits = *limits;
    listener->limits.connections_max = fitting(limits->connections_max);
    listener->refusal = refusal;
    listener->networks = conn_networks_new();
    listener->watch = loop_watch_start(loop, fd, on_acceptable, listener);
    return listener;
}

void conn_listener_expect_proxy(struct conn_listener *listener,
                                const struct address_prefix *networks, unsigned count)
{
    free(listener->proxies);
    listener->proxies = calloc(count, sizeof(*networks));
    CHECK(count == 0 || listener->proxies != NULL);
    for (unsigned i = 0; i < count; i++)
        listener->proxies[i] = networks[i];
    listener->proxies_count = count;
}

static void listener_free(struct conn_listener *listener)
{
    free(listener->proxies);
    conn_networks_free(&listener->networks);
    free(listener);
}

void conn_listener_close(struct conn_listener **pointer)
{
    struct conn_listener *listener = *pointer;

    if (listener == NULL)
        return;
    *pointer = NULL;
    loop_watch_stop(&listener->watch);
    loop_timer_stop(&listener->pause);
    close(listener->fd);
    listener->closed = true;
    if (listener->connections == 0)
        listener_free(listener);
}

void conn_listener_left(struct conn_listener *listener, const struct conn *conn)
{
    if (conn->counted)
        conn_networks_leave(listener->networks, &conn->network);
    listener->connections--;
    if (listener->closed && listener->connections == 0)
        listener_free(listener);
}
