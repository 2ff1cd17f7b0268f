/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the store of the CLI's test answers; included by test_cli.c alone. */

static Pr__GroupStatus *answer_group(struct arena *arena)
{
    Pr__GroupStatus *group = arena_alloc(arena, sizeof(*group));

    pr__group_status__init(group);
    group->group = 3;
    group->kind = text(arena, "mail");
    group->leader = 1;
    group->accounts = 12;
    group->n_members = 3;
    group->members = arena_alloc(arena, 3 * sizeof(*group->members));
    for (unsigned i = 0; i < 3; i++) {
        group->members[i] = arena_alloc(arena, sizeof(**group->members));
        pr__group_member__init(group->members[i]);
        group->members[i]->node_id = i + 1;
        group->members[i]->role = text(arena, i == 2 ? "standby" : "voter");
        group->members[i]->last_contact_ms = i == 1 ? 60000 : 0;
    }
    return group;
}

static void answer_status(const Pr__Request *request, Pr__Reply *reply, struct arena *arena)
{
    Pr__ClusterStatusAnswer *answer = arena_alloc(arena, sizeof(*answer));

    (void)request;
    pr__cluster_status_answer__init(answer);
    answer->initialised = true;
    answer->cluster_name = text(arena, "post");
    answer->healthy = false;
    answer->n_groups = 1;
    answer->groups = arena_alloc(arena, sizeof(*answer->groups));
    answer->groups[0] = answer_group(arena);
    reply->answer_case = PR__REPLY__ANSWER_CLUSTER_STATUS;
    reply->cluster_status = answer;
}

static void answer_groups(const Pr__Request *request, Pr__Reply *reply, struct arena *arena)
{
    Pr__GroupListAnswer *answer = arena_alloc(arena, sizeof(*answer));

    (void)request;
    pr__group_list_answer__init(answer);
    answer->n_groups = 1;
    answer->groups = arena_alloc(arena, sizeof(*answer->groups));
    answer->groups[0] = answer_group(arena);
    reply->answer_case = PR__REPLY__ANSWER_GROUP_LIST;
    reply->group_list = answer;
}

static void answer_tenant_add(const Pr__Request *request, Pr__Reply *reply, struct arena *arena)
{
    asked("tenant_add %s", request->tenant_add->name);
    if (strcmp(request->tenant_add->name, "twice") == 0)
        refuse(reply, arena, ERR_EXISTS, "there is a tenant twice already");
    else if (strcmp(request->tenant_add->name, "alone") == 0)
        refuse(reply, arena, ERR_UNAVAILABLE, "");
    else {
        reply->outcome = arena_alloc(arena, sizeof(*reply->outcome));
        pr__outcome__init(reply->outcome);
        reply->outcome->id = 5;
    }
}

/* 7 MiB of 10, in group 3. */
static Pr__ScopeUsage *answer_usage(Pr__TenantRecord *tenant, struct arena *arena)
{
    Pr__ScopeUsage *usage = arena_alloc(arena, sizeof(*usage));
    Pr__ScopeShare *share = arena_alloc(arena, sizeof(*share));

    tenant->total = arena_alloc(arena, sizeof(*tenant->total));
    pr__account_quota__init(tenant->total);
    tenant->total->bytes = 10 * 1024 * 1024;
    pr__scope_usage__init(usage);
    pr__scope_share__init(share);
    usage->bytes = share->used_bytes = 7 * 1024 * 1024;
    share->group = 3;
    share->limit = 1;
    share->granted_bytes = 8 * 1024 * 1024;
    share->granted_messages = UINT64_MAX;
    usage->shares = arena_alloc(arena, sizeof(*usage->shares));
    usage->shares[usage->n_shares++] = share;
    return usage;
}

static void answer_quota(const Pr__Request *request, Pr__Reply *reply, struct arena *arena)
{
    const Pr__QuotaSet *set = request->quota_set;

    (void)reply;
    (void)arena;
    asked("quota_set %s%s %llu%s", set->tenant, set->domain,
          set->quota != NULL ? (unsigned long long)set->quota->bytes : 0,
          set->together ? " together" : "");
}

/* Three tenants, two a page; what they hold, when it is asked for. */
static void answer_tenants(const Pr__Request *request, Pr__Reply *reply, struct arena *arena)
{
    static const char *const names[] = {"ada", "bea", "cleo"};
    Pr__TenantListAnswer *answer = arena_alloc(arena, sizeof(*answer));

    asked("tenant_list after=%s", request->tenant_list->after);
    pr__tenant_list_answer__init(answer);
    answer->tenants = arena_alloc(arena, 3 * sizeof(*answer->tenants));
    for (size_t i = 0; i < 3 && answer->n_tenants < 2; i++) {
        if (strcmp(names[i], request->tenant_list->after) <= 0)
            continue;
        Pr__TenantRecord *tenant = arena_alloc(arena, sizeof(*tenant));
        pr__tenant_record__init(tenant);
        tenant->id = i + 1;
        tenant->name = text(arena, names[i]);
        if (request->tenant_list->with_usage) {
            if (answer->usages == NULL)
                answer->usages = arena_alloc(arena, 3 * sizeof(*answer->usages));
            answer->usages[answer->n_usages++] = answer_usage(tenant, arena);
        }
        answer->tenants[answer->n_tenants++] = tenant;
        answer->more = i < 2;
    }
    reply->answer_case = PR__REPLY__ANSWER_TENANT_LIST;
    reply->tenant_list = answer;
}

static void answer_create(const Pr__Request *request, Pr__Reply *reply, struct arena *arena)
{
    const Pr__AccountCreate *create = request->account_create;

    asked("account_create %s %s", create->address, create->password);
    if (strncmp(create->address, "bad", 3) == 0)
        refuse(reply, arena, ERR_INVALID, "that is no address");
}

static void answer_remove(const Pr__Request *request, Pr__Reply *reply, struct arena *arena)
{
    asked("account_remove %s", request->account_remove->address);
    reply->text = text(arena, "the account and all of its mail are removed");
}

static void answer_show(const Pr__Request *request, Pr__Reply *reply, struct arena *arena)
{
    Pr__AccountShowAnswer *answer = arena_alloc(arena, sizeof(*answer));

    pr__account_show_answer__init(answer);
    answer->account = arena_alloc(arena, sizeof(*answer->account));
    pr__account_record__init(answer->account);
    answer->account->address = request->account_show->address;
    answer->account->group = 2;
    answer->size = 5 * 1024 * 1024;
    answer->n_mailboxes = 1;
    answer->mailboxes = arena_alloc(arena, sizeof(*answer->mailboxes));
    answer->mailboxes[0] = arena_alloc(arena, sizeof(**answer->mailboxes));
    pr__mailbox_info__init(answer->mailboxes[0]);
    answer->mailboxes[0]->name = text(arena, "INBOX");
    answer->mailboxes[0]->messages = 7;
    reply->answer_case = PR__REPLY__ANSWER_ACCOUNT_SHOW;
    reply->account_show = answer;
}

static void answer_metrics(const Pr__Request *request, Pr__Reply *reply, struct arena *arena)
{
    (void)request;
    reply->answer_case = PR__REPLY__ANSWER_METRICS;
    reply->metrics = arena_alloc(arena, sizeof(*reply->metrics));
    pr__metrics_answer__init(reply->metrics);
    reply->metrics->text = text(arena, "# HELP postraft_a what\npostraft_a 12\npostraft_b 3\n");
}

#include "tests/unit/admin/fake_members.h"

static const struct {
    Pr__Request__CallCase call;
    void (*answer)(const Pr__Request *request, Pr__Reply *reply, struct arena *arena);
} answers[] = {
    {PR__REQUEST__CALL_CLUSTER_STATUS, answer_status},
    {PR__REQUEST__CALL_GROUP_LIST, answer_groups},
    {PR__REQUEST__CALL_NODE_LIST, answer_nodes},
    {PR__REQUEST__CALL_NODE_ALTER, answer_alter},
    {PR__REQUEST__CALL_CLUSTER_TOKEN, answer_token},
    {PR__REQUEST__CALL_CLUSTER_JOIN, answer_join},
    {PR__REQUEST__CALL_GROUP_ADD, answer_group_add},
    {PR__REQUEST__CALL_GROUP_LEAD, answer_lead},
    {PR__REQUEST__CALL_REBALANCE, answer_rebalance},
    {PR__REQUEST__CALL_REPLICATION_READ, answer_replication},
    {PR__REQUEST__CALL_REPLICATION_CHANGE, answer_replication_change},
    {PR__REQUEST__CALL_POLICY_SHOW, answer_mail_policy},
    {PR__REQUEST__CALL_RECOVER_LOOK, answer_recover_look},
    {PR__REQUEST__CALL_RECOVER_RUN, answer_recover_run},
    {PR__REQUEST__CALL_TENANT_ADD, answer_tenant_add},
    {PR__REQUEST__CALL_TENANT_LIST, answer_tenants},
    {PR__REQUEST__CALL_QUOTA_SET, answer_quota},
    {PR__REQUEST__CALL_ACCOUNT_CREATE, answer_create},
    {PR__REQUEST__CALL_ACCOUNT_REMOVE, answer_remove},
    {PR__REQUEST__CALL_ACCOUNT_SHOW, answer_show},
    {PR__REQUEST__CALL_METRICS_READ, answer_metrics},
};

static bool answer_call(const Pr__Request *request, Pr__Reply *reply, struct arena *arena)
{
    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        if (answers[i].call == request->call_case) {
            answers[i].answer(request, reply, arena);
            return true;
        }
    }
    return false;
}
