/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a machine is told that asks to become a node: by the real directory, with certificates
 * of a real authority. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#include "cluster.pb-c.h"
#include "node/base/check.h"
#include "storage/query/directory.h"
#include "storage/schema/entry.h"
#include "storage/schema/format.h"
#include "storage/service/cluster_folder.h"
#include "storage/service/join.h"
#include "tests/unit/storage/service/service_world.h"

#define CLUSTER_ID "0123456789abcdef0123456789abcdef"
#define TEXT(text) ((char[]){text})

enum { TOKEN_MS = 3600 * 1000, FEW = 16 /* nodes that every cluster may have */ };

/* cluster_folder.c's and rpc's part. */
bool cluster_name_valid(const char *name)
{
    return name[0] != '\0' && strchr(name, ' ') == NULL;
}

bool cluster_address_valid(const char *address)
{
    return strchr(address, ':') != NULL && strncmp(address, "0.0.0.0", 7) != 0;
}

/* placement_plan.c's. */
unsigned placement_members_max(uint32_t format);
unsigned placement_members_max(uint32_t format)
{
    return format >= FORMAT_SCOPES ? 2 * FEW : FEW;
}

struct rpc_request {
    unsigned answers;
};

static struct place {
    struct lab lab;
    struct bytes authority;
    Pr__JoinReply *reply; /* in the lab's arena */
} * place;

void rpc_reply(struct rpc_request *request, struct bytes body)
{
    ProtobufCAllocator allocator = arena_allocator(&place->lab.arena);

    request->answers++;
    place->reply = pr__join_reply__unpack(&allocator, body.len, body.at);
    assert_non_null(place->reply);
}

static void cluster_make(unsigned format)
{
    struct lab *lab = &place->lab;
    Pr__ClusterCreate create = PR__CLUSTER_CREATE__INIT;
    Pr__NodeJoin node = PR__NODE_JOIN__INIT;
    struct bytes key;

    tls_authority_new(CLUSTER_ID, &lab->arena, &place->authority, &key);
    node.name = TEXT("first");
    node.data_center = TEXT("dc1");
    node.raft_address = TEXT("127.0.0.1:1");
    node.rpc_address = TEXT("127.0.0.1:2");
    node.join_address = TEXT("127.0.0.1:3");
    create.cluster_id = TEXT(CLUSTER_ID);
    create.name = TEXT("test");
    create.authority = field_of_bytes(place->authority);
    create.authority_key = field_of_bytes(key);
    create.node = &node;
    create.mail_groups = 2;
    create.format = format;
    assert_int_equal(
        lab_apply(lab, 0, LAB_COMMAND(cluster_create, CLUSTER_CREATE, &create))->err, ERR_OK);
}

static void secret_of(uint8_t number, uint8_t secret[JOIN_SECRET_SIZE])
{
    memset(secret, number, JOIN_SECRET_SIZE);
}

static void token_make(uint8_t number)
{
    struct lab *lab = &place->lab;
    Pr__TokenAdd add = PR__TOKEN_ADD__INIT;
    uint8_t secret[JOIN_SECRET_SIZE];
    uint8_t hash[32];

    secret_of(number, secret);
    crypto_generichash(hash, sizeof(hash), secret, sizeof(secret), NULL, 0);
    add.token_hash = field_of_bytes(bytes_from(hash, sizeof(hash)));
    add.expires_ms = lab->now_ms + TOKEN_MS;
    assert_int_equal(lab_apply(lab, 0, LAB_COMMAND(token_add, TOKEN_ADD, &add))->err, ERR_OK);
}

/* A machine that asks with token `number`; `machine` is in its name and its addresses. */
static Pr__JoinRequest *question_new(uint8_t number, unsigned machine)
{
    struct arena *arena = &place->lab.arena;
    Pr__JoinRequest *question = arena_alloc(arena, sizeof(*question));
    uint8_t secret[JOIN_SECRET_SIZE];
    struct bytes key;
    struct bytes request;

    pr__join_request__init(question);
    secret_of(number, secret);
    tls_request_new(arena, &key, &request);
    question->secret = lab_field(&place->lab, bytes_from(secret, sizeof(secret)));
    question->certificate_request = field_of_bytes(request);
    question->node_name = arena_printf(arena, "machine%u", machine);
    question->data_center = arena_string(arena, BYTES("dc2"));
    question->raft_address =
        arena_printf(arena, "127.0.%u.%u:1", 1 + machine / 250, machine % 250);
    question->rpc_address = arena_string(arena, BYTES("127.0.0.9:2"));
    question->join_address = arena_string(arena, BYTES("127.0.0.9:3"));
    question->request_id = lab_id(&place->lab);
    question->format = FORMAT_NEWEST;
    return question;
}

static const Pr__JoinReply *ask_bytes(struct bytes body)
{
    struct rpc_request request = {0};

    join_serve(&world.service, &request, body);
    world_run(world.now_ms);
    assert_int_equal(request.answers, 1);
    return place->reply;
}

static const Pr__JoinReply *ask(const Pr__JoinRequest *question)
{
    struct buffer packed = BUFFER_EMPTY;

    message_pack(&question->base, &packed);
    const Pr__JoinReply *reply = ask_bytes(buffer_bytes(&packed));
    buffer_fini(&packed);
    return reply;
}

static unsigned node_count(void)
{
    struct db_txn *txn = db_read_begin(place->lab.db);
    Pr__NodeRecord **nodes = NULL;
    size_t count = 0;

    directory_nodes(txn, &place->lab.arena, &nodes, &count);
    db_abort(&txn);
    return (unsigned)count;
}

/* Refused, with words, and nothing of it reached the log. */
static void expect_refused(const Pr__JoinRequest *question, enum err err, const char *words)
{
    unsigned writes = world.writes;
    unsigned nodes = node_count();
    const Pr__JoinReply *reply = ask(question);

    assert_int_equal(reply->err, err);
    if (strstr(reply->text, words) == NULL)
        fail_msg("\"%s\" says nothing of \"%s\"", reply->text, words);
    assert_int_equal(reply->certificate.len, 0);
    assert_int_equal(reply->node_id, 0);
    assert_int_equal(world.writes, writes);
    assert_int_equal(node_count(), nodes);
}

static int begin_with(unsigned format)
{
    place = calloc(1, sizeof(*place));
    assert_non_null(place);
    assert_true(sodium_init() >= 0);
    lab_open(&place->lab);
    world_begin(&place->lab);
    cluster_make(format);
    return 0;
}

static int begin(void **state)
{
    (void)state;
    return begin_with(FORMAT_DEPTH);
}

static int end(void **state)
{
    (void)state;
    world_end();
    lab_close(&place->lab);
    free(place);
    return 0;
}

static void good_token_makes_a_node(void **state)
{
    (void)state;
    token_make(1);
    const Pr__JoinReply *reply = ask(question_new(1, 1));
    assert_int_equal(reply->err, ERR_OK);
    assert_int_equal(reply->node_id, 2);
    assert_string_equal(reply->cluster_id, CLUSTER_ID);
    assert_int_equal(reply->n_nodes, 2);
    assert_true(reply->certificate.len > 0);
    assert_true(bytes_equal(bytes_of_field(reply->authority), place->authority));
    assert_int_equal(node_count(), 2);
}

/* An answer that got lost: the same machine asks the same once more. */
static void same_machine_gets_the_same_id(void **state)
{
    Pr__JoinRequest *question;

    (void)state;
    token_make(1);
    question = question_new(1, 1);
    uint64_t id = ask(question)->node_id;
    const Pr__JoinReply *reply = ask(question);
    assert_int_equal(reply->err, ERR_OK);
    assert_int_equal(reply->node_id, id);
    assert_int_equal(node_count(), 2);
}

static void token_serves_once(void **state)
{
    (void)state;
    token_make(1);
    assert_int_equal(ask(question_new(1, 1))->err, ERR_OK);
    expect_refused(question_new(1, 2), ERR_DENIED, "was used");
}

static void token_expires(void **state)
{
    (void)state;
    token_make(1);
    world_run(world.now_ms + TOKEN_MS + 1);
    expect_refused(question_new(1, 1), ERR_DENIED, "too old");
}

static void unknown_token_is_refused(void **state)
{
    (void)state;
    token_make(1);
    expect_refused(question_new(2, 1), ERR_DENIED, "not known");
    assert_int_equal(ask(question_new(1, 1))->err, ERR_OK);
}

/* Two machines, one name: the second one's token is good, so the directory has to say no, and
 * the token stays good for the machine under another name. */
static void names_are_taken_once(void **state)
{
    Pr__JoinRequest *question;

    (void)state;
    token_make(1);
    token_make(2);
    assert_int_equal(ask(question_new(1, 1))->err, ERR_OK);
    question = question_new(2, 2);
    question->node_name = arena_string(&place->lab.arena, BYTES("machine1"));
    const Pr__JoinReply *reply = ask(question);
    assert_int_equal(reply->err, ERR_EXISTS);
    assert_true(reply->text[0] != '\0');
    assert_int_equal(reply->certificate.len, 0);
    assert_int_equal(node_count(), 2);
    question = question_new(2, 2);
    assert_int_equal(ask(question)->err, ERR_OK);
}

/* Another machine under the name and address of a node, without a token: no new token is asked
 * of a node that asks again, but its id was given to another question. */
static void strangers_do_not_get_a_nodes_certificate(void **state)
{
    Pr__JoinRequest *question;

    (void)state;
    token_make(1);
    assert_int_equal(ask(question_new(1, 1))->err, ERR_OK);
    question = question_new(9, 1);
    const Pr__JoinReply *reply = ask(question);
    assert_int_not_equal(reply->err, ERR_OK);
    assert_int_equal(reply->certificate.len, 0);
    assert_int_equal(node_count(), 2);
}

static void old_releases_are_refused(void **state)
{
    Pr__JoinRequest *question;

    (void)state;
    token_make(1);
    question = question_new(1, 1);
    question->format = FORMAT_FIRST;
    expect_refused(question, ERR_UNSUPPORTED, "too old");
    question->format = FORMAT_DEPTH;
    assert_int_equal(ask(question)->err, ERR_OK);
}

static void witnesses_wait_for_the_upgrade(void **state)
{
    Pr__JoinRequest *question;

    end(state);
    begin_with(FORMAT_FIRST);
    token_make(1);
    question = question_new(1, 1);
    question->witness = true;
    expect_refused(question, ERR_UNSUPPORTED, "witness");
}

static void cluster_can_be_full(void **state)
{
    unsigned nodes = node_count();
    const Pr__JoinReply *reply;

    (void)state;
    do {
        token_make(1);
        reply = ask(question_new(1, nodes));
    } while (reply->err == ERR_OK && ++nodes <= FEW);
    assert_int_equal(reply->err, ERR_UNSUPPORTED);
    assert_non_null(strstr(reply->text, "cluster upgrade"));
    assert_int_equal(nodes, FEW);
    assert_int_equal(node_count(), FEW);
}

static void questions_are_checked(void **state)
{
    static uint8_t large[JOIN_REQUEST_SIZE_MAX + 1];
    Pr__JoinRequest *question;

    (void)state;
    token_make(1);
    assert_int_equal(ask_bytes(bytes_from(large, sizeof(large)))->err, ERR_TOOBIG);
    assert_int_equal(ask_bytes(BYTES("\xff\xff\xff"))->err, ERR_MALFORMED);
    question = question_new(1, 1);
    question->secret.len--;
    expect_refused(question, ERR_MALFORMED, "no join request");
    question = question_new(1, 1);
    question->request_id.len--;
    expect_refused(question, ERR_MALFORMED, "no join request");
    question = question_new(1, 1);
    question->certificate_request =
        field_of_bytes(BYTES("-----BEGIN CERTIFICATE REQUEST-----"));
    expect_refused(question, ERR_MALFORMED, "signing request");
    question = question_new(1, 1);
    question->node_name = TEXT("a name");
    expect_refused(question, ERR_INVALID, "name");
    question = question_new(1, 1);
    question->rpc_address = TEXT("0.0.0.0:7102");
    expect_refused(question, ERR_INVALID, "address");
    assert_int_equal(ask(question_new(1, 1))->err, ERR_OK);
}

/* Without a majority nobody can say whether a token is good. */
static void no_majority_no_node(void **state)
{
    (void)state;
    token_make(1);
    world.reads_fail = true;
    expect_refused(question_new(1, 1), ERR_UNAVAILABLE, "");
    world.reads_fail = false;
    assert_int_equal(ask(question_new(1, 1))->err, ERR_OK);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(good_token_makes_a_node),
        TEST(same_machine_gets_the_same_id),
        TEST(token_serves_once),
        TEST(token_expires),
        TEST(unknown_token_is_refused),
        TEST(names_are_taken_once),
        TEST(strangers_do_not_get_a_nodes_certificate),
        TEST(old_releases_are_refused),
        TEST(witnesses_wait_for_the_upgrade),
        TEST(cluster_can_be_full),
        TEST(questions_are_checked),
        TEST(no_majority_no_node),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
