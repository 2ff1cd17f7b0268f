/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * node/runtime/rpc.h in virtual time. A connection keeps its order; while a direction is cut
 * what was sent waits, as TCP's would, until the connection is given up. Then all that has no
 * answer is sent again over the next one, and what was under way may arrive nevertheless.
 */
#include <stdlib.h>

#include "node/runtime/rpc.h"
#include "tests/sim/service.h"

enum { BEAT_EVERY_MS = 60, HELD_MS = 40, GIVE_UP_PERMILLE = 40 };

struct call {
    struct call *next;
    struct rpc_client *client;
    uint64_t ticket;
    struct buffer body;
    rpc_done *done;
    void *context;
    struct loop_timer *deadline;
    unsigned sends;
};

struct rpc_client {
    struct rpc_client *next;
    struct loop *loop;
    uint64_t serial;
    char *url;
    bool up;
    uint64_t server; /* serial of the one at the other end */
    unsigned node;   /* where that is */
    uint64_t epoch;
    uint32_t connection;
    uint64_t last_ms[2]; /* what goes there, and comes back, arrives in order */
    struct loop_timer *beat;
    struct call *calls; /* the oldest first */
    uint64_t tickets;
    void (*connected)(void *context, bool up);
    void *context;
};

struct rpc_server {
    struct rpc_server *next;
    struct loop *loop;
    uint64_t serial;
    char *url;
    uint32_t uid;
    struct rpc_server_config config;
    struct rpc_request *requests;
};

struct rpc_request {
    struct rpc_request *next;
    struct rpc_request **self;
    struct rpc_server *server; /* NULL: it is gone */
    uint64_t client;
    uint64_t epoch;
    uint64_t ticket;
    struct buffer body;
};

/* A request or a reply under way. */
struct message {
    bool is_reply;
    uint64_t client;
    uint64_t server;
    uint64_t epoch;
    uint32_t connection;
    unsigned from;
    unsigned to;
    uint64_t ticket;
    struct buffer body;
};

struct rpc_answer rpc_answer;

static struct rpc_client *client_find(struct world *world, uint64_t serial)
{
    struct rpc_client *client = world->service->clients;

    while (client != NULL && client->serial != serial)
        client = client->next;
    return client;
}

static struct rpc_server *server_find(struct world *world, uint64_t serial)
{
    struct rpc_server *server = world->service->servers;

    while (server != NULL && server->serial != serial)
        server = server->next;
    return server;
}

static bool cut(const struct world *world, unsigned from, unsigned to)
{
    return from != to && world->links[from][to].cut;
}

/* ---- messages ---- */

static void message_drop(void *data)
{
    struct message *message = data;

    if (message == NULL)
        return;
    buffer_fini(&message->body);
    free(message);
}

static void arrive(struct world *world, struct event *event);

static void message_at(struct world *world, struct message *message, uint64_t at_ms)
{
    sim_at(world, (struct event){.at_ms = at_ms,
                                 .run = arrive,
                                 .node = message->to,
                                 .data = message,
                                 .drop = message_drop});
}

static void message_send(struct world *world, struct message *message, uint64_t *last_ms)
{
    uint64_t delay = message->from == message->to
                         ? sim_below(world, 2)
                         : 1 + sim_below(world, world->calm ? 5 : world->plan.delay_ms);

    if (world->now_ms + delay > *last_ms)
        *last_ms = world->now_ms + delay;
    sim_trace(world, message->body.end - message->body.start);
    message_at(world, message, *last_ms);
}

static void call_free(struct call *call)
{
    loop_timer_stop(&call->deadline);
    buffer_fini(&call->body);
    free(call);
}

static void call_unlink(struct call *call)
{
    struct call **at = &call->client->calls;

    while (*at != call)
        at = &(*at)->next;
    *at = call->next;
}

static void call_end(struct call *call, enum err err, struct bytes reply)
{
    rpc_done *done = call->done;
    void *context = call->context;

    call_unlink(call);
    rpc_answer = (struct rpc_answer){call->sends};
    call_free(call);
    done(context, err, reply);
}

static void arrive_reply(struct rpc_client *client, const struct message *message)
{
    struct call *call = client->calls;

    while (call != NULL && call->ticket != message->ticket)
        call = call->next;
    if (call != NULL)
        call_end(call, ERR_OK, buffer_bytes(&message->body));
}

static void arrive_request(struct rpc_server *server, struct message *message)
{
    struct rpc_request *request = calloc(1, sizeof(*request));
    struct rpc_peer peer = {
        .connection = message->connection,
        .node_id = message->from + 1,
        .uid = server->uid,
    };

    CHECK(request != NULL);
    *request = (struct rpc_request){
        .next = server->requests,
        .self = &server->requests,
        .server = server,
        .client = message->client,
        .epoch = message->epoch,
        .ticket = message->ticket,
        .body = message->body,
    };
    message->body = (struct buffer)BUFFER_EMPTY;
    if (request->next != NULL)
        request->next->self = &request->next;
    server->requests = request;
    server->config.handle(server->config.context, request, &peer, buffer_bytes(&request->body));
}

static void arrive(struct world *world, struct event *event)
{
    struct message *message = event->data;
    struct rpc_client *client = client_find(world, message->client);
    struct rpc_server *server = server_find(world, message->server);
    struct node *node = &world->nodes[message->to];
    bool current = client != NULL && client->epoch == message->epoch && client->up;

    if (node->paused_ms > world->now_ms ||
        (current && cut(world, message->from, message->to))) {
        uint64_t wait_ms =
            node->paused_ms > world->now_ms ? node->paused_ms - world->now_ms : HELD_MS;
        event->data = NULL;
        message_at(world, message, world->now_ms + wait_ms);
        return;
    }
    if (message->is_reply && current) {
        arrive_reply(client, message);
    } else if (!message->is_reply && server != NULL && !node->dying &&
               !cut(world, message->from, message->to) &&
               (current || sim_below(world, 2) == 0)) {
        world->stats->questions += message->from != message->to;
        arrive_request(server, message);
    }
    node_wake(node);
}

/* ---- connections ---- */

static void call_send(struct call *call)
{
    struct rpc_client *client = call->client;
    struct world *world = loop_world(client->loop);
    unsigned from = loop_node(client->loop);
    struct message *message = calloc(1, sizeof(*message));

    CHECK(message != NULL);
    call->sends++;
    *message = (struct message){
        .client = client->serial,
        .server = client->server,
        .epoch = client->epoch,
        .connection = client->connection,
        .from = from,
        .to = client->node,
        .ticket = call->ticket,
    };
    buffer_add(&message->body, buffer_bytes(&call->body));
    if (from != client->node && !node_effect(&world->nodes[from]))
        message_drop(message);
    else
        message_send(world, message, &client->last_ms[0]);
}

static void connection_lost(struct rpc_client *client)
{
    client->up = false;
    client->epoch++;
    if (client->connected != NULL)
        client->connected(client->context, false);
}

static void connect_try(struct rpc_client *client)
{
    struct world *world = loop_world(client->loop);
    unsigned from = loop_node(client->loop);
    struct rpc_server *server = world->service->servers;

    while (server != NULL && strcmp(server->url, client->url) != 0)
        server = server->next;
    if (server == NULL)
        return;
    unsigned to = loop_node(server->loop);
    if (cut(world, from, to) || cut(world, to, from) || world->nodes[to].dying)
        return;
    client->up = true;
    client->server = server->serial;
    client->node = to;
    client->epoch++;
    client->connection = (uint32_t)++world->service->serial;
    for (struct call *call = client->calls; call != NULL; call = call->next)
        call_send(call);
    if (client->connected != NULL)
        client->connected(client->context, true);
}

static void disconnected(struct rpc_server *server, uint32_t connection)
{
    if (server != NULL && server->config.disconnected != NULL)
        server->config.disconnected(server->config.context, connection);
}

/* The end of a process is noticed soon; that of a line when somebody loses his patience. */
static void on_beat(void *context)
{
    struct rpc_client *client = context;
    struct world *world = loop_world(client->loop);
    unsigned from = loop_node(client->loop);
    bool is_cut =
        client->up && (cut(world, from, client->node) || cut(world, client->node, from));

    if (!client->up)
        connect_try(client);
    else if (!is_cut && server_find(world, client->server) == NULL)
        connection_lost(client);
    else if (is_cut && sim_chance(world, GIVE_UP_PERMILLE))
        connection_lost(client);
}

/* ---- node/runtime/rpc.h: the one who asks ---- */

enum err rpc_client_new(struct loop *loop, const struct rpc_client_config *config,
                        struct rpc_client **made)
{
    struct world *world = loop_world(loop);
    struct rpc_client *client = calloc(1, sizeof(*client));

    CHECK(client != NULL);
    client->loop = loop;
    client->serial = ++world->service->serial;
    client->url = strdup(config->url);
    CHECK(client->url != NULL);
    client->connected = config->connected;
    client->context = config->context;
    client->next = world->service->clients;
    world->service->clients = client;
    client->beat = loop_timer_start(loop, 1 + sim_below(world, BEAT_EVERY_MS), BEAT_EVERY_MS,
                                    on_beat, client);
    *made = client;
    return ERR_OK;
}

void rpc_client_free(struct rpc_client **client)
{
    struct rpc_client *ending = *client;

    if (ending == NULL)
        return;
    struct world *world = loop_world(ending->loop);
    struct rpc_client **at = &world->service->clients;

    *client = NULL;
    loop_timer_stop(&ending->beat);
    while (ending->calls != NULL)
        call_end(ending->calls, ERR_CLOSED, bytes_from(NULL, 0));
    if (ending->up)
        disconnected(server_find(world, ending->server), ending->connection);
    while (*at != ending)
        at = &(*at)->next;
    *at = ending->next;
    free(ending->url);
    free(ending);
}

static void on_deadline(void *context)
{
    struct call *call = context;

    call->deadline = NULL;
    call_end(call, ERR_TIMEOUT, bytes_from(NULL, 0));
}

uint64_t rpc_call(struct rpc_client *client, struct bytes body, uint64_t deadline_ms,
                  rpc_done *done, void *context)
{
    struct call *call = calloc(1, sizeof(*call));
    struct call **last = &client->calls;

    CHECK(call != NULL && body.len <= RPC_MESSAGE_SIZE_MAX);
    call->client = client;
    call->ticket = ++client->tickets;
    call->done = done;
    call->context = context;
    buffer_add(&call->body, body);
    while (*last != NULL)
        last = &(*last)->next;
    *last = call;
    call->deadline = loop_timer_start(client->loop, deadline_ms, 0, on_deadline, call);
    if (client->up)
        call_send(call);
    return call->ticket;
}

uint64_t rpc_call_secret(struct rpc_client *client, struct bytes body, uint64_t deadline_ms,
                         rpc_done *done, void *context)
{
    return rpc_call(client, body, deadline_ms, done, context);
}

void rpc_cancel(struct rpc_client *client, uint64_t ticket)
{
    struct call *call = client->calls;

    while (call != NULL && call->ticket != ticket)
        call = call->next;
    if (call == NULL)
        return;
    call_unlink(call);
    call_free(call);
}

bool rpc_client_connected(const struct rpc_client *client)
{
    return client->up;
}

uint64_t rpc_client_connects(const struct rpc_client *client)
{
    return client->epoch;
}

/* ---- and the one who answers ---- */

enum err rpc_server_new(struct loop *loop, const struct rpc_server_config *config,
                        struct rpc_server **made)
{
    struct world *world = loop_world(loop);
    struct rpc_server *server = calloc(1, sizeof(*server));

    CHECK(server != NULL);
    server->loop = loop;
    server->serial = ++world->service->serial;
    server->url = strdup(config->url);
    CHECK(server->url != NULL);
    server->uid = config->uid == UINT32_MAX ? 0 : config->uid;
    server->config = *config;
    server->next = world->service->servers;
    world->service->servers = server;
    *made = server;
    return ERR_OK;
}

void rpc_server_free(struct rpc_server **server)
{
    struct rpc_server *ending = *server;

    if (ending == NULL)
        return;
    struct rpc_server **at = &loop_world(ending->loop)->service->servers;

    *server = NULL;
    for (struct rpc_request *request = ending->requests; request != NULL;
         request = request->next)
        request->server = NULL;
    if (ending->requests != NULL)
        ending->requests->self = NULL;
    while (*at != ending)
        at = &(*at)->next;
    *at = ending->next;
    free(ending->url);
    free(ending);
}

static void request_free(struct rpc_request *request)
{
    if (request->self != NULL)
        *request->self = request->next;
    if (request->next != NULL)
        request->next->self = request->self;
    buffer_fini(&request->body);
    free(request);
}

void rpc_wipe(struct rpc_request *request)
{
    memset(request->body.memory + request->body.start, 0, buffer_len(&request->body));
}

void rpc_reply(struct rpc_request *request, struct bytes body)
{
    struct rpc_server *server = request->server;
    struct world *world = server != NULL ? loop_world(server->loop) : NULL;
    struct rpc_client *client = world != NULL ? client_find(world, request->client) : NULL;
    unsigned node = server != NULL ? loop_node(server->loop) : 0;

    CHECK(body.len <= RPC_MESSAGE_SIZE_MAX);
    if (client != NULL && world->nodes[node].up && node_effect(&world->nodes[node])) {
        struct message *message = calloc(1, sizeof(*message));
        CHECK(message != NULL);
        *message = (struct message){
            .is_reply = true,
            .client = request->client,
            .server = server->serial,
            .epoch = request->epoch,
            .from = node,
            .to = loop_node(client->loop),
            .ticket = request->ticket,
        };
        buffer_add(&message->body, body);
        message_send(world, message, &client->last_ms[1]);
    }
    request_free(request);
}
