/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/query/limits.h"

#include <limits.h>

#include "storage/machine/directory.h"
#include "storage/machine/local.h"
#include "storage/query/directory.h"
#include "storage/schema/address.h"

Pr__MailPolicy *limits_policy(struct db_txn *txn, struct arena *arena)
{
    Pr__ClusterRecord *cluster = directory_cluster(txn, arena);
    Pr__MailPolicy *policy;

    if (cluster != NULL && cluster->policy != NULL)
        return cluster->policy;
    policy = arena_alloc(arena, sizeof(*policy));
    pr__mail_policy__init(policy);
    policy->undelete_days = POLICY_UNDELETE_DAYS;
    return policy;
}

unsigned limits_days_kept(struct db_txn *txn)
{
    struct arena arena;
    unsigned days = UINT_MAX;

    arena_init(&arena);
    if (directory_cluster(txn, &arena) != NULL)
        days = limits_policy(txn, &arena)->undelete_days;
    arena_fini(&arena);
    if (local_partial(txn, DIRECTORY_GROUP, NULL) || db_error(txn) != ERR_OK)
        return UINT_MAX;
    return days;
}

Pr__AccountQuota *limits_quota(struct db_txn *txn, const Pr__AccountRecord *account,
                               struct arena *arena)
{
    struct bytes local;
    struct bytes name;
    Pr__DomainRecord *domain;
    Pr__TenantRecord *tenant;

    if (account->quota != NULL)
        return account->quota;
    if (!address_split(bytes_of(account->address), &local, &name) ||
        (domain = directory_domain(txn, name, arena)) == NULL)
        return NULL;
    if (domain->quota != NULL)
        return domain->quota;
    tenant = directory_tenant(txn, bytes_of(domain->tenant), arena);
    return tenant != NULL ? tenant->quota : NULL;
}

Pr__AccountQuota *limits_quota_by_id(struct db_txn *txn, uint64_t account_id,
                                     struct arena *arena)
{
    struct key key;
    struct bytes row;
    Pr__AccountRecord *account;

    if (db_get(txn, TABLE_ACCOUNT, key_number(&key, DIRECTORY_GROUP, account_id), &row) !=
        ERR_OK)
        return NULL;
    account = directory_account(txn, arena_copy(arena, row), arena);
    return account != NULL ? limits_quota(txn, account, arena) : NULL;
}

Pr__PurgeDueRecord *limits_purge_due(struct db_txn *txn, uint64_t after, uint64_t now_ms,
                                     struct arena *arena)
{
    struct key prefix;
    struct key at;
    struct bytes key;
    struct bytes row;
    struct db_cursor *cursor =
        db_cursor_open(txn, TABLE_PURGE_DUE, key_group(&prefix, DIRECTORY_GROUP));
    Pr__PurgeDueRecord *found = NULL;

    for (bool more =
             db_cursor_seek(cursor, key_number(&at, DIRECTORY_GROUP, after + 1), &key, &row);
         more && found == NULL; more = db_cursor_next(cursor, &key, &row)) {
        Pr__PurgeDueRecord *due =
            directory_unpack(txn, row, &pr__purge_due_record__descriptor, arena);
        if (due != NULL && due->account != NULL && due->due_ms <= now_ms)
            found = due;
    }
    db_cursor_close(&cursor);
    return found;
}
