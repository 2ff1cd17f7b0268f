/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_QUERY_SCOPES_H
#define STORAGE_QUERY_SCOPES_H

#include "node/base/arena.h"
#include "record.pb-c.h"
#include "storage/db/db.h"

/* What the accounts of domains and tenants hold together (storage/machine/scope.h). */

struct scopes_place {
    Pr__ScopeKind kind;
    uint64_t id;
};

/* ---- in a mail group ---- */

/* One scope's share there; of nothing when the group has no account of it. In `arena`. What was
 * sent (SCOPE_SENDING) is by the time of the group's last command. */
Pr__ScopeShare *scopes_share(struct db_txn *txn, uint32_t group, struct scopes_place scope,
                             struct arena *arena);
/* What of a tenant's is sent in the group, as a command of that time would see it. */
void scopes_sent_at(struct db_txn *txn, uint32_t group, uint64_t now_ms, Pr__ScopeShare *share);
/* A page of them, by kind and id, behind `after` (zeros: from the first). Returns whether there
 * are more. */
bool scopes_shares(struct db_txn *txn, uint32_t group, struct scopes_place after,
                   unsigned limit, struct arena *arena, Pr__ScopeShare ***shares,
                   size_t *count);

/* An account that is in the group, and where it is counted; 0: nowhere yet. */
struct scopes_account {
    uint64_t account_id;
    uint64_t domain_id;
    uint64_t tenant_id;
};
/*
 * The next ones from account `from` on, at most `limit`: those that a ScopeEnrol can change. No
 * more than `looks` rows are looked at. Returns the account to go on from; 0: that were all.
 */
uint64_t scopes_accounts(struct db_txn *txn, uint32_t group, uint64_t from, unsigned looks,
                         struct scopes_account *accounts, unsigned limit, unsigned *count);

/* What scopes hold by their rows, and by the accounts that are counted there. */
struct scopes_difference {
    uint64_t accounts; /* looked at */
    uint64_t scopes;
    uint64_t different;
    /* The first that is. */
    struct scopes_place first;
    uint64_t row_messages;
    uint64_t row_bytes;
    uint64_t counted_messages;
    uint64_t counted_bytes;
};
/* Counts again; all of it in one transaction, about half a microsecond an account. ERR_TOOBIG
 * for more than `accounts_max` accounts. */
MUST_CHECK enum err scopes_recount(struct db_txn *txn, uint32_t group, uint64_t accounts_max,
                                   struct scopes_difference *difference);

/* ---- in the directory ---- */

/* NULL: there is no limit on it. In `arena`. */
Pr__ScopeRecord *scopes_record(struct db_txn *txn, struct scopes_place scope,
                               struct arena *arena);
/* A page of all that have a limit, as scopes_shares(). */
bool scopes_records(struct db_txn *txn, struct scopes_place after, unsigned limit,
                    struct arena *arena, Pr__ScopeRecord ***records, size_t *count);

/* Which scopes an account is in, with the numbers of their limits. Never NULL: what is not
 * known is 0. In `arena`. */
Pr__AccountScopes *scopes_of_account(struct db_txn *txn, const Pr__AccountRecord *account,
                                     struct arena *arena);
/* Also of one that was removed and is not yet purged. NULL: there is no such account. */
Pr__AccountScopes *scopes_of_account_id(struct db_txn *txn, uint64_t account_id,
                                        struct arena *arena);

#endif
