/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NODE_FIREWALL_RULES_TABLE_H
#define NODE_FIREWALL_RULES_TABLE_H

#include "node/firewall/rules.h"

/* Inside the firewall. Numbers that no rule has are rows without a name. */
extern const struct firewall_rule firewall_rules[FIREWALL_RULE_COUNT];

#endif
