/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Secrets that a server receives: nothing of them stays where they were received, nor in memory
 * that is given back, however they are cut.
 */
#include "tests/unit/node/runtime/until.h"

#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "node/base/buffer.h"
#include "node/base/check.h"
#include "node/runtime/rpc.h"
#include "node/runtime/stream_frame.h"

static const uint8_t hello[STREAM_HELLO_SIZE] = {'P', 'r', 'R', 'p', 'c', 0, 0, 1};
static const char trace[] = "Horse-Battery";

enum { BODY_SIZE = 4000, TRACE_SIZE = sizeof(trace) - 1, PLACES_MAX = 1000, REQUESTS = 100 };

/* Where something was received, as long as that memory is the server's. */
static struct place {
    uint8_t *at;
    size_t len;
} places[PLACES_MAX];
static unsigned place_count;
static bool looking;
static unsigned found; /* in memory that was given back */
static size_t received;

void __real_free(void *memory);
void __wrap_free(void *memory);
ssize_t __real_recv(int fd, void *memory, size_t len, int flags);
ssize_t __wrap_recv(int fd, void *memory, size_t len, int flags);

static unsigned count(const uint8_t *at, size_t len)
{
    unsigned traces = 0;
    const uint8_t *end = at + len;

    while (at < end && (at = memmem(at, (size_t)(end - at), trace, TRACE_SIZE)) != NULL) {
        traces++;
        at += TRACE_SIZE;
    }
    return traces;
}

void __wrap_free(void *memory)
{
    if (looking && memory != NULL) {
        uint8_t *at = memory;
        size_t size = malloc_usable_size(memory);
        unsigned kept = 0;
        found += count(at, size);
        for (unsigned i = 0; i < place_count; i++)
            if (places[i].at < at || places[i].at >= at + size)
                places[kept++] = places[i];
        place_count = kept;
    }
    __real_free(memory);
}

ssize_t __wrap_recv(int fd, void *memory, size_t len, int flags)
{
    ssize_t got = __real_recv(fd, memory, len, flags);

    if (looking && got > 0) {
        CHECK(place_count < PLACES_MAX);
        places[place_count++] = (struct place){memory, (size_t)got};
        received += (size_t)got;
    }
    return got;
}

static unsigned left_behind(void)
{
    unsigned traces = 0;

    for (unsigned i = 0; i < place_count; i++)
        traces += count(places[i].at, places[i].len);
    return traces;
}

/* A server that wipes what begins with 's', answers at once or later, and a bare socket. */
struct lab {
    struct loop *loop;
    struct rpc_server *server;
    struct rpc_request *held[REQUESTS];
    bool late;
    unsigned held_count, handled, goal;
    unsigned disconnected;
    int fd;
    struct buffer request;
};

static void on_request(void *context, struct rpc_request *request, const struct rpc_peer *peer,
                       struct bytes body)
{
    struct lab *lab = context;

    (void)peer;
    assert_int_equal(count(body.at, body.len), BODY_SIZE / TRACE_SIZE);
    if (body.at[0] == 's')
        rpc_wipe(request);
    lab->handled++;
    if (lab->late)
        lab->held[lab->held_count++] = request;
    else
        rpc_reply(request, bytes_of(trace)); /* as secret as the request */
}

static void on_disconnected(void *context, uint32_t connection)
{
    (void)connection;
    ((struct lab *)context)->disconnected++;
}

static bool is_handled(void *context)
{
    const struct lab *lab = context;
    return lab->handled == lab->goal;
}

static bool is_forgotten(void *context)
{
    return ((const struct lab *)context)->disconnected > 0;
}

static bool is_received(void *context)
{
    return received == *(const size_t *)context;
}

static void request_make(struct lab *lab, char first)
{
    uint8_t header[STREAM_HEADER_SIZE];

    buffer_clear(&lab->request);
    stream_header_write(header, BODY_SIZE, 7);
    buffer_add(&lab->request, bytes_from(header, sizeof(header)));
    buffer_add_byte(&lab->request, (uint8_t)first);
    while (buffer_len(&lab->request) + TRACE_SIZE <= sizeof(header) + BODY_SIZE)
        buffer_add(&lab->request, bytes_of(trace));
    while (buffer_len(&lab->request) < sizeof(header) + BODY_SIZE)
        buffer_add_byte(&lab->request, ' ');
}

static void say(const struct lab *lab, struct bytes bytes)
{
    assert_int_equal(send(lab->fd, bytes.at, bytes.len, MSG_NOSIGNAL), (ssize_t)bytes.len);
}

static void begin(struct lab *lab, const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char url[sizeof(address.sun_path) + 8];

    *lab = (struct lab){.loop = loop_new()};
    snprintf(address.sun_path, sizeof(address.sun_path), "/tmp/test-rpc-wiped-%s-%d", name,
             (int)getpid());
    snprintf(url, sizeof(url), "ipc://%s", address.sun_path);
    const struct rpc_server_config config = {
        .url = url,
        .parallel_max = REQUESTS,
        .uid = (uint32_t)getuid(),
        .ipc_mode = 0600,
        .handle = on_request,
        .disconnected = on_disconnected,
        .context = lab,
    };
    assert_int_equal(rpc_server_new(lab->loop, &config, &lab->server), ERR_OK);
    lab->fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(connect(lab->fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    request_make(lab, 's');
    place_count = found = 0;
    received = 0;
    looking = true;
    say(lab, bytes_from(hello, sizeof(hello)));
}

/* What was found is looked at before: the end wipes all. */
static void end(struct lab *lab)
{
    looking = false;
    close(lab->fd);
    rpc_server_free(&lab->server);
    loop_free(&lab->loop);
    buffer_fini(&lab->request);
}

/* The test itself sees what is not wiped: where it was received, and what was sent. */
static void test_seen(void **state)
{
    struct lab lab;

    (void)state;
    begin(&lab, "seen");
    request_make(&lab, 'o');
    say(&lab, buffer_bytes(&lab.request));
    lab.goal = 1;
    run_until(lab.loop, is_handled, &lab);
    assert_int_equal(left_behind(), BODY_SIZE / TRACE_SIZE);
    assert_true(found > 0);
    end(&lab);
}

/* In pieces that end anywhere, so that they are moved and grown meanwhile; answered at once,
 * and later. */
static void test_wiped(void **state)
{
    struct lab lab;

    (void)state;
    for (unsigned late = 0; late < 2; late++) {
        begin(&lab, "wiped");
        struct bytes request = buffer_bytes(&lab.request);
        struct buffer all = BUFFER_EMPTY;
        size_t sent = 0;
        lab.late = late;
        buffer_reserve(&all, REQUESTS * request.len);
        for (unsigned i = 0; i < REQUESTS; i++)
            buffer_add(&all, request);
        for (size_t piece = 1; sent < buffer_len(&all); sent += piece) {
            size_t whole;
            piece = (piece * 7919 + 13) % (3 * request.len) + 1;
            if (piece > buffer_len(&all) - sent)
                piece = buffer_len(&all) - sent;
            say(&lab, bytes_from(buffer_bytes(&all).at + sent, piece));
            whole = sizeof(hello) + sent + piece;
            run_until(lab.loop, is_received, &whole);
        }
        assert_int_equal(lab.handled, REQUESTS);
        while (lab.held_count > 0)
            rpc_reply(lab.held[--lab.held_count], bytes_of(trace));
        lab.goal = REQUESTS;
        run_until(lab.loop, is_handled, &lab);
        assert_int_equal(left_behind(), 0);
        assert_int_equal(found, 0);
        looking = false;
        buffer_fini(&all);
        end(&lab);
    }
}

/* The client goes in the middle of one. */
static void test_left(void **state)
{
    struct lab lab;
    size_t whole = sizeof(hello) + STREAM_HEADER_SIZE + BODY_SIZE / 2;

    (void)state;
    begin(&lab, "left");
    say(&lab, bytes_from(buffer_bytes(&lab.request).at, whole - sizeof(hello)));
    run_until(lab.loop, is_received, &whole);
    shutdown(lab.fd, SHUT_RDWR);
    run_until(lab.loop, is_forgotten, &lab);
    rpc_server_free(&lab.server);
    assert_int_equal(place_count, 0);
    assert_int_equal(found, 0);
    end(&lab);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_seen),
        cmocka_unit_test(test_wiped),
        cmocka_unit_test(test_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
