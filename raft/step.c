/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * raft_step() and what must be done with what it says. The order of durability:
 *   1. a new term or vote holds back every message of the group until it is on disk;
 *   2. entries are reported persisted when they are on disk (persist.c), and never an entry
 *      that a later truncation has replaced;
 *   3. a command goes to the machine when it is committed and on disk here.
 */
#include <stdlib.h>

#include "node/base/log.h"
#include "node/runtime/metrics.h"
#include "raft/internal.h"

struct raft_entry *replicator_scratch(struct replicator *replicator, unsigned count)
{
    if (count > replicator->scratch_room) {
        replicator->scratch =
            realloc(replicator->scratch, count * sizeof(*replicator->scratch));
        CHECK(replicator->scratch != NULL);
        replicator->scratch_room = count;
    }
    return replicator->scratch;
}

void group_apply_ready(struct group *group)
{
    uint64_t end = group->raft.commit_index < group->raft.last_stored ? group->raft.commit_index
                                                                      : group->raft.last_stored;
    struct lane *lane = group->owner->lanes[group->lane];
    if (group->ready || !group->started || group->failed || !group_whole(group) ||
        group->apply_next > end)
        return;
    group->ready = true;
    group->next_ready = NULL;
    if (lane->ready_tail != NULL)
        lane->ready_tail->next_ready = group;
    else
        lane->ready_head = group;
    lane->ready_tail = group;
}

/* The memory that entry `at` of an update lives in, with a reference for the cache. */
static struct frame *entry_owner(const struct raft_entry *entry,
                                 const struct step_memory *memory, struct call **call)
{
    if (entry->buf.len == 0)
        return NULL;
    if (memory != NULL && memory->frame != NULL)
        return frame_ref(memory->frame);
    if (memory != NULL && memory->one != NULL)
        return frame_ref(memory->one);
    CHECK(*call != NULL);
    struct frame *owner = frame_ref((*call)->command);
    *call = (*call)->next;
    return owner;
}

/* A no-op that libraft made on becoming leader: its memory is libraft's, so it is copied. */
static void barrier_take(struct group *group, struct raft_entry *entry)
{
    struct frame *frame = frame_new(entry->buf.len);
    memcpy(frame_memory(frame), entry->buf.base, entry->buf.len);
    cache_append(&group->cache, (struct entry){.term = entry->term,
                                               .type = (uint8_t)entry->type,
                                               .data = frame_bytes(frame),
                                               .owner = frame});
    raft_free(entry->batch);
}

static void entries_take(struct group *group, const struct raft_update *update,
                         const struct step_memory *memory)
{
    uint64_t index = update->entries.index;
    struct raft_entry *entries = update->entries.batch;
    struct call *call = memory != NULL ? memory->calls : NULL;
    uint64_t before = group->cache.bytes;

    /* What the log is writing is replaced before it was reported: it must never be. */
    if (group->flight.active && group->flight.from != 0 && index <= group->flight.clamp)
        group->flight.clamp = index - 1;
    if (group->write.from == 0 || index < group->write.from)
        group->write.from = index;
    group_write_wanted(group);
    if (index < group->cache.next) {
        cache_truncate(&group->cache, index);
        group_changes_truncate(group, index);
    }
    CHECK(group->cache.next == index);
    if (entries == &group->raft.barrier) {
        CHECK(update->entries.n == 1);
        barrier_take(group, entries);
    } else {
        for (unsigned i = 0; i < update->entries.n; i++) {
            struct bytes data = bytes_from(entries[i].buf.base, entries[i].buf.len);
            cache_append(&group->cache,
                         (struct entry){.term = entries[i].term,
                                        .type = (uint8_t)entries[i].type,
                                        .data = data,
                                        .owner = entry_owner(&entries[i], memory, &call)});
            if (entries[i].type == RAFT_CHANGE)
                group_changes_add(group, index + i, data);
        }
    }
    group->owner->cache_bytes += group->cache.bytes - before;
}

static void leadership_won(struct group *group)
{
    group->led_term = group->raft.current_term;
    group->led_since_ms = replicator_now(group->owner);
    group->ticked_ms = group->led_since_ms;
    group->floor = raft_last_index(&group->raft);
    group->single_site = false;
    memset(group->left, 0, sizeof(group->left)); /* what counts is told of this term */
    for (unsigned i = 0; i < group->links_count; i++) {
        group->links[i]->told = 0;
        group->links[i]->contact_ms = 0;
        group->links[i]->read_acked = 0;
        group->links[i]->install = 0;
        group->links[i]->known = false;
    }
    metric_add(METRIC_RAFT_ELECTIONS_WON, 1);
}

static void leadership_lost(struct group *group)
{
    group->led_term = 0;
    group->single_site = false;
    proposals_lost(group);
    members_lost(group);
}

static void state_take(struct group *group)
{
    bool leads = group_leads(group);
    if (group->led_term != 0 && (!leads || group->led_term != group->raft.current_term))
        leadership_lost(group);
    if (leads && group->led_term == 0)
        leadership_won(group);
}

/* Tells libraft of every change that is committed by now. A leader may step down here. */
static void commit_take(struct group *group)
{
    for (unsigned i = 0; i < group->changes_count; i++) {
        struct change *change = &group->changes[i];
        struct raft_event event = {.type = RAFT_CONFIGURATION};
        struct raft_buffer buffer = {change->payload, change->size};
        if (change->index <= group->configured)
            continue;
        if (change->index > group->raft.commit_index)
            break;
        group->configured = change->index;
        members_committed(group, change->index);
        event.configuration.index = change->index;
        CHECK(raft_configuration_decode(&buffer, &event.configuration.conf) == 0);
        group_step(group, &event, NULL);
    }
}

void group_stop(struct group *group)
{
    group->failed = true;
    if (group->led_term != 0)
        leadership_lost(group);
    group_touch(group);
}

static void group_fail(struct group *group, int code)
{
    log_error(NULL, "group stopped",
              LOG_FIELDS(LOG_U64("group", group->id), LOG_I64("code", code),
                         LOG_TEXT("reason", raft_strerror(code))));
    group_stop(group);
}

int group_step(struct group *group, struct raft_event *event, const struct step_memory *memory)
{
    struct raft_update update = {0};
    CHECK(group->started);
    if (group->failed)
        return RAFT_SHUTDOWN;
    event->time = replicator_now(group->owner);
    int code = raft_step(&group->raft, event, &update);
    group_touch(group);
    if (code != 0) {
        if (event->type != RAFT_SUBMIT && event->type != RAFT_TRANSFER)
            group_fail(group, code);
        return code;
    }
    if (update.flags & ((RAFT_UPDATE_CURRENT_TERM) | (RAFT_UPDATE_VOTED_FOR))) {
        group->write.vote = true;
        group->hold = true;
        group_write_wanted(group);
    }
    if (update.flags & (RAFT_UPDATE_ENTRIES)) {
        void *token =
            event->type == RAFT_RECEIVE && update.entries.batch != &group->raft.barrier
                ? update.entries.batch[0].batch
                : NULL;
        entries_take(group, &update, memory);
        raft_free(token);
    }
    if (update.flags & (RAFT_UPDATE_SNAPSHOT))
        install_take(group, &update);
    state_take(group);
    if (update.flags & (RAFT_UPDATE_MESSAGES))
        messages_take(group, event, &update);
    if (update.flags & (RAFT_UPDATE_COMMIT_INDEX))
        commit_take(group);
    group_apply_ready(group);
    return 0;
}

/*
 * A follower that has become the only voter would lead without an election too (see
 * group_begin()): perhaps in the term of the leader that made it so. First it takes a new
 * term, by voting for itself as libraft votes for anybody.
 */
static void sole_voter_term(struct group *group)
{
    uint64_t last = raft_last_index(&group->raft);
    struct raft_message message = {.type = RAFT_REQUEST_VOTE,
                                   .server_id = group->raft.id,
                                   .server_address = group->raft.address};
    struct raft_event event = {.type = RAFT_RECEIVE, .receive.message = &message};
    message.request_vote.version = 2;
    message.request_vote.term = group->raft.current_term + 1;
    message.request_vote.candidate_id = group->raft.id;
    message.request_vote.last_log_index = last;
    message.request_vote.last_log_term = group_term_of(group, last);
    message.request_vote.disrupt_leader = true;
    group_step(group, &event, NULL);
    group->sole_term = group->raft.current_term;
}

void group_timer(struct group *group, uint64_t now)
{
    if (!group->started || group->failed)
        return;
    failover_turn(group, now);
    if (now < raft_timeout(&group->raft))
        return;
    /* Somebody with a whole state should lead: it gets the time to stand first. */
    if (group->raft.state == RAFT_FOLLOWER && !group_whole(group) && !group->stands &&
        now < raft_timeout(&group->raft) + group->owner->config.election_timeout_ms)
        return;
    group->stands = false;
    if ((group->owner->quiesced || group_owes(group)) && group->led_term == 0)
        return;
    /* Each timeout of a leader is a check who answered since the last one: not too often. */
    if (group->led_term != 0) {
        if (now < group->ticked_ms + group->owner->config.heartbeat_ms)
            return;
        group->ticked_ms = now;
    }
    if (group->raft.state == RAFT_FOLLOWER && !group->install.active &&
        group_sole_voter(group) && group->sole_term != group->raft.current_term) {
        sole_voter_term(group);
        return;
    }
    struct raft_event event = {.type = RAFT_TIMEOUT};
    group_step(group, &event, NULL);
    if (group->led_term != 0)
        trim_turn(group);
}
