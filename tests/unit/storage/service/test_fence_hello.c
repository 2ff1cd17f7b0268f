/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A node asks the others whether it is still one of them, and ends for good when it is not. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "storage/schema/entry.h"
#include "storage/service/fence.h"
#include "storage/service/identity.h"
#include "tests/unit/storage/service/service_world.h"

#define TEXT(text) ((char[]){text})

enum { NODES = 4, SELF = 2, GONE = 3, CALLS_MAX = 32, ASK_EVERY_MS = 5000 };

static struct question {
    uint64_t node;
    rpc_done *done;
    void *context;
} questions[CALLS_MAX];
static unsigned question_count;

static struct lab lab;
static struct config config;
static char folder[64];
/* The other nodes; their addresses are who they are. */
static char peers[NODES + 1];
static struct service_node nodes[NODES - 1];
static struct service_node *node_list[NODES - 1];
static Pr__Identity identity;

uint64_t rpc_call(struct rpc_client *client, struct bytes body, uint64_t deadline_ms,
                  rpc_done *done, void *context)
{
    Pr__PeerRequest *request = pr__peer_request__unpack(NULL, body.len, body.at);

    assert_non_null(request);
    assert_int_equal(request->call_case, PR__PEER_REQUEST__CALL_PEER_HELLO);
    pr__peer_request__free_unpacked(request, NULL);
    assert_true(deadline_ms > 0 && question_count < CALLS_MAX);
    questions[question_count] =
        (struct question){(uint64_t)((char *)(void *)client - peers), done, context};
    return ++question_count;
}

struct rpc_client *service_peer(const struct service *service, uint64_t node_id)
{
    (void)service;
    return node_id == SELF ? NULL : (struct rpc_client *)(void *)&peers[node_id];
}

uint64_t service_self(const struct service *service)
{
    (void)service;
    return SELF;
}

static void answer(unsigned number, enum err err, Pr__PeerReply *reply)
{
    struct buffer packed = BUFFER_EMPTY;
    struct question asked = questions[number];

    if (err == ERR_OK)
        message_pack(&reply->base, &packed);
    questions[number].done = NULL;
    asked.done(asked.context, err, buffer_bytes(&packed));
    buffer_fini(&packed);
}

static void answer_rest(void)
{
    for (unsigned i = 0; i < question_count; i++)
        if (questions[i].done != NULL)
            answer(i, ERR_TIMEOUT, NULL);
}

/* Nodes 1 to 4, of which GONE was removed. */
static void directory_make(void)
{
    Pr__ClusterCreate create = PR__CLUSTER_CREATE__INIT;
    Pr__NodeJoin node = PR__NODE_JOIN__INIT;
    Pr__NodeRemove remove = PR__NODE_REMOVE__INIT;
    uint8_t hash[32] = {0};

    node.name = TEXT("n1");
    node.data_center = TEXT("dc1");
    node.raft_address = TEXT("127.0.0.1:1");
    node.rpc_address = TEXT("127.0.0.1:2");
    node.join_address = TEXT("127.0.0.1:3");
    create.cluster_id = TEXT("0123456789abcdef0123456789abcdef");
    create.name = TEXT("test");
    create.node = &node;
    create.mail_groups = 1;
    assert_int_equal(
        lab_apply(&lab, 0, LAB_COMMAND(cluster_create, CLUSTER_CREATE, &create))->err, ERR_OK);
    for (unsigned i = 2; i <= NODES; i++) {
        Pr__TokenAdd token = PR__TOKEN_ADD__INIT;
        hash[0] = (uint8_t)i;
        token.token_hash = node.token_hash = field_of_bytes(bytes_from(hash, sizeof(hash)));
        token.expires_ms = lab.now_ms + 1000;
        node.name = arena_printf(&lab.arena, "n%u", i);
        node.raft_address = arena_printf(&lab.arena, "127.0.0.%u:1", i);
        assert_int_equal(lab_apply(&lab, 0, LAB_COMMAND(token_add, TOKEN_ADD, &token))->err,
                         ERR_OK);
        assert_int_equal(lab_apply(&lab, 0, LAB_COMMAND(node_join, NODE_JOIN, &node))->id, i);
    }
    remove.node_id = GONE;
    assert_int_equal(lab_apply(&lab, 0, LAB_COMMAND(node_remove, NODE_REMOVE, &remove))->err,
                     ERR_OK);
}

static int begin(void **state)
{
    const char *problem = NULL;

    (void)state;
    question_count = 0;
    lab_open(&lab);
    world_begin(&lab);
    directory_make();
    strcpy(folder, "/tmp/postraft-fence-XXXXXX");
    assert_non_null(mkdtemp(folder));
    config.folder = folder;
    pr__identity__init(&identity);
    identity.cluster_id = arena_string(&lab.arena, BYTES("0123456789abcdef0123456789abcdef"));
    identity.node_id = SELF;
    identity.node_name = arena_string(&lab.arena, BYTES("n2"));
    identity.data_center = arena_string(&lab.arena, BYTES("dc1"));
    identity.authority = identity.certificate = identity.key = field_of_bytes(BYTES("PEM"));
    assert_int_equal(identity_save(folder, &identity, &lab.arena, &problem), ERR_OK);
    for (unsigned i = 0; i < NODES - 1; i++) {
        nodes[i] = (struct service_node){.id = i == 0 ? 1 : i + 1};
        node_list[i] = &nodes[i];
    }
    nodes[2].id = 4;
    world.service.config = &config;
    world.service.identity = &identity;
    world.service.nodes = node_list;
    world.service.node_count = NODES - 1;
    arena_init(&world.service.identity_arena);
    return 0;
}

static int end(void **state)
{
    char path[128];

    (void)state;
    arena_fini(&world.service.identity_arena);
    world_end();
    lab_close(&lab);
    snprintf(path, sizeof(path), "%s/%s", folder, IDENTITY_FILE);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(folder), 0);
    return 0;
}

static Pr__PeerReply denied(bool removed, uint64_t epoch)
{
    Pr__PeerReply reply = PR__PEER_REPLY__INIT;

    reply.err = ERR_DENIED;
    reply.removed = removed;
    reply.recovery_epoch = epoch;
    return reply;
}

/* What the identity on the disk says. */
static Pr__Identity *saved(void)
{
    Pr__Identity *loaded = NULL;
    const char *problem = NULL;

    assert_int_equal(identity_load(folder, &lab.arena, &loaded, &problem), ERR_OK);
    return loaded;
}

static void all_are_asked_then_one_at_a_time(void **state)
{
    struct fence *fence = fence_new(&world.service);
    bool asked[NODES + 1] = {false};

    (void)state;
    assert_int_equal(question_count, 2);
    assert_int_equal(questions[0].node, 1);
    assert_int_equal(questions[1].node, 4);
    answer_rest();
    for (unsigned i = 0; i < NODES - 1; i++) {
        unsigned before = question_count;
        world_run(world.now_ms + ASK_EVERY_MS);
        assert_true(question_count - before <= 1);
        if (question_count > before)
            asked[questions[before].node] = true;
    }
    assert_true(asked[1] && asked[4] && !asked[SELF]);
    answer_rest();
    fence_free(&fence);
}

static void removed_node_ends_for_good(void **state)
{
    struct fence *fence = fence_new(&world.service);
    Pr__PeerReply reply = denied(true, 0);

    (void)state;
    assert_int_equal(fence_check(&world.service), ERR_OK);
    answer(1, ERR_OK, &reply);
    assert_true(world.service.fenced && world.service.stopping);
    assert_int_equal(fence_check(&world.service), ERR_INVALID);
    assert_non_null(strstr(saved()->removed, "node 4 says that it was removed"));
    answer_rest();
    fence_free(&fence);
}

static void recovered_cluster_is_named(void **state)
{
    struct fence *fence = fence_new(&world.service);
    Pr__PeerReply reply = denied(true, 7);

    (void)state;
    answer(0, ERR_OK, &reply);
    assert_true(world.service.fenced);
    assert_non_null(strstr(saved()->removed, "recovered without it (recovery 7)"));
    answer_rest();
    fence_free(&fence);
}

/* Only "you were removed" is that: no other refusal, no garbage, no silence. */
static void other_answers_change_nothing(void **state)
{
    struct fence *fence = fence_new(&world.service);
    Pr__PeerReply reply = denied(false, 7);
    struct question asked = questions[1];

    (void)state;
    answer(0, ERR_OK, &reply);
    questions[1].done = NULL;
    asked.done(asked.context, ERR_OK, BYTES("\xff\xff"));
    world_run(world.now_ms + 2 * ASK_EVERY_MS);
    reply = denied(true, 0);
    reply.err = ERR_UNAVAILABLE;
    for (unsigned i = 2; i < question_count; i++)
        answer(i, ERR_OK, &reply);
    assert_false(world.service.fenced);
    assert_string_equal(saved()->removed, "");
    fence_free(&fence);
}

static void late_answers_find_nobody(void **state)
{
    struct fence *fence = fence_new(&world.service);
    Pr__PeerReply reply = denied(true, 0);

    (void)state;
    fence_free(&fence);
    answer(0, ERR_OK, &reply);
    answer(1, ERR_OK, &reply);
    assert_false(world.service.fenced);
}

/* Who was in the cluster and is not any more; not who never was. */
static void removed_ones_are_known(void **state)
{
    (void)state;
    assert_true(fence_is_removed(&world.service, GONE));
    assert_false(fence_is_removed(&world.service, 1));
    assert_false(fence_is_removed(&world.service, SELF));
    assert_false(fence_is_removed(&world.service, NODES + 1));
    assert_int_equal(fence_recovery_epoch(&world.service), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(all_are_asked_then_one_at_a_time), TEST(removed_node_ends_for_good),
        TEST(recovered_cluster_is_named),       TEST(other_answers_change_nothing),
        TEST(late_answers_find_nobody),         TEST(removed_ones_are_known),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
