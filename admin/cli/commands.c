/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "admin/cli/cli.h"

#define PASSWORD_OPTIONS (WITH(PASSWORD_FILE) | WITH(GENERATE))

const struct cli_command cli_commands[] = {
    {"cluster", "init", "", 0, WITH(GROUPS), WITH(NAME) | WITH(NODE) | WITH(DATA_CENTER),
     "make a new cluster with this node as its first", cli_cluster_init},
    {"cluster", "join", "TOKEN", 1, 0, WITH(NODE) | WITH(DATA_CENTER),
     "make this machine a node of the cluster that the token is from", cli_cluster_join},
    {"cluster", "token", "", 0, WITH(VALID), 0, "make a token that one machine can join with",
     cli_cluster_token},
    {"cluster", "status", "", 0, 0, 0, "show nodes, groups, and whether all is well",
     cli_cluster_status},
    {"cluster", "upgrade", "", 0, WITH(CHECK) | WITH(YES), 0,
     "finish an upgrade: use what the newest release adds", cli_cluster_upgrade},
    {"node", "list", "", 0, 0, 0, "show the nodes", cli_node_list},
    {"group", "list", "", 0, 0, 0, "show the replication groups and their members",
     cli_group_list},
    {"tenant", "add", "NAME", 1, 0, 0, "add a tenant, who owns domains", cli_tenant_add},
    {"tenant", "list", "", 0, 0, 0, "show the tenants", cli_tenant_list},
    {"tenant", "show", "NAME", 1, 0, 0, "show a tenant", cli_tenant_show},
    {"tenant", "remove", "NAME", 1, WITH(YES), 0, "remove a tenant that has no domains",
     cli_tenant_remove},
    {"domain", "add", "DOMAIN", 1, 0, WITH(TENANT), "take mail for a domain", cli_domain_add},
    {"domain", "list", "", 0, WITH(TENANT), 0, "show the domains", cli_domain_list},
    {"domain", "show", "DOMAIN", 1, 0, 0, "show a domain", cli_domain_show},
    {"domain", "remove", "DOMAIN", 1, WITH(YES), 0, "remove a domain that has no accounts",
     cli_domain_remove},
    {"account", "add", "[ADDRESS]", 0, PASSWORD_OPTIONS | WITH(FILE), 0,
     "add an account, or with --file many", cli_account_add},
    {"account", "list", "", 0, WITH(DOMAIN), 0, "show the accounts", cli_account_list},
    {"account", "show", "ADDRESS", 1, 0, 0, "show an account and its mailboxes",
     cli_account_show},
    {"account", "password", "ADDRESS", 1, PASSWORD_OPTIONS, 0,
     "set a new password; its sessions end", cli_account_password},
    {"account", "remove", "ADDRESS", 1, WITH(YES), 0, "remove an account with all of its mail",
     cli_account_remove},
    {"metrics", "", "", 0, 0, 0, "show the counters of this node's store", cli_metrics},
};

const size_t cli_command_count = sizeof(cli_commands) / sizeof(cli_commands[0]);
