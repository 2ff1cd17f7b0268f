/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where the leader cuts the log, and for whom it waits with that. */
#include "one_node_peer.h"

enum { ENTRIES = 40, RETAIN = 1000, HOLD = 2000, HOLD_MS = 5000 };

static void acknowledge(struct fixture *fixture, uint64_t term, uint64_t index)
{
    struct wire_message message = {.type = WIRE_APPEND_RESULT, .term = term};
    message.append_result.last_index = index;
    receive(fixture, &message);
    turns(fixture);
    frames_drop(fixture);
}

/* A leader with a standby that has half of the entries. Returns the last index. */
static uint64_t lead(struct fixture *fixture, uint64_t hold_bytes, uint64_t *term)
{
    replicator_free(&fixture->replicator);
    fixture->retain_bytes = RETAIN;
    fixture->hold_bytes = hold_bytes;
    fixture->hold_ms = HOLD_MS;
    start(fixture);
    uint64_t last = lead_with_standby(fixture, term);
    for (unsigned i = 0; i < ENTRIES; i++) {
        assert_int_equal(propose(fixture, BYTES("entry")).err, ERR_OK);
        frames_drop(fixture);
    }
    acknowledge(fixture, *term, last + ENTRIES / 2);
    return last + ENTRIES;
}

static void pass_heard(struct fixture *fixture, uint64_t term, uint64_t index, uint64_t ms)
{
    for (uint64_t i = 0; i < ms; i += 100) {
        pass(fixture, 100);
        acknowledge(fixture, term, index);
    }
}

static void test_retained(void **state)
{
    struct fixture *fixture = *state;
    uint64_t term;
    uint64_t last = lead(fixture, HOLD, &term);
    acknowledge(fixture, term, last);
    fixture->entry_bytes = (RETAIN + RETAIN / 8) / last; /* not worth a write */
    pass_heard(fixture, term, last, 1000);
    assert_int_equal(fixture->state.first_index, 1);
    fixture->entry_bytes = HOLD / last;
    pass_heard(fixture, term, last, 1000);
    assert_in_range(fixture->state.first_index, ENTRIES / 3, ENTRIES);
    assert_true(fixture->state.base_members.len > 0);
}

/* It has half: cut there as long as it is waited for, by bytes and by time. */
static void test_held(void **state)
{
    struct fixture *fixture = *state;
    uint64_t term;
    uint64_t last = lead(fixture, HOLD, &term);
    uint64_t half = last - ENTRIES / 2;
    acknowledge(fixture, term, half);
    fixture->entry_bytes = (HOLD - 1) / last;
    pass(fixture, HOLD_MS - 1500);
    uint64_t cut = fixture->state.first_index;
    assert_true(cut > 1);
    assert_true(cut <= half + 1);
    fixture->entry_bytes = HOLD; /* next to everything must go */
    pass(fixture, 1000);
    assert_true(fixture->state.first_index > half + 1);
}

static void test_held_for_some_time(void **state)
{
    struct fixture *fixture = *state;
    uint64_t term;
    uint64_t last = lead(fixture, UINT64_MAX, &term);
    acknowledge(fixture, term, last - ENTRIES / 2);
    fixture->entry_bytes = RETAIN / 5;
    pass(fixture, HOLD_MS - 1500);
    assert_true(fixture->state.first_index <= last - ENTRIES / 2 + 1);
    pass(fixture, 3000);
    assert_true(fixture->state.first_index > last - ENTRIES / 2 + 1);
}

/* A member that is told to begin behind an entry finds the next one, while it is heard. */
static void test_pinned(void **state)
{
    struct fixture *fixture = *state;
    struct replicator_status status;
    struct wire_message message;
    struct answer change = {0};
    uint64_t term;
    uint64_t last = lead(fixture, HOLD, &term);
    acknowledge(fixture, term, last);
    fixture->entry_bytes = HOLD / last;
    pass_heard(fixture, term, last, 1000);
    uint64_t cut = fixture->state.first_index;
    assert_true(cut > 1);
    /* Node 3 is new, and has nothing. */
    replicator_peer_up(fixture->replicator, 3, true);
    replicator_change(fixture->replicator, 0, 3, REPLICATOR_STANDBY, false, on_simple, &change);
    turns(fixture);
    last++;
    frames_drop(fixture);
    message = (struct wire_message){.type = WIRE_APPEND_RESULT, .term = term};
    message.append_result.rejected = last;
    receive_from(fixture, 3, &message);
    turns(fixture);
    assert_true(sent_type(fixture, WIRE_INSTALL, &message));
    assert_int_equal(message.install.last_index, cut - 1);
    assert_true(replicator_status(fixture->replicator, 0, &status));
    assert_int_equal(status.pinned_index, cut);
    fixture->entry_bytes = HOLD;
    for (unsigned i = 0; i < 30; i++) {
        message = (struct wire_message){.type = WIRE_APPEND_RESULT, .term = term};
        message.append_result.standing = WIRE_PARTIAL;
        receive_from(fixture, 3, &message);
        acknowledge(fixture, term, last);
        pass(fixture, 100);
        frames_drop(fixture);
    }
    assert_int_equal(fixture->state.first_index, cut);
    /* Not heard any more: it will be told anew. */
    for (unsigned i = 0; i < 120; i++) {
        acknowledge(fixture, term, last);
        pass(fixture, 100);
        frames_drop(fixture);
    }
    assert_true(fixture->state.first_index > cut);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_retained, setup, teardown),
        cmocka_unit_test_setup_teardown(test_held, setup, teardown),
        cmocka_unit_test_setup_teardown(test_held_for_some_time, setup, teardown),
        cmocka_unit_test_setup_teardown(test_pinned, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
