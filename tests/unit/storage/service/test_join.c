/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How a machine asks to become a node: whom it believes, whom it asks next, and what it asks
 * again when it was interrupted. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cluster.pb-c.h"
#include "node/base/check.h"
#include "storage/schema/entry.h"
#include "storage/schema/format.h"
#include "storage/service/cluster.h"
#include "storage/service/identity.h"
#include "storage/service/join.h"
#include "tests/unit/storage/service/service_world.h"

#define CLUSTER_ID "0123456789abcdef0123456789abcdef"
#define ADDRESS_1 "127.0.0.1:7103"
#define ADDRESS_2 "127.0.0.2:7103"
#define HOUR_MS ((uint64_t)3600 * 1000)

enum { NODE_ID = 7, CALLS_MAX = 8 };

static struct place {
    struct lab lab;
    struct config config;
    char folder[64];
    struct bytes authority;
    struct bytes certificate;
    char token[512];
    /* questions, and to whom */
    unsigned asked;
    char urls[CALLS_MAX][64];
    Pr__JoinRequest *questions[CALLS_MAX];
    rpc_done *done;
    void *done_context;
    char url[64]; /* of the client that there is */
    unsigned clients;
    /* what the operator heard */
    unsigned answers;
    enum err err;
    char text[256];
    unsigned starts; /* of the cluster */
} * place;

/* ---- what stands around join.c ---- */

static char client_memory;

enum err rpc_client_new(struct loop *loop, const struct rpc_client_config *config,
                        struct rpc_client **client)
{
    (void)loop;
    assert_null(config->credentials);
    assert_int_equal(strlen(config->authority_pin), 64);
    snprintf(place->url, sizeof(place->url), "%s", config->url);
    *client = (struct rpc_client *)(void *)&client_memory;
    place->clients++;
    return ERR_OK;
}

void rpc_client_free(struct rpc_client **client)
{
    place->clients -= *client != NULL;
    *client = NULL;
}

uint64_t rpc_call(struct rpc_client *client, struct bytes body, uint64_t deadline_ms,
                  rpc_done *done, void *context)
{
    ProtobufCAllocator allocator = arena_allocator(&place->lab.arena);
    unsigned at = place->asked++;

    (void)client;
    assert_true(at < CALLS_MAX && deadline_ms == JOIN_TRY_MS && place->done == NULL);
    strcpy(place->urls[at], place->url);
    place->questions[at] = pr__join_request__unpack(&allocator, body.len, body.at);
    assert_non_null(place->questions[at]);
    place->done = done;
    place->done_context = context;
    return at + 1;
}

void cluster_credentials(const Pr__Identity *identity, struct tls_credentials *credentials)
{
    (void)identity;
    (void)credentials;
}

enum err service_start_cluster(struct service *service)
{
    assert_non_null(service->identity);
    place->starts++;
    return ERR_OK;
}

enum err replicator_group_join(struct replicator *replicator, uint32_t group)
{
    (void)replicator;
    assert_int_equal(group, DIRECTORY_GROUP);
    return ERR_OK;
}

uint64_t service_self(const struct service *service)
{
    return service->identity->node_id;
}

struct service_node *service_node(const struct service *service, uint64_t node_id)
{
    (void)service;
    (void)node_id;
    return NULL;
}

static void answered(struct service_call *call, enum err err, const char *text)
{
    place->answers++;
    place->err = err;
    snprintf(place->text, sizeof(place->text), "%s", text != NULL ? text : "");
    arena_fini(&call->call_arena);
    free(call);
}

void call_reply(struct service_call *call, Pr__Reply *reply)
{
    answered(call, (enum err)reply->err, reply->text);
}

void call_fail(struct service_call *call, enum err err, const char *text)
{
    answered(call, err, text);
}

void call_outcome(struct service_call *call, enum err err, const Pr__Outcome *outcome)
{
    (void)outcome;
    answered(call, err, "");
}

/* ---- a machine, a token, and the nodes that it names ---- */

static void token_make(uint8_t number)
{
    struct join_token token = {.addresses = {ADDRESS_1, ADDRESS_2}, .address_count = 2};

    memset(token.secret, number, sizeof(token.secret));
    assert_int_equal(tls_fingerprint(place->authority, token.authority_pin), ERR_OK);
    snprintf(place->token, sizeof(place->token), "%s",
             join_token_format(&token, &place->lab.arena));
}

static int begin(void **state)
{
    struct bytes key;

    (void)state;
    place = calloc(1, sizeof(*place));
    assert_non_null(place);
    assert_true(sodium_init() >= 0);
    lab_open(&place->lab);
    world_begin(&place->lab);
    strcpy(place->folder, "/tmp/postraft-join-XXXXXX");
    assert_non_null(mkdtemp(place->folder));
    place->config = (struct config){.folder = place->folder,
                                    .cluster_raft = "127.0.0.9:7101",
                                    .cluster_rpc = "127.0.0.9:7102",
                                    .cluster_join = "127.0.0.9:7103"};
    world.service.config = &place->config;
    arena_init(&world.service.identity_arena);
    tls_authority_new(CLUSTER_ID, &place->lab.arena, &place->authority, &key);
    place->certificate = place->authority;
    token_make(1);
    return 0;
}

static int end(void **state)
{
    char path[128];

    (void)state;
    for (const char *const *name = (const char *const[]){"identity", "joining", NULL};
         *name != NULL; name++) {
        snprintf(path, sizeof(path), "%s/%s", place->folder, *name);
        unlink(path);
    }
    assert_int_equal(rmdir(place->folder), 0);
    assert_int_equal(place->clients, 0);
    arena_fini(&world.service.identity_arena);
    world_end();
    lab_close(&place->lab);
    free(place);
    return 0;
}

static void join_as(const char *token, const char *name)
{
    struct service_call *call = calloc(1, sizeof(*call));
    Pr__ClusterJoin *join;

    assert_non_null(call);
    arena_init(&call->call_arena);
    call->service = &world.service;
    call->deadline_ms = world.now_ms + 60000;
    call->request = arena_alloc(&call->call_arena, sizeof(*call->request));
    pr__request__init(call->request);
    join = arena_alloc(&call->call_arena, sizeof(*join));
    pr__cluster_join__init(join);
    join->token = arena_string(&call->call_arena, bytes_of(token));
    join->node_name = arena_string(&call->call_arena, bytes_of(name));
    join->data_center = arena_string(&call->call_arena, BYTES("dc2"));
    call->request->call_case = PR__REQUEST__CALL_CLUSTER_JOIN;
    call->request->cluster_join = join;
    join_call(call);
}

/* Who was asked last answers. */
static void node_answers(enum err err, const Pr__JoinReply *reply)
{
    struct buffer packed = BUFFER_EMPTY;
    rpc_done *done = place->done;

    assert_non_null(done);
    place->done = NULL;
    if (reply != NULL)
        message_pack(&reply->base, &packed);
    done(place->done_context, err, buffer_bytes(&packed));
    buffer_fini(&packed);
    world_run(world.now_ms);
}

static void node_refuses(enum err err)
{
    char text[] = "in these words";
    Pr__JoinReply reply = PR__JOIN_REPLY__INIT;

    reply.err = err;
    reply.text = text;
    node_answers(ERR_OK, &reply);
}

static void node_accepts(struct bytes authority)
{
    char id[] = CLUSTER_ID;
    Pr__JoinReply reply = PR__JOIN_REPLY__INIT;
    Pr__NodeRecord node = PR__NODE_RECORD__INIT;
    Pr__NodeRecord *nodes[] = {&node};

    reply.cluster_id = id;
    reply.node_id = NODE_ID;
    reply.certificate = field_of_bytes(place->certificate);
    reply.authority = field_of_bytes(authority);
    reply.nodes = nodes;
    reply.n_nodes = 1;
    node_answers(ERR_OK, &reply);
}

static bool identity_there(void)
{
    return identity_file_exists(place->folder, IDENTITY_FILE);
}

static void expect_end(enum err err, const char *words)
{
    assert_int_equal(place->answers, 1);
    assert_int_equal(place->err, err);
    if (strstr(place->text, words) == NULL)
        fail_msg("\"%s\" says nothing of \"%s\"", place->text, words);
    place->answers = 0;
    assert_false(join_busy(&world.service));
}

static void machine_becomes_a_node(void **state)
{
    Pr__Identity *identity = NULL;
    const char *problem = NULL;

    (void)state;
    join_as(place->token, "n7");
    assert_true(join_busy(&world.service));
    assert_true(join_under_way(&world.service));
    assert_int_equal(place->asked, 1);
    assert_string_equal(place->urls[0], "tls+tcp://" ADDRESS_1);
    assert_int_equal(place->questions[0]->format, FORMAT_NEWEST);
    assert_string_equal(place->questions[0]->raft_address, "127.0.0.9:7101");
    node_accepts(place->authority);
    assert_int_equal(place->starts, 1);
    assert_int_equal(identity_load(place->folder, &place->lab.arena, &identity, &problem),
                     ERR_OK);
    assert_int_equal(identity->node_id, NODE_ID);
    assert_string_equal(identity->node_name, "n7");
    assert_true(identity->key.len > 0);
    /* The directory does not come here, so the operator is told as much in the end. */
    assert_int_equal(place->answers, 0);
    world_run(world.now_ms + 60000);
    expect_end(ERR_OK, "still fetching the directory");
    assert_true(join_under_way(&world.service));
    join_finished(&world.service);
    assert_false(join_under_way(&world.service));
    join_as(place->token, "n7");
    expect_end(ERR_EXISTS, "is node 7");
}

/* Somebody else's cluster, though it says yes. */
static void other_clusters_are_not_believed(void **state)
{
    struct bytes other, key;

    (void)state;
    tls_authority_new(CLUSTER_ID, &place->lab.arena, &other, &key);
    join_as(place->token, "n7");
    node_accepts(other);
    assert_int_equal(place->asked, 2);
    assert_string_equal(place->urls[1], "tls+tcp://" ADDRESS_2);
    node_accepts(other);
    expect_end(ERR_UNAVAILABLE, "of another cluster");
    assert_false(identity_there());
    assert_int_equal(place->starts, 0);
}

/* A refusal is the cluster's; only who cannot say is not the last to be asked. */
static void refusals_are_final(void **state)
{
    static const enum err final[] = {ERR_DENIED, ERR_UNSUPPORTED, ERR_FULL, ERR_EXISTS,
                                     ERR_INVALID};

    (void)state;
    for (size_t i = 0; i < sizeof(final) / sizeof(*final); i++) {
        place->asked = 0;
        join_as(place->token, "n7");
        node_refuses(final[i]);
        assert_int_equal(place->asked, 1);
        expect_end(final[i], ADDRESS_1 " says: in these words");
        assert_false(identity_there());
    }
}

static void the_next_one_is_asked_the_same(void **state)
{
    (void)state;
    join_as(place->token, "n7");
    node_refuses(ERR_UNAVAILABLE);
    assert_int_equal(place->asked, 2);
    assert_true(bytes_equal(bytes_of_field(place->questions[0]->request_id),
                            bytes_of_field(place->questions[1]->request_id)));
    assert_true(bytes_equal(bytes_of_field(place->questions[0]->certificate_request),
                            bytes_of_field(place->questions[1]->certificate_request)));
    node_accepts(place->authority);
    assert_true(identity_there());
    world_run(world.now_ms + 60000);
    expect_end(ERR_OK, "node 7");
}

static void nobody_answers(void **state)
{
    (void)state;
    join_as(place->token, "n7");
    node_answers(ERR_TIMEOUT, NULL);
    node_answers(ERR_CLOSED, NULL);
    expect_end(ERR_UNAVAILABLE, "no answer from " ADDRESS_2);
    assert_int_equal(place->asked, 2);
}

static bool same_as_before(void)
{
    const Pr__JoinRequest *before = place->questions[place->asked - 2];
    const Pr__JoinRequest *now = place->questions[place->asked - 1];
    bool same_id =
        bytes_equal(bytes_of_field(before->request_id), bytes_of_field(now->request_id));

    assert_int_equal(same_id, bytes_equal(bytes_of_field(before->certificate_request),
                                          bytes_of_field(now->certificate_request)));
    return same_id;
}

/* The answer may have been lost: who asks again with the same words gets the same id. */
static void interrupted_joins_ask_the_same_again(void **state)
{
    (void)state;
    join_as(place->token, "n7");
    node_refuses(ERR_DENIED);
    expect_end(ERR_DENIED, "");
    join_as(place->token, "n7");
    assert_true(same_as_before());
    node_refuses(ERR_DENIED);
    expect_end(ERR_DENIED, "");
    join_as(place->token, "n8");
    assert_false(same_as_before());
    node_refuses(ERR_DENIED);
    expect_end(ERR_DENIED, "");
    token_make(2);
    join_as(place->token, "n8");
    assert_false(same_as_before());
    node_refuses(ERR_DENIED);
    expect_end(ERR_DENIED, "");
    /* The cluster forgets ids after a day. */
    world_run(world.now_ms + 13 * HOUR_MS);
    join_as(place->token, "n8");
    assert_false(same_as_before());
    node_refuses(ERR_DENIED);
    expect_end(ERR_DENIED, "");
}

static void wrong_words_ask_nobody(void **state)
{
    (void)state;
    join_as("PRJ1.nonsense", "n7");
    expect_end(ERR_INVALID, "no token");
    join_as(place->token, "a name");
    assert_int_equal(place->err, ERR_INVALID);
    place->answers = 0;
    assert_int_equal(place->asked, 0);
    assert_false(join_under_way(&world.service));
    join_as(place->token, "n7");
    join_as(place->token, "n7");
    assert_int_equal(place->answers, 1);
    assert_int_equal(place->err, ERR_EXISTS);
    assert_non_null(strstr(place->text, "right now"));
    place->answers = 0;
    node_refuses(ERR_DENIED);
    expect_end(ERR_DENIED, "");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(machine_becomes_a_node), TEST(other_clusters_are_not_believed),
        TEST(refusals_are_final),     TEST(the_next_one_is_asked_the_same),
        TEST(nobody_answers),         TEST(interrupted_joins_ask_the_same_again),
        TEST(wrong_words_ask_nobody),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
