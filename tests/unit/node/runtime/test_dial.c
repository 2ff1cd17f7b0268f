/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Connections to other hosts: from where, to where, and what is said when there is none. */
#include "tests/unit/node/runtime/lines.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>

#include "node/runtime/dial.h"
#include "node/runtime/metrics.h"

/* Dials a server of lines.h, says something, and keeps or counts what it hears. */
struct talker {
    struct conn *conn;
    struct tls_client *tls;
    const char *say; /* NULL: nothing, it only listens */
    size_t pause_at; /* takes nothing for a while when so many bytes came */
    struct buffer got, bindings;
    size_t count;
    unsigned opened, started, idle, closed, failed;
    enum err err;
    const char *reason;
    struct address local, peer;
    uint16_t local_port;
    bool held;
};

static void *talker_open(void *context, struct conn *conn)
{
    struct talker *talker = context;
    talker->opened++;
    talker->conn = conn;
    assert_true(conn_local(conn, &talker->local, &talker->local_port));
    talker->peer = *conn_peer(conn);
    assert_false(conn_is_crowded(conn));
    if (talker->say != NULL)
        conn_write(conn, bytes_of(talker->say));
    return talker;
}

static void talker_released(void *context)
{
    struct talker *talker = context;
    talker->held = false;
    talker->pause_at = SIZE_MAX;
    conn_resume(talker->conn);
}

static size_t talker_feed(void *context, struct bytes input)
{
    static const struct tls_expect anything = {.host = ""};
    struct talker *talker = context;
    if (talker->held)
        return 0;
    talker->count += input.len;
    if (talker->count < 4096)
        buffer_add(&talker->got, input);
    if (talker->count >= talker->pause_at) {
        talker->held = true;
        loop_timer_start(conn_loop(talker->conn), 50, 0, talker_released, talker);
    }
    if (talker->tls != NULL && bytes_equal(buffer_bytes(&talker->got), BYTES("hello\ngo\n")))
        assert_int_equal(conn_start_tls_client(talker->conn, talker->tls, &anything), ERR_OK);
    return input.len;
}

static void talker_tls_started(void *context)
{
    struct talker *talker = context;
    talker->started++;
    conn_write(talker->conn, BYTES("BIND exporter\nBIND end-point\nECHO safe\nQUIT\n"));
    for (unsigned i = 0; i < 2; i++) {
        struct buffer binding = BUFFER_EMPTY;
        assert_true(conn_channel_binding(
            talker->conn,
            i == 0 ? CONN_BINDING_TLS_EXPORTER : CONN_BINDING_TLS_SERVER_END_POINT, &binding));
        for (size_t at = 0; at < buffer_len(&binding); at++)
            buffer_printf(&talker->bindings, "%02x", buffer_bytes(&binding).at[at]);
        buffer_add_string(&talker->bindings, "\n");
        buffer_fini(&binding);
    }
}

static void talker_idle(void *context)
{
    struct talker *talker = context;
    talker->idle++;
    conn_close(talker->conn);
}

static void talker_writable(void *context)
{
    (void)context;
}

static void talker_closed(void *context)
{
    struct talker *talker = context;
    talker->closed++;
}

static const struct conn_protocol talking = {talker_open, talker_feed,     talker_tls_started,
                                             talker_idle, talker_writable, talker_closed};

static void talker_failed(void *context, enum err err, const char *reason)
{
    struct talker *talker = context;
    talker->failed++;
    talker->err = err;
    talker->reason = reason;
}

static bool talker_is_done(void *context)
{
    struct talker *talker = context;
    return talker->failed + talker->closed > 0;
}

static struct address address_of(const char *text)
{
    struct address address;
    assert_true(address_parse(bytes_of(text), &address));
    return address;
}

static struct dial_config to(const char *address, uint16_t port, struct talker *talker)
{
    if (talker->pause_at == 0)
        talker->pause_at = SIZE_MAX;
    return (struct dial_config){.target = address_of(address),
                                .port = port,
                                .protocol = &talking,
                                .context = talker,
                                .failed = talker_failed};
}

static bool both_are_done(void *context)
{
    struct talker *talker = context;
    return talker_is_done(talker) && conn_count() == 0;
}

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

/* Listens, accepts nothing by itself. */
static int listen_at(const char *text, uint16_t *port, int backlog)
{
    bool v6 = strchr(text, ':') != NULL;
    struct sockaddr_storage storage = {.ss_family = v6 ? AF_INET6 : AF_INET};
    struct sockaddr_in *v4 = (struct sockaddr_in *)(void *)&storage;
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)(void *)&storage;
    socklen_t len = v6 ? sizeof(*six) : sizeof(*v4);
    int fd = socket(storage.ss_family, SOCK_STREAM, 0);
    assert_int_equal(inet_pton(storage.ss_family, text,
                               v6 ? (void *)&six->sin6_addr : (void *)&v4->sin_addr),
                     1);
    if (bind(fd, (const struct sockaddr *)&storage, len) != 0) {
        close(fd);
        return -1;
    }
    assert_int_equal(listen(fd, backlog), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&storage, &len), 0);
    *port = ntohs(v6 ? six->sin6_port : v4->sin_port);
    return fd;
}

/* Who came, as the other side sees it. */
static struct address accept_one_peer(int fd)
{
    struct sockaddr_storage storage;
    socklen_t len = sizeof(storage);
    struct address address;
    int accepted = accept(fd, (struct sockaddr *)&storage, &len);
    assert_true(accepted >= 0);
    assert_true(address_of_socket((const struct sockaddr *)&storage, &address, NULL));
    close(accepted);
    return address;
}

static void expect_source(const char *target, const char *source)
{
    struct talker talker = {.say = NULL};
    struct address wanted = address_of(source), copy = wanted;
    uint16_t port = 0;
    int fd = listen_at(target, &port, 8);
    if (fd < 0) {
        print_message("no %s on this machine\n", target);
        return;
    }
    struct loop *loop = loop_new();
    struct dial_config config = to(target, port, &talker);
    config.source = &copy;
    dial_start(loop, &config);
    memset(&copy, 0xff, sizeof(copy));         /* it was copied */
    struct address seen = accept_one_peer(fd); /* and closed: the talker's end */
    run_until(loop, both_are_done, &talker);
    assert_int_equal(talker.opened, 1);
    assert_true(address_equal(&seen, &wanted));
    assert_true(address_equal(&talker.local, &wanted));
    loop_free(&loop);
    close(fd);
}

static void the_source_is_as_asked(void **state)
{
    (void)state;
    expect_source("127.0.0.1", "127.0.0.2");
    expect_source("127.0.0.1", "127.8.8.8");
    expect_source("::1", "::1");
}

/* What is said when there is no connection. */
static enum err outcome(struct loop *loop, struct dial_config *config, const char *source)
{
    struct talker *talker = config->context;
    struct address address;
    if (source != NULL) {
        address = address_of(source);
        config->source = &address;
    }
    uint64_t failed = metric_get(METRIC_DIALS_FAILED);
    dial_start(loop, config);
    assert_int_equal(talker->failed, 0); /* never inside the call */
    run_until(loop, talker_is_done, talker);
    assert_int_equal(talker->failed, 1);
    assert_int_equal(talker->opened, 0);
    assert_int_equal(metric_get(METRIC_DIALS_FAILED), failed + 1);
    assert_true(strlen(talker->reason) > 5);
    return talker->err;
}

static enum err fails(const char *target, uint16_t port, const char *source)
{
    struct talker talker = {.say = NULL};
    struct loop *loop = loop_new();
    struct dial_config config = to(target, port, &talker);
    enum err err = outcome(loop, &config, source);
    loop_free(&loop);
    return err;
}

static void a_source_that_is_not_ours_is_told_apart(void **state)
{
    uint16_t port = 0;
    int fd = listen_at("127.0.0.1", &port, 8);
    (void)state;
    assert_int_equal(fails("127.0.0.1", port, "198.51.100.7"), ERR_INVALID);
    assert_int_equal(fails("127.0.0.1", port, "::1"), ERR_INVALID);
    assert_int_equal(fails("::1", port, "2001:db8::7"), ERR_INVALID);
    assert_int_equal(fails("::1", port, "127.0.0.1"), ERR_INVALID);
    /* And it comes before anything of the target. */
    close(fd);
    assert_int_equal(fails("127.0.0.1", port, "198.51.100.7"), ERR_INVALID);
}

static void a_closed_port_refuses(void **state)
{
    uint16_t port = 0;
    (void)state;
    close(listen_at("127.0.0.1", &port, 8));
    assert_int_equal(fails("127.0.0.1", port, NULL), ERR_CLOSED);
    assert_int_equal(fails("127.0.0.1", port, "127.0.0.2"), ERR_CLOSED);
}

static void a_host_without_a_way_is_unreachable(void **state)
{
    (void)state;
    /* TCP goes to no broadcast or multicast address, whatever the routes are. */
    assert_int_equal(fails("255.255.255.255", 25, NULL), ERR_UNAVAILABLE);
    assert_int_equal(fails("255.255.255.255", 25, "127.0.0.1"), ERR_UNAVAILABLE);
}

static void without_descriptors_there_is_no_connection(void **state)
{
    struct talker talker = {.say = NULL};
    struct rlimit limit, none;
    struct loop *loop = loop_new();
    struct dial_config config = to("127.0.0.1", 25, &talker);
    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    none = (struct rlimit){.rlim_cur = 0, .rlim_max = limit.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    enum err err = outcome(loop, &config, NULL);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_int_equal(err, ERR_BUSY);
    loop_free(&loop);
}

/* A socket whose queue is full lets everybody else wait. */
static void who_does_not_answer_is_given_up(void **state)
{
    struct talker talker = {.say = NULL};
    int fds[16];
    uint16_t port = 0;
    int fd = listen_at("127.0.0.1", &port, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct loop *loop = loop_new();
    struct dial_config config = to("127.0.0.1", port, &talker);
    (void)state;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    for (unsigned i = 0; i < 16; i++) {
        fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        int result = connect(fds[i], (const struct sockaddr *)&address, sizeof(address));
        assert_true(result == 0 || errno == EINPROGRESS);
    }
    config.timeout_ms = 300;
    uint64_t begin_ms = clock_monotonic_ms();
    assert_int_equal(outcome(loop, &config, NULL), ERR_TIMEOUT);
    assert_true(clock_monotonic_ms() - begin_ms >= 300);
    for (unsigned i = 0; i < 16; i++)
        close(fds[i]);
    close(fd);
    loop_free(&loop);
}

static void set_flag(void *context)
{
    *(bool *)context = true;
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
        cmocka_unit_test(the_source_is_as_asked),
        cmocka_unit_test(a_source_that_is_not_ours_is_told_apart),
        cmocka_unit_test(a_closed_port_refuses),
        cmocka_unit_test(a_host_without_a_way_is_unreachable),
        cmocka_unit_test(without_descriptors_there_is_no_connection),
        cmocka_unit_test(who_does_not_answer_is_given_up),
        cmocka_unit_test(what_is_cancelled_says_nothing),
        cmocka_unit_test(an_open_connection_ends_with_the_loop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
