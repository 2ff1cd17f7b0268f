/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Changes of the membership in the middle of a batch of entries (R3): libraft takes the first
 * index of the batch for the change's own.
 */
#include "three_voters.h"

/* Entries 3 to 6, the third of which makes node 4 a standby. */
static void batch_receive(struct fixture *fixture, uint64_t commit)
{
    uint8_t members[MEMBERSHIP_SIZE_MAX];
    struct entry entries[4] = {
        {.term = TERM, .type = ENTRY_COMMAND, .data = BYTES("third")},
        {.term = TERM, .type = ENTRY_COMMAND, .data = BYTES("fourth")},
        {.term = TERM, .type = ENTRY_CHANGE, .data = {members, members_of(4, members)}},
        {.term = TERM, .type = ENTRY_COMMAND, .data = BYTES("sixth")}};
    struct wire_message message = append_of(TERM, 2, TERM, entries, 4, commit);
    receive(fixture, &message);
    turns(fixture);
    assert_int_equal(acknowledged(fixture), 6);
}

static unsigned members(struct fixture *fixture)
{
    struct replicator_status status;
    assert_true(replicator_status(fixture->replicator, 0, &status));
    return status.member_count;
}

/* Who has taken a change so can make one itself: that one is known to be committed. */
static void test_change_in_a_batch_is_committed(void **state)
{
    struct fixture *fixture = *state;
    struct replicator_status status;
    static struct answer change; /* outlives this: it may end with the replicator */
    change = (struct answer){0};
    follow(fixture);
    batch_receive(fixture, 6);
    assert_int_equal(fixture->applied, 6);
    assert_int_equal(members(fixture), 4);
    take_over(fixture);
    replicator_change(fixture->replicator, 0, 5, REPLICATOR_STANDBY, false, on_simple, &change);
    pass(fixture, 50);
    acknowledge(fixture, 3, 7, 0); /* of our own term */
    pass(fixture, 50);
    assert_true(replicator_status(fixture->replicator, 0, &status));
    assert_int_equal(status.last_index, 8);
    assert_int_equal(fixture->entries[8].type, ENTRY_CHANGE);
    acknowledge(fixture, 3, 8, 0);
    pass(fixture, 50);
    assert_int_equal(change.count, 1);
    assert_int_equal(change.err, ERR_OK);
    assert_int_equal(members(fixture), 5);
}

/* A change that never was committed goes with its entry, though what was before it stays. */
static void test_change_in_a_batch_is_taken_back(void **state)
{
    struct fixture *fixture = *state;
    struct entry other = {.term = TERM + 1, .type = ENTRY_COMMAND, .data = BYTES("other")};
    follow(fixture);
    batch_receive(fixture, 2);
    assert_int_equal(members(fixture), 4);
    struct wire_message message = append_of(TERM + 1, 4, TERM, &other, 1, 5);
    receive_from(fixture, 3, &message);
    turns(fixture);
    assert_int_equal(acknowledged(fixture), 5);
    assert_int_equal(fixture->applied, 5);
    assert_int_equal(fixture->entries[4].term, TERM);
    assert_int_equal(members(fixture), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_change_in_a_batch_is_committed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_change_in_a_batch_is_taken_back, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
