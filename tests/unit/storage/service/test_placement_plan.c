/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/unit/storage/service/placement_world.h"

static void test_steps(void **state)
{
    static const struct {
        const char *what;
        const char *wanted;
        const char *members;
        const char *step; /* NULL: nothing to do */
    } rows[] = {
        {"all is well", "1v 2v 3v >1", "1v 2v 3v", NULL},
        {"a missing voter comes in without a vote", "1v 2v >1", "1v", "standby 2"},
        {"then it votes", "1v 2v >1", "1v 2s", "voter 2"},
        {"but not while it is away", "1v 2v >1", "1v 2s!", NULL},
        {"one away does not hold up the next", "1v 2v 3v >1", "1v 2s! 3s", "voter 3"},
        {"nor does the next one's absence", "1v 2v 3v >1", "1v 2s!", "standby 3"},
        {"a missing standby", "1v 2s >1", "1v", "standby 2"},
        {"voters come before standbys", "1v 2s 3v >1", "1v", "standby 3"},
        {"a surplus voter goes", "1v 2v >1", "1v 2v 3v", "remove 3"},
        {"but only when all wanted ones vote", "1v 2v >1", "1v 2s! 3v", NULL},
        {"a voter that shall stand by", "1v 2s 3v >1", "1v 2v 3v", "standby 2"},
        {"the leader that is not wanted hands over first", "2v 3v", "1v 2v 3v", "transfer 2"},
        {"to somebody who is there", "2v 3v", "1v 2v! 3v", "transfer 3"},
        {"and keeps up", "2v 3v", "1v 2v~ 3v", "transfer 3"},
        {"the leader that shall stand by hands over", "1s 2v", "1v 2v", "transfer 2"},
        {"a record without replicas takes nothing away", "", "1v 2v", NULL},
        {"the preferred one takes over", "1v 2v 3v >2", "1v 2v 3v", "transfer 2"},
        {"not when it lags", "1v 2v 3v >2", "1v 2v~ 3v", NULL},
        {"not when it is away", "1v 2v 3v >2", "1v 2v! 3v", NULL},
        {"not before it votes", "1v 2s 3v >2", "1v 2s 3v", NULL},
        {"one that is away goes", "1v 2v >1", "1v 2v 3v!", "remove 3"},
        {"a vote does not go while the rest has no majority", "1v 2v >1", "1v 2v! 3v", NULL},
        {"but a replica without one does", "1v 2v >1", "1v 2v! 3s", "remove 3"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct world world;
        struct placement_action action;
        char text[64];

        world_init(&world, "1a 2b 3c");
        add_group(&world, rows[i].wanted);
        struct placement_local *local = lead(&world, rows[i].members);
        if (placement_leader_ready(&world.view, 0))
            local->ready_since_ms = world.view.now_ms - PLACEMENT_STEADY_MS;
        bool found = placement_step(&world.view, 0, &action);
        if (found != (rows[i].step != NULL) ||
            (found && strcmp(action_text(&action, text), rows[i].step) != 0))
            fail_msg("%s: \"%s\", wanted \"%s\"", rows[i].what, found ? text : "nothing",
                     rows[i].step != NULL ? rows[i].step : "nothing");
        arena_fini(&world.arena);
    }
}

static void test_only_leaders_step(void **state)
{
    struct world world;
    struct placement_action action;

    (void)state;
    world_init(&world, "1a 2b");
    add_group(&world, "1v 2v");
    struct placement_local *local = lead(&world, "1v");
    local->status.state = REPLICATOR_FOLLOWER;
    assert_false(placement_step(&world.view, 0, &action));
    local->status.state = REPLICATOR_LEADER;
    local->changing = true;
    assert_false(placement_step(&world.view, 0, &action));
    local->changing = false;
    local->resting[local->resting_count++] = 2;
    assert_false(placement_step(&world.view, 0, &action));
    local->resting_count = 0;
    assert_true(placement_step(&world.view, 0, &action));
    arena_fini(&world.arena);
}

static void test_join_where_wanted(void **state)
{
    struct world world;
    struct placement_action action;

    (void)state;
    world_init(&world, "1a 2b 3c");
    add_group(&world, "1v 2v");
    assert_true(placement_step(&world.view, 0, &action));
    assert_int_equal(action.kind, PLACEMENT_JOIN);
    world.view.self = 3;
    assert_false(placement_step(&world.view, 0, &action));
    arena_fini(&world.arena);
}

static void test_transfers_wait(void **state)
{
    struct world world;
    struct placement_action *actions = NULL;
    size_t count = 0;

    (void)state;
    world_init(&world, "1a 2b");
    for (unsigned g = 0; g < 3; g++) {
        add_group(&world, "1v 2v >2");
        lead(&world, "1v 2v")->ready_since_ms = world.view.now_ms - PLACEMENT_STEADY_MS + 1;
    }
    world.local[0].status.state = REPLICATOR_FOLLOWER; /* the directory is led elsewhere */
    placement_plan(&world.view, &world.arena, &actions, &count);
    assert_int_equal(count, 0); /* not steady for long enough */
    world.view.now_ms++;
    placement_plan(&world.view, &world.arena, &actions, &count);
    assert_int_equal(count, 1); /* one at a time */
    assert_int_equal(actions[0].group, 1);
    world.view.transferred_ms = world.view.now_ms - PLACEMENT_TRANSFER_MS + 1;
    placement_plan(&world.view, &world.arena, &actions, &count);
    assert_int_equal(count, 0);
    arena_fini(&world.arena);
}

static void test_leaving_hands_over_at_once(void **state)
{
    struct world world;
    struct placement_action *actions = NULL;
    size_t count = 0;
    char text[64];

    (void)state;
    world_init(&world, "1ad 2b 3c 4aw");
    for (unsigned g = 0; g < 3; g++) {
        add_group(&world, g == 0 ? "1s 2v 3v 4v >2" : "1v 2v 4v >3"); /* not placed anew yet */
        lead(&world, g == 0 ? "1v 2v 3v 4v" : "4v 1v 2v");
    }
    world.view.transferred_ms = world.view.now_ms;
    placement_plan(&world.view, &world.arena, &actions, &count);
    assert_in_range(count, 3, 4); /* nobody waits for anybody */
    for (size_t i = 0; i < 3; i++)
        assert_string_equal(action_text(&actions[i], text), "transfer 2");
    arena_fini(&world.arena);
}

/* Nor to one that leaves itself, though its record has not been thought over yet. */
static void test_leaving_ones_do_not_hand_over_to_each_other(void **state)
{
    struct world world;
    struct placement_action action;
    char text[64];

    (void)state;
    world_init(&world, "1ad 2bd 3c");
    add_group(&world, "1v 2v 3v >2");
    add_group(&world, "1v 2v 3v >2");
    lead(&world, "1v 2v 3v");
    assert_true(placement_step(&world.view, 1, &action));
    assert_string_equal(action_text(&action, text), "transfer 3");
    arena_fini(&world.arena);
}

/* A witness that was elected passes a mail group on, not the directory. */
static void test_witness_passes_on(void **state)
{
    struct world world;
    struct placement_action action;
    char text[64];

    (void)state;
    world_init(&world, "1aw 2b 3c");
    add_group(&world, "1v 2v 3v");
    lead(&world, "1v 2v 3v");
    assert_false(placement_step(&world.view, 0, &action));
    add_group(&world, "1v 2v 3v");
    lead(&world, "1v 2v! 3v");
    assert_true(placement_step(&world.view, 1, &action));
    assert_string_equal(action_text(&action, text), "transfer 3");
    arena_fini(&world.arena);
}

static void test_placed_is_told(void **state)
{
    static const struct {
        const char *wanted;
        const char *members;
        const char *step;
    } rows[] = {
        {"1v 2v 3s", "1v 2v 3s", "placed"}, {"1v 2v", "1v 2s", "voter 2"},
        {"1v 2v", "1v 2v 3s", "remove 3"},  {"1v 2v", "1v 2s!", NULL},
        {"1v 2s", "1v 2v!", "standby 2"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct world world;
        struct placement_action action;
        char text[64];

        world_init(&world, "1a 2b 3c");
        add_group(&world, rows[i].wanted);
        world.groups[0]->version = 4;
        world.groups[0]->placed_version = 3;
        lead(&world, rows[i].members);
        bool found = placement_step(&world.view, 0, &action);
        assert_int_equal(found, rows[i].step != NULL);
        if (found)
            assert_string_equal(action_text(&action, text), rows[i].step);
        world.groups[0]->placed_version = 4;
        if (i == 0)
            assert_false(placement_step(&world.view, 0, &action));
        arena_fini(&world.arena);
    }
}

static void test_dropped_when_it_went_elsewhere(void **state)
{
    static const struct {
        const char *wanted;
        unsigned version;
        unsigned placed;
        enum replicator_state state;
        bool drops;
    } rows[] = {
        {"2v 3v", 2, 2, REPLICATOR_FOLLOWER, true},
        {"2v 3v", 2, 2, REPLICATOR_CANDIDATE, true},
        {"2v 3v", 2, 1, REPLICATOR_FOLLOWER, false}, /* the others may not have it yet */
        {"2v 3v", 2, 2, REPLICATOR_LEADER, false},
        {"2v 3v", 0, 0, REPLICATOR_FOLLOWER, false}, /* of before there were versions */
        {"1v 3v", 2, 2, REPLICATOR_FOLLOWER, false},
        {"", 2, 2, REPLICATOR_FOLLOWER, false}, /* the last one there may be */
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct world world;
        struct placement_action action;

        world_init(&world, "1a 2b 3c");
        add_group(&world, "1v 2v 3v");
        add_group(&world, rows[i].wanted);
        world.groups[1]->version = rows[i].version;
        world.groups[1]->placed_version = rows[i].placed;
        lead(&world, "1v 2v 3v")->status.state = rows[i].state;
        bool found = placement_step(&world.view, 1, &action) && action.kind == PLACEMENT_DROP;
        assert_int_equal(found, rows[i].drops);
        world.local[1].resting[world.local[1].resting_count++] = 1;
        found = placement_step(&world.view, 1, &action) && action.kind == PLACEMENT_DROP;
        assert_false(found);
        arena_fini(&world.arena);
    }
}

static void test_removed_when_nothing_is_left(void **state)
{
    static const struct {
        const char *directory;
        const char *mail;
        bool moving;
        const char *action;
    } rows[] = {
        {"1v 2v 3v >1", "1v 2v 3v >2", false, "forget 4"},
        {"1v 2v 3v >1", "1v 2v 3v >2", true, NULL},
        {"1v 2v 3v 4s >1", "1v 2v 3v >2", false, "put"},
        {"1v 2v 3v >1", "1v 2v 4v >2", false, "put"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct world world;
        struct placement_action *actions = NULL;
        size_t count = 0;
        char text[64];

        world_init(&world, "1a 2b 3c 4ar");
        add_group(&world, rows[i].directory);
        lead(&world, rows[i].directory);
        add_group(&world, rows[i].mail);
        world.local[1].present = true;
        world.groups[1]->version = rows[i].moving ? 1 : 0;
        placement_plan(&world.view, &world.arena, &actions, &count);
        assert_int_equal(count, rows[i].action != NULL);
        if (count > 0)
            assert_string_equal(action_text(&actions[0], text), rows[i].action);
        arena_fini(&world.arena);
    }
}
static void test_only_the_directory_puts(void **state)
{
    struct world world;
    struct placement_action *actions = NULL;
    size_t count = 0;
    char text[64];

    (void)state;
    world_init(&world, "1a 2b");
    add_group(&world, "1v >1");
    lead(&world, "1v");
    placement_plan(&world.view, &world.arena, &actions, &count);
    assert_int_equal(count, 1);
    assert_string_equal(action_text(&actions[0], text), "put");
    world.local[0].status.state = REPLICATOR_FOLLOWER;
    placement_plan(&world.view, &world.arena, &actions, &count);
    assert_int_equal(count, 0);
    arena_fini(&world.arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_steps),
        cmocka_unit_test(test_only_leaders_step),
        cmocka_unit_test(test_join_where_wanted),
        cmocka_unit_test(test_transfers_wait),
        cmocka_unit_test(test_leaving_hands_over_at_once),
        cmocka_unit_test(test_leaving_ones_do_not_hand_over_to_each_other),
        cmocka_unit_test(test_witness_passes_on),
        cmocka_unit_test(test_placed_is_told),
        cmocka_unit_test(test_dropped_when_it_went_elsewhere),
        cmocka_unit_test(test_removed_when_nothing_is_left),
        cmocka_unit_test(test_only_the_directory_puts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
