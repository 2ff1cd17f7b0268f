/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef RAFT_INTERNAL_H
#define RAFT_INTERNAL_H

/*
 * What the files of the replicator share; nobody outside this folder includes it. Each section
 * belongs to the file it names.
 */
#include <raft.h>

#include "node/base/check.h"
#include "raft/cache.h"
#include "raft/frame.h"
#include "raft/log.h"
#include "raft/machine.h"
#include "raft/membership.h"
#include "raft/replicator.h"
#include "raft/transport.h"
#include "raft/wire.h"

enum {
    FRAME_TARGET_BYTES = 1024 * 1024, /* a frame is sent when it has grown to this */
    LINK_SHARE_BYTES = 256 * 1024,    /* of a frame for one group, while others wait */
    LINK_QUEUE_MAX = 4096,            /* messages for one peer of one group */
    LINKS_MAX = 2 * REPLICATOR_MEMBERS_MAX,
    INFLIGHT_ENTRIES_MAX = 512, /* libraft's window for one follower */
    RECEIVE_BYTES_PER_TURN = 8 * 1024 * 1024,
    SUBMIT_ENTRIES_MAX = 1024,
    LANES_MAX = 64,
    TICK_MS = 10,
    INSTALL_TIMEOUT_MS = 4 * 3600 * 1000, /* libraft would only say the same again */
    NOTIFY_MS = 5, /* a commit index waits so long for entries to travel with */
};

/* Something asked for, with the callback that it ends in. */
struct call {
    struct call *next;
    replicator_done *done; /* one of the two; both NULL: nobody waits (a peer's read) */
    void (*simple)(void *context, enum err err);
    void *context;
    enum err err;
    uint64_t index;
    struct bytes reply;
    uint8_t *reply_copy; /* when `reply` must outlive its batch */
    uint64_t deadline_ms;
    struct frame *command; /* proposals */
    uint64_t term;
    uint64_t origin; /* reads: the node that asked, 0 here */
    uint64_t origin_sequence;
};

struct call_list {
    struct call *head;
    struct call *tail;
    uint64_t bytes; /* of the commands */
};

/* A message on its way out. Entries are attached when it is put into a frame. */
struct outgoing {
    struct outgoing *next;
    uint64_t to;
    struct wire_message message;
};

/* One group's messages to one node; FIFO. send.c */
struct link {
    struct peer *peer;
    struct group *group;
    struct outgoing *head;
    struct outgoing *tail;
    unsigned count;
    uint64_t queued_to; /* the last entry waiting in the queue, 0: none */
    uint64_t queued_term;
    struct link *next_pending;
    bool pending;
    /* of the term in which this node leads */
    uint64_t told;       /* commit index that the node has been sent and can act on */
    uint64_t contact_ms; /* last result; 0: none */
    uint64_t read_acked; /* newest read round it confirmed */
    uint64_t install;    /* it was told to begin behind this entry, 0: not */
    bool known;          /* it has said what it is good for: */
    uint8_t standing;    /* of enum wire_standing */
};

struct peer {
    uint64_t node_id;
    bool up;
    struct link *pending_head;
    struct link *pending_tail;
};

/* A CHANGE entry of the retained log, or the base below it. */
struct change {
    uint64_t index;
    unsigned size;
    uint8_t payload[MEMBERSHIP_SIZE_MAX];
};

/* Steps of a membership change or a transfer that is under way. members.c */
enum change_stage { CHANGE_NONE, CHANGE_FLOOR, CHANGE_CATCH_UP, CHANGE_COMMIT };

struct change_request {
    enum change_stage stage;
    struct call *call;
    uint64_t node_id;
    uint8_t role;
    bool remove;
    uint64_t goal;        /* catching up: to here */
    uint64_t best;        /* match that it reached so far */
    uint64_t progress_ms; /* when it last moved */
    uint64_t index;       /* of the CHANGE entry */
};

struct transfer_request {
    struct call *call;
    uint64_t node_id;
    bool asked; /* libraft has been told */
};

/* What the log is to be told next, and what it is being told. persist.c */
struct pending_write {
    bool create;
    bool vote;
    uint64_t from; /* lowest index appended since the last hand-out, 0: none */
    uint64_t trim_before;
    bool reset; /* as group.install says */
};

struct flight {
    bool active;
    bool create;
    bool vote;
    bool reset;
    uint64_t from;
    uint64_t to;
    uint64_t clamp; /* what of it may be reported: a truncation may have overtaken the rest */
    struct entry *entries;
    uint8_t base_members[MEMBERSHIP_SIZE_MAX]; /* of a trim */
};

/* Getting the state from another replica. fetch.c */
struct fetch {
    bool wanted;   /* what is here is not whole: nothing is applied */
    bool running;  /* the machine has been asked */
    bool finished; /* and has answered: */
    enum err err;
    uint64_t got;   /* the state is that of this entry */
    uint64_t index; /* at least this was asked for */
    uint64_t source;
    uint64_t next_ms;
    uint64_t since_ms;
    uint64_t told_ms;
    unsigned failures;
    unsigned turn; /* whose turn it is to be asked */
};

/* The leader's log begins behind this entry, and so will this one. fetch.c */
struct install {
    bool active;
    struct raft_snapshot_metadata base;
    uint64_t leader;
};

struct read_round {
    bool active;
    uint64_t sequence;
    uint64_t term;
    uint64_t leader;
    uint64_t index;
    uint64_t sent_ms;
};

struct group {
    struct replicator *owner;
    uint32_t id;
    struct raft raft;
    bool started;
    bool failed; /* libraft refused to go on */
    bool active; /* in replicator.active */
    bool dirty;  /* in replicator.dirty */
    bool ready;  /* in its lane's list */
    struct group *next_ready;
    struct call *bootstrap;

    /* the log */
    struct cache cache;
    uint64_t log_first;
    struct pending_write write;
    struct flight flight;
    bool hold; /* term and vote are not durable: nothing leaves */
    struct outgoing *held_head;
    struct outgoing *held_tail;
    unsigned held_count;
    struct change *changes; /* ascending; the first may lie below the retained log */
    unsigned changes_count;
    unsigned changes_room;
    uint64_t configured;   /* the last committed change that libraft was told */
    uint64_t trim_allowed; /* from the leader: every member has what is below */
    struct install install;

    /* consensus */
    uint64_t led_term; /* the term that this node leads, 0 when it does not */
    uint64_t led_since_ms;
    uint64_t floor;     /* leader: reads need a commit index of at least this */
    uint64_t sole_term; /* term in which this node elected itself alone */
    uint64_t ticked_ms;
    uint64_t notify_ms;  /* when members are to be told of the commit index; 0: they know */
    uint64_t heard_ms;   /* the last append of a leader, and its term: libraft still names */
    uint64_t heard_term; /* the leader of before when a vote has raised the term */
    bool unserving;      /* that leader takes no proposals */
    struct link *links[LINKS_MAX];
    unsigned links_count;
    bool changed;
    enum replicator_state told_state;
    uint64_t told_term;
    uint64_t told_leader;

    /* calls */
    struct call_list waiting;   /* proposals not yet submitted */
    struct call_list submitted; /* in the log, ascending */
    struct call_list gated;     /* applied, not yet outside this data center */
    struct call_list reads_open;
    struct call_list reads_round;
    struct call_list reads_ready; /* and waits: until `index` is applied */
    struct read_round round;
    struct change_request change;
    struct transfer_request transfer;
    bool single_site;
    uint64_t hand_over_ms; /* when a leader that is not fit tries again to be none */

    /* apply */
    unsigned lane;
    uint64_t apply_next;
    uint64_t applied;
    bool witness; /* no state, ever */
    struct fetch fetch;
};

struct lane {
    struct machine_batch *batch;
    struct frame *owners[MACHINE_BATCH_COMMANDS_MAX];
    bool busy;     /* the machine has it */
    bool finished; /* the machine is through, the replies are being handed out */
    struct group *ready_head;
    struct group *ready_tail;
};

/* A frame being put together. send.c */
struct plan {
    struct wire_message *messages;
    unsigned *entries_start;
    unsigned count;
    unsigned room;
    struct entry *entries; /* each with a reference */
    unsigned entries_count;
    unsigned entries_room;
    size_t bytes;
    unsigned version; /* of the frame, when it is not empty */
    bool full;        /* what comes next needs another version */
};

struct received {
    struct received *next;
    uint64_t node_id;
    struct frame *frame;
};

struct replicator {
    struct replicator_config config;
    struct group **groups; /* ascending by id */
    unsigned groups_count;
    struct group **active; /* groups that something happened to */
    unsigned active_count;
    unsigned active_room;
    struct group **dirty; /* groups with something to write */
    unsigned dirty_count;
    unsigned dirty_room;
    struct peer **peers;
    unsigned peers_count;
    struct lane *lanes[LANES_MAX];
    struct call_list finished;
    struct received *received_head;
    struct received *received_tail;
    struct wire_reader reader;
    struct plan plan;
    uint64_t inflight_bytes; /* submitted and not yet applied or given up */
    uint64_t waiting_bytes;  /* not yet submitted */
    uint64_t cache_bytes;
    unsigned evict_cursor;
    uint64_t next_timer_ms;
    uint64_t next_tick_ms;
    uint64_t nonce; /* for read rounds, different in every life of the process */
    bool writing;   /* the log has a write */
    bool written;   /* and has finished it */
    bool failed;
    struct log_write *writes;
    struct group **writes_groups;
    unsigned writes_count;
    struct raft_entry *scratch; /* entries on their way into raft_step() */
    unsigned scratch_room;
};

/* calls.c */
void call_push(struct call_list *list, struct call *call);
struct call *call_pop(struct call_list *list);
void call_append(struct call_list *list, struct call_list *from);
/* Hands over to replicator.finished: the callback runs at the end of the turn. */
void call_finish(struct replicator *replicator, struct call *call, enum err err);
void call_finish_all(struct replicator *replicator, struct call_list *list, enum err err);
/* Finishes those of the list whose deadline has come. */
void call_expire(struct replicator *replicator, struct call_list *list, uint64_t now,
                 enum err err);
struct call *call_new(replicator_done *done, void *context);
struct call *call_new_simple(void (*simple)(void *context, enum err err), void *context);
void calls_run(struct replicator *replicator);

/* replicator.c */
uint64_t replicator_now(const struct replicator *replicator);
struct group *replicator_group(const struct replicator *replicator, uint32_t id);
struct peer *replicator_peer(struct replicator *replicator, uint64_t node_id, bool make);
void replicator_insert(struct replicator *replicator, struct group *group);
void group_touch(struct group *group);
struct lane *replicator_lane(struct replicator *replicator, unsigned number);

/* group.c */
struct group *group_new(struct replicator *replicator, uint32_t id);
void group_free(struct group *group);
/* From what the log holds. */
MUST_CHECK enum err group_open(struct group *group, const struct log_state *state);
/* A fresh one: empty, or with the first membership in the cache. */
void group_start_fresh(struct group *group);
/* Term of an entry in libraft's memory; 0 when it is not there. */
uint64_t group_term_of(const struct group *group, uint64_t index);
bool group_leads(const struct group *group);
/* It leads, and may take proposals. */
bool group_serves(const struct group *group);
/* It may lead without somebody else doing it better. */
bool group_fit(const struct group *group);
/* What is here is what the entries applied have made. */
bool group_whole(const struct group *group);
uint64_t group_leader(const struct group *group);
/* This node alone decides: the only voter. */
bool group_sole_voter(const struct group *group);
bool group_is_voter(const struct group *group, uint64_t node_id);
uint64_t group_match(const struct group *group, uint64_t node_id);
void group_changes_truncate(struct group *group, uint64_t from);
void group_changes_add(struct group *group, uint64_t index, struct bytes payload);
/* The membership in force at `index`; NULL before the first. */
const struct change *group_change_at(const struct group *group, uint64_t index);

/* step.c */
struct step_memory {
    struct frame *frame; /* all entries point into it, or */
    struct call *calls;  /* each into the command of its call, or */
    struct frame *one;   /* there is one, in this */
};
/* raft_step() and what follows from it. Returns libraft's code. */
int group_step(struct group *group, struct raft_event *event, const struct step_memory *memory);
void group_timer(struct group *group, uint64_t now);
/* Log, libraft and machine: hands over to the lane what may be applied. */
void group_apply_ready(struct group *group);
struct raft_entry *replicator_scratch(struct replicator *replicator, unsigned count);

/* messages.c */
void messages_take(struct group *group, const struct raft_event *event,
                   const struct raft_update *update);

/* fetch.c */
enum machine_state group_machine_state(const struct group *group);
/* The state here is not what the log begins behind. */
void fetch_want(struct group *group);
/* libraft wants the log to begin behind another entry. */
void install_take(struct group *group, struct raft_update *update);
/* The log on disk does. */
void install_written(struct group *group);
bool fetch_waits(const struct group *group);
void fetch_turn(struct group *group, uint64_t now);

/* receive.c */
/* Returns true when frames are left for the next turn. */
bool receive_turn(struct replicator *replicator);

/* send.c */
struct link *group_link(struct group *group, uint64_t node_id, bool make);
/* Behind what was sent before; kept back while the group holds. */
void group_send(struct group *group, uint64_t to, const struct wire_message *message);
void group_release_held(struct group *group);
void group_resume_links(struct group *group);
void group_notify_commit(struct group *group);
void peer_drop(struct peer *peer);
void link_clear(struct link *link);
/* The member has refused what came before: what waits for it is of no use. */
void link_forget_entries(struct link *link);
void send_release(struct replicator *replicator);
void send_turn(struct replicator *replicator);

/* persist.c */
/* Something is to be written: whoever changes group.write says so. */
void group_write_wanted(struct group *group);
void persist_completed(struct replicator *replicator);
void persist_hand_out(struct replicator *replicator);
void persist_release(struct replicator *replicator);

/* proposals.c */
void proposals_turn(struct group *group);
void proposals_lost(struct group *group);
/* What lies at or below `index` will not be applied here, one by one. */
void proposals_skipped(struct group *group, uint64_t index);
/* A command of this group has been applied. */
void proposals_applied(struct group *group, const struct machine_command *command);
/* Submits one entry of the driver's own; returns libraft's code. */
int group_submit_own(struct group *group, uint8_t type, struct bytes data);

/* apply.c */
void apply_completed(struct replicator *replicator);
void apply_hand_out(struct replicator *replicator);
/* After the callbacks: gives the replies' memory back to the machine. */
void apply_release(struct replicator *replicator);

/* entries.c */
/* Entries in order, from the cache or the log; the caller releases their owners. */
unsigned group_entries(struct group *group, uint64_t first, unsigned count, size_t bytes_max,
                       struct entry *entries);

/* reads.c */
void reads_turn(struct group *group, uint64_t now);
void reads_expire(struct group *group, uint64_t now);
void reads_received(struct group *group, uint64_t from, const struct wire_message *message);

/* members.c */
void members_turn(struct group *group, uint64_t now);
void members_committed(struct group *group, uint64_t index);
void members_lost(struct group *group);
/* A change that waits for somebody to catch up must not keep a leader in place. */
void members_give_way(struct group *group);
/* transfer.c */
void transfer_turn(struct group *group, uint64_t now);
void transfer_hand_over(struct group *group, uint64_t now);

/* release.c */
/* Answers what has been applied, as far as the durability policy allows. */
void release_turn(struct group *group, uint64_t now);

void cache_evict(struct replicator *replicator);

/* status.c */
/* For routing: one that takes no proposals is none. */
uint64_t group_serving_leader(const struct group *group);

/* trim.c */
void trim_turn(struct group *group);
void trim_follow(struct group *group);

#endif
