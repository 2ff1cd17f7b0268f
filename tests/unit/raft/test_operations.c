/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A leader that is lost at once, a node that promises nothing, replicas removed and recovered.
 */
#include "one_node_peer.h"

enum { TERM = 5 };

/* Nodes 1, 2 and 3, all voters. */
static size_t three_fill(uint8_t *payload)
{
    struct membership membership = {
        .count = 3,
        .members = {{.id = 1, .role = 1}, {.id = 2, .role = 1}, {.id = 3, .role = 1}}};
    return membership_encode(&membership, payload);
}

/* A follower of node 2 with three voters; entries 1 and 2 on disk, the first one committed. */
static void follow(struct fixture *fixture)
{
    uint8_t members[MEMBERSHIP_SIZE_MAX];
    struct entry entries[2] = {
        {.term = 1, .type = ENTRY_CHANGE, .data = {members, three_fill(members)}},
        {.term = TERM, .type = ENTRY_COMMAND, .data = BYTES("first")}};
    fixture->link_up = true;
    replicator_peer_up(fixture->replicator, 2, true);
    replicator_peer_up(fixture->replicator, 3, true);
    assert_int_equal(replicator_group_join(fixture->replicator, 0), ERR_OK);
    struct wire_message message = append_of(TERM, 0, 0, entries, 2, 1);
    receive(fixture, &message);
    turns(fixture);
    assert_int_equal(acknowledged(fixture), 2);
    assert_int_equal(replicator_leader(fixture->replicator, 0), 2);
}

/* The election timeout here is a second: long before it the node asks the others. */
static void test_lost_leader(void **state)
{
    struct fixture *fixture = *state;
    struct wire_message message;
    follow(fixture);
    replicator_peer_up(fixture->replicator, 2, false);
    pass(fixture, 20);
    assert_false(sent_type(fixture, WIRE_VOTE, &message));
    pass(fixture, 200);
    assert_true(sent_type(fixture, WIRE_VOTE, &message));
    assert_true(message.vote.pre_vote);
    assert_int_equal(message.vote.last_index, 2);
    struct wire_message granted = {
        .type = WIRE_VOTE_RESULT, .term = TERM + 1, .vote_result = {true, true}};
    receive_from(fixture, 3, &granted);
    turns(fixture);
    assert_true(sent_type(fixture, WIRE_VOTE, &message));
    assert_false(message.vote.pre_vote);
    assert_int_equal(message.term, TERM + 1);
}

/* The link breaks and comes back, and the leader is heard again: nothing happens. */
static void test_link_that_flaps(void **state)
{
    struct fixture *fixture = *state;
    struct wire_message message;
    follow(fixture);
    replicator_peer_up(fixture->replicator, 2, false);
    pass(fixture, 20);
    replicator_peer_up(fixture->replicator, 2, true);
    pass(fixture, 50);
    message = append_of(TERM, 2, TERM, NULL, 0, 1);
    receive(fixture, &message);
    pass(fixture, 500);
    assert_false(sent_type(fixture, WIRE_VOTE, &message));
    /* Back, but not as a leader: sooner than the election timeout. */
    replicator_peer_up(fixture->replicator, 2, false);
    pass(fixture, 20);
    replicator_peer_up(fixture->replicator, 2, true);
    pass(fixture, 150);
    assert_false(sent_type(fixture, WIRE_VOTE, &message));
    pass(fixture, 250);
    assert_true(sent_type(fixture, WIRE_VOTE, &message));
}

static bool pre_vote_given(struct fixture *fixture)
{
    struct wire_message vote = {.type = WIRE_VOTE, .term = TERM + 1};
    struct wire_message result;
    vote.vote.last_index = 2;
    vote.vote.last_term = TERM;
    vote.vote.pre_vote = true;
    receive_from(fixture, 3, &vote);
    turns(fixture);
    assert_true(sent_type(fixture, WIRE_VOTE_RESULT, &result));
    return result.vote_result.granted;
}

static void test_vote_while_leader_is_lost(void **state)
{
    struct fixture *fixture = *state;
    struct wire_message message;
    follow(fixture);
    assert_false(pre_vote_given(fixture));
    replicator_peer_up(fixture->replicator, 2, false);
    assert_true(pre_vote_given(fixture));
    /* Up again: it may still be heard. */
    replicator_peer_up(fixture->replicator, 2, true);
    assert_false(pre_vote_given(fixture));
    message = append_of(TERM, 2, TERM, NULL, 0, 1);
    receive(fixture, &message);
    turns(fixture);
    frames_drop(fixture);
    assert_false(pre_vote_given(fixture));
}

static void test_quiesced_follower(void **state)
{
    struct fixture *fixture = *state;
    struct entry entry = {.term = TERM, .type = ENTRY_COMMAND, .data = BYTES("second")};
    struct wire_message message;
    follow(fixture);
    replicator_quiesce(fixture->replicator, true);
    message = append_of(TERM, 2, TERM, &entry, 1, 2);
    receive(fixture, &message);
    turns(fixture);
    message = sent(fixture);
    assert_int_equal(message.type, WIRE_APPEND_RESULT);
    assert_int_equal(message.append_result.rejected, 0);
    assert_int_equal(message.append_result.last_index, 2);
    assert_int_equal(message.append_result.standing, WIRE_UNWILLING);
    assert_int_equal(fixture->applied, 2); /* what it has, it applies */
    pass(fixture, 5000);
    assert_false(sent_type(fixture, WIRE_VOTE, &message));
    replicator_quiesce(fixture->replicator, false);
    message = append_of(TERM, 2, TERM, &entry, 1, 2);
    receive(fixture, &message);
    turns(fixture);
    assert_int_equal(acknowledged(fixture), 3);
}

static void test_quiesced_leader(void **state)
{
    struct fixture *fixture = *state;
    bootstrap(fixture);
    assert_int_equal(propose(fixture, BYTES("before")).err, ERR_OK);
    replicator_quiesce(fixture->replicator, true);
    assert_int_equal(propose(fixture, BYTES("during")).err, ERR_UNAVAILABLE);
    replicator_quiesce(fixture->replicator, false);
    assert_int_equal(propose(fixture, BYTES("after")).err, ERR_OK);
}

static void test_remove(void **state)
{
    struct fixture *fixture = *state;
    struct replicator_status status;
    struct answer answer = {0};
    bootstrap(fixture);
    propose(fixture, BYTES("something"));
    replicator_group_remove(fixture->replicator, 0, false, on_simple, &answer);
    turns(fixture);
    assert_int_equal(answer.err, ERR_INVALID);
    assert_false(fixture->state.dropped);
    answer = (struct answer){0};
    fixture->apply_waits = fixture->writes_wait = true;
    replicator_propose(fixture->replicator, 0, BYTES("more"), on_done, &answer);
    turns(fixture);
    struct answer gone = {0};
    replicator_group_remove(fixture->replicator, 0, true, on_simple, &gone);
    pass(fixture, 50);
    assert_int_equal(answer.err, ERR_UNKNOWN);
    assert_false(fixture->state.dropped); /* a write is under way */
    fixture->writes_wait = false;
    write_end(fixture, ERR_OK);
    pass(fixture, 50);
    assert_true(fixture->state.dropped);
    assert_int_equal(fixture->state.promised_index, 3);
    assert_int_equal(fixture->forgets, 1);
    assert_int_equal(gone.count, 0);
    replicator_state_forgotten(fixture->replicator, 0);
    pass(fixture, 50);
    assert_int_equal(gone.count, 1);
    assert_int_equal(gone.err, ERR_OK);
    assert_false(replicator_status(fixture->replicator, 0, &status));
    /* Rows that are left from before are not trusted. */
    assert_int_equal(replicator_group_join(fixture->replicator, 0), ERR_OK);
    assert_true(replicator_status(fixture->replicator, 0, &status));
    assert_int_equal(status.own, REPLICATOR_PARTIAL);
}

static bool vote_given(struct fixture *fixture, uint64_t term, uint64_t last_index,
                       uint64_t last_term)
{
    struct wire_message vote = {.type = WIRE_VOTE, .term = term};
    struct wire_message result;
    vote.vote.last_index = last_index;
    vote.vote.last_term = last_term;
    vote.vote.pre_vote = true;
    vote.vote.disrupt = true;
    receive_from(fixture, 3, &vote);
    turns(fixture);
    return sent_type(fixture, WIRE_VOTE_RESULT, &result) && result.vote_result.granted;
}

/*
 * It had entry 2 of term 5, was removed, and is filled again with entry 1, in which it votes: a
 * candidate that ends at entry 1 must not get the vote that entry 2 was to prevent.
 */
static void test_removed_and_back(void **state)
{
    struct fixture *fixture = *state;
    uint8_t members[MEMBERSHIP_SIZE_MAX];
    struct entry change = {
        .term = 1, .type = ENTRY_CHANGE, .data = {members, three_fill(members)}};
    struct answer gone = {0};
    struct wire_message message;
    follow(fixture);
    replicator_group_remove(fixture->replicator, 0, true, on_simple, &gone);
    pass(fixture, 50);
    replicator_state_forgotten(fixture->replicator, 0);
    fixture->applied = 0;
    pass(fixture, 50);
    assert_int_equal(gone.err, ERR_OK);
    assert_int_equal(fixture->state.term, TERM);
    for (unsigned round = 0; round < 2; round++) {
        struct replicator_status status;
        assert_int_equal(replicator_group_join(fixture->replicator, 0), ERR_OK);
        turns(fixture);
        assert_true(replicator_status(fixture->replicator, 0, &status));
        assert_int_equal(status.term, TERM);
        message = append_of(TERM, 0, 0, &change, 1, 1);
        receive(fixture, &message);
        turns(fixture);
        assert_int_equal(acknowledged(fixture), 1);
        assert_false(vote_given(fixture, TERM + 1, 1, 1));
        assert_true(vote_given(fixture, TERM + 1, 2, TERM));
        replicator_free(&fixture->replicator);
        frames_drop(fixture);
        start(fixture);
        replicator_peer_up(fixture->replicator, 2, true);
        replicator_peer_up(fixture->replicator, 3, true);
    }
}

static void test_recover(void **state)
{
    struct fixture *fixture = *state;
    const uint64_t nobody[1] = {4};
    const uint64_t self[1] = {1};
    struct replicator_status status;
    struct answer answer = {0};
    follow(fixture);
    assert_int_equal(fixture->applied, 1);
    replicator_group_recover(fixture->replicator, 0, nobody, 1, on_simple, &answer);
    turns(fixture);
    assert_int_equal(answer.err, ERR_INVALID);
    answer = (struct answer){0};
    fixture->writes_wait = true;
    replicator_group_recover(fixture->replicator, 0, self, 1, on_simple, &answer);
    pass(fixture, 50);
    assert_int_equal(answer.count, 0);
    assert_int_equal(fixture->state.term, TERM);
    fixture->writes_wait = false;
    write_end(fixture, ERR_OK);
    pass(fixture, 100);
    assert_int_equal(answer.count, 1);
    assert_int_equal(answer.err, ERR_OK);
    assert_int_equal(fixture->entries[3].type, ENTRY_CHANGE);
    assert_true(fixture->entries[3].term > TERM + 100);
    assert_true(replicator_status(fixture->replicator, 0, &status));
    assert_int_equal(status.state, REPLICATOR_LEADER);
    assert_int_equal(status.member_count, 1);
    assert_true(status.term > TERM);
    /* What was not committed is now. */
    assert_true(fixture->applied >= 3);
    assert_int_equal(propose(fixture, BYTES("alone")).err, ERR_OK);
}

/*
 * The log with the most lies where no state is: with another survivor it goes on, asks for that
 * one's vote, and commits with it alone.
 */
static void test_recover_two(void **state)
{
    struct fixture *fixture = *state;
    const uint64_t members[2] = {1, 3};
    struct replicator_status status;
    struct wire_message message;
    struct answer answer = {0};
    fixture->kept = MACHINE_NONE;
    follow(fixture);
    assert_true(replicator_has_entry(fixture->replicator, 0, 2, TERM));
    assert_false(replicator_has_entry(fixture->replicator, 0, 2, TERM - 1));
    assert_false(replicator_has_entry(fixture->replicator, 0, 3, TERM));
    replicator_group_recover(fixture->replicator, 0, members, 1, on_simple, &answer);
    turns(fixture);
    assert_int_equal(answer.err, ERR_UNAVAILABLE);
    answer = (struct answer){0};
    replicator_group_recover(fixture->replicator, 0, members, 2, on_simple, &answer);
    pass(fixture, 100);
    assert_int_equal(answer.err, ERR_OK);
    assert_true(replicator_status(fixture->replicator, 0, &status));
    assert_int_equal(status.member_count, 2);
    assert_int_equal(status.own, REPLICATOR_STATELESS);
    assert_int_equal(status.state, REPLICATOR_FOLLOWER);
    frames_drop(fixture);
    pass(fixture, 5000);
    assert_true(sent_type(fixture, WIRE_VOTE, &message));
    assert_true(message.vote.pre_vote);
    assert_int_equal(message.vote.last_index, 3);
    assert_true(message.vote.last_term > TERM + 100);
    uint64_t term = message.term;
    struct wire_message granted = {
        .type = WIRE_VOTE_RESULT, .term = term, .vote_result = {true, true}};
    receive_from(fixture, 3, &granted);
    turns(fixture);
    assert_true(sent_type(fixture, WIRE_VOTE, &message));
    assert_false(message.vote.pre_vote);
    granted.term = message.term;
    granted.vote_result.pre_vote = false;
    receive_from(fixture, 3, &granted);
    turns(fixture);
    assert_true(replicator_status(fixture->replicator, 0, &status));
    assert_int_equal(status.state, REPLICATOR_LEADER);
    /* It has no state: nobody is sent to it, and it commits nothing without the other one. */
    assert_int_equal(status.leader, 0);
    assert_true(status.commit_index < 2);
}

/* An operator does not trust the state here: another one comes, and what came since is applied
 * from the log. */
static void test_state_again(void **state)
{
    struct fixture *fixture = *state;
    struct replicator_status status;
    assert_int_equal(replicator_state_again(fixture->replicator, 0), ERR_NOTFOUND);
    follow(fixture);
    assert_int_equal(replicator_state_again(fixture->replicator, 0), ERR_OK);
    assert_int_equal(replicator_state_again(fixture->replicator, 0), ERR_BUSY);
    turns(fixture);
    assert_int_equal(fixture->fetches, 1);
    assert_int_equal(fixture->fetch_source, 2);
    assert_true(replicator_status(fixture->replicator, 0, &status));
    assert_int_equal(status.own, REPLICATOR_PARTIAL);
    struct wire_message message = append_of(TERM, 2, TERM, NULL, 0, 2);
    receive(fixture, &message);
    turns(fixture);
    assert_int_equal(fixture->applied, 1); /* not before it is whole */
    replicator_state_fetched(fixture->replicator, 0, ERR_OK, 1);
    pass(fixture, 50);
    assert_true(replicator_status(fixture->replicator, 0, &status));
    assert_int_equal(status.own, REPLICATOR_WHOLE);
    assert_int_equal(fixture->applied, 2);
}

static void test_state_again_alone(void **state)
{
    struct fixture *fixture = *state;
    bootstrap(fixture);
    assert_int_equal(replicator_state_again(fixture->replicator, 0), ERR_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_lost_leader, setup, teardown),
        cmocka_unit_test_setup_teardown(test_link_that_flaps, setup, teardown),
        cmocka_unit_test_setup_teardown(test_vote_while_leader_is_lost, setup, teardown),
        cmocka_unit_test_setup_teardown(test_quiesced_follower, setup, teardown),
        cmocka_unit_test_setup_teardown(test_quiesced_leader, setup, teardown),
        cmocka_unit_test_setup_teardown(test_remove, setup, teardown),
        cmocka_unit_test_setup_teardown(test_removed_and_back, setup, teardown),
        cmocka_unit_test_setup_teardown(test_recover, setup, teardown),
        cmocka_unit_test_setup_teardown(test_recover_two, setup, teardown),
        cmocka_unit_test_setup_teardown(test_state_again, setup, teardown),
        cmocka_unit_test_setup_teardown(test_state_again_alone, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
