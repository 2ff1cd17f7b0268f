/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Nodes, groups and their moves, as the store of the CLI's test answers them; included by
 * fake_store.h alone. */

/* n1 to n3; n3 is a witness that drains. Once it is being removed, it is gone the next time. */
static void answer_nodes(const Pr__Request *request, Pr__Reply *reply, struct arena *arena)
{
    Pr__NodeListAnswer *answer = arena_alloc(arena, sizeof(*answer));
    size_t count = store.removing ? 2 : 3;

    (void)request;
    pr__node_list_answer__init(answer);
    answer->nodes = arena_alloc(arena, count * sizeof(*answer->nodes));
    for (uint64_t i = 0; i < count; i++) {
        Pr__NodeStatus *status = arena_alloc(arena, sizeof(*status));
        pr__node_status__init(status);
        status->node = arena_alloc(arena, sizeof(*status->node));
        pr__node_record__init(status->node);
        status->node->id = i + 1;
        status->node->name = text(arena, arena_printf(arena, "n%u", (unsigned)i + 1));
        status->node->data_center = text(arena, "fra");
        status->node->witness = i == 2;
        status->node->state =
            i == 2 ? PR__NODE_STATE__NODE_DRAINING : PR__NODE_STATE__NODE_ACTIVE;
        status->reachable = true;
        answer->nodes[answer->n_nodes++] = status;
    }
    reply->answer_case = PR__REPLY__ANSWER_NODE_LIST;
    reply->node_list = answer;
}

/* Removing n2 is risky. */
static void answer_alter(const Pr__Request *request, Pr__Reply *reply, struct arena *arena)
{
    static const char *const actions[] = {"drain", "undrain", "remove", "replace", "promote"};
    const Pr__NodeAlter *alter = request->node_alter;

    asked("%s %s%s%s%s%s", actions[alter->action], alter->node,
          alter->by[0] != '\0' ? " by " : "", alter->by, alter->force ? " force" : "",
          alter->check ? " check" : "");
    store.removing = store.removing || (!alter->check && strcmp(alter->node, "n3") == 0 &&
                                        alter->action == PR__NODE_ALTER__ACTION__REMOVE);
    if (alter->action == PR__NODE_ALTER__ACTION__DRAIN && !alter->force) {
        refuse(reply, arena, ERR_INVALID, "too few nodes (--force does it all the same)");
        return;
    }
    reply->answer_case = PR__REPLY__ANSWER_NODE_ALTER;
    reply->node_alter = arena_alloc(arena, sizeof(*reply->node_alter));
    pr__node_alter_answer__init(reply->node_alter);
    if (alter->check && strcmp(alter->node, "n2") == 0) {
        reply->node_alter->risks = arena_alloc(arena, sizeof(char *));
        reply->node_alter->risks[0] = text(arena, "mail is lost");
        reply->node_alter->n_risks = 1;
    }
}

static void answer_token(const Pr__Request *request, Pr__Reply *reply, struct arena *arena)
{
    asked("token %u", (unsigned)request->cluster_token->valid_s);
    reply->answer_case = PR__REPLY__ANSWER_CLUSTER_TOKEN;
    reply->cluster_token = arena_alloc(arena, sizeof(*reply->cluster_token));
    pr__cluster_token_answer__init(reply->cluster_token);
    reply->cluster_token->token = text(arena, "PRJ1.secret");
}

static void answer_join(const Pr__Request *request, Pr__Reply *reply, struct arena *arena)
{
    const Pr__ClusterJoin *join = request->cluster_join;

    (void)reply;
    (void)arena;
    asked("join %s %s %s%s", join->token, join->node_name, join->data_center,
          join->witness ? " witness" : "");
}

static void answer_group_add(const Pr__Request *request, Pr__Reply *reply, struct arena *arena)
{
    asked("group_add %u", (unsigned)request->group_add->count);
    reply->answer_case = PR__REPLY__ANSWER_GROUP_ADD;
    reply->group_add = arena_alloc(arena, sizeof(*reply->group_add));
    pr__group_add_answer__init(reply->group_add);
    reply->group_add->first = 5;
}

static void answer_lead(const Pr__Request *request, Pr__Reply *reply, struct arena *arena)
{
    asked("lead %u '%s'", (unsigned)request->group_lead->group, request->group_lead->node);
    refuse(reply, arena, ERR_OK, "node n1 leads");
}

static void answer_rebalance(const Pr__Request *request, Pr__Reply *reply, struct arena *arena)
{
    static const char *const actions[] = {"plan", "start", "stop"};
    Pr__RebalanceAnswer *answer = arena_alloc(arena, sizeof(*answer));

    asked("rebalance %s", actions[request->rebalance->action]);
    pr__rebalance_answer__init(answer);
    answer->moves = arena_alloc(arena, sizeof(*answer->moves));
    answer->moves[0] = arena_alloc(arena, sizeof(**answer->moves));
    pr__rebalance_move__init(answer->moves[0]);
    answer->moves[0]->group = 7;
    answer->moves[0]->from_node_id = 1;
    answer->moves[0]->to_node_id = 4;
    answer->n_moves = 1;
    answer->waiting = 2;
    reply->answer_case = PR__REPLY__ANSWER_REBALANCE;
    reply->rebalance = answer;
}

static void answer_replication(const Pr__Request *request, Pr__Reply *reply,
                               struct arena *arena)
{
    Pr__ReplicationAnswer *answer = arena_alloc(arena, sizeof(*answer));

    (void)request;
    pr__replication_answer__init(answer);
    answer->policy = arena_alloc(arena, sizeof(*answer->policy));
    pr__cluster_policy__init(answer->policy);
    answer->policy->replicas = 3;
    answer->policy->min_dcs = 2;
    answer->local_cross_dc = true;
    reply->answer_case = PR__REPLY__ANSWER_REPLICATION;
    reply->replication = answer;
}

static void answer_replication_change(const Pr__Request *request, Pr__Reply *reply,
                                      struct arena *arena)
{
    const Pr__ClusterPolicy *policy = request->replication_change->policy;

    (void)reply;
    (void)arena;
    asked("policy %u %u %u %u", policy->replicas, policy->min_dcs, (unsigned)policy->durability,
          policy->grace_s);
}

static void answer_mail_policy(const Pr__Request *request, Pr__Reply *reply,
                               struct arena *arena)
{
    (void)request;
    reply->answer_case = PR__REPLY__ANSWER_POLICY_SHOW;
    reply->policy_show = arena_alloc(arena, sizeof(*reply->policy_show));
    pr__policy_show_answer__init(reply->policy_show);
    reply->policy_show->policy = arena_alloc(arena, sizeof(*reply->policy_show->policy));
    pr__mail_policy__init(reply->policy_show->policy);
    reply->policy_show->policy->undelete_days = 14;
}

/* n2 is lost; with "all" named, nothing is. */
static void answer_recover_look(const Pr__Request *request, Pr__Reply *reply,
                                struct arena *arena)
{
    Pr__RecoverLookAnswer *answer = arena_alloc(arena, sizeof(*answer));
    Pr__Reply nodes = PR__REPLY__INIT;

    answer_nodes(request, &nodes, arena);
    pr__recover_look_answer__init(answer);
    answer->cluster_name = text(arena, "post");
    answer->nodes = nodes.node_list->nodes;
    answer->n_nodes = nodes.node_list->n_nodes;
    answer->needed = request->recover_look->n_lost == 0 ||
                     strcmp(request->recover_look->lost[0], "all") != 0;
    answer->lost_node_ids = arena_alloc(arena, sizeof(uint64_t));
    answer->lost_node_ids[0] = 2;
    answer->n_lost_node_ids = 1;
    answer->groups = arena_alloc(arena, sizeof(*answer->groups));
    answer->groups[0] = arena_alloc(arena, sizeof(**answer->groups));
    pr__recover_group__init(answer->groups[0]);
    answer->groups[0]->group = 4;
    answer->groups[0]->best_node_id = 1;
    answer->groups[0]->text = text(arena, "what only n2 had is lost");
    answer->n_groups = 1;
    reply->answer_case = PR__REPLY__ANSWER_RECOVER_LOOK;
    reply->recover_look = answer;
}

static void answer_recover_run(const Pr__Request *request, Pr__Reply *reply,
                               struct arena *arena)
{
    const Pr__RecoverRun *run = request->recover_run;

    asked("recover %s", run->cluster_name);
    for (size_t i = 0; i < run->n_lost; i++)
        asked(" %s", run->lost[i]);
    reply->answer_case = PR__REPLY__ANSWER_RECOVER_RUN;
    reply->recover_run = arena_alloc(arena, sizeof(*reply->recover_run));
    pr__recover_run_answer__init(reply->recover_run);
    reply->recover_run->record = text(arena, "/data/recovery-1.json");
}
