/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "node/firewall/explain.h"

#include <stdio.h>
#include <string.h>

#include "node/firewall/firewall.h"
#include "node/firewall/firewall_internal.h"

enum { SERVICES = 4 }; /* bits of enum firewall_service */

void explain_span(uint64_t span_s, char text[EXPLAIN_SPAN_SIZE])
{
    static const struct {
        uint32_t seconds;
        const char *name;
    } units[] = {{86400, "d"}, {3600, "h"}, {60, "min"}, {1, "s"}};
    unsigned i = 0;

    while (units[i].seconds > 1 &&
           (span_s == 0 || (span_s % units[i].seconds != 0 && span_s / units[i].seconds < 2)))
        i++;
    snprintf(text, EXPLAIN_SPAN_SIZE, "%llu %s", (unsigned long long)span_s / units[i].seconds,
             units[i].name);
}

void explain_scope(unsigned scope, struct buffer *text)
{
    static const char *const names[] = {"smtp", "submission", "imap", "http"};
    const char *comma = "";

    for (unsigned i = 0; i < SERVICES; i++) {
        if ((scope >> i & 1) == 0)
            continue;
        buffer_printf(text, "%s%s", comma, names[i]);
        comma = ", ";
    }
}

static void explain_rule(const struct counters *counters, unsigned id,
                         const struct table_slot *slot, const char *key, bool is_v6,
                         uint32_t tick, struct buffer *text)
{
    const struct firewall_rule *rule = firewall_rule((enum firewall_rule_id)id);
    uint32_t limit = counters_limit(counters, id, is_v6);
    float total = 0;
    float level = (float)slot->open;
    char window[EXPLAIN_SPAN_SIZE];

    if (rule->counted != FIREWALL_OPEN)
        level = counters_look(counters, id, slot, tick, &total);
    if (level < 0.05f)
        return;
    buffer_printf(text, "rule %s: %.1f %s by %s %s", rule->name, (double)level,
                  firewall_counted_name(rule->counted), firewall_keyed_name(rule->keyed), key);
    if (limit == 0)
        buffer_printf(text, ", the rule is off");
    else
        buffer_printf(text, ", limit %u", limit);
    if (rule->counted != FIREWALL_OPEN) {
        explain_span(counters->settings.of[id].window_s, window);
        buffer_printf(text, " in %s", window);
    }
    if (rule->share_percent > 0)
        buffer_printf(text, ", %.0f %% of %.1f, limit %u %%",
                      (double)(total > 0 ? level * 100.0f / total : 100.0f), (double)total,
                      rule->share_percent);
    buffer_printf(text, " (%s): %s\n", firewall_action_name(rule->action), rule->help);
}

void explain_counters(const struct counters *counters, enum firewall_keyed keyed,
                      const struct table_slot *slot, const char *key, bool is_v6, uint32_t tick,
                      struct buffer *text)
{
    for (const uint8_t *id = counters->keyed_rules[keyed]; *id != 0; id++)
        explain_rule(counters, *id, slot, key, is_v6, tick, text);
}

static const char *const kinds[] = {"", "allow", "deny", "ban", "exempt"};

static void explain_entry(const struct firewall_entry *entry, uint64_t now_s,
                          struct buffer *text)
{
    char place[FIREWALL_PLACE_TEXT_SIZE];
    char span[EXPLAIN_SPAN_SIZE];

    firewall_place_text(&entry->place, place);
    buffer_printf(text, "list: %s %s at ", kinds[entry->kind], place);
    explain_scope(entry->scope, text);
    if (firewall_rule_exists(entry->rule))
        buffer_printf(text, " by rule %s, level %u",
                      firewall_rule((enum firewall_rule_id)entry->rule)->name, entry->level);
    if (entry->until_s == 0) {
        buffer_printf(text, ", for good");
    } else if (entry->until_s <= now_s) {
        explain_span(now_s - entry->until_s, span);
        buffer_printf(text, ", ended %s ago", span);
    } else {
        explain_span(entry->until_s - now_s, span);
        buffer_printf(text, ", %s left", span);
    }
    if (entry->note.len > 0)
        buffer_printf(text, ": %.*s", BYTES_ARG(entry->note));
    buffer_add_byte(text, '\n');
}

/* Which of the entries counts, for each service. */
static void explain_decision(const struct firewall_list *list,
                             const struct firewall_address *address, uint32_t network,
                             uint64_t now_s, struct buffer *text)
{
    static const char *const ends[] = {"", "bans and limits do not count", "it is refused",
                                       "it is refused",
                                       "the ban of its net or network does not count"};
    struct firewall_entry found[SERVICES];
    char places[SERVICES][FIREWALL_PLACE_TEXT_SIZE] = {""};

    for (unsigned i = 0; i < SERVICES; i++)
        if (firewall_list_find(list, address, network, (enum firewall_service)(1U << i), now_s,
                               &found[i]))
            firewall_place_text(&found[i].place, places[i]);
    for (unsigned i = 0; i < SERVICES; i++) {
        unsigned scope = 0;
        if (places[i][0] == '\0')
            continue;
        for (unsigned other = SERVICES; other-- > i;) {
            if (places[other][0] == '\0' || found[other].kind != found[i].kind ||
                strcmp(places[other], places[i]) != 0)
                continue;
            scope |= 1U << other;
            if (other != i)
                places[other][0] = '\0'; /* said with this one */
        }
        buffer_printf(text, "list: %s %s wins at ", kinds[found[i].kind], places[i]);
        explain_scope(scope, text);
        buffer_printf(text, ": %s\n", ends[found[i].kind]);
    }
}

void firewall_list_explain(const struct firewall_list *list,
                           const struct firewall_address *address, uint32_t network,
                           uint64_t now_s, struct buffer *text)
{
    struct firewall_entry entry;
    size_t cursor = 0;

    while (firewall_list_next(list, address, network, &cursor, &entry))
        explain_entry(&entry, now_s, text);
    explain_decision(list, address, network, now_s, text);
}

static void explain_ban(const struct table_slot *slot, const char *key, uint32_t tick,
                        struct buffer *text)
{
    char span[EXPLAIN_SPAN_SIZE];

    if (slot->ban_until <= tick)
        return;
    explain_span((slot->ban_until - tick) / FIREWALL_TICKS_PER_S, span);
    buffer_printf(text, "banned by this process: %s, by rule %s, %s left\n", key,
                  firewall_rule((enum firewall_rule_id)slot->rule)->name, span);
}

void firewall_explain(struct firewall *firewall, const struct firewall_address *address,
                      struct firewall_now now, struct buffer *text)
{
    bool is_v6 = !firewall_address_is_v4(address);
    uint32_t tick = firewall_tick(firewall, now.ms);
    uint32_t network = firewall->config.network_of == NULL
                           ? 0
                           : firewall->config.network_of(firewall->config.context, address);
    const struct firewall_place places[] = {
        {.prefix = firewall_prefix_of(address, 128)},
        {.prefix = firewall_net_of(address)},
        {.network = network},
    };

    firewall_list_explain(firewall->list, address, network, now.s, text);
    for (unsigned keyed = 0; keyed < FIREWALL_BY_ACCOUNT; keyed++) {
        char name[FIREWALL_PLACE_TEXT_SIZE];
        struct firewall_address key =
            firewall_key_of((enum firewall_keyed)keyed, address, network, 0);
        const struct table_slot *slot =
            table_find(&firewall->tables[keyed], &key, (uint8_t)keyed);
        if (slot == NULL)
            continue;
        firewall_place_text(&places[keyed], name);
        if (keyed == FIREWALL_BY_ADDRESS && slot->credit_at != 0)
            buffer_printf(text, "credit: %s logged in lately\n", name);
        explain_ban(slot, name, tick, text);
        explain_counters(&firewall->counters, (enum firewall_keyed)keyed, slot, name, is_v6,
                         tick, text);
    }
}
