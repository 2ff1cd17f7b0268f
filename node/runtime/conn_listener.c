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
    ACCEPTS_A_TURN = 64, /* then the connections that there are have their turn */
    PAUSE_MS = 100,      /* when the machine has no descriptors left */
    DESCRIPTORS_KEPT = 64,
};

static void refuse(struct conn_listener *listener, int fd)
{
    static _Atomic uint64_t logged_ms;

    metric_add(METRIC_CONNECTIONS_REFUSED, 1);
    if (log_pause_over(&logged_ms))
        log_warn(NULL, "connection refused, too many",
                 LOG_FIELDS(LOG_U64("open", listener->connections)));
    if (!listener->implicit && listener->refusal.len > 0) {
        ssize_t sent =
            send(fd, listener->refusal.at, listener->refusal.len, MSG_NOSIGNAL | MSG_DONTWAIT);
        (void)sent; /* a courtesy */
        shutdown(fd, SHUT_WR);
    }
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

static void accept_one(struct conn_listener *listener, int fd, const struct sockaddr *address)
{
    struct conn_network network = conn_network_of(address);

    if (listener->connections >= listener->limits.connections_max ||
        !conn_networks_enter(listener->networks, &network,
                             listener->limits.connections_address_max)) {
        refuse(listener, fd);
        return;
    }
    listener->connections++;
    metric_add(METRIC_CONNECTIONS_ACCEPTED, 1);
    struct conn *conn = conn_new(listener, fd, address);
    conn->network = network;
    if (listener->implicit)
        conn_tls_begin(conn);
    else
        conn_open_session(conn);
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

static void listener_free(struct conn_listener *listener)
{
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
    conn_networks_leave(listener->networks, &conn->network);
    listener->connections--;
    if (listener->closed && listener->connections == 0)
        listener_free(listener);
}
