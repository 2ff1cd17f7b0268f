/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_SIM_SIM_H
#define TESTS_SIM_SIM_H

/*
 * Whole clusters over the real replicator, in one thread and virtual time, from one seed. All
 * that is random comes from the seed, so a failure is replayed by its number.
 */
#include <stdio.h>

#include "node/base/bytes.h"
#include "node/base/check.h"
#include "raft/frame.h"
#include "raft/log.h"
#include "raft/machine.h"
#include "raft/replicator.h"
#include "raft/transport.h"
#include "storage/transfer/format.h"

/* How large a world is, and what is counted in it: that of replicators and machines alone, or
 * that with the whole service above them. */
#ifdef SIM_SERVICE
#include "tests/sim/service_world.h"
#else
#include "tests/sim/machine_world.h"
#endif

enum {
    NODES_MAX = 5,
    MACHINE_LANES = 2,
    ELECTION_MS = 200,
    BEAT_MS = 25,
    GRACE_MS = 1500,
};

/* Deliberate faults of the world around the replicator: each must be noticed by a check. */
enum bug {
    BUG_NONE,
    BUG_PERSISTED_BEFORE_DURABLE,
    BUG_VOTE_NOT_DURABLE,
    BUG_ACK_BEFORE_APPLY,
    BUG_WRONG_SITE,
    BUG_STALE_READ,
    BUG_UID_REUSED,
    BUG_DEDUPE_FORGOTTEN,
    BUG_EXPUNGE_RESURRECTED,
    BUG_QUOTA_DRIFT,
    BUG_CANCEL_FORGOTTEN, /* these are of worlds with the service */
    BUG_STALE_SESSION,
    BUG_MOVE_DOUBLE,
    BUG_COUNT
};

/* What a seed unfolds to. */
struct plan_of_seed {
    unsigned nodes;
    unsigned groups;
    unsigned loss_permille;
    unsigned double_permille;
    unsigned delay_ms;
    unsigned disk_ms;
    unsigned stall_permille;
    unsigned crash_ms;
    unsigned partition_ms;
    unsigned fetch_ms; /* a step of a state transfer takes up to this */
    bool growth;
    bool churn;
    bool cross_dc;
    bool trim;
    bool minority; /* a minority stays dead at the end */
    bool large;    /* commands of more than a frame's share */
    bool tight;    /* the log is not held for members that are behind: state is transferred */
    bool witness;  /* the last node keeps no state */
    bool quiesce;  /* nodes are told to promise nothing, for a while */
    bool disaster; /* in the end a data center with the majority is lost, or three of five nodes
                    */
    bool failing;  /* writes of the log fail: the process ends */
    bool jumps;    /* clocks jump forward */
    bool pauses;   /* processes stand still for long */
};

struct world;
struct event {
    uint64_t at_ms;
    uint64_t sequence;
    void (*run)(struct world *world, struct event *event);
    unsigned node;
    uint64_t life; /* of the node: an event of an earlier one is void; 0: of no node */
    void *data;    /* freed after the run, or unrun at the end, by */
    void (*drop)(void *data);
};

struct disk_entry {
    uint64_t term;
    uint8_t type;
    struct frame *data;
};

struct disk_group {
    bool exists;
    struct log_state state; /* but for base_members */
    uint8_t base_members[LOG_MEMBERS_SIZE_MAX];
    size_t base_members_size;
    struct disk_entry *entries; /* from state.first_index */
    uint64_t room;
    uint64_t bytes;
};

struct disk {
    struct entry_log interface;
    struct world *world;
    unsigned node;
    struct disk_group groups[GROUPS_MAX];
    struct disk_group undo[GROUPS_MAX]; /* BUG_PERSISTED_BEFORE_DURABLE */
    uint64_t undo_until_ms;
    const struct log_write *writes; /* under way: the replicator's memory */
    unsigned writes_count;
};

struct truth_record {
    uint64_t index;
    uint64_t term;
    uint64_t id;     /* 0: not a command */
    uint64_t reply;  /* a hash of it */
    uint64_t led_by; /* the highest term that anybody led when it was first applied */
    uint64_t digest; /* of the group's tables behind it, 0: nobody has looked */
};

/* Of a group's state from another node's machine, under way. */
struct machine_copy {
    struct transfer_source *source;
    struct transfer_sink *sink;
    unsigned from;
    struct transfer_limits limits;
};

struct machine_group {
    uint64_t committed; /* by a transaction of its lane */
    uint64_t applied;   /* what readers see: committed, but for a planted bug */
    uint64_t durable;   /* would outlive a power loss for sure */
    bool partial;       /* a copy from another node has begun and not ended; outlives a crash */
    struct machine_copy copy;
};

struct machine_lane {
    struct db *db;
    uint64_t last_ms; /* when something was committed */
    bool sync_pending;
};

struct machine_sim {
    struct machine interface;
    struct world *world;
    unsigned node;
    uint64_t lives; /* how often it has crashed */
    struct machine_lane lanes[MACHINE_LANES];
    struct machine_group groups[GROUPS_MAX];
};

struct net_link {
    uint64_t epoch;
    bool up;  /* as the sender sees it */
    bool cut; /* frames vanish */
    unsigned inflight;
    uint64_t last_ms; /* FIFO: nothing arrives before this */
};

struct node {
    struct world *world;
    unsigned number; /* 0.. ; its id is number + 1 */
    bool up;
    bool dead_for_good;
    uint64_t life;
    struct replicator *replicator;
    struct transport transport;
    struct disk disk;
    struct machine_sim machine;
    bool turn_pending;
    unsigned fuse; /* dies after so many effects of this turn; 0: not set */
    bool dying;
    unsigned site;
    uint64_t led_term[GROUPS_MAX];
    bool witness;
    bool fetch_stopped[GROUPS_MAX];
    uint64_t clock_ms;  /* ahead of the world's */
    bool failed;        /* its log could not be written: the process ends */
    uint64_t paused_ms; /* stands still until then */
};

struct proposal {
    unsigned node;
    uint64_t life;
    unsigned group;
    enum { PROPOSAL_OPEN, PROPOSAL_OK, PROPOSAL_NEVER, PROPOSAL_UNKNOWN } outcome;
    uint64_t index;
    bool alone;       /* acknowledged without another data center, after the grace */
    uint64_t applied; /* how often, by the first to apply */
};

struct truth {
    struct truth_record *records; /* what was committed, by the first who applied it */
    uint64_t count;
    uint64_t room;
    uint64_t seen_index; /* the highest index that any finished operation has shown */
    uint64_t ok_calm;    /* proposals acknowledged since the calm */
    uint64_t highest;    /* term that somebody led */
    uint64_t *leaders;   /* by term */
    uint64_t leaders_room;
};

/* SIM_STATS: what is counted, and whether a campaign in which it never happens is worth
 * nothing. */
#define SIM_STATS_FIELD(name, sometimes) uint64_t name;
struct stats {
    SIM_STATS(SIM_STATS_FIELD)
};
#undef SIM_STATS_FIELD

/* What became of a seed; goes through a pipe. */
struct sim_result {
    uint64_t seed;
    uint64_t hash; /* of all that happened */
    bool good;
    char failure[300];
    struct stats stats;
};

struct world {
    uint64_t seed;
    enum bug bug;
    bool verbose;
    bool gate; /* check at the network that nothing leaves too early */
    uint64_t now_ms;
    uint64_t calm_at_ms;
    uint64_t patience_ms; /* behind the calm */
    bool calm;
    uint64_t random;
    uint64_t sequence;
    uint64_t hash;
    struct event *heap;
    unsigned heap_count;
    unsigned heap_room;
    struct plan_of_seed plan;
    struct node nodes[NODES_MAX];
    struct net_link links[NODES_MAX][NODES_MAX];
    struct truth truths[GROUPS_MAX];
    struct proposal *proposals; /* by id - 1 */
    uint64_t proposals_count;
    uint64_t proposals_room;
    bool change_open[GROUPS_MAX];
    bool unrecovered[GROUPS_MAX];        /* a disaster left no whole state */
    uint64_t leader_died_ms[GROUPS_MAX]; /* 0: there is one, or it did not die */
    bool over;                           /* nothing more can be asked of this world */
    unsigned current;                    /* the node whose event runs */
    struct mail *mail;                   /* mail.h */
    struct service_world *service;       /* service.h */
    char failure[300];
    struct stats *stats;
};

/* world.c */
uint64_t sim_random(struct world *world);
uint64_t sim_below(struct world *world, uint64_t end);
bool sim_chance(struct world *world, unsigned permille);
void sim_at(struct world *world, struct event event);
void sim_trace(struct world *world, uint64_t value);
__attribute__((format(printf, 2, 3))) void sim_fail(struct world *world, const char *format,
                                                    ...);
/* Carries out one event after the other, until there is none, a check has failed or `ends` says
 * so of the time of the next one. */
void sim_loop(struct world *world, bool (*ends)(struct world *world, uint64_t at_ms));
struct world *sim_world_new(uint64_t seed, enum bug bug, bool gate, bool verbose,
                            struct sim_result *result);
/* Says in the result what became of it. */
void sim_world_free(struct world *world, struct sim_result *result);

/* run.c */
void sim_run(uint64_t seed, enum bug bug, bool gate, bool verbose, struct sim_result *result);

/* node_life.c */
void node_start(struct node *node);
void node_crash(struct node *node);
void nodes_setup(struct world *world);
void nodes_teardown(struct world *world);

/* nodes.c */
void node_wake(struct node *node);
/* Its turns begin. */
void node_turns(struct node *node);
/* From when on its groups are without a leader. */
void node_leaders_note(struct node *node);
/* Counts an effect of the turn; false when the node has died before it. */
bool node_effect(struct node *node);
void faults_setup(struct world *world);

/* disk.c */
void disk_init(struct disk *disk, struct world *world, unsigned node);
void disk_fini(struct disk *disk);
void disk_crash(struct disk *disk);
/* As if a cluster of these voters had been there from the start. */
void disk_prefill(struct disk *disk, unsigned group, unsigned voters);
const struct disk_entry *disk_entry(const struct disk *disk, unsigned group, uint64_t index);

/* net.c */
void net_init(struct world *world);
void net_node_down(struct world *world, unsigned node);
void net_node_up(struct world *world, unsigned node);
void net_partition(struct world *world);
void net_heal(struct world *world);
extern const struct transport_ops net_ops;

/* machine.c */
void machine_init(struct machine_sim *machine, struct world *world, unsigned node);
void machine_fini(struct machine_sim *machine);
void machine_crash(struct machine_sim *machine);
uint64_t machine_applied_index(const struct machine_sim *machine, unsigned group);
bool machine_whole(const struct machine_sim *machine, unsigned group);
struct db *machine_lane(const struct machine_sim *machine, unsigned group);
uint64_t machine_hash(struct bytes bytes);
/* Compares its tables with those of whoever was at the same index before. */
void machine_check_digest(const struct machine_sim *machine, unsigned group);
/* It has every acknowledged entry up to `index`, and keeps it over a crash. */
bool machine_holds(const struct machine_sim *machine, unsigned group, uint64_t index);

/*
 * Copying a group's state from one machine to another, as fetch.c does it over virtual time.
 * begin: returns what `from` has applied, 0 when it has no whole state; `to` is partial from
 * now on, with `resumed` set when it was before. step: copies a little more; ERR_OK when all is
 * there, ERR_BUSY while it is not, else the copy has failed. end: `to` is whole and durable at
 * the index that is returned, at least that of the beginning.
 */
uint64_t machine_copy_begin(struct machine_sim *to, const struct machine_sim *from,
                            unsigned group, bool *resumed);
enum err machine_copy_step(struct machine_sim *to, unsigned group);
uint64_t machine_copy_end(struct machine_sim *to, unsigned group);
/* As the tables say. */
bool machine_partial_read(const struct machine_sim *machine, unsigned group);

/* Copies from and to a node that dies are void. */
void machine_copies_end(struct world *world, unsigned node);
/* A transaction of the group's lane has been committed. */
void machine_committed(struct machine_sim *machine, unsigned group);

/* machine_forget.c */
void machine_forget(struct machine_sim *machine, unsigned group);

/* operator.c */
void operator_setup(struct world *world);
/* Of three nodes the two in one data center are gone; the third is made to go on alone. */
void operator_disaster(struct world *world);
/* A survivor died while three of five were being made up for. */
void operator_recover_again(struct world *world);

/* recovery.c: false when a survivor is not up yet. */
bool recovery_run(struct world *world);

/* fetch.c */
void fetch_start(struct machine_sim *machine, unsigned group, unsigned source, uint64_t index);
void fetch_stop(struct machine_sim *machine, unsigned group);
/* Some node that is up lacks the state of a group. */
bool fetches_under_way(const struct world *world);

/* client.c */
void client_setup(struct world *world);
/* Somebody was shown the state of that index. */
void client_show(struct world *world, unsigned group, uint64_t index);
/* A node that is up, and leads the group as far as it knows; NULL when there is none. */
struct node *client_node(struct world *world, unsigned group, bool leader);

/* checks.c */
void check_applied(struct world *world, unsigned node, unsigned group,
                   struct truth_record record);
void check_turn(struct node *node);
/* How its members stand, in words. */
void check_describe(struct world *world, unsigned group);
void check_sent(struct world *world, unsigned from, unsigned to, struct bytes frame);
void check_ok(struct world *world, unsigned node, unsigned group, uint64_t id, uint64_t index,
              struct bytes reply);
void check_digest(struct world *world, unsigned node, unsigned group, uint64_t index,
                  uint64_t digest);
/* The group goes on from entry `count`: what is behind it must not have been promised. */
void check_lost(struct world *world, unsigned group, uint64_t count);
void check_end(struct world *world);

#endif
