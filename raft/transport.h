/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef RAFT_TRANSPORT_H
#define RAFT_TRANSPORT_H

#include "node/base/bytes.h"
#include "node/base/err.h"

/*
 * Frames between nodes: FIFO per peer, may be lost, never altered. A frame that cannot be sent
 * now is dropped (Raft sends again). Receiving goes to replicator_received() and
 * replicator_peer_up(). Implementations: raft/transport_nng.h, and the simulator's.
 */
enum { TRANSPORT_FRAME_SIZE_MAX = 4 * 1024 * 1024 };

struct frame;

struct transport {
    const struct transport_ops *ops;
};

struct transport_ops {
    /* How many frames to that peer may be handed over now; 0 when the link is down or full. */
    unsigned (*room)(struct transport *transport, uint64_t node_id);
    /* Takes the frame over (one reference). Only when room() said so. */
    void (*send)(struct transport *transport, uint64_t node_id, struct frame *frame);
};

#endif
