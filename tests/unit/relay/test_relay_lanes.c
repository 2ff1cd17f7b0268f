/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A lane is read once for what lies in it, and again for what has come in since. */
#include "tests/unit/relay/relay_lab.h"

static const char *const domain = "a.example";

static void found_and_read(uint64_t id)
{
    Pr__QueueRecord *record = lab_record(id, domain);

    lab_lanes(1, &domain, false);
    lab_read(1, &record, false);
    assert_int_equal(lab_call_count(PR__REQUEST__CALL_QUEUE_READ), 0);
    assert_non_null(lab_write(PR__QUEUE_WRITE__COMMAND_LEASE));
}

/* Something has come in, somewhere in the group: all that is due comes up, what is being leased
 * too. */
static void found_again(void)
{
    lab_lead(1);
    lab_run(0);
    assert_int_equal(lab_call_count(PR__REQUEST__CALL_QUEUE_LANES), 1);
    lab_lanes(1, &domain, false);
}

static void what_is_being_leased_is_not_read_again(void **state)
{
    (void)state;
    lab_lead(1);
    found_and_read(1);
    found_again();
    assert_int_equal(lab_call_count(PR__REQUEST__CALL_QUEUE_READ), 0);
    assert_int_equal(lab.relay->lane_count, 1);
    lab_grant(SIZE_MAX);
    assert_int_equal(lab.relay->lane_count, 0);
}

/* What came in while the rest was leased is looked for as soon as that is over. */
static void what_came_meanwhile_is_read_then(void **state)
{
    (void)state;
    lab_lead(1);
    found_and_read(1);
    found_again();
    lab_grant(SIZE_MAX);
    lab_run(0);
    assert_int_equal(lab_call_count(PR__REQUEST__CALL_QUEUE_LANES), 1);
    found_and_read(2);
    assert_int_equal(lab_grant(SIZE_MAX), 1);
    assert_int_equal(lab.relay->job_count, 2);
    assert_int_equal(lab.relay->lane_count, 0);
}

static void nothing_is_looked_for_where_nothing_came(void **state)
{
    (void)state;
    lab_lead(1);
    found_and_read(1);
    lab_grant(SIZE_MAX);
    lab_run(0);
    assert_int_equal(lab_call_count(PR__REQUEST__CALL_QUEUE_LANES), 0);
    assert_int_equal(lab.relay->lane_count, 0);
}

/* It comes in while the lane is read, and the answer does not have it yet. */
static void what_came_while_it_was_read_is_read_then(void **state)
{
    Pr__QueueRecord *record = lab_record(1, domain);

    (void)state;
    lab_lead(1);
    lab_lanes(1, &domain, false);
    assert_int_equal(lab_call_count(PR__REQUEST__CALL_QUEUE_READ), 1);
    found_again();
    assert_int_equal(lab_call_count(PR__REQUEST__CALL_QUEUE_READ), 1);
    lab_read(1, &record, false);
    lab_grant(SIZE_MAX);
    lab_run(0);
    assert_int_equal(lab_call_count(PR__REQUEST__CALL_QUEUE_LANES), 1);
    found_and_read(2);
    lab_grant(SIZE_MAX);
}

static void a_lane_whose_leases_are_refused_is_left(void **state)
{
    (void)state;
    lab_lead(1);
    found_and_read(1);
    assert_int_equal(lab.relay->lane_count, 1);
    lab_grant(0);
    assert_int_equal(lab.relay->lane_count, 0);
    assert_int_equal(lab.relay->job_count, 0);
}

/* The lane goes first. */
static void the_end_comes_while_leases_are_asked_for(void **state)
{
    (void)state;
    lab_lead(1);
    found_and_read(1);
    lanes_free(lab.relay);
    assert_int_equal(lab.relay->lane_count, 0);
    lab_grant(SIZE_MAX);
    assert_int_equal(lab.relay->job_count, 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, lab_open, lab_close)
    const struct CMUnitTest tests[] = {
        TEST(what_is_being_leased_is_not_read_again),
        TEST(what_came_meanwhile_is_read_then),
        TEST(nothing_is_looked_for_where_nothing_came),
        TEST(what_came_while_it_was_read_is_read_then),
        TEST(a_lane_whose_leases_are_refused_is_left),
        TEST(the_end_comes_while_leases_are_asked_for),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
