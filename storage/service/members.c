/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/service/members.h"

#include "storage/service/audit.h"

/*
 * A node's way out: it is marked in the directory, and placement does the rest
 * (placement_plan.h), over restarts and changes of leaders. Here is only what may be asked for.
 */

struct alter {
    struct service_call *call;
    const Pr__NodeAlter *ask;
    struct status_round *round;
    struct placement_view view;
    const Pr__NodeRecord *node;
    const Pr__NodeRecord *by;
    bool reachable;
    struct members_texts risks;
};

static void refuse(struct alter *alter, enum err err, const char *text)
{
    call_fail(alter->call, err, text);
}

static void answer_check(struct alter *alter)
{
    Pr__Reply reply = PR__REPLY__INIT;
    Pr__NodeAlterAnswer answer = PR__NODE_ALTER_ANSWER__INIT;
    Pr__NodeRecord node = *alter->node;

    answer.node = &node;
    answer.risks = alter->risks.at;
    answer.n_risks = alter->risks.count;
    reply.answer_case = PR__REPLY__ANSWER_NODE_ALTER;
    reply.node_alter = &answer;
    call_reply(alter->call, &reply);
}

static void write_state(struct alter *alter, Pr__NodeState state)
{
    Pr__Command command = PR__COMMAND__INIT;
    Pr__NodeChange change = PR__NODE_CHANGE__INIT;

    change.node_id = alter->node->id;
    change.state = state;
    change.replaced_by = alter->by != NULL ? alter->by->id : 0;
    command.call_case = PR__COMMAND__CALL_NODE_CHANGE;
    command.node_change = &change;
    audit_write(alter->call, &command, NULL);
}

/* ---- promote ---- */

static size_t directory_voters_in(const struct alter *alter, const char *data_center)
{
    const Pr__GroupRecord *directory = alter->round->records[0];
    size_t voters = 0;

    for (size_t i = 0; i < directory->n_replicas; i++) {
        const struct placement_node *node =
            placement_node(&alter->view, directory->replicas[i]->node_id);
        voters += !directory->replicas[i]->standby && node != NULL &&
                  (data_center == NULL || strcmp(node->data_center, data_center) == 0);
    }
    return voters;
}

/* Who gives its vote up: a voter of the same data center, else of one that has others. */
static Pr__Replica *vote_given_up(struct alter *alter)
{
    Pr__GroupRecord *directory = alter->round->records[0];
    Pr__Replica *best = NULL;
    size_t best_site = 1;

    for (size_t i = 0; i < directory->n_replicas; i++) {
        Pr__Replica *replica = directory->replicas[i];
        const struct placement_node *node = placement_node(&alter->view, replica->node_id);
        if (replica->standby || node == NULL)
            continue;
        if (strcmp(node->data_center, alter->node->data_center) == 0)
            return replica;
        size_t site = directory_voters_in(alter, node->data_center);
        if (site > best_site) {
            best = replica;
            best_site = site;
        }
    }
    return best;
}

static void promote(struct alter *alter)
{
    Pr__GroupRecord *directory = alter->round->records[0];
    Pr__Command command = PR__COMMAND__INIT;
    Pr__GroupPut put = PR__GROUP_PUT__INIT;
    Pr__Replica *replica = NULL;
    Pr__Replica *other = NULL;

    for (size_t i = 0; i < directory->n_replicas; i++)
        if (directory->replicas[i]->node_id == alter->node->id)
            replica = directory->replicas[i];
    if (alter->node->state != PR__NODE_STATE__NODE_ACTIVE || replica == NULL) {
        refuse(alter, ERR_INVALID, "a node that leaves, or has no directory yet, cannot vote");
        return;
    }
    if (!replica->standby) {
        refuse(alter, ERR_EXISTS,
               alter->node->witness
                   ? "that node votes in the directory already; a witness becomes a node with "
                     "mail only by draining and removing it, and joining it anew"
                   : "that node votes in the directory already");
        return;
    }
    if (!alter->reachable) {
        refuse(alter, ERR_UNAVAILABLE,
               "that node does not answer: a vote of it would not help");
        return;
    }
    if (directory_voters_in(alter, NULL) >= PLACEMENT_DIRECTORY_VOTERS) {
        other = vote_given_up(alter);
        if (other == NULL) {
            refuse(alter, ERR_INVALID,
                   "a data center would be left without a vote in the directory");
            return;
        }
        other->standby = true;
    }
    replica->standby = false;
    put.replicas = directory->replicas;
    put.n_replicas = directory->n_replicas;
    put.preferred_leader = other != NULL && other->node_id == directory->preferred_leader
                               ? 0
                               : directory->preferred_leader;
    put.version_given = true;
    put.version = directory->version;
    command.call_case = PR__COMMAND__CALL_GROUP_PUT;
    command.group_put = &put;
    audit_write(alter->call, &command, NULL);
}

/* ---- drain, remove, replace ---- */

/* NULL, or why it is refused even by force. */
static const char *leave_problem(struct alter *alter, bool force)
{
    struct arena *arena = &alter->call->call_arena;
    const char *name = alter->node->name;
    size_t replicas = members_replicas(&alter->view, alter->node->id);
    bool drained = alter->node->state != PR__NODE_STATE__NODE_ACTIVE && replicas == 0;

    switch (alter->ask->action) {
    case PR__NODE_ALTER__ACTION__REMOVE:
        if (drained || force || alter->node->state == PR__NODE_STATE__NODE_REMOVING)
            return NULL;
        if (alter->reachable)
            return arena_printf(arena,
                                "node %s still has replicas: `postraft node drain %s` takes "
                                "them off it first",
                                name, name);
        return arena_printf(arena,
                            "node %s does not answer and still has replicas: if it does not "
                            "come back, `postraft node remove %s --force` makes them "
                            "elsewhere",
                            name, name);
    case PR__NODE_ALTER__ACTION__REPLACE:
        if (!status_round_reachable(alter->round, alter->by->id))
            return arena_printf(arena, "node %s does not answer: it cannot take over",
                                alter->by->name);
        return NULL;
    default:
        return NULL;
    }
}

static void leave(struct alter *alter)
{
    struct arena *arena = &alter->call->call_arena;
    bool force = alter->ask->force || alter->ask->check;
    const char *problem = leave_problem(alter, force);

    members_risks(&alter->view, alter->round->nodes, alter->round->groups, alter->node->id,
                  alter->by != NULL ? alter->by->id : 0, alter->reachable, arena,
                  &alter->risks);
    if (problem == NULL && alter->ask->check) {
        answer_check(alter);
        return;
    }
    if (problem == NULL && alter->risks.count > 0 && !alter->ask->force) {
        problem = alter->risks.at[0];
        for (size_t i = 1; i < alter->risks.count; i++)
            problem = arena_printf(arena, "%s; %s", problem, alter->risks.at[i]);
        problem = arena_printf(arena, "%s (--force does it all the same)", problem);
    }
    if (problem != NULL)
        refuse(alter, ERR_INVALID, problem);
    else
        write_state(alter, alter->ask->action == PR__NODE_ALTER__ACTION__DRAIN
                               ? PR__NODE_STATE__NODE_DRAINING
                               : PR__NODE_STATE__NODE_REMOVING);
}

static void alter_answer(struct status_round *round)
{
    struct alter alter = {
        .call = round->call,
        .ask = round->call->request->node_alter,
        .round = round,
        .view = status_round_view(round),
    };
    int position = status_round_node(round, alter.ask->node);

    if (position < 0)
        return;
    alter.node = round->nodes[position];
    alter.reachable = round->answers[position].reachable;
    if (alter.ask->action == PR__NODE_ALTER__ACTION__REPLACE) {
        position = status_round_node(round, alter.ask->by);
        if (position < 0)
            return;
        alter.by = round->nodes[position];
    }
    switch (alter.ask->action) {
    case PR__NODE_ALTER__ACTION__UNDRAIN:
        write_state(&alter, PR__NODE_STATE__NODE_ACTIVE);
        break;
    case PR__NODE_ALTER__ACTION__PROMOTE:
        promote(&alter);
        break;
    case PR__NODE_ALTER__ACTION__DRAIN:
    case PR__NODE_ALTER__ACTION__REMOVE:
    case PR__NODE_ALTER__ACTION__REPLACE:
        leave(&alter);
        break;
    default:
        call_fail(alter.call, ERR_UNSUPPORTED, NULL);
    }
}

void node_alter_call(struct service_call *call)
{
    status_round_start(call, alter_answer);
}
