/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "node/runtime/dial.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "node/base/check.h"
#include "node/runtime/conn_internal.h"
#include "node/runtime/metrics.h"

enum { TIMEOUT_MS = 30 * 1000 };

struct dial_poll {
    uv_poll_t uv; /* first: closed by loop_handle_freed() */
    struct dial *dial;
};

/* It waits either for the socket, with a time-out, or, when `err` is set, for the loop's next
 * turn to say so. */
struct dial {
    struct dial *next, *previous; /* of shared->dials */
    struct conn_shared *shared;
    struct dial_config config; /* its source is the one below, if there is one */
    struct address source;
    struct conn_limits limits;
    struct dial_poll *poll;
    struct loop_timer *timer;
    int fd; /* -1: none */
    enum err err;
    const char *reason;
};

/* What the kernel says of a connection, or of the attempt to make one. */
static const struct {
    int number;
    enum err err;
    const char *text;
} errors[] = {
    {ECONNREFUSED, ERR_CLOSED, "connection refused"},
    {ECONNRESET, ERR_CLOSED, "connection reset"},
    {EPIPE, ERR_CLOSED, "connection reset"},
    {ETIMEDOUT, ERR_TIMEOUT, "connection timed out"},
    {EHOSTUNREACH, ERR_UNAVAILABLE, "host unreachable"},
    {EHOSTDOWN, ERR_UNAVAILABLE, "host unreachable"},
    {ENETUNREACH, ERR_UNAVAILABLE, "network unreachable"},
    {ENETDOWN, ERR_UNAVAILABLE, "network is down"},
    {ENONET, ERR_UNAVAILABLE, "network unreachable"},
    {EAFNOSUPPORT, ERR_UNAVAILABLE, "no addresses of this family here"},
    {EADDRNOTAVAIL, ERR_UNAVAILABLE, "no own address to come from"},
    {EACCES, ERR_DENIED, "not allowed by this machine"},
    {EPERM, ERR_DENIED, "not allowed by this machine"},
    {EMFILE, ERR_BUSY, "too many open files"},
    {ENFILE, ERR_BUSY, "too many open files"},
    {EAGAIN, ERR_BUSY, "no free ports"},
    {EADDRINUSE, ERR_BUSY, "no free ports"},
    {ENOBUFS, ERR_BUSY, "out of buffers"},
    {ENOMEM, ERR_BUSY, "out of buffers"},
};

static void set_error(struct dial *dial, enum err err, const char *reason)
{
    dial->err = err;
    dial->reason = reason;
}

static void set_system_error(struct dial *dial, int number)
{
    set_error(dial, ERR_IO, "connection failed");
    for (size_t i = 0; i < sizeof(errors) / sizeof(*errors); i++)
        if (errors[i].number == number)
            set_error(dial, errors[i].err, errors[i].text);
}

/* With an own address that was named, what connect() says of addresses is about that one. */
static void set_connect_error(struct dial *dial, int number)
{
    if (dial->config.source != NULL && number == EADDRNOTAVAIL)
        set_error(dial, ERR_BUSY, "no free ports at the source address");
    else if (dial->config.source != NULL && number == EINVAL)
        set_error(dial, ERR_INVALID, "the source address cannot be used for this host");
    else
        set_system_error(dial, number);
}

static socklen_t fill(struct sockaddr_storage *storage, const struct address *address,
                      uint16_t port)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)(void *)storage;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)(void *)storage;

    *storage = (struct sockaddr_storage){0};
    if (address_is_v4(address)) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons(port);
        memcpy(&v4->sin_addr, address->bytes + 12, 4);
        return sizeof(*v4);
    }
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(port);
    memcpy(&v6->sin6_addr, address->bytes, 16);
    return sizeof(*v6);
}

static bool bind_source(struct dial *dial)
{
    const struct address *source = dial->config.source;
    struct sockaddr_storage storage;
    const int yes = 1;

    if (source == NULL)
        return true;
    if (address_is_v4(source) != address_is_v4(&dial->config.target)) {
        set_error(dial, ERR_INVALID, "the source address is of another family than the host's");
        return false;
    }
    /* The port is chosen when the target is known: else one source address would have as many
     * connections as there are ports, to all hosts together. */
    (void)setsockopt(dial->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &yes, sizeof(yes));
    socklen_t len = fill(&storage, source, 0);
    if (bind(dial->fd, (const struct sockaddr *)&storage, len) == 0)
        return true;
    if (errno == EADDRNOTAVAIL)
        set_error(dial, ERR_INVALID, "the source address is not one of this machine");
    else
        set_system_error(dial, errno);
    return false;
}

static void begin(struct dial *dial)
{
    struct sockaddr_storage storage;
    socklen_t len = fill(&storage, &dial->config.target, dial->config.port);

    dial->fd = socket(storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (dial->fd < 0)
        set_system_error(dial, errno);
    else if (bind_source(dial) &&
             connect(dial->fd, (const struct sockaddr *)&storage, len) != 0 &&
             errno != EINPROGRESS)
        set_connect_error(dial, errno);
}

static void free_dial(struct dial *dial)
{
    *(dial->previous != NULL ? &dial->previous->next : &dial->shared->dials) = dial->next;
    if (dial->next != NULL)
        dial->next->previous = dial->previous;
    if (dial->poll != NULL)
        uv_close((uv_handle_t *)&dial->poll->uv, loop_handle_freed);
    loop_timer_stop(&dial->timer);
    if (dial->fd >= 0)
        close(dial->fd);
    free(dial);
}

static void fail(struct dial *dial)
{
    const struct dial_config config = dial->config;
    enum err err = dial->err;
    const char *reason = dial->reason;

    metric_add(METRIC_DIALS_FAILED, 1);
    free_dial(dial);
    config.failed(config.context, err, reason);
}

/* From here on the socket is the connection's. */
static void succeed(struct dial *dial)
{
    struct conn_client *client = calloc(1, sizeof(*client));

    CHECK(client != NULL);
    client->limits = dial->limits;
    client->context = dial->config.context;
    uv_close((uv_handle_t *)&dial->poll->uv, loop_handle_freed);
    dial->poll = NULL;
    struct conn *conn =
        conn_new(dial->shared, dial->config.protocol, &client->limits, dial->fd);
    conn->client = client;
    conn_name_peer(conn, &dial->config.target, dial->config.port);
    dial->fd = -1;
    free_dial(dial);
    metric_add(METRIC_CONNECTIONS_DIALLED, 1);
    conn_open_session(conn);
    conn_update_reading(conn);
}

static void on_connected(uv_poll_t *uv, int status, int events)
{
    struct dial *dial = ((struct dial_poll *)uv)->dial;
    int number = 0;
    socklen_t len = sizeof(number);

    (void)status; /* an error is asked for */
    (void)events;
    CHECK(getsockopt(dial->fd, SOL_SOCKET, SO_ERROR, &number, &len) == 0);
    if (number == 0) {
        succeed(dial);
        return;
    }
    set_connect_error(dial, number);
    fail(dial);
}

static void on_time(void *context)
{
    struct dial *dial = context;

    dial->timer = NULL; /* it fires once */
    if (dial->err == ERR_OK)
        set_error(dial, ERR_TIMEOUT, "connection timed out");
    fail(dial);
}

static void wait_for_socket(struct dial *dial)
{
    dial->poll = calloc(1, sizeof(*dial->poll));
    CHECK(dial->poll != NULL);
    dial->poll->dial = dial;
    uv_loop_t *uv = loop_uv(dial->shared->loop);
    CHECK(uv_poll_init(uv, &dial->poll->uv, dial->fd) == 0);
    CHECK(uv_poll_start(&dial->poll->uv, UV_WRITABLE, on_connected) == 0);
}

struct dial *dial_start(struct loop *loop, const struct dial_config *config)
{
    struct dial *dial = calloc(1, sizeof(*dial));
    uint64_t timeout_ms = config->timeout_ms != 0 ? config->timeout_ms : TIMEOUT_MS;

    CHECK(dial != NULL && config->protocol != NULL && config->failed != NULL);
    dial->shared = conn_shared_of(loop);
    dial->config = *config;
    if (config->source != NULL) {
        dial->source = *config->source;
        dial->config.source = &dial->source;
    }
    dial->limits = config->limits != NULL ? *config->limits : conn_limits_default;
    CHECK(dial->limits.output_low <= dial->limits.output_high);
    dial->next = dial->shared->dials;
    if (dial->next != NULL)
        dial->next->previous = dial;
    dial->shared->dials = dial;
    begin(dial);
    if (dial->err == ERR_OK)
        wait_for_socket(dial);
    dial->timer =
        loop_timer_start(loop, dial->err == ERR_OK ? timeout_ms : 0, 0, on_time, dial);
    return dial;
}

void dial_cancel(struct dial **dial)
{
    if (*dial != NULL)
        free_dial(*dial);
    *dial = NULL;
}

void dial_cancel_all(struct conn_shared *shared)
{
    while (shared->dials != NULL)
        free_dial(shared->dials);
}

bool conn_local(const struct conn *conn, struct address *address, uint16_t *port)
{
    struct sockaddr_storage storage = {0};
    int len = sizeof(storage);

    return uv_tcp_getsockname(&conn->tcp, (struct sockaddr *)&storage, &len) == 0 &&
           address_of_socket((const struct sockaddr *)&storage, address, port);
}
