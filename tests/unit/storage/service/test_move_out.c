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

#include <stdio.h>
#include <stdlib.h>

#include "node/base/check.h"
#include "storage/machine/account.h"
#include "storage/machine/moving.h"
#include "storage/machine/record.h"
#include "storage/schema/format.h"
#include "storage/service/move_out.h"
#include "storage/service/moves.h"
#include "tests/unit/storage/moving.h"
#include "tests/unit/storage/service/service_world.h"

enum {
    MESSAGES = 40,
    BODY_SIZE = 3000,
    LEADERS = 2, /* of the group that is left, and of the one that is gone to */
    LONG_MS = 60000,
};

/* An account with mail, and who leads both groups. */
struct place {
    struct model model;
    uint64_t account;
    uint32_t from;
    uint32_t to;
    struct moves *leaders[LEADERS];
    unsigned delivered;
    /* Of a fate: the write of that number is the leader's last. */
    unsigned last_write;
    enum world_fate last_fate;
    bool died;
};

static struct lab *lab_of(struct place *place)
{
    return &place->model.lab;
}

static enum err deliver(struct place *place, uint32_t group)
{
    static uint8_t body[BODY_SIZE];

    memset(body, (int)place->delivered, sizeof(body));
    enum err err = (enum err)lab_deliver(lab_of(place), group, place->account,
                                         bytes_from(body, sizeof(body)))
                       ->err;
    place->delivered += err == ERR_OK;
    return err;
}

static void move_ask(struct place *place)
{
    assert_int_equal(moving_ask(&place->model, &place->model.accounts[0], place->to), ERR_OK);
}

static struct place *place_new(void)
{
    struct place *place = calloc(1, sizeof(*place));

    assert_non_null(place);
    model_open(&place->model, 1);
    moving_open(&place->model);
    place->account = place->model.accounts[0].id;
    place->from = place->model.accounts[0].group;
    place->to = MOVING_OTHER_GROUP;
    assert_int_not_equal(place->from, place->to);
    for (unsigned i = 0; i < MESSAGES; i++)
        assert_int_equal(deliver(place, place->from), ERR_OK);
    world_begin(lab_of(place));
    world.context = place;
    return place;
}

static void leaders_new(struct place *place)
{
    place->leaders[0] = moves_new(&world.service, place->from);
    place->leaders[1] = moves_new(&world.service, place->to);
}

static void leaders_free(struct place *place)
{
    for (unsigned i = 0; i < LEADERS; i++)
        moves_free(&place->leaders[i]);
}

static void place_free(struct place *place)
{
    leaders_free(place);
    world_run(world.now_ms);
    world_end();
    model_close(&place->model);
    free(place);
}

/* Lets the leaders do what they do unasked. */
static void lead(struct place *place, uint64_t until_ms)
{
    while (world.now_ms < until_ms && !place->died) {
        for (unsigned i = 0; i < LEADERS; i++)
            moves_tick(place->leaders[i], world.now_ms);
        while (!place->died && world_step(world.now_ms + 100))
            ;
        if (!place->died)
            world_run(world.now_ms + 100);
    }
}

static struct move_truth truth_of(struct place *place)
{
    struct move_truth truth;
    struct db_txn *txn = db_read_begin(lab_of(place)->db);

    moves_truth(txn, place->account, &truth);
    assert_int_equal(db_commit(&txn), ERR_OK);
    return truth;
}

static bool is_moving_in(struct place *place, uint32_t group)
{
    struct moving_record moving;
    struct db_txn *txn = db_read_begin(lab_of(place)->db);
    bool there = moving_load(txn, group, place->account, &moving);

    assert_int_equal(db_commit(&txn), ERR_OK);
    return there;
}

static uint64_t messages_in(struct place *place, uint32_t group)
{
    struct account account;
    struct db_txn *txn = db_read_begin(lab_of(place)->db);

    account_load(txn, group, place->account, &account);
    uint64_t messages = account.record.gone ? 0 : account.record.messages;
    db_abort(&txn);
    return messages;
}

/* Nothing of the move is left, and the account is in that group with all of its mail. */
static void expect_settled(struct place *place, uint32_t group)
{
    struct move_truth truth = truth_of(place);
    uint32_t other = group == place->to ? place->from : place->to;

    assert_int_equal(truth.group, group);
    assert_false(truth.moves);
    assert_false(is_moving_in(place, place->from));
    assert_false(is_moving_in(place, place->to));
    assert_int_equal(messages_in(place, group), place->delivered);
    assert_int_equal(deliver(place, group), ERR_OK);
    assert_int_equal(messages_in(place, group), place->delivered);
    assert_int_not_equal(deliver(place, other), ERR_OK);
    lab_invariants(lab_of(place), place->from);
    lab_invariants(lab_of(place), place->to);
}

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
    move_ask(place);
    leaders_new(place);
    lead(place, world.now_ms + LONG_MS);
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
    expect_settled(place, place->to);
    place_free(place);
}

/* Nobody is asked for anything where nothing moves. */
static void leaders_without_moves_write_nothing(void **state)
{
    struct place *place = place_new();

    (void)state;
    leaders_new(place);
    lead(place, world.now_ms + LONG_MS);
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
    move_ask(place);
    leaders_new(place);
    lead(place, world.now_ms + LONG_MS);
    bool died = place->died;
    leaders_free(place);
    place->died = false;
    world.fate = NULL;
    world_run(world.now_ms + 1); /* what was under way comes back, and finds nobody */
    /* Whatever is written now goes to where the directory says, or is refused for a while. */
    enum err err = deliver(place, truth_of(place).group);
    assert_true(err == ERR_OK || err == ERR_MOVED);
    leaders_new(place);
    lead(place, world.now_ms + LONG_MS);
    expect_settled(place, place->to);
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
    move_ask(place);
    leaders_new(place);
    lead(place, world.now_ms + 4 * LONG_MS);
    expect_settled(place, place->to);
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
    move_ask(place);
    leaders_new(place);
    lead(place, world.now_ms + LONG_MS);
    assert_true(place->died);
    leaders_free(place);
    place->died = false;
    world.fate = NULL;
    world_run(world.now_ms + 1);
    assert_int_equal(deliver(place, place->from), ERR_MOVED);
    world_calls_forget();
}

/* A frozen account is thawed by the start of the next attempt, long before that one ends. */
static void newer_attempt_thaws(void **state)
{
    struct place *place = place_new();
    bool thawed = false;

    (void)state;
    freeze_and_die(place);
    leaders_new(place);
    while (!thawed && world.now_ms < LONG_MS) {
        for (unsigned i = 0; i < LEADERS; i++)
            moves_tick(place->leaders[i], world.now_ms);
        while (!thawed && world_step(world.now_ms + 100)) {
            thawed = world.writes > 0 &&
                     world.calls[world.writes - 1] == PR__COMMAND__CALL_MOVE_START;
            if (thawed)
                assert_int_equal(deliver(place, place->from), ERR_OK);
        }
    }
    assert_true(thawed);
    lead(place, world.now_ms + LONG_MS);
    expect_settled(place, place->to);
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
    assert_int_equal(lab_apply(lab_of(place), 0,
                               LAB_COMMAND(account_move_cancel, ACCOUNT_MOVE_CANCEL, &cancel))
                         ->err,
                     ERR_OK);
    leaders_new(place);
    lead(place, world.now_ms + LONG_MS);
    for (unsigned i = 0; i < world.writes; i++)
        assert_true(world.calls[i] == PR__COMMAND__CALL_MOVE_END ||
                    world.calls[i] == PR__COMMAND__CALL_IMPORT_END);
    assert_int_equal(truth_of(place).group, place->from);
    assert_false(is_moving_in(place, place->from));
    assert_false(is_moving_in(place, place->to));
    assert_int_equal(deliver(place, place->from), ERR_OK);
    assert_int_equal(messages_in(place, place->from), place->delivered);
    lab_invariants(lab_of(place), place->from);
    lab_invariants(lab_of(place), place->to);
    place_free(place);
}

/* Without a majority of the directory nobody acts on what a state here says. */
static void old_directory_decides_nothing(void **state)
{
    struct place *place = place_new();

    (void)state;
    freeze_and_die(place);
    leaders_new(place);
    world.reads_fail = true;
    lead(place, world.now_ms + 5000);
    assert_int_equal(world.writes, 0);
    world.reads_fail = false;
    lead(place, world.now_ms + LONG_MS);
    expect_settled(place, place->to);
    place_free(place);
}

/* ---- a group that is not upgraded ---- */

/* A group of the format before, and what only a newer one knows of the account. */
static void downgrade(struct place *place)
{
    struct db_txn *txn = db_write_begin(lab_of(place)->db);
    struct group_record group;
    struct record record;
    struct bytes row;
    struct key key;

    assert_int_equal(db_get(txn, TABLE_META, key_group(&key, place->to), &row), ERR_OK);
    assert_true(group_decode(row, &group));
    group.format = FORMAT_SCOPES;
    group_encode(&group, &record);
    db_put(txn, TABLE_META, key_group(&key, place->to), record_bytes(&record));
    struct sending_record sending = {.slot = 1, .hour = {1}, .day = {1}};
    sending_encode(&sending, &record);
    db_put(txn, TABLE_SENDING, key_number(&key, place->from, place->account),
           record_bytes(&record));
    assert_int_equal(db_commit(&txn), ERR_OK);
}

static enum world_fate lose_raises(struct service_world *in, uint32_t group,
                                   const Pr__Command *command)
{
    (void)in;
    (void)group;
    return command->call_case == PR__COMMAND__CALL_FORMAT_RAISE ? WORLD_LOST : WORLD_APPLIED;
}

static void moves_wait_for_the_other_groups_format(void **state)
{
    struct place *place = place_new();

    (void)state;
    downgrade(place);
    move_ask(place);
    leaders_new(place);
    world.fate = lose_raises;
    lead(place, world.now_ms + LONG_MS);
    assert_true(world.writes > 1);
    for (unsigned i = 0; i < world.writes; i++) {
        assert_int_equal(world.calls[i], PR__COMMAND__CALL_FORMAT_RAISE);
        assert_int_equal(world.groups[i], place->to);
    }
    assert_false(is_moving_in(place, place->from));
    assert_int_equal(deliver(place, place->from), ERR_OK);
    world.fate = NULL;
    lead(place, world.now_ms + LONG_MS);
    expect_settled(place, place->to);
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
        cmocka_unit_test(moves_wait_for_the_other_groups_format),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
