/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/node/runtime/lines.h"

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
    /* The beginning of a record of 512 bytes that never becomes whole. */
    static const char header[5] = {0x16, 3, 1, 2, 0};
    const struct timeval pause = {.tv_usec = 20000};
    EXPECT(want(client, "hello\n"));
    EXPECT(say(client, "STARTTLS\n"));
    EXPECT(want(client, "go\n"));
    EXPECT(send(client->fd, header, sizeof(header), MSG_NOSIGNAL) == sizeof(header));
    setsockopt(client->fd, SOL_SOCKET, SO_RCVTIMEO, &pause, sizeof(pause));
    for (unsigned i = 0; i < 500; i++) {
        char byte;
        if (send(client->fd, "\1", 1, MSG_NOSIGNAL) != 1 || recv(client->fd, &byte, 1, 0) == 0)
            return NULL;
    }
    return "it goes on";
}

static void a_slow_handshake_has_an_end(void **state)
{
    (void)state;
    struct conn_limits limits = conn_limits_default;
    struct server server;
    limits.tls_handshake_ms = 200;
    play_with(drip, false, limits, &server);
    assert_int_equal(server.idle, 0);
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
