/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Cutting the log must not leave the state on the leader alone: of the other voters whose state
 * is whole, the most advanced keeps its way, whatever the bytes and however long it is silent
 * while another one is fetching. Here node 2 stays behind, in the middle of the log.
 */
#include "three_voters.h"

enum { ENTRIES = 40, RETAIN = 1000, HOLD = 2000, HOLD_MS = 5000 };

static void on_proposed(void *context, enum err err, uint64_t index, struct bytes reply)
{
    (void)context;
    (void)err;
    (void)index;
    (void)reply;
}

/* A leader with ENTRIES of its own term, all of which node 3 has in its log, and node 2 the
 * first half. Returns the last index. */
static uint64_t lead(struct fixture *fixture, uint8_t standing)
{
    struct replicator_status status;
    replicator_free(&fixture->replicator);
    fixture->retain_bytes = RETAIN;
    fixture->hold_bytes = HOLD;
    fixture->hold_ms = HOLD_MS;
    start(fixture);
    follow(fixture);
    take_over(fixture);
    replicator_peer_up(fixture->replicator, 2, true);
    for (unsigned i = 0; i < ENTRIES; i++) {
        replicator_propose(fixture->replicator, 0, BYTES("entry"), on_proposed, NULL);
        turns(fixture);
        frames_drop(fixture);
        assert_true(replicator_status(fixture->replicator, 0, &status));
        acknowledge(fixture, 3, status.last_index, standing);
    }
    acknowledge(fixture, 2, status.last_index - ENTRIES / 2, 0);
    assert_int_equal(fixture->applied, status.last_index);
    return status.last_index;
}

/* Time goes by while node 3 is heard, and node 2 as well if it acknowledges something. */
static void pass_heard(struct fixture *fixture, uint64_t last, uint8_t standing, uint64_t of_2,
                       uint64_t ms)
{
    for (uint64_t i = 0; i < ms; i += 100) {
        pass(fixture, 100);
        frames_drop(fixture);
        acknowledge(fixture, 3, last, standing);
        if (of_2 != 0)
            acknowledge(fixture, 2, of_2, 0);
    }
}

static void only_other_whole_state_is_not_cut_off(struct fixture *fixture, uint8_t standing)
{
    uint64_t last = lead(fixture, standing);
    uint64_t half = last - ENTRIES / 2;
    fixture->entry_bytes = HOLD; /* next to everything would have to go */
    pass_heard(fixture, last, standing, half, 2000);
    assert_int_equal(fixture->state.first_index, half + 1);
    /* The third has the state now: nothing is lost with node 2's way. */
    pass_heard(fixture, last, 0, half, 1000);
    assert_true(fixture->state.first_index > half + 1);
}

static void test_while_another_one_fetches(void **state)
{
    only_other_whole_state_is_not_cut_off(*state, WIRE_PARTIAL);
}

static void test_while_another_one_has_no_state(void **state)
{
    only_other_whole_state_is_not_cut_off(*state, WIRE_STATELESS);
}

/* Silence counts only when nobody is on the way to a second state. */
static void test_silent_one_keeps_its_way_while_another_fetches(void **state)
{
    struct fixture *fixture = *state;
    uint64_t last = lead(fixture, WIRE_PARTIAL);
    uint64_t half = last - ENTRIES / 2;
    fixture->entry_bytes = HOLD;
    pass_heard(fixture, last, WIRE_PARTIAL, 0, 3 * HOLD_MS);
    assert_int_equal(fixture->state.first_index, half + 1);
    pass_heard(fixture, last, 0, 0, 1000);
    assert_true(fixture->state.first_index > half + 1);
}

static void test_silent_one_is_not_waited_for_without_hope(void **state)
{
    struct fixture *fixture = *state;
    uint64_t last = lead(fixture, WIRE_STATELESS);
    uint64_t half = last - ENTRIES / 2;
    fixture->entry_bytes = HOLD;
    pass_heard(fixture, last, WIRE_STATELESS, 0, HOLD_MS - 1000);
    assert_int_equal(fixture->state.first_index, half + 1);
    pass_heard(fixture, last, WIRE_STATELESS, 0, 3000);
    assert_true(fixture->state.first_index > half + 1);
}

/* Three whole states: who lags is cut off when the bytes say so. */
static void test_not_when_there_is_a_third(void **state)
{
    struct fixture *fixture = *state;
    uint64_t last = lead(fixture, 0);
    uint64_t half = last - ENTRIES / 2;
    fixture->entry_bytes = HOLD;
    pass_heard(fixture, last, 0, half, 1000);
    assert_true(fixture->state.first_index > half + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_while_another_one_fetches, setup, teardown),
        cmocka_unit_test_setup_teardown(test_while_another_one_has_no_state, setup, teardown),
        cmocka_unit_test_setup_teardown(test_silent_one_keeps_its_way_while_another_fetches,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_silent_one_is_not_waited_for_without_hope, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_not_when_there_is_a_third, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
