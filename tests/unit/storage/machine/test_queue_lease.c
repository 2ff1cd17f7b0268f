/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who sends what lies in the queue: leases, and what an attempt came to. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */

#include "storage/machine/queue.h"
#include "tests/unit/storage/machine/queue_lab.h"

enum { ONE = 101, OTHER = 102 };
#define WAITING PR__QUEUE_RECIPIENT__STATE__WAITING
#define DELIVERED PR__QUEUE_RECIPIENT__STATE__DELIVERED
#define FAILED PR__QUEUE_RECIPIENT__STATE__FAILED
#define RELAYED PR__QUEUE_RECIPIENT__STATE__RELAYED
#define MINUTE_MS ((uint64_t)60 * 1000)

/* To two at a.example, one at b.example. */
static void two_domains(struct lab *lab)
{
    struct queue_lab_message message;

    queue_lab_begin(&message, lab, "text");
    queue_lab_out(&message, 0, "one@a.example");
    queue_lab_out(&message, 0, "two@a.example");
    queue_lab_out(&message, 0, "three@b.example");
    assert_int_equal(queue_lab_send(&message)->id, 1);
}

static int setup(void **state)
{
    static struct lab lab;

    queue_lab_open(&lab, FORMAT_ADDRESSES);
    two_domains(&lab);
    *state = &lab;
    return 0;
}

static int teardown(void **state)
{
    lab_invariants(*state, QUEUE_GROUP);
    lab_close(*state);
    return 0;
}

static const Pr__QueueDestination *destination_of(struct lab *lab, uint32_t number)
{
    const Pr__QueueRecord *record = queue_lab_record(lab, 1);

    for (size_t i = 0; record != NULL && i < record->n_destinations; i++)
        if (record->destinations[i]->number == number)
            return record->destinations[i];
    return NULL;
}

static const Pr__QueueRecipient *recipient_of(struct lab *lab, uint32_t number)
{
    const Pr__QueueRecord *record = queue_lab_record(lab, 1);

    for (size_t i = 0; record != NULL && i < record->n_recipients; i++)
        if (record->recipients[i]->number == number)
            return record->recipients[i];
    return NULL;
}

static bool leases(struct lab *lab, uint64_t lease, const Pr__QueueDestination *seen)
{
    const Pr__Outcome *outcome = queue_lab_lease(lab, lease, 1, 1, seen);

    assert_int_equal(outcome->err, ERR_OK);
    assert_true(outcome->n_queue_items <= 1);
    if (outcome->n_queue_items == 1) {
        assert_int_equal(outcome->queue_items[0]->id, 1);
        assert_int_equal(outcome->queue_items[0]->destination, 1);
    }
    return outcome->n_queue_items == 1;
}

/* ---- leases ---- */

static void what_is_leased_is_nobody_elses(void **state)
{
    struct lab *lab = *state;
    struct queue_due rows[4];

    lab->now_ms += 5;
    assert_true(leases(lab, ONE, NULL));
    assert_false(lab->events.queue_due);
    const Pr__QueueDestination *destination = destination_of(lab, 1);
    assert_int_equal(destination->lease, ONE);
    assert_int_equal(destination->node_id, QUEUE_NODE);
    assert_int_equal(destination->due_ms, lab->now_ms + QUEUE_LEASE_MS);
    assert_int_equal(destination->attempts, 0);
    assert_int_equal(destination_of(lab, 2)->lease, 0);
    assert_false(leases(lab, OTHER, NULL));
    assert_int_equal(destination_of(lab, 1)->lease, ONE);
    /* By itself it is seen again, when the time of the lease is over. */
    assert_int_equal(queue_lab_due(lab, lab->now_ms + QUEUE_LEASE_MS - 1, rows, 4), 1);
    assert_int_equal(rows[0].destination, 2);
    assert_int_equal(queue_lab_due(lab, lab->now_ms + QUEUE_LEASE_MS, rows, 4), 2);
    assert_int_equal(rows[1].destination, 1);
}

static void a_lease_is_renewed_by_who_has_it(void **state)
{
    struct lab *lab = *state;

    assert_true(leases(lab, ONE, NULL));
    uint32_t renewals = destination_of(lab, 1)->renewals;
    for (uint32_t i = 1; i < 4; i++) {
        lab->now_ms += 7000;
        assert_true(leases(lab, ONE, NULL));
        assert_int_equal(destination_of(lab, 1)->renewals, renewals + i);
        assert_int_equal(destination_of(lab, 1)->due_ms, lab->now_ms + QUEUE_LEASE_MS);
    }
    /* Not by time alone. */
    lab->now_ms += 1000 * MINUTE_MS;
    assert_false(leases(lab, OTHER, NULL));
}

/* Who says what lies there has watched it; what has changed since was not watched. */
static void taken_over_is_what_was_watched(void **state)
{
    struct lab *lab = *state;

    assert_true(leases(lab, ONE, NULL));
    const Pr__QueueDestination *seen = destination_of(lab, 1);
    assert_true(leases(lab, ONE, NULL));
    assert_false(leases(lab, OTHER, seen));
    Pr__QueueDestination wrong = *destination_of(lab, 1);
    wrong.lease = 77;
    assert_false(leases(lab, OTHER, &wrong));
    assert_true(leases(lab, OTHER, destination_of(lab, 1)));
    assert_int_equal(destination_of(lab, 1)->lease, OTHER);
    /* Who had it has it no more. */
    assert_false(leases(lab, ONE, NULL));
}

/* Given back and taken again with the same number is not what was watched before. */
static void what_was_watched_never_comes_again(void **state)
{
    struct lab *lab = *state;

    assert_true(leases(lab, ONE, NULL));
    const Pr__QueueDestination *seen = destination_of(lab, 1);
    queue_lab_report(lab, (struct queue_lab_verdict){
                              .lease = ONE, .id = 1, .destination = 1, .untried = true});
    assert_int_equal(destination_of(lab, 1)->lease, 0);
    assert_true(leases(lab, ONE, NULL));
    assert_false(leases(lab, OTHER, seen));
}

/* What was read before somebody had it tells of recipients who may have got it since. */
static void who_has_read_it_before_others_had_it_does_not_get_it(void **state)
{
    struct lab *lab = *state;
    const Pr__QueueDestination *read = destination_of(lab, 1);

    assert_true(leases(lab, ONE, NULL));
    const Pr__QueueDestination *leased = destination_of(lab, 1);
    queue_lab_report(lab, (struct queue_lab_verdict){.lease = ONE,
                                                     .id = 1,
                                                     .destination = 1,
                                                     .recipient = 1,
                                                     .state = DELIVERED,
                                                     .retry_ms = 10 * MINUTE_MS});
    assert_int_equal(destination_of(lab, 1)->lease, 0);
    assert_false(leases(lab, OTHER, read));
    assert_false(leases(lab, OTHER, leased));
    /* Nor does a renewal that comes late bring back what was reported, or its time. */
    assert_false(leases(lab, ONE, read));
    assert_false(leases(lab, ONE, leased));
    assert_int_equal(destination_of(lab, 1)->due_ms, lab->now_ms + 10 * MINUTE_MS);
    assert_true(leases(lab, OTHER, destination_of(lab, 1)));
}

static void who_has_read_it_before_one_was_delivered_does_not_get_it(void **state)
{
    struct lab *lab = *state;
    const Pr__QueueDestination *read = destination_of(lab, 1);

    queue_lab_report(
        lab,
        (struct queue_lab_verdict){
            .lease = OTHER, .id = 1, .destination = 1, .recipient = 1, .state = DELIVERED});
    assert_null(recipient_of(lab, 1));
    assert_false(leases(lab, ONE, read));
    assert_true(leases(lab, ONE, NULL));
}

/* The same question twice: the store was asked again, since nobody had answered. */
static void who_asks_twice_has_it_once(void **state)
{
    struct lab *lab = *state;
    const Pr__QueueDestination *read = destination_of(lab, 1);

    assert_true(leases(lab, ONE, read));
    assert_true(leases(lab, ONE, read));
    assert_false(leases(lab, OTHER, read));
    queue_lab_report(lab, (struct queue_lab_verdict){
                              .lease = ONE, .id = 1, .destination = 1, .untried = true});
    assert_false(leases(lab, ONE, read));
}

static void what_is_not_there_or_held_is_not_leased(void **state)
{
    struct lab *lab = *state;
    uint64_t id = 1;

    assert_int_equal(queue_lab_lease(lab, ONE, 2, 1, NULL)->n_queue_items, 0);
    assert_int_equal(queue_lab_lease(lab, ONE, 1, 0, NULL)->n_queue_items, 0);
    assert_int_equal(queue_lab_lease(lab, ONE, 1, 3, NULL)->n_queue_items, 0);
    assert_true(leases(lab, ONE, NULL));
    queue_lab_change(lab, PR__QUEUE_CHANGE__ACTION__HOLD, 1, &id);
    assert_false(leases(lab, ONE, NULL));
    queue_lab_change(lab, PR__QUEUE_CHANGE__ACTION__RELEASE, 1, &id);
    assert_true(leases(lab, ONE, NULL));
}

/* ---- what an attempt came to ---- */

static struct queue_lab_verdict verdict(uint64_t lease, uint32_t destination,
                                        uint32_t recipient, Pr__QueueRecipient__State what)
{
    return (struct queue_lab_verdict){.lease = lease,
                                      .id = 1,
                                      .destination = destination,
                                      .recipient = recipient,
                                      .state = what,
                                      .retry_ms = 10 * MINUTE_MS};
}

static void who_waits_is_tried_again_later(void **state)
{
    struct lab *lab = *state;

    assert_true(leases(lab, ONE, NULL));
    lab->now_ms += 3000;
    assert_int_equal(queue_lab_report(lab, verdict(ONE, 1, 2, WAITING))->err, ERR_OK);
    const Pr__QueueDestination *destination = destination_of(lab, 1);
    assert_int_equal(destination->lease, 0);
    assert_int_equal(destination->node_id, 0);
    assert_int_equal(destination->attempts, 1);
    assert_int_equal(destination->due_ms, lab->now_ms + 10 * MINUTE_MS);
    const Pr__QueueRecipient *recipient = recipient_of(lab, 2);
    assert_int_equal(recipient->state, WAITING);
    assert_int_equal(recipient->attempts, 1);
    assert_int_equal(recipient->tried_ms, lab->now_ms);
    assert_string_equal(recipient->status, "4.2.1");
    assert_string_equal(recipient->last_reply, "the mailbox is locked");
    assert_string_equal(recipient->remote, "mx.example [192.0.2.1]");
    /* About whom nothing was said. */
    assert_int_equal(recipient_of(lab, 1)->attempts, 0);
    assert_int_equal(queue_lab_record(lab, 1)->due_ms, lab->now_ms - 3000);
}

static void who_is_finished_leaves(void **state)
{
    struct lab *lab = *state;

    assert_true(leases(lab, ONE, NULL));
    queue_lab_report(lab, verdict(ONE, 1, 2, DELIVERED));
    assert_null(recipient_of(lab, 2));
    assert_non_null(destination_of(lab, 1));
    assert_true(leases(lab, ONE, NULL));
    queue_lab_report(lab, verdict(ONE, 1, 1, FAILED));
    assert_null(destination_of(lab, 1));
    assert_int_equal(queue_lab_record(lab, 1)->n_recipients, 1);
    assert_int_equal(queue_lab_rows(lab, TABLE_QUEUE_LANE), 1);
    lab_invariants(lab, QUEUE_GROUP);
    assert_int_equal(queue_lab_lease(lab, ONE, 1, 2, NULL)->n_queue_items, 1);
    queue_lab_report(lab, verdict(ONE, 2, 3, RELAYED));
    assert_null(queue_lab_record(lab, 1));
    assert_int_equal(queue_lab_rows(lab, TABLE_BLOB), 0);
    assert_int_equal(queue_lab_counts(lab).messages, 0);
}

/* What went out went out; that it did not is only who has the lease to say. */
static void without_the_lease_only_what_went_out_counts(void **state)
{
    struct lab *lab = *state;

    assert_true(leases(lab, ONE, NULL));
    for (uint64_t lease = 0; lease <= OTHER; lease += OTHER)
        for (Pr__QueueRecipient__State what = WAITING; what <= FAILED; what += 2) {
            queue_lab_report(lab, verdict(lease, 1, 1, what));
            assert_int_equal(recipient_of(lab, 1)->state, WAITING);
            assert_int_equal(recipient_of(lab, 1)->attempts, 0);
            assert_int_equal(destination_of(lab, 1)->lease, ONE);
            assert_int_equal(destination_of(lab, 1)->attempts, 0);
        }
    queue_lab_report(lab, verdict(OTHER, 1, 1, DELIVERED));
    assert_null(recipient_of(lab, 1));
    assert_int_equal(destination_of(lab, 1)->lease, ONE);
    assert_int_equal(destination_of(lab, 1)->attempts, 0);
    queue_lab_report(lab, verdict(0, 1, 2, RELAYED));
    assert_null(destination_of(lab, 1));
    /* Nor where nobody has it. */
    queue_lab_report(lab, verdict(OTHER, 2, 3, FAILED));
    queue_lab_report(lab, verdict(0, 2, 3, FAILED));
    assert_int_equal(recipient_of(lab, 3)->state, WAITING);
    /* Of another destination than it is of. */
    assert_int_equal(queue_lab_lease(lab, ONE, 1, 2, NULL)->n_queue_items, 1);
    queue_lab_report(lab, verdict(ONE, 1, 3, DELIVERED));
    queue_lab_report(lab, verdict(ONE, 2, 1, DELIVERED));
    assert_int_equal(recipient_of(lab, 3)->state, WAITING);
}

static void the_first_verdict_stays(void **state)
{
    struct lab *lab = *state;
    struct queue_lab_verdict failed = verdict(ONE, 1, 1, FAILED);

    failed.tell = true;
    assert_true(leases(lab, ONE, NULL));
    queue_lab_report(lab, failed);
    assert_int_equal(recipient_of(lab, 1)->state, FAILED);
    assert_true(leases(lab, ONE, NULL));
    queue_lab_report(lab, verdict(ONE, 1, 1, DELIVERED));
    assert_int_equal(recipient_of(lab, 1)->state, FAILED);
    assert_int_equal(recipient_of(lab, 1)->attempts, 1);
}

/* One who failed waits for a notice, and is not among those who are to be tried. */
static void only_who_waits_is_read(void **state)
{
    struct lab *lab = *state;
    struct queue_lab_verdict failed = verdict(ONE, 1, 1, FAILED);
    Pr__QueueReadAnswer answer = PR__QUEUE_READ_ANSWER__INIT;
    Pr__QueueRead read = PR__QUEUE_READ__INIT;
    Pr__QueueLane lane = PR__QUEUE_LANE__INIT;
    struct db_txn *txn;

    failed.tell = true;
    assert_true(leases(lab, ONE, NULL));
    queue_lab_report(lab, failed);
    assert_int_equal(queue_lab_record(lab, 1)->n_recipients, 3);
    lane.domain = (char[]){"a.example"};
    read.lane = &lane;
    read.until_ms = UINT64_MAX;
    txn = db_read_begin(lab->db);
    assert_int_equal(query_queue_read(txn, QUEUE_GROUP, &read, &lab->arena, &answer), ERR_OK);
    assert_int_equal(db_commit(&txn), ERR_OK);
    assert_int_equal(answer.n_messages, 1);
    assert_int_equal(answer.messages[0]->n_destinations, 1);
    assert_int_equal(answer.messages[0]->n_recipients, 1);
    assert_string_equal(answer.messages[0]->recipients[0]->address, "two@a.example");
}

static void given_back_is_not_tried(void **state)
{
    struct lab *lab = *state;
    struct queue_lab_verdict back = verdict(ONE, 1, 0, WAITING);

    back.untried = true;
    back.retry_ms = 0;
    assert_true(leases(lab, ONE, NULL));
    lab->now_ms += 10;
    queue_lab_report(lab, back);
    assert_true(lab->events.queue_due);
    assert_int_equal(destination_of(lab, 1)->attempts, 0);
    assert_int_equal(destination_of(lab, 1)->lease, 0);
    assert_int_equal(destination_of(lab, 1)->due_ms, lab->now_ms);
}

/* What nobody has leased is put off by who sees no sense in trying. */
static void put_off_is_what_nobody_has(void **state)
{
    struct lab *lab = *state;
    struct queue_lab_verdict off = verdict(0, 1, 0, WAITING);

    off.untried = true;
    queue_lab_report(lab, off);
    assert_false(lab->events.queue_due);
    assert_int_equal(destination_of(lab, 1)->due_ms, lab->now_ms + 10 * MINUTE_MS);
    assert_true(leases(lab, ONE, NULL));
    queue_lab_report(lab, off);
    assert_int_equal(destination_of(lab, 1)->lease, ONE);
    assert_int_equal(destination_of(lab, 1)->due_ms, lab->now_ms + QUEUE_LEASE_MS);
    off.destination = 2;
    off.untried = false;
    queue_lab_report(lab, off);
    assert_int_equal(destination_of(lab, 2)->due_ms, lab->now_ms);
    assert_int_equal(destination_of(lab, 2)->attempts, 0);
}

/* ---- and what operators do meanwhile ---- */

static void held_while_it_is_tried(void **state)
{
    struct lab *lab = *state;
    struct queue_due rows[4];
    uint64_t id = 1;

    assert_true(leases(lab, ONE, NULL));
    queue_lab_change(lab, PR__QUEUE_CHANGE__ACTION__HOLD, 1, &id);
    assert_int_equal(queue_lab_rows(lab, TABLE_QUEUE_LANE), 0);
    assert_int_equal(queue_lab_rows(lab, TABLE_QUEUE_DUE), 0);
    queue_lab_report(lab, verdict(ONE, 1, 1, DELIVERED));
    assert_null(recipient_of(lab, 1));
    assert_false(lab->events.queue_due);
    assert_int_equal(queue_lab_due(lab, UINT64_MAX, rows, 4), 0);
    lab_invariants(lab, QUEUE_GROUP);
    queue_lab_change(lab, PR__QUEUE_CHANGE__ACTION__RELEASE, 1, &id);
    assert_true(lab->events.queue_due);
    assert_int_equal(queue_lab_due(lab, UINT64_MAX, rows, 4), 2);
    assert_int_equal(rows[1].destination, 1);
    assert_int_equal(rows[1].due_ms, lab->now_ms + 10 * MINUTE_MS);
    /* Held, and then all of it goes. */
    queue_lab_change(lab, PR__QUEUE_CHANGE__ACTION__HOLD, 1, &id);
    queue_lab_report(lab, verdict(OTHER, 1, 2, DELIVERED));
    queue_lab_report(lab, verdict(OTHER, 2, 3, DELIVERED));
    assert_null(queue_lab_record(lab, 1));
    assert_int_equal(queue_lab_counts(lab).held, 0);
}

static void retry_leaves_what_is_tried(void **state)
{
    struct lab *lab = *state;
    uint64_t id = 1;

    assert_true(leases(lab, ONE, NULL));
    assert_int_equal(queue_lab_lease(lab, OTHER, 1, 2, NULL)->n_queue_items, 1);
    queue_lab_report(lab, verdict(OTHER, 2, 3, WAITING));
    lab->now_ms += 1000;
    queue_lab_change(lab, PR__QUEUE_CHANGE__ACTION__RETRY, 1, &id);
    assert_true(lab->events.queue_due);
    assert_int_equal(destination_of(lab, 1)->due_ms, lab->now_ms - 1000 + QUEUE_LEASE_MS);
    assert_int_equal(destination_of(lab, 2)->due_ms, lab->now_ms);
}

static void dropped_while_it_is_tried(void **state)
{
    struct lab *lab = *state;
    uint64_t id = 1;

    assert_true(leases(lab, ONE, NULL));
    queue_lab_change(lab, PR__QUEUE_CHANGE__ACTION__DROP, 1, &id);
    assert_int_equal(queue_lab_rows(lab, TABLE_QUEUE_LANE), 0);
    assert_int_equal(queue_lab_report(lab, verdict(ONE, 1, 1, DELIVERED))->err, ERR_OK);
    assert_null(queue_lab_record(lab, 1));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(what_is_leased_is_nobody_elses),
        TEST(a_lease_is_renewed_by_who_has_it),
        TEST(taken_over_is_what_was_watched),
        TEST(what_was_watched_never_comes_again),
        TEST(who_has_read_it_before_others_had_it_does_not_get_it),
        TEST(who_has_read_it_before_one_was_delivered_does_not_get_it),
        TEST(who_asks_twice_has_it_once),
        TEST(what_is_not_there_or_held_is_not_leased),
        TEST(who_waits_is_tried_again_later),
        TEST(who_is_finished_leaves),
        TEST(without_the_lease_only_what_went_out_counts),
        TEST(the_first_verdict_stays),
        TEST(only_who_waits_is_read),
        TEST(given_back_is_not_tried),
        TEST(put_off_is_what_nobody_has),
        TEST(held_while_it_is_tried),
        TEST(retry_leaves_what_is_tried),
        TEST(dropped_while_it_is_tried),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
