/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a peer says, and what may be said to it when. */
#include "one_node_peer.h"

/* Nodes 1 and 2, both voters. */
static size_t members_fill(uint8_t *payload)
{
    struct membership membership = {.count = 2,
                                    .members = {{.id = 1, .role = 1}, {.id = 2, .role = 1}}};
    return membership_encode(&membership, payload);
}

static void test_follower_acknowledges_what_is_durable(void **state)
{
    struct fixture *fixture = *state;
    uint8_t members[MEMBERSHIP_SIZE_MAX];
    struct entry entries[2] = {
        {.term = 1, .type = ENTRY_CHANGE, .data = {members, members_fill(members)}},
        {.term = 5, .type = ENTRY_COMMAND, .data = BYTES("first")}};
    fixture->link_up = true;
    replicator_peer_up(fixture->replicator, 2, true);
    assert_int_equal(replicator_group_join(fixture->replicator, 0), ERR_OK);
    turns(fixture);
    fixture->writes_wait = true;
    struct wire_message message = append_of(5, 0, 0, entries, 2, 2);
    receive(fixture, &message);
    turns(fixture);
    /* Neither the new term nor the entries are on disk: not a word, and nothing applied. */
    assert_int_equal(fixture->frames_count, 0);
    assert_int_equal(fixture->applied, 0);
    fixture->writes_wait = false;
    write_end(fixture, ERR_OK);
    turns(fixture);
    message = sent(fixture);
    assert_int_equal(message.type, WIRE_APPEND_RESULT);
    assert_int_equal(message.append_result.rejected, 0);
    assert_int_equal(message.append_result.last_index, 2);
    assert_int_equal(fixture->applied, 2);
    assert_int_equal(replicator_leader(fixture->replicator, 0), 2);
    /* An older leader hears of the newer term; libraft leaves the index in it unset. */
    message = append_of(4, 2, 4, NULL, 0, 2);
    receive(fixture, &message);
    turns(fixture);
    message = sent(fixture);
    assert_int_equal(message.term, 5);
    assert_int_equal(message.append_result.rejected, 2);
    assert_int_equal(message.append_result.last_index, 1);
}

/*
 * A write under way holds a new term and an entry of the old one; before it is done, the leader
 * of the new term replaces that entry. The index is then on disk, the entry is not.
 */
static void test_overtaken_write(void **state)
{
    struct fixture *fixture = *state;
    uint8_t members[MEMBERSHIP_SIZE_MAX];
    struct entry change = {
        .term = 1, .type = ENTRY_CHANGE, .data = {members, members_fill(members)}};
    struct entry old = {.term = 2, .type = ENTRY_COMMAND, .data = BYTES("old")};
    struct entry new = {.term = 3, .type = ENTRY_COMMAND, .data = BYTES("new")};
    struct wire_message vote = {.type = WIRE_VOTE, .term = 3, .vote = {3, 2, true, false}};
    fixture->link_up = true;
    replicator_peer_up(fixture->replicator, 2, true);
    assert_int_equal(replicator_group_join(fixture->replicator, 0), ERR_OK);
    turns(fixture);
    struct wire_message message = append_of(2, 0, 0, &change, 1, 1);
    receive(fixture, &message);
    turns(fixture);
    assert_int_equal(acknowledged(fixture), 1);
    fixture->writes_wait = true;
    message = append_of(2, 1, 1, &old, 1, 1);
    receive(fixture, &message);
    turns(fixture);
    message = append_of(2, 2, 2, &old, 1, 1);
    receive(fixture, &message);
    receive(fixture, &vote);
    turns(fixture);
    write_end(fixture, ERR_OK);
    turns(fixture); /* now entry 3 and the vote are under way */
    message = append_of(3, 2, 2, &new, 1, 1);
    receive(fixture, &message);
    turns(fixture);
    write_end(fixture, ERR_OK);
    turns(fixture);
    assert_true(acknowledged(fixture) < 3);
    fixture->writes_wait = false;
    write_end(fixture, ERR_OK);
    turns(fixture);
    assert_int_equal(acknowledged(fixture), 3);
    assert_int_equal(fixture->entries[3].term, 3);
}

static struct wire_message install_of(uint64_t term, uint64_t index, uint64_t index_term,
                                      uint8_t *members)
{
    struct wire_message message = {.type = WIRE_INSTALL, .group = 0, .term = term};
    message.install.last_index = index;
    message.install.last_term = index_term;
    message.install.members_index = 1;
    message.install.members = bytes_from(members, members_fill(members));
    return message;
}

/* A follower with entries 1 and 2 applied, of a leader whose log begins behind 100. */
static void follower_left_behind(struct fixture *fixture, uint8_t *members)
{
    struct entry entries[2] = {
        {.term = 1, .type = ENTRY_CHANGE, .data = {members, members_fill(members)}},
        {.term = 5, .type = ENTRY_COMMAND, .data = BYTES("first")}};
    fixture->link_up = true;
    replicator_peer_up(fixture->replicator, 2, true);
    assert_int_equal(replicator_group_join(fixture->replicator, 0), ERR_OK);
    struct wire_message message = append_of(5, 0, 0, entries, 2, 2);
    receive(fixture, &message);
    turns(fixture);
    assert_int_equal(fixture->applied, 2);
    frames_drop(fixture);
    message = install_of(6, 100, 6, members);
    receive(fixture, &message);
    turns(fixture);
    assert_int_equal(fixture->fetches, 1);
    assert_int_equal(fixture->fetch_source, 2);
    assert_int_equal(fixture->fetch_index, 100);
}

/*
 * The old log stays until the old state is of no use. Then the log begins behind the leader's
 * base, entries are stored and acknowledged, and nothing is applied before the state is whole.
 */
static void test_install(void **state)
{
    struct fixture *fixture = *state;
    uint8_t members[MEMBERSHIP_SIZE_MAX];
    struct replicator_status status;
    struct entry entry = {.term = 6, .type = ENTRY_COMMAND, .data = BYTES("next")};
    follower_left_behind(fixture, members);
    assert_int_equal(fixture->resets, 0);
    assert_int_equal(fixture->state.last_index, 2);
    /* Said again, it is ignored; a heartbeat is answered, with nothing acknowledged. */
    struct wire_message message = install_of(6, 100, 6, members);
    receive(fixture, &message);
    message = append_of(6, 100, 6, &entry, 1, 100);
    receive(fixture, &message);
    turns(fixture);
    message = sent(fixture);
    assert_int_equal(message.type, WIRE_APPEND_RESULT);
    assert_int_equal(message.append_result.rejected, 0);
    assert_int_equal(message.append_result.last_index, 0);
    assert_int_equal(message.append_result.standing, WIRE_PARTIAL);
    fixture->kept = MACHINE_PARTIAL;
    fixture->now_ms += 20;
    turns(fixture);
    assert_int_equal(fixture->resets, 1);
    assert_int_equal(fixture->state.first_index, 101);
    assert_int_equal(fixture->state.base_term, 6);
    assert_int_equal(acknowledged(fixture), 100);
    message = append_of(6, 100, 6, &entry, 1, 101);
    receive(fixture, &message);
    turns(fixture);
    message = sent(fixture);
    assert_int_equal(message.append_result.last_index, 101);
    assert_int_equal(message.append_result.standing, WIRE_PARTIAL);
    assert_int_equal(fixture->applied, 2);
    assert_int_equal(fixture->fetches, 1);
    /* Fails: asked for again, after a while. */
    replicator_state_fetched(fixture->replicator, 0, ERR_UNAVAILABLE, 0);
    turns(fixture);
    assert_int_equal(fixture->fetches, 1);
    fixture->now_ms += 1000;
    turns(fixture);
    assert_int_equal(fixture->fetches, 2);
    /* What came is of entry 101: that one is not applied, the next one is. */
    fixture->kept = MACHINE_WHOLE;
    fixture->applied = 101;
    replicator_state_fetched(fixture->replicator, 0, ERR_OK, 101);
    frames_drop(fixture);
    message = append_of(6, 101, 6, &entry, 1, 102);
    receive(fixture, &message);
    turns(fixture);
    message = sent(fixture);
    assert_int_equal(message.append_result.last_index, 102);
    assert_int_equal(message.append_result.standing, 0);
    assert_int_equal(fixture->applied, 102);
    assert_true(replicator_status(fixture->replicator, 0, &status));
    assert_int_equal(status.own, REPLICATOR_WHOLE);
    assert_int_equal(status.applied_index, 102);
}

/* Died in the middle: it goes on fetching by itself, votes and acknowledges meanwhile. */
static void test_partial_at_start(void **state)
{
    struct fixture *fixture = *state;
    uint8_t members[MEMBERSHIP_SIZE_MAX];
    struct entry entry = {.term = 6, .type = ENTRY_COMMAND, .data = BYTES("next")};
    follower_left_behind(fixture, members);
    fixture->kept = MACHINE_PARTIAL;
    fixture->now_ms += 20;
    turns(fixture);
    replicator_free(&fixture->replicator);
    frames_drop(fixture);
    fixture->fetches = 0;
    start(fixture);
    turns(fixture);
    assert_int_equal(fixture->fetches, 0); /* nobody is there */
    replicator_peer_up(fixture->replicator, 2, true);
    fixture->now_ms += 20;
    turns(fixture);
    assert_int_equal(fixture->fetches, 1);
    assert_int_equal(fixture->fetch_index, 100);
    struct wire_message message = append_of(6, 100, 6, &entry, 1, 101);
    receive(fixture, &message);
    turns(fixture);
    assert_int_equal(acknowledged(fixture), 101);
    assert_int_equal(fixture->applied, 2);
    fixture->kept = MACHINE_WHOLE;
    fixture->applied = 150;
    replicator_state_fetched(fixture->replicator, 0, ERR_OK, 150);
    turns(fixture);
    assert_int_equal(replicator_applied(fixture->replicator, 0), 150);
}

/* A write of the old log is under way when the log is to begin anew: it is never reported. */
static void test_install_overtakes_write(void **state)
{
    struct fixture *fixture = *state;
    uint8_t members[MEMBERSHIP_SIZE_MAX];
    struct entry entries[2] = {
        {.term = 1, .type = ENTRY_CHANGE, .data = {members, members_fill(members)}},
        {.term = 5, .type = ENTRY_COMMAND, .data = BYTES("first")}};
    fixture->link_up = true;
    replicator_peer_up(fixture->replicator, 2, true);
    assert_int_equal(replicator_group_join(fixture->replicator, 0), ERR_OK);
    turns(fixture);
    fixture->writes_wait = true;
    struct wire_message message = append_of(5, 0, 0, entries, 2, 2);
    receive(fixture, &message);
    turns(fixture);
    message = install_of(5, 100, 5, members);
    receive(fixture, &message);
    turns(fixture);
    write_end(fixture, ERR_OK);
    turns(fixture);
    assert_int_equal(acknowledged(fixture), 0);
    assert_int_equal(fixture->applied, 0);
    fixture->kept = MACHINE_PARTIAL;
    fixture->now_ms += 20;
    turns(fixture);
    write_end(fixture, ERR_OK);
    turns(fixture);
    assert_int_equal(acknowledged(fixture), 100);
}

/* With a standby in another data center, an answer waits for it; after the grace it does not.
 */
static void test_other_data_center(void **state)
{
    struct fixture *fixture = *state;
    struct answer change = {0};
    struct answer answer = {0};
    struct replicator_status status;
    replicator_free(&fixture->replicator);
    fixture->cross_dc = true;
    start(fixture);
    bootstrap(fixture);
    fixture->link_up = true;
    replicator_peer_up(fixture->replicator, 2, true);
    replicator_change(fixture->replicator, 0, 2, REPLICATOR_STANDBY, false, on_simple, &change);
    turns(fixture);
    assert_int_equal(change.err, ERR_OK);
    assert_int_equal(change.count, 1);
    replicator_propose(fixture->replicator, 0, BYTES("far"), on_done, &answer);
    turns(fixture);
    assert_int_equal(answer.count, 0);
    assert_true(replicator_status(fixture->replicator, 0, &status));
    assert_int_equal(status.commit_index, status.last_index);
    struct wire_message message = {.type = WIRE_APPEND_RESULT, .term = status.term};
    message.append_result.last_index = status.last_index;
    receive(fixture, &message);
    turns(fixture);
    assert_int_equal(answer.count, 1);
    assert_string_equal(answer.reply, "far");
    answer = (struct answer){0};
    replicator_propose(fixture->replicator, 0, BYTES("alone"), on_done, &answer);
    for (unsigned i = 0; i < 60 && answer.count == 0; i++) {
        fixture->now_ms += 100;
        turns(fixture);
        frames_drop(fixture);
        assert_true(answer.count == 0 || fixture->now_ms > 1000 + 5000);
    }
    assert_int_equal(answer.err, ERR_OK);
    assert_string_equal(answer.reply, "alone");
    assert_true(replicator_status(fixture->replicator, 0, &status));
    assert_true(status.single_site);
}

/* A member whose data center is not known yet may be the one elsewhere. */
static void test_unknown_data_center(void **state)
{
    struct fixture *fixture = *state;
    struct answer change = {0};
    struct answer answer = {0};
    struct replicator_status status;
    replicator_free(&fixture->replicator);
    fixture->cross_dc = true;
    start(fixture);
    bootstrap(fixture);
    fixture->link_up = true;
    replicator_peer_up(fixture->replicator, 2, true);
    replicator_change(fixture->replicator, 0, 2, REPLICATOR_STANDBY, false, on_simple, &change);
    turns(fixture);
    assert_int_equal(change.err, ERR_OK);
    fixture->sites_unknown = true;
    replicator_propose(fixture->replicator, 0, BYTES("where"), on_done, &answer);
    turns(fixture);
    assert_int_equal(answer.count, 0);
    assert_true(replicator_status(fixture->replicator, 0, &status));
    struct wire_message message = {.type = WIRE_APPEND_RESULT, .term = status.term};
    message.append_result.last_index = status.last_index;
    receive(fixture, &message);
    turns(fixture);
    assert_int_equal(answer.count, 0); /* it may stand right here */
    fixture->sites_unknown = false;
    receive(fixture, &message);
    turns(fixture);
    assert_int_equal(answer.count, 1);
    assert_string_equal(answer.reply, "where");
    answer = (struct answer){0};
    fixture->sites_unknown = true;
    replicator_propose(fixture->replicator, 0, BYTES("nowhere"), on_done, &answer);
    for (unsigned i = 0; i < 60 && answer.count == 0; i++) {
        fixture->now_ms += 100;
        turns(fixture);
        frames_drop(fixture);
        assert_true(answer.count == 0 || fixture->now_ms > 1000 + 5000);
    }
    assert_int_equal(answer.err, ERR_OK);
    assert_true(replicator_status(fixture->replicator, 0, &status));
    assert_true(status.single_site);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_follower_acknowledges_what_is_durable, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_overtaken_write, setup, teardown),
        cmocka_unit_test_setup_teardown(test_install, setup, teardown),
        cmocka_unit_test_setup_teardown(test_partial_at_start, setup, teardown),
        cmocka_unit_test_setup_teardown(test_install_overtakes_write, setup, teardown),
        cmocka_unit_test_setup_teardown(test_other_data_center, setup, teardown),
        cmocka_unit_test_setup_teardown(test_unknown_data_center, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
