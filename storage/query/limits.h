/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_QUERY_LIMITS_H
#define STORAGE_QUERY_LIMITS_H

#include "node/base/arena.h"
#include "record.pb-c.h"
#include "storage/db/db.h"

/* What the directory says about limits. */

enum { POLICY_UNDELETE_DAYS = 14 }; /* where no operator has said anything */

/* Never NULL. In `arena`. */
Pr__MailPolicy *limits_policy(struct db_txn *txn, struct arena *arena);

/* For how many days expunged mail can come back. UINT_MAX where nobody can say: without the
 * cluster's record, or with one that is half a copy or cannot be read. */
unsigned limits_days_kept(struct db_txn *txn);

/* The limits in force: the account's own, else its domain's, else its tenant's. NULL: none. */
Pr__AccountQuota *limits_quota(struct db_txn *txn, const Pr__AccountRecord *account,
                               struct arena *arena);
Pr__AccountQuota *limits_quota_by_id(struct db_txn *txn, uint64_t account_id,
                                     struct arena *arena);

/* Removed accounts whose mail is due at `now_ms`: the first behind `after`; NULL: none. */
Pr__PurgeDueRecord *limits_purge_due(struct db_txn *txn, uint64_t after, uint64_t now_ms,
                                     struct arena *arena);

#endif
