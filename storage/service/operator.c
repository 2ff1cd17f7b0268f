/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/service/operator.h"

#include "node/mail/path.h"
#include "node/runtime/metrics.h"
#include "storage/schema/address.h"
#include "storage/service/addresses.h"
#include "storage/service/cluster.h"
#include "storage/service/formats.h"
#include "storage/service/join.h"
#include "storage/service/limits.h"
#include "storage/service/members.h"
#include "storage/service/recover.h"
#include "storage/service/settings_calls.h"
#include "storage/service/status.h"

#define CALL(name) PR__REQUEST__CALL_##name

const struct operator_row operator_rows[] = {
    {CALL(CLUSTER_INIT), cluster_init_call, false},
    {CALL(CLUSTER_JOIN), join_call, false},
    {CALL(CLUSTER_STATUS), cluster_status_call, false},
    {CALL(CLUSTER_TOKEN), cluster_token_call, true},
    {CALL(CLUSTER_UPGRADE), cluster_upgrade_call, true},
    {CALL(NODE_LIST), node_list_call, true},
    {CALL(GROUP_LIST), group_list_call, true},
    {CALL(NODE_ALTER), node_alter_call, true},
    {CALL(GROUP_ADD), group_add_call, true},
    {CALL(GROUP_LEAD), group_lead_call, true},
    {CALL(REPLICATION_READ), replication_read_call, true},
    {CALL(REPLICATION_CHANGE), replication_change_call, true},
    {CALL(REBALANCE), rebalance_call, true},
    {CALL(RECOVER_LOOK), recover_look_call, true},
    {CALL(RECOVER_RUN), recover_run_call, true},
    {CALL(TENANT_ADD), tenant_add_call, true},
    {CALL(TENANT_LIST), tenant_list_call, true},
    {CALL(TENANT_REMOVE), tenant_remove_call, true},
    {CALL(DOMAIN_ADD), domain_add_call, true},
    {CALL(DOMAIN_LIST), domain_list_call, true},
    {CALL(DOMAIN_REMOVE), domain_remove_call, true},
    {CALL(ACCOUNT_CREATE), account_create_call, true},
    {CALL(ACCOUNT_LIST), account_list_call, true},
    {CALL(ACCOUNT_SHOW), account_show_call, true},
    {CALL(ACCOUNT_REMOVE), account_remove_call, true},
    {CALL(ACCOUNT_SET_PASSWORD), account_password_call, true},
    {CALL(ACCOUNT_UNDELETE), account_undelete_call, true},
    {CALL(ACCOUNT_RESTORE), account_restore_call, true},
    {CALL(ACCOUNT_PURGE), account_purge_call, true},
    {CALL(ACCOUNT_MOVE), account_move_call, true},
    {CALL(QUOTA_SET), quota_set_call, true},
    {CALL(POLICY_SHOW), policy_show_call, true},
    {CALL(POLICY_SET), policy_set_call, true},
    {CALL(METRICS_READ), metrics_call, false},
    {CALL(STORAGE_STAT), storage_stat_call, true},
    {CALL(STORAGE_COMPACT), storage_compact_call, true},
    {CALL(STORAGE_CHECK), storage_check_call, true},
    {CALL(ALIAS_ADD), alias_add_call, true},
    {CALL(ALIAS_CHANGE), alias_change_call, true},
    {CALL(ALIAS_REMOVE), alias_remove_call, true},
    {CALL(DOMAIN_ROUTE), domain_route_call, true},
    {CALL(ACCOUNT_ALTER), account_alter_call, true},
    {CALL(APP_PASSWORD_MAKE), app_password_make_call, true},
    {CALL(APP_PASSWORD_REMOVE), app_password_remove_call, true},
    {CALL(TOTP_MAKE), totp_make_call, true},
    {CALL(SETTING_PUT), setting_put_call, true},
    {CALL(SETTING_LIST), setting_list_call, true},
};

const size_t operator_row_count = sizeof(operator_rows) / sizeof(operator_rows[0]);

void operator_handle(struct service_call *call)
{
    for (size_t i = 0; i < operator_row_count; i++) {
        if (operator_rows[i].call_case != call->request->call_case)
            continue;
        if (operator_rows[i].needs_cluster && call->service->replicator == NULL)
            call_fail(call, ERR_INVALID,
                      "this node is in no cluster: `postraft cluster init` makes one, "
                      "`postraft cluster join` joins one");
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

static bool is_ascii(const char *text)
{
    for (; *text != '\0'; text++)
        if ((unsigned char)*text < 0x21 || (unsigned char)*text > 0x7e)
            return false;
    return true;
}

/* NULL, or what is wrong with the domain. */
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
    struct bytes text = bytes_of(typed);
    const char *problem = NULL;

    if (!is_ascii(typed))
        problem = "internationalised domains are not supported yet, only ASCII names";
    else
        problem = domain_problem(text);
    if (problem != NULL) {
        call_fail(call, ERR_INVALID, problem);
        return false;
    }
    uint8_t *lower = arena_alloc(&call->call_arena, text.len + 1);
    for (size_t i = 0; i < text.len; i++)
        lower[i] = byte_lower(text.at[i]);
    *domain = bytes_from(lower, text.len);
    return true;
}

bool operator_address(struct service_call *call, const char *typed, struct bytes *address)
{
    struct mail_path path = {.is_null = false};
    const char *problem = NULL;

    if (!is_ascii(typed))
        problem = "an address has ASCII letters only, and no spaces";
    else if (mail_address_parse(bytes_of(typed), &call->call_arena, &path) != ERR_OK ||
             path.is_null || path.domain.len == 0)
        problem = "that is no address: it looks like name@example.net";
    else if (!bytes_equal_nocase(path.domain, BYTES("localhost"))) /* the cluster's own */
        problem = domain_problem(path.domain);
    if (problem != NULL) {
        call_fail(call, ERR_INVALID, problem);
        return false;
    }
    *address = address_fold(&call->call_arena, path.local, path.domain);
    return true;
}
