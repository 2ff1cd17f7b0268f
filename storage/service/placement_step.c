/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/service/placement_plan.h"

/* Where the node stands among Raft's members; -1: it is none. */
static int member_position(const struct replicator_status *status, uint64_t node_id)
{
    for (unsigned i = 0; i < status->member_count; i++)
        if (status->members[i].node_id == node_id)
            return (int)i;
    return -1;
}

static const Pr__Replica *wanted_replica(const Pr__GroupRecord *record, uint64_t node_id)
{
    for (size_t i = 0; i < record->n_replicas; i++)
        if (record->replicas[i]->node_id == node_id)
            return record->replicas[i];
    return NULL;
}

static bool is_resting(const struct placement_local *local, uint64_t node_id)
{
    for (unsigned i = 0; i < local->resting_count; i++)
        if (local->resting[i] == node_id)
            return true;
    return false;
}

/* The leader has heard of that member lately. */
static bool in_contact(const struct placement_view *view,
                       const struct replicator_status *status, int member)
{
    return status->members[member].node_id == view->self ||
           status->last_contact_ms[member] < PLACEMENT_CONTACT_MS;
}

/* Another voter that keeps up, stays, and has the mail. */
static bool could_lead(const struct placement_view *view, const Pr__GroupRecord *record,
                       const struct replicator_status *status, int member)
{
    if (member < 0 || status->members[member].role != REPLICATOR_VOTER ||
        status->members[member].node_id == view->self)
        return false;
    const struct placement_node *node = placement_node(view, status->members[member].node_id);
    if (node != NULL && (node->leaving || (node->witness && record->group != 0)))
        return false;
    return in_contact(view, status, member) &&
           status->match[member] + PLACEMENT_LAG_ENTRIES >= status->last_index;
}

bool placement_leader_ready(const struct placement_view *view, size_t position)
{
    const struct placement_local *local = &view->local[position];
    uint64_t preferred = view->groups[position]->preferred_leader;

    if (!local->present || local->status.state != REPLICATOR_LEADER || preferred == 0)
        return false;
    return could_lead(view, view->groups[position], &local->status,
                      member_position(&local->status, preferred));
}

/* A missing replica comes in without a vote, and votes once it has the log. True when the step
 * is to be taken; *complete: nothing is missing. */
static bool step_missing(const struct placement_view *view, size_t position, bool standby,
                         struct placement_action *action, bool *complete)
{
    const Pr__GroupRecord *record = view->groups[position];
    const struct placement_local *local = &view->local[position];
    const struct replicator_status *status = &local->status;

    for (size_t i = 0; i < record->n_replicas; i++) {
        uint64_t node_id = record->replicas[i]->node_id;
        int member = member_position(status, node_id);
        bool votes = member >= 0 && status->members[member].role == REPLICATOR_VOTER;

        if (record->replicas[i]->standby != standby)
            continue;
        if (votes ||
            (standby && member >= 0 && status->members[member].role == REPLICATOR_STANDBY))
            continue;
        *complete = false;
        if (is_resting(local, node_id))
            continue;
        if (member >= 0 && !in_contact(view, status, member))
            continue; /* it could not catch up */
        if (member < 0 && status->member_count >= view->members_max)
            continue;
        action->kind = PLACEMENT_CHANGE;
        action->node_id = node_id;
        action->role = member < 0 || standby ? REPLICATOR_STANDBY : REPLICATOR_VOTER;
        return true;
    }
    return false;
}

/* Leadership to any voter that is wanted and could lead; the preferred one before others. */
static bool step_away(const struct placement_view *view, size_t position,
                      struct placement_action *action)
{
    const Pr__GroupRecord *record = view->groups[position];
    const struct placement_local *local = &view->local[position];
    const struct replicator_status *status = &local->status;

    action->kind = PLACEMENT_TRANSFER;
    action->node_id = record->preferred_leader;
    if (placement_leader_ready(view, position) && !is_resting(local, action->node_id))
        return true;
    for (unsigned i = 0; i < status->member_count; i++) {
        const Pr__Replica *wanted = wanted_replica(record, status->members[i].node_id);
        if (wanted == NULL || wanted->standby || !could_lead(view, record, status, (int)i) ||
            is_resting(local, status->members[i].node_id))
            continue;
        action->kind = PLACEMENT_TRANSFER;
        action->node_id = status->members[i].node_id;
        return true;
    }
    return false;
}

/* Whether the group could still commit without that member's vote. */
static bool majority_without(const struct placement_view *view,
                             const struct replicator_status *status, unsigned member)
{
    unsigned voters = 0;
    unsigned there = 0;

    for (unsigned i = 0; i < status->member_count; i++) {
        if (i == member || status->members[i].role != REPLICATOR_VOTER)
            continue;
        voters++;
        there += in_contact(view, status, (int)i);
    }
    return there > voters / 2;
}

/* What is too many: a vote, then a replica. The leader does not take away its own. */
static bool step_surplus(const struct placement_view *view, size_t position,
                         struct placement_action *action)
{
    const Pr__GroupRecord *record = view->groups[position];
    const struct placement_local *local = &view->local[position];
    const struct replicator_status *status = &local->status;

    for (unsigned i = 0; i < status->member_count; i++) {
        uint64_t node_id = status->members[i].node_id;
        const Pr__Replica *wanted = wanted_replica(record, node_id);
        bool votes = status->members[i].role == REPLICATOR_VOTER;

        if (wanted != NULL && !(wanted->standby && votes))
            continue;
        if (is_resting(local, node_id))
            continue;
        if (node_id == view->self)
            return step_away(view, position, action);
        if (votes && !majority_without(view, status, i))
            continue;
        action->kind = PLACEMENT_CHANGE;
        action->node_id = node_id;
        action->role = REPLICATOR_STANDBY;
        action->remove = wanted == NULL;
        return true;
    }
    return false;
}

/* Raft's members are exactly what the record wants. */
static bool members_agree(const Pr__GroupRecord *record, const struct replicator_status *status)
{
    if (status->member_count != record->n_replicas)
        return false;
    for (unsigned i = 0; i < status->member_count; i++) {
        const Pr__Replica *wanted = wanted_replica(record, status->members[i].node_id);
        if (wanted == NULL ||
            (status->members[i].role == REPLICATOR_VOTER) == (wanted->standby != 0))
            return false;
    }
    return true;
}

/* Without a replica here one is begun where it is wanted; one that went elsewhere is dropped.
 */
static bool step_replica(const struct placement_view *view, size_t position,
                         struct placement_action *action)
{
    const Pr__GroupRecord *record = view->groups[position];
    const struct placement_local *local = &view->local[position];

    if (local->present) {
        action->kind = PLACEMENT_DROP;
        action->node_id = view->self;
        return placement_gave_up(record, view->self) && !local->changing &&
               local->status.state != REPLICATOR_LEADER && !is_resting(local, view->self);
    }
    if (placement_unborn(record)) {
        action->kind = PLACEMENT_BOOTSTRAP;
        return record->birth_node_id == view->self;
    }
    action->kind = PLACEMENT_JOIN;
    return wanted_replica(record, view->self) != NULL;
}

/* This node shall not lead the group, whoever else does. */
static bool must_not_lead(const struct placement_view *view, const Pr__GroupRecord *record)
{
    const struct placement_node *self = placement_node(view, view->self);

    return self != NULL && (self->leaving || (self->witness && record->group != 0));
}

bool placement_step(const struct placement_view *view, size_t position,
                    struct placement_action *action)
{
    const Pr__GroupRecord *record = view->groups[position];
    const struct placement_local *local = &view->local[position];
    bool voters_complete = true;
    bool standbys_complete = true;

    *action = (struct placement_action){
        .group = record->group, .position = position, .record = record};
    if (step_replica(view, position, action))
        return true;
    if (!local->present || local->status.state != REPLICATOR_LEADER || local->changing)
        return false;
    if (must_not_lead(view, record) && step_away(view, position, action))
        return true;
    if (step_missing(view, position, false, action, &voters_complete) ||
        step_missing(view, position, true, action, &standbys_complete))
        return true;
    if (voters_complete && record->n_replicas > 0 && step_surplus(view, position, action))
        return true;
    if (placement_moving(record) && members_agree(record, &local->status)) {
        action->kind = PLACEMENT_PLACED;
        return true;
    }
    if (local->ready_since_ms == 0 || !placement_leader_ready(view, position) ||
        view->now_ms - local->ready_since_ms < PLACEMENT_STEADY_MS)
        return false;
    action->kind = PLACEMENT_TRANSFER;
    action->node_id = record->preferred_leader;
    return true;
}
