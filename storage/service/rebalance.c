/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/service/audit.h"
#include "storage/service/members.h"

static void fill_moves(struct status_round *round, const struct placement_rebalance *plan,
                       Pr__RebalanceAnswer *answer)
{
    struct arena *arena = &round->call->call_arena;

    answer->moves = arena_alloc(arena, plan->move_count * sizeof(*answer->moves));
    for (size_t i = 0; i < plan->move_count; i++) {
        Pr__RebalanceMove *move = arena_alloc(arena, sizeof(*move));
        pr__rebalance_move__init(move);
        move->group = plan->moves[i].group;
        move->from_node_id = plan->moves[i].from;
        move->to_node_id = plan->moves[i].to;
        move->bytes = plan->moves[i].bytes;
        answer->bytes += move->bytes;
        answer->moves[answer->n_moves++] = move;
    }
    answer->rate_mb = round->call->service->config->transfer_rate_mb;
    answer->seconds = placement_rebalance_seconds(plan, (uint64_t)answer->rate_mb * 1000000);
}

static uint32_t count_waiting(const struct status_round *round)
{
    uint32_t waiting = 0;

    for (size_t g = 0; g < round->record_count; g++)
        waiting += round->records[g]->n_planned > 0;
    return waiting;
}

static void reply_with(struct service_call *call, Pr__RebalanceAnswer *answer)
{
    Pr__Reply reply = PR__REPLY__INIT;

    reply.answer_case = PR__REPLY__ANSWER_REBALANCE;
    reply.rebalance = answer;
    call_reply(call, &reply);
}

static void rebalance_started(struct service_call *call, const Pr__Outcome *outcome)
{
    (void)outcome;
    reply_with(call, call->context);
}

static void write_plans(struct status_round *round, const struct placement_rebalance *plan,
                        Pr__RebalanceAnswer *answer)
{
    struct service_call *call = round->call;
    bool stop = call->request->rebalance->action == PR__REBALANCE__ACTION__STOP;
    Pr__Command command = PR__COMMAND__INIT;
    Pr__GroupsPlan plans = PR__GROUPS_PLAN__INIT;

    plans.clear = true;
    if (!stop) {
        plans.plans = arena_alloc(&round->arena, plan->plan_count * sizeof(*plans.plans));
        for (size_t i = 0; i < plan->plan_count; i++) {
            Pr__GroupPlan *group = arena_alloc(&round->arena, sizeof(*group));
            pr__group_plan__init(group);
            group->group = plan->plans[i]->group;
            group->version = plan->plans[i]->version;
            group->replicas = plan->plans[i]->replicas;
            group->n_replicas = plan->plans[i]->n_replicas;
            plans.plans[plans.n_plans++] = group;
        }
    }
    command.call_case = PR__COMMAND__CALL_GROUPS_PLAN;
    command.groups_plan = &plans;
    call->context = answer;
    audit_write_then(call, &command,
                     arena_printf(&call->call_arena, "%s, %zu groups", stop ? "stop" : "start",
                                  plans.n_plans),
                     rebalance_started);
}

static void rebalance_answer(struct status_round *round)
{
    struct service_call *call = round->call;
    const struct placement_view view = status_round_view(round);
    const struct placement_rebalance plan = placement_rebalance(&view, &round->arena);
    Pr__RebalanceAnswer *answer = arena_alloc(&call->call_arena, sizeof(*answer));

    pr__rebalance_answer__init(answer);
    answer->waiting = count_waiting(round);
    switch (call->request->rebalance->action) {
    case PR__REBALANCE__ACTION__STOP:
        write_plans(round, &plan, answer);
        break;
    case PR__REBALANCE__ACTION__START:
        fill_moves(round, &plan, answer);
        if (plan.plan_count > 0)
            write_plans(round, &plan, answer);
        else
            reply_with(call, answer);
        break;
    default:
        fill_moves(round, &plan, answer);
        reply_with(call, answer);
    }
}

void rebalance_call(struct service_call *call)
{
    status_round_start(call, rebalance_answer);
}
