/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "unit/smtp/fake_store.h"

#include <stdio.h>
#include <stdlib.h>

#include "node/base/arena.h"
#include "node/base/check.h"
#include "storage/client/body_block.h"
#include "storage/schema/entry.h"

struct fake_store fake_store;

struct call {
    struct call *next;
    uint64_t ticket;
    Pr__Request *request;
    struct arena call_arena;
    store_done *done;
    void *context;
    bool held;
    bool late; /* its session had ended when it was made */
};

struct upload {
    struct upload *next;
    uint8_t id[REQUEST_ID_SIZE];
    uint64_t account_id; /* whose group has the blocks */
    struct buffer body;
};

struct store_client {
    struct loop *loop;
    struct body_codec *codec;
    struct call *calls;
    struct upload *uploads;
    uint64_t ticket_newest;
    unsigned random;
    bool timer_set;
};

static struct store_client *the_client;

struct store_client *fake_store_open(struct loop *loop)
{
    CHECK(the_client == NULL);
    the_client = calloc(1, sizeof(*the_client));
    CHECK(the_client != NULL);
    the_client->loop = loop;
    the_client->codec = body_codec_new();
    for (unsigned i = 0; i < FAKE_DELIVERIES_MAX; i++) {
        buffer_fini(&fake_store.deliveries[i].body);
        buffer_fini(&fake_store.deliveries[i].packed);
        for (unsigned j = 0; j < FAKE_PARTS_MAX; j++)
            buffer_fini(&fake_store.deliveries[i].part_bodies[j]);
    }
    memset(&fake_store, 0, sizeof(fake_store));
    return the_client;
}

static void call_free(struct call *call)
{
    arena_wipe(&call->call_arena);
    free(call);
}

void fake_store_close(struct store_client **client)
{
    while ((*client)->calls != NULL) {
        struct call *call = (*client)->calls;
        (*client)->calls = call->next;
        call->done(call->context, ERR_CLOSED, NULL);
        call_free(call);
    }
    while ((*client)->uploads != NULL) {
        struct upload *upload = (*client)->uploads;
        (*client)->uploads = upload->next;
        buffer_fini(&upload->body);
        free(upload);
    }
    body_codec_free(&(*client)->codec);
    free(*client);
    *client = NULL;
    the_client = NULL;
}

static struct upload *find_upload(struct store_client *client, ProtobufCBinaryData id)
{
    CHECK(id.len == REQUEST_ID_SIZE);
    for (struct upload *upload = client->uploads; upload != NULL; upload = upload->next)
        if (memcmp(upload->id, id.data, REQUEST_ID_SIZE) == 0)
            return upload;
    struct upload *upload = calloc(1, sizeof(*upload));
    CHECK(upload != NULL);
    memcpy(upload->id, id.data, REQUEST_ID_SIZE);
    upload->next = client->uploads;
    client->uploads = upload;
    fake_store.uploads++;
    return upload;
}

static void forget_upload(struct store_client *client, ProtobufCBinaryData id)
{
    struct upload *upload = find_upload(client, id);
    struct upload **at = &client->uploads;

    while (*at != upload)
        at = &(*at)->next;
    *at = upload->next;
    fake_store.uploads--;
    buffer_fini(&upload->body);
    free(upload);
}

/* The text of one wording. */
static void take_body(struct store_client *client, const Pr__Body *body, struct buffer *text)
{
    buffer_clear(text);
    if (body->upload_id.len > 0)
        buffer_add(text, buffer_bytes(&find_upload(client, body->upload_id)->body));
    for (size_t i = 0; i < body->n_blocks; i++)
        CHECK(body_block_expand(client->codec, bytes_of_field(body->blocks[i]), text) ==
              ERR_OK);
    CHECK(body->size == buffer_len(text));
    if (body->upload_id.len > 0)
        forget_upload(client, body->upload_id);
}

static void deliver(struct store_client *client, const Pr__Request *request)
{
    const Pr__DeliverCall *call = request->deliver;
    uint64_t home = call->n_account_ids > 0 ? call->account_ids[0] : 0;
    unsigned number = fake_store.delivery_count++;
    struct fake_delivery *delivery =
        &fake_store.deliveries[number < FAKE_DELIVERIES_MAX ? number : FAKE_DELIVERIES_MAX - 1];
    struct request_id id;

    CHECK(request->request_id.len == REQUEST_ID_SIZE);
    memcpy(id.bytes, request->request_id.data, REQUEST_ID_SIZE);
    request_id_format(&id, delivery->trace_id);
    CHECK(call->n_account_ids <= 8 && call->n_parts <= FAKE_PARTS_MAX);
    delivery->account_count = call->n_account_ids;
    if (call->n_account_ids > 0)
        memcpy(delivery->accounts, call->account_ids, call->n_account_ids * sizeof(uint64_t));
    buffer_clear(&delivery->packed);
    message_pack(&request->base, &delivery->packed);
    for (size_t i = 0; i < call->n_parts && home == 0; i++)
        if (call->parts[i]->n_account_ids > 0)
            home = call->parts[i]->account_ids[0];
    for (size_t i = 0; i <= call->n_parts && request->session == 0; i++) {
        const Pr__Body *body = i == 0 ? call->body : call->parts[i - 1]->body;
        if (body->upload_id.len > 0 && find_upload(client, body->upload_id)->account_id != home)
            fake_store.strangers++;
    }
    take_body(client, call->body, &delivery->body);
    delivery->part_count = call->n_parts;
    for (size_t i = 0; i < call->n_parts; i++)
        take_body(client, call->parts[i]->body, &delivery->part_bodies[i]);
}

static enum err judge(struct bytes password, Pr__AuthStepAnswer *answer)
{
    static char address[] = "ann@here.test";
    static uint8_t digest[32] = {1, 2, 3};

    answer->account_digest = 4711;
    if (fake_store.login_err != ERR_OK)
        return fake_store.login_err;
    if (!bytes_equal(password, BYTES("right"))) {
        answer->secret_digest = (ProtobufCBinaryData){sizeof(digest), digest};
        return ERR_DENIED;
    }
    answer->session = FAKE_SESSION;
    answer->address = address;
    answer->account_id = 4;
    answer->recipients_max = 3;
    answer->bars = fake_store.barred ? PR__ACCOUNT_BAR__BAR_SEND : 0;
    answer->hide_client = fake_store.hide_client;
    fake_store.logins++;
    return ERR_OK;
}

/* PLAIN in one step, LOGIN in three. */
static enum err auth_step(struct call *call, Pr__AuthStepAnswer *answer)
{
    static uint8_t asks[2][10] = {"Username:", "Password:"};
    static unsigned asked;
    const Pr__AuthStep *step = call->request->auth_step;
    struct bytes message = bytes_of_field(step->message);

    CHECK(step->tls);
    snprintf(fake_store.login_peer, sizeof(fake_store.login_peer), "%s", step->peer_address);
    if (step->exchange == 0 && strcmp(step->mechanism, "PLAIN") == 0) {
        struct bytes name = bytes_skip(message, 1);
        return judge(bytes_skip(name, bytes_find(name, '\0') + 1), answer);
    }
    asked = step->exchange == 0 ? 0 : asked;
    if (asked == 2)
        return judge(message, answer);
    answer->exchange = FAKE_EXCHANGE;
    answer->challenge = (ProtobufCBinaryData){9, asks[asked++]};
    return ERR_OK;
}

static void may_send(struct call *call, Pr__MaySendAnswer *answer)
{
    const Pr__MaySend *asked = call->request->may_send;

    answer->n_allowed = asked->n_addresses;
    answer->allowed =
        arena_alloc(&call->call_arena, asked->n_addresses * sizeof(*answer->allowed));
    for (size_t i = 0; i < asked->n_addresses; i++)
        answer->allowed[i] = strcmp(asked->addresses[i], "ann@here.test") == 0 ||
                             strcmp(asked->addresses[i], "team@here.test") == 0;
}

/* Of a submission. */
static enum err answer_submission(struct call *call, Pr__Reply *reply)
{
    struct arena *arena = &call->call_arena;

    switch (call->request->call_case) {
    case PR__REQUEST__CALL_AUTH_STEP:
        reply->auth_step = arena_alloc(arena, sizeof(*reply->auth_step));
        pr__auth_step_answer__init(reply->auth_step);
        reply->answer_case = PR__REPLY__ANSWER_AUTH_STEP;
        reply->err = auth_step(call, reply->auth_step);
        return ERR_OK;
    case PR__REQUEST__CALL_LOGOUT:
        CHECK(call->request->session == FAKE_SESSION);
        return ERR_OK;
    default:
        CHECK(call->request->call_case == PR__REQUEST__CALL_MAY_SEND);
        CHECK(call->request->session == FAKE_SESSION);
        reply->may_send = arena_alloc(arena, sizeof(*reply->may_send));
        pr__may_send_answer__init(reply->may_send);
        reply->answer_case = PR__REPLY__ANSWER_MAY_SEND;
        may_send(call, reply->may_send);
        return ERR_OK;
    }
}

static enum err answer_call(struct store_client *client, struct call *call, Pr__Reply *reply,
                            Pr__ResolveAnswer *answer)
{
    const Pr__Request *request = call->request;
    enum err err;

    if (fake_store.answers != NULL && fake_store.answers(request, reply, &err))
        return err;
    if (request->session != 0 && (fake_store.session_lost || call->late)) {
        reply->err = ERR_NOSESSION;
        return ERR_OK;
    }
    switch (request->call_case) {
    case PR__REQUEST__CALL_RESOLVE:
        reply->err = fake_resolve(request, &call->call_arena, answer);
        reply->answer_case = PR__REPLY__ANSWER_RESOLVE;
        reply->resolve = answer;
        return ERR_OK;
    case PR__REQUEST__CALL_UPLOAD:
        find_upload(client, request->upload->upload_id)->account_id =
            request->upload->account_id;
        CHECK(body_block_expand(client->codec, bytes_of_field(request->upload->data),
                                &find_upload(client, request->upload->upload_id)->body) ==
              ERR_OK);
        return ERR_OK;
    case PR__REQUEST__CALL_UPLOAD_ABORT:
        fake_store.aborts++;
        forget_upload(client, request->upload_abort->upload_id);
        return ERR_OK;
    case PR__REQUEST__CALL_DELIVER:
        fake_store.deadline_ms = request->deadline_ms;
        reply->err = fake_store.reply_err;
        if (fake_store.call_err == ERR_OK && fake_store.reply_err == ERR_OK)
            deliver(client, request);
        return fake_store.call_err;
    default:
        return answer_submission(call, reply);
    }
}

static bool is_held(const struct call *call)
{
    if (fake_store.holds != NULL && fake_store.holds(call->request))
        return true;
    switch (call->request->call_case) {
    case PR__REQUEST__CALL_AUTH_STEP:
        return fake_store.hold_logins;
    case PR__REQUEST__CALL_MAY_SEND:
        return fake_store.hold_rights;
    case PR__REQUEST__CALL_DELIVER:
        return fake_store.hold_deliveries;
    case PR__REQUEST__CALL_UPLOAD:
        return fake_store.hold_uploads;
    case PR__REQUEST__CALL_RESOLVE:
        return fake_store.hold_lookups;
    default:
        return false;
    }
}

static void answer_all(void *context)
{
    struct store_client *client = context;
    unsigned held = 0;

    client->timer_set = false;
    for (struct call **at = &client->calls; *at != NULL;) {
        struct call *call = *at;
        if (is_held(call)) {
            held++;
            at = &call->next;
            continue;
        }
        *at = call->next;
        Pr__Reply reply;
        Pr__ResolveAnswer answer;
        pr__reply__init(&reply);
        pr__resolve_answer__init(&answer);
        enum err err = answer_call(client, call, &reply, &answer);
        call->done(call->context, err, err == ERR_OK ? &reply : NULL);
        call_free(call);
        at = &client->calls; /* the callback may have changed the list */
        held = 0;
    }
    fake_store.held = held;
}

static void wake(struct store_client *client)
{
    if (!client->timer_set)
        loop_timer_start(client->loop, 0, 0, answer_all, client);
    client->timer_set = true;
}

void fake_store_release(void *context)
{
    (void)context;
    fake_store.hold_deliveries = false;
    fake_store.hold_uploads = false;
    fake_store.hold_lookups = false;
    fake_store.hold_logins = false;
    fake_store.hold_rights = false;
    wake(the_client);
}

void fake_store_wake(void)
{
    wake(the_client);
}

/* ---- storage/client/client.h ---- */

enum err store_client_new(struct loop *loop, const struct store_client_config *config,
                          struct store_client **client)
{
    (void)config;
    *client = fake_store_open(loop);
    return ERR_OK;
}

void store_client_free(struct store_client **client)
{
    fake_store_close(client);
}

bool store_client_connected(const struct store_client *client)
{
    return client != NULL;
}

struct loop *store_client_loop(const struct store_client *client)
{
    return client->loop;
}

struct body_codec *store_client_codec(struct store_client *client)
{
    return client->codec;
}

uint64_t store_call(struct store_client *client, Pr__Request *request, unsigned deadline_ms,
                    store_done *done, void *context)
{
    struct call *call = calloc(1, sizeof(*call));
    struct buffer packed = BUFFER_EMPTY;
    struct call **end = &client->calls;

    CHECK(call != NULL);
    arena_init(&call->call_arena);
    ProtobufCAllocator allocator = arena_allocator(&call->call_arena);
    request->deadline_ms = deadline_ms;
    message_pack(&request->base, &packed);
    call->request =
        pr__request__unpack(&allocator, buffer_len(&packed), buffer_bytes(&packed).at);
    CHECK(call->request != NULL);
    buffer_wipe(&packed);
    call->late = request->session != 0 && fake_store.logouts == fake_store.logins;
    if (request->call_case == PR__REQUEST__CALL_LOGOUT)
        fake_store.logouts++; /* asked for is enough: nobody waits for the answer */
    call->ticket = ++client->ticket_newest;
    call->done = done;
    call->context = context;
    while (*end != NULL)
        end = &(*end)->next;
    *end = call;
    wake(client);
    return call->ticket;
}

void store_cancel(struct store_client *client, uint64_t ticket)
{
    for (struct call **at = &client->calls; *at != NULL; at = &(*at)->next) {
        struct call *call = *at;
        if (call->ticket != ticket)
            continue;
        *at = call->next;
        call_free(call);
        fake_store.cancelled++;
        return;
    }
}

struct request_id store_request_id(void)
{
    static uint64_t number;
    uint8_t random[10] = {1, 2};

    number++;
    memcpy(random + 2, &number, sizeof(number));
    return request_id_make(1700000000000, random);
}

void store_random(void *memory, size_t len)
{
    memset(memory, 7, len);
}
