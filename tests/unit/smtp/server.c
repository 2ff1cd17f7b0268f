/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "unit/smtp/server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "node/base/check.h"
#include "unit/smtp/fake_store.h"

enum { WAIT_MS = 20 * 1000 };

static void *serve(void *context)
{
    struct server *server = context;
    loop_run(server->loop);
    return NULL;
}

static void make_tls(struct server *server)
{
    struct arena arena;
    struct bytes certificate;
    struct bytes key;

    arena_init(&arena);
    tls_self_signed("mx.test", &arena, &certificate, &key);
    assert_int_equal(tls_context_new(certificate, key, &server->tls), ERR_OK);
    arena_fini(&arena);
}

void server_start(struct server *server, unsigned messages_max)
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
    if (server->implicit)
        make_tls(server);
    server->loop = loop_new();
    server->store = fake_store_open(server->loop);
    const struct receive_config config = {
        .loop = server->loop,
        .store = server->store,
        .tls = server->tls,
        .hostname = "mx.test",
        .message_bytes_max = 20 * 1000 * 1000,
        .recipients_max = 100,
        .submission_recipients_max = 100,
        .auth_failures_max = 3,
        .memory = server->memory,
        .connections_max = 50,
        .connections_address_max = 50,
        .messages_max = messages_max,
        .times = &server->times,
        .xclient_networks = server->xclient_networks,
    };
    server->receive = receive_new(&config);
    receive_listen(server->receive, fd, server->service, server->implicit);
}

void server_run(struct server *server)
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

void server_join(struct server *server)
{
    assert_int_equal(pthread_join(server->thread, NULL), 0);
    assert_true(server->stopped);
    receive_free(&server->receive);
    loop_free(&server->loop);
    fake_store_close(&server->store);
    tls_context_free(&server->tls);
}

void server_ask_stop(struct server *server)
{
    loop_post(server->loop, stop_now, server);
}

void server_stop(struct server *server)
{
    server_ask_stop(server);
    server_join(server);
}

/* ---- the client ---- */

int client_open(const struct server *server)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    assert_true(fd >= 0);
    assert_int_equal(
        connect(fd, (const struct sockaddr *)&server->address, sizeof(server->address)), 0);
    return fd;
}

void client_send(int fd, struct bytes bytes)
{
    while (bytes.len > 0) {
        ssize_t sent = send(fd, bytes.at, bytes.len, MSG_NOSIGNAL);
        assert_true(sent > 0);
        bytes = bytes_skip(bytes, (size_t)sent);
    }
}

/* Reads until the text seen ends with a line that starts with `want`; "" waits for the end. */
void client_expect(int fd, const char *want)
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

void client_say(int fd, const char *line, const char *want)
{
    client_send(fd, bytes_of(line));
    client_expect(fd, want);
}

int client_at_data(const struct server *server)
{
    int fd = client_open(server);

    client_expect(fd, "220 mx.test");
    client_say(fd, "EHLO client.test\r\n", "250 ");
    client_say(fd, ENVELOPE, "354 ");
    return fd;
}

void store_release(const struct server *server)
{
    loop_post(server->loop, fake_store_release, NULL);
}

void store_wait_held(unsigned count)
{
    for (unsigned i = 0; fake_store.held != count; i++) {
        assert_true(i < WAIT_MS);
        poll(NULL, 0, 1);
    }
}

int server_set_up(void **state)
{
    struct server *server = calloc(1, sizeof(*server));

    CHECK(server != NULL);
    signal(SIGPIPE, SIG_IGN); /* as every program of a node does */
    server->times = receive_times_default;
    *state = server;
    return 0;
}

int server_tear_down(void **state)
{
    free(*state);
    return 0;
}
