/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Membership changes, one at a time on the leader: first an entry of its own term must be
 * committed (else two leaders could each commit a change that the other's majority does not
 * know), then a member that is to vote must have caught up and have a whole state (unless it
 * keeps none), then the CHANGE entry goes in, alone, and is answered when it is committed.
 */
#include "node/base/log.h"
#include "raft/internal.h"

enum { CATCH_UP_ENTRIES = 256, CATCH_UP_TIMEOUTS = 5, LEFT_TIMEOUTS = 3 };

static uint8_t role_to_raft(enum replicator_role role)
{
    switch (role) {
    case REPLICATOR_VOTER:
        return RAFT_VOTER;
    case REPLICATOR_STANDBY:
        return RAFT_STANDBY;
    case REPLICATOR_SPARE:
        break;
    }
    return RAFT_SPARE;
}

static struct membership membership_now(const struct group *group)
{
    const struct raft_configuration *from = &group->raft.configuration;
    struct membership membership = {.count = from->n};
    CHECK(from->n <= REPLICATOR_MEMBERS_MAX);
    for (unsigned i = 0; i < from->n; i++)
        membership.members[i] = (struct membership_member){
            .id = from->servers[i].id, .role = (uint8_t)from->servers[i].role};
    return membership;
}

static void change_end(struct group *group, enum err err)
{
    struct call *call = group->change.call;
    group->change = (struct change_request){0};
    call_finish(group->owner, call, err);
}

static void membership_apply(struct membership *membership, const struct change_request *change)
{
    unsigned at = membership_find(membership, change->node_id);
    if (change->remove) {
        membership->count--;
        for (unsigned i = at; i < membership->count; i++)
            membership->members[i] = membership->members[i + 1];
    } else {
        if (at == membership->count)
            membership->count++;
        membership->members[at] =
            (struct membership_member){.id = change->node_id, .role = change->role};
    }
}

static void left_note(struct group *group, uint64_t node_id)
{
    memmove(group->left, group->left + 1, (LEFT_KEPT - 1) * sizeof(*group->left));
    group->left[LEFT_KEPT - 1] = (struct left_member){node_id, replicator_now(group->owner)};
}

/*
 * Whether acknowledgements of a log that a member has dropped since may still be on their way
 * here. They would count for the log that it begins when it comes back, and its refusals would
 * then count for nothing.
 */
static bool left_lately(const struct group *group, uint64_t node_id)
{
    uint64_t patience = (uint64_t)LEFT_TIMEOUTS * group->owner->config.election_timeout_ms;
    for (unsigned i = 0; i < LEFT_KEPT; i++)
        if (group->left[i].node_id == node_id &&
            replicator_now(group->owner) - group->left[i].left_ms < patience)
            return true;
    return false;
}

/* ERR_OK when the change makes sense. */
static enum err change_check(const struct group *group, const struct change_request *change)
{
    struct membership membership = membership_now(group);
    unsigned at = membership_find(&membership, change->node_id);
    bool member = at < membership.count;
    if (!member && (change->remove || change->role == RAFT_VOTER))
        return ERR_NOTFOUND;
    if (!member && membership.count == REPLICATOR_MEMBERS_MAX)
        return ERR_TOOBIG;
    if (!member && left_lately(group, change->node_id))
        return ERR_BUSY;
    if (member && !change->remove && change->role == RAFT_VOTER &&
        membership.members[at].role == RAFT_SPARE)
        return ERR_INVALID;
    /* A leader that is no voter in its own log could not be elected to finish the change. */
    if (change->node_id == group->raft.id && (change->remove || change->role != RAFT_VOTER))
        return ERR_INVALID;
    membership_apply(&membership, change);
    return membership_voters(&membership) > 0 ? ERR_OK : ERR_INVALID;
}

void replicator_change(struct replicator *replicator, uint32_t id, uint64_t node_id,
                       enum replicator_role role, bool remove,
                       void (*done)(void *context, enum err err), void *context)
{
    struct group *group = replicator_group(replicator, id);
    struct call *call = call_new_simple(done, context);
    struct change_request change = {.stage = CHANGE_FLOOR,
                                    .call = call,
                                    .node_id = node_id,
                                    .role = role_to_raft(role),
                                    .remove = remove};
    enum err err = ERR_OK;
    if (group == NULL || !group_serves(group))
        err = ERR_NOTLEADER;
    else if (replicator->quiesced)
        err = ERR_UNAVAILABLE;
    else if (group->change.call != NULL || group->transfer.call != NULL)
        err = ERR_BUSY;
    else if (node_id == 0)
        err = ERR_NOTFOUND;
    else
        err = change_check(group, &change);
    if (err != ERR_OK) {
        call_finish(replicator, call, err);
        return;
    }
    group->change = change;
    group_touch(group);
}

static void change_submit(struct group *group)
{
    struct membership membership = membership_now(group);
    uint8_t payload[MEMBERSHIP_SIZE_MAX];
    uint64_t index = raft_last_index(&group->raft) + 1;
    membership_apply(&membership, &group->change);
    size_t len = membership_encode(&membership, payload);
    group->change.stage = CHANGE_COMMIT;
    group->change.index = index;
    if (group->change.remove)
        left_note(group, group->change.node_id);
    int code = group_submit_own(group, ENTRY_CHANGE, bytes_from(payload, len));
    if (code != 0 && group->change.call != NULL)
        change_end(group, code == RAFT_CANTCHANGE ? ERR_BUSY : ERR_NOTLEADER);
}

static void stage_floor(struct group *group, uint64_t now)
{
    struct change_request *change = &group->change;
    if (group_term_of(group, group->raft.commit_index) != group->led_term) {
        static const uint8_t nothing[8];
        if (change->index == 0 && raft_last_index(&group->raft) <= group->raft.commit_index &&
            group_submit_own(group, ENTRY_BARRIER, bytes_from(nothing, sizeof(nothing))) == 0)
            change->index = raft_last_index(&group->raft);
        return;
    }
    change->index = 0;
    if (group->raft.configuration_uncommitted_index != 0) {
        change_end(group, ERR_BUSY);
        return;
    }
    struct membership membership = membership_now(group);
    unsigned at = membership_find(&membership, change->node_id);
    enum err err = change_check(group, change);
    if (err != ERR_OK) {
        change_end(group, err);
    } else if (!change->remove && at < membership.count &&
               membership.members[at].role == change->role) {
        change_end(group, ERR_OK);
    } else if (!change->remove && change->role == RAFT_VOTER) {
        change->stage = CHANGE_CATCH_UP;
        change->goal = raft_last_index(&group->raft);
        change->progress_ms = now;
        group_touch(group);
    } else {
        change_submit(group);
    }
}

/* Its state is still being fetched, and it is there: that takes as long as it takes. */
static bool catching_state(struct group *group, uint64_t node_id, uint64_t now)
{
    const struct link *link = group_link(group, node_id, false);
    return link != NULL && link->known && (link->standing & WIRE_PARTIAL) != 0 &&
           now - link->contact_ms < group->owner->config.election_timeout_ms;
}

/* In rounds, as Raft's section 4.2.1 has it, until what is missing is little. */
static void stage_catch_up(struct group *group, uint64_t now)
{
    struct change_request *change = &group->change;
    uint64_t match = group_match(group, change->node_id);
    uint64_t last = raft_last_index(&group->raft);
    const struct link *link = group_link(group, change->node_id, false);
    bool partial = catching_state(group, change->node_id, now);
    bool whole = link != NULL && link->known && (link->standing & WIRE_PARTIAL) == 0;
    if (match > change->best || partial) {
        change->best = match;
        change->progress_ms = now;
    }
    if (match >= change->goal && last - match <= CATCH_UP_ENTRIES && whole)
        change_submit(group);
    else if (match >= change->goal)
        change->goal = last;
    else if (now - change->progress_ms >
             (uint64_t)CATCH_UP_TIMEOUTS * group->owner->config.election_timeout_ms)
        change_end(group, ERR_UNAVAILABLE);
}

void members_turn(struct group *group, uint64_t now)
{
    if (group->change.call == NULL || group->led_term == 0)
        return;
    if (group->change.stage == CHANGE_FLOOR)
        stage_floor(group, now);
    else if (group->change.stage == CHANGE_CATCH_UP)
        stage_catch_up(group, now);
}

void members_committed(struct group *group, uint64_t index)
{
    if (group->change.stage == CHANGE_COMMIT && group->change.index == index)
        change_end(group, ERR_OK);
}

void members_give_way(struct group *group)
{
    if (group->change.stage == CHANGE_FLOOR || group->change.stage == CHANGE_CATCH_UP)
        change_end(group, ERR_UNAVAILABLE);
}

void members_lost(struct group *group)
{
    if (group->change.call != NULL)
        change_end(group, group->change.stage == CHANGE_COMMIT ? ERR_UNKNOWN : ERR_NOTLEADER);
}
