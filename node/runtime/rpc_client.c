/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The asking side. A call is given to one of a limited number of slots, each an nng context; it
 * waits in order while there is none free or while there is no connection. nng sends a request
 * again by itself when the connection breaks before the reply.
 *
 * Deadlines are kept here and not by nng's aio: an aio whose time-out and reply cross may be
 * cancelled after it has been used again, which would end the next call too early. A call that
 * is given up closes its context, which is the one way to end both of a context's aio's in
 * every state; the slot is used again when nng has let go of it.
 */
#include <nng/nng.h>
#include <nng/protocol/reqrep0/req.h>
#include <stdlib.h>

#include "node/base/check.h"
#include "node/base/log.h"
#include "node/runtime/metrics.h"
#include "node/runtime/nng_tls.h"
#include "node/runtime/rpc_calls.h"
#include "node/runtime/rpc_link.h"

/* nng's own timer for sending again; connections that break are noticed without it. */
#define RESEND_MS (24 * 60 * 60 * 1000)

/*
 * A connection to another node that has answered nothing since a call was sent, for at least
 * this long, is taken for dead when that call's time is over: without data TCP would notice
 * after a quarter of an hour.
 */
#define SILENCE_MS 2000

struct rpc_slot {
    struct rpc_event event; /* first: an event of the queue is its slot */
    struct rpc_client *client;
    struct rpc_slot *next_free;
    nng_ctx context;
    nng_aio *send;
    nng_aio *receive;
    struct rpc_pending *call; /* NULL: given up, or the slot is free */
    bool closed;              /* the context; to be opened again before the next use */
};

struct rpc_client {
    struct loop *loop;
    struct rpc_queue queue;
    nng_socket socket;
    struct rpc_slot **slots;
    unsigned slots_count;
    unsigned slots_max;
    struct rpc_slot *free_slots;
    struct rpc_calls calls;
    struct loop_timer *timer;
    uint64_t timer_ms;   /* when it fires; UINT64_MAX: not set */
    uint64_t heard_ms;   /* the last reply */
    uint32_t connection; /* 0: none */
    bool may_go_silent;  /* over a network */
    uint64_t node_id;    /* that the peer must be; 0: any that verifies, or ipc */
    bool need_node;
    bool calling_back;
    bool freed; /* inside a callback; the memory goes behind it */
    void (*connected)(void *context, bool up);
    void *context;
};

/* nng's thread. */
static void on_received(void *argument)
{
    struct rpc_slot *slot = argument;
    rpc_queue_put(&slot->client->queue, &slot->event);
}

/* nng's thread. */
static void on_pipe_new(nng_pipe pipe, nng_pipe_ev event, void *argument)
{
    struct rpc_client *client = argument;
    struct rpc_peer peer = rpc_pipe_peer(pipe);

    (void)event;
    if (client->need_node &&
        (peer.node_id == 0 || (client->node_id != 0 && peer.node_id != client->node_id))) {
        nng_pipe_close(pipe);
        return;
    }
    rpc_queue_put_pipe(&client->queue, RPC_EVENT_PIPE_UP, &peer);
}

/* nng's thread. */
static void on_pipe_gone(nng_pipe pipe, nng_pipe_ev event, void *argument)
{
    struct rpc_client *client = argument;
    struct rpc_peer peer = {.connection = (uint32_t)nng_pipe_id(pipe)};

    (void)event;
    rpc_queue_put_pipe(&client->queue, RPC_EVENT_PIPE_DOWN, &peer);
}

static struct rpc_slot *slot_take(struct rpc_client *client)
{
    struct rpc_slot *slot = client->free_slots;

    if (slot != NULL) {
        client->free_slots = slot->next_free;
        return slot;
    }
    if (client->slots_count == client->slots_max)
        return NULL;
    slot = calloc(1, sizeof(*slot));
    CHECK(slot != NULL);
    slot->event.kind = RPC_EVENT_RECEIVED;
    slot->client = client;
    slot->closed = true;
    /* No callback for sending: the reply says all there is to know. */
    CHECK(nng_aio_alloc(&slot->send, NULL, NULL) == 0);
    CHECK(nng_aio_alloc(&slot->receive, on_received, slot) == 0);
    client->slots[client->slots_count++] = slot;
    return slot;
}

static void start(struct rpc_client *client, struct rpc_slot *slot, struct rpc_pending *call)
{
    if (slot->closed)
        CHECK(nng_ctx_open(&slot->context, client->socket) == 0);
    slot->closed = false;
    slot->call = call;
    call->slot = slot;
    call->started_ms = clock_monotonic_ms();
    nng_aio_set_msg(slot->send, call->message);
    call->message = NULL;
    nng_ctx_send(slot->context, slot->send);
    nng_ctx_recv(slot->context, slot->receive);
}

static void start_waiting(struct rpc_client *client)
{
    while (client->connection != 0 && client->calls.first != NULL) {
        struct rpc_slot *slot = slot_take(client);
        if (slot == NULL)
            return;
        start(client, slot, rpc_calls_next_waiting(&client->calls));
    }
}

/* nng will call on_received(), if it has not already. */
static void give_up(struct rpc_pending *call)
{
    struct rpc_slot *slot = call->slot;

    if (slot == NULL)
        return;
    call->slot = NULL;
    slot->call = NULL;
    slot->closed = true;
    nng_ctx_close(slot->context);
}

static void finish(struct rpc_client *client, struct rpc_pending *call, enum err err,
                   struct bytes reply)
{
    rpc_done *done = call->done;
    void *context = call->context;

    rpc_calls_drop(&client->calls, call);
    done(context, err, reply);
}

static void on_time(void *context);

static void arm(struct rpc_client *client)
{
    struct rpc_pending *call = rpc_calls_earliest(&client->calls);

    if (call == NULL || call->deadline_ms >= client->timer_ms)
        return;
    loop_timer_stop(&client->timer);
    uint64_t now_ms = clock_monotonic_ms();
    uint64_t delay_ms = call->deadline_ms > now_ms ? call->deadline_ms - now_ms : 0;
    client->timer_ms = call->deadline_ms;
    client->timer = loop_timer_start(client->loop, delay_ms, 0, on_time, client);
}

static void expire(struct rpc_client *client, struct rpc_pending *call, uint64_t now_ms)
{
    bool silent = client->may_go_silent && call->slot != NULL &&
                  client->heard_ms < call->started_ms &&
                  now_ms - call->started_ms >= SILENCE_MS;

    give_up(call);
    if (silent && client->connection != 0) {
        log_warn(NULL, "rpc connection is silent, connecting again",
                 LOG_FIELDS(LOG_U64("node", client->node_id)));
        nng_pipe_close((nng_pipe){.id = client->connection});
        client->heard_ms = now_ms; /* once is enough */
    }
    metric_add(METRIC_RPC_TIMEOUTS, 1);
    finish(client, call, ERR_TIMEOUT, BYTES(""));
}

static void end_callbacks(struct rpc_client *client);

static void on_time(void *context)
{
    struct rpc_client *client = context;
    struct rpc_pending *call;
    uint64_t now_ms = clock_monotonic_ms();

    client->timer = NULL; /* it fires once */
    client->timer_ms = UINT64_MAX;
    client->calling_back = true;
    while (!client->freed && (call = rpc_calls_earliest(&client->calls)) != NULL &&
           call->deadline_ms <= now_ms) {
        if (call->refused != ERR_OK)
            finish(client, call, call->refused, BYTES(""));
        else
            expire(client, call, now_ms);
    }
    end_callbacks(client);
}

/* nng has let go of the slot. */
static void slot_received(struct rpc_client *client, struct rpc_slot *slot)
{
    int result = nng_aio_result(slot->receive);
    nng_msg *reply = result == 0 ? nng_aio_get_msg(slot->receive) : NULL;
    struct rpc_pending *call = slot->call;

    nng_aio_set_msg(slot->receive, NULL);
    nng_aio_wait(slot->send); /* at most the last instructions of a completed one */
    nng_msg_free(nng_aio_get_msg(slot->send)); /* what could not be sent */
    nng_aio_set_msg(slot->send, NULL);
    slot->call = NULL;
    slot->next_free = client->free_slots;
    client->free_slots = slot;
    if (call != NULL) {
        call->slot = NULL;
        if (reply != NULL) {
            client->heard_ms = clock_monotonic_ms();
            finish(client, call, ERR_OK, bytes_from(nng_msg_body(reply), nng_msg_len(reply)));
        } else {
            log_error(NULL, "rpc call failed",
                      LOG_FIELDS(LOG_TEXT("reason", nng_strerror(result))));
            finish(client, call, ERR_IO, BYTES(""));
        }
    }
    nng_msg_free(reply);
}

static void set_connection(struct rpc_client *client, uint32_t connection)
{
    bool was_up = client->connection != 0;

    client->connection = connection;
    if (client->connected != NULL && was_up != (connection != 0))
        client->connected(client->context, connection != 0);
}

static void on_event(struct rpc_client *client, struct rpc_event *event)
{
    struct rpc_pipe_event *pipe = (struct rpc_pipe_event *)event;
    uint32_t connection;

    switch (event->kind) {
    case RPC_EVENT_RECEIVED:
        slot_received(client, (struct rpc_slot *)event);
        break;
    case RPC_EVENT_PIPE_UP:
        connection = pipe->peer.connection;
        free(pipe);
        set_connection(client, connection);
        break;
    case RPC_EVENT_PIPE_DOWN:
        connection = pipe->peer.connection;
        free(pipe);
        if (connection == client->connection)
            set_connection(client, 0);
        break;
    }
}

static void on_events(void *context)
{
    struct rpc_client *client = context;
    struct rpc_event *event = rpc_queue_take(&client->queue);

    client->calling_back = true;
    while (event != NULL) {
        struct rpc_event *next = event->next;
        if (!client->freed)
            on_event(client, event);
        else if (event->kind != RPC_EVENT_RECEIVED)
            free(event);
        event = next;
    }
    if (!client->freed)
        start_waiting(client);
    end_callbacks(client);
}

static void release(struct rpc_client *client)
{
    rpc_queue_fini(&client->queue);
    for (unsigned i = 0; i < client->slots_count; i++) {
        struct rpc_slot *slot = client->slots[i];
        if (nng_aio_result(slot->receive) == 0)
            nng_msg_free(nng_aio_get_msg(slot->receive));
        nng_msg_free(nng_aio_get_msg(slot->send));
        nng_aio_free(slot->receive);
        nng_aio_free(slot->send);
        free(slot);
    }
    rpc_calls_fini(&client->calls);
    free(client->slots);
    free(client);
}

/* A callback may have freed the client. */
static void end_callbacks(struct rpc_client *client)
{
    client->calling_back = false;
    if (client->freed)
        release(client);
    else
        arm(client);
}

static enum err tls_config(const struct rpc_client_config *config, nng_tls_config **tls)
{
    char name[NNG_TLS_NAME_SIZE];

    if (config->credentials == NULL)
        return config->authority_pin != NULL ? nng_tls_pinned(config->authority_pin, tls)
                                             : ERR_MALFORMED;
    enum err err = nng_tls_server_name(config->credentials, config->node_id, name);
    if (err != ERR_OK)
        return err;
    return nng_tls_credentials(config->credentials, NNG_TLS_MODE_CLIENT, false,
                               config->node_id != 0 ? name : NULL, tls);
}

static enum err dial(struct rpc_client *client, const struct rpc_client_config *config)
{
    nng_tls_config *tls = NULL;
    nng_dialer dialer;
    int result = nng_dialer_create(&dialer, client->socket, config->url);

    if (result == 0 && rpc_url_is_tls(config->url)) {
        if (tls_config(config, &tls) != ERR_OK) {
            log_error(NULL, "rpc credentials are malformed",
                      LOG_FIELDS(LOG_TEXT("url", config->url)));
            return ERR_MALFORMED;
        }
        result = nng_dialer_set_ptr(dialer, NNG_OPT_TLS_CONFIG, tls);
        nng_tls_config_free(tls); /* the dialer holds it */
    }
    if (result == 0)
        result = nng_dialer_start(dialer, NNG_FLAG_NONBLOCK);
    if (result == 0)
        return ERR_OK;
    log_error(
        NULL, "cannot dial",
        LOG_FIELDS(LOG_TEXT("url", config->url), LOG_TEXT("reason", nng_strerror(result))));
    return ERR_INVALID;
}

enum err rpc_client_new(struct loop *loop, const struct rpc_client_config *config,
                        struct rpc_client **out)
{
    struct rpc_client *client = calloc(1, sizeof(*client));

    CHECK(client != NULL && config->parallel_max > 0);
    *out = NULL;
    nng_tls_engine_use();
    client->loop = loop;
    client->timer_ms = UINT64_MAX;
    client->slots_max = config->parallel_max;
    client->slots = calloc(config->parallel_max, sizeof(struct rpc_slot *));
    CHECK(client->slots != NULL);
    client->need_node = rpc_url_is_tls(config->url);
    client->may_go_silent = !rpc_url_is_ipc(config->url);
    client->node_id = config->node_id;
    client->connected = config->connected;
    client->context = config->context;
    rpc_queue_init(&client->queue, loop, on_events, client);
    CHECK(nng_req0_open(&client->socket) == 0);
    rpc_socket_limits(client->socket);
    CHECK(nng_socket_set_ms(client->socket, NNG_OPT_REQ_RESENDTIME, RESEND_MS) == 0);
    CHECK(nng_pipe_notify(client->socket, NNG_PIPE_EV_ADD_PRE, on_pipe_new, client) == 0);
    CHECK(nng_pipe_notify(client->socket, NNG_PIPE_EV_REM_POST, on_pipe_gone, client) == 0);
    enum err err = dial(client, config);
    if (err == ERR_OK)
        *out = client;
    else
        rpc_client_free(&client);
    return err;
}

void rpc_client_free(struct rpc_client **pointer)
{
    struct rpc_client *client = *pointer;
    struct rpc_pending *call;

    if (client == NULL)
        return;
    *pointer = NULL;
    CHECK(!client->freed);
    client->freed = true;
    loop_timer_stop(&client->timer);
    nng_close(client->socket);
    for (unsigned i = 0; i < client->slots_count; i++) {
        nng_aio_stop(client->slots[i]->send);
        nng_aio_stop(client->slots[i]->receive);
    }
    while ((call = rpc_calls_earliest(&client->calls)) != NULL) {
        call->slot = NULL;
        finish(client, call, ERR_CLOSED, BYTES(""));
    }
    if (!client->calling_back)
        release(client);
}

uint64_t rpc_call(struct rpc_client *client, struct bytes body, uint64_t deadline_ms,
                  rpc_done *done, void *context)
{
    bool refused = body.len > RPC_MESSAGE_SIZE_MAX;
    uint64_t now_ms = clock_monotonic_ms();

    CHECK(!client->freed && deadline_ms <= RPC_DEADLINE_MAX_MS);
    struct rpc_pending *call =
        rpc_calls_add(&client->calls, refused ? now_ms : now_ms + deadline_ms);
    call->done = done;
    call->context = context;
    metric_add(METRIC_RPC_CALLS, 1);
    if (refused) {
        call->refused = ERR_TOOBIG;
    } else {
        call->message = rpc_message(body);
        rpc_calls_wait(&client->calls, call);
        start_waiting(client);
    }
    if (!client->calling_back)
        arm(client);
    return rpc_calls_ticket(call);
}

void rpc_cancel(struct rpc_client *client, uint64_t ticket)
{
    struct rpc_pending *call = rpc_calls_find(&client->calls, ticket);

    if (call == NULL)
        return;
    give_up(call);
    rpc_calls_drop(&client->calls, call);
}

bool rpc_client_connected(const struct rpc_client *client)
{
    return client->connection != 0;
}
