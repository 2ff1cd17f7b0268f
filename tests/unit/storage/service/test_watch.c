/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "storage/service/watch.h"

/* watch.c and sessions.c; calls are answered into `heard`. */

static struct service service;
static struct {
    unsigned answers;
    unsigned events;
    uint64_t sessions[8];
    uint64_t modseqs[8];
    bool ended[8];
    unsigned failures;
} heard;

struct loop_timer {
    void (*fired)(void *context);
    void *context;
};
static struct loop_timer timer;

uint64_t clock_monotonic_ms(void)
{
    return 5000;
}

struct loop_timer *loop_timer_start(struct loop *loop, uint64_t delay_ms, uint64_t repeat_ms,
                                    void (*fired)(void *context), void *context)
{
    (void)loop;
    (void)repeat_ms;
    assert_int_equal(delay_ms, 2000);
    timer = (struct loop_timer){fired, context};
    return &timer;
}

void loop_timer_stop(struct loop_timer **running)
{
    if (*running != NULL)
        timer.fired = NULL;
    *running = NULL;
}

void call_reply(struct service_call *call, Pr__Reply *reply)
{
    assert_int_equal(reply->answer_case, PR__REPLY__ANSWER_WATCH);
    heard.answers++;
    heard.events = (unsigned)reply->watch->n_events;
    for (size_t i = 0; i < reply->watch->n_events; i++) {
        heard.sessions[i] = reply->watch->events[i]->session;
        heard.modseqs[i] = reply->watch->events[i]->highest_modseq;
        heard.ended[i] = reply->watch->events[i]->ended;
    }
    arena_fini(&call->call_arena);
    free(call);
}

void call_fail(struct service_call *call, enum err err, const char *text)
{
    (void)err;
    (void)text;
    heard.failures++;
    arena_fini(&call->call_arena);
    free(call);
}

static void watch(uint32_t connection)
{
    struct service_call *call = calloc(1, sizeof(*call));
    assert_non_null(call);
    call->service = &service;
    call->connection = connection;
    call->deadline_ms = 7000;
    arena_init(&call->call_arena);
    watch_call(call);
}

static void happened(uint64_t account_id, uint32_t mailbox_id, uint64_t modseq)
{
    struct machine_mailbox_event event = {
        .group = 1, .account_id = account_id, .mailbox_id = mailbox_id, .modseq = modseq};
    struct machine_events events = {.mailboxes = &event, .mailbox_count = 1};
    watch_events(&service, &events);
}

static struct session *opened(uint32_t connection, uint64_t account_id, uint32_t mailbox_id)
{
    struct session *session =
        session_open(service.sessions, connection, account_id, 1, "ann@example.test");
    session->watched_mailbox = mailbox_id;
    return session;
}

static int setup(void **state)
{
    (void)state;
    memset(&heard, 0, sizeof(heard));
    service.sessions = sessions_new();
    service.watches = watches_new();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    watches_free(&service.watches);
    sessions_free(&service.sessions);
    return 0;
}

static void test_an_event_answers_the_waiting_call_once(void **state)
{
    (void)state;
    struct session *session = opened(7, 100, 1);
    watch(7);
    happened(100, 2, 5); /* another mailbox */
    happened(101, 1, 5); /* another account */
    assert_int_equal(heard.answers, 0);
    happened(100, 1, 6);
    assert_int_equal(heard.answers, 1);
    assert_int_equal(heard.events, 1);
    assert_true(heard.sessions[0] == session->id);
    assert_int_equal(heard.modseqs[0], 6);
    happened(100, 1, 7);
    happened(100, 1, 8);
    assert_int_equal(heard.answers, 1);
    watch(7); /* what gathered is told at once, each session once */
    assert_int_equal(heard.answers, 2);
    assert_int_equal(heard.events, 1);
    assert_int_equal(heard.modseqs[0], 8);
}

static void test_only_the_connection_of_the_session_hears(void **state)
{
    (void)state;
    struct session *first = opened(7, 100, 1);
    opened(8, 100, 1);
    watch(7);
    happened(100, 1, 6);
    assert_int_equal(heard.answers, 1);
    assert_int_equal(heard.events, 1);
    assert_true(heard.sessions[0] == first->id);
    watch(8);
    assert_int_equal(heard.answers, 2);
    assert_true(heard.sessions[0] != first->id);
}

static void test_a_call_ends_at_its_deadline_and_a_newer_one_replaces_it(void **state)
{
    (void)state;
    watch(7);
    timer.fired(timer.context);
    assert_int_equal(heard.answers, 1);
    assert_int_equal(heard.events, 0);
    watch(7);
    watch(7);
    assert_int_equal(heard.answers, 2);
}

static void test_sessions_are_found_on_their_own_connection_only(void **state)
{
    (void)state;
    struct session *session = opened(7, 100, 1);
    uint64_t id = session->id;
    assert_ptr_equal(session_find(service.sessions, 7, id), session);
    assert_null(session_find(service.sessions, 8, id));
    assert_null(session_find(service.sessions, 7, id + 1));
    assert_null(session_find(service.sessions, 7, 0));
    happened(100, 1, 9);
    watch_connection_closed(&service, 7);
    sessions_connection_closed(service.sessions, 7);
    assert_null(session_find(service.sessions, 7, id));
    assert_int_equal(sessions_count(service.sessions), 0);
}

static void test_an_account_that_ends_takes_its_sessions_along(void **state)
{
    (void)state;
    uint64_t account_id = 100;
    struct machine_events events = {.accounts_ended = &account_id, .ended_count = 1};
    uint64_t ids[3] = {opened(7, 100, 1)->id, opened(7, 100, 0)->id, opened(7, 101, 1)->id};
    watch(7);
    watch_events(&service, &events);
    assert_int_equal(heard.answers, 1);
    assert_int_equal(heard.events, 2);
    assert_true(heard.ended[0] && heard.ended[1]);
    assert_null(session_find(service.sessions, 7, ids[0]));
    assert_null(session_find(service.sessions, 7, ids[1]));
    assert_non_null(session_find(service.sessions, 7, ids[2]));
    assert_int_equal(sessions_count(service.sessions), 1);
}

/* The front end of SMTP asks for no events; whoever wants to know is told by the next call. */
static void test_a_session_that_nobody_watches_ends_at_once(void **state)
{
    (void)state;
    uint64_t account_id = 100;
    struct machine_events events = {.accounts_ended = &account_id, .ended_count = 1};
    opened(6, 100, 0)->unwatched = true;
    opened(6, 100, 0)->unwatched = true;
    opened(7, 100, 1);
    watch_events(&service, &events);
    assert_int_equal(sessions_count(service.sessions), 1);
}

/* An end that its front end has not heard of yet does not keep it from logging out. */
static void test_a_session_that_has_ended_can_be_logged_out_of(void **state)
{
    (void)state;
    uint64_t account_id = 100;
    struct machine_events events = {.accounts_ended = &account_id, .ended_count = 1};
    uint64_t id = opened(7, 100, 1)->id;
    watch_events(&service, &events);
    assert_null(session_find(service.sessions, 7, id));
    assert_null(session_find_any(service.sessions, 8, id));
    struct session *session = session_find_any(service.sessions, 7, id);
    assert_non_null(session);
    watch_session_closing(&service, session);
    session_close(service.sessions, session);
    assert_int_equal(sessions_count(service.sessions), 0);
    watch(7);
    assert_int_equal(heard.answers, 0);
    watch_connection_closed(&service, 7);
}

static void test_a_session_that_closes_is_not_told_of(void **state)
{
    (void)state;
    struct session *first = opened(7, 100, 1);
    struct session *second = opened(7, 100, 1);
    struct session *third = opened(7, 100, 1);
    uint64_t kept[2] = {first->id, third->id};
    happened(100, 1, 6);
    watch_session_closing(&service, second);
    session_close(service.sessions, second);
    watch(7);
    assert_int_equal(heard.events, 2);
    assert_true((heard.sessions[0] == kept[0] && heard.sessions[1] == kept[1]) ||
                (heard.sessions[0] == kept[1] && heard.sessions[1] == kept[0]));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_an_event_answers_the_waiting_call_once),
        TEST(test_only_the_connection_of_the_session_hears),
        TEST(test_a_call_ends_at_its_deadline_and_a_newer_one_replaces_it),
        TEST(test_sessions_are_found_on_their_own_connection_only),
        TEST(test_an_account_that_ends_takes_its_sessions_along),
        TEST(test_a_session_that_nobody_watches_ends_at_once),
        TEST(test_a_session_that_has_ended_can_be_logged_out_of),
        TEST(test_a_session_that_closes_is_not_told_of),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
