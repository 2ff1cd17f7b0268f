/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The one node among voters 1, 2 and 3. Included by tests, once in each. */
#ifndef TESTS_UNIT_RAFT_THREE_VOTERS_H
#define TESTS_UNIT_RAFT_THREE_VOTERS_H

#include "one_node_peer.h"

enum { TERM = 5 };

/* Voters 1 to 3, and standbys behind them. */
static inline size_t members_of(unsigned count, uint8_t *payload)
{
    struct membership membership = {.count = count};
    for (unsigned i = 0; i < count; i++)
        membership.members[i] = (struct membership_member){.id = i + 1, .role = i < 3};
    return membership_encode(&membership, payload);
}

/* A follower of node 2; entry 2 is the last, and committed. */
static inline void follow(struct fixture *fixture)
{
    uint8_t members[MEMBERSHIP_SIZE_MAX];
    struct entry entries[2] = {
        {.term = 1, .type = ENTRY_CHANGE, .data = {members, members_of(3, members)}},
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

/* Node 2 is not reached, and node 3 votes for us: we lead in the next term. */
static inline void take_over(struct fixture *fixture)
{
    struct replicator_status status;
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
    frames_drop(fixture);
}

static inline void acknowledge(struct fixture *fixture, uint64_t node_id, uint64_t index,
                               uint8_t standing)
{
    struct wire_message message = {.type = WIRE_APPEND_RESULT, .term = TERM + 1};
    message.append_result.last_index = index;
    message.append_result.standing = standing;
    receive_from(fixture, node_id, &message);
    turns(fixture);
    frames_drop(fixture);
}

#endif
