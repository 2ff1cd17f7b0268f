/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "node/base/check.h"
#include "raft/membership.h"
#include "raft/replicator.h"
#include "raft/wire.h"

enum { FRAME_ROOM = 8192, MESSAGES = 13 };

static uint8_t members[MEMBERSHIP_SIZE_MAX];
static struct entry entries[3];
static struct wire_message messages[MESSAGES];

static size_t frame_fill(uint8_t *frame)
{
    struct membership membership = {
        .count = 3,
        .members = {{.id = 1, .role = 1}, {.id = 20, .role = 0}, {.id = 3, .role = 2}}};
    entries[0] = (struct entry){.term = 4, .type = ENTRY_COMMAND, .data = BYTES("command")};
    entries[1] = (struct entry){.term = 4, .type = ENTRY_CHANGE};
    entries[1].data = bytes_from(members, membership_encode(&membership, members));
    entries[2] =
        (struct entry){.term = 6, .type = ENTRY_BARRIER, .data = BYTES("\0\0\0\0\0\0\0\0")};
    messages[0] = (struct wire_message){.type = WIRE_APPEND, .group = 7, .term = 6};
    messages[0].append.prev_index = 10;
    messages[0].append.prev_term = 3;
    messages[0].append.commit_index = 9;
    messages[0].append.trim_before = 4;
    messages[0].append.count = 3;
    messages[0].append.entries = entries;
    messages[1] = (struct wire_message){
        .type = WIRE_APPEND_RESULT, .group = 8, .term = 6, .append_result = {12, 11, 0}};
    messages[2] = (struct wire_message){
        .type = WIRE_VOTE, .group = 9, .term = 8, .vote = {100, 7, true, false}};
    messages[3] = (struct wire_message){
        .type = WIRE_VOTE_RESULT, .group = 9, .term = 8, .vote_result = {true, true}};
    messages[4] = (struct wire_message){
        .type = WIRE_TIMEOUT_NOW, .group = 1, .term = 5, .timeout_now = {3, 2}};
    messages[5] =
        (struct wire_message){.type = WIRE_READ_PING, .group = 1, .term = 5, .read = {77, 0}};
    messages[6] =
        (struct wire_message){.type = WIRE_READ_ACK, .group = 1, .term = 5, .read = {78, 0}};
    messages[7] =
        (struct wire_message){.type = WIRE_READ_ASK, .group = 1, .term = 5, .read = {79, 0}};
    messages[8] = (struct wire_message){
        .type = WIRE_READ_INDEX, .group = 1, .term = 5, .read = {80, 4242}};
    messages[9] = (struct wire_message){.type = WIRE_APPEND, .group = 0, .term = 1};
    messages[10] = (struct wire_message){
        .type = WIRE_INSTALL, .group = 3, .term = 9, .install = {70, 8, 12, entries[1].data}};
    messages[11] = (struct wire_message){
        .type = WIRE_APPEND_RESULT, .group = 8, .term = 6, .append_result = {0, 11, 5}};
    messages[12] = (struct wire_message){.type = WIRE_APPEND, .group = 0, .term = 1};
    messages[12].append.unserving = true;
    uint8_t *at = frame + WIRE_HEAD_SIZE;
    wire_head_write(frame, 42, MESSAGES, 2);
    for (unsigned i = 0; i < MESSAGES; i++) {
        size_t size = wire_message_write(at, &messages[i]);
        assert_int_equal(size, wire_message_size(&messages[i]));
        at += size;
    }
    CHECK(at <= frame + FRAME_ROOM);
    return (size_t)(at - frame);
}

/* Reads the whole frame; its last word, and how many messages there were. */
static enum err frame_read(struct bytes frame, unsigned *count)
{
    struct wire_reader reader = {0};
    struct wire_message message;
    enum err err = wire_reader_start(&reader, frame);
    *count = 0;
    while (err == ERR_OK) {
        err = wire_reader_next(&reader, &message);
        *count += err == ERR_OK;
    }
    wire_reader_fini(&reader);
    return err;
}

static void test_round_trip(void **state)
{
    uint8_t frame[FRAME_ROOM];
    struct wire_reader reader = {0};
    struct wire_message got;
    (void)state;
    size_t len = frame_fill(frame);
    assert_int_equal(wire_reader_start(&reader, bytes_from(frame, len)), ERR_OK);
    assert_int_equal(reader.sender, 42);
    for (unsigned i = 0; i < MESSAGES; i++) {
        uint8_t again[FRAME_ROOM];
        uint8_t first[FRAME_ROOM];
        assert_int_equal(wire_reader_next(&reader, &got), ERR_OK);
        assert_int_equal(got.type, messages[i].type);
        assert_int_equal(got.group, messages[i].group);
        size_t size = wire_message_write(first, &messages[i]);
        assert_int_equal(wire_message_write(again, &got), size);
        assert_memory_equal(first, again, size);
    }
    assert_int_equal(wire_reader_next(&reader, &got), ERR_NOTFOUND);
    wire_reader_fini(&reader);
}

static void test_fields(void **state)
{
    uint8_t frame[FRAME_ROOM];
    struct wire_reader reader = {0};
    struct wire_message got;
    (void)state;
    size_t len = frame_fill(frame);
    assert_int_equal(wire_reader_start(&reader, bytes_from(frame, len)), ERR_OK);
    assert_int_equal(wire_reader_next(&reader, &got), ERR_OK);
    assert_int_equal(got.append.prev_index, 10);
    assert_int_equal(got.append.trim_before, 4);
    assert_int_equal(got.append.count, 3);
    assert_true(bytes_equal(got.append.entries[0].data, BYTES("command")));
    assert_int_equal(got.append.entries[2].term, 6);
    assert_int_equal(wire_reader_next(&reader, &got), ERR_OK);
    assert_int_equal(got.append_result.rejected, 12);
    assert_int_equal(wire_reader_next(&reader, &got), ERR_OK);
    assert_true(got.vote.disrupt);
    assert_false(got.vote.pre_vote);
    wire_reader_fini(&reader);
}

static void test_every_truncation_refused(void **state)
{
    uint8_t frame[FRAME_ROOM];
    unsigned count;
    (void)state;
    size_t len = frame_fill(frame);
    for (size_t cut = 0; cut < len; cut++) {
        uint8_t *copy = malloc(cut + 1);
        assert_non_null(copy);
        memcpy(copy, frame, cut);
        assert_int_equal(frame_read(bytes_from(copy, cut), &count), ERR_MALFORMED);
        free(copy);
    }
    assert_int_equal(frame_read(bytes_from(frame, len), &count), ERR_NOTFOUND);
    frame[len] = 0;
    assert_int_equal(frame_read(bytes_from(frame, len + 1), &count), ERR_MALFORMED);
}

/* Whatever one byte becomes, the reader ends, and what it lets through is within its rules. */
static void test_mutations_end(void **state)
{
    uint8_t frame[FRAME_ROOM];
    unsigned refused = 0;
    unsigned count;
    (void)state;
    size_t len = frame_fill(frame);
    for (size_t at = 0; at < len; at++)
        for (unsigned bit = 0; bit < 8; bit++) {
            frame[at] = (uint8_t)(frame[at] ^ 1U << bit);
            refused += frame_read(bytes_from(frame, len), &count) == ERR_MALFORMED;
            frame[at] = (uint8_t)(frame[at] ^ 1U << bit);
        }
    /* Numbers may change unnoticed; what is structure may not. */
    assert_true(refused > len * 3);
}

struct bad_append {
    const char *name;
    uint64_t term, prev_index, prev_term, entry_term;
    uint8_t type;
    const char *data;
    size_t len;
};

static void test_appends_refused(void **state)
{
    static const struct bad_append cases[] = {
        {"term zero", 0, 0, 0, 1, ENTRY_COMMAND, "x", 1},
        {"index without term", 5, 3, 0, 5, ENTRY_COMMAND, "x", 1},
        {"term without index", 5, 0, 3, 5, ENTRY_COMMAND, "x", 1},
        {"previous term in the future", 5, 3, 6, 6, ENTRY_COMMAND, "x", 1},
        {"entry of term zero", 5, 3, 3, 0, ENTRY_COMMAND, "x", 1},
        {"entry older than the one before", 5, 3, 3, 2, ENTRY_COMMAND, "x", 1},
        {"entry newer than the leader", 5, 3, 3, 6, ENTRY_COMMAND, "x", 1},
        {"unknown type", 5, 3, 3, 4, 4, "x", 1},
        {"empty command", 5, 3, 3, 4, ENTRY_COMMAND, "", 0},
        {"barrier of another size", 5, 3, 3, 4, ENTRY_BARRIER, "x", 1},
        {"members that are none", 5, 3, 3, 4, ENTRY_CHANGE, "xxxxxxxxxxxxxxxx", 16},
        {"index too large", 5, UINT64_MAX, 3, 4, ENTRY_COMMAND, "x", 1},
    };
    (void)state;
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct bad_append *bad = &cases[i];
        uint8_t frame[512];
        unsigned count;
        struct entry entry = {.term = bad->entry_term,
                              .type = bad->type,
                              .data = bytes_from(bad->data, bad->len)};
        struct wire_message message = {.type = WIRE_APPEND, .group = 1, .term = bad->term};
        message.append.prev_index = bad->prev_index;
        message.append.prev_term = bad->prev_term;
        message.append.count = 1;
        message.append.entries = &entry;
        wire_head_write(frame, 1, 1, 1);
        size_t len = WIRE_HEAD_SIZE + wire_message_write(frame + WIRE_HEAD_SIZE, &message);
        if (frame_read(bytes_from(frame, len), &count) != ERR_MALFORMED)
            fail_msg("%s was let through", bad->name);
    }
}

/* What only version 2 knows is refused in a frame that says 1; what says 2 may hold both. */
static void test_versions(void **state)
{
    uint8_t frame[FRAME_ROOM];
    unsigned count;
    (void)state;
    frame_fill(frame);
    for (unsigned i = 0; i < MESSAGES; i++) {
        unsigned version = i >= 10 ? 2 : 1;
        assert_int_equal(wire_message_version(&messages[i]), version);
        wire_head_write(frame, 42, 1, 1);
        size_t len = WIRE_HEAD_SIZE + wire_message_write(frame + WIRE_HEAD_SIZE, &messages[i]);
        assert_int_equal(frame_read(bytes_from(frame, len), &count),
                         version == 1 ? ERR_NOTFOUND : ERR_MALFORMED);
        wire_head_write(frame, 42, 1, 2);
        assert_int_equal(frame_read(bytes_from(frame, len), &count), ERR_NOTFOUND);
        wire_head_write(frame, 42, 1, 4);
        assert_int_equal(frame_read(bytes_from(frame, len), &count), ERR_MALFORMED);
    }
}

static void test_installs_refused(void **state)
{
    static const struct {
        uint64_t last_index, last_term, members_index;
    } cases[] = {{0, 0, 0}, {7, 0, 1}, {0, 4, 0}, {7, 6, 1}, {7, 4, 8}, {7, 4, 0}};
    (void)state;
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint8_t frame[FRAME_ROOM];
        unsigned count;
        struct wire_message message = {.type = WIRE_INSTALL, .term = 5};
        frame_fill(frame);
        message.install.last_index = cases[i].last_index;
        message.install.last_term = cases[i].last_term;
        message.install.members_index = cases[i].members_index;
        message.install.members = entries[1].data;
        wire_head_write(frame, 1, 1, 2);
        size_t len = WIRE_HEAD_SIZE + wire_message_write(frame + WIRE_HEAD_SIZE, &message);
        assert_int_equal(frame_read(bytes_from(frame, len), &count), ERR_MALFORMED);
    }
}

static void test_membership(void **state)
{
    struct membership membership = {.count = 2,
                                    .members = {{.id = 1, .role = 1}, {.id = 2, .role = 0}}};
    struct membership got;
    uint8_t payload[MEMBERSHIP_SIZE_MAX];
    (void)state;
    size_t len = membership_encode(&membership, payload);
    assert_int_equal(membership_decode(bytes_from(payload, len), &got), ERR_OK);
    assert_int_equal(got.count, 2);
    assert_int_equal(got.members[1].id, 2);
    assert_int_equal(membership_voters(&got), 1);
    for (size_t cut = 0; cut < len; cut++)
        assert_int_equal(membership_decode(bytes_from(payload, cut), &got), ERR_MALFORMED);
    membership.members[1].id = 1;
    len = membership_encode(&membership, payload);
    assert_int_equal(membership_decode(bytes_from(payload, len), &got), ERR_MALFORMED);
    membership.members[1].id = 2;
    membership.members[0].role = 0;
    len = membership_encode(&membership, payload);
    assert_int_equal(membership_decode(bytes_from(payload, len), &got), ERR_MALFORMED);
    membership.members[0].role = 3;
    len = membership_encode(&membership, payload);
    assert_int_equal(membership_decode(bytes_from(payload, len), &got), ERR_MALFORMED);
    memset(payload, 0xff, sizeof(payload));
    payload[0] = 1;
    assert_int_equal(membership_decode(bytes_from(payload, 64), &got), ERR_MALFORMED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_every_truncation_refused),
        cmocka_unit_test(test_mutations_end),
        cmocka_unit_test(test_appends_refused),
        cmocka_unit_test(test_versions),
        cmocka_unit_test(test_installs_refused),
        cmocka_unit_test(test_membership),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
