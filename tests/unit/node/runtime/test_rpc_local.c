/* SPDX-License-Identifier: GPL-2.0-or-later */
/* RPC within a node, with peers that do as they like: bare sockets. */
#include "tests/unit/node/runtime/until.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "node/base/check.h"
#include "node/runtime/rpc.h"

enum { HELD_MAX = 100, CALLS = 10000, BODY = 256 * 1024, UNREAD_MAX = 64 * 1024 * 1024 };

static const uint8_t hello[8] = {'P', 'r', 'R', 'p', 'c', 0, 0, 1};

/* A server that answers each request with its body, at once or at the end of the turn. */
struct echo {
    struct loop *loop;
    struct loop_hook *hook;
    char path[64];
    char url[72];
    struct rpc_server *server;
    bool late;
    struct rpc_request *held[HELD_MAX];
    unsigned held_count, held_most;
    unsigned handled, disconnected;
};

static void on_request(void *context, struct rpc_request *request, const struct rpc_peer *peer,
                       struct bytes body)
{
    struct echo *echo = context;

    assert_int_equal(peer->uid, getuid());
    echo->handled++;
    if (!echo->late) {
        rpc_reply(request, body);
        return;
    }
    assert_true(echo->held_count < HELD_MAX);
    echo->held[echo->held_count++] = request;
    if (echo->held_count > echo->held_most)
        echo->held_most = echo->held_count;
}

static void release(void *context)
{
    struct echo *echo = context;

    while (echo->held_count > 0)
        rpc_reply(echo->held[--echo->held_count], BYTES("late"));
}

static void on_disconnected(void *context, uint32_t connection)
{
    (void)connection;
    ((struct echo *)context)->disconnected++;
}

static struct echo *echo_new(const char *name)
{
    struct echo *echo = calloc(1, sizeof(*echo));

    assert_non_null(echo);
    echo->loop = loop_new();
    snprintf(echo->path, sizeof(echo->path), "/tmp/test-rpc-%s-%d", name, (int)getpid());
    snprintf(echo->url, sizeof(echo->url), "ipc://%s", echo->path);
    const struct rpc_server_config config = {
        .url = echo->url,
        .parallel_max = HELD_MAX,
        .uid = (uint32_t)getuid(),
        .ipc_mode = 0600,
        .handle = on_request,
        .disconnected = on_disconnected,
        .context = echo,
    };
    assert_int_equal(rpc_server_new(echo->loop, &config, &echo->server), ERR_OK);
    echo->hook = loop_on_turn(echo->loop, release, echo);
    return echo;
}

static void echo_free(struct echo *echo)
{
    loop_hook_remove(&echo->hook);
    rpc_server_free(&echo->server);
    loop_free(&echo->loop);
    assert_int_equal(access(echo->path, F_OK), -1);
    free(echo);
}

static int stranger(const struct echo *echo)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

    snprintf(address.sun_path, sizeof(address.sun_path), "%s", echo->path);
    assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

struct tally {
    unsigned goal, finished, good;
};

static void on_done(void *context, enum err err, struct bytes reply)
{
    struct tally *tally = context;

    tally->finished++;
    tally->good += err == ERR_OK && reply.len > 0;
}

static bool all_finished(void *context)
{
    const struct tally *tally = context;
    return tally->finished == tally->goal;
}

static struct rpc_client *client_new(struct echo *echo, unsigned parallel_max)
{
    const struct rpc_client_config config = {.url = echo->url, .parallel_max = parallel_max};
    struct rpc_client *client;

    assert_int_equal(rpc_client_new(echo->loop, &config, &client), ERR_OK);
    return client;
}

static void ten_thousand_calls_wait_where_they_cost_least(void **state)
{
    struct echo *echo = echo_new("thousands");
    struct rpc_client *client = client_new(echo, CALLS);
    struct tally tally = {.goal = CALLS};
    static const uint8_t body[1000];
    (void)state;
    echo->late = true;
    for (unsigned i = 0; i < CALLS; i++)
        rpc_call(client, bytes_from(body, i % sizeof(body)), 30000, on_done, &tally);
    run_until(echo->loop, all_finished, &tally);
    assert_int_equal(tally.good, CALLS);
    assert_int_equal(echo->handled, CALLS);
    assert_int_equal(echo->held_most, HELD_MAX); /* the rest stayed in the socket meanwhile */
    rpc_client_free(&client);
    echo_free(echo);
}

struct leaving {
    struct echo *echo;
    unsigned goal;
};

static bool have_left(void *context)
{
    const struct leaving *leaving = context;
    return leaving->echo->disconnected == leaving->goal;
}

/* A hello and two requests, cut at each byte. */
static void who_leaves_in_the_middle_is_forgotten(void **state)
{
    static const uint8_t request[] = {3, 0, 0, 0, 0, 0, 0,   0,   7,  0,
                                      0, 0, 0, 0, 0, 0, 'a', 'b', 'c'};
    uint8_t all[sizeof(hello) + 2 * sizeof(request)];
    struct echo *echo = echo_new("leaves");
    struct leaving leaving = {.echo = echo};
    struct tally tally = {.goal = 1};
    (void)state;
    memcpy(all, hello, sizeof(hello));
    memcpy(all + sizeof(hello), request, sizeof(request));
    memcpy(all + sizeof(hello) + sizeof(request), request, sizeof(request));
    for (unsigned late = 0; late < 2; late++) {
        echo->late = late;
        echo->handled = 0;
        for (size_t len = 0; len <= sizeof(all); len++) {
            int fd = stranger(echo);
            assert_int_equal(send(fd, all, len, MSG_NOSIGNAL), (ssize_t)len);
            close(fd);
            leaving.goal += len >= sizeof(hello);
            run_until(echo->loop, have_left, &leaving);
        }
        assert_true(echo->handled >= sizeof(request) + 1);
    }
    struct rpc_client *client = client_new(echo, 1);
    rpc_call(client, BYTES("still there?"), 30000, on_done, &tally);
    run_until(echo->loop, all_finished, &tally);
    assert_int_equal(tally.good, 1);
    rpc_client_free(&client);
    echo_free(echo);
}

/* Requests from here, replies to nobody; then, the replies too. */
struct deaf {
    int fd;
    bool reads;
    uint8_t *request; /* header and body */
    size_t have;      /* of the request, sent */
    uint64_t sent, received;
    unsigned refused; /* times in a row that nothing was taken */
};

enum { REQUEST = 16 + BODY, REFUSED_MAX = 200 };

static bool is_stuck(void *context)
{
    struct deaf *deaf = context;
    ssize_t len =
        send(deaf->fd, deaf->request + deaf->have, REQUEST - deaf->have, MSG_NOSIGNAL);

    deaf->refused = len > 0 ? 0 : deaf->refused + 1;
    if (len > 0) {
        deaf->sent += (uint64_t)len;
        deaf->have = (deaf->have + (size_t)len) % REQUEST;
    }
    return deaf->refused == REFUSED_MAX || deaf->sent > UNREAD_MAX;
}

static bool has_heard_all(void *context)
{
    struct deaf *deaf = context;
    static uint8_t bytes[BODY];
    uint64_t whole = sizeof(hello) + deaf->sent / REQUEST * REQUEST;

    for (ssize_t len; (len = recv(deaf->fd, bytes, sizeof(bytes), 0)) > 0;)
        deaf->received += (uint64_t)len;
    return deaf->received >= whole;
}

static void who_reads_no_replies_is_not_read_either(void **state)
{
    struct echo *echo = echo_new("deaf");
    struct deaf deaf = {.fd = stranger(echo), .request = calloc(1, REQUEST)};
    struct tally tally = {.goal = 1};
    (void)state;
    assert_non_null(deaf.request);
    deaf.request[2] = BODY >> 16;
    deaf.request[8] = 1;
    assert_int_equal(send(deaf.fd, hello, sizeof(hello), MSG_NOSIGNAL), sizeof(hello));
    run_until(echo->loop, is_stuck, &deaf);
    assert_int_equal(deaf.refused, REFUSED_MAX);
    assert_true(deaf.sent < UNREAD_MAX);
    /* Others are served meanwhile. */
    struct rpc_client *client = client_new(echo, 1);
    rpc_call(client, BYTES("anybody there?"), 30000, on_done, &tally);
    run_until(echo->loop, all_finished, &tally);
    assert_int_equal(tally.good, 1);
    run_until(echo->loop, has_heard_all, &deaf);
    close(deaf.fd);
    rpc_client_free(&client);
    free(deaf.request);
    echo_free(echo);
}

struct pair {
    struct rpc_client *first, *second;
    unsigned connects;
};

static void on_first_connected(void *context, bool up)
{
    struct pair *pair = context;

    pair->connects += up;
    if (up)
        rpc_client_free(&pair->second); /* not the one that calls */
}

static bool is_up(void *context)
{
    return ((struct pair *)context)->connects > 0;
}

static void a_client_may_be_freed_while_another_connects(void **state)
{
    struct echo *echo = echo_new("another");
    struct pair pair = {.connects = 0};
    const struct rpc_client_config config = {
        .url = echo->url, .parallel_max = 1, .connected = on_first_connected, .context = &pair};
    (void)state;
    assert_int_equal(rpc_client_new(echo->loop, &config, &pair.first), ERR_OK);
    pair.second = client_new(echo, 1);
    run_until(echo->loop, is_up, &pair);
    assert_null(pair.second);
    rpc_client_free(&pair.first);
    echo_free(echo);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ten_thousand_calls_wait_where_they_cost_least),
        cmocka_unit_test(who_leaves_in_the_middle_is_forgotten),
        cmocka_unit_test(who_reads_no_replies_is_not_read_either),
        cmocka_unit_test(a_client_may_be_freed_while_another_connects),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
