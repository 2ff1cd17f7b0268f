/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What keeps libraft from things that it would do: seldom, and then for long. */
#include "one_node_peer.h"

/* How many entries were sent since, and of which the first lies where. */
static unsigned entries_sent(struct fixture *fixture, uint64_t *first)
{
    unsigned count = 0;
    for (unsigned i = 0; i < fixture->frames_count; i++) {
        struct wire_reader reader = {0};
        struct wire_message message;
        assert_int_equal(wire_reader_start(&reader, frame_bytes(fixture->frames[i])), ERR_OK);
        while (wire_reader_next(&reader, &message) == ERR_OK) {
            if (message.type != WIRE_APPEND || message.append.count == 0)
                continue;
            if (count == 0)
                *first = message.append.prev_index + 1;
            count += message.append.count;
        }
        wire_reader_fini(&reader);
    }
    frames_drop(fixture);
    return count;
}

/*
 * A refusal of what a member has acknowledged, after it was silent for a while: libraft would
 * go back behind that, and send it no entries any more.
 */
static void test_refusal_below_match(void **state)
{
    struct fixture *fixture = *state;
    uint64_t term;
    uint64_t first = 0;
    uint64_t last = lead_with_standby(fixture, &term);
    pass(fixture, 1500);
    frames_drop(fixture);
    struct wire_message message = {.type = WIRE_APPEND_RESULT, .term = term};
    message.append_result.rejected = last;
    message.append_result.last_index = last - 1;
    receive(fixture, &message);
    turns(fixture);
    assert_int_equal(propose(fixture, BYTES("next")).err, ERR_OK);
    pass(fixture, 300);
    assert_true(entries_sent(fixture, &first) > 0);
    assert_int_equal(first, last + 1);
}

/* A stale answer to a pre-vote reaches a leader: libraft would look at what is no candidate. */
static void test_vote_result_for_a_leader(void **state)
{
    struct fixture *fixture = *state;
    struct replicator_status status;
    uint64_t term;
    lead_with_standby(fixture, &term);
    for (unsigned i = 0; i < 4; i++) {
        struct wire_message message = {
            .type = WIRE_VOTE_RESULT, .term = term + 1, .vote_result = {i & 1, i & 2}};
        receive(fixture, &message);
        turns(fixture);
        assert_true(replicator_status(fixture->replicator, 0, &status));
        assert_int_equal(status.state, REPLICATOR_LEADER);
        assert_int_equal(status.term, term);
    }
}

/* What came over the older connection, and was not looked at yet, is of no use. */
static void test_older_connection(void **state)
{
    struct fixture *fixture = *state;
    struct replicator_status status;
    uint64_t term;
    uint64_t last = lead_with_standby(fixture, &term);
    assert_int_equal(propose(fixture, BYTES("next")).err, ERR_OK);
    struct wire_message message = {.type = WIRE_APPEND_RESULT, .term = term};
    message.append_result.last_index = last + 1;
    receive(fixture, &message);
    replicator_peer_up(fixture->replicator, 2, false);
    replicator_peer_up(fixture->replicator, 2, true);
    turns(fixture);
    assert_true(replicator_status(fixture->replicator, 0, &status));
    assert_int_equal(status.match[1], last);
    receive(fixture, &message);
    turns(fixture);
    assert_true(replicator_status(fixture->replicator, 0, &status));
    assert_int_equal(status.match[1], last + 1);
}

/* The link takes nothing for a while, and libraft says the same again and again. */
static void test_slow_link(void **state)
{
    struct fixture *fixture = *state;
    uint64_t term;
    uint64_t first = 0;
    uint64_t last = lead_with_standby(fixture, &term);
    fixture->link_up = false; /* no room */
    for (unsigned i = 0; i < 20; i++)
        assert_int_equal(propose(fixture, BYTES("more")).err, ERR_OK);
    pass(fixture, 3000);
    assert_int_equal(propose(fixture, BYTES("last")).err, ERR_OK);
    pass(fixture, 500);
    assert_int_equal(fixture->frames_count, 0);
    fixture->link_up = true;
    turns(fixture);
    /* Each once; the newest may wait for the first answer. */
    assert_in_range(entries_sent(fixture, &first), 20, 21);
    assert_int_equal(first, last + 1);
}

/* A change of members leaves when it is on the leader's own disk; other entries at once. */
static void test_change_leaves_when_durable(void **state)
{
    struct fixture *fixture = *state;
    struct answer change = {0};
    uint64_t term;
    uint64_t first = 0;
    uint64_t last = lead_with_standby(fixture, &term);
    fixture->writes_wait = true;
    replicator_change(fixture->replicator, 0, 3, REPLICATOR_STANDBY, false, on_simple, &change);
    pass(fixture, 50);
    assert_int_equal(entries_sent(fixture, &first), 0);
    fixture->writes_wait = false;
    write_end(fixture, ERR_OK);
    pass(fixture, 50);
    assert_true(entries_sent(fixture, &first) > 0);
    assert_int_equal(first, last + 1);
    fixture->writes_wait = true;
    replicator_propose(fixture->replicator, 0, BYTES("at once"), on_done, &change);
    struct wire_message message = {.type = WIRE_APPEND_RESULT, .term = term};
    message.append_result.last_index = last + 1;
    receive(fixture, &message);
    pass(fixture, 50);
    assert_true(entries_sent(fixture, &first) > 0);
    assert_int_equal(first, last + 2);
    fixture->writes_wait = false;
    write_end(fixture, ERR_OK);
    pass(fixture, 50);
    assert_int_equal(change.count, 2);
}

/* Who has the log and not the state is not made a voter; the request waits while it is heard.
 */
static void test_promotion_waits_for_state(void **state)
{
    struct fixture *fixture = *state;
    struct replicator_status status;
    struct answer change = {0};
    uint64_t term;
    uint64_t last = lead_with_standby(fixture, &term);
    struct wire_message message = {.type = WIRE_APPEND_RESULT, .term = term};
    message.append_result.last_index = last;
    message.append_result.standing = WIRE_PARTIAL;
    receive(fixture, &message);
    turns(fixture);
    replicator_change(fixture->replicator, 0, 2, REPLICATOR_VOTER, false, on_simple, &change);
    for (unsigned i = 0; i < 100; i++) {
        pass(fixture, 100);
        receive(fixture, &message);
        frames_drop(fixture);
    }
    assert_true(replicator_status(fixture->replicator, 0, &status));
    assert_int_equal(status.last_index, last);
    assert_int_equal(status.standing[1], REPLICATOR_PARTIAL);
    assert_int_equal(change.count, 0);
    message.append_result.standing = 0;
    receive(fixture, &message);
    pass(fixture, 50);
    assert_true(replicator_status(fixture->replicator, 0, &status));
    assert_int_equal(status.last_index, last + 1);
    assert_int_equal(fixture->entries[last + 1].type, ENTRY_CHANGE);
    message.append_result.last_index = last + 1;
    receive(fixture, &message);
    pass(fixture, 50);
    assert_int_equal(change.count, 1);
    assert_int_equal(change.err, ERR_OK);
}

enum { TERM = 5 };

static size_t voters_fill(unsigned count, uint8_t *payload)
{
    struct membership membership = {.count = count};
    for (unsigned i = 0; i < count; i++)
        membership.members[i] = (struct membership_member){.id = i + 1, .role = 1};
    return membership_encode(&membership, payload);
}

/* A follower of node 2 in a group of `voters`; entry 2 is the last, and committed. */
static void follow(struct fixture *fixture, unsigned voters)
{
    uint8_t members[MEMBERSHIP_SIZE_MAX];
    struct entry entries[2] = {
        {.term = 1, .type = ENTRY_CHANGE, .data = {members, voters_fill(voters, members)}},
        {.term = TERM, .type = ENTRY_COMMAND, .data = BYTES("first")}};
    fixture->link_up = true;
    replicator_peer_up(fixture->replicator, 2, true);
    replicator_peer_up(fixture->replicator, 3, true);
    assert_int_equal(replicator_group_join(fixture->replicator, 0), ERR_OK);
    struct wire_message message = append_of(TERM, 0, 0, entries, 2, 2);
    receive(fixture, &message);
    turns(fixture);
    assert_int_equal(fixture->applied, 2);
    frames_drop(fixture);
}

/*
 * A new leader that knows everything to be committed makes no entry of its own. Before it
 * changes members one must be committed: else two leaders could each change them behind the
 * other's back.
 */
static void test_own_term_before_change(void **state)
{
    struct fixture *fixture = *state;
    struct replicator_status status;
    struct wire_message message;
    static struct answer change; /* outlives this: it ends with the replicator */
    follow(fixture, 3);
    replicator_peer_up(fixture->replicator, 2, false);
    pass(fixture, 300);
    for (unsigned i = 0; i < 2; i++) {
        struct wire_message granted = {
            .type = WIRE_VOTE_RESULT, .term = TERM + 1, .vote_result = {true, i == 0}};
        receive_from(fixture, 3, &granted);
        turns(fixture);
    }
    assert_true(replicator_status(fixture->replicator, 0, &status));
    assert_int_equal(status.state, REPLICATOR_LEADER);
    assert_int_equal(status.last_index, 2);
    replicator_change(fixture->replicator, 0, 4, REPLICATOR_STANDBY, false, on_simple, &change);
    pass(fixture, 50);
    assert_true(replicator_status(fixture->replicator, 0, &status));
    assert_int_equal(status.last_index, 3);
    assert_int_equal(fixture->entries[3].type, ENTRY_BARRIER);
    message = (struct wire_message){.type = WIRE_APPEND_RESULT, .term = TERM + 1};
    message.append_result.last_index = 3;
    receive_from(fixture, 3, &message);
    pass(fixture, 50);
    assert_true(replicator_status(fixture->replicator, 0, &status));
    assert_int_equal(status.last_index, 4);
    assert_int_equal(fixture->entries[4].type, ENTRY_CHANGE);
    assert_int_equal(change.count, 0);
}

/* It is made the only voter: when it leads, then in a term of its own, and that is on disk. */
static void test_sole_voter_takes_a_term(void **state)
{
    struct fixture *fixture = *state;
    uint8_t members[MEMBERSHIP_SIZE_MAX];
    struct replicator_status status;
    struct entry change = {
        .term = TERM, .type = ENTRY_CHANGE, .data = {members, voters_fill(1, members)}};
    follow(fixture, 2);
    struct wire_message message = append_of(TERM, 2, TERM, &change, 1, 3);
    receive(fixture, &message);
    turns(fixture);
    pass(fixture, 5000); /* two timeouts */
    assert_true(replicator_status(fixture->replicator, 0, &status));
    assert_int_equal(status.state, REPLICATOR_LEADER);
    assert_int_equal(status.term, TERM + 1);
    assert_int_equal(fixture->state.term, TERM + 1);
    assert_int_equal(fixture->state.vote, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_refusal_below_match, setup, teardown),
        cmocka_unit_test_setup_teardown(test_vote_result_for_a_leader, setup, teardown),
        cmocka_unit_test_setup_teardown(test_older_connection, setup, teardown),
        cmocka_unit_test_setup_teardown(test_change_leaves_when_durable, setup, teardown),
        cmocka_unit_test_setup_teardown(test_promotion_waits_for_state, setup, teardown),
        cmocka_unit_test_setup_teardown(test_slow_link, setup, teardown),
        cmocka_unit_test_setup_teardown(test_own_term_before_change, setup, teardown),
        cmocka_unit_test_setup_teardown(test_sole_voter_takes_a_term, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
