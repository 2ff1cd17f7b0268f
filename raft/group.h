/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef RAFT_GROUP_H
#define RAFT_GROUP_H

/* What is known of one group; part of internal.h. Each section belongs to the file it names. */
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
    FRAME_TARGET_BYTES = 1024 * 1024,       /* a frame is sent when it has grown to this */
    LINK_SHARE_BYTES = 256 * 1024,          /* of a frame for one group, while others wait */
    LINK_QUEUE_MAX = 4096,                  /* messages for one peer of one group */
    LINKS_MAX = 2 * REPLICATOR_MEMBERS_MAX, /* members, and those that were */
    INFLIGHT_ENTRIES_MAX = 512,             /* libraft's window for one follower */
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
    uint8_t *payload;
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

/* Members that this leader has taken out, the newest last. */
enum { LEFT_KEPT = 8 };

struct left_member {
    uint64_t node_id;
    uint64_t left_ms;
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
    bool drop;
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
    uint8_t *base_members; /* of a trim */
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

/* The link to the leader is down and it was not heard since. failover.c */
struct lost_leader {
    bool active;
    uint64_t term;
    uint64_t leader;
    uint64_t due_ms; /* when this node stands */
    unsigned attempts;
};

/* The group is being taken away, or apart. closing.c */
enum closing_stage { CLOSING_NONE, CLOSING_QUIET, CLOSING_WRITE, CLOSING_END };
enum closing_kind { CLOSING_REMOVE, CLOSING_RECOVER, CLOSING_REOPEN };

struct closing {
    enum closing_stage stage;
    struct call *call;
    enum closing_kind kind;
    bool forgotten;             /* nothing else is to be waited for */
    struct membership *members; /* of a recovery */
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
    uint64_t configured;     /* the last committed change that libraft was told */
    uint64_t trim_allowed;   /* from the leader: every member has what is below */
    uint64_t cut_here;       /* what lies below cannot be read on this node */
    uint64_t promised_term;  /* of an earlier life of the group here: it votes for nobody who */
    uint64_t promised_index; /* has less than this */
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
    struct lost_leader lost;
    bool stands; /* at the next look at the timer, whatever the state here is */
    struct link **links;
    unsigned links_count;
    unsigned links_room;
    struct members_status *status; /* what replicator_status() has told last */
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
    struct left_member left[LEFT_KEPT];
    struct transfer_request transfer;
    bool single_site;
    uint64_t hand_over_ms; /* when a leader that is not fit tries again to be none */

    /* apply */
    unsigned lane;
    uint64_t apply_next;
    uint64_t applied;
    bool witness; /* no state, ever */
    struct closing closing;
    struct fetch fetch;
};

#endif
