/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/service/join.h"

#include <sodium.h>
#include <stdlib.h>

#include "node/base/check.h"
#include "node/base/log.h"
#include "storage/query/directory.h"
#include "storage/schema/entry.h"
#include "storage/schema/format.h"
#include "storage/schema/request_id.h"
#include "storage/service/cluster.h"
#include "storage/service/cluster_folder.h"
#include "storage/service/identity.h"

#define JOINING_FILE "joining"
#define JOINING_TITLE "postraft joining 1"
#define KEY_LEN_SIZE 2                /* big endian, before the key in that file */
#define ID_KEPT_MS (12 * 3600 * 1000) /* the directory forgets ids after a day */
#define LOOK_MS 100                   /* between looks for the own record */
#define ANSWER_BEFORE_MS 500          /* of the call's deadline */

struct join {
    struct service_call *call;
    struct arena join_arena;
    struct join_token token;
    unsigned tried; /* addresses */
    struct rpc_client *client;
    struct loop_timer *look;
    Pr__JoinRequest question;
    struct bytes key;
    Pr__JoinReply *answer;
    enum err err;
    const char *problem;
};

/* The one that is under way: a process becomes a node once. */
static struct join *current;

bool join_busy(const struct service *service)
{
    return current != NULL && current->call->service == service;
}

bool join_under_way(const struct service *service)
{
    return identity_file_exists(service->config->folder, JOINING_FILE);
}

void join_finished(struct service *service)
{
    struct arena text_arena;
    const char *problem = NULL;

    arena_init(&text_arena);
    if (identity_file_remove(service->config->folder, JOINING_FILE, &text_arena, &problem) !=
        ERR_OK)
        log_warn(NULL, "the key for joining was not removed",
                 LOG_FIELDS(LOG_TEXT("why", problem)));
    arena_fini(&text_arena);
}

static void join_free(struct join *join)
{
    current = NULL;
    rpc_client_free(&join->client);
    loop_timer_stop(&join->look);
    arena_fini(&join->join_arena);
    free(join);
}

static void join_failed(struct join *join, enum err err, const char *text)
{
    call_fail(join->call, err, text);
    join_free(join);
}

/* The same token, names and addresses. */
static bool same_question(const Pr__JoinRequest *a, const Pr__JoinRequest *b)
{
    return bytes_equal(bytes_of_field(a->secret), bytes_of_field(b->secret)) &&
           strcmp(a->node_name, b->node_name) == 0 &&
           strcmp(a->data_center, b->data_center) == 0 &&
           strcmp(a->raft_address, b->raft_address) == 0 &&
           strcmp(a->rpc_address, b->rpc_address) == 0 &&
           strcmp(a->join_address, b->join_address) == 0 && a->witness == b->witness;
}

/* Takes key, signing request and request id over from an earlier try with the same question. */
static bool join_take_over(struct join *join, struct bytes kept)
{
    ProtobufCAllocator allocator = arena_allocator(&join->join_arena);
    uint8_t size[KEY_LEN_SIZE];

    if (kept.len < sizeof(size))
        return false;
    memcpy(size, kept.at, sizeof(size));
    size_t key_len = (size_t)(size[0] << 8 | size[1]);
    struct bytes rest = bytes_skip(kept, sizeof(size));
    if (rest.len < key_len)
        return false;
    join->key = bytes_from(rest.at, key_len);
    rest = bytes_skip(rest, key_len);
    const Pr__JoinRequest *before = pr__join_request__unpack(&allocator, rest.len, rest.at);
    if (before == NULL || !same_question(before, &join->question) ||
        before->request_id.len != REQUEST_ID_SIZE)
        return false;
    struct request_id id;
    memcpy(id.bytes, before->request_id.data, sizeof(id.bytes));
    if (clock_wall_ms() - request_id_time_ms(&id) > ID_KEPT_MS)
        return false;
    join->question.certificate_request = before->certificate_request;
    join->question.request_id = before->request_id;
    return true;
}

/* What tells this try from others: those parts of an earlier try with the same question, or new
 * ones that are kept for a later try. */
static enum err join_key(struct join *join)
{
    const char *folder = join->call->service->config->folder;
    struct arena *arena = &join->join_arena;
    struct bytes kept = {NULL, 0};
    struct bytes request = {NULL, 0};
    uint8_t random[10];

    join->question.format = FORMAT_NEWEST;
    enum err err =
        identity_file_read(folder, JOINING_FILE, JOINING_TITLE, arena, &kept, &join->problem);
    if (err == ERR_IO || (err == ERR_OK && join_take_over(join, kept)))
        return err;

    struct request_id *id = arena_alloc(arena, sizeof(*id));
    randombytes_buf(random, sizeof(random));
    *id = request_id_make(clock_wall_ms(), random);
    tls_request_new(arena, &join->key, &request);
    join->question.certificate_request = field_of_bytes(request);
    join->question.request_id = field_of_bytes(bytes_from(id->bytes, sizeof(id->bytes)));

    struct buffer content = BUFFER_EMPTY;
    CHECK(join->key.len <= UINT16_MAX);
    buffer_add_byte(&content, (uint8_t)(join->key.len >> 8));
    buffer_add_byte(&content, (uint8_t)(join->key.len & 0xff));
    buffer_add(&content, join->key);
    message_pack(&join->question.base, &content);
    err = identity_file_write(folder, JOINING_FILE, JOINING_TITLE, buffer_bytes(&content),
                              arena, &join->problem);
    sodium_memzero(content.memory, content.size);
    buffer_fini(&content);
    return err;
}

static void join_look(void *context)
{
    struct join *join = context;
    struct service *service = join->call->service;
    struct arena look_arena;
    Pr__Reply reply = PR__REPLY__INIT;
    Pr__Outcome outcome = PR__OUTCOME__INIT;

    arena_init(&look_arena);
    struct db_txn *txn = service_directory_begin(service);
    bool here =
        txn != NULL && directory_node(txn, service->identity->node_id, &look_arena) != NULL;
    if (txn != NULL)
        db_abort(&txn);
    arena_fini(&look_arena);
    if (!here && clock_monotonic_ms() + ANSWER_BEFORE_MS < join->call->deadline_ms)
        return;

    outcome.id = service->identity->node_id;
    reply.outcome = &outcome;
    reply.text = arena_printf(
        &join->join_arena, "this is now node %llu of cluster %s%s",
        (unsigned long long)service->identity->node_id, service->identity->cluster_id,
        here ? "" : "; it is still fetching the directory, `postraft cluster status` tells");
    call_reply(join->call, &reply);
    join_free(join);
}

static void stop_loop(void *context)
{
    loop_stop(context);
}

/* The answer, as this node's identity; it lives as long as the service. */
static void join_adopt(struct join *join)
{
    struct service *service = join->call->service;
    struct arena *arena = &service->identity_arena;
    ProtobufCAllocator allocator = arena_allocator(arena);
    const Pr__JoinReply *answer = join->answer;
    Pr__Identity identity = PR__IDENTITY__INIT;
    struct buffer packed = BUFFER_EMPTY;

    identity.cluster_id = answer->cluster_id;
    identity.node_id = answer->node_id;
    identity.node_name = join->question.node_name;
    identity.data_center = join->question.data_center;
    identity.witness = join->question.witness;
    identity.authority = answer->authority;
    identity.certificate = answer->certificate;
    identity.key = field_of_bytes(join->key);
    identity.n_nodes = answer->n_nodes;
    identity.nodes = answer->nodes;
    identity.format = answer->format;
    message_pack(&identity.base, &packed);
    service->identity =
        pr__identity__unpack(&allocator, buffer_len(&packed), buffer_bytes(&packed).at);
    CHECK(service->identity != NULL);
    sodium_memzero(packed.memory, packed.size);
    buffer_fini(&packed);
    cluster_credentials(service->identity, &service->credentials);
}

/* From here on the node is who it is: what fails now is repaired by starting it again. */
static void join_start(struct join *join)
{
    enum { ANSWER_LEAVES_MS = 300 };
    struct service *service = join->call->service;
    const char *problem = NULL;

    join_adopt(join);
    enum err err =
        identity_save(service->config->folder, service->identity, &join->join_arena, &problem);
    if (err == ERR_OK) {
        problem = "the node has joined, but cannot serve its cluster addresses or write its "
                  "folder; its log says why. It tries again by itself";
        err = service_start_cluster(service);
    }
    if (err == ERR_OK)
        err = replicator_group_join(service->replicator, DIRECTORY_GROUP);
    if (err != ERR_OK) {
        log_error(NULL, "a joined node could not start",
                  LOG_FIELDS(LOG_TEXT("error", err_name(err)), LOG_TEXT("why", problem)));
        loop_timer_start(service->loop, ANSWER_LEAVES_MS, 0, stop_loop, service->loop);
        join_failed(join, err, problem);
        return;
    }
    join->look = loop_timer_start(service->loop, LOOK_MS, LOOK_MS, join_look, join);
}

/* Whether the answer is complete and comes from the cluster that the token names. */
static bool join_answer_good(const struct join *join)
{
    const Pr__JoinReply *answer = join->answer;
    char pin[65];

    return answer->node_id != 0 && answer->cluster_id[0] != '\0' &&
           answer->certificate.len > 0 && answer->n_nodes > 0 &&
           tls_fingerprint(bytes_of_field(answer->authority), pin) == ERR_OK &&
           strcmp(pin, join->token.authority_pin) == 0;
}

static void join_ask(struct join *join);

/* After an attempt, with no call of the client on the stack. */
static void join_go_on(void *context)
{
    struct join *join = context;

    rpc_client_free(&join->client);
    if (join->err == ERR_OK)
        join_start(join);
    else if (join->err == ERR_UNAVAILABLE && join->tried < join->token.address_count)
        join_ask(join);
    else
        join_failed(join, join->err, join->problem);
}

static void join_answered(void *context, enum err err, struct bytes reply)
{
    struct join *join = context;
    struct arena *arena = &join->join_arena;
    ProtobufCAllocator allocator = arena_allocator(arena);
    const char *address = join->token.addresses[join->tried - 1];

    join->answer =
        err == ERR_OK ? pr__join_reply__unpack(&allocator, reply.len, reply.at) : NULL;
    join->err = ERR_UNAVAILABLE;
    if (err != ERR_OK) {
        join->problem = arena_printf(
            arena,
            "no answer from %s: is it reachable from here, and is the token of that cluster?",
            address);
    } else if (join->answer == NULL || join->answer->err >= ERR_COUNT) {
        join->problem = arena_printf(arena, "%s gave no answer of a node", address);
    } else if (join->answer->err != ERR_OK) {
        bool other_may = join->answer->err == ERR_UNAVAILABLE ||
                         join->answer->err == ERR_TIMEOUT || join->answer->err == ERR_BUSY ||
                         join->answer->err == ERR_UNKNOWN;
        join->err = other_may ? ERR_UNAVAILABLE : (enum err)join->answer->err;
        join->problem =
            arena_printf(arena, "%s says: %s", address,
                         join->answer->text[0] != '\0' ? join->answer->text
                                                       : err_text((enum err)join->answer->err));
    } else if (!join_answer_good(join)) {
        join->problem = arena_printf(arena, "%s gave an answer of another cluster", address);
    } else {
        join->err = ERR_OK;
    }
    loop_post(join->call->service->loop, join_go_on, join);
}

static void join_ask(struct join *join)
{
    struct service *service = join->call->service;
    struct buffer packed = BUFFER_EMPTY;
    const struct rpc_client_config config = {
        .url =
            arena_printf(&join->join_arena, "tls+tcp://%s", join->token.addresses[join->tried]),
        .authority_pin = join->token.authority_pin,
        .parallel_max = 1,
    };

    join->tried++;
    join->err = rpc_client_new(service->loop, &config, &join->client);
    if (join->err != ERR_OK) {
        join->problem = arena_printf(&join->join_arena, "cannot dial %s", config.url);
        join->err = ERR_UNAVAILABLE;
        loop_post(service->loop, join_go_on, join);
        return;
    }
    message_pack(&join->question.base, &packed);
    rpc_call(join->client, buffer_bytes(&packed), JOIN_TRY_MS, join_answered, join);
    sodium_memzero(packed.memory, packed.size);
    buffer_fini(&packed);
}

/* NULL, or why this node cannot join. */
static const char *join_problem(struct service_call *call, enum err *err)
{
    const struct service *service = call->service;
    const Pr__ClusterJoin *ask = call->request->cluster_join;
    bool half_made = false;

    *err = ERR_EXISTS;
    if (service->identity != NULL)
        return arena_printf(&call->call_arena, "this node is node %llu of cluster %s already",
                            (unsigned long long)service->identity->node_id,
                            service->identity->cluster_id);
    if (join_busy(service))
        return "this node is joining a cluster right now";
    if (cluster_folder_used(service->config->folder, &half_made) && !half_made)
        return arena_printf(&call->call_arena,
                            "%s holds a log or mail but no identity: put the file `identity` "
                            "back, or give the node an empty folder",
                            service->config->folder);
    *err = ERR_INVALID;
    return cluster_node_problem(service->config, ask->node_name, ask->data_center,
                                &call->call_arena);
}

void join_call(struct service_call *call)
{
    struct service *service = call->service;
    const Pr__ClusterJoin *ask = call->request->cluster_join;
    struct join_token token;
    enum err err = ERR_OK;
    const char *problem = join_problem(call, &err);

    if (problem == NULL && !join_token_parse(bytes_of(ask->token), &call->call_arena, &token))
        problem =
            "that is no token; `postraft cluster token` on a node of the cluster makes one";
    if (problem == NULL) {
        err = cluster_folder_clear(service->config->folder, &call->call_arena, &problem);
        if (err == ERR_OK)
            err = identity_file_remove(service->config->folder, IDENTITY_MARK,
                                       &call->call_arena, &problem);
    }
    if (problem != NULL) {
        call_fail(call, err, problem);
        return;
    }

    struct join *join = calloc(1, sizeof(*join));
    CHECK(join != NULL);
    current = join;
    join->call = call;
    arena_init(&join->join_arena);
    join->token = token;
    pr__join_request__init(&join->question);
    join->question.secret = field_of_bytes(bytes_from(join->token.secret, JOIN_SECRET_SIZE));
    join->question.node_name = ask->node_name;
    join->question.data_center = ask->data_center;
    join->question.witness = ask->witness;
    const struct config *config = service->config;
    join->question.raft_address =
        arena_string(&join->join_arena, bytes_of(config->cluster_raft));
    join->question.rpc_address = arena_string(&join->join_arena, bytes_of(config->cluster_rpc));
    join->question.join_address =
        arena_string(&join->join_arena, bytes_of(config->cluster_join));
    if (join_key(join) != ERR_OK)
        join_failed(join, ERR_IO, join->problem);
    else
        join_ask(join);
}
