/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Letters are sent as SMTP does it: uploaded first when they are long, and sent again at
 * another node, under the same id, when nobody has answered. */
#include <stdlib.h>

#include "storage/schema/entry.h"
#include "storage/schema/flags.h"
#include "storage/schema/request_id.h"
#include "tests/sim/people.h"

enum {
    ATTEMPTS_MAX = 3,
    FRAME_BYTES = 120,
    RANDOM_SIZE = 10,
};

struct delivery {
    struct world *world;
    struct letter *letter;
    struct arena arena;
    Pr__Request *request;
    unsigned node;
    unsigned attempts;
    unsigned block; /* of an upload; all of them are there: LONG_BLOCKS */
    bool is_long;
};

enum { LONG_BLOCKS = 2 };

struct letter *letter_new(struct world *world, unsigned recipients, unsigned first)
{
    struct people *people = world->service->people;
    struct letter *letter = calloc(1, sizeof(*letter));

    CHECK(letter != NULL);
    if (people->letter_count == people->letter_room) {
        people->letter_room = people->letter_room > 0 ? 2 * people->letter_room : 256;
        people->letters =
            realloc(people->letters, people->letter_room * sizeof(struct letter *));
        CHECK(people->letters != NULL);
    }
    people->letters[people->letter_count++] = letter;
    letter->number = people->letter_count;
    letter->recipients = recipients;
    letter->first = first;
    letter->begun = people_moment(world);
    letter->begun_ms = world->now_ms;
    letter->ended = LATER;
    CHECK(letter->number < BODY_BLOCK_SIZE);
    return letter;
}

static ProtobufCBinaryData random_field(struct world *world, struct arena *arena, size_t len)
{
    uint8_t *at = arena_alloc(arena, len);

    for (size_t i = 0; i < len; i++)
        at[i] = (uint8_t)sim_random(world);
    return (ProtobufCBinaryData){len, at};
}

Pr__Body *letter_body(struct world *world, const struct letter *letter, bool is_long,
                      struct arena *arena)
{
    Pr__Body *body = arena_alloc(arena, sizeof(*body));

    pr__body__init(body);
    body->digest = random_field(world, arena, 32);
    body->summary = field_of_bytes(BYTES("summary"));
    body->size = letter->number;
    body->block_count = 1;
    if (is_long) {
        body->size += (uint64_t)(LONG_BLOCKS - 1) * BODY_BLOCK_SIZE;
        body->block_count = LONG_BLOCKS;
        body->upload_id = random_field(world, arena, REQUEST_ID_SIZE);
        return body;
    }
    body->n_blocks = 1;
    body->blocks = arena_alloc(arena, sizeof(*body->blocks));
    body->blocks[0] = random_field(world, arena, 1 + sim_below(world, FRAME_BYTES));
    return body;
}

ProtobufCBinaryData letter_request_id(struct world *world, unsigned node, struct arena *arena)
{
    ProtobufCBinaryData random = random_field(world, arena, RANDOM_SIZE);
    struct request_id id = request_id_make(node_wall_ms(world, node), random.data);

    return field_of_bytes(arena_copy(arena, bytes_from(id.bytes, sizeof(id.bytes))));
}

/*
 * A store that says anything else than that it does not know has made sure that the request
 * takes no effect (write.c), unless it may not know that the request was there before.
 */
bool letter_never(const Pr__Reply *reply)
{
    return reply != NULL && rpc_answer.sends == 1 && reply->err != ERR_UNKNOWN;
}

void letter_end(struct world *world, struct letter *letter, enum letter_state state)
{
    CHECK(letter->state == LETTER_OPEN);
    letter->state = state;
    letter->ended = people_moment(world);
    if (state != LETTER_DONE && letter->begun_ms > world->service->people->calm_from_ms)
        sim_fail(world, "LIVENESS: letter %llu is not taken",
                 (unsigned long long)letter->number);
    if (state == LETTER_UNKNOWN)
        world->stats->unknown++;
    if (state != LETTER_NEVER)
        return;
    world->stats->refused++;
    for (unsigned account = 1; account <= ACCOUNTS; account++)
        if (letter->uids[account] != 0)
            sim_fail(world, "GHOST: letter %llu is said never to be, and was seen",
                     (unsigned long long)letter->number);
}

static void delivery_end(struct delivery *delivery, enum letter_state state)
{
    /* Blocks may be asked for again at any time, when the account has moved. */
    if (delivery->is_long)
        delivery->letter->begun_ms = 0;
    letter_end(delivery->world, delivery->letter, state);
    arena_fini(&delivery->arena);
    free(delivery);
}

static void delivery_try(struct delivery *delivery);

static void on_block(void *context, const Pr__Reply *reply)
{
    struct delivery *delivery = context;

    if (reply == NULL || reply->err != ERR_OK) {
        delivery_end(delivery, LETTER_NEVER); /* it was never sent itself */
        return;
    }
    delivery->block++;
    delivery->world->stats->uploads += delivery->block == LONG_BLOCKS;
    delivery_try(delivery);
}

static void block_send(struct delivery *delivery)
{
    Pr__Request request = PR__REQUEST__INIT;
    Pr__UploadCall upload = PR__UPLOAD_CALL__INIT;

    upload.account_id = delivery->letter->first;
    upload.upload_id = delivery->request->deliver->body->upload_id;
    upload.number = delivery->block;
    upload.data = random_field(delivery->world, &delivery->arena,
                               1 + sim_below(delivery->world, FRAME_BYTES));
    request.deadline_ms = delivery->request->deadline_ms;
    request.call_case = PR__REQUEST__CALL_UPLOAD;
    request.upload = &upload;
    front_call(delivery->world, delivery->node, ROLE_SMTP, &request, on_block, delivery);
}

static void again(struct world *world, struct event *event)
{
    struct delivery *delivery = event->data;

    event->data = NULL;
    delivery->node = front_node(world);
    world->stats->repeated++;
    delivery_try(delivery);
}

static void delivery_drop(void *data)
{
    struct delivery *delivery = data;

    if (delivery == NULL)
        return;
    arena_fini(&delivery->arena);
    free(delivery);
}

static void on_answer(void *context, const Pr__Reply *reply)
{
    struct delivery *delivery = context;
    struct world *world = delivery->world;

    world->stats->calls_again += rpc_answer.sends > 1;
    if (world->verbose && (reply == NULL || reply->err != ERR_OK))
        printf("t=%llu letter %llu on node %u: %s\n", (unsigned long long)world->now_ms,
               (unsigned long long)delivery->letter->number, delivery->node + 1,
               reply != NULL ? err_name((enum err)reply->err) : "no answer");
    if (world->failure[0] != '\0') {
        delivery_drop(delivery);
    } else if (reply != NULL && reply->err == ERR_OK) {
        world->stats->delivered++;
        delivery_end(delivery, LETTER_DONE);
    } else if (delivery->attempts < ATTEMPTS_MAX && !delivery->is_long &&
               sim_below(world, reply == NULL ? 4 : 2) != 0) {
        sim_at(world, (struct event){.at_ms = world->now_ms + 1 + sim_below(world, 800),
                                     .run = again,
                                     .data = delivery,
                                     .drop = delivery_drop});
    } else if (delivery->attempts == 1 && letter_never(reply)) {
        delivery_end(delivery, LETTER_NEVER);
    } else {
        delivery_end(delivery, LETTER_UNKNOWN);
    }
}

static void delivery_try(struct delivery *delivery)
{
    if (delivery->is_long && delivery->block < LONG_BLOCKS) {
        block_send(delivery);
        return;
    }
    delivery->attempts++;
    front_call(delivery->world, delivery->node, ROLE_SMTP, delivery->request, on_answer,
               delivery);
}

/* Mostly one account, and now and then some more. */
static void accounts_choose(struct world *world, struct delivery *delivery,
                            Pr__DeliverCall *call)
{
    unsigned count = sim_below(world, 3) != 0 ? 1 : 2 + (unsigned)sim_below(world, 2);
    unsigned recipients = 0;

    call->account_ids = arena_alloc(&delivery->arena, count * sizeof(*call->account_ids));
    while (call->n_account_ids < count) {
        unsigned account = 1 + (unsigned)sim_below(world, ACCOUNTS);
        if (recipients >> account & 1)
            continue;
        recipients |= 1U << account;
        call->account_ids[call->n_account_ids++] = account;
    }
    delivery->letter = letter_new(world, recipients, (unsigned)call->account_ids[0]);
}

void letter_send(struct world *world)
{
    struct delivery *delivery = calloc(1, sizeof(*delivery));

    CHECK(delivery != NULL);
    delivery->world = world;
    arena_init(&delivery->arena);
    delivery->node = front_node(world);
    delivery->is_long = sim_below(world, 12) == 0;
    Pr__Request *request = arena_alloc(&delivery->arena, sizeof(*request));
    Pr__DeliverCall *call = arena_alloc(&delivery->arena, sizeof(*call));
    pr__request__init(request);
    pr__deliver_call__init(call);
    accounts_choose(world, delivery, call);
    call->body = letter_body(world, delivery->letter, delivery->is_long, &delivery->arena);
    request->request_id = letter_request_id(world, delivery->node, &delivery->arena);
    request->deadline_ms = world->calm ? 15000 : 300 + (uint32_t)sim_below(world, 8000);
    request->call_case = PR__REQUEST__CALL_DELIVER;
    request->deliver = call;
    delivery->request = request;
    delivery_try(delivery);
}
