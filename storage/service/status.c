/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/service/status.h"

#include <stdlib.h>

#include "node/base/check.h"
#include "storage/query/directory.h"
#include "storage/schema/entry.h"
#include "storage/service/placement_plan.h"
#include "storage/service/state_fetch.h"

/* One round of questions to all nodes, for one call. */
struct round {
    struct service_call *call;
    void (*answer)(struct round *round); /* ends the call */
    struct arena round_arena;
    struct status_answer *answers;
    size_t answer_count;
    struct round_peer *peers;
    unsigned waiting;
    Pr__NodeRecord **nodes;
    size_t node_count;
    Pr__GroupRecord **records;
    size_t record_count;
    Pr__GroupStatus **groups; /* merged, one a record */
    Pr__ClusterRecord *cluster;
};

struct round_peer {
    struct round *round;
    struct status_answer *answer;
};

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
    words->state = arena_string(arena, bytes_of(state_names[status->state]));
    words->members = arena_alloc(arena, status->member_count * sizeof(*words->members));
    for (unsigned i = 0; i < status->member_count; i++) {
        Pr__GroupMember *member = arena_alloc(arena, sizeof(*member));
        pr__group_member__init(member);
        member->node_id = status->members[i].node_id;
        member->role = arena_string(arena, bytes_of(role_names[status->members[i].role]));
        member->match_index = status->match[i];
        member->last_contact_ms = status->last_contact_ms[i];
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

static void round_end(struct round *round)
{
    status_merge(round->records, round->record_count, round->answers, round->answer_count,
                 &round->round_arena, &round->groups);
    round->answer(round);
    arena_fini(&round->round_arena);
    free(round);
}

static void peer_answered(void *context, enum err err, struct bytes reply)
{
    struct round_peer *peer = context;
    struct round *round = peer->round;
    ProtobufCAllocator allocator = arena_allocator(&round->round_arena);
    const Pr__PeerReply *words =
        err == ERR_OK ? pr__peer_reply__unpack(&allocator, reply.len, reply.at) : NULL;

    if (words != NULL && words->err == ERR_OK) {
        peer->answer->reachable = true;
        peer->answer->groups = words->groups;
        peer->answer->group_count = words->n_groups;
    }
    round->waiting--;
    if (round->waiting == 0)
        round_end(round);
}

static void no_peers(void *context)
{
    round_end(context);
}

/* What the directory says; false when it is not there. */
static bool round_directory(struct round *round)
{
    struct db_txn *txn = service_directory_begin(round->call->service);
    struct arena *arena = &round->round_arena;

    if (txn == NULL)
        return false;
    round->cluster = directory_cluster(txn, arena);
    directory_nodes(txn, arena, &round->nodes, &round->node_count);
    directory_groups(txn, arena, &round->records, &round->record_count);
    db_abort(&txn);
    return round->cluster != NULL;
}

static void round_start(struct service_call *call, void (*answer)(struct round *round))
{
    struct service *service = call->service;
    struct round *round = calloc(1, sizeof(*round));
    Pr__PeerRequest request = PR__PEER_REQUEST__INIT;
    Pr__PeerStatus status = PR__PEER_STATUS__INIT;
    struct buffer packed = BUFFER_EMPTY;

    CHECK(round != NULL);
    round->call = call;
    round->answer = answer;
    arena_init(&round->round_arena);
    if (!round_directory(round)) {
        arena_fini(&round->round_arena);
        free(round);
        call_fail(call, ERR_UNAVAILABLE, "this node is still fetching the directory");
        return;
    }
    round->answer_count = round->node_count;
    round->answers =
        arena_alloc(&round->round_arena, round->node_count * sizeof(*round->answers));
    round->peers = arena_alloc(&round->round_arena, round->node_count * sizeof(*round->peers));
    request.call_case = PR__PEER_REQUEST__CALL_PEER_STATUS;
    request.peer_status = &status;
    message_pack(&request.base, &packed);
    for (size_t i = 0; i < round->node_count; i++) {
        struct status_answer *words = &round->answers[i];
        words->node_id = round->nodes[i]->id;
        round->peers[i] = (struct round_peer){.round = round, .answer = words};
        if (words->node_id == service_self(service)) {
            words->reachable = true;
            status_local(service, &round->round_arena, &words->groups, &words->group_count);
            continue;
        }
        struct rpc_client *client = service_peer(service, words->node_id);
        if (client == NULL)
            continue;
        round->waiting++;
        rpc_call(client, buffer_bytes(&packed), STATUS_PEER_MS, peer_answered,
                 &round->peers[i]);
    }
    buffer_fini(&packed);
    if (round->waiting == 0)
        loop_post(service->loop, no_peers, round);
}

static Pr__NodeStatus **node_statuses(struct round *round)
{
    struct arena *arena = &round->round_arena;
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
    }
    return statuses;
}

/* Whether the directory wants replicas and leaders where placement would want them. */
static bool is_settled(struct round *round)
{
    struct arena *arena = &round->round_arena;
    struct placement_node *nodes = arena_alloc(arena, round->node_count * sizeof(*nodes));
    size_t position = 0;
    bool plan_taken = false;

    for (size_t i = 0; i < round->node_count; i++)
        nodes[i] = placement_node_of(round->nodes[i]);
    const struct placement_view view = {
        .nodes = nodes,
        .node_count = round->node_count,
        .groups = round->records,
        .group_count = round->record_count,
        .policy = round->cluster->replication,
    };
    return placement_want(&view, arena, &position, &plan_taken) == NULL;
}

static void answer_status(struct round *round)
{
    Pr__Reply reply = PR__REPLY__INIT;
    Pr__ClusterStatusAnswer answer = PR__CLUSTER_STATUS_ANSWER__INIT;
    char version[] = POSTRAFT_VERSION;

    answer.initialised = true;
    answer.cluster_id = round->cluster->cluster_id;
    answer.cluster_name = round->cluster->name;
    answer.node_id = service_self(round->call->service);
    answer.n_nodes = round->node_count;
    answer.nodes = node_statuses(round);
    answer.n_groups = round->record_count;
    answer.groups = round->groups;
    answer.healthy = status_healthy(round->groups, round->record_count) && is_settled(round);
    for (size_t i = 0; i < round->answer_count; i++)
        answer.healthy = answer.healthy && round->answers[i].reachable;
    answer.version = version;
    reply.answer_case = PR__REPLY__ANSWER_CLUSTER_STATUS;
    reply.cluster_status = &answer;
    call_reply(round->call, &reply);
}

static void answer_nodes(struct round *round)
{
    Pr__Reply reply = PR__REPLY__INIT;
    Pr__NodeListAnswer answer = PR__NODE_LIST_ANSWER__INIT;

    answer.n_nodes = round->node_count;
    answer.nodes = node_statuses(round);
    reply.answer_case = PR__REPLY__ANSWER_NODE_LIST;
    reply.node_list = &answer;
    call_reply(round->call, &reply);
}

static void answer_groups(struct round *round)
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
        round_start(call, answer_status);
        return;
    }
    answer.version = version;
    reply.answer_case = PR__REPLY__ANSWER_CLUSTER_STATUS;
    reply.cluster_status = &answer;
    call_reply(call, &reply);
}

void node_list_call(struct service_call *call)
{
    round_start(call, answer_nodes);
}

void group_list_call(struct service_call *call)
{
    round_start(call, answer_groups);
}
