/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/node/runtime/until.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "node/base/check.h"
#include "node/runtime/rpc.h"

enum { REFUSED_MS = 700 }; /* long enough for several connections to have been tried */

/* Two clusters of the same name, and who is who in them. */
struct world {
    struct arena arena;
    struct loop *loop;
    struct tls_credentials node1, node2, foreign, other_name;
    struct bytes authority_key;
    char url[64];
    struct rpc_server *server;
    unsigned handled;
    uint64_t last_node;
    unsigned finished;
    enum err last;
};

static struct tls_credentials credentials_of(struct world *world, struct bytes authority,
                                             struct bytes authority_key, const char *cluster_id,
                                             uint64_t node_id)
{
    struct tls_credentials made = {.authority = authority};
    struct bytes request;
    tls_request_new(&world->arena, &made.key, &request);
    assert_int_equal(tls_request_sign(authority, authority_key, request, cluster_id, node_id,
                                      &world->arena, &made.certificate),
                     ERR_OK);
    return made;
}

/* A port that was free a moment ago. */
static unsigned free_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t len = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    close(fd);
    return ntohs(address.sin_port);
}

static int setup(void **state)
{
    struct world *world = calloc(1, sizeof(*world));
    struct bytes authority, key, foreign, foreign_key;
    assert_non_null(world);
    arena_init(&world->arena);
    world->loop = loop_new();
    tls_authority_new("c1", &world->arena, &authority, &key);
    tls_authority_new("c1", &world->arena, &foreign, &foreign_key);
    world->authority_key = key;
    world->node1 = credentials_of(world, authority, key, "c1", 1);
    world->node2 = credentials_of(world, authority, key, "c1", 2);
    world->other_name = credentials_of(world, authority, key, "c2", 2);
    world->foreign = credentials_of(world, foreign, foreign_key, "c1", 2);
    snprintf(world->url, sizeof(world->url), "tls+tcp://127.0.0.1:%u", free_port());
    *state = world;
    return 0;
}

static int teardown(void **state)
{
    struct world *world = *state;
    rpc_server_free(&world->server);
    loop_free(&world->loop);
    arena_fini(&world->arena);
    free(world);
    return 0;
}

static void on_request(void *context, struct rpc_request *request, const struct rpc_peer *peer,
                       struct bytes body)
{
    struct world *world = context;
    assert_int_equal(peer->uid, UINT32_MAX);
    world->handled++;
    world->last_node = peer->node_id;
    rpc_reply(request, body);
}

static void serve(struct world *world, const struct tls_credentials *credentials,
                  bool anonymous)
{
    const struct rpc_server_config config = {
        .url = world->url,
        .credentials = credentials,
        .anonymous = anonymous,
        .parallel_max = 16,
        .uid = UINT32_MAX,
        .handle = on_request,
        .context = world,
    };
    assert_int_equal(rpc_server_new(world->loop, &config, &world->server), ERR_OK);
}

static void on_done(void *context, enum err err, struct bytes reply)
{
    struct world *world = context;
    if (err == ERR_OK)
        assert_true(bytes_equal(reply, BYTES("hello")));
    world->finished++;
    world->last = err;
}

static bool is_finished(void *context)
{
    return ((struct world *)context)->finished > 0;
}

/* The outcome of one call. */
static enum err try_call(struct world *world, const struct rpc_client_config *config,
                         uint64_t deadline_ms)
{
    struct rpc_client *client;
    enum err err = rpc_client_new(world->loop, config, &client);
    if (err != ERR_OK)
        return err;
    world->finished = 0;
    rpc_call(client, BYTES("hello"), deadline_ms, on_done, world);
    run_until(world->loop, is_finished, world);
    rpc_client_free(&client);
    return world->last;
}

static void nodes_of_one_cluster_know_each_other(void **state)
{
    struct world *world = *state;
    serve(world, &world->node1, false);
    struct rpc_client_config config = {
        .url = world->url, .credentials = &world->node2, .node_id = 1, .parallel_max = 4};
    assert_int_equal(try_call(world, &config, 20000), ERR_OK);
    assert_int_equal(world->last_node, 2);
    config.node_id = 0; /* any node of the cluster */
    assert_int_equal(try_call(world, &config, 20000), ERR_OK);
    assert_int_equal(world->handled, 2);
}

static void another_node_than_the_wanted_one_is_refused(void **state)
{
    struct world *world = *state;
    serve(world, &world->node1, false);
    const struct rpc_client_config config = {
        .url = world->url, .credentials = &world->node2, .node_id = 3, .parallel_max = 4};
    assert_int_equal(try_call(world, &config, REFUSED_MS), ERR_TIMEOUT);
    assert_int_equal(world->handled, 0);
}

static void strangers_are_refused_by_the_server(void **state)
{
    struct world *world = *state;
    char pin[65];
    serve(world, &world->node1, false);
    assert_int_equal(tls_fingerprint(world->node1.authority, pin), ERR_OK);
    /* They trust the server; it does not trust them. */
    struct tls_credentials foreign = world->foreign, other_name = world->other_name;
    foreign.authority = world->node1.authority;
    other_name.authority = world->node1.authority;
    const struct rpc_client_config cases[] = {
        {.url = world->url, .credentials = &foreign, .parallel_max = 4},
        {.url = world->url, .credentials = &other_name, .parallel_max = 4},
        {.url = world->url, .authority_pin = pin, .parallel_max = 4},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_int_equal(try_call(world, &cases[i], REFUSED_MS), ERR_TIMEOUT);
    assert_int_equal(world->handled, 0);
}

static void a_stranger_s_server_is_refused_by_the_client(void **state)
{
    struct world *world = *state;
    serve(world, &world->foreign, true);
    const struct rpc_client_config config = {
        .url = world->url, .credentials = &world->node1, .node_id = 2, .parallel_max = 4};
    assert_int_equal(try_call(world, &config, REFUSED_MS), ERR_TIMEOUT);
    assert_int_equal(world->handled, 0);
}

static void one_that_joins_knows_the_authority_by_its_pin(void **state)
{
    struct world *world = *state;
    char pin[65], wrong[65];
    serve(world, &world->node1, true);
    assert_int_equal(tls_fingerprint(world->node1.authority, pin), ERR_OK);
    assert_int_equal(tls_fingerprint(world->foreign.authority, wrong), ERR_OK);
    struct rpc_client_config config = {
        .url = world->url, .authority_pin = pin, .parallel_max = 4};
    assert_int_equal(try_call(world, &config, 20000), ERR_OK);
    assert_int_equal(world->last_node, 0);
    assert_int_equal(world->handled, 1);
    config.authority_pin = wrong;
    assert_int_equal(try_call(world, &config, REFUSED_MS), ERR_TIMEOUT);
    config.authority_pin = "not a pin";
    assert_int_equal(try_call(world, &config, REFUSED_MS), ERR_MALFORMED);
    assert_int_equal(world->handled, 1);
}

static void credentials_that_do_not_fit_are_malformed(void **state)
{
    struct world *world = *state;
    struct tls_credentials mixed = world->node1;
    mixed.key = world->node2.key;
    struct rpc_server_config config = {.url = world->url,
                                       .credentials = &mixed,
                                       .parallel_max = 1,
                                       .uid = UINT32_MAX,
                                       .handle = on_request};
    assert_int_equal(rpc_server_new(world->loop, &config, &world->server), ERR_MALFORMED);
    assert_null(world->server);
    const struct rpc_client_config client = {
        .url = world->url, .credentials = &mixed, .node_id = 2, .parallel_max = 1};
    assert_int_equal(try_call(world, &client, REFUSED_MS), ERR_MALFORMED);
}

enum { CLIENTS = 24, CALLS_EACH = 20 };

struct crowd {
    struct world *world;
    struct rpc_client *clients[CLIENTS];
    unsigned finished;
    unsigned good;
};

static void on_crowd_done(void *context, enum err err, struct bytes reply)
{
    struct crowd *crowd = context;
    (void)reply;
    crowd->finished++;
    crowd->good += err == ERR_OK;
}

static bool crowd_finished(void *context)
{
    return ((struct crowd *)context)->finished == CLIENTS * CALLS_EACH;
}

/* Many handshakes at the same time, in several threads; a connection must never be given the
 * name of another. */
static void on_crowd_request(void *context, struct rpc_request *request,
                             const struct rpc_peer *peer, struct bytes body)
{
    uint64_t want;
    (void)context;
    assert_int_equal(body.len, sizeof(want));
    memcpy(&want, body.at, sizeof(want));
    assert_int_equal(peer->node_id, want);
    rpc_reply(request, body);
}

static void identities_are_not_mixed_up(void **state)
{
    struct world *world = *state;
    struct crowd crowd = {.world = world};
    struct tls_credentials nodes[CLIENTS];
    const struct rpc_server_config server = {.url = world->url,
                                             .credentials = &world->node1,
                                             .parallel_max = 16,
                                             .uid = UINT32_MAX,
                                             .handle = on_crowd_request};
    assert_int_equal(rpc_server_new(world->loop, &server, &world->server), ERR_OK);
    for (uint64_t i = 0; i < CLIENTS; i++) {
        nodes[i] =
            credentials_of(world, world->node1.authority, world->authority_key, "c1", 100 + i);
        const struct rpc_client_config config = {
            .url = world->url, .credentials = &nodes[i], .node_id = 1, .parallel_max = 4};
        assert_int_equal(rpc_client_new(world->loop, &config, &crowd.clients[i]), ERR_OK);
        for (unsigned j = 0; j < CALLS_EACH; j++) {
            uint64_t name = 100 + i;
            rpc_call(crowd.clients[i], bytes_from(&name, sizeof(name)), 30000, on_crowd_done,
                     &crowd);
        }
    }
    run_until(world->loop, crowd_finished, &crowd);
    assert_int_equal(crowd.good, CLIENTS * CALLS_EACH);
    for (unsigned i = 0; i < CLIENTS; i++)
        rpc_client_free(&crowd.clients[i]);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(nodes_of_one_cluster_know_each_other),
        TEST(another_node_than_the_wanted_one_is_refused),
        TEST(strangers_are_refused_by_the_server),
        TEST(a_stranger_s_server_is_refused_by_the_client),
        TEST(one_that_joins_knows_the_authority_by_its_pin),
        TEST(credentials_that_do_not_fit_are_malformed),
        TEST(identities_are_not_mixed_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
