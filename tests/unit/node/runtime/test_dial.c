/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Connections to other hosts are what accepted ones are, and end as they do. */
#include "tests/unit/node/runtime/talker.h"

#include "node/runtime/metrics.h"

static void a_conversation_goes_as_with_who_was_accepted(void **state)
{
    struct talker talker = {.say = "ECHO one\nPEER\nQUIT\n"};
    struct server server;
    char want[128];
    (void)state;
    server_start(&server, false, conn_limits_default);
    uint64_t dialled = metric_get(METRIC_CONNECTIONS_DIALLED);
    const struct dial_config config = to("127.0.0.1", server.port, &talker);
    dial_start(server.loop, &config);
    assert_int_equal(talker.opened, 0); /* never inside the call */
    run_until(server.loop, both_are_done, &talker);
    assert_int_equal(talker.opened, 1);
    assert_int_equal(talker.failed, 0);
    snprintf(want, sizeof(want), "hello\none\n127.0.0.1 %u \nbye\n", talker.local_port);
    assert_int_equal(buffer_len(&talker.got), strlen(want));
    assert_memory_equal(buffer_bytes(&talker.got).at, want, strlen(want));
    assert_int_equal(metric_get(METRIC_CONNECTIONS_DIALLED), dialled + 1);
    struct address loopback = address_of("127.0.0.1");
    assert_true(address_equal(&talker.peer, &loopback));
    assert_true(address_equal(&talker.local, &loopback));
    buffer_fini(&talker.got);
    server_stop(&server);
}

/* 30 MB that the talker does not read for a while, and the server that may not keep them. */
static void who_reads_late_is_waited_for(void **state)
{
    struct talker talker = {.say = "STREAM 30000000\nQUIT\n", .pause_at = 2000000};
    struct conn_limits limits = conn_limits_default;
    struct server server;
    (void)state;
    limits.output_max = limits.output_high + 16384;
    server_start(&server, false, limits);
    struct dial_config config = to("127.0.0.1", server.port, &talker);
    limits.input_max = 4096;
    config.limits = &limits;
    dial_start(server.loop, &config);
    run_until(server.loop, both_are_done, &talker);
    assert_int_equal(talker.count, strlen("hello\n") + 30000000 + strlen("bye\n"));
    buffer_fini(&talker.got);
    server_stop(&server);
}

static void the_idle_limit_is_the_dials(void **state)
{
    struct talker talker = {.say = NULL};
    struct conn_limits limits = conn_limits_default;
    struct server server;
    (void)state;
    server_start(&server, false, limits);
    struct dial_config config = to("127.0.0.1", server.port, &talker);
    limits.idle_ms = 100;
    config.limits = &limits;
    dial_start(server.loop, &config);
    limits.idle_ms = 3600 * 1000; /* it was copied */
    run_until(server.loop, both_are_done, &talker);
    assert_int_equal(talker.idle, 1);
    assert_int_equal(server.idle, 0);
    buffer_fini(&talker.got);
    server_stop(&server);
}

/* Our own two sides of TLS, and what binds a log-in to it is the same on both. */
static void our_own_server_is_spoken_to_in_tls(void **state)
{
    struct talker talker = {.say = "STARTTLS\n"};
    struct server server;
    (void)state;
    assert_int_equal(tls_client_new("", &talker.tls), ERR_OK);
    server_start(&server, false, conn_limits_default);
    const struct dial_config config = to("127.0.0.1", server.port, &talker);
    dial_start(server.loop, &config);
    run_until(server.loop, both_are_done, &talker);
    assert_int_equal(talker.started, 1);
    assert_int_equal(server.tls_started, 1);
    assert_string_equal(server.last_tls, "TLSv1.3 TLS_AES_256_GCM_SHA384");
    buffer_add_string(&talker.bindings, "safe\nbye\n");
    struct bytes got = bytes_skip(buffer_bytes(&talker.got), strlen("hello\ngo\n"));
    assert_true(bytes_equal(got, buffer_bytes(&talker.bindings)));
    buffer_fini(&talker.got);
    buffer_fini(&talker.bindings);
    server_stop(&server);
    tls_client_free(&talker.tls);
}

static void what_is_cancelled_says_nothing(void **state)
{
    struct talker talker = {.say = NULL};
    uint16_t port = 0;
    int fd = listen_at("127.0.0.1", &port, 8);
    struct loop *loop = loop_new();
    struct dial_config config = to("127.0.0.1", port, &talker);
    struct address foreign = address_of("198.51.100.7");
    bool later = false;
    (void)state;
    struct dial *good = dial_start(loop, &config);
    config.source = &foreign;
    struct dial *bad = dial_start(loop, &config);
    dial_cancel(&good);
    dial_cancel(&bad);
    assert_null(good);
    assert_null(bad);
    dial_cancel(&good);
    loop_timer_start(loop, 100, 0, set_flag, &later);
    run_until(loop, is_set, &later);
    config.source = NULL;
    dial_start(loop, &config); /* left to loop_free() */
    loop_free(&loop);
    assert_int_equal(talker.opened + talker.failed + talker.closed, 0);
    assert_int_equal(conn_count(), 0);
    close(fd);
}

enum { MANY = 150, ROUNDS = 4 };

/* Each dials again from where it hears how the last one ended, so descriptors are used again at
 * once; some that are under way are given up. */
struct again {
    struct talker talker; /* first: what the callbacks are given */
    struct loop *loop;
    uint16_t good, bad;
    unsigned round, ended;
    bool over;
};

static void dial_again(struct again *again);

static void again_closed(void *context)
{
    struct again *again = context;
    again->ended++;
    dial_again(again);
}

static void again_failed(void *context, enum err err, const char *reason)
{
    (void)reason;
    assert_int_equal(err, ERR_CLOSED);
    again_closed(context);
}

static const struct conn_protocol dialling_again = {
    talker_open, talker_feed, talker_tls_started, talker_idle, talker_writable, again_closed};

static void dial_again(struct again *again)
{
    again->over = again->round == ROUNDS;
    if (again->over)
        return;
    bool good = again->round++ % 2 == 0;
    struct dial_config config =
        to("127.0.0.1", good ? again->good : again->bad, &again->talker);
    config.protocol = &dialling_again;
    config.failed = again_failed;
    struct dial *given_up = dial_start(again->loop, &config);
    dial_start(again->loop, &config);
    dial_cancel(&given_up);
}

static bool all_are_over(void *context)
{
    const struct again *all = context;
    for (unsigned i = 0; i < MANY; i++)
        if (!all[i].over)
            return false;
    return conn_count() == 0;
}

static void many_dial_again_and_again(void **state)
{
    static struct again all[MANY];
    struct conn_limits limits = conn_limits_default;
    struct server server;
    uint16_t bad = 0;
    (void)state;
    limits.connections_address_max = 2 * MANY;
    server_start(&server, false, limits);
    close(listen_at("127.0.0.1", &bad, 8));
    for (unsigned i = 0; i < MANY; i++) {
        all[i] = (struct again){.talker = {.say = "ECHO one\nQUIT\n"},
                                .loop = server.loop,
                                .good = server.port,
                                .bad = bad,
                                .round = i % 2};
        dial_again(&all[i]);
    }
    run_until(server.loop, all_are_over, all);
    for (unsigned i = 0; i < MANY; i++) {
        assert_int_equal(all[i].talker.opened, 2 - i % 2);
        assert_int_equal(all[i].ended, ROUNDS - i % 2);
        assert_int_equal(all[i].talker.count,
                         all[i].talker.opened * strlen("hello\none\nbye\n"));
        buffer_fini(&all[i].talker.got);
    }
    server_stop(&server);
}

static void an_open_connection_ends_with_the_loop(void **state)
{
    struct talker talker = {.say = NULL};
    uint16_t port = 0;
    int fd = listen_at("127.0.0.1", &port, 8);
    struct loop *loop = loop_new();
    const struct dial_config config = to("127.0.0.1", port, &talker);
    bool later = false;
    (void)state;
    dial_start(loop, &config);
    loop_timer_start(loop, 100, 0, set_flag, &later);
    run_until(loop, is_set, &later);
    assert_int_equal(talker.opened, 1);
    assert_int_equal(talker.closed, 0);
    loop_free(&loop);
    assert_int_equal(talker.closed, 1);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_conversation_goes_as_with_who_was_accepted),
        cmocka_unit_test(who_reads_late_is_waited_for),
        cmocka_unit_test(the_idle_limit_is_the_dials),
        cmocka_unit_test(our_own_server_is_spoken_to_in_tls),
        cmocka_unit_test(what_is_cancelled_says_nothing),
        cmocka_unit_test(many_dial_again_and_again),
        cmocka_unit_test(an_open_connection_ends_with_the_loop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
