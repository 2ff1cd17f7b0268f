/* SPDX-License-Identifier: GPL-2.0-or-later */
/* All groups of a node: their life, and the order of a turn. */
#include "raft/replicator.h"

#include <stdlib.h>

#include "node/base/log.h"
#include "raft/internal.h"

enum {
    ELECTION_TIMEOUT_MS = 2000,
    HEARTBEAT_MS = 250,
    INFLIGHT_BYTES = 32 * 1024 * 1024,
    CACHE_BYTES = 256 * 1024 * 1024,
    LOG_HOLD_FACTOR = 8,
    LOG_HOLD_MS = 24 * 3600 * 1000,
    PASSES_MAX = 4,
    CLOSING_ROUNDS_MAX = 16,
};

uint64_t replicator_now(const struct replicator *replicator)
{
    return replicator->config.clock->now_ms(replicator->config.clock->context);
}

/* Where the group is, or where it would be inserted. */
static unsigned group_position(const struct replicator *replicator, uint32_t id)
{
    unsigned low = 0;
    unsigned high = replicator->groups_count;
    while (low < high) {
        unsigned middle = low + (high - low) / 2;
        if (replicator->groups[middle]->id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct group *replicator_group(const struct replicator *replicator, uint32_t id)
{
    unsigned at = group_position(replicator, id);
    return at < replicator->groups_count && replicator->groups[at]->id == id
               ? replicator->groups[at]
               : NULL;
}

void replicator_insert(struct replicator *replicator, struct group *group)
{
    unsigned at = group_position(replicator, group->id);
    CHECK(replicator->groups_count < REPLICATOR_GROUPS_MAX);
    struct group **groups =
        realloc(replicator->groups, (replicator->groups_count + 1) * sizeof(struct group *));
    CHECK(groups != NULL);
    memmove(groups + at + 1, groups + at,
            (replicator->groups_count - at) * sizeof(struct group *));
    groups[at] = group;
    replicator->groups = groups;
    replicator->groups_count++;
}

static void list_remove(struct group **list, unsigned *count, const struct group *group)
{
    for (unsigned i = 0; i < *count; i++)
        if (list[i] == group) {
            --*count;
            memmove(list + i, list + i + 1, (*count - i) * sizeof(*list));
            return;
        }
}

static void lane_remove(struct lane *lane, const struct group *group)
{
    struct group *next = lane->ready_head;
    lane->ready_head = lane->ready_tail = NULL;
    while (next != NULL) {
        struct group *kept = next;
        next = next->next_ready;
        if (kept == group)
            continue;
        kept->next_ready = NULL;
        if (lane->ready_tail != NULL)
            lane->ready_tail->next_ready = kept;
        else
            lane->ready_head = kept;
        lane->ready_tail = kept;
    }
}

void replicator_detach(struct replicator *replicator, struct group *group)
{
    list_remove(replicator->groups, &replicator->groups_count, group);
    list_remove(replicator->active, &replicator->active_count, group);
    list_remove(replicator->dirty, &replicator->dirty_count, group);
    lane_remove(replicator->lanes[group->lane], group);
    replicator->cache_bytes -= group->cache.bytes;
    for (unsigned i = 0; i < group->links_count; i++)
        link_unlist(group->links[i]);
}

struct lane *replicator_lane(struct replicator *replicator, unsigned number)
{
    CHECK(number < LANES_MAX);
    if (replicator->lanes[number] == NULL) {
        struct lane *lane = calloc(1, sizeof(*lane));
        CHECK(lane != NULL);
        lane->batch = calloc(1, sizeof(*lane->batch));
        CHECK(lane->batch != NULL);
        lane->batch->lane = number;
        replicator->lanes[number] = lane;
    }
    return replicator->lanes[number];
}

struct peer *replicator_peer(struct replicator *replicator, uint64_t node_id, bool make)
{
    for (unsigned i = 0; i < replicator->peers_count; i++)
        if (replicator->peers[i]->node_id == node_id)
            return replicator->peers[i];
    if (!make)
        return NULL;
    struct peer **peers =
        realloc(replicator->peers, (replicator->peers_count + 1) * sizeof(struct peer *));
    struct peer *peer = calloc(1, sizeof(*peer));
    CHECK(peers != NULL && peer != NULL);
    peer->node_id = node_id;
    peers[replicator->peers_count++] = peer;
    replicator->peers = peers;
    return peer;
}

void group_touch(struct group *group)
{
    struct replicator *replicator = group->owner;
    if (group->active)
        return;
    if (replicator->active_count == replicator->active_room) {
        replicator->active_room =
            replicator->active_room > 0 ? replicator->active_room * 2 : 16;
        replicator->active =
            realloc(replicator->active, replicator->active_room * sizeof(struct group *));
        CHECK(replicator->active != NULL);
    }
    group->active = true;
    replicator->active[replicator->active_count++] = group;
}

static void config_defaults(struct replicator_config *config)
{
    if (config->election_timeout_ms == 0)
        config->election_timeout_ms = ELECTION_TIMEOUT_MS;
    if (config->heartbeat_ms == 0)
        config->heartbeat_ms = HEARTBEAT_MS;
    if (config->inflight_bytes_max == 0)
        config->inflight_bytes_max = INFLIGHT_BYTES;
    if (config->log_hold_bytes == 0)
        config->log_hold_bytes = LOG_HOLD_FACTOR * config->log_retain_bytes;
    if (config->log_hold_ms == 0)
        config->log_hold_ms = LOG_HOLD_MS;
    if (config->cache_bytes_max == 0)
        config->cache_bytes_max = CACHE_BYTES;
}

static enum err groups_open(struct replicator *replicator)
{
    struct entry_log *log = replicator->config.log;
    unsigned count = log->ops->groups(log, NULL, 0);
    enum err err = ERR_OK;
    if (count > REPLICATOR_GROUPS_MAX)
        return ERR_TOOBIG;
    struct log_state *states = calloc((size_t)count + 1, sizeof(*states));
    CHECK(states != NULL);
    CHECK(log->ops->groups(log, states, count) == count);
    for (unsigned i = 0; i < count && err == ERR_OK; i++) {
        if (states[i].dropped) {
            replicator_dropped_add(replicator, &states[i]);
            continue;
        }
        struct group *group = group_new(replicator, states[i].group);
        replicator_insert(replicator, group);
        err = group_open(group, &states[i]);
    }
    free(states);
    return err;
}

enum err replicator_new(const struct replicator_config *config, struct replicator **replicator)
{
    struct replicator *made = calloc(1, sizeof(*made));
    CHECK(made != NULL && config->node_id != 0);
    made->config = *config;
    config_defaults(&made->config);
    /* Rounds of an earlier life of this process must not be taken for ones of this. */
    made->nonce = config->seed * 0x9e3779b97f4a7c15U ^ replicator_now(made) << 20;
    enum err err = groups_open(made);
    if (err != ERR_OK) {
        replicator_free(&made);
        return err;
    }
    *replicator = made;
    return ERR_OK;
}

static void received_drop(struct replicator *replicator, uint64_t node_id)
{
    struct received *next = replicator->received_head;
    replicator->received_head = replicator->received_tail = NULL;
    while (next != NULL) {
        struct received *received = next;
        next = next->next;
        if (node_id != 0 && received->node_id != node_id) {
            received->next = NULL;
            if (replicator->received_tail != NULL)
                replicator->received_tail->next = received;
            else
                replicator->received_head = received;
            replicator->received_tail = received;
            continue;
        }
        frame_unref(received->frame);
        free(received);
    }
}

static void lanes_free(struct replicator *replicator)
{
    for (unsigned i = 0; i < LANES_MAX; i++) {
        struct lane *lane = replicator->lanes[i];
        if (lane == NULL)
            continue;
        for (unsigned j = 0; lane->busy && j < lane->batch->count; j++)
            frame_unref(lane->owners[j]);
        if (lane->busy || lane->finished)
            replicator->config.machine->ops->release(replicator->config.machine, lane->batch);
        free(lane->batch);
        free(lane);
    }
}

void replicator_free(struct replicator **pointer)
{
    struct replicator *replicator = *pointer;
    if (replicator == NULL)
        return;
    *pointer = NULL;
    replicator->closing_down = true;
    persist_release(replicator);
    received_drop(replicator, 0);
    while (replicator->groups_count > 0)
        group_free(replicator->groups[--replicator->groups_count]);
    for (unsigned i = 0; i < CLOSING_ROUNDS_MAX && replicator->finished.head != NULL; i++) {
        for (struct call *call = replicator->finished.head; call != NULL; call = call->next)
            if (call->err == ERR_NOTLEADER || call->err == ERR_NOTFOUND)
                call->err = ERR_CLOSED;
        calls_run(replicator);
    }
    lanes_free(replicator);
    for (unsigned i = 0; i < replicator->peers_count; i++)
        free(replicator->peers[i]);
    free(replicator->peers);
    free(replicator->groups);
    free(replicator->active);
    free(replicator->dropped);
    free(replicator->dirty);
    free(replicator->scratch);
    send_release(replicator);
    wire_reader_fini(&replicator->reader);
    free(replicator);
}

void replicator_group_bootstrap(struct replicator *replicator, uint32_t id,
                                void (*done)(void *context, enum err err), void *context)
{
    struct call *call = call_new_simple(done, context);
    struct membership membership = {.count = 1};
    uint8_t payload[MEMBERSHIP_SIZE_MAX];
    bool exists =
        replicator_group(replicator, id) != NULL || replicator_dropped(replicator, id) != NULL;
    if (exists || replicator->groups_count == REPLICATOR_GROUPS_MAX) {
        call_finish(replicator, call, exists ? ERR_EXISTS : ERR_TOOBIG);
        return;
    }
    struct group *group = group_new(replicator, id);
    replicator_insert(replicator, group);
    membership.members[0] =
        (struct membership_member){.id = replicator->config.node_id, .role = RAFT_VOTER};
    size_t len = membership_encode(&membership, payload);
    struct frame *frame = frame_new(len);
    memcpy(frame_memory(frame), payload, len);
    cache_append(&group->cache, (struct entry){.term = 1,
                                               .type = ENTRY_CHANGE,
                                               .data = frame_bytes(frame),
                                               .owner = frame});
    replicator->cache_bytes += group->cache.bytes;
    group_changes_add(group, 1, bytes_from(payload, len));
    group->write.create = true;
    group->write.from = 1;
    group_write_wanted(group);
    group->bootstrap = call;
}

enum err replicator_group_join(struct replicator *replicator, uint32_t id)
{
    if (replicator_group(replicator, id) != NULL)
        return ERR_OK;
    if (replicator->groups_count == REPLICATOR_GROUPS_MAX)
        return ERR_TOOBIG;
    struct group *group = group_new(replicator, id);
    replicator_insert(replicator, group);
    replicator_dropped_take(replicator, group);
    group->write.create = true;
    group_write_wanted(group);
    group_start_fresh(group);
    return ERR_OK;
}

void replicator_log_written(struct replicator *replicator, enum err err)
{
    CHECK(replicator->writing && !replicator->written);
    replicator->written = true;
    if (err == ERR_OK)
        return;
    /* What is on disk is not known any more: nothing may leave this node. */
    replicator->failed = true;
    log_error(NULL, "the log cannot be written: this process must end",
              LOG_FIELDS(LOG_TEXT("error", err_text(err))));
}

void replicator_received(struct replicator *replicator, uint64_t node_id, struct frame *frame)
{
    struct received *received = malloc(sizeof(*received));
    CHECK(received != NULL);
    *received = (struct received){.node_id = node_id, .frame = frame};
    if (replicator->received_tail != NULL)
        replicator->received_tail->next = received;
    else
        replicator->received_head = received;
    replicator->received_tail = received;
}

void replicator_peer_up(struct replicator *replicator, uint64_t node_id, bool up)
{
    struct peer *peer = replicator_peer(replicator, node_id, true);
    peer_drop(peer);
    received_drop(replicator, node_id);
    peer->up = up;
    for (unsigned i = 0; i < replicator->groups_count; i++)
        failover_link(replicator->groups[i], node_id, up);
}

void replicator_quiesce(struct replicator *replicator, bool on)
{
    if (replicator->quiesced == on)
        return;
    replicator->quiesced = on;
    log_warn(NULL, on ? "no new promises are made here" : "promises are made here again",
             LOG_FIELDS(LOG_U64("groups", replicator->groups_count)));
    for (unsigned i = 0; i < replicator->groups_count; i++)
        fetch_pause(replicator->groups[i]);
}

static bool waits(const struct group *group)
{
    return group->reads_open.head != NULL || group->reads_round.head != NULL ||
           group->reads_ready.head != NULL || group->change.call != NULL ||
           group->transfer.call != NULL || group->gated.head != NULL || fetch_waits(group) ||
           group->waiting.head != NULL || (group_leads(group) && !group_fit(group));
}

static void tick(struct replicator *replicator, uint64_t now)
{
    if (now < replicator->next_tick_ms)
        return;
    replicator->next_tick_ms = now + TICK_MS;
    for (unsigned i = 0; i < replicator->groups_count; i++) {
        struct group *group = replicator->groups[i];
        group_timer(group, now);
        trim_follow(group);
        if (group->notify_ms != 0)
            group_touch(group);
        if (waits(group)) {
            reads_expire(group, now);
            group_touch(group);
        }
    }
    closing_turn(replicator);
}

static void changed_note(struct group *group)
{
    enum replicator_state state = REPLICATOR_STOPPED;
    uint64_t leader = group_serving_leader(group);
    if (group->started && !group->failed)
        state = group->raft.state == RAFT_LEADER      ? REPLICATOR_LEADER
                : group->raft.state == RAFT_CANDIDATE ? REPLICATOR_CANDIDATE
                                                      : REPLICATOR_FOLLOWER;
    if (state == group->told_state && leader == group->told_leader &&
        group->raft.current_term == group->told_term)
        return;
    group->told_state = state;
    group->told_leader = leader;
    group->told_term = group->raft.current_term;
    group->changed = true;
    log_info(NULL, "raft group",
             LOG_FIELDS(LOG_U64("group", group->id), LOG_U64("term", group->told_term),
                        LOG_U64("leader", leader)));
}

static void group_turn(struct group *group, uint64_t now)
{
    fetch_turn(group, now);
    proposals_turn(group);
    members_turn(group, now);
    transfer_hand_over(group, now);
    transfer_turn(group, now);
    reads_turn(group, now);
    release_turn(group, now);
    group_notify_commit(group);
    changed_note(group);
}

/* Each of the groups that something happened to; what they do to each other comes in passes. */
static void active_turn(struct replicator *replicator, uint64_t now)
{
    for (unsigned pass = 0; pass < PASSES_MAX && replicator->active_count > 0; pass++) {
        unsigned count = replicator->active_count;
        for (unsigned i = 0; i < count; i++) {
            struct group *group = replicator->active[i];
            group->active = false;
            group_turn(group, now);
        }
        replicator->active_count -= count;
        memmove(replicator->active, replicator->active + count,
                replicator->active_count * sizeof(struct group *));
    }
}

static void changed_tell(struct replicator *replicator)
{
    for (unsigned i = 0; i < replicator->groups_count; i++) {
        struct group *group = replicator->groups[i];
        if (!group->changed)
            continue;
        group->changed = false;
        if (replicator->config.changed != NULL)
            replicator->config.changed(replicator->config.context, group->id);
    }
}

bool replicator_turn(struct replicator *replicator)
{
    if (replicator->failed)
        return false;
    persist_completed(replicator);
    bool more = receive_turn(replicator);
    apply_completed(replicator);
    uint64_t now = replicator_now(replicator);
    tick(replicator, now);
    active_turn(replicator, now);
    persist_hand_out(replicator);
    send_turn(replicator);
    changed_tell(replicator);
    calls_run(replicator);
    apply_release(replicator);
    apply_hand_out(replicator);
    cache_evict(replicator);
    return more || replicator->active_count > 0 || replicator->finished.head != NULL;
}
