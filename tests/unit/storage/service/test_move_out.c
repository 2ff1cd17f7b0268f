/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How a group's leader brings an account to another group: the commands, and what the next
 * leader makes of what is left when the one before is gone behind any of them.
 */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */

#include "tests/unit/storage/service/move_place.h"

static void steps_follow_each_other(void **state)
{
    static const struct {
        Pr__Command__CallCase call;
        int group; /* 0: directory, 1: from, 2: to */
    } steps[] = {
        {PR__COMMAND__CALL_ACCOUNT_MOVE_CLAIM, 0}, {PR__COMMAND__CALL_MOVE_START, 1},
        {PR__COMMAND__CALL_IMPORT_BEGIN, 2},       {PR__COMMAND__CALL_IMPORT_ROWS, 2},
        {PR__COMMAND__CALL_MOVE_FREEZE, 1},        {PR__COMMAND__CALL_IMPORT_ROWS, 2},
        {PR__COMMAND__CALL_IMPORT_END, 2},         {PR__COMMAND__CALL_ACCOUNT_MOVE_DONE, 0},
        {PR__COMMAND__CALL_IMPORT_END, 2},         {PR__COMMAND__CALL_MOVE_END, 1},
    };
    struct place *place = place_new();
    unsigned at = 0;

    (void)state;
    place_ask(place);
    place_lead_begin(place);
    place_lead(place, world.now_ms + PLACE_LONG_MS);
    const uint32_t groups[] = {0, place->from, place->to};
    for (unsigned i = 0; i < sizeof(steps) / sizeof(*steps); i++) {
        assert_true(at < world.writes);
        assert_int_equal(world.calls[at], steps[i].call);
        assert_int_equal(world.groups[at], groups[steps[i].group]);
        at++;
        while (steps[i].call == PR__COMMAND__CALL_IMPORT_ROWS && at < world.writes &&
               world.calls[at] == PR__COMMAND__CALL_IMPORT_ROWS)
            at++;
    }
    assert_int_equal(at, world.writes);
    place_expect_settled(place, place->to);
    place_free(place);
}

/* Nobody is asked for anything where nothing moves. */
static void leaders_without_moves_write_nothing(void **state)
{
    struct place *place = place_new();

    (void)state;
    place_lead_begin(place);
    place_lead(place, world.now_ms + PLACE_LONG_MS);
    assert_int_equal(world.writes, 0);
    place_free(place);
}

static enum world_fate die_at(struct service_world *in, uint32_t group,
                              const Pr__Command *command)
{
    struct place *place = in->context;

    (void)group;
    (void)command;
    if (in->writes != place->last_write)
        return WORLD_APPLIED;
    place->died = true;
    return place->last_fate;
}

/* The leaders are gone behind a write; others take over. Returns false when there was no such
 * write any more. */
static bool leader_gone_at(unsigned write, enum world_fate fate)
{
    struct place *place = place_new();

    place->last_write = write;
    place->last_fate = fate;
    world.fate = die_at;
    place_ask(place);
    place_lead_begin(place);
    place_lead(place, world.now_ms + PLACE_LONG_MS);
    bool died = place->died;
    place_lead_end(place);
    place->died = false;
    world.fate = NULL;
    world_run(world.now_ms + 1); /* what was under way comes back, and finds nobody */
    /* Whatever is written now goes to where the directory says, or is refused for a while. */
    enum err err = place_deliver(place, place_truth(place).group);
    assert_true(err == ERR_OK || err == ERR_MOVED);
    place_lead_begin(place);
    place_lead(place, world.now_ms + PLACE_LONG_MS);
    place_expect_settled(place, place->to);
    place_free(place);
    return died;
}

static void another_leader_goes_on_behind_each_step(void **state)
{
    static const enum world_fate fates[] = {WORLD_LOST, WORLD_UNKNOWN, WORLD_APPLIED};
    unsigned write = 1;

    (void)state;
    while (leader_gone_at(write, fates[write % 3])) {
        assert_true(leader_gone_at(write, fates[(write + 1) % 3]));
        assert_true(leader_gone_at(write, fates[(write + 2) % 3]));
        write++;
    }
    assert_true(write > 10);
}

static enum world_fate lose_some(struct service_world *in, uint32_t group,
                                 const Pr__Command *command)
{
    (void)group;
    (void)command;
    if (in->writes > 40)
        return WORLD_APPLIED;
    return in->writes % 7 == 0   ? WORLD_LOST
           : in->writes % 5 == 0 ? WORLD_UNKNOWN
                                 : WORLD_APPLIED;
}

/* The same leader begins again, and comes to an end. */
static void attempts_that_fail_are_repeated(void **state)
{
    struct place *place = place_new();

    (void)state;
    world.fate = lose_some;
    place_ask(place);
    place_lead_begin(place);
    place_lead(place, world.now_ms + 4 * PLACE_LONG_MS);
    place_expect_settled(place, place->to);
    place_free(place);
}

static enum world_fate die_after_freeze(struct service_world *in, uint32_t group,
                                        const Pr__Command *command)
{
    struct place *place = in->context;

    (void)group;
    if (command->call_case == PR__COMMAND__CALL_MOVE_FREEZE)
        place->died = true;
    return WORLD_APPLIED;
}

static void freeze_and_die(struct place *place)
{
    world.fate = die_after_freeze;
    place_ask(place);
    place_lead_begin(place);
    place_lead(place, world.now_ms + PLACE_LONG_MS);
    assert_true(place->died);
    place_lead_end(place);
    place->died = false;
    world.fate = NULL;
    world_run(world.now_ms + 1);
    assert_int_equal(place_deliver(place, place->from), ERR_MOVED);
    world_calls_forget();
}

/* A frozen account is thawed by the start of the next attempt, long before that one ends. */
static void newer_attempt_thaws(void **state)
{
    struct place *place = place_new();
    bool thawed = false;

    (void)state;
    freeze_and_die(place);
    place_lead_begin(place);
    while (!thawed && world.now_ms < PLACE_LONG_MS) {
        for (unsigned i = 0; i < PLACE_LEADERS; i++)
            moves_tick(place->leaders[i], world.now_ms);
        while (!thawed && world_step(world.now_ms + 100)) {
            thawed = world.writes > 0 &&
                     world.calls[world.writes - 1] == PR__COMMAND__CALL_MOVE_START;
            if (thawed)
                assert_int_equal(place_deliver(place, place->from), ERR_OK);
        }
    }
    assert_true(thawed);
    place_lead(place, world.now_ms + PLACE_LONG_MS);
    place_expect_settled(place, place->to);
    place_free(place);
}

/* Who gave up the move gets the account back where it was. */
static void given_up_move_thaws(void **state)
{
    struct place *place = place_new();
    Pr__AccountMoveCancel cancel = PR__ACCOUNT_MOVE_CANCEL__INIT;
    char address[] = "user0@example.org";

    (void)state;
    freeze_and_die(place);
    cancel.address = address;
    assert_int_equal(lab_apply(place_lab(place), 0,
                               LAB_COMMAND(account_move_cancel, ACCOUNT_MOVE_CANCEL, &cancel))
                         ->err,
                     ERR_OK);
    place_lead_begin(place);
    place_lead(place, world.now_ms + PLACE_LONG_MS);
    for (unsigned i = 0; i < world.writes; i++)
        assert_true(world.calls[i] == PR__COMMAND__CALL_MOVE_END ||
                    world.calls[i] == PR__COMMAND__CALL_IMPORT_END);
    assert_int_equal(place_truth(place).group, place->from);
    assert_false(place_moves_in(place, place->from));
    assert_false(place_moves_in(place, place->to));
    assert_int_equal(place_deliver(place, place->from), ERR_OK);
    assert_int_equal(place_messages(place, place->from), place->delivered);
    lab_invariants(place_lab(place), place->from);
    lab_invariants(place_lab(place), place->to);
    place_free(place);
}

/* Without a majority of the directory nobody acts on what a state here says. */
static void old_directory_decides_nothing(void **state)
{
    struct place *place = place_new();

    (void)state;
    freeze_and_die(place);
    place_lead_begin(place);
    world.reads_fail = true;
    place_lead(place, world.now_ms + 5000);
    assert_int_equal(world.writes, 0);
    world.reads_fail = false;
    place_lead(place, world.now_ms + PLACE_LONG_MS);
    place_expect_settled(place, place->to);
    place_free(place);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(steps_follow_each_other),
        cmocka_unit_test(leaders_without_moves_write_nothing),
        cmocka_unit_test(another_leader_goes_on_behind_each_step),
        cmocka_unit_test(attempts_that_fail_are_repeated),
        cmocka_unit_test(newer_attempt_thaws),
        cmocka_unit_test(given_up_move_thaws),
        cmocka_unit_test(old_directory_decides_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
