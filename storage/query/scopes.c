/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/query/scopes.h"

#include "storage/machine/directory.h"
#include "storage/machine/machine.h"
#include "storage/machine/scope.h"
#include "storage/query/directory.h"
#include "storage/schema/address.h"

static struct bytes place_key(struct key *key, uint32_t group, struct scopes_place place)
{
    return key_scope(key, group, (uint8_t)place.kind, place.id);
}

static struct scopes_place place_of(struct bytes key)
{
    struct bytes behind = key_behind_group(key);

    return (struct scopes_place){behind.len > 0 ? (Pr__ScopeKind)behind.at[0]
                                                : PR__SCOPE_KIND__SCOPE_NONE,
                                 key_last_u64(key)};
}

/* ---- in a mail group ---- */

Pr__ScopeShare *scopes_share(struct db_txn *txn, uint32_t group, struct scopes_place scope,
                             struct arena *arena)
{
    struct scope_name name = {scope.kind, scope.id};
    struct scope_record record;

    scope_load_at(txn, group, name, machine_clock_ms(txn, group, 0), &record);
    return scope_share(arena, group, name, &record);
}

void scopes_sent_at(struct db_txn *txn, uint32_t group, uint64_t now_ms, Pr__ScopeShare *share)
{
    const struct scope_name name = {share->kind, share->scope_id};
    struct scope_record record;

    scope_load_at(txn, group, name, machine_clock_ms(txn, group, now_ms), &record);
    share->used_messages = record.used_messages;
    share->used_bytes = record.used_bytes;
}

/* The first row behind a place. */
static bool seek_behind(struct db_cursor *cursor, uint32_t group, struct scopes_place after,
                        struct bytes *key, struct bytes *row)
{
    struct key at;
    struct bytes sought = place_key(&at, group, after);

    if (!db_cursor_seek(cursor, sought, key, row))
        return false;
    return !bytes_equal(*key, sought) || db_cursor_next(cursor, key, row);
}

bool scopes_shares(struct db_txn *txn, uint32_t group, struct scopes_place after,
                   unsigned limit, struct arena *arena, Pr__ScopeShare ***shares, size_t *count)
{
    struct key prefix;
    struct bytes key;
    struct bytes row;
    struct db_cursor *cursor = db_cursor_open(txn, TABLE_SCOPE, key_group(&prefix, group));
    bool more = seek_behind(cursor, group, after, &key, &row);

    *shares = arena_alloc(arena, limit * sizeof(**shares));
    for (*count = 0; more && *count < limit; more = db_cursor_next(cursor, &key, &row)) {
        struct scopes_place place = place_of(key);
        struct scope_record record;

        if (!scope_decode(row, &record)) {
            db_fail(txn, ERR_MALFORMED);
            break;
        }
        (*shares)[(*count)++] =
            scope_share(arena, group, (struct scope_name){place.kind, place.id}, &record);
    }
    db_cursor_close(&cursor);
    return more;
}

uint64_t scopes_accounts(struct db_txn *txn, uint32_t group, uint64_t from, unsigned looks,
                         struct scopes_account *accounts, unsigned limit, unsigned *count)
{
    struct key prefix;
    struct key at;
    struct bytes key;
    struct bytes row;
    struct db_cursor *cursor = db_cursor_open(txn, TABLE_MAILBOX, key_group(&prefix, group));
    uint64_t next = 0;

    *count = 0;
    while (from != UINT64_MAX &&
           db_cursor_seek(cursor, key_number(&at, group, from), &key, &row)) {
        struct account_record record;
        uint64_t id = key_last_u64(bytes_from(key.at, 12));

        if (looks-- == 0 || *count == limit) {
            next = id;
            break;
        }
        if (key_last_u32(key) != 0 || !account_decode(row, &record)) {
            db_fail(txn, ERR_MALFORMED); /* an account's own row is its first */
            break;
        }
        if (!record.gone && record.place == PLACE_HERE)
            accounts[(*count)++] =
                (struct scopes_account){id, record.domain_id, record.tenant_id};
        from = id + 1;
    }
    db_cursor_close(&cursor);
    return next;
}

/* ---- in the directory ---- */

Pr__ScopeRecord *scopes_record(struct db_txn *txn, struct scopes_place scope,
                               struct arena *arena)
{
    struct key key;

    return directory_load(txn, TABLE_SCOPE_GRANT, place_key(&key, DIRECTORY_GROUP, scope),
                          &pr__scope_record__descriptor, arena);
}

bool scopes_records(struct db_txn *txn, struct scopes_place after, unsigned limit,
                    struct arena *arena, Pr__ScopeRecord ***records, size_t *count)
{
    struct key prefix;
    struct bytes key;
    struct bytes row;
    struct db_cursor *cursor =
        db_cursor_open(txn, TABLE_SCOPE_GRANT, key_group(&prefix, DIRECTORY_GROUP));
    bool more = seek_behind(cursor, DIRECTORY_GROUP, after, &key, &row);

    *records = arena_alloc(arena, limit * sizeof(**records));
    for (*count = 0; more && *count < limit; more = db_cursor_next(cursor, &key, &row)) {
        Pr__ScopeRecord *record =
            directory_unpack(txn, row, &pr__scope_record__descriptor, arena);
        if (record == NULL)
            break;
        (*records)[(*count)++] = record;
    }
    db_cursor_close(&cursor);
    return more;
}

Pr__AccountScopes *scopes_of_account(struct db_txn *txn, const Pr__AccountRecord *account,
                                     struct arena *arena)
{
    Pr__AccountScopes *scopes = arena_alloc(arena, sizeof(*scopes));
    struct bytes local;
    struct bytes name;
    const char *tenant_name = account->tenant;
    const Pr__TenantRecord *tenant;
    const Pr__DomainRecord *domain = NULL;

    pr__account_scopes__init(scopes);
    if (address_split(bytes_of(account->address), &local, &name))
        domain = directory_domain(txn, name, arena);
    if (domain != NULL) {
        scopes->domain_id = domain->id;
        scopes->domain_limit = domain->limit;
        tenant_name = domain->tenant;
    }
    if ((tenant = directory_tenant(txn, bytes_of(tenant_name), arena)) != NULL) {
        scopes->tenant_id = tenant->id;
        scopes->tenant_limit = tenant->limit;
    }
    return scopes;
}

Pr__AccountScopes *scopes_of_account_id(struct db_txn *txn, uint64_t account_id,
                                        struct arena *arena)
{
    struct key key;
    struct bytes row;
    const Pr__AccountRecord *account = NULL;
    const Pr__PurgeDueRecord *due;

    if (db_get(txn, TABLE_ACCOUNT, key_number(&key, DIRECTORY_GROUP, account_id), &row) ==
        ERR_OK)
        account = directory_account(txn, arena_copy(arena, row), arena);
    else if ((due = directory_load(txn, TABLE_PURGE_DUE,
                                   key_number(&key, DIRECTORY_GROUP, account_id),
                                   &pr__purge_due_record__descriptor, arena)) != NULL)
        account = due->account;
    return account != NULL ? scopes_of_account(txn, account, arena) : NULL;
}
