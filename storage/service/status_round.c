/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/service/status_round.h"

#include <stdlib.h>

#include "node/base/check.h"
#include "storage/query/directory.h"
#include "storage/schema/entry.h"
#include "storage/service/scrubs.h"

struct status_round_peer {
    struct status_round *round;
    struct status_answer *answer;
};

static void round_end(struct status_round *round)
{
    status_merge(round->records, round->record_count, round->answers, round->node_count,
                 &round->arena, &round->groups);
    round->answer(round);
    arena_fini(&round->arena);
    free(round);
}

static void peer_answered(void *context, enum err err, struct bytes reply)
{
    struct status_round_peer *peer = context;
    struct status_round *round = peer->round;
    ProtobufCAllocator allocator = arena_allocator(&round->arena);
    const Pr__PeerReply *words =
        err == ERR_OK ? pr__peer_reply__unpack(&allocator, reply.len, reply.at) : NULL;

    if (words != NULL && words->err == ERR_OK) {
        peer->answer->reachable = true;
        peer->answer->groups = words->groups;
        peer->answer->group_count = words->n_groups;
        peer->answer->problem = words->problem;
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
static bool round_directory(struct status_round *round)
{
    struct db_txn *txn = service_directory_begin(round->call->service);
    struct arena *arena = &round->arena;

    if (txn == NULL)
        return false;
    round->cluster = directory_cluster(txn, arena);
    round->format = machine_format(txn, DIRECTORY_GROUP);
    directory_nodes(txn, arena, &round->nodes, &round->node_count);
    directory_groups(txn, arena, &round->records, &round->record_count);
    db_abort(&txn);
    return round->cluster != NULL;
}

void status_round_start(struct service_call *call, void (*answer)(struct status_round *round))
{
    struct service *service = call->service;
    struct status_round *round = calloc(1, sizeof(*round));
    Pr__PeerRequest request = PR__PEER_REQUEST__INIT;
    Pr__PeerStatus status = PR__PEER_STATUS__INIT;
    struct buffer packed = BUFFER_EMPTY;

    CHECK(round != NULL);
    round->call = call;
    round->answer = answer;
    arena_init(&round->arena);
    if (!round_directory(round)) {
        arena_fini(&round->arena);
        free(round);
        call_fail(call, ERR_UNAVAILABLE, "this node is still fetching the directory");
        return;
    }
    round->answers = arena_alloc(&round->arena, round->node_count * sizeof(*round->answers));
    round->peers = arena_alloc(&round->arena, round->node_count * sizeof(*round->peers));
    request.call_case = PR__PEER_REQUEST__CALL_PEER_STATUS;
    request.peer_status = &status;
    message_pack(&request.base, &packed);
    for (size_t i = 0; i < round->node_count; i++) {
        struct status_answer *words = &round->answers[i];
        words->node_id = round->nodes[i]->id;
        round->peers[i] = (struct status_round_peer){.round = round, .answer = words};
        if (words->node_id == service_self(service)) {
            words->reachable = true;
            words->problem = service_problem(service);
            status_local(service, &round->arena, &words->groups, &words->group_count);
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

/* What a replica of each group weighs: the most that anybody with a whole one says. */
static uint64_t *round_bytes(struct status_round *round)
{
    uint64_t *bytes = arena_alloc(&round->arena, round->record_count * sizeof(*bytes));

    for (size_t g = 0; g < round->record_count; g++) {
        const Pr__GroupStatus *group = round->groups[g];
        bytes[g] = 0;
        for (size_t s = 0; s < group->n_states; s++)
            if (strcmp(group->states[s]->state, "whole") == 0 &&
                group->states[s]->held_bytes > bytes[g])
                bytes[g] = group->states[s]->held_bytes;
    }
    return bytes;
}

struct placement_view status_round_view(struct status_round *round)
{
    struct placement_node *nodes =
        arena_alloc(&round->arena, round->node_count * sizeof(*nodes));

    for (size_t i = 0; i < round->node_count; i++)
        nodes[i] = placement_node_of(round->nodes[i]);
    return (struct placement_view){
        .nodes = nodes,
        .node_count = round->node_count,
        .groups = round->records,
        .group_count = round->record_count,
        .policy = round->cluster->replication,
        .bytes = round_bytes(round),
        .members_max = placement_members_max(round->format),
    };
}

int status_round_node(struct status_round *round, const char *named)
{
    const char *known = "";
    uint64_t number = 0;
    bool is_number = bytes_to_u64(bytes_of(named), &number);

    for (size_t i = 0; i < round->node_count; i++)
        if (bytes_equal_nocase(bytes_of(round->nodes[i]->name), bytes_of(named)))
            return (int)i;
    for (size_t i = 0; i < round->node_count; i++) {
        if (is_number && round->nodes[i]->id == number)
            return (int)i;
        known = arena_printf(&round->arena, "%s %s", known, round->nodes[i]->name);
    }
    call_fail(round->call, ERR_NOTFOUND,
              arena_printf(&round->arena, "there is no node %s; there are:%s", named, known));
    return -1;
}

bool status_round_reachable(const struct status_round *round, uint64_t node_id)
{
    for (size_t i = 0; i < round->node_count; i++)
        if (round->answers[i].node_id == node_id)
            return round->answers[i].reachable;
    return false;
}
