/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "node/base/check.h"
#include "smtp/receive/receive.h"
#include "unit/smtp/fake_store.h"

/*
 * The driver over real sockets, with a store in memory. The server's loop runs in a thread; the
 * test is the client, and waits for what it expects with a deadline.
 */
enum { WAIT_MS = 20 * 1000 };

struct server {
    pthread_t thread;
    struct loop *loop;
    struct store_client *store;
    struct receive *receive;
    struct receive_times times;
    struct sockaddr_in address;
    bool stopped;
};

static void *serve(void *context)
{
    struct server *server = context;
    loop_run(server->loop);
    return NULL;
}

static void server_start(struct server *server, unsigned messages_max)
{
    socklen_t len = sizeof(server->address);
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    server->address = (struct sockaddr_in){.sin_family = AF_INET};
    server->address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&server->address, len), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&server->address, &len), 0);
    assert_int_equal(listen(fd, 10), 0);
    server->stopped = false;
    server->loop = loop_new();
    server->store = fake_store_open(server->loop);
    const struct receive_config config = {
        .loop = server->loop,
        .store = server->store,
        .hostname = "mx.test",
        .message_bytes_max = 20 * 1000 * 1000,
        .recipients_max = 100,
        .connections_max = 50,
        .connections_address_max = 50,
        .messages_max = messages_max,
        .times = &server->times,
    };
    server->receive = receive_new(&config);
    receive_listen(server->receive, fd);
}

static void server_run(struct server *server)
{
    assert_int_equal(pthread_create(&server->thread, NULL, serve, server), 0);
}

static void on_stopped(void *context)
{
    struct server *server = context;
    server->stopped = true;
    loop_stop(server->loop);
}

static void stop_now(void *context)
{
    struct server *server = context;
    receive_stop(server->receive, on_stopped, server);
}

static void server_join(struct server *server)
{
    assert_int_equal(pthread_join(server->thread, NULL), 0);
    assert_true(server->stopped);
    receive_free(&server->receive);
    loop_free(&server->loop);
    fake_store_close(&server->store);
}

static void server_stop(struct server *server)
{
    loop_post(server->loop, stop_now, server);
    server_join(server);
}

/* ---- the client ---- */

static int client_open(const struct server *server)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    assert_true(fd >= 0);
    assert_int_equal(
        connect(fd, (const struct sockaddr *)&server->address, sizeof(server->address)), 0);
    return fd;
}

static void client_send(int fd, struct bytes bytes)
{
    while (bytes.len > 0) {
        ssize_t sent = send(fd, bytes.at, bytes.len, MSG_NOSIGNAL);
        assert_true(sent > 0);
        bytes = bytes_skip(bytes, (size_t)sent);
    }
}

/* Reads until the text seen ends with a line that starts with `want`; "" waits for the end. */
static void client_expect(int fd, const char *want)
{
    static char seen[64 * 1024];
    size_t len = 0;

    for (;;) {
        struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
        seen[len] = '\0';
        char *last = seen;
        if (len > 1 && seen[len - 1] == '\n') {
            seen[len - 2] = '\0';
            last = strrchr(seen, '\n') != NULL ? strrchr(seen, '\n') + 1 : seen;
            seen[len - 2] = '\r';
            if (want[0] != '\0' && strncmp(last, want, strlen(want)) == 0)
                return;
        }
        if (poll(&poll_fd, 1, WAIT_MS) != 1)
            fail_msg("no \"%s\" in time, but: %s", want, seen);
        ssize_t got = recv(fd, seen + len, sizeof(seen) - 1 - len, 0);
        if (got <= 0 && want[0] == '\0')
            return;
        if (got <= 0)
            fail_msg("closed instead of \"%s\": %s", want, seen);
        len += (size_t)got;
    }
}

static void client_say(int fd, const char *line, const char *want)
{
    client_send(fd, bytes_of(line));
    client_expect(fd, want);
}

#define ENVELOPE "MAIL FROM:<x@a.test>\r\nRCPT TO:<y@here.test>\r\nDATA\r\n"

static int client_at_data(const struct server *server)
{
    int fd = client_open(server);

    client_expect(fd, "220 mx.test");
    client_say(fd, "EHLO client.test\r\n", "250 ");
    client_say(fd, ENVELOPE, "354 ");
    return fd;
}

static const char message[] = "Subject: s\r\n\r\nhello\r\n..dot\r\n.\r\n";

static void store_release(const struct server *server)
{
    loop_post(server->loop, fake_store_release, NULL);
}

static void store_wait_held(unsigned count)
{
    for (unsigned i = 0; fake_store.held != count; i++) {
        assert_true(i < WAIT_MS);
        poll(NULL, 0, 1);
    }
}

/* ---- tests ---- */

static void test_delivery(void **state)
{
    struct server *server = *state;

    server_start(server, 10);
    server_run(server);
    int fd = client_open(server);
    client_expect(fd, "220 mx.test");
    client_say(fd, "EHLO client.test\r\n", "250 ");
    client_say(fd,
               "MAIL FROM:<x@a.test>\r\nRCPT TO:<Y@Here.test>\r\nRCPT TO:<no@here.test>\r\n"
               "RCPT TO:<z@here.test>\r\nRCPT TO:<y@here.test>\r\nRCPT TO:<a@else.test>\r\n"
               "RCPT TO:<down@here.test>\r\nDATA\r\n",
               "354 ");
    client_say(fd, message, "250 2.0.0 OK id=");
    client_say(fd, ENVELOPE, "354 ");
    client_say(fd, message, "250 2.0.0 OK id=");
    client_say(fd, "QUIT\r\n", "221 ");
    client_expect(fd, "");
    close(fd);
    server_stop(server);

    assert_int_equal(fake_store.delivery_count, 2);
    const struct fake_delivery *first = &fake_store.deliveries[0];
    assert_int_equal(first->account_count, 2);
    assert_int_equal(first->accounts[0], 1);
    assert_int_equal(first->accounts[1], 2);
    assert_in_range(fake_store.deadline_ms, 1, server->times.commit_ms);
    struct bytes body = buffer_bytes(&fake_store.deliveries[1].body);
    char head[400];
    int len = snprintf(head, sizeof(head),
                       "Return-Path: <x@a.test>\r\n"
                       "Received: from client.test ([127.0.0.1])\r\n"
                       "\tby mx.test with ESMTP id %s\r\n"
                       "\tfor <y@here.test>;\r\n\t",
                       fake_store.deliveries[1].trace_id);
    assert_true(body.len > (size_t)len);
    assert_memory_equal(body.at, head, (size_t)len);
    struct bytes rest = bytes_skip(body, (size_t)len);
    rest = bytes_skip(rest, bytes_find(rest, '\n') + 1);
    assert_true(bytes_equal(rest, BYTES("Subject: s\r\n\r\nhello\r\n.dot\r\n")));
}

static void test_replies_to_store_errors(void **state)
{
    static const struct {
        enum err call_err;
        enum err reply_err;
        const char *want;
    } cases[] = {
        {ERR_OK, ERR_UNAVAILABLE, "451 4.3.2"}, {ERR_OK, ERR_FULL, "452 4.3.1"},
        {ERR_OK, ERR_BUSY, "452 4.3.1"},        {ERR_OK, ERR_NOTFOUND, "451 4.3.0"},
        {ERR_TIMEOUT, ERR_OK, "451 4.3.2"},     {ERR_CLOSED, ERR_OK, "451 4.3.2"},
        {ERR_OK, ERR_UNKNOWN, "451 4.3.2"},     {ERR_OK, ERR_OK, "250 2.0.0"},
    };
    struct server *server = *state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        server_start(server, 10);
        fake_store.call_err = cases[i].call_err;
        fake_store.reply_err = cases[i].reply_err;
        server_run(server);
        int fd = client_at_data(server);
        client_say(fd, message, cases[i].want);
        client_say(fd, "NOOP\r\n", "250 ");
        close(fd);
        server_stop(server);
        assert_int_equal(fake_store.delivery_count, cases[i].want[0] == '2');
    }
}

static struct buffer large_message(size_t size)
{
    struct buffer text = BUFFER_EMPTY;

    buffer_add(&text, BYTES("Subject: large\r\n\r\n"));
    for (unsigned i = 0; buffer_len(&text) < size; i++)
        buffer_printf(&text, "%08x%08x line %u\r\n", i * 2654435761U, i * 40503U, i);
    return text;
}

/* The store takes no blocks: the server stops reading, and goes on when it does. */
static void test_large_message_waits_for_the_store(void **state)
{
    struct server *server = *state;
    struct buffer text = large_message(12 * 1000 * 1000);
    struct bytes rest = buffer_bytes(&text);

    server_start(server, 10);
    fake_store.hold_uploads = true;
    server_run(server);
    int fd = client_at_data(server);
    bool stuck = false;
    while (rest.len > 0) {
        struct pollfd poll_fd = {.fd = fd, .events = POLLOUT};
        if (!stuck && poll(&poll_fd, 1, 300) == 0) {
            stuck = true;
            store_release(server);
        }
        ssize_t sent = send(fd, rest.at, rest.len, MSG_NOSIGNAL | (stuck ? 0 : MSG_DONTWAIT));
        if (sent < 0 && errno == EAGAIN)
            continue;
        assert_true(sent > 0);
        rest = bytes_skip(rest, (size_t)sent);
    }
    assert_true(stuck);
    client_say(fd, ".\r\n", "250 2.0.0");
    close(fd);
    server_stop(server);
    assert_int_equal(fake_store.delivery_count, 1);
    struct bytes body = buffer_bytes(&fake_store.deliveries[0].body);
    struct bytes want = buffer_bytes(&text);
    assert_true(body.len > want.len);
    assert_true(bytes_equal(bytes_skip(body, body.len - want.len), want));
    assert_int_equal(fake_store.aborts, 0);
    buffer_fini(&text);
}

static void test_refused_message_is_taken_back(void **state)
{
    struct server *server = *state;
    struct buffer text = large_message(1000 * 1000);

    server_start(server, 10);
    server_run(server);
    int fd = client_at_data(server);
    client_send(fd, buffer_bytes(&text));
    client_say(fd, "bare\nLF\r\n.\r\n", "550 5.6.0");
    client_say(fd, ENVELOPE, "354 ");
    client_say(fd, message, "250 2.0.0");
    close(fd);
    server_stop(server);
    assert_int_equal(fake_store.delivery_count, 1);
    assert_int_equal(fake_store.aborts, 1);
    buffer_fini(&text);
}

/* The client goes while the store is asked: what it says is true all the same. */
static void test_client_leaves_during_commit(void **state)
{
    struct server *server = *state;

    server_start(server, 10);
    fake_store.hold_deliveries = true;
    server_run(server);
    int fd = client_at_data(server);
    client_send(fd, bytes_of(message));
    store_wait_held(1);
    struct linger hard = {.l_onoff = 1};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
    client_send(fd, BYTES("NOOP\r\n"));
    close(fd);
    int other = client_at_data(server);
    store_release(server);
    client_say(other, message, "250 2.0.0");
    close(other);
    server_stop(server);
    assert_int_equal(fake_store.delivery_count, 2);
}

static void test_client_leaves_anywhere(void **state)
{
    static const char talk[] = "EHLO a\r\nMAIL FROM:<>\r\nRCPT TO:<y@here.test>\r\n"
                               "RCPT TO:<z@here.test>\r\nNOOP\r\n";
    struct server *server = *state;

    server_start(server, 10);
    server_run(server);
    for (size_t len = 0; len < sizeof(talk); len++) {
        int fd = client_open(server);
        client_send(fd, bytes_from(talk, len));
        close(fd);
    }
    int fd = client_at_data(server);
    client_send(fd, BYTES("half a mess"));
    close(fd);
    fd = client_at_data(server);
    client_say(fd, message, "250 2.0.0");
    close(fd);
    server_stop(server);
    assert_int_equal(fake_store.delivery_count, 1);
}

static void test_too_many_messages_at_a_time(void **state)
{
    struct server *server = *state;

    server_start(server, 1);
    server_run(server);
    int first = client_at_data(server);
    int second = client_open(server);
    client_expect(second, "220 ");
    client_say(second, "EHLO a\r\n", "250 ");
    client_say(second, ENVELOPE, "452 4.3.1");
    client_say(first, message, "250 2.0.0");
    client_say(second, ENVELOPE, "354 ");
    client_say(second, message, "250 2.0.0");
    close(first);
    close(second);
    server_stop(server);
    assert_int_equal(fake_store.delivery_count, 2);
}

/* Row by row: what a client that takes its time is told. */
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

    server->times.idle_ms = 100;
    server->times.command_ms = 100;
    server->times.data_grace_ms = 100;
    server->times.sweep_ms = 20;
    server_start(server, 10);
    fake_store.hold_deliveries = true;
    server_run(server);
    int fd = client_at_data(server);
    client_send(fd, bytes_of(message));
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    assert_int_equal(poll(&poll_fd, 1, 600), 0);
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
    loop_post(server->loop, stop_now, server);
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
    client_send(waits, bytes_of(message));
    int stuck = client_at_data(server);
    loop_post(server->loop, stop_now, server);
    client_expect(waits, "");
    client_expect(stuck, "");
    close(waits);
    close(stuck);
    server_join(server);
    assert_int_equal(fake_store.delivery_count, 0);
}

static int set_up(void **state)
{
    struct server *server = calloc(1, sizeof(*server));

    CHECK(server != NULL);
    server->times = receive_times_default;
    *state = server;
    return 0;
}

static int tear_down(void **state)
{
    free(*state);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_delivery),
        TEST(test_replies_to_store_errors),
        TEST(test_large_message_waits_for_the_store),
        TEST(test_refused_message_is_taken_back),
        TEST(test_client_leaves_during_commit),
        TEST(test_client_leaves_anywhere),
        TEST(test_too_many_messages_at_a_time),
        TEST(test_slow_clients),
        TEST(test_dripping_clients),
        TEST(test_slow_store),
        TEST(test_stop),
        TEST(test_stop_does_not_wait_for_ever),
    };
    signal(SIGPIPE, SIG_IGN); /* as every program of a node does */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
