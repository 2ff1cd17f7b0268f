/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/node/runtime/until.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "node/base/check.h"
#include "node/runtime/rpc.h"

/* A server that answers at once with the same bytes, or holds requests until it is told. */
struct echo {
    struct loop *loop;
    char url[64];
    struct rpc_server *server;
    bool holding;
    struct rpc_request *held[4096];
    unsigned held_count;
    unsigned handled;
    unsigned disconnected;
    struct rpc_peer last_peer;
};

static void on_request(void *context, struct rpc_request *request, const struct rpc_peer *peer,
                       struct bytes body)
{
    struct echo *echo = context;
    echo->handled++;
    echo->last_peer = *peer;
    if (echo->holding) {
        CHECK(echo->held_count < sizeof(echo->held) / sizeof(echo->held[0]));
        echo->held[echo->held_count++] = request;
    } else {
        rpc_reply(request, body);
    }
}

static void on_disconnected(void *context, uint32_t connection)
{
    struct echo *echo = context;
    assert_true(connection != 0);
    echo->disconnected++;
}

static void echo_start(struct echo *echo, unsigned parallel_max, uint32_t uid)
{
    const struct rpc_server_config config = {
        .url = echo->url,
        .parallel_max = parallel_max,
        .uid = uid,
        .ipc_mode = 0600,
        .handle = on_request,
        .disconnected = on_disconnected,
        .context = echo,
    };
    assert_int_equal(rpc_server_new(echo->loop, &config, &echo->server), ERR_OK);
}

static void echo_release(struct echo *echo)
{
    for (unsigned i = 0; i < echo->held_count; i++)
        rpc_reply(echo->held[i], BYTES("later"));
    echo->held_count = 0;
}

static struct echo *echo_new(const char *name)
{
    struct echo *echo = calloc(1, sizeof(*echo));
    assert_non_null(echo);
    echo->loop = loop_new();
    snprintf(echo->url, sizeof(echo->url), "ipc:///tmp/test-rpc-%s-%d", name, (int)getpid());
    return echo;
}

static void echo_free(struct echo *echo)
{
    rpc_server_free(&echo->server);
    echo_release(echo);
    loop_free(&echo->loop);
    unlink(echo->url + strlen("ipc://"));
    free(echo);
}

static struct rpc_client *client_new(struct echo *echo, unsigned parallel_max)
{
    const struct rpc_client_config config = {.url = echo->url, .parallel_max = parallel_max};
    struct rpc_client *client;
    assert_int_equal(rpc_client_new(echo->loop, &config, &client), ERR_OK);
    return client;
}

static bool is_connected(void *context)
{
    return rpc_client_connected(context);
}

/* Calls with a number each; what came back is counted. */
struct tally {
    struct rpc_client **client;
    struct rpc_client *free_me; /* in the callback */
    unsigned made;
    unsigned goal;
    unsigned finished;
    unsigned outcomes[ERR_COUNT];
};

struct numbered {
    struct tally *tally;
    uint32_t number;
};

static void on_done(void *context, enum err err, struct bytes reply)
{
    struct numbered *call = context;
    struct tally *tally = call->tally;
    tally->finished++;
    tally->outcomes[err]++;
    if (err == ERR_OK && reply.len == sizeof(call->number))
        assert_memory_equal(reply.at, &call->number, sizeof(call->number));
    free(call);
    rpc_client_free(&tally->free_me);
}

static uint64_t make_call(struct tally *tally, uint64_t deadline_ms)
{
    struct numbered *call = malloc(sizeof(*call));
    assert_non_null(call);
    *call = (struct numbered){tally, tally->made++};
    return rpc_call(*tally->client, bytes_from(&call->number, sizeof(call->number)),
                    deadline_ms, on_done, call);
}

static bool all_finished(void *context)
{
    struct tally *tally = context;
    return tally->finished == tally->goal;
}

/* Keeps 64 calls under way until the goal is reached. */
static bool pump(void *context)
{
    struct tally *tally = context;
    while (tally->made < tally->goal && tally->made - tally->finished < 64)
        make_call(tally, 30000);
    return all_finished(context);
}

static void a_hundred_thousand_calls_are_answered(void **state)
{
    struct echo *echo = echo_new("many");
    (void)state;
    echo_start(echo, 64, (uint32_t)getuid());
    struct rpc_client *client = client_new(echo, 64);
    struct tally tally = {.client = &client, .goal = 100000};
    run_until(echo->loop, pump, &tally);
    assert_int_equal(tally.outcomes[ERR_OK], tally.goal);
    assert_int_equal(echo->handled, tally.goal); /* none was sent twice */
    assert_int_equal(echo->last_peer.uid, getuid());
    assert_int_equal(echo->last_peer.pid, getpid());
    assert_int_equal(echo->last_peer.node_id, 0);
    rpc_client_free(&client);
    assert_null(client);
    echo_free(echo);
}

static bool all_held(void *context)
{
    struct echo *echo = context;
    return echo->held_count == 1500;
}

static void many_calls_may_be_outstanding(void **state)
{
    struct echo *echo = echo_new("outstanding");
    (void)state;
    echo->holding = true;
    echo_start(echo, 2000, UINT32_MAX);
    struct rpc_client *client = client_new(echo, 2000);
    struct tally tally = {.client = &client, .goal = 1500};
    while (tally.made < tally.goal)
        make_call(&tally, 30000);
    run_until(echo->loop, all_held, echo);
    assert_int_equal(tally.finished, 0);
    echo_release(echo);
    run_until(echo->loop, all_finished, &tally);
    assert_int_equal(tally.outcomes[ERR_OK], 1500);
    rpc_client_free(&client);
    echo_free(echo);
}

static bool four_held(void *context)
{
    return ((struct echo *)context)->held_count == 4;
}

static void a_server_takes_no_more_than_it_may(void **state)
{
    struct echo *echo = echo_new("bounded");
    (void)state;
    echo->holding = true;
    echo_start(echo, 4, UINT32_MAX);
    struct rpc_client *client = client_new(echo, 64);
    struct tally tally = {.client = &client, .goal = 40};
    while (tally.made < tally.goal)
        make_call(&tally, 30000);
    run_until(echo->loop, four_held, echo);
    while (tally.finished < tally.goal) {
        assert_true(echo->held_count <= 4);
        unsigned before = echo->handled;
        rpc_reply(echo->held[--echo->held_count], BYTES("now"));
        if (before < tally.goal) {
            run_until(echo->loop, four_held, echo);
        } else if (echo->held_count == 0) {
            run_until(echo->loop, all_finished, &tally);
        }
    }
    assert_int_equal(tally.outcomes[ERR_OK], 40);
    rpc_client_free(&client);
    echo_free(echo);
}

static void deadlines_are_kept(void **state)
{
    struct echo *echo = echo_new("deadline");
    (void)state;
    echo->holding = true;
    echo_start(echo, 16, UINT32_MAX);
    struct rpc_client *client = client_new(echo, 2); /* two are sent, the others wait */
    run_until(echo->loop, is_connected, client);
    struct tally tally = {.client = &client, .goal = 6};
    uint64_t began_ms = clock_monotonic_ms();
    for (unsigned i = 0; i < 6; i++)
        make_call(&tally, 100 + 10 * (uint64_t)i);
    run_until(echo->loop, all_finished, &tally);
    assert_int_equal(tally.outcomes[ERR_TIMEOUT], 6);
    assert_true(clock_monotonic_ms() - began_ms >= 150);
    /* Late replies disturb nobody, and the slots serve again. */
    echo->holding = false;
    echo_release(echo);
    tally = (struct tally){.client = &client, .goal = 100};
    run_until(echo->loop, pump, &tally);
    assert_int_equal(tally.outcomes[ERR_OK], 100);
    rpc_client_free(&client);
    echo_free(echo);
}

static bool two_held(void *context)
{
    return ((struct echo *)context)->held_count == 2;
}

static void a_cancelled_call_is_never_heard_of(void **state)
{
    struct echo *echo = echo_new("cancel");
    (void)state;
    echo->holding = true;
    echo_start(echo, 16, UINT32_MAX);
    struct rpc_client *client = client_new(echo, 2);
    struct tally cancelled = {.client = &client}, tally = {.client = &client, .goal = 1};
    struct numbered *calls[3];
    uint64_t tickets[3];
    for (unsigned i = 0; i < 3; i++) { /* the third waits for its turn */
        calls[i] = malloc(sizeof(*calls[i]));
        assert_non_null(calls[i]);
        *calls[i] = (struct numbered){&cancelled, i};
        tickets[i] = rpc_call(client, BYTES("?"), 10000, on_done, calls[i]);
        assert_true(tickets[i] != 0);
    }
    run_until(echo->loop, two_held, echo);
    for (unsigned i = 0; i < 3; i++) {
        rpc_cancel(client, tickets[i]);
        rpc_cancel(client, tickets[i]); /* unknown by now */
        free(calls[i]);
    }
    echo->holding = false;
    echo_release(echo);
    make_call(&tally, 10000);
    run_until(echo->loop, all_finished, &tally);
    assert_int_equal(tally.outcomes[ERR_OK], 1);
    assert_int_equal(cancelled.finished, 0);
    rpc_client_free(&client);
    echo_free(echo);
}

static bool twenty_held(void *context)
{
    return ((struct echo *)context)->held_count == 20;
}

static void a_server_that_comes_back_answers_what_was_asked(void **state)
{
    struct echo *echo = echo_new("restart");
    (void)state;
    for (unsigned round = 0; round < 5; round++) {
        echo->holding = true;
        echo_start(echo, 32, UINT32_MAX);
        struct rpc_client *client = client_new(echo, 20);
        struct tally tally = {.client = &client, .goal = 50};
        while (tally.made < tally.goal)
            make_call(&tally, 20000);
        run_until(echo->loop, twenty_held, echo);
        rpc_server_free(&echo->server);
        echo_release(echo); /* replies to a server that is gone */
        echo->holding = false;
        echo->handled = 0;
        echo_start(echo, 32, UINT32_MAX);
        run_until(echo->loop, all_finished, &tally);
        assert_int_equal(tally.outcomes[ERR_OK], 50);
        assert_int_equal(echo->handled, 50);
        rpc_client_free(&client);
        rpc_server_free(&echo->server);
    }
    echo_free(echo);
}

static bool is_lost(void *context)
{
    return !rpc_client_connected(context);
}

static void calls_without_a_server_time_out_and_recover(void **state)
{
    struct echo *echo = echo_new("absent");
    (void)state;
    struct rpc_client *client = client_new(echo, 8);
    struct tally tally = {.client = &client, .goal = 20};
    while (tally.made < tally.goal)
        make_call(&tally, 50);
    run_until(echo->loop, all_finished, &tally);
    assert_int_equal(tally.outcomes[ERR_TIMEOUT], 20);
    echo_start(echo, 8, UINT32_MAX);
    run_until(echo->loop, is_connected, client);
    rpc_server_free(&echo->server);
    run_until(echo->loop, is_lost, client);
    echo_start(echo, 8, UINT32_MAX);
    tally = (struct tally){.client = &client, .goal = 20};
    run_until(echo->loop, pump, &tally);
    assert_int_equal(tally.outcomes[ERR_OK], 20);
    rpc_client_free(&client);
    echo_free(echo);
}

static bool was_disconnected(void *context)
{
    return ((struct echo *)context)->disconnected >= 1;
}

static void a_client_that_goes_is_told_of(void **state)
{
    struct echo *echo = echo_new("gone");
    (void)state;
    echo->holding = true;
    echo_start(echo, 8, UINT32_MAX);
    struct rpc_client *client = client_new(echo, 8);
    struct tally tally = {.client = &client, .goal = 2};
    make_call(&tally, 10000);
    make_call(&tally, 10000);
    run_until(echo->loop, two_held, echo);
    rpc_client_free(&client);
    assert_int_equal(tally.outcomes[ERR_CLOSED], 2);
    run_until(echo->loop, was_disconnected, echo);
    echo_release(echo); /* nobody listens any more */
    echo_free(echo);
}

static void a_callback_may_free_the_client(void **state)
{
    struct echo *echo = echo_new("inside");
    (void)state;
    echo_start(echo, 8, UINT32_MAX);
    struct rpc_client *client = client_new(echo, 8);
    struct tally tally = {.client = &client, .free_me = client, .goal = 10};
    while (tally.made < tally.goal)
        make_call(&tally, 10000);
    run_until(echo->loop, all_finished, &tally);
    assert_int_equal(tally.outcomes[ERR_OK] + tally.outcomes[ERR_CLOSED], 10);
    assert_true(tally.outcomes[ERR_OK] >= 1);
    echo_free(echo);
}

static void the_largest_message_passes_and_a_larger_one_does_not(void **state)
{
    struct echo *echo = echo_new("large");
    (void)state;
    echo_start(echo, 8, UINT32_MAX);
    struct rpc_client *client = client_new(echo, 8);
    struct tally tally = {.client = &client, .goal = 2};
    uint8_t *large = calloc(1, RPC_MESSAGE_SIZE_MAX + 1);
    assert_non_null(large);
    for (unsigned i = 0; i < 2; i++) {
        struct numbered *call = malloc(sizeof(*call));
        assert_non_null(call);
        *call = (struct numbered){&tally, i};
        rpc_call(client, bytes_from(large, RPC_MESSAGE_SIZE_MAX + i), 20000, on_done, call);
    }
    assert_int_equal(tally.finished, 0); /* not inside the call */
    run_until(echo->loop, all_finished, &tally);
    assert_int_equal(tally.outcomes[ERR_OK], 1);
    assert_int_equal(tally.outcomes[ERR_TOOBIG], 1);
    free(large);
    rpc_client_free(&client);
    echo_free(echo);
}

static bool is_cut(void *context)
{
    char byte;
    ssize_t len = recv(*(const int *)context, &byte, 1, MSG_DONTWAIT);
    return len == 0 || (len < 0 && errno != EAGAIN);
}

/* A stranger says something; it has lost its connection when this returns. */
static void say_and_be_cut(struct echo *echo, const char *what, size_t len)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", echo->url + strlen("ipc://"));
    assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(send(fd, what, len, MSG_NOSIGNAL), (ssize_t)len);
    run_until(echo->loop, is_cut, &fd);
    close(fd);
}

static void a_stranger_s_bytes_cost_him_the_connection(void **state)
{
    static const char too_long[] = "PrRpc\0\0\1\1\0\200\0\0\0\0\0\1\0\0\0\0\0\0\0";
    static const char bad_header[] = "PrRpc\0\0\1\1\0\0\0\1\0\0\0\1\0\0\0\0\0\0\0x";
    static const char other_version[] = "PrRpc\0\0\2";
    struct echo *echo = echo_new("stranger");
    (void)state;
    echo_start(echo, 8, UINT32_MAX);
    say_and_be_cut(echo, too_long, sizeof(too_long) - 1);
    say_and_be_cut(echo, bad_header, sizeof(bad_header) - 1);
    say_and_be_cut(echo, other_version, sizeof(other_version) - 1);
    assert_int_equal(echo->handled, 0);
    echo_free(echo);
}

static void another_uid_is_refused(void **state)
{
    struct echo *echo = echo_new("uid");
    struct stat status;
    (void)state;
    echo_start(echo, 8, (uint32_t)getuid() + 1);
    assert_int_equal(stat(echo->url + strlen("ipc://"), &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    struct rpc_client *client = client_new(echo, 8);
    struct tally tally = {.client = &client, .goal = 3};
    while (tally.made < tally.goal)
        make_call(&tally, 300);
    run_until(echo->loop, all_finished, &tally);
    assert_int_equal(tally.outcomes[ERR_TIMEOUT], 3);
    assert_int_equal(echo->handled, 0);
    rpc_client_free(&client);
    echo_free(echo);
}

static void what_cannot_be_listened_on_is_an_error(void **state)
{
    struct loop *loop = loop_new();
    struct rpc_server *server;
    struct rpc_client *client;
    struct rpc_server_config config = {
        .url = "ipc:///nowhere/at/all", .parallel_max = 1, .handle = on_request};
    const struct rpc_client_config nonsense = {.url = "nonsense", .parallel_max = 1};
    (void)state;
    assert_int_equal(rpc_server_new(loop, &config, &server), ERR_IO);
    assert_null(server);
    assert_int_equal(rpc_client_new(loop, &nonsense, &client), ERR_INVALID);
    assert_null(client);
    loop_free(&loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_hundred_thousand_calls_are_answered),
        cmocka_unit_test(many_calls_may_be_outstanding),
        cmocka_unit_test(a_server_takes_no_more_than_it_may),
        cmocka_unit_test(deadlines_are_kept),
        cmocka_unit_test(a_cancelled_call_is_never_heard_of),
        cmocka_unit_test(a_server_that_comes_back_answers_what_was_asked),
        cmocka_unit_test(calls_without_a_server_time_out_and_recover),
        cmocka_unit_test(a_client_that_goes_is_told_of),
        cmocka_unit_test(a_callback_may_free_the_client),
        cmocka_unit_test(the_largest_message_passes_and_a_larger_one_does_not),
        cmocka_unit_test(a_stranger_s_bytes_cost_him_the_connection),
        cmocka_unit_test(another_uid_is_refused),
        cmocka_unit_test(what_cannot_be_listened_on_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
