/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whose turn it is: connections, lanes and room for jobs between sites. */
#include "tests/unit/relay/relay_lab.h"

#include <stdio.h>

enum { CONNECTIONS_MAX = 10, SITE_MAX = 4 }; /* as in relay_lab.c */

/* Found, read and leased: `count` messages for each domain. */
static void jobs(const char *const *domains, size_t domain_count, size_t count)
{
    static uint64_t ids;

    lab_lanes(domain_count, domains, false);
    while (lab_call(PR__REQUEST__CALL_QUEUE_READ) != NULL) {
        Pr__QueueRecord *records[RELAY_FETCH];
        const char *domain =
            lab_call(PR__REQUEST__CALL_QUEUE_READ)->request->queue_read->lane->domain;
        for (size_t i = 0; i < count; i++)
            records[i] = lab_record(++ids, domain);
        lab_read(count, records, false);
    }
    while (lab_write(PR__QUEUE_WRITE__COMMAND_LEASE) != NULL)
        lab_grant(SIZE_MAX);
}

static void a_site_has_two_connections_until_mail_is_taken(void **state)
{
    const char *domain = "a.example";

    (void)state;
    lab_lead(1);
    jobs(&domain, 1, 20);
    assert_int_equal(lab_talk_count(), 2);
    struct lab_talk *talk = lab_talk_ready();
    lab_talk_done(talk, RELAY_PUT_OFF);
    assert_int_equal(lab_talk_count(), 2);
    lab_talk_done(talk, RELAY_TAKEN);
    lab_run(RELAY_TICK_MS);
    assert_int_equal(lab_talk_count(), 3);
    for (unsigned i = 0; i < 10; i++)
        lab_talk_done(talk, RELAY_TAKEN);
    lab_run(RELAY_TICK_MS);
    assert_int_equal(lab_talk_count(), SITE_MAX);
}

/* All connections are taken by others: as soon as one ends, who waits has its turn. */
static void who_waits_for_a_connection_gets_the_next(void **state)
{
    const char *busy[] = {"a.example", "b.example", "c.example", "d.example", "e.example"};
    const char *late[] = {"f.example", "g.example"};
    struct lab_talk *talks[CONNECTIONS_MAX];
    unsigned late_count = 0;

    (void)state;
    lab_lead(1);
    jobs(busy, 5, 20);
    assert_int_equal(lab_talk_count(), CONNECTIONS_MAX);
    for (unsigned i = 0; i < CONNECTIONS_MAX; i++)
        talks[i] = lab_talk_ready();
    jobs(late, 2, 1);
    assert_null(lab_talk_ready());
    assert_true(relay_lacks_connections(lab.relay));
    for (unsigned i = 0; i < 2; i++) {
        lab_talk_end(talks[i]);
        lab_turn();
        assert_int_equal(lab_talk_count(), CONNECTIONS_MAX);
        struct lab_talk *next = lab_talk_ready();
        assert_non_null(next);
        late_count += strcmp(next->job->destination->domain, late[i]) == 0;
    }
    assert_int_equal(late_count, 2);
}

static void a_connection_that_fails_puts_off_what_waits(void **state)
{
    const char *domain = "a.example";

    (void)state;
    lab_lead(1);
    lab.dead = true;
    jobs(&domain, 1, 20);
    assert_int_equal(lab_talk_count(), 0);
    lab_turn();
    struct lab_call *call = lab_write(PR__QUEUE_WRITE__COMMAND_REPORT);
    assert_non_null(call);
    assert_int_equal(call->request->queue_write->report->n_attempts, 20);
    const Pr__QueueAttempt *attempt = call->request->queue_write->report->attempts[0];
    assert_true(attempt->counts);
    assert_string_equal(attempt->verdicts[0]->reply, "connection refused");
    assert_in_range(attempt->retry_ms, 1, 10 * 60 * 1000);
    assert_int_equal(lab_report_taken(), 20);
    assert_int_equal(lab.relay->job_count, 0);
}

/* Of a site that is left alone few lanes are kept, however many there are. */
static void a_site_that_is_paused_keeps_few_lanes(void **state)
{
    static char names[200][24];
    const char *domains[200];
    const char *one = "x.shared";

    (void)state;
    for (unsigned i = 0; i < 200; i++) {
        snprintf(names[i], sizeof(names[i]), "d%u.shared", i);
        domains[i] = names[i];
    }
    lab_lead(1);
    lab.dead = true;
    jobs(&one, 1, 1);
    lab_turn();
    lab_report_taken();
    lab_lanes(200, domains, false);
    assert_int_equal(lab.relay->lane_count, RELAY_SITE_LANES_FEW);
    /* The others' turn comes nevertheless. */
    lab.dead = false;
    lab_run(45000);
    while (lab_call(PR__REQUEST__CALL_QUEUE_READ) != NULL)
        lab_read(0, NULL, false);
    assert_int_equal(lab.relay->lane_count, 0);
    lab_lanes(200, domains, false);
    assert_int_equal(lab.relay->lane_count, 200);
}

/* Hosts that take hours leave room for others. */
static void sites_that_are_slow_leave_room(void **state)
{
    unsigned sites = 0;

    (void)state;
    lab_lead(1);
    for (; sites < 1000 && !relay_is_crowded(lab.relay); sites++) {
        char name[24];
        const char *domain = name;
        snprintf(name, sizeof(name), "slow%u.example", sites);
        jobs(&domain, 1, RELAY_FETCH);
    }
    assert_true(sites < 1000);
    const char *quick = "quick.example";
    lab_lanes(1, &quick, false);
    struct lab_call *call = lab_call(PR__REQUEST__CALL_QUEUE_READ);
    assert_non_null(call);
    assert_int_equal(call->request->queue_read->limit, RELAY_FETCH_FEW);
    lab_read(0, NULL, false);
    /* Who has some gets no more. */
    const char *slow = "slow0.example";
    lab_lanes(1, &slow, false);
    assert_null(lab_call(PR__REQUEST__CALL_QUEUE_READ));
}

static void bulk_leaves_lanes_for_personal_mail(void **state)
{
    Pr__QueueLane lane = PR__QUEUE_LANE__INIT;
    char name[24];

    (void)state;
    lab_lead(1);
    struct relay_group *group = map_get(&lab.relay->groups, LAB_GROUP);
    lane.class_ = PR__QUEUE_CLASS__QUEUE_BULK;
    lane.domain = name;
    for (unsigned i = 0; i < RELAY_LANES_MAX; i++) {
        snprintf(name, sizeof(name), "bulk%u.example", i);
        assert_true(lane_found(group, &lane));
    }
    assert_int_equal(lab.relay->lane_count, RELAY_LANES_MAX / 4 * 3);
    lane.class_ = PR__QUEUE_CLASS__QUEUE_PERSONAL;
    assert_true(lane_found(group, &lane));
    assert_int_equal(lab.relay->lane_count, RELAY_LANES_MAX / 4 * 3 + 1);
}

static void what_leads_nowhere_is_refused(void **state)
{
    const char *domain = "none.example";

    (void)state;
    lab_lead(1);
    jobs(&domain, 1, 3);
    lab_turn();
    const Pr__QueueReport *report =
        lab_write(PR__QUEUE_WRITE__COMMAND_REPORT)->request->queue_write->report;
    assert_int_equal(report->n_attempts, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(report->attempts[i]->verdicts[0]->state,
                         PR__QUEUE_RECIPIENT__STATE__FAILED);
        assert_true(report->attempts[i]->verdicts[0]->tell);
    }
    lab_report_taken();
    lab_run(2 * RELAY_TICK_MS);
    assert_int_equal(lab.relay->sites.count, 0);
}

/* What was not begun when the process is to end is given back untried. */
static void what_was_not_begun_is_given_back(void **state)
{
    const char *domain = "a.example";
    bool stopped = false;

    (void)state;
    (void)stopped;
    lab_lead(1);
    jobs(&domain, 1, 5);
    struct lab_talk *talk = lab_talk_ready();
    assert_non_null(talk->job);
    lab.relay->stopping = true;
    sites_stop(lab.relay);
    lab.relay->stopping = false;
    lab_turn();
    const Pr__QueueReport *report =
        lab_write(PR__QUEUE_WRITE__COMMAND_REPORT)->request->queue_write->report;
    assert_int_equal(report->n_attempts, 4);
    for (size_t i = 0; i < 4; i++) {
        assert_false(report->attempts[i]->counts);
        assert_int_equal(report->attempts[i]->retry_ms, 0);
        assert_int_not_equal(report->attempts[i]->lease, 0);
    }
    lab_report_taken();
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, lab_open, lab_close)
    const struct CMUnitTest tests[] = {
        TEST(a_site_has_two_connections_until_mail_is_taken),
        TEST(who_waits_for_a_connection_gets_the_next),
        TEST(a_connection_that_fails_puts_off_what_waits),
        TEST(a_site_that_is_paused_keeps_few_lanes),
        TEST(sites_that_are_slow_leave_room),
        TEST(bulk_leaves_lanes_for_personal_mail),
        TEST(what_leads_nowhere_is_refused),
        TEST(what_was_not_begun_is_given_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
