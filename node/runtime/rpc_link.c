/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "node/runtime/rpc_link.h"

#include <nng/transport/ipc/ipc.h>
#include <stdlib.h>

#include "node/base/check.h"
#include "node/base/log.h"
#include "node/runtime/log_pause.h"
#include "node/runtime/nng_tls.h"
#include "node/runtime/rpc_wire.h"

enum {
    READ_SIZE = 64 * 1024,
    OUTPUT_HIGH = 16 * 1024 * 1024, /* nothing more is taken from who reads no replies */
    HELLO_MS_MAX = 10000,
    CHECK_MS = 1000,
};

/*
 * Invariants:
 * 1. `input` is touched only while not `receiving`, `sent` only while not `sending`.
 * 2. A link is in hub->links until it is freed, which is when it is `closing` and nng has let
 *    go of both operations.
 */
struct rpc_link {
    struct rpc_hub *hub;
    nng_stream *stream;
    nng_aio *receive;
    nng_aio *send;
    struct rpc_event received;
    struct rpc_event was_sent;
    bool receiving;
    bool sending;
    bool greeted; /* the peer's hello was good */
    bool closing;
    bool told; /* closed() was called */
    struct rpc_peer peer;
    uint64_t born_ms;
    struct buffer input, output, sent;
};

struct rpc_hub {
    struct loop *loop;
    struct loop_hook *hook;
    struct loop_timer *timer; /* while hellos are missing */
    struct rpc_queue queue;
    const struct rpc_hub_calls *calls;
    void *context;
    bool speaks_first;
    struct rpc_link **links; /* ascending by peer.connection */
    size_t count, size;
    size_t turn; /* whose turn it is when there is not room for all */
    uint32_t last_connection;
    bool resume;
    unsigned depth; /* of calls under way */
    bool freed;
    void (*released)(void *context);
};

/* nng's thread. */
static void on_received(void *argument)
{
    struct rpc_link *link = argument;
    rpc_queue_put(&link->hub->queue, &link->received);
}

/* nng's thread. */
static void on_sent(void *argument)
{
    struct rpc_link *link = argument;
    rpc_queue_put(&link->hub->queue, &link->was_sent);
}

const struct rpc_peer *rpc_link_peer(const struct rpc_link *link)
{
    return &link->peer;
}

struct rpc_queue *rpc_hub_queue(struct rpc_hub *hub)
{
    return &hub->queue;
}

size_t rpc_hub_links(const struct rpc_hub *hub)
{
    return hub->count;
}

static size_t place_of(const struct rpc_hub *hub, uint32_t connection)
{
    size_t low = 0, high = hub->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (hub->links[middle]->peer.connection < connection)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct rpc_link *rpc_link_find(struct rpc_hub *hub, uint32_t connection)
{
    size_t place = place_of(hub, connection);

    if (place == hub->count || hub->links[place]->peer.connection != connection ||
        hub->links[place]->closing)
        return NULL;
    return hub->links[place];
}

void rpc_link_close(struct rpc_link *link)
{
    if (link->closing)
        return;
    link->closing = true;
    nng_stream_close(link->stream); /* which ends what is under way */
    loop_wake(link->hub->loop);
}

static void link_free(struct rpc_link *link)
{
    nng_stream_free(link->stream);
    nng_aio_free(link->receive);
    nng_aio_free(link->send);
    buffer_fini(&link->input);
    buffer_fini(&link->output);
    buffer_fini(&link->sent);
    free(link);
}

void rpc_link_write(struct rpc_link *link, uint64_t number, struct bytes body)
{
    uint8_t *header;

    CHECK(body.len <= RPC_MESSAGE_SIZE_MAX);
    if (link->closing)
        return;
    header = buffer_reserve(&link->output, RPC_WIRE_HEADER_SIZE + body.len);
    rpc_wire_header(header, (uint32_t)body.len, number);
    if (body.len > 0)
        memcpy(header + RPC_WIRE_HEADER_SIZE, body.at, body.len);
    buffer_added(&link->output, RPC_WIRE_HEADER_SIZE + body.len);
    loop_wake(link->hub->loop);
}

static void begin_send(struct rpc_link *link)
{
    struct bytes bytes = buffer_bytes(&link->sent);
    nng_iov iov = {link->sent.memory + link->sent.start, bytes.len};

    CHECK(nng_aio_set_iov(link->send, 1, &iov) == 0);
    link->sending = true;
    nng_stream_send(link->stream, link->send);
}

static void flush(struct rpc_link *link)
{
    if (link->sending || link->closing || buffer_len(&link->output) == 0)
        return;
    buffer_fini(&link->sent);
    link->sent = link->output;
    buffer_init(&link->output);
    begin_send(link);
}

/* The length of the message that the input begins with; 0 when even the header is not whole. */
static size_t message_size(const struct rpc_link *link)
{
    struct bytes input = buffer_bytes(&link->input);
    return input.len >= RPC_WIRE_HEADER_SIZE
               ? RPC_WIRE_HEADER_SIZE + (size_t)rpc_wire_32(input.at)
               : 0;
}

static void begin_receive(struct rpc_link *link)
{
    size_t have = buffer_len(&link->input), whole = message_size(link), want = READ_SIZE;

    if (whole > have && whole - have > want)
        want = whole - have;
    nng_iov iov = {buffer_reserve(&link->input, want), want};
    CHECK(nng_aio_set_iov(link->receive, 1, &iov) == 0);
    link->receiving = true;
    nng_stream_recv(link->stream, link->receive);
}

static void refuse(struct rpc_link *link, const char *why)
{
    static _Atomic uint64_t logged_ms;

    if (log_pause_over(&logged_ms))
        log_warn(NULL, "rpc connection refused",
                 LOG_FIELDS(LOG_TEXT("reason", why), LOG_U64("uid", link->peer.uid),
                            LOG_U64("pid", link->peer.pid),
                            LOG_U64("node", link->peer.node_id)));
    rpc_link_close(link);
}

static void greet(struct rpc_link *link)
{
    struct rpc_hub *hub = link->hub;

    if (buffer_len(&link->input) < sizeof(rpc_wire_hello))
        return;
    if (memcmp(buffer_bytes(&link->input).at, rpc_wire_hello, sizeof(rpc_wire_hello)) != 0) {
        refuse(link, "it speaks something else");
        return;
    }
    buffer_drop(&link->input, sizeof(rpc_wire_hello));
    link->peer.node_id = nng_tls_stream_node(link->stream);
    if (!hub->calls->opened(hub->context, link)) {
        refuse(link, "it may not");
        return;
    }
    link->greeted = true;
    if (!hub->speaks_first)
        buffer_add(&link->output, bytes_from(rpc_wire_hello, sizeof(rpc_wire_hello)));
}

/* Takes one message out of the input, if there is one. */
static bool take_message(struct rpc_link *link)
{
    struct rpc_hub *hub = link->hub;
    struct bytes input = buffer_bytes(&link->input);
    size_t size = message_size(link);

    if (link->closing || link->receiving || size == 0)
        return false;
    if (size > RPC_WIRE_HEADER_SIZE + RPC_MESSAGE_SIZE_MAX || rpc_wire_32(input.at + 4) != 0) {
        log_warn(NULL, "rpc message refused", LOG_FIELDS(LOG_U64("bytes", size)));
        rpc_link_close(link);
        return false;
    }
    if (input.len < size || buffer_len(&link->output) > OUTPUT_HIGH ||
        !hub->calls->ready(hub->context))
        return false;
    uint64_t number = rpc_wire_64(input.at + 8);
    hub->calls->message(
        hub->context, link, number,
        bytes_from(input.at + RPC_WIRE_HEADER_SIZE, size - RPC_WIRE_HEADER_SIZE));
    if (hub->freed)
        return false;
    buffer_drop(&link->input, size);
    return true;
}

/* Reads on, unless a whole message waits for its turn. */
static void read_on(struct rpc_link *link)
{
    size_t size = message_size(link);

    if (link->receiving || link->closing || link->hub->freed ||
        (size > 0 && buffer_len(&link->input) >= size))
        return;
    begin_receive(link);
}

static void after_received(struct rpc_link *link)
{
    link->receiving = false;
    if (nng_aio_result(link->receive) != 0) {
        rpc_link_close(link);
        return;
    }
    buffer_added(&link->input, nng_aio_count(link->receive));
    if (link->closing)
        return;
    if (!link->greeted)
        greet(link);
    if (link->greeted)
        while (take_message(link))
            continue;
    read_on(link);
}

static void after_sent(struct rpc_link *link)
{
    link->sending = false;
    if (nng_aio_result(link->send) != 0) {
        rpc_link_close(link);
        return;
    }
    buffer_drop(&link->sent, nng_aio_count(link->send));
    if (link->closing)
        return;
    if (buffer_len(&link->sent) > 0)
        begin_send(link);
    else
        buffer_release(&link->sent);
    link->hub->resume = true; /* room for more replies */
}

static void leave(struct rpc_hub *hub)
{
    if (--hub->depth > 0 || !hub->freed)
        return;
    for (size_t i = 0; i < hub->count; i++)
        link_free(hub->links[i]);
    void (*released)(void *context) = hub->released;
    void *context = hub->context;
    free(hub->links);
    free(hub);
    released(context);
}

static void on_events(void *context)
{
    struct rpc_hub *hub = context;
    struct rpc_event *event = rpc_queue_take(&hub->queue);

    hub->depth++;
    while (event != NULL && !hub->freed) {
        struct rpc_event *next = event->next;
        switch (event->kind) {
        case RPC_EVENT_RECEIVED:
            after_received(event->about);
            break;
        case RPC_EVENT_SENT:
            after_sent(event->about);
            break;
        case RPC_EVENT_OWNER:
            hub->calls->event(hub->context, event);
            break;
        }
        event = next;
    }
    leave(hub);
}

/* One message a link and round, so that no link keeps the others waiting. */
static void take_waiting(struct rpc_hub *hub)
{
    bool taken = true;

    while (taken && !hub->freed) {
        taken = false;
        for (size_t i = 0; i < hub->count && !hub->freed; i++) {
            struct rpc_link *link = hub->links[hub->turn++ % hub->count];
            taken = (link->greeted && take_message(link)) || taken;
        }
    }
    for (size_t i = 0; i < hub->count && !hub->freed; i++)
        read_on(hub->links[i]);
}

static void bury(struct rpc_hub *hub)
{
    size_t kept = 0;

    for (size_t i = 0; i < hub->count && !hub->freed; i++) {
        struct rpc_link *link = hub->links[i];
        if (link->closing && !link->told) {
            link->told = true;
            hub->calls->closed(hub->context, link, link->greeted);
        }
    }
    for (size_t i = 0; i < hub->count && !hub->freed; i++) {
        struct rpc_link *link = hub->links[i];
        if (link->closing && !link->receiving && !link->sending)
            link_free(link);
        else
            hub->links[kept++] = link;
    }
    if (!hub->freed)
        hub->count = kept;
}

static void on_turn(void *context)
{
    struct rpc_hub *hub = context;

    hub->depth++;
    if (hub->resume) {
        hub->resume = false;
        take_waiting(hub);
    }
    bury(hub);
    for (size_t i = 0; i < hub->count && !hub->freed; i++)
        flush(hub->links[i]);
    leave(hub);
}

static void on_check(void *context)
{
    struct rpc_hub *hub = context;
    uint64_t now_ms = clock_monotonic_ms();
    bool missing = false;

    for (size_t i = 0; i < hub->count; i++) {
        struct rpc_link *link = hub->links[i];
        if (link->greeted || link->closing)
            continue;
        missing = true;
        if (now_ms - link->born_ms >= HELLO_MS_MAX)
            refuse(link, "it says nothing");
    }
    if (!missing)
        loop_timer_stop(&hub->timer);
}

static struct rpc_peer peer_of(nng_stream *stream, uint32_t connection)
{
    struct rpc_peer peer = {.connection = connection, .uid = UINT32_MAX};
    uint64_t number;

    if (nng_stream_get_uint64(stream, NNG_OPT_IPC_PEER_UID, &number) == 0)
        peer.uid = (uint32_t)number;
    if (nng_stream_get_uint64(stream, NNG_OPT_IPC_PEER_PID, &number) == 0)
        peer.pid = (uint32_t)number;
    return peer;
}

struct rpc_link *rpc_link_new(struct rpc_hub *hub, nng_stream *stream)
{
    struct rpc_link *link = calloc(1, sizeof(*link));

    CHECK(link != NULL && hub->last_connection < UINT32_MAX);
    link->hub = hub;
    link->stream = stream;
    link->born_ms = clock_monotonic_ms();
    link->peer = peer_of(stream, ++hub->last_connection);
    link->received = (struct rpc_event){.kind = RPC_EVENT_RECEIVED, .about = link};
    link->was_sent = (struct rpc_event){.kind = RPC_EVENT_SENT, .about = link};
    CHECK(nng_aio_alloc(&link->receive, on_received, link) == 0);
    CHECK(nng_aio_alloc(&link->send, on_sent, link) == 0);
    if (hub->count == hub->size) {
        hub->size = hub->size > 0 ? hub->size * 2 : 8;
        hub->links = reallocarray(hub->links, hub->size, sizeof(struct rpc_link *));
        CHECK(hub->links != NULL);
    }
    hub->links[hub->count++] = link;
    if (hub->timer == NULL)
        hub->timer = loop_timer_start(hub->loop, CHECK_MS, CHECK_MS, on_check, hub);
    if (hub->speaks_first)
        buffer_add(&link->output, bytes_from(rpc_wire_hello, sizeof(rpc_wire_hello)));
    begin_receive(link);
    loop_wake(hub->loop);
    return link;
}

void rpc_hub_resume(struct rpc_hub *hub)
{
    hub->resume = true;
    loop_wake(hub->loop);
}

struct rpc_hub *rpc_hub_new(struct loop *loop, const struct rpc_hub_calls *calls, void *context,
                            bool speaks_first)
{
    struct rpc_hub *hub = calloc(1, sizeof(*hub));

    CHECK(hub != NULL);
    nng_tls_engine_use();
    hub->loop = loop;
    hub->calls = calls;
    hub->context = context;
    hub->speaks_first = speaks_first;
    hub->hook = loop_on_turn(loop, on_turn, hub);
    rpc_queue_init(&hub->queue, loop, on_events, hub);
    return hub;
}

void rpc_hub_free(struct rpc_hub *hub, void (*released)(void *context))
{
    CHECK(!hub->freed);
    hub->depth++;
    hub->freed = true;
    hub->released = released;
    for (size_t i = 0; i < hub->count; i++) {
        if (hub->links[i]->closing)
            continue;
        flush(hub->links[i]); /* the last replies, as far as the kernel takes them at once */
        nng_stream_close(hub->links[i]->stream);
    }
    for (size_t i = 0; i < hub->count; i++) {
        nng_aio_wait(hub->links[i]->receive);
        nng_aio_wait(hub->links[i]->send);
    }
    loop_timer_stop(&hub->timer);
    loop_hook_remove(&hub->hook);
    rpc_queue_fini(&hub->queue);
    leave(hub);
}
