/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/query/directory.h"
#include "storage/service/audit.h"
#include "storage/service/members.h"

/*
 * What the operator of the cluster has decided about replication lies in the directory and
 * counts on every node. The durability of a node's own configuration counts only as long as the
 * directory says LOCAL, which is what a new cluster begins with.
 */
static void policy_answer(struct status_round *round)
{
    struct service_call *call = round->call;
    const struct placement_view view = status_round_view(round);
    struct members_texts warnings = {0};
    Pr__Reply reply = PR__REPLY__INIT;
    Pr__ReplicationAnswer answer = PR__REPLICATION_ANSWER__INIT;
    Pr__ClusterPolicy policy = PR__CLUSTER_POLICY__INIT;

    if (view.policy != NULL)
        policy = *view.policy;
    if (policy.replicas == 0)
        policy.replicas = PLACEMENT_MAIL_VOTERS;
    members_policy_warnings(&view, &round->arena, &warnings);
    answer.policy = &policy;
    answer.warnings = warnings.at;
    answer.n_warnings = warnings.count;
    answer.local_cross_dc = call->service->config->durability_cross_dc;
    answer.local_grace_s = call->service->config->durability_grace_s;
    reply.answer_case = PR__REPLY__ANSWER_REPLICATION;
    reply.replication = &answer;
    call_reply(call, &reply);
}

void replication_read_call(struct service_call *call)
{
    status_round_start(call, policy_answer);
}

void replication_policy_apply(struct service *service)
{
    const struct config *config = service->config;
    bool cross_dc = config->durability_cross_dc;
    unsigned grace_s = config->durability_grace_s;
    struct arena look_arena;
    struct db_txn *txn = service_directory_begin(service);

    if (txn == NULL)
        return;
    arena_init(&look_arena);
    const Pr__ClusterRecord *cluster = directory_cluster(txn, &look_arena);
    const Pr__ClusterPolicy *policy = cluster != NULL ? cluster->replication : NULL;
    if (policy != NULL && policy->durability != PR__CLUSTER_POLICY__DURABILITY__LOCAL) {
        cross_dc = policy->durability == PR__CLUSTER_POLICY__DURABILITY__CROSS_DC;
        grace_s = policy->grace_s;
    }
    db_abort(&txn);
    arena_fini(&look_arena);
    replicator_durability(service->replicator, cross_dc, grace_s * 1000);
}

static const char *policy_text(const Pr__ClusterPolicy *policy, struct arena *arena)
{
    static const char *const durabilities[] = {"local", "cross-dc", "majority"};
    unsigned durability = (unsigned)policy->durability;

    return arena_printf(arena, "replicas=%u min-dcs=%u durability=%s grace=%us",
                        policy->replicas, policy->min_dcs,
                        durability < 3 ? durabilities[durability] : "?", policy->grace_s);
}

void replication_change_call(struct service_call *call)
{
    Pr__ClusterPolicy *policy = call->request->replication_change->policy;
    Pr__Command command = PR__COMMAND__INIT;
    Pr__ReplicationSet set = PR__REPLICATION_SET__INIT;

    if (policy == NULL) {
        call_fail(call, ERR_INVALID, "there is no policy in it");
        return;
    }
    set.policy = policy;
    command.call_case = PR__COMMAND__CALL_REPLICATION_SET;
    command.replication_set = &set;
    audit_write(call, &command, policy_text(policy, &call->call_arena));
}
