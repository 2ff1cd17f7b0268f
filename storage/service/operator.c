/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/service/operator.h"

#include "node/mail/idn.h"
#include "node/runtime/metrics.h"
#include "storage/schema/address.h"
#include "storage/service/address_lists.h"
#include "storage/service/addresses.h"
#include "storage/service/cluster.h"
#include "storage/service/firewall.h"
#include "storage/service/formats.h"
#include "storage/service/join.h"
#include "storage/service/limits.h"
#include "storage/service/members.h"
#include "storage/service/queue_calls.h"
#include "storage/service/recover.h"
#include "storage/service/sender_domain_calls.h"
#include "storage/service/settings_calls.h"
#include "storage/service/status.h"

#define CALL(name) PR__REQUEST__CALL_##name

const struct operator_row operator_rows[] = {
    {CALL(CLUSTER_INIT), cluster_init_call, false, true},
    {CALL(CLUSTER_JOIN), join_call, false, true},
    {CALL(CLUSTER_STATUS), cluster_status_call, false, false},
    {CALL(CLUSTER_TOKEN), cluster_token_call, true, true},
    {CALL(CLUSTER_UPGRADE), cluster_upgrade_call, true, true},
    {CALL(NODE_LIST), node_list_call, true, false},
    {CALL(GROUP_LIST), group_list_call, true, false},
    {CALL(NODE_ALTER), node_alter_call, true, true},
    {CALL(GROUP_ADD), group_add_call, true, true},
    {CALL(GROUP_LEAD), group_lead_call, true, true},
    {CALL(REPLICATION_READ), replication_read_call, true, false},
    {CALL(REPLICATION_CHANGE), replication_change_call, true, true},
    {CALL(REBALANCE), rebalance_call, true, true},
    {CALL(RECOVER_LOOK), recover_look_call, true, false},
    {CALL(RECOVER_RUN), recover_run_call, true, true},
    {CALL(TENANT_ADD), tenant_add_call, true, true},
    {CALL(TENANT_LIST), tenant_list_call, true, false},
    {CALL(TENANT_REMOVE), tenant_remove_call, true, true},
    {CALL(DOMAIN_ADD), domain_add_call, true, true},
    {CALL(DOMAIN_LIST), domain_list_call, true, false},
    {CALL(DOMAIN_REMOVE), domain_remove_call, true, true},
    {CALL(ACCOUNT_CREATE), account_create_call, true, true},
    {CALL(ACCOUNT_LIST), account_list_call, true, false},
    {CALL(ACCOUNT_SHOW), account_show_call, true, false},
    {CALL(ACCOUNT_REMOVE), account_remove_call, true, true},
    {CALL(ACCOUNT_SET_PASSWORD), account_password_call, true, true},
    {CALL(ACCOUNT_UNDELETE), account_undelete_call, true, true},
    {CALL(ACCOUNT_RESTORE), account_restore_call, true, true},
    {CALL(ACCOUNT_PURGE), account_purge_call, true, true},
    {CALL(ACCOUNT_MOVE), account_move_call, true, true},
    {CALL(QUOTA_SET), quota_set_call, true, true},
    {CALL(POLICY_SHOW), policy_show_call, true, false},
    {CALL(POLICY_SET), policy_set_call, true, true},
    {CALL(METRICS_READ), metrics_call, false, false},
    {CALL(STORAGE_STAT), storage_stat_call, true, false},
    {CALL(STORAGE_COMPACT), storage_compact_call, true, true},
    {CALL(STORAGE_CHECK), storage_check_call, true, true},
    {CALL(ALIAS_ADD), alias_add_call, true, true},
    {CALL(ALIAS_CHANGE), alias_change_call, true, true},
    {CALL(ALIAS_REMOVE), alias_remove_call, true, true},
    {CALL(ALIAS_LIST), alias_list_call, true, false},
    {CALL(DOMAIN_ROUTE), domain_route_call, true, true},
    {CALL(DOMAIN_SHOW), domain_show_call, true, false},
    {CALL(ADDRESS_EXPLAIN), address_explain_call, true, false},
    {CALL(ACCOUNT_ALTER), account_alter_call, true, true},
    {CALL(APP_PASSWORD_MAKE), app_password_make_call, true, true},
    {CALL(APP_PASSWORD_REMOVE), app_password_remove_call, true, true},
    {CALL(TOTP_MAKE), totp_make_call, true, true},
    {CALL(SETTING_PUT), setting_put_call, true, true},
    {CALL(SETTING_LIST), setting_list_call, true, false},
    {CALL(FIREWALL_PUT), firewall_put_call, true, true},
    {CALL(FIREWALL_REMOVE), firewall_remove_call, true, true},
    {CALL(FIREWALL_LIST), firewall_list_call, true, false},
    {CALL(FIREWALL_EXPLAIN), firewall_explain_call, true, false},
    {CALL(QUEUE_LIST), queue_list_call, true, false},
    {CALL(QUEUE_ALTER), queue_alter_call, true, true},
    {CALL(SENDER_DOMAIN_LIST), sender_domain_list_call, true, false},
    {CALL(SENDER_DOMAIN_PUT), sender_domain_put_call, true, true},
};

const size_t operator_row_count = sizeof(operator_rows) / sizeof(operator_rows[0]);

/* What the directory, or a group, takes only from that format on: refused here, with words. */
static bool needs_addresses(Pr__Request__CallCase call_case)
{
    static const Pr__Request__CallCase writes[] = {
        CALL(ALIAS_ADD),           CALL(ALIAS_CHANGE),    CALL(ALIAS_REMOVE),
        CALL(DOMAIN_ROUTE),        CALL(ACCOUNT_ALTER),   CALL(APP_PASSWORD_MAKE),
        CALL(APP_PASSWORD_REMOVE), CALL(TOTP_MAKE),       CALL(SETTING_PUT),
        CALL(FIREWALL_PUT),        CALL(FIREWALL_REMOVE), CALL(QUEUE_ALTER),
        CALL(SENDER_DOMAIN_PUT),
    };

    for (size_t i = 0; i < sizeof(writes) / sizeof(writes[0]); i++)
        if (writes[i] == call_case)
            return true;
    return false;
}

/* Of calls that change something: whether this one only looks. */
static bool only_looks(const Pr__Request *request)
{
    if (request->cluster_init == NULL) /* the union that all of them are in */
        return false;
    switch (request->call_case) {
    case CALL(CLUSTER_UPGRADE):
        return request->cluster_upgrade->check;
    case CALL(NODE_ALTER):
        return request->node_alter->check;
    case CALL(REBALANCE):
        return request->rebalance->action == PR__REBALANCE__ACTION__PLAN;
    case CALL(STORAGE_CHECK):
        return !request->storage_check->start;
    case CALL(ACCOUNT_UNDELETE):
        return request->account_undelete->list;
    default:
        return false;
    }
}

bool operator_changes(const Pr__Request *request)
{
    for (size_t i = 0; i < operator_row_count; i++)
        if (operator_rows[i].call_case == request->call_case)
            return operator_rows[i].changes && !only_looks(request);
    return false;
}

void operator_handle(struct service_call *call)
{
    for (size_t i = 0; i < operator_row_count; i++) {
        if (operator_rows[i].call_case != call->request->call_case)
            continue;
        if (operator_rows[i].needs_cluster && call->service->replicator == NULL)
            call_fail(call, ERR_INVALID,
                      "this node is in no cluster: `postraft cluster init` makes one, "
                      "`postraft cluster join` joins one");
        else if (needs_addresses(operator_rows[i].call_case) &&
                 service_format(call->service, DIRECTORY_GROUP) < FORMAT_ADDRESSES)
            call_fail(call, ERR_UNSUPPORTED,
                      "not before the upgrade of the cluster is finished: `postraft cluster "
                      "upgrade`");
        else
            operator_rows[i].handle(call);
        return;
    }
    call_fail(call, ERR_UNSUPPORTED, "this version knows no such call");
}

void metrics_call(struct service_call *call)
{
    Pr__Reply reply = PR__REPLY__INIT;
    Pr__MetricsAnswer answer = PR__METRICS_ANSWER__INIT;
    struct buffer text = BUFFER_EMPTY;

    metrics_print(&text);
    answer.text = arena_string(&call->call_arena, buffer_bytes(&text));
    buffer_fini(&text);
    reply.answer_case = PR__REPLY__ANSWER_METRICS;
    reply.metrics = &answer;
    call_reply(call, &reply);
}

/* NULL, or what is wrong with the domain in A-labels. */
static const char *domain_problem(struct bytes domain)
{
    if (!mail_domain_valid(domain))
        return "that is no domain name: letters, digits and hyphens, with dots between";
    if (bytes_find(domain, '.') == domain.len)
        return "a domain has at least one dot";
    return NULL;
}

bool operator_domain(struct service_call *call, const char *typed, struct bytes *domain)
{
    const char *problem = NULL;

    if (mail_domain_to_ascii(bytes_of(typed), &call->call_arena, domain) != ERR_OK)
        problem = "that is no domain name: letters, digits and hyphens, with dots between";
    else
        problem = domain_problem(*domain);
    if (problem != NULL)
        call_fail(call, ERR_INVALID, problem);
    return problem == NULL;
}

/* The address in its one form; NULL, or what is wrong with it. */
static const char *address_read(struct service_call *call, const char *typed,
                                struct mail_path *path)
{
    enum err err = mail_address_read(bytes_of(typed), &call->call_arena, path);

    if (err == ERR_TOOBIG)
        return "that address is too long: 64 bytes before the @, 253 behind it";
    if (err != ERR_OK || path->is_null || path->domain.len == 0)
        return "that is no address: it looks like name@example.net";
    if (bytes_equal(path->domain, BYTES("localhost"))) /* the cluster's own */
        return NULL;
    if (mail_path_is_utf8(path) &&
        service_format(call->service, DIRECTORY_GROUP) < FORMAT_ADDRESSES)
        return "letters beyond ASCII before the @: not before the upgrade of the cluster is "
               "finished: `postraft cluster upgrade`";
    return domain_problem(path->domain);
}

bool operator_address(struct service_call *call, const char *typed, struct bytes *address)
{
    struct mail_path path = {.is_null = false};
    const char *problem = address_read(call, typed, &path);

    if (problem != NULL) {
        call_fail(call, ERR_INVALID, problem);
        return false;
    }
    *address = address_fold(&call->call_arena, path.local, path.domain);
    return true;
}
