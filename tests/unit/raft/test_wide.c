/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Groups of hundreds of members: what they are on the wire, in the log and to a replicator; and
 * that those of a few are byte for byte what they were. */
#include "one_node_peer.h"
#include "raft/coding.h"
#include "raft/log_record.h"

enum { FEW = MEMBERSHIP_FEW, MANY = REPLICATOR_MEMBERS_MAX, TERM = 5, VOTERS = 5 };

/* Nodes 1, 2, ... of which the first vote. */
static struct membership of_nodes(unsigned count, unsigned voters)
{
    struct membership membership = {.count = count};
    for (unsigned i = 0; i < count; i++)
        membership.members[i] = (struct membership_member){.id = i + 1, .role = i < voters};
    return membership;
}

static struct bytes encoded(unsigned count, unsigned voters, uint8_t *payload)
{
    struct membership membership = of_nodes(count, voters);
    return bytes_from(payload, membership_encode(&membership, payload));
}

static void test_membership(void **state)
{
    static uint8_t payload[MEMBERSHIP_SIZE_MAX];
    static struct membership membership;
    static struct membership got;
    (void)state;
    membership = of_nodes(MANY, 1);
    /* The longest numbers that a node can have. */
    for (unsigned i = 0; i < MANY; i++)
        membership.members[i].id = UINT64_MAX - i;
    size_t len = membership_encode(&membership, payload);
    assert_in_range(len, MANY * 30, MEMBERSHIP_SIZE_MAX);
    assert_int_equal(membership_decode(bytes_from(payload, len), &got), ERR_OK);
    assert_memory_equal(&got, &membership, sizeof(got));
    assert_true(membership_is_wide(bytes_from(payload, len)));
    membership.members[MANY - 1].id = UINT64_MAX;
    len = membership_encode(&membership, payload);
    assert_int_equal(membership_decode(bytes_from(payload, len), &got), ERR_MALFORMED);

    assert_false(membership_is_wide(encoded(FEW, 1, payload)));
    assert_true(membership_is_wide(encoded(FEW + 1, 1, payload)));
    /* One more than is allowed, in a payload that is long enough for it. */
    static const uint8_t one_more[] = {1, 2, 0, 0, 0, 0, 0, 0, '5', '1', '3', 0};
    encoded(MANY, 1, payload);
    len = 9;
    for (unsigned id = 1; id <= MANY; id++)
        len += id < 10 ? 11 : id < 100 ? 12 : 13;
    memcpy(payload + len, one_more, sizeof(one_more));
    payload[len + 12] = 0;
    len += 13;
    memset(payload + len, 0, 8);
    put_le64(payload + 1, MANY + 1);
    struct bytes most = bytes_from(payload, (len + 7) / 8 * 8);
    assert_int_equal(membership_decode(most, &got), ERR_MALFORMED);
    put_le64(payload + 1, MANY);
    most.len = (len - 13 + 7) / 8 * 8;
    memset(payload + len - 13, 0, 8);
    assert_int_equal(membership_decode(most, &got), ERR_OK);
    /* A number that has nothing behind it. */
    assert_false(membership_is_wide(bytes_from(payload, 40)));
}

static void test_state_record(void **state)
{
    static uint8_t payload[MEMBERSHIP_SIZE_MAX];
    static uint8_t record[LOG_STATE_SIZE_MAX];
    struct log_state got;
    (void)state;
    struct log_state written = {
        .term = 7, .vote = 3, .first_index = 100, .base_term = 6, .base_members_index = 42};
    for (unsigned promised = 0; promised < 2; promised++)
        for (unsigned wide = 0; wide < 2; wide++) {
            written.promised_term = promised;
            written.base_members = encoded(wide ? MANY : FEW, VOTERS, payload);
            size_t len = log_state_write(record, &written);
            assert_int_equal(record[0], wide ? 3 : 1 + promised);
            assert_int_equal(len, (wide || promised ? 72 : 48) + written.base_members.len);
            assert_int_equal(log_state_read(bytes_from(record, len), &got), ERR_OK);
            assert_int_equal(got.term, 7);
            assert_int_equal(got.promised_term, promised);
            assert_int_equal(got.base_members_index, 42);
            assert_true(bytes_equal(got.base_members, written.base_members));
            /* Each has one version; and nothing is left out or added. */
            for (uint8_t version = 0; version < 5; version++)
                if (version != (wide ? 3 : 1 + promised)) {
                    record[0] = version;
                    assert_int_equal(log_state_read(bytes_from(record, len), &got),
                                     ERR_MALFORMED);
                }
            record[0] = (uint8_t)(wide ? 3 : 1 + promised);
            assert_int_equal(log_state_read(bytes_from(record, len - 1), &got), ERR_MALFORMED);
        }
}

/* Entries name many members: their record says so, and one of few does not. */
static void test_entry_record(void **state)
{
    static uint8_t payload[MEMBERSHIP_SIZE_MAX];
    static uint8_t at[LOG_RECORD_HEAD_SIZE + 2 * LOG_RECORD_ENTRY_SIZE + MEMBERSHIP_SIZE_MAX];
    struct entry entries[2] = {{.term = 1, .type = ENTRY_COMMAND, .data = BYTES("x")},
                               {.term = 1, .type = ENTRY_CHANGE}};
    struct log_record record;
    size_t size;
    (void)state;
    for (unsigned wide = 0; wide < 2; wide++) {
        entries[1].data = encoded(wide ? FEW + 1 : FEW, 1, payload);
        assert_int_equal(log_record_plan(entries, 2, &size), 2);
        log_record_write(at, 9, 50, entries, 2);
        assert_int_equal(at[0], 1 + wide);
        assert_int_equal(log_record_read(bytes_from(at, size), &record), ERR_OK);
        assert_int_equal(record.count, 2);
        assert_int_equal(log_record_entry(&record, 1).len, entries[1].data.len);
    }
    /* A command that looks like one is none. */
    entries[0].data = entries[1].data;
    log_record_write(at, 9, 50, entries, 1);
    assert_int_equal(at[0], 1);
    at[0] = 3;
    assert_int_equal(log_record_read(bytes_from(at, size), &record), ERR_MALFORMED);
}

static enum err read_as(const struct wire_message *message, unsigned version)
{
    struct wire_reader reader = {0};
    struct wire_message got;
    size_t size = wire_message_size(message);
    uint8_t *frame = malloc(WIRE_HEAD_SIZE + size);
    CHECK(frame != NULL);
    wire_head_write(frame, 1, 1, version);
    assert_int_equal(wire_message_write(frame + WIRE_HEAD_SIZE, message), size);
    enum err err = wire_reader_start(&reader, bytes_from(frame, WIRE_HEAD_SIZE + size));
    if (err == ERR_OK)
        err = wire_reader_next(&reader, &got);
    wire_reader_fini(&reader);
    free(frame);
    return err;
}

static void test_frames(void **state)
{
    static uint8_t payload[MEMBERSHIP_SIZE_MAX];
    static const unsigned counts[] = {1, FEW, FEW + 1, MANY};
    (void)state;
    for (unsigned i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        struct entry entry = {.term = TERM, .type = ENTRY_CHANGE};
        entry.data = encoded(counts[i], 1, payload);
        struct wire_message append = append_of(TERM, 9, TERM, &entry, 1, 0);
        struct wire_message install = {.type = WIRE_INSTALL, .term = TERM};
        install.install.last_index = 9;
        install.install.last_term = TERM;
        install.install.members_index = 3;
        install.install.members = entry.data;
        bool wide = counts[i] > FEW;
        assert_int_equal(wire_message_version(&append), wide ? 3 : 1);
        assert_int_equal(wire_message_version(&install), wide ? 3 : 2);
        for (unsigned version = 1; version <= 3; version++) {
            assert_int_equal(read_as(&append, version),
                             version >= wire_message_version(&append) ? ERR_OK : ERR_MALFORMED);
            assert_int_equal(read_as(&install, version),
                             version >= wire_message_version(&install) ? ERR_OK
                                                                       : ERR_MALFORMED);
        }
    }
}

/* The log of node 1, the only voter among `count`: begins behind a base that names them. */
static void begin_with(struct fixture *fixture, unsigned count)
{
    static uint8_t payload[MEMBERSHIP_SIZE_MAX];
    replicator_free(&fixture->replicator);
    fixture->exists = true;
    fixture->state = (struct log_state){.term = TERM,
                                        .vote = 1,
                                        .first_index = 10,
                                        .last_index = 9,
                                        .base_term = TERM,
                                        .base_members_index = 9,
                                        .base_members = encoded(count, 1, payload)};
    fixture->applied = 9;
    start(fixture);
    fixture->link_up = true;
    for (uint64_t id = 2; id <= VOTERS; id++)
        replicator_peer_up(fixture->replicator, id, true);
    pass(fixture, 50);
}

static enum err change(struct fixture *fixture, uint64_t node_id, bool remove)
{
    struct answer answer = {0};
    replicator_change(fixture->replicator, 0, node_id, REPLICATOR_STANDBY, remove, on_simple,
                      &answer);
    pass(fixture, 200);
    assert_int_equal(answer.count, 1);
    return answer.err;
}

/* Members come up to the limit and go again; the newest membership is what libraft has. */
static void test_leader(void **state)
{
    struct fixture *fixture = *state;
    struct replicator_status status;
    begin_with(fixture, MANY - 1);
    assert_true(replicator_status(fixture->replicator, 0, &status));
    assert_int_equal(status.state, REPLICATOR_LEADER);
    assert_int_equal(status.member_count, MANY - 1);
    frames_drop(fixture);
    assert_int_equal(change(fixture, MANY, false), ERR_OK);
    frames_drop(fixture);
    assert_int_equal(change(fixture, MANY + 1, false), ERR_TOOBIG);
    frames_drop(fixture);
    assert_true(replicator_status(fixture->replicator, 0, &status));
    assert_int_equal(status.member_count, MANY);
    for (unsigned i = 0; i < MANY; i++) {
        assert_int_equal(status.members[i].node_id, i + 1);
        assert_int_equal(status.members[i].role,
                         i == 0 ? REPLICATOR_VOTER : REPLICATOR_STANDBY);
        assert_int_equal(status.match[i], i == 0 ? status.last_index : 0);
        assert_int_equal(status.last_contact_ms[i], i == 0 ? 0 : UINT64_MAX);
        assert_int_equal(status.standing[i], REPLICATOR_WHOLE);
    }
    assert_int_equal(change(fixture, 77, true), ERR_OK);
    assert_true(replicator_status(fixture->replicator, 0, &status));
    assert_int_equal(status.member_count, MANY - 1);
    assert_int_equal(status.members[76].node_id, 78);
    assert_int_equal(propose(fixture, BYTES("goes on")).err, ERR_OK);
}

/* What was sent to a member since: of each frame its version, as digits; entries counted. */
static unsigned versions_sent(struct fixture *fixture, char *versions, size_t size)
{
    unsigned entries = 0;
    size_t used = 0;
    for (unsigned i = 0; i < fixture->frames_count; i++) {
        struct wire_reader reader = {0};
        struct wire_message message;
        unsigned least = 1;
        assert_int_equal(wire_reader_start(&reader, frame_bytes(fixture->frames[i])), ERR_OK);
        while (wire_reader_next(&reader, &message) == ERR_OK) {
            if (wire_message_version(&message) > least)
                least = wire_message_version(&message);
            entries += message.type == WIRE_APPEND ? message.append.count : 0;
        }
        assert_int_equal(reader.version, least); /* no frame claims more than it needs */
        if (reader.version > 1 && used + 1 < size)
            versions[used++] = (char)('0' + reader.version);
        wire_reader_fini(&reader);
    }
    versions[used] = '\0';
    frames_drop(fixture);
    return entries;
}

/*
 * Node 2 has nothing behind the base, and is given commands, the change to many members and
 * commands behind it: only the change travels in a frame of version 3.
 */
static void test_change_alone_in_version_3(void **state)
{
    struct fixture *fixture = *state;
    struct replicator_status status;
    char versions[FRAMES_MAX];
    begin_with(fixture, FEW);
    assert_int_equal(propose(fixture, BYTES("one")).err, ERR_OK);
    assert_int_equal(change(fixture, FEW + 1, false), ERR_OK);
    assert_int_equal(propose(fixture, BYTES("two")).err, ERR_OK);
    frames_drop(fixture);
    assert_true(replicator_status(fixture->replicator, 0, &status));
    struct wire_message message = {.type = WIRE_APPEND_RESULT, .term = status.term};
    message.append_result.last_index = 9;
    pass(fixture, 100);
    frames_drop(fixture);
    receive(fixture, &message);
    turns(fixture);
    unsigned entries = versions_sent(fixture, versions, sizeof(versions));
    assert_int_equal(entries, status.last_index - 9);
    assert_string_equal(versions, "3");
}

/* A follower takes the change in, is told to begin behind a base of many, and says who is in.
 */
static void test_follower(void **state)
{
    static uint8_t payload[MEMBERSHIP_SIZE_MAX];
    struct fixture *fixture = *state;
    struct replicator_status status;
    struct entry entry = {.term = 1, .type = ENTRY_CHANGE};
    entry.data = encoded(MANY, VOTERS, payload);
    fixture->link_up = true;
    replicator_peer_up(fixture->replicator, 2, true);
    assert_int_equal(replicator_group_join(fixture->replicator, 0), ERR_OK);
    turns(fixture);
    struct wire_message message = append_of(TERM, 0, 0, &entry, 1, 1);
    receive(fixture, &message);
    turns(fixture);
    assert_int_equal(acknowledged(fixture), 1);
    assert_true(replicator_status(fixture->replicator, 0, &status));
    assert_int_equal(status.member_count, MANY);
    assert_int_equal(status.members[MANY - 1].node_id, MANY);

    struct wire_message install = {.type = WIRE_INSTALL, .term = TERM};
    install.install.last_index = 400;
    install.install.last_term = TERM;
    install.install.members_index = 399;
    install.install.members = encoded(MANY - 1, VOTERS, payload);
    fixture->kept = MACHINE_PARTIAL;
    receive(fixture, &install);
    turns(fixture);
    assert_int_equal(fixture->resets, 1);
    assert_true(bytes_equal(fixture->state.base_members, install.install.members));
    assert_true(replicator_status(fixture->replicator, 0, &status));
    assert_int_equal(status.member_count, MANY - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_membership),
        cmocka_unit_test(test_state_record),
        cmocka_unit_test(test_entry_record),
        cmocka_unit_test(test_frames),
        cmocka_unit_test_setup_teardown(test_leader, setup, teardown),
        cmocka_unit_test_setup_teardown(test_change_alone_in_version_3, setup, teardown),
        cmocka_unit_test_setup_teardown(test_follower, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
