/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From where a connection is made, and what is said when there is none. */
#include "tests/unit/node/runtime/talker.h"

#include <errno.h>
#include <sys/resource.h>

#include "node/runtime/metrics.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_source_is_as_asked),
        cmocka_unit_test(a_source_that_is_not_ours_is_told_apart),
        cmocka_unit_test(a_closed_port_refuses),
        cmocka_unit_test(a_host_without_a_way_is_unreachable),
        cmocka_unit_test(without_descriptors_there_is_no_connection),
        cmocka_unit_test(who_does_not_answer_is_given_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
