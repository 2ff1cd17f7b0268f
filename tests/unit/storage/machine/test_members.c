/* SPDX-License-Identifier: GPL-2.0-or-later */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */

#include "storage/query/directory.h"
#include "storage/schema/entry.h"
#include "storage/schema/format.h"
#include "tests/unit/storage/lab.h"

#define CALL(type, name, ...)                                                                  \
    (&(Pr__##type){.base = PROTOBUF_C_MESSAGE_INIT(&pr__##name##__descriptor), __VA_ARGS__})
#define TEXT(text) ((char[]){text})
#define RUN(type, name, NAME, ...)                                                             \
    lab_apply(lab, 0, LAB_COMMAND(name, NAME, CALL(type, name, __VA_ARGS__)))
#define WANT(want, outcome) assert_int_equal((outcome)->err, ERR_##want)
#define GO(node, to, successor)                                                                \
    RUN(NodeChange, node_change, NODE_CHANGE, .node_id = (node),                               \
        .state = PR__NODE_STATE__NODE_##to, .replaced_by = (successor))
#define STATE(node, to) GO(node, to, 0)

/* Nodes 1 to 4: a, b, c in data centers of their own, w a witness in c's. Two mail groups. */
static void begin(struct lab *lab, unsigned format)
{
    static const struct {
        const char *name;
        const char *center;
        bool witness;
    } nodes[] = {{"b", "dc2", false}, {"c", "dc3", false}, {"w", "dc3", true}};

    lab_open(lab);
    WANT(OK, RUN(ClusterCreate, cluster_create, CLUSTER_CREATE,
                 .cluster_id = TEXT("0123456789abcdef0123456789abcdef"), .name = TEXT("test"),
                 .mail_groups = 2, .format = format,
                 .node = CALL(NodeJoin, node_join, .name = TEXT("a"),
                              .data_center = TEXT("dc1"), .raft_address = TEXT("127.0.0.1:1"),
                              .rpc_address = TEXT("127.0.0.1:2"),
                              .join_address = TEXT("127.0.0.1:3"))));
    for (uint8_t i = 0; i < 3; i++) {
        uint8_t hash[32] = {i};
        ProtobufCBinaryData field = {32, hash};
        WANT(OK, RUN(TokenAdd, token_add, TOKEN_ADD, .token_hash = field,
                     .expires_ms = lab->now_ms + 1000));
        char *name = arena_string(&lab->arena, bytes_of(nodes[i].name));
        WANT(OK, RUN(NodeJoin, node_join, NODE_JOIN, .token_hash = field, .name = name,
                     .data_center = arena_string(&lab->arena, bytes_of(nodes[i].center)),
                     .raft_address = arena_string(
                         &lab->arena, bytes_of(arena_printf(&lab->arena, "127.0.1.%u:1", i))),
                     .rpc_address = TEXT("127.0.0.1:2"), .join_address = TEXT("127.0.0.1:3"),
                     .witness = nodes[i].witness));
    }
}

static Pr__Replica **replicas(struct lab *lab, size_t count, const uint64_t *ids)
{
    Pr__Replica **made = arena_alloc(&lab->arena, count * sizeof(*made));

    for (size_t i = 0; i < count; i++) {
        made[i] = arena_alloc(&lab->arena, sizeof(**made));
        pr__replica__init(made[i]);
        made[i]->node_id = ids[i];
    }
    return made;
}

#define IDS(...) ((const uint64_t[]){__VA_ARGS__})
#define COUNT(...) (sizeof(IDS(__VA_ARGS__)) / sizeof(uint64_t))
#define PUT(number, ...)                                                                       \
    RUN(GroupPut, group_put, GROUP_PUT, .group = (number), .n_replicas = COUNT(__VA_ARGS__),   \
        .replicas = replicas(lab, COUNT(__VA_ARGS__), IDS(__VA_ARGS__)))
#define PLACED(number, which)                                                                  \
    RUN(GroupPlaced, group_placed, GROUP_PLACED, .group = (number), .version = (which))

static Pr__GroupRecord *group_now(struct lab *lab, uint32_t group)
{
    struct db_txn *txn = db_read_begin(lab->db);
    Pr__GroupRecord *record = directory_group(txn, group, &lab->arena);

    db_abort(&txn);
    return record;
}

static Pr__NodeRecord *node_now(struct lab *lab, uint64_t node_id)
{
    struct db_txn *txn = db_read_begin(lab->db);
    Pr__NodeRecord *record = directory_node(txn, node_id, &lab->arena);

    db_abort(&txn);
    return record;
}

static Pr__ClusterRecord *cluster_now(struct lab *lab)
{
    struct db_txn *txn = db_read_begin(lab->db);
    Pr__ClusterRecord *record = directory_cluster(txn, &lab->arena);

    db_abort(&txn);
    return record;
}

/* Nothing of it takes effect while nodes of the release before may be there. */
static void older_format_knows_none(void **state)
{
    struct lab there;
    struct lab *lab = &there;

    (void)state;
    begin(lab, FORMAT_FIRST);
    WANT(UNSUPPORTED, STATE(2, DRAINING));
    WANT(UNSUPPORTED, RUN(GroupsAdd, groups_add, GROUPS_ADD, .n_birth_node_ids = 1,
                          .birth_node_ids = (uint64_t[]){1}));
    WANT(UNSUPPORTED, PLACED(1, 0));
    assert_false(node_now(lab, 4)->witness);
    WANT(OK, PUT(1, 1, 2));
    assert_int_equal(group_now(lab, 1)->version, 0);
    lab_close(lab);
}

static void nodes_go_and_come_back(void **state)
{
    struct lab there;
    struct lab *lab = &there;

    (void)state;
    begin(lab, FORMAT_DEPTH);
    assert_true(node_now(lab, 4)->witness);
    assert_false(node_now(lab, 3)->witness);
    WANT(NOTFOUND, STATE(9, DRAINING));
    lab->events.directory_changed = false;
    WANT(OK, STATE(2, DRAINING));
    assert_true(lab->events.directory_changed);
    assert_int_equal(node_now(lab, 2)->state, PR__NODE_STATE__NODE_DRAINING);
    assert_int_equal(node_now(lab, 2)->changed_ms, lab->now_ms);
    WANT(OK, STATE(2, ACTIVE));
    assert_int_equal(node_now(lab, 2)->state, PR__NODE_STATE__NODE_ACTIVE);
    WANT(INVALID, GO(2, ACTIVE, 3));
    WANT(INVALID, GO(2, REMOVING, 2));
    WANT(INVALID, GO(2, REMOVING, 4)); /* a witness for mail */
    WANT(NOTFOUND, GO(2, REMOVING, 9));
    WANT(OK, GO(2, REMOVING, 3));
    assert_int_equal(node_now(lab, 2)->replaced_by, 3);
    WANT(OK, STATE(3, DRAINING));
    WANT(INVALID, STATE(1, DRAINING)); /* only a witness would be left */
    WANT(INVALID, GO(4, REMOVING, 3));
    lab_close(lab);
}

static void versions_tell_what_moves(void **state)
{
    struct lab there;
    struct lab *lab = &there;

    (void)state;
    begin(lab, FORMAT_DEPTH);
    WANT(OK, PUT(1, 1, 2));
    assert_int_equal(group_now(lab, 1)->version, 1);
    assert_int_equal(group_now(lab, 1)->placed_version, 0);
    WANT(OK, PUT(1, 2, 1)); /* the same in another order */
    assert_int_equal(group_now(lab, 1)->version, 1);
    WANT(CONFLICT, PLACED(1, 0));
    WANT(CONFLICT, PLACED(1, 2));
    WANT(NOTFOUND, PLACED(9, 1));
    WANT(INVALID, RUN(NodeRemove, node_remove, NODE_REMOVE, .node_id = 3)); /* 1 moves */
    WANT(OK, PLACED(1, 1));
    assert_int_equal(group_now(lab, 1)->placed_version, 1);
    WANT(CONFLICT, RUN(GroupPut, group_put, GROUP_PUT, .group = 1, .version_given = true,
                       .version = 0, .n_replicas = 1, .replicas = replicas(lab, 1, IDS(1))));
    WANT(OK, RUN(GroupPut, group_put, GROUP_PUT, .group = 1, .version_given = true,
                 .version = 1, .n_replicas = 1, .replicas = replicas(lab, 1, IDS(1)),
                 .preferred_leader = 1, .leader_pinned = true));
    assert_true(group_now(lab, 1)->leader_pinned);
    WANT(OK, PLACED(1, 2));
    WANT(OK, RUN(NodeRemove, node_remove, NODE_REMOVE, .node_id = 3));
    assert_null(node_now(lab, 3));
    lab_close(lab);
}

static void plans_wait_in_the_directory(void **state)
{
    struct lab there;
    struct lab *lab = &there;
    Pr__GroupPlan first = PR__GROUP_PLAN__INIT;
    Pr__GroupPlan second = PR__GROUP_PLAN__INIT;
    Pr__GroupPlan *both[] = {&first, &second};

    (void)state;
    begin(lab, FORMAT_DEPTH);
    first.group = 1;
    second.group = 2;
    first.n_replicas = second.n_replicas = 2;
    first.replicas = second.replicas = replicas(lab, 2, IDS(2, 3));
    second.version = 7;
    WANT(CONFLICT, RUN(GroupsPlan, groups_plan, GROUPS_PLAN, .n_plans = 2, .plans = both));
    assert_int_equal(group_now(lab, 1)->n_planned, 0); /* all or nothing */
    second.version = 0;
    WANT(OK, RUN(GroupsPlan, groups_plan, GROUPS_PLAN, .n_plans = 2, .plans = both));
    assert_int_equal(group_now(lab, 1)->n_planned, 2);
    assert_int_equal(group_now(lab, 2)->planned[1]->node_id, 3);
    WANT(OK, PUT(1, 1, 2, 3)); /* something else came between */
    assert_int_equal(group_now(lab, 1)->n_planned, 2);
    WANT(OK, RUN(GroupPut, group_put, GROUP_PUT, .group = 1, .plan_taken = true,
                 .n_replicas = 2, .replicas = replicas(lab, 2, IDS(2, 3))));
    assert_int_equal(group_now(lab, 1)->n_planned, 0);
    WANT(OK, RUN(GroupsPlan, groups_plan, GROUPS_PLAN, .clear = true));
    assert_int_equal(group_now(lab, 2)->n_planned, 0);
    first.group = 0;
    WANT(NOTFOUND, RUN(GroupsPlan, groups_plan, GROUPS_PLAN, .n_plans = 1, .plans = both));
    first.group = 2;
    first.replicas = replicas(lab, 2, IDS(3, 9));
    WANT(NOTFOUND, RUN(GroupsPlan, groups_plan, GROUPS_PLAN, .n_plans = 1, .plans = both));
    lab_close(lab);
}

#define ADD(...)                                                                               \
    RUN(GroupsAdd, groups_add, GROUPS_ADD, .n_birth_node_ids = COUNT(__VA_ARGS__),             \
        .birth_node_ids = (uint64_t[]){__VA_ARGS__})

static uint32_t account_group(struct lab *lab, const char *local)
{
    char *address = arena_string(&lab->arena,
                                 bytes_of(arena_printf(&lab->arena, "%s@acme.example", local)));
    Pr__Outcome *added = RUN(AccountAdd, account_add, ACCOUNT_ADD, .address = address,
                             .password_hash = TEXT("$argon2id$..."));
    struct bytes known;
    uint32_t group = 0;

    WANT(OK, added);
    struct db_txn *txn = db_read_begin(lab->db);
    assert_true(directory_account_by_id(txn, added->id, &lab->arena, &known, &group));
    db_abort(&txn);
    return group;
}

static void groups_are_born_once(void **state)
{
    struct lab there;
    struct lab *lab = &there;

    (void)state;
    begin(lab, FORMAT_DEPTH);
    WANT(OK, RUN(TenantAdd, tenant_add, TENANT_ADD, .name = TEXT("acme")));
    WANT(OK, RUN(DomainAdd, domain_add, DOMAIN_ADD, .name = TEXT("acme.example"),
                 .tenant = TEXT("acme")));
    WANT(NOTFOUND, ADD(9));
    WANT(INVALID, ADD(4)); /* a witness */
    Pr__Outcome *added = ADD(2, 3);
    WANT(OK, added);
    assert_int_equal(added->id, 3);
    assert_int_equal(group_now(lab, 4)->replicas[0]->node_id, 3);
    WANT(BUSY, PUT(3, 1, 2));
    WANT(BUSY, STATE(2, DRAINING));
    assert_int_equal(account_group(lab, "one"), 1); /* unborn groups take none */
    assert_int_equal(account_group(lab, "two"), 2);
    assert_int_equal(account_group(lab, "three"), 1);
    WANT(OK, PLACED(3, 1));
    assert_int_equal(account_group(lab, "four"), 3);
    WANT(OK, PUT(3, 1, 2));
    WANT(OK, STATE(2, DRAINING));
    WANT(OK, STATE(3, REMOVING)); /* takes the group along that has not begun */
    assert_null(group_now(lab, 4));
    assert_int_equal(ADD(1)->id, 5); /* the number is not used again */
    lab_close(lab);
}

#define POLICY(...)                                                                            \
    RUN(ReplicationSet, replication_set, REPLICATION_SET,                                      \
        .policy = CALL(ClusterPolicy, cluster_policy, __VA_ARGS__))

static void policy_is_checked(void **state)
{
    struct lab there;
    struct lab *lab = &there;

    (void)state;
    begin(lab, FORMAT_DEPTH);
    WANT(INVALID, POLICY(.replicas = 4));
    WANT(INVALID, POLICY(.replicas = 3, .min_dcs = 4));
    WANT(INVALID, POLICY(.grace_s = 86401));
    WANT(INVALID, RUN(ReplicationSet, replication_set, REPLICATION_SET, .policy = NULL));
    WANT(OK, POLICY(.replicas = 5, .min_dcs = 3, .grace_s = 60,
                    .durability = PR__CLUSTER_POLICY__DURABILITY__CROSS_DC));
    assert_int_equal(cluster_now(lab)->replication->min_dcs, 3);
    WANT(OK, STATE(2, DRAINING));
    WANT(INVALID, POLICY(.replicas = 5, .min_dcs = 3)); /* that data center is going */
    WANT(OK, POLICY(.replicas = 5, .min_dcs = 2));
    lab_close(lab);
}

static void recovery_forgets_the_lost(void **state)
{
    struct lab there;
    struct lab *lab = &there;
    uint64_t lost[] = {2, 3};

    (void)state;
    begin(lab, FORMAT_DEPTH);
    WANT(OK, PUT(0, 1, 2, 3));
    WANT(OK, PUT(1, 1, 2, 3));
    WANT(OK, PUT(2, 2, 3));
    WANT(OK, RUN(GroupPut, group_put, GROUP_PUT, .group = 1, .n_replicas = 3,
                 .replicas = replicas(lab, 3, IDS(1, 2, 3)), .preferred_leader = 2,
                 .leader_pinned = true));
    WANT(OK, STATE(4, REMOVING));
    WANT(OK, GO(1, DRAINING, 2));
    WANT(INVALID, RUN(ClusterRecover, cluster_recover, CLUSTER_RECOVER, .by_node_id = 2,
                      .lost_node_ids = lost, .n_lost_node_ids = 2));
    WANT(INVALID, RUN(ClusterRecover, cluster_recover, CLUSTER_RECOVER, .by_node_id = 1));
    Pr__Outcome *done = RUN(ClusterRecover, cluster_recover, CLUSTER_RECOVER, .by_node_id = 1,
                            .lost_node_ids = lost, .n_lost_node_ids = 2);
    WANT(OK, done);
    assert_int_equal(done->id, 1);
    assert_null(node_now(lab, 2));
    assert_int_equal(node_now(lab, 1)->replaced_by, 0);
    assert_int_equal(group_now(lab, 1)->n_replicas, 1);
    assert_int_equal(group_now(lab, 1)->version, 2);
    assert_int_equal(group_now(lab, 1)->preferred_leader, 0);
    assert_false(group_now(lab, 1)->leader_pinned);
    assert_int_equal(group_now(lab, 2)->n_replicas, 0); /* nobody has it any more */
    assert_int_equal(cluster_now(lab)->recoveries[0]->n_lost_node_ids, 2);
    WANT(NOTFOUND, RUN(ClusterRecover, cluster_recover, CLUSTER_RECOVER, .by_node_id = 1,
                       .lost_node_ids = lost, .n_lost_node_ids = 2));
    lab_close(lab);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(older_format_knows_none),
        cmocka_unit_test(nodes_go_and_come_back),
        cmocka_unit_test(versions_tell_what_moves),
        cmocka_unit_test(plans_wait_in_the_directory),
        cmocka_unit_test(groups_are_born_once),
        cmocka_unit_test(policy_is_checked),
        cmocka_unit_test(recovery_forgets_the_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
