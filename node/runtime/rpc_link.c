/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "node/runtime/rpc_link.h"

#include <stdlib.h>

#include "node/base/check.h"
#include "node/base/log.h"
#include "node/runtime/log_pause.h"
#include "node/runtime/stream.h"
#include "node/runtime/stream_frame.h"

enum {
    READ_SIZE = 64 * 1024,
    OUTPUT_HIGH = 16 * 1024 * 1024, /* nothing more is taken from who reads no replies */
    HELLO_MS_MAX = 10000,
    CHECK_MS = 1000,
};

static const struct stream_format format = {
    .hello = {'P', 'r', 'R', 'p', 'c', 0, 0, 1},
    .body_size_max = RPC_MESSAGE_SIZE_MAX,
};

/*
 * Invariants:
 * 1. `input` is touched only while nothing is received, `sent` only while nothing is sent.
 * 2. A link is in hub->links until it is freed, which is when it is `closing` and the end of
 *    both operations was told.
 * 3. Nothing of the hub is freed while `depth` counts a call from the streams, the queue or the
 *    loop, of which the hub's own calls are part.
 */
struct rpc_link {
    struct rpc_hub *hub;
    struct stream *stream;
    bool greeted; /* the peer's hello was good */
    bool closing;
    bool told; /* closed() was called */
    struct rpc_peer peer;
    uint64_t born_ms;
    struct buffer input, output, sent;
    bool secret;          /* something in `output` or `sent` is */
    bool secret_received; /* the message that is handed out is */
};

struct rpc_hub {
    struct loop *loop;
    struct loop_hook *hook;
    struct loop_timer *timer; /* while hellos are missing */
    struct loop_bell *bell;
    struct stream_queue queue;
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

const struct rpc_peer *rpc_link_peer(const struct rpc_link *link)
{
    return &link->peer;
}

struct stream_queue *rpc_hub_queue(struct rpc_hub *hub)
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
    stream_close(link->stream);
    loop_wake(link->hub->loop);
}

static void link_free(struct rpc_link *link)
{
    stream_free(&link->stream);
    buffer_wipe(&link->input);
    buffer_wipe(&link->output);
    buffer_wipe(&link->sent);
    free(link);
}

void rpc_link_write(struct rpc_link *link, uint64_t number, struct bytes body)
{
    uint8_t *header;

    CHECK(body.len <= RPC_MESSAGE_SIZE_MAX);
    if (link->closing)
        return;
    if (link->secret) {
        uint8_t bytes[STREAM_HEADER_SIZE];
        stream_header_write(bytes, (uint32_t)body.len, number);
        buffer_add_secret(&link->output, bytes_from(bytes, sizeof(bytes)));
        buffer_add_secret(&link->output, body);
        loop_wake(link->hub->loop);
        return;
    }
    header = buffer_reserve(&link->output, STREAM_HEADER_SIZE + body.len);
    stream_header_write(header, (uint32_t)body.len, number);
    if (body.len > 0)
        memcpy(header + STREAM_HEADER_SIZE, body.at, body.len);
    buffer_added(&link->output, STREAM_HEADER_SIZE + body.len);
    loop_wake(link->hub->loop);
}

void rpc_link_wipe_sent(struct rpc_link *link)
{
    link->secret = true;
}

void rpc_link_wipe_received(struct rpc_link *link)
{
    link->secret_received = true;
}

/* Those that were sent. While there is more to be sent, that may be secret too. */
static void drop_sent(struct rpc_link *link)
{
    if (link->secret)
        buffer_wipe(&link->sent);
    buffer_release(&link->sent);
    link->secret = link->secret && buffer_len(&link->output) > 0;
}

static void flush(struct rpc_link *link)
{
    struct bytes all = buffer_bytes(&link->output);

    if (stream_sending(link->stream) || link->closing || all.len == 0)
        return;
    buffer_wipe(&link->sent);
    link->sent = link->output;
    buffer_init(&link->output);
    if (!stream_send(link->stream, &all, 1))
        return;
    drop_sent(link);
    if (all.len > OUTPUT_HIGH)
        rpc_hub_resume(link->hub);
}

/* How much is missing of the message that the input begins with; 0: nothing, or it is bad. */
static size_t missing(const struct rpc_link *link)
{
    struct bytes input = buffer_bytes(&link->input);
    struct stream_header header;
    size_t whole = STREAM_HEADER_SIZE;

    if (!link->greeted)
        return 1;
    switch (stream_find_header(&format, input, &header)) {
    case STREAM_FOUND_BAD:
        return 0;
    case STREAM_FOUND_IT:
        whole += header.body_size;
        break;
    case STREAM_FOUND_MORE:
        break;
    }
    return input.len < whole ? whole - input.len : 0;
}

static void begin_receive(struct rpc_link *link, size_t least)
{
    size_t room = least > READ_SIZE ? least : READ_SIZE;
    /* What is there may be the start of a secret: of none that is larger. */
    bool small = buffer_len(&link->input) + least <= READ_SIZE;
    uint8_t *at =
        small ? buffer_reserve_secret(&link->input, room) : buffer_reserve(&link->input, room);
    stream_receive(link->stream, at, room, least);
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
    enum stream_found found = stream_find_hello(&format, buffer_bytes(&link->input));

    if (found == STREAM_FOUND_BAD)
        refuse(link, "it speaks something else");
    if (found != STREAM_FOUND_IT)
        return;
    buffer_drop(&link->input, STREAM_HELLO_SIZE);
    link->peer.node_id = stream_peer(link->stream).node_id;
    bool welcome = hub->calls->opened(hub->context, link);
    if (hub->freed)
        return;
    if (!welcome) {
        refuse(link, "it may not");
        return;
    }
    link->greeted = true;
    if (!hub->speaks_first)
        buffer_add(&link->output, bytes_from(format.hello, STREAM_HELLO_SIZE));
}

/* Takes one message out of the input, if there is one. */
static bool take_message(struct rpc_link *link)
{
    struct rpc_hub *hub = link->hub;
    struct bytes input = buffer_bytes(&link->input);
    struct stream_header header;

    if (link->closing || stream_receiving(link->stream))
        return false;
    enum stream_found found = stream_find_header(&format, input, &header);
    if (found == STREAM_FOUND_BAD) {
        refuse(link, "its message is too large, or none");
        return false;
    }
    if (found != STREAM_FOUND_IT || missing(link) > 0 ||
        buffer_len(&link->output) > OUTPUT_HIGH || !hub->calls->ready(hub->context))
        return false;
    hub->calls->message(hub->context, link, header.number,
                        bytes_from(input.at + STREAM_HEADER_SIZE, header.body_size));
    if (link->secret_received)
        explicit_bzero(link->input.memory + link->input.start + STREAM_HEADER_SIZE,
                       header.body_size);
    link->secret_received = false;
    if (hub->freed)
        return false;
    buffer_drop(&link->input, STREAM_HEADER_SIZE + header.body_size);
    return true;
}

/* Reads on, unless a whole message waits for its turn. */
static void read_on(struct rpc_link *link)
{
    if (link->hub->freed || link->closing || stream_receiving(link->stream))
        return;
    size_t least = missing(link);
    if (least > 0)
        begin_receive(link, least);
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

static void take_input(struct rpc_link *link)
{
    if (link->closing)
        return;
    if (!link->greeted)
        greet(link);
    if (link->greeted)
        while (take_message(link))
            continue;
    read_on(link);
}

static void on_received(void *context, size_t len)
{
    struct rpc_link *link = context;
    struct rpc_hub *hub = link->hub;

    hub->depth++;
    buffer_added(&link->input, len);
    take_input(link);
    leave(hub);
}

static void on_sent(void *context)
{
    struct rpc_link *link = context;

    drop_sent(link);
    rpc_hub_resume(link->hub); /* room for more replies */
}

static void on_lost(void *context)
{
    rpc_link_close(context);
}

static const struct stream_calls stream_calls = {on_received, on_sent, on_lost};

static void on_events(void *context)
{
    struct rpc_hub *hub = context;

    hub->depth++;
    stream_queue_run(&hub->queue, &hub->freed);
    leave(hub);
}

/* Any thread. */
static void on_ring(void *context)
{
    struct rpc_hub *hub = context;
    loop_bell_ring(hub->bell);
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
        if (link->closing && !stream_receiving(link->stream) && !stream_sending(link->stream))
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

struct rpc_link *rpc_link_new(struct rpc_hub *hub, struct stream *stream)
{
    struct rpc_link *link = calloc(1, sizeof(*link));
    struct stream_peer peer = stream_peer(stream);

    CHECK(link != NULL && hub->last_connection < UINT32_MAX);
    link->hub = hub;
    link->stream = stream;
    stream_start(stream, &stream_calls, link);
    link->born_ms = clock_monotonic_ms();
    link->peer = (struct rpc_peer){
        .connection = ++hub->last_connection, .uid = peer.uid, .pid = peer.pid};
    if (hub->count == hub->size) {
        hub->size = hub->size > 0 ? hub->size * 2 : 8;
        hub->links = reallocarray(hub->links, hub->size, sizeof(struct rpc_link *));
        CHECK(hub->links != NULL);
    }
    hub->links[hub->count++] = link;
    if (hub->timer == NULL)
        hub->timer = loop_timer_start(hub->loop, CHECK_MS, CHECK_MS, on_check, hub);
    if (hub->speaks_first)
        buffer_add(&link->output, bytes_from(format.hello, STREAM_HELLO_SIZE));
    begin_receive(link, 1);
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
    hub->loop = loop;
    hub->calls = calls;
    hub->context = context;
    hub->speaks_first = speaks_first;
    hub->hook = loop_on_turn(loop, on_turn, hub);
    hub->bell = loop_bell_new(loop, on_events, hub);
    stream_queue_init(&hub->queue, on_ring, hub);
    stream_queue_use_loop(&hub->queue, loop);
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
        stream_close(hub->links[i]->stream);
    }
    for (size_t i = 0; i < hub->count; i++)
        stream_free(&hub->links[i]->stream);
    loop_timer_stop(&hub->timer);
    loop_hook_remove(&hub->hook);
    loop_bell_free(&hub->bell);
    stream_queue_fini(&hub->queue);
    leave(hub);
}
