/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "node/firewall/counters.h"

#include "node/base/check.h"
#include "node/firewall/rules_table.h"

#define LEVEL_MAX 16000000.0f /* below it a float counts single events */

static void add_rule(struct counters *counters, unsigned id)
{
    const struct firewall_rule *rule = &firewall_rules[id];
    uint8_t *of_counted = counters->rules[rule->counted];
    uint8_t *of_keyed = counters->keyed_rules[rule->keyed];
    uint8_t *count = &counters->level_count[rule->keyed];
    size_t at = strlen((const char *)of_counted);

    CHECK(at < COUNTERS_RULES_MAX - 1);
    of_counted[at] = (uint8_t)id;
    of_keyed[strlen((const char *)of_keyed)] = (uint8_t)id;
    if (rule->counted == FIREWALL_OPEN)
        return;
    counters->level[id] = *count;
    *count = (uint8_t)(*count + (rule->share_percent > 0 ? 2 : 1));
}

void counters_init(struct counters *counters, bool is_cluster, uint32_t ticks_per_s)
{
    struct firewall_settings settings;
    double whole = 1;
    double part = 1;

    *counters = (struct counters){.ticks_per_s = ticks_per_s};
    for (unsigned id = 1; id < FIREWALL_RULE_COUNT; id++)
        if (firewall_rule_exists(id) &&
            firewall_rule_is_cluster((enum firewall_rule_id)id) == is_cluster)
            add_rule(counters, id);
    for (unsigned i = 0; i < 24; i++, whole *= 0.36787944117144233)
        counters->whole[i] = (float)whole;
    for (unsigned i = 0; i < 64; i++, part *= 0.98449643700540845)
        counters->part[i] = (float)part;
    firewall_settings_init(&settings);
    counters_set(counters, &settings);
}

void counters_set(struct counters *counters, const struct firewall_settings *settings)
{
    CHECK(firewall_settings_are_valid(settings));
    counters->settings = *settings;
    for (unsigned id = 1; id < FIREWALL_RULE_COUNT; id++)
        if (settings->of[id].window_s > 0)
            counters->rate[id] =
                1.0f / ((float)settings->of[id].window_s * (float)counters->ticks_per_s);
}

/* exp(-x) for x >= 0. */
static float fading(const struct counters *counters, float x)
{
    if (!(x < 24.0f))
        return 0;
    unsigned whole = (unsigned)x;
    float rest = (x - (float)whole) * 64.0f;
    unsigned part = (unsigned)rest & 63;
    float last = (rest - (float)part) / 64.0f;
    return counters->whole[whole] * counters->part[part] * (1.0f - last + last * last / 2.0f);
}

static unsigned levels_of(unsigned rule)
{
    return firewall_rules[rule].share_percent > 0 ? 2 : 1;
}

void counters_touch(const struct counters *counters, enum firewall_keyed keyed,
                    struct table_slot *slot, uint32_t tick)
{
    if (tick == slot->tick || table_rewind(slot, tick))
        return;
    float elapsed = (float)(tick - slot->tick);
    for (const uint8_t *rule = counters->keyed_rules[keyed]; *rule != 0; rule++) {
        float *levels = &slot->levels[counters->level[*rule]];
        if (firewall_rules[*rule].counted == FIREWALL_OPEN)
            continue;
        for (unsigned i = 0; i < levels_of(*rule); i++) {
            if (levels[i] <= 0)
                continue;
            levels[i] *= fading(counters, elapsed * counters->rate[*rule]);
            if (levels[i] < 0.001f)
                levels[i] = 0;
        }
    }
    slot->tick = tick;
}

uint32_t counters_limit(const struct counters *counters, unsigned rule, bool is_v6)
{
    return is_v6 && firewall_rules[rule].keyed == FIREWALL_BY_NET
               ? counters->settings.of[rule].limit_v6
               : counters->settings.of[rule].limit;
}

/* A rate that is refused, not an offence. */
static bool is_capped(unsigned rule)
{
    return firewall_rules[rule].action == FIREWALL_DEFER;
}

static bool is_share_reached(unsigned rule, const float *levels)
{
    uint32_t percent = firewall_rules[rule].share_percent;

    return percent == 0 || levels[0] * 100.0f >= levels[1] * (float)percent;
}

static float least(float a, float b)
{
    return a < b ? a : b;
}

/* The share stays what it is. */
static void cap(unsigned rule, float *levels, float most)
{
    if (levels[0] <= most)
        return;
    if (levels_of(rule) > 1)
        levels[1] *= most / levels[0];
    levels[0] = most;
}

bool counters_add(const struct counters *counters, unsigned rule, struct table_slot *slot,
                  float amount, bool is_v6)
{
    float limit = (float)counters_limit(counters, rule, is_v6);
    float *levels = &slot->levels[counters->level[rule]];

    if (limit <= 0)
        return false;
    float sum = levels[0] + amount;
    bool strikes = sum > limit + 0.001f;
    levels[0] = sum;
    if (firewall_rules[rule].share_percent > 0) {
        if (firewall_rules[rule].counted != FIREWALL_NULLS) /* these were told before */
            counters_add_good(counters, rule, slot, amount);
        strikes = strikes && is_share_reached(rule, levels);
    }
    cap(rule, levels, least(is_capped(rule) ? limit : limit * 10.0f, LEVEL_MAX));
    return strikes;
}

void counters_add_good(const struct counters *counters, unsigned rule, struct table_slot *slot,
                       float amount)
{
    float *total = &slot->levels[counters->level[rule] + 1];

    *total = least(*total + amount, LEVEL_MAX);
}

bool counters_are_full(const struct counters *counters, unsigned rule,
                       const struct table_slot *slot, bool is_v6)
{
    float limit = (float)counters_limit(counters, rule, is_v6);
    const float *levels = &slot->levels[counters->level[rule]];

    return limit > 0 && levels[0] + 1.0f > limit + 0.001f && is_share_reached(rule, levels);
}

void counters_halve(const struct counters *counters, unsigned rule, struct table_slot *slot,
                    bool is_v6)
{
    cap(rule, &slot->levels[counters->level[rule]],
        (float)counters_limit(counters, rule, is_v6) / 2.0f);
}

float counters_look(const struct counters *counters, unsigned rule,
                    const struct table_slot *slot, uint32_t tick, float *total)
{
    const float *levels = &slot->levels[counters->level[rule]];
    float elapsed = tick > slot->tick ? (float)(tick - slot->tick) : 0;
    float factor = fading(counters, elapsed * counters->rate[rule]);

    if (total != NULL)
        *total = levels_of(rule) > 1 ? levels[1] * factor : 0;
    return levels[0] * factor;
}
