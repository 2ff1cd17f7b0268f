/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_SERVICE_SENDING_TENANTS_H
#define STORAGE_SERVICE_SENDING_TENANTS_H

#include "storage/service/service.h"

/*
 * What all accounts of a tenant may send together: the settings sending.tenant_hour and
 * sending.tenant_day. The directory grants the mail groups parts of it (scopes.h, of the kind
 * SCOPE_SENDING, with recipients in an hour as messages and in a day as bytes), and it hears of
 * the settings from those who ask.
 */

/* Never NULL; 0: no limit. In `arena`. */
Pr__AccountQuota *sending_tenant_total(struct db_txn *directory, uint64_t tenant_id,
                                       struct arena *arena);
bool sending_is_limited(const Pr__AccountQuota *total);
/* For commands: the number of the limit, 0 for none. A number that is too low is of no harm:
 * the group knows a higher one, or learns it from the directory. */
uint64_t sending_tenant_limit(struct db_txn *directory, uint64_t tenant_id,
                              struct arena *arena);
/* What a question about a tenant's scope brings along. In `arena`. */
void sending_tenant_ask(struct db_txn *directory, Pr__ScopeAsk *ask, struct arena *arena);
/* Whether the directory has not heard of the settings as they are now. */
bool sending_tenant_changed(struct db_txn *directory, const Pr__ScopeRecord *record,
                            const Pr__AccountQuota *total);

#endif
