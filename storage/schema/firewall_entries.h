/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_SCHEMA_FIREWALL_ENTRIES_H
#define STORAGE_SCHEMA_FIREWALL_ENTRIES_H

#include "address.pb-c.h"
#include "node/firewall/firewall_list.h"

/* Entries of the directory's list and those of node/firewall, one into the other. */

/* Borrows the record's reason. False: it is none that this release understands. */
bool firewall_entry_read(const Pr__FirewallEntry *record, struct firewall_entry *entry);

/* Fills `record`, which is initialised; `net` holds its text. Borrows the note, which has a NUL
 * behind it. */
void firewall_entry_write(const struct firewall_entry *entry,
                          char net[FIREWALL_PLACE_TEXT_SIZE], Pr__FirewallEntry *record);

#endif
