/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/storage/service/route_world.h"

static void a_write_goes_to_its_group_and_nowhere_else(void **state)
{
    (void)state;
    begin(NOW_MS, false);
    expect(OLD, CREATE, 0);
    assert_true(world.cancellable);
    answer(ERR_OK, ERR_OK, 5);
    assert_int_equal(seen.count, 1);
    assert_int_equal(seen.group, OLD);
    assert_int_equal(seen.outcome_id, 5);
    assert_int_equal(world.sent, 1);
    begin(NOW_MS, false);
    answer(ERR_OK, ERR_CANCELLED, 0); /* it never moved: this is what is true */
    assert_int_equal(seen.outcome_err, ERR_CANCELLED);
    directory.gone = true;
    begin(NOW_MS, false);
    assert_int_equal(seen.count, 2); /* never from within */
    timer_fires();
    assert_int_equal(seen.err, ERR_NOTFOUND);
}

static void a_frozen_account_is_waited_for(void **state)
{
    (void)state;
    begin(NOW_MS, false);
    for (unsigned i = 0; i < 3; i++) {
        expect(OLD, CREATE, 0);
        answer(ERR_OK, ERR_MOVED, 0);
        directory_is_fresh();
        timer_fires();
    }
    answer(ERR_OK, ERR_OK, 1);
    assert_int_equal(seen.count, 1);
    assert_int_equal(seen.group, OLD);
    begin(NOW_MS, false);
    answer(ERR_OK, ERR_MOVED, 0);
    world.now_ms += 20000;
    directory_is_fresh();
    timer_fires();
    assert_int_equal(seen.err, ERR_UNAVAILABLE); /* time is up, and it was never applied */
}

static void a_write_follows_and_is_cancelled_behind(void **state)
{
    (void)state;
    begin(NOW_MS, false);
    answer(ERR_OK, ERR_MOVED, 0);
    directory.group = NEW;
    former_add(OLD, NOW_MS - 3600 * 1000); /* long ago: this node's directory was old */
    directory_is_fresh();
    assert_int_equal(world.account_moved_to, NEW);
    timer_fires();
    expect(OLD, CANCEL, 0);
    answer(ERR_OK, ERR_CANCELLED, 0);
    expect(NEW, CREATE, 0);
    answer(ERR_OK, ERR_MOVED, 0); /* and on */
    directory.group = LATER;
    former_add(NEW, NOW_MS);
    directory_is_fresh();
    timer_fires();
    expect(NEW, CANCEL, 0);
    answer(ERR_OK, ERR_CANCELLED, 0);
    expect(LATER, CREATE, 0);
    answer(ERR_OK, ERR_OK, 4);
    assert_int_equal(seen.group, LATER);
}

static void an_old_request_is_settled_where_it_was(void **state)
{
    (void)state;
    directory.group = NEW;
    former_add(OLD, NOW_MS);
    begin(NOW_MS - 1000, false);
    expect(OLD, CANCEL, 0);
    answer(ERR_OK, ERR_OK, 17); /* it took effect there */
    assert_int_equal(seen.count, 1);
    assert_int_equal(seen.group, OLD);
    assert_int_equal(seen.outcome_id, 17);
    begin(NOW_MS - 1000, false);
    answer(ERR_UNAVAILABLE, ERR_OK, 0); /* nobody can say: it must not go elsewhere */
    assert_int_equal(seen.err, ERR_UNAVAILABLE);
    assert_int_equal(world.sent, 2);
    begin(NOW_MS + 3600 * 1000, false); /* made after the move */
    expect(NEW, CREATE, 0);
    answer(ERR_OK, ERR_OK, 0);
}

/* Two moves, and back: the request's own id lies cancelled in the group that it returns to. */
static void a_row_of_ids_leads_past_cancels(void **state)
{
    (void)state;
    directory.group = OLD;
    former_add(OLD, NOW_MS - 2000);
    former_add(NEW, NOW_MS - 1000);
    begin(NOW_MS - 5000, false);
    expect(NEW, CANCEL, 0);
    answer(ERR_OK, ERR_CANCELLED, 1); /* cancelled before: somebody may have gone on there */
    expect(NEW, CANCEL, 1);
    answer(ERR_OK, ERR_CANCELLED, 0);
    expect(OLD, CREATE, 0);
    answer(ERR_OK, ERR_CANCELLED, 0);
    expect(OLD, CREATE, 1);
    assert_true(world.cancellable);
    answer(ERR_OK, ERR_OK, 3);
    assert_int_equal(seen.count, 1);
    assert_int_equal(seen.group, OLD);
}

/* The blocks that it needs are in the group before: no refusal for good. */
static void a_lost_upload_is_to_be_sent_again(void **state)
{
    static Pr__UploadBlock block = PR__UPLOAD_BLOCK__INIT;

    (void)state;
    for (unsigned moved = 0; moved < 2; moved++) {
        struct route_request request = {
            .service = &service,
            .account_id = ACCOUNT,
            .deadline_ms = world.now_ms + 10000,
            .command = &command,
            .done = on_done,
        };
        pr__command__init(&command);
        command.call_case = PR__COMMAND__CALL_UPLOAD_BLOCK;
        command.upload_block = &block;
        directory.group = moved ? NEW : OLD;
        if (moved)
            former_add(OLD, NOW_MS - 60 * 1000);
        route_write(&request);
        answer(ERR_OK, ERR_INVALID, 0);
        assert_int_equal(seen.err, moved ? ERR_UNAVAILABLE : ERR_OK);
    }
    assert_int_equal(seen.count, 2);
}

static void what_must_arrive_is_never_settled(void **state)
{
    (void)state;
    begin(NOW_MS, true);
    expect(OLD, CREATE, 0);
    assert_false(world.cancellable);
    answer(ERR_OK, ERR_OK, 0);
    assert_int_equal(seen.count, 1);
}

static void ids_of_a_row_differ_and_keep_their_time(void **state)
{
    uint8_t ids[4][REQUEST_ID_SIZE];
    struct request_id made = request_id_make(NOW_MS, (const uint8_t[10]){9});
    struct bytes own = bytes_from(made.bytes, sizeof(made.bytes));

    (void)state;
    route_id(own, 0, 0, ids[0]);
    route_id(own, 0, 1, ids[1]);
    route_id(own, ACCOUNT, 0, ids[2]);
    route_id(own, ACCOUNT + 1, 0, ids[3]);
    assert_memory_equal(ids[0], made.bytes, REQUEST_ID_SIZE);
    for (unsigned i = 0; i < 4; i++) {
        assert_memory_equal(ids[i], made.bytes, 6);
        for (unsigned k = 0; k < i; k++)
            assert_memory_not_equal(ids[i], ids[k], REQUEST_ID_SIZE);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_write_goes_to_its_group_and_nowhere_else, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_frozen_account_is_waited_for, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_write_follows_and_is_cancelled_behind, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(an_old_request_is_settled_where_it_was, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_row_of_ids_leads_past_cancels, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_lost_upload_is_to_be_sent_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_must_arrive_is_never_settled, set_up, tear_down),
        cmocka_unit_test_setup_teardown(ids_of_a_row_differ_and_keep_their_time, set_up,
                                        tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
