/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A replica that is taken away, or taken apart and put together again, perhaps with other
 * members. The group takes part in nothing any more; when nothing of it is under way at the log
 * or at the machine, one write is made (if there is something to be written), and then it is
 * gone, or opened anew from what is on disk.
 */
#include <stdlib.h>

#include "node/base/log.h"
#include "raft/internal.h"

/*
 * Terms between what this node has seen and the one it goes on in. The lost nodes may have led
 * some more: if one of them comes back all the same, or a survivor has more from them than this
 * node, then what they have differs in its term, and is found out by that.
 */
enum { RECOVERY_TERMS = 1000 };

static void calls_end(struct group *group)
{
    struct replicator *replicator = group->owner;
    proposals_skipped(group, UINT64_MAX);
    call_finish_all(replicator, &group->gated, ERR_UNKNOWN);
    call_finish_all(replicator, &group->reads_open, ERR_UNAVAILABLE);
    call_finish_all(replicator, &group->reads_round, ERR_UNAVAILABLE);
    call_finish_all(replicator, &group->reads_ready, ERR_UNAVAILABLE);
    if (group->transfer.call != NULL)
        call_finish(replicator, group->transfer.call, ERR_NOTLEADER);
    group->transfer = (struct transfer_request){0};
}

static void closing_start(struct group *group, struct call *call, enum closing_kind kind)
{
    struct machine *machine = group->owner->config.machine;
    group_stop(group);
    calls_end(group);
    while (group->held_head != NULL) {
        struct outgoing *next = group->held_head->next;
        free(group->held_head);
        group->held_head = next;
    }
    group->held_tail = NULL;
    group->held_count = 0;
    for (unsigned i = 0; i < group->links_count; i++)
        link_clear(group->links[i]);
    group->closing.call = call;
    group->closing.kind = kind;
    group->closing.stage = CLOSING_QUIET;
    if (group->fetch.running && machine->ops->fetch_stop != NULL)
        machine->ops->fetch_stop(machine, group->id);
    group_touch(group);
}

/* A change that is not committed here may still be undone. */
static bool member_for_sure(const struct group *group)
{
    const struct raft_configuration *members = &group->raft.configuration_committed;
    for (unsigned i = 0; i < members->n; i++)
        if (members->servers[i].id == group->raft.id)
            return true;
    return group_is_member(group, group->raft.id);
}

void replicator_group_remove(struct replicator *replicator, uint32_t id, bool force,
                             void (*done)(void *context, enum err err), void *context)
{
    struct group *group = replicator_group(replicator, id);
    struct call *call = call_new_simple(done, context);
    enum err err = ERR_OK;
    if (group == NULL)
        err = ERR_NOTFOUND;
    else if (group->closing.stage != CLOSING_NONE || group->bootstrap != NULL)
        err = ERR_BUSY;
    else if (!force && group->started && member_for_sure(group))
        err = ERR_INVALID;
    if (err != ERR_OK)
        call_finish(replicator, call, err);
    else
        closing_start(group, call, CLOSING_REMOVE);
}

bool replicator_has_entry(const struct replicator *replicator, uint32_t id, uint64_t index,
                          uint64_t term)
{
    const struct group *group = replicator_group(replicator, id);
    return group != NULL && index != 0 && group_term_of(group, index) == term;
}

static enum err survivors_check(const struct group *group, const uint64_t *members,
                                unsigned count)
{
    bool own = false;
    if (count == 0 || count > REPLICATOR_MEMBERS_MAX)
        return ERR_INVALID;
    for (unsigned i = 0; i < count; i++) {
        own = own || members[i] == group->raft.id;
        if (!group_is_member(group, members[i]))
            return ERR_INVALID;
        for (unsigned j = 0; j < i; j++)
            if (members[j] == members[i])
                return ERR_INVALID;
    }
    return own ? ERR_OK : ERR_INVALID;
}

void replicator_group_recover(struct replicator *replicator, uint32_t id,
                              const uint64_t *members, unsigned count,
                              void (*done)(void *context, enum err err), void *context)
{
    struct group *group = replicator_group(replicator, id);
    struct call *call = call_new_simple(done, context);
    enum err err = ERR_OK;
    if (group == NULL)
        err = ERR_NOTFOUND;
    else if (group->closing.stage != CLOSING_NONE || group->bootstrap != NULL ||
             !group->started)
        err = ERR_BUSY;
    else if ((count == 1 && !group_whole(group)) || group->install.active)
        err = ERR_UNAVAILABLE;
    else
        err = survivors_check(group, members, count);
    if (err != ERR_OK) {
        call_finish(replicator, call, err);
        return;
    }
    closing_start(group, call, CLOSING_RECOVER);
    group->closing.members = calloc(1, sizeof(*group->closing.members));
    CHECK(group->closing.members != NULL);
    group->closing.members->count = count;
    for (unsigned i = 0; i < count; i++)
        group->closing.members->members[i] =
            (struct membership_member){.id = members[i], .role = RAFT_VOTER};
}

static bool quiet(const struct group *group)
{
    return !group->flight.active && !group->dirty && group->apply_next == group->applied + 1 &&
           !group->fetch.running;
}

/* The change of members, in the new term, voted for by this node. libraft is not asked: it is
 * started from the log afterwards. */
static void recovery_write(struct group *group)
{
    uint8_t payload[MEMBERSHIP_SIZE_MAX];
    size_t len = membership_encode(group->closing.members, payload);
    uint64_t index = group->cache.next;
    uint64_t before = group->cache.bytes;
    struct frame *frame = frame_new(len);
    memcpy(frame_memory(frame), payload, len);
    group->raft.current_term += RECOVERY_TERMS;
    group->raft.voted_for = group->raft.id;
    cache_append(&group->cache, (struct entry){.term = group->raft.current_term,
                                               .type = ENTRY_CHANGE,
                                               .data = frame_bytes(frame),
                                               .owner = frame});
    group->owner->cache_bytes += group->cache.bytes - before;
    group_changes_add(group, index, bytes_from(payload, len));
    group->write.vote = true;
    group->write.from = index;
    group_write_wanted(group);
    log_warn(NULL, "members of a group are replaced by an operator",
             LOG_FIELDS(LOG_U64("group", group->id), LOG_U64("term", group->raft.current_term),
                        LOG_U64("index", index), LOG_U64("applied", group->applied),
                        LOG_U64("commit", group->raft.commit_index),
                        LOG_U64("members", group->closing.members->count)));
}

/* Raft counts on it that who has acknowledged entries votes for nobody without them. */
static void removal_write(struct group *group)
{
    uint64_t last = group->cache.next - 1;
    uint64_t term = last > 0 ? group_term_of(group, last) : 0;
    group->write = (struct pending_write){.drop = true};
    if (term > group->promised_term ||
        (term == group->promised_term && last > group->promised_index)) {
        group->promised_term = term;
        group->promised_index = last;
    }
    group_write_wanted(group);
}

static void group_leave(struct group *group)
{
    struct replicator *replicator = group->owner;
    replicator_detach(replicator, group);
    group_free(group);
}

/* The group again, from what is on disk. */
static enum err open_anew(struct replicator *replicator, uint32_t id)
{
    struct log_state state;
    CHECK(log_state_find(replicator->config.log, id, &state));
    struct group *group = group_new(replicator, id);
    replicator_insert(replicator, group);
    return group_open(group, &state);
}

static void recovery_end(struct group *group)
{
    struct replicator *replicator = group->owner;
    struct call *call = group->closing.call;
    uint32_t id = group->id;
    group_leave(group);
    call_finish(replicator, call, open_anew(replicator, id));
}

/* It was readable when the process started, and has only been written to since. */
static void reopening_end(struct group *group)
{
    struct replicator *replicator = group->owner;
    uint32_t id = group->id;
    group_leave(group);
    CHECK(open_anew(replicator, id) == ERR_OK);
}

void group_reopen(struct group *group)
{
    closing_start(group, NULL, CLOSING_REOPEN);
}

static void removal_end(struct group *group)
{
    struct replicator *replicator = group->owner;
    struct call *call = group->closing.call;
    struct log_state state;
    CHECK(log_state_find(replicator->config.log, group->id, &state));
    replicator_dropped_add(replicator, &state);
    group_leave(group);
    call_finish(replicator, call, ERR_OK);
}

void closing_written(struct group *group)
{
    struct machine *machine = group->owner->config.machine;
    if (group->closing.stage != CLOSING_WRITE)
        return;
    group->closing.stage = CLOSING_END;
    if (group->closing.kind == CLOSING_RECOVER || machine->ops->forget == NULL)
        group->closing.forgotten = true;
    else
        machine->ops->forget(machine, group->id);
}

void replicator_state_forgotten(struct replicator *replicator, uint32_t id)
{
    struct group *group = replicator_group(replicator, id);
    CHECK(group != NULL && group->closing.stage == CLOSING_END);
    group->closing.forgotten = true;
}

static bool closing_group(struct group *group)
{
    struct closing *closing = &group->closing;
    if (group->fetch.finished)
        group->fetch.running = group->fetch.finished = false;
    if (closing->stage == CLOSING_QUIET && quiet(group)) {
        if (closing->kind == CLOSING_REOPEN) {
            reopening_end(group);
            return true;
        }
        closing->stage = CLOSING_WRITE;
        if (closing->kind == CLOSING_RECOVER)
            recovery_write(group);
        else
            removal_write(group);
    }
    if (closing->stage != CLOSING_END || !closing->forgotten)
        return false;
    if (closing->kind == CLOSING_RECOVER)
        recovery_end(group);
    else
        removal_end(group);
    return true;
}

void closing_turn(struct replicator *replicator)
{
    for (unsigned i = 0; i < replicator->groups_count;)
        if (replicator->groups[i]->closing.stage == CLOSING_NONE ||
            !closing_group(replicator->groups[i]))
            i++;
}

bool log_state_find(struct entry_log *log, uint32_t group, struct log_state *state)
{
    unsigned count = log->ops->groups(log, NULL, 0);
    struct log_state *states = calloc((size_t)count + 1, sizeof(*states));
    bool found = false;
    CHECK(states != NULL && log->ops->groups(log, states, count) == count);
    for (unsigned i = 0; i < count && !found; i++) {
        found = states[i].group == group;
        *state = states[i];
    }
    free(states);
    return found;
}

const struct log_state *replicator_dropped(const struct replicator *replicator, uint32_t id)
{
    for (unsigned i = 0; i < replicator->dropped_count; i++)
        if (replicator->dropped[i].group == id)
            return &replicator->dropped[i];
    return NULL;
}

void replicator_dropped_add(struct replicator *replicator, const struct log_state *state)
{
    replicator->dropped = realloc(replicator->dropped, (replicator->dropped_count + 1) *
                                                           sizeof(*replicator->dropped));
    CHECK(replicator->dropped != NULL);
    replicator->dropped[replicator->dropped_count++] = *state;
}

void replicator_dropped_take(struct replicator *replicator, struct group *group)
{
    for (unsigned i = 0; i < replicator->dropped_count; i++) {
        struct log_state *dropped = &replicator->dropped[i];
        if (dropped->group != group->id)
            continue;
        group->promised_term = dropped->promised_term;
        group->promised_index = dropped->promised_index;
        group->raft.current_term = dropped->term; /* for RAFT_START */
        group->raft.voted_for = dropped->vote;
        *dropped = replicator->dropped[--replicator->dropped_count];
        return;
    }
}
