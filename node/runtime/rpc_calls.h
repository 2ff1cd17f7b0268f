/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NODE_RUNTIME_RPC_CALLS_H
#define NODE_RUNTIME_RPC_CALLS_H

#include "node/runtime/rpc.h"

/*
 * The calls that a client has not finished: found by ticket, by deadline, and, while they wait
 * for their turn, in order. No sockets here.
 */
struct rpc_pending {
    uint32_t index;      /* its place in the table */
    uint32_t generation; /* of its own, so that a ticket of an earlier call misses */
    uint64_t order;      /* grows with each call */
    uint64_t deadline_ms;
    uint64_t started_ms; /* when it was last sent */
    size_t heap_place;
    struct rpc_pending *next, *previous; /* while it waits */
    bool waiting;
    enum err refused;  /* what its deadline brings instead of ERR_TIMEOUT, or ERR_OK */
    bool sent;         /* over the connection that there is now */
    bool secret;       /* `body` is wiped when it is dropped */
    struct bytes body; /* its own copy; kept for sending it again */
    rpc_done *done;
    void *context;
};

struct rpc_calls {
    struct rpc_pending **table;
    uint32_t *free_places;
    uint32_t free_count;
    uint32_t table_size;
    uint32_t generation;
    uint64_t order;
    struct rpc_pending **heap; /* the earliest deadline first */
    size_t heap_count;
    struct rpc_pending *first, *last; /* that wait */
};

void rpc_calls_fini(struct rpc_calls *calls); /* of an empty set */
/* In no list yet but the deadlines. Copies `body`. */
struct rpc_pending *rpc_calls_add(struct rpc_calls *calls, uint64_t deadline_ms,
                                  struct bytes body);
/* Out of everything, and freed. */
void rpc_calls_drop(struct rpc_calls *calls, struct rpc_pending *call);
uint64_t rpc_calls_ticket(const struct rpc_pending *call);
struct rpc_pending *rpc_calls_find(const struct rpc_calls *calls, uint64_t ticket);
/* NULL when there are none. */
struct rpc_pending *rpc_calls_earliest(const struct rpc_calls *calls);
void rpc_calls_wait(struct rpc_calls *calls, struct rpc_pending *call);
/* Those that were sent wait again, in front of the others and in the order in which they were
 * made. */
void rpc_calls_unsend(struct rpc_calls *calls);
struct rpc_pending *rpc_calls_next_waiting(struct rpc_calls *calls);

#endif
