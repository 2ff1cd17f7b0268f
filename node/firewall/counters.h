/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NODE_FIREWALL_COUNTERS_H
#define NODE_FIREWALL_COUNTERS_H

#include "node/firewall/rules.h"
#include "node/firewall/table.h"

/*
 * Inside the firewall: which rules count what, where their counters lie in the slots, and how
 * they fade. A rule has one level in the slots of its kind of key, one with a share two: what
 * is bad, and good and bad together.
 */
enum { COUNTERS_RULES_MAX = 8 };

struct counters {
    struct firewall_settings settings;
    uint8_t rules[FIREWALL_COUNTED_COUNT][COUNTERS_RULES_MAX]; /* that count it; 0 ends them */
    uint8_t keyed_rules[FIREWALL_KEYED_COUNT][FIREWALL_RULE_COUNT];
    uint8_t level[FIREWALL_RULE_COUNT];        /* index in the slot */
    uint8_t level_count[FIREWALL_KEYED_COUNT]; /* of a slot */
    uint32_t ticks_per_s;
    float rate[FIREWALL_RULE_COUNT]; /* 1 / window in ticks */
    float whole[24];                 /* exp(-i) */
    float part[64];                  /* exp(-i / 64) */
};

/* Of the cluster's rules or of a process's. */
void counters_init(struct counters *counters, bool is_cluster, uint32_t ticks_per_s);
void counters_set(struct counters *counters, const struct firewall_settings *settings);

/* Brings a slot to `tick`: its levels fade, or its times go back with the clock. */
void counters_touch(const struct counters *counters, enum firewall_keyed keyed,
                    struct table_slot *slot, uint32_t tick);

uint32_t counters_limit(const struct counters *counters, unsigned rule, bool is_v6);

/*
 * Adds to a touched slot; returns whether the rule strikes. Where it refuses for now, what is
 * over the limit did not happen and is not kept; other levels rise to ten times the limit.
 */
bool counters_add(const struct counters *counters, unsigned rule, struct table_slot *slot,
                  float amount, bool is_v6);
/* Good ones, to a rule with a share. */
void counters_add_good(const struct counters *counters, unsigned rule, struct table_slot *slot,
                       float amount);
/* Whether one more would strike. */
bool counters_are_full(const struct counters *counters, unsigned rule,
                       const struct table_slot *slot, bool is_v6);
/* After a ban: half of the limit is left. */
void counters_halve(const struct counters *counters, unsigned rule, struct table_slot *slot,
                    bool is_v6);
/* What the level is at `tick`, with the slot left as it is. `total` may be NULL. */
float counters_look(const struct counters *counters, unsigned rule,
                    const struct table_slot *slot, uint32_t tick, float *total);

#endif
