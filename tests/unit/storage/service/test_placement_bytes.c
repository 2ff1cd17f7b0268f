/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Moving replicas so that nodes have about equally many bytes; and how long that takes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/unit/storage/service/placement_world.h"

#define GB ((uint64_t)1 << 30)

/* The groups as they would be when all moves are done. */
static void play(struct world *world, const struct placement_rebalance *plan)
{
    for (size_t i = 0; i < plan->plan_count; i++)
        world->groups[plan->plans[i]->group] = plan->plans[i];
}

static uint64_t bytes_on(const struct world *world, uint64_t node_id, unsigned *replicas)
{
    uint64_t bytes = 0;

    *replicas = 0;
    for (size_t g = 1; g < world->view.group_count; g++)
        for (size_t r = 0; r < world->groups[g]->n_replicas; r++)
            if (world->groups[g]->replicas[r]->node_id == node_id) {
                bytes += world->view.bytes[g];
                ++*replicas;
            }
    return bytes;
}

static struct placement_rebalance rebalance(struct world *world)
{
    struct placement_rebalance plan = placement_rebalance(&world->view, &world->arena);
    struct placement_rebalance again;

    for (size_t i = 0; i < plan.move_count; i++)
        assert_int_equal(plan.moves[i].bytes, world->view.bytes[plan.moves[i].group]);
    play(world, &plan);
    again = placement_rebalance(&world->view, &world->arena);
    assert_int_equal(again.move_count, 0); /* it comes to rest */
    for (size_t g = 1; g < world->view.group_count; g++)
        assert_int_equal(placement_centers(&world->view, world->groups[g]->replicas,
                                           world->groups[g]->n_replicas),
                         3);
    return plan;
}

/* Six groups with nearly all of the mail on three of six nodes; all have six replicas. */
static void test_heavy_and_light(void **state)
{
    static uint64_t bytes[13] = {7 * GB};
    struct world world;
    uint64_t moved = 0;

    (void)state;
    world_init(&world, "1a 2b 3c 4a 5b 6c 7aw");
    add_group(&world, "1v 2v 3v 4v 5v 6s 7s >1");
    for (unsigned g = 1; g <= 12; g++) {
        add_group(&world, g <= 6 ? "1v 2v 3v >1" : "4v 5v 6v >4");
        bytes[g] = g <= 6 ? 150 * GB : 2 * GB;
    }
    world.view.bytes = bytes;
    struct placement_rebalance plan = rebalance(&world);
    for (unsigned n = 1; n <= 6; n++) {
        unsigned replicas;
        assert_in_range(bytes_on(&world, n, &replicas) / GB, 400, 512);
        assert_int_equal(replicas, 6);
    }
    for (size_t i = 0; i < plan.move_count; i++) {
        assert_true(plan.moves[i].to <= 6); /* no witness */
        moved += plan.moves[i].bytes;
    }
    /* Three of the heavy ones from each of three nodes, and as many light ones back. */
    assert_int_equal(plan.move_count, 18);
    assert_int_equal(moved, 9 * 152 * GB);
    arena_fini(&world.arena);
}

/* A node that is new takes as many replicas as others, and of those that weigh as much. */
static void test_new_node(void **state)
{
    static uint64_t bytes[9] = {0};
    struct world world;
    unsigned replicas;

    (void)state;
    world_init(&world, "1a 2b 3c 4a");
    add_group(&world, "1v 2v 3v 4v >1");
    for (unsigned g = 1; g <= 8; g++) {
        add_group(&world, "1v 2v 3v >1");
        bytes[g] = (g <= 4 ? 1 : 100) * GB;
    }
    world.view.bytes = bytes;
    struct placement_rebalance plan = rebalance(&world);
    assert_int_equal(plan.move_count, 4);
    assert_int_equal(bytes_on(&world, 4, &replicas), 202 * GB);
    assert_int_equal(replicas, 4);
    arena_fini(&world.arena);
}

/* What is left alone. */
static void test_not_worth_it(void **state)
{
    static const struct {
        const char *what;
        uint64_t first, second; /* what groups on nodes 1 to 3 and on 4 to 6 weigh */
        unsigned groups;        /* on each of the two */
    } rows[] = {
        {"nothing is known", 0, 0, 4},
        {"a little mail", GB / 5, 0, 4},
        {"within a quarter of the average", 110 * GB, 100 * GB, 4},
        {"one group that is all there is", 900 * GB, GB, 1},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint64_t bytes[9] = {0};
        struct world world;
        world_init(&world, "1a 2b 3c 4a 5b 6c");
        add_group(&world, "1v 2v 3v 4v 5v 6s >1");
        for (unsigned g = 1; g <= 2 * rows[i].groups; g++) {
            add_group(&world, g % 2 == 0 ? "1v 2v 3v >1" : "4v 5v 6v >4");
            bytes[g] = g % 2 == 0 ? rows[i].first : rows[i].second;
        }
        world.view.bytes = bytes;
        if (rebalance(&world).move_count > 0)
            fail_msg("%s: something moves", rows[i].what);
        arena_fini(&world.arena);
    }
}

/* A data center with one node cannot give anything away, however much it has. */
static void test_data_centers_first(void **state)
{
    static uint64_t bytes[7] = {0};
    struct world world;
    unsigned replicas;

    (void)state;
    world_init(&world, "1a 2b 3c 4b 5c");
    add_group(&world, "1v 2v 3v 4v 5v >1");
    for (unsigned g = 1; g <= 6; g++) {
        add_group(&world, g % 2 == 0 ? "1v 2v 3v >1" : "1v 4v 5v >4");
        bytes[g] = (g % 2 == 0 ? 100 : 1) * GB;
    }
    world.view.bytes = bytes;
    rebalance(&world);
    assert_int_equal(bytes_on(&world, 1, &replicas), 303 * GB);
    for (unsigned n = 2; n <= 5; n++)
        assert_in_range(bytes_on(&world, n, &replicas) / GB, 102, 201);
    arena_fini(&world.arena);
}

static void test_seconds(void **state)
{
    struct placement_move moves[8] = {
        {1, 1, 2, 4000}, {2, 1, 2, 2000}, {3, 1, 3, 1000}, {4, 1, 4, 0}};
    struct placement_rebalance plan = {.moves = moves};

    (void)state;
    assert_int_equal(placement_rebalance_seconds(&plan, 100), 0);
    plan.move_count = 4;
    assert_int_equal(placement_rebalance_seconds(&plan, 100), 60); /* of node 2 */
    for (unsigned i = 0; i < 4; i++)
        moves[i].to = 10 + i;
    assert_int_equal(placement_rebalance_seconds(&plan, 3000), 2); /* of the first */
    /* Eight nodes could receive at once, but no more groups than that move. */
    for (unsigned i = 0; i < 8; i++)
        moves[i] = (struct placement_move){i, 1, 10 + i, 4000};
    plan.move_count = 8;
    assert_int_equal(placement_rebalance_seconds(&plan, 4000), 8 / PLACEMENT_MOVES_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_heavy_and_light), cmocka_unit_test(test_new_node),
        cmocka_unit_test(test_not_worth_it),    cmocka_unit_test(test_data_centers_first),
        cmocka_unit_test(test_seconds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
