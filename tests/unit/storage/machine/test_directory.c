/* SPDX-License-Identifier: GPL-2.0-or-later */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */

#include <stdio.h>

#include "storage/query/directory.h"
#include "storage/schema/entry.h"
#include "tests/unit/storage/lab.h"

#define CALL(type, name, ...)                                                                  \
    (&(Pr__##type){.base = PROTOBUF_C_MESSAGE_INIT(&pr__##name##__descriptor), __VA_ARGS__})
#define TEXT(text) ((char[]){text})
#define RUN(type, name, NAME, ...)                                                             \
    lab_apply(lab, 0, LAB_COMMAND(name, NAME, CALL(type, name, __VA_ARGS__)))
#define WANT(want, outcome) assert_int_equal((outcome)->err, ERR_##want)

static uint8_t hash_one[32] = {1};
static uint8_t hash_two[32] = {2};
#define HASH(bytes)                                                                            \
    {                                                                                          \
        .len = 32, .data = (bytes)                                                             \
    }
#define NODE(node, center)                                                                     \
    .name = TEXT(node), .data_center = TEXT(center), .raft_address = TEXT("127.0.0.1:" node),  \
    .rpc_address = TEXT("127.0.0.1:2"), .join_address = TEXT("127.0.0.1:3")

static Pr__Outcome *cluster_create(struct lab *lab, uint32_t groups)
{
    return RUN(ClusterCreate, cluster_create, CLUSTER_CREATE,
               .cluster_id = TEXT("0123456789abcdef0123456789abcdef"), .name = TEXT("test"),
               .mail_groups = groups, .node = CALL(NodeJoin, node_join, NODE("n1", "dc1")));
}

static Pr__Outcome *account_add(struct lab *lab, char *address)
{
    return RUN(AccountAdd, account_add, ACCOUNT_ADD, .address = address,
               .password_hash = TEXT("$argon2id$..."));
}

/* A cluster with two mail groups, a tenant and two domains. */
static void begin(struct lab *lab)
{
    lab_open(lab);
    WANT(OK, cluster_create(lab, 2));
    WANT(OK, RUN(TenantAdd, tenant_add, TENANT_ADD, .name = TEXT("acme")));
    WANT(OK, RUN(DomainAdd, domain_add, DOMAIN_ADD, .name = TEXT("acme.example"),
                 .tenant = TEXT("acme")));
    WANT(OK, RUN(DomainAdd, domain_add, DOMAIN_ADD, .name = TEXT("b.example"),
                 .tenant = TEXT("acme")));
}

static void cluster_is_made_once(void **state)
{
    struct lab there;
    struct lab *lab = &there;
    struct db_txn *txn;
    Pr__GroupRecord **groups;
    size_t count;

    (void)state;
    lab_open(lab);
    WANT(NOTFOUND, RUN(TenantAdd, tenant_add, TENANT_ADD, .name = TEXT("early")));
    WANT(INVALID, cluster_create(lab, 0));
    WANT(INVALID, cluster_create(lab, 65));
    WANT(OK, cluster_create(lab, 4));
    assert_true(lab->events.directory_changed);
    WANT(EXISTS, cluster_create(lab, 4));
    txn = db_read_begin(lab->db);
    directory_groups(txn, &lab->arena, &groups, &count);
    assert_int_equal(count, 5);
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(groups[i]->group, i);
        assert_int_equal(groups[i]->n_replicas, 1);
        assert_int_equal(groups[i]->replicas[0]->node_id, 1);
    }
    assert_string_equal(directory_cluster(txn, &lab->arena)->name, "test");
    assert_string_equal(directory_node(txn, 1, &lab->arena)->data_center, "dc1");
    assert_null(directory_node(txn, 2, &lab->arena));
    assert_int_equal(db_commit(&txn), ERR_OK);
    lab_close(lab);
}

static void token_lets_one_node_join(void **state)
{
    struct lab there;
    struct lab *lab = &there;
    struct db_txn *txn;

    (void)state;
    begin(lab);
    WANT(DENIED,
         RUN(NodeJoin, node_join, NODE_JOIN, .token_hash = HASH(hash_one), NODE("n2", "dc2")));
    WANT(INVALID, RUN(TokenAdd, token_add, TOKEN_ADD, .token_hash = HASH(hash_one),
                      .expires_ms = lab->now_ms));
    WANT(OK, RUN(TokenAdd, token_add, TOKEN_ADD, .token_hash = HASH(hash_one),
                 .expires_ms = lab->now_ms + 1000));
    WANT(EXISTS, RUN(TokenAdd, token_add, TOKEN_ADD, .token_hash = HASH(hash_one),
                     .expires_ms = lab->now_ms + 1000));
    WANT(EXISTS,
         RUN(NodeJoin, node_join, NODE_JOIN, .token_hash = HASH(hash_one), NODE("N1", "dc2")));
    WANT(INVALID, RUN(NodeJoin, node_join, NODE_JOIN, .token_hash = HASH(hash_one),
                      NODE("no name", "dc2")));
    txn = db_read_begin(lab->db);
    assert_true(directory_token_good(txn, bytes_from(hash_one, 32), lab->now_ms));
    assert_false(directory_token_good(txn, bytes_from(hash_one, 32), lab->now_ms + 1000));
    assert_false(directory_token_good(txn, bytes_from(hash_two, 32), lab->now_ms));
    assert_int_equal(db_commit(&txn), ERR_OK);
    Pr__Outcome *joined =
        RUN(NodeJoin, node_join, NODE_JOIN, .token_hash = HASH(hash_one), NODE("n2", "dc2"));
    WANT(OK, joined);
    assert_int_equal(joined->id, 2);
    WANT(DENIED,
         RUN(NodeJoin, node_join, NODE_JOIN, .token_hash = HASH(hash_one), NODE("n3", "dc3")));
    WANT(OK, RUN(TokenAdd, token_add, TOKEN_ADD, .token_hash = HASH(hash_two),
                 .expires_ms = lab->now_ms + 1000));
    lab->now_ms += 1000;
    WANT(DENIED,
         RUN(NodeJoin, node_join, NODE_JOIN, .token_hash = HASH(hash_two), NODE("n3", "dc3")));
    lab_close(lab);
}

static void placement_names_nodes_that_are_there(void **state)
{
    struct lab there;
    struct lab *lab = &there;
    Pr__Replica one = PR__REPLICA__INIT;
    Pr__Replica two = PR__REPLICA__INIT;
    Pr__Replica *both[] = {&one, &two};

    (void)state;
    begin(lab);
    one.node_id = 1;
    two.node_id = 2;
    WANT(NOTFOUND,
         RUN(GroupPut, group_put, GROUP_PUT, .group = 1, .replicas = both, .n_replicas = 2));
    RUN(TokenAdd, token_add, TOKEN_ADD, .token_hash = HASH(hash_one),
        .expires_ms = lab->now_ms + 1);
    WANT(OK,
         RUN(NodeJoin, node_join, NODE_JOIN, .token_hash = HASH(hash_one), NODE("n2", "dc2")));
    WANT(OK, RUN(GroupPut, group_put, GROUP_PUT, .group = 1, .replicas = both, .n_replicas = 2,
                 .preferred_leader = 2));
    WANT(NOTFOUND,
         RUN(GroupPut, group_put, GROUP_PUT, .group = 9, .replicas = both, .n_replicas = 2));
    WANT(INVALID, RUN(GroupPut, group_put, GROUP_PUT, .group = 1));
    WANT(INVALID, RUN(NodeRemove, node_remove, NODE_REMOVE, .node_id = 2));
    two.standby = true;
    WANT(INVALID, RUN(GroupPut, group_put, GROUP_PUT, .group = 1, .replicas = both,
                      .n_replicas = 2, .preferred_leader = 2));
    two.node_id = 1;
    WANT(INVALID,
         RUN(GroupPut, group_put, GROUP_PUT, .group = 1, .replicas = both, .n_replicas = 2));
    WANT(OK,
         RUN(GroupPut, group_put, GROUP_PUT, .group = 1, .replicas = both, .n_replicas = 1));
    WANT(OK, RUN(NodeRemove, node_remove, NODE_REMOVE, .node_id = 2));
    WANT(NOTFOUND, RUN(NodeRemove, node_remove, NODE_REMOVE, .node_id = 2));
    lab_close(lab);
}

static void names_are_checked(void **state)
{
    char *const domains[] = {
        TEXT("Upper.example"),
        TEXT("example"),
        TEXT("a..b"),
        TEXT(".a.b"),
        TEXT("-a.example"),
        TEXT("a-.example"),
        TEXT("a_b.de"),
        TEXT("192.0.2.1"),
        TEXT("a.example."),
        TEXT("b\xc3\xbc.example"),
        TEXT(""),
        TEXT("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.example"),
    };
    char *const addresses[] = {
        TEXT("no-at.example"),
        TEXT("@acme.example"),
        TEXT("a@"),
        TEXT("A@acme.example"),
        TEXT(".a@acme.example"),
        TEXT("a.@acme.example"),
        TEXT("a..b@acme.example"),
        TEXT("a b@acme.example"),
        TEXT("a\"@acme.example"),
        TEXT("\xff@acme.example"),
        TEXT("a@Acme.example"),
        TEXT(""),
        TEXT("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa@acme.example"),
    };
    struct lab there;
    struct lab *lab = &there;

    (void)state;
    begin(lab);
    for (size_t i = 0; i < sizeof(domains) / sizeof(*domains); i++)
        WANT(INVALID, RUN(DomainAdd, domain_add, DOMAIN_ADD, .name = domains[i],
                          .tenant = TEXT("acme")));
    for (size_t i = 0; i < sizeof(addresses) / sizeof(*addresses); i++)
        WANT(INVALID, account_add(lab, addresses[i]));
    WANT(INVALID, RUN(TenantAdd, tenant_add, TENANT_ADD, .name = TEXT("a b")));
    WANT(INVALID, RUN(TenantAdd, tenant_add, TENANT_ADD, .name = TEXT("")));
    WANT(OK, account_add(lab, TEXT("o'neil+tag@acme.example")));
    WANT(OK, account_add(lab, TEXT("b\xc3\xbc@acme.example")));
    lab_close(lab);
}

static void accounts_are_counted_and_spread(void **state)
{
    struct lab there;
    struct lab *lab = &there;
    struct db_txn *txn;
    struct bytes address;
    uint32_t group;

    (void)state;
    begin(lab);
    WANT(EXISTS, RUN(TenantAdd, tenant_add, TENANT_ADD, .name = TEXT("acme")));
    WANT(NOTFOUND, RUN(DomainAdd, domain_add, DOMAIN_ADD, .name = TEXT("c.example"),
                       .tenant = TEXT("nobody")));
    WANT(EXISTS, RUN(DomainAdd, domain_add, DOMAIN_ADD, .name = TEXT("b.example"),
                     .tenant = TEXT("acme")));
    WANT(NOTFOUND, account_add(lab, TEXT("x@c.example")));
    for (unsigned i = 0; i < 5; i++) {
        Pr__Outcome *outcome =
            account_add(lab, arena_printf(&lab->arena, "user%u@acme.example", i));
        WANT(OK, outcome);
        assert_int_equal(outcome->id, i + 1);
    }
    WANT(EXISTS, account_add(lab, TEXT("user0@acme.example")));
    txn = db_read_begin(lab->db);
    assert_int_equal(directory_group(txn, 1, &lab->arena)->accounts, 3);
    assert_int_equal(directory_group(txn, 2, &lab->arena)->accounts, 2);
    assert_int_equal(directory_domain(txn, BYTES("acme.example"), &lab->arena)->accounts, 5);
    assert_int_equal(directory_tenant(txn, BYTES("acme"), &lab->arena)->domains, 2);
    assert_true(directory_account_by_id(txn, 2, &lab->arena, &address, &group));
    assert_true(bytes_equal(address, BYTES("user1@acme.example")));
    assert_int_equal(group, 2);
    assert_int_equal(directory_account(txn, BYTES("user1@acme.example"), &lab->arena)->id, 2);
    assert_int_equal(db_commit(&txn), ERR_OK);

    WANT(INVALID, RUN(TenantRemove, tenant_remove, TENANT_REMOVE, .name = TEXT("acme")));
    WANT(INVALID,
         RUN(DomainRemove, domain_remove, DOMAIN_REMOVE, .name = TEXT("acme.example")));
    WANT(OK, RUN(AccountPassword, account_password, ACCOUNT_PASSWORD,
                 .address = TEXT("user1@acme.example"), .password_hash = TEXT("new")));
    assert_int_equal(lab->events.ended_count, 1);
    assert_int_equal(lab->events.accounts_ended[0], 2);
    for (unsigned i = 0; i < 5; i++)
        WANT(OK, RUN(AccountRemove, account_remove, ACCOUNT_REMOVE,
                     .address = arena_printf(&lab->arena, "user%u@acme.example", i)));
    WANT(NOTFOUND, RUN(AccountRemove, account_remove, ACCOUNT_REMOVE,
                       .address = TEXT("user0@acme.example")));
    txn = db_read_begin(lab->db);
    assert_false(directory_account_by_id(txn, 2, &lab->arena, &address, &group));
    assert_int_equal(directory_group(txn, 1, &lab->arena)->accounts, 0);
    assert_int_equal(directory_domain(txn, BYTES("acme.example"), &lab->arena)->accounts, 0);
    assert_int_equal(db_commit(&txn), ERR_OK);
    assert_int_equal(account_add(lab, TEXT("user0@acme.example"))->id, 6); /* never again 1 */
    WANT(OK, RUN(DomainRemove, domain_remove, DOMAIN_REMOVE, .name = TEXT("b.example")));
    WANT(NOTFOUND, RUN(DomainRemove, domain_remove, DOMAIN_REMOVE, .name = TEXT("b.example")));
    lab_close(lab);
}

static void lists_come_in_pages(void **state)
{
    struct lab there;
    struct lab *lab = &there;
    struct db_txn *txn;
    struct bytes after = BYTES("");
    unsigned seen = 0;
    bool more = true;

    (void)state;
    begin(lab);
    for (unsigned i = 0; i < 25; i++)
        account_add(lab, arena_printf(&lab->arena, "user%02u@%s", i,
                                      i % 5 == 0 ? "b.example" : "acme.example"));
    txn = db_read_begin(lab->db);
    for (unsigned page = 0; more; page++) {
        Pr__AccountRecord **accounts;
        size_t count;
        more = directory_accounts(txn, BYTES("acme.example"), after, 7, &lab->arena, &accounts,
                                  &count);
        assert_true(count == 7 || !more);
        for (size_t i = 0; i < count; i++, seen++) {
            assert_true(i == 0 || strcmp(accounts[i - 1]->address, accounts[i]->address) < 0);
            assert_non_null(strstr(accounts[i]->address, "@acme.example"));
        }
        after = bytes_of(accounts[count - 1]->address);
    }
    assert_int_equal(seen, 20);
    Pr__DomainRecord **domains;
    size_t count;
    assert_true(
        directory_domains(txn, BYTES("acme"), BYTES(""), 1, &lab->arena, &domains, &count));
    assert_false(directory_domains(txn, BYTES("acme"), bytes_of(domains[0]->name), 1,
                                   &lab->arena, &domains, &count));
    assert_string_equal(domains[0]->name, "b.example");
    assert_false(
        directory_domains(txn, BYTES("other"), BYTES(""), 9, &lab->arena, &domains, &count));
    assert_int_equal(count, 0);
    assert_int_equal(db_commit(&txn), ERR_OK);
    lab_close(lab);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cluster_is_made_once),
        cmocka_unit_test(token_lets_one_node_join),
        cmocka_unit_test(placement_names_nodes_that_are_there),
        cmocka_unit_test(names_are_checked),
        cmocka_unit_test(accounts_are_counted_and_spread),
        cmocka_unit_test(lists_come_in_pages),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
