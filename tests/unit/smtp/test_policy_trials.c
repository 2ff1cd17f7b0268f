/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From connect to verdict. */
#include "unit/smtp/policy_world.h"

static void quiet(void)
{
    lab_set(0, 0, "judge.new_domain.enabled", "off");
    lab_set(0, 0, "judge.helo.enabled", "off");
}

static void test_verdicts(void **state)
{
    struct world *world = *state;

    open_world(world, true);
    quiet();
    lab_set(0, 0, "dnsbl.zones", "bl.example=12 all.example=50 out.example=50");
    lab_set(0, 0, "dnswl.zones", "wl.example=-11");
    connect_from(world, "198.51.100.7"); /* "listed" by 127.255.255.254: the list is dead */
    assert_int_equal(verdict(world, "a@b.example"), 250);
    lab_set(0, 0, "dnswl.zones", "none.example=-1");
    connect_from(world, "198.51.100.5");
    lab_set(2, 4, "policy.grey_score", "100");
    assert_int_equal(verdict(world, "a@b.example"), 250);
    close_world(world);

    open_world(world, true);
    quiet();
    lab_set(0, 0, "dnsbl.zones", "bl.example=12 all.example=50 out.example=50");
    connect_from(world, "198.51.100.5");
    assert_int_equal(verdict(world, "a@b.example"), 550);
    assert_non_null(strstr(world->text, "5.7.1 Refused by policy: listed by bl.example;"));
    assert_int_equal(lab_store.greylist_asks, 0);
    assert_null(try_from(world, "a@b.example", true)); /* abuse@ */
    lab_set(0, 0, "dnswl.zones", "wl.example=-11");
    lab_set(0, 0, "policy.grey_score", "100");
    lab_set(1, 3, "policy.dry_run", "on");
    connect_from(world, "198.51.100.5");
    assert_int_equal(verdict(world, "a@b.example"), 250); /* 12 + 2.5 - 11 */
    lab_set(0, 0, "dnswl.zones", "none.example=-1");
    assert_int_equal(verdict(world, "a@b.example"), 250); /* dry */
    lab_set(2, 4, "policy.dry_run", "off");
    connect_from(world, "198.51.100.5");
    assert_int_equal(verdict(world, "a@b.example"), 550);
    close_world(world);
}

/* Who comes first of all is judged by the cluster's settings as well. */
static void test_first_client(void **state)
{
    const struct address client = {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 198, 51, 100, 5}};
    struct world *world = *state;

    open_world(world, true);
    lab_set(0, 0, "policy.reject_score", "2");
    lab_set(2, 4, "judge.helo.enabled", "off");
    world->client = policy_client_new(world->policy, &client, 1);
    assert_non_null(try_from(world, "", false));
    run_until(world->loop, is_answered, world);
    assert_int_equal(world->code, 550);
    close_world(world);

    open_world(world, true);
    lab_store.fails = true;
    world->client = policy_client_new(world->policy, &client, 1);
    assert_non_null(try_from(world, "", false));
    run_until(world->loop, is_answered, world);
    assert_int_equal(world->code, 250);
    close_world(world);
}

static void test_nets(void **state)
{
    struct address a, b, net;

    (void)state;
    assert_true(address_parse(BYTES("198.51.100.77"), &a));
    assert_true(address_parse(BYTES("198.51.100.0"), &b));
    net = policy_net(&a, 24);
    assert_true(address_equal(&net, &b));
    net = policy_net(&a, 32);
    assert_true(address_equal(&net, &a));
    assert_true(address_parse(BYTES("2001:db8:1:2:3:4:5:6"), &a));
    assert_true(address_parse(BYTES("2001:db8:1:2::"), &b));
    net = policy_net(&a, 24);
    assert_true(address_equal(&net, &b));
}

static void test_trouble_is_nobodys_fault(void **state)
{
    struct world *world = *state;

    open_world(world, true);
    quiet();
    lab_set(0, 0, "dnsbl.zones", "out.example=50");
    lab_set(0, 0, "policy.grey_score", "0.01");
    connect_from(world, "198.51.100.9");
    assert_int_equal(verdict(world, "a@b.example"), 250);
    lab_store.fails = true; /* nor that of a store that is away */
    connect_from(world, "198.51.100.9");
    assert_int_equal(verdict(world, "a@b.example"), 250);
    close_world(world);

    open_world(world, false); /* nor is a resolver that there is not */
    lab_set(0, 0, "dnsbl.zones", "bl.example=50");
    connect_from(world, "198.51.100.5");
    assert_true(policy_client_greet(world->client, NULL, NULL));
    assert_int_equal(verdict(world, "a@b.example"), 250);
    close_world(world);
}

static void test_greylist(void **state)
{
    struct world *world = *state;

    open_world(world, true);
    quiet();
    lab_set(0, 0, "policy.grey_score", "2");
    connect_from(world, "198.51.100.5");
    assert_int_equal(verdict(world, "a@b.example"), 450);
    assert_non_null(strstr(world->text, "4.7.1 Greylisted, try again in 5 minutes"));
    connect_from(world, "198.51.100.6"); /* the net */
    assert_int_equal(verdict(world, "other@sub.b.example"), 250);
    assert_int_equal(verdict(world, "a@c.example"), 450);
    connect_from(world, "198.51.101.6");
    assert_int_equal(verdict(world, "a@b.example"), 450);
    lab_set(0, 0, "judge.greylist.enabled", "off");
    connect_from(world, "198.51.102.6");
    assert_int_equal(verdict(world, "a@b.example"), 250);
    assert_int_equal(lab_store.greylist_asks, 4);
    close_world(world);
}

static void test_local_clients(void **state)
{
    static const char *const locals[] = {"127.0.0.1", "10.1.2.3",    "::1",
                                         "fe80::1",   "192.168.7.7", "100.64.0.1"};
    struct world *world = *state;

    open_world(world, true);
    lab_set(0, 0, "judge.greylist.weight", "50");
    lab_set(0, 0, "dnsbl.zones", "bl.example=50");
    for (size_t i = 0; i < sizeof(locals) / sizeof(locals[0]); i++) {
        connect_from(world, locals[i]);
        assert_true(policy_client_greet(world->client, NULL, NULL));
        assert_null(try_from(world, "a@b.example", false));
        assert_false(world->client->reverse_asked);
        assert_int_equal(world->client->facts.listing_count, 0);
    }
    connect_from(world, "172.32.0.1");
    assert_int_equal(verdict(world, "a@b.example"), 550);
    lab_set(0, 0, "policy.local", "on");
    assert_int_equal(verdict(world, "a@b.example"), 550);
    connect_from(world, "127.0.0.1");
    assert_int_equal(verdict(world, "a@b.example"), 550);
    close_world(world);
}

static void on_greet(void *context)
{
    ((struct world *)context)->greeted = true;
}

static bool is_greeted(void *context)
{
    return ((struct world *)context)->greeted;
}

static void test_greeting(void **state)
{
    const struct policy_times times = {.greet_min_ms = 2000, .greet_max_ms = 6000};
    struct world *world = *state;

    assert_int_equal(policy_greet_wait_ms(&times, 0, false), 2000);
    assert_int_equal(policy_greet_wait_ms(&times, 1999, true), 1);
    assert_int_equal(policy_greet_wait_ms(&times, 2000, false), 0);
    assert_true(policy_greet_wait_ms(&times, 2000, true) > 0);
    assert_int_equal(policy_greet_wait_ms(&times, 5999, true), 1);
    assert_int_equal(policy_greet_wait_ms(&times, 6000, true), 0);

    open_world(world, true);
    quiet();
    connect_from(world, "198.51.100.7");
    assert_false(policy_client_greet(world->client, on_greet, world));
    assert_false(world->greeted);
    run_until(world->loop, is_greeted, world);
    assert_int_equal(verdict(world, "a@b.example"), 250);
    connect_from(world, "198.51.100.7"); /* by now it is familiar */
    assert_true(policy_client_greet(world->client, NULL, NULL));
    connect_from(world, "198.51.100.70");
    assert_false(policy_client_greet(world->client, on_greet, world));
    close_world(world); /* while it waits */
}

static void on_sentinel(void *context, const struct dns_answer *answer)
{
    (void)answer;
    *(bool *)context = true;
}

/* What is slow and was asked before has come by now. */
static void wait_for_slow(struct world *world)
{
    bool there = false;

    dns_query(world->dns, "sentinel.example", DNS_A, on_sentinel, &there);
    run_until(world->loop, is_set, &there);
}

static bool never(void *context)
{
    (void)context;
    return true;
}

/* Clients leave at any step, with all kinds of questions under way. */
static void test_leaving(void **state)
{
    struct world *world = *state;

    for (unsigned step = 0; step < 6; step++) {
        open_world(world, true);
        lab_set(0, 0, "dnsbl.zones", "slow.example=3 bl.example=1");
        lab_set(0, 0, "policy.grey_score", "1");
        if (step == 4)
            lab_store.silent = true;
        connect_from(world, step % 2 == 0 ? "198.51.100.8" : "198.51.100.5");
        world->answers = 0;
        if (step > 0)
            assert_non_null(try_from(world, "a@good.example", false));
        if (step > 1)
            assert_non_null(try_from(world, "b@broken.example", false));
        if (step > 2)
            run_until(world->loop, never, world);
        if (step == 5) {
            struct policy_trial *trial = try_from(world, "c@good.example", false);
            policy_cancel(&trial);
            assert_null(trial);
            run_until(world->loop, is_answered, world);
        }
        policy_client_free(&world->client);
        unsigned answers = world->answers;
        wait_for_slow(world);
        assert_int_equal(world->answers, answers);
        close_world(world);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(test_verdicts),
        WORLD_TEST(test_first_client),
        WORLD_TEST(test_trouble_is_nobodys_fault),
        WORLD_TEST(test_greylist),
        WORLD_TEST(test_local_clients),
        WORLD_TEST(test_greeting),
        WORLD_TEST(test_leaving),
        cmocka_unit_test(test_nets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
