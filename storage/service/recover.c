/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/service/recover.h"

#include <stdlib.h>

#include "node/base/check.h"
#include "node/base/log.h"
#include "storage/schema/entry.h"

/* ---- what is left ---- */

/* The view that a round shows, with `lost` (names, or those that do not answer when there are
 * none). False: the call has been refused. */
bool recover_view_fill(struct status_round *round, char *const *lost, size_t lost_count,
                       struct recover_view *view)
{
    uint64_t *ids = arena_alloc(&round->arena, (round->node_count + lost_count) * sizeof(*ids));
    size_t count = 0;

    for (size_t i = 0; i < lost_count; i++) {
        int position = status_round_node(round, lost[i]);
        if (position < 0)
            return false;
        ids[count++] = round->nodes[position]->id;
    }
    for (size_t i = 0; i < round->node_count && lost_count == 0; i++)
        if (!round->answers[i].reachable)
            ids[count++] = round->nodes[i]->id;
    *view = (struct recover_view){
        .nodes = round->nodes,
        .node_count = round->node_count,
        .records = round->records,
        .record_count = round->record_count,
        .answers = round->answers,
        .lost = ids,
        .lost_count = count,
    };
    return true;
}

Pr__RecoverGroup **recover_groups(const struct recover_view *view, struct arena *arena)
{
    Pr__RecoverGroup **groups = arena_alloc(arena, view->record_count * sizeof(*groups));

    for (size_t g = 0; g < view->record_count; g++)
        groups[g] = recover_group(view, view->records[g], arena);
    return groups;
}

static void look_answer(struct status_round *round)
{
    const Pr__RecoverLook *ask = round->call->request->recover_look;
    struct recover_view view;
    Pr__Reply reply = PR__REPLY__INIT;
    Pr__RecoverLookAnswer answer = PR__RECOVER_LOOK_ANSWER__INIT;

    if (!recover_view_fill(round, ask->lost, ask->n_lost, &view))
        return;
    answer.cluster_name = round->cluster->name;
    answer.nodes = status_round_nodes(round);
    answer.n_nodes = round->node_count;
    answer.lost_node_ids = arena_alloc(&round->arena, view.lost_count * sizeof(uint64_t));
    for (size_t i = 0; i < view.lost_count; i++)
        answer.lost_node_ids[answer.n_lost_node_ids++] = view.lost[i];
    answer.groups = recover_groups(&view, &round->arena);
    answer.n_groups = view.record_count;
    for (size_t g = 0; g < answer.n_groups; g++)
        answer.needed = answer.needed || !answer.groups[g]->majority;
    reply.answer_case = PR__REPLY__ANSWER_RECOVER_LOOK;
    reply.recover_look = &answer;
    call_reply(round->call, &reply);
}

void recover_look_call(struct service_call *call)
{
    status_round_start(call, look_answer);
}

/* ---- a replica becomes the group ---- */

/* What the member has up to some entry is what this log has, or has cut off; and what follows
 * is here. */
static bool reaches(const struct service *service, const struct replicator_status *status,
                    const Pr__RecoverMember *member, uint32_t group)
{
    return status->first_index <= member->committed + 1 ||
           replicator_has_entry(service->replicator, group, member->last_index,
                                member->last_term);
}

void recover_here(struct service *service, const Pr__GroupRecover *ask,
                  void (*done)(void *context, enum err err), void *context)
{
    struct replicator_status status;

    if (!replicator_status(service->replicator, ask->group, &status)) {
        done(context, ERR_NOTFOUND);
        return;
    }
    if (ask->give_up) {
        log_warn(NULL, "the group goes on elsewhere: the replica here begins anew",
                 LOG_FIELDS(LOG_U64("group", ask->group),
                            LOG_U64("last_index", status.last_index),
                            LOG_U64("last_term", status.last_term)));
        replicator_group_remove(service->replicator, ask->group, true, done, context);
        return;
    }
    if (status.last_index < ask->last_index || status.last_term < ask->last_term) {
        done(context, ERR_CONFLICT);
        return;
    }
    uint64_t members[REPLICATOR_MEMBERS_MAX] = {service_self(service)};
    unsigned count = 1;
    for (size_t i = 0; i < ask->n_members && count < REPLICATOR_MEMBERS_MAX; i++) {
        if (!reaches(service, &status, ask->members[i], ask->group)) {
            done(context, ERR_CONFLICT);
            return;
        }
        members[count++] = ask->members[i]->node_id;
    }
    log_warn(NULL, "a group goes on from this node's log, by an operator's word",
             LOG_FIELDS(LOG_U64("group", ask->group), LOG_U64("last_index", status.last_index),
                        LOG_U64("last_term", status.last_term),
                        LOG_U64("applied", status.applied_index), LOG_U64("members", count)));
    replicator_group_recover(service->replicator, ask->group, members, count, done, context);
}
