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

static bool could_lead(const struct placement_view *view,
                       const struct replicator_status *status, int member)
{
    return member >= 0 && status->members[member].role == REPLICATOR_VOTER &&
           status->members[member].node_id != view->self && in_contact(view, status, member) &&
           status->match[member] + PLACEMENT_LAG_ENTRIES >= status->last_index;
}

bool placement_leader_ready(const struct placement_view *view, size_t position)
{
    const struct placement_local *local = &view->local[position];
    uint64_t preferred = view->groups[position]->preferred_leader;

    if (!local->present || local->status.state != REPLICATOR_LEADER || preferred == 0)
        return false;
    return could_lead(view, &local->status, member_position(&local->status, preferred));
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
        if (member < 0 && status->member_count >= REPLICATOR_MEMBERS_MAX)
            continue;
        action->kind = PLACEMENT_CHANGE;
        action->node_id = node_id;
        action->role = member < 0 || standby ? REPLICATOR_STANDBY : REPLICATOR_VOTER;
        return true;
    }
    return false;
}

/* Leadership to any voter that is wanted and could lead. */
static bool step_away(const struct placement_view *view, size_t position,
                      struct placement_action *action)
{
    const Pr__GroupRecord *record = view->groups[position];
    const struct replicator_status *status = &view->local[position].status;

    for (unsigned i = 0; i < status->member_count; i++) {
        const Pr__Replica *wanted = wanted_replica(record, status->members[i].node_id);
        if (wanted == NULL || wanted->standby || !could_lead(view, status, (int)i))
            continue;
        action->kind = PLACEMENT_TRANSFER;
        action->node_id = status->members[i].node_id;
        return true;
    }
    return false;
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
        action->kind = PLACEMENT_CHANGE;
        action->node_id = node_id;
        action->role = REPLICATOR_STANDBY;
        action->remove = wanted == NULL;
        return true;
    }
    return false;
}

bool placement_step(const struct placement_view *view, size_t position,
                    struct placement_action *action)
{
    const Pr__GroupRecord *record = view->groups[position];
    const struct placement_local *local = &view->local[position];
    bool voters_complete = true;
    bool standbys_complete = true;

    *action = (struct placement_action){.group = record->group, .position = position};
    if (!local->present) {
        action->kind = PLACEMENT_JOIN;
        return wanted_replica(record, view->self) != NULL;
    }
    if (local->status.state != REPLICATOR_LEADER || local->changing)
        return false;
    if (step_missing(view, position, false, action, &voters_complete) ||
        step_missing(view, position, true, action, &standbys_complete))
        return true;
    if (voters_complete && record->n_replicas > 0 && step_surplus(view, position, action))
        return true;
    if (local->ready_since_ms == 0 || !placement_leader_ready(view, position) ||
        view->now_ms - local->ready_since_ms < PLACEMENT_STEADY_MS)
        return false;
    action->kind = PLACEMENT_TRANSFER;
    action->node_id = record->preferred_leader;
    return true;
}

/* Whether this node leads the directory. */
static bool leads_directory(const struct placement_view *view)
{
    return view->group_count > 0 && view->groups[0]->group == 0 && view->local[0].present &&
           view->local[0].status.state == REPLICATOR_LEADER;
}

void placement_plan(const struct placement_view *view, struct arena *arena,
                    struct placement_action **actions, size_t *count)
{
    bool may_transfer = view->transferred_ms == 0 ||
                        view->now_ms - view->transferred_ms >= PLACEMENT_TRANSFER_MS;

    *actions = arena_alloc(arena, (view->group_count + 1) * sizeof(**actions));
    *count = 0;
    for (size_t g = 0; g < view->group_count; g++) {
        struct placement_action action;
        if (!placement_step(view, g, &action))
            continue;
        if (action.kind == PLACEMENT_TRANSFER && !may_transfer)
            continue;
        may_transfer = may_transfer && action.kind != PLACEMENT_TRANSFER;
        (*actions)[(*count)++] = action;
    }
    size_t position = 0;
    Pr__GroupRecord *record =
        leads_directory(view) ? placement_want(view, arena, &position) : NULL;
    if (record != NULL)
        (*actions)[(*count)++] = (struct placement_action){
            .kind = PLACEMENT_PUT,
            .group = record->group,
            .position = position,
            .record = record,
        };
}
