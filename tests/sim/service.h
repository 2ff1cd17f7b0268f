/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_SIM_SERVICE_H
#define TESTS_SIM_SERVICE_H

/*
 * Worlds with the whole service of storage/service/ on each node, over runtimes of virtual
 * time: what node/runtime/ does with threads and sockets, and storage/service/replication.c
 * with LMDB, is here done by second implementations of the same headers. People use the
 * front ends' sockets, as smtp and imap do.
 */
#include "storage/service/service.h"
#include "tests/sim/sim.h"

/* Account 1 is the cluster's own. */
enum { ACCOUNTS = 7, SERVICE_MAIL_GROUPS = GROUPS_MAX - 1 };

struct rpc_server;
struct rpc_client;
struct people;

/* A node's process. What outlives it is in struct node. */
struct service_life {
    struct service service;
    struct process process;
    struct loop *loop;
};

struct service_world {
    struct service_life *lives[NODES_MAX]; /* NULL: it does not run */
    bool member[NODES_MAX];                /* it has joined the cluster */
    int64_t wall_ms[NODES_MAX];            /* its wall clock, ahead of the right one */
    struct loop *outside[NODES_MAX];       /* of those on its machine who are no store */
    struct rpc_client *fronts[NODES_MAX][ROLE_COUNT];
    struct rpc_server *servers;
    struct rpc_client *clients;
    uint64_t serial;
    unsigned setup; /* steps taken */
    unsigned setup_node;
    bool setup_waits;
    bool failing;                /* its disks will */
    bool began;                  /* the cluster stands, and people use it */
    uint32_t home[ACCOUNTS + 1]; /* the group of an account, by the directory's log */
    struct people *people;
};

/* ---- service_loop.c: node/runtime/loop.h, clocks, random numbers ---- */

/* From here on this world's time is what clocks show, and its chance what is random. */
void service_runtime_begin(struct world *world);
void service_runtime_end(void);
/* `life` 0: of no node's process. */
struct loop *loop_sim_new(struct world *world, unsigned node, uint64_t life);
/* The process ends: what was begun in the pool or posted is carried out, whatever comes of it,
 * so that its owners can be freed. */
void loop_sim_drain(struct loop *loop);
struct world *loop_world(const struct loop *loop);
unsigned loop_node(const struct loop *loop);
/* What a node's clocks show. */
uint64_t node_monotonic_ms(const struct world *world, unsigned node);
uint64_t node_wall_ms(const struct world *world, unsigned node);

/* ---- service_rpc.c: node/runtime/rpc.h ---- */

/* Of the call whose answer is being given to its owner. */
struct rpc_answer {
    unsigned sends; /* how often it was sent */
};
extern struct rpc_answer rpc_answer;

/* ---- service_machine.c ---- */

/* What the machine shows of a group on a node that runs. */
uint64_t service_applied(const struct world *world, unsigned node, unsigned group);
struct db *service_lane(const struct world *world, unsigned node, unsigned group);

/* ---- service_front.c ---- */

typedef void front_done(void *context, const Pr__Reply *reply); /* NULL: nobody has answered */
void front_call(struct world *world, unsigned node, enum service_role role,
                const Pr__Request *request, front_done *done, void *context);
void fronts_open(struct world *world);
void fronts_close(struct world *world);
/* The machine of that node died with its store. */
void front_crash(struct world *world, unsigned node);
/* A node that runs, as far as people know. */
unsigned front_node(struct world *world);

/* ---- service_setup.c ---- */

/* Makes the cluster, a step at a time; calls people_begin() when it stands. */
void setup_begin(struct world *world);

/* ---- service_checks.c ---- */

/* A command of the log has been applied for the first time, in a transaction. */
void service_applied_first(struct world *world, struct db_txn *txn, uint32_t group,
                           struct bytes entry, struct bytes reply);
/* Everything has come to rest. */
bool service_rests(struct world *world);
void service_check_end(struct world *world);

#endif
