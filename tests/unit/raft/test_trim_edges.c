/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a leader must not do with what it does not know: cut off a member that it has not heard
 * yet, count what a member said of a log that it has dropped since, or tell others to cut where
 * only its own log is damaged.
 */
#include "three_voters.h"

enum {
    ENTRIES = 40,
    LAST = ENTRIES + 2,
    OWN = LAST + 1,
    BASE = 11,
    HALF = 22,
    HOLD = 2000,
    HOLD_MS = 60000
};

static void on_proposed(void *context, enum err err, uint64_t index, struct bytes reply)
{
    (void)context;
    (void)err;
    (void)index;
    (void)reply;
}

/* A leader with ENTRIES applied, nothing of them in memory, and one entry of its own term,
 * which node 3 has too. Node 2 has not been heard. */
static void begin(struct fixture *fixture, uint8_t standing)
{
    struct entry entries[ENTRIES];
    struct wire_message message;
    for (unsigned i = 0; i < ENTRIES; i++)
        entries[i] = (struct entry){.term = TERM, .type = ENTRY_COMMAND, .data = BYTES("more")};
    replicator_free(&fixture->replicator);
    fixture->hold_bytes = HOLD;
    fixture->hold_ms = HOLD_MS;
    start(fixture);
    follow(fixture);
    message = append_of(TERM, 2, TERM, entries, ENTRIES, LAST);
    message.append.trim_before = BASE;
    receive(fixture, &message);
    pass(fixture, 50);
    message = append_of(TERM, LAST, TERM, NULL, 0, LAST);
    message.append.trim_before = BASE;
    receive(fixture, &message);
    pass(fixture, 50);
    assert_int_equal(fixture->applied, LAST);
    assert_int_equal(fixture->state.first_index, BASE);
    replicator_free(&fixture->replicator);
    frames_drop(fixture);
    start(fixture);
    replicator_peer_up(fixture->replicator, 3, true);
    for (unsigned i = 0; i < 20; i++) {
        pass(fixture, 100);
        frames_drop(fixture);
    }
    take_over(fixture);
    replicator_peer_up(fixture->replicator, 2, true);
    replicator_propose(fixture->replicator, 0, BYTES("own"), on_proposed, NULL);
    turns(fixture);
    frames_drop(fixture);
    acknowledge(fixture, 3, OWN, standing);
    assert_int_equal(fixture->applied, OWN);
}

static void test_member_that_was_not_heard_yet(void **state)
{
    struct fixture *fixture = *state;
    fixture->retain_bytes = 1000;
    begin(fixture, WIRE_PARTIAL);
    fixture->entry_bytes = HOLD; /* next to everything would have to go */
    for (unsigned i = 0; i < 20; i++) {
        acknowledge(fixture, 3, OWN, WIRE_PARTIAL);
        pass(fixture, 100);
        frames_drop(fixture);
    }
    assert_int_equal(fixture->state.first_index, BASE);
    acknowledge(fixture, 2, HALF, 0);
    pass(fixture, 500);
    assert_int_equal(fixture->state.first_index, HALF + 1);
}

static void refuse(struct fixture *fixture, uint64_t node_id, uint64_t rejected, uint64_t last)
{
    struct wire_message message = {.type = WIRE_APPEND_RESULT, .term = TERM + 1};
    message.append_result.rejected = rejected;
    message.append_result.last_index = last;
    receive_from(fixture, node_id, &message);
}

static void test_entry_that_cannot_be_read(void **state)
{
    struct fixture *fixture = *state;
    struct wire_message append;
    begin(fixture, 0);
    fixture->unreadable = HALF;
    refuse(fixture, 2, LAST, HALF - 1);
    pass(fixture, 500);
    frames_drop(fixture);
    assert_int_equal(fixture->state.first_index, HALF + 1);
    /* The others' logs are whole. */
    pass(fixture, 200);
    assert_true(sent_type(fixture, WIRE_APPEND, &append));
    assert_true(append.append.trim_before <= BASE);
}

static void on_changed(void *context, enum err err)
{
    enum err *result = context;
    *result = err;
}

static enum err change(struct fixture *fixture, bool remove)
{
    enum err result = ERR_COUNT;
    struct replicator_status status;
    replicator_change(fixture->replicator, 0, 2, REPLICATOR_STANDBY, remove, on_changed,
                      &result);
    for (unsigned i = 0; i < 20 && result == ERR_COUNT; i++) {
        pass(fixture, 10);
        assert_true(replicator_status(fixture->replicator, 0, &status));
        acknowledge(fixture, 3, status.last_index, 0);
    }
    return result;
}

static void test_member_that_comes_back_at_once(void **state)
{
    struct fixture *fixture = *state;
    begin(fixture, 0);
    assert_int_equal(change(fixture, true), ERR_OK);
    assert_int_equal(change(fixture, false), ERR_BUSY);
    for (unsigned i = 0; i < 40; i++) {
        struct replicator_status status;
        pass(fixture, 100);
        assert_true(replicator_status(fixture->replicator, 0, &status));
        acknowledge(fixture, 3, status.last_index, 0);
    }
    assert_int_equal(change(fixture, false), ERR_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_member_that_was_not_heard_yet, setup, teardown),
        cmocka_unit_test_setup_teardown(test_entry_that_cannot_be_read, setup, teardown),
        cmocka_unit_test_setup_teardown(test_member_that_comes_back_at_once, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
