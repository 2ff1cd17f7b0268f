/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The cluster's own account: made once, whoever leads the directory, and not before its format
 * allows. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */

#include <sodium.h>

#include "node/base/check.h"
#include "storage/service/role_duty.h"
#include "tests/unit/storage/directory_lab.h"
#include "tests/unit/storage/service/service_world.h"

#define ROLE "postmaster@localhost"

static struct lab the_lab;
static struct lab *const lab = &the_lab;
static struct role_duty *first;  /* of the node that leads */
static struct role_duty *second; /* of the one that leads after it */

static void open_with(unsigned format)
{
    CHECK(sodium_init() >= 0);
    directory_lab_open(lab, format);
    world_begin(lab);
    first = role_duty_new(&world.service);
    second = role_duty_new(&world.service);
}

static int begin(void **state)
{
    (void)state;
    open_with(FORMAT_ADDRESSES);
    return 0;
}

static int begin_old(void **state)
{
    (void)state;
    open_with(FORMAT_SCOPES);
    return 0;
}

static int end(void **state)
{
    (void)state;
    role_duty_free(&first);
    role_duty_free(&second);
    world_run(world.now_ms);
    world_end();
    lab_close(lab);
    return 0;
}

static void tick(struct role_duty *duty)
{
    role_duty_tick(duty, world.now_ms);
}

static void work(void)
{
    world_run(world.now_ms);
}

/* There is one, with two keys that nobody can guess. Returns its id. */
static uint64_t made(void)
{
    static const uint8_t zero[32];
    const Pr__ClusterRecord *cluster = directory_lab_cluster(lab);
    const Pr__AccountRecord *account = directory_lab_account_of(lab, ROLE);

    assert_non_null(account);
    assert_int_equal(account->id, cluster->role_account_id);
    assert_string_equal(account->password_hash, "");
    assert_int_equal(cluster->srs_key.len, 32);
    assert_int_equal(cluster->auth_key.len, 32);
    assert_memory_not_equal(cluster->srs_key.data, cluster->auth_key.data, 32);
    assert_memory_not_equal(cluster->srs_key.data, zero, 32);
    assert_memory_not_equal(cluster->auth_key.data, zero, 32);
    directory_lab_recount(lab);
    return account->id;
}

static void test_once(void **state)
{
    (void)state;
    tick(first);
    world.now_ms += 2 * ROLE_DUTY_AGAIN_MS;
    tick(first); /* under way, for long */
    work();
    assert_int_equal(world.writes, 1);
    assert_int_equal(world.calls[0], PR__COMMAND__CALL_ROLE_ACCOUNT_MAKE);
    assert_int_equal(world.groups[0], DIRECTORY_GROUP);
    uint64_t id = made();
    for (unsigned i = 0; i < 5; i++) {
        tick(first);
        world_run(world.now_ms + ROLE_DUTY_AGAIN_MS);
    }
    assert_int_equal(world.writes, 1);
    assert_int_equal(made(), id);
}

/* Who leads next finds it there; a command of both finds what the other's has made. */
static void test_leader_changes(void **state)
{
    (void)state;
    tick(first);
    tick(second);
    world_step(world.now_ms);
    uint64_t id = made();
    const Pr__ClusterRecord *before = directory_lab_cluster(lab);
    work();
    assert_int_equal(world.writes, 2);
    assert_int_equal(made(), id);
    const Pr__ClusterRecord *after = directory_lab_cluster(lab);
    assert_memory_equal(after->srs_key.data, before->srs_key.data, 32);
    assert_memory_equal(after->auth_key.data, before->auth_key.data, 32);
    assert_int_equal(after->next_account_id, before->next_account_id);

    struct role_duty *third = role_duty_new(&world.service);
    tick(third);
    world_run(world.now_ms + ROLE_DUTY_AGAIN_MS);
    tick(second);
    tick(third);
    work();
    role_duty_free(&third);
    assert_int_equal(world.writes, 2);
}

static enum world_fate lose_first(struct service_world *of, uint32_t group,
                                  const Pr__Command *command)
{
    (void)group;
    (void)command;
    return of->writes == 1 ? WORLD_LOST : of->writes == 2 ? WORLD_UNKNOWN : WORLD_APPLIED;
}

/* Without a majority it is tried again, not at every look; what took effect unseen is seen. */
static void test_lost(void **state)
{
    (void)state;
    world.fate = lose_first;
    tick(first);
    work();
    assert_null(directory_lab_account_of(lab, ROLE));
    world_run(world.now_ms + ROLE_DUTY_AGAIN_MS - 1);
    tick(first);
    work();
    assert_int_equal(world.writes, 1);
    world_run(world.now_ms + 1);
    tick(first);
    work();
    assert_int_equal(world.writes, 2);
    made();
    world_run(world.now_ms + ROLE_DUTY_AGAIN_MS);
    tick(first);
    work();
    assert_int_equal(world.writes, 2);
}

static void test_old_format(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 5; i++) {
        tick(first);
        world_run(world.now_ms + ROLE_DUTY_AGAIN_MS);
    }
    assert_int_equal(world.writes, 0);
    assert_null(directory_lab_account_of(lab, ROLE));
    directory_lab_raise(lab, FORMAT_ADDRESSES);
    tick(first);
    work();
    assert_int_equal(world.writes, 1);
    made();
}

/* A state without a cluster has nobody to make it for. */
static void test_no_cluster(void **state)
{
    (void)state;
    CHECK(sodium_init() >= 0);
    lab_open(lab);
    world_begin(lab);
    first = role_duty_new(&world.service);
    tick(first);
    work();
    assert_int_equal(world.writes, 0);
}

/* The store ends while the command is under way. */
static void test_end(void **state)
{
    (void)state;
    tick(first);
    role_duty_free(&first);
    assert_null(first);
    work();
    made();
    tick(second);
    work();
    assert_int_equal(world.writes, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_once),
        TEST(test_leader_changes),
        TEST(test_lost),
        cmocka_unit_test_setup_teardown(test_old_format, begin_old, end),
        cmocka_unit_test_teardown(test_no_cluster, end),
        TEST(test_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
