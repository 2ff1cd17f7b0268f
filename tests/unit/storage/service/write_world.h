/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_UNIT_STORAGE_SERVICE_WRITE_WORLD_H
#define TESTS_UNIT_STORAGE_SERVICE_WRITE_WORLD_H

#include "node/base/buffer.h"
#include "node/runtime/rpc.h"
#include "raft/replicator.h"

/*
 * The world that write.c is tested in: time, the one timer, the local replicator and another
 * node answer when the test says so. Node 1 is this one.
 */
enum { SELF = 1, OTHER = 2, GROUP = 3 };

struct loop_timer {
    bool running;
    uint64_t at_ms;
    void (*fired)(void *context);
    void *context;
};

struct world {
    uint64_t now_ms;
    uint64_t leader;
    struct loop_timer timer;
    unsigned proposals;
    struct buffer proposed; /* the newest entry */
    replicator_done *proposal_done;
    void *proposal_context;
    unsigned calls;
    uint64_t connects; /* of the connection to the other node */
    uint64_t clock_id;
    uint64_t expires_ms;
    uint64_t cancelled;
    rpc_done *call_done;
    void *call_context;
};
extern struct world world;

/* Everything as at the start, at 1,000 ms. */
void world_reset(void);

/* The timer that is running fires, at its time. */
void timer_fires(void);

#endif
