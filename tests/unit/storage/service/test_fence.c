/* SPDX-License-Identifier: GPL-2.0-or-later */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */

#include "storage/db/key.h"
#include "storage/machine/local.h"
#include "storage/schema/entry.h"
#include "storage/schema/format.h"
#include "storage/service/fence.h"
#include "storage/service/identity.h"
#include "tests/unit/storage/lab.h"

/* "Removed" is the end of the node that hears it: it is said of what is certain only. */

static struct lab lab;

struct db_txn *service_directory_begin(struct service *service)
{
    (void)service;
    return db_read_begin(lab.db);
}

uint64_t service_self(const struct service *service)
{
    (void)service;
    return 1;
}

struct rpc_client *service_peer(const struct service *service, uint64_t node_id)
{
    (void)service;
    (void)node_id;
    return NULL;
}

uint64_t rpc_call(struct rpc_client *client, struct bytes body, uint64_t deadline_ms,
                  rpc_done *done, void *context)
{
    (void)client;
    (void)body;
    (void)deadline_ms;
    (void)done;
    (void)context;
    fail();
    return 0;
}

struct loop_timer *loop_timer_start(struct loop *loop, uint64_t delay_ms, uint64_t repeat_ms,
                                    void (*fired)(void *context), void *context)
{
    (void)loop;
    (void)delay_ms;
    (void)repeat_ms;
    (void)fired;
    (void)context;
    fail();
    return NULL;
}

void loop_timer_stop(struct loop_timer **timer)
{
    (void)timer;
    fail();
}

void loop_stop(struct loop *loop)
{
    (void)loop;
    fail();
}

enum err identity_save(const char *folder, const Pr__Identity *identity,
                       struct arena *text_arena, const char **problem)
{
    (void)folder;
    (void)identity;
    (void)text_arena;
    (void)problem;
    fail();
    return ERR_IO;
}

bool identity_file_exists(const char *folder, const char *name)
{
    (void)folder;
    (void)name;
    fail();
    return false;
}

static Pr__NodeJoin node_of(const char *name, const char *address)
{
    Pr__NodeJoin join = PR__NODE_JOIN__INIT;

    join.name = arena_string(&lab.arena, bytes_of(name));
    join.data_center = arena_string(&lab.arena, bytes_of("dc1"));
    join.raft_address = arena_string(&lab.arena, bytes_of(address));
    join.rpc_address = join.join_address = join.raft_address;
    return join;
}

/* Nodes 1 and 2; 2 is the youngest. */
static int setup(void **state)
{
    uint8_t hash[32] = {7};
    Pr__ClusterCreate create = PR__CLUSTER_CREATE__INIT;
    Pr__TokenAdd token = PR__TOKEN_ADD__INIT;

    (void)state;
    lab_open(&lab);
    Pr__NodeJoin first = node_of("a", "127.0.0.1:1");
    create.cluster_id = arena_string(&lab.arena, bytes_of("0123456789abcdef0123456789abcdef"));
    create.name = arena_string(&lab.arena, bytes_of("test"));
    create.mail_groups = 1;
    create.format = FORMAT_DEPTH;
    create.node = &first;
    assert_int_equal(
        lab_apply(&lab, 0, LAB_COMMAND(cluster_create, CLUSTER_CREATE, &create))->err, ERR_OK);
    token.token_hash = (ProtobufCBinaryData){sizeof(hash), hash};
    token.expires_ms = lab.now_ms + 1000;
    assert_int_equal(lab_apply(&lab, 0, LAB_COMMAND(token_add, TOKEN_ADD, &token))->err,
                     ERR_OK);
    Pr__NodeJoin second = node_of("b", "127.0.0.1:4");
    second.token_hash = token.token_hash;
    assert_int_equal(lab_apply(&lab, 0, LAB_COMMAND(node_join, NODE_JOIN, &second))->err,
                     ERR_OK);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    lab_close(&lab);
    return 0;
}

static void row_of_2_goes(bool partial)
{
    const struct local_copy copy = {.source = 3, .begun_ms = 1};
    struct db_txn *txn = db_write_begin(lab.db);
    struct key key;

    if (partial)
        local_partial_set(txn, 0, &copy);
    assert_true(db_delete(txn, TABLE_NODE, key_number(&key, 0, 2)));
    assert_int_equal(db_commit(&txn), ERR_OK);
}

static void test_who_is_there_or_will_come_is_not_removed(void **state)
{
    (void)state;
    assert_false(fence_is_removed(NULL, 1));
    assert_false(fence_is_removed(NULL, 2));
    assert_false(fence_is_removed(NULL, 3));
}

static void test_who_was_there_and_is_gone_is_removed(void **state)
{
    (void)state;
    row_of_2_goes(false);
    assert_true(fence_is_removed(NULL, 2));
    assert_false(fence_is_removed(NULL, 3));
}

static void test_half_a_directory_removes_nobody(void **state)
{
    (void)state;
    row_of_2_goes(true);
    assert_false(fence_is_removed(NULL, 2));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_who_is_there_or_will_come_is_not_removed),
        TEST(test_who_was_there_and_is_gone_is_removed),
        TEST(test_half_a_directory_removes_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
