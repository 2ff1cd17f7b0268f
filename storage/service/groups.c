/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdlib.h>

#include "node/base/check.h"
#include "storage/schema/entry.h"
#include "storage/service/audit.h"
#include "storage/service/members.h"

enum {
    ADD_MAX = 64, /* the directory takes no more in one command */
    TRANSFER_MS = 10000,
};

/* ---- new mail groups ---- */

static void group_added(struct service_call *call, const Pr__Outcome *outcome)
{
    Pr__Reply reply = PR__REPLY__INIT;
    Pr__GroupAddAnswer answer = PR__GROUP_ADD_ANSWER__INIT;

    answer.first = (uint32_t)outcome->id;
    answer.count = call->request->group_add->count;
    reply.answer_case = PR__REPLY__ANSWER_GROUP_ADD;
    reply.group_add = &answer;
    call_reply(call, &reply);
}

/* The reachable node with the fewest replicas of mail; 0: there is none. */
static uint64_t birth_node(struct status_round *round, const struct placement_view *view,
                           size_t *load)
{
    size_t best = view->node_count;

    for (size_t i = 0; i < view->node_count; i++)
        if (placement_takes_mail(&view->nodes[i]) && round->answers[i].reachable &&
            (best == view->node_count || load[i] < load[best]))
            best = i;
    if (best == view->node_count)
        return 0;
    load[best]++;
    return view->nodes[best].id;
}

static void group_add_answer(struct status_round *round)
{
    struct service_call *call = round->call;
    uint32_t count = call->request->group_add->count;
    const struct placement_view view = status_round_view(round);
    size_t *load = arena_alloc(&round->arena, view.node_count * sizeof(*load));
    uint64_t *nodes = arena_alloc(&round->arena, count * sizeof(*nodes));
    Pr__Command command = PR__COMMAND__INIT;
    Pr__GroupsAdd add = PR__GROUPS_ADD__INIT;

    for (size_t n = 0; n < view.node_count; n++)
        for (size_t g = 0; g < view.group_count; g++)
            for (size_t r = 0; r < view.groups[g]->n_replicas; r++)
                load[n] += view.groups[g]->replicas[r]->node_id == view.nodes[n].id;
    for (uint32_t i = 0; i < count; i++) {
        nodes[i] = birth_node(round, &view, load);
        if (nodes[i] == 0) {
            call_fail(call, ERR_UNAVAILABLE, "no node that takes mail answers");
            return;
        }
    }
    add.birth_node_ids = nodes;
    add.n_birth_node_ids = count;
    command.call_case = PR__COMMAND__CALL_GROUPS_ADD;
    command.groups_add = &add;
    audit_write_then(call, &command,
                     arena_printf(&call->call_arena, "%u groups", (unsigned)count),
                     group_added);
}

void group_add_call(struct service_call *call)
{
    uint32_t count = call->request->group_add->count;

    if (count < 1 || count > ADD_MAX)
        call_fail(call, ERR_INVALID, "1 to 64 groups are added at a time");
    else
        status_round_start(call, group_add_answer);
}

/* ---- who leads ---- */

struct lead {
    struct service_call *call;
    uint32_t group;
    uint64_t node_id;
    uint64_t leader;
    const char *name;
};

/* The preference is written down; whether leadership moved at once is only told. */
static void lead_done(void *context, enum err err)
{
    struct lead *lead = context;
    struct service_call *call = lead->call;
    Pr__Reply reply = PR__REPLY__INIT;

    if (err == ERR_OK)
        reply.text = arena_printf(&call->call_arena, "node %s leads group %u", lead->name,
                                  (unsigned)lead->group);
    else
        reply.text = arena_printf(&call->call_arena,
                                  "node %s is preferred as leader of group %u; it takes over "
                                  "when it has all that the leader has (%s)",
                                  lead->name, (unsigned)lead->group, err_text(err));
    call_reply(call, &reply);
}

static void lead_peer_answered(void *context, enum err err, struct bytes reply)
{
    struct lead *lead = context;
    ProtobufCAllocator allocator = arena_allocator(&lead->call->call_arena);
    const Pr__PeerReply *words =
        err == ERR_OK ? pr__peer_reply__unpack(&allocator, reply.len, reply.at) : NULL;

    if (err == ERR_OK)
        err = words != NULL ? (enum err)words->err : ERR_MALFORMED;
    lead_done(lead, err);
}

static void lead_written(struct service_call *call, const Pr__Outcome *outcome)
{
    struct lead *lead = call->context;
    struct service *service = call->service;
    struct rpc_client *peer = service_peer(service, lead->leader);
    Pr__PeerRequest request = PR__PEER_REQUEST__INIT;
    Pr__GroupTransfer transfer = PR__GROUP_TRANSFER__INIT;
    struct buffer packed = BUFFER_EMPTY;
    Pr__Reply reply = PR__REPLY__INIT;

    (void)outcome;
    if (lead->node_id == 0) {
        reply.text =
            arena_printf(&call->call_arena, "the cluster chooses the leader of group %u",
                         (unsigned)lead->group);
        call_reply(call, &reply);
    } else if (lead->leader == lead->node_id) {
        lead_done(lead, ERR_OK);
    } else if (lead->leader == service_self(service)) {
        replicator_transfer(service->replicator, lead->group, lead->node_id, lead_done, lead);
    } else if (peer == NULL) {
        lead_done(lead, ERR_UNAVAILABLE);
    } else {
        transfer.group = lead->group;
        transfer.node_id = lead->node_id;
        request.call_case = PR__PEER_REQUEST__CALL_GROUP_TRANSFER;
        request.group_transfer = &transfer;
        message_pack(&request.base, &packed);
        rpc_call(peer, buffer_bytes(&packed), TRANSFER_MS, lead_peer_answered, lead);
        buffer_fini(&packed);
    }
}

/* NULL, or why that node cannot lead the group. */
static const char *lead_problem(struct status_round *round, const Pr__GroupRecord *record,
                                const Pr__NodeRecord *node, bool reachable)
{
    struct arena *arena = &round->call->call_arena;
    bool votes = false;
    const char *known = "";

    for (size_t i = 0; i < record->n_replicas; i++) {
        if (record->replicas[i]->standby)
            continue;
        votes = votes || record->replicas[i]->node_id == node->id;
        known = arena_printf(arena, "%s %llu", known,
                             (unsigned long long)record->replicas[i]->node_id);
    }
    if (!votes)
        return arena_printf(arena, "node %s has no vote in group %u; these have:%s", node->name,
                            (unsigned)record->group, known);
    if (node->witness)
        return arena_printf(arena, "node %s is a witness: it has no mail to lead with",
                            node->name);
    if (node->state != PR__NODE_STATE__NODE_ACTIVE)
        return arena_printf(arena, "node %s is on its way out", node->name);
    if (!reachable)
        return arena_printf(arena, "node %s does not answer", node->name);
    return NULL;
}

static void group_lead_answer(struct status_round *round)
{
    struct service_call *call = round->call;
    const Pr__GroupLead *ask = call->request->group_lead;
    Pr__Command command = PR__COMMAND__INIT;
    Pr__GroupPut put = PR__GROUP_PUT__INIT;
    size_t g = 0;

    while (g < round->record_count && round->records[g]->group != ask->group)
        g++;
    if (g == round->record_count) {
        call_fail(
            call, ERR_NOTFOUND,
            arena_printf(&call->call_arena, "there is no group %u", (unsigned)ask->group));
        return;
    }
    struct lead *lead = arena_alloc(&call->call_arena, sizeof(*lead));
    *lead = (struct lead){call, ask->group, 0, round->groups[g]->leader, ""};
    if (ask->node[0] != '\0') {
        int position = status_round_node(round, ask->node);
        if (position < 0)
            return;
        const Pr__NodeRecord *node = round->nodes[position];
        const char *problem =
            lead_problem(round, round->records[g], node, round->answers[position].reachable);
        if (problem != NULL) {
            call_fail(call, ERR_INVALID, problem);
            return;
        }
        lead->node_id = node->id;
        lead->name = arena_string(&call->call_arena, bytes_of(node->name));
    }
    put.group = ask->group;
    put.replicas = round->records[g]->replicas;
    put.n_replicas = round->records[g]->n_replicas;
    put.preferred_leader =
        lead->node_id != 0 ? lead->node_id : round->records[g]->preferred_leader;
    put.leader_pinned = lead->node_id != 0;
    put.version_given = true;
    put.version = round->records[g]->version;
    command.call_case = PR__COMMAND__CALL_GROUP_PUT;
    command.group_put = &put;
    call->context = lead;
    audit_write_then(call, &command,
                     arena_printf(&call->call_arena, "group %u to %s", (unsigned)ask->group,
                                  lead->node_id != 0 ? lead->name : "any"),
                     lead_written);
}

void group_lead_call(struct service_call *call)
{
    status_round_start(call, group_lead_answer);
}
