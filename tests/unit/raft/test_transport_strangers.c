/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whoever connects without right, or with a right certificate and wrong bytes. */
#include <arpa/inet.h>
#include <nng/nng.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "node/runtime/loop.h"
#include "node/runtime/nng_tls.h"
#include "node/runtime/stream_frame.h"
#include "tests/unit/raft/transport_world.h"

enum {
    REFUSED_MS = 500,
    AT_ONCE_MS = 2900, /* less than what is allowed for a hello, or for silence */
};

static const uint8_t hello[STREAM_HELLO_SIZE] = {'P', 'r', 'R', 'a', 'f', 't', 0, 1};

/* A TLS connection in the test's own hand. */
struct raw {
    nng_stream_dialer *dialer;
    nng_stream *stream;
    nng_aio *aio;
    atomic_bool done;
    uint8_t received[64];
};

static bool is_done(void *context)
{
    return atomic_load(&((struct raw *)context)->done);
}

/* nng's thread. */
static void on_done(void *argument)
{
    atomic_store(&((struct raw *)argument)->done, true);
}

static int raw_wait(struct world *world, struct raw *raw)
{
    world_until(world, is_done, raw);
    nng_aio_wait(raw->aio);
    atomic_store(&raw->done, false);
    return nng_aio_result(raw->aio);
}

static void raw_begin(struct world *world, struct raw *raw,
                      const struct tls_credentials *credentials, unsigned port)
{
    char url[60];
    nng_tls_config *tls;

    snprintf(url, sizeof(url), "tls+tcp://127.0.0.1:%u", port);
    assert_int_equal(nng_stream_dialer_alloc(&raw->dialer, url), 0);
    assert_int_equal(nng_tls_credentials(credentials, NNG_TLS_MODE_CLIENT, false,
                                         "node-1.c1.postraft", &tls),
                     ERR_OK);
    assert_int_equal(nng_stream_dialer_set_ptr(raw->dialer, NNG_OPT_TLS_CONFIG, tls), 0);
    nng_tls_config_free(tls);
    assert_int_equal(nng_aio_alloc(&raw->aio, on_done, raw), 0);
    nng_aio_set_timeout(raw->aio, 20000);
    nng_stream_dialer_dial(raw->dialer, raw->aio);
    assert_int_equal(raw_wait(world, raw), 0);
    raw->stream = nng_aio_get_output(raw->aio, 0);
}

static void raw_end(struct raw *raw)
{
    nng_stream_close(raw->stream);
    nng_aio_stop(raw->aio);
    nng_stream_free(raw->stream);
    nng_aio_free(raw->aio);
    nng_stream_dialer_free(raw->dialer);
}

static int raw_send(struct world *world, struct raw *raw, const uint8_t *bytes, size_t len)
{
    uint8_t copy[256];
    nng_iov iov = {copy, len};

    assert_true(len <= sizeof(copy));
    memcpy(copy, bytes, len);
    assert_int_equal(nng_aio_set_iov(raw->aio, 1, &iov), 0);
    nng_stream_send(raw->stream, raw->aio);
    return raw_wait(world, raw);
}

/* Waits for bytes, or for the end: then it is not 0. */
static int raw_receive(struct world *world, struct raw *raw)
{
    nng_iov iov = {raw->received, sizeof(raw->received)};

    assert_int_equal(nng_aio_set_iov(raw->aio, 1, &iov), 0);
    nng_stream_recv(raw->stream, raw->aio);
    return raw_wait(world, raw);
}

struct opening {
    const char *what;
    size_t len;
    uint8_t bytes[64];
};

static struct opening after_hello(const char *what, uint32_t size, uint64_t number, bool zero)
{
    struct opening opening = {.what = what, .len = STREAM_HELLO_SIZE + STREAM_HEADER_SIZE};

    memcpy(opening.bytes, hello, STREAM_HELLO_SIZE);
    stream_header_write(opening.bytes + STREAM_HELLO_SIZE, size, number);
    opening.bytes[STREAM_HELLO_SIZE + 5] = !zero;
    return opening;
}

static bool is_cut(void *context)
{
    const struct wire *wire = context;

    for (unsigned i = 0; i < WIRE_PAIRS_MAX; i++)
        if (wire->pairs[i][0] >= 0)
            return false;
    return true;
}

static void wrong_bytes_end_the_connection(void **state)
{
    struct world *world = *state;
    struct end *end = &world->ends[0];
    struct wire *wire = &world->wires[0];
    const struct opening openings[] = {
        {"RPC", 8, {'P', 'r', 'R', 'p', 'c', 0, 0, 1}},
        {"another version", 8, {'P', 'r', 'R', 'a', 'f', 't', 0, 2}},
        {"one wrong byte", 1, {'G'}},
        after_hello("too large", TRANSPORT_FRAME_SIZE_MAX + 1, 1, true),
        after_hello("far too large", UINT32_MAX, 1, true),
        after_hello("not zero", 10, 1, false),
        after_hello("not the first", 10, 2, true),
        after_hello("number 0", 10, 0, true),
    };

    end_start(end, NULL);
    wire_open(wire, end->port);
    for (unsigned i = 0; i < sizeof(openings) / sizeof(openings[0]); i++) {
        struct raw raw = {.done = false};
        raw_begin(world, &raw, &world->ends[1].credentials, wire->port);
        const uint64_t start_ms = clock_monotonic_ms();
        print_message("%s\n", openings[i].what);
        assert_int_equal(raw_send(world, &raw, openings[i].bytes, openings[i].len), 0);
        /* nng 1.5.2 need not tell who receives too late, so the wire is looked at. */
        world_until(world, is_cut, wire);
        assert_true(clock_monotonic_ms() - start_ms < AT_ONCE_MS);
        raw_end(&raw);
    }
    assert_int_equal(end_told(end, TOLD_FRAME, 2), 0);
    assert_int_equal(end_told(end, TOLD_UP, 2), 0);
}

static bool has_frame(void *context)
{
    return end_told(context, TOLD_FRAME, 2) > 0;
}

/* The same way in, said right: so the refusals above are about what they seem to be. */
static void right_bytes_are_a_frame(void **state)
{
    struct world *world = *state;
    struct end *end = &world->ends[0];
    struct opening opening = after_hello("good", 4, 1, true);
    struct raw raw = {.done = false};

    end_start(end, NULL);
    raw_begin(world, &raw, &world->ends[1].credentials, end->port);
    memcpy(opening.bytes + opening.len, "\7\0\0\0", 4);
    /* Cut at every byte. */
    for (size_t i = 0; i < opening.len + 4; i++)
        assert_int_equal(raw_send(world, &raw, opening.bytes + i, 1), 0);
    world_until(world, has_frame, end);
    assert_int_equal(end->told[end->told_count - 1].tag, 7);
    assert_int_equal(end->told[end->told_count - 1].len, 4);
    raw_end(&raw);
}

static void a_foreign_certificate_is_refused(void **state)
{
    struct world *world = *state;
    struct end *end = &world->ends[0];
    struct opening opening = after_hello("good", 4, 1, true);
    struct tls_credentials cases[] = {
        world_foreign(world, 2), world_credentials(world, "c2", 2), world->ends[0].credentials};

    end_start(end, NULL);
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct raw raw = {.done = false};
        cases[i].authority = world->authority;
        raw_begin(world, &raw, &cases[i], end->port);
        raw_send(world, &raw, opening.bytes, opening.len + 4); /* may fail already */
        int result = raw_receive(world, &raw);
        assert_true(result != 0 && result != NNG_ETIMEDOUT);
        raw_end(&raw);
    }
    assert_int_equal(end->told_count, 0);
}

static void a_foreign_listener_is_refused(void **state)
{
    struct world *world = *state;
    struct end *end = &world->ends[0], *other = &world->ends[1];
    struct tls_credentials cases[] = {
        world_foreign(world, 2), world_credentials(world, "c2", 2), world->ends[2].credentials};

    end_start(end, NULL);
    end_peer(end, 2, other->port);
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        end_start(other, &cases[i]);
        world_for(world, REFUSED_MS); /* several dials */
        assert_int_equal(end_told(end, TOLD_UP, 2), 0);
        assert_int_equal(end_room(end, 2), 0);
        end_stop(other);
    }
}

static int tcp_connect(unsigned port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

static bool is_closed(void *context)
{
    char byte;
    return recv(*(const int *)context, &byte, 1, MSG_DONTWAIT) == 0;
}

static bool is_up_2(void *context)
{
    return end_is_up(context, 2);
}

/* They connect and say nothing; meanwhile others are served. */
static void who_says_nothing_is_closed(void **state)
{
    struct world *world = *state;
    struct end *end = &world->ends[0];
    struct raw raw = {.done = false};
    int fds[10];

    end_start(end, NULL);
    for (unsigned i = 0; i < 10; i++)
        fds[i] = tcp_connect(end->port);
    raw_begin(world, &raw, &world->ends[1].credentials, end->port); /* TLS, and then nothing */
    end_start(&world->ends[1], NULL);
    end_peer(end, 2, world->ends[1].port);
    world_until(world, is_up_2, end);
    for (unsigned i = 0; i < 10; i++) {
        world_until(world, is_closed, &fds[i]);
        close(fds[i]);
    }
    int result = raw_receive(world, &raw);
    assert_true(result != 0 && result != NNG_ETIMEDOUT);
    raw_end(&raw);
    assert_true(end_is_up(end, 2));
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(wrong_bytes_end_the_connection),   TEST(right_bytes_are_a_frame),
        TEST(a_foreign_certificate_is_refused), TEST(a_foreign_listener_is_refused),
        TEST(who_says_nothing_is_closed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
