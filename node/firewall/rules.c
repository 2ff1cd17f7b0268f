/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "node/firewall/rules.h"

#include "node/base/check.h"
#include "node/firewall/rules_table.h"

static const char *const action_names[] = {"pass", "weigh", "delay", "defer", "refuse", "ban"};
static const char *const keyed_names[] = {"address", "net", "network", "account", "secret"};
static const char *const counted_names[] = {
    [FIREWALL_OPEN] = "open connections",
    [FIREWALL_CONNECTIONS] = "connections",
    [FIREWALL_COMMANDS] = "commands",
    [FIREWALL_MESSAGES] = "messages",
    [FIREWALL_RECIPIENTS] = "recipients",
    [FIREWALL_UNKNOWNS] = "unknown recipients",
    [FIREWALL_NULLS] = "recipients of bounces",
    [FIREWALL_FAILURES] = "failed log-ins",
    [FIREWALL_GUESSES] = "guesses of secrets",
    [FIREWALL_ACCOUNTS] = "accounts guessed at",
    [FIREWALL_ADDRESSES] = "addresses that guess",
    [FIREWALL_ERRORS] = "breaches of protocol",
    [FIREWALL_EARLY] = "early talks",
    [FIREWALL_FLOODS] = "bans by processes",
    [FIREWALL_ARRIVALS] = "new addresses",
    [FIREWALL_BANS] = "banned addresses",
};

bool firewall_rule_exists(unsigned id)
{
    return id < FIREWALL_RULE_COUNT && firewall_rules[id].name != NULL;
}

const struct firewall_rule *firewall_rule(enum firewall_rule_id id)
{
    CHECK(firewall_rule_exists(id));
    return &firewall_rules[id];
}

enum firewall_rule_id firewall_rule_find(struct bytes name)
{
    for (unsigned id = 1; id < FIREWALL_RULE_COUNT; id++)
        if (firewall_rule_exists(id) && bytes_equal(name, bytes_of(firewall_rules[id].name)))
            return (enum firewall_rule_id)id;
    return FIREWALL_NO_RULE;
}

bool firewall_rule_is_cluster(enum firewall_rule_id id)
{
    return id >= FIREWALL_CLUSTER_FIRST;
}

const char *firewall_action_name(enum firewall_action action)
{
    return action_names[action];
}

const char *firewall_keyed_name(enum firewall_keyed keyed)
{
    return keyed_names[keyed];
}

const char *firewall_counted_name(enum firewall_counted counted)
{
    return counted_names[counted];
}

void firewall_settings_init(struct firewall_settings *settings)
{
    *settings = (struct firewall_settings){.of = {{.limit = 0}}};
    for (unsigned id = 1; id < FIREWALL_RULE_COUNT; id++) {
        settings->of[id].limit = firewall_rules[id].limit;
        settings->of[id].limit_v6 = firewall_rules[id].limit_v6;
        settings->of[id].window_s = firewall_rules[id].window_s;
    }
}

bool firewall_settings_are_valid(const struct firewall_settings *settings)
{
    for (unsigned id = 1; id < FIREWALL_RULE_COUNT; id++) {
        if (!firewall_rule_exists(id))
            continue;
        uint32_t window_s = settings->of[id].window_s;
        if (settings->of[id].limit > FIREWALL_LIMIT_MAX ||
            settings->of[id].limit_v6 > FIREWALL_LIMIT_MAX)
            return false;
        if (firewall_rules[id].counted != FIREWALL_OPEN &&
            (window_s < 1 || window_s > FIREWALL_WINDOW_MAX_S))
            return false;
    }
    return true;
}
