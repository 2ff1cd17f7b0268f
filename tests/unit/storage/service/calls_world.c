/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/storage/service/calls_world.h"

#include <stdlib.h>

#include "node/base/check.h"
#include "storage/query/directory.h"
#include "storage/schema/entry.h"
#include "storage/service/route.h"
#include "storage/service/sessions.h"

struct calls_heard heard;

/* ---- the end of a call ---- */

void call_reply_packed(struct service_call *call, struct bytes reply)
{
    ProtobufCAllocator allocator = arena_allocator(&world.lab->arena);

    heard.count++;
    heard.reply = pr__reply__unpack(&allocator, reply.len, reply.at);
    CHECK(heard.reply != NULL);
    arena_fini(&call->call_arena);
    free(call);
}

void call_reply(struct service_call *call, Pr__Reply *reply)
{
    struct buffer packed = BUFFER_EMPTY;

    message_pack(&reply->base, &packed);
    call_reply_packed(call, buffer_bytes(&packed));
    buffer_fini(&packed);
}

void call_fail(struct service_call *call, enum err err, const char *text)
{
    Pr__Reply reply = PR__REPLY__INIT;

    CHECK(err != ERR_OK);
    reply.err = err;
    reply.text = arena_string(&call->call_arena, bytes_of(text != NULL ? text : err_text(err)));
    call_reply(call, &reply);
}

void call_outcome(struct service_call *call, enum err err, const Pr__Outcome *outcome)
{
    Pr__Reply reply = PR__REPLY__INIT;

    if (err != ERR_OK) {
        call_fail(call, err, NULL);
        return;
    }
    Pr__Outcome copy = *outcome;
    reply.err = outcome->err;
    reply.text = outcome->text;
    reply.outcome = &copy;
    call_reply(call, &reply);
}

/* ---- commands ---- */

static void on_call_written(void *context, enum err err, const Pr__Outcome *outcome,
                            uint64_t index)
{
    (void)index;
    call_outcome(context, err, outcome);
}

void write_call(struct service_call *call, uint32_t group, Pr__Command *command)
{
    command->request_id = call->request->request_id;
    write_start(call->service, group, command, call->deadline_ms, on_call_written, call);
}

struct routed {
    struct route_request request;
    uint32_t group;
};

static void on_routed(void *context, enum err err, const Pr__Outcome *outcome, uint64_t index)
{
    struct routed routed = *(struct routed *)context;

    free(context);
    routed.request.done(routed.request.context, err, outcome, index, routed.group);
}

void route_write(const struct route_request *request)
{
    struct routed *routed = malloc(sizeof(*routed));
    struct db_txn *txn = service_directory_begin(request->service);
    struct arena arena;
    struct bytes address;

    CHECK(routed != NULL);
    *routed = (struct routed){.request = *request};
    arena_init(&arena);
    bool good =
        directory_account_by_id(txn, request->account_id, &arena, &address, &routed->group) &&
        (request->adapt == NULL || request->adapt(request->context, txn, routed->group));
    arena_fini(&arena);
    db_abort(&txn);
    if (!good) {
        on_routed(routed, ERR_NOTFOUND, NULL, 0);
        return;
    }
    request->command->request_id = field_of_bytes(request->request_id);
    write_start(request->service, routed->group, request->command, request->deadline_ms,
                on_routed, routed);
}

/* ---- the beginning ---- */

Pr__Request *calls_request(Pr__Request__CallCase call)
{
    Pr__Request *request = arena_alloc(&world.lab->arena, sizeof(*request));

    pr__request__init(request);
    request->call_case = call;
    return request;
}

void calls_identify(Pr__Request *request)
{
    request->request_id = lab_id(world.lab);
}

void calls_send(enum service_role role, uint32_t connection, Pr__Request *request,
                void (*handle)(struct service_call *call))
{
    struct service_call *call = calloc(1, sizeof(*call));
    struct buffer packed = BUFFER_EMPTY;

    CHECK(call != NULL);
    *call = (struct service_call){
        .service = &world.service,
        .role = role,
        .connection = connection,
        .deadline_ms = world.now_ms + CALLS_MS,
        .session_id = request->session,
    };
    arena_init(&call->call_arena);
    ProtobufCAllocator allocator = arena_allocator(&call->call_arena);
    message_pack(&request->base, &packed);
    call->request = pr__request__unpack(&allocator, buffer_len(&packed), packed.memory);
    CHECK(call->request != NULL);
    buffer_fini(&packed);
    if (call->session_id != 0) {
        call->session = session_find(world.service.sessions, connection, call->session_id);
        CHECK(call->session != NULL);
    }
    handle(call);
}

enum err calls_ask(enum service_role role, uint32_t connection, Pr__Request *request,
                   void (*handle)(struct service_call *call))
{
    unsigned before = heard.count;

    calls_send(role, connection, request, handle);
    world_run(world.now_ms);
    CHECK(heard.count == before + 1);
    return (enum err)heard.reply->err;
}
