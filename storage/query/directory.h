/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_QUERY_DIRECTORY_H
#define STORAGE_QUERY_DIRECTORY_H

#include "node/base/arena.h"
#include "record.pb-c.h"
#include "storage/db/db.h"

/* Look-ups in the directory (group 0). Records live in `arena`; NULL when there is none. */
Pr__ClusterRecord *directory_cluster(struct db_txn *txn, struct arena *arena);
Pr__NodeRecord *directory_node(struct db_txn *txn, uint64_t node_id, struct arena *arena);
Pr__GroupRecord *directory_group(struct db_txn *txn, uint32_t group, struct arena *arena);
Pr__TenantRecord *directory_tenant(struct db_txn *txn, struct bytes name, struct arena *arena);
Pr__DomainRecord *directory_domain(struct db_txn *txn, struct bytes name, struct arena *arena);
/* `address` is folded (storage/schema/address.h). */
Pr__AccountRecord *directory_account(struct db_txn *txn, struct bytes address,
                                     struct arena *arena);
/* Whether a token with that hash is there and good at `now_ms`. */
bool directory_token_good(struct db_txn *txn, struct bytes hash, uint64_t now_ms);
/* The folded address and the group of an account by its id; false when it is gone. */
bool directory_account_by_id(struct db_txn *txn, uint64_t account_id, struct arena *arena,
                             struct bytes *address, uint32_t *group);

/* All nodes, or groups, by number. */
void directory_nodes(struct db_txn *txn, struct arena *arena, Pr__NodeRecord ***nodes,
                     size_t *count);
void directory_groups(struct db_txn *txn, struct arena *arena, Pr__GroupRecord ***groups,
                      size_t *count);

/* Pages by name, behind `after` (empty: from the first); an empty `tenant` or `domain` is any.
 * Accounts come by domain, then local part; their `after` is a folded address. Returns whether
 * there are more. */
bool directory_tenants(struct db_txn *txn, struct bytes after, unsigned limit,
                       struct arena *arena, Pr__TenantRecord ***tenants, size_t *count);
bool directory_domains(struct db_txn *txn, struct bytes tenant, struct bytes after,
                       unsigned limit, struct arena *arena, Pr__DomainRecord ***domains,
                       size_t *count);
bool directory_accounts(struct db_txn *txn, struct bytes domain, struct bytes after,
                        unsigned limit, struct arena *arena, Pr__AccountRecord ***accounts,
                        size_t *count);

#endif
