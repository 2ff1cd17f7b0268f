/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "node/firewall/explain.h"
#include "node/firewall/tally_internal.h"

static void explain_credit(const struct firewall_tally *tally,
                           const struct firewall_address *address, const char *name,
                           struct buffer *text)
{
    const struct table_slot *slot = table_find(&tally->credits.table, address, 0);
    char span[EXPLAIN_SPAN_SIZE];
    unsigned accounts = 0;

    if (slot == NULL || !credits_is_fresh(&tally->credits, slot, tally->tick))
        return;
    while (accounts < TABLE_KNOWN && slot->known[accounts] != 0)
        accounts++;
    explain_span(tally->tick > slot->credit_at ? tally->tick - slot->credit_at : 0, span);
    buffer_printf(text,
                  "credit: %s logged in %s ago, to %u%s of the last accounts; bans of its net "
                  "and network do not concern it\n",
                  name, span, accounts, accounts == TABLE_KNOWN ? " or more" : "");
}

static void explain_ban(struct firewall_tally *tally, const struct firewall_place *place,
                        const char *name, struct buffer *text)
{
    struct table_slot *slot = tally_ban_find(tally, place);
    char span[EXPLAIN_SPAN_SIZE];

    if (slot == NULL || slot->ladder == 0)
        return;
    buffer_printf(text, "ban: %s, level %u, at ", name, slot->ladder - 1u);
    explain_scope(*tally_scope(slot), text);
    if (slot->rule != FIREWALL_NO_RULE)
        buffer_printf(text, ", by rule %s",
                      firewall_rule((enum firewall_rule_id)slot->rule)->name);
    if (slot->ban_until == UINT32_MAX) {
        buffer_printf(text, ", for good\n");
        return;
    }
    bool is_over = slot->ban_until <= tally->tick;
    explain_span(is_over ? tally->tick - slot->ban_until : slot->ban_until - tally->tick, span);
    buffer_printf(text, is_over ? ", ended %s ago\n" : ", %s left\n", span);
}

void firewall_tally_explain(struct firewall_tally *tally,
                            const struct firewall_address *address, uint32_t network,
                            uint64_t now_s, struct buffer *text)
{
    bool is_v6 = !firewall_address_is_v4(address);

    tally_set_time(tally, now_s);
    for (unsigned keyed = 0; keyed <= FIREWALL_BY_NETWORK; keyed++) {
        enum firewall_keyed by = (enum firewall_keyed)keyed;
        struct firewall_place place = tally_place_of(by, address, network);
        struct firewall_address key = by == FIREWALL_BY_NETWORK
                                          ? (struct firewall_address){0, network}
                                          : place.prefix.address;
        char name[FIREWALL_PLACE_TEXT_SIZE];
        if (by == FIREWALL_BY_NETWORK && network == 0)
            break;
        firewall_place_text(&place, name);
        if (by == FIREWALL_BY_ADDRESS)
            explain_credit(tally, address, name, text);
        explain_ban(tally, &place, name, text);
        const struct table_slot *slot = table_find(&tally->tables[by], &key, (uint8_t)by);
        if (slot != NULL)
            explain_counters(&tally->counters, by, slot, name, is_v6, tally->tick, text);
    }
}

void firewall_tally_explain_account(struct firewall_tally *tally, uint64_t account,
                                    uint64_t now_s, struct buffer *text)
{
    struct firewall_address key = {0, account};
    const struct table_slot *slot =
        table_find(&tally->tables[FIREWALL_BY_ACCOUNT], &key, FIREWALL_BY_ACCOUNT);

    tally_set_time(tally, now_s);
    if (slot != NULL)
        explain_counters(&tally->counters, FIREWALL_BY_ACCOUNT, slot, "", false, tally->tick,
                         text);
}
