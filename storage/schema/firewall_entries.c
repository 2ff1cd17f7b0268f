/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/schema/firewall_entries.h"

static const struct {
    Pr__FirewallAction action;
    enum firewall_entry_kind kind;
} kinds[] = {
    {PR__FIREWALL_ACTION__FIREWALL_ALLOW, FIREWALL_ENTRY_ALLOW},
    {PR__FIREWALL_ACTION__FIREWALL_DENY, FIREWALL_ENTRY_DENY},
    {PR__FIREWALL_ACTION__FIREWALL_BAN, FIREWALL_ENTRY_BAN},
    {PR__FIREWALL_ACTION__FIREWALL_EXEMPT, FIREWALL_ENTRY_EXEMPT},
};

bool firewall_entry_read(const Pr__FirewallEntry *record, struct firewall_entry *entry)
{
    *entry = (struct firewall_entry){
        .scope = record->scope != 0 ? record->scope : FIREWALL_ALL_SERVICES,
        .rule = (uint16_t)record->rule,
        .level = (uint8_t)record->level,
        .since_s = record->since_ms / 1000,
        .until_s = record->until_ms / 1000,
        .note = bytes_of(record->reason),
    };
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (kinds[i].action == record->action)
            entry->kind = kinds[i].kind;
    return entry->kind != 0 &&
           firewall_place_parse(bytes_of(record->net), &entry->place) == ERR_OK;
}

void firewall_entry_write(const struct firewall_entry *entry,
                          char net[FIREWALL_PLACE_TEXT_SIZE], Pr__FirewallEntry *record)
{
    union {
        const uint8_t *in;
        char *out; /* packing only reads it */
    } note = {.in = entry->note.at};

    firewall_place_text(&entry->place, net);
    record->net = net;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (kinds[i].kind == entry->kind)
            record->action = kinds[i].action;
    if (entry->note.len > 0)
        record->reason = note.out;
    record->since_ms = entry->since_s * 1000;
    record->until_ms = entry->until_s * 1000;
    record->level = entry->level;
    record->scope = entry->scope;
    record->rule = entry->rule;
}
