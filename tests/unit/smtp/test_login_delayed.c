/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Log-ins whose answer the firewall holds back: the client hears nothing, and nothing else of
 * it is taken, until the time is over; it may be gone by then.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>

#include "node/runtime/conn.h"
#include "storage/client/guard.h"
#include "unit/smtp/fake_store.h"
#include "unit/smtp/submit_client.h"

enum { DELAY_MS = 1234 };

static void (*held_done)(void *context);
static void *held_context;
static _Atomic unsigned held; /* so far */
static unsigned held_ms;

struct firewall_verdict __wrap_guard_tell(struct guard *guard, enum firewall_event event,
                                          uint64_t account, uint32_t secret);
void __wrap_guard_delay(struct guard *guard, uint32_t delay_ms, void (*done)(void *context),
                        void *context);

struct firewall_verdict __wrap_guard_tell(struct guard *guard, enum firewall_event event,
                                          uint64_t account, uint32_t secret)
{
    bool login = event == FIREWALL_LOGIN || event == FIREWALL_LOGIN_FAILED;

    (void)guard;
    (void)account;
    (void)secret;
    return (struct firewall_verdict){.action = login ? FIREWALL_DELAY : FIREWALL_PASS,
                                     .delay_ms = DELAY_MS};
}

void __wrap_guard_delay(struct guard *guard, uint32_t delay_ms, void (*done)(void *context),
                        void *context)
{
    (void)guard;
    held_ms = delay_ms;
    held_done = done;
    held_context = context;
    held++;
}

/* The time is over. */
static void release(void *context)
{
    (void)context;
    held_done(held_context);
}

static bool is_held_once(void)
{
    return held == 1;
}

static bool is_held_twice(void)
{
    return held == 2;
}

static bool nobody_is_here(void)
{
    return conn_count() == 0;
}

static void start(struct server *server, struct submit_client *client)
{
    held = 0;
    submit_begin(server);
    server_run(server);
    submit_enter(client, server);
}

static bool hears_nothing(const struct submit_client *client)
{
    struct pollfd poll_fd = {.fd = client->fd, .events = POLLIN};
    return poll(&poll_fd, 1, 0) == 0;
}

static void test_held(void **state)
{
    struct server *server = *state;
    struct submit_client client;

    start(server, &client);
    submit_put(&client, submit_plain("wrong"));
    submit_put(&client, "NOOP\r\n");
    submit_wait(is_held_once);
    assert_int_equal(held_ms, DELAY_MS);
    assert_true(hears_nothing(&client));
    loop_post(server->loop, release, NULL);
    submit_expect(&client, "250 2.0.0"); /* behind the 535 */
    submit_put(&client, submit_plain("right"));
    submit_wait(is_held_twice);
    assert_true(hears_nothing(&client));
    loop_post(server->loop, release, NULL);
    submit_expect(&client, "235 ");
    submit_say(&client, TO_Y, "354 ");
    submit_say(&client, FROM_ANN, "250 2.0.0");
    submit_leave(&client);
    server_stop(server);
    assert_int_equal(held, 2);
    assert_int_equal(fake_store.delivery_count, 1);
    assert_int_equal(fake_store.logouts, fake_store.logins);
}

/* It goes meanwhile, logged in or not: nothing stays of it. */
static void test_left(void **state)
{
    static const char *const passwords[] = {"wrong", "right"};
    struct server *server = *state;
    struct submit_client client;

    for (unsigned i = 0; i < 2; i++) {
        start(server, &client);
        submit_put(&client, submit_plain(passwords[i]));
        submit_wait(is_held_once);
        submit_leave(&client);
        submit_wait(nobody_is_here);
        server_stop(server);
        assert_int_equal(fake_store.logins, i);
        assert_int_equal(fake_store.logouts, i);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SERVER_TEST(test_held),
        SERVER_TEST(test_left),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
