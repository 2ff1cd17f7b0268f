/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "smtp/receive/visitor.h"
#include "unit/smtp/fake_store.h"
#include "unit/smtp/server.h"

/*
 * Slow clients, a slow store, and the end of the service. The limits are set when the client
 * has come to the point that they are about, and what a test waits for is that the server has
 * looked: nothing depends on how fast this machine is.
 */
enum { LOOKS = 3, WAIT_MS = 20 * 1000, LONG_MS = 300 * 1000 };

static _Atomic unsigned sweeps;
static _Atomic unsigned idles;

void __real_visitor_sweep(struct visitor *visitor, uint64_t now_ms);
void __wrap_visitor_sweep(struct visitor *visitor, uint64_t now_ms);
void __real_conn_set_idle(struct conn *conn, uint64_t idle_ms);
void __wrap_conn_set_idle(struct conn *conn, uint64_t idle_ms);

void __wrap_visitor_sweep(struct visitor *visitor, uint64_t now_ms)
{
    sweeps++;
    __real_visitor_sweep(visitor, now_ms);
}

/* A visitor whose time is over, and who is not to blame, gets it again. */
void __wrap_conn_set_idle(struct conn *conn, uint64_t idle_ms)
{
    idles++;
    __real_conn_set_idle(conn, idle_ms);
}

static void set_times(struct server *server, unsigned idle_ms, unsigned other_ms)
{
    server->times.idle_ms = idle_ms;
    server->times.command_ms = other_ms;
    server->times.data_grace_ms = other_ms;
    for (struct visitor *visitor = server->receive->visitors; visitor != NULL;
         visitor = visitor->next)
        __real_conn_set_idle(visitor->conn, idle_ms);
    sweeps = idles = 0;
}

/* For loop_post(): who is here has hardly any time left; none to be silent; as much as it
 * likes. */
static void hurry(void *context)
{
    set_times(context, LONG_MS, 20);
}

static void hurry_in_silence(void *context)
{
    set_times(context, 20, 20);
}

static void relax(void *context)
{
    set_times(context, LONG_MS, LONG_MS);
}

static void test_slow_clients(void **state)
{
    struct server *server = *state;

    server->times.idle_ms = 200;
    server_start(server, 10);
    server_run(server);
    int fd = client_open(server);
    client_expect(fd, "421 4.4.2"); /* behind the greeting */
    client_expect(fd, "");
    close(fd);
    server_stop(server);

    server->times.idle_ms = LONG_MS;
    server_start(server, 10);
    server_run(server);
    fd = client_at_data(server);
    loop_post(server->loop, hurry_in_silence, server);
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

    server->times.data_rate_min = 1000;
    server->times.sweep_ms = 10;
    server_start(server, 10);
    server_run(server);
    int fd = client_open(server);
    client_expect(fd, "220 ");
    loop_post(server->loop, hurry, server);
    drip(fd, "N");
    client_expect(fd, "421 4.4.2");
    close(fd);
    loop_post(server->loop, relax, server);
    fd = client_at_data(server);
    loop_post(server->loop, hurry, server);
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

    server->times.sweep_ms = 10;
    server_start(server, 10);
    fake_store.hold_deliveries = true;
    server_run(server);
    int fd = client_at_data(server);
    client_send(fd, BYTES(MESSAGE));
    store_wait_held(1);
    loop_post(server->loop, hurry_in_silence, server);
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    for (unsigned i = 0; sweeps < LOOKS * 10 || idles < LOOKS; i++) {
        assert_true(i < WAIT_MS);
        assert_int_equal(poll(&poll_fd, 1, 1), 0);
    }
    loop_post(server->loop, relax, server);
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
