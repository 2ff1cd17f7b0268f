/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/service/calls.h"

#include "storage/service/firewall.h"
#include "storage/service/greylist_calls.h"
#include "storage/service/imap_calls.h"
#include "storage/service/limits.h"
#include "storage/service/login.h"
#include "storage/service/operator.h"
#include "storage/service/relay_calls.h"
#include "storage/service/relay_duties.h"
#include "storage/service/sender_domains.h"
#include "storage/service/sending.h"
#include "storage/service/settings_calls.h"
#include "storage/service/smtp_calls.h"
#include "storage/service/watch.h"

#define SMTP (1U << ROLE_SMTP)
#define IMAP (1U << ROLE_IMAP)
#define RELAY (1U << ROLE_RELAY)
#define OPERATOR (1U << ROLE_OPERATOR)
#define CALL(name) PR__REQUEST__CALL_##name

static const struct call_row rows[] = {
    {CALL(RESOLVE), SMTP | RELAY, false, true, smtp_resolve},
    {CALL(DELIVER), SMTP | RELAY, false, true, smtp_deliver},
    {CALL(UPLOAD), SMTP | IMAP | RELAY, false, true, smtp_upload},
    {CALL(UPLOAD_ABORT), SMTP | IMAP | RELAY, false, true, smtp_upload_abort},

    {CALL(MAY_SEND), SMTP, true, true, may_send_call},
    {CALL(SETTINGS_READ), SMTP | IMAP | RELAY, false, true, settings_read_call},
    {CALL(GREYLIST_ASK), SMTP, false, true, greylist_ask_call},
    {CALL(SENDER_DOMAIN_ASK), SMTP, false, true, sender_domain_ask_call},
    {CALL(FIREWALL_READ), SMTP | IMAP, false, true, firewall_read_call},
    {CALL(FIREWALL_REPORT), SMTP | IMAP, false, true, firewall_report_call},

    {CALL(RELAY_DUTIES), RELAY, false, true, relay_duties_call},
    {CALL(QUEUE_LANES), RELAY, false, true, relay_read_call},
    {CALL(QUEUE_READ), RELAY, false, true, relay_read_call},
    {CALL(QUEUE_BODY), RELAY, false, true, relay_read_call},
    {CALL(QUEUE_WRITE), RELAY, false, true, relay_write_call},

    {CALL(LOGIN), IMAP, false, true, login_call},
    {CALL(AUTH_STEP), SMTP | IMAP, false, true, auth_step_call},
    {CALL(LOGOUT), SMTP | IMAP, true, true, logout_call},
    {CALL(WATCH), IMAP, false, true, watch_call},
    {CALL(MAILBOX_LIST), IMAP, true, true, imap_read},
    {CALL(MAILBOX_OPEN), IMAP, true, true, imap_open},
    {CALL(MAILBOX_CLOSE), IMAP, true, true, imap_close},
    {CALL(CHANGES), IMAP, true, true, imap_read},
    {CALL(FETCH), IMAP, true, true, imap_read},
    {CALL(BODY_READ), IMAP, true, true, imap_read},
    {CALL(SEARCH), IMAP, true, true, imap_read},
    {CALL(APPEND), IMAP, true, true, imap_write},
    {CALL(FLAGS_CHANGE), IMAP, true, true, imap_write},
    {CALL(COPY), IMAP, true, true, imap_write},
    {CALL(EXPUNGE), IMAP, true, true, imap_write},
    {CALL(MAILBOX_CREATE), IMAP, true, true, imap_write},
    {CALL(MAILBOX_DELETE), IMAP, true, true, imap_write},
    {CALL(MAILBOX_RENAME), IMAP, true, true, imap_write},
    {CALL(MAILBOX_SUBSCRIBE), IMAP, true, true, imap_write},
    {CALL(QUOTA_READ), IMAP, true, true, imap_quota_read},

    {CALL(CLUSTER_INIT), OPERATOR, false, false, operator_handle},
    {CALL(CLUSTER_JOIN), OPERATOR, false, false, operator_handle},
    {CALL(CLUSTER_STATUS), OPERATOR, false, false, operator_handle},
    {CALL(CLUSTER_TOKEN), OPERATOR, false, true, operator_handle},
    {CALL(CLUSTER_UPGRADE), OPERATOR, false, true, operator_handle},
    {CALL(NODE_LIST), OPERATOR, false, true, operator_handle},
    {CALL(GROUP_LIST), OPERATOR, false, true, operator_handle},
    {CALL(NODE_ALTER), OPERATOR, false, true, operator_handle},
    {CALL(GROUP_ADD), OPERATOR, false, true, operator_handle},
    {CALL(GROUP_LEAD), OPERATOR, false, true, operator_handle},
    {CALL(REPLICATION_READ), OPERATOR, false, true, operator_handle},
    {CALL(REPLICATION_CHANGE), OPERATOR, false, true, operator_handle},
    {CALL(REBALANCE), OPERATOR, false, true, operator_handle},
    {CALL(RECOVER_LOOK), OPERATOR, false, true, operator_handle},
    {CALL(RECOVER_RUN), OPERATOR, false, true, operator_handle},
    {CALL(TENANT_ADD), OPERATOR, false, true, operator_handle},
    {CALL(TENANT_LIST), OPERATOR, false, true, operator_handle},
    {CALL(TENANT_REMOVE), OPERATOR, false, true, operator_handle},
    {CALL(DOMAIN_ADD), OPERATOR, false, true, operator_handle},
    {CALL(DOMAIN_LIST), OPERATOR, false, true, operator_handle},
    {CALL(DOMAIN_REMOVE), OPERATOR, false, true, operator_handle},
    {CALL(ACCOUNT_CREATE), OPERATOR, false, true, operator_handle},
    {CALL(ACCOUNT_LIST), OPERATOR, false, true, operator_handle},
    {CALL(ACCOUNT_SHOW), OPERATOR, false, true, operator_handle},
    {CALL(ACCOUNT_REMOVE), OPERATOR, false, true, operator_handle},
    {CALL(ACCOUNT_SET_PASSWORD), OPERATOR, false, true, operator_handle},
    {CALL(ACCOUNT_UNDELETE), OPERATOR, false, true, operator_handle},
    {CALL(ACCOUNT_RESTORE), OPERATOR, false, true, operator_handle},
    {CALL(ACCOUNT_PURGE), OPERATOR, false, true, operator_handle},
    {CALL(ACCOUNT_MOVE), OPERATOR, false, true, operator_handle},
    {CALL(QUOTA_SET), OPERATOR, false, true, operator_handle},
    {CALL(POLICY_SHOW), OPERATOR, false, true, operator_handle},
    {CALL(POLICY_SET), OPERATOR, false, true, operator_handle},
    {CALL(METRICS_READ), OPERATOR, false, false, operator_handle},
    {CALL(STORAGE_STAT), OPERATOR, false, true, operator_handle},
    {CALL(STORAGE_COMPACT), OPERATOR, false, true, operator_handle},
    {CALL(STORAGE_CHECK), OPERATOR, false, true, operator_handle},
    {CALL(ALIAS_ADD), OPERATOR, false, true, operator_handle},
    {CALL(ALIAS_CHANGE), OPERATOR, false, true, operator_handle},
    {CALL(ALIAS_REMOVE), OPERATOR, false, true, operator_handle},
    {CALL(ALIAS_LIST), OPERATOR, false, true, operator_handle},
    {CALL(DOMAIN_ROUTE), OPERATOR, false, true, operator_handle},
    {CALL(DOMAIN_SHOW), OPERATOR, false, true, operator_handle},
    {CALL(ADDRESS_EXPLAIN), OPERATOR, false, true, operator_handle},
    {CALL(ACCOUNT_ALTER), OPERATOR, false, true, operator_handle},
    {CALL(APP_PASSWORD_MAKE), OPERATOR, false, true, operator_handle},
    {CALL(APP_PASSWORD_REMOVE), OPERATOR, false, true, operator_handle},
    {CALL(TOTP_MAKE), OPERATOR, false, true, operator_handle},
    {CALL(SETTING_PUT), OPERATOR, false, true, operator_handle},
    {CALL(SETTING_LIST), OPERATOR, false, true, operator_handle},
    {CALL(FIREWALL_PUT), OPERATOR, false, true, operator_handle},
    {CALL(FIREWALL_REMOVE), OPERATOR, false, true, operator_handle},
    {CALL(FIREWALL_LIST), OPERATOR, false, true, operator_handle},
    {CALL(FIREWALL_EXPLAIN), OPERATOR, false, true, operator_handle},
    {CALL(QUEUE_LIST), OPERATOR, false, true, operator_handle},
    {CALL(QUEUE_ALTER), OPERATOR, false, true, operator_handle},
    {CALL(SENDER_DOMAIN_LIST), OPERATOR, false, true, operator_handle},
    {CALL(SENDER_DOMAIN_PUT), OPERATOR, false, true, operator_handle},
};

const struct call_row *call_find(Pr__Request__CallCase call)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (rows[i].call == call)
            return &rows[i];
    return NULL;
}
