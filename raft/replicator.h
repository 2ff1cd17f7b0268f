/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef RAFT_REPLICATOR_H
#define RAFT_REPLICATOR_H

#include "node/base/bytes.h"
#include "node/base/err.h"

/*
 * All Raft groups of one node (libraft behind raft_step(), notes in README.md). It does no I/O:
 * it is given a clock, a log, a transport and a state machine, and is told how things went. One
 * thread owns it; nothing here is called from another. Callbacks never run inside the call that
 * asked for them: they run in replicator_turn().
 *
 * Durability: term and vote are durable before a message of that term leaves; entries before
 * they are reported persisted; a command is applied only when it is committed and durable here;
 * a proposal is answered only when it has been applied here and, by policy, lies on a replica
 * outside this data center.
 */
struct replicator;

enum {
    REPLICATOR_COMMAND_SIZE_MAX = 512 * 1024, /* one proposal */
    REPLICATOR_GROUPS_MAX = 4096,
    REPLICATOR_MEMBERS_MAX = 512, /* of one group */
    REPLICATOR_REPLY_SIZE_MAX = 1024 * 1024,
};

enum replicator_role { REPLICATOR_VOTER, REPLICATOR_STANDBY, REPLICATOR_SPARE };
enum replicator_state {
    REPLICATOR_STOPPED,
    REPLICATOR_FOLLOWER,
    REPLICATOR_CANDIDATE,
    REPLICATOR_LEADER
};

struct replicator_member {
    uint64_t node_id;
    enum replicator_role role;
};

struct replicator_config {
    uint64_t node_id;
    uint64_t seed;                /* for election jitter */
    unsigned election_timeout_ms; /* default 2000: at least 8 heartbeats */
    unsigned heartbeat_ms;        /* default 250: at least 3 round trips */
    unsigned grace_ms; /* cross-dc: how long every other data center may be unreachable */
    bool cross_dc;     /* the durability policy */
    uint64_t inflight_bytes_max; /* node-wide, default 32 MiB; beyond it proposals wait */
    uint64_t cache_bytes_max;    /* entries kept in memory for followers, default 256 MiB */
    /* Of the logs of all groups, each an equal share. They are trimmed beyond that, but */
    uint64_t log_retain_bytes;
    uint64_t
        log_hold_bytes;   /* for a member that is behind they grow to this: default 8 times */
    uint64_t log_hold_ms; /* or until that one was silent for so long: default 24 h */
    const struct replicator_clock *clock;
    struct entry_log *log;       /* raft/log.h */
    struct transport *transport; /* raft/transport.h */
    struct machine *machine;     /* raft/machine.h */
    /* Data center of a node, as a small number; 0 is unknown. For the cross-dc rule. */
    unsigned (*site_of)(void *context, uint64_t node_id);
    /* A group changed its state, term or known leader (0: none). For routing; may be NULL. */
    void (*changed)(void *context, uint32_t group);
    void *context;
};

struct replicator_clock {
    uint64_t (*now_ms)(void *context); /* monotonic, never going back */
    void *context;
};

/* Opens every group found in the log. All pointers of `config` must outlive the replicator. */
MUST_CHECK enum err replicator_new(const struct replicator_config *config,
                                   struct replicator **replicator);

/* Pending proposals and reads end with ERR_CLOSED, in here. The log and the machine must have
 * finished, or given up, what they were handed. */
void replicator_free(struct replicator **replicator);

/* A new group of which this node is the first and only voter. ERR_EXISTS, ERR_TOOBIG (too many
 * groups). Durable when `done` is called. */
void replicator_group_bootstrap(struct replicator *replicator, uint32_t group,
                                void (*done)(void *context, enum err err), void *context);

/* An empty replica that waits for a leader to send it the log. ERR_EXISTS is not an error:
 * ERR_OK. */
MUST_CHECK enum err replicator_group_join(struct replicator *replicator, uint32_t group);

/*
 * Appends a command. Copied. `done` is called exactly once:
 *   ERR_OK           applied here; `reply` is what the machine said, `index` is where it lies
 *   ERR_NOTLEADER    not appended anywhere: it will never take effect
 *   ERR_BUSY         not appended: over the budget
 *   ERR_TOOBIG       not appended
 *   ERR_UNAVAILABLE  not appended: this node promises nothing now (replicator_quiesce())
 *   ERR_UNKNOWN      appended here, then leadership was lost: it may or may not take effect
 *   ERR_CLOSED       as UNKNOWN
 */
typedef void replicator_done(void *context, enum err err, uint64_t index, struct bytes reply);
void replicator_propose(struct replicator *replicator, uint32_t group, struct bytes command,
                        replicator_done *done, void *context);

/*
 * A linearizable read point (notes/raft.md section 8), on the leader or, by asking it, on a
 * follower. `done`: ERR_OK when everything committed before this call has been applied HERE
 * (`index`: up to where); `deadline_ms` is a time of the clock; ERR_UNAVAILABLE when no leader
 * with a majority answered by the deadline; ERR_NOTFOUND: no such group here.
 */
void replicator_read(struct replicator *replicator, uint32_t group, uint64_t deadline_ms,
                     replicator_done *done, void *context);

/* Calls `done` once `index` has been applied here; ERR_TIMEOUT when the clock says
 * `deadline_ms` before that; ERR_NOTFOUND. */
void replicator_wait_applied(struct replicator *replicator, uint32_t group, uint64_t index,
                             uint64_t deadline_ms, replicator_done *done, void *context);

/*
 * One membership step on the leader: add `node_id` as STANDBY or SPARE, promote it to VOTER
 * (which first waits until it has caught up), demote, or, with `remove`, take it out. `done`
 * comes when the change is committed; ERR_NOTLEADER, ERR_BUSY (another change is under way, or
 * this leader took that node out less than three election timeouts ago),
 * ERR_NOTFOUND, ERR_TOOBIG (too many members), ERR_UNAVAILABLE (it does not catch up, or
 * leadership is to be handed over meanwhile), ERR_INVALID (the leader itself, which must hand
 * over first; the last voter; SPARE to VOTER, which is two steps), ERR_UNKNOWN (leadership was
 * lost while it was under way). A promotion waits for as long as the member fetches the state
 * and is heard.
 */
void replicator_change(struct replicator *replicator, uint32_t group, uint64_t node_id,
                       enum replicator_role role, bool remove,
                       void (*done)(void *context, enum err err), void *context);

/* The durability policy, from here on. What waits for another data center is looked at again.
 */
void replicator_durability(struct replicator *replicator, bool cross_dc, unsigned grace_ms);

/* Hands leadership to `node_id` (0: to the most advanced voter that can lead). Proposals wait
 * meanwhile. ERR_NOTLEADER, ERR_NOTFOUND (also: it has no whole state), ERR_BUSY, ERR_TIMEOUT.
 */
void replicator_transfer(struct replicator *replicator, uint32_t group, uint64_t node_id,
                         void (*done)(void *context, enum err err), void *context);

/*
 * This node's disk is short of room, or its owner is not sure of it: it makes no new promises.
 * It hands leadership over, does not stand for election, acknowledges no new entries (it still
 * answers heartbeats, votes, and applies what it has) and refuses proposals and changes with
 * ERR_UNAVAILABLE, until it is switched off again.
 */
void replicator_quiesce(struct replicator *replicator, bool on);

/*
 * Takes this node's replica away: its log, durably, then the machine's rows. Who is removed is
 * not told so by Raft: ERR_INVALID while this node is a member as far as it knows, unless it is
 * `force`d by somebody to whom the leader's replicator_change() has said ERR_OK. The log keeps
 * the term, the vote and what was acknowledged, so that the group may come back here
 * (replicator_group_join()) under the same node id. ERR_NOTFOUND, ERR_BUSY. After a crash in
 * between the log is gone and the rows may be left; they are not trusted when the group comes
 * back here.
 */
void replicator_group_remove(struct replicator *replicator, uint32_t group, bool force,
                             void (*done)(void *context, enum err err), void *context);

/*
 * After a majority of the voters was lost for good: makes `members` (of the present ones, this
 * node among them) all the members, all voters. Done on the one survivor that has the most: the
 * one whose newest entry has the highest term, among those the longest log. The group stops,
 * one write appends the change in a term that this node has not seen and votes for itself, and
 * the group starts again from its log.
 *
 * That one may be a witness, or a node whose state is not whole, when another of `members` has
 * a whole state that this log reaches down to (replicator_has_entry()): elected by them, since
 * its log has the most, it brings them what they lack and hands leadership over. Only a
 * majority of `members` goes on from there.
 *
 * What it means, to be said to whoever orders it:
 *   - lost is what only the lost nodes had: entries acknowledged by a majority of which no
 *     survivor was part. With the cross-dc policy (and outside of its grace) a survivor in
 *     another data center than the leader's has everything that was acknowledged;
 *   - what this node had in its log and was never acknowledged becomes committed;
 *   - the lost nodes must never come back with their old data: they would still be a majority.
 * ERR_NOTFOUND, ERR_INVALID (not members, or not this node), ERR_BUSY, ERR_UNAVAILABLE (the
 * state here is not whole, and nobody else is named; or the log is about to begin anew).
 */
void replicator_group_recover(struct replicator *replicator, uint32_t group,
                              const uint64_t *members, unsigned count,
                              void (*done)(void *context, enum err err), void *context);

/* Whether the log here has, or begins right behind, the entry that had this term. What another
 * log has up to that entry is then what this one has, or has cut off. */
bool replicator_has_entry(const struct replicator *replicator, uint32_t group, uint64_t index,
                          uint64_t term);

/* PARTIAL: the log is good, the state is being fetched. STATELESS: a witness. */
enum replicator_standing { REPLICATOR_WHOLE, REPLICATOR_PARTIAL, REPLICATOR_STATELESS };

struct replicator_status {
    enum replicator_state state;
    uint64_t term;
    uint64_t leader; /* node id, 0 when unknown */
    uint64_t first_index;
    uint64_t last_index;
    uint64_t last_term; /* of the entry there; 0: it is not known any more */
    uint64_t commit_index;
    uint64_t applied_index;
    bool single_site; /* acknowledges without a replica in another data center, after the grace
                       */
    unsigned member_count;
    /* One a member, in the group's memory: valid until it is asked again, or until the next
     * replicator_turn(). */
    const struct replicator_member *members;
    const uint64_t *match;           /* on the leader; else 0 */
    const uint64_t *last_contact_ms; /* on the leader: ago; UINT64_MAX: never */
    /* On the leader: what each member lacks of the state; WHOLE until it has said so. */
    const enum replicator_standing *standing;
    enum replicator_standing own;
    bool closing;          /* it is being removed or recovered */
    uint64_t fetch_source; /* the node that the state is being fetched from, 0: none */
    uint64_t pinned_index; /* leader: the log is kept from here on for a member that is told to
                              begin there; 0: none */
};

/* Returns false when this node has no replica of the group. */
bool replicator_status(const struct replicator *replicator, uint32_t group,
                       struct replicator_status *status);

/* Whether this node is a member of the group as its replica here knows it; *role is filled. */
bool replicator_own_role(const struct replicator *replicator, uint32_t group,
                         enum replicator_role *role);

/* Quick look-ups for routing. Leader 0: unknown, no replica here, or one that has no whole
 * state and takes no proposals. */
uint64_t replicator_leader(const struct replicator *replicator, uint32_t group);
/* Everything that is known to be committed has been applied here, and there is a leader. */
bool replicator_current(const struct replicator *replicator, uint32_t group);
uint64_t replicator_applied(const struct replicator *replicator, uint32_t group);
unsigned replicator_groups(const struct replicator *replicator, uint32_t *groups, unsigned max);

/* ---- what the owner calls when something happened; work is done in the next replicator_turn()
 * ---- */

/* Handles what has come, submits proposals, hands out writes, frames and commands, calls
 * callbacks. Call after anything below, and at least every 10 ms. Returns true when it wants to
 * be called again at once. */
bool replicator_turn(struct replicator *replicator);

/* The log has finished the write it was given (raft/log.h). An error is fatal: the process must
 * end. */
void replicator_log_written(struct replicator *replicator, enum err err);

/* A frame came from a peer; takes the frame over (one reference). */
struct frame;
void replicator_received(struct replicator *replicator, uint64_t node_id, struct frame *frame);

/* The link to a peer is up or down. What was under way on the older connection is forgotten. */
void replicator_peer_up(struct replicator *replicator, uint64_t node_id, bool up);

/* The machine has applied the batch it was given (raft/machine.h). */
struct machine_batch;
void replicator_batch_applied(struct replicator *replicator, struct machine_batch *batch);

/*
 * What this node has of the group's state is not to be trusted: it is fetched anew from another
 * member, and until it is whole nothing is applied or led here. ERR_NOTFOUND, ERR_BUSY (it is
 * being fetched, or the group is being removed), ERR_INVALID (a witness; the leader, which must
 * hand over first; or there is no other member), ERR_UNAVAILABLE (this node promises nothing).
 */
MUST_CHECK enum err replicator_state_again(struct replicator *replicator, uint32_t group);

/* The fetch that the machine was asked for has ended (raft/machine.h). ERR_OK: the state is
 * that of entry `index`, on disk, and whole. Else it is still partial; it is asked for again.
 */
void replicator_state_fetched(struct replicator *replicator, uint32_t group, enum err err,
                              uint64_t index);

/* The machine has nothing of the group any more (raft/machine.h: forget). */
void replicator_state_forgotten(struct replicator *replicator, uint32_t group);

#endif
