/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/raft/transport_world.h"

#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "node/base/check.h"
#include "node/base/log.h"
#include "node/runtime/loop.h"
#include "raft/frame.h"
#include "raft/replicator.h"

enum { UNTIL_MS = 30000, TURN_MS = 5 };

/* ---- what the transport tells ---- */

static void tell(struct end *end, struct told told)
{
    CHECK(end->told_count < EVENTS_MAX);
    end->told[end->told_count++] = told;
}

void replicator_received(struct replicator *replicator, uint64_t node_id, struct frame *frame)
{
    struct bytes bytes = frame_bytes(frame);
    uint32_t tag = 0;

    memcpy(&tag, bytes.at, bytes.len < sizeof(tag) ? bytes.len : sizeof(tag));
    for (size_t i = sizeof(tag); i < bytes.len; i++)
        CHECK(bytes.at[i] == (uint8_t)(tag + i));
    tell((struct end *)replicator,
         (struct told){.what = TOLD_FRAME, .node_id = node_id, .len = bytes.len, .tag = tag});
    frame_unref(frame);
}

void replicator_peer_up(struct replicator *replicator, uint64_t node_id, bool up)
{
    tell((struct end *)replicator,
         (struct told){.what = up ? TOLD_UP : TOLD_DOWN, .node_id = node_id});
}

static void wake(void *context)
{
    uint64_t one = 1;
    CHECK(write(((struct end *)context)->wake_fd, &one, sizeof(one)) == sizeof(one));
}

/* ---- ends ---- */

unsigned free_port(void)
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

static struct tls_credentials signed_by(struct arena *arena, struct bytes authority,
                                        struct bytes key, const char *cluster_id,
                                        uint64_t node_id)
{
    struct tls_credentials made = {.authority = authority};
    struct bytes request;

    tls_request_new(arena, &made.key, &request);
    assert_int_equal(tls_request_sign(authority, key, request, cluster_id, node_id, arena,
                                      &made.certificate),
                     ERR_OK);
    return made;
}

struct tls_credentials world_credentials(struct world *world, const char *cluster_id,
                                         uint64_t node_id)
{
    return signed_by(&world->arena, world->authority, world->authority_key, cluster_id,
                     node_id);
}

struct tls_credentials world_foreign(struct world *world, uint64_t node_id)
{
    struct bytes authority, key;

    tls_authority_new("c1", &world->arena, &authority, &key);
    return signed_by(&world->arena, authority, key, "c1", node_id);
}

void end_start(struct end *end, const struct tls_credentials *credentials)
{
    char listen[40];
    struct transport_nng_config config = {
        .node_id = end->node_id,
        .cluster_id = "c1",
        .listen = listen,
        .credentials = credentials != NULL ? credentials : &end->credentials,
        .wake = wake,
        .context = end,
    };

    snprintf(listen, sizeof(listen), "127.0.0.1:%u", end->port);
    assert_int_equal(transport_nng_new(&config, &end->transport), ERR_OK);
}

void end_stop(struct end *end)
{
    transport_nng_free(&end->transport);
}

void end_peer(struct end *end, uint64_t node_id, unsigned port)
{
    char address[40];

    snprintf(address, sizeof(address), "127.0.0.1:%u", port);
    assert_int_equal(transport_nng_peer(end->transport, node_id, address), ERR_OK);
}

unsigned end_room(struct end *end, uint64_t node_id)
{
    struct transport *transport = transport_nng_interface(end->transport);
    return transport->ops->room(transport, node_id);
}

void end_send(struct end *end, uint64_t node_id, size_t len, uint32_t tag)
{
    struct transport *transport = transport_nng_interface(end->transport);
    struct frame *frame = frame_new(len);

    for (size_t i = 0; i < len; i++)
        frame_memory(frame)[i] = (uint8_t)(tag + i);
    memcpy(frame_memory(frame), &tag, len < sizeof(tag) ? len : sizeof(tag));
    transport->ops->send(transport, node_id, frame);
}

bool end_is_up(const struct end *end, uint64_t node_id)
{
    for (unsigned i = end->told_count; i > 0; i--)
        if (end->told[i - 1].node_id == node_id && end->told[i - 1].what != TOLD_FRAME)
            return end->told[i - 1].what == TOLD_UP;
    return false;
}

unsigned end_told(const struct end *end, int what, uint64_t node_id)
{
    unsigned count = 0;

    for (unsigned i = 0; i < end->told_count; i++)
        count += (int)end->told[i].what == what && end->told[i].node_id == node_id;
    return count;
}

/* ---- wires ---- */

static int dial(unsigned port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0)
        return fd;
    close(fd);
    return -1;
}

void wire_open(struct wire *wire, unsigned to_port)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    const int on = 1;

    wire->port = free_port();
    wire->to_port = to_port;
    wire->listen_fd = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(wire->listen_fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons((uint16_t)wire->port);
    assert_int_equal(bind(wire->listen_fd, (const struct sockaddr *)&address, sizeof(address)),
                     0);
    assert_int_equal(listen(wire->listen_fd, 16), 0);
    memset(wire->pairs, -1, sizeof(wire->pairs));
}

static void pair_close(int pair[2], bool reset)
{
    const struct linger linger = {.l_onoff = 1, .l_linger = 0};

    for (unsigned i = 0; i < 2; i++) {
        if (reset && pair[i] >= 0)
            setsockopt(pair[i], SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
        if (pair[i] >= 0)
            close(pair[i]);
        pair[i] = -1;
    }
}

void wire_cut(struct wire *wire, bool reset)
{
    for (unsigned i = 0; i < WIRE_PAIRS_MAX; i++)
        pair_close(wire->pairs[i], reset);
    wire->passed = 0;
}

static bool readable(int fd)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    return fd >= 0 && poll(&poll_fd, 1, 0) == 1;
}

static void wire_accept(struct wire *wire)
{
    unsigned at = 0;
    int fd = accept(wire->listen_fd, NULL, NULL);

    while (at < WIRE_PAIRS_MAX && wire->pairs[at][0] >= 0)
        at++;
    CHECK(fd >= 0 && at < WIRE_PAIRS_MAX);
    wire->accepted++;
    wire->pairs[at][0] = fd;
    wire->pairs[at][1] = dial(wire->to_port);
    if (wire->pairs[at][1] < 0)
        pair_close(wire->pairs[at], false);
}

static void pair_pass(struct wire *wire, int pair[2], unsigned from)
{
    uint8_t bytes[16384];
    size_t most = sizeof(bytes);

    if (from == 0 && wire->cut_after > 0 && wire->cut_after - wire->passed < most)
        most = wire->cut_after - wire->passed;
    ssize_t len = recv(pair[from], bytes, most, 0);
    if (len <= 0 || send(pair[!from], bytes, (size_t)len, MSG_NOSIGNAL) != len) {
        pair_close(pair, false);
        return;
    }
    wire->passed += from == 0 ? (size_t)len : 0;
    if (wire->cut_after > 0 && wire->passed == wire->cut_after) {
        wire->cut_after = 0;
        wire_cut(wire, len % 2 == 0);
    }
}

static bool wire_turn(struct wire *wire)
{
    bool busy = false;

    if (wire->listen_fd == 0 || wire->held)
        return false;
    if (readable(wire->listen_fd))
        wire_accept(wire);
    for (unsigned i = 0; i < WIRE_PAIRS_MAX; i++)
        for (unsigned from = 0; from < 2; from++)
            if (readable(wire->pairs[i][from])) {
                pair_pass(wire, wire->pairs[i], from);
                busy = true;
            }
    return busy;
}

/* ---- all together ---- */

static void turn(struct world *world)
{
    struct pollfd fds[WORLD_NODES];
    uint64_t count;
    bool busy = false;

    for (unsigned i = 0; i < WORLD_WIRES; i++)
        busy = wire_turn(&world->wires[i]) || busy;
    for (unsigned i = 0; i < WORLD_NODES; i++)
        fds[i] = (struct pollfd){.fd = world->ends[i].wake_fd, .events = POLLIN};
    poll(fds, WORLD_NODES, busy ? 0 : TURN_MS);
    for (unsigned i = 0; i < WORLD_NODES; i++) {
        struct end *end = &world->ends[i];
        if ((fds[i].revents & POLLIN) == 0 || end->asleep)
            continue;
        CHECK(read(end->wake_fd, &count, sizeof(count)) == sizeof(count));
        if (end->transport != NULL)
            transport_nng_deliver(end->transport, (struct replicator *)end);
    }
}

void world_until(struct world *world, bool (*holds)(void *context), void *context)
{
    uint64_t start_ms = clock_monotonic_ms();

    while (!holds(context)) {
        if (clock_monotonic_ms() - start_ms > UNTIL_MS)
            fail_msg("the condition did not come true in time");
        turn(world);
    }
}

void world_for(struct world *world, uint64_t ms)
{
    uint64_t start_ms = clock_monotonic_ms();

    while (clock_monotonic_ms() - start_ms < ms)
        turn(world);
}

int world_setup(void **state)
{
    struct world *world = calloc(1, sizeof(*world));

    assert_non_null(world);
    log_init("test", LOG_LEVEL_ERROR, false);
    arena_init(&world->arena);
    tls_authority_new("c1", &world->arena, &world->authority, &world->authority_key);
    for (unsigned i = 0; i < WORLD_NODES; i++) {
        struct end *end = &world->ends[i];
        end->node_id = i + 1;
        end->port = free_port();
        end->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        end->credentials = world_credentials(world, "c1", i + 1);
    }
    *state = world;
    return 0;
}

int world_teardown(void **state)
{
    struct world *world = *state;

    for (unsigned i = 0; i < WORLD_NODES; i++) {
        end_stop(&world->ends[i]);
        close(world->ends[i].wake_fd);
    }
    for (unsigned i = 0; i < WORLD_WIRES; i++)
        if (world->wires[i].listen_fd > 0) {
            wire_cut(&world->wires[i], false);
            close(world->wires[i].listen_fd);
        }
    arena_fini(&world->arena);
    free(world);
    return 0;
}
