/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a peer of the one node says, and hears. Included by tests, once in each. */
#ifndef TESTS_UNIT_RAFT_ONE_NODE_PEER_H
#define TESTS_UNIT_RAFT_ONE_NODE_PEER_H

#include "one_node.h"

static inline void receive_from(struct fixture *fixture, uint64_t node_id,
                                const struct wire_message *message)
{
    struct frame *frame = frame_new(WIRE_HEAD_SIZE + wire_message_size(message));
    wire_head_write(frame_memory(frame), node_id, 1, wire_message_version(message));
    wire_message_write(frame_memory(frame) + WIRE_HEAD_SIZE, message);
    replicator_received(fixture->replicator, node_id, frame);
}

static inline void receive(struct fixture *fixture, const struct wire_message *message)
{
    receive_from(fixture, 2, message);
}

/* Reads the only message of the only frame that was sent since. */
static inline struct wire_message sent(struct fixture *fixture)
{
    struct wire_reader reader = {0};
    struct wire_message message;
    assert_int_equal(fixture->frames_count, 1);
    assert_int_equal(wire_reader_start(&reader, frame_bytes(fixture->frames[0])), ERR_OK);
    assert_int_equal(wire_reader_next(&reader, &message), ERR_OK);
    wire_reader_fini(&reader);
    frames_drop(fixture);
    return message;
}

static inline struct wire_message append_of(uint64_t term, uint64_t prev, uint64_t prev_term,
                                            const struct entry *entries, unsigned count,
                                            uint64_t commit)
{
    struct wire_message message = {.type = WIRE_APPEND, .group = 0, .term = term};
    message.append.prev_index = prev;
    message.append.prev_term = prev_term;
    message.append.commit_index = commit;
    message.append.entries = entries;
    message.append.count = count;
    return message;
}

/* The highest index acknowledged in what was sent since. */
static inline uint64_t acknowledged(struct fixture *fixture)
{
    uint64_t highest = 0;
    for (unsigned i = 0; i < fixture->frames_count; i++) {
        struct wire_reader reader = {0};
        struct wire_message message;
        assert_int_equal(wire_reader_start(&reader, frame_bytes(fixture->frames[i])), ERR_OK);
        while (wire_reader_next(&reader, &message) == ERR_OK)
            if (message.type == WIRE_APPEND_RESULT && message.append_result.rejected == 0 &&
                message.append_result.last_index > highest)
                highest = message.append_result.last_index;
        wire_reader_fini(&reader);
    }
    frames_drop(fixture);
    return highest;
}

/* The newest message of a type among what was sent since, to whomever. */
static inline bool sent_type(struct fixture *fixture, enum wire_type type,
                             struct wire_message *found)
{
    bool any = false;
    *found = (struct wire_message){0};
    for (unsigned i = 0; i < fixture->frames_count; i++) {
        struct wire_reader reader = {0};
        struct wire_message message;
        assert_int_equal(wire_reader_start(&reader, frame_bytes(fixture->frames[i])), ERR_OK);
        while (wire_reader_next(&reader, &message) == ERR_OK)
            if (message.type == type) {
                *found = message;
                any = true;
            }
        wire_reader_fini(&reader);
    }
    frames_drop(fixture);
    return any;
}

static inline void pass(struct fixture *fixture, uint64_t ms)
{
    for (uint64_t end = fixture->now_ms + ms; fixture->now_ms < end; fixture->now_ms += 10)
        turns(fixture);
}

/* A leader, alone, with node 2 as a standby that has everything. Returns the last index. */
static inline uint64_t lead_with_standby(struct fixture *fixture, uint64_t *term)
{
    struct replicator_status status;
    struct answer change = {0};
    bootstrap(fixture);
    fixture->link_up = true;
    replicator_peer_up(fixture->replicator, 2, true);
    replicator_change(fixture->replicator, 0, 2, REPLICATOR_STANDBY, false, on_simple, &change);
    turns(fixture);
    assert_int_equal(change.err, ERR_OK);
    assert_int_equal(change.count, 1);
    assert_true(replicator_status(fixture->replicator, 0, &status));
    *term = status.term;
    struct wire_message message = {.type = WIRE_APPEND_RESULT, .term = status.term};
    message.append_result.last_index = status.last_index;
    receive(fixture, &message);
    turns(fixture);
    frames_drop(fixture);
    return status.last_index;
}

#endif
