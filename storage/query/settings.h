/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_QUERY_SETTINGS_H
#define STORAGE_QUERY_SETTINGS_H

#include "node/base/arena.h"
#include "record.pb-c.h"
#include "storage/db/db.h"
#include "storage/schema/settings.h"

/* What is set in the directory, read through the table of schema/settings.h. */

/* Whose settings count: numbers, 0 for none. */
struct settings_place {
    uint64_t tenant_id;
    uint64_t domain_id;
    uint64_t account_id;
};

/* Of a domain's mail, or an account's. What is gone counts as none. */
struct settings_place settings_place_domain(struct db_txn *txn, const Pr__DomainRecord *domain,
                                            struct arena *arena);
struct settings_place settings_place_account(struct db_txn *txn,
                                             const Pr__AccountRecord *account,
                                             struct arena *arena);

/* All of them, merged. Keeps texts in `arena`. */
void settings_load(struct db_txn *txn, struct settings_place place, struct arena *arena,
                   struct settings *settings);

/* One of them: a read a scope. Text in `arena`. */
struct bytes settings_text(struct db_txn *txn, struct settings_place place, enum setting_id id,
                           struct arena *arena);
int64_t settings_number(struct db_txn *txn, struct settings_place place, enum setting_id id);

/* Those that are set for one scope, by name; all of them, SETTINGS_MAX at the most. `id` is 0
 * for the cluster. */
void settings_rows(struct db_txn *txn, Pr__SettingScope scope, uint64_t id, struct arena *arena,
                   Pr__Setting ***rows, size_t *count);

/* The id of a scope by its name, as SettingPut has it; false: there is none. */
bool settings_scope_find(struct db_txn *txn, Pr__SettingScope scope, struct bytes name,
                         struct arena *arena, uint64_t *id);

/* Ascend with each change; 1 and more when there is a cluster. */
uint64_t settings_version(struct db_txn *txn);
uint64_t firewall_version(struct db_txn *txn);

#endif
