/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What this relay has leased, and what others have. */
#include "tests/unit/relay/relay_lab.h"

static const struct job *job_of(const struct lab_talk *talk)
{
    assert_non_null(talk);
    assert_non_null(talk->job);
    return talk->job;
}

static void a_lease_lasts_from_the_question(void **state)
{
    Pr__QueueRecord *record = lab_record(1, "a.example");
    const char *domain = "a.example";

    (void)state;
    lab_lead(1);
    lab_lanes(1, &domain, false);
    lab_read(1, &record, false);
    lab_run(9000); /* the store takes its time */
    assert_int_equal(lab_grant(1), 1);
    const struct job *job = job_of(lab_talk_ready());
    assert_true(lease_holds(job));
    lab.now_ms += RELAY_LEASE_MS - 9000 - RELAY_LEASE_MARGIN_MS - 1;
    assert_true(lease_holds(job));
    lab.now_ms += 1;
    assert_false(lease_holds(job));
    assert_false(lease_is_lost(job));
    lab.now_ms += RELAY_LEASE_MARGIN_MS;
    assert_true(lease_is_lost(job));
}

static void it_is_renewed_and_counts_from_that_question(void **state)
{
    (void)state;
    lab_lead(1);
    lab_job(1, "a.example");
    const struct job *job = job_of(lab_talk_ready());
    for (unsigned i = 0; i < 5; i++) {
        while (lab_write(PR__QUEUE_WRITE__COMMAND_LEASE) == NULL)
            lab_run(100);
        uint64_t asked_ms = lab.now_ms;
        lab_run(2000);
        assert_int_equal(lab_grant(1), 1);
        lab.now_ms = asked_ms + RELAY_LEASE_MS - RELAY_LEASE_MARGIN_MS - 101;
        assert_true(lease_holds(job));
        lab.now_ms += 101;
        assert_false(lease_holds(job));
        lab.now_ms = asked_ms + 2000;
    }
    /* Nobody answers any more. */
    lab_run(RELAY_LEASE_MS + RELAY_LEASE_RENEW_MS);
    assert_true(lease_is_lost(job));
}

static void what_is_not_renewed_is_lost_at_once(void **state)
{
    (void)state;
    lab_lead(1);
    lab_job(1, "a.example");
    const struct job *job = job_of(lab_talk_ready());
    lab_run(RELAY_LEASE_RENEW_MS + RELAY_TICK_MS);
    assert_int_equal(lab_grant(0), 1);
    assert_true(lease_is_lost(job));
    assert_false(lease_holds(job));
    lab_run(RELAY_LEASE_MS);
    assert_null(lab_write(PR__QUEUE_WRITE__COMMAND_LEASE));
}

/* A store that was away: the log grants it only where nobody else has had it meanwhile. */
static void what_was_over_goes_on_when_the_log_says_so(void **state)
{
    (void)state;
    lab_lead(1);
    lab_job(1, "a.example");
    const struct job *job = job_of(lab_talk_ready());
    lab_run(RELAY_LEASE_RENEW_MS + RELAY_TICK_MS);
    lab_answer(lab_write(PR__QUEUE_WRITE__COMMAND_LEASE), NULL);
    lab_run(RELAY_LEASE_MS);
    assert_true(lease_is_lost(job));
    lab_answer(lab_write(PR__QUEUE_WRITE__COMMAND_LEASE), NULL);
    lab_run(RELAY_TICK_MS);
    const Pr__QueueLeaseItem *item =
        lab_write(PR__QUEUE_WRITE__COMMAND_LEASE)->request->queue_write->lease->items[0];
    assert_int_equal(item->seen_lease, 0);
    assert_int_equal(item->seen_renewals, 0); /* only where it lies still */
    assert_int_equal(lab_grant(1), 1);
    assert_true(lease_holds(job));
}

static void what_was_not_granted_is_forgotten(void **state)
{
    Pr__QueueRecord *records[] = {lab_record(1, "a.example"), lab_record(2, "a.example"),
                                  lab_record(3, "a.example")};
    const char *domain = "a.example";

    (void)state;
    lab_lead(1);
    lab_lanes(1, &domain, false);
    lab_read(3, records, false);
    assert_int_equal(lab.relay->job_count, 3);
    assert_int_equal(lab_grant(2), 3);
    assert_int_equal(lab.relay->job_count, 2);
}

static void no_more_items_than_the_log_takes(void **state)
{
    static Pr__QueueRecord *records[300];
    const char *domains[] = {"a.example", "b.example", "c.example", "d.example", "e.example"};
    size_t asked = 0;

    (void)state;
    lab_lead(1);
    lab_lanes(5, domains, false);
    struct lab_call *call;
    for (uint64_t i = 0; i < 5; i++) {
        for (uint64_t r = 0; r < 60; r++)
            records[r] = lab_record(1 + i * 60 + r, domains[i]);
        lab.held = true; /* all in one turn */
        lab_read(60, records, false);
    }
    groups_flush(lab.relay);
    while ((call = lab_write(PR__QUEUE_WRITE__COMMAND_LEASE)) != NULL) {
        assert_true(call->request->queue_write->lease->n_items <= 256);
        asked += lab_grant(SIZE_MAX);
        groups_flush(lab.relay);
    }
    assert_int_equal(asked, 300);
    lab.held = false;
}

/* ---- of others ---- */

static Pr__QueueRecord *leased_by(uint64_t node_id, uint64_t lease, uint32_t renewals)
{
    Pr__QueueRecord *record = lab_record(1, "a.example");

    record->destinations[0]->lease = lease;
    record->destinations[0]->node_id = node_id;
    record->destinations[0]->renewals = renewals;
    return record;
}

static bool taken(Pr__QueueRecord *record)
{
    const char *domain = "a.example";

    lab_lanes(1, &domain, false);
    lab_read(1, &record, false);
    return lab_write(PR__QUEUE_WRITE__COMMAND_LEASE) != NULL;
}

static void of_another_node_it_is_watched_for_a_whole_lease(void **state)
{
    uint64_t begin_ms;

    (void)state;
    lab_lead(1);
    assert_false(taken(leased_by(9, 77, 1)));
    lab_run(15000);
    assert_false(taken(leased_by(9, 77, 2))); /* it lives */
    begin_ms = lab.now_ms;
    while (lab.now_ms < begin_ms + RELAY_LEASE_MS)
        assert_false(taken(leased_by(9, 77, 2)));
    while (!taken(leased_by(9, 77, 2)))
        assert_true(lab.now_ms < begin_ms + 2 * RELAY_LEASE_MS);
    const struct lab_call *call = lab_write(PR__QUEUE_WRITE__COMMAND_LEASE);
    const Pr__QueueLeaseItem *item = call->request->queue_write->lease->items[0];
    assert_int_equal(item->seen_lease, 77);
    assert_int_equal(item->seen_renewals, 2);
}

static void of_this_node_it_is_of_a_dead_relay(void **state)
{
    (void)state;
    lab_lead(1);
    assert_true(taken(leased_by(LAB_NODE, 77, 5)));
    const Pr__QueueLeaseItem *item =
        lab_write(PR__QUEUE_WRITE__COMMAND_LEASE)->request->queue_write->lease->items[0];
    assert_int_equal(item->seen_lease, 77);
    assert_int_equal(item->seen_renewals, 5);
}

/* What is said to lie there was read: the log compares. */
static void what_nobody_has_is_named_as_it_was_read(void **state)
{
    (void)state;
    lab_lead(1);
    assert_true(taken(leased_by(0, 0, 4)));
    const Pr__QueueLeaseItem *item =
        lab_write(PR__QUEUE_WRITE__COMMAND_LEASE)->request->queue_write->lease->items[0];
    assert_int_equal(item->seen_lease, 0);
    assert_int_equal(item->seen_renewals, 4);
}

static void watches_outlive_a_change_of_leaders(void **state)
{
    (void)state;
    lab_lead(1);
    assert_false(taken(leased_by(9, 77, 1)));
    lab_job(2, "b.example"); /* so that the group stays */
    lab_lead(0);
    lab_run(RELAY_LEASE_MS + RELAY_LEASE_MARGIN_MS);
    assert_int_equal(lab_grant(1), 1);
    lab_lead(2);
    struct lab_call *old = lab_call(PR__REQUEST__CALL_QUEUE_LANES);
    if (old != NULL)
        lab_lanes(0, NULL, false);
    while (lab_write(PR__QUEUE_WRITE__COMMAND_LEASE) != NULL)
        lab_grant(SIZE_MAX);
    assert_true(taken(leased_by(9, 77, 1)));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, lab_open, lab_close)
    const struct CMUnitTest tests[] = {
        TEST(a_lease_lasts_from_the_question),
        TEST(it_is_renewed_and_counts_from_that_question),
        TEST(what_is_not_renewed_is_lost_at_once),
        TEST(what_was_over_goes_on_when_the_log_says_so),
        TEST(what_was_not_granted_is_forgotten),
        TEST(no_more_items_than_the_log_takes),
        TEST(of_another_node_it_is_watched_for_a_whole_lease),
        TEST(of_this_node_it_is_of_a_dead_relay),
        TEST(what_nobody_has_is_named_as_it_was_read),
        TEST(watches_outlive_a_change_of_leaders),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
