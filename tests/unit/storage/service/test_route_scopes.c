/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/storage/service/route_world.h"

static void a_part_that_is_used_up_is_asked_for(void **state)
{
    (void)state;
    begin(NOW_MS, false);
    answer_grant(77);
    assert_int_equal(room.group, OLD);
    assert_int_equal(room.need_bytes, 77);
    room_is(ERR_OK, NULL);
    expect(OLD, CREATE, 0); /* the same request */
    answer_grant(77);       /* others were faster */
    room_is(ERR_OK, NULL);
    answer(ERR_OK, ERR_OK, 3);
    assert_int_equal(seen.count, 1);
    assert_int_equal(seen.outcome_id, 3);
    assert_int_equal(room.asked, 2);
}

static void no_room_is_said_when_it_is_certain(void **state)
{
    (void)state;
    begin(NOW_MS, false);
    answer_grant(1);
    room_is(ERR_QUOTA, "the domain is full");
    expect(OLD, CANCEL, 0);
    assert_int_equal(seen.count, 0);
    answer(ERR_OK, ERR_CANCELLED, 0);
    assert_int_equal(seen.count, 1);
    assert_int_equal(seen.err, ERR_OK);
    assert_int_equal(seen.outcome_err, ERR_QUOTA);
    begin(NOW_MS, false);
    answer_grant(1);
    room_is(ERR_QUOTA, "the domain is full");
    answer(ERR_OK, ERR_OK, 12); /* an attempt of before has found room meanwhile */
    assert_int_equal(seen.count, 2);
    assert_int_equal(seen.outcome_err, ERR_OK);
    assert_int_equal(seen.outcome_id, 12);
}

/* Of a tenant that has sent too much; whose limit it is, and when there is room, is said. */
static void what_was_sent_too_much_is_no_full_mailbox(void **state)
{
    (void)state;
    begin(NOW_MS, false);
    answer_grant(1);
    room_is(ERR_LIMIT, "the tenant has sent too much");
    answer(ERR_OK, ERR_CANCELLED, 0);
    assert_int_equal(seen.count, 1);
    assert_int_equal(seen.err, ERR_OK);
    assert_int_equal(seen.outcome_err, ERR_LIMIT);
    assert_int_equal(seen.outcome_id, FREE_MS);
    assert_int_equal(seen.share_kind, PR__SCOPE_KIND__SCOPE_SENDING);
}

static void without_a_directory_it_is_no_refusal(void **state)
{
    (void)state;
    begin(NOW_MS, false);
    answer_grant(1);
    room_is(ERR_UNAVAILABLE, NULL);
    expect(OLD, CANCEL, 0);
    answer(ERR_OK, ERR_CANCELLED, 0);
    assert_int_equal(seen.err, ERR_UNAVAILABLE);
    begin(NOW_MS, false);
    answer_grant(1);
    service.replicator = NULL; /* the process ends */
    room_is(ERR_UNAVAILABLE, NULL);
    assert_int_equal(seen.count, 2);
    assert_int_equal(seen.err, ERR_UNAVAILABLE);
}

static void another_limit_is_looked_up(void **state)
{
    (void)state;
    begin(NOW_MS, false);
    answer_grant(1);
    room_is(ERR_CONFLICT, NULL);
    directory_is_fresh();
    timer_fires();
    expect(OLD, CREATE, 0);
    answer(ERR_OK, ERR_OK, 1);
    assert_int_equal(seen.count, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_part_that_is_used_up_is_asked_for, set_up, tear_down),
        cmocka_unit_test_setup_teardown(no_room_is_said_when_it_is_certain, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_was_sent_too_much_is_no_full_mailbox, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(without_a_directory_it_is_no_refusal, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(another_limit_is_looked_up, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
