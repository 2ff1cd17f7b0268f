/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/service/placement.h"

#include <stdlib.h>

#include "node/base/check.h"
#include "node/base/log.h"
#include "storage/query/directory.h"
#include "storage/service/identity.h"
#include "storage/service/join.h"
#include "storage/service/placement_plan.h"

#define TICK_MS 500
#define SOON_MS 10
#define REST_MS 10000 /* a node is left alone after a step for it failed */
#define PUT_MS 10000

/* What is remembered of a group between ticks. */
struct slot {
    bool changing;
    uint64_t ready_since_ms;
    struct {
        uint64_t node_id;
        uint64_t until_ms;
    } resting[PLACEMENT_RESTING_MAX];
};

/* A step under way. It outlives the placement if it must. */
struct step {
    struct step *next;
    struct placement *placement; /* NULL: nobody waits any more */
    enum placement_kind kind;
    uint32_t group;
    uint64_t node_id;
};

static const char *const step_names[] = {
    [PLACEMENT_PUT] = "put",           [PLACEMENT_JOIN] = "join",
    [PLACEMENT_BOOTSTRAP] = "begin",   [PLACEMENT_CHANGE] = "change",
    [PLACEMENT_TRANSFER] = "transfer", [PLACEMENT_PLACED] = "placed",
    [PLACEMENT_DROP] = "drop",         [PLACEMENT_FORGET] = "forget",
};

struct placement {
    struct service *service;
    struct loop_timer *timer;
    struct loop_timer *soon; /* a step has ended: the next one need not wait for the timer */
    struct map slots;        /* by group */
    struct step *steps;
    uint64_t transferred_ms;
    bool putting;
    bool joining;
    bool lost_told;
};

static struct slot *slot_of(struct placement *placement, uint32_t group)
{
    struct slot *slot = map_get(&placement->slots, group);

    if (slot == NULL) {
        slot = calloc(1, sizeof(*slot));
        CHECK(slot != NULL);
        map_put(&placement->slots, group, slot);
    }
    return slot;
}

static void slot_rest(struct slot *slot, uint64_t node_id, uint64_t now_ms)
{
    size_t at = 0;

    for (size_t i = 0; i < PLACEMENT_RESTING_MAX; i++) {
        if (slot->resting[i].node_id == node_id) {
            at = i;
            break;
        }
        if (slot->resting[i].until_ms < slot->resting[at].until_ms)
            at = i;
    }
    slot->resting[at].node_id = node_id;
    slot->resting[at].until_ms = now_ms + REST_MS;
}

static struct step *step_new(struct placement *placement, const struct placement_action *action)
{
    struct step *step = calloc(1, sizeof(*step));

    CHECK(step != NULL);
    *step = (struct step){
        .next = placement->steps,
        .placement = placement,
        .kind = action->kind,
        .group = action->group,
        .node_id = action->node_id,
    };
    placement->steps = step;
    return step;
}

static void tick(void *context);

static void tick_soon(void *context)
{
    struct placement *placement = context;

    placement->soon = NULL;
    tick(placement);
}

static void step_done(void *context, enum err err)
{
    struct step *step = context;
    struct placement *placement = step->placement;

    if (placement == NULL) {
        free(step);
        return;
    }
    struct step **at = &placement->steps;
    while (*at != step)
        at = &(*at)->next;
    *at = step->next;
    if (step->kind == PLACEMENT_PUT || step->kind == PLACEMENT_FORGET) {
        placement->putting = false;
    } else {
        struct slot *slot = slot_of(placement, step->group);
        slot->changing = false;
        if (err != ERR_OK)
            slot_rest(slot, step->node_id, clock_monotonic_ms());
    }
    if (err != ERR_OK && err != ERR_NOTLEADER)
        log_info(NULL, "a placement step did not succeed",
                 LOG_FIELDS(LOG_U64("group", step->group), LOG_U64("peer", step->node_id),
                            LOG_TEXT("step", step_names[step->kind]),
                            LOG_TEXT("error", err_name(err))));
    else if (err == ERR_OK && placement->soon == NULL)
        placement->soon =
            loop_timer_start(placement->service->loop, SOON_MS, 0, tick_soon, placement);
    free(step);
}

static void written(void *context, enum err err, const Pr__Outcome *outcome, uint64_t index)
{
    (void)index;
    step_done(context, err == ERR_OK ? (enum err)outcome->err : err);
}

static void do_write(struct placement *placement, const struct placement_action *action,
                     Pr__Command *command)
{
    write_start(placement->service, DIRECTORY_GROUP, command, clock_monotonic_ms() + PUT_MS,
                written, step_new(placement, action));
}

static void do_put(struct placement *placement, const struct placement_action *action)
{
    const Pr__GroupRecord *record = action->record;
    Pr__Command command = PR__COMMAND__INIT;
    Pr__GroupPut put = PR__GROUP_PUT__INIT;

    if (placement->putting)
        return;
    placement->putting = true;
    put.group = record->group;
    put.replicas = record->replicas;
    put.n_replicas = record->n_replicas;
    put.preferred_leader = record->preferred_leader;
    put.leader_pinned = record->leader_pinned;
    put.version_given = true;
    put.version = record->version;
    put.plan_taken = action->plan_taken;
    command.call_case = PR__COMMAND__CALL_GROUP_PUT;
    command.group_put = &put;
    log_info(NULL, "placing a group",
             LOG_FIELDS(LOG_U64("group", put.group), LOG_U64("replicas", put.n_replicas),
                        LOG_U64("preferred", put.preferred_leader)));
    do_write(placement, action, &command);
}

static void do_forget(struct placement *placement, const struct placement_action *action)
{
    Pr__Command command = PR__COMMAND__INIT;
    Pr__NodeRemove remove = PR__NODE_REMOVE__INIT;

    if (placement->putting)
        return;
    placement->putting = true;
    remove.node_id = action->node_id;
    command.call_case = PR__COMMAND__CALL_NODE_REMOVE;
    command.node_remove = &remove;
    log_info(NULL, "a node leaves the cluster", LOG_FIELDS(LOG_U64("id", action->node_id)));
    do_write(placement, action, &command);
}

static void do_placed(struct placement *placement, const struct placement_action *action)
{
    Pr__Command command = PR__COMMAND__INIT;
    Pr__GroupPlaced placed = PR__GROUP_PLACED__INIT;

    placed.group = action->group;
    placed.version = action->record->version;
    command.call_case = PR__COMMAND__CALL_GROUP_PLACED;
    command.group_placed = &placed;
    slot_of(placement, action->group)->changing = true;
    do_write(placement, action, &command);
}

static void do_bootstrap(struct placement *placement, const struct placement_action *action)
{
    log_info(NULL, "beginning a group", LOG_FIELDS(LOG_U64("group", action->group)));
    slot_of(placement, action->group)->changing = true;
    replicator_group_bootstrap(placement->service->replicator, action->group, step_done,
                               step_new(placement, action));
}

static void do_join(struct placement *placement, uint32_t group)
{
    enum err err = replicator_group_join(placement->service->replicator, group);

    log_info(NULL, "beginning a replica",
             LOG_FIELDS(LOG_U64("group", group), LOG_TEXT("result", err_name(err))));
}

static const char *change_text(const struct placement_action *action)
{
    if (action->remove)
        return "remove";
    return action->role == REPLICATOR_VOTER ? "voter" : "standby";
}

static void do_action(struct placement *placement, const struct placement_action *action,
                      uint64_t now_ms)
{
    struct replicator *replicator = placement->service->replicator;

    switch (action->kind) {
    case PLACEMENT_PUT:
        do_put(placement, action);
        break;
    case PLACEMENT_FORGET:
        do_forget(placement, action);
        break;
    case PLACEMENT_DROP:
        slot_of(placement, action->group)->changing = true;
        placement_drop(placement->service, action->group, step_done,
                       step_new(placement, action));
        break;
    case PLACEMENT_PLACED:
        do_placed(placement, action);
        break;
    case PLACEMENT_JOIN:
        do_join(placement, action->group);
        break;
    case PLACEMENT_BOOTSTRAP:
        if (!slot_of(placement, action->group)->changing)
            do_bootstrap(placement, action);
        break;
    case PLACEMENT_CHANGE:
        log_info(NULL, "changing a group's members",
                 LOG_FIELDS(LOG_U64("group", action->group), LOG_U64("peer", action->node_id),
                            LOG_TEXT("to", change_text(action))));
        slot_of(placement, action->group)->changing = true;
        replicator_change(replicator, action->group, action->node_id, action->role,
                          action->remove, step_done, step_new(placement, action));
        break;
    case PLACEMENT_TRANSFER:
        log_info(NULL, "handing a group's leadership over",
                 LOG_FIELDS(LOG_U64("group", action->group), LOG_U64("to", action->node_id)));
        slot_of(placement, action->group)->changing = true;
        placement->transferred_ms = now_ms;
        replicator_transfer(replicator, action->group, action->node_id, step_done,
                            step_new(placement, action));
        break;
    }
}

static void local_fill(struct placement *placement, const Pr__GroupRecord *record,
                       uint64_t now_ms, struct placement_local *local)
{
    const struct slot *slot = slot_of(placement, record->group);

    local->present =
        replicator_status(placement->service->replicator, record->group, &local->status);
    local->changing = slot->changing;
    for (size_t i = 0; i < PLACEMENT_RESTING_MAX; i++)
        if (slot->resting[i].until_ms > now_ms)
            local->resting[local->resting_count++] = slot->resting[i].node_id;
}

static void tick_plan(struct placement *placement, struct arena *arena,
                      const Pr__ClusterRecord *cluster, Pr__NodeRecord **nodes,
                      size_t node_count, Pr__GroupRecord **groups, size_t group_count,
                      uint32_t format)
{
    uint64_t now_ms = clock_monotonic_ms();
    struct placement_node *known = arena_alloc(arena, node_count * sizeof(*known));
    struct placement_local *local = arena_alloc(arena, group_count * sizeof(*local));
    struct placement_action *actions = NULL;
    size_t count = 0;

    for (size_t i = 0; i < node_count; i++)
        known[i] = placement_node_of(nodes[i]);
    const struct placement_view view = {
        .self = service_self(placement->service),
        .now_ms = now_ms,
        .transferred_ms = placement->transferred_ms,
        .nodes = known,
        .node_count = node_count,
        .groups = groups,
        .group_count = group_count,
        .local = local,
        .policy = cluster != NULL ? cluster->replication : NULL,
        .members_max = placement_members_max(format),
    };
    for (size_t g = 0; g < group_count; g++) {
        struct slot *slot = slot_of(placement, groups[g]->group);
        local_fill(placement, groups[g], now_ms, &local[g]);
        if (!placement_leader_ready(&view, g))
            slot->ready_since_ms = 0;
        else if (slot->ready_since_ms == 0)
            slot->ready_since_ms = now_ms;
        local[g].ready_since_ms = slot->ready_since_ms;
    }
    placement_plan(&view, arena, &actions, &count);
    for (size_t i = 0; i < count; i++)
        do_action(placement, &actions[i], now_ms);
}

/* Whether this node has its replica of the directory, or may begin one. */
static bool tick_directory(struct placement *placement)
{
    struct replicator_status status;

    if (replicator_status(placement->service->replicator, DIRECTORY_GROUP, &status))
        return true;
    if (placement->joining) {
        do_join(placement, DIRECTORY_GROUP);
        return true;
    }
    if (!placement->lost_told &&
        identity_file_exists(placement->service->config->folder, IDENTITY_FILE))
        log_error(
            NULL,
            "the replication log of this node is gone: it must not vote under its old id. "
            "Empty its data folder and join it again with a new token",
            NULL);
    placement->lost_told = true;
    return false;
}

static void tick(void *context)
{
    struct placement *placement = context;
    struct service *service = placement->service;
    struct arena tick_arena;
    Pr__NodeRecord **nodes = NULL;
    Pr__GroupRecord **groups = NULL;
    size_t node_count = 0;
    size_t group_count = 0;

    if (service->stopping || service->replicator == NULL || !tick_directory(placement))
        return;
    struct db_txn *txn = service_directory_begin(service);
    if (txn == NULL)
        return;
    arena_init(&tick_arena);
    const Pr__ClusterRecord *cluster = directory_cluster(txn, &tick_arena);
    directory_nodes(txn, &tick_arena, &nodes, &node_count);
    directory_groups(txn, &tick_arena, &groups, &group_count);
    bool known = directory_node(txn, service_self(service), &tick_arena) != NULL;
    uint32_t format = machine_format(txn, DIRECTORY_GROUP);
    db_abort(&txn);
    if (known && placement->joining) {
        placement->joining = false;
        join_finished(service);
    }
    if (known)
        tick_plan(placement, &tick_arena, cluster, nodes, node_count, groups, group_count,
                  format);
    arena_fini(&tick_arena);
}

struct placement *placement_new(struct service *service)
{
    struct placement *made = calloc(1, sizeof(*made));

    CHECK(made != NULL);
    made->service = service;
    made->joining = join_under_way(service);
    map_init(&made->slots);
    made->timer = loop_timer_start(service->loop, TICK_MS, TICK_MS, tick, made);
    return made;
}

void placement_free(struct placement **placement)
{
    struct placement *closing = *placement;
    size_t at = 0;
    uint64_t group = 0;
    void *slot = NULL;

    if (closing == NULL)
        return;
    *placement = NULL;
    loop_timer_stop(&closing->timer);
    loop_timer_stop(&closing->soon);
    for (struct step *step = closing->steps; step != NULL; step = step->next)
        step->placement = NULL;
    while (map_next(&closing->slots, &at, &group, &slot))
        free(slot);
    map_fini(&closing->slots);
    free(closing);
}
