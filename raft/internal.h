/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef RAFT_INTERNAL_H
#define RAFT_INTERNAL_H

/*
 * What the files of the replicator share; nobody outside this folder includes it. Each section
 * belongs to the file it names.
 */
#include "raft/group.h"

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
    struct log_state *dropped; /* what is left of groups that were removed */
    unsigned dropped_count;
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
    bool quiesced;
    bool closing_down; /* replicator_free() runs */
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
/* Out of every list; the caller frees it. */
void replicator_detach(struct replicator *replicator, struct group *group);
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
bool group_is_member(const struct group *group, uint64_t node_id);
/*
 * The group was removed here and has come back. Others may still count this node among those
 * who have what it had then: until its log has as much again (or `term`, `index` is as much),
 * it votes for nobody who has less, and does not stand itself, whatever the old memberships
 * say that it gets to see on the way.
 */
bool group_owes_at(const struct group *group, uint64_t term, uint64_t index);
bool group_owes(const struct group *group);
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
/* Takes part in nothing any more. */
void group_stop(struct group *group);
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
/* Leaves and comes back with what is on disk, as after a crash. */
void group_reopen(struct group *group);
bool fetch_waits(const struct group *group);
/* A node that promises nothing fetches nothing. */
void fetch_pause(struct group *group);
void fetch_turn(struct group *group, uint64_t now);

/* failover.c */
void failover_link(struct group *group, uint64_t node_id, bool up);
void failover_heard(struct group *group);
/* The leader that libraft still believes in is not heard: a vote may be given. */
bool failover_unheard(const struct group *group);
void failover_turn(struct group *group, uint64_t now);

/* closing.c */
void closing_written(struct group *group);
void closing_turn(struct replicator *replicator);
/* NULL when the group was never removed here. */
const struct log_state *replicator_dropped(const struct replicator *replicator, uint32_t id);
void replicator_dropped_add(struct replicator *replicator, const struct log_state *state);
bool log_state_find(struct entry_log *log, uint32_t group, struct log_state *state);
/* The group comes back: its promises go over to it. */
void replicator_dropped_take(struct replicator *replicator, struct group *group);

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

void link_unlist(struct link *link);
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
/* An entry on disk that cannot be read: the log is cut behind it, and whoever lacks it gets the
 * state. */
void trim_damaged(struct group *group, uint64_t index);

#endif
