/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/service/status.h"

#include "node/base/check.h"
#include "storage/schema/format.h"
#include "storage/service/members.h"
#include "storage/service/state_fetch.h"
#include "storage/service/weights.h"

static const char *const role_names[] = {
    [REPLICATOR_VOTER] = "voter",
    [REPLICATOR_STANDBY] = "standby",
    [REPLICATOR_SPARE] = "spare",
};

static const char *const state_names[] = {
    [REPLICATOR_STOPPED] = "stopped",
    [REPLICATOR_FOLLOWER] = "follower",
    [REPLICATOR_CANDIDATE] = "candidate",
    [REPLICATOR_LEADER] = "leader",
};

static const char *const standing_names[] = {
    [REPLICATOR_WHOLE] = "whole",
    [REPLICATOR_PARTIAL] = "partial",
    [REPLICATOR_STATELESS] = "witness",
};

static Pr__GroupStatus *group_status(uint32_t group, const struct replicator_status *status,
                                     struct arena *arena)
{
    Pr__GroupStatus *words = arena_alloc(arena, sizeof(*words));

    pr__group_status__init(words);
    words->group = group;
    words->leader = status->leader;
    words->term = status->term;
    words->commit_index = status->commit_index;
    words->applied_index = status->applied_index;
    words->single_site = status->single_site;
    words->first_index = status->first_index;
    words->last_index = status->last_index;
    words->last_term = status->last_term;
    words->state = arena_string(arena, bytes_of(state_names[status->state]));
    words->members = arena_alloc(arena, status->member_count * sizeof(*words->members));
    for (unsigned i = 0; i < status->member_count; i++) {
        Pr__GroupMember *member = arena_alloc(arena, sizeof(*member));
        pr__group_member__init(member);
        member->node_id = status->members[i].node_id;
        member->role = arena_string(arena, bytes_of(role_names[status->members[i].role]));
        member->match_index = status->match[i];
        member->last_contact_ms = status->last_contact_ms[i];
        member->standing = arena_string(arena, bytes_of(standing_names[status->standing[i]]));
        words->members[words->n_members++] = member;
    }
    return words;
}

static const char *const machine_names[] = {
    [MACHINE_WHOLE] = "whole",
    [MACHINE_PARTIAL] = "partial",
    [MACHINE_NONE] = "none",
};

/* Of the replica here. */
static void add_state(const struct service *service, Pr__GroupStatus *words,
                      struct arena *arena)
{
    Pr__ReplicaState *state = arena_alloc(arena, sizeof(*state));
    struct state_fetch_progress progress;

    pr__replica_state__init(state);
    state->node_id = service_self(service);
    state->state =
        arena_string(arena, bytes_of(machine_names[service_state(service, words->group)]));
    state->held_bytes = weights_bytes(service->weights, words->group);
    if (state_fetch_progress(service, words->group, &progress)) {
        state->source = progress.source;
        state->begun_ms = progress.begun_ms;
        state->bytes = progress.bytes;
        state->rows = progress.rows;
        state->compared_bytes = progress.compared_bytes;
    }
    words->states = arena_alloc(arena, sizeof(*words->states));
    words->states[words->n_states++] = state;
}

void status_local(struct service *service, struct arena *arena, Pr__GroupStatus ***groups,
                  size_t *count)
{
    *groups = NULL;
    *count = 0;
    if (service->replicator == NULL)
        return;
    uint32_t *numbers = arena_alloc(arena, REPLICATOR_GROUPS_MAX * sizeof(*numbers));
    unsigned found = replicator_groups(service->replicator, numbers, REPLICATOR_GROUPS_MAX);
    *groups = arena_alloc(arena, found * sizeof(Pr__GroupStatus *));
    for (unsigned i = 0; i < found; i++) {
        struct replicator_status status;
        if (!replicator_status(service->replicator, numbers[i], &status))
            continue;
        Pr__GroupStatus *words = group_status(numbers[i], &status, arena);
        add_state(service, words, arena);
        (*groups)[(*count)++] = words;
    }
}

/* What the node's replicas weigh, as far as it says. */
static uint64_t held_on(const struct status_answer *answer)
{
    uint64_t bytes = 0;

    for (size_t g = 0; g < answer->group_count; g++)
        for (size_t s = 0; s < answer->groups[g]->n_states; s++)
            bytes += answer->groups[g]->states[s]->held_bytes;
    return bytes;
}

Pr__NodeStatus **status_round_nodes(struct status_round *round)
{
    struct arena *arena = &round->arena;
    Pr__NodeStatus **statuses = arena_alloc(arena, round->node_count * sizeof(*statuses));

    for (size_t i = 0; i < round->node_count; i++) {
        statuses[i] = arena_alloc(arena, sizeof(**statuses));
        pr__node_status__init(statuses[i]);
        statuses[i]->node = round->nodes[i];
        statuses[i]->reachable = round->answers[i].reachable;
        statuses[i]->replicas = (uint32_t)round->answers[i].group_count;
        for (size_t g = 0; g < round->record_count; g++)
            if (round->groups[g]->leader == round->nodes[i]->id)
                statuses[i]->groups_led++;
        statuses[i]->held_bytes = held_on(&round->answers[i]);
    }
    return statuses;
}

/* Whether the directory wants replicas and leaders where placement would want them. */
static bool is_settled(struct status_round *round)
{
    const struct placement_view view = status_round_view(round);
    size_t position = 0;
    bool plan_taken = false;

    return placement_want(&view, &round->arena, &position, &plan_taken) == NULL;
}

static bool has_problem(const struct status_answer *answer)
{
    return answer->problem != NULL && answer->problem[0] != '\0';
}

static void status_warnings(struct status_round *round, struct members_texts *warnings)
{
    const struct placement_view view = status_round_view(round);
    size_t moves = placement_rebalance(&view, &round->arena).move_count;

    for (size_t i = 0; i < round->node_count; i++)
        if (has_problem(&round->answers[i]))
            members_text_add(warnings, &round->arena, "node %s: %s", round->nodes[i]->name,
                             round->answers[i].problem);
    if (round->format < FORMAT_NEWEST)
        members_text_add(warnings, &round->arena,
                         "an upgrade is not finished: `postraft cluster upgrade`");
    members_policy_warnings(&view, &round->arena, warnings);
    for (size_t i = 0; i < round->node_count; i++)
        if (round->nodes[i]->state != PR__NODE_STATE__NODE_ACTIVE)
            members_text_add(warnings, &round->arena, "node %s is %s", round->nodes[i]->name,
                             round->nodes[i]->state == PR__NODE_STATE__NODE_DRAINING
                                 ? "draining or drained"
                                 : "being removed");
    if (moves > 0)
        members_text_add(warnings, &round->arena,
                         "replicas stand unevenly: `postraft cluster rebalance` would move %zu",
                         moves);
}

static void answer_status(struct status_round *round)
{
    struct members_texts warnings = {0};
    Pr__Reply reply = PR__REPLY__INIT;
    Pr__ClusterStatusAnswer answer = PR__CLUSTER_STATUS_ANSWER__INIT;
    char version[] = POSTRAFT_VERSION;

    answer.initialised = true;
    answer.cluster_id = round->cluster->cluster_id;
    answer.cluster_name = round->cluster->name;
    answer.node_id = service_self(round->call->service);
    answer.n_nodes = round->node_count;
    answer.nodes = status_round_nodes(round);
    answer.n_groups = round->record_count;
    answer.groups = round->groups;
    answer.healthy = status_healthy(round->groups, round->record_count) && is_settled(round);
    for (size_t i = 0; i < round->node_count; i++)
        answer.healthy =
            answer.healthy && round->answers[i].reachable && !has_problem(&round->answers[i]);
    answer.version = version;
    status_warnings(round, &warnings);
    answer.warnings = warnings.at;
    answer.n_warnings = warnings.count;
    reply.answer_case = PR__REPLY__ANSWER_CLUSTER_STATUS;
    reply.cluster_status = &answer;
    call_reply(round->call, &reply);
}

static void answer_nodes(struct status_round *round)
{
    Pr__Reply reply = PR__REPLY__INIT;
    Pr__NodeListAnswer answer = PR__NODE_LIST_ANSWER__INIT;

    answer.n_nodes = round->node_count;
    answer.nodes = status_round_nodes(round);
    reply.answer_case = PR__REPLY__ANSWER_NODE_LIST;
    reply.node_list = &answer;
    call_reply(round->call, &reply);
}

static void answer_groups(struct status_round *round)
{
    Pr__Reply reply = PR__REPLY__INIT;
    Pr__GroupListAnswer answer = PR__GROUP_LIST_ANSWER__INIT;

    answer.n_groups = round->record_count;
    answer.groups = round->groups;
    reply.answer_case = PR__REPLY__ANSWER_GROUP_LIST;
    reply.group_list = &answer;
    call_reply(round->call, &reply);
}

void cluster_status_call(struct service_call *call)
{
    Pr__Reply reply = PR__REPLY__INIT;
    Pr__ClusterStatusAnswer answer = PR__CLUSTER_STATUS_ANSWER__INIT;
    char version[] = POSTRAFT_VERSION;

    if (call->service->replicator != NULL) {
        status_round_start(call, answer_status);
        return;
    }
    answer.version = version;
    reply.answer_case = PR__REPLY__ANSWER_CLUSTER_STATUS;
    reply.cluster_status = &answer;
    call_reply(call, &reply);
}

void node_list_call(struct service_call *call)
{
    status_round_start(call, answer_nodes);
}

void group_list_call(struct service_call *call)
{
    status_round_start(call, answer_groups);
}
