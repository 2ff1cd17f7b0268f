/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "storage/schema/entry.h"
#include "storage/schema/flags.h"
#include "storage/service/write.h"
#include "unit/storage/service/write_world.h"

static struct service service;
static struct {
    unsigned count;
    enum err err;
    uint32_t outcome_err;
    uint64_t outcome_id;
} seen;
static uint8_t request_id[REQUEST_ID_SIZE] = {1, 2,  3,  4,  5,  6,  7,  8,
                                              9, 10, 11, 12, 13, 14, 15, 16};

static void on_done(void *context, enum err err, const Pr__Outcome *outcome, uint64_t index)
{
    (void)context;
    (void)index;
    seen.count++;
    seen.err = err;
    seen.outcome_err = outcome != NULL ? outcome->err : 0;
    seen.outcome_id = outcome != NULL ? outcome->id : 0;
}

static void begin(uint64_t leader, bool with_id, uint64_t deadline_ms)
{
    Pr__Command command = PR__COMMAND__INIT;
    Pr__TenantAdd add = PR__TENANT_ADD__INIT;

    world.leader = leader;
    add.name = "tenant";
    command.call_case = PR__COMMAND__CALL_TENANT_ADD;
    command.tenant_add = &add;
    if (with_id)
        command.request_id = (ProtobufCBinaryData){REQUEST_ID_SIZE, request_id};
    write_start(&service, GROUP, &command, world.now_ms + deadline_ms, on_done, NULL);
    assert_int_equal(seen.count, 0);
}

static Pr__Command__CallCase proposed_call(void)
{
    struct arena arena;
    arena_init(&arena);
    Pr__Command *command = entry_decode(buffer_bytes(&world.proposed), &arena);
    assert_non_null(command);
    Pr__Command__CallCase call = command->call_case;
    if (call == PR__COMMAND__CALL_CANCEL)
        assert_memory_equal(command->cancel->cancelled_id.data, request_id, REQUEST_ID_SIZE);
    arena_fini(&arena);
    return call;
}

/* The replicator answers the newest proposal. */
static void replicator_says(enum err err, uint32_t outcome_err, uint64_t id)
{
    Pr__Outcome outcome = PR__OUTCOME__INIT;
    struct buffer packed = BUFFER_EMPTY;

    outcome.err = outcome_err;
    outcome.id = id;
    message_pack(&outcome.base, &packed);
    world.proposal_done(world.proposal_context, err, 77, buffer_bytes(&packed));
    buffer_fini(&packed);
}

static void peer_says(enum err transport, enum err err, uint64_t leader, uint64_t id)
{
    Pr__PeerReply reply = PR__PEER_REPLY__INIT;
    Pr__Outcome outcome = PR__OUTCOME__INIT;
    struct buffer packed = BUFFER_EMPTY;

    outcome.id = id;
    reply.err = err;
    reply.leader = leader;
    reply.clock_id = 4711;
    reply.clock_ms = 500000;
    if (err == ERR_OK)
        reply.outcome = &outcome;
    message_pack(&reply.base, &packed);
    world.call_done(world.call_context, transport, buffer_bytes(&packed));
    buffer_fini(&packed);
}

static int setup(void **state)
{
    (void)state;
    world_reset();
    memset(&seen, 0, sizeof(seen));
    service.writes = writes_new();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    writes_free(&service.writes);
    world_reset();
    return 0;
}

static void expect_end(enum err err)
{
    assert_int_equal(seen.count, 1);
    assert_int_equal(seen.err, err);
    assert_false(world.timer.running);
}

static void test_leader_here_answers(void **state)
{
    (void)state;
    begin(SELF, true, 9000);
    assert_int_equal(world.proposals, 1);
    replicator_says(ERR_OK, ERR_EXISTS, 5);
    expect_end(ERR_OK);
    assert_int_equal(seen.outcome_err, ERR_EXISTS);
    assert_int_equal(seen.outcome_id, 5);
}

static void test_unknown_outcome_is_asked_again_with_the_same_entry(void **state)
{
    (void)state;
    begin(SELF, true, 9000);
    replicator_says(ERR_UNKNOWN, 0, 0);
    assert_int_equal(seen.count, 0);
    world.leader = OTHER;
    timer_fires();
    assert_int_equal(world.calls, 1);
    assert_int_equal(proposed_call(), PR__COMMAND__CALL_TENANT_ADD);
    peer_says(ERR_OK, ERR_OK, 0, 6);
    expect_end(ERR_OK);
    assert_int_equal(seen.outcome_id, 6);
}

/* An outcome with nothing to say packs to no bytes at all. */
static void test_empty_outcome_is_an_answer(void **state)
{
    (void)state;
    begin(SELF, true, 9000);
    replicator_says(ERR_OK, ERR_OK, 0);
    expect_end(ERR_OK);
}

static void test_nobody_leads_and_nothing_was_sent(void **state)
{
    (void)state;
    begin(0, true, 9000);
    while (seen.count == 0)
        timer_fires();
    expect_end(ERR_UNAVAILABLE);
    assert_int_equal(world.proposals, 0);
    assert_int_equal(world.calls, 0);
    assert_true(world.now_ms <= 10000);
}

/* A leader without majority never answers: the fate is settled by a Cancel, within the
 * deadline. */
static void settle_after_silence(void)
{
    begin(SELF, true, 9000);
    void *first_context = world.proposal_context;
    replicator_done *first_done = world.proposal_done;
    timer_fires();
    assert_int_equal(world.proposals, 2);
    assert_int_equal(proposed_call(), PR__COMMAND__CALL_CANCEL);
    assert_true(world.now_ms < 10000);
    first_done(first_context, ERR_UNKNOWN, 0, bytes_from(NULL, 0)); /* late: nobody listens */
    assert_int_equal(seen.count, 0);
}

static void test_cancel_finds_that_it_never_happened(void **state)
{
    (void)state;
    settle_after_silence();
    replicator_says(ERR_OK, ERR_CANCELLED, 0);
    expect_end(ERR_UNAVAILABLE);
}

static void test_cancel_finds_that_it_did_happen(void **state)
{
    (void)state;
    settle_after_silence();
    replicator_says(ERR_OK, ERR_OK, 9);
    expect_end(ERR_OK);
    assert_int_equal(seen.outcome_id, 9);
}

static void test_cancel_without_majority_ends_too(void **state)
{
    (void)state;
    settle_after_silence();
    void *context = world.proposal_context;
    replicator_done *done = world.proposal_done;
    timer_fires();
    expect_end(ERR_UNKNOWN); /* it may still take effect */
    assert_int_equal(world.proposals, 2);
    done(context, ERR_CLOSED, 0, bytes_from(NULL, 0));
    assert_int_equal(seen.count, 1);
}

static void test_without_request_id_nothing_is_settled(void **state)
{
    (void)state;
    begin(SELF, false, 3000);
    void *context = world.proposal_context;
    replicator_done *done = world.proposal_done;
    timer_fires();
    expect_end(ERR_UNAVAILABLE);
    assert_int_equal(world.proposals, 1);
    done(context, ERR_UNKNOWN, 0, bytes_from(NULL, 0));
}

static void test_new_leader_is_asked_at_once(void **state)
{
    (void)state;
    begin(OTHER, true, 9000);
    assert_int_equal(world.calls, 1);
    world.leader = SELF;
    writes_leader_changed(&service, GROUP);
    assert_int_equal(world.cancelled, 1);
    timer_fires();
    assert_int_equal(world.proposals, 1);
    replicator_says(ERR_OK, ERR_OK, 4);
    expect_end(ERR_OK);
}

static void test_refusal_of_a_follower_is_not_uncertain(void **state)
{
    (void)state;
    begin(OTHER, true, 9000);
    peer_says(ERR_OK, ERR_NOTLEADER, 0, 0);
    world.leader = 0;
    while (seen.count == 0)
        timer_fires();
    expect_end(ERR_UNAVAILABLE);
    assert_int_equal(world.proposals, 0);
    assert_int_equal(world.calls, 1);
}

static void test_lost_answer_of_a_peer_is_uncertain(void **state)
{
    (void)state;
    begin(OTHER, true, 9000);
    peer_says(ERR_TIMEOUT, ERR_OK, 0, 0);
    world.leader = 0;
    while (world.now_ms < 7100)
        timer_fires();
    assert_int_equal(seen.count, 0);
    world.leader = SELF;
    timer_fires();
    assert_int_equal(proposed_call(), PR__COMMAND__CALL_CANCEL);
    replicator_says(ERR_OK, ERR_CANCELLED, 0);
    expect_end(ERR_UNAVAILABLE);
}

/* The process that took it is gone, and the next one, which was sent the request again, refuses
 * it: that says nothing of the first. */
static void test_refusal_of_a_request_sent_twice_is_uncertain(void **state)
{
    static const enum err refusals[] = {ERR_CONFLICT, ERR_TIMEOUT, ERR_NOTLEADER, ERR_BUSY};

    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        teardown(state);
        setup(state);
        begin(OTHER, true, 9000);
        world.connects++;
        world.leader = 0;
        peer_says(ERR_OK, refusals[i], 0, 0);
        while (world.now_ms < 7100)
            timer_fires();
        assert_int_equal(seen.count, 0);
        world.leader = SELF;
        timer_fires();
        assert_int_equal(proposed_call(), PR__COMMAND__CALL_CANCEL);
        replicator_says(ERR_OK, ERR_OK, 8);
        expect_end(ERR_OK);
        assert_int_equal(seen.outcome_id, 8);
    }
}

/* The first request does not know the other's clock; the reply tells it, and the request goes
 * out again at once. */
static void test_a_request_expires_by_the_clock_of_its_receiver(void **state)
{
    (void)state;
    begin(OTHER, true, 9000);
    assert_int_equal(world.clock_id, 0);
    world.now_ms += 40;
    peer_says(ERR_OK, ERR_CONFLICT, 0, 0);
    assert_int_equal(world.calls, 2);
    assert_int_equal(world.clock_id, 4711);
    /* 3,000 of the 9,000 ms are kept for settling; 40 have gone by. */
    assert_int_equal(world.expires_ms, 500000 + 6000 - 40);
    peer_says(ERR_OK, ERR_TIMEOUT, 0,
              0); /* it came too late: it was not taken, nothing is to be settled */
    world.leader = 0;
    while (seen.count == 0)
        timer_fires();
    expect_end(ERR_UNAVAILABLE);
    assert_int_equal(world.proposals, 0);
    assert_int_equal(world.calls, 2);
}

static void test_what_is_known_of_a_clock_grows_old(void **state)
{
    (void)state;
    begin(OTHER, true, 9000);
    peer_says(ERR_OK, ERR_CONFLICT, 0, 0);
    peer_says(ERR_OK, ERR_OK, 0, 1);
    expect_end(ERR_OK);
    seen.count = 0;
    world.now_ms += 59000;
    begin(OTHER, true, 9000);
    assert_int_equal(world.clock_id, 4711);
    peer_says(ERR_OK, ERR_OK, 0, 2);
    seen.count = 0;
    world.now_ms += 61000;
    begin(OTHER, true, 9000);
    assert_int_equal(world.clock_id,
                     0); /* refused, and sent again with what the refusal tells */
    peer_says(ERR_OK, ERR_CONFLICT, 0, 0);
    assert_int_equal(world.clock_id, 4711);
    peer_says(ERR_OK, ERR_OK, 0, 3);
    expect_end(ERR_OK);
}

static void test_too_big_is_final(void **state)
{
    (void)state;
    begin(SELF, true, 9000);
    replicator_says(ERR_TOOBIG, 0, 0);
    expect_end(ERR_TOOBIG);
}

static void test_end_of_the_process_ends_writes(void **state)
{
    (void)state;
    begin(0, true, 9000);
    writes_free(&service.writes);
    expect_end(ERR_UNAVAILABLE);
    service.writes = writes_new();
    seen.count = 0;
    begin(OTHER, true, 9000); /* what is under way may take effect */
    writes_free(&service.writes);
    expect_end(ERR_UNKNOWN);
    service.writes = writes_new();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_leader_here_answers),
        TEST(test_unknown_outcome_is_asked_again_with_the_same_entry),
        TEST(test_empty_outcome_is_an_answer),
        TEST(test_nobody_leads_and_nothing_was_sent),
        TEST(test_cancel_finds_that_it_never_happened),
        TEST(test_cancel_finds_that_it_did_happen),
        TEST(test_cancel_without_majority_ends_too),
        TEST(test_without_request_id_nothing_is_settled),
        TEST(test_new_leader_is_asked_at_once),
        TEST(test_refusal_of_a_follower_is_not_uncertain),
        TEST(test_lost_answer_of_a_peer_is_uncertain),
        TEST(test_refusal_of_a_request_sent_twice_is_uncertain),
        TEST(test_a_request_expires_by_the_clock_of_its_receiver),
        TEST(test_what_is_known_of_a_clock_grows_old),
        TEST(test_too_big_is_final),
        TEST(test_end_of_the_process_ends_writes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
