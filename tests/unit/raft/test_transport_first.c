/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Links with a node of the first release, which used nng's push and pull sockets. */
#include <nng/nng.h>
#include <nng/protocol/pipeline0/pull.h>
#include <nng/protocol/pipeline0/push.h>
#include <stdio.h>

#include "node/runtime/nng_tls.h"
#include "tests/unit/raft/transport_world.h"

enum { FRAMES = 20, LARGE = 300 * 1024 };

/* nng 1.5.2 sometimes never frees a listener whose socket is closed while a pipe is made: that
 * is the other node's, here the test's. Asked for by the leak checker. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:nng_listener_create\n";
}

/* The other node's sockets, and what came. */
struct first {
    struct world *world;
    nng_socket pull;
    nng_socket push;
    nng_listener listener;
    nng_dialer dialer;
    unsigned received;
    size_t last_len;
    uint32_t last_tag;
};

static void pull_open(struct first *first, unsigned port)
{
    struct tls_credentials *credentials = &first->world->ends[1].credentials;
    nng_tls_config *tls;
    char url[60];

    snprintf(url, sizeof(url), "tls+tcp://127.0.0.1:%u", port);
    assert_int_equal(nng_tls_credentials(credentials, NNG_TLS_MODE_SERVER, false, NULL, &tls),
                     ERR_OK);
    assert_int_equal(nng_pull0_open(&first->pull), 0);
    assert_int_equal(nng_listener_create(&first->listener, first->pull, url), 0);
    nng_listener_set_ptr(first->listener, NNG_OPT_TLS_CONFIG, tls);
    nng_tls_config_free(tls);
    assert_int_equal(nng_listener_start(first->listener, 0), 0);
}

static void push_open(struct first *first, unsigned port)
{
    struct tls_credentials *credentials = &first->world->ends[1].credentials;
    nng_tls_config *tls;
    char url[60];

    snprintf(url, sizeof(url), "tls+tcp://127.0.0.1:%u", port);
    assert_int_equal(nng_tls_credentials(credentials, NNG_TLS_MODE_CLIENT, false,
                                         "node-1.c1.postraft", &tls),
                     ERR_OK);
    assert_int_equal(nng_push0_open(&first->push), 0);
    assert_int_equal(nng_dialer_create(&first->dialer, first->push, url), 0);
    nng_dialer_set_ptr(first->dialer, NNG_OPT_TLS_CONFIG, tls);
    nng_tls_config_free(tls);
    assert_int_equal(nng_dialer_start(first->dialer, NNG_FLAG_NONBLOCK), 0);
}

static bool has_room(void *context)
{
    return end_room(&((struct first *)context)->world->ends[0], 2) > 0;
}

static bool took_one(void *context)
{
    struct first *first = context;
    nng_msg *message;

    if (nng_recvmsg(first->pull, &message, NNG_FLAG_NONBLOCK) != 0)
        return false;
    first->received++;
    first->last_len = nng_msg_len(message);
    memcpy(&first->last_tag, nng_msg_body(message), sizeof(first->last_tag));
    nng_msg_free(message);
    return true;
}

static void it_hears_this_release(void **state)
{
    struct first first = {.world = *state};
    struct end *end = &first.world->ends[0];
    unsigned port = free_port();

    pull_open(&first, port);
    end_start(end, NULL);
    end_peer(end, 2, port);
    for (uint32_t tag = 1; tag <= FRAMES; tag++) {
        size_t len = tag == FRAMES ? LARGE : 4 + tag;
        world_until(first.world, has_room, &first);
        end_send(end, 2, len, tag);
        world_until(first.world, took_one, &first);
        assert_int_equal(first.last_tag, tag);
        assert_int_equal(first.last_len, len);
    }
    nng_close(first.pull);
}

struct expected {
    struct end *end;
    uint64_t node_id;
    unsigned frames;
};

static bool came(void *context)
{
    const struct expected *expected = context;
    return end_told(expected->end, TOLD_FRAME, expected->node_id) == expected->frames;
}

static bool pushed(void *context)
{
    struct first *first = context;
    uint8_t frame[64] = {9};

    for (unsigned i = 4; i < sizeof(frame); i++)
        frame[i] = (uint8_t)(9 + i);
    return nng_send(first->push, frame, sizeof(frame), NNG_FLAG_NONBLOCK) == 0;
}

static void it_is_heard_by_this_release(void **state)
{
    struct first first = {.world = *state};
    struct end *end = &first.world->ends[0];

    end_start(end, NULL);
    push_open(&first, end->port);
    for (unsigned i = 1; i <= FRAMES; i++) {
        world_until(first.world, pushed, &first);
        struct expected expected = {end, 2, i};
        world_until(first.world, came, &expected);
    }
    assert_int_equal(end->told[end->told_count - 1].len, 64);
    assert_int_equal(end->told[end->told_count - 1].tag, 9);
    nng_close(first.push);
}

static bool came_up_twice(void *context)
{
    return end_told(context, TOLD_UP, 2) == 2;
}

/* It is upgraded: the link comes back in the words of this release. */
static void then_it_is_upgraded(void **state)
{
    struct first first = {.world = *state};
    struct end *end = &first.world->ends[0];
    struct end *other = &first.world->ends[1];

    pull_open(&first, other->port);
    end_start(end, NULL);
    end_peer(end, 2, other->port);
    world_until(first.world, has_room, &first);
    nng_close(first.pull);
    end_start(other, NULL);
    world_until(first.world, came_up_twice, end);
    world_until(first.world, has_room, &first);
    end_send(end, 2, 100, 5);
    struct expected expected = {other, 1, 1};
    world_until(first.world, came, &expected);
    assert_int_equal(other->told[other->told_count - 1].tag, 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(it_hears_this_release, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(it_is_heard_by_this_release, world_setup,
                                        world_teardown),
        cmocka_unit_test_setup_teardown(then_it_is_upgraded, world_setup, world_teardown),
    };

    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    nng_fini(); /* waits for what closed sockets still hold */
    return failed;
}
