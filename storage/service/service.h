/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_SERVICE_SERVICE_H
#define STORAGE_SERVICE_SERVICE_H

#include "cluster.pb-c.h"
#include "node/base/arena.h"
#include "node/base/map.h"
#include "node/runtime/process.h"
#include "node/runtime/rpc.h"
#include "raft/machine.h"
#include "raft/replicator.h"
#include "storage/db/db.h"
#include "storage/machine/machine.h"
#include "storage/query/mail.h"
#include "store.pb-c.h"

/*
 * The store process: what lives in it, and the ways through it. One thread (the loop's) owns
 * all of this; queries and password hashes run in pool threads with nothing but a database and
 * a copy of their question.
 *
 *   endpoints.c  calls come in from a role's socket, the role table decides    -> call_reply()
 *   write.c      a command finds its group's leader, wherever that is          -> write_start()
 *   route.c      a command or question finds its account's group, also while that moves
 *   scopes*.c    what domains and tenants may hold, in parts that groups ask for
 *   read.c       a question finds a replica that is new enough                 -> read_start()
 *   peers.c      the same two between nodes
 *   sessions.c, login.c, watch.c   who is logged in, and what they wait for
 *   relay_*.c      who sends mail to other hosts asks what there is to do, and says what came
 * of it replication.c  log, transport, machine and replicator tied to the loop cluster.c,
 * join.c, placement.c, operator.c, duties.c   what operators ask, and what leaders do unasked
 */

enum service_role { ROLE_SMTP, ROLE_IMAP, ROLE_RELAY, ROLE_OPERATOR, ROLE_COUNT };

enum {
    SERVICE_LANES_MAX = 8,
    SERVICE_NODES_MAX = 1024,
    DIRECTORY_GROUP = 0,
    DEADLINE_DEFAULT_MS = 15000,
    DEADLINE_MAX_MS = 120000,
    SETTLE_MS = 5000, /* of a write's deadline, kept to find out what became of it */
};

/* A node of the cluster as this one knows it. */
struct service_node {
    uint64_t id;
    unsigned site; /* its data center as a small number, from 1 */
    char *name;
    char *data_center;
    char *raft_address;
    char *rpc_address;
    char *join_address;
    struct rpc_client *rpc; /* NULL: this node itself */
    /* Its monotonic clock, as its last reply said (cluster.proto, Propose). */
    uint64_t clock_id;
    uint64_t clock_ms;
    uint64_t clock_at_ms; /* by our clock, when that reply came */
};

struct service {
    struct process *process;
    struct loop *loop;
    const struct config *config;

    Pr__Identity *identity; /* NULL: in no cluster yet, only `cluster init` and `cluster join`
                               are answered */
    struct arena identity_arena;
    struct tls_credentials credentials;

    struct db *lanes[SERVICE_LANES_MAX];
    unsigned lane_count;
    struct replication *replication;
    struct replicator *replicator; /* NULL as long as there is no identity */

    struct service_node **nodes; /* by id; from the directory, before that from the identity */
    unsigned node_count;

    uint32_t role_uid[ROLE_COUNT]; /* who may call */
    struct endpoint *endpoints[ROLE_COUNT];
    uint64_t
        clock_id; /* random: other nodes tell this life of the process from an earlier one */
    struct rpc_server *peer_server;
    struct rpc_server *join_server;
    struct sessions *sessions;
    struct promises *promises;
    struct watches *watches;
    struct writes *writes;
    struct routes *routes;
    struct scopes *scopes;
    struct logins *logins;
    struct verifiers *verifiers;
    struct version_waits *version_waits;
    struct relay_duties *relay_duties;
    struct firewalls *firewall;
    struct placement *placement;
    struct duties *duties;
    struct state_sessions *state_sessions; /* copies of groups' states that others make */
    struct state_fetches *state_fetches;   /* and that this node makes */
    struct scrubs *scrubs;
    struct weights *weights; /* what replicas here weigh */
    struct formats *formats;
    struct fence *fence;
    struct space *space;
    struct loop_timer *peers_watch;
    bool stopping;
    bool fenced; /* removed from the cluster: starting again would not help */
};

/* ---- a call of a front end or an operator (endpoints.c) ---- */

struct service_call {
    struct service *service;
    struct rpc_request *rpc;
    struct arena call_arena; /* the request lives in it */
    Pr__Request *request;
    Pr__Deliver *request_deliver; /* a delivery's command */
    enum service_role role;
    uint32_t connection;      /* of the front end */
    uint32_t uid;             /* of the caller */
    const char *audit_object; /* what its line in the log says instead of what the request says,
                                 see audit.h; NULL: that */
    struct session *session;  /* for calls that need one; may end while the call is under way:
                                 see sessions.h */
    uint64_t session_id;
    uint64_t deadline_ms; /* absolute, monotonic */
    void *context;        /* of whoever handles it, while it does */
};

/* Each ends the call: replies and frees it. `text` (for operators) may be NULL. */
void call_reply(struct service_call *call, Pr__Reply *reply);
void call_reply_packed(struct service_call *call, struct bytes reply);
void call_fail(struct service_call *call, enum err err, const char *text);
/* The outcome of a write: its err and text become the reply's. */
void call_outcome(struct service_call *call, enum err err, const Pr__Outcome *outcome);

/* ---- writes (write.c) ---- */

/*
 * Brings a command into a group's log, through its leader. The command is packed at once; its
 * time is set here. `done` comes exactly once, from the loop: ERR_OK with the outcome (whose
 * own err may be a refusal) and the index, or ERR_UNAVAILABLE: no majority, nothing promised;
 * or ERR_TOOBIG. A command with a request id whose fate is unknown at the deadline is settled
 * by a Cancel: it is then certain that it never takes effect, as long as a majority is there.
 * Without one it is ERR_UNKNOWN.
 */
typedef void write_done(void *context, enum err err, const Pr__Outcome *outcome,
                        uint64_t index);
void write_start(struct service *service, uint32_t group, Pr__Command *command,
                 uint64_t deadline_ms, write_done *done, void *context);
/* The same for an entry that is packed already. */
void write_entry(struct service *service, uint32_t group, struct bytes entry,
                 struct bytes request_id, uint64_t deadline_ms, write_done *done,
                 void *context);
/* A write whose outcome is the reply of an operator's or front end's call. */
void write_call(struct service_call *call, uint32_t group, Pr__Command *command);

/* ---- reads (read.c) ---- */

/* Whether this node has a replica of the group that serves reads. */
bool read_is_local(const struct service *service, uint32_t group);

/*
 * Runs `work` in a pool thread with a read transaction of the group's state, once it has
 * applied `seen_index`; with `fresh` after a read-index round. Then `done` in the loop. `err`:
 * ERR_OK, ERR_UNAVAILABLE, or what the transaction had. Only for groups with a local replica.
 */
struct read_job {
    struct service *service;
    uint32_t group;
    uint64_t seen_index;
    bool fresh;
    uint64_t deadline_ms;
    void (*work)(struct read_job *job, struct db_txn *txn);
    void (*done)(struct read_job *job, enum err err, uint64_t index);
    void *context;
    /* read.c's own */
    enum err err;
    uint64_t index;
};
void read_start(struct read_job *job); /* `job` stays the caller's, and in place until done */

/* ---- the directory, from the loop's thread ---- */

struct db_txn *
service_directory_begin(struct service *service); /* end it with db_abort() in the same turn */
struct db *service_db(const struct service *service, uint32_t group);
struct service_node *service_node(const struct service *service, uint64_t node_id);
/* NULL for this node, or when there is no such node. */
struct rpc_client *service_peer(const struct service *service, uint64_t node_id);
/* A connection of one's own to another node; the caller frees it. NULL: no such node. */
struct rpc_client *service_peer_connect(struct service *service, uint64_t node_id);
uint64_t service_self(const struct service *service);
/* How whole the group's state here is (raft/machine.h). */
enum machine_state service_state(const struct service *service, uint32_t group);

/* ---- life (service.c, replication.c) ---- */

/* Before the sandbox. ERR_NOTFOUND: a user of the configuration does not exist. */
MUST_CHECK enum err service_init(struct service *service, struct process *process);
/* With an identity: everything. Without: the operator's socket. */
MUST_CHECK enum err service_open(struct service *service);
/* After an identity was written: starts what needs one. */
MUST_CHECK enum err service_start_cluster(struct service *service);
/* Opens databases, log, transport and replicator; service->replicator works afterwards. Needs
 * the identity. */
MUST_CHECK enum err replication_open(struct service *service);
void replication_close(struct service *service);
/* What became of a copy of a group's state: its mark is on disk; it has ended. */
void replication_partial(struct service *service, uint32_t group);
void replication_fetched(struct service *service, uint32_t group, enum err err, uint64_t index);
/* Nothing of a group is left here. */
void replication_forgotten(struct service *service, uint32_t group);
/* A disk that failed once is not asked again: the process ends. */
_Noreturn void replication_disk_failed(const char *what, enum err err);
/* Links to a node; idempotent. */
void replication_peer(struct service *service, uint64_t node_id, const char *address);
void replication_peer_remove(struct service *service, uint64_t node_id);
/* Hands leadership of what is led here to others, for a clean stop; calls `done` when that is
 * so, or soon anyway. */
void replication_hand_over(struct service *service, void (*done)(void *context), void *context);
/* The node list changed: nodes from the directory, transport and rpc peers follow. */
void service_nodes_refresh(struct service *service);
void service_close(struct service *service);

/* What the machine did, told in the loop after each batch (watch.c, duties.c, service.c look at
 * it). */
void service_events(struct service *service, const struct machine_events *events);
/* A group's state came from another node: nobody was told what happened meanwhile. */
void service_state_replaced(struct service *service, uint32_t group);

#endif
