/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/node/runtime/until.h"

#include <arpa/inet.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "node/base/buffer.h"
#include "node/base/check.h"
#include "node/runtime/conn.h"

/*
 * The server speaks in lines. It takes one line a call; "HOLD" makes it take nothing more for a
 * while. The clients are threads with blocking sockets.
 */
struct server {
    struct loop *loop;
    struct conn_listener *listener;
    struct tls_context *tls;
    uint16_t port;
    bool implicit;
    unsigned opened, closed, idle, tls_started, writable;
    size_t fed_max;
    char last_tls[80];
    char last_peer[64];
    _Atomic bool client_done;
};

struct session {
    struct server *server;
    struct conn *conn;
    bool held;
    bool later_tls;
    size_t stream_left;
};

static void *on_open(void *context, struct conn *conn)
{
    struct server *server = context;
    struct session *session = calloc(1, sizeof(*session));
    CHECK(session != NULL);
    *session = (struct session){.server = server, .conn = conn};
    server->opened++;
    snprintf(server->last_peer, sizeof(server->last_peer), "%s", conn_peer_address(conn));
    conn_write(conn, BYTES("hello\n"));
    return session;
}

static void on_released(void *context)
{
    struct session *session = context;
    session->held = false;
    conn_resume(session->conn);
}

static void stream(struct session *session)
{
    static const char block[8192];
    while (session->stream_left > 0 && !conn_full(session->conn)) {
        size_t len =
            session->stream_left < sizeof(block) ? session->stream_left : sizeof(block);
        conn_write(session->conn, bytes_from(block, len));
        session->stream_left -= len;
    }
}

static void on_tls_later(void *context)
{
    struct session *session = context;
    enum err err = conn_start_tls(session->conn);
    if (err != ERR_OK)
        conn_write(session->conn, bytes_of(err_name(err)));
    session->held = false;
    conn_resume(session->conn);
}

static void run_line(struct session *session, struct bytes line)
{
    struct conn *conn = session->conn;
    struct loop *loop = session->server->loop;
    if (bytes_start_nocase(line, BYTES("ECHO "))) {
        conn_write(conn, bytes_skip(line, 5));
        conn_write(conn, BYTES("\n"));
    } else if (bytes_equal(line, BYTES("QUIT"))) {
        conn_write(conn, BYTES("bye\n"));
        conn_close(conn);
        conn_write(conn, BYTES("never seen\n"));
    } else if (bytes_equal(line, BYTES("STARTTLS"))) {
        conn_write(conn, BYTES("go\n"));
        CHECK(conn_start_tls(conn) == ERR_OK);
    } else if (bytes_equal(line, BYTES("NOTLS"))) {
        conn_write(conn, bytes_of(err_name(conn_start_tls(conn))));
        conn_write(conn, BYTES("\n"));
    } else if (bytes_equal(line, BYTES("LATER"))) {
        loop_timer_start(loop, 50, 0, on_tls_later, session);
        session->held = true;
    } else if (bytes_equal(line, BYTES("HOLD"))) {
        session->held = true;
        loop_timer_start(loop, 50, 0, on_released, session);
    } else if (bytes_start_nocase(line, BYTES("STREAM "))) {
        uint64_t count;
        CHECK(bytes_to_u64(bytes_skip(line, 7), &count));
        session->stream_left = count;
        stream(session);
    } else if (bytes_equal(line, BYTES("IDLE"))) {
        conn_set_idle(conn, 150);
    }
}

static size_t on_feed(void *context, struct bytes input)
{
    struct session *session = context;
    size_t len = bytes_find(input, '\n');
    if (input.len > session->server->fed_max)
        session->server->fed_max = input.len;
    if (session->held || len == input.len)
        return 0;
    run_line(session, bytes_from(input.at, len));
    return len + 1;
}

static void on_tls_started(void *context)
{
    struct session *session = context;
    session->server->tls_started++;
    CHECK(conn_has_tls(session->conn));
    snprintf(session->server->last_tls, sizeof(session->server->last_tls), "%s",
             conn_tls_text(session->conn));
}

static void on_idle(void *context)
{
    struct session *session = context;
    session->server->idle++;
    conn_write(session->conn, BYTES("too slow\n"));
    conn_close(session->conn);
}

static void on_writable(void *context)
{
    struct session *session = context;
    session->server->writable++;
    stream(session);
}

static void on_closed(void *context)
{
    struct session *session = context;
    session->server->closed++;
    free(session);
}

static const struct conn_protocol protocol = {on_open, on_feed,     on_tls_started,
                                              on_idle, on_writable, on_closed};

static int listen_on_any(uint16_t *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t len = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(fd, 128), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    *port = ntohs(address.sin_port);
    return fd;
}

static void server_start(struct server *server, bool implicit, struct conn_limits limits)
{
    struct arena arena;
    struct bytes certificate, key;
    *server = (struct server){.loop = loop_new(), .implicit = implicit};
    arena_init(&arena);
    tls_self_signed("localhost", &arena, &certificate, &key);
    assert_int_equal(tls_context_new(certificate, key, &server->tls), ERR_OK);
    arena_fini(&arena);
    int fd = listen_on_any(&server->port);
    server->listener = conn_listen(server->loop, fd, &protocol, server, server->tls, implicit,
                                   &limits, BYTES("full\n"));
}

static bool all_is_over(void *context)
{
    struct server *server = context;
    return atomic_load(&server->client_done) && server->closed == server->opened &&
           conn_count() == 0;
}

static void server_stop(struct server *server)
{
    conn_listener_close(&server->listener);
    loop_free(&server->loop);
    tls_context_free(&server->tls);
    assert_int_equal(server->closed, server->opened);
    assert_int_equal(conn_count(), 0);
}

/* A client's script runs in a thread of its own and returns NULL, or what went wrong. */
struct client {
    struct server *server;
    const char *(*script)(struct client *client);
    const char *problem;
    int fd;
    SSL *ssl;
    struct buffer seen;
};

static bool say(struct client *client, const char *text)
{
    size_t len = strlen(text);
    if (client->ssl != NULL)
        return SSL_write(client->ssl, text, (int)len) == (int)len;
    return send(client->fd, text, len, MSG_NOSIGNAL) == (ssize_t)len;
}

static ssize_t hear(struct client *client, void *at, size_t size)
{
    if (client->ssl != NULL)
        return SSL_read(client->ssl, at, (int)size);
    return recv(client->fd, at, size, 0);
}

/* Exactly this comes next. */
static bool want(struct client *client, const char *text)
{
    char got[256];
    size_t len = strlen(text), have = 0;
    while (have < len) {
        ssize_t part = hear(client, got + have, len - have);
        if (part <= 0)
            return false;
        have += (size_t)part;
    }
    return memcmp(got, text, len) == 0;
}

static bool want_end(struct client *client)
{
    char byte;
    return hear(client, &byte, 1) == 0;
}

static bool client_tls(struct client *client)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    client->ssl = SSL_new(context);
    SSL_CTX_free(context);
    SSL_set_fd(client->ssl, client->fd);
    return SSL_connect(client->ssl) == 1;
}

static int dial(uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct timeval limit = {.tv_sec = 20};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    CHECK(connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0);
    return fd;
}

static void *client_main(void *context)
{
    struct client *client = context;
    client->fd = dial(client->server->port);
    if (client->server->implicit && !client_tls(client))
        client->problem = "handshake";
    if (client->problem == NULL)
        client->problem = client->script(client);
    SSL_free(client->ssl);
    close(client->fd);
    buffer_fini(&client->seen);
    atomic_store(&client->server->client_done, true);
    return NULL;
}

static void play_with(const char *(*script)(struct client *client), bool implicit,
                      struct conn_limits limits, struct server *server)
{
    struct client client = {.server = server, .script = script};
    pthread_t thread;
    server_start(server, implicit, limits);
    assert_int_equal(pthread_create(&thread, NULL, client_main, &client), 0);
    run_until(server->loop, all_is_over, server);
    pthread_join(thread, NULL);
    if (client.problem != NULL)
        fail_msg("client: %s", client.problem);
    server_stop(server);
}

static struct server play(const char *(*script)(struct client *client), bool implicit)
{
    struct server server;
    play_with(script, implicit, conn_limits_default, &server);
    return server;
}

#define EXPECT(condition)                                                                      \
    do {                                                                                       \
        if (!(condition))                                                                      \
            return #condition;                                                                 \
    } while (0)

static const char *talk(struct client *client)
{
    EXPECT(want(client, "hello\n"));
    EXPECT(say(client, "ECHO one\nECHO two\nECHO th"));
    EXPECT(want(client, "one\ntwo\n"));
    EXPECT(say(client, "ree\nQUIT\nECHO four\n"));
    EXPECT(want(client, "three\nbye\n"));
    EXPECT(want_end(client));
    return NULL;
}

static void lines_are_answered_in_the_clear_and_in_tls(void **state)
{
    (void)state;
    struct server server = play(talk, false);
    assert_string_equal(server.last_peer, "127.0.0.1");
    assert_int_equal(server.opened, 1);
    server = play(talk, true);
    assert_int_equal(server.opened, 1);
}

/* Every cut must give the same conversation. */
static const char *talk_in_bytes(struct client *client)
{
    static const char text[] = "ECHO one\nHOLD\nECHO two\nQUIT\n";
    EXPECT(want(client, "hello\n"));
    for (size_t i = 0; i + 1 < sizeof(text); i++) {
        char one[2] = {text[i], '\0'};
        EXPECT(say(client, one));
    }
    EXPECT(want(client, "one\ntwo\nbye\n"));
    EXPECT(want_end(client));
    return NULL;
}

static void input_may_come_in_single_bytes(void **state)
{
    (void)state;
    play(talk_in_bytes, false);
    play(talk_in_bytes, true);
}

static const char *upgrade(struct client *client)
{
    EXPECT(want(client, "hello\n"));
    EXPECT(say(client, "NOPE\nSTARTTLS\n"));
    EXPECT(want(client, "go\n"));
    EXPECT(client_tls(client));
    EXPECT(strcmp(SSL_get_version(client->ssl), "TLSv1.3") == 0);
    EXPECT(say(client, "ECHO safe\nNOTLS\nQUIT\n"));
    EXPECT(want(client, "safe\nUNSUPPORTED\nbye\n"));
    EXPECT(want_end(client));
    return NULL;
}

static void starttls_upgrades(void **state)
{
    (void)state;
    struct server server = play(upgrade, false);
    assert_int_equal(server.tls_started, 1);
    assert_string_equal(server.last_tls, "TLSv1.3 TLS_AES_256_GCM_SHA384");
}

static const char *inject(struct client *client)
{
    EXPECT(want(client, "hello\n"));
    EXPECT(say(client, "STARTTLS\nECHO injected\n"));
    EXPECT(!want(client, "g")); /* not even the answer */
    return NULL;
}

static void bytes_behind_starttls_end_the_connection(void **state)
{
    (void)state;
    struct server server = play(inject, false);
    assert_int_equal(server.tls_started, 0);
}

static const char *inject_later(struct client *client)
{
    EXPECT(want(client, "hello\n"));
    EXPECT(say(client, "LATER\nECHO injected\n"));
    EXPECT(want(client, "INVALIDinjected\n"));
    return NULL;
}

static void bytes_behind_a_later_starttls_are_told_of(void **state)
{
    (void)state;
    struct server server = play(inject_later, false);
    assert_int_equal(server.tls_started, 0);
}

static const char *garbage_handshake(struct client *client)
{
    EXPECT(want(client, "hello\n"));
    EXPECT(say(client, "STARTTLS\n"));
    EXPECT(want(client, "go\n"));
    EXPECT(say(client, "ECHO not a client hello\n"));
    char byte;
    while (recv(client->fd, &byte, 1, 0) > 0) /* an alert at most */
        EXPECT(byte != 'n');
    return NULL;
}

static void a_bad_handshake_ends_the_connection(void **state)
{
    (void)state;
    struct server server = play(garbage_handshake, false);
    assert_int_equal(server.tls_started, 0);
    assert_int_equal(server.closed, 1);
}

static const char *stream_in(struct client *client)
{
    static char block[65536];
    size_t total = 0;
    EXPECT(want(client, "hello\n"));
    EXPECT(say(client, "STREAM 30000000\nQUIT\n"));
    while (total < 30000000 + 4) {
        ssize_t part = hear(client, block, sizeof(block));
        EXPECT(part > 0);
        total += (size_t)part;
    }
    EXPECT(want_end(client));
    EXPECT(total == 30000000 + 4);
    return NULL;
}

static void a_long_answer_waits_for_its_reader(void **state)
{
    (void)state;
    struct conn_limits limits = conn_limits_default;
    struct server server;
    limits.output_max = limits.output_high + 16384; /* more would cut the connection */
    play_with(stream_in, false, limits, &server);
    assert_true(server.writable > 10);
    play_with(stream_in, true, limits, &server);
    assert_true(server.writable > 10);
}

static const char *flood(struct client *client)
{
    static char line[] =
        "ECHO 0123456789012345678901234567890123456789012345678901234567890123\n";
    EXPECT(want(client, "hello\n"));
    EXPECT(say(client, "HOLD\n"));
    for (unsigned i = 0; i < 20000; i++)
        EXPECT(say(client, line));
    for (unsigned i = 0; i < 20000; i++)
        EXPECT(want(client, line + 5));
    return NULL;
}

/* The client writes 1.4 MB before it reads; neither side may keep all of that. */
static void input_that_nobody_takes_stays_outside(void **state)
{
    (void)state;
    struct conn_limits limits = conn_limits_default;
    struct server server;
    limits.input_max = 4096;
    limits.output_high = 20000;
    limits.output_low = 10000;
    play_with(flood, false, limits, &server);
    assert_true(server.fed_max <= 4096 + 65536);
    play_with(flood, true, limits, &server);
    assert_true(server.fed_max <= 4096 + 16384);
}

static const char *be_idle(struct client *client)
{
    EXPECT(want(client, "hello\n"));
    EXPECT(say(client, "IDLE\n"));
    EXPECT(want(client, "too slow\n"));
    EXPECT(want_end(client));
    return NULL;
}

static void who_says_nothing_is_sent_away(void **state)
{
    (void)state;
    struct server server = play(be_idle, false);
    assert_int_equal(server.idle, 1);
    server = play(be_idle, true);
    assert_int_equal(server.idle, 1);
}

static const char *drip(struct client *client)
{
    EXPECT(want(client, "hello\n"));
    EXPECT(say(client, "STARTTLS\n"));
    EXPECT(want(client, "go\n"));
    /* A handshake of one byte now and then goes on for ever, if the server lets it. */
    while (send(client->fd, "\026", 1, MSG_NOSIGNAL) == 1) {
        char byte;
        struct timeval limit = {.tv_usec = 20000};
        setsockopt(client->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
        if (recv(client->fd, &byte, 1, 0) == 0)
            return NULL;
    }
    return NULL;
}

static void a_slow_handshake_has_an_end(void **state)
{
    (void)state;
    struct conn_limits limits = conn_limits_default;
    struct server server;
    limits.tls_handshake_ms = 200;
    play_with(drip, false, limits, &server);
    assert_int_equal(server.tls_started, 0);
}

static const char *half_close(struct client *client)
{
    EXPECT(want(client, "hello\n"));
    EXPECT(say(client, "HOLD\nECHO late\nECHO later\n"));
    EXPECT(shutdown(client->fd, SHUT_WR) == 0);
    EXPECT(want(client, "late\nlater\n"));
    EXPECT(want_end(client));
    return NULL;
}

static void a_half_closed_peer_gets_its_answers(void **state)
{
    (void)state;
    play(half_close, false);
}

static const char *close_notify(struct client *client)
{
    EXPECT(want(client, "hello\n"));
    EXPECT(say(client, "ECHO a\n"));
    EXPECT(want(client, "a\n"));
    SSL_shutdown(client->ssl);
    /* What follows in the clear is nobody's command. */
    EXPECT(send(client->fd, "ECHO clear\n", 11, MSG_NOSIGNAL) == 11);
    EXPECT(want_end(client));
    return NULL;
}

static void nothing_is_read_behind_close_notify(void **state)
{
    (void)state;
    play(close_notify, true);
}

static const char *vanish(struct client *client)
{
    struct linger hard = {.l_onoff = 1};
    EXPECT(want(client, "hello\n"));
    EXPECT(say(client, "STREAM 30000000\n"));
    EXPECT(want(client, "\0\0\0"));
    setsockopt(client->fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
    return NULL;
}

static void a_peer_that_resets_is_forgotten(void **state)
{
    (void)state;
    play(vanish, false);
    play(vanish, true);
}

static const char *never_read(struct client *client)
{
    EXPECT(want(client, "hello\n"));
    EXPECT(say(client, "STREAM 30000000\nQUIT\n"));
    EXPECT(say(client, "IDLE\n"));
    char byte;
    /* Wait until the server has given up, without taking what it sends. */
    for (unsigned i = 0; i < 1000 && !atomic_load(&client->server->client_done); i++) {
        if (send(client->fd, "x", 1, MSG_NOSIGNAL) != 1)
            return NULL;
        usleep(5000);
    }
    return recv(client->fd, &byte, 1, MSG_PEEK) >= 0 ? "still there" : NULL;
}

static void a_peer_that_never_reads_is_cut(void **state)
{
    (void)state;
    struct conn_limits limits = conn_limits_default;
    struct server server;
    limits.idle_ms = 200;
    limits.close_ms = 200;
    play_with(never_read, false, limits, &server);
}

static const char *crowd(struct client *client)
{
    int more[3];
    char text[8] = "";
    EXPECT(want(client, "hello\n"));
    for (unsigned i = 0; i < 3; i++)
        more[i] = dial(client->server->port);
    EXPECT(recv(more[0], text, 6, MSG_WAITALL) == 6 && strcmp(text, "hello\n") == 0);
    memset(text, 0, sizeof(text));
    EXPECT(recv(more[2], text, 5, MSG_WAITALL) == 5 && strcmp(text, "full\n") == 0);
    EXPECT(recv(more[2], text, 1, 0) == 0);
    close(more[0]);
    close(more[1]);
    close(more[2]);
    /* There is room again. */
    for (unsigned i = 0; i < 1000; i++) {
        int fd = dial(client->server->port);
        memset(text, 0, sizeof(text));
        bool welcome = recv(fd, text, 5, MSG_WAITALL) == 5 && strcmp(text, "hello") == 0;
        close(fd);
        if (welcome)
            return NULL;
        usleep(5000);
    }
    return "no room";
}

static void limits_of_connections_are_kept(void **state)
{
    (void)state;
    struct conn_limits limits = conn_limits_default;
    struct server server;
    limits.connections_max = 3;
    play_with(crowd, false, limits, &server);
    limits = conn_limits_default;
    limits.connections_address_max = 3;
    play_with(crowd, false, limits, &server);
}

static void loop_free_ends_what_is_open(void **state)
{
    struct server server;
    (void)state;
    server_start(&server, false, conn_limits_default);
    int fd = dial(server.port);
    atomic_store(&server.client_done, true);
    bool opened = false;
    while (!opened) {
        struct loop_timer *timer =
            loop_timer_start(server.loop, 5, 0, (void (*)(void *))loop_stop, server.loop);
        loop_run(server.loop);
        (void)timer;
        opened = server.opened == 1;
    }
    server_stop(&server);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_are_answered_in_the_clear_and_in_tls),
        cmocka_unit_test(input_may_come_in_single_bytes),
        cmocka_unit_test(starttls_upgrades),
        cmocka_unit_test(bytes_behind_starttls_end_the_connection),
        cmocka_unit_test(bytes_behind_a_later_starttls_are_told_of),
        cmocka_unit_test(a_bad_handshake_ends_the_connection),
        cmocka_unit_test(a_long_answer_waits_for_its_reader),
        cmocka_unit_test(input_that_nobody_takes_stays_outside),
        cmocka_unit_test(who_says_nothing_is_sent_away),
        cmocka_unit_test(a_slow_handshake_has_an_end),
        cmocka_unit_test(a_half_closed_peer_gets_its_answers),
        cmocka_unit_test(nothing_is_read_behind_close_notify),
        cmocka_unit_test(a_peer_that_resets_is_forgotten),
        cmocka_unit_test(a_peer_that_never_reads_is_cut),
        cmocka_unit_test(limits_of_connections_are_kept),
        cmocka_unit_test(loop_free_ends_what_is_open),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
