/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is promised beyond the delivery itself: that it waits (FUTURERELEASE), is in time
 * (DELIVERBY), goes on with TLS alone (REQUIRETLS), and is told of (DSN). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <unistd.h>

#include "node/base/arena.h"
#include "node/runtime/loop.h"
#include "storage/schema/entry.h"
#include "unit/smtp/fake_store.h"
#include "unit/smtp/submit_client.h"

#define DELIVERED PR__QUEUE_RECIPIENT__STATE__DELIVERED
#define EXPANDED PR__QUEUE_RECIPIENT__STATE__EXPANDED
#define WAITING PR__QUEUE_RECIPIENT__STATE__WAITING

enum { DAY_S = 24 * 60 * 60, NEVER = 1, SUCCESS = 2, FAILURE = 4 };

static const Pr__DeliverCall *delivered(unsigned number, struct arena *arena)
{
    ProtobufCAllocator allocator = arena_allocator(arena);
    struct bytes packed = buffer_bytes(&fake_store.deliveries[number].packed);
    Pr__Request *request = pr__request__unpack(&allocator, packed.len, packed.at);

    assert_true(number < fake_store.delivery_count);
    assert_non_null(request);
    return request->deliver;
}

/* One message of a client of submission, and how its MAIL, or its end, is answered. */
static void submit(struct server *server, const char *mail, const char *want)
{
    struct submit_client client;
    bool taken = want[0] == '2';

    submit_begin(server);
    server_run(server);
    submit_enter(&client, server);
    submit_say(&client, submit_plain("right"), "235 ");
    submit_say(&client, mail, taken ? "354 " : want);
    if (taken)
        submit_say(&client, FROM_ANN, want);
    submit_leave(&client);
    server_stop(server);
    assert_int_equal(fake_store.delivery_count, taken);
}

/* ---- what is announced ---- */

static void expect_words(struct server *server, enum smtp_service service, const char *words)
{
    static const char *const all[] = {"REQUIRETLS", "FUTURERELEASE 2592000 ", "DELIVERBY"};
    struct submit_client client;

    server->service = service;
    server->implicit = true;
    server_start(server, 10);
    server_run(server);
    submit_enter_as(&client, server, service == SMTP_SERVICE_LMTP ? "LHLO" : "EHLO");
    for (unsigned i = 0; i < 3; i++) {
        bool there = strstr(client.seen, all[i]) != NULL;
        assert_int_equal(there, words[i] == 'y');
    }
    submit_leave(&client);
    server_stop(server);
}

static void test_announced(void **state)
{
    expect_words(*state, SMTP_SERVICE_SUBMISSION, "yyy");
    expect_words(*state, SMTP_SERVICE_MX, "ynn");
    expect_words(*state, SMTP_SERVICE_LMTP, "nnn");
}

/* ---- held ---- */

static void test_held_for_everybody(void **state)
{
    uint64_t before_ms = clock_wall_ms();
    struct arena arena;

    submit(*state,
           "MAIL FROM:<ann@here.test> HOLDFOR=3600 ENVID=e\r\n"
           "RCPT TO:<Y@here.test> NOTIFY=SUCCESS ORCPT=rfc822;y@old.test\r\n"
           "RCPT TO:<y@here.test>\r\nRCPT TO:<far@else.test>\r\nDATA\r\n",
           "250 2.0.0");
    arena_init(&arena);
    const Pr__DeliverCall *call = delivered(0, &arena);
    assert_int_equal(call->n_account_ids, 0);
    assert_int_equal(call->n_parts, 0);
    assert_int_equal(call->n_queue, 2);
    assert_int_equal(call->queue[0]->account_id, 1);
    assert_string_equal(call->queue[0]->address, "Y@here.test");
    assert_string_equal(call->queue[0]->orcpt, "rfc822;y@old.test");
    assert_int_equal(call->queue[0]->notify, SUCCESS);
    assert_int_equal(call->queue[0]->state, WAITING); /* it is told of when it is there */
    assert_false(call->queue[0]->tell);
    assert_int_equal(call->queue[1]->account_id, 0);
    assert_string_equal(call->queue[1]->address, "far@else.test");
    assert_true(call->envelope->hold_until_ms >= before_ms + 3600 * 1000);
    assert_true(call->envelope->hold_until_ms <= clock_wall_ms() + 3600 * 1000);
    arena_fini(&arena);
}

/* Each wording waits, with its own people; bounces of a list's members are the list's. */
static void test_held_wordings(void **state)
{
    struct arena arena;

    submit(*state,
           "MAIL FROM:<ann@here.test> HOLDFOR=60\r\nRCPT TO:<list@here.test> NOTIFY=NEVER\r\n"
           "RCPT TO:<pair@here.test> NOTIFY=SUCCESS,FAILURE\r\nRCPT TO:<y@here.test>\r\n"
           "DATA\r\n",
           "250 2.0.0");
    arena_init(&arena);
    const Pr__DeliverCall *call = delivered(0, &arena);
    assert_int_equal(call->n_account_ids, 0);
    assert_int_equal(call->n_parts, 1);
    assert_int_equal(call->n_queue, 4); /* the list's, and that the pair was written to */
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(call->queue[i]->notify, 0);
    assert_int_equal(call->queue[0]->account_id, 1);
    assert_int_equal(call->queue[1]->account_id, 2);
    assert_string_equal(call->queue[2]->address, "far@else.test");
    assert_int_equal(call->queue[3]->state, EXPANDED);
    assert_string_equal(call->queue[3]->address, "pair@here.test");
    const Pr__DeliverCallPart *part = call->parts[0];
    assert_int_equal(part->n_account_ids, 0);
    assert_int_equal(part->n_queue, 2);
    assert_int_equal(part->queue[0]->account_id, 1);
    assert_int_equal(part->queue[0]->notify, FAILURE);
    assert_int_equal(part->queue[1]->account_id, 2);
    arena_fini(&arena);
}

static void test_held_until(void **state)
{
    int64_t until_s = (int64_t)(clock_wall_ms() / 1000) + DAY_S;
    char text[64];
    char mail[256];
    time_t time = (time_t)until_s;
    struct arena arena;
    struct tm tm;

    strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&time, &tm));
    snprintf(mail, sizeof(mail),
             "MAIL FROM:<ann@here.test> HOLDUNTIL=%s\r\nRCPT TO:<y@here.test>\r\nDATA\r\n",
             text);
    submit(*state, mail, "250 2.0.0");
    arena_init(&arena);
    const Pr__DeliverCall *call = delivered(0, &arena);
    assert_int_equal(call->envelope->hold_until_ms, (uint64_t)until_s * 1000);
    assert_int_equal(call->queue[0]->account_id, 1);
    arena_fini(&arena);
}

/* ---- in time ---- */

static void test_deliver_by(void **state)
{
    static const struct {
        const char *parameter;
        int64_t seconds;
        Pr__Envelope__ByMode mode;
        bool traced;
    } cases[] = {
        {"BY=120;R", 120, PR__ENVELOPE__BY_MODE__BY_RETURN, false},
        {"BY=-5;NT", -5, PR__ENVELOPE__BY_MODE__BY_NOTIFY, true},
        {"BY=90;N HOLDFOR=89", 90, PR__ENVELOPE__BY_MODE__BY_NOTIFY, false},
        {"SIZE=10", 0, PR__ENVELOPE__BY_MODE__BY_NONE, false},
    };
    char mail[256];
    struct arena arena;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int64_t now_ms = (int64_t)clock_wall_ms();
        snprintf(mail, sizeof(mail),
                 "MAIL FROM:<ann@here.test> %s\r\nRCPT TO:<y@here.test>\r\nDATA\r\n",
                 cases[i].parameter);
        submit(*state, mail, "250 2.0.0");
        arena_init(&arena);
        const Pr__Envelope *envelope = delivered(0, &arena)->envelope;
        int64_t by_ms = (int64_t)envelope->deliver_by_ms;
        assert_int_equal(envelope->by_mode, cases[i].mode);
        assert_int_equal(envelope->by_trace, cases[i].traced);
        if (cases[i].mode == PR__ENVELOPE__BY_MODE__BY_NONE)
            assert_int_equal(by_ms, 0);
        else
            assert_in_range(by_ms - cases[i].seconds * 1000, now_ms, (int64_t)clock_wall_ms());
        arena_fini(&arena);
    }
}

static void test_refused_times(void **state)
{
    static const char *const cases[] = {
        "HOLDFOR=2592001",
        "BY=0;R",
        "BY=60;RT HOLDFOR=60",
        "HOLDFOR=3600 BY=60;R",
    };
    char mail[256];

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        snprintf(mail, sizeof(mail), "MAIL FROM:<ann@here.test> %s\r\n", cases[i]);
        submit(*state, mail, "501 5.5.4");
    }
}

/* ---- with TLS ---- */

/* Whoever it goes on to: what is forwarded keeps it, and notices bring headers alone. */
static void test_requiretls(void **state)
{
    struct server *server = *state;
    struct submit_client client;
    struct arena arena;

    server->service = SMTP_SERVICE_MX;
    server->implicit = true;
    server_start(server, 10);
    server_run(server);
    submit_enter(&client, server);
    for (unsigned i = 0; i < 2; i++) {
        submit_say(&client,
                   i == 0 ? "MAIL FROM:<x@a.test> REQUIRETLS RET=FULL\r\n"
                          : "MAIL FROM:<x@a.test> RET=FULL\r\n",
                   "250 ");
        submit_say(&client, "RCPT TO:<forward@here.test>\r\n", "250 ");
        submit_say(&client, "DATA\r\n", "354 ");
        submit_say(&client, MESSAGE, "250 ");
    }
    submit_leave(&client);
    server_stop(server);
    arena_init(&arena);
    assert_int_equal(delivered(0, &arena)->n_queue, 1);
    assert_true(delivered(0, &arena)->envelope->require_tls);
    assert_int_equal(delivered(0, &arena)->envelope->ret, PR__ENVELOPE__RET__RET_HDRS);
    assert_false(delivered(1, &arena)->envelope->require_tls);
    assert_int_equal(delivered(1, &arena)->envelope->ret, PR__ENVELOPE__RET__RET_FULL);
    arena_fini(&arena);
}

static void test_requiretls_in_the_clear(void **state)
{
    struct server *server = *state;

    server_start(server, 10);
    server_run(server);
    int fd = client_open(server);
    client_expect(fd, "220 ");
    client_say(fd, "EHLO client.test\r\n", "250 ");
    client_say(fd, "MAIL FROM:<x@a.test> REQUIRETLS\r\n", "555 ");
    close(fd);
    server_stop(server);
}

/* ---- told ---- */

/* Recipients of a message from the world, and who its sender is told of: "A" delivered, "E"
 * expanded; then NOTIFY of those on other hosts, in the first wording that has some. */
static void test_told(void **state)
{
    static const struct {
        const char *sender;
        const char *recipients;
        const char *told;
        const char *others;
    } cases[] = {
        {"x@a.test", "y@here.test", "", ""},
        {"x@a.test", "Y@here.test NOTIFY=SUCCESS", "A:Y@here.test ", ""},
        {"", "y@here.test NOTIFY=SUCCESS", "", ""},
        {"x@a.test", "y@here.test NOTIFY=FAILURE,DELAY", "", ""},
        {"x@a.test", "y@here.test NOTIFY=SUCCESS\ny@here.test NOTIFY=SUCCESS", "A:y@here.test ",
         ""},
        {"x@a.test", "y@here.test NOTIFY=SUCCESS\nz@here.test NOTIFY=SUCCESS",
         "A:y@here.test A:z@here.test ", ""},
        {"x@a.test", "pair@here.test NOTIFY=SUCCESS", "E:pair@here.test ", ""},
        {"x@a.test", "list@here.test NOTIFY=SUCCESS", "A:list@here.test ", "0"},
        {"x@a.test", "list@here.test NOTIFY=NEVER", "", "0"},
        {"x@a.test", "forward@here.test NOTIFY=SUCCESS", "", "2"},
        {"x@a.test", "both@here.test NOTIFY=SUCCESS,FAILURE", "E:both@here.test ", "4"},
        {"x@a.test", "both@here.test NOTIFY=SUCCESS", "E:both@here.test ", "1"},
        {"x@a.test", "both@here.test NOTIFY=NEVER", "", "1"},
        {"x@a.test", "both@here.test", "", "0"},
    };
    struct server *server = *state;
    char text[512];

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct arena arena;
        char told[128] = "";
        char others[16] = "";
        server_start(server, 10);
        server_run(server);
        int fd = client_open(server);
        client_expect(fd, "220 ");
        client_say(fd, "EHLO client.test\r\n", "250 ");
        snprintf(text, sizeof(text), "MAIL FROM:<%s>\r\n", cases[i].sender);
        client_say(fd, text, "250 ");
        for (const char *at = cases[i].recipients; at != NULL;) {
            const char *end = strchr(at, '\n');
            int len = (int)strcspn(at, "\n");
            int address = (int)strcspn(at, " \n");
            snprintf(text, sizeof(text), "RCPT TO:<%.*s>%.*s\r\n", address, at, len - address,
                     at + address);
            client_say(fd, text, "250 ");
            at = end != NULL ? end + 1 : NULL;
        }
        client_say(fd, "DATA\r\n", "354 ");
        client_say(fd, MESSAGE, "250 ");
        close(fd);
        server_stop(server);
        arena_init(&arena);
        const Pr__DeliverCall *call = delivered(0, &arena);
        const Pr__DeliverCallPart *part = call->n_parts > 0 ? call->parts[0] : NULL;
        for (size_t j = 0; j < call->n_queue; j++) {
            const Pr__QueueRecipient *queued = call->queue[j];
            if (queued->tell)
                snprintf(told + strlen(told), sizeof(told) - strlen(told), "%c:%s ",
                         queued->state == EXPANDED    ? 'E'
                         : queued->state == DELIVERED ? 'A'
                                                      : '?',
                         queued->address);
            else
                snprintf(others, sizeof(others), "%u", queued->notify);
        }
        if (part != NULL && part->n_queue > 0)
            snprintf(others, sizeof(others), "%u", part->queue[0]->notify);
        assert_string_equal(told, cases[i].told);
        assert_string_equal(others, cases[i].others);
        arena_fini(&arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SERVER_TEST(test_announced),     SERVER_TEST(test_held_for_everybody),
        SERVER_TEST(test_held_wordings), SERVER_TEST(test_held_until),
        SERVER_TEST(test_deliver_by),    SERVER_TEST(test_refused_times),
        SERVER_TEST(test_requiretls),    SERVER_TEST(test_requiretls_in_the_clear),
        SERVER_TEST(test_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
