/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/client/client.h"

#include <sodium.h>
#include <stdlib.h>

#include "node/base/arena.h"
#include "node/base/buffer.h"
#include "node/base/check.h"
#include "node/runtime/rpc.h"
#include "storage/client/body_block.h"
#include "storage/schema/entry.h"

/* The store answers within the deadline it was given; this much later its answer is given up.
 */
#define ANSWER_GRACE_MS 1000

struct call {
    struct call *next;
    struct call **self; /* what points to this call */
    struct store_client *client;
    uint64_t ticket;
    store_done *done;
    void *context;
};

struct store_client {
    struct loop *loop;
    struct rpc_client *rpc;
    struct body_codec *codec;
    struct call *calls;
};

enum err store_client_new(struct loop *loop, const struct store_client_config *config,
                          struct store_client **client)
{
    struct store_client *made = calloc(1, sizeof(*made));
    const struct rpc_client_config rpc = {
        .url = config->url,
        .parallel_max = config->parallel_max,
        .connected = config->connected,
        .context = config->context,
    };

    CHECK(made != NULL);
    CHECK(sodium_init() >= 0);
    *client = NULL;
    made->loop = loop;
    enum err err = rpc_client_new(loop, &rpc, &made->rpc);
    if (err != ERR_OK) {
        free(made);
        return err;
    }
    made->codec = body_codec_new();
    *client = made;
    return ERR_OK;
}

void store_client_free(struct store_client **client)
{
    if (*client == NULL)
        return;
    rpc_client_free(&(*client)->rpc);
    CHECK((*client)->calls == NULL);
    body_codec_free(&(*client)->codec);
    free(*client);
    *client = NULL;
}

bool store_client_connected(const struct store_client *client)
{
    return rpc_client_connected(client->rpc);
}

struct loop *store_client_loop(const struct store_client *client)
{
    return client->loop;
}

struct body_codec *store_client_codec(struct store_client *client)
{
    return client->codec;
}

static void call_unlink(struct call *call)
{
    *call->self = call->next;
    if (call->next != NULL)
        call->next->self = call->self;
}

static void on_reply(void *context, enum err err, struct bytes bytes)
{
    struct call *call = context;
    struct arena reply_arena;
    Pr__Reply *reply = NULL;

    call_unlink(call);
    arena_init(&reply_arena);
    if (err == ERR_OK) {
        ProtobufCAllocator allocator = arena_allocator(&reply_arena);
        reply = pr__reply__unpack(&allocator, bytes.len, bytes.at);
        if (reply == NULL || reply->err >= ERR_COUNT) {
            reply = NULL;
            err = ERR_MALFORMED;
        }
    }
    call->done(call->context, err, reply);
    arena_fini(&reply_arena);
    free(call);
}

/* Carries what a client logs in with. */
static bool is_secret(const Pr__Request *request)
{
    return request->call_case == PR__REQUEST__CALL_AUTH_STEP ||
           request->call_case == PR__REQUEST__CALL_LOGIN;
}

uint64_t store_call(struct store_client *client, Pr__Request *request, unsigned deadline_ms,
                    store_done *done, void *context)
{
    struct call *call = calloc(1, sizeof(*call));
    struct buffer packed = BUFFER_EMPTY;

    CHECK(call != NULL);
    *call = (struct call){
        .next = client->calls,
        .self = &client->calls,
        .client = client,
        .done = done,
        .context = context,
    };
    if (client->calls != NULL)
        client->calls->self = &call->next;
    client->calls = call;

    request->deadline_ms = deadline_ms;
    message_pack(&request->base, &packed);
    uint64_t answer_ms = (uint64_t)deadline_ms + ANSWER_GRACE_MS;
    if (is_secret(request))
        call->ticket =
            rpc_call_secret(client->rpc, buffer_bytes(&packed), answer_ms, on_reply, call);
    else
        call->ticket = rpc_call(client->rpc, buffer_bytes(&packed), answer_ms, on_reply, call);
    if (is_secret(request))
        buffer_wipe(&packed);
    buffer_fini(&packed);
    return call->ticket;
}

void store_cancel(struct store_client *client, uint64_t ticket)
{
    for (struct call *call = client->calls; call != NULL; call = call->next) {
        if (call->ticket != ticket)
            continue;
        rpc_cancel(client->rpc, ticket);
        call_unlink(call);
        free(call);
        return;
    }
}

void store_random(void *memory, size_t len)
{
    randombytes_buf(memory, len);
}

struct request_id store_request_id(void)
{
    uint8_t random[10];

    store_random(random, sizeof(random));
    return request_id_make(clock_wall_ms(), random);
}
