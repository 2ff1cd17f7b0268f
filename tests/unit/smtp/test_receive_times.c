/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "unit/smtp/fake_store.h"
#include "unit/smtp/server.h"

/* Slow clients, a slow store, and the end of the service. */
static void test_slow_clients(void **state)
{
    struct server *server = *state;

    server->times.idle_ms = 200;
    server_start(server, 10);
    server_run(server);
    int fd = client_open(server);
    client_expect(fd, "220 ");
    client_expect(fd, "421 4.4.2");
    client_expect(fd, "");
    close(fd);
    fd = client_at_data(server);
    client_expect(fd, "421 4.4.2");
    close(fd);
    server_stop(server);
}

/* Bytes come in, but so slowly that the idle timer never fires. */
static void drip(int fd, const char *byte)
{
    for (;;) {
        struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
        if (poll(&poll_fd, 1, 20) == 1)
            return;
        if (send(fd, byte, 1, MSG_NOSIGNAL) < 0)
            return;
    }
}

static void test_dripping_clients(void **state)
{
    struct server *server = *state;

    server->times.command_ms = 300;
    server->times.data_grace_ms = 300;
    server->times.data_rate_min = 1000;
    server->times.sweep_ms = 50;
    server_start(server, 10);
    server_run(server);
    int fd = client_open(server);
    client_expect(fd, "220 ");
    drip(fd, "N");
    client_expect(fd, "421 4.4.2");
    close(fd);
    fd = client_at_data(server);
    drip(fd, "x");
    client_expect(fd, "421 4.4.2");
    close(fd);
    server_stop(server);
    assert_int_equal(fake_store.delivery_count, 0);
}

/* A slow store is no fault of the client. */
static void test_slow_store(void **state)
{
    struct server *server = *state;

    server->times.idle_ms = 1000;
    server->times.command_ms = 1000;
    server->times.data_grace_ms = 1000;
    server->times.sweep_ms = 100;
    server_start(server, 10);
    fake_store.hold_deliveries = true;
    server_run(server);
    int fd = client_at_data(server);
    client_send(fd, BYTES(MESSAGE));
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    assert_int_equal(poll(&poll_fd, 1, 2200), 0);
    store_release(server);
    client_expect(fd, "250 2.0.0");
    close(fd);
    server_stop(server);
}

static void test_stop(void **state)
{
    struct server *server = *state;

    server_start(server, 10);
    server_run(server);
    int idle = client_open(server);
    client_expect(idle, "220 ");
    int busy = client_at_data(server);
    client_send(busy, BYTES("A: b\r\n"));
    server_ask_stop(server);
    client_expect(idle, "421 4.3.2");
    client_expect(idle, "");
    client_say(busy, ".\r\n", "421 4.3.2");
    client_expect(busy, "");
    close(idle);
    close(busy);
    server_join(server);
    assert_int_equal(fake_store.delivery_count, 1);
}

static void test_stop_does_not_wait_for_ever(void **state)
{
    struct server *server = *state;

    server->times.stop_ms = 200;
    server_start(server, 10);
    fake_store.hold_deliveries = true;
    server_run(server);
    int waits = client_at_data(server);
    client_send(waits, BYTES(MESSAGE));
    int stuck = client_at_data(server);
    server_ask_stop(server);
    client_expect(waits, "");
    client_expect(stuck, "");
    close(waits);
    close(stuck);
    server_join(server);
    assert_int_equal(fake_store.delivery_count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SERVER_TEST(test_slow_clients),
        SERVER_TEST(test_dripping_clients),
        SERVER_TEST(test_slow_store),
        SERVER_TEST(test_stop),
        SERVER_TEST(test_stop_does_not_wait_for_ever),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
