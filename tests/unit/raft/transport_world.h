/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_UNIT_RAFT_TRANSPORT_WORLD_H
#define TESTS_UNIT_RAFT_TRANSPORT_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "node/base/arena.h"
#include "node/runtime/tls.h"
#include "raft/transport_nng.h"

/*
 * Transports of a few nodes in one thread, each with what it told its replicator; and wires:
 * relays between a port and another that can be cut, held or broken off after some bytes.
 */
enum { WORLD_NODES = 3, WORLD_WIRES = 2, WIRE_PAIRS_MAX = 64, EVENTS_MAX = 20000 };

struct told {
    enum { TOLD_DOWN, TOLD_UP, TOLD_FRAME } what;
    uint64_t node_id;
    size_t len;
    uint32_t tag; /* the frame's first bytes */
};

struct end {
    uint64_t node_id;
    int wake_fd;
    unsigned port;
    struct tls_credentials credentials;
    struct transport_nng *transport;
    bool asleep; /* it does not deliver */
    struct told told[EVENTS_MAX];
    unsigned told_count;
};

struct wire {
    int listen_fd;
    unsigned port;
    unsigned to_port;
    int pairs[WIRE_PAIRS_MAX][2]; /* -1: none */
    unsigned accepted;            /* so far */
    bool held;                    /* nothing passes, nothing is closed */
    size_t cut_after;             /* so many bytes from the dialer; 0: never */
    size_t passed;                /* since the last cut */
};

struct world {
    struct arena arena;
    struct bytes authority, authority_key;
    struct end ends[WORLD_NODES]; /* of nodes 1, 2, ... */
    struct wire wires[WORLD_WIRES];
};

int world_setup(void **state);
int world_teardown(void **state);

struct tls_credentials world_credentials(struct world *world, const char *cluster_id,
                                         uint64_t node_id);
/* With an authority of its own, of the same name. */
struct tls_credentials world_foreign(struct world *world, uint64_t node_id);

/* `credentials` NULL: the node's own. */
void end_start(struct end *end, const struct tls_credentials *credentials);
void end_stop(struct end *end);
void end_peer(struct end *end, uint64_t node_id, unsigned port);
unsigned end_room(struct end *end, uint64_t node_id);
void end_send(struct end *end, uint64_t node_id, size_t len, uint32_t tag);
/* The last word about that node; down when nothing was said. */
bool end_is_up(const struct end *end, uint64_t node_id);
unsigned end_told(const struct end *end, int what, uint64_t node_id);

unsigned free_port(void);
void wire_open(struct wire *wire, unsigned to_port);
/* All connections there are; `reset`: as if the other machine did not know of them. */
void wire_cut(struct wire *wire, bool reset);

/* Turns until the condition holds; fails after half a minute. */
void world_until(struct world *world, bool (*holds)(void *context), void *context);
/* Some turns, for things that must not happen. */
void world_for(struct world *world, uint64_t ms);

#endif
