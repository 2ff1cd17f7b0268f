/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What became of jobs is told until the log has it. */
#include "tests/unit/relay/relay_lab.h"

static struct lab_call *report_next(void)
{
    struct lab_call *call = lab_write(PR__QUEUE_WRITE__COMMAND_REPORT);

    assert_non_null(call);
    return call;
}

static const Pr__QueueReport *words(const struct lab_call *call)
{
    return call->request->queue_write->report;
}

static void refuse(struct lab_call *call, enum err err)
{
    Pr__Reply reply = PR__REPLY__INIT;
    Pr__Outcome outcome = PR__OUTCOME__INIT;

    outcome.err = (uint32_t)err;
    reply.outcome = &outcome;
    lab_answer(call, &reply);
}

/* Of as many messages what became of them is to be reported, in one command. */
static void sent(unsigned count)
{
    const char *domain = "a.example";
    Pr__QueueRecord *records[RELAY_FETCH];

    lab_lead(1);
    for (unsigned i = 0; i < count; i++)
        records[i] = lab_record(1 + i, domain);
    lab_lanes(1, &domain, false);
    lab_read(count, records, false);
    assert_int_equal(lab_grant(SIZE_MAX), count);
    struct lab_talk *talk = lab_talk_ready();
    lab.held = true;
    for (unsigned i = 0; i < count; i++)
        lab_talk_done(talk, RELAY_TAKEN);
    lab.held = false;
    lab_turn();
    assert_int_equal(words(report_next())->n_attempts, count);
}

static void it_is_told_again_until_it_is_known(void **state)
{
    (void)state;
    sent(3);
    for (unsigned i = 0; i < 5; i++) {
        uint64_t lease = words(report_next())->attempts[0]->lease;
        if (i % 2 == 0)
            lab_answer(report_next(), NULL);
        else
            lab_answer_err(report_next(), ERR_UNAVAILABLE);
        assert_int_equal(lab.relay->job_count, 3);
        lab_run(RELAY_AGAIN_MS);
        assert_int_equal(words(report_next())->n_attempts, 3);
        assert_int_equal(words(report_next())->attempts[0]->lease, lease);
        assert_int_equal(words(report_next())->attempts[0]->verdicts[0]->state,
                         PR__QUEUE_RECIPIENT__STATE__DELIVERED);
    }
    lab_report_taken();
    assert_int_equal(lab.relay->job_count, 0);
}

/* Until the log knows it, the same destination is no job again. */
static void what_is_not_known_is_not_begun_again(void **state)
{
    const char *domain = "a.example";
    Pr__QueueRecord *record;

    (void)state;
    sent(1);
    record = lab_record(1, domain);
    record->destinations[0]->lease = 77;
    record->destinations[0]->node_id = LAB_NODE;
    lab_lanes(1, &domain, false);
    lab_read(1, &record, false);
    assert_null(lab_write(PR__QUEUE_WRITE__COMMAND_LEASE));
    lab_report_taken();
    record->destinations[0]->lease = 0;
    lab_lanes(1, &domain, false);
    lab_read(1, &record, false);
    assert_non_null(lab_write(PR__QUEUE_WRITE__COMMAND_LEASE));
}

/* A host's words, or a time, that the log does not take: the others are told nevertheless. */
static void one_that_is_refused_takes_no_other_with_it(void **state)
{
    unsigned taken = 0;

    (void)state;
    sent(5);
    refuse(report_next(), ERR_INVALID);
    assert_int_equal(lab.relay->job_count, 5);
    for (unsigned i = 0; i < 5; i++) {
        const Pr__QueueReport *report = words(report_next());
        assert_int_equal(report->n_attempts, 1);
        if (report->attempts[0]->item->id == 3)
            refuse(report_next(), ERR_INVALID);
        else
            taken += (unsigned)lab_report_taken();
    }
    assert_int_equal(taken, 4);
    /* That it went out is told without the words. */
    const Pr__QueueAttempt *attempt = words(report_next())->attempts[0];
    assert_int_equal(attempt->item->id, 3);
    assert_int_equal(attempt->verdicts[0]->state, PR__QUEUE_RECIPIENT__STATE__DELIVERED);
    assert_string_equal(attempt->verdicts[0]->reply, "");
    assert_string_equal(attempt->verdicts[0]->status, "");
    assert_string_equal(attempt->verdicts[0]->remote, "");
    lab_report_taken();
    assert_int_equal(lab.relay->job_count, 0);
}

static void what_is_refused_in_any_words_is_let_go_of(void **state)
{
    (void)state;
    sent(1);
    refuse(report_next(), ERR_INVALID);
    refuse(report_next(), ERR_INVALID);
    assert_null(lab_write(PR__QUEUE_WRITE__COMMAND_REPORT));
    assert_int_equal(lab.relay->job_count, 0);
}

static void of_a_group_that_is_gone_nothing_is_told(void **state)
{
    (void)state;
    sent(4);
    lab_answer_err(report_next(), ERR_NOTFOUND);
    assert_null(lab_write(PR__QUEUE_WRITE__COMMAND_REPORT));
    assert_int_equal(lab.relay->job_count, 0);
}

/* Steps of the configuration may be longer than the log takes. */
static void the_next_attempt_is_never_too_far_off(void **state)
{
    (void)state;
    lab.retry.steps_ms[0] = (uint64_t)300 * 24 * 3600 * 1000;
    lab.retry.step_count = 1;
    lab.retry.expire_ms = (uint64_t)365 * 24 * 3600 * 1000;
    lab_lead(1);
    lab_job(1, "a.example");
    lab_talk_done(lab_talk_ready(), RELAY_PUT_OFF);
    const Pr__QueueAttempt *attempt = words(report_next())->attempts[0];
    assert_int_equal(attempt->verdicts[0]->state, PR__QUEUE_RECIPIENT__STATE__WAITING);
    assert_int_equal(attempt->retry_ms, RELAY_RETRY_MS_MAX);
    lab_report_taken();
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, lab_open, lab_close)
    const struct CMUnitTest tests[] = {
        TEST(it_is_told_again_until_it_is_known),
        TEST(what_is_not_known_is_not_begun_again),
        TEST(one_that_is_refused_takes_no_other_with_it),
        TEST(what_is_refused_in_any_words_is_let_go_of),
        TEST(of_a_group_that_is_gone_nothing_is_told),
        TEST(the_next_attempt_is_never_too_far_off),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
