/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a group's leader begins, and looks after meanwhile: formats, wishes that change,
 * accounts that came in and are not settled. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */

#include "storage/db/key.h"
#include "storage/machine/record.h"
#include "storage/schema/format.h"
#include "tests/unit/storage/service/move_place.h"

/* ---- a group that is not upgraded ---- */

static void format_put(struct db_txn *txn, uint32_t number, uint8_t format)
{
    struct group_record group;
    struct record record;
    struct bytes row;
    struct key key;

    assert_int_equal(db_get(txn, TABLE_META, key_group(&key, number), &row), ERR_OK);
    assert_true(group_decode(row, &group));
    group.format = format;
    group_encode(&group, &record);
    db_put(txn, TABLE_META, key_group(&key, number), record_bytes(&record));
}

/* The group gone to has the format before; the account has what only a newer one knows. */
static void downgrade(struct place *place)
{
    struct sending_record sending = {.slot = 1, .hour = {1}, .day = {1}};
    struct db_txn *txn = db_write_begin(place_lab(place)->db);
    struct record record;
    struct key key;

    format_put(txn, place->to, FORMAT_SCOPES);
    sending_encode(&sending, &record);
    db_put(txn, TABLE_SENDING, key_number(&key, place->from, place->account),
           record_bytes(&record));
    assert_int_equal(db_commit(&txn), ERR_OK);
}

static void downgrade_all(struct place *place)
{
    struct db_txn *txn = db_write_begin(place_lab(place)->db);

    for (uint32_t group = 0; group <= MOVING_OTHER_GROUP; group++)
        format_put(txn, group, FORMAT_SCOPES);
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
    place_ask(place);
    place_lead_begin(place);
    world.fate = lose_raises;
    place_lead(place, world.now_ms + PLACE_LONG_MS);
    assert_true(world.writes > 1);
    for (unsigned i = 0; i < world.writes; i++) {
        assert_int_equal(world.calls[i], PR__COMMAND__CALL_FORMAT_RAISE);
        assert_int_equal(world.groups[i], place->to);
    }
    assert_false(place_moves_in(place, place->from));
    assert_int_equal(place_deliver(place, place->from), ERR_OK);
    world.fate = NULL;
    place_lead(place, world.now_ms + PLACE_LONG_MS);
    place_expect_settled(place, place->to);
    place_free(place);
}

/* ---- wishes that change ---- */

static void cancel_ask(struct place *place)
{
    Pr__AccountMoveCancel cancel = PR__ACCOUNT_MOVE_CANCEL__INIT;
    char address[] = "user0@example.org";

    cancel.address = address;
    assert_int_equal(lab_apply(place_lab(place), 0,
                               LAB_COMMAND(account_move_cancel, ACCOUNT_MOVE_CANCEL, &cancel))
                         ->err,
                     ERR_OK);
}

/* The operator thinks better of it, just before the first such command takes effect. */
static Pr__Command__CallCase changed_at;

static enum world_fate change_the_wish(struct service_world *in, uint32_t group,
                                       const Pr__Command *command)
{
    struct place *place = in->context;

    (void)group;
    if (command->call_case == changed_at) {
        changed_at = PR__COMMAND__CALL__NOT_SET;
        cancel_ask(place);
        place->to--;
        assert_int_not_equal(place->to, place->from);
        place_ask(place);
    }
    return WORLD_APPLIED;
}

/* Where the rows have gone, and where the directory says that the account is, is one group. */
static void expect_moved_as_wanted_now(Pr__Command__CallCase call)
{
    struct place *place = place_new();
    uint32_t first = place->to;

    if (call == PR__COMMAND__CALL_FORMAT_RAISE)
        downgrade(place);
    changed_at = call;
    world.fate = change_the_wish;
    place_ask(place);
    place_lead_begin(place);
    place_lead(place, world.now_ms + PLACE_LONG_MS);
    assert_int_equal(changed_at, PR__COMMAND__CALL__NOT_SET);
    place_expect_settled(place, place->to);
    assert_false(place_moves_in(place, first));
    assert_int_equal(place_messages(place, first), 0);
    place_free(place);
}

static void a_wish_may_change_while_a_format_is_raised(void **state)
{
    (void)state;
    expect_moved_as_wanted_now(PR__COMMAND__CALL_FORMAT_RAISE);
}

static void a_wish_may_change_before_it_is_claimed(void **state)
{
    (void)state;
    expect_moved_as_wanted_now(PR__COMMAND__CALL_ACCOUNT_MOVE_CLAIM);
}

static void a_wish_may_change_behind_the_claim(void **state)
{
    (void)state;
    expect_moved_as_wanted_now(PR__COMMAND__CALL_MOVE_START);
    expect_moved_as_wanted_now(PR__COMMAND__CALL_IMPORT_END);
    expect_moved_as_wanted_now(PR__COMMAND__CALL_ACCOUNT_MOVE_DONE);
}

/* ---- whole in the new group, and not yet settled ---- */

static enum err before_flip;

static enum world_fate deliver_before_flip(struct service_world *in, uint32_t group,
                                           const Pr__Command *command)
{
    struct place *place = in->context;

    (void)group;
    if (command->call_case == PR__COMMAND__CALL_ACCOUNT_MOVE_DONE)
        before_flip = place_deliver(place, place->to);
    return WORLD_APPLIED;
}

static void nothing_is_taken_before_the_flip(void **state)
{
    static const struct {
        bool lower;
        enum err err;
    } rows[] = {{true, ERR_OK /* as by the release before */}, {false, ERR_MOVED}};

    (void)state;
    for (unsigned i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct place *place = place_new();
        if (rows[i].lower)
            downgrade_all(place);
        before_flip = ERR_NOTFOUND;
        world.fate = deliver_before_flip;
        place_ask(place);
        place_lead_begin(place);
        place_lead(place, world.now_ms + PLACE_LONG_MS);
        assert_int_equal(before_flip, rows[i].err);
        place_expect_settled(place, place->to);
        place_free(place);
    }
}

static Pr__Command__CallCase last_call;

/* The mover does not hear what became of that command; an end is the first one, of the rows. */
static enum world_fate die_behind(struct service_world *in, uint32_t group,
                                  const Pr__Command *command)
{
    struct place *place = in->context;

    (void)group;
    if (command->call_case != last_call)
        return WORLD_APPLIED;
    place->died = true;
    return WORLD_UNKNOWN;
}

static struct place *place_of_dead_mover(Pr__Command__CallCase call)
{
    struct place *place = place_new();

    last_call = call;
    world.fate = die_behind;
    place_ask(place);
    place_lead_begin(place);
    place_lead(place, world.now_ms + PLACE_LONG_MS);
    assert_true(place->died);
    place_lead_end(place);
    place->died = false;
    world.fate = NULL;
    world_run(world.now_ms + 1);
    world_calls_forget();
    return place;
}

/* What was acknowledged is there when the copy is given up. */
static void a_copy_that_is_dropped_has_taken_nothing(void **state)
{
    struct place *place = place_of_dead_mover(PR__COMMAND__CALL_IMPORT_END);

    (void)state;
    assert_int_equal(place_messages(place, place->to), place->delivered);
    assert_int_equal(place_deliver(place, place->to), ERR_MOVED);
    cancel_ask(place);
    place_lead_begin(place);
    place_lead(place, world.now_ms + PLACE_LONG_MS);
    assert_int_equal(place_messages(place, place->to), 0);
    place_expect_settled(place, place->from);
    place_free(place);
}

/* Without whoever moved it, and without a leader of the old group. */
static void the_new_group_settles_by_itself(void **state)
{
    struct place *place = place_of_dead_mover(PR__COMMAND__CALL_ACCOUNT_MOVE_DONE);

    (void)state;
    assert_int_equal(place_truth(place).group, place->to);
    assert_int_equal(place_deliver(place, place->from), ERR_MOVED);
    assert_int_equal(place_deliver(place, place->to), ERR_MOVED);
    place->leaders[1] = moves_new(&world.service, place->to);
    moves_tick(place->leaders[1], world.now_ms);
    world_run(world.now_ms + 1);
    assert_int_equal(world.writes, 1);
    assert_int_equal(world.calls[0], PR__COMMAND__CALL_IMPORT_END);
    assert_int_equal(place_deliver(place, place->to), ERR_OK);
    assert_int_equal(place_deliver(place, place->from), ERR_MOVED);
    place->leaders[0] = moves_new(&world.service, place->from);
    place_lead(place, world.now_ms + PLACE_LONG_MS);
    place_expect_settled(place, place->to);
    place_free(place);
}

/* An account that leaves again before it was settled is settled first. */
static void an_account_may_leave_at_once(void **state)
{
    struct place *place = place_of_dead_mover(PR__COMMAND__CALL_ACCOUNT_MOVE_DONE);
    uint32_t back = place->from;

    (void)state;
    place->from = place->to;
    place->to = back;
    place_ask(place);
    place_lead_begin(place);
    place_lead(place, world.now_ms + PLACE_LONG_MS);
    assert_int_equal(world.calls[0], PR__COMMAND__CALL_IMPORT_END);
    place_expect_settled(place, back);
    place_free(place);
}

/* ---- while another account leaves ---- */

enum { OTHER_MESSAGES = 1500 };

/* The new group's leader is busy for long. Returns that account. */
static struct model_account *other_begin(struct place *place)
{
    struct model_account *other = &place->model.accounts[1];
    static uint8_t body[6000];
    struct mover mover;

    if (other->group != place->to) {
        assert_int_equal(moving_ask(&place->model, other, place->to), ERR_OK);
        moving_begin(&mover, &place->model, other, 1);
        while (moving_next(&mover))
            ;
    }
    for (unsigned i = 0; i < OTHER_MESSAGES; i++) {
        memset(body, (int)i, sizeof(body));
        memcpy(body, &i, sizeof(i));
        assert_int_equal(
            lab_deliver(place_lab(place), place->to, other->id, bytes_from(body, sizeof(body)))
                ->err,
            ERR_OK);
    }
    assert_int_equal(moving_ask(&place->model, other, place->to - 1), ERR_OK);
    return other;
}

static bool called(Pr__Command__CallCase call, uint32_t group)
{
    for (unsigned i = 0; i < world.writes && i < sizeof(world.calls) / sizeof(*world.calls);
         i++)
        if (world.calls[i] == call && world.groups[i] == group)
            return true;
    return false;
}

static void a_long_copy_holds_up_nobody_else(void **state)
{
    struct place *place = place_new();
    struct model_account *other = other_begin(place);

    (void)state;
    place->leaders[1] = moves_new(&world.service, place->to);
    moves_tick(place->leaders[1], world.now_ms);
    while (!called(PR__COMMAND__CALL_IMPORT_ROWS, place->to - 1))
        assert_true(world_step(world.now_ms + 1000));
    last_call = PR__COMMAND__CALL_ACCOUNT_MOVE_DONE;
    world.fate = die_behind;
    place_ask(place);
    place->leaders[0] = moves_new(&world.service, place->from);
    moves_tick(place->leaders[0], world.now_ms);
    while (!place->died)
        assert_true(world_step(world.now_ms + 1000));
    moves_free(&place->leaders[0]);
    place->died = false;
    world.fate = NULL;
    assert_int_equal(place_deliver(place, place->to), ERR_MOVED);
    moves_look_soon(place->leaders[1]); /* the directory has said something */
    world_calls_forget();
    while (place_deliver(place, place->to) == ERR_MOVED)
        assert_true(world_step(world.now_ms + 1000));
    assert_false(called(PR__COMMAND__CALL_ACCOUNT_MOVE_DONE, 0)); /* the other still goes */
    place->leaders[0] = moves_new(&world.service, place->from);
    place_lead(place, world.now_ms + PLACE_LONG_MS);
    place_expect_settled(place, place->to);
    struct move_truth truth;
    struct db_txn *txn = db_read_begin(place_lab(place)->db);
    moves_truth(txn, other->id, &truth);
    db_abort(&txn);
    assert_int_equal(truth.group, place->to - 1);
    place_free(place);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(moves_wait_for_the_other_groups_format),
        cmocka_unit_test(a_wish_may_change_while_a_format_is_raised),
        cmocka_unit_test(a_wish_may_change_before_it_is_claimed),
        cmocka_unit_test(a_wish_may_change_behind_the_claim),
        cmocka_unit_test(nothing_is_taken_before_the_flip),
        cmocka_unit_test(a_copy_that_is_dropped_has_taken_nothing),
        cmocka_unit_test(the_new_group_settles_by_itself),
        cmocka_unit_test(an_account_may_leave_at_once),
        cmocka_unit_test(a_long_copy_holds_up_nobody_else),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
