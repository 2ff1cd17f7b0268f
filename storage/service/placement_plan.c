/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/service/placement_plan.h"

#include "raft/membership.h"
#include "storage/schema/format.h"

struct placement_node placement_node_of(const Pr__NodeRecord *record)
{
    return (struct placement_node){
        .id = record->id,
        .data_center = record->data_center,
        .witness = record->witness,
        .leaving = record->state != PR__NODE_STATE__NODE_ACTIVE,
        .removing = record->state == PR__NODE_STATE__NODE_REMOVING,
        .replaced_by = record->replaced_by,
    };
}

const struct placement_node *placement_node(const struct placement_view *view, uint64_t node_id)
{
    size_t low = 0;
    size_t high = view->node_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (view->nodes[middle].id < node_id)
            low = middle + 1;
        else
            high = middle;
    }
    return low < view->node_count && view->nodes[low].id == node_id ? &view->nodes[low] : NULL;
}

unsigned placement_members_max(uint32_t format)
{
    return format >= FORMAT_SCOPES ? REPLICATOR_MEMBERS_MAX : MEMBERSHIP_FEW;
}

bool placement_takes_mail(const struct placement_node *node)
{
    return !node->witness && !node->leaving;
}

bool placement_moving(const Pr__GroupRecord *record)
{
    return record->version != record->placed_version;
}

bool placement_unborn(const Pr__GroupRecord *record)
{
    return record->birth_node_id != 0 && record->placed_version == 0;
}

unsigned placement_centers(const struct placement_view *view, Pr__Replica *const *replicas,
                           size_t count)
{
    unsigned centers = 0;

    for (size_t i = 0; i < count; i++) {
        const struct placement_node *node = placement_node(view, replicas[i]->node_id);
        bool fresh = node != NULL && !replicas[i]->standby;
        for (size_t j = 0; j < i && fresh; j++) {
            const struct placement_node *other = placement_node(view, replicas[j]->node_id);
            fresh = other == NULL || replicas[j]->standby ||
                    strcmp(other->data_center, node->data_center) != 0;
        }
        centers += fresh;
    }
    return centers;
}

/* Whether this node leads the directory. */
static bool leads_directory(const struct placement_view *view)
{
    return view->group_count > 0 && view->groups[0]->group == 0 && view->local[0].present &&
           view->local[0].status.state == REPLICATOR_LEADER;
}

static bool names_node(Pr__Replica *const *replicas, size_t count, uint64_t node_id)
{
    for (size_t i = 0; i < count; i++)
        if (replicas[i]->node_id == node_id)
            return true;
    return false;
}

/* Versions begin with 1: before them nobody says what has been placed. */
bool placement_gave_up(const Pr__GroupRecord *record, uint64_t node_id)
{
    return record->group != 0 && record->version > 0 && !placement_moving(record) &&
           record->n_replicas > 0 && !names_node(record->replicas, record->n_replicas, node_id);
}

/* Nothing is on the node any more, nor on its way away from it. */
static bool is_empty(const struct placement_view *view, uint64_t node_id)
{
    for (size_t g = 0; g < view->group_count; g++) {
        const Pr__GroupRecord *record = view->groups[g];
        if ((placement_moving(record) && record->n_replicas > 0) ||
            names_node(record->replicas, record->n_replicas, node_id) ||
            names_node(record->planned, record->n_planned, node_id))
            return false;
    }
    return true;
}

static void plan_directory(const struct placement_view *view, struct arena *arena,
                           struct placement_action *actions, size_t *count)
{
    size_t position = 0;
    bool plan_taken = false;
    Pr__GroupRecord *record = placement_want(view, arena, &position, &plan_taken);

    if (record != NULL)
        actions[(*count)++] = (struct placement_action){
            .kind = PLACEMENT_PUT,
            .group = record->group,
            .position = position,
            .record = record,
            .plan_taken = plan_taken,
        };
    for (size_t i = 0; i < view->node_count; i++)
        if (view->nodes[i].removing && view->nodes[i].id != view->self &&
            is_empty(view, view->nodes[i].id)) {
            actions[(*count)++] = (struct placement_action){
                .kind = PLACEMENT_FORGET,
                .node_id = view->nodes[i].id,
            };
            return;
        }
}

void placement_plan(const struct placement_view *view, struct arena *arena,
                    struct placement_action **actions, size_t *count)
{
    const struct placement_node *self = placement_node(view, view->self);
    bool hurry = self != NULL && self->leaving;
    bool may_transfer = view->transferred_ms == 0 || hurry ||
                        view->now_ms - view->transferred_ms >= PLACEMENT_TRANSFER_MS;

    *actions = arena_alloc(arena, (view->group_count + 2) * sizeof(**actions));
    *count = 0;
    for (size_t g = 0; g < view->group_count; g++) {
        struct placement_action action;
        if (!placement_step(view, g, &action))
            continue;
        if (action.kind == PLACEMENT_TRANSFER && !may_transfer)
            continue;
        may_transfer = may_transfer && (hurry || action.kind != PLACEMENT_TRANSFER);
        (*actions)[(*count)++] = action;
    }
    if (leads_directory(view))
        plan_directory(view, arena, *actions, count);
}
