/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A group that this node leads alone. */
#include "one_node.h"

static void test_single_node(void **state)
{
    struct fixture *fixture = *state;
    struct answer answer = {0};
    answer = propose(fixture, BYTES("too early"));
    assert_int_equal(answer.err, ERR_NOTLEADER);
    bootstrap(fixture);
    assert_int_equal(replicator_leader(fixture->replicator, 0), 1);
    answer = propose(fixture, BYTES("hello"));
    assert_int_equal(answer.err, ERR_OK);
    assert_string_equal(answer.reply, "hello");
    assert_int_equal(answer.index, replicator_applied(fixture->replicator, 0));
    static uint8_t large[REPLICATOR_COMMAND_SIZE_MAX + 1];
    assert_int_equal(propose(fixture, bytes_from(large, sizeof(large))).err, ERR_TOOBIG);
    replicator_group_bootstrap(fixture->replicator, 0, on_simple, &answer);
    turns(fixture);
    assert_int_equal(answer.err, ERR_EXISTS);
}

/* A sole voter leads without an election: it must not do so in a term that it led before. */
static void test_restart_takes_a_new_term(void **state)
{
    struct fixture *fixture = *state;
    struct replicator_status status;
    bootstrap(fixture);
    propose(fixture, BYTES("one"));
    assert_true(replicator_status(fixture->replicator, 0, &status));
    uint64_t term = status.term;
    replicator_free(&fixture->replicator);
    start(fixture);
    turns(fixture);
    assert_true(replicator_status(fixture->replicator, 0, &status));
    assert_int_equal(status.state, REPLICATOR_LEADER);
    assert_true(status.term > term);
    assert_int_equal(fixture->state.term, status.term);
    assert_int_equal(fixture->state.vote, 1);
    struct answer answer = propose(fixture, BYTES("two"));
    assert_string_equal(answer.reply, "two");
}

static void test_nothing_is_answered_before_it_is_durable(void **state)
{
    struct fixture *fixture = *state;
    struct answer answer = {0};
    bootstrap(fixture);
    fixture->writes_wait = true;
    replicator_propose(fixture->replicator, 0, BYTES("slow"), on_done, &answer);
    turns(fixture);
    assert_int_equal(answer.count, 0);
    fixture->writes_wait = false;
    fixture->apply_waits = true;
    write_end(fixture, ERR_OK);
    turns(fixture);
    assert_int_equal(answer.count, 0);
    assert_non_null(fixture->batch);
    fixture->apply_waits = false;
    batch_end(fixture);
    turns(fixture);
    assert_int_equal(answer.count, 1);
    assert_string_equal(answer.reply, "slow");
}

static void test_failed_write_stops_everything(void **state)
{
    struct fixture *fixture = *state;
    struct answer answer = {0};
    bootstrap(fixture);
    fixture->writes_wait = true;
    replicator_propose(fixture->replicator, 0, BYTES("lost"), on_done, &answer);
    turns(fixture);
    write_end(fixture, ERR_IO);
    turns(fixture);
    assert_int_equal(answer.count, 0);
    replicator_free(&fixture->replicator);
    assert_int_equal(answer.count, 1);
    assert_int_equal(answer.err, ERR_CLOSED);
    start(fixture);
}

static void test_budget(void **state)
{
    struct fixture *fixture = *state;
    static uint8_t command[1500];
    struct answer answers[8] = {0};
    unsigned busy = 0;
    bootstrap(fixture);
    fixture->writes_wait = true;
    for (unsigned i = 0; i < 8; i++) {
        replicator_propose(fixture->replicator, 0, bytes_from(command, sizeof(command)),
                           on_done, &answers[i]);
        turns(fixture);
    }
    for (unsigned i = 0; i < 8; i++)
        busy += answers[i].count == 1 && answers[i].err == ERR_BUSY;
    /* Two in flight, two waiting. */
    assert_int_equal(busy, 4);
    fixture->writes_wait = false;
    write_end(fixture, ERR_OK);
    turns(fixture);
    for (unsigned i = 0; i < 8; i++)
        assert_int_equal(answers[i].count, 1);
    assert_int_equal(answers[3].err, ERR_OK);
}

static void test_reads_and_waits(void **state)
{
    struct fixture *fixture = *state;
    struct answer answer = {0};
    replicator_read(fixture->replicator, 0, 2000, on_done, &answer);
    turns(fixture);
    assert_int_equal(answer.err, ERR_NOTFOUND);
    bootstrap(fixture);
    uint64_t index = propose(fixture, BYTES("x")).index;
    answer = (struct answer){0};
    replicator_read(fixture->replicator, 0, fixture->now_ms + 100, on_done, &answer);
    turns(fixture);
    assert_int_equal(answer.count, 1);
    assert_int_equal(answer.err, ERR_OK);
    assert_true(answer.index >= index);
    answer = (struct answer){0};
    replicator_wait_applied(fixture->replicator, 0, index + 1, fixture->now_ms + 100, on_done,
                            &answer);
    turns(fixture);
    assert_int_equal(answer.count, 0);
    fixture->now_ms += 101;
    turns(fixture);
    assert_int_equal(answer.err, ERR_TIMEOUT);
    answer = (struct answer){0};
    replicator_wait_applied(fixture->replicator, 0, index + 1, fixture->now_ms + 100, on_done,
                            &answer);
    propose(fixture, BYTES("y"));
    assert_int_equal(answer.err, ERR_OK);
}

/* A joined group has no members yet: it must wait, however long, and never stand. */
static void test_joined_group_waits(void **state)
{
    struct fixture *fixture = *state;
    struct replicator_status status;
    fixture->link_up = true;
    replicator_peer_up(fixture->replicator, 2, true);
    assert_int_equal(replicator_group_join(fixture->replicator, 0), ERR_OK);
    assert_int_equal(replicator_group_join(fixture->replicator, 0), ERR_OK);
    for (unsigned i = 0; i < 100; i++) {
        fixture->now_ms += 500;
        turns(fixture);
    }
    assert_true(replicator_status(fixture->replicator, 0, &status));
    assert_int_equal(status.state, REPLICATOR_FOLLOWER);
    assert_int_equal(status.term, 0);
    assert_int_equal(fixture->frames_count, 0);
}

static void test_members_refused(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        uint64_t node_id;
        enum replicator_role role;
        bool remove;
        enum err err;
    } cases[] = {
        {2, REPLICATOR_VOTER, false, ERR_NOTFOUND},   {2, REPLICATOR_VOTER, true, ERR_NOTFOUND},
        {1, REPLICATOR_STANDBY, false, ERR_INVALID},  {1, REPLICATOR_VOTER, true, ERR_INVALID},
        {0, REPLICATOR_STANDBY, false, ERR_NOTFOUND}, {1, REPLICATOR_VOTER, false, ERR_OK},
    };
    struct answer answer = {0};
    replicator_change(fixture->replicator, 0, 2, REPLICATOR_STANDBY, false, on_simple, &answer);
    turns(fixture);
    assert_int_equal(answer.err, ERR_NOTLEADER);
    bootstrap(fixture);
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        answer = (struct answer){0};
        replicator_change(fixture->replicator, 0, cases[i].node_id, cases[i].role,
                          cases[i].remove, on_simple, &answer);
        turns(fixture);
        assert_int_equal(answer.count, 1);
        assert_int_equal(answer.err, cases[i].err);
    }
    replicator_transfer(fixture->replicator, 0, 0, on_simple, &answer);
    turns(fixture);
    assert_int_equal(answer.err, ERR_NOTFOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_single_node, setup, teardown),
        cmocka_unit_test_setup_teardown(test_restart_takes_a_new_term, setup, teardown),
        cmocka_unit_test_setup_teardown(test_nothing_is_answered_before_it_is_durable, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_failed_write_stops_everything, setup, teardown),
        cmocka_unit_test_setup_teardown(test_budget, setup, teardown),
        cmocka_unit_test_setup_teardown(test_reads_and_waits, setup, teardown),
        cmocka_unit_test_setup_teardown(test_joined_group_waits, setup, teardown),
        cmocka_unit_test_setup_teardown(test_members_refused, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
