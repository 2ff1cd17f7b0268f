/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/node/runtime/lines.h"

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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
